//! What several tests need; each test file includes it as a module.

#![allow(dead_code, reason = "no test needs all of it")]

use core::convert::Infallible;

use dmvpn_esp::crypto::{Provider, RustCrypto};
use dmvpn_esp::{
    Encryption, InboundSa, Integrity, Iv, Mode, NextHeader, OutboundSa, SaConfig, SealJob, Spi,
    Transform, seal_batch,
};
use rand_core::{TryCryptoRng, TryRng};

pub(crate) const SPI: Spi = Spi(0x0b25_9d71);

/// Bytes that are each other than the one before. No randomness, no security.
#[derive(Clone, Default)]
pub(crate) struct Counting(pub(crate) u8);

impl TryRng for Counting {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for byte in bytes {
            self.0 = self.0.wrapping_add(1);
            *byte = self.0;
        }
        Ok(())
    }
}

impl TryCryptoRng for Counting {}

/// Every provider that has the algorithms of [`transforms`].
pub(crate) fn providers() -> Vec<Box<dyn Provider>> {
    vec![
        Box::new(RustCrypto),
        #[cfg(feature = "ring")]
        Box::new(dmvpn_esp::crypto::RingGcm(RustCrypto)),
    ]
}

/// Every transform there is.
pub(crate) fn transforms() -> Vec<Transform> {
    let mut all = Vec::new();
    for encryption in [
        Encryption::Null,
        Encryption::TripleDesCbc,
        Encryption::AesCbc128,
        Encryption::AesCbc192,
        Encryption::AesCbc256,
    ] {
        for integrity in [
            Integrity::HmacMd5,
            Integrity::HmacSha1,
            Integrity::HmacSha256,
            Integrity::HmacSha384,
            Integrity::HmacSha512,
        ] {
            all.push(Transform::new(encryption, Some(integrity)).unwrap());
        }
    }
    for encryption in [Encryption::AesGcm128, Encryption::AesGcm192, Encryption::AesGcm256] {
        all.push(Transform::new(encryption, None).unwrap());
    }
    all
}

/// Keying material that differs in each byte.
pub(crate) fn keymat(transform: Transform) -> Vec<u8> {
    (0..transform.keymat_len()).map(|index| (index * 7 + 1) as u8).collect()
}

pub(crate) fn config(transform: Transform, mode: Mode) -> SaConfig {
    SaConfig::new(SPI, transform, mode)
}

/// Both ends of one SA.
pub(crate) fn pair(config: &SaConfig, transform: Transform) -> (OutboundSa, InboundSa) {
    pair_by(&RustCrypto, config, transform)
}

pub(crate) fn pair_by(
    provider: &dyn Provider,
    config: &SaConfig,
    transform: Transform,
) -> (OutboundSa, InboundSa) {
    let keymat = keymat(transform);
    (
        OutboundSa::new(provider, config, &keymat).unwrap(),
        InboundSa::new(provider, config, &keymat).unwrap(),
    )
}

/// The ESP packet around `payload`.
pub(crate) fn seal(sa: &mut OutboundSa, next_header: NextHeader, payload: &[u8]) -> Vec<u8> {
    let mut buffer = vec![0xee; sa.headroom()];
    buffer.extend(payload);
    buffer.resize(buffer.len() + sa.tailroom(payload.len()), 0xee);
    let range = sa.headroom()..sa.headroom() + payload.len();
    let packet = sa.seal(&mut Counting::default(), next_header, &mut buffer, range).unwrap();
    assert_eq!(packet, 0..buffer.len());
    buffer
}

/// The ESP packet, number 1, around a whole plaintext of one's own, trailer included: for what no
/// peer should send. Its ICV holds.
pub(crate) fn seal_plaintext(transform: Transform, plaintext: &[u8]) -> Vec<u8> {
    assert!(transform.integrity().is_some(), "for separate integrity only");
    let keymat = keymat(transform);
    let keys = transform.split(&keymat).unwrap();
    let iv_len = transform.encryption().iv_len();
    let mut packet = SPI.0.to_be_bytes().to_vec();
    packet.extend(1u32.to_be_bytes());
    packet.extend((0..iv_len).map(|byte| byte as u8));
    let mut ciphertext = plaintext.to_vec();
    if iv_len > 0 {
        let cipher = RustCrypto.cipher(transform.encryption(), keys.encryption).unwrap();
        cipher.encrypt(&packet[8..], &mut ciphertext).unwrap();
    }
    packet.extend(ciphertext);
    let mut icv = vec![0; transform.icv_len()];
    let mac = RustCrypto.mac(transform.integrity().unwrap(), keys.integrity).unwrap();
    mac.sign([&packet, &[]], &mut icv).unwrap();
    packet.extend(icv);
    packet
}

/// Seals `payload` with an IV that was recorded.
pub(crate) fn seal_with_iv(
    sa: &mut OutboundSa,
    iv: &[u8],
    next_header: NextHeader,
    payload: &[u8],
) -> Vec<u8> {
    let sequence = sa.reserve(payload.len()).unwrap();
    let mut bytes = [0; 16];
    bytes[..iv.len()].copy_from_slice(iv);
    let mut buffer = vec![0xee; sa.headroom()];
    buffer.extend(payload);
    buffer.resize(buffer.len() + sa.tailroom(payload.len()), 0xee);
    let range = sa.headroom()..sa.headroom() + payload.len();
    let iv = Iv::dangerous_explicit(bytes);
    let job = SealJob::new(sa.key(), sequence, iv, next_header, &mut buffer, range).unwrap();
    let mut jobs = [job];
    seal_batch(&mut jobs);
    let packet = jobs[0].packet().unwrap();
    buffer[packet].to_vec()
}

/// Decodes hexadecimal digits.
pub(crate) fn unhex(digits: &str) -> Vec<u8> {
    assert!(digits.len().is_multiple_of(2), "{digits}");
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap())
        .collect()
}

/// A file of the vectors beside this repository, or `None` without it.
pub(crate) fn shared(name: &str) -> Option<String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/vectors/");
    let text = std::fs::read_to_string(format!("{path}{name}")).ok();
    if text.is_none() {
        eprintln!("SKIP: {name} is not beside this repository");
    }
    text
}
