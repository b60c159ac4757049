use super::{Content, EncodeError, Header, Payload, PayloadType};
use alloc::vec::Vec;

/// The octets of a generic payload header (RFC 2408 §3.2).
pub(super) const GENERIC_HEADER: usize = 4;

/// A chain of payloads being built, each with its generic header pointing at the next.
///
/// A protected message is built from its end: push what follows the hash, compute the hash over
/// [`bytes`](Self::bytes), push it to the front, and take the [`message`](Self::message), of
/// which everything from [`Header::LEN`] on is then encrypted.
///
/// What does not fit its length field is remembered, and reported when the message is taken.
#[derive(Clone, Debug)]
pub struct Chain {
    first: PayloadType,
    /// Where the generic header of the last payload starts, which is where its next-payload field
    /// is.
    last: usize,
    bytes: Vec<u8>,
    error: Option<EncodeError>,
}

impl Default for Chain {
    fn default() -> Self {
        Self::new()
    }
}

impl Chain {
    /// A chain of no payloads.
    #[must_use]
    pub const fn new() -> Self {
        Self { first: PayloadType::NONE, last: 0, bytes: Vec::new(), error: None }
    }

    /// Adds a payload at the end.
    pub fn push(&mut self, payload: &Payload<'_>) -> &mut Self {
        self.push_reserved(payload, 0)
    }

    /// The same with a value for the reserved octet of the generic header.
    pub(super) fn push_reserved(&mut self, payload: &Payload<'_>, reserved: u8) -> &mut Self {
        let start = self.bytes.len();
        match self.bytes.get_mut(self.last) {
            Some(next) => *next = payload.payload_type().0,
            None => self.first = payload.payload_type(),
        }
        self.last = start;
        if let Err(error) = encode(payload, PayloadType::NONE, reserved, &mut self.bytes) {
            self.error = self.error.or(Some(error));
        }
        self
    }

    /// Adds a payload before all others.
    pub fn push_front(&mut self, payload: &Payload<'_>) -> &mut Self {
        let mut bytes = Vec::with_capacity(
            payload.body_len().saturating_add(GENERIC_HEADER).saturating_add(self.bytes.len()),
        );
        if let Err(error) = encode(payload, self.first, 0, &mut bytes) {
            self.error = self.error.or(Some(error));
        }
        if !self.bytes.is_empty() {
            self.last = self.last.saturating_add(bytes.len());
        }
        bytes.append(&mut self.bytes);
        self.bytes = bytes;
        self.first = payload.payload_type();
        self
    }

    /// The type of the first payload, [`PayloadType::NONE`] if there is none.
    #[must_use]
    pub const fn first(&self) -> PayloadType {
        self.first
    }

    /// The payloads with their generic headers.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The octets of the message without padding.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        self.bytes.len().saturating_add(Header::LEN)
    }

    /// How many octets of padding fill the payloads up to whole cipher blocks of `block` octets:
    /// always at least one, as Cisco does it (RFC 2409 App. B would also have none).
    #[must_use]
    pub fn padding(&self, block: usize) -> usize {
        match self.bytes.len().checked_rem(block) {
            Some(over) => block.saturating_sub(over),
            None => 0,
        }
    }

    /// The message: `header` with its next payload and length filled in, the payloads, and
    /// `padding` zero octets, which the length counts.
    ///
    /// # Errors
    ///
    /// [`EncodeError`] if something was too long for its length field.
    pub fn message(&self, header: Header, padding: usize) -> Result<Vec<u8>, EncodeError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        let header = Header { next_payload: self.first, ..header };
        let mut message = assemble(header, &self.bytes, padding)?;
        message.resize(message.len().saturating_add(padding), 0);
        Ok(message)
    }

    /// The payloads alone, with their generic headers.
    ///
    /// # Errors
    ///
    /// [`EncodeError`] if something was too long for its length field.
    pub fn into_bytes(self) -> Result<Vec<u8>, EncodeError> {
        self.error.map_or(Ok(self.bytes), Err)
    }
}

impl Content<'_> {
    pub(super) fn message(&self, header: Header) -> Result<Vec<u8>, EncodeError> {
        match self {
            Self::Clear(payloads) => {
                let header = Header { next_payload: payloads.first_type(), ..header };
                assemble(header, &payloads.encode()?, 0)
            }
            Self::Encrypted(bytes) => assemble(header, bytes, 0),
        }
    }
}

/// Header and content, the header's length counting also what is `still_to_come`.
fn assemble(header: Header, content: &[u8], still_to_come: usize) -> Result<Vec<u8>, EncodeError> {
    let unpadded = content.len().saturating_add(Header::LEN);
    let whole = unpadded.saturating_add(still_to_come);
    let too_long = |_| EncodeError { what: "message", length: whole, limit: LONGEST };
    let length = u32::try_from(whole).map_err(too_long)?;
    let mut message = Vec::with_capacity(whole);
    message.extend(Header { length, ..header }.encode());
    message.extend_from_slice(content);
    Ok(message)
}

/// The most that the header's length field can say, where that is addressable at all.
const LONGEST: usize = if usize::BITS < 32 { usize::MAX } else { 0xffff_ffff };

fn encode(
    payload: &Payload<'_>,
    next: PayloadType,
    reserved: u8,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    let length = payload.body_len().saturating_add(GENERIC_HEADER);
    out.extend([next.0, reserved]);
    out.extend(length_field(payload.payload_type().what(), length)?);
    payload.encode_body(out)
}

/// A 16-bit length field.
pub(super) fn length_field(what: &'static str, length: usize) -> Result<[u8; 2], EncodeError> {
    let too_long = |_| EncodeError { what, length, limit: usize::from(u16::MAX) };
    u16::try_from(length).map(u16::to_be_bytes).map_err(too_long)
}
