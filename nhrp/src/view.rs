//! What `show` commands print, as plain structs.

use alloc::sync::Arc;
use core::net::IpAddr;
use core::time::Duration;

use crate::{LinkId, Prefix};

/// A cache entry: a block of `show ip nhrp`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheView {
    /// The interface: `Tunnel0`.
    pub interface: Arc<str>,
    /// What it is about.
    pub target: Prefix,
    /// The protocol address that stands for it.
    pub next_hop: IpAddr,
    /// Where that is; `None` while the entry is incomplete.
    pub nbma: Option<IpAddr>,
    /// The NBMA address that the client has inside its NAT, if there is one.
    pub claimed_nbma: Option<IpAddr>,
    /// The link that it was registered through.
    pub link: Option<LinkId>,
    /// Since when it has been there.
    pub age: Duration,
    /// How long it will yet be there; `None` for ever.
    pub expires: Option<Duration>,
    /// How it came here.
    pub kind: CacheKind,
    /// What else is known of it.
    pub flags: CacheFlags,
}

impl CacheView {
    /// Whether it is about a network of ours.
    #[must_use]
    pub const fn is_local(&self) -> bool {
        self.flags.local
    }
}

/// How a cache entry came there: the `Type` of `show ip nhrp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CacheKind {
    /// Configured.
    Static,
    /// Learned from a peer.
    Dynamic,
    /// Wanted, but its NBMA address is not known.
    Incomplete,
}

/// What else is known of a cache entry: the `Flags` of `show ip nhrp`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheFlags {
    /// `unique`: nobody else may register the address.
    pub unique: bool,
    /// `registered`: a client registered it with us.
    pub registered: bool,
    /// `local`: it is about a network of ours.
    pub local: bool,
    /// `nat`: the client is behind a NAT.
    pub nat: bool,
}

/// A next hop server: a line of `show ip nhrp nhs`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerView {
    /// Its protocol address.
    pub address: IpAddr,
    /// Its NBMA address, if known.
    pub nbma: Option<IpAddr>,
    /// Whether it answers.
    pub state: ServerState,
    /// Its priority; 0 is the best.
    pub priority: u8,
    /// Its cluster.
    pub cluster: u8,
    /// Our address outside a NAT, if it sees another than ours.
    pub outside_nbma: Option<IpAddr>,
}

/// Whether a next hop server answers: the letters of `show ip nhrp nhs`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ServerState {
    /// Blank: there is no way to it.
    #[default]
    Down,
    /// `W`: others of its cluster are preferred.
    Waiting,
    /// `E`: it was asked, and its reply is expected.
    Expecting,
    /// `RE`: it responds, and further replies are expected.
    Responding,
}

impl ServerState {
    /// The letters.
    #[must_use]
    pub const fn letters(self) -> &'static str {
        match self {
            Self::Down => "",
            Self::Waiting => "W",
            Self::Expecting => "E",
            Self::Responding => "RE",
        }
    }
}

/// Counters of one endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Packets given to the endpoint.
    pub received: u64,
    /// Of these, discarded.
    pub discarded: u64,
    /// Packets to send, retransmissions included.
    pub sent: u64,
    /// Registration requests sent again.
    pub retransmitted: u64,
    /// Registrations that we accepted as a server.
    pub registrations_accepted: u64,
    /// Registrations that we refused as a server.
    pub registrations_refused: u64,
    /// Packets with wrong authentication, or none.
    pub authentication_failures: u64,
    /// Error indications sent.
    pub errors_sent: u64,
    /// Error indications received.
    pub errors_received: u64,
    /// Leniencies.
    pub deviations: u64,
    /// Registration and purge requests beyond the rate, of all or of one peer.
    pub requests_limited: u64,
    /// Registrations refused because there are as many entries as allowed, in all or of one peer.
    pub entries_refused: u64,
    /// Error indications not sent, because there were enough in that second.
    pub errors_suppressed: u64,
    /// Packets refused because transmits or events wait to be polled.
    pub refused_for_queue: u64,
    /// Transmits dropped because nobody polled.
    pub transmits_dropped: u64,
    /// Events that became meaningless before they were polled.
    pub events_coalesced: u64,
    /// Trace records lost because nobody polled.
    pub traces_dropped: u64,
}
