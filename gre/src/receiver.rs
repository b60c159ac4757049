//! The decapsulator of one traffic flow.

use core::ops::Range;

use crate::header::{Header, ParseError};

/// Half of the space of sequence numbers: the window of RFC 2890 §2.2.
const HALF: u32 = 1 << 31;

/// Takes the GRE header off the packets of one flow: one sender, one key (RFC 2890 §2.1).
///
/// Sequence numbers are the sender's own, so a multipoint tunnel has one `Receiver` for each peer.
/// Nothing is buffered: a packet that closes a gap late is out of order, as RFC 2890 §2.2 allows.
#[derive(Clone, Debug)]
pub struct Receiver {
    key: Option<u32>,
    last_sequence: u32,
    counters: ReceiverCounters,
}

/// What [`Receiver::decapsulate`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// The header, as it was.
    pub header: Header,
    /// Where the payload is, in the buffer that was given.
    pub payload: Range<usize>,
}

/// How many packets a [`Receiver`] saw. They saturate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReceiverCounters {
    /// Decapsulated, keepalives included.
    pub received: u64,
    /// Of those received: keepalives (protocol type 0).
    pub keepalives: u64,
    /// Of those received: their sequence number skipped at least one (RFC 2890 §2.2).
    pub gaps: u64,
    /// Discarded: not a GRE header of version 0.
    pub malformed: u64,
    /// Discarded: the checksum does not hold.
    pub checksum_errors: u64,
    /// Discarded: another key than the flow's, or none, or one where none is expected.
    pub key_mismatches: u64,
    /// Discarded: sequence number out of order.
    pub out_of_order: u64,
}

impl Receiver {
    /// The state of a flow whose packets all carry `key`, or none of them any.
    #[must_use]
    pub const fn new(key: Option<u32>) -> Self {
        // RFC 2890 §2.2: when the tunnel is established, the last number is 2^32 - 1.
        Self { key, last_sequence: u32::MAX, counters: ReceiverCounters::new() }
    }

    /// The key the flow's packets carry.
    #[must_use]
    pub const fn key(&self) -> Option<u32> {
        self.key
    }

    /// How many packets were received and discarded.
    #[must_use]
    pub const fn counters(&self) -> &ReceiverCounters {
        &self.counters
    }

    /// Forgets the sender's sequence number, because its tunnel was established anew; otherwise a
    /// sender that restarts at 0 is out of order for up to 2^31 packets.
    pub const fn reset_sequence(&mut self) {
        self.last_sequence = u32::MAX;
    }

    /// Takes the header off the GRE packet at `packet` in `buffer`. Nothing is moved.
    ///
    /// `packet` must end where the delivery header says that the packet ends: padding of the link
    /// behind it would count as payload.
    ///
    /// # Errors
    ///
    /// See [`Discard`]; only counters changed then.
    pub fn decapsulate(
        &mut self,
        buffer: &[u8],
        packet: Range<usize>,
    ) -> Result<Received, Discard> {
        let received = self.check(buffer, packet)?;
        self.accept(&received);
        Ok(received)
    }

    /// The first half of [`decapsulate`](Self::decapsulate), for a caller who may yet discard the
    /// packet for what it carries: the flow has not received it before [`accept`](Self::accept).
    ///
    /// # Errors
    ///
    /// See [`Discard`]; only counters changed then.
    pub fn check(&mut self, buffer: &[u8], packet: Range<usize>) -> Result<Received, Discard> {
        match self.try_check(buffer, &packet) {
            Ok((header, payload)) => Ok(Received { header, payload }),
            Err(discard) => {
                let counter = match discard {
                    Discard::Malformed(_) | Discard::RangeOutsideBuffer { .. } => {
                        &mut self.counters.malformed
                    }
                    Discard::Checksum { .. } => &mut self.counters.checksum_errors,
                    Discard::KeyMismatch { .. } => &mut self.counters.key_mismatches,
                    Discard::OutOfOrder { .. } => &mut self.counters.out_of_order,
                };
                *counter = counter.saturating_add(1);
                Err(discard)
            }
        }
    }

    /// Counts what [`check`](Self::check) found as received, and its sequence number as the last.
    pub fn accept(&mut self, received: &Received) {
        let header = &received.header;
        if let Some(sequence) = header.sequence {
            if sequence != self.last_sequence.wrapping_add(1) {
                self.counters.gaps = self.counters.gaps.saturating_add(1);
            }
            self.last_sequence = sequence;
        }
        if header.is_keepalive() {
            self.counters.keepalives = self.counters.keepalives.saturating_add(1);
        }
        self.counters.received = self.counters.received.saturating_add(1);
    }

    fn try_check(
        &self,
        buffer: &[u8],
        packet: &Range<usize>,
    ) -> Result<(Header, Range<usize>), Discard> {
        let Some(bytes) = buffer.get(packet.clone()) else {
            return Err(Discard::RangeOutsideBuffer { end: packet.end, have: buffer.len() });
        };
        let (header, payload) = Header::parse(bytes)?;
        // RFC 2784 §2.2: the checksum is checked where there is one, whatever was agreed.
        if let Some(checksum) = header.checksum
            && !header.checksum_holds(payload)
        {
            return Err(Discard::Checksum { received: checksum.value });
        }
        if header.key != self.key {
            return Err(Discard::KeyMismatch { expected: self.key, received: header.key });
        }
        // RFC 2890 §2.2: out of order is the last number and the 2^31 - 1 before it. Packets
        // without a number may be interleaved.
        if let Some(received) = header.sequence
            && self.last_sequence.wrapping_sub(received) < HALF
        {
            return Err(Discard::OutOfOrder { last: self.last_sequence, received });
        }
        Ok((header, packet.end.saturating_sub(payload.len())..packet.end))
    }
}

impl ReceiverCounters {
    const fn new() -> Self {
        Self {
            received: 0,
            keepalives: 0,
            gaps: 0,
            malformed: 0,
            checksum_errors: 0,
            key_mismatches: 0,
            out_of_order: 0,
        }
    }
}

/// Why [`Receiver::decapsulate`] discarded a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Discard {
    /// Not a GRE header of version 0.
    #[error(transparent)]
    Malformed(#[from] ParseError),
    /// The caller's range does not lie in its buffer.
    #[error("packet range ends at {end} in a buffer of {have} bytes, or starts behind its end")]
    RangeOutsideBuffer {
        /// End of the range.
        end: usize,
        /// Length of the buffer.
        have: usize,
    },
    /// The checksum does not hold (RFC 2784 §2.5).
    #[error("gre checksum {received:#06x} does not hold")]
    Checksum {
        /// The checksum in the header.
        received: u16,
    },
    /// Another key than the flow's (RFC 2890 §2.1).
    #[error("gre key mismatch: expected {expected:?}, received {received:?}")]
    KeyMismatch {
        /// The flow's key.
        expected: Option<u32>,
        /// The packet's key.
        received: Option<u32>,
    },
    /// Not newer than the last packet received (RFC 2890 §2.2).
    #[error("gre sequence number {received} is out of order after {last}")]
    OutOfOrder {
        /// The last sequence number received.
        last: u32,
        /// The packet's sequence number.
        received: u32,
    },
}
