//! Why input was not accepted, and what was accepted although the RFC forbids it.

use core::fmt;
use core::net::IpAddr;

use crate::crypto::CipherError;
use crate::crypto::DiffieHellmanError;
use crate::crypto::Group;
use crate::wire::{
    Cookie, ExchangeType, IdType, MessageId, NotifyType, ParseError, PayloadType, ProtocolId,
};

/// The group of perfect forward secrecy, which may be absent.
struct OrNone(Option<Group>);

impl fmt::Display for OrNone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(group) => group.fmt(f),
            None => f.write_str("none"),
        }
    }
}

/// Why a datagram or a job's result changed nothing. Only counters and the trace ring know of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Discard {
    /// Not an ISAKMP message.
    #[error("peer sent a malformed message: {0}")]
    Malformed(#[from] ParseError),
    /// A NAT keepalive (RFC 3948 §2.3): one byte 0xff.
    #[error("NAT keepalive")]
    Keepalive,
    /// The header announces another length than the datagram has. Up to 16 bytes more are
    /// tolerated: Cisco's VPN client adds them.
    #[error("header says {length} bytes, datagram has {have}")]
    Length {
        /// The header's length field, in bytes.
        length: u32,
        /// The datagram's, in bytes.
        have: usize,
    },
    /// The datagram is longer than configured for a message.
    #[error("{length} bytes, more than {limit}")]
    TooLong {
        /// Its length in bytes.
        length: usize,
        /// The limit.
        limit: usize,
    },
    /// No SA has these cookies.
    #[error("no SA with cookies {initiator} {responder}")]
    UnknownCookies {
        /// CKY-I.
        initiator: Cookie,
        /// CKY-R.
        responder: Cookie,
    },
    /// The initiator cookie is zero (RFC 2408 §5.1 step 2 makes cookies tokens, not zero).
    #[error("initiator cookie is zero")]
    ZeroCookie,
    /// An exchange that this implementation does not speak, or not in this phase.
    #[error("peer used {0}, which is not spoken here")]
    Exchange(ExchangeType),
    /// The message ID is not what the exchange needs: zero in phase 1, not zero in phase 2.
    #[error("message id {0} does not fit the exchange")]
    UnexpectedMessageId(MessageId),
    /// A half-open negotiation got a message from elsewhere than its peer.
    #[error("message of a half-open SA from {source_address}, not its peer's address")]
    WrongPath {
        /// Where it came from.
        source_address: IpAddr,
    },
    /// The message does not fit the state of the negotiation: out of order or repeated too late.
    #[error("message does not fit state {state}")]
    UnexpectedState {
        /// The state.
        state: crate::StateKind,
    },
    /// An exact copy of a message that needs no answer any more.
    #[error("duplicate of an earlier message")]
    Duplicate,
    /// A payload that the exchange needs is not there.
    #[error("peer left out {0}")]
    MissingPayload(PayloadType),
    /// A payload that may come once came twice, or one that does not belong there came.
    #[error("peer sent an unexpected {0}")]
    UnexpectedPayload(PayloadType),
    /// A main mode SA payload must hold one proposal for ISAKMP (RFC 2409 §5).
    #[error("peer's phase 1 offer is not one ISAKMP proposal")]
    OfferShape,
    /// The responder did not answer with one of our transforms, unchanged (RFC 2409 §5).
    #[error("peer chose what was not offered")]
    ChoiceNotOffered,
    /// The configuration does not let aggressive mode be answered, or not for this identity.
    #[error("aggressive mode is not answered: the configuration does not allow it")]
    AggressiveModeRefused,
    /// As many first messages of aggressive mode as configured were answered in this second.
    #[error("{limit} aggressive modes answered in this second already")]
    AggressiveModeLimit {
        /// The limit.
        limit: u32,
    },
    /// Nothing offered is acceptable here.
    #[error("no transform of the peer's offer matches a policy")]
    NoProposalChosen,
    /// No pre-shared key for the peer's address.
    #[error("no pre-shared key for {0}")]
    NoPreSharedKey(IpAddr),
    /// A nonce outside 8 to 256 bytes (RFC 2409 §5).
    #[error("peer's nonce has {0} bytes, 8 to 256 are allowed")]
    NonceLength(usize),
    /// The public value is unusable.
    #[error("peer's key exchange is unusable: {0}")]
    KeyExchange(#[from] DiffieHellmanError),
    /// The message must be encrypted and is not.
    #[error("message is not encrypted")]
    NotEncrypted,
    /// The message is encrypted and there is no key yet.
    #[error("message is encrypted before keys exist")]
    NoKeyYet,
    /// The encrypted body is not whole blocks.
    #[error("peer's ciphertext is unusable: {0}")]
    Cipher(#[from] CipherError),
    /// MM5 or MM6 decrypts to no sane chain of payloads: most likely the pre-shared keys differ.
    #[error("message does not decrypt: pre-shared keys may differ ({0})")]
    PreSharedKeyMismatch(ParseError),
    /// What came instead of MM6, as of a peer that could not read MM5, is not under the keys of MM5: most
    /// likely the pre-shared keys differ.
    #[error("answer to our authentication is under other keys: pre-shared keys may differ")]
    OtherKeys,
    /// A phase 2 message decrypts to no sane chain of payloads.
    #[error("message does not decrypt: {0}")]
    Undecipherable(ParseError),
    /// A hash payload does not verify.
    #[error("hash does not verify")]
    HashMismatch,
    /// The peer's ID has a type that policy does not accept.
    #[error("peer identifies by {0}, which is not accepted")]
    IdentityType(IdType),
    /// The peer's ID is not an address of its own, or not the one bound to its key.
    #[error("peer's identity is not the one expected from {source_address}")]
    IdentityMismatch {
        /// Where the message came from.
        source_address: IpAddr,
    },
    /// A renegotiation proved another identity than the peer has.
    #[error("peer {peer} came back as {proved}")]
    IdentityChanged {
        /// The peer's.
        peer: crate::Identity,
        /// The one proved now.
        proved: crate::Identity,
    },
    /// Protocol and port of a phase 1 ID are neither 0/0 nor 17/500 (RFC 2407 §4.6.2).
    #[error("peer's identity names protocol {protocol} port {port}")]
    IdentityPort {
        /// The protocol.
        protocol: u8,
        /// The port.
        port: u16,
    },
    /// As many half-open negotiations as configured exist already.
    #[error("{limit} half-open negotiations already")]
    HalfOpenLimit {
        /// The limit.
        limit: usize,
    },
    /// As many half-open negotiations from this address as configured exist already.
    #[error("{limit} half-open negotiations from {source_address} already")]
    HalfOpenLimitPerSource {
        /// The address.
        source_address: IpAddr,
        /// The limit.
        limit: usize,
    },
    /// As many quick modes of this phase 1 SA as configured are under way already.
    #[error("{limit} quick modes under way already")]
    QuickModeLimit {
        /// The limit.
        limit: usize,
    },
    /// The message ID was used before in this phase 1 SA: a replay.
    #[error("message id {0} was used before")]
    MessageIdReused(MessageId),
    /// No protection is for these proxy identities.
    #[error("no protection for the peer's proxy identities")]
    NoProtection,
    /// The quick mode answer asks for other traffic than we did, or for more.
    #[error("peer changed proxy identity {asked} to {answered}")]
    ProxyMismatch {
        /// What we asked for.
        asked: crate::Selector,
        /// What the peer answered.
        answered: crate::Selector,
    },
    /// A proxy identity of the quick mode answer is no host or subnet.
    #[error("peer's proxy identity is an {0}")]
    ProxyType(IdType),
    /// The peer's perfect forward secrecy is not what the protection asks for.
    #[error("peer's perfect forward secrecy is {}, ours {}", OrNone(*peer), OrNone(*ours))]
    PfsMismatch {
        /// The peer's group.
        peer: Option<Group>,
        /// Ours.
        ours: Option<Group>,
    },
    /// An SPI of 0 to 255, which is reserved (RFC 4303 §2.1), or not of four bytes.
    #[error("peer chose a reserved or malformed SPI")]
    Spi,
    /// A notify or delete without protection: never authoritative.
    #[error("unprotected {0}: ignored")]
    Unprotected(PayloadType),
    /// A notification without protection: it may be anybody's, and changes nothing.
    #[error("unprotected notification, somebody says: {0}")]
    UnprotectedNotification(NotifyType),
    /// The message has more of something than configured.
    #[error("peer sent {count} {what}, more than {limit}")]
    TooMany {
        /// Payloads, proposals or transforms.
        what: &'static str,
        /// How many there are.
        count: usize,
        /// The limit.
        limit: usize,
    },
    /// The answer to this message was sent again as often as configured.
    #[error("duplicate, answered {limit} times again already")]
    RepeatLimit {
        /// The limit.
        limit: u32,
    },
    /// More transmits, events or jobs wait to be polled than configured.
    #[error("{limit} transmits, events or jobs wait to be polled")]
    QueueFull {
        /// The limit.
        limit: usize,
    },
    /// A protected notification about nothing that exists here.
    #[error("{0} means nothing here")]
    Notification(NotifyType),
    /// A delete that names nothing that exists here.
    #[error("delete for {0} names no SA of this peer")]
    DeleteUnknown(ProtocolId),
    /// An R-U-THERE or its answer with cookies that are not this SA's, or a sequence number not
    /// asked for (RFC 3706 §5).
    #[error("dead peer detection with sequence {0} does not fit")]
    DeadPeerDetection(u32),
    /// A fragment, and fragmentation is not configured.
    #[error("peer sent a fragment, and fragmentation is off")]
    FragmentationOff,
    /// Fragments are numbered from 1.
    #[error("fragment number {number}, 1 to {limit} are accepted")]
    FragmentNumber {
        /// Its number.
        number: u8,
        /// The greatest accepted.
        limit: u8,
    },
    /// A fragment without a byte of a message.
    #[error("peer sent an empty fragment")]
    FragmentEmpty,
    /// The same fragment is here already.
    #[error("fragment {number} is a duplicate")]
    FragmentDuplicate {
        /// Its number.
        number: u8,
    },
    /// The message would be longer than configured.
    #[error("fragments of more than {limit} bytes in all")]
    FragmentsTooLong {
        /// The limit.
        limit: usize,
    },
    /// As many messages as configured wait for fragments already.
    #[error("{limit} messages wait for fragments already")]
    ReassemblyLimit {
        /// The limit.
        limit: usize,
    },
    /// What the fragments make is a fragment again.
    #[error("peer sent fragments of a fragment")]
    FragmentOfFragment,
    /// What the fragments make has other cookies than they.
    #[error("peer sent fragments of another SA's message")]
    FragmentCookies,
    /// The result of a job that nobody waits for any more.
    #[error("result of a job that nobody waits for")]
    StaleJob,
}

/// Something accepted knowingly although an RFC forbids it; traced and counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Deviation {
    /// A phase 1 ID with protocol 17, port 0 (RFC 2407 §4.6.2 allows 0/0 and 17/500).
    IdentityPortZero,
    /// A phase 1 ID with protocol 17 and the NAT traversal port.
    IdentityPortNatT,
    /// Bytes after the end of the message.
    TrailingBytes,
    /// A delete that names the SPI of our own inbound SA instead of the sender's.
    DeleteNamesOurSpi,
    /// A delete with a domain of interpretation that does not fit its protocol.
    DeleteDoi,
    /// The quick mode answer has another proposal number than the offer.
    ProposalNumberChanged,
    /// A quick mode without proxy identities: host to host, all protocols, is understood
    /// (RFC 2409 §5.5), and the protection's own are taken.
    NoProxyIdentities,
    /// The commit bit (RFC 2408 §3.1) is ignored.
    CommitBit,
    /// A quick mode offer without encapsulation mode: tunnel is understood, the protection's is
    /// taken.
    NoEncapsulationMode,
    /// An encapsulation mode whose UDP variant does not fit the NAT detection of phase 1.
    EncapsulationVariant,
    /// A proxy identity names another address than the one proposed or expected, and there is a NAT
    /// between it and the peer.
    ProxyNamesNatAddress,
    /// The responder took a part of the traffic proposed, by protocol or port, or as responder we
    /// did: RFC 2409 §5.5 knows only yes and no.
    ProxiesNarrowed,
    /// A proxy identity that is a subnet of one host.
    ProxySubnetOfHost,
    /// A proxy identity of GRE with a port.
    ProxyPortWithoutMeaning,
    /// A NAT-OA payload whose reserved octets are not zero (RFC 3947 §5.2).
    OriginalAddressReserved,
    /// An R-U-THERE with a sequence number that is not new.
    DeadPeerDetectionSequence,
    /// A fragment in clear under a header that says encrypted, as that of the whole message does.
    FragmentEncryptionFlag,
}
