//! The recorded handshakes replayed through our endpoint, as initiator and as responder, with the
//! recorded exponents, nonces, cookies, SPIs and message IDs.
//!
//! All 21 scenarios, that of aggressive mode in a test of its own (the last one). `recorded_derivations.rs` checks what these two derive, too.

#![cfg(feature = "rustcrypto")]

extern crate alloc;

#[path = "../known_answers/mod.rs"]
mod known_answers;
mod run;
mod script;
mod setup;

use alloc::collections::BTreeSet;

use dmvpn_isakmp::{
    Discard, Jobs, Role,
    wire::{ExchangeType, NotifyType},
};

use known_answers::Scenario;
use run::{Outcome, replay};

/// Where our messages differ from those of the peer we play, and why. Everything else is equal:
/// cookies, flags, message IDs, SA payloads of phase 1, public values, nonces, NAT-D, NAT-OA, hashes,
/// lifetimes, padding.
const DIFFERENCES: &[(&str, &str)] = &[
    ("MM1 vendor id payload", "NAT traversal alone, in four versions, as IOS; charon also others"),
    ("MM2 vendor id payload", "the NAT traversal version alone, as IOS"),
    ("MM3 vendor id payload", "DPD, IOS and XAUTH come here, as from IOS; charon sends none"),
    ("MM4 vendor id payload", "Unity, DPD and IOS come here, as from IOS; charon sends none"),
    ("MM1 fragments", "none yet; charon was made to cut it before it knew the other side"),
    ("fragment id", "from the message, so that two do not mix; charon's is always 1"),
    ("MM1 port", "forced encapsulation: 4500 from the start, with the marker"),
    ("MM3 port", "the same; charon changes with MM5"),
    ("MM3 NAT-D payload", "the port that is hashed is that one"),
    ("MM5 ID payload", "protocol 17 and port 500, as IOS; charon's are zero (RFC 2407 §4.6.2)"),
    ("MM6 ID payload", "the same"),
    ("QM1 SA payload's order", "attributes in IOS's order, each transform set a proposal"),
    ("QM2 ID payload", "unchanged; charon puts the NAT's address for the initiator's"),
    ("INFO NOTIFY payload", "no SPI in a refusal; each R-U-THERE has a number of its own"),
    ("INFO responder cookie", "a refused MM1 gets no cookie"),
    (
        "INFO not sent",
        "no refusal of an undecryptable MM5; the initiator deletes a replaced SA, once what is on \
         its way is in",
    ),
];

const ROLES: [Role; 2] = [Role::Initiator, Role::Responder];

/// Every scenario that main mode and quick mode can play.
fn scenarios() -> impl Iterator<Item = Scenario> {
    let all = Scenario::all().into_iter().filter(|s| !s.name.starts_with("am-"));
    all.map(Scenario::with_whole_messages)
}

fn played(name: &str, role: Role) -> Outcome {
    replay(&Scenario::named(name), role, Jobs::Inline)
}

#[test]
fn our_messages_differ_only_as_listed() {
    let mut differences = BTreeSet::new();
    let (mut equal, mut accepted, mut keys) = (0, 0, 0);
    for scenario in scenarios() {
        for role in ROLES {
            println!("{} as {role:?}", scenario.name);
            let outcome = replay(&scenario, role, Jobs::Inline);
            equal += outcome.equal;
            accepted += outcome.accepted;
            keys += outcome.check_keys(&scenario, role);
            differences.extend(outcome.differences);
            // What the recorded hub would have answered had it not been killed.
            let beyond = match (scenario.name.as_str(), role) {
                ("dpd-dead-peer", Role::Responder) => vec![ExchangeType::INFORMATIONAL; 3],
                _ => Vec::new(),
            };
            assert_eq!(outcome.beyond, beyond);
            if !scenario.name.starts_with("fail-") {
                assert_eq!(outcome.discarded, []);
            }
        }
    }
    let listed: BTreeSet<_> = DIFFERENCES.iter().map(|(what, _)| (*what).to_owned()).collect();
    assert_eq!(differences, listed);
    assert_eq!((equal, accepted, keys), (83, 226, 80));
}

/// With the exponentiations on other threads everything is the same.
#[test]
fn jobs_out_of_line_change_nothing() {
    for scenario in scenarios() {
        for role in ROLES {
            let inline = replay(&scenario, role, Jobs::Inline);
            let outside = replay(&scenario, role, Jobs::OutOfLine);
            assert_eq!(inline.summary(), outside.summary(), "{} as {role:?}", scenario.name);
            assert_eq!(inline.differences, outside.differences);
            assert_eq!((inline.equal, inline.accepted), (outside.equal, outside.accepted));
        }
    }
}

/// Up, one pair of SAs, down: what the owner of the endpoint is told.
#[test]
fn handshakes_lead_to_the_recorded_sas() {
    let names = [
        "cisco-like-lifetimes",
        "data-3des-sha1",
        "data-aes256gcm16",
        "encap-forced",
        "fragmentation",
        "mm-3des-md5-modp1024",
        "mm-3des-sha1-modp768",
        "mm-3des-sha1-modp768-pfs",
        "mm-aes128-sha1-modp1024-pfs",
        "mm-aes256-sha256-modp2048",
        "mm-many-proposals",
        "mm-tunnel",
        "nat-mm-3des-sha1-modp768",
    ];
    for name in names {
        let scenario = Scenario::named(name).with_whole_messages();
        let child = scenario.sections("child_sa").next().unwrap();
        let (spi_i, spi_r) = (child.word("spi_i"), child.word("spi_r"));
        let mode = if matches!(child.text("attributes.encap_mode"), "1" | "3") {
            "Tunnel"
        } else {
            "Transport"
        };
        for role in ROLES {
            let (ours, theirs, identity, end) = match role {
                Role::Initiator => (spi_i, spi_r, "172.16.10.1", "cleared by its owner"),
                Role::Responder if name.starts_with("nat-") => {
                    (spi_r, spi_i, "192.168.7.1", "peer deleted it")
                }
                Role::Responder => (spi_r, spi_i, "172.16.1.1", "peer deleted it"),
            };
            // Who is behind a NAT, we and the peer, seen from here.
            let nat = match (name, role) {
                ("nat-mm-3des-sha1-modp768", Role::Initiator) => "true false",
                // Our MM1 went to port 4500, which the recorded peer did not see: it takes us for
                // behind a NAT, as it is meant to.
                ("data-3des-sha1" | "data-aes256gcm16" | "encap-forced", Role::Initiator) => {
                    "true true"
                }
                (
                    "data-3des-sha1"
                    | "data-aes256gcm16"
                    | "encap-forced"
                    | "nat-mm-3des-sha1-modp768",
                    Role::Responder,
                ) => "false true",
                _ => "false false",
            };
            let expected = [
                format!("phase 1 up with {identity}, NAT {nat}"),
                format!("install Inbound {ours:08x} {mode}"),
                format!("install Outbound {theirs:08x} {mode}"),
                format!("enable {theirs:08x}"),
                format!("remove Inbound {ours:08x}: {end}"),
                format!("remove Outbound {theirs:08x}: {end}"),
                format!("peer down: {end}"),
            ];
            let outcome = replay(&scenario, role, Jobs::Inline);
            assert_eq!(outcome.summary(), expected, "{name} as {role:?}");
        }
    }
}

#[test]
fn dead_peer_is_found_dead() {
    assert_eq!(
        played("dpd-dead-peer", Role::Initiator).summary()[4..],
        [
            "remove Inbound cec760a1: peer is dead: 4 R-U-THERE unanswered",
            "remove Outbound cf6a6571: peer is dead: 4 R-U-THERE unanswered",
            "peer down: peer is dead: 4 R-U-THERE unanswered",
        ]
    );
}

/// Re-keyed by the initiator, then by the responder; old pairs deleted by whoever replaced them.
/// The recording holds no ESP, so the initiator's second pair is replaced before its overlap is over.
#[test]
fn phase_2_is_rekeyed_from_either_side() {
    let initiator = played("rekey-child", Role::Initiator);
    assert_eq!(
        initiator.summary(),
        [
            "phase 1 up with 172.16.10.1, NAT false false",
            "install Inbound c6a59de1 Transport",
            "install Outbound c028234b Transport",
            "enable c028234b",
            "install Inbound c6d77fe7 Transport instead of c6a59de1",
            "install Outbound c1298786 Transport instead of c028234b",
            "install Inbound c550c4ff Transport",
            "install Outbound cdfa2555 Transport",
            "enable cdfa2555",
            "remove Inbound c6d77fe7: peer deleted it",
            "remove Outbound c1298786: peer deleted it",
            "remove Inbound c6a59de1: volume limit reached",
            "remove Outbound c028234b: volume limit reached",
            "remove Inbound c550c4ff: cleared by its owner",
            "remove Outbound cdfa2555: cleared by its owner",
            "peer down: cleared by its owner",
        ]
    );
    let responder = played("rekey-child", Role::Responder);
    assert_eq!(
        responder.summary()[7..10],
        [
            "install Inbound cdfa2555 Transport instead of c1298786",
            "install Outbound c550c4ff Transport instead of c6d77fe7",
            "enable c550c4ff",
        ]
    );
    // The used-up pair is kept for what is on its way, and is the last one when the recording ends.
    assert_eq!(
        responder.summary()[10..],
        [
            "remove Inbound c028234b: peer deleted it",
            "remove Outbound c6a59de1: peer deleted it",
            "enable c6d77fe7",
            "remove Inbound cdfa2555: peer deleted it",
            "remove Outbound c550c4ff: peer deleted it",
        ]
    );
}

/// Phase 2 survives a new phase 1 and the deletion of the old one.
#[test]
fn phase_2_survives_phase_1() {
    let responder = played("rekey-ike", Role::Responder);
    let up = "phase 1 up with 172.16.1.1, NAT false false";
    let install = [
        "install Inbound c8dc1451 Transport",
        "install Outbound cf5d30ce Transport",
        "enable cf5d30ce",
    ];
    assert_eq!(responder.summary()[0], up);
    assert_eq!(responder.summary()[1..4], install);
    assert_eq!(responder.summary()[4], up);
    // The initiator deletes the pair in the new ISAKMP SA.
    assert_eq!(responder.summary()[5], "remove Inbound c8dc1451: peer deleted it");

    let initiator = played("rekey-ike", Role::Initiator);
    assert_eq!(initiator.summary().len(), 4, "{:?}", initiator.summary());
}

/// One pair deleted, another negotiated in the same ISAKMP SA.
#[test]
fn phase_1_survives_phase_2() {
    for role in ROLES {
        let summary = played("terminate-child", role).summary();
        let ups = summary.iter().filter(|line| line.starts_with("phase 1 up"));
        assert_eq!(ups.count(), 1);
        let removed = summary.iter().position(|line| line.starts_with("remove")).unwrap();
        let again = summary.iter().rposition(|line| line.starts_with("install")).unwrap();
        assert!(removed < again);
    }
}

#[test]
fn no_common_phase_1_proposal() {
    let initiator = played("fail-phase1-proposal", Role::Initiator);
    // Nothing protects this refusal, so it is not believed: the trace has it, and the attempt ends
    // when nobody has answered.
    let refused = Discard::UnprotectedNotification(NotifyType::NO_PROPOSAL_CHOSEN);
    assert_eq!(initiator.discarded, [("INFO".to_owned(), refused)]);
    assert_eq!(
        initiator.summary(),
        [
            "failed: peer did not answer 5 transmissions",
            "peer down: peer did not answer 5 transmissions"
        ]
    );
    let responder = played("fail-phase1-proposal", Role::Responder);
    assert_eq!((responder.accepted, responder.summary().len()), (1, 0));
}

#[test]
fn wrong_pre_shared_key() {
    let initiator = played("fail-psk", Role::Initiator);
    // What the recorded hub says of it is under keys that we cannot have.
    assert_eq!(initiator.discarded, vec![("INFO".to_owned(), Discard::OtherKeys); 3]);
    assert_eq!(
        initiator.summary()[0],
        "failed: peer did not answer our authentication: pre-shared keys may differ"
    );
    let responder = played("fail-psk", Role::Responder);
    assert_eq!(responder.discarded.len(), 3);
    for (message, discard) in &responder.discarded {
        assert_eq!(message, "MM5");
        assert!(matches!(discard, Discard::PreSharedKeyMismatch(_)), "{discard}");
    }
    assert!(responder.summary().is_empty(), "an unauthenticated peer is nobody");
}

#[test]
fn proxy_identities_that_match_nothing() {
    let initiator = played("fail-ts", Role::Initiator);
    assert_eq!(initiator.summary()[1], "failed: peer refused: INVALID-ID-INFORMATION");
    let responder = played("fail-ts", Role::Responder);
    // Refused with a protected notification; phase 1 stays until the peer deletes it.
    assert_eq!(
        responder.summary(),
        ["phase 1 up with 172.16.1.1, NAT false false", "peer down: peer deleted it"]
    );
    assert_eq!(responder.discarded, []);
}

/// Aggressive mode in either role, the exponentiations in line and on other threads. charon discarded
/// the QM1 that came right behind AM3 and was sent it again: as initiator we repeat AM3 as well, as
/// responder we take the first QM1 and answer both with the same QM2.
#[test]
fn aggressive_mode() {
    let scenario = Scenario::named("am-3des-sha1-modp768");
    for role in ROLES {
        let (ours, theirs, identity, end) = match role {
            Role::Initiator => ("c598dbb3", "c8e0606c", "172.16.10.1", "cleared by its owner"),
            Role::Responder => ("c8e0606c", "c598dbb3", "172.16.1.1", "peer deleted it"),
        };
        let summary = [
            format!("phase 1 up with {identity}, NAT false false"),
            format!("install Inbound {ours} Transport"),
            format!("install Outbound {theirs} Transport"),
            format!("enable {theirs}"),
            format!("remove Inbound {ours}: {end}"),
            format!("remove Outbound {theirs}: {end}"),
            format!("peer down: {end}"),
        ];
        // IOS's vendor ids are not charon's. AM3 is equal to the last octet of its ciphertext, where
        // the IVs of phase 2 start.
        let (differences, equal, accepted, beyond) = match role {
            Role::Initiator => {
                let differences = vec!["AM1 vendor id payload", "QM1 SA payload's order"];
                (differences, 5, 2, ExchangeType::AGGRESSIVE)
            }
            Role::Responder => (vec!["AM2 vendor id payload"], 1, 7, ExchangeType::QUICK_MODE),
        };
        for jobs in [Jobs::Inline, Jobs::OutOfLine] {
            let outcome = replay(&scenario, role, jobs);
            assert_eq!(outcome.summary(), summary, "as {role:?}");
            assert_eq!(outcome.differences, differences);
            assert_eq!((outcome.equal, outcome.accepted), (equal, accepted));
            assert_eq!(outcome.beyond, [beyond]);
            assert_eq!(outcome.discarded, []);
            assert_eq!(outcome.check_keys(&scenario, role), 2);
        }
    }
}
