//! The code points by which phase 1 names its algorithms (RFC 2409 appendix A and its registry).

use core::fmt;

/// Attribute class 1, "Encryption Algorithm". The key length of AES is an attribute of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EncryptionAlgorithm(pub u16);

impl EncryptionAlgorithm {
    /// DES-CBC; known by name only, no provider here has it.
    pub const DES_CBC: Self = Self(1);
    /// 3DES-CBC, 24-byte keys. Legacy.
    pub const TRIPLE_DES_CBC: Self = Self(5);
    /// AES-CBC with 16, 24 or 32-byte keys (RFC 3602).
    pub const AES_CBC: Self = Self(7);
}

impl fmt::Display for EncryptionAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::DES_CBC => f.write_str("DES-CBC"),
            Self::TRIPLE_DES_CBC => f.write_str("3DES-CBC"),
            Self::AES_CBC => f.write_str("AES-CBC"),
            Self(value) => write!(f, "encryption algorithm {value}"),
        }
    }
}

/// Attribute class 2, "Hash Algorithm". Its HMAC is the prf of the exchange (RFC 2409 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HashAlgorithm(pub u16);

impl HashAlgorithm {
    /// MD5, 16 bytes. Legacy.
    pub const MD5: Self = Self(1);
    /// SHA-1, 20 bytes. Legacy.
    pub const SHA1: Self = Self(2);
    /// SHA-256, 32 bytes.
    pub const SHA2_256: Self = Self(4);
    /// SHA-384, 48 bytes.
    pub const SHA2_384: Self = Self(5);
    /// SHA-512, 64 bytes.
    pub const SHA2_512: Self = Self(6);
}

impl fmt::Display for HashAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::MD5 => f.write_str("MD5"),
            Self::SHA1 => f.write_str("SHA-1"),
            Self::SHA2_256 => f.write_str("SHA-256"),
            Self::SHA2_384 => f.write_str("SHA-384"),
            Self::SHA2_512 => f.write_str("SHA-512"),
            Self(value) => write!(f, "hash algorithm {value}"),
        }
    }
}

/// Attribute class 4, "Group Description": a Diffie-Hellman group. Phase 2 names the group of its
/// perfect forward secrecy by the same numbers (RFC 2407 §4.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Group(pub u16);

impl Group {
    /// Group 1, MODP 768 (RFC 2409 §6.1). Legacy: within reach of an attacker today.
    pub const MODP_768: Self = Self(1);
    /// Group 2, MODP 1024 (RFC 2409 §6.2). Legacy.
    pub const MODP_1024: Self = Self(2);
    /// Group 5, MODP 1536 (RFC 3526 §2). Legacy.
    pub const MODP_1536: Self = Self(5);
    /// Group 14, MODP 2048 (RFC 3526 §3).
    pub const MODP_2048: Self = Self(14);
    /// Group 15, MODP 3072 (RFC 3526 §4).
    pub const MODP_3072: Self = Self(15);
    /// Group 16, MODP 4096 (RFC 3526 §5).
    pub const MODP_4096: Self = Self(16);
    /// Group 19, the 256-bit random ECP group (RFC 5903 §3.1), P-256 elsewhere.
    pub const ECP_256: Self = Self(19);
    /// Group 20, the 384-bit random ECP group (RFC 5903 §3.2), P-384 elsewhere.
    pub const ECP_384: Self = Self(20);
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "group {}", self.0)
    }
}
