//! The `show` commands as JSON, of the guide's two routers, in memory and in virtual time.

extern crate alloc;

use alloc::sync::Arc;
use core::time::Duration;

use chacha20::ChaCha20Rng;
use dmvpn_core::{Event, Instant, Node, TunnelId};
use dmvpn_examples::build::{Wishes, build};
use dmvpn_examples::ios::Router;
use dmvpn_examples::json;
use dmvpn_examples::options::ShowCommand;
use rand_core::SeedableRng;
use serde_json::{Value, json};

const HUB: &str = include_str!("../configs/hub.ios");
const SPOKE: &str = include_str!("../configs/spoke.ios");

fn node(text: &str, seed: u64, now: Instant) -> Node {
    let wishes = Wishes {
        trace_capacity: 0,
        key_log: false,
        force_encapsulation: false,
        first_request_id: None,
    };
    let built = build(&Router::read(text).unwrap(), wishes).unwrap();
    let rng = Box::new(ChaCha20Rng::seed_from_u64(seed));
    let mut node = Node::new(Arc::new(built.config), rng, now);
    for (id, tunnel) in built.tunnels {
        node.add_tunnel(now, id, tunnel).unwrap();
    }
    node
}

/// Hub and spoke, ten seconds after the tunnel came up.
fn brought_up() -> (Node, Node) {
    let now = Instant::from_secs(1000);
    let (mut hub, mut spoke) = (node(HUB, 1, now), node(SPOKE, 2, now));
    loop {
        let to_hub = spoke.poll_transmit();
        let to_spoke = hub.poll_transmit();
        if to_hub.is_none() && to_spoke.is_none() {
            break;
        }
        for (transmit, to) in [(to_hub, &mut hub), (to_spoke, &mut spoke)] {
            let Some(transmit) = transmit else { continue };
            let mut underlay = transmit.underlay;
            core::mem::swap(&mut underlay.local, &mut underlay.remote);
            to.handle_packet(now, underlay, &mut transmit.packet.to_vec()).unwrap();
        }
    }
    for node in [&mut hub, &mut spoke] {
        node.handle_timeout(now + Duration::from_secs(10));
    }
    (hub, spoke)
}

/// The object is as expected in the keys that `expected` has.
#[track_caller]
fn assert_has(value: &Value, expected: &Value) {
    for (key, expected) in expected.as_object().unwrap() {
        assert_eq!(&value[key], expected, "{key} of {value:#}");
    }
}

#[track_caller]
fn only(value: &Value) -> &Value {
    let [only] = &value.as_array().unwrap()[..] else { panic!("not one: {value:#}") };
    only
}

#[test]
fn the_hubs_cache_is_told_as_show_ip_nhrp_tells_it() {
    let (hub, _) = brought_up();
    let shown = json::show(&hub, ShowCommand::IpNhrp);
    let expected = json!([{
        "tunnel": "Tunnel0",
        "target": "10.1.1.1/32",
        "next_hop": "10.1.1.1",
        "nbma": "172.16.1.1",
        "claimed_nbma": null,
        "age": 10,
        "expires": 7190,
        "type": "dynamic",
        "flags": { "unique": true, "registered": true, "local": false, "nat": false },
    }]);
    assert_eq!(shown, expected);
    assert_eq!(json::show(&hub, ShowCommand::IpNhrpNhs), json!([]));
}

#[test]
fn the_spokes_server_and_tunnel() {
    let (_, spoke) = brought_up();
    let server = json!({
        "tunnel": "Tunnel0",
        "address": "10.1.1.254",
        "nbma": "172.16.10.1",
        "state": "responding",
        "priority": 0,
        "cluster": 0,
        "outside_nbma": null,
    });
    assert_eq!(json::show(&spoke, ShowCommand::IpNhrpNhs), json!([server]));
    let plain = json::show(&spoke, ShowCommand::Dmvpn);
    let expected = json!({
        "tunnel": "Tunnel0",
        "interface": "up",
        "address": "10.1.1.1",
        "source": "172.16.1.1",
        "destination": "172.16.10.1",
        "profile": "DMVPN-IPSEC",
        "servers": [server],
    });
    assert_has(only(&plain), &expected);
    let peer = json!({ "nbma": "172.16.10.1", "next_hop": "10.1.1.254", "state": "up" });
    assert_has(only(&only(&plain)["peers"]), &peer);
    assert_eq!(only(&plain)["sessions"], Value::Null);
    let detail = json::show(&spoke, ShowCommand::DmvpnDetail);
    assert_eq!(only(&only(&detail)["sessions"])["status"], "up_active");
}

#[test]
fn both_ends_name_the_same_associations() {
    let (hub, spoke) = brought_up();
    let phase1 = [&hub, &spoke].map(|node| json::show(node, ShowCommand::CryptoIsakmpSaDetail));
    for (shown, role) in phase1.iter().zip(["responder", "initiator"]) {
        let expected = json!({
            "role": role,
            "state": "QM_IDLE",
            "detailed_state": "IKE_P1_COMPLETE",
            "encryption": "3DES-CBC",
            "hash": "SHA-1",
            "group": 1,
            "key_length": null,
            "remaining": 86_390,
        });
        assert_has(only(shown), &expected);
    }
    assert_eq!(only(&phase1[0])["initiator_cookie"], only(&phase1[1])["initiator_cookie"]);
    let ipsec = [&hub, &spoke].map(|node| json::show(node, ShowCommand::CryptoIpsecSaDetail));
    let [at_hub, at_spoke] = [only(&ipsec[0]), only(&ipsec[1])];
    assert_eq!(at_hub["current_outbound_spi"], only(&at_spoke["inbound"])["spi"]);
    assert_eq!(at_spoke["current_outbound_spi"], only(&at_hub["inbound"])["spi"]);
    let sa = only(&at_hub["inbound"]);
    assert_has(sa, &json!({ "mode": "transport", "udp": false, "replay_detection": true }));
    assert_eq!(at_hub["counters"]["decaps"], at_spoke["counters"]["encaps"]);
    assert_eq!(
        at_hub["selectors"],
        json!({ "local": "172.16.10.1/32/47/0", "remote": "172.16.1.1/32/47/0" })
    );
}

#[test]
fn counters_and_events() {
    let (mut hub, _) = brought_up();
    let counters = json::counters(&hub);
    assert_eq!(counters["isakmp"]["phase1_completed"], 1);
    assert_eq!(counters["tables"]["inbound"], 1);
    let tunnel = only(&counters["tunnels"]);
    assert_eq!(tunnel["tunnel"], "Tunnel0");
    assert!(tunnel["nhrp"]["registrations_accepted"].as_u64().unwrap() >= 1);
    let id = TunnelId(0);
    for (told, debug) in [
        (&counters["node"], format!("{:?}", hub.counters())),
        (&counters["tables"], format!("{:?}", hub.table_sizes())),
        (&counters["isakmp"], format!("{:?}", hub.isakmp().counters())),
        (tunnel, format!("{:?}", hub.tunnel_counters(id).unwrap())),
        (&tunnel["nhrp"], format!("{:?}", hub.nhrp(id).unwrap().counters())),
    ] {
        // `Counters { received: 12, discarded: 0 }`
        let fields = debug.split_once('{').unwrap().1.trim_end_matches('}').split(',');
        for field in fields {
            let (name, number) = field.trim().split_once(": ").unwrap();
            assert_eq!(told[name].to_string(), number, "{name} of {debug}");
        }
    }
    let events: Vec<Event> = core::iter::from_fn(|| hub.poll_event()).collect();
    let ago = Duration::from_millis(3900);
    let told: Vec<Value> = events.iter().map(|event| json::event(ago, event)).collect();
    let added = json!({
        "event": "cache_added",
        "tunnel": "Tunnel0",
        "target": "10.1.1.1/32",
        "nbma": "172.16.1.1",
        "ago": 3,
    });
    assert!(told.contains(&added), "{told:#?}");
    let up = told.iter().find(|event| event["event"] == "peer_up").unwrap();
    assert_has(up, &json!({ "identity": "172.16.1.1", "remote": "172.16.1.1" }));
}

#[test]
fn every_show_is_an_array_of_objects_with_snake_case_keys() {
    fn check(value: &Value) {
        match value {
            Value::Object(object) => object.iter().for_each(|(key, value)| {
                let snake = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
                assert!(key.chars().all(snake), "{key}");
                check(value);
            }),
            Value::Array(array) => array.iter().for_each(check),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let (hub, spoke) = brought_up();
    for node in [&hub, &spoke] {
        assert_eq!(node.interface_state(TunnelId(0)), Some(dmvpn_core::InterfaceState::Up));
        for (command, typed) in ShowCommand::ALL {
            let shown = json::show(node, command);
            assert!(shown.as_array().unwrap().iter().all(Value::is_object), "{typed}");
            check(&shown);
        }
        check(&json::counters(node));
    }
}
