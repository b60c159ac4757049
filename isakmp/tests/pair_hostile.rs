//! What strangers can and cannot do. The harness compares the whole state before and after each
//! datagram that is refused.

#![allow(clippy::wildcard_enum_match_arm, reason = "a test looks at what it is about")]

mod pair;

use core::time::Duration;

use dmvpn_isakmp::wire::{
    Attribute, Chain, Cookie, Delete, ExchangeType, Flags, Header, Message, MessageId,
    Notification, NotifyType, Payload, VendorId, phase1,
};
use dmvpn_isakmp::{Discard, Limits, Path, Policy};
use pair::{Pair, guide_config, ip};
use proptest::prelude::*;

fn established() -> Pair {
    let mut pair = Pair::guide();
    pair.connect();
    pair.run_for(Duration::from_secs(5));
    pair.assert_connected();
    pair
}

fn snapshot(pair: &Pair) -> Vec<String> {
    pair.hosts.iter().map(|host| format!("{:?}", host.endpoint)).collect()
}

#[test]
fn unprotected_deletes_and_notifications_change_nothing() {
    let mut pair = established();
    let before = snapshot(&pair);
    let view = pair.hosts[0].endpoint.phase1().next().unwrap();
    let (initiator, responder) = view.cookies;
    let spis: Vec<u32> = pair.hosts[0].installed.keys().map(|(_, _, spi)| *spi).collect();
    let mut payloads = vec![
        Payload::Delete(Delete::isakmp(initiator, responder)),
        Payload::Delete(Delete::esp(&spis)),
    ];
    for notify_type in [
        NotifyType::INITIAL_CONTACT,
        NotifyType::NO_PROPOSAL_CHOSEN,
        NotifyType::R_U_THERE,
        NotifyType::INVALID_COOKIE,
        NotifyType::AUTHENTICATION_FAILED,
        NotifyType::RESPONDER_LIFETIME,
    ] {
        let cookies = (initiator, responder);
        payloads.push(Payload::Notification(Notification::isakmp(notify_type, cookies, &[][..])));
    }
    for payload in payloads {
        for message_id in [0, 7] {
            let mut chain = Chain::new();
            chain.push(&payload);
            let header = Header {
                message_id: MessageId(message_id),
                ..Header::new(initiator, responder, ExchangeType::INFORMATIONAL)
            };
            let message = chain.message(header, 0).unwrap();
            for to in [0, 1] {
                let path = pair.path_to(to);
                pair.deliver(to, path, &message);
            }
            // The same with the encryption flag: it decrypts to nothing.
            let header = Header { flags: Flags::ENCRYPTION, ..header };
            let message = chain.message(header, chain.padding(8)).unwrap();
            for to in [0, 1] {
                let path = pair.path_to(to);
                pair.deliver(to, path, &message);
            }
        }
    }
    assert_eq!(snapshot(&pair), before);
    pair.assert_connected();
}

#[test]
fn replayed_messages_change_nothing() {
    let mut pair = established();
    let now = pair.now;
    let peer = pair.hosts[0].peer.unwrap();
    let spi = pair.hosts[0].inbound()[0].spi;
    pair.hosts[0].endpoint.handle_soft_expire(now, peer, spi);
    pair.run_for(Duration::from_secs(300));
    // Views are as of the time last seen.
    let now = pair.now;
    pair.hosts.iter_mut().for_each(|host| host.endpoint.handle_timeout(now));
    let (events, children): (Vec<_>, Vec<_>) = pair
        .hosts
        .iter()
        .map(|host| {
            (host.events.len(), format!("{:?}", host.endpoint.phase2().collect::<Vec<_>>()))
        })
        .unzip();
    for from in [0, 1] {
        let captured: Vec<_> =
            pair.hosts[from].sent.iter().map(|(_, t)| t.payload.clone()).collect();
        let path = pair.path_to(1 - from);
        for message in captured {
            pair.deliver(1 - from, path, &message);
        }
    }
    for (index, host) in pair.hosts.iter().enumerate() {
        assert_eq!(host.events.len(), events[index]);
        let now: Vec<_> = host.endpoint.phase2().collect();
        assert_eq!(format!("{now:?}"), children[index]);
    }
    pair.assert_connected();
}

/// Both directions use the same hash: what we sent must not count when it comes back.
#[test]
fn our_own_protected_messages_reflected_change_nothing() {
    let dpd = Some(dmvpn_isakmp::DeadPeerDetection::default());
    let config = || guide_config().dead_peer_detection(dpd).build().unwrap();
    let mut pair = Pair::new(config(), config());
    pair.protect_guide();
    pair.connect();
    pair.run_for(Duration::from_secs(100));
    for host in [0, 1] {
        let path = pair.path_to(host);
        // Not the first, which is as good as any stranger's.
        let sent: Vec<_> =
            pair.hosts[host].sent.iter().skip(1).map(|(_, t)| t.payload.clone()).collect();
        let before = pair.hosts[host].sent.len();
        for message in sent {
            pair.deliver(host, path, &message);
        }
        assert_eq!(pair.hosts[host].sent.len(), before, "nothing is answered");
    }
    pair.assert_connected();
}

/// An old answer to dead peer detection, played again and again, does not keep the dead alive.
#[test]
fn replayed_signs_of_life_do_not_count() {
    let dpd = Some(dmvpn_isakmp::DeadPeerDetection::default());
    let config = || guide_config().dead_peer_detection(dpd).build().unwrap();
    let mut pair = Pair::new(config(), config());
    pair.protect_guide();
    pair.connect();
    pair.run_for(Duration::from_secs(100));
    let captured: Vec<_> = pair.hosts[1].sent.iter().map(|(_, t)| t.payload.clone()).collect();
    pair.meddler = Some(Box::new(|copies, _| copies.clear()));
    let path = pair.path_to(0);
    for _ in 0..60 {
        pair.run_for(Duration::from_secs(1));
        for message in &captured {
            pair.deliver(0, path, message);
        }
    }
    assert_eq!(pair.hosts[0].endpoint.peers().count(), 0, "it was found dead all the same");
}

fn first_message() -> Vec<u8> {
    let mut pair = Pair::guide();
    pair.connect();
    pair.hosts[0].sent[0].1.payload.to_vec()
}

fn flood(pair: &mut Pair, sources: core::ops::Range<u8>, per_source: u8) {
    let mm1 = first_message();
    for source in sources {
        for number in 0..per_source {
            let mut message = mm1.clone();
            (message[0], message[1]) = (source.wrapping_add(1), number);
            let path =
                Path { remote: (ip(&format!("192.0.2.{source}")), 500).into(), ..pair.path_to(1) };
            pair.deliver(1, path, &message);
        }
    }
}

#[test]
fn half_open_negotiations_are_bounded() {
    let limits = Limits { half_open: 50, half_open_per_source: 4, ..Limits::default() };
    let config = || guide_config().limits(limits).build().unwrap();
    let mut pair = Pair::new(config(), config());
    pair.protect_guide();
    flood(&mut pair, 0..3, 10);
    assert_eq!(pair.hosts[1].endpoint.phase1().count(), 12);
    flood(&mut pair, 3..200, 4);
    assert_eq!(pair.hosts[1].endpoint.phase1().count(), 50);
    // They never grew into peers, and they go away by themselves.
    assert_eq!(pair.hosts[1].endpoint.peers().count(), 0);
    // The responder answered each once and repeated nothing by itself.
    assert_eq!(pair.hosts[1].sent.len(), 30 + 197 * 4);
    pair.run_for(Duration::from_secs(61));
    assert_eq!(pair.hosts[1].sent.len(), 30 + 197 * 4);
    assert_eq!(pair.hosts[1].endpoint.phase1().count(), 0);
    assert_eq!(pair.hosts[1].endpoint.poll_timeout(), None);
    pair.connect();
    pair.run_for(Duration::from_secs(5));
    pair.assert_connected();
}

/// A first message is kept to know it again: long ones, which nobody needs, would fill the memory.
#[test]
fn messages_of_many_octets_are_refused() {
    let mut pair = Pair::guide();
    let mm1 = first_message();
    let mut long = Vec::new();
    for octets in [9_900, 9_000] {
        let parsed = Message::parse(&mm1).unwrap();
        let mut chain = Chain::new();
        for received in parsed.payloads().unwrap() {
            chain.push(&received.payload);
        }
        chain.push(&Payload::VendorId(VendorId::new(vec![7; octets])));
        long.push(chain.message(parsed.header, 0).unwrap());
    }
    let (path, length, limit) = (pair.path_to(1), long[0].len(), 10_000);
    pair.deliver(1, path, &long[0]);
    assert_eq!(pair.hosts[1].discards, [Discard::TooLong { length, limit }]);
    pair.deliver(1, path, &long[1]);
    assert_eq!(pair.hosts[1].endpoint.phase1().count(), 1);
}

/// First messages forged in somebody's name do not keep that somebody out.
#[test]
fn forged_first_messages_lock_nobody_out() {
    let mut pair = Pair::guide();
    let mm1 = first_message();
    for number in 0..32 {
        let mut message = mm1.clone();
        (message[0], message[1]) = (9, number);
        let path = pair.path_to(1);
        pair.deliver(1, path, &message);
    }
    pair.connect();
    pair.run_for(Duration::from_secs(5));
    pair.assert_connected();
}

/// An initiator that has shown by MM3 where it is does not give way.
#[test]
fn only_unproved_negotiations_give_way() {
    let limits = Limits { half_open_per_source: 1, ..Limits::default() };
    let hub = pair::out_of_line(guide_config().limits(limits));
    let mut pair = Pair::new(guide_config().build().unwrap(), hub);
    pair.protect_guide();
    pair.hosts[1].job_delay = Duration::from_secs(10);
    pair.connect();
    pair.run_for(Duration::from_secs(1));
    let mut forged = first_message();
    forged[0] ^= 1;
    let path = pair.path_to(1);
    pair.deliver(1, path, &forged);
    let source_address = ip(pair::SPOKE);
    let refused = Discard::HalfOpenLimitPerSource { source_address, limit: 1 };
    assert_eq!(pair.hosts[1].discards, [refused]);
    pair.run_for(Duration::from_secs(30));
    pair.assert_connected();
}

/// The last answer, played again before there is another question, moves nobody.
#[test]
fn an_answer_to_dead_peer_detection_counts_once() {
    let dpd = Some(dmvpn_isakmp::DeadPeerDetection::default());
    let hub = guide_config().dead_peer_detection(dpd).build().unwrap();
    let mut pair = Pair::between(guide_config().build().unwrap(), "192.168.1.2", hub, pair::HUB, 3);
    pair.nats.push(pair::Nat::new("192.168.1.2", "198.51.100.7"));
    pair.protect_guide();
    pair.connect();
    pair.run_for(Duration::from_secs(33));
    let answer = pair.hosts[0].sent.iter().rev().find(|(_, t)| t.payload.len() > 1).unwrap();
    let answer = answer.1.payload.clone();
    let before = pair.hosts[1].endpoint.peers().next().unwrap().path;
    let elsewhere = Path { remote: "203.0.113.66:6666".parse().unwrap(), ..before };
    pair.deliver(1, elsewhere, &answer);
    assert_eq!(pair.hosts[1].endpoint.peers().next().unwrap().path, before);
}

/// A question of the old SA is no news after renegotiation, while the old SA lives on.
#[test]
fn an_old_question_stays_old_after_renegotiation() {
    let dpd = Some(dmvpn_isakmp::DeadPeerDetection::default());
    let short = Policy { lifetime: 600, ..pair::GUIDE_POLICY };
    let hub = guide_config().policies(vec![short]).build().unwrap();
    let spoke = guide_config().policies(vec![short]).dead_peer_detection(dpd).build().unwrap();
    let mut pair = Pair::between(spoke, "192.168.1.2", hub, pair::HUB, 3);
    pair.nats.push(pair::Nat::new("192.168.1.2", "198.51.100.7"));
    pair.protect_guide();
    pair.connect();
    pair.run_for(Duration::from_secs(100));
    let question = pair.hosts[0].sent.iter().rev().find(|(_, t)| t.payload.len() > 1).unwrap();
    let question = question.1.payload.clone();
    let before = pair.hosts[1].endpoint.peers().next().unwrap().path;
    let elsewhere = Path { remote: "203.0.113.66:6666".parse().unwrap(), ..before };
    while pair.hosts[1].endpoint.phase1().count() < 2 {
        pair.run_for(Duration::from_secs(1));
    }
    let before = pair.hosts[1].endpoint.peers().next().unwrap().path;
    pair.deliver(1, elsewhere, &question);
    assert_eq!(pair.hosts[1].endpoint.peers().next().unwrap().path, before);
}

/// Questions without end do not push out the memory that knows our own messages again.
#[test]
fn our_own_messages_are_known_after_any_number_of_questions() {
    let dpd = Some(dmvpn_isakmp::DeadPeerDetection::default());
    let config = || guide_config().dead_peer_detection(dpd).build().unwrap();
    let mut pair = Pair::new(config(), config());
    pair.protect_guide();
    pair.connect();
    pair.run_for(Duration::from_secs(5));
    let (now, peer, spi) = (pair.now, pair.hosts[1].peer.unwrap(), pair.hosts[1].inbound()[0].spi);
    let before = pair.hosts[1].sent.len();
    pair.hosts[1].endpoint.handle_soft_expire(now, peer, spi);
    pair.run_for(Duration::from_secs(60));
    let own: Vec<_> = pair.hosts[1].sent[before..].iter().map(|(_, t)| t.payload.clone()).collect();
    pair.run_for(Duration::from_secs(11_000));
    let sent = pair.hosts[1].sent.len();
    let path = pair.path_to(1);
    for message in own {
        pair.deliver(1, path, &message);
    }
    assert_eq!(pair.hosts[1].sent.len(), sent, "nothing is answered");
}

/// Nothing authenticates the lifetime in MM2: a forged zero must not make an SA that ends at once.
#[test]
fn a_forged_lifetime_does_not_end_an_sa_at_once() {
    let mut pair = Pair::guide();
    pair.connect();
    let (to, path, mm1) = pair.take_next().unwrap();
    pair.deliver(to, path, &mm1);
    let (to, path, mm2) = pair.take_next().unwrap();
    let mut mm2 = mm2.to_vec();
    let day = [0, 12, 0, 4, 0, 1, 0x51, 0x80];
    let at = mm2.windows(8).position(|window| window == day).unwrap();
    mm2[at + 4..at + 8].fill(0);
    pair.deliver(to, path, &mm2);
    pair.run_for(Duration::from_secs(20));
    assert_eq!(pair.hosts[0].endpoint.phase1().count(), 1);
    pair.assert_connected();
}

#[test]
fn refusals_are_few_and_small() {
    let hub = guide_config().policies(vec![Policy::STRONG]).build().unwrap();
    let mut pair = Pair::new(guide_config().build().unwrap(), hub);
    pair.protect_guide();
    flood(&mut pair, 0..40, 1);
    assert_eq!(pair.hosts[1].sent.len(), 10, "in a second");
    assert!(pair.hosts[1].sent.iter().all(|(_, t)| t.payload.len() < first_message().len()));
    assert!(pair.hosts[1].discards.iter().all(|d| *d == Discard::NoProposalChosen));
}

#[test]
fn without_a_key_or_a_protection_nobody_is_answered() {
    let mut pair = Pair::guide();
    let mm1 = first_message();
    let path = Path { local: "172.16.10.99:500".parse().unwrap(), ..pair.path_to(1) };
    pair.deliver(1, path, &mm1);
    assert_eq!(pair.hosts[1].discards, [Discard::NoProtection]);
    let path = Path { remote: "[2001:db8::1]:500".parse().unwrap(), ..pair.path_to(1) };
    pair.deliver(1, path, &mm1);
    assert!(matches!(pair.hosts[1].discards[1], Discard::NoPreSharedKey(_)));
    assert!(pair.hosts[1].sent.is_empty());
}

#[test]
fn our_own_message_reflected_is_not_an_answer() {
    let mut pair = Pair::guide();
    pair.connect();
    let mm1 = pair.hosts[0].sent[0].1.payload.clone();
    let path = pair.path_to(0);
    pair.deliver(0, path, &mm1);
    assert_eq!(pair.hosts[0].discards.len(), 1);
    pair.run_for(Duration::from_secs(5));
    pair.assert_connected();
}

#[test]
fn unusable_public_values_are_refused_before_anything_is_done() {
    let mut pair = Pair::guide();
    pair.connect();
    let (to, path, mm1) = pair.take_next().unwrap();
    pair.deliver(to, path, &mm1);
    let (to, path, mm2) = pair.take_next().unwrap();
    pair.deliver(to, path, &mm2);
    let (to, path, mm3) = pair.take_next().unwrap();
    // The KE payload comes first: 28 bytes of header, 4 of its own.
    for (first, last) in [(0_u8, 0_u8), (0, 1), (0xff, 0xff)] {
        let mut forged = mm3.to_vec();
        for byte in &mut forged[32..128] {
            *byte = first;
        }
        forged[127] = last;
        pair.deliver(to, path, &forged);
    }
    assert!(pair.hosts[1].discards.iter().all(|d| matches!(d, Discard::KeyExchange(_))));
    assert_eq!(pair.hosts[1].discards.len(), 3);
    pair.deliver(to, path, &mm3);
    pair.run_for(Duration::from_secs(5));
    pair.assert_connected();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// No bytes at all make an endpoint panic, grow or change.
    #[test]
    fn arbitrary_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let mut pair = Pair::guide();
        let path = pair.path_to(1);
        pair.deliver(1, path, &bytes);
    }

    /// Nor do arbitrary bodies under the header of an established SA.
    #[test]
    fn arbitrary_bodies(
        body in proptest::collection::vec(any::<u8>(), 0..300),
        exchange in prop_oneof![Just(2_u8), Just(4), Just(5), Just(32), Just(33), any::<u8>()],
        flags in any::<u8>(),
        next in any::<u8>(),
        message_id in any::<u32>(),
    ) {
        thread_local! {
            static PAIR: core::cell::RefCell<Pair> = core::cell::RefCell::new(established());
        }
        PAIR.with_borrow_mut(|pair| {
            let before = snapshot(pair);
            let (initiator, responder) = pair.hosts[0].endpoint.phase1().next().unwrap().cookies;
            let mut message = Vec::new();
            message.extend(initiator.0);
            message.extend(responder.0);
            message.extend([next, 0x10, exchange, flags]);
            message.extend(message_id.to_be_bytes());
            message.extend((body.len() as u32 + 28).to_be_bytes());
            message.extend(&body);
            for to in [0, 1] {
                let path = pair.path_to(to);
                pair.deliver(to, path, &message);
            }
            assert_eq!(snapshot(pair), before);
        });
    }
}

#[test]
fn unknown_cookies_are_not_answered() {
    let mut pair = established();
    for exchange in [2, 5, 32] {
        let header = Header {
            message_id: MessageId(9),
            ..Header::new(Cookie([1; 8]), Cookie([2; 8]), ExchangeType(exchange))
        };
        let mut chain = Chain::new();
        chain.push(&Payload::Nonce(vec![1; 20].into()));
        let path = pair.path_to(1);
        let message = chain.message(header, 0).unwrap();
        pair.deliver(1, path, &message);
    }
    assert_eq!(pair.hosts[1].discards.len(), 3);
}

/// RFC 2409 §5: one of the transforms offered, unchanged. Of the lifetime the shorter counts.
#[test]
fn a_responder_may_not_choose_what_was_not_offered() {
    let mut pair = Pair::guide();
    pair.connect();
    let (to, path, mm1) = pair.take_next().unwrap();
    pair.deliver(to, path, &mm1);
    let (to, path, mm2) = pair.take_next().unwrap();
    let changed = |attribute: Attribute<'static>| {
        let message = Message::parse(&mm2).unwrap();
        let mut chain = Chain::new();
        for received in message.payloads().unwrap() {
            let mut payload = received.payload.clone();
            if let Payload::SecurityAssociation(answer) = &mut payload {
                let attributes = &mut answer.proposals[0].transforms[0].attributes;
                attributes.retain(|a| a.attribute_type != attribute.attribute_type);
                attributes.push(attribute.clone());
            }
            chain.push(&payload);
        }
        chain.message(message.header, 0).unwrap()
    };
    for (attribute, value) in [
        (phase1::ENCRYPTION_ALGORITHM, 1),
        (phase1::HASH_ALGORITHM, 1),
        (phase1::GROUP_DESCRIPTION, 2),
        (phase1::KEY_LENGTH, 128),
        (phase1::GROUP_TYPE, 1),
        (phase1::FIELD_SIZE, 8),
    ] {
        pair.deliver(to, path, &changed(Attribute::basic(attribute, value)));
        assert_eq!(pair.hosts[0].discards.pop(), Some(Discard::ChoiceNotOffered), "{attribute:?}");
    }
    pair.deliver(to, path, &changed(Attribute::basic(phase1::LIFE_DURATION, 3600)));
    pair.run_for(Duration::from_secs(5));
    pair.assert_connected();
    let remaining = pair.hosts[0].endpoint.phase1().next().unwrap().remaining.unwrap();
    assert!(remaining <= Duration::from_secs(3600), "{remaining:?}");
}
