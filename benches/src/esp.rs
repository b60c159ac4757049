//! ESP by itself: our associations, the primitives of our provider, and OpenSSL's.

use aes_gcm::aead::AeadInOut;
use aes_gcm::{Aes128Gcm, KeyInit};
use chacha20::ChaCha20Rng;
use dmvpn_esp::crypto::{Aead, Cipher, Mac, Provider, RustCrypto};
use dmvpn_esp::{
    Encryption, InboundSa, Integrity, Mode, NextHeader, Opened, OutboundSa, SaConfig, SealJob, Spi,
    Transform, seal_batch,
};
use rand_core::SeedableRng;

/// The transforms that are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suite {
    /// The guide's: `esp-3des esp-sha-hmac`.
    TripleDesSha1,
    /// `esp-aes 128 esp-sha-hmac`.
    Aes128Sha1,
    /// `esp-aes 256 esp-sha256-hmac`, the default.
    Aes256Sha256,
    /// `esp-gcm 128`.
    Aes128Gcm,
}

impl Suite {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::TripleDesSha1, Self::Aes128Sha1, Self::Aes256Sha256, Self::Aes128Gcm];

    /// As the tables call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::TripleDesSha1 => "3des+sha1",
            Self::Aes128Sha1 => "aes128-cbc+sha1",
            Self::Aes256Sha256 => "aes256-cbc+sha256",
            Self::Aes128Gcm => "aes128-gcm",
        }
    }

    fn transform(self) -> Transform {
        let (encryption, integrity) = match self {
            Self::TripleDesSha1 => (Encryption::TripleDesCbc, Some(Integrity::HmacSha1)),
            Self::Aes128Sha1 => (Encryption::AesCbc128, Some(Integrity::HmacSha1)),
            Self::Aes256Sha256 => (Encryption::AesCbc256, Some(Integrity::HmacSha256)),
            Self::Aes128Gcm => (Encryption::AesGcm128, None),
        };
        Transform::new(encryption, integrity).expect("a transform that authenticates once")
    }

    pub(crate) const fn iv_len(self) -> usize {
        match self {
            Self::TripleDesSha1 | Self::Aes128Gcm => 8,
            Self::Aes128Sha1 | Self::Aes256Sha256 => 16,
        }
    }

    pub(crate) const fn icv_len(self) -> usize {
        match self {
            Self::TripleDesSha1 | Self::Aes128Sha1 => 12,
            Self::Aes256Sha256 | Self::Aes128Gcm => 16,
        }
    }
}

/// What our associations are made with.
#[cfg(not(feature = "ring"))]
const PROVIDER: RustCrypto = RustCrypto;
#[cfg(feature = "ring")]
const PROVIDER: dmvpn_esp::crypto::RingGcm<RustCrypto> = dmvpn_esp::crypto::RingGcm(RustCrypto);

/// Room around a payload that is enough for every transform.
const ROOM: usize = 64;

fn config(suite: Suite, number: u32) -> SaConfig {
    SaConfig::new(Spi(0x1000 + number), suite.transform(), Mode::Transport).replay_window(0)
}

fn keymat(suite: Suite) -> Vec<u8> {
    (1..).take(suite.transform().keymat_len()).collect()
}

/// Several associations, and a packet for each call of one of them.
pub struct Sealer {
    associations: Vec<OutboundSa>,
    rng: ChaCha20Rng,
    buffers: Vec<Vec<u8>>,
    payload: usize,
}

impl Sealer {
    /// Packets of `payload` octets, `batch` at a time, of as many associations as said.
    pub fn new(suite: Suite, payload: usize, batch: usize, associations: u32) -> Self {
        Self::with(&PROVIDER, suite, payload, batch, associations)
    }

    /// With cryptography of `provider`.
    pub fn with(
        provider: &dyn Provider,
        suite: Suite,
        payload: usize,
        batch: usize,
        associations: u32,
    ) -> Self {
        let keymat = keymat(suite);
        let sa = |number| {
            OutboundSa::new(provider, &config(suite, number), &keymat).expect("a valid config")
        };
        Self {
            associations: (0..associations).map(sa).collect(),
            rng: ChaCha20Rng::seed_from_u64(1),
            buffers: vec![vec![0x45; ROOM + payload + ROOM]; batch],
            payload,
        }
    }

    /// Seals the first packet by itself. What it encrypts is what it left there the last time.
    pub fn one(&mut self) {
        let range = ROOM..ROOM + self.payload;
        let sealed =
            self.associations[0].seal(&mut self.rng, NextHeader::GRE, &mut self.buffers[0], range);
        assert!(sealed.is_ok());
    }

    /// Seals all packets in one batch.
    pub fn batch(&mut self) {
        let range = ROOM..ROOM + self.payload;
        let count = self.associations.len();
        let mut reserved: Vec<_> = (0..self.buffers.len())
            .map(|n| {
                let sa = &mut self.associations[n % count];
                let sequence = sa.reserve(range.len()).expect("no lifetime");
                Some((sequence, sa.key().draw_iv(&mut self.rng)))
            })
            .collect();
        let mut jobs: Vec<_> = self
            .buffers
            .iter_mut()
            .enumerate()
            .map(|(n, buffer)| {
                let (sequence, iv) = reserved[n].take().expect("one for each");
                let key = self.associations[n % count].key();
                SealJob::new(key, sequence, iv, NextHeader::GRE, buffer, range.clone())
                    .expect("there is room")
            })
            .collect();
        seal_batch(&mut jobs);
        assert!(jobs.iter().all(|job| job.packet().is_ok()));
    }
}

/// One association, and a packet that it opens again and again: there is no replay window.
pub struct Opener {
    association: InboundSa,
    sealed: Vec<u8>,
    buffer: Vec<u8>,
}

impl Opener {
    /// A packet of `payload` octets.
    pub fn new(suite: Suite, payload: usize) -> Self {
        Self::with(&PROVIDER, suite, payload)
    }

    /// With cryptography of `provider`.
    pub fn with(provider: &dyn Provider, suite: Suite, payload: usize) -> Self {
        let (config, keymat) = (config(suite, 0), keymat(suite));
        let mut outbound = OutboundSa::new(provider, &config, &keymat).expect("valid");
        let mut buffer = vec![0x45; ROOM + payload + ROOM];
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let packet = outbound
            .seal(&mut rng, NextHeader::GRE, &mut buffer, ROOM..ROOM + payload)
            .expect("there is room");
        let sealed = buffer[packet].to_vec();
        let association = InboundSa::new(provider, &config, &keymat).expect("valid");
        Self { association, buffer: sealed.clone(), sealed }
    }

    /// The packet, as it came.
    pub fn sealed(&self) -> &[u8] {
        &self.sealed
    }

    /// Copies the packet, as a socket would, and opens it.
    pub fn one(&mut self) {
        self.buffer.copy_from_slice(&self.sealed);
        let whole = 0..self.buffer.len();
        let opened = self.association.open(&mut self.buffer, whole);
        assert!(matches!(opened, Ok(Opened::Payload(_))));
    }
}

/// The primitives of our provider on a packet of the same layout, and nothing else.
pub enum Bare {
    /// Cipher and HMAC.
    Separate(Suite, Box<dyn Cipher>, Box<dyn Mac>),
    /// The crate `aes-gcm`, without anything of ours.
    Combined(Box<Aes128Gcm>),
    /// AES-GCM as our provider gives it: the same machine code that our associations run.
    Provided(Box<dyn Aead>),
}

impl Bare {
    /// With the keys that the associations have.
    pub fn new(suite: Suite) -> Self {
        let (keymat, transform) = (keymat(suite), suite.transform());
        let keys = transform.split(&keymat).expect("as long as needed");
        let Some(integrity) = transform.integrity() else {
            let aead = Aes128Gcm::new_from_slice(keys.encryption).expect("16 octets");
            return Self::Combined(Box::new(aead));
        };
        let cipher = RustCrypto.cipher(transform.encryption(), keys.encryption).expect("it has it");
        let mac = RustCrypto.mac(integrity, keys.integrity).expect("it has it");
        Self::Separate(suite, cipher, mac)
    }

    /// AES-GCM of our provider.
    pub fn provided() -> Self {
        let (suite, keymat) = (Suite::Aes128Gcm, keymat(Suite::Aes128Gcm));
        let keys = suite.transform().split(&keymat).expect("as long as needed");
        let aead = RustCrypto.aead(suite.transform().encryption(), keys.encryption);
        Self::Provided(aead.expect("it has it"))
    }

    /// Encrypts and authenticates a packet whose header and padding are in place.
    pub fn seal(&self, packet: &mut [u8]) {
        let (header, rest) = packet.split_at_mut(8);
        match self {
            Self::Separate(suite, cipher, mac) => {
                let (iv, rest) = rest.split_at_mut(suite.iv_len());
                let body = rest.len() - suite.icv_len();
                cipher.encrypt(iv, &mut rest[..body]).expect("whole blocks");
                let end = packet.len() - suite.icv_len();
                let (authenticated, icv) = packet.split_at_mut(end);
                mac.sign([authenticated, &[]], icv).expect("a short ICV");
            }
            Self::Combined(aead) => {
                let (iv, rest) = rest.split_at_mut(8);
                let (body, icv) = rest.split_at_mut(rest.len() - 16);
                let tag = aead.encrypt_inout_detached(&nonce(iv).into(), header, body.into());
                icv.copy_from_slice(&tag.expect("a short packet"));
            }
            Self::Provided(aead) => {
                let (iv, rest) = rest.split_at_mut(8);
                let (body, icv) = rest.split_last_chunk_mut().expect("16 octets");
                aead.seal(&nonce(iv), header, body, icv).expect("a short packet");
            }
        }
    }

    /// Verifies and decrypts a packet.
    pub fn open(&self, packet: &mut [u8]) -> bool {
        match self {
            Self::Separate(suite, cipher, mac) => {
                let end = packet.len() - suite.icv_len();
                let (authenticated, icv) = packet.split_at_mut(end);
                if !mac.verify([authenticated, &[]], icv).expect("a short ICV") {
                    return false;
                }
                let (iv, body) = authenticated[8..].split_at_mut(suite.iv_len());
                cipher.decrypt(iv, body).is_ok()
            }
            Self::Combined(aead) => {
                let (header, rest) = packet.split_at_mut(8);
                let (iv, rest) = rest.split_at_mut(8);
                let (body, icv) = rest.split_at_mut(rest.len() - 16);
                let tag: [u8; 16] = (&*icv).try_into().expect("16 octets");
                let nonce = nonce(iv).into();
                aead.decrypt_inout_detached(&nonce, header, body.into(), &tag.into()).is_ok()
            }
            Self::Provided(aead) => {
                let (header, rest) = packet.split_at_mut(8);
                let (iv, rest) = rest.split_at_mut(8);
                let (body, icv) = rest.split_last_chunk_mut().expect("16 octets");
                aead.open(&nonce(iv), header, body, icv).expect("a short packet")
            }
        }
    }
}

/// The salt, which ends the keying material, and the IV in the packet.
fn nonce(iv: &[u8]) -> [u8; 12] {
    let mut nonce = [17, 18, 19, 20, 0, 0, 0, 0, 0, 0, 0, 0];
    nonce[4..].copy_from_slice(iv);
    nonce
}
