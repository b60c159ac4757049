//! Which SAs there are, their names and sizes.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

mod support;

use dmvpn_esp::crypto::RustCrypto;
use dmvpn_esp::{
    ConfigError, Counters, Encryption, Integrity, KeymatError, Mode, OutboundSa, SaConfig, Spi,
    Transform, TransformError,
};
use support::{SPI, keymat, transforms};

#[test]
fn none_goes_without_integrity() {
    for encryption in [
        Encryption::Null,
        Encryption::TripleDesCbc,
        Encryption::AesCbc128,
        Encryption::AesCbc192,
        Encryption::AesCbc256,
    ] {
        let refused = Transform::new(encryption, None);
        assert_eq!(refused, Err(TransformError::NoIntegrity(encryption)));
    }
    let twice = Transform::new(Encryption::AesGcm128, Some(Integrity::HmacSha256));
    assert_eq!(twice, Err(TransformError::IntegrityTwice(Encryption::AesGcm128)));
    assert_eq!(transforms().len(), 28);
}

#[test]
fn names_of_ios() {
    let names: Vec<_> = transforms().iter().map(ToString::to_string).collect();
    for name in [
        "esp-null esp-md5-hmac",
        "esp-3des esp-sha-hmac",
        "esp-aes esp-sha256-hmac",
        "esp-aes 192 esp-sha384-hmac",
        "esp-aes 256 esp-sha512-hmac",
        "esp-gcm",
        "esp-gcm 192",
        "esp-gcm 256",
    ] {
        assert!(names.iter().any(|known| known == name), "{name}");
    }
    assert_eq!(Transform::ESP_3DES_SHA.to_string(), "esp-3des esp-sha-hmac");
    assert_eq!(Spi(0x0a25_9d71).to_string(), "0xA259D71");
}

/// 3DES with SHA-1 takes the 44 bytes for which quick mode computes three rounds.
#[test]
fn keying_material_is_cut_encryption_first() {
    assert_eq!(Transform::ESP_3DES_SHA.keymat_len(), 44);
    assert_eq!(Transform::ESP_GCM_256.keymat_len(), 36);
    for transform in transforms() {
        let keymat = keymat(transform);
        let keys = transform.split(&keymat).unwrap();
        assert_eq!([keys.encryption, keys.salt, keys.integrity].concat(), keymat);
        assert_eq!(keys.encryption.len(), transform.encryption().key_len());
        assert_eq!(keys.integrity.is_empty(), transform.encryption().is_combined());
        let (needed, have) = (keymat.len(), keymat.len() - 1);
        assert_eq!(transform.split(&keymat[1..]).unwrap_err(), KeymatError { needed, have });
    }
}

#[test]
fn configurations_that_are_refused() {
    let transform = Transform::ESP_3DES_SHA;
    let new =
        |config: &SaConfig, keymat: &[u8]| OutboundSa::new(&RustCrypto, config, keymat).map(drop);
    let keymat = keymat(transform);
    let config = |spi| SaConfig::new(spi, transform, Mode::Transport);
    for spi in [Spi(0), Spi(1), Spi(255)] {
        assert_eq!(new(&config(spi), &keymat), Err(ConfigError::ReservedSpi(spi)));
    }
    assert_eq!(new(&config(Spi(256)), &keymat), Ok(()));
    assert_eq!(new(&config(SPI).replay_window(1024), &keymat), Ok(()));
    let refused = new(&config(SPI).replay_window(1025), &keymat);
    assert_eq!(refused, Err(ConfigError::ReplayWindow { size: 1025 }));
    let refused = new(&config(SPI).replay_window(0).extended_sequence(true), &keymat);
    assert_eq!(refused, Err(ConfigError::ExtendedSequenceWithoutWindow));
    let refused = new(&config(SPI), &keymat[..43]).unwrap_err();
    assert_eq!(refused.to_string(), "keying material of 43 bytes, needed 44");
}

#[test]
fn counters_add_up() {
    let mut one = Counters::default();
    one.encaps = 3;
    one.no_sa_send = u64::MAX;
    one.odd_padding = 1;
    let mut sum = one;
    sum += &one;
    assert_eq!((sum.encaps, sum.no_sa_send, sum.odd_padding), (6, u64::MAX, 2));
}
