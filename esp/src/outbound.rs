//! Sealing: an SA's sending end (RFC 4303 §3.3).

use core::ops::Range;

use rand_core::CryptoRng;

use crate::config::{ConfigError, Mode, SaConfig};
use crate::counters::Counters;
use crate::crypto::Provider;
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
    counters: Counters,
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
            counters: Counters::default(),
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

    /// What this SA sent, and why it did not.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.counters
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
        self.key
            .seal(sequence.value, &iv, next_header, bytes, payload.len())
            .map_err(|_fault| SealError::Provider)?;
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
        self.counters.count_sealed();
        Ok(Sequence { spi, value })
    }

    /// Counts an error that a [`SealJob`] met, which [`seal`](Self::seal) does by itself.
    pub const fn count(&mut self, error: &SealError) {
        self.counters.count_seal_error(error);
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

    /// Where in its buffer the packet is, after [`seal_batch`].
    ///
    /// # Errors
    ///
    /// [`SealError::Provider`], also if the job was never run; give it to [`OutboundSa::count`].
    pub fn packet(&self) -> Result<Range<usize>, SealError> {
        self.outcome.map(|()| self.packet.clone())
    }
}

/// Seals every job; see [`SealJob::packet`] for the results.
pub fn seal_batch(jobs: &mut [SealJob<'_>]) {
    for job in jobs {
        job.outcome = match job.buffer.get_mut(job.packet.clone()) {
            None => Err(SealError::Provider),
            Some(bytes) => job
                .key
                .seal(job.sequence.value, &job.iv, job.next_header, bytes, job.payload_len)
                .map_err(|_fault| SealError::Provider),
        };
    }
}
