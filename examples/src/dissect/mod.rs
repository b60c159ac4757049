//! Dissection of captures: each GRE, NHRP, ISAKMP or ESP packet as a JSON object.
//!
//! The object has `frame`, its number from 1; `layers`, those four names outermost first; under
//! each name an object, or an array of them where the layer occurs more than once;
//! `reencoded_equal`, whether everything parsed and, built again, gave the same octets; and, for
//! what does not parse, `error` with the `layer` at fault, `what` is wrong and the `offset` of it
//! in octets from the front of that layer. Numbers are numbers, addresses text, octets hexadecimal.
//!
//! With keys, ISAKMP and ESP are opened, and what is inside is dissected likewise.

mod esp;
mod gre;
mod isakmp;
mod nhrp;
mod phase1;

use core::net::IpAddr;

use dmvpn_esp::udp::{Datagram, classify};
use etherparse::{IpNumber, Ipv6ExtensionSlice, LaxIpSlice, UdpHeader};
use serde_json::{Map, Value, json};
use thiserror::Error;

use crate::capture::{EtherType, Frame};
use crate::keys::Keys;

const ISAKMP_PORT: u16 = 500;
const NAT_TRAVERSAL_PORT: u16 = 4500;
/// The deepest nesting that is followed; real packets have three or four layers.
const MAX_DEPTH: usize = 16;

/// Dissects the frames of one capture, in order: opening ISAKMP needs the messages before.
#[derive(Debug)]
pub struct Dissector {
    isakmp: phase1::Sessions,
    fragments: isakmp::Fragments,
    esp: esp::Sas,
}

/// An ESP key that makes no SA.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("esp_sa: spi {spi:#010x}: {reason}")]
pub struct UnusableKey {
    /// The SPI of the record.
    pub spi: u32,
    /// Why not.
    pub reason: String,
}

impl Dissector {
    /// A dissector that opens what these keys open; [`Keys::default`] has none.
    ///
    /// # Errors
    ///
    /// [`UnusableKey`]: a record of the ESP table whose keys do not fit its algorithms.
    pub fn new(keys: Keys) -> Result<Self, UnusableKey> {
        Ok(Self {
            isakmp: phase1::Sessions::new(&keys.isakmp),
            fragments: isakmp::Fragments::default(),
            esp: esp::Sas::new(keys)?,
        })
    }

    /// The object of a frame; `None` for a frame with none of the four protocols.
    pub fn frame(&mut self, frame: &Frame<'_>) -> Option<Value> {
        let mut report = Report::default();
        match frame.network()? {
            (EtherType::IPV4 | EtherType::IPV6, packet) => self.ip(packet, &mut report),
            (EtherType::NHRP, packet) => nhrp::dissect(packet, &mut report),
            _ => {}
        }
        report.into_json(frame.number)
    }

    fn ip(&mut self, octets: &[u8], report: &mut Report) {
        report.depth += 1;
        if report.depth > MAX_DEPTH {
            return report.fault("ip", format!("nested more than {MAX_DEPTH} deep"), 0);
        }
        let (ip, stopped) = match LaxIpSlice::from_slice(octets) {
            Ok(ip) => ip,
            // At the outside nobody knows what it would have been.
            Err(_) if report.layers.is_empty() => return,
            Err(error) => return report.fault("ip", error.to_string(), 0),
        };
        let content = ip.payload();
        let inside = Inside {
            source: ip.source_addr(),
            destination: ip.destination_addr(),
            protocol: content.ip_number,
            whole: !content.incomplete && !content.fragmented,
        };
        if let Some((error, _)) = stopped {
            if inside.is_ours(content.payload) {
                report.fault("ip", error.to_string(), 0);
            }
            return;
        }
        if content.fragmented {
            // Behind the first one there are no headers, and of UDP no ports.
            let first = fragment_offset(&ip) == 0;
            if !inside.is_ours(content.payload) || inside.protocol == IpNumber::UDP && !first {
                return;
            }
            report.fault("ip", "a fragment, and fragments are not joined".into(), 0);
            if !first {
                return;
            }
        }
        let layers = report.layers.len();
        self.transport(inside, content.payload, report);
        if content.incomplete && report.layers.len() > layers {
            let what = format!("only {} octets of the packet were captured", octets.len());
            report.fault("ip", what, octets.len());
        }
    }

    fn transport(&mut self, inside: Inside, octets: &[u8], report: &mut Report) {
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
        if !inside.is_ours(octets) {
            return;
        }
        let Ok((header, rest)) = UdpHeader::from_slice(octets) else {
            return report.fault("udp", "the header is cut short".into(), 0);
        };
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
struct Inside {
    source: IpAddr,
    destination: IpAddr,
    protocol: IpNumber,
    /// All of the packet was captured.
    whole: bool,
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

/// One frame's object while it is put together.
#[derive(Debug, Default)]
struct Report {
    depth: usize,
    layers: Vec<(&'static str, Value)>,
    rebuilt_otherwise: bool,
    error: Option<Value>,
}

impl Report {
    fn layer(&mut self, name: &'static str, object: Value) {
        self.layers.push((name, object));
    }

    /// What was parsed, built again, gave the same octets, or not.
    fn reencoded(&mut self, equal: bool) {
        self.rebuilt_otherwise |= !equal;
    }

    /// What does not parse. The first fault stands: the others follow from it.
    fn fault(&mut self, layer: &'static str, what: String, offset: usize) {
        self.error.get_or_insert_with(|| json!({ "layer": layer, "what": what, "offset": offset }));
    }

    fn into_json(self, frame: u64) -> Option<Value> {
        if self.layers.is_empty() && self.error.is_none() {
            return None;
        }
        let names: Vec<&str> = self.layers.iter().map(|(name, _)| *name).collect();
        let equal = self.error.is_none() && !self.rebuilt_otherwise;
        let mut object = Map::new();
        object.insert("frame".into(), frame.into());
        object.insert("layers".into(), json!(names));
        object.insert("reencoded_equal".into(), equal.into());
        for (name, layer) in self.layers {
            match object.get_mut(name) {
                None => {
                    object.insert(name.into(), layer);
                }
                Some(Value::Array(layers)) => layers.push(layer),
                Some(one) => *one = Value::Array(vec![one.take(), layer]),
            }
        }
        if let Some(error) = self.error {
            object.insert("error".into(), error);
        }
        Some(Value::Object(object))
    }
}
