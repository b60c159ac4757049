//! The embedding to copy: DMVPN over one UDP socket, without root.
//!
//! ```text
//! minimal hub LISTEN            minimal hub 127.0.0.1:14500
//! minimal spoke LISTEN HUB      minimal spoke 127.0.0.1:14501 127.0.0.1:14500
//! ```
//!
//! Everything travels UDP-encapsulated (RFC 3948, forced), so one port is enough on any system.

extern crate alloc;

use alloc::sync::Arc;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::net::UdpSocket;
use std::time::Instant as StdInstant;

use dmvpn_core::isakmp::crypto::Provider;
use dmvpn_core::nhrp::NextHopServer;
use dmvpn_core::{Config, IpsecProfile, TunnelConfig, esp, isakmp, nhrp};
use dmvpn_core::{NextHop, Node, Transport, TunnelId, TunnelMode, Underlay};
use dmvpn_examples::packet::Echo;
use dmvpn_time::StdClock;
use rand_core::SeedableRng;

const TUNNEL: TunnelId = TunnelId(0);
const HUB_TUNNEL: Ipv4Addr = Ipv4Addr::new(10, 1, 1, 254);
const SPOKE_TUNNEL: Ipv4Addr = Ipv4Addr::new(10, 1, 1, 1);

type Error = Box<dyn core::error::Error>;

fn main() -> Result<(), Error> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["hub", listen] => run(&UdpSocket::bind(listen)?, None),
        ["spoke", listen, hub] => run(&UdpSocket::bind(listen)?, Some(hub.parse()?)),
        _ => Err("usage: minimal hub LISTEN | minimal spoke LISTEN HUB".into()),
    }
}

/// 1. Configuration: strong defaults, one key for everybody, one tunnel.
fn node(local: SocketAddr, hub: Option<SocketAddr>, clock: &StdClock) -> Result<Node, Error> {
    let everybody = isakmp::PreSharedKey::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0, b"change me");
    let forced = isakmp::NatTraversal { force_encapsulation: true, ..Default::default() };
    let isakmp = isakmp::Config::builder(Provider::rustcrypto(), vec![everybody])
        .ports(isakmp::Ports { nat_t: local.port(), ..Default::default() })
        .nat_traversal(Some(forced))
        .dead_peer_detection(Some(isakmp::DeadPeerDetection::default()))
        .build()?;
    let config = Config::builder(Arc::new(isakmp), Arc::new(esp::crypto::RustCrypto)).build();
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)?;
    let rng = Box::new(chacha20::ChaCha20Rng::from_seed(seed));
    let now = clock.instant(StdInstant::now());
    let mut node = Node::new(Arc::new(config), rng, now);

    let (address, mode) = match hub {
        None => (HUB_TUNNEL, TunnelMode::Multipoint),
        Some(hub) => (SPOKE_TUNNEL, TunnelMode::PointToPoint { destination: hub.ip() }),
    };
    let mut nhrp = nhrp::Config::builder("Tunnel0", address.into(), 24, local.ip());
    nhrp = match hub.map(|hub| hub.ip()) {
        None => nhrp.multicast_dynamic(true),
        nbma => nhrp.servers(vec![NextHopServer { nbma, ..NextHopServer::new(HUB_TUNNEL.into()) }]),
    };
    let tunnel = TunnelConfig::builder(local.ip(), mode, Arc::new(nhrp.build()?))
        .protection(IpsecProfile::new("MINIMAL"));
    node.add_tunnel(now, TUNNEL, tunnel.build()?)?;
    Ok(node)
}

/// 2. The loop: send what is there, wait for a datagram or the next deadline, hand it in.
fn run(socket: &UdpSocket, hub: Option<SocketAddr>) -> Result<(), Error> {
    let listen = socket.local_addr()?;
    println!("listening on {listen}");
    // ISAKMP has one port for both ends, the hub's. The spoke's own is wherever its socket is.
    let local = SocketAddr::new(listen.ip(), hub.unwrap_or(listen).port());
    let clock = StdClock::new(StdInstant::now());
    let mut node = node(local, hub, &clock)?;
    let mut buffer = vec![0; 65_535];
    let give_up = StdInstant::now() + Duration::from_secs(30);
    loop {
        while let Some(transmit) = node.poll_transmit() {
            socket.send_to(&transmit.packet, transmit.underlay.remote)?;
        }
        while let Some(event) = node.poll_event() {
            println!("{event:?}");
        }
        if node.nhrp_servers(TUNNEL).any(|nhs| nhs.state == nhrp::ServerState::Responding) {
            let (source, destination, data) = (SPOKE_TUNNEL, HUB_TUNNEL, &b"hello, hub"[..]);
            let (identifier, sequence) = (1, 1);
            let echo = Echo { source, destination, request: true, identifier, sequence, data };
            let next_hop = NextHop::Protocol(HUB_TUNNEL.into());
            send(&mut node, &clock, socket, next_hop, &echo.encode()?)?;
        } else if hub.is_some() && StdInstant::now() > give_up {
            return Err("the hub did not answer".into());
        }
        let now = StdInstant::now();
        let sleep = node.poll_timeout().map(|deadline| clock.sleep(now, deadline));
        let sleep = sleep.unwrap_or(Duration::MAX);
        let sleep = sleep.clamp(Duration::from_millis(1), Duration::from_secs(1));
        socket.set_read_timeout(Some(sleep))?;
        let received = socket.recv_from(&mut buffer);
        let now = clock.instant(StdInstant::now());
        node.handle_timeout(now);
        // A time-out, or an ICMP error of an earlier datagram: nothing to hand in.
        let Ok((length, remote)) = received else { continue };
        let (transport, traffic_class, dont_fragment) = (Transport::NatT, 0, false);
        let underlay = Underlay { transport, local, remote, traffic_class, dont_fragment };
        // What is discarded is counted inside; a packet that came out of the tunnel is ours.
        let inbound = node.handle_packet(now, underlay, &mut buffer[..length]);
        let Ok(Some(inbound)) = inbound else { continue };
        let Some(echo) = Echo::parse(&buffer[inbound.packet]) else { continue };
        if let Some(reply) = echo.reply() {
            let reply = reply.encode()?;
            send(&mut node, &clock, socket, NextHop::Peer(inbound.peer), &reply)?;
        } else {
            println!("{} answers through the tunnel", echo.source);
            return Ok(());
        }
    }
}

/// 3. A packet into the tunnel: it is encrypted in place, with room around it.
fn send(
    node: &mut Node,
    clock: &StdClock,
    socket: &UdpSocket,
    next_hop: NextHop,
    packet: &[u8],
) -> Result<(), Error> {
    let range = Node::MAX_HEADROOM..Node::MAX_HEADROOM + packet.len();
    let mut buffer = vec![0; range.end + Node::MAX_TAILROOM];
    buffer[range.clone()].copy_from_slice(packet);
    let now = clock.instant(StdInstant::now());
    let outbound = node.send(now, TUNNEL, next_hop, &mut buffer, range)?;
    socket.send_to(&buffer[outbound.packet], outbound.underlay.remote)?;
    Ok(())
}
