//! What an endpoint has for its owner, until it is polled.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use core::net::IpAddr;

use bytes::Bytes;
use dmvpn_time::{EventQueue, Instant, TraceRing};

use crate::link::Owner;
use crate::wire::Packet;
use crate::{Config, Counters, Discard, Event, Link, NextHop, Trace, Traced, Transmit};

/// Whom a record is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Subject {
    pub(crate) nbma: Option<IpAddr>,
    pub(crate) protocol: Option<IpAddr>,
}

impl Subject {
    /// Nobody: the record is about ourselves.
    pub(crate) const NONE: Self = Self { nbma: None, protocol: None };

    /// The peer at the other end of `link`.
    pub(crate) const fn at(link: &Link, protocol: Option<IpAddr>) -> Self {
        Self { nbma: Some(link.nbma), protocol }
    }
}

/// A packet, built: as it goes out, and as the trace shows it.
#[derive(Debug)]
pub(crate) struct Built {
    pub(crate) packet: Packet,
    pub(crate) octets: Bytes,
}

impl Built {
    pub(crate) fn new(packet: Packet) -> Result<Self, Discard> {
        let octets = packet.encode().map_err(|_| Discard::AnswerTooLong)?;
        Ok(Self { packet, octets })
    }
}

#[derive(Debug)]
pub(crate) struct Output {
    interface: Arc<str>,
    transmits: VecDeque<Transmit>,
    events: EventQueue<Event>,
    limit: usize,
    /// The latest instant that something was recorded at.
    now: Instant,
    pub(crate) traces: TraceRing<Traced>,
    pub(crate) counters: Counters,
}

impl Output {
    pub(crate) fn new(config: &Config, now: Instant) -> Self {
        Self {
            interface: Arc::clone(&config.interface),
            transmits: VecDeque::new(),
            events: EventQueue::new(),
            limit: config.limits.queue,
            now,
            traces: TraceRing::new(config.trace_capacity),
            counters: Counters::default(),
        }
    }

    pub(crate) fn configure(&mut self, config: &Config) {
        self.interface = Arc::clone(&config.interface);
        self.limit = config.limits.queue;
        self.traces.set_capacity(config.trace_capacity);
    }

    /// How many packets or events wait, whichever are more.
    pub(crate) fn waiting(&self) -> usize {
        self.transmits.len().max(self.events.len())
    }

    pub(crate) fn event(&mut self, event: Event) {
        if !self.events.push(event, self.limit) {
            let total = self.events.coalesced();
            self.counters.events_coalesced = total;
            self.trace(self.now, Subject::NONE, || Trace::EventsCoalesced { total });
        }
    }

    /// Records what `trace` says, if anybody wants to know.
    pub(crate) fn trace(&mut self, at: Instant, subject: Subject, trace: impl FnOnce() -> Trace) {
        self.now = at;
        if self.traces.is_on() {
            let interface = Arc::clone(&self.interface);
            let Subject { nbma, protocol } = subject;
            self.traces.push(Traced { at, interface, nbma, protocol, trace: trace() });
        }
    }

    /// Sends a packet and records it; `source` and `destination` are protocol addresses.
    pub(crate) fn send(
        &mut self,
        now: Instant,
        to: NextHop,
        source: IpAddr,
        destination: IpAddr,
        built: &Built,
    ) {
        let subject = Subject { nbma: Some(to.nbma), protocol: Some(destination) };
        // What nobody fetches is lost, as on any path.
        let limit = self.limit;
        if self.transmits.len() >= limit {
            self.counters.transmits_dropped = self.counters.transmits_dropped.saturating_add(1);
            self.trace(now, subject, || Trace::TransmitDropped { limit });
            return;
        }
        self.trace(now, subject, || Trace::PacketSent {
            source,
            destination,
            packet: Box::new(built.packet.clone()),
        });
        self.counters.sent = self.counters.sent.saturating_add(1);
        self.transmits.push_back(Transmit { to, packet: built.octets.clone() });
    }

    pub(crate) fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    pub(crate) fn poll_event(&mut self) -> Option<Event> {
        self.events.pop()
    }
}

/// How often something may happen within a second.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    second: Instant,
    count: u32,
}

impl Rate {
    pub(crate) const fn new(now: Instant) -> Self {
        Self { second: now, count: 0 }
    }

    fn current(&self, now: Instant) -> u32 {
        if now.saturating_duration_since(self.second).as_secs() == 0 { self.count } else { 0 }
    }

    /// Whether it may happen once more.
    pub(crate) fn permits(&self, now: Instant, limit: u32) -> bool {
        self.current(now) < limit
    }

    /// It happened.
    pub(crate) fn count(&mut self, now: Instant) {
        let count = self.current(now);
        if count == 0 {
            self.second = now;
        }
        self.count = count.saturating_add(1);
    }
}

/// How often each peer may do something within a second.
#[derive(Clone, Debug)]
pub(crate) struct Shares {
    second: Instant,
    /// No more than what all may do within the second.
    counts: BTreeMap<Owner, u32>,
}

impl Shares {
    pub(crate) const fn new(now: Instant) -> Self {
        Self { second: now, counts: BTreeMap::new() }
    }

    fn is_over(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.second).as_secs() > 0
    }

    /// Whether this peer may do it once more.
    pub(crate) fn permits(&self, now: Instant, owner: &Owner, limit: u32) -> bool {
        self.is_over(now) || self.counts.get(owner).copied().unwrap_or(0) < limit
    }

    /// It did.
    pub(crate) fn count(&mut self, now: Instant, owner: Owner) {
        if self.is_over(now) {
            *self = Self::new(now);
        }
        let count = self.counts.entry(owner).or_default();
        *count = count.saturating_add(1);
    }
}
