//! Two endpoints, a simulated path between them, and virtual time.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::wildcard_enum_match_arm,
    reason = "each test binary includes this harness and uses its own part of it"
)]

extern crate alloc;

use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use bytes::Bytes;
use chacha20::ChaCha20Rng;
use chacha20::rand_core::{Rng, SeedableRng};
use dmvpn_isakmp::crypto::{Group, HashAlgorithm, Provider};
use dmvpn_isakmp::{
    Config, ConfigBuilder, Direction, Discard, Encryption, Endpoint, EspProposal, Event, InstallSa,
    Jobs, Path, PeerId, Policy, PreSharedKey, Protection, ProtectionId, Remote, Traced, Transmit,
    Transport,
};
use dmvpn_time::Instant;

pub const SPOKE: &str = "172.16.1.1";
pub const HUB: &str = "172.16.10.1";
pub const TUNNEL: ProtectionId = ProtectionId(0);
/// One way.
pub const LATENCY: Duration = Duration::from_millis(5);

pub fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// The guide's phase 1 policy.
pub const GUIDE_POLICY: Policy = Policy {
    priority: 1,
    encryption: Encryption::TripleDes,
    hash: HashAlgorithm::SHA1,
    group: Group::MODP_768,
    lifetime: 86_400,
};

pub fn keyring() -> Vec<PreSharedKey> {
    vec![PreSharedKey::new(ip("0.0.0.0"), 0, b"cisco123")]
}

/// The guide's configuration, with traces on.
pub fn guide_config() -> ConfigBuilder {
    Config::builder(Provider::rustcrypto(), keyring())
        .policies(vec![GUIDE_POLICY])
        .trace_capacity(100_000)
        .first_connection(1002)
}

pub fn guide_protection(local: &str, remote: Remote) -> Protection {
    Protection {
        proposals: vec![EspProposal::TRIPLE_DES_SHA1],
        ..Protection::gre(ip(local), remote)
    }
}

/// One endpoint and what its owner holds.
pub struct Host {
    pub endpoint: Endpoint,
    pub address: IpAddr,
    pub peer: Option<PeerId>,
    pub events: Vec<Event>,
    pub traces: Vec<Traced>,
    pub sent: Vec<(Instant, Transmit)>,
    pub discards: Vec<Discard>,
    /// The data plane: SAs by direction, peer and SPI.
    pub installed: BTreeMap<(Direction, PeerId, u32), InstallSa>,
    pub outbound: BTreeMap<PeerId, u32>,
    pub jobs: VecDeque<(Instant, dmvpn_isakmp::crypto::Job)>,
    pub job_delay: Duration,
}

impl Host {
    pub fn new(config: Config, address: IpAddr, seed: u64, now: Instant) -> Self {
        let rng = Box::new(ChaCha20Rng::seed_from_u64(seed));
        Self {
            endpoint: Endpoint::new(Arc::new(config), rng, now),
            address,
            peer: None,
            events: Vec::new(),
            traces: Vec::new(),
            sent: Vec::new(),
            discards: Vec::new(),
            installed: BTreeMap::new(),
            outbound: BTreeMap::new(),
            jobs: VecDeque::new(),
            job_delay: Duration::ZERO,
        }
    }

    fn apply(&mut self, event: Event) {
        match &event {
            Event::Phase1Up { peer, .. } => self.peer = Some(*peer),
            Event::InstallSa(sa) => {
                let before = self.installed.insert((sa.direction, sa.peer, sa.spi), sa.clone());
                assert!(before.is_none(), "an SA is installed once");
            }
            Event::EnableOutbound { peer, spi, .. } => {
                assert!(self.installed.contains_key(&(Direction::Outbound, *peer, *spi)));
                self.outbound.insert(*peer, *spi);
            }
            Event::RemoveSa { direction, peer, spi, .. } => {
                let before = self.installed.remove(&(*direction, *peer, *spi));
                assert!(before.is_some(), "only what was installed is removed");
                if *direction == Direction::Outbound && self.outbound.get(peer) == Some(spi) {
                    self.outbound.remove(peer);
                }
            }
            _ => {}
        }
        self.events.push(event);
    }

    pub fn inbound(&self) -> Vec<&InstallSa> {
        self.installed.values().filter(|sa| sa.direction == Direction::Inbound).collect()
    }
}

/// What the path does to a datagram.
pub type Meddler = Box<dyn FnMut(&mut Vec<Bytes>, &mut ChaCha20Rng)>;

/// A NAT in front of one host.
#[derive(Clone, Debug)]
pub struct Nat {
    pub inside: IpAddr,
    pub outside: IpAddr,
    /// Outside port for inside port.
    pub ports: BTreeMap<u16, u16>,
    pub next: u16,
    /// Inside ports that are mapped to themselves, for a server behind the NAT.
    pub fixed: bool,
}

impl Nat {
    pub fn new(inside: &str, outside: &str) -> Self {
        let ports = BTreeMap::new();
        Self { inside: ip(inside), outside: ip(outside), ports, next: 30_000, fixed: false }
    }

    fn out(&mut self, source: SocketAddr) -> SocketAddr {
        if source.ip() != self.inside {
            return source;
        }
        if self.fixed {
            return (self.outside, source.port()).into();
        }
        let next = &mut self.next;
        let port = *self.ports.entry(source.port()).or_insert_with(|| {
            *next += 1;
            *next
        });
        (self.outside, port).into()
    }

    fn back(&self, destination: SocketAddr) -> Option<SocketAddr> {
        if destination.ip() != self.outside {
            return Some(destination);
        }
        if self.fixed {
            return Some((self.inside, destination.port()).into());
        }
        let found = self.ports.iter().find(|(_, outside)| **outside == destination.port());
        found.map(|(inside, _)| (self.inside, *inside).into())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// Sleeps exactly until `poll_timeout`.
    Strict,
    /// Wakes up at other instants as well, and polls in another order.
    Nervous,
    /// Wakes up late.
    Late,
}

struct InFlight {
    at: Instant,
    order: u64,
    path: Path,
    payload: Bytes,
    to: usize,
}

pub struct Pair {
    pub now: Instant,
    /// The spoke and the hub.
    pub hosts: [Host; 2],
    wire: Vec<InFlight>,
    order: u64,
    pub meddler: Option<Meddler>,
    pub nats: Vec<Nat>,
    pub rng: ChaCha20Rng,
    pub driver: Driver,
    driver_rng: ChaCha20Rng,
    last_activity: Instant,
    pub sent_datagrams: usize,
}

impl Pair {
    pub fn new(spoke: Config, hub: Config) -> Self {
        Self::between(spoke, SPOKE, hub, HUB, 1)
    }

    pub fn between(spoke: Config, spoke_ip: &str, hub: Config, hub_ip: &str, seed: u64) -> Self {
        let now = Instant::from_secs(1000);
        Self {
            now,
            hosts: [
                Host::new(spoke, ip(spoke_ip), seed * 2, now),
                Host::new(hub, ip(hub_ip), seed * 2 + 1, now),
            ],
            wire: Vec::new(),
            order: 0,
            meddler: None,
            nats: Vec::new(),
            rng: ChaCha20Rng::seed_from_u64(seed ^ 0x5eed),
            driver: Driver::Strict,
            driver_rng: ChaCha20Rng::seed_from_u64(99),
            last_activity: now,
            sent_datagrams: 0,
        }
    }

    /// The guide's hub and spoke.
    pub fn guide() -> Self {
        let mut pair = Self::new(guide_config().build().unwrap(), guide_config().build().unwrap());
        pair.protect_guide();
        pair
    }

    pub fn protect_guide(&mut self) {
        let (now, hub) = (self.now, self.hosts[1].address);
        let spoke = guide_protection(&self.hosts[0].address.to_string(), Remote::Host(hub));
        self.hosts[0].endpoint.protect(now, TUNNEL, spoke);
        let hub = guide_protection(&hub.to_string(), Remote::Any);
        self.hosts[1].endpoint.protect(now, TUNNEL, hub);
    }

    pub fn connect(&mut self) -> PeerId {
        let remote = self.hosts[1].address;
        self.connect_to(0, remote)
    }

    pub fn connect_to(&mut self, host: usize, remote: IpAddr) -> PeerId {
        let peer = self.hosts[host].endpoint.connect(self.now, TUNNEL, remote).unwrap();
        self.hosts[host].peer = Some(peer);
        self.drain();
        peer
    }

    /// Polls everything that both endpoints have to say.
    pub fn drain(&mut self) {
        for index in 0..2 {
            let nervous = self.driver == Driver::Nervous && self.driver_rng.next_u32() & 1 == 0;
            if nervous {
                self.drain_events(index);
            }
            while let Some(transmit) = self.hosts[index].endpoint.poll_transmit() {
                self.hosts[index].sent.push((self.now, transmit.clone()));
                self.last_activity = self.now;
                self.carry(transmit);
            }
            self.drain_events(index);
            while let Some(job) = self.hosts[index].endpoint.poll_job() {
                let at = self.now + self.hosts[index].job_delay;
                self.hosts[index].jobs.push_back((at, job));
            }
        }
    }

    fn drain_events(&mut self, index: usize) {
        let host = &mut self.hosts[index];
        while let Some(event) = host.endpoint.poll_event() {
            host.apply(event);
        }
        while let Some(trace) = host.endpoint.poll_trace() {
            host.traces.push(trace);
        }
    }

    /// Through NATs and whatever else, to whom it may concern.
    fn carry(&mut self, transmit: Transmit) {
        self.sent_datagrams += 1;
        let Path { local, remote, transport } = transmit.path;
        let (mut source, mut destination) = (local, remote);
        for nat in &mut self.nats {
            source = nat.out(source);
        }
        for nat in &self.nats {
            match nat.back(destination) {
                Some(inside) => destination = inside,
                None => return,
            }
        }
        if !transmit.non_esp_marker && transport == Transport::NatT {
            assert_eq!(&transmit.payload[..], [0xff], "only keepalives go without marker");
        }
        let to = self.hosts.iter().position(|host| host.address == destination.ip());
        let Some(to) = to else { return };
        let mut copies = vec![transmit.payload];
        if let Some(meddler) = &mut self.meddler {
            meddler(&mut copies, &mut self.rng);
        }
        let jitter = self.meddler.is_some();
        for payload in copies {
            self.order += 1;
            let extra = if jitter { u64::from(self.rng.next_u32() % 20) } else { 0 };
            self.wire.push(InFlight {
                at: self.now + LATENCY + Duration::from_millis(extra),
                order: self.order,
                path: Path { local: destination, remote: source, transport },
                payload,
                to,
            });
        }
    }

    fn next_instant(&mut self) -> Option<Instant> {
        let arrivals = self.wire.iter().map(|datagram| datagram.at);
        let timers = self.hosts.iter().filter_map(|host| host.endpoint.poll_timeout());
        let jobs = self.hosts.iter().filter_map(|host| host.jobs.front().map(|(at, _)| *at));
        arrivals.chain(timers).chain(jobs).min()
    }

    /// Lets time pass until `end`.
    pub fn run_until(&mut self, end: Instant) {
        self.drain();
        while let Some(next) = self.next_instant() {
            let next = next.max(self.now);
            if next > end {
                break;
            }
            match self.driver {
                Driver::Strict => self.now = next,
                Driver::Nervous => {
                    // Every 10 ms within two seconds of activity, at random instants elsewhere.
                    let active =
                        self.now.saturating_duration_since(self.last_activity).as_secs() < 2;
                    let step = if active {
                        Duration::from_millis(10)
                    } else {
                        Duration::from_millis(u64::from(self.driver_rng.next_u32() % 600_000) + 1)
                    };
                    self.now = (self.now + step).min(next);
                }
                Driver::Late => {
                    let late = Duration::from_millis(u64::from(self.driver_rng.next_u32() % 700));
                    self.now = next + late;
                }
            }
            self.step();
        }
        self.now = self.now.max(end);
        self.step();
    }

    fn step(&mut self) {
        let now = self.now;
        for host in &mut self.hosts {
            while host.jobs.front().is_some_and(|(at, _)| *at <= now) {
                let (_, job) = host.jobs.pop_front().unwrap();
                let _ = host.endpoint.handle_job(now, job.run());
            }
        }
        let nervous = self.driver == Driver::Nervous;
        let due = self.hosts.iter().any(|h| h.endpoint.poll_timeout().is_some_and(|at| at <= now));
        if due || nervous {
            for host in &mut self.hosts {
                host.endpoint.handle_timeout(now);
                if nervous {
                    host.endpoint.handle_timeout(now);
                }
            }
        }
        self.drain();
        loop {
            let arrived = self
                .wire
                .iter()
                .enumerate()
                .filter(|(_, datagram)| datagram.at <= now)
                .min_by_key(|(_, datagram)| (datagram.at, datagram.order))
                .map(|(index, _)| index);
            let Some(index) = arrived else { break };
            let InFlight { path, payload, to, .. } = self.wire.swap_remove(index);
            self.last_activity = now;
            self.deliver(to, path, &payload);
        }
    }

    pub fn deliver(&mut self, to: usize, path: Path, payload: &[u8]) {
        let host = &mut self.hosts[to];
        let (state, sent) = (format!("{:?}", host.endpoint), host.endpoint.counters().sent);
        if let Err(discard) = host.endpoint.handle_datagram(self.now, path, payload) {
            assert_eq!(state, format!("{:?}", host.endpoint), "{discard}");
            assert_eq!(host.endpoint.counters().sent, sent, "an error sends nothing");
            host.discards.push(discard);
        }
        self.drain();
    }

    /// Takes the next datagram off the wire, for the test to do with it what it likes.
    pub fn take_next(&mut self) -> Option<(usize, Path, Bytes)> {
        let first =
            self.wire.iter().enumerate().min_by_key(|(_, datagram)| (datagram.at, datagram.order));
        let index = first.map(|(index, _)| index)?;
        let InFlight { at, path, payload, to, .. } = self.wire.swap_remove(index);
        self.now = self.now.max(at);
        Some((to, path, payload))
    }

    pub fn run_for(&mut self, duration: Duration) {
        self.run_until(self.now + duration);
    }

    /// A path as the receiving host sees it.
    pub fn path_to(&self, to: usize) -> Path {
        let from = 1 - to;
        Path {
            local: (self.hosts[to].address, 500).into(),
            remote: (self.hosts[from].address, 500).into(),
            transport: Transport::Isakmp,
        }
    }

    /// Forgets everything on the wire.
    pub fn cut(&mut self) {
        self.wire.clear();
    }

    /// Replaces a host by a new one without memory.
    pub fn restart(&mut self, index: usize, config: Config, seed: u64) {
        let address = self.hosts[index].address;
        self.hosts[index] = Host::new(config, address, seed, self.now);
        self.wire.clear();
        let terms = if index == 0 {
            guide_protection(&address.to_string(), Remote::Host(self.hosts[1].address))
        } else {
            guide_protection(&address.to_string(), Remote::Any)
        };
        self.hosts[index].endpoint.protect(self.now, TUNNEL, terms);
    }

    /// Whether traffic can flow both ways: each side's outbound SA is the other's inbound one, with
    /// the same keys.
    pub fn assert_connected(&self) {
        for (from, to) in [(0, 1), (1, 0)] {
            let (from, to) = (&self.hosts[from], &self.hosts[to]);
            let (peer, spi) = from.outbound.iter().next().expect("an outbound SA is enabled");
            let sa = &from.installed[&(Direction::Outbound, *peer, *spi)];
            let other = to
                .inbound()
                .into_iter()
                .find(|inbound| inbound.spi == *spi)
                .expect("the other side has the inbound SA");
            assert_eq!(sa.keys.dangerous_encryption_key(), other.keys.dangerous_encryption_key());
            assert_eq!(sa.keys.dangerous_integrity_key(), other.keys.dangerous_integrity_key());
            assert_eq!(sa.transform, other.transform);
            assert_eq!(sa.mode, other.mode);
            assert_eq!(sa.selectors.local, other.selectors.remote);
        }
    }

    /// Exactly one current pair on each side.
    pub fn assert_one_pair(&self) {
        for host in &self.hosts {
            let current = host.endpoint.phase2().filter(|view| !view.superseded).count();
            assert_eq!(current, 1, "{:#?}", host.endpoint.phase2().collect::<Vec<_>>());
        }
    }
}

pub fn out_of_line(config: ConfigBuilder) -> Config {
    config.jobs(Jobs::OutOfLine).build().unwrap()
}
