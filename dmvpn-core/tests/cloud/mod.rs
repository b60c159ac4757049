//! Routers on a simulated underlay, in virtual time: latency, loss, duplication, reordering,
//! damage, NAT, restarts. Everything follows from one seed.

#![allow(dead_code, reason = "each test binary uses a part of it")]

pub(crate) mod guide;
pub(crate) mod nat;

use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use core::net::IpAddr;
use core::time::Duration;

use chacha20::ChaCha20Rng;
use dmvpn_core::cisco::Debug;
use dmvpn_core::debug::Debug as Filter;
use dmvpn_core::isakmp::Phase2View;
use dmvpn_core::{
    Config, Event, Instant, NextHop, Node, SendError, Transmit, Transport, TunnelConfig, TunnelId,
    Underlay,
};
use rand_core::{Rng, SeedableRng};

use nat::Nat;

/// What inner packets carry, so that a test can search the underlay for it.
pub(crate) const MARKER: &[u8] = b"in the clear this text would show";

/// How a driver treats `poll_timeout`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Driver {
    /// Sleeps exactly until it is due.
    Strict,
    /// At these instants too, every 10 ms within 2 s of activity, at random instants elsewhere,
    /// and polls in shuffled order.
    Nervous,
    /// Always some milliseconds late.
    Late,
}

/// What the underlay does to packets, in per mille, and their latency.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Faults {
    pub(crate) loss: u32,
    pub(crate) duplication: u32,
    pub(crate) damage: u32,
    pub(crate) truncation: u32,
    pub(crate) latency: Duration,
    pub(crate) jitter: Duration,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            loss: 0,
            duplication: 0,
            damage: 0,
            truncation: 0,
            latency: Duration::from_millis(10),
            jitter: Duration::ZERO,
        }
    }
}

/// How a router is built, and built again after a restart.
#[derive(Clone)]
pub(crate) struct Blueprint {
    pub(crate) name: &'static str,
    pub(crate) address: IpAddr,
    pub(crate) config: Arc<Config>,
    pub(crate) tunnels: Vec<(TunnelId, TunnelConfig)>,
}

pub(crate) struct Router {
    pub(crate) blueprint: Blueprint,
    pub(crate) node: Node,
    pub(crate) events: Vec<(Instant, Event)>,
    pub(crate) debug: Vec<String>,
    /// What of it is kept.
    pub(crate) filter: Filter,
    pub(crate) sent: Vec<(Instant, Transmit)>,
    /// Inner packets that came out of a tunnel.
    pub(crate) delivered: Vec<Vec<u8>>,
    pub(crate) discards: u64,
    pub(crate) online: bool,
    /// Its key management takes so long to answer, and its data plane has an inbound association
    /// only with QM3, as a kernel beside a daemon does.
    pub(crate) sluggish: Option<Duration>,
    restarts: u64,
}

#[derive(Clone)]
struct InFlight {
    to: usize,
    underlay: Underlay,
    packet: Vec<u8>,
}

/// Says of a packet whether the network loses it.
pub(crate) type Swallow = Box<dyn FnMut(&Underlay, &[u8]) -> bool>;

pub(crate) struct Cloud {
    pub(crate) now: Instant,
    pub(crate) routers: Vec<Router>,
    pub(crate) faults: Faults,
    pub(crate) driver: Driver,
    /// What new routers keep of their debug output.
    pub(crate) filter: Filter,
    /// Whether any tunnel may send GRE in clear.
    pub(crate) clear_allowed: bool,
    pub(crate) underlay_packets: u64,
    /// What else the network loses.
    pub(crate) swallow: Option<Swallow>,
    nats: BTreeMap<IpAddr, Nat>,
    flights: BTreeMap<(Instant, u64), InFlight>,
    next_flight: u64,
    /// The network's dice.
    dice: ChaCha20Rng,
    /// The driver's own dice: they must not disturb the network's.
    driver_dice: ChaCha20Rng,
    last_activity: Instant,
    next_nervous: Instant,
    seed: u64,
}

impl Cloud {
    pub(crate) fn new(seed: u64) -> Self {
        let now = Instant::from_secs(1_000);
        Self {
            now,
            routers: Vec::new(),
            faults: Faults::default(),
            driver: Driver::Strict,
            filter: Filter::dmvpn_all(),
            clear_allowed: false,
            underlay_packets: 0,
            swallow: None,
            nats: BTreeMap::new(),
            flights: BTreeMap::new(),
            next_flight: 0,
            dice: ChaCha20Rng::seed_from_u64(seed),
            driver_dice: ChaCha20Rng::seed_from_u64(!seed),
            last_activity: now,
            next_nervous: now,
            seed,
        }
    }

    pub(crate) fn add(&mut self, blueprint: Blueprint) -> usize {
        let index = self.routers.len();
        let node = self.build(&blueprint, index, 0);
        self.routers.push(Router {
            blueprint,
            node,
            events: Vec::new(),
            debug: Vec::new(),
            filter: self.filter.clone(),
            sent: Vec::new(),
            delivered: Vec::new(),
            discards: 0,
            online: true,
            sluggish: None,
            restarts: 0,
        });
        self.drain(index);
        index
    }

    /// Puts a NAT in front of the router at `inside`; the world sees `nat.outside`.
    pub(crate) fn nat(&mut self, inside: IpAddr, nat: Nat) {
        self.nats.insert(inside, nat);
    }

    pub(crate) fn nat_mut(&mut self, inside: IpAddr) -> &mut Nat {
        self.nats.get_mut(&inside).expect("a NAT there")
    }

    /// The router loses its memory and starts anew.
    pub(crate) fn restart(&mut self, index: usize) {
        self.routers[index].restarts += 1;
        let restarts = self.routers[index].restarts;
        let blueprint = self.routers[index].blueprint.clone();
        self.routers[index].node = self.build(&blueprint, index, restarts);
        self.drain(index);
    }

    fn build(&self, blueprint: &Blueprint, index: usize, restarts: u64) -> Node {
        let seed = self.seed ^ ((index as u64 + 1) << 32) ^ (restarts << 48);
        let rng = Box::new(ChaCha20Rng::seed_from_u64(seed));
        let mut node = Node::new(Arc::clone(&blueprint.config), rng, self.now);
        for (id, tunnel) in &blueprint.tunnels {
            node.add_tunnel(self.now, *id, tunnel.clone()).expect("a tunnel of its own");
        }
        node
    }

    // -- time ---------------------------------------------------------------------------------

    pub(crate) fn run_for(&mut self, duration: Duration) {
        let end = self.now + duration;
        while self.step_until(end) {}
        self.now = end;
    }

    /// Runs until `condition` holds; false if it does not within `limit`.
    pub(crate) fn run_until(&mut self, limit: Duration, condition: impl Fn(&Self) -> bool) -> bool {
        let end = self.now + limit;
        while !condition(self) {
            if !self.step_until(end) {
                return condition(self);
            }
        }
        true
    }

    /// Goes to the next thing that happens before `end`.
    fn step_until(&mut self, end: Instant) -> bool {
        let late =
            if self.driver == Driver::Late { Duration::from_millis(7) } else { Duration::ZERO };
        let due = self
            .routers
            .iter()
            .filter(|router| router.online)
            .filter_map(|router| router.node.poll_timeout())
            .map(|at| at.max(self.now) + late)
            .min();
        let flight = self.flights.keys().next().map(|(at, _)| *at);
        let nervous = (self.driver == Driver::Nervous).then_some(self.next_nervous);
        let Some(next) = [due, flight, nervous].into_iter().flatten().min() else { return false };
        if next > end {
            return false;
        }
        self.now = self.now.max(next);
        // Deliveries come before timers of the same instant, whatever the driver.
        while let Some(entry) = self.flights.first_entry()
            && entry.key().0 <= self.now
        {
            let flight = entry.remove();
            self.deliver(flight);
        }
        for index in 0..self.routers.len() {
            if !self.routers[index].online {
                continue;
            }
            let timeout = self.routers[index].node.poll_timeout();
            if timeout.is_some_and(|at| at + late <= self.now) || self.driver == Driver::Nervous {
                self.routers[index].node.handle_timeout(self.now);
                self.drain(index);
            }
        }
        if self.driver == Driver::Nervous && self.next_nervous <= self.now {
            let busy =
                self.now.saturating_duration_since(self.last_activity) < Duration::from_secs(2);
            let pause = if busy { 10 } else { 1 + u64::from(self.driver_dice.next_u32() % 30_000) };
            self.next_nervous = self.now + Duration::from_millis(pause);
        }
        true
    }

    // -- the network ----------------------------------------------------------------------------

    fn deliver(&mut self, flight: InFlight) {
        let router = &mut self.routers[flight.to];
        if !router.online {
            return;
        }
        let mut packet = flight.packet;
        self.last_activity = self.now;
        if router.sluggish.is_some() && flight.underlay.transport == Transport::Esp {
            let spi = packet.first_chunk().map(|spi| u32::from_be_bytes(*spi));
            let usable = |pair: &Phase2View| pair.enabled && Some(pair.inbound_spi) == spi;
            if !router.node.isakmp().phase2().any(|pair| usable(&pair)) {
                return;
            }
        }
        match router.node.handle_packet(self.now, flight.underlay, &mut packet) {
            Ok(Some(inbound)) => router.delivered.push(packet[inbound.packet].to_vec()),
            Ok(None) => {}
            Err(_) => router.discards += 1,
        }
        self.drain(flight.to);
    }

    pub(crate) fn drain(&mut self, index: usize) {
        let now = self.now;
        let router = &mut self.routers[index];
        let mut transmits = VecDeque::new();
        let mut kinds = [0, 1, 2];
        if self.driver == Driver::Nervous {
            // The order of polling must not matter (contract rule 2).
            kinds.rotate_left(self.driver_dice.next_u32() as usize % 3);
        }
        for kind in kinds {
            match kind {
                0 => transmits.extend(core::iter::from_fn(|| router.node.poll_transmit())),
                1 => {
                    let events = core::iter::from_fn(|| router.node.poll_event());
                    router.events.extend(events.map(|event| (now, event)));
                }
                _ => {
                    let traces = core::iter::from_fn(|| router.node.poll_trace());
                    let shown = traces.filter(|traced| router.filter.shows(traced));
                    router.debug.extend(shown.map(|traced| Debug(&traced).to_string()));
                }
            }
        }
        if !transmits.is_empty() {
            self.last_activity = now;
        }
        for transmit in transmits {
            self.routers[index].sent.push((now, transmit.clone()));
            self.underlay(transmit.underlay, transmit.packet.to_vec());
        }
    }

    /// A packet enters the underlay.
    pub(crate) fn underlay(&mut self, underlay: Underlay, packet: Vec<u8>) {
        self.underlay_packets += 1;
        assert!(
            self.clear_allowed || underlay.transport != Transport::Gre,
            "GRE left in clear from {}",
            underlay.local
        );
        let shows = packet.windows(MARKER.len()).any(|window| window == MARKER);
        assert!(self.clear_allowed || !shows, "an inner packet left readable");
        if self.swallow.as_mut().is_some_and(|swallow| swallow(&underlay, &packet)) {
            return;
        }
        let Some(underlay) = self.translate(underlay) else { return };
        let Some(to) =
            self.routers.iter().position(|router| router.blueprint.address == underlay.remote.ip())
        else {
            return;
        };
        // The receiver sees the addresses from its own side.
        let seen = Underlay { local: underlay.remote, remote: underlay.local, ..underlay };
        let copies = if self.chance(self.faults.duplication) { 2 } else { 1 };
        for _ in 0..copies {
            if self.chance(self.faults.loss) {
                continue;
            }
            let mut packet = packet.clone();
            if self.chance(self.faults.damage) && !packet.is_empty() {
                let at = self.dice.next_u32() as usize % packet.len();
                packet[at] ^= 1 << (self.dice.next_u32() % 8);
            }
            if self.chance(self.faults.truncation) && !packet.is_empty() {
                packet.truncate(self.dice.next_u32() as usize % packet.len());
            }
            let jitter = match self.faults.jitter.as_micros() as u64 {
                0 => 0,
                most => self.dice.next_u64() % most,
            };
            let mut at = self.now + self.faults.latency + Duration::from_micros(jitter);
            if let Some(more) = self.routers[to].sluggish
                && seen.transport == Transport::Isakmp
            {
                at += more;
            }
            self.flights.insert((at, self.next_flight), InFlight { to, underlay: seen, packet });
            self.next_flight += 1;
        }
    }

    /// Source NAT on the way out of a site, destination NAT on the way in.
    fn translate(&mut self, mut underlay: Underlay) -> Option<Underlay> {
        if let Some(nat) = self.nats.get_mut(&underlay.local.ip()) {
            underlay.local = nat.outwards(underlay.local, underlay.transport)?;
        }
        let mut owners =
            self.nats.values().filter(|nat| nat.outside == underlay.remote.ip()).peekable();
        if owners.peek().is_some() {
            underlay.remote = owners.find_map(|nat| nat.inwards(underlay.remote))?;
        }
        Some(underlay)
    }

    fn chance(&mut self, per_mille: u32) -> bool {
        per_mille > 0 && self.dice.next_u32() % 1000 < per_mille
    }

    // -- traffic --------------------------------------------------------------------------------

    /// Sends an inner packet into a router's first tunnel.
    pub(crate) fn send(
        &mut self,
        from: usize,
        next_hop: NextHop,
        inner: &[u8],
    ) -> Result<(), SendError> {
        let tunnel = self.routers[from].blueprint.tunnels[0].0;
        self.send_into(from, tunnel, next_hop, inner)
    }

    pub(crate) fn send_into(
        &mut self,
        from: usize,
        tunnel: TunnelId,
        next_hop: NextHop,
        inner: &[u8],
    ) -> Result<(), SendError> {
        let start = Node::MAX_HEADROOM;
        let range = start..start + inner.len();
        let mut buffer = vec![0; range.end + Node::MAX_TAILROOM];
        buffer[range.clone()].copy_from_slice(inner);
        let node = &mut self.routers[from].node;
        let sent = node.send(self.now, tunnel, next_hop, &mut buffer, range);
        if let Ok(outbound) = &sent {
            self.underlay(outbound.underlay, buffer[outbound.packet.clone()].to_vec());
        }
        self.drain(from);
        sent.map(|_| ())
    }

    /// Sends a packet to every peer of the multicast map; returns how many copies went.
    pub(crate) fn multicast(&mut self, from: usize, inner: &[u8]) -> usize {
        let tunnel = self.routers[from].blueprint.tunnels[0].0;
        let mut copies = 0;
        let mut cursor = None;
        while let Some(peer) = self.routers[from].node.multicast_after(tunnel, cursor) {
            if self.send(from, NextHop::Peer(peer), inner).is_ok() {
                copies += 1;
            }
            cursor = Some(peer);
        }
        copies
    }

    /// Whether a packet gets from one router to another: sent now, seen within two seconds.
    pub(crate) fn reaches(&mut self, from: usize, to: usize, next_hop: IpAddr) -> bool {
        let inner = inner_packet([10, 1, 1, 1], [10, 1, 1, 254], self.next_flight as u16);
        if self.send(from, NextHop::Protocol(next_hop), &inner).is_err() {
            return false;
        }
        self.run_until(Duration::from_secs(2), |cloud| cloud.routers[to].delivered.contains(&inner))
    }
}

/// An IPv4 packet with a number and the marker in it.
pub(crate) fn inner_packet(source: [u8; 4], destination: [u8; 4], number: u16) -> Vec<u8> {
    let length = (20 + 2 + MARKER.len()) as u16;
    let mut packet = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, 253, 0, 0];
    packet[2..4].copy_from_slice(&length.to_be_bytes());
    packet.extend_from_slice(&source);
    packet.extend_from_slice(&destination);
    packet.extend_from_slice(&number.to_be_bytes());
    packet.extend_from_slice(MARKER);
    packet
}
