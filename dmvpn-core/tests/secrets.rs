//! Keys are nowhere but where they are asked for by name: a whole bring-up, data, refusals and goodbye,
//! and all text that comes of it.

extern crate alloc;

mod cloud;
#[path = "secrets/recording.rs"]
mod recording;

use core::cell::RefCell;
use core::fmt::Write as _;
use core::time::Duration;

use cloud::Cloud;
use cloud::guide::{self, Settings, TUNNEL, ip};
use dmvpn_core::isakmp::crypto::Group;
use dmvpn_core::{IpsecProfile, LoggedKey, Transport, Underlay};
use recording::Recording;

/// How a key's first octets could stand in a text.
fn forms(key: &[u8]) -> Vec<String> {
    let start = &key[..key.len().min(8)];
    let hex: Vec<String> = start.iter().map(|octet| format!("{octet:02x}")).collect();
    let decimal: Vec<String> = start.iter().map(u8::to_string).collect();
    let mut forms = vec![
        hex.concat(),
        hex.concat().to_uppercase(),
        hex.join(" "),
        hex.join(":"),
        decimal.join(", "),
        // `{:#?}`, one to a line.
        decimal.join(",\n"),
        hex.iter().map(|octet| format!("0x{octet}")).collect::<Vec<_>>().join(", "),
        start.iter().flat_map(|octet| octet.escape_ascii()).map(char::from).collect(),
    ];
    forms.retain(|form| form.len() >= 8);
    forms
}

fn without_indentation(text: &str) -> String {
    text.lines().map(str::trim_start).collect::<Vec<_>>().join("\n")
}

/// The guide's routers from the first message to a registration, with perfect forward secrecy; and what
/// both of them look like after each step on the way, while the secrets of a negotiation are there.
fn brought_up_in_sight(settings: &Settings) -> (Cloud, usize, usize, String) {
    let mut cloud = Cloud::new(11);
    let hub = cloud.add(settings.hub());
    let spoke = cloud.add(settings.spoke());
    let seen = RefCell::new(String::new());
    let up = cloud.run_until(Duration::from_secs(10), |cloud| {
        let mut seen = seen.borrow_mut();
        for router in &cloud.routers {
            writeln!(seen, "{:?}\n{:?}", router.node, router.node.isakmp()).unwrap();
        }
        guide::is_registered(cloud, spoke)
    });
    assert!(up, "not registered");
    cloud.run_for(Duration::from_secs(1));
    (cloud, hub, spoke, seen.into_inner())
}

#[test]
fn no_key_is_printed() {
    let recording = Recording::new();
    let guide = Settings::watchful();
    let profile = IpsecProfile { pfs: Some(Group::MODP_768), ..guide.profile.clone().unwrap() };
    let (key_log, provider) = (true, recording.provider());
    let settings = Settings { key_log, provider, profile: Some(profile), ..guide };
    let (mut cloud, hub, spoke, mut text) = brought_up_in_sight(&settings);
    assert!(cloud.reaches(spoke, hub, ip(guide::HUB_TUNNEL)));
    let mut keys: Vec<Vec<u8>> = vec![settings.key.into()];
    // One negotiation of each phase: the prf was keyed with the pre-shared key, SKEYID, SKEYID_d, SKEYID_a
    // and SKEYID_e (RFC 2409 §5, appendix B), and each end drew two exponents.
    let secrets = recording.take();
    assert!(secrets.prf_keys.contains(settings.key.as_bytes()));
    let counted = (secrets.prf_keys.len(), secrets.exponents.len(), secrets.shared.len());
    assert_eq!(counted, (5, 4, 2));
    keys.extend(secrets.all());
    let mut debug = String::new();
    // What is refused, and why.
    let captured: Vec<_> = cloud.routers[spoke].sent.iter().map(|(_, sent)| sent.clone()).collect();
    let now = cloud.now;
    for sent in &captured {
        for at in [0, 8, 17, 19, 28, sent.packet.len() - 1] {
            let mut changed = sent.packet.to_vec();
            if let Some(octet) = changed.get_mut(at) {
                *octet ^= 0x41;
            }
            let (local, remote) = (sent.underlay.remote, sent.underlay.local);
            let underlay = Underlay { local, remote, ..sent.underlay };
            let node = &mut cloud.routers[hub].node;
            if let Err(discard) = node.handle_packet(now, underlay, &mut changed) {
                writeln!(text, "{discard} {discard:?} {discard:#?}").unwrap();
            }
            let clear = Underlay { transport: Transport::Gre, ..underlay };
            if let Err(discard) = node.handle_packet(now, clear, &mut changed) {
                writeln!(text, "{discard} {discard:?}").unwrap();
            }
        }
    }
    for (at, router) in cloud.routers.iter_mut().enumerate() {
        // With records still in the ring, as they are while nobody has polled them.
        router.node.shutdown(now, TUNNEL);
        router.node.no_shutdown(now, TUNNEL);
        writeln!(text, "{:?}\n{:#?}", router.node, router.node).unwrap();
        writeln!(text, "{:?}", router.node.isakmp()).unwrap();
        let blueprint = &router.blueprint;
        writeln!(text, "{:?} {:#?} {:?}", blueprint.config, blueprint.config, blueprint.tunnels)
            .unwrap();
        while let Some(traced) = router.node.poll_trace() {
            writeln!(text, "{traced:?}").unwrap();
        }
        while let Some(event) = router.node.poll_event() {
            writeln!(text, "{event:?}").unwrap();
        }
        writeln!(text, "{:?}", router.events).unwrap();
        debug.push_str(&router.debug.join("\n"));
        let before = keys.len();
        while let Some(key) = router.node.dangerous_poll_key() {
            writeln!(text, "{key:?} {key:#?}").unwrap();
            match key {
                LoggedKey::Isakmp { key, .. } => keys.push(key.dangerous_bytes().to_vec()),
                LoggedKey::Esp { encryption_key, integrity_key, .. } => {
                    keys.push(encryption_key.dangerous_bytes().to_vec());
                    keys.push(integrity_key.dangerous_bytes().to_vec());
                }
                _ => {}
            }
        }
        assert!(keys.len() >= before + 5, "router {at} has the keys of one SA of each phase");
    }
    // Of what was begun since.
    keys.extend(recording.take().all());
    cloud.run_for(Duration::from_secs(1));
    assert!(text.len() > 100_000, "there is something to search: {}", text.len());
    // NHRP's string, which crosses the network in clear, is in no text but the one that prints packets
    // as `debug nhrp packet` does.
    for form in forms(settings.nhrp_authentication.as_bytes()) {
        assert!(!text.contains(&form), "{form}");
    }
    text.push_str(&debug);
    assert!(text.contains("Registration"));
    let trimmed = without_indentation(&text);
    for key in &keys {
        for form in forms(key) {
            assert!(!text.contains(&form) && !trimmed.contains(&form), "{form}");
        }
    }
}
