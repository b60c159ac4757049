//! Providers without any security, for fuzzing and simulation only (feature `null-crypto`).
//!
//! Both know every algorithm by name and length, so that any configuration can be used with them,
//! encrypt nothing, and agree on secrets that anybody can read off the wire.
//!
//! - [`PROVIDER`]: the prf of everything is zero. A fuzzer's messages get past `HASH_I`, `HASH_R` and
//!   `HASH(1..3)` with a body of zeros.
//! - [`CHECKSUM_PROVIDER`]: the prf is a checksum over key and data. What a simulated underlay
//!   damages is noticed, and so is a wrong key, at a hundredth of the price.

use alloc::vec::Vec;

use bytes::Bytes;

use super::{
    BlockCipher, CipherError, DiffieHellman, DiffieHellmanError, Digest, EncryptionAlgorithm,
    Exponent, ExponentLength, Group, HashAlgorithm, HashFunction, Provider, SharedSecret,
};

/// Encrypts nothing and accepts zeros as anybody's hash.
pub const PROVIDER: Provider = Provider {
    hashes: &[
        &NullHash { algorithm: HashAlgorithm::MD5, len: 16, keyed: false },
        &NullHash { algorithm: HashAlgorithm::SHA1, len: 20, keyed: false },
        &NullHash { algorithm: HashAlgorithm::SHA2_256, len: 32, keyed: false },
        &NullHash { algorithm: HashAlgorithm::SHA2_384, len: 48, keyed: false },
        &NullHash { algorithm: HashAlgorithm::SHA2_512, len: 64, keyed: false },
    ],
    ciphers: CIPHERS,
    groups: GROUPS,
};

/// Encrypts nothing; hashes are checksums that depend on the key.
pub const CHECKSUM_PROVIDER: Provider = Provider {
    hashes: &[
        &NullHash { algorithm: HashAlgorithm::MD5, len: 16, keyed: true },
        &NullHash { algorithm: HashAlgorithm::SHA1, len: 20, keyed: true },
        &NullHash { algorithm: HashAlgorithm::SHA2_256, len: 32, keyed: true },
        &NullHash { algorithm: HashAlgorithm::SHA2_384, len: 48, keyed: true },
        &NullHash { algorithm: HashAlgorithm::SHA2_512, len: 64, keyed: true },
    ],
    ciphers: CIPHERS,
    groups: GROUPS,
};

const CIPHERS: &[&dyn BlockCipher] = &[
    &NullCipher { algorithm: EncryptionAlgorithm::TRIPLE_DES_CBC, key: 24, block: 8 },
    &NullCipher { algorithm: EncryptionAlgorithm::AES_CBC, key: 16, block: 16 },
    &NullCipher { algorithm: EncryptionAlgorithm::AES_CBC, key: 24, block: 16 },
    &NullCipher { algorithm: EncryptionAlgorithm::AES_CBC, key: 32, block: 16 },
];

const GROUPS: &[&dyn DiffieHellman] = &[
    &NullGroup { group: Group::MODP_768, len: 96 },
    &NullGroup { group: Group::MODP_1024, len: 128 },
    &NullGroup { group: Group::MODP_1536, len: 192 },
    &NullGroup { group: Group::MODP_2048, len: 256 },
    &NullGroup { group: Group::MODP_3072, len: 384 },
    &NullGroup { group: Group::MODP_4096, len: 512 },
    &NullGroup { group: Group::ECP_256, len: 64 },
    &NullGroup { group: Group::ECP_384, len: 96 },
];

/// FNV-1a: one changed octet always changes it.
fn checksum(parts: &[&[u8]]) -> u64 {
    more(0xcbf2_9ce4_8422_2325, parts)
}

fn more(sum: u64, parts: &[&[u8]]) -> u64 {
    parts
        .iter()
        .copied()
        .flatten()
        .fold(sum, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

/// As many octets as asked for, all of which depend on all of `sum`.
fn spread(sum: u64, len: usize) -> impl Iterator<Item = u8> {
    let word = move |index: u64| {
        let sum = sum.wrapping_add(index).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (sum ^ (sum >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9)
    };
    (0..).map(word).flat_map(u64::to_be_bytes).take(len)
}

#[derive(Debug)]
struct NullHash {
    algorithm: HashAlgorithm,
    len: usize,
    /// Whether the prf depends on anything.
    keyed: bool,
}

impl HashFunction for NullHash {
    fn algorithm(&self) -> HashAlgorithm {
        self.algorithm
    }

    fn output_len(&self) -> usize {
        self.len
    }

    /// Never constant: else no NAT would ever be detected (RFC 3947 §3.2).
    fn hash(&self, parts: &[&[u8]]) -> Digest {
        let octets: Vec<u8> = spread(checksum(parts), self.len).collect();
        Digest::new(&octets)
    }

    fn prf(&self, key: &[u8], parts: &[&[u8]]) -> Digest {
        if !self.keyed {
            let zeros = [0; Digest::MAX_LEN];
            return Digest::new(zeros.get(..self.len).unwrap_or_default());
        }
        let sum = more(checksum(&[key]), parts);
        let octets: Vec<u8> = spread(sum, self.len).collect();
        Digest::new(&octets)
    }
}

#[derive(Debug)]
struct NullCipher {
    algorithm: EncryptionAlgorithm,
    key: usize,
    block: usize,
}

impl NullCipher {
    fn check(&self, data: &[u8]) -> Result<(), CipherError> {
        if data.is_empty() || !data.len().is_multiple_of(self.block) {
            return Err(CipherError::PartialBlock { block: self.block, have: data.len() });
        }
        Ok(())
    }
}

impl BlockCipher for NullCipher {
    fn algorithm(&self) -> EncryptionAlgorithm {
        self.algorithm
    }

    fn key_len(&self) -> usize {
        self.key
    }

    fn block_len(&self) -> usize {
        self.block
    }

    fn encrypt(&self, _: &[u8], _: &[u8], data: &mut [u8]) -> Result<(), CipherError> {
        self.check(data)
    }

    fn decrypt(&self, _: &[u8], _: &[u8], data: &mut [u8]) -> Result<(), CipherError> {
        self.check(data)
    }
}

#[derive(Debug)]
struct NullGroup {
    group: Group,
    len: usize,
}

impl DiffieHellman for NullGroup {
    fn group(&self) -> Group {
        self.group
    }

    fn public_value_len(&self) -> usize {
        self.len
    }

    fn exponent_len(&self, _: ExponentLength) -> usize {
        32
    }

    fn public_value(&self, exponent: &Exponent) -> Result<Bytes, DiffieHellmanError> {
        Ok(spread(checksum(&[exponent.dangerous_bytes()]), self.len).collect())
    }

    fn check_public_value(&self, peer: &[u8]) -> Result<(), DiffieHellmanError> {
        let group = self.group;
        if peer.len() != self.len {
            return Err(DiffieHellmanError::Length { group, needed: self.len, have: peer.len() });
        }
        if peer.iter().all(|byte| *byte == 0) {
            return Err(DiffieHellmanError::Range { group });
        }
        Ok(())
    }

    /// Both public values, one laid over the other: the same at both ends.
    fn shared_secret(
        &self,
        exponent: &Exponent,
        peer: &[u8],
    ) -> Result<SharedSecret, DiffieHellmanError> {
        self.check_public_value(peer)?;
        let own = self.public_value(exponent)?;
        Ok(SharedSecret::new(own.iter().zip(peer).map(|(own, peer)| own ^ peer).collect()))
    }
}
