//! Aggressive mode: with whom, and what differs from main mode.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::aggressive_mode::{initiator, responder};
use crate::config::Suite;
use crate::output::Timer;
use crate::phase1::{Negotiation, Phase1, Phase1State, SaId};
use crate::wire::{Message, NotifyType};
use crate::{
    AggressiveAnswer, Discard, Identity, Path, PeerId, PreSharedKey, Role, Trace, informational,
};

use super::Endpoint;

impl Endpoint {
    /// Starts aggressive mode if the configuration names the peer.
    pub(super) fn start_aggressive_mode(&mut self, sa: &mut Negotiation) -> Option<Phase1State> {
        let remote = sa.path.remote.ip();
        let peers = &sa.config.aggressive_mode.initiate;
        let peer = peers.iter().find(|peer| peer.address == remote)?;
        let policies: Vec<_> = sa
            .config
            .policies
            .iter()
            .filter(|policy| policy.group == peer.group)
            .copied()
            .collect();
        // `Config` was built with such a policy, and with this provider.
        let group = Suite::of(policies.first()?, &sa.config.provider)?.group;
        if let Some(identity) = &peer.identity {
            sa.identity = Some(identity.clone());
        }
        let state = initiator::start(policies, group, sa, &mut self.output);
        Some(Phase1State::AggressiveInitiator(Box::new(state)))
    }

    /// Whether AM1 may be answered, and the key of who sent it.
    pub(super) fn may_answer_aggressive_mode(
        &self,
        path: &Path,
        message: &Message<'_>,
    ) -> Result<PreSharedKey, Discard> {
        let config = &self.output.config;
        let answer = config.aggressive_mode.answer;
        if answer == AggressiveAnswer::Nobody {
            return Err(Discard::AggressiveModeRefused);
        }
        self.may_negotiate(path)?;
        let id = responder::identification(message)?;
        let data = bytes::Bytes::copy_from_slice(&id.data);
        let identity = Identity { id_type: id.id_type, data };
        let source_address = path.remote.ip();
        let key = config.pre_shared_key_of(source_address, &identity);
        let key = key.ok_or(Discard::NoPreSharedKey(source_address))?;
        if answer == AggressiveAnswer::BoundIdentities && !config.is_bound(key, &identity) {
            return Err(Discard::AggressiveModeRefused);
        }
        Ok(key.clone())
    }

    /// AM2 was not acceptable. If that is because its sender is not who we mean, it is told, as it
    /// cannot know, and what the attempt may fail with is noted; nothing else changes.
    pub(super) fn disproved(
        &mut self,
        id: SaId,
        message: &Message<'_>,
        discard: Discard,
    ) -> Result<(), Discard> {
        let of_identity = matches!(
            discard,
            Discard::HashMismatch | Discard::IdentityMismatch { .. } | Discard::IdentityType(_)
        );
        let path = self.phase1.get(&id).map(|sa| sa.negotiation.path);
        if !of_identity || !path.is_some_and(|path| self.may_refuse(&path)) {
            return Err(discard);
        }
        let Some(Phase1 { negotiation, .. }) = self.phase1.get_mut(&id) else {
            return Err(discard);
        };
        negotiation.disproved = true;
        let output = &mut self.output;
        output.counters.discarded = output.counters.discarded.saturating_add(1);
        output.trace(negotiation, Trace::Discarded(discard));
        let notify_type = NotifyType::AUTHENTICATION_FAILED;
        let refusal = informational::refusal(message, notify_type, output);
        output.trace(negotiation, Trace::NotifySent { notify_type, protected: false });
        output.transmit(negotiation.path, refusal);
        Ok(())
    }

    /// Whether AM3 has just been sent, behind which quick mode waits a little.
    pub(super) fn delay_quick_mode(&mut self, peer_id: PeerId, id: SaId) {
        let Some(Phase1 { negotiation, .. }) = self.phase1.get(&id) else { return };
        let delay = negotiation.config.aggressive_mode.quick_mode_delay;
        let sent_am3 = negotiation.role == Role::Initiator && negotiation.sent.is_some();
        if sent_am3 && !delay.is_zero() {
            self.output.timers.set(Timer::FirstQuickMode(peer_id), self.output.now + delay);
        }
    }

    /// The peer has said something in the SA: AM3 has arrived, and need not be sent again.
    pub(super) fn confirmed(&mut self, id: SaId) {
        if let Some(Phase1 { negotiation, .. }) = self.phase1.get_mut(&id)
            && negotiation.sent.take().is_some()
        {
            self.output.timers.cancel(&Timer::Retransmit(id));
        }
    }
}
