//! What a hub costs for each of its spokes, depending on how many there are.

use std::time::Duration;

use chacha20::ChaCha20Rng;
use dmvpn_core::{Incoming, NextHop, Outgoing};
use rand_core::{Rng, SeedableRng};

use crate::allocator;
use crate::cloud::{Cloud, Flight, arriving};
use crate::cpu;
use crate::measure::median;
use crate::router::buffer;
use crate::suite::{HUB_TUNNEL, Routers, Suite, TUNNEL, tunnel_address};

/// The spokes start at instants of their own within so long.
const SPREAD: Duration = Duration::from_secs(60);
/// Operations between two looks at the clock.
const PASS: usize = 2_000;
const PASSES: usize = 9;
/// Packets in one batch.
const BATCH: usize = 64;
/// Timers of the hub's that are looked at: a small hub has few, and others like it follow.
const TIMERS: usize = 2_000;
const HUBS: usize = 8;

/// CPU time of the hub's calls: medians, in nanoseconds for one operation.
#[derive(Clone, Copy, Debug)]
pub struct Costs {
    /// How many spokes are up.
    pub spokes: u32,
    /// Octets of the hub's heap for each.
    pub octets: f64,
    /// From nothing until all have registered.
    pub cold_start: Duration,
    /// A packet of 1400 octets to a random spoke, and one of 64.
    pub send: [f64; 2],
    /// The same in batches.
    pub send_batch: [f64; 2],
    /// A copy of such a packet for everyone, to one of the spokes.
    pub copy: [f64; 2],
    /// The same from a random spoke.
    pub receive: [f64; 2],
    /// The same in batches.
    pub receive_batch: [f64; 2],
    /// A spoke's R-U-THERE, answered.
    pub dead_peer_detection: f64,
    /// A spoke's registration, renewed and answered, through ESP.
    pub registration: f64,
    /// A timer of the hub's: a silent spoke is asked.
    pub timer: f64,
}

impl Costs {
    /// Brings up a hub with so many spokes and measures it.
    pub fn of(suite: Suite, spokes: u32) -> Self {
        let mut bench = Bench::new(suite, spokes);
        let cold_start = bench.cloud.cold_start;
        let send = [1400, 64].map(|length| bench.send(length));
        let copy = [1400, 64].map(|length| bench.copies(length));
        let receive = [1400, 64].map(|length| bench.receive(length, 1));
        let send_batch = [1400, 64].map(|length| bench.send_batch(length));
        let receive_batch = [1400, 64].map(|length| bench.receive(length, BATCH));
        // Spokes are kept whose registration is older than what they ask after: 120 s, then 200 s.
        let dead_peer_detection = bench.spokes_timers(Duration::from_secs(125));
        let registration = bench.spokes_timers(Duration::from_secs(77));
        let (mut timers, mut count) = bench.timers();
        for _ in 1..HUBS {
            if count < TIMERS {
                let (turns, more) = Bench::new(suite, spokes).timers();
                timers.extend(turns);
                count += more;
            }
        }
        let timer = median(timers);
        let octets = bench.octets();
        Self {
            spokes,
            octets,
            cold_start,
            send,
            send_batch,
            copy,
            receive,
            receive_batch,
            dead_peer_detection,
            registration,
            timer,
        }
    }
}

struct Bench {
    cloud: Cloud,
    spokes: u32,
    rng: ChaCha20Rng,
}

impl Bench {
    fn new(suite: Suite, spokes: u32) -> Self {
        // Some of the spokes are kept as whole routers, spread over all; the others are only what the
        // hub knows of them.
        let one_of = (spokes / 20_000).max(2);
        let kept = |number: u32| number.is_multiple_of(one_of);
        let cloud = Cloud::start(&Routers::new(suite), spokes, SPREAD, kept);
        Self { cloud, spokes, rng: ChaCha20Rng::seed_from_u64(1) }
    }

    /// From the hub to spokes at random.
    fn send(&mut self, length: usize) -> f64 {
        let (template, range) = buffer(length);
        let mut buffer = template.clone();
        let turns = (0..PASSES).map(|_| {
            let hops: Vec<_> = (0..PASS)
                .map(|_| NextHop::Protocol(tunnel_address(self.rng.next_u32() % self.spokes)))
                .collect();
            let (now, hub) = (self.cloud.now, &mut self.cloud.hub);
            let ((), spent) = cpu::timed(|| {
                for hop in hops {
                    buffer[range.clone()].copy_from_slice(&template[range.clone()]);
                    let sent = hub.send(now, TUNNEL, hop, &mut buffer, range.clone());
                    assert!(sent.is_ok(), "all spokes are up");
                }
            });
            each(spent, PASS)
        });
        median(turns.collect())
    }

    /// From the hub to spokes at random, in batches.
    fn send_batch(&mut self, length: usize) -> f64 {
        let (template, range) = buffer(length);
        let mut buffers = vec![template.clone(); BATCH];
        let turns = (0..PASSES).map(|_| {
            let hops: Vec<_> = (0..PASS.next_multiple_of(BATCH))
                .map(|_| NextHop::Protocol(tunnel_address(self.rng.next_u32() % self.spokes)))
                .collect();
            let (now, hub) = (self.cloud.now, &mut self.cloud.hub);
            let ((), spent) = cpu::timed(|| {
                for hops in hops.chunks(BATCH) {
                    let mut batch = Vec::with_capacity(BATCH);
                    for (buffer, hop) in buffers.iter_mut().zip(hops) {
                        buffer[range.clone()].copy_from_slice(&template[range.clone()]);
                        batch.push(Outgoing::new(TUNNEL, *hop, buffer, range.clone()));
                    }
                    hub.send_batch(now, &mut batch);
                    assert!(
                        batch.iter().all(|outgoing| outgoing.packet().is_some()),
                        "all spokes are up"
                    );
                }
            });
            each(spent, hops.len())
        });
        median(turns.collect())
    }

    /// From the hub to one spoke after the other, in batches, as often as there are spokes and again.
    fn copies(&mut self, length: usize) -> f64 {
        let (template, range) = buffer(length);
        let mut buffers = vec![template.clone(); BATCH];
        let (now, hub) = (self.cloud.now, &mut self.cloud.hub);
        let mut last = None;
        let turns = (0..PASSES).map(|_| {
            let mut copies = 0;
            let ((), spent) = cpu::timed(|| {
                while copies < PASS {
                    let mut batch = Vec::with_capacity(BATCH);
                    for buffer in &mut buffers {
                        last = hub.multicast_after(TUNNEL, last);
                        let Some(peer) = last else { break };
                        buffer[range.clone()].copy_from_slice(&template[range.clone()]);
                        let hop = NextHop::Peer(peer);
                        batch.push(Outgoing::new(TUNNEL, hop, buffer, range.clone()));
                    }
                    hub.send_batch(now, &mut batch);
                    assert!(batch.iter().all(|copy| copy.packet().is_some()), "all spokes are up");
                    copies += batch.len();
                }
            });
            each(spent, copies)
        });
        median(turns.collect())
    }

    /// From those spokes that are kept, in random order; one by one, or so many in a batch.
    fn receive(&mut self, length: usize, batch: usize) -> f64 {
        let (template, range) = buffer(length);
        let numbers = self.shuffled_spokes();
        let mut next = numbers.iter().cycle();
        let mut turns = Vec::new();
        for _ in 0..PASSES {
            let now = self.cloud.now;
            let mut packets: Vec<_> = (0..PASS)
                .map(|_| {
                    let number = next.next().expect("there are spokes");
                    let spoke = self.cloud.spokes.get_mut(number).expect("it is kept");
                    let mut buffer = template.clone();
                    let hop = NextHop::Protocol(HUB_TUNNEL);
                    let sent = spoke.send(now, TUNNEL, hop, &mut buffer, range.clone());
                    let sent = sent.expect("the tunnel is up");
                    (arriving(sent.underlay), buffer[sent.packet].to_vec())
                })
                .collect();
            let hub = &mut self.cloud.hub;
            let ((), spent) = cpu::timed(|| {
                for packets in packets.chunks_mut(batch) {
                    if let [(underlay, packet)] = packets {
                        let inbound = hub.handle_packet(now, *underlay, packet);
                        assert!(matches!(inbound, Ok(Some(_))));
                        continue;
                    }
                    let mut batch: Vec<_> = packets
                        .iter_mut()
                        .map(|(underlay, packet)| Incoming::new(*underlay, packet))
                        .collect();
                    hub.handle_batch(now, &mut batch);
                    assert!(batch.iter().all(|incoming| incoming.packet().is_some()));
                }
            });
            turns.push(each(spent, PASS));
        }
        median(turns)
    }

    fn shuffled_spokes(&mut self) -> Vec<u32> {
        let mut numbers: Vec<u32> = self.cloud.spokes.keys().copied().collect();
        shuffle(&mut numbers, &mut self.rng);
        numbers
    }

    /// What the kept spokes have to say after a while, in random order; the cost of each message.
    fn spokes_timers(&mut self, later: Duration) -> f64 {
        self.cloud.now += later;
        // What is due by now is not what is measured.
        self.cloud.hub_turn(&mut Vec::new());
        let mut flights = self.cloud.spokes_timers();
        shuffle(&mut flights, &mut self.rng);
        assert!(flights.len() >= self.cloud.spokes.len(), "each spoke says something");
        let turn = flights.len().div_ceil(PASSES);
        let mut turns = Vec::new();
        while !flights.is_empty() {
            let mut some: Vec<Flight> = flights.split_off(flights.len().saturating_sub(turn));
            let count = some.len();
            let (answers, spent) = self.cloud.hub_turn(&mut some);
            assert_eq!(answers.len(), count, "each message is answered");
            turns.push(each(spent, count));
            self.cloud.spokes_turn(answers);
        }
        median(turns)
    }

    /// The spokes that are not kept have been silent since they registered: the hub asks them, as many
    /// each second as have registered in that second. Who does not answer is asked again.
    ///
    /// Before ten seconds are over, none of them is given up. What each costs in each turn, and how many there were.
    fn timers(&mut self) -> (Vec<f64>, usize) {
        let (mut turns, mut count) = (Vec::new(), 0);
        while turns.len() < 8 {
            self.cloud.now += Duration::from_secs(1);
            let (asked, spent) = self.cloud.hub_turn(&mut Vec::new());
            if !asked.is_empty() {
                turns.push(each(spent, asked.len()));
                count += asked.len();
            }
        }
        (turns, count)
    }

    /// What is free again when the hub is gone.
    fn octets(self) -> f64 {
        let before = allocator::live();
        drop(self.cloud.hub);
        (before - allocator::live()) as f64 / f64::from(self.spokes)
    }
}

fn each(spent: Duration, count: usize) -> f64 {
    spent.as_nanos() as f64 / count as f64
}

fn shuffle<T>(items: &mut [T], rng: &mut ChaCha20Rng) {
    for last in (1..items.len()).rev() {
        items.swap(last, rng.next_u32() as usize % (last + 1));
    }
}
