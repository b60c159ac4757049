//! A cloud and what happens to it, all of it from one seed.

mod draw;

use alloc::collections::BTreeSet;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr};
use core::time::Duration;

use dmvpn_core::isakmp::{ChildLifetime, DeadPeerDetection, Mode};

use crate::clock::Clock;
use crate::operation::Operation;
use crate::underlay::{NatSettings, Weather};

/// A cloud and what happens to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// Where it comes from.
    pub seed: u64,
    /// How its routers are configured and driven.
    pub settings: Settings,
    /// How many of the sites are hubs; the others are spokes.
    pub hubs: usize,
    /// The sites, hubs first.
    pub sites: Vec<Site>,
    /// The translators that sites are behind.
    pub nats: Vec<NatSettings>,
    /// What happens, and how long after the start.
    pub operations: Vec<(Duration, Operation)>,
    /// Spokes that are not there: what a shorter replay can do without.
    pub absent: BTreeSet<usize>,
}

/// What a campaign asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wishes {
    /// The most spokes; small clouds are more frequent, so that a limit of 50 means 8 on average.
    pub spokes: usize,
    /// Exactly so many spokes, whatever the seed.
    pub exactly: bool,
    /// Which cryptography.
    pub crypto: Crypto,
}

impl Default for Wishes {
    fn default() -> Self {
        Self { spokes: 50, exactly: false, crypto: Crypto::Null }
    }
}

/// Which cryptography the routers have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crypto {
    /// [`null`](crate::null): fast, and without security.
    Null,
    /// 3DES or AES, SHA-1 and group 1.
    Real,
}

/// How routers treat `poll_timeout`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// They sleep exactly until it is due.
    Strict,
    /// They call `handle_timeout` after each packet, too.
    Nervous,
    /// They are up to so much too late.
    Late(Duration),
}

/// How a cloud's routers are configured and driven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Their cryptography.
    pub crypto: Crypto,
    /// Their driver.
    pub driver: Driver,
    /// Whether spokes have one multipoint tunnel with several servers, instead of one
    /// point-to-point tunnel for each hub.
    pub multipoint: bool,
    /// How GRE is protected.
    pub mode: Mode,
    /// Periodic dead peer detection of hubs.
    pub hub_detection: DeadPeerDetection,
    /// Periodic dead peer detection of spokes.
    pub spoke_detection: DeadPeerDetection,
    /// Lifetime of phase 1, in seconds.
    pub phase1_lifetime: u32,
    /// Lifetime of phase 2.
    pub child_lifetime: ChildLifetime,
    /// Whether quick modes compute Diffie-Hellman.
    pub pfs: bool,
    /// NHRP's holding time, in seconds.
    pub holding_time: u16,
    /// Silence after which a router behind a NAT keeps its mapping alive.
    pub nat_keepalive: Duration,
    /// Whether registrations are unique.
    pub unique: bool,
    /// Whether IKE messages are cut into pieces of 576 octets.
    pub fragmentation: bool,
    /// Whether ESP goes in UDP although no NAT is there.
    pub force_encapsulation: bool,
}

/// A site: one router behind one link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Site {
    /// Its router's NBMA address; inside, if there is a NAT.
    pub address: IpAddr,
    /// The translator that it is behind.
    pub nat: Option<usize>,
    /// Its link on a good day.
    pub weather: Weather,
    /// Its router's clock.
    pub clock: Clock,
    /// When it comes.
    pub joins: Duration,
}

impl Scenario {
    /// The scenario with some of its operations, by number, and without some of its spokes.
    #[must_use]
    pub fn only(&self, kept: &[usize], absent: BTreeSet<usize>) -> Self {
        let kept = kept.iter().filter_map(|number| self.operations.get(*number).cloned());
        Self { operations: kept.collect(), absent, ..self.clone() }
    }

    /// The numbers of the spokes that are there.
    pub fn spokes(&self) -> impl Iterator<Item = usize> + '_ {
        (self.hubs..self.sites.len()).filter(|spoke| !self.absent.contains(spoke))
    }

    /// The tunnel address of a site in the cloud of a hub: 10.`cloud`.0.0/16. Multipoint spokes
    /// have one cloud with all the hubs.
    #[must_use]
    pub fn tunnel_address(&self, site: usize, hub: usize) -> IpAddr {
        let number = |value: usize| u8::try_from(value).unwrap_or(u8::MAX);
        let cloud = number(self.cloud(hub));
        if let Some(spoke) = site.checked_sub(self.hubs) {
            let (high, low) = (spoke / 250, spoke % 250 + 1);
            return Ipv4Addr::new(10, cloud, number(high), number(low)).into();
        }
        Ipv4Addr::new(10, cloud, 255, number(site + 1)).into()
    }

    /// The number of the cloud that a hub serves.
    #[must_use]
    pub const fn cloud(&self, hub: usize) -> usize {
        if self.settings.multipoint { 0 } else { hub }
    }

    /// The spoke that has a tunnel address.
    #[must_use]
    pub fn spoke_of(&self, address: IpAddr) -> Option<usize> {
        let IpAddr::V4(address) = address else { return None };
        let [_, _, high, low] = address.octets();
        let spoke = usize::from(high) * 250 + usize::from(low).checked_sub(1)? + self.hubs;
        (spoke < self.sites.len()).then_some(spoke)
    }

    /// Where the world sees a hub.
    #[must_use]
    pub fn hub_address(&self, hub: usize) -> Option<IpAddr> {
        let site = self.sites.get(hub)?;
        match site.nat {
            Some(nat) => self.nats.get(nat).map(|nat| nat.outside),
            None => Some(site.address),
        }
    }

    /// When the last of what happens is over.
    #[must_use]
    pub fn last_fault(&self) -> Duration {
        let joins = self.sites.iter().map(|site| site.joins);
        let ends = self.operations.iter().map(|(at, operation)| *at + operation.lasts());
        joins.chain(ends).max().unwrap_or_default()
    }

    /// How long after the last fault all that are there must reach each other again.
    ///
    /// A side that lost its memory is noticed by dead peer detection, twice if its answer to the
    /// first question is lost in time; then comes a negotiation that nobody answers, its pause, one
    /// that succeeds, and a registration that waited as long as registrations wait. A spoke that
    /// moved, and is called by its address, has its old registration in its way until the hub
    /// knows that it is gone. Where packets are damaged, that may have kept two sides from dead peer
    /// detection: they agree on it by vendor IDs, in clear, which nothing authenticates (RFC 2409 §5).
    /// Then only the end of a lifetime tells one that the other has lost its memory.
    #[must_use]
    pub fn bound(&self) -> Duration {
        let detection = |detection: DeadPeerDetection| {
            detection.interval + detection.retry * detection.attempts
        };
        let settings = &self.settings;
        let noticed = detection(settings.hub_detection).max(detection(settings.spoke_detection));
        let unanswered = Duration::from_secs(46);
        let pause = Duration::from_secs(75);
        let registration = Duration::from_secs(64);
        let mut bound = noticed * 2 + unanswered * 2 + pause + registration;
        if self.operations.iter().any(|(_, operation)| matches!(operation, Operation::Move { .. }))
        {
            bound += Duration::from_secs(settings.holding_time.into());
        }
        let damages = |operation: &Operation| matches!(operation, Operation::Weather { weather, .. } if weather.damage > 0);
        if self.operations.iter().any(|(_, operation)| damages(operation)) {
            bound += Duration::from_secs(settings.child_lifetime.seconds.into());
        }
        // Clocks run up to so much slow.
        bound + bound / 20
    }

    /// How long after that nothing may be left of what was before.
    #[must_use]
    pub fn lifetimes(&self) -> Duration {
        let settings = &self.settings;
        let longest = settings.child_lifetime.seconds.max(settings.holding_time.into());
        Duration::from_secs(u64::from(longest) + u64::from(longest) / 20 + 120)
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let spokes = self.spokes().count();
        writeln!(f, "seed {}: {} hubs, {spokes} spokes", self.seed, self.hubs)?;
        writeln!(f, "  {:?}", self.settings)?;
        for (number, site) in self.sites.iter().enumerate() {
            if self.absent.contains(&number) {
                continue;
            }
            let kind = if number < self.hubs { "hub" } else { "spoke" };
            write!(f, "  {kind} {number} at {}", site.address)?;
            if let Some(nat) = site.nat.and_then(|nat| self.nats.get(nat)) {
                write!(f, " behind {:?} {} ({:?})", nat.kind, nat.outside, nat.timeout)?;
            }
            writeln!(f, ", joins at {:?}, drift {} ppm", site.joins, site.clock.drift)?;
        }
        for (number, (at, operation)) in self.operations.iter().enumerate() {
            writeln!(f, "  {number:3}  {:>9.3} s  {operation}", at.as_secs_f64())?;
        }
        write!(f, "  last fault over at {:.3} s", self.last_fault().as_secs_f64())
    }
}
