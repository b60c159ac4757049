//! The encapsulator of one traffic flow.

use core::ops::Range;

use crate::header::{Checksum, Header, ProtocolType};

/// Puts the GRE header in front of the packets of one flow, in the caller's buffer.
#[derive(Clone, Debug)]
pub struct Sender {
    key: Option<u32>,
    checksum: bool,
    next_sequence: Option<u32>,
    sent: u64,
}

impl Sender {
    /// A flow with `key` in each packet, or without keys; no checksum, no sequence numbers.
    #[must_use]
    pub const fn new(key: Option<u32>) -> Self {
        Self { key, checksum: false, next_sequence: None, sent: 0 }
    }

    /// The same flow with a checksum in each packet (RFC 2784 §2.5).
    #[must_use]
    pub const fn with_checksum(mut self) -> Self {
        self.checksum = true;
        self
    }

    /// The same flow with a sequence number in each packet, the first being 0 (RFC 2890 §2.2).
    #[must_use]
    pub const fn with_sequence(mut self) -> Self {
        self.next_sequence = Some(0);
        self
    }

    /// Bytes needed in front of a payload: the length of the flow's header.
    #[must_use]
    pub const fn headroom(&self) -> usize {
        self.header(ProtocolType::IPV4).encoded_len()
    }

    /// How many packets were encapsulated; saturates.
    #[must_use]
    pub const fn sent(&self) -> u64 {
        self.sent
    }

    /// Writes the header in front of `payload`, which stays where it is in `buffer`; returns where
    /// the GRE packet is. The sequence number moves on, modulo 2^32.
    ///
    /// # Errors
    ///
    /// See [`EncapsulateError`]; nothing changed then.
    pub fn encapsulate(
        &mut self,
        protocol: ProtocolType,
        buffer: &mut [u8],
        payload: Range<usize>,
    ) -> Result<Range<usize>, EncapsulateError> {
        let have = buffer.len();
        let end = payload.end;
        let outside = EncapsulateError::RangeOutsideBuffer { end, have };
        let (front, rest) = buffer.split_at_mut_checked(payload.start).ok_or(outside)?;
        let body = rest.get(..end.checked_sub(payload.start).ok_or(outside)?).ok_or(outside)?;

        let mut header = self.header(protocol);
        let needed = header.encoded_len();
        let too_small = EncapsulateError::BufferTooSmall { needed, have: payload.start };
        let start = payload.start.checked_sub(needed).ok_or(too_small)?;
        if self.checksum {
            header = header.with_checksum_over(body);
        }
        let out = front.get_mut(start..).ok_or(too_small)?;
        header.encode(out).map_err(|_short| too_small)?;

        self.next_sequence = self.next_sequence.map(|sequence| sequence.wrapping_add(1));
        self.sent = self.sent.saturating_add(1);
        Ok(start..end)
    }

    const fn header(&self, protocol: ProtocolType) -> Header {
        let mut header = Header::new(protocol);
        header.key = self.key;
        header.sequence = self.next_sequence;
        if self.checksum {
            header.checksum = Some(Checksum { value: 0, reserved1: 0 });
        }
        header
    }
}

/// Why [`Sender::encapsulate`] could not. Both are faults of the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncapsulateError {
    /// Too few bytes in front of the payload.
    #[error("buffer too small: {needed} bytes of headroom needed, have {have}")]
    BufferTooSmall {
        /// What [`Sender::headroom`] says.
        needed: usize,
        /// Where the payload starts.
        have: usize,
    },
    /// The caller's range does not lie in its buffer.
    #[error("payload range ends at {end} in a buffer of {have} bytes, or starts behind its end")]
    RangeOutsideBuffer {
        /// End of the range.
        end: usize,
        /// Length of the buffer.
        have: usize,
    },
}
