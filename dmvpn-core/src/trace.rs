//! Typed records of what the node did, in one sequence with those of its children.

use alloc::boxed::Box;
use alloc::string::String;
use core::net::{IpAddr, SocketAddr};

use dmvpn_time::Instant;

use crate::debug::Switch;
use crate::tunnel::TunnelId;

/// A record with its time.
#[derive(Clone, Debug)]
pub struct Traced {
    /// When it happened.
    pub at: Instant,
    /// What happened.
    pub record: Record,
}

/// Whose record it is: ISAKMP's, NHRP's or the node's own.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Record {
    /// Key management, and the key engine's `IPSEC(…)` lines.
    Isakmp(Box<dmvpn_isakmp::Traced>),
    /// Next hop resolution on one tunnel.
    Nhrp(TunnelId, Box<dmvpn_nhrp::Traced>),
    /// Tunnel protection: crypto sockets.
    Socket(Socket),
    /// System messages, which need no `debug` to be shown.
    System(System),
    /// What the node's own queues could not hold.
    Overflow(Overflow),
}

/// The addresses that conditional debugging looks at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeerAddresses {
    /// The peer's NBMA address, which is also its crypto endpoint.
    pub nbma: Option<IpAddr>,
    /// The peer's tunnel address.
    pub tunnel: Option<IpAddr>,
}

/// What happened to a crypto socket: the protection of GRE between two NBMA addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Socket {
    /// The tunnel for which it was opened.
    pub tunnel: TunnelId,
    /// Whether the tunnel is multipoint.
    pub multipoint: bool,
    /// Our NBMA address.
    pub local: IpAddr,
    /// The peer's NBMA address; none for what concerns the listening socket.
    pub remote: Option<IpAddr>,
    /// What happened.
    pub change: SocketChange,
}

/// What happened to a crypto socket.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SocketChange {
    /// It is opened with this IPsec profile.
    Opening {
        /// The profile's name.
        profile: String,
    },
    /// The tunnel listens for peers.
    Listening,
    /// We are to start the negotiation.
    ActiveOpen,
    /// The peer started it.
    PassiveOpen,
    /// The first security associations belong to it now.
    Bound,
    /// GRE can pass.
    Up,
    /// NHRP was told so.
    SignallingNhrp,
    /// The MTU inside the protection, in octets.
    Mtu(u16),
    /// GRE can no longer pass.
    Down,
}

/// System messages.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum System {
    /// `%LINK-3-UPDOWN`.
    Link {
        /// Which tunnel.
        tunnel: TunnelId,
        /// Whether it came up.
        up: bool,
    },
    /// `%LINEPROTO-5-UPDOWN`.
    LineProtocol {
        /// Which tunnel.
        tunnel: TunnelId,
        /// Whether it came up.
        up: bool,
    },
    /// `%CRYPTO-4-RECVD_PKT_INV_SPI`: an ESP packet for an association that does not exist.
    InvalidSpi {
        /// Where it went.
        destination: IpAddr,
        /// The unknown index.
        spi: u32,
        /// Where it came from.
        source: IpAddr,
    },
    /// `%CRYPTO-4-RECVD_PKT_NOT_IPSEC`: GRE in clear where protection is configured.
    NotIpsec {
        /// Where it went.
        destination: IpAddr,
        /// Where it came from.
        source: IpAddr,
    },
}

/// As many as configured wait to be polled, and nobody polls.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Overflow {
    /// This packet is lost, as on a path that loses.
    TransmitDropped {
        /// Where it was to go.
        remote: SocketAddr,
        /// The limit.
        limit: usize,
    },
    /// So many events went that had become meaningless, or on which nothing hangs.
    EventsCoalesced {
        /// How many there have been, this time included.
        total: u64,
    },
}

impl Traced {
    /// The peer that the record concerns, for conditional debugging.
    #[must_use]
    pub fn peer(&self) -> PeerAddresses {
        self.record.peer()
    }
}

impl Record {
    /// The record with its time.
    pub(crate) const fn at(self, at: Instant) -> Traced {
        Traced { at, record: self }
    }

    fn peer(&self) -> PeerAddresses {
        match self {
            Self::Isakmp(traced) => {
                let nbma = Some(traced.remote.ip()).filter(|address| !address.is_unspecified());
                PeerAddresses { nbma, tunnel: None }
            }
            Self::Nhrp(_, traced) => PeerAddresses { nbma: traced.nbma, tunnel: traced.protocol },
            Self::Socket(socket) => PeerAddresses { nbma: socket.remote, tunnel: None },
            Self::Overflow(Overflow::TransmitDropped { remote, .. }) => {
                PeerAddresses { nbma: Some(remote.ip()), tunnel: None }
            }
            Self::System(_) | Self::Overflow(Overflow::EventsCoalesced { .. }) => {
                PeerAddresses::default()
            }
        }
    }

    /// The switch that shows it; none for system messages.
    pub(crate) fn switch(&self) -> Option<Switch> {
        match self {
            Self::Isakmp(traced) => isakmp_switch(&traced.trace),
            Self::Nhrp(_, traced) => Some(nhrp_switch(&traced.trace)),
            Self::Socket(socket) => Some(match socket.change {
                SocketChange::Listening
                | SocketChange::ActiveOpen
                | SocketChange::PassiveOpen
                | SocketChange::Bound => Switch::SecureSocket,
                SocketChange::Opening { .. }
                | SocketChange::Up
                | SocketChange::SignallingNhrp
                | SocketChange::Mtu(_)
                | SocketChange::Down => Switch::TunnelProtection,
            }),
            Self::System(_) => None,
            Self::Overflow(_) => Some(Switch::DmvpnError),
        }
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "what belongs to no other switch")]
const fn isakmp_switch(trace: &dmvpn_isakmp::Trace) -> Option<Switch> {
    use dmvpn_isakmp::Trace;
    Some(match trace {
        // `%CRYPTO-6-ISAKMP_ON_OFF` is a system message.
        Trace::On | Trace::Off => return None,
        Trace::Discarded(_)
        | Trace::Deviation(_)
        | Trace::TransmitDropped { .. }
        | Trace::EventsCoalesced { .. }
        | Trace::QuickModeForgotten { .. }
        | Trace::MessageIdForgotten { .. }
        | Trace::FragmentsForgotten { .. }
        | Trace::RefusalSuppressed { .. } => Switch::IsakmpError,
        Trace::ProposalNotAcceptable { .. } => Switch::IpsecError,
        Trace::SaRequest(_)
        | Trace::ValidateProposal(_)
        | Trace::KeyEngineEvent
        | Trace::SaCreated { .. }
        | Trace::EnableOutbound { .. }
        | Trace::CurrentOutbound { .. }
        | Trace::SaDeleted { .. } => Switch::Ipsec,
        _ => Switch::Isakmp,
    })
}

#[expect(clippy::wildcard_enum_match_arm, reason = "what belongs to no other switch")]
const fn nhrp_switch(trace: &dmvpn_nhrp::Trace) -> Switch {
    use dmvpn_nhrp::Trace;
    match trace {
        Trace::PacketSent { .. } | Trace::PacketReceived { .. } => Switch::NhrpProtocol,
        Trace::CacheAdd { .. }
        | Trace::CacheUpdate { .. }
        | Trace::CacheDelete { .. }
        | Trace::SubblockInserted { .. }
        | Trace::ConvertedToExternal { .. } => Switch::NhrpCache,
        Trace::RegistrationInitial { .. } | Trace::RegistrationRetransmit { .. } => {
            Switch::NhrpRate
        }
        Trace::AuthenticationFailed
        | Trace::ErrorReported { .. }
        | Trace::TransmitDropped { .. }
        | Trace::EventsCoalesced { .. }
        | Trace::Discarded(_)
        | Trace::Deviation(_) => Switch::NhrpError,
        _ => Switch::NhrpActivity,
    }
}
