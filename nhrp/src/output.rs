//! What an endpoint has for its owner, until it is polled.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::net::IpAddr;

use bytes::Bytes;
use dmvpn_time::{Instant, TraceRing};

use crate::wire::Packet;
use crate::{Counters, Discard, Event, Link, NextHop, Trace, Traced, Transmit};

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
    events: VecDeque<Event>,
    pub(crate) traces: TraceRing<Traced>,
    pub(crate) counters: Counters,
}

impl Output {
    pub(crate) fn new(interface: Arc<str>, trace_capacity: usize) -> Self {
        Self {
            interface,
            transmits: VecDeque::new(),
            events: VecDeque::new(),
            traces: TraceRing::new(trace_capacity),
            counters: Counters::default(),
        }
    }

    pub(crate) fn configure(&mut self, interface: Arc<str>, trace_capacity: usize) {
        self.interface = interface;
        self.traces.set_capacity(trace_capacity);
    }

    /// How many packets or events wait, whichever are more.
    pub(crate) fn waiting(&self) -> usize {
        self.transmits.len().max(self.events.len())
    }

    pub(crate) fn event(&mut self, event: Event) {
        self.events.push_back(event);
    }

    /// Records what `trace` says, if anybody wants to know.
    pub(crate) fn trace(&mut self, at: Instant, subject: Subject, trace: impl FnOnce() -> Trace) {
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
        self.events.pop_front()
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
