//! The GRE layer.

use dmvpn_gre::{Header, ParseError, ProtocolType};
use serde_json::json;

use super::{Dissector, Report, nhrp};

const NAME: &str = "gre";

impl Dissector {
    pub(super) fn gre(&mut self, octets: &[u8], report: &mut Report) {
        let (header, payload) = match Header::parse(octets) {
            Ok(parsed) => parsed,
            Err(error) => {
                let u16_at = |at: usize| {
                    octets.get(at..)?.first_chunk().map(|octets| u16::from_be_bytes(*octets))
                };
                let version = u16_at(0).map(|flags| flags & 7);
                report.layer(NAME, json!({ "version": version, "protocol": u16_at(2) }));
                let offset =
                    if let ParseError::Truncated { offset, .. } = error { offset } else { 0 };
                return report.fault(NAME, error.to_string(), offset);
            }
        };
        let checksum_ok = header.checksum.map(|_| header.checksum_holds(payload));
        report.layer(
            NAME,
            json!({
                "version": 0,
                "protocol": header.protocol.0,
                "key": header.key,
                "sequence": header.sequence,
                "checksum_ok": checksum_ok,
            }),
        );
        let mut rebuilt = [0; Header::MAX_LEN];
        let length = header.encode(&mut rebuilt).unwrap_or(0);
        report.reencoded(octets.strip_suffix(payload) == rebuilt.get(..length));
        match header.protocol {
            ProtocolType::NHRP => nhrp::dissect(payload, report),
            ProtocolType::IPV4 | ProtocolType::IPV6 => self.ip(payload, report),
            _ => {}
        }
    }
}
