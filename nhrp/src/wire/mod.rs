//! The pure codec: the packets of RFC 2332 and Cisco's additions, decoded and built without loss.
//!
//! [`Packet`] is the decoded form: every field that a sender may choose is in it, the three that
//! follow from the rest (packet size, checksum, extension offset) are computed when it is built.
//! [`Parsed`] adds what a dissector wants to see of the octets as they were. Unknown extensions,
//! unused bits and addresses of any length survive parse → encode. No input panics, loops, or
//! allocates more than a constant times its own length.
//!
//! ```
//! use core::net::IpAddr;
//! use dmvpn_nhrp::wire::{Body, Cie, Extension, Flags, Message, Packet, RequestId};
//!
//! let address = |octets: [u8; 4]| IpAddr::from(octets);
//! let message = Message {
//!     flags: Flags::UNIQUE,
//!     request_id: RequestId(1),
//!     entries: vec![Cie::bare(32, 17912, 7200)],
//! };
//! let mut packet = Packet::new(
//!     address([172, 16, 1, 1]),
//!     address([10, 1, 1, 1]),
//!     address([10, 1, 1, 254]),
//!     Body::RegistrationRequest(message),
//! );
//! packet.extensions.push(Extension::end());
//!
//! let octets = packet.encode()?;
//! assert_eq!(octets.len(), packet.encoded_len());
//! assert_eq!(Packet::parse(&octets)?, packet);
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```
//!
//! Tolerated:
//! - octets after the packet, which its size does not count ([`Parsed::trailing`]);
//! - extensions without their end, which RFC 2332 §5.3 wants last;
//! - extensions that follow each other without alignment, since Cisco pads none;
//! - an authentication, NAT address or vendor-private extension whose value does not have its
//!   form: it is kept as [`ExtensionValue::Raw`], and means what its reader decides.
//!
//! Refused, with the offset at fault:
//! - a packet size beyond the octets there are, or short of the mandatory part;
//! - an extension offset inside the addresses, or that leaves no room for even one extension;
//! - anything after the end of extensions that the packet size counts;
//! - a version other than 1, a packet type that is not among the eight, a wrong checksum (not by
//!   [`Parsed::parse`], which reports it).

mod address;
mod authentication;
mod checksum;
mod cie;
mod code_point;
mod error;
mod extension;
mod header;
mod indication;
mod message;
mod packet;
mod reader;

pub use address::{Address, NbmaAddress, NbmaFormat};
pub use authentication::{Authentication, AuthenticationString};
pub use checksum::checksum;
pub use cie::Cie;
pub use code_point::{
    AddressFamily, CieCode, ErrorCode, ExtensionType, Flags, PacketType, ProtocolType, RequestId,
    SecurityParameterIndex,
};
pub use error::{BuildError, ParseError};
pub use extension::{Extension, ExtensionValue};
pub use header::FixedHeader;
pub use indication::{ErrorIndication, TrafficIndication};
pub use message::Message;
pub use packet::{Body, Packet, Parsed};
