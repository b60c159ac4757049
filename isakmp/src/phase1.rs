//! A phase 1 SA, from its first message to its end.

mod authentication;
mod exchange;
pub(crate) mod offer;

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use dmvpn_time::Instant;

use crate::crypto::{EncryptionKey, Iv, SessionKeys};
use crate::nat_traversal::NatTraversalVersion;
use crate::quick_mode::QuickMode;
use crate::wire::{
    Chain, Cookie, EncodeError, ExchangeType, Flags, Header, Message, MessageId, Notification,
    Payload, Payloads,
};
use crate::{
    CoarseState, Config, Discard, Fragmentation, Identity, Limits, Nat, Path, PeerId, Policy,
    PreSharedKey, Role, StateKind, aggressive_mode, main_mode,
};

pub(crate) use authentication::{
    Authentication, Keyed, Transcript, authenticate, check_floated, check_identity, id_and_hash,
    id_trace, own_id, push_initial_contact, trace_own_id,
};
pub(crate) use exchange::{Unusable, Waiting, clear, message, nonce, one, owned, send};

/// Our name for a phase 1 SA; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SaId(pub(crate) u64);

/// What all states of a phase 1 SA have in common.
#[derive(Debug)]
pub(crate) struct Negotiation {
    /// The configuration that it started with, and keeps.
    pub(crate) config: Arc<Config>,
    /// The pre-shared key for the peer: found by its address, and by its identity where that is known.
    pub(crate) key: PreSharedKey,
    /// Our identity, `None` for our address.
    pub(crate) identity: Option<Identity>,
    pub(crate) role: Role,
    pub(crate) initiator_cookie: Cookie,
    pub(crate) responder_cookie: Cookie,
    pub(crate) path: Path,
    pub(crate) connection: u32,
    pub(crate) started: Instant,
    /// When its first message came, or when we sent it last: about the same instant on both sides.
    pub(crate) called: Instant,
    /// The peer: known from the start by whom we initiate to, by authentication to whom we answer.
    pub(crate) peer: Option<PeerId>,
    /// Whether to announce that we know of no other SA with this peer (RFC 2407 §4.6.3.3).
    pub(crate) initial_contact: bool,
    /// The established SAs that this one is to replace.
    pub(crate) replaces: Vec<SaId>,
    /// By what the initiator's first message is known: its cookie and where it came from.
    pub(crate) first: Option<(Cookie, SocketAddr)>,
    /// How long messages are cut, once the peer has said that it takes fragments.
    pub(crate) fragments: Option<Fragmentation>,
    /// What waits to be answered. The last message of aggressive mode is answered by whatever comes
    /// next.
    pub(crate) sent: Option<Sent>,
    /// Whether somebody answered aggressive mode without proving to be the peer.
    pub(crate) disproved: bool,
    /// The last message accepted, and our answer once it is there.
    pub(crate) answered: Option<Answered>,
}

/// A message that waits for an answer.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) payload: Bytes,
    pub(crate) transmissions: u32,
}

impl Sent {
    pub(crate) const fn new(payload: Bytes) -> Self {
        Self { payload, transmissions: 1 }
    }
}

/// The memory that answers duplicates.
#[derive(Clone, Debug)]
pub(crate) struct Answered {
    pub(crate) request: Bytes,
    pub(crate) reply: Option<Bytes>,
    /// How often the reply was repeated.
    pub(crate) repeated: u32,
}

impl Answered {
    /// A message that has no answer yet.
    pub(crate) fn new(request: &[u8]) -> Self {
        Self { request: Bytes::copy_from_slice(request), reply: None, repeated: 0 }
    }
}

impl Negotiation {
    /// A header for this SA's messages.
    pub(crate) const fn header(&self, exchange: ExchangeType) -> Header {
        Header::new(self.initiator_cookie, self.responder_cookie, exchange)
    }

    pub(crate) const fn cookies(&self) -> (Cookie, Cookie) {
        (self.initiator_cookie, self.responder_cookie)
    }

    /// Remembers our answer to the message accepted last.
    pub(crate) fn reply(&mut self, reply: Bytes) {
        if let Some(answered) = &mut self.answered {
            answered.reply = Some(reply);
        }
    }
}

/// A phase 1 SA. It is small, so that a table's nodes, of which a third is empty, are small as well.
#[derive(Debug)]
pub(crate) struct Phase1 {
    pub(crate) negotiation: Box<Negotiation>,
    pub(crate) state: Phase1State,
}

/// Half-open or established.
#[derive(Debug)]
pub(crate) enum Phase1State {
    Initiator(Box<main_mode::initiator::State>),
    Responder(Box<main_mode::responder::State>),
    AggressiveInitiator(Box<aggressive_mode::initiator::State>),
    AggressiveResponder(Box<aggressive_mode::responder::State>),
    Established(Box<Established>),
}

impl Phase1State {
    pub(crate) const fn kind(&self) -> StateKind {
        match self {
            Self::Initiator(state) => state.kind(),
            Self::Responder(state) => state.kind(),
            Self::AggressiveInitiator(state) => state.kind(),
            Self::AggressiveResponder(state) => state.kind(),
            Self::Established(_) => StateKind::IkePhase1Complete,
        }
    }

    pub(crate) const fn coarse(&self) -> CoarseState {
        match self {
            Self::Initiator(state) => state.coarse(),
            Self::Responder(state) => state.coarse(),
            Self::AggressiveInitiator(state) => state.coarse(),
            Self::AggressiveResponder(state) => state.coarse(),
            Self::Established(_) => CoarseState::QuickModeIdle,
        }
    }

    pub(crate) const fn established(&self) -> Option<&Established> {
        match self {
            Self::Established(established) => Some(established),
            Self::Initiator(_)
            | Self::Responder(_)
            | Self::AggressiveInitiator(_)
            | Self::AggressiveResponder(_) => None,
        }
    }

    /// What both sides agreed on, as far as they have.
    pub(crate) fn policy(&self) -> Option<Policy> {
        match self {
            Self::Initiator(state) => state.agreed().map(|agreed| agreed.policy),
            Self::Responder(state) => Some(state.agreed().policy),
            Self::AggressiveInitiator(state) => state.agreed().map(|agreed| agreed.policy),
            Self::AggressiveResponder(state) => Some(state.agreed().policy),
            Self::Established(sa) => Some(sa.policy),
        }
    }

    /// The job that is out.
    pub(crate) const fn waiting(&self) -> Option<Waiting> {
        match self {
            Self::Initiator(state) => state.waiting(),
            Self::Responder(state) => state.waiting(),
            Self::AggressiveInitiator(state) => state.waiting(),
            Self::AggressiveResponder(state) => state.waiting(),
            Self::Established(_) => None,
        }
    }

    /// How often the answer to one message may be repeated. AM2 goes to an address that nothing has
    /// proved yet, and is longer than AM1 need be.
    pub(crate) fn most_repetitions(&self, limits: &Limits) -> u32 {
        match self {
            Self::AggressiveResponder(_) => {
                limits.repeats.min(aggressive_mode::responder::MOST_REPETITIONS)
            }
            Self::Initiator(_)
            | Self::Responder(_)
            | Self::AggressiveInitiator(_)
            | Self::Established(_) => limits.repeats,
        }
    }

    /// Whether the peer started it and it is half-open.
    pub(crate) const fn half_open_responder(&self) -> bool {
        matches!(self, Self::Responder(_) | Self::AggressiveResponder(_))
    }

    /// Whether we started it and it is half-open.
    pub(crate) const fn half_open_initiator(&self) -> bool {
        matches!(self, Self::Initiator(_) | Self::AggressiveInitiator(_))
    }
}

/// An established ISAKMP SA.
#[derive(Debug)]
pub(crate) struct Established {
    pub(crate) keys: ProtectedChannel,
    pub(crate) policy: Policy,
    /// The lifetime that counts, in seconds.
    pub(crate) lifetime: u32,
    /// Whether ours is lower than what the peer asked for, so that it must be told.
    pub(crate) announce_lifetime: bool,
    pub(crate) since: Instant,
    pub(crate) identity: Identity,
    /// Whether the pre-shared key is bound to this identity.
    pub(crate) bound: bool,
    pub(crate) nat: Nat,
    /// The document by which ESP goes in UDP, if it does.
    pub(crate) udp: Option<NatTraversalVersion>,
    pub(crate) dead_peer_detection: bool,
    /// When the last message came on it that was authentic and fresh.
    pub(crate) last_heard: Instant,
    /// The highest sequence number that the peer asked with on this SA: it may count anew with the
    /// next, and this one goes on refusing what it has seen.
    pub(crate) highest_question: Option<u32>,
    /// Whether a quick mode has come to its end on it.
    pub(crate) has_led_to_pairs: bool,
    /// Quick modes under way, and complete ones until they are forgotten.
    pub(crate) quick_modes: BTreeMap<MessageId, Box<QuickMode>>,
    /// Those that the peer used, and those that we did: apart, so that our own many do not push out
    /// what tells a replay.
    pub(crate) message_ids: MessageIds,
    pub(crate) own_message_ids: MessageIds,
    /// Notifications that came with the last message of main mode.
    pub(crate) notifications: Vec<Notification<'static>>,
}

impl Established {
    /// Takes a quick mode out of the table. One that has become empty would keep its memory.
    pub(crate) fn forget_quick_mode(&mut self, id: MessageId) -> Option<Box<QuickMode>> {
        let forgotten = self.quick_modes.remove(&id);
        if self.quick_modes.is_empty() {
            self.quick_modes = BTreeMap::new();
        }
        forgotten
    }

    /// Whether it is for us to negotiate the SA that follows: for its initiator, or for the one of the
    /// two that is behind a NAT. From there a first message gets out for certain; in, it gets to the
    /// ISAKMP port only as long as the NAT remembers that something came out of it, and keepalives
    /// keep another mapping alive (RFC 3948 §4).
    pub(crate) fn begins_the_next(&self, role: Role) -> bool {
        match (self.nat.local, self.nat.remote) {
            (true, false) => true,
            (false, true) => false,
            (true, true) | (false, false) => role == Role::Initiator,
        }
    }

    /// The address that a peer behind a NAT is seen at, where its identity is an inside address that
    /// anybody behind another NAT may have as well.
    pub(crate) fn outside_address(&self, sa: &Negotiation) -> Option<IpAddr> {
        let seen = sa.path.remote.ip();
        let inside = !self.bound && self.identity.as_address() != Some(seen);
        (inside && self.nat.remote).then_some(seen)
    }
}

/// The keys of an established SA and what starts the IV of each exchange.
#[derive(Clone, Debug)]
pub(crate) struct ProtectedChannel {
    pub(crate) session: SessionKeys,
    pub(crate) cipher: EncryptionKey,
    /// The last cipher block of phase 1.
    pub(crate) last_of_phase_1: Iv,
}

impl ProtectedChannel {
    /// The IV that an exchange starts with.
    pub(crate) fn first_iv(&self, message_id: MessageId) -> Iv {
        Iv::phase_2(self.session.hash_function(), &self.last_of_phase_1, message_id.0)
    }

    /// Decrypts a message's body; the IV given back is for the next message, once this one is
    /// accepted.
    pub(crate) fn open(&self, iv: &Iv, body: &[u8]) -> Result<(Vec<u8>, Iv), Discard> {
        open(&self.cipher, iv, body)
    }

    /// Puts HASH(1) (RFC 2409 §5.5, §5.7) in front of the payloads and encrypts.
    pub(crate) fn seal_hash_1(
        &self,
        iv: &Iv,
        header: Header,
        mut chain: Chain,
    ) -> Result<(Bytes, Iv), EncodeError> {
        let hash = self.session.hash_1(header.message_id.0, chain.bytes());
        chain.push_front(&Payload::Hash(hash.as_bytes().into()));
        seal(&self.cipher, iv, header, &chain)
    }
}

/// Decrypts into a copy.
pub(crate) fn open(cipher: &EncryptionKey, iv: &Iv, body: &[u8]) -> Result<(Vec<u8>, Iv), Discard> {
    let mut plain = body.to_vec();
    let next = cipher.decrypt(iv, &mut plain)?;
    Ok((plain, next))
}

/// Pads as Cisco does, with at least one zero byte, and encrypts everything after the header.
pub(crate) fn seal(
    cipher: &EncryptionKey,
    iv: &Iv,
    header: Header,
    chain: &Chain,
) -> Result<(Bytes, Iv), EncodeError> {
    let header = Header { flags: Flags::ENCRYPTION, ..header };
    let mut message = chain.message(header, chain.padding(cipher.cipher().block_len()))?;
    let body = message.get_mut(Header::LEN..).unwrap_or_default();
    // Padding made the body whole blocks, and a chain always has a payload: the cipher has no
    // reason to refuse. Should it, the message stays empty rather than in clear.
    match cipher.encrypt(iv, body) {
        Ok(next) => Ok((message.into(), next)),
        Err(_) => Ok((Bytes::new(), iv.clone())),
    }
}

/// The chain of a decrypted body.
pub(crate) fn decrypted<'a>(
    message: &Message<'_>,
    plain: &'a [u8],
) -> Result<Payloads<'a>, crate::wire::ParseError> {
    Payloads::parse(message.header.next_payload, plain, Header::LEN)
}

/// The message IDs of an SA that were used, so that none is used again (RFC 2408 §3.1) and no
/// exchange is replayed.
///
/// Bounded: the oldest are forgotten. Only the peer itself gets there, by more quick modes, deletes and
/// notifications in one SA than any router needs (questions of dead peer detection are not kept, they
/// have numbers of their own). All that can be played again then is a first message of its own quick
/// modes: the pair it leads to is never used, for QM3 does not come, and ends with the negotiation.
#[derive(Debug, Default)]
pub(crate) struct MessageIds {
    /// The oldest first.
    known: VecDeque<MessageId>,
}

impl MessageIds {
    pub(crate) fn contains(&self, id: MessageId) -> bool {
        self.known.contains(&id)
    }

    /// Remembers one; the one that is forgotten for it.
    pub(crate) fn insert(&mut self, id: MessageId, limit: usize) -> Option<MessageId> {
        if self.contains(id) {
            return None;
        }
        self.known.push_back(id);
        // It grows by one at a time.
        (self.known.len() > limit.max(1)).then(|| self.known.pop_front()).flatten()
    }
}
