//! A provider without any security, for fuzzing only: every hash is zero,
//! ciphers change nothing. It exists so that a fuzzer's messages get past the hashes.

use alloc::vec;

use bytes::Bytes;

use super::{
    BlockCipher, CipherError, DiffieHellman, DiffieHellmanError, Digest, EncryptionAlgorithm,
    Exponent, ExponentLength, Group, HashAlgorithm, HashFunction, Provider, SharedSecret,
};

/// The provider.
pub const PROVIDER: Provider =
    Provider { hashes: &[&NullHash], ciphers: &[&NullCipher], groups: &[&NullGroup] };

#[derive(Debug)]
struct NullHash;

impl HashFunction for NullHash {
    fn algorithm(&self) -> HashAlgorithm {
        HashAlgorithm::SHA1
    }

    fn output_len(&self) -> usize {
        20
    }

    fn hash(&self, _: &[&[u8]]) -> Digest {
        Digest::new(&[0; 20])
    }

    fn prf(&self, _: &[u8], _: &[&[u8]]) -> Digest {
        Digest::new(&[0; 20])
    }
}

#[derive(Debug)]
struct NullCipher;

impl NullCipher {
    fn check(data: &[u8]) -> Result<(), CipherError> {
        if data.is_empty() || !data.len().is_multiple_of(8) {
            return Err(CipherError::PartialBlock { block: 8, have: data.len() });
        }
        Ok(())
    }
}

impl BlockCipher for NullCipher {
    fn algorithm(&self) -> EncryptionAlgorithm {
        EncryptionAlgorithm::TRIPLE_DES_CBC
    }

    fn key_len(&self) -> usize {
        24
    }

    fn block_len(&self) -> usize {
        8
    }

    fn encrypt(&self, _: &[u8], _: &[u8], data: &mut [u8]) -> Result<(), CipherError> {
        Self::check(data)
    }

    fn decrypt(&self, _: &[u8], _: &[u8], data: &mut [u8]) -> Result<(), CipherError> {
        Self::check(data)
    }
}

#[derive(Debug)]
struct NullGroup;

impl DiffieHellman for NullGroup {
    fn group(&self) -> Group {
        Group::MODP_768
    }

    fn public_value_len(&self) -> usize {
        96
    }

    fn exponent_len(&self, _: ExponentLength) -> usize {
        32
    }

    fn public_value(&self, _: &Exponent) -> Result<Bytes, DiffieHellmanError> {
        Ok(Bytes::from_static(&[2; 96]))
    }

    fn check_public_value(&self, peer: &[u8]) -> Result<(), DiffieHellmanError> {
        if peer.len() != 96 {
            let group = Group::MODP_768;
            return Err(DiffieHellmanError::Length { group, needed: 96, have: peer.len() });
        }
        Ok(())
    }

    fn shared_secret(&self, _: &Exponent, peer: &[u8]) -> Result<SharedSecret, DiffieHellmanError> {
        self.check_public_value(peer)?;
        Ok(SharedSecret::new(vec![0; 96]))
    }
}
