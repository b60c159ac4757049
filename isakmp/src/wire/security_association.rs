use super::chain::length_field;
use super::code_point::code_points;
use super::reader::Reader;
use super::{Attribute, EncodeError, ParseError, PayloadType, TransformId};
use alloc::borrow::Cow;
use alloc::vec::Vec;

/// The greatest number of proposals accepted in one security association payload.
pub const MAX_PROPOSALS: usize = 64;

const PROPOSAL_HEADER: usize = 8;
const TRANSFORM_HEADER: usize = 8;

code_points! {
    /// Domain of interpretation (RFC 2408 §2.1).
    Doi(u32), "DOI" {
        ISAKMP = 0, "ISAKMP";
        IPSEC = 1, "IPsec";
        GDOI = 2, "GDOI";
    }
}

code_points! {
    /// The protocol that a proposal, notification or delete is about (RFC 2407 §4.4.1).
    ProtocolId(u8), "protocol" {
        NONE = 0, "none";
        ISAKMP = 1, "ISAKMP";
        AH = 2, "AH";
        ESP = 3, "ESP";
        IPCOMP = 4, "IPCOMP";
    }
}

/// The situation, a bitmap (RFC 2407 §4.2). Unassigned bits are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Situation(pub u32);

impl Situation {
    /// The identities of both sides are all that matters. Everyone sends this.
    pub const IDENTITY_ONLY: Self = Self(1);
    /// Labeled secrecy.
    pub const SECRECY: Self = Self(2);
    /// Labeled integrity.
    pub const INTEGRITY: Self = Self(4);

    /// Whether labels follow the bitmap.
    #[must_use]
    pub const fn has_labels(self) -> bool {
        self.0 & (Self::SECRECY.0 | Self::INTEGRITY.0) != 0
    }
}

/// A security association payload of the IPsec domain of interpretation (RFC 2408 §3.4,
/// RFC 2407 §4.6.1). Its DOI is [`Doi::IPSEC`]: of no other are the fields known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecurityAssociation<'a> {
    /// The situation.
    pub situation: Situation,
    /// The labels as they are on the wire, from the labeled domain identifier to the integrity
    /// category bitmap. Present if and only if [`Situation::has_labels`].
    pub labels: Cow<'a, [u8]>,
    /// What is offered, in order of preference. Proposals of the same number go together.
    pub proposals: Vec<Proposal<'a>>,
}

impl<'a> SecurityAssociation<'a> {
    /// A payload without labels.
    #[must_use]
    pub const fn new(proposals: Vec<Proposal<'a>>) -> Self {
        Self { situation: Situation::IDENTITY_ONLY, labels: Cow::Borrowed(&[]), proposals }
    }

    /// Reads the body of a payload, which starts at `offset` of its message.
    ///
    /// # Errors
    ///
    /// Each [`ParseError`] but `Version`.
    pub fn parse(body: &'a [u8], offset: usize) -> Result<Self, ParseError> {
        let mut reader = Reader::new(body, offset);
        let doi = Doi(reader.u32("DOI")?);
        if doi != Doi::IPSEC {
            return Err(ParseError::Doi { offset, doi });
        }
        let situation = Situation(reader.u32("situation")?);
        let labels = if situation.has_labels() { take_labels(&mut reader)? } else { &[] };
        let mut proposals = Vec::new();
        while !reader.is_empty() {
            let offset = reader.offset();
            if proposals.len() >= MAX_PROPOSALS {
                let limit = MAX_PROPOSALS;
                return Err(ParseError::TooMany { what: "proposals", offset, limit });
            }
            let (proposal, next) = Proposal::parse(&mut reader)?;
            proposals.push(proposal);
            if !expect("proposal", offset, next, PayloadType::PROPOSAL, &reader)? {
                break;
            }
        }
        Ok(Self { situation, labels: Cow::Borrowed(labels), proposals })
    }

    /// The octets of the body on the wire.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        self.proposals.iter().fold(self.labels.len().saturating_add(8), |sum, proposal| {
            sum.saturating_add(proposal.encoded_len())
        })
    }

    /// Copies what is borrowed.
    #[must_use]
    pub fn into_owned(self) -> SecurityAssociation<'static> {
        SecurityAssociation {
            situation: self.situation,
            labels: Cow::Owned(self.labels.into_owned()),
            proposals: self.proposals.into_iter().map(Proposal::into_owned).collect(),
        }
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        out.extend(Doi::IPSEC.0.to_be_bytes());
        out.extend(self.situation.0.to_be_bytes());
        out.extend_from_slice(&self.labels);
        let mut proposals = self.proposals.iter().peekable();
        while let Some(proposal) = proposals.next() {
            let next = next(PayloadType::PROPOSAL, proposals.peek().is_some());
            proposal.encode(next, out)?;
        }
        Ok(())
    }
}

/// A proposal: one protocol to protect traffic with (RFC 2408 §3.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal<'a> {
    /// The octet that the RFC reserves, 0.
    pub reserved: u8,
    /// Its number. Some responders do not echo it.
    pub number: u8,
    /// The protocol.
    pub protocol: ProtocolId,
    /// The sender's SPI, at most 255 octets: 4 for ESP and AH, 2 or 4 for IPCOMP, in phase 1
    /// none.
    pub spi: Cow<'a, [u8]>,
    /// The alternatives in order of preference, at most 255.
    pub transforms: Vec<Transform<'a>>,
}

impl<'a> Proposal<'a> {
    /// A proposal.
    #[must_use]
    pub fn new(
        number: u8,
        protocol: ProtocolId,
        spi: impl Into<Cow<'a, [u8]>>,
        transforms: Vec<Transform<'a>>,
    ) -> Self {
        Self { reserved: 0, number, protocol, spi: spi.into(), transforms }
    }

    /// The SPI if it has the four octets of an ESP or AH SPI.
    #[must_use]
    pub fn spi32(&self) -> Option<u32> {
        (*self.spi).try_into().ok().map(u32::from_be_bytes)
    }

    /// The octets of the proposal on the wire.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        self.transforms
            .iter()
            .fold(self.spi.len().saturating_add(PROPOSAL_HEADER), |sum, transform| {
                sum.saturating_add(transform.encoded_len())
            })
    }

    /// Copies what is borrowed.
    #[must_use]
    pub fn into_owned(self) -> Proposal<'static> {
        Proposal {
            reserved: self.reserved,
            number: self.number,
            protocol: self.protocol,
            spi: Cow::Owned(self.spi.into_owned()),
            transforms: self.transforms.into_iter().map(Transform::into_owned).collect(),
        }
    }

    fn parse(reader: &mut Reader<'a>) -> Result<(Self, PayloadType), ParseError> {
        let mut body = reader.take_counted("proposal", PROPOSAL_HEADER)?;
        let start = body.offset();
        let after = PayloadType(body.u8("next payload")?);
        let reserved = body.u8("reserved")?;
        let _length = body.u16("length")?;
        let number = body.u8("proposal number")?;
        let protocol = ProtocolId(body.u8("protocol")?);
        let spi_size = body.u8("SPI size")?;
        let announced = body.u8("number of transforms")?;
        let spi = Cow::Borrowed(body.take("SPI", usize::from(spi_size))?.remaining());
        let mut transforms = Vec::new();
        while !body.is_empty() {
            let offset = body.offset();
            let (transform, next) = Transform::parse(&mut body)?;
            transforms.push(transform);
            if !expect("transform", offset, next, PayloadType::TRANSFORM, &body)? {
                break;
            }
        }
        let found = transforms.len();
        if found != usize::from(announced) {
            return Err(ParseError::TransformCount { offset: start, announced, found });
        }
        Ok((Self { reserved, number, protocol, spi, transforms }, after))
    }

    fn encode(&self, next_payload: PayloadType, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let count = |what, length: usize| {
            u8::try_from(length).map_err(|_| EncodeError { what, length, limit: 255 })
        };
        out.extend([next_payload.0, self.reserved]);
        out.extend(length_field("proposal", self.encoded_len())?);
        out.extend([self.number, self.protocol.0]);
        out.push(count("SPI", self.spi.len())?);
        out.push(count("number of transforms", self.transforms.len())?);
        out.extend_from_slice(&self.spi);
        let mut transforms = self.transforms.iter().peekable();
        while let Some(transform) = transforms.next() {
            let next = next(PayloadType::TRANSFORM, transforms.peek().is_some());
            transform.encode(next, out)?;
        }
        Ok(())
    }
}

/// A transform: one way to do what its proposal's protocol does (RFC 2408 §3.6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transform<'a> {
    /// The octet after the next payload that the RFC reserves, 0.
    pub reserved: u8,
    /// Its number, which the responder must echo.
    pub number: u8,
    /// Which transform.
    pub id: TransformId,
    /// The two octets after the transform ID that the RFC reserves, 0.
    pub reserved2: u16,
    /// Its attributes, in the order of the wire: a life duration belongs to the life type before
    /// it.
    pub attributes: Vec<Attribute<'a>>,
}

impl<'a> Transform<'a> {
    /// A transform.
    #[must_use]
    pub const fn new(number: u8, id: TransformId, attributes: Vec<Attribute<'a>>) -> Self {
        Self { reserved: 0, number, id, reserved2: 0, attributes }
    }

    /// The octets of the transform on the wire.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        self.attributes
            .iter()
            .fold(TRANSFORM_HEADER, |sum, attribute| sum.saturating_add(attribute.encoded_len()))
    }

    /// Copies what is borrowed.
    #[must_use]
    pub fn into_owned(self) -> Transform<'static> {
        Transform {
            reserved: self.reserved,
            number: self.number,
            id: self.id,
            reserved2: self.reserved2,
            attributes: self.attributes.into_iter().map(Attribute::into_owned).collect(),
        }
    }

    fn parse(reader: &mut Reader<'a>) -> Result<(Self, PayloadType), ParseError> {
        let mut body = reader.take_counted("transform", TRANSFORM_HEADER)?;
        let next = PayloadType(body.u8("next payload")?);
        let reserved = body.u8("reserved")?;
        let _length = body.u16("length")?;
        let number = body.u8("transform number")?;
        let id = TransformId(body.u8("transform ID")?);
        let reserved2 = body.u16("reserved")?;
        let attributes = Attribute::parse_all(&mut body)?;
        Ok((Self { reserved, number, id, reserved2, attributes }, next))
    }

    fn encode(&self, next_payload: PayloadType, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        out.extend([next_payload.0, self.reserved]);
        out.extend(length_field("transform", self.encoded_len())?);
        out.extend([self.number, self.id.0]);
        out.extend(self.reserved2.to_be_bytes());
        self.attributes.iter().try_for_each(|attribute| attribute.encode(out))
    }
}

/// The labels of a situation (RFC 2407 §4.6.1): the labeled domain identifier, then secrecy
/// level, secrecy categories, integrity level and integrity categories, each with its length, two
/// reserved octets, and its value padded to 32 bits. The category lengths are in bits.
fn take_labels<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], ParseError> {
    let all = reader.remaining();
    reader.u32("labeled domain identifier")?;
    for (what, unit) in [
        ("secrecy level", 8),
        ("secrecy categories", 1),
        ("integrity level", 8),
        ("integrity categories", 1),
    ] {
        let length = usize::from(reader.u16(what)?);
        reader.u16(what)?;
        let words = length.saturating_mul(unit).div_ceil(32);
        reader.take(what, words.saturating_mul(4))?;
    }
    let taken = all.len().saturating_sub(reader.remaining().len());
    Ok(all.get(..taken).unwrap_or(all))
}

const fn next(payload_type: PayloadType, more: bool) -> PayloadType {
    if more { payload_type } else { PayloadType::NONE }
}

/// Whether another `expected` follows the structure at `offset`, which announces `next`.
fn expect(
    what: &'static str,
    offset: usize,
    next: PayloadType,
    expected: PayloadType,
    rest: &Reader<'_>,
) -> Result<bool, ParseError> {
    match next {
        PayloadType::NONE => rest.finish(what).map(|()| false),
        next if next == expected && rest.is_empty() => {
            // It says more than there is.
            let (offset, have) = (rest.offset(), 0);
            Err(ParseError::Truncated { what, offset, needed: PROPOSAL_HEADER, have })
        }
        next if next == expected => Ok(true),
        found => Err(ParseError::UnexpectedPayload { what, offset, found }),
    }
}
