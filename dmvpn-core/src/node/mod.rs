//! The node: one ISAKMP endpoint, one NHRP endpoint for each tunnel, and the tables between them.

mod access;
mod batch;
mod inbound;
mod outbound;
mod path_mtu;
mod protection;
mod resolution;
mod shutdown;

pub use access::TableSizes;
pub use batch::{Incoming, Outgoing};
pub use inbound::Inbound;
pub use outbound::{NextHop, Outbound};
pub(crate) use protection::esp_transform;

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::sync::Arc;
use core::net::IpAddr;
use core::time::Duration;

use chacha20::ChaCha20Rng;
use dmvpn_isakmp::crypto::{Job, JobResult};
use dmvpn_isakmp::{Identity, Path, Protection, ProtectionId, Remote};
use dmvpn_time::{EventQueue, Few, Instant, LatestSeen, Slab, Timers, TraceRing};
use rand_core::{CryptoRng, Rng, SeedableRng};

use crate::config::Config;
use crate::event::Event;
use crate::interface::InterfaceState;
use crate::key_log::LoggedKey;
use crate::peer::{self, Peer, PeerId, SocketState, Whereabouts};
use crate::trace::{Overflow, Record, Socket, SocketChange, System, Traced};
use crate::tunnel::{IpsecProfile, TunnelConfig, TunnelId, TunnelMode};
use crate::underlay::{Transmit, Transport, Underlay};

/// A DMVPN router's tunnels, hub or spoke, without its sockets.
///
/// The methods sort into four kinds, as in every endpoint of the suite:
///
/// - **commands** and **`handle_*`** take `now` first and change something; the data path is
///   [`handle_packet`](Self::handle_packet) and [`send`](Self::send);
/// - **`poll_*`** hand out what these caused, in any order;
/// - **[`poll_timeout`](Self::poll_timeout)** says when to call
///   [`handle_timeout`](Self::handle_timeout);
/// - **views** borrow plain structs: what the `show` commands print.
#[derive(Debug)]
pub struct Node {
    config: Arc<Config>,
    latest: LatestSeen,
    rng: ChaCha20Rng,
    isakmp: dmvpn_isakmp::Endpoint,
    tunnels: BTreeMap<TunnelId, Tunnel>,
    /// Which tunnel a GRE packet to an address with a key is for.
    by_key: BTreeMap<(IpAddr, Option<u32>), TunnelId>,
    protections: BTreeMap<ProtectionId, ProtectedGroup>,
    /// By the numbers of their [`PeerId`]s.
    peers: Slab<Box<Peer>>,
    by_whereabouts: BTreeMap<Whereabouts, PeerId>,
    sessions: BTreeMap<dmvpn_isakmp::PeerId, Box<Session>>,
    /// By our address and the other end's address and port.
    by_path: BTreeMap<(IpAddr, IpAddr, u16), dmvpn_isakmp::PeerId>,
    inbound: BTreeMap<u32, Box<peer::Inbound>>,
    timers: Timers<Timer>,
    transmits: VecDeque<Transmit>,
    events: EventQueue<Event>,
    /// Bounded like the other queues; dropped keys only cost a capture.
    keys: VecDeque<LoggedKey>,
    ring: TraceRing<Traced>,
    /// A passive socket whose binding IOS would print next; read by the trace ring only.
    binding: Option<Socket>,
    /// A data packet made a child do something that is still to be taken.
    unsettled: bool,
    counters: Counters,
    next_protection: u32,
}

/// A tunnel with its state.
#[derive(Debug)]
struct Tunnel {
    config: TunnelConfig,
    nhrp: dmvpn_nhrp::Endpoint,
    gre: dmvpn_gre::Sender,
    interface: InterfaceState,
    protection: Option<ProtectionId>,
    /// The other end of a point-to-point tunnel.
    other_end: Option<PeerId>,
    counters: TunnelCounters,
}

/// Tunnels with the same source and the same profile share their security associations.
#[derive(Debug)]
struct ProtectedGroup {
    source: IpAddr,
    destination: Option<IpAddr>,
    profile: IpsecProfile,
    tunnels: BTreeSet<TunnelId>,
}

/// What key management says about the other end of a phase 1.
#[derive(Debug)]
struct Session {
    identity: Option<Identity>,
    path: Option<Path>,
    peers: Few<ProtectionId, PeerId>,
    /// When the other end was last told that it uses an association that is not there.
    invalid_spi_told: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    /// Open the crypto socket again.
    Reopen(PeerId),
    /// What ICMP said of the path to a peer is old.
    PathMtu(PeerId),
}

/// Counters over everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Packets from the underlay.
    pub received: u64,
    /// Of these, discarded.
    pub discarded: u64,
    /// ESP packets without a security association ("invalid sa (rcv)").
    pub unknown_spi: u64,
    /// GRE in clear on a protected tunnel, discarded.
    pub unprotected: u64,
    /// GRE for no tunnel.
    pub no_tunnel: u64,
    /// Path MTUs that ICMP lowered.
    pub path_mtu_lowered: u64,
    /// ICMP errors that could not lower one: not about a packet of ours, or nothing smaller.
    pub path_mtu_refused: u64,
    /// Transmits dropped because nobody polled.
    pub transmits_dropped: u64,
    /// Events that became meaningless before they were polled.
    pub events_coalesced: u64,
    /// Events on which nothing hangs, dropped because nobody polled.
    pub events_dropped: u64,
    /// Trace records lost because nobody polled.
    pub traces_dropped: u64,
}

/// Counters of one tunnel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TunnelCounters {
    /// Inner packets received.
    pub received: u64,
    /// Inner packets sent.
    pub sent: u64,
    /// Inner packets not sent: the next hop has no NBMA address.
    pub unresolved: u64,
    /// Inner packets not sent: larger than the MTU.
    pub too_big: u64,
    /// Inner packets not sent: no security association.
    pub no_sa: u64,
    /// Packets received and dropped for their congestion mark (RFC 6040 §4.2).
    pub congestion: u64,
    /// TCP segments whose MSS option was lowered.
    pub mss_adjusted: u64,
}

/// Why a tunnel could not be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddTunnelError {
    /// There is one of this number already.
    #[error("{0} exists")]
    Exists(TunnelId),
    /// Another tunnel has the same source address and key, so that packets could not be told apart.
    #[error("{tunnel} has source {source_address} and key {key:?} already")]
    SameSourceAndKey {
        /// The other tunnel.
        tunnel: TunnelId,
        /// The source address.
        source_address: IpAddr,
        /// The key.
        key: Option<u32>,
    },
    /// Another tunnel has the same source address with another profile, or with none: what arrives
    /// could not be told apart before it is decrypted.
    #[error("{tunnel} protects the same source address in another way")]
    OtherProtection {
        /// The other tunnel.
        tunnel: TunnelId,
    },
}

impl Node {
    /// Octets that `send` may need in front of a packet: ESP header (8) and IV (16), the IP header
    /// of tunnel mode (40), GRE (16).
    pub const MAX_HEADROOM: usize = 80;
    /// Octets that `send` may need behind a packet: padding and trailer (17), and the longest
    /// integrity check value (32).
    pub const MAX_TAILROOM: usize = 49;

    /// A node without tunnels.
    ///
    /// `rng` is drawn from here only: it seeds a generator for the node and one for each child, so
    /// that the same seed and the same inputs give the same octets.
    #[must_use]
    pub fn new(config: Arc<Config>, mut rng: Box<dyn CryptoRng + Send>, now: Instant) -> Self {
        let mut own = fork(&mut rng);
        let isakmp =
            dmvpn_isakmp::Endpoint::new(Arc::clone(&config.isakmp), Box::new(fork(&mut own)), now);
        Self {
            latest: LatestSeen::new(now),
            rng: own,
            isakmp,
            tunnels: BTreeMap::new(),
            by_key: BTreeMap::new(),
            protections: BTreeMap::new(),
            peers: Slab::new(),
            by_whereabouts: BTreeMap::new(),
            sessions: BTreeMap::new(),
            by_path: BTreeMap::new(),
            inbound: BTreeMap::new(),
            timers: Timers::new(),
            transmits: VecDeque::new(),
            events: EventQueue::new(),
            keys: VecDeque::new(),
            ring: TraceRing::new(config.trace_capacity),
            binding: None,
            unsettled: false,
            counters: Counters::default(),
            next_protection: 0,
            config,
        }
    }

    // -- commands ---------------------------------------------------------------------------

    /// Adds a tunnel interface and, unless it is configured `shutdown`, brings it up.
    ///
    /// # Errors
    ///
    /// [`AddTunnelError`]; nothing changed then.
    pub fn add_tunnel(
        &mut self,
        now: Instant,
        id: TunnelId,
        config: TunnelConfig,
    ) -> Result<(), AddTunnelError> {
        let now = self.latest.observe(now);
        let protection = self.check_tunnel(id, &config)?;
        let protection = match (protection, &config.protection) {
            (Some(existing), _) => Some(existing),
            (None, Some(profile)) => {
                let new = ProtectionId(self.next_protection);
                self.next_protection = self.next_protection.saturating_add(1);
                self.protections.insert(
                    new,
                    ProtectedGroup {
                        source: config.source,
                        destination: destination(&config),
                        profile: profile.clone(),
                        tunnels: BTreeSet::new(),
                    },
                );
                Some(new)
            }
            (None, None) => None,
        };
        let nhrp =
            dmvpn_nhrp::Endpoint::new(Arc::clone(&config.nhrp), Box::new(fork(&mut self.rng)), now);
        let mut gre = dmvpn_gre::Sender::new(config.key);
        if config.checksum {
            gre = gre.with_checksum();
        }
        let up = !config.shutdown;
        self.by_key.insert((config.source, config.key), id);
        self.tunnels.insert(
            id,
            Tunnel {
                config,
                nhrp,
                gre,
                interface: InterfaceState::AdministrativelyDown,
                protection,
                other_end: None,
                counters: TunnelCounters::default(),
            },
        );
        if up {
            self.no_shutdown(now, id);
        }
        Ok(())
    }

    /// `no shutdown`: brings a tunnel up. Does nothing if it is.
    pub fn no_shutdown(&mut self, now: Instant, id: TunnelId) {
        let now = self.latest.observe(now);
        self.finish_shutdown(now, id);
        let Some(tunnel) = self.tunnels.get_mut(&id) else { return };
        if tunnel.interface != InterfaceState::AdministrativelyDown {
            return;
        }
        tunnel.interface = InterfaceState::Down;
        let destination = destination(&tunnel.config);
        let protection = tunnel.protection;
        match (destination, protection) {
            (Some(remote), Some(protection)) => {
                self.start_protected_spoke(now, id, protection, remote);
            }
            (Some(remote), None) => self.start_clear_spoke(now, id, remote),
            (None, _) => self.start_multipoint(now, id, protection),
        }
        self.settle(now);
    }

    /// `clear crypto session`: deletes the peer's security associations. A socket that we want is
    /// opened again.
    pub fn clear_session(&mut self, now: Instant, peer: PeerId) {
        let now = self.latest.observe(now);
        if let Some(ike) = self.peers.get(peer.0).and_then(|peer| peer.ike) {
            self.isakmp.close(now, ike);
        }
        self.settle(now);
    }

    /// `clear ip nhrp`: forgets what peers registered on a tunnel, all of it or what `address` is
    /// found in, until they register again. How many entries that were.
    pub fn clear_nhrp(&mut self, now: Instant, id: TunnelId, address: Option<IpAddr>) -> usize {
        let now = self.latest.observe(now);
        let cleared = self.with_nhrp(now, id, |nhrp, now| nhrp.clear(now, address));
        self.settle(now);
        cleared.unwrap_or(0)
    }

    // -- handle -----------------------------------------------------------------------------

    /// Does what is due. Early or repeated calls do nothing observable.
    pub fn handle_timeout(&mut self, now: Instant) {
        let now = self.latest.observe(now);
        self.isakmp.handle_timeout(now);
        let due: alloc::vec::Vec<TunnelId> = self
            .tunnels
            .iter()
            .filter(|(_, tunnel)| tunnel.nhrp.poll_timeout().is_some_and(|at| at <= now))
            .map(|(id, _)| *id)
            .collect();
        self.settle(now);
        for id in due {
            self.with_nhrp(now, id, dmvpn_nhrp::Endpoint::handle_timeout);
            self.settle(now);
        }
        while let Some(timer) = self.timers.pop_due(now) {
            match timer {
                Timer::Reopen(peer) => self.reopen(now, peer),
                Timer::PathMtu(peer) => self.age_path_mtu(peer),
            }
            self.settle(now);
        }
    }

    /// The result of a job that [`poll_job`](Self::poll_job) gave.
    ///
    /// # Errors
    ///
    /// A result that nobody waits for any more changes nothing.
    pub fn handle_job(
        &mut self,
        now: Instant,
        result: JobResult,
    ) -> Result<(), crate::error::Discard> {
        let now = self.latest.observe(now);
        let outcome = self.isakmp.handle_job(now, result);
        self.settle(now);
        Ok(outcome?)
    }

    // -- poll -------------------------------------------------------------------------------

    /// A packet of the control plane to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// Something that happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop()
    }

    /// A trace record.
    pub fn poll_trace(&mut self) -> Option<Traced> {
        self.ring.pop()
    }

    /// A Diffie-Hellman job to run on any thread, if ISAKMP is configured to hand them out.
    pub fn poll_job(&mut self) -> Option<Job> {
        self.isakmp.poll_job()
    }

    /// A session key, if the configuration asked for them
    /// ([`dangerous_key_log`](crate::ConfigBuilder::dangerous_key_log)).
    pub fn dangerous_poll_key(&mut self) -> Option<LoggedKey> {
        self.keys.pop_front()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout): absolute, and never later than the
    /// next thing due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let children = self.tunnels.values().filter_map(|tunnel| tunnel.nhrp.poll_timeout());
        children.chain(self.isakmp.poll_timeout()).chain(self.timers.next()).min()
    }

    // -- between the children -----------------------------------------------------------------

    /// Moves everything that the children caused to where it belongs, until nothing is left
    /// (contract rule 2).
    fn settle(&mut self, now: Instant) {
        loop {
            self.absorb_isakmp_traces();
            let mut progress = self.take_isakmp_events(now);
            progress |= self.take_isakmp_transmits(now);
            progress |= self.take_nhrp_output(now);
            progress |= self.finish_shutdowns(now);
            if !progress {
                break;
            }
        }
        self.counters.traces_dropped = self.ring.dropped();
    }

    /// What nobody fetches is lost, as on any path.
    fn transmit(&mut self, now: Instant, transmit: Transmit) {
        let limit = self.config.queue;
        if self.transmits.len() >= limit {
            self.counters.transmits_dropped = self.counters.transmits_dropped.saturating_add(1);
            let remote = transmit.underlay.remote;
            self.overflow(now, Overflow::TransmitDropped { remote, limit });
        } else {
            self.transmits.push_back(transmit);
        }
    }

    fn event(&mut self, now: Instant, event: Event) {
        if self.events.push(event, self.config.queue) {
            return;
        }
        let (coalesced, dropped) = (self.events.coalesced(), self.events.dropped());
        self.counters.events_coalesced = coalesced;
        self.counters.events_dropped = dropped;
        let total = coalesced.saturating_add(dropped);
        self.overflow(now, Overflow::EventsCoalesced { total });
    }

    fn overflow(&mut self, now: Instant, overflow: Overflow) {
        self.ring.push(Record::Overflow(overflow).at(now));
    }

    fn system(&mut self, now: Instant, message: System) {
        self.ring.push(Record::System(message).at(now));
    }

    fn take_isakmp_transmits(&mut self, now: Instant) -> bool {
        let mut any = false;
        while let Some(message) = self.isakmp.poll_transmit() {
            any = true;
            let transport = match message.path.transport {
                dmvpn_isakmp::Transport::Isakmp => Transport::Isakmp,
                dmvpn_isakmp::Transport::NatT => Transport::NatT,
            };
            let packet = if message.non_esp_marker {
                let mut packet = bytes::BytesMut::with_capacity(
                    message.payload.len().saturating_add(dmvpn_esp::udp::NON_ESP_MARKER.len()),
                );
                packet.extend_from_slice(&dmvpn_esp::udp::NON_ESP_MARKER);
                packet.extend_from_slice(&message.payload);
                packet.freeze()
            } else {
                message.payload
            };
            let underlay = Underlay {
                transport,
                local: message.path.local,
                remote: message.path.remote,
                traffic_class: crate::traffic_class::CONTROL,
                dont_fragment: false,
            };
            self.transmit(now, Transmit { underlay, packet });
        }
        any
    }

    // -- tunnels ------------------------------------------------------------------------------

    /// Whether a tunnel can be added, and which existing protection it shares.
    fn check_tunnel(
        &self,
        id: TunnelId,
        config: &TunnelConfig,
    ) -> Result<Option<ProtectionId>, AddTunnelError> {
        if self.tunnels.contains_key(&id) {
            return Err(AddTunnelError::Exists(id));
        }
        if let Some(tunnel) = self.by_key.get(&(config.source, config.key)) {
            return Err(AddTunnelError::SameSourceAndKey {
                tunnel: *tunnel,
                source_address: config.source,
                key: config.key,
            });
        }
        for (other_id, other) in &self.tunnels {
            if other.config.source == config.source && other.config.protection != config.protection
            {
                return Err(AddTunnelError::OtherProtection { tunnel: *other_id });
            }
        }
        Ok(self
            .protections
            .iter()
            .find(|(_, group)| {
                group.source == config.source && group.destination == destination(config)
            })
            .map(|(id, _)| *id))
    }

    /// A spoke of phase 1: the order of calls is the guide's order of debug lines.
    fn start_protected_spoke(
        &mut self,
        now: Instant,
        id: TunnelId,
        protection: ProtectionId,
        remote: IpAddr,
    ) {
        let Some(tunnel) = self.tunnels.get(&id) else { return };
        let whereabouts = Whereabouts {
            protection: Some(protection),
            local: tunnel.config.source,
            remote,
            port: 0,
        };
        // Another tunnel may share the socket, by whichever port it is reached.
        let peer = self.peer_near(whereabouts).unwrap_or_else(|| self.peer_at(whereabouts));
        self.set_other_end(id, peer);
        self.trace_socket(now, id, Some(remote), |profile| SocketChange::Opening { profile });
        self.with_nhrp(now, id, dmvpn_nhrp::Endpoint::interface_up);
        self.trace_socket(now, id, None, |_| SocketChange::Listening);
        self.join_protection(now, id, protection);
        self.trace_socket(now, id, Some(remote), |_| SocketChange::ActiveOpen);
        self.join_flow(peer, id);
        self.want(now, peer, remote);
        if self.peers.get(peer.0).is_some_and(|peer| peer.socket == SocketState::Open) {
            self.socket_up(now, peer);
        }
    }

    fn start_clear_spoke(&mut self, now: Instant, id: TunnelId, remote: IpAddr) {
        let Some(tunnel) = self.tunnels.get(&id) else { return };
        let whereabouts =
            Whereabouts { protection: None, local: tunnel.config.source, remote, port: 0 };
        let peer = self.peer_at(whereabouts);
        self.set_other_end(id, peer);
        if let Some(entry) = self.peers.get_mut(peer.0) {
            entry.wanted = Some(remote);
        }
        self.join_flow(peer, id);
        self.with_nhrp(now, id, dmvpn_nhrp::Endpoint::interface_up);
        self.link_up(now, id, peer);
        self.line_up(now, id);
    }

    fn start_multipoint(&mut self, now: Instant, id: TunnelId, protection: Option<ProtectionId>) {
        self.with_nhrp(now, id, dmvpn_nhrp::Endpoint::interface_up);
        if let Some(protection) = protection {
            self.join_protection(now, id, protection);
        }
        self.with_nhrp(now, id, dmvpn_nhrp::Endpoint::register);
        self.line_up(now, id);
        self.open_servers(now, id);
    }

    /// The line protocol comes up: NHRP hears of it between the two system messages, as on IOS.
    fn line_up(&mut self, now: Instant, id: TunnelId) {
        let Some(tunnel) = self.tunnels.get_mut(&id) else { return };
        if tunnel.interface != InterfaceState::Down {
            return;
        }
        tunnel.interface = InterfaceState::Up;
        self.system(now, System::Link { tunnel: id, up: true });
        self.with_nhrp(now, id, dmvpn_nhrp::Endpoint::interface_up);
        self.with_nhrp(now, id, dmvpn_nhrp::Endpoint::register);
        self.system(now, System::LineProtocol { tunnel: id, up: true });
        self.event(now, Event::InterfaceUp { tunnel: id });
    }

    fn line_down(&mut self, now: Instant, id: TunnelId) {
        let Some(tunnel) = self.tunnels.get_mut(&id) else { return };
        if tunnel.interface != InterfaceState::Up {
            return;
        }
        tunnel.interface = InterfaceState::Down;
        self.system(now, System::LineProtocol { tunnel: id, up: false });
        self.system(now, System::Link { tunnel: id, up: false });
        self.event(now, Event::InterfaceDown { tunnel: id });
    }

    // -- peers --------------------------------------------------------------------------------

    /// The peer at a place; a new one if there is none.
    fn peer_at(&mut self, whereabouts: Whereabouts) -> PeerId {
        if let Some(peer) = self.by_whereabouts.get(&whereabouts) {
            return *peer;
        }
        let mut peer = Peer::new(whereabouts, self.config.path_mtu);
        for tunnel in self.tunnels_of(whereabouts.protection) {
            if let Some(tunnel_config) = self.tunnels.get(&tunnel).map(|tunnel| &tunnel.config) {
                peer.join(tunnel, tunnel_config.key);
            }
        }
        let id = PeerId(self.peers.insert(Box::new(peer)));
        self.by_whereabouts.insert(whereabouts, id);
        id
    }

    fn set_other_end(&mut self, id: TunnelId, peer: PeerId) {
        if let Some(tunnel) = self.tunnels.get_mut(&id) {
            tunnel.other_end = Some(peer);
        }
    }

    /// The tunnels whose GRE a protection carries.
    fn tunnels_of(&self, protection: Option<ProtectionId>) -> BTreeSet<TunnelId> {
        protection
            .and_then(|id| self.protections.get(&id))
            .map(|group| group.tunnels.clone())
            .unwrap_or_default()
    }

    fn join_flow(&mut self, peer: PeerId, id: TunnelId) {
        let key = self.tunnels.get(&id).and_then(|tunnel| tunnel.config.key);
        if let Some(peer) = self.peers.get_mut(peer.0) {
            peer.join(id, key);
        }
    }

    /// A tunnel without protection goes: its peers go with it.
    fn forget_clear_peers(&mut self, id: TunnelId) {
        let peers: alloc::vec::Vec<PeerId> = self
            .peers
            .iter()
            .filter(|(_, peer)| peer.whereabouts.protection.is_none() && peer.is_in(id))
            .map(|(id, _)| PeerId(id))
            .collect();
        for peer in peers {
            if let Some(entry) = self.peers.get_mut(peer.0) {
                entry.leave(id);
                if entry.flows().next().is_none() {
                    entry.wanted = None;
                    entry.bindings = 0;
                }
            }
            self.forget_if_idle(peer);
        }
    }

    /// Forgets a peer that nothing holds any more.
    fn forget_if_idle(&mut self, id: PeerId) {
        if self.peers.get(id.0).is_some_and(|peer| peer.is_idle()) {
            self.remove_peer(id);
        }
    }

    /// A peer goes, and with it its timers and its place, unless somebody else is found there.
    fn remove_peer(&mut self, id: PeerId) -> Option<Box<Peer>> {
        let peer = self.peers.remove(id.0)?;
        self.timers.cancel(&Timer::Reopen(id));
        self.timers.cancel(&Timer::PathMtu(id));
        if self.by_whereabouts.get(&peer.whereabouts) == Some(&id) {
            self.by_whereabouts.remove(&peer.whereabouts);
        }
        Some(peer)
    }

    fn trace_socket(
        &mut self,
        now: Instant,
        id: TunnelId,
        remote: Option<IpAddr>,
        change: impl FnOnce(alloc::string::String) -> SocketChange,
    ) {
        if !self.ring.is_on() {
            return;
        }
        let Some(tunnel) = self.tunnels.get(&id) else { return };
        let profile = tunnel.config.protection.as_ref().map(|profile| profile.name.clone());
        let socket = Socket {
            tunnel: id,
            multipoint: tunnel.config.is_multipoint(),
            local: tunnel.config.source,
            remote,
            change: change(profile.unwrap_or_default()),
        };
        self.ring.push(Record::Socket(socket).at(now));
    }
}

/// The other end of a point-to-point tunnel.
fn destination(config: &TunnelConfig) -> Option<IpAddr> {
    match config.mode {
        TunnelMode::PointToPoint { destination } => Some(destination),
        TunnelMode::Multipoint => None,
    }
}

/// A generator of its own, seeded from another.
fn fork(rng: &mut (impl Rng + ?Sized)) -> ChaCha20Rng {
    let mut seed = [0; 32];
    rng.fill_bytes(&mut seed);
    ChaCha20Rng::from_seed(seed)
}

impl ProtectedGroup {
    /// What key management is to negotiate.
    fn negotiable(&self) -> Protection {
        let remote = self.destination.map_or(Remote::Any, Remote::Host);
        Protection {
            proposals: self.profile.proposals.clone(),
            mode: self.profile.mode,
            lifetime: self.profile.lifetime,
            pfs: self.profile.pfs,
            ..Protection::gre(self.source, remote)
        }
    }
}

/// The pause before the next attempt to open a socket: 5 s, doubled with each failure in a row up to
/// a minute, and up to a quarter more, so that many spokes do not come back in step.
fn pause(failures: u32, rng: &mut impl Rng) -> Duration {
    let doublings = failures.saturating_sub(1).min(4);
    let seconds = 5_u64.saturating_mul(1_u64.checked_shl(doublings).unwrap_or(1)).min(60);
    let spread = u64::from(rng.next_u32() % 250);
    Duration::from_millis(seconds.saturating_mul(spread.saturating_add(1000)))
}
