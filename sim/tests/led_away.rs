//! How far a stranger excuses a binding to its address. The routers are not real: the spoke sends a
//! packet each second, the hubs bind it to where each comes from.

extern crate alloc;

use alloc::collections::VecDeque;
use core::net::{IpAddr, SocketAddr};
use core::ops::Range;
use core::time::Duration;

use dmvpn_core::{Instant, Transmit, Transport, Underlay};
use dmvpn_sim::underlay::{NatKind, NatSettings, Weather};
use dmvpn_sim::{
    Clock, Cloud, Command, Driver, Factory, Notice, Operation, Router, Scenario, Site, Sizes,
    Tables, Wishes,
};

const HUBS: [&str; 2] = ["192.0.2.1", "192.0.2.2"];
const SPOKE: usize = 2;

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

struct Puppet {
    /// The spoke sends from here.
    from: Option<IpAddr>,
    /// The hubs bind this.
    address: IpAddr,
    due: Instant,
    to_send: VecDeque<Transmit>,
    notices: VecDeque<Notice>,
}

impl Router for Puppet {
    fn handle_packet(&mut self, _: Instant, from: Underlay, _: &mut [u8]) -> Option<Range<usize>> {
        let nbma = from.remote.ip();
        self.notices.push_back(Notice::Bound { address: self.address, nbma });
        None
    }

    fn handle_timeout(&mut self, now: Instant) {
        let Some(from) = self.from.filter(|_| now >= self.due) else { return };
        self.due = now + Duration::from_secs(1);
        for hub in HUBS {
            let underlay = Underlay {
                transport: Transport::NatT,
                local: SocketAddr::new(from, 4500),
                remote: SocketAddr::new(ip(hub), 4500),
                traffic_class: 0,
                dont_fragment: false,
            };
            self.to_send.push_back(Transmit { underlay, packet: vec![1, 2, 3].into() });
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.from.map(|_| self.due)
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        self.to_send.pop_front()
    }

    fn poll_notice(&mut self) -> Option<Notice> {
        self.notices.pop_front()
    }

    fn send(&mut self, _: Instant, _: IpAddr, _: &[u8]) -> Option<Transmit> {
        None
    }

    fn multicast(&mut self, _: Instant, _: &[u8]) -> Vec<Transmit> {
        Vec::new()
    }

    fn command(&mut self, _: Instant, _: Command) {}

    fn is_registered(&self) -> bool {
        true
    }

    fn sizes(&self) -> Sizes {
        Sizes::default()
    }

    fn tables(&self) -> Tables {
        Tables::default()
    }
}

struct Puppets;

impl Factory for Puppets {
    fn build(
        &self,
        plan: &Scenario,
        site: usize,
        own: IpAddr,
        _: u64,
        now: Instant,
    ) -> Box<dyn Router> {
        Box::new(Puppet {
            from: (site == SPOKE).then_some(own),
            address: plan.tunnel_address(SPOKE, 0),
            due: now,
            to_send: VecDeque::new(),
            notices: VecDeque::new(),
        })
    }
}

/// Two hubs and a spoke, which sends at 0, 1, 2, … seconds, to the second hub last.
fn cloud(translated: bool, operations: Vec<(u64, Operation)>) -> Scenario {
    let mut scenario =
        Scenario::from_seed(0, Wishes { spokes: 1, exactly: true, ..Wishes::default() });
    scenario.settings.driver = Driver::Strict;
    scenario.settings.force_encapsulation = false;
    scenario.hubs = HUBS.len();
    let site = |address, nat| Site {
        address: ip(address),
        nat,
        weather: Weather::default(),
        clock: Clock { start: Instant::from_secs(0), drift: 0 },
        joins: Duration::ZERO,
    };
    let inside = translated.then_some(0);
    scenario.sites = vec![site(HUBS[0], None), site(HUBS[1], None), site("192.168.0.1", inside)];
    scenario.nats = vec![NatSettings {
        kind: NatKind::OneToOne,
        outside: ip("198.51.100.1"),
        timeout: Duration::MAX,
        inbound_refreshes: true,
        preserves_ports: true,
        first_port: 1024,
    }];
    let at = |(at, operation)| (Duration::from_millis(at), operation);
    scenario.operations = operations.into_iter().map(at).collect();
    scenario
}

/// The second hub gets nothing of what the spoke sends for this long.
fn cut_off(lasts: u64) -> Operation {
    Operation::Partition {
        one: SPOKE,
        other: Some(1),
        one_way: false,
        lasts: Duration::from_millis(lasts),
    }
}

/// The last of the spoke's packets comes once more, from the stranger.
const STRANGER: Operation = Operation::Replay { site: SPOKE, back: 0, forged: true };

fn holds(scenario: &Scenario) -> bool {
    Cloud::new(scenario, &Puppets).run_until(Duration::from_secs(10)).is_ok()
}

#[test]
fn what_a_hub_had_heard_excuses_nothing() {
    assert!(holds(&cloud(true, vec![])));
    assert!(!holds(&cloud(true, vec![(2500, STRANGER)])));
    // Nor what it hears for the second time, the first time from the spoke.
    assert!(!holds(&cloud(true, vec![(1500, cut_off(3000)), (5500, STRANGER)])));
}

#[test]
fn what_nobody_had_heard_excuses_the_hub_where_the_spoke_is_translated() {
    let lost = vec![(1500, cut_off(1400)), (2950, STRANGER)];
    assert!(holds(&cloud(true, lost.clone())));
    assert!(!holds(&cloud(false, lost)));
}

/// Only the hub that was told so.
#[test]
fn another_hub_is_not_excused() {
    // The second is led away, then the first hears of what it had heard.
    let first = Operation::Replay { site: SPOKE, back: 1, forged: true };
    let both = vec![(1500, cut_off(1400)), (2950, STRANGER), (2960, first)];
    assert!(!holds(&cloud(true, both)));
}

/// A copy that reaches nobody leads nobody.
#[test]
fn what_nobody_got_from_the_stranger_excuses_nothing() {
    let asleep = Operation::Suspend { site: 1, lasts: Duration::from_millis(150) };
    let nobody = vec![(1500, cut_off(1200)), (2750, asleep), (2800, STRANGER), (3500, STRANGER)];
    assert!(!holds(&cloud(true, nobody)));
}
