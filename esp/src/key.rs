//! What protects and opens the packets of one SA, and does not change while it lives.

use alloc::boxed::Box;
use core::fmt;
use core::ops::Range;

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::config::{ConfigError, Mode, SaConfig};
use crate::crypto::{Aead, Cipher, CipherJob, Fault, Mac, Provider};
use crate::error::OpenError;
use crate::transform::{Encryption, GCM_ICV_LEN, Transform};
use crate::wire::{Header, NextHeader, Spi, trailer};

/// Length of the longest IV, in bytes.
const MAX_IV_LEN: usize = 16;

/// The keyed algorithms of one SA. `Debug` prints no secret; they are erased when it is dropped, unless
/// their provider says otherwise.
pub struct Key {
    spi: Spi,
    transform: Transform,
    mode: Mode,
    extended_sequence: bool,
    tolerate_odd_padding: bool,
    protection: Protection,
}

enum Protection {
    /// RFC 4303 §3.2: encryption, unless it is NULL, and integrity.
    Separate { cipher: Option<Box<dyn Cipher>>, mac: Box<dyn Mac> },
    /// RFC 4106.
    Combined { aead: Box<dyn Aead>, salt: Zeroizing<[u8; 4]> },
}

impl Key {
    pub(crate) fn new(
        provider: &dyn Provider,
        config: &SaConfig,
        keymat: &[u8],
    ) -> Result<Self, ConfigError> {
        config.validate()?;
        let transform = config.transform;
        let keys = transform.split(keymat)?;
        let encryption = transform.encryption();
        let protection = match transform.integrity() {
            Some(integrity) => Protection::Separate {
                cipher: if encryption == Encryption::Null {
                    None
                } else {
                    Some(provider.cipher(encryption, keys.encryption)?)
                },
                mac: provider.mac(integrity, keys.integrity)?,
            },
            None => {
                let mut salt = Zeroizing::new([0; 4]);
                for (byte, given) in salt.iter_mut().zip(keys.salt) {
                    *byte = *given;
                }
                Protection::Combined { aead: provider.aead(encryption, keys.encryption)?, salt }
            }
        };
        Ok(Self {
            spi: config.spi,
            transform,
            mode: config.mode,
            extended_sequence: config.extended_sequence,
            tolerate_odd_padding: config.tolerate_odd_padding,
            protection,
        })
    }

    /// The SPI in each packet.
    #[must_use]
    pub const fn spi(&self) -> Spi {
        self.spi
    }

    /// The algorithms.
    #[must_use]
    pub const fn transform(&self) -> Transform {
        self.transform
    }

    /// What the payload is.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// Whether its packets are faster in batches, with others of the like.
    #[must_use]
    pub fn batches(&self) -> bool {
        match &self.protection {
            Protection::Separate { cipher, .. } => {
                cipher.as_ref().is_some_and(|cipher| cipher.batches())
            }
            Protection::Combined { .. } => false,
        }
    }

    pub(crate) const fn extended_sequence(&self) -> bool {
        self.extended_sequence
    }

    pub(crate) const fn tolerates_odd_padding(&self) -> bool {
        self.tolerate_odd_padding
    }

    /// An IV for one packet: for CBC drawn from `rng`, since it must be unpredictable (RFC 3602 §3);
    /// for GCM the packet's sequence number, since it must be unique (RFC 4106 §3.1), and nothing
    /// is drawn.
    #[must_use]
    pub fn draw_iv(&self, rng: &mut dyn CryptoRng) -> Iv {
        match &self.protection {
            Protection::Separate { cipher: Some(_), .. } => {
                let mut bytes = [0; MAX_IV_LEN];
                if let Some(bytes) = bytes.get_mut(..self.transform.encryption().iv_len()) {
                    rng.fill_bytes(bytes);
                }
                Iv(Source::Bytes(bytes))
            }
            Protection::Separate { cipher: None, .. } | Protection::Combined { .. } => {
                Iv(Source::Sequence)
            }
        }
    }

    /// Builds the ESP packet that `packet` is long enough for, around the payload of `payload_len`
    /// bytes that stands at its place there.
    pub(crate) fn seal(
        &self,
        sequence: u64,
        iv: &Iv,
        next_header: NextHeader,
        packet: &mut [u8],
        payload_len: usize,
    ) -> Result<(), Fault> {
        self.frame(sequence, iv, next_header, packet, payload_len)?;
        if let Some(mut job) = self.cipher_job(packet)? {
            job.encrypt();
            job.outcome().unwrap_or(Err(Fault))?;
        }
        self.authenticate(sequence, packet)
    }

    /// The first step of sealing: everything in clear, at its place.
    pub(crate) fn frame(
        &self,
        sequence: u64,
        iv: &Iv,
        next_header: NextHeader,
        packet: &mut [u8],
        payload_len: usize,
    ) -> Result<(), Fault> {
        let [_, _, _, _, a, b, c, d] = sequence.to_be_bytes();
        let low = u32::from_be_bytes([a, b, c, d]);
        let (header, rest) = packet.split_first_chunk_mut().ok_or(Fault)?;
        *header = Header { spi: self.spi, sequence: low }.encode();

        let iv_len = self.transform.encryption().iv_len();
        let (iv_field, rest) = rest.split_at_mut_checked(iv_len).ok_or(Fault)?;
        iv.write(sequence, iv_field);

        let plaintext_len = payload_len.saturating_add(self.transform.trailer_len(payload_len));
        let plaintext = rest.get_mut(..plaintext_len).ok_or(Fault)?;
        trailer::write(plaintext.get_mut(payload_len..).ok_or(Fault)?, next_header);
        Ok(())
    }

    /// The second step, where encryption is a step of its own: what is to be encrypted, and by what.
    /// In opening it is what is to be decrypted.
    pub(crate) fn cipher_job<'a>(
        &'a self,
        packet: &'a mut [u8],
    ) -> Result<Option<CipherJob<'a>>, Fault> {
        let Protection::Separate { cipher: Some(cipher), .. } = &self.protection else {
            return Ok(None);
        };
        let end = packet.len().checked_sub(self.transform.icv_len()).ok_or(Fault)?;
        let body = packet.get_mut(..end).ok_or(Fault)?;
        let (clear, plaintext) =
            body.split_at_mut_checked(self.transform.headroom()).ok_or(Fault)?;
        Ok(Some(CipherJob::new(&**cipher, clear.get(Header::LEN..).ok_or(Fault)?, plaintext)))
    }

    /// The last step: the ICV, and encryption with it where they are one.
    pub(crate) fn authenticate(&self, sequence: u64, packet: &mut [u8]) -> Result<(), Fault> {
        match &self.protection {
            Protection::Separate { mac, .. } => {
                let (authenticated, icv) = self.split_icv(packet).ok_or(Fault)?;
                mac.sign([authenticated, self.implicit(&sequence.to_be_bytes())], icv)
            }
            Protection::Combined { aead, salt } => {
                let (clear, rest) =
                    packet.split_at_mut_checked(self.transform.headroom()).ok_or(Fault)?;
                let (plaintext, icv) = rest.split_last_chunk_mut::<GCM_ICV_LEN>().ok_or(Fault)?;
                let nonce = nonce(salt, clear.get(Header::LEN..).ok_or(Fault)?).ok_or(Fault)?;
                aead.seal(&nonce, self.aad(sequence).bytes(), plaintext, icv)
            }
        }
    }

    /// The first step of opening `packet`, whose length was checked: the ICV, and decryption with it
    /// where they are one. If it does not hold, no plaintext is left.
    pub(crate) fn verify(&self, sequence: u64, packet: &mut [u8]) -> Result<(), OpenError> {
        let holds = match &self.protection {
            Protection::Separate { mac, .. } => {
                let (authenticated, icv) = self.split_icv(packet).ok_or(Fault)?;
                mac.verify([authenticated, self.implicit(&sequence.to_be_bytes())], icv)?
            }
            Protection::Combined { aead, salt } => {
                let (clear, rest) =
                    packet.split_at_mut_checked(self.transform.headroom()).ok_or(Fault)?;
                let (ciphertext, icv) = rest.split_last_chunk_mut::<GCM_ICV_LEN>().ok_or(Fault)?;
                let nonce = nonce(salt, clear.get(Header::LEN..).ok_or(Fault)?).ok_or(Fault)?;
                aead.open(&nonce, self.aad(sequence).bytes(), ciphertext, icv)?
            }
        };
        if holds { Ok(()) } else { Err(OpenError::IntegrityCheck { spi: self.spi }) }
    }

    /// Where in an opened packet the plaintext is, trailer included.
    pub(crate) fn plaintext(&self, packet: &[u8]) -> Range<usize> {
        self.transform.headroom()..packet.len().saturating_sub(self.transform.icv_len())
    }

    fn split_icv<'a>(&self, packet: &'a mut [u8]) -> Option<(&'a [u8], &'a mut [u8])> {
        let end = packet.len().checked_sub(self.transform.icv_len())?;
        let (authenticated, icv) = packet.split_at_mut_checked(end)?;
        Some((authenticated, icv))
    }

    /// What the ICV covers behind the packet although it is not sent: the high half of an extended
    /// sequence number (RFC 4303 §2.2.1).
    const fn implicit<'a>(&self, sequence: &'a [u8; 8]) -> &'a [u8] {
        match sequence.split_first_chunk::<4>() {
            Some((high, _)) if self.extended_sequence => high,
            _ => &[],
        }
    }

    /// GCM's additional data: SPI and sequence number, an extended one as a whole (RFC 4106 §5).
    fn aad(&self, sequence: u64) -> Aad {
        let [a, b, c, d] = self.spi.0.to_be_bytes();
        let [h, i, j, k, l, m, n, o] = sequence.to_be_bytes();
        if self.extended_sequence {
            Aad { bytes: [a, b, c, d, h, i, j, k, l, m, n, o], len: 12 }
        } else {
            Aad { bytes: [a, b, c, d, l, m, n, o, 0, 0, 0, 0], len: 8 }
        }
    }
}

struct Aad {
    bytes: [u8; 12],
    len: usize,
}

impl Aad {
    fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// GCM's nonce: salt and IV (RFC 4106 §4).
fn nonce(salt: &[u8; 4], iv: &[u8]) -> Option<[u8; 12]> {
    let [a, b, c, d] = *salt;
    let [e, f, g, h, i, j, k, l] = iv.try_into().ok()?;
    Some([a, b, c, d, e, f, g, h, i, j, k, l])
}

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Key")
            .field("spi", &self.spi)
            .field("transform", &format_args!("{}", self.transform))
            .field("mode", &self.mode)
            .field("extended_sequence", &self.extended_sequence)
            .finish_non_exhaustive()
    }
}

/// The initialisation vector of one packet; see [`Key::draw_iv`].
#[derive(Debug)]
pub struct Iv(Source);

#[derive(Debug)]
enum Source {
    Sequence,
    Bytes([u8; MAX_IV_LEN]),
}

impl Iv {
    /// An IV of the caller's own, of which the transform takes as many bytes as it needs from the
    /// front: for known answers. One that repeats under the same GCM key gives the key away; one
    /// that can be guessed weakens CBC.
    #[must_use]
    pub const fn dangerous_explicit(bytes: [u8; 16]) -> Self {
        Self(Source::Bytes(bytes))
    }

    /// Fills `field` from the front of the IV.
    fn write(&self, sequence: u64, field: &mut [u8]) {
        // Only GCM and NULL draw nothing; their IVs are 8 bytes and none.
        let sequence = sequence.to_be_bytes();
        let bytes = match &self.0 {
            Source::Bytes(bytes) => &bytes[..],
            Source::Sequence => &sequence,
        };
        // The lengths that there are, so that each is one store.
        if let (Ok(field), Some(bytes)) =
            (<&mut [u8; 8]>::try_from(&mut *field), bytes.first_chunk())
        {
            *field = *bytes;
        } else {
            for (field, byte) in field.iter_mut().zip(bytes) {
                *field = *byte;
            }
        }
    }
}
