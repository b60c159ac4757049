//! Phase 2: the hashes of quick mode and informational exchanges, and KEYMAT.

use alloc::vec::Vec;

use super::{Digest, Secret, SessionKeys, SharedSecret};

/// What the keys of one IPsec SA (one direction) are made of (RFC 2409 §5.5).
#[derive(Clone, Copy, Debug)]
pub struct KeyMaterialInput<'a> {
    /// g(qm)^xy, with perfect forward secrecy.
    pub g_xy: Option<&'a SharedSecret>,
    /// The protocol of the negotiated proposal: 3 for ESP.
    pub protocol: u8,
    /// The SPI of this direction: the one its receiver chose.
    pub spi: u32,
    /// Body of the quick mode initiator's nonce payload.
    pub nonce_i: &'a [u8],
    /// Body of the quick mode responder's nonce payload.
    pub nonce_r: &'a [u8],
}

impl SessionKeys {
    /// `HASH(1) = prf(SKEYID_a, M-ID | SA | Ni [ | KE ] [ | IDci | IDcr ])` (RFC 2409 §5.5).
    ///
    /// `rest` is everything after the hash payload up to the end of the last payload, as it is in the
    /// message: generic headers included, padding not. Informational exchanges use the same formula
    /// over their notify or delete payload (RFC 2409 §5.7).
    #[must_use]
    pub fn hash_1(&self, message_id: u32, rest: &[u8]) -> Digest {
        self.prf.prf(self.skeyid_a.as_bytes(), &[&message_id.to_be_bytes(), rest])
    }

    /// `HASH(2) = prf(SKEYID_a, M-ID | Ni_b | SA | Nr [ | KE ] [ | IDci | IDcr ])` (RFC 2409 §5.5):
    /// as [`SessionKeys::hash_1`], with the body of the initiator's nonce before `rest`.
    #[must_use]
    pub fn hash_2(&self, message_id: u32, nonce_i: &[u8], rest: &[u8]) -> Digest {
        self.prf.prf(self.skeyid_a.as_bytes(), &[&message_id.to_be_bytes(), nonce_i, rest])
    }

    /// `HASH(3) = prf(SKEYID_a, 0 | M-ID | Ni_b | Nr_b)` (RFC 2409 §5.5), the zero being one byte.
    #[must_use]
    pub fn hash_3(&self, message_id: u32, nonce_i: &[u8], nonce_r: &[u8]) -> Digest {
        let parts = [&[0][..], &message_id.to_be_bytes(), nonce_i, nonce_r];
        self.prf.prf(self.skeyid_a.as_bytes(), &parts)
    }

    /// The first `len` bytes of KEYMAT for one direction (RFC 2409 §5.5):
    ///
    /// ```text
    /// KEYMAT = K1 | K2 | K3 | …
    /// K1 = prf(SKEYID_d,      [ g(qm)^xy | ] protocol | SPI | Ni_b | Nr_b)
    /// Kn = prf(SKEYID_d, Kn-1 | [ g(qm)^xy | ] protocol | SPI | Ni_b | Nr_b)
    /// ```
    ///
    /// The encryption key comes first, then the authentication key (RFC 2407 §4.4.3 and §4.5).
    #[must_use]
    pub fn key_material(&self, input: &KeyMaterialInput<'_>, len: usize) -> Secret {
        let secret = input.g_xy.map_or(&[][..], SharedSecret::dangerous_bytes);
        let spi = input.spi.to_be_bytes();
        let next = |previous: &[u8]| {
            let parts = [previous, secret, &[input.protocol], &spi, input.nonce_i, input.nonce_r];
            self.prf.prf(self.skeyid_d.as_bytes(), &parts)
        };
        // Never reallocated, so no copy of the keys stays behind.
        let mut material = Vec::with_capacity(len.saturating_add(Digest::MAX_LEN));
        let mut block = next(&[]);
        material.extend_from_slice(block.as_bytes());
        // A prf without output would never get there.
        while material.len() < len && !block.as_bytes().is_empty() {
            block = next(block.as_bytes());
            material.extend_from_slice(block.as_bytes());
        }
        material.truncate(len);
        Secret::new(material)
    }
}
