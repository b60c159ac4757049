//! The seam to a cryptographic library.
//!
//! A [`Provider`] is a plain value, passed when an SA is made; it returns keyed algorithms, which
//! live in the SA with their key schedules, so that no packet pays for keying. That is the only
//! moment that allocates.
//!
//! A provider may do better than block by block: [`Cipher::decrypt`] sees a whole packet, whose
//! blocks are independent of each other, and [`seal_batch`](crate::seal_batch) and
//! [`open_batch`](crate::open_batch) are where packets of several SAs come together.

use alloc::boxed::Box;
use core::any::Any;
use core::fmt::{self, Debug};

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::transform::{Encryption, Integrity};

#[cfg(feature = "rustcrypto")]
mod rustcrypto;
#[cfg(feature = "rustcrypto")]
pub use rustcrypto::RustCrypto;

#[cfg(feature = "ring")]
mod ring;
#[cfg(feature = "ring")]
pub use ring::RingGcm;

#[cfg(feature = "null-crypto")]
mod null;
#[cfg(feature = "null-crypto")]
pub use null::{ChecksumProvider, NullProvider};

/// Makes keyed algorithms. Keys have the lengths that [`Encryption::key_len`] and
/// [`Integrity::key_len`] say.
pub trait Provider: Debug + Send + Sync {
    /// A cipher in CBC mode.
    ///
    /// # Errors
    ///
    /// The provider does not have it.
    fn cipher(&self, algorithm: Encryption, key: &[u8]) -> Result<Box<dyn Cipher>, Unsupported>;

    /// A truncated HMAC.
    ///
    /// # Errors
    ///
    /// The provider does not have it.
    fn mac(&self, algorithm: Integrity, key: &[u8]) -> Result<Box<dyn Mac>, Unsupported>;

    /// A cipher that authenticates.
    ///
    /// # Errors
    ///
    /// The provider does not have it.
    fn aead(&self, algorithm: Encryption, key: &[u8]) -> Result<Box<dyn Aead>, Unsupported>;
}

/// A keyed block cipher in CBC mode. It erases its key when it is dropped.
pub trait Cipher: Any + Send + Sync {
    /// Encrypts `blocks`, whole blocks, in place. `iv` is one block.
    ///
    /// # Errors
    ///
    /// The algorithm failed; the lengths are this crate's duty.
    fn encrypt(&self, iv: &[u8], blocks: &mut [u8]) -> Result<(), Fault>;

    /// Decrypts `blocks`, whole blocks, in place. `iv` is one block.
    ///
    /// # Errors
    ///
    /// The algorithm failed; the lengths are this crate's duty.
    fn decrypt(&self, iv: &[u8], blocks: &mut [u8]) -> Result<(), Fault>;

    /// Whether several packets beside each other are faster than one after the other, so that it is
    /// worth to wait for some.
    fn batches(&self) -> bool {
        false
    }

    /// Encrypts the first of `jobs`, which is one of its own, and beside it as many of the others as it can; each of those that it did has an
    /// outcome then. A cipher that [batches](Self::batches) finds its like among the others by
    /// [`CipherJob::cipher_as`].
    fn encrypt_beside(&self, jobs: &mut [CipherJob<'_>]) {
        if let Some(first) = jobs.first_mut() {
            first.encrypt();
        }
    }

    /// Decrypts as [`encrypt_beside`](Self::encrypt_beside) encrypts.
    fn decrypt_beside(&self, jobs: &mut [CipherJob<'_>]) {
        if let Some(first) = jobs.first_mut() {
            first.decrypt();
        }
    }
}

/// The blocks of one packet among others, to be encrypted or decrypted in place.
pub struct CipherJob<'a> {
    cipher: &'a dyn Cipher,
    iv: &'a [u8],
    blocks: &'a mut [u8],
    outcome: Option<Result<(), Fault>>,
}

impl<'a> CipherJob<'a> {
    /// As in [`Cipher::encrypt`] and [`Cipher::decrypt`].
    #[must_use]
    pub const fn new(cipher: &'a dyn Cipher, iv: &'a [u8], blocks: &'a mut [u8]) -> Self {
        Self { cipher, iv, blocks, outcome: None }
    }

    /// Its cipher.
    #[must_use]
    pub const fn cipher(&self) -> &'a dyn Cipher {
        self.cipher
    }

    /// Its cipher, if it is a `C`.
    #[must_use]
    pub fn cipher_as<C: Cipher>(&self) -> Option<&'a C> {
        let cipher: &dyn Any = self.cipher;
        cipher.downcast_ref()
    }

    /// What came of it; `None` while nothing did.
    #[must_use]
    pub const fn outcome(&self) -> Option<Result<(), Fault>> {
        self.outcome
    }

    /// The IV, the blocks, and where whoever does them says what came of it.
    pub const fn parts(&mut self) -> (&[u8], &mut [u8], &mut Option<Result<(), Fault>>) {
        (self.iv, self.blocks, &mut self.outcome)
    }

    /// Encrypts it by itself.
    pub fn encrypt(&mut self) {
        self.outcome = Some(self.cipher.encrypt(self.iv, self.blocks));
    }

    /// Decrypts it by itself.
    pub fn decrypt(&mut self) {
        self.outcome = Some(self.cipher.decrypt(self.iv, self.blocks));
    }
}

impl Debug for CipherJob<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CipherJob")
            .field("len", &self.blocks.len())
            .field("outcome", &self.outcome)
            .finish_non_exhaustive()
    }
}

/// A keyed HMAC, ready to be computed many times. It erases its key when it is dropped.
pub trait Mac: Send + Sync {
    /// Computes the HMAC over `parts`, one after the other, and fills `icv` with its first bytes.
    ///
    /// # Errors
    ///
    /// The algorithm failed, or `icv` is longer than its output.
    fn sign(&self, parts: [&[u8]; 2], icv: &mut [u8]) -> Result<(), Fault>;

    /// Whether `icv` is that over `parts`, in a time that does not depend on where it differs.
    ///
    /// # Errors
    ///
    /// As [`Mac::sign`].
    fn verify(&self, parts: [&[u8]; 2], icv: &[u8]) -> Result<bool, Fault> {
        let mut computed = Zeroizing::new([0; MAX_MAC_LEN]);
        let computed = computed.get_mut(..icv.len()).ok_or(Fault)?;
        self.sign(parts, computed)?;
        Ok(computed.ct_eq(icv).into())
    }
}

/// The longest output of a [`Mac`], in bytes.
const MAX_MAC_LEN: usize = 64;

/// A keyed cipher that authenticates, with a 12-byte nonce and a 16-byte ICV. It erases its key
/// when it is dropped, unless its provider says otherwise.
pub trait Aead: Send + Sync {
    /// Encrypts `data` in place and fills `icv`.
    ///
    /// # Errors
    ///
    /// The algorithm failed.
    fn seal(
        &self,
        nonce: &[u8; 12],
        aad: &[u8],
        data: &mut [u8],
        icv: &mut [u8; 16],
    ) -> Result<(), Fault>;

    /// Decrypts `data` in place if `icv` holds; returns whether it does, in a time that does not
    /// depend on where it differs. If it does not, what stands in `data` then is no plaintext.
    ///
    /// # Errors
    ///
    /// The algorithm failed.
    fn open(
        &self,
        nonce: &[u8; 12],
        aad: &[u8],
        data: &mut [u8],
        icv: &[u8; 16],
    ) -> Result<bool, Fault>;
}

/// A provider does not have an algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unsupported {
    /// An encryption algorithm, in the role asked for.
    #[error("the cryptographic provider has no {0:?}")]
    Encryption(Encryption),
    /// An integrity algorithm.
    #[error("the cryptographic provider has no {0:?}")]
    Integrity(Integrity),
}

/// An algorithm failed on data of the right length. Software does not; an accelerator may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cryptographic provider failed")]
pub struct Fault;
