use alloc::vec::Vec;
use core::fmt;

use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::SecurityParameterIndex;
use super::reader::Reader;

/// What an authentication extension holds: with Cisco, the string of `ip nhrp authentication`.
///
/// It crosses the network in clear text and keeps apart networks that should not meet, no more.
/// Still it is treated as a secret: compared in constant time, wiped, not printed by `Debug`.
#[derive(Clone)]
pub struct AuthenticationString(Zeroizing<Vec<u8>>);

impl AuthenticationString {
    /// The string of these octets.
    #[must_use]
    pub fn new(octets: &[u8]) -> Self {
        Self(Zeroizing::new(octets.to_vec()))
    }

    /// Its length in octets.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it has no octets.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The octets, which `debug nhrp` prints and the wire shows.
    #[must_use]
    pub fn dangerous_octets(&self) -> &[u8] {
        &self.0
    }
}

impl PartialEq for AuthenticationString {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for AuthenticationString {}

impl fmt::Debug for AuthenticationString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuthenticationString(..)")
    }
}

/// The value of an authentication extension (RFC 2332 §5.3.4.1) as Cisco sends it: without the
/// source address that the RFC has before the data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authentication {
    /// Reserved.
    pub reserved: u16,
    /// How the data is to be understood.
    pub spi: SecurityParameterIndex,
    /// The data; under an SPI of the RFC's, the source address and the digest.
    pub data: AuthenticationString,
}

impl Authentication {
    /// Octets before the data.
    pub const FIXED_LEN: usize = 4;

    /// Cisco's clear-text authentication.
    #[must_use]
    pub const fn clear_text(string: AuthenticationString) -> Self {
        Self { reserved: 0, spi: SecurityParameterIndex::CLEAR_TEXT, data: string }
    }

    /// `None` where there is not even room for the SPI.
    pub(super) fn read(mut reader: Reader<'_>) -> Option<Self> {
        let [r0, r1, s0, s1] = reader.array("authentication").ok()?;
        Some(Self {
            reserved: u16::from_be_bytes([r0, r1]),
            spi: SecurityParameterIndex(u16::from_be_bytes([s0, s1])),
            data: AuthenticationString::new(reader.rest()),
        })
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.extend(self.reserved.to_be_bytes());
        out.extend(self.spi.0.to_be_bytes());
        out.extend_from_slice(&self.data.0);
    }
}
