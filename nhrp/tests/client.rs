//! The client: when it registers, with whom, and what it believes.

#[path = "support/cloud.rs"]
#[allow(dead_code, reason = "each test uses what it needs")]
mod cloud;

extern crate alloc;

use alloc::sync::Arc;
use core::time::Duration;

use cloud::{Cloud, Driver, endpoint, events, host, hub, ip, link, spoke, state, transmits};
use dmvpn_nhrp::wire::{Body, Cie, CieCode, Packet, RequestId};
use dmvpn_nhrp::{
    ConfigBuilder, ConfigError, Discard, Endpoint, Event, Link, LinkId, NextHopServer, ServerState,
    StaticMap, Trace,
};
use dmvpn_time::Instant;

const HUB: &str = "10.1.1.254";

fn to_hub() -> Link {
    link(9, "172.16.10.1", "172.16.1.1")
}

fn up(config: ConfigBuilder) -> Endpoint {
    let mut spoke = endpoint(config, 1);
    spoke.interface_up(Instant::EPOCH);
    spoke.link_up(Instant::EPOCH, &to_hub());
    spoke.register(Instant::EPOCH);
    events(&mut spoke);
    spoke
}

fn request_id(packet: &[u8]) -> u32 {
    Packet::parse(packet).unwrap().body.message().unwrap().request_id.0
}

/// The reply that a server gives to a request; `change` may spoil it.
fn reply_to(request: &[u8], change: impl FnOnce(&mut Packet)) -> Vec<u8> {
    let mut packet = Packet::parse(request).unwrap();
    let Body::RegistrationRequest(message) = packet.body else { panic!("no registration") };
    packet.body = Body::RegistrationReply(message);
    change(&mut packet);
    packet.encode().unwrap().to_vec()
}

fn entry(packet: &mut Packet) -> &mut Cie {
    let Body::RegistrationReply(message) = &mut packet.body else { panic!("no reply") };
    &mut message.entries[0]
}

#[test]
fn an_unanswered_request_is_repeated_after_1_2_4_to_64_seconds_with_the_same_octets() {
    let mut spoke = up(spoke(1));
    let first = transmits(&mut spoke).remove(0);
    let mut now = Instant::EPOCH;
    let mut waits = Vec::new();
    for _ in 0..9 {
        let due = spoke.poll_timeout().unwrap();
        spoke.handle_timeout(due - Duration::from_micros(1));
        assert_eq!(transmits(&mut spoke), []);
        waits.push(due.saturating_duration_since(now).as_secs());
        now = due;
        spoke.handle_timeout(now);
        assert_eq!(transmits(&mut spoke), core::slice::from_ref(&first));
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 64, 64]);
    assert_eq!(spoke.counters().retransmitted, 9);
    // The server was never up, so nobody is told that it is down.
    assert_eq!(events(&mut spoke), []);
    // The reply counts however late it comes.
    spoke.handle_packet(now, &to_hub(), &reply_to(&first.packet, |_| {})).unwrap();
    assert_eq!(events(&mut spoke), [Event::NhsUp { address: ip(HUB) }]);
}

#[test]
fn a_jump_forward_fires_once() {
    let mut spoke = up(spoke(1));
    transmits(&mut spoke);
    spoke.handle_timeout(Instant::from_secs(100_000));
    assert_eq!(transmits(&mut spoke).len(), 1);
    // And time that goes back counts as the latest seen.
    spoke.handle_timeout(Instant::EPOCH);
    assert_eq!(transmits(&mut spoke).len(), 0);
    assert_eq!(spoke.poll_timeout(), Some(Instant::from_secs(100_002)));
}

#[test]
fn a_registration_is_refreshed_at_a_third_of_the_holding_time_with_the_next_identifier() {
    for (ours, theirs, refresh) in [(7200, 7200, 2400), (600, 7200, 200), (7200, 90, 30), (3, 3, 1)]
    {
        let mut spoke = up(spoke(1).holding_time(ours));
        let first = transmits(&mut spoke).remove(0);
        let reply = reply_to(&first.packet, |packet| entry(packet).holding_time = theirs);
        spoke.handle_packet(Instant::from_secs(1), &to_hub(), &reply).unwrap();
        assert_eq!(spoke.poll_timeout(), Some(Instant::from_secs(1 + refresh)));
        spoke.handle_timeout(Instant::from_secs(1 + refresh));
        let second = transmits(&mut spoke).remove(0);
        assert_eq!((request_id(&first.packet), request_id(&second.packet)), (65540, 65541));
        assert_eq!(spoke.servers().next().unwrap().state, ServerState::Responding);
    }
}

#[test]
fn a_configured_interval_is_kept_unless_the_registration_would_lapse() {
    for (interval, theirs, refresh) in
        [(60, 7200, 60), (3000, 7200, 2400), (60, 90, 30), (0, 90, 1)]
    {
        let mut spoke = up(spoke(1).registration_interval(interval));
        let first = transmits(&mut spoke).remove(0);
        let reply = reply_to(&first.packet, |packet| entry(packet).holding_time = theirs);
        spoke.handle_packet(Instant::from_secs(1), &to_hub(), &reply).unwrap();
        assert_eq!(spoke.poll_timeout(), Some(Instant::from_secs(1 + refresh)));
    }
}

#[test]
fn either_of_two_registrations_under_way_may_be_answered_and_both() {
    for order in [[0, 1], [1, 0]] {
        let mut spoke = up(spoke(1));
        spoke.register(Instant::EPOCH);
        let sent = transmits(&mut spoke);
        assert_eq!(sent.iter().map(|t| request_id(&t.packet)).collect::<Vec<_>>(), [65540, 65541]);
        for (number, which) in order.into_iter().enumerate() {
            let now = Instant::from_millis(10 + number as u64);
            spoke.handle_packet(now, &to_hub(), &reply_to(&sent[which].packet, |_| {})).unwrap();
            assert_eq!(spoke.poll_timeout(), Some(now + Duration::from_secs(2400)));
        }
        assert_eq!(events(&mut spoke), [Event::NhsUp { address: ip(HUB) }]);
        // It responds: the command has nothing to do.
        spoke.register(Instant::from_secs(1));
        assert_eq!(transmits(&mut spoke), []);
    }
}

#[test]
fn replies_that_answer_no_request_change_nothing() {
    let mut spoke = up(spoke(1));
    let request = transmits(&mut spoke).remove(0).packet;
    let now = Instant::from_millis(5);
    let before = state(&spoke, now);
    let id = RequestId(65540);
    let elsewhere = link(9, "172.16.66.6", "172.16.1.1");
    let change_id = |packet: &mut Packet| {
        if let Body::RegistrationReply(message) = &mut packet.body {
            message.request_id = RequestId(1);
        }
    };
    let cases: [(Vec<u8>, Link, Discard); 6] = [
        (reply_to(&request, change_id), to_hub(), Discard::UnexpectedReply(RequestId(1))),
        (
            reply_to(&request, |p| p.destination_protocol = ip("10.1.1.253").into()),
            to_hub(),
            Discard::UnexpectedReply(id),
        ),
        (
            reply_to(&request, |p| p.source_protocol = ip("10.1.1.2").into()),
            to_hub(),
            Discard::ReplyMismatch(id),
        ),
        (
            reply_to(&request, |p| p.source_nbma = ip("172.16.1.2").into()),
            to_hub(),
            Discard::ReplyMismatch(id),
        ),
        (
            reply_to(&request, |_| {}),
            elsewhere,
            Discard::ReplyFromElsewhere { nbma: ip("172.16.66.6") },
        ),
        (
            reply_to(&request, |p| {
                if let Body::RegistrationReply(message) = &mut p.body {
                    message.entries.clear();
                }
            }),
            to_hub(),
            Discard::NoEntry,
        ),
    ];
    for (reply, link, discard) in cases {
        assert_eq!(spoke.handle_packet(now, &link, &reply), Err(discard));
        assert_eq!(state(&spoke, now), before);
        assert_eq!((transmits(&mut spoke), events(&mut spoke)), (vec![], vec![]));
    }
    // The right one counts, and no second time.
    let right = reply_to(&request, |_| {});
    spoke.handle_packet(now, &to_hub(), &right).unwrap();
    assert_eq!(spoke.handle_packet(now, &to_hub(), &right), Err(Discard::UnexpectedReply(id)));
    assert_eq!(spoke.counters().discarded, 7);
}

#[test]
fn a_server_that_stops_answering_is_down_after_three_requests_and_up_again() {
    let mut spoke = up(spoke(1).holding_time(300));
    let first = transmits(&mut spoke).remove(0);
    spoke.handle_packet(Instant::EPOCH, &to_hub(), &reply_to(&first.packet, |_| {})).unwrap();
    events(&mut spoke);
    while spoke.poll_trace().is_some() {}
    let mut sent = 0;
    let (down, now) = loop {
        let now = spoke.poll_timeout().unwrap();
        spoke.handle_timeout(now);
        sent += transmits(&mut spoke).len();
        let events = events(&mut spoke);
        if !events.is_empty() {
            break (events, now);
        }
    };
    assert_eq!(down, [Event::NhsDown { address: ip(HUB) }]);
    // Three went unanswered for 1, 2 and 4 seconds; a fourth is on its way.
    assert_eq!((sent, now), (4, Instant::from_secs(107)));
    // IOS says NHS-DOWN, and nothing of a state.
    let traces: Vec<_> = core::iter::from_fn(|| spoke.poll_trace()).map(|it| it.trace).collect();
    assert!(traces.contains(&Trace::NhsDown { address: ip(HUB) }));
    assert!(!traces.iter().any(|trace| matches!(trace, Trace::ServerTransition { .. })));
    assert_eq!(spoke.servers().next().unwrap().state, ServerState::Expecting);
    spoke.handle_timeout(Instant::from_secs(115));
    let again = transmits(&mut spoke).remove(0);
    assert_eq!(request_id(&again.packet), 65541);
    spoke.handle_packet(now, &to_hub(), &reply_to(&again.packet, |_| {})).unwrap();
    assert_eq!(events(&mut spoke), [Event::NhsUp { address: ip(HUB) }]);
}

#[test]
fn a_refusal_takes_the_server_down_and_is_tried_again_after_64_seconds() {
    let mut spoke = up(spoke(1));
    for (number, code) in [CieCode(4), CieCode(5), CieCode(14), CieCode(77)].into_iter().enumerate()
    {
        let now = Instant::from_secs(number as u64 * 64);
        spoke.handle_timeout(now);
        let request = transmits(&mut spoke).remove(0).packet;
        assert_eq!(request_id(&request), 65540 + number as u32);
        let reply = reply_to(&request, |packet| entry(packet).code = code);
        spoke.handle_packet(now, &to_hub(), &reply).unwrap();
        assert_eq!(events(&mut spoke), [Event::RegistrationRefused { address: ip(HUB), code }]);
        assert_eq!(spoke.servers().next().unwrap().state, ServerState::Expecting);
        assert_eq!(spoke.poll_timeout(), Some(now + Duration::from_secs(64)));
    }
}

/// Other peers' links come and go all the time; a silent server is given up none the later.
#[test]
fn asking_for_registration_again_puts_off_no_retransmission() {
    let mut spoke = up(spoke(1));
    let mut sent = Vec::new();
    for tenth in 0..80 {
        let now = Instant::from_millis(tenth * 100);
        spoke.handle_timeout(now);
        spoke.link_up(now, &link(20 + tenth, "172.16.77.1", "172.16.1.1"));
        spoke.register(now);
        sent.extend(transmits(&mut spoke).iter().map(|t| request_id(&t.packet)));
    }
    // The request, one further, and the retransmissions after 1, 3 and 7 seconds.
    assert_eq!(sent, [65540, 65541, 65541, 65541, 65541]);
    assert_eq!(spoke.poll_timeout(), Some(Instant::from_secs(15)));
}

#[test]
fn a_server_that_refused_is_left_in_peace_unless_the_way_to_it_is_new() {
    let mut spoke = up(spoke(1));
    let request = transmits(&mut spoke).remove(0).packet;
    let refusal = reply_to(&request, |packet| entry(packet).code = CieCode(4));
    spoke.handle_packet(Instant::EPOCH, &to_hub(), &refusal).unwrap();
    spoke.link_up(Instant::from_secs(1), &link(7, "172.16.77.1", "172.16.1.1"));
    spoke.register(Instant::from_secs(1));
    assert_eq!(transmits(&mut spoke), []);
    assert_eq!(spoke.poll_timeout(), Some(Instant::from_secs(64)));
    spoke.link_up(Instant::from_secs(2), &to_hub());
    spoke.register(Instant::from_secs(2));
    assert_eq!(transmits(&mut spoke).len(), 1);
}

#[test]
fn of_several_ways_to_a_server_the_newest_is_taken() {
    let mut spoke = up(spoke(1));
    assert_eq!(transmits(&mut spoke)[0].to.link, Some(LinkId(9)));
    for id in [20, 3] {
        spoke.link_up(Instant::EPOCH, &link(id, "172.16.10.1", "172.16.1.1"));
        assert_eq!(spoke.lookup(Instant::EPOCH, ip(HUB)).unwrap().link, Some(LinkId(id)));
    }
}

#[test]
fn timeouts_at_the_end_of_time_come_to_an_end() {
    let mut spoke = up(spoke(1));
    transmits(&mut spoke);
    spoke.handle_timeout(Instant::from_micros(u64::MAX));
    assert_eq!((transmits(&mut spoke).len(), spoke.poll_timeout()), (1, None));
}

#[test]
fn a_reply_comes_over_the_link_that_was_asked() {
    let mut spoke = up(spoke(1));
    let request = transmits(&mut spoke).remove(0).packet;
    let reply = reply_to(&request, |_| {});
    let other = link(66, "172.16.10.1", "172.16.1.1");
    assert_eq!(
        spoke.handle_packet(Instant::EPOCH, &other, &reply),
        Err(Discard::ReplyOverOtherLink { link: LinkId(66) })
    );
    spoke.handle_packet(Instant::EPOCH, &to_hub(), &reply).unwrap();
}

#[test]
fn a_working_backup_is_kept_until_the_preferred_server_answers() {
    let mut spoke = endpoint(two_servers(1), 1);
    let backup = link(8, "172.16.20.1", "172.16.1.1");
    spoke.interface_up(Instant::EPOCH);
    spoke.link_up(Instant::EPOCH, &backup);
    spoke.register(Instant::EPOCH);
    let request = transmits(&mut spoke).remove(0).packet;
    spoke.handle_packet(Instant::EPOCH, &backup, &reply_to(&request, |_| {})).unwrap();
    spoke.link_up(Instant::from_secs(1), &to_hub());
    spoke.register(Instant::from_secs(1));
    let states = |spoke: &Endpoint| spoke.servers().map(|s| s.state).collect::<Vec<_>>();
    assert_eq!(states(&spoke), [ServerState::Responding, ServerState::Expecting]);
    let request = transmits(&mut spoke).remove(0);
    assert_eq!((request.to.nbma, transmits(&mut spoke)), (ip("172.16.10.1"), vec![]));
    let reply = reply_to(&request.packet, |_| {});
    spoke.handle_packet(Instant::from_secs(1), &to_hub(), &reply).unwrap();
    assert_eq!(states(&spoke), [ServerState::Waiting, ServerState::Responding]);
    // Only now the backup is told that we leave.
    assert_eq!(transmits(&mut spoke)[0].to.nbma, ip("172.16.20.1"));
}

#[test]
fn registration_waits_for_the_way_unless_told_not_to() {
    let mut waiting = endpoint(spoke(1), 1);
    waiting.register(Instant::EPOCH);
    waiting.interface_up(Instant::EPOCH);
    waiting.register(Instant::EPOCH);
    waiting.link_up(Instant::EPOCH, &link(3, "172.16.2.1", "172.16.1.1"));
    waiting.register(Instant::EPOCH);
    assert_eq!((transmits(&mut waiting), waiting.poll_timeout()), (vec![], None));
    assert_eq!(waiting.servers().next().unwrap().state, ServerState::Down);

    let mut eager = endpoint(spoke(1).links_required(false), 1);
    eager.interface_up(Instant::EPOCH);
    eager.register(Instant::EPOCH);
    let sent = transmits(&mut eager);
    assert_eq!((sent[0].to.nbma, sent[0].to.link), (ip("172.16.10.1"), None));
}

#[test]
fn losing_the_way_takes_the_server_down_and_stops_everything() {
    let mut spoke = up(spoke(1));
    let request = transmits(&mut spoke).remove(0).packet;
    spoke.handle_packet(Instant::EPOCH, &to_hub(), &reply_to(&request, |_| {})).unwrap();
    events(&mut spoke);
    // Another link to the same place is as good.
    spoke.link_up(Instant::EPOCH, &link(10, "172.16.10.1", "172.16.1.1"));
    spoke.link_down(Instant::EPOCH, LinkId(9));
    assert_eq!(events(&mut spoke), []);
    spoke.link_down(Instant::EPOCH, LinkId(10));
    assert_eq!(events(&mut spoke), [Event::NhsDown { address: ip(HUB) }]);
    assert_eq!(spoke.poll_timeout(), None);
    assert_eq!(spoke.servers().next().unwrap().state, ServerState::Down);
    // When it is back, so is registration, with a new identifier.
    spoke.link_up(Instant::from_secs(9), &to_hub());
    spoke.register(Instant::from_secs(9));
    assert_eq!(request_id(&transmits(&mut spoke)[0].packet), 65541);
}

#[test]
fn a_new_way_to_a_server_that_responds_is_a_reason_to_register_again() {
    let mut spoke = up(spoke(1));
    let request = transmits(&mut spoke).remove(0).packet;
    spoke.handle_packet(Instant::EPOCH, &to_hub(), &reply_to(&request, |_| {})).unwrap();
    spoke.link_up(Instant::from_secs(1), &to_hub());
    spoke.register(Instant::from_secs(1));
    assert_eq!(transmits(&mut spoke).len(), 1);
}

#[test]
fn interface_down_withdraws_the_registration_and_stops_everything() {
    let mut spoke = up(spoke(1));
    let request = transmits(&mut spoke).remove(0).packet;
    spoke.handle_packet(Instant::EPOCH, &to_hub(), &reply_to(&request, |_| {})).unwrap();
    events(&mut spoke);
    spoke.interface_down(Instant::from_secs(1));
    let sent = transmits(&mut spoke);
    let purge = Packet::parse(&sent[0].packet).unwrap();
    let Body::PurgeRequest(message) = &purge.body else { panic!("no purge") };
    assert_eq!((message.flags.0, message.request_id), (0, RequestId(65540)));
    assert_eq!(message.entries[0].protocol.ip(), Some(ip("10.1.1.1")));
    assert_eq!(purge.hop_count, 255);
    assert_eq!(events(&mut spoke), [Event::NhsDown { address: ip(HUB) }]);
    let now = Instant::from_secs(1);
    assert_eq!((sent.len(), spoke.poll_timeout()), (1, Some(Instant::from_secs(2))));
    let reply = reply_to(&request, |_| {});
    assert_eq!(spoke.handle_packet(now, &to_hub(), &reply), Err(Discard::InterfaceDown));
    // A server that went silent may still know us.
    let mut silent = up(cloud::spoke(1).holding_time(300));
    let request = transmits(&mut silent).remove(0).packet;
    silent.handle_packet(Instant::EPOCH, &to_hub(), &reply_to(&request, |_| {})).unwrap();
    while silent.servers().next().unwrap().state == ServerState::Responding {
        let now = silent.poll_timeout().unwrap();
        silent.handle_timeout(now);
    }
    transmits(&mut silent);
    silent.interface_down(Instant::from_secs(200));
    assert_eq!(transmits(&mut silent).len(), 1);
    // Nothing is withdrawn that no server knows.
    let mut unknown = up(cloud::spoke(1));
    transmits(&mut unknown);
    unknown.interface_down(Instant::EPOCH);
    assert_eq!(transmits(&mut unknown), []);
    assert_eq!((unknown.is_leaving(), unknown.poll_timeout()), (false, None));
}

/// A spoke whose interface went down at the start, and the purge that it sent.
fn leaving() -> (Endpoint, Packet) {
    let mut spoke = up(spoke(1));
    let request = transmits(&mut spoke).remove(0).packet;
    spoke.handle_packet(Instant::EPOCH, &to_hub(), &reply_to(&request, |_| {})).unwrap();
    spoke.interface_down(Instant::EPOCH);
    let purge = Packet::parse(&transmits(&mut spoke)[0].packet).unwrap();
    assert!(spoke.is_leaving());
    (spoke, purge)
}

fn purge_reply(purge: &Packet, change: impl FnOnce(&mut Packet)) -> Vec<u8> {
    let mut packet = purge.clone();
    let Body::PurgeRequest(message) = packet.body else { panic!("no purge") };
    packet.body = Body::PurgeReply(message);
    change(&mut packet);
    packet.encode().unwrap().to_vec()
}

#[test]
fn it_leaves_until_the_server_answers_the_purge() {
    let (mut spoke, purge) = leaving();
    let reply = purge_reply(&purge, |_| {});
    spoke.handle_packet(Instant::EPOCH, &to_hub(), &reply).unwrap();
    assert_eq!((spoke.is_leaving(), spoke.poll_timeout()), (false, None));
    let again = spoke.handle_packet(Instant::EPOCH, &to_hub(), &reply);
    assert_eq!(again, Err(Discard::InterfaceDown));
}

#[test]
fn it_leaves_for_a_second_at_most() {
    let (mut spoke, _) = leaving();
    let bound = Instant::from_secs(1);
    spoke.handle_timeout(bound - Duration::from_micros(1));
    assert!(spoke.is_leaving());
    assert_eq!(spoke.poll_timeout(), Some(bound));
    spoke.handle_timeout(bound);
    assert_eq!((spoke.is_leaving(), spoke.poll_timeout()), (false, None));
    assert_eq!(transmits(&mut spoke), []);
}

#[test]
fn only_the_reply_to_the_purge_of_the_server_that_was_asked_counts() {
    let (mut spoke, purge) = leaving();
    let id = purge.body.message().unwrap().request_id;
    let other = RequestId(id.0 + 1);
    let number = |packet: &mut Packet| {
        let Body::PurgeReply(message) = &mut packet.body else { panic!("no reply") };
        message.request_id = other;
    };
    let elsewhere = link(9, "172.16.66.6", "172.16.1.1");
    let other_link = link(8, "172.16.10.1", "172.16.1.1");
    let source = |packet: &mut Packet| packet.source_protocol = ip("10.1.1.7").into();
    let server = |packet: &mut Packet| packet.destination_protocol = ip("10.1.1.253").into();
    for (from, reply, expected) in [
        (to_hub(), purge_reply(&purge, number), Discard::UnexpectedReply(other)),
        (to_hub(), purge_reply(&purge, source), Discard::ReplyMismatch(id)),
        (to_hub(), purge_reply(&purge, server), Discard::UnexpectedReply(id)),
        (
            elsewhere,
            purge_reply(&purge, |_| {}),
            Discard::ReplyFromElsewhere { nbma: ip("172.16.66.6") },
        ),
        (other_link, purge_reply(&purge, |_| {}), Discard::ReplyOverOtherLink { link: LinkId(8) }),
        // A request that comes in the meantime is none of ours any more.
        (to_hub(), purge.encode().unwrap().to_vec(), Discard::InterfaceDown),
    ] {
        assert_eq!(spoke.handle_packet(Instant::EPOCH, &from, &reply), Err(expected));
        assert!(spoke.is_leaving());
    }
    // Up again, it waits for nothing.
    spoke.interface_up(Instant::EPOCH);
    assert!(!spoke.is_leaving());
    let late = spoke.handle_packet(Instant::EPOCH, &to_hub(), &purge_reply(&purge, |_| {}));
    assert_eq!(late, Err(Discard::UnexpectedReply(id)));
}

fn two_servers(limit: usize) -> ConfigBuilder {
    let server = |address: &str, nbma: &str, priority| NextHopServer {
        address: ip(address),
        nbma: Some(ip(nbma)),
        priority,
        cluster: 0,
    };
    spoke(1)
        .static_maps(vec![])
        .servers(vec![
            server("10.1.1.253", "172.16.20.1", 2),
            server("10.1.1.254", "172.16.10.1", 1),
        ])
        .max_connections(0, limit)
}

#[test]
fn of_a_cluster_the_preferred_servers_are_registered_with_and_the_others_wait() {
    let mut cloud = Cloud::new(Driver::Strict, 5);
    let first = cloud.add(hub(), "172.16.10.1", "172.16.10.1");
    let second = cloud.add(
        dmvpn_nhrp::Config::builder("Tunnel0", ip("10.1.1.253"), 24, ip("172.16.20.1"))
            .authentication(Some(dmvpn_nhrp::wire::AuthenticationString::new(b"NHRPAUTH"))),
        "172.16.20.1",
        "172.16.20.1",
    );
    let spoke = cloud.add(two_servers(1), "172.16.1.1", "172.16.1.1");
    for node in [first, second, spoke] {
        cloud.command(node, Endpoint::interface_up);
    }
    for hub in [first, second] {
        let link = cloud.link(spoke, hub);
        cloud.command(spoke, |endpoint, now| endpoint.link_up(now, &link));
    }
    cloud.command(spoke, Endpoint::register);
    cloud.run_for(Duration::from_secs(1));
    let states = |cloud: &Cloud| -> Vec<ServerState> {
        cloud.servers(spoke).iter().map(|server| server.state).collect()
    };
    assert_eq!(states(&cloud), [ServerState::Waiting, ServerState::Responding]);
    assert_eq!(cloud.cache(second).len(), 0);

    // The preferred one goes silent: it is asked on, and the other takes over.
    cloud.command(first, Endpoint::interface_down);
    cloud.run_for(Duration::from_secs(2410));
    assert_eq!(states(&cloud), [ServerState::Responding, ServerState::Expecting]);
    assert_eq!(cloud.cache(second).len(), 1);

    // It is back: the other is left, and told so.
    cloud.command(first, Endpoint::interface_up);
    cloud.run_for(Duration::from_secs(70));
    assert_eq!(states(&cloud), [ServerState::Waiting, ServerState::Responding]);
    assert_eq!(cloud.cache(second).len(), 0);
    assert_eq!(cloud.cache(first).len(), 1);

    // The way to it goes: the other is next at once.
    cloud.command(spoke, |endpoint, now| endpoint.link_down(now, LinkId(first as u64)));
    cloud.run_for(Duration::from_secs(1));
    assert_eq!(states(&cloud), [ServerState::Responding, ServerState::Down]);
}

#[test]
fn without_a_limit_all_servers_are_registered_with() {
    let mut spoke = endpoint(two_servers(2), 1);
    spoke.interface_up(Instant::EPOCH);
    spoke.link_up(Instant::EPOCH, &to_hub());
    spoke.link_up(Instant::EPOCH, &link(8, "172.16.20.1", "172.16.1.1"));
    spoke.register(Instant::EPOCH);
    let to: Vec<_> = transmits(&mut spoke).iter().map(|t| t.to.nbma).collect();
    assert_eq!(to, [ip("172.16.10.1"), ip("172.16.20.1")]);
}

#[test]
fn configuration_changes_at_once() {
    let mut spoke = up(spoke(1));
    transmits(&mut spoke);
    let moved = StaticMap { target: host(HUB), nbma: ip("172.16.20.1") };
    let config = cloud::spoke(1).static_maps(vec![moved]).build().unwrap();
    spoke.set_config(Instant::from_secs(1), Arc::new(config));
    let target = host(HUB);
    assert_eq!(
        events(&mut spoke),
        [
            Event::CacheRemoved { target, nbma: ip("172.16.10.1"), link: None },
            Event::CacheAdded { target, nbma: ip("172.16.20.1"), link: None }
        ]
    );
    // The server is somewhere else now, and the way there is not up.
    assert_eq!(spoke.poll_timeout(), None);
    assert_eq!(spoke.lookup(Instant::from_secs(1), ip(HUB)).unwrap().nbma, ip("172.16.20.1"));
    let none = cloud::spoke(1).static_maps(vec![]).servers(vec![]).build().unwrap();
    spoke.set_config(Instant::from_secs(2), Arc::new(none));
    assert_eq!((spoke.cache(Instant::from_secs(2)).count(), spoke.servers().count()), (0, 0));
}

#[test]
fn a_server_without_nbma_address_is_an_incomplete_entry() {
    let mut spoke = endpoint(spoke(1).static_maps(vec![]), 1);
    spoke.interface_up(Instant::EPOCH);
    spoke.register(Instant::EPOCH);
    let entry = spoke.cache(Instant::EPOCH).next().unwrap();
    assert_eq!((entry.kind, entry.nbma), (dmvpn_nhrp::CacheKind::Incomplete, None));
    assert_eq!(spoke.lookup(Instant::EPOCH, ip(HUB)), None);
    assert_eq!((transmits(&mut spoke), events(&mut spoke)), (vec![], vec![]));
}

#[test]
fn first_identifiers_are_drawn_unless_configured() {
    let first = |seed| {
        let config = dmvpn_nhrp::Config::builder("Tunnel0", ip("10.1.1.1"), 24, ip("172.16.1.1"))
            .servers(vec![NextHopServer {
                nbma: Some(ip("172.16.10.1")),
                ..NextHopServer::new(ip(HUB))
            }]);
        let mut spoke = endpoint(config.links_required(false), seed);
        spoke.interface_up(Instant::EPOCH);
        spoke.register(Instant::EPOCH);
        request_id(&transmits(&mut spoke)[0].packet)
    };
    assert_eq!(first(1), first(1));
    assert_ne!(first(1), first(2));
}

#[test]
fn configurations_that_cannot_work_are_refused() {
    let error = |config: ConfigBuilder| config.build().unwrap_err();
    let server = NextHopServer::new(ip("10.1.1.1"));
    assert_eq!(
        error(spoke(1).servers(vec![server])),
        ConfigError::OwnServer { address: ip("10.1.1.1") }
    );
    let server = NextHopServer::new(ip(HUB));
    assert_eq!(
        error(spoke(1).servers(vec![server, server])),
        ConfigError::DuplicateServer { address: ip(HUB) }
    );
    assert_eq!(error(spoke(1).holding_time(2)), ConfigError::HoldingTime { seconds: 2 });
    let map = StaticMap { target: host(HUB), nbma: ip("172.16.10.1") };
    assert_eq!(
        error(spoke(1).static_maps(vec![map, map])),
        ConfigError::DuplicateMap { target: host(HUB) }
    );
    let other = StaticMap { target: host(HUB), nbma: ip("2001:db8::1") };
    assert_eq!(
        error(spoke(1).static_maps(vec![other])),
        ConfigError::AddressFamily { address: ip("2001:db8::1") }
    );
    let empty = dmvpn_nhrp::wire::AuthenticationString::new(b"");
    assert_eq!(
        error(spoke(1).authentication(Some(empty))),
        ConfigError::Authentication { octets: 0 }
    );
}

#[test]
fn ipv6_over_ipv6_registers_as_well() {
    let hub = dmvpn_nhrp::Config::builder("Tunnel0", ip("fd00::fe"), 64, ip("2001:db8::fe"));
    let spoke = dmvpn_nhrp::Config::builder("Tunnel0", ip("fd00::1"), 64, ip("2001:db8::1"))
        .servers(vec![NextHopServer::new(ip("fd00::fe"))])
        .static_maps(vec![StaticMap { target: host("fd00::fe"), nbma: ip("2001:db8::fe") }]);
    let mut cloud = Cloud::new(Driver::Strict, 6);
    let hub = cloud.add(hub, "2001:db8::fe", "2001:db8::fe");
    let spoke = cloud.add(spoke, "2001:db8::1", "2001:db8::1");
    for node in [hub, spoke] {
        cloud.command(node, Endpoint::interface_up);
    }
    cloud.connect(hub, spoke);
    cloud.run_for(Duration::from_secs(1));
    assert_eq!(cloud.servers(spoke)[0].state, ServerState::Responding);
    assert_eq!(cloud.cache(hub)[0].target, host("fd00::1"));
}

/// Once the way to a server is lost, or the interface was down, what was asked before has no reply any
/// more: an old one neither counts, nor for the request that follows.
#[test]
fn a_reply_from_before_the_way_was_lost_does_not_count() {
    let now = Instant::EPOCH + Duration::from_millis(100);
    let mut spoke = up(spoke(1).links_required(true));
    let before = transmits(&mut spoke).remove(0);
    let late = reply_to(&before.packet, |_| {});
    spoke.link_down(now, to_hub().id);
    let unexpected = Discard::UnexpectedReply(RequestId(request_id(&before.packet)));
    assert_eq!(spoke.handle_packet(now, &to_hub(), &late), Err(unexpected));
    spoke.interface_down(now);
    transmits(&mut spoke);
    spoke.interface_up(now);
    spoke.link_up(now, &to_hub());
    spoke.register(now);
    let [after] = transmits(&mut spoke).try_into().unwrap();
    assert_eq!(spoke.handle_packet(now, &to_hub(), &late), Err(unexpected));
    assert_eq!(events(&mut spoke), []);
    spoke.handle_packet(now, &to_hub(), &reply_to(&after.packet, |_| {})).unwrap();
    assert_eq!(events(&mut spoke), [Event::NhsUp { address: ip(HUB) }]);
}
