//! All algorithms, in both roles.

#![allow(clippy::wildcard_enum_match_arm, reason = "a test looks at what it is about")]

mod pair;

use core::time::Duration;

use dmvpn_isakmp::crypto::{Group, HashAlgorithm};
use dmvpn_isakmp::wire::NotifyType;
use dmvpn_isakmp::{
    ChildLifetime, CloseReason, Discard, Encryption, EspEncryption, EspIntegrity, EspProposal,
    Event, Mode, Policy, Protection, Proxies, Remote, Selector, Trace,
};
use pair::{HUB, Pair, SPOKE, TUNNEL, guide_config, guide_protection, ip};

fn run(policy: Policy, change: impl Fn(&mut Protection)) -> Pair {
    let config = || guide_config().policies(vec![policy]).build().unwrap();
    let mut pair = Pair::new(config(), config());
    let mut spoke = guide_protection(SPOKE, Remote::Host(ip(HUB)));
    let mut hub = guide_protection(HUB, Remote::Any);
    change(&mut spoke);
    change(&mut hub);
    let now = pair.now;
    pair.hosts[0].endpoint.protect(now, TUNNEL, spoke);
    pair.hosts[1].endpoint.protect(now, TUNNEL, hub);
    pair.connect();
    pair.run_for(Duration::from_secs(5));
    pair.assert_connected();
    pair
}

#[test]
fn every_phase_1_suite() {
    use Encryption::*;
    for encryption in [TripleDes, Aes128, Aes192, Aes256] {
        for hash in [
            HashAlgorithm::MD5,
            HashAlgorithm::SHA1,
            HashAlgorithm::SHA2_256,
            HashAlgorithm::SHA2_384,
            HashAlgorithm::SHA2_512,
        ] {
            let policy =
                Policy { priority: 5, encryption, hash, group: Group::MODP_768, lifetime: 3600 };
            run(policy, |_| {});
        }
    }
}

#[test]
fn every_group_in_both_phases() {
    let mut groups = vec![
        Group::MODP_768,
        Group::MODP_1024,
        Group::MODP_1536,
        Group::MODP_2048,
        Group::MODP_3072,
        Group::MODP_4096,
    ];
    if cfg!(feature = "ecp") {
        groups.extend([Group::ECP_256, Group::ECP_384]);
    }
    for group in groups {
        let pair = run(Policy { group, ..Policy::STRONG }, |terms| terms.pfs = Some(group));
        let view = pair.hosts[0].endpoint.phase2().next().unwrap();
        assert_eq!(view.pfs, Some(group));
    }
}

#[test]
fn every_esp_transform() {
    use EspEncryption::*;
    use EspIntegrity::*;
    let mut sets = Vec::new();
    for encryption in [TripleDes, Aes128Cbc, Aes192Cbc, Aes256Cbc, Null] {
        for integrity in [HmacMd5, HmacSha1, HmacSha256, HmacSha384, HmacSha512] {
            sets.push(EspProposal { encryption, integrity: Some(integrity) });
        }
    }
    for encryption in [Aes128Gcm16, Aes192Gcm16, Aes256Gcm16] {
        sets.push(EspProposal { encryption, integrity: None });
    }
    for set in sets {
        let pair = run(pair::GUIDE_POLICY, |terms| terms.proposals = vec![set]);
        let sa = pair.hosts[0].inbound()[0];
        assert_eq!(sa.transform, set);
        assert_eq!(sa.keys.dangerous_encryption_key().len(), set.encryption.key_len());
        assert_eq!(sa.keys.dangerous_salt().len(), set.encryption.salt_len());
        let integrity = set.integrity.map_or(0, EspIntegrity::key_len);
        assert_eq!(sa.keys.dangerous_integrity_key().len(), integrity);
    }
}

#[test]
fn tunnel_mode_with_networks_as_proxies() {
    let net = |address, prefix| Selector { address: ip(address), prefix, protocol: 0, port: 0 };
    let config = || guide_config().build().unwrap();
    let mut pair = Pair::new(config(), config());
    let (left, right) = (net("10.1.0.0", 16), net("10.2.3.0", 24));
    let now = pair.now;
    for (host, local, remote, proxies) in [
        (0, SPOKE, HUB, Proxies::Networks { local: left, remote: right }),
        (1, HUB, SPOKE, Proxies::Networks { local: right, remote: left }),
    ] {
        let terms = Protection {
            proxies,
            mode: Mode::Tunnel,
            ..guide_protection(local, Remote::Host(ip(remote)))
        };
        pair.hosts[host].endpoint.protect(now, TUNNEL, terms);
    }
    pair.connect();
    pair.run_for(Duration::from_secs(1));
    pair.assert_connected();
    let sa = pair.hosts[1].inbound()[0];
    assert_eq!((sa.mode, sa.selectors.local, sa.selectors.remote), (Mode::Tunnel, right, left));
}

#[test]
fn the_responders_first_policy_wins_and_ours_is_the_order() {
    let weak = Policy { priority: 20, ..pair::GUIDE_POLICY };
    let strong = Policy { priority: 10, ..Policy::STRONG };
    let spoke = guide_config().policies(vec![weak, strong]).build().unwrap();
    let hub = guide_config().policies(vec![weak, strong]).build().unwrap();
    let mut pair = Pair::new(spoke, hub);
    pair.protect_guide();
    pair.connect();
    pair.run_for(Duration::from_secs(1));
    pair.assert_connected();
    let view = pair.hosts[1].endpoint.phase1().next().unwrap();
    assert_eq!(view.suite.unwrap().group, Group::MODP_2048);
}

#[test]
fn without_a_common_policy_the_initiator_is_told_and_believes_nothing() {
    let spoke = guide_config().build().unwrap();
    let hub = guide_config().policies(vec![Policy::STRONG]).build().unwrap();
    let mut pair = Pair::new(spoke, hub);
    pair.protect_guide();
    pair.connect();
    pair.run_for(Duration::from_secs(1));
    let refused = Discard::UnprotectedNotification(NotifyType::NO_PROPOSAL_CHOSEN);
    assert_eq!(pair.hosts[0].discards, [refused]);
    assert_eq!(pair.hosts[0].endpoint.phase1().count(), 1, "it goes on trying");
    assert_eq!(pair.hosts[1].endpoint.phase1().count(), 0, "nothing is kept");
    pair.run_for(Duration::from_secs(100));
    assert!(matches!(
        pair.hosts[0].events[..],
        [
            Event::Failed { reason: CloseReason::NoAnswer { attempts: 5 }, .. },
            Event::PeerDown { .. }
        ]
    ));
}

#[test]
fn without_a_common_transform_set_the_initiator_learns_why() {
    let config = || guide_config().build().unwrap();
    let mut pair = Pair::new(config(), config());
    let now = pair.now;
    let strong = Protection::gre(ip(HUB), Remote::Any);
    pair.hosts[0].endpoint.protect(now, TUNNEL, guide_protection(SPOKE, Remote::Host(ip(HUB))));
    pair.hosts[1].endpoint.protect(now, TUNNEL, strong);
    pair.connect();
    pair.run_for(Duration::from_secs(1));
    assert!(pair.hosts[0].events.iter().any(|event| matches!(
        event,
        Event::Failed { reason: CloseReason::PeerRefused(NotifyType::NO_PROPOSAL_CHOSEN), .. }
    )));
    let refusal = Trace::Discarded(Discard::NoProposalChosen);
    assert!(pair.hosts[1].traces.iter().any(|record| record.trace == refusal));
    assert_eq!(pair.hosts[1].endpoint.phase2().count(), 0);
}

#[test]
fn a_wrong_pre_shared_key_is_named_and_leaves_nothing() {
    let spoke = guide_config().build().unwrap();
    let mut key = pair::keyring();
    key[0] = dmvpn_isakmp::PreSharedKey::new(ip("0.0.0.0"), 0, b"cisco124");
    let hub = dmvpn_isakmp::Config::builder(dmvpn_isakmp::crypto::Provider::rustcrypto(), key)
        .policies(vec![pair::GUIDE_POLICY])
        .build()
        .unwrap();
    let mut pair = Pair::new(spoke, hub);
    pair.protect_guide();
    pair.connect();
    pair.run_for(Duration::from_secs(200));
    assert!(!pair.hosts[1].discards.is_empty());
    assert!(
        pair.hosts[1].discards.iter().all(|discard| matches!(
            discard,
            Discard::PreSharedKeyMismatch(_)
                | Discard::MissingPayload(_)
                | Discard::UnknownCookies { .. }
        )),
        "{:?}",
        pair.hosts[1].discards
    );
    assert!(matches!(
        pair.hosts[0].events[..],
        [Event::Failed { reason: CloseReason::AuthenticationFailed, .. }, Event::PeerDown { .. }]
    ));
    for host in &pair.hosts {
        assert_eq!(host.endpoint.phase1().count(), 0);
        assert_eq!(host.endpoint.peers().count(), 0);
        assert_eq!(host.endpoint.poll_timeout(), None);
    }
}

/// A responder with shorter lifetimes says so in both phases.
#[test]
fn shorter_lifetimes_of_the_responder_are_announced() {
    let spoke = guide_config().build().unwrap();
    let short = Policy { lifetime: 3000, ..pair::GUIDE_POLICY };
    let hub = guide_config().policies(vec![short]).build().unwrap();
    let mut pair = Pair::new(spoke, hub);
    let now = pair.now;
    pair.hosts[0].endpoint.protect(now, TUNNEL, guide_protection(SPOKE, Remote::Host(ip(HUB))));
    let lifetime = ChildLifetime { seconds: 600, kilobytes: Some(1000) };
    let terms = Protection { lifetime, ..guide_protection(HUB, Remote::Any) };
    pair.hosts[1].endpoint.protect(now, TUNNEL, terms);
    pair.connect();
    pair.run_for(Duration::from_secs(1));
    pair.assert_connected();
    for host in &pair.hosts {
        let view = host.endpoint.phase1().next().unwrap();
        assert!(view.remaining.unwrap() <= Duration::from_secs(3000), "{:?}", view.remaining);
        let child = host.endpoint.phase2().next().unwrap();
        assert_eq!(child.lifetime.seconds, 600);
        assert!(child.lifetime.kilobytes.unwrap() <= 1000);
    }
}

#[test]
fn a_mismatch_of_perfect_forward_secrecy_reads_as_text() {
    let text = |peer, ours| Discard::PfsMismatch { peer, ours }.to_string();
    assert_eq!(
        text(Some(Group::MODP_768), None),
        "peer's perfect forward secrecy is group 1, ours none"
    );
    assert_eq!(
        text(None, Some(Group::MODP_2048)),
        "peer's perfect forward secrecy is none, ours group 14"
    );
}
