//! Sealing: an SA's sending end (RFC 4303 §3.3).

use core::ops::Range;

use rand_core::CryptoRng;

use crate::batch::{BESIDE, beside_each_other};
use crate::config::{ConfigError, Mode, SaConfig};
use crate::counters::{Counters, Sent};
use crate::crypto::{Cipher, Fault, Provider};
use crate::error::SealError;
use crate::key::{Iv, Key};
use crate::lifetime::{Remaining, Usage};
use crate::wire::{NextHeader, Spi};

/// How many sequence numbers are left when the SA asks for a successor: enough for the seconds that
/// a negotiation takes.
const SEQUENCE_MARGIN: u64 = 1 << 24;

/// The sending end of an SA.
///
/// # One packet
///
/// [`seal`](Self::seal).
///
/// # Many packets
///
/// [`reserve`](Self::reserve) a sequence number for each, of whatever SAs; then build a [`SealJob`]
/// for each with its SA's [`key`](Self::key), and give them all to [`seal_batch`]. The result is
/// that of sealing one after the other.
#[derive(Debug)]
pub struct OutboundSa {
    key: Key,
    /// The last sequence number given out; the first is 1 (RFC 4303 §3.3.3).
    last_sequence: u64,
    usage: Usage,
    sent: Sent,
}

/// A sequence number that no other packet of its SA has. It cannot be copied.
#[derive(Debug)]
pub struct Sequence {
    spi: Spi,
    value: u64,
}

impl Sequence {
    /// The number, whole if it is an extended one.
    #[must_use]
    pub const fn value(&self) -> u64 {
        self.value
    }
}

impl OutboundSa {
    /// The sending end of the SA that `config` describes, with the keying material that
    /// [`Transform::split`](crate::Transform::split) understands.
    ///
    /// # Errors
    ///
    /// See [`ConfigError`].
    pub fn new(
        provider: &dyn Provider,
        config: &SaConfig,
        keymat: &[u8],
    ) -> Result<Self, ConfigError> {
        Ok(Self {
            key: Key::new(provider, config, keymat)?,
            last_sequence: 0,
            usage: Usage::new(config.lifetime),
            sent: Sent::default(),
        })
    }

    /// What seals this SA's packets.
    #[must_use]
    pub const fn key(&self) -> &Key {
        &self.key
    }

    /// Bytes needed in front of a payload.
    #[must_use]
    pub const fn headroom(&self) -> usize {
        self.key.transform().headroom()
    }

    /// Bytes needed behind a payload of `payload` bytes.
    #[must_use]
    pub const fn tailroom(&self, payload: usize) -> usize {
        self.key.transform().tailroom(payload)
    }

    /// What this SA sent, and why it did not. Put together for each call.
    #[must_use]
    pub fn counters(&self) -> Counters {
        Counters::from(&self.sent)
    }

    /// The last sequence number given out; 0 before the first.
    #[must_use]
    pub const fn last_sequence(&self) -> u64 {
        self.last_sequence
    }

    /// Bytes counted against the lifetime; see [`Volume`](crate::Volume) for which.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.usage.bytes()
    }

    /// What is left of the hard lifetime.
    #[must_use]
    pub fn remaining(&self) -> Remaining {
        self.usage.remaining()
    }

    /// Whether it is time for a successor: the soft lifetime is reached, or the sequence numbers are
    /// nearly used up. It stays true.
    #[must_use]
    pub fn soft_expired(&self) -> bool {
        let left = self.highest_sequence().saturating_sub(self.last_sequence);
        left < SEQUENCE_MARGIN || self.usage.soft_expired()
    }

    /// Seals `payload` in place; returns where in `buffer` the ESP packet is. The payload stays
    /// where it is and is encrypted there; [`headroom`](Self::headroom) bytes in front and
    /// [`tailroom`](Self::tailroom) bytes behind are overwritten.
    ///
    /// `next_header` says what the payload is: in transport mode the protocol number of the IP
    /// header that the caller keeps, in tunnel mode [`NextHeader::IPV4`] or [`NextHeader::IPV6`]. In
    /// either, [`NextHeader::NONE`] sends a dummy (RFC 4303 §2.6).
    ///
    /// `rng` is a generator in user space, not a call to the system: each packet of a CBC transform
    /// draws an IV from it.
    ///
    /// # Errors
    ///
    /// See [`SealError`]. On [`SealError::Provider`] a sequence number is used up; otherwise nothing
    /// but a counter changed.
    pub fn seal(
        &mut self,
        rng: &mut dyn CryptoRng,
        next_header: NextHeader,
        buffer: &mut [u8],
        payload: Range<usize>,
    ) -> Result<Range<usize>, SealError> {
        let sealed = self.try_seal(rng, next_header, buffer, payload);
        if let Err(error) = &sealed {
            self.count(error);
        }
        sealed
    }

    fn try_seal(
        &mut self,
        rng: &mut dyn CryptoRng,
        next_header: NextHeader,
        buffer: &mut [u8],
        payload: Range<usize>,
    ) -> Result<Range<usize>, SealError> {
        let packet = check(&self.key, next_header, buffer.len(), &payload)?;
        let sequence = self.try_reserve(payload.len())?;
        let iv = self.key.draw_iv(rng);
        let bytes = buffer.get_mut(packet.clone()).ok_or(SealError::Provider)?;
        self.key.seal(sequence.value, &iv, next_header, bytes, payload.len())?;
        Ok(packet)
    }

    /// Takes the next sequence number, for a payload of `payload` bytes, which counts against the
    /// lifetime and as sent from now on.
    ///
    /// # Errors
    ///
    /// [`SealError::SequenceExhausted`] and [`SealError::LifetimeExpired`].
    pub fn reserve(&mut self, payload: usize) -> Result<Sequence, SealError> {
        let reserved = self.try_reserve(payload);
        if let Err(error) = &reserved {
            self.count(error);
        }
        reserved
    }

    fn try_reserve(&mut self, payload: usize) -> Result<Sequence, SealError> {
        let spi = self.key.spi();
        // RFC 4303 §3.3.3: the number never cycles.
        let exhausted = SealError::SequenceExhausted { spi };
        let value = self.last_sequence.checked_add(1).ok_or(exhausted)?;
        if value > self.highest_sequence() {
            return Err(exhausted);
        }
        let encrypted = payload.saturating_add(self.key.transform().trailer_len(payload));
        if !self.usage.admits(encrypted) {
            return Err(SealError::LifetimeExpired { spi });
        }
        self.usage.add(encrypted);
        self.last_sequence = value;
        self.sent.count();
        Ok(Sequence { spi, value })
    }

    /// Counts an error that a [`SealJob`] met, which [`seal`](Self::seal) does by itself.
    pub const fn count(&mut self, error: &SealError) {
        self.sent.count_error(error);
    }

    const fn highest_sequence(&self) -> u64 {
        if self.key.extended_sequence() { u64::MAX } else { 0xffff_ffff }
    }

    #[cfg(test)]
    pub(crate) const fn skip_to_sequence(&mut self, last: u64) {
        self.last_sequence = last;
    }
}

/// What can fail before a sequence number is taken: where the packet will be.
fn check(
    key: &Key,
    next_header: NextHeader,
    have: usize,
    payload: &Range<usize>,
) -> Result<Range<usize>, SealError> {
    let ip = matches!(next_header, NextHeader::IPV4 | NextHeader::IPV6 | NextHeader::NONE);
    if key.mode() == Mode::Tunnel && !ip {
        return Err(SealError::InvalidProtocol { next_header });
    }
    let outside = SealError::RangeOutsideBuffer { end: payload.end, have };
    let len = payload.end.checked_sub(payload.start).ok_or(outside)?;
    let behind = have.checked_sub(payload.end).ok_or(outside)?;
    let (headroom, tailroom) = (key.transform().headroom(), key.transform().tailroom(len));
    let start = payload.start.checked_sub(headroom).ok_or(SealError::BufferTooSmall {
        room: "headroom",
        needed: headroom,
        have: payload.start,
    })?;
    if behind < tailroom {
        return Err(SealError::BufferTooSmall { room: "tailroom", needed: tailroom, have: behind });
    }
    Ok(start..payload.end.saturating_add(tailroom))
}

/// One packet of a batch.
#[derive(Debug)]
pub struct SealJob<'a> {
    key: &'a Key,
    sequence: Sequence,
    iv: Iv,
    next_header: NextHeader,
    buffer: &'a mut [u8],
    packet: Range<usize>,
    payload_len: usize,
    outcome: Result<(), SealError>,
}

impl<'a> SealJob<'a> {
    /// A packet to be sealed with `key`, whose SA reserved `sequence`; the rest as in
    /// [`OutboundSa::seal`].
    ///
    /// # Errors
    ///
    /// The errors of [`OutboundSa::seal`] that have to do with the buffer and the protocol, and
    /// [`SealError::ForeignSequence`].
    pub fn new(
        key: &'a Key,
        sequence: Sequence,
        iv: Iv,
        next_header: NextHeader,
        buffer: &'a mut [u8],
        payload: Range<usize>,
    ) -> Result<Self, SealError> {
        let (spi, reserved) = (key.spi(), sequence.spi);
        if spi != reserved {
            return Err(SealError::ForeignSequence { spi, reserved });
        }
        let packet = check(key, next_header, buffer.len(), &payload)?;
        let payload_len = payload.len();
        let outcome = Err(SealError::Provider);
        Ok(Self { key, sequence, iv, next_header, buffer, packet, payload_len, outcome })
    }

    fn frame(&mut self) -> Result<(), Fault> {
        let packet = self.buffer.get_mut(self.packet.clone()).ok_or(Fault)?;
        self.key.frame(self.sequence.value, &self.iv, self.next_header, packet, self.payload_len)
    }

    fn authenticate(&mut self) -> Result<(), Fault> {
        let packet = self.buffer.get_mut(self.packet.clone()).ok_or(Fault)?;
        self.key.authenticate(self.sequence.value, packet)
    }

    /// Where in its buffer the packet is, after [`seal_batch`].
    ///
    /// # Errors
    ///
    /// [`SealError::Provider`], also if the job was never run; give it to [`OutboundSa::count`].
    pub fn packet(&self) -> Result<Range<usize>, SealError> {
        self.outcome.map(|()| self.packet.clone())
    }
}

/// Seals every job; see [`SealJob::packet`] for the results. A cipher may encrypt packets of several
/// SAs beside each other.
pub fn seal_batch(jobs: &mut [SealJob<'_>]) {
    for jobs in jobs.chunks_mut(BESIDE) {
        for job in jobs.iter_mut() {
            job.outcome = job.frame().map_err(SealError::from);
        }
        let packets = jobs.iter_mut().filter_map(|job| {
            let packet = job.buffer.get_mut(job.packet.clone())?;
            Some((job.key, packet, &mut job.outcome))
        });
        beside_each_other(packets, <dyn Cipher>::encrypt_beside);
        for job in jobs.iter_mut().filter(|job| job.outcome.is_ok()) {
            job.outcome = job.authenticate().map_err(SealError::from);
        }
    }
}

impl From<Fault> for SealError {
    fn from(_fault: Fault) -> Self {
        Self::Provider
    }
}

#[cfg(all(test, feature = "rustcrypto"))]
mod tests {
    use super::{OutboundSa, SEQUENCE_MARGIN};
    use crate::crypto::RustCrypto;
    use crate::{
        InboundSa, Mode, NextHeader, OpenError, Opened, SaConfig, SealError, Spi, Transform,
    };
    use alloc::vec;
    use alloc::vec::Vec;
    use core::convert::Infallible;
    use rand_core::{TryCryptoRng, TryRng};

    const SPI: Spi = Spi(0x1234_5678);

    struct Zeros;

    impl TryRng for Zeros {
        type Error = Infallible;

        fn try_next_u32(&mut self) -> Result<u32, Infallible> {
            Ok(0)
        }

        fn try_next_u64(&mut self) -> Result<u64, Infallible> {
            Ok(0)
        }

        fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
            bytes.fill(0);
            Ok(())
        }
    }

    impl TryCryptoRng for Zeros {}

    fn pair(transform: Transform, extended: bool) -> (OutboundSa, InboundSa) {
        let config = SaConfig::new(SPI, transform, Mode::Transport).extended_sequence(extended);
        let keymat = vec![7; transform.keymat_len()];
        (
            OutboundSa::new(&RustCrypto, &config, &keymat).unwrap(),
            InboundSa::new(&RustCrypto, &config, &keymat).unwrap(),
        )
    }

    fn seal(sa: &mut OutboundSa) -> Result<Vec<u8>, SealError> {
        let mut buffer = [0; 100];
        let packet = sa.seal(&mut Zeros, NextHeader::GRE, &mut buffer, 40..50)?;
        Ok(buffer[packet].to_vec())
    }

    fn open(sa: &mut InboundSa, mut packet: Vec<u8>) -> Result<u64, OpenError> {
        let end = packet.len();
        match sa.open(&mut packet, 0..end)? {
            Opened::Payload(payload) => Ok(payload.sequence),
            Opened::Dummy => panic!("a dummy"),
        }
    }

    #[test]
    fn thirty_two_bits_are_never_exceeded() {
        let (mut out, mut inside) = pair(Transform::ESP_3DES_SHA, false);
        out.skip_to_sequence(0xffff_fffe - SEQUENCE_MARGIN);
        assert!(!out.soft_expired());
        seal(&mut out).unwrap();
        seal(&mut out).unwrap();
        assert!(out.soft_expired());

        out.skip_to_sequence(0xffff_fffe);
        let last = seal(&mut out).unwrap();
        assert_eq!(last[4..8], [0xff; 4]);
        assert_eq!(open(&mut inside, last), Ok(0xffff_ffff));
        for refused in 1..4 {
            assert_eq!(seal(&mut out), Err(SealError::SequenceExhausted { spi: SPI }));
            assert_eq!(out.counters().replay_rollover_send, refused);
        }
        assert_eq!((out.last_sequence(), out.counters().encaps), (0xffff_ffff, 3));
    }

    /// The high half is in the ICV: a receiver that does not know it refuses the packet.
    #[test]
    fn extended_numbers_go_on_behind_thirty_two_bits() {
        for transform in [Transform::ESP_3DES_SHA, Transform::ESP_GCM_256] {
            let (mut out, mut inside) = pair(transform, true);
            for start in [0xffff_fffd, 0x1_8000_0000, 0x1_ffff_fff0, 0x2_8000_0000] {
                out.skip_to_sequence(start);
                let packets: Vec<_> = (0..40).map(|_| seal(&mut out).unwrap()).collect();
                // In order, but for two that come late, over the edge.
                let (late, rest): (Vec<_>, Vec<_>) = (start + 1..)
                    .zip(packets.clone())
                    .partition(|(sequence, _)| [start + 2, start + 3].contains(sequence));
                for (sequence, packet) in rest.into_iter().chain(late) {
                    assert_eq!(open(&mut inside, packet), Ok(sequence));
                }
                assert!(packets.into_iter().all(|packet| open(&mut inside, packet).is_err()));
            }
            let (_, mut lost) = pair(transform, true);
            let packet = seal(&mut out).unwrap();
            assert_eq!(open(&mut lost, packet), Err(OpenError::IntegrityCheck { spi: SPI }));

            out.skip_to_sequence(u64::MAX - 1);
            assert!(seal(&mut out).is_ok());
            assert_eq!(seal(&mut out), Err(SealError::SequenceExhausted { spi: SPI }));
        }
    }
}
