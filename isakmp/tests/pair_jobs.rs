//! Diffie-Hellman out of the loop.

#![allow(clippy::wildcard_enum_match_arm, reason = "a test looks at what it is about")]

mod pair;

use core::time::Duration;

use dmvpn_isakmp::crypto::Group;
use dmvpn_isakmp::{CloseReason, Discard, Event, Protection, Remote};
use pair::{HUB, Pair, SPOKE, TUNNEL, guide_config, guide_protection, ip, out_of_line};

fn with_delay(delay: Duration, pfs: Option<Group>) -> Pair {
    let mut pair = Pair::new(out_of_line(guide_config()), out_of_line(guide_config()));
    let now = pair.now;
    let terms = |local, remote| Protection { pfs, ..guide_protection(local, remote) };
    pair.hosts[0].endpoint.protect(now, TUNNEL, terms(SPOKE, Remote::Host(ip(HUB))));
    pair.hosts[1].endpoint.protect(now, TUNNEL, terms(HUB, Remote::Any));
    for host in &mut pair.hosts {
        host.job_delay = delay;
    }
    pair
}

#[test]
fn delayed_jobs_lead_to_the_same_result() {
    for millis in [0, 3, 700, 4_000] {
        for pfs in [None, Some(Group::MODP_1024)] {
            let mut pair = with_delay(Duration::from_millis(millis), pfs);
            pair.connect();
            pair.run_for(Duration::from_secs(60));
            pair.assert_connected();
            pair.assert_one_pair();
        }
    }
}

#[test]
fn out_of_line_sends_the_same_bytes_as_inline() {
    let mut inline = Pair::guide();
    inline.connect();
    inline.run_for(Duration::from_secs(5));
    let mut outside = with_delay(Duration::ZERO, None);
    outside.connect();
    outside.run_for(Duration::from_secs(5));
    for (inline, outside) in inline.hosts.iter().zip(&outside.hosts) {
        assert_eq!(inline.sent, outside.sent);
        assert_eq!(inline.traces, outside.traces);
    }
}

#[test]
fn a_lost_job_falls_to_the_half_open_timeout() {
    let mut pair = with_delay(Duration::from_secs(100_000), None);
    pair.connect();
    pair.run_for(Duration::from_secs(50));
    assert_eq!(pair.hosts[0].endpoint.phase1().count(), 1);
    pair.run_for(Duration::from_secs(100));
    assert!(pair.hosts[0].events.iter().any(|event| matches!(
        event,
        Event::Failed { reason: CloseReason::HalfOpenTimeout { .. }, .. }
    )));
    for host in &pair.hosts {
        assert_eq!(host.endpoint.phase1().count(), 0);
        assert_eq!(host.endpoint.poll_timeout(), None);
    }
}

#[test]
fn a_late_result_is_stale() {
    let mut pair = with_delay(Duration::from_secs(100_000), None);
    pair.connect();
    pair.run_for(Duration::from_secs(1));
    let (_, job) = pair.hosts[0].jobs.pop_front().unwrap();
    let now = pair.now;
    let peer = pair.hosts[0].peer.unwrap();
    pair.hosts[0].endpoint.close(now, peer);
    let state = format!("{:?}", pair.hosts[0].endpoint);
    let outcome = pair.hosts[0].endpoint.handle_job(now, job.run());
    assert_eq!(outcome, Err(Discard::StaleJob));
    assert_eq!(state, format!("{:?}", pair.hosts[0].endpoint));
}

/// While a job is out, other peers are served and duplicates do no harm.
#[test]
fn others_are_served_meanwhile() {
    let mut pair = with_delay(Duration::from_secs(10), None);
    pair.connect();
    pair.run_for(Duration::from_secs(11));
    // The hub computes for the spoke; a second spoke starts.
    let mm1 = pair.hosts[0].sent[0].1.payload.clone();
    let mut other = mm1.to_vec();
    other[0] ^= 1;
    let mut path = pair.path_to(1);
    path.remote = "172.16.1.2:500".parse().unwrap();
    let sent = pair.hosts[1].sent.len();
    pair.deliver(1, path, &other);
    assert_eq!(pair.hosts[1].sent.len(), sent + 1, "MM2 for the other");
    pair.run_for(Duration::from_secs(60));
    pair.assert_connected();
}
