//! Recorded packets changed at random, cut at each octet and sent from elsewhere: an error leaves
//! everything as it was, and nothing that is not the owner's moves a binding.

#[path = "support/captures.rs"]
#[allow(dead_code, reason = "each test uses a part")]
mod captures;

extern crate alloc;

use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use core::net::IpAddr;
use core::time::Duration;

use captures::{data, nhrp_packets};
use chacha20::ChaCha20Rng;
use chacha20::rand_core::SeedableRng as _;
use dmvpn_nhrp::wire::{
    AuthenticationString, Body, Cie, ErrorCode, Extension, ExtensionType, ExtensionValue,
    FixedHeader, Flags, Message, Packet, PacketType, RequestId, checksum,
};
use dmvpn_nhrp::{
    CacheView, Config, ConfigBuilder, Discard, Endpoint, Event, Identity, Link, LinkId,
    NextHopServer, Prefix, ServerState, ServerView, StaticMap,
};
use dmvpn_time::Instant;
use proptest::prelude::*;

const START: Instant = Instant::EPOCH;

fn ip(address: &str) -> IpAddr {
    address.parse().unwrap()
}

fn link(id: u64, nbma: &str, identity: &str) -> Link {
    Link {
        id: LinkId(id),
        nbma: ip(nbma),
        local: ip("172.16.10.1"),
        udp_port: None,
        identity: Some(Identity::new(identity.as_bytes().to_vec())),
    }
}

fn spoke_link() -> Link {
    link(1, "172.16.1.1", "spoke 1")
}

fn intruder() -> Link {
    link(66, "172.16.66.6", "intruder")
}

fn hub_link() -> Link {
    link(10, "172.16.10.1", "hub")
}

fn up(builder: ConfigBuilder) -> Endpoint {
    let string = Some(AuthenticationString::new(b"NHRPAUTH"));
    started(builder.authentication(string))
}

fn started(builder: ConfigBuilder) -> Endpoint {
    let config = builder.build().unwrap();
    let rng = Box::new(ChaCha20Rng::from_seed([7; 32]));
    let mut endpoint = Endpoint::new(Arc::new(config), rng, START);
    endpoint.interface_up(START);
    drain(&mut endpoint);
    endpoint
}

fn drain(endpoint: &mut Endpoint) -> usize {
    let packets = core::iter::from_fn(|| endpoint.poll_transmit()).count();
    packets + core::iter::from_fn(|| endpoint.poll_event()).count()
}

fn samples() -> Vec<Vec<u8>> {
    let mut samples: Vec<_> =
        ["regreq_65540.bin", "regrep_65540.bin", "regrep_65541.bin"].map(data).into();
    for name in [
        "04-phase3-plain.wire-hub",
        "06-nat-spoke-ipsec.inside-gre1-hub",
        "09-nhrp-errors.wire-hub",
        "13-opennhrp.wire-hub",
    ] {
        samples.extend(nhrp_packets(&data(&format!("linux/{name}.pcap"))));
    }
    samples
}

/// A hub with a registration of the guide's spoke.
fn hub() -> Endpoint {
    let builder = Config::builder("Tunnel0", ip("10.1.1.254"), 24, ip("172.16.10.1"));
    let mut hub = up(builder.multicast_dynamic(true));
    hub.handle_packet(START, &spoke_link(), &data("regreq_65540.bin")).unwrap();
    assert!(drain(&mut hub) > 0);
    hub
}

/// The guide's spoke, waiting for the replies to both its registrations.
fn spoke() -> Endpoint {
    let (server, nbma) = (ip("10.1.1.254"), ip("172.16.10.1"));
    let builder = Config::builder("Tunnel0", ip("10.1.1.1"), 24, ip("172.16.1.1"))
        .servers(vec![NextHopServer::new(server)])
        .static_maps(vec![StaticMap { target: Prefix::host(server), nbma }])
        .first_request_id(RequestId(65540));
    let mut spoke = up(builder);
    spoke.link_up(START, &hub_link());
    spoke.register(START);
    spoke.register(START);
    assert!(drain(&mut spoke) > 0);
    spoke
}

/// All that a discarded packet must leave as it was.
#[derive(Debug, PartialEq)]
struct State {
    cache: Vec<CacheView>,
    servers: Vec<ServerView>,
    multicast: Option<LinkId>,
    timeout: Option<Instant>,
}

fn state(endpoint: &Endpoint) -> State {
    State {
        cache: endpoint.cache(START).collect(),
        servers: endpoint.servers().collect(),
        multicast: endpoint.multicast_after(None),
        timeout: endpoint.poll_timeout(),
    }
}

/// Hands a packet in; if it is discarded, nothing may have moved.
fn hand_in(endpoint: &mut Endpoint, from: &Link, packet: &[u8]) -> Result<(), Discard> {
    let before = state(endpoint);
    let counters = endpoint.counters();
    let outcome = endpoint.handle_packet(START, from, packet);
    assert_eq!(endpoint.counters().received, counters.received + 1);
    if outcome.is_err() {
        assert_eq!(state(endpoint), before);
        assert_eq!(drain(endpoint), 0);
        assert_eq!(endpoint.counters().discarded, counters.discarded + 1);
    }
    drain(endpoint);
    outcome
}

/// The packet with its checksum made right, where it has one.
fn sum(mut packet: Vec<u8>) -> Vec<u8> {
    if let Ok(header) = FixedHeader::parse(&packet) {
        packet[12..14].copy_from_slice(&[0, 0]);
        let size = usize::from(header.packet_size).min(packet.len());
        let sum = checksum(&packet[..size]);
        packet[12..14].copy_from_slice(&sum.to_be_bytes());
    }
    packet
}

#[test]
fn a_packet_cut_anywhere_is_discarded() {
    for sample in samples() {
        for length in 0..sample.len() {
            for endpoint in [&mut hub(), &mut spoke()] {
                let outcome = hand_in(endpoint, &spoke_link(), &sample[..length]);
                assert!(matches!(outcome, Err(Discard::Malformed(_))), "{outcome:?}");
            }
        }
    }
}

#[test]
fn nothing_from_an_intruder_moves_the_spokes_binding() {
    for sample in samples() {
        let mut hub = hub();
        let outcome = hand_in(&mut hub, &intruder(), &sample);
        let owners: Vec<_> =
            hub.cache(START).map(|entry| (entry.target.address(), entry.link)).collect();
        assert!(
            owners.contains(&(ip("10.1.1.1"), Some(LinkId(1)))),
            "{outcome:?}: {owners:?} after {:?}",
            Packet::parse(&sample)
        );
        assert_eq!(hub.lookup(START, ip("10.1.1.1")).unwrap().link, Some(LinkId(1)));
    }
}

#[test]
fn nothing_from_an_intruder_moves_the_client() {
    for sample in samples() {
        let mut spoke = spoke();
        let before = state(&spoke);
        // Errors that the intruder reports are told, and believed by nobody.
        let _ = hand_in(&mut spoke, &intruder(), &sample);
        let after = state(&spoke);
        assert_eq!((after.servers, after.timeout), (before.servers, before.timeout));
    }
}

/// A purge of the guide's spoke, or of its whole network, without or with the N flag.
fn purge(prefix_length: u8, flags: Flags) -> Vec<u8> {
    let mut packet = Packet::parse(&data("regreq_65540.bin")).unwrap();
    let spoke = packet.source_protocol.clone();
    let entries = vec![Cie { protocol: spoke, ..Cie::bare(prefix_length, 0, 0) }];
    packet.body = Body::PurgeRequest(Message { flags, request_id: RequestId(65540), entries });
    packet.encode().unwrap().to_vec()
}

#[test]
fn only_who_registered_a_binding_can_purge_it() {
    for prefix_length in [32, 255, 24, 0] {
        for flags in [Flags::NONE, Flags::NO_REPLY] {
            let mut hub = hub();
            let purge = purge(prefix_length, flags);
            // The intruder from its own place, and from the spoke's, where a NAT may have it.
            for from in [intruder(), Link { nbma: ip("172.16.1.1"), ..intruder() }] {
                let _ = hand_in(&mut hub, &from, &purge);
                assert_eq!(hub.lookup(START, ip("10.1.1.1")).unwrap().link, Some(LinkId(1)));
            }
            // The spoke itself, roaming or not.
            let from = Link { id: LinkId(2), nbma: ip("192.0.2.7"), ..spoke_link() };
            hub.handle_packet(START, &from, &purge).unwrap();
            assert_eq!(hub.poll_transmit().is_some(), flags == Flags::NONE);
            assert_eq!(hub.lookup(START, ip("10.1.1.1")), None, "{prefix_length}");
            assert_eq!(hub.multicast_after(None), None);
            assert_eq!(hub.poll_timeout(), None);
        }
    }
}

/// The hub's own address and a static entry are nobody's to register.
#[test]
fn the_hubs_own_addresses_cannot_be_registered() {
    let static_target = Prefix::host(ip("10.1.1.1"));
    let builder = Config::builder("Tunnel0", ip("10.1.1.254"), 24, ip("172.16.10.1"))
        .static_maps(vec![StaticMap { target: static_target, nbma: ip("172.16.9.9") }]);
    let mut hub = up(builder);
    let before = state(&hub);
    for source in ["10.1.1.1", "10.1.1.254", "10.1.2.1"] {
        let mut request = Packet::parse(&data("regreq_65540.bin")).unwrap();
        request.source_protocol = ip(source).into();
        hub.handle_packet(START, &intruder(), &request.encode().unwrap()).unwrap();
        let reply = Packet::parse(&hub.poll_transmit().unwrap().packet).unwrap();
        let entry = &reply.body.message().unwrap().entries[0];
        assert_eq!((entry.code.0, entry.holding_time), (4, 0), "{source}");
        assert_eq!(state(&hub), before, "{source}");
    }
}

/// Two routers may share an address behind UDP, each with its port: who is at ours is as good as its
/// identity, and its entry leads over its link. In clear GRE there is no port, and the owner of the
/// endpoint takes nothing from there.
#[test]
fn a_peer_at_our_own_address_has_its_own_link() {
    let mut hub = hub();
    let mut request = Packet::parse(&data("regreq_65540.bin")).unwrap();
    request.source_protocol = ip("10.1.1.7").into();
    let from = Link { udp_port: Some(4501), ..link(7, "172.16.10.1", "spoke 7") };
    hub.handle_packet(START, &from, &request.encode().unwrap()).unwrap();
    let to = hub.poll_transmit().unwrap().to;
    assert_eq!((to.nbma, to.link), (from.nbma, Some(from.id)));
    assert_eq!(hub.lookup(START, ip("10.1.1.7")).unwrap().link, Some(from.id));
    assert_eq!(hub.lookup(START, ip("10.1.1.1")).unwrap().link, Some(spoke_link().id));
}

/// A client that says it is where we are, but is elsewhere, is behind a NAT with our private address:
/// its entry leads to where it is.
#[test]
fn our_own_address_claimed_from_elsewhere_is_that_of_another_network() {
    let mut hub = hub();
    let mut request = Packet::parse(&data("regreq_65540.bin")).unwrap();
    request.source_nbma = ip("172.16.10.1").into();
    request.source_protocol = ip("10.1.1.7").into();
    hub.handle_packet(START, &intruder(), &request.encode().unwrap()).unwrap();
    let to = hub.poll_transmit().unwrap().to;
    assert_eq!((to.nbma, to.link), (intruder().nbma, Some(intruder().id)));
    let entry = hub.cache(START).find(|entry| entry.target == Prefix::host(ip("10.1.1.7")));
    let entry = entry.unwrap();
    assert_eq!(entry.nbma, Some(intruder().nbma));
    assert_eq!(entry.claimed_nbma, Some(ip("172.16.10.1")));
    assert_eq!(hub.lookup(START, ip("10.1.1.1")).unwrap().link, Some(spoke_link().id));
}

/// All that `endpoint` has to send.
fn sent(endpoint: &mut Endpoint) -> Vec<Vec<u8>> {
    core::iter::from_fn(|| endpoint.poll_transmit()).map(|sent| sent.packet.to_vec()).collect()
}

/// Whatever we send and get back, from where it went, changes nothing of ours.
#[test]
fn our_own_packets_reflected_change_nothing() {
    // A spoke's registration, and its purge once it is down and once it is up again.
    let server = ip("10.1.1.254");
    let mut spoke = spoke();
    spoke.handle_timeout(START + Duration::from_secs(2));
    let registration = &sent(&mut spoke)[0];
    drain(&mut spoke);
    let for_the_server = Discard::NotForUs { destination: server };
    assert_eq!(hand_in(&mut spoke, &hub_link(), registration), Err(for_the_server));
    spoke.handle_packet(START, &hub_link(), &data("regrep_65540.bin")).unwrap();
    assert!(drain(&mut spoke) > 0);
    assert_eq!(hand_in(&mut spoke, &hub_link(), registration), Err(for_the_server));
    spoke.interface_down(START);
    let [purge] = &sent(&mut spoke)[..] else { panic!("one goodbye") };
    drain(&mut spoke);
    assert_eq!(hand_in(&mut spoke, &hub_link(), purge), Err(Discard::InterfaceDown));
    spoke.interface_up(START);
    drain(&mut spoke);
    assert_eq!(hand_in(&mut spoke, &hub_link(), purge), Err(for_the_server));

    // A hub's replies: it asked nobody.
    let mut hub = hub();
    let registration = data("regreq_65540.bin");
    let id = RequestId(65540);
    for request in [&registration, &purge_of_another(), &registration] {
        hub.handle_packet(START, &spoke_link(), request).unwrap();
        let [reply] = &sent(&mut hub)[..] else { panic!("one reply") };
        drain(&mut hub);
        let outcome = hand_in(&mut hub, &spoke_link(), reply);
        assert_eq!(outcome, Err(Discard::UnexpectedReply(id)));
    }

    // Its error indication is told and believed by nobody.
    let mut request = Packet::parse(&registration).unwrap();
    request.extensions.clear();
    hub.handle_packet(START, &spoke_link(), &request.encode().unwrap()).unwrap();
    let [error] = &sent(&mut hub)[..] else { panic!("one error indication") };
    drain(&mut hub);
    let before = state(&hub);
    hub.handle_packet(START, &spoke_link(), error).unwrap();
    let (nbma, code) = (spoke_link().nbma, ErrorCode::AUTHENTICATION_FAILURE);
    assert_eq!(hub.poll_event(), Some(Event::ErrorReported { nbma, code }));
    assert_eq!((state(&hub), drain(&mut hub)), (before, 0));
}

/// A purge of an address that is in no entry, which is answered all the same.
fn purge_of_another() -> Vec<u8> {
    let mut packet = Packet::parse(&purge(32, Flags::NONE)).unwrap();
    let Body::PurgeRequest(message) = &mut packet.body else { panic!("{packet:?}") };
    message.entries[0].protocol = ip("10.1.1.9").into();
    packet.encode().unwrap().to_vec()
}

/// What an answer may have more than what it answers. A reply: the responder's entry, and the one that
/// says where a client behind a NAT is, of 20 octets each. An error indication: its own 40 octets.
const LONGER: usize = 40;

/// Requests of each kind, with the guide's extensions, only the authentication among them, or none.
fn requests() -> Vec<Packet> {
    let registration = Packet::parse(&data("regreq_65540.bin")).unwrap();
    let refused = Packet { source_protocol: ip("10.1.1.254").into(), ..registration.clone() };
    let purge = Packet::parse(&purge(32, Flags::NONE)).unwrap();
    let authentication = registration.extension(ExtensionType::AUTHENTICATION).cloned();
    let kinds = [registration.extensions.clone(), authentication.into_iter().collect(), vec![]];
    [registration, refused, purge]
        .iter()
        .flat_map(|request| kinds.iter().map(move |kind| (request, kind.clone())))
        .map(|(request, extensions)| Packet { extensions, ..request.clone() })
        .collect()
}

/// Extensions of every type, with and without a value.
fn repeatable() -> Vec<Extension> {
    let entry = || Cie::bare(32, 0, 0).of(ip("172.16.1.1"), ip("10.1.1.1"));
    let typed = |number: u16, compulsory, value| Extension {
        extension_type: ExtensionType::new(number),
        compulsory,
        unused: false,
        value,
    };
    let clients = [3, 4, 5, 9].into_iter().flat_map(|number| {
        [vec![], vec![entry()]]
            .map(|entries| typed(number, number != 9, ExtensionValue::Clients(entries)))
    });
    let vendor = ExtensionValue::VendorPrivate { vendor: [0, 0, 12], data: vec![1].into() };
    let raw = || ExtensionValue::Raw(vec![].into());
    let others = [
        Extension::authentication(AuthenticationString::new(b"NHRPAUTH")),
        typed(8, false, vendor),
        typed(0x3fff, false, raw()),
        typed(0x3fff, true, raw()),
    ];
    clients.chain(others).collect()
}

/// Whoever sends from an address that is not its own has no more sent there than it sends itself, but
/// for a constant: however often an extension is in a request, it is filled once.
#[test]
fn an_answer_is_hardly_longer_than_what_it_answers() {
    let mut kinds = BTreeSet::new();
    let (mut replies, mut indications) = (0, 0);
    for (request, extension) in
        requests().iter().flat_map(|request| repeatable().into_iter().map(move |e| (request, e)))
    {
        for times in [0, 1, 2, 3, 30, 300, 2000] {
            let mut packet = request.clone();
            let repeated = core::iter::repeat_n(extension.clone(), times);
            packet.extensions.splice(0..0, repeated);
            let packet = packet.encode().unwrap();
            for string in [None, Some(AuthenticationString::new(b"NHRPAUTH"))] {
                for from in [spoke_link(), intruder()] {
                    let builder =
                        Config::builder("Tunnel0", ip("10.1.1.254"), 24, ip("172.16.10.1"));
                    let mut hub = started(builder.authentication(string.clone()));
                    hub.handle_packet(START, &from, &packet).unwrap();
                    let answer = hub.poll_transmit().unwrap().packet;
                    let more = answer.len().saturating_sub(packet.len());
                    assert!(more <= LONGER, "{more} octets more: {times} times {extension:?}");
                    assert_eq!(hub.poll_transmit(), None);
                    let answer = Packet::parse(&answer).unwrap();
                    let (code, most) = if let Body::ErrorIndication(error) = &answer.body {
                        (Some(error.code), &mut indications)
                    } else {
                        (None, &mut replies)
                    };
                    kinds.insert((answer.packet_type(), code));
                    *most = more.max(*most);
                }
            }
        }
    }
    // Each kind of answer was among them, and the bound is not wider than it must be.
    let error = PacketType::ERROR_INDICATION;
    let expected = [
        (PacketType::REGISTRATION_REPLY, None),
        (PacketType::PURGE_REPLY, None),
        (error, Some(ErrorCode::UNRECOGNIZED_EXTENSION)),
        (error, Some(ErrorCode::INVALID_EXTENSION)),
        (error, Some(ErrorCode::AUTHENTICATION_FAILURE)),
    ];
    assert_eq!(kinds, BTreeSet::from(expected));
    assert_eq!((replies, indications), (LONGER, LONGER));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn what_is_discarded_changes_nothing(
        sample in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        repair in prop::bool::weighted(0.8),
        from in 0..3_usize,
        to_spoke in any::<bool>(),
        then in 0..20_000_u64,
    ) {
        let samples = samples();
        let mut packet = samples[sample.index(samples.len())].clone();
        for (at, octet) in changes {
            let at = at.index(packet.len());
            packet[at] = octet;
        }
        let packet = if repair { sum(packet) } else { packet };
        let from = [spoke_link(), hub_link(), intruder()][from].clone();
        let mut endpoint = if to_spoke { spoke() } else { hub() };
        let _ = hand_in(&mut endpoint, &from, &packet);
        // Twice is no different from a peer that repeats itself.
        let _ = hand_in(&mut endpoint, &from, &packet);
        // And whatever was accepted comes to an end.
        let mut now = START + Duration::from_secs(then);
        for _ in 0..200 {
            let Some(due) = endpoint.poll_timeout() else { break };
            now = now.max(due);
            endpoint.handle_timeout(now);
            drain(&mut endpoint);
            prop_assert!(endpoint.poll_timeout().is_none_or(|next| next > now));
        }
        if !to_spoke {
            prop_assert_eq!(endpoint.cache(now).count(), 0);
            prop_assert_eq!(endpoint.multicast_after(None), None);
            prop_assert_eq!(endpoint.poll_timeout(), None);
        } else if from.id != hub_link().id {
            let server = endpoint.servers().next().unwrap();
            prop_assert_eq!(server.state, ServerState::Expecting);
        }
    }

    #[test]
    fn octets_of_no_sense_are_discarded(octets in prop::collection::vec(any::<u8>(), 0..200)) {
        for endpoint in [&mut hub(), &mut spoke()] {
            let outcome = hand_in(endpoint, &hub_link(), &octets);
            prop_assert!(matches!(outcome, Err(Discard::Malformed(_))));
        }
    }
}
