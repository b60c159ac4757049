use alloc::vec::Vec;

use bytes::Bytes;

use super::reader::Reader;
use super::{Authentication, AuthenticationString, BuildError, Cie, ExtensionType, ParseError};

/// An extension (RFC 2332 §5.3). The end of extensions is one, too: `extensions` of a packet holds
/// it where the packet has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extension {
    /// Its type.
    pub extension_type: ExtensionType,
    /// Whether who answers must understand it.
    pub compulsory: bool,
    /// The bit that must be zero.
    pub unused: bool,
    /// Its value.
    pub value: ExtensionValue,
}

/// The value of an extension, decoded where its type says how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExtensionValue {
    /// Responder address, transit records, NAT address: entries, often none.
    Clients(Vec<Cie>),
    /// Authentication.
    Authentication(Authentication),
    /// Vendor-private: what follows the vendor's IEEE 802 identifier.
    VendorPrivate {
        /// Whose.
        vendor: [u8; 3],
        /// What.
        data: Bytes,
    },
    /// Any other: the end, unknown types, and values that do not have their type's form.
    Raw(Bytes),
}

impl Extension {
    /// Octets of an extension's type and length.
    pub const HEADER_LEN: usize = 4;

    /// A compulsory extension of entries, as types 3, 4 and 5 are.
    #[must_use]
    pub const fn clients(extension_type: ExtensionType, entries: Vec<Cie>) -> Self {
        let value = ExtensionValue::Clients(entries);
        Self { extension_type, compulsory: true, unused: false, value }
    }

    /// Cisco's NAT address extension, which is not compulsory.
    #[must_use]
    pub fn nat_address(entries: Vec<Cie>) -> Self {
        Self { compulsory: false, ..Self::clients(ExtensionType::NAT_ADDRESS, entries) }
    }

    /// Cisco's clear-text authentication.
    #[must_use]
    pub const fn authentication(string: AuthenticationString) -> Self {
        let value = ExtensionValue::Authentication(Authentication::clear_text(string));
        let extension_type = ExtensionType::AUTHENTICATION;
        Self { extension_type, compulsory: true, unused: false, value }
    }

    /// The end of extensions.
    #[must_use]
    pub const fn end() -> Self {
        let value = ExtensionValue::Raw(Bytes::new());
        Self { extension_type: ExtensionType::END, compulsory: true, unused: false, value }
    }

    /// Whether it is the end of extensions.
    #[must_use]
    pub fn is_end(&self) -> bool {
        self.extension_type == ExtensionType::END
    }

    /// Its entries, none if it is not an extension of entries.
    #[must_use]
    pub fn entries(&self) -> &[Cie] {
        match &self.value {
            ExtensionValue::Clients(entries) => entries,
            ExtensionValue::Authentication(_)
            | ExtensionValue::VendorPrivate { .. }
            | ExtensionValue::Raw(_) => &[],
        }
    }

    /// Octets of its value.
    #[must_use]
    pub fn value_len(&self) -> usize {
        match &self.value {
            ExtensionValue::Clients(entries) => entries
                .iter()
                .fold(0_usize, |length, entry| length.saturating_add(entry.encoded_len())),
            ExtensionValue::Authentication(authentication) => {
                Authentication::FIXED_LEN.saturating_add(authentication.data.len())
            }
            ExtensionValue::VendorPrivate { vendor, data } => {
                vendor.len().saturating_add(data.len())
            }
            ExtensionValue::Raw(octets) => octets.len(),
        }
    }

    /// Octets that it takes in a packet.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        Self::HEADER_LEN.saturating_add(self.value_len())
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, ParseError> {
        let [t0, t1, l0, l1] = reader.array::<{ Self::HEADER_LEN }>("extension header")?;
        let length = usize::from(u16::from_be_bytes([l0, l1]));
        let type_field = u16::from_be_bytes([t0, t1]);
        let extension_type = ExtensionType::new(type_field);
        let what = extension_type.name().unwrap_or("extension");
        let value = reader.take(what, length)?;
        let raw = || ExtensionValue::Raw(Bytes::copy_from_slice(value.rest()));
        let value = match extension_type {
            ExtensionType::RESPONDER_ADDRESS
            | ExtensionType::FORWARD_TRANSIT_NHS_RECORD
            | ExtensionType::REVERSE_TRANSIT_NHS_RECORD => {
                ExtensionValue::Clients(Cie::read_all(value)?)
            }
            // RFC 2735 has device capabilities under the same number.
            ExtensionType::NAT_ADDRESS => {
                Cie::read_all(value).map_or_else(|_| raw(), ExtensionValue::Clients)
            }
            // Too short for an SPI: wrong authentication, which is more than a malformed packet.
            ExtensionType::AUTHENTICATION => {
                Authentication::read(value).map_or_else(raw, ExtensionValue::Authentication)
            }
            ExtensionType::VENDOR_PRIVATE => match value.rest().split_first_chunk() {
                Some((vendor, data)) => ExtensionValue::VendorPrivate {
                    vendor: *vendor,
                    data: Bytes::copy_from_slice(data),
                },
                None => raw(),
            },
            ExtensionType(_) => raw(),
        };
        Ok(Self {
            extension_type,
            compulsory: type_field & 0x8000 != 0,
            unused: type_field & 0x4000 != 0,
            value,
        })
    }

    /// The extensions up to the end of `reader`. The end of extensions may be missing; nothing may
    /// follow it.
    pub(super) fn read_all(mut reader: Reader<'_>) -> Result<Vec<Self>, ParseError> {
        let mut extensions = Vec::new();
        while !reader.is_empty() {
            let extension = Self::read(&mut reader)?;
            let end = extension.is_end();
            extensions.push(extension);
            if end && !reader.is_empty() {
                return Err(ParseError::Excess {
                    what: "extensions",
                    offset: reader.offset(),
                    excess: reader.remaining(),
                });
            }
        }
        Ok(extensions)
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) -> Result<(), BuildError> {
        let length = self.value_len();
        let length_field = u16::try_from(length).map_err(|_| BuildError {
            what: self.extension_type.name().unwrap_or("extension"),
            length,
            maximum: usize::from(u16::MAX),
        })?;
        let mut type_field = self.extension_type.value();
        if self.compulsory {
            type_field |= 0x8000;
        }
        if self.unused {
            type_field |= 0x4000;
        }
        out.extend(type_field.to_be_bytes());
        out.extend(length_field.to_be_bytes());
        match &self.value {
            ExtensionValue::Clients(entries) => {
                entries.iter().try_for_each(|entry| entry.write(out))?;
            }
            ExtensionValue::Authentication(authentication) => authentication.write(out),
            ExtensionValue::VendorPrivate { vendor, data } => {
                out.extend_from_slice(vendor);
                out.extend_from_slice(data);
            }
            ExtensionValue::Raw(octets) => out.extend_from_slice(octets),
        }
        Ok(())
    }
}
