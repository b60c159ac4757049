//! What a clone without the recorded captures still proves: Cisco's own octets, as facts, and the
//! form of what this crate tolerates and refuses.

use core::net::IpAddr;

use dmvpn_nhrp::wire::{
    Authentication, AuthenticationString, Body, Cie, Extension, ExtensionType, ExtensionValue,
    Flags, Message, Packet, ParseError, Parsed, RequestId, SecurityParameterIndex,
};
use hex_literal::hex;

/// `NHRP_registration.pcap` of tcpdump's tests, frame 1: IOS 15 registers with its hub.
const REQUEST: [u8; 108] = hex!(
    "000108000000000000ff006c197b0034010304000404800200000001a9fe64019b0100019b010005"
    "0020000045f81c20000000008003000080040000800500008007000c000000014e48525041555448"
    "000900140020000045f8000004000400a9fe64059b01000580000000"
);

/// Frame 2: its hub answers.
const REPLY: [u8; 128] = hex!(
    "000108000000000000ff0080060f0034010404000404800200000001a9fe64019b0100019b010005"
    "0020000045f81c2000000000800300140020000045f81c2004000400a9fe64059b01000580040000"
    "800500008007000c000000014e48525041555448000900140020000045f8000004000400a9fe6405"
    "9b01000580000000"
);

fn ip(address: &str) -> IpAddr {
    address.parse().unwrap()
}

fn registration(body: fn(Message) -> Body, responder: Vec<Cie>) -> Packet {
    let (hub_nbma, hub) = (ip("169.254.100.5"), ip("155.1.0.5"));
    let message = Message {
        flags: Flags::UNIQUE | Flags::NAT,
        request_id: RequestId(1),
        entries: vec![Cie::bare(32, 17912, 7200)],
    };
    Packet {
        extensions: vec![
            Extension::clients(ExtensionType::RESPONDER_ADDRESS, responder),
            Extension::clients(ExtensionType::FORWARD_TRANSIT_NHS_RECORD, vec![]),
            Extension::clients(ExtensionType::REVERSE_TRANSIT_NHS_RECORD, vec![]),
            Extension::authentication(AuthenticationString::new(b"NHRPAUTH")),
            Extension::nat_address(vec![Cie::bare(32, 17912, 0).of(hub_nbma, hub)]),
            Extension::end(),
        ],
        ..Packet::new(ip("169.254.100.1"), ip("155.1.0.1"), hub, body(message))
    }
}

#[test]
fn ciscos_pair_is_built_from_its_fields() {
    let request = registration(Body::RegistrationRequest, vec![]);
    assert_eq!(request.encode().unwrap(), REQUEST.as_slice());
    assert_eq!(Packet::parse(&REQUEST), Ok(request));
    let responder = Cie::bare(32, 17912, 7200).of(ip("169.254.100.5"), ip("155.1.0.5"));
    let reply = registration(Body::RegistrationReply, vec![responder]);
    assert_eq!(reply.encode().unwrap(), REPLY.as_slice());
    assert_eq!(Packet::parse(&REPLY), Ok(reply));
}

/// `pb_nhrp_1.pcap` of tcpdump's tests, made by a fuzzer: 40 octets of IP protocol 54 that
/// announce 30547.
#[test]
fn a_fuzzers_packet_is_refused_for_its_size() {
    let octets =
        hex!("5dc9007bff7419715867775300000100010101010101000000000000017967490000000000000000");
    assert_eq!(
        Parsed::parse(&octets).map(|parsed| parsed.packet),
        Err(ParseError::Truncated { what: "packet", offset: 0, needed: 30547, have: 40 })
    );
}

/// The shortest packet there can be: no address has an octet.
#[test]
fn a_packet_of_28_octets_is_whole() {
    let octets = sealed(hex!("00010800000000000000001c000000000103000000000000 00000001").to_vec());
    let packet = Packet::parse(&octets).unwrap();
    assert!(packet.source_protocol.is_none() && packet.source_nbma.address.is_none());
    assert_eq!(packet.encode().unwrap(), octets);
    let mut shorter = octets;
    shorter[11] = 27;
    assert_eq!(Packet::parse(&shorter), Err(ParseError::PacketSize { size: 27, minimum: 28 }));
}

/// Sealed again with the right size and checksum: what is tested is not those.
fn sealed(mut octets: Vec<u8>) -> Vec<u8> {
    let size = u16::try_from(octets.len()).unwrap();
    octets[10..12].copy_from_slice(&size.to_be_bytes());
    octets[12..14].fill(0);
    let checksum = dmvpn_nhrp::wire::checksum(&octets);
    octets[12..14].copy_from_slice(&checksum.to_be_bytes());
    octets
}

#[test]
fn the_end_of_extensions_may_be_missing_but_nothing_may_follow_it() {
    let without_end = sealed(REQUEST[..104].to_vec());
    let packet = Packet::parse(&without_end).unwrap();
    assert!(!packet.extensions.iter().any(Extension::is_end));
    assert_eq!(packet.encode().unwrap(), without_end);
    let after_end = sealed([REQUEST.as_slice(), &[0; 16]].concat());
    assert_eq!(
        Packet::parse(&after_end),
        Err(ParseError::Excess { what: "extensions", offset: 108, excess: 16 })
    );
}

#[test]
fn each_prefix_of_the_extensions_that_cuts_one_is_refused() {
    let boundaries = [52, 56, 60, 64, 80, 104, 108];
    for length in 52..108 {
        let packet = Packet::parse(&sealed(REQUEST[..length].to_vec()));
        if let Some(count) = boundaries.iter().position(|at| *at == length) {
            // At 52 there are none, and an extension offset that says so would be 0.
            let expected = if count == 0 { Err(()) } else { Ok(count) };
            assert_eq!(packet.map(|packet| packet.extensions.len()).map_err(|_| ()), expected);
        } else {
            let start = *boundaries.iter().rfind(|at| **at < length).unwrap();
            let fault = packet.unwrap_err();
            assert!(matches!(fault, ParseError::Truncated { .. }), "{length}: {fault}");
            assert!((start..=start + 4).contains(&fault.offset()), "{length}: {fault}");
        }
    }
}

/// The request with `extension` in front of its own.
fn with_extension(type_and_length: [u8; 4], value: &[u8]) -> Vec<u8> {
    sealed([&REQUEST[..52], &type_and_length, value, &REQUEST[52..]].concat())
}

#[test]
fn unknown_extensions_keep_their_bits_and_octets() {
    for (bits, compulsory, unused) in
        [(0x00, false, false), (0x80, true, false), (0x40, false, true), (0xc0, true, true)]
    {
        let octets = with_extension([bits | 0x3f, 0xff, 0, 3], b"abc");
        let packet = Packet::parse(&octets).unwrap();
        assert_eq!(
            packet.extensions[0],
            Extension {
                extension_type: ExtensionType::new(0x3fff),
                compulsory,
                unused,
                value: ExtensionValue::Raw(b"abc".as_slice().into()),
            }
        );
        assert_eq!(packet.encode().unwrap(), octets);
    }
}

#[test]
fn values_that_do_not_have_their_types_form_are_kept_as_they_are() {
    let cases: [(u8, &[u8]); 5] =
        [(7, b""), (7, b"\0\0\0"), (8, b"\0\0"), (9, &[7; 8]), (0, b"end with a value")];
    for (number, value) in cases {
        let length = u8::try_from(value.len()).unwrap();
        let packet = Packet::parse(&with_extension([0x80, number, 0, length], value));
        let kept = ExtensionValue::Raw(value.to_vec().into());
        if number == 0 {
            // It ends the list, and the request's own come after it.
            let fault = packet.unwrap_err();
            assert_eq!(fault, ParseError::Excess { what: "extensions", offset: 72, excess: 56 });
        } else {
            let packet = packet.unwrap();
            assert_eq!(packet.extensions[0].value, kept);
            assert_eq!(packet.encode().unwrap(), with_extension([0x80, number, 0, length], value));
        }
    }
}

#[test]
fn authentication_of_rfc_2332_and_vendor_private_data_are_read() {
    let octets = with_extension([0x80, 7, 0, 10], &hex!("0000 0100 0a010101 abcd"));
    let packet = Packet::parse(&octets).unwrap();
    let authentication = Authentication {
        reserved: 0,
        spi: SecurityParameterIndex(256),
        data: AuthenticationString::new(&hex!("0a010101 abcd")),
    };
    assert_eq!(packet.extensions[0].value, ExtensionValue::Authentication(authentication));
    assert_eq!(packet.encode().unwrap(), octets);
    // Two of them: a reader sees both, and which are right is its decision.
    let found =
        packet.extensions.iter().filter(|e| e.extension_type == ExtensionType::AUTHENTICATION);
    assert_eq!(found.count(), 2);

    let octets = with_extension([0x00, 8, 0, 5], &hex!("00000c 0102"));
    let packet = Packet::parse(&octets).unwrap();
    let data = b"\x01\x02".as_slice().into();
    let vendor_private = ExtensionValue::VendorPrivate { vendor: [0, 0, 0x0c], data };
    assert_eq!(packet.extensions[0].value, vendor_private);
    assert_eq!(packet.encode().unwrap(), octets);
}

/// The string crosses the network in clear text, but not into logs by accident.
#[test]
fn debug_does_not_show_the_authentication_string() {
    let text = format!("{:?}", Packet::parse(&REQUEST).unwrap());
    assert!(text.contains("AuthenticationString(..)"));
    assert!(!text.contains("NHRPAUTH") && !text.contains("78, 72, 82, 80"));
}
