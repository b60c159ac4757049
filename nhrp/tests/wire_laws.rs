//! The laws of the codec, for all packets and all octets.

#[path = "support/captures.rs"]
#[allow(dead_code, reason = "each test uses a part")]
mod captures;
#[path = "support/packets.rs"]
mod packets;

use captures::{data, nhrp_packets};
use dmvpn_nhrp::wire::{
    Address, Body, BuildError, Cie, Extension, ExtensionType, ExtensionValue, FixedHeader, Flags,
    Message, NbmaAddress, NbmaFormat, Packet, ParseError, Parsed, RequestId, checksum,
};
use packets::packet;
use proptest::prelude::*;

fn samples() -> Vec<Vec<u8>> {
    let mut samples: Vec<_> =
        ["regreq_65540.bin", "regrep_65540.bin"].into_iter().map(data).collect();
    for name in ["04-phase3-plain.wire-hub", "09-nhrp-errors.wire-hub", "13-opennhrp.wire-hub"] {
        samples.extend(nhrp_packets(&data(&format!("linux/{name}.pcap"))));
    }
    samples
}

#[test]
fn each_strict_prefix_of_a_packet_is_truncated() {
    for sample in samples() {
        for length in 0..sample.len() {
            let expected = if length < FixedHeader::LEN {
                ParseError::Truncated {
                    what: "fixed header",
                    offset: 0,
                    needed: FixedHeader::LEN,
                    have: length,
                }
            } else {
                ParseError::Truncated {
                    what: "packet",
                    offset: 0,
                    needed: sample.len(),
                    have: length,
                }
            };
            assert_eq!(Packet::parse(&sample[..length]), Err(expected));
        }
    }
}

#[test]
fn octets_after_the_packet_are_not_the_packets() {
    for sample in samples() {
        let mut padded = sample.clone();
        padded.extend([0; 16]);
        let parsed = Parsed::parse(&padded).unwrap();
        assert_eq!(parsed.trailing, [0; 16]);
        assert_eq!(Packet::parse(&padded), Packet::parse(&sample));
    }
}

#[test]
fn what_is_too_long_for_its_length_field_is_refused() {
    let body = |entries| {
        Body::RegistrationRequest(Message { flags: Flags::NONE, request_id: RequestId(0), entries })
    };
    let ip = [10, 0, 0, 1].into();
    let base = Packet::new(ip, ip, ip, body(vec![]));
    let refused = |packet: Packet, what, length, maximum| {
        assert_eq!(packet.encode(), Err(BuildError { what, length, maximum }));
    };
    let nbma =
        |length| NbmaAddress { format: NbmaFormat::E164, address: Address::new(&vec![7; length]) };
    refused(Packet { source_nbma: nbma(64), ..base.clone() }, "source NBMA address", 64, 63);
    assert!(Packet { source_nbma: nbma(63), ..base.clone() }.encode().is_ok());
    let source_protocol = Address::new(&[7; 256]);
    refused(Packet { source_protocol, ..base.clone() }, "source protocol address", 256, 255);
    let protocol = Address::new(&[7; 256]);
    let entry = Cie { protocol, ..Cie::bare(0, 0, 0) };
    refused(
        Packet { body: body(vec![entry]), ..base.clone() },
        "client protocol address",
        256,
        255,
    );
    let entries = vec![Cie::bare(0, 0, 0); 5459];
    assert!(Packet { body: body(entries.clone()), ..base.clone() }.encode().is_err());
    assert!(Packet { body: body(entries[..5457].to_vec()), ..base.clone() }.encode().is_ok());
    let raw = |length: usize| Extension {
        extension_type: ExtensionType::new(100),
        compulsory: false,
        unused: false,
        value: ExtensionValue::Raw(vec![0; length].into()),
    };
    refused(Packet { extensions: vec![raw(65_500)], ..base }, "packet", 65_544, 65_535);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn parse_undoes_encode(packet in packet()) {
        let octets = packet.encode().unwrap();
        prop_assert_eq!(octets.len(), packet.encoded_len());
        prop_assert_eq!(checksum(&octets), 0);
        prop_assert_eq!(Packet::parse(&octets), Ok(packet));
    }

    #[test]
    fn encode_undoes_parse(octets in prop::collection::vec(any::<u8>(), 0..200), sample in 0..30_usize, cuts in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4)) {
        // Octets of no sense at all, and recorded packets with some octets changed.
        let samples = samples();
        let mut changed = samples[sample % samples.len()].clone();
        for (at, octet) in cuts {
            let at = at.index(changed.len());
            changed[at] = octet;
        }
        for octets in [octets, changed] {
            if let Ok(parsed) = Parsed::parse(&octets) {
                let built = parsed.packet.encode().unwrap();
                let size = octets.len() - parsed.trailing.len();
                prop_assert_eq!(built.len(), parsed.packet.encoded_len());
                if parsed.checksum_ok {
                    prop_assert_eq!(built, &octets[..size]);
                } else {
                    // The checksum is all that differs.
                    prop_assert_eq!(&built[..12], &octets[..12]);
                    prop_assert_eq!(&built[14..], &octets[14..size]);
                    let refused = matches!(Packet::parse(&octets), Err(ParseError::Checksum { .. }));
                    prop_assert!(refused);
                }
            }
        }
    }

    #[test]
    fn a_wrong_checksum_is_told_with_the_right_one(packet in packet(), flip in 1..=u16::MAX) {
        let good = packet.encode().unwrap();
        let right = u16::from_be_bytes([good[12], good[13]]);
        let mut octets = good.to_vec();
        octets[12..14].copy_from_slice(&(right ^ flip).to_be_bytes());
        // 0 and ffff are the same number in ones' complement.
        prop_assume!(checksum(&octets) != 0);
        let found = right ^ flip;
        prop_assert_eq!(Packet::parse(&octets), Err(ParseError::Checksum { found, computed: right }));
    }
}
