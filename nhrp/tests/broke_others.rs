//! What broke other implementations: truncated, overlapping and lying lengths, extensions of types that
//! no table has room for, authentication that is compared before it is measured. `ABUSE.md` lists them.
//! Each gives a precise error, or is understood, and none changes what is known.

#[path = "support/cloud.rs"]
#[allow(dead_code, reason = "each test uses what it needs")]
mod cloud;

extern crate alloc;

use cloud::{endpoint, events, hub, link, state, transmits};
use dmvpn_nhrp::wire::{Body, ErrorCode, Packet, ParseError, checksum};
use dmvpn_nhrp::{Discard, Endpoint};
use dmvpn_time::Instant;

const REQUEST: &[u8] = include_bytes!("data/regreq_65540.bin");
const NOW: Instant = Instant::EPOCH;

/// Offsets of fields in the guide's registration request.
const PACKET_SIZE: usize = 10;
const CHECKSUM: usize = 12;
const EXTENSION_OFFSET: usize = 14;
const SOURCE_TYPE_LENGTH: usize = 18;
const SOURCE_SUBADDRESS_TYPE_LENGTH: usize = 19;
const SOURCE_LENGTH: usize = 20;
const DESTINATION_LENGTH: usize = 21;
const ENTRY: usize = 40;
const EXTENSIONS: usize = 52;
const AUTHENTICATION: usize = 64;

/// The packet size and the checksum as they should be.
fn mended(mut octets: Vec<u8>) -> Vec<u8> {
    let size = u16::try_from(octets.len()).unwrap();
    octets[PACKET_SIZE..PACKET_SIZE + 2].copy_from_slice(&size.to_be_bytes());
    summed(octets)
}

/// The checksum of as much of it as its size says and there is.
fn summed(mut octets: Vec<u8>) -> Vec<u8> {
    let size = usize::from(u16::from_be_bytes([octets[PACKET_SIZE], octets[PACKET_SIZE + 1]]));
    octets[CHECKSUM..CHECKSUM + 2].fill(0);
    let end = size.min(octets.len());
    let sum = checksum(&octets[..end]);
    octets[CHECKSUM..CHECKSUM + 2].copy_from_slice(&sum.to_be_bytes());
    octets
}

fn with(at: usize, octets: &[u8]) -> Vec<u8> {
    let mut packet = REQUEST.to_vec();
    packet[at..at + octets.len()].copy_from_slice(octets);
    summed(packet)
}

/// The request with this extension before its own.
fn with_extension(type_and_length: [u8; 4], value: &[u8]) -> Vec<u8> {
    mended([&REQUEST[..EXTENSIONS], &type_and_length, value, &REQUEST[EXTENSIONS..]].concat())
}

/// The request with this authentication extension instead of its own.
fn authenticated_by(value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(value.len()).unwrap().to_be_bytes();
    let rest = &REQUEST[AUTHENTICATION + 16..];
    mended([&REQUEST[..AUTHENTICATION], &[0x80, 7], &length, value, rest].concat())
}

fn up() -> Endpoint {
    let mut hub = endpoint(hub(), 1);
    hub.interface_up(NOW);
    events(&mut hub);
    hub
}

/// The hub refuses and knows nothing new.
fn refused(octets: &[u8]) -> Discard {
    let mut hub = up();
    let before = state(&hub, NOW);
    let from = link(1, "172.16.1.1", "172.16.10.1");
    let outcome = hub.handle_packet(NOW, &from, octets);
    assert_eq!(state(&hub, NOW), before);
    assert_eq!((transmits(&mut hub), events(&mut hub)), (vec![], vec![]));
    outcome.expect_err("it was accepted")
}

/// The hub sends this error back and knows nothing new.
fn answered_by_error(octets: &[u8]) -> ErrorCode {
    answered_by_error_at(octets).0
}

/// The same, and where the error is.
fn answered_by_error_at(octets: &[u8]) -> (ErrorCode, usize) {
    let mut hub = up();
    let before = state(&hub, NOW);
    hub.handle_packet(NOW, &link(1, "172.16.1.1", "172.16.10.1"), octets).unwrap();
    assert_eq!(state(&hub, NOW), before);
    let sent = transmits(&mut hub);
    assert_eq!(sent.len(), 1);
    let Body::ErrorIndication(error) = Packet::parse(&sent[0].packet).unwrap().body else {
        panic!("no error indication")
    };
    (error.code, error.offset.into())
}

/// The hub registers the client as ever.
fn accepted(octets: &[u8]) {
    let mut hub = up();
    hub.handle_packet(NOW, &link(1, "172.16.1.1", "172.16.10.1"), octets).unwrap();
    assert_eq!(hub.cache(NOW).count(), 1);
    assert_eq!(transmits(&mut hub).len(), 1);
}

#[test]
fn the_guides_request_is_as_this_test_thinks() {
    accepted(REQUEST);
    assert_eq!(mended(REQUEST.to_vec()), REQUEST);
    assert_eq!(authenticated_by(&REQUEST[AUTHENTICATION + 4..AUTHENTICATION + 16]), REQUEST);
}

/// frr nhrpd did not bound it.
#[test]
fn extension_offset_outside_the_packet() {
    for found in [1, 19, 20, 27, 39, 108, 109, 0xffff] {
        let error = ParseError::ExtensionOffset { found, minimum: 40, size: 108 };
        let packet = with(EXTENSION_OFFSET, &found.to_be_bytes());
        assert_eq!(refused(&packet), Discard::Malformed(error), "{found}");
    }
}

/// It points into an entry, or between two extensions' parts: what lies there makes no sense.
#[test]
fn extension_offset_that_is_odd_or_inside_something() {
    for found in [41_u16, 43, 51, 53, 55, 63, 65] {
        let packet = with(EXTENSION_OFFSET, &found.to_be_bytes());
        let Discard::Malformed(error) = refused(&packet) else { panic!("{found}") };
        assert!(
            matches!(error, ParseError::Truncated { .. } | ParseError::Excess { .. }),
            "{error}"
        );
        assert!((40..108).contains(&error.offset()), "{error}");
    }
}

#[test]
fn extension_longer_than_the_rest() {
    for length in [13_u16, 41, 0x7fff, 0xffff] {
        let packet = with(AUTHENTICATION + 2, &length.to_be_bytes());
        let Discard::Malformed(error) = refused(&packet) else { panic!("{length}") };
        assert!((EXTENSIONS..108).contains(&error.offset()), "{error}");
    }
}

#[test]
fn extensions_without_end_and_behind_the_end() {
    accepted(&mended(REQUEST[..104].to_vec()));
    let behind = mended([REQUEST, &[0x80, 3, 0, 0]].concat());
    let error = ParseError::Excess { what: "extensions", offset: 108, excess: 4 };
    assert_eq!(refused(&behind), Discard::Malformed(error));
}

/// OpenNHRP indexes a table of ten with what the packet says.
#[test]
fn extension_types_that_no_table_holds() {
    for extension_type in [10_u16, 99, 100, 0x3fff] {
        let [high, low] = extension_type.to_be_bytes();
        accepted(&with_extension([high, low, 0, 4], b"what"));
        accepted(&with_extension([high | 0x40, low, 0, 4], b"what"));
        // With the compulsory bit who does not know it must say so (RFC 2332 §5.3).
        let compulsory = with_extension([high | 0x80, low, 0, 4], b"what");
        assert_eq!(answered_by_error(&compulsory), ErrorCode::UNRECOGNIZED_EXTENSION);
    }
}

/// An extension is there once, but for the vendors' own (RFC 2332 §5.3): which of two would be filled?
#[test]
fn an_extension_that_is_there_twice() {
    let own = EXTENSIONS;
    for [high, low] in [[0x80, 3], [0x80, 4], [0x80, 5], [0, 9]] {
        let at = REQUEST[own..].windows(4).position(|octets| octets[..2] == [high, low]).unwrap();
        for bits in [0_u8, 0x40, 0x80] {
            let packet = with_extension([bits, low, 0, 0], &[]);
            let error = ErrorCode::INVALID_EXTENSION;
            // The second is in error, four octets further back than it was.
            assert_eq!(answered_by_error_at(&packet), (error, own + at + 4), "{low}");
        }
    }
    let vendor = [0, 8, 0, 4, 0, 0, 12, 1].repeat(2);
    accepted(&mended([&REQUEST[..own], &vendor, &REQUEST[own..]].concat()));
}

/// An End with the vendor-private bit (type 0x4000) made OpenNHRP jump anywhere: it ends the list as
/// every other End, whatever its bits.
#[test]
fn an_end_with_every_bit() {
    for bits in [0_u8, 0x40, 0x80, 0xc0] {
        accepted(&mended([&REQUEST[..104], &[bits, 0, 0, 0]].concat()));
        let behind = mended([&REQUEST[..104], &[bits, 0, 0, 0], &[0x80, 3, 0, 0]].concat());
        let error = ParseError::Excess { what: "extensions", offset: 108, excess: 4 };
        assert_eq!(refused(&behind), Discard::Malformed(error), "{bits:#x}");
    }
}

/// A table of extensions in order overflows: a thousand of them are only long.
#[test]
fn more_extensions_than_a_table_holds() {
    let many = [0, 0x63, 0, 0].repeat(1000);
    let packet = mended([&REQUEST[..EXTENSIONS], &many, &REQUEST[EXTENSIONS..]].concat());
    accepted(&packet);
}

/// nhrpd compares before it measures, and takes the last of several.
#[test]
fn authentication_of_every_short_length() {
    let own = &REQUEST[AUTHENTICATION + 4..AUTHENTICATION + 16];
    for length in 0..own.len() {
        let packet = authenticated_by(&own[..length]);
        assert_eq!(answered_by_error(&packet), ErrorCode::AUTHENTICATION_FAILURE, "{length}");
    }
    let longer = [own, b"\0"].concat();
    assert_eq!(answered_by_error(&authenticated_by(&longer)), ErrorCode::AUTHENTICATION_FAILURE);
}

#[test]
fn two_authentications() {
    let (before, rest) = (&REQUEST[..AUTHENTICATION], &REQUEST[AUTHENTICATION..]);
    let right = &rest[..16];
    let mut wrong = right.to_vec();
    wrong[15] ^= 1;
    for second in [right, &wrong] {
        for pair in [[second, right], [right, second]] {
            let packet = mended([before, pair[0], pair[1], &rest[16..]].concat());
            assert_eq!(answered_by_error(&packet), ErrorCode::AUTHENTICATION_FAILURE);
        }
    }
}

#[test]
fn address_lengths_that_lie() {
    for (at, octet) in [
        (SOURCE_TYPE_LENGTH, 63),
        (SOURCE_TYPE_LENGTH, 5),
        (SOURCE_SUBADDRESS_TYPE_LENGTH, 63),
        (SOURCE_LENGTH, 0xff),
        (SOURCE_LENGTH, 80),
        (DESTINATION_LENGTH, 0xff),
        (DESTINATION_LENGTH, 80),
    ] {
        let packet = with(at, &[octet]);
        let Discard::Malformed(error) = refused(&packet) else { panic!("{at} {octet}") };
        assert!(error.offset() < 108, "{error}");
    }
    // Lengths that fit the packet and no address of ours.
    for (at, octet) in [
        (SOURCE_TYPE_LENGTH, 0),
        (SOURCE_TYPE_LENGTH, 0x44),
        (SOURCE_LENGTH, 0),
        (SOURCE_LENGTH, 3),
        (DESTINATION_LENGTH, 0),
        (DESTINATION_LENGTH, 3),
    ] {
        let discard = refused(&with(at, &[octet]));
        assert!(!matches!(discard, Discard::QueueFull { .. }), "{at} {octet}: {discard}");
    }
}

/// Address lengths of a client information entry.
#[test]
fn entry_lengths_that_lie() {
    for at in [ENTRY + 8, ENTRY + 9, ENTRY + 10] {
        for octet in [1, 4, 63, 0xff] {
            let Discard::Malformed(error) = refused(&with(at, &[octet])) else {
                panic!("{at} {octet}")
            };
            assert!((ENTRY..=EXTENSIONS).contains(&error.offset()), "{at} {octet}: {error}");
        }
    }
}

#[test]
fn packet_size_that_lies() {
    for size in [109_u16, 0x7fff, 0xffff] {
        let (what, offset) = ("packet", 0);
        let error = ParseError::Truncated { what, offset, needed: usize::from(size), have: 108 };
        assert_eq!(refused(&with(PACKET_SIZE, &size.to_be_bytes())), Discard::Malformed(error));
    }
    for size in [0_u16, 1, 19, 20, 27] {
        let error = ParseError::PacketSize { size, minimum: 28 };
        assert_eq!(refused(&with(PACKET_SIZE, &size.to_be_bytes())), Discard::Malformed(error));
    }
}

/// Cisco's error indications have 16 zero octets behind them, which the size does not count.
#[test]
fn zeros_behind_the_packet() {
    accepted(&[REQUEST, &[0; 16]].concat());
}

#[test]
fn hop_count_zero() {
    accepted(&with(9, &[0]));
}
