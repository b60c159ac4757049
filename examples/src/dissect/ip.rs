//! What carries the four protocols and what they carry: IP and UDP.

use core::net::IpAddr;

use dmvpn_esp::udp::{Datagram, classify};
use etherparse::{IpNumber, Ipv6ExtensionSlice, LaxIpSlice, UdpHeader};
use serde_json::{Value, json};

use super::{Dissector, Report, nhrp};

const NAME: &str = "ip";
const ISAKMP_PORT: u16 = 500;
const NAT_TRAVERSAL_PORT: u16 = 4500;
/// The deepest nesting that is followed; real packets have three or four layers.
const MAX_DEPTH: usize = 16;

impl Dissector {
    pub(super) fn ip(&mut self, octets: &[u8], report: &mut Report) {
        report.depth += 1;
        if report.depth > MAX_DEPTH {
            return report.fault(NAME, format!("nested more than {MAX_DEPTH} deep"), 0);
        }
        let (ip, stopped) = match LaxIpSlice::from_slice(octets) {
            Ok(ip) => ip,
            // At the outside nobody knows what it would have been.
            Err(_) if report.layers.is_empty() => return,
            Err(error) => return report.fault(NAME, error.to_string(), 0),
        };
        report.carrier(NAME, header(&ip));
        let content = ip.payload();
        let inside = Inside {
            source: ip.source_addr(),
            destination: ip.destination_addr(),
            protocol: content.ip_number,
            whole: !content.incomplete && !content.fragmented,
        };
        if let Some((error, _)) = stopped {
            if inside.is_ours(content.payload) {
                report.fault(NAME, error.to_string(), 0);
            }
            return;
        }
        if content.fragmented {
            // Behind the first one there are no headers, and of UDP no ports.
            let first = fragment_offset(&ip) == 0;
            if !inside.is_ours(content.payload) || inside.protocol == IpNumber::UDP && !first {
                return;
            }
            report.fault(NAME, "a fragment, and fragments are not joined".into(), 0);
            if !first {
                return;
            }
        }
        let layers = report.layers.len();
        self.transport(inside, content.payload, report);
        if content.incomplete && report.layers.len() > layers {
            let what = format!("only {} octets of the packet were captured", octets.len());
            report.fault(NAME, what, octets.len());
        }
    }

    pub(super) fn transport(&mut self, inside: Inside, octets: &[u8], report: &mut Report) {
        match inside.protocol {
            IpNumber::UDP => self.udp(inside, octets, report),
            IpNumber::GRE => self.gre(octets, report),
            IpNumber::ENCAPSULATING_SECURITY_PAYLOAD => self.esp(inside, octets, report),
            IpNumber(Inside::NHRP) => nhrp::dissect(octets, report),
            IpNumber::IPV4 | IpNumber::IPV6 => self.ip(octets, report),
            _ => {}
        }
    }

    fn udp(&mut self, inside: Inside, octets: &[u8], report: &mut Report) {
        let ours = inside.is_ours(octets);
        let Ok((header, rest)) = UdpHeader::from_slice(octets) else {
            if ours {
                report.fault("udp", "the header is cut short".into(), 0);
            }
            return;
        };
        report.carrier(
            "udp",
            json!({
                "source_port": header.source_port,
                "destination_port": header.destination_port,
                "length": header.length,
            }),
        );
        if !ours {
            return;
        }
        let length = usize::from(header.length);
        if length < UdpHeader::LEN || (length > octets.len() && inside.whole) {
            let what = format!("length {length} in a packet of {}", octets.len());
            report.fault("udp", what, 4);
        }
        let payload = rest.get(..length.saturating_sub(UdpHeader::LEN)).unwrap_or(rest);
        if ![header.source_port, header.destination_port].contains(&NAT_TRAVERSAL_PORT) {
            return self.isakmp(payload, report);
        }
        match classify(payload) {
            Ok(Datagram::Isakmp(range)) => {
                self.isakmp(payload.get(range).unwrap_or_default(), report);
            }
            Ok(Datagram::Esp) => self.esp(inside, payload, report),
            // RFC 3948 §2.3: it only keeps the NAT's mapping, and is none of the four protocols.
            Ok(Datagram::Keepalive) => {}
            Err(error) => report.fault("udp", error.to_string(), UdpHeader::LEN),
        }
    }
}

/// What an IP header says of what is behind it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Inside {
    pub(super) source: IpAddr,
    pub(super) destination: IpAddr,
    pub(super) protocol: IpNumber,
    /// All of the packet was captured.
    pub(super) whole: bool,
}

impl Inside {
    /// "NARP" of RFC 1735, over whose number NHRP goes without GRE (RFC 2332 §5).
    const NHRP: u8 = 54;

    /// Whether the packet is one of those that are reported.
    fn is_ours(self, octets: &[u8]) -> bool {
        const OURS: [IpNumber; 3] =
            [IpNumber::GRE, IpNumber::ENCAPSULATING_SECURITY_PAYLOAD, IpNumber(Inside::NHRP)];
        let port =
            |port: [u8; 2]| [ISAKMP_PORT, NAT_TRAVERSAL_PORT].contains(&u16::from_be_bytes(port));
        let ports = || octets.first_chunk().map(|[a, b, c, d]| [[*a, *b], [*c, *d]]);
        OURS.contains(&self.protocol)
            || self.protocol == IpNumber::UDP
                && ports().is_some_and(|ports| ports.map(port).contains(&true))
    }
}

/// Where in the whole packet's payload this fragment lies, in units of 8 octets.
fn fragment_offset(ip: &LaxIpSlice<'_>) -> u16 {
    match ip {
        LaxIpSlice::Ipv4(ipv4) => ipv4.header().fragments_offset().value(),
        LaxIpSlice::Ipv6(ipv6) => ipv6
            .extensions()
            .clone()
            .into_iter()
            .find_map(|extension| match extension {
                Ipv6ExtensionSlice::Fragment(header) => Some(header.fragment_offset().value()),
                Ipv6ExtensionSlice::HopByHop(_)
                | Ipv6ExtensionSlice::Routing(_)
                | Ipv6ExtensionSlice::DestinationOptions(_)
                | Ipv6ExtensionSlice::Authentication(_) => None,
            })
            .unwrap_or(0),
    }
}

/// The header of a packet that another one quotes, which need not be whole.
pub(super) fn quoted(octets: &[u8]) -> Option<Value> {
    LaxIpSlice::from_slice(octets).ok().map(|(ip, _)| header(&ip))
}

/// The header's fields. Of IPv6 only those that stand in each header.
fn header(ip: &LaxIpSlice<'_>) -> Value {
    match ip {
        LaxIpSlice::Ipv4(ipv4) => {
            let header = ipv4.header();
            json!({
                "version": 4,
                "header_length": usize::from(header.ihl()) * 4,
                "traffic_class": header.dcp().value() << 2 | header.ecn().value(),
                "length": header.total_len(),
                "id": header.identification(),
                "dont_fragment": header.dont_fragment(),
                "more_fragments": header.more_fragments(),
                "fragment_offset": u32::from(header.fragments_offset().value()) * 8,
                "ttl": header.ttl(),
                "protocol": header.protocol().0,
                "checksum_ok": header.to_header().calc_header_checksum() == header.header_checksum(),
                "source": header.source_addr(),
                "destination": header.destination_addr(),
            })
        }
        LaxIpSlice::Ipv6(ipv6) => {
            let header = ipv6.header();
            json!({
                "version": 6,
                "traffic_class": header.traffic_class(),
                "length": header.payload_length(),
                "ttl": header.hop_limit(),
                "protocol": header.next_header().0,
                "source": header.source_addr(),
                "destination": header.destination_addr(),
            })
        }
    }
}
