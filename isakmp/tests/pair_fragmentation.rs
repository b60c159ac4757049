//! IKE fragmentation: both directions, what the path does to fragments, and what strangers do.

#![allow(clippy::wildcard_enum_match_arm, reason = "a test looks at what it is about")]

mod pair;

use core::time::Duration;

use bytes::Bytes;
use chacha20::rand_core::Rng;
use dmvpn_isakmp::crypto::Group;
use dmvpn_isakmp::wire::{
    Chain, Cookie, ExchangeType, Flags, Fragment, Header, Message, MessageId, Payload, PayloadType,
    VendorId,
};
use dmvpn_isakmp::{
    Config, Deviation, Discard, Fragmentation, Limits, Path, Policy, Protection, Remote, Trace,
};
use pair::{Driver, HUB, Nat, Pair, SPOKE, TUNNEL, guide_config, guide_protection, ip};

const SIZE: u16 = 200;

fn config(packet_size: u16) -> Config {
    config_with(packet_size, Limits::default())
}

fn config_with(packet_size: u16, limits: Limits) -> Config {
    guide_config()
        .policies(vec![Policy { group: Group::MODP_2048, ..pair::GUIDE_POLICY }])
        .fragmentation(Some(Fragmentation { packet_size }))
        .limits(limits)
        .build()
        .unwrap()
}

fn protect(pair: &mut Pair) {
    let pfs = Some(Group::MODP_2048);
    let hub = pair.hosts[1].address;
    let spoke = pair.hosts[0].address.to_string();
    for (host, protection) in
        [(0, guide_protection(&spoke, Remote::Host(hub))), (1, guide_protection(HUB, Remote::Any))]
    {
        let protection = Protection { pfs, ..protection };
        pair.hosts[host].endpoint.protect(pair.now, TUNNEL, protection);
    }
}

/// A spoke and a hub with perfect forward secrecy, in whose negotiation seven messages are long.
fn fragmenting() -> Pair {
    let mut pair = Pair::new(config(SIZE), config(SIZE));
    protect(&mut pair);
    pair
}

fn connected() -> Pair {
    let mut pair = fragmenting();
    pair.connect();
    pair.run_for(Duration::from_secs(5));
    pair.assert_connected();
    pair
}

fn is_fragment(payload: &[u8]) -> bool {
    payload.get(16) == Some(&132)
}

fn fragments_of(pair: &Pair, host: usize) -> usize {
    pair.hosts[host].sent.iter().filter(|(_, transmit)| is_fragment(&transmit.payload)).count()
}

/// The message whose fragments these are.
fn whole(fragments: &[Bytes]) -> Vec<u8> {
    fragments.iter().flat_map(|fragment| fragment[36..].to_vec()).collect()
}

#[test]
fn long_messages_go_in_fragments_both_ways() {
    for driver in [Driver::Strict, Driver::Nervous] {
        let mut pair = fragmenting();
        pair.driver = driver;
        pair.connect();
        pair.run_for(Duration::from_secs(5));
        pair.assert_connected();
        for host in [0, 1] {
            // MM3 or MM4: 256 octets of KE and the rest, 136 in each; QM1 or QM2 as well.
            assert!(fragments_of(&pair, host) >= 6, "{}", fragments_of(&pair, host));
            // Nobody knows yet of MM1 whether the other side takes fragments.
            for (_, transmit) in &pair.hosts[host].sent[1..] {
                assert!(transmit.payload.len() + 28 <= usize::from(SIZE));
            }
            assert_eq!(pair.hosts[host].discards, []);
        }
        // Nothing waits for fragments any more.
        let state = format!("{:?}", pair.hosts[0].endpoint);
        assert!(state.contains("reassemblies: Reassemblies { by_key: {}, by_id: {}"), "{state}");
    }
}

/// Header and fragments as strongSwan's: flags clear and message ID zero also for quick mode.
#[test]
fn fragments_look_as_other_peers_make_them() {
    let pair = connected();
    let sent: Vec<_> = pair.hosts[0].sent.iter().map(|(_, t)| t.payload.clone()).collect();
    let fragments: Vec<_> = sent.iter().filter(|payload| is_fragment(payload)).collect();
    let (mut ids, mut numbers) = (Vec::new(), Vec::new());
    for payload in &fragments {
        let message = Message::parse(payload).unwrap();
        assert_eq!(message.header.exchange, ExchangeType::MAIN_MODE);
        assert_eq!(message.header.flags, Flags::NONE);
        assert_eq!(message.header.message_id, MessageId::ZERO);
        let payloads = message.payloads().unwrap().as_slice();
        let [received] = payloads else { panic!("{payloads:?}") };
        let Payload::Fragment(fragment) = &received.payload else { panic!("{received:?}") };
        ids.push(fragment.id);
        numbers.push((fragment.number, fragment.is_last()));
    }
    ids.dedup();
    assert_eq!(ids.len(), 2, "MM3 and QM1");
    // The whole message has the header that it would have had alone.
    let last_of_first = numbers.iter().position(|(_, last)| *last).unwrap();
    let first: Vec<Bytes> =
        fragments[..=last_of_first].iter().map(|payload| (*payload).clone()).collect();
    let message = whole(&first);
    let message = Message::parse(&message).unwrap();
    assert_eq!(message.payloads().unwrap().first_type(), PayloadType::KEY_EXCHANGE);
}

#[test]
fn a_message_of_a_usual_size_stays_whole() {
    let mut pair = Pair::new(config(1280), config(1280));
    protect(&mut pair);
    pair.connect();
    pair.run_for(Duration::from_secs(5));
    pair.assert_connected();
    assert_eq!((fragments_of(&pair, 0), fragments_of(&pair, 1)), (0, 0));
}

/// Who does not announce it gets no fragments, and says nothing of it when not asked.
#[test]
fn fragments_go_only_to_who_announces_it() {
    let policies = vec![Policy { group: Group::MODP_2048, ..pair::GUIDE_POLICY }];
    let without = || guide_config().policies(policies.clone()).build().unwrap();
    for (spoke, hub) in [(config(SIZE), without()), (without(), config(SIZE))] {
        let mut pair = Pair::new(spoke, hub);
        protect(&mut pair);
        pair.connect();
        pair.run_for(Duration::from_secs(5));
        pair.assert_connected();
        assert_eq!((fragments_of(&pair, 0), fragments_of(&pair, 1)), (0, 0));
        let mm2 = pair.hosts[1].sent[0].1.payload.clone();
        let announced = |vendor_id: &VendorId<'_>| *vendor_id == VendorId::FRAGMENTATION;
        let message = Message::parse(&mm2).unwrap();
        let any =
            message.payloads().unwrap().iter().any(
                |p| matches!(&p.payload, Payload::VendorId(vendor_id) if announced(vendor_id)),
            );
        assert!(!any);
    }
}

/// Through a NAT the ports change with MM5, the marker counts, and a message's fragments come from
/// wherever the NAT says.
#[test]
fn behind_a_nat() {
    let mut pair = Pair::between(config(SIZE), "192.168.1.2", config(SIZE), HUB, 5);
    pair.nats.push(Nat::new("192.168.1.2", "198.51.100.7"));
    protect(&mut pair);
    pair.connect();
    pair.run_for(Duration::from_secs(5));
    pair.assert_connected();
    for (_, transmit) in pair.hosts.iter().flat_map(|host| &host.sent[1..]) {
        let marker = if transmit.non_esp_marker { 4 } else { 0 };
        assert!(transmit.payload.len() + marker + 28 <= usize::from(SIZE));
    }
}

#[test]
fn fragments_may_be_lost_doubled_and_reordered() {
    let mut completed = 0;
    for seed in 0..12 {
        for driver in [Driver::Strict, Driver::Nervous] {
            let mut pair = Pair::between(config(SIZE), SPOKE, config(SIZE), HUB, seed);
            pair.driver = driver;
            protect(&mut pair);
            // Jitter of 20 ms on a way of 5 ms reorders most of them.
            pair.meddler = Some(Box::new(|copies, rng| match rng.next_u32() % 16 {
                0 => copies.clear(),
                1 | 2 => copies.push(copies[0].clone()),
                _ => {}
            }));
            pair.connect();
            pair.run_for(Duration::from_secs(120));
            pair.assert_connected();
            let reassembled = pair.hosts.iter().flat_map(|host| &host.traces);
            completed += reassembled
                .filter(|traced| matches!(traced.trace, Trace::Reassembled { .. }))
                .count();
        }
    }
    assert!(completed > 4 * 24, "{completed}");
}

#[test]
fn a_retransmission_is_the_same_fragments() {
    let mut pair = fragmenting();
    pair.connect();
    // MM1 and MM2, and then nothing of the hub.
    let (to, path, mm1) = pair.take_next().unwrap();
    pair.deliver(to, path, &mm1);
    let (to, path, mm2) = pair.take_next().unwrap();
    pair.deliver(to, path, &mm2);
    pair.cut();
    pair.meddler = Some(Box::new(|copies, _| copies.clear()));
    pair.run_for(Duration::from_secs(3));
    let mm3: Vec<_> = pair.hosts[0].sent[1..].iter().map(|(_, t)| t.payload.clone()).collect();
    let (first, again) = mm3.split_at(mm3.len() / 2);
    assert!(first.len() >= 3 && first.iter().all(|payload| is_fragment(payload)));
    assert_eq!(first, again);
}

/// A fragment for the hub, of a message that its peer could send.
struct Forge {
    cookies: (Cookie, Cookie),
    path: Path,
}

impl Forge {
    fn first_message(pair: &Pair) -> Self {
        Self { cookies: (Cookie(*b"stranger"), Cookie::ZERO), path: pair.path_to(1) }
    }

    fn of_sa(pair: &Pair) -> Self {
        let cookies = pair.hosts[1].endpoint.phase1().next().unwrap().cookies;
        Self { cookies, path: pair.path_to(1) }
    }

    fn fragment(&self, id: u16, number: u8, flags: u8, data: &[u8]) -> Vec<u8> {
        let fragment = Fragment { id, number, flags, data: data.into() };
        let mut chain = Chain::new();
        chain.push(&Payload::Fragment(fragment));
        self.message(&chain)
    }

    fn message(&self, chain: &Chain) -> Vec<u8> {
        let (initiator, responder) = self.cookies;
        chain.message(Header::new(initiator, responder, ExchangeType::MAIN_MODE), 0).unwrap()
    }

    fn send(&self, pair: &mut Pair, id: u16, number: u8, flags: u8, data: &[u8]) {
        let message = self.fragment(id, number, flags, data);
        pair.deliver(1, self.path, &message);
    }
}

fn discards(pair: &Pair) -> &[Discard] {
    &pair.hosts[1].discards
}

fn discarded_traces(pair: &Pair) -> Vec<Discard> {
    let traces = pair.hosts[1].traces.iter();
    traces
        .filter_map(|traced| match &traced.trace {
            Trace::Discarded(discard) => Some(discard.clone()),
            _ => None,
        })
        .collect()
}

/// A first message of our own spoke, as another initiator could send it.
fn first_message() -> Vec<u8> {
    let mut pair = fragmenting();
    pair.connect();
    let mut message = pair.hosts[0].sent[0].1.payload.to_vec();
    message[..8].copy_from_slice(b"stranger");
    message
}

const LAST: u8 = Fragment::LAST;

#[test]
fn refused_when_not_configured() {
    let mut pair = Pair::guide();
    let forge = Forge::first_message(&pair);
    forge.send(&mut pair, 1, 1, 0, b"a");
    assert_eq!(discards(&pair), [Discard::FragmentationOff]);
}

#[test]
fn number_zero() {
    let mut pair = fragmenting();
    let forge = Forge::first_message(&pair);
    forge.send(&mut pair, 1, 0, LAST, b"a");
    forge.send(&mut pair, 1, 65, 0, b"a");
    let refused = |number| Discard::FragmentNumber { number, limit: 64 };
    assert_eq!(discards(&pair), [refused(0), refused(65)]);
}

#[test]
fn empty_fragment_and_no_fragment_at_all() {
    let mut pair = fragmenting();
    let forge = Forge::first_message(&pair);
    forge.send(&mut pair, 1, 1, LAST, b"");
    assert_eq!(discards(&pair), [Discard::FragmentEmpty]);
    // A payload shorter than its fixed part, and a header that announces what is not there.
    let mut chain = Chain::new();
    chain.push(&Payload::Opaque(PayloadType::FRAGMENT, b"\0\x01\x01"[..].into()));
    let short = forge.message(&chain);
    pair.deliver(1, forge.path, &short);
    let mut none = forge.message(&Chain::new());
    none[16] = 132;
    pair.deliver(1, forge.path, &none);
    assert_eq!(discards(&pair).len(), 3);
    assert!(discards(&pair)[1..].iter().all(|d| matches!(d, Discard::Malformed(_))));
}

#[test]
fn a_fragment_is_alone_in_its_message() {
    let mut pair = fragmenting();
    let forge = Forge::first_message(&pair);
    let mut chain = Chain::new();
    chain.push(&Payload::Fragment(Fragment { id: 1, number: 1, flags: 0, data: b"a"[..].into() }));
    chain.push(&Payload::Nonce(b"bcdefghi"[..].into()));
    let message = forge.message(&chain);
    pair.deliver(1, forge.path, &message);
    assert_eq!(discards(&pair), [Discard::UnexpectedPayload(PayloadType::NONCE)]);
}

/// The rules of every message hold for a fragment as well.
#[test]
fn more_octets_than_announced_and_no_cookie() {
    let mut pair = fragmenting();
    let mut forge = Forge::first_message(&pair);
    let fragment = forge.fragment(1, 1, 0, b"abcd");
    let length = u32::try_from(fragment.len()).unwrap();
    let longer = |octets| [&fragment[..], &vec![0; octets]].concat();
    pair.deliver(1, forge.path, &longer(17));
    forge.cookies.0 = Cookie::ZERO;
    forge.send(&mut pair, 1, 1, 0, b"abcd");
    let have = fragment.len() + 17;
    assert_eq!(discards(&pair), [Discard::Length { length, have }, Discard::ZeroCookie]);
    pair.deliver(1, forge.path, &longer(16));
    assert_eq!(discards(&pair).len(), 2);
    let tolerated = Trace::Deviation(Deviation::TrailingBytes);
    assert_eq!(pair.hosts[1].traces.iter().filter(|traced| traced.trace == tolerated).count(), 1);
}

#[test]
fn every_truncation_is_refused() {
    let mut pair = fragmenting();
    let forge = Forge::first_message(&pair);
    let message = forge.fragment(1, 1, 0, b"abcd");
    for len in 0..message.len() {
        pair.deliver(1, forge.path, &message[..len]);
    }
    assert_eq!(discards(&pair).len(), message.len());
}

#[test]
fn duplicates() {
    let mut pair = fragmenting();
    let forge = Forge::first_message(&pair);
    let mm1 = first_message();
    let (one, two) = mm1.split_at(60);
    forge.send(&mut pair, 1, 1, 0, one);
    forge.send(&mut pair, 1, 1, 0, one);
    assert_eq!(discards(&pair), [Discard::FragmentDuplicate { number: 1 }]);
    forge.send(&mut pair, 1, 2, LAST, two);
    assert_eq!(pair.hosts[1].endpoint.phase1().count(), 1);
}

#[test]
fn last_first() {
    let mut pair = fragmenting();
    let forge = Forge::first_message(&pair);
    let mm1 = first_message();
    forge.send(&mut pair, 1, 3, LAST, &mm1[100..]);
    forge.send(&mut pair, 1, 1, 0, &mm1[..50]);
    assert_eq!(pair.hosts[1].endpoint.phase1().count(), 0);
    forge.send(&mut pair, 1, 2, 0, &mm1[50..100]);
    assert_eq!(pair.hosts[1].endpoint.phase1().count(), 1);
    assert_eq!(discards(&pair), []);
}

/// The fragments of two messages between each other, and of the same id from two places.
#[test]
fn messages_do_not_mix() {
    let mut pair = fragmenting();
    let forge = Forge::first_message(&pair);
    let other = Forge {
        path: Path { remote: (ip("172.16.1.9"), 500).into(), ..forge.path },
        ..Forge::first_message(&pair)
    };
    let mm1 = first_message();
    for (number, flags, data) in [(1, 0, &mm1[..60]), (2, LAST, &mm1[60..])] {
        let spoilt: Vec<u8> = data.iter().map(|byte| byte ^ 1).collect();
        other.send(&mut pair, 1, number, 0, &spoilt);
        forge.send(&mut pair, 2, number, 0, &spoilt);
        forge.send(&mut pair, 1, number, flags, data);
    }
    assert_eq!(pair.hosts[1].endpoint.phase1().count(), 1);
    assert_eq!(discards(&pair), []);
}

/// Peers that use the same id for all their messages: what is left of one does not spoil the next.
#[test]
fn a_newer_message_of_the_same_id_wins() {
    let mut pair = fragmenting();
    let forge = Forge::first_message(&pair);
    let mm1 = first_message();
    forge.send(&mut pair, 1, 1, 0, b"left over");
    forge.send(&mut pair, 1, 5, LAST, b"left over");
    for (number, flags, data) in [(1, 0, &mm1[..60]), (2, LAST, &mm1[60..])] {
        forge.send(&mut pair, 1, number, flags, data);
    }
    assert_eq!(pair.hosts[1].endpoint.phase1().count(), 1);
}

#[test]
fn total_above_the_cap() {
    let limits = Limits { message_octets: 300, ..Limits::default() };
    let mut pair = Pair::new(config(SIZE), config_with(SIZE, limits));
    protect(&mut pair);
    let forge = Forge::first_message(&pair);
    forge.send(&mut pair, 1, 1, 0, &[1; 265]);
    forge.send(&mut pair, 1, 1, 0, &[1; 264]);
    forge.send(&mut pair, 1, 2, 0, &[1; 36]);
    forge.send(&mut pair, 1, 3, 0, &[1; 1]);
    let limit = 300;
    let whole = Discard::TooLong { length: 301, limit };
    assert_eq!(discards(&pair), [whole, Discard::FragmentsTooLong { limit }]);
}

#[test]
fn a_fragment_of_fragments() {
    let mut pair = fragmenting();
    let forge = Forge::first_message(&pair);
    let inner = forge.fragment(2, 1, LAST, &first_message());
    forge.send(&mut pair, 1, 1, 0, &inner[..50]);
    forge.send(&mut pair, 1, 2, LAST, &inner[50..]);
    assert_eq!(discarded_traces(&pair), [Discard::FragmentOfFragment]);
    assert_eq!(pair.hosts[1].endpoint.phase1().count(), 0);
    // The fragments are gone.
    assert_eq!(pair.hosts[1].endpoint.poll_timeout(), None);
}

#[test]
fn the_whole_has_the_cookies_of_its_fragments() {
    let mut pair = fragmenting();
    let forge = Forge::first_message(&pair);
    let mut mm1 = first_message();
    mm1[0] ^= 1;
    forge.send(&mut pair, 1, 1, 0, &mm1[..60]);
    forge.send(&mut pair, 1, 2, LAST, &mm1[60..]);
    assert_eq!(discarded_traces(&pair), [Discard::FragmentCookies]);
}

#[test]
fn the_whole_may_be_malformed() {
    let mut pair = fragmenting();
    let forge = Forge::first_message(&pair);
    forge.send(&mut pair, 1, 1, LAST, b"not a message");
    assert!(matches!(discarded_traces(&pair)[..], [Discard::Malformed(_)]));
}

/// Some leave the encryption flag of the whole message in the fragments' headers.
#[test]
fn the_encryption_flag_means_nothing() {
    let mut pair = fragmenting();
    let forge = Forge::first_message(&pair);
    let mm1 = first_message();
    for (number, flags, data) in [(1, 0, &mm1[..60]), (2, LAST, &mm1[60..])] {
        let mut fragment = forge.fragment(1, number, flags, data);
        fragment[19] |= Flags::ENCRYPTION.0;
        pair.deliver(1, forge.path, &fragment);
    }
    assert_eq!(pair.hosts[1].endpoint.phase1().count(), 1);
    let flagged = Trace::Deviation(Deviation::FragmentEncryptionFlag);
    assert_eq!(pair.hosts[1].traces.iter().filter(|traced| traced.trace == flagged).count(), 2);
}

#[test]
fn who_may_not_negotiate_gets_no_memory() {
    let mut pair = fragmenting();
    let mut forge = Forge::first_message(&pair);
    forge.path.local = (ip("172.16.10.9"), 500).into();
    forge.send(&mut pair, 1, 1, 0, b"a");
    // Nobody has these cookies.
    let mut forge = Forge::first_message(&pair);
    forge.cookies.1 = Cookie(*b"nonesuch");
    forge.send(&mut pair, 1, 1, 0, b"a");
    let (initiator, responder) = forge.cookies;
    let unknown = Discard::UnknownCookies { initiator, responder };
    assert_eq!(discards(&pair), [Discard::NoProtection, unknown]);
}

#[test]
fn memory_is_bounded_and_returned() {
    let limits = Limits { reassemblies: 10, reassemblies_per_source: 2, ..Limits::default() };
    let mut pair = Pair::new(config(SIZE), config_with(SIZE, limits));
    protect(&mut pair);
    let from = |source: u8| Forge {
        path: Path { remote: (ip(&format!("192.0.2.{source}")), 500).into(), ..pair.path_to(1) },
        ..Forge::first_message(&pair)
    };
    let sources: Vec<Forge> = (0..7).map(from).collect();
    // A source's own oldest gives way.
    for source in &sources[..5] {
        for id in 0..4 {
            source.send(&mut pair, id, 1, 0, b"a");
        }
    }
    for source in &sources[..5] {
        for id in [2, 3] {
            source.send(&mut pair, id, 1, 0, b"a");
        }
    }
    let duplicate = Discard::FragmentDuplicate { number: 1 };
    assert_eq!(discards(&pair), vec![duplicate.clone(); 10]);
    // Another source's has none of its own: the oldest of all gives way, and no more.
    sources[5].send(&mut pair, 0, 1, 0, b"a");
    sources[5].send(&mut pair, 0, 1, 0, b"a");
    for source in &sources[1..5] {
        source.send(&mut pair, 2, 1, 0, b"a");
    }
    assert_eq!(discards(&pair)[10..], vec![duplicate; 5]);
    sources[0].send(&mut pair, 2, 1, 0, b"a");
    assert_eq!(discards(&pair).len(), 15);
    let state = format!("{:?}", pair.hosts[1].endpoint);
    let state = state.split("reassemblies: ").nth(1).unwrap();
    assert_eq!(state.matches("Reassembly { ").count(), 10, "{state}");
    // Ten of a source's own, and the oldest of all twice.
    let forgotten = |pair: &Pair| {
        let counters = pair.hosts[1].endpoint.counters();
        let traced = [false, true].map(|late| {
            let traces = pair.hosts[1].traces.iter();
            let forgotten = Trace::FragmentsForgotten { late };
            traces.filter(|traced| traced.trace == forgotten).count()
        });
        ((counters.reassemblies_displaced, counters.reassemblies_expired), traced)
    };
    assert_eq!(forgotten(&pair), ((12, 0), [12, 0]));
    pair.run_for(limits.reassembly_timeout - Duration::from_micros(1));
    assert_eq!(forgotten(&pair), ((12, 0), [12, 0]));
    pair.run_for(Duration::from_micros(1));
    assert_eq!(forgotten(&pair), ((12, 10), [12, 10]));
    assert_eq!(pair.hosts[1].endpoint.poll_timeout(), None);
}

/// A limit of none is none.
#[test]
fn no_memory_at_all() {
    let limits = Limits { reassemblies: 0, ..Limits::default() };
    let mut pair = Pair::new(config(SIZE), config_with(SIZE, limits));
    protect(&mut pair);
    Forge::first_message(&pair).send(&mut pair, 1, 1, 0, b"a");
    assert_eq!(discards(&pair), [Discard::ReassemblyLimit { limit: 0 }]);
    assert_eq!(discarded_traces(&pair), discards(&pair));
    assert_eq!(pair.hosts[1].endpoint.counters().fragments_refused, 1);
}

/// First messages of strangers that fill their memory keep no peer's fragments out.
#[test]
fn strangers_do_not_displace_peers() {
    let limits = Limits { reassemblies: 4, ..Limits::default() };
    let mut pair = Pair::new(config(SIZE), config_with(SIZE, limits));
    protect(&mut pair);
    for source in 0..20 {
        let remote = (ip(&format!("192.0.2.{source}")), 500).into();
        let path = Path { remote, ..pair.path_to(1) };
        Forge { path, ..Forge::first_message(&pair) }.send(&mut pair, 1, 1, 0, b"a");
    }
    pair.connect();
    pair.run_for(Duration::from_secs(1));
    pair.assert_connected();
}

/// Nor do they keep out a first message that comes in fragments.
#[test]
fn strangers_do_not_keep_a_first_message_out() {
    let limits = Limits { reassemblies: 4, ..Limits::default() };
    let mut pair = Pair::new(config(SIZE), config_with(SIZE, limits));
    protect(&mut pair);
    for source in 0..20 {
        let remote = (ip(&format!("192.0.2.{source}")), 500).into();
        let path = Path { remote, ..pair.path_to(1) };
        Forge { path, ..Forge::first_message(&pair) }.send(&mut pair, 1, 1, 0, b"a");
    }
    let (forge, mm1) = (Forge::first_message(&pair), first_message());
    forge.send(&mut pair, 1, 1, 0, &mm1[..60]);
    forge.send(&mut pair, 1, 2, LAST, &mm1[60..]);
    assert_eq!(pair.hosts[1].endpoint.phase1().count(), 1);
}

/// Who has only begun to negotiate keeps out no fragments of established peers.
#[test]
fn half_open_negotiations_do_not_displace_peers() {
    let limits = Limits { reassemblies: 4, ..Limits::default() };
    let mut pair = Pair::new(config(SIZE), config_with(SIZE, limits));
    protect(&mut pair);
    pair.connect();
    pair.run_for(Duration::from_secs(5));
    let (now, peer) = (pair.now, pair.hosts[0].peer.unwrap());
    let spi = pair.hosts[0].inbound()[0].spi;
    pair.hosts[0].endpoint.handle_soft_expire(now, peer, spi);
    pair.drain();
    let mut own = Vec::new();
    while let Some((_, path, fragment)) = pair.take_next() {
        own.push((path, fragment));
    }
    assert!(own.len() > 1 && own.iter().all(|(_, fragment)| is_fragment(fragment)));
    let mut source = 0;
    for (path, fragment) in own {
        for _ in 0..6 {
            source += 1;
            let remote = (ip(&format!("192.0.2.{source}")), 500).into();
            let path = Path { remote, ..pair.path_to(1) };
            pair.deliver(1, path, &first_message());
            let view = pair.hosts[1].endpoint.phase1().last().unwrap();
            let forge = Forge { path, cookies: view.cookies };
            forge.send(&mut pair, 1, 1, 0, b"a");
        }
        pair.deliver(1, path, &fragment);
    }
    assert_eq!(pair.hosts[1].endpoint.phase2().count(), 2);
}

/// Who sees the packets can spoil messages, and no more: the SAs stay as they are.
#[test]
fn forged_fragments_change_no_established_sa() {
    let mut pair = connected();
    let views = |pair: &Pair| {
        let host = &pair.hosts[1];
        let phase1 = host.endpoint.phase1().map(|view| (view.cookies, view.path, view.state));
        let phase2 = host.endpoint.phase2().map(|view| (view.inbound_spi, view.outbound_spi));
        (phase1.collect::<Vec<_>>(), phase2.collect::<Vec<_>>(), host.events.len())
    };
    let before = views(&pair);
    let forge = Forge::of_sa(&pair);
    let now = pair.now;
    for id in 0..30 {
        for number in [1, 2, 4] {
            forge.send(&mut pair, id, number, 0, &[7; 100]);
        }
    }
    // Whole, but nothing that the peer could have made: its own quick mode with a byte changed.
    let sent: Vec<_> = pair.hosts[0].sent.iter().map(|(_, t)| t.payload.clone()).collect();
    let from = sent.iter().rposition(|payload| is_fragment(payload) && payload[34] == 1).unwrap();
    let to = from + sent[from..].iter().position(|payload| payload[35] == LAST).unwrap();
    let mut quick_mode = whole(&sent[from..=to]);
    quick_mode[20] ^= 1;
    quick_mode[60] ^= 1;
    let middle = quick_mode.len() / 2;
    forge.send(&mut pair, 90, 1, 0, &quick_mode[..middle]);
    forge.send(&mut pair, 90, 2, LAST, &quick_mode[middle..]);
    assert!(matches!(
        discarded_traces(&pair).last(),
        Some(Discard::Undecipherable(_) | Discard::HashMismatch | Discard::MissingPayload(_))
    ));
    assert_eq!(views(&pair), before);
    // And the peer's own fragments still come through.
    let (peer, spi) = (pair.hosts[0].peer.unwrap(), pair.hosts[0].inbound()[0].spi);
    pair.hosts[0].endpoint.handle_soft_expire(now, peer, spi);
    pair.run_for(Duration::from_secs(5));
    assert_eq!(pair.hosts[1].endpoint.phase2().count(), 2);
    pair.assert_connected();
}

/// A forged fragment among those of a protected message delays it by a retransmission.
#[test]
fn a_spoilt_message_is_mended_by_its_next_transmission() {
    let mut pair = connected();
    let (now, peer) = (pair.now, pair.hosts[0].peer.unwrap());
    let spi = pair.hosts[0].inbound()[0].spi;
    pair.hosts[0].endpoint.handle_soft_expire(now, peer, spi);
    pair.drain();
    let (to, path, first) = pair.take_next().unwrap();
    pair.deliver(to, path, &first);
    let (to, path, second) = pair.take_next().unwrap();
    let mut spoilt = second.to_vec();
    spoilt[60] ^= 1;
    pair.deliver(to, path, &spoilt);
    pair.run_for(Duration::from_secs(1));
    assert_eq!(pair.hosts[1].endpoint.phase2().count(), 1);
    assert_eq!(discarded_traces(&pair), [Discard::HashMismatch]);
    pair.run_for(Duration::from_secs(10));
    assert_eq!(pair.hosts[1].endpoint.phase2().count(), 2);
    pair.assert_connected();
}

#[test]
fn fragments_of_an_sa_go_with_it() {
    let mut pair = connected();
    Forge::of_sa(&pair).send(&mut pair, 1, 1, 0, b"a");
    let (now, peer) = (pair.now, pair.hosts[1].peer.unwrap());
    pair.hosts[1].endpoint.close(now, peer);
    assert_eq!(pair.hosts[1].endpoint.poll_timeout(), None);
}
