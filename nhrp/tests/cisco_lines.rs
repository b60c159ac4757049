//! Each record as `debug dmvpn all all` prints it, each view as `show ip nhrp` does, against the
//! guide's lines.

use core::net::IpAddr;
use core::time::Duration;

use dmvpn_nhrp::cisco::{Attributes, Debug, ShowCache, ShowServer, Target};
use dmvpn_nhrp::wire::{CieCode, ErrorCode, Packet, ParseError, RequestId};
use dmvpn_nhrp::{
    CacheFlags, CacheKind, CacheView, Deviation, Discard, Prefix, RemovalCause, ServerState,
    ServerView, Trace, Traced,
};
use dmvpn_time::Instant;

const HUB: IpAddr = IpAddr::V4(core::net::Ipv4Addr::new(10, 1, 1, 254));
const HUB_NBMA: IpAddr = IpAddr::V4(core::net::Ipv4Addr::new(172, 16, 10, 1));
const SPOKE: IpAddr = IpAddr::V4(core::net::Ipv4Addr::new(10, 1, 1, 1));
const SPOKE_NBMA: IpAddr = IpAddr::V4(core::net::Ipv4Addr::new(172, 16, 1, 1));

fn line(trace: Trace) -> String {
    let traced = Traced {
        at: Instant::from_micros(0),
        interface: "Tunnel0".into(),
        nbma: None,
        protocol: None,
        trace,
    };
    Debug(&traced).to_string()
}

/// The registrations of the guide: `Trace` of a packet, and its fields after the first lines.
fn packet(octets: &[u8]) -> Box<Packet> {
    Box::new(Packet::parse(octets).unwrap())
}

#[test]
fn the_spokes_lines_of_the_guide() {
    let target = Prefix::host(HUB);
    let transition =
        |to, from| Trace::ServerTransition { address: HUB, cluster: 0, priority: 0, to, from };
    let expected = [
        (Trace::InterfaceUp, "NHRP: if_up: Tunnel0 proto 0"),
        (
            Trace::CacheAdd { target, next_hop: HUB, nbma: Some(HUB_NBMA) },
            "NHRP: Tunnel0: Cache add for target 10.1.1.254/32 next-hop 10.1.1.254\n           172.16.10.1",
        ),
        (
            transition(ServerState::Expecting, ServerState::Down),
            "NHRP: NHS 10.1.1.254 Tunnel0 vrf 0 Cluster 0 Priority 0 Transitioned to 'E' from ''",
        ),
        (
            Trace::SendAttempt { destination: HUB },
            "NHRP: Attempting to send packet via DEST 10.1.1.254",
        ),
        (
            Trace::RegistrationInitial { address: HUB, request_id: RequestId(65540) },
            "NHRP-RATE: Sending initial Registration Request for 10.1.1.254, reqid 65540",
        ),
        (
            Trace::CacheUpdate { target, next_hop: HUB, nbma: Some(HUB_NBMA) },
            "NHRP: Tunnel0: Cache update for target 10.1.1.254/32 next-hop 10.1.1.254\n           172.16.10.1",
        ),
        (Trace::Network { incoming: 0, to_us: true }, "NHRP: netid_in = 0, to_us = 1"),
        (Trace::NhsUp { address: HUB }, "NHRP: NHS-UP: 10.1.1.254"),
    ];
    for (trace, text) in expected {
        assert_eq!(line(trace), text);
    }
}

#[test]
fn the_hubs_lines_of_the_guide() {
    let target = Prefix::host(SPOKE);
    let (protocol, nbma) = (SPOKE, SPOKE_NBMA);
    let expected = [
        (Trace::NoServers, "NHRP: Unable to send Registration - no NHSes configured"),
        (Trace::Network { incoming: 1, to_us: true }, "NHRP: netid_in = 1, to_us = 1"),
        (
            Trace::CacheAdd { target, next_hop: SPOKE, nbma: Some(SPOKE_NBMA) },
            "NHRP: Tunnel0: Cache add for target 10.1.1.1/32 next-hop 10.1.1.1\n           172.16.1.1",
        ),
        (
            Trace::EndpointsAdding { protocol, nbma },
            "NHRP: Adding Tunnel Endpoints (VPN: 10.1.1.1, NBMA: 172.16.1.1)",
        ),
        (
            Trace::EndpointsAttached { protocol, nbma },
            "NHRP: Successfully attached NHRP subblock for Tunnel Endpoints (VPN: 10.1.1.1, NBMA: 172.16.1.1)",
        ),
        (
            Trace::SubblockInserted { target, next_hop: SPOKE },
            "NHRP: Inserted subblock node for cache: Target 10.1.1.1/32 nhop 10.1.1.1",
        ),
        (
            Trace::ConvertedToExternal { target },
            "NHRP: Converted internal dynamic cache entry for 10.1.1.1/32 interface Tunnel0 to external",
        ),
        (
            Trace::MulticastCreating { nbma },
            "NHRP: Tu0: Creating dynamic multicast mapping NBMA: 172.16.1.1",
        ),
        (
            Trace::MulticastAdded { nbma },
            "NHRP: Added dynamic multicast mapping for NBMA: 172.16.1.1",
        ),
        (
            Trace::OurNbma { nbma: HUB_NBMA, alternate: HUB_NBMA },
            "NHRP: Updating our cache with NBMA: 172.16.10.1, NBMA_ALT: 172.16.10.1",
        ),
        (Trace::MandatoryLength { octets: 32 }, "NHRP: New mandatory length: 32"),
        (
            Trace::SendAttempt { destination: SPOKE },
            "NHRP: Attempting to send packet via DEST 10.1.1.1",
        ),
        (
            Trace::Resolved { address: SPOKE, nbma },
            "NHRP: NHRP successfully resolved 10.1.1.1 to NBMA 172.16.1.1",
        ),
        (Trace::Encapsulated { nbma }, "NHRP: Encapsulation succeeded.  Tunnel IP addr 172.16.1.1"),
    ];
    for (trace, text) in expected {
        assert_eq!(line(trace), text);
    }
}

/// Only the sender shows source and destination. The fields are proved on their own.
#[test]
fn the_packets_of_the_guide() {
    let request = packet(include_bytes!("data/regreq_65540.bin"));
    let reply = packet(include_bytes!("data/regrep_65541.bin"));
    let first = |count, trace| {
        line(trace).lines().take(count).map(str::to_owned).collect::<Vec<_>>().join("\n")
    };
    assert_eq!(
        first(3, Trace::PacketSent { source: SPOKE, destination: HUB, packet: request.clone() }),
        "NHRP: Send Registration Request via Tunnel0 vrf 0, packet size: 108\n  \
         src: 10.1.1.1, dst: 10.1.1.254\n \
         (F) afn: IPv4(1), type: IP(800), hop: 255, ver: 1"
    );
    assert_eq!(
        first(2, Trace::PacketReceived { packet: request }),
        "NHRP: Receive Registration Request via Tunnel0 vrf 0, packet size: 108\n \
         (F) afn: IPv4(1), type: IP(800), hop: 255, ver: 1"
    );
    assert_eq!(
        first(2, Trace::PacketSent { source: HUB, destination: SPOKE, packet: reply.clone() }),
        "NHRP: Send Registration Reply via Tunnel0 vrf 0, packet size: 128\n  \
         src: 10.1.1.254, dst: 10.1.1.1"
    );
    let received = line(Trace::PacketReceived { packet: reply });
    assert!(received.starts_with(
        "NHRP: Receive Registration Reply via Tunnel0 vrf 0, packet size: 128\n (F) "
    ));
    assert!(received.contains("\n (M) flags: \"unique nat \", reqid: 65541\n"));
    assert!(received.ends_with("\n       client protocol: 10.1.1.254"));
}

/// What the guide does not show has a line of its own, too.
#[test]
fn lines_beyond_the_guide() {
    let target = Prefix::host(SPOKE);
    let nbma = SPOKE_NBMA;
    let outside = [192, 0, 2, 2].into();
    let deleted = |cause| Trace::CacheDelete { target, next_hop: SPOKE, nbma: None, cause };
    let code = CieCode::UNIQUE_ADDRESS_ALREADY_REGISTERED;
    let expected = [
        (Trace::InterfaceDown, "NHRP: if_down: Tunnel0 proto 0"),
        (
            Trace::CacheDelete {
                target,
                next_hop: SPOKE,
                nbma: Some(nbma),
                cause: RemovalCause::Expired,
            },
            "NHRP: Tunnel0: Cache delete for target 10.1.1.1/32 next-hop 10.1.1.1 (expired)\n           172.16.1.1",
        ),
        (
            deleted(RemovalCause::Purged),
            "NHRP: Tunnel0: Cache delete for target 10.1.1.1/32 next-hop 10.1.1.1 (purged)",
        ),
        (
            deleted(RemovalCause::Moved),
            "NHRP: Tunnel0: Cache delete for target 10.1.1.1/32 next-hop 10.1.1.1 (moved)",
        ),
        (
            deleted(RemovalCause::InterfaceDown),
            "NHRP: Tunnel0: Cache delete for target 10.1.1.1/32 next-hop 10.1.1.1 (interface down)",
        ),
        (
            deleted(RemovalCause::Unconfigured),
            "NHRP: Tunnel0: Cache delete for target 10.1.1.1/32 next-hop 10.1.1.1 (no longer configured)",
        ),
        (
            Trace::MulticastRemoved { nbma },
            "NHRP: Removed dynamic multicast mapping for NBMA: 172.16.1.1",
        ),
        (
            Trace::NatDetected { claimed: nbma, outside },
            "NHRP: NAT detected: client claims NBMA 172.16.1.1, its packets come from 192.0.2.2",
        ),
        (
            Trace::BehindNat { outside },
            "NHRP: NAT detected: our packets arrive from NBMA 192.0.2.2",
        ),
        (
            Trace::RegistrationRefused { target, code },
            "NHRP: Registration of 10.1.1.1/32 refused: unique address already registered(14)",
        ),
        (
            Trace::RefusalReceived { address: HUB, code },
            "NHRP: NHS 10.1.1.254 refuses our registration: unique address already registered(14)",
        ),
        (
            Trace::ServerTransition {
                address: HUB,
                cluster: 1,
                priority: 2,
                to: ServerState::Responding,
                from: ServerState::Expecting,
            },
            "NHRP: NHS 10.1.1.254 Tunnel0 vrf 0 Cluster 1 Priority 2 Transitioned to 'RE' from 'E'",
        ),
        (
            Trace::RegistrationRetransmit {
                address: HUB,
                request_id: RequestId(65540),
                interval: Duration::from_secs(2),
            },
            "NHRP-RATE: Retransmitting Registration Request for 10.1.1.254, reqid 65540, (retrans ivl 2 sec)",
        ),
        (Trace::NhsDown { address: HUB }, "NHRP: NHS-DOWN: 10.1.1.254"),
        (Trace::AuthenticationFailed, "NHRP: Authentication failed"),
        (
            Trace::ErrorReported { code: ErrorCode::AUTHENTICATION_FAILURE, offset: 64 },
            "NHRP: Error Indication from peer: authentication failure(11), offset 64",
        ),
        (
            Trace::Discarded(Discard::Malformed(ParseError::Version { version: 2 })),
            "NHRP: Packet dropped: peer sent a malformed packet: version 2 at offset 16 is not 1",
        ),
        (
            Trace::Deviation(Deviation::HopCountZero),
            "NHRP: Accepted although forbidden: HopCountZero",
        ),
    ];
    for (trace, text) in expected {
        assert_eq!(line(trace), text);
    }
}

#[test]
fn interface_names_are_shortened_as_ios_does() {
    for (interface, short) in
        [("Tunnel0", "Tu0"), ("Tunnel100", "Tu100"), ("gre1", "gr1"), ("x", "x"), ("", "")]
    {
        let traced = Traced {
            at: Instant::from_micros(0),
            interface: interface.into(),
            nbma: None,
            protocol: None,
            trace: Trace::MulticastCreating { nbma: SPOKE_NBMA },
        };
        let text = Debug(&traced).to_string();
        assert_eq!(
            text,
            format!("NHRP: {short}: Creating dynamic multicast mapping NBMA: 172.16.1.1")
        );
    }
}

fn time(hours: u64, minutes: u64, seconds: u64) -> Duration {
    Duration::from_secs(hours * 3600 + minutes * 60 + seconds)
}

/// The hub's entry in the spoke's cache, as the guide shows it.
fn hub_entry() -> CacheView {
    CacheView {
        interface: "Tunnel0".into(),
        target: Prefix::host(HUB),
        next_hop: HUB,
        nbma: Some(HUB_NBMA),
        claimed_nbma: None,
        link: None,
        age: time(0, 0, 55),
        expires: None,
        kind: CacheKind::Static,
        flags: CacheFlags::default(),
    }
}

/// The spoke's entry in the hub's cache, as the guide shows it.
fn spoke_entry() -> CacheView {
    CacheView {
        target: Prefix::host(SPOKE),
        next_hop: SPOKE,
        nbma: Some(SPOKE_NBMA),
        age: time(0, 1, 26),
        expires: Some(time(1, 58, 33)),
        kind: CacheKind::Dynamic,
        flags: CacheFlags { unique: true, registered: true, ..CacheFlags::default() },
        ..hub_entry()
    }
}

#[test]
fn show_ip_nhrp_of_the_guide() {
    assert_eq!(
        ShowCache(&hub_entry()).to_string(),
        "\
10.1.1.254/32 via 10.1.1.254
   Tunnel0 created 00:00:55, never expire
   Type: static, Flags:
   NBMA address: 172.16.10.1
"
    );
    assert_eq!(
        ShowCache(&spoke_entry()).to_string(),
        "\
10.1.1.1/32 via 10.1.1.1
   Tunnel0 created 00:01:26, expire 01:58:33
   Type: dynamic, Flags: unique registered
   NBMA address: 172.16.1.1
"
    );
}

#[test]
fn show_ip_nhrp_beyond_the_guide() {
    let behind_nat = CacheView {
        nbma: Some([192, 0, 2, 2].into()),
        claimed_nbma: Some(SPOKE_NBMA),
        flags: CacheFlags { nat: true, ..spoke_entry().flags },
        ..spoke_entry()
    };
    assert!(ShowCache(&behind_nat).to_string().ends_with(
        "   Type: dynamic, Flags: unique registered nat
   NBMA address: 192.0.2.2
    (Claimed NBMA address: 172.16.1.1)
"
    ));
    let incomplete =
        CacheView { kind: CacheKind::Incomplete, nbma: None, expires: None, ..spoke_entry() };
    assert!(
        ShowCache(&incomplete)
            .to_string()
            .ends_with("Type: incomplete, Flags: unique registered\n")
    );
}

#[test]
fn flags_are_shown_in_one_order() {
    let flags = CacheFlags { unique: true, registered: true, local: true, nat: true };
    let text = ShowCache(&CacheView { flags, ..spoke_entry() }).to_string();
    assert!(text.contains("Flags: unique registered nat local\n"), "{text}");
}

#[test]
fn times_are_shortened_as_ios_does() {
    let created = |age| {
        let text = ShowCache(&CacheView { age, ..hub_entry() }).to_string();
        let (_, rest) = text.split_once("created ").unwrap();
        rest.split_once(',').unwrap().0.to_owned()
    };
    assert_eq!(created(Duration::from_millis(999)), "00:00:00");
    assert_eq!(created(time(23, 59, 59)), "23:59:59");
    assert_eq!(created(time(24, 0, 0)), "1d00h");
    assert_eq!(created(time(26, 30, 0)), "1d02h");
    assert_eq!(created(time(7 * 24 - 1, 0, 0)), "6d23h");
    assert_eq!(created(time(7 * 24, 0, 0)), "1w0d");
    assert_eq!(created(time(9 * 24, 0, 0)), "1w2d");
    assert_eq!(created(time(365 * 24, 0, 0)), "1y0w");
    assert_eq!(created(time(365 * 24 + 14 * 24, 0, 0)), "1y2w");
    assert!(created(Duration::MAX).ends_with('w'));
}

#[test]
fn show_ip_nhrp_nhs_of_the_guide() {
    let server = |state| ServerView {
        address: HUB,
        nbma: Some(HUB_NBMA),
        state,
        priority: 0,
        cluster: 0,
        outside_nbma: None,
    };
    let text = |state| ShowServer(&server(state)).to_string();
    assert_eq!(text(ServerState::Responding), "   10.1.1.254  RE priority = 0 cluster = 0");
    assert_eq!(text(ServerState::Expecting), "   10.1.1.254   E priority = 0 cluster = 0");
    assert_eq!(text(ServerState::Waiting), "   10.1.1.254   W priority = 0 cluster = 0");
    assert_eq!(text(ServerState::Down), "   10.1.1.254     priority = 0 cluster = 0");
}

#[test]
fn columns_of_show_dmvpn() {
    let attributes = |kind, nat, local| {
        let flags = CacheFlags { nat, local, ..CacheFlags::default() };
        let view = CacheView { kind, flags, ..spoke_entry() };
        format!("{:>5}|{:<5}|", Attributes(&view), Attributes(&view))
    };
    assert_eq!(attributes(CacheKind::Static, false, false), "    S|S    |");
    assert_eq!(attributes(CacheKind::Dynamic, false, false), "    D|D    |");
    assert_eq!(attributes(CacheKind::Dynamic, true, false), "   DN|DN   |");
    assert_eq!(attributes(CacheKind::Static, false, true), "   SL|SL   |");
    assert_eq!(attributes(CacheKind::Incomplete, true, true), "  INL|INL  |");
    assert_eq!(format!("{:>17}|", Target(&spoke_entry())), "      10.1.1.1/32|");
    assert_eq!(Target(&hub_entry()).to_string(), "10.1.1.254/32");
}
