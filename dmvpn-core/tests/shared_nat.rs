//! Several spokes behind one address: what is for one never goes to another.

extern crate alloc;

mod cloud;

use core::time::Duration;

use cloud::guide::{self, Settings, TUNNEL, ip};
use cloud::nat::Nat;
use cloud::{Cloud, inner_packet};
use dmvpn_core::NextHop;

const OUTSIDE: &str = "198.51.100.1";
const SPOKES: [(&str, &str); 2] = [("192.168.1.1", "10.1.1.1"), ("192.168.1.2", "10.1.1.2")];

/// A hub and two spokes behind one address, where the first has ISAKMP's own port outside.
fn brought_up(seed: u64) -> (Cloud, usize, [usize; 2]) {
    let mut cloud = Cloud::new(seed);
    let settings = Settings::watchful();
    for ((inside, _), first_port) in SPOKES.into_iter().zip([500, 30_000]) {
        cloud.nat(ip(inside), Nat::port_translating(ip(OUTSIDE), first_port));
    }
    let hub = cloud.add(settings.hub());
    let spokes = SPOKES
        .map(|(inside, tunnel)| cloud.add(settings.spoke_at("Spoke", inside, tunnel, guide::HUB)));
    let up = cloud.run_until(Duration::from_secs(30), |cloud| {
        spokes.iter().all(|spoke| guide::is_registered(cloud, *spoke))
    });
    assert!(up, "both register");
    (cloud, hub, spokes)
}

/// Without a session the hub can only call the address, and whoever answers there need not be the
/// one that a packet is for.
#[test]
fn a_session_opened_towards_a_shared_address_carries_nobody_elses_packets() {
    for seed in 0..8 {
        let (mut cloud, hub, spokes) = brought_up(seed);
        let now = cloud.now;
        let sessions = cloud.routers[hub].node.sessions();
        let peers: Vec<_> = sessions.map(|session| session.peer).collect();
        for peer in peers {
            cloud.routers[hub].node.clear_session(now, peer);
        }
        cloud.drain(hub);
        for number in 0..400 {
            for (index, (_, tunnel)) in SPOKES.into_iter().enumerate() {
                let last = [1, 2][index];
                let inner = inner_packet([10, 1, 1, 254], [10, 1, 1, last], number);
                // Without an association it is dropped: what matters is where it never goes.
                let _sent = cloud.send(hub, NextHop::Protocol(ip(tunnel)), &inner);
            }
            cloud.run_for(Duration::from_millis(5));
        }
        for (spoke, last) in spokes.into_iter().zip([1, 2]) {
            let delivered = &cloud.routers[spoke].delivered;
            assert!(delivered.iter().all(|inner| inner[19] == last), "seed {seed}: misdelivered");
            assert!(!delivered.is_empty(), "seed {seed}: it comes back");
        }
        let node = &cloud.routers[hub].node;
        assert_eq!(node.table_sizes().peers, 2, "seed {seed}");
        let peers: Vec<_> = node.sessions().map(|session| session.peer.number()).collect();
        for entry in node.nhrp_cache(TUNNEL).filter(|entry| entry.flags.registered) {
            let link = entry.link.expect("it was registered over a link");
            assert!(peers.contains(&link.0), "seed {seed}: {entry:?}");
        }
    }
}
