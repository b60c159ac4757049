//! What the guide's two routers know of each other's networks.

use core::net::Ipv4Addr;

use dmvpn_examples::ios::{InterfaceAddress, Router};
use dmvpn_examples::routes::Routes;

fn guide() -> (Router, Router) {
    let hub = Router::read(include_str!("../configs/hub.ios")).unwrap();
    let spoke = Router::read(include_str!("../configs/spoke.ios")).unwrap();
    (hub, spoke)
}

#[test]
fn the_guides_loopbacks_are_behind_the_tunnel() {
    let (hub, spoke) = guide();
    let at_hub = Routes::learned_from(&spoke, hub.tunnels[0].address);
    let at_spoke = Routes::learned_from(&hub, spoke.tunnels[0].address);
    for last in 1..=4 {
        let lan = Ipv4Addr::new(209, 165, 201, last);
        assert_eq!(at_hub.next_hop(lan), Some(Ipv4Addr::new(10, 1, 1, 1)));
        let lan = Ipv4Addr::new(203, 0, 113, last);
        assert_eq!(at_spoke.next_hop(lan), Some(Ipv4Addr::new(10, 1, 1, 254)));
    }
    // Not announced: the NBMA network, which would route the tunnel into itself.
    assert_eq!(at_hub.next_hop(Ipv4Addr::new(172, 16, 1, 1)), None);
    assert_eq!(at_hub.next_hop(Ipv4Addr::new(209, 165, 201, 5)), None);
}

#[test]
fn only_through_the_tunnel_that_both_share_and_only_what_is_announced() {
    let (hub, mut spoke) = guide();
    let elsewhere = InterfaceAddress { address: Ipv4Addr::new(10, 2, 2, 1), prefix_length: 24 };
    let lan = Ipv4Addr::new(209, 165, 201, 1);
    assert_eq!(Routes::learned_from(&spoke, elsewhere).next_hop(lan), None);
    spoke.eigrp.clear();
    assert_eq!(Routes::learned_from(&spoke, hub.tunnels[0].address).next_hop(lan), None);
}

#[test]
fn the_longest_prefix_wins() {
    let (hub, mut spoke) = guide();
    let tunnel = hub.tunnels[0].address;
    let mut routes = Routes::learned_from(&spoke, tunnel);
    // Another spoke announces the whole network.
    spoke.tunnels[0].address.address = Ipv4Addr::new(10, 1, 1, 2);
    spoke.loopbacks.truncate(1);
    spoke.loopbacks[0].address.as_mut().unwrap().prefix_length = 24;
    routes.extend(Routes::learned_from(&spoke, tunnel));
    let next_hop = |last| routes.next_hop(Ipv4Addr::new(209, 165, 201, last));
    assert_eq!(next_hop(1), Some(Ipv4Addr::new(10, 1, 1, 1)));
    assert_eq!(next_hop(9), Some(Ipv4Addr::new(10, 1, 1, 2)));
}
