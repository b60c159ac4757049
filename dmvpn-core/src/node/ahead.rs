//! A batch's waits for memory, beside each other.
//!
//! Among very many peers, what a packet needs lies in memory that the processor has not seen for
//! long: the next hop, the peer, its association, each known only when the one before has come. A
//! batch looks at the same part for all of its packets before the next part, so that most of the
//! waits overlap. It only looks: what a packet needs is found again when its turn comes, since those
//! before it may have changed it. Not looked at are peers that only a static mapping names, and
//! keys, which lie behind the provider.

use core::hint::black_box;

use arrayvec::ArrayVec;
use dmvpn_esp::BESIDE;
use dmvpn_time::Instant;

use super::Node;
use super::outbound::NextHop;
use crate::peer::PeerId;
use crate::tunnel::TunnelId;

/// With fewer peers the caches hold what is needed of them, and looking twice is the greater cost: by
/// the rows "in batches" of `benches/report`, which are what notices the look at all. Builds with
/// debug assertions look always: what tests them has few peers.
const MANY: usize = if cfg!(debug_assertions) { 1 } else { 2048 };

impl Node {
    /// Whether a batch of so many packets has waits that could overlap.
    pub(super) const fn looks_ahead(&self, packets: usize) -> bool {
        packets > 1 && self.peers.len() >= MANY
    }

    /// Packets to these next hops are about to be sent; those beyond [`BESIDE`] are not looked at.
    pub(super) fn look_ahead_to(
        &self,
        now: Instant,
        next_hops: impl Iterator<Item = (TunnelId, NextHop)>,
    ) {
        // A burst to one next hop is a common batch.
        let mut before = None;
        let different = next_hops.filter(move |next| before.replace(*next) != Some(*next));
        let peers = different.filter_map(|(id, next_hop)| match next_hop {
            NextHop::Peer(peer) => Some(peer),
            NextHop::Protocol(address) => {
                let tunnel = self.tunnels.get(&id)?;
                if !tunnel.config.is_multipoint() {
                    return tunnel.other_end;
                }
                Some(PeerId(tunnel.nhrp.peek(now, address)?.link?.0))
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
        let mut before = None;
        let different = spis.filter(move |spi| before.replace(*spi) != Some(*spi));
        let found = different.filter_map(|spi| self.inbound.get(&spi));
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
