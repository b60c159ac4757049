//! Routers on an underlay in virtual time, event by event.

mod inner;
mod wire;

use alloc::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};
use core::cmp::Reverse;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;

use bytes::Bytes;
use dmvpn_core::{Transmit, Underlay};

use crate::broken::{Broken, Invariant};
use crate::clock::Clock;
use crate::dice::Dice;
use crate::operation::Operation;
use crate::router::{Command, Notice, Router, Sizes};
use crate::scenario::{Driver, Scenario};
use crate::underlay::{Nat, Weather};

pub use inner::{Inner, MARKER};

/// Where who is nobody's site sends from.
const STRANGER: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 66));

/// So often a router's tables are compared after what it did; else after operations and probes.
const SAMPLE: u64 = 256;

/// Who makes routers: one for each site, and a new one after each restart.
pub trait Factory {
    /// The router of a site, at an NBMA address of its own, whose clock shows `now`. Everything
    /// that it draws follows from `seed`.
    fn build(
        &self,
        scenario: &Scenario,
        site: usize,
        address: IpAddr,
        seed: u64,
        now: dmvpn_core::Instant,
    ) -> Box<dyn Router>;
}

/// What is to happen at a moment.
#[derive(Debug)]
enum Event {
    Deliver {
        underlay: Underlay,
        packet: Bytes,
        /// Whose packet it is unaltered, and which.
        of: Option<(usize, u64)>,
    },
    Wake(usize),
    Join(usize),
    Operation(usize),
    /// The end of a weather, if no newer one came.
    Clear {
        site: usize,
        weather: u64,
    },
    Reunite(usize),
    Resume(usize),
    NoShutdown(usize),
    /// One more packet of a burst.
    Send {
        from: usize,
        to: usize,
        octets: u16,
        left: u16,
    },
}

/// A site with its router.
struct Place {
    router: Option<Box<dyn Router>>,
    /// Its NBMA address now.
    address: IpAddr,
    clock: Clock,
    weather: Weather,
    weather_number: u64,
    /// When it is to be woken up, as the queue knows it.
    wake: Option<Duration>,
    suspended: bool,
    /// Until when an operator keeps it shut down.
    shut_down: Duration,
    gone: bool,
    restarts: u64,
    dice: Dice,
    /// Where the world sees it, or saw it.
    outside: BTreeSet<IpAddr>,
    /// The hubs that may look for it at the stranger's from now on: what it had sent from behind a
    /// NAT came from there first, and is news of its place (RFC 3947 §7).
    led_away: BTreeSet<usize>,
    /// What it sent last.
    sent: VecDeque<Sent>,
    /// How many packets it sent.
    sent_number: u64,
    /// Packets of its own in these ten seconds.
    recent: (u64, u32),
    largest: Sizes,
    delivered: BTreeSet<u64>,
}

/// A packet of a site, as it left for the underlay.
#[derive(Clone, Debug)]
struct Sent {
    number: u64,
    underlay: Underlay,
    packet: Bytes,
    /// Whether a router got it. Damaged it did not, even if what was damaged is what nothing
    /// authenticates.
    arrived: bool,
}

/// What a run counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Things that happened.
    pub events: u64,
    /// Packets that entered the underlay.
    pub packets: u64,
    /// Inner packets that came out of tunnels.
    pub delivered: u64,
    /// The largest tables.
    pub largest: Sizes,
    /// The most packets of its own that a router sent within ten seconds.
    pub busiest: u32,
}

/// A cloud.
#[expect(missing_debug_implementations, reason = "routers are anybody's")]
pub struct Cloud<'a> {
    scenario: &'a Scenario,
    factory: &'a dyn Factory,
    now: Duration,
    places: Vec<Place>,
    nats: Vec<Nat>,
    /// Who has an address on the underlay.
    owners: BTreeMap<IpAddr, Owner>,
    queue: BinaryHeap<Reverse<Scheduled>>,
    next_event: u64,
    partitions: BTreeMap<usize, (usize, Option<usize>, bool)>,
    weathers: u64,
    next_inner: u64,
    /// Inner packets that were sent: where to.
    inner: BTreeMap<u64, IpAddr>,
    broken: Option<Broken>,
    counts: Counts,
    /// How often a router was looked at after it had done something.
    settled: u64,
    scratch: Vec<u8>,
    debug: Option<Vec<String>>,
}

#[derive(Clone, Copy, Debug)]
enum Owner {
    Site(usize),
    Nat(usize),
}

#[derive(Debug)]
struct Scheduled {
    at: Duration,
    number: u64,
    event: Event,
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.number) == (other.at, other.number)
    }
}

impl Eq for Scheduled {}

impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Scheduled {
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

/// # Construction and time
impl<'a> Cloud<'a> {
    /// The scenario's cloud at its start.
    #[must_use]
    pub fn new(scenario: &'a Scenario, factory: &'a dyn Factory) -> Self {
        let mut cloud = Self {
            scenario,
            factory,
            now: Duration::ZERO,
            places: Vec::new(),
            nats: scenario.nats.iter().map(|settings| Nat::new(*settings)).collect(),
            owners: BTreeMap::new(),
            queue: BinaryHeap::new(),
            next_event: 0,
            partitions: BTreeMap::new(),
            weathers: 0,
            next_inner: 0,
            inner: BTreeMap::new(),
            broken: None,
            counts: Counts::default(),
            settled: 0,
            scratch: Vec::new(),
            debug: None,
        };
        for (number, nat) in scenario.nats.iter().enumerate() {
            cloud.owners.insert(nat.outside, Owner::Nat(number));
        }
        for (number, site) in scenario.sites.iter().enumerate() {
            cloud.places.push(Place {
                router: None,
                address: site.address,
                clock: site.clock,
                weather: site.weather,
                weather_number: 0,
                wake: None,
                suspended: false,
                shut_down: Duration::ZERO,
                gone: false,
                restarts: 0,
                dice: Dice::of(scenario.seed, 1_000_000 + number as u64),
                outside: BTreeSet::new(),
                led_away: BTreeSet::new(),
                sent: VecDeque::new(),
                sent_number: 0,
                recent: (0, 0),
                largest: Sizes::default(),
                delivered: BTreeSet::new(),
            });
            cloud.appear(number);
            if !scenario.absent.contains(&number) {
                cloud.schedule(site.joins, Event::Join(number));
            }
        }
        for (number, (at, operation)) in scenario.operations.iter().enumerate() {
            if operation.sites().iter().all(|site| !scenario.absent.contains(site)) {
                cloud.schedule(*at, Event::Operation(number));
            }
        }
        cloud
    }

    /// Keeps the routers' debug output from now on.
    pub fn trace(&mut self) {
        self.debug = Some(Vec::new());
    }

    /// The debug output that was kept.
    pub fn take_debug(&mut self) -> Vec<String> {
        self.debug.as_mut().map(core::mem::take).unwrap_or_default()
    }

    /// How long after its start the cloud is.
    #[must_use]
    pub const fn now(&self) -> Duration {
        self.now
    }

    /// What was counted.
    #[must_use]
    pub const fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Whether a site takes part: its router is there, and will not go.
    #[must_use]
    pub fn is_live(&self, site: usize) -> bool {
        self.places.get(site).is_some_and(|place| place.router.is_some() && !place.gone)
    }

    /// A site's router, unless it stands still.
    #[must_use]
    pub fn router(&self, site: usize) -> Option<&dyn Router> {
        let place = self.places.get(site).filter(|place| !place.suspended)?;
        place.router.as_deref()
    }

    /// Has all routers do what is due, also those whose driver is late.
    ///
    /// # Errors
    /// An invariant that breaks thereby.
    pub fn catch_up(&mut self) -> Result<(), Broken> {
        for site in 0..self.places.len() {
            if let Some((router, now)) = self.awake(site) {
                router.handle_timeout(now);
                self.settle(site);
            }
        }
        self.broken.take().map_or(Ok(()), Err)
    }

    /// Has a router see whether its own tables agree.
    ///
    /// # Errors
    /// [`Invariant::Contradiction`].
    pub fn check_site(&mut self, site: usize) -> Result<(), Broken> {
        self.compare(site);
        self.broken.take().map_or(Ok(()), Err)
    }

    /// Lets everything happen that happens until `end`.
    ///
    /// # Errors
    /// The first invariant that breaks.
    pub fn run_until(&mut self, end: Duration) -> Result<(), Broken> {
        while let Some(Reverse(next)) = self.queue.peek() {
            if next.at > end {
                break;
            }
            let Some(Reverse(Scheduled { at, event, .. })) = self.queue.pop() else { break };
            self.now = self.now.max(at);
            self.counts.events += 1;
            self.happen(event);
            if let Some(broken) = self.broken.take() {
                return Err(broken);
            }
        }
        self.now = self.now.max(end);
        Ok(())
    }

    fn schedule(&mut self, at: Duration, event: Event) {
        let number = self.next_event;
        self.next_event += 1;
        self.queue.push(Reverse(Scheduled { at, number, event }));
    }

    fn breaks(&mut self, what: Invariant) {
        if self.broken.is_none() {
            self.broken = Some(Broken { at: self.now, what });
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Deliver { underlay, packet, of } => self.deliver(underlay, &packet, of),
            Event::Wake(site) => self.wake(site),
            Event::Join(site) => self.build(site),
            Event::Operation(number) => {
                self.operate(number);
                let operation = self.scenario.operations.get(number);
                for site in operation.map(|(_, what)| what.sites()).unwrap_or_default() {
                    self.compare(site);
                }
            }
            Event::Clear { site, weather } => {
                let calm = self.scenario.sites.get(site).map(|site| site.weather);
                if let Some(place) = self.places.get_mut(site)
                    && place.weather_number == weather
                    && let Some(calm) = calm
                {
                    place.weather = calm;
                }
            }
            Event::Reunite(number) => {
                self.partitions.remove(&number);
            }
            Event::Resume(site) => {
                if let Some(place) = self.places.get_mut(site) {
                    place.suspended = false;
                    place.wake = None;
                    if place.router.is_none() {
                        self.build(site);
                    }
                }
                self.no_shutdown(site);
                self.settle(site);
            }
            Event::NoShutdown(site) => self.no_shutdown(site),
            Event::Send { from, to, octets, left } => {
                self.send(from, to, usize::from(octets));
                if let Some(left) = left.checked_sub(1) {
                    let next = self.now + Duration::from_millis(1);
                    self.schedule(next, Event::Send { from, to, octets, left });
                }
            }
        }
    }
}

/// # Routers
impl Cloud<'_> {
    /// Puts a site's address on the underlay.
    fn appear(&mut self, site: usize) {
        let Some(plan) = self.scenario.sites.get(site) else { return };
        let Some(place) = self.places.get_mut(site) else { return };
        let nat = plan.nat.and_then(|nat| Some((nat, self.nats.get_mut(nat)?)));
        if let Some((_, nat)) = nat {
            nat.stand_before(site);
            place.outside.insert(nat.settings().outside);
        } else {
            place.outside.insert(place.address);
            self.owners.insert(place.address, Owner::Site(site));
        }
    }

    /// A new router for a site.
    fn build(&mut self, site: usize) {
        let Some(place) = self.places.get_mut(site) else { return };
        if place.gone {
            return;
        }
        let seed = Dice::of(self.scenario.seed ^ place.restarts, 2_000_000 + site as u64).next();
        let now = place.clock.local(self.now);
        place.wake = None;
        place.router = Some(self.factory.build(self.scenario, site, place.address, seed, now));
        if place.shut_down > self.now {
            self.command(site, Command::Shutdown);
        }
        self.settle(site);
    }

    fn awake(&mut self, site: usize) -> Option<(&mut dyn Router, dmvpn_core::Instant)> {
        let now = self.now;
        let place = self.places.get_mut(site)?;
        if place.suspended || place.gone {
            return None;
        }
        let now = place.clock.local(now);
        match &mut place.router {
            Some(router) => Some((router.as_mut(), now)),
            None => None,
        }
    }

    fn command(&mut self, site: usize, command: Command) {
        if let Some((router, now)) = self.awake(site) {
            router.command(now, command);
            self.settle(site);
        }
    }

    /// What an operator shut down comes up, if it is time and the router is awake; else when it is.
    fn no_shutdown(&mut self, site: usize) {
        let now = self.now;
        if self.places.get(site).is_some_and(|place| place.shut_down <= now) {
            self.command(site, Command::NoShutdown);
        }
    }

    fn wake(&mut self, site: usize) {
        let now = self.now;
        let Some(place) = self.places.get_mut(site) else { return };
        if place.wake != Some(now) {
            return;
        }
        place.wake = None;
        let Some((router, local)) = self.awake(site) else { return };
        for _ in 0..16 {
            router.handle_timeout(local);
            if router.poll_timeout().is_none_or(|next| next > local) {
                self.settle(site);
                return;
            }
        }
        self.breaks(Invariant::Spins { site });
    }

    /// Takes what a router caused, looks at its tables, and sees when to wake it up.
    fn settle(&mut self, site: usize) {
        while let Some(transmit) = self.awake(site).and_then(|(router, _)| router.poll_transmit()) {
            self.count_own(site);
            self.enter(site, transmit);
        }
        while let Some(notice) = self.awake(site).and_then(|(router, _)| router.poll_notice()) {
            if let Notice::Bound { address, nbma } = notice {
                self.check_binding(site, address, nbma);
            }
        }
        if let Some(mut debug) = self.debug.take() {
            let at = self.now.as_secs_f64();
            while let Some(line) = self.awake(site).and_then(|(router, _)| router.poll_debug()) {
                debug.push(format!("{at:>11.6} site {site}: {line}"));
            }
            self.debug = Some(debug);
        }
        let Some((router, _)) = self.awake(site) else { return };
        let (sizes, next) = (router.sizes(), router.poll_timeout());
        self.check_sizes(site, sizes);
        self.set_alarm(site, next);
        self.settled += 1;
        if self.settled.is_multiple_of(SAMPLE) {
            self.compare(site);
        }
    }

    /// Unless something is due: until a late driver calls, one table may still have it.
    fn compare(&mut self, site: usize) {
        let now = self.now;
        let Some(local) = self.places.get(site).map(|place| place.clock.local(now)) else { return };
        let Some(router) = self.router(site) else { return };
        if router.poll_timeout().is_none_or(|due| due > local)
            && let Err(contradiction) = router.check()
        {
            self.breaks(Invariant::Contradiction { site, contradiction });
        }
    }

    fn set_alarm(&mut self, site: usize, next: Option<dmvpn_core::Instant>) {
        let now = self.now;
        let driver = self.scenario.settings.driver;
        let Some(place) = self.places.get_mut(site) else { return };
        let Some(next) = next else { return };
        let mut at = place.clock.elapsed(next).max(now);
        if let Driver::Late(most) = driver {
            at += Duration::from_micros(
                place.dice.below(u64::try_from(most.as_micros()).unwrap_or(0)),
            );
        }
        // Too early an alarm only asks again.
        if place.wake.is_none_or(|wake| wake > at) {
            place.wake = Some(at);
            self.schedule(at, Event::Wake(site));
        }
    }

    fn count_own(&mut self, site: usize) {
        // What a router may send of its own: so much for each other end.
        const PER_PEER: u32 = 200;
        let others = u32::try_from(self.places.len()).unwrap_or(u32::MAX);
        let period = self.now.as_secs() / 10;
        let Some(place) = self.places.get_mut(site) else { return };
        if place.recent.0 != period {
            place.recent = (period, 0);
        }
        place.recent.1 += 1;
        let packets = place.recent.1;
        self.counts.busiest = self.counts.busiest.max(packets);
        let most = if site < self.scenario.hubs { others } else { 3 } * PER_PEER;
        if packets > most {
            self.breaks(Invariant::Flood { site, packets });
        }
    }

    fn check_binding(&mut self, site: usize, address: IpAddr, nbma: IpAddr) {
        let spoke = self.scenario.spoke_of(address);
        let known = spoke.and_then(|spoke| self.places.get(spoke));
        let may_be = |place: &Place| {
            place.outside.contains(&nbma) || (place.led_away.contains(&site) && nbma == STRANGER)
        };
        // A server that is configured is no spoke.
        if site < self.scenario.hubs && known.is_some_and(|place| !may_be(place)) {
            self.breaks(Invariant::ForeignBinding { site, address, nbma });
        }
    }

    fn check_sizes(&mut self, site: usize, sizes: Sizes) {
        let others = self.places.len();
        let Some(place) = self.places.get_mut(site) else { return };
        place.largest = place.largest.max(sizes);
        self.counts.largest = self.counts.largest.max(sizes);
        let hub = site < self.scenario.hubs;
        let ends = if hub { others } else { self.scenario.hubs };
        // Every restart may leave an end behind until it is found dead.
        let most = ends * 4 + self.scenario.operations.len();
        let beyond = sizes.peers > most
            || sizes.sessions > most + 64
            || sizes.inbound > most * 8
            || sizes.dropped > 0;
        if beyond {
            self.breaks(Invariant::TooLarge { site, sizes });
        }
    }
}

/// # What happens
impl Cloud<'_> {
    fn operate(&mut self, number: usize) {
        let Some((_, operation)) = self.scenario.operations.get(number) else { return };
        let end = self.now + operation.lasts();
        if let Some(debug) = &mut self.debug {
            debug.push(format!("{:>11.6} {operation}", self.now.as_secs_f64()));
        }
        match operation.clone() {
            Operation::Weather { site, weather, .. } => {
                let sites = site.map_or(0..self.places.len(), |site| site..site + 1);
                for site in sites {
                    self.weathers += 1;
                    let number = self.weathers;
                    let Some(place) = self.places.get_mut(site) else { continue };
                    place.weather = place.weather.then(weather);
                    place.weather_number = number;
                    self.schedule(end, Event::Clear { site, weather: number });
                }
            }
            Operation::Partition { one, other, one_way, .. } => {
                self.partitions.insert(number, (one, other, one_way));
                self.schedule(end, Event::Reunite(number));
            }
            Operation::Suspend { site, .. } => {
                if let Some(place) = self.places.get_mut(site)
                    && place.router.is_some()
                {
                    place.suspended = true;
                    self.schedule(end, Event::Resume(site));
                }
            }
            Operation::Restart { site, same_dice, .. } => {
                if let Some(place) = self.places.get_mut(site)
                    && place.router.take().is_some()
                {
                    place.restarts += u64::from(!same_dice);
                    self.schedule(end, Event::Resume(site));
                }
            }
            Operation::Leave { spoke } => {
                if let Some(place) = self.places.get_mut(spoke) {
                    place.gone = true;
                    place.router = None;
                }
            }
            Operation::Move { spoke, to } => self.move_spoke(spoke, to),
            Operation::Rebind { nat, to } => self.rebind(nat, to),
            Operation::Shutdown { site, .. } => {
                if let Some(place) = self.places.get_mut(site) {
                    place.shut_down = place.shut_down.max(end);
                }
                self.command(site, Command::Shutdown);
                self.schedule(end, Event::NoShutdown(site));
            }
            Operation::Operator { site, command } => self.command(site, command),
            Operation::Send { from, to, packets, octets } => {
                let left = packets.saturating_sub(1);
                self.happen(Event::Send { from, to, octets, left });
            }
            Operation::Multicast { hub } => {
                self.multicast(hub);
            }
            Operation::Replay { site, back, forged } => self.replay(site, back, forged),
            Operation::Noise { site, dice } => self.noise(site, dice),
        }
    }

    fn move_spoke(&mut self, spoke: usize, to: IpAddr) {
        let Some(place) = self.places.get_mut(spoke) else { return };
        // Before it came, or while it restarts, there is nothing to move.
        if place.router.take().is_none() || place.gone {
            return;
        }
        if let Some(Owner::Site(_)) = self.owners.get(&place.address) {
            self.owners.remove(&place.address);
        }
        place.address = to;
        place.suspended = false;
        place.restarts += 1;
        self.appear(spoke);
        self.build(spoke);
    }

    fn rebind(&mut self, number: usize, to: Option<IpAddr>) {
        let Some(nat) = self.nats.get_mut(number) else { return };
        let Some(to) = to else {
            nat.rebind();
            return;
        };
        self.owners.remove(&nat.settings().outside);
        nat.readdress(to);
        self.owners.insert(to, Owner::Nat(number));
        for (site, place) in self.scenario.sites.iter().zip(&mut self.places) {
            if site.nat == Some(number) {
                place.outside.insert(to);
            }
        }
    }

    /// A stranger on the path repeats what a site sent.
    fn replay(&mut self, site: usize, back: u64, forged: bool) {
        let Some(place) = self.places.get(site) else { return };
        let back = usize::try_from(back).unwrap_or(0);
        let index = place.sent.len().checked_sub(1 + back);
        let Some(sent) = index.and_then(|index| place.sent.get(index)) else { return };
        let Sent { number, mut underlay, packet, .. } = sent.clone();
        if forged {
            underlay.local = SocketAddr::new(STRANGER, underlay.local.port());
        }
        let of = Some((site, number));
        self.schedule(self.now, Event::Deliver { underlay, packet, of });
    }

    fn noise(&mut self, site: usize, dice: u64) {
        let mut dice = Dice::new(dice);
        let Some(place) = self.places.get(site) else { return };
        let transport = wire::any_transport(&mut dice);
        let to = SocketAddr::new(place.address, wire::port(transport));
        let from = SocketAddr::new(STRANGER, wire::port(transport));
        let underlay =
            Underlay { transport, local: from, remote: to, traffic_class: 0, dont_fragment: false };
        // Something like what it is used to, or anything.
        let mut packet = match place.sent.back() {
            Some(sent) if dice.chance(700) => sent.packet.to_vec(),
            _ => (0..dice.below(200)).map(|_| wire::octet(&mut dice)).collect(),
        };
        for _ in 0..dice.below(4) {
            let length = packet.len() as u64;
            let at = usize::try_from(dice.below(length)).unwrap_or(0);
            if let Some(octet) = packet.get_mut(at) {
                *octet = wire::octet(&mut dice);
            }
        }
        let packet = packet.into();
        self.schedule(self.now, Event::Deliver { underlay, packet, of: None });
    }

    /// A router's own packets, and those of its data plane, enter the underlay.
    fn enter(&mut self, site: usize, transmit: Transmit) {
        let Transmit { underlay, packet } = transmit;
        self.enter_underlay(site, underlay, &packet);
    }
}
