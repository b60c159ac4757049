//! IPv4 packets of the lab, against known octets and for any content.

use core::net::Ipv4Addr;

use dmvpn_examples::packet::{
    CONTROL_TRAFFIC_CLASS, Carried, EIGRP_ROUTERS, Echo, Packet, PacketError, eigrp_hello,
};
use proptest::prelude::*;

const SPOKE: Ipv4Addr = Ipv4Addr::new(172, 16, 1, 1);
const HUB: Ipv4Addr = Ipv4Addr::new(172, 16, 10, 1);

fn isakmp(payload: &[u8]) -> Packet<'_> {
    Packet {
        source: SPOKE,
        destination: HUB,
        carried: Carried::Udp { source: 500, destination: 500 },
        traffic_class: CONTROL_TRAFFIC_CLASS,
        time_to_live: 255,
        dont_fragment: false,
        identification: 7,
        payload,
    }
}

#[test]
fn known_octets() {
    // Both checksums computed apart from this crate (RFC 1071).
    let expected = [
        0x45, 0xc0, 0x00, 0x1e, 0x00, 0x07, 0x00, 0x00, 0xff, 0x11, 0x57, 0xe5, 172, 16, 1, 1, 172,
        16, 10, 1, 0x01, 0xf4, 0x01, 0xf4, 0x00, 0x0a, 0x30, 0x66, 0x68, 0x69,
    ];
    let octets = isakmp(b"hi").encode().unwrap();
    assert_eq!(octets, expected);
    assert_eq!(Packet::parse(&octets).unwrap(), isakmp(b"hi"));
}

#[test]
fn refused() {
    let good = isakmp(b"payload").encode().unwrap();
    let with = |at: usize, value: u8| {
        let mut octets = good.clone();
        octets[at] = value;
        Packet::parse(&octets).map(|_| ()).unwrap_err()
    };
    assert_eq!(Packet::parse(&good[..19]), Err(PacketError::NotIpv4));
    assert_eq!(Packet::parse(&good[..good.len() - 1]), Err(PacketError::NotIpv4));
    assert_eq!(with(0, 0x65), PacketError::NotIpv4);
    assert_eq!(with(0, 0x46), PacketError::Options);
    assert_eq!(with(8, 254), PacketError::Checksum("IPv4"));
    assert_eq!(with(28, b'P'), PacketError::Checksum("UDP"));
    assert_eq!(isakmp(&[0; 65_508]).encode(), Err(PacketError::TooLong(65_516)));

    let mut short = isakmp(b"");
    short.carried = Carried::Protocol(17);
    short.payload = &[1, 244, 1, 244, 0, 9, 0, 0];
    assert_eq!(Packet::parse(&short.encode().unwrap()), Err(PacketError::NotUdp));
}

#[test]
fn loopback_answers_a_ping() {
    let (source, destination) = (Ipv4Addr::new(209, 165, 201, 1), Ipv4Addr::new(203, 0, 113, 1));
    let request =
        Echo { source, destination, request: true, identifier: 9, sequence: 1, data: b"abcd" };
    let octets = request.encode().unwrap();
    assert_eq!(octets.len(), 20 + 8 + 4);
    let received = Echo::parse(&octets).unwrap();
    assert_eq!(received, request);

    let reply = received.reply().unwrap();
    assert_eq!((reply.source, reply.destination, reply.request), (destination, source, false));
    let octets = reply.encode().unwrap();
    assert_eq!(Echo::parse(&octets), Some(reply.clone()));
    assert_eq!(reply.reply(), None);

    let mut damaged = octets;
    damaged[31] ^= 1;
    assert_eq!(Echo::parse(&damaged), None);
}

#[test]
fn hello_is_a_multicast_packet() {
    let octets = eigrp_hello(Ipv4Addr::new(10, 1, 1, 1), 1);
    let packet = Packet::parse(&octets).unwrap();
    assert_eq!((packet.destination, packet.carried), (EIGRP_ROUTERS, Carried::Protocol(88)));
    assert_eq!(packet.time_to_live, 2);
    // The checksum over the whole EIGRP message sums to all ones.
    let words = packet.payload.chunks(2).map(|w| u32::from(u16::from_be_bytes([w[0], w[1]])));
    let sum = words.fold(0, |sum: u32, word| (sum + word) % 0xffff);
    assert_eq!(sum, 0);
}

proptest! {
    #[test]
    fn built_parses_back(
        addresses in any::<[[u8; 4]; 2]>(),
        udp in any::<Option<(u16, u16)>>(),
        protocol in any::<u8>().prop_filter("UDP has ports", |protocol| *protocol != 17),
        fields in any::<(u8, u8, bool, u16)>(),
        payload in proptest::collection::vec(any::<u8>(), 0..80),
    ) {
        let [source, destination] = addresses.map(Ipv4Addr::from);
        let (traffic_class, time_to_live, dont_fragment, identification) = fields;
        let carried = udp.map_or(Carried::Protocol(protocol), |(source, destination)| Carried::Udp { source, destination });
        let packet = Packet { source, destination, carried, traffic_class, time_to_live, dont_fragment, identification, payload: &payload };
        let octets = packet.encode().unwrap();
        prop_assert_eq!(Packet::parse(&octets), Ok(packet));
    }

    #[test]
    fn any_octets_parse_or_not(octets in proptest::collection::vec(any::<u8>(), 0..80)) {
        let _ = (Packet::parse(&octets), Echo::parse(&octets));
    }
}
