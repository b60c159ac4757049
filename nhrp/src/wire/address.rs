use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::reader::Reader;
use super::{BuildError, ParseError};

/// An address of any length, in a packet: a protocol address, or the octets of an NBMA address.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(Octets);

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Octets {
    Four([u8; 4]),
    Sixteen([u8; 16]),
    Other(Box<[u8]>),
}

impl Address {
    /// The address that these octets are.
    #[must_use]
    pub fn new(octets: &[u8]) -> Self {
        Self(if let Ok(octets) = octets.try_into() {
            Octets::Four(octets)
        } else if let Ok(octets) = octets.try_into() {
            Octets::Sixteen(octets)
        } else {
            Octets::Other(octets.into())
        })
    }

    /// No address: its length is coded as zero.
    #[must_use]
    pub fn none() -> Self {
        Self(Octets::Other(Box::default()))
    }

    /// Its octets.
    #[must_use]
    pub const fn octets(&self) -> &[u8] {
        match &self.0 {
            Octets::Four(octets) => octets,
            Octets::Sixteen(octets) => octets,
            Octets::Other(octets) => octets,
        }
    }

    /// The IP address that it is by its length: 4 octets or 16.
    #[must_use]
    pub const fn ip(&self) -> Option<IpAddr> {
        match self.0 {
            Octets::Four([a, b, c, d]) => Some(IpAddr::V4(Ipv4Addr::new(a, b, c, d))),
            Octets::Sixteen(octets) => {
                Some(IpAddr::V6(Ipv6Addr::from_bits(u128::from_be_bytes(octets))))
            }
            Octets::Other(_) => None,
        }
    }

    /// Whether it has no octets.
    #[must_use]
    pub const fn is_none(&self) -> bool {
        self.octets().is_empty()
    }

    pub(super) fn read(
        reader: &mut Reader<'_>,
        what: &'static str,
        length: usize,
    ) -> Result<Self, ParseError> {
        reader.octets(what, length).map(Self::new)
    }

    /// Its length as the field of one octet says it.
    pub(super) fn length(&self, what: &'static str) -> Result<u8, BuildError> {
        let length = self.octets().len();
        u8::try_from(length).map_err(|_| BuildError { what, length, maximum: 255 })
    }
}

impl From<IpAddr> for Address {
    fn from(address: IpAddr) -> Self {
        Self(match address {
            IpAddr::V4(address) => Octets::Four(address.octets()),
            IpAddr::V6(address) => Octets::Sixteen(address.octets()),
        })
    }
}

/// An IP address as such, other octets in hexadecimal.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ip() {
            Some(address) => address.fmt(f),
            None => self.octets().iter().try_for_each(|octet| write!(f, "{octet:02x}")),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

/// The two high bits of a type/length octet (RFC 2332 §5.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NbmaFormat(u8);

impl NbmaFormat {
    /// NSAP, or whatever is native to the network: IP.
    pub const NSAP: Self = Self(0);
    /// Native E.164.
    pub const E164: Self = Self(0x40);

    /// The format in the high bits of a type/length octet.
    #[must_use]
    pub const fn new(type_length: u8) -> Self {
        Self(type_length & 0xc0)
    }

    /// Its bits, where they stand in a type/length octet.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }
}

impl fmt::Display for NbmaFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0 & Self::E164.0 == 0 { "NSAP" } else { "E.164" })
    }
}

/// An NBMA address or subaddress with its format, at most 63 octets.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NbmaAddress {
    /// Its format.
    pub format: NbmaFormat,
    /// Its octets.
    pub address: Address,
}

impl NbmaAddress {
    /// No address.
    #[must_use]
    pub fn none() -> Self {
        Self { format: NbmaFormat::NSAP, address: Address::none() }
    }

    /// The IP address that it is.
    #[must_use]
    pub const fn ip(&self) -> Option<IpAddr> {
        if self.format.0 == 0 { self.address.ip() } else { None }
    }

    pub(super) fn read(
        reader: &mut Reader<'_>,
        what: &'static str,
        type_length: u8,
    ) -> Result<Self, ParseError> {
        let address = Address::read(reader, what, usize::from(type_length & 0x3f))?;
        Ok(Self { format: NbmaFormat::new(type_length), address })
    }

    /// Its type/length octet.
    pub(super) fn type_length(&self, what: &'static str) -> Result<u8, BuildError> {
        let length = self.address.octets().len();
        match u8::try_from(length) {
            Ok(length @ ..=0x3f) => Ok(self.format.0 | length),
            Ok(_) | Err(_) => Err(BuildError { what, length, maximum: 0x3f }),
        }
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.address.octets());
    }
}

impl From<IpAddr> for NbmaAddress {
    fn from(address: IpAddr) -> Self {
        Self { format: NbmaFormat::NSAP, address: address.into() }
    }
}

impl fmt::Display for NbmaAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
}
