//! The `crypto isakmp` lines.

use core::net::Ipv4Addr;

use super::{InterfaceAddress, Secret};

/// Everything about phase 1.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Isakmp {
    /// `crypto isakmp policy`, most preferred (lowest number) first.
    pub policies: Vec<IsakmpPolicy>,
    /// `crypto isakmp key`, in the order written.
    pub keys: Vec<IsakmpKey>,
    /// `crypto isakmp identity`: the address unless stated.
    pub identity: IsakmpIdentity,
    /// `crypto isakmp keepalive`: dead peers are not looked for without it.
    pub keepalive: Option<Keepalive>,
    /// `crypto isakmp nat keepalive`, in seconds.
    pub nat_keepalive: Option<u16>,
    /// `crypto isakmp fragmentation`: off unless stated.
    pub fragmentation: bool,
    /// `no crypto isakmp aggressive-mode disable`: whether aggressive mode is answered. It is not
    /// unless stated, other than on IOS: its pre-shared key can be guessed offline.
    pub aggressive_mode: bool,
    /// `crypto isakmp peer address`, in the order written.
    pub peers: Vec<IsakmpPeer>,
}

/// `crypto isakmp policy`: one proposal for phase 1, authenticated by a pre-shared key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IsakmpPolicy {
    /// 1 to 10000, the lowest is preferred.
    pub priority: u16,
    /// `encr`: has no default here, since IOS's own is DES.
    pub encryption: IsakmpEncryption,
    /// `hash`: SHA-1 unless stated.
    pub hash: IsakmpHash,
    /// `group`: 1 unless stated.
    pub group: DhGroup,
    /// `lifetime` in seconds: 86400 unless stated.
    pub lifetime: u32,
}

/// The cipher of an ISAKMP policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IsakmpEncryption {
    /// `3des`
    TripleDes,
    /// `aes` or `aes 128`
    Aes128,
    /// `aes 192`
    Aes192,
    /// `aes 256`
    Aes256,
}

/// The hash of an ISAKMP policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IsakmpHash {
    /// `md5`
    Md5,
    /// `sha`
    Sha1,
    /// `sha256`
    Sha256,
    /// `sha384`
    Sha384,
    /// `sha512`
    Sha512,
}

/// A Diffie-Hellman group by its IANA number: 1, 2, 5, 14, 15, 16, 19 or 20.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DhGroup(pub u16);

/// `crypto isakmp key`: a pre-shared key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IsakmpKey {
    /// The key's characters, clear text in the configuration as on the router.
    pub key: Secret,
    /// Whose key it is.
    pub peer: KeyPeer,
}

/// Whose a pre-shared key is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyPeer {
    /// `address`: that of peers within a prefix; of length 0 for every peer.
    Address(InterfaceAddress),
    /// `hostname`: that of the peer with this name for its identity.
    Hostname(String),
}

/// `crypto isakmp identity`: what we are called in phase 1.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum IsakmpIdentity {
    /// `address`: that of the interface.
    #[default]
    Address,
    /// `hostname`: the router's name with its domain.
    Hostname,
    /// `key-id NAME`: octets without other meaning.
    KeyId(String),
}

/// `crypto isakmp keepalive`: dead peer detection (RFC 3706).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keepalive {
    /// Seconds of silence after which the peer is asked.
    pub seconds: u16,
    /// Seconds until it is asked again: 2 unless stated.
    pub retry: u16,
    /// Which of IOS's two ways.
    pub mode: KeepaliveMode,
}

/// When a silent peer is asked.
///
/// The protocol library has one way, which is to ask whoever has been silent: between IOS's two,
/// and what both words stand for here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeepaliveMode {
    /// `on-demand`: IOS asks when it has something to send. IOS's default.
    OnDemand,
    /// `periodic`: IOS asks all the time.
    Periodic,
}

/// `crypto isakmp peer address`: towards it we start aggressive mode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IsakmpPeer {
    /// The peer.
    pub address: Ipv4Addr,
    /// `set aggressive-mode password`: the key for it.
    pub password: Secret,
    /// `set aggressive-mode client-endpoint`: what we are called in it.
    pub client_endpoint: ClientEndpoint,
}

/// An identity of ours in aggressive mode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientEndpoint {
    /// `ipv4-address`
    Address(Ipv4Addr),
    /// `fqdn`
    Fqdn(String),
    /// `user-fqdn`
    UserFqdn(String),
}
