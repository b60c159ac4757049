//! MD5, SHA-1 and SHA-2, with HMAC.

use core::{fmt, marker::PhantomData};

use hmac::{
    EagerHash, Hmac, KeyInit as _, Mac as _,
    digest::{self, Key},
};
use zeroize::Zeroize as _;

use crate::crypto::{Digest, HashAlgorithm, HashFunction};

pub(super) const ALL: &[&dyn HashFunction] = &[
    &Hash::<md5::Md5>::new(HashAlgorithm::MD5),
    &Hash::<sha1::Sha1>::new(HashAlgorithm::SHA1),
    &Hash::<sha2::Sha256>::new(HashAlgorithm::SHA2_256),
    &Hash::<sha2::Sha384>::new(HashAlgorithm::SHA2_384),
    &Hash::<sha2::Sha512>::new(HashAlgorithm::SHA2_512),
];

struct Hash<D>(HashAlgorithm, PhantomData<fn() -> D>);

impl<D> Hash<D> {
    const fn new(algorithm: HashAlgorithm) -> Self {
        Self(algorithm, PhantomData)
    }
}

impl<D> fmt::Debug for Hash<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl<D: EagerHash + digest::Digest> HashFunction for Hash<D> {
    fn algorithm(&self) -> HashAlgorithm {
        self.0
    }

    fn output_len(&self) -> usize {
        <D as digest::Digest>::output_size()
    }

    fn hash(&self, parts: &[&[u8]]) -> Digest {
        let mut hash = <D as digest::Digest>::new();
        for part in parts {
            digest::Digest::update(&mut hash, part);
        }
        let mut output = hash.finalize();
        let digest = Digest::new(&output);
        output.as_mut_slice().zeroize();
        digest
    }

    fn prf(&self, key: &[u8], parts: &[&[u8]]) -> Digest {
        // RFC 2104 §2: a key longer than a block is hashed first, then padded with zeros. Done here
        // so that no constructor can refuse it.
        let mut block = Key::<Hmac<D>>::default();
        if key.len() > block.len() {
            let mut hashed = <D as digest::Digest>::digest(key);
            block.iter_mut().zip(hashed.iter()).for_each(|(to, from)| *to = *from);
            hashed.as_mut_slice().zeroize();
        } else {
            block.iter_mut().zip(key).for_each(|(to, from)| *to = *from);
        }
        let mut mac = Hmac::<D>::new(&block);
        block.as_mut_slice().zeroize();
        for part in parts {
            mac.update(part);
        }
        let mut output = mac.finalize().into_bytes();
        let digest = Digest::new(&output);
        output.as_mut_slice().zeroize();
        digest
    }
}
