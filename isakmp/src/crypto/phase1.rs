//! Phase 1: SKEYID and what follows from it, `HASH_I` and `HASH_R`, NAT detection.

use core::{fmt, net::IpAddr};

use super::{BlockCipher, Digest, EncryptionKey, HashFunction, SharedSecret};

/// SKEYID, the root of an ISAKMP SA's keys (RFC 2409 §5), with the prf it was made by.
#[derive(Clone)]
pub struct Skeyid {
    prf: &'static dyn HashFunction,
    skeyid: Digest,
}

/// What both ends have seen of phase 1 and therefore sign with their hashes.
#[derive(Clone, Copy, Debug)]
pub struct Phase1Public<'a> {
    /// Body of the initiator's key exchange payload.
    pub g_xi: &'a [u8],
    /// Body of the responder's key exchange payload.
    pub g_xr: &'a [u8],
    /// CKY-I.
    pub cookie_i: [u8; 8],
    /// CKY-R.
    pub cookie_r: [u8; 8],
    /// `SAi_b`: the whole body of the initiator's SA payload, every offer of it, as it was sent.
    pub sai_b: &'a [u8],
}

impl Skeyid {
    /// `SKEYID = prf(pre-shared-key, Ni_b | Nr_b)` (RFC 2409 §5.4). The nonces are payload bodies.
    #[must_use]
    pub fn pre_shared_key(
        prf: &'static dyn HashFunction,
        key: &[u8],
        nonce_i: &[u8],
        nonce_r: &[u8],
    ) -> Self {
        Self { prf, skeyid: prf.prf(key, &[nonce_i, nonce_r]) }
    }

    /// `SKEYID = prf(Ni_b | Nr_b, g^xy)` (RFC 2409 §5.1), for authentication by signatures.
    #[must_use]
    pub fn signatures(
        prf: &'static dyn HashFunction,
        nonce_i: &[u8],
        nonce_r: &[u8],
        g_xy: &SharedSecret,
    ) -> Self {
        let key = [nonce_i, nonce_r].concat();
        Self { prf, skeyid: prf.prf(&key, &[g_xy.dangerous_bytes()]) }
    }

    /// A SKEYID that came out of some other method of authentication.
    #[must_use]
    pub fn from_digest(prf: &'static dyn HashFunction, skeyid: Digest) -> Self {
        Self { prf, skeyid }
    }

    /// `HASH_I = prf(SKEYID, g^xi | g^xr | CKY-I | CKY-R | SAi_b | IDii_b)` (RFC 2409 §5).
    /// `id_i` is the body of the initiator's identification payload.
    #[must_use]
    pub fn hash_i(&self, public: &Phase1Public<'_>, id_i: &[u8]) -> Digest {
        let Phase1Public { g_xi, g_xr, cookie_i, cookie_r, sai_b } = public;
        self.prf.prf(self.skeyid.as_bytes(), &[g_xi, g_xr, cookie_i, cookie_r, sai_b, id_i])
    }

    /// `HASH_R = prf(SKEYID, g^xr | g^xi | CKY-R | CKY-I | SAi_b | IDir_b)` (RFC 2409 §5): the
    /// *initiator's* SA here too. `id_r` is the body of the responder's identification payload.
    #[must_use]
    pub fn hash_r(&self, public: &Phase1Public<'_>, id_r: &[u8]) -> Digest {
        let Phase1Public { g_xi, g_xr, cookie_i, cookie_r, sai_b } = public;
        self.prf.prf(self.skeyid.as_bytes(), &[g_xr, g_xi, cookie_r, cookie_i, sai_b, id_r])
    }

    /// The three keys below SKEYID (RFC 2409 §5):
    ///
    /// ```text
    /// SKEYID_d = prf(SKEYID,            g^xy | CKY-I | CKY-R | 0)
    /// SKEYID_a = prf(SKEYID, SKEYID_d | g^xy | CKY-I | CKY-R | 1)
    /// SKEYID_e = prf(SKEYID, SKEYID_a | g^xy | CKY-I | CKY-R | 2)
    /// ```
    #[must_use]
    pub fn session_keys(
        &self,
        g_xy: &SharedSecret,
        cookie_i: [u8; 8],
        cookie_r: [u8; 8],
    ) -> SessionKeys {
        let next = |previous: &[u8], number: u8| {
            let parts = [previous, g_xy.dangerous_bytes(), &cookie_i, &cookie_r, &[number]];
            self.prf.prf(self.skeyid.as_bytes(), &parts)
        };
        let skeyid_d = next(&[], 0);
        let skeyid_a = next(skeyid_d.as_bytes(), 1);
        let skeyid_e = next(skeyid_a.as_bytes(), 2);
        SessionKeys { prf: self.prf, skeyid_d, skeyid_a, skeyid_e }
    }

    /// SKEYID itself, for a key log or a test.
    #[must_use]
    pub fn dangerous_skeyid(&self) -> &[u8] {
        self.skeyid.as_bytes()
    }
}

impl fmt::Debug for Skeyid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Skeyid").field("prf", &self.prf).finish_non_exhaustive()
    }
}

/// The keys of an established ISAKMP SA. See [`Skeyid::session_keys`].
#[derive(Clone)]
pub struct SessionKeys {
    pub(super) prf: &'static dyn HashFunction,
    pub(super) skeyid_d: Digest,
    pub(super) skeyid_a: Digest,
    skeyid_e: Digest,
}

impl SessionKeys {
    /// The key that encrypts this SA's messages (RFC 2409 appendix B).
    #[must_use]
    pub fn encryption_key(&self, cipher: &'static dyn BlockCipher) -> EncryptionKey {
        EncryptionKey::derive(self.prf, self.skeyid_e.as_bytes(), cipher)
    }

    /// The negotiated hash, whose HMAC is the prf.
    #[must_use]
    pub fn hash_function(&self) -> &'static dyn HashFunction {
        self.prf
    }

    /// `SKEYID_d`, the root of phase 2's keys.
    #[must_use]
    pub fn dangerous_skeyid_d(&self) -> &[u8] {
        self.skeyid_d.as_bytes()
    }

    /// `SKEYID_a`, the key of phase 2's hashes.
    #[must_use]
    pub fn dangerous_skeyid_a(&self) -> &[u8] {
        self.skeyid_a.as_bytes()
    }

    /// `SKEYID_e`, the root of the encryption key.
    #[must_use]
    pub fn dangerous_skeyid_e(&self) -> &[u8] {
        self.skeyid_e.as_bytes()
    }
}

impl fmt::Debug for SessionKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionKeys").field("prf", &self.prf).finish_non_exhaustive()
    }
}

/// The body of a NAT-D payload: `HASH(CKY-I | CKY-R | IP | Port)` (RFC 3947 §3.2), with the
/// negotiated hash, the address in 4 or 16 bytes and the port in 2.
#[must_use]
pub fn nat_detection_hash(
    hash: &dyn HashFunction,
    cookie_i: [u8; 8],
    cookie_r: [u8; 8],
    address: IpAddr,
    port: u16,
) -> Digest {
    let port = port.to_be_bytes();
    match address {
        IpAddr::V4(address) => hash.hash(&[&cookie_i, &cookie_r, &address.octets(), &port]),
        IpAddr::V6(address) => hash.hash(&[&cookie_i, &cookie_r, &address.octets(), &port]),
    }
}
