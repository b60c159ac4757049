//! Quick mode, initiator.
//!
//! ```text
//!   QM_READY ─[job], QM1▶ QM_I_QM1 ─▶QM2, [job]─ … ─QM3▶ QM_PHASE2_COMPLETE
//! ```

use alloc::vec::Vec;

use bytes::Bytes;

use crate::crypto::{Agreement, DiffieHellman, Exponent, Iv, Job, KeyPair, SharedSecret};
use crate::output::Output;
use crate::phase1::{self, Waiting};
use crate::phase1::{Answered, Established, Negotiation, ProtectedChannel, Sent};
use crate::wire::{Chain, Message, NotifyType, Payload, PayloadType, ProtocolId, phase2};
use crate::{
    Deviation, Discard, MajorInput, MinorInput, NodeEnd, OriginalAddresses, Role, Selectors,
    StateKind, Trace,
};

use super::offer::{self, Choice};
use super::proxies;
use super::{Agreement2, Deviations, Exchange, NewChild, Opened, Step};

/// Where the initiator is.
#[derive(Debug)]
pub(crate) enum State {
    MakingKeyPair(MakingKeyPair),
    SentQm1(SentQm1),
    MakingSecret(MakingSecret),
}

impl State {
    pub(crate) const fn kind(&self) -> StateKind {
        match self {
            Self::MakingKeyPair(_) => StateKind::QuickModeReady,
            Self::SentQm1(_) | Self::MakingSecret(_) => StateKind::QuickModeInitiatorQm1,
        }
    }

    pub(crate) const fn waiting(&self) -> Option<Waiting> {
        match self {
            Self::MakingKeyPair(state) => Some(state.waiting),
            Self::MakingSecret(state) => Some(state.waiting),
            Self::SentQm1(_) => None,
        }
    }

    pub(super) fn check(
        &self,
        message: &Message<'_>,
        exchange: &Exchange,
        sa: &Negotiation,
        phase1: &Established,
    ) -> Result<AcceptedQm2, Discard> {
        match self {
            Self::SentQm1(state) => state.check(message, exchange, sa, phase1),
            Self::MakingKeyPair(_) | Self::MakingSecret(_) => {
                Err(Discard::UnexpectedState { state: self.kind() })
            }
        }
    }

    pub(super) fn advance(
        self,
        accepted: AcceptedQm2,
        exchange: &mut Exchange,
        sa: &Negotiation,
        channel: &ProtectedChannel,
        output: &mut Output,
    ) -> Step {
        match self {
            Self::SentQm1(state) => state.advance(accepted, exchange, sa, channel, output),
            // `check` lets nothing through here.
            state @ (Self::MakingKeyPair(_) | Self::MakingSecret(_)) => {
                Step::Halfway(super::State::Initiator(state))
            }
        }
    }

    pub(super) fn resume(
        self,
        agreement: Agreement,
        exchange: &mut Exchange,
        sa: &Negotiation,
        phase1: &Established,
        output: &mut Output,
    ) -> Option<Step> {
        match self {
            Self::MakingKeyPair(state) => {
                let key_pair = Some((state.group, agreement.key_pair));
                let state = send_qm1(key_pair, exchange, sa, phase1, output);
                Some(Step::Halfway(super::State::Initiator(Self::SentQm1(state))))
            }
            Self::MakingSecret(state) => {
                let secret = agreement.shared_secret?;
                let channel = &phase1.keys;
                Some(finish(&state.settled, Some(&secret), exchange, sa, channel, output))
            }
            state @ Self::SentQm1(_) => Some(Step::Halfway(super::State::Initiator(state))),
        }
    }
}

/// Starts: sends QM1, or lets our public value be computed first.
pub(crate) fn start(
    exchange: &mut Exchange,
    sa: &Negotiation,
    phase1: &Established,
    output: &mut Output,
) -> State {
    output.trace(sa, Trace::BeginningQuickMode { message_id: exchange.message_id });
    output.trace(sa, Trace::GetsSpi { role: Role::Initiator });
    let group = exchange.terms.pfs.and_then(|group| sa.config.provider.group(group));
    match group {
        Some(group) => {
            let exponent = Exponent::draw(group, sa.config.exponent_length, &mut *output.rng);
            let id = output.job_id();
            output.job(Job::key_pair(id, group, exponent));
            State::MakingKeyPair(MakingKeyPair { waiting: Waiting(id), group })
        }
        None => State::SentQm1(send_qm1(None, exchange, sa, phase1, output)),
    }
}

/// Our public value for perfect forward secrecy is being computed.
#[derive(Debug)]
pub(crate) struct MakingKeyPair {
    waiting: Waiting,
    group: &'static dyn DiffieHellman,
}

fn send_qm1(
    key_pair: Option<(&'static dyn DiffieHellman, KeyPair)>,
    exchange: &mut Exchange,
    sa: &Negotiation,
    phase1: &Established,
    output: &mut Output,
) -> SentQm1 {
    let udp = phase1.udp;
    let nonce = output.nonce(sa.config.nonce_len);
    let association =
        Payload::SecurityAssociation(offer::offer(&exchange.terms, exchange.inbound_spi, udp));
    let public = key_pair.as_ref().map(|(_, key_pair)| key_pair.public().clone());
    let mut chain = exchange.chain(association, &nonce, public.as_deref(), sa, udp);
    let session = &phase1.keys.session;
    let hash = session.hash_1(exchange.message_id.0, chain.bytes());
    chain.push_front(&Payload::Hash(hash.as_bytes().into()));
    let payload = exchange.send(sa, &phase1.keys, &chain, output);
    exchange.sent = Some(Sent::new(payload));
    output.node_transition(
        sa,
        exchange.message_id,
        (MajorInput::Internal, MinorInput::InitiateQuickMode),
        StateKind::QuickModeReady,
        StateKind::QuickModeInitiatorQm1,
    );
    SentQm1 { nonce, key_pair }
}

/// `IKE_QM_I_QM1`.
#[derive(Debug)]
pub(crate) struct SentQm1 {
    nonce: Bytes,
    key_pair: Option<(&'static dyn DiffieHellman, KeyPair)>,
}

/// QM2: the responder's SPI and choice.
#[derive(Debug)]
pub(crate) struct AcceptedQm2 {
    choice: Choice,
    selectors: Selectors,
    original_addresses: OriginalAddresses,
    nonce: Bytes,
    public: Option<Bytes>,
    iv: Iv,
    notes: Vec<Trace>,
    deviations: Deviations,
}

impl SentQm1 {
    fn check(
        &self,
        message: &Message<'_>,
        exchange: &Exchange,
        sa: &Negotiation,
        phase1: &Established,
    ) -> Result<AcceptedQm2, Discard> {
        let (plain, iv) = phase1.keys.open(&exchange.iv, super::encrypted(message)?)?;
        let opened = Opened::parse(message, &plain)?;
        let payloads = &opened.payloads;
        let session = &phase1.keys.session;
        opened.verify(&session.hash_2(
            exchange.message_id.0,
            &self.nonce,
            payloads.after_first(),
        ))?;
        let received = phase1::one(payloads, PayloadType::SECURITY_ASSOCIATION)?;
        let Payload::SecurityAssociation(answer) = &received.payload else {
            return Err(Discard::OfferShape);
        };
        match answer.proposals.as_slice() {
            [proposal] if proposal.transforms.len() == 1 => {}
            _ => return Err(Discard::OfferShape),
        }
        let mut notes = Vec::from([
            exchange.processing(PayloadType::HASH),
            exchange.processing(PayloadType::SECURITY_ASSOCIATION),
        ]);
        let udp = phase1.udp;
        let mut choice =
            offer::choose(answer, &exchange.terms, udp, &mut notes).map_err(|discard| {
                if discard == Discard::NoProposalChosen {
                    Discard::ChoiceNotOffered
                } else {
                    discard
                }
            })?;
        if choice.pfs != exchange.terms.pfs {
            return Err(Discard::PfsMismatch { peer: choice.pfs, ours: exchange.terms.pfs });
        }
        let mut deviations = core::mem::take(&mut choice.deviations);
        if usize::from(choice.proposal.number) > exchange.terms.proposals.len() {
            deviations.push(Deviation::ProposalNumberChanged);
        }
        notes.push(exchange.validate(sa));
        let nonce = phase1::nonce(payloads)?;
        notes.push(exchange.processing(PayloadType::NONCE));
        let group = self.key_pair.as_ref().map(|(group, _)| *group);
        let public = opened.public(group)?;
        let ids = proxies::received(payloads)?;
        for _ in ids.iter().flatten() {
            notes.push(exchange.processing(PayloadType::IDENTIFICATION));
        }
        let selectors =
            proxies::check_answer(ids, exchange.selectors, phase1.nat, &mut deviations)?;
        let original_addresses =
            proxies::original_addresses(payloads, Role::Initiator, &mut deviations)?;
        for received in payloads {
            let Payload::Notification(notification) = &received.payload else { continue };
            if notification.notify_type == NotifyType::RESPONDER_LIFETIME {
                let (seconds, kilobytes) = offer::announced_lifetime(
                    &notification.data,
                    (phase2::LIFE_TYPE, phase2::LIFE_DURATION),
                );
                let lifetime = &mut choice.lifetime;
                lifetime.seconds = seconds
                    .map_or(lifetime.seconds, |s| phase1::offer::bearable(s).min(lifetime.seconds));
                if let Some(announced) = kilobytes.map(|kilobytes| kilobytes.max(1)) {
                    lifetime.kilobytes =
                        Some(lifetime.kilobytes.map_or(announced, |ours| ours.min(announced)));
                }
                let protocol = ProtocolId::ESP;
                notes.push(Trace::ResponderLifetime { protocol, seconds, kilobytes });
            }
        }
        Ok(AcceptedQm2 {
            choice,
            selectors,
            original_addresses,
            nonce,
            public,
            iv,
            notes,
            deviations,
        })
    }

    fn advance(
        self,
        accepted: AcceptedQm2,
        exchange: &mut Exchange,
        sa: &Negotiation,
        channel: &ProtectedChannel,
        output: &mut Output,
    ) -> Step {
        let AcceptedQm2 { choice, nonce, public, iv, notes, deviations, .. } = accepted;
        exchange.selectors = accepted.selectors;
        exchange.original_addresses = accepted.original_addresses;
        exchange.iv = iv;
        exchange.sent = None;
        output.trace_all(sa, notes);
        for deviation in deviations {
            output.deviation(sa, deviation);
        }
        let settled = Settled { choice, nonce_i: self.nonce, nonce_r: nonce };
        match (self.key_pair, public) {
            (Some((group, key_pair)), Some(peer)) => {
                let id = output.job_id();
                output.job(Job::shared_secret(id, group, key_pair, peer));
                let state = MakingSecret { waiting: Waiting(id), settled };
                Step::Halfway(super::State::Initiator(State::MakingSecret(state)))
            }
            _ => finish(&settled, None, exchange, sa, channel, output),
        }
    }
}

/// The shared secret for perfect forward secrecy is being computed.
#[derive(Debug)]
pub(crate) struct MakingSecret {
    waiting: Waiting,
    settled: Settled,
}

#[derive(Debug)]
struct Settled {
    choice: Choice,
    nonce_i: Bytes,
    nonce_r: Bytes,
}

/// Sends QM3.
fn finish(
    settled: &Settled,
    secret: Option<&SharedSecret>,
    exchange: &mut Exchange,
    sa: &Negotiation,
    channel: &ProtectedChannel,
    output: &mut Output,
) -> Step {
    let Settled { choice, nonce_i, nonce_r } = settled;
    let agreed = Agreement2 {
        set: choice.set,
        outbound_spi: choice.peer_spi,
        lifetime: choice.lifetime,
        pfs: choice.pfs,
        secret,
        nonce_i,
        nonce_r,
    };
    let child = NewChild::derive(exchange, channel, &agreed);
    exchange.trace_creating(&child, sa, output);
    let hash = channel.session.hash_3(exchange.message_id.0, nonce_i, nonce_r);
    let mut chain = Chain::new();
    chain.push(&Payload::Hash(hash.as_bytes().into()));
    let reply = exchange.send(sa, channel, &chain, output);
    if let Some(Answered { reply: slot, .. }) = &mut exchange.answered {
        *slot = Some(reply);
    }
    output.trace(
        sa,
        Trace::NodeDeleted {
            message_id: exchange.message_id,
            error: false,
            reason: NodeEnd::NoError,
        },
    );
    output.node_transition(
        sa,
        exchange.message_id,
        (MajorInput::FromPeer, MinorInput::QuickModeExchange),
        StateKind::QuickModeInitiatorQm1,
        StateKind::QuickModePhase2Complete,
    );
    Step::Installed(super::State::Complete, child)
}
