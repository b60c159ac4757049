//! An NHRP client and a server, each over links that the script brings up. What goes to the one
//! under test goes through the script's hands.

use core::fmt::Write;
use core::net::{IpAddr, Ipv4Addr};
use core::time::Duration;
use std::sync::Arc;

use chacha20::ChaCha20Rng;
use chacha20::rand_core::SeedableRng;
use dmvpn_nhrp::wire::{
    AuthenticationString, Body, Cie, CieCode, Extension, ExtensionType, Flags, Message, Packet,
    RequestId, checksum,
};
use dmvpn_nhrp::{
    Config, Endpoint, Event, Identity, Limits, Link, LinkId, NextHopServer, Prefix,
    RegistrationPolicy, StaticMap, Transmit,
};
use dmvpn_time::Instant;

use crate::contract::{Driven, Driver, Machine};
use crate::script::Script;

const SPOKE: IpAddr = IpAddr::V4(Ipv4Addr::new(172, 16, 1, 1));
const HUB: IpAddr = IpAddr::V4(Ipv4Addr::new(172, 16, 10, 1));
const SPOKE_TUNNEL: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 1, 1, 1));
const HUB_TUNNEL: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 1, 1, 254));
const WIRE: usize = 24;
/// A server in clear answers whoever asks: with so many octets more than it was sent, and no more.
/// There is room for an extension and entries of its own, and for an error's header.
const MORE: usize = 128;
/// The cache of the server under test is never larger.
const ENTRIES: usize = 12;

#[derive(Clone, Debug)]
pub(crate) enum Output {
    Transmit(Transmit),
    /// Only looked at as text.
    Event(#[allow(dead_code)] Event),
}

impl Machine for Endpoint {
    type Output = Output;

    const KINDS: usize = 2;

    fn handle_timeout(&mut self, now: Instant) {
        Self::handle_timeout(self, now);
    }

    fn poll_timeout(&self) -> Option<Instant> {
        Self::poll_timeout(self)
    }

    fn poll(&mut self, kind: usize) -> Option<Output> {
        match kind {
            0 => self.poll_transmit().map(Output::Transmit),
            _ => self.poll_event().map(Output::Event),
        }
    }

    fn state(&self, now: Instant, to: &mut dyn Write) {
        for view in self.cache(now) {
            let _ = write!(to, "{view:?}");
        }
        for view in self.servers() {
            let _ = write!(to, "{view:?}");
        }
        let mut link = None;
        while let Some(next) = self.multicast_after(link) {
            let _ = write!(to, "{next:?}");
            link = Some(next);
        }
    }
}

/// Who is under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tested {
    Client = 0,
    Server = 1,
}

pub(crate) fn run(input: &[u8], tested: Tested) {
    let nervous = Pair::play(input, tested, Driver::Nervous);
    let strict = Pair::play(input, tested, Driver::Strict);
    assert_eq!(nervous, strict, "what a driver does changed what an endpoint gave");
}

struct Pair {
    now: Instant,
    hosts: [Driven<Endpoint>; 2],
    tested: usize,
    /// To the host under test: by which link, and what.
    wire: Vec<(Link, Vec<u8>)>,
    past: Vec<(Link, Vec<u8>)>,
    /// From where the packet came that the host under test is working on, and how many octets may go
    /// back there.
    asked: Option<(IpAddr, usize)>,
}

fn link(to: usize, number: u8) -> Link {
    let (local, nbma) = if to == 0 { (SPOKE, HUB) } else { (HUB, SPOKE) };
    // The first is the honest one's; others share its address, or its identity, or neither.
    let nbma = match number {
        0 | 1 => nbma,
        _ => Ipv4Addr::new(172, 16, 2, number).into(),
    };
    let identity = match number {
        0 | 2 => Some(Identity::new(b"spoke".to_vec())),
        3 => Some(Identity::new(b"granted".to_vec())),
        4 => None,
        _ => Some(Identity::new(vec![number])),
    };
    let udp_port = (number == 1).then_some(4500);
    Link { id: LinkId(u64::from(number)), nbma, local, udp_port, identity }
}

fn config(script: &mut Script<'_>, role: usize) -> Config {
    let choice = script.u8();
    let (address, nbma) = if role == 0 { (SPOKE_TUNNEL, SPOKE) } else { (HUB_TUNNEL, HUB) };
    let limits = Limits {
        entries: ENTRIES,
        entries_per_owner: 4,
        registrations_per_second: 5,
        errors_per_second: 3,
        ..Limits::default()
    };
    let mut policy =
        if choice & 1 == 0 { RegistrationPolicy::open() } else { RegistrationPolicy::closed() };
    policy = policy.grant(
        Identity::new(b"granted".to_vec()),
        Prefix::new(Ipv4Addr::new(10, 1, 1, 64).into(), 26),
    );
    if choice & 1 != 0 {
        policy = policy.grant(Identity::new(b"spoke".to_vec()), Prefix::host(SPOKE_TUNNEL));
    }
    let authentication = (choice & 2 == 0).then(|| AuthenticationString::new(b"NHRPAUTH"));
    let mut builder = Config::builder("Tunnel0", address, 24, nbma)
        .authentication(authentication)
        .policy(policy)
        .limits(limits)
        .multicast_dynamic(choice & 4 == 0)
        .unique(choice & 8 == 0)
        .links_required(choice & 16 == 0)
        .trace_capacity(if choice & 32 != 0 { 32 } else { 0 })
        .holding_time(if choice & 64 != 0 { 60 } else { 7200 });
    if role == 0 {
        let mut servers = vec![NextHopServer::new(HUB_TUNNEL)];
        if choice & 128 != 0 {
            let other = Ipv4Addr::new(10, 1, 1, 253).into();
            servers.push(NextHopServer {
                nbma: Some(Ipv4Addr::new(172, 16, 2, 3).into()),
                priority: 1,
                ..NextHopServer::new(other)
            });
            builder = builder.max_connections(0, 1);
        }
        builder = builder
            .servers(servers)
            .static_maps(vec![StaticMap { target: Prefix::host(HUB_TUNNEL), nbma: HUB }]);
    }
    builder.build().expect("a configuration of ours")
}

impl Pair {
    fn play(input: &[u8], tested: Tested, driver: Driver) -> Vec<u64> {
        let mut script = Script::new(input);
        let now = Instant::from_secs(1000);
        let tested = tested as usize;
        let host = |script: &mut Script<'_>, role: usize| {
            let config = Arc::new(config(script, role));
            let rng = Box::new(ChaCha20Rng::seed_from_u64(role as u64));
            let driver = if role == tested { driver } else { Driver::Strict };
            Driven::new(Endpoint::new(config, rng, now), driver)
        };
        let hosts = [host(&mut script, 0), host(&mut script, 1)];
        let mut pair = Self { now, hosts, tested, wire: Vec::new(), past: Vec::new(), asked: None };
        for index in [1, 0] {
            let endpoint = &mut pair.hosts[index].machine;
            endpoint.interface_up(now);
            endpoint.link_up(now, &link(index, 0));
            endpoint.register(now);
        }
        pair.settle();
        while !script.is_empty() {
            pair.step(&mut script);
            pair.hosts[tested].early(pair.now);
            pair.assert_bounds();
        }
        pair.hosts[tested].given()
    }

    fn assert_bounds(&self) {
        let endpoint = &self.hosts[self.tested].machine;
        // Static entries do not count.
        assert!(endpoint.cache(self.now).count() <= ENTRIES + 2, "more entries than allowed");
    }

    fn settle(&mut self) {
        for _ in 0..64 {
            let mut quiet = true;
            for index in 0..2 {
                for output in self.hosts[index].drain(self.now) {
                    quiet = false;
                    if let Output::Transmit(transmit) = output {
                        self.take(index, &transmit);
                    }
                }
            }
            if quiet {
                return;
            }
        }
    }

    fn take(&mut self, from: usize, transmit: &Transmit) {
        let to = 1 - from;
        if from == self.tested {
            // What we build parses, and never has the hop count that IOS refuses.
            let packet = Packet::parse(&transmit.packet).expect("what an endpoint sends");
            assert_ne!(packet.hop_count, 0);
            self.assert_no_amplification(transmit);
            let reached = if from == 0 { HUB } else { SPOKE };
            if transmit.to.nbma == reached {
                let now = self.now;
                let other = &mut self.hosts[to].machine;
                let _ = other.handle_packet(now, &link(to, 0), &transmit.packet);
            }
        } else if self.wire.len() < WIRE {
            self.wire.push((link(to, 0), transmit.packet.to_vec()));
        }
    }

    fn assert_no_amplification(&mut self, transmit: &Transmit) {
        let Some((nbma, left)) = &mut self.asked else { return };
        if self.tested == Tested::Server as usize && transmit.to.nbma == *nbma {
            let len = transmit.packet.len();
            assert!(len <= *left, "{len} octets back, where {left} were left");
            *left -= len;
        }
    }

    fn deliver(&mut self, link: &Link, packet: &[u8]) {
        let now = self.now;
        self.asked = Some((link.nbma, packet.len() + MORE));
        self.hosts[self.tested]
            .input(now, packet.len(), |endpoint| endpoint.handle_packet(now, link, packet));
        if self.past.len() == WIRE {
            self.past.remove(0);
        }
        self.past.push((link.clone(), packet.to_vec()));
        self.settle();
        self.asked = None;
    }

    fn step(&mut self, script: &mut Script<'_>) {
        let operation = script.u8() % 18;
        let at = script.index(self.wire.len());
        let some = !self.wire.is_empty();
        match operation {
            0 => {
                let link = link(self.tested, script.u8() % 6);
                self.deliver(&link, script.octets());
            }
            1 | 2 if some => {
                let (link, packet) = self.wire.remove(at);
                self.deliver(&link, &packet);
            }
            3 if some => {
                self.wire.remove(at);
            }
            4 if some => {
                let (link, packet) = self.wire[at].clone();
                self.deliver(&link, &packet);
            }
            5 if some => {
                let packet = &mut self.wire[at].1;
                let place = script.index(packet.len());
                packet[place] = script.u8();
                mend(packet);
            }
            6 if some => {
                let packet = &mut self.wire[at].1;
                packet.truncate(script.index(packet.len()).max(1));
            }
            7 | 8 if some => {
                if let Some(edited) = edit(&self.wire[at].1, script) {
                    self.wire[at].1 = edited;
                }
            }
            9 if some => self.wire[at].0 = link(self.tested, script.u8() % 6),
            10 if !self.past.is_empty() => {
                let (mut link, mut packet) = self.past[script.index(self.past.len())].clone();
                if script.flag() {
                    link = self::link(self.tested, script.u8() % 6);
                }
                if script.flag()
                    && let Some(edited) = edit(&packet, script)
                {
                    packet = edited;
                }
                self.deliver(&link, &packet);
            }
            11 => self.pass(Duration::from_millis(u64::from(script.u16()))),
            12 => self.pass(Duration::from_secs(u64::from(script.u16() >> 4))),
            13 => {
                self.now = self.now + Duration::from_secs(u64::from(script.u16()));
                for index in 0..2 {
                    self.fire(index);
                }
            }
            _ => self.command(script),
        }
    }

    fn command(&mut self, script: &mut Script<'_>) {
        let (now, tested) = (self.now, self.tested);
        let choice = script.u8();
        let number = script.u8() % 6;
        let address: IpAddr = Ipv4Addr::new(10, 1, 1, script.u8()).into();
        let host = &mut self.hosts[tested];
        match choice % 9 {
            0 => host.command(|endpoint| endpoint.interface_up(now)),
            1 => host.command(|endpoint| endpoint.interface_down(now)),
            2 => host.command(|endpoint| endpoint.register(now)),
            3 => host.command(|endpoint| endpoint.link_up(now, &link(tested, number))),
            4 => host.command(|endpoint| endpoint.link_down(now, LinkId(u64::from(number)))),
            5 => {
                let one = (number & 1 == 0).then_some(address);
                host.command(|endpoint| endpoint.clear(now, one));
            }
            6 => {
                if let Some(hop) = host.command(|endpoint| endpoint.lookup(now, address)) {
                    let mut cache = host.machine.cache(now);
                    assert!(cache.any(|entry| entry.nbma == Some(hop.nbma)));
                }
            }
            7 => {
                let config = Arc::new(config(script, tested));
                host.command(|endpoint| endpoint.set_config(now, config));
            }
            _ => {
                let other = &mut self.hosts[1 - tested].machine;
                if number & 1 == 0 {
                    other.interface_down(now);
                } else {
                    other.interface_up(now);
                    other.link_up(now, &link(1 - tested, 0));
                    other.register(now);
                }
            }
        }
        self.settle();
    }

    fn pass(&mut self, pause: Duration) {
        let end = self.now + pause;
        for _ in 0..4000 {
            let [tested, other] = [self.tested, 1 - self.tested];
            self.now =
                self.hosts[tested].wake(self.now, end).min(self.hosts[other].wake(self.now, end));
            for index in 0..2 {
                self.fire(index);
            }
            if self.now >= end {
                return;
            }
        }
        panic!("an endpoint wakes its owner without end");
    }

    fn fire(&mut self, index: usize) {
        for output in self.hosts[index].due(self.now) {
            if let Output::Transmit(transmit) = output {
                self.take(index, &transmit);
            }
        }
        self.settle();
    }
}

fn mend(packet: &mut [u8]) {
    if packet.len() >= 14 {
        packet[12..14].fill(0);
        let sum = checksum(packet);
        packet[12..14].copy_from_slice(&sum.to_be_bytes());
    }
}

/// The packet with another field, entry or extension.
pub(crate) fn edit(packet: &[u8], script: &mut Script<'_>) -> Option<Vec<u8>> {
    let mut packet = Packet::parse(packet).ok()?;
    let address = |script: &mut Script<'_>| -> IpAddr {
        let last = script.u8();
        if last & 0x80 != 0 { HUB_TUNNEL } else { Ipv4Addr::new(10, 1, 1, last).into() }
    };
    match script.u8() % 14 {
        0 => packet.hop_count = script.u8(),
        1 => packet.source_protocol = address(script).into(),
        2 => packet.destination_protocol = address(script).into(),
        3 => packet.source_nbma = IpAddr::from([172, 16, 2, script.u8()]).into(),
        4 => {
            let at = script.index(packet.extensions.len());
            if !packet.extensions.is_empty() {
                let extension = packet.extensions.remove(at);
                if script.flag() {
                    packet.extensions.insert(0, extension.clone());
                    packet.extensions.insert(0, extension);
                }
            }
        }
        5 => {
            let entry = Cie::bare(32, 1400, script.u16())
                .of(IpAddr::from([172, 16, 2, script.u8()]), address(script));
            let kinds = [
                ExtensionType::FORWARD_TRANSIT_NHS_RECORD,
                ExtensionType::REVERSE_TRANSIT_NHS_RECORD,
                ExtensionType::RESPONDER_ADDRESS,
                ExtensionType::NAT_ADDRESS,
            ];
            let kind = kinds[script.index(kinds.len())];
            packet.extensions.insert(0, Extension::clients(kind, vec![entry]));
        }
        6 => {
            let string = AuthenticationString::new(script.octets());
            packet.extensions.insert(0, Extension::authentication(string));
        }
        choice => {
            let kind = script.u8();
            let message = packet.body.message()?;
            let mut message: Message = message.clone();
            match choice {
                7 => message.flags = Flags(script.u16()),
                8 => message.request_id = RequestId(script.u32()),
                9 => message.entries.clear(),
                10 => {
                    let protocol = address(script);
                    let mut entry = Cie::bare(script.u8(), script.u16(), script.u16());
                    if script.flag() {
                        entry = entry.of(IpAddr::from([172, 16, 2, script.u8()]), protocol);
                    }
                    message.entries.push(entry);
                }
                11 => {
                    for entry in &mut message.entries {
                        entry.code = CieCode(kind);
                        entry.holding_time = script.u16();
                    }
                }
                _ => {}
            }
            packet.body = match kind % 8 {
                0 => Body::ResolutionRequest(message),
                1 => Body::ResolutionReply(message),
                2 => Body::RegistrationRequest(message),
                3 => Body::RegistrationReply(message),
                4 => Body::PurgeRequest(message),
                5 => Body::PurgeReply(message),
                _ => same_kind(&packet.body, message),
            };
        }
    }
    Some(packet.encode().ok()?.to_vec())
}

fn same_kind(body: &Body, message: Message) -> Body {
    match body {
        Body::ResolutionRequest(_) => Body::ResolutionRequest(message),
        Body::ResolutionReply(_) => Body::ResolutionReply(message),
        Body::RegistrationRequest(_) => Body::RegistrationRequest(message),
        Body::RegistrationReply(_) => Body::RegistrationReply(message),
        Body::PurgeRequest(_) => Body::PurgeRequest(message),
        _ => Body::PurgeReply(message),
    }
}
