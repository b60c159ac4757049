//! A provider that remembers what secrets it was given and what it made of them: there is no other way to
//! those that never leave the crate that negotiates.

use alloc::collections::BTreeSet;
use std::sync::Mutex;

use bytes::Bytes;
use dmvpn_core::isakmp::crypto::{
    DiffieHellman, DiffieHellmanError, Digest, Exponent, ExponentLength, Group, HashAlgorithm,
    HashFunction, Provider, SharedSecret,
};

#[derive(Default)]
pub(crate) struct Secrets {
    /// With what the prf was keyed: the pre-shared key, SKEYID and all that comes of it.
    pub(crate) prf_keys: BTreeSet<Vec<u8>>,
    pub(crate) exponents: BTreeSet<Vec<u8>>,
    pub(crate) shared: BTreeSet<Vec<u8>>,
}

impl Secrets {
    pub(crate) fn all(self) -> impl Iterator<Item = Vec<u8>> {
        self.prf_keys.into_iter().chain(self.exponents).chain(self.shared)
    }
}

/// RustCrypto, overheard.
#[derive(Clone, Copy)]
pub(crate) struct Recording(&'static Mutex<Secrets>);

impl Recording {
    pub(crate) fn new() -> Self {
        Self(Box::leak(Box::default()))
    }

    /// What was overheard since it was last asked.
    pub(crate) fn take(self) -> Secrets {
        core::mem::take(&mut *self.0.lock().unwrap())
    }

    pub(crate) fn provider(self) -> Provider {
        let own = Provider::rustcrypto();
        let hashes = own.hashes.iter().map(|hash| -> &'static dyn HashFunction {
            Box::leak(Box::new(Overheard { inner: *hash, by: self }))
        });
        let groups = own.groups.iter().map(|group| -> &'static dyn DiffieHellman {
            Box::leak(Box::new(Overheard { inner: *group, by: self }))
        });
        Provider { hashes: Vec::leak(hashes.collect()), groups: Vec::leak(groups.collect()), ..own }
    }

    fn exponent(self, exponent: &Exponent) {
        self.0.lock().unwrap().exponents.insert(exponent.dangerous_bytes().to_vec());
    }
}

struct Overheard<T> {
    inner: T,
    by: Recording,
}

impl<T: core::fmt::Debug> core::fmt::Debug for Overheard<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.inner.fmt(f)
    }
}

impl HashFunction for Overheard<&'static dyn HashFunction> {
    fn algorithm(&self) -> HashAlgorithm {
        self.inner.algorithm()
    }

    fn output_len(&self) -> usize {
        self.inner.output_len()
    }

    fn hash(&self, parts: &[&[u8]]) -> Digest {
        self.inner.hash(parts)
    }

    fn prf(&self, key: &[u8], parts: &[&[u8]]) -> Digest {
        self.by.0.lock().unwrap().prf_keys.insert(key.to_vec());
        self.inner.prf(key, parts)
    }
}

impl DiffieHellman for Overheard<&'static dyn DiffieHellman> {
    fn group(&self) -> Group {
        self.inner.group()
    }

    fn public_value_len(&self) -> usize {
        self.inner.public_value_len()
    }

    fn exponent_len(&self, length: ExponentLength) -> usize {
        self.inner.exponent_len(length)
    }

    fn public_value(&self, exponent: &Exponent) -> Result<Bytes, DiffieHellmanError> {
        self.by.exponent(exponent);
        self.inner.public_value(exponent)
    }

    fn check_public_value(&self, peer: &[u8]) -> Result<(), DiffieHellmanError> {
        self.inner.check_public_value(peer)
    }

    fn shared_secret(
        &self,
        exponent: &Exponent,
        peer: &[u8],
    ) -> Result<SharedSecret, DiffieHellmanError> {
        self.by.exponent(exponent);
        let shared = self.inner.shared_secret(exponent, peer)?;
        self.by.0.lock().unwrap().shared.insert(shared.dangerous_bytes().to_vec());
        Ok(shared)
    }
}
