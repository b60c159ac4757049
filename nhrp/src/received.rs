//! What every packet is held against, whoever it is for: authentication and extensions.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::net::IpAddr;

use crate::output::Built;
use crate::wire::{
    Address, AddressFamily, Body, ErrorCode, ErrorIndication, Extension, ExtensionType,
    ExtensionValue, Flags, Message, NbmaAddress, Packet, ProtocolType, SecurityParameterIndex,
};
use crate::{Config, Discard};

/// Why a packet is answered with an error indication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) code: ErrorCode,
    /// Where, in octets from the start of the packet.
    offset: usize,
}

/// RFC 2332 §5.1: addresses are read by ar$afn and ar$pro.type, which must be IP's; the protocol
/// is that of the tunnel.
pub(crate) const fn check_families(packet: &Packet, config: &Config) -> Result<(), Discard> {
    let protocol =
        if config.protocol_address.is_ipv4() { ProtocolType::IPV4 } else { ProtocolType::IPV6 };
    let nbma = matches!(packet.address_family, AddressFamily::IPV4 | AddressFamily::IPV6);
    if nbma && packet.protocol_type.0 == protocol.0 {
        return Ok(());
    }
    Err(Discard::AddressFamily)
}

/// Authentication is right if none is configured, or if there is exactly one extension of it and
/// it holds the configured string. With two, it would depend on the reader which of them counts.
pub(crate) fn check_authentication(packet: &Packet, config: &Config) -> Result<(), Fault> {
    let Some(string) = &config.authentication else { return Ok(()) };
    let mut found = packet
        .extensions
        .iter()
        .filter(|extension| extension.extension_type == ExtensionType::AUTHENTICATION);
    let right = match (found.next().map(|extension| &extension.value), found.next()) {
        (Some(ExtensionValue::Authentication(authentication)), None) => {
            authentication.spi == SecurityParameterIndex::CLEAR_TEXT
                && authentication.data == *string
        }
        _ => false,
    };
    if right {
        return Ok(());
    }
    let is_authentication =
        |extension: &Extension| extension.extension_type == ExtensionType::AUTHENTICATION;
    let offset = offset_of(packet, is_authentication).unwrap_or_else(|| packet.extension_offset());
    Err(Fault { code: ErrorCode::AUTHENTICATION_FAILURE, offset })
}

/// RFC 2332 §5.3: who would answer a packet must understand its compulsory extensions, and each is
/// there once, but for the vendors' own; so what an answer fills in, it fills in once.
pub(crate) fn check_extensions(packet: &Packet) -> Result<(), Fault> {
    let unknown = |extension: &Extension| extension.compulsory && !is_understood(extension);
    if let Some(offset) = offset_of(packet, unknown) {
        return Err(Fault { code: ErrorCode::UNRECOGNIZED_EXTENSION, offset });
    }
    let mut seen = BTreeSet::new();
    let repeated =
        |extension: &Extension| is_understood(extension) && !seen.insert(extension.extension_type);
    if let Some(offset) = offset_of(packet, repeated) {
        return Err(Fault { code: ErrorCode::INVALID_EXTENSION, offset });
    }
    Ok(())
}

const fn is_understood(extension: &Extension) -> bool {
    matches!(
        extension.extension_type,
        ExtensionType::END
            | ExtensionType::RESPONDER_ADDRESS
            | ExtensionType::FORWARD_TRANSIT_NHS_RECORD
            | ExtensionType::REVERSE_TRANSIT_NHS_RECORD
            | ExtensionType::AUTHENTICATION
            | ExtensionType::NAT_ADDRESS
    )
}

/// Where the first extension stands that `is_it` says yes to.
fn offset_of(packet: &Packet, is_it: impl FnMut(&Extension) -> bool) -> Option<usize> {
    let position = packet.extensions.iter().position(is_it)?;
    let before = packet.extensions.iter().take(position).map(Extension::encoded_len);
    Some(before.fold(packet.extension_offset(), usize::saturating_add))
}

/// The error indication for a packet in error (RFC 2332 §5.2.7), without extensions: no
/// authentication, either. Of the packet in error it repeats what stands before the extensions,
/// since among those is the authentication.
pub(crate) fn error_indication(
    packet: &Packet,
    octets: &[u8],
    fault: Fault,
    config: &Config,
) -> Result<Built, Discard> {
    let shown = match packet.extension_offset() {
        0 => octets,
        offset => octets.get(..offset).unwrap_or(octets),
    };
    let body = Body::ErrorIndication(ErrorIndication {
        unused: 0,
        code: fault.code,
        offset: u16::try_from(fault.offset).unwrap_or(u16::MAX),
        contents: bytes::Bytes::copy_from_slice(shown),
    });
    let destination = config.protocol_address;
    let indication = Packet::new(config.nbma, config.protocol_address, destination, body);
    Built::new(Packet { destination_protocol: packet.source_protocol.clone(), ..indication })
}

/// The IP address that an address field of a packet is.
pub(crate) fn ip(address: &Address) -> Result<IpAddr, Discard> {
    address.ip().ok_or(Discard::AddressFamily)
}

/// The same for an NBMA address.
pub(crate) fn nbma_ip(address: &NbmaAddress) -> Result<IpAddr, Discard> {
    address.ip().ok_or(Discard::AddressFamily)
}

/// Whether two protocol addresses are of one family.
pub(crate) const fn same_family(a: IpAddr, b: IpAddr) -> bool {
    a.is_ipv4() == b.is_ipv4()
}

/// A message with `entries` instead of its own.
pub(crate) const fn with_entries(message: &Message, entries: Vec<crate::wire::Cie>) -> Message {
    let Message { flags, request_id, .. } = message;
    Message { flags: *flags, request_id: *request_id, entries }
}

/// Whether the sender asks for no reply to its purge.
pub(crate) const fn wants_no_reply(flags: Flags) -> bool {
    flags.contains(Flags::NO_REPLY)
}
