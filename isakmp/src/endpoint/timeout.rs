//! What happens when a deadline comes.

use crate::fragmentation::ReassemblyId;
use crate::output::Timer;
use crate::phase1::{Phase1, Phase1State, SaId};
use crate::wire::{Cookie, MessageId};
use crate::{CloseReason, StateKind, Trace};

use super::Endpoint;

impl Endpoint {
    pub(super) fn fire(&mut self, timer: Timer) {
        match timer {
            Timer::Retransmit(id) => self.retransmit(id),
            Timer::RetransmitQuick(id, message_id) => self.retransmit_quick(id, message_id),
            Timer::HalfOpen(id) => {
                if let Some(sa) = self.phase1.get(&id) {
                    let counter = &mut self.output.counters.half_open_expired;
                    *counter = counter.saturating_add(1);
                    let after = sa.negotiation.config.limits.half_open_timeout;
                    self.remove_phase1(id, CloseReason::HalfOpenTimeout { after }, false);
                }
            }
            Timer::Phase1Rekey(id) => self.renegotiate(id),
            Timer::Phase1Expire(id) => self.remove_phase1(id, CloseReason::Expired, true),
            Timer::QuickModeEnd(id, message_id) => {
                let after = self.output.config.limits.half_open_timeout;
                self.fail_quick_mode(id, message_id, CloseReason::HalfOpenTimeout { after });
            }
            Timer::ChildRekey(spi) => self.rekey_child(spi),
            Timer::ChildEnable(spi) => self.enable(spi),
            Timer::ChildExpire(spi) => {
                if let Some(child) = self.children.get(&spi) {
                    let peer = child.peer;
                    let reason = if child.superseded {
                        CloseReason::Superseded
                    } else {
                        CloseReason::Expired
                    };
                    self.delete_children(peer, &[spi], reason);
                    self.reap_peer(peer, reason);
                }
            }
            Timer::FirstQuickMode(peer) => self.start_wanted(peer),
            Timer::Reassembly(standing, number) => {
                self.reassembly_expired(ReassemblyId(standing, number));
            }
            Timer::DeadPeer(peer) => self.dead_peer_timer(peer),
            Timer::Keepalive(id) => {
                let config = &self.output.config;
                let Some(nat) = config.nat_traversal else { return };
                let Some(peer) = self.peers.get(id.0).filter(|peer| peer.behind_nat) else {
                    return;
                };
                let path = peer.path;
                self.output.trace_on(&path, 0, Trace::KeepaliveSent);
                self.output.transmit_keepalive(path);
                self.output.timers.set(timer, self.output.now + nat.keepalive);
            }
        }
    }

    fn retransmit(&mut self, id: SaId) {
        let Some(Phase1 { negotiation, state }) = self.phase1.get_mut(&id) else { return };
        let Some(sent) = &mut negotiation.sent else { return };
        let attempts = negotiation.config.retransmission.attempts;
        if sent.transmissions >= attempts && state.established().is_some() {
            // AM3 has been sent often enough, and a peer may have nothing to say for long. That it has
            // not been answered is remembered.
            return;
        }
        if sent.transmissions >= attempts {
            // Silence after MM5 is what a peer does that cannot decrypt it.
            let reason = if state.kind() == StateKind::IkeInitiatorMm5 {
                CloseReason::AuthenticationFailed
            } else if negotiation.disproved {
                CloseReason::PeerNotAuthenticated
            } else {
                CloseReason::NoAnswer { attempts }
            };
            self.remove_phase1(id, reason, false);
            return;
        }
        sent.transmissions = sent.transmissions.saturating_add(1);
        if negotiation.responder_cookie == Cookie::ZERO {
            negotiation.called = self.output.now;
        }
        let attempt = sent.transmissions;
        let payload = sent.payload.clone();
        let wait = negotiation.config.retransmission.wait(attempt);
        let record = Trace::Retransmitting { node: None, attempt, duplicate: false };
        self.output.trace(negotiation, record);
        self.output.counters.retransmitted = self.output.counters.retransmitted.saturating_add(1);
        self.output.send(negotiation, payload);
        self.output.timers.set(Timer::Retransmit(id), self.output.now + wait);
    }

    fn retransmit_quick(&mut self, id: SaId, message_id: MessageId) {
        let Some(Phase1 { negotiation, state: Phase1State::Established(established) }) =
            self.phase1.get_mut(&id)
        else {
            return;
        };
        let Some(quick_mode) = established.quick_modes.get_mut(&message_id) else { return };
        let Some(sent) = &mut quick_mode.exchange.sent else { return };
        let attempts = negotiation.config.retransmission.attempts;
        if sent.transmissions >= attempts {
            self.fail_quick_mode(id, message_id, CloseReason::NoAnswer { attempts });
            return;
        }
        sent.transmissions = sent.transmissions.saturating_add(1);
        let attempt = sent.transmissions;
        let payload = sent.payload.clone();
        let wait = negotiation.config.retransmission.wait(attempt);
        let node = Some(message_id);
        let record = Trace::Retransmitting { node, attempt, duplicate: false };
        self.output.trace(negotiation, record);
        self.output.counters.retransmitted = self.output.counters.retransmitted.saturating_add(1);
        self.output.send(negotiation, payload);
        let timer = Timer::RetransmitQuick(id, message_id);
        self.output.timers.set(timer, self.output.now + wait);
    }
}
