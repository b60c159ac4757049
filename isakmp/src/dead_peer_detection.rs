//! Dead peer detection (RFC 3706).
//!
//! ```text
//!   { HASH, N(R-U-THERE, sequence) }         ─▶
//!                                            ◀─    { HASH, N(R-U-THERE-ACK, sequence) }
//! ```

use crate::Discard;
use crate::phase1::Negotiation;
use crate::wire::{Notification, NotifyType, Payload};

/// Our questions to a peer.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Probe {
    /// The first sequence number used, and the last.
    pub(crate) first: u32,
    pub(crate) sequence: u32,
    /// Questions since the last sign of life.
    pub(crate) unanswered: u32,
}

impl Probe {
    /// Whether a question is one of ours, sent back.
    pub(crate) fn is_ours(&self, sequence: u32) -> bool {
        self.first != 0 && (self.first..=self.sequence).contains(&sequence)
    }

    /// Whether a question of the peer is new: it counts upwards.
    /// `highest` is the peer's last on the same SA.
    pub(crate) fn is_fresh(sequence: u32, highest: Option<u32>) -> bool {
        highest.is_none_or(|highest| sequence > highest)
    }

    /// The next sequence number: random at first, in the lower half (RFC 3706 §6.2).
    pub(crate) fn next(&mut self, random: u32) -> u32 {
        if self.first == 0 {
            self.first = (random >> 1).saturating_add(1);
            self.sequence = self.first;
        } else {
            self.sequence = self.sequence.wrapping_add(1);
        }
        self.unanswered = self.unanswered.saturating_add(1);
        self.sequence
    }
}

/// R-U-THERE or its answer (RFC 3706 §5.3): the SPI is both cookies.
pub(crate) fn notification(
    sa: &Negotiation,
    notify_type: NotifyType,
    sequence: u32,
) -> Payload<'static> {
    let data = sequence.to_be_bytes().to_vec();
    Payload::Notification(Notification::isakmp(notify_type, sa.cookies(), data))
}

/// Whether a payload is a question or an answer.
pub(crate) fn speaks(payload: &Payload<'_>) -> bool {
    let ours = [NotifyType::R_U_THERE, NotifyType::R_U_THERE_ACK];
    matches!(payload, Payload::Notification(found) if ours.contains(&found.notify_type))
}

/// The sequence number, if the notification is about this SA.
pub(crate) fn sequence(sa: &Negotiation, notification: &Notification<'_>) -> Result<u32, Discard> {
    let sequence = <[u8; 4]>::try_from(notification.data.as_ref())
        .map(u32::from_be_bytes)
        .map_err(|_| Discard::Notification(notification.notify_type))?;
    let cookies = [sa.initiator_cookie.0, sa.responder_cookie.0].concat();
    if *notification.spi != *cookies {
        return Err(Discard::DeadPeerDetection(sequence));
    }
    Ok(sequence)
}
