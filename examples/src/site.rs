//! A router of the lab: a node from its IOS configuration, its port on the wire, its loopbacks.

use alloc::sync::Arc;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::io;
use std::time::Instant as StdInstant;

use chacha20::ChaCha20Rng;
use dmvpn_core::cisco::{
    CryptoIpsecSa, CryptoIsakmpSa, CryptoSession, CryptoSockets, Debug, Dmvpn, IpNhrp, IpNhrpNhs,
};
use dmvpn_core::nhrp::ServerState;
use dmvpn_core::{
    AddTunnelError, Inbound, InterfaceState, LoggedKey, NextHop, Node, SendError, Transport,
    TunnelId, Underlay,
};
use dmvpn_time::StdClock;
use rand_core::SeedableRng;

use crate::build::{BuildError, Built};
use crate::ios::Router;
use crate::lab::Port;
use crate::options::ShowCommand;
use crate::packet::{Carried, Echo, Packet};

const ISAKMP: u16 = 500;
const NAT_T: u16 = 4500;
const GRE: u8 = 47;
const ESP: u8 = 50;

/// The largest packet of the wire.
const MAX_PACKET: usize = 65_535;

/// A router of the lab.
pub struct Site {
    node: Node,
    port: Port,
    clock: StdClock,
    address: Ipv4Addr,
    loopbacks: Vec<Ipv4Addr>,
    buffer: Vec<u8>,
    /// Session keys so far.
    pub keys: Vec<LoggedKey>,
    /// Events since they were taken last.
    pub events: Vec<dmvpn_core::Event>,
    /// Multicast packets that came out of a tunnel.
    pub multicast: u64,
    /// Echo replies that came back to us: identifier and sequence.
    pub replies: Vec<(u16, u16)>,
}

impl core::fmt::Debug for Site {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Site").field("address", &self.address).finish_non_exhaustive()
    }
}

/// Why a site could not be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SiteError {
    /// The configuration does not make a node.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// Two tunnels get in each other's way.
    #[error(transparent)]
    Tunnel(#[from] AddTunnelError),
    /// The system gave no randomness.
    #[error("no randomness from the system: {0}")]
    Randomness(getrandom::Error),
}

impl Site {
    /// Builds the node and brings its tunnels up. What they send at once waits for [`Self::turn`].
    ///
    /// # Errors
    ///
    /// [`SiteError`].
    pub fn new(router: &Router, built: Built, port: Port) -> Result<Self, SiteError> {
        let epoch = StdInstant::now();
        let clock = StdClock::new(epoch);
        let now = clock.instant(epoch);
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(SiteError::Randomness)?;
        let rng = Box::new(ChaCha20Rng::from_seed(seed));
        let mut node = Node::new(Arc::new(built.config), rng, now);
        for (id, tunnel) in built.tunnels {
            node.add_tunnel(now, id, tunnel)?;
        }
        let loopbacks = router.loopbacks.iter().filter_map(|loopback| loopback.address);
        Ok(Self {
            node,
            port,
            clock,
            address: built.address,
            loopbacks: loopbacks.map(|loopback| loopback.address).collect(),
            buffer: vec![0; MAX_PACKET],
            keys: Vec::new(),
            events: Vec::new(),
            multicast: 0,
            replies: Vec::new(),
        })
    }

    /// One turn of the event loop: sends what is due, waits for a packet at most until the node's
    /// next deadline and at most this long, and handles it. Debug lines go to `debug`.
    ///
    /// # Errors
    ///
    /// What the socket fails with.
    pub fn turn(&mut self, at_most: Duration, debug: &mut dyn FnMut(String)) -> io::Result<()> {
        self.drain(debug)?;
        let now = StdInstant::now();
        let due = self.node.poll_timeout().map(|deadline| self.clock.sleep(now, deadline));
        let wait = due.map_or(at_most, |due| due.min(at_most));
        if let Some(length) = self.port.receive(&mut self.buffer, wait)? {
            self.packet(length)?;
        }
        let now = self.now();
        if self.node.poll_timeout().is_some_and(|deadline| deadline <= now) {
            self.node.handle_timeout(now);
        }
        self.drain(debug)
    }

    /// Whether a tunnel's line protocol is up.
    #[must_use]
    pub fn tunnel_is_up(&self, id: TunnelId) -> bool {
        self.node.interface_state(id) == Some(InterfaceState::Up)
    }

    /// Whether a next hop server of the tunnel answers: at a spoke, that it is registered.
    #[must_use]
    pub fn is_registered(&self, id: TunnelId) -> bool {
        self.node.nhrp_servers(id).any(|server| server.state == ServerState::Responding)
    }

    /// Sends an ICMP echo request through a tunnel.
    ///
    /// # Errors
    ///
    /// Why the node did not take it.
    pub fn ping(
        &mut self,
        id: TunnelId,
        next_hop: Ipv4Addr,
        echo: &Echo<'_>,
    ) -> io::Result<Result<(), SendError>> {
        let packet = echo.encode().map_err(io::Error::other)?;
        self.send(id, NextHop::Protocol(IpAddr::V4(next_hop)), &packet)
    }

    /// Sends a copy of a multicast packet to every peer of a tunnel; how many went.
    ///
    /// # Errors
    ///
    /// What the socket fails with.
    pub fn send_multicast(&mut self, id: TunnelId, packet: &[u8]) -> io::Result<usize> {
        let mut copies = 0;
        let mut cursor = None;
        while let Some(peer) = self.node.multicast_after(id, cursor) {
            if self.send(id, NextHop::Peer(peer), packet)?.is_ok() {
                copies += 1;
            }
            cursor = Some(peer);
        }
        Ok(copies)
    }

    /// What a `show` command prints.
    #[must_use]
    pub fn show(&self, command: ShowCommand) -> String {
        show(&self.node, command)
    }

    fn now(&self) -> dmvpn_time::Instant {
        self.clock.instant(StdInstant::now())
    }

    /// Everything the node has to say: packets, events, keys, debug lines.
    fn drain(&mut self, debug: &mut dyn FnMut(String)) -> io::Result<()> {
        while let Some(traced) = self.node.poll_trace() {
            debug(Debug(&traced).to_string());
        }
        while let Some(key) = self.node.dangerous_poll_key() {
            self.keys.push(key);
        }
        while let Some(event) = self.node.poll_event() {
            self.events.push(event);
        }
        while let Some(transmit) = self.node.poll_transmit() {
            self.port.send(&on_the_wire(transmit.underlay, &transmit.packet)?)?;
        }
        Ok(())
    }

    /// A packet of the wire came, `length` octets in the buffer.
    fn packet(&mut self, length: usize) -> io::Result<()> {
        let octets = self.buffer.get(..length).unwrap_or_default();
        // What is no packet for us is dropped, as a router would.
        let Ok(packet) = Packet::parse(octets) else { return Ok(()) };
        let (transport, source, destination) = match packet.carried {
            Carried::Udp { source, destination: ISAKMP } => (Transport::Isakmp, source, ISAKMP),
            Carried::Udp { source, destination: NAT_T } => (Transport::NatT, source, NAT_T),
            Carried::Protocol(ESP) => (Transport::Esp, 0, 0),
            Carried::Protocol(GRE) => (Transport::Gre, 0, 0),
            Carried::Udp { .. } | Carried::Protocol(_) => return Ok(()),
        };
        let underlay = Underlay {
            transport,
            local: SocketAddr::from((packet.destination, destination)),
            remote: SocketAddr::from((packet.source, source)),
            traffic_class: packet.traffic_class,
            dont_fragment: packet.dont_fragment,
        };
        let mut data = packet.payload.to_vec();
        let now = self.now();
        // Why a packet was discarded is in the node's counters and trace.
        if let Ok(Some(inbound)) = self.node.handle_packet(now, underlay, &mut data) {
            self.inner(&inbound, &data)?;
        }
        Ok(())
    }

    /// A packet came out of a tunnel: loopbacks answer pings, the router hears multicast.
    fn inner(&mut self, inbound: &Inbound, data: &[u8]) -> io::Result<()> {
        let octets = data.get(inbound.packet.clone()).unwrap_or_default();
        let Ok(packet) = Packet::parse(octets) else { return Ok(()) };
        if packet.destination.is_multicast() {
            self.multicast += 1;
            return Ok(());
        }
        if !self.loopbacks.contains(&packet.destination) {
            return Ok(());
        }
        let Some(echo) = Echo::parse(octets) else { return Ok(()) };
        if let Some(reply) = echo.reply() {
            let reply = reply.encode().map_err(io::Error::other)?;
            // The reply goes back the way the request came.
            let sent = self.send(inbound.tunnel, NextHop::Peer(inbound.peer), &reply)?;
            return sent.map_err(io::Error::other);
        }
        self.replies.push((echo.identifier, echo.sequence));
        Ok(())
    }

    fn send(
        &mut self,
        id: TunnelId,
        next_hop: NextHop,
        inner: &[u8],
    ) -> io::Result<Result<(), SendError>> {
        let start = Node::MAX_HEADROOM;
        let end = start + inner.len();
        let mut buffer = vec![0; end + Node::MAX_TAILROOM];
        buffer[start..end].copy_from_slice(inner);
        let now = self.now();
        match self.node.send(now, id, next_hop, &mut buffer, start..end) {
            Ok(outbound) => {
                let packet = on_the_wire(outbound.underlay, &buffer[outbound.packet])?;
                self.port.send(&packet).map(Ok)
            }
            Err(error) => Ok(Err(error)),
        }
    }
}

/// What a `show` command prints on a router.
#[must_use]
pub fn show(node: &Node, command: ShowCommand) -> String {
    match command {
        ShowCommand::CryptoSockets => CryptoSockets(node).to_string(),
        ShowCommand::CryptoSessionDetail => CryptoSession(node).to_string(),
        ShowCommand::CryptoIsakmpSaDetail => CryptoIsakmpSa(node).to_string(),
        ShowCommand::CryptoIpsecSaDetail => CryptoIpsecSa(node).to_string(),
        ShowCommand::IpNhrp => IpNhrp(node).to_string(),
        ShowCommand::IpNhrpNhs => IpNhrpNhs(node).to_string(),
        ShowCommand::Dmvpn => Dmvpn { node, detail: false }.to_string(),
        ShowCommand::DmvpnDetail => Dmvpn { node, detail: true }.to_string(),
    }
}

/// The IPv4 packet of the wire, as IOS would send it.
fn on_the_wire(underlay: Underlay, payload: &[u8]) -> io::Result<Vec<u8>> {
    let carried = match underlay.transport {
        Transport::Isakmp | Transport::NatT => {
            Carried::Udp { source: underlay.local.port(), destination: underlay.remote.port() }
        }
        Transport::Esp => Carried::Protocol(ESP),
        Transport::Gre => Carried::Protocol(GRE),
    };
    let (IpAddr::V4(source), IpAddr::V4(destination)) = (underlay.local.ip(), underlay.remote.ip())
    else {
        return Err(io::Error::other("the lab's wire carries IPv4"));
    };
    let packet = Packet {
        source,
        destination,
        carried,
        traffic_class: underlay.traffic_class,
        time_to_live: 255,
        dont_fragment: underlay.dont_fragment,
        identification: 0,
        payload,
    };
    packet.encode().map_err(io::Error::other)
}
