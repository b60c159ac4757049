//! Diffie-Hellman values: the exponent, the two public values, the shared secret.

use alloc::{vec, vec::Vec};
use core::fmt;

use bytes::Bytes;
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::Group;

/// One Diffie-Hellman group.
pub trait DiffieHellman: fmt::Debug + Send + Sync {
    /// The group's number.
    fn group(&self) -> Group;

    /// Length of a public value (the key exchange payload's body) in bytes: that of the prime, with
    /// leading zeros (RFC 2409 §5), or of x | y on a curve (RFC 5903 §7).
    fn public_value_len(&self) -> usize;

    /// Length of an exponent in bytes; see [`Exponent::draw`].
    fn exponent_len(&self, length: ExponentLength) -> usize;

    /// g^x.
    ///
    /// # Errors
    /// [`DiffieHellmanError::Exponent`] for one that is not of this group.
    fn public_value(&self, exponent: &Exponent) -> Result<Bytes, DiffieHellmanError>;

    /// Whether a peer's public value may be used; cheap, so that it can be asked before anything is
    /// changed on the word of a message that is not authenticated.
    ///
    /// # Errors
    /// Every value a peer can send to make the secret guessable: [`DiffieHellmanError::Length`],
    /// [`DiffieHellmanError::Range`] (0, 1, p-1, and p or more), [`DiffieHellmanError::NotOnCurve`].
    fn check_public_value(&self, peer: &[u8]) -> Result<(), DiffieHellmanError>;

    /// g^xy: the peer's public value raised to our exponent, padded on the left to the length of the
    /// prime, or the x coordinate alone on a curve (RFC 5903 §7).
    ///
    /// # Errors
    /// As [`DiffieHellman::check_public_value`] and [`DiffieHellman::public_value`].
    fn shared_secret(
        &self,
        exponent: &Exponent,
        peer: &[u8],
    ) -> Result<SharedSecret, DiffieHellmanError>;
}

/// Why an exponentiation was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DiffieHellmanError {
    /// The peer's key exchange payload has the wrong size for the group.
    #[error("peer's public value has {have} bytes, {group} needs {needed}")]
    Length {
        /// The negotiated group.
        group: Group,
        /// What the group asks for, in bytes.
        needed: usize,
        /// What the peer sent, in bytes.
        have: usize,
    },
    /// The peer's value is 0, 1, p-1, or not below p: the secret would be known to anyone.
    #[error("peer's public value is outside 2..=p-2 of {group}")]
    Range {
        /// The negotiated group.
        group: Group,
    },
    /// The peer's value is no point of the curve.
    #[error("peer's public value is not on the curve of {group}")]
    NotOnCurve {
        /// The negotiated group.
        group: Group,
    },
    /// Our exponent was drawn for another group, or is a multiple of the curve's order.
    #[error("exponent of {have} bytes is not usable in {group}")]
    Exponent {
        /// The group it was used in.
        group: Group,
        /// The exponent's length in bytes.
        have: usize,
    },
}

/// How long exponents are in the MODP groups. Curves always use their order's length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExponentLength {
    /// At least twice the group's estimated strength (RFC 3526 §8, the larger estimate, rounded up
    /// to whole 64-bit words): 256 bits for groups 1, 2 and 5, 320 for 14, 448 for 15, 512 for 16.
    /// Sound because these are safe primes: no small subgroup tells anything about the exponent.
    #[default]
    Short,
    /// As long as the prime. Three to eight times slower, no stronger by any known attack.
    Full,
}

/// A private exponent, drawn before any computation so that a [`Job`](super::Job) draws nothing.
pub struct Exponent(Zeroizing<Vec<u8>>);

impl Exponent {
    /// Draws an exponent with **one** call of `fill_bytes` of exactly
    /// [`DiffieHellman::exponent_len`] bytes, read big-endian and used as they are: no bit is forced,
    /// so a recorded exponent can be played back through the generator.
    ///
    /// On a curve, eight bytes more than the order's length are drawn and reduced modulo the order
    /// (FIPS 186-5 §A.2.1), which no generator can make loop; to play back a scalar, precede it
    /// by eight zero bytes.
    pub fn draw(
        group: &dyn DiffieHellman,
        length: ExponentLength,
        rng: &mut dyn CryptoRng,
    ) -> Self {
        let mut bytes = Zeroizing::new(vec![0; group.exponent_len(length)]);
        rng.fill_bytes(&mut bytes);
        Self(bytes)
    }

    /// The exponent, big-endian, for an implementation of [`DiffieHellman`].
    #[must_use]
    pub fn dangerous_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Exponent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Exponent(..)")
    }
}

/// Our exponent and the public value that belongs to it.
#[derive(Debug)]
pub struct KeyPair {
    exponent: Exponent,
    public: Bytes,
}

impl KeyPair {
    /// Computes the public value.
    ///
    /// # Errors
    /// [`DiffieHellmanError::Exponent`] if the exponent is not one of this group.
    pub fn new(group: &dyn DiffieHellman, exponent: Exponent) -> Result<Self, DiffieHellmanError> {
        let public = group.public_value(&exponent)?;
        Ok(Self { exponent, public })
    }

    /// The exponent.
    #[must_use]
    pub fn exponent(&self) -> &Exponent {
        &self.exponent
    }

    /// The body of our key exchange payload.
    #[must_use]
    pub fn public(&self) -> &Bytes {
        &self.public
    }
}

/// g^xy, padded to the group's length.
pub struct SharedSecret(Zeroizing<Vec<u8>>);

impl SharedSecret {
    /// Takes over the result of an exponentiation (for an implementation of [`DiffieHellman`], or a
    /// dissector that was given the secret).
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The secret, as it enters the derivations.
    #[must_use]
    pub fn dangerous_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SharedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedSecret(..)")
    }
}
