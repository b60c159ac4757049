//! What attackers try, and what broke other implementations. `ABUSE.md` lists it. The harness compares
//! the whole state before and after each datagram that is refused.

#![allow(clippy::wildcard_enum_match_arm, reason = "a test looks at what it is about")]

mod insider;
mod pair;

use core::time::Duration;

use dmvpn_isakmp::crypto::{Group, Provider};
use dmvpn_isakmp::wire::{
    Chain, Cookie, Delete, ExchangeType, Header, IdType, Identification, Message, MessageId,
    Notification, NotifyType, Payload, PayloadType, VendorId,
};
use dmvpn_isakmp::{
    AggressiveAnswer, AggressiveMode, Discard, Fragmentation, Limits, Path, Policy, Protection,
    Remote, Trace,
};
use insider::{Insider, answer, clear, mm1, phase1_offer};
use pair::{Pair, guide_config, guide_protection, ip};

const MM: ExchangeType = ExchangeType::MAIN_MODE;

fn from(pair: &Pair, source: &str) -> Path {
    Path { remote: (ip(source), 500).into(), ..pair.path_to(1) }
}

fn hub_refuses(pair: &mut Pair, path: Path, message: &[u8]) -> Discard {
    let before = (pair.hosts[1].sent.len(), pair.hosts[1].discards.len());
    pair.deliver(1, path, message);
    assert_eq!(pair.hosts[1].sent.len(), before.0, "nothing is answered");
    assert_eq!(pair.hosts[1].discards.len(), before.1 + 1, "it was accepted");
    pair.hosts[1].discards.last().unwrap().clone()
}

fn children(pair: &Pair) -> Vec<(u32, u32)> {
    pair.hosts[1].endpoint.phase2().map(|p| (p.inbound_spi, p.outbound_spi)).collect()
}

// -- amplification --

/// MM2 answers MM1 with one datagram that is not larger, whatever vendor ids MM1 has.
#[test]
fn the_answer_to_mm1_is_not_larger() {
    let ids = [
        VendorId::NAT_TRAVERSAL,
        VendorId::NAT_TRAVERSAL_DRAFT_07,
        VendorId::NAT_TRAVERSAL_DRAFT_03,
        VendorId::NAT_TRAVERSAL_DRAFT_02,
        VendorId::XAUTH,
        VendorId::FRAGMENTATION,
        VendorId::new(VendorId::FRAGMENTATION.as_bytes()[..16].to_vec()),
    ];
    let fragmentation = Some(Fragmentation::default());
    for subset in 0..1_u32 << ids.len() {
        let hub = guide_config().fragmentation(fragmentation).build().unwrap();
        let mut pair = Pair::new(guide_config().build().unwrap(), hub);
        pair.protect_guide();
        let mut payloads = vec![Payload::SecurityAssociation(phase1_offer(1))];
        let named = ids.iter().enumerate().filter(|(at, _)| subset & 1 << at != 0);
        payloads.extend(named.map(|(_, id)| Payload::VendorId(id.clone())));
        let first = clear((Cookie([7; 8]), Cookie::ZERO), MM, &payloads);
        let path = from(&pair, "192.0.2.1");
        let second = answer(&mut pair, path, &first);
        assert!(second.len() <= first.len(), "{subset:#b}: {} for {}", second.len(), first.len());
    }
}

/// The smallest MM1 that there is to refuse is not smaller than the refusal.
#[test]
fn a_refusal_is_not_larger() {
    let hub = guide_config().policies(vec![Policy::STRONG]).build().unwrap();
    let mut pair = Pair::new(guide_config().build().unwrap(), hub);
    pair.protect_guide();
    let mut offer = phase1_offer(1);
    offer.proposals[0].transforms[0].attributes.clear();
    for transforms in [1, 0] {
        offer.proposals[0].transforms.truncate(transforms);
        let payload = Payload::SecurityAssociation(offer.clone());
        let cookie = Cookie([9 - u8::try_from(transforms).unwrap(); 8]);
        let first = clear((cookie, Cookie::ZERO), MM, &[payload]);
        let path = from(&pair, "192.0.2.1");
        pair.deliver(1, path, &first);
        let sent = &pair.hosts[1].sent.last().unwrap().1.payload;
        assert!(sent.len() <= first.len(), "{} for {}", sent.len(), first.len());
    }
    assert_eq!(pair.hosts[1].sent.len(), 2);
}

/// Aggressive mode cannot keep the rule: AM2 has a hash that AM1 has not. It is off unless configured,
/// one datagram for one, less than twice as long, and there are only so many in a second.
#[test]
fn the_answer_to_am1_is_less_than_twice_as_long() {
    let anybody = AggressiveMode { answer: AggressiveAnswer::Anybody, ..AggressiveMode::default() };
    let hub = guide_config().aggressive_mode(anybody).build().unwrap();
    let mut pair = Pair::new(guide_config().build().unwrap(), hub);
    pair.protect_guide();
    for vendor_ids in [vec![], vec![VendorId::NAT_TRAVERSAL]] {
        let number = u8::try_from(vendor_ids.len()).unwrap();
        let mut payloads = vec![
            Payload::SecurityAssociation(phase1_offer(1)),
            Payload::KeyExchange(vec![2; 96].into()),
            Payload::Nonce(vec![7; 8].into()),
            Payload::Identification(Identification::address(ip("192.0.2.1"), 0, 0)),
        ];
        payloads.extend(vendor_ids.into_iter().map(Payload::VendorId));
        let cookies = (Cookie([number + 1; 8]), Cookie::ZERO);
        let am1 = clear(cookies, ExchangeType::AGGRESSIVE, &payloads);
        let path = from(&pair, "192.0.2.1");
        let am2 = answer(&mut pair, path, &am1);
        assert!(am2.len() > am1.len(), "else the rule could be kept");
        assert!(am2.len() < 2 * am1.len(), "{} for {}", am2.len(), am1.len());
    }
}

#[test]
fn the_responder_repeats_nothing_before_mm3() {
    let mut pair = Pair::guide();
    let path = from(&pair, "192.0.2.1");
    answer(&mut pair, path, &mm1([1; 8]));
    let sent = pair.hosts[1].sent.len();
    pair.run_for(Duration::from_secs(300));
    assert_eq!(pair.hosts[1].sent.len(), sent);
    assert_eq!(pair.hosts[1].endpoint.counters().retransmitted, 0);
    assert_eq!(pair.hosts[1].endpoint.poll_timeout(), None);
}

// -- cookies, addresses, races --

/// From ourselves to ourselves, as in the attack called LAND.
#[test]
fn a_packet_from_our_own_address_comes_to_nothing() {
    let mut pair = Pair::guide();
    let own = pair.path_to(1).local;
    let path = Path { remote: own, ..pair.path_to(1) };
    pair.deliver(1, path, &mm1([1; 8]));
    // Each answer, given to whom it is addressed.
    for _ in 0..3 {
        if let Some((_, transmit)) = pair.hosts[1].sent.last().cloned() {
            pair.deliver(1, path, &transmit.payload);
        }
    }
    assert!(pair.hosts[1].sent.len() <= 1, "it does not talk to itself");
    pair.run_for(Duration::from_secs(61));
    assert_eq!(pair.hosts[1].endpoint.phase1().count(), 0);
    pair.connect();
    pair.run_for(Duration::from_secs(5));
    pair.assert_connected();
}

/// The same cookie from elsewhere is somebody else; the same from there with another offer is not.
#[test]
fn cookies_used_again() {
    let mut pair = Pair::guide();
    let (here, there) = (from(&pair, "192.0.2.1"), from(&pair, "192.0.2.2"));
    answer(&mut pair, here, &mm1([1; 8]));
    answer(&mut pair, there, &mm1([1; 8]));
    assert_eq!(pair.hosts[1].endpoint.phase1().count(), 2);
    let other = Payload::SecurityAssociation(phase1_offer(2));
    let other = clear((Cookie([1; 8]), Cookie::ZERO), MM, &[other]);
    assert!(matches!(hub_refuses(&mut pair, here, &other), Discard::UnknownCookies { .. }));
    // With the other's responder cookie, and with none that exists.
    let cookies: Vec<_> = pair.hosts[1].endpoint.phase1().map(|sa| sa.cookies).collect();
    let payloads = [Payload::KeyExchange(vec![2; 96].into()), Payload::Nonce(vec![7; 20].into())];
    let stolen = clear(cookies[1], MM, &payloads);
    assert!(matches!(hub_refuses(&mut pair, here, &stolen), Discard::WrongPath { .. }));
    let invented = clear((Cookie([1; 8]), Cookie([9; 8])), MM, &payloads);
    assert!(matches!(hub_refuses(&mut pair, here, &invented), Discard::UnknownCookies { .. }));
}

/// RFC 2408 §2.5.3: who does not know the responder's cookie has not read MM2, and need not be where it
/// says. Such a peer gets no further than MM1: it is not answered, and it locks nobody out.
#[test]
fn no_responder_cookie_in_mm3() {
    let limits = Limits { half_open: 4, ..Limits::default() };
    let config = || guide_config().limits(limits).build().unwrap();
    let mut pair = Pair::new(config(), config());
    pair.protect_guide();
    let payloads = [Payload::KeyExchange(vec![2; 96].into()), Payload::Nonce(vec![7; 8].into())];
    for number in 1..=4 {
        let path = from(&pair, &format!("192.0.2.{number}"));
        answer(&mut pair, path, &mm1([number; 8]));
        for responder in [Cookie::ZERO, Cookie([9; 8])] {
            let (initiator, mm3) =
                (Cookie([number; 8]), clear((Cookie([number; 8]), responder), MM, &payloads));
            let refused = Discard::UnknownCookies { initiator, responder };
            assert_eq!(hub_refuses(&mut pair, path, &mm3), refused);
        }
    }
    assert_eq!(pair.hosts[1].endpoint.phase1().count(), 4);
    pair.connect();
    pair.run_for(Duration::from_secs(5));
    pair.assert_connected();
    assert_eq!(pair.hosts[1].endpoint.counters().half_open_refused, 0);
}

/// CVE-2023-30570: after a refused aggressive mode the same cookies come again.
#[test]
fn cookies_of_a_refused_aggressive_mode_used_again() {
    let mut pair = Pair::guide();
    let path = from(&pair, "192.0.2.1");
    let payloads = [
        Payload::SecurityAssociation(phase1_offer(1)),
        Payload::KeyExchange(vec![2; 96].into()),
        Payload::Nonce(vec![7; 20].into()),
        Payload::Identification(Identification::address(ip("192.0.2.1"), 17, 500)),
    ];
    for responder in [Cookie::ZERO, Cookie([3; 8]), Cookie::ZERO] {
        let message = clear((Cookie([1; 8]), responder), ExchangeType::AGGRESSIVE, &payloads);
        hub_refuses(&mut pair, path, &message);
    }
    assert_eq!(pair.hosts[1].endpoint.phase1().count(), 0);
}

// -- values --

/// 0, 1, p − 1, p and more, and other lengths than group 1 has.
fn bad_public_values() -> Vec<Vec<u8>> {
    let mut prime = hex_literal::hex!(
        "ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74"
        "020bbea63b139b22514a08798e3404ddef9519b3cd3a431b302b0a6df25f1437"
        "4fe1356d6d51c245e485b576625e7ec6f44c42e9a63a3620ffffffffffffffff"
    )
    .to_vec();
    let group = Provider::rustcrypto().group(Group::MODP_768).unwrap();
    assert!(group.check_public_value(&prime).is_err());
    let mut values = vec![vec![0; 96], vec![0; 95], vec![2; 97], vec![], vec![0xff; 96]];
    values.push([vec![0; 95], vec![1]].concat());
    values.push(prime.clone());
    prime[95] -= 1;
    values.push(prime);
    values
}

/// 0, 1, p − 1, p and more, and other lengths, in MM3; then a good one still counts.
#[test]
fn public_values_that_give_the_secret_away() {
    let values = bad_public_values();
    let mut pair = Pair::guide();
    let path = from(&pair, "192.0.2.1");
    let mm2 = answer(&mut pair, path, &mm1([1; 8]));
    let cookies = (Cookie([1; 8]), Message::parse(&mm2).unwrap().header.responder_cookie);
    let mm3 = |public: &[u8], nonce: usize| {
        let nonce = Payload::Nonce(vec![7; nonce].into());
        clear(cookies, MM, &[Payload::KeyExchange(public.to_vec().into()), nonce])
    };
    for public in &values {
        let discard = hub_refuses(&mut pair, path, &mm3(public, 20));
        assert!(matches!(discard, Discard::KeyExchange(_)), "{discard}");
    }
    // RFC 2409 §5: 8 to 256 octets of nonce.
    for length in [0, 7, 257, 1000] {
        let discard = hub_refuses(&mut pair, path, &mm3(&[2; 96], length));
        assert_eq!(discard, Discard::NonceLength(length));
    }
    let good = mm3(&[2; 96], 8);
    answer(&mut pair, path, &good);
    let mm2 = answer(&mut pair, path, &mm1([2; 8]));
    let cookies = (Cookie([2; 8]), Message::parse(&mm2).unwrap().header.responder_cookie);
    let payloads = [Payload::KeyExchange(vec![2; 96].into()), Payload::Nonce(vec![7; 256].into())];
    answer(&mut pair, path, &clear(cookies, MM, &payloads));
}

/// The same inside quick mode, where the peer is told.
#[test]
fn values_of_quick_mode() {
    let mut pair = Pair::guide();
    let path = pair.path_to(1);
    let mut insider = Insider::enter(&mut pair, path, 1, &[]);
    let told = |pair: &mut Pair, insider: &Insider, quick_mode: &insider::QuickMode| {
        let before = pair.hosts[1].sent.len();
        let qm1 = insider.qm1(quick_mode);
        pair.deliver(1, path, &qm1);
        let sent = &pair.hosts[1].sent[before..];
        assert_eq!((sent.len(), sent[0].1.payload[18]), (1, 5));
        insider.told(&sent[0].1.payload)
    };
    for length in [0, 7, 257] {
        let mut quick_mode = insider.quick_mode();
        quick_mode.nonce = vec![7; length];
        assert_eq!(told(&mut pair, &insider, &quick_mode), NotifyType::PAYLOAD_MALFORMED);
    }
    // All-zero and reserved SPIs, and those of other lengths.
    let spis = [vec![0; 4], vec![0, 0, 0, 255], vec![], vec![7; 3], vec![7; 8], vec![7; 255]];
    for spi in spis {
        let mut quick_mode = insider.quick_mode();
        quick_mode.spi = spi;
        let answer = told(&mut pair, &insider, &quick_mode);
        assert_eq!(answer, NotifyType::NO_PROPOSAL_CHOSEN, "{:?}", quick_mode.spi);
    }
    // CVE-2023-38711: a name where an address is expected; and IDs of no length.
    for (id_type, data) in [(IdType::FQDN, b"x".to_vec()), (IdType::IPV4_ADDR, vec![1, 2, 3])] {
        let mut quick_mode = insider.quick_mode();
        let id = Identification { id_type, protocol: 47, port: 0, data: data.into() };
        quick_mode.ids = Some([id.clone(), id]);
        let answer = told(&mut pair, &insider, &quick_mode);
        assert_eq!(answer, NotifyType::INVALID_ID_INFORMATION);
    }
    assert_eq!(children(&pair), []);
    let quick_mode = insider.quick_mode();
    insider.complete(&mut pair, &quick_mode);
    assert_eq!(children(&pair).len(), 1);
}

/// The same where perfect forward secrecy has a public value in quick mode.
#[test]
fn public_values_of_quick_mode() {
    let config = || guide_config().build().unwrap();
    let mut pair = Pair::new(config(), config());
    let (now, spoke) = (pair.now, pair.hosts[0].address);
    let terms = guide_protection(pair::HUB, Remote::Host(spoke));
    let terms = Protection { pfs: Some(Group::MODP_768), ..terms };
    pair.hosts[1].endpoint.protect(now, pair::TUNNEL, terms);
    let path = pair.path_to(1);
    let mut insider = Insider::enter(&mut pair, path, 1, &[]);
    for public in bad_public_values() {
        let before = pair.hosts[1].sent.len();
        let quick_mode = insider::QuickMode { public: Some(public), ..insider.quick_mode() };
        let qm1 = insider.qm1(&quick_mode);
        pair.deliver(1, path, &qm1);
        let sent = &pair.hosts[1].sent[before..];
        assert_eq!((sent.len(), sent[0].1.payload[18]), (1, 5));
        assert_eq!(insider.told(&sent[0].1.payload), NotifyType::INVALID_KEY_INFORMATION);
    }
    assert_eq!(children(&pair), []);
    let quick_mode = insider::QuickMode { public: Some(vec![2; 96]), ..insider.quick_mode() };
    let qm1 = insider.qm1(&quick_mode);
    answer(&mut pair, path, &qm1);
}

/// The same as an initiator: MM4 with a bad public value or nonce is not gone on with, and the good one
/// still counts.
#[test]
fn values_of_mm4() {
    let mut pair = Pair::guide();
    pair.connect();
    let mut mm4 = None;
    for _ in 0..4 {
        let (to, path, message) = pair.take_next().unwrap();
        mm4 = Some((to, path, message.clone()));
        if to == 0 && message[16] == PayloadType::KEY_EXCHANGE.0 {
            break;
        }
        pair.deliver(to, path, &message);
    }
    let (to, path, mm4) = mm4.unwrap();
    assert_eq!(to, 0);
    let header = Message::parse(&mm4).unwrap().header;
    let cookies = (header.initiator_cookie, header.responder_cookie);
    let forged = |public: &[u8], nonce: usize| {
        let nonce = Payload::Nonce(vec![7; nonce].into());
        clear(cookies, MM, &[Payload::KeyExchange(public.to_vec().into()), nonce])
    };
    let sent = pair.hosts[0].sent.len();
    for public in bad_public_values() {
        pair.deliver(0, path, &forged(&public, 20));
        let discard = pair.hosts[0].discards.pop().unwrap();
        assert!(matches!(discard, Discard::KeyExchange(_)), "{discard}");
    }
    for length in [0, 7, 257] {
        pair.deliver(0, path, &forged(&[2; 96], length));
        assert_eq!(pair.hosts[0].discards.pop(), Some(Discard::NonceLength(length)));
    }
    assert_eq!(pair.hosts[0].sent.len(), sent, "nothing is answered");
    pair.deliver(0, path, &mm4);
    pair.run_for(Duration::from_secs(5));
    pair.assert_connected();
}

/// Two peers, and one peer twice, may choose the same SPI: each has its own.
#[test]
fn the_same_spi_twice() {
    let mut pair = Pair::guide();
    let (here, there) = (pair.path_to(1), from(&pair, "192.0.2.2"));
    let mut insider = Insider::enter(&mut pair, here, 1, &[]);
    let mut other = Insider::enter(&mut pair, there, 2, &[]);
    let spi = vec![0, 0, 0x10, 0];
    for _ in 0..2 {
        let quick_mode = insider::QuickMode { spi: spi.clone(), ..insider.quick_mode() };
        insider.complete(&mut pair, &quick_mode);
    }
    let quick_mode = insider::QuickMode { spi: spi.clone(), ..other.quick_mode() };
    let inbound = other.complete(&mut pair, &quick_mode);
    let held = children(&pair);
    assert!(held.iter().all(|(_, outbound)| *outbound == 0x1000));
    assert!(held.contains(&(inbound, 0x1000)), "{held:?}");
    // What one deletes is its own.
    let delete = insider.informational(&[Payload::Delete(Delete::esp(&[0x1000]))]);
    pair.deliver(1, here, &delete);
    assert!(children(&pair).contains(&(inbound, 0x1000)));
}

// -- authenticated peers --

/// Deletes of SAs that are somebody else's, by either SPI and by the cookies, do nothing.
#[test]
fn deletes_for_anothers_sa() {
    let mut pair = Pair::guide();
    let (here, there) = (pair.path_to(1), from(&pair, "192.0.2.2"));
    let mut victim = Insider::enter(&mut pair, here, 1, &[]);
    let quick_mode = victim.quick_mode();
    victim.complete(&mut pair, &quick_mode);
    let mut attacker = Insider::enter(&mut pair, there, 2, &[]);
    let (inbound, outbound) = children(&pair)[0];
    let (initiator, responder) = victim.cookies;
    for payload in [
        Payload::Delete(Delete::esp(&[inbound])),
        Payload::Delete(Delete::esp(&[outbound])),
        Payload::Delete(Delete::isakmp(initiator, responder)),
        Payload::Notification(Notification::esp(NotifyType::INVALID_SPI, outbound, &[][..])),
        Payload::Notification(Notification::esp(NotifyType::INVALID_SPI, inbound, &[][..])),
        Payload::Notification(Notification::isakmp(
            NotifyType::INITIAL_CONTACT,
            victim.cookies,
            &[][..],
        )),
    ] {
        let message = attacker.informational(&[payload]);
        pair.deliver(1, there, &message);
        assert_eq!(children(&pair), [(inbound, outbound)]);
        let held = pair.hosts[1].endpoint.phase1().any(|sa| sa.cookies == victim.cookies);
        assert!(held);
    }
}

/// A message ID is good for one exchange, whatever is said under it, and of whichever kind.
#[test]
fn message_ids_used_again() {
    let mut pair = Pair::guide();
    let path = pair.path_to(1);
    let mut insider = Insider::enter(&mut pair, path, 1, &[]);
    let first = insider.quick_mode();
    insider.complete(&mut pair, &first);
    let held = children(&pair);
    let again = insider::QuickMode { message_id: first.message_id, ..insider.quick_mode() };
    let notification = [insider.notification(NotifyType(40_000))];
    for wait in [0, 61] {
        pair.run_for(Duration::from_secs(wait));
        let qm1 = insider.qm1(&again);
        hub_refuses(&mut pair, path, &qm1);
        let exchange = ExchangeType::INFORMATIONAL;
        let informational = insider.protected(exchange, first.message_id, &notification);
        let discard = hub_refuses(&mut pair, path, &informational);
        assert_eq!(discard, Discard::MessageIdReused(MessageId(first.message_id)));
    }
    let message_id = insider.fresh();
    let once = insider.protected(ExchangeType::INFORMATIONAL, message_id, &notification);
    pair.deliver(1, path, &once);
    let quick_mode = insider::QuickMode { message_id, ..insider.quick_mode() };
    let qm1 = insider.qm1(&quick_mode);
    let discard = hub_refuses(&mut pair, path, &qm1);
    assert_eq!(discard, Discard::MessageIdReused(MessageId(message_id)));
    let zero = insider.protected(ExchangeType::INFORMATIONAL, 0, &notification);
    let discard = hub_refuses(&mut pair, path, &zero);
    assert_eq!(discard, Discard::UnexpectedMessageId(MessageId(0)));
    assert_eq!(children(&pair), held);
}

/// CVE-2023-38712: a delete of the ISAKMP SA, and more behind it in the same message.
#[test]
fn notifications_behind_a_delete_of_their_own_sa() {
    let mut pair = Pair::guide();
    let path = pair.path_to(1);
    let mut insider = Insider::enter(&mut pair, path, 1, &[]);
    let quick_mode = insider.quick_mode();
    insider.complete(&mut pair, &quick_mode);
    let (initiator, responder) = insider.cookies;
    let (inbound, outbound) = children(&pair)[0];
    let question =
        Notification::isakmp(NotifyType::R_U_THERE, insider.cookies, 7_u32.to_be_bytes().to_vec());
    let message = insider.informational(&[
        Payload::Delete(Delete::isakmp(initiator, responder)),
        Payload::Notification(question),
        insider.notification(NotifyType::INITIAL_CONTACT),
        Payload::Delete(Delete::esp(&[outbound, inbound, 0, 7])),
        Payload::Delete(Delete::isakmp(initiator, responder)),
    ]);
    pair.deliver(1, path, &message);
    assert_eq!((pair.hosts[1].endpoint.phase1().count(), children(&pair)), (0, vec![]));
    assert_eq!(pair.hosts[1].endpoint.peers().count(), 0);
    assert!(matches!(hub_refuses(&mut pair, path, &message), Discard::UnknownCookies { .. }));
}

/// CVE-2009-0790: questions and answers of dead peer detection for an SA that is not there, or of a
/// number that nobody asked with.
#[test]
fn signs_of_life_that_nobody_asked_for() {
    let mut pair = Pair::guide();
    let path = pair.path_to(1);
    let mut insider = Insider::enter(&mut pair, path, 1, &[]);
    let about = |notify_type, cookies, data: &[u8]| {
        Payload::Notification(Notification::isakmp(notify_type, cookies, data.to_vec()))
    };
    let wrong = (Cookie([1; 8]), Cookie([2; 8]));
    let own = insider.cookies;
    let sent = pair.hosts[1].sent.len();
    for payload in [
        about(NotifyType::R_U_THERE, wrong, &[0, 0, 0, 1]),
        about(NotifyType::R_U_THERE_ACK, wrong, &[0, 0, 0, 1]),
        about(NotifyType::R_U_THERE_ACK, own, &[0, 0, 0, 1]),
        about(NotifyType::R_U_THERE, own, &[0, 0, 1]),
        about(NotifyType::R_U_THERE, own, &[]),
        about(NotifyType::R_U_THERE, own, &[0; 5]),
    ] {
        let message = insider.informational(&[payload]);
        pair.deliver(1, path, &message);
    }
    assert_eq!(pair.hosts[1].sent.len(), sent, "nothing is answered");
    // In an SA that is gone.
    let (initiator, responder) = own;
    let question = insider.informational(&[about(NotifyType::R_U_THERE, own, &[0, 0, 0, 9])]);
    let delete = insider.informational(&[Payload::Delete(Delete::isakmp(initiator, responder))]);
    pair.deliver(1, path, &delete);
    assert!(matches!(hub_refuses(&mut pair, path, &question), Discard::UnknownCookies { .. }));
}

/// Quick mode and protected messages before there are keys; informational messages without hash.
#[test]
fn phase_2_before_phase_1_and_without_its_hash() {
    let mut pair = Pair::guide();
    let path = from(&pair, "192.0.2.1");
    let mm2 = answer(&mut pair, path, &mm1([1; 8]));
    let cookies = (Cookie([1; 8]), Message::parse(&mm2).unwrap().header.responder_cookie);
    for exchange in [ExchangeType::QUICK_MODE, ExchangeType::INFORMATIONAL] {
        let header = Header {
            message_id: MessageId(7),
            flags: dmvpn_isakmp::wire::Flags::ENCRYPTION,
            ..Header::new(cookies.0, cookies.1, exchange)
        };
        let mut chain = Chain::new();
        chain.push(&Payload::Hash(vec![7; 20].into()));
        let message = chain.message(header, chain.padding(8)).unwrap();
        hub_refuses(&mut pair, path, &message);
    }
    let path = pair.path_to(1);
    let mut insider = Insider::enter(&mut pair, path, 1, &[]);
    // CVE-2019-10155: the hash of an informational message was not looked at.
    let mut message = insider.informational(&[insider.notification(NotifyType(40_000))]);
    message[30] ^= 1;
    hub_refuses(&mut pair, path, &message);
}

/// Vendor ids that are the beginning of a known one, or nothing.
#[test]
fn vendor_ids_of_every_length() {
    for known in [VendorId::XAUTH, VendorId::FRAGMENTATION, VendorId::NAT_TRAVERSAL] {
        for length in 0..=known.as_bytes().len() {
            let mut pair = Pair::guide();
            let path = from(&pair, "192.0.2.1");
            let prefix = VendorId::new(known.as_bytes()[..length].to_vec());
            let payloads =
                [Payload::SecurityAssociation(phase1_offer(1)), Payload::VendorId(prefix)];
            let first = clear((Cookie([7; 8]), Cookie::ZERO), MM, &payloads);
            answer(&mut pair, path, &first);
        }
    }
}

/// Identities of 0 to 3 octets, and notifications whose SPI is longer than they, in MM5.
#[test]
fn identities_and_notifications_that_are_too_short() {
    let types = [PayloadType::IDENTIFICATION, PayloadType::NOTIFICATION, PayloadType::DELETE];
    for payload_type in types {
        for length in 0..4 {
            let mut pair = Pair::guide();
            let path = pair.path_to(1);
            let mut insider = Insider::enter(&mut pair, path, 1, &[]);
            let body = vec![0xff; length].into();
            let short = Payload::Opaque(payload_type, body);
            let message = insider.informational(&[short]);
            let discard = hub_refuses(&mut pair, path, &message);
            assert!(matches!(discard, Discard::Undecipherable(_)), "{discard}");
        }
    }
}

/// While ports float: MM5 from the old port, from the new, and from elsewhere; whichever arrives first
/// counts, and copies over other ways do not. Who copies it faster than it travels delays the spoke.
#[test]
fn races_around_the_port_float() {
    for from_the_old_port_first in [false, true] {
        let config = || guide_config().build().unwrap();
        let mut pair = Pair::between(config(), "192.168.1.2", config(), pair::HUB, 3);
        pair.nats.push(pair::Nat::new("192.168.1.2", "198.51.100.7"));
        pair.protect_guide();
        pair.connect();
        let (mut old, mut mm5) = (None, None);
        while let Some((to, path, payload)) = pair.take_next() {
            let encrypted = payload.len() > 19 && payload[19] & 1 != 0;
            if to == 1 && encrypted {
                mm5 = Some((path, payload));
                break;
            }
            if to == 1 {
                old = Some(path);
            }
            pair.deliver(to, path, &payload);
        }
        let (old, (path, mm5)) = (old.unwrap(), mm5.unwrap());
        assert_eq!((old.local.port(), path.local.port()), (500, 4500), "it has floated");
        // The same message over other ways: whoever copies it first can move nothing but itself.
        let elsewhere = Path { remote: "203.0.113.66:4500".parse().unwrap(), ..path };
        pair.deliver(1, elsewhere, &mm5);
        if from_the_old_port_first {
            pair.deliver(1, old, &mm5);
        }
        pair.deliver(1, path, &mm5);
        pair.deliver(1, path, &mm5);
        pair.deliver(1, old, &mm5);
        pair.run_for(Duration::from_secs(60));
        if from_the_old_port_first {
            // The spoke has left that port, and never heard the answer: it is delayed by that.
            assert_eq!(pair.hosts[0].endpoint.phase2().count(), 0);
            pair.connect();
            pair.run_for(Duration::from_secs(60));
        }
        pair.assert_connected();
        let peer = pair.hosts[1].endpoint.peers().next().unwrap();
        assert_eq!(peer.path.remote.ip(), ip("198.51.100.7"));
        assert_eq!(pair.hosts[1].endpoint.peers().count(), 1);
        let moved = |trace: &Trace| matches!(trace, Trace::PeerMoved { .. });
        assert!(!pair.hosts[1].traces.iter().any(|traced| moved(&traced.trace)));
    }
}

/// INITIAL-CONTACT takes what its own identity had before the SA that it came with, from whatever port,
/// and nothing else: neither what came up since, nor another identity's.
#[test]
fn initial_contact_from_behind_a_shared_nat() {
    let mut pair = Pair::guide();
    let shared =
        |port: u16| Path { remote: (ip("198.51.100.7"), port).into(), ..Pair::guide().path_to(1) };
    let second = Duration::from_secs(1);
    let enter = |pair: &mut Pair, path: Path, seed: u64| {
        let mut insider = Insider::enter(pair, path, seed, &[]);
        pair.run_for(second);
        let quick_mode = insider.quick_mode();
        let inbound = insider.complete(pair, &quick_mode);
        pair.run_for(second);
        (insider, inbound)
    };
    let initial_contact = |pair: &mut Pair, insider: &mut Insider| {
        let contact = insider.notification(NotifyType::INITIAL_CONTACT);
        let message = insider.informational(&[contact]);
        pair.deliver(1, insider.path, &message);
    };
    let held = |pair: &Pair| {
        let hub = &pair.hosts[1].endpoint;
        let phase1: Vec<_> = hub.phase1().map(|sa| sa.cookies).collect();
        let mut inbound: Vec<_> = hub.phase2().map(|child| child.inbound_spi).collect();
        inbound.sort_unstable();
        (phase1, inbound)
    };
    let sorted = |mut spis: Vec<u32>| {
        spis.sort_unstable();
        spis
    };
    let (mut first, of_first) = enter(&mut pair, shared(500), 1);
    let elsewhere = from(&pair, "192.0.2.9");
    let (mut other, of_other) = enter(&mut pair, elsewhere, 3);
    let both = (vec![first.cookies, other.cookies], sorted(vec![of_first, of_other]));
    assert_eq!(held(&pair), both);
    // Each says it of itself, and has nothing older.
    initial_contact(&mut pair, &mut other);
    assert_eq!(held(&pair), both);
    initial_contact(&mut pair, &mut first);
    assert_eq!(held(&pair), both);
    // From another port of the NAT, with the identity of the first.
    let (mut same, of_same) = enter(&mut pair, shared(501), 2);
    assert_eq!(held(&pair).1, sorted(vec![of_first, of_other, of_same]));
    initial_contact(&mut pair, &mut same);
    let left = (vec![other.cookies, same.cookies], sorted(vec![of_other, of_same]));
    assert_eq!(held(&pair), left);
    assert_eq!(pair.hosts[1].endpoint.peers().count(), 2);
}
