use super::{Doi, PayloadType, Version};

/// Why bytes are not an ISAKMP message. Offsets count from the first byte of the ISAKMP header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// A structure ends after the bytes that hold it.
    #[error("{what} at offset {offset} is cut short: needs {needed} bytes, has {have}")]
    Truncated {
        /// The structure.
        what: &'static str,
        /// Where it starts.
        offset: usize,
        /// The octets it needs.
        needed: usize,
        /// The octets there are.
        have: usize,
    },
    /// A length field is smaller than the structure that it counts.
    #[error("{what} at offset {offset} has length {length}, less than its minimum {minimum}")]
    LengthTooSmall {
        /// The structure.
        what: &'static str,
        /// Where it starts.
        offset: usize,
        /// The octets its length field says.
        length: usize,
        /// The octets its fixed part has.
        minimum: usize,
    },
    /// A structure holds more bytes than its contents account for.
    #[error("{what} at offset {offset} has {excess} bytes left over")]
    Excess {
        /// The structure.
        what: &'static str,
        /// Where the bytes left over start.
        offset: usize,
        /// How many octets they are.
        excess: usize,
    },
    /// The major version is not 1 (RFC 2408 §3.1).
    #[error("version {version} at offset 17 is not 1.x")]
    Version {
        /// The version of the header.
        version: Version,
    },
    /// The fields of a security association in this domain of interpretation are not known
    /// (RFC 2408 §3.4).
    #[error("{doi} at offset {offset} is not IPsec")]
    Doi {
        /// Where the field is.
        offset: usize,
        /// Its value.
        doi: Doi,
    },
    /// Inside a security association something else than a proposal (or, inside a proposal, than
    /// a transform) is announced (RFC 2408 §3.5, §3.6).
    #[error("{what} at offset {offset} is followed by {found}")]
    UnexpectedPayload {
        /// The structure whose next-payload field is wrong.
        what: &'static str,
        /// Where it starts.
        offset: usize,
        /// What it announces.
        found: PayloadType,
    },
    /// A proposal does not hold as many transforms as it says (RFC 2408 §3.5).
    #[error("proposal at offset {offset} announces {announced} transforms and holds {found}")]
    TransformCount {
        /// Where the proposal starts.
        offset: usize,
        /// The number in its field.
        announced: u8,
        /// The number found.
        found: usize,
    },
    /// More of something than this codec accepts in one message.
    #[error("more than {limit} {what} at offset {offset}")]
    TooMany {
        /// The things counted.
        what: &'static str,
        /// Where the first one too many starts.
        offset: usize,
        /// The limit.
        limit: usize,
    },
}

impl ParseError {
    /// Where in the message the structure at fault starts, in octets.
    #[must_use]
    pub const fn offset(&self) -> usize {
        match *self {
            Self::Truncated { offset, .. }
            | Self::LengthTooSmall { offset, .. }
            | Self::Excess { offset, .. }
            | Self::Doi { offset, .. }
            | Self::UnexpectedPayload { offset, .. }
            | Self::TransformCount { offset, .. }
            | Self::TooMany { offset, .. } => offset,
            Self::Version { .. } => super::header::VERSION_OFFSET,
        }
    }

    /// The structure at fault.
    #[must_use]
    pub const fn what(&self) -> &'static str {
        match *self {
            Self::Truncated { what, .. }
            | Self::LengthTooSmall { what, .. }
            | Self::Excess { what, .. }
            | Self::UnexpectedPayload { what, .. }
            | Self::TooMany { what, .. } => what,
            Self::Version { .. } => "header",
            Self::Doi { .. } => "SA payload",
            Self::TransformCount { .. } => "proposal",
        }
    }
}

/// Why a value has no encoding: it does not fit the length field that would count it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} of {length} does not fit its length field, which goes to {limit}")]
pub struct EncodeError {
    /// The structure.
    pub what: &'static str,
    /// Its length, in octets or (transforms) in number.
    pub length: usize,
    /// The greatest that the field can say.
    pub limit: usize,
}
