//! FRR's nhrpd and OpenNHRP, recorded against each other: our server answers their clients, and our
//! client takes their servers' answers.

#[path = "support/captures.rs"]
#[allow(dead_code, reason = "each test uses what it needs")]
mod captures;
#[path = "support/cloud.rs"]
#[allow(dead_code, reason = "each test uses what it needs")]
mod cloud;

use cloud::{endpoint, events, hub, ip, link, spoke, transmits};
use dmvpn_nhrp::wire::{Body, ErrorCode, ExtensionType, Packet, RequestId};
use dmvpn_nhrp::{Endpoint, Event};
use dmvpn_time::Instant;

/// The recordings, and where a client is seen.
const RECORDINGS: [(&str, Option<&str>); 6] = [
    ("01-plain-phase1.wire-hub", None),
    ("02-ipsec-phase1.inside-gre1-hub", None),
    ("06-nat-spoke-ipsec.inside-gre1-hub", Some("192.0.2.2")),
    ("11-shutdown-restart.wire-hub", None),
    ("13-opennhrp.wire-hub", None),
    ("13-opennhrp.wire-hub-2-unique", None),
];

fn recording(name: &str) -> Vec<Packet> {
    captures::nhrp_packets(&captures::data(&format!("linux/{name}.pcap")))
        .iter()
        .map(|octets| Packet::parse(octets).unwrap())
        .collect()
}

fn up(mut hub: Endpoint) -> Endpoint {
    hub.interface_up(Instant::EPOCH);
    hub
}

/// What two replies must have in common: everything but the hop count and what a server says of
/// its own MTU and prefix.
fn assert_same_answer(ours: &Packet, theirs: &Packet) {
    assert_eq!(ours.packet_type(), theirs.packet_type());
    assert_eq!(ours.body.message(), theirs.body.message());
    assert_eq!(ours.source_nbma, theirs.source_nbma);
    assert_eq!(ours.source_protocol, theirs.source_protocol);
    assert_eq!(ours.destination_protocol, theirs.destination_protocol);
    assert_eq!(ours.extensions.len(), theirs.extensions.len());
    for (ours, theirs) in ours.extensions.iter().zip(&theirs.extensions) {
        assert_eq!(
            (ours.extension_type, ours.compulsory),
            (theirs.extension_type, theirs.compulsory)
        );
        let addresses = |extension: &dmvpn_nhrp::wire::Extension| -> Vec<_> {
            let entries = extension.entries().iter();
            entries.map(|entry| (entry.nbma.clone(), entry.protocol.clone())).collect()
        };
        assert_eq!(addresses(ours), addresses(theirs));
        if ours.extension_type == ExtensionType::AUTHENTICATION {
            assert_eq!(ours, theirs);
        }
    }
    assert_eq!(ours.encoded_len(), theirs.encoded_len());
}

#[test]
fn our_server_answers_their_clients_as_their_servers_did() {
    let mut answered = 0;
    for (name, outside) in RECORDINGS {
        let packets = recording(name);
        let mut hub = up(endpoint(hub(), 1));
        for pair in packets.chunks(2) {
            let [request, theirs] = pair else { panic!("{name}: a request without reply") };
            let claimed = request.source_nbma.to_string();
            let nbma = outside.unwrap_or(&claimed);
            let from = link(u64::from(request.hop_count), nbma, "172.16.10.1");
            let octets = request.encode().unwrap();
            hub.handle_packet(Instant::EPOCH, &from, &octets).unwrap();
            let ours = Packet::parse(&transmits(&mut hub)[0].packet).unwrap();
            assert_eq!(ours.hop_count, 255);
            if let Body::RegistrationReply(message) = &ours.body
                && message.entries[0].code.0 == 14
            {
                // Their servers let a second client take a unique address; ours does not.
                assert_eq!(name, "13-opennhrp.wire-hub-2-unique");
                continue;
            }
            assert_same_answer(&ours, theirs);
            answered += 1;
        }
    }
    assert_eq!(answered, 14);
}

#[test]
fn our_client_takes_their_servers_replies() {
    let mut taken = 0;
    for (name, outside) in RECORDINGS {
        for reply in recording(name) {
            let Body::RegistrationReply(message) = &reply.body else { continue };
            let client = reply.source_protocol.ip().unwrap();
            let nbma = reply.source_nbma.ip().unwrap();
            let config = dmvpn_nhrp::Config::builder("Tunnel0", client, 24, nbma)
                .authentication(Some(dmvpn_nhrp::wire::AuthenticationString::new(b"NHRPAUTH")))
                .servers(vec![dmvpn_nhrp::NextHopServer {
                    nbma: Some(ip("172.16.10.1")),
                    ..dmvpn_nhrp::NextHopServer::new(ip("10.1.1.254"))
                }])
                .first_request_id(message.request_id);
            let mut spoke = up(endpoint(config, 1));
            let hub = link(1, "172.16.10.1", &nbma.to_string());
            spoke.link_up(Instant::EPOCH, &hub);
            spoke.register(Instant::EPOCH);
            let now = Instant::from_millis(3);
            spoke.handle_packet(now, &hub, &reply.encode().unwrap()).unwrap();
            assert_eq!(
                events(&mut spoke).last(),
                Some(&Event::NhsUp { address: ip("10.1.1.254") })
            );
            let holding = u64::from(message.entries[0].holding_time);
            let refresh = std::time::Duration::from_secs(holding / 3);
            assert_eq!(spoke.poll_timeout(), Some(now + refresh));
            assert_eq!(spoke.servers().next().unwrap().outside_nbma, outside.map(ip));
            taken += 1;
        }
    }
    assert_eq!(taken, 13);
}

#[test]
fn wrong_authentication_of_theirs_gets_the_error_that_theirs_got() {
    let packets = recording("09-nhrp-errors.wire-hub");
    let mut hub = up(endpoint(hub(), 1));
    let mut spoke = up(endpoint(spoke(1), 1));
    let mut now = Instant::EPOCH;
    for pair in packets.chunks(2) {
        let [request, theirs] = pair else { panic!("a request without answer") };
        now += std::time::Duration::from_secs(1);
        let nbma = request.source_nbma.to_string();
        let from = link(1, &nbma, "172.16.10.1");
        hub.handle_packet(now, &from, &request.encode().unwrap()).unwrap();
        let ours = Packet::parse(&transmits(&mut hub)[0].packet).unwrap();
        let Body::ErrorIndication(their_error) = &theirs.body else { continue };
        let Body::ErrorIndication(our_error) = &ours.body else { panic!("{ours:?}") };
        assert_eq!((our_error.code, their_error.code), (ErrorCode(11), ErrorCode(11)));
        assert_eq!(ours.destination_protocol, theirs.destination_protocol);
        assert_eq!(ours.source_protocol, theirs.source_protocol);
        // Theirs is read here, and not answered.
        events(&mut spoke);
        let to = link(9, "172.16.10.1", "172.16.1.1");
        spoke.handle_packet(now, &to, &theirs.encode().unwrap()).unwrap();
        let code = ErrorCode::AUTHENTICATION_FAILURE;
        assert_eq!(events(&mut spoke), [Event::ErrorReported { nbma: ip("172.16.10.1"), code }]);
        assert_eq!(transmits(&mut spoke), []);
    }
    assert_eq!(hub.counters().authentication_failures, 11);
    // The right ones came after them: the second client found the address taken, twice.
    assert_eq!(hub.counters().registrations_accepted, 1);
    assert_eq!(hub.counters().registrations_refused, 2);
}

#[test]
fn ciscos_own_pair_is_answered_and_asked_octet_by_octet() {
    // NHRP_registration.pcap of the tcpdump project's tests, frames 1 and 2: Cisco IOS.
    let request = captures::hex(
        "000108000000000000ff006c197b0034010304000404800200000001a9fe64019b0100019b010005\
         0020000045f81c20000000008003000080040000800500008007000c000000014e48525041555448\
         000900140020000045f8000004000400a9fe64059b01000580000000",
    );
    let reply = captures::hex(
        "000108000000000000ff0080060f0034010404000404800200000001a9fe64019b0100019b010005\
         0020000045f81c2000000000800300140020000045f81c2004000400a9fe64059b01000580040000\
         800500008007000c000000014e48525041555448000900140020000045f8000004000400a9fe6405\
         9b01000580000000",
    );
    let authentication = || Some(dmvpn_nhrp::wire::AuthenticationString::new(b"NHRPAUTH"));
    let server = dmvpn_nhrp::Config::builder("Tunnel0", ip("155.1.0.5"), 24, ip("169.254.100.5"));
    let mut hub = up(endpoint(server.authentication(authentication()), 1));
    let from = link(1, "169.254.100.1", "169.254.100.5");
    hub.handle_packet(Instant::EPOCH, &from, &request).unwrap();
    assert_eq!(transmits(&mut hub)[0].packet, reply);

    let client = dmvpn_nhrp::Config::builder("Tunnel0", ip("155.1.0.1"), 24, ip("169.254.100.1"))
        .authentication(authentication())
        .servers(vec![dmvpn_nhrp::NextHopServer {
            nbma: Some(ip("169.254.100.5")),
            ..dmvpn_nhrp::NextHopServer::new(ip("155.1.0.5"))
        }])
        .first_request_id(RequestId(1));
    let mut spoke = up(endpoint(client, 1));
    let to = link(1, "169.254.100.5", "169.254.100.1");
    spoke.link_up(Instant::EPOCH, &to);
    spoke.register(Instant::EPOCH);
    assert_eq!(transmits(&mut spoke)[0].packet, request);
    spoke.handle_packet(Instant::EPOCH, &to, &reply).unwrap();
    assert_eq!(events(&mut spoke).last(), Some(&Event::NhsUp { address: ip("155.1.0.5") }));
}
