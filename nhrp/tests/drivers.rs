//! The contract: whoever drives the endpoints, and whatever the network does, the same comes out,
//! or at least what must.

#[path = "support/cloud.rs"]
#[allow(dead_code, reason = "each test uses what it needs")]
mod cloud;

extern crate alloc;

use alloc::collections::BTreeSet;
use core::time::Duration;

use cloud::{Cloud, Driver, Faults, Given, hub, identity, spoke};
use dmvpn_nhrp::{CacheKind, Endpoint, Event, ServerState};
use dmvpn_time::Instant;

const HUB: usize = 0;
const SPOKES: [usize; 3] = [1, 2, 3];

/// A hub and three spokes, two of them behind one NAT.
fn cloud(driver: Driver, seed: u64, faults: Faults) -> Cloud {
    let mut cloud = Cloud::new(driver, seed);
    cloud.faults = faults;
    cloud.add(hub(), "172.16.10.1", "172.16.10.1");
    for n in [1, 2, 3] {
        let inside = format!("172.16.{n}.1");
        let outside = if n == 1 { inside.clone() } else { "192.0.2.2".to_owned() };
        let node = cloud.add(spoke(n).holding_time(600), &inside, &outside);
        cloud.nodes[node].identity = identity(&inside);
    }
    for node in 0..4 {
        cloud.command(node, Endpoint::interface_up);
        cloud.command(node, Endpoint::register);
    }
    cloud
}

/// Some hours in the life of a cloud.
fn life(driver: Driver, seed: u64, faults: Faults) -> Cloud {
    let mut cloud = cloud(driver, seed, faults);
    for spoke in SPOKES {
        cloud.connect(HUB, spoke);
        cloud.run_for(Duration::from_millis(350));
    }
    cloud.command(1, Endpoint::register);
    cloud.run_for(Duration::from_secs(1000));
    // The way to one goes and comes back.
    cloud.disconnect(HUB, 1);
    cloud.run_for(Duration::from_secs(70));
    cloud.connect(HUB, 1);
    cloud.run_for(Duration::from_secs(30));
    // One roams: it is seen elsewhere.
    cloud.nodes[2].outside = cloud::ip("198.51.100.7");
    let link = cloud.link(HUB, 2);
    cloud.command(HUB, |endpoint, now| endpoint.link_up(now, &link));
    cloud.run_for(Duration::from_secs(400));
    // One restarts, and then the hub; nobody says goodbye.
    cloud.restart(3, spoke(3).holding_time(600), 77);
    cloud.connect(HUB, 3);
    cloud.run_for(Duration::from_secs(500));
    cloud.restart(HUB, hub(), 78);
    for spoke in SPOKES {
        cloud.connect(HUB, spoke);
    }
    cloud.run_for(Duration::from_secs(2000));
    cloud
}

/// What holds however late or lossy everything was.
fn assert_invariants(cloud: &Cloud) {
    for (number, node) in cloud.nodes.iter().enumerate() {
        let (mut entries, mut multicast, mut up) =
            (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for (_, event) in &node.given.events {
            match event {
                Event::CacheAdded { target, link, .. } => assert!(entries.insert((*target, *link))),
                Event::CacheRemoved { target, link, .. } => {
                    assert!(entries.remove(&(*target, *link)), "{number}: {event:?}");
                }
                Event::MulticastAdded { link } => assert!(multicast.insert(*link)),
                Event::MulticastRemoved { link } => assert!(multicast.remove(link)),
                Event::NhsUp { address } => assert!(up.insert(*address)),
                Event::NhsDown { address } => assert!(up.remove(address)),
                Event::RegistrationRefused { .. }
                | Event::CacheUpdated { .. }
                | Event::AuthenticationFailed { .. }
                | Event::ErrorReported { .. }
                | _ => {}
            }
        }
        let (cache, _, _, map) = cloud::state(&node.endpoint, Instant::EPOCH);
        let seen: BTreeSet<_> = cache
            .iter()
            .filter(|entry| entry.kind != CacheKind::Incomplete)
            .map(|entry| (entry.target, entry.link))
            .collect();
        assert_eq!(entries, seen, "{number}");
        assert_eq!(multicast, map.into_iter().collect::<BTreeSet<_>>());
    }
}

fn assert_converged(cloud: &Cloud) {
    assert_eq!(cloud.cache(HUB).len(), 3);
    for spoke in SPOKES {
        assert_eq!(cloud.servers(spoke)[0].state, ServerState::Responding);
    }
}

const FAULTS: Faults = Faults { loss: 20, duplication: 20, reordering: 20 };

#[test]
fn strict_and_nervous_drivers_get_the_same() {
    for (seed, faults) in [(1, Faults::default()), (2, FAULTS), (3, FAULTS)] {
        let given = |driver| -> Vec<Given> {
            let cloud = life(driver, seed, faults);
            cloud.nodes.into_iter().map(|node| node.given).collect()
        };
        let (strict, nervous) = (given(Driver::Strict), given(Driver::Nervous));
        assert!(strict[HUB].transmits.len() > 20);
        assert!(strict.iter().all(|given| given.traces.len() > 50));
        assert_eq!(strict, nervous, "seed {seed}");
    }
}

#[test]
fn without_faults_everybody_is_registered_in_the_end() {
    for driver in [Driver::Strict, Driver::Late] {
        let cloud = life(driver, 4, Faults::default());
        assert_invariants(&cloud);
        assert_converged(&cloud);
    }
}

#[test]
fn under_loss_duplication_and_reordering_everybody_is_registered_in_the_end() {
    for seed in 10..20 {
        let mut cloud = life(Driver::Late, seed, FAULTS);
        assert_invariants(&cloud);
        // The network recovers.
        cloud.faults = Faults::default();
        cloud.run_for(Duration::from_secs(300));
        assert_invariants(&cloud);
        assert_converged(&cloud);
    }
}

#[test]
fn two_days_leave_nothing_behind() {
    let mut cloud = life(Driver::Strict, 30, FAULTS);
    cloud.run_for(Duration::from_secs(48 * 3600));
    assert_invariants(&cloud);
    cloud.faults = Faults::default();
    cloud.run_for(Duration::from_secs(300));
    assert_converged(&cloud);
    for spoke in SPOKES {
        cloud.command(spoke, Endpoint::interface_down);
    }
    cloud.run_for(Duration::from_secs(1));
    // They said goodbye, so nothing needs to expire.
    assert_eq!(cloud.cache(HUB), []);
    for node in &cloud.nodes {
        assert_eq!(node.endpoint.poll_timeout(), None);
        assert_eq!(node.endpoint.multicast_after(None), None);
    }
    assert_invariants(&cloud);
}

#[test]
fn nothing_is_sent_more_often_than_it_should_be() {
    // Nobody answers for a day: at most one packet a minute to each server, after the first few.
    let mut cloud = cloud(Driver::Strict, 31, Faults { loss: 100, ..Faults::default() });
    for spoke in SPOKES {
        cloud.connect(HUB, spoke);
    }
    cloud.run_for(Duration::from_secs(24 * 3600));
    for spoke in SPOKES {
        let sent = &cloud.nodes[spoke].given.transmits;
        assert!((1340..=1360).contains(&sent.len()), "{}", sent.len());
        assert!(sent.iter().all(|(_, transmit)| transmit.packet == sent[0].1.packet));
    }
}
