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

/// What a sending end can count: a hub has one for each of its peers, so it has no room for what the
/// other end counts. It saturates.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sent {
    /// An SA encapsulates, encrypts and authenticates the same packets.
    packets: u64,
    encaps_failed: u64,
    invalid_protocol: u64,
    replay_rollover: u64,
    lifetime_expired: u64,
    internal_error: u64,
}

impl Sent {
    pub(crate) const fn count(&mut self) {
        self.packets = self.packets.saturating_add(1);
    }

    pub(crate) const fn count_error(&mut self, error: &SealError) {
        let counter = match error {
            SealError::BufferTooSmall { .. } | SealError::RangeOutsideBuffer { .. } => {
                &mut self.encaps_failed
            }
            SealError::InvalidProtocol { .. } => &mut self.invalid_protocol,
            SealError::SequenceExhausted { .. } => &mut self.replay_rollover,
            SealError::LifetimeExpired { .. } => &mut self.lifetime_expired,
            SealError::ForeignSequence { .. } | SealError::Provider => &mut self.internal_error,
        };
        *counter = counter.saturating_add(1);
    }
}

impl From<&Sent> for Counters {
    fn from(sent: &Sent) -> Self {
        let Sent {
            packets,
            encaps_failed,
            invalid_protocol,
            replay_rollover,
            lifetime_expired,
            internal_error,
        } = *sent;
        Self {
            encaps: packets,
            encrypt: packets,
            digest: packets,
            encaps_failed_send: encaps_failed,
            invalid_protocol_send: invalid_protocol,
            replay_rollover_send: replay_rollover,
            lifetime_expired_send: lifetime_expired,
            internal_error_send: internal_error,
            ..Self::default()
        }
    }
}

/// What a receiving end can count. It saturates.
#[derive(Clone, Debug, Default)]
pub(crate) struct Received {
    /// What is authentic, decrypted and well-formed is counted as all three.
    packets: u64,
    dummies: u64,
    odd_padding: u64,
    invalid_sa: u64,
    invalid_length: u64,
    replay_failed: u64,
    replay_rollover: u64,
    lifetime_expired: u64,
    verify_failed: u64,
    decaps_failed: u64,
    invalid_protocol: u64,
    internal_error: u64,
}

impl Received {
    pub(crate) const fn count(&mut self, opened: &Opened) {
        self.packets = self.packets.saturating_add(1);
        match opened {
            Opened::Dummy => self.dummies = self.dummies.saturating_add(1),
            Opened::Payload(Payload { deviation: Some(Deviation::OddPadding), .. }) => {
                self.odd_padding = self.odd_padding.saturating_add(1);
            }
            Opened::Payload(_) => {}
        }
    }

    pub(crate) const fn count_error(&mut self, error: &OpenError) {
        let counter = match error {
            OpenError::TooShort { .. }
            | OpenError::Alignment { .. }
            | OpenError::InnerLength { .. } => &mut self.invalid_length,
            OpenError::WrongSpi { .. } => &mut self.invalid_sa,
            OpenError::Replayed { .. } | OpenError::BehindWindow { .. } => &mut self.replay_failed,
            OpenError::SequenceExhausted { .. } => &mut self.replay_rollover,
            OpenError::LifetimeExpired { .. } => &mut self.lifetime_expired,
            OpenError::IntegrityCheck { .. } => &mut self.verify_failed,
            OpenError::PadLength { .. } | OpenError::Padding => &mut self.decaps_failed,
            OpenError::InvalidProtocol { .. } => &mut self.invalid_protocol,
            OpenError::RangeOutsideBuffer { .. }
            | OpenError::ForeignPacket { .. }
            | OpenError::Provider => &mut self.internal_error,
        };
        *counter = counter.saturating_add(1);
    }
}

impl From<&Received> for Counters {
    fn from(received: &Received) -> Self {
        let Received {
            packets,
            dummies,
            odd_padding,
            invalid_sa,
            invalid_length,
            replay_failed,
            replay_rollover,
            lifetime_expired,
            verify_failed,
            decaps_failed,
            invalid_protocol,
            internal_error,
        } = *received;
        Self {
            decaps: packets,
            decrypt: packets,
            verify: packets,
            dummies,
            odd_padding,
            invalid_sa_receive: invalid_sa,
            invalid_length_receive: invalid_length,
            replay_failed_receive: replay_failed,
            replay_rollover_receive: replay_rollover,
            lifetime_expired_receive: lifetime_expired,
            verify_failed,
            decaps_failed_receive: decaps_failed,
            invalid_protocol_receive: invalid_protocol,
            internal_error_receive: internal_error,
            ..Self::default()
        }
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

#[cfg(test)]
mod tests {
    use super::{Counters, Received, Sent};
    use crate::{Deviation, NextHeader, OpenError, Opened, Payload, SealError, Spi};

    const SPI: Spi = Spi(0x1000);

    #[test]
    fn what_is_sent_counts_as_encapsulated_encrypted_and_digested() {
        let mut sent = Sent::default();
        for _ in 0..3 {
            sent.count();
        }
        let expected = Counters { encaps: 3, encrypt: 3, digest: 3, ..Counters::default() };
        assert_eq!(Counters::from(&sent), expected);
    }

    #[test]
    fn what_is_not_sent_counts_once_under_its_reason() {
        let none = Counters::default();
        for (error, expected) in [
            (
                SealError::BufferTooSmall { room: "headroom", needed: 1, have: 0 },
                Counters { encaps_failed_send: 1, ..none },
            ),
            (
                SealError::RangeOutsideBuffer { end: 1, have: 0 },
                Counters { encaps_failed_send: 1, ..none },
            ),
            (
                SealError::InvalidProtocol { next_header: NextHeader::GRE },
                Counters { invalid_protocol_send: 1, ..none },
            ),
            (
                SealError::SequenceExhausted { spi: SPI },
                Counters { replay_rollover_send: 1, ..none },
            ),
            (
                SealError::LifetimeExpired { spi: SPI },
                Counters { lifetime_expired_send: 1, ..none },
            ),
            (
                SealError::ForeignSequence { spi: SPI, reserved: Spi(0x2000) },
                Counters { internal_error_send: 1, ..none },
            ),
            (SealError::Provider, Counters { internal_error_send: 1, ..none }),
        ] {
            let mut sent = Sent::default();
            sent.count_error(&error);
            assert_eq!(Counters::from(&sent), expected, "{error}");
        }
    }

    #[test]
    fn what_is_received_counts_as_decapsulated_decrypted_and_verified() {
        let three = Counters { decaps: 1, decrypt: 1, verify: 1, ..Counters::default() };
        let payload = |deviation| {
            Opened::Payload(Payload {
                next_header: NextHeader::GRE,
                range: 0..1,
                sequence: 1,
                deviation,
            })
        };
        for (opened, expected) in [
            (payload(None), three),
            (payload(Some(Deviation::OddPadding)), Counters { odd_padding: 1, ..three }),
            (Opened::Dummy, Counters { dummies: 1, ..three }),
        ] {
            let mut received = Received::default();
            received.count(&opened);
            assert_eq!(Counters::from(&received), expected, "{opened:?}");
        }
    }

    #[test]
    fn what_is_refused_counts_once_under_its_reason() {
        let none = Counters::default();
        for (error, expected) in [
            (
                OpenError::TooShort { needed: 1, have: 0 },
                Counters { invalid_length_receive: 1, ..none },
            ),
            (
                OpenError::Alignment { alignment: 4, have: 1 },
                Counters { invalid_length_receive: 1, ..none },
            ),
            (
                OpenError::InnerLength { length: 2, have: 1 },
                Counters { invalid_length_receive: 1, ..none },
            ),
            (
                OpenError::WrongSpi { spi: SPI, received: Spi(0x2000) },
                Counters { invalid_sa_receive: 1, ..none },
            ),
            (OpenError::Replayed { sequence: 1 }, Counters { replay_failed_receive: 1, ..none }),
            (
                OpenError::BehindWindow { sequence: 1, highest: 70 },
                Counters { replay_failed_receive: 1, ..none },
            ),
            (
                OpenError::SequenceExhausted { spi: SPI },
                Counters { replay_rollover_receive: 1, ..none },
            ),
            (
                OpenError::LifetimeExpired { spi: SPI },
                Counters { lifetime_expired_receive: 1, ..none },
            ),
            (OpenError::IntegrityCheck { spi: SPI }, Counters { verify_failed: 1, ..none }),
            (
                OpenError::PadLength { pad_length: 2, have: 1 },
                Counters { decaps_failed_receive: 1, ..none },
            ),
            (OpenError::Padding, Counters { decaps_failed_receive: 1, ..none }),
            (
                OpenError::InvalidProtocol { next_header: NextHeader::GRE },
                Counters { invalid_protocol_receive: 1, ..none },
            ),
            (
                OpenError::RangeOutsideBuffer { end: 1, have: 0 },
                Counters { internal_error_receive: 1, ..none },
            ),
            (
                OpenError::ForeignPacket { spi: SPI, verified: Spi(0x2000) },
                Counters { internal_error_receive: 1, ..none },
            ),
            (OpenError::Provider, Counters { internal_error_receive: 1, ..none }),
        ] {
            let mut received = Received::default();
            received.count_error(&error);
            assert_eq!(Counters::from(&received), expected, "{error}");
        }
    }

    #[test]
    fn both_ends_add_up() {
        let (mut sent, mut received) = (Sent::default(), Received::default());
        sent.count();
        received.count(&Opened::Dummy);
        received.count_error(&OpenError::Padding);
        let mut both = Counters::from(&sent);
        both += &Counters::from(&received);
        let once = both;
        both += &once;
        let expected = Counters {
            encaps: 2,
            encrypt: 2,
            digest: 2,
            decaps: 2,
            decrypt: 2,
            verify: 2,
            dummies: 2,
            decaps_failed_receive: 2,
            ..Counters::default()
        };
        assert_eq!(both, expected);
    }
}
