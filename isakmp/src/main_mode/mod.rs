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
pub(crate) mod offer;
pub(crate) mod responder;

use alloc::vec::Vec;

use bytes::Bytes;

use crate::crypto::{
    Digest, EncryptionKey, Iv, JobId, Phase1Public, SessionKeys, SharedSecret, Skeyid,
};
use crate::nat_traversal::{self, Detection};
use crate::output::Output;
use crate::phase1::{self, Established, MessageIds, Negotiation, ProtectedChannel};
use crate::wire::{
    Chain, Content, Cookie, ExchangeType, Header, Identification, Message, MessageId, Notification,
    Payload, PayloadType, Payloads, Received, VendorId,
};
use crate::{CoarseState, Deviation, Discard, Identity, Nat, Path, Role, Trace};

use offer::Agreed;

/// The payloads of a message in clear.
fn clear<'m, 'a>(message: &'m Message<'a>) -> Result<&'m Payloads<'a>, Discard> {
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
fn message(header: Header, chain: &Chain) -> Bytes {
    chain.message(header, 0).unwrap_or_default().into()
}

/// Records that a message goes out, and sends it.
fn send(sa: &Negotiation, state: CoarseState, payload: Bytes, output: &mut Output) {
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
        let payloads = clear(message)?;
        let public = one(payloads, PayloadType::KEY_EXCHANGE)?.body();
        // What the job would refuse is refused here, before anything is done on its word.
        agreed.suite.group.check_public_value(public)?;
        let sender = match sa.role {
            Role::Initiator => Role::Responder,
            Role::Responder => Role::Initiator,
        };
        Ok(Self {
            public: Bytes::copy_from_slice(public),
            nonce: nonce(payloads)?,
            detection: nat_traversal::detect(agreed.nat_version, payloads, agreed.suite.hash, sa),
            vendor_ids: nat_traversal::vendor_id_notes(payloads, sa, sender),
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
    message(sa.header(ExchangeType::MAIN_MODE), &chain)
}

/// The second half of IOS's own vendor id. Its meaning is not known; ours is a hash of the cookies,
/// so that it costs no randomness.
fn ios_tail(agreed: &Agreed, own: Cookie, peer: Cookie) -> [u8; 8] {
    let digest = agreed.suite.hash.hash(&[&own.0, &peer.0]);
    digest.as_bytes().first_chunk().copied().unwrap_or_default()
}

/// What a Diffie-Hellman job leads to: all of phase 1's keys.
#[derive(Debug)]
pub(crate) struct Keyed {
    agreed: Agreed,
    skeyid: Skeyid,
    session: SessionKeys,
    cipher: EncryptionKey,
    iv: Iv,
    g_xi: Bytes,
    g_xr: Bytes,
    nat: Nat,
    udp: bool,
    dead_peer_detection: bool,
}

/// The inputs of [`Keyed`], by role in the exchange.
struct KeyInputs<'a> {
    secret: &'a SharedSecret,
    nonce_i: &'a [u8],
    nonce_r: &'a [u8],
    g_xi: Bytes,
    g_xr: Bytes,
    nat: Nat,
    udp: bool,
    dead_peer_detection: bool,
}

impl Keyed {
    fn derive(agreed: Agreed, sa: &Negotiation, inputs: KeyInputs<'_>) -> Self {
        let KeyInputs { secret, nonce_i, nonce_r, g_xi, g_xr, nat, udp, dead_peer_detection } =
            inputs;
        let key = sa.key.key.dangerous_bytes();
        let hash = agreed.suite.hash;
        let skeyid = Skeyid::pre_shared_key(hash, key, nonce_i, nonce_r);
        let session = skeyid.session_keys(secret, sa.initiator_cookie.0, sa.responder_cookie.0);
        let cipher = session.encryption_key(agreed.suite.cipher);
        let iv = Iv::phase_1(hash, agreed.suite.cipher, &g_xi, &g_xr);
        Self { agreed, skeyid, session, cipher, iv, g_xi, g_xr, nat, udp, dead_peer_detection }
    }

    /// HASH_I or HASH_R over an ID payload's body.
    fn hash_of(&self, side: Role, sa: &Negotiation, id: &[u8]) -> Digest {
        let public = Phase1Public {
            g_xi: &self.g_xi,
            g_xr: &self.g_xr,
            cookie_i: sa.initiator_cookie.0,
            cookie_r: sa.responder_cookie.0,
            sai_b: &self.agreed.sai_b,
        };
        match side {
            Role::Initiator => self.skeyid.hash_i(&public, id),
            Role::Responder => self.skeyid.hash_r(&public, id),
        }
    }

    /// MM5 or MM6: our ID and hash, encrypted.
    fn authentication_message(&mut self, sa: &Negotiation, output: &mut Output) -> Bytes {
        let identity = match &sa.config.identity {
            Some(identity) => identity.clone(),
            None => Identity::address(sa.path.local.ip()),
        };
        // 17/500 as Cisco sends it; the port is the protocol's name here, not the one in use
        // (RFC 2407 §4.6.2).
        let (protocol, port) = (17, 500);
        let id = Identification {
            id_type: identity.id_type,
            protocol,
            port,
            data: identity.data.as_ref().into(),
        };
        let id = Payload::Identification(id);
        let hash = self.hash_of(sa.role, sa, &id.body().unwrap_or_default());
        let initial_contact = sa.role == Role::Initiator && sa.initial_contact;
        if initial_contact {
            output.trace(sa, Trace::SendInitialContact);
        }
        output.trace(sa, Trace::Authenticating { id_type: identity.id_type });
        output.trace(
            sa,
            Trace::IdPayload {
                next_payload: PayloadType::HASH,
                id_type: identity.id_type,
                data: identity.data.clone(),
                protocol,
                port,
            },
        );
        let len = id.body_len().saturating_add(4);
        output.trace(sa, Trace::TotalPayloadLength { len });
        let mut chain = Chain::new();
        chain.push(&id).push(&Payload::Hash(hash.as_bytes().into()));
        if initial_contact {
            chain.push(&Payload::Notification(Notification::isakmp(
                crate::wire::NotifyType::INITIAL_CONTACT,
                sa.cookies(),
                &[][..],
            )));
        }
        let header = sa.header(ExchangeType::MAIN_MODE);
        let (message, iv) = phase1::seal(&self.cipher, &self.iv, header, &chain)
            .unwrap_or_else(|_| (Bytes::new(), self.iv.clone()));
        self.iv = iv;
        message
    }

    /// Checks MM5 or MM6.
    fn check_authentication(
        &self,
        message: &Message<'_>,
        path: &Path,
        sa: &Negotiation,
    ) -> Result<Authentication, Discard> {
        let Content::Encrypted(body) = &message.content else {
            return Err(Discard::NotEncrypted);
        };
        let (plain, iv) = phase1::open(&self.cipher, &self.iv, body)?;
        let payloads = phase1::decrypted(message, &plain).map_err(Discard::PreSharedKeyMismatch)?;
        let id = one(&payloads, PayloadType::IDENTIFICATION)?;
        let hash = one(&payloads, PayloadType::HASH)?;
        let Payload::Identification(identification) = &id.payload else {
            return Err(Discard::MissingPayload(PayloadType::IDENTIFICATION));
        };
        let side = match sa.role {
            Role::Initiator => Role::Responder,
            Role::Responder => Role::Initiator,
        };
        if !self.hash_of(side, sa, id.body()).verify(hash.body()) {
            return Err(Discard::HashMismatch);
        }
        let (identity, deviation) = self.check_identity(identification, sa)?;
        // Encrypted, but covered by no hash (RFC 2409 §5): a forger on the path can spoil one, not make
        // one.
        let notifications = payloads.iter().filter_map(|received| {
            let Payload::Notification(notification) = &received.payload else { return None };
            Some(owned(notification))
        });
        Ok(Authentication {
            id: Trace::IdPayload {
                next_payload: PayloadType::HASH,
                id_type: identification.id_type,
                data: identity.data.clone(),
                protocol: identification.protocol,
                port: identification.port,
            },
            identity,
            deviation,
            notifications: notifications.collect(),
            iv,
            path: *path,
        })
    }

    /// Whether the peer may call itself so (RFC 2407 §4.6.2).
    fn check_identity(
        &self,
        id: &Identification<'_>,
        sa: &Negotiation,
    ) -> Result<(Identity, Option<Deviation>), Discard> {
        let nat_t = sa.config.ports.nat_t;
        let deviation = match (id.protocol, id.port) {
            (0, 0) | (17, 500) => None,
            (17, 0) => Some(Deviation::IdentityPortZero),
            (17, port) if port == nat_t || port == 4500 => Some(Deviation::IdentityPortNatT),
            (protocol, port) => return Err(Discard::IdentityPort { protocol, port }),
        };
        let identity = Identity { id_type: id.id_type, data: Bytes::copy_from_slice(&id.data) };
        let source_address = sa.path.remote.ip();
        match &sa.key.identity {
            Some(bound) if *bound == identity => Ok((identity, deviation)),
            Some(_) => Err(Discard::IdentityMismatch { source_address }),
            // Unbound, a peer is called by its address. Behind a NAT it has one that we cannot
            // see; the pre-shared key then vouches for it, unless another key is for who it claims
            // to be.
            None => match identity.as_address() {
                Some(address)
                    if (address == source_address || self.nat.remote)
                        && sa.config.may_prove(&sa.key, &identity, address) =>
                {
                    Ok((identity, deviation))
                }
                Some(_) => Err(Discard::IdentityMismatch { source_address }),
                None => Err(Discard::IdentityType(id.id_type)),
            },
        }
    }

    fn established(self, authentication: Authentication, output: &Output) -> Established {
        Established {
            keys: ProtectedChannel {
                session: self.session,
                cipher: self.cipher,
                last_of_phase_1: self.iv,
            },
            policy: self.agreed.policy,
            lifetime: self.agreed.lifetime,
            announce_lifetime: self.agreed.announce_lifetime,
            since: output.now,
            identity: authentication.identity,
            nat: self.nat,
            udp: if self.udp { self.agreed.nat_version } else { None },
            dead_peer_detection: self.dead_peer_detection,
            highest_question: None,
            quick_modes: alloc::collections::BTreeMap::new(),
            message_ids: MessageIds::default(),
            own_message_ids: MessageIds::default(),
            notifications: authentication.notifications,
        }
    }
}

/// What MM5 or MM6 proves.
#[derive(Debug)]
pub(crate) struct Authentication {
    identity: Identity,
    id: Trace,
    deviation: Option<Deviation>,
    notifications: Vec<Notification<'static>>,
    /// The IV after it.
    iv: Iv,
    path: Path,
}

impl Authentication {
    pub(crate) const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Records the ID and the hash.
    fn trace(&self, sa: &Negotiation, output: &mut Output) {
        let processing = |payload| Trace::Processing { payload, message_id: MessageId::ZERO };
        output.trace(sa, processing(PayloadType::IDENTIFICATION));
        output.trace(sa, self.id.clone());
        output.trace(sa, Trace::NoProfile);
        output.trace(sa, processing(PayloadType::HASH));
        if let Some(deviation) = self.deviation {
            output.deviation(sa, deviation);
        }
    }
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

/// A job that a state waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Waiting(pub(crate) JobId);
