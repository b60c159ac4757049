//! What counts against limits, and what is counted beyond them.

use crate::wire::{Content, Message, ParseError, Payload, Payloads};
use crate::{Discard, Limits};

use super::Endpoint;

impl Limits {
    /// Whether a message in clear, which anybody may have sent, is within bounds.
    pub(crate) fn check_message(&self, message: &Message<'_>) -> Result<(), Discard> {
        let Content::Clear(payloads) = &message.content else { return Ok(()) };
        within("payloads", payloads.as_slice().len(), self.payloads)?;
        self.check_offers(payloads)
    }

    /// Whether what SA payloads offer is within bounds.
    pub(crate) fn check_offers(&self, payloads: &Payloads<'_>) -> Result<(), Discard> {
        for received in payloads {
            if let Payload::SecurityAssociation(sa) = &received.payload {
                within("proposals", sa.proposals.len(), self.proposals)?;
                let transforms = sa.proposals.iter().map(|proposal| proposal.transforms.len());
                within("transforms", transforms.fold(0, usize::saturating_add), self.transforms)?;
            }
        }
        Ok(())
    }
}

const fn within(what: &'static str, count: usize, limit: usize) -> Result<(), Discard> {
    if count > limit { Err(Discard::TooMany { what, count, limit }) } else { Ok(()) }
}

impl Endpoint {
    /// Counts what was refused because of a limit.
    #[expect(clippy::wildcard_enum_match_arm, reason = "other refusals have no limit")]
    pub(super) fn count_limit(&mut self, discard: &Discard) {
        let counters = &mut self.output.counters;
        let counter = match discard {
            Discard::HalfOpenLimit { .. } | Discard::HalfOpenLimitPerSource { .. } => {
                &mut counters.half_open_refused
            }
            Discard::AggressiveModeLimit { .. } => &mut counters.aggressive_modes_limited,
            Discard::TooLong { .. }
            | Discard::TooMany { .. }
            | Discard::Malformed(ParseError::TooMany { .. })
            | Discard::Undecipherable(ParseError::TooMany { .. }) => &mut counters.oversized,
            Discard::RepeatLimit { .. } => &mut counters.repeats_refused,
            Discard::QuickModeLimit { .. } => &mut counters.quick_modes_refused,
            Discard::FragmentsTooLong { .. } | Discard::ReassemblyLimit { .. } => {
                &mut counters.fragments_refused
            }
            Discard::QueueFull { .. } => &mut counters.refused_for_queue,
            _ => return,
        };
        *counter = counter.saturating_add(1);
    }
}
