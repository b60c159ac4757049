//! What routing knows in the lab, where no routing protocol runs: the networks that the
//! configuration would have EIGRP announce, each behind the tunnel address of who announces it.

use core::net::Ipv4Addr;

use crate::ios::{InterfaceAddress, Router};

/// A router's routes into its tunnel.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Routes(Vec<Route>);

/// One route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// The network.
    pub network: InterfaceAddress,
    /// The next hop, an address inside the tunnel.
    pub next_hop: Ipv4Addr,
}

impl Routes {
    /// The routes to what `neighbour` announces over the tunnel that has `tunnel` as its network:
    /// each network of its interfaces that a `network` line of `router eigrp` covers.
    #[must_use]
    pub fn learned_from(neighbour: &Router, tunnel: InterfaceAddress) -> Self {
        let next_hop = neighbour.tunnels.iter().map(|other| other.address.address);
        let next_hop = next_hop.filter(|address| tunnel.contains(*address));
        let announced = |address: &InterfaceAddress| {
            let networks = neighbour.eigrp.iter().flat_map(|eigrp| &eigrp.networks);
            networks.clone().any(|(network, wildcard)| {
                (address.address.to_bits() ^ network.to_bits()) & !wildcard.to_bits() == 0
            })
        };
        let interfaces = neighbour.ethernets.iter().chain(&neighbour.loopbacks);
        let addresses: Vec<InterfaceAddress> =
            interfaces.filter_map(|interface| interface.address).filter(announced).collect();
        let routes = next_hop.flat_map(|next_hop| {
            addresses.iter().map(move |network| Route { network: *network, next_hop })
        });
        Self(routes.collect())
    }

    /// Adds another neighbour's routes.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// The next hop towards an address: that of the longest prefix.
    #[must_use]
    pub fn next_hop(&self, destination: Ipv4Addr) -> Option<Ipv4Addr> {
        let routes = self.0.iter().filter(|route| route.network.contains(destination));
        routes.max_by_key(|route| route.network.prefix_length).map(|route| route.next_hop)
    }
}

impl InterfaceAddress {
    /// Whether an address is in the network.
    #[must_use]
    pub fn contains(&self, address: Ipv4Addr) -> bool {
        let differing = (self.address.to_bits() ^ address.to_bits()).leading_zeros();
        differing >= u32::from(self.prefix_length)
    }
}
