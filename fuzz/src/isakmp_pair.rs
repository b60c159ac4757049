//! Two ISAKMP endpoints. What one sends reaches the other as it is; what comes back goes through
//! the script's hands, which deliver, lose, repeat, change, cut and forge.

use core::fmt::Write;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::sync::Arc;

use chacha20::ChaCha20Rng;
use chacha20::rand_core::SeedableRng;
use dmvpn_isakmp::crypto::{Group, HashAlgorithm, Provider, null};
use dmvpn_isakmp::wire::{
    Chain, Content, Cookie, ExchangeType, Flags, Header, Message, MessageId, Payload, PayloadType,
    Payloads,
};
use dmvpn_isakmp::{
    AggressiveAnswer, AggressiveMode, AggressivePeer, Config, DeadPeerDetection, Encryption,
    Endpoint, EspProposal, Event, Fragmentation, Identity, Jobs, NatTraversal, Path, Policy,
    PreSharedKey, Protection, ProtectionId, Rekeying, Remote, Transmit, Transport,
};
use dmvpn_time::Instant;

use crate::amplification::Strangers;
use crate::contract::{Driven, Driver, Machine};
use crate::script::Script;

const SPOKE: IpAddr = IpAddr::V4(Ipv4Addr::new(172, 16, 1, 1));
const HUB: IpAddr = IpAddr::V4(Ipv4Addr::new(172, 16, 10, 1));
const TUNNEL: ProtectionId = ProtectionId(0);
/// How many datagrams wait at most, and how many are remembered.
const WIRE: usize = 24;

#[derive(Clone, Debug)]
pub(crate) enum Output {
    Transmit(Transmit),
    Event(Event),
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

    fn state(&self, _: Instant, to: &mut dyn Write) {
        let _ = write!(to, "{self:?}");
        // The views say the same, and how long ago.
        let _ = (self.phase1().count(), self.phase2().count(), self.peers().count());
        let _ = write!(to, "{}", self.counters().sent);
    }
}

/// Who is under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tested {
    Initiator = 0,
    Responder = 1,
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
    /// To the host under test.
    wire: Vec<(Path, Vec<u8>)>,
    /// What was delivered.
    past: Vec<(Path, Vec<u8>)>,
    /// SPIs of SAs that were installed, by the host under test.
    spis: Vec<u32>,
    /// What goes where nobody has shown that it arrives.
    strangers: Strangers,
    peer: Option<dmvpn_isakmp::PeerId>,
}

fn config(script: &mut Script<'_>, provider: Provider, role: usize) -> Config {
    let [first, second] = [script.u8(), script.u8()];
    let key = b"cisco123";
    let mut keyring = vec![PreSharedKey::new(Ipv4Addr::UNSPECIFIED.into(), 0, key)];
    let fqdn = Identity::fqdn("spoke.example.net");
    if second & 1 != 0 {
        keyring
            .push(PreSharedKey::new(Ipv4Addr::UNSPECIFIED.into(), 0, key).bound_to(fqdn.clone()));
    }
    let mut policies = vec![Policy {
        priority: 1,
        encryption: Encryption::TripleDes,
        hash: HashAlgorithm::SHA1,
        group: Group::MODP_768,
        lifetime: if first & 1 != 0 { 300 } else { 86_400 },
    }];
    if second & 2 != 0 {
        policies.insert(0, Policy { encryption: Encryption::Aes128, priority: 0, ..policies[0] });
    }
    let mut aggressive = AggressiveMode::default();
    if second & 4 != 0 {
        aggressive.answer = AggressiveAnswer::Anybody;
        if role == 0 {
            aggressive.initiate = vec![AggressivePeer::new(HUB, Group::MODP_768)];
        }
    }
    let seconds = Duration::from_secs;
    let detection = DeadPeerDetection { interval: seconds(10), retry: seconds(2), attempts: 3 };
    let mut builder = Config::builder(provider, keyring)
        .policies(policies)
        .aggressive_mode(aggressive)
        .dead_peer_detection((first & 2 != 0).then_some(detection))
        .nat_traversal((first & 4 == 0).then_some(NatTraversal {
            force_encapsulation: first & 8 != 0,
            keepalive: seconds(20),
        }))
        .fragmentation((first & 16 != 0).then_some(Fragmentation { packet_size: 576 }))
        .jobs(if first & 32 != 0 { Jobs::OutOfLine } else { Jobs::Inline })
        .initial_contact(first & 64 != 0)
        .rekeying(Rekeying { margin: seconds(30), grace: seconds(10), ..Rekeying::default() })
        .trace_capacity(if first & 128 != 0 { 64 } else { 0 });
    if second & 8 != 0 && role == 0 {
        builder = builder.identity(fqdn);
    }
    builder.build().expect("a configuration of ours")
}

fn protection(script: &mut Script<'_>, local: IpAddr, remote: Remote) -> Protection {
    let choice = script.u8();
    let mut protection = Protection {
        proposals: vec![EspProposal::TRIPLE_DES_SHA1],
        ..Protection::gre(local, remote)
    };
    if choice & 1 != 0 {
        protection.pfs = Some(Group::MODP_768);
    }
    if choice & 2 != 0 {
        protection.lifetime.seconds = 120;
    }
    protection
}

impl Pair {
    fn play(input: &[u8], tested: Tested, driver: Driver) -> Vec<u64> {
        let mut script = Script::new(input);
        let provider = if script.u8() & 7 == 7 { Provider::rustcrypto() } else { null::PROVIDER };
        let now = Instant::from_secs(1000);
        let tested = tested as usize;
        let host = |script: &mut Script<'_>, role: usize| {
            let config = Arc::new(config(script, provider, role));
            let rng = Box::new(ChaCha20Rng::seed_from_u64(role as u64));
            let driver = if role == tested { driver } else { Driver::Strict };
            Driven::new(Endpoint::new(config, rng, now), driver)
        };
        let hosts = [host(&mut script, 0), host(&mut script, 1)];
        let mut pair = Self {
            now,
            hosts,
            tested,
            wire: Vec::new(),
            past: Vec::new(),
            spis: Vec::new(),
            strangers: Strangers::default(),
            peer: None,
        };
        if tested == Tested::Initiator as usize {
            pair.strangers.trust(HUB);
        }
        let terms = protection(&mut script, SPOKE, Remote::Host(HUB));
        pair.hosts[0].machine.protect(now, TUNNEL, terms);
        let terms = protection(&mut script, HUB, Remote::Any);
        pair.hosts[1].machine.protect(now, TUNNEL, terms);
        pair.peer = pair.hosts[0].machine.connect(now, TUNNEL, HUB).ok();
        pair.settle();
        while !script.is_empty() {
            pair.step(&mut script);
            pair.hosts[tested].early(pair.now);
        }
        pair.hosts[tested].given()
    }

    /// Polls both until neither has anything. What is for the host under test waits on the wire.
    fn settle(&mut self) {
        for _ in 0..64 {
            let mut quiet = true;
            for index in 0..2 {
                let outputs = self.hosts[index].drain(self.now);
                quiet &= outputs.is_empty();
                for output in outputs {
                    self.take(index, output);
                }
                while let Some(job) = self.hosts[index].machine.poll_job() {
                    quiet = false;
                    let _ = self.hosts[index].machine.handle_job(self.now, job.run());
                }
            }
            if quiet {
                return;
            }
        }
    }

    fn take(&mut self, from: usize, output: Output) {
        match output {
            Output::Transmit(Transmit { path, payload, .. }) => {
                let seen = Path { local: path.remote, remote: path.local, ..path };
                if from == self.tested {
                    self.strangers.sent(path.remote, &payload);
                    let other = &mut self.hosts[1 - from].machine;
                    let _ = other.handle_datagram(self.now, seen, &payload);
                } else if self.wire.len() < WIRE {
                    self.wire.push((seen, payload.to_vec()));
                }
            }
            Output::Event(event) if from == self.tested => match event {
                Event::InstallSa(sa) if self.spis.len() < 64 => self.spis.push(sa.spi),
                Event::Phase1Up { peer, .. } => self.peer = Some(peer),
                _ => {}
            },
            Output::Event(_) => {}
        }
    }

    fn deliver(&mut self, path: Path, datagram: &[u8]) {
        let (now, tested) = (self.now, self.tested);
        self.strangers.received(path.remote, datagram);
        self.hosts[tested]
            .input(now, datagram.len(), |endpoint| endpoint.handle_datagram(now, path, datagram));
        if self.past.len() == WIRE {
            self.past.remove(0);
        }
        self.past.push((path, datagram.to_vec()));
        self.settle();
    }

    fn step(&mut self, script: &mut Script<'_>) {
        let operation = script.u8() % 20;
        let chosen = if self.wire.is_empty() { None } else { Some(script.index(self.wire.len())) };
        match (operation, chosen) {
            (0, _) => {
                // All of it, as it is.
                for _ in 0..8 {
                    if self.wire.is_empty() {
                        break;
                    }
                    let (path, datagram) = self.wire.remove(0);
                    self.deliver(path, &datagram);
                }
            }
            (1, Some(at)) => {
                let (path, datagram) = self.wire.remove(at);
                self.deliver(path, &datagram);
            }
            (2, Some(at)) => {
                self.wire.remove(at);
            }
            (3, Some(at)) => {
                let copy = self.wire[at].clone();
                self.wire.push(copy);
                self.wire.truncate(WIRE);
            }
            (4, Some(at)) => {
                let datagram = &mut self.wire[at].1;
                let place = script.index(datagram.len());
                let value = script.u8();
                if let Some(octet) = datagram.get_mut(place) {
                    *octet = value;
                }
            }
            (5, Some(at)) => {
                let datagram = &mut self.wire[at].1;
                datagram.truncate(script.index(datagram.len() + 1));
            }
            (6, Some(at)) => {
                let datagram = &mut self.wire[at].1;
                let start = script.index(datagram.len() + 1);
                let end = start.saturating_add(usize::from(script.u8())).min(datagram.len());
                datagram.splice(start..end, script.octets().iter().copied());
                mend_length(datagram);
            }
            (7 | 8, Some(at)) => {
                if let Some(edited) = edit(&self.wire[at].1, script) {
                    self.wire[at].1 = edited;
                }
            }
            (9, Some(at)) => {
                let path = &mut self.wire[at].0;
                change_path(path, script);
            }
            (10, _) => {
                let path = self.path(script);
                self.deliver(path, script.octets());
            }
            (11 | 12, _) => {
                let path = self.path(script);
                if let Some(datagram) = self.forge(script) {
                    self.deliver(path, &datagram);
                }
            }
            (13, _) if !self.past.is_empty() => {
                let (path, datagram) = self.past[script.index(self.past.len())].clone();
                self.deliver(path, &datagram);
            }
            (14, _) => {
                let pause = Duration::from_millis(u64::from(script.u16()));
                self.pass(pause);
            }
            (15, _) => {
                let pause = Duration::from_secs(u64::from(script.u8()));
                self.pass(pause);
            }
            (16, _) => {
                // Late: everything that is due by then at once; and never back.
                self.now = self.now + Duration::from_secs(u64::from(script.u16()));
                for index in 0..2 {
                    self.fire(index, self.now);
                }
            }
            _ => self.command(script),
        }
    }

    fn path(&self, script: &mut Script<'_>) -> Path {
        let local = if self.tested == 0 { SPOKE } else { HUB };
        let remote = if self.tested == 0 { HUB } else { SPOKE };
        let mut path = match self.past.last() {
            Some((path, _)) => *path,
            None => Path {
                local: SocketAddr::new(local, 500),
                remote: SocketAddr::new(remote, 500),
                transport: Transport::Isakmp,
            },
        };
        change_path(&mut path, script);
        path
    }

    /// A message with the cookies of one that went before, in clear or as if encrypted, with a hash
    /// that the null provider takes for anybody's.
    fn forge(&self, script: &mut Script<'_>) -> Option<Vec<u8>> {
        let past = self.past.get(script.index(self.past.len()))?;
        let known = Header::parse(&past.1).ok()?;
        let kind = script.u8();
        let exchange = [
            ExchangeType::INFORMATIONAL,
            ExchangeType::QUICK_MODE,
            ExchangeType::MAIN_MODE,
            ExchangeType::AGGRESSIVE,
        ][usize::from(kind & 3)];
        let mut header = Header::new(known.initiator_cookie, known.responder_cookie, exchange);
        if kind & 4 != 0 {
            header.flags = Flags::ENCRYPTION;
        }
        if kind & 8 != 0 {
            header.responder_cookie = Cookie::ZERO;
        }
        header.message_id = match (kind >> 4) & 3 {
            0 => MessageId::ZERO,
            1 => known.message_id,
            _ => MessageId(script.u32() | 1),
        };
        let mut chain = Chain::new();
        if kind & 0x40 == 0 {
            chain.push(&Payload::Hash(vec![0; 20].into()));
        }
        for _ in 0..1 + script.u8() % 4 {
            push(&mut chain, script, &self.spis);
        }
        let padding = if kind & 4 != 0 { chain.padding(16) } else { 0 };
        chain.message(header, padding).ok()
    }

    /// Lets time pass, each host woken as its driver wants.
    fn pass(&mut self, pause: Duration) {
        let end = self.now + pause;
        for _ in 0..2000 {
            let tested = self.tested;
            let wake = self.hosts[tested]
                .wake(self.now, end)
                .min(self.hosts[1 - tested].wake(self.now, end));
            self.now = wake;
            for index in 0..2 {
                self.fire(index, wake);
            }
            if wake >= end {
                return;
            }
        }
        panic!("an endpoint wakes its owner without end");
    }

    fn fire(&mut self, index: usize, now: Instant) {
        for output in self.hosts[index].due(now) {
            self.take(index, output);
        }
        self.settle();
    }

    fn ask(&mut self, call: impl FnOnce(&mut Endpoint)) {
        self.hosts[self.tested].command(call);
    }

    fn command(&mut self, script: &mut Script<'_>) {
        let (now, tested) = (self.now, self.tested);
        let choice = script.u8();
        let spi = self.spis.get(script.index(self.spis.len())).copied().unwrap_or(1);
        let other = if tested == 0 { HUB } else { SPOKE };
        match (choice % 9, self.peer) {
            (0, _) => {
                self.strangers.trust(other);
                self.ask(|endpoint| {
                    let _ = endpoint.connect(now, TUNNEL, other);
                });
            }
            (1, Some(peer)) => self.ask(|endpoint| endpoint.close(now, peer)),
            (2, Some(peer)) => self.ask(|endpoint| endpoint.handle_soft_expire(now, peer, spi)),
            (3, Some(peer)) => self.ask(|endpoint| endpoint.handle_hard_expire(now, peer, spi)),
            (4, Some(peer)) => self.ask(|endpoint| endpoint.handle_traffic(now, peer)),
            (5, Some(peer)) => {
                self.strangers.trust(other);
                let remote = SocketAddr::new(other, 1024 + u16::from(script.u8()));
                self.ask(|endpoint| endpoint.handle_moved(now, peer, remote));
            }
            (6, Some(peer)) => self.ask(|endpoint| {
                endpoint.handle_invalid_spi(now, peer, spi);
            }),
            (7, _) => {
                if script.flag() {
                    self.ask(|endpoint| endpoint.unprotect(now, TUNNEL));
                } else {
                    let (local, remote) =
                        if tested == 0 { (SPOKE, Remote::Host(HUB)) } else { (HUB, Remote::Any) };
                    let terms = protection(script, local, remote);
                    self.ask(|endpoint| endpoint.protect(now, TUNNEL, terms));
                }
            }
            (8, _) => {
                // The other side has reasons of its own.
                let peer = self.hosts[1 - tested].machine.peers().next().map(|view| view.peer);
                let other = &mut self.hosts[1 - tested].machine;
                match (peer, script.flag()) {
                    (Some(peer), true) => other.close(now, peer),
                    _ => {
                        let _ = other.connect(now, TUNNEL, [SPOKE, HUB][tested]);
                    }
                }
            }
            _ => {}
        }
        self.settle();
    }
}

fn change_path(path: &mut Path, script: &mut Script<'_>) {
    match script.u8() % 6 {
        0 => path.remote.set_port(1 + script.u16() / 2),
        1 => path.remote.set_ip(Ipv4Addr::new(203, 0, 113, script.u8()).into()),
        2 => {
            path.transport = Transport::NatT;
            path.local.set_port(4500);
            path.remote.set_port(4500);
        }
        _ => {}
    }
}

/// So that what was changed gets past the length check.
fn mend_length(datagram: &mut [u8]) {
    if let (Ok(len), Some(field)) =
        (u32::try_from(datagram.len()), datagram.get_mut(24..Header::LEN))
    {
        field.copy_from_slice(&len.to_be_bytes());
    }
}

/// The message with its payloads moved, repeated, dropped, or others among them. Under the null
/// provider encrypted ones are as good as clear.
fn edit(datagram: &[u8], script: &mut Script<'_>) -> Option<Vec<u8>> {
    let message = Message::parse(datagram).ok()?;
    let header = message.header;
    let payloads = match message.content {
        Content::Clear(payloads) => payloads,
        Content::Encrypted(body) => Payloads::parse(header.next_payload, body, Header::LEN).ok()?,
    };
    let mut list: Vec<Payload<'_>> =
        payloads.iter().map(|received| received.payload.clone()).collect();
    let at = script.index(list.len());
    let mut changed = None;
    match script.u8() % 6 {
        0 if !list.is_empty() => {
            list.remove(at);
        }
        1 if !list.is_empty() => list.push(list[at].clone()),
        2 if !list.is_empty() => {
            let to = script.index(list.len());
            list.swap(at, to);
        }
        3 | 4 if !list.is_empty() => {
            // The same payload with another body.
            let mut body = list[at].body().ok()?;
            let place = script.index(body.len());
            if let Some(octet) = body.get_mut(place) {
                *octet = script.u8();
            }
            changed = Some((at, body));
        }
        _ => {}
    }
    let mut chain = Chain::new();
    for (index, payload) in list.iter().enumerate() {
        match &changed {
            Some((at, body)) if *at == index => {
                chain.push(&Payload::parse(payload.payload_type(), body, 0).ok()?);
            }
            _ => {
                chain.push(payload);
            }
        }
    }
    if changed.is_none() && script.flag() {
        push(&mut chain, script, &[]);
    }
    let padding = if header.flags.contains(Flags::ENCRYPTION) { chain.padding(16) } else { 0 };
    chain.message(header, padding).ok()
}

/// Another payload, of a type that means something.
fn push(chain: &mut Chain, script: &mut Script<'_>, spis: &[u32]) {
    use dmvpn_isakmp::wire::{Delete, Notification, NotifyType};
    let choice = script.u8();
    let spi = spis.get(script.index(spis.len())).copied().unwrap_or_else(|| script.u32());
    match choice % 8 {
        0 => {
            chain.push(&Payload::Delete(Delete::esp(&[spi, script.u32()])));
        }
        1 => {
            let number = NotifyType(script.u16());
            chain.push(&Payload::Notification(Notification::esp(number, spi, script.octets())));
        }
        2 => {
            // R-U-THERE and its answer, INITIAL-CONTACT, RESPONDER-LIFETIME.
            let number = [36_136, 36_137, 24_578, 24_576][script.index(4)];
            let octets = script.octets();
            let notification = Notification {
                spi: octets.to_vec().into(),
                data: script.u32().to_be_bytes().to_vec().into(),
                ..Notification::esp(NotifyType(number), spi, &[][..])
            };
            chain.push(&Payload::Notification(notification));
        }
        _ => {
            let kinds = [1, 4, 5, 8, 10, 11, 12, 13, 20, 21, 130, 132, 15];
            let kind = PayloadType(kinds[script.index(kinds.len())]);
            if let Ok(payload) = Payload::parse(kind, script.octets(), 0) {
                chain.push(&payload);
            }
        }
    }
}
