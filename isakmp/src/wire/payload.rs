use super::code_point::code_points;
use super::{
    Delete, EncodeError, Fragment, Identification, NatNumbering, NatOriginalAddress, Notification,
    ParseError, SecurityAssociation, VendorId,
};
use alloc::borrow::Cow;
use alloc::vec::Vec;

code_points! {
    /// The type of a payload (RFC 2408 §3.1, RFC 3947 §8, and private use).
    PayloadType(u8), "payload" {
        NONE = 0, "no payload";
        SECURITY_ASSOCIATION = 1, "SA payload";
        PROPOSAL = 2, "proposal";
        TRANSFORM = 3, "transform";
        KEY_EXCHANGE = 4, "KE payload";
        IDENTIFICATION = 5, "ID payload";
        CERTIFICATE = 6, "CERT payload";
        CERTIFICATE_REQUEST = 7, "CERT_REQ payload";
        HASH = 8, "HASH payload";
        SIGNATURE = 9, "SIG payload";
        NONCE = 10, "NONCE payload";
        NOTIFICATION = 11, "NOTIFY payload";
        DELETE = 12, "DELETE payload";
        VENDOR_ID = 13, "vendor id payload";
        ATTRIBUTES = 14, "ATTR payload";
        NAT_DETECTION_DRAFT_07 = 15, "NAT-D payload (draft 07)";
        NAT_ORIGINAL_ADDRESS_DRAFT_07 = 16, "NAT-OA payload (draft 07)";
        NAT_DETECTION = 20, "NAT-D payload";
        NAT_ORIGINAL_ADDRESS = 21, "NAT-OA payload";
        NAT_DETECTION_DRAFT_03 = 130, "NAT-D payload (drafts to 03)";
        NAT_ORIGINAL_ADDRESS_DRAFT_03 = 131, "NAT-OA payload (drafts to 03)";
        FRAGMENT = 132, "fragment";
    }
}

impl PayloadType {
    /// The name for an error, which cannot hold a number.
    pub(super) fn what(self) -> &'static str {
        self.name().unwrap_or("payload of unknown type")
    }
}

/// A payload, decoded. What has no structure that this codec knows is [`Payload::Opaque`]:
/// certificates, certificate requests, signatures, configuration attributes, and every type that
/// it never heard of.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Payload<'a> {
    /// Proposals (RFC 2408 §3.4).
    SecurityAssociation(SecurityAssociation<'a>),
    /// A Diffie-Hellman public value (RFC 2408 §3.7).
    KeyExchange(Cow<'a, [u8]>),
    /// Who (phase 1) or what traffic (phase 2) it is about (RFC 2407 §4.6.2).
    Identification(Identification<'a>),
    /// A hash that proves (RFC 2408 §3.11).
    Hash(Cow<'a, [u8]>),
    /// Fresh random octets, 8 to 256 of them (RFC 2408 §3.13, RFC 2409 §5).
    Nonce(Cow<'a, [u8]>),
    /// A notification (RFC 2408 §3.14).
    Notification(Notification<'a>),
    /// SAs that the sender no longer has (RFC 2408 §3.15).
    Delete(Delete<'a>),
    /// What the sender can do beyond the RFCs (RFC 2408 §3.16).
    VendorId(VendorId<'a>),
    /// The hash of an address and port as the sender sees them (RFC 3947 §3.2).
    NatDetection(NatNumbering, Cow<'a, [u8]>),
    /// An address as it is before translation (RFC 3947 §5.2).
    NatOriginalAddress(NatNumbering, NatOriginalAddress<'a>),
    /// A piece of a message.
    Fragment(Fragment<'a>),
    /// A body of no known structure. Its type is none of those above.
    Opaque(PayloadType, Cow<'a, [u8]>),
}

impl<'a> Payload<'a> {
    /// Reads the body of a payload (without the generic header), which starts at `offset` of its
    /// message.
    ///
    /// # Errors
    ///
    /// A [`ParseError`] with offsets into the message.
    pub fn parse(
        payload_type: PayloadType,
        body: &'a [u8],
        offset: usize,
    ) -> Result<Self, ParseError> {
        if let Some(numbering) = NatNumbering::of(payload_type) {
            return if numbering.detection() == payload_type {
                Ok(Self::NatDetection(numbering, Cow::Borrowed(body)))
            } else {
                NatOriginalAddress::parse(body, offset)
                    .map(|address| Self::NatOriginalAddress(numbering, address))
            };
        }
        Ok(match payload_type {
            PayloadType::SECURITY_ASSOCIATION => {
                Self::SecurityAssociation(SecurityAssociation::parse(body, offset)?)
            }
            PayloadType::KEY_EXCHANGE => Self::KeyExchange(Cow::Borrowed(body)),
            PayloadType::IDENTIFICATION => {
                Self::Identification(Identification::parse(body, offset)?)
            }
            PayloadType::HASH => Self::Hash(Cow::Borrowed(body)),
            PayloadType::NONCE => Self::Nonce(Cow::Borrowed(body)),
            PayloadType::NOTIFICATION => Self::Notification(Notification::parse(body, offset)?),
            PayloadType::DELETE => Self::Delete(Delete::parse(body, offset)?),
            PayloadType::VENDOR_ID => Self::VendorId(VendorId::new(body)),
            PayloadType::FRAGMENT => Self::Fragment(Fragment::parse(body, offset)?),
            _ => Self::Opaque(payload_type, Cow::Borrowed(body)),
        })
    }

    /// Its type on the wire.
    #[must_use]
    pub const fn payload_type(&self) -> PayloadType {
        match self {
            Self::SecurityAssociation(_) => PayloadType::SECURITY_ASSOCIATION,
            Self::KeyExchange(_) => PayloadType::KEY_EXCHANGE,
            Self::Identification(_) => PayloadType::IDENTIFICATION,
            Self::Hash(_) => PayloadType::HASH,
            Self::Nonce(_) => PayloadType::NONCE,
            Self::Notification(_) => PayloadType::NOTIFICATION,
            Self::Delete(_) => PayloadType::DELETE,
            Self::VendorId(_) => PayloadType::VENDOR_ID,
            Self::NatDetection(numbering, _) => numbering.detection(),
            Self::NatOriginalAddress(numbering, _) => numbering.original_address(),
            Self::Fragment(_) => PayloadType::FRAGMENT,
            Self::Opaque(payload_type, _) => *payload_type,
        }
    }

    /// The octets of the body on the wire, without the four of the generic header.
    #[must_use]
    pub fn body_len(&self) -> usize {
        match self {
            Self::SecurityAssociation(payload) => payload.encoded_len(),
            Self::Identification(payload) => payload.encoded_len(),
            Self::Notification(payload) => payload.encoded_len(),
            Self::Delete(payload) => payload.encoded_len(),
            Self::VendorId(payload) => payload.as_bytes().len(),
            Self::NatOriginalAddress(_, payload) => payload.encoded_len(),
            Self::Fragment(payload) => payload.encoded_len(),
            Self::KeyExchange(body)
            | Self::Hash(body)
            | Self::Nonce(body)
            | Self::NatDetection(_, body)
            | Self::Opaque(_, body) => body.len(),
        }
    }

    /// The body as it goes on the wire, without the generic header: what HASH_I and HASH_R cover
    /// as `SAi_b` and `IDii_b` (RFC 2409 §5).
    ///
    /// # Errors
    ///
    /// [`EncodeError`] if something in it is too long for its length field.
    pub fn body(&self) -> Result<Vec<u8>, EncodeError> {
        let mut out = Vec::with_capacity(self.body_len());
        self.encode_body(&mut out)?;
        Ok(out)
    }

    pub(super) fn encode_body(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        match self {
            Self::SecurityAssociation(payload) => return payload.encode(out),
            Self::Identification(payload) => payload.encode(out),
            Self::Notification(payload) => return payload.encode(out),
            Self::Delete(payload) => payload.encode(out),
            Self::VendorId(payload) => out.extend_from_slice(payload.as_bytes()),
            Self::NatOriginalAddress(_, payload) => payload.encode(out),
            Self::Fragment(payload) => payload.encode(out),
            Self::KeyExchange(body)
            | Self::Hash(body)
            | Self::Nonce(body)
            | Self::NatDetection(_, body)
            | Self::Opaque(_, body) => out.extend_from_slice(body),
        }
        Ok(())
    }
}
