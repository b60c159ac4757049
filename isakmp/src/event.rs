//! What an endpoint tells its owner.

use core::fmt;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use dmvpn_time::{Coalesce, Coalescing};

use crate::crypto::{DiffieHellmanError, Secret};
use crate::wire::NotifyType;
use crate::{EspProposal, Identity, Mode, Path, PeerId, ProtectionId, Selectors};

/// Something that happened, for the owner to act on.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A main mode is complete and the peer is authenticated. It comes again after each
    /// renegotiation of phase 1.
    Phase1Up {
        /// The peer.
        peer: PeerId,
        /// Whom it authenticated as.
        identity: Identity,
        /// The way to it.
        path: Path,
        /// Who is behind a NAT.
        nat: Nat,
    },
    /// Install this SA. Inbound SAs are usable at once; an outbound SA waits for
    /// [`Event::EnableOutbound`].
    InstallSa(InstallSa),
    /// Send with this outbound SA from now on, in place of the one used before. Of a re-keying it
    /// comes after [`Event::InstallSa`], when the peer is known or supposed to have it.
    EnableOutbound {
        /// The peer.
        peer: PeerId,
        /// The protection.
        protection: ProtectionId,
        /// SPI of the outbound SA.
        spi: u32,
    },
    /// Forget this SA.
    RemoveSa {
        /// Which of the pair.
        direction: Direction,
        /// The peer.
        peer: PeerId,
        /// Its SPI.
        spi: u32,
        /// Why.
        reason: CloseReason,
    },
    /// An authenticated message showed that the peer is reached in another way now. All its
    /// UDP-encapsulated SAs follow.
    PeerMoved {
        /// The peer.
        peer: PeerId,
        /// The new way.
        path: Path,
    },
    /// Nothing is left of the peer: no phase 1, no phase 2, no negotiation.
    PeerDown {
        /// The peer.
        peer: PeerId,
        /// Why the last of it went.
        reason: CloseReason,
    },
    /// A negotiation for this protection ended without SAs.
    Failed {
        /// The peer.
        peer: PeerId,
        /// The protection.
        protection: ProtectionId,
        /// Why.
        reason: CloseReason,
    },
}

/// What a queue of events that nobody polls needs to hold.
impl Coalesce for Event {
    type Subject = EventSubject;

    fn coalescing(&self) -> Coalescing<EventSubject> {
        match self {
            Self::InstallSa(InstallSa { direction, peer, spi, .. }) => {
                Coalescing::Begin(EventSubject::Sa(*direction, *peer, *spi))
            }
            Self::RemoveSa { direction, peer, spi, .. } => {
                Coalescing::End(EventSubject::Sa(*direction, *peer, *spi))
            }
            Self::EnableOutbound { peer, spi, .. } => {
                Coalescing::Latest(EventSubject::Sa(Direction::Outbound, *peer, *spi))
            }
            Self::PeerMoved { peer, .. } => Coalescing::Latest(EventSubject::Path(*peer)),
            Self::Failed { peer, protection, .. } => {
                Coalescing::Latest(EventSubject::Negotiation(*peer, *protection))
            }
            Self::Phase1Up { .. } | Self::PeerDown { .. } => Coalescing::Each,
        }
    }
}

/// What events are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum EventSubject {
    /// An SA: its direction, its peer, its SPI.
    Sa(Direction, PeerId, u32),
    /// The way to a peer.
    Path(PeerId),
    /// A negotiation with a peer for a protection.
    Negotiation(PeerId, ProtectionId),
}

/// Inbound or outbound, seen from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// We receive with it; we chose the SPI.
    Inbound,
    /// We send with it; the peer chose the SPI.
    Outbound,
}

/// One ESP SA, ready for a data plane.
#[derive(Clone, Debug)]
pub struct InstallSa {
    /// Which of the pair.
    pub direction: Direction,
    /// The peer it belongs to.
    pub peer: PeerId,
    /// The protection that it was negotiated for.
    pub protection: ProtectionId,
    /// Its SPI, chosen by the receiver.
    pub spi: u32,
    /// Encryption and integrity.
    pub transform: EspProposal,
    /// The keys of `transform`.
    pub keys: EspKeys,
    /// Mode of encapsulation.
    pub mode: Mode,
    /// The traffic it is for.
    pub selectors: Selectors,
    /// What the peer says of addresses before translation (RFC 3947 §5.2).
    pub original_addresses: OriginalAddresses,
    /// The ESP tunnel endpoints as they are on the wire, and the UDP encapsulation if there is one.
    pub encapsulation: Encapsulation,
    /// How long it lives.
    pub lifetime: SaLifetime,
    /// The SPI of the SA in the same direction that this one replaces.
    pub rekey_of: Option<u32>,
}

/// Addresses as they are before a NAT changes them, as the peer named them in quick mode (RFC 3947
/// §5.2); `None` where it named none, which is so without a NAT and in tunnel mode.
///
/// In transport mode a NAT makes the checksums of TCP and UDP wrong, which cover the addresses
/// (RFC 3948 §3.1.2): who decapsulates those corrects them with these. GRE's checksum covers no
/// addresses, so that a tunnel has no use for them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OriginalAddresses {
    /// Ours, as the peer sees it.
    pub local: Option<IpAddr>,
    /// The peer's own.
    pub remote: Option<IpAddr>,
}

/// How ESP packets travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encapsulation {
    /// Native ESP, IP protocol 50. The ports mean nothing.
    None {
        /// Our address.
        local: IpAddr,
        /// The peer's address.
        remote: IpAddr,
    },
    /// ESP in UDP (RFC 3948). The remote end moves with [`Event::PeerMoved`].
    Udp {
        /// Our address and port.
        local: SocketAddr,
        /// The peer's address and port.
        remote: SocketAddr,
    },
}

/// The lifetime of an installed SA. Time is the endpoint's affair; volume is the data plane's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SaLifetime {
    /// Seconds after which the endpoint removes it.
    pub seconds: u32,
    /// Kilobytes after which the data plane calls
    /// [`handle_hard_expire`](crate::Endpoint::handle_hard_expire).
    pub kilobytes: Option<u32>,
    /// Kilobytes after which it calls [`handle_soft_expire`](crate::Endpoint::handle_soft_expire),
    /// which re-keys.
    pub soft_kilobytes: Option<u32>,
}

/// The keys of one ESP SA; they leave only by the methods named `dangerous_`.
#[derive(Clone)]
pub struct EspKeys {
    material: Secret,
    encryption_len: usize,
    salt_len: usize,
}

impl EspKeys {
    /// Key material of RFC 2409 §5.5, cut as `transform` says: key, salt (RFC 4106 §8.1),
    /// integrity key.
    pub(crate) fn new(material: Secret, transform: EspProposal) -> Self {
        Self {
            material,
            encryption_len: transform.encryption.key_len(),
            salt_len: transform.encryption.salt_len(),
        }
    }

    fn split(&self) -> (&[u8], &[u8], &[u8]) {
        let bytes = self.material.dangerous_bytes();
        let (encryption, rest) = bytes.split_at_checked(self.encryption_len).unwrap_or_default();
        let (salt, integrity) = rest.split_at_checked(self.salt_len).unwrap_or_default();
        (encryption, salt, integrity)
    }

    /// The whole key material of the SA: encryption key, salt, integrity key.
    #[must_use]
    pub fn dangerous_keymat(&self) -> &[u8] {
        self.material.dangerous_bytes()
    }

    /// The encryption key; empty for NULL.
    #[must_use]
    pub fn dangerous_encryption_key(&self) -> &[u8] {
        self.split().0
    }

    /// The salt of AES-GCM, 4 bytes; empty for the others.
    #[must_use]
    pub fn dangerous_salt(&self) -> &[u8] {
        self.split().1
    }

    /// The integrity key; empty if encryption authenticates as well.
    #[must_use]
    pub fn dangerous_integrity_key(&self) -> &[u8] {
        self.split().2
    }
}

impl fmt::Debug for EspKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EspKeys(..)")
    }
}

/// Who is behind a NAT (RFC 3947 §3.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Nat {
    /// We are.
    pub local: bool,
    /// The peer is, or pretends to be, to force UDP encapsulation.
    pub remote: bool,
}

impl Nat {
    /// Whether there is any: then ESP goes in UDP.
    #[must_use]
    pub const fn found(self) -> bool {
        self.local || self.remote
    }
}

/// Why something ended. It says who is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CloseReason {
    /// The peer never answered a message.
    #[error("peer did not answer {attempts} transmissions")]
    NoAnswer {
        /// How often it was sent.
        attempts: u32,
    },
    /// A half-open negotiation took too long.
    #[error("negotiation not complete after {after:?}")]
    HalfOpenTimeout {
        /// The limit.
        after: Duration,
    },
    /// Dead peer detection got no answer (RFC 3706).
    #[error("peer is dead: {attempts} R-U-THERE unanswered")]
    PeerDead {
        /// How many were sent.
        attempts: u32,
    },
    /// The peer sent a delete.
    #[error("peer deleted it")]
    PeerDeleted,
    /// The peer restarted without memory of us (INITIAL-CONTACT, RFC 2407 §4.6.3.3).
    #[error("peer sent INITIAL-CONTACT")]
    InitialContact,
    /// The peer refused with a protected notification.
    #[error("peer refused: {0}")]
    PeerRefused(NotifyType),
    /// The peer never answered MM5, as one does that cannot decrypt it: most likely the pre-shared
    /// keys differ.
    #[error("peer did not answer our authentication: pre-shared keys may differ")]
    AuthenticationFailed,
    /// Who answered aggressive mode was not the peer: its hash does not verify, or its identity is not
    /// the one expected. Most likely the pre-shared keys differ.
    #[error("peer did not prove its identity: pre-shared keys may differ")]
    PeerNotAuthenticated,
    /// The keyring has no key for the address that a main mode would go to.
    #[error("no pre-shared key for {0}")]
    NoPreSharedKey(IpAddr),
    /// The peer's public value cannot be used.
    #[error("peer's key exchange is unusable: {0}")]
    KeyExchange(#[from] DiffieHellmanError),
    /// Half-open and unproved, it made room for a newer one.
    #[error("made room for a newer negotiation")]
    Evicted,
    /// The lifetime ended.
    #[error("lifetime ended")]
    Expired,
    /// The volume limit was reached.
    #[error("volume limit reached")]
    VolumeExpired,
    /// Replaced by a newer one.
    #[error("replaced by a newer one")]
    Superseded,
    /// Our owner cleared it.
    #[error("cleared by its owner")]
    Cleared,
    /// The protection was removed.
    #[error("protection was removed")]
    ProtectionRemoved,
    /// There was no SPI left in the configured range.
    #[error("no SPI left in the configured range")]
    Exhausted,
}
