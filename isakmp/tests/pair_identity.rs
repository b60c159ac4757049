//! Who a peer is: which key proved it, and what it may be called.

#![allow(clippy::wildcard_enum_match_arm, reason = "a test looks at what it is about")]

mod pair;

extern crate alloc;

use alloc::sync::Arc;
use core::time::Duration;

use dmvpn_isakmp::crypto::Provider;
use dmvpn_isakmp::{
    CloseReason, Config, ConfigBuilder, Discard, Event, Identity, NatTraversal, Policy,
    PreSharedKey, Remote,
};
use pair::{GUIDE_POLICY, HUB, Host, Pair, SPOKE, TUNNEL, guide_config, guide_protection, ip};

const SHORT: Policy = Policy { lifetime: 600, ..GUIDE_POLICY };

fn with_keys(keys: Vec<PreSharedKey>) -> ConfigBuilder {
    Config::builder(Provider::rustcrypto(), keys).policies(vec![GUIDE_POLICY])
}

fn everybody(key: &[u8]) -> Vec<PreSharedKey> {
    vec![PreSharedKey::new(ip("0.0.0.0"), 0, key)]
}

fn forced() -> Option<NatTraversal> {
    Some(NatTraversal { force_encapsulation: true, ..NatTraversal::default() })
}

/// HMAC pads keys with zeros: an empty key and one zero byte are the same key.
#[test]
fn without_a_key_no_main_mode_is_started() {
    let short = || guide_config().policies(vec![SHORT]).build().unwrap();
    let mut pair = Pair::new(short(), short());
    pair.protect_guide();
    pair.connect();
    pair.run_for(Duration::from_secs(5));
    let elsewhere = vec![PreSharedKey::new(ip("10.9.9.9"), 32, b"x")];
    let revoked = with_keys(elsewhere).policies(vec![SHORT]).build().unwrap();
    let (now, peer) = (pair.now, pair.hosts[0].peer.unwrap());
    pair.hosts[0].endpoint.set_config(now, Arc::new(revoked));
    pair.restart(1, with_keys(everybody(b"\0")).policies(vec![SHORT]).build().unwrap(), 77);
    let sent = pair.hosts[0].sent.len();
    // Renegotiation of phase 1, its end, and a re-keying after it.
    pair.run_for(Duration::from_secs(700));
    let (now, spi) = (pair.now, pair.hosts[0].inbound()[0].spi);
    pair.hosts[0].endpoint.handle_soft_expire(now, peer, spi);
    pair.run_for(Duration::from_secs(5));
    let main_mode = |message: &[u8]| message.get(18) == Some(&2);
    assert!(!pair.hosts[0].sent[sent..].iter().any(|(_, t)| main_mode(&t.payload)));
    let reason = CloseReason::NoPreSharedKey(ip(HUB));
    let failed = Event::Failed { peer, protection: TUNNEL, reason };
    assert!(pair.hosts[0].events.iter().any(|event| format!("{event:?}") == format!("{failed:?}")));
    assert_eq!(pair.hosts[1].endpoint.phase1().count(), 0);
}

/// The holder of one key, behind a NAT or pretending to be, cannot call itself by an address that
/// another key is for.
#[test]
fn an_identity_is_proved_by_its_own_key() {
    let evil_key = || PreSharedKey::new(ip("192.0.2.0"), 24, b"evil key");
    let host_key = PreSharedKey::new(ip(SPOKE), 32, b"key of the spoke");
    let bound = Identity::address(ip(SPOKE));
    let bound_key = PreSharedKey {
        identity: Some(bound.clone()),
        ..PreSharedKey::new(ip("203.0.113.1"), 32, b"x")
    };
    for victim in [host_key, bound_key] {
        let hub = with_keys(vec![victim, evil_key()]).build().unwrap();
        let evil = with_keys(everybody(b"evil key")).identity(bound.clone());
        let evil = evil.nat_traversal(forced()).build().unwrap();
        let mut pair = Pair::between(evil, "192.0.2.66", hub, HUB, 5);
        pair.protect_guide();
        pair.connect();
        pair.run_for(Duration::from_secs(5));
        assert_eq!(pair.hosts[1].endpoint.peers().count(), 0);
        let source_address = ip("192.0.2.66");
        assert!(pair.hosts[1].discards.contains(&Discard::IdentityMismatch { source_address }));
    }
}

/// A peer elsewhere that is called by an address is not who is found at that address.
#[test]
fn connecting_to_an_address_is_not_connecting_to_who_is_called_so() {
    let claims = guide_config().identity(Identity::address(ip(SPOKE))).nat_traversal(forced());
    let hub = guide_config().build().unwrap();
    let mut pair = Pair::between(claims.build().unwrap(), "192.0.2.66", hub, HUB, 5);
    pair.protect_guide();
    pair.connect();
    pair.run_for(Duration::from_secs(5));
    pair.assert_connected();
    let (now, claimant) = (pair.now, pair.hosts[1].peer.unwrap());
    let meant = pair.hosts[1].endpoint.connect(now, TUNNEL, ip(SPOKE)).unwrap();
    assert_ne!(meant, claimant);
}

/// Two sites with the same inside addresses, each behind a NAT of its own, are two peers.
#[test]
fn the_same_inside_address_behind_two_nats() {
    let (inside, spoke) = ("192.168.1.2", || guide_config().build().unwrap());
    let mut pair = Pair::between(spoke(), inside, guide_config().build().unwrap(), HUB, 3);
    pair.nats.push(pair::Nat::new(inside, "198.51.100.7"));
    pair.protect_guide();
    pair.connect();
    pair.run_for(Duration::from_secs(5));
    let (now, hub) = (pair.now, ip(HUB));
    pair.hosts[0] = Host::new(spoke(), ip(inside), 99, now);
    pair.hosts[0].endpoint.protect(now, TUNNEL, guide_protection(inside, Remote::Host(hub)));
    pair.nats = vec![pair::Nat::new(inside, "203.0.113.9")];
    pair.connect();
    pair.run_for(Duration::from_secs(5));
    let hub = &pair.hosts[1].endpoint;
    let outside: Vec<_> = hub.peers().map(|peer| peer.path.remote.ip().to_string()).collect();
    assert_eq!(outside, ["198.51.100.7", "203.0.113.9"]);
    assert_eq!(
        hub.phase2().filter(|pair| pair.enabled).count(),
        2,
        "INITIAL-CONTACT of one leaves the other"
    );
}

/// Renegotiation is with the same peer: a peer with a name keeps it.
#[test]
fn renegotiation_does_not_come_back_as_somebody_else() {
    let short = || guide_config().policies(vec![SHORT]);
    let mut pair = Pair::new(short().build().unwrap(), short().build().unwrap());
    pair.protect_guide();
    pair.connect();
    pair.run_for(Duration::from_secs(5));
    let other = Identity::address(ip("10.7.7.7"));
    let other = short().identity(other).nat_traversal(forced()).build().unwrap();
    pair.restart(1, other, 78);
    pair.run_for(Duration::from_secs(650));
    let identity = |event: &Event| match event {
        Event::Phase1Up { identity, .. } => Some(identity.to_string()),
        _ => None,
    };
    let up: Vec<_> = pair.hosts[0].events.iter().filter_map(identity).collect();
    assert_eq!(up, [HUB]);
    let changed = Discard::IdentityChanged {
        peer: Identity::address(ip(HUB)),
        proved: Identity::address(ip("10.7.7.7")),
    };
    assert!(pair.hosts[0].discards.contains(&changed));
    assert!(pair.hosts[0].endpoint.peers().all(|peer| peer.identity.unwrap().to_string() == HUB));
}
