//! For whom main mode is given up.

use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

use crate::Identity;
use crate::crypto::Group;

/// Aggressive mode with pre-shared keys (RFC 2409 §5.4). Legacy; by default it is neither started
/// nor answered.
///
/// It finds a key by the peer's identity, where main mode has nothing but an address. The price:
///
/// - **Whoever sends a first message with a known identity is sent `HASH_R`, and can try passwords on
///   it offline.** Main mode shows its hashes only to who holds the key, or is asked by us.
/// - Both identities go over the wire in clear.
/// - A first message costs its receiver a Diffie-Hellman computation
///   ([`Limits::aggressive_modes_per_second`](crate::Limits::aggressive_modes_per_second)).
///
/// Keys for it are long and random, or no keys at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AggressiveMode {
    /// Whom we start it with. With everybody else we start main mode.
    pub initiate: Vec<AggressivePeer>,
    /// Whose first messages we answer.
    pub answer: AggressiveAnswer,
    /// How long our first quick mode waits behind our third message, which nobody answers; 100 ms
    /// by default.
    ///
    /// A responder may get the two in the wrong order, or work on them at the same time as
    /// strongSwan does, and then discards the quick mode. Its retransmission succeeds; this saves
    /// the wait for it.
    pub quick_mode_delay: Duration,
}

impl Default for AggressiveMode {
    fn default() -> Self {
        Self {
            initiate: Vec::new(),
            answer: AggressiveAnswer::default(),
            quick_mode_delay: Duration::from_millis(100),
        }
    }
}

/// A peer that we start aggressive mode with: `crypto isakmp peer address ADDRESS` and
/// `set aggressive-mode client-endpoint …`. Its key is in the keyring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AggressivePeer {
    /// Its address.
    pub address: IpAddr,
    /// The group of the public value in the first message, which leaves no choice to the peer: of
    /// our policies those with this group are offered. There must be one.
    pub group: Group,
    /// Who we are to it, `None` for the identity that we are to everybody.
    pub identity: Option<Identity>,
}

impl AggressivePeer {
    /// A peer that knows us by the identity that we have for everybody.
    #[must_use]
    pub const fn new(address: IpAddr, group: Group) -> Self {
        Self { address, group, identity: None }
    }
}

/// Whose first messages of aggressive mode are answered. What is not answered is discarded, and
/// counted in [`Counters::aggressive_modes_refused`](crate::Counters::aggressive_modes_refused).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AggressiveAnswer {
    /// Nobody's: `crypto isakmp aggressive-mode disable`.
    #[default]
    Nobody,
    /// Those of identities that a key of the keyring is bound to: keys that main mode finds by
    /// address are not shown.
    BoundIdentities,
    /// Those of everybody whom the keyring has a key for.
    Anybody,
}
