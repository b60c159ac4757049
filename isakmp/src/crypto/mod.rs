//! The cryptography of IKEv1: a [`Provider`] of algorithms, and the derivations of RFC 2409 over it.
//!
//! Nothing here keeps state, reads randomness of its own accord or knows a message's layout: every
//! derivation is a function of slices. The protocol machines use it, and so can a dissector that has
//! been given a session's secrets.
//!
//! - [`Provider`]: which hashes, ciphers and groups there are, passed explicitly in the configuration.
//! - [`Exponent`], [`KeyPair`], [`SharedSecret`], [`Job`]: Diffie-Hellman, which can leave the loop.
//! - [`Skeyid`], [`SessionKeys`]: phase 1 keys, `HASH_I`, `HASH_R`, `HASH(1..3)`, KEYMAT.
//! - [`EncryptionKey`], [`Iv`]: CBC whose chain only moves when the caller keeps the next IV.

mod algorithm;
mod cbc_chain;
mod diffie_hellman;
mod job;
#[cfg(feature = "null-crypto")]
pub mod null;
mod phase1;
mod phase2;
mod provider;
#[cfg(feature = "rustcrypto")]
mod rustcrypto;
mod secret;

pub use algorithm::{EncryptionAlgorithm, Group, HashAlgorithm};
pub use cbc_chain::{CipherError, EncryptionKey, Iv};
pub use diffie_hellman::{
    DiffieHellman, DiffieHellmanError, Exponent, ExponentLength, KeyPair, SharedSecret,
};
pub use job::{Agreement, Job, JobId, JobResult};
pub use phase1::{Phase1Public, SessionKeys, Skeyid, nat_detection_hash};
pub use phase2::KeyMaterialInput;
pub use provider::{BlockCipher, HashFunction, Provider};
pub use secret::{Digest, Secret};
