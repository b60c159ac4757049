//! The provider made of RustCrypto's crates.

use alloc::boxed::Box;

use aes_gcm::AesGcm;
use aes_gcm::aead::AeadInOut;
use arrayvec::ArrayVec;
use cipher::array::{Array, ArraySize};
use cipher::consts::U12;
use cipher::{
    BlockCipherDecrypt, BlockCipherEncrypt, BlockModeDecrypt, BlockModeEncrypt, InnerIvInit,
    KeyInit,
};
use dmvpn_des::{CbcDecrypt, CbcEncrypt, TripleDes, cbc_decrypt_batch, cbc_encrypt_batch};
use hmac::{EagerHash, Hmac};

use super::{Aead, Cipher, CipherJob, Fault, Mac, Provider, Unsupported};
use crate::batch::BESIDE;
use crate::transform::{Encryption, Integrity};

/// RustCrypto: software in Rust, AES and SHA in hardware where the processor has it.
///
/// Its 3DES, this workspace's own, is sliced and constant-time until fewer than 28 blocks, or packets of a batch, are left; those
/// read tables (see `dmvpn-des`). So it is not constant-time on a processor with a shared cache: sealing one packet by itself never, opening
/// one only where nothing is left.
#[derive(Clone, Copy, Debug, Default)]
pub struct RustCrypto;

impl Provider for RustCrypto {
    fn cipher(&self, algorithm: Encryption, key: &[u8]) -> Result<Box<dyn Cipher>, Unsupported> {
        let unsupported = Unsupported::Encryption(algorithm);
        match algorithm {
            Encryption::TripleDesCbc => triple_des(key),
            Encryption::AesCbc128 => cbc::<aes::Aes128>(key),
            Encryption::AesCbc192 => cbc::<aes::Aes192>(key),
            Encryption::AesCbc256 => cbc::<aes::Aes256>(key),
            Encryption::Null
            | Encryption::AesGcm128
            | Encryption::AesGcm192
            | Encryption::AesGcm256 => None,
        }
        .ok_or(unsupported)
    }

    fn mac(&self, algorithm: Integrity, key: &[u8]) -> Result<Box<dyn Mac>, Unsupported> {
        match algorithm {
            Integrity::HmacMd5 => hmac::<md5::Md5>(key),
            Integrity::HmacSha1 => hmac::<sha1::Sha1>(key),
            Integrity::HmacSha256 => hmac::<sha2::Sha256>(key),
            Integrity::HmacSha384 => hmac::<sha2::Sha384>(key),
            Integrity::HmacSha512 => hmac::<sha2::Sha512>(key),
        }
        .ok_or(Unsupported::Integrity(algorithm))
    }

    fn aead(&self, algorithm: Encryption, key: &[u8]) -> Result<Box<dyn Aead>, Unsupported> {
        match algorithm {
            Encryption::AesGcm128 => gcm::<aes::Aes128>(key),
            Encryption::AesGcm192 => gcm::<aes::Aes192>(key),
            Encryption::AesGcm256 => gcm::<aes::Aes256>(key),
            Encryption::Null
            | Encryption::TripleDesCbc
            | Encryption::AesCbc128
            | Encryption::AesCbc192
            | Encryption::AesCbc256 => None,
        }
        .ok_or(Unsupported::Encryption(algorithm))
    }
}

fn cbc<C>(key: &[u8]) -> Option<Box<dyn Cipher>>
where
    C: KeyInit + BlockCipherEncrypt + BlockCipherDecrypt + Send + Sync + 'static,
{
    Some(Box::new(Cbc(C::new_from_slice(key).ok()?)))
}

fn triple_des(key: &[u8]) -> Option<Box<dyn Cipher>> {
    Some(Box::new(TripleDesCbc(TripleDes::new(key.try_into().ok()?))))
}

fn hmac<D>(key: &[u8]) -> Option<Box<dyn Mac>>
where
    D: EagerHash + 'static,
    Hmac<D>: KeyInit + hmac::Mac + Clone + Send + Sync,
{
    Some(Box::new(KeyedHmac(<Hmac<D> as KeyInit>::new_from_slice(key).ok()?)))
}

fn gcm<A>(key: &[u8]) -> Option<Box<dyn Aead>>
where
    AesGcm<A, U12>: KeyInit + AeadInOut + Send + Sync + 'static,
    Gcm<AesGcm<A, U12>>: Aead,
{
    Some(Box::new(Gcm(AesGcm::<A, U12>::new_from_slice(key).ok()?)))
}

/// The key schedule; the mode borrows it for each packet.
struct Cbc<C>(C);

fn whole_blocks<N: ArraySize>(data: &mut [u8]) -> Result<&mut [Array<u8, N>], Fault> {
    match Array::slice_as_chunks_mut(data) {
        (blocks, []) => Ok(blocks),
        _ => Err(Fault),
    }
}

impl<C> Cipher for Cbc<C>
where
    C: BlockCipherEncrypt + BlockCipherDecrypt + Send + Sync + 'static,
{
    fn encrypt(&self, iv: &[u8], blocks: &mut [u8]) -> Result<(), Fault> {
        let iv = iv.try_into().map_err(|_length| Fault)?;
        cbc::Encryptor::inner_iv_init(&self.0, iv).encrypt_blocks(whole_blocks(blocks)?);
        Ok(())
    }

    fn decrypt(&self, iv: &[u8], blocks: &mut [u8]) -> Result<(), Fault> {
        let iv = iv.try_into().map_err(|_length| Fault)?;
        cbc::Decryptor::inner_iv_init(&self.0, iv).decrypt_blocks(whole_blocks(blocks)?);
        Ok(())
    }
}

/// 3DES of this workspace. It gains from seeing several packets at once.
struct TripleDesCbc(TripleDes);

impl Cipher for TripleDesCbc {
    fn encrypt(&self, iv: &[u8], blocks: &mut [u8]) -> Result<(), Fault> {
        let iv = iv.try_into().map_err(|_length| Fault)?;
        self.0.cbc_encrypt(iv, blocks).map_err(|_length| Fault)
    }

    fn decrypt(&self, iv: &[u8], blocks: &mut [u8]) -> Result<(), Fault> {
        let iv = iv.try_into().map_err(|_length| Fault)?;
        self.0.cbc_decrypt(iv, blocks).map_err(|_length| Fault)
    }

    fn batches(&self) -> bool {
        true
    }

    fn encrypt_beside(&self, jobs: &mut [CipherJob<'_>]) {
        cbc_encrypt_batch(&mut gather(jobs, |cipher, iv, blocks| {
            CbcEncrypt::new(cipher, iv, blocks).map_err(|_length| Fault)
        }));
    }

    fn decrypt_beside(&self, jobs: &mut [CipherJob<'_>]) {
        cbc_decrypt_batch(&mut gather(jobs, |cipher, iv, blocks| {
            CbcDecrypt::new(cipher, iv, blocks).map_err(|_length| Fault)
        }));
    }
}

/// The packets of 3DES among those that are still to be done.
fn gather<'a, P>(
    jobs: &'a mut [CipherJob<'_>],
    packet: impl Fn(&'a TripleDes, [u8; 8], &'a mut [u8]) -> Result<P, Fault>,
) -> ArrayVec<P, BESIDE> {
    let mut packets = ArrayVec::new();
    for job in jobs.iter_mut().filter(|job| job.outcome().is_none()) {
        let Some(TripleDesCbc(cipher)) = job.cipher_as() else { continue };
        if packets.is_full() {
            break;
        }
        let (iv, blocks, outcome) = job.parts();
        // Once it is made, nothing can fail.
        let made = iv.try_into().map_err(|_length| Fault).and_then(|iv| packet(cipher, iv, blocks));
        *outcome = Some(made.map(|packet| packets.push(packet)));
    }
    packets
}

/// The HMAC with its key already hashed; each packet starts from a copy.
struct KeyedHmac<M>(M);

impl<M> Mac for KeyedHmac<M>
where
    M: hmac::Mac + Clone + Send + Sync,
{
    fn sign(&self, parts: [&[u8]; 2], icv: &mut [u8]) -> Result<(), Fault> {
        let mut mac = self.0.clone();
        for part in parts {
            mac.update(part);
        }
        let computed = mac.finalize().into_bytes();
        icv.copy_from_slice(computed.get(..icv.len()).ok_or(Fault)?);
        Ok(())
    }
}

struct Gcm<A>(A);

impl<A> Aead for Gcm<A>
where
    A: AeadInOut<NonceSize = U12, TagSize = cipher::consts::U16> + Send + Sync,
{
    fn seal(
        &self,
        nonce: &[u8; 12],
        aad: &[u8],
        data: &mut [u8],
        icv: &mut [u8; 16],
    ) -> Result<(), Fault> {
        let tag = self
            .0
            .encrypt_inout_detached(nonce.into(), aad, data.into())
            .map_err(|_too_long| Fault)?;
        *icv = tag.into();
        Ok(())
    }

    fn open(
        &self,
        nonce: &[u8; 12],
        aad: &[u8],
        data: &mut [u8],
        icv: &[u8; 16],
    ) -> Result<bool, Fault> {
        Ok(self.0.decrypt_inout_detached(nonce.into(), aad, data.into(), icv.into()).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use aes_gcm::AesGcm;
    use cipher::consts::U12;
    use hmac::EagerHash;
    use zeroize::ZeroizeOnDrop;

    /// Holds at compile time, with the features of this workspace.
    #[test]
    fn keys_are_erased() {
        fn is_erased<T: ZeroizeOnDrop>() {}
        is_erased::<dmvpn_des::TripleDes>();
        is_erased::<aes::Aes128>();
        is_erased::<aes::Aes192>();
        is_erased::<aes::Aes256>();
        is_erased::<AesGcm<aes::Aes256, U12>>();
        // An HMAC is two of its hash's states, without the marker itself.
        is_erased::<<md5::Md5 as EagerHash>::Core>();
        is_erased::<<sha1::Sha1 as EagerHash>::Core>();
        is_erased::<<sha2::Sha256 as EagerHash>::Core>();
        is_erased::<<sha2::Sha384 as EagerHash>::Core>();
        is_erased::<<sha2::Sha512 as EagerHash>::Core>();
    }
}
