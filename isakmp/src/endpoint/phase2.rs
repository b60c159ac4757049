//! Phase 2: quick modes, the SAs they lead to, re-keying, end.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

use crate::crypto::{Agreement, DiffieHellmanError};
use crate::output::Timer;
use crate::phase1::Waiting;
use crate::phase1::{Answered, Phase1, Phase1State, SaId};
use crate::quick_mode::responder::{self, Refusal};
use crate::quick_mode::{self, Exchange, Outcome, QuickMode, State, proxies};
use crate::wire::{Message, MessageId, Notification, NotifyType, Payload};
use crate::{
    CloseReason, Direction, Discard, Event, KeyEngineMessage, NodeEnd, OriginalAddresses, Path,
    PeerId, ProtectionId, Role, Trace, informational,
};

use super::Endpoint;
use super::peer::Wanted;

/// How long a complete quick mode answers the peer's duplicates.
const REMEMBERED: Duration = Duration::from_secs(60);

impl Endpoint {
    /// Starts phase 2 for a protection, after phase 1 if need be.
    pub(super) fn want(&mut self, peer_id: PeerId, protection: ProtectionId, wanted: Wanted) {
        let Some(peer) = self.peers.get_mut(peer_id.0) else { return };
        if peer.negotiating.values().any(|under_way| *under_way == protection) {
            return;
        }
        peer.wanted.insert(protection, wanted);
        if peer.current.is_some() {
            self.start_wanted(peer_id);
        } else {
            self.start_phase1(peer_id);
        }
    }

    /// Starts the quick modes that waited for phase 1, as many as may be under way.
    pub(super) fn start_wanted(&mut self, peer_id: PeerId) {
        if self.output.timers.get(&Timer::FirstQuickMode(peer_id)).is_some() {
            return;
        }
        loop {
            let Some(peer) = self.peers.get_mut(peer_id.0) else { return };
            let Some(sa) = peer.current else { return };
            let Some(phase1) = self.phase1.get(&sa) else { return };
            if peer.negotiating.len() >= phase1.negotiation.config.limits.quick_modes {
                return;
            }
            let Some((protection, wanted)) = peer.wanted.pop_first() else { return };
            self.start_quick_mode(peer_id, sa, protection, wanted);
        }
    }

    fn start_quick_mode(
        &mut self,
        peer_id: PeerId,
        sa: SaId,
        protection: ProtectionId,
        wanted: Wanted,
    ) {
        let Some(terms) = self.protections.get(&protection).map(Arc::clone) else {
            let reason = CloseReason::ProtectionRemoved;
            self.negotiation_failed(peer_id, protection, wanted.rekey_of, reason);
            return;
        };
        let Some(inbound_spi) = self.allocate_spi() else {
            let reason = CloseReason::Exhausted;
            self.negotiation_failed(peer_id, protection, wanted.rekey_of, reason);
            return;
        };
        let Some(Phase1 { negotiation, state: Phase1State::Established(established) }) =
            self.phase1.get_mut(&sa)
        else {
            return;
        };
        let output = &mut self.output;
        let message_id = informational::fresh_message_id(established, output);
        let limit = negotiation.config.limits.message_ids;
        output.forgot(negotiation, established.own_message_ids.insert(message_id, limit));
        let mut exchange = Exchange {
            message_id,
            role: Role::Initiator,
            protection,
            terms,
            selectors: wanted.selectors,
            ids: proxies::identifications(wanted.selectors, Role::Initiator),
            original_addresses: OriginalAddresses::default(),
            rekey_of: wanted.rekey_of,
            inbound_spi,
            started: output.now,
            iv: established.keys.first_iv(message_id),
            sent: None,
            answered: None,
        };
        let state = quick_mode::initiator::start(&mut exchange, negotiation, established, output);
        let state = State::Initiator(state);
        established.quick_modes.insert(message_id, Box::new(QuickMode { exchange, state }));
        let deadline = output.now + negotiation.config.limits.half_open_timeout;
        output.timers.set(Timer::QuickModeEnd(sa, message_id), deadline);
        if let Some(peer) = self.peers.get_mut(peer_id.0) {
            peer.negotiating.insert((sa, message_id), protection);
        }
        self.after_quick_step(sa, message_id);
    }

    /// An SPI of our own: random, unique in the endpoint, within the configured range.
    fn allocate_spi(&mut self) -> Option<u32> {
        let range = self.output.config.spi_range.clone();
        let width = u64::from(range.end().saturating_sub(*range.start())).saturating_add(1);
        let mut offset = self.output.below(width);
        for _ in 0..1024 {
            let spi = range.start().checked_add(u32::try_from(offset).ok()?)?;
            if self.spis.insert(spi) {
                return Some(spi);
            }
            offset = offset.saturating_add(1).checked_rem(width).unwrap_or(0);
        }
        None
    }

    /// A quick mode message of an established SA.
    pub(super) fn handle_quick_mode(
        &mut self,
        id: SaId,
        path: Path,
        message: &Message<'_>,
        datagram: &[u8],
    ) -> Result<(), Discard> {
        let message_id = message.header.message_id;
        let Some(Phase1 { negotiation, state }) = self.phase1.get(&id) else {
            return Err(Discard::NoKeyYet);
        };
        let Phase1State::Established(established) = state else {
            return Err(Discard::UnexpectedState { state: state.kind() });
        };
        self.output.trace(
            negotiation,
            Trace::Received {
                role: Some(negotiation.role),
                state: crate::CoarseState::QuickModeIdle,
                dport: path.local.port(),
                sport: path.remote.port(),
            },
        );
        if message_id == MessageId::ZERO {
            return Err(Discard::UnexpectedMessageId(message_id));
        }
        let Some(quick_mode) = established.quick_modes.get(&message_id) else {
            return self.handle_qm1(id, path, message, datagram);
        };
        if let Some(answered) = &quick_mode.exchange.answered
            && answered.request == datagram
        {
            let Some(reply) = answered.reply.clone() else { return Err(Discard::Duplicate) };
            let limit = negotiation.config.limits.repeats;
            if answered.repeated >= limit {
                return Err(Discard::RepeatLimit { limit });
            }
            let inbound_spi = quick_mode.exchange.inbound_spi;
            self.repeated(id, message_id);
            let Some(Phase1 { negotiation, .. }) = self.phase1.get(&id) else {
                return Err(Discard::Duplicate);
            };
            let node = Some(message_id);
            self.output.trace(negotiation, Trace::Duplicate { node });
            let again = Trace::Retransmitting { node, attempt: 2, duplicate: true };
            self.output.trace(negotiation, again);
            self.output.counters.duplicates = self.output.counters.duplicates.saturating_add(1);
            self.output.send(negotiation, reply);
            // What repeats QM2 has not had QM3 yet.
            self.enable_later(inbound_spi);
            return Ok(());
        }
        let accepted = quick_mode.check(message, negotiation, established)?;
        self.heard_from(id, path);
        let Some(Phase1 { negotiation, state: Phase1State::Established(established) }) =
            self.phase1.get_mut(&id)
        else {
            return Ok(());
        };
        let Some(mut quick_mode) = established.quick_modes.remove(&message_id) else {
            return Ok(());
        };
        // Once QM3 is here there is nothing more to answer.
        quick_mode.exchange.answered = Some(Answered::new(datagram));
        let output = &mut self.output;
        let (quick_mode, outcome) =
            quick_mode.advance(accepted, negotiation, &established.keys, output);
        self.keep_quick_mode(id, message_id, quick_mode, outcome);
        Ok(())
    }

    /// An answer of a quick mode was sent again.
    fn repeated(&mut self, id: SaId, message_id: MessageId) {
        if let Some(Phase1 { state: Phase1State::Established(established), .. }) =
            self.phase1.get_mut(&id)
            && let Some(quick_mode) = established.quick_modes.get_mut(&message_id)
            && let Some(answered) = &mut quick_mode.exchange.answered
        {
            answered.repeated = answered.repeated.saturating_add(1);
        }
    }

    /// QM1: a peer wants phase 2 SAs.
    fn handle_qm1(
        &mut self,
        id: SaId,
        path: Path,
        message: &Message<'_>,
        datagram: &[u8],
    ) -> Result<(), Discard> {
        let message_id = message.header.message_id;
        let Some(Phase1 { negotiation, state: Phase1State::Established(established) }) =
            self.phase1.get(&id)
        else {
            return Err(Discard::NoKeyYet);
        };
        if established.message_ids.contains(message_id)
            || established.own_message_ids.contains(message_id)
        {
            return Err(Discard::MessageIdReused(message_id));
        }
        let limit = negotiation.config.limits.quick_modes;
        let under_way = established.quick_modes.values().filter(|qm| !qm.complete()).count();
        if under_way >= limit {
            return Err(Discard::QuickModeLimit { limit });
        }
        let protections = self.protections.iter().map(|(id, terms)| (*id, Arc::clone(terms)));
        let accepted = match responder::check(message, negotiation, established, protections) {
            Ok(accepted) => accepted,
            Err(Refusal { discard, notify: None, .. }) => return Err(discard),
            Err(Refusal { discard, notify: Some(notify_type), notes }) => {
                // It is authentic: its message ID is used up and the peer is told.
                let record = Trace::NewNode { message_id };
                self.output.trace(negotiation, record);
                self.output.trace_all(negotiation, notes);
                self.output.trace(negotiation, Trace::Discarded(discard));
                self.heard_from(id, path);
                self.refuse_quick_mode(id, message_id, notify_type);
                return Ok(());
            }
        };
        self.heard_from(id, path);
        let Some(inbound_spi) = self.allocate_spi() else {
            self.refuse_quick_mode(id, message_id, NotifyType::NO_PROPOSAL_CHOSEN);
            return Ok(());
        };
        let Some(Phase1 { negotiation, state: Phase1State::Established(established) }) =
            self.phase1.get_mut(&id)
        else {
            return Ok(());
        };
        let limit = negotiation.config.limits.message_ids;
        self.output.forgot(negotiation, established.message_ids.insert(message_id, limit));
        let mut exchange = Exchange {
            message_id,
            role: Role::Responder,
            protection: accepted.matched.protection,
            terms: Arc::clone(&accepted.matched.terms),
            selectors: accepted.matched.selectors,
            ids: accepted.matched.answer.clone(),
            original_addresses: accepted.original_addresses,
            rekey_of: None,
            inbound_spi,
            started: self.output.now,
            iv: established.keys.first_iv(message_id),
            sent: None,
            answered: Some(Answered::new(datagram)),
        };
        let output = &mut self.output;
        let step =
            responder::start(accepted, &mut exchange, negotiation, &established.keys, output);
        let deadline = output.now + negotiation.config.limits.half_open_timeout;
        output.timers.set(Timer::QuickModeEnd(id, message_id), deadline);
        let (quick_mode, outcome) = QuickMode::after(exchange, step);
        self.keep_quick_mode(id, message_id, quick_mode, outcome);
        Ok(())
    }

    fn refuse_quick_mode(&mut self, id: SaId, message_id: MessageId, notify_type: NotifyType) {
        let Some(Phase1 { negotiation, state: Phase1State::Established(established) }) =
            self.phase1.get_mut(&id)
        else {
            return;
        };
        let limit = negotiation.config.limits.message_ids;
        self.output.forgot(negotiation, established.message_ids.insert(message_id, limit));
        self.output.counters.failed = self.output.counters.failed.saturating_add(1);
        let notification = Payload::Notification(Notification {
            doi: crate::wire::Doi::IPSEC,
            protocol: crate::wire::ProtocolId::ESP,
            notify_type,
            spi: (&[][..]).into(),
            data: (&[][..]).into(),
        });
        informational::send(negotiation, established, &[notification], &mut self.output);
    }

    /// Puts a quick mode back after a step and does what the step led to.
    fn keep_quick_mode(
        &mut self,
        id: SaId,
        message_id: MessageId,
        quick_mode: QuickMode,
        outcome: Option<Outcome>,
    ) {
        let complete = quick_mode.complete();
        let inbound_spi = quick_mode.exchange.inbound_spi;
        if let Some(Phase1 { state: Phase1State::Established(established), .. }) =
            self.phase1.get_mut(&id)
        {
            established.quick_modes.insert(message_id, Box::new(quick_mode));
            established.has_led_to_pairs |= complete;
        }
        if complete {
            self.make_room_for_memory(id, message_id);
            let deadline = self.output.now + REMEMBERED;
            self.output.timers.set(Timer::QuickModeEnd(id, message_id), deadline);
            if let Some(peer) = self.peer_of(id)
                && let Some(peer) = self.peers.get_mut(peer.0)
            {
                peer.negotiating.remove(&(id, message_id));
            }
        }
        match outcome {
            Some(Outcome::Install(child)) => self.install(id, child),
            Some(Outcome::Enable) => self.enable(inbound_spi),
            None => {}
        }
        self.after_quick_step(id, message_id);
        if complete && let Some(peer) = self.peer_of(id) {
            self.start_wanted(peer);
        }
    }

    /// Forgets the oldest of the complete quick modes of an SA, if there are too many. What is played
    /// again then is known by its message ID.
    fn make_room_for_memory(&mut self, id: SaId, newest: MessageId) {
        let Some(Phase1 { negotiation, state: Phase1State::Established(established) }) =
            self.phase1.get_mut(&id)
        else {
            return;
        };
        let complete = established
            .quick_modes
            .iter()
            .filter(|(message_id, quick_mode)| quick_mode.complete() && **message_id != newest)
            .map(|(message_id, _)| *message_id);
        let timers = &mut self.output.timers;
        let ends = |message_id: &MessageId| timers.get(&Timer::QuickModeEnd(id, *message_id));
        // As many as the limit, and those under way: a few.
        let excess = complete.clone().count() >= negotiation.config.limits.remembered_quick_modes;
        let Some(oldest) = complete.filter(|_| excess).min_by_key(ends) else { return };
        established.forget_quick_mode(oldest);
        timers.cancel(&Timer::QuickModeEnd(id, oldest));
        let counter = &mut self.output.counters.quick_modes_forgotten;
        *counter = counter.saturating_add(1);
        self.output.trace(negotiation, Trace::QuickModeForgotten { message_id: oldest });
    }

    pub(super) fn peer_of(&self, id: SaId) -> Option<PeerId> {
        self.phase1.get(&id).and_then(|sa| sa.negotiation.peer)
    }

    /// Arms the retransmission of what was sent and runs or registers what has to be computed.
    fn after_quick_step(&mut self, id: SaId, message_id: MessageId) {
        if let Some(Phase1 { negotiation, state: Phase1State::Established(established) }) =
            self.phase1.get(&id)
            && let Some(quick_mode) = established.quick_modes.get(&message_id)
        {
            let timer = Timer::RetransmitQuick(id, message_id);
            match &quick_mode.exchange.sent {
                Some(sent) => {
                    let wait = negotiation.config.retransmission.wait(sent.transmissions);
                    self.output.timers.set(timer, self.output.now + wait);
                }
                None => {
                    self.output.timers.cancel(&timer);
                }
            }
            if let Some(Waiting(job)) = quick_mode.state.waiting() {
                self.jobs.insert(job, (id, Some(message_id)));
            }
        }
        self.run_inline_jobs();
    }

    /// A job of a quick mode came back.
    pub(super) fn resume_quick_mode(
        &mut self,
        id: SaId,
        message_id: MessageId,
        outcome: Result<Agreement, DiffieHellmanError>,
    ) -> Result<(), Discard> {
        let agreement = match outcome {
            Ok(agreement) => agreement,
            Err(error) => {
                self.fail_quick_mode(id, message_id, CloseReason::KeyExchange(error));
                return Ok(());
            }
        };
        let Some(Phase1 { negotiation, state: Phase1State::Established(established) }) =
            self.phase1.get_mut(&id)
        else {
            return Err(Discard::StaleJob);
        };
        let Some(quick_mode) = established.forget_quick_mode(message_id) else {
            return Err(Discard::StaleJob);
        };
        // Each job computes what its state asks for.
        let Some((quick_mode, outcome)) =
            quick_mode.resume(agreement, negotiation, established, &mut self.output)
        else {
            return Err(Discard::StaleJob);
        };
        self.keep_quick_mode(id, message_id, quick_mode, outcome);
        Ok(())
    }

    /// Ends a quick mode that led to nothing.
    pub(super) fn fail_quick_mode(&mut self, id: SaId, message_id: MessageId, reason: CloseReason) {
        let Some(Phase1 { negotiation, state: Phase1State::Established(established) }) =
            self.phase1.get_mut(&id)
        else {
            return;
        };
        let Some(quick_mode) = established.forget_quick_mode(message_id) else { return };
        if !quick_mode.complete() {
            let reason = NodeEnd::Failed(reason);
            let record = Trace::NodeDeleted { message_id, error: true, reason };
            self.output.trace(negotiation, record);
        }
        let Some(peer_id) = negotiation.peer else { return };
        let ours = matches!(quick_mode.state, State::Initiator(_));
        let useless = if matches!(reason, CloseReason::NoAnswer { .. }) {
            // The peer has said nothing on this SA since. It may not have it any more, or never had
            // it: of AM3 nothing says whether it arrived.
            ours && established.last_heard <= quick_mode.exchange.started
        } else if matches!(reason, CloseReason::PeerRefused(_)) {
            // Nothing has ever been agreed on it, or is about to be. Perhaps the two sides do not
            // believe the same of it: RFC 2409 §5 authenticates neither vendor IDs nor NAT-D, so that
            // whether ESP goes in UDP may have been altered on the way. A new one may do better.
            ours && !established.has_led_to_pairs
                && established.quick_modes.values().all(|other| other.complete())
                && self.peers.get(peer_id.0).is_some_and(|peer| peer.wanted.is_empty())
        } else {
            false
        };
        self.drop_quick_mode(id, peer_id, message_id, *quick_mode, reason);
        if useless {
            self.remove_phase1(id, reason, true);
        }
        self.start_wanted(peer_id);
        self.reap_peer(peer_id, reason);
    }

    /// Cleans up after a quick mode that is no longer in its SA's table.
    pub(super) fn drop_quick_mode(
        &mut self,
        id: SaId,
        peer_id: PeerId,
        message_id: MessageId,
        quick_mode: QuickMode,
        reason: CloseReason,
    ) {
        self.output.timers.cancel(&Timer::RetransmitQuick(id, message_id));
        self.output.timers.cancel(&Timer::QuickModeEnd(id, message_id));
        if let Some(Waiting(job)) = quick_mode.state.waiting() {
            self.jobs.remove(&job);
            self.output.jobs.remove(&job);
        }
        if let Some(peer) = self.peers.get_mut(peer_id.0) {
            peer.negotiating.remove(&(id, message_id));
        }
        let QuickMode { exchange, state } = quick_mode;
        match state {
            State::Complete => {}
            State::Initiator(_) => {
                self.spis.remove(&exchange.inbound_spi);
                let Exchange { protection, rekey_of, .. } = exchange;
                self.negotiation_failed(peer_id, protection, rekey_of, reason);
            }
            State::Responder(_) => {
                // QM2 installed a pair that QM3 never confirmed. The peer may believe in it: it is
                // told, as far as that is possible without an answer.
                if self.children.get(&exchange.inbound_spi).is_some_and(|child| !child.enabled) {
                    self.delete_children(peer_id, &[exchange.inbound_spi], reason);
                } else if !self.children.contains_key(&exchange.inbound_spi) {
                    self.spis.remove(&exchange.inbound_spi);
                }
            }
        }
    }

    /// The record of an SA that is asked for, as IOS prints it.
    pub(super) fn trace_sa_request(
        &mut self,
        peer_id: PeerId,
        terms: &crate::Protection,
        remote: IpAddr,
    ) {
        let Some(path) = self.peers.get(peer_id.0).map(|peer| peer.path) else { return };
        let selectors = Self::selectors_for(terms, remote);
        let request = KeyEngineMessage {
            direction: Direction::Outbound,
            local: path.local,
            remote: path.remote,
            local_proxy: selectors.local,
            remote_proxy: selectors.remote,
            transform: terms.proposals.first().copied(),
            mode: terms.mode,
            seconds: terms.lifetime.seconds,
            kilobytes: terms.lifetime.kilobytes.unwrap_or(0),
            keysize: 0,
        };
        self.output.trace_on(&path, 0, Trace::SaRequest(request));
    }

    /// A message of an established SA was found authentic and fresh: the peer is alive, and may have
    /// moved to another path.
    ///
    /// A replay does neither. Only a peer behind a NAT moves. RFC 3947 §7 forbids a host behind a NAT to
    /// follow, because "the IP address or port of the other host will not change (it is not behind
    /// NAT)"; where both are, it may change, and whoever waits for the next phase 1 is deaf until then.
    pub(super) fn heard_from(&mut self, id: SaId, path: Path) {
        self.confirmed(id);
        let now = self.output.now;
        let Some(Phase1 { negotiation, state: Phase1State::Established(established) }) =
            self.phase1.get_mut(&id)
        else {
            return;
        };
        let Some(peer_id) = negotiation.peer else { return };
        let Some(peer) = self.peers.get_mut(peer_id.0) else { return };
        peer.last_inbound = now;
        established.last_heard = now;
        peer.probe.unanswered = 0;
        let may_move = established.udp.is_some()
            && established.nat.remote
            && path.transport == negotiation.path.transport
            && path.local == negotiation.path.local;
        if path == negotiation.path || !may_move {
            return;
        }
        self.output.trace(negotiation, Trace::PeerMoved { path });
        negotiation.path = path;
        let others: Vec<SaId> = peer.phase1.keys().copied().filter(|other| *other != id).collect();
        self.found_at(peer_id, path);
        for other in others {
            if let Some(Phase1 { negotiation, state: Phase1State::Established(_) }) =
                self.phase1.get_mut(&other)
            {
                negotiation.path = path;
            }
        }
        self.seen_at(peer_id, path.remote.ip());
        self.output.event(Event::PeerMoved { peer: peer_id, path });
    }
}
