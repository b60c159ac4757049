//! Between the old pair and the new one: which of the two each side sends on, and until when.

#![allow(clippy::wildcard_enum_match_arm, reason = "a test looks at what it is about")]

mod pair;

use core::time::Duration;

use dmvpn_isakmp::wire::ExchangeType;
use dmvpn_isakmp::{ChildLifetime, CloseReason, Event, PeerId, Protection, Rekeying, Remote};
use pair::{HUB, LATENCY, Pair, SPOKE, TUNNEL, guide_config, guide_protection, ip};

const SPOKE_HOST: usize = 0;
const HUB_HOST: usize = 1;
const A_MOMENT: Duration = Duration::from_millis(100);

/// The guide's hub and spoke with a pair between them.
struct Lab {
    pair: Pair,
    /// How each knows the other.
    peers: [PeerId; 2],
    /// The outbound SPI of each.
    first: [u32; 2],
}

impl Lab {
    fn new() -> Self {
        Self::with(3600, Rekeying::default())
    }

    fn with(lifetime: u32, rekeying: Rekeying) -> Self {
        let config = || guide_config().rekeying(rekeying).build().unwrap();
        let mut pair = Pair::new(config(), config());
        let now = pair.now;
        let lifetime = ChildLifetime { seconds: lifetime, kilobytes: None };
        for (host, local, remote) in
            [(SPOKE_HOST, SPOKE, Remote::Host(ip(HUB))), (HUB_HOST, HUB, Remote::Any)]
        {
            let terms = Protection { lifetime, ..guide_protection(local, remote) };
            pair.hosts[host].endpoint.protect(now, TUNNEL, terms);
        }
        pair.connect();
        pair.run_for(Duration::from_secs(5));
        let peers = [0, 1].map(|host: usize| pair.hosts[host].peer.unwrap());
        let first = [0, 1].map(|host: usize| pair.hosts[host].outbound[&peers[host]]);
        Self { pair, peers, first }
    }

    fn outbound(&self, host: usize) -> u32 {
        self.pair.hosts[host].outbound[&self.peers[host]]
    }

    /// Its volume limit comes near.
    fn soft_expire(&mut self, host: usize) {
        let (now, peer, spi) = (self.pair.now, self.peers[host], self.outbound(host));
        self.pair.hosts[host].endpoint.handle_soft_expire(now, peer, spi);
    }

    /// Until the spoke sends QM1, since the end of the pair that it negotiated comes near.
    fn until_qm1(&mut self) {
        let before = self.quick_modes(SPOKE_HOST);
        while self.quick_modes(SPOKE_HOST) == before {
            let hosts = self.pair.hosts.iter();
            let next = hosts.filter_map(|host| host.endpoint.poll_timeout()).min();
            self.pair.run_until(next.expect("something to wait for"));
        }
    }

    /// The inbound SPI of the pair that is not the first.
    fn second_inbound(&self, host: usize) -> u32 {
        let first = self.first[1 - host];
        let inbound = self.pair.hosts[host].inbound();
        inbound.iter().map(|sa| sa.spi).find(|spi| *spi != first).expect("a second pair")
    }

    fn first_traffic(&mut self, host: usize, spi: u32) {
        let (now, peer) = (self.pair.now, self.peers[host]);
        self.pair.hosts[host].endpoint.handle_first_traffic(now, peer, spi);
        self.pair.drain();
    }

    fn pairs(&self, host: usize) -> usize {
        self.pair.hosts[host].endpoint.phase2().count()
    }

    fn quick_modes(&self, host: usize) -> usize {
        let sent = self.pair.hosts[host].sent.iter();
        sent.filter(|(_, sent)| sent.payload[18] == ExchangeType::QUICK_MODE.0).count()
    }
}

/// The initiator of the re-keying waits, the responder does not: it has QM3.
#[test]
fn the_initiator_waits_for_the_responder() {
    let mut lab = Lab::new();
    lab.soft_expire(SPOKE_HOST);
    lab.pair.run_for(A_MOMENT);
    assert_eq!(lab.pairs(SPOKE_HOST), 2);
    assert_eq!(lab.outbound(SPOKE_HOST), lab.first[SPOKE_HOST]);
    assert_ne!(lab.outbound(HUB_HOST), lab.first[HUB_HOST]);
    let inbound = lab.second_inbound(SPOKE_HOST);
    lab.first_traffic(SPOKE_HOST, inbound);
    assert_eq!(lab.outbound(SPOKE_HOST), lab.second_inbound(HUB_HOST));
    lab.pair.assert_connected();
    lab.pair.assert_one_pair();
}

/// Traffic on the old pair says nothing, nor does what another peer is said to have sent.
#[test]
fn only_the_new_pairs_traffic_counts() {
    let mut lab = Lab::new();
    lab.soft_expire(SPOKE_HOST);
    lab.pair.run_for(A_MOMENT);
    let now = lab.pair.now;
    lab.first_traffic(SPOKE_HOST, lab.first[HUB_HOST]);
    let inbound = lab.second_inbound(SPOKE_HOST);
    lab.pair.hosts[SPOKE_HOST].endpoint.handle_first_traffic(now, PeerId(99), inbound);
    lab.pair.drain();
    assert_eq!(lab.outbound(SPOKE_HOST), lab.first[SPOKE_HOST]);
}

#[test]
fn the_initiator_waits_for_the_overlap_only() {
    let mut lab = Lab::new();
    lab.until_qm1();
    let Rekeying { overlap, grace, .. } = Rekeying::default();
    lab.pair.run_for(overlap);
    assert_eq!(lab.outbound(SPOKE_HOST), lab.first[SPOKE_HOST]);
    lab.pair.run_for(A_MOMENT);
    assert_eq!(lab.outbound(SPOKE_HOST), lab.second_inbound(HUB_HOST));
    // From then on the old pair is kept for the grace period, and deleted at both ends.
    lab.pair.run_for(grace.checked_sub(2 * A_MOMENT).unwrap());
    assert_eq!((lab.pairs(SPOKE_HOST), lab.pairs(HUB_HOST)), (2, 2));
    lab.pair.run_for(2 * A_MOMENT);
    assert_eq!((lab.pairs(SPOKE_HOST), lab.pairs(HUB_HOST)), (1, 1));
}

/// What is left of a pair near its volume limit is soon used up: the wait is a second.
#[test]
fn near_the_volume_limit_the_overlap_is_short() {
    let mut lab = Lab::new();
    lab.soft_expire(SPOKE_HOST);
    lab.pair.run_for(Duration::from_secs(1));
    assert_eq!(lab.outbound(SPOKE_HOST), lab.first[SPOKE_HOST]);
    lab.pair.run_for(A_MOMENT);
    assert_eq!(lab.outbound(SPOKE_HOST), lab.second_inbound(HUB_HOST));
}

/// When it is used up its successor takes its place, and what is on its way is still received.
#[test]
fn a_used_up_pair_is_replaced_by_the_successor_that_is_there() {
    let mut lab = Lab::new();
    lab.soft_expire(SPOKE_HOST);
    lab.pair.run_for(A_MOMENT);
    let (now, peer, spi) = (lab.pair.now, lab.peers[SPOKE_HOST], lab.first[SPOKE_HOST]);
    lab.pair.hosts[SPOKE_HOST].endpoint.handle_hard_expire(now, peer, spi);
    lab.pair.drain();
    assert_eq!(lab.outbound(SPOKE_HOST), lab.second_inbound(HUB_HOST));
    assert_eq!((lab.pairs(SPOKE_HOST), lab.pairs(HUB_HOST)), (2, 2));
    lab.pair.run_for(Rekeying::default().grace + A_MOMENT);
    assert_eq!((lab.pairs(SPOKE_HOST), lab.pairs(HUB_HOST)), (1, 1));
}

/// A peer that repeats QM2 has not got QM3, and the wait starts anew.
#[test]
fn a_repeated_qm2_prolongs_the_overlap() {
    let mut lab = Lab::new();
    lab.until_qm1();
    let before = lab.quick_modes(SPOKE_HOST);
    lab.pair.run_for(2 * LATENCY);
    assert_eq!(lab.quick_modes(SPOKE_HOST), before + 1, "QM3 is sent");
    lab.pair.cut();
    lab.pair.run_for(Rekeying::default().overlap + Duration::from_secs(1));
    assert_eq!(lab.quick_modes(SPOKE_HOST), before + 2, "QM3 again");
    assert_eq!(lab.outbound(SPOKE_HOST), lab.first[SPOKE_HOST]);
    lab.pair.run_for(Duration::from_secs(2));
    assert_eq!(lab.outbound(SPOKE_HOST), lab.second_inbound(HUB_HOST));
}

/// Whoever saw QM2 can play it again; that keeps the old pair in use for three times the wait at most.
#[test]
fn a_replayed_qm2_does_not_prolong_the_overlap_for_ever() {
    let mut lab =
        Lab::with(7200, Rekeying { margin: Duration::from_secs(900), ..Rekeying::default() });
    lab.until_qm1();
    lab.pair.run_for(2 * LATENCY);
    let sent = lab.pair.hosts[HUB_HOST].sent.iter().rev();
    let mut quick = sent.filter(|(_, sent)| sent.payload[18] == ExchangeType::QUICK_MODE.0);
    let qm2 = quick.next().expect("QM2").1.payload.clone();
    let path = lab.pair.path_to(SPOKE_HOST);
    let wait = Rekeying::default().overlap;
    for _ in 0..5 {
        assert_eq!(lab.outbound(SPOKE_HOST), lab.first[SPOKE_HOST]);
        lab.pair.deliver(SPOKE_HOST, path, &qm2);
        lab.pair.run_for(wait / 2);
    }
    for _ in 0..3 {
        lab.pair.deliver(SPOKE_HOST, path, &qm2);
        lab.pair.run_for(wait / 2);
    }
    assert_eq!(lab.outbound(SPOKE_HOST), lab.second_inbound(HUB_HOST));
}

/// The old pair's volume limit comes near while both are there: a wait that was fit for its time is
/// too long.
#[test]
fn a_volume_limit_that_comes_near_shortens_the_overlap() {
    let mut lab = Lab::new();
    lab.until_qm1();
    lab.pair.run_for(2 * LATENCY);
    assert_eq!(lab.outbound(SPOKE_HOST), lab.first[SPOKE_HOST]);
    lab.soft_expire(SPOKE_HOST);
    lab.pair.run_for(Duration::from_secs(1) + LATENCY);
    assert_eq!(lab.outbound(SPOKE_HOST), lab.second_inbound(HUB_HOST));
    assert_eq!(lab.pairs(SPOKE_HOST), 2);
}

/// The peer deletes the old pair: there is nothing to wait for.
#[test]
fn when_the_old_pair_goes_the_new_one_is_used_at_once() {
    let mut lab = Lab::new();
    lab.soft_expire(SPOKE_HOST);
    lab.pair.run_for(A_MOMENT);
    assert_eq!(lab.outbound(SPOKE_HOST), lab.first[SPOKE_HOST]);
    let (now, peer, spi) = (lab.pair.now, lab.peers[HUB_HOST], lab.first[HUB_HOST]);
    lab.pair.hosts[HUB_HOST].endpoint.handle_hard_expire(now, peer, spi);
    lab.pair.run_for(LATENCY);
    assert_eq!(lab.outbound(SPOKE_HOST), lab.second_inbound(HUB_HOST));
    assert_eq!((lab.pairs(SPOKE_HOST), lab.pairs(HUB_HOST)), (1, 1));
    lab.pair.assert_connected();
}

/// The old pair's end is near: the first half of what is left of it is for the peer to get ready,
/// and no grace makes it outlive its lifetime.
#[test]
fn the_old_pair_is_not_used_to_its_end_nor_kept_beyond() {
    let rekeying = Rekeying { margin: Duration::from_secs(1), ..Rekeying::default() };
    let mut lab = Lab::with(120, rekeying);
    lab.until_qm1();
    lab.pair.run_for(2 * LATENCY);
    let old = lab.first[SPOKE_HOST];
    let pairs = lab.pair.hosts[SPOKE_HOST].endpoint.phase2();
    let left = pairs.map(|pair| pair.remaining).min().expect("the old pair");
    assert!(left < Duration::from_secs(2), "{left:?}");
    lab.pair.run_for(left / 2 - LATENCY);
    assert_eq!(lab.outbound(SPOKE_HOST), old);
    lab.pair.run_for(2 * LATENCY);
    assert_eq!(lab.outbound(SPOKE_HOST), lab.second_inbound(HUB_HOST));
    lab.pair.run_for(left / 2);
    assert_eq!((lab.pairs(SPOKE_HOST), lab.pairs(HUB_HOST)), (1, 1));
    let removed = lab.pair.hosts[SPOKE_HOST].events.iter().find_map(|event| match event {
        Event::RemoveSa { spi, reason, .. } if *spi == old => Some(*reason),
        _ => None,
    });
    assert_eq!(removed, Some(CloseReason::Superseded), "when nobody needed it any more");
    lab.pair.assert_connected();
}

/// What asks for a re-keying while its successor waits is told nothing new.
#[test]
fn a_pair_with_a_successor_is_not_rekeyed_again() {
    let mut lab = Lab::new();
    lab.soft_expire(SPOKE_HOST);
    lab.pair.run_for(A_MOMENT);
    let sent = lab.quick_modes(SPOKE_HOST);
    lab.soft_expire(SPOKE_HOST);
    lab.pair.run_for(A_MOMENT);
    assert_eq!(lab.quick_modes(SPOKE_HOST), sent);
    assert_eq!(lab.pairs(SPOKE_HOST), 2);
}

/// The peer deletes the successor before it is used: the old pair still wants one.
#[test]
fn a_successor_that_goes_before_its_turn_is_negotiated_anew() {
    let mut lab = Lab::new();
    lab.soft_expire(SPOKE_HOST);
    lab.pair.run_for(A_MOMENT);
    let second = lab.second_inbound(HUB_HOST);
    let (now, peer) = (lab.pair.now, lab.peers[HUB_HOST]);
    lab.pair.hosts[HUB_HOST].endpoint.handle_hard_expire(now, peer, second);
    lab.pair.run_for(A_MOMENT);
    assert_eq!((lab.pairs(SPOKE_HOST), lab.pairs(HUB_HOST)), (1, 1));
    assert_eq!(lab.outbound(SPOKE_HOST), lab.first[SPOKE_HOST]);
    assert_eq!(lab.outbound(HUB_HOST), lab.first[HUB_HOST]);
    lab.pair.run_for(Duration::from_secs(60));
    assert_ne!(lab.outbound(SPOKE_HOST), lab.first[SPOKE_HOST]);
    lab.pair.assert_connected();
    lab.pair.assert_one_pair();
}

/// ESP overtakes QM3: the responder has the keys' proof, and the QM3 that follows changes nothing.
#[test]
fn traffic_before_qm3_is_as_good_as_qm3() {
    let mut lab = Lab::new();
    lab.soft_expire(SPOKE_HOST);
    lab.pair.run_for(2 * LATENCY);
    assert_eq!(lab.outbound(HUB_HOST), lab.first[HUB_HOST], "QM3 is on its way");
    let inbound = lab.second_inbound(HUB_HOST);
    lab.first_traffic(HUB_HOST, inbound);
    assert_eq!(lab.outbound(HUB_HOST), lab.second_inbound(SPOKE_HOST));
    let enabled = |lab: &Lab| {
        let events = lab.pair.hosts[HUB_HOST].events.iter();
        events.filter(|event| matches!(event, Event::EnableOutbound { .. })).count()
    };
    let before = enabled(&lab);
    lab.pair.run_for(Duration::from_secs(60));
    assert_eq!(enabled(&lab), before, "once");
    lab.pair.assert_connected();
    lab.pair.assert_one_pair();
}

/// Both start to re-key the same pair at once.
#[test]
fn simultaneous_rekeyings_resolve_to_one_pair() {
    for gap in 0..12 {
        let mut lab = Lab::new();
        lab.soft_expire(SPOKE_HOST);
        lab.pair.run_for(Duration::from_millis(gap));
        lab.soft_expire(HUB_HOST);
        lab.pair.run_for(Duration::from_secs(90));
        assert_eq!((lab.pairs(SPOKE_HOST), lab.pairs(HUB_HOST)), (1, 1), "gap {gap}");
        lab.pair.assert_connected();
        lab.pair.assert_one_pair();
    }
}
