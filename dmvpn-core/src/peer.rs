//! A peer: the other end of GRE, behind one NBMA address, and the crypto socket towards it.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, SocketAddr};

use dmvpn_isakmp::{Identity, Mode, ProtectionId, Selectors};
use dmvpn_time::{Few, Instant};

use crate::TunnelId;

/// The other end of GRE. A number is never used twice.
///
/// It survives renegotiation and a change of address; what binds policy is the identity behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(pub(crate) u64);

impl PeerId {
    /// The number, which is also that of the peer's link in NHRP's views
    /// ([`LinkId`](dmvpn_nhrp::LinkId)).
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "peer {}", self.0)
    }
}

/// Where a peer is reached: protection (none for GRE in clear), address, and the UDP port if ESP is
/// UDP-encapsulated, else 0. Several spokes behind one NAT differ in the port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Whereabouts {
    pub(crate) protection: Option<ProtectionId>,
    pub(crate) local: IpAddr,
    pub(crate) remote: IpAddr,
    pub(crate) port: u16,
}

/// The state of the crypto socket, as `show crypto sockets` words it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketState {
    /// A negotiation is under way, or will be tried again.
    Opening,
    /// Security associations are there.
    Open,
    /// Nothing is there, and nothing is under way.
    Closed,
}

/// Everything about one peer.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) whereabouts: Whereabouts,
    /// The other end of key management, while there is one.
    pub(crate) ike: Option<dmvpn_isakmp::PeerId>,
    pub(crate) identity: Option<Identity>,
    pub(crate) socket: SocketState,
    /// The address that we open the socket to ourselves: the tunnel's destination, or that of a next
    /// hop server. A peer behind a NAT may be found elsewhere for a time.
    pub(crate) wanted: Option<IpAddr>,
    /// Failures in a row, for the pause before the next attempt.
    pub(crate) failures: u32,
    /// The association that packets go out on. It lies here, where a packet has found the peer.
    pub(crate) outbound: Option<Outbound>,
    /// Associations whose use the peer has not confirmed yet, by SPI.
    pub(crate) waiting: BTreeMap<u32, Box<Outbound>>,
    /// SPIs of the associations that packets come in on.
    pub(crate) inbound: Few<u32>,
    /// GRE's receiving state on its tunnel, so that a data packet finds it there.
    flow: Option<Flow>,
    /// The same on other tunnels that share its protection: seldom any.
    other_flows: Vec<Flow>,
    pub(crate) path_mtu: u16,
    /// What the path MTU is again when ICMP's word is too old.
    pub(crate) lasting_path_mtu: u16,
    /// NHRP cache entries that were registered through this peer.
    pub(crate) bindings: usize,
    /// Since when GRE can pass.
    pub(crate) up_since: Option<Instant>,
    /// What associations of the past counted, and what happened without one.
    counters: Option<Box<dmvpn_esp::Counters>>,
}

/// What GRE knows of a peer on a tunnel.
#[derive(Debug)]
struct Flow {
    tunnel: TunnelId,
    receiver: dmvpn_gre::Receiver,
}

/// What is asked of a peer when a packet comes from it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller {
    pub(crate) ike: Option<dmvpn_isakmp::PeerId>,
    pub(crate) remote: SocketAddr,
}

/// An association that packets go out on.
#[derive(Debug)]
pub(crate) struct Outbound {
    pub(crate) association: Association,
    pub(crate) sa: dmvpn_esp::OutboundSa,
}

/// An association that packets come in on.
#[derive(Debug)]
pub(crate) struct Inbound {
    pub(crate) peer: PeerId,
    pub(crate) association: Association,
    pub(crate) sa: dmvpn_esp::InboundSa,
    /// Whether a packet has come in on it.
    pub(crate) in_use: bool,
}

/// What is the same for both directions of a pair.
#[derive(Debug)]
pub(crate) struct Association {
    pub(crate) mode: Mode,
    pub(crate) selectors: Selectors,
    pub(crate) expires: Instant,
    /// Whether key management was told that a successor is due.
    pub(crate) successor_asked: bool,
    /// The UDP encapsulation's own port, if there is one (RFC 3948).
    pub(crate) udp: Option<u16>,
}

impl Outbound {
    pub(crate) const fn spi(&self) -> u32 {
        self.sa.key().spi().0
    }
}

impl Association {
    /// Whether a successor has just become due: true once.
    pub(crate) const fn wants_successor(&mut self, soft_expired: bool) -> bool {
        let due = soft_expired && !self.successor_asked;
        self.successor_asked |= due;
        due
    }
}

impl Peer {
    pub(crate) fn new(whereabouts: Whereabouts, path_mtu: u16) -> Self {
        Self {
            whereabouts,
            ike: None,
            identity: None,
            socket: SocketState::Closed,
            wanted: None,
            failures: 0,
            outbound: None,
            waiting: BTreeMap::new(),
            inbound: Few::new(),
            flow: None,
            other_flows: Vec::new(),
            path_mtu,
            lasting_path_mtu: path_mtu,
            bindings: 0,
            up_since: None,
            counters: None,
        }
    }

    pub(crate) const fn remote(&self) -> SocketAddr {
        SocketAddr::new(self.whereabouts.remote, self.whereabouts.port)
    }

    pub(crate) const fn caller(&self) -> Caller {
        Caller { ike: self.ike, remote: self.remote() }
    }

    /// Takes part in a tunnel, whose packets carry `key`.
    pub(crate) fn join(&mut self, id: TunnelId, key: Option<u32>) {
        if self.is_in(id) {
            return;
        }
        let flow = Flow { tunnel: id, receiver: dmvpn_gre::Receiver::new(key) };
        if self.flow.is_none() {
            self.flow = Some(flow);
        } else {
            self.other_flows.push(flow);
        }
    }

    pub(crate) fn leave(&mut self, id: TunnelId) {
        self.flow.take_if(|flow| flow.tunnel == id);
        self.other_flows.retain(|flow| flow.tunnel != id);
    }

    pub(crate) fn is_in(&self, id: TunnelId) -> bool {
        self.flows().any(|(tunnel, _)| tunnel == id)
    }

    /// The tunnels that it takes part in, with the keys of their packets.
    pub(crate) fn flows(&self) -> impl Iterator<Item = (TunnelId, Option<u32>)> + '_ {
        let flows = self.flow.iter().chain(&self.other_flows);
        flows.map(|flow| (flow.tunnel, flow.receiver.key()))
    }

    fn flows_mut(&mut self) -> impl Iterator<Item = &mut Flow> + '_ {
        self.flow.iter_mut().chain(&mut self.other_flows)
    }

    pub(crate) fn flow_mut(&mut self, id: TunnelId) -> Option<&mut dmvpn_gre::Receiver> {
        self.flows_mut().find(|flow| flow.tunnel == id).map(|flow| &mut flow.receiver)
    }

    /// RFC 2890 §2.2: a tunnel that is established anew counts anew.
    pub(crate) fn reset_sequences(&mut self) {
        self.flows_mut().for_each(|flow| flow.receiver.reset_sequence());
    }

    /// What associations of the past counted, and what happened without one.
    pub(crate) fn past_counters(&self) -> dmvpn_esp::Counters {
        self.counters.as_deref().copied().unwrap_or_default()
    }

    pub(crate) fn past_counters_mut(&mut self) -> &mut dmvpn_esp::Counters {
        self.counters.get_or_insert_default()
    }

    /// The associations that packets go out on, or will: the current one first.
    pub(crate) fn outbounds(&self) -> impl Iterator<Item = &Outbound> + '_ {
        self.outbound.iter().chain(self.waiting.values().map(Box::as_ref))
    }

    /// Takes an association out of those that wait. A map that has become empty would keep its memory.
    pub(crate) fn take_waiting(&mut self, spi: u32) -> Option<Box<Outbound>> {
        let taken = self.waiting.remove(&spi);
        if self.waiting.is_empty() {
            self.waiting = BTreeMap::new();
        }
        taken
    }

    /// Nothing holds it any more: it may be forgotten.
    pub(crate) fn is_idle(&self) -> bool {
        self.wanted.is_none()
            && self.ike.is_none()
            && self.bindings == 0
            && self.outbound.is_none()
            && self.waiting.is_empty()
            && self.inbound.is_empty()
    }
}
