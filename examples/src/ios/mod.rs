//! Router configuration in IOS syntax: the subset that Cisco's "DMVPN Phase 1 debugs" guide uses.
//!
//! [`Router::read`] turns text into typed values and refuses everything it does not know, naming
//! line and word; the `Display` of [`Router`] is canonical IOS text that reads back equal.
//! References are resolved: a profile that a tunnel names exists, and so does its transform set.

mod print;
mod protocol;
mod read;
mod words;

use core::net::Ipv4Addr;

pub use words::{ReadError, ReadErrorKind};

/// One router's configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Router {
    /// `crypto isakmp policy`, most preferred (lowest number) first.
    pub isakmp_policies: Vec<IsakmpPolicy>,
    /// `crypto isakmp key`, in the order written.
    pub isakmp_keys: Vec<IsakmpKey>,
    /// `crypto ipsec transform-set`, in the order written.
    pub transform_sets: Vec<TransformSet>,
    /// `crypto ipsec profile`, in the order written.
    pub ipsec_profiles: Vec<IpsecProfile>,
    /// `interface Tunnel…`, in the order written.
    pub tunnels: Vec<Tunnel>,
    /// `interface Ethernet…`, in the order written.
    pub ethernets: Vec<Interface>,
    /// `interface Loopback…`, in the order written.
    pub loopbacks: Vec<Interface>,
    /// `router eigrp`: read and kept, nothing here routes by it.
    pub eigrp: Vec<Eigrp>,
}

impl Router {
    /// The address of the interface called `name`, of whatever kind.
    #[must_use]
    pub fn interface_address(&self, name: &str) -> Option<InterfaceAddress> {
        let tunnels = self.tunnels.iter().map(|tunnel| (&tunnel.name, Some(tunnel.address)));
        let others = self.ethernets.iter().chain(&self.loopbacks);
        let others = others.map(|interface| (&interface.name, interface.address));
        tunnels.chain(others).find(|(known, _)| *known == name)?.1
    }

    /// The NBMA address a tunnel sends from: that of its `tunnel source` interface.
    ///
    /// A configuration that [`Router::read`] accepted has one for each of its tunnels.
    #[must_use]
    pub fn tunnel_source(&self, tunnel: &Tunnel) -> Option<Ipv4Addr> {
        self.interface_address(&tunnel.source).map(|found| found.address)
    }

    /// The profile and the transform set that protect a tunnel.
    #[must_use]
    pub fn tunnel_protection(&self, tunnel: &Tunnel) -> Option<(&IpsecProfile, &TransformSet)> {
        let name = tunnel.protection.as_deref()?;
        let profile = self.ipsec_profiles.iter().find(|profile| profile.name == name)?;
        let set = self.transform_sets.iter().find(|set| set.name == profile.transform_set)?;
        Some((profile, set))
    }
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

/// `crypto isakmp key`: the pre-shared key for peers within a prefix.
#[derive(Clone, PartialEq, Eq)]
pub struct IsakmpKey {
    /// The key's characters, clear text in the configuration as on the router.
    pub key: String,
    /// The peers' address.
    pub address: Ipv4Addr,
    /// How many leading bits of it count; 0 is every peer.
    pub prefix_length: u8,
}

impl core::fmt::Debug for IsakmpKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "IsakmpKey((..) for {}/{})", self.address, self.prefix_length)
    }
}

/// `crypto ipsec transform-set`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransformSet {
    /// Its name.
    pub name: String,
    /// The ESP cipher.
    pub encryption: EspEncryption,
    /// The ESP integrity algorithm; none exactly with a combined cipher (GCM).
    pub integrity: Option<EspIntegrity>,
    /// `mode`: tunnel unless stated.
    pub mode: EspMode,
}

/// The cipher of a transform set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EspEncryption {
    /// `esp-null`
    Null,
    /// `esp-3des`
    TripleDes,
    /// `esp-aes` or `esp-aes 128`
    Aes128,
    /// `esp-aes 192`
    Aes192,
    /// `esp-aes 256`
    Aes256,
    /// `esp-gcm` or `esp-gcm 128`
    AesGcm128,
    /// `esp-gcm 192`
    AesGcm192,
    /// `esp-gcm 256`
    AesGcm256,
}

impl EspEncryption {
    /// Whether the cipher authenticates too, so that no integrity algorithm goes with it.
    #[must_use]
    pub fn is_combined(self) -> bool {
        matches!(self, Self::AesGcm128 | Self::AesGcm192 | Self::AesGcm256)
    }
}

/// The integrity algorithm of a transform set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EspIntegrity {
    /// `esp-md5-hmac`
    Md5,
    /// `esp-sha-hmac`
    Sha1,
    /// `esp-sha256-hmac`
    Sha256,
    /// `esp-sha384-hmac`
    Sha384,
    /// `esp-sha512-hmac`
    Sha512,
}

/// `mode` of a transform set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EspMode {
    /// `mode tunnel`
    Tunnel,
    /// `mode transport`
    Transport,
}

/// `crypto ipsec profile`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IpsecProfile {
    /// Its name.
    pub name: String,
    /// `set transform-set`: the name of one that is defined.
    pub transform_set: String,
    /// `set pfs`: the group of quick mode's own exchange; none without the line.
    pub pfs: Option<DhGroup>,
    /// `set security-association lifetime seconds`: 3600 unless stated.
    pub lifetime_seconds: u32,
    /// `set security-association lifetime kilobytes`: 4608000 unless stated.
    pub lifetime_kilobytes: u32,
}

/// An interface's address and the length of its network's prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InterfaceAddress {
    /// The router's own address.
    pub address: Ipv4Addr,
    /// 0 to 32, written as a mask in IOS.
    pub prefix_length: u8,
}

/// `interface Ethernet…` or `interface Loopback…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// As written: `Ethernet0/0`.
    pub name: String,
    /// `ip address`.
    pub address: Option<InterfaceAddress>,
}

/// `interface Tunnel…`: GRE, multipoint on a hub and point-to-point on a spoke.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tunnel {
    /// As written: `Tunnel0`.
    pub name: String,
    /// `ip address`.
    pub address: InterfaceAddress,
    /// `ip redirects`: on unless `no ip redirects`.
    pub redirects: bool,
    /// `ip mtu` in octets.
    pub mtu: Option<u16>,
    /// The `ip nhrp` lines.
    pub nhrp: Nhrp,
    /// `ip tcp adjust-mss` in octets.
    pub adjust_mss: Option<u16>,
    /// `no ip split-horizon eigrp`: the autonomous system it is off for.
    pub no_split_horizon: Option<u16>,
    /// `tunnel source`: the name of an interface that has an address.
    pub source: String,
    /// `tunnel mode gre multipoint` or `tunnel destination`.
    pub mode: TunnelMode,
    /// `tunnel key`.
    pub key: Option<u32>,
    /// `tunnel protection ipsec profile`: the name of one that is defined.
    pub protection: Option<String>,
}

/// What a tunnel's other end is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TunnelMode {
    /// `tunnel mode gre multipoint`: NHRP finds the other ends.
    Multipoint,
    /// `tunnel destination`: one other end, at this NBMA address.
    PointToPoint {
        /// The NBMA address.
        destination: Ipv4Addr,
    },
}

/// The `ip nhrp` lines of a tunnel.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Nhrp {
    /// `ip nhrp authentication`: 1 to 8 characters, sent in clear.
    pub authentication: Option<String>,
    /// `ip nhrp map`: static mappings.
    pub map: Vec<NhrpMap>,
    /// `ip nhrp map multicast dynamic`: multicast goes to whoever registered.
    pub map_multicast_dynamic: bool,
    /// `ip nhrp network-id`.
    pub network_id: Option<u32>,
    /// `ip nhrp nhs`: protocol addresses of the next hop servers.
    pub nhs: Vec<Ipv4Addr>,
}

impl core::fmt::Debug for Nhrp {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Nhrp")
            .field("authentication", &self.authentication.as_ref().map(|_| "(..)"))
            .field("map", &self.map)
            .field("map_multicast_dynamic", &self.map_multicast_dynamic)
            .field("network_id", &self.network_id)
            .field("nhs", &self.nhs)
            .finish()
    }
}

/// `ip nhrp map PROTOCOL NBMA`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NhrpMap {
    /// The address inside the tunnel.
    pub protocol: Ipv4Addr,
    /// The address outside.
    pub nbma: Ipv4Addr,
}

/// `router eigrp`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Eigrp {
    /// The autonomous system.
    pub autonomous_system: u16,
    /// `network ADDRESS WILDCARD`, as written.
    pub networks: Vec<(Ipv4Addr, Ipv4Addr)>,
}
