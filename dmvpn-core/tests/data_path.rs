//! The data path: sizes, marks, allocation.

extern crate alloc;

mod cloud;

use core::net::SocketAddr;
use core::time::Duration;

use cloud::guide::{self, Settings, TUNNEL, ip};
use cloud::{Cloud, inner_packet};
use dmvpn_core::isakmp::{EspEncryption, EspProposal, Mode, NatTraversal};
use dmvpn_core::{Discard, IpsecProfile, NextHop, Node, SendError, Transport, Underlay};

fn towards_hub() -> NextHop {
    NextHop::Protocol(ip(guide::HUB_TUNNEL))
}

fn packet_of(length: usize) -> Vec<u8> {
    let mut packet = inner_packet([10, 1, 1, 1], [10, 1, 1, 254], 1);
    packet.resize(length, 0);
    packet
}

#[test]
fn the_ip_mtu_is_the_largest_packet() {
    let (mut cloud, hub, spoke) = guide::brought_up(&Settings::default(), 1);
    cloud.send(spoke, towards_hub(), &packet_of(1400)).expect("ip mtu 1400");
    let too_big = SendError::TooBig { length: 1401, mtu: 1400 };
    assert_eq!(cloud.send(spoke, towards_hub(), &packet_of(1401)), Err(too_big));
    cloud.run_for(Duration::from_secs(1));
    assert!(cloud.routers[hub].delivered.iter().any(|packet| packet.len() == 1400));
}

/// IP 20, ESP 8, IV 8, GRE 8, trailer 2, ICV 12: of 1000 octets 942 are left for the inner packet,
/// less what the blocks of 3DES do not fill.
#[test]
fn a_smaller_path_mtu_counts_what_esp_really_takes() {
    let (mut cloud, _, spoke) = guide::brought_up(&Settings::default(), 2);
    let peer = cloud.routers[spoke].node.multicast_after(TUNNEL, None).expect("the hub");
    cloud.routers[spoke].node.set_path_mtu(peer, 1000);
    let refused = cloud.send(spoke, towards_hub(), &packet_of(1400));
    let Err(SendError::TooBig { mtu, .. }) = refused else { panic!("{refused:?}") };
    assert_eq!(mtu, 942);
    assert!(cloud.send(spoke, towards_hub(), &packet_of(943)).is_err());
    let start = Node::MAX_HEADROOM;
    let mut buffer = vec![0; start + 942 + Node::MAX_TAILROOM];
    buffer[start..start + 942].copy_from_slice(&packet_of(942));
    let now = cloud.now;
    let node = &mut cloud.routers[spoke].node;
    let sent = node.send(now, TUNNEL, towards_hub(), &mut buffer, start..start + 942);
    assert_eq!(20 + sent.expect("it fits").packet.len(), 1000);
}

/// How a packet of the spoke's to the hub goes out, and on which association.
fn quoted(node: &Node) -> (Underlay, u32) {
    let session = node.sessions().next().expect("the hub's");
    let underlay = Underlay {
        transport: Transport::Esp,
        local: (session.local, 0).into(),
        remote: (session.remote, 0).into(),
        traffic_class: 0,
        dont_fragment: true,
    };
    (underlay, session.outbound.expect("an association").0)
}

fn path_mtu(node: &Node) -> u16 {
    node.ipsec_sas().next().expect("the hub's").path_mtu
}

#[test]
fn icmp_lowers_the_path_mtu_of_an_association_that_it_quotes_for_ten_minutes() {
    let (mut cloud, _, spoke) = guide::brought_up(&Settings::default(), 7);
    let now = cloud.now;
    let node = &mut cloud.routers[spoke].node;
    let (quoted, spi) = quoted(node);
    let peer = node.multicast_after(TUNNEL, None).expect("the hub");
    assert_eq!(node.handle_too_big(now, quoted, Some(spi), 1300), Ok(peer));
    assert_eq!(path_mtu(node), 1300);
    // It comes again and again, and somebody would raise it.
    for mtu in [1300, 1400, u16::MAX] {
        let refused = Discard::NotSmaller { mtu, path_mtu: 1300 };
        assert_eq!(node.handle_too_big(now, quoted, Some(spi), mtu), Err(refused));
    }
    // A later word starts the ten minutes anew, and the least is what every host takes.
    let later = now + Duration::from_secs(300);
    assert_eq!(node.handle_too_big(later, quoted, Some(spi), 68), Ok(peer));
    assert_eq!(path_mtu(node), 576);
    let refused = Discard::NotSmaller { mtu: 576, path_mtu: 576 };
    assert_eq!(node.handle_too_big(later, quoted, Some(spi), 0), Err(refused));
    let due = later + Duration::from_secs(600);
    assert!(node.poll_timeout().is_some_and(|at| at <= due));
    node.handle_timeout(due - Duration::from_micros(1));
    assert_eq!(path_mtu(node), 576);
    node.handle_timeout(due);
    assert_eq!(path_mtu(node), 1500);
    assert_eq!((node.counters().path_mtu_lowered, node.counters().path_mtu_refused), (2, 4));
}

#[test]
fn icmp_about_what_we_do_not_send_changes_nothing() {
    let (mut cloud, hub, spoke) = guide::brought_up(&Settings::default(), 8);
    let now = cloud.now;
    let (_, hubs) = quoted(&cloud.routers[hub].node);
    let node = &mut cloud.routers[spoke].node;
    let (quoted, spi) = quoted(node);
    let elsewhere = Underlay { remote: (ip("172.16.10.2"), 0).into(), ..quoted };
    let udp = |port: u16| Underlay {
        transport: Transport::NatT,
        local: (quoted.local.ip(), 4500).into(),
        remote: (quoted.remote.ip(), port).into(),
        ..quoted
    };
    for (quoted, spi) in [
        (quoted, None),
        (quoted, Some(spi ^ 1)),
        // What comes in on is no association that we send on.
        (quoted, Some(hubs)),
        (elsewhere, Some(spi)),
        (udp(4500), None),
        (udp(0), Some(spi)),
        (Underlay { transport: Transport::Gre, ..quoted }, Some(spi)),
        (Underlay { transport: Transport::Isakmp, ..quoted }, Some(spi)),
    ] {
        let refused = Discard::NotOurPacket { remote: quoted.remote };
        assert_eq!(node.handle_too_big(now, quoted, spi, 600), Err(refused));
    }
    assert_eq!(path_mtu(node), 1500);
    assert_eq!((node.counters().path_mtu_lowered, node.counters().path_mtu_refused), (0, 8));
}

#[test]
fn icmp_about_udp_encapsulation_names_its_ports() {
    let nat_traversal = NatTraversal { force_encapsulation: true, ..NatTraversal::default() };
    let settings = Settings { nat_traversal, ..Settings::default() };
    let (mut cloud, _, spoke) = guide::brought_up(&settings, 9);
    let now = cloud.now;
    let node = &mut cloud.routers[spoke].node;
    let (native, spi) = quoted(node);
    let quoted = |local: u16, remote: u16| Underlay {
        transport: Transport::NatT,
        local: (native.local.ip(), local).into(),
        remote: (native.remote.ip(), remote).into(),
        ..native
    };
    for (quoted, spi) in
        [(native, Some(spi)), (quoted(4501, 4500), None), (quoted(4500, 4500), Some(spi ^ 1))]
    {
        assert!(node.handle_too_big(now, quoted, spi, 1300).is_err());
    }
    let peer = node.multicast_after(TUNNEL, None).expect("the hub");
    assert_eq!(node.handle_too_big(now, quoted(4500, 4500), None, 1300), Ok(peer));
    assert_eq!(path_mtu(node), 1300);
    // What the owner sets holds: no timer takes it back.
    node.set_path_mtu(peer, 1200);
    node.handle_timeout(now + Duration::from_secs(700));
    assert_eq!(path_mtu(node), 1200);
    // What ICMP lowers is for ten minutes; then it is again what the owner set.
    let now = now + Duration::from_secs(700);
    for mtu in [1100, 1000] {
        assert_eq!(node.handle_too_big(now, quoted(4500, 4500), None, mtu), Ok(peer));
        assert_eq!(path_mtu(node), mtu);
    }
    node.handle_timeout(now + Duration::from_secs(600));
    assert_eq!(path_mtu(node), 1200);
}

#[test]
fn tcp_segments_are_clamped_in_both_directions() {
    let (mut cloud, hub, spoke) = guide::brought_up(&Settings::default(), 3);
    let mut syn = vec![0_u8; 44];
    syn[..20]
        .copy_from_slice(&[0x45, 0, 0, 44, 0, 0, 0, 0, 64, 6, 0, 0, 10, 1, 1, 1, 10, 1, 1, 254]);
    syn[32] = 6 << 4;
    syn[33] = 2;
    syn[40..].copy_from_slice(&[2, 4, 0x05, 0xb4]);
    cloud.send(spoke, towards_hub(), &syn).expect("the tunnel is up");
    cloud.run_for(Duration::from_secs(1));
    let received = cloud.routers[hub].delivered.last().expect("the segment");
    assert_eq!(received[42..44], 1360_u16.to_be_bytes());
    let counters = cloud.routers[spoke].node.tunnel_counters(TUNNEL).expect("the tunnel");
    assert_eq!(counters.mss_adjusted, 1);
}

/// The outer header takes the inner class; a congestion mark on the way comes inside.
#[test]
fn class_and_congestion_cross_the_tunnel() {
    let (mut cloud, hub, spoke) = guide::brought_up(&Settings::default(), 4);
    let seal = |cloud: &mut Cloud, class: u8| {
        let mut inner = packet_of(100);
        inner[1] = class;
        let start = Node::MAX_HEADROOM;
        let mut buffer = vec![0; start + 100 + Node::MAX_TAILROOM];
        buffer[start..start + 100].copy_from_slice(&inner);
        let now = cloud.now;
        let node = &mut cloud.routers[spoke].node;
        let sent = node.send(now, TUNNEL, towards_hub(), &mut buffer, start..start + 100);
        let sent = sent.expect("the tunnel is up");
        assert_eq!(sent.underlay.traffic_class, class);
        buffer[sent.packet].to_vec()
    };
    let marked = |class: u8| Underlay {
        transport: Transport::Esp,
        local: SocketAddr::new(ip(guide::HUB), 0),
        remote: SocketAddr::new(ip(guide::SPOKE), 0),
        traffic_class: class,
        dont_fragment: false,
    };
    let now = cloud.now;
    let mut capable = seal(&mut cloud, 0xb8 | 0b10);
    let node = &mut cloud.routers[hub].node;
    let inbound = node.handle_packet(now, marked(0xb8 | 0b11), &mut capable);
    let inbound = inbound.expect("genuine").expect("for the owner");
    assert_eq!(capable[inbound.packet.start + 1], 0xb8 | 0b11);
    let mut incapable = seal(&mut cloud, 0xb8);
    let node = &mut cloud.routers[hub].node;
    let outcome = node.handle_packet(now, marked(0xb8 | 0b11), &mut incapable);
    assert_eq!(outcome, Err(Discard::Congestion));
}

#[test]
fn what_is_not_ip_or_has_no_room_is_refused() {
    let (mut cloud, _, spoke) = guide::brought_up(&Settings::default(), 5);
    assert_eq!(cloud.send(spoke, towards_hub(), &[]), Err(SendError::NotIp));
    assert_eq!(cloud.send(spoke, towards_hub(), &[0x15; 40]), Err(SendError::NotIp));
    let now = cloud.now;
    let node = &mut cloud.routers[spoke].node;
    for (front, behind) in [(0, 49), (23, 49), (80, 0), (80, 10)] {
        let mut buffer = vec![0x45; front + 100 + behind];
        let range = front..front + 100;
        let sent = node.send(now, TUNNEL, towards_hub(), &mut buffer, range);
        assert!(
            matches!(sent, Err(SendError::BufferTooSmall { .. })),
            "{front} {behind}: {sent:?}"
        );
        assert!(buffer.iter().all(|octet| *octet == 0x45), "nothing was written");
    }
    let mut short = [0x45; 10];
    let sent = node.send(now, TUNNEL, towards_hub(), &mut short, 5..20);
    assert!(matches!(sent, Err(SendError::BufferTooSmall { .. })), "{sent:?}");
}

/// Contract rule 5: what is discarded takes no number of GRE's sequence, whoever says no.
#[test]
fn a_discarded_packet_leaves_the_gre_sequence_where_it_was() {
    let settings = Settings { profile: None, ..Settings::default() };
    let mut cloud = Cloud::new(10);
    cloud.clear_allowed = true;
    let hub = cloud.add(settings.hub());
    let spoke = cloud.add(settings.spoke());
    let up = cloud.run_until(Duration::from_secs(10), |cloud| guide::is_registered(cloud, spoke));
    assert!(up, "not registered");
    let now = cloud.now;
    let node = &mut cloud.routers[hub].node;
    let mut receive = |sequence: u32, protocol: u16, class: u8, payload: &[u8]| {
        let underlay = Underlay {
            transport: Transport::Gre,
            local: SocketAddr::new(ip(guide::HUB), 0),
            remote: SocketAddr::new(ip(guide::SPOKE), 0),
            traffic_class: class,
            dont_fragment: false,
        };
        // Key and sequence number (RFC 2890 §2).
        let mut packet = [0x30, 0].to_vec();
        packet.extend(protocol.to_be_bytes());
        packet.extend(1_u32.to_be_bytes());
        packet.extend(sequence.to_be_bytes());
        packet.extend(payload);
        node.handle_packet(now, underlay, &mut packet)
    };
    let inner = packet_of(100);
    assert!(receive(10, 0x0800, 0, &inner).is_ok());
    assert_eq!(receive(100, 0x1234, 0, &inner), Err(Discard::Protocol { protocol: 0x1234 }));
    let not_ip = Discard::NotIp { protocol: 0x86dd, length: 100 };
    assert_eq!(receive(101, 0x86dd, 0, &inner), Err(not_ip));
    assert_eq!(receive(102, 0x0800, 3, &inner), Err(Discard::Congestion));
    assert!(matches!(receive(103, 0x2001, 0, &[0; 7]), Err(Discard::Nhrp(_))));
    // None of them was it.
    assert!(receive(11, 0x0800, 0, &inner).is_ok());
    let again = receive(11, 0x0800, 0, &inner);
    assert!(matches!(again, Err(Discard::Gre(_))), "{again:?}");
}

/// Law: the data plane never allocates. A packet out of one node and into the other, all transforms
/// and both modes, through GRE and the tables.
#[test]
fn a_data_packet_allocates_nothing() {
    let gcm = EspProposal { encryption: EspEncryption::Aes128Gcm16, integrity: None };
    for (proposal, mode) in [
        (EspProposal::TRIPLE_DES_SHA1, Mode::Transport),
        (EspProposal::AES256_SHA256, Mode::Tunnel),
        (gcm, Mode::Transport),
    ] {
        let profile =
            IpsecProfile { proposals: vec![proposal], mode, ..IpsecProfile::new("PROFILE") };
        let settings = Settings { profile: Some(profile), trace: false, ..Settings::default() };
        let (mut cloud, hub, spoke) = guide::brought_up(&settings, 6);
        let inner = packet_of(1300);
        let start = Node::MAX_HEADROOM;
        let mut buffer = vec![0; start + inner.len() + Node::MAX_TAILROOM];
        let now = cloud.now;
        for (from, to, hop) in [
            (spoke, hub, NextHop::Protocol(ip(guide::HUB_TUNNEL))),
            (hub, spoke, NextHop::Protocol(ip(guide::SPOKE_TUNNEL))),
        ] {
            let measured = allocation_counter::measure(|| {
                for _ in 0..10 {
                    buffer[start..start + inner.len()].copy_from_slice(&inner);
                    let range = start..start + inner.len();
                    let node = &mut cloud.routers[from].node;
                    let sent = node.send(now, TUNNEL, hop, &mut buffer, range).expect("it is up");
                    let Underlay { local, remote, .. } = sent.underlay;
                    let seen = Underlay { local: remote, remote: local, ..sent.underlay };
                    let node = &mut cloud.routers[to].node;
                    let inbound = node.handle_packet(now, seen, &mut buffer[sent.packet]);
                    assert!(inbound.is_ok_and(|inbound| inbound.is_some()));
                }
            });
            assert_eq!(measured.count_total, 0, "{proposal:?} {mode:?}");
        }
        // The measure does see allocations.
        let control = allocation_counter::measure(|| drop(vec![0_u8; 100]));
        assert_eq!(control.count_total, 1);
    }
}
