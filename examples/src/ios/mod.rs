//! Router configuration in IOS syntax: what Cisco's "DMVPN Phase 1 debugs" guide uses, and what a
//! router between real peers needs beside it.
//!
//! [`Router::read`] turns text into typed values and refuses everything it does not know, naming
//! line and word; the `Display` of [`Router`] is canonical IOS text that reads back equal.
//! References are resolved: a profile that a tunnel names exists, and so do its transform sets.

mod interface;
mod ipsec;
mod isakmp;
mod print;
mod protocol;
mod read;
mod secret;
mod words;

use core::net::Ipv4Addr;

pub use interface::{
    Interface, InterfaceAddress, Nhrp, NhrpMap, NhrpServer, Tunnel, TunnelMode, TunnelSource,
};
pub use ipsec::{EspEncryption, EspIntegrity, EspMode, IpsecProfile, Replay, TransformSet};
pub use isakmp::{
    ClientEndpoint, DhGroup, Isakmp, IsakmpEncryption, IsakmpHash, IsakmpIdentity, IsakmpKey,
    IsakmpPeer, IsakmpPolicy, Keepalive, KeepaliveMode, KeyPeer,
};
pub use secret::Secret;
pub use words::{ReadError, ReadErrorKind};

/// One router's configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Router {
    /// `hostname`
    pub hostname: Option<String>,
    /// `ip domain name`
    pub domain_name: Option<String>,
    /// The `crypto isakmp` lines.
    pub isakmp: Isakmp,
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

    /// The NBMA address a tunnel sends from: its `tunnel source`, or that of the interface there.
    ///
    /// A configuration that [`Router::read`] accepted has one for each of its tunnels.
    #[must_use]
    pub fn tunnel_source(&self, tunnel: &Tunnel) -> Option<Ipv4Addr> {
        match &tunnel.source {
            TunnelSource::Address(address) => Some(*address),
            TunnelSource::Interface(name) => {
                self.interface_address(name).map(|found| found.address)
            }
        }
    }

    /// The profile that protects a tunnel.
    #[must_use]
    pub fn tunnel_protection(&self, tunnel: &Tunnel) -> Option<&IpsecProfile> {
        let name = tunnel.protection.as_deref()?;
        self.ipsec_profiles.iter().find(|profile| profile.name == name)
    }

    /// A profile's transform sets, in its order.
    pub fn profile_sets<'a>(
        &'a self,
        profile: &'a IpsecProfile,
    ) -> impl Iterator<Item = &'a TransformSet> {
        let named = |name: &String| self.transform_sets.iter().find(move |set| set.name == *name);
        profile.transform_sets.iter().filter_map(named)
    }

    /// The router's name with its domain: what `crypto isakmp identity hostname` calls it.
    #[must_use]
    pub fn qualified_name(&self) -> Option<String> {
        let host = self.hostname.as_ref()?;
        Some(match &self.domain_name {
            Some(domain) => format!("{host}.{domain}"),
            None => host.clone(),
        })
    }
}

/// `router eigrp`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Eigrp {
    /// The autonomous system.
    pub autonomous_system: u16,
    /// `network ADDRESS WILDCARD`, as written.
    pub networks: Vec<(Ipv4Addr, Ipv4Addr)>,
}
