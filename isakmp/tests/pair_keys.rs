//! Which key is for whom: several keys, names, and who holds the wrong one.

#![allow(clippy::wildcard_enum_match_arm, reason = "a test looks at what it is about")]

mod pair;

use core::time::Duration;

use dmvpn_isakmp::crypto::{Group, Provider};
use dmvpn_isakmp::{
    AggressiveAnswer, AggressiveMode, AggressivePeer, CloseReason, Config, ConfigBuilder, Event,
    Identity, Policy, PreSharedKey, Role,
};
use pair::{GUIDE_POLICY, HUB, Pair, SPOKE, ip};

fn keys(keys: Vec<PreSharedKey>) -> ConfigBuilder {
    Config::builder(Provider::rustcrypto(), keys)
        .policies(vec![GUIDE_POLICY])
        .trace_capacity(10_000)
}

fn wildcard(key: &[u8]) -> PreSharedKey {
    PreSharedKey::new(ip("0.0.0.0"), 0, key)
}

fn hub_name() -> Identity {
    Identity::fqdn("hub.example.org")
}

fn spoke_name() -> Identity {
    Identity::fqdn("spoke7.example.org")
}

fn mode(initiate: &[&str], answer: AggressiveAnswer) -> AggressiveMode {
    let peer = |address: &&str| AggressivePeer::new(ip(address), Group::MODP_768);
    let initiate = initiate.iter().map(peer).collect();
    AggressiveMode { initiate, answer, ..AggressiveMode::default() }
}

fn pair_of(spoke: ConfigBuilder, hub: ConfigBuilder) -> Pair {
    let mut pair = Pair::new(spoke.build().unwrap(), hub.build().unwrap());
    pair.protect_guide();
    pair
}

/// A router with a key for the hub's address, and one that another spoke uses wherever it is.
fn router() -> Vec<PreSharedKey> {
    vec![
        PreSharedKey::new(ip(HUB), 32, b"key of the hub"),
        wildcard(b"key of spoke 7").bound_to(spoke_name()),
    ]
}

/// Whoever is at the hub's address must hold the hub's key: another's, under its own name, is no
/// answer to us.
#[test]
fn a_name_does_not_stand_in_for_the_key_of_an_address() {
    let spoke = keys(router()).aggressive_mode(mode(&[HUB], AggressiveAnswer::Nobody));
    let impostor = keys(vec![wildcard(b"key of spoke 7")])
        .identity(spoke_name())
        .aggressive_mode(mode(&[], AggressiveAnswer::Anybody));
    let mut pair = pair_of(spoke, impostor);
    pair.connect();
    pair.run_for(Duration::from_secs(60));
    let up = |event: &Event| matches!(event, Event::Phase1Up { .. });
    assert!(!pair.hosts[0].events.iter().any(up), "{:?}", pair.hosts[0].events);
    let reason = CloseReason::PeerNotAuthenticated;
    let failed = |event: &Event| matches!(event, Event::Failed { reason: r, .. } if *r == reason);
    assert!(pair.hosts[0].events.iter().any(failed), "{:?}", pair.hosts[0].events);
}

/// The same when it comes to us by itself from there.
#[test]
fn who_comes_under_a_name_needs_the_key_of_the_address() {
    let spoke = keys(router()).aggressive_mode(mode(&[], AggressiveAnswer::Anybody));
    let impostor = keys(vec![wildcard(b"key of spoke 7")])
        .identity(spoke_name())
        .aggressive_mode(mode(&[SPOKE], AggressiveAnswer::Nobody));
    for elsewhere in [false, true] {
        let address = if elsewhere { "172.16.7.7" } else { HUB };
        let (spoke, impostor) = (spoke.clone().build().unwrap(), impostor.clone().build().unwrap());
        let mut pair = Pair::between(spoke, SPOKE, impostor, address, 1);
        pair.protect_guide();
        pair.connect_to(1, ip(SPOKE));
        pair.run_for(Duration::from_secs(1));
        let identity = pair.hosts[0].endpoint.phase1().find_map(|view| view.identity);
        assert_eq!(identity, elsewhere.then(spoke_name));
    }
}

/// A hub that starts main mode with a peer that it knows by name uses the key of that name.
#[test]
fn a_known_name_has_its_own_key() {
    let short = Policy { lifetime: 120, ..GUIDE_POLICY };
    let hub = keys(vec![
        wildcard(b"key of another").bound_to(Identity::fqdn("other.example.org")),
        wildcard(b"key of spoke 7").bound_to(spoke_name()),
    ]);
    let hub = hub
        .identity(hub_name())
        .policies(vec![short])
        .aggressive_mode(mode(&[], AggressiveAnswer::BoundIdentities));
    let spoke = keys(vec![PreSharedKey::new(ip(HUB), 32, b"key of spoke 7").bound_to(hub_name())]);
    let spoke = spoke
        .identity(spoke_name())
        .policies(vec![short])
        .aggressive_mode(mode(&[HUB], AggressiveAnswer::Nobody));
    let mut pair = pair_of(spoke, hub);
    pair.connect();
    pair.run_for(Duration::from_secs(5));
    pair.assert_connected();
    // No aggressive mode any more: phase 1 runs out, and the hub negotiates anew before.
    pair.meddler = Some(Box::new(|copies, _| copies.retain(|message| message[18] != 4)));
    pair.run_for(Duration::from_secs(140));
    let roles: Vec<_> = pair.hosts[1].endpoint.phase1().map(|sa| (sa.role, sa.identity)).collect();
    assert!(roles.contains(&(Role::Initiator, Some(spoke_name()))), "{roles:?}");
    let (now, peer) = (pair.now, pair.hosts[1].peer.unwrap());
    let before = pair.hosts[1].inbound()[0].spi;
    pair.hosts[1].endpoint.handle_soft_expire(now, peer, before);
    pair.run_for(Duration::from_secs(20));
    pair.assert_connected();
    let current = pair.hosts[1].endpoint.phase2().filter(|view| !view.superseded);
    let spis: Vec<_> = current.map(|view| view.inbound_spi).collect();
    assert!(spis.len() == 1 && spis[0] != before, "{spis:?}");
}

/// A hub that is asked to reach an address reaches the peer that is there, by whatever name it is
/// known.
#[test]
fn connecting_to_the_address_of_a_known_name() {
    let hub = keys(vec![
        wildcard(b"key of another").bound_to(Identity::fqdn("other.example.org")),
        wildcard(b"key of spoke 7").bound_to(spoke_name()),
    ]);
    let hub =
        hub.identity(hub_name()).aggressive_mode(mode(&[], AggressiveAnswer::BoundIdentities));
    let spoke = keys(vec![PreSharedKey::new(ip(HUB), 32, b"key of spoke 7").bound_to(hub_name())]);
    let spoke =
        spoke.identity(spoke_name()).aggressive_mode(mode(&[HUB], AggressiveAnswer::Nobody));
    let mut pair = pair_of(spoke, hub);
    pair.connect();
    pair.run_for(Duration::from_secs(5));
    pair.assert_connected();
    let (now, peer) = (pair.now, pair.hosts[1].peer.unwrap());
    assert_eq!(pair.hosts[1].endpoint.connect(now, pair::TUNNEL, ip(SPOKE)), Ok(peer));
}

/// The bits behind a prefix say nothing: these are entries for the same peers, with the same key.
#[test]
fn entries_of_one_network() {
    let shared = |address: &str, name: &str| {
        PreSharedKey::new(ip(address), 16, b"shared").bound_to(Identity::fqdn(name))
    };
    let hub = keys(vec![
        shared("172.16.3.4", "other.example.org"),
        shared("172.16.0.0", "spoke7.example.org"),
    ]);
    let spoke = keys(vec![wildcard(b"shared")]).identity(spoke_name());
    let mut pair = pair_of(spoke, hub);
    pair.connect();
    pair.run_for(Duration::from_secs(5));
    pair.assert_connected();
}

/// `crypto isakmp key KEY address HUB` and `crypto isakmp key KEY hostname NAME`: the hub at this address
/// may call itself so, since both lines have its key.
#[test]
fn a_name_for_the_key_of_an_address() {
    for aggressive in [false, true] {
        for same in [false, true] {
            let key: &[u8] = if same { b"key of the hub" } else { b"another key" };
            let spoke = keys(vec![
                PreSharedKey::new(ip(HUB), 32, b"key of the hub"),
                wildcard(key).bound_to(hub_name()),
            ]);
            let initiate: &[&str] = if aggressive { &[HUB] } else { &[] };
            let spoke = spoke.aggressive_mode(mode(initiate, AggressiveAnswer::Nobody));
            let hub = keys(vec![wildcard(b"key of the hub")])
                .identity(hub_name())
                .aggressive_mode(mode(&[], AggressiveAnswer::Anybody));
            let mut pair = pair_of(spoke, hub);
            pair.connect();
            pair.run_for(Duration::from_secs(5));
            let identity = pair.hosts[0].endpoint.phase1().find_map(|view| view.identity);
            assert_eq!(identity, same.then(hub_name), "aggressive {aggressive}");
        }
    }
}
