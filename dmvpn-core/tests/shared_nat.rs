//! Several spokes behind one address: what is for one never goes to another.

extern crate alloc;

mod cloud;

use alloc::collections::BTreeMap;
use core::net::IpAddr;
use core::time::Duration;

use cloud::guide::{self, Settings, TUNNEL, ip};
use cloud::nat::Nat;
use cloud::{Cloud, inner_packet};
use dmvpn_core::NextHop;
use dmvpn_core::isakmp::wire::Cookie;

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

/// The security associations that a node has with a peer: the phase 1 cookies, and the SPIs of each pair
/// as (inbound, outbound).
#[derive(Clone, Debug, PartialEq, Eq)]
struct Held {
    phase1: Vec<(Cookie, Cookie)>,
    pairs: Vec<(u32, u32)>,
}

/// By what peers are to whom it holds them: the hub's peers by their identities.
fn held(cloud: &Cloud, router: usize) -> BTreeMap<IpAddr, Held> {
    let isakmp = cloud.routers[router].node.isakmp();
    let mut all = BTreeMap::new();
    for peer in isakmp.peers() {
        let identity = peer.identity.and_then(|identity| identity.as_address()).unwrap();
        let phase1 = isakmp.phase1().filter(|sa| sa.peer == Some(peer.peer));
        let pairs = isakmp.phase2().filter(|pair| pair.peer == peer.peer);
        let held = Held {
            phase1: phase1.map(|sa| sa.cookies).collect(),
            pairs: pairs.map(|pair| (pair.inbound_spi, pair.outbound_spi)).collect(),
        };
        assert!(all.insert(identity, held).is_none(), "one peer of an identity");
    }
    all
}

/// A spoke that lost its memory says INITIAL-CONTACT: all that it had goes, at the hub, and nothing of
/// the other spoke, which has the same address (RFC 2407 §4.6.3.3, RFC 3947 §6).
#[test]
fn initial_contact_takes_what_its_own_identity_had_and_nothing_else() {
    for restarted in [0, 1] {
        let (mut cloud, hub, spokes) = brought_up(7);
        let (again, other) = (spokes[restarted], spokes[1 - restarted]);
        let [own, others] = [SPOKES[restarted].0, SPOKES[1 - restarted].0].map(ip);
        let before = held(&cloud, hub);
        assert_eq!(before.len(), 2);
        let at_other = held(&cloud, other);
        cloud.restart(again);
        assert!(
            cloud
                .run_until(Duration::from_secs(30), |cloud| { guide::is_registered(cloud, again) })
        );

        let after = held(&cloud, hub);
        assert_eq!(after.len(), 2);
        assert_eq!(after[&others], before[&others], "nothing of the other's");
        assert_eq!(held(&cloud, other), at_other, "nor at the other");
        let Held { phase1, pairs } = &after[&own];
        assert_eq!((phase1.len(), pairs.len()), (1, 1), "nothing of before");
        assert_ne!(phase1, &before[&own].phase1);
        // What the two ends hold is the same, from either side.
        for (spoke, identity) in [(again, own), (other, others)] {
            let [at_spoke] =
                held(&cloud, spoke).into_values().collect::<Vec<_>>().try_into().unwrap();
            let Held { phase1, pairs } = after[&identity].clone();
            let pairs = pairs.into_iter().map(|(inbound, outbound)| (outbound, inbound)).collect();
            assert_eq!(at_spoke, Held { phase1, pairs });
            assert!(cloud.reaches(spoke, hub, ip(guide::HUB_TUNNEL)));
        }
        for ((_, tunnel), spoke) in SPOKES.into_iter().zip(spokes) {
            assert!(cloud.reaches(hub, spoke, ip(tunnel)));
        }
    }
}
