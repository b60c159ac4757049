use super::ParseError;
use super::code_point::code_points;
use super::reader::Reader;
use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::net::IpAddr;

code_points! {
    /// The kind of an identity (RFC 2407 §4.6.2.1).
    IdType(u8), "ID type" {
        IPV4_ADDR = 1, "ID_IPV4_ADDR";
        FQDN = 2, "ID_FQDN";
        USER_FQDN = 3, "ID_USER_FQDN";
        IPV4_ADDR_SUBNET = 4, "ID_IPV4_ADDR_SUBNET";
        IPV6_ADDR = 5, "ID_IPV6_ADDR";
        IPV6_ADDR_SUBNET = 6, "ID_IPV6_ADDR_SUBNET";
        IPV4_ADDR_RANGE = 7, "ID_IPV4_ADDR_RANGE";
        IPV6_ADDR_RANGE = 8, "ID_IPV6_ADDR_RANGE";
        DER_ASN1_DN = 9, "ID_DER_ASN1_DN";
        DER_ASN1_GN = 10, "ID_DER_ASN1_GN";
        KEY_ID = 11, "ID_KEY_ID";
    }
}

/// An identification payload (RFC 2407 §4.6.2): the sender's identity in phase 1, one end of the
/// protected traffic in phase 2.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Identification<'a> {
    /// What the data is.
    pub id_type: IdType,
    /// The IP protocol it is restricted to, 0 for any.
    pub protocol: u8,
    /// The port it is restricted to, 0 for any.
    pub port: u16,
    /// The identity.
    pub data: Cow<'a, [u8]>,
}

impl<'a> Identification<'a> {
    const FIXED: usize = 4;

    /// One address.
    #[must_use]
    pub fn address(address: IpAddr, protocol: u8, port: u16) -> Self {
        let (id_type, data) = match address {
            IpAddr::V4(address) => (IdType::IPV4_ADDR, address.octets().to_vec()),
            IpAddr::V6(address) => (IdType::IPV6_ADDR, address.octets().to_vec()),
        };
        Self { id_type, protocol, port, data: Cow::Owned(data) }
    }

    /// The address, if the type says so and the data has its length.
    #[must_use]
    pub fn as_address(&self) -> Option<IpAddr> {
        super::nat_traversal::address(self.id_type, &self.data)
    }

    /// The address and mask of a subnet, or the first and last address of a range, as the type
    /// says, if the data has the length of two addresses.
    #[must_use]
    pub fn as_address_pair(&self) -> Option<(IpAddr, IpAddr)> {
        let id_type = match self.id_type {
            IdType::IPV4_ADDR_SUBNET | IdType::IPV4_ADDR_RANGE => IdType::IPV4_ADDR,
            IdType::IPV6_ADDR_SUBNET | IdType::IPV6_ADDR_RANGE => IdType::IPV6_ADDR,
            _ => return None,
        };
        let (first, second) = self.data.split_at_checked(self.data.len() / 2)?;
        let address = |data| super::nat_traversal::address(id_type, data);
        Some((address(first)?, address(second)?))
    }

    /// Reads the body of a payload, which starts at `offset` of its message.
    ///
    /// # Errors
    ///
    /// [`ParseError::Truncated`] if it has fewer than four octets.
    pub fn parse(body: &'a [u8], offset: usize) -> Result<Self, ParseError> {
        let mut reader = Reader::new(body, offset);
        let mut fixed = reader.take("ID payload", Self::FIXED)?;
        Ok(Self {
            id_type: IdType(fixed.u8("ID type")?),
            protocol: fixed.u8("protocol")?,
            port: fixed.u16("port")?,
            data: Cow::Borrowed(reader.rest()),
        })
    }

    /// The octets of the body on the wire.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        self.data.len().saturating_add(Self::FIXED)
    }

    /// Copies what is borrowed.
    #[must_use]
    pub fn into_owned(self) -> Identification<'static> {
        Identification {
            id_type: self.id_type,
            protocol: self.protocol,
            port: self.port,
            data: Cow::Owned(self.data.into_owned()),
        }
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.extend([self.id_type.0, self.protocol]);
        out.extend(self.port.to_be_bytes());
        out.extend_from_slice(&self.data);
    }
}
