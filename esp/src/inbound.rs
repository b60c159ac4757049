//! Opening: an SA's receiving end (RFC 4303 §3.4).

use core::ops::Range;

use crate::batch::{BESIDE, beside_each_other};
use crate::config::{ConfigError, Mode, SaConfig};
use crate::counters::{Counters, Received};
use crate::crypto::{Cipher, Fault, Provider};
use crate::error::OpenError;
use crate::key::Key;
use crate::lifetime::{Remaining, Usage};
use crate::replay::ReplayWindow;
use crate::wire::{Header, NextHeader, Spi, inner, trailer};

/// The receiving end of an SA.
///
/// # One packet
///
/// [`open`](Self::open).
///
/// # Many packets
///
/// [`check`](Self::check) each, of whatever SAs; then build an [`OpenJob`] for each with its SA's
/// [`key`](Self::key), give them all to [`open_batch`], and [`commit`](Self::commit) each result,
/// in order. What is accepted is what opening one after the other accepts: the replay window is
/// asked again at commit, so that of two copies in one batch the second is refused.
#[derive(Debug)]
pub struct InboundSa {
    key: Key,
    window: ReplayWindow,
    usage: Usage,
    received: Received,
}

/// A packet that is what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opened {
    /// Something to deliver.
    Payload(Payload),
    /// A dummy: to be dropped without a word (RFC 4303 §2.6). Only
    /// [`Counters::dummies`] tells.
    Dummy,
}

/// What a packet carried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload {
    /// What it is: in transport mode the protocol number for the IP header that the caller kept,
    /// in tunnel mode [`NextHeader::IPV4`] or [`NextHeader::IPV6`].
    pub next_header: NextHeader,
    /// Where it is in the buffer. In tunnel mode it is the inner packet as long as it says, without
    /// TFC padding; in transport mode such padding, if the peer sends any, is at the end.
    pub range: Range<usize>,
    /// The sequence number, whole if it is an extended one.
    pub sequence: u64,
    /// What was wrong with it and knowingly accepted.
    pub deviation: Option<Deviation>,
}

/// What is accepted although the RFC forbids it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Deviation {
    /// Padding other than 1, 2, 3, … (RFC 4303 §2.4 has the receiver inspect it), accepted if
    /// [`SaConfig::tolerate_odd_padding`] is on. The ICV held, so it is the peer's doing.
    OddPadding,
}

impl InboundSa {
    /// The receiving end of the SA that `config` describes, with the keying material that
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
            window: ReplayWindow::new(config.spi, config.replay_window, config.extended_sequence),
            usage: Usage::new(config.lifetime),
            received: Received::default(),
        })
    }

    /// What opens this SA's packets.
    #[must_use]
    pub const fn key(&self) -> &Key {
        &self.key
    }

    /// What this SA received, and why it did not. Put together for each call.
    #[must_use]
    pub fn counters(&self) -> Counters {
        Counters::from(&self.received)
    }

    /// The highest sequence number received; 0 before the first.
    #[must_use]
    pub const fn highest_sequence(&self) -> u64 {
        self.window.highest()
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

    /// Whether the soft lifetime is reached: it is time for a successor. It stays true.
    #[must_use]
    pub fn soft_expired(&self) -> bool {
        self.usage.soft_expired()
    }

    /// Opens the ESP packet at `packet` in `buffer`, in place; says what it carried and where. The
    /// packet ends where the IP or UDP header in front says.
    ///
    /// # Errors
    ///
    /// See [`OpenError`].
    pub fn open(&mut self, buffer: &mut [u8], packet: Range<usize>) -> Result<Opened, OpenError> {
        let opened = self.try_open(buffer, packet);
        self.count(&opened);
        opened
    }

    /// As [`check`](Self::check), [`open_batch`] and [`commit`](Self::commit), but that nothing can
    /// move the window between them.
    #[inline]
    fn try_open(&mut self, buffer: &mut [u8], packet: Range<usize>) -> Result<Opened, OpenError> {
        let candidate = self.try_check(buffer, packet)?;
        let opened = candidate.open(&self.key, buffer)?;
        self.accept(&candidate);
        Ok(opened)
    }

    #[inline]
    fn accept(&mut self, candidate: &Candidate) {
        self.window.accept(candidate.sequence);
        self.usage.add(candidate.ciphertext_len);
    }

    #[inline]
    const fn count(&mut self, opened: &Result<Opened, OpenError>) {
        match opened {
            Ok(opened) => self.received.count(opened),
            Err(error) => self.received.count_error(error),
        }
    }

    /// All that can be said of a packet before its ICV is computed: its length, its SPI, its
    /// sequence number and the lifetime.
    ///
    /// # Errors
    ///
    /// See [`OpenError`].
    pub fn check(&mut self, buffer: &[u8], packet: Range<usize>) -> Result<Candidate, OpenError> {
        let checked = self.try_check(buffer, packet);
        if let Err(error) = &checked {
            self.received.count_error(error);
        }
        checked
    }

    #[inline(always)]
    fn try_check(&self, buffer: &[u8], packet: Range<usize>) -> Result<Candidate, OpenError> {
        let (spi, transform) = (self.key.spi(), self.key.transform());
        let outside = OpenError::RangeOutsideBuffer { end: packet.end, have: buffer.len() };
        let bytes = buffer.get(packet.clone()).ok_or(outside)?;
        let (needed, have) = (transform.sealed_len(0), bytes.len());
        let too_short = OpenError::TooShort { needed, have };
        let (header, body) = Header::parse(bytes).map_err(|_truncated| too_short)?;
        if header.spi != spi {
            return Err(OpenError::WrongSpi { spi, received: header.spi });
        }
        if have < needed {
            return Err(too_short);
        }
        let encryption = transform.encryption();
        let clear = encryption.iv_len().saturating_add(transform.icv_len());
        let ciphertext_len = body.len().saturating_sub(clear);
        let alignment = encryption.alignment();
        if !ciphertext_len.is_multiple_of(alignment) {
            return Err(OpenError::Alignment { alignment, have: ciphertext_len });
        }
        let sequence = self.window.whole(header.sequence)?;
        self.admit(sequence, ciphertext_len)?;
        Ok(Candidate { spi, sequence, packet, ciphertext_len })
    }

    fn admit(&self, sequence: u64, ciphertext_len: usize) -> Result<(), OpenError> {
        self.window.check(sequence)?;
        if !self.usage.admits(ciphertext_len) {
            return Err(OpenError::LifetimeExpired { spi: self.key.spi() });
        }
        Ok(())
    }

    /// Believes what an [`OpenJob`] found, unless the window or the lifetime moved on meanwhile.
    ///
    /// # Errors
    ///
    /// See [`OpenError`].
    pub fn commit(&mut self, verified: Verified) -> Result<Opened, OpenError> {
        let committed = self.try_commit(verified);
        self.count(&committed);
        committed
    }

    fn try_commit(&mut self, verified: Verified) -> Result<Opened, OpenError> {
        let Verified { candidate, opened } = verified;
        if candidate.spi != self.key.spi() {
            return Err(OpenError::ForeignPacket { spi: self.key.spi(), verified: candidate.spi });
        }
        let opened = opened?;
        self.admit(candidate.sequence, candidate.ciphertext_len)?;
        self.accept(&candidate);
        Ok(opened)
    }
}

/// A packet that [`InboundSa::check`] found nothing wrong with, and whose ICV is not computed yet.
#[derive(Debug)]
pub struct Candidate {
    spi: Spi,
    sequence: u64,
    packet: Range<usize>,
    ciphertext_len: usize,
}

impl Candidate {
    #[inline(always)]
    fn open(&self, key: &Key, buffer: &mut [u8]) -> Result<Opened, OpenError> {
        let packet = buffer.get_mut(self.packet.clone()).ok_or(Fault)?;
        key.verify(self.sequence, packet)?;
        if let Some(mut job) = key.cipher_job(packet)? {
            job.decrypt();
            job.outcome().unwrap_or(Err(Fault))?;
        }
        self.read(key, packet)
    }

    /// What the decrypted `packet` carries.
    #[inline(always)]
    fn read(&self, key: &Key, packet: &[u8]) -> Result<Opened, OpenError> {
        let plaintext = key.plaintext(packet);
        let start = self.packet.start.saturating_add(plaintext.start);
        let plaintext = packet.get(plaintext).ok_or(Fault)?;

        let trailer = trailer::read(plaintext)?;
        let next_header = trailer.next_header;
        if next_header == NextHeader::NONE {
            return Ok(Opened::Dummy);
        }
        let deviation = match (trailer.odd_padding, key.tolerates_odd_padding()) {
            (false, _) => None,
            (true, true) => Some(Deviation::OddPadding),
            (true, false) => return Err(OpenError::Padding),
        };
        let len = match key.mode() {
            Mode::Transport => trailer.payload_len,
            Mode::Tunnel => {
                let payload = plaintext.get(..trailer.payload_len).unwrap_or_default();
                inner::packet_len(next_header, payload)?
            }
        };
        let range = start..start.saturating_add(len);
        Ok(Opened::Payload(Payload { next_header, range, sequence: self.sequence, deviation }))
    }
}

/// One packet of a batch.
#[derive(Debug)]
pub struct OpenJob<'a> {
    key: &'a Key,
    candidate: Candidate,
    buffer: &'a mut [u8],
    decrypted: Result<(), OpenError>,
}

impl<'a> OpenJob<'a> {
    /// A packet to be opened with `key`, the key of the SA that checked it, in the buffer it was
    /// checked in.
    #[must_use]
    pub const fn new(key: &'a Key, candidate: Candidate, buffer: &'a mut [u8]) -> Self {
        Self { key, candidate, buffer, decrypted: Err(OpenError::Provider) }
    }

    fn verify(&mut self) -> Result<(), OpenError> {
        let (spi, verified) = (self.key.spi(), self.candidate.spi);
        if spi != verified {
            return Err(OpenError::ForeignPacket { spi, verified });
        }
        let packet = self.buffer.get_mut(self.candidate.packet.clone()).ok_or(Fault)?;
        self.key.verify(self.candidate.sequence, packet)
    }

    /// What [`open_batch`] found, for [`InboundSa::commit`].
    #[must_use]
    pub fn finish(self) -> Verified {
        let opened = self.decrypted.and_then(|()| {
            let packet = self.buffer.get(self.candidate.packet.clone()).ok_or(Fault)?;
            self.candidate.read(self.key, packet)
        });
        Verified { candidate: self.candidate, opened }
    }
}

/// A packet whose ICV was computed, for [`InboundSa::commit`] to believe or to count.
#[derive(Debug)]
pub struct Verified {
    candidate: Candidate,
    opened: Result<Opened, OpenError>,
}

/// Computes the ICV of every job and decrypts those where it holds; see [`OpenJob::finish`]. A cipher
/// may decrypt packets of several SAs beside each other.
pub fn open_batch(jobs: &mut [OpenJob<'_>]) {
    for jobs in jobs.chunks_mut(BESIDE) {
        for job in jobs.iter_mut() {
            job.decrypted = job.verify();
        }
        let packets = jobs.iter_mut().filter_map(|job| {
            let packet = job.buffer.get_mut(job.candidate.packet.clone())?;
            Some((job.key, packet, &mut job.decrypted))
        });
        beside_each_other(packets, <dyn Cipher>::decrypt_beside);
    }
}

impl From<Fault> for OpenError {
    fn from(_fault: Fault) -> Self {
        Self::Provider
    }
}
