use super::reader::Reader;
use super::{Attribute, AttributeType, EncodeError, LifeType, ParseError};
use alloc::vec::Vec;

/// The data of a RESPONDER-LIFETIME notification (RFC 2407 §4.6.3.1): attributes as in a transform,
/// those of the phase that the SA is of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ResponderLifetime<'a> {
    /// Life types, each followed by its duration.
    pub attributes: Vec<Attribute<'a>>,
}

impl<'a> ResponderLifetime<'a> {
    /// Reads a notification's data, which starts at `offset` of its message.
    ///
    /// # Errors
    ///
    /// [`ParseError::Truncated`] if the last attribute ends after it.
    pub fn parse(data: &'a [u8], offset: usize) -> Result<Self, ParseError> {
        let mut reader = Reader::new(data, offset);
        Ok(Self { attributes: Attribute::parse_all(&mut reader)? })
    }

    /// The data on the wire.
    ///
    /// # Errors
    ///
    /// [`EncodeError`] if a duration is too long for its length field.
    pub fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        let mut data = Vec::with_capacity(self.encoded_len());
        for attribute in &self.attributes {
            attribute.encode(&mut data)?;
        }
        Ok(data)
    }

    /// The octets of the data on the wire.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        self.attributes.iter().fold(0, |sum, attribute| sum.saturating_add(attribute.encoded_len()))
    }

    /// The duration in units of `unit`, with the attribute types of the phase: a duration belongs to
    /// the life type before it. What does not fit is as long as can be.
    #[must_use]
    pub fn duration(
        &self,
        unit: LifeType,
        (life_type, life_duration): (AttributeType, AttributeType),
    ) -> Option<u32> {
        let mut current = None;
        let mut found = None;
        for attribute in &self.attributes {
            if attribute.attribute_type == life_type {
                current = attribute.number();
            } else if attribute.attribute_type == life_duration
                && current == Some(u64::from(unit.0))
            {
                let number = attribute.number().unwrap_or(u64::MAX);
                found = Some(u32::try_from(number).unwrap_or(u32::MAX));
            }
        }
        found
    }
}
