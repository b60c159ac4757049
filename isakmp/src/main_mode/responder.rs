//! Main mode, responder.
//!
//! ```text
//!   IKE_READY ─▶MM1, MM2─ R_MM2 ─▶MM3, job─ R_MM3 ─job, MM4▶ R_MM4 ─▶MM5, MM6─ P1_COMPLETE
//! ```
//!
//! It sends nothing by timer: only answers, one for each message, and the same again for the same
//! message.

use alloc::boxed::Box;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::crypto::{Agreement, Exponent, Job};
use crate::output::Output;
use crate::phase1::offer::{self, Agreed};
use crate::phase1::{
    self, Authentication, Established, Keyed, Negotiation, Phase1State, Transcript, Unusable,
    Waiting,
};
use crate::wire::{
    Chain, ExchangeType, Message, MessageId, Payload, PayloadType, SecurityAssociation, VendorId,
};
use crate::{CoarseState, Discard, MajorInput, MinorInput, Nat, Path, StateKind, Trace, Transport};
use crate::{fragmentation, nat_traversal};

use super::KeyExchange;

/// Where main mode is.
#[derive(Debug)]
pub(crate) enum State {
    SentMm2(SentMm2),
    MakingBoth(MakingBoth),
    SentMm4(SentMm4),
}

/// A message found acceptable.
#[derive(Debug)]
pub(crate) enum Accepted {
    Mm3(KeyExchange),
    Mm5(Authentication),
}

impl State {
    pub(crate) const fn kind(&self) -> StateKind {
        match self {
            Self::SentMm2(_) => StateKind::IkeResponderMm2,
            Self::MakingBoth(_) => StateKind::IkeResponderMm3,
            Self::SentMm4(_) => StateKind::IkeResponderMm4,
        }
    }

    /// What IOS prints with the next packet that is received.
    pub(crate) const fn coarse(&self) -> CoarseState {
        match self {
            Self::SentMm2(_) | Self::MakingBoth(_) => CoarseState::SaSetup,
            Self::SentMm4(_) => CoarseState::KeyExchange,
        }
    }

    pub(crate) const fn agreed(&self) -> &Agreed {
        match self {
            Self::SentMm2(state) => &state.agreed,
            Self::MakingBoth(state) => &state.agreed,
            Self::SentMm4(state) => &state.keyed.transcript.agreed,
        }
    }

    /// The job that is out.
    pub(crate) const fn waiting(&self) -> Option<Waiting> {
        match self {
            Self::MakingBoth(state) => Some(state.waiting),
            Self::SentMm2(_) | Self::SentMm4(_) => None,
        }
    }

    pub(crate) fn check(
        &self,
        message: &Message<'_>,
        path: &Path,
        sa: &Negotiation,
    ) -> Result<Accepted, Discard> {
        let wrong_path = Discard::WrongPath { source_address: path.remote.ip() };
        match self {
            Self::SentMm2(_) | Self::MakingBoth(_) if *path != sa.path => Err(wrong_path),
            Self::SentMm2(state) => {
                KeyExchange::check(message, sa, &state.agreed).map(Accepted::Mm3)
            }
            Self::SentMm4(state) => {
                phase1::check_floated(path, sa, &state.keyed.transcript.agreed)?;
                super::check_authentication(&state.keyed, message, path, sa).map(Accepted::Mm5)
            }
            Self::MakingBoth(_) => Err(Discard::UnexpectedState { state: self.kind() }),
        }
    }

    pub(crate) fn advance(
        self,
        accepted: Accepted,
        sa: &mut Negotiation,
        output: &mut Output,
    ) -> Phase1State {
        match (self, accepted) {
            (Self::SentMm2(state), Accepted::Mm3(accepted)) => {
                let state = Self::MakingBoth(state.advance(accepted, sa, output));
                Phase1State::Responder(Box::new(state))
            }
            (Self::SentMm4(state), Accepted::Mm5(accepted)) => {
                Phase1State::Established(Box::new(state.advance(accepted, sa, output)))
            }
            // `check` pairs each state with its own message.
            (state, _) => Phase1State::Responder(Box::new(state)),
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
            Self::MakingBoth(state) => state.resume(agreement, sa, output).map(Self::SentMm4),
            state @ (Self::SentMm2(_) | Self::SentMm4(_)) => Ok(state),
        }
    }
}

/// MM1 found acceptable.
#[derive(Debug)]
pub(crate) struct AcceptedMm1 {
    agreed: Agreed,
    /// What goes into MM2: the chosen transform as it came.
    answer: SecurityAssociation<'static>,
    /// Whether the initiator's fragmentation vendor id has capabilities: ours is no longer than it, so
    /// that MM2 is not larger than MM1.
    capabilities: bool,
    notes: Vec<Trace>,
    vendor_ids: Vec<Trace>,
}

/// Checks MM1. What was looked at is noted even if nothing fits.
pub(crate) fn check(
    message: &Message<'_>,
    sa: &Negotiation,
    notes: &mut Vec<Trace>,
) -> Result<AcceptedMm1, Discard> {
    let payloads = phase1::clear(message)?;
    let (agreed, answer) = offer::check_offer(payloads, &sa.config, notes)?;
    Ok(AcceptedMm1 {
        agreed,
        answer,
        capabilities: fragmentation::named_with_capabilities(payloads),
        notes: core::mem::take(notes),
        vendor_ids: nat_traversal::vendor_id_notes(payloads, sa.initiator_cookie),
    })
}

/// Sends MM2: what a responder starts with.
pub(crate) fn start(accepted: AcceptedMm1, sa: &mut Negotiation, output: &mut Output) -> State {
    let AcceptedMm1 { agreed, answer, capabilities, notes, vendor_ids } = accepted;
    output.trace(sa, Trace::PeerCreated);
    output.trace(sa, Trace::Ports);
    let input = (MajorInput::FromPeer, MinorInput::MainModeExchange);
    output.transition(sa, input, StateKind::IkeReady, StateKind::IkeResponderMm1);
    trace_offer(sa, notes, vendor_ids, output);
    let input = (MajorInput::Internal, MinorInput::ProcessMainMode);
    output.transition(sa, input, StateKind::IkeResponderMm1, StateKind::IkeResponderMm1);

    let mut chain = Chain::new();
    chain.push(&Payload::SecurityAssociation(answer));
    if let Some(version) = agreed.nat_version {
        let vendor_id = version.vendor_id();
        let bytes = Bytes::copy_from_slice(vendor_id.as_bytes());
        output.trace(sa, Trace::VendorIdConstructed { vendor_id: bytes });
        chain.push(&Payload::VendorId(vendor_id));
    }
    if agreed.fragments.is_some() {
        let vendor_id = match capabilities {
            true => VendorId::FRAGMENTATION,
            false => VendorId::FRAGMENTATION_PLAIN,
        };
        chain.push(&Payload::VendorId(vendor_id));
    }
    let payload = phase1::message(sa.header(ExchangeType::MAIN_MODE), &chain);
    phase1::send(sa, CoarseState::SaSetup, payload.clone(), output);
    sa.reply(payload);
    let input = (MajorInput::Internal, MinorInput::ProcessComplete);
    output.transition(sa, input, StateKind::IkeResponderMm1, StateKind::IkeResponderMm2);
    State::SentMm2(SentMm2 { agreed })
}

/// Records what MM1 or MM2 says, in the order in which IOS looks at it: vendor ids twice.
pub(super) fn trace_offer(
    sa: &Negotiation,
    notes: Vec<Trace>,
    vendor_ids: Vec<Trace>,
    output: &mut Output,
) {
    let payload = PayloadType::SECURITY_ASSOCIATION;
    output.trace(sa, Trace::Processing { payload, message_id: MessageId::ZERO });
    output.trace_all(sa, vendor_ids.iter().cloned());
    output.trace(sa, Trace::PreSharedKeyFound);
    output.trace(sa, Trace::LocalPreSharedKeyFound);
    output.trace(sa, Trace::ScanningProfiles);
    output.trace_all(sa, notes);
    output.trace_all(sa, vendor_ids);
}

/// `IKE_R_MM2`.
#[derive(Debug)]
pub(crate) struct SentMm2 {
    agreed: Agreed,
}

impl SentMm2 {
    fn advance(
        self,
        mut accepted: KeyExchange,
        sa: &mut Negotiation,
        output: &mut Output,
    ) -> MakingBoth {
        sa.fragments = self.agreed.fragments;
        let input = (MajorInput::FromPeer, MinorInput::MainModeExchange);
        output.transition(sa, input, StateKind::IkeResponderMm2, StateKind::IkeResponderMm3);
        accepted.trace(sa, output);
        let input = (MajorInput::Internal, MinorInput::ProcessMainMode);
        output.transition(sa, input, StateKind::IkeResponderMm3, StateKind::IkeResponderMm3);
        let group = self.agreed.suite.group;
        let exponent = Exponent::draw(group, sa.config.exponent_length, &mut *output.rng);
        let id = output.job_id();
        let peer = accepted.public.clone();
        output.job(Job::both(id, group, exponent, peer));
        MakingBoth {
            waiting: Waiting(id),
            agreed: self.agreed,
            nonce_i: accepted.nonce,
            g_xi: accepted.public,
            nat: accepted.detection.nat,
            udp: accepted.detection.udp,
            dead_peer_detection: accepted.dead_peer_detection,
        }
    }
}

/// `IKE_R_MM3`: public value and shared secret are being computed.
#[derive(Debug)]
pub(crate) struct MakingBoth {
    waiting: Waiting,
    agreed: Agreed,
    nonce_i: Bytes,
    g_xi: Bytes,
    nat: Nat,
    udp: bool,
    dead_peer_detection: bool,
}

impl MakingBoth {
    fn resume(
        self,
        agreement: Agreement,
        sa: &mut Negotiation,
        output: &mut Output,
    ) -> Result<SentMm4, Unusable> {
        let secret = agreement.shared_secret.ok_or(Unusable)?;
        let nonce_r = output.nonce(sa.config.nonce_len);
        let g_xr = agreement.key_pair.public().clone();
        let payload = super::key_exchange_message(&g_xr, &nonce_r, &self.agreed, sa, output);
        phase1::send(sa, CoarseState::KeyExchange, payload.clone(), output);
        sa.reply(payload);
        let input = (MajorInput::Internal, MinorInput::ProcessComplete);
        output.transition(sa, input, StateKind::IkeResponderMm3, StateKind::IkeResponderMm4);
        let nonces = (&self.nonce_i[..], &nonce_r[..]);
        let public = (self.g_xi, g_xr);
        let transcript = Transcript::new(self.agreed, &sa.key, nonces, public, sa.cookies());
        let keyed = Keyed {
            nat: self.nat,
            udp: self.udp,
            dead_peer_detection: self.dead_peer_detection,
            ..Keyed::derive(transcript, &secret)
        };
        Ok(SentMm4 { keyed: Box::new(keyed) })
    }
}

/// `IKE_R_MM4`.
#[derive(Debug)]
pub(crate) struct SentMm4 {
    keyed: Box<Keyed>,
}

impl SentMm4 {
    fn advance(
        mut self,
        accepted: Authentication,
        sa: &mut Negotiation,
        output: &mut Output,
    ) -> Established {
        // From here on the path is authenticated.
        if accepted.path != sa.path {
            sa.path = accepted.path;
            output.trace(sa, Trace::PortsFloated { path: accepted.path });
        }
        // The initiator's judgement on NATs holds for both: NAT-D payloads are not authenticated,
        // but where MM5 comes from shows what the initiator made of ours.
        self.keyed.udp = self.keyed.transcript.agreed.nat_version.is_some()
            && sa.path.transport == Transport::NatT;
        let input = (MajorInput::FromPeer, MinorInput::MainModeExchange);
        output.transition(sa, input, StateKind::IkeResponderMm4, StateKind::IkeResponderMm5);
        accepted.trace(sa, output);
        let initial_contact = accepted.trace_responder(sa, output);
        let input = (MajorInput::Internal, MinorInput::ProcessMainMode);
        output.transition(sa, input, StateKind::IkeResponderMm5, StateKind::IkeResponderMm5);
        if initial_contact {
            output.trace(sa, Trace::KeyEngineEvent);
        }
        self.keyed.iv = accepted.iv.clone();
        let payload = super::authentication_message(&mut self.keyed, sa, output);
        phase1::send(sa, CoarseState::KeyExchange, payload.clone(), output);
        sa.reply(payload);
        let input = (MajorInput::Internal, MinorInput::ProcessComplete);
        output.transition(sa, input, StateKind::IkeResponderMm5, StateKind::IkePhase1Complete);
        self.keyed.established(accepted, output)
    }
}
