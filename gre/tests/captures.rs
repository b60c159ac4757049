//! Every GRE packet of the captures beside this repository parses and is rebuilt bit for bit.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use std::fs;

use dmvpn_gre::{Header, ParseError, ProtocolType};

const CAPTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/captures/");

/// The GRE packets of a little-endian pcap file of Ethernet frames, or `None` without the file.
fn gre_packets(name: &str) -> Option<Vec<Vec<u8>>> {
    let Ok(file) = fs::read(format!("{CAPTURES}{name}")) else {
        eprintln!("SKIP: {name} is not beside this repository");
        return None;
    };
    let mut packets = Vec::new();
    let mut rest = &file[24..];
    while rest.len() >= 16 {
        let length = u32::from_le_bytes(rest[8..12].try_into().unwrap()) as usize;
        let frame = &rest[16..16 + length];
        rest = &rest[16 + length..];
        let mut offset = 12;
        if frame[offset..].starts_with(&[0x81, 0x00]) {
            offset += 4;
        }
        let mut packet = &frame[offset + 2..];
        if frame[offset..].starts_with(&[0x86, 0xdd]) && packet[6] == 4 {
            packet = &packet[40..];
        } else if !frame[offset..].starts_with(&[0x08, 0x00]) {
            continue;
        }
        if packet.len() > 20 && packet[9] == 47 {
            let total = usize::from(u16::from_be_bytes([packet[2], packet[3]]));
            packets.push(packet[20..total.min(packet.len())].to_vec());
        }
    }
    Some(packets)
}

fn parse_and_rebuild(packet: &[u8]) -> Header {
    let (header, payload) = Header::parse(packet).unwrap();
    let mut again = vec![0; header.encoded_len()];
    header.encode(&mut again).unwrap();
    again.extend(payload);
    assert_eq!(again, packet);
    header
}

#[test]
fn cisco_keepalives_and_cdp() {
    let Some(packets) = gre_packets("various_gre.pcap") else { return };
    let headers: Vec<_> = packets.iter().map(|packet| parse_and_rebuild(packet)).collect();
    assert_eq!(headers.len(), 30);
    assert!(headers.iter().all(|header| header.key == Some(0x28)));
    assert_eq!(headers.iter().filter(|header| header.is_keepalive()).count(), 8);
    assert_eq!(headers.iter().filter(|header| header.protocol == ProtocolType(0x2000)).count(), 2);
}

#[test]
fn cisco_nhrp() {
    let Some(packets) = gre_packets("NHRP_registration.pcap") else { return };
    assert_eq!(packets.len(), 4);
    for packet in packets {
        let header = parse_and_rebuild(&packet);
        assert_eq!((header.protocol, header.key), (ProtocolType::NHRP, Some(2)));
    }
}

#[test]
fn plain_gre() {
    let Some(packets) = gre_packets("gre-sample.pcap") else { return };
    assert_eq!(packets.len(), 40);
    for packet in packets {
        assert_eq!(parse_and_rebuild(&packet), Header::new(ProtocolType::IPV4));
    }
}

#[test]
fn pptp() {
    let Some(packets) = gre_packets("gre-pptp.pcap") else { return };
    assert_eq!(packets.len(), 2);
    for packet in packets {
        assert_eq!(Header::parse(&packet), Err(ParseError::Version(1)));
    }
}
