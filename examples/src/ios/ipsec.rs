//! The `crypto ipsec` sections.

use super::DhGroup;

/// `crypto ipsec transform-set`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransformSet {
    /// Its name.
    pub name: String,
    /// The ESP cipher.
    pub encryption: EspEncryption,
    /// The ESP integrity algorithm; none exactly with a combined cipher (GCM).
    pub integrity: Option<EspIntegrity>,
    /// `mode`: tunnel unless stated.
    pub mode: EspMode,
}

/// The cipher of a transform set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EspEncryption {
    /// `esp-null`
    Null,
    /// `esp-3des`
    TripleDes,
    /// `esp-aes` or `esp-aes 128`
    Aes128,
    /// `esp-aes 192`
    Aes192,
    /// `esp-aes 256`
    Aes256,
    /// `esp-gcm` or `esp-gcm 128`
    AesGcm128,
    /// `esp-gcm 192`
    AesGcm192,
    /// `esp-gcm 256`
    AesGcm256,
}

impl EspEncryption {
    /// Whether the cipher authenticates too, so that no integrity algorithm goes with it.
    #[must_use]
    pub fn is_combined(self) -> bool {
        matches!(self, Self::AesGcm128 | Self::AesGcm192 | Self::AesGcm256)
    }
}

/// The integrity algorithm of a transform set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EspIntegrity {
    /// `esp-md5-hmac`
    Md5,
    /// `esp-sha-hmac`
    Sha1,
    /// `esp-sha256-hmac`
    Sha256,
    /// `esp-sha384-hmac`
    Sha384,
    /// `esp-sha512-hmac`
    Sha512,
}

/// `mode` of a transform set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EspMode {
    /// `mode tunnel`
    Tunnel,
    /// `mode transport`
    Transport,
}

/// `crypto ipsec profile`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IpsecProfile {
    /// Its name.
    pub name: String,
    /// `set transform-set`: the names of sets that are defined, the preferred one first; at least
    /// one, and all of the same mode.
    pub transform_sets: Vec<String>,
    /// `set pfs`: the group of quick mode's own exchange; none without the line.
    pub pfs: Option<DhGroup>,
    /// `set security-association lifetime seconds`: 3600 unless stated.
    pub lifetime_seconds: u32,
    /// `set security-association lifetime kilobytes`: 4608000 unless stated.
    pub lifetime_kilobytes: u32,
    /// `set security-association replay`: a window of 64 packets unless stated.
    pub replay: Replay,
}

/// Protection against replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replay {
    /// `replay disable`
    Disabled,
    /// `replay window-size`, in packets.
    Window(u16),
}
