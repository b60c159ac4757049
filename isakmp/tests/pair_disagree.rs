//! What main mode says in clear nobody authenticates (RFC 2409 §5 hashes neither vendor IDs nor NAT-D):
//! if it was altered on its way, each side may believe something else about an SA, and a side that
//! lost its memory may not be found out. None of it may last.

extern crate alloc;

mod insider;
mod pair;

use alloc::rc::Rc;
use core::cell::Cell;
use core::time::Duration;

use bytes::Bytes;
use dmvpn_isakmp::wire::{Notification, NotifyType, Payload};
use dmvpn_isakmp::{
    CloseReason, DeadPeerDetection, EspProposal, Event, NatTraversal, Protection, ProtectionId,
    Remote, Trace,
};
use insider::Insider;
use pair::{Pair, guide_config, guide_protection};

const RFC_3947: [u8; 4] = [0x4a, 0x13, 0x1c, 0x81];
const RFC_3706: [u8; 4] = [0xaf, 0xca, 0xd7, 0x13];

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Damages a vendor ID in the main mode message of this number.
fn damage(pair: &mut Pair, message: usize, vendor_id: [u8; 4]) {
    let mut number = 0;
    pair.meddler = Some(Box::new(move |copies, _| {
        for copy in copies {
            number += 1;
            if number == message {
                *copy = damaged(copy, vendor_id).unwrap();
            }
        }
    }));
}

fn damaged(message: &[u8], vendor_id: [u8; 4]) -> Option<Bytes> {
    let at = message.windows(4).position(|octets| octets == vendor_id)?;
    let mut altered = message.to_vec();
    altered[at] ^= 1;
    Some(altered.into())
}

fn failures(pair: &Pair, why: CloseReason) -> usize {
    let failed = |event: &&Event| matches!(event, Event::Failed { reason, .. } if *reason == why);
    pair.hosts[0].events.iter().filter(failed).count()
}

/// The spoke does not know that the hub speaks NAT traversal, the hub does: each quick mode names
/// another encapsulation than the hub wants. The next attempt begins anew.
#[test]
fn an_sa_on_which_nothing_can_be_agreed_is_given_up() {
    let nat = NatTraversal { force_encapsulation: true, ..NatTraversal::default() };
    let config = || guide_config().nat_traversal(Some(nat)).build().unwrap();
    let mut pair = Pair::new(config(), config());
    pair.protect_guide();
    damage(&mut pair, 2, RFC_3947);
    pair.connect();
    pair.run_for(seconds(5));
    assert_eq!(failures(&pair, CloseReason::PeerRefused(NotifyType::NO_PROPOSAL_CHOSEN)), 1);
    assert_eq!(pair.hosts.each_ref().map(|host| host.endpoint.phase1().count()), [0, 0]);
    pair.connect();
    pair.run_for(seconds(5));
    pair.assert_connected();
    pair.assert_one_pair();
}

/// A refusal on an SA that has led to pairs is about what was asked, not about the SA.
#[test]
fn an_sa_that_has_protected_something_outlives_a_refusal() {
    let mut pair = Pair::guide();
    pair.connect();
    pair.run_for(seconds(5));
    let (now, hub) = (pair.now, pair::ip(pair::HUB));
    let strange = Protection {
        proposals: vec![EspProposal::AES256_SHA256],
        ..guide_protection(pair::SPOKE, Remote::Host(hub))
    };
    pair.hosts[0].endpoint.protect(now, ProtectionId(1), strange);
    pair.hosts[0].endpoint.connect(now, ProtectionId(1), hub).unwrap();
    pair.run_for(seconds(5));
    assert_eq!(failures(&pair, CloseReason::PeerRefused(NotifyType::NO_PROPOSAL_CHOSEN)), 1);
    assert_eq!(pair.hosts[0].endpoint.phase1().count(), 1);
}

/// Nobody answers on an SA: it is the peer that does not have it, whether dead peer detection was
/// agreed on or not.
#[test]
fn an_sa_on_which_nobody_answers_is_given_up() {
    let mut pair = Pair::guide();
    let peer = pair.connect();
    pair.run_for(seconds(5));
    pair.restart(1, guide_config().build().unwrap(), 100);
    let now = pair.now;
    let spi = pair.hosts[0].inbound()[0].spi;
    pair.hosts[0].endpoint.handle_soft_expire(now, peer, spi);
    // Five transmissions, the pause before a re-keying is tried again, a main mode and a quick mode.
    pair.run_for(seconds(2 + 4 + 8 + 16 + 32 + 10 + 5));
    assert!(failures(&pair, CloseReason::NoAnswer { attempts: 5 }) >= 1);
    pair.assert_connected();
    pair.assert_one_pair();
}

/// The exchange type of a quick mode, in octet 18 of the header (RFC 2408 §3.1, RFC 2409 §5.5).
const QUICK_MODE: u8 = 32;

/// The hub is there and says so, but its answers to one quick mode do not get through: that is no
/// fault of the SA, which also carries what was agreed before.
#[test]
fn an_sa_on_which_the_peer_still_speaks_outlives_an_unanswered_quick_mode() {
    let dpd = Some(DeadPeerDetection { interval: seconds(10), ..DeadPeerDetection::default() });
    let config = || guide_config().dead_peer_detection(dpd).build().unwrap();
    let mut pair = Pair::new(config(), config());
    pair.protect_guide();
    let peer = pair.connect();
    pair.run_for(seconds(5));
    let cookies =
        |pair: &Pair| pair.hosts[0].endpoint.phase1().next().expect("the SA is there").cookies;
    let (first, pairs) = (cookies(&pair), pair.hosts[0].inbound().len());
    pair.meddler = Some(Box::new(|copies, _| copies.retain(|copy| copy[18] != QUICK_MODE)));
    let (now, spi) = (pair.now, pair.hosts[0].inbound()[0].spi);
    pair.hosts[0].endpoint.handle_soft_expire(now, peer, spi);
    pair.run_for(seconds(2 + 4 + 8 + 16 + 32 + 1));
    assert_eq!(failures(&pair, CloseReason::NoAnswer { attempts: 5 }), 1);
    assert_eq!((cookies(&pair), pair.hosts[0].inbound().len()), (first, pairs));
    pair.meddler = None;
    pair.run_for(seconds(30));
    assert_eq!(cookies(&pair), first, "the next quick mode is of the same SA");
    pair.assert_connected();
    pair.assert_one_pair();
}

/// One of two things that are asked for is refused while nobody has said anything of the other: the SA
/// is not judged before both are.
#[test]
fn an_sa_with_another_quick_mode_under_way_outlives_a_refusal() {
    let mut pair = Pair::guide();
    let (now, spoke, path) = (pair.now, pair::ip(pair::SPOKE), pair.path_to(1));
    let mut insider = Insider::enter(&mut pair, path, 1, &[]);
    let another = guide_protection(pair::HUB, Remote::Host(spoke));
    pair.hosts[1].endpoint.protect(now, ProtectionId(1), another);
    for id in [0, 1] {
        pair.hosts[1].endpoint.connect(now, ProtectionId(id), spoke).unwrap();
    }
    pair.drain();
    let sent = pair.hosts[1].sent.iter().map(|(_, transmit)| &transmit.payload);
    let asked = sent.filter(|payload| payload[18] == QUICK_MODE);
    let spis: Vec<u32> = asked.map(|qm1| insider.offered_spi(qm1)).collect();
    assert_eq!(spis.len(), 2);
    for (spi, left) in spis.into_iter().zip([1, 0]) {
        let refusal = Notification::esp(NotifyType::NO_PROPOSAL_CHOSEN, spi, &[][..]);
        let refusal = insider.informational(&[Payload::Notification(refusal)]);
        pair.deliver(1, path, &refusal);
        assert_eq!(pair.hosts[1].endpoint.phase1().count(), left);
    }
}

/// The peer takes everything down, and of its deletes only that of phase 1 arrives. On that SA there was
/// no dead peer detection, but who is configured for it does not rely on a pair in silence for ever: a
/// new main mode asks. In the one that comes of it nobody asks who was not told that it is answered.
#[test]
fn a_pair_without_its_phase_1_is_asked_after() {
    let dpd = Some(DeadPeerDetection { interval: seconds(20), ..DeadPeerDetection::default() });
    let spoke = guide_config().dead_peer_detection(dpd).build().unwrap();
    let mut pair = Pair::new(spoke, guide_config().build().unwrap());
    pair.protect_guide();
    let lose_the_next = Rc::new(Cell::new(false));
    let lose = Rc::clone(&lose_the_next);
    pair.meddler = Some(Box::new(move |copies, _| {
        copies.retain(|_| !lose.take());
        for copy in copies {
            *copy = damaged(copy, RFC_3706).unwrap_or_else(|| copy.clone());
        }
    }));
    pair.connect();
    pair.run_for(seconds(5));
    let (now, peer) = (pair.now, pair.hosts[1].endpoint.peers().next().unwrap().peer);
    lose_the_next.set(true);
    pair.hosts[1].endpoint.close(now, peer);
    pair.drain();
    pair.run_for(seconds(1));
    let held = |pair: &Pair| {
        let spoke = &pair.hosts[0].endpoint;
        (spoke.phase1().count(), spoke.phase2().count())
    };
    assert_eq!(held(&pair), (0, 1));
    pair.run_for(seconds(20));
    assert_eq!(held(&pair), (1, 1));
    pair.hosts[0].traces.clear();
    pair.run_for(seconds(300));
    assert_eq!(held(&pair), (1, 1));
    let asked =
        |trace: &dmvpn_isakmp::Traced| matches!(trace.trace, Trace::DeadPeerDetectionSent { .. });
    assert!(!pair.hosts[0].traces.iter().any(asked));
}

/// Who asks whether we are there answers that question as well: RFC 3706 §5.1 has only those ask who
/// announced it.
#[test]
fn a_question_proves_that_the_peer_knows_dead_peer_detection() {
    let dpd = Some(DeadPeerDetection::default());
    let config = || guide_config().dead_peer_detection(dpd).build().unwrap();
    let mut pair = Pair::new(config(), config());
    pair.protect_guide();
    damage(&mut pair, 4, RFC_3706);
    pair.connect();
    pair.run_for(seconds(5));
    let known = |pair: &Pair| pair.hosts[0].endpoint.phase1().all(|sa| sa.dead_peer_detection);
    assert!(!known(&pair), "the announcement was damaged");
    pair.run_for(seconds(60));
    assert!(known(&pair));
    pair.restart(1, config(), 100);
    pair.run_for(seconds(60));
    assert!(pair.hosts[0].events.iter().any(|event| matches!(
        event,
        Event::PeerDown { reason: CloseReason::PeerDead { attempts: 5 }, .. }
    )));
}
