//! The yardstick for ESP: OpenSSL's EVP ciphers and its HMAC. Contexts and key schedules are made once,
//! as a gateway would; for each packet only the IV is set anew.

use openssl::cipher::Cipher;
use openssl::cipher_ctx::CipherCtx;
use openssl_sys as ffi;

use crate::esp::Suite;

/// The keyed primitives of one SA.
pub struct Evp {
    suite: Suite,
    encrypt: CipherCtx,
    decrypt: CipherCtx,
    hmac: Option<Hmac>,
}

impl Evp {
    /// With keys of its own.
    pub fn new(suite: Suite) -> Self {
        let cipher = match suite {
            Suite::TripleDesSha1 => Cipher::des_ede3_cbc(),
            Suite::Aes128Sha1 => Cipher::aes_128_cbc(),
            Suite::Aes256Sha256 => Cipher::aes_256_cbc(),
            Suite::Aes128Gcm => Cipher::aes_128_gcm(),
        };
        let key: Vec<u8> = (1..).take(cipher.key_length()).collect();
        let iv = vec![0; cipher.iv_length()];
        let context = || CipherCtx::new().expect("a context");
        let (mut encrypt, mut decrypt) = (context(), context());
        encrypt.encrypt_init(Some(cipher), Some(&key), Some(&iv)).expect("a valid key");
        decrypt.decrypt_init(Some(cipher), Some(&key), Some(&iv)).expect("a valid key");
        encrypt.set_padding(false);
        decrypt.set_padding(false);
        let hmac = match suite {
            Suite::TripleDesSha1 | Suite::Aes128Sha1 => Some(Hmac::sha1(&[7; 20])),
            Suite::Aes256Sha256 => Some(Hmac::sha256(&[7; 32])),
            Suite::Aes128Gcm => None,
        };
        Self { suite, encrypt, decrypt, hmac }
    }

    /// Encrypts and authenticates a packet whose header and padding are in place.
    pub fn seal(&mut self, packet: &mut [u8]) {
        let (header, rest) = packet.split_at_mut(8);
        let (iv, rest) = rest.split_at_mut(self.suite.iv_len());
        let (body, icv) = rest.split_at_mut(rest.len() - self.suite.icv_len());
        if self.hmac.is_none() {
            let mut nonce = [9; 12];
            nonce[4..].copy_from_slice(iv);
            self.encrypt.encrypt_init(None, None, Some(&nonce)).expect("a nonce");
            self.encrypt.cipher_update(header, None).expect("additional data");
            self.encrypt.cipher_update_inplace(body, body.len()).expect("a stream");
            self.encrypt.cipher_final(&mut []).expect("the end");
            self.encrypt.tag(icv).expect("a tag");
            return;
        }
        self.encrypt.encrypt_init(None, None, Some(iv)).expect("an IV");
        update(&mut self.encrypt, body);
        self.authenticate(packet, true);
    }

    /// Verifies and decrypts a packet; false if it is not authentic.
    pub fn open(&mut self, packet: &mut [u8]) -> bool {
        if self.hmac.is_none() {
            let (header, rest) = packet.split_at_mut(8);
            let (iv, rest) = rest.split_at_mut(8);
            let (body, icv) = rest.split_at_mut(rest.len() - 16);
            let mut nonce = [9; 12];
            nonce[4..].copy_from_slice(iv);
            self.decrypt.decrypt_init(None, None, Some(&nonce)).expect("a nonce");
            self.decrypt.set_tag(icv).expect("a tag");
            self.decrypt.cipher_update(header, None).expect("additional data");
            self.decrypt.cipher_update_inplace(body, body.len()).expect("a stream");
            return self.decrypt.cipher_final(&mut []).is_ok();
        }
        if !self.authenticate(packet, false) {
            return false;
        }
        let iv_len = self.suite.iv_len();
        let end = packet.len() - self.suite.icv_len();
        let (iv, body) = packet[8..end].split_at_mut(iv_len);
        self.decrypt.decrypt_init(None, None, Some(iv)).expect("an IV");
        update(&mut self.decrypt, body);
        true
    }

    fn authenticate(&mut self, packet: &mut [u8], write: bool) -> bool {
        let icv_len = self.suite.icv_len();
        let (authenticated, icv) = packet.split_at_mut(packet.len() - icv_len);
        let digest = self.hmac.as_mut().expect("not GCM").sign(authenticated);
        if write {
            icv.copy_from_slice(&digest[..icv_len]);
        }
        openssl::memcmp::eq(icv, &digest[..icv_len])
    }
}

/// Whole blocks in place, without padding.
fn update(context: &mut CipherCtx, blocks: &mut [u8]) {
    let mut written = 0;
    // SAFETY: whole blocks without padding give as many octets as go in, and OpenSSL allows both
    // buffers to be the same.
    let ok = unsafe {
        ffi::EVP_CipherUpdate(
            foreign_types_ptr(context),
            blocks.as_mut_ptr(),
            &mut written,
            blocks.as_ptr(),
            i32::try_from(blocks.len()).expect("a packet"),
        )
    };
    assert!(ok == 1 && written as usize == blocks.len(), "whole blocks");
}

fn foreign_types_ptr(context: &CipherCtx) -> *mut ffi::EVP_CIPHER_CTX {
    use foreign_types::ForeignType;
    context.as_ptr()
}

/// An HMAC that keeps its key: `HMAC_Init_ex` without one starts again from the keyed state.
struct Hmac(*mut ffi::HMAC_CTX);

impl Hmac {
    fn sha1(key: &[u8]) -> Self {
        // SAFETY: a pointer to static data.
        Self::new(key, unsafe { ffi::EVP_sha1() })
    }

    fn sha256(key: &[u8]) -> Self {
        // SAFETY: a pointer to static data.
        Self::new(key, unsafe { ffi::EVP_sha256() })
    }

    fn new(key: &[u8], digest: *const ffi::EVP_MD) -> Self {
        // SAFETY: the context is freed when this is dropped; key and digest are valid.
        unsafe {
            let context = ffi::HMAC_CTX_new();
            assert!(!context.is_null());
            let length = i32::try_from(key.len()).expect("a key");
            let ok = ffi::HMAC_Init_ex(
                context,
                key.as_ptr().cast(),
                length,
                digest,
                std::ptr::null_mut(),
            );
            assert_eq!(ok, 1);
            Self(context)
        }
    }

    fn sign(&mut self, data: &[u8]) -> [u8; 64] {
        let (mut digest, mut length) = ([0; 64], 0);
        let null = std::ptr::null_mut();
        // SAFETY: the context is keyed, and 64 octets hold every digest of OpenSSL.
        let ok = unsafe {
            ffi::HMAC_Init_ex(self.0, null, 0, null.cast(), null.cast())
                & ffi::HMAC_Update(self.0, data.as_ptr(), data.len())
                & ffi::HMAC_Final(self.0, digest.as_mut_ptr(), &mut length)
        };
        assert_eq!(ok, 1);
        digest
    }
}

impl Drop for Hmac {
    fn drop(&mut self) {
        // SAFETY: it was allocated by `HMAC_CTX_new` and is used by no one else.
        unsafe { ffi::HMAC_CTX_free(self.0) }
    }
}
