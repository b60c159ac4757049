//! First messages of phase 1: whom to answer, and what it may cost.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;

use crate::aggressive_mode::responder as am_responder;
use crate::main_mode::responder;
use crate::phase1::{Answered, Negotiation, Phase1, Phase1State};
use crate::wire::{Cookie, ExchangeType, Message, NotifyType};
use crate::{CloseReason, Discard, Path, PreSharedKey, Role, Trace, informational};

use super::Endpoint;

/// A first message found acceptable.
enum First {
    Mm1(Box<responder::AcceptedMm1>),
    Am1(Box<am_responder::AcceptedAm1>),
}

impl Endpoint {
    /// Answers the first message of main mode or aggressive mode.
    pub(super) fn handle_first_message(
        &mut self,
        path: Path,
        message: &Message<'_>,
        datagram: &[u8],
    ) -> Result<(), Discard> {
        let source_address = path.remote.ip();
        let config = Arc::clone(&self.output.config);
        self.output.trace_on(
            &path,
            0,
            Trace::Received {
                role: None,
                state: crate::CoarseState::NewSa,
                dport: path.local.port(),
                sport: path.remote.port(),
            },
        );
        let evicted = self.half_open.gives_way(source_address, &config.limits)?;
        let aggressive = message.header.exchange == ExchangeType::AGGRESSIVE;
        let key = if aggressive {
            self.may_answer_aggressive_mode(&path, message)
        } else {
            self.may_negotiate(&path).cloned()
        };
        let key = match key {
            Ok(key) => key,
            Err(discard) => {
                if let Discard::NoPreSharedKey(_) = discard {
                    self.output.trace_on(&path, 0, Trace::NoPreSharedKey);
                } else if discard == Discard::AggressiveModeRefused {
                    let refused = &mut self.output.counters.aggressive_modes_refused;
                    *refused = refused.saturating_add(1);
                    self.output.trace_on(&path, 0, Trace::AggressiveModeDisabled);
                }
                return Err(discard);
            }
        };
        let mut negotiation = Negotiation {
            identity: config.identity.clone(),
            config,
            key,
            role: Role::Responder,
            initiator_cookie: message.header.initiator_cookie,
            responder_cookie: Cookie::ZERO,
            path,
            connection: 0,
            started: self.output.now,
            called: self.output.now,
            peer: None,
            initial_contact: false,
            replaces: Vec::new(),
            first: Some((message.header.initiator_cookie, path.remote)),
            fragments: None,
            sent: None,
            disproved: false,
            answered: Some(Answered::new(datagram)),
        };
        let mut notes = Vec::new();
        let accepted = if aggressive {
            am_responder::check(message, &negotiation, &mut notes)
                .map(|accepted| First::Am1(Box::new(accepted)))
        } else {
            responder::check(message, &negotiation, &mut notes)
                .map(|accepted| First::Mm1(Box::new(accepted)))
        };
        let accepted = match accepted {
            Ok(accepted) => accepted,
            Err(discard) => {
                self.output.trace_all(&negotiation, notes);
                if discard == Discard::NoProposalChosen && self.may_refuse(&path) {
                    self.output.trace(&negotiation, Trace::Discarded(discard));
                    let notify_type = NotifyType::NO_PROPOSAL_CHOSEN;
                    let refusal = informational::refusal(message, notify_type, &mut self.output);
                    let sent = Trace::NotifySent { notify_type, protected: false };
                    self.output.trace(&negotiation, sent);
                    self.output.transmit(path, refusal);
                    return Ok(());
                }
                return Err(discard);
            }
        };
        if aggressive {
            self.count_aggressive_mode(source_address)?;
        }
        if let Some(evicted) = evicted {
            let counter = &mut self.output.counters.half_open_evicted;
            *counter = counter.saturating_add(1);
            self.remove_phase1(evicted, CloseReason::Evicted, false);
        }
        let id = self.next_sa();
        negotiation.responder_cookie = self.output.cookie();
        let output = &mut self.output;
        let state = match accepted {
            First::Mm1(accepted) => {
                let state = responder::start(*accepted, &mut negotiation, output);
                Phase1State::Responder(Box::new(state))
            }
            First::Am1(accepted) => {
                let state = am_responder::start(*accepted, &mut negotiation, output);
                Phase1State::AggressiveResponder(Box::new(state))
            }
        };
        self.by_cookies.insert(negotiation.cookies(), id);
        self.by_first.insert((negotiation.initiator_cookie, path.remote), id);
        self.half_open.add(id, source_address);
        self.arm_half_open(id, &negotiation);
        self.phase1.insert(id, Phase1 { negotiation: Box::new(negotiation), state });
        self.after_step(id);
        Ok(())
    }

    /// Whether there is anything to negotiate with who sends from there, and the key to do so.
    pub(super) fn may_negotiate(&self, path: &Path) -> Result<&PreSharedKey, Discard> {
        let source_address = path.remote.ip();
        let wanted = |terms: &Arc<crate::Protection>| {
            terms.local == path.local.ip()
                && match terms.remote {
                    crate::Remote::Any => true,
                    crate::Remote::Host(remote) => remote == source_address,
                }
        };
        if !self.protections.values().any(wanted) {
            return Err(Discard::NoProtection);
        }
        let key = self.output.config.pre_shared_key(source_address);
        key.ok_or(Discard::NoPreSharedKey(source_address))
    }

    /// Whether another refusal may be sent in this second.
    pub(super) fn may_refuse(&mut self, path: &Path) -> bool {
        let limit = self.output.config.limits.refusals_per_second;
        let may = self.refusals.count(self.output.now, path.remote.ip(), limit, limit);
        if !may {
            let counter = &mut self.output.counters.refusals_suppressed;
            *counter = counter.saturating_add(1);
            self.output.trace_on(path, 0, Trace::RefusalSuppressed { limit });
        }
        may
    }

    /// Counts an answer to AM1, of which there are not too many in a second.
    fn count_aggressive_mode(&mut self, source: IpAddr) -> Result<(), Discard> {
        let limits = &self.output.config.limits;
        let limit = limits.aggressive_modes_per_second;
        let of_source = limits.aggressive_modes_per_second_of_source;
        if self.aggressive_modes.count(self.output.now, source, limit, of_source) {
            return Ok(());
        }
        Err(Discard::AggressiveModeLimit { limit })
    }
}
