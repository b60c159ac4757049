//! Quick mode, responder.
//!
//! ```text
//!   QM_READY ─▶QM1, [job]─ QM_SPI_STARVE ─QM2▶ QM_R_QM2 ─▶QM3─ QM_PHASE2_COMPLETE
//! ```

use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::crypto::{Agreement, DiffieHellman, Exponent, Iv, Job, SharedSecret};
use crate::output::Output;
use crate::phase1::{self, Waiting};
use crate::phase1::{Answered, Established, Negotiation, ProtectedChannel, Sent};
use crate::wire::{
    Message, Notification, NotifyType, Payload, PayloadType, ResponderLifetime, SecurityAssociation,
};
use crate::{
    Discard, MajorInput, MinorInput, NodeEnd, OriginalAddresses, Protection, ProtectionId, Role,
    StateKind, Trace,
};

use super::offer::{self, Choice, Udp};
use super::proxies::{self, Matched};
use super::{Agreement2, Deviations, Exchange, NewChild, Opened, Step};

/// Where the responder is.
#[derive(Debug)]
pub(crate) enum State {
    MakingBoth(MakingBoth),
    SentQm2(SentQm2),
}

impl State {
    pub(crate) const fn kind(&self) -> StateKind {
        match self {
            Self::MakingBoth(_) => StateKind::QuickModeSpiStarve,
            Self::SentQm2(_) => StateKind::QuickModeResponderQm2,
        }
    }

    pub(crate) const fn waiting(&self) -> Option<Waiting> {
        match self {
            Self::MakingBoth(state) => Some(state.waiting),
            Self::SentQm2(_) => None,
        }
    }

    pub(super) fn check(
        &self,
        message: &Message<'_>,
        exchange: &Exchange,
        phase1: &Established,
    ) -> Result<AcceptedQm3, Discard> {
        match self {
            Self::SentQm2(state) => state.check(message, exchange, phase1),
            Self::MakingBoth(_) => Err(Discard::UnexpectedState { state: self.kind() }),
        }
    }

    pub(super) fn advance(
        self,
        accepted: AcceptedQm3,
        exchange: &mut Exchange,
        sa: &Negotiation,
        output: &mut Output,
    ) -> Step {
        let AcceptedQm3 { iv } = accepted;
        exchange.iv = iv;
        exchange.sent = None;
        output.trace(
            sa,
            Trace::NodeDeleted {
                message_id: exchange.message_id,
                error: false,
                reason: NodeEnd::QuickModeDone,
            },
        );
        output.node_transition(
            sa,
            exchange.message_id,
            (MajorInput::FromPeer, MinorInput::QuickModeExchange),
            StateKind::QuickModeResponderQm2,
            StateKind::QuickModePhase2Complete,
        );
        Step::Confirmed
    }

    pub(super) fn resume(
        self,
        agreement: Agreement,
        exchange: &mut Exchange,
        sa: &Negotiation,
        channel: &ProtectedChannel,
        output: &mut Output,
    ) -> Option<Step> {
        match self {
            Self::MakingBoth(state) => {
                let secret = agreement.shared_secret?;
                let public = agreement.key_pair.public().clone();
                let settled = &state.settled;
                let secrets = Some((&secret, public));
                Some(send_qm2(settled, secrets, exchange, sa, channel, output))
            }
            state @ Self::SentQm2(_) => Some(Step::Halfway(super::State::Responder(state))),
        }
    }
}

/// QM1 found acceptable.
#[derive(Debug)]
pub(crate) struct AcceptedQm1 {
    pub(crate) matched: Matched,
    pub(crate) original_addresses: OriginalAddresses,
    choice: Choice,
    nonce: Bytes,
    group: Option<&'static dyn DiffieHellman>,
    public: Option<Bytes>,
    iv: Iv,
    udp: Udp,
    deviations: Deviations,
    notes: Vec<Trace>,
}

/// Why QM1 is refused; what is authentic gets an answer.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) discard: Discard,
    pub(crate) notify: Option<NotifyType>,
    /// What was looked at.
    pub(crate) notes: Vec<Trace>,
}

impl From<Discard> for Refusal {
    fn from(discard: Discard) -> Self {
        Self { discard, notify: None, notes: Vec::new() }
    }
}

/// Checks QM1 against all protections.
pub(crate) fn check(
    message: &Message<'_>,
    sa: &Negotiation,
    phase1: &Established,
    protections: impl Iterator<Item = (ProtectionId, Arc<Protection>)> + Clone,
) -> Result<AcceptedQm1, Refusal> {
    let message_id = message.header.message_id;
    let first_iv = phase1.keys.first_iv(message_id);
    let (plain, iv) = phase1.keys.open(&first_iv, super::encrypted(message)?)?;
    let opened = Opened::parse(message, &plain)?;
    let payloads = &opened.payloads;
    opened.verify(&phase1.keys.session.hash_1(message_id.0, payloads.after_first()))?;
    sa.config.limits.check_offers(payloads)?;
    // From here on it is the peer who speaks, and it is told what is wrong.
    let refuse = |notify: NotifyType, notes: Vec<Trace>| {
        move |discard: Discard| Refusal { discard, notify: Some(notify), notes }
    };
    let malformed = || refuse(NotifyType::PAYLOAD_MALFORMED, Vec::new());
    let received = phase1::one(payloads, PayloadType::SECURITY_ASSOCIATION).map_err(malformed())?;
    let Payload::SecurityAssociation(offered) = &received.payload else {
        return Err(malformed()(Discard::OfferShape));
    };
    let nonce = phase1::nonce(payloads).map_err(malformed())?;
    let ids = proxies::received(payloads).map_err(malformed())?;
    let udp = phase1.udp;
    let mut deviations = Vec::new();
    let matched = proxies::match_protection(ids, sa, phase1.nat, protections, &mut deviations)
        .map_err(refuse(NotifyType::INVALID_ID_INFORMATION, Vec::new()))?;
    let original_addresses =
        proxies::original_addresses(payloads, Role::Responder, &mut deviations)
            .map_err(malformed())?;
    let terms = &matched.terms;
    let mut notes = Vec::new();
    let mut choice = match offer::choose(offered, terms, udp, &mut notes) {
        Ok(choice) => choice,
        Err(discard) => return Err(refuse(NotifyType::NO_PROPOSAL_CHOSEN, notes)(discard)),
    };
    let group = match choice.pfs {
        None => None,
        Some(group) => match sa.config.provider.group(group) {
            Some(group) => Some(group),
            None => {
                let discard = Discard::PfsMismatch { peer: choice.pfs, ours: terms.pfs };
                return Err(refuse(NotifyType::NO_PROPOSAL_CHOSEN, notes)(discard));
            }
        },
    };
    // RFC 2408 §5.7.
    let public =
        opened.public(group).map_err(refuse(NotifyType::INVALID_KEY_INFORMATION, Vec::new()))?;
    deviations.append(&mut choice.deviations);
    choice.deviations = Vec::new();
    Ok(AcceptedQm1 {
        matched,
        original_addresses,
        choice,
        nonce,
        group,
        public,
        iv,
        udp,
        deviations,
        notes,
    })
}

/// Answers QM1, or lets both halves of perfect forward secrecy be computed first.
pub(crate) fn start(
    accepted: AcceptedQm1,
    exchange: &mut Exchange,
    sa: &Negotiation,
    channel: &ProtectedChannel,
    output: &mut Output,
) -> Step {
    exchange.iv = accepted.iv;
    output.trace(sa, Trace::NewNode { message_id: exchange.message_id });
    output.trace(sa, exchange.processing(PayloadType::HASH));
    output.trace(sa, exchange.processing(PayloadType::SECURITY_ASSOCIATION));
    output.trace_all(sa, accepted.notes);
    output.trace(sa, exchange.validate(sa));
    output.trace(sa, exchange.processing(PayloadType::NONCE));
    output.trace(sa, exchange.processing(PayloadType::IDENTIFICATION));
    output.trace(sa, exchange.processing(PayloadType::IDENTIFICATION));
    for deviation in accepted.deviations {
        output.deviation(sa, deviation);
    }
    output.trace(sa, Trace::GetsSpi { role: Role::Responder });
    output.node_transition(
        sa,
        exchange.message_id,
        (MajorInput::FromPeer, MinorInput::QuickModeExchange),
        StateKind::QuickModeReady,
        StateKind::QuickModeSpiStarve,
    );
    let settled = Settled { choice: accepted.choice, nonce_i: accepted.nonce, udp: accepted.udp };
    match (accepted.group, accepted.public) {
        (Some(group), Some(peer)) => {
            let exponent = Exponent::draw(group, sa.config.exponent_length, &mut *output.rng);
            let id = output.job_id();
            output.job(Job::both(id, group, exponent, peer));
            let state = MakingBoth { waiting: Waiting(id), settled };
            Step::Halfway(super::State::Responder(State::MakingBoth(state)))
        }
        _ => send_qm2(&settled, None, exchange, sa, channel, output),
    }
}

/// `IKE_QM_SPI_STARVE`: both halves are being computed.
#[derive(Debug)]
pub(crate) struct MakingBoth {
    waiting: Waiting,
    settled: Settled,
}

#[derive(Debug)]
struct Settled {
    choice: Choice,
    nonce_i: Bytes,
    udp: Udp,
}

fn send_qm2(
    settled: &Settled,
    secrets: Option<(&SharedSecret, Bytes)>,
    exchange: &mut Exchange,
    sa: &Negotiation,
    channel: &ProtectedChannel,
    output: &mut Output,
) -> Step {
    let Settled { choice, nonce_i, udp } = settled;
    let nonce_r = output.nonce(sa.config.nonce_len);
    let agreed = Agreement2 {
        set: choice.set,
        outbound_spi: choice.peer_spi,
        lifetime: choice.lifetime,
        pfs: choice.pfs,
        secret: secrets.as_ref().map(|(secret, _)| *secret),
        nonce_i,
        nonce_r: &nonce_r,
    };
    let child = NewChild::derive(exchange, channel, &agreed);
    exchange.trace_creating(&child, sa, output);
    let mut proposal = choice.proposal.clone();
    proposal.spi = exchange.inbound_spi.to_be_bytes().to_vec().into();
    let association = Payload::SecurityAssociation(SecurityAssociation::new(Vec::from([proposal])));
    let public = secrets.map(|(_, public)| public);
    let mut chain = exchange.chain(association, &nonce_r, public.as_deref(), sa, *udp);
    if choice.announce_lifetime {
        // RFC 2407 §4.6.3.1: inside QM2, with our SPI.
        let attributes = offer::lifetime_attributes(choice.lifetime);
        let data = ResponderLifetime { attributes }.encode().unwrap_or_default();
        chain.push(&Payload::Notification(Notification::esp(
            NotifyType::RESPONDER_LIFETIME,
            exchange.inbound_spi,
            data,
        )));
    }
    let hash = channel.session.hash_2(exchange.message_id.0, nonce_i, chain.bytes());
    chain.push_front(&Payload::Hash(hash.as_bytes().into()));
    let payload = exchange.send(sa, channel, &chain, output);
    if let Some(Answered { reply, .. }) = &mut exchange.answered {
        *reply = Some(payload.clone());
    }
    exchange.sent = Some(Sent::new(payload));
    output.node_transition(
        sa,
        exchange.message_id,
        (MajorInput::Internal, MinorInput::GotSpi),
        StateKind::QuickModeSpiStarve,
        StateKind::QuickModeResponderQm2,
    );
    let nonce_i = settled.nonce_i.clone();
    let state = State::SentQm2(SentQm2 { nonce_i, nonce_r });
    Step::Installed(super::State::Responder(state), child)
}

/// `IKE_QM_R_QM2`.
#[derive(Debug)]
pub(crate) struct SentQm2 {
    nonce_i: Bytes,
    nonce_r: Bytes,
}

/// QM3: the initiator is alive and has the keys.
#[derive(Debug)]
pub(crate) struct AcceptedQm3 {
    iv: Iv,
}

impl SentQm2 {
    fn check(
        &self,
        message: &Message<'_>,
        exchange: &Exchange,
        phase1: &Established,
    ) -> Result<AcceptedQm3, Discard> {
        let (plain, iv) = phase1.keys.open(&exchange.iv, super::encrypted(message)?)?;
        let opened = Opened::parse(message, &plain)?;
        let session = &phase1.keys.session;
        opened.verify(&session.hash_3(exchange.message_id.0, &self.nonce_i, &self.nonce_r))?;
        Ok(AcceptedQm3 { iv })
    }
}
