//! The guide's hub and spoke, end to end: what goes over the wire, and what both tell.

#![allow(clippy::wildcard_enum_match_arm, reason = "a test looks at what it is about")]

mod pair;

use core::time::Duration;

use dmvpn_isakmp::cisco::Debug;
use dmvpn_isakmp::{Event, StateKind, Trace};
use hex_literal::hex;
use pair::{Host, Pair};

fn guide() -> Pair {
    let mut pair = Pair::guide();
    pair.connect();
    pair.run_for(Duration::from_secs(5));
    pair.assert_connected();
    pair.assert_one_pair();
    pair
}

fn sizes(host: &Host) -> Vec<usize> {
    host.sent.iter().map(|(_, transmit)| transmit.payload.len()).collect()
}

#[test]
fn messages_have_the_sizes_of_a_cisco_router() {
    let pair = guide();
    assert_eq!(sizes(&pair.hosts[0]), [164, 252, 100, 164, 60]);
    assert_eq!(sizes(&pair.hosts[1]), [104, 260, 68, 164]);
    assert!(pair.hosts.iter().all(|host| host.discards.is_empty()));
}

/// The seed's MM1 and MM2 but for the cookies.
#[test]
fn the_first_two_messages_are_the_guides() {
    let pair = guide();
    let mm1 = &pair.hosts[0].sent[0].1.payload;
    let mm2 = &pair.hosts[1].sent[0].1.payload;
    let sa = hex!(
        "00000001 00000001 0000002c 01010001 00000024 01010000 80010005 80020002 80040001"
        "80030001 800b0001 000c0004 00015180"
    );
    assert_eq!(mm1[16..32], hex!("01100200 00000000 000000a4 0d000038"));
    assert_eq!(mm1[32..84], sa);
    assert_eq!(
        mm1[84..],
        hex!(
            "0d000014 4a131c81070358455c5728f20e95452f 0d000014 439b59f8ba676c4c7737ae22eab8f582"
            "0d000014 7d9419a65310ca6f2c179d9215529d56 00000014 90cb80913ebb696e086381b5ec427b1f"
        )
    );
    assert_eq!(mm2[16..32], hex!("01100200 00000000 00000068 0d000038"));
    assert_eq!(mm2[32..84], sa);
    assert_eq!(mm2[84..], hex!("00000014 4a131c81070358455c5728f20e95452f"));
    assert_eq!(mm1[..8], mm2[..8]);
    assert_ne!(mm2[8..16], [0; 8]);
}

fn transitions(host: &Host) -> Vec<(StateKind, StateKind)> {
    host.traces
        .iter()
        .filter_map(|record| match record.trace {
            Trace::Transition { old, new, .. } => Some((old, new)),
            _ => None,
        })
        .collect()
}

#[test]
fn both_sides_go_through_the_guides_states() {
    use StateKind::*;
    let pair = guide();
    assert_eq!(
        transitions(&pair.hosts[0]),
        [
            (IkeReady, IkeInitiatorMm1),
            (IkeInitiatorMm1, IkeInitiatorMm2),
            (IkeInitiatorMm2, IkeInitiatorMm2),
            (IkeInitiatorMm2, IkeInitiatorMm3),
            (IkeInitiatorMm3, IkeInitiatorMm4),
            (IkeInitiatorMm4, IkeInitiatorMm4),
            (IkeInitiatorMm4, IkeInitiatorMm5),
            (IkeInitiatorMm5, IkeInitiatorMm6),
            (IkeInitiatorMm6, IkeInitiatorMm6),
            (IkeInitiatorMm6, IkePhase1Complete),
            (QuickModeReady, QuickModeInitiatorQm1),
            (IkePhase1Complete, IkePhase1Complete),
            (QuickModeInitiatorQm1, QuickModePhase2Complete),
        ]
    );
    assert_eq!(
        transitions(&pair.hosts[1]),
        [
            (IkeReady, IkeResponderMm1),
            (IkeResponderMm1, IkeResponderMm1),
            (IkeResponderMm1, IkeResponderMm2),
            (IkeResponderMm2, IkeResponderMm3),
            (IkeResponderMm3, IkeResponderMm3),
            (IkeResponderMm3, IkeResponderMm4),
            (IkeResponderMm4, IkeResponderMm5),
            (IkeResponderMm5, IkeResponderMm5),
            (IkeResponderMm5, IkePhase1Complete),
            (IkePhase1Complete, IkePhase1Complete),
            (QuickModeReady, QuickModeSpiStarve),
            (QuickModeSpiStarve, QuickModeResponderQm2),
            (QuickModeResponderQm2, QuickModePhase2Complete),
        ]
    );
}

/// The responder installs with QM2 and sends from QM3 on; the initiator does both with QM3.
#[test]
fn sas_are_installed_and_enabled_in_order() {
    let pair = guide();
    let kinds = |host: &Host| -> Vec<&'static str> {
        host.events
            .iter()
            .map(|event| match event {
                Event::Phase1Up { .. } => "up",
                Event::InstallSa(_) => "install",
                Event::EnableOutbound { .. } => "enable",
                other => panic!("{other:?}"),
            })
            .collect()
    };
    for host in &pair.hosts {
        assert_eq!(kinds(host), ["up", "install", "install", "enable"]);
    }
}

/// The guide's transcript, its unmarked ISAKMP and IPsec lines in order. Numbers that belong to a
/// run are not compared.
#[test]
fn both_sides_tell_the_guides_story() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/reference/phase1-transcript.md");
    let Ok(transcript) = std::fs::read_to_string(path) else {
        eprintln!("SKIP: no transcript beside the repository");
        return;
    };
    let pair = guide();
    for (host, heading) in pair.hosts.iter().zip(["## Spoke debug", "## Hub debug"]) {
        let said: Vec<String> = host
            .traces
            .iter()
            .flat_map(|record| {
                let text = Debug(record).to_string();
                text.lines().map(normal).collect::<Vec<_>>()
            })
            .collect();
        let expected = guide_lines(&transcript, heading);
        assert!(expected.len() > 90, "{} lines", expected.len());
        let mut rest = said.iter();
        for line in &expected {
            assert!(
                rest.any(|said| said == line),
                "{heading}: {line:?} is missing or out of order"
            );
        }
        println!("{heading}: {} lines in order", expected.len());
    }
}

/// The lines of a section that ISAKMP and its key engine print, without those that stand for
/// others.
fn guide_lines(transcript: &str, heading: &str) -> Vec<String> {
    let section = transcript.split(heading).nth(1).unwrap();
    let section = section.split("```").nth(1).unwrap();
    let start = ["ISAKMP:", "ISAKMP (", "ISAKMP :", "IPSEC("];
    section
        .lines()
        .filter(|line| !line.starts_with('·'))
        .map(str::trim)
        .filter(|line| start.iter().any(|start| line.starts_with(start)))
        .filter(|line| !line.contains('…'))
        .map(|line| {
            // Remarks stand in brackets, far to the right.
            let line = line.split("               ").next().unwrap();
            normal(line.split("    (").next().unwrap())
        })
        .collect()
}

fn normal(line: &str) -> String {
    let mut line = line.trim().to_owned();
    for before in ["M-ID of ", "message ID = ", "Node ", "node ", "to SPI ", "with spi "] {
        if let Some(at) = line.find(before) {
            let at = at + before.len();
            let rest: String =
                line[at..].chars().skip_while(|c| c.is_ascii_hexdigit() || *c == '-').collect();
            line = format!("{}N{rest}", &line[..at]);
        }
    }
    if let Some(at) = line.find("inserted successfully") {
        line.truncate(at);
    }
    line
}
