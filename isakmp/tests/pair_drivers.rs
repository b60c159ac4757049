//! The contract's second and third rule: when and in which order the owner calls changes nothing.

#![allow(clippy::wildcard_enum_match_arm, reason = "a test looks at what it is about")]

mod pair;

use core::time::Duration;

use chacha20::rand_core::Rng;
use dmvpn_isakmp::{DeadPeerDetection, Policy, Transmit};
use dmvpn_time::Instant;
use pair::{Driver, Nat, Pair, guide_config};

type Story = (Vec<(Instant, Transmit)>, String, String);

fn story(pair: &Pair) -> Vec<Story> {
    pair.hosts
        .iter()
        .map(|host| {
            (host.sent.clone(), format!("{:#?}", host.events), format!("{:#?}", host.traces))
        })
        .collect()
}

/// Everything that has a timer: loss, re-keying of both phases, dead peer detection, NAT keepalives.
fn scenario(driver: Driver, which: usize) -> Pair {
    let short = Policy { lifetime: 900, ..pair::GUIDE_POLICY };
    let dpd = Some(DeadPeerDetection::default());
    let config = || guide_config().policies(vec![short]).dead_peer_detection(dpd).build().unwrap();
    let spoke = if which == 2 { "192.168.1.2" } else { pair::SPOKE };
    let mut pair = Pair::between(config(), spoke, config(), pair::HUB, 7);
    pair.driver = driver;
    if which == 2 {
        pair.nats.push(Nat::new("192.168.1.2", "198.51.100.7"));
    }
    pair.protect_guide();
    if which == 1 {
        pair.meddler = Some(Box::new(|copies, rng| match rng.next_u32() % 8 {
            0 => copies.clear(),
            1 => copies.push(copies[0].clone()),
            _ => {}
        }));
    }
    pair.connect();
    pair.run_for(Duration::from_secs(4000));
    if which == 0 {
        // Nobody answers any more.
        pair.meddler = Some(Box::new(|copies, _| copies.clear()));
        pair.run_for(Duration::from_secs(200));
    }
    pair
}

#[test]
fn strict_and_nervous_drivers_see_the_same() {
    for which in 0..3 {
        let strict = story(&scenario(Driver::Strict, which));
        let nervous = story(&scenario(Driver::Nervous, which));
        assert!(strict[0].0.len() > 40);
        for (strict, nervous) in strict.iter().zip(&nervous) {
            assert_eq!(strict.0, nervous.0, "transmits, scenario {which}");
            assert!(strict.1 == nervous.1, "events, scenario {which}");
            assert!(strict.2 == nervous.2, "traces, scenario {which}");
        }
    }
}

#[test]
fn a_late_driver_stays_connected() {
    let pair = scenario(Driver::Late, 2);
    pair.assert_connected();
    pair.assert_one_pair();
}

#[test]
fn same_seed_same_bytes() {
    let (one, two) = (scenario(Driver::Strict, 1), scenario(Driver::Strict, 1));
    assert!(story(&one) == story(&two));
}

/// Contract rule 1: time that goes back counts as the latest seen; a jump forward fires once.
#[test]
fn time_may_go_back_and_jump() {
    let mut pair = Pair::guide();
    pair.connect();
    pair.run_for(Duration::from_secs(5));
    let state = format!("{:?}", pair.hosts[0].endpoint);
    pair.hosts[0].endpoint.handle_timeout(Instant::EPOCH);
    assert_eq!(state, format!("{:?}", pair.hosts[0].endpoint));
    let far = pair.now + Duration::from_secs(10 * 86_400);
    let endpoint = &mut pair.hosts[0].endpoint;
    endpoint.handle_timeout(far);
    let transmits = core::iter::from_fn(|| endpoint.poll_transmit()).count();
    assert!(transmits <= 6, "{transmits}");
    endpoint.handle_timeout(far);
    assert!(endpoint.poll_transmit().is_none());
    assert!(endpoint.poll_timeout().is_none_or(|at| at > far));
}
