//! The NHRP layer.

use dmvpn_nhrp::wire::{
    Address, AuthenticationString, Body, Cie, Extension, ExtensionValue, FixedHeader, NbmaAddress,
    Parsed, SecurityParameterIndex,
};
use serde_json::{Value, json};

use super::{Report, ip};
use crate::keys::hex;

const NAME: &str = "nhrp";

pub(super) fn dissect(octets: &[u8], report: &mut Report) {
    let parsed = match Parsed::parse(octets) {
        Ok(parsed) => parsed,
        Err(error) => {
            // The fixed header says something even where the rest is malformed.
            let header = FixedHeader::parse(octets).map_or_else(|_| json!({}), |h| fixed(&h));
            report.layer(NAME, header);
            return report.fault(NAME, error.to_string(), error.offset());
        }
    };
    let packet = &parsed.packet;
    let mut object = fixed(&parsed.header);
    object["checksum_ok"] = parsed.checksum_ok.into();
    object["src_nbma"] = nbma(&packet.source_nbma);
    object["src_protocol"] = address(&packet.source_protocol);
    object["dst_protocol"] = address(&packet.destination_protocol);
    object["extensions"] = packet.extensions.iter().map(extension).collect();
    if let Some(message) = packet.body.message() {
        object["flags"] = message.flags.0.into();
        object["request_id"] = message.request_id.0.into();
        object["cies"] = message.entries.iter().map(cie).collect();
    }
    if let Body::ErrorIndication(indication) = &packet.body {
        object["error_code"] = indication.code.0.into();
        object["error_offset"] = indication.offset.into();
        object["contents"] = hex(&indication.contents).into();
        // RFC 2332 §5.2.7: the packet in error from its front, and hardly ever to its end.
        object["quoted"] = FixedHeader::parse(&indication.contents).ok().map(|h| fixed(&h)).into();
    }
    if let Body::TrafficIndication(indication) = &packet.body {
        object["traffic_code"] = indication.code.into();
        object["contents"] = hex(&indication.contents).into();
        object["quoted"] = ip::quoted(&indication.contents).into();
    }
    report.layer(NAME, object);
    if parsed.checksum_ok {
        let packet_octets = octets.strip_suffix(parsed.trailing);
        let rebuilt = packet.encode().ok();
        report.reencoded(rebuilt.as_deref() == packet_octets);
    } else {
        // A receiver discards it, and a builder would write the right one.
        report.fault(NAME, "the checksum is wrong".into(), 12);
    }
}

fn fixed(header: &FixedHeader) -> Value {
    json!({
        "type": header.packet_type,
        "hop": header.hop_count,
        "pktsz": header.packet_size,
        "extoff": header.extension_offset,
        "version": header.version,
        "address_family": header.address_family.0,
        "protocol_type": header.protocol_type.0,
        "snap": hex(&header.protocol_snap),
        "checksum": header.checksum,
        "src_nbma_type_length": header.source_type_length,
        "src_subaddress_type_length": header.source_subaddress_type_length,
    })
}

fn cie(cie: &Cie) -> Value {
    json!({
        "code": cie.code.0,
        "prefix": cie.prefix_length,
        "mtu": cie.mtu,
        "holding_time": cie.holding_time,
        "nbma": nbma(&cie.nbma),
        "protocol": address(&cie.protocol),
        "preference": cie.preference,
        "unused": cie.unused,
    })
}

fn extension(extension: &Extension) -> Value {
    let mut object = json!({
        "type": extension.extension_type.value(),
        "compulsory": extension.compulsory,
        "length": extension.value_len(),
    });
    match &extension.value {
        ExtensionValue::Clients(entries) => {
            object["cies"] = entries.iter().map(cie).collect();
        }
        ExtensionValue::Authentication(authentication) => {
            object["reserved"] = authentication.reserved.into();
            object["auth_type"] = authentication.spi.0.into();
            object["auth_data"] = secret(authentication.spi, &authentication.data).into();
        }
        ExtensionValue::VendorPrivate { vendor, data } => {
            object["vendor"] = hex(vendor).into();
            object["data"] = hex(data).into();
        }
        ExtensionValue::Raw(data) if !data.is_empty() => object["data"] = hex(data).into(),
        ExtensionValue::Raw(_) => {}
    }
    object
}

/// A clear-text password as the text that it is, anything else in hexadecimal.
fn secret(spi: SecurityParameterIndex, data: &AuthenticationString) -> String {
    let octets = data.dangerous_octets();
    match core::str::from_utf8(octets) {
        Ok(text) if spi == SecurityParameterIndex::CLEAR_TEXT && text.is_ascii() => text.into(),
        _ => hex(octets),
    }
}

/// `null` where there is none.
fn address(address: &Address) -> Value {
    if address.is_none() { Value::Null } else { address.to_string().into() }
}

fn nbma(nbma: &NbmaAddress) -> Value {
    address(&nbma.address)
}
