//! The GRE header: RFC 2784 §2.1, with the fields of RFC 2890 §2.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! |C|R|K|S|s|  Reserved0      | Ver |         Protocol Type         |
//! |      Checksum (if C)          |       Reserved1 (if C)          |
//! |                           Key (if K)                            |
//! |                     Sequence Number (if S)                      |
//! ```

use core::fmt;

use crate::checksum::internet_checksum;

const CHECKSUM_PRESENT: u16 = 0x8000;
const KEY_PRESENT: u16 = 0x2000;
const SEQUENCE_PRESENT: u16 = 0x1000;
/// Bits 1, 4 and 5: routing, strict source route and the first bit of the recursion control of
/// RFC 1701. Bits 2 and 3 became the key and the sequence number of RFC 2890.
const MUST_BE_ZERO: u16 = 0x4c00;
/// Bits 6 to 12.
const RESERVED0: u16 = 0x03f8;
const VERSION: u16 = 0x0007;

/// What a GRE packet carries: an EtherType (RFC 2784 §2.4).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProtocolType(pub u16);

impl ProtocolType {
    /// Cisco's GRE keepalive, an empty packet that the far end sends back to its sender.
    pub const KEEPALIVE: Self = Self(0x0000);
    /// IPv4 (RFC 2784 §3).
    pub const IPV4: Self = Self(0x0800);
    /// NHRP, directly after the GRE header (RFC 2332 §5).
    pub const NHRP: Self = Self(0x2001);
    /// IPv6 (RFC 7676).
    pub const IPV6: Self = Self(0x86dd);
}

impl fmt::Debug for ProtocolType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ProtocolType({self})")
    }
}

impl fmt::Display for ProtocolType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:#06x}", self.0)
    }
}

/// Bits 6 to 12 of the header: sent as zero, ignored on receipt, kept so that a packet that is
/// parsed and built again is the same packet (RFC 2784 §2.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Reserved0(u8);

impl Reserved0 {
    /// The lower seven bits of `bits`; bit 12 of the header is the lowest.
    #[must_use]
    pub const fn from_bits_truncate(bits: u8) -> Self {
        Self(bits & 0x7f)
    }

    /// The seven bits; bit 12 of the header is the lowest.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }
}

/// The second word of a header with the checksum bit (RFC 2784 §2.5, §2.6), as it stands on the
/// wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Checksum {
    /// The Internet checksum over GRE header and payload.
    pub value: u16,
    /// Sent as zero, ignored on receipt.
    pub reserved1: u16,
}

/// A GRE header of version 0, lossless: what [`Header::parse`] accepts, [`Header::encode`] builds
/// again bit for bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Header {
    /// What follows the header.
    pub protocol: ProtocolType,
    /// Present if the C bit is set. Neither checked by [`Header::parse`] nor computed by
    /// [`Header::encode`]: see [`Header::checksum_holds`] and [`Header::with_checksum_over`].
    pub checksum: Option<Checksum>,
    /// Present if the K bit is set (RFC 2890 §2.1).
    pub key: Option<u32>,
    /// Present if the S bit is set (RFC 2890 §2.2).
    pub sequence: Option<u32>,
    /// The bits that are ignored.
    pub reserved0: Reserved0,
}

impl Header {
    /// Length of the longest header, in bytes: checksum, key and sequence number all present.
    pub const MAX_LEN: usize = 16;

    /// A header without any optional field.
    #[must_use]
    pub const fn new(protocol: ProtocolType) -> Self {
        Self {
            protocol,
            checksum: None,
            key: None,
            sequence: None,
            reserved0: Reserved0::from_bits_truncate(0),
        }
    }

    /// Splits `packet` into its GRE header and the payload behind it.
    ///
    /// # Errors
    ///
    /// See [`ParseError`]. The checksum is not looked at.
    pub fn parse(packet: &[u8]) -> Result<(Self, &[u8]), ParseError> {
        let mut reader = Reader { packet, offset: 0 };
        let flags = u16::from_be_bytes(reader.take("flags and version")?);
        // RFC 2784 §2.3.1. Version 1 is PPTP's (RFC 2637), with other fields behind.
        if let version @ 1.. = flags & VERSION {
            return Err(ParseError::Version(version));
        }
        // RFC 2784 §2.3: discard, unless the receiver implements RFC 1701.
        if flags & MUST_BE_ZERO != 0 {
            return Err(ParseError::ReservedBits { flags });
        }
        let protocol = ProtocolType(u16::from_be_bytes(reader.take("protocol type")?));
        let checksum = if flags & CHECKSUM_PRESENT == 0 {
            None
        } else {
            let [a, b, c, d] = reader.take("checksum")?;
            Some(Checksum {
                value: u16::from_be_bytes([a, b]),
                reserved1: u16::from_be_bytes([c, d]),
            })
        };
        let key = if flags & KEY_PRESENT == 0 {
            None
        } else {
            Some(u32::from_be_bytes(reader.take("key")?))
        };
        let sequence = if flags & SEQUENCE_PRESENT == 0 {
            None
        } else {
            Some(u32::from_be_bytes(reader.take("sequence number")?))
        };
        let [_, reserved] = ((flags & RESERVED0) >> 3).to_be_bytes();
        let reserved0 = Reserved0::from_bits_truncate(reserved);
        Ok((Self { protocol, checksum, key, sequence, reserved0 }, reader.rest()))
    }

    /// Writes the header to the front of `out`; returns its length, which is
    /// [`Header::encoded_len`].
    ///
    /// # Errors
    ///
    /// `out` is shorter than that. Nothing is written then.
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, EncodeError> {
        let (needed, have) = (self.encoded_len(), out.len());
        let Some(mut out) = out.get_mut(..needed) else {
            return Err(EncodeError::BufferTooSmall { needed, have });
        };
        let mut flags = u16::from(self.reserved0.0) << 3;
        if self.checksum.is_some() {
            flags |= CHECKSUM_PRESENT;
        }
        if self.key.is_some() {
            flags |= KEY_PRESENT;
        }
        if self.sequence.is_some() {
            flags |= SEQUENCE_PRESENT;
        }
        put(&mut out, &flags.to_be_bytes());
        put(&mut out, &self.protocol.0.to_be_bytes());
        if let Some(checksum) = self.checksum {
            put(&mut out, &checksum.value.to_be_bytes());
            put(&mut out, &checksum.reserved1.to_be_bytes());
        }
        if let Some(key) = self.key {
            put(&mut out, &key.to_be_bytes());
        }
        if let Some(sequence) = self.sequence {
            put(&mut out, &sequence.to_be_bytes());
        }
        Ok(needed)
    }

    /// Length of the header on the wire: 4 to [`Header::MAX_LEN`] bytes.
    #[must_use]
    pub const fn encoded_len(&self) -> usize {
        match (self.checksum.is_some(), self.key.is_some(), self.sequence.is_some()) {
            (false, false, false) => 4,
            (true, false, false) | (false, true, false) | (false, false, true) => 8,
            (true, true, false) | (true, false, true) | (false, true, true) => 12,
            (true, true, true) => Self::MAX_LEN,
        }
    }

    /// The same header with the checksum over itself and `payload` (RFC 2784 §2.5).
    #[must_use]
    pub fn with_checksum_over(mut self, payload: &[u8]) -> Self {
        let reserved1 = self.checksum.map_or(0, |checksum| checksum.reserved1);
        self.checksum = Some(Checksum { value: 0, reserved1 });
        let value = self.sum(payload);
        self.checksum = Some(Checksum { value, reserved1 });
        self
    }

    /// Whether the checksum, if there is one, is the one over this header and `payload`.
    #[must_use]
    pub fn checksum_holds(&self, payload: &[u8]) -> bool {
        self.checksum.is_none() || self.sum(payload) == 0
    }

    /// Whether the packet is a Cisco keepalive on its way back: it carries protocol type 0.
    ///
    /// The keepalive as its sender emits it is an ordinary IPv4 packet to the receiving end, which
    /// routes it back without knowing.
    #[must_use]
    pub fn is_keepalive(&self) -> bool {
        self.protocol == ProtocolType::KEEPALIVE
    }

    fn sum(&self, payload: &[u8]) -> u16 {
        let mut bytes = [0; Self::MAX_LEN];
        // MAX_LEN bytes hold any header, and zeros behind a short one, which is a multiple of two
        // bytes long, add nothing.
        let _ = self.encode(&mut bytes);
        internet_checksum([&bytes, payload])
    }
}

/// Writes `bytes` to the front of `out` and moves past them. `out` has room: its length came from
/// `encoded_len`.
fn put(out: &mut &mut [u8], bytes: &[u8]) {
    if let Some((front, rest)) = core::mem::take(out).split_at_mut_checked(bytes.len()) {
        front.copy_from_slice(bytes);
        *out = rest;
    }
}

struct Reader<'a> {
    packet: &'a [u8],
    offset: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a [u8] {
        self.packet.get(self.offset..).unwrap_or_default()
    }

    fn take<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], ParseError> {
        let rest = self.rest();
        let Some(bytes) = rest.first_chunk::<N>() else {
            let offset = self.offset;
            return Err(ParseError::Truncated { what, offset, needed: N, have: rest.len() });
        };
        self.offset = self.offset.saturating_add(N);
        Ok(*bytes)
    }
}

/// Why bytes are not a GRE header of version 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// The bytes end inside a field.
    #[error("truncated {what} at offset {offset}: needed {needed} bytes, have {have}")]
    Truncated {
        /// The field.
        what: &'static str,
        /// Where it starts, in bytes from the front of the header.
        offset: usize,
        /// Its length.
        needed: usize,
        /// How many bytes are left from `offset` on.
        have: usize,
    },
    /// A version other than 0 (RFC 2784 §2.3.1).
    #[error("gre version {0}")]
    Version(u16),
    /// One of bits 1, 4 and 5 is set (RFC 2784 §2.3).
    #[error("gre flags {flags:#06x} set a bit among 1, 4 and 5")]
    ReservedBits {
        /// The first two bytes of the header.
        flags: u16,
    },
}

/// Why [`Header::encode`] could not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The buffer is shorter than the header.
    #[error("buffer too small: {needed} bytes needed, have {have}")]
    BufferTooSmall {
        /// Length of the header.
        needed: usize,
        /// Length of the buffer.
        have: usize,
    },
}
