//! Re-keying under traffic: a packet each millisecond in both directions, and none is lost.

extern crate alloc;

mod cloud;

use core::time::Duration;

use cloud::guide::{self, Settings, ip};
use cloud::{Cloud, Faults};
use dmvpn_core::isakmp::{ChildLifetime, Rekeying};
use dmvpn_core::{IpsecProfile, NextHop, Transport};

const MILLISECOND: Duration = Duration::from_millis(1);
/// The longest that the underlay below takes, and the slower end's key management on top.
const SETTLED: Duration = Duration::from_millis(500);

/// Hub and spoke of the guide with associations that live for ten minutes; which of the two
/// negotiates anew is a matter of their margins.
struct Lab {
    cloud: Cloud,
    hub: usize,
    spoke: usize,
    /// Who negotiates anew.
    initiator: usize,
    next: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Initiator {
    Spoke,
    Hub,
}

impl Lab {
    fn new(initiator: Initiator, seed: u64) -> Self {
        Self::with(initiator, seed, ChildLifetime { seconds: 600, kilobytes: None })
    }

    fn with(initiator: Initiator, seed: u64, lifetime: ChildLifetime) -> Self {
        let settings = |margin| {
            let default = Settings::default();
            let profile =
                default.profile.clone().map(|profile| IpsecProfile { lifetime, ..profile });
            let rekeying = Rekeying { margin: Duration::from_secs(margin), ..Rekeying::default() };
            Settings { profile, rekeying, trace: false, ..default }
        };
        // The initiator of the first pair starts first, unless it waits almost to the end.
        let (hub, spoke) = match initiator {
            Initiator::Spoke => (settings(60), settings(60)),
            Initiator::Hub => (settings(120), settings(1)),
        };
        let mut cloud = Cloud::new(seed);
        let hub = cloud.add(hub.hub());
        let spoke = cloud.add(spoke.spoke());
        let up =
            cloud.run_until(Duration::from_secs(10), |cloud| guide::is_registered(cloud, spoke));
        assert!(up, "not registered");
        let initiator = if initiator == Initiator::Hub { hub } else { spoke };
        Self { cloud, hub, spoke, initiator, next: 0 }
    }

    fn responder(&self) -> usize {
        self.hub + self.spoke - self.initiator
    }

    fn quick_modes(cloud: &Cloud, router: usize) -> usize {
        let sent = cloud.routers[router].sent.iter();
        sent.filter(|(_, sent)| is_quick_mode(sent.underlay.transport, &sent.packet)).count()
    }

    /// Runs until the initiator has sent QM1.
    fn until_qm1(&mut self) {
        let (initiator, responder) = (self.initiator, self.responder());
        let before = [initiator, responder].map(|router| Self::quick_modes(&self.cloud, router));
        let begun = self.cloud.run_until(Duration::from_secs(600), |cloud| {
            Self::quick_modes(cloud, initiator) > before[0]
        });
        assert!(begun, "no QM1");
        assert_eq!(Self::quick_modes(&self.cloud, responder), before[1], "the other end began");
    }

    fn send(&mut self, from: usize) -> Vec<u8> {
        self.next += 1;
        let (near, far, address) = if from == self.hub {
            ([10, 1, 1, 254], [10, 1, 1, 1], guide::SPOKE_TUNNEL)
        } else {
            ([10, 1, 1, 1], [10, 1, 1, 254], guide::HUB_TUNNEL)
        };
        let inner = cloud::inner_packet(near, far, self.next);
        let sent = self.cloud.send(from, NextHop::Protocol(ip(address)), &inner);
        assert_eq!(sent, Ok(()), "packet {}", self.next);
        inner
    }

    /// A packet each millisecond from each of `senders`, and every one of them arrives.
    fn no_loss_from(&mut self, senders: &[usize], duration: Duration) {
        for router in &mut self.cloud.routers {
            router.delivered.clear();
        }
        let mut sent = 0;
        let end = self.cloud.now + duration;
        while self.cloud.now < end {
            for sender in senders {
                self.send(*sender);
                sent += 1;
            }
            self.cloud.run_for(MILLISECOND);
        }
        self.cloud.run_for(SETTLED);
        let mut arrived: Vec<_> =
            self.cloud.routers.iter().flat_map(|router| &router.delivered).collect();
        arrived.sort_unstable();
        arrived.dedup();
        assert_eq!(sent - arrived.len(), 0, "of {sent} packets so many were lost");
    }

    fn no_loss(&mut self, duration: Duration) {
        self.no_loss_from(&[self.hub, self.spoke], duration);
    }

    /// The SPI that the initiator sends with.
    fn in_use(&self) -> u32 {
        let mut views = self.cloud.routers[self.initiator].node.ipsec_sas();
        views.next().expect("a peer").current_outbound
    }

    /// The SPI that the responder wants it to send with.
    fn newest(&self) -> u32 {
        let pairs = self.cloud.routers[self.responder()].node.isakmp().phase2();
        pairs.max_by_key(|pair| pair.remaining).expect("a pair").inbound_spi
    }

    fn pairs(&self, router: usize) -> usize {
        self.cloud.routers[router].node.isakmp().phase2().count()
    }

    /// From before the negotiation until the old pair is gone at both ends.
    fn rekeys_without_loss(&mut self) {
        self.until_qm1();
        self.no_loss(Duration::from_secs(1));
        assert_eq!(self.pairs(self.hub), 2, "the old pair is kept for a while");
        for _ in 0..100 {
            let ended = |cloud: &Cloud, router: usize| {
                cloud.routers[router].node.isakmp().phase2().count() == 1
            };
            if ended(&self.cloud, self.hub) && ended(&self.cloud, self.spoke) {
                break;
            }
            self.no_loss(Duration::from_millis(20));
        }
        assert_eq!((self.pairs(self.hub), self.pairs(self.spoke)), (1, 1), "the old pair goes");
        self.no_loss(Duration::from_millis(100));
    }
}

fn is_quick_mode(transport: Transport, packet: &[u8]) -> bool {
    transport == Transport::Isakmp && packet.get(18) == Some(&32)
}

#[test]
fn neither_ends_rekeying_loses_a_packet() {
    for (seed, initiator) in [(1, Initiator::Spoke), (2, Initiator::Hub)] {
        Lab::new(initiator, seed).rekeys_without_loss();
    }
}

/// QM3 comes behind ESP that was sent after it, and QM2 behind what the responder sends.
#[test]
fn reordering_loses_no_packet() {
    for (seed, initiator) in [(3, Initiator::Spoke), (4, Initiator::Hub), (5, Initiator::Spoke)] {
        let mut lab = Lab::new(initiator, seed);
        lab.cloud.faults = Faults { jitter: Duration::from_millis(60), ..Faults::default() };
        lab.rekeys_without_loss();
    }
}

/// A peer whose data plane has the association only when its key management is through with QM3.
#[test]
fn a_sluggish_responder_loses_no_packet() {
    for (seed, initiator) in [(6, Initiator::Spoke), (7, Initiator::Hub)] {
        let mut lab = Lab::new(initiator, seed);
        let responder = lab.responder();
        lab.cloud.routers[responder].sluggish = Some(Duration::from_millis(50));
        lab.rekeys_without_loss();
    }
}

/// QM3 is lost on top: until the repeated QM2 is answered, the old pair carries everything.
#[test]
fn a_lost_qm3_loses_no_packet() {
    for (seed, initiator) in [(8, Initiator::Spoke), (9, Initiator::Hub)] {
        let mut lab = Lab::new(initiator, seed);
        let responder = lab.responder();
        lab.cloud.routers[responder].sluggish = Some(Duration::from_millis(50));
        let from = lab.cloud.routers[lab.initiator].blueprint.address;
        lab.until_qm1();
        let mut lost = false;
        lab.cloud.swallow = Some(Box::new(move |underlay, packet| {
            let qm3 = is_quick_mode(underlay.transport, packet) && underlay.local.ip() == from;
            qm3 && !core::mem::replace(&mut lost, true)
        }));
        lab.no_loss(Duration::from_secs(3));
        assert_eq!(lab.in_use(), lab.newest());
    }
}

/// Who hears nothing cannot know that the peer has the new pair, and does not wait forever.
#[test]
fn without_a_packet_from_the_peer_the_old_pair_is_used_for_a_bounded_time() {
    for (seed, initiator) in [(10, Initiator::Spoke), (11, Initiator::Hub)] {
        let mut lab = Lab::new(initiator, seed);
        let responder = lab.responder();
        lab.cloud.routers[responder].sluggish = Some(Duration::from_millis(50));
        let senders = [lab.initiator];
        lab.until_qm1();
        lab.no_loss_from(&senders, Duration::from_secs(1));
        assert_eq!(lab.pairs(lab.initiator), 2);
        assert_ne!(lab.in_use(), lab.newest(), "nothing shows that the peer has it");
        let wait = Rekeying::default().overlap;
        lab.cloud.run_for(wait - Duration::from_secs(2));
        lab.no_loss_from(&senders, Duration::from_secs(2));
        assert_eq!(lab.in_use(), lab.newest());
        assert_eq!(lab.pairs(lab.initiator), 2, "the old one still takes what is on its way");
    }
}

/// One packet is proof enough, and not a moment is lost when the peer deletes the old pair.
#[test]
fn the_new_pair_is_used_from_the_peers_first_packet_on() {
    let mut lab = Lab::new(Initiator::Spoke, 12);
    lab.until_qm1();
    lab.cloud.run_for(SETTLED);
    assert_ne!(lab.in_use(), lab.newest());
    lab.no_loss_from(&[lab.hub], MILLISECOND);
    assert_eq!(lab.in_use(), lab.newest());
}

/// The volume limit comes about each three seconds, at both ends at once.
#[test]
fn rekeying_by_volume_loses_no_packet() {
    let lifetime = ChildLifetime { seconds: 600, kilobytes: Some(200) };
    let mut lab = Lab::with(Initiator::Spoke, 13, lifetime);
    lab.no_loss(Duration::from_secs(10));
    let completed = lab.cloud.routers[lab.hub].node.isakmp().counters().phase2_completed;
    assert!(completed > 3, "{completed} pairs");
}
