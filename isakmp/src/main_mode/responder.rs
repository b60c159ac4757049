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
use crate::fragmentation;
use crate::nat_traversal::{self, NatTraversalVersion};
use crate::output::Output;
use crate::phase1::{Established, Negotiation, Phase1State};
use crate::wire::{
    Chain, ExchangeType, Message, MessageId, NotifyType, Payload, PayloadType, Proposal,
    SecurityAssociation, Transform, VendorId,
};
use crate::{
    CoarseState, Discard, MajorInput, MinorInput, Nat, Path, Role, StateKind, Trace, Transport,
};

use super::initiator::Unusable;
use super::offer::{self, Agreed};
use super::{Authentication, KeyExchange, KeyInputs, Keyed, Waiting};

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
            Self::SentMm4(state) => &state.keyed.agreed,
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
                // RFC 3947 §4: the initiator moves to the other ports with MM5, and the NAT gives
                // it whatever port it likes.
                let floated = path.transport == Transport::NatT
                    && state.keyed.agreed.nat_version.is_some()
                    && path.local.ip() == sa.path.local.ip()
                    && path.remote.ip() == sa.path.remote.ip();
                if *path != sa.path && !floated {
                    return Err(wrong_path);
                }
                state.keyed.check_authentication(message, path, sa).map(Accepted::Mm5)
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
                Phase1State::Responder(Self::MakingBoth(state.advance(accepted, sa, output)))
            }
            (Self::SentMm4(state), Accepted::Mm5(accepted)) => {
                Phase1State::Established(Box::new(state.advance(accepted, sa, output)))
            }
            // `check` pairs each state with its own message.
            (state, _) => Phase1State::Responder(state),
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
    notes: Vec<Trace>,
    vendor_ids: Vec<Trace>,
}

/// Checks MM1. What was looked at is noted even if nothing fits.
pub(crate) fn check(
    message: &Message<'_>,
    sa: &Negotiation,
    notes: &mut Vec<Trace>,
) -> Result<AcceptedMm1, Discard> {
    let payloads = super::clear(message)?;
    let received = super::one(payloads, PayloadType::SECURITY_ASSOCIATION)?;
    let Payload::SecurityAssociation(offered) = &received.payload else {
        return Err(Discard::OfferShape);
    };
    let choice = offer::choose(offered, &sa.config, notes)?;
    let ours = choice.policy.lifetime;
    let peer_lifetime = choice.peer_lifetime.unwrap_or(ours);
    // RFC 2409 §5: the chosen transform goes back unchanged; what we keep for ourselves, the
    // lower lifetime, is announced by RESPONDER-LIFETIME (RFC 2407 §4.6.3.1).
    let transform: Transform<'static> = choice.transform.clone().into_owned();
    let Proposal { number, protocol, spi, .. } = choice.proposal.clone().into_owned();
    let proposal = Proposal::new(number, protocol, spi, Vec::from([transform]));
    Ok(AcceptedMm1 {
        agreed: Agreed {
            sai_b: Bytes::copy_from_slice(received.body()),
            policy: choice.policy,
            suite: choice.suite,
            lifetime: offer::bearable(peer_lifetime).min(ours),
            announce_lifetime: ours < peer_lifetime,
            nat_version: sa
                .config
                .nat_traversal
                .and_then(|_| NatTraversalVersion::choose(payloads)),
            dead_peer_detection: nat_traversal::names_dead_peer_detection(payloads),
            fragments: sa.config.fragmentation.filter(|_| fragmentation::named(payloads)),
        },
        answer: SecurityAssociation::new(Vec::from([proposal])),
        notes: core::mem::take(notes),
        vendor_ids: nat_traversal::vendor_id_notes(payloads, sa, Role::Initiator),
    })
}

/// Sends MM2: what a responder starts with.
pub(crate) fn start(accepted: AcceptedMm1, sa: &mut Negotiation, output: &mut Output) -> State {
    let AcceptedMm1 { agreed, answer, notes, vendor_ids } = accepted;
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
        chain.push(&Payload::VendorId(VendorId::FRAGMENTATION));
    }
    let payload = super::message(sa.header(ExchangeType::MAIN_MODE), &chain);
    super::send(sa, CoarseState::SaSetup, payload.clone(), output);
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
        output.jobs.push_back(Job::both(id, group, exponent, peer));
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
        super::send(sa, CoarseState::KeyExchange, payload.clone(), output);
        sa.reply(payload);
        let input = (MajorInput::Internal, MinorInput::ProcessComplete);
        output.transition(sa, input, StateKind::IkeResponderMm3, StateKind::IkeResponderMm4);
        let inputs = KeyInputs {
            secret: &secret,
            nonce_i: &self.nonce_i,
            nonce_r: &nonce_r,
            g_xi: self.g_xi,
            g_xr,
            nat: self.nat,
            udp: self.udp,
            dead_peer_detection: self.dead_peer_detection,
        };
        Ok(SentMm4 { keyed: Box::new(Keyed::derive(self.agreed, sa, inputs)) })
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
        self.keyed.udp =
            self.keyed.agreed.nat_version.is_some() && sa.path.transport == Transport::NatT;
        let input = (MajorInput::FromPeer, MinorInput::MainModeExchange);
        output.transition(sa, input, StateKind::IkeResponderMm4, StateKind::IkeResponderMm5);
        accepted.trace(sa, output);
        for notification in &accepted.notifications {
            output.trace(
                sa,
                Trace::ProcessingNotify {
                    notify_type: notification.notify_type,
                    protocol: notification.protocol,
                    spi: Bytes::copy_from_slice(&notification.spi),
                    message_id: MessageId::ZERO,
                },
            );
        }
        output.trace(sa, Trace::AuthenticationStatus);
        output.trace(sa, Trace::Authenticated);
        let initial_contact = accepted
            .notifications
            .iter()
            .any(|notification| notification.notify_type == NotifyType::INITIAL_CONTACT);
        if initial_contact {
            output.trace(sa, Trace::AuthenticationStatus);
            output.trace(sa, Trace::InitialContact);
        }
        output.trace(sa, Trace::PeerInserted);
        let input = (MajorInput::Internal, MinorInput::ProcessMainMode);
        output.transition(sa, input, StateKind::IkeResponderMm5, StateKind::IkeResponderMm5);
        if initial_contact {
            output.trace(sa, Trace::KeyEngineEvent);
        }
        self.keyed.iv = accepted.iv.clone();
        let payload = self.keyed.authentication_message(sa, output);
        super::send(sa, CoarseState::KeyExchange, payload.clone(), output);
        sa.reply(payload);
        let input = (MajorInput::Internal, MinorInput::ProcessComplete);
        output.transition(sa, input, StateKind::IkeResponderMm5, StateKind::IkePhase1Complete);
        self.keyed.established(accepted, output)
    }
}
