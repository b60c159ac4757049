//! Wrong authentication, errors, and octets that were never a packet.

#[path = "support/cloud.rs"]
#[allow(dead_code, reason = "each test uses what it needs")]
mod cloud;

extern crate alloc;

use cloud::{endpoint, events, hub, ip, link, spoke, state, transmits};
use dmvpn_nhrp::wire::{
    AuthenticationString, Body, ErrorCode, ErrorIndication, Extension, ExtensionType, Packet,
};
use dmvpn_nhrp::{Deviation, Discard, Endpoint, Event, Limits, LinkId, Trace};
use dmvpn_time::Instant;
use proptest::prelude::*;

const REQUEST: &[u8] = include_bytes!("data/regreq_65540.bin");
const REPLY: &[u8] = include_bytes!("data/regrep_65540.bin");

fn up(mut endpoint: Endpoint) -> Endpoint {
    endpoint.interface_up(Instant::EPOCH);
    endpoint.link_up(Instant::EPOCH, &link(9, "172.16.10.1", "172.16.1.1"));
    endpoint.register(Instant::EPOCH);
    transmits(&mut endpoint);
    events(&mut endpoint);
    while endpoint.poll_trace().is_some() {}
    endpoint
}

fn changed(octets: &[u8], change: impl FnOnce(&mut Packet)) -> Vec<u8> {
    let mut packet = Packet::parse(octets).unwrap();
    change(&mut packet);
    packet.encode().unwrap().to_vec()
}

fn authentication(octets: &[u8], strings: &[&[u8]]) -> Vec<u8> {
    changed(octets, |packet| {
        packet.extensions.retain(|e| e.extension_type != ExtensionType::AUTHENTICATION);
        for string in strings {
            let extension = Extension::authentication(AuthenticationString::new(string));
            packet.extensions.insert(3, extension);
        }
    })
}

#[test]
fn wrong_authentication_is_answered_with_error_11_and_no_more() {
    let wrong: [&[&[u8]]; 5] =
        [&[], &[b"WRONG"], &[b"NHRPAUTH", b"NHRPAUTH"], &[b"NHRPAUT"], &[b"NHRPAUTHX"]];
    let from = link(1, "172.16.1.1", "172.16.10.1");
    for strings in wrong {
        let mut hub = up(endpoint(hub(), 1));
        let before = state(&hub, Instant::EPOCH);
        let request = authentication(REQUEST, strings);
        hub.handle_packet(Instant::EPOCH, &from, &request).unwrap();
        assert_eq!(state(&hub, Instant::EPOCH), before);
        assert_eq!(hub.counters().authentication_failures, 1);
        let (nbma, link) = (ip("172.16.1.1"), LinkId(1));
        assert_eq!(events(&mut hub), [Event::AuthenticationFailed { nbma, link }]);
        let sent = transmits(&mut hub);
        assert_eq!((sent.len(), sent[0].to.link), (1, Some(link)));
        let error = Packet::parse(&sent[0].packet).unwrap();
        assert_eq!(error.extensions, [], "no authentication in an error indication");
        assert_eq!(error.source_protocol.ip(), Some(ip("10.1.1.254")));
        assert_eq!(error.destination_protocol.ip(), Some(ip("10.1.1.1")));
        let Body::ErrorIndication(error) = error.body else { panic!("{error:?}") };
        assert_eq!(error.code, ErrorCode::AUTHENTICATION_FAILURE);
        assert_eq!(error.offset, if strings.is_empty() { 52 } else { 64 });
        // The packet in error, without the extensions, where the string is.
        assert_eq!(error.contents, request[..52]);
    }
}

#[test]
fn replies_and_purges_are_authenticated_too() {
    let mut spoke = up(endpoint(spoke(1), 1));
    let before = state(&spoke, Instant::EPOCH);
    let from = link(9, "172.16.10.1", "172.16.1.1");
    spoke.handle_packet(Instant::EPOCH, &from, &authentication(REPLY, &[b"WRONG"])).unwrap();
    let purge = changed(&authentication(REQUEST, &[]), |packet| {
        let Body::RegistrationRequest(message) = packet.body.clone() else { panic!() };
        packet.body = Body::PurgeRequest(message);
    });
    spoke.handle_packet(Instant::EPOCH, &from, &purge).unwrap();
    assert_eq!(state(&spoke, Instant::EPOCH), before);
    assert_eq!(transmits(&mut spoke).len(), 2);
    assert_eq!(spoke.counters().authentication_failures, 2);
    assert_eq!(spoke.handle_packet(Instant::EPOCH, &from, REPLY), Ok(()));
}

#[test]
fn where_none_is_configured_any_authentication_will_do() {
    let from = link(1, "172.16.1.1", "172.16.10.1");
    for strings in [&[] as &[&[u8]], &[b"OTHER"]] {
        let mut hub = up(endpoint(hub().authentication(None), 1));
        let request = authentication(REQUEST, strings);
        hub.handle_packet(Instant::EPOCH, &from, &request).unwrap();
        assert_eq!(hub.cache(Instant::EPOCH).count(), 1);
        let reply = Packet::parse(&transmits(&mut hub)[0].packet).unwrap();
        let request = Packet::parse(&request).unwrap();
        let of = |packet: &Packet| packet.extension(ExtensionType::AUTHENTICATION).cloned();
        assert_eq!(of(&reply), of(&request));
    }
}

#[test]
fn errors_are_sent_so_many_a_second() {
    let mut hub =
        up(endpoint(hub().limits(Limits { errors_per_second: 3, ..Limits::default() }), 1));
    let from = link(1, "172.16.1.1", "172.16.10.1");
    let wrong = authentication(REQUEST, &[]);
    for millis in [0, 10, 999] {
        assert_eq!(hub.handle_packet(Instant::from_millis(millis), &from, &wrong), Ok(()));
    }
    let late = Instant::from_millis(999);
    assert_eq!(hub.handle_packet(late, &from, &wrong), Err(Discard::Authentication));
    assert_eq!((transmits(&mut hub).len(), events(&mut hub).len()), (3, 3));
    assert_eq!(hub.handle_packet(Instant::from_secs(1), &from, &wrong), Ok(()));
    assert_eq!(hub.counters().authentication_failures, 5);
}

#[test]
fn nothing_is_sent_in_answer_to_an_error_indication() {
    let from = link(9, "172.16.10.1", "172.16.1.1");
    let code = ErrorCode::AUTHENTICATION_FAILURE;
    let contents = bytes::Bytes::from_static(&[0; 16]);
    let body = Body::ErrorIndication(ErrorIndication { unused: 0, code, offset: 64, contents });
    let plain = Packet::new(ip("172.16.10.1"), ip("10.1.1.254"), ip("10.1.1.1"), body);
    // Neither without authentication nor with a wrong one.
    let wrong = Extension::authentication(AuthenticationString::new(b"WRONG"));
    for extensions in [vec![], vec![wrong, Extension::end()]] {
        let mut spoke = up(endpoint(spoke(1), 1));
        let before = state(&spoke, Instant::EPOCH);
        let packet = Packet { extensions, ..plain.clone() }.encode().unwrap();
        spoke.handle_packet(Instant::EPOCH, &from, &packet).unwrap();
        assert_eq!((transmits(&mut spoke), state(&spoke, Instant::EPOCH)), (vec![], before));
        let nbma = ip("172.16.10.1");
        assert_eq!(events(&mut spoke), [Event::ErrorReported { nbma, code }]);
        assert_eq!(spoke.counters().authentication_failures, 0);
    }
}

#[test]
fn leniencies_have_their_names() {
    let from = link(1, "172.16.1.1", "172.16.10.1");
    let mut trailing = REQUEST.to_vec();
    trailing.extend([0; 16]);
    let hop_count = changed(REQUEST, |packet| packet.hop_count = 0);
    let broadcast =
        changed(REQUEST, |packet| packet.destination_protocol = ip("10.1.1.255").into());
    for (packet, deviation) in [
        (trailing, Deviation::TrailingOctets),
        (hop_count, Deviation::HopCountZero),
        (broadcast, Deviation::BroadcastDestination),
    ] {
        let mut hub = up(endpoint(hub(), 1));
        hub.handle_packet(Instant::EPOCH, &from, &packet).unwrap();
        let traces: Vec<_> = core::iter::from_fn(|| hub.poll_trace()).collect();
        assert!(traces.iter().any(|traced| traced.trace == Trace::Deviation(deviation)));
        assert_eq!(hub.counters().deviations, 1);
        // Our answer has none of it.
        let reply = Packet::parse(&transmits(&mut hub)[0].packet).unwrap();
        assert_eq!(reply.hop_count, 255);
    }
}

/// Gives `octets` to hub and spoke; they must refuse, and nothing of them may change.
fn assert_refused(octets: &[u8]) {
    for mut endpoint in [up(endpoint(hub(), 1)), up(endpoint(spoke(1), 1))] {
        let now = Instant::from_millis(1);
        let before = state(&endpoint, now);
        let from = link(9, "172.16.10.1", "172.16.1.1");
        assert!(endpoint.handle_packet(now, &from, octets).is_err(), "{octets:02x?}");
        assert_eq!(state(&endpoint, now), before);
        assert_eq!((transmits(&mut endpoint), events(&mut endpoint)), (vec![], vec![]));
        assert_eq!(endpoint.counters().discarded, 1);
    }
}

#[test]
fn no_prefix_of_a_packet_changes_anything() {
    for packet in [REQUEST, REPLY] {
        for length in 0..packet.len() {
            assert_refused(&packet[..length]);
        }
    }
}

#[test]
fn no_flipped_bit_changes_anything() {
    for packet in [REQUEST, REPLY] {
        for bit in 0..packet.len() * 8 {
            let mut octets = packet.to_vec();
            octets[bit / 8] ^= 0x80 >> (bit % 8);
            assert_refused(&octets);
        }
    }
}

#[test]
fn a_traced_ring_holds_what_it_may_and_counts_the_rest() {
    let mut hub = up(endpoint(hub().trace_capacity(3), 1));
    let from = link(1, "172.16.1.1", "172.16.10.1");
    hub.handle_packet(Instant::EPOCH, &from, REQUEST).unwrap();
    assert_eq!(core::iter::from_fn(|| hub.poll_trace()).count(), 3);
    assert!(hub.counters().traces_dropped > 10);
    let mut silent = up(endpoint(cloud::hub().trace_capacity(0), 1));
    silent.handle_packet(Instant::EPOCH, &from, REQUEST).unwrap();
    assert_eq!((silent.poll_trace(), silent.counters().traces_dropped), (None, 0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Whatever a packet says, with a right checksum: an error changes nothing, and no input
    /// panics.
    #[test]
    fn an_error_leaves_everything_as_it_was(
        which in any::<bool>(),
        changes in proptest::collection::vec((0..128_usize, any::<u8>()), 1..6),
        is_hub in any::<bool>(),
    ) {
        let mut octets = if which { REQUEST.to_vec() } else { REPLY.to_vec() };
        for (at, value) in changes {
            let at = at % octets.len();
            octets[at] = value;
        }
        octets[12..14].fill(0);
        let sum = dmvpn_nhrp::wire::checksum(&octets);
        octets[12..14].copy_from_slice(&sum.to_be_bytes());
        let mut endpoint = up(endpoint(if is_hub { hub() } else { spoke(1) }, 1));
        let now = Instant::from_millis(1);
        let before = state(&endpoint, now);
        let from = link(9, "172.16.10.1", "172.16.1.1");
        if endpoint.handle_packet(now, &from, &octets).is_err() {
            prop_assert_eq!(state(&endpoint, now), before);
            prop_assert_eq!(transmits(&mut endpoint), vec![]);
            prop_assert_eq!(events(&mut endpoint), vec![]);
        }
    }
}
