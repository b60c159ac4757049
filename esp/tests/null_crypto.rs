//! The providers without security do what fuzzing and simulation need of them.

#![cfg(feature = "null-crypto")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

mod support;

use dmvpn_esp::crypto::{ChecksumProvider, NullProvider, Provider};
use dmvpn_esp::{InboundSa, Mode, NextHeader, Opened, OutboundSa, Transform};
use support::{config, keymat, seal, transforms};

const PAYLOAD: &[u8] = b"a payload in clear";

/// Where a packet loses a bit.
#[derive(Clone, Copy)]
enum Damage {
    None,
    Payload,
    Icv,
}

/// Whether a packet opens.
fn opens(provider: &dyn Provider, transform: Transform, damage: Damage) -> bool {
    let (config, keymat) = (config(transform, Mode::Transport), keymat(transform));
    let mut outbound = OutboundSa::new(provider, &config, &keymat).unwrap();
    let mut inbound = InboundSa::new(provider, &config, &keymat).unwrap();
    let headroom = outbound.headroom();
    let mut packet = seal(&mut outbound, NextHeader::GRE, PAYLOAD);
    assert_eq!(packet[headroom..headroom + PAYLOAD.len()], *PAYLOAD, "nothing is encrypted");
    let last = packet.len() - 1;
    match damage {
        Damage::None => {}
        Damage::Payload => packet[headroom] ^= 1,
        Damage::Icv => packet[last] ^= 1,
    }
    let range = 0..packet.len();
    match inbound.open(&mut packet, range) {
        Ok(Opened::Payload(payload)) => payload.range.len() == PAYLOAD.len(),
        Ok(Opened::Dummy) | Err(_) => false,
    }
}

#[test]
fn both_open_what_they_seal() {
    for transform in transforms() {
        assert!(opens(&NullProvider, transform, Damage::None), "{transform}");
        assert!(opens(&ChecksumProvider, transform, Damage::None), "{transform}");
    }
}

#[test]
fn only_checksums_notice_damage() {
    for transform in transforms() {
        for damage in [Damage::Payload, Damage::Icv] {
            assert!(opens(&NullProvider, transform, damage), "{transform}");
            assert!(!opens(&ChecksumProvider, transform, damage), "{transform}");
        }
    }
}
