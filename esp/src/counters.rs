//! What `show crypto ipsec sa detail` counts.

use core::ops::AddAssign;

use crate::error::{OpenError, SealError};
use crate::inbound::{Deviation, Opened, Payload};

/// Packet counters of an SA, or of several added up. They saturate. The text behind each is IOS's.
///
/// An [`OutboundSa`](crate::OutboundSa) counts what it sends, an [`InboundSa`](crate::InboundSa)
/// what it receives. What happens before there is an SA, or after it is done with a packet, is for
/// its owner to count, in a `Counters` of its own: `no_sa_send`, `invalid_sa_receive` where the SPI
/// is unknown, and `invalid_identity_receive`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// `#pkts encaps`: packets sent.
    pub encaps: u64,
    /// `#pkts encrypt`.
    pub encrypt: u64,
    /// `#pkts digest`.
    pub digest: u64,
    /// `#pkts decaps`: packets received, dummies included.
    pub decaps: u64,
    /// `#pkts decrypt`.
    pub decrypt: u64,
    /// `#pkts verify`.
    pub verify: u64,
    /// `#pkts no sa (send)`: to be protected, but there is no SA. The owner's.
    pub no_sa_send: u64,
    /// `#pkts invalid sa (rcv)`: the SPI is no SA's, or another's.
    pub invalid_sa_receive: u64,
    /// `#pkts encaps failed (send)`: the buffer is too small.
    pub encaps_failed_send: u64,
    /// `#pkts decaps failed (rcv)`: padding or pad length is wrong.
    pub decaps_failed_receive: u64,
    /// `#pkts invalid prot (rcv)`: the next header is not what the mode carries.
    pub invalid_protocol_receive: u64,
    /// `#pkts verify failed`: the ICV does not hold.
    pub verify_failed: u64,
    /// `#pkts invalid identity (rcv)`: not what the SA's selectors allow. The owner's.
    pub invalid_identity_receive: u64,
    /// `#pkts invalid len (rcv)`: too short, not a multiple of the block, or the inner packet is
    /// not as long as it says.
    pub invalid_length_receive: u64,
    /// `#pkts replay rollover (send)`: the sequence number would wrap.
    pub replay_rollover_send: u64,
    /// `#pkts replay rollover (rcv)`: the extended sequence number would wrap.
    pub replay_rollover_receive: u64,
    /// `##pkts replay failed (rcv)`: received before, or older than the window.
    pub replay_failed_receive: u64,
    /// `#pkts internal err (send)`.
    pub internal_error_send: u64,
    /// `#pkts internal err (rcv)`.
    pub internal_error_receive: u64,
    /// Not sent: the next header is not what the mode carries. IOS has no name for it.
    pub invalid_protocol_send: u64,
    /// Not sent: the hard lifetime is reached. IOS has no name for it.
    pub lifetime_expired_send: u64,
    /// Not received: the hard lifetime is reached. IOS has no name for it.
    pub lifetime_expired_receive: u64,
    /// Of those received: dummies, dropped without prejudice (RFC 4303 §2.6).
    pub dummies: u64,
    /// Of those received: padding other than 1, 2, 3, …, knowingly accepted.
    pub odd_padding: u64,
}

impl Counters {
    pub(crate) const fn count_sealed(&mut self) {
        self.encaps = self.encaps.saturating_add(1);
        self.encrypt = self.encrypt.saturating_add(1);
        self.digest = self.digest.saturating_add(1);
    }

    pub(crate) const fn count_opened(&mut self, opened: &Opened) {
        self.decaps = self.decaps.saturating_add(1);
        self.decrypt = self.decrypt.saturating_add(1);
        self.verify = self.verify.saturating_add(1);
        match opened {
            Opened::Dummy => self.dummies = self.dummies.saturating_add(1),
            Opened::Payload(Payload { deviation: Some(Deviation::OddPadding), .. }) => {
                self.odd_padding = self.odd_padding.saturating_add(1);
            }
            Opened::Payload(_) => {}
        }
    }

    pub(crate) const fn count_seal_error(&mut self, error: &SealError) {
        let counter = match error {
            SealError::BufferTooSmall { .. } | SealError::RangeOutsideBuffer { .. } => {
                &mut self.encaps_failed_send
            }
            SealError::InvalidProtocol { .. } => &mut self.invalid_protocol_send,
            SealError::SequenceExhausted { .. } => &mut self.replay_rollover_send,
            SealError::LifetimeExpired { .. } => &mut self.lifetime_expired_send,
            SealError::ForeignSequence { .. } | SealError::Provider => {
                &mut self.internal_error_send
            }
        };
        *counter = counter.saturating_add(1);
    }

    pub(crate) const fn count_open_error(&mut self, error: &OpenError) {
        let counter = match error {
            OpenError::TooShort { .. }
            | OpenError::Alignment { .. }
            | OpenError::InnerLength { .. } => &mut self.invalid_length_receive,
            OpenError::WrongSpi { .. } => &mut self.invalid_sa_receive,
            OpenError::Replayed { .. } | OpenError::BehindWindow { .. } => {
                &mut self.replay_failed_receive
            }
            OpenError::SequenceExhausted { .. } => &mut self.replay_rollover_receive,
            OpenError::LifetimeExpired { .. } => &mut self.lifetime_expired_receive,
            OpenError::IntegrityCheck { .. } => &mut self.verify_failed,
            OpenError::PadLength { .. } | OpenError::Padding => &mut self.decaps_failed_receive,
            OpenError::InvalidProtocol { .. } => &mut self.invalid_protocol_receive,
            OpenError::RangeOutsideBuffer { .. }
            | OpenError::ForeignPacket { .. }
            | OpenError::Provider => &mut self.internal_error_receive,
        };
        *counter = counter.saturating_add(1);
    }
}

impl AddAssign<&Self> for Counters {
    fn add_assign(&mut self, other: &Self) {
        // Taken apart, so that a counter cannot be forgotten here.
        let Self {
            encaps,
            encrypt,
            digest,
            decaps,
            decrypt,
            verify,
            no_sa_send,
            invalid_sa_receive,
            encaps_failed_send,
            decaps_failed_receive,
            invalid_protocol_receive,
            verify_failed,
            invalid_identity_receive,
            invalid_length_receive,
            replay_rollover_send,
            replay_rollover_receive,
            replay_failed_receive,
            internal_error_send,
            internal_error_receive,
            invalid_protocol_send,
            lifetime_expired_send,
            lifetime_expired_receive,
            dummies,
            odd_padding,
        } = self;
        for (counter, more) in [
            (encaps, other.encaps),
            (encrypt, other.encrypt),
            (digest, other.digest),
            (decaps, other.decaps),
            (decrypt, other.decrypt),
            (verify, other.verify),
            (no_sa_send, other.no_sa_send),
            (invalid_sa_receive, other.invalid_sa_receive),
            (encaps_failed_send, other.encaps_failed_send),
            (decaps_failed_receive, other.decaps_failed_receive),
            (invalid_protocol_receive, other.invalid_protocol_receive),
            (verify_failed, other.verify_failed),
            (invalid_identity_receive, other.invalid_identity_receive),
            (invalid_length_receive, other.invalid_length_receive),
            (replay_rollover_send, other.replay_rollover_send),
            (replay_rollover_receive, other.replay_rollover_receive),
            (replay_failed_receive, other.replay_failed_receive),
            (internal_error_send, other.internal_error_send),
            (internal_error_receive, other.internal_error_receive),
            (invalid_protocol_send, other.invalid_protocol_send),
            (lifetime_expired_send, other.lifetime_expired_send),
            (lifetime_expired_receive, other.lifetime_expired_receive),
            (dummies, other.dummies),
            (odd_padding, other.odd_padding),
        ] {
            *counter = counter.saturating_add(more);
        }
    }
}
