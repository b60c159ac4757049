//! A tunnel goes down in order: NHRP's purge is heard before the associations that carry it are deleted.

extern crate alloc;

mod cloud;

use core::time::Duration;

use cloud::guide::{self, Settings, TUNNEL, ip};
use cloud::{Cloud, Driver, Faults, inner_packet};
use dmvpn_core::{InterfaceState, NextHop, SendError, Transport, nhrp};

fn shut_down(cloud: &mut Cloud, router: usize) {
    let now = cloud.now;
    cloud.routers[router].node.shutdown(now, TUNNEL);
    cloud.drain(router);
}

fn state(cloud: &Cloud, router: usize) -> InterfaceState {
    cloud.routers[router].node.interface_state(TUNNEL).expect("the tunnel")
}

fn is_down(cloud: &Cloud, router: usize) -> bool {
    state(cloud, router) == InterfaceState::AdministrativelyDown
}

/// How many milliseconds after `since` a router sent what goes over a transport.
fn sent_after(cloud: &Cloud, router: usize, since: usize, transport: Transport) -> Vec<u128> {
    let sent = &cloud.routers[router].sent[since..];
    let start = sent[0].0;
    sent.iter()
        .filter(|(_, transmit)| transmit.underlay.transport == transport)
        .map(|(at, _)| at.saturating_duration_since(start).as_millis())
        .collect()
}

#[test]
fn the_deletes_go_when_the_server_has_answered_the_purge() {
    for driver in [Driver::Strict, Driver::Nervous] {
        let (mut cloud, hub, spoke) = guide::brought_up(&Settings::default(), 11);
        cloud.driver = driver;
        let since = cloud.routers[spoke].sent.len();
        shut_down(&mut cloud, spoke);
        assert_eq!(state(&cloud, spoke), InterfaceState::ShuttingDown);
        let purged = cloud.run_until(Duration::from_secs(1), |cloud| is_down(cloud, spoke));
        assert!(purged);
        // The purge at once; two deletes, of phase 2 and phase 1, after a round trip.
        assert_eq!(sent_after(&cloud, spoke, since, Transport::Esp), [0], "{driver:?}");
        assert_eq!(sent_after(&cloud, spoke, since, Transport::Isakmp), [20, 20], "{driver:?}");
        cloud.run_for(Duration::from_secs(1));
        assert_eq!(cloud.routers[hub].node.table_sizes().inbound, 0);
    }
}

#[test]
fn the_deletes_go_after_a_second_where_nobody_answers() {
    let (mut cloud, hub, spoke) = guide::brought_up(&Settings::default(), 12);
    cloud.routers[hub].online = false;
    let since = cloud.routers[spoke].sent.len();
    shut_down(&mut cloud, spoke);
    cloud.run_for(Duration::from_secs(60));
    assert!(is_down(&cloud, spoke));
    assert_eq!(sent_after(&cloud, spoke, since, Transport::Esp), [0]);
    assert_eq!(sent_after(&cloud, spoke, since, Transport::Isakmp), [1000, 1000]);
    let node = &cloud.routers[spoke].node;
    let sizes = node.table_sizes();
    assert_eq!((sizes.peers, sizes.places, sizes.sessions, sizes.inbound), (0, 0, 0, 0));
    assert_eq!(node.poll_timeout(), None);
}

#[test]
fn shut_down_again_it_waits_no_longer() {
    let (mut cloud, _, spoke) = guide::brought_up(&Settings::default(), 13);
    let since = cloud.routers[spoke].sent.len();
    shut_down(&mut cloud, spoke);
    shut_down(&mut cloud, spoke);
    assert!(is_down(&cloud, spoke));
    assert_eq!(sent_after(&cloud, spoke, since, Transport::Isakmp), [0, 0]);
    shut_down(&mut cloud, spoke);
    assert_eq!(cloud.routers[spoke].sent.len(), since + 3, "once is enough");
}

#[test]
fn no_shutdown_in_between_brings_it_up_anew() {
    let (mut cloud, _, spoke) = guide::brought_up(&Settings::default(), 14);
    shut_down(&mut cloud, spoke);
    let now = cloud.now;
    cloud.routers[spoke].node.no_shutdown(now, TUNNEL);
    cloud.drain(spoke);
    assert_eq!(state(&cloud, spoke), InterfaceState::Down);
    let registered =
        cloud.run_until(Duration::from_secs(30), |cloud| guide::is_registered(cloud, spoke));
    assert!(registered);
}

#[test]
fn nothing_but_nhrp_comes_in_while_it_shuts_down() {
    let (mut cloud, hub, spoke) = guide::brought_up(&Settings::default(), 15);
    shut_down(&mut cloud, spoke);
    let inner = inner_packet([10, 1, 1, 254], [10, 1, 1, 1], 1);
    let spoke_address = NextHop::Protocol(ip(guide::SPOKE_TUNNEL));
    cloud.send(hub, spoke_address, &inner).expect("the hub does not know yet");
    cloud.run_for(Duration::from_secs(2));
    assert!(cloud.routers[spoke].delivered.is_empty());
}

/// What was sent at the same instant arrived in any order: the hub heard the delete first, and kept
/// the registration for the holding time.
#[test]
fn the_purge_arrives_in_a_network_that_reorders() {
    for seed in 0..20 {
        let (mut cloud, hub, spoke) = guide::brought_up(&Settings::default(), seed);
        cloud.faults = Faults { jitter: Duration::from_millis(100), ..Faults::default() };
        shut_down(&mut cloud, spoke);
        cloud.run_for(Duration::from_secs(3));
        let node = &cloud.routers[hub].node;
        let dynamic = |entry: &nhrp::CacheView| entry.kind == nhrp::CacheKind::Dynamic;
        assert_eq!(node.nhrp_cache(TUNNEL).filter(dynamic).count(), 0, "seed {seed}");
    }
}

/// `no interface tunnel` waits for nobody: the tunnel and all that was for it are gone, at both ends, and
/// the same one may be configured again.
#[test]
fn a_tunnel_that_is_removed_is_gone_at_once_and_may_come_back() {
    let (mut cloud, hub, spoke) = guide::brought_up(&Settings::default(), 14);
    let (now, tunnel) = (cloud.now, cloud.routers[spoke].blueprint.tunnels[0].1.clone());
    cloud.routers[spoke].node.remove_tunnel(now, TUNNEL);
    cloud.drain(spoke);
    let node = &cloud.routers[spoke].node;
    assert_eq!(node.interface_state(TUNNEL), None);
    assert_eq!((node.table_sizes().peers, node.table_sizes().inbound), (0, 0));
    assert_eq!((node.isakmp().phase1().count(), node.isakmp().phase2().count()), (0, 0));
    let inner = inner_packet([10, 1, 1, 1], [10, 1, 1, 254], 1);
    let sent = cloud.send(spoke, NextHop::Protocol(ip(guide::HUB_TUNNEL)), &inner);
    assert_eq!(sent, Err(SendError::NoTunnel(TUNNEL)));
    cloud.run_for(Duration::from_secs(1));
    assert_eq!(cloud.routers[hub].node.table_sizes().inbound, 0, "it was told");

    let now = cloud.now;
    cloud.routers[spoke].node.add_tunnel(now, TUNNEL, tunnel).unwrap();
    cloud.drain(spoke);
    let again = |cloud: &Cloud| guide::is_registered(cloud, spoke);
    assert!(cloud.run_until(Duration::from_secs(30), again));
    assert!(cloud.reaches(spoke, hub, ip(guide::HUB_TUNNEL)));
}
