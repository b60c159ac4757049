//! What a caller asks phase 2 for: one tunnel protection.

use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;

use crate::crypto::Group;

/// A tunnel protection, named by the caller: one crypto map of the router.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProtectionId(pub u32);

/// A remote IKE peer.
///
/// It survives phase 1 renegotiation and a change of address; the phase 2 SAs belong to it. A
/// number is never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(pub u64);

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "peer {}", self.0)
    }
}

/// Which remote addresses a protection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remote {
    /// Anybody who authenticates: a hub.
    Any,
    /// One address: a spoke's tunnel destination.
    Host(IpAddr),
}

/// The traffic on one side of a phase 2 SA: the content of an ID payload of quick mode
/// (RFC 2407 §4.6.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Selector {
    /// Host or network address.
    pub address: IpAddr,
    /// Length of the network prefix in bits; the whole address for a host.
    pub prefix: u8,
    /// IP protocol, 0 for all.
    pub protocol: u8,
    /// Port, 0 for all.
    pub port: u16,
}

impl Selector {
    /// One host and one IP protocol, all ports.
    #[must_use]
    pub const fn host(address: IpAddr, protocol: u8) -> Self {
        let prefix = match address {
            IpAddr::V4(_) => 32,
            IpAddr::V6(_) => 128,
        };
        Self { address, prefix, protocol, port: 0 }
    }

    /// Whether all traffic of the other is traffic of this one.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        let differing = match (self.address, other.address) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => {
                (u32::from(ours) ^ u32::from(theirs)).leading_zeros()
            }
            (IpAddr::V6(ours), IpAddr::V6(theirs)) => {
                (u128::from(ours) ^ u128::from(theirs)).leading_zeros()
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => return false,
        };
        differing >= u32::from(self.prefix)
            && other.prefix >= self.prefix
            && (self.protocol == 0 || self.protocol == other.protocol)
            && (self.port == 0 || self.port == other.port)
    }

    /// Whether the prefix is the whole address.
    #[must_use]
    pub const fn is_host(&self) -> bool {
        match self.address {
            IpAddr::V4(_) => self.prefix == 32,
            IpAddr::V6(_) => self.prefix == 128,
        }
    }
}

/// `address/prefix/protocol/port`.
impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}/{}", self.address, self.prefix, self.protocol, self.port)
    }
}

/// The proxy identities of a protection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proxies {
    /// From tunnel endpoint to tunnel endpoint, host to host, one IP protocol: 47 for GRE.
    Endpoints {
        /// The IP protocol.
        protocol: u8,
    },
    /// Fixed networks, for tunnel mode without GRE.
    Networks {
        /// Our side.
        local: Selector,
        /// The peer's side.
        remote: Selector,
    },
}

/// The two sides of the traffic of an installed SA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Selectors {
    /// Our side.
    pub local: Selector,
    /// The peer's side, as it named it: behind a NAT that is its inside address.
    pub remote: Selector,
}

/// ESP mode of encapsulation (RFC 4303 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// Between the IP header and what it carries.
    Transport,
    /// A whole IP packet inside another.
    Tunnel,
}

/// ESP encryption (RFC 2407 §4.4.4 and the IANA registry of ESP transforms).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum EspEncryption {
    /// 3DES-CBC, 24-byte key (RFC 2451). Legacy.
    TripleDes,
    /// AES-CBC, 16-byte key (RFC 3602).
    Aes128Cbc,
    /// AES-CBC, 24-byte key (RFC 3602).
    Aes192Cbc,
    /// AES-CBC, 32-byte key (RFC 3602).
    Aes256Cbc,
    /// AES-GCM with a 16-byte ICV, 16-byte key and 4-byte salt (RFC 4106).
    Aes128Gcm16,
    /// AES-GCM with a 16-byte ICV, 24-byte key and 4-byte salt (RFC 4106).
    Aes192Gcm16,
    /// AES-GCM with a 16-byte ICV, 32-byte key and 4-byte salt (RFC 4106).
    Aes256Gcm16,
    /// No encryption (RFC 2410).
    Null,
}

impl EspEncryption {
    /// Bytes of the key, without a salt.
    #[must_use]
    pub const fn key_len(self) -> usize {
        match self {
            Self::TripleDes | Self::Aes192Cbc | Self::Aes192Gcm16 => 24,
            Self::Aes128Cbc | Self::Aes128Gcm16 => 16,
            Self::Aes256Cbc | Self::Aes256Gcm16 => 32,
            Self::Null => 0,
        }
    }

    /// Bytes of salt after the key: 4 for AES-GCM (RFC 4106 §8.1).
    #[must_use]
    pub const fn salt_len(self) -> usize {
        if self.is_aead() { 4 } else { 0 }
    }

    /// Whether it authenticates as well, so that no integrity algorithm goes with it.
    #[must_use]
    pub const fn is_aead(self) -> bool {
        matches!(self, Self::Aes128Gcm16 | Self::Aes192Gcm16 | Self::Aes256Gcm16)
    }
}

/// ESP integrity (RFC 2407 §4.5, attribute 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum EspIntegrity {
    /// HMAC-MD5-96 (RFC 2403). Legacy.
    HmacMd5,
    /// HMAC-SHA1-96 (RFC 2404). Legacy.
    HmacSha1,
    /// HMAC-SHA2-256-128 (RFC 4868).
    HmacSha256,
    /// HMAC-SHA2-384-192 (RFC 4868).
    HmacSha384,
    /// HMAC-SHA2-512-256 (RFC 4868).
    HmacSha512,
}

impl EspIntegrity {
    /// Bytes of the key: the whole output of the hash.
    #[must_use]
    pub const fn key_len(self) -> usize {
        match self {
            Self::HmacMd5 => 16,
            Self::HmacSha1 => 20,
            Self::HmacSha256 => 32,
            Self::HmacSha384 => 48,
            Self::HmacSha512 => 64,
        }
    }
}

/// One transform set of the router.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EspProposal {
    /// Encryption.
    pub encryption: EspEncryption,
    /// Integrity; `None` only with an encryption that authenticates as well.
    pub integrity: Option<EspIntegrity>,
}

impl EspProposal {
    /// `esp-3des esp-sha-hmac`, the guide's transform set. Legacy.
    pub const TRIPLE_DES_SHA1: Self =
        Self { encryption: EspEncryption::TripleDes, integrity: Some(EspIntegrity::HmacSha1) };
    /// `esp-aes 256 esp-sha256-hmac`, the default.
    pub const AES256_SHA256: Self =
        Self { encryption: EspEncryption::Aes256Cbc, integrity: Some(EspIntegrity::HmacSha256) };

    /// Bytes of key material of one SA: key, salt, integrity key.
    #[must_use]
    pub fn keymat_len(self) -> usize {
        let cipher = self.encryption.key_len().saturating_add(self.encryption.salt_len());
        cipher.saturating_add(self.integrity.map_or(0, EspIntegrity::key_len))
    }
}

/// How long a phase 2 SA may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChildLifetime {
    /// Seconds; 3600 on Cisco routers.
    pub seconds: u32,
    /// Kilobytes of 1024 bytes; 4608000 on Cisco routers. `None` for no limit by volume.
    pub kilobytes: Option<u32>,
}

impl Default for ChildLifetime {
    fn default() -> Self {
        Self { seconds: 3600, kilobytes: Some(4_608_000) }
    }
}

/// A tunnel protection: what phase 2 negotiates for one tunnel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Protection {
    /// The tunnel's source address: where our IKE messages leave from.
    pub local: IpAddr,
    /// Whom it is for.
    pub remote: Remote,
    /// The proxy identities.
    pub proxies: Proxies,
    /// Transform sets, the preferred one first. Not empty.
    pub proposals: Vec<EspProposal>,
    /// Mode of encapsulation.
    pub mode: Mode,
    /// Lifetime that we offer, and the longest that we accept.
    pub lifetime: ChildLifetime,
    /// Perfect forward secrecy: the group of quick mode's own Diffie-Hellman.
    ///
    /// When set it is required of the peer; when not set a peer that asks for it gets it.
    pub pfs: Option<Group>,
}

impl Protection {
    /// GRE between two endpoints in transport mode, AES-256 and SHA-256, one hour: the defaults
    /// for a new deployment.
    #[must_use]
    pub fn gre(local: IpAddr, remote: Remote) -> Self {
        Self {
            local,
            remote,
            proxies: Proxies::Endpoints { protocol: 47 },
            proposals: Vec::from([EspProposal::AES256_SHA256]),
            mode: Mode::Transport,
            lifetime: ChildLifetime::default(),
            pfs: None,
        }
    }
}
