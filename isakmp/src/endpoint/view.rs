//! What `show` commands print.

use crate::output::Timer;
use crate::phase1::Phase1;
use crate::view::{Counters, PeerView, Phase1View, Phase2View, SuiteView};
use crate::{Path, PeerId, Policy};

use super::Endpoint;

/// # Views
impl Endpoint {
    /// Phase 1 SAs, the oldest first.
    pub fn phase1(&self) -> impl Iterator<Item = Phase1View> + '_ {
        self.phase1.iter().map(|(id, sa)| {
            let Phase1 { negotiation, state } = sa;
            let suite = |policy: Policy| SuiteView {
                encryption: policy.encryption,
                hash: policy.hash,
                group: policy.group,
            };
            let expires = self.output.timers.get(&Timer::Phase1Expire(*id));
            let established = state.established();
            Phase1View {
                connection: negotiation.connection,
                peer: negotiation.peer,
                role: negotiation.role,
                state: state.kind(),
                coarse: state.coarse(),
                path: negotiation.path,
                cookies: negotiation.cookies(),
                suite: state.policy().map(suite),
                remaining: expires.map(|at| at.saturating_duration_since(self.output.now)),
                identity: established.map(|sa| sa.identity.clone()),
                nat: established.map(|sa| sa.nat).unwrap_or_default(),
                dead_peer_detection: negotiation.config.dead_peer_detection.is_some()
                    && established.is_some_and(|sa| sa.dead_peer_detection),
            }
        })
    }

    /// Pairs of phase 2 SAs, by inbound SPI.
    pub fn phase2(&self) -> impl Iterator<Item = Phase2View> + '_ {
        self.children.iter().filter_map(|(spi, child)| {
            let path: Path = self.peers.get(child.peer.0)?.path;
            let expires = self.output.timers.get(&Timer::ChildExpire(*spi))?;
            Some(Phase2View {
                peer: child.peer,
                protection: child.protection,
                inbound_spi: *spi,
                outbound_spi: child.outbound_spi,
                conn_ids: child.conn_ids,
                transform: child.transform,
                mode: child.mode,
                selectors: child.selectors,
                encapsulation: child.encapsulation(&path),
                lifetime: child.lifetime,
                remaining: expires.saturating_duration_since(self.output.now),
                pfs: child.pfs,
                enabled: child.enabled,
                superseded: child.superseded,
            })
        })
    }

    /// Peers.
    pub fn peers(&self) -> impl Iterator<Item = PeerView> + '_ {
        self.peers.iter().map(|(id, peer)| PeerView {
            peer: PeerId(id),
            path: peer.path,
            target: peer.target,
            identity: peer.identity.clone(),
            uptime: peer.up_since.map(|at| self.output.now.saturating_duration_since(at)),
            phase1: peer.phase1.len(),
            phase2: peer.children.len(),
        })
    }

    /// Counters.
    #[must_use]
    pub fn counters(&self) -> Counters {
        Counters { traces_dropped: self.output.traces.dropped(), ..self.output.counters }
    }
}
