//! The table of algorithms an endpoint may use.

use core::fmt::Debug;

use super::{CipherError, DiffieHellman, Digest, EncryptionAlgorithm, Group, HashAlgorithm};

/// The algorithms available to an endpoint: a plain value that goes into its configuration.
///
/// There is no process-wide default and no feature changes behaviour: whoever builds a configuration
/// passes a provider, usually `Provider::rustcrypto()`. To use other implementations (a FIPS module,
/// an accelerator), implement the three traits and list them here.
#[derive(Clone, Copy, Debug)]
pub struct Provider {
    /// The hashes, each with its HMAC.
    pub hashes: &'static [&'static dyn HashFunction],
    /// The ciphers of phase 1, one entry for each key length.
    pub ciphers: &'static [&'static dyn BlockCipher],
    /// The Diffie-Hellman groups.
    pub groups: &'static [&'static dyn DiffieHellman],
}

impl Provider {
    /// The provider made of RustCrypto's crates: MD5, SHA-1 and SHA-2; 3DES and AES in CBC; groups
    /// 1, 2, 5, 14, 15 and 16, and with the feature `ecp` 19 and 20.
    #[cfg(feature = "rustcrypto")]
    #[must_use]
    pub const fn rustcrypto() -> Self {
        super::rustcrypto::PROVIDER
    }

    /// The hash, if this provider has it.
    #[must_use]
    pub fn hash(&self, algorithm: HashAlgorithm) -> Option<&'static dyn HashFunction> {
        self.hashes.iter().copied().find(|hash| hash.algorithm() == algorithm)
    }

    /// The cipher with keys of `key_len` **bytes**; `None` for the length stands for the only length
    /// there is, as 3DES has no key length attribute (and must not have: RFC 2409 appendix A).
    #[must_use]
    pub fn cipher(
        &self,
        algorithm: EncryptionAlgorithm,
        key_len: Option<usize>,
    ) -> Option<&'static dyn BlockCipher> {
        let mut found = self.ciphers.iter().copied().filter(|cipher| {
            cipher.algorithm() == algorithm && key_len.is_none_or(|len| len == cipher.key_len())
        });
        let first = found.next()?;
        // Without a length, several candidates are no answer.
        found.next().is_none().then_some(first)
    }

    /// The group, if this provider has it.
    #[must_use]
    pub fn group(&self, group: Group) -> Option<&'static dyn DiffieHellman> {
        self.groups.iter().copied().find(|candidate| candidate.group() == group)
    }
}

/// A hash and its HMAC, which is the prf of an exchange that negotiated it (RFC 2409 §4).
pub trait HashFunction: Debug + Send + Sync {
    /// The code point it is negotiated by.
    fn algorithm(&self) -> HashAlgorithm;

    /// Length of the output in bytes, the same for hash and prf.
    fn output_len(&self) -> usize;

    /// The hash of the concatenated parts.
    fn hash(&self, parts: &[&[u8]]) -> Digest;

    /// `prf(key, parts | …)`: the HMAC (RFC 2104) of the concatenated parts. Keys of any length.
    fn prf(&self, key: &[u8], parts: &[&[u8]]) -> Digest;
}

/// A block cipher in CBC mode with one key length.
pub trait BlockCipher: Debug + Send + Sync {
    /// The code point it is negotiated by.
    fn algorithm(&self) -> EncryptionAlgorithm;

    /// Length of the key in bytes.
    fn key_len(&self) -> usize;

    /// Length of a block, and so of the IV, in bytes; at most 16.
    fn block_len(&self) -> usize;

    /// Encrypts `data` in place.
    ///
    /// # Errors
    /// [`CipherError`] if the length of key, IV or data does not fit; `data` is then unchanged.
    fn encrypt(&self, key: &[u8], iv: &[u8], data: &mut [u8]) -> Result<(), CipherError>;

    /// Decrypts `data` in place.
    ///
    /// # Errors
    /// As for [`BlockCipher::encrypt`].
    fn decrypt(&self, key: &[u8], iv: &[u8], data: &mut [u8]) -> Result<(), CipherError>;
}
