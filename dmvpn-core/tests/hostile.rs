//! Nothing leaves in clear, nothing is accepted in clear, and bad paths only delay.

extern crate alloc;

mod cloud;

use alloc::rc::Rc;
use core::cell::RefCell;
use core::net::SocketAddr;
use core::time::Duration;

use cloud::guide::{self, Settings, TUNNEL, ip};
use cloud::nat::Nat;
use cloud::{Cloud, Faults, inner_packet};
use dmvpn_core::{Discard, Instant, NextHop, Node, Transmit, Transport, Underlay};

fn gre(key: u32, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x20, 0, 0x08, 0];
    packet.extend_from_slice(&key.to_be_bytes());
    packet.extend_from_slice(payload);
    packet
}

fn towards_hub(transport: Transport) -> Underlay {
    Underlay {
        transport,
        local: SocketAddr::new(ip(guide::HUB), 0),
        remote: SocketAddr::new(ip(guide::SPOKE), 0),
        traffic_class: 0,
        dont_fragment: false,
    }
}

fn towards_spoke(transport: Transport, remote: &str) -> Underlay {
    let local = SocketAddr::new(ip(guide::SPOKE), 0);
    Underlay { local, remote: SocketAddr::new(ip(remote), 0), ..towards_hub(transport) }
}

/// A packet, and how the spoke seals it for the hub.
fn sealed_by(cloud: &mut Cloud, spoke: usize) -> (Vec<u8>, Vec<u8>) {
    let inner = inner_packet([10, 1, 1, 1], [10, 1, 1, 254], 1);
    let range = 80..80 + inner.len();
    let mut buffer = vec![0; range.end + 49];
    buffer[range.clone()].copy_from_slice(&inner);
    let next_hop = NextHop::Protocol(ip(guide::HUB_TUNNEL));
    let now = cloud.now;
    let sent = cloud.routers[spoke].node.send(now, TUNNEL, next_hop, &mut buffer, range);
    let sealed = buffer[sent.expect("the tunnel is up").packet].to_vec();
    (inner, sealed)
}

#[test]
fn gre_in_clear_is_not_accepted_on_a_protected_tunnel() {
    let (mut cloud, hub, _) = guide::brought_up(&Settings::default(), 1);
    let inner = inner_packet([10, 1, 1, 1], [10, 1, 1, 254], 1);
    let now = cloud.now;
    let before = cloud.routers[hub].node.table_sizes();
    let node = &mut cloud.routers[hub].node;
    let outcome = node.handle_packet(now, towards_hub(Transport::Gre), &mut gre(1, &inner));
    let remote = ip(guide::SPOKE);
    assert_eq!(outcome, Err(Discard::Unprotected { tunnel: TUNNEL, remote }));
    assert_eq!(node.counters().unprotected, 1);
    assert_eq!(node.table_sizes(), before);
}

#[test]
fn a_replayed_packet_is_discarded_and_changes_nothing() {
    let (mut cloud, hub, spoke) = guide::brought_up(&Settings::default(), 2);
    let (_, last) = cloud.routers[spoke].sent.last().cloned().expect("a registration");
    assert_eq!(last.underlay.transport, Transport::Esp);
    let now = cloud.now;
    let cache = |cloud: &Cloud| cloud.routers[hub].node.nhrp_cache(TUNNEL).collect::<Vec<_>>();
    cloud.routers[hub].node.handle_timeout(now);
    let before = cache(&cloud);
    let node = &mut cloud.routers[hub].node;
    let outcome = node.handle_packet(now, towards_hub(Transport::Esp), &mut last.packet.to_vec());
    assert!(matches!(outcome, Err(Discard::Esp(_))), "{outcome:?}");
    assert_eq!(node.poll_transmit(), None);
    assert_eq!(cache(&cloud), before);
}

#[test]
fn a_packet_cut_or_changed_anywhere_is_discarded() {
    let (mut cloud, hub, spoke) = guide::brought_up(&Settings::default(), 3);
    // A fresh packet that the hub has not seen.
    cloud.routers[hub].online = false;
    let (inner, sealed) = sealed_by(&mut cloud, spoke);
    let now = cloud.now;
    let node = &mut cloud.routers[hub].node;
    for length in 0..sealed.len() {
        let outcome =
            node.handle_packet(now, towards_hub(Transport::Esp), &mut sealed[..length].to_vec());
        assert!(outcome.is_err(), "cut to {length}");
    }
    for octet in 0..sealed.len() {
        for bit in 0..8 {
            let mut changed = sealed.clone();
            changed[octet] ^= 1 << bit;
            let outcome = node.handle_packet(now, towards_hub(Transport::Esp), &mut changed);
            // Another SPI is unknown; the first time the peer is told so.
            let told = octet < 4 && outcome == Ok(None);
            assert!(told || outcome.is_err(), "octet {octet}, bit {bit}");
        }
    }
    let mut whole = sealed;
    let outcome = node.handle_packet(now, towards_hub(Transport::Esp), &mut whole);
    let inbound = outcome.expect("it is genuine").expect("it is for the owner");
    assert_eq!(whole[inbound.packet], inner[..]);
}

/// What a packet may change when it is for nobody: two counters, and nothing that can be polled.
fn assert_changes_nothing(
    node: &mut Node,
    now: Instant,
    underlay: Underlay,
    packet: &[u8],
) -> Discard {
    let (counters, tables, due) = (*node.counters(), node.table_sizes(), node.poll_timeout());
    let discard = node.handle_packet(now, underlay, &mut packet.to_vec()).expect_err("discarded");
    assert_eq!(node.counters().received, counters.received + 1);
    assert_eq!(node.counters().discarded, counters.discarded + 1);
    assert_eq!((node.table_sizes(), node.poll_timeout()), (tables, due));
    assert_eq!((node.poll_transmit(), node.poll_event()), (None, None));
    discard
}

/// Who gets a packet of ours back, from the peer's address or from our own, has no association for it:
/// and it is no sign that the peer has one too many.
#[test]
fn our_own_esp_reflected_changes_nothing() {
    let (mut cloud, _, spoke) = guide::brought_up(&Settings::default(), 4);
    let (_, sealed) = sealed_by(&mut cloud, spoke);
    let spi = u32::from_be_bytes(*sealed.first_chunk().expect("an SPI"));
    let now = cloud.now;
    let node = &mut cloud.routers[spoke].node;
    for (remote, unknown) in [(guide::HUB, 1), (guide::SPOKE, 2)] {
        let underlay = towards_spoke(Transport::Esp, remote);
        let discard = assert_changes_nothing(node, now, underlay, &sealed);
        assert_eq!(discard, Discard::UnknownSpi { spi });
        assert_eq!(node.counters().unknown_spi, unknown);
    }
}

#[test]
fn our_own_gre_reflected_changes_nothing() {
    let inner = inner_packet([10, 1, 1, 1], [10, 1, 1, 254], 1);
    let (mut cloud, _, spoke) = guide::brought_up(&Settings::default(), 5);
    let now = cloud.now;
    let node = &mut cloud.routers[spoke].node;
    for (remote, unprotected) in [(guide::HUB, 1), (guide::SPOKE, 2)] {
        let underlay = towards_spoke(Transport::Gre, remote);
        let discard = assert_changes_nothing(node, now, underlay, &gre(1, &inner));
        assert_eq!(discard, Discard::Unprotected { tunnel: TUNNEL, remote: ip(remote) });
        assert_eq!(node.counters().unprotected, unprotected);
    }
}

/// A packet whose source is our own address, where GRE goes in clear: a peer of that address would be
/// ourselves.
#[test]
fn gre_in_clear_from_our_own_address_changes_nothing() {
    let mut cloud = Cloud::new(6);
    cloud.clear_allowed = true;
    let settings = Settings { profile: None, ..Settings::default() };
    let hub = cloud.add(settings.hub());
    let spoke = cloud.add(settings.spoke());
    assert!(cloud.run_until(Duration::from_secs(10), |cloud| guide::is_registered(cloud, spoke)));
    let is_nhrp = |transmit: &Transmit| transmit.packet[2..4] == [0x20, 0x01];
    let sent = |router: usize| {
        let sent = cloud.routers[router].sent.iter().map(|(_, transmit)| transmit);
        sent.filter(|transmit| is_nhrp(transmit)).last().expect("NHRP").packet.clone()
    };
    let (request, reply) = (sent(spoke), sent(hub));
    let inner = gre(1, &inner_packet([10, 1, 1, 1], [10, 1, 1, 254], 1));
    let now = cloud.now;
    for (router, own) in [(hub, guide::HUB), (spoke, guide::SPOKE)] {
        let node = &mut cloud.routers[router].node;
        let local = SocketAddr::new(ip(own), 0);
        let underlay = Underlay { local, remote: local, ..towards_hub(Transport::Gre) };
        for packet in [&inner[..], &request, &reply] {
            let discard = assert_changes_nothing(node, now, underlay, packet);
            assert_eq!(discard, Discard::UnknownPeer { tunnel: TUNNEL, remote: ip(own) });
        }
    }
}

#[test]
fn bad_paths_only_delay() {
    for seed in 0..12 {
        let mut cloud = Cloud::new(seed);
        cloud.faults = Faults {
            loss: 150,
            duplication: 100,
            damage: 50,
            truncation: 50,
            latency: Duration::from_millis(20),
            jitter: Duration::from_millis(200),
        };
        let settings = Settings::watchful();
        let hub = cloud.add(settings.hub());
        let spoke = cloud.add(settings.spoke());
        let up =
            cloud.run_until(Duration::from_secs(600), |cloud| guide::is_registered(cloud, spoke));
        assert!(up, "seed {seed}:\n{}", cloud.routers[spoke].debug.join("\n"));
        cloud.faults = Faults::default();
        cloud.run_for(Duration::from_secs(120));
        assert!(cloud.reaches(spoke, hub, ip(guide::HUB_TUNNEL)), "seed {seed}");
        assert!(cloud.reaches(hub, spoke, ip(guide::SPOKE_TUNNEL)), "seed {seed}");
        for router in [hub, spoke] {
            let node = &cloud.routers[router].node;
            assert_eq!(node.isakmp().phase2().filter(|child| !child.superseded).count(), 1);
            assert_eq!(node.table_sizes().peers, 1, "seed {seed}");
        }
    }
}

#[test]
fn a_wrong_key_never_brings_anything_up() {
    let mut cloud = Cloud::new(4);
    let hub = cloud.add(Settings::default().hub());
    let spoke = cloud.add(Settings { key: "other", ..Settings::default() }.spoke());
    cloud.run_for(Duration::from_secs(300));
    assert!(!guide::is_registered(&cloud, spoke));
    assert_eq!(cloud.routers[hub].node.isakmp().phase2().count(), 0);
    assert_eq!(cloud.routers[hub].node.table_sizes().peers, 0, "the hub keeps nothing");
}

#[test]
fn a_wrong_nhrp_authentication_is_refused() {
    let mut cloud = Cloud::new(5);
    let hub = cloud.add(Settings::default().hub());
    let settings = Settings { nhrp_authentication: "OTHER", ..Settings::default() };
    let spoke = cloud.add(settings.spoke());
    cloud.run_for(Duration::from_secs(30));
    assert!(!guide::is_registered(&cloud, spoke));
    let node = &cloud.routers[hub].node;
    assert_eq!(node.nhrp_cache(TUNNEL).filter(|entry| !entry.is_local()).count(), 0);
    assert!(node.nhrp(TUNNEL).expect("the tunnel").counters().authentication_failures > 0);
}

/// GRE's protocol type says IP; a peer may put anything behind it, also nothing.
#[test]
fn what_gre_calls_ip_and_is_not_never_comes_out_of_a_tunnel() {
    let settings = Settings { profile: None, ..Settings::default() };
    let mut cloud = Cloud::new(9);
    cloud.clear_allowed = true;
    let hub = cloud.add(settings.hub());
    let spoke = cloud.add(settings.spoke());
    let up = cloud.run_until(Duration::from_secs(10), |cloud| guide::is_registered(cloud, spoke));
    assert!(up);
    let whole = inner_packet([10, 1, 1, 1], [10, 1, 1, 254], 1);
    let mut other_version = whole.clone();
    other_version[0] = 0x65;
    let now = cloud.now;
    let node = &mut cloud.routers[hub].node;
    for inner in [&[][..], &whole[..19], &other_version, &[0; 40]] {
        let outcome = node.handle_packet(now, towards_hub(Transport::Gre), &mut gre(1, inner));
        let not_ip = Discard::NotIp { protocol: 0x0800, length: inner.len() };
        assert_eq!(outcome, Err(not_ip), "{inner:x?}");
    }
    let outcome = node.handle_packet(now, towards_hub(Transport::Gre), &mut gre(1, &whole));
    assert!(matches!(outcome, Ok(Some(_))), "{outcome:?}");
}

/// A message of the hub's that was kept from the spoke is authentic and fresh, and it comes from
/// elsewhere: as the hub is behind a NAT, the spoke follows (RFC 3947 §7). By then the hub has lost
/// its memory. Where the spoke calls it again is what its operator named, not where it was led to.
#[test]
fn a_hub_is_called_where_the_operator_named_it_wherever_it_was_seen_last() {
    const INSIDE: &str = "10.9.9.9";
    let settings = Settings::watchful();
    let mut cloud = Cloud::new(27_812);
    cloud.nat(ip(INSIDE), Nat::one_to_one(ip(INSIDE), ip(guide::HUB)));
    let hub = cloud.add(settings.hub_at(INSIDE));
    let spoke = cloud.add(settings.spoke());
    let up = |cloud: &Cloud| guide::is_registered(cloud, spoke);
    assert!(cloud.run_until(Duration::from_secs(10), up));
    let kept = Rc::new(RefCell::new(None));
    let keeper = Rc::clone(&kept);
    cloud.swallow = Some(Box::new(move |underlay, packet| {
        // The non-ESP marker (RFC 3948 §2.2).
        let isakmp = underlay.transport == Transport::NatT && packet.starts_with(&[0; 4]);
        let first = isakmp && underlay.local.ip() == ip(INSIDE) && keeper.borrow().is_none();
        if first {
            *keeper.borrow_mut() = Some((*underlay, packet.to_vec()));
        }
        first
    }));
    assert!(cloud.run_until(Duration::from_secs(60), |_| kept.borrow().is_some()));
    let (underlay, mut packet) = kept.take().unwrap();
    let elsewhere = SocketAddr::new(ip("203.0.113.66"), underlay.local.port());
    let led = Underlay { local: underlay.remote, remote: elsewhere, ..underlay };
    cloud.restart(hub);
    let now = cloud.now;
    let outcome = cloud.routers[spoke].node.handle_packet(now, led, &mut packet);
    assert_eq!(outcome, Ok(None));
    cloud.drain(spoke);
    assert!(cloud.routers[spoke].node.sessions().any(|session| session.remote == elsewhere.ip()));
    cloud.run_for(Duration::from_secs(600));
    assert!(cloud.reaches(spoke, hub, ip(guide::HUB_TUNNEL)));
    assert_eq!(cloud.routers[spoke].node.table_sizes().peers, 1);
}
