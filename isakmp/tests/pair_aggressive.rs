//! Aggressive mode, both roles.

#![allow(clippy::wildcard_enum_match_arm, reason = "a test looks at what it is about")]

mod pair;

use core::time::Duration;

use dmvpn_isakmp::crypto::{Group, Provider};
use dmvpn_isakmp::{
    AggressiveAnswer, AggressiveMode, AggressivePeer, CloseReason, Config, ConfigBuilder,
    ConfigError, Discard, Event, Identity, Limits, Policy, PreSharedKey, StateKind,
};
use pair::{Driver, GUIDE_POLICY, HUB, Nat, Pair, SPOKE, guide_config, ip, out_of_line};

const AM: u8 = 4;

fn initiate() -> AggressiveMode {
    let peer = AggressivePeer::new(ip(HUB), Group::MODP_768);
    AggressiveMode { initiate: vec![peer], ..AggressiveMode::default() }
}

fn answer(answer: AggressiveAnswer) -> AggressiveMode {
    AggressiveMode { answer, ..AggressiveMode::default() }
}

fn spoke() -> ConfigBuilder {
    guide_config().aggressive_mode(initiate())
}

fn hub() -> ConfigBuilder {
    guide_config().aggressive_mode(answer(AggressiveAnswer::Anybody))
}

fn pair_of(spoke: ConfigBuilder, hub: ConfigBuilder) -> Pair {
    let mut pair = Pair::new(spoke.build().unwrap(), hub.build().unwrap());
    pair.protect_guide();
    pair
}

fn keys(keys: Vec<PreSharedKey>) -> ConfigBuilder {
    Config::builder(Provider::rustcrypto(), keys).policies(vec![GUIDE_POLICY])
}

fn wildcard(key: &[u8]) -> PreSharedKey {
    PreSharedKey::new(ip("0.0.0.0"), 0, key)
}

fn exchanges(pair: &Pair, host: usize) -> Vec<u8> {
    pair.hosts[host].sent.iter().map(|(_, t)| t.payload[18]).collect()
}

fn reason(pair: &Pair) -> Option<CloseReason> {
    pair.hosts[0].events.iter().find_map(|event| match event {
        Event::Failed { reason, .. } => Some(*reason),
        _ => None,
    })
}

#[test]
fn three_messages_and_quick_mode() {
    let mut pair = pair_of(spoke(), hub());
    pair.connect();
    pair.run_for(Duration::from_secs(5));
    pair.assert_connected();
    assert_eq!(exchanges(&pair, 0), [AM, AM, 32, 32]);
    assert_eq!(exchanges(&pair, 1), [AM, 32]);
    let (am3, qm1) = (pair.hosts[0].sent[1].0, pair.hosts[0].sent[2].0);
    assert_eq!(qm1.saturating_duration_since(am3), Duration::from_millis(100));
    for host in &pair.hosts {
        assert!(host.discards.is_empty(), "{:?}", host.discards);
        let view = host.endpoint.phase1().next().unwrap();
        assert_eq!(view.state, StateKind::IkePhase1Complete);
    }
}

#[test]
fn jobs_out_of_line_make_no_difference() {
    let mut inline = pair_of(spoke(), hub());
    inline.connect();
    inline.run_for(Duration::from_secs(5));
    for delay in [0, 700] {
        let mut outside = Pair::new(out_of_line(spoke()), out_of_line(hub()));
        outside.protect_guide();
        for host in &mut outside.hosts {
            host.job_delay = Duration::from_millis(delay);
        }
        outside.connect();
        outside.run_for(Duration::from_secs(10));
        outside.assert_connected();
        if delay == 0 {
            for (inline, outside) in inline.hosts.iter().zip(&outside.hosts) {
                assert_eq!(inline.sent, outside.sent);
                assert_eq!(inline.traces, outside.traces);
            }
        }
    }
}

#[test]
fn refused_unless_allowed() {
    for (allowed, peers) in [(AggressiveAnswer::Nobody, 0), (AggressiveAnswer::BoundIdentities, 0)]
    {
        let hub = guide_config().aggressive_mode(answer(allowed));
        let mut pair = pair_of(spoke(), hub);
        pair.connect();
        pair.run_for(Duration::from_secs(60));
        assert_eq!(pair.hosts[1].sent.len(), 0);
        assert_eq!(pair.hosts[1].endpoint.phase1().count(), peers);
        assert_eq!(pair.hosts[1].discards, vec![Discard::AggressiveModeRefused; 5]);
        assert_eq!(pair.hosts[1].endpoint.counters().aggressive_modes_refused, 5);
        assert_eq!(reason(&pair), Some(CloseReason::NoAnswer { attempts: 5 }));
    }
}

#[test]
fn a_wrong_key_is_noticed_by_the_initiator_and_told() {
    let wrong = keys(vec![wildcard(b"another key")]).aggressive_mode(initiate());
    let mut pair = pair_of(wrong, hub());
    pair.connect();
    pair.run_for(Duration::from_secs(120));
    assert_eq!(reason(&pair), Some(CloseReason::PeerNotAuthenticated));
    let told =
        |discard: &Discard| matches!(discard, Discard::UnprotectedNotification(n) if n.0 == 24);
    assert!(pair.hosts[1].discards.iter().any(told), "{:?}", pair.hosts[1].discards);
    for host in &pair.hosts {
        assert_eq!(host.endpoint.phase1().count(), 0);
        assert_eq!(host.endpoint.peers().count(), 0);
        assert_eq!(host.endpoint.poll_timeout(), None);
    }
    // The responder answers what is asked, and nothing by itself.
    let asked = exchanges(&pair, 0).iter().filter(|exchange| **exchange == AM).count();
    assert_eq!(exchanges(&pair, 1), vec![AM; asked]);
}

#[test]
fn no_common_proposal() {
    let other = Policy { hash: dmvpn_isakmp::crypto::HashAlgorithm::MD5, ..GUIDE_POLICY };
    let mut pair = pair_of(spoke(), hub().policies(vec![other]));
    pair.connect();
    pair.run_for(Duration::from_secs(100));
    assert_eq!(reason(&pair), Some(CloseReason::NoAnswer { attempts: 5 }));
    assert!(
        pair.hosts[0].discards.iter().all(|d| matches!(d, Discard::UnprotectedNotification(_)))
    );
    assert_eq!(pair.hosts[1].endpoint.phase1().count(), 0);
}

#[test]
fn loss_and_duplication_of_each_message() {
    for lost in 0..6 {
        for duplicate in [false, true] {
            let mut pair = pair_of(spoke(), hub());
            let mut count = 0;
            pair.meddler = Some(Box::new(move |copies, _| {
                if count == lost {
                    if duplicate { copies.push(copies[0].clone()) } else { copies.clear() }
                }
                count += 1;
            }));
            pair.connect();
            pair.run_for(Duration::from_secs(30));
            pair.assert_connected();
            pair.assert_one_pair();
        }
    }
}

#[test]
fn strict_and_nervous_drivers_see_the_same() {
    let story = |driver| {
        let mut pair = pair_of(spoke(), hub());
        pair.driver = driver;
        pair.connect();
        pair.run_for(Duration::from_secs(4000));
        let hosts = pair.hosts.iter();
        hosts.map(|h| (h.sent.clone(), format!("{:?}{:?}", h.events, h.traces))).collect::<Vec<_>>()
    };
    assert!(story(Driver::Strict) == story(Driver::Nervous));
}

/// Each message cut at each octet: nothing happens but a discard.
#[test]
fn truncation_changes_nothing() {
    let mut pair = pair_of(spoke(), hub());
    pair.connect();
    for _ in 0..3 {
        let (to, path, message) = pair.take_next().unwrap();
        let established = pair.hosts[to].endpoint.counters().phase1_completed;
        for len in 0..message.len() {
            pair.deliver(to, path, &message[..len]);
        }
        assert_eq!(pair.hosts[to].discards.len(), message.len());
        assert_eq!(pair.hosts[to].endpoint.counters().phase1_completed, established);
        pair.hosts[to].discards.clear();
        pair.deliver(to, path, &message);
        assert!(pair.hosts[to].discards.is_empty(), "{:?}", pair.hosts[to].discards);
    }
    pair.run_for(Duration::from_secs(1));
    pair.assert_connected();
}

#[test]
fn a_nat_on_either_side() {
    for (inside, outside, fixed) in
        [("192.168.1.2", "198.51.100.7", false), (HUB, "198.51.100.9", true)]
    {
        let behind = if fixed { SPOKE } else { inside };
        let peer = AggressivePeer::new(ip(if fixed { outside } else { HUB }), Group::MODP_768);
        let initiate = AggressiveMode { initiate: vec![peer], ..AggressiveMode::default() };
        let spoke = guide_config().aggressive_mode(initiate).build().unwrap();
        let mut pair = Pair::between(spoke, behind, hub().build().unwrap(), HUB, 4);
        pair.nats.push(Nat { fixed, ..Nat::new(inside, outside) });
        pair.protect_guide();
        let remote = ip(if fixed { outside } else { HUB });
        if fixed {
            let now = pair.now;
            let terms = pair::guide_protection(behind, dmvpn_isakmp::Remote::Any);
            pair.hosts[0].endpoint.protect(now, pair::TUNNEL, terms);
        }
        pair.connect_to(0, remote);
        pair.run_for(Duration::from_secs(5));
        let view = pair.hosts[0].endpoint.phase1().next().unwrap();
        assert_eq!((view.nat.local, view.nat.remote), (!fixed, fixed));
        let view = pair.hosts[1].endpoint.phase1().next().unwrap();
        assert_eq!((view.nat.local, view.nat.remote), (fixed, !fixed));
        assert_eq!(view.path.local.port(), 4500);
        assert_eq!(pair.hosts[1].endpoint.phase2().count(), 1);
    }
}

/// With encapsulation forced by either side or both, and with everything after AM2 in fragments.
#[test]
fn forced_encapsulation_and_fragments() {
    use dmvpn_isakmp::{Fragmentation, NatTraversal, Transport};
    let forced =
        |force_encapsulation| Some(NatTraversal { force_encapsulation, ..NatTraversal::default() });
    for choice in 0..16 {
        let set = |bit: u8| choice >> bit & 1 == 1;
        let cut = |bit| set(bit).then_some(Fragmentation { packet_size: 128 });
        let spoke = spoke().nat_traversal(forced(set(0))).fragmentation(cut(2));
        let hub = hub().nat_traversal(forced(set(1))).fragmentation(cut(3));
        let mut pair = pair_of(spoke, hub);
        pair.connect();
        pair.run_for(Duration::from_secs(5));
        pair.assert_connected();
        let udp = set(0) || set(1);
        for host in &pair.hosts {
            let view = host.endpoint.phase1().next().unwrap();
            assert_eq!(view.path.transport == Transport::NatT, udp, "{choice:04b}");
            let fragments = host.sent.iter().filter(|(_, sent)| sent.payload[16] == 132).count();
            assert_eq!(fragments > 0, set(2) && set(3), "{choice:04b}");
        }
        // An answer to who has not shown where it is stays one datagram.
        assert_eq!(pair.hosts[1].sent[0].1.payload[18], AM);
        assert_ne!(pair.hosts[1].sent[0].1.payload[16], 132);
    }
}

#[test]
fn half_open_and_rate_limits() {
    let limits = Limits { aggressive_modes_per_second: 3, half_open: 2, ..Limits::default() };
    let mut pair = pair_of(spoke(), hub().limits(limits));
    pair.connect();
    let (to, path, am1) = pair.take_next().unwrap();
    for number in 0..5 {
        let mut forged = am1.to_vec();
        forged[0] ^= number;
        pair.deliver(to, path, &forged);
    }
    assert_eq!(pair.hosts[1].sent.len(), 3);
    assert_eq!(pair.hosts[1].discards, vec![Discard::AggressiveModeLimit { limit: 3 }; 2]);
    assert_eq!(pair.hosts[1].endpoint.counters().aggressive_modes_limited, 2);
    assert!(pair.hosts[1].endpoint.phase1().count() <= 2);
}

#[test]
fn phase_1_is_rekeyed() {
    let short = Policy { lifetime: 600, ..GUIDE_POLICY };
    let mut pair = pair_of(spoke().policies(vec![short]), hub().policies(vec![short]));
    pair.connect();
    pair.run_for(Duration::from_secs(2000));
    pair.assert_connected();
    let ups = pair.hosts[1].events.iter().filter(|e| matches!(e, Event::Phase1Up { .. })).count();
    assert!(ups >= 3, "{ups}");
    assert!(!exchanges(&pair, 0).contains(&2), "no main mode");
    assert!(!pair.hosts[1].events.iter().any(|e| matches!(e, Event::PeerDown { .. })));
}

/// Several keys for everybody, told apart by who asks.
#[test]
fn keys_by_identity() {
    for identity in [
        Identity::fqdn("spoke.example.org"),
        Identity::user_fqdn("operator@example.org"),
        Identity::key_id(b"group\0one"),
    ] {
        let hub_is = Identity::fqdn("hub.example.org");
        let hub = keys(vec![
            wildcard(b"for others").bound_to(Identity::fqdn("other.example.org")),
            wildcard(b"for the spoke").bound_to(identity.clone()),
            wildcard(b"for everybody"),
        ]);
        let hub =
            hub.identity(hub_is.clone()).aggressive_mode(answer(AggressiveAnswer::BoundIdentities));
        let peer = AggressivePeer {
            identity: Some(identity.clone()),
            ..AggressivePeer::new(ip(HUB), Group::MODP_768)
        };
        let spoke = keys(vec![
            wildcard(b"not this"),
            PreSharedKey::new(ip(HUB), 32, b"for the spoke").bound_to(hub_is.clone()),
        ]);
        let initiate = AggressiveMode { initiate: vec![peer], ..AggressiveMode::default() };
        let mut pair = pair_of(spoke.aggressive_mode(initiate), hub);
        pair.connect();
        pair.run_for(Duration::from_secs(5));
        pair.assert_connected();
        let seen = |host: usize| pair.hosts[host].endpoint.phase1().next().unwrap().identity;
        assert_eq!((seen(0), seen(1)), (Some(hub_is), Some(identity)));
    }
}

/// A name that no key is bound to is refused before anything is computed.
#[test]
fn a_name_without_a_key() {
    let stranger = Identity::fqdn("stranger.example.org");
    let mut pair = pair_of(spoke().identity(stranger), hub());
    pair.connect();
    pair.run_for(Duration::from_secs(60));
    assert_eq!(pair.hosts[1].sent.len(), 0);
    let refused = |d: &Discard| matches!(d, Discard::IdentityType(t) if t.0 == 2);
    assert!(pair.hosts[1].discards.iter().all(refused), "{:?}", pair.hosts[1].discards);
}

/// In main mode a name works with the key that the address finds, if that is bound to it.
#[test]
fn names_in_main_mode() {
    let (one, two) = (Identity::fqdn("one.example.org"), Identity::fqdn("two.example.org"));
    let bound = |identity: &Identity| wildcard(b"shared").bound_to(identity.clone());
    let spoke = |identity: &Identity| keys(vec![wildcard(b"shared")]).identity(identity.clone());
    for identity in [&one, &two] {
        let mut pair = pair_of(spoke(identity), keys(vec![bound(&one), bound(&two)]));
        pair.connect();
        pair.run_for(Duration::from_secs(5));
        pair.assert_connected();
        let view = pair.hosts[1].endpoint.phase1().next().unwrap();
        assert_eq!(view.identity.as_ref(), Some(identity));
    }
    let mut pair = pair_of(spoke(&two), keys(vec![bound(&one)]));
    pair.connect();
    pair.run_for(Duration::from_secs(5));
    let source_address = ip(SPOKE);
    assert!(pair.hosts[1].discards.contains(&Discard::IdentityMismatch { source_address }));
    assert_eq!(pair.hosts[1].endpoint.peers().count(), 0);
}

#[test]
fn configurations_that_cannot_work() {
    let group = AggressivePeer::new(ip(HUB), Group::MODP_2048);
    let mode = AggressiveMode { initiate: vec![group], ..AggressiveMode::default() };
    let error = guide_config().aggressive_mode(mode).build().unwrap_err();
    let (address, group) = (ip(HUB), Group::MODP_2048);
    assert_eq!(error, ConfigError::AggressiveGroup { address, group });
    for identity in [Identity::fqdn(""), Identity::fqdn("a\nb"), Identity::key_id(&[0; 257])] {
        let id_type = identity.id_type;
        let error = guide_config().identity(identity).build().unwrap_err();
        assert_eq!(error, ConfigError::Identity { id_type });
    }
}
