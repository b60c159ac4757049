//! The attributes of a transform, a line each, in the order in which they came.

use core::fmt;

use crate::crypto::{EncryptionAlgorithm, HashAlgorithm};
use crate::wire::{
    Attribute, AttributeType, AttributeValue, AuthenticationAlgorithm, AuthenticationMethod,
    EncapsulationMode, LifeType, phase1, phase2,
};

/// Those of an ISAKMP transform. Each line starts with a line feed.
pub(super) struct Phase1<'a>(pub(super) &'a [Attribute<'static>]);

/// Those of an ESP transform. Each line starts with a line feed.
pub(super) struct Phase2<'a>(pub(super) &'a [Attribute<'static>]);

impl fmt::Display for Phase1<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for attribute in self.0 {
            f.write_str("\nISAKMP:      ")?;
            let value = Number(attribute);
            match attribute.attribute_type {
                phase1::ENCRYPTION_ALGORITHM => match value.code_point() {
                    Some(code) => write!(f, "encryption {}", EncryptionAlgorithm(code)),
                    None => write!(f, "encryption {value}"),
                },
                phase1::KEY_LENGTH => write!(f, "keylength of {value}"),
                phase1::HASH_ALGORITHM => write!(f, "hash {}", Hash(value)),
                phase1::GROUP_DESCRIPTION => write!(f, "default group {value}"),
                phase1::AUTHENTICATION_METHOD => match value.code_point() {
                    Some(code) => write!(f, "auth {}", AuthenticationMethod(code)),
                    None => write!(f, "auth {value}"),
                },
                phase1::LIFE_TYPE => write!(f, "life type in {}", Life(value)),
                phase1::LIFE_DURATION => write!(f, "life duration {}", Duration(attribute)),
                other => unnamed(f, other, phase1::name(other), &value),
            }?;
        }
        Ok(())
    }
}

impl fmt::Display for Phase2<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for attribute in self.0 {
            f.write_str("\nISAKMP:      ")?;
            let value = Number(attribute);
            match attribute.attribute_type {
                phase2::ENCAPSULATION_MODE => {
                    let mode = value.code_point().map(EncapsulationMode);
                    match mode.and_then(EncapsulationMode::name) {
                        Some(name) => write!(f, "encaps is {value} ({name})"),
                        None => write!(f, "encaps is {value}"),
                    }
                }
                phase2::LIFE_TYPE => write!(f, "SA life type in {}", Life(value)),
                phase2::LIFE_DURATION => write!(f, "SA life duration {}", Duration(attribute)),
                phase2::AUTHENTICATION_ALGORITHM => match value.code_point() {
                    Some(code) => {
                        write!(f, "authenticator is {}", AuthenticationAlgorithm(code))
                    }
                    None => write!(f, "authenticator is {value}"),
                },
                phase2::GROUP_DESCRIPTION => write!(f, "group is {value}"),
                phase2::KEY_LENGTH => write!(f, "key length is {value}"),
                other => unnamed(f, other, phase2::name(other), &value),
            }?;
        }
        Ok(())
    }
}

/// An attribute for which IOS has no words.
fn unnamed(
    f: &mut fmt::Formatter<'_>,
    attribute_type: AttributeType,
    name: Option<&str>,
    value: &Number<'_>,
) -> fmt::Result {
    match name {
        Some(name) => write!(f, "{name} {value}"),
        None => write!(f, "attribute {} {value}", attribute_type.0),
    }
}

/// A number in either format; of a longer value the octets.
#[derive(Clone, Copy)]
struct Number<'a>(&'a Attribute<'static>);

impl Number<'_> {
    fn code_point(&self) -> Option<u16> {
        self.0.number().and_then(|number| u16::try_from(number).ok())
    }
}

impl fmt::Display for Number<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0.number(), &self.0.value) {
            (Some(number), _) => write!(f, "{number}"),
            (None, AttributeValue::Basic(number)) => write!(f, "{number}"),
            (None, AttributeValue::Variable(octets)) if octets.is_empty() => f.write_str("(none)"),
            (None, AttributeValue::Variable(octets)) => {
                octets.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
            }
        }
    }
}

/// IOS writes SHA where others write SHA-1, and the rest without a hyphen.
struct Hash<'a>(Number<'a>);

impl fmt::Display for Hash<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0.code_point().map(HashAlgorithm) {
            Some(HashAlgorithm::MD5) => "MD5",
            Some(HashAlgorithm::SHA1) => "SHA",
            Some(HashAlgorithm::SHA2_256) => "SHA256",
            Some(HashAlgorithm::SHA2_384) => "SHA384",
            Some(HashAlgorithm::SHA2_512) => "SHA512",
            Some(_) | None => return write!(f, "{}", self.0),
        })
    }
}

struct Life<'a>(Number<'a>);

impl fmt::Display for Life<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.code_point().map(LifeType).and_then(LifeType::name) {
            Some(name) => f.write_str(name),
            None => write!(f, "{}", self.0),
        }
    }
}

/// `(basic) of 3600`, or `(VPI) of  0x0 0x1 0x51 0x80`.
struct Duration<'a>(&'a Attribute<'static>);

impl fmt::Display for Duration<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.value {
            AttributeValue::Basic(value) => write!(f, "(basic) of {value}"),
            AttributeValue::Variable(octets) => {
                f.write_str("(VPI) of ")?;
                octets.iter().try_for_each(|octet| write!(f, " 0x{octet:X}"))
            }
        }
    }
}
