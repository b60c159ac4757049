//! Aggressive mode, initiator.
//!
//! ```text
//!   IKE_READY, job ─job, AM1▶ I_AM1 ─▶AM2, job─ I_AM2 ─job, AM3▶ P1_COMPLETE
//! ```

use alloc::boxed::Box;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::crypto::{Agreement, Exponent, Job, KeyPair, SharedSecret};
use crate::nat_traversal::{self, Detection, NatTraversalVersion, Seen};
use crate::output::Output;
use crate::phase1::offer::{self, Agreed};
use crate::phase1::{
    self, Authentication, Established, Keyed, Negotiation, Phase1State, Sent, Transcript, Unusable,
    Waiting,
};
use crate::wire::{Chain, ExchangeType, Identification, Message, MessageId, Payload, PayloadType};
use crate::{
    CoarseState, Discard, Identity, MajorInput, MinorInput, Path, Policy, PreSharedKey, StateKind,
    Trace,
};

/// Where aggressive mode is.
#[derive(Debug)]
pub(crate) enum State {
    MakingKeyPair(MakingKeyPair),
    SentAm1(SentAm1),
    MakingSecret(Box<MakingSecret>),
}

impl State {
    pub(crate) const fn kind(&self) -> StateKind {
        match self {
            Self::MakingKeyPair(_) => StateKind::IkeReady,
            Self::SentAm1(_) => StateKind::IkeInitiatorAm1,
            Self::MakingSecret(_) => StateKind::IkeInitiatorAm2,
        }
    }

    pub(crate) const fn coarse(&self) -> CoarseState {
        match self {
            Self::MakingKeyPair(_) => CoarseState::AggressiveNoState,
            Self::SentAm1(_) => CoarseState::AggressiveInitExchange,
            Self::MakingSecret(_) => CoarseState::AggressiveAuthenticated,
        }
    }

    pub(crate) const fn agreed(&self) -> Option<&Agreed> {
        match self {
            Self::MakingKeyPair(_) | Self::SentAm1(_) => None,
            Self::MakingSecret(state) => Some(&state.transcript.agreed),
        }
    }

    /// The job that is out.
    pub(crate) const fn waiting(&self) -> Option<Waiting> {
        match self {
            Self::MakingKeyPair(state) => Some(state.waiting),
            Self::MakingSecret(state) => Some(state.waiting),
            Self::SentAm1(_) => None,
        }
    }

    pub(crate) fn check(
        &self,
        message: &Message<'_>,
        path: &Path,
        sa: &Negotiation,
    ) -> Result<Box<AcceptedAm2>, Discard> {
        if *path != sa.path {
            return Err(Discard::WrongPath { source_address: path.remote.ip() });
        }
        match self {
            Self::SentAm1(state) => state.check(message, sa).map(Box::new),
            Self::MakingKeyPair(_) | Self::MakingSecret(_) => {
                Err(Discard::UnexpectedState { state: self.kind() })
            }
        }
    }

    pub(crate) fn advance(
        self,
        accepted: Box<AcceptedAm2>,
        sa: &mut Negotiation,
        output: &mut Output,
    ) -> Self {
        match self {
            Self::SentAm1(state) => {
                Self::MakingSecret(Box::new(state.advance(*accepted, sa, output)))
            }
            // `check` accepts nothing else.
            state @ (Self::MakingKeyPair(_) | Self::MakingSecret(_)) => state,
        }
    }

    /// Goes on with the result of the job that was out.
    pub(crate) fn resume(
        self,
        agreement: Agreement,
        sa: &mut Negotiation,
        output: &mut Output,
    ) -> Result<Phase1State, Unusable> {
        match self {
            Self::MakingKeyPair(state) => {
                let state = Self::SentAm1(state.resume(agreement.key_pair, sa, output));
                Ok(Phase1State::AggressiveInitiator(Box::new(state)))
            }
            Self::MakingSecret(state) => {
                let secret = agreement.shared_secret.ok_or(Unusable)?;
                let established = state.resume(&secret, sa, output);
                Ok(Phase1State::Established(Box::new(established)))
            }
            state @ Self::SentAm1(_) => Ok(Phase1State::AggressiveInitiator(Box::new(state))),
        }
    }
}

/// Starts to compute our public value: AM1 carries it. `policies` have one group, and are not empty.
pub(crate) fn start(
    policies: Vec<Policy>,
    group: &'static dyn crate::crypto::DiffieHellman,
    sa: &Negotiation,
    output: &mut Output,
) -> State {
    let exponent = Exponent::draw(group, sa.config.exponent_length, &mut *output.rng);
    let id = output.job_id();
    output.job(Job::key_pair(id, group, exponent));
    State::MakingKeyPair(MakingKeyPair { waiting: Waiting(id), policies })
}

/// `IKE_READY`: our public value is being computed.
#[derive(Debug)]
pub(crate) struct MakingKeyPair {
    waiting: Waiting,
    policies: Vec<Policy>,
}

impl MakingKeyPair {
    fn resume(self, key_pair: KeyPair, sa: &mut Negotiation, output: &mut Output) -> SentAm1 {
        let offer = Payload::SecurityAssociation(offer::offer(&self.policies));
        let sai_b = Bytes::from(offer.body().unwrap_or_default());
        let nonce = output.nonce(sa.config.nonce_len);
        // RFC 3947 §4: port 0 with NAT traversal.
        let id = phase1::own_id(sa, 0, 0);
        output.trace(sa, Trace::PreSharedKeyFound);
        let mut chain = Chain::new();
        chain.push(&offer);
        chain.push(&Payload::KeyExchange(key_pair.public().as_ref().into()));
        chain.push(&Payload::Nonce(nonce.as_ref().into()));
        chain.push(&id);
        let versions = match sa.config.nat_traversal {
            Some(_) => &NatTraversalVersion::ALL[..],
            None => &[],
        };
        let fragments = sa.config.fragmentation.is_some();
        super::push_vendor_ids(versions, fragments, sa, &mut chain, output);
        phase1::trace_own_id(&id, PayloadType::VENDOR_ID, sa, output);
        let input = (MajorInput::FromIpsec, MinorInput::SaRequestAggressiveMode);
        output.transition(sa, input, StateKind::IkeReady, StateKind::IkeInitiatorAm1);
        output.trace(sa, Trace::BeginningAggressiveMode);
        let payload = phase1::message(sa.header(ExchangeType::AGGRESSIVE), &chain);
        phase1::send(sa, CoarseState::AggressiveInitExchange, payload.clone(), output);
        sa.sent = Some(Sent::new(payload));
        SentAm1 { policies: self.policies, sai_b, key_pair, nonce, id: super::body(&id) }
    }
}

/// `IKE_I_AM1`.
#[derive(Debug)]
pub(crate) struct SentAm1 {
    policies: Vec<Policy>,
    sai_b: Bytes,
    key_pair: KeyPair,
    nonce: Bytes,
    /// Body of our ID payload.
    id: Vec<u8>,
}

/// AM2: everything, and the peer is who it says.
#[derive(Debug)]
pub(crate) struct AcceptedAm2 {
    responder_cookie: crate::wire::Cookie,
    key: PreSharedKey,
    transcript: Transcript,
    authentication: Authentication,
    detection: Detection,
    notes: Vec<Trace>,
    vendor_ids: Vec<Trace>,
}

impl AcceptedAm2 {
    pub(crate) const fn identity(&self) -> &Identity {
        self.authentication.identity()
    }
}

impl SentAm1 {
    fn check(&self, message: &Message<'_>, sa: &Negotiation) -> Result<AcceptedAm2, Discard> {
        let payloads = phase1::clear(message)?;
        let mut notes = Vec::new();
        let offered = (&self.policies[..], &self.sai_b);
        let agreed = offer::check_answer(payloads, offered, &sa.config, &mut notes)?;
        let g_xr = phase1::one(payloads, PayloadType::KEY_EXCHANGE)?.body();
        agreed.suite.group.check_public_value(g_xr)?;
        let nonce = phase1::nonce(payloads)?;
        let (id_body, hash) = phase1::id_and_hash(payloads)?;
        let id = Identification::parse(id_body, 0)?;
        let responder_cookie = message.header.responder_cookie;
        let cookies = (sa.initiator_cookie, responder_cookie);
        let seen = Seen { cookies, path: &sa.path, config: &sa.config };
        let detection =
            nat_traversal::detect(agreed.nat_version, payloads, agreed.suite.hash, &seen);
        // RFC 2409 §5.4: the key is found by who the peer says it is.
        let remote = sa.path.remote.ip();
        let identity = Identity { id_type: id.id_type, data: Bytes::copy_from_slice(&id.data) };
        let key = sa.config.pre_shared_key_of(remote, &identity).unwrap_or(&sa.key).clone();
        let public = (self.key_pair.public().clone(), Bytes::copy_from_slice(g_xr));
        let transcript = Transcript::new(agreed, &key, (&self.nonce, &nonce), public, cookies);
        let iv = transcript.first_iv();
        let proof = (id_body, hash);
        let authentication =
            Authentication::check(&transcript, proof, &key, detection.nat, (&sa.path, iv), sa)?;
        Ok(AcceptedAm2 {
            responder_cookie,
            key,
            transcript,
            authentication,
            detection,
            notes,
            vendor_ids: nat_traversal::vendor_id_notes(payloads, responder_cookie),
        })
    }

    fn advance(
        self,
        accepted: AcceptedAm2,
        sa: &mut Negotiation,
        output: &mut Output,
    ) -> MakingSecret {
        sa.responder_cookie = accepted.responder_cookie;
        sa.key = accepted.key;
        sa.fragments = accepted.transcript.agreed.fragments;
        sa.sent = None;
        super::exchanged(sa, StateKind::IkeInitiatorAm1, StateKind::IkeInitiatorAm2, output);
        let processing = |payload| Trace::Processing { payload, message_id: MessageId::ZERO };
        output.trace(sa, processing(PayloadType::SECURITY_ASSOCIATION));
        accepted.authentication.trace_id(sa, output);
        output.trace_all(sa, accepted.vendor_ids);
        output.trace(sa, Trace::LocalPreSharedKeyFound);
        output.trace_all(sa, accepted.notes);
        output.trace(sa, processing(PayloadType::KEY_EXCHANGE));
        output.trace(sa, processing(PayloadType::NONCE));
        sa.connection = output.connection();
        accepted.authentication.trace_hash(sa, output);
        output.trace_all(sa, accepted.detection.notes.iter().cloned());
        let id = output.job_id();
        let group = accepted.transcript.agreed.suite.group;
        let peer = accepted.transcript.g_xr.clone();
        output.job(Job::shared_secret(id, group, self.key_pair, peer));
        MakingSecret {
            waiting: Waiting(id),
            transcript: accepted.transcript,
            authentication: accepted.authentication,
            detection: accepted.detection,
            id: self.id,
        }
    }
}

/// `IKE_I_AM2`: the shared secret is being computed, for the keys alone.
#[derive(Debug)]
pub(crate) struct MakingSecret {
    waiting: Waiting,
    transcript: Transcript,
    authentication: Authentication,
    detection: Detection,
    id: Vec<u8>,
}

impl MakingSecret {
    fn resume(
        self,
        secret: &SharedSecret,
        sa: &mut Negotiation,
        output: &mut Output,
    ) -> Established {
        let Detection { nat, udp, .. } = self.detection;
        let mut keyed = Keyed { nat, udp, ..Keyed::derive(self.transcript, secret) };
        output.trace(sa, Trace::AuthenticationStatus);
        output.trace(sa, Trace::Authenticated);
        // RFC 3947 §4: with a NAT on the way, AM3 is the first message on the other ports.
        let floated = nat_traversal::floated(sa);
        if udp && floated != sa.path {
            sa.path = floated;
            output.trace(sa, Trace::PortsFloated { path: floated });
        }
        let hash = keyed.transcript.hash_of(sa.role, &self.id);
        let mut chain = Chain::new();
        chain.push(&Payload::Hash(hash.as_bytes().into()));
        let agreed = &keyed.transcript.agreed;
        if let Some(version) = agreed.nat_version {
            let hash = agreed.suite.hash;
            for payload in &nat_traversal::detection_payloads(version, hash, sa, output) {
                chain.push(payload);
            }
        }
        if sa.initial_contact {
            output.trace(sa, Trace::SendInitialContact);
        }
        phase1::push_initial_contact(sa, &mut chain);
        let header = sa.header(ExchangeType::AGGRESSIVE);
        let (payload, iv) = phase1::seal(&keyed.cipher, &keyed.iv, header, &chain)
            .unwrap_or_else(|_| (Bytes::new(), keyed.iv.clone()));
        keyed.iv = iv;
        phase1::send(sa, CoarseState::AggressiveInitExchange, payload.clone(), output);
        sa.reply(payload.clone());
        sa.sent = Some(Sent::new(payload));
        output.trace(sa, Trace::PeerInserted);
        let input = (MajorInput::Internal, MinorInput::ProcessComplete);
        output.transition(sa, input, StateKind::IkeInitiatorAm2, StateKind::IkePhase1Complete);
        keyed.established(self.authentication, output)
    }
}
