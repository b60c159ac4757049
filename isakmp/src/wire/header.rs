use super::reader::Reader;
use super::{ExchangeType, Flags, ParseError, PayloadType};
use core::fmt;

pub(super) const VERSION_OFFSET: usize = 17;

/// A cookie, which with its counterpart names an ISAKMP SA (RFC 2408 §2.5.3).
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cookie(pub [u8; 8]);

impl Cookie {
    /// The responder's cookie in the first message of an exchange.
    pub const ZERO: Self = Self([0; 8]);

    /// Whether it is the cookie that nobody has chosen yet.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self == Self::ZERO
    }
}

/// Sixteen hexadecimal digits.
impl fmt::Display for Cookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

impl fmt::Debug for Cookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cookie({self})")
    }
}

/// The message ID: 0 in phase 1, random and unique for each later exchange (RFC 2408 §3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(pub u32);

impl MessageId {
    /// Phase 1.
    pub const ZERO: Self = Self(0);
}

/// Unsigned decimal, as Cisco prints it in most lines.
impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Major version in the high four bits, minor in the low four (RFC 2408 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub u8);

impl Version {
    /// ISAKMP as of RFC 2408.
    pub const V1_0: Self = Self(0x10);

    /// The major version.
    #[must_use]
    pub const fn major(self) -> u8 {
        self.0 >> 4
    }

    /// The minor version.
    #[must_use]
    pub const fn minor(self) -> u8 {
        self.0 & 0x0f
    }
}

/// `1.0`.
impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major(), self.minor())
    }
}

/// The ISAKMP header, 28 octets (RFC 2408 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Header {
    /// The cookie of who started the ISAKMP SA.
    pub initiator_cookie: Cookie,
    /// The cookie of who answered, zero in the first message.
    pub responder_cookie: Cookie,
    /// The type of the first payload. [`Chain::message`](super::Chain::message) fills it in.
    pub next_payload: PayloadType,
    /// The version of ISAKMP.
    pub version: Version,
    /// The exchange.
    pub exchange: ExchangeType,
    /// The flags.
    pub flags: Flags,
    /// The exchange's ID, 0 in phase 1.
    pub message_id: MessageId,
    /// The octets of the whole message, this header and any cipher padding included.
    /// [`Chain::message`](super::Chain::message) fills it in.
    pub length: u32,
}

impl Header {
    /// The octets of a header.
    pub const LEN: usize = 28;

    /// A header of version 1.0 without flags, message ID 0, for nothing but itself.
    #[must_use]
    pub const fn new(
        initiator_cookie: Cookie,
        responder_cookie: Cookie,
        exchange: ExchangeType,
    ) -> Self {
        Self {
            initiator_cookie,
            responder_cookie,
            next_payload: PayloadType::NONE,
            version: Version::V1_0,
            exchange,
            flags: Flags::NONE,
            message_id: MessageId::ZERO,
            length: 28,
        }
    }

    /// Reads the first 28 octets of a message. Any value of any field is accepted.
    ///
    /// # Errors
    ///
    /// [`ParseError::Truncated`] if there are fewer.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        let have = bytes.len();
        let truncated =
            ParseError::Truncated { what: "header", offset: 0, needed: Self::LEN, have };
        let mut fields = Reader::new(bytes.get(..Self::LEN).ok_or(truncated)?, 0);
        Ok(Self {
            initiator_cookie: Cookie(fields.array("initiator cookie")?),
            responder_cookie: Cookie(fields.array("responder cookie")?),
            next_payload: PayloadType(fields.u8("next payload")?),
            version: Version(fields.u8("version")?),
            exchange: ExchangeType(fields.u8("exchange type")?),
            flags: Flags(fields.u8("flags")?),
            message_id: MessageId(fields.u32("message ID")?),
            length: fields.u32("length")?,
        })
    }

    /// The header as it goes on the wire, each field as it is.
    #[must_use]
    pub fn encode(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        let fields = self
            .initiator_cookie
            .0
            .into_iter()
            .chain(self.responder_cookie.0)
            .chain([self.next_payload.0, self.version.0, self.exchange.0, self.flags.0])
            .chain(self.message_id.0.to_be_bytes())
            .chain(self.length.to_be_bytes());
        for (byte, field) in bytes.iter_mut().zip(fields) {
            *byte = field;
        }
        bytes
    }
}
