//! Encryption of ISAKMP messages, and the chain of initialization vectors (RFC 2409 appendix B).

use alloc::vec::Vec;
use core::fmt;

use super::{BlockCipher, HashFunction, Secret};

/// Why a cipher refused its input: some length is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CipherError {
    /// The data is empty or not a whole number of blocks.
    #[error("{have} bytes are not one or more whole blocks of {block}")]
    PartialBlock {
        /// Length of a block in bytes.
        block: usize,
        /// Length of the data in bytes.
        have: usize,
    },
    /// The key's length is not the cipher's.
    #[error("key of {have} bytes, {needed} needed")]
    KeyLength {
        /// What the cipher asks for, in bytes.
        needed: usize,
        /// The key's length in bytes.
        have: usize,
    },
    /// The IV is not one block long.
    #[error("IV of {have} bytes, {needed} needed")]
    IvLength {
        /// Length of a block in bytes.
        needed: usize,
        /// The IV's length in bytes.
        have: usize,
    },
}

/// An initialization vector: one block of a chain.
///
/// [`EncryptionKey::encrypt`] and [`EncryptionKey::decrypt`] return the *next* one and leave this
/// one as it was. Whoever keeps the next IV only after a message has been accepted cannot be put out
/// of step by a forged one.
#[derive(Clone, PartialEq, Eq)]
pub struct Iv {
    block: [u8; Self::MAX_LEN],
    len: usize,
}

impl Iv {
    const MAX_LEN: usize = 16;

    /// The IV of phase 1's first encrypted message: `hash(g^xi | g^xr)`, cut to a block
    /// (RFC 2409 appendix B). `g_xi` and `g_xr` are the bodies of the key exchange payloads.
    #[must_use]
    pub fn phase_1(
        hash: &dyn HashFunction,
        cipher: &dyn BlockCipher,
        g_xi: &[u8],
        g_xr: &[u8],
    ) -> Self {
        Self::first_block(hash.hash(&[g_xi, g_xr]).as_bytes(), cipher.block_len())
    }

    /// The IV of the first message of a quick mode or informational exchange:
    /// `hash(last phase 1 CBC output block | M-ID)`, cut to a block (RFC 2409 appendix B).
    #[must_use]
    pub fn phase_2(hash: &dyn HashFunction, last_of_phase_1: &Self, message_id: u32) -> Self {
        let digest = hash.hash(&[last_of_phase_1.as_bytes(), &message_id.to_be_bytes()]);
        Self::first_block(digest.as_bytes(), last_of_phase_1.len)
    }

    /// The bytes, one block of the cipher.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.block.get(..self.len).unwrap_or_default()
    }

    fn first_block(bytes: &[u8], block_len: usize) -> Self {
        let mut block = [0; Self::MAX_LEN];
        let mut len = 0_usize;
        for (to, from) in block.iter_mut().zip(bytes).take(block_len) {
            *to = *from;
            len = len.saturating_add(1);
        }
        Self { block, len }
    }

    /// The last block of a ciphertext, which is the next message's IV.
    fn last_block(ciphertext: &[u8], block_len: usize) -> Self {
        let start = ciphertext.len().saturating_sub(block_len);
        Self::first_block(ciphertext.get(start..).unwrap_or_default(), block_len)
    }
}

impl fmt::Debug for Iv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Iv(")?;
        for byte in self.as_bytes() {
            write!(f, "{byte:02x}")?;
        }
        f.write_str(")")
    }
}

/// The cipher of an ISAKMP SA with its key.
#[derive(Clone)]
pub struct EncryptionKey {
    cipher: &'static dyn BlockCipher,
    key: Secret,
}

impl EncryptionKey {
    /// The key for `cipher` from `SKEYID_e` (RFC 2409 appendix B): its first bytes if it is long
    /// enough, and otherwise those of `Ka = K1 | K2 | …` with `K1 = prf(SKEYID_e, 0)` (one zero
    /// byte) and `Kn = prf(SKEYID_e, Kn-1)`.
    pub(super) fn derive(
        prf: &dyn HashFunction,
        skeyid_e: &[u8],
        cipher: &'static dyn BlockCipher,
    ) -> Self {
        let needed = cipher.key_len();
        let mut key = Vec::with_capacity(needed.saturating_add(super::Digest::MAX_LEN));
        if skeyid_e.len() >= needed {
            key.extend_from_slice(skeyid_e);
        } else {
            let mut block = prf.prf(skeyid_e, &[&[0]]);
            key.extend_from_slice(block.as_bytes());
            // A prf without output would never get there.
            while key.len() < needed && !block.as_bytes().is_empty() {
                block = prf.prf(skeyid_e, &[block.as_bytes()]);
                key.extend_from_slice(block.as_bytes());
            }
        }
        key.truncate(needed);
        Self { cipher, key: Secret::new(key) }
    }

    /// The cipher.
    #[must_use]
    pub fn cipher(&self) -> &'static dyn BlockCipher {
        self.cipher
    }

    /// The key, as Wireshark's `ikev1_decryption_table` wants it beside the initiator's cookie.
    #[must_use]
    pub fn dangerous_key(&self) -> &[u8] {
        self.key.dangerous_bytes()
    }

    /// The least multiple of the block length that holds `len` bytes.
    #[must_use]
    pub fn padded_len(&self, len: usize) -> usize {
        len.checked_next_multiple_of(self.cipher.block_len()).unwrap_or(usize::MAX)
    }

    /// Encrypts a message's body (everything after the header) in place and returns the next IV.
    ///
    /// # Errors
    /// [`CipherError`] for a body that is not whole blocks; it is then unchanged.
    pub fn encrypt(&self, iv: &Iv, body: &mut [u8]) -> Result<Iv, CipherError> {
        self.cipher.encrypt(self.key.dangerous_bytes(), iv.as_bytes(), body)?;
        Ok(Iv::last_block(body, self.cipher.block_len()))
    }

    /// Decrypts a message's body in place and returns the next IV, to be kept once the message has
    /// been accepted.
    ///
    /// # Errors
    /// [`CipherError`] for a body that is not whole blocks; it is then unchanged.
    pub fn decrypt(&self, iv: &Iv, body: &mut [u8]) -> Result<Iv, CipherError> {
        let next = Iv::last_block(body, self.cipher.block_len());
        self.cipher.decrypt(self.key.dangerous_bytes(), iv.as_bytes(), body)?;
        Ok(next)
    }
}

impl fmt::Debug for EncryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EncryptionKey").field("cipher", &self.cipher).finish_non_exhaustive()
    }
}
