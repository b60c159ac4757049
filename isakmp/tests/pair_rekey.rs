//! Re-keying, expiry, restarts: two days of virtual time.

#![allow(clippy::wildcard_enum_match_arm, reason = "a test looks at what it is about")]

mod pair;

use core::time::Duration;

use chacha20::rand_core::Rng;
use dmvpn_isakmp::{
    ChildLifetime, CloseReason, DeadPeerDetection, Event, Policy, Protection, Rekeying, Remote,
    Role,
};
use pair::{HUB, Pair, SPOKE, TUNNEL, guide_config, guide_protection, ip};

fn no_leaks(pair: &Pair) {
    for host in &pair.hosts {
        let endpoint = &host.endpoint;
        assert_eq!(endpoint.peers().count(), 1);
        assert!(endpoint.phase1().count() <= 2, "{:#?}", endpoint.phase1().collect::<Vec<_>>());
        assert!(endpoint.phase2().count() <= 2, "{:#?}", endpoint.phase2().collect::<Vec<_>>());
        assert_eq!(endpoint.phase2().count() * 2, host.installed.len());
    }
}

#[test]
fn two_days_of_rekeying() {
    let mut pair = Pair::guide();
    pair.connect();
    for _ in 0..96 {
        pair.run_for(Duration::from_secs(1800));
        pair.assert_connected();
        no_leaks(&pair);
    }
    pair.assert_one_pair();
    for host in &pair.hosts {
        let counters = host.endpoint.counters();
        // 48 hours: a pair an hour and a phase 1 a day, a little more often than they expire.
        assert!((48..=52).contains(&counters.phase2_completed), "{counters:?}");
        assert!((3..=4).contains(&counters.phase1_completed), "{counters:?}");
        assert_eq!((counters.failed, counters.deviations), (0, 0));
        assert!(
            !host.events.iter().any(|event| matches!(
                event,
                Event::RemoveSa { reason: CloseReason::Expired, .. }
                    | Event::Failed { .. }
                    | Event::PeerDown { .. }
            )),
            "no SA is missed for a moment"
        );
    }
}

#[test]
fn two_days_over_a_lossy_path() {
    let mut pair = Pair::guide();
    pair.connect();
    pair.run_for(Duration::from_secs(5));
    pair.meddler = Some(Box::new(|copies, rng| match rng.next_u32() % 10 {
        0 => copies.clear(),
        1 => copies.push(copies[0].clone()),
        _ => {}
    }));
    pair.run_for(Duration::from_secs(48 * 3600));
    pair.meddler = None;
    pair.run_for(Duration::from_secs(7200));
    pair.assert_connected();
    pair.assert_one_pair();
    no_leaks(&pair);
}

/// Each of the two knows the other's address.
fn both_can_call(seed: u64) -> Pair {
    let config = || guide_config().build().unwrap();
    let mut pair = Pair::between(config(), SPOKE, config(), HUB, seed);
    let now = pair.now;
    for (host, local, remote) in [(0, SPOKE, HUB), (1, HUB, SPOKE)] {
        let terms = guide_protection(local, Remote::Host(ip(remote)));
        pair.hosts[host].endpoint.protect(now, TUNNEL, terms);
    }
    pair
}

/// Both sides think that they must: one pair and one phase 1 SA remain.
#[test]
fn simultaneous_initiations_resolve_to_one_pair() {
    for seed in 0..20 {
        let mut pair = both_can_call(seed);
        if seed % 2 == 0 {
            // Jitter, so that the messages of the two exchanges interleave differently.
            pair.meddler = Some(Box::new(|_, _| {}));
        }
        pair.connect_to(0, ip(HUB));
        pair.run_for(Duration::from_millis(seed * 4));
        pair.connect_to(1, ip(SPOKE));
        pair.run_for(Duration::from_secs(300));
        pair.assert_connected();
        pair.assert_one_pair();
        for host in &pair.hosts {
            assert_eq!(host.endpoint.peers().count(), 1, "seed {seed}");
            assert_eq!(host.endpoint.phase1().count(), 1, "seed {seed}");
            assert_eq!(host.endpoint.phase2().count(), 1, "seed {seed}");
        }
        pair.run_for(Duration::from_secs(12 * 3600));
        pair.assert_one_pair();
        pair.assert_connected();
    }
}

/// The hub calls first, but its first message gets through only when the spoke's own main mode is
/// complete. Both sides have to find the same one of the two superfluous, or both are deleted.
#[test]
fn a_main_mode_that_began_before_the_other_and_was_heard_of_after_it() {
    for seed in 0..20 {
        let mut pair = both_can_call(seed);
        pair.connect_to(1, ip(SPOKE));
        pair.cut();
        pair.run_for(Duration::from_millis(500));
        pair.connect_to(0, ip(HUB));
        pair.run_for(Duration::from_secs(120));
        for host in &pair.hosts {
            assert_eq!(host.endpoint.phase1().count(), 1, "seed {seed}");
        }
        pair.assert_connected();
        pair.assert_one_pair();
    }
}

/// A grace period does not prolong the life of a phase 1 SA that was replaced.
#[test]
fn a_replaced_phase_1_ends_with_its_lifetime() {
    let config = || {
        let rekeying = Rekeying { grace: Duration::from_secs(86_400), ..Rekeying::default() };
        let policy = Policy { lifetime: 600, ..pair::GUIDE_POLICY };
        guide_config().policies(vec![policy]).rekeying(rekeying).build().unwrap()
    };
    let mut pair = Pair::new(config(), config());
    pair.protect_guide();
    pair.connect();
    let alive = |pair: &Pair| pair.hosts.each_ref().map(|host| host.endpoint.phase1().count());
    // Renewed between one and two minutes before its end.
    pair.run_for(Duration::from_secs(595));
    assert_eq!(alive(&pair), [2, 2]);
    // Neither hears the other's delete.
    pair.meddler = Some(Box::new(|copies, _| copies.clear()));
    pair.run_for(Duration::from_secs(10));
    assert_eq!(alive(&pair), [1, 1]);
}

/// strongSwan leaves what it has replaced to its lifetime. Whichever side re-keys, and whosever SPIs
/// are the lower, only one pair is re-keyed from here on.
#[test]
fn a_peer_that_deletes_nothing_gets_one_pair() {
    for seed in 0..20 {
        let ours = guide_config().build().unwrap();
        let never = Rekeying { grace: Duration::from_secs(24 * 3600), ..Rekeying::default() };
        let theirs = guide_config().rekeying(never).build().unwrap();
        let mut pair = Pair::between(ours, SPOKE, theirs, HUB, seed);
        pair.protect_guide();
        pair.connect();
        pair.run_for(Duration::from_secs(5));
        for who in [&[1][..], &[1], &[0, 1], &[1], &[0]] {
            let now = pair.now;
            for host in who {
                let host = &mut pair.hosts[*host];
                let (peer, spi) = host.outbound.iter().next().expect("an outbound SA is enabled");
                host.endpoint.handle_soft_expire(now, *peer, *spi);
            }
            pair.run_for(Duration::from_secs(60));
            let current = pair.hosts[0].endpoint.phase2().filter(|view| !view.superseded);
            assert_eq!(current.count(), 1, "seed {seed}, after {who:?} re-keyed");
            pair.assert_connected();
        }
        // And after a lifetime nothing else is left.
        pair.run_for(Duration::from_secs(7200));
        assert!(pair.hosts[0].endpoint.phase2().count() <= 2, "seed {seed}");
        pair.assert_connected();
    }
}

/// Whichever of two pairs is left in the end, it is re-keyed in time by whoever is first.
#[test]
fn the_pair_that_is_left_counts() {
    for seed in 0..20 {
        let config = || guide_config().build().unwrap();
        let mut pair = Pair::between(config(), SPOKE, config(), HUB, seed);
        pair.protect_guide();
        pair.connect();
        pair.run_for(Duration::from_secs(5));
        for who in [1, 0, 1] {
            let now = pair.now;
            let host = &mut pair.hosts[who];
            let (peer, spi) = host.outbound.iter().next().expect("an outbound SA is enabled");
            host.endpoint.handle_soft_expire(now, *peer, *spi);
            pair.run_for(Duration::from_secs(60));
            pair.assert_one_pair();
            pair.assert_connected();
            no_leaks(&pair);
        }
    }
}

#[test]
fn the_volume_limit_rekeys_and_then_removes() {
    let mut pair = Pair::guide();
    let peer = pair.connect();
    pair.run_for(Duration::from_secs(5));
    let first = pair.hosts[0].outbound[&peer];
    let now = pair.now;
    pair.hosts[0].endpoint.handle_soft_expire(now, peer, first);
    pair.hosts[0].endpoint.handle_soft_expire(now, peer, first);
    pair.run_for(Duration::from_secs(15));
    let second = pair.hosts[0].outbound[&peer];
    assert_ne!(first, second);
    let replaced = pair.hosts[0].events.iter().filter_map(|event| match event {
        Event::InstallSa(sa) => sa.rekey_of,
        _ => None,
    });
    assert_eq!(replaced.count(), 2);
    // The old pair stays for packets on the way, then it is deleted on both sides.
    assert_eq!(pair.hosts[0].inbound().len(), 2);
    pair.run_for(Duration::from_secs(60));
    assert_eq!(pair.hosts[0].inbound().len(), 1);
    assert_eq!(pair.hosts[1].inbound().len(), 1);
    pair.assert_connected();
    // The hard limit takes the pair at once.
    let now = pair.now;
    pair.hosts[0].endpoint.handle_hard_expire(now, peer, second);
    pair.run_for(Duration::from_secs(1));
    assert!(pair.hosts.iter().all(|host| host.installed.is_empty()));
    assert!(
        pair.hosts[0].events.iter().any(|event| matches!(
            event,
            Event::RemoveSa { reason: CloseReason::VolumeExpired, .. }
        ))
    );
    pair.connect();
    pair.run_for(Duration::from_secs(1));
    pair.assert_connected();
}

#[test]
fn volume_limits_are_jittered_downwards() {
    let pair = {
        let mut pair = Pair::guide();
        pair.connect();
        pair.run_for(Duration::from_secs(1));
        pair
    };
    for host in &pair.hosts {
        let lifetime = host.inbound()[0].lifetime;
        let hard = lifetime.kilobytes.unwrap();
        assert!((4_469_760..=4_608_000).contains(&hard), "{hard}");
        assert_eq!(lifetime.soft_kilobytes.unwrap(), (u64::from(hard) * 90 / 100) as u32);
    }
}

/// Children live on when phase 1 is gone, and phase 1 comes back when it is needed.
#[test]
fn children_survive_phase_1() {
    let short = Policy { lifetime: 600, ..pair::GUIDE_POLICY };
    let config = || guide_config().policies(vec![short]).build().unwrap();
    let mut pair = Pair::new(config(), config());
    pair.protect_guide();
    let peer = pair.connect();
    pair.run_for(Duration::from_secs(5));
    let spi = pair.hosts[0].outbound[&peer];
    pair.run_for(Duration::from_secs(3000));
    assert_eq!(pair.hosts[0].outbound[&peer], spi, "the same pair after five phase 1 SAs");
    assert!(pair.hosts[0].endpoint.counters().phase1_completed >= 5);
    assert_eq!(pair.hosts[0].peer, Some(peer), "and the same peer");
    pair.assert_connected();
    no_leaks(&pair);
}

#[test]
fn a_restarted_spoke_replaces_what_the_hub_remembers() {
    let mut pair = Pair::guide();
    pair.connect();
    pair.run_for(Duration::from_secs(5));
    pair.restart(0, guide_config().build().unwrap(), 100);
    pair.connect();
    pair.run_for(Duration::from_secs(5));
    pair.assert_connected();
    pair.assert_one_pair();
    let hub = &pair.hosts[1];
    assert_eq!(hub.endpoint.phase1().count(), 1);
    assert_eq!(hub.endpoint.phase2().count(), 1);
    assert_eq!(hub.endpoint.peers().count(), 1);
    let removed = hub.events.iter().filter(|event| {
        matches!(event, Event::RemoveSa { reason: CloseReason::InitialContact, .. })
    });
    assert_eq!(removed.count(), 2);
}

#[test]
fn a_restarted_hub_is_found_out_by_dead_peer_detection() {
    let dpd = Some(DeadPeerDetection::default());
    let config = || guide_config().dead_peer_detection(dpd).build().unwrap();
    let mut pair = Pair::new(config(), config());
    pair.protect_guide();
    pair.connect();
    pair.run_for(Duration::from_secs(5));
    pair.restart(1, config(), 100);
    pair.run_for(Duration::from_secs(60));
    assert!(pair.hosts[0].events.iter().any(|event| matches!(
        event,
        Event::PeerDown { reason: CloseReason::PeerDead { attempts: 5 }, .. }
    )));
    assert!(pair.hosts[0].installed.is_empty());
    assert_eq!(pair.hosts[0].endpoint.peers().count(), 0);
    pair.connect();
    pair.run_for(Duration::from_secs(300));
    pair.assert_connected();
    pair.assert_one_pair();
}

#[test]
fn dead_peer_detection_asks_only_in_silence() {
    let dpd = Some(DeadPeerDetection::default());
    let config = || guide_config().dead_peer_detection(dpd).build().unwrap();
    let mut pair = Pair::new(config(), config());
    pair.protect_guide();
    let peer = pair.connect();
    pair.run_for(Duration::from_secs(5));
    let sent = pair.hosts[0].sent.len();
    // The hub, too, hears traffic.
    for _ in 0..30 {
        pair.run_for(Duration::from_secs(5));
        let now = pair.now;
        pair.hosts[0].endpoint.handle_traffic(now, peer);
        let hub_peer = pair.hosts[1].peer.unwrap();
        pair.hosts[1].endpoint.handle_traffic(now, hub_peer);
    }
    assert_eq!(pair.hosts[0].sent.len(), sent, "traffic is sign enough");
    pair.run_for(Duration::from_secs(3600));
    assert!(pair.hosts[0].sent.len() > sent + 100);
    pair.assert_connected();
}

#[test]
fn closing_tells_the_peer() {
    for side in [0, 1] {
        let mut pair = Pair::guide();
        pair.connect();
        pair.run_for(Duration::from_secs(5));
        let (now, peer) = (pair.now, pair.hosts[side].peer.unwrap());
        pair.hosts[side].endpoint.close(now, peer);
        pair.run_for(Duration::from_secs(1));
        for host in &pair.hosts {
            assert!(host.installed.is_empty());
            assert_eq!(host.endpoint.phase1().count(), 0);
            assert_eq!(host.endpoint.peers().count(), 0);
            assert_eq!(host.endpoint.poll_timeout(), None, "{:#?}", host.endpoint);
        }
        assert!(matches!(
            pair.hosts[1 - side].events.last(),
            Some(Event::PeerDown { reason: CloseReason::PeerDeleted, .. })
        ));
        pair.connect();
        pair.run_for(Duration::from_secs(5));
        pair.assert_connected();
    }
}

#[test]
fn removing_the_protection_takes_its_sas() {
    let mut pair = Pair::guide();
    pair.connect();
    pair.run_for(Duration::from_secs(5));
    let now = pair.now;
    pair.hosts[0].endpoint.unprotect(now, TUNNEL);
    pair.run_for(Duration::from_secs(1));
    for host in &pair.hosts {
        assert!(host.installed.is_empty());
        assert_eq!(host.endpoint.peers().count(), 0);
        assert_eq!(host.endpoint.poll_timeout(), None);
    }
}

#[test]
fn perfect_forward_secrecy_survives_rekeying_and_is_required_if_configured() {
    use dmvpn_isakmp::crypto::Group;
    let run = |spoke: Option<Group>, hub: Option<Group>| {
        let mut pair = Pair::guide();
        let now = pair.now;
        let lifetime = ChildLifetime { seconds: 600, kilobytes: None };
        let terms = |local: &str, remote, pfs| Protection {
            pfs,
            lifetime,
            ..guide_protection(local, remote)
        };
        let (left, right) =
            (terms(SPOKE, Remote::Host(ip(HUB)), spoke), terms(HUB, Remote::Any, hub));
        pair.hosts[0].endpoint.protect(now, TUNNEL, left);
        pair.hosts[1].endpoint.protect(now, TUNNEL, right);
        pair.connect();
        pair.run_for(Duration::from_secs(3000));
        pair
    };
    let group = Some(Group::MODP_1024);
    let both = run(group, group);
    both.assert_connected();
    both.assert_one_pair();
    // A hub without it grants it; re-keyings that the hub starts have none then.
    run(group, None).hosts[0].endpoint.phase2().next().unwrap();
    assert_eq!(run(None, group).hosts[0].endpoint.phase2().count(), 0);
    assert_eq!(run(Some(Group::MODP_768), group).hosts[0].endpoint.phase2().count(), 0);
}

/// A lifetime counts from when the SA came up, whenever it is announced, and only shortens it.
#[test]
fn a_late_announcement_does_not_lengthen_the_lifetime() {
    let hub = Policy { lifetime: 300, ..pair::GUIDE_POLICY };
    let hub = guide_config().policies(vec![hub]).build().unwrap();
    let mut pair = Pair::new(guide_config().build().unwrap(), hub);
    pair.protect_guide();
    // The hub's first protected message of its own is the announcement: it comes late.
    let announcement = |message: &[u8]| message.get(18) == Some(&5);
    pair.meddler = Some(Box::new(move |copies, _| copies.retain(|message| !announcement(message))));
    pair.connect();
    pair.run_for(Duration::from_secs(5));
    pair.assert_connected();
    let late = pair.hosts[1].sent.iter().find(|(_, t)| announcement(&t.payload)).unwrap();
    let late = late.1.payload.clone();
    pair.run_for(Duration::from_secs(95));
    let path = pair.path_to(0);
    pair.deliver(0, path, &late);
    let remaining = pair.hosts[0].endpoint.phase1().next().unwrap().remaining.unwrap();
    assert!((195..=200).contains(&remaining.as_secs()), "{remaining:?}");
}

/// The initiator may count on a longer lifetime than the responder does. A peer may take its pairs along with the phase 1
/// SA that is deleted, so that the responder negotiates anew before.
#[test]
fn a_responder_whose_lifetime_is_the_shorter_negotiates_before_it_ends() {
    let short = Policy { lifetime: 600, ..pair::GUIDE_POLICY };
    let hub = guide_config().policies(vec![short]).build().unwrap();
    // It takes its time, as one would for whom the lifetime is longer.
    let rekeying = Rekeying { margin: Duration::ZERO, ..Rekeying::default() };
    let spoke = guide_config().rekeying(rekeying).build().unwrap();
    let mut pair = Pair::new(spoke, hub);
    pair.protect_guide();
    pair.connect();
    pair.run_for(Duration::from_secs(5));
    let mut overlapping = 0;
    for _ in 0..300 {
        pair.run_for(Duration::from_secs(10));
        let established = pair.hosts[1].endpoint.phase1().filter(|sa| sa.remaining.is_some());
        let roles: Vec<Role> = established.map(|sa| sa.role).collect();
        assert!((1..=2).contains(&roles.len()), "at {:?}", pair.now);
        overlapping += usize::from(roles.contains(&Role::Initiator) && roles.len() == 2);
    }
    assert!(overlapping >= 1, "a new one is up before the old one ends");
    pair.assert_connected();
    no_leaks(&pair);
    let counters = pair.hosts[1].endpoint.counters();
    assert!((5..=8).contains(&counters.phase1_completed), "{counters:?}");
}

/// What the peer has begun when it had the other already replaces it, whosever cookies are the lower:
/// strongSwan serves no quick mode in an SA that it is replacing, and forgets it when one comes.
#[test]
fn what_the_peer_negotiates_anew_is_used_from_then_on() {
    for seed in 0..20 {
        let short = Policy { lifetime: 600, ..pair::GUIDE_POLICY };
        let hub = guide_config().policies(vec![short]).build().unwrap();
        let rekeying = Rekeying { margin: Duration::ZERO, ..Rekeying::default() };
        let spoke = guide_config().rekeying(rekeying).build().unwrap();
        let mut pair = Pair::between(spoke, SPOKE, hub, HUB, seed);
        pair.protect_guide();
        pair.connect();
        pair.run_for(Duration::from_secs(5));
        let by_hub = |pair: &Pair| {
            let mut views = pair.hosts[0].endpoint.phase1();
            views.find(|sa| sa.role == Role::Responder && sa.remaining.is_some())
        };
        while by_hub(&pair).is_none() {
            pair.run_for(Duration::from_millis(100));
        }
        let new = by_hub(&pair).unwrap().cookies;
        pair.run_for(Duration::from_millis(100));
        let (now, before) = (pair.now, pair.hosts[0].sent.len());
        let (peer, spi) = pair.hosts[0].outbound.iter().next().unwrap();
        let (peer, spi) = (*peer, *spi);
        pair.hosts[0].endpoint.handle_soft_expire(now, peer, spi);
        pair.drain();
        let (_, first) = &pair.hosts[0].sent[before];
        let cookies = [new.0.0, new.1.0].concat();
        assert_eq!(first.payload[..16], cookies, "seed {seed}");
        pair.run_for(Duration::from_secs(60));
        for host in &pair.hosts {
            assert_eq!(host.endpoint.phase1().count(), 1, "seed {seed}");
        }
    }
}
