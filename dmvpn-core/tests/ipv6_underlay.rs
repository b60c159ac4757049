//! The guide's routers on an IPv6 network: IKE, ESP, GRE and NHRP between IPv6 addresses, IPv4 inside.

extern crate alloc;

mod cloud;

use core::time::Duration;

use cloud::guide::{self, Settings, TUNNEL, ip};
use cloud::{Cloud, Driver, inner_packet};
use dmvpn_core::Transport;
use dmvpn_core::isakmp::NatTraversal;

const HUB: &str = "2001:db8:10::1";
const SPOKES: [&str; 2] = ["2001:db8:1::1", "2001:db8:2::1"];
const TUNNELS: [&str; 2] = [guide::SPOKE_TUNNEL, "10.1.1.2"];

/// A hub and two spokes, registered.
fn brought_up(settings: &Settings, driver: Driver) -> (Cloud, usize, [usize; 2]) {
    let mut cloud = Cloud::new(6);
    cloud.driver = driver;
    let hub = cloud.add(settings.hub_at(HUB));
    let spokes = [0, 1]
        .map(|number| cloud.add(settings.spoke_at("Spoke", SPOKES[number], TUNNELS[number], HUB)));
    let up = cloud.run_until(Duration::from_secs(20), |cloud| {
        spokes.iter().all(|spoke| guide::is_registered(cloud, *spoke))
    });
    assert!(up, "not registered:\n{}", cloud.routers[spokes[0]].debug.join("\n"));
    cloud.run_for(Duration::from_secs(1));
    (cloud, hub, spokes)
}

#[test]
fn spokes_register_and_traffic_passes_both_ways() {
    for driver in [Driver::Strict, Driver::Nervous] {
        let (mut cloud, hub, spokes) = brought_up(&Settings::default(), driver);
        for (spoke, tunnel) in spokes.into_iter().zip(TUNNELS) {
            assert!(cloud.reaches(spoke, hub, ip(guide::HUB_TUNNEL)));
            assert!(cloud.reaches(hub, spoke, ip(tunnel)));
        }
        let hello = inner_packet([10, 1, 1, 254], [224, 0, 0, 10], 7);
        assert_eq!(cloud.multicast(hub, &hello), 2);
        cloud.run_for(Duration::from_secs(1));
        for router in [hub, spokes[0], spokes[1]] {
            assert_eq!(cloud.routers[router].discards, 0);
            for (_, transmit) in &cloud.routers[router].sent {
                let underlay = &transmit.underlay;
                assert!(underlay.local.is_ipv6() && underlay.remote.is_ipv6());
                assert_ne!(underlay.transport, Transport::Gre, "nothing leaves in clear");
            }
        }
        let bindings: Vec<_> = cloud.routers[hub].node.nhrp_cache(TUNNEL).collect();
        for spoke in SPOKES {
            let bound = bindings.iter().any(|entry| format!("{entry:?}").contains(spoke));
            assert!(bound, "{spoke} in {bindings:?}");
        }
    }
}

#[test]
fn a_restarted_hub_is_found_again() {
    let (mut cloud, hub, spokes) = brought_up(&Settings::watchful(), Driver::Strict);
    cloud.restart(hub);
    cloud.run_for(Duration::from_secs(120));
    for spoke in spokes {
        assert!(guide::is_registered(&cloud, spoke));
        assert!(cloud.reaches(spoke, hub, ip(guide::HUB_TUNNEL)));
    }
}

/// ESP in UDP needs no NAT: forced, it works over IPv6 as well (RFC 3948 §2.1).
#[test]
fn encapsulation_can_be_forced() {
    let nat_traversal = NatTraversal { force_encapsulation: true, ..NatTraversal::default() };
    let settings = Settings { nat_traversal, ..Settings::default() };
    let (mut cloud, hub, spokes) = brought_up(&settings, Driver::Strict);
    assert!(cloud.reaches(spokes[0], hub, ip(guide::HUB_TUNNEL)));
    let sent = cloud.routers[spokes[0]].sent.iter();
    let native = sent.filter(|(_, transmit)| transmit.underlay.transport == Transport::Esp);
    assert_eq!(native.count(), 0);
}
