//! What a node tells its owner.

use core::net::{IpAddr, SocketAddr};

use dmvpn_isakmp::{CloseReason, Identity};
use dmvpn_time::{Coalesce, Coalescing};

use crate::{PeerId, TunnelId};

/// Something that happened, for the owner to know or to act on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A tunnel's line protocol came up: packets may be routed into it.
    InterfaceUp {
        /// Which tunnel.
        tunnel: TunnelId,
    },
    /// A tunnel's line protocol went down.
    InterfaceDown {
        /// Which tunnel.
        tunnel: TunnelId,
    },
    /// GRE can pass to and from a peer, inside ESP.
    PeerUp {
        /// Which peer.
        peer: PeerId,
        /// Whom it authenticated as.
        identity: Identity,
        /// Where it is reached.
        remote: SocketAddr,
    },
    /// A peer was seen at another address, in an authenticated packet.
    PeerMoved {
        /// Which peer.
        peer: PeerId,
        /// Where it is reached now.
        remote: SocketAddr,
    },
    /// GRE can no longer pass to and from a peer.
    PeerDown {
        /// Which peer.
        peer: PeerId,
        /// Why.
        reason: CloseReason,
    },
    /// A negotiation ended without a security association.
    NegotiationFailed {
        /// Which peer.
        peer: PeerId,
        /// Why.
        reason: CloseReason,
    },
    /// What next hop resolution on a tunnel reports.
    Nhrp {
        /// Which tunnel.
        tunnel: TunnelId,
        /// What it reports.
        event: dmvpn_nhrp::Event,
    },
    /// A GRE keepalive came, which asks to be sent back; tunnels of this suite leave liveness to
    /// dead peer detection and NHRP, as IOS does on multipoint tunnels.
    Keepalive {
        /// On which tunnel.
        tunnel: TunnelId,
        /// From where.
        remote: IpAddr,
    },
}

/// What a queue of events that nobody polls needs to hold.
impl Coalesce for Event {
    type Subject = EventSubject;

    fn coalescing(&self) -> Coalescing<EventSubject> {
        match self {
            Self::InterfaceUp { tunnel } => Coalescing::Begin(EventSubject::Interface(*tunnel)),
            Self::InterfaceDown { tunnel } => Coalescing::End(EventSubject::Interface(*tunnel)),
            Self::PeerUp { peer, .. } => Coalescing::Begin(EventSubject::Peer(*peer)),
            Self::PeerMoved { peer, .. } => Coalescing::Latest(EventSubject::Peer(*peer)),
            Self::PeerDown { peer, .. } => Coalescing::End(EventSubject::Peer(*peer)),
            Self::Nhrp { tunnel, event } => {
                event.coalescing().map(|subject| EventSubject::Nhrp(*tunnel, subject))
            }
            Self::NegotiationFailed { .. } | Self::Keepalive { .. } => Coalescing::News,
        }
    }
}

/// What events are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum EventSubject {
    /// A tunnel's line protocol.
    Interface(TunnelId),
    /// A peer.
    Peer(PeerId),
    /// What next hop resolution on a tunnel reports about.
    Nhrp(TunnelId, dmvpn_nhrp::EventSubject),
}
