//! The guide's scenario: its hub and its spoke, octet by octet and line by line.

#[path = "support/cloud.rs"]
#[allow(dead_code, reason = "each test uses what it needs")]
mod cloud;

extern crate alloc;

use core::time::Duration;

use cloud::{Cloud, Driver, hub, ip, spoke};
use dmvpn_nhrp::cisco::{Debug, ShowCache, ShowServer};
use dmvpn_nhrp::{Endpoint, Event, LinkId, ServerState};

/// Hub 0 and spoke 1, as dmvpn-core drives them: the interface comes up on both; the spoke's tunnel
/// protection is up after two seconds, then its line protocol.
fn guide() -> Cloud {
    let mut cloud = Cloud::new(Driver::Strict, 1);
    let hub = cloud.add(hub(), "172.16.10.1", "172.16.10.1");
    let spoke = cloud.add(spoke(1), "172.16.1.1", "172.16.1.1");
    for _ in 0..2 {
        cloud.command(hub, |endpoint, now| {
            endpoint.interface_up(now);
            endpoint.register(now);
        });
    }
    cloud.command(spoke, Endpoint::interface_up);
    cloud.run_for(Duration::from_secs(2));
    let link = cloud.link(spoke, hub);
    cloud.command(spoke, |endpoint, now| {
        endpoint.link_up(now, &link);
        endpoint.register(now);
        endpoint.interface_up(now);
        endpoint.register(now);
    });
    cloud.run_for(Duration::from_millis(100));
    cloud
}

fn text(cloud: &Cloud, node: usize) -> Vec<String> {
    let traces = &cloud.nodes[node].given.traces;
    traces
        .iter()
        .flat_map(|t| Debug(t).to_string().lines().map(str::to_owned).collect::<Vec<_>>())
        .collect()
}

/// Whether `lines` holds the lines of `wanted` in order.
fn assert_in_order(lines: &[String], wanted: &str) {
    let mut rest = lines.iter();
    for line in wanted.lines() {
        assert!(
            rest.any(|have| have.trim() == line.trim()),
            "{line:?} is missing, or out of order, in\n{}",
            lines.join("\n")
        );
    }
}

#[test]
fn requests_and_replies_are_the_guides_octet_by_octet() {
    let cloud = guide();
    let sent = |node: usize| -> Vec<&[u8]> {
        cloud.nodes[node].given.transmits.iter().map(|(_, t)| t.packet.as_ref()).collect()
    };
    assert_eq!(
        sent(1),
        [
            include_bytes!("data/regreq_65540.bin").as_slice(),
            include_bytes!("data/regreq_65541.bin").as_slice()
        ]
    );
    assert_eq!(
        sent(0),
        [
            include_bytes!("data/regrep_65540.bin").as_slice(),
            include_bytes!("data/regrep_65541.bin").as_slice()
        ]
    );
    let (_, reply) = &cloud.nodes[0].given.transmits[0];
    assert_eq!((reply.to.nbma, reply.to.link), (ip("172.16.1.1"), Some(LinkId(1))));
}

const PACKET: &str = " (F) afn: IPv4(1), type: IP(800), hop: 255, ver: 1
     shtl: 4(NSAP), sstl: 0(NSAP)
     pktsz: SIZE extoff: 52
 (M) flags: \"unique nat \", reqid: ID
     src NBMA: 172.16.1.1
     src protocol: 10.1.1.1, dst protocol: 10.1.1.254
 (C-1) code: no error(0)
       prefix: 32, mtu: 17912, hd_time: 7200
       addr_len: 0(NSAP), subaddr_len: 0(NSAP), proto_len: 0, pref: 0
Responder Address Extension(3):
Forward Transit NHS Record Extension(4):
Reverse Transit NHS Record Extension(5):
Authentication Extension(7):
  type:Cleartext(1), data:NHRPAUTH
NAT address Extension(9):
 (C-1) code: no error(0)
       prefix: 32, mtu: 17912, hd_time: 0
       addr_len: 4(NSAP), subaddr_len: 0(NSAP), proto_len: 4, pref: 0
       client NBMA: 172.16.10.1
       client protocol: 10.1.1.254
";
const RESPONDER: &str = "Responder Address Extension(3):
 (C) code: no error(0)
       prefix: 32, mtu: 17912, hd_time: 7200
       addr_len: 4(NSAP), subaddr_len: 0(NSAP), proto_len: 4, pref: 0
       client NBMA: 172.16.10.1
       client protocol: 10.1.1.254
";

fn request(id: &str) -> String {
    PACKET.replace("SIZE", "108").replace("ID", id)
}

fn reply(id: &str) -> String {
    let packet = PACKET.replace("SIZE", "128").replace("ID", id);
    packet.replace("Responder Address Extension(3):\n", RESPONDER)
}

#[test]
fn the_spokes_debug_is_the_guides() {
    let cloud = guide();
    let wanted = "NHRP: if_up: Tunnel0 proto 0
NHRP: Tunnel0: Cache add for target 10.1.1.254/32 next-hop 10.1.1.254
           172.16.10.1
NHRP: NHS 10.1.1.254 Tunnel0 vrf 0 Cluster 0 Priority 0 Transitioned to 'E' from ''
NHRP: Attempting to send packet via DEST 10.1.1.254
NHRP: Send Registration Request via Tunnel0 vrf 0, packet size: 108
  src: 10.1.1.1, dst: 10.1.1.254
"
    .to_owned()
        + &request("65540")
        + "NHRP-RATE: Sending initial Registration Request for 10.1.1.254, reqid 65540
NHRP: if_up: Tunnel0 proto 0
NHRP: Tunnel0: Cache update for target 10.1.1.254/32 next-hop 10.1.1.254
           172.16.10.1
NHRP: Attempting to send packet via DEST 10.1.1.254
NHRP: Receive Registration Reply via Tunnel0 vrf 0, packet size: 128
" + &reply("65540")
        + "NHRP: netid_in = 0, to_us = 1
NHRP: NHS-UP: 10.1.1.254
";
    assert_in_order(&text(&cloud, 1), &wanted);
}

#[test]
fn the_hubs_debug_is_the_guides() {
    let mut cloud = guide();
    // The first packet to the spoke; the second is not worth a word.
    for _ in 0..2 {
        cloud.command(0, |endpoint, now| {
            let hop = endpoint.lookup(now, ip("10.1.1.1")).unwrap();
            assert_eq!((hop.nbma, hop.link), (ip("172.16.1.1"), Some(LinkId(1))));
        });
    }
    let wanted = "NHRP: if_up: Tunnel0 proto 0
NHRP: Unable to send Registration - no NHSes configured
NHRP: if_up: Tunnel0 proto 0
NHRP: Unable to send Registration - no NHSes configured
NHRP: Receive Registration Request via Tunnel0 vrf 0, packet size: 108
"
    .to_owned()
        + &request("65540")
        + "NHRP: netid_in = 1, to_us = 1
NHRP: Tunnel0: Cache add for target 10.1.1.1/32 next-hop 10.1.1.1
           172.16.1.1
NHRP: Adding Tunnel Endpoints (VPN: 10.1.1.1, NBMA: 172.16.1.1)
NHRP: Successfully attached NHRP subblock for Tunnel Endpoints (VPN: 10.1.1.1, NBMA: 172.16.1.1)
NHRP: Inserted subblock node for cache: Target 10.1.1.1/32 nhop 10.1.1.1
NHRP: Converted internal dynamic cache entry for 10.1.1.1/32 interface Tunnel0 to external
NHRP: Tu0: Creating dynamic multicast mapping NBMA: 172.16.1.1
NHRP: Added dynamic multicast mapping for NBMA: 172.16.1.1
NHRP: Updating our cache with NBMA: 172.16.10.1, NBMA_ALT: 172.16.10.1
NHRP: New mandatory length: 32
NHRP: Attempting to send packet via DEST 10.1.1.1
NHRP: NHRP successfully resolved 10.1.1.1 to NBMA 172.16.1.1
NHRP: Encapsulation succeeded.  Tunnel IP addr 172.16.1.1
NHRP: Send Registration Reply via Tunnel0 vrf 0, packet size: 128
  src: 10.1.1.254, dst: 10.1.1.1
" + &reply("65540")
        + "NHRP: Receive Registration Request via Tunnel0 vrf 0, packet size: 108
NHRP: Send Registration Reply via Tunnel0 vrf 0, packet size: 128
NHRP: NHRP successfully resolved 10.1.1.1 to NBMA 172.16.1.1
";
    let lines = text(&cloud, 0);
    assert_in_order(&lines, &wanted);
    let resolved = lines.iter().filter(|line| line.contains("successfully resolved")).count();
    assert_eq!(resolved, 3, "two replies and the first packet");
}

#[test]
fn caches_and_servers_show_what_the_guide_shows() {
    let mut cloud = guide();
    cloud.run_for(Duration::from_secs(55));
    let shown = |node: usize| -> String {
        cloud.cache(node).iter().map(|entry| ShowCache(entry).to_string()).collect()
    };
    assert!(shown(1).starts_with("10.1.1.254/32 via 10.1.1.254\n"), "{}", shown(1));
    assert!(shown(1).contains("created 00:00:57, never expire\n"), "{}", shown(1));
    assert!(shown(1).contains("Type: static"), "{}", shown(1));
    assert!(shown(0).starts_with("10.1.1.1/32 via 10.1.1.1\n"), "{}", shown(0));
    assert!(shown(0).contains("created 00:00:55, expire 01:59:04\n"), "{}", shown(0));
    assert!(shown(0).contains("Type: dynamic, Flags: unique registered\n"), "{}", shown(0));
    assert!(shown(0).contains("NBMA address: 172.16.1.1\n"), "{}", shown(0));
    let servers = cloud.servers(1);
    assert_eq!(
        ShowServer(&servers[0]).to_string().trim(),
        "10.1.1.254  RE priority = 0 cluster = 0"
    );
    assert_eq!(servers[0].state, ServerState::Responding);
    assert!(cloud.servers(0).is_empty());
}

#[test]
fn each_side_is_told_what_it_has_to_know() {
    let cloud = guide();
    let (target, nbma) = (cloud::host("10.1.1.1"), ip("172.16.1.1"));
    let link = LinkId(1);
    assert_eq!(
        cloud.events(0),
        [Event::CacheAdded { target, nbma, link: Some(link) }, Event::MulticastAdded { link }]
    );
    let target = cloud::host("10.1.1.254");
    assert_eq!(
        cloud.events(1),
        [
            Event::CacheAdded { target, nbma: ip("172.16.10.1"), link: None },
            Event::NhsUp { address: ip("10.1.1.254") }
        ]
    );
}
