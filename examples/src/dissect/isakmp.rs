//! The ISAKMP layer.

use alloc::collections::BTreeMap;

use dmvpn_isakmp::wire::{
    Attribute, AttributeValue, Content, Cookie, Doi, Header, Message, Payload, Payloads, Proposal,
    Received, Transform,
};
use serde_json::{Map, Value, json};

use super::{Dissector, Report};
use crate::keys::hex;

const NAME: &str = "isakmp";

impl Dissector {
    pub(super) fn isakmp(&mut self, octets: &[u8], report: &mut Report) {
        let message = match Message::parse(octets) {
            Ok(message) => message,
            Err(error) => {
                // The header says something even where the rest is malformed.
                let header = Header::parse(octets).map_or_else(|_| json!({}), |h| object(&h));
                report.layer(NAME, header);
                return report.fault(NAME, error.to_string(), error.offset());
            }
        };
        report.reencoded(message.encode().is_ok_and(|rebuilt| rebuilt == octets));
        let header = &message.header;
        let mut object = object(header);
        match &message.content {
            Content::Clear(clear) => {
                self.isakmp.learn(header, clear);
                object["payloads"] = payloads(clear);
                object["padding"] = hex(clear.trailing()).into();
                report.layer(NAME, object);
                if let Some(joined) = self.fragments.join(header, clear) {
                    self.isakmp(&joined, report);
                }
            }
            Content::Encrypted(content) => match self.isakmp.open(header, content) {
                None => report.layer(NAME, object),
                Some(Err(())) => {
                    report.layer(NAME, object);
                    let what = "what the key decrypts is no chain of payloads";
                    report.fault(NAME, what.into(), Header::LEN);
                }
                Some(Ok(plain)) => {
                    // It did parse a moment ago.
                    if let Ok(chain) = Payloads::parse(header.next_payload, &plain, Header::LEN) {
                        report.reencoded(chain.encode().is_ok_and(|rebuilt| rebuilt == plain));
                        object["payloads"] = payloads(&chain);
                        object["padding"] = hex(chain.trailing()).into();
                        object["decrypted"] = true.into();
                    }
                    report.layer(NAME, object);
                }
            },
        }
    }
}

fn object(header: &Header) -> Value {
    use dmvpn_isakmp::wire::Flags;
    json!({
        "initiator_cookie": hex(&header.initiator_cookie.0),
        "responder_cookie": hex(&header.responder_cookie.0),
        "next_payload": header.next_payload.0,
        "version": header.version.0,
        "exchange": header.exchange.0,
        "flags": header.flags.0,
        "message_id": header.message_id.0,
        "length": header.length,
        "encrypted": header.flags.contains(Flags::ENCRYPTION),
        "payloads": [],
        "padding": "",
        "decrypted": false,
    })
}

fn payloads(payloads: &Payloads<'_>) -> Value {
    payloads.iter().map(payload).collect()
}

/// A payload: its type, its length with the generic header, and what its type has.
fn payload(received: &Received<'_>) -> Value {
    let fields = match &received.payload {
        Payload::SecurityAssociation(sa) => json!({
            "doi": Doi::IPSEC.0,
            "situation": sa.situation.0,
            "proposals": sa.proposals.iter().map(proposal).collect::<Vec<_>>(),
        }),
        Payload::Identification(id) => json!({
            "id_type": id.id_type.0,
            "protocol": id.protocol,
            "port": id.port,
            "address": id.as_address(),
            "data": hex(&id.data),
        }),
        Payload::Notification(notification) => json!({
            "doi": notification.doi.0,
            "protocol": notification.protocol.0,
            "notify_type": notification.notify_type.0,
            "spi": hex(&notification.spi),
            "data": hex(&notification.data),
        }),
        Payload::Delete(delete) => json!({
            "doi": delete.doi().0,
            "protocol": delete.protocol().0,
            "spis": delete.spis().map(hex).collect::<Vec<_>>(),
        }),
        Payload::VendorId(id) => json!({
            "data": hex(id.as_bytes()),
            "vendor": id.recognize().map(|vendor| format!("{vendor:?}")),
        }),
        Payload::NatOriginalAddress(_, original) => json!({
            "id_type": original.id_type.0,
            "address": original.address(),
            "data": hex(&original.data),
        }),
        Payload::Fragment(fragment) => json!({
            "id": fragment.id,
            "number": fragment.number,
            "last": fragment.is_last(),
            "data": hex(&fragment.data),
        }),
        Payload::KeyExchange(data)
        | Payload::Hash(data)
        | Payload::Nonce(data)
        | Payload::NatDetection(_, data)
        | Payload::Opaque(_, data) => json!({ "data": hex(data) }),
        _ => json!({ "data": hex(received.body()) }),
    };
    let mut object = Map::new();
    object.insert("type".into(), received.payload.payload_type().0.into());
    object.insert("length".into(), received.raw().len().into());
    object.insert("reserved".into(), received.reserved.into());
    if let Value::Object(fields) = fields {
        object.extend(fields);
    }
    Value::Object(object)
}

fn proposal(proposal: &Proposal<'_>) -> Value {
    json!({
        "reserved": proposal.reserved,
        "number": proposal.number,
        "protocol": proposal.protocol.0,
        "spi": hex(&proposal.spi),
        "length": proposal.encoded_len(),
        "transforms": proposal.transforms.iter().map(transform).collect::<Vec<_>>(),
    })
}

fn transform(transform: &Transform<'_>) -> Value {
    let attribute = |attribute: &Attribute<'_>| {
        let value = match &attribute.value {
            AttributeValue::Basic(number) => json!(number),
            AttributeValue::Variable(octets) => json!(hex(octets)),
        };
        json!({ "type": attribute.attribute_type.0, "value": value })
    };
    json!({
        "reserved": transform.reserved,
        "reserved2": transform.reserved2,
        "number": transform.number,
        "id": transform.id.0,
        "length": transform.encoded_len(),
        "attributes": transform.attributes.iter().map(attribute).collect::<Vec<_>>(),
    })
}

/// Messages that came in pieces, as far as they did.
#[derive(Debug, Default)]
pub(super) struct Fragments {
    incomplete: BTreeMap<(Cookie, Cookie, u16), Pieces>,
}

#[derive(Debug, Default)]
struct Pieces {
    by_number: BTreeMap<u8, Vec<u8>>,
    last: Option<u8>,
}

impl Fragments {
    /// How many messages may be incomplete at a time; with one more, all are forgotten.
    const MAX: usize = 64;

    /// The whole message, where this was the piece that it lacked.
    fn join(&mut self, header: &Header, payloads: &Payloads<'_>) -> Option<Vec<u8>> {
        let [received] = payloads.as_slice() else { return None };
        let Payload::Fragment(fragment) = &received.payload else { return None };
        if self.incomplete.len() >= Self::MAX {
            self.incomplete.clear();
        }
        let name = (header.initiator_cookie, header.responder_cookie, fragment.id);
        let pieces = self.incomplete.entry(name).or_default();
        pieces.by_number.insert(fragment.number, fragment.data.to_vec());
        if fragment.is_last() {
            pieces.last = Some(fragment.number);
        }
        let whole = (1..=pieces.last?).all(|number| pieces.by_number.contains_key(&number));
        let pieces = whole.then(|| self.incomplete.remove(&name))??;
        Some(pieces.by_number.into_values().flatten().collect())
    }
}
