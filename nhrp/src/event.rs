//! What an endpoint tells its owner.

use core::net::IpAddr;

use dmvpn_time::{Coalesce, Coalescing};

use crate::wire::{CieCode, ErrorCode};
use crate::{LinkId, Prefix};

/// Something that happened, for the owner to act on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A next hop server accepted our registration.
    NhsUp {
        /// Its protocol address.
        address: IpAddr,
    },
    /// A next hop server no longer answers, refuses us, or cannot be reached.
    NhsDown {
        /// Its protocol address.
        address: IpAddr,
    },
    /// A next hop server refused our registration.
    RegistrationRefused {
        /// Its protocol address.
        address: IpAddr,
        /// Why.
        code: CieCode,
    },
    /// An entry came into the cache. For each there is one [`Event::CacheRemoved`] with the same
    /// target and link: an entry that moves to another link is removed and added.
    CacheAdded {
        /// What it is about.
        target: Prefix,
        /// Where that is.
        nbma: IpAddr,
        /// The link that it was registered through; `None` for static entries.
        link: Option<LinkId>,
    },
    /// An entry changed its NBMA address, but not its link.
    CacheUpdated {
        /// What it is about.
        target: Prefix,
        /// Where that is now.
        nbma: IpAddr,
        /// The link that it was registered through.
        link: Option<LinkId>,
    },
    /// An entry left the cache.
    CacheRemoved {
        /// What it was about.
        target: Prefix,
        /// Where that was.
        nbma: IpAddr,
        /// The link that it was registered through.
        link: Option<LinkId>,
    },
    /// Multicast goes to this link from now on.
    MulticastAdded {
        /// The link.
        link: LinkId,
    },
    /// Multicast no longer goes to this link.
    MulticastRemoved {
        /// The link.
        link: LinkId,
    },
    /// A peer's authentication is wrong; it was told so.
    AuthenticationFailed {
        /// Where the packet came from.
        nbma: IpAddr,
        /// The link.
        link: LinkId,
    },
    /// A peer reported an error in a packet of ours. The report is not authenticated.
    ErrorReported {
        /// Where the report came from.
        nbma: IpAddr,
        /// What it says.
        code: ErrorCode,
    },
}

/// What a queue of events that nobody polls needs to hold.
impl Coalesce for Event {
    type Subject = EventSubject;

    fn coalescing(&self) -> Coalescing<EventSubject> {
        match self {
            Self::CacheAdded { target, link, .. } => {
                Coalescing::Begin(EventSubject::Entry(*target, *link))
            }
            Self::CacheUpdated { target, link, .. } => {
                Coalescing::Latest(EventSubject::Entry(*target, *link))
            }
            Self::CacheRemoved { target, link, .. } => {
                Coalescing::End(EventSubject::Entry(*target, *link))
            }
            Self::MulticastAdded { link } => Coalescing::Begin(EventSubject::Multicast(*link)),
            Self::MulticastRemoved { link } => Coalescing::End(EventSubject::Multicast(*link)),
            Self::NhsUp { address } | Self::NhsDown { address } => {
                Coalescing::Latest(EventSubject::Server(*address))
            }
            Self::RegistrationRefused { address, .. } => {
                Coalescing::Latest(EventSubject::Refusal(*address))
            }
            Self::AuthenticationFailed { .. } | Self::ErrorReported { .. } => Coalescing::News,
        }
    }
}

/// What events are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum EventSubject {
    /// An entry of the cache: its target and link.
    Entry(Prefix, Option<LinkId>),
    /// Multicast over a link.
    Multicast(LinkId),
    /// A next hop server.
    Server(IpAddr),
    /// What a next hop server refuses.
    Refusal(IpAddr),
}
