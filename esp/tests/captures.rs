//! What broke printers of ESP: `esp_truncated.pcap` and `isakmp-3948-oobr-2.pcap` of the tcpdump group's
//! tests, whose packets stand here as facts and, where the files are beside this repository, are
//! compared with them.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

mod support;

use std::fs;

use dmvpn_esp::udp::{ClassifyError, Datagram, classify};
use dmvpn_esp::{Header, Mode, OpenError, ParseError};
use hex_literal::hex;
use support::{config, pair, transforms};

const CAPTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/captures/");

/// The payloads of the UDP datagrams of a little-endian pcap file of Ethernet frames, as far as they were
/// captured, whatever lengths their own headers claim; or `None` without the file.
fn udp_payloads(name: &str) -> Option<Vec<Vec<u8>>> {
    let Ok(file) = fs::read(format!("{CAPTURES}{name}")) else {
        println!("SKIP: {name} is not beside this repository");
        return None;
    };
    let mut payloads = Vec::new();
    let mut rest = &file[24..];
    while rest.len() >= 16 {
        let length = u32::from_le_bytes(rest[8..12].try_into().unwrap()) as usize;
        let packet = &rest[16 + 14..16 + length];
        rest = &rest[16 + length..];
        assert_eq!((packet[0] >> 4, packet[9]), (4, 17), "{name}");
        payloads.push(packet[usize::from(packet[0] & 15) * 4 + 8..].to_vec());
    }
    Some(payloads)
}

/// An SPI, and nothing behind it.
const TRUNCATED: [u8; 4] = hex!("c0f7d4c3");

#[test]
fn esp_truncated() {
    if let Some(payloads) = udp_payloads("esp_truncated.pcap") {
        assert_eq!(payloads, [TRUNCATED]);
    }
    assert_eq!(classify(&TRUNCATED), Ok(Datagram::Esp));
    let error = ParseError::Truncated { what: "sequence number", offset: 4, needed: 4, have: 0 };
    assert_eq!(Header::parse(&TRUNCATED), Err(error));
    for transform in transforms() {
        for mode in [Mode::Transport, Mode::Tunnel] {
            let (_, mut inside) = pair(&config(transform, mode), transform);
            let mut packet = TRUNCATED;
            let refused = inside.open(&mut packet, 0..TRUNCATED.len()).unwrap_err();
            assert!(matches!(refused, OpenError::TooShort { have: 4, .. }), "{refused}");
            assert_eq!(inside.counters().invalid_length_receive, 1);
            assert_eq!(packet, TRUNCATED);
            assert_eq!((inside.highest_sequence(), inside.bytes()), (0, 0));
        }
    }
}

/// A datagram on the NAT traversal port with nothing in it.
#[test]
fn isakmp_3948_oobr_2() {
    if let Some(payloads) = udp_payloads("isakmp-3948-oobr-2.pcap") {
        assert_eq!(payloads, [[]]);
    }
    assert_eq!(classify(&[]), Err(ClassifyError::TooShort { have: 0 }));
}
