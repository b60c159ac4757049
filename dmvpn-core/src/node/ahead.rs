//! A batch's waits for memory, all at once.
//!
//! Among very many peers, what a packet needs lies in memory that the processor has not seen for
//! long: the next hop, the peer, its association, each known only when the one before has come. A
//! batch looks at the same part for all of its packets before the next part, so that one wait is
//! that of all. It only looks: what a packet needs is found again when its turn comes, since those
//! before it may have changed it.

use core::hint::black_box;

use arrayvec::ArrayVec;
use dmvpn_esp::BESIDE;
use dmvpn_time::Instant;

use super::Node;
use super::outbound::NextHop;
use crate::peer::PeerId;
use crate::tunnel::TunnelId;

/// With fewer peers the caches hold all of them, and looking twice is the greater cost. Builds with
/// debug assertions look always: what tests them has few peers.
const MANY: usize = if cfg!(debug_assertions) { 1 } else { 2048 };

impl Node {
    const fn has_many_peers(&self) -> bool {
        self.peers.len() >= MANY
    }

    /// Packets to these next hops are about to be sent; those beyond [`BESIDE`] are not looked at.
    pub(super) fn look_ahead_to(
        &self,
        now: Instant,
        next_hops: impl Iterator<Item = (TunnelId, NextHop)>,
    ) {
        if !self.has_many_peers() {
            return;
        }
        let peers = next_hops.filter_map(|(tunnel, next_hop)| match next_hop {
            NextHop::Peer(peer) => Some(peer),
            NextHop::Protocol(address) => {
                let link = self.tunnels.get(&tunnel)?.nhrp.peek(now, address)?.link?;
                Some(PeerId(link.0))
            }
        });
        let peers: ArrayVec<PeerId, BESIDE> = peers.take(BESIDE).collect();
        for peer in &peers {
            black_box(self.peers.contains(peer.0));
        }
        for peer in peers.iter().filter_map(|peer| self.peers.get(peer.0)) {
            black_box((peer.whereabouts.port, peer.path_mtu));
            if let Some(outbound) = &peer.outbound {
                black_box((outbound.association.expires, outbound.sa.last_sequence()));
                black_box(outbound.spi());
            }
        }
    }

    /// Packets for the associations with these SPIs are about to be opened; those beyond [`BESIDE`]
    /// are not looked at.
    pub(super) fn look_ahead_from(&self, spis: impl Iterator<Item = u32>) {
        if !self.has_many_peers() {
            return;
        }
        let found = spis.filter_map(|spi| self.inbound.get(&spi));
        let associations: ArrayVec<_, BESIDE> = found.take(BESIDE).collect();
        for inbound in &associations {
            black_box((inbound.peer, inbound.association.expires, inbound.sa.key().spi()));
        }
        for inbound in &associations {
            black_box(self.peers.contains(inbound.peer.0));
        }
        for peer in associations.iter().filter_map(|inbound| self.peers.get(inbound.peer.0)) {
            black_box((peer.ike, peer.path_mtu));
        }
    }
}
