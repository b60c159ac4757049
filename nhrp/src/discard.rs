//! Why input was not accepted, and what was accepted although the RFC forbids it.

use core::net::IpAddr;

use crate::wire::{ErrorCode, PacketType, ParseError, RequestId};
use crate::{LinkId, Prefix};

/// Why a packet changed nothing. Only counters and the trace ring know of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Discard {
    /// Not an NHRP packet.
    #[error("peer sent a malformed packet: {0}")]
    Malformed(#[from] ParseError),
    /// The interface is down.
    #[error("interface is down")]
    InterfaceDown,
    /// An address family or protocol other than IP over IP, or an address of another length.
    #[error("peer speaks of addresses that are not IP addresses")]
    AddressFamily,
    /// The packet is addressed to another router. Forwarding is not done here.
    #[error("packet is for {destination}, not for us")]
    NotForUs {
        /// Its destination protocol address.
        destination: IpAddr,
    },
    /// A packet type that is not acted on.
    #[error("{0} is not acted on")]
    PacketType(PacketType),
    /// Authentication is wrong, and so many were answered within this second that this one is not.
    #[error("authentication is wrong")]
    Authentication,
    /// An extension in error, and so many were answered within this second that this one is not.
    #[error("packet is in error: {0}")]
    Erroneous(ErrorCode),
    /// More registration and purge requests within a second than configured.
    #[error(
        "more than {limit} registration and purge requests within a second, in all or of one peer"
    )]
    RegistrationRate {
        /// The limit.
        limit: u32,
    },
    /// A request without client information entry.
    #[error("request has no client information entry")]
    NoEntry,
    /// A registration that names a target twice: which of the two should count?
    #[error("registration names {target} twice")]
    NamedTwice {
        /// The target.
        target: Prefix,
    },
    /// A reply with an identifier that no outstanding request to this server has.
    #[error("reply {0} answers no request of ours")]
    UnexpectedReply(RequestId),
    /// A reply whose source addresses are not those of our request.
    #[error("reply {0} does not repeat our request's addresses")]
    ReplyMismatch(RequestId),
    /// A reply that did not come from where the server is.
    #[error("reply came from {nbma}, where the server is not")]
    ReplyFromElsewhere {
        /// Where it came from.
        nbma: IpAddr,
    },
    /// A reply that came over another link than its request went.
    #[error("reply came over link {}, the request went over another", link.0)]
    ReplyOverOtherLink {
        /// The link it came over.
        link: LinkId,
    },
    /// A purge of a binding that somebody else registered.
    #[error("purge of {address}, which the sender did not register")]
    NotOwner {
        /// The address.
        address: IpAddr,
    },
    /// As many packets or events as configured wait to be polled already.
    #[error("{limit} packets or events wait already")]
    QueueFull {
        /// The limit.
        limit: usize,
    },
    /// The answer would be longer than a packet can be.
    #[error("answer would be too long")]
    AnswerTooLong,
}

/// Something accepted knowingly although an RFC forbids it; traced and counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Deviation {
    /// A hop count of zero (RFC 2332 §5.1: it would not have been forwarded). OpenNHRP sends it.
    HopCountZero,
    /// A registration whose destination is the broadcast address, since the client does not know
    /// the server's. RFC 2332 §5.2.3 wants the client's own address there.
    BroadcastDestination,
    /// Octets after the end of the packet.
    TrailingOctets,
}
