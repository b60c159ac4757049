//! ISAKMP's codec: what is accepted is built again, octet for octet; the same for the payloads that
//! come out of a decryption.

use dmvpn_isakmp::wire::{
    Content, Header, Message, ParseError, Payload, PayloadType, Payloads, ResponderLifetime,
};

use crate::memory::bounded;

pub fn run(input: &[u8]) {
    message(input);
    if let Some((first, body)) = input.split_first() {
        payloads(PayloadType(*first), body);
        single(PayloadType(*first), body);
    }
}

fn message(input: &[u8]) {
    let message = match bounded(input.len(), 64, 2048, || Message::parse(input)) {
        Ok(message) => message,
        Err(error) => {
            assert!(error.offset() <= input.len(), "{error}");
            return;
        }
    };
    assert_eq!(message.encoded_len(), input.len());
    assert_eq!(message.encode().as_deref(), Ok(input));
    let len = input.len() - message.excess.len();
    for cut in [0, Header::LEN - 1, Header::LEN, len / 2, len - 1] {
        if cut < len {
            let error = Message::parse(&input[..cut]).expect_err("a strict prefix");
            assert!(matches!(error, ParseError::Truncated { .. }), "{error}");
        }
    }
    if let Content::Encrypted(body) = message.content {
        payloads(message.header.next_payload, body);
    }
    let _ = format!("{message:?}");
}

fn payloads(first: PayloadType, body: &[u8]) {
    let Ok(payloads) = bounded(body.len(), 64, 2048, || Payloads::parse(first, body, Header::LEN))
    else {
        return;
    };
    assert_eq!(payloads.encode().as_deref(), Ok(body));
    assert_eq!(payloads.encoded_len(), body.len());
    assert_eq!(payloads.chain().len() + payloads.trailing().len(), body.len());
    for received in payloads.iter() {
        let payload = &received.payload;
        assert_eq!(payload.body().as_deref(), Ok(received.body()));
        assert_eq!(payload.body_len(), received.body().len());
        views(payload);
    }
}

/// A body without a generic header.
fn single(payload_type: PayloadType, body: &[u8]) {
    if let Ok(payload) = bounded(body.len(), 64, 2048, || Payload::parse(payload_type, body, 0)) {
        assert_eq!(payload.body().as_deref(), Ok(body));
        assert_eq!(payload.payload_type(), payload_type);
    }
}

/// What is read out of a payload.
fn views(payload: &Payload<'_>) {
    match payload {
        Payload::VendorId(vendor_id) => {
            let _ = (vendor_id.recognize(), vendor_id.major());
        }
        Payload::Delete(delete) => {
            // Any number of SPIs of no octets is none.
            let count = if delete.spi_size() == 0 { 0 } else { usize::from(delete.count()) };
            assert_eq!(delete.spis().count(), count);
            let _ = delete.spis32().count();
        }
        Payload::Identification(id) => {
            let _ = (id.as_address(), id.as_address_pair());
        }
        Payload::NatOriginalAddress(_, address) => {
            let _ = address.address();
        }
        Payload::Notification(notification) => {
            if let Ok(lifetime) = ResponderLifetime::parse(&notification.data, 0) {
                assert_eq!(lifetime.encode().as_deref(), Ok(&*notification.data));
            }
        }
        Payload::SecurityAssociation(sa) => {
            for transform in sa.proposals.iter().flat_map(|proposal| &proposal.transforms) {
                for attribute in &transform.attributes {
                    let _ = attribute.number();
                }
            }
        }
        _ => {}
    }
}
