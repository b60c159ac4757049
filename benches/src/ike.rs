//! Main mode and quick mode between two endpoints in one thread: the CPU time of each side apart.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use chacha20::ChaCha20Rng;
use dmvpn_core::Instant;
use dmvpn_isakmp::crypto::{Group, HashAlgorithm, Provider};
use dmvpn_isakmp::{
    Config, Encryption, Endpoint, EspProposal, Event, Path, Policy, PreSharedKey, Protection,
    ProtectionId, Remote, Transmit,
};
use rand_core::SeedableRng;

use crate::cpu;

const INITIATOR: IpAddr = IpAddr::V4(Ipv4Addr::new(172, 16, 1, 1));
const RESPONDER: IpAddr = IpAddr::V4(Ipv4Addr::new(172, 16, 10, 1));
const PROTECTION: ProtectionId = ProtectionId(0);

/// Two endpoints with the guide's suite.
pub struct Handshakes {
    now: Instant,
    initiator: Endpoint,
    responder: Endpoint,
}

impl Default for Handshakes {
    fn default() -> Self {
        Self::new(Provider::rustcrypto())
    }
}

impl Handshakes {
    /// With cryptography of `provider`.
    pub fn new(provider: Provider) -> Self {
        let now = Instant::from_secs(1_000);
        let endpoint = |seed, local, remote| {
            let key = PreSharedKey::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0, b"cisco123");
            let policy = Policy {
                priority: 1,
                encryption: Encryption::TripleDes,
                hash: HashAlgorithm::SHA1,
                group: Group::MODP_768,
                lifetime: 86_400,
            };
            let config = Config::builder(provider.clone(), vec![key])
                .policies(vec![policy])
                .build()
                .expect("the guide's policy");
            let rng = Box::new(ChaCha20Rng::seed_from_u64(seed));
            let mut endpoint = Endpoint::new(Arc::new(config), rng, now);
            let terms = Protection {
                proposals: vec![EspProposal::TRIPLE_DES_SHA1],
                ..Protection::gre(local, remote)
            };
            endpoint.protect(now, PROTECTION, terms);
            endpoint
        };
        Self {
            now,
            initiator: endpoint(1, INITIATOR, Remote::Host(RESPONDER)),
            responder: endpoint(2, RESPONDER, Remote::Any),
        }
    }

    /// Main mode, quick mode, and the deletes of both: the CPU time of the initiator and of the
    /// responder.
    pub fn one(&mut self) -> (Duration, Duration) {
        self.now += Duration::from_secs(1);
        let now = self.now;
        let (connected, mut ours) = cpu::timed(|| {
            self.initiator.connect(now, PROTECTION, RESPONDER).expect("a protection")
        });
        let (mut theirs, mut pairs) = (Duration::ZERO, 0);
        let mut exchange = |initiator: &mut Endpoint, responder: &mut Endpoint| loop {
            let (a, spent) = turn(now, initiator, responder, &mut pairs);
            theirs += spent;
            let (b, spent) = turn(now, responder, initiator, &mut pairs);
            ours += spent;
            if !(a || b) {
                break;
            }
        };
        exchange(&mut self.initiator, &mut self.responder);
        let ((), closing) = cpu::timed(|| self.initiator.close(now, connected));
        exchange(&mut self.initiator, &mut self.responder);
        assert_eq!(pairs, 4, "two associations on each side");
        (ours + closing, theirs)
    }
}

/// What one side sent reaches the other; whether there was anything, and the other's CPU time for it.
fn turn(
    now: Instant,
    from: &mut Endpoint,
    to: &mut Endpoint,
    installed: &mut u32,
) -> (bool, Duration) {
    let sent: Vec<_> = std::iter::from_fn(|| from.poll_transmit()).collect();
    let ((), spent) = cpu::timed(|| {
        for transmit in &sent {
            let _ = to.handle_datagram(now, arriving(transmit.path), &transmit.payload);
        }
        while let Some(event) = to.poll_event() {
            *installed += u32::from(matches!(event, Event::InstallSa(_)));
        }
    });
    (!sent.is_empty(), spent)
}

fn arriving(sent: Path) -> Path {
    Path { local: sent.remote, remote: sent.local, ..sent }
}

/// A responder, and the datagram that it takes next.
pub struct Responder {
    now: Instant,
    endpoint: Endpoint,
    next: Transmit,
}

impl Responder {
    /// Before the datagram of that number: from 0 on MM1, MM3, MM5, QM1, QM3.
    pub fn before(number: usize, provider: Provider) -> Self {
        let Handshakes { now, mut initiator, responder: mut endpoint } = Handshakes::new(provider);
        initiator.connect(now, PROTECTION, RESPONDER).expect("a protection");
        let mut taken = 0;
        loop {
            let next = initiator.poll_transmit().expect("the initiator has more to say");
            if taken == number {
                return Self { now, endpoint, next };
            }
            let _ = endpoint.handle_datagram(now, arriving(next.path), &next.payload);
            taken += 1;
            while let Some(answer) = endpoint.poll_transmit() {
                let _ = initiator.handle_datagram(now, arriving(answer.path), &answer.payload);
            }
            while endpoint.poll_event().is_some() {}
        }
    }

    /// It takes the datagram; what it answers.
    pub fn step(&mut self) -> Option<Transmit> {
        let path = arriving(self.next.path);
        let outcome = self.endpoint.handle_datagram(self.now, path, &self.next.payload);
        assert!(outcome.is_ok());
        self.endpoint.poll_transmit()
    }
}
