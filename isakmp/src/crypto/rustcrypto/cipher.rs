//! 3DES and AES in CBC mode.

use core::{fmt, marker::PhantomData};

use cbc::{Decryptor, Encryptor};
use cipher::{
    Array, Block, BlockCipherDecrypt, BlockCipherEncrypt, BlockModeDecrypt as _,
    BlockModeEncrypt as _, BlockSizeUser, InnerIvInit as _, KeyInit, typenum::Unsigned as _,
};

use crate::crypto::{BlockCipher, CipherError, EncryptionAlgorithm};

pub(super) const ALL: &[&dyn BlockCipher] = &[
    &Cbc::<dmvpn_des::TripleDes>::new(EncryptionAlgorithm::TRIPLE_DES_CBC),
    &Cbc::<aes::Aes128>::new(EncryptionAlgorithm::AES_CBC),
    &Cbc::<aes::Aes192>::new(EncryptionAlgorithm::AES_CBC),
    &Cbc::<aes::Aes256>::new(EncryptionAlgorithm::AES_CBC),
];

/// A keyed cipher, the IV as a block, and the data as whole blocks.
type Prepared<'a, C> = (C, Block<C>, &'a mut [Block<C>]);

struct Cbc<C>(EncryptionAlgorithm, PhantomData<fn() -> C>);

impl<C> Cbc<C> {
    const fn new(algorithm: EncryptionAlgorithm) -> Self {
        Self(algorithm, PhantomData)
    }
}

impl<C: KeyInit + BlockSizeUser> Cbc<C> {
    /// Checks all lengths before anything is changed.
    fn prepare<'a>(
        key: &[u8],
        iv: &[u8],
        data: &'a mut [u8],
    ) -> Result<Prepared<'a, C>, CipherError> {
        let block = C::BlockSize::USIZE;
        let have = data.len();
        let cipher = C::new_from_slice(key)
            .map_err(|_| CipherError::KeyLength { needed: C::key_size(), have: key.len() })?;
        let iv = Block::<C>::try_from(iv)
            .map_err(|_| CipherError::IvLength { needed: block, have: iv.len() })?;
        let (blocks, rest) = Array::slice_as_chunks_mut(data);
        if blocks.is_empty() || !rest.is_empty() {
            return Err(CipherError::PartialBlock { block, have });
        }
        Ok((cipher, iv, blocks))
    }
}

impl<C: KeyInit + BlockSizeUser> fmt::Debug for Cbc<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} byte key)", self.0, C::key_size())
    }
}

impl<C: KeyInit + BlockCipherEncrypt + BlockCipherDecrypt> BlockCipher for Cbc<C> {
    fn algorithm(&self) -> EncryptionAlgorithm {
        self.0
    }

    fn key_len(&self) -> usize {
        C::key_size()
    }

    fn block_len(&self) -> usize {
        C::BlockSize::USIZE
    }

    fn encrypt(&self, key: &[u8], iv: &[u8], data: &mut [u8]) -> Result<(), CipherError> {
        let (cipher, iv, blocks) = Self::prepare(key, iv, data)?;
        Encryptor::<C>::inner_iv_init(cipher, &iv).encrypt_blocks(blocks);
        Ok(())
    }

    fn decrypt(&self, key: &[u8], iv: &[u8], data: &mut [u8]) -> Result<(), CipherError> {
        let (cipher, iv, blocks) = Self::prepare(key, iv, data)?;
        Decryptor::<C>::inner_iv_init(cipher, &iv).decrypt_blocks(blocks);
        Ok(())
    }
}
