//! What `show` commands print, as plain structs.

use core::net::IpAddr;
use core::time::Duration;

use crate::crypto::{Group, HashAlgorithm};
use crate::wire::Cookie;
use crate::{
    CoarseState, Encapsulation, Encryption, EspProposal, Identity, Mode, Nat, Path, PeerId,
    ProtectionId, Role, SaLifetime, Selectors, StateKind,
};

/// A phase 1 SA as of the time last seen: a row of `show crypto isakmp sa detail`, and the IKE line of
/// `show crypto session detail`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phase1View {
    /// The connection id; 0 until it has keys.
    pub connection: u32,
    /// The peer; `None` for one that has not authenticated.
    pub peer: Option<PeerId>,
    /// Who started it.
    pub role: Role,
    /// The state.
    pub state: StateKind,
    /// The coarse state.
    pub coarse: CoarseState,
    /// The path.
    pub path: Path,
    /// The cookies, the initiator's first.
    pub cookies: (Cookie, Cookie),
    /// What was negotiated; `None` before.
    pub suite: Option<SuiteView>,
    /// What is left of its lifetime.
    pub remaining: Option<Duration>,
    /// Whom the peer authenticated as; `None` before.
    pub identity: Option<Identity>,
    /// Who is behind a NAT.
    pub nat: Nat,
    /// Whether dead peer detection runs: we are to ask, and the peer does answer.
    pub dead_peer_detection: bool,
}

/// The algorithms of a phase 1 SA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SuiteView {
    /// Encryption.
    pub encryption: Encryption,
    /// Hash.
    pub hash: HashAlgorithm,
    /// Diffie-Hellman group.
    pub group: Group,
}

/// A pair of phase 2 SAs as of the time last seen: the IKE side of `show crypto ipsec sa` and of
/// `show crypto session detail`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phase2View {
    /// The peer.
    pub peer: PeerId,
    /// The protection.
    pub protection: ProtectionId,
    /// SPI of the inbound SA.
    pub inbound_spi: u32,
    /// SPI of the outbound SA.
    pub outbound_spi: u32,
    /// Connection ids of the inbound and the outbound SA.
    pub conn_ids: (u32, u32),
    /// The algorithms.
    pub transform: EspProposal,
    /// Mode of encapsulation.
    pub mode: Mode,
    /// The traffic.
    pub selectors: Selectors,
    /// How packets travel.
    pub encapsulation: Encapsulation,
    /// The lifetime it started with.
    pub lifetime: SaLifetime,
    /// What is left of it in time.
    pub remaining: Duration,
    /// The group of perfect forward secrecy.
    pub pfs: Option<Group>,
    /// Whether the outbound SA may be used.
    pub enabled: bool,
    /// Whether a newer pair has taken its place.
    pub superseded: bool,
}

/// A peer: a block of `show crypto session detail`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerView {
    /// The peer.
    pub peer: PeerId,
    /// The way to it.
    pub path: Path,
    /// The address that `connect` was called with, if we connected.
    pub target: Option<IpAddr>,
    /// Whom it authenticated as.
    pub identity: Option<Identity>,
    /// Since when it has been up without a break.
    pub uptime: Option<Duration>,
    /// Phase 1 SAs, half-open ones included.
    pub phase1: usize,
    /// Pairs of phase 2 SAs.
    pub phase2: usize,
}

/// Counters over everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Datagrams given to the endpoint.
    pub received: u64,
    /// Of these, discarded.
    pub discarded: u64,
    /// Datagrams to send, retransmissions included.
    pub sent: u64,
    /// Retransmissions by timer.
    pub retransmitted: u64,
    /// Duplicates answered from memory.
    pub duplicates: u64,
    /// Leniencies.
    pub deviations: u64,
    /// First messages of aggressive mode that the configuration does not let us answer.
    pub aggressive_modes_refused: u64,
    /// Phase 1 SAs completed.
    pub phase1_completed: u64,
    /// Negotiations that failed.
    pub failed: u64,
    /// Pairs of phase 2 SAs completed.
    pub phase2_completed: u64,
    /// First messages refused because there were as many half-open negotiations as allowed, in all
    /// or from one source.
    pub half_open_refused: u64,
    /// Half-open negotiations, none of whose initiators had shown where it is, that made room for
    /// newer ones.
    pub half_open_evicted: u64,
    /// Half-open negotiations of phase 1 given up for their age.
    pub half_open_expired: u64,
    /// First messages of aggressive mode, or copies of them, beyond the rate.
    pub aggressive_modes_limited: u64,
    /// Refusals not sent to unauthenticated peers, because there were enough in that second.
    pub refusals_suppressed: u64,
    /// Messages refused because they were too long, or had too many payloads, proposals or
    /// transforms.
    pub oversized: u64,
    /// Duplicates not answered any more.
    pub repeats_refused: u64,
    /// Quick modes refused because there were as many under way as allowed.
    pub quick_modes_refused: u64,
    /// Complete quick modes forgotten before their time.
    pub quick_modes_forgotten: u64,
    /// Message IDs forgotten while their SA lives.
    pub message_ids_forgotten: u64,
    /// Established phase 1 SAs removed because the peer has too many.
    pub phase1_displaced: u64,
    /// Pairs of phase 2 SAs removed because the peer has too many.
    pub pairs_displaced: u64,
    /// Fragments refused because too many messages wait for others, or because theirs is too long.
    pub fragments_refused: u64,
    /// Messages whose fragments gave way to those of a newer one of the same sender.
    pub reassemblies_displaced: u64,
    /// Messages whose missing fragments did not come.
    pub reassemblies_expired: u64,
    /// Datagrams refused because transmits, events or jobs wait to be polled.
    pub refused_for_queue: u64,
    /// Transmits dropped because nobody polled.
    pub transmits_dropped: u64,
    /// Events that became meaningless before they were polled.
    pub events_coalesced: u64,
    /// Trace records lost because nobody polled.
    pub traces_dropped: u64,
}
