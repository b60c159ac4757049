//! Which algorithms protect an SA, and the sizes that follow from them.

use core::fmt;

use crate::wire::{Header, trailer};

/// An encryption algorithm, with its key length in bits where there are several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Encryption {
    /// No encryption (RFC 2410).
    Null,
    /// 3DES in CBC mode (RFC 2451). Legacy: 64-bit blocks.
    TripleDesCbc,
    /// AES-128 in CBC mode (RFC 3602).
    AesCbc128,
    /// AES-192 in CBC mode (RFC 3602).
    AesCbc192,
    /// AES-256 in CBC mode (RFC 3602).
    AesCbc256,
    /// AES-128 in GCM with a 16-byte ICV (RFC 4106): encrypts and authenticates.
    AesGcm128,
    /// AES-192 in GCM with a 16-byte ICV (RFC 4106): encrypts and authenticates.
    AesGcm192,
    /// AES-256 in GCM with a 16-byte ICV (RFC 4106): encrypts and authenticates.
    AesGcm256,
}

impl Encryption {
    /// Length of the key in bytes, without GCM's salt.
    #[must_use]
    pub const fn key_len(self) -> usize {
        match self {
            Self::Null => 0,
            Self::AesCbc128 | Self::AesGcm128 => 16,
            Self::TripleDesCbc | Self::AesCbc192 | Self::AesGcm192 => 24,
            Self::AesCbc256 | Self::AesGcm256 => 32,
        }
    }

    /// Length in bytes of GCM's salt, which the keying material holds behind the key
    /// (RFC 4106 §8.1); 0 for the others.
    #[must_use]
    pub const fn salt_len(self) -> usize {
        if self.is_combined() { 4 } else { 0 }
    }

    /// Length in bytes of the IV in each packet.
    #[must_use]
    pub const fn iv_len(self) -> usize {
        match self {
            Self::Null => 0,
            Self::TripleDesCbc | Self::AesGcm128 | Self::AesGcm192 | Self::AesGcm256 => 8,
            Self::AesCbc128 | Self::AesCbc192 | Self::AesCbc256 => 16,
        }
    }

    /// What the length of a plaintext, trailer included, is a multiple of, in bytes: the cipher's
    /// block, or the 4 bytes that align the ICV (RFC 4303 §2.4).
    #[must_use]
    pub const fn alignment(self) -> usize {
        match self {
            Self::Null | Self::AesGcm128 | Self::AesGcm192 | Self::AesGcm256 => 4,
            Self::TripleDesCbc => 8,
            Self::AesCbc128 | Self::AesCbc192 | Self::AesCbc256 => 16,
        }
    }

    /// Whether the algorithm authenticates too (RFC 4303 §3.2.3).
    #[must_use]
    pub const fn is_combined(self) -> bool {
        matches!(self, Self::AesGcm128 | Self::AesGcm192 | Self::AesGcm256)
    }
}

/// An integrity algorithm: a truncated HMAC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Integrity {
    /// HMAC-MD5-96 (RFC 2403). Legacy.
    HmacMd5,
    /// HMAC-SHA-1-96 (RFC 2404). Legacy.
    HmacSha1,
    /// HMAC-SHA-256-128 (RFC 4868).
    HmacSha256,
    /// HMAC-SHA-384-192 (RFC 4868).
    HmacSha384,
    /// HMAC-SHA-512-256 (RFC 4868).
    HmacSha512,
}

impl Integrity {
    /// Length of the key in bytes: that of the hash.
    #[must_use]
    pub const fn key_len(self) -> usize {
        match self {
            Self::HmacMd5 => 16,
            Self::HmacSha1 => 20,
            Self::HmacSha256 => 32,
            Self::HmacSha384 => 48,
            Self::HmacSha512 => 64,
        }
    }

    /// Length in bytes of the ICV in each packet.
    #[must_use]
    pub const fn icv_len(self) -> usize {
        match self {
            Self::HmacMd5 | Self::HmacSha1 => 12,
            Self::HmacSha256 => 16,
            Self::HmacSha384 => 24,
            Self::HmacSha512 => 32,
        }
    }
}

/// Length in bytes of GCM's ICV.
pub(crate) const GCM_ICV_LEN: usize = 16;

/// The algorithms of an SA. Every transform authenticates: there is none that only encrypts, or
/// does neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Transform {
    encryption: Encryption,
    integrity: Option<Integrity>,
    // Lengths in bytes that follow from the algorithms, and that each packet asks for.
    headroom: usize,
    alignment: usize,
    icv_len: usize,
}

impl Transform {
    /// `esp-3des esp-sha-hmac`, of Cisco's DMVPN guides. Legacy, for interoperability.
    pub const ESP_3DES_SHA: Self = Self::of(Encryption::TripleDesCbc, Some(Integrity::HmacSha1));
    /// `esp-gcm 256`: the choice for a deployment whose peers have it.
    pub const ESP_GCM_256: Self = Self::of(Encryption::AesGcm256, None);

    /// Combines `encryption` with `integrity`, which is `None` for GCM and only for GCM.
    ///
    /// # Errors
    ///
    /// See [`TransformError`].
    pub const fn new(
        encryption: Encryption,
        integrity: Option<Integrity>,
    ) -> Result<Self, TransformError> {
        match (encryption.is_combined(), integrity.is_some()) {
            (false, false) => Err(TransformError::NoIntegrity(encryption)),
            (true, true) => Err(TransformError::IntegrityTwice(encryption)),
            (true, false) | (false, true) => Ok(Self::of(encryption, integrity)),
        }
    }

    const fn of(encryption: Encryption, integrity: Option<Integrity>) -> Self {
        let icv_len = match integrity {
            Some(integrity) => integrity.icv_len(),
            None => GCM_ICV_LEN,
        };
        Self {
            encryption,
            integrity,
            headroom: Header::LEN.saturating_add(encryption.iv_len()),
            alignment: encryption.alignment(),
            icv_len,
        }
    }

    /// The encryption algorithm.
    #[must_use]
    pub const fn encryption(self) -> Encryption {
        self.encryption
    }

    /// The integrity algorithm, unless the encryption algorithm authenticates.
    #[must_use]
    pub const fn integrity(self) -> Option<Integrity> {
        self.integrity
    }

    /// Length in bytes of the ICV in each packet.
    #[must_use]
    pub const fn icv_len(self) -> usize {
        self.icv_len
    }

    /// Bytes of keying material that each direction's SA takes.
    #[must_use]
    pub const fn keymat_len(self) -> usize {
        let encryption = self.encryption.key_len().saturating_add(self.encryption.salt_len());
        match self.integrity {
            Some(integrity) => encryption.saturating_add(integrity.key_len()),
            None => encryption,
        }
    }

    /// Cuts the keying material of one SA into its keys: encryption first, then integrity
    /// (RFC 2401 §4.4.3, RFC 4301 §4.5.2), GCM's salt behind its key (RFC 4106 §8.1).
    ///
    /// # Errors
    ///
    /// `keymat` is not [`Transform::keymat_len`] bytes long.
    pub fn split(self, keymat: &[u8]) -> Result<SplitKeymat<'_>, KeymatError> {
        let needed = self.keymat_len();
        let wrong = KeymatError { needed, have: keymat.len() };
        if keymat.len() != needed {
            return Err(wrong);
        }
        let (encryption, rest) = keymat.split_at_checked(self.encryption.key_len()).ok_or(wrong)?;
        let (salt, integrity) = rest.split_at_checked(self.encryption.salt_len()).ok_or(wrong)?;
        Ok(SplitKeymat { encryption, salt, integrity })
    }

    /// Bytes in front of a payload: ESP header and IV.
    #[must_use]
    pub const fn headroom(self) -> usize {
        self.headroom
    }

    /// Bytes behind a payload of `payload` bytes: padding, trailer and ICV.
    #[must_use]
    pub const fn tailroom(self, payload: usize) -> usize {
        self.trailer_len(payload).saturating_add(self.icv_len())
    }

    /// Length in bytes of the ESP packet around a payload of `payload` bytes, without the IP or UDP
    /// header in front.
    #[must_use]
    pub const fn sealed_len(self, payload: usize) -> usize {
        self.headroom().saturating_add(payload).saturating_add(self.tailroom(payload))
    }

    /// The longest payload whose ESP packet is at most `sealed` bytes long, in bytes, or `None` if
    /// not even an empty one is.
    ///
    /// `sealed` is what a path leaves: its MTU less the IP header, and less 8 bytes of UDP header
    /// with NAT traversal. In transport mode the payload is what follows the IP header; in tunnel
    /// mode it is the inner packet.
    #[must_use]
    pub const fn max_payload(self, sealed: usize) -> Option<usize> {
        let fixed = self.headroom().saturating_add(self.icv_len());
        let Some(room) = sealed.checked_sub(fixed) else { return None };
        (room & !self.alignment_mask()).checked_sub(trailer::LEN)
    }

    /// Padding, pad length and next header behind `payload` bytes.
    pub(crate) const fn trailer_len(self, payload: usize) -> usize {
        let filled = payload.saturating_add(trailer::LEN);
        let padding = filled.wrapping_neg() & self.alignment_mask();
        padding.saturating_add(trailer::LEN)
    }

    /// Alignments are powers of two.
    const fn alignment_mask(self) -> usize {
        self.alignment.saturating_sub(1)
    }
}

impl fmt::Display for Transform {
    /// As IOS writes it: `esp-3des esp-sha-hmac`, `esp-aes 256 esp-sha256-hmac`, `esp-gcm 256`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self.encryption {
            Encryption::Null => "esp-null",
            Encryption::TripleDesCbc => "esp-3des",
            Encryption::AesCbc128 => "esp-aes",
            Encryption::AesCbc192 => "esp-aes 192",
            Encryption::AesCbc256 => "esp-aes 256",
            Encryption::AesGcm128 => "esp-gcm",
            Encryption::AesGcm192 => "esp-gcm 192",
            Encryption::AesGcm256 => "esp-gcm 256",
        })?;
        formatter.write_str(match self.integrity {
            None => "",
            Some(Integrity::HmacMd5) => " esp-md5-hmac",
            Some(Integrity::HmacSha1) => " esp-sha-hmac",
            Some(Integrity::HmacSha256) => " esp-sha256-hmac",
            Some(Integrity::HmacSha384) => " esp-sha384-hmac",
            Some(Integrity::HmacSha512) => " esp-sha512-hmac",
        })
    }
}

/// The keys of one SA, as [`Transform::split`] cuts them. `Debug` prints none of them.
#[derive(Clone, Copy)]
pub struct SplitKeymat<'a> {
    /// The encryption key; empty for NULL.
    pub encryption: &'a [u8],
    /// GCM's salt; empty for the others.
    pub salt: &'a [u8],
    /// The integrity key; empty for GCM.
    pub integrity: &'a [u8],
}

impl fmt::Debug for SplitKeymat<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SplitKeymat(..)")
    }
}

/// Why two algorithms make no transform.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TransformError {
    /// Neither authenticates. NULL without integrity protects nothing (RFC 4303 §1), and
    /// encryption without integrity does not keep its secrets from an active attacker.
    #[error("{0:?} needs an integrity algorithm")]
    NoIntegrity(Encryption),
    /// Both authenticate.
    #[error("{0:?} authenticates by itself and takes no integrity algorithm")]
    IntegrityTwice(Encryption),
}

/// Keying material of the wrong length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("keying material of {have} bytes, needed {needed}")]
pub struct KeymatError {
    /// What [`Transform::keymat_len`] says.
    pub needed: usize,
    /// What was given.
    pub have: usize,
}
