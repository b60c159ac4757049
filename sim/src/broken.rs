//! What must hold, and what broke it.

use core::net::IpAddr;
use core::time::Duration;

use thiserror::Error;

use crate::router::Sizes;

/// An invariant that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("at {:.6} s: {what}", .at.as_secs_f64())]
pub struct Broken {
    /// When it was seen, after the cloud's start.
    pub at: Duration,
    /// What it is.
    pub what: Invariant,
}

/// The invariants, each with what breaks it. Sites are numbered: hubs first, then spokes.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Invariant {
    /// No clear text leaves.
    #[error("site {site} sent an inner packet, or GRE, in clear")]
    ClearText {
        /// Who.
        site: usize,
    },
    /// What goes to a spoke comes out at that spoke only.
    #[error("a packet for {destination} came out at site {site}")]
    Misdelivered {
        /// Where.
        site: usize,
        /// Whose it was.
        destination: IpAddr,
    },
    /// What comes out went in.
    #[error("a packet that nobody sent came out at site {site}")]
    Invented {
        /// Where.
        site: usize,
    },
    /// Nothing comes out twice.
    #[error("packet {number} came out of site {site} twice")]
    DeliveredTwice {
        /// Where.
        site: usize,
        /// Which.
        number: u64,
    },
    /// No two spokes share a binding that one of them did not register: an address is bound to
    /// where its spoke is, or was. One exception: what a spoke behind a NAT had sent reaches the hub
    /// for the first time from a stranger's address. The hub has to take that for the spoke's new
    /// place (RFC 3947 §7).
    #[error("site {site} bound {address} to {nbma}, where its spoke never was")]
    ForeignBinding {
        /// Whose cache.
        site: usize,
        /// The protocol address.
        address: IpAddr,
        /// Where it is said to be.
        nbma: IpAddr,
    },
    /// Tables and queues stay within their limits.
    #[error("tables of site {site} are beyond their limits: {sizes:?}")]
    TooLarge {
        /// Whose.
        site: usize,
        /// How large they are.
        sizes: Sizes,
    },
    /// Nobody floods.
    #[error("site {site} sent {packets} packets of its own within ten seconds")]
    Flood {
        /// Who.
        site: usize,
        /// How many.
        packets: u32,
    },
    /// Time goes on.
    #[error("site {site} wants to be called at once for ever")]
    Spins {
        /// Who.
        site: usize,
    },
    /// The router's own tables agree, whenever nothing is due.
    #[error("site {site}: {contradiction}")]
    Contradiction {
        /// Whose.
        site: usize,
        /// In the router's words.
        contradiction: String,
    },
    /// After the last fault all reach each other within the bound.
    #[error("{bound:?} after the last fault site {from} does not reach site {to}{state}")]
    NotConverged {
        /// The bound.
        bound: Duration,
        /// From where.
        from: usize,
        /// Where to.
        to: usize,
        /// What the two know.
        state: String,
    },
    /// On a clean network nothing is lost.
    #[error("site {from} did not reach site {to}, although nothing was wrong any more")]
    LostInPeace {
        /// From where.
        from: usize,
        /// Where to.
        to: usize,
    },
    /// Multicast reaches every spoke once.
    #[error("multicast of site {hub} reached spoke {spoke} {times} times")]
    Multicast {
        /// Who sent it.
        hub: usize,
        /// Whom it should reach.
        spoke: usize,
        /// How often it did.
        times: usize,
    },
    /// At rest there is one current pair of SAs per peer, and nothing of who is gone.
    #[error("at rest site {site} has {what}: {have}, not {want}")]
    Untidy {
        /// Whose tables.
        site: usize,
        /// What of it.
        what: &'static str,
        /// How much there is.
        have: usize,
        /// How much there should be.
        want: usize,
    },
}
