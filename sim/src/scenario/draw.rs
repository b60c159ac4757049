//! What a seed means.

use alloc::collections::BTreeSet;
use core::net::{IpAddr, Ipv4Addr};
use core::time::Duration;

use dmvpn_core::Instant;
use dmvpn_core::isakmp::{ChildLifetime, DeadPeerDetection, Mode};

use super::{Crypto, Driver, Scenario, Settings, Site, Wishes};
use crate::clock::Clock;
use crate::dice::Dice;
use crate::operation::Operation;
use crate::router::Command;
use crate::underlay::{NatKind, NatSettings, Weather};

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// The `number`th address of a range.
fn address(first: [u8; 4], number: usize) -> IpAddr {
    let number = u32::try_from(number).unwrap_or(u32::MAX);
    Ipv4Addr::from(u32::from(Ipv4Addr::from(first)).wrapping_add(number)).into()
}

/// Who is who on the underlay.
const HUBS: [u8; 4] = [192, 0, 2, 1];
const SPOKES: [u8; 4] = [172, 16, 0, 1];
const INSIDE: [u8; 4] = [192, 168, 0, 1];
const NATS: [u8; 4] = [198, 18, 0, 1];
/// Where spokes and translators move.
const ELSEWHERE: [u8; 4] = [198, 19, 0, 1];

impl Scenario {
    /// What the seed means, within the wishes.
    #[must_use]
    pub fn from_seed(seed: u64, wishes: Wishes) -> Self {
        let mut dice = Dice::of(seed, 0);
        let spokes =
            if wishes.exactly { wishes.spokes } else { number_of_spokes(wishes.spokes, &mut dice) };
        let settings = settings(wishes.crypto, spokes, &mut dice);
        let hubs = if spokes > 500 { 1 } else { [1, 1, 1, 2, 2, 3][small(dice.below(6))] };
        let mut scenario = Self {
            seed,
            settings,
            hubs,
            sites: Vec::new(),
            nats: Vec::new(),
            operations: Vec::new(),
            absent: BTreeSet::new(),
        };
        for hub in 0..hubs {
            scenario.add_hub(hub, &mut dice);
        }
        for spoke in 0..spokes {
            scenario.add_spoke(spoke, spokes, &mut dice);
        }
        let span = seconds(dice.between(60, 480)) + millis(spokes as u64 * 20);
        let most = dice.between(1, 24) + spokes as u64 / 8;
        for number in 0..most {
            let mut dice = Dice::of(seed, 1_000 + number);
            let at = millis(dice.below(u64::try_from(span.as_millis()).unwrap_or(0)));
            let operation = scenario.operation(number, &mut dice);
            scenario.operations.push((at, operation));
        }
        scenario.operations.sort_by_key(|(at, _)| *at);
        scenario
    }

    fn add_hub(&mut self, hub: usize, dice: &mut Dice) {
        let nat = dice.chance(150).then_some(self.nats.len());
        let mut own = address(HUBS, hub);
        if nat.is_some() {
            self.nats.push(NatSettings {
                kind: NatKind::OneToOne,
                outside: own,
                timeout: Duration::MAX,
                inbound_refreshes: true,
                preserves_ports: true,
                first_port: 1024,
            });
            own = address([10, 99, 0, 1], hub);
        }
        let weather = Weather { latency: millis(dice.between(1, 20)), ..Weather::default() };
        let joins = if dice.chance(100) { seconds(dice.below(60)) } else { Duration::ZERO };
        self.sites.push(Site { address: own, nat, weather, clock: clock(dice), joins });
    }

    fn add_spoke(&mut self, spoke: usize, spokes: usize, dice: &mut Dice) {
        let nat = dice.chance(450).then(|| self.nat_for_spoke(spokes, dice));
        let own = match nat {
            // Behind different translators the same address is nothing unusual.
            Some(_) if dice.chance(300) => {
                let taken: BTreeSet<IpAddr> = self
                    .sites
                    .iter()
                    .filter(|site| site.nat == nat)
                    .map(|site| site.address)
                    .collect();
                let free = (0..).map(|number| address(INSIDE, number));
                free.into_iter()
                    .find(|free| !taken.contains(free))
                    .unwrap_or_else(|| address(INSIDE, 0))
            }
            Some(_) => address(INSIDE, 256 + spoke),
            None => address(SPOKES, spoke),
        };
        let mut weather = Weather {
            latency: millis(dice.between(1, 120)),
            jitter: if dice.chance(500) { Duration::ZERO } else { millis(dice.below(50)) },
            ..Weather::default()
        };
        if dice.chance(100) {
            weather.mtu = *dice.pick(&[576, 1280, 1400, 1492]).unwrap_or(&1500);
            // Main mode's own messages fit into 576 octets.
            weather.fragments = dice.chance(700);
        }
        let joins = if spokes > 100 {
            millis(dice.below(spokes as u64 * 20))
        } else if dice.chance(300) {
            millis(dice.below(120_000))
        } else {
            millis(dice.below(1_000))
        };
        self.sites.push(Site { address: own, nat, weather, clock: clock(dice), joins });
    }

    /// A translator that is there, or a new one.
    fn nat_for_spoke(&mut self, spokes: usize, dice: &mut Dice) -> usize {
        let there: Vec<usize> = (0..self.nats.len())
            .filter(|nat| self.nats.get(*nat).is_some_and(|nat| nat.kind != NatKind::OneToOne))
            .collect();
        if let Some(nat) = dice.pick(&there)
            && (dice.chance(500) || spokes > 500)
            && self.sites.iter().filter(|site| site.nat == Some(*nat)).count() < 24
        {
            return *nat;
        }
        let kinds =
            [NatKind::FullCone, NatKind::Restricted, NatKind::PortRestricted, NatKind::Symmetric];
        self.nats.push(NatSettings {
            kind: *dice.pick(&kinds).unwrap_or(&NatKind::PortRestricted),
            outside: address(NATS, self.nats.len()),
            timeout: seconds(dice.between(25, 180)),
            inbound_refreshes: dice.chance(500),
            preserves_ports: dice.chance(500),
            first_port: 1024 + u16::try_from(dice.below(60_000)).unwrap_or(0),
        });
        self.nats.len() - 1
    }

    fn operation(&self, number: u64, dice: &mut Dice) -> Operation {
        let sites = self.sites.len() as u64;
        let any = |dice: &mut Dice| small(dice.below(sites));
        let spoke = |dice: &mut Dice| self.hubs + small(dice.below(sites - self.hubs as u64));
        let hub = |dice: &mut Dice| small(dice.below(self.hubs as u64));
        // Half of what happens to a router happens to a hub: it matters more.
        let site = |dice: &mut Dice| if dice.chance(400) { hub(dice) } else { spoke(dice) };
        let number = usize::try_from(number).unwrap_or(0);
        match dice.below(100) {
            0..14 => Operation::Weather {
                site: if dice.chance(300) { None } else { Some(any(dice)) },
                weather: bad_weather(dice),
                lasts: seconds(dice.between(1, 120)),
            },
            14..24 => Operation::Partition {
                one: site(dice),
                other: if dice.chance(500) { Some(any(dice)) } else { None },
                one_way: dice.chance(300),
                lasts: seconds(dice.between(1, 240)),
            },
            24..32 => Operation::Suspend { site: site(dice), lasts: seconds(dice.between(1, 240)) },
            32..44 => Operation::Restart {
                site: site(dice),
                same_dice: dice.chance(250),
                lasts: millis(dice.below(30_000)),
            },
            44..48 => Operation::Leave { spoke: spoke(dice) },
            48..52 => {
                let spoke = spoke(dice);
                Operation::Move { spoke, to: address(ELSEWHERE, number) }
            }
            52..62 if self.nats.iter().any(|nat| nat.kind != NatKind::OneToOne) => {
                let nats: Vec<usize> = (0..self.nats.len())
                    .filter(|nat| {
                        self.nats.get(*nat).is_some_and(|nat| nat.kind != NatKind::OneToOne)
                    })
                    .collect();
                let nat = *dice.pick(&nats).unwrap_or(&0);
                let to = dice.chance(300).then(|| address(ELSEWHERE, 1_000 + number));
                Operation::Rebind { nat, to }
            }
            62..68 => Operation::Shutdown { site: site(dice), lasts: millis(dice.below(60_000)) },
            68..74 => Operation::Operator { site: site(dice), command: Command::ClearSessions },
            74..77 => Operation::Operator { site: hub(dice), command: Command::ClearNhrp },
            77..87 => {
                let (one, other) = (hub(dice), spoke(dice));
                let (from, to) = if dice.chance(500) { (one, other) } else { (other, one) };
                let packets = u16::try_from(dice.between(1, 60)).unwrap_or(1);
                let octets = u16::try_from(dice.between(64, 1400)).unwrap_or(64);
                Operation::Send { from, to, packets, octets }
            }
            87..90 => Operation::Multicast { hub: hub(dice) },
            90..96 => Operation::Replay {
                site: any(dice),
                back: dice.below(60),
                forged: dice.chance(400),
            },
            _ => Operation::Noise { site: any(dice), dice: dice.next() },
        }
    }
}

fn small(value: u64) -> usize {
    usize::try_from(value).unwrap_or(0)
}

/// Between 1 and `most`; with a limit of 50, 8 on average.
fn number_of_spokes(most: usize, dice: &mut Dice) -> usize {
    let range = match dice.below(100) {
        0..40 => (1, 4),
        40..75 => (4, 9),
        75..92 => (9, 16),
        _ => (16, 50),
    };
    small(dice.between(range.0, range.1)).clamp(1, most.max(1))
}

fn settings(crypto: Crypto, spokes: usize, dice: &mut Dice) -> Settings {
    let detection = |dice: &mut Dice| DeadPeerDetection {
        interval: seconds(*dice.pick(&[10, 20, 30, 60]).unwrap_or(&10)),
        retry: seconds(dice.between(2, 5)),
        attempts: u32::try_from(dice.between(3, 5)).unwrap_or(3),
    };
    let kilobytes = dice.chance(200).then(|| u32::try_from(dice.between(20, 200)).unwrap_or(20));
    Settings {
        crypto,
        driver: match dice.below(10) {
            0..6 => Driver::Strict,
            6..8 => Driver::Nervous,
            _ => Driver::Late(millis(dice.between(1, 400))),
        },
        multipoint: dice.chance(350),
        mode: if dice.chance(300) { Mode::Tunnel } else { Mode::Transport },
        hub_detection: detection(dice),
        spoke_detection: detection(dice),
        phase1_lifetime: u32::try_from(dice.between(120, 1200)).unwrap_or(600),
        child_lifetime: ChildLifetime {
            seconds: u32::try_from(dice.between(120, 600)).unwrap_or(600),
            kilobytes,
        },
        pfs: dice.chance(200),
        holding_time: u16::try_from(dice.between(60, 600)).unwrap_or(600),
        nat_keepalive: seconds(*dice.pick(&[10, 20]).unwrap_or(&20)),
        unique: dice.chance(800),
        fragmentation: dice.chance(300),
        force_encapsulation: spokes <= 500 && dice.chance(100),
    }
}

fn clock(dice: &mut Dice) -> Clock {
    let drift = match dice.below(4) {
        0 => 0,
        // As quartz does, and much worse.
        1 | 2 => i32::try_from(dice.below(400)).unwrap_or(0) - 200,
        _ => i32::try_from(dice.below(60_000)).unwrap_or(0) - 30_000,
    };
    Clock { start: Instant::from_secs(dice.below(10_000_000)), drift }
}

fn bad_weather(dice: &mut Dice) -> Weather {
    let maybe = |dice: &mut Dice, most: u64| {
        if dice.chance(400) { u16::try_from(dice.below(most)).unwrap_or(0) } else { 0 }
    };
    Weather {
        loss: maybe(dice, 500),
        duplication: maybe(dice, 300),
        reordering: maybe(dice, 300),
        echo: maybe(dice, 100),
        damage: maybe(dice, 150),
        truncation: maybe(dice, 100),
        latency: millis(dice.below(400)),
        jitter: millis(dice.below(400)),
        ..Weather::default()
    }
}
