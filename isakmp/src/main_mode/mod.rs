//! Main mode with pre-shared keys (RFC 2409 §5.4).
//!
//! ```text
//!   initiator                                        responder
//!   MM1  SA, VID*                              ─▶
//!                                              ◀─    MM2  SA, VID
//!   MM3  KE, Ni, VID*, NAT-D, NAT-D            ─▶
//!                                              ◀─    MM4  KE, Nr, VID*, NAT-D, NAT-D
//!   MM5  { IDii, HASH_I, INITIAL-CONTACT }     ─▶
//!                                              ◀─    MM6  { IDir, HASH_R }
//! ```
//!
//! Each state is a type that owns what it needs. `check` looks and may refuse; `advance` consumes
//! the state and cannot fail. Where a Diffie-Hellman job is out, that is a state too.

pub(crate) mod initiator;
pub(crate) mod responder;

use alloc::vec::Vec;

use bytes::Bytes;

use crate::nat_traversal::{self, Detection, Seen};
use crate::output::Output;
use crate::phase1::offer::Agreed;
use crate::phase1::{self, Authentication, Keyed, Negotiation};
use crate::wire::{
    Chain, Content, Cookie, ExchangeType, Message, MessageId, Payload, PayloadType, VendorId,
};
use crate::{Discard, Path, Role, Trace};

/// What MM3 or MM4 brings.
#[derive(Debug)]
pub(crate) struct KeyExchange {
    /// The peer's public value.
    public: Bytes,
    nonce: Bytes,
    detection: Detection,
    vendor_ids: Vec<Trace>,
    dead_peer_detection: bool,
}

impl KeyExchange {
    fn check(message: &Message<'_>, sa: &Negotiation, agreed: &Agreed) -> Result<Self, Discard> {
        let payloads = phase1::clear(message)?;
        let public = phase1::one(payloads, PayloadType::KEY_EXCHANGE)?.body();
        // What the job would refuse is refused here, before anything is done on its word.
        agreed.suite.group.check_public_value(public)?;
        let sender = match sa.role {
            Role::Initiator => sa.responder_cookie,
            Role::Responder => sa.initiator_cookie,
        };
        let seen = Seen { cookies: sa.cookies(), path: &sa.path, config: &sa.config };
        Ok(Self {
            public: Bytes::copy_from_slice(public),
            nonce: phase1::nonce(payloads)?,
            detection: nat_traversal::detect(
                agreed.nat_version,
                payloads,
                agreed.suite.hash,
                &seen,
            ),
            vendor_ids: nat_traversal::vendor_id_notes(payloads, sender),
            dead_peer_detection: agreed.dead_peer_detection
                || nat_traversal::names_dead_peer_detection(payloads),
        })
    }

    /// Records it. From the vendor ids on the SA has a connection id.
    fn trace(&mut self, sa: &mut Negotiation, output: &mut Output) {
        for payload in [PayloadType::KEY_EXCHANGE, PayloadType::NONCE] {
            output.trace(sa, Trace::Processing { payload, message_id: MessageId::ZERO });
        }
        output.trace(sa, Trace::PreSharedKeyFound);
        sa.connection = output.connection();
        output.trace_all(sa, core::mem::take(&mut self.vendor_ids));
        output.trace_all(sa, core::mem::take(&mut self.detection.notes));
    }
}

/// Our KE, nonce, vendor ids and NAT-D: MM3 or MM4.
fn key_exchange_message(
    public: &Bytes,
    nonce: &Bytes,
    agreed: &Agreed,
    sa: &Negotiation,
    output: &mut Output,
) -> Bytes {
    let (own_cookie, peer_cookie) = match sa.role {
        Role::Initiator => (sa.initiator_cookie, sa.responder_cookie),
        Role::Responder => (sa.responder_cookie, sa.initiator_cookie),
    };
    let ios = VendorId::ios(own_cookie, ios_tail(agreed, own_cookie, peer_cookie));
    let vendor_ids = match sa.role {
        Role::Initiator => [VendorId::DEAD_PEER_DETECTION, ios, VendorId::XAUTH],
        // Captured routers send XAUTH in MM4 as well; the guide's does not, and neither do we.
        Role::Responder => [VendorId::UNITY, VendorId::DEAD_PEER_DETECTION, ios],
    };
    let mut chain = Chain::new();
    chain.push(&Payload::KeyExchange(public.as_ref().into()));
    chain.push(&Payload::Nonce(nonce.as_ref().into()));
    for vendor_id in vendor_ids {
        chain.push(&Payload::VendorId(vendor_id));
    }
    if let Some(version) = agreed.nat_version {
        let detection = nat_traversal::detection_payloads(version, agreed.suite.hash, sa, output);
        for payload in &detection {
            chain.push(payload);
        }
    }
    phase1::message(sa.header(ExchangeType::MAIN_MODE), &chain)
}

/// The second half of IOS's own vendor id. Its meaning is not known; ours is a hash of the cookies,
/// so that it costs no randomness.
fn ios_tail(agreed: &Agreed, own: Cookie, peer: Cookie) -> [u8; 8] {
    let digest = agreed.suite.hash.hash(&[&own.0, &peer.0]);
    digest.as_bytes().first_chunk().copied().unwrap_or_default()
}

/// MM5 or MM6: our ID and hash, encrypted.
fn authentication_message(keyed: &mut Keyed, sa: &Negotiation, output: &mut Output) -> Bytes {
    // 17/500 as Cisco sends it; the port is the protocol's name here, not the one in use
    // (RFC 2407 §4.6.2).
    let id = phase1::own_id(sa, 17, 500);
    if sa.role == Role::Initiator && sa.initial_contact {
        output.trace(sa, Trace::SendInitialContact);
    }
    let hash = phase1::authenticate(sa, &keyed.transcript, &id, output);
    let mut chain = Chain::new();
    chain.push(&id).push(&Payload::Hash(hash.as_bytes().into()));
    phase1::push_initial_contact(sa, &mut chain);
    let header = sa.header(ExchangeType::MAIN_MODE);
    let (message, iv) = phase1::seal(&keyed.cipher, &keyed.iv, header, &chain)
        .unwrap_or_else(|_| (Bytes::new(), keyed.iv.clone()));
    keyed.iv = iv;
    message
}

/// Checks MM5 or MM6.
fn check_authentication(
    keyed: &Keyed,
    message: &Message<'_>,
    path: &Path,
    sa: &Negotiation,
) -> Result<Authentication, Discard> {
    let Content::Encrypted(body) = &message.content else {
        return Err(Discard::NotEncrypted);
    };
    let (plain, iv) = phase1::open(&keyed.cipher, &keyed.iv, body)?;
    let payloads = phase1::decrypted(message, &plain).map_err(Discard::PreSharedKeyMismatch)?;
    let proof = phase1::id_and_hash(&payloads)?;
    let outcome =
        Authentication::check(&keyed.transcript, proof, &sa.key, keyed.nat, (path, iv), sa)?;
    Ok(outcome.with_notifications(&payloads))
}
