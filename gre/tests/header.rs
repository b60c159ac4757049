//! The codec laws, and headers from the wire.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use dmvpn_gre::{Checksum, EncodeError, Header, ParseError, ProtocolType, Reserved0};
use hex_literal::hex;
use proptest::prelude::*;

fn encode(header: &Header) -> Vec<u8> {
    let mut out = vec![0xee; header.encoded_len()];
    assert_eq!(header.encode(&mut out), Ok(header.encoded_len()));
    out
}

/// `tunnel key 1` around NHRP, as both routers of the guide send it.
#[test]
fn cisco_nhrp_with_key() {
    let header = Header { key: Some(1), ..Header::new(ProtocolType::NHRP) };
    assert_eq!(encode(&header), hex!("2000 2001 00000001"));
    assert_eq!(Header::parse(&hex!("2000 2001 00000001 aabb")), Ok((header, &hex!("aabb")[..])));
}

/// tcpdump's various_gre.pcap, frame 12: a keepalive that came back, key 0x28, no payload.
#[test]
fn cisco_keepalive() {
    let (header, payload) = Header::parse(&hex!("2000 0000 00000028")).unwrap();
    assert!(header.is_keepalive());
    assert_eq!(header.key, Some(0x28));
    assert_eq!(payload, []);
}

/// Zeek's gre-pptp.pcap, frame 1: enhanced GRE (RFC 2637) is version 1.
#[test]
fn pptp_is_refused() {
    let pptp = hex!("3081880b0067178000068fb100083a76");
    assert_eq!(Header::parse(&pptp), Err(ParseError::Version(1)));
}

/// tcpdump's gre-heapoverflow-1.pcap, frame 2: sequence and key bits in random bytes; the second
/// byte leaves bits 10 and 11 set, which are ignored, and the key field is cut.
#[test]
fn fuzz_find_is_refused_precisely() {
    let find = hex!("303030303030303030303030d830");
    let (header, payload) = Header::parse(&find).unwrap();
    assert_eq!((header.protocol, header.key), (ProtocolType(0x3030), Some(0x3030_3030)));
    assert_eq!((header.sequence, payload), (Some(0x3030_3030), &hex!("d830")[..]));
    assert_eq!(header.reserved0.bits(), 0x06);
    assert_eq!(
        Header::parse(&find[..11]),
        Err(ParseError::Truncated { what: "sequence number", offset: 8, needed: 4, have: 3 })
    );
}

#[test]
fn bits_of_rfc_1701_are_refused_and_others_are_not() {
    for bit in 0..16 {
        let flags: u16 = 0x8000 >> bit;
        let mut packet = [0; 20];
        packet[..2].copy_from_slice(&flags.to_be_bytes());
        let parsed = Header::parse(&packet);
        match bit {
            1 | 4 | 5 => assert_eq!(parsed, Err(ParseError::ReservedBits { flags }), "bit {bit}"),
            13..=15 => assert_eq!(parsed, Err(ParseError::Version(flags)), "bit {bit}"),
            _ => assert!(parsed.is_ok(), "bit {bit}"),
        }
    }
}

#[test]
fn checksum_is_over_header_and_payload() {
    // Words 8000 0800 0000 0000 0001 f203 f4f5 f6f7: the sum of RFC 1071 §3, ddf2, plus 8800.
    let payload = hex!("0001f203f4f5f6f7");
    let header = Header::new(ProtocolType::IPV4).with_checksum_over(&payload);
    assert_eq!(header.checksum.unwrap().value, !0x65f3);
    assert!(header.checksum_holds(&payload));
    for byte in 0..payload.len() {
        let mut wrong = payload;
        wrong[byte] ^= 1;
        assert!(!header.checksum_holds(&wrong));
    }
}

#[test]
fn short_buffer_is_an_error_and_untouched() {
    let header = Header { key: Some(1), sequence: Some(2), ..Header::new(ProtocolType::IPV6) };
    let mut out = [0xee; 11];
    assert_eq!(header.encode(&mut out), Err(EncodeError::BufferTooSmall { needed: 12, have: 11 }));
    assert_eq!(out, [0xee; 11]);
}

#[test]
fn displays() {
    let truncated = ParseError::Truncated { what: "key", offset: 4, needed: 4, have: 1 };
    assert_eq!(truncated.to_string(), "truncated key at offset 4: needed 4 bytes, have 1");
    assert_eq!(ProtocolType::NHRP.to_string(), "0x2001");
}

prop_compose! {
    fn any_header()(
        protocol in any::<u16>(),
        checksum in any::<Option<(u16, u16)>>(),
        key in any::<Option<u32>>(),
        sequence in any::<Option<u32>>(),
        reserved0 in any::<u8>(),
    ) -> Header {
        Header {
            protocol: ProtocolType(protocol),
            checksum: checksum.map(|(value, reserved1)| Checksum { value, reserved1 }),
            key,
            sequence,
            reserved0: Reserved0::from_bits_truncate(reserved0),
        }
    }
}

proptest! {
    #[test]
    fn parse_of_encode_is_identity(header in any_header(), payload in any::<[u8; 5]>()) {
        let mut packet = encode(&header);
        prop_assert_eq!(packet.len(), header.encoded_len());
        packet.extend(payload);
        prop_assert_eq!(Header::parse(&packet), Ok((header, &payload[..])));
    }

    #[test]
    fn encode_of_parse_is_identity(packet in proptest::collection::vec(any::<u8>(), 0..32)) {
        if let Ok((header, payload)) = Header::parse(&packet) {
            let mut again = encode(&header);
            again.extend(payload);
            prop_assert_eq!(again, packet);
        }
    }

    #[test]
    fn strict_prefixes_are_truncated(header in any_header()) {
        let packet = encode(&header);
        for have in 0..packet.len() {
            match Header::parse(&packet[..have]) {
                Err(ParseError::Truncated { offset, needed, have: left, .. }) => {
                    prop_assert_eq!(offset + left, have);
                    prop_assert!(left < needed);
                }
                other => prop_assert!(false, "{} bytes: {:?}", have, other),
            }
        }
    }

    #[test]
    fn computed_checksum_holds(
        header in any_header(), payload in proptest::collection::vec(any::<u8>(), 0..64)
    ) {
        prop_assert!(header.with_checksum_over(&payload).checksum_holds(&payload));
    }
}
