//! Aggressive mode, responder.
//!
//! ```text
//!   IKE_READY ─▶AM1, job─ R_AM1 ─job, AM2▶ R_AM2 ─▶AM3─ P1_COMPLETE
//! ```
//!
//! It sends nothing by timer: one AM2 for each AM1, and the same again for the same message, a few
//! times. So whoever forges a source address makes it send no more datagrams than he sends himself;
//! they may be twice as long as his, and longer by our own name, and there are not many of them
//! ([`Limits`](crate::Limits)).

use alloc::boxed::Box;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::crypto::{Agreement, Exponent, Job};
use crate::nat_traversal::{self, Detection, Seen};
use crate::output::Output;
use crate::phase1::offer::{self, Agreed};
use crate::phase1::{
    self, Authentication, Established, Keyed, Negotiation, Transcript, Unusable, Waiting,
};
use crate::wire::{
    Chain, Content, ExchangeType, Identification, Message, MessageId, Payload, PayloadType,
    SecurityAssociation,
};
use crate::{CoarseState, Discard, Path, StateKind, Trace, Transport};

/// How often AM2 is repeated: more often than initiators ask for it.
pub(crate) const MOST_REPETITIONS: u32 = 10;

/// Where aggressive mode is.
#[derive(Debug)]
pub(crate) enum State {
    MakingBoth(Box<MakingBoth>),
    SentAm2(SentAm2),
}

impl State {
    pub(crate) const fn kind(&self) -> StateKind {
        match self {
            Self::MakingBoth(_) => StateKind::IkeResponderAm1,
            Self::SentAm2(_) => StateKind::IkeResponderAm2,
        }
    }

    pub(crate) const fn coarse(&self) -> CoarseState {
        match self {
            Self::MakingBoth(_) => CoarseState::AggressiveNoState,
            Self::SentAm2(_) => CoarseState::AggressiveInitExchange,
        }
    }

    pub(crate) const fn agreed(&self) -> &Agreed {
        match self {
            Self::MakingBoth(state) => &state.agreed,
            Self::SentAm2(state) => &state.keyed.transcript.agreed,
        }
    }

    /// The job that is out.
    pub(crate) const fn waiting(&self) -> Option<Waiting> {
        match self {
            Self::MakingBoth(state) => Some(state.waiting),
            Self::SentAm2(_) => None,
        }
    }

    pub(crate) fn check(
        &self,
        message: &Message<'_>,
        path: &Path,
        sa: &Negotiation,
    ) -> Result<Box<AcceptedAm3>, Discard> {
        match self {
            Self::SentAm2(state) => state.check(message, path, sa).map(Box::new),
            Self::MakingBoth(_) => Err(Discard::UnexpectedState { state: self.kind() }),
        }
    }

    pub(crate) fn advance(
        self,
        accepted: Box<AcceptedAm3>,
        sa: &mut Negotiation,
        output: &mut Output,
    ) -> phase1::Phase1State {
        match self {
            Self::SentAm2(state) => {
                let established = state.advance(*accepted, sa, output);
                phase1::Phase1State::Established(Box::new(established))
            }
            // `check` accepts nothing else.
            state @ Self::MakingBoth(_) => {
                phase1::Phase1State::AggressiveResponder(Box::new(state))
            }
        }
    }

    /// Goes on with the result of the job that was out.
    pub(crate) fn resume(
        self,
        agreement: Agreement,
        sa: &mut Negotiation,
        output: &mut Output,
    ) -> Result<Self, Unusable> {
        match self {
            Self::MakingBoth(state) => state.resume(agreement, sa, output).map(Self::SentAm2),
            state @ Self::SentAm2(_) => Ok(state),
        }
    }
}

/// AM1 found acceptable.
#[derive(Debug)]
pub(crate) struct AcceptedAm1 {
    agreed: Agreed,
    /// What goes into AM2: the chosen transform as it came.
    answer: SecurityAssociation<'static>,
    g_xi: Bytes,
    nonce_i: Bytes,
    /// Body of the peer's ID payload.
    id: Vec<u8>,
    id_note: Trace,
    notes: Vec<Trace>,
    vendor_ids: Vec<Trace>,
}

/// The ID of AM1, by which the key is found.
pub(crate) fn identification<'m>(message: &'m Message<'_>) -> Result<Identification<'m>, Discard> {
    let id = phase1::one(phase1::clear(message)?, PayloadType::IDENTIFICATION)?;
    Ok(Identification::parse(id.body(), 0)?)
}

/// Checks AM1. What was looked at is noted even if nothing fits.
pub(crate) fn check(
    message: &Message<'_>,
    sa: &Negotiation,
    notes: &mut Vec<Trace>,
) -> Result<AcceptedAm1, Discard> {
    let payloads = phase1::clear(message)?;
    let nonce_i = phase1::nonce(payloads)?;
    let public = phase1::one(payloads, PayloadType::KEY_EXCHANGE)?.body();
    let id = identification(message)?;
    let (agreed, answer) = offer::check_offer(payloads, &sa.config, notes)?;
    agreed.suite.group.check_public_value(public)?;
    // Whether there is a NAT is known with AM3: here only what no NAT would make true is refused.
    let source_address = sa.path.remote.ip();
    let may_be_inside = agreed.nat_version.is_some();
    phase1::check_identity(&id, &sa.key, source_address, may_be_inside, &sa.config)?;
    Ok(AcceptedAm1 {
        agreed,
        answer,
        g_xi: Bytes::copy_from_slice(public),
        nonce_i,
        id: phase1::one(payloads, PayloadType::IDENTIFICATION)?.body().to_vec(),
        id_note: phase1::id_trace(&id, PayloadType::NONE),
        notes: core::mem::take(notes),
        vendor_ids: nat_traversal::vendor_id_notes(payloads, sa.initiator_cookie),
    })
}

/// Starts to compute our public value and the shared secret.
pub(crate) fn start(accepted: AcceptedAm1, sa: &mut Negotiation, output: &mut Output) -> State {
    output.trace(sa, Trace::PeerCreated);
    output.trace(sa, Trace::Ports);
    let processing = |payload| Trace::Processing { payload, message_id: MessageId::ZERO };
    output.trace(sa, processing(PayloadType::SECURITY_ASSOCIATION));
    output.trace(sa, processing(PayloadType::IDENTIFICATION));
    output.trace(sa, accepted.id_note);
    output.trace(sa, Trace::NoProfile);
    output.trace_all(sa, accepted.vendor_ids);
    output.trace(sa, Trace::PreSharedKeyFound);
    output.trace(sa, Trace::LocalPreSharedKeyFound);
    output.trace_all(sa, accepted.notes);
    output.trace(sa, processing(PayloadType::KEY_EXCHANGE));
    output.trace(sa, processing(PayloadType::NONCE));
    sa.connection = output.connection();
    super::exchanged(sa, StateKind::IkeReady, StateKind::IkeResponderAm1, output);
    let group = accepted.agreed.suite.group;
    let exponent = Exponent::draw(group, sa.config.exponent_length, &mut *output.rng);
    let id = output.job_id();
    output.job(Job::both(id, group, exponent, accepted.g_xi.clone()));
    let AcceptedAm1 { agreed, answer, g_xi, nonce_i, id: id_i, .. } = accepted;
    let waiting = Waiting(id);
    State::MakingBoth(Box::new(MakingBoth { waiting, agreed, answer, g_xi, nonce_i, id: id_i }))
}

/// `IKE_R_AM1`: public value and shared secret are being computed.
#[derive(Debug)]
pub(crate) struct MakingBoth {
    waiting: Waiting,
    agreed: Agreed,
    answer: SecurityAssociation<'static>,
    g_xi: Bytes,
    nonce_i: Bytes,
    /// Body of the peer's ID payload.
    id: Vec<u8>,
}

impl MakingBoth {
    fn resume(
        self,
        agreement: Agreement,
        sa: &mut Negotiation,
        output: &mut Output,
    ) -> Result<SentAm2, Unusable> {
        let secret = agreement.shared_secret.ok_or(Unusable)?;
        let Self { agreed, answer, g_xi, nonce_i, id: id_i, .. } = self;
        let nonce_r = output.nonce(sa.config.nonce_len);
        let g_xr = agreement.key_pair.public().clone();
        // RFC 3947 §4: port 0 with NAT traversal.
        let id = phase1::own_id(sa, 0, 0);
        let mut chain = Chain::new();
        chain.push(&Payload::SecurityAssociation(answer));
        chain.push(&Payload::KeyExchange(g_xr.as_ref().into()));
        chain.push(&Payload::Nonce(nonce_r.as_ref().into()));
        chain.push(&id);
        let versions = agreed.nat_version.as_slice();
        super::push_vendor_ids(versions, agreed.fragments.is_some(), sa, &mut chain, output);
        if let Some(version) = agreed.nat_version {
            let hash = agreed.suite.hash;
            for payload in &nat_traversal::detection_payloads(version, hash, sa, output) {
                chain.push(payload);
            }
        }
        let nonces = (&nonce_i[..], &nonce_r[..]);
        let transcript = Transcript::new(agreed, &sa.key, nonces, (g_xi, g_xr), sa.cookies());
        let hash = transcript.hash_of(sa.role, &super::body(&id));
        phase1::trace_own_id(&id, PayloadType::VENDOR_ID, sa, output);
        chain.push(&Payload::Hash(hash.as_bytes().into()));
        let payload = phase1::message(sa.header(ExchangeType::AGGRESSIVE), &chain);
        // Never in fragments, which are only for who has shown by AM3 where it is: one datagram for one.
        phase1::send(sa, CoarseState::AggressiveInitExchange, payload.clone(), output);
        sa.reply(payload);
        let input = (crate::MajorInput::Internal, crate::MinorInput::ProcessComplete);
        output.transition(sa, input, StateKind::IkeResponderAm1, StateKind::IkeResponderAm2);
        let keyed = Keyed::derive(transcript, &secret);
        Ok(SentAm2 { keyed: Box::new(keyed), id: id_i })
    }
}

/// `IKE_R_AM2`.
#[derive(Debug)]
pub(crate) struct SentAm2 {
    keyed: Box<Keyed>,
    /// Body of the peer's ID payload.
    id: Vec<u8>,
}

/// AM3: the peer is who it says.
#[derive(Debug)]
pub(crate) struct AcceptedAm3 {
    authentication: Authentication,
    detection: Detection,
}

impl SentAm2 {
    fn check(
        &self,
        message: &Message<'_>,
        path: &Path,
        sa: &Negotiation,
    ) -> Result<AcceptedAm3, Discard> {
        let keyed = &self.keyed;
        phase1::check_floated(path, sa, &keyed.transcript.agreed)?;
        // RFC 2409 §5.4 has it in clear, and everybody encrypts it: either will do. In clear the IV
        // stays where it was.
        let (plain, iv);
        let decrypted;
        let payloads = match &message.content {
            Content::Clear(payloads) => {
                iv = keyed.iv.clone();
                payloads
            }
            Content::Encrypted(body) => {
                (plain, iv) = phase1::open(&keyed.cipher, &keyed.iv, body)?;
                decrypted =
                    phase1::decrypted(message, &plain).map_err(Discard::PreSharedKeyMismatch)?;
                &decrypted
            }
        };
        let hash = phase1::one(payloads, PayloadType::HASH)?;
        // The initiator hashes the ports that it sends this message from and to, or those of the
        // first: both are the truth.
        let agreed = &keyed.transcript.agreed;
        let detect = |path: &Path| {
            let seen = Seen { cookies: sa.cookies(), path, config: &sa.config };
            nat_traversal::detect(agreed.nat_version, payloads, agreed.suite.hash, &seen)
        };
        let detection = Some(detect(&sa.path)).filter(|found| !found.nat.found());
        let detection = detection.unwrap_or_else(|| detect(path));
        let proof = (&self.id[..], hash.body());
        let authentication = Authentication::check(
            &keyed.transcript,
            proof,
            &sa.key,
            detection.nat,
            (path, iv),
            sa,
        )?;
        // In clear anybody may have added them.
        let authentication = match &message.content {
            Content::Encrypted(_) => authentication.with_notifications(payloads),
            Content::Clear(_) => authentication,
        };
        Ok(AcceptedAm3 { authentication, detection })
    }

    fn advance(
        mut self,
        accepted: AcceptedAm3,
        sa: &mut Negotiation,
        output: &mut Output,
    ) -> Established {
        let AcceptedAm3 { authentication, detection } = accepted;
        // From here on the path is authenticated.
        if authentication.path != sa.path {
            sa.path = authentication.path;
            output.trace(sa, Trace::PortsFloated { path: authentication.path });
        }
        sa.fragments = self.keyed.transcript.agreed.fragments;
        self.keyed.nat = detection.nat;
        // The initiator's judgement on NATs holds for both, as in main mode.
        self.keyed.udp = self.keyed.transcript.agreed.nat_version.is_some()
            && sa.path.transport == Transport::NatT;
        authentication.trace_hash(sa, output);
        output.trace_all(sa, detection.notes);
        let initial_contact = authentication.trace_responder(sa, output);
        if initial_contact {
            output.trace(sa, Trace::KeyEngineEvent);
        }
        super::exchanged(sa, StateKind::IkeResponderAm2, StateKind::IkePhase1Complete, output);
        self.keyed.iv = authentication.iv.clone();
        self.keyed.established(authentication, output)
    }
}
