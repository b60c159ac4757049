use alloc::string::String;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bytes::Bytes;

use crate::wire::IdType;

/// Whom a peer authenticated as: type and data of its phase 1 ID payload (RFC 2407 §4.6.2).
///
/// Protocol and port are not part of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    /// The type.
    pub id_type: IdType,
    /// The data.
    pub data: Bytes,
}

impl Identity {
    /// An address.
    #[must_use]
    pub fn address(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(v4) => {
                Self { id_type: IdType::IPV4_ADDR, data: Bytes::copy_from_slice(&v4.octets()) }
            }
            IpAddr::V6(v6) => {
                Self { id_type: IdType::IPV6_ADDR, data: Bytes::copy_from_slice(&v6.octets()) }
            }
        }
    }

    /// A fully qualified domain name, `hub.example.org` (ID_FQDN).
    ///
    /// Identities are equal if they are octet for octet, also where case means nothing in the DNS.
    #[must_use]
    pub fn fqdn(name: &str) -> Self {
        Self::named(IdType::FQDN, name.as_bytes())
    }

    /// A user name with a domain, `operator@example.org` (ID_USER_FQDN).
    #[must_use]
    pub fn user_fqdn(name: &str) -> Self {
        Self::named(IdType::USER_FQDN, name.as_bytes())
    }

    /// Octets that mean something to both sides alone: a group name of Cisco's remote access
    /// (ID_KEY_ID).
    #[must_use]
    pub fn key_id(octets: &[u8]) -> Self {
        Self::named(IdType::KEY_ID, octets)
    }

    fn named(id_type: IdType, data: &[u8]) -> Self {
        Self { id_type, data: Bytes::copy_from_slice(data) }
    }

    /// Whether the data fits the type, as far as it is one of ours to configure.
    pub(crate) fn is_sound(&self) -> bool {
        match self.id_type {
            IdType::IPV4_ADDR | IdType::IPV6_ADDR => self.as_address().is_some(),
            // RFC 2407 §4.6.2.3: no terminators.
            IdType::FQDN | IdType::USER_FQDN => {
                let graphic = |octet: &u8| octet.is_ascii_graphic() || !octet.is_ascii();
                (1..=256).contains(&self.data.len()) && self.data.iter().all(graphic)
            }
            _ => (1..=256).contains(&self.data.len()),
        }
    }

    /// The address, if the identity is one.
    #[must_use]
    pub fn as_address(&self) -> Option<IpAddr> {
        match self.id_type {
            IdType::IPV4_ADDR => {
                <[u8; 4]>::try_from(self.data.as_ref()).ok().map(|b| Ipv4Addr::from(b).into())
            }
            IdType::IPV6_ADDR => {
                <[u8; 16]>::try_from(self.data.as_ref()).ok().map(|b| Ipv6Addr::from(b).into())
            }
            _ => None,
        }
    }
}

/// The address, the text of a name, or the type and hexadecimal data.
impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(address) = self.as_address() {
            return write!(f, "{address}");
        }
        let name = String::from_utf8_lossy(&self.data);
        let printable = !name.is_empty() && name.chars().all(|c| c.is_ascii_graphic());
        if printable {
            return f.write_str(&name);
        }
        write!(f, "{} ", self.id_type)?;
        self.data.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
