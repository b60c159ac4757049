use super::ParseError;
use super::reader::Reader;
use alloc::borrow::Cow;
use alloc::vec::Vec;

/// A piece of an ISAKMP message, the only payload of a message of its own ([MS-IKEE] §2.2.3.1;
/// Cisco's routers, strongSwan and libreswan use the same format).
///
/// The header in front of it is that of the whole message as far as it names the SA; it is never
/// encrypted, whatever the whole message is.
///
/// [MS-IKEE]: https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-ikee/977955ae-ad4e-4a2d-910e-21fb0511532e
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Fragment<'a> {
    /// The same in all fragments of one message.
    pub id: u16,
    /// Its place in the message, from 1.
    pub number: u8,
    /// [`LAST`](Self::LAST); the other bits mean nothing.
    pub flags: u8,
    /// Its octets of the message.
    pub data: Cow<'a, [u8]>,
}

impl<'a> Fragment<'a> {
    /// The octets before the data.
    pub(crate) const FIXED: usize = 4;

    /// The flag of the last fragment of a message.
    pub const LAST: u8 = 1;

    /// Whether the message ends with it.
    #[must_use]
    pub const fn is_last(&self) -> bool {
        self.flags & Self::LAST != 0
    }

    /// Reads the body of a payload, which starts at `offset` of its message.
    ///
    /// # Errors
    ///
    /// [`ParseError::Truncated`] if it has fewer than four octets.
    pub fn parse(body: &'a [u8], offset: usize) -> Result<Self, ParseError> {
        let mut reader = Reader::new(body, offset);
        let mut fixed = reader.take("fragment", Self::FIXED)?;
        Ok(Self {
            id: fixed.u16("fragment id")?,
            number: fixed.u8("fragment number")?,
            flags: fixed.u8("fragment flags")?,
            data: Cow::Borrowed(reader.rest()),
        })
    }

    /// The octets of the body on the wire.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        self.data.len().saturating_add(Self::FIXED)
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.extend(self.id.to_be_bytes());
        out.extend([self.number, self.flags]);
        out.extend_from_slice(&self.data);
    }
}
