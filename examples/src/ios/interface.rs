//! The `interface` sections.

use core::net::Ipv4Addr;

use super::Secret;

/// An address and the length of its network's prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InterfaceAddress {
    /// The address.
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
    /// `shutdown`
    pub shutdown: bool,
    /// `tunnel source`
    pub source: TunnelSource,
    /// `tunnel mode gre multipoint` or `tunnel destination`.
    pub mode: TunnelMode,
    /// `tunnel key`
    pub key: Option<u32>,
    /// `tunnel checksum`
    pub checksum: bool,
    /// `tunnel protection ipsec profile`: the name of one that is defined. Without it the tunnel
    /// is in clear.
    pub protection: Option<String>,
}

/// Where a tunnel's packets leave from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TunnelSource {
    /// The address of the interface of this name, which has one.
    Interface(String),
    /// This address.
    Address(Ipv4Addr),
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
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Nhrp {
    /// `ip nhrp authentication`: 1 to 8 characters, sent in clear.
    pub authentication: Option<Secret>,
    /// `ip nhrp map`: static mappings.
    pub map: Vec<NhrpMap>,
    /// `ip nhrp map multicast dynamic`: multicast goes to whoever registered.
    pub map_multicast_dynamic: bool,
    /// `ip nhrp map multicast`: multicast goes to these NBMA addresses.
    pub map_multicast: Vec<Ipv4Addr>,
    /// `ip nhrp network-id`
    pub network_id: Option<u32>,
    /// `ip nhrp holdtime`, in seconds.
    pub holdtime: Option<u16>,
    /// `ip nhrp nhs`: the next hop servers.
    pub nhs: Vec<NhrpServer>,
    /// `ip nhrp registration no-unique`: another may register our address.
    pub no_unique: bool,
    /// `ip nhrp registration timeout`: seconds between registrations.
    pub registration_timeout: Option<u16>,
}

/// `ip nhrp map PROTOCOL NBMA`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NhrpMap {
    /// The address inside the tunnel.
    pub protocol: Ipv4Addr,
    /// The address outside.
    pub nbma: Ipv4Addr,
}

/// `ip nhrp nhs`: a next hop server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NhrpServer {
    /// Its address inside the tunnel.
    pub address: Ipv4Addr,
    /// `nbma`: its address outside; a mapping has it otherwise.
    pub nbma: Option<Ipv4Addr>,
    /// `multicast`: multicast goes to it, as with a mapping of its own. Only with `nbma`.
    pub multicast: bool,
    /// `priority`: 0, the best, unless stated.
    pub priority: u8,
    /// `cluster`: 0 unless stated.
    pub cluster: u8,
}
