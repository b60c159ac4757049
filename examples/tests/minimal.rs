//! `minimal`: hub and spoke as two processes.

#[allow(dead_code, reason = "each test binary uses its part")]
mod program;

use std::sync::{Mutex, MutexGuard, PoisonError};

use program::{Running, run};

const MINIMAL: &str = env!("CARGO_BIN_EXE_minimal");

/// A program that is being started holds, until it is, the sockets of the tests beside it: a port that
/// was given up could not be taken.
fn one_at_a_time() -> MutexGuard<'static, ()> {
    static STARTING: Mutex<()> = Mutex::new(());
    STARTING.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn the_spoke_pings_through_the_tunnel() {
    let _alone = one_at_a_time();
    let mut hub = Running::start(MINIMAL, &["hub", "127.0.0.1:0"]);
    let hub_address = hub.line_after("listening on ");
    // Two spokes, one after the other: the second takes the first one's place.
    for _ in 0..2 {
        let spoke = run(MINIMAL, &["spoke", "127.0.0.1:0", &hub_address]);
        assert_eq!(spoke.status, 0, "{}{}", spoke.stdout, spoke.stderr);
        let last = spoke.stdout.lines().last();
        assert_eq!(last, Some("10.1.1.254 answers through the tunnel"), "{}", spoke.stdout);
    }
    let peer = hub.line_after("PeerUp");
    assert!(peer.contains("remote: 127.0.0.1:"), "{peer}");
}

/// The spoke retransmits: it may come first.
#[test]
fn the_hub_may_come_later() {
    let _alone = one_at_a_time();
    let free = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let hub_address = free.local_addr().unwrap().to_string();
    let mut spoke = Running::start(MINIMAL, &["spoke", "127.0.0.1:0", &hub_address]);
    // The spoke's first message has come here, so it is lost for the hub.
    let (_, from) = free.recv_from(&mut [0; 2048]).unwrap();
    drop(free);
    let _hub = Running::start(MINIMAL, &["hub", &hub_address]);
    assert_eq!(spoke.line_after("listening on "), from.to_string());
    assert_eq!(spoke.line_after("10.1.1.254 "), "answers through the tunnel");
}

#[test]
fn usage() {
    let _alone = one_at_a_time();
    for arguments in [&[][..], &["hub"], &["spoke", "127.0.0.1:0"], &["router", "127.0.0.1:0"]] {
        let ended = run(MINIMAL, arguments);
        assert_eq!(ended.status, 1);
        assert!(ended.stderr.contains("minimal spoke LISTEN HUB"), "{}", ended.stderr);
    }
}

/// It is there to be read in one go.
#[test]
fn it_is_short() {
    let lines = include_str!("../src/bin/minimal.rs").lines().count();
    assert!(lines < 150, "{lines} lines");
}
