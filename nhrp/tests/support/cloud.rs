//! Several endpoints, a network between them, and virtual time.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use core::net::IpAddr;
use core::time::Duration;

use chacha20::ChaCha20Rng;
use chacha20::rand_core::{Rng as _, SeedableRng as _};
use dmvpn_nhrp::wire::{AuthenticationString, RequestId};
use dmvpn_nhrp::{
    CacheView, Config, ConfigBuilder, Endpoint, Event, Identity, Link, LinkId, NextHopServer,
    Prefix, ServerView, StaticMap, Traced, Transmit,
};
use dmvpn_time::Instant;

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub(crate) fn host(text: &str) -> Prefix {
    Prefix::host(ip(text))
}

pub(crate) fn random(seed: u64) -> Box<ChaCha20Rng> {
    Box::new(ChaCha20Rng::seed_from_u64(seed))
}

/// The guide's hub.
pub(crate) fn hub() -> ConfigBuilder {
    Config::builder("Tunnel0", ip("10.1.1.254"), 24, ip("172.16.10.1"))
        .authentication(Some(AuthenticationString::new(b"NHRPAUTH")))
        .multicast_dynamic(true)
        .trace_capacity(100_000)
}

/// The guide's spoke, or another with last octets `n`.
pub(crate) fn spoke(n: u8) -> ConfigBuilder {
    let nbma = ip(&format!("172.16.{n}.1"));
    Config::builder("Tunnel0", ip(&format!("10.1.1.{n}")), 24, nbma)
        .authentication(Some(AuthenticationString::new(b"NHRPAUTH")))
        .servers(vec![NextHopServer::new(ip("10.1.1.254"))])
        .static_maps(vec![StaticMap { target: host("10.1.1.254"), nbma: ip("172.16.10.1") }])
        .first_request_id(RequestId(65540))
        .trace_capacity(100_000)
}

pub(crate) fn endpoint(config: ConfigBuilder, seed: u64) -> Endpoint {
    Endpoint::new(Arc::new(config.build().unwrap()), random(seed), Instant::EPOCH)
}

pub(crate) fn link(id: u64, nbma: &str, local: &str) -> Link {
    Link { id: LinkId(id), nbma: ip(nbma), local: ip(local), udp_port: None, identity: None }
}

pub(crate) fn identity(name: &str) -> Option<Identity> {
    Some(Identity::new(name.as_bytes().to_vec()))
}

/// All that an endpoint gave, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Given {
    pub(crate) transmits: Vec<(Instant, Transmit)>,
    pub(crate) events: Vec<(Instant, Event)>,
    pub(crate) traces: Vec<Traced>,
}

pub(crate) fn transmits(endpoint: &mut Endpoint) -> Vec<Transmit> {
    core::iter::from_fn(|| endpoint.poll_transmit()).collect()
}

pub(crate) fn events(endpoint: &mut Endpoint) -> Vec<Event> {
    core::iter::from_fn(|| endpoint.poll_event()).collect()
}

/// What can be seen of an endpoint's state.
pub(crate) fn state(
    endpoint: &Endpoint,
    now: Instant,
) -> (Vec<CacheView>, Vec<ServerView>, Option<Instant>, Vec<LinkId>) {
    let mut multicast = Vec::new();
    while let Some(link) = endpoint.multicast_after(multicast.last().copied()) {
        multicast.push(link);
    }
    (
        endpoint.cache(now).collect(),
        endpoint.servers().collect(),
        endpoint.poll_timeout(),
        multicast,
    )
}

/// How the owner of an endpoint treats it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Driver {
    /// Sleeps exactly to `poll_timeout`.
    Strict,
    /// Calls at other instants and twice, too, and polls in shuffled order.
    Nervous,
    /// Oversleeps by up to three seconds.
    Late,
}

/// What the network does to packets, in per cent.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    pub(crate) loss: u32,
    pub(crate) duplication: u32,
    pub(crate) reordering: u32,
}

pub(crate) struct Node {
    pub(crate) endpoint: Endpoint,
    /// Where it is, outside any NAT.
    pub(crate) outside: IpAddr,
    inside: IpAddr,
    pub(crate) identity: Option<Identity>,
    pub(crate) given: Given,
    wake: Option<(Instant, Instant)>,
}

pub(crate) struct Cloud {
    pub(crate) now: Instant,
    pub(crate) nodes: Vec<Node>,
    pub(crate) driver: Driver,
    pub(crate) faults: Faults,
    flights: BTreeMap<(Instant, u64), (usize, usize, bytes::Bytes)>,
    sequence: u64,
    network: ChaCha20Rng,
    whims: ChaCha20Rng,
}

const LATENCY: Duration = Duration::from_millis(7);

impl Cloud {
    pub(crate) fn new(driver: Driver, seed: u64) -> Self {
        Self {
            now: Instant::EPOCH,
            nodes: Vec::new(),
            driver,
            faults: Faults::default(),
            flights: BTreeMap::new(),
            sequence: 0,
            network: ChaCha20Rng::seed_from_u64(seed),
            whims: ChaCha20Rng::seed_from_u64(!seed),
        }
    }

    /// Adds an endpoint, not up yet; its number is that of its links at the others.
    pub(crate) fn add(&mut self, config: ConfigBuilder, inside: &str, outside: &str) -> usize {
        self.nodes.push(Node {
            endpoint: endpoint(config, self.nodes.len() as u64),
            outside: ip(outside),
            inside: ip(inside),
            identity: None,
            given: Given::default(),
            wake: None,
        });
        self.nodes.len() - 1
    }

    /// A node crashes and starts again: it knows nothing, and what it told its owner is forgotten.
    pub(crate) fn restart(&mut self, at: usize, config: ConfigBuilder, seed: u64) {
        let now = self.now;
        let node = &mut self.nodes[at];
        node.endpoint = Endpoint::new(Arc::new(config.build().unwrap()), random(seed), now);
        node.given.events.clear();
        self.command(at, Endpoint::interface_up);
    }

    /// The link by which `at` sees `peer`.
    pub(crate) fn link(&self, at: usize, peer: usize) -> Link {
        Link {
            id: LinkId(peer as u64),
            nbma: self.nodes[peer].outside,
            local: self.nodes[at].inside,
            udp_port: None,
            identity: self.nodes[peer].identity.clone(),
        }
    }

    pub(crate) fn command(&mut self, at: usize, call: impl FnOnce(&mut Endpoint, Instant)) {
        call(&mut self.nodes[at].endpoint, self.now);
        self.take(at);
    }

    /// The way between two nodes comes up, and both are told to register.
    pub(crate) fn connect(&mut self, a: usize, b: usize) {
        for (at, peer) in [(a, b), (b, a)] {
            let link = self.link(at, peer);
            self.command(at, |endpoint, now| {
                endpoint.link_up(now, &link);
                endpoint.register(now);
            });
        }
    }

    pub(crate) fn disconnect(&mut self, a: usize, b: usize) {
        for (at, peer) in [(a, b), (b, a)] {
            self.command(at, |endpoint, now| endpoint.link_down(now, LinkId(peer as u64)));
        }
    }

    fn per_cent(&mut self, chance: u32) -> bool {
        self.network.next_u32() % 100 < chance
    }

    /// Polls everything and puts what is to be sent on the network.
    fn take(&mut self, at: usize) {
        let now = self.now;
        let mut order = [0, 1, 2];
        if self.driver == Driver::Nervous {
            order.rotate_left(self.whims.next_u32() as usize % 3);
        }
        let node = &mut self.nodes[at];
        let mut sent = Vec::new();
        for output in order {
            match output {
                0 => sent.extend(transmits(&mut node.endpoint)),
                1 => node.given.events.extend(
                    core::iter::from_fn(|| node.endpoint.poll_event()).map(|event| (now, event)),
                ),
                _ => node.given.traces.extend(core::iter::from_fn(|| node.endpoint.poll_trace())),
            }
        }
        node.given.transmits.extend(sent.iter().cloned().map(|transmit| (now, transmit)));
        for Transmit { to, packet } in sent {
            let by_link = to.link.map(|link| link.0 as usize).filter(|node| *node != at);
            let by_nbma = || self.nodes.iter().position(|node| node.outside == to.nbma);
            let Some(peer) = by_link.or_else(by_nbma) else { continue };
            if self.per_cent(self.faults.loss) {
                continue;
            }
            let copies = 1 + u32::from(self.per_cent(self.faults.duplication));
            for _ in 0..copies {
                let slow = self.per_cent(self.faults.reordering);
                let latency = if slow { LATENCY * 400 } else { LATENCY };
                self.sequence += 1;
                let key = (now + latency, self.sequence);
                self.flights.insert(key, (at, peer, packet.clone()));
            }
        }
    }

    fn deadline(&mut self, at: usize) -> Option<Instant> {
        let asked = self.nodes[at].endpoint.poll_timeout()?;
        if self.driver != Driver::Late {
            return Some(asked);
        }
        match self.nodes[at].wake {
            Some((before, wake)) if before == asked => Some(wake),
            _ => {
                let late = Duration::from_millis(u64::from(self.whims.next_u32() % 3000));
                self.nodes[at].wake = Some((asked, asked + late));
                Some(asked + late)
            }
        }
    }

    /// Lets time pass until `end`.
    pub(crate) fn run(&mut self, end: Instant) {
        loop {
            let flight = self.flights.first_key_value().map(|((at, _), _)| *at);
            let deadlines: Vec<Option<Instant>> =
                (0..self.nodes.len()).map(|at| self.deadline(at)).collect();
            let next = deadlines.iter().copied().chain([flight]).flatten().min();
            let next = next.filter(|next| *next <= end).unwrap_or(end).max(self.now);
            if self.driver == Driver::Nervous {
                self.fidget(next);
            }
            self.now = next;
            while let Some(flight) = self.flights.first_entry() {
                if flight.key().0 > self.now {
                    break;
                }
                let (from, to, packet) = flight.remove();
                let link = self.link(to, from);
                let _ = self.nodes[to].endpoint.handle_packet(self.now, &link, &packet);
                self.take(to);
            }
            let mut due = false;
            for (at, deadline) in deadlines.into_iter().enumerate() {
                if deadline.is_some_and(|deadline| deadline <= self.now) {
                    due = true;
                    self.nodes[at].endpoint.handle_timeout(self.now);
                    if self.driver == Driver::Nervous {
                        self.nodes[at].endpoint.handle_timeout(self.now);
                    }
                    self.take(at);
                }
            }
            let flying = self.flights.first_key_value().is_some_and(|((at, _), _)| *at <= end);
            if !due && !flying && self.now >= end {
                return;
            }
        }
    }

    pub(crate) fn run_for(&mut self, duration: Duration) {
        self.run(self.now + duration);
    }

    /// Wakes everybody up for nothing: every 10 ms at first, then at random instants.
    fn fidget(&mut self, next: Instant) {
        let mut at = self.now;
        for _ in 0..200 {
            at += Duration::from_millis(10);
            if at < next {
                self.wake_for_nothing(at);
            }
        }
        for _ in 0..3 {
            let rest = next.saturating_duration_since(at).as_micros() as u64;
            if rest > 1 {
                at += Duration::from_micros(u64::from(self.whims.next_u32()) % rest);
                self.wake_for_nothing(at);
            }
        }
    }

    fn wake_for_nothing(&mut self, at: Instant) {
        for node in &mut self.nodes {
            let before = node.endpoint.poll_timeout();
            node.endpoint.handle_timeout(at);
            assert_eq!(node.endpoint.poll_timeout(), before);
            assert_eq!(node.endpoint.poll_transmit(), None);
            assert_eq!(node.endpoint.poll_event(), None);
            assert_eq!(node.endpoint.poll_trace(), None);
        }
    }

    pub(crate) fn cache(&self, at: usize) -> Vec<CacheView> {
        self.nodes[at].endpoint.cache(self.now).collect()
    }

    pub(crate) fn servers(&self, at: usize) -> Vec<ServerView> {
        self.nodes[at].endpoint.servers().collect()
    }

    pub(crate) fn events(&self, at: usize) -> Vec<Event> {
        self.nodes[at].given.events.iter().map(|(_, event)| event.clone()).collect()
    }
}
