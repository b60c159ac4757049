use super::reader::Reader;
use super::{IdType, ParseError, PayloadType};
use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::net::IpAddr;

/// Under which numbers NAT traversal's payloads go: they changed with each vendor ID that a peer
/// may choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NatNumbering {
    /// RFC 3947 §8: 20 and 21.
    Rfc3947,
    /// draft-ietf-ipsec-nat-t-ike-04 to -08: 15 and 16.
    Draft07,
    /// draft-ietf-ipsec-nat-t-ike-00 to -03: 130 and 131, of private use.
    Draft03,
}

impl NatNumbering {
    /// The type of a NAT-D payload.
    #[must_use]
    pub const fn detection(self) -> PayloadType {
        match self {
            Self::Rfc3947 => PayloadType::NAT_DETECTION,
            Self::Draft07 => PayloadType::NAT_DETECTION_DRAFT_07,
            Self::Draft03 => PayloadType::NAT_DETECTION_DRAFT_03,
        }
    }

    /// The type of a NAT-OA payload.
    #[must_use]
    pub const fn original_address(self) -> PayloadType {
        match self {
            Self::Rfc3947 => PayloadType::NAT_ORIGINAL_ADDRESS,
            Self::Draft07 => PayloadType::NAT_ORIGINAL_ADDRESS_DRAFT_07,
            Self::Draft03 => PayloadType::NAT_ORIGINAL_ADDRESS_DRAFT_03,
        }
    }

    /// The numbering that has this type, if it is one of NAT traversal's.
    #[must_use]
    pub const fn of(payload_type: PayloadType) -> Option<Self> {
        match payload_type {
            PayloadType::NAT_DETECTION | PayloadType::NAT_ORIGINAL_ADDRESS => Some(Self::Rfc3947),
            PayloadType::NAT_DETECTION_DRAFT_07 | PayloadType::NAT_ORIGINAL_ADDRESS_DRAFT_07 => {
                Some(Self::Draft07)
            }
            PayloadType::NAT_DETECTION_DRAFT_03 | PayloadType::NAT_ORIGINAL_ADDRESS_DRAFT_03 => {
                Some(Self::Draft03)
            }
            _ => None,
        }
    }
}

/// A NAT-OA payload (RFC 3947 §5.2): an address before translation, in phase 2 with transport
/// mode.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NatOriginalAddress<'a> {
    /// [`IdType::IPV4_ADDR`] or [`IdType::IPV6_ADDR`].
    pub id_type: IdType,
    /// Three octets that the RFC reserves, 0. Some peers put a protocol and a port here.
    pub reserved: [u8; 3],
    /// The address.
    pub data: Cow<'a, [u8]>,
}

impl<'a> NatOriginalAddress<'a> {
    const FIXED: usize = 4;

    /// The payload for an address.
    #[must_use]
    pub fn new(address: IpAddr) -> Self {
        let (id_type, data) = match address {
            IpAddr::V4(address) => (IdType::IPV4_ADDR, address.octets().to_vec()),
            IpAddr::V6(address) => (IdType::IPV6_ADDR, address.octets().to_vec()),
        };
        Self { id_type, reserved: [0; 3], data: Cow::Owned(data) }
    }

    /// The address, if the type says so and the data has its length.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        address(self.id_type, &self.data)
    }

    /// Reads the body of a payload, which starts at `offset` of its message.
    ///
    /// # Errors
    ///
    /// [`ParseError::Truncated`] if it has fewer than four octets.
    pub fn parse(body: &'a [u8], offset: usize) -> Result<Self, ParseError> {
        let mut reader = Reader::new(body, offset);
        let mut fixed = reader.take("NAT-OA payload", Self::FIXED)?;
        Ok(Self {
            id_type: IdType(fixed.u8("ID type")?),
            reserved: fixed.array("reserved")?,
            data: Cow::Borrowed(reader.rest()),
        })
    }

    /// The octets of the body on the wire.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        self.data.len().saturating_add(Self::FIXED)
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.id_type.0);
        out.extend(self.reserved);
        out.extend_from_slice(&self.data);
    }
}

/// The address of `data` if `id_type` says that it is one and the length fits.
pub(super) fn address(id_type: IdType, data: &[u8]) -> Option<IpAddr> {
    match id_type {
        IdType::IPV4_ADDR => <[u8; 4]>::try_from(data).ok().map(IpAddr::from),
        IdType::IPV6_ADDR => <[u8; 16]>::try_from(data).ok().map(IpAddr::from),
        _ => None,
    }
}
