use super::code_point::code_points;
use super::reader::Reader;
use super::{Cookie, Doi, EncodeError, ParseError, ProtocolId};
use alloc::borrow::Cow;
use alloc::vec::Vec;

code_points! {
    /// What a notification says (RFC 2408 §3.14.1, RFC 2407 §4.6.3, RFC 3706 §5). Below 16384 it
    /// is an error.
    NotifyType(u16), "notify" {
        INVALID_PAYLOAD_TYPE = 1, "INVALID-PAYLOAD-TYPE";
        DOI_NOT_SUPPORTED = 2, "DOI-NOT-SUPPORTED";
        SITUATION_NOT_SUPPORTED = 3, "SITUATION-NOT-SUPPORTED";
        INVALID_COOKIE = 4, "INVALID-COOKIE";
        INVALID_MAJOR_VERSION = 5, "INVALID-MAJOR-VERSION";
        INVALID_MINOR_VERSION = 6, "INVALID-MINOR-VERSION";
        INVALID_EXCHANGE_TYPE = 7, "INVALID-EXCHANGE-TYPE";
        INVALID_FLAGS = 8, "INVALID-FLAGS";
        INVALID_MESSAGE_ID = 9, "INVALID-MESSAGE-ID";
        INVALID_PROTOCOL_ID = 10, "INVALID-PROTOCOL-ID";
        INVALID_SPI = 11, "INVALID-SPI";
        INVALID_TRANSFORM_ID = 12, "INVALID-TRANSFORM-ID";
        ATTRIBUTES_NOT_SUPPORTED = 13, "ATTRIBUTES-NOT-SUPPORTED";
        NO_PROPOSAL_CHOSEN = 14, "NO-PROPOSAL-CHOSEN";
        BAD_PROPOSAL_SYNTAX = 15, "BAD-PROPOSAL-SYNTAX";
        PAYLOAD_MALFORMED = 16, "PAYLOAD-MALFORMED";
        INVALID_KEY_INFORMATION = 17, "INVALID-KEY-INFORMATION";
        INVALID_ID_INFORMATION = 18, "INVALID-ID-INFORMATION";
        INVALID_CERT_ENCODING = 19, "INVALID-CERT-ENCODING";
        INVALID_CERTIFICATE = 20, "INVALID-CERTIFICATE";
        CERT_TYPE_UNSUPPORTED = 21, "CERT-TYPE-UNSUPPORTED";
        INVALID_CERT_AUTHORITY = 22, "INVALID-CERT-AUTHORITY";
        INVALID_HASH_INFORMATION = 23, "INVALID-HASH-INFORMATION";
        AUTHENTICATION_FAILED = 24, "AUTHENTICATION-FAILED";
        INVALID_SIGNATURE = 25, "INVALID-SIGNATURE";
        ADDRESS_NOTIFICATION = 26, "ADDRESS-NOTIFICATION";
        NOTIFY_SA_LIFETIME = 27, "NOTIFY-SA-LIFETIME";
        CERTIFICATE_UNAVAILABLE = 28, "CERTIFICATE-UNAVAILABLE";
        UNSUPPORTED_EXCHANGE_TYPE = 29, "UNSUPPORTED-EXCHANGE-TYPE";
        UNEQUAL_PAYLOAD_LENGTHS = 30, "UNEQUAL-PAYLOAD-LENGTHS";
        CONNECTED = 16384, "CONNECTED";
        RESPONDER_LIFETIME = 24576, "RESPONDER-LIFETIME";
        REPLAY_STATUS = 24577, "REPLAY-STATUS";
        INITIAL_CONTACT = 24578, "INITIAL-CONTACT";
        R_U_THERE = 36136, "R-U-THERE";
        R_U_THERE_ACK = 36137, "R-U-THERE-ACK";
    }
}

impl NotifyType {
    /// Whether it reports an error and not a status (RFC 2408 §3.14.1).
    #[must_use]
    pub const fn is_error(self) -> bool {
        self.0 < 16384
    }
}

/// A notification payload (RFC 2408 §3.14).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Notification<'a> {
    /// The domain that defines the type.
    pub doi: Doi,
    /// The protocol of the SA it is about.
    pub protocol: ProtocolId,
    /// What it says.
    pub notify_type: NotifyType,
    /// The SA it is about, at most 255 octets: both cookies for ISAKMP, often empty.
    pub spi: Cow<'a, [u8]>,
    /// What belongs to the type.
    pub data: Cow<'a, [u8]>,
}

impl<'a> Notification<'a> {
    const FIXED: usize = 8;

    /// A notification about the ISAKMP SA of these cookies.
    #[must_use]
    pub fn isakmp(
        notify_type: NotifyType,
        cookies: (Cookie, Cookie),
        data: impl Into<Cow<'a, [u8]>>,
    ) -> Self {
        Self {
            doi: Doi::IPSEC,
            protocol: ProtocolId::ISAKMP,
            notify_type,
            spi: Cow::Owned(cookie_pair(cookies)),
            data: data.into(),
        }
    }

    /// A notification about the ESP SA of this SPI.
    #[must_use]
    pub fn esp(notify_type: NotifyType, spi: u32, data: impl Into<Cow<'a, [u8]>>) -> Self {
        Self {
            doi: Doi::IPSEC,
            protocol: ProtocolId::ESP,
            notify_type,
            spi: Cow::Owned(spi.to_be_bytes().to_vec()),
            data: data.into(),
        }
    }

    /// Reads the body of a payload, which starts at `offset` of its message.
    ///
    /// # Errors
    ///
    /// [`ParseError::Truncated`] if it is shorter than its fixed part and SPI.
    pub fn parse(body: &'a [u8], offset: usize) -> Result<Self, ParseError> {
        let mut reader = Reader::new(body, offset);
        let mut fixed = reader.take("NOTIFY payload", Self::FIXED)?;
        let doi = Doi(fixed.u32("DOI")?);
        let protocol = ProtocolId(fixed.u8("protocol")?);
        let spi_size = fixed.u8("SPI size")?;
        let notify_type = NotifyType(fixed.u16("notify type")?);
        let spi = Cow::Borrowed(reader.take("SPI", usize::from(spi_size))?.remaining());
        Ok(Self { doi, protocol, notify_type, spi, data: Cow::Borrowed(reader.rest()) })
    }

    /// The octets of the body on the wire.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        Self::FIXED.saturating_add(self.spi.len()).saturating_add(self.data.len())
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let length = self.spi.len();
        let too_long = |_| EncodeError { what: "SPI", length, limit: 255 };
        out.extend(self.doi.0.to_be_bytes());
        out.extend([self.protocol.0, u8::try_from(length).map_err(too_long)?]);
        out.extend(self.notify_type.0.to_be_bytes());
        out.extend_from_slice(&self.spi);
        out.extend_from_slice(&self.data);
        Ok(())
    }
}

/// The SPI of an ISAKMP SA: both cookies, the initiator's first (RFC 2408 §3.15).
pub(super) fn cookie_pair((initiator, responder): (Cookie, Cookie)) -> Vec<u8> {
    initiator.0.into_iter().chain(responder.0).collect()
}
