//! Aggressive mode in a hostile world: forged first messages, what they cost, and unusual third ones.

#![allow(clippy::wildcard_enum_match_arm, reason = "a test looks at what it is about")]

mod pair;

use core::time::Duration;

use core::ops::Range;
use dmvpn_isakmp::crypto::{EncryptionAlgorithm, Group, HashAlgorithm, Iv, Provider};
use dmvpn_isakmp::wire::{Chain, Content, Flags, Header, Message, Payload, PayloadType, Payloads};
use dmvpn_isakmp::{
    AggressiveAnswer, AggressiveMode, AggressivePeer, ConfigBuilder, Discard, Event, Limits, Path,
    StateKind, Trace,
};
use pair::{HUB, Pair, guide_config, ip};

fn spoke() -> ConfigBuilder {
    let peer = AggressivePeer::new(ip(HUB), Group::MODP_768);
    let initiate = vec![peer];
    guide_config().aggressive_mode(AggressiveMode { initiate, ..AggressiveMode::default() })
}

fn hub() -> ConfigBuilder {
    let answer = AggressiveAnswer::Anybody;
    guide_config().aggressive_mode(AggressiveMode { answer, ..AggressiveMode::default() })
}

fn pair_of(spoke: ConfigBuilder, hub: ConfigBuilder) -> Pair {
    let mut pair = Pair::new(spoke.build().unwrap(), hub.build().unwrap());
    pair.protect_guide();
    pair
}

/// A pair whose spoke has sent a first message, which is this.
fn first_message(limits: Limits) -> (Pair, Path, Vec<u8>) {
    let mut pair = pair_of(spoke(), hub().limits(limits));
    pair.connect();
    let (_, path, am1) = pair.take_next().unwrap();
    (pair, path, am1.to_vec())
}

/// As it could come from another initiator. Its identity is another's, and the key for everybody.
fn forged(am1: &[u8], path: Path, source: &str, number: u8) -> (Path, Vec<u8>) {
    let mut forged = am1.to_vec();
    (forged[0], forged[1]) = (forged[0] ^ 0xff, number);
    let source = ip(source);
    let old = path.remote.ip().to_string().parse::<core::net::Ipv4Addr>().unwrap().octets();
    let new = source.to_string().parse::<core::net::Ipv4Addr>().unwrap().octets();
    if let Some(at) = forged.windows(4).rposition(|octets| octets == old) {
        forged[at..at + 4].copy_from_slice(&new);
    }
    (Path { remote: (source, 500).into(), ..path }, forged)
}

/// AM2 is longer than AM1 may be, and goes to an address that nothing proves: whoever repeats a forged
/// first message does not make us repeat the answer without end.
#[test]
fn the_answer_is_repeated_a_few_times_only() {
    let (mut pair, path, am1) = first_message(Limits::default());
    for _ in 0..30 {
        pair.deliver(1, path, &am1);
    }
    let answers = pair.hosts[1].sent.len();
    assert_eq!(pair.hosts[1].discards, vec![Discard::RepeatLimit { limit: 10 }; 30 - answers]);
    assert_eq!(answers, 11);
    pair.run_for(Duration::from_secs(5));
    pair.assert_connected();
}

/// One address alone does not take the whole of what is answered in a second.
#[test]
fn a_source_has_its_share_of_the_answers() {
    let limits = Limits {
        aggressive_modes_per_second: 6,
        aggressive_modes_per_second_of_source: 2,
        ..Limits::default()
    };
    let (mut pair, path, am1) = first_message(limits);
    for second in 1..=2 {
        let before = pair.hosts[1].sent.len();
        for number in 0..5 {
            for source in ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"] {
                let (path, message) = forged(&am1, path, source, number + 10 * second);
                pair.deliver(1, path, &message);
            }
        }
        assert_eq!(pair.hosts[1].sent.len() - before, 6);
        pair.now += Duration::from_secs(1);
    }
    let share = |source: &str| {
        let sent = pair.hosts[1].sent.iter();
        sent.filter(|(_, transmit)| transmit.path.remote.ip() == ip(source)).count()
    };
    assert_eq!(["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"].map(share), [4, 4, 2, 2]);
    assert_eq!(pair.hosts[1].endpoint.counters().aggressive_modes_limited, 28);
}

/// Half-open ones of a source give way to newer ones of the same; others keep theirs.
#[test]
fn half_open_of_one_source() {
    let limits = Limits { half_open_per_source: 2, ..Limits::default() };
    let (mut pair, path, am1) = first_message(limits);
    pair.deliver(1, path, &am1);
    for number in 0..5 {
        let (path, message) = forged(&am1, path, "192.0.2.9", number);
        pair.deliver(1, path, &message);
    }
    assert!(pair.hosts[1].discards.is_empty(), "{:?}", pair.hosts[1].discards);
    assert_eq!(pair.hosts[1].endpoint.phase1().count(), 3);
    pair.run_for(Duration::from_secs(5));
    pair.assert_connected();
}

/// The value of the KE payload of AM1 or AM2.
fn public_value(message: &[u8]) -> Vec<u8> {
    let message = Message::parse(message).unwrap();
    message.payloads().unwrap().find(PayloadType::KEY_EXCHANGE).unwrap().body().to_vec()
}

/// AM3 in clear, as RFC 2409 §5.4 draws it. Nothing proves what is beside the hash, and the chain of
/// IVs starts where it would have for AM3.
#[test]
fn the_third_message_in_clear() {
    let (mut pair, path, am1) = first_message(Limits::default());
    pair.deliver(1, path, &am1);
    let (_, back, am2) = pair.take_next().unwrap();
    pair.deliver(0, back, &am2);
    let (_, path, am3) = pair.take_next().unwrap();
    pair.cut();
    let provider = Provider::rustcrypto();
    let hash = provider.hash(HashAlgorithm::SHA1).unwrap();
    let cipher = provider.cipher(EncryptionAlgorithm::TRIPLE_DES_CBC, Some(24)).unwrap();
    let first_iv = Iv::phase_1(hash, cipher, &public_value(&am1), &public_value(&am2));
    let key = pair.hosts[0].endpoint.dangerous_phase1_keys().next().unwrap().key;
    let mut plain = am3[Header::LEN..].to_vec();
    key.decrypt(&first_iv, &mut plain).unwrap();
    let header = Message::parse(&am3).unwrap().header;
    let payloads = Payloads::parse(header.next_payload, &plain, Header::LEN).unwrap();
    let received: Vec<&Payload<'_>> = payloads.iter().map(|received| &received.payload).collect();
    let types: Vec<u8> = received.iter().map(|payload| payload.payload_type().0).collect();
    assert_eq!(types, [8, 20, 20, 11], "HASH_I, NAT-D, NAT-D, INITIAL-CONTACT");
    let clear = |payloads: &[&Payload<'_>]| {
        let mut chain = Chain::new();
        for payload in payloads {
            chain.push(payload);
        }
        chain.message(Header { flags: Flags::NONE, ..header }, 0).unwrap()
    };
    let forged = Payload::Hash([0; 20][..].into());
    pair.deliver(1, path, &clear(&[&forged]));
    pair.deliver(1, path, &clear(&received[1..]));
    let missing = Discard::MissingPayload(PayloadType::HASH);
    assert_eq!(pair.hosts[1].discards, [Discard::HashMismatch, missing]);
    let am3 = clear(&received);
    pair.deliver(1, path, &am3);
    pair.deliver(1, path, &am3);
    assert_eq!(pair.hosts[1].discards[2..], [Discard::Duplicate]);
    let view = pair.hosts[1].endpoint.phase1().next().unwrap();
    assert_eq!(view.state, StateKind::IkePhase1Complete);
    let believed =
        |trace: &Trace| matches!(trace, Trace::ProcessingNotify { .. } | Trace::InitialContact);
    assert!(!pair.hosts[1].traces.iter().any(|traced| believed(&traced.trace)));
    // The delete.
    let (now, peer) = (pair.now, pair.hosts[1].peer.unwrap());
    pair.hosts[1].endpoint.close(now, peer);
    pair.drain();
    let delete = &pair.hosts[1].sent.last().unwrap().1.payload;
    let message = Message::parse(delete).unwrap();
    let Content::Encrypted(body) = message.content else { panic!("{message:?}") };
    let mut plain = body.to_vec();
    let iv = Iv::phase_2(hash, &first_iv, message.header.message_id.0);
    key.decrypt(&iv, &mut plain).unwrap();
    let payloads = Payloads::parse(message.header.next_payload, &plain, Header::LEN).unwrap();
    assert!(payloads.find(PayloadType::DELETE).is_some());
}

/// QM1 overtakes AM3, and the answers overtake each other: what comes too early comes again.
#[test]
fn messages_overtake_each_other() {
    let mut overtaken = 0;
    for seed in 0..20 {
        let mode = |config: ConfigBuilder| config.build().unwrap();
        let peer = AggressivePeer::new(ip(HUB), Group::MODP_768);
        let quick_mode_delay = Duration::ZERO;
        let at_once =
            AggressiveMode { initiate: vec![peer], quick_mode_delay, ..AggressiveMode::default() };
        let spoke = mode(guide_config().aggressive_mode(at_once));
        let mut pair = Pair::between(spoke, pair::SPOKE, mode(hub()), HUB, seed);
        pair.protect_guide();
        // Jitter of up to 20 ms on a way of 5 ms.
        pair.meddler = Some(Box::new(|_, _| {}));
        pair.connect();
        pair.run_for(Duration::from_secs(10));
        pair.assert_connected();
        pair.assert_one_pair();
        let early = Discard::UnexpectedState { state: StateKind::IkeResponderAm2 };
        overtaken += usize::from(pair.hosts[1].discards.contains(&early));
    }
    assert!((1..20).contains(&overtaken), "{overtaken}");
}

/// A third message that never arrived leaves us with an SA that the responder does not have: once it
/// has left a quick mode unanswered, too, the next attempt begins anew.
#[test]
fn a_third_message_that_never_arrives() {
    let mut pair = pair_of(spoke(), hub());
    pair.connect();
    let mut first = true;
    pair.meddler = Some(Box::new(move |copies, _| {
        // AM2 comes through.
        if !core::mem::take(&mut first) {
            copies.clear();
        }
    }));
    pair.run_for(Duration::from_secs(120));
    assert_eq!(pair.hosts[0].endpoint.counters().phase1_completed, 1);
    pair.meddler = None;
    pair.connect();
    pair.run_for(Duration::from_secs(5));
    pair.assert_connected();
}

/// A responder that deletes the SA before our quick mode has begun: what waited has failed, and the next
/// attempt is one.
#[test]
fn a_delete_while_quick_mode_waits() {
    let mut pair = pair_of(spoke(), hub());
    let peer = pair.connect();
    pair.run_for(Duration::from_millis(15));
    let (now, at_hub) = (pair.now, pair.hosts[1].peer.unwrap());
    pair.hosts[1].endpoint.close(now, at_hub);
    pair.run_for(Duration::from_secs(5));
    let failed = |event: &&Event| matches!(event, Event::Failed { peer: p, .. } if *p == peer);
    assert_eq!(pair.hosts[0].events.iter().filter(failed).count(), 1);
    assert_eq!(pair.hosts[0].endpoint.peers().count(), 0);
    pair.connect();
    pair.run_for(Duration::from_secs(5));
    pair.assert_connected();
}

/// Where the body of a payload lies in a message in clear.
fn body(message: &[u8], payload_type: PayloadType) -> Range<usize> {
    let parsed = Message::parse(message).unwrap();
    let found = parsed.payloads().unwrap().find(payload_type).unwrap();
    let start = found.offset() + 4;
    start..start + found.body().len()
}

/// The hashes cover each octet of what they are to cover: whatever is changed on the way in AM1, AM2 or
/// AM3, nobody is taken for authenticated by it, and the true message then still is accepted.
#[test]
fn each_octet_that_the_hashes_cover() {
    let (mut pair, path, am1) = first_message(Limits::default());
    // AM1: the responder answers what it got, and the initiator finds that it is not what it sent.
    let covered = [
        PayloadType::SECURITY_ASSOCIATION,
        PayloadType::KEY_EXCHANGE,
        PayloadType::NONCE,
        PayloadType::IDENTIFICATION,
    ];
    let (mut answered, identity) = (0, body(&am1, PayloadType::IDENTIFICATION));
    for at in covered.into_iter().flat_map(|covered| body(&am1, covered)) {
        let (mut other, _, _) = first_message(Limits::default());
        let mut changed = am1.clone();
        changed[at] ^= 0x10;
        other.deliver(1, path, &changed);
        let Some((0, back, am2)) = other.take_next() else { continue };
        if am2[18] != 4 {
            // A refusal.
            continue;
        }
        answered += 1;
        other.deliver(0, back, &am2);
        // HASH_R is not over the initiator's identity, but HASH_I is.
        let completed = other.hosts[0].endpoint.counters().phase1_completed;
        assert_eq!(completed == 1, identity.contains(&at), "octet {at} of AM1");
        other.run_for(Duration::from_secs(1));
        assert_eq!(other.hosts[1].endpoint.counters().phase1_completed, 0, "octet {at} of AM1");
    }
    assert!(answered > 96 + 20, "{answered}: public value and nonce at the least");
    pair.deliver(1, path, &am1);
    let (_, back, am2) = pair.take_next().unwrap();
    let covered = [
        PayloadType::KEY_EXCHANGE,
        PayloadType::NONCE,
        PayloadType::IDENTIFICATION,
        PayloadType::HASH,
    ];
    let cookie = 8..16;
    let bodies = covered.into_iter().flat_map(|covered| body(&am2, covered));
    for at in cookie.chain(bodies) {
        let mut changed = am2.to_vec();
        changed[at] ^= 0x10;
        pair.deliver(0, back, &changed);
        assert_eq!(pair.hosts[0].endpoint.counters().phase1_completed, 0, "octet {at} of AM2");
    }
    // What it said of those it could not make sense of stays on the way.
    pair.cut();
    pair.deliver(0, back, &am2);
    let (_, path, am3) = pair.take_next().unwrap();
    // The hash payload, 24 octets.
    for at in Header::LEN..Header::LEN + 24 {
        let mut changed = am3.to_vec();
        changed[at] ^= 0x10;
        pair.deliver(1, path, &changed);
        assert_eq!(pair.hosts[1].endpoint.counters().phase1_completed, 0, "octet {at} of AM3");
    }
    pair.deliver(1, path, &am3);
    pair.run_for(Duration::from_secs(5));
    pair.assert_connected();
}

/// Bits that change on the way, among loss and copies, in fragments: nobody is confused for longer than
/// that lasts.
#[test]
fn bits_that_change_on_the_way() {
    use chacha20::rand_core::Rng;
    use dmvpn_isakmp::{DeadPeerDetection, Fragmentation};
    for seed in 0..40 {
        let cut = |config: ConfigBuilder| {
            let cut = Fragmentation { packet_size: 160 };
            let watch = Some(DeadPeerDetection::default());
            config.fragmentation(Some(cut)).dead_peer_detection(watch).build().unwrap()
        };
        let mut pair = Pair::between(cut(spoke()), pair::SPOKE, cut(hub()), HUB, seed);
        pair.protect_guide();
        pair.meddler = Some(Box::new(|copies, rng| {
            let mut copy = copies[0].to_vec();
            match rng.next_u32() % 8 {
                0 => copies.clear(),
                1 => copies.push(copy.into()),
                2 | 3 => {
                    let at = rng.next_u32() as usize % copy.len();
                    copy[at] ^= 1 << (rng.next_u32() % 8);
                    copies[0] = copy.into();
                }
                _ => {}
            }
        }));
        pair.connect();
        for _ in 0..20 {
            pair.run_for(Duration::from_secs(20));
            pair.connect();
        }
        pair.meddler = None;
        // `clear crypto session`: a delete that was lost is mended by ESP, of which there is none here.
        let now = pair.now;
        for host in &mut pair.hosts {
            let peers: Vec<_> = host.endpoint.peers().map(|view| view.peer).collect();
            peers.into_iter().for_each(|peer| host.endpoint.close(now, peer));
        }
        pair.run_for(Duration::from_secs(100));
        for host in &pair.hosts {
            assert_eq!((host.endpoint.peers().count(), host.endpoint.phase1().count()), (0, 0));
            assert_eq!(host.endpoint.poll_timeout(), None, "seed {seed}");
            assert!(host.installed.is_empty());
        }
        pair.connect();
        pair.run_for(Duration::from_secs(5));
        pair.assert_connected();
    }
}
