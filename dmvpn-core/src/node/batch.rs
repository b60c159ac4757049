//! Many packets at once. A batch equals the loop: all that a packet does to the node it does in the
//! batch's order, and only the work of the cipher, which changes nothing, is put together.

use core::fmt;
use core::mem;
use core::ops::Range;

use arrayvec::ArrayVec;
use chacha20::ChaCha20Rng;
use dmvpn_esp::udp::{self, Datagram};
use dmvpn_esp::{
    BESIDE, Candidate, Iv, NextHeader, OpenJob, OutboundSa, SealError, SealJob, Sequence, Verified,
    open_batch, seal_batch,
};
use dmvpn_time::Instant;

use super::Node;
use super::inbound::{Authentic, Inbound};
use super::outbound::{Encapsulated, NextHop, Outbound, Sealing, is_used_up};
use crate::error::{Discard, SendError};
use crate::peer::PeerId;
use crate::tunnel::TunnelId;
use crate::underlay::{Transport, Underlay};

/// A packet of [`Node::send_batch`], in the caller's buffer.
pub struct Outgoing<'a> {
    tunnel: TunnelId,
    next_hop: NextHop,
    buffer: &'a mut [u8],
    packet: Range<usize>,
    stage: OutgoingStage,
}

enum OutgoingStage {
    Given,
    /// Encapsulated, to be sealed.
    Unsealed(Unsealed),
    Done(Result<Outbound, SendError>),
}

/// What is left to do for a packet whose place in its association is taken.
struct Unsealed {
    peer: PeerId,
    underlay: Underlay,
    reserved: Option<Reserved>,
    sealed: Result<Range<usize>, SealError>,
}

struct Reserved {
    sequence: Sequence,
    iv: Iv,
    next_header: NextHeader,
    payload: Range<usize>,
}

impl<'a> Outgoing<'a> {
    /// A packet to be sent, with the arguments of [`Node::send`].
    #[must_use]
    pub const fn new(
        tunnel: TunnelId,
        next_hop: NextHop,
        buffer: &'a mut [u8],
        packet: Range<usize>,
    ) -> Self {
        Self { tunnel, next_hop, buffer, packet, stage: OutgoingStage::Given }
    }

    /// What [`Node::send`] would have said; `None` before the batch was sent.
    #[must_use]
    pub const fn outcome(&self) -> Option<&Result<Outbound, SendError>> {
        match &self.stage {
            OutgoingStage::Done(outcome) => Some(outcome),
            OutgoingStage::Given | OutgoingStage::Unsealed(_) => None,
        }
    }

    /// The octets to send, if it is to go out.
    #[must_use]
    pub fn packet(&self) -> Option<&[u8]> {
        let outbound = self.outcome()?.as_ref().ok()?;
        self.buffer.get(outbound.packet.clone())
    }
}

/// A packet of [`Node::handle_batch`], in the caller's buffer.
pub struct Incoming<'a> {
    underlay: Underlay,
    data: &'a mut [u8],
    stage: IncomingStage,
}

enum IncomingStage {
    Given,
    /// For an association that found nothing wrong with it so far.
    Checked {
        spi: u32,
        candidate: Option<Candidate>,
        verified: Option<Verified>,
    },
    Done(Result<Option<Inbound>, Discard>),
}

impl<'a> Incoming<'a> {
    /// A packet that came in, with the arguments of [`Node::handle_packet`].
    #[must_use]
    pub const fn new(underlay: Underlay, data: &'a mut [u8]) -> Self {
        Self { underlay, data, stage: IncomingStage::Given }
    }

    /// What [`Node::handle_packet`] would have said; `None` before the batch was handled.
    #[must_use]
    pub const fn outcome(&self) -> Option<&Result<Option<Inbound>, Discard>> {
        match &self.stage {
            IncomingStage::Done(outcome) => Some(outcome),
            IncomingStage::Given | IncomingStage::Checked { .. } => None,
        }
    }

    /// The octets of the packet that came out of a tunnel, if one did.
    #[must_use]
    pub fn packet(&self) -> Option<&[u8]> {
        let inbound = self.outcome()?.as_ref().ok()?.as_ref()?;
        self.data.get(inbound.packet.clone())
    }
}

impl Node {
    /// Sends packets through tunnels, as [`send`](Self::send) one after the other does, but with
    /// the work of the cipher put together where that is faster: 3DES encrypts packets of whatever
    /// peers beside each other. Each packet has its own [`outcome`](Outgoing::outcome); an error
    /// leaves the others alone.
    ///
    /// Nothing is allocated. A stack of 64 KiB is enough, or of 256 with the feature `avx2` of
    /// `dmvpn-esp`; for code that is not optimised, a megabyte.
    pub fn send_batch(&mut self, now: Instant, batch: &mut [Outgoing<'_>]) {
        for batch in batch.chunks_mut(BESIDE) {
            let now = self.latest.observe(now);
            let mut sealed = 0;
            for at in 0..batch.len() {
                let Some(outgoing) = batch.get_mut(at) else { break };
                self.start_sending(now, outgoing);
                let mut again = matches!(outgoing.outcome(), Some(Err(error)) if is_used_up(error));
                while mem::take(&mut self.unsettled) {
                    // What settles may take away the associations of those before.
                    let here = at.saturating_add(1);
                    self.seal_together(batch.get_mut(sealed..here).unwrap_or_default());
                    sealed = here;
                    self.settle(now);
                    if mem::take(&mut again)
                        && let Some(outgoing) = batch.get_mut(at)
                    {
                        self.start_sending(now, outgoing);
                        sealed = at;
                    }
                }
            }
            self.seal_together(batch.get_mut(sealed..).unwrap_or_default());
        }
    }

    fn start_sending(&mut self, now: Instant, outgoing: &mut Outgoing<'_>) {
        let Outgoing { tunnel, next_hop, packet, .. } = &*outgoing;
        let (tunnel, next_hop, packet) = (*tunnel, *next_hop, packet.clone());
        let encapsulated = self.forward(now, tunnel, next_hop, outgoing.buffer, packet);
        outgoing.stage = match encapsulated {
            Ok(Encapsulated { underlay, packet: Sealed::Now(packet), .. }) => {
                self.count_sent(tunnel);
                OutgoingStage::Done(Ok(Outbound { underlay, packet }))
            }
            Ok(Encapsulated { peer, underlay, packet: Sealed::Later(reserved) }) => {
                let (reserved, sealed) = (Some(reserved), Err(SealError::Provider));
                OutgoingStage::Unsealed(Unsealed { peer, underlay, reserved, sealed })
            }
            Err(error) => OutgoingStage::Done(Err(error)),
        };
    }

    /// Seals what is left to be sealed.
    fn seal_together(&mut self, batch: &mut [Outgoing<'_>]) {
        let mut jobs = ArrayVec::<_, BESIDE>::new();
        let mut outcomes = ArrayVec::<_, BESIDE>::new();
        for Outgoing { buffer, stage, .. } in batch.iter_mut() {
            let OutgoingStage::Unsealed(unsealed) = stage else { continue };
            let Some(Reserved { sequence, iv, next_header, payload }) = unsealed.reserved.take()
            else {
                continue;
            };
            let peer = self.peers.get(unsealed.peer.0);
            let Some(outbound) = peer.and_then(|peer| peer.outbound.as_ref()) else { continue };
            let key = outbound.sa.key();
            match SealJob::new(key, sequence, iv, next_header, buffer, payload) {
                Ok(job) => {
                    jobs.push(job);
                    outcomes.push(&mut unsealed.sealed);
                }
                Err(error) => unsealed.sealed = Err(error),
            }
        }
        seal_batch(&mut jobs);
        for (job, outcome) in jobs.iter().zip(outcomes) {
            *outcome = job.packet();
        }
        drop(jobs);
        for Outgoing { tunnel, stage, .. } in batch {
            let OutgoingStage::Unsealed(Unsealed { peer, underlay, sealed, .. }) = stage else {
                continue;
            };
            let outcome = match sealed.clone() {
                Ok(packet) => {
                    self.count_sent(*tunnel);
                    Ok(Outbound { underlay: *underlay, packet })
                }
                Err(error) => {
                    let outbound =
                        self.peers.get_mut(peer.0).and_then(|peer| peer.outbound.as_mut());
                    if let Some(outbound) = outbound {
                        outbound.sa.count(&error);
                    }
                    Err(error.into())
                }
            };
            *stage = OutgoingStage::Done(outcome);
        }
    }

    /// Packets from the underlay, as [`handle_packet`](Self::handle_packet) one after the other
    /// handles them, but with the work of the cipher put together where that is faster: short
    /// packets of whatever peers share the lanes of 3DES. Each packet has its own
    /// [`outcome`](Incoming::outcome); an error leaves the others alone. Only what a bad packet is
    /// refused for may differ: a forged copy of a packet of the same batch fails its integrity check,
    /// and would have been a replay behind it.
    ///
    /// Nothing is allocated for data. A stack of 64 KiB is enough, or of 256 with the feature `avx2` of
    /// `dmvpn-esp`; for code that is not optimised, a megabyte.
    pub fn handle_batch(&mut self, now: Instant, batch: &mut [Incoming<'_>]) {
        for batch in batch.chunks_mut(BESIDE) {
            let now = self.latest.observe(now);
            // Those before are done, those from here on are checked.
            let mut done = 0;
            for at in 0..batch.len() {
                let Some(incoming) = batch.get_mut(at) else { break };
                if self.start_receiving(now, incoming, done < at) {
                    if !matches!(incoming.stage, IncomingStage::Checked { .. }) && done == at {
                        done = at.saturating_add(1);
                    }
                    continue;
                }
                // It may change anything: those before come first.
                self.open_together(now, batch.get_mut(done..at).unwrap_or_default());
                done = at.saturating_add(1);
                if let Some(Incoming { underlay, data, stage }) = batch.get_mut(at) {
                    *stage = IncomingStage::Done(self.handle_packet(now, *underlay, data));
                }
            }
            self.open_together(now, batch.get_mut(done..).unwrap_or_default());
        }
    }

    /// Takes a packet for an association in, if it is one: checks it, to be opened with others, or
    /// opens it at once if nothing waits before it and waiting would gain nothing.
    fn start_receiving(
        &mut self,
        now: Instant,
        incoming: &mut Incoming<'_>,
        waiting: bool,
    ) -> bool {
        let Incoming { underlay, data, stage } = incoming;
        let Some(spi) = esp_spi(*underlay, data) else { return false };
        let Some(inbound) = self.inbound.get_mut(&spi) else { return false };
        let whole = 0..data.len();
        if waiting || inbound.sa.key().batches() {
            match inbound.sa.check(data, whole) {
                Ok(candidate) => {
                    let (candidate, verified) = (Some(candidate), None);
                    *stage = IncomingStage::Checked { spi, candidate, verified };
                }
                Err(error) => self.finish_receiving(stage, Err(error.into())),
            }
        } else {
            let caller = self.peers.get(inbound.peer.0).map(|peer| peer.caller());
            let outcome = match inbound.sa.open(data, whole) {
                Ok(opened) => {
                    let authentic = Authentic::new(spi, inbound, caller, opened);
                    self.handle_authentic(now, *underlay, authentic, data)
                }
                Err(error) => Err(error.into()),
            };
            self.finish_receiving(stage, outcome);
        }
        true
    }

    fn finish_receiving(
        &mut self,
        stage: &mut IncomingStage,
        outcome: Result<Option<Inbound>, Discard>,
    ) {
        self.count_received(&outcome);
        *stage = IncomingStage::Done(outcome);
    }

    /// Opens what is checked, and takes it in in its order.
    fn open_together(&mut self, now: Instant, batch: &mut [Incoming<'_>]) {
        let mut jobs = ArrayVec::<_, BESIDE>::new();
        let mut outcomes = ArrayVec::<_, BESIDE>::new();
        for Incoming { data, stage, .. } in batch.iter_mut() {
            let IncomingStage::Checked { spi, candidate, verified } = stage else { continue };
            let Some(inbound) = self.inbound.get(spi) else { continue };
            let Some(candidate) = candidate.take() else { continue };
            jobs.push(OpenJob::new(inbound.sa.key(), candidate, data));
            outcomes.push(verified);
        }
        open_batch(&mut jobs);
        for (job, verified) in jobs.drain(..).zip(outcomes) {
            *verified = Some(job.finish());
        }
        drop(jobs);
        for Incoming { underlay, data, stage } in batch {
            let IncomingStage::Checked { spi, verified, .. } = stage else { continue };
            let (spi, verified) = (*spi, verified.take());
            let outcome = self.commit(now, *underlay, spi, verified, data);
            self.finish_receiving(stage, outcome);
        }
    }

    fn commit(
        &mut self,
        now: Instant,
        underlay: Underlay,
        spi: u32,
        verified: Option<Verified>,
        data: &mut [u8],
    ) -> Result<Option<Inbound>, Discard> {
        let (Some(inbound), Some(verified)) = (self.inbound.get_mut(&spi), verified) else {
            // A packet before it had the association removed.
            return self.handle_unknown_spi(now, underlay, spi);
        };
        let caller = self.peers.get(inbound.peer.0).map(|peer| peer.caller());
        let opened = inbound.sa.commit(verified)?;
        let authentic = Authentic::new(spi, inbound, caller, opened);
        self.handle_authentic(now, underlay, authentic, data)
    }
}

/// Sealed at once, or, where packets beside each other are faster, with others.
enum Sealed {
    Now(Range<usize>),
    Later(Reserved),
}

impl From<Range<usize>> for Sealed {
    fn from(packet: Range<usize>) -> Self {
        Self::Now(packet)
    }
}

impl Sealing for Sealed {
    fn seal(
        sa: &mut OutboundSa,
        rng: &mut ChaCha20Rng,
        next_header: NextHeader,
        buffer: &mut [u8],
        payload: Range<usize>,
    ) -> Result<Self, SealError> {
        if !sa.key().batches() {
            return sa.seal(rng, next_header, buffer, payload).map(Self::Now);
        }
        let sequence = sa.reserve(payload.len())?;
        let iv = sa.key().draw_iv(rng);
        Ok(Self::Later(Reserved { sequence, iv, next_header, payload }))
    }
}

/// The SPI of a packet that is ESP.
fn esp_spi(underlay: Underlay, data: &[u8]) -> Option<u32> {
    let esp = match underlay.transport {
        Transport::Esp => true,
        Transport::NatT => udp::classify(data) == Ok(Datagram::Esp),
        Transport::Isakmp | Transport::Gre => false,
    };
    esp.then(|| data.first_chunk().copied().map(u32::from_be_bytes))?
}

impl fmt::Debug for Outgoing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outgoing")
            .field("tunnel", &self.tunnel)
            .field("next_hop", &self.next_hop)
            .field("packet", &self.packet)
            .field("outcome", &self.outcome())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Incoming<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming")
            .field("underlay", &self.underlay)
            .field("len", &self.data.len())
            .field("outcome", &self.outcome())
            .finish_non_exhaustive()
    }
}
