//! AES-GCM of the crate `ring`: BoringSSL's assembly.

use alloc::boxed::Box;

use ring::aead::{AES_128_GCM, AES_256_GCM, Aad, Algorithm, LessSafeKey, Nonce, UnboundKey};

use super::{Aead, Cipher, Fault, Mac, Provider, Unsupported};
use crate::transform::{Encryption, Integrity};

/// AES-GCM with keys of 128 and 256 bits by `ring`; everything else by the provider within.
///
/// `ring` does not erase keys when they are dropped.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use dmvpn_esp::crypto::{RingGcm, RustCrypto};
/// use dmvpn_esp::{Mode, OutboundSa, SaConfig, Spi, Transform};
///
/// let config = SaConfig::new(Spi(0x0a25_9d71), Transform::ESP_GCM_256, Mode::Transport);
/// let outbound = OutboundSa::new(&RingGcm(RustCrypto), &config, &[7; 36])?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct RingGcm<P>(pub P);

impl<P: Provider> Provider for RingGcm<P> {
    fn cipher(&self, algorithm: Encryption, key: &[u8]) -> Result<Box<dyn Cipher>, Unsupported> {
        self.0.cipher(algorithm, key)
    }

    fn mac(&self, algorithm: Integrity, key: &[u8]) -> Result<Box<dyn Mac>, Unsupported> {
        self.0.mac(algorithm, key)
    }

    fn aead(&self, algorithm: Encryption, key: &[u8]) -> Result<Box<dyn Aead>, Unsupported> {
        let ours = match algorithm {
            Encryption::AesGcm128 => &AES_128_GCM,
            Encryption::AesGcm256 => &AES_256_GCM,
            // `ring` has no key of 192 bits.
            Encryption::AesGcm192
            | Encryption::Null
            | Encryption::TripleDesCbc
            | Encryption::AesCbc128
            | Encryption::AesCbc192
            | Encryption::AesCbc256 => return self.0.aead(algorithm, key),
        };
        gcm(ours, key).ok_or(Unsupported::Encryption(algorithm))
    }
}

fn gcm(algorithm: &'static Algorithm, key: &[u8]) -> Option<Box<dyn Aead>> {
    Some(Box::new(Gcm(LessSafeKey::new(UnboundKey::new(algorithm, key).ok()?))))
}

struct Gcm(LessSafeKey);

impl Aead for Gcm {
    fn seal(
        &self,
        nonce: &[u8; 12],
        aad: &[u8],
        data: &mut [u8],
        icv: &mut [u8; 16],
    ) -> Result<(), Fault> {
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let tag = self
            .0
            .seal_in_place_separate_tag(nonce, Aad::from(aad), data)
            .map_err(|_too_long| Fault)?;
        icv.copy_from_slice(tag.as_ref());
        Ok(())
    }

    fn open(
        &self,
        nonce: &[u8; 12],
        aad: &[u8],
        data: &mut [u8],
        icv: &[u8; 16],
    ) -> Result<bool, Fault> {
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let opened =
            self.0.open_in_place_separate_tag(nonce, Aad::from(aad), (*icv).into(), data, 0..);
        Ok(opened.is_ok())
    }
}
