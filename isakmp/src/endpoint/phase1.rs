//! Phase 1 SAs: start, establishment, renegotiation, end.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use dmvpn_time::Instant;

use crate::aggressive_mode::{initiator as am_initiator, responder as am_responder};
use crate::crypto::{Job, JobResult};
use crate::main_mode::{initiator, responder};
use crate::output::Timer;
use crate::phase1::offer::{bearable, lifetime_attributes};
use crate::phase1::{Answered, Negotiation, Phase1, Phase1State, SaId, Sent, Waiting};
use crate::quick_mode::offer;
use crate::wire::{
    Cookie, Delete, ExchangeType, Message, Notification, NotifyType, Payload, ProtocolId,
    ResponderLifetime, phase1,
};
use crate::{
    CloseReason, Discard, Event, Jobs, MajorInput, MinorInput, Path, PeerId, Role, StateKind,
    Trace, Transport, informational,
};

use super::Endpoint;
use super::child::REKEY_RETRY;

impl Endpoint {
    pub(super) fn next_sa(&mut self) -> SaId {
        self.next_sa = self.next_sa.saturating_add(1);
        SaId(self.next_sa)
    }

    /// Starts phase 1 with a peer, unless that is under way: aggressive mode if the configuration names
    /// it, else main mode.
    pub(super) fn start_phase1(&mut self, peer_id: PeerId) {
        let Some(peer) = self.peers.get(peer_id.0) else { return };
        let under_way = peer
            .phase1
            .keys()
            .any(|id| self.phase1.get(id).is_some_and(|sa| sa.state.half_open_initiator()));
        if under_way {
            return;
        }
        let config = &self.output.config;
        // A peer that we know by address is found at the ISAKMP port, whatever ports the last SA
        // ended up with: Cisco's routers take no first message on the other one. One that came to
        // us is reached where it is.
        let path = match peer.target {
            Some(target) if !config.forces_encapsulation() => Path {
                local: (peer.path.local.ip(), config.ports.ike).into(),
                remote: (target, config.ports.ike).into(),
                transport: Transport::Isakmp,
            },
            _ => peer.path,
        };
        let remote = path.remote.ip();
        let key = match &peer.identity {
            Some(identity) => config.pre_shared_key_of(remote, identity),
            None => config.pre_shared_key(remote),
        };
        let Some(key) = key.cloned() else {
            self.output.trace_on(&path, 0, Trace::NoPreSharedKey);
            self.no_phase1(peer_id, CloseReason::NoPreSharedKey(remote));
            return;
        };
        let replaces: Vec<SaId> = peer.current.into_iter().collect();
        let initial_contact = self.output.config.initial_contact
            && peer.current.is_none()
            && peer.children.is_empty()
            && !self.is_shared(remote, peer_id);
        let id = self.next_sa();
        let initiator_cookie = self.output.cookie();
        let mut negotiation = Negotiation {
            identity: self.output.config.identity.clone(),
            config: Arc::clone(&self.output.config),
            key,
            role: Role::Initiator,
            initiator_cookie,
            responder_cookie: Cookie::ZERO,
            path,
            connection: 0,
            started: self.output.now,
            called: self.output.now,
            peer: Some(peer_id),
            initial_contact,
            replaces,
            first: None,
            fragments: None,
            sent: None,
            disproved: false,
            answered: None,
        };
        self.output.trace(&negotiation, Trace::RequestProfile);
        self.output.trace(&negotiation, Trace::PeerCreated);
        self.output.trace(&negotiation, Trace::Ports);
        let aggressive = self.start_aggressive_mode(&mut negotiation);
        let state = aggressive.unwrap_or_else(|| {
            self.output.trace(&negotiation, Trace::NoAggressiveMode);
            let state = initiator::start(&mut negotiation, &mut self.output);
            Phase1State::Initiator(Box::new(state))
        });
        self.by_cookies.insert(negotiation.cookies(), id);
        if let Some(peer) = self.peers.get_mut(peer_id.0) {
            peer.phase1.insert(id, ());
        }
        self.arm_half_open(id, &negotiation);
        self.phase1.insert(id, Phase1 { negotiation: Box::new(negotiation), state });
        self.after_step(id);
    }

    /// Phase 1 cannot even start. What waited for it fails, unless there is an SA still.
    fn no_phase1(&mut self, peer_id: PeerId, reason: CloseReason) {
        let Some(peer) = self.peers.get_mut(peer_id.0) else { return };
        if peer.current.is_none() {
            let wanted = core::mem::take(&mut peer.wanted);
            for (protection, wanted) in wanted {
                self.negotiation_failed(peer_id, protection, wanted.rekey_of, reason);
            }
        }
        self.reap_peer(peer_id, reason);
    }

    pub(super) fn arm_half_open(&mut self, id: SaId, negotiation: &Negotiation) {
        let deadline = self.output.now + negotiation.config.limits.half_open_timeout;
        self.output.timers.set(Timer::HalfOpen(id), deadline);
    }

    /// A phase 1 message after the first.
    pub(super) fn handle_phase1(
        &mut self,
        id: SaId,
        path: Path,
        message: &Message<'_>,
        datagram: &[u8],
    ) -> Result<(), Discard> {
        let Some(Phase1 { negotiation, state }) = self.phase1.get_mut(&id) else {
            return Err(Discard::UnknownCookies {
                initiator: message.header.initiator_cookie,
                responder: message.header.responder_cookie,
            });
        };
        self.output.trace(
            negotiation,
            Trace::Received {
                role: Some(negotiation.role),
                state: state.coarse(),
                dport: path.local.port(),
                sport: path.remote.port(),
            },
        );
        let negotiation_path = negotiation.path;
        if let Some(answered) = &mut negotiation.answered
            && answered.request == datagram
        {
            if path != negotiation_path {
                return Err(Discard::WrongPath { source_address: path.remote.ip() });
            }
            let Some(reply) = answered.reply.clone() else { return Err(Discard::Duplicate) };
            let limit = state.most_repetitions(&negotiation.config.limits);
            if answered.repeated >= limit {
                return Err(Discard::RepeatLimit { limit });
            }
            answered.repeated = answered.repeated.saturating_add(1);
            self.output.trace(negotiation, Trace::Duplicate { node: None });
            let again = Trace::Retransmitting { node: None, attempt: 2, duplicate: true };
            self.output.trace(negotiation, again);
            self.output.counters.duplicates = self.output.counters.duplicates.saturating_add(1);
            self.output.send(negotiation, reply);
            return Ok(());
        }
        // RFC 2408 §2.5.3: who knows our cookie has read what was sent to its address. Without it a first
        // message may be repeated, and nothing else be said.
        let (initiator, responder) =
            (message.header.initiator_cookie, message.header.responder_cookie);
        if negotiation.role == Role::Responder && negotiation.cookies() != (initiator, responder) {
            return Err(Discard::UnknownCookies { initiator, responder });
        }
        // RFC 2408 §3.1: zero in phase 1.
        if message.header.message_id != crate::wire::MessageId::ZERO {
            return Err(Discard::UnexpectedMessageId(message.header.message_id));
        }
        enum Accepted {
            Initiator(initiator::Accepted),
            Responder(responder::Accepted),
            AggressiveInitiator(Box<am_initiator::AcceptedAm2>),
            AggressiveResponder(Box<am_responder::AcceptedAm3>),
        }
        let accepted = match (state, message.header.exchange) {
            (Phase1State::Initiator(state), ExchangeType::MAIN_MODE) => {
                Accepted::Initiator(state.check(message, &path, negotiation)?)
            }
            (Phase1State::Responder(state), ExchangeType::MAIN_MODE) => {
                Accepted::Responder(state.check(message, &path, negotiation)?)
            }
            (Phase1State::AggressiveInitiator(state), ExchangeType::AGGRESSIVE) => {
                match state.check(message, &path, negotiation) {
                    Ok(accepted) => Accepted::AggressiveInitiator(accepted),
                    Err(discard) => return self.disproved(id, message, discard),
                }
            }
            (Phase1State::AggressiveResponder(state), ExchangeType::AGGRESSIVE) => {
                Accepted::AggressiveResponder(state.check(message, &path, negotiation)?)
            }
            (state, _) => return Err(Discard::UnexpectedState { state: state.kind() }),
        };
        let proved = match &accepted {
            Accepted::Initiator(initiator::Accepted::Mm6(proof)) => Some(proof.identity()),
            Accepted::AggressiveInitiator(am2) => Some(am2.identity()),
            Accepted::Initiator(_) | Accepted::Responder(_) | Accepted::AggressiveResponder(_) => {
                None
            }
        };
        // Its SAs and its owner's wishes belong to who it was: a peer with a name keeps it.
        if let Some(proved) = proved
            && let Some(known) = negotiation
                .peer
                .and_then(|peer| self.peers.get(peer.0))
                .and_then(|peer| peer.identity.as_ref())
            && known != proved
        {
            let (peer, proved) = (known.clone(), proved.clone());
            return Err(Discard::IdentityChanged { peer, proved });
        }
        let Some(Phase1 { mut negotiation, state }) = self.phase1.remove(&id) else {
            return Ok(());
        };
        self.by_cookies.remove(&negotiation.cookies());
        negotiation.answered = Some(Answered::new(datagram));
        let output = &mut self.output;
        let state = match (state, accepted) {
            (Phase1State::Initiator(state), Accepted::Initiator(accepted)) => {
                state.advance(accepted, &mut negotiation, output)
            }
            (Phase1State::Responder(state), Accepted::Responder(accepted)) => {
                state.advance(accepted, &mut negotiation, output)
            }
            (Phase1State::AggressiveInitiator(state), Accepted::AggressiveInitiator(accepted)) => {
                let state = state.advance(accepted, &mut negotiation, output);
                Phase1State::AggressiveInitiator(Box::new(state))
            }
            (Phase1State::AggressiveResponder(state), Accepted::AggressiveResponder(accepted)) => {
                state.advance(accepted, &mut negotiation, output)
            }
            (state, _) => state,
        };
        let established = state.established().is_some();
        self.by_cookies.insert(negotiation.cookies(), id);
        if let Some((_, address)) = negotiation.first {
            // Who answers our cookie receives what is sent to its address.
            self.half_open.proved(id, address.ip());
        }
        if !established && negotiation.role == Role::Initiator {
            // What limits an initiator is the number of its transmissions; this is for lost jobs.
            self.arm_half_open(id, &negotiation);
        }
        self.phase1.insert(id, Phase1 { negotiation, state });
        if established {
            self.established(id);
        }
        self.after_step(id);
        Ok(())
    }

    /// Arms the retransmission of what was sent and runs or registers what has to be computed.
    pub(super) fn after_step(&mut self, id: SaId) {
        if let Some(Phase1 { negotiation, state }) = self.phase1.get(&id) {
            match &negotiation.sent {
                Some(Sent { transmissions, .. }) => {
                    let wait = negotiation.config.retransmission.wait(*transmissions);
                    self.output.timers.set(Timer::Retransmit(id), self.output.now + wait);
                }
                None => {
                    self.output.timers.cancel(&Timer::Retransmit(id));
                }
            }
            if let Some(Waiting(job)) = state.waiting() {
                self.jobs.insert(job, (id, None));
            }
        }
        self.run_inline_jobs();
    }

    /// With jobs inline, computes what is queued.
    pub(super) fn run_inline_jobs(&mut self) {
        while self.output.config.jobs == Jobs::Inline
            && let Some((_, job)) = self.output.jobs.pop_first()
        {
            // Its owner is waiting: it was queued a moment ago.
            let _ = self.finish_job(Job::run(job));
        }
    }

    /// Hands a job's result to whoever waits for it.
    pub(super) fn finish_job(&mut self, result: JobResult) -> Result<(), Discard> {
        let (id, node) = self.jobs.remove(&result.id()).ok_or(Discard::StaleJob)?;
        let outcome = result.into_outcome();
        if let Some(message_id) = node {
            return self.resume_quick_mode(id, message_id, outcome);
        }
        let agreement = match outcome {
            Ok(agreement) => agreement,
            Err(error) => {
                self.remove_phase1(id, CloseReason::KeyExchange(error), false);
                return Ok(());
            }
        };
        let Some(Phase1 { mut negotiation, state }) = self.phase1.remove(&id) else {
            return Err(Discard::StaleJob);
        };
        let output = &mut self.output;
        let state = match state {
            Phase1State::Initiator(state) => state
                .resume(agreement, &mut negotiation, output)
                .map(|state| Phase1State::Initiator(Box::new(state))),
            Phase1State::Responder(state) => state
                .resume(agreement, &mut negotiation, output)
                .map(|state| Phase1State::Responder(Box::new(state))),
            Phase1State::AggressiveInitiator(state) => {
                state.resume(agreement, &mut negotiation, output)
            }
            Phase1State::AggressiveResponder(state) => state
                .resume(agreement, &mut negotiation, output)
                .map(|state| Phase1State::AggressiveResponder(Box::new(state))),
            Phase1State::Established(sa) => Ok(Phase1State::Established(sa)),
        };
        // Each job computes what its state asks for.
        let Ok(state) = state else { return Err(Discard::StaleJob) };
        let established = state.established().is_some();
        self.phase1.insert(id, Phase1 { negotiation, state });
        if established {
            self.established(id);
        }
        self.after_step(id);
        Ok(())
    }

    /// Phase 1 is complete.
    fn established(&mut self, id: SaId) {
        let Some(Phase1 { negotiation, state: Phase1State::Established(sa) }) =
            self.phase1.get(&id)
        else {
            return;
        };
        let (path, identity, nat) = (negotiation.path, sa.identity.clone(), sa.nat);
        let (role, lifetime) = (negotiation.role, sa.lifetime);
        let replaces = negotiation.replaces.clone();
        let started = negotiation.started;
        let in_udp = sa.udp.is_some();
        let notifications = sa.notifications.clone();
        let announce = sa.announce_lifetime.then_some(sa.lifetime);
        let known_peer = negotiation.peer;
        let outside = sa.outside_address(negotiation);
        self.output.counters.phase1_completed =
            self.output.counters.phase1_completed.saturating_add(1);
        self.output.timers.cancel(&Timer::HalfOpen(id));
        if role == Role::Responder {
            self.release_half_open(id);
        }
        let peer_id = match known_peer {
            Some(asked) => self.peer_that_answered(id, asked, path, &identity, outside),
            None => self.peer_for_identity(path, &identity, outside),
        };
        if let Some(Phase1 { negotiation, .. }) = self.phase1.get_mut(&id) {
            negotiation.peer = Some(peer_id);
        }
        self.name_peer(peer_id, &identity, outside);
        let now = self.output.now;
        let moved = self.found_at(peer_id, path);
        if let Some(peer) = self.peers.get_mut(peer_id.0) {
            peer.phase1.insert(id, ());
            peer.current = Some(id);
            peer.last_inbound = now;
            peer.probe.unanswered = 0;
            peer.up_since = peer.up_since.or(Some(now));
            peer.behind_nat = nat.local && in_udp;
        }
        self.place_peer(peer_id, nat.remote);
        if notifications.iter().any(|n| n.notify_type == NotifyType::INITIAL_CONTACT) {
            self.initial_contact(peer_id, id, started);
        }
        self.know_each_other(peer_id);
        self.arm_lifetime(id, lifetime);
        self.resolve_duplicates(peer_id, id, &replaces);
        self.output.event(Event::Phase1Up { peer: peer_id, identity, path, nat });
        if moved && self.peers.get(peer_id.0).is_some_and(|peer| !peer.children.is_empty()) {
            self.output.event(Event::PeerMoved { peer: peer_id, path });
        }
        self.arm_liveness(peer_id);
        for notification in &notifications {
            self.phase1_lifetime_announced(id, notification);
        }
        if let Some(seconds) = announce {
            self.announce_phase1_lifetime(id, seconds);
        }
        self.delay_quick_mode(peer_id, id);
        self.start_wanted(peer_id);
        if let Some(Phase1 { negotiation, .. }) = self.phase1.get(&id) {
            let input = (MajorInput::Internal, MinorInput::Phase1Complete);
            let complete = StateKind::IkePhase1Complete;
            self.output.transition(negotiation, input, complete, complete);
        }
    }

    /// Expiry, and renegotiation before it. A lifetime counts from when the SA came up; an SA that ends
    /// sooner stays as it is.
    fn arm_lifetime(&mut self, id: SaId, seconds: u32) {
        let Some(Phase1 { negotiation, state: Phase1State::Established(sa) }) =
            self.phase1.get(&id)
        else {
            return;
        };
        let since = sa.since;
        let begins = sa.begins_the_next(negotiation.role);
        let margin = negotiation.config.rekeying.margin;
        let lifetime = core::time::Duration::from_secs(seconds.into());
        let end = since + lifetime;
        if self.output.timers.get(&Timer::Phase1Expire(id)).is_some_and(|sooner| sooner <= end) {
            return;
        }
        self.output.timers.set(Timer::Phase1Expire(id), end);
        // The other side waits until a quarter of that is left, so that the two seldom start at once;
        // see `renegotiate`.
        let early = self.jittered_margin(margin, lifetime);
        let early = if begins { early } else { quarter(early) };
        self.output.timers.set(Timer::Phase1Rekey(id), since + lifetime.saturating_sub(early));
    }

    /// A phase 1 SA will end soon. One side leaves it to the other to have a new one, see
    /// [`Established::begins_the_next`], unless that did not and there are pairs to protect: the peer,
    /// for whom the lifetime may be a longer one, may take them along with the SA that is deleted.
    ///
    /// [`Established::begins_the_next`]: crate::phase1::Established::begins_the_next
    pub(super) fn renegotiate(&mut self, id: SaId) {
        let Some(Phase1 { negotiation, state: Phase1State::Established(sa) }) =
            self.phase1.get(&id)
        else {
            return;
        };
        let Some((peer_id, peer)) =
            negotiation.peer.and_then(|peer| Some((peer, self.peers.get(peer.0)?)))
        else {
            return;
        };
        let needed = peer.current == Some(id) && !peer.children.is_empty();
        if !sa.begins_the_next(negotiation.role) && !needed {
            return;
        }
        self.output.trace(negotiation, Trace::Phase1Rekeying);
        self.start_phase1(peer_id);
    }

    /// Between the margin and twice the margin, at most half of the lifetime.
    pub(super) fn jittered_margin(
        &mut self,
        margin: core::time::Duration,
        lifetime: core::time::Duration,
    ) -> core::time::Duration {
        let margin = margin.min(quarter(lifetime));
        let micros = u64::try_from(margin.as_micros()).unwrap_or(u64::MAX);
        let jitter = self.output.below(micros.max(1));
        margin.saturating_add(core::time::Duration::from_micros(jitter))
    }

    /// INITIAL-CONTACT (RFC 2407 §4.6.3.3): the peer remembers nothing from before the SA that it
    /// came with. All older SAs of this identity go (RFC 3947 §6: the identity decides, not the
    /// address, which a NAT may give to others). SAs that came up after that SA was begun are known
    /// to the peer, and stay: two that connect to each other at once do not undo each other.
    pub(super) fn initial_contact(&mut self, peer_id: PeerId, with: SaId, started: Instant) {
        let Some(peer) = self.peers.get(peer_id.0) else { return };
        let older: Vec<SaId> = peer
            .phase1
            .keys()
            .copied()
            .filter(|id| *id != with)
            .filter(|id| {
                self.phase1
                    .get(id)
                    .and_then(|sa| sa.state.established())
                    .is_some_and(|sa| sa.since <= started)
            })
            .collect();
        let children: Vec<u32> = peer
            .children
            .keys()
            .copied()
            .filter(|spi| self.children.get(spi).is_some_and(|child| child.created <= started))
            .collect();
        for spi in children {
            self.remove_child(spi, CloseReason::InitialContact);
        }
        for id in older {
            self.remove_phase1(id, CloseReason::InitialContact, false);
        }
    }

    /// Main modes of ours that are still under way with a peer are no first contact any more: their
    /// INITIAL-CONTACT would undo, at the peer, the SA that has just come up (RFC 2407 §4.6.3.3).
    fn know_each_other(&mut self, peer_id: PeerId) {
        let Some(peer) = self.peers.get(peer_id.0) else { return };
        // One that we call by its address may be the same; its name is still to come.
        let path = peer.path;
        let called = self.by_target.get(&(path.local.ip(), path.remote.ip()));
        let called = called.and_then(|called| self.peers.get(called.0));
        for id in
            peer.phase1.keys().chain(called.into_iter().flat_map(|called| called.phase1.keys()))
        {
            if let Some(sa) = self.phase1.get_mut(id) {
                sa.negotiation.initial_contact = false;
            }
        }
    }

    /// One phase 1 SA for a peer is enough. An initiator deletes the one that its new SA was to
    /// replace; so it does with one that was up when the peer began the new one. If both sides
    /// initiated at once, the SA with the lower cookies loses, on both sides alike, and its initiator
    /// deletes it. Each goes after a grace period.
    ///
    /// Whether one was up when the other was begun is asked of the first message that was answered, not
    /// of one that was lost before: both sides must find the same. Those that a path delays or loses
    /// differently may still make them differ; then both SAs stay until the next renegotiation.
    fn resolve_duplicates(&mut self, peer_id: PeerId, new: SaId, replaces: &[SaId]) {
        let Some(peer) = self.peers.get(peer_id.0) else { return };
        let Some(ours) = self.phase1.get(&new) else { return };
        let grace = ours.negotiation.config.rekeying.grace;
        let most = ours.negotiation.config.limits.phase1_per_peer;
        let mut ending = Vec::new();
        let mut established = Vec::new();
        let mut winner = new;
        for id in peer.phase1.keys() {
            let Some(other) = self.phase1.get(id).filter(|sa| sa.state.established().is_some())
            else {
                continue;
            };
            established.push(*id);
            if *id == new {
                continue;
            }
            if replaces.contains(id) {
                ending.push(*id);
            } else if other.negotiation.role != ours.negotiation.role {
                let older =
                    other.state.established().is_some_and(|sa| sa.since <= ours.negotiation.called);
                let lower = other.negotiation.cookies() < ours.negotiation.cookies();
                let (loser, sa) = if older || lower {
                    (*id, other)
                } else {
                    winner = *id;
                    (new, ours)
                };
                if sa.negotiation.role == Role::Initiator {
                    ending.push(loser);
                }
            }
        }
        // What is sent from now on does not depend on an SA that the other side may just delete.
        if let Some(peer) = self.peers.get_mut(peer_id.0) {
            peer.current = Some(winner);
        }
        let excess = established.len().saturating_sub(most.max(1));
        for id in ending {
            self.output.timers.cancel(&Timer::Phase1Rekey(id));
            self.output.end_within(Timer::Phase1Expire(id), grace);
        }
        for id in established.into_iter().take(excess) {
            let counter = &mut self.output.counters.phase1_displaced;
            *counter = counter.saturating_add(1);
            self.remove_phase1(id, CloseReason::Superseded, false);
        }
    }

    /// RESPONDER-LIFETIME for phase 1 (RFC 2407 §4.6.3.1), as Cisco sends it after MM6.
    fn announce_phase1_lifetime(&mut self, id: SaId, seconds: u32) {
        let Some(Phase1 { negotiation, state: Phase1State::Established(sa) }) =
            self.phase1.get_mut(&id)
        else {
            return;
        };
        let attributes = Vec::from(lifetime_attributes(seconds));
        let data = ResponderLifetime { attributes }.encode().unwrap_or_default();
        let notification = Payload::Notification(Notification::isakmp(
            NotifyType::RESPONDER_LIFETIME,
            negotiation.cookies(),
            data,
        ));
        informational::send(negotiation, sa, &[notification], &mut self.output);
    }

    /// Shortens the lifetime to what the responder announced.
    pub(super) fn phase1_lifetime_announced(&mut self, id: SaId, notification: &Notification<'_>) {
        if notification.notify_type != NotifyType::RESPONDER_LIFETIME
            || notification.protocol != ProtocolId::ISAKMP
        {
            return;
        }
        let (seconds, kilobytes) = offer::announced_lifetime(
            &notification.data,
            (phase1::LIFE_TYPE, phase1::LIFE_DURATION),
        );
        let Some(Phase1 { negotiation, state: Phase1State::Established(sa) }) =
            self.phase1.get_mut(&id)
        else {
            return;
        };
        let Some(announced) = seconds.filter(|seconds| *seconds < sa.lifetime) else { return };
        sa.lifetime = bearable(announced);
        let lifetime = sa.lifetime;
        let protocol = ProtocolId::ISAKMP;
        let record = Trace::ResponderLifetime { protocol, seconds, kilobytes };
        self.output.trace(negotiation, record);
        self.arm_lifetime(id, lifetime);
    }

    fn release_half_open(&mut self, id: SaId) {
        let first = self.phase1.get(&id).and_then(|sa| sa.negotiation.first);
        if let Some((_, address)) = first {
            self.half_open.remove(id, address.ip());
        }
    }

    /// Removes a phase 1 SA; with `announce` the peer is told. Phase 2 SAs stay.
    pub(super) fn remove_phase1(&mut self, id: SaId, reason: CloseReason, announce: bool) {
        if announce
            && let Some(Phase1 { negotiation, state: Phase1State::Established(sa) }) =
                self.phase1.get_mut(&id)
        {
            let (initiator, responder) = negotiation.cookies();
            let delete = Payload::Delete(Delete::isakmp(initiator, responder));
            informational::send(negotiation, sa, &[delete], &mut self.output);
        }
        if self.phase1.get(&id).is_some_and(|sa| sa.state.half_open_responder()) {
            self.release_half_open(id);
        }
        let Some(Phase1 { negotiation, state }) = self.phase1.remove(&id) else { return };
        if state.established().is_some() {
            let by_peer = reason == CloseReason::PeerDeleted;
            let major = if by_peer { MajorInput::FromPeer } else { MajorInput::Internal };
            let (old, new) = (StateKind::IkePhase1Complete, StateKind::IkeDestroyed);
            self.output.transition(&negotiation, (major, MinorInput::Phase1Delete), old, new);
        }
        self.output.trace(
            &negotiation,
            Trace::Phase1Deleted { role: negotiation.role, state: state.coarse(), reason },
        );
        self.by_cookies.remove(&negotiation.cookies());
        self.forget_fragments(id);
        if let Some(first) = negotiation.first
            && self.by_first.get(&first) == Some(&id)
        {
            self.by_first.remove(&first);
        }
        for timer in [
            Timer::Retransmit(id),
            Timer::HalfOpen(id),
            Timer::Phase1Rekey(id),
            Timer::Phase1Expire(id),
        ] {
            self.output.timers.cancel(&timer);
        }
        if let Some(Waiting(job)) = state.waiting() {
            self.jobs.remove(&job);
            // Nobody needs to run what nobody waits for.
            self.output.jobs.remove(&job);
        }
        let was_half_open = !matches!(state, Phase1State::Established(_));
        if was_half_open {
            self.output.counters.failed = self.output.counters.failed.saturating_add(1);
        }
        let Some(peer_id) = negotiation.peer else { return };
        if let Phase1State::Established(established) = state {
            for (message_id, quick_mode) in established.quick_modes {
                self.drop_quick_mode(id, peer_id, message_id, *quick_mode, reason);
            }
        }
        let newest = self.peers.get(peer_id.0).and_then(|peer| {
            peer.phase1.keys().copied().rfind(|other| {
                *other != id
                    && self.phase1.get(other).is_some_and(|sa| sa.state.established().is_some())
            })
        });
        let Some(peer) = self.peers.get_mut(peer_id.0) else { return };
        peer.phase1.remove(&id);
        if peer.current == Some(id) {
            peer.current = newest;
        }
        if was_half_open {
            // A renegotiation that failed is tried again while there is time.
            let again = self.output.now + REKEY_RETRY;
            for old in &negotiation.replaces {
                let timers = &mut self.output.timers;
                if timers.get(&Timer::Phase1Expire(*old)).is_some_and(|end| end > again) {
                    timers.set(Timer::Phase1Rekey(*old), again);
                }
            }
        }
        let Some(peer) = self.peers.get_mut(peer_id.0) else { return };
        // What waited for this SA has nothing to wait for, unless there is another or one is under way.
        if peer.phase1.is_empty() {
            let wanted = core::mem::take(&mut peer.wanted);
            for (protection, wanted) in wanted {
                self.negotiation_failed(peer_id, protection, wanted.rekey_of, reason);
            }
        }
        if was_half_open && self.is_dead(peer_id, reason) {
            self.output.trace(&negotiation, Trace::PeerDead);
            let CloseReason::NoAnswer { attempts } = reason else {
                self.close_peer(peer_id, reason, false);
                return;
            };
            self.close_peer(peer_id, CloseReason::PeerDead { attempts }, false);
            return;
        }
        self.arm_liveness(peer_id);
        self.reap_peer(peer_id, reason);
    }
}

/// A quarter of a duration.
pub(super) fn quarter(duration: core::time::Duration) -> core::time::Duration {
    duration.checked_div(4).unwrap_or_default()
}
