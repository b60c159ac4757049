//! NAT traversal.

#![allow(clippy::wildcard_enum_match_arm, reason = "a test looks at what it is about")]

mod pair;

use core::time::Duration;

use dmvpn_isakmp::{
    Config, Encapsulation, Event, NatTraversal, PreSharedKey, Remote, Trace, Traced, Transport,
};
use pair::{HUB, Nat, Pair, SPOKE, TUNNEL, guide_config, guide_protection, ip};

const INSIDE: &str = "192.168.1.2";
const OUTSIDE: &str = "198.51.100.7";
const HUB_OUTSIDE: &str = "203.0.113.9";

fn forced() -> Option<NatTraversal> {
    Some(NatTraversal { force_encapsulation: true, ..NatTraversal::default() })
}

fn behind_nat() -> Pair {
    let config = || guide_config().build().unwrap();
    let mut pair = Pair::between(config(), INSIDE, config(), HUB, 3);
    pair.nats.push(Nat::new(INSIDE, OUTSIDE));
    pair.protect_guide();
    pair
}

/// The hub is behind a NAT of its own, which lets in what comes to the two ports.
fn behind_nats() -> Pair {
    let config = || guide_config().build().unwrap();
    let mut pair = Pair::between(config(), INSIDE, config(), "10.9.9.9", 3);
    pair.nats.push(Nat::new(INSIDE, OUTSIDE));
    pair.nats.push(Nat { fixed: true, ..Nat::new("10.9.9.9", HUB_OUTSIDE) });
    let now = pair.now;
    let spoke = guide_protection(INSIDE, Remote::Host(ip(HUB_OUTSIDE)));
    pair.hosts[0].endpoint.protect(now, TUNNEL, spoke);
    pair.hosts[1].endpoint.protect(now, TUNNEL, guide_protection("10.9.9.9", Remote::Any));
    pair
}

fn in_udp(pair: &Pair) {
    for host in &pair.hosts {
        for view in host.endpoint.phase2() {
            assert!(matches!(view.encapsulation, Encapsulation::Udp { .. }), "{view:?}");
        }
        for sa in host.inbound() {
            assert!(matches!(sa.encapsulation, Encapsulation::Udp { .. }));
        }
        assert!(host.endpoint.phase1().all(|view| view.path.transport == Transport::NatT));
    }
}

#[test]
fn an_initiator_behind_a_nat() {
    let mut pair = behind_nat();
    pair.connect();
    pair.run_for(Duration::from_secs(5));
    pair.assert_connected();
    pair.assert_one_pair();
    in_udp(&pair);
    // MM1 and MM3 on 500, MM5 and everything after it on 4500 with the marker (RFC 3947 §4).
    let sent = &pair.hosts[0].sent;
    let ports: Vec<_> =
        sent.iter().map(|(_, t)| (t.path.remote.port(), t.non_esp_marker)).collect();
    assert_eq!(ports, [(500, false), (500, false), (4500, true), (4500, true), (4500, true)]);
    let hub = pair.hosts[1].endpoint.phase1().next().unwrap();
    assert!(hub.nat.remote && !hub.nat.local);
    assert_eq!(hub.path.remote.ip(), ip(OUTSIDE));
    assert_eq!(hub.identity.unwrap().as_address(), Some(ip(INSIDE)));
    let spoke = pair.hosts[0].endpoint.phase1().next().unwrap();
    assert!(spoke.nat.local && !spoke.nat.remote);
    // The one behind the NAT keeps its mapping alive (RFC 3948 §4).
    pair.run_for(Duration::from_secs(100));
    let keepalives =
        |host: usize| pair.hosts[host].sent.iter().filter(|(_, t)| t.payload.len() == 1).count();
    assert_eq!((keepalives(0), keepalives(1)), (5, 0));
}

#[test]
fn a_responder_behind_a_nat() {
    let config = || guide_config().build().unwrap();
    let mut pair = Pair::between(config(), SPOKE, config(), INSIDE, 3);
    pair.nats.push(Nat { fixed: true, ..Nat::new(INSIDE, OUTSIDE) });
    let now = pair.now;
    let spoke = guide_protection(SPOKE, Remote::Host(ip(OUTSIDE)));
    pair.hosts[0].endpoint.protect(now, TUNNEL, spoke);
    pair.hosts[1].endpoint.protect(now, TUNNEL, guide_protection(INSIDE, Remote::Any));
    pair.connect_to(0, ip(OUTSIDE));
    pair.run_for(Duration::from_secs(5));
    pair.assert_connected();
    in_udp(&pair);
    assert!(pair.hosts[0].endpoint.phase1().next().unwrap().nat.remote);
}

#[test]
fn both_behind_nats() {
    let mut pair = behind_nats();
    pair.connect_to(0, ip(HUB_OUTSIDE));
    pair.run_for(Duration::from_secs(3 * 3600));
    pair.assert_connected();
    pair.assert_one_pair();
    in_udp(&pair);
}

#[test]
fn forced_encapsulation_by_either_side_or_both() {
    for (spoke, hub) in [(true, false), (false, true), (true, true)] {
        let config = |force: bool| {
            let nat = if force { forced() } else { Some(NatTraversal::default()) };
            guide_config().nat_traversal(nat).build().unwrap()
        };
        let mut pair = Pair::between(config(spoke), SPOKE, config(hub), HUB, 5);
        pair.protect_guide();
        pair.connect();
        pair.run_for(Duration::from_secs(5));
        pair.assert_connected();
        in_udp(&pair);
        let first = &pair.hosts[0].sent[0].1;
        assert_eq!(first.path.remote.port(), if spoke { 4500 } else { 500 });
        assert_eq!(first.non_esp_marker, spoke);
    }
}

#[test]
fn without_nat_traversal_nothing_of_it_is_sent() {
    let config = || guide_config().nat_traversal(None).build().unwrap();
    let mut pair = Pair::new(config(), config());
    pair.protect_guide();
    pair.connect();
    pair.run_for(Duration::from_secs(5));
    pair.assert_connected();
    assert_eq!(pair.hosts[0].sent[0].1.payload.len(), 164 - 80);
}

/// The NAT forgets its mapping: the hub follows authenticated messages, and only those.
#[test]
fn a_change_of_the_nats_mapping_is_followed() {
    let mut pair = behind_nat();
    pair.connect();
    pair.run_for(Duration::from_secs(5));
    let before = pair.hosts[1].endpoint.peers().next().unwrap().path;
    pair.nats[0].ports.clear();
    pair.nats[0].next = 40_000;
    // Forged from a third place: nothing moves.
    let captured = pair.hosts[0].sent.last().unwrap().1.payload.clone();
    let mut elsewhere = before;
    elsewhere.remote.set_port(1);
    pair.deliver(1, elsewhere, &captured);
    assert_eq!(pair.hosts[1].endpoint.peers().next().unwrap().path, before);
    // The spoke re-keys: QM1 comes from the new port.
    let peer = pair.hosts[0].peer.unwrap();
    let spi = pair.hosts[0].inbound()[0].spi;
    let now = pair.now;
    pair.hosts[0].endpoint.handle_soft_expire(now, peer, spi);
    pair.run_for(Duration::from_secs(60));
    let after = pair.hosts[1].endpoint.peers().next().unwrap().path;
    assert_ne!(after, before);
    let moved: Vec<_> = pair.hosts[1]
        .events
        .iter()
        .filter_map(|event| match event {
            Event::PeerMoved { path, .. } => Some(*path),
            _ => None,
        })
        .collect();
    assert_eq!(moved, [after]);
    pair.assert_connected();
    pair.assert_one_pair();
}

/// The hub is behind a NAT of its own: that of the spoke forgets its mapping all the same, and is
/// followed.
#[test]
fn a_change_of_the_others_mapping_is_followed_from_behind_a_nat() {
    let mut pair = behind_nats();
    let peer = pair.connect_to(0, ip(HUB_OUTSIDE));
    pair.run_for(Duration::from_secs(5));
    let before = pair.hosts[1].endpoint.peers().next().unwrap().path;
    pair.nats[0].ports.clear();
    pair.nats[0].outside = ip("198.51.100.99");
    let (now, spi) = (pair.now, pair.hosts[0].inbound()[0].spi);
    pair.hosts[0].endpoint.handle_soft_expire(now, peer, spi);
    pair.run_for(Duration::from_secs(60));
    let paths: Vec<_> = pair.hosts[1].endpoint.peers().map(|peer| peer.path).collect();
    assert_eq!(paths.len(), 1);
    assert_ne!(paths[0], before);
    assert_eq!(paths[0].remote.ip(), ip("198.51.100.99"));
    // Filed under where the peer was.
    let moved = |record: &&Traced| matches!(record.trace, Trace::PeerMoved { .. });
    let moved: Vec<_> = pair.hosts[1].traces.iter().filter(moved).collect();
    assert_eq!(moved.len(), 1);
    assert_eq!(moved[0].remote, before.remote);
    assert_eq!(moved[0].trace, Trace::PeerMoved { path: paths[0] });
    pair.assert_connected();
    pair.assert_one_pair();
}

/// A renegotiation starts at port 500 again, where Cisco's routers want it, and floats again.
#[test]
fn renegotiation_of_phase_1_behind_a_nat() {
    let short = dmvpn_isakmp::Policy { lifetime: 900, ..pair::GUIDE_POLICY };
    let config = || guide_config().policies(vec![short]).build().unwrap();
    let mut pair = Pair::between(config(), INSIDE, config(), HUB, 3);
    pair.nats.push(Nat::new(INSIDE, OUTSIDE));
    pair.protect_guide();
    pair.connect();
    pair.run_for(Duration::from_secs(7200));
    pair.assert_connected();
    pair.assert_one_pair();
    in_udp(&pair);
    let first_messages = pair.hosts[0].sent.iter().filter(|(_, t)| t.payload.len() == 164);
    assert!(first_messages.clone().count() >= 8);
    assert!(pair.hosts[1].endpoint.peers().count() == 1);
    let starts = first_messages.filter(|(_, t)| t.payload[18] == 2 && t.payload[8..16] == [0; 8]);
    assert!(
        starts.clone().count() >= 8 && { starts.clone().all(|(_, t)| t.path.remote.port() == 500) }
    );
}

/// The hub called a spoke behind a NAT while that let it in. The next phase 1 is the spoke's to begin:
/// the way in is closed by then, and what the hub sends there is lost.
#[test]
fn who_is_behind_a_nat_renegotiates_phase_1_whoever_began() {
    let short = dmvpn_isakmp::Policy { lifetime: 900, ..pair::GUIDE_POLICY };
    let config = || guide_config().policies(vec![short]).build().unwrap();
    let mut pair = Pair::between(config(), INSIDE, config(), HUB, 3);
    pair.nats.push(Nat { ports: [(500, 500), (4500, 4500)].into(), ..Nat::new(INSIDE, OUTSIDE) });
    pair.protect_guide();
    pair.connect_to(1, ip(OUTSIDE));
    pair.run_for(Duration::from_secs(5));
    pair.assert_connected();
    let sent = pair.hosts[1].sent.len();
    for _ in 0..240 {
        pair.nats[0].ports.remove(&500);
        pair.run_for(Duration::from_secs(30));
    }
    pair.assert_connected();
    pair.assert_one_pair();
    for host in &pair.hosts {
        assert!(!host.events.iter().any(|event| matches!(event, Event::Failed { .. })));
    }
    let begins = |t: &dmvpn_isakmp::Transmit| t.payload.len() > 28 && t.payload[8..16] == [0; 8];
    assert!(!pair.hosts[1].sent[sent..].iter().any(|(_, t)| begins(t)), "the hub begins none");
}

/// A router behind a NAT comes back without memory from another outside address, and something late of
/// its former life is seen from there: the new one is who is known there, also when the former has died.
#[test]
fn who_was_known_at_an_address_first_stays_known_there() {
    let short = dmvpn_isakmp::Policy { lifetime: 900, ..pair::GUIDE_POLICY };
    let config = || {
        let dpd = Some(dmvpn_isakmp::DeadPeerDetection::default());
        guide_config().policies(vec![short]).dead_peer_detection(dpd).build().unwrap()
    };
    let mut pair = Pair::between(config(), INSIDE, config(), HUB, 3);
    pair.nats.push(Nat::new(INSIDE, OUTSIDE));
    pair.protect_guide();
    let peer = pair.connect();
    pair.run_for(Duration::from_secs(5));
    let (now, spi) = (pair.now, pair.hosts[0].inbound()[0].spi);
    pair.hosts[0].endpoint.handle_soft_expire(now, peer, spi);
    pair.drain();
    let (_, path, late) = pair.take_next().expect("a quick mode of the former life");
    pair.restart(0, config(), 100);
    pair.nats = vec![Nat::new(INSIDE, "198.51.100.8")];
    pair.hosts[1].events.clear();
    pair.connect();
    pair.run_for(Duration::from_secs(5));
    let moved = dmvpn_isakmp::Path { remote: "198.51.100.8:4500".parse().unwrap(), ..path };
    pair.deliver(1, moved, &late);
    let known = |pair: &Pair| {
        pair.hosts[1].endpoint.peers().map(|peer| peer.path.remote.ip()).collect::<Vec<_>>()
    };
    assert_eq!(known(&pair), [ip("198.51.100.8"); 2], "it was authentic and fresh");
    pair.run_for(Duration::from_secs(2 * 3600));
    let up = pair.hosts[1].events.iter().filter_map(|event| match event {
        Event::Phase1Up { peer, .. } => Some(*peer),
        _ => None,
    });
    let renewed: Vec<_> = up.collect();
    assert!((8..=12).contains(&renewed.len()), "{} times", renewed.len());
    assert!(renewed.iter().all(|peer| *peer == renewed[0]));
    assert!(pair.hosts[1].endpoint.peers().all(|peer| peer.peer == renewed[0]));
    assert_eq!(known(&pair), [ip("198.51.100.8")]);
    pair.assert_connected();
    pair.assert_one_pair();
}

/// A message that was good once moves nobody when it is played again from elsewhere.
#[test]
fn replays_do_not_move_a_peer() {
    let mut pair = behind_nat();
    pair.connect();
    pair.run_for(Duration::from_secs(5));
    let before = pair.hosts[1].endpoint.peers().next().unwrap().path;
    let mut elsewhere = before;
    elsewhere.remote = "192.0.2.66:4500".parse().unwrap();
    let captured: Vec<_> = pair.hosts[0].sent.iter().map(|(_, t)| t.payload.clone()).collect();
    for message in captured {
        pair.deliver(1, elsewhere, &message);
        let peers: Vec<_> = pair.hosts[1].endpoint.peers().map(|peer| peer.path).collect();
        assert_eq!(peers, [before]);
    }
}

/// Two spokes behind one NAT share its address and are told apart by what they authenticate as.
#[test]
fn two_spokes_behind_one_nat_both_live() {
    let mut pair = behind_nat();
    pair.connect();
    pair.run_for(Duration::from_secs(5));
    second_spoke_comes(&mut pair);
    assert_eq!(known_to_the_hub(&pair), ["192.168.1.2", "192.168.1.3"]);
    let children = pair.hosts[1].endpoint.phase2().count();
    assert_eq!(children, 2, "INITIAL-CONTACT of one leaves the other");
}

/// The hub calls one spoke at the NAT's address, and while that answers another comes from there by
/// itself: it is not the one who was called.
#[test]
fn who_comes_from_a_nat_that_is_being_called_is_not_who_was_called() {
    let mut pair = behind_nat();
    pair.nats[0].ports = [(500, 500), (4500, 4500)].into();
    pair.connect_to(1, ip(OUTSIDE));
    for _ in 0..5 {
        let (to, path, message) = pair.take_next().expect("main mode goes on");
        pair.deliver(to, path, &message);
    }
    second_spoke_comes(&mut pair);
    let (to, path, mm6) = pair.take_next().expect("the answer of the one that was called");
    pair.deliver(to, path, &mm6);
    pair.run_for(Duration::from_secs(1));
    assert_eq!(known_to_the_hub(&pair), ["192.168.1.2", "192.168.1.3"]);
    assert_eq!(pair.hosts[1].discards, []);
    pair.assert_connected();
}

/// A spoke of its own, played into the pair's hub from behind the same NAT.
fn second_spoke_comes(pair: &mut Pair) {
    let now = pair.now;
    let mut second = pair::Host::new(guide_config().build().unwrap(), ip("192.168.1.3"), 77, now);
    let terms = guide_protection("192.168.1.3", Remote::Host(ip(HUB)));
    second.endpoint.protect(now, TUNNEL, terms);
    second.endpoint.connect(now, TUNNEL, ip(HUB)).unwrap();
    for _ in 0..10 {
        while let Some(transmit) = second.endpoint.poll_transmit() {
            let port = 50_000 + transmit.path.local.port() % 1000;
            let path = dmvpn_isakmp::Path {
                local: transmit.path.remote,
                remote: (ip(OUTSIDE), port).into(),
                transport: transmit.path.transport,
            };
            pair.hosts[1].endpoint.handle_datagram(now, path, &transmit.payload).unwrap();
            let answered: Vec<_> =
                core::iter::from_fn(|| pair.hosts[1].endpoint.poll_transmit()).collect();
            for answer in answered {
                let path = dmvpn_isakmp::Path {
                    local: transmit.path.local,
                    remote: answer.path.local,
                    transport: answer.path.transport,
                };
                second.endpoint.handle_datagram(now, path, &answer.payload).unwrap();
            }
        }
    }
}

/// Whom the hub knows.
fn known_to_the_hub(pair: &Pair) -> Vec<String> {
    let peers = pair.hosts[1].endpoint.peers();
    let mut identities: Vec<_> = peers.map(|peer| peer.identity.unwrap().to_string()).collect();
    identities.sort();
    identities
}

/// Whichever document the responder chooses is followed.
#[test]
fn drafts_chosen_by_the_peer() {
    use dmvpn_isakmp::wire::VendorId;
    for (keep, payload, mode) in [
        (VendorId::NAT_TRAVERSAL_DRAFT_07, 15_u8, 4_u16),
        (VendorId::NAT_TRAVERSAL_DRAFT_03, 130, 61444),
        (VendorId::NAT_TRAVERSAL_DRAFT_02, 130, 61444),
    ] {
        let mut pair = behind_nat();
        // Spoil the vendor ids of the other documents in MM1; nothing authenticates them.
        let spoiled: Vec<Vec<u8>> = [
            VendorId::NAT_TRAVERSAL,
            VendorId::NAT_TRAVERSAL_DRAFT_07,
            VendorId::NAT_TRAVERSAL_DRAFT_03,
            VendorId::NAT_TRAVERSAL_DRAFT_02,
        ]
        .into_iter()
        .filter(|vendor_id| *vendor_id != keep)
        .map(|vendor_id| vendor_id.as_bytes().to_vec())
        .collect();
        pair.meddler = Some(Box::new(move |copies, _| {
            let mut bytes = copies[0].to_vec();
            if bytes.len() == 164 && bytes[18] == 2 {
                for vendor_id in &spoiled {
                    if let Some(at) = bytes.windows(16).position(|window| window == vendor_id) {
                        bytes[at] ^= 0xff;
                    }
                }
                copies[0] = bytes.into();
            }
        }));
        pair.connect();
        pair.run_for(Duration::from_secs(20));
        pair.assert_connected();
        in_udp(&pair);
        let mm3 = &pair.hosts[0].sent.iter().find(|(_, t)| t.payload[16] == 4).unwrap().1.payload;
        assert!(mm3.windows(2).any(|window| window == [payload, 0]), "{payload}");
        let offered = pair.hosts[1].traces.iter().any(|record| {
            matches!(&record.trace, Trace::CheckingProposal { attributes, .. }
                if attributes[0].number() == Some(u64::from(mode)))
        });
        assert!(offered, "encapsulation mode {mode}");
    }
}

/// Behind a NAT any address may be named, but only by who has the key of the address it comes from;
/// a bound key is for its identity alone.
#[test]
fn identities() {
    use dmvpn_isakmp::Identity;
    let run = |identity: Option<Identity>, bound: Option<Identity>| {
        let mut spoke = guide_config();
        if let Some(identity) = identity {
            spoke = spoke.identity(identity);
        }
        let key = PreSharedKey { identity: bound, ..pair::keyring().remove(0) };
        let hub = Config::builder(dmvpn_isakmp::crypto::Provider::rustcrypto(), vec![key])
            .policies(vec![pair::GUIDE_POLICY])
            .build()
            .unwrap();
        let mut pair = Pair::new(spoke.build().unwrap(), hub);
        pair.protect_guide();
        pair.connect();
        pair.run_for(Duration::from_secs(5));
        pair.hosts[1].endpoint.phase2().count() == 1
    };
    let own = Identity::address(ip(SPOKE));
    let other = Identity::address(ip("10.0.0.1"));
    assert!(run(None, None));
    assert!(run(None, Some(own.clone())));
    assert!(!run(Some(other.clone()), None), "another's address without a NAT");
    assert!(run(Some(other.clone()), Some(other.clone())));
    assert!(!run(Some(other), Some(own)));
}
