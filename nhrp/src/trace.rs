//! Typed records of what happened, in the order in which IOS's debug output tells it.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::net::IpAddr;
use core::time::Duration;

use dmvpn_time::Instant;

use crate::wire::{CieCode, ErrorCode, Packet, RequestId};
use crate::{Deviation, Discard, Prefix, ServerState};

/// A record with its circumstances.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traced {
    /// When.
    pub at: Instant,
    /// The interface: `Tunnel0`.
    pub interface: Arc<str>,
    /// The peer's NBMA address: what `debug dmvpn condition peer nbma` filters by.
    pub nbma: Option<IpAddr>,
    /// The peer's protocol address: what `debug dmvpn condition peer tunnel` filters by.
    pub protocol: Option<IpAddr>,
    /// What happened.
    pub trace: Trace,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trace {
    // -- the interface --
    /// `if_up: Tunnel0 proto 0`.
    InterfaceUp,
    /// `if_down: Tunnel0 proto 0`.
    InterfaceDown,

    // -- packets --
    /// `Attempting to send packet via DEST 10.1.1.254`.
    SendAttempt {
        /// The protocol address that it goes to.
        destination: IpAddr,
    },
    /// `NHRP successfully resolved 10.1.1.1 to NBMA 172.16.1.1`.
    Resolved {
        /// The protocol address.
        address: IpAddr,
        /// Where it is.
        nbma: IpAddr,
    },
    /// `Encapsulation succeeded.  Tunnel IP addr 172.16.1.1`.
    Encapsulated {
        /// The NBMA address that it goes to.
        nbma: IpAddr,
    },
    /// `Send Registration Request via Tunnel0 vrf 0, packet size: 108`, the line
    /// `src: 10.1.1.1, dst: 10.1.1.254`, and the packet's fields.
    PacketSent {
        /// Our protocol address.
        source: IpAddr,
        /// The protocol address that it goes to.
        destination: IpAddr,
        /// The packet.
        packet: Box<Packet>,
    },
    /// `Receive Registration Request via Tunnel0 vrf 0, packet size: 108` and the packet's fields.
    PacketReceived {
        /// The packet.
        packet: Box<Packet>,
    },
    /// `netid_in = 1, to_us = 1`.
    Network {
        /// The network identifier of the interface for a request, 0 for anything else.
        incoming: u32,
        /// Whether the packet is for us.
        to_us: bool,
    },

    // -- the cache --
    /// `Tunnel0: Cache add for target 10.1.1.1/32 next-hop 10.1.1.1` and, on a line of its own,
    /// the NBMA address.
    CacheAdd {
        /// What the entry is about.
        target: Prefix,
        /// The protocol address that stands for it.
        next_hop: IpAddr,
        /// Where that is.
        nbma: Option<IpAddr>,
    },
    /// `Tunnel0: Cache update for target …`, the same otherwise.
    CacheUpdate {
        /// What the entry is about.
        target: Prefix,
        /// The protocol address that stands for it.
        next_hop: IpAddr,
        /// Where that is.
        nbma: Option<IpAddr>,
    },
    /// `Tunnel0: Cache delete for target …`, the same otherwise.
    CacheDelete {
        /// What the entry was about.
        target: Prefix,
        /// The protocol address that stood for it.
        next_hop: IpAddr,
        /// Where that was.
        nbma: Option<IpAddr>,
        /// Why it went.
        cause: RemovalCause,
    },
    /// `Adding Tunnel Endpoints (VPN: 10.1.1.1, NBMA: 172.16.1.1)`.
    EndpointsAdding {
        /// The protocol address.
        protocol: IpAddr,
        /// The NBMA address.
        nbma: IpAddr,
    },
    /// `Successfully attached NHRP subblock for Tunnel Endpoints (VPN: 10.1.1.1, NBMA:
    /// 172.16.1.1)`.
    EndpointsAttached {
        /// The protocol address.
        protocol: IpAddr,
        /// The NBMA address.
        nbma: IpAddr,
    },
    /// `Inserted subblock node for cache: Target 10.1.1.1/32 nhop 10.1.1.1`.
    SubblockInserted {
        /// What the entry is about.
        target: Prefix,
        /// The protocol address that stands for it.
        next_hop: IpAddr,
    },
    /// `Converted internal dynamic cache entry for 10.1.1.1/32 interface Tunnel0 to external`.
    ConvertedToExternal {
        /// What the entry is about.
        target: Prefix,
    },
    /// `Tu0: Creating dynamic multicast mapping NBMA: 172.16.1.1`.
    MulticastCreating {
        /// The NBMA address.
        nbma: IpAddr,
    },
    /// `Added dynamic multicast mapping for NBMA: 172.16.1.1`.
    MulticastAdded {
        /// The NBMA address.
        nbma: IpAddr,
    },
    /// `Removed dynamic multicast mapping for NBMA: 172.16.1.1`.
    MulticastRemoved {
        /// The NBMA address.
        nbma: IpAddr,
    },

    // -- the server --
    /// `Updating our cache with NBMA: 172.16.10.1, NBMA_ALT: 172.16.10.1`: by which address of
    /// ours the client reaches us.
    OurNbma {
        /// The address that its packets come to.
        nbma: IpAddr,
        /// The address that it says it sends to.
        alternate: IpAddr,
    },
    /// The client is behind a NAT: it is somewhere else than it says.
    NatDetected {
        /// Where it says it is.
        claimed: IpAddr,
        /// Where it is.
        outside: IpAddr,
    },
    /// `New mandatory length: 32`.
    MandatoryLength {
        /// Octets of the reply's mandatory part.
        octets: usize,
    },
    /// A registration was refused.
    RegistrationRefused {
        /// What was to be registered.
        target: Prefix,
        /// The code in the reply.
        code: CieCode,
    },

    // -- the client --
    /// `Unable to send Registration - no NHSes configured`.
    NoServers,
    /// `NHS 10.1.1.254 Tunnel0 vrf 0 Cluster 0 Priority 0 Transitioned to 'E' from ''`.
    ServerTransition {
        /// The server's protocol address.
        address: IpAddr,
        /// Its cluster.
        cluster: u8,
        /// Its priority.
        priority: u8,
        /// The state that it came to.
        to: ServerState,
        /// The state that it came from.
        from: ServerState,
    },
    /// `NHRP-RATE: Sending initial Registration Request for 10.1.1.254, reqid 65540`.
    RegistrationInitial {
        /// The server's protocol address.
        address: IpAddr,
        /// The request's identifier.
        request_id: RequestId,
    },
    /// `NHRP-RATE: Retransmitting Registration Request for 10.1.1.254, reqid 65540, (retrans ivl
    /// 2 sec)`.
    RegistrationRetransmit {
        /// The server's protocol address.
        address: IpAddr,
        /// The request's identifier, the same each time.
        request_id: RequestId,
        /// How long it will be waited for the reply.
        interval: Duration,
    },
    /// `NHS-UP: 10.1.1.254`.
    NhsUp {
        /// The server's protocol address.
        address: IpAddr,
    },
    /// `NHS-DOWN: 10.1.1.254`.
    NhsDown {
        /// The server's protocol address.
        address: IpAddr,
    },
    /// A server refused our registration.
    RefusalReceived {
        /// The server's protocol address.
        address: IpAddr,
        /// The code in its reply.
        code: CieCode,
    },
    /// A server sees us at another NBMA address than ours: we are behind a NAT.
    BehindNat {
        /// The address that it sees.
        outside: IpAddr,
    },

    // -- refusals --
    /// Authentication is wrong, or absent.
    AuthenticationFailed,
    /// A peer reported an error in a packet of ours.
    ErrorReported {
        /// What it says.
        code: ErrorCode,
        /// Where in the packet.
        offset: u16,
    },
    /// As many packets as configured wait to be polled: this one is lost, as on a path that loses.
    TransmitDropped {
        /// The limit.
        limit: usize,
    },
    /// As many events as configured wait to be polled: so many went that had become meaningless.
    EventsCoalesced {
        /// How many there have been, this time included.
        total: u64,
    },
    /// Input changed nothing.
    Discarded(Discard),
    /// Something was accepted although an RFC forbids it.
    Deviation(Deviation),
}

/// Why an entry left the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum RemovalCause {
    /// Its holding time is over.
    Expired,
    /// Who registered it purged it.
    Purged,
    /// It moved to another link.
    Moved,
    /// The interface went down.
    InterfaceDown,
    /// It is no longer configured.
    Unconfigured,
    /// The operator cleared it.
    Cleared,
}
