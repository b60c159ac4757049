//! A provider that protects nothing, so that a fuzzer's bytes get past the ICV.

use alloc::boxed::Box;

use super::{Aead, Cipher, Fault, Mac, Provider, Unsupported};
use crate::transform::{Encryption, Integrity};

/// Encrypts nothing and accepts any ICV. It exists only in builds with `--cfg fuzzing`.
#[derive(Clone, Copy, Debug, Default)]
pub struct NullProvider;

impl Provider for NullProvider {
    fn cipher(&self, _algorithm: Encryption, _key: &[u8]) -> Result<Box<dyn Cipher>, Unsupported> {
        Ok(Box::new(Self))
    }

    fn mac(&self, _algorithm: Integrity, _key: &[u8]) -> Result<Box<dyn Mac>, Unsupported> {
        Ok(Box::new(Self))
    }

    fn aead(&self, _algorithm: Encryption, _key: &[u8]) -> Result<Box<dyn Aead>, Unsupported> {
        Ok(Box::new(Self))
    }
}

impl Cipher for NullProvider {
    fn encrypt(&self, _iv: &[u8], _blocks: &mut [u8]) -> Result<(), Fault> {
        Ok(())
    }

    fn decrypt(&self, _iv: &[u8], _blocks: &mut [u8]) -> Result<(), Fault> {
        Ok(())
    }
}

impl Mac for NullProvider {
    fn sign(&self, _parts: [&[u8]; 2], icv: &mut [u8]) -> Result<(), Fault> {
        icv.fill(0);
        Ok(())
    }

    fn verify(&self, _parts: [&[u8]; 2], _icv: &[u8]) -> Result<bool, Fault> {
        Ok(true)
    }
}

impl Aead for NullProvider {
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
