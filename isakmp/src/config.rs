//! What the user decides.

mod aggressive_mode;
mod keyring;

use alloc::vec::Vec;
use core::net::IpAddr;
use core::ops::RangeInclusive;
use core::time::Duration;

use crate::Identity;
use crate::crypto::{
    BlockCipher, DiffieHellman, EncryptionAlgorithm, ExponentLength, Group, HashAlgorithm,
    HashFunction, Provider,
};
use crate::wire::IdType;

pub use aggressive_mode::{AggressiveAnswer, AggressiveMode, AggressivePeer};
pub use keyring::PreSharedKey;

/// Encryption of phase 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Encryption {
    /// 3DES-CBC. Legacy.
    TripleDes,
    /// AES-CBC with a 128-bit key.
    Aes128,
    /// AES-CBC with a 192-bit key.
    Aes192,
    /// AES-CBC with a 256-bit key.
    Aes256,
}

impl Encryption {
    /// The attribute values of the algorithm and, where it is negotiated, the key length in bits
    /// (RFC 2409 appendix A).
    #[must_use]
    pub const fn code_point(self) -> (EncryptionAlgorithm, Option<u16>) {
        match self {
            Self::TripleDes => (EncryptionAlgorithm::TRIPLE_DES_CBC, None),
            Self::Aes128 => (EncryptionAlgorithm::AES_CBC, Some(128)),
            Self::Aes192 => (EncryptionAlgorithm::AES_CBC, Some(192)),
            Self::Aes256 => (EncryptionAlgorithm::AES_CBC, Some(256)),
        }
    }

    fn key_len(self) -> usize {
        match self {
            Self::TripleDes | Self::Aes192 => 24,
            Self::Aes128 => 16,
            Self::Aes256 => 32,
        }
    }
}

/// A phase 1 policy with pre-shared keys: `crypto isakmp policy PRIORITY`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Its number; the lowest is preferred.
    pub priority: u16,
    /// Encryption.
    pub encryption: Encryption,
    /// Hash; its HMAC is the prf.
    pub hash: HashAlgorithm,
    /// Diffie-Hellman group.
    pub group: Group,
    /// Lifetime in seconds: what we offer, and the longest that we keep an SA.
    pub lifetime: u32,
}

impl Policy {
    /// AES-256, SHA-256, group 14, a day: the default.
    pub const STRONG: Self = Self {
        priority: 1,
        encryption: Encryption::Aes256,
        hash: HashAlgorithm::SHA2_256,
        group: Group::MODP_2048,
        lifetime: 86_400,
    };
}

/// UDP ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// ISAKMP: 500.
    pub ike: u16,
    /// NAT traversal: 4500.
    pub nat_t: u16,
}

impl Default for Ports {
    fn default() -> Self {
        Self { ike: 500, nat_t: 4500 }
    }
}

/// NAT traversal (RFC 3947, RFC 3948).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NatTraversal {
    /// Pretend to be behind a NAT, so that ESP always goes in UDP: the first message already
    /// leaves for the NAT traversal port.
    pub force_encapsulation: bool,
    /// Silence after which a host behind a NAT sends a keepalive; 20 s in RFC 3948 §4.
    pub keepalive: Duration,
}

impl Default for NatTraversal {
    fn default() -> Self {
        Self { force_encapsulation: false, keepalive: Duration::from_secs(20) }
    }
}

/// IKE fragmentation: `crypto isakmp fragmentation`. Messages are cut into UDP datagrams of their own
/// instead of being left to IP, whose fragments many firewalls drop.
///
/// Both sides must have it: it is announced by a vendor id, fragments are sent only to who announces
/// it as well, and accepted only when it is configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragmentation {
    /// The longest IP packet of a message, in octets from the IP header to the end; what is longer
    /// goes in fragments of this size. 128 or more; a small value forces fragments. 1280 as
    /// strongSwan's: no path must carry less in IPv6 (RFC 8200 §5), few do in IPv4.
    pub packet_size: u16,
}

impl Default for Fragmentation {
    fn default() -> Self {
        Self { packet_size: 1280 }
    }
}

/// Periodic dead peer detection (RFC 3706): `crypto isakmp keepalive INTERVAL RETRY periodic`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeadPeerDetection {
    /// Silence of the peer after which it is asked.
    pub interval: Duration,
    /// Time to wait for each answer.
    pub retry: Duration,
    /// Questions without answer after which it is dead.
    pub attempts: u32,
}

impl Default for DeadPeerDetection {
    fn default() -> Self {
        Self { interval: Duration::from_secs(10), retry: Duration::from_secs(2), attempts: 5 }
    }
}

/// Retransmission of a message that wants an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retransmission {
    /// Wait before the first one; it doubles each time.
    pub initial: Duration,
    /// The longest wait.
    pub limit: Duration,
    /// Transmissions, the first included, after which the negotiation is given up.
    pub attempts: u32,
}

impl Retransmission {
    /// The wait after transmission number `sent`, which counts from 1.
    pub(crate) fn wait(&self, sent: u32) -> Duration {
        let doublings = sent.saturating_sub(1).min(20);
        let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
        self.initial.saturating_mul(factor).min(self.limit)
    }
}

impl Default for Retransmission {
    fn default() -> Self {
        Self { initial: Duration::from_secs(2), limit: Duration::from_secs(16), attempts: 5 }
    }
}

/// Where Diffie-Hellman is computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Jobs {
    /// Inside the call that needs it.
    #[default]
    Inline,
    /// Wherever the owner runs what [`poll_job`](crate::Endpoint::poll_job) gives.
    OutOfLine,
}

/// Bounds on what peers can make an endpoint hold or do. `LIMITS.md` in the repository says what
/// happens beyond each, and which counter and record tell of it. A source is an IPv4 address, or a
/// network of IPv6: the first 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Half-open phase 1 negotiations that peers started.
    pub half_open: usize,
    /// Of these, from one source address. Several spokes may share a NAT's address.
    pub half_open_per_source: usize,
    /// Age at which a half-open negotiation is given up.
    pub half_open_timeout: Duration,
    /// Payloads of a message in clear; behind encryption, and at most, [`wire::MAX_PAYLOADS`](crate::wire::MAX_PAYLOADS).
    pub payloads: usize,
    /// Proposals of an SA payload; at most [`wire::MAX_PROPOSALS`](crate::wire::MAX_PROPOSALS).
    pub proposals: usize,
    /// Transforms of an SA payload, those of all proposals together.
    pub transforms: usize,
    /// How often an answer is sent again to a message that comes again.
    pub repeats: u32,
    /// Quick modes under way in one phase 1 SA.
    pub quick_modes: usize,
    /// Complete quick modes of one phase 1 SA that are remembered for a minute, so that a message
    /// that was lost is answered again; the oldest gives way.
    pub remembered_quick_modes: usize,
    /// Message IDs of one phase 1 SA that are remembered, those of each side, so that none is used
    /// again; the oldest gives way.
    pub message_ids: usize,
    /// Established phase 1 SAs of one peer; the oldest gives way.
    pub phase1_per_peer: usize,
    /// Pairs of phase 2 SAs of one peer; one that was replaced gives way, else the oldest.
    pub pairs_per_peer: usize,
    /// Transmits, events or jobs waiting to be polled, beyond which datagrams are refused, transmits
    /// are dropped and events that have become meaningless go.
    pub queue: usize,
    /// Refusals sent to unauthenticated peers, a second.
    pub refusals_per_second: u32,
    /// Messages of which only some fragments have come: so many from peers with whom there is an SA, as
    /// many from those who negotiate one, and as many first messages. The oldest of each gives way.
    pub reassemblies: usize,
    /// Of these, in one SA, or first messages from one source address; the oldest gives way.
    pub reassemblies_per_source: usize,
    /// Octets of a message, whole or in fragments. Real ones have 3000 at most; what a stranger sends
    /// is kept to know it again.
    pub message_octets: usize,
    /// How long the other fragments of a message are waited for.
    pub reassembly_timeout: Duration,
    /// First messages of aggressive mode answered, a second: each is a Diffie-Hellman computation
    /// for somebody who has proved nothing yet, not even the source address.
    pub aggressive_modes_per_second: u32,
    /// Of these, from one source address, so that it takes spoofing to use up everybody's.
    pub aggressive_modes_per_second_of_source: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            half_open: 1024,
            half_open_per_source: 32,
            half_open_timeout: Duration::from_secs(60),
            payloads: crate::wire::MAX_PAYLOADS,
            proposals: crate::wire::MAX_PROPOSALS,
            transforms: 256,
            repeats: 16,
            quick_modes: 8,
            remembered_quick_modes: 32,
            message_ids: 1024,
            phase1_per_peer: 8,
            pairs_per_peer: 64,
            queue: 16_384,
            refusals_per_second: 10,
            reassemblies: 256,
            reassemblies_per_source: 4,
            message_octets: 10_000,
            reassembly_timeout: Duration::from_secs(15),
            aggressive_modes_per_second: 50,
            aggressive_modes_per_second_of_source: 10,
        }
    }
}

/// Re-keying before expiry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rekeying {
    /// How long before the end of an SA its initiator starts to replace it: between this and twice
    /// this, drawn when the SA comes up. The other side waits for half of this before the end, so
    /// that the two seldom start at once. Never more than half of the lifetime.
    pub margin: Duration,
    /// How long the initiator of a re-keying still sends on the old SA after QM3, unless the peer
    /// sends on the new one before. Nothing acknowledges QM3 (RFC 2409 §5.5): the peer may not have
    /// got it yet, and not every peer takes packets on an SA before. Never longer than half of what is
    /// left of the old SA, nor than a second if that is near its volume limit. A repeated QM2 starts it
    /// anew, until three times as long has passed.
    pub overlap: Duration,
    /// How long a replaced SA stays, for packets on the way.
    pub grace: Duration,
    /// Per cent of the volume limit at which an SA is re-keyed.
    pub volume_percent: u8,
    /// By up to how many per cent the volume limit of an SA is lowered when it comes up, drawn
    /// from the endpoint's randomness, as IOS does (4608000 becomes 4536779); 0 for not at all.
    pub volume_jitter_percent: u8,
}

impl Default for Rekeying {
    fn default() -> Self {
        Self {
            margin: Duration::from_secs(60),
            overlap: Duration::from_secs(10),
            grace: Duration::from_secs(30),
            volume_percent: 90,
            volume_jitter_percent: 3,
        }
    }
}

/// The configuration of an endpoint; immutable, shared by `Arc`.
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) provider: Provider,
    pub(crate) policies: Vec<Policy>,
    pub(crate) keyring: Vec<PreSharedKey>,
    pub(crate) identity: Option<Identity>,
    pub(crate) aggressive_mode: AggressiveMode,
    pub(crate) ports: Ports,
    pub(crate) nat_traversal: Option<NatTraversal>,
    pub(crate) fragmentation: Option<Fragmentation>,
    pub(crate) dead_peer_detection: Option<DeadPeerDetection>,
    pub(crate) retransmission: Retransmission,
    pub(crate) limits: Limits,
    pub(crate) rekeying: Rekeying,
    pub(crate) jobs: Jobs,
    pub(crate) exponent_length: ExponentLength,
    pub(crate) nonce_len: usize,
    pub(crate) spi_range: RangeInclusive<u32>,
    pub(crate) first_connection: u32,
    pub(crate) initial_contact: bool,
    pub(crate) trace_capacity: usize,
}

impl Config {
    /// Starts a configuration from what has no safe default: the algorithms' implementation and
    /// the pre-shared keys.
    pub fn builder(provider: Provider, keyring: Vec<PreSharedKey>) -> ConfigBuilder {
        ConfigBuilder {
            config: Self {
                provider,
                policies: Vec::from([Policy::STRONG]),
                keyring,
                identity: None,
                aggressive_mode: AggressiveMode::default(),
                ports: Ports::default(),
                nat_traversal: Some(NatTraversal::default()),
                fragmentation: None,
                dead_peer_detection: None,
                retransmission: Retransmission::default(),
                limits: Limits::default(),
                rekeying: Rekeying::default(),
                jobs: Jobs::default(),
                exponent_length: ExponentLength::default(),
                nonce_len: 20,
                spi_range: 256..=u32::MAX,
                first_connection: 1001,
                initial_contact: true,
                trace_capacity: 0,
            },
        }
    }

    pub(crate) const fn forces_encapsulation(&self) -> bool {
        matches!(self.nat_traversal, Some(NatTraversal { force_encapsulation: true, .. }))
    }
}

/// The algorithms of a policy, found in the provider.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Suite {
    pub(crate) cipher: &'static dyn BlockCipher,
    pub(crate) hash: &'static dyn HashFunction,
    pub(crate) group: &'static dyn DiffieHellman,
}

impl Suite {
    pub(crate) fn of(policy: &Policy, provider: &Provider) -> Option<Self> {
        let (algorithm, _) = policy.encryption.code_point();
        Some(Self {
            cipher: provider.cipher(algorithm, Some(policy.encryption.key_len()))?,
            hash: provider.hash(policy.hash)?,
            group: provider.group(policy.group)?,
        })
    }
}

/// Builds a [`Config`].
#[derive(Clone, Debug)]
#[must_use]
pub struct ConfigBuilder {
    config: Config,
}

impl ConfigBuilder {
    /// Phase 1 policies, in any order; default [`Policy::STRONG`] alone.
    pub fn policies(mut self, policies: Vec<Policy>) -> Self {
        self.config.policies = policies;
        self
    }

    /// Our identity, of whatever type; default the local address of the SA.
    pub fn identity(mut self, identity: Identity) -> Self {
        self.config.identity = Some(identity);
        self
    }

    /// Aggressive mode; default none. Read [`AggressiveMode`] before.
    pub fn aggressive_mode(mut self, aggressive_mode: AggressiveMode) -> Self {
        self.config.aggressive_mode = aggressive_mode;
        self
    }

    /// UDP ports; default 500 and 4500.
    pub const fn ports(mut self, ports: Ports) -> Self {
        self.config.ports = ports;
        self
    }

    /// NAT traversal; on by default, `None` turns it off.
    pub const fn nat_traversal(mut self, nat_traversal: Option<NatTraversal>) -> Self {
        self.config.nat_traversal = nat_traversal;
        self
    }

    /// IKE fragmentation; default none, as on Cisco's routers.
    pub const fn fragmentation(mut self, fragmentation: Option<Fragmentation>) -> Self {
        self.config.fragmentation = fragmentation;
        self
    }

    /// Periodic dead peer detection; default none. A peer's own questions are always answered.
    pub const fn dead_peer_detection(mut self, detection: Option<DeadPeerDetection>) -> Self {
        self.config.dead_peer_detection = detection;
        self
    }

    /// Retransmission; default after 2, 4, 8 and 16 s, given up 16 s after that.
    pub const fn retransmission(mut self, retransmission: Retransmission) -> Self {
        self.config.retransmission = retransmission;
        self
    }

    /// Bounds on what peers can make the endpoint hold.
    pub const fn limits(mut self, limits: Limits) -> Self {
        self.config.limits = limits;
        self
    }

    /// When SAs are replaced.
    pub const fn rekeying(mut self, rekeying: Rekeying) -> Self {
        self.config.rekeying = rekeying;
        self
    }

    /// Where Diffie-Hellman is computed; default inline.
    pub const fn jobs(mut self, jobs: Jobs) -> Self {
        self.config.jobs = jobs;
        self
    }

    /// The length of exponents; default short ones, of full strength.
    pub const fn exponent_length(mut self, length: ExponentLength) -> Self {
        self.config.exponent_length = length;
        self
    }

    /// Bytes of our nonces, 8 to 256 (RFC 2409 §5); default 20 as Cisco's.
    pub const fn nonce_len(mut self, bytes: usize) -> Self {
        self.config.nonce_len = bytes;
        self
    }

    /// Where our inbound SPIs come from; default 256 up.
    pub const fn spi_range(mut self, range: RangeInclusive<u32>) -> Self {
        self.config.spi_range = range;
        self
    }

    /// The connection id of the first phase 1 SA; default 1001.
    pub const fn first_connection(mut self, id: u32) -> Self {
        self.config.first_connection = id;
        self
    }

    /// Whether INITIAL-CONTACT is sent with the first phase 1 SA to a peer; default yes.
    pub const fn initial_contact(mut self, send: bool) -> Self {
        self.config.initial_contact = send;
        self
    }

    /// Records the trace ring holds; 0, the default, is off.
    pub const fn trace_capacity(mut self, records: usize) -> Self {
        self.config.trace_capacity = records;
        self
    }

    /// Checks it all.
    ///
    /// # Errors
    /// The first thing that cannot work.
    pub fn build(self) -> Result<Config, ConfigError> {
        let mut config = self.config;
        if config.policies.is_empty() {
            return Err(ConfigError::NoPolicy);
        }
        for policy in &config.policies {
            let priority = policy.priority;
            if Suite::of(policy, &config.provider).is_none() {
                return Err(ConfigError::UnsupportedPolicy { priority });
            }
            if policy.lifetime < 60 {
                return Err(ConfigError::PolicyLifetime { priority, seconds: policy.lifetime });
            }
        }
        config.policies.sort_by_key(|policy| policy.priority);
        for key in &config.keyring {
            let limit = if key.address.is_ipv4() { 32 } else { 128 };
            if key.prefix > limit {
                return Err(ConfigError::KeyPrefix { address: key.address, prefix: key.prefix });
            }
            if key.key.is_empty() {
                return Err(ConfigError::EmptyKey { address: key.address });
            }
        }
        for peer in &config.aggressive_mode.initiate {
            let AggressivePeer { address, group, .. } = *peer;
            if !config.policies.iter().any(|policy| policy.group == group) {
                return Err(ConfigError::AggressiveGroup { address, group });
            }
        }
        let bound = config.keyring.iter().filter_map(|key| key.identity.as_ref());
        let to_peers = config.aggressive_mode.initiate.iter();
        let ours = to_peers.filter_map(|peer| peer.identity.as_ref()).chain(&config.identity);
        if let Some(identity) = bound.chain(ours).find(|identity| !identity.is_sound()) {
            return Err(ConfigError::Identity { id_type: identity.id_type });
        }
        if !(8..=256).contains(&config.nonce_len) {
            return Err(ConfigError::NonceLength { bytes: config.nonce_len });
        }
        if config.spi_range.is_empty() || *config.spi_range.start() < 256 {
            return Err(ConfigError::SpiRange {
                start: *config.spi_range.start(),
                end: *config.spi_range.end(),
            });
        }
        if config.retransmission.attempts == 0 || config.retransmission.initial.is_zero() {
            return Err(ConfigError::Retransmission);
        }
        if config
            .dead_peer_detection
            .is_some_and(|dpd| dpd.interval.is_zero() || dpd.retry.is_zero() || dpd.attempts == 0)
        {
            return Err(ConfigError::DeadPeerDetection);
        }
        if config.nat_traversal.is_some_and(|nat| nat.keepalive.is_zero()) {
            return Err(ConfigError::Keepalive);
        }
        if let Some(Fragmentation { packet_size }) = config.fragmentation
            && packet_size < 128
        {
            return Err(ConfigError::FragmentSize { packet_size });
        }
        if config.rekeying.volume_percent > 100 || config.rekeying.volume_jitter_percent > 50 {
            return Err(ConfigError::VolumePercent);
        }
        Ok(config)
    }
}

/// Why a configuration cannot work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// There is no policy.
    #[error("no phase 1 policy")]
    NoPolicy,
    /// The provider lacks an algorithm of a policy.
    #[error("policy {priority} names an algorithm that the provider lacks")]
    UnsupportedPolicy {
        /// The policy's number.
        priority: u16,
    },
    /// A lifetime below 60 seconds.
    #[error("policy {priority} has lifetime {seconds} s, less than 60")]
    PolicyLifetime {
        /// The policy's number.
        priority: u16,
        /// Its lifetime.
        seconds: u32,
    },
    /// A key's prefix is longer than its address.
    #[error("key for {address} has prefix length {prefix}")]
    KeyPrefix {
        /// The key's address.
        address: IpAddr,
        /// Its prefix length.
        prefix: u8,
    },
    /// A key without a byte.
    #[error("key for {address} is empty")]
    EmptyKey {
        /// The key's address.
        address: IpAddr,
    },
    /// An identity whose data does not fit its type (RFC 2407 §4.6.2.1): an address of another
    /// length, nothing at all, more than 256 bytes, or a control character or space in a name.
    #[error("an identity of type {id_type} has data that does not fit")]
    Identity {
        /// Its type.
        id_type: IdType,
    },
    /// No policy has the group that aggressive mode with a peer is to start with.
    #[error("no policy has {group} for aggressive mode with {address}")]
    AggressiveGroup {
        /// The peer's address.
        address: IpAddr,
        /// The group.
        group: Group,
    },
    /// Nonces outside RFC 2409 §5.
    #[error("nonces of {bytes} bytes, 8 to 256 are allowed")]
    NonceLength {
        /// The length asked for.
        bytes: usize,
    },
    /// An empty range, or reserved values in it (RFC 4303 §2.1).
    #[error("SPIs from {start} to {end}: empty, or below 256")]
    SpiRange {
        /// Its first value.
        start: u32,
        /// Its last.
        end: u32,
    },
    /// Nothing would ever be sent, or without pause.
    #[error("retransmission needs at least one attempt and a wait")]
    Retransmission,
    /// The peer would be asked without pause, or declared dead unasked.
    #[error("dead peer detection needs an interval, a wait and at least one attempt")]
    DeadPeerDetection,
    /// Keepalives without pause.
    #[error("NAT keepalives need an interval")]
    Keepalive,
    /// Fragments that would be little more than headers.
    #[error("fragments in IP packets of {packet_size} octets, 128 is the least")]
    FragmentSize {
        /// The size asked for.
        packet_size: u16,
    },
    /// More than all of it.
    #[error("volume percentages go to 100, their jitter to 50")]
    VolumePercent,
}
