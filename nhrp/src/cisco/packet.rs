//! A whole packet, part by part, as `debug nhrp packet` and `debug nhrp extension` print it.

use core::fmt;

use crate::wire::{
    AddressFamily, Authentication, Body, Cie, Extension, ExtensionType, ExtensionValue, Flags,
    Message, NbmaAddress, Packet, PacketType, ProtocolType, SecurityParameterIndex,
};

/// Renders a packet from its fixed part to its last extension: many lines, no line end after the
/// last. The end of extensions is not shown.
///
/// Like IOS it shows the authentication string, which crosses the network in clear text.
#[derive(Clone, Copy, Debug)]
pub struct PacketFields<'a>(pub &'a Packet);

impl fmt::Display for PacketFields<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fixed_part(self.0, f)?;
        mandatory_part(self.0, f)?;
        self.0
            .extensions
            .iter()
            .filter(|extension| !extension.is_end())
            .try_for_each(|extension| show_extension(extension, f))
    }
}

fn fixed_part(packet: &Packet, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let family = match packet.address_family {
        AddressFamily::IPV4 => "IPv4",
        AddressFamily::IPV6 => "IPv6",
        AddressFamily(_) => "unknown",
    };
    let protocol = match packet.protocol_type {
        ProtocolType::IPV4 => "IP",
        ProtocolType::IPV6 => "IPv6",
        ProtocolType(_) => "unknown",
    };
    write!(f, " (F) afn: {family}({}), ", packet.address_family.0)?;
    writeln!(
        f,
        "type: {protocol}({:X}), hop: {}, ver: 1",
        packet.protocol_type.0, packet.hop_count
    )?;
    let (source, subaddress) =
        (TypeLength(&packet.source_nbma), TypeLength(&packet.source_nbma_subaddress));
    writeln!(f, "     shtl: {source}, sstl: {subaddress}")?;
    write!(f, "     pktsz: {} extoff: {}", packet.encoded_len(), packet.extension_offset())
}

/// Length and format of an NBMA address: `4(NSAP)`.
struct TypeLength<'a>(&'a NbmaAddress);

impl fmt::Display for TypeLength<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", self.0.address.octets().len(), self.0.format)
    }
}

fn mandatory_part(packet: &Packet, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match &packet.body {
        Body::ResolutionRequest(message)
        | Body::ResolutionReply(message)
        | Body::RegistrationRequest(message)
        | Body::RegistrationReply(message)
        | Body::PurgeRequest(message)
        | Body::PurgeReply(message) => {
            let flags = FlagNames { packet_type: packet.packet_type(), flags: message.flags };
            write!(f, "\n (M) flags: \"{flags}\", reqid: {}", message.request_id)?;
            addresses(packet, f)?;
            clients(message, f)
        }
        Body::ErrorIndication(error) => {
            write!(f, "\n (M) error code: {}, offset: {}", error.code, error.offset)?;
            addresses(packet, f)?;
            f.write_str("\n     Contents of error packet:")?;
            write!(f, "{}", Octets(&error.contents))
        }
        Body::TrafficIndication(traffic) => {
            let code = if traffic.code == 0 { "redirect" } else { "unknown" };
            write!(f, "\n (M) traffic code: {code}({})", traffic.code)?;
            addresses(packet, f)?;
            f.write_str("\n     Contents of nhrp traffic indication packet:")?;
            write!(f, "{}", Octets(&traffic.contents))
        }
    }
}

fn addresses(packet: &Packet, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "\n     src NBMA: {}", packet.source_nbma)?;
    if !packet.source_nbma_subaddress.address.is_none() {
        write!(f, ", src NBMA subaddress: {}", packet.source_nbma_subaddress)?;
    }
    write!(f, "\n     src protocol: {}, ", packet.source_protocol)?;
    write!(f, "dst protocol: {}", packet.destination_protocol)
}

fn clients(message: &Message, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    (1_usize..).zip(&message.entries).try_for_each(|(number, entry)| client(entry, Some(number), f))
}

/// A client information entry, numbered unless its place has room for one only.
fn client(entry: &Cie, number: Option<usize>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match number {
        Some(number) => write!(f, "\n (C-{number}) code: {}", entry.code)?,
        None => write!(f, "\n (C) code: {}", entry.code)?,
    }
    let Cie { prefix_length, mtu, holding_time, preference, .. } = entry;
    write!(f, "\n       prefix: {prefix_length}, mtu: {mtu}, hd_time: {holding_time}")?;
    let (nbma, subaddress) = (TypeLength(&entry.nbma), TypeLength(&entry.nbma_subaddress));
    write!(f, "\n       addr_len: {nbma}, subaddr_len: {subaddress}, ")?;
    write!(f, "proto_len: {}, pref: {preference}", entry.protocol.octets().len())?;
    if !entry.nbma.address.is_none() {
        write!(f, "\n       client NBMA: {}", entry.nbma)?;
    }
    if !entry.nbma_subaddress.address.is_none() {
        write!(f, "\n       client NBMA subaddress: {}", entry.nbma_subaddress)?;
    }
    if !entry.protocol.is_none() {
        write!(f, "\n       client protocol: {}", entry.protocol)?;
    }
    Ok(())
}

fn show_extension(extension: &Extension, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let number = extension.extension_type.value();
    match extension.extension_type.name() {
        Some(name) => write!(f, "\n{name} Extension({number}):")?,
        None => write!(f, "\nUnknown Extension({number}):")?,
    }
    match &extension.value {
        // There is one responder (RFC 2332 §5.3.1), whose entry IOS does not number.
        ExtensionValue::Clients(entries)
            if extension.extension_type == ExtensionType::RESPONDER_ADDRESS =>
        {
            entries.iter().try_for_each(|entry| client(entry, None, f))
        }
        ExtensionValue::Clients(entries) => {
            (1_usize..).zip(entries).try_for_each(|(number, entry)| client(entry, Some(number), f))
        }
        ExtensionValue::Authentication(value) => authentication(value, f),
        ExtensionValue::VendorPrivate { vendor: [a, b, c], data } => {
            write!(f, "\n  vendor:{a:02x}{b:02x}{c:02x}, data:{}", Hexadecimal(data))
        }
        ExtensionValue::Raw(octets) if octets.is_empty() => Ok(()),
        ExtensionValue::Raw(octets) => write!(f, "\n  data:{}", Hexadecimal(octets)),
    }
}

fn authentication(value: &Authentication, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let octets = value.data.dangerous_octets();
    match value.spi {
        // A peer chooses these octets: what does not print is escaped, lest it forge lines.
        SecurityParameterIndex::CLEAR_TEXT => {
            write!(f, "\n  type:Cleartext(1), data:{}", octets.escape_ascii())
        }
        SecurityParameterIndex(spi) => {
            write!(f, "\n  type:unknown({spi}), data:{}", Hexadecimal(octets))
        }
    }
}

/// The flags of a message by name, each with a space behind it as IOS has it. Bits without a name
/// are left out.
struct FlagNames {
    packet_type: PacketType,
    flags: Flags,
}

impl fmt::Display for FlagNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: &[(Flags, &str)] = match self.packet_type {
            PacketType::RESOLUTION_REQUEST | PacketType::RESOLUTION_REPLY => &[
                (Flags::ROUTER, "router "),
                (Flags::AUTHORITATIVE, "auth "),
                (Flags::DESTINATION_STABLE, "dst-stable "),
                (Flags::RESOLUTION_UNIQUE, "unique "),
                (Flags::SOURCE_STABLE, "src-stable "),
                (Flags::NAT, "nat "),
            ],
            PacketType::PURGE_REQUEST | PacketType::PURGE_REPLY => {
                &[(Flags::NO_REPLY, "no-reply "), (Flags::NAT, "nat ")]
            }
            _ => &[(Flags::UNIQUE, "unique "), (Flags::NAT, "nat ")],
        };
        names
            .iter()
            .filter(|(flag, _)| self.flags.contains(*flag))
            .try_for_each(|(_, name)| f.write_str(name))
    }
}

/// Octets without anything between them.
struct Hexadecimal<'a>(&'a [u8]);

impl fmt::Display for Hexadecimal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

/// Octets in rows of sixteen, each row on a line of its own.
struct Octets<'a>(&'a [u8]);

impl fmt::Display for Octets<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chunks(16).try_for_each(|row| {
            f.write_str("\n       ")?;
            row.iter().try_for_each(|octet| write!(f, " {octet:02X}"))
        })
    }
}
