//! Packets of Cisco, FRR and OpenNHRP: parsed and built again, and built from their fields.

#[path = "support/captures.rs"]
mod captures;

use core::net::IpAddr;

use captures::{data, hex, nhrp_packets, shared};
use dmvpn_nhrp::wire::{
    AuthenticationString, Body, Cie, CieCode, ErrorCode, Extension, ExtensionType, Flags, Message,
    Packet, ParseError, Parsed, RequestId, TrafficIndication,
};
use hex_literal::hex;

fn ip(address: &str) -> IpAddr {
    address.parse().unwrap()
}

/// The registration of an IOS 15 spoke and its hub's reply, from what the configuration and the
/// guide's decode say.
struct IosRegistration {
    spoke_nbma: IpAddr,
    spoke: IpAddr,
    hub_nbma: IpAddr,
    hub: IpAddr,
    request_id: u32,
}

impl IosRegistration {
    fn request(&self) -> Packet {
        let nat = Cie::bare(32, 17912, 0).of(self.hub_nbma, self.hub);
        Packet {
            extensions: vec![
                Extension::clients(ExtensionType::RESPONDER_ADDRESS, vec![]),
                Extension::clients(ExtensionType::FORWARD_TRANSIT_NHS_RECORD, vec![]),
                Extension::clients(ExtensionType::REVERSE_TRANSIT_NHS_RECORD, vec![]),
                Extension::authentication(AuthenticationString::new(b"NHRPAUTH")),
                Extension::nat_address(vec![nat]),
                Extension::end(),
            ],
            ..Packet::new(
                self.spoke_nbma,
                self.spoke,
                self.hub,
                Body::RegistrationRequest(self.message()),
            )
        }
    }

    fn reply(&self) -> Packet {
        let mut packet = self.request();
        packet.body = Body::RegistrationReply(self.message());
        let responder = Cie::bare(32, 17912, 7200).of(self.hub_nbma, self.hub);
        packet.extensions[0] =
            Extension::clients(ExtensionType::RESPONDER_ADDRESS, vec![responder]);
        packet
    }

    fn message(&self) -> Message {
        Message {
            flags: Flags::UNIQUE | Flags::NAT,
            request_id: RequestId(self.request_id),
            entries: vec![Cie::bare(32, 17912, 7200)],
        }
    }
}

#[test]
fn the_guides_registrations_are_built_from_their_fields() {
    for id in [65540, 65541] {
        let guide = IosRegistration {
            spoke_nbma: ip("172.16.1.1"),
            spoke: ip("10.1.1.1"),
            hub_nbma: ip("172.16.10.1"),
            hub: ip("10.1.1.254"),
            request_id: id,
        };
        let (request, reply) =
            (data(&format!("regreq_{id}.bin")), data(&format!("regrep_{id}.bin")));
        assert_eq!(guide.request().encode().unwrap(), request);
        assert_eq!(guide.reply().encode().unwrap(), reply);
        assert_eq!(Packet::parse(&request).unwrap(), guide.request());
        assert_eq!(Packet::parse(&reply).unwrap(), guide.reply());
        assert_eq!((request.len(), reply.len()), (108, 128));
    }
}

/// tcpdump's `NHRP_registration.pcap`, frames 1 to 4.
#[test]
fn ciscos_registrations_are_built_from_their_fields() {
    let Some(path) = shared("captures/NHRP_registration.pcap") else { return };
    let packets = nhrp_packets(&std::fs::read(path).unwrap());
    assert_eq!(packets.len(), 4);
    for (pair, id) in packets.chunks(2).zip([1, 2]) {
        let cisco = IosRegistration {
            spoke_nbma: ip("169.254.100.1"),
            spoke: ip("155.1.0.1"),
            hub_nbma: ip("169.254.100.5"),
            hub: ip("155.1.0.5"),
            request_id: id,
        };
        assert_eq!(cisco.request().encode().unwrap(), pair[0]);
        assert_eq!(cisco.reply().encode().unwrap(), pair[1]);
    }
}

/// tcpdump's `ios_nhrp.pcap`: the authentication string makes the end of extensions unaligned.
#[test]
fn a_registration_of_older_ios_parses_and_builds() {
    let octets = hex!(
        "000108000000000000ff0051e8e400340103040004048000000000050a000c02c0a80002c0a8000100ff000005ea"
        "001e000000008003000080040000800500008007000900000001434953434f80000000"
    );
    let packet = Packet::parse(&octets).unwrap();
    assert_eq!(packet.encode().unwrap(), octets.as_slice());
    assert!(packet.extension(ExtensionType::NAT_ADDRESS).is_none());
    let Body::RegistrationRequest(message) = &packet.body else { panic!() };
    assert_eq!(message.entries, [Cie::bare(255, 1514, 30)]);
    assert_eq!(
        packet.extension(ExtensionType::AUTHENTICATION),
        Some(&Extension::authentication(AuthenticationString::new(b"CISCO")))
    );
}

/// tcpdump's `nhrp-trace.pcap`, frame 1: Cisco's redirect.
#[test]
fn a_traffic_indication_is_built_from_its_fields() {
    let octets = hex!(
        "000108000000000000ff0062d9d00044010804000404000000000000c0a8c8010affff010affff03450000640005"
        "0000ff01a78f0affff030affff020800325b00010000800400008005000080"
        "07000a000000017365637265740009000080000000"
    );
    let quoted = hex!("4500006400050000ff01a78f0affff030affff020800325b00010000");
    let packet = Packet {
        extensions: vec![
            Extension::clients(ExtensionType::FORWARD_TRANSIT_NHS_RECORD, vec![]),
            Extension::clients(ExtensionType::REVERSE_TRANSIT_NHS_RECORD, vec![]),
            Extension::authentication(AuthenticationString::new(b"secret")),
            Extension::nat_address(vec![]),
            Extension::end(),
        ],
        ..Packet::new(
            ip("192.168.200.1"),
            ip("10.255.255.1"),
            ip("10.255.255.3"),
            Body::TrafficIndication(TrafficIndication {
                unused: 0,
                code: 0,
                unused_after_code: 0,
                contents: quoted.to_vec().into(),
            }),
        )
    };
    assert_eq!(packet.encode().unwrap(), octets.as_slice());
    assert_eq!(Packet::parse(&octets).unwrap(), packet);
}

/// FRR's answer to wrong authentication: hop count 0, flags where the RFC has nothing, the packet
/// in error cut after its mandatory part, no extensions.
#[test]
fn an_error_indication_of_frr_is_read() {
    let packets = nhrp_packets(&data("linux/09-nhrp-errors.wire-hub.pcap"));
    let packet = Packet::parse(&packets[1]).unwrap();
    let Body::ErrorIndication(error) = &packet.body else { panic!() };
    assert_eq!(error.code, ErrorCode::AUTHENTICATION_FAILURE);
    assert_eq!((error.offset, error.unused, packet.hop_count), (0, 0x8002, 0));
    assert_eq!(error.contents, packets[0][..40]);
    assert!(packet.extensions.is_empty());
    assert_eq!(packet.source_protocol.ip(), Some(ip("10.1.1.254")));
}

/// FRR behind a NAT: the server appends its entry to the client's.
#[test]
fn a_second_nat_address_entry_is_read() {
    let packets = nhrp_packets(&data("linux/06-nat-spoke-ipsec.inside-gre1-hub.pcap"));
    let reply = Packet::parse(&packets[1]).unwrap();
    let entries = reply.extension(ExtensionType::NAT_ADDRESS).unwrap().entries();
    assert_eq!(
        entries,
        [
            Cie::bare(32, 0, 0).of(ip("172.16.10.1"), ip("10.1.1.254")),
            Cie::bare(32, 0, 0).of(ip("192.0.2.2"), ip("10.1.1.1")),
        ]
    );
    assert!(entries.iter().all(|entry| entry.code == CieCode::SUCCESS));
}

fn assert_lossless(octets: &[u8], name: &str) {
    let parsed = Parsed::parse(octets).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert!(parsed.checksum_ok, "{name}");
    assert!(parsed.trailing.is_empty(), "{name}");
    let built = parsed.packet.encode().unwrap();
    assert_eq!(built, octets, "{name}");
    assert_eq!(built.len(), parsed.packet.encoded_len(), "{name}");
    assert_eq!(usize::from(parsed.header.extension_offset), parsed.packet.extension_offset());
    assert_eq!(Packet::parse(octets).unwrap(), parsed.packet, "{name}");
}

#[test]
fn recorded_linux_packets_are_lossless() {
    let mut types = [0; 9];
    for (name, count) in [
        ("01-plain-phase1.wire-hub", 2),
        ("02-ipsec-phase1.inside-gre1-hub", 2),
        ("04-phase3-plain.wire-hub", 14),
        ("06-nat-spoke-ipsec.inside-gre1-hub", 2),
        ("09-nhrp-errors.wire-hub", 28),
        ("11-shutdown-restart.wire-hub", 12),
        ("13-opennhrp.wire-hub", 6),
        ("13-opennhrp.wire-hub-2-unique", 6),
    ] {
        let packets = nhrp_packets(&data(&format!("linux/{name}.pcap")));
        assert_eq!(packets.len(), count, "{name}");
        for packet in packets {
            assert_lossless(&packet, name);
            types[usize::from(packet[17])] += 1;
        }
    }
    assert!(types[1..].iter().all(|count| *count > 0), "a type was not seen: {types:?}");
}

#[test]
fn ciscos_packets_are_lossless() {
    let Some(path) = shared("vectors/nhrp_packets.json") else { return };
    let vectors: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let vectors = vectors.as_array().unwrap();
    assert_eq!(vectors.len(), 9);
    for vector in vectors {
        let octets = hex(vector["nhrp"].as_str().unwrap());
        assert_lossless(&octets, vector["file"].as_str().unwrap());
        let parsed = Parsed::parse(&octets).unwrap();
        let decode = vector["decode"].as_array().unwrap();
        let fixed = decode[0].as_str().unwrap();
        let header = parsed.header;
        assert_eq!(
            fixed.split(" op=").next().unwrap(),
            format!(
                "F: afn={} pro=0x{:04x} snap=0000000000 hop={} pktsz={} cksum=0x{:04x}(ok) extoff={} ver=1",
                header.address_family.0,
                header.protocol_type.0,
                header.hop_count,
                header.packet_size,
                header.checksum,
                header.extension_offset,
            )
        );
        let extensions = decode.iter().filter(|line| line.as_str().unwrap().starts_with("X@"));
        assert_eq!(extensions.count(), parsed.packet.extensions.len());
    }
}

#[test]
fn every_captured_packet_is_lossless_or_refused_at_an_offset() {
    let Some(folder) = shared("captures") else { return };
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.extension().is_none_or(|extension| extension != "pcap") {
            continue;
        }
        let file = std::fs::read(&path).unwrap();
        for packet in nhrp_packets(&file) {
            seen += 1;
            match Parsed::parse(&packet) {
                Ok(parsed) => {
                    let built = parsed.packet.encode().unwrap();
                    let size = usize::from(parsed.header.packet_size);
                    assert_eq!(parsed.checksum_ok, built == packet[..size], "{name}");
                }
                Err(error) => {
                    println!("{name}: {error}");
                    assert!(error.offset() <= packet.len(), "{name}: {error}");
                }
            }
        }
    }
    assert!(seen >= 13, "{seen} packets");
}

/// `pb_nhrp_1.pcap` of the tcpdump group's tests: what a fuzzer sent as NHRP right over IP (protocol 54).
/// Its size lies; once that is mended its extension offset does, and then its only entry.
#[test]
fn what_broke_a_printer_is_refused_precisely() {
    let mut found = hex(concat!(
        "5dc9007bff7419715867775300000100",
        "010101010101000000000000017967490000000000000000",
        "010101000100",
    ));
    if let Some(path) = shared("captures/pb_nhrp_1.pcap") {
        let file = std::fs::read(path).unwrap();
        // The headers of pcap, record, Ethernet and IPv4 with one option.
        assert_eq!(file[24 + 16 + 14 + 24..], found);
    }
    let (what, offset) = ("packet", 0);
    let error = ParseError::Truncated { what, offset, needed: 0x7753, have: 46 };
    assert_eq!(Packet::parse(&found), Err(error));
    found[10..12].copy_from_slice(&46_u16.to_be_bytes());
    let error = ParseError::ExtensionOffset { found: 0x0100, minimum: 32, size: 46 };
    assert_eq!(Packet::parse(&found), Err(error));
    found[14..16].fill(0);
    let (what, offset) = ("client protocol address", 46);
    let error = ParseError::Truncated { what, offset, needed: 1, have: 0 };
    assert_eq!(Packet::parse(&found), Err(error));
}

#[test]
fn faults_are_named_with_their_offset() {
    let good = data("regreq_65540.bin");
    let with = |at: usize, octets: &[u8]| {
        let mut packet = good.clone();
        packet[at..at + octets.len()].copy_from_slice(octets);
        Packet::parse(&packet).unwrap_err()
    };
    assert_eq!(with(16, &[0]), ParseError::Version { version: 0 });
    assert_eq!(with(17, &[9]), ParseError::PacketType { packet_type: 9 });
    assert_eq!(with(12, &[0, 0]), ParseError::Checksum { found: 0, computed: 0x8067 });
    assert_eq!(with(10, &[0, 27]), ParseError::PacketSize { size: 27, minimum: 28 });
    for offset in [1_u16, 39, 108, 109, 0xffff] {
        assert_eq!(
            with(14, &offset.to_be_bytes()),
            ParseError::ExtensionOffset { found: offset, minimum: 40, size: 108 }
        );
    }
    // The entry ends where the extensions start.
    assert_eq!(
        with(14, &[0, 50]),
        ParseError::Truncated {
            what: "client information entry",
            offset: 40,
            needed: 12,
            have: 10
        }
    );
    // The NAT address extension says 25 octets of the 24 that are left.
    assert_eq!(
        with(82, &[0, 25]),
        ParseError::Truncated { what: "NAT address", offset: 84, needed: 25, have: 24 }
    );
    // The authentication ends the list, by its type.
    assert_eq!(
        with(64, &[0x80, 0x00]),
        ParseError::Excess { what: "extensions", offset: 80, excess: 28 }
    );
}
