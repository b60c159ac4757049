use super::reader::Reader;
use super::{EncodeError, ParseError};
use alloc::borrow::Cow;
use alloc::vec::Vec;

const FORMAT_BASIC: u16 = 0x8000;

/// What an attribute is about, 15 bits. The same numbers mean different things in an ISAKMP
/// transform ([`phase1`]) and in an IPsec one ([`phase2`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttributeType(pub u16);

macro_rules! attribute_types {
    ($( $constant:ident = $value:literal, $text:literal; )*) => {
        use super::AttributeType;

        $(
            #[doc = concat!($text, ", ", stringify!($value), ".")]
            pub const $constant: AttributeType = AttributeType($value);
        )*

        /// The assigned name, if the value has one.
        #[must_use]
        pub const fn name(attribute_type: AttributeType) -> Option<&'static str> {
            match attribute_type {
                $( $constant => Some($text), )*
                _ => None,
            }
        }
    };
}

/// Attribute types of ISAKMP transforms (RFC 2409 App. A).
pub mod phase1 {
    attribute_types! {
        ENCRYPTION_ALGORITHM = 1, "encryption algorithm";
        HASH_ALGORITHM = 2, "hash algorithm";
        AUTHENTICATION_METHOD = 3, "authentication method";
        GROUP_DESCRIPTION = 4, "group description";
        GROUP_TYPE = 5, "group type";
        GROUP_PRIME = 6, "group prime";
        GROUP_GENERATOR_ONE = 7, "group generator one";
        GROUP_GENERATOR_TWO = 8, "group generator two";
        GROUP_CURVE_A = 9, "group curve A";
        GROUP_CURVE_B = 10, "group curve B";
        LIFE_TYPE = 11, "life type";
        LIFE_DURATION = 12, "life duration";
        PRF = 13, "prf";
        KEY_LENGTH = 14, "key length";
        FIELD_SIZE = 15, "field size";
        GROUP_ORDER = 16, "group order";
    }
}

/// Attribute types of AH, ESP and IPCOMP transforms (RFC 2407 §4.5; 11 of RFC 4304).
pub mod phase2 {
    attribute_types! {
        LIFE_TYPE = 1, "SA life type";
        LIFE_DURATION = 2, "SA life duration";
        GROUP_DESCRIPTION = 3, "group description";
        ENCAPSULATION_MODE = 4, "encapsulation mode";
        AUTHENTICATION_ALGORITHM = 5, "authentication algorithm";
        KEY_LENGTH = 6, "key length";
        KEY_ROUNDS = 7, "key rounds";
        COMPRESSION_DICTIONARY_SIZE = 8, "compression dictionary size";
        COMPRESSION_PRIVATE_ALGORITHM = 9, "compression private algorithm";
        ECN_TUNNEL = 10, "ECN tunnel";
        EXTENDED_SEQUENCE_NUMBER = 11, "extended sequence number";
    }
}

/// The value of an attribute, in one of its two formats.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AttributeValue<'a> {
    /// TV: sixteen bits in the place of the length.
    Basic(u16),
    /// TLV: up to 65535 octets. For numbers, big-endian of any length.
    Variable(Cow<'a, [u8]>),
}

/// A data attribute (RFC 2408 §3.3). Either format is accepted for each type, and both the
/// format and the order of attributes survive.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Attribute<'a> {
    /// What it is about. Only the low 15 bits go on the wire.
    pub attribute_type: AttributeType,
    /// Its value.
    pub value: AttributeValue<'a>,
}

impl<'a> Attribute<'a> {
    /// An attribute in the basic format (TV).
    #[must_use]
    pub const fn basic(attribute_type: AttributeType, value: u16) -> Self {
        Self { attribute_type, value: AttributeValue::Basic(value) }
    }

    /// An attribute in the variable format (TLV).
    #[must_use]
    pub fn variable(attribute_type: AttributeType, value: impl Into<Cow<'a, [u8]>>) -> Self {
        Self { attribute_type, value: AttributeValue::Variable(value.into()) }
    }

    /// A number in the variable format, in four octets, as Cisco sends life durations.
    #[must_use]
    pub fn variable_u32(attribute_type: AttributeType, value: u32) -> Self {
        Self::variable(attribute_type, value.to_be_bytes().to_vec())
    }

    /// The value as a number, whichever its format. `None` if it is empty or has more than 64
    /// significant bits.
    #[must_use]
    pub fn number(&self) -> Option<u64> {
        match &self.value {
            AttributeValue::Basic(value) => Some(u64::from(*value)),
            AttributeValue::Variable(bytes) => number(bytes),
        }
    }

    /// The octets of the attribute on the wire.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        match &self.value {
            AttributeValue::Basic(_) => 4,
            AttributeValue::Variable(bytes) => bytes.len().saturating_add(4),
        }
    }

    /// Copies what is borrowed.
    #[must_use]
    pub fn into_owned(self) -> Attribute<'static> {
        let value = match self.value {
            AttributeValue::Basic(value) => AttributeValue::Basic(value),
            AttributeValue::Variable(bytes) => {
                AttributeValue::Variable(Cow::Owned(bytes.into_owned()))
            }
        };
        Attribute { attribute_type: self.attribute_type, value }
    }

    /// Reads attributes up to the end.
    pub(super) fn parse_all(reader: &mut Reader<'a>) -> Result<Vec<Self>, ParseError> {
        let mut attributes = Vec::new();
        while !reader.is_empty() {
            attributes.push(Self::parse(reader)?);
        }
        Ok(attributes)
    }

    fn parse(reader: &mut Reader<'a>) -> Result<Self, ParseError> {
        let mut fixed = reader.take("attribute", 4)?;
        let format_and_type = fixed.u16("attribute type")?;
        let value_or_length = fixed.u16("attribute value")?;
        let attribute_type = AttributeType(format_and_type & !FORMAT_BASIC);
        if format_and_type & FORMAT_BASIC != 0 {
            return Ok(Self::basic(attribute_type, value_or_length));
        }
        let value = reader.take("attribute value", usize::from(value_or_length))?;
        Ok(Self::variable(attribute_type, value.remaining()))
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let attribute_type = self.attribute_type.0 & !FORMAT_BASIC;
        match &self.value {
            AttributeValue::Basic(value) => {
                out.extend((attribute_type | FORMAT_BASIC).to_be_bytes());
                out.extend(value.to_be_bytes());
            }
            AttributeValue::Variable(bytes) => {
                out.extend(attribute_type.to_be_bytes());
                out.extend(super::chain::length_field("attribute value", bytes.len())?);
                out.extend_from_slice(bytes);
            }
        }
        Ok(())
    }
}

fn number(bytes: &[u8]) -> Option<u64> {
    if bytes.is_empty() {
        return None;
    }
    let significant = bytes.iter().position(|&byte| byte != 0).unwrap_or(bytes.len());
    let significant = bytes.get(significant..)?;
    if significant.len() > 8 {
        return None;
    }
    Some(significant.iter().fold(0, |number, &byte| (number << 8) | u64::from(byte)))
}
