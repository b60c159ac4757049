//! Why a packet was not sealed or not opened, and which counter says so.

use crate::wire::{NextHeader, Spi};

/// Why a packet was not sealed. Nothing changed but a counter of [`Counters`](crate::Counters),
/// which each variant names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// The caller left too little room around the payload (`encaps_failed_send`).
    #[error("buffer too small: {needed} bytes of {room} needed, have {have}")]
    BufferTooSmall {
        /// `headroom` or `tailroom`.
        room: &'static str,
        /// What the SA's method of that name says.
        needed: usize,
        /// How many bytes there are on that side of the payload.
        have: usize,
    },
    /// The caller's range does not lie in its buffer (`encaps_failed_send`).
    #[error("payload range ends at {end} in a buffer of {have} bytes, or starts behind its end")]
    RangeOutsideBuffer {
        /// End of the range.
        end: usize,
        /// Length of the buffer.
        have: usize,
    },
    /// A tunnel-mode SA carries IPv4, IPv6 or dummy packets (`invalid_protocol_send`).
    #[error("protocol {next_header} is not an ip packet for tunnel mode")]
    InvalidProtocol {
        /// What the caller wanted to send.
        next_header: NextHeader,
    },
    /// The sequence number would wrap (RFC 4303 §3.3.3; `replay_rollover_send`): the SA is done.
    #[error("sequence numbers of sa {spi} are exhausted")]
    SequenceExhausted {
        /// The SA.
        spi: Spi,
    },
    /// The packet would exceed the hard lifetime (`lifetime_expired_send`): the SA is done.
    #[error("hard lifetime of sa {spi} is reached")]
    LifetimeExpired {
        /// The SA.
        spi: Spi,
    },
    /// A sequence number that another SA reserved (`internal_error_send`).
    #[error("sequence number reserved for sa {reserved}, used with sa {spi}")]
    ForeignSequence {
        /// The SA of the key.
        spi: Spi,
        /// The SA that reserved the number.
        reserved: Spi,
    },
    /// The cryptographic provider failed (`internal_error_send`).
    #[error("cryptographic provider failed")]
    Provider,
}

/// Why a packet was not opened. Nothing changed but a counter of [`Counters`](crate::Counters),
/// which each variant names; the bytes of the packet itself may have been decrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The caller's range does not lie in its buffer (`internal_error_receive`).
    #[error("packet range ends at {end} in a buffer of {have} bytes, or starts behind its end")]
    RangeOutsideBuffer {
        /// End of the range.
        end: usize,
        /// Length of the buffer.
        have: usize,
    },
    /// Shorter than header, IV, trailer and ICV (`invalid_length_receive`).
    #[error("packet of {have} bytes, needed at least {needed}")]
    TooShort {
        /// The least length of a packet of this SA.
        needed: usize,
        /// The packet's length.
        have: usize,
    },
    /// The ciphertext is no multiple of what the transform asks for (`invalid_length_receive`).
    #[error("ciphertext of {have} bytes is not a multiple of {alignment}")]
    Alignment {
        /// Block size of the cipher, or 4.
        alignment: usize,
        /// Length of the ciphertext.
        have: usize,
    },
    /// The SPI is another SA's (`invalid_sa_receive`).
    #[error("packet for sa {received} given to sa {spi}")]
    WrongSpi {
        /// The SA asked.
        spi: Spi,
        /// The SPI in the packet.
        received: Spi,
    },
    /// The sequence number was received before, or is 0 (`replay_failed_receive`).
    #[error("sequence number {sequence} was received before")]
    Replayed {
        /// The sequence number.
        sequence: u64,
    },
    /// The sequence number is older than the replay window (`replay_failed_receive`).
    #[error("sequence number {sequence} is behind the replay window that ends at {highest}")]
    BehindWindow {
        /// The sequence number; of an extended one before the SA's first, its low half.
        sequence: u64,
        /// The highest number received.
        highest: u64,
    },
    /// The extended sequence number would wrap (`replay_rollover_receive`): the SA is done.
    #[error("sequence numbers of sa {spi} are exhausted")]
    SequenceExhausted {
        /// The SA.
        spi: Spi,
    },
    /// The packet would exceed the hard lifetime (`lifetime_expired_receive`): the SA is done.
    #[error("hard lifetime of sa {spi} is reached")]
    LifetimeExpired {
        /// The SA.
        spi: Spi,
    },
    /// The integrity check value does not hold (`verify_failed`): the packet, its sequence number
    /// included, is not the peer's.
    #[error("integrity check of sa {spi} failed")]
    IntegrityCheck {
        /// The SA.
        spi: Spi,
    },
    /// The pad length is longer than the plaintext (`decaps_failed_receive`).
    #[error("pad length {pad_length} in a plaintext of {have} bytes")]
    PadLength {
        /// The pad length.
        pad_length: u8,
        /// Length of the plaintext, trailer included.
        have: usize,
    },
    /// The padding is not 1, 2, 3, … (RFC 4303 §2.4; `decaps_failed_receive`); see
    /// [`Deviation::OddPadding`](crate::Deviation::OddPadding).
    #[error("padding is not 1, 2, 3, …")]
    Padding,
    /// A tunnel-mode SA carries IPv4, IPv6 or dummy packets (`invalid_protocol_receive`).
    #[error("protocol {next_header} is not an ip packet for tunnel mode")]
    InvalidProtocol {
        /// The next header.
        next_header: NextHeader,
    },
    /// The packet in tunnel mode is not as long as its header says, or of another IP version
    /// (`invalid_length_receive`).
    #[error("inner packet of {length} bytes by its header, have {have}")]
    InnerLength {
        /// What its header says.
        length: usize,
        /// What there is.
        have: usize,
    },
    /// A result that belongs to another SA (`internal_error_receive`).
    #[error("packet verified for sa {verified}, committed to sa {spi}")]
    ForeignPacket {
        /// The SA asked.
        spi: Spi,
        /// The SA whose key verified the packet.
        verified: Spi,
    },
    /// The cryptographic provider failed, or the job was never run (`internal_error_receive`).
    #[error("cryptographic provider failed")]
    Provider,
}
