//! Main mode, initiator.
//!
//! ```text
//!   IKE_READY ─MM1▶ I_MM1 ─▶MM2, job─ I_MM2 ─job, MM3▶ I_MM3 ─▶MM4, job─ I_MM4 ─job, MM5▶ I_MM5
//!                                                                     ─▶MM6─ I_MM6, P1_COMPLETE
//! ```

use alloc::boxed::Box;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::crypto::{Agreement, Exponent, Job, KeyPair};
use crate::nat_traversal::{self, NatTraversalVersion};
use crate::output::Output;
use crate::phase1::offer::{self, Agreed};
use crate::phase1::{
    self, Authentication, Established, Keyed, Negotiation, Phase1State, Sent, Transcript, Unusable,
    Waiting,
};
use crate::wire::{Chain, Cookie, ExchangeType, Message, Notification, Payload, VendorId};
use crate::{
    CoarseState, Discard, MajorInput, MinorInput, Nat, Path, StateKind, Trace, informational,
};

use super::KeyExchange;

/// Where main mode is.
#[derive(Debug)]
pub(crate) enum State {
    SentMm1(SentMm1),
    MakingKeyPair(MakingKeyPair),
    SentMm3(SentMm3),
    MakingSecret(MakingSecret),
    SentMm5(SentMm5),
}

/// A message found acceptable.
#[derive(Debug)]
pub(crate) enum Accepted {
    Mm2(AcceptedMm2),
    Mm4(KeyExchange),
    Mm6(Authentication),
}

impl State {
    pub(crate) const fn kind(&self) -> StateKind {
        match self {
            Self::SentMm1(_) => StateKind::IkeInitiatorMm1,
            Self::MakingKeyPair(_) => StateKind::IkeInitiatorMm2,
            Self::SentMm3(_) => StateKind::IkeInitiatorMm3,
            Self::MakingSecret(_) => StateKind::IkeInitiatorMm4,
            Self::SentMm5(_) => StateKind::IkeInitiatorMm5,
        }
    }

    /// What IOS prints with the next packet that is received.
    pub(crate) const fn coarse(&self) -> CoarseState {
        match self {
            Self::SentMm1(_) => CoarseState::NoState,
            Self::MakingKeyPair(_) | Self::SentMm3(_) => CoarseState::SaSetup,
            Self::MakingSecret(_) | Self::SentMm5(_) => CoarseState::KeyExchange,
        }
    }

    pub(crate) const fn agreed(&self) -> Option<&Agreed> {
        match self {
            Self::SentMm1(_) => None,
            Self::MakingKeyPair(state) => Some(&state.agreed),
            Self::SentMm3(state) => Some(&state.agreed),
            Self::MakingSecret(state) => Some(&state.agreed),
            Self::SentMm5(state) => Some(&state.keyed.transcript.agreed),
        }
    }

    /// The job that is out.
    pub(crate) const fn waiting(&self) -> Option<Waiting> {
        match self {
            Self::MakingKeyPair(state) => Some(state.waiting),
            Self::MakingSecret(state) => Some(state.waiting),
            Self::SentMm1(_) | Self::SentMm3(_) | Self::SentMm5(_) => None,
        }
    }

    pub(crate) fn check(
        &self,
        message: &Message<'_>,
        path: &Path,
        sa: &Negotiation,
    ) -> Result<Accepted, Discard> {
        if *path != sa.path {
            return Err(Discard::WrongPath { source_address: path.remote.ip() });
        }
        match self {
            Self::SentMm1(state) => state.check(message, sa).map(Accepted::Mm2),
            Self::SentMm3(state) => {
                KeyExchange::check(message, sa, &state.agreed).map(Accepted::Mm4)
            }
            Self::SentMm5(state) => {
                super::check_authentication(&state.keyed, message, path, sa).map(Accepted::Mm6)
            }
            Self::MakingKeyPair(_) | Self::MakingSecret(_) => {
                Err(Discard::UnexpectedState { state: self.kind() })
            }
        }
    }

    pub(crate) fn advance(
        self,
        accepted: Accepted,
        sa: &mut Negotiation,
        output: &mut Output,
    ) -> Phase1State {
        match (self, accepted) {
            (Self::SentMm1(state), Accepted::Mm2(accepted)) => {
                let state = Self::MakingKeyPair(state.advance(accepted, sa, output));
                Phase1State::Initiator(Box::new(state))
            }
            (Self::SentMm3(state), Accepted::Mm4(accepted)) => {
                let state = Self::MakingSecret(state.advance(accepted, sa, output));
                Phase1State::Initiator(Box::new(state))
            }
            (Self::SentMm5(state), Accepted::Mm6(accepted)) => {
                Phase1State::Established(Box::new(state.advance(accepted, sa, output)))
            }
            // `check` pairs each state with its own message.
            (state, _) => Phase1State::Initiator(Box::new(state)),
        }
    }

    /// What a peer says instead of MM6. RFC 2409 §5.7 protects it once there are keys, so it can be
    /// believed.
    pub(crate) fn check_refusal(
        &self,
        message: &Message<'_>,
        path: &Path,
        sa: &Negotiation,
    ) -> Result<Notification<'static>, Discard> {
        let Self::SentMm5(SentMm5 { keyed }) = self else { return Err(Discard::NoKeyYet) };
        if *path != sa.path {
            return Err(Discard::WrongPath { source_address: path.remote.ip() });
        }
        informational::refusal_before_mm6(message, keyed)
    }

    /// Goes on with the result of the job that was out.
    pub(crate) fn resume(
        self,
        agreement: Agreement,
        sa: &mut Negotiation,
        output: &mut Output,
    ) -> Result<Self, Unusable> {
        match self {
            Self::MakingKeyPair(state) => {
                Ok(Self::SentMm3(state.resume(agreement.key_pair, sa, output)))
            }
            Self::MakingSecret(state) => Ok(Self::SentMm5(state.resume(
                &agreement.shared_secret.ok_or(Unusable)?,
                sa,
                output,
            ))),
            state @ (Self::SentMm1(_) | Self::SentMm3(_) | Self::SentMm5(_)) => Ok(state),
        }
    }
}

/// Sends MM1: what an initiator starts with.
pub(crate) fn start(sa: &mut Negotiation, output: &mut Output) -> State {
    let offer = Payload::SecurityAssociation(offer::offer(&sa.config.policies));
    let sai_b = Bytes::from(offer.body().unwrap_or_default());
    let mut chain = Chain::new();
    chain.push(&offer);
    output.trace(sa, Trace::PreSharedKeyFound);
    if sa.config.nat_traversal.is_some() {
        for version in NatTraversalVersion::ALL {
            let vendor_id = version.vendor_id();
            output.trace(
                sa,
                Trace::VendorIdConstructed {
                    vendor_id: Bytes::copy_from_slice(vendor_id.as_bytes()),
                },
            );
            chain.push(&Payload::VendorId(vendor_id));
        }
    }
    if sa.config.fragmentation.is_some() {
        chain.push(&Payload::VendorId(VendorId::FRAGMENTATION));
    }
    let input = (MajorInput::FromIpsec, MinorInput::SaRequestMainMode);
    output.transition(sa, input, StateKind::IkeReady, StateKind::IkeInitiatorMm1);
    output.trace(sa, Trace::BeginningMainMode);
    let payload = phase1::message(sa.header(ExchangeType::MAIN_MODE), &chain);
    phase1::send(sa, CoarseState::NoState, payload.clone(), output);
    sa.sent = Some(Sent::new(payload));
    State::SentMm1(SentMm1 { sai_b })
}

/// `IKE_I_MM1`.
#[derive(Debug)]
pub(crate) struct SentMm1 {
    sai_b: Bytes,
}

/// MM2: the responder's cookie and choice.
#[derive(Debug)]
pub(crate) struct AcceptedMm2 {
    responder_cookie: Cookie,
    agreed: Agreed,
    notes: Vec<Trace>,
    vendor_ids: Vec<Trace>,
}

impl SentMm1 {
    fn check(&self, message: &Message<'_>, sa: &Negotiation) -> Result<AcceptedMm2, Discard> {
        let payloads = phase1::clear(message)?;
        let mut notes = Vec::new();
        let responder_cookie = message.header.responder_cookie;
        let offered = (&sa.config.policies[..], &self.sai_b);
        Ok(AcceptedMm2 {
            responder_cookie,
            agreed: offer::check_answer(payloads, offered, &sa.config, &mut notes)?,
            vendor_ids: nat_traversal::vendor_id_notes(payloads, responder_cookie),
            notes,
        })
    }

    fn advance(
        self,
        accepted: AcceptedMm2,
        sa: &mut Negotiation,
        output: &mut Output,
    ) -> MakingKeyPair {
        let AcceptedMm2 { responder_cookie, agreed, notes, vendor_ids } = accepted;
        sa.responder_cookie = responder_cookie;
        sa.fragments = agreed.fragments;
        sa.sent = None;
        let input = (MajorInput::FromPeer, MinorInput::MainModeExchange);
        output.transition(sa, input, StateKind::IkeInitiatorMm1, StateKind::IkeInitiatorMm2);
        super::responder::trace_offer(sa, notes, vendor_ids, output);
        let input = (MajorInput::Internal, MinorInput::ProcessMainMode);
        output.transition(sa, input, StateKind::IkeInitiatorMm2, StateKind::IkeInitiatorMm2);
        let group = agreed.suite.group;
        let exponent = Exponent::draw(group, sa.config.exponent_length, &mut *output.rng);
        let id = output.job_id();
        output.job(Job::key_pair(id, group, exponent));
        MakingKeyPair { waiting: Waiting(id), agreed }
    }
}

/// `IKE_I_MM2`: our public value is being computed.
#[derive(Debug)]
pub(crate) struct MakingKeyPair {
    waiting: Waiting,
    agreed: Agreed,
}

impl MakingKeyPair {
    fn resume(self, key_pair: KeyPair, sa: &mut Negotiation, output: &mut Output) -> SentMm3 {
        let nonce = output.nonce(sa.config.nonce_len);
        let payload =
            super::key_exchange_message(key_pair.public(), &nonce, &self.agreed, sa, output);
        phase1::send(sa, CoarseState::SaSetup, payload.clone(), output);
        sa.sent = Some(Sent::new(payload));
        let input = (MajorInput::Internal, MinorInput::ProcessComplete);
        output.transition(sa, input, StateKind::IkeInitiatorMm2, StateKind::IkeInitiatorMm3);
        SentMm3 { agreed: self.agreed, key_pair, nonce }
    }
}

/// `IKE_I_MM3`.
#[derive(Debug)]
pub(crate) struct SentMm3 {
    agreed: Agreed,
    key_pair: KeyPair,
    nonce: Bytes,
}

impl SentMm3 {
    fn advance(
        self,
        mut accepted: KeyExchange,
        sa: &mut Negotiation,
        output: &mut Output,
    ) -> MakingSecret {
        sa.sent = None;
        let input = (MajorInput::FromPeer, MinorInput::MainModeExchange);
        output.transition(sa, input, StateKind::IkeInitiatorMm3, StateKind::IkeInitiatorMm4);
        accepted.trace(sa, output);
        let input = (MajorInput::Internal, MinorInput::ProcessMainMode);
        output.transition(sa, input, StateKind::IkeInitiatorMm4, StateKind::IkeInitiatorMm4);
        let id = output.job_id();
        let g_xi = self.key_pair.public().clone();
        let group = self.agreed.suite.group;
        let peer = accepted.public.clone();
        output.job(Job::shared_secret(id, group, self.key_pair, peer));
        MakingSecret {
            waiting: Waiting(id),
            agreed: self.agreed,
            nonce_i: self.nonce,
            nonce_r: accepted.nonce,
            g_xi,
            g_xr: accepted.public,
            nat: accepted.detection.nat,
            udp: accepted.detection.udp,
            dead_peer_detection: accepted.dead_peer_detection,
        }
    }
}

/// `IKE_I_MM4`: the shared secret is being computed.
#[derive(Debug)]
pub(crate) struct MakingSecret {
    waiting: Waiting,
    agreed: Agreed,
    nonce_i: Bytes,
    nonce_r: Bytes,
    g_xi: Bytes,
    g_xr: Bytes,
    nat: Nat,
    udp: bool,
    dead_peer_detection: bool,
}

impl MakingSecret {
    fn resume(
        self,
        secret: &crate::crypto::SharedSecret,
        sa: &mut Negotiation,
        output: &mut Output,
    ) -> SentMm5 {
        let udp = self.udp;
        let nonces = (&self.nonce_i[..], &self.nonce_r[..]);
        let public = (self.g_xi, self.g_xr);
        let transcript = Transcript::new(self.agreed, &sa.key, nonces, public, sa.cookies());
        let mut keyed = Keyed {
            nat: self.nat,
            udp,
            dead_peer_detection: self.dead_peer_detection,
            ..Keyed::derive(transcript, secret)
        };
        let payload = super::authentication_message(&mut keyed, sa, output);
        // RFC 3947 §4: with a NAT on the way, MM5 is the first message on the other ports.
        let floated = nat_traversal::floated(sa);
        if udp && floated != sa.path {
            sa.path = floated;
            output.trace(sa, Trace::PortsFloated { path: floated });
        }
        phase1::send(sa, CoarseState::KeyExchange, payload.clone(), output);
        sa.sent = Some(Sent::new(payload));
        let input = (MajorInput::Internal, MinorInput::ProcessComplete);
        output.transition(sa, input, StateKind::IkeInitiatorMm4, StateKind::IkeInitiatorMm5);
        SentMm5 { keyed: Box::new(keyed) }
    }
}

/// `IKE_I_MM5`.
#[derive(Debug)]
pub(crate) struct SentMm5 {
    keyed: Box<Keyed>,
}

impl SentMm5 {
    fn advance(
        mut self,
        accepted: Authentication,
        sa: &mut Negotiation,
        output: &mut Output,
    ) -> Established {
        sa.sent = None;
        accepted.trace(sa, output);
        output.trace(sa, Trace::AuthenticationStatus);
        output.trace(sa, Trace::Authenticated);
        output.trace(sa, Trace::PeerInserted);
        for (major, minor, old, new) in [
            (
                MajorInput::FromPeer,
                MinorInput::MainModeExchange,
                StateKind::IkeInitiatorMm5,
                StateKind::IkeInitiatorMm6,
            ),
            (
                MajorInput::Internal,
                MinorInput::ProcessMainMode,
                StateKind::IkeInitiatorMm6,
                StateKind::IkeInitiatorMm6,
            ),
            (
                MajorInput::Internal,
                MinorInput::ProcessComplete,
                StateKind::IkeInitiatorMm6,
                StateKind::IkePhase1Complete,
            ),
        ] {
            output.transition(sa, (major, minor), old, new);
        }
        self.keyed.iv = accepted.iv.clone();
        self.keyed.established(accepted, output)
    }
}
