//! Packets that the Linux kernel sealed between two DMVPN routers, natively and behind a NAT: every
//! one is opened, and sealed again to the same bytes.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

mod support;

use dmvpn_esp::crypto::RustCrypto;
use dmvpn_esp::{
    Header, InboundSa, Mode, NextHeader, Opened, OutboundSa, SaConfig, Spi, Transform, udp,
};
use hex_literal::hex;
use support::seal_with_iv;

const ESP: u8 = 50;
const UDP: u8 = 17;

/// The IPv4 packets of a little-endian pcap file of Ethernet frames.
fn ipv4_packets(mut file: &[u8]) -> Vec<&[u8]> {
    let mut packets = Vec::new();
    file = &file[24..];
    while let Some((record, rest)) = file.split_at_checked(16) {
        let length = u32::from_le_bytes(record[8..12].try_into().unwrap()) as usize;
        let (frame, rest) = rest.split_at(length);
        file = rest;
        if frame[12..14] == [0x08, 0x00] {
            let total = usize::from(u16::from_be_bytes([frame[16], frame[17]]));
            packets.push(&frame[14..14 + total]);
        }
    }
    packets
}

/// Opens and seals all of `packets`, in order, with `keymats` by SPI; counts them by SPI.
fn replay(packets: &[&[u8]], keymats: [(Spi, [u8; 44]); 2]) -> [u64; 2] {
    keymats.map(|(spi, keymat)| {
        let config = SaConfig::new(spi, Transform::ESP_3DES_SHA, Mode::Transport);
        let mut inbound = InboundSa::new(&RustCrypto, &config, &keymat).unwrap();
        let mut outbound = OutboundSa::new(&RustCrypto, &config, &keymat).unwrap();
        for packet in packets {
            let (header, body) = Header::parse(packet).unwrap();
            if header.spi != spi {
                continue;
            }
            let mut buffer = packet.to_vec();
            let Ok(Opened::Payload(payload)) = inbound.open(&mut buffer, 0..packet.len()) else {
                panic!("packet {} of {spi}", header.sequence);
            };
            assert_eq!(payload.next_header, NextHeader::GRE);
            let gre = &buffer[payload.range];
            assert!(
                [&hex!("2000200100000001"), &hex!("2000080000000001")]
                    .into_iter()
                    .any(|expected| gre.starts_with(expected))
            );
            while outbound.last_sequence() + 1 < payload.sequence {
                outbound.reserve(0).unwrap();
            }
            assert_eq!(seal_with_iv(&mut outbound, &body[..8], NextHeader::GRE, gre), *packet);
        }
        inbound.counters().decaps
    })
}

fn keymat(encryption: [u8; 24], integrity: [u8; 20]) -> [u8; 44] {
    let mut keymat = [0; 44];
    keymat[..24].copy_from_slice(&encryption);
    keymat[24..].copy_from_slice(&integrity);
    keymat
}

#[test]
fn native() {
    let packets: Vec<_> = ipv4_packets(include_bytes!("data/linux_transport.pcap"))
        .into_iter()
        .filter(|packet| packet[9] == ESP)
        .map(|packet| &packet[20..])
        .collect();
    let opened = replay(
        &packets,
        [
            (
                Spi(0xcdf3_8e41),
                keymat(
                    hex!("2cbf9ec1c6b557d8fc01ddd78d1224d556641ab303e1a74e"),
                    hex!("296a4bf07e1a5d66c155856127e1f9a1a64ee525"),
                ),
            ),
            (
                Spi(0xcc1e_bb90),
                keymat(
                    hex!("460af70d96d83c944e999a54883ac25d86d470ae6592f38b"),
                    hex!("6ff41e5108d47726162ef10ff208d2d1ccce2af5"),
                ),
            ),
        ],
    );
    assert_eq!((opened[0] + opened[1], packets.len()), (38, 38));
}

#[test]
fn behind_a_nat() {
    let (mut packets, mut isakmp) = (Vec::new(), 0);
    for packet in ipv4_packets(include_bytes!("data/linux_nat_traversal.pcap")) {
        if packet[9] != UDP || packet[22..24] != 4500u16.to_be_bytes() {
            continue;
        }
        match udp::classify(&packet[28..]).unwrap() {
            udp::Datagram::Esp => packets.push(&packet[28..]),
            udp::Datagram::Isakmp(message) => {
                // The length field of the ISAKMP header (RFC 2408 §3.1).
                let length = packet[28..][message.clone()][24..28].try_into().unwrap();
                assert_eq!(u32::from_be_bytes(length) as usize, message.len());
                isakmp += 1;
            }
            udp::Datagram::Keepalive => panic!("none was sent"),
        }
    }
    let opened = replay(
        &packets,
        [
            (
                Spi(0xc492_b25f),
                keymat(
                    hex!("73e922124c566f6ce4105d810c72a945bff8049c7cce16df"),
                    hex!("c28ada19160f160707e987f1b8d742417cd166e3"),
                ),
            ),
            (
                Spi(0xcc05_f3f9),
                keymat(
                    hex!("ec9485e837cc3fdb0ead0a97a0052aac7c3da60eb1621595"),
                    hex!("21d7ddfd2efc9cf38f24f1e492758abc2561db64"),
                ),
            ),
        ],
    );
    // The last two messages of main mode; quick mode, whose last two were sent twice.
    assert_eq!((opened[0] + opened[1], packets.len(), isakmp), (45, 45, 7));
}
