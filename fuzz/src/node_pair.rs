//! A hub and a spoke, whole nodes. What goes to the one under test goes through the script's hands;
//! the owner's calls come from the script, too. Law beside the contract: with tunnel protection no
//! GRE leaves in clear.

use core::fmt::Write;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::sync::Arc;

use chacha20::ChaCha20Rng;
use chacha20::rand_core::SeedableRng;
use dmvpn_core::esp::crypto::{NullProvider, Provider as EspProvider, RustCrypto};
use dmvpn_core::esp::{Counters, OpenError};
use dmvpn_core::isakmp::crypto::{Group, HashAlgorithm, Provider, null};
use dmvpn_core::isakmp::{
    self, DeadPeerDetection, Encryption, EspProposal, Mode, NatTraversal, Policy, PreSharedKey,
};
use dmvpn_core::nhrp::{self, NextHopServer, Prefix, StaticMap, wire};
use dmvpn_core::{
    Config, Discard, Event, Instant, IpsecProfile, NextHop, Node, Transmit, Transport,
    TunnelConfig, TunnelId, TunnelMode, Underlay,
};

use crate::contract::{Driven, Driver, Machine};
use crate::nhrp_pair::edit;
use crate::script::Script;

const SPOKE: IpAddr = IpAddr::V4(Ipv4Addr::new(172, 16, 1, 1));
const HUB: IpAddr = IpAddr::V4(Ipv4Addr::new(172, 16, 10, 1));
const SPOKE_TUNNEL: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 1, 1, 1));
const HUB_TUNNEL: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 1, 1, 254));
const TUNNEL: TunnelId = TunnelId(0);
const WIRE: usize = 24;
/// The ICV of HMAC-SHA-1-96 and the IV of 3DES, in octets.
const ICV: usize = 12;
const IV: usize = 8;

#[derive(Clone, Debug)]
pub(crate) enum Output {
    Transmit(Transmit),
    /// Only looked at as text.
    Event(#[allow(dead_code)] Event),
}

impl Machine for Node {
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
        let _ = write!(to, "{:?}{:?}", self.isakmp(), self.table_sizes());
        let _ = write!(to, "{:?}", self.interface_state(TUNNEL));
        if let Some(nhrp) = self.nhrp(TUNNEL) {
            nhrp.state(now, to);
        }
        for mut view in self.ipsec_sas() {
            // Time goes on, and what is refused is counted.
            for sa in view.inbound.iter_mut().chain(&mut view.outbound) {
                sa.life.seconds = 0;
            }
            let Counters { encaps, encrypt, decaps, decrypt, verify, .. } = view.counters;
            view.counters = Counters::default();
            let _ = write!(to, "{view:?}{:?}", [encaps, encrypt, decaps, decrypt, verify]);
        }
        // What else `show` prints says how long ago, and is total.
        let _ = (self.crypto_sockets().count(), self.sessions().count(), self.dmvpn().count());
        let _ = self.isakmp_sas().count();
    }
}

/// Who is under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tested {
    Spoke = 0,
    Hub = 1,
}

pub(crate) fn run(input: &[u8], tested: Tested) {
    let nervous = Pair::play(input, tested, Driver::Nervous);
    let strict = Pair::play(input, tested, Driver::Strict);
    assert_eq!(nervous, strict, "what a driver does changed what a node gave");
}

struct Pair {
    now: Instant,
    hosts: [Driven<Node>; 2],
    tested: usize,
    terms: Terms,
    wire: Vec<(Underlay, Vec<u8>)>,
    past: Vec<(Underlay, Vec<u8>)>,
}

/// What both ends agree on.
struct Terms {
    null: bool,
    protected: bool,
    encapsulated: bool,
    detection: bool,
    tunnel_mode: bool,
    short_lives: bool,
    traced: bool,
    multipoint_spoke: bool,
}

fn config(terms: &Terms) -> Arc<Config> {
    let provider = if terms.null { null::PROVIDER } else { Provider::rustcrypto() };
    let seconds = Duration::from_secs;
    let key = PreSharedKey::new(Ipv4Addr::UNSPECIFIED.into(), 0, b"cisco123");
    let detection = DeadPeerDetection { interval: seconds(10), retry: seconds(2), attempts: 3 };
    let isakmp = isakmp::Config::builder(provider, vec![key])
        .policies(vec![Policy {
            priority: 1,
            encryption: Encryption::TripleDes,
            hash: HashAlgorithm::SHA1,
            group: Group::MODP_768,
            lifetime: if terms.short_lives { 300 } else { 86_400 },
        }])
        .dead_peer_detection(terms.detection.then_some(detection))
        .nat_traversal(Some(NatTraversal {
            force_encapsulation: terms.encapsulated,
            keepalive: seconds(20),
        }))
        .trace_capacity(if terms.traced { 64 } else { 0 })
        .build()
        .expect("a configuration of ours");
    let esp: Arc<dyn EspProvider> =
        if terms.null { Arc::new(NullProvider) } else { Arc::new(RustCrypto) };
    let capacity = if terms.traced { 64 } else { 0 };
    Arc::new(Config::builder(Arc::new(isakmp), esp).trace_capacity(capacity).build())
}

fn tunnel(terms: &Terms, role: usize) -> TunnelConfig {
    let (address, nbma) = if role == 0 { (SPOKE_TUNNEL, SPOKE) } else { (HUB_TUNNEL, HUB) };
    let mut nhrp = nhrp::Config::builder("Tunnel0", address, 24, nbma)
        .authentication(Some(wire::AuthenticationString::new(b"NHRPAUTH")))
        .holding_time(if terms.short_lives { 90 } else { 7200 })
        .trace_capacity(if terms.traced { 64 } else { 0 });
    let mode = if role == 0 {
        nhrp = nhrp
            .servers(vec![NextHopServer::new(HUB_TUNNEL)])
            .static_maps(vec![StaticMap { target: Prefix::host(HUB_TUNNEL), nbma: HUB }]);
        if terms.multipoint_spoke {
            TunnelMode::Multipoint
        } else {
            TunnelMode::PointToPoint { destination: HUB }
        }
    } else {
        nhrp = nhrp.multicast_dynamic(true);
        TunnelMode::Multipoint
    };
    let nhrp = Arc::new(nhrp.build().expect("a configuration of ours"));
    let mut builder = TunnelConfig::builder(nbma, mode, nhrp).key(1).ip_mtu(1400).adjust_mss(1360);
    if terms.protected {
        let mut profile = IpsecProfile {
            proposals: vec![EspProposal::TRIPLE_DES_SHA1],
            mode: if terms.tunnel_mode { Mode::Tunnel } else { Mode::Transport },
            ..IpsecProfile::new("DMVPN")
        };
        if terms.short_lives {
            profile.lifetime.seconds = 120;
            profile.lifetime.kilobytes = Some(2560);
        }
        builder = builder.protection(profile);
    }
    builder.build().expect("a configuration of ours")
}

impl Pair {
    fn play(input: &[u8], tested: Tested, driver: Driver) -> Vec<u64> {
        let mut script = Script::new(input);
        let [first, second] = [script.u8(), script.u8()];
        let terms = Terms {
            null: first & 7 != 7,
            protected: first & 0x38 != 0x38,
            encapsulated: first & 0x40 != 0,
            detection: first & 0x80 != 0,
            tunnel_mode: second & 1 != 0,
            short_lives: second & 2 != 0,
            traced: second & 4 != 0,
            multipoint_spoke: second & 8 != 0,
        };
        let now = Instant::from_secs(1000);
        let tested = tested as usize;
        let hosts = [0, 1].map(|role| {
            let rng = Box::new(ChaCha20Rng::seed_from_u64(role as u64));
            let driver = if role == tested { driver } else { Driver::Strict };
            Driven::new(Node::new(config(&terms), rng, now), driver)
        });
        let mut pair = Self { now, hosts, tested, terms, wire: Vec::new(), past: Vec::new() };
        for role in [1, 0] {
            let config = tunnel(&pair.terms, role);
            let added = pair.hosts[role].machine.add_tunnel(now, TUNNEL, config);
            added.expect("the only tunnel");
        }
        pair.settle();
        while !script.is_empty() {
            pair.step(&mut script);
            pair.hosts[tested].early(pair.now);
        }
        pair.hosts[tested].given()
    }

    fn settle(&mut self) {
        for _ in 0..64 {
            let mut quiet = true;
            for index in 0..2 {
                for output in self.hosts[index].drain(self.now) {
                    quiet = false;
                    if let Output::Transmit(transmit) = output {
                        self.take(index, transmit.underlay, transmit.packet.to_vec());
                    }
                }
                while self.hosts[index].machine.poll_trace().is_some() {}
            }
            if quiet {
                return;
            }
        }
    }

    /// A packet leaves a node.
    fn take(&mut self, from: usize, underlay: Underlay, mut packet: Vec<u8>) {
        let clear = underlay.transport == Transport::Gre;
        assert!(!clear || !self.terms.protected, "GRE left in clear");
        let addresses = [SPOKE, HUB];
        assert_eq!(underlay.local.ip(), addresses[from]);
        if underlay.remote.ip() != addresses[1 - from] {
            return;
        }
        let seen = Underlay { local: underlay.remote, remote: underlay.local, ..underlay };
        if from == self.tested {
            let now = self.now;
            let _ = self.hosts[1 - from].machine.handle_packet(now, seen, &mut packet);
        } else if self.wire.len() < WIRE {
            self.wire.push((seen, packet));
        }
    }

    fn deliver(&mut self, underlay: Underlay, packet: &[u8]) {
        let now = self.now;
        let mut buffer = packet.to_vec();
        let authentic = |discard: &Discard| {
            // What was authentic has moved its association, and its peer, whatever it carried.
            let refused = matches!(
                discard,
                Discard::UnknownSpi { .. }
                    | Discard::TooShort { .. }
                    | Discard::NotUdpEncapsulated
                    | Discard::Isakmp(_)
                    | Discard::Unprotected { .. }
                    | Discard::Esp(
                        OpenError::Replayed { .. }
                            | OpenError::BehindWindow { .. }
                            | OpenError::TooShort { .. }
                            | OpenError::Alignment { .. }
                            | OpenError::IntegrityCheck { .. }
                    )
            );
            !refused && matches!(underlay.transport, Transport::Esp | Transport::NatT)
        };
        let inbound = self.hosts[self.tested].input_unless(
            now,
            packet.len(),
            |node| node.handle_packet(now, underlay, &mut buffer),
            authentic,
        );
        if let Some(Some(inbound)) = inbound {
            assert!(
                !self.terms.protected || underlay.transport != Transport::Gre,
                "clear text accepted"
            );
            let inner = buffer.get(inbound.packet).expect("inside the buffer");
            assert!(matches!(inner.first().map(|first| first >> 4), Some(4 | 6)));
        }
        if self.past.len() == WIRE {
            self.past.remove(0);
        }
        self.past.push((underlay, packet.to_vec()));
        self.settle();
    }

    fn step(&mut self, script: &mut Script<'_>) {
        let operation = script.u8() % 22;
        let at = script.index(self.wire.len());
        let some = !self.wire.is_empty();
        match operation {
            0 => {
                for _ in 0..8 {
                    if self.wire.is_empty() {
                        break;
                    }
                    let (underlay, packet) = self.wire.remove(0);
                    self.deliver(underlay, &packet);
                }
            }
            1 if some => {
                let (underlay, packet) = self.wire.remove(at);
                self.deliver(underlay, &packet);
            }
            2 if some => {
                self.wire.remove(at);
            }
            3 if some => {
                let (underlay, packet) = self.wire[at].clone();
                self.deliver(underlay, &packet);
            }
            4 | 5 if some => {
                let packet = &mut self.wire[at].1;
                let place = script.index(packet.len());
                let value = script.u8();
                if let Some(octet) = packet.get_mut(place) {
                    *octet = value;
                }
            }
            6 if some => {
                let packet = &mut self.wire[at].1;
                packet.truncate(script.index(packet.len() + 1));
            }
            7 if some => change_path(&mut self.wire[at].0, script),
            8 => {
                let underlay = self.underlay(script);
                self.deliver(underlay, script.octets());
            }
            9 if !self.past.is_empty() => {
                let (mut underlay, packet) = self.past[script.index(self.past.len())].clone();
                change_path(&mut underlay, script);
                self.deliver(underlay, &packet);
            }
            10..=12 => self.forge(script),
            13 => self.pass(Duration::from_millis(u64::from(script.u16()))),
            14 => self.pass(Duration::from_secs(u64::from(script.u8()))),
            15 => {
                self.now = self.now + Duration::from_secs(u64::from(script.u16() >> 4));
                for index in 0..2 {
                    self.fire(index);
                }
            }
            16 | 17 => self.send(self.tested, script),
            18 => self.send(1 - self.tested, script),
            _ => self.command(script),
        }
    }

    fn underlay(&self, script: &mut Script<'_>) -> Underlay {
        let (local, remote) = if self.tested == 0 { (SPOKE, HUB) } else { (HUB, SPOKE) };
        let choice = script.u8();
        let (transport, port) = [
            (Transport::Isakmp, 500),
            (Transport::NatT, 4500),
            (Transport::Esp, 0),
            (Transport::Gre, 0),
        ][usize::from(choice & 3)];
        let mut underlay = Underlay {
            transport,
            local: SocketAddr::new(local, port),
            remote: SocketAddr::new(remote, port),
            traffic_class: choice >> 2,
            dont_fragment: choice & 4 != 0,
        };
        change_path(&mut underlay, script);
        underlay
    }

    /// An ESP packet of an association that was seen, with GRE inside: the null provider takes any
    /// ICV.
    fn forge(&mut self, script: &mut Script<'_>) {
        let esp = |(underlay, packet): &&(Underlay, Vec<u8>)| {
            let esp = underlay.transport == Transport::Esp
                || underlay.transport == Transport::NatT && packet.get(..4) != Some(&[0; 4][..]);
            esp && packet.len() > 8 + IV + ICV
        };
        let clear = |(underlay, _): &&(Underlay, Vec<u8>)| underlay.transport == Transport::Gre;
        if !self.terms.protected {
            let Some((underlay, packet)) = self.past.iter().rev().find(clear).cloned() else {
                return;
            };
            let packet = inside(&packet, script);
            self.deliver(underlay, &packet);
            return;
        }
        let Some((underlay, packet)) = self.past.iter().rev().find(esp).cloned() else { return };
        let mut plain = inside(&packet[8 + IV..packet.len() - ICV], script);
        while (plain.len() + 2) % 8 != 0 {
            plain.push(0);
        }
        let padding = match script.u8() {
            octet @ 0x80.. => octet,
            _ => 0,
        };
        plain.extend([padding, if script.u8() & 0xf0 == 0xf0 { script.u8() } else { 47 }]);
        let mut forged = packet[..4].to_vec();
        let number = u32::from(script.u16());
        forged.extend(number.to_be_bytes());
        forged.extend([0; IV]);
        forged.extend(plain);
        forged.extend([0; ICV]);
        self.deliver(underlay, &forged);
    }

    fn send(&mut self, from: usize, script: &mut Script<'_>) {
        let addresses = [SPOKE_TUNNEL, HUB_TUNNEL];
        let choice = script.u8();
        let octets = script.octets();
        let mut inner = vec![0x45, choice, 0, 0, 0, 0, 0, 0, 64, 6, 0, 0];
        inner.extend([10, 1, 1, 1, 10, 1, 1, 254]);
        inner.extend(octets);
        if choice & 1 != 0 {
            inner[0] = script.u8();
        }
        let len = inner.len() as u16;
        inner[2..4].copy_from_slice(&len.to_be_bytes());
        let next_hop = match choice >> 6 {
            0 => NextHop::Protocol(Ipv4Addr::new(10, 1, 1, script.u8()).into()),
            1 => match self.hosts[from].machine.multicast_after(TUNNEL, None) {
                Some(peer) => NextHop::Peer(peer),
                None => return,
            },
            _ => NextHop::Protocol(addresses[1 - from]),
        };
        let start = if choice & 2 != 0 { script.index(90) } else { Node::MAX_HEADROOM };
        let mut buffer = vec![0; start + inner.len() + Node::MAX_TAILROOM];
        let range = start..start + inner.len();
        buffer[range.clone()].copy_from_slice(&inner);
        let now = self.now;
        let node = &mut self.hosts[from].machine;
        if let Ok(outbound) = node.send(now, TUNNEL, next_hop, &mut buffer, range) {
            let packet = buffer.get(outbound.packet).expect("inside the buffer").to_vec();
            self.take(from, outbound.underlay, packet);
        }
        self.settle();
    }

    fn command(&mut self, script: &mut Script<'_>) {
        let now = self.now;
        let choice = script.u8();
        let who = if choice & 0x80 == 0 { self.tested } else { 1 - self.tested };
        let quoted = self.past.last().map(|(seen, packet)| {
            let back = Underlay { local: seen.local, remote: seen.remote, ..*seen };
            (back, packet.get(..4).and_then(|spi| spi.try_into().ok()).map(u32::from_be_bytes))
        });
        let config = tunnel(&self.terms, who);
        self.hosts[who].command(|node| match choice & 7 {
            0 => node.shutdown(now, TUNNEL),
            1 | 2 => node.no_shutdown(now, TUNNEL),
            3 => {
                if let Some(view) = node.multicast_after(TUNNEL, None) {
                    node.clear_session(now, view);
                }
            }
            4 => {
                node.clear_nhrp(now, TUNNEL, None);
            }
            5 => {
                if let Some((underlay, spi)) = quoted {
                    let _ = node.handle_too_big(now, underlay, spi, script.u16());
                }
            }
            6 => {
                if let Some(peer) = node.multicast_after(TUNNEL, None) {
                    node.set_path_mtu(peer, script.u16());
                }
            }
            7 if choice & 0x60 == 0x40 => node.remove_tunnel(now, TUNNEL),
            7 if choice & 0x60 == 0x60 => {
                // Only where it is not.
                let there = node.interface_state(TUNNEL).is_some();
                assert_eq!(node.add_tunnel(now, TUNNEL, config).is_err(), there);
            }
            // The clock goes back: the latest seen counts.
            _ => node.handle_timeout(Instant::from_secs(1)),
        });
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
        panic!("a node wakes its owner without end");
    }

    fn fire(&mut self, index: usize) {
        for output in self.hosts[index].due(self.now) {
            if let Output::Transmit(transmit) = output {
                self.take(index, transmit.underlay, transmit.packet.to_vec());
            }
        }
        self.settle();
    }
}

/// GRE with key 1: an NHRP packet like the one that `before` carries, or octets of the script's.
fn inside(before: &[u8], script: &mut Script<'_>) -> Vec<u8> {
    let choice = script.u8();
    let mut gre = vec![0x20, 0, 0, 0, 0, 0, 0, 1];
    if choice & 3 == 0 {
        gre[2..4].copy_from_slice(&[0x08, 0x00]);
        gre.extend(script.octets());
    } else {
        gre[2..4].copy_from_slice(&[0x20, 0x01]);
        let nhrp = before.get(8..).and_then(|nhrp| {
            let size = nhrp.get(10..12)?;
            nhrp.get(..usize::from(u16::from_be_bytes([size[0], size[1]])))
        });
        match nhrp.and_then(|nhrp| edit(nhrp, script)) {
            Some(nhrp) => gre.extend(nhrp),
            None => gre.extend(script.octets()),
        }
    }
    if choice & 0xf0 == 0xf0 {
        gre[0] = script.u8();
        gre[7] = script.u8();
    }
    gre
}

fn change_path(underlay: &mut Underlay, script: &mut Script<'_>) {
    match script.u8() % 8 {
        0 => underlay.remote.set_port(1 + script.u16() / 2),
        1 => underlay.remote.set_ip(Ipv4Addr::new(203, 0, 113, script.u8()).into()),
        2 => {
            underlay.transport = Transport::NatT;
            underlay.local.set_port(4500);
            underlay.remote.set_port(4500);
        }
        3 => underlay.transport = Transport::Gre,
        _ => {}
    }
}
