//! Our endpoint opposite what Cisco's, FRR's and OpenNHRP's sent when they were recorded: as the
//! server it answers their requests as their own server did, as the client it takes the answers.

#[path = "support/captures.rs"]
#[allow(dead_code, reason = "each test uses a part")]
mod captures;

extern crate alloc;

use alloc::sync::Arc;
use core::net::IpAddr;
use core::time::Duration;

use bytes::Bytes;
use captures::{data, nhrp_packets};
use chacha20::ChaCha20Rng;
use chacha20::rand_core::SeedableRng as _;
use dmvpn_nhrp::wire::{
    AuthenticationString, Body, Cie, CieCode, ErrorCode, Extension, ExtensionType, Packet,
    RequestId,
};
use dmvpn_nhrp::{
    CacheKind, Config, ConfigBuilder, Discard, Endpoint, Event, Link, LinkId, NextHopServer,
    Prefix, ServerState, StaticMap,
};
use dmvpn_time::Instant;
use hex_literal::hex;

const START: Instant = Instant::EPOCH;

fn ip(address: &str) -> IpAddr {
    address.parse().unwrap()
}

fn recorded(name: &str) -> Vec<Vec<u8>> {
    nhrp_packets(&data(&format!("linux/{name}.pcap")))
}

/// The peer at `nbma`, without a security association.
fn link(nbma: &str) -> Link {
    let nbma = ip(nbma);
    let IpAddr::V4(address) = nbma else { panic!() };
    Link {
        id: LinkId(u32::from(address).into()),
        nbma,
        local: ip("172.16.10.1"),
        udp_port: None,
        identity: None,
    }
}

fn up(config: Config) -> Endpoint {
    let rng = Box::new(ChaCha20Rng::from_seed([7; 32]));
    let mut endpoint = Endpoint::new(Arc::new(config), rng, START);
    endpoint.interface_up(START);
    drain(&mut endpoint);
    endpoint
}

fn drain(endpoint: &mut Endpoint) -> (Vec<Bytes>, Vec<Event>) {
    let packets = core::iter::from_fn(|| endpoint.poll_transmit().map(|transmit| transmit.packet));
    let packets = packets.collect();
    (packets, core::iter::from_fn(|| endpoint.poll_event()).collect())
}

/// Hands a packet in and takes the one that answers it.
fn answer(endpoint: &mut Endpoint, now: Instant, from: &Link, packet: &[u8]) -> Bytes {
    endpoint.handle_packet(now, from, packet).unwrap();
    let sent = endpoint.poll_transmit().expect("an answer");
    assert_eq!((sent.to.nbma, sent.to.link), (from.nbma, Some(from.id)));
    assert_eq!(endpoint.poll_transmit(), None);
    sent.packet
}

fn with_authentication(builder: ConfigBuilder) -> ConfigBuilder {
    builder.authentication(Some(AuthenticationString::new(b"NHRPAUTH")))
}

/// The hub of the recorded labs.
fn hub() -> Endpoint {
    let builder = Config::builder("Tunnel0", ip("10.1.1.254"), 24, ip("172.16.10.1"));
    up(with_authentication(builder).multicast_dynamic(true).build().unwrap())
}

/// The spoke of the recorded labs, about to send the request with this identifier.
fn spoke(first_request_id: u32) -> Endpoint {
    let (server, nbma) = (ip("10.1.1.254"), ip("172.16.10.1"));
    let builder = Config::builder("Tunnel0", ip("10.1.1.1"), 24, ip("172.16.1.1"))
        .servers(vec![NextHopServer::new(server)])
        .static_maps(vec![StaticMap { target: Prefix::host(server), nbma }])
        .first_request_id(RequestId(first_request_id));
    let mut spoke = up(with_authentication(builder).build().unwrap());
    spoke.link_up(START, &hub_link());
    spoke.register(START);
    let (packets, _) = drain(&mut spoke);
    let request = Packet::parse(&packets[0]).unwrap();
    assert_eq!(request.body.message().unwrap().request_id, RequestId(first_request_id));
    spoke
}

/// The way to the hub as the spoke attests it.
fn hub_link() -> Link {
    Link { local: ip("172.16.1.1"), ..link("172.16.10.1") }
}

/// A recorded reply with what the recorded server said of itself put in our words: the hop count,
/// and the prefix length, MTU and holding time of the responder.
fn in_our_words(recorded: &[u8]) -> Packet {
    let mut packet = Packet::parse(recorded).unwrap();
    packet.hop_count = 255;
    for extension in &mut packet.extensions {
        if extension.extension_type == ExtensionType::RESPONDER_ADDRESS {
            let ours = Cie::bare(32, 17912, 7200).of(ip("172.16.10.1"), ip("10.1.1.254"));
            *extension = Extension::clients(ExtensionType::RESPONDER_ADDRESS, vec![ours]);
        }
    }
    packet
}

fn code(reply: &[u8]) -> CieCode {
    Packet::parse(reply).unwrap().body.message().unwrap().entries[0].code
}

#[test]
fn registrations_are_answered_as_by_the_recorded_servers() {
    for name in [
        "01-plain-phase1.wire-hub",
        "02-ipsec-phase1.inside-gre1-hub",
        "11-shutdown-restart.wire-hub",
        "13-opennhrp.wire-hub",
    ] {
        let mut hub = hub();
        let packets = recorded(name);
        let mut registrations = 0;
        for exchange in packets.chunks(2) {
            let request = Packet::parse(&exchange[0]).unwrap();
            let Body::RegistrationRequest(_) = request.body else { continue };
            let from = link(&request.source_nbma.ip().unwrap().to_string());
            let reply = answer(&mut hub, START, &from, &exchange[0]);
            assert_eq!(Packet::parse(&reply).unwrap(), in_our_words(&exchange[1]), "{name}");
            registrations += 1;
        }
        assert!(registrations > 0, "{name}");
    }
}

#[test]
fn a_purge_of_what_is_not_there_is_answered_as_by_opennhrp() {
    let mut hub = hub();
    let packets = recorded("13-opennhrp.wire-hub");
    let from = link("172.16.1.1");
    answer(&mut hub, START, &from, &packets[0]);
    let reply = answer(&mut hub, START, &from, &packets[2]);
    assert_eq!(Packet::parse(&reply).unwrap(), in_our_words(&packets[3]));
    // What it registered is untouched.
    assert_eq!(hub.cache(START).count(), 1);
}

#[test]
fn a_nat_is_detected_and_told_as_by_frr() {
    let packets = recorded("06-nat-spoke-ipsec.inside-gre1-hub");
    let mut hub = hub();
    let reply = answer(&mut hub, START, &link("192.0.2.2"), &packets[0]);
    let (ours, theirs) = (Packet::parse(&reply).unwrap(), in_our_words(&packets[1]));
    let entries =
        |packet: &Packet| packet.extension(ExtensionType::NAT_ADDRESS).unwrap().entries().to_vec();
    let ([our_first, our_second], [their_first, their_second]) =
        (&entries(&ours)[..], &entries(&theirs)[..])
    else {
        panic!("{ours:?}")
    };
    assert_eq!(our_first, their_first, "what the client wrote stays");
    // The MTU is the server's own business.
    assert_eq!(&Cie { mtu: 0, ..our_second.clone() }, their_second);
    assert_eq!(ours.body, theirs.body);
    let types = |packet: &Packet| -> Vec<u16> {
        packet.extensions.iter().map(|extension| extension.extension_type.value()).collect()
    };
    assert_eq!(types(&ours), types(&theirs), "extensions stay in the client's order");

    let entry = hub.cache(START).next().unwrap();
    assert_eq!(entry.nbma, Some(ip("192.0.2.2")));
    assert_eq!(entry.claimed_nbma, Some(ip("172.16.1.1")));
    assert!(entry.flags.nat && entry.flags.unique && entry.flags.registered);
    assert_eq!(entry.kind, CacheKind::Dynamic);
    assert_eq!(hub.lookup(START, ip("10.1.1.1")).unwrap().nbma, ip("192.0.2.2"));
}

#[test]
fn wrong_and_missing_authentication_are_answered_with_error_11() {
    let packets = recorded("09-nhrp-errors.wire-hub");
    // Frames with the string WRONG, and without the extension.
    for (request, theirs) in [(&packets[0], &packets[1]), (&packets[10], &packets[11])] {
        let mut hub = hub();
        let from = link("172.16.1.1");
        let error = Packet::parse(&answer(&mut hub, START, &from, request)).unwrap();
        let theirs = Packet::parse(theirs).unwrap();
        let (Body::ErrorIndication(ours), Body::ErrorIndication(their_body)) =
            (&error.body, &theirs.body)
        else {
            panic!("{error:?}")
        };
        assert_eq!(ours.code, ErrorCode::AUTHENTICATION_FAILURE);
        assert!(ours.contents.starts_with(&their_body.contents), "the packet in error is quoted");
        assert_eq!(error.source_protocol, theirs.source_protocol);
        assert_eq!(error.destination_protocol, theirs.destination_protocol);
        assert_eq!(error.source_nbma.ip(), Some(ip("172.16.10.1")));
        assert_eq!(error.hop_count, 255, "IOS drops what comes with hop count 0");
        assert!(error.extensions.is_empty());

        assert_eq!(hub.cache(START).count(), 0);
        assert_eq!(hub.multicast_after(None), None);
        assert_eq!(hub.counters().authentication_failures, 1);
        let failed = Event::AuthenticationFailed { nbma: from.nbma, link: from.id };
        assert_eq!(drain(&mut hub), (vec![], vec![failed]));
    }
}

#[test]
fn an_error_indication_is_taken_without_authentication_and_never_answered() {
    let packets = recorded("09-nhrp-errors.wire-hub");
    let mut spoke = spoke(1);
    let timeout = spoke.poll_timeout();
    spoke.handle_packet(START, &hub_link(), &packets[1]).unwrap();
    let reported =
        Event::ErrorReported { nbma: ip("172.16.10.1"), code: ErrorCode::AUTHENTICATION_FAILURE };
    assert_eq!(drain(&mut spoke), (vec![], vec![reported]));
    assert_eq!(spoke.counters().authentication_failures, 0);
    // Nobody vouches for it: the registration goes on.
    assert_eq!(spoke.poll_timeout(), timeout);
    assert_eq!(spoke.servers().next().unwrap().state, ServerState::Expecting);
}

#[test]
fn replies_of_frr_and_opennhrp_bring_the_server_up() {
    for (name, id) in [
        ("01-plain-phase1.wire-hub", 1),
        ("02-ipsec-phase1.inside-gre1-hub", 1),
        ("13-opennhrp.wire-hub", 2_995_741_308),
    ] {
        let mut spoke = spoke(id);
        let reply = &recorded(name)[1];
        spoke.handle_packet(START, &hub_link(), reply).unwrap();
        let (packets, events) = drain(&mut spoke);
        assert_eq!(events, [Event::NhsUp { address: ip("10.1.1.254") }], "{name}");
        assert!(packets.is_empty());
        let server = spoke.servers().next().unwrap();
        assert_eq!((server.state, server.outside_nbma), (ServerState::Responding, None));
        // A reply counts once.
        let again = spoke.handle_packet(START, &hub_link(), reply);
        assert_eq!(again, Err(Discard::UnexpectedReply(RequestId(id))), "{name}");
        // A third of the holding time later the registration is renewed, under the next number.
        let due = START + Duration::from_secs(2400);
        assert_eq!(spoke.poll_timeout(), Some(due));
        spoke.handle_timeout(due);
        let (packets, _) = drain(&mut spoke);
        let renewal = Packet::parse(&packets[0]).unwrap();
        assert_eq!(renewal.body.message().unwrap().request_id, RequestId(id).next());

        // The same reply again is no reply to that.
        let again = spoke.handle_packet(due, &hub_link(), reply);
        assert_eq!(again, Err(Discard::UnexpectedReply(RequestId(id))), "{name}");
        assert_eq!(drain(&mut spoke), (vec![], vec![]));
    }
}

#[test]
fn a_reply_of_frr_tells_the_client_where_it_is_outside_its_nat() {
    let mut spoke = spoke(1);
    let reply = &recorded("06-nat-spoke-ipsec.inside-gre1-hub")[1];
    spoke.handle_packet(START, &hub_link(), reply).unwrap();
    let server = spoke.servers().next().unwrap();
    assert_eq!(server.state, ServerState::Responding);
    assert_eq!(server.outside_nbma, Some(ip("192.0.2.2")));
}

#[test]
fn a_reply_to_another_client_is_not_ours() {
    // Spoke 2's reply, with the identifier that ours waits for.
    let reply = &recorded("13-opennhrp.wire-hub")[5];
    let mut spoke = spoke(1);
    let outcome = spoke.handle_packet(START, &hub_link(), reply);
    assert_eq!(outcome, Err(Discard::ReplyMismatch(RequestId(1))));
    // With one of its two addresses made ours.
    for (nbma, protocol) in [("172.16.1.1", "10.1.1.2"), ("172.16.2.1", "10.1.1.1")] {
        let mut reply = Packet::parse(reply).unwrap();
        reply.source_nbma = ip(nbma).into();
        reply.source_protocol = ip(protocol).into();
        let outcome = spoke.handle_packet(START, &hub_link(), &reply.encode().unwrap());
        assert_eq!(outcome, Err(Discard::ReplyMismatch(RequestId(1))), "{nbma} {protocol}");
    }
    // Ours, but from elsewhere.
    let reply = &recorded("01-plain-phase1.wire-hub")[1];
    let outcome = spoke.handle_packet(START, &link("172.16.66.6"), reply);
    assert_eq!(outcome, Err(Discard::ReplyFromElsewhere { nbma: ip("172.16.66.6") }));
    assert_eq!(spoke.servers().next().unwrap().state, ServerState::Expecting);
    assert_eq!(drain(&mut spoke), (vec![], vec![]));
}

/// FRR and OpenNHRP let the second spoke have the address; RFC 2332 §5.2.4 does not.
#[test]
fn a_unique_address_stays_with_who_registered_it_first() {
    let packets = recorded("09-nhrp-errors.wire-hub");
    let (first, second, no_unique) = (&packets[22], &packets[24], &packets[26]);
    let mut hub = hub();
    assert_eq!(code(&answer(&mut hub, START, &link("172.16.1.1"), first)), CieCode::SUCCESS);
    let refusal = answer(&mut hub, START, &link("172.16.2.1"), second);
    assert_eq!(code(&refusal), CieCode::UNIQUE_ADDRESS_ALREADY_REGISTERED);
    let refusal = Packet::parse(&refusal).unwrap();
    // RFC 2332 §5.2.0.1: the holding time is 0 on a NAK.
    assert_eq!(refusal.body.message().unwrap().entries[0].holding_time, 0);
    let refusal = answer(&mut hub, START, &link("172.16.2.1"), no_unique);
    assert_ne!(code(&refusal), CieCode::SUCCESS);
    assert_eq!(hub.lookup(START, ip("10.1.1.1")).unwrap().nbma, ip("172.16.1.1"));
    // Who has it may say so again.
    assert_eq!(code(&answer(&mut hub, START, &link("172.16.1.1"), first)), CieCode::SUCCESS);
}

/// nhrpd was killed and started again, with holding time 60: the same identifier comes twice, then
/// renewals follow every 20 seconds until it is gone.
#[test]
fn a_restarted_frr_registers_again_and_expires_when_it_is_gone() {
    let packets = recorded("11-shutdown-restart.wire-hub");
    let (mut hub, from) = (hub(), link("172.16.1.1"));
    let at = |secs| START + Duration::from_secs(secs);
    for (exchange, secs) in packets.chunks(2).zip([0, 5, 25, 45, 65, 85]) {
        hub.handle_timeout(at(secs));
        assert_eq!(code(&answer(&mut hub, at(secs), &from, &exchange[0])), CieCode::SUCCESS);
        assert_eq!(hub.cache(at(secs)).count(), 1);
        assert_eq!(hub.multicast_after(None), Some(from.id));
    }
    assert_eq!(hub.poll_timeout(), Some(at(145)));
    hub.handle_timeout(at(144));
    assert!(hub.lookup(at(144), ip("10.1.1.1")).is_some());
    drain(&mut hub);
    hub.handle_timeout(at(145));
    assert_eq!(hub.lookup(at(145), ip("10.1.1.1")), None);
    assert_eq!(hub.multicast_after(None), None);
    let (packets, events) = drain(&mut hub);
    assert!(packets.is_empty());
    assert!(events.contains(&Event::CacheRemoved {
        target: Prefix::host(ip("10.1.1.1")),
        nbma: from.nbma,
        link: Some(from.id),
    }));
    assert_eq!(hub.poll_timeout(), None);
}

/// Resolution and redirects of phase 3 have no machine yet: they are refused by name.
#[test]
fn packets_of_phase_3_change_nothing() {
    let mut hub = hub();
    let mut refused = 0;
    for octets in recorded("04-phase3-plain.wire-hub") {
        let packet = Packet::parse(&octets).unwrap();
        if let Body::RegistrationRequest(_) | Body::RegistrationReply(_) = packet.body {
            continue;
        }
        let outcome = hub.handle_packet(START, &link("172.16.1.1"), &octets);
        assert_eq!(outcome, Err(Discard::PacketType(packet.packet_type())));
        refused += 1;
    }
    assert_eq!(refused, 10);
    assert_eq!(drain(&mut hub), (vec![], vec![]));
    assert_eq!(hub.cache(START).count(), 0);
}

/// tcpdump's `NHRP_registration.pcap`, frames 1 and 2: IOS 15, GRE key 2.
#[test]
fn our_client_and_server_send_ciscos_own_octets() {
    let request = hex!(
        "000108000000000000ff006c197b0034010304000404800200000001a9fe64019b0100019b010005"
        "0020000045f81c20000000008003000080040000800500008007000c000000014e48525041555448"
        "000900140020000045f8000004000400a9fe64059b01000580000000"
    );
    let reply = hex!(
        "000108000000000000ff0080060f0034010404000404800200000001a9fe64019b0100019b010005"
        "0020000045f81c2000000000800300140020000045f81c2004000400a9fe64059b01000580040000"
        "800500008007000c000000014e48525041555448000900140020000045f8000004000400a9fe6405"
        "9b01000580000000"
    );
    let (server, nbma) = (ip("155.1.0.5"), ip("169.254.100.5"));
    let builder = Config::builder("Tunnel0", ip("155.1.0.1"), 24, ip("169.254.100.1"))
        .servers(vec![NextHopServer { nbma: Some(nbma), ..NextHopServer::new(server) }])
        .first_request_id(RequestId(1));
    let mut client = up(with_authentication(builder).build().unwrap());
    let builder = Config::builder("Tunnel0", server, 24, nbma);
    let mut hub = up(with_authentication(builder).build().unwrap());
    let (to_hub, to_client) = (link("169.254.100.5"), link("169.254.100.1"));
    client.link_up(START, &to_hub);
    client.register(START);
    assert_eq!(drain(&mut client).0, [Bytes::copy_from_slice(&request)]);
    assert_eq!(answer(&mut hub, START, &to_client, &request), reply.as_slice());
    client.handle_packet(START, &to_hub, &reply).unwrap();
    assert_eq!(drain(&mut client).1, [Event::NhsUp { address: server }]);
}

/// tcpdump's `ios_nhrp.pcap`: IOS 12, which knows no NAT address extension.
#[test]
fn a_registration_of_older_ios_is_answered_without_nat_address() {
    let request = hex!(
        "000108000000000000ff0051e8e400340103040004048000000000050a000c02c0a80002c0a80001"
        "00ff000005ea001e000000008003000080040000800500008007000900000001434953434f80000000"
    );
    let config = Config::builder("Tunnel0", ip("192.168.0.1"), 24, ip("10.0.12.1"))
        .authentication(Some(AuthenticationString::new(b"CISCO")))
        .build()
        .unwrap();
    let mut hub = up(config);
    // Behind a NAT, which cannot be told.
    let reply = answer(&mut hub, START, &link("203.0.113.9"), &request);
    let (reply, request) = (Packet::parse(&reply).unwrap(), Packet::parse(&request).unwrap());
    let mut expected = request.clone();
    let Body::RegistrationRequest(message) = request.body else { panic!() };
    expected.body = Body::RegistrationReply(message);
    let responder = Cie::bare(32, 17912, 7200).of(ip("10.0.12.1"), ip("192.168.0.1"));
    expected.extensions[0] = Extension::clients(ExtensionType::RESPONDER_ADDRESS, vec![responder]);
    assert_eq!(reply, expected);
    let entry = hub.cache(START).next().unwrap();
    assert_eq!(entry.expires, Some(Duration::from_secs(30)));
    assert_eq!(entry.nbma, Some(ip("203.0.113.9")));
}
