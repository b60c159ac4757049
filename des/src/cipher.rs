//! RustCrypto's traits.

use cipher::array::Array;
use cipher::consts::{U8, U24, U64};
use cipher::{
    AlgorithmName, Block, BlockCipherDecBackend, BlockCipherDecClosure, BlockCipherDecrypt,
    BlockCipherEncBackend, BlockCipherEncClosure, BlockCipherEncrypt, BlockSizeUser, InOut,
    InOutBuf, Key, KeyInit, KeySizeUser, ParBlocks, ParBlocksSizeUser,
};

use crate::TripleDes;

impl AlgorithmName for TripleDes {
    fn write_alg_name(f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("TripleDes")
    }
}

impl KeySizeUser for TripleDes {
    type KeySize = U24;
}

impl KeyInit for TripleDes {
    fn new(key: &Key<Self>) -> Self {
        Self::new(key.as_ref())
    }
}

impl BlockSizeUser for TripleDes {
    type BlockSize = U8;
}

impl ParBlocksSizeUser for TripleDes {
    type ParBlocksSize = U64;
}

impl BlockCipherEncrypt for TripleDes {
    fn encrypt_with_backend(&self, f: impl BlockCipherEncClosure<BlockSize = U8>) {
        f.call(self);
    }
}

impl BlockCipherDecrypt for TripleDes {
    fn decrypt_with_backend(&self, f: impl BlockCipherDecClosure<BlockSize = U8>) {
        f.call(self);
    }
}

impl BlockCipherEncBackend for TripleDes {
    fn encrypt_block(&self, block: InOut<'_, '_, Block<Self>>) {
        self.encrypt_blocks(core::slice::from_mut(block.into_out_with_copied_in().as_mut()));
    }

    fn encrypt_par_blocks(&self, blocks: InOut<'_, '_, ParBlocks<Self>>) {
        self.encrypt_blocks(Array::cast_slice_to_core_mut(blocks.into_out_with_copied_in()));
    }

    fn encrypt_tail_blocks(&self, blocks: InOutBuf<'_, '_, Block<Self>>) {
        self.encrypt_blocks(Array::cast_slice_to_core_mut(blocks.into_out_with_copied_in()));
    }
}

impl BlockCipherDecBackend for TripleDes {
    fn decrypt_block(&self, block: InOut<'_, '_, Block<Self>>) {
        self.decrypt_blocks(core::slice::from_mut(block.into_out_with_copied_in().as_mut()));
    }

    fn decrypt_par_blocks(&self, blocks: InOut<'_, '_, ParBlocks<Self>>) {
        self.decrypt_blocks(Array::cast_slice_to_core_mut(blocks.into_out_with_copied_in()));
    }

    fn decrypt_tail_blocks(&self, blocks: InOutBuf<'_, '_, Block<Self>>) {
        self.decrypt_blocks(Array::cast_slice_to_core_mut(blocks.into_out_with_copied_in()));
    }
}
