//! Lifetimes by volume: the edges of soft and hard, bytes and packets, at either end.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

mod support;

use dmvpn_esp::{
    Lifetime, Mode, NextHeader, OpenError, Remaining, SaConfig, SealError, Transform, Volume,
};
use support::{Counting, SPI, config, pair, seal};

const TRANSFORM: Transform = Transform::ESP_3DES_SHA;

fn with(soft: Volume, hard: Volume) -> SaConfig {
    config(TRANSFORM, Mode::Transport).lifetime(Lifetime { soft, hard })
}

const fn bytes(most: u64) -> Volume {
    Volume { bytes: Some(most), packets: None }
}

const fn packets(most: u64) -> Volume {
    Volume { bytes: None, packets: Some(most) }
}

#[test]
fn bytes_count_with_padding_and_trailer() {
    // 6 bytes fill a block with the trailer; 7 take two.
    let (mut out, mut inside) = pair(&with(bytes(24), bytes(32)), TRANSFORM);
    let mut sealed = Vec::new();
    for (payload, soft) in [(&[1; 6][..], false), (&[2; 7], true), (&[3; 0], true)] {
        let packet = seal(&mut out, NextHeader::GRE, payload);
        let end = packet.len();
        inside.open(&mut packet.clone(), 0..end).unwrap();
        assert_eq!((out.soft_expired(), inside.soft_expired()), (soft, soft));
        sealed.push(packet);
    }
    // The last packet fills the hard lifetime to the byte; nothing more fits.
    assert_eq!((out.bytes(), inside.bytes()), (32, 32));
    assert_eq!(out.remaining(), Remaining { bytes: Some(0), packets: None });
    let mut buffer = [0; 64];
    let refused = out.seal(&mut Counting::default(), NextHeader::GRE, &mut buffer, 20..20);
    assert_eq!(refused, Err(SealError::LifetimeExpired { spi: SPI }));
    assert_eq!(out.reserve(0).unwrap_err(), SealError::LifetimeExpired { spi: SPI });
    assert_eq!(out.counters().lifetime_expired_send, 2);
    assert_eq!((out.last_sequence(), out.counters().encaps), (3, 3));

    // A peer that counts otherwise goes on for longer than we listen.
    let (mut unlimited, _) = pair(&config(TRANSFORM, Mode::Transport), TRANSFORM);
    let mut packet = Vec::new();
    for _ in 0..4 {
        packet = seal(&mut unlimited, NextHeader::GRE, &[]);
    }
    let end = packet.len();
    let refused = inside.open(&mut packet, 0..end);
    assert_eq!(refused, Err(OpenError::LifetimeExpired { spi: SPI }));
    assert_eq!(inside.counters().lifetime_expired_receive, 1);
    assert_eq!(inside.remaining(), Remaining { bytes: Some(0), packets: None });
}

#[test]
fn a_packet_that_does_not_fit_leaves_room_for_one_that_does() {
    let (mut out, _) = pair(&with(bytes(8), bytes(16)), TRANSFORM);
    assert_eq!(out.reserve(15).unwrap_err(), SealError::LifetimeExpired { spi: SPI });
    assert!(out.reserve(14).is_ok());
}

#[test]
fn packets_count() {
    let (mut out, mut inside) = pair(&with(packets(2), packets(3)), TRANSFORM);
    for sent in 1..=3 {
        let mut packet = seal(&mut out, NextHeader::GRE, b"x");
        let end = packet.len();
        inside.open(&mut packet, 0..end).unwrap();
        assert_eq!((out.soft_expired(), inside.soft_expired()), (sent >= 2, sent >= 2));
        assert_eq!(inside.remaining(), Remaining { bytes: None, packets: Some(3 - sent) });
    }
    assert_eq!(out.reserve(1).unwrap_err(), SealError::LifetimeExpired { spi: SPI });
}

#[test]
fn no_limit_is_no_limit() {
    let (mut out, _) = pair(&config(TRANSFORM, Mode::Transport), TRANSFORM);
    assert!(out.reserve(usize::MAX).is_ok());
    assert!(out.reserve(usize::MAX).is_ok());
    assert!(!out.soft_expired());
    assert_eq!(out.remaining(), Remaining { bytes: None, packets: None });
}
