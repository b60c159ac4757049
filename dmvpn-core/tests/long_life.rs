//! Days of virtual time: re-keying, restarts, NATs.

extern crate alloc;

mod cloud;

use core::time::Duration;

use cloud::guide::{self, Settings, TUNNEL, ip};
use cloud::nat::Nat;
use cloud::{Cloud, Driver, Faults};
use dmvpn_core::isakmp::NatTraversal;
use dmvpn_core::{Event, NextHop};

const HOUR: Duration = Duration::from_secs(3600);

/// One pair of current associations at each side, and nothing of the past.
fn assert_tidy(cloud: &Cloud, routers: &[usize]) {
    for router in routers {
        let node = &cloud.routers[*router].node;
        let current = node.isakmp().phase2().filter(|child| !child.superseded).count();
        assert_eq!(current, routers.len() - 1, "{router}: current pairs");
        let sizes = node.table_sizes();
        assert_eq!(sizes.peers, routers.len() - 1, "{router}: peers");
        assert!(sizes.inbound <= 2 * (routers.len() - 1), "{router}: {sizes:?}");
        assert!(node.isakmp().phase1().count() <= 2 * (routers.len() - 1), "{router}: phase 1");
        let dynamic = node.nhrp_cache(TUNNEL).filter(|entry| !entry.is_local()).count();
        assert_eq!(dynamic, routers.len() - 1, "{router}: cache");
    }
}

#[test]
fn two_days_with_traffic_and_loss() {
    let (mut cloud, hub, spoke) = guide::brought_up(&Settings::watchful(), 1);
    cloud.faults = Faults { loss: 20, jitter: Duration::from_millis(20), ..Faults::default() };
    let mut lost = 0;
    for minute in 0..48 * 60 {
        cloud.run_for(Duration::from_secs(60));
        if minute % 5 == 0 {
            lost += u32::from(!cloud.reaches(spoke, hub, ip(guide::HUB_TUNNEL)));
            lost += u32::from(!cloud.reaches(hub, spoke, ip(guide::SPOKE_TUNNEL)));
            for router in [hub, spoke] {
                cloud.routers[router].debug.clear();
                cloud.routers[router].delivered.clear();
                cloud.routers[router].sent.clear();
            }
        }
    }
    cloud.faults = Faults::default();
    cloud.run_for(Duration::from_secs(120));
    assert_tidy(&cloud, &[hub, spoke]);
    assert!(cloud.reaches(spoke, hub, ip(guide::HUB_TUNNEL)));
    assert!(cloud.reaches(hub, spoke, ip(guide::SPOKE_TUNNEL)));
    // Of 1152 packets the network itself loses two per cent.
    assert!(lost < 60, "{lost} packets lost");
    let counters = cloud.routers[spoke].node.isakmp().counters();
    assert!(counters.phase2_completed >= 47, "{counters:?}");
    assert!(counters.phase1_completed >= 2, "{counters:?}");
    let down = |(_, event): &&(_, Event)| matches!(event, Event::PeerDown { .. });
    assert_eq!(cloud.routers[spoke].events.iter().filter(down).count(), 0, "never down");
}

#[test]
fn either_side_restarts_without_memory() {
    for seed in 0..4 {
        let (mut cloud, hub, spoke) = guide::brought_up(&Settings::watchful(), seed);
        for router in [hub, spoke, spoke, hub] {
            cloud.restart(router);
            let reachable = |cloud: &mut Cloud| {
                cloud.reaches(spoke, hub, ip(guide::HUB_TUNNEL))
                    && cloud.reaches(hub, spoke, ip(guide::SPOKE_TUNNEL))
            };
            let mut recovered = false;
            for _ in 0..30 {
                cloud.run_for(Duration::from_secs(10));
                if reachable(&mut cloud) {
                    recovered = true;
                    break;
                }
            }
            assert!(recovered, "seed {seed}, restart of {router}");
        }
        cloud.run_for(2 * HOUR);
        assert_tidy(&cloud, &[hub, spoke]);
    }
}

#[test]
fn behind_a_nat_esp_goes_in_udp() {
    let mut cloud = Cloud::new(2);
    cloud.nat(ip(guide::SPOKE), Nat::port_translating(ip("198.51.100.1"), 20_000));
    let hub = cloud.add(Settings::watchful().hub());
    let spoke = cloud.add(Settings::watchful().spoke());
    let up = cloud.run_until(Duration::from_secs(10), |cloud| guide::is_registered(cloud, spoke));
    assert!(up, "{}", cloud.routers[spoke].debug.join("\n"));
    assert!(cloud.reaches(spoke, hub, ip(guide::HUB_TUNNEL)));
    assert!(cloud.reaches(hub, spoke, ip(guide::SPOKE_TUNNEL)));
    let entry = cloud.routers[hub].node.nhrp_cache(TUNNEL).find(|entry| !entry.is_local());
    let entry = entry.expect("the spoke's");
    assert!(entry.flags.nat, "{entry:?}");
    assert_eq!(entry.nbma, Some(ip("198.51.100.1")));
    // The NAT forgets and gives new ports: the next authenticated packet moves the peer.
    cloud.nat_mut(ip(guide::SPOKE)).rebind();
    cloud.run_for(Duration::from_secs(60));
    assert!(cloud.reaches(spoke, hub, ip(guide::HUB_TUNNEL)));
    assert!(cloud.reaches(hub, spoke, ip(guide::SPOKE_TUNNEL)));
    cloud.run_for(3 * HOUR);
    assert_tidy(&cloud, &[hub, spoke]);
}

#[test]
fn two_spokes_behind_one_nat_address() {
    let mut cloud = Cloud::new(3);
    let settings = Settings::watchful();
    cloud.nat(ip("192.168.1.1"), Nat::port_translating(ip("198.51.100.1"), 20_000));
    cloud.nat(ip("192.168.1.2"), Nat::port_translating(ip("198.51.100.1"), 30_000));
    let hub = cloud.add(settings.hub());
    let one = cloud.add(settings.spoke_at("Spoke1", "192.168.1.1", "10.1.1.1", guide::HUB));
    let two = cloud.add(settings.spoke_at("Spoke2", "192.168.1.2", "10.1.1.2", guide::HUB));
    let both = |cloud: &Cloud| guide::is_registered(cloud, one) && guide::is_registered(cloud, two);
    assert!(cloud.run_until(Duration::from_secs(30), both));
    for (spoke, address) in [(one, "10.1.1.1"), (two, "10.1.1.2")] {
        assert!(cloud.reaches(spoke, hub, ip(guide::HUB_TUNNEL)), "{address}");
        assert!(cloud.reaches(hub, spoke, ip(address)), "{address}");
    }
    cloud.run_for(24 * HOUR);
    for (spoke, address) in [(one, "10.1.1.1"), (two, "10.1.1.2")] {
        assert!(cloud.reaches(spoke, hub, ip(guide::HUB_TUNNEL)), "{address} a day later");
        assert!(cloud.reaches(hub, spoke, ip(address)), "{address} a day later");
    }
    assert_eq!(cloud.routers[hub].node.table_sizes().peers, 2);
}

#[test]
fn forced_encapsulation_needs_no_nat() {
    let forced = NatTraversal { force_encapsulation: true, ..NatTraversal::default() };
    let settings = Settings { nat_traversal: forced, ..Settings::default() };
    let (mut cloud, hub, spoke) = guide::brought_up(&settings, 4);
    assert!(cloud.reaches(spoke, hub, ip(guide::HUB_TUNNEL)));
    assert!(cloud.reaches(hub, spoke, ip(guide::SPOKE_TUNNEL)));
    for router in [hub, spoke] {
        assert!(
            cloud.routers[router].sent.iter().all(|(_, transmit)| {
                transmit.underlay.transport == dmvpn_core::Transport::NatT
            })
        );
    }
}

/// The dead spoke's binding goes with its holding time, and nothing of it is left.
#[test]
fn a_spoke_that_vanishes_is_forgotten() {
    let settings = Settings { holding_time: 600, ..Settings::watchful() };
    let (mut cloud, hub, spoke) = guide::brought_up(&settings, 5);
    cloud.routers[spoke].online = false;
    cloud.run_for(2 * HOUR);
    let node = &cloud.routers[hub].node;
    let sizes = node.table_sizes();
    assert_eq!((sizes.peers, sizes.places, sizes.sessions, sizes.inbound), (0, 0, 0, 0));
    assert_eq!(node.nhrp_cache(TUNNEL).filter(|entry| !entry.is_local()).count(), 0);
    assert_eq!(node.multicast_after(TUNNEL, None), None);
    let next_hop = NextHop::Protocol(ip(guide::SPOKE_TUNNEL));
    let inner = cloud::inner_packet([10, 1, 1, 254], [10, 1, 1, 1], 1);
    assert!(cloud.send(hub, next_hop, &inner).is_err());
}

/// Strict and nervous drivers tell the same story; a late one ends in the same place.
#[test]
fn drivers_agree() {
    let story = |driver: Driver, seed: u64| {
        let mut cloud = Cloud::new(seed);
        cloud.driver = driver;
        cloud.faults = Faults { loss: 100, duplication: 50, ..Faults::default() };
        let hub = cloud.add(Settings::watchful().hub());
        let spoke = cloud.add(Settings::watchful().spoke());
        cloud.run_for(2 * HOUR);
        let told = |router: usize| {
            let router = &cloud.routers[router];
            (router.sent.clone(), router.events.clone(), router.debug.clone())
        };
        (told(hub), told(spoke))
    };
    for seed in 0..3 {
        let strict = story(Driver::Strict, seed);
        let nervous = story(Driver::Nervous, seed);
        for (strict, nervous) in [(&strict.0, &nervous.0), (&strict.1, &nervous.1)] {
            assert_eq!(strict.0.len(), nervous.0.len(), "seed {seed}: packets");
            assert!(strict.0 == nervous.0, "seed {seed}: other packets");
            assert_eq!(strict.1, nervous.1, "seed {seed}");
            assert_eq!(strict.2, nervous.2, "seed {seed}");
        }
    }
    let mut late = Cloud::new(9);
    late.driver = Driver::Late;
    let hub = late.add(Settings::watchful().hub());
    let spoke = late.add(Settings::watchful().spoke());
    late.run_for(2 * HOUR);
    assert!(guide::is_registered(&late, spoke));
    assert_tidy(&late, &[hub, spoke]);
}

/// Without dead peer detection, ESP alone tells the hub where the NAT has moved the spoke.
#[test]
fn after_a_rebinding_esp_moves_the_peer() {
    let mut cloud = Cloud::new(6);
    cloud.nat(ip(guide::SPOKE), Nat::port_translating(ip("198.51.100.1"), 20_000));
    let hub = cloud.add(Settings::default().hub());
    let spoke = cloud.add(Settings::default().spoke());
    let up = cloud.run_until(Duration::from_secs(10), |cloud| guide::is_registered(cloud, spoke));
    assert!(up);
    cloud.nat_mut(ip(guide::SPOKE)).rebind();
    assert!(cloud.reaches(spoke, hub, ip(guide::HUB_TUNNEL)));
    assert!(cloud.reaches(hub, spoke, ip(guide::SPOKE_TUNNEL)));
    let moved = |(_, event): &(_, Event)| matches!(event, Event::PeerMoved { .. });
    assert!(cloud.routers[hub].events.iter().any(moved));
}

/// The hub's deletes are lost, and phase 1 is up again by itself: the first packet that the spoke
/// sends on what is no more makes the hub say so.
#[test]
fn a_lost_delete_is_noticed_with_the_first_packet() {
    let (mut cloud, hub, spoke) = guide::brought_up(&Settings::watchful(), 7);
    cloud.faults = Faults { loss: 1000, ..Faults::default() };
    let now = cloud.now;
    cloud.routers[hub].node.shutdown(now, TUNNEL);
    cloud.routers[hub].node.no_shutdown(now, TUNNEL);
    cloud.drain(hub);
    cloud.run_for(Duration::from_millis(100));
    cloud.faults = Faults::default();
    cloud.run_for(Duration::from_secs(120));
    cloud.reaches(spoke, hub, ip(guide::HUB_TUNNEL));
    cloud.run_for(Duration::from_secs(10));
    assert!(cloud.reaches(spoke, hub, ip(guide::HUB_TUNNEL)));
    assert!(cloud.reaches(hub, spoke, ip(guide::SPOKE_TUNNEL)));
}
