//! One side of a recorded scenario played by our endpoint, the other by the recorded peer.
//!
//! The recorded peer sends what it sent. What depends on *our* bytes is only the chain of IVs: where
//! our plaintext differs from that of the peer we play, the recorded plaintext is encrypted again
//! under the chain that both really have. As long as nothing differs this gives the recorded bytes.

use alloc::{
    boxed::Box,
    collections::{BTreeMap, BTreeSet},
};
use core::{net::SocketAddr, time::Duration};
use std::thread;

use dmvpn_isakmp::{
    Direction, Discard, Endpoint, Event, Jobs, Path, PeerId, ProtectionId, Role, Transmit,
    Transport,
    wire::{ExchangeType, PayloadType, SecurityAssociation, phase2},
};
use dmvpn_time::Instant;

use crate::{
    known_answers::{
        Scenario, Section, hex,
        observer::{
            HASH, HEADER, NAT_D, Observed, Payload, SECURITY_ASSOCIATION, is_encrypted, message_id,
            payloads,
        },
    },
    script::Script,
    setup,
};

const PROTECTION: ProtectionId = ProtectionId(1);

/// What came of a replay.
#[derive(Default)]
pub(crate) struct Outcome {
    /// Messages that we sent as recorded, byte for byte: what was encrypted, hash and padding too.
    pub(crate) equal: usize,
    /// Messages that we sent otherwise: which, and the payloads that differ.
    pub(crate) differences: Vec<String>,
    /// Messages of the peer that were accepted.
    pub(crate) accepted: usize,
    /// Messages of the peer that were not.
    pub(crate) discarded: Vec<(String, Discard)>,
    /// Everything the endpoint told its owner.
    pub(crate) events: Vec<Event>,
    /// Messages that we sent and the recorded peer did not.
    pub(crate) beyond: Vec<ExchangeType>,
}

pub(crate) struct Replay<'a> {
    scenario: &'a Scenario,
    role: Role,
    jobs: Jobs,
    endpoint: Endpoint,
    script: Script,
    now: Instant,
    /// The recorded SAs, by the initiator's cookie in hexadecimal.
    sas: BTreeMap<String, Observed<'a>>,
    /// Where our last message left.
    path: Option<Path>,
    peer: Option<PeerId>,
    /// What went over the wire instead of each recorded message.
    sent: BTreeMap<String, Vec<u8>>,
    transmits: Vec<Transmit>,
    /// The SPIs that the peer we play chose, in order.
    spis: Vec<u32>,
    outcome: Outcome,
}

/// Plays `role` of the scenario.
pub(crate) fn replay(scenario: &Scenario, role: Role, jobs: Jobs) -> Outcome {
    let script = Script::default();
    let now = Instant::EPOCH;
    let config = setup::config(scenario, role, jobs, None);
    let mut endpoint = Endpoint::new(config, Box::new(script.clone()), now);
    endpoint.protect(now, PROTECTION, setup::protection(scenario, role));
    let psk = scenario.psk();
    let sas = scenario
        .sections("ike_sa")
        .filter(|section| section.get("skeyid").is_some())
        .map(|section| (section.text("cky_i").to_owned(), Observed::new(section, &psk)))
        .collect();
    let spis = scenario
        .sections("message")
        .filter(|m| m.get("exchange") == Some("quick") && side(m.text("src")) == role)
        .filter(|m| m.get("plaintext").is_some())
        .filter_map(|m| own_spi(&m.hex("plaintext")))
        .collect();
    let mut replay = Replay {
        scenario,
        role,
        jobs,
        endpoint,
        script,
        now,
        sas,
        path: None,
        peer: None,
        sent: BTreeMap::new(),
        transmits: Vec::new(),
        spis,
        outcome: Outcome::default(),
    };
    replay.load();
    replay.run();
    let left: Vec<_> = replay.script.left();
    assert!(left.is_empty() || replay.outcome.ends_early(), "draws not made: {left:02x?}");
    replay.outcome
}

impl Outcome {
    /// Every SA installed has the recorded keys; returns how many.
    pub(crate) fn check_keys(&self, scenario: &Scenario, role: Role) -> usize {
        let mut checked = 0;
        for event in &self.events {
            let Event::InstallSa(sa) = event else { continue };
            let found = scenario.sections("child_sa").find_map(|child| {
                let name = match (sa.direction, inbound(child, role)) {
                    (Direction::Inbound, name) => name,
                    (Direction::Outbound, "responder_to_initiator") => "initiator_to_responder",
                    (Direction::Outbound, _) => "responder_to_initiator",
                };
                (child.word(&format!("{name}.spi")) == sa.spi).then_some((child, name))
            });
            let (child, name) = found.expect("a recorded SA with this SPI");
            let keys = &sa.keys;
            let encryption = [keys.dangerous_encryption_key(), keys.dangerous_salt()].concat();
            assert_eq!(encryption, child.hex(&format!("{name}.encryption")));
            let integrity = child.hex(&format!("{name}.integrity"));
            assert_eq!(keys.dangerous_integrity_key(), integrity);
            checked += 1;
        }
        checked
    }

    /// Whether the endpoint stopped before the recorded peer did.
    fn ends_early(&self) -> bool {
        self.differences.iter().any(|difference| difference.ends_with("not sent"))
    }

    /// The endpoint's events in a line each.
    pub(crate) fn summary(&self) -> Vec<String> {
        self.events
            .iter()
            .map(|event| match event {
                Event::Phase1Up { identity, nat, .. } => {
                    format!("phase 1 up with {identity}, NAT {} {}", nat.local, nat.remote)
                }
                Event::InstallSa(sa) => format!(
                    "install {:?} {:08x} {:?}{}",
                    sa.direction,
                    sa.spi,
                    sa.mode,
                    sa.rekey_of.map_or(String::new(), |old| format!(" instead of {old:08x}"))
                ),
                Event::EnableOutbound { spi, .. } => format!("enable {spi:08x}"),
                Event::RemoveSa { direction, spi, reason, .. } => {
                    format!("remove {direction:?} {spi:08x}: {reason}")
                }
                Event::PeerMoved { path, .. } => format!("moved to {}", path.remote),
                Event::PeerDown { reason, .. } => format!("peer down: {reason}"),
                Event::Failed { reason, .. } => format!("failed: {reason}"),
                other => format!("{other:?}"),
            })
            .collect()
    }
}

/// The SPI in the SA payload of a quick mode message, behind DOI, situation and proposal header.
fn own_spi(plaintext: &[u8]) -> Option<u32> {
    let all = payloads(HASH, plaintext).expect("payloads");
    let sa = all.iter().find(|p| p.kind == SECURITY_ASSOCIATION)?;
    Some(u32::from_be_bytes(sa.body[16..20].try_into().unwrap()))
}

/// The name that the recording has for the SA which this side receives with. It goes by who began the
/// quick mode.
fn inbound(child: &Section, role: Role) -> &'static str {
    match child.text("quick_mode_initiator") == letter(role) {
        true => "responder_to_initiator",
        false => "initiator_to_responder",
    }
}

const FRAGMENT: u8 = 132;

/// The recorded fragments with the data of another message of the same length.
fn in_fragments(mut recorded: Vec<Vec<u8>>, message: &[u8]) -> Vec<Vec<u8>> {
    let mut rest = message;
    for fragment in &mut recorded {
        let (data, after) = rest.split_at(fragment.len() - 36);
        fragment[36..].copy_from_slice(data);
        rest = after;
    }
    assert!(rest.is_empty());
    recorded
}

/// Which end of the recording an address is.
fn side(address: &str) -> Role {
    let address: SocketAddr = address.parse().unwrap();
    if address.ip() == setup::HUB { Role::Responder } else { Role::Initiator }
}

/// The body of an R-U-THERE notification.
fn r_u_there<'a>(all: &[Payload<'a>]) -> Option<&'a [u8]> {
    let notification = all.iter().find(|p| p.kind == 11)?;
    (notification.body[6..8] == 36136_u16.to_be_bytes()).then_some(notification.body)
}

fn letter(role: Role) -> &'static str {
    match role {
        Role::Initiator => "i",
        Role::Responder => "r",
    }
}

impl Replay<'_> {
    fn is_ours(&self, message: &Section) -> bool {
        side(message.text("src")) == self.role
    }

    /// Queues everything that the peer we play drew at random, in the order of its messages.
    fn load(&self) {
        let mut words = Vec::new();
        for message in self.scenario.sections("message") {
            let raw_known = message.text("kind") == "ike" && message.get("retransmit_of").is_none();
            if !raw_known || !self.is_ours(message) || self.is_out_of_reach(message) {
                continue;
            }
            let raw = message.hex("raw");
            let body = match message.get("plaintext") {
                Some(_) => message.hex("plaintext"),
                None => raw[HEADER..].to_vec(),
            };
            let Some(all) = payloads(raw[16], &body) else { continue };
            let find = |kind: u8| all.iter().filter(move |p| p.kind == kind).map(|p| p.body);
            let exchange = message.text("exchange");
            let phase_1 = matches!(exchange, "main" | "aggressive");
            if phase_1 && find(SECURITY_ASSOCIATION).next().is_some() {
                self.script.push(if self.role == Role::Initiator {
                    &raw[..8]
                } else {
                    &raw[8..16]
                });
            }
            // The exponents are beside the messages.
            let section = if phase_1 {
                let cookie = message.text("cky_i");
                self.scenario.sections("ike_sa").find(|sa| sa.text("cky_i") == cookie)
            } else {
                let id = message.text("mid");
                self.scenario.sections("child_sa").find(|child| child.text("mid") == id)
            };
            if find(4).next().is_some() {
                let section = section.expect("a section with the exponent");
                // A quick mode's values are named by its own initiator.
                let private = match section.get("quick_mode_initiator") {
                    Some(_) => format!("private_{}", self.quick_side(section)),
                    None => format!("private_{}", letter(self.role)),
                };
                self.script.push(&section.hex(&private));
            }
            for nonce in find(10) {
                self.script.push(nonce);
            }
            if setup::forces_encapsulation(self.scenario, self.role) {
                for random in find(NAT_D).skip(1) {
                    self.script.push(random);
                }
            }
            let starts = exchange == "informational"
                || (exchange == "quick" && message.get("payloads") != Some("HASH") && {
                    let id = message.text("mid");
                    let first = self
                        .scenario
                        .sections("message")
                        .find(|m| m.get("mid") == Some(id))
                        .unwrap();
                    first.title == message.title
                });
            if starts {
                words.extend(self.first_sequence(message, &all));
                words.push(hex(message.text("mid")));
            }
        }
        for word in words {
            self.script.push(&word);
        }
    }

    /// The draw that gives the sequence number of the first R-U-THERE that we send: doubled, for the
    /// endpoint clears the high bit (RFC 3706 §6.2), and one before it.
    fn first_sequence(&self, message: &Section, all: &[Payload<'_>]) -> Option<Vec<u8>> {
        let body = r_u_there(all)?;
        let earlier = self.scenario.sections("message").take_while(|m| m.title != message.title);
        let asked_before = earlier.filter(|m| self.is_ours(m)).any(|m| {
            let plaintext = m.get("plaintext").map(|_| m.hex("plaintext"));
            plaintext.is_some_and(|plaintext| {
                payloads(m.hex("raw")[16], &plaintext).is_some_and(|all| r_u_there(&all).is_some())
            })
        });
        let sequence = u32::from_be_bytes(body[body.len() - 4..].try_into().unwrap());
        (!asked_before).then(|| ((sequence - 1) << 1).to_be_bytes().to_vec())
    }

    /// `i` or `r` of a child's own values for the peer that we play.
    fn quick_side(&self, child: &Section) -> &'static str {
        if child.text("quick_mode_initiator") == letter(self.role) { "i" } else { "r" }
    }

    /// SPIs come from a range that the owner sets: here it holds just the next recorded one.
    fn set_next_spi(&mut self) {
        let installed = self.outcome.events.iter().filter(
            |event| matches!(event, Event::InstallSa(sa) if sa.direction == Direction::Inbound),
        );
        if let Some(spi) = self.spis.get(installed.count()) {
            let config = setup::config(self.scenario, self.role, self.jobs, Some(*spi));
            self.endpoint.set_config(self.now, config);
        }
    }

    fn run(&mut self) {
        let messages: Vec<_> = self
            .scenario
            .sections("message")
            .filter(|m| m.text("kind") == "ike" && !self.is_out_of_reach(m))
            .collect();
        for (index, message) in messages.iter().enumerate() {
            self.now += Duration::from_millis(10);
            self.set_next_spi();
            if self.is_ours(message) {
                self.expect(message, &messages[index..]);
            } else {
                self.deliver(message);
            }
        }
        self.collect();
        if self.peer_is_gone() {
            self.settle();
        }
        let beyond: Vec<_> = self.transmits.drain(..).collect();
        for transmit in beyond {
            self.outcome.beyond.push(ExchangeType(transmit.payload[18]));
        }
    }

    /// Whether the recorded peer fell silent, so that the endpoint has to find out for itself.
    fn peer_is_gone(&self) -> bool {
        match self.scenario.name.as_str() {
            "dpd-dead-peer" => self.role == Role::Initiator,
            name => name.starts_with("fail-"),
        }
    }

    /// Five minutes without another word from the peer.
    fn settle(&mut self) {
        let end = self.now + Duration::from_secs(300);
        while let Some(due) = self.endpoint.poll_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.endpoint.handle_timeout(self.now);
            self.collect();
            self.transmits.clear();
        }
    }

    /// Takes what the endpoint has for its owner.
    fn collect(&mut self) {
        while let Some(job) = self.endpoint.poll_job() {
            let result = thread::scope(|scope| scope.spawn(|| job.run()).join().unwrap());
            self.endpoint.handle_job(self.now, result).unwrap();
        }
        while let Some(transmit) = self.endpoint.poll_transmit() {
            self.path = Some(transmit.path);
            self.transmits.push(transmit);
        }
        while let Some(event) = self.endpoint.poll_event() {
            if let Event::Phase1Up { peer, .. } = event {
                self.peer = Some(peer);
            }
            self.outcome.events.push(event);
        }
    }

    /// The recorded peer sends.
    fn deliver(&mut self, message: &Section) {
        let raw = message.hex("raw");
        let datagram = match message.get("retransmit_of") {
            Some(number) => self.sent[&format!("message {number}")].clone(),
            None => self.in_our_chain(message, &raw),
        };
        self.sent.insert(message.title.clone(), datagram.clone());
        let path = self.path_of(message);
        let mut datagrams = match message.fragments() {
            Some(recorded) => in_fragments(recorded, &datagram),
            None => vec![datagram],
        };
        let last = datagrams.pop().unwrap();
        for fragment in datagrams {
            self.endpoint.handle_datagram(self.now, path, &fragment).unwrap();
            self.collect();
            assert!(self.transmits.is_empty(), "there is nothing to answer yet");
        }
        match self.endpoint.handle_datagram(self.now, path, &last) {
            Ok(()) => self.outcome.accepted += 1,
            Err(discard) => {
                let label = self.label(message);
                self.outcome.discarded.push((label, discard));
            }
        }
        self.collect();
    }

    /// The recorded message under the chain of IVs that we have with the recorded peer.
    fn in_our_chain(&mut self, message: &Section, raw: &[u8]) -> Vec<u8> {
        // With different pre-shared keys the two ends have no chain in common.
        if !is_encrypted(raw) || self.scenario.name == "fail-psk" {
            return raw.to_vec();
        }
        let sa = self.sas.get_mut(message.text("cky_i")).unwrap();
        let plaintext = message.hex("plaintext");
        let datagram = sa.seal(raw, &plaintext);
        let all = payloads(raw[16], &plaintext).unwrap();
        let from_initiator = message.text("from") == "i";
        let expected = sa.expected_hash(from_initiator, message_id(raw), &all, &plaintext);
        let received = all.iter().find(|p| p.kind == HASH).unwrap();
        assert!(expected.verify(received.body), "{}", message.title);
        datagram
    }

    /// The way a recorded message takes to us.
    fn path_of(&self, message: &Section) -> Path {
        if self.role == Role::Initiator {
            // Answers come back the way our last message left; a NAT in between is not seen.
            return self.path.expect("we speak first");
        }
        Path {
            local: message.text("dst").parse().unwrap(),
            remote: message.text("src").parse().unwrap(),
            transport: if message.text("natt") == "1" {
                Transport::NatT
            } else {
                Transport::Isakmp
            },
        }
    }

    /// We send; or something makes us send.
    fn expect(&mut self, message: &Section, rest: &[&Section]) {
        let label = self.label(message);
        self.collect();
        if self.transmits.is_empty() && !self.never_sent(message) {
            self.provoke(message, rest);
            self.collect();
        }
        if self.transmits.is_empty() {
            self.outcome.differences.push(format!("{label} not sent"));
            return;
        }
        let mut transmit = self.transmits.remove(0);
        // Nobody answers AM3: we repeat it with a quick mode that had no answer, charon does not.
        let repeats_am3 = message.get("retransmit_of").is_some()
            && ExchangeType(transmit.payload[18]) == ExchangeType::AGGRESSIVE;
        if repeats_am3 {
            let third = self.scenario.sections("message").nth(2).unwrap();
            assert_eq!(transmit.payload[..], self.sent[&third.title]);
            self.outcome.beyond.push(ExchangeType::AGGRESSIVE);
            transmit = self.transmits.remove(0);
        }
        let float = (transmit.path.transport == Transport::NatT) != (message.text("natt") == "1");
        if float {
            self.outcome.differences.push(format!("{label} port"));
        }
        if self.role == Role::Responder {
            assert_eq!(transmit.path.local, message.text("src").parse().unwrap());
            assert_eq!(transmit.path.remote, message.text("dst").parse().unwrap());
        }
        let ours = self.whole(&label, transmit.payload.to_vec(), message.fragments());
        if let Some(number) = message.get("retransmit_of") {
            let first = &self.sent[&format!("message {number}")];
            assert_eq!(&ours, first, "a retransmission is the same bytes");
            self.outcome.equal += 1;
            return;
        }
        self.sent.insert(message.title.clone(), ours.clone());
        self.compare(&label, &ours, message);
    }

    /// The message whose first datagram that we sent is this one, and whether it is cut as recorded.
    fn whole(&mut self, label: &str, first: Vec<u8>, recorded: Option<Vec<Vec<u8>>>) -> Vec<u8> {
        if first[16] != FRAGMENT {
            if recorded.is_some() {
                self.outcome.differences.push(format!("{label} fragments"));
            }
            return first;
        }
        let mut fragments = vec![first];
        while fragments.last().unwrap()[35] & 1 == 0 {
            fragments.push(self.transmits.remove(0).payload.to_vec());
        }
        let recorded = recorded.expect("the recorded peer cut it as well");
        for (ours, recorded) in fragments.iter().zip(&recorded) {
            // The header but for the length, and the generic header but for it.
            assert_eq!((&ours[..24], &ours[28..30]), (&recorded[..24], &recorded[28..30]));
            if ours[32..34] != recorded[32..34] {
                self.outcome.differences.push("fragment id".to_owned());
            }
            assert_eq!(ours[34], recorded[34]);
            assert!(ours.len() <= 172, "no longer than the recorded ones");
        }
        fragments.iter().flat_map(|fragment| fragment[36..].to_vec()).collect()
    }

    /// What the recorded peer sent of its own accord and our endpoint does not.
    fn never_sent(&self, message: &Section) -> bool {
        // charon says PAYLOAD-MALFORMED under keys that its peer cannot have, and its responder
        // deletes the ISAKMP SA that was renegotiated, which here the initiator does.
        self.role == Role::Responder
            && matches!(self.scenario.name.as_str(), "fail-psk" | "rekey-ike")
            && message.text("exchange") == "informational"
    }

    /// What cannot be replayed: an endpoint renegotiates phase 1 when its lifetime ends, hours after
    /// the recorded peer did at its operator's command.
    fn is_out_of_reach(&self, message: &Section) -> bool {
        let first = self.scenario.sections("ike_sa").next().unwrap();
        self.role == Role::Initiator
            && self.scenario.name == "rekey-ike"
            && message.text("cky_i") != first.text("cky_i")
    }

    /// Makes the endpoint do what the recorded peer did of its own accord.
    fn provoke(&mut self, message: &Section, rest: &[&Section]) {
        let exchange = message.text("exchange");
        let newest = self.outcome.events.iter().rev().find_map(|event| {
            let Event::InstallSa(sa) = event else { return None };
            Some(sa.spi)
        });
        let delete = |message: &Section| {
            (message.get("payloads") == Some("HASH D")).then(|| message.hex("plaintext"))
        };
        match (exchange, self.peer, newest) {
            ("main" | "aggressive", None, _) if message.text("mid") == "00000000" => {
                self.connect();
            }
            ("quick", Some(peer), Some(spi)) => {
                let removed = self.outcome.events.iter().any(
                    |event| matches!(event, Event::RemoveSa { spi: gone, .. } if *gone == spi),
                );
                if removed {
                    self.connect();
                } else {
                    self.endpoint.handle_soft_expire(self.now, peer, spi);
                }
            }
            ("informational", Some(peer), _) if delete(message).is_some() => {
                // The SPI of ESP's is the sender's inbound one, after DOI, protocol, size and count.
                let spi_of = |plaintext: Vec<u8>| {
                    let body = payloads(8, &plaintext).unwrap()[1].body.to_vec();
                    <[u8; 4]>::try_from(&body[8..]).ok().map(u32::from_be_bytes)
                };
                let ours: Vec<_> = rest
                    .iter()
                    .filter(|later| self.is_ours(later))
                    .filter_map(|later| delete(later).map(spi_of))
                    .collect();
                match ours[..] {
                    // The last pair and phase 1: everything goes at once.
                    [Some(_), None] | [None] => self.endpoint.close(self.now, peer),
                    [Some(spi), ..] => self.endpoint.handle_hard_expire(self.now, peer, spi),
                    _ => panic!("{ours:?}"),
                }
            }
            // Everything else is a timer's doing.
            _ => {
                for _ in 0..20 {
                    let Some(due) = self.endpoint.poll_timeout() else { return };
                    self.now = self.now.max(due);
                    self.endpoint.handle_timeout(self.now);
                    self.collect();
                    if !self.transmits.is_empty() {
                        return;
                    }
                }
            }
        }
    }

    fn connect(&mut self) {
        let peer = self.endpoint.connect(self.now, PROTECTION, setup::HUB).unwrap();
        self.peer = Some(peer);
    }

    /// Our hash payload must be what an observer computes; in quick mode the observer also learns our
    /// nonce.
    fn check_hash(&mut self, label: &str, message: &Section, ours: &[u8], body: &[u8]) {
        if !is_encrypted(ours) {
            return;
        }
        let sa = self.sas.get_mut(message.text("cky_i")).unwrap();
        let all = payloads(ours[16], body).expect("our payloads");
        let from_initiator = self.role == Role::Initiator;
        let expected = sa.expected_hash(from_initiator, message_id(ours), &all, body);
        let sent = all.iter().find(|p| p.kind == HASH).expect("a hash payload");
        assert!(expected.verify(sent.body), "{label}: our hash");
    }

    /// What differs between our message and the recorded one.
    fn compare(&mut self, label: &str, ours: &[u8], message: &Section) {
        let raw = message.hex("raw");
        // Cookies, version, exchange, flags and message ID; the first payload and the length follow
        // from the payloads.
        assert_eq!(ours[..8], raw[..8], "{label}: initiator cookie");
        if ours[8..16] != raw[8..16] {
            self.outcome.differences.push(format!("{label} responder cookie"));
        }
        assert_eq!(ours[17..24], raw[17..24], "{label}: header");
        let (our_body, their_body) = if is_encrypted(ours) {
            let plaintext = match message.get("plaintext") {
                Some(_) => message.hex("plaintext"),
                None => Vec::new(),
            };
            if self.scenario.name == "fail-psk" {
                return;
            }
            let sa = self.sas.get_mut(message.text("cky_i")).unwrap();
            (sa.open(ours), plaintext)
        } else {
            (ours[HEADER..].to_vec(), raw[HEADER..].to_vec())
        };
        if our_body == their_body {
            // Hash and padding included. The ciphertext is the recorded one if the chain is.
            self.outcome.equal += 1;
            self.check_hash(label, message, ours, &our_body);
            return;
        }
        let our_payloads = payloads(ours[16], &our_body).expect("our payloads");
        let their_payloads = payloads(raw[16], &their_body).expect("their payloads");
        self.check_hash(label, message, ours, &our_body);
        let kinds: BTreeSet<u8> =
            our_payloads.iter().chain(&their_payloads).map(|p| p.kind).collect();
        for kind in kinds.into_iter().filter(|kind| *kind != HASH) {
            let of = |all: &[Payload<'_>]| -> Vec<Vec<u8>> {
                all.iter().filter(|p| p.kind == kind).map(|p| p.body.to_vec()).collect()
            };
            let (ours, theirs) = (of(&our_payloads), of(&their_payloads));
            let phase_2_sa = kind == SECURITY_ASSOCIATION && label.starts_with("QM");
            if ours != theirs && phase_2_sa && alternatives(&ours[0]) == alternatives(&theirs[0]) {
                self.outcome.differences.push(format!("{label} SA payload's order"));
            } else if ours != theirs {
                self.outcome.differences.push(format!("{label} {}", PayloadType(kind)));
            }
        }
    }

    /// `MM1` … `MM6`, `AM1` … `AM3`, `QM1` … `QM3`, `INFO`.
    fn label(&self, message: &Section) -> String {
        if let Some(number) = message.get("retransmit_of") {
            let title = format!("message {number}");
            let first = self.scenario.sections("message").find(|m| m.title == title);
            return self.label(first.expect("the first transmission"));
        }
        let exchange = message.text("exchange");
        let before = self
            .scenario
            .sections("message")
            .filter(|m| m.get("exchange") == Some(exchange))
            .filter(|m| {
                m.get("cky_i") == message.get("cky_i") && m.get("mid") == message.get("mid")
            })
            .position(|m| m.title == message.title);
        match (exchange, before) {
            ("main", Some(index)) => format!("MM{}", index + 1),
            ("aggressive", Some(index)) => format!("AM{}", index + 1),
            ("quick", Some(index)) => format!("QM{}", index + 1),
            ("informational", _) => "INFO".to_owned(),
            _ => message.title.clone(),
        }
    }
}

/// Attributes of a transform without their order.
type Attributes = BTreeSet<(u16, Option<u64>)>;

/// What an SA payload of phase 2 offers, in order of preference, whatever the order of attributes and
/// the grouping into proposals: SPI, transform, attributes.
fn alternatives(body: &[u8]) -> Vec<(Option<u32>, u8, Attributes)> {
    let sa = SecurityAssociation::parse(body, HEADER).unwrap();
    let mut all = Vec::new();
    for proposal in &sa.proposals {
        for transform in &proposal.transforms {
            let mut attributes = BTreeSet::new();
            let mut life_type = 0;
            for attribute in &transform.attributes {
                let (kind, number) = (attribute.attribute_type, attribute.number());
                if kind == phase2::LIFE_TYPE {
                    life_type = u16::try_from(number.unwrap()).unwrap();
                } else if kind == phase2::LIFE_DURATION {
                    attributes.insert((1000 + life_type, number));
                } else {
                    attributes.insert((kind.0, number));
                }
            }
            all.push((proposal.spi32(), transform.id.0, attributes));
        }
    }
    all
}
