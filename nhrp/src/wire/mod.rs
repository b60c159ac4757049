//! The packets of RFC 2332 and Cisco's additions, decoded and built without loss.
//!
//! [`Packet`] is the decoded form: every field that a sender may choose is in it, the three that
//! follow from the rest (packet size, checksum, extension offset) are computed when it is built.
//! [`Parsed`] adds what a dissector wants to see of the octets as they were.

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
