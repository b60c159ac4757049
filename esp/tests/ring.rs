//! `ring` and RustCrypto are one to the other end.
#![cfg(feature = "ring")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

mod support;

use dmvpn_esp::crypto::{Provider, RingGcm, RustCrypto, Unsupported};
use dmvpn_esp::{Encryption, Mode, NextHeader, OpenError, Opened, Transform};
use proptest::prelude::*;
use support::{SPI, config, pair, pair_by, seal};

/// The key of 192 bits, which `ring` does not have, goes through to the other provider.
const GCM: [Encryption; 3] = [Encryption::AesGcm128, Encryption::AesGcm192, Encryption::AesGcm256];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_same_octets_and_either_opens_them(
        payloads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..1500), 1..4),
        encryption in proptest::sample::select(&GCM[..]), extended: bool, at: proptest::sample::Index,
    ) {
        let transform = Transform::new(encryption, None).unwrap();
        let config = config(transform, Mode::Transport).extended_sequence(extended);
        let (mut ours, mut inside) = pair_by(&RingGcm(RustCrypto), &config, transform);
        let (mut theirs, mut other_inside) = pair(&config, transform);
        for payload in payloads {
            let packet = seal(&mut ours, NextHeader::GRE, &payload);
            prop_assert_eq!(&packet, &seal(&mut theirs, NextHeader::GRE, &payload));
            let mut forged = packet.clone();
            forged[8..][at.index(packet.len() - 8)] ^= 1;
            let refused = OpenError::IntegrityCheck { spi: SPI };
            prop_assert_eq!(inside.open(&mut forged, 0..packet.len()), Err(refused));
            for inside in [&mut inside, &mut other_inside] {
                let mut packet = packet.clone();
                let end = packet.len();
                let Ok(Opened::Payload(opened)) = inside.open(&mut packet, 0..end) else {
                    panic!("not opened");
                };
                prop_assert_eq!(&packet[opened.range], &payload[..]);
            }
        }
    }
}

#[test]
fn what_ring_does_not_have_is_the_other_providers() {
    let none = |algorithm, key: &[u8]| RingGcm(RustCrypto).aead(algorithm, key).err();
    assert_eq!(none(Encryption::AesGcm192, &[0; 24]), None);
    for algorithm in [Encryption::AesCbc128, Encryption::Null] {
        assert_eq!(none(algorithm, &[0; 16]), Some(Unsupported::Encryption(algorithm)));
    }
    let short = Unsupported::Encryption(Encryption::AesGcm256);
    assert_eq!(none(Encryption::AesGcm256, &[0; 31]), Some(short));
    assert!(RingGcm(RustCrypto).cipher(Encryption::TripleDesCbc, &[0; 24]).is_ok());
}
