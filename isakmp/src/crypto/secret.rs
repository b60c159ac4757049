//! Bytes that must not be printed, compared in variable time, or left behind in memory.

use alloc::vec::Vec;
use core::fmt;

use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// Derived key material of any length. Erased when dropped, never printed.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes over `bytes`.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no bytes at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The secret itself, for handing to a cipher, a kernel or a key log.
    #[must_use]
    pub fn dangerous_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// The output of a hash or prf, at most [`Digest::MAX_LEN`] bytes.
///
/// It may be a key as well as a value for the wire, so it is erased when dropped, its `Debug` shows
/// nothing, and equality takes the same time wherever the bytes differ.
#[derive(Clone)]
pub struct Digest {
    bytes: Zeroizing<[u8; Self::MAX_LEN]>,
    len: usize,
}

impl Digest {
    /// The longest output: SHA-512's.
    pub const MAX_LEN: usize = 64;

    /// A digest of these bytes; what is beyond [`Digest::MAX_LEN`] is cut off.
    #[must_use]
    pub fn new(output: &[u8]) -> Self {
        let mut bytes = Zeroizing::new([0; Self::MAX_LEN]);
        let mut len = 0;
        for (to, from) in bytes.iter_mut().zip(output) {
            *to = *from;
            len = usize::saturating_add(len, 1);
        }
        Self { bytes, len }
    }

    /// The bytes, to be put on the wire or fed to another derivation.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    /// Whether `received` is this very value; constant time for equal lengths.
    #[must_use]
    pub fn verify(&self, received: &[u8]) -> bool {
        self.as_bytes().ct_eq(received).into()
    }
}

impl PartialEq for Digest {
    fn eq(&self, other: &Self) -> bool {
        self.verify(other.as_bytes())
    }
}

impl Eq for Digest {}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(..)")
    }
}
