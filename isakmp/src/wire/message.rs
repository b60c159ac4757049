use super::chain::GENERIC_HEADER;
use super::reader::Reader;
use super::{Chain, EncodeError, Flags, Header, ParseError, Payload, PayloadType};
use alloc::vec::Vec;
use core::slice;

/// The greatest number of payloads accepted in one message.
pub const MAX_PAYLOADS: usize = 64;

/// An ISAKMP message (RFC 2408 §3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// The header.
    pub header: Header,
    /// What it heads.
    pub content: Content<'a>,
    /// Octets of the datagram beyond the length in the header. They mean nothing.
    pub excess: &'a [u8],
}

/// What follows the header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content<'a> {
    /// Payloads.
    Clear(Payloads<'a>),
    /// Cipher blocks, because the header has [`Flags::ENCRYPTION`]. Decrypted they go to
    /// [`Payloads::parse`].
    Encrypted(&'a [u8]),
}

impl<'a> Message<'a> {
    /// Reads a datagram, from which a non-ESP marker is already taken.
    ///
    /// # Errors
    ///
    /// A [`ParseError`]: any.
    pub fn parse(datagram: &'a [u8]) -> Result<Self, ParseError> {
        let (header, content, excess) = split(datagram)?;
        let content = if header.flags.contains(Flags::ENCRYPTION) {
            Content::Encrypted(content)
        } else {
            Content::Clear(Payloads::parse(header.next_payload, content, Header::LEN)?)
        };
        Ok(Self { header, content, excess })
    }

    /// The payloads, unless they are encrypted.
    #[must_use]
    pub const fn payloads(&self) -> Option<&Payloads<'a>> {
        match &self.content {
            Content::Clear(payloads) => Some(payloads),
            Content::Encrypted(_) => None,
        }
    }

    /// The octets of the message on the wire, [`excess`](Self::excess) included.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        let content = match &self.content {
            Content::Clear(payloads) => payloads.encoded_len(),
            Content::Encrypted(bytes) => bytes.len(),
        };
        Header::LEN.saturating_add(content).saturating_add(self.excess.len())
    }

    /// The message built again from its decoded values. The header's length, and its next payload
    /// if the content is clear, are computed.
    ///
    /// # Errors
    ///
    /// [`EncodeError`] if something is too long for its length field. What was parsed never is.
    pub fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        let mut message = self.content.message(self.header)?;
        message.extend_from_slice(self.excess);
        Ok(message)
    }
}

/// Header, content and excess of a datagram.
fn split(datagram: &[u8]) -> Result<(Header, &[u8], &[u8]), ParseError> {
    let header = Header::parse(datagram)?;
    // RFC 2408 §5.2: a major version that we do not speak is not parsed further.
    if header.version.major() != 1 {
        return Err(ParseError::Version { version: header.version });
    }
    let have = datagram.len();
    let needed = usize::try_from(header.length).unwrap_or(usize::MAX);
    if needed < Header::LEN {
        let (what, length, minimum) = ("message", needed, Header::LEN);
        return Err(ParseError::LengthTooSmall { what, offset: 0, length, minimum });
    }
    let (message, excess) = datagram.split_at_checked(needed).ok_or(ParseError::Truncated {
        what: "message",
        offset: 0,
        needed,
        have,
    })?;
    Ok((header, message.get(Header::LEN..).unwrap_or_default(), excess))
}

/// A chain of payloads as received, and what follows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payloads<'a> {
    received: Vec<Received<'a>>,
    chain: &'a [u8],
    trailing: &'a [u8],
}

impl<'a> Payloads<'a> {
    /// Reads a chain that begins with a payload of type `first`; `bytes` start at `offset` of
    /// the message, which is [`Header::LEN`] for a decrypted one.
    ///
    /// Where the chain ends is for the chain to say. What follows it is padding of the cipher or
    /// means nothing: its last octet is no length (RFC 2409 App. B asks for zeros, and each
    /// implementation pads in its own way).
    ///
    /// # Errors
    ///
    /// A [`ParseError`] with offsets into the message.
    pub fn parse(first: PayloadType, bytes: &'a [u8], offset: usize) -> Result<Self, ParseError> {
        let mut reader = Reader::new(bytes, offset);
        let mut received = Vec::new();
        let mut next = first;
        while next != PayloadType::NONE {
            let offset = reader.offset();
            if received.len() >= MAX_PAYLOADS {
                let limit = MAX_PAYLOADS;
                return Err(ParseError::TooMany { what: "payloads", offset, limit });
            }
            let payload;
            (payload, next) = Received::parse(next, &mut reader)?;
            received.push(payload);
        }
        let trailing = reader.remaining();
        let chain = bytes.get(..bytes.len().saturating_sub(trailing.len())).unwrap_or_default();
        Ok(Self { received, chain, trailing })
    }

    /// The payloads in order.
    pub fn iter(&self) -> slice::Iter<'_, Received<'a>> {
        self.received.iter()
    }

    /// The payloads in order.
    #[must_use]
    pub fn as_slice(&self) -> &[Received<'a>] {
        &self.received
    }

    /// The first payload of this type.
    #[must_use]
    pub fn find(&self, payload_type: PayloadType) -> Option<&Received<'a>> {
        self.iter().find(|received| received.payload.payload_type() == payload_type)
    }

    /// The payloads as they were received, with their generic headers.
    #[must_use]
    pub const fn chain(&self) -> &'a [u8] {
        self.chain
    }

    /// The same without the first payload: what a HASH payload at the front covers in quick mode
    /// and informational exchanges (RFC 2409 §5.5, §5.7).
    #[must_use]
    pub fn after_first(&self) -> &'a [u8] {
        let first = self.received.first().map_or(0, |received| received.raw.len());
        self.chain.get(first..).unwrap_or_default()
    }

    /// What follows the chain: padding, or nothing.
    #[must_use]
    pub const fn trailing(&self) -> &'a [u8] {
        self.trailing
    }

    /// The type of the first payload, [`PayloadType::NONE`] if there is none.
    #[must_use]
    pub fn first_type(&self) -> PayloadType {
        self.received.first().map_or(PayloadType::NONE, |first| first.payload.payload_type())
    }

    /// The octets of chain and trailing octets on the wire.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        self.received.iter().fold(self.trailing.len(), |sum, received| {
            sum.saturating_add(GENERIC_HEADER).saturating_add(received.payload.body_len())
        })
    }

    /// Chain and trailing octets built again from decoded values.
    ///
    /// # Errors
    ///
    /// [`EncodeError`] if something is too long for its length field. What was parsed never is.
    pub fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        let mut chain = Chain::new();
        for received in &self.received {
            chain.push_reserved(&received.payload, received.reserved);
        }
        let mut bytes = chain.into_bytes()?;
        bytes.extend_from_slice(self.trailing);
        Ok(bytes)
    }
}

impl<'p, 'a> IntoIterator for &'p Payloads<'a> {
    type Item = &'p Received<'a>;
    type IntoIter = slice::Iter<'p, Received<'a>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// A payload as it was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received<'a> {
    /// What it says.
    pub payload: Payload<'a>,
    /// The octet of the generic header that the RFC reserves, 0.
    pub reserved: u8,
    raw: &'a [u8],
    offset: usize,
}

impl<'a> Received<'a> {
    /// Its octets, generic header included.
    #[must_use]
    pub const fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// Its octets without the generic header, as RFC 2409 writes `_b`.
    #[must_use]
    pub fn body(&self) -> &'a [u8] {
        self.raw.get(GENERIC_HEADER..).unwrap_or_default()
    }

    /// Where in the message its generic header starts.
    #[must_use]
    pub const fn offset(&self) -> usize {
        self.offset
    }

    fn parse(
        payload_type: PayloadType,
        reader: &mut Reader<'a>,
    ) -> Result<(Self, PayloadType), ParseError> {
        let mut fields = reader.take_counted(payload_type.what(), GENERIC_HEADER)?;
        let (raw, offset) = (fields.remaining(), fields.offset());
        let next = PayloadType(fields.u8("next payload")?);
        let reserved = fields.u8("reserved")?;
        let _length = fields.u16("payload length")?;
        let payload = Payload::parse(payload_type, fields.remaining(), fields.offset())?;
        Ok((Self { payload, reserved, raw, offset }, next))
    }
}
