//! The informational exchange (RFC 2409 §5.7): one message, notifications and deletes.
//!
//! ```text
//!   { HASH(1), N | D, … }   ─▶
//! ```
//!
//! Only what is protected counts. Deletes are done last, so that nothing in a message meets an SA
//! that the same message removed.

use alloc::vec::Vec;

use bytes::Bytes;

use crate::crypto::Iv;
use crate::output::Output;
use crate::phase1::owned;
use crate::phase1::{self, Established, Keyed, Negotiation};
use crate::wire::{
    Chain, Content, Doi, ExchangeType, Header, Message, MessageId, Notification, NotifyType,
    Payload, PayloadType, ProtocolId,
};
use crate::{Discard, Trace, dead_peer_detection};

/// A message found authentic.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub(crate) message_id: MessageId,
    pub(crate) notifications: Vec<Notification<'static>>,
    pub(crate) deletes: Vec<Deletion>,
}

/// A delete payload.
#[derive(Clone, Debug)]
pub(crate) struct Deletion {
    pub(crate) doi: Doi,
    pub(crate) protocol: ProtocolId,
    pub(crate) spis: Vec<Bytes>,
}

/// Checks a message of an established SA.
pub(crate) fn check(message: &Message<'_>, phase1: &Established) -> Result<Accepted, Discard> {
    let message_id = message.header.message_id;
    let body = match &message.content {
        Content::Encrypted(body) => *body,
        Content::Clear(payloads) => return Err(Discard::Unprotected(payloads.first_type())),
    };
    if message_id == MessageId::ZERO {
        return Err(Discard::UnexpectedMessageId(message_id));
    }
    // Both directions use the same hash: a message of our own sent back would verify as well.
    if phase1.message_ids.contains(message_id)
        || phase1.own_message_ids.contains(message_id)
        || phase1.quick_modes.contains_key(&message_id)
    {
        return Err(Discard::MessageIdReused(message_id));
    }
    let (plain, _) = phase1.keys.open(&phase1.keys.first_iv(message_id), body)?;
    let payloads = phase1::decrypted(message, &plain).map_err(Discard::Undecipherable)?;
    let Some(first) = payloads.as_slice().first() else {
        return Err(Discard::MissingPayload(PayloadType::HASH));
    };
    if first.payload.payload_type() != PayloadType::HASH {
        return Err(Discard::MissingPayload(PayloadType::HASH));
    }
    let expected = phase1.keys.session.hash_1(message_id.0, payloads.after_first());
    if !expected.verify(first.body()) {
        return Err(Discard::HashMismatch);
    }
    let mut accepted = Accepted { message_id, notifications: Vec::new(), deletes: Vec::new() };
    for received in &payloads {
        if let Payload::Notification(notification) = &received.payload {
            accepted.notifications.push(owned(notification));
        } else if let Payload::Delete(delete) = &received.payload {
            accepted.deletes.push(Deletion {
                doi: delete.doi(),
                protocol: delete.protocol(),
                spis: delete.spis().map(Bytes::copy_from_slice).collect(),
            });
        }
    }
    Ok(accepted)
}

/// A notification that came instead of MM6, under the keys of MM5; its last block starts the IV, as
/// it does for all messages after phase 1 (RFC 2409 appendix B).
pub(crate) fn refusal_before_mm6(
    message: &Message<'_>,
    keyed: &Keyed,
) -> Result<Notification<'static>, Discard> {
    let message_id = message.header.message_id;
    let body = match &message.content {
        Content::Encrypted(body) => *body,
        Content::Clear(payloads) => return Err(Discard::Unprotected(payloads.first_type())),
    };
    let iv = Iv::phase_2(keyed.session.hash_function(), &keyed.iv, message_id.0);
    let (plain, _) = phase1::open(&keyed.cipher, &iv, body)?;
    // Other keys make noise of it, which is seldom a chain of payloads, and never has the hash.
    let payloads = phase1::decrypted(message, &plain).map_err(|_| Discard::OtherKeys)?;
    let hash = payloads.as_slice().first();
    let hash = hash.filter(|first| first.payload.payload_type() == PayloadType::HASH);
    let expected = keyed.session.hash_1(message_id.0, payloads.after_first());
    if !hash.is_some_and(|hash| expected.verify(hash.body())) {
        return Err(Discard::OtherKeys);
    }
    let notification = payloads.iter().find_map(|received| {
        let Payload::Notification(notification) = &received.payload else { return None };
        Some(owned(notification))
    });
    let notification = notification.ok_or(Discard::MissingPayload(PayloadType::NOTIFICATION))?;
    if !notification.notify_type.is_error() {
        return Err(Discard::Notification(notification.notify_type));
    }
    Ok(notification)
}

/// Sends payloads of our own, protected.
pub(crate) fn send(
    sa: &Negotiation,
    phase1: &mut Established,
    payloads: &[Payload<'_>],
    output: &mut Output,
) {
    let message_id = fresh_message_id(phase1, output);
    // Dead peer detection's own numbers tell what comes back, and there is no end of it: it would
    // push everything else out of the memory.
    if !payloads.iter().all(dead_peer_detection::speaks) {
        let limit = sa.config.limits.message_ids;
        output.forgot(sa, phase1.own_message_ids.insert(message_id, limit));
    }
    let header = Header { message_id, ..sa.header(ExchangeType::INFORMATIONAL) };
    let mut chain = Chain::new();
    for payload in payloads {
        chain.push(payload);
    }
    let iv = phase1.keys.first_iv(message_id);
    // Nothing that we build comes near the limits of the length fields.
    let Ok((message, _)) = phase1.keys.seal_hash_1(&iv, header, chain) else { return };
    output.trace(
        sa,
        Trace::Sending {
            role: sa.role,
            state: crate::CoarseState::QuickModeIdle,
            my_port: sa.path.local.port(),
            peer_port: sa.path.remote.port(),
        },
    );
    for payload in payloads {
        if let Payload::Notification(notification) = payload {
            let notify_type = notification.notify_type;
            output.trace(sa, Trace::NotifySent { notify_type, protected: true });
        } else if let Payload::Delete(delete) = payload {
            let count = usize::from(delete.count());
            output.trace(sa, Trace::DeleteSent { protocol: delete.protocol(), count });
        }
    }
    output.send(sa, message);
}

/// A message ID that this SA has not seen: not zero, random (RFC 2408 §3.1).
pub(crate) fn fresh_message_id(phase1: &Established, output: &mut Output) -> MessageId {
    // The memory is bounded, so that a few draws always find one.
    for _ in 0..64 {
        let id = MessageId(output.rng.next_u32());
        if id != MessageId::ZERO
            && !phase1.message_ids.contains(id)
            && !phase1.own_message_ids.contains(id)
            && !phase1.quick_modes.contains_key(&id)
        {
            return id;
        }
    }
    MessageId(1)
}

/// An unprotected refusal of MM1: there are no keys to protect it with. The peer should not believe
/// it; it helps whoever reads the peer's log.
pub(crate) fn refusal(
    message: &Message<'_>,
    notify_type: NotifyType,
    output: &mut Output,
) -> Bytes {
    let notification = Notification {
        doi: Doi::IPSEC,
        protocol: ProtocolId::ISAKMP,
        notify_type,
        spi: (&[][..]).into(),
        data: (&[][..]).into(),
    };
    let received = &message.header;
    let header = Header {
        message_id: MessageId(output.rng.next_u32().max(1)),
        ..Header::new(
            received.initiator_cookie,
            received.responder_cookie,
            ExchangeType::INFORMATIONAL,
        )
    };
    let mut chain = Chain::new();
    chain.push(&Payload::Notification(notification));
    chain.message(header, 0).unwrap_or_default().into()
}
