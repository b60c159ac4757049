//! The ESP header (RFC 4303 §2.1, §2.2) and the protocol numbers of its trailer (§2.6).

use core::fmt;

/// Security Parameters Index (RFC 4303 §2.1): names an SA at its receiver, who chose it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Spi(pub u32);

impl Spi {
    /// Whether the value is one of 0 to 255: 0 is for local use and never sent, the others are
    /// IANA's (RFC 4303 §2.1).
    #[must_use]
    pub const fn is_reserved(self) -> bool {
        self.0 <= 255
    }
}

impl fmt::Display for Spi {
    /// As IOS prints it: `0xA259D71`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:#X}", self.0)
    }
}

impl fmt::Debug for Spi {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Spi({self})")
    }
}

/// What an ESP packet carries: an IP protocol number (RFC 4303 §2.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NextHeader(pub u8);

impl NextHeader {
    /// An IPv4 packet (tunnel mode).
    pub const IPV4: Self = Self(4);
    /// TCP.
    pub const TCP: Self = Self(6);
    /// UDP.
    pub const UDP: Self = Self(17);
    /// An IPv6 packet (tunnel mode).
    pub const IPV6: Self = Self(41);
    /// GRE: what DMVPN carries in transport mode.
    pub const GRE: Self = Self(47);
    /// A dummy packet, dropped by its receiver without prejudice.
    pub const NONE: Self = Self(59);
}

impl fmt::Display for NextHeader {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// The eight bytes in front of every ESP packet, sent in the clear: enough to find the SA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The SA at the receiver.
    pub spi: Spi,
    /// The sequence number, or the low 32 bits of an extended one (RFC 4303 §2.2.1).
    pub sequence: u32,
}

impl Header {
    /// Length on the wire, in bytes.
    pub const LEN: usize = 8;

    /// Splits `packet` into its header and what follows: IV, ciphertext and ICV, whose lengths only
    /// the SA tells.
    ///
    /// # Errors
    ///
    /// `packet` is shorter than a header.
    pub fn parse(packet: &[u8]) -> Result<(Self, &[u8]), ParseError> {
        let Some(([a, b, c, d], rest)) = packet.split_first_chunk() else {
            return Err(ParseError::Truncated {
                what: "spi",
                offset: 0,
                needed: 4,
                have: packet.len(),
            });
        };
        let Some(([e, f, g, h], body)) = rest.split_first_chunk() else {
            return Err(ParseError::Truncated {
                what: "sequence number",
                offset: 4,
                needed: 4,
                have: rest.len(),
            });
        };
        let spi = Spi(u32::from_be_bytes([*a, *b, *c, *d]));
        let sequence = u32::from_be_bytes([*e, *f, *g, *h]);
        Ok((Self { spi, sequence }, body))
    }

    /// The header as it is sent.
    #[must_use]
    pub const fn encode(&self) -> [u8; Self::LEN] {
        let [a, b, c, d] = self.spi.0.to_be_bytes();
        let [e, f, g, h] = self.sequence.to_be_bytes();
        [a, b, c, d, e, f, g, h]
    }
}

/// Why bytes are not an ESP header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// The bytes end inside a field.
    #[error("truncated {what} at offset {offset}: needed {needed} bytes, have {have}")]
    Truncated {
        /// The field.
        what: &'static str,
        /// Where it starts, in bytes from the front of the packet.
        offset: usize,
        /// Its length.
        needed: usize,
        /// How many bytes are left from `offset` on.
        have: usize,
    },
}
