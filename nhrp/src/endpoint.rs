//! Tables, timers, demultiplexing and queues; no protocol rule.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::fmt;
use core::net::IpAddr;

use dmvpn_time::{Instant, LatestSeen};
use rand_core::CryptoRng;

use crate::{
    CacheView, Config, Counters, Discard, Event, Link, LinkId, NextHop, ServerView, Traced,
    Transmit,
};

/// NHRP on one interface: client, server and cache.
pub struct Endpoint {
    config: Arc<Config>,
    now: LatestSeen,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").finish_non_exhaustive()
    }
}

/// # Construction and configuration
impl Endpoint {
    /// An endpoint whose interface is down.
    #[must_use]
    pub fn new(config: Arc<Config>, rng: Box<dyn CryptoRng + Send>, now: Instant) -> Self {
        drop(rng);
        Self { config, now: LatestSeen::new(now) }
    }

    /// Another configuration.
    pub fn set_config(&mut self, now: Instant, config: Arc<Config>) {
        self.now.observe(now);
        self.config = config;
    }
}

/// # Commands
impl Endpoint {
    /// The interface came up.
    pub fn interface_up(&mut self, now: Instant) {
        self.now.observe(now);
    }

    /// The interface goes down.
    pub fn interface_down(&mut self, now: Instant) {
        self.now.observe(now);
    }

    /// Registers with each next hop server that can be reached and does not respond yet.
    pub fn register(&mut self, now: Instant) {
        self.now.observe(now);
    }

    /// There is a way to a peer.
    pub fn link_up(&mut self, now: Instant, link: &Link) {
        let _ = link;
        self.now.observe(now);
    }

    /// The way to a peer went.
    pub fn link_down(&mut self, now: Instant, link: LinkId) {
        let _ = link;
        self.now.observe(now);
    }
}

/// # Input
impl Endpoint {
    /// An NHRP packet came over `link`.
    ///
    /// # Errors
    /// Why it changed nothing.
    pub fn handle_packet(
        &mut self,
        now: Instant,
        link: &Link,
        packet: &[u8],
    ) -> Result<(), Discard> {
        let _ = (link, packet);
        self.now.observe(now);
        Err(Discard::InterfaceDown)
    }

    /// Does everything that is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.now.observe(now);
    }
}

/// # Output
impl Endpoint {
    /// The next packet to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        None
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        None
    }

    /// The next trace record.
    pub fn poll_trace(&mut self) -> Option<Traced> {
        None
    }

    /// When [`handle_timeout`](Self::handle_timeout) must be called at the latest.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        None
    }
}

/// # Data path
impl Endpoint {
    /// Where packets to a protocol address go: the longest match in the cache.
    pub fn lookup(&mut self, now: Instant, address: IpAddr) -> Option<NextHop> {
        let _ = address;
        self.now.observe(now);
        None
    }

    /// Whom a multicast packet goes to next: start with `None`, go on with what it returned, stop
    /// at `None`.
    #[must_use]
    pub fn multicast_after(&self, after: Option<LinkId>) -> Option<LinkId> {
        let _ = after;
        None
    }
}

/// # Views
impl Endpoint {
    /// The cache, by target.
    pub fn cache(&self, now: Instant) -> impl Iterator<Item = CacheView> + '_ {
        let _ = now;
        core::iter::empty()
    }

    /// Next hop servers, by address.
    pub fn servers(&self) -> impl Iterator<Item = ServerView> + '_ {
        core::iter::empty()
    }

    /// Counters.
    #[must_use]
    pub fn counters(&self) -> Counters {
        Counters::default()
    }
}
