//! Loss, duplication, reordering, corruption, truncation.

#![allow(clippy::wildcard_enum_match_arm, reason = "a test looks at what it is about")]

mod pair;

extern crate alloc;

use alloc::collections::BTreeMap;
use core::time::Duration;

use bytes::Bytes;
use chacha20::rand_core::Rng;
use dmvpn_isakmp::Path;
use pair::{Pair, guide_config};

/// Every transmission of a message is the same bytes.
fn assert_retransmissions_identical(pair: &Pair) {
    for host in &pair.hosts {
        let mut by_header: BTreeMap<Vec<u8>, Vec<Bytes>> = BTreeMap::new();
        for (_, transmit) in host.sent.iter().filter(|(_, sent)| sent.payload.len() > 1) {
            // Cookies, exchange and message ID name a quick mode message of this side up to its
            // second; main mode's are told apart by their length.
            let mut key = transmit.payload[..24].to_vec();
            key.extend(transmit.payload.len().to_be_bytes());
            by_header.entry(key).or_default().push(transmit.payload.clone());
        }
        for copies in by_header.values() {
            assert!(copies.iter().all(|copy| copy == &copies[0]));
        }
    }
}

#[test]
fn a_bad_path_delays_but_does_not_confuse() {
    let mut retransmitted = 0;
    for seed in 0..60 {
        let config = || guide_config().build().unwrap();
        let mut pair = Pair::between(config(), pair::SPOKE, config(), pair::HUB, seed);
        pair.protect_guide();
        pair.meddler = Some(Box::new(|copies, rng| {
            match rng.next_u32() % 20 {
                // Some is lost, some is doubled, some is damaged and some is both.
                0..=2 => copies.clear(),
                3..=4 => copies.push(copies[0].clone()),
                5..=6 => {
                    let mut damaged = copies[0].to_vec();
                    let at = rng.next_u32() as usize % damaged.len();
                    damaged[at] ^= 1 << (rng.next_u32() % 8);
                    copies.insert(0, damaged.into());
                }
                _ => {}
            }
        }));
        // Whoever wants an SA asks again when it failed.
        for _ in 0..6 {
            pair.connect();
            pair.run_for(Duration::from_secs(120));
        }
        pair.meddler = None;
        pair.run_for(Duration::from_secs(120));
        pair.connect();
        pair.run_for(Duration::from_secs(120));
        pair.assert_connected();
        assert_retransmissions_identical(&pair);
        retransmitted += pair.hosts[0].endpoint.counters().retransmitted;
        for host in &pair.hosts {
            assert!(host.endpoint.phase1().all(|view| view.peer.is_some()), "no half-open left");
        }
    }
    assert!(retransmitted > 60, "{retransmitted}");
}

#[test]
fn everything_twice_changes_nothing() {
    let mut once = Pair::guide();
    once.connect();
    once.run_for(Duration::from_secs(5));
    let mut twice = Pair::guide();
    twice.meddler = Some(Box::new(|copies, _| copies.push(copies[0].clone())));
    twice.connect();
    twice.run_for(Duration::from_secs(5));
    twice.assert_connected();
    twice.assert_one_pair();
    for (once, twice) in once.hosts.iter().zip(&twice.hosts) {
        assert_eq!(format!("{:?}", once.events), format!("{:?}", twice.events));
    }
    assert!(twice.hosts[1].endpoint.counters().duplicates > 0);
}

/// A datagram lost once, any of them, is made up for.
#[test]
fn each_message_may_be_lost() {
    for lost in 0..9 {
        let mut pair = Pair::guide();
        let mut number = 0;
        pair.meddler = Some(Box::new(move |copies, _| {
            if number == lost {
                copies.clear();
            }
            number += 1;
        }));
        pair.connect();
        pair.run_for(Duration::from_secs(10));
        pair.assert_connected();
        pair.assert_one_pair();
    }
}

/// Each message, cut after each byte and with each byte changed, before the message itself.
#[test]
fn truncated_and_damaged_messages_change_nothing() {
    let mut script = Pair::guide();
    script.connect();
    script.run_for(Duration::from_secs(5));
    let count = script.sent_datagrams;
    for number in 0..count {
        let mut pair = Pair::guide();
        pair.connect();
        // Let the exchange come up to that message, then hold it.
        let mut passed = 0;
        while passed < number {
            let (to, path, payload) = pair.take_next().unwrap();
            pair.deliver(to, path, &payload);
            passed += 1;
        }
        let (to, path, payload) = pair.take_next().unwrap();
        for cut in 0..payload.len() {
            pair.deliver(to, path, &payload[..cut]);
        }
        let first_message = number == 0;
        if !first_message {
            for at in 0..payload.len() {
                let mut damaged = payload.to_vec();
                damaged[at] ^= 0x10;
                // In clear, a changed byte of a value is as good a message as any: only what is
                // protected is proof against it.
                // The flags are not, nor is padding, of which the last block may consist, nor the
                // notification in MM5.
                let end = if number == 4 { 64 } else { payload.len() - 8 };
                let protected = at != 19 && at < end;
                if number >= 4 && protected {
                    pair.deliver(to, path, &damaged);
                }
            }
        }
        assert!(pair.take_next().is_none(), "message {number} was answered");
        pair.deliver(to, path, &payload);
        pair.run_for(Duration::from_secs(5));
        pair.assert_connected();
        pair.assert_one_pair();
    }
}

/// A half-open negotiation hears only its peer, an established SA is not moved by strangers.
#[test]
fn messages_from_elsewhere() {
    let mut pair = Pair::guide();
    pair.connect();
    let stranger = |path: Path| Path { remote: "192.0.2.66:500".parse().unwrap(), ..path };
    let mut passed = 0;
    while let Some((to, path, payload)) = pair.take_next() {
        if passed > 0 && passed < 6 {
            pair.deliver(to, stranger(path), &payload);
            assert!(!pair.hosts[to].discards.is_empty());
        }
        pair.deliver(to, path, &payload);
        passed += 1;
    }
    pair.assert_connected();
    for host in &pair.hosts {
        assert!(host.endpoint.peers().all(|peer| peer.path.remote.port() == 500));
        assert!(
            host.endpoint.peers().all(|peer| peer.path.remote.ip().to_string() != "192.0.2.66")
        );
    }
}
