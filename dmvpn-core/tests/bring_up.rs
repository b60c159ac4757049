//! The guide's scenario between two nodes, and what an operator does with it.

extern crate alloc;

mod cloud;

use alloc::sync::Arc;
use core::time::Duration;

use cloud::guide::{self, Settings, TUNNEL, ip};
use cloud::nat::Nat;
use cloud::{Cloud, inner_packet};
use dmvpn_core::isakmp::{EspEncryption, EspProposal, Jobs, Mode, NatTraversal};
use dmvpn_core::{
    Event, InterfaceState, IpsecProfile, NextHop, SendError, SocketState, Transport, TunnelConfig,
    TunnelConfigError, TunnelId, TunnelMode, nhrp,
};

#[test]
fn the_spoke_registers_and_traffic_passes_both_ways() {
    let (mut cloud, hub, spoke) = guide::brought_up(&Settings::default(), 1);
    assert!(cloud.reaches(spoke, hub, ip(guide::HUB_TUNNEL)));
    assert!(cloud.reaches(hub, spoke, ip(guide::SPOKE_TUNNEL)));
    let hello = inner_packet([10, 1, 1, 254], [224, 0, 0, 10], 7);
    assert_eq!(cloud.multicast(hub, &hello), 1);
    assert_eq!(cloud.multicast(spoke, &hello), 1);
    cloud.run_for(Duration::from_secs(1));
    for router in [hub, spoke] {
        assert!(cloud.routers[router].delivered.contains(&hello));
        assert_eq!(cloud.routers[router].discards, 0);
    }
}

/// The two registrations of the guide, 65540 and 65541, are 168 octets of IP each: 148 of ESP.
#[test]
fn registrations_have_the_guides_size_inside_esp() {
    let (cloud, hub, spoke) = guide::brought_up(&Settings::default(), 2);
    let esp_lengths = |router: usize| -> Vec<usize> {
        let sent = cloud.routers[router].sent.iter();
        sent.filter(|(_, transmit)| transmit.underlay.transport == Transport::Esp)
            .map(|(_, transmit)| transmit.packet.len())
            .collect()
    };
    assert_eq!(esp_lengths(spoke), [148, 148], "requests");
    assert_eq!(esp_lengths(hub), [172, 172], "replies");
    for router in [hub, spoke] {
        for (_, transmit) in &cloud.routers[router].sent {
            assert_eq!(transmit.underlay.traffic_class, 0xc0, "control traffic is CS6");
        }
    }
}

#[test]
fn packets_before_the_tunnel_is_up_are_dropped_and_counted() {
    let mut cloud = Cloud::new(3);
    let hub = cloud.add(Settings::default().hub());
    let spoke = cloud.add(Settings::default().spoke());
    let inner = inner_packet([10, 1, 1, 1], [10, 1, 1, 254], 1);
    let next_hop = NextHop::Protocol(ip(guide::HUB_TUNNEL));
    assert_eq!(cloud.send(spoke, next_hop, &inner), Err(SendError::InterfaceDown(TUNNEL)));
    // The hub is up from the start, and knows nobody.
    let next_hop = NextHop::Protocol(ip(guide::SPOKE_TUNNEL));
    let unresolved = SendError::Unresolved(ip(guide::SPOKE_TUNNEL));
    assert_eq!(cloud.send(hub, next_hop, &inner), Err(unresolved));
    assert_eq!(cloud.routers[hub].node.tunnel_counters(TUNNEL).map(|c| c.unresolved), Some(1));
}

#[test]
fn a_next_hop_resolves_where_a_packet_would_go() {
    let (cloud, hub, spoke) = guide::brought_up(&Settings::default(), 3);
    let resolves =
        |router: usize, id, address| cloud.routers[router].node.resolves(id, ip(address));
    // On the hub NHRP knows: who registered, and neither itself nor anybody else.
    assert!(resolves(hub, TUNNEL, guide::SPOKE_TUNNEL));
    assert!(!resolves(hub, TUNNEL, guide::HUB_TUNNEL));
    assert!(!resolves(hub, TUNNEL, "10.1.1.2"));
    // On the spoke the other end is behind every next hop.
    assert!(resolves(spoke, TUNNEL, guide::HUB_TUNNEL));
    assert!(resolves(spoke, TUNNEL, "2001:db8::1"));
    assert!(!resolves(spoke, TunnelId(9), guide::HUB_TUNNEL));
}

#[test]
fn the_hub_opens_the_socket_again_when_it_has_something_to_send() {
    let (mut cloud, hub, spoke) = guide::brought_up(&Settings::default(), 4);
    let peer = cloud.routers[hub].node.multicast_after(TUNNEL, None).expect("the spoke");
    let now = cloud.now;
    cloud.routers[hub].node.clear_session(now, peer);
    cloud.drain(hub);
    let inner = inner_packet([10, 1, 1, 254], [10, 1, 1, 1], 1);
    let next_hop = NextHop::Protocol(ip(guide::SPOKE_TUNNEL));
    assert_eq!(cloud.send(hub, next_hop, &inner), Err(SendError::NoSecurityAssociation));
    let session = cloud.routers[hub].node.ipsec_sas().next().expect("the spoke's");
    assert_eq!(session.counters.no_sa_send, 1);
    assert_eq!(cloud.routers[hub].node.tunnel_counters(TUNNEL).map(|c| c.no_sa), Some(1));
    cloud.run_for(Duration::from_secs(5));
    assert!(cloud.reaches(hub, spoke, ip(guide::SPOKE_TUNNEL)));
    assert!(cloud.reaches(spoke, hub, ip(guide::HUB_TUNNEL)));
}

#[test]
fn shutdown_says_goodbye_and_leaves_nothing_behind() {
    let (mut cloud, hub, spoke) = guide::brought_up(&Settings::default(), 5);
    let now = cloud.now;
    cloud.routers[spoke].node.shutdown(now, TUNNEL);
    cloud.drain(spoke);
    cloud.run_for(Duration::from_secs(120));
    assert_eq!(
        cloud.routers[spoke].node.interface_state(TUNNEL),
        Some(InterfaceState::AdministrativelyDown)
    );
    for router in [hub, spoke] {
        let node = &cloud.routers[router].node;
        let sizes = node.table_sizes();
        assert_eq!((sizes.peers, sizes.places, sizes.sessions, sizes.inbound), (0, 0, 0, 0));
        assert_eq!(node.isakmp().phase1().count(), 0);
        assert_eq!(node.isakmp().phase2().count(), 0);
        let dynamic = |entry: &nhrp::CacheView| entry.kind == nhrp::CacheKind::Dynamic;
        assert_eq!(node.nhrp_cache(TUNNEL).filter(dynamic).count(), 0);
        assert_eq!(node.poll_timeout(), None, "nothing is left to do for {router}");
    }
    let down = |(_, event): &(_, Event)| matches!(event, Event::PeerDown { .. });
    assert!(cloud.routers[hub].events.iter().any(down));
    // And up again.
    let now = cloud.now;
    cloud.routers[spoke].node.no_shutdown(now, TUNNEL);
    cloud.drain(spoke);
    let up = cloud.run_until(Duration::from_secs(10), |cloud| guide::is_registered(cloud, spoke));
    assert!(up);
}

#[test]
fn every_profile_carries_traffic() {
    let cbc = |encryption, integrity| EspProposal { encryption, integrity };
    use dmvpn_core::isakmp::EspIntegrity::{HmacSha256, HmacSha512};
    for (proposal, mode) in [
        (EspProposal::AES256_SHA256, Mode::Transport),
        (EspProposal::AES256_SHA256, Mode::Tunnel),
        (EspProposal::TRIPLE_DES_SHA1, Mode::Tunnel),
        (cbc(EspEncryption::Aes128Gcm16, None), Mode::Transport),
        (cbc(EspEncryption::Aes256Gcm16, None), Mode::Tunnel),
        (cbc(EspEncryption::Aes192Cbc, Some(HmacSha512)), Mode::Transport),
        (cbc(EspEncryption::Aes128Cbc, Some(HmacSha256)), Mode::Transport),
    ] {
        let profile =
            IpsecProfile { proposals: vec![proposal], mode, ..IpsecProfile::new("OTHER") };
        let settings = Settings { profile: Some(profile), ..Settings::default() };
        let (mut cloud, hub, spoke) = guide::brought_up(&settings, 6);
        assert!(cloud.reaches(spoke, hub, ip(guide::HUB_TUNNEL)), "{proposal:?} {mode:?}");
        assert!(cloud.reaches(hub, spoke, ip(guide::SPOKE_TUNNEL)), "{proposal:?} {mode:?}");
    }
}

#[test]
fn without_protection_gre_goes_in_clear() {
    let settings = Settings { profile: None, ..Settings::default() };
    let mut cloud = Cloud::new(7);
    cloud.clear_allowed = true;
    let hub = cloud.add(settings.hub());
    let spoke = cloud.add(settings.spoke());
    let up = cloud.run_until(Duration::from_secs(10), |cloud| guide::is_registered(cloud, spoke));
    assert!(up, "{}", cloud.routers[spoke].debug.join("\n"));
    assert!(cloud.reaches(spoke, hub, ip(guide::HUB_TUNNEL)));
    assert!(cloud.reaches(hub, spoke, ip(guide::SPOKE_TUNNEL)));
}

/// Two tunnels on one source address share the protection; the GRE key tells them apart.
#[test]
fn two_tunnels_share_one_protection() {
    let settings = Settings::default();
    let second = |mut blueprint: cloud::Blueprint, tunnel_address: &str| {
        let mode = match blueprint.name {
            "Hub" => TunnelMode::Multipoint,
            _ => TunnelMode::PointToPoint { destination: ip(guide::HUB) },
        };
        let other = settings.second_tunnel(blueprint.address, mode, tunnel_address);
        blueprint.tunnels.push((TunnelId(1), other));
        blueprint
    };
    let mut cloud = Cloud::new(8);
    let hub = cloud.add(second(settings.hub(), "10.2.2.254"));
    let spoke = cloud.add(second(settings.spoke(), "10.2.2.1"));
    let both = |cloud: &Cloud| {
        [TUNNEL, TunnelId(1)].iter().all(|id| {
            let up = nhrp::ServerState::Responding;
            cloud.routers[spoke].node.nhrp_servers(*id).any(|server| server.state == up)
        })
    };
    assert!(cloud.run_until(Duration::from_secs(10), both));
    assert_eq!(cloud.routers[spoke].node.isakmp().phase2().count(), 1, "one pair for both");
    let inner = inner_packet([10, 2, 2, 1], [10, 2, 2, 254], 9);
    let next_hop = NextHop::Protocol(ip("10.2.2.254"));
    cloud.send_into(spoke, TunnelId(1), next_hop, &inner).expect("the second tunnel is up");
    cloud.run_for(Duration::from_secs(1));
    assert!(cloud.routers[hub].delivered.contains(&inner));
}

#[test]
fn jobs_taken_out_of_the_loop_give_the_same_tunnel() {
    let settings = Settings { jobs: Jobs::OutOfLine, ..Settings::default() };
    let mut cloud = Cloud::new(9);
    let hub = cloud.add(settings.hub());
    let spoke = cloud.add(settings.spoke());
    let mut ran = 0;
    for _ in 0..200 {
        cloud.run_for(Duration::from_millis(20));
        for router in [hub, spoke] {
            // The job runs on a thread of its own, as an embedder would have it.
            while let Some(job) = cloud.routers[router].node.poll_job() {
                let result = std::thread::scope(|scope| scope.spawn(|| job.run()).join());
                let now = cloud.now;
                let node = &mut cloud.routers[router].node;
                node.handle_job(now, result.expect("a pure job")).expect("it is waited for");
                cloud.drain(router);
                ran += 1;
            }
        }
    }
    assert!(guide::is_registered(&cloud, spoke));
    assert!(ran >= 2, "{ran} jobs ran");
}

/// A tunnel added later shares the open socket, also where ESP goes in UDP.
#[test]
fn a_tunnel_added_later_joins_the_open_socket() {
    for force_encapsulation in [false, true] {
        let nat_traversal = NatTraversal { force_encapsulation, ..NatTraversal::default() };
        let settings = Settings { nat_traversal, ..Settings::default() };
        let (mut cloud, hub, spoke) = guide::brought_up(&settings, 10);
        let now = cloud.now;
        for (router, mode, address) in [
            (hub, TunnelMode::Multipoint, "10.2.2.254"),
            (spoke, TunnelMode::PointToPoint { destination: ip(guide::HUB) }, "10.2.2.1"),
        ] {
            let source = cloud.routers[router].blueprint.address;
            let tunnel = settings.second_tunnel(source, mode, address);
            let node = &mut cloud.routers[router].node;
            node.add_tunnel(now, TunnelId(1), tunnel).expect("another key");
            cloud.drain(router);
        }
        cloud.run_for(Duration::from_secs(5));
        let node = &cloud.routers[spoke].node;
        assert_eq!(node.interface_state(TunnelId(1)), Some(InterfaceState::Up));
        assert_eq!(node.table_sizes().peers, 1, "one peer, one socket");
        let responding = nhrp::ServerState::Responding;
        assert!(node.nhrp_servers(TunnelId(1)).any(|server| server.state == responding));
    }
}

/// The hub's NAT got another address, and the spoke followed: who is called where the hub was is
/// still that peer, and not a second one.
#[test]
fn a_tunnel_to_where_the_peer_was_joins_its_socket() {
    const INSIDE: &str = "10.9.0.1";
    let settings = Settings::default();
    let mut cloud = Cloud::new(12);
    cloud.nat(ip(INSIDE), Nat::one_to_one(ip(INSIDE), ip("192.0.2.7")));
    let hub = cloud.add(settings.hub_at(INSIDE));
    let spoke =
        cloud.add(settings.spoke_at("Spoke1", guide::SPOKE, guide::SPOKE_TUNNEL, "192.0.2.7"));
    let up = cloud.run_until(Duration::from_secs(10), |cloud| guide::is_registered(cloud, spoke));
    assert!(up);
    cloud.nat_mut(ip(INSIDE)).outside = ip("192.0.2.8");
    assert!(cloud.reaches(hub, spoke, ip(guide::SPOKE_TUNNEL)));
    let moved = |(_, event): &(_, Event)| matches!(event, Event::PeerMoved { .. });
    assert!(cloud.routers[spoke].events.iter().any(moved));

    let now = cloud.now;
    let destination = ip("192.0.2.7");
    for (router, mode, address) in [
        (hub, TunnelMode::Multipoint, "10.2.2.254"),
        (spoke, TunnelMode::PointToPoint { destination }, "10.2.2.1"),
    ] {
        let source = cloud.routers[router].blueprint.address;
        let tunnel = settings.second_tunnel(source, mode, address);
        cloud.routers[router].node.add_tunnel(now, TunnelId(1), tunnel).expect("another key");
        cloud.drain(router);
    }
    cloud.run_for(Duration::from_secs(5));
    let node = &cloud.routers[spoke].node;
    assert_eq!(node.table_sizes().peers, 1, "one peer, one socket");
    assert_eq!(node.isakmp().phase2().count(), 1, "one pair for both");
    let inner = inner_packet([10, 2, 2, 1], [10, 2, 2, 254], 9);
    let next_hop = NextHop::Protocol(ip("10.2.2.254"));
    cloud.send_into(spoke, TunnelId(1), next_hop, &inner).expect("the second tunnel is up");
    cloud.run_for(Duration::from_secs(1));
    assert!(cloud.routers[hub].delivered.contains(&inner));
    assert!(cloud.reaches(hub, spoke, ip(guide::SPOKE_TUNNEL)), "and the first still is");
}

/// A data packet while an association waits for the peer's confirmation leaves the socket open.
#[test]
fn a_packet_before_the_association_is_enabled_changes_no_state() {
    let mut cloud = Cloud::new(11);
    let hub = cloud.add(Settings::default().hub());
    let spoke = cloud.add(Settings::default().spoke());
    let up = |cloud: &Cloud| {
        cloud.routers[hub].events.iter().any(|(_, event)| matches!(event, Event::PeerUp { .. }))
    };
    assert!(cloud.run_until(Duration::from_secs(5), up));
    let peer = cloud.routers[hub].node.sessions().next().expect("the spoke").peer;
    let inner = inner_packet([10, 1, 1, 254], [10, 1, 1, 1], 1);
    let sent = cloud.send(hub, NextHop::Peer(peer), &inner);
    assert_eq!(sent, Err(SendError::NoSecurityAssociation), "QM3 is still to come");
    let open = |cloud: &Cloud| {
        cloud.routers[hub].node.crypto_sockets().all(|socket| socket.state == SocketState::Open)
    };
    assert!(open(&cloud));
    cloud.run_for(Duration::from_secs(2 * 3600));
    assert!(open(&cloud) && guide::is_registered(&cloud, spoke));
    let ups = cloud.routers[hub].events.iter();
    assert_eq!(ups.filter(|(_, event)| matches!(event, Event::PeerUp { .. })).count(), 1);
}

#[test]
fn a_peer_of_another_tunnel_is_refused() {
    let (mut cloud, _, spoke) = guide::brought_up(&Settings::default(), 12);
    let peer = cloud.routers[spoke].node.multicast_after(TUNNEL, None).expect("the hub");
    let nhrp = nhrp::Config::builder("Tunnel1", ip("10.9.9.1"), 24, ip("172.16.1.2")).build();
    let tunnel = TunnelConfig::builder(
        ip("172.16.1.2"),
        TunnelMode::PointToPoint { destination: ip("172.16.10.2") },
        Arc::new(nhrp.expect("a valid configuration")),
    );
    let tunnel = tunnel.build().expect("a tunnel without protection");
    let now = cloud.now;
    let node = &mut cloud.routers[spoke].node;
    node.add_tunnel(now, TunnelId(1), tunnel).expect("another source");
    cloud.clear_allowed = true;
    cloud.drain(spoke);
    let inner = inner_packet([10, 9, 9, 1], [10, 9, 9, 2], 1);
    let sent = cloud.send_into(spoke, TunnelId(1), NextHop::Peer(peer), &inner);
    assert_eq!(sent, Err(SendError::NoPeer(peer)));
}

#[test]
fn a_transform_set_that_does_not_authenticate_is_refused() {
    let encryption = EspEncryption::Aes256Cbc;
    let proposals = vec![EspProposal { encryption, integrity: None }];
    let profile = IpsecProfile { proposals, ..IpsecProfile::new("WEAK") };
    let nhrp = nhrp::Config::builder("Tunnel0", ip("10.1.1.1"), 24, ip(guide::SPOKE)).build();
    let tunnel = TunnelConfig::builder(
        ip(guide::SPOKE),
        TunnelMode::Multipoint,
        Arc::new(nhrp.expect("a valid configuration")),
    );
    let refused = TunnelConfigError::Transform { profile: "WEAK".into() };
    assert_eq!(tunnel.protection(profile).build().err(), Some(refused));
}
