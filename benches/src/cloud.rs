//! A hub and its spokes in virtual time, without a network: what costs the hub's CPU time is counted,
//! what costs the spokes' is not.

use std::collections::BTreeMap;
use std::time::Duration;

use dmvpn_core::{Event, Instant, Node, Transmit, Underlay, nhrp};

use crate::cpu;
use crate::suite::{Routers, TUNNEL, nbma};

/// One way through the underlay.
const LATENCY: Duration = Duration::from_millis(20);

/// A packet, and where it goes as its receiver sees it.
pub struct Flight {
    /// The spoke that sent it.
    pub spoke: u32,
    /// How it arrives.
    pub underlay: Underlay,
    /// Its octets.
    pub packet: Vec<u8>,
}

/// A hub, and those of its spokes that are kept.
pub struct Cloud {
    /// Virtual time.
    pub now: Instant,
    /// The hub.
    pub hub: Node,
    /// Spokes by number.
    pub spokes: BTreeMap<u32, Node>,
    /// CPU time of the hub until all had registered.
    pub cold_start: Duration,
}

impl Cloud {
    /// Brings `count` spokes up from nothing: each starts at an instant of its own within `spread`.
    /// Once a spoke has registered, it is kept if `keep` says so.
    pub fn start(
        routers: &Routers,
        count: u32,
        spread: Duration,
        keep: impl Fn(u32) -> bool,
    ) -> Self {
        let mut now = Instant::from_secs(1_000);
        let mut cloud = Self {
            now,
            hub: routers.hub(now),
            spokes: BTreeMap::new(),
            cold_start: Duration::ZERO,
        };
        let begin = now;
        let mut starting: BTreeMap<u32, Node> = BTreeMap::new();
        let (mut to_hub, mut started, mut registered) = (Vec::new(), 0, 0);
        while registered < count {
            now += LATENCY;
            cloud.now = now;
            let (answers, spent) = cloud.hub_turn(&mut to_hub);
            cloud.cold_start += spent;
            let elapsed = now.saturating_duration_since(begin);
            while started < count
                && spread.mul_f64(f64::from(started) / f64::from(count)) <= elapsed
            {
                let number = scattered(started, count);
                let mut spoke = routers.spoke(number, now);
                transmits(number, &mut spoke, &mut to_hub);
                starting.insert(number, spoke);
                started += 1;
            }
            for transmit in answers {
                let number = spoke_at(&transmit);
                let Some(spoke) = starting.get_mut(&number) else { continue };
                if deliver(now, number, spoke, transmit, &mut to_hub) {
                    registered += 1;
                    let spoke = starting.remove(&number).expect("it was starting");
                    if keep(number) {
                        cloud.spokes.insert(number, spoke);
                    }
                }
            }
            for (number, spoke) in &mut starting {
                if spoke.poll_timeout().is_some_and(|at| at <= now) {
                    spoke.handle_timeout(now);
                    transmits(*number, spoke, &mut to_hub);
                }
            }
        }
        cloud.hub_turn(&mut to_hub);
        cloud
    }

    /// The hub takes what came and does what is due; what it sends, and its CPU time for it.
    pub fn hub_turn(&mut self, arrived: &mut Vec<Flight>) -> (Vec<Transmit>, Duration) {
        let (now, hub) = (self.now, &mut self.hub);
        let mut sent = Vec::with_capacity(arrived.len() + 1024);
        let ((), spent) = cpu::timed(|| {
            for flight in arrived.iter_mut() {
                let _ = hub.handle_packet(now, flight.underlay, &mut flight.packet);
                while let Some(transmit) = hub.poll_transmit() {
                    sent.push(transmit);
                }
                while hub.poll_event().is_some() {}
            }
            if hub.poll_timeout().is_some_and(|at| at <= now) {
                hub.handle_timeout(now);
                while let Some(transmit) = hub.poll_transmit() {
                    sent.push(transmit);
                }
                while hub.poll_event().is_some() {}
            }
        });
        arrived.clear();
        (sent, spent)
    }

    /// The kept spokes take what the hub sent; what they answer.
    pub fn spokes_turn(&mut self, sent: Vec<Transmit>) -> Vec<Flight> {
        let mut answers = Vec::new();
        for transmit in sent {
            let number = spoke_at(&transmit);
            if let Some(spoke) = self.spokes.get_mut(&number) {
                deliver(self.now, number, spoke, transmit, &mut answers);
            }
        }
        answers
    }

    /// The kept spokes do what is due; what they send.
    pub fn spokes_timers(&mut self) -> Vec<Flight> {
        let mut sent = Vec::new();
        for (number, spoke) in &mut self.spokes {
            if spoke.poll_timeout().is_some_and(|at| at <= self.now) {
                spoke.handle_timeout(self.now);
                transmits(*number, spoke, &mut sent);
                while spoke.poll_event().is_some() {}
            }
        }
        sent
    }
}

/// A permutation of the spokes, so that those who start together are no neighbours.
fn scattered(index: u32, count: u32) -> u32 {
    // 7919 is prime and divides no count that is used here.
    (u64::from(index) * 7919 % u64::from(count)) as u32
}

fn spoke_at(transmit: &Transmit) -> u32 {
    match (transmit.underlay.remote.ip(), nbma(0)) {
        (std::net::IpAddr::V4(remote), std::net::IpAddr::V4(first)) => {
            remote.to_bits() - first.to_bits()
        }
        _ => unreachable!("all is IPv4"),
    }
}

/// The same path, as the receiver sees it.
pub fn arriving(sent: Underlay) -> Underlay {
    Underlay { local: sent.remote, remote: sent.local, ..sent }
}

/// A spoke takes one packet; whether it is registered with that.
fn deliver(
    now: Instant,
    number: u32,
    spoke: &mut Node,
    transmit: Transmit,
    answers: &mut Vec<Flight>,
) -> bool {
    let mut packet = transmit.packet.to_vec();
    let _ = spoke.handle_packet(now, arriving(transmit.underlay), &mut packet);
    transmits(number, spoke, answers);
    let mut registered = false;
    while let Some(event) = spoke.poll_event() {
        registered |=
            matches!(event, Event::Nhrp { tunnel: TUNNEL, event: nhrp::Event::NhsUp { .. } });
    }
    registered
}

fn transmits(spoke: u32, node: &mut Node, to: &mut Vec<Flight>) {
    while let Some(transmit) = node.poll_transmit() {
        let underlay = arriving(transmit.underlay);
        to.push(Flight { spoke, underlay, packet: transmit.packet.to_vec() });
    }
}
