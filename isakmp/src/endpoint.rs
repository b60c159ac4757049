//! Tables, timers, demultiplexing and queues; no protocol rule.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::fmt;
use core::net::IpAddr;

use dmvpn_time::{Instant, LatestSeen};
use rand_core::CryptoRng;

use crate::crypto::{Job, JobResult};
use crate::trace::TraceRing;
use crate::view::{Counters, PeerView, Phase1View, Phase2View};
use crate::{Config, Discard, Event, Path, PeerId, Protection, ProtectionId, Traced, Transmit};

/// All the IKE peers of a host.
pub struct Endpoint {
    config: Arc<Config>,
    rng: Box<dyn CryptoRng + Send>,
    now: LatestSeen,
    transmits: VecDeque<Transmit>,
    events: VecDeque<Event>,
    jobs: VecDeque<Job>,
    traces: TraceRing,
    counters: Counters,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").finish_non_exhaustive()
    }
}

/// # Construction and configuration
impl Endpoint {
    /// An endpoint without protections and peers.
    #[must_use]
    pub fn new(config: Arc<Config>, rng: Box<dyn CryptoRng + Send>, now: Instant) -> Self {
        let traces = TraceRing::new(config.trace_capacity);
        Self {
            config,
            rng,
            now: LatestSeen::new(now),
            transmits: VecDeque::new(),
            events: VecDeque::new(),
            jobs: VecDeque::new(),
            traces,
            counters: Counters::default(),
        }
    }

    /// Another configuration, for negotiations that start from now on.
    pub fn set_config(&mut self, now: Instant, config: Arc<Config>) {
        self.now.observe(now);
        self.traces.set_capacity(config.trace_capacity);
        self.config = config;
    }

    /// Adds a tunnel protection, or changes it for negotiations that start from now on. From now
    /// on peers may negotiate it.
    pub fn protect(&mut self, now: Instant, id: ProtectionId, protection: Protection) {
        self.now.observe(now);
        let _ = (id, protection);
    }

    /// Removes a tunnel protection: its phase 2 SAs are deleted, and so is phase 1 to peers that
    /// have nothing else.
    pub fn unprotect(&mut self, now: Instant, id: ProtectionId) {
        self.now.observe(now);
        let _ = id;
    }
}

/// # Commands
impl Endpoint {
    /// Brings up phase 2 SAs with `remote`, after a main mode if there is no phase 1 SA. If that is
    /// done or under way already nothing happens. The answer is an [`Event::InstallSa`] pair or
    /// an [`Event::Failed`].
    ///
    /// # Errors
    /// What makes it pointless to try.
    pub fn connect(
        &mut self,
        now: Instant,
        id: ProtectionId,
        remote: IpAddr,
    ) -> Result<PeerId, ConnectError> {
        self.now.observe(now);
        let _ = remote;
        Err(ConnectError::NoProtection(id))
    }

    /// Takes everything of a peer down and tells it so: `clear crypto session`.
    pub fn close(&mut self, now: Instant, peer: PeerId) {
        self.now.observe(now);
        let _ = peer;
    }
}

/// # Input
impl Endpoint {
    /// A datagram that came over `path`, without its non-ESP marker.
    ///
    /// # Errors
    /// Why it changed nothing.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        path: Path,
        datagram: &[u8],
    ) -> Result<(), Discard> {
        self.now.observe(now);
        let _ = (path, datagram);
        Err(Discard::Duplicate)
    }

    /// Does everything that is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.now.observe(now);
    }

    /// The result of a job that [`poll_job`](Self::poll_job) gave.
    ///
    /// # Errors
    /// [`Discard::StaleJob`] if nobody waits for it any more.
    pub fn handle_job(&mut self, now: Instant, result: JobResult) -> Result<(), Discard> {
        self.now.observe(now);
        let _ = result;
        Err(Discard::StaleJob)
    }

    /// An ESP packet of the peer was authenticated: it is alive. Arms no timer.
    pub fn handle_traffic(&mut self, now: Instant, peer: PeerId) {
        self.now.observe(now);
        let _ = peer;
    }

    /// An SA of the peer reached its soft volume limit: re-key. `spi` is the inbound or the
    /// outbound one.
    pub fn handle_soft_expire(&mut self, now: Instant, peer: PeerId, spi: u32) {
        self.now.observe(now);
        let _ = (peer, spi);
    }

    /// An SA of the peer reached its hard volume limit: both SAs of the pair are removed. `spi`
    /// is the inbound or the outbound one.
    pub fn handle_hard_expire(&mut self, now: Instant, peer: PeerId, spi: u32) {
        self.now.observe(now);
        let _ = (peer, spi);
    }
}

/// # Output
impl Endpoint {
    /// The next datagram to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// The next trace record.
    pub fn poll_trace(&mut self) -> Option<Traced> {
        self.traces.pop()
    }

    /// The next Diffie-Hellman job, with [`Jobs::OutOfLine`](crate::Jobs::OutOfLine).
    pub fn poll_job(&mut self) -> Option<Job> {
        self.jobs.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) must be called at the latest.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        None
    }
}

/// # Views
impl Endpoint {
    /// Phase 1 SAs, by connection.
    pub fn phase1(&self) -> impl Iterator<Item = Phase1View> + '_ {
        core::iter::empty()
    }

    /// Pairs of phase 2 SAs, by inbound SPI.
    pub fn phase2(&self) -> impl Iterator<Item = Phase2View> + '_ {
        core::iter::empty()
    }

    /// Peers, by number.
    pub fn peers(&self) -> impl Iterator<Item = PeerView> + '_ {
        core::iter::empty()
    }

    /// Counters.
    #[must_use]
    pub fn counters(&self) -> Counters {
        Counters { traces_dropped: self.traces.dropped(), ..self.counters }
    }
}

/// Why [`Endpoint::connect`] did not start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The protection does not exist.
    #[error("no protection {}", .0.0)]
    NoProtection(ProtectionId),
    /// The protection is for another remote address.
    #[error("protection {} is not for {remote}", .id.0)]
    WrongRemote {
        /// The protection.
        id: ProtectionId,
        /// The address asked for.
        remote: IpAddr,
    },
    /// The keyring has no key for the address.
    #[error("no pre-shared key for {0}")]
    NoPreSharedKey(IpAddr),
    /// The address is of another family than the protection's own.
    #[error("{0} is of another address family than the tunnel source")]
    AddressFamily(IpAddr),
}
