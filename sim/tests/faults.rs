//! Each invariant can fail: routers that are not real and do everything right, or all but one thing.

extern crate alloc;

use alloc::collections::{BTreeSet, VecDeque};
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::ops::Range;
use core::time::Duration;

use dmvpn_core::{Instant, Transmit, Transport, Underlay};
use dmvpn_sim::underlay::Weather;
use dmvpn_sim::{
    BindingRow, Broken, Clock, Command, Driver, Factory, Invariant, Notice, Operation, PeerRow,
    Report, Router, Scenario, Site, Sizes, Tables, Wishes, run, shrink,
};

const HUB: usize = 0;
/// The first spoke, and of routers the one that is at fault.
const SPOKE: usize = 1;

/// What a router does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Nothing,
    /// It sends inner packets as they are.
    Unencrypted,
    /// It sends GRE.
    Gre,
    /// What is for it comes out as if for another.
    OtherOctets,
    /// It sends every packet twice.
    Twice,
    /// It sends what is for the hub to another spoke, and lets everything come out.
    OtherSpoke,
    /// It says that a queue was full.
    Dropped,
    /// It sends more than anybody may.
    Floods,
    /// Calling it is never enough.
    Spins,
    /// Its tables do not agree, between these seconds.
    Contradicts(u64, u64),
    /// It sends nothing at these seconds and later.
    Mute(u64),
    /// It sends no multicast.
    NoMulticast,
    /// It keeps a peer that it does not have.
    KeepsPeer,
    /// It sends in clear after both: `clear crypto session`, then `clear ip nhrp`.
    ClearAfterCommands,
}

/// Where a packet for an address goes, and who is there.
#[derive(Clone)]
struct Peer {
    address: IpAddr,
    nbma: IpAddr,
}

struct Puppet {
    own: IpAddr,
    fault: Fault,
    peers: Vec<Peer>,
    is_hub: bool,
    to_send: VecDeque<Transmit>,
    now: Instant,
    commands: Vec<Command>,
}

/// Nothing that is read by chance.
fn encrypted(packet: &[u8]) -> Vec<u8> {
    packet.iter().map(|octet| octet ^ 0xa5).collect()
}

impl Puppet {
    fn seconds(&self) -> u64 {
        self.now.saturating_duration_since(Instant::EPOCH).as_secs()
    }

    fn transmit(&self, remote: IpAddr, packet: &[u8]) -> Transmit {
        let commanded = [Command::ClearSessions, Command::ClearNhrp];
        let clear = self.fault == Fault::Unencrypted
            || self.fault == Fault::ClearAfterCommands && self.commands == commanded;
        let transport = if self.fault == Fault::Gre { Transport::Gre } else { Transport::Esp };
        let underlay = Underlay {
            transport,
            local: SocketAddr::new(self.own, 0),
            remote: SocketAddr::new(remote, 0),
            traffic_class: 0,
            dont_fragment: false,
        };
        let packet = if clear { packet.to_vec() } else { encrypted(packet) };
        Transmit { underlay, packet: packet.into() }
    }
}

impl Router for Puppet {
    fn handle_packet(
        &mut self,
        now: Instant,
        _: Underlay,
        data: &mut [u8],
    ) -> Option<Range<usize>> {
        self.now = now;
        for octet in data.iter_mut() {
            *octet ^= 0xa5;
        }
        if self.fault == Fault::OtherOctets {
            // The number of an inner packet.
            data[20..28].fill(0xff);
        }
        Some(0..data.len())
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.now = now;
    }

    fn poll_timeout(&self) -> Option<Instant> {
        (self.fault == Fault::Spins).then_some(self.now)
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        self.to_send.pop_front()
    }

    fn poll_notice(&mut self) -> Option<Notice> {
        None
    }

    fn send(&mut self, now: Instant, next_hop: IpAddr, packet: &[u8]) -> Option<Transmit> {
        self.now = now;
        if matches!(self.fault, Fault::Mute(from) if self.seconds() >= from) {
            return None;
        }
        let nbma = if self.fault == Fault::OtherSpoke {
            IpAddr::V4(Ipv4Addr::new(172, 16, 0, 2))
        } else {
            self.peers.iter().find(|peer| peer.address == next_hop)?.nbma
        };
        let transmit = self.transmit(nbma, packet);
        let more = if self.fault == Fault::Floods {
            1000
        } else {
            usize::from(self.fault == Fault::Twice)
        };
        self.to_send.extend(core::iter::repeat_n(transmit.clone(), more));
        Some(transmit)
    }

    fn multicast(&mut self, now: Instant, packet: &[u8]) -> Vec<Transmit> {
        self.now = now;
        if self.fault == Fault::NoMulticast {
            return Vec::new();
        }
        self.peers.iter().map(|peer| self.transmit(peer.nbma, packet)).collect()
    }

    fn command(&mut self, now: Instant, command: Command) {
        self.now = now;
        self.commands.push(command);
    }

    fn is_registered(&self) -> bool {
        true
    }

    fn sizes(&self) -> Sizes {
        let peers = self.peers.len();
        let dropped = u64::from(self.fault == Fault::Dropped);
        Sizes { peers, sessions: peers, inbound: peers, dropped }
    }

    fn tables(&self) -> Tables {
        let row = |(number, peer): (usize, &Peer)| PeerRow {
            number: number as u64,
            remote: SocketAddr::new(peer.nbma, 500),
            current: 1,
            pairs: 1,
            phase1: 1,
        };
        let mut peers: Vec<PeerRow> = self.peers.iter().enumerate().map(row).collect();
        if self.fault == Fault::KeepsPeer {
            peers.extend(peers.last().cloned());
        }
        let bindings = self.peers.iter().filter(|_| self.is_hub).map(|peer| BindingRow {
            address: peer.address,
            nbma: Some(peer.nbma),
            peer: None,
        });
        Tables { bindings: bindings.collect(), multicast: Vec::new(), phase1: peers.len(), peers }
    }

    fn check(&self) -> Result<(), String> {
        let now = self.seconds();
        if let Fault::Contradicts(from, to) = self.fault
            && (from..to).contains(&now)
        {
            return Err("no".to_owned());
        }
        Ok(())
    }
}

/// Puppets, one with a fault.
struct Puppets {
    at: usize,
    fault: Fault,
}

impl Factory for Puppets {
    fn build(
        &self,
        plan: &Scenario,
        site: usize,
        own: IpAddr,
        _: u64,
        now: Instant,
    ) -> Box<dyn Router> {
        let is_hub = site == HUB;
        let others: Vec<usize> = if is_hub { plan.spokes().collect() } else { vec![HUB] };
        let peer = |other: usize| Peer {
            address: plan.tunnel_address(other, HUB),
            nbma: plan.sites[other].address,
        };
        Box::new(Puppet {
            own,
            fault: if site == self.at { self.fault } else { Fault::Nothing },
            peers: others.into_iter().map(peer).collect(),
            is_hub,
            to_send: VecDeque::new(),
            now,
            commands: Vec::new(),
        })
    }
}

/// A hub and three spokes.
fn cloud(operations: Vec<(u64, Operation)>) -> Scenario {
    let mut scenario =
        Scenario::from_seed(0, Wishes { spokes: 3, exactly: true, ..Wishes::default() });
    scenario.settings.driver = Driver::Strict;
    scenario.hubs = 1;
    let site = |address| Site {
        address: IpAddr::V4(address),
        nat: None,
        weather: Weather::default(),
        clock: Clock { start: Instant::EPOCH, drift: 0 },
        joins: Duration::ZERO,
    };
    scenario.sites = vec![site(Ipv4Addr::new(192, 0, 2, 1))];
    scenario.sites.extend((1..4).map(|spoke| site(Ipv4Addr::new(172, 16, 0, spoke))));
    scenario.nats = Vec::new();
    scenario.operations =
        operations.into_iter().map(|(at, what)| (Duration::from_secs(at), what)).collect();
    scenario.absent = BTreeSet::new();
    scenario
}

fn outcome(at: usize, fault: Fault) -> Result<Report, Broken> {
    run(&cloud(Vec::new()), &Puppets { at, fault })
}

/// What the fault of a spoke breaks.
fn broken(fault: Fault) -> Invariant {
    outcome(SPOKE, fault).expect_err("it breaks something").what
}

#[test]
fn who_does_everything_right_breaks_nothing() {
    let report = outcome(SPOKE, Fault::Nothing).expect("nothing is at fault");
    assert_eq!(report.spokes, 3);
    assert!(report.counts.delivered > 6);
}

#[test]
fn clear_text_is_seen() {
    assert_eq!(broken(Fault::Unencrypted), Invariant::ClearText { site: SPOKE });
    assert_eq!(broken(Fault::Gre), Invariant::ClearText { site: SPOKE });
}

#[test]
fn what_comes_out_at_another_or_changed_is_seen() {
    let what = broken(Fault::OtherSpoke);
    assert!(matches!(what, Invariant::Misdelivered { site: 2, .. }), "{what}");
    assert_eq!(broken(Fault::OtherOctets), Invariant::Invented { site: SPOKE });
}

#[test]
fn what_comes_out_twice_is_seen() {
    let what = broken(Fault::Twice);
    assert!(matches!(what, Invariant::DeliveredTwice { site: HUB, .. }), "{what}");
}

#[test]
fn a_full_queue_is_seen() {
    let what = broken(Fault::Dropped);
    assert!(matches!(what, Invariant::TooLarge { site: SPOKE, .. }), "{what}");
}

#[test]
fn a_flood_is_seen() {
    let what = broken(Fault::Floods);
    assert!(matches!(what, Invariant::Flood { site: SPOKE, .. }), "{what}");
}

#[test]
fn who_never_sleeps_is_seen() {
    assert_eq!(broken(Fault::Spins), Invariant::Spins { site: SPOKE });
}

/// Also where they agree again before the scenario's end.
#[test]
fn tables_that_do_not_agree_for_a_while_are_seen() {
    let what = broken(Fault::Contradicts(30, 130));
    let contradiction = "no".to_owned();
    assert_eq!(what, Invariant::Contradiction { site: SPOKE, contradiction });
}

/// Right after an operation, with no packet and no probe in between.
#[test]
fn tables_are_compared_after_an_operation() {
    let at = |seconds| (seconds, Operation::Operator { site: SPOKE, command: Command::ClearNhrp });
    let scenario = cloud(vec![at(20), at(30)]);
    let factory = Puppets { at: SPOKE, fault: Fault::Contradicts(20, 21) };
    let broken = run(&scenario, &factory).expect_err("they do not agree");
    assert!(matches!(broken.what, Invariant::Contradiction { site: SPOKE, .. }), "{broken}");
    assert_eq!(broken.at, Duration::from_secs(20));
}

#[test]
fn who_is_never_heard_is_seen() {
    let what = broken(Fault::Mute(0));
    assert!(matches!(what, Invariant::NotConverged { from: SPOKE, to: HUB, .. }), "{what}");
}

#[test]
fn a_loss_in_peace_is_seen() {
    let bound = cloud(Vec::new()).bound().as_secs();
    let what = broken(Fault::Mute(bound + 60));
    assert_eq!(what, Invariant::LostInPeace { from: SPOKE, to: HUB });
}

#[test]
fn multicast_that_reaches_nobody_is_seen() {
    let broken = outcome(HUB, Fault::NoMulticast).expect_err("nobody gets it");
    assert_eq!(broken.what, Invariant::Multicast { hub: HUB, spoke: SPOKE, times: 0 });
}

#[test]
fn a_peer_too_many_at_rest_is_seen() {
    let untidy = Invariant::Untidy { site: SPOKE, what: "peers", have: 2, want: 1 };
    assert_eq!(broken(Fault::KeepsPeer), untidy);
}

/// Two of twelve operations, and one of three spokes, are all that it takes.
#[test]
fn what_broke_is_shrunk_to_what_breaks_it() {
    let operator = |site, command| Operation::Operator { site, command };
    let mut operations: Vec<(u64, Operation)> =
        (0..12).map(|at| (at, Operation::Multicast { hub: HUB })).collect();
    operations[3].1 = operator(SPOKE, Command::ClearSessions);
    operations[5].1 = operator(2, Command::ClearSessions);
    operations[7].1 = operator(SPOKE, Command::ClearNhrp);
    let scenario = cloud(operations);
    let factory = Puppets { at: SPOKE, fault: Fault::ClearAfterCommands };
    let broken = run(&scenario, &factory).expect_err("the spoke sends in clear");
    assert_eq!(broken.what, Invariant::ClearText { site: SPOKE });

    let replay = shrink(&scenario, &broken, &factory, 600);
    assert_eq!(replay.kept, [3, 7]);
    assert_eq!(replay.scenario.operations, [3, 7].map(|at| scenario.operations[at].clone()));
    assert_eq!(replay.scenario.spokes().collect::<Vec<_>>(), [SPOKE]);
    assert_eq!(replay.broken.what, broken.what);
    assert_eq!(run(&replay.scenario, &factory), Err(replay.broken));

    // Without a run it is as it was; with some it breaks the same.
    let none = shrink(&scenario, &broken, &factory, 0);
    assert_eq!((none.scenario, none.broken), (scenario.clone(), broken.clone()));
    for runs in 1..12 {
        let some = shrink(&scenario, &broken, &factory, runs);
        assert_eq!(run(&some.scenario, &factory), Err(some.broken));
    }
}
