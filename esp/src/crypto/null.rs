//! Providers that protect nothing, for fuzzing and simulation only (feature `null-crypto`).

use alloc::boxed::Box;

use super::{Aead, Cipher, Fault, Mac, Provider, Unsupported};
use crate::transform::{Encryption, Integrity};

/// Encrypts nothing and accepts any ICV, so that a fuzzer's packets get past it.
#[derive(Clone, Copy, Debug, Default)]
pub struct NullProvider;

/// Encrypts nothing; the ICV is a checksum over key and packet. What a simulated underlay damages
/// is noticed, and so is a wrong key, at a hundredth of the price.
#[derive(Clone, Copy, Debug, Default)]
pub struct ChecksumProvider;

impl Provider for NullProvider {
    fn cipher(&self, _algorithm: Encryption, _key: &[u8]) -> Result<Box<dyn Cipher>, Unsupported> {
        Ok(Box::new(NullCipher))
    }

    fn mac(&self, _algorithm: Integrity, _key: &[u8]) -> Result<Box<dyn Mac>, Unsupported> {
        Ok(Box::new(NullIcv))
    }

    fn aead(&self, _algorithm: Encryption, _key: &[u8]) -> Result<Box<dyn Aead>, Unsupported> {
        Ok(Box::new(NullIcv))
    }
}

impl Provider for ChecksumProvider {
    fn cipher(&self, _algorithm: Encryption, _key: &[u8]) -> Result<Box<dyn Cipher>, Unsupported> {
        Ok(Box::new(NullCipher))
    }

    fn mac(&self, _algorithm: Integrity, key: &[u8]) -> Result<Box<dyn Mac>, Unsupported> {
        Ok(Box::new(Checksum { key: checksum(EMPTY, key) }))
    }

    fn aead(&self, _algorithm: Encryption, key: &[u8]) -> Result<Box<dyn Aead>, Unsupported> {
        Ok(Box::new(Checksum { key: checksum(EMPTY, key) }))
    }
}

struct NullCipher;

impl Cipher for NullCipher {
    fn encrypt(&self, _iv: &[u8], _blocks: &mut [u8]) -> Result<(), Fault> {
        Ok(())
    }

    fn decrypt(&self, _iv: &[u8], _blocks: &mut [u8]) -> Result<(), Fault> {
        Ok(())
    }
}

/// Zeros; anything is right.
struct NullIcv;

impl Mac for NullIcv {
    fn sign(&self, _parts: [&[u8]; 2], icv: &mut [u8]) -> Result<(), Fault> {
        icv.fill(0);
        Ok(())
    }

    fn verify(&self, _parts: [&[u8]; 2], _icv: &[u8]) -> Result<bool, Fault> {
        Ok(true)
    }
}

impl Aead for NullIcv {
    fn seal(
        &self,
        _nonce: &[u8; 12],
        _aad: &[u8],
        _data: &mut [u8],
        icv: &mut [u8; 16],
    ) -> Result<(), Fault> {
        *icv = [0; 16];
        Ok(())
    }

    fn open(
        &self,
        _nonce: &[u8; 12],
        _aad: &[u8],
        _data: &mut [u8],
        _icv: &[u8; 16],
    ) -> Result<bool, Fault> {
        Ok(true)
    }
}

/// FNV-1a: one changed octet always changes it.
const EMPTY: u64 = 0xcbf2_9ce4_8422_2325;

fn checksum(sum: u64, data: &[u8]) -> u64 {
    data.iter().fold(sum, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

struct Checksum {
    /// Of the key.
    key: u64,
}

impl Checksum {
    fn icv(&self, parts: &[&[u8]], icv: &mut [u8]) {
        let sum = parts.iter().copied().fold(self.key, checksum);
        for (to, from) in icv.iter_mut().zip(sum.to_be_bytes().into_iter().cycle()) {
            *to = from;
        }
    }
}

impl Mac for Checksum {
    fn sign(&self, parts: [&[u8]; 2], icv: &mut [u8]) -> Result<(), Fault> {
        self.icv(&parts, icv);
        Ok(())
    }
}

impl Aead for Checksum {
    fn seal(
        &self,
        nonce: &[u8; 12],
        aad: &[u8],
        data: &mut [u8],
        icv: &mut [u8; 16],
    ) -> Result<(), Fault> {
        self.icv(&[nonce, aad, &*data], icv);
        Ok(())
    }

    fn open(
        &self,
        nonce: &[u8; 12],
        aad: &[u8],
        data: &mut [u8],
        icv: &[u8; 16],
    ) -> Result<bool, Fault> {
        let mut computed = [0; 16];
        self.icv(&[nonce, aad, &*data], &mut computed);
        Ok(computed == *icv)
    }
}
