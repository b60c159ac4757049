//! `debug …` switches and conditions.

extern crate alloc;

mod cloud;

use core::time::Duration;

use cloud::Cloud;
use cloud::guide::{self, Settings, ip};
use dmvpn_core::debug::{Debug, Switch};

/// What the hub tells of two spokes, through a filter.
fn hub_tells(filter: Debug) -> String {
    let settings = Settings::default();
    let mut cloud = Cloud::new(1);
    cloud.filter = filter;
    let hub = cloud.add(settings.hub());
    let one = cloud.add(settings.spoke_at("Spoke1", "172.16.1.1", "10.1.1.1", guide::HUB));
    let two = cloud.add(settings.spoke_at("Spoke2", "172.16.2.1", "10.1.1.2", guide::HUB));
    let both = |cloud: &Cloud| guide::is_registered(cloud, one) && guide::is_registered(cloud, two);
    assert!(cloud.run_until(Duration::from_secs(10), both));
    cloud.routers[hub].debug.join("\n")
}

#[test]
fn without_a_condition_both_spokes_are_told_of() {
    let told = hub_tells(Debug::dmvpn_all());
    for text in ["172.16.1.1", "172.16.2.1", "10.1.1.1/32", "10.1.1.2/32"] {
        assert!(told.contains(text), "{text}");
    }
}

#[test]
fn a_condition_keeps_one_peer() {
    let by_nbma = {
        let mut debug = Debug::dmvpn_all();
        debug.condition_nbma(ip("172.16.1.1"));
        hub_tells(debug)
    };
    for (text, there) in [
        ("received packet from 172.16.1.1", true),
        ("received packet from 172.16.2.1", false),
        ("Creating dynamic multicast mapping NBMA: 172.16.1.1", true),
        ("Creating dynamic multicast mapping NBMA: 172.16.2.1", false),
        ("MGRE/Tu0(172.16.10.1/172.16.1.1): tunnel_protection_socket_up", true),
        ("MGRE/Tu0(172.16.10.1/172.16.2.1): tunnel_protection_socket_up", false),
        ("%LINEPROTO-5-UPDOWN", true),
    ] {
        assert_eq!(by_nbma.contains(text), there, "{text}\n{by_nbma}");
    }
    let by_tunnel = {
        let mut debug = Debug::dmvpn_all();
        debug.condition_tunnel(ip("10.1.1.2"));
        hub_tells(debug)
    };
    assert!(by_tunnel.contains("Cache add for target 10.1.1.2/32"), "{by_tunnel}");
    assert!(!by_tunnel.contains("Cache add for target 10.1.1.1/32"), "{by_tunnel}");
    let by_crypto = {
        let mut debug = Debug::dmvpn_all();
        debug.condition_crypto(ip("172.16.2.1"));
        hub_tells(debug)
    };
    assert!(by_crypto.contains("received packet from 172.16.2.1"));
    assert!(!by_crypto.contains("received packet from 172.16.1.1"));
    assert!(by_crypto.contains("Cache add for target 10.1.1.1/32"), "NHRP has no crypto peer");
}

#[test]
fn a_switch_that_is_off_is_silent() {
    let mut only_isakmp = Debug::off();
    only_isakmp.on(Switch::Isakmp);
    let told = hub_tells(only_isakmp);
    assert!(told.contains("ISAKMP:(1001):Old State = IKE_R_MM5  New State = IKE_P1_COMPLETE"));
    assert!(!told.contains("NHRP:"));
    let told = hub_tells(Debug::off());
    let system = |line: &str| line.starts_with('%');
    assert!(told.lines().all(system) && told.contains("%LINK-3-UPDOWN"), "{told}");
}

#[test]
fn show_debug_lists_what_is_on() {
    let shown = Debug::dmvpn_all().to_string();
    for line in [
        "NHRP protocol debugging is on",
        "NHRP extension processing debugging is on",
        "NHRP rate limiting debugging is on",
        "Crypto ISAKMP debugging is on",
        "Crypto IPSEC Error debugging is on",
        "Crypto secure socket events debugging is on",
        "Generic Tunnel Protection debugging is on",
        "DMVPN UP/DOWN event debugging is on",
        "DMVPN all level debugging is on",
    ] {
        assert!(shown.lines().any(|shown| shown.trim() == line), "{line}\n{shown}");
    }
    assert_eq!(Debug::off().to_string(), "");
}
