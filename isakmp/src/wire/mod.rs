//! The pure codec: ISAKMP messages and their payloads, on the wire and back.
//!
//! Parsing borrows from the datagram, copies nothing but fixed fields, and is lossless: reserved
//! bytes, unknown payloads and bytes after the payload chain survive parse → encode, and the raw
//! bytes of each received payload stay reachable, because IKE hashes what was received and not
//! what it meant (RFC 2409 §5). No input panics, loops, or allocates more than a constant times
//! its own length.
//!
//! ```
//! use dmvpn_isakmp::wire::{Chain, Cookie, ExchangeType, Header, Message, Payload, VendorId};
//!
//! let header = Header::new(Cookie(*b"initiate"), Cookie::ZERO, ExchangeType::MAIN_MODE);
//! let mut chain = Chain::new();
//! chain.push(&Payload::VendorId(VendorId::DEAD_PEER_DETECTION));
//! let datagram = chain.message(header, 0)?;
//!
//! let message = Message::parse(&datagram)?;
//! let payloads = message.payloads().expect("not encrypted");
//! assert_eq!(payloads.iter().count(), 1);
//! assert_eq!(message.encode()?, datagram);
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```
//!
//! Not here: the non-ESP marker of RFC 3948 (datagrams arrive without it), encryption, and what
//! the values mean to a negotiation.

mod attribute;
mod chain;
mod code_point;
mod delete;
mod error;
mod exchange;
mod fragment;
mod header;
mod identification;
mod message;
mod nat_traversal;
mod notification;
mod payload;
mod reader;
mod responder_lifetime;
mod security_association;
mod transform;
mod vendor_id;

pub use attribute::{Attribute, AttributeType, AttributeValue, phase1, phase2};
pub use chain::Chain;
pub use delete::Delete;
pub use error::{EncodeError, ParseError};
pub use exchange::{ExchangeType, Flags};
pub use fragment::Fragment;
pub use header::{Cookie, Header, MessageId, Version};
pub use identification::{IdType, Identification};
pub use message::{Content, MAX_PAYLOADS, Message, Payloads, Received};
pub use nat_traversal::{NatNumbering, NatOriginalAddress};
pub use notification::{Notification, NotifyType};
pub use payload::{Payload, PayloadType};
pub use responder_lifetime::ResponderLifetime;
pub use security_association::{
    Doi, MAX_PROPOSALS, Proposal, ProtocolId, SecurityAssociation, Situation, Transform,
};
pub use transform::{
    AuthenticationAlgorithm, AuthenticationMethod, EncapsulationMode, LifeType, TransformId,
};
pub use vendor_id::{Vendor, VendorId};
