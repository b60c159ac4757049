//! What the views read.

use alloc::boxed::Box;
use core::net::IpAddr;

use dmvpn_time::Instant;

use super::{Counters, Node, TunnelCounters};
use crate::interface::InterfaceState;
use crate::peer::{Inbound, Peer, PeerId, Whereabouts};
use crate::tunnel::{TunnelConfig, TunnelId};
use crate::view::LifeView;

impl Node {
    /// Counters over everything.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Counters of one tunnel.
    #[must_use]
    pub fn tunnel_counters(&self, id: TunnelId) -> Option<&TunnelCounters> {
        self.tunnels.get(&id).map(|tunnel| &tunnel.counters)
    }

    /// The state of one tunnel.
    #[must_use]
    pub fn interface_state(&self, id: TunnelId) -> Option<InterfaceState> {
        self.tunnels.get(&id).map(|tunnel| tunnel.interface)
    }

    /// The latest time that the node was given.
    #[must_use]
    pub const fn now(&self) -> Instant {
        self.latest.get()
    }

    /// Key management, for its own views and counters.
    #[must_use]
    pub const fn isakmp(&self) -> &dmvpn_isakmp::Endpoint {
        &self.isakmp
    }

    /// A tunnel's NHRP, for its own views and counters.
    #[must_use]
    pub fn nhrp(&self, id: TunnelId) -> Option<&dmvpn_nhrp::Endpoint> {
        self.tunnels.get(&id).map(|tunnel| &tunnel.nhrp)
    }

    /// Whether a tunnel has a way to a next hop, as [`send`](Self::send) finds it: what an owner must
    /// know who answers ARP in its name. O(log n), as for a packet.
    #[must_use]
    pub fn resolves(&self, id: TunnelId, next_hop: IpAddr) -> bool {
        self.tunnels.get(&id).is_some_and(|tunnel| {
            if tunnel.config.is_multipoint() {
                tunnel.nhrp.resolves(self.now(), next_hop)
            } else {
                tunnel.other_end.is_some()
            }
        })
    }

    /// How many peers, inbound associations and timers there are: nothing of a peer that went away
    /// may be left.
    #[must_use]
    pub fn table_sizes(&self) -> TableSizes {
        TableSizes {
            peers: self.peers.len(),
            places: self.by_whereabouts.len(),
            sessions: self.sessions.len(),
            inbound: self.inbound.len(),
            timers: self.timers.len(),
        }
    }

    pub(crate) fn tunnel_configs(
        &self,
    ) -> impl Iterator<Item = (TunnelId, &TunnelConfig, InterfaceState)> + '_ {
        self.tunnels.iter().map(|(id, tunnel)| (*id, &tunnel.config, tunnel.interface))
    }

    /// The peers with protection, each with the first tunnel that uses it.
    pub(crate) fn protected_peers(
        &self,
    ) -> impl Iterator<Item = (PeerId, &Peer, TunnelId, &TunnelConfig)> + '_ {
        self.peers.iter().filter_map(|(id, peer)| {
            let group = self.protections.get(&peer.whereabouts.protection?)?;
            let tunnel = *group.tunnels.first()?;
            Some((PeerId(id), &**peer, tunnel, &self.tunnels.get(&tunnel)?.config))
        })
    }

    /// The counters of a peer: associations of the past and the present.
    pub(crate) fn peer_counters(&self, peer: &Peer) -> dmvpn_esp::Counters {
        let mut counters = peer.past_counters();
        for inbound in peer.inbound.keys().filter_map(|spi| self.inbound.get(spi)) {
            counters += &inbound.sa.counters();
        }
        for outbound in peer.outbounds() {
            counters += &outbound.sa.counters();
        }
        counters
    }

    pub(crate) fn inbound_sa(&self, spi: u32) -> Option<&Inbound> {
        self.inbound.get(&spi).map(Box::as_ref)
    }

    /// The inbound association that lives longest: the current one.
    pub(crate) fn newest_inbound(&self, peer: &Peer) -> Option<&Inbound> {
        let associations = peer.inbound.keys().filter_map(|spi| self.inbound.get(spi));
        associations.max_by_key(|inbound| inbound.association.expires).map(Box::as_ref)
    }

    pub(crate) fn life(&self, expires: Instant, octets: Option<u64>) -> LifeView {
        LifeView {
            kilobytes: octets.map(|octets| octets.div_euclid(1024)),
            seconds: expires.saturating_duration_since(self.now()).as_secs(),
        }
    }

    /// The peer behind a cache entry.
    pub(crate) fn peer_of_entry(
        &self,
        id: TunnelId,
        entry: &dmvpn_nhrp::CacheView,
    ) -> Option<&Peer> {
        if let Some(peer) = entry.link.and_then(|link| self.peers.get(link.0)) {
            return Some(peer);
        }
        let tunnel = self.tunnels.get(&id)?;
        let remote: IpAddr = entry.nbma?;
        let place = Whereabouts {
            protection: tunnel.protection,
            local: tunnel.config.source,
            remote,
            port: 0,
        };
        self.peers.get(self.peer_near(place)?.0).map(Box::as_ref)
    }
}

/// How many entries the node's tables have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TableSizes {
    /// Peers.
    pub peers: usize,
    /// Places where peers are found.
    pub places: usize,
    /// Ends of key management.
    pub sessions: usize,
    /// Inbound associations.
    pub inbound: usize,
    /// Timers of the node itself.
    pub timers: usize,
}
