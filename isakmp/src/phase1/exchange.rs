//! What all exchanges do with messages.

use bytes::Bytes;

use crate::crypto::JobId;
use crate::output::Output;
use crate::wire::{Chain, Content, Header, Message, Notification, PayloadType, Payloads, Received};
use crate::{CoarseState, Discard, Trace};

use super::Negotiation;

/// The payloads of a message in clear.
pub(crate) fn clear<'m, 'a>(message: &'m Message<'a>) -> Result<&'m Payloads<'a>, Discard> {
    match &message.content {
        Content::Clear(payloads) => Ok(payloads),
        Content::Encrypted(_) => Err(Discard::NoKeyYet),
    }
}

/// The one payload of a type that must be there once.
pub(crate) fn one<'m, 'a>(
    payloads: &'m Payloads<'a>,
    payload_type: PayloadType,
) -> Result<&'m Received<'a>, Discard> {
    let mut found =
        payloads.iter().filter(|received| received.payload.payload_type() == payload_type);
    let first = found.next().ok_or(Discard::MissingPayload(payload_type))?;
    match found.next() {
        Some(_) => Err(Discard::UnexpectedPayload(payload_type)),
        None => Ok(first),
    }
}

/// The body of the nonce payload: 8 to 256 bytes (RFC 2409 §5).
pub(crate) fn nonce(payloads: &Payloads<'_>) -> Result<Bytes, Discard> {
    let body = one(payloads, PayloadType::NONCE)?.body();
    if !(8..=256).contains(&body.len()) {
        return Err(Discard::NonceLength(body.len()));
    }
    Ok(Bytes::copy_from_slice(body))
}

/// A message in clear. Nothing that we build comes near the limits of the length fields.
pub(crate) fn message(header: Header, chain: &Chain) -> Bytes {
    chain.message(header, 0).unwrap_or_default().into()
}

/// Records that a message goes out, and sends it.
pub(crate) fn send(sa: &Negotiation, state: CoarseState, payload: Bytes, output: &mut Output) {
    output.trace(
        sa,
        Trace::Sending {
            role: sa.role,
            state,
            my_port: sa.path.local.port(),
            peer_port: sa.path.remote.port(),
        },
    );
    output.send(sa, payload);
}

pub(crate) fn owned(notification: &Notification<'_>) -> Notification<'static> {
    Notification {
        doi: notification.doi,
        protocol: notification.protocol,
        notify_type: notification.notify_type,
        spi: notification.spi.to_vec().into(),
        data: notification.data.to_vec().into(),
    }
}

/// A job's outcome that lacks what its state needs.
#[derive(Debug)]
pub(crate) struct Unusable;

/// A job that a state waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Waiting(pub(crate) JobId);
