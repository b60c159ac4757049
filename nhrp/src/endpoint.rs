//! Tables, timers, demultiplexing and queues; no protocol rule.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;

use dmvpn_time::{Instant, LatestSeen};
use rand_core::CryptoRng;

use crate::cache::Cache;
use crate::client::{Client, Context};
use crate::link::Owner;
use crate::links::Links;
use crate::multicast::Change;
use crate::output::{Output, Rate, Shares, Subject};
use crate::received::{self, Fault};
use crate::server::{Purge, Registration};
use crate::wire::{Body, ErrorCode, ErrorIndication, Message, Packet, RequestId};
use crate::{
    CacheView, Config, Counters, Deviation, Discard, Event, Link, LinkId, NextHop, ServerView,
    Trace, Traced, Transmit,
};

/// NHRP on one interface: client, server and cache.
pub struct Endpoint {
    config: Arc<Config>,
    now: LatestSeen,
    up: bool,
    cache: Cache,
    client: Client,
    links: Links,
    requests: Rate,
    requests_of: Shares,
    errors: Rate,
    output: Output,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("now", &self.now)
            .field("up", &self.up)
            .finish_non_exhaustive()
    }
}

/// # Construction and configuration
impl Endpoint {
    /// An endpoint whose interface is down. It draws the first request identifier from `rng`,
    /// unless the configuration has one.
    #[must_use]
    pub fn new(config: Arc<Config>, mut rng: Box<dyn CryptoRng + Send>, now: Instant) -> Self {
        let first = config.first_request_id.unwrap_or_else(|| RequestId(rng.next_u32()));
        Self {
            client: Client::new(&config, first),
            output: Output::new(&config, now),
            config,
            now: LatestSeen::new(now),
            up: false,
            cache: Cache::default(),
            links: Links::default(),
            requests: Rate::new(now),
            requests_of: Shares::new(now),
            errors: Rate::new(now),
        }
    }

    /// Another configuration. Static entries and next hop servers change at once; what peers
    /// registered stays. [`register`](Self::register) starts registration with new servers.
    pub fn set_config(&mut self, now: Instant, config: Arc<Config>) {
        let now = self.now.observe(now);
        self.output.configure(&config);
        self.config = config;
        self.with_client(now, Client::configure);
        if self.up {
            self.cache.configure(now, &self.config, &mut self.output);
        }
        let links: Vec<(LinkId, IpAddr)> = self.links.iter().collect();
        for (id, nbma) in links {
            self.configure_multicast(id, Some(nbma));
        }
    }
}

/// # Commands
impl Endpoint {
    /// The interface came up: static entries enter the cache, and packets are accepted. Calling
    /// it again, as IOS does when the line protocol follows, changes nothing.
    pub fn interface_up(&mut self, now: Instant) {
        let now = self.now.observe(now);
        self.up = true;
        self.client.interface_up();
        self.output.trace(now, Subject::NONE, || Trace::InterfaceUp);
        self.cache.configure(now, &self.config, &mut self.output);
    }

    /// The interface goes down: purge requests withdraw our registrations, and everything that
    /// peers registered is forgotten, links included. Until [`is_leaving`](Self::is_leaving) says
    /// no, packets should find their way to the servers and back.
    pub fn interface_down(&mut self, now: Instant) {
        let now = self.now.observe(now);
        if !self.up {
            return;
        }
        self.up = false;
        self.output.trace(now, Subject::NONE, || Trace::InterfaceDown);
        self.with_client(now, Client::interface_down);
        self.cache.remove_registered(now, &mut self.output);
        let links: Vec<(LinkId, IpAddr)> = self.links.iter().collect();
        for (id, _) in links {
            self.configure_multicast(id, None);
        }
        self.links.clear();
    }

    /// Registers with each next hop server that can be reached and does not respond yet. While a
    /// registration waits for its reply a further one is sent, with the next identifier; either
    /// reply counts.
    pub fn register(&mut self, now: Instant) {
        let now = self.now.observe(now);
        if self.up {
            self.with_client(now, Client::register);
        }
    }

    /// `clear ip nhrp`: forgets what peers registered, all of it or what `address` is found in, until
    /// they register again. How many entries that were; what is configured stays.
    pub fn clear(&mut self, now: Instant, address: Option<IpAddr>) -> usize {
        let now = self.now.observe(now);
        self.cache.clear(now, address, &mut self.output)
    }

    /// There is a way to a peer, with tunnel protection a protected one. Registration with the
    /// servers there starts with [`register`](Self::register).
    pub fn link_up(&mut self, now: Instant, link: &Link) {
        let now = self.now.observe(now);
        if let Some(before) = self.links.insert(link.id, link.nbma)
            && before != link.nbma
        {
            self.lost(now, before);
        }
        self.configure_multicast(link.id, Some(link.nbma));
        self.cache.reclaim(&Owner::of(link));
        self.client.link_up(link.nbma);
    }

    /// The way to a peer went: registration with the servers there stops. What the peer registered
    /// stays until it expires.
    pub fn link_down(&mut self, now: Instant, link: LinkId) {
        let now = self.now.observe(now);
        self.configure_multicast(link, None);
        if let Some(nbma) = self.links.remove(link) {
            self.lost(now, nbma);
        }
    }

    /// Nothing is left of a peer: no way to it, and no session either that it could make one with.
    /// What it registered over this link stays until it expires, but another identity may register
    /// it now, unless it is unique or [`link_up`](Self::link_up) says that its owner is back.
    pub fn peer_gone(&mut self, now: Instant, link: &Link) {
        self.now.observe(now);
        self.cache.abandon(&Owner::of(link), link.id);
    }

    /// A link to `nbma` went, perhaps the last.
    fn lost(&mut self, now: Instant, nbma: IpAddr) {
        if self.links.at(nbma).is_none() {
            self.with_client(now, |client, ctx| client.link_down(nbma, ctx));
        }
    }

    fn configure_multicast(&mut self, link: LinkId, nbma: Option<IpAddr>) {
        let configured = nbma.is_some_and(|nbma| self.config.multicast_static.contains(&nbma));
        match self.cache.multicast.configure(link, configured) {
            Change::Added => self.output.event(Event::MulticastAdded { link }),
            Change::Removed => self.output.event(Event::MulticastRemoved { link }),
            Change::None => {}
        }
    }

    fn with_client<R>(
        &mut self,
        now: Instant,
        call: impl FnOnce(&mut Client, &mut Context<'_>) -> R,
    ) -> R {
        let mut context =
            Context { now, config: &self.config, links: &self.links, output: &mut self.output };
        call(&mut self.client, &mut context)
    }
}

/// # Input
impl Endpoint {
    /// An NHRP packet, the payload of GRE protocol type 0x2001, came over `link`.
    ///
    /// # Errors
    /// Why it changed nothing.
    pub fn handle_packet(
        &mut self,
        now: Instant,
        link: &Link,
        packet: &[u8],
    ) -> Result<(), Discard> {
        let now = self.now.observe(now);
        self.output.counters.received = self.output.counters.received.saturating_add(1);
        let outcome = self.receive(now, link, packet);
        if let Err(discard) = outcome {
            self.output.counters.discarded = self.output.counters.discarded.saturating_add(1);
            self.count_limit(&discard);
            self.output.trace(now, Subject::at(link, None), || Trace::Discarded(discard));
        }
        outcome
    }

    /// Counts what was refused because of a limit.
    #[expect(clippy::wildcard_enum_match_arm, reason = "other refusals have no limit")]
    fn count_limit(&mut self, discard: &Discard) {
        let counters = &mut self.output.counters;
        let counter = match discard {
            Discard::RegistrationRate { .. } => &mut counters.requests_limited,
            Discard::QueueFull { .. } => &mut counters.refused_for_queue,
            _ => return,
        };
        *counter = counter.saturating_add(1);
    }

    fn receive(&mut self, now: Instant, link: &Link, octets: &[u8]) -> Result<(), Discard> {
        if !self.up && !self.is_leaving() {
            return Err(Discard::InterfaceDown);
        }
        let limit = self.config.limits.queue;
        if self.output.waiting() >= limit {
            return Err(Discard::QueueFull { limit });
        }
        let packet = Packet::parse(octets)?;
        let trailing = octets.len() > packet.encoded_len();
        self.trace_received(now, link, &packet, trailing);
        // On the way down only the replies to our goodbye are of interest.
        if !self.up && !matches!(packet.body, Body::PurgeReply(_)) {
            return Err(Discard::InterfaceDown);
        }
        if let Body::ErrorIndication(error) = &packet.body {
            // No authentication is asked of it, and nothing is sent in answer (RFC 2332 §5.2.7).
            self.handle_error(now, link, error);
            return Ok(());
        }
        let config = Arc::clone(&self.config);
        received::check_families(&packet, &config)?;
        if let Err(fault) = received::check_authentication(&packet, &config) {
            let counter = &mut self.output.counters.authentication_failures;
            *counter = counter.saturating_add(1);
            let subject = Subject::at(link, packet.source_protocol.ip());
            self.output.trace(now, subject, || Trace::AuthenticationFailed);
            self.answer_fault(now, link, &packet, octets, fault)?;
            self.output.event(Event::AuthenticationFailed { nbma: link.nbma, link: link.id });
            return Ok(());
        }
        match &packet.body {
            Body::RegistrationRequest(message) => {
                self.handle_registration(now, link, &packet, message, octets)
            }
            Body::RegistrationReply(message) => {
                let accepted = self.client.check_reply(&packet, message, link)?;
                self.with_client(now, |client, ctx| client.accept_reply(accepted, ctx));
                Ok(())
            }
            Body::PurgeRequest(message) => self.handle_purge(now, link, &packet, message, octets),
            Body::PurgeReply(message) => {
                let server = self.client.check_purge_reply(&packet, message, link)?;
                self.client.accept_purge_reply(server);
                Ok(())
            }
            Body::ResolutionRequest(_)
            | Body::ResolutionReply(_)
            | Body::ErrorIndication(_)
            | Body::TrafficIndication(_) => Err(Discard::PacketType(packet.packet_type())),
        }
    }

    fn trace_received(&mut self, now: Instant, link: &Link, packet: &Packet, trailing: bool) {
        let (is_request, peer) = match &packet.body {
            Body::RegistrationRequest(_) | Body::ResolutionRequest(_) | Body::PurgeRequest(_) => {
                (true, packet.source_protocol.ip())
            }
            Body::RegistrationReply(_) | Body::ResolutionReply(_) | Body::PurgeReply(_) => {
                (false, packet.destination_protocol.ip())
            }
            Body::ErrorIndication(_) | Body::TrafficIndication(_) => {
                (false, packet.source_protocol.ip())
            }
        };
        let subject = Subject::at(link, peer);
        self.output
            .trace(now, subject, || Trace::PacketReceived { packet: Box::new(packet.clone()) });
        let incoming = if is_request { self.config.network_id } else { 0 };
        let to_us = self.is_to_us(packet, is_request);
        self.output.trace(now, subject, || Trace::Network { incoming, to_us });
        if trailing {
            self.deviation(now, subject, Deviation::TrailingOctets);
        }
        if packet.hop_count == 0 {
            self.deviation(now, subject, Deviation::HopCountZero);
        }
    }

    fn deviation(&mut self, now: Instant, subject: Subject, deviation: Deviation) {
        self.output.counters.deviations = self.output.counters.deviations.saturating_add(1);
        self.output.trace(now, subject, || Trace::Deviation(deviation));
    }

    /// Replies and indications go to who is their source or their destination; requests to us, or,
    /// by a client that does not know the server's address, to its own (RFC 2332 §5.2.3).
    fn is_to_us(&self, packet: &Packet, is_request: bool) -> bool {
        let own = self.config.protocol_address.into();
        if is_request {
            packet.destination_protocol == own
                || packet.destination_protocol == packet.source_protocol
                || self.is_broadcast(packet)
        } else {
            packet.source_protocol == own || packet.destination_protocol == own
        }
    }

    /// Whether a request is for the broadcast address of the tunnel's network.
    fn is_broadcast(&self, packet: &Packet) -> bool {
        let network = self.config.network();
        packet
            .destination_protocol
            .ip()
            .is_some_and(|address| address == network.last() && network.is_no_host(address))
    }

    /// Answers a request that cannot be acted on with an error indication, and says whether it
    /// did.
    fn refuse_request(
        &mut self,
        now: Instant,
        link: &Link,
        packet: &Packet,
        octets: &[u8],
    ) -> Result<bool, Discard> {
        let destination = received::ip(&packet.destination_protocol)?;
        if !self.is_to_us(packet, true) {
            return Err(Discard::NotForUs { destination });
        }
        // We would make the reply, so §5.3 asks that we understand what is compulsory.
        let Err(fault) = received::check_extensions(packet) else { return Ok(false) };
        self.answer_fault(now, link, packet, octets, fault)?;
        Ok(true)
    }

    /// Whether a request is looked at: within the rate, and not answered with an error already.
    fn admit(
        &mut self,
        now: Instant,
        link: &Link,
        packet: &Packet,
        octets: &[u8],
    ) -> Result<bool, Discard> {
        let limit = self.config.limits.registrations_per_second;
        if !self.requests.permits(now, limit) {
            return Err(Discard::RegistrationRate { limit });
        }
        let owner = Owner::of(link);
        let limit = self.config.limits.registrations_per_second_per_owner;
        if !self.requests_of.permits(now, &owner, limit) {
            return Err(Discard::RegistrationRate { limit });
        }
        if self.refuse_request(now, link, packet, octets)? {
            return Ok(false);
        }
        self.requests.count(now);
        self.requests_of.count(now, owner);
        // What has expired is in nobody's way, even if nobody woke us up for it yet.
        while self.cache.expire_one(now, &mut self.output) {}
        Ok(true)
    }

    fn handle_registration(
        &mut self,
        now: Instant,
        link: &Link,
        packet: &Packet,
        message: &Message,
        octets: &[u8],
    ) -> Result<(), Discard> {
        let config = Arc::clone(&self.config);
        if !self.admit(now, link, packet, octets)? {
            return Ok(());
        }
        let registration = Registration::check(packet, message, link, &self.cache, &config)?;
        if self.is_broadcast(packet) {
            let subject = Subject::at(link, packet.source_protocol.ip());
            self.deviation(now, subject, Deviation::BroadcastDestination);
        }
        registration.advance(now, link, &mut self.cache, &config, &mut self.output);
        Ok(())
    }

    fn handle_purge(
        &mut self,
        now: Instant,
        link: &Link,
        packet: &Packet,
        message: &Message,
        octets: &[u8],
    ) -> Result<(), Discard> {
        let config = Arc::clone(&self.config);
        if !self.admit(now, link, packet, octets)? {
            return Ok(());
        }
        let purge = Purge::check(packet, message, link, &self.cache, &config)?;
        purge.advance(now, link, &mut self.cache, &config, &mut self.output);
        Ok(())
    }

    fn handle_error(&mut self, now: Instant, link: &Link, error: &ErrorIndication) {
        let ErrorIndication { code, offset, .. } = *error;
        let counter = &mut self.output.counters.errors_received;
        *counter = counter.saturating_add(1);
        let subject = Subject::at(link, None);
        self.output.trace(now, subject, || Trace::ErrorReported { code, offset });
        self.output.event(Event::ErrorReported { nbma: link.nbma, code });
    }

    /// Answers a packet in error with an error indication, so many within a second.
    fn answer_fault(
        &mut self,
        now: Instant,
        link: &Link,
        packet: &Packet,
        octets: &[u8],
        fault: Fault,
    ) -> Result<(), Discard> {
        if !self.errors.permits(now, self.config.limits.errors_per_second) {
            let counter = &mut self.output.counters.errors_suppressed;
            *counter = counter.saturating_add(1);
            return Err(match fault.code {
                ErrorCode::AUTHENTICATION_FAILURE => Discard::Authentication,
                code => Discard::Erroneous(code),
            });
        }
        let peer = received::ip(&packet.source_protocol)?;
        let built = received::error_indication(packet, octets, fault, &self.config)?;
        self.errors.count(now);
        self.output.counters.errors_sent = self.output.counters.errors_sent.saturating_add(1);
        let to = NextHop { nbma: link.nbma, link: Some(link.id) };
        self.output.send(now, to, self.config.protocol_address, peer, &built);
        Ok(())
    }

    /// Does everything that is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        let now = self.now.observe(now);
        while self.with_client(now, Client::handle_one_due) {}
        while self.cache.expire_one(now, &mut self.output) {}
    }
}

/// # Output
impl Endpoint {
    /// The next packet to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.output.poll_transmit()
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.output.poll_event()
    }

    /// The next trace record.
    pub fn poll_trace(&mut self) -> Option<Traced> {
        self.output.traces.pop()
    }

    /// When [`handle_timeout`](Self::handle_timeout) must be called at the latest.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        match (self.client.next_timeout(), self.cache.next_expiry()) {
            (Some(client), Some(cache)) => Some(client.min(cache)),
            (client, cache) => client.or(cache),
        }
    }
}

/// # Data path
impl Endpoint {
    /// Where packets to a protocol address go: the longest match in the cache. Allocates nothing,
    /// but for the one trace record of an entry's first use.
    pub fn lookup(&mut self, now: Instant, address: IpAddr) -> Option<NextHop> {
        let now = self.now.observe(now);
        let (target, nbma, entry) = self.cache.lookup(now, address)?;
        let link = entry.link;
        if !entry.used {
            let address = entry.origin.next_hop;
            self.cache.mark_used(&target);
            let subject = Subject { nbma: Some(nbma), protocol: Some(address) };
            self.output.trace(now, subject, || Trace::Resolved { address, nbma });
        }
        Some(NextHop { nbma, link: link.or_else(|| self.links.at(nbma)) })
    }

    /// Whom a multicast packet goes to next: start with `None`, go on with what it returned, stop
    /// at `None`. O(log n) a step.
    #[must_use]
    pub fn multicast_after(&self, after: Option<LinkId>) -> Option<LinkId> {
        self.cache.multicast.after(after)
    }
}

/// # Views
impl Endpoint {
    /// The cache, by target.
    pub fn cache(&self, now: Instant) -> impl Iterator<Item = CacheView> + '_ {
        self.cache.view(now, &self.config.interface)
    }

    /// Whether [`lookup`](Self::lookup) would find where `address` is; no packet is counted. O(log n).
    #[must_use]
    pub fn resolves(&self, now: Instant, address: IpAddr) -> bool {
        self.cache.lookup(now, address).is_some()
    }

    /// Whether a server may still reply to the purge that [`interface_down`](Self::interface_down)
    /// sent: at most a second, and not if there was none.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        self.client.is_leaving()
    }

    /// Next hop servers, by address.
    pub fn servers(&self) -> impl Iterator<Item = ServerView> + '_ {
        self.client.view()
    }

    /// Counters.
    #[must_use]
    pub fn counters(&self) -> Counters {
        Counters { traces_dropped: self.output.traces.dropped(), ..self.output.counters }
    }
}
