//! Notifications and deletes of the peer.

use crate::dead_peer_detection;
use crate::informational::{self, Accepted, Deletion};
use crate::phase1::{Phase1, Phase1State, SaId};
use crate::wire::{
    Content, Cookie, Doi, Message, Notification, NotifyType, Payload, PayloadType, ProtocolId,
};
use crate::{CloseReason, Deviation, Discard, NodeEnd, Path, PeerId, Trace};

use super::Endpoint;

impl Endpoint {
    /// An informational message.
    pub(super) fn handle_informational(
        &mut self,
        id: Option<SaId>,
        path: Path,
        message: &Message<'_>,
    ) -> Result<(), Discard> {
        if let Content::Clear(payloads) = &message.content {
            // Anybody can send it: it helps whoever reads the trace, and does nothing.
            let refused = payloads.iter().find_map(|received| {
                let Payload::Notification(notification) = &received.payload else { return None };
                Some(notification.notify_type)
            });
            return Err(match refused {
                Some(notify_type) => Discard::UnprotectedNotification(notify_type),
                None => Discard::Unprotected(payloads.first_type()),
            });
        }
        let sa = id.and_then(|id| self.phase1.get(&id).map(|sa| (id, sa)));
        let Some((id, Phase1 { negotiation, state })) = sa else {
            return Err(Discard::UnknownCookies {
                initiator: message.header.initiator_cookie,
                responder: message.header.responder_cookie,
            });
        };
        let received = Trace::Received {
            role: Some(negotiation.role),
            state: state.coarse(),
            dport: path.local.port(),
            sport: path.remote.port(),
        };
        let established = match state {
            Phase1State::Established(established) => established,
            Phase1State::Initiator(state) => {
                let refusal = state.check_refusal(message, &path, negotiation)?;
                self.output.trace(negotiation, received);
                let notify_type = refusal.notify_type;
                let record = Trace::ProcessingNotify {
                    notify_type,
                    protocol: refusal.protocol,
                    spi: bytes::Bytes::copy_from_slice(&refusal.spi),
                    message_id: message.header.message_id,
                };
                self.output.trace(negotiation, record);
                self.remove_phase1(id, CloseReason::PeerRefused(notify_type), false);
                return Ok(());
            }
            Phase1State::Responder(_)
            | Phase1State::AggressiveInitiator(_)
            | Phase1State::AggressiveResponder(_) => return Err(Discard::NoKeyYet),
        };
        self.output.trace(negotiation, received);
        let accepted = informational::check(message, established)?;
        self.apply(id, path, accepted);
        Ok(())
    }

    fn apply(&mut self, id: SaId, path: Path, accepted: Accepted) {
        let Accepted { message_id, notifications, deletes } = accepted;
        let questions = [NotifyType::R_U_THERE, NotifyType::R_U_THERE_ACK];
        let only_questions =
            deletes.is_empty() && notifications.iter().all(|n| questions.contains(&n.notify_type));
        if let Some(Phase1 { negotiation, state: Phase1State::Established(established) }) =
            self.phase1.get_mut(&id)
        {
            // Dead peer detection has sequence numbers of its own against replay, and would fill
            // the memory.
            if !only_questions {
                let limit = negotiation.config.limits.message_ids;
                let forgotten = established.message_ids.insert(message_id, limit);
                self.output.forgot(negotiation, forgotten);
            }
            self.output.trace(negotiation, Trace::NewNode { message_id });
            let payload = PayloadType::HASH;
            self.output.trace(negotiation, Trace::Processing { payload, message_id });
            for notification in &notifications {
                self.output.trace(
                    negotiation,
                    Trace::ProcessingNotify {
                        notify_type: notification.notify_type,
                        protocol: notification.protocol,
                        spi: bytes::Bytes::copy_from_slice(&notification.spi),
                        message_id,
                    },
                );
            }
        }
        // A question or answer is a sign of life only with a number that is not a replay's.
        if !only_questions {
            self.heard_from(id, path);
        }
        for notification in &notifications {
            if let Err(discard) = self.notified(id, path, notification) {
                self.trace_discard(id, discard);
            }
        }
        // Last, so that nothing in this message meets an SA that it removed.
        for delete in deletes {
            if let Some(Phase1 { negotiation, .. }) = self.phase1.get(&id) {
                let count = u16::try_from(delete.spis.len()).unwrap_or(u16::MAX);
                let protocol = delete.protocol;
                let record = Trace::ProcessingDelete { protocol, count, message_id };
                self.output.trace(negotiation, record);
            }
            if let Err(discard) = self.deleted(id, &delete) {
                self.trace_discard(id, discard);
            }
        }
        if let Some(Phase1 { negotiation, .. }) = self.phase1.get(&id) {
            let reason = NodeEnd::InformationalReceived;
            let record = Trace::NodeDeleted { message_id, error: false, reason };
            self.output.trace(negotiation, record);
        }
    }

    fn trace_discard(&mut self, id: SaId, discard: Discard) {
        if let Some(Phase1 { negotiation, .. }) = self.phase1.get(&id) {
            self.output.trace(negotiation, Trace::Discarded(discard));
        }
    }

    fn notified(
        &mut self,
        id: SaId,
        path: Path,
        notification: &Notification<'_>,
    ) -> Result<(), Discard> {
        let Some(Phase1 { negotiation, state: Phase1State::Established(established) }) =
            self.phase1.get_mut(&id)
        else {
            return Ok(());
        };
        let Some(peer_id) = negotiation.peer else { return Ok(()) };
        match notification.notify_type {
            NotifyType::R_U_THERE => {
                let sequence = dead_peer_detection::sequence(negotiation, notification)?;
                let notify_type = NotifyType::R_U_THERE;
                let record = Trace::DeadPeerDetectionReceived { notify_type, sequence };
                self.output.trace(negotiation, record);
                let Some(peer) = self.peers.get_mut(peer_id.0) else { return Ok(()) };
                // RFC 3706 §6.2 wants numbers that only grow; after a restart of its process a
                // peer may count anew, and an answer costs nothing.
                if peer.probe.is_ours(sequence) {
                    return Err(Discard::DeadPeerDetection(sequence));
                }
                let fresh =
                    dead_peer_detection::Probe::is_fresh(sequence, established.highest_question);
                if fresh {
                    established.highest_question = Some(sequence);
                } else {
                    self.output.deviation(negotiation, Deviation::DeadPeerDetectionSequence);
                }
                let notify_type = NotifyType::R_U_THERE_ACK;
                let answer = dead_peer_detection::notification(negotiation, notify_type, sequence);
                let record = Trace::DeadPeerDetectionSent { notify_type, sequence };
                self.output.trace(negotiation, record);
                // Only who announced it asks (RFC 3706 §5.1): if its vendor ID was altered on the way,
                // which nothing authenticates, this says that it knows the answer, too.
                established.dead_peer_detection = true;
                if fresh {
                    self.heard_from(id, path);
                }
                self.arm_liveness(peer_id);
                if let Some(Phase1 { negotiation, state: Phase1State::Established(established) }) =
                    self.phase1.get_mut(&id)
                {
                    informational::send(negotiation, established, &[answer], &mut self.output);
                }
                Ok(())
            }
            NotifyType::R_U_THERE_ACK => {
                let sequence = dead_peer_detection::sequence(negotiation, notification)?;
                let notify_type = NotifyType::R_U_THERE_ACK;
                let record = Trace::DeadPeerDetectionReceived { notify_type, sequence };
                self.output.trace(negotiation, record);
                // Once: an answer played again is no sign of life.
                let waiting = self.peers.get(peer_id.0).is_some_and(|peer| {
                    peer.probe.unanswered > 0 && peer.probe.sequence == sequence
                });
                if !waiting {
                    return Err(Discard::DeadPeerDetection(sequence));
                }
                self.heard_from(id, path);
                Ok(())
            }
            NotifyType::INITIAL_CONTACT => {
                let started = negotiation.started;
                self.output.trace(negotiation, Trace::InitialContact);
                self.initial_contact(peer_id, id, started);
                Ok(())
            }
            NotifyType::RESPONDER_LIFETIME if notification.protocol == ProtocolId::ISAKMP => {
                self.phase1_lifetime_announced(id, notification);
                Ok(())
            }
            NotifyType::INVALID_SPI if notification.protocol == ProtocolId::ESP => {
                // The peer does not have the SA that we send on: its delete was lost.
                let spi = <[u8; 4]>::try_from(notification.spi.as_ref()).map(u32::from_be_bytes);
                let pair = spi.ok().and_then(|spi| self.outbound.get(&(peer_id, spi)).copied());
                let notify_type = NotifyType::INVALID_SPI;
                let pair = pair.ok_or(Discard::Notification(notify_type))?;
                let reason = CloseReason::PeerRefused(notify_type);
                self.delete_children(peer_id, &[pair], reason);
                self.reap_peer(peer_id, reason);
                Ok(())
            }
            notify_type if notify_type.is_error() => {
                // A refusal of a quick mode names its SPI, or nothing; then it is ours if we have
                // only one under way.
                let spi = <[u8; 4]>::try_from(notification.spi.as_ref()).map(u32::from_be_bytes);
                let mut ours = established
                    .quick_modes
                    .iter()
                    .filter(|(_, quick_mode)| {
                        matches!(quick_mode.state, crate::quick_mode::State::Initiator(_))
                    })
                    .map(|(message_id, quick_mode)| (*message_id, quick_mode.exchange.inbound_spi));
                let refused = match spi {
                    Ok(spi) if spi != 0 => ours.find(|(_, ours)| *ours == spi),
                    _ => match (ours.next(), ours.next()) {
                        (Some(only), None) => Some(only),
                        _ => None,
                    },
                };
                let Some((message_id, _)) = refused else {
                    return Err(Discard::Notification(notify_type));
                };
                let reason = CloseReason::PeerRefused(notify_type);
                self.fail_quick_mode(id, message_id, reason);
                Ok(())
            }
            notify_type => Err(Discard::Notification(notify_type)),
        }
    }

    fn deleted(&mut self, id: SaId, delete: &Deletion) -> Result<(), Discard> {
        let Some(peer_id) = self.peer_of(id) else { return Ok(()) };
        // Some peers delete ISAKMP SAs in the ISAKMP domain and ESP SAs in either.
        if delete.doi != Doi::IPSEC
            && let Some(Phase1 { negotiation, .. }) = self.phase1.get(&id)
        {
            self.output.deviation(negotiation, Deviation::DeleteDoi);
        }
        let mut any = false;
        for spi in &delete.spis {
            any |= match delete.protocol {
                ProtocolId::ISAKMP => self.deleted_phase1(peer_id, spi),
                ProtocolId::ESP => self.deleted_child(id, peer_id, spi),
                _ => false,
            };
        }
        self.reap_peer(peer_id, CloseReason::PeerDeleted);
        if any { Ok(()) } else { Err(Discard::DeleteUnknown(delete.protocol)) }
    }

    fn deleted_phase1(&mut self, peer_id: PeerId, spi: &[u8]) -> bool {
        let Some((initiator, rest)) = spi.split_first_chunk::<8>() else { return false };
        let Ok(responder) = <[u8; 8]>::try_from(rest) else { return false };
        let cookies = (Cookie(*initiator), Cookie(responder));
        let Some(&named) = self.by_cookies.get(&cookies) else { return false };
        // Only SAs of the peer that sends it.
        if self.peer_of(named) != Some(peer_id) {
            return false;
        }
        self.remove_phase1(named, CloseReason::PeerDeleted, false);
        true
    }

    fn deleted_child(&mut self, id: SaId, peer_id: PeerId, spi: &[u8]) -> bool {
        let Ok(spi) = <[u8; 4]>::try_from(spi).map(u32::from_be_bytes) else { return false };
        // RFC 2408 §3.15: the SPI that the sender receives with, our outbound one. Some peers name
        // ours.
        let named = match self.outbound.get(&(peer_id, spi)) {
            Some(&inbound) => inbound,
            None => {
                if self.children.get(&spi).is_none_or(|child| child.peer != peer_id) {
                    return false;
                }
                if let Some(Phase1 { negotiation, .. }) = self.phase1.get(&id) {
                    self.output.deviation(negotiation, Deviation::DeleteNamesOurSpi);
                }
                spi
            }
        };
        self.remove_child(named, CloseReason::PeerDeleted);
        true
    }
}
