//! Cryptography that keeps nothing secret, and costs nothing.
//!
//! It behaves as the real one does in all that a simulation can see: what was damaged is noticed,
//! other keys give other results, a peer with another pre-shared key does not get in, and what went
//! through a cipher no longer shows. But anybody can undo it. It lives here, in the crate that no
//! router links, and is never to be used for packets of anybody's.

use std::sync::LazyLock;

use bytes::Bytes;
use dmvpn_core::esp;
use dmvpn_core::isakmp::crypto::{
    BlockCipher, CipherError, DiffieHellman, DiffieHellmanError, Digest, EncryptionAlgorithm,
    Exponent, ExponentLength, Group, HashAlgorithm, HashFunction, Provider, SharedSecret,
};

use crate::dice::scramble;

/// 3DES, SHA-1 and group 1 in name.
pub const ISAKMP: Provider =
    Provider { hashes: &[&NullHash], ciphers: &[&NullCipher], groups: &[&NullGroup] };

/// ESP's algorithms in name.
#[derive(Clone, Copy, Debug, Default)]
pub struct NullEsp;

/// FNV-1a, which sees one stream however it is cut into parts.
#[derive(Clone, Copy)]
struct Checksum(u64);

impl Checksum {
    const START: Self = Self(0xcbf2_9ce4_8422_2325);

    fn over(self, bytes: &[u8]) -> Self {
        let step =
            |state: u64, byte: &u8| (state ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        Self(bytes.iter().fold(self.0, step))
    }

    fn fill(self, output: &mut [u8]) {
        let mut word = self.0;
        for chunk in output.chunks_mut(8) {
            word = scramble(word.wrapping_add(0x9e37_79b9_7f4a_7c15));
            for (to, from) in chunk.iter_mut().zip(word.to_be_bytes()) {
                *to = from;
            }
        }
    }
}

/// Adds a pad that depends on key and IV; twice is not at all.
fn pad(key: u64, iv: &[u8], data: &mut [u8]) {
    // No octet of it is zero, so that nothing shows.
    let pad = scramble(Checksum(key).over(iv).0) | 0x0101_0101_0101_0101;
    for chunk in data.chunks_mut(8) {
        for (octet, pad) in chunk.iter_mut().zip(pad.to_be_bytes()) {
            *octet ^= pad;
        }
    }
}

#[derive(Debug)]
struct NullHash;

impl HashFunction for NullHash {
    fn algorithm(&self) -> HashAlgorithm {
        HashAlgorithm::SHA1
    }

    fn output_len(&self) -> usize {
        20
    }

    fn hash(&self, parts: &[&[u8]]) -> Digest {
        self.prf(&[], parts)
    }

    fn prf(&self, key: &[u8], parts: &[&[u8]]) -> Digest {
        let keyed = Checksum(scramble(Checksum::START.over(key).0));
        let sum = parts.iter().fold(keyed, |sum, part| sum.over(part));
        let mut output = [0; 20];
        sum.fill(&mut output);
        Digest::new(&output)
    }
}

#[derive(Debug)]
struct NullCipher;

impl NullCipher {
    fn apply(key: &[u8], iv: &[u8], data: &mut [u8]) -> Result<(), CipherError> {
        if data.is_empty() || !data.len().is_multiple_of(8) {
            return Err(CipherError::PartialBlock { block: 8, have: data.len() });
        }
        pad(Checksum::START.over(key).0, iv, data);
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

    fn encrypt(&self, key: &[u8], iv: &[u8], data: &mut [u8]) -> Result<(), CipherError> {
        Self::apply(key, iv, data)
    }

    fn decrypt(&self, key: &[u8], iv: &[u8], data: &mut [u8]) -> Result<(), CipherError> {
        Self::apply(key, iv, data)
    }
}

/// Diffie-Hellman modulo 2^61 - 1, in the clothes of group 1.
#[derive(Debug)]
struct NullGroup;

/// Length of group 1's values, in octets.
const VALUE_LEN: usize = 96;
const PRIME: u64 = (1 << 61) - 1;
const GENERATOR: u64 = 37;

fn power(base: u64, mut exponent: u64) -> u64 {
    let times = |a: u64, b: u64| {
        let product = u128::from(a).wrapping_mul(u128::from(b)) % u128::from(PRIME);
        u64::try_from(product).unwrap_or(0)
    };
    let (mut result, mut square) = (1, base);
    while exponent > 0 {
        if exponent & 1 == 1 {
            result = times(result, square);
        }
        square = times(square, square);
        exponent >>= 1;
    }
    result
}

impl NullGroup {
    fn exponent(exponent: &Exponent) -> u64 {
        let mut word = [0; 8];
        for (to, from) in word.iter_mut().zip(exponent.dangerous_bytes()) {
            *to = *from;
        }
        u64::from_be_bytes(word)
    }

    fn value(word: u64) -> Vec<u8> {
        let mut value = vec![0; VALUE_LEN - 8];
        value.extend_from_slice(&word.to_be_bytes());
        value
    }

    fn parse(peer: &[u8]) -> Result<u64, DiffieHellmanError> {
        let group = Group::MODP_768;
        let have = peer.len();
        let wrong_length = DiffieHellmanError::Length { group, needed: VALUE_LEN, have };
        let (zeros, word) = peer.split_last_chunk::<8>().ok_or(wrong_length)?;
        if have != VALUE_LEN {
            return Err(wrong_length);
        }
        let word = u64::from_be_bytes(*word);
        let sound = zeros.iter().all(|octet| *octet == 0) && (2..PRIME - 1).contains(&word);
        sound.then_some(word).ok_or(DiffieHellmanError::Range { group })
    }
}

impl DiffieHellman for NullGroup {
    fn group(&self) -> Group {
        Group::MODP_768
    }

    fn public_value_len(&self) -> usize {
        VALUE_LEN
    }

    fn exponent_len(&self, _: ExponentLength) -> usize {
        8
    }

    fn public_value(&self, exponent: &Exponent) -> Result<Bytes, DiffieHellmanError> {
        Ok(Self::value(power(GENERATOR, Self::exponent(exponent))).into())
    }

    fn check_public_value(&self, peer: &[u8]) -> Result<(), DiffieHellmanError> {
        Self::parse(peer).map(|_| ())
    }

    fn shared_secret(
        &self,
        exponent: &Exponent,
        peer: &[u8],
    ) -> Result<SharedSecret, DiffieHellmanError> {
        let peer = Self::parse(peer)?;
        Ok(SharedSecret::new(Self::value(power(peer, Self::exponent(exponent)))))
    }
}

#[derive(Debug)]
struct Keyed(u64);

impl esp::crypto::Provider for NullEsp {
    fn cipher(
        &self,
        _: esp::Encryption,
        key: &[u8],
    ) -> Result<Box<dyn esp::crypto::Cipher>, esp::crypto::Unsupported> {
        Ok(Box::new(Keyed(Checksum::START.over(key).0)))
    }

    fn mac(
        &self,
        _: esp::Integrity,
        key: &[u8],
    ) -> Result<Box<dyn esp::crypto::Mac>, esp::crypto::Unsupported> {
        Ok(Box::new(Keyed(Checksum::START.over(key).0)))
    }

    fn aead(
        &self,
        algorithm: esp::Encryption,
        _: &[u8],
    ) -> Result<Box<dyn esp::crypto::Aead>, esp::crypto::Unsupported> {
        Err(esp::crypto::Unsupported::Encryption(algorithm))
    }
}

impl esp::crypto::Cipher for Keyed {
    fn encrypt(&self, iv: &[u8], blocks: &mut [u8]) -> Result<(), esp::crypto::Fault> {
        pad(self.0, iv, blocks);
        Ok(())
    }

    fn decrypt(&self, iv: &[u8], blocks: &mut [u8]) -> Result<(), esp::crypto::Fault> {
        pad(self.0, iv, blocks);
        Ok(())
    }
}

impl esp::crypto::Mac for Keyed {
    fn sign(&self, parts: [&[u8]; 2], icv: &mut [u8]) -> Result<(), esp::crypto::Fault> {
        let [first, second] = parts;
        Checksum(scramble(self.0)).over(first).over(second).fill(icv);
        Ok(())
    }
}

/// The provider of ESP's algorithms, shared.
pub(crate) static ESP: LazyLock<alloc::sync::Arc<NullEsp>> =
    LazyLock::new(|| alloc::sync::Arc::new(NullEsp));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_sees_one_stream_and_every_bit_of_it() {
        let whole = NullHash.prf(b"key", &[b"abcdef"]);
        assert_eq!(NullHash.prf(b"key", &[b"abc", b"", b"def"]).as_bytes(), whole.as_bytes());
        assert_ne!(NullHash.prf(b"yek", &[b"abcdef"]).as_bytes(), whole.as_bytes());
        for bit in 0..48 {
            let mut changed = *b"abcdef";
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(NullHash.prf(b"key", &[&changed]).as_bytes(), whole.as_bytes());
        }
    }

    #[test]
    fn both_sides_agree_on_a_secret() {
        let (a, b) = (0x0123_4567_89ab_cdef, 0x0fed_cba9_8765_4321);
        assert_eq!(power(power(GENERATOR, a), b), power(power(GENERATOR, b), a));
        assert!(NullGroup::parse(&NullGroup::value(power(GENERATOR, a))).is_ok());
        for bad in [0, 1, PRIME - 1, PRIME] {
            assert!(NullGroup::parse(&NullGroup::value(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_cipher_hides_and_is_undone() {
        let plain = *b"in the clear....";
        let mut data = plain;
        pad(7, &[1; 8], &mut data);
        assert!(plain.iter().zip(&data).all(|(plain, hidden)| plain != hidden));
        pad(7, &[1; 8], &mut data);
        assert_eq!(data, plain);
    }
}
