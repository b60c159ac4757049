//! Quick mode's identities: what two sides with different ideas of the traffic agree on.

#![allow(clippy::wildcard_enum_match_arm, reason = "a test looks at what it is about")]

mod pair;

use core::time::Duration;

use dmvpn_isakmp::wire::NotifyType;
use dmvpn_isakmp::{
    CloseReason, Config, Deviation, Event, OriginalAddresses, Protection, Proxies, Remote, Trace,
};
use pair::{HUB, Nat, Pair, SPOKE, TUNNEL, guide_config, guide_protection, ip};

fn config() -> Config {
    guide_config().build().unwrap()
}

/// A spoke that asks for one IP protocol, and a hub that protects another.
fn between(spoke: u8, hub: u8) -> Pair {
    let mut pair = Pair::new(config(), config());
    let now = pair.now;
    for (host, local, remote, protocol) in
        [(0, SPOKE, Remote::Host(ip(HUB)), spoke), (1, HUB, Remote::Any, hub)]
    {
        let proxies = Proxies::Endpoints { protocol };
        let protection = Protection { proxies, ..guide_protection(local, remote) };
        pair.hosts[host].endpoint.protect(now, TUNNEL, protection);
    }
    pair.connect();
    pair.run_for(Duration::from_secs(5));
    pair
}

#[test]
fn all_protocols_are_narrowed_to_gre() {
    let pair = between(0, 47);
    pair.assert_connected();
    for host in &pair.hosts {
        for sa in host.installed.values() {
            assert_eq!((sa.selectors.local.protocol, sa.selectors.remote.protocol), (47, 47));
            assert_eq!(sa.original_addresses, OriginalAddresses::default());
        }
        let narrowed = Trace::Deviation(Deviation::ProxiesNarrowed);
        assert!(host.traces.iter().any(|traced| traced.trace == narrowed));
    }
}

#[test]
fn a_part_of_what_is_protected_is_taken() {
    let pair = between(47, 0);
    pair.assert_connected();
    for host in &pair.hosts {
        for sa in host.installed.values() {
            assert_eq!((sa.selectors.local.protocol, sa.selectors.remote.protocol), (47, 47));
        }
    }
}

#[test]
fn other_traffic_is_refused() {
    let pair = between(17, 47);
    assert!(pair.hosts.iter().all(|host| host.installed.is_empty()));
    let reason = CloseReason::PeerRefused(NotifyType::INVALID_ID_INFORMATION);
    let failed = |event: &Event| matches!(event, Event::Failed { reason: r, .. } if *r == reason);
    assert!(pair.hosts[0].events.iter().any(failed));
}

/// Each side knows what the other calls the two ends (RFC 3947 §5.2).
#[test]
fn original_addresses_are_kept() {
    let (inside, outside) = ("192.168.1.2", "198.51.100.7");
    let mut pair = Pair::between(config(), inside, config(), HUB, 5);
    pair.nats.push(Nat::new(inside, outside));
    pair.protect_guide();
    pair.connect();
    pair.run_for(Duration::from_secs(5));
    pair.assert_connected();
    let spoke = OriginalAddresses { local: Some(ip(outside)), remote: Some(ip(HUB)) };
    let hub = OriginalAddresses { local: Some(ip(HUB)), remote: Some(ip(inside)) };
    for (host, expected) in pair.hosts.iter().zip([spoke, hub]) {
        assert!(host.installed.values().all(|sa| sa.original_addresses == expected));
    }
}
