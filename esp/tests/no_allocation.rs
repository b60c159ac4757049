//! Sealing and opening allocate nothing, also where they fail.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

mod support;

use dmvpn_esp::crypto::Provider;
use dmvpn_esp::{
    Lifetime, Mode, NextHeader, OpenJob, Opened, SaConfig, SealJob, Transform, Volume, open_batch,
    seal_batch,
};
use support::{Counting, config, pair, pair_by, providers, transforms};

fn allocations(run: impl FnOnce()) -> u64 {
    allocation_counter::measure(run).count_total
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocations(|| drop(core::hint::black_box(vec![1]))), 1);
    let transform = Transform::ESP_3DES_SHA;
    assert!(allocations(|| drop(pair(&config(transform, Mode::Transport), transform))) > 0);
}

fn each_sa(mut run: impl FnMut(&SaConfig, Transform, NextHeader)) {
    for transform in transforms() {
        for (mode, next_header) in
            [(Mode::Transport, NextHeader::GRE), (Mode::Tunnel, NextHeader::IPV4)]
        {
            for extended in [false, true] {
                let config = config(transform, mode).extended_sequence(extended);
                run(&config, transform, next_header);
            }
        }
    }
}

/// A buffer with an IPv4 packet of 40 bytes at 100.
fn buffer() -> [u8; 300] {
    let mut buffer = [0; 300];
    buffer[100] = 0x45;
    buffer[103] = 40;
    buffer
}

#[test]
fn seal_and_open() {
    each_sa(|config, transform, next_header| {
        for provider in providers() {
            seal_and_open_by(&*provider, config, transform, next_header);
        }
    });
}

fn seal_and_open_by(
    provider: &dyn Provider,
    config: &SaConfig,
    transform: Transform,
    next_header: NextHeader,
) {
    let (mut out, mut inside) = pair_by(provider, config, transform);
    let mut rng = Counting::default();
    let mut buffer = buffer();
    let counted = allocations(|| {
        for _ in 0..3 {
            let packet = out.seal(&mut rng, next_header, &mut buffer, 100..140).unwrap();
            let opened = inside.open(&mut buffer, packet).unwrap();
            assert!(matches!(opened, Opened::Payload(payload) if payload.range == (100..140)));
        }
        let packet = out.seal(&mut rng, NextHeader::NONE, &mut buffer, 100..140).unwrap();
        assert_eq!(inside.open(&mut buffer, packet), Ok(Opened::Dummy));
    });
    assert_eq!(counted, 0, "{provider:?} {config:?}");
}

#[test]
fn every_refusal() {
    each_sa(|config, transform, next_header| {
        let once = Volume { bytes: None, packets: Some(2) };
        let limited = config.clone().lifetime(Lifetime { soft: once, hard: once });
        let (mut out, mut inside) = pair(&limited, transform);
        let mut rng = Counting::default();
        let mut buffer = buffer();
        let counted = allocations(|| {
            assert!(out.seal(&mut rng, next_header, &mut buffer, 2..42).is_err());
            assert!(out.seal(&mut rng, next_header, &mut buffer, 259..299).is_err());
            assert!(out.seal(&mut rng, next_header, &mut buffer, 280..320).is_err());
            let packet = out.seal(&mut rng, next_header, &mut buffer, 100..140).unwrap();
            let mut forged = buffer;
            forged[packet.end - 1] ^= 1;
            assert!(inside.open(&mut forged, packet.clone()).is_err());
            for end in packet.clone() {
                assert!(inside.open(&mut buffer, packet.start..end).is_err());
            }
            let mut copy = buffer;
            assert!(inside.open(&mut buffer, packet.clone()).is_ok());
            assert!(inside.open(&mut copy, packet.clone()).is_err());
            assert!(inside.open(&mut copy, packet.start..400).is_err());
            copy[packet.start] ^= 1;
            assert!(inside.open(&mut copy, packet).is_err());
            // A tunnel's packet that is not as long as it says.
            buffer[103] = 41;
            let packet = out.seal(&mut rng, next_header, &mut buffer, 100..140).unwrap();
            assert_eq!(inside.open(&mut buffer, packet).is_err(), next_header == NextHeader::IPV4);
            assert!(out.seal(&mut rng, next_header, &mut buffer, 100..140).is_err());
        });
        assert_eq!(counted, 0, "{config:?}");
    });
}

/// More than 64, so that 3DES is sliced in words of either width.
const PACKETS: usize = 100;

#[test]
fn batches() {
    each_sa(|config, transform, next_header| {
        let (mut out, mut inside) = pair(config, transform);
        let mut rng = Counting::default();
        let mut buffers = [buffer(); PACKETS];
        let counted = allocations(|| {
            let reserved = [(); PACKETS].map(|()| (out.reserve(40), out.key().draw_iv(&mut rng)));
            let mut reserved = reserved.into_iter();
            let mut jobs = buffers.each_mut().map(|buffer| {
                let (sequence, iv) = reserved.next().unwrap();
                let sequence = sequence.unwrap();
                SealJob::new(out.key(), sequence, iv, next_header, buffer, 100..140).unwrap()
            });
            seal_batch(&mut jobs);
            let mut packets = jobs.map(|job| job.packet().unwrap()).into_iter();
            let checked = buffers
                .each_ref()
                .map(|buffer| inside.check(buffer, packets.next().unwrap()).unwrap());
            let mut checked = checked.into_iter();
            let key = inside.key();
            let mut jobs =
                buffers.each_mut().map(|buffer| OpenJob::new(key, checked.next().unwrap(), buffer));
            open_batch(&mut jobs);
            for verified in jobs.map(OpenJob::finish) {
                assert!(inside.commit(verified).is_ok());
            }
        });
        assert_eq!(counted, 0, "{config:?}");
    });
}
