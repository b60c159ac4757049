//! The device under test, as a cloud drives it.

use core::net::{IpAddr, SocketAddr};
use core::ops::Range;

use dmvpn_core::{Instant, Transmit, Underlay};

/// A router in a cloud, hub or spoke: implement it to have your own driven.
///
/// The contract is that of this suite's endpoints. After any call that takes `now`, everything that
/// it caused can be polled at once. `now` is what the router's own clock shows.
pub trait Router {
    /// A packet from the underlay; where in `data` the packet lies that came out of a tunnel, if
    /// one did.
    fn handle_packet(
        &mut self,
        now: Instant,
        underlay: Underlay,
        data: &mut [u8],
    ) -> Option<Range<usize>>;

    /// Does what is due.
    fn handle_timeout(&mut self, now: Instant);

    /// When to call [`handle_timeout`](Self::handle_timeout).
    fn poll_timeout(&self) -> Option<Instant>;

    /// A packet of the control plane for the underlay.
    fn poll_transmit(&mut self) -> Option<Transmit>;

    /// What became of a registration.
    fn poll_notice(&mut self) -> Option<Notice>;

    /// Sends a packet into the tunnel that has this next hop: what is to go out, or nothing if the
    /// packet is dropped.
    fn send(&mut self, now: Instant, next_hop: IpAddr, packet: &[u8]) -> Option<Transmit>;

    /// Sends a copy to everybody who gets multicast.
    fn multicast(&mut self, now: Instant, packet: &[u8]) -> Vec<Transmit>;

    /// What an operator does.
    fn command(&mut self, now: Instant, command: Command);

    /// Whether each server that it registers with has accepted it; true where there is none.
    fn is_registered(&self) -> bool;

    /// How large its tables are. Asked after each step, so it must be cheap.
    fn sizes(&self) -> Sizes;

    /// Its tables. May be slow.
    fn tables(&self) -> Tables;

    /// Whether its own tables contradict each other, in words.
    ///
    /// # Errors
    /// What does not fit.
    fn check(&self) -> Result<(), String> {
        Ok(())
    }

    /// A line of debug output, when the scenario is traced.
    fn poll_debug(&mut self) -> Option<String> {
        None
    }
}

/// What an operator does with a router.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// `shutdown` of each tunnel.
    Shutdown,
    /// `no shutdown` of each tunnel.
    NoShutdown,
    /// `clear crypto session`.
    ClearSessions,
    /// `clear ip nhrp`.
    ClearNhrp,
}

/// What became of a registration at a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Packets to `address` go to `nbma` from now on.
    Bound {
        /// A protocol address.
        address: IpAddr,
        /// Where it is, outside any NAT.
        nbma: IpAddr,
    },
    /// They no longer do.
    Unbound {
        /// A protocol address.
        address: IpAddr,
    },
}

/// How large a router's tables are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    /// The other ends of GRE.
    pub peers: usize,
    /// The other ends of key management.
    pub sessions: usize,
    /// Inbound security associations.
    pub inbound: usize,
    /// What was dropped because a queue was full.
    pub dropped: u64,
}

impl Sizes {
    /// The larger of each.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self {
            peers: self.peers.max(other.peers),
            sessions: self.sessions.max(other.sessions),
            inbound: self.inbound.max(other.inbound),
            dropped: self.dropped.max(other.dropped),
        }
    }
}

/// A router's tables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tables {
    /// Its peers.
    pub peers: Vec<PeerRow>,
    /// What was registered with it.
    pub bindings: Vec<BindingRow>,
    /// The peers that get multicast.
    pub multicast: Vec<u64>,
    /// Phase 1 SAs, half-open ones included.
    pub phase1: usize,
}

/// A peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerRow {
    /// The router's own number for it.
    pub number: u64,
    /// Where it is reached.
    pub remote: SocketAddr,
    /// Pairs of SAs that no newer pair has replaced.
    pub current: usize,
    /// All pairs.
    pub pairs: usize,
    /// Phase 1 SAs with it.
    pub phase1: usize,
}

/// A registration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BindingRow {
    /// The protocol address.
    pub address: IpAddr,
    /// Where it is.
    pub nbma: Option<IpAddr>,
    /// The peer that registered it.
    pub peer: Option<u64>,
}
