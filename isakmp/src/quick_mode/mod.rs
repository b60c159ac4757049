//! Quick mode (RFC 2409 §5.5).
//!
//! ```text
//!   initiator                                              responder
//!   QM1  { HASH(1), SA, Ni, [KE], IDci, IDcr }       ─▶
//!                                                    ◀─    QM2  { HASH(2), SA, Nr, [KE], IDci, IDcr }
//!   QM3  { HASH(3) }                                 ─▶
//! ```
//!
//! The responder's SAs are installed when QM2 is sent and its outbound one is used from QM3 on; the
//! initiator's when QM3 is sent. The responder repeats QM2 until QM3 comes, the initiator answers
//! a repeated QM2 with QM3 until it forgets the exchange.
//!
//! In a re-keying the initiator goes on sending on the old SA until the responder sends on the new
//! one, or for a bounded time: nothing tells it that QM3 arrived. The first packet on the new inbound
//! SA proves to either side that the other has the keys.

pub(crate) mod initiator;
pub(crate) mod offer;
pub(crate) mod proxies;
pub(crate) mod responder;

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;
use dmvpn_time::Instant;

use crate::crypto::{Agreement, Group, Iv, KeyMaterialInput, SharedSecret};
use crate::output::Output;
use crate::phase1::Waiting;
use crate::phase1::{self, Answered, Established, Negotiation, ProtectedChannel, Sent};
use crate::wire::{
    Chain, Content, ExchangeType, Header, Identification, Message, MessageId, NatOriginalAddress,
    Payload, PayloadType, Payloads, ProtocolId,
};
use crate::{
    ChildLifetime, CoarseState, Deviation, Direction, Discard, EspKeys, EspProposal,
    KeyEngineMessage, Mode, OriginalAddresses, Protection, ProtectionId, Role, Selectors,
    StateKind, Trace,
};

use offer::Udp;

/// A quick mode.
#[derive(Debug)]
pub(crate) struct QuickMode {
    pub(crate) exchange: Exchange,
    pub(crate) state: State,
}

/// What all states of a quick mode have in common.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) message_id: MessageId,
    pub(crate) role: Role,
    pub(crate) protection: ProtectionId,
    pub(crate) terms: Arc<Protection>,
    pub(crate) selectors: Selectors,
    /// The same as ID payloads, the initiator's first.
    pub(crate) ids: [Identification<'static>; 2],
    /// What the peer says of addresses before translation.
    pub(crate) original_addresses: OriginalAddresses,
    /// SPI of the inbound SA that this one is to replace.
    pub(crate) rekey_of: Option<u32>,
    pub(crate) inbound_spi: u32,
    pub(crate) started: Instant,
    /// The IV of the next message, in either direction.
    pub(crate) iv: Iv,
    pub(crate) sent: Option<Sent>,
    pub(crate) answered: Option<Answered>,
}

/// Where a quick mode is.
#[derive(Debug)]
pub(crate) enum State {
    Initiator(initiator::State),
    Responder(responder::State),
    /// It is kept only for the peer's duplicates.
    Complete,
}

/// A message found acceptable.
#[derive(Debug)]
pub(crate) enum Accepted {
    Qm2(Box<initiator::AcceptedQm2>),
    Qm3(responder::AcceptedQm3),
}

/// What a message or a job led to.
#[derive(Debug)]
pub(crate) enum Step {
    Halfway(State),
    /// Install these; the exchange goes on.
    Installed(State, NewChild),
    /// The responder got QM3.
    Confirmed,
}

impl State {
    pub(crate) const fn kind(&self) -> StateKind {
        match self {
            Self::Initiator(state) => state.kind(),
            Self::Responder(state) => state.kind(),
            Self::Complete => StateKind::QuickModePhase2Complete,
        }
    }

    /// The job that is out.
    pub(crate) const fn waiting(&self) -> Option<Waiting> {
        match self {
            Self::Initiator(state) => state.waiting(),
            Self::Responder(state) => state.waiting(),
            Self::Complete => None,
        }
    }
}

impl QuickMode {
    pub(crate) const fn complete(&self) -> bool {
        matches!(self.state, State::Complete)
    }

    pub(crate) fn check(
        &self,
        message: &Message<'_>,
        sa: &Negotiation,
        phase1: &Established,
    ) -> Result<Accepted, Discard> {
        match &self.state {
            State::Initiator(state) => {
                let accepted = state.check(message, &self.exchange, sa, phase1)?;
                Ok(Accepted::Qm2(Box::new(accepted)))
            }
            State::Responder(state) => {
                state.check(message, &self.exchange, phase1).map(Accepted::Qm3)
            }
            State::Complete => Err(Discard::UnexpectedState { state: self.state.kind() }),
        }
    }

    /// Moves on; the quick mode that remains and what is to be done.
    pub(crate) fn advance(
        mut self,
        accepted: Accepted,
        sa: &Negotiation,
        channel: &ProtectedChannel,
        output: &mut Output,
    ) -> (Self, Option<Outcome>) {
        let exchange = &mut self.exchange;
        let step = match (self.state, accepted) {
            (State::Initiator(state), Accepted::Qm2(accepted)) => {
                state.advance(*accepted, exchange, sa, channel, output)
            }
            (State::Responder(state), Accepted::Qm3(accepted)) => {
                state.advance(accepted, exchange, sa, output)
            }
            // `check` pairs each state with its own message.
            (state, _) => Step::Halfway(state),
        };
        Self::after(self.exchange, step)
    }

    /// Goes on with the result of the job that was out; `None` if it is of no use.
    pub(crate) fn resume(
        mut self,
        agreement: Agreement,
        sa: &Negotiation,
        phase1: &Established,
        output: &mut Output,
    ) -> Option<(Self, Option<Outcome>)> {
        let exchange = &mut self.exchange;
        let step = match self.state {
            State::Initiator(state) => state.resume(agreement, exchange, sa, phase1, output)?,
            State::Responder(state) => {
                state.resume(agreement, exchange, sa, &phase1.keys, output)?
            }
            State::Complete => Step::Halfway(State::Complete),
        };
        Some(Self::after(self.exchange, step))
    }

    pub(crate) fn after(exchange: Exchange, step: Step) -> (Self, Option<Outcome>) {
        let (state, outcome) = match step {
            Step::Halfway(state) => (state, None),
            Step::Installed(state, child) => (state, Some(Outcome::Install(child))),
            Step::Confirmed => (State::Complete, Some(Outcome::Enable)),
        };
        (Self { exchange, state }, outcome)
    }
}

/// What the endpoint has to do about phase 2 SAs.
#[derive(Debug)]
pub(crate) enum Outcome {
    Install(NewChild),
    /// The pair with the exchange's inbound SPI is confirmed.
    Enable,
}

/// A pair of phase 2 SAs, just negotiated.
#[derive(Debug)]
pub(crate) struct NewChild {
    pub(crate) role: Role,
    pub(crate) protection: ProtectionId,
    pub(crate) mode: Mode,
    pub(crate) selectors: Selectors,
    pub(crate) original_addresses: OriginalAddresses,
    pub(crate) rekey_of: Option<u32>,
    pub(crate) inbound_spi: u32,
    pub(crate) outbound_spi: u32,
    pub(crate) transform: EspProposal,
    pub(crate) inbound_keys: EspKeys,
    pub(crate) outbound_keys: EspKeys,
    pub(crate) lifetime: ChildLifetime,
    pub(crate) pfs: Option<Group>,
}

/// What both nonces and, with PFS, the secret lead to.
struct Agreement2<'a> {
    set: EspProposal,
    outbound_spi: u32,
    lifetime: ChildLifetime,
    pfs: Option<Group>,
    secret: Option<&'a SharedSecret>,
    nonce_i: &'a [u8],
    nonce_r: &'a [u8],
}

impl NewChild {
    fn derive(exchange: &Exchange, channel: &ProtectedChannel, agreed: &Agreement2<'_>) -> Self {
        let keys = |spi| {
            let input = KeyMaterialInput {
                g_xy: agreed.secret,
                protocol: ProtocolId::ESP.0,
                spi,
                nonce_i: agreed.nonce_i,
                nonce_r: agreed.nonce_r,
            };
            let material = channel.session.key_material(&input, agreed.set.keymat_len());
            EspKeys::new(material, agreed.set)
        };
        Self {
            role: exchange.role,
            protection: exchange.protection,
            mode: exchange.terms.mode,
            selectors: exchange.selectors,
            original_addresses: exchange.original_addresses,
            rekey_of: exchange.rekey_of,
            inbound_spi: exchange.inbound_spi,
            outbound_spi: agreed.outbound_spi,
            transform: agreed.set,
            // Each with the SPI that its receiver chose.
            inbound_keys: keys(exchange.inbound_spi),
            outbound_keys: keys(agreed.outbound_spi),
            lifetime: agreed.lifetime,
            pfs: agreed.pfs,
        }
    }
}

impl Exchange {
    fn header(&self, sa: &Negotiation) -> Header {
        Header { message_id: self.message_id, ..sa.header(ExchangeType::QUICK_MODE) }
    }

    /// Encrypts and sends; the IV moves on.
    fn send(
        &mut self,
        sa: &Negotiation,
        channel: &ProtectedChannel,
        chain: &Chain,
        output: &mut Output,
    ) -> Bytes {
        let sealed = phase1::seal(&channel.cipher, &self.iv, self.header(sa), chain);
        // Nothing that we build comes near the limits of the length fields.
        let (payload, iv) = sealed.unwrap_or_else(|_| (Bytes::new(), self.iv.clone()));
        self.iv = iv;
        output.trace(
            sa,
            Trace::Sending {
                role: self.role,
                state: CoarseState::QuickModeIdle,
                my_port: sa.path.local.port(),
                peer_port: sa.path.remote.port(),
            },
        );
        output.send(sa, payload.clone());
        payload
    }

    /// SA or its answer, nonce, KE, IDs and, with a NAT in transport mode, original addresses.
    fn chain(
        &self,
        association: Payload<'_>,
        nonce: &[u8],
        public: Option<&[u8]>,
        sa: &Negotiation,
        udp: Udp,
    ) -> Chain {
        let mut chain = Chain::new();
        chain.push(&association);
        chain.push(&Payload::Nonce(nonce.into()));
        if let Some(public) = public {
            chain.push(&Payload::KeyExchange(public.into()));
        }
        for id in &self.ids {
            chain.push(&Payload::Identification(id.clone()));
        }
        if let Some(version) = udp
            && self.terms.mode == Mode::Transport
        {
            // RFC 3947 §5.2: the initiator's address, then the responder's, as seen from here.
            let (local, remote) = (sa.path.local.ip(), sa.path.remote.ip());
            let addresses = match self.role {
                Role::Initiator => [local, remote],
                Role::Responder => [remote, local],
            };
            for address in addresses {
                chain.push(&Payload::NatOriginalAddress(
                    version.numbering(),
                    NatOriginalAddress::new(address),
                ));
            }
        }
        chain
    }

    fn trace_creating(&self, child: &NewChild, sa: &Negotiation, output: &mut Output) {
        output.trace(
            sa,
            Trace::CreatingSas {
                remote: sa.path.remote.ip(),
                local: sa.path.local.ip(),
                selectors: self.selectors,
                inbound_spi: child.inbound_spi,
                outbound_spi: child.outbound_spi,
                lifetime: child.lifetime,
            },
        );
    }

    fn processing(&self, payload: PayloadType) -> Trace {
        Trace::Processing { payload, message_id: self.message_id }
    }

    /// `IPSEC(validate_proposal_request)`, with the values that IOS prints there.
    fn validate(&self, sa: &Negotiation) -> Trace {
        let port0 = |mut address: core::net::SocketAddr| {
            address.set_port(0);
            address
        };
        Trace::ValidateProposal(KeyEngineMessage {
            direction: Direction::Inbound,
            local: port0(sa.path.local),
            remote: port0(sa.path.remote),
            local_proxy: self.selectors.local,
            remote_proxy: self.selectors.remote,
            transform: None,
            mode: self.terms.mode,
            seconds: 0,
            kilobytes: 0,
            keysize: 128,
        })
    }
}

/// A decrypted message with its HASH payload at the front, not yet verified.
struct Opened<'a> {
    payloads: Payloads<'a>,
}

impl<'a> Opened<'a> {
    fn parse(message: &Message<'_>, plain: &'a [u8]) -> Result<Self, Discard> {
        let payloads = phase1::decrypted(message, plain).map_err(Discard::Undecipherable)?;
        // RFC 2409 §5.5: the hash must follow the header immediately.
        if payloads.first_type() != PayloadType::HASH {
            return Err(Discard::MissingPayload(PayloadType::HASH));
        }
        Ok(Self { payloads })
    }

    fn verify(&self, expected: &crate::crypto::Digest) -> Result<(), Discard> {
        let hash = self.payloads.as_slice().first().map_or(&[][..], |first| first.body());
        if expected.verify(hash) { Ok(()) } else { Err(Discard::HashMismatch) }
    }

    /// The public value, which must be there if a group was chosen, and means nothing if none was.
    fn public(
        &self,
        group: Option<&'static dyn crate::crypto::DiffieHellman>,
    ) -> Result<Option<Bytes>, Discard> {
        let Some(group) = group else { return Ok(None) };
        let body = phase1::one(&self.payloads, PayloadType::KEY_EXCHANGE)?.body();
        group.check_public_value(body)?;
        Ok(Some(Bytes::copy_from_slice(body)))
    }
}

/// The encrypted body of a message.
pub(crate) const fn encrypted<'a>(message: &Message<'a>) -> Result<&'a [u8], Discard> {
    match message.content {
        Content::Encrypted(body) => Ok(body),
        Content::Clear(_) => Err(Discard::NotEncrypted),
    }
}

/// Deviations that a check found, to be counted once the message is accepted.
type Deviations = Vec<Deviation>;
