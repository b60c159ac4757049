//! One SA, both ends: what goes in comes out, what was touched is refused.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

mod support;

use dmvpn_esp::crypto::RustCrypto;
use dmvpn_esp::{
    Deviation, Encryption, Header, InboundSa, Integrity, Iv, Mode, NextHeader, OpenError, Opened,
    OutboundSa, Payload, SaConfig, SealError, SealJob, Spi, Transform, seal_batch,
};
use proptest::prelude::*;
use support::{Counting, SPI, config, keymat, pair, seal, seal_plaintext, transforms};

fn open(sa: &mut InboundSa, packet: &[u8]) -> Result<(NextHeader, Vec<u8>), OpenError> {
    let mut buffer = packet.to_vec();
    match sa.open(&mut buffer, 0..packet.len())? {
        Opened::Payload(payload) => Ok((payload.next_header, buffer[payload.range].to_vec())),
        Opened::Dummy => Ok((NextHeader::NONE, Vec::new())),
    }
}

/// An IPv4 packet of `len` bytes, as far as its length goes.
fn ipv4(len: u16) -> Vec<u8> {
    let mut packet = vec![0x45; usize::from(len)];
    packet[2..4].copy_from_slice(&len.to_be_bytes());
    packet
}

#[test]
fn every_transform_mode_and_length() {
    for transform in transforms() {
        for extended in [false, true] {
            let transport = config(transform, Mode::Transport).extended_sequence(extended);
            let tunnel = config(transform, Mode::Tunnel).extended_sequence(extended);
            let (mut out, mut inside) = pair(&transport, transform);
            let (mut tunnel_out, mut tunnel_in) = pair(&tunnel, transform);
            for len in 0..70 {
                let payload: Vec<u8> = (0..len).collect();
                let packet = seal(&mut out, NextHeader::GRE, &payload);
                assert_eq!(packet.len(), transform.sealed_len(payload.len()));
                assert_eq!(open(&mut inside, &packet), Ok((NextHeader::GRE, payload)));
            }
            for len in 20..70 {
                let packet = seal(&mut tunnel_out, NextHeader::IPV4, &ipv4(len));
                assert_eq!(open(&mut tunnel_in, &packet), Ok((NextHeader::IPV4, ipv4(len))));
            }
            assert_eq!(out.counters().encaps, 70);
            assert_eq!(inside.counters().verify, 70);
            assert_eq!(inside.highest_sequence(), 70);
            assert_eq!(out.bytes(), inside.bytes());
        }
    }
}

#[test]
fn every_flipped_bit_is_refused() {
    for transform in transforms() {
        for extended in [false, true] {
            let config = config(transform, Mode::Transport).extended_sequence(extended);
            let (mut out, mut inside) = pair(&config, transform);
            let packet = seal(&mut out, NextHeader::GRE, b"twenty-five bytes of text");
            for bit in 0..packet.len() * 8 {
                let mut flipped = packet.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                let refused = open(&mut inside, &flipped).unwrap_err();
                match bit / 8 {
                    0..4 => assert!(matches!(refused, OpenError::WrongSpi { .. })),
                    // Of the sequence number only the bit that makes it 0 shows before the ICV.
                    7 if flipped[7] == 0 => {
                        assert_eq!(refused, OpenError::Replayed { sequence: 0 });
                    }
                    _ => assert_eq!(refused, OpenError::IntegrityCheck { spi: SPI }, "{bit}"),
                }
            }
            let counters = inside.counters();
            assert_eq!((counters.invalid_sa_receive, counters.replay_failed_receive), (32, 1));
            assert_eq!(counters.verify_failed, packet.len() as u64 * 8 - 33);
            assert_eq!((inside.highest_sequence(), inside.bytes()), (0, 0));
            assert!(open(&mut inside, &packet).is_ok());
        }
    }
}

#[test]
fn every_truncation_is_refused() {
    for transform in transforms() {
        let (mut out, mut inside) = pair(&config(transform, Mode::Transport), transform);
        let packet = seal(&mut out, NextHeader::GRE, &[0x55; 61]);
        for len in 0..packet.len() {
            let refused = open(&mut inside, &packet[..len]).unwrap_err();
            let shortest = transform.sealed_len(0);
            if len < shortest {
                assert_eq!(refused, OpenError::TooShort { needed: shortest, have: len });
            } else if let OpenError::Alignment { alignment, have } = refused {
                assert_ne!(have % alignment, 0);
            } else {
                assert_eq!(refused, OpenError::IntegrityCheck { spi: SPI });
            }
        }
        assert!(open(&mut inside, &packet).is_ok());
        for len in 0..Header::LEN {
            assert!(Header::parse(&packet[..len]).is_err());
        }
        let (header, body) = Header::parse(&packet).unwrap();
        assert_eq!((header.spi, header.sequence), (SPI, 1));
        assert_eq!([&header.encode(), body].concat(), packet);
    }
}

/// Another key, the other direction's for instance: nothing is accepted.
#[test]
fn another_key_is_refused() {
    for transform in transforms() {
        let config = config(transform, Mode::Transport);
        let (mut out, _) = pair(&config, transform);
        let mut keymat = keymat(transform);
        *keymat.last_mut().unwrap() ^= 1;
        let mut inside = InboundSa::new(&RustCrypto, &config, &keymat).unwrap();
        let packet = seal(&mut out, NextHeader::GRE, b"secret");
        assert_eq!(open(&mut inside, &packet), Err(OpenError::IntegrityCheck { spi: SPI }));
    }
}

#[test]
fn replays_are_refused_and_a_forged_number_moves_nothing() {
    let transform = Transform::ESP_3DES_SHA;
    let (mut out, mut inside) = pair(&config(transform, Mode::Transport), transform);
    let packets: Vec<_> = (0..100).map(|_| seal(&mut out, NextHeader::GRE, b"payload")).collect();
    let mut forged = packets[0].clone();
    forged[4..8].copy_from_slice(&5000u32.to_be_bytes());
    assert!(matches!(open(&mut inside, &forged), Err(OpenError::IntegrityCheck { .. })));

    for packet in packets.iter().rev().take(64) {
        assert!(open(&mut inside, packet).is_ok());
    }
    for (index, packet) in packets.iter().enumerate() {
        let sequence = index as u64 + 1;
        let refused = open(&mut inside, packet).unwrap_err();
        if sequence <= 36 {
            assert_eq!(refused, OpenError::BehindWindow { sequence, highest: 100 });
        } else {
            assert_eq!(refused, OpenError::Replayed { sequence });
        }
    }
    assert_eq!(inside.counters().replay_failed_receive, 100);

    let (_, mut unchecked) = pair(&config(transform, Mode::Transport).replay_window(0), transform);
    for packet in packets.iter().rev().chain(&packets) {
        assert!(open(&mut unchecked, packet).is_ok());
    }
    assert_eq!(unchecked.counters().decaps, 200);
}

#[test]
fn dummies_are_dropped_without_prejudice() {
    for mode in [Mode::Transport, Mode::Tunnel] {
        for transform in transforms() {
            let (mut out, mut inside) = pair(&config(transform, mode), transform);
            let packet = seal(&mut out, NextHeader::NONE, &[0xa5; 33]);
            let mut buffer = packet.clone();
            assert_eq!(inside.open(&mut buffer, 0..packet.len()), Ok(Opened::Dummy));
            assert_eq!(open(&mut inside, &packet), Err(OpenError::Replayed { sequence: 1 }));
            assert_eq!((inside.counters().dummies, inside.counters().decaps), (1, 1));
        }
    }
}

#[test]
fn tfc_padding_is_cut_off_in_tunnel_mode() {
    let transform = Transform::ESP_GCM_256;
    let (mut out, mut inside) = pair(&config(transform, Mode::Tunnel), transform);
    let mut padded = ipv4(40);
    padded.extend([0; 500]);
    let packet = seal(&mut out, NextHeader::IPV4, &padded);
    assert_eq!(open(&mut inside, &packet), Ok((NextHeader::IPV4, ipv4(40))));

    let mut ipv6 = vec![0x60, 0, 0, 0, 0, 3];
    ipv6.resize(43, 0x77);
    let mut padded = ipv6.clone();
    padded.extend([9; 9]);
    let packet = seal(&mut out, NextHeader::IPV6, &padded);
    assert_eq!(open(&mut inside, &packet), Ok((NextHeader::IPV6, ipv6)));

    let packet = seal(&mut out, NextHeader::IPV4, &ipv4(40)[..39]);
    let refused = open(&mut inside, &packet);
    assert_eq!(refused, Err(OpenError::InnerLength { length: 40, have: 39 }));
    assert_eq!(inside.counters().invalid_length_receive, 1);
}

#[test]
fn tunnel_mode_carries_ip() {
    let transform = Transform::ESP_3DES_SHA;
    let (mut out, mut inside) = pair(&config(transform, Mode::Tunnel), transform);
    let mut buffer = [0; 100];
    let refused = out.seal(&mut Counting::default(), NextHeader::GRE, &mut buffer, 40..60);
    let next_header = NextHeader::GRE;
    assert_eq!(refused, Err(SealError::InvalidProtocol { next_header }));
    assert_eq!((out.counters().invalid_protocol_send, out.last_sequence()), (1, 0));

    let (mut transport, _) = pair(&config(transform, Mode::Transport), transform);
    let packet = seal(&mut transport, next_header, &ipv4(20));
    assert_eq!(open(&mut inside, &packet), Err(OpenError::InvalidProtocol { next_header }));
    assert_eq!(inside.counters().invalid_protocol_receive, 1);
}

#[test]
fn padding_is_inspected_unless_told_otherwise() {
    let transform = Transform::ESP_3DES_SHA;
    let strict = config(transform, Mode::Transport);
    // Zeros where 1, 2, 3, 4 belong.
    let packet = seal_plaintext(transform, &[7, 7, 0, 0, 0, 0, 4, 47]);
    let (_, mut inside) = pair(&strict, transform);
    assert_eq!(open(&mut inside, &packet), Err(OpenError::Padding));
    assert_eq!(inside.counters().decaps_failed_receive, 1);
    assert_eq!(inside.highest_sequence(), 0);

    let (_, mut lenient) = pair(&strict.clone().tolerate_odd_padding(true), transform);
    let mut buffer = packet.clone();
    let opened = lenient.open(&mut buffer, 0..packet.len()).unwrap();
    let expected = Payload {
        next_header: NextHeader::GRE,
        range: 16..18,
        sequence: 1,
        deviation: Some(Deviation::OddPadding),
    };
    assert_eq!(opened, Opened::Payload(expected));
    assert_eq!(lenient.counters().odd_padding, 1);

    // More padding than needed is the peer's right (RFC 4303 §2.4).
    let long: Vec<u8> = [7; 6].into_iter().chain(1..=32).chain([32, 47]).collect();
    let packet = seal_plaintext(transform, &long);
    assert_eq!(open(&mut inside, &packet), Ok((NextHeader::GRE, vec![7; 6])));

    let packet = seal_plaintext(transform, &[1, 2, 3, 4, 5, 6, 7, 47]);
    let (_, mut inside) = pair(&strict, transform);
    let refused = open(&mut inside, &packet);
    assert_eq!(refused, Err(OpenError::PadLength { pad_length: 7, have: 8 }));
}

#[test]
fn buffers_that_are_too_small() {
    let transform = Transform::ESP_3DES_SHA;
    let (mut out, mut inside) = pair(&config(transform, Mode::Transport), transform);
    assert_eq!(
        (out.headroom(), out.tailroom(4), out.tailroom(6), out.tailroom(7)),
        (16, 16, 14, 21)
    );
    let mut buffer = [0xee; 64];
    let mut seal = |range| out.seal(&mut Counting::default(), NextHeader::GRE, &mut buffer, range);
    let (needed, have) = (16, 15);
    assert_eq!(seal(15..19), Err(SealError::BufferTooSmall { room: "headroom", needed, have }));
    assert_eq!(seal(45..49), Err(SealError::BufferTooSmall { room: "tailroom", needed, have }));
    assert_eq!(seal(60..65), Err(SealError::RangeOutsideBuffer { end: 65, have: 64 }));
    #[allow(clippy::reversed_empty_ranges, reason = "what a confused caller might give")]
    let reversed = 20..19;
    assert_eq!(seal(reversed), Err(SealError::RangeOutsideBuffer { end: 19, have: 64 }));
    assert_eq!(seal(44..48), Ok(28..64));
    assert_eq!(out.counters().encaps_failed_send, 4);
    assert_eq!((out.counters().encaps, out.last_sequence()), (1, 1));
    assert_eq!(buffer[..28], [0xee; 28]);

    let refused = inside.open(&mut buffer, 28..65);
    assert_eq!(refused, Err(OpenError::RangeOutsideBuffer { end: 65, have: 64 }));
    assert_eq!(inside.counters().internal_error_receive, 1);
    let opened = inside.open(&mut buffer, 28..64).unwrap();
    let Opened::Payload(payload) = opened else { panic!("a dummy") };
    assert_eq!(payload.range, 44..48);
}

#[test]
fn what_belongs_to_another_sa_is_refused() {
    let transform = Transform::ESP_3DES_SHA;
    let (mut one, mut inside) = pair(&config(transform, Mode::Transport), transform);
    let other = SaConfig::new(Spi(0x9999), transform, Mode::Transport);
    let (mut two, mut inside_two) = pair(&other, transform);
    let sequence = one.reserve(4).unwrap();
    let iv = two.key().draw_iv(&mut Counting::default());
    let mut buffer = [0; 64];
    let refused =
        SealJob::new(two.key(), sequence, iv, NextHeader::GRE, &mut buffer, 20..24).unwrap_err();
    assert_eq!(refused, SealError::ForeignSequence { spi: Spi(0x9999), reserved: SPI });
    two.count(&refused);
    assert_eq!(two.counters().internal_error_send, 1);

    let mut packet = seal(&mut one, NextHeader::GRE, b"payload");
    let end = packet.len();
    let candidate = inside.check(&packet, 0..end).unwrap();
    let mut jobs = [dmvpn_esp::OpenJob::new(inside.key(), candidate, &mut packet)];
    dmvpn_esp::open_batch(&mut jobs);
    let [job] = jobs;
    let foreign = OpenError::ForeignPacket { spi: Spi(0x9999), verified: SPI };
    assert_eq!(inside_two.commit(job.finish()), Err(foreign));
    assert_eq!(inside.highest_sequence(), 0);
}

/// A CBC packet draws its IV; GCM's is the sequence number, and nothing is drawn.
#[test]
fn ivs() {
    for transform in transforms() {
        let (mut out, _) = pair(&config(transform, Mode::Transport), transform);
        let mut rng = Counting(0x40);
        let mut buffer = [0; 200];
        let range = out.seal(&mut rng, NextHeader::GRE, &mut buffer, 60..70).unwrap();
        let iv = &buffer[range.start + 8..60];
        if transform.encryption().is_combined() {
            assert_eq!((iv, rng.0), (&1u64.to_be_bytes()[..], 0x40));
        } else {
            let drawn: Vec<u8> = (0x41..).take(iv.len()).collect();
            assert_eq!((iv, usize::from(rng.0)), (&drawn[..], 0x40 + iv.len()));
        }
    }
}

#[test]
fn secrets_are_not_printed() {
    let transform = Transform::new(Encryption::AesCbc128, Some(Integrity::HmacSha256)).unwrap();
    let (out, inside) = pair(&config(transform, Mode::Transport), transform);
    let printed = format!("{out:?} {inside:?} {:?}", transform.split(&keymat(transform)).unwrap());
    assert!(printed.contains("Key { spi: Spi(0xB259D71), transform: esp-aes esp-sha256-hmac"));
    assert!(printed.contains("SplitKeymat(..)"));
    assert!(!printed.contains("[1, 8,"), "{printed}");
}

fn any_transform() -> impl Strategy<Value = Transform> {
    proptest::sample::select(transforms())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_payload_stays_where_it_is(
        transform in any_transform(), extended: bool,
        payload in proptest::collection::vec(any::<u8>(), 0..300), before in 0usize..9, after in 0usize..9,
    ) {
        let config = config(transform, Mode::Transport).extended_sequence(extended);
        let (mut out, mut inside) = pair(&config, transform);
        let start = before + out.headroom();
        let mut buffer = vec![0xee; start];
        buffer.extend(&payload);
        buffer.resize(buffer.len() + out.tailroom(payload.len()) + after, 0xee);
        let range = start..start + payload.len();
        let packet =
            out.seal(&mut Counting::default(), NextHeader::GRE, &mut buffer, range.clone()).unwrap();
        prop_assert_eq!(&packet, &(before..buffer.len() - after));
        prop_assert!(buffer[..before].iter().chain(&buffer[packet.end..]).all(|byte| *byte == 0xee));
        let opened = inside.open(&mut buffer, packet).unwrap();
        let Opened::Payload(opened) = opened else { panic!("a dummy") };
        prop_assert_eq!(&opened.range, &range);
        prop_assert_eq!(&buffer[range], &payload[..]);
    }

    #[test]
    fn any_bytes_are_refused(
        transform in any_transform(), mut packet in proptest::collection::vec(any::<u8>(), 0..200),
        ours: bool,
    ) {
        let (_, mut inside) = pair(&config(transform, Mode::Tunnel), transform);
        if ours && packet.len() >= 4 {
            packet[..4].copy_from_slice(&SPI.0.to_be_bytes());
        }
        let end = packet.len();
        prop_assert!(inside.open(&mut packet, 0..end).is_err());
    }

    /// Whatever plaintext a peer that has the key may send: no panic, and no range outside.
    #[test]
    fn any_plaintext_of_the_peer(
        blocks in proptest::collection::vec(any::<[u8; 8]>(), 1..8), tunnel: bool, lenient: bool,
    ) {
        let transform = Transform::ESP_3DES_SHA;
        let mode = if tunnel { Mode::Tunnel } else { Mode::Transport };
        let mut packet = seal_plaintext(transform, &blocks.concat());
        let config = config(transform, mode).tolerate_odd_padding(lenient);
        let (_, mut inside) = pair(&config, transform);
        let end = packet.len();
        if let Ok(Opened::Payload(payload)) = inside.open(&mut packet, 0..end) {
            prop_assert!(payload.range.start == 16 && payload.range.end <= end - 14);
        }
    }

    #[test]
    fn max_payload_is_the_inverse_of_sealed_len(transform in any_transform(), sealed in 0usize..2000) {
        match transform.max_payload(sealed) {
            Some(most) => {
                prop_assert!(transform.sealed_len(most) <= sealed);
                prop_assert!(transform.sealed_len(most + 1) > sealed);
            }
            None => prop_assert!(transform.sealed_len(0) > sealed),
        }
    }
}

/// What a path of 1500 bytes leaves with the guide's transform: 1466 bytes with the IP header, 8
/// more than the 1458 that IOS announces.
#[test]
fn real_path_mtu_of_the_guide() {
    assert_eq!(Transform::ESP_3DES_SHA.max_payload(1500 - 20), Some(1466 - 20));
}

#[test]
fn sealing_needs_no_rng_beyond_its_iv() {
    let transform = Transform::ESP_GCM_256;
    let (mut out, _) = pair(&config(transform, Mode::Transport), transform);
    let sequence = out.reserve(4).unwrap();
    assert_eq!(sequence.value(), 1);
    let mut buffer = [0; 64];
    let iv = Iv::dangerous_explicit([9; 16]);
    let job = SealJob::new(out.key(), sequence, iv, NextHeader::GRE, &mut buffer, 16..20).unwrap();
    // A job that was never run has no packet.
    assert_eq!(job.packet(), Err(SealError::Provider));
    let mut jobs = [job];
    seal_batch(&mut jobs);
    assert_eq!(jobs[0].packet(), Ok(0..40));
    assert_eq!(buffer[8..16], [9; 8]);
}

#[test]
fn outbound_and_inbound_are_send() {
    fn is_send<T: Send + Sync>() {}
    is_send::<OutboundSa>();
    is_send::<InboundSa>();
}

/// SPIs 0 to 255 are IANA's (RFC 4303 §2.1): no SA has one.
#[test]
fn reserved_spis_are_refused() {
    let transform = Transform::ESP_3DES_SHA;
    for spi in (0..=257).map(Spi) {
        let config = SaConfig::new(spi, transform, Mode::Transport);
        let refused = OutboundSa::new(&RustCrypto, &config, &keymat(transform)).is_err();
        assert_eq!((refused, spi.is_reserved()), (spi.0 < 256, spi.0 < 256), "{spi}");
    }
}
