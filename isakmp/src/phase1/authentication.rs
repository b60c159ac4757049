//! Keys, hashes and identities: what main mode and aggressive mode have in common.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::crypto::{Digest, EncryptionKey, Iv, Phase1Public, SessionKeys, SharedSecret, Skeyid};
use crate::output::Output;
use crate::wire::{
    Chain, Cookie, Identification, MessageId, Notification, NotifyType, Payload, PayloadType,
    Payloads,
};
use crate::{
    Config, Deviation, Discard, Identity, Nat, Path, PreSharedKey, Role, Trace, Transport,
};

use super::offer::Agreed;
use super::{Established, MessageIds, Negotiation, ProtectedChannel, one, owned};

/// What both sides' hashes cover, with the key that they are made with. It takes no Diffie-Hellman.
#[derive(Debug)]
pub(crate) struct Transcript {
    pub(crate) agreed: Agreed,
    skeyid: Skeyid,
    pub(crate) g_xi: Bytes,
    pub(crate) g_xr: Bytes,
    cookies: (Cookie, Cookie),
}

impl Transcript {
    pub(crate) fn new(
        agreed: Agreed,
        key: &PreSharedKey,
        (nonce_i, nonce_r): (&[u8], &[u8]),
        (g_xi, g_xr): (Bytes, Bytes),
        cookies: (Cookie, Cookie),
    ) -> Self {
        let key = key.key.dangerous_bytes();
        let skeyid = Skeyid::pre_shared_key(agreed.suite.hash, key, nonce_i, nonce_r);
        Self { agreed, skeyid, g_xi, g_xr, cookies }
    }

    /// The IV of the first encrypted message (RFC 2409 appendix B).
    pub(crate) fn first_iv(&self) -> Iv {
        let suite = self.agreed.suite;
        Iv::phase_1(suite.hash, suite.cipher, &self.g_xi, &self.g_xr)
    }

    /// `HASH_I` or `HASH_R` over an ID payload's body.
    pub(crate) fn hash_of(&self, side: Role, id: &[u8]) -> Digest {
        let (initiator, responder) = self.cookies;
        let public = Phase1Public {
            g_xi: &self.g_xi,
            g_xr: &self.g_xr,
            cookie_i: initiator.0,
            cookie_r: responder.0,
            sai_b: &self.agreed.sai_b,
        };
        match side {
            Role::Initiator => self.skeyid.hash_i(&public, id),
            Role::Responder => self.skeyid.hash_r(&public, id),
        }
    }
}

/// What a Diffie-Hellman job leads to: all of phase 1's keys.
#[derive(Debug)]
pub(crate) struct Keyed {
    pub(crate) transcript: Transcript,
    pub(crate) session: SessionKeys,
    pub(crate) cipher: EncryptionKey,
    pub(crate) iv: Iv,
    pub(crate) nat: Nat,
    /// Whether ESP goes in UDP.
    pub(crate) udp: bool,
    pub(crate) dead_peer_detection: bool,
}

impl Keyed {
    pub(crate) fn derive(transcript: Transcript, secret: &SharedSecret) -> Self {
        let (initiator, responder) = transcript.cookies;
        let session = transcript.skeyid.session_keys(secret, initiator.0, responder.0);
        let suite = transcript.agreed.suite;
        let cipher = session.encryption_key(suite.cipher);
        let iv = transcript.first_iv();
        let dead_peer_detection = transcript.agreed.dead_peer_detection;
        Self {
            transcript,
            session,
            cipher,
            iv,
            nat: Nat::default(),
            udp: false,
            dead_peer_detection,
        }
    }

    pub(crate) fn established(
        self,
        authentication: Authentication,
        output: &Output,
    ) -> Established {
        let agreed = self.transcript.agreed;
        Established {
            keys: ProtectedChannel {
                session: self.session,
                cipher: self.cipher,
                last_of_phase_1: self.iv,
            },
            policy: agreed.policy,
            lifetime: agreed.lifetime,
            announce_lifetime: agreed.announce_lifetime,
            since: output.now,
            identity: authentication.identity,
            bound: authentication.bound,
            nat: self.nat,
            udp: if self.udp { agreed.nat_version } else { None },
            dead_peer_detection: self.dead_peer_detection,
            last_heard: output.now,
            highest_question: None,
            has_led_to_pairs: false,
            quick_modes: BTreeMap::new(),
            message_ids: MessageIds::default(),
            own_message_ids: MessageIds::default(),
            notifications: authentication.notifications,
        }
    }
}

/// Our ID payload and the hash over it, recorded.
pub(crate) fn authenticate(
    sa: &Negotiation,
    transcript: &Transcript,
    id: &Payload<'_>,
    output: &mut Output,
) -> Digest {
    trace_own_id(id, PayloadType::HASH, sa, output);
    transcript.hash_of(sa.role, &id.body().unwrap_or_default())
}

/// Our identity, with the protocol and port that go with it on the wire.
pub(crate) fn own_id(sa: &Negotiation, protocol: u8, port: u16) -> Payload<'static> {
    let identity = match &sa.identity {
        Some(identity) => identity.clone(),
        None => Identity::address(sa.path.local.ip()),
    };
    Payload::Identification(Identification {
        id_type: identity.id_type,
        protocol,
        port,
        data: identity.data.to_vec().into(),
    })
}

/// Records the ID that we send.
pub(crate) fn trace_own_id(
    id: &Payload<'_>,
    next_payload: PayloadType,
    sa: &Negotiation,
    output: &mut Output,
) {
    let Payload::Identification(fields) = id else { return };
    output.trace(sa, Trace::Authenticating { id_type: fields.id_type });
    output.trace(sa, id_trace(fields, next_payload));
    let len = id.body_len().saturating_add(4);
    output.trace(sa, Trace::TotalPayloadLength { len });
}

pub(crate) fn id_trace(id: &Identification<'_>, next_payload: PayloadType) -> Trace {
    Trace::IdPayload {
        next_payload,
        id_type: id.id_type,
        data: Bytes::copy_from_slice(&id.data),
        protocol: id.protocol,
        port: id.port,
    }
}

/// INITIAL-CONTACT behind our last message (RFC 2407 §4.6.3.3).
pub(crate) fn push_initial_contact(sa: &Negotiation, chain: &mut Chain) {
    if sa.role == Role::Initiator && sa.initial_contact {
        let notify_type = NotifyType::INITIAL_CONTACT;
        let notification = Notification::isakmp(notify_type, sa.cookies(), &[][..]);
        chain.push(&Payload::Notification(notification));
    }
}

/// What the peer has proved.
#[derive(Debug)]
pub(crate) struct Authentication {
    pub(crate) identity: Identity,
    /// Whether the key is bound to the identity.
    pub(crate) bound: bool,
    id: Trace,
    deviation: Option<Deviation>,
    pub(crate) notifications: Vec<Notification<'static>>,
    /// The IV after the message that proved it.
    pub(crate) iv: Iv,
    pub(crate) path: Path,
}

impl Authentication {
    /// Checks the peer's ID and hash.
    pub(crate) fn check(
        transcript: &Transcript,
        (id_body, hash): (&[u8], &[u8]),
        key: &PreSharedKey,
        nat: Nat,
        (path, iv): (&Path, Iv),
        sa: &Negotiation,
    ) -> Result<Self, Discard> {
        let side = match sa.role {
            Role::Initiator => Role::Responder,
            Role::Responder => Role::Initiator,
        };
        if !transcript.hash_of(side, id_body).verify(hash) {
            return Err(Discard::HashMismatch);
        }
        let id = Identification::parse(id_body, 0)?;
        let source_address = sa.path.remote.ip();
        let (identity, bound) = check_identity(&id, key, source_address, nat.remote, &sa.config)?;
        Ok(Self {
            id: id_trace(&id, PayloadType::HASH),
            deviation: check_port(&id, &sa.config)?,
            identity,
            bound,
            notifications: Vec::new(),
            iv,
            path: *path,
        })
    }

    /// The notifications beside the hash. Encrypted, but covered by no hash (RFC 2409 §5): a forger on
    /// the path can spoil one, not make one.
    pub(crate) fn with_notifications(mut self, payloads: &Payloads<'_>) -> Self {
        let notifications = payloads.iter().filter_map(|received| {
            let Payload::Notification(notification) = &received.payload else { return None };
            Some(owned(notification))
        });
        self.notifications = notifications.collect();
        self
    }

    pub(crate) const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Records the ID and the hash.
    pub(crate) fn trace(&self, sa: &Negotiation, output: &mut Output) {
        self.trace_id(sa, output);
        self.trace_hash(sa, output);
    }

    pub(crate) fn trace_id(&self, sa: &Negotiation, output: &mut Output) {
        let payload = PayloadType::IDENTIFICATION;
        output.trace(sa, Trace::Processing { payload, message_id: MessageId::ZERO });
        output.trace(sa, self.id.clone());
        output.trace(sa, Trace::NoProfile);
    }

    pub(crate) fn trace_hash(&self, sa: &Negotiation, output: &mut Output) {
        let payload = PayloadType::HASH;
        output.trace(sa, Trace::Processing { payload, message_id: MessageId::ZERO });
        if let Some(deviation) = self.deviation {
            output.deviation(sa, deviation);
        }
    }

    /// Records the notifications, and that the peer is who it says.
    pub(crate) fn trace_responder(&self, sa: &Negotiation, output: &mut Output) -> bool {
        for notification in &self.notifications {
            let record = Trace::ProcessingNotify {
                notify_type: notification.notify_type,
                protocol: notification.protocol,
                spi: Bytes::copy_from_slice(&notification.spi),
                message_id: MessageId::ZERO,
            };
            output.trace(sa, record);
        }
        output.trace(sa, Trace::AuthenticationStatus);
        output.trace(sa, Trace::Authenticated);
        let initial_contact = self
            .notifications
            .iter()
            .any(|notification| notification.notify_type == NotifyType::INITIAL_CONTACT);
        if initial_contact {
            output.trace(sa, Trace::AuthenticationStatus);
            output.trace(sa, Trace::InitialContact);
        }
        output.trace(sa, Trace::PeerInserted);
        initial_contact
    }
}

/// Protocol and port of a phase 1 ID (RFC 2407 §4.6.2).
fn check_port(id: &Identification<'_>, config: &Config) -> Result<Option<Deviation>, Discard> {
    let nat_t = config.ports.nat_t;
    match (id.protocol, id.port) {
        (0, 0) | (17, 500) => Ok(None),
        (17, 0) => Ok(Some(Deviation::IdentityPortZero)),
        (17, port) if port == nat_t || port == 4500 => Ok(Some(Deviation::IdentityPortNatT)),
        (protocol, port) => Err(Discard::IdentityPort { protocol, port }),
    }
}

/// Whether the peer may call itself so, and whether its key is bound to this name.
pub(crate) fn check_identity(
    id: &Identification<'_>,
    key: &PreSharedKey,
    source_address: core::net::IpAddr,
    behind_nat: bool,
    config: &Config,
) -> Result<(Identity, bool), Discard> {
    let identity = Identity { id_type: id.id_type, data: Bytes::copy_from_slice(&id.data) };
    if config.is_bound(key, &identity) {
        return Ok((identity, true));
    }
    if key.identity.is_some() {
        return Err(Discard::IdentityMismatch { source_address });
    }
    // Unbound, a peer is called by its address. Behind a NAT it has one that we cannot see; the
    // pre-shared key then vouches for it, unless another key is for who it claims to be.
    match identity.as_address() {
        Some(address)
            if (address == source_address || behind_nat)
                && config.may_prove(key, &identity, address) =>
        {
            Ok((identity, false))
        }
        Some(_) => Err(Discard::IdentityMismatch { source_address }),
        None => Err(Discard::IdentityType(id.id_type)),
    }
}

/// Whether a message that must come from the peer comes from where it may: the path of the exchange,
/// or the NAT traversal ports, to which the initiator moves with its last message (RFC 3947 §4), and
/// the NAT gives it whatever port it likes.
pub(crate) fn check_floated(path: &Path, sa: &Negotiation, agreed: &Agreed) -> Result<(), Discard> {
    let floated = path.transport == Transport::NatT
        && agreed.nat_version.is_some()
        && path.local.ip() == sa.path.local.ip()
        && path.remote.ip() == sa.path.remote.ip();
    if *path != sa.path && !floated {
        return Err(Discard::WrongPath { source_address: path.remote.ip() });
    }
    Ok(())
}

/// The ID and hash payloads of a message, bodies as they are.
pub(crate) fn id_and_hash<'m>(payloads: &'m Payloads<'_>) -> Result<(&'m [u8], &'m [u8]), Discard> {
    let id = one(payloads, PayloadType::IDENTIFICATION)?.body();
    Ok((id, one(payloads, PayloadType::HASH)?.body()))
}
