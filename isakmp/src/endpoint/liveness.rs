//! Dead peer detection and NAT keepalives.

use crate::output::Timer;
use crate::phase1::{Phase1, Phase1State};
use crate::wire::NotifyType;
use crate::{CloseReason, PeerId, Trace, dead_peer_detection, informational};

use super::Endpoint;

impl Endpoint {
    /// Dead peer detection and NAT keepalives, as configured and called for.
    pub(super) fn arm_liveness(&mut self, peer_id: PeerId) {
        let Some(peer) = self.peers.get(peer_id.0) else { return };
        let now = self.output.now;
        let Some(Phase1 { negotiation, state: Phase1State::Established(sa) }) =
            peer.current.and_then(|id| self.phase1.get(&id))
        else {
            // Pairs are left without a phase 1 in which the peer could say that it has deleted them.
            if let Some(dpd) = self.output.config.dead_peer_detection
                && !peer.children.is_empty()
                && self.output.timers.get(&Timer::DeadPeer(peer_id)).is_none()
            {
                self.output.timers.set(Timer::DeadPeer(peer_id), now + dpd.interval);
            }
            return;
        };
        let config = &negotiation.config;
        if let Some(dpd) = config.dead_peer_detection
            && sa.dead_peer_detection
            && self.output.timers.get(&Timer::DeadPeer(peer_id)).is_none()
        {
            self.output.timers.set(Timer::DeadPeer(peer_id), now + dpd.interval);
        }
        if let Some(nat) = config.nat_traversal
            && peer.behind_nat
            && self.output.timers.get(&Timer::Keepalive(peer_id)).is_none()
        {
            self.output.timers.set(Timer::Keepalive(peer_id), now + nat.keepalive);
        }
    }

    /// Asks a peer whether it is alive (RFC 3706), or finds that it is not.
    pub(super) fn dead_peer_timer(&mut self, peer_id: PeerId) {
        let now = self.output.now;
        let Some(peer) = self.peers.get_mut(peer_id.0) else { return };
        let Some(Phase1 { negotiation, state: Phase1State::Established(sa) }) =
            peer.current.and_then(|id| self.phase1.get_mut(&id))
        else {
            self.contact_silent_peer(peer_id);
            return;
        };
        // A peer that has not announced it need not answer (RFC 3706 §5.1).
        let dpd = negotiation.config.dead_peer_detection.filter(|_| sa.dead_peer_detection);
        let Some(dpd) = dpd else { return };
        let silent = now.saturating_duration_since(peer.last_inbound);
        if silent < dpd.interval {
            peer.probe.unanswered = 0;
            let next = peer.last_inbound + dpd.interval;
            self.output.timers.set(Timer::DeadPeer(peer_id), next);
            return;
        }
        if peer.probe.unanswered >= dpd.attempts {
            self.output.trace(negotiation, Trace::PeerDead);
            self.close_peer(peer_id, CloseReason::PeerDead { attempts: dpd.attempts }, false);
            return;
        }
        let random = if peer.probe.first == 0 { self.output.rng.next_u32() } else { 0 };
        let sequence = peer.probe.next(random);
        let notify_type = NotifyType::R_U_THERE;
        let question = dead_peer_detection::notification(negotiation, notify_type, sequence);
        let record = Trace::DeadPeerDetectionSent { notify_type, sequence };
        self.output.trace(negotiation, record);
        informational::send(negotiation, sa, &[question], &mut self.output);
        self.output.timers.set(Timer::DeadPeer(peer_id), now + dpd.retry);
    }

    /// Phase 2 SAs without a phase 1 to ask on: if the peer is silent, a new main mode asks. Whether
    /// it is answered decides, see [`Self::remove_phase1`].
    fn contact_silent_peer(&mut self, peer_id: PeerId) {
        let Some(dpd) = self.output.config.dead_peer_detection else { return };
        let Some(peer) = self.peers.get(peer_id.0) else { return };
        if peer.children.is_empty() {
            return;
        }
        let now = self.output.now;
        let due = peer.last_inbound + dpd.interval;
        if due > now {
            self.output.timers.set(Timer::DeadPeer(peer_id), due);
            return;
        }
        self.start_phase1(peer_id);
        self.output.timers.set(Timer::DeadPeer(peer_id), now + dpd.interval);
    }

    /// Whether a peer that just left a main mode of ours unanswered has been silent on its phase 2
    /// SAs as well, for as long as dead peer detection allows.
    pub(super) fn is_dead(&self, peer_id: PeerId, reason: CloseReason) -> bool {
        let unanswered =
            matches!(reason, CloseReason::NoAnswer { .. } | CloseReason::HalfOpenTimeout { .. });
        let Some(dpd) = self.output.config.dead_peer_detection else { return false };
        self.peers.get(peer_id.0).is_some_and(|peer| {
            let silent = self.output.now.saturating_duration_since(peer.last_inbound);
            unanswered
                && peer.phase1.is_empty()
                && !peer.children.is_empty()
                && silent >= dpd.interval
        })
    }
}
