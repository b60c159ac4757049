//! Each limit below it, at it and above it, with its counter and its record. `LIMITS.md` lists them.

#![allow(clippy::wildcard_enum_match_arm, reason = "a test looks at what it is about")]

#[path = "support/cloud.rs"]
#[allow(dead_code, reason = "each test uses what it needs")]
mod cloud;

extern crate alloc;

use cloud::{endpoint, events, host, hub, identity, ip, link, transmits};
use dmvpn_nhrp::wire::{
    AuthenticationString, Body, CieCode, Extension, ExtensionType, Flags, Packet,
};
use dmvpn_nhrp::{Discard, Endpoint, Event, Limits, Link, Trace};
use dmvpn_time::Instant;

const REQUEST: &[u8] = include_bytes!("data/regreq_65540.bin");
const START: Instant = Instant::EPOCH;

fn up(limits: Limits) -> Endpoint {
    let mut hub = endpoint(hub().limits(limits), 1);
    hub.interface_up(START);
    events(&mut hub);
    hub
}

fn peer(number: u64) -> Link {
    let nbma = format!("172.16.1.{number}");
    Link { identity: identity(&format!("peer {number}")), ..link(number, &nbma, "172.16.10.1") }
}

/// The guide's request for another address, as one that is not unique.
fn request(address: &str) -> Vec<u8> {
    let mut packet = Packet::parse(REQUEST).unwrap();
    packet.source_protocol = ip(address).into();
    if let Body::RegistrationRequest(message) = &mut packet.body {
        message.flags = Flags::NAT;
    }
    packet.encode().unwrap().to_vec()
}

fn drain(hub: &mut Endpoint) -> Vec<Trace> {
    transmits(hub);
    events(hub);
    core::iter::from_fn(|| hub.poll_trace()).map(|traced| traced.trace).collect()
}

/// What of these says that something was refused, dropped or discarded.
fn refusals(traces: &[Trace]) -> Vec<Trace> {
    let is_refusal = |trace: &&Trace| {
        matches!(
            trace,
            Trace::RegistrationRefused { .. }
                | Trace::TransmitDropped { .. }
                | Trace::EventsCoalesced { .. }
                | Trace::Discarded(_)
        )
    };
    traces.iter().filter(is_refusal).cloned().collect()
}

#[test]
fn entries() {
    let mut hub = up(Limits { entries: 2, ..Limits::default() });
    for (number, held, refused) in [(1, 1, 0), (2, 2, 0), (3, 2, 1)] {
        hub.handle_packet(START, &peer(number), &request(&format!("10.1.1.{number}"))).unwrap();
        let held_now = hub.cache(START).count();
        assert_eq!((held_now, hub.counters().entries_refused), (held, refused));
    }
    let (target, code) = (host("10.1.1.3"), CieCode::INSUFFICIENT_RESOURCES);
    assert_eq!(refusals(&drain(&mut hub)), [Trace::RegistrationRefused { target, code }]);
}

#[test]
fn entries_per_owner() {
    let mut hub = up(Limits { entries_per_owner: 2, ..Limits::default() });
    for (number, held, refused) in [(1, 1, 0), (2, 2, 0), (3, 2, 1)] {
        hub.handle_packet(START, &peer(1), &request(&format!("10.1.1.{number}"))).unwrap();
        let held_now = hub.cache(START).count();
        assert_eq!((held_now, hub.counters().entries_refused), (held, refused));
    }
    hub.handle_packet(START, &peer(2), &request("10.1.1.9")).unwrap();
    assert_eq!(hub.cache(START).count(), 3, "another owner is another matter");
    let (target, code) = (host("10.1.1.3"), CieCode::INSUFFICIENT_RESOURCES);
    assert_eq!(refusals(&drain(&mut hub)), [Trace::RegistrationRefused { target, code }]);
}

#[test]
fn registrations_per_second() {
    let mut hub = up(Limits { registrations_per_second: 2, ..Limits::default() });
    let mut at = |number, millis| {
        let packet = request(&format!("10.1.1.{number}"));
        hub.handle_packet(Instant::from_millis(millis), &peer(number), &packet)
    };
    let refused = Err(Discard::RegistrationRate { limit: 2 });
    assert_eq!([at(1, 0), at(2, 500), at(3, 999), at(3, 1000)], [Ok(()), Ok(()), refused, Ok(())]);
    assert_eq!(hub.counters().requests_limited, 1);
    let discarded = Trace::Discarded(Discard::RegistrationRate { limit: 2 });
    assert_eq!(drain(&mut hub).iter().filter(|trace| **trace == discarded).count(), 1);
}

/// One that registers without pause leaves the others their share.
#[test]
fn registrations_per_second_per_owner() {
    let mut hub = up(Limits { registrations_per_second_per_owner: 2, ..Limits::default() });
    let mut at = |number, millis| {
        let packet = request(&format!("10.1.1.{number}"));
        hub.handle_packet(Instant::from_millis(millis), &peer(number), &packet)
    };
    let refused = Err(Discard::RegistrationRate { limit: 2 });
    assert_eq!([at(1, 0), at(1, 1), at(1, 2), at(1, 999)], [Ok(()), Ok(()), refused, refused]);
    assert_eq!([at(2, 999), at(1, 1000)], [Ok(()), Ok(())]);
    assert_eq!(hub.counters().requests_limited, 2);
    let discarded = Trace::Discarded(Discard::RegistrationRate { limit: 2 });
    assert_eq!(drain(&mut hub).iter().filter(|trace| **trace == discarded).count(), 2);
}

#[test]
fn errors_per_second() {
    let mut hub = up(Limits { errors_per_second: 2, ..Limits::default() });
    let mut packet = Packet::parse(REQUEST).unwrap();
    packet.extensions.retain(|e| e.extension_type != ExtensionType::AUTHENTICATION);
    let wrong = Extension::authentication(AuthenticationString::new(b"WRONG"));
    packet.extensions.insert(0, wrong);
    let packet = packet.encode().unwrap();
    let discard = Discard::Authentication;
    for (millis, sent, suppressed, outcome) in [
        (0, 1, 0, Ok(())),
        (1, 2, 0, Ok(())),
        (2, 2, 1, Err(discard)),
        (999, 2, 2, Err(discard)),
        (1000, 3, 2, Ok(())),
    ] {
        let now = Instant::from_millis(millis);
        assert_eq!(hub.handle_packet(now, &peer(1), &packet), outcome, "{millis}");
        let counters = hub.counters();
        assert_eq!((counters.errors_sent, counters.errors_suppressed), (sent, suppressed));
        let told: Vec<Trace> = outcome.err().map(Trace::Discarded).into_iter().collect();
        assert_eq!(refusals(&drain(&mut hub)), told, "{millis}");
    }
}

#[test]
fn queue() {
    let mut hub = up(Limits { queue: 2, ..Limits::default() });
    // The second time nothing is new: a reply each, and no event.
    let packet = request("10.1.1.1");
    hub.handle_packet(START, &peer(1), &packet).unwrap();
    drain(&mut hub);
    let discard = Discard::QueueFull { limit: 2 };
    for (waiting, refused, outcome) in
        [(1, 0, Ok(())), (2, 0, Ok(())), (2, 1, Err(discard)), (2, 2, Err(discard))]
    {
        let before = hub.counters();
        assert_eq!(hub.handle_packet(START, &peer(1), &packet), outcome);
        let counters = hub.counters();
        assert_eq!(counters.refused_for_queue, refused);
        assert_eq!(counters.sent, waiting + 1, "one was fetched");
        assert_eq!(counters.discarded - before.discarded, u64::from(outcome.is_err()));
        let traces: Vec<Trace> =
            core::iter::from_fn(|| hub.poll_trace()).map(|traced| traced.trace).collect();
        let told: Vec<Trace> = outcome.err().map(Trace::Discarded).into_iter().collect();
        assert_eq!(refusals(&traces), told);
    }
    // Once there is room again, it goes on.
    assert!(hub.poll_transmit().is_some());
    assert_eq!(hub.handle_packet(START, &peer(1), &packet), Ok(()));
    assert_eq!(transmits(&mut hub).len(), 2);
    assert_eq!(hub.counters().transmits_dropped, 0);
}

/// What timers send beyond the limit is lost, as on a path that loses.
#[test]
fn queue_of_transmits() {
    let mut spoke = endpoint(cloud::spoke(1).limits(Limits { queue: 3, ..Limits::default() }), 1);
    spoke.interface_up(START);
    spoke.link_up(START, &link(9, "172.16.10.1", "172.16.1.1"));
    spoke.register(START);
    for (sent, dropped) in [(1, 0), (2, 0), (3, 0), (3, 1), (3, 2)] {
        let counters = spoke.counters();
        assert_eq!((counters.sent, counters.transmits_dropped), (sent, dropped));
        let due = spoke.poll_timeout().unwrap();
        spoke.handle_timeout(due);
    }
    assert_eq!(transmits(&mut spoke).len(), 3);
    let lost = Trace::TransmitDropped { limit: 3 };
    assert!(drain(&mut spoke).contains(&lost));
}

/// Spokes come and go for hours and nobody asks: what is left matters, and there is little of it.
#[test]
fn queue_of_events() {
    let mut hub = up(Limits { queue: 8, ..Limits::default() });
    hub.handle_packet(START, &peer(1), &request("10.1.1.1")).unwrap();
    transmits(&mut hub);
    let before = events(&mut hub);
    assert!(matches!(before[..], [Event::CacheAdded { .. }, Event::MulticastAdded { .. }]));
    for round in 1..100_u32 {
        let now = Instant::from_secs(u64::from(round) * 8000);
        hub.handle_timeout(now);
        let number = round % 5 + 1;
        let packet = request(&format!("10.1.1.{number}"));
        let _ = hub.handle_packet(now, &peer(number.into()), &packet);
        transmits(&mut hub);
    }
    assert!(hub.counters().events_coalesced > 100, "{:?}", hub.counters());
    let held = hub.cache(Instant::from_secs(99 * 8000)).count();
    let left = events(&mut hub);
    assert!(left.len() <= 16, "{left:?}");
    // Whoever asks now knows what there is: each begins and ends in turn.
    let mut known = vec![ip("10.1.1.1")];
    for event in &left {
        match event {
            Event::CacheAdded { target, .. } => known.push(target.address()),
            Event::CacheRemoved { target, .. } => {
                let at = known.iter().position(|known| *known == target.address()).unwrap();
                known.remove(at);
            }
            _ => {}
        }
    }
    assert_eq!(known.len(), held);
    let told = |trace: &Trace| matches!(trace, Trace::EventsCoalesced { .. });
    assert!(drain(&mut hub).iter().any(told));
}

/// News comes with packets, and those are refused when there is much to say already.
#[test]
fn queue_of_events_is_no_place_for_news() {
    let mut hub = up(Limits { queue: 4, ..Limits::default() });
    drain(&mut hub);
    let mut packet = Packet::parse(REQUEST).unwrap();
    packet.extensions.retain(|e| e.extension_type != ExtensionType::AUTHENTICATION);
    let packet = packet.encode().unwrap();
    let discard = Discard::QueueFull { limit: 4 };
    let outcomes = [Ok(()), Ok(()), Ok(()), Ok(()), Err(discard), Err(discard)];
    for (refused, outcome) in [0, 0, 0, 0, 1, 2].into_iter().zip(outcomes) {
        assert_eq!(hub.handle_packet(START, &peer(1), &packet), outcome);
        transmits(&mut hub);
        let counters = hub.counters();
        assert_eq!((counters.refused_for_queue, counters.events_coalesced), (refused, 0));
    }
    let news = Event::AuthenticationFailed { nbma: peer(1).nbma, link: peer(1).id };
    assert_eq!(events(&mut hub), [news.clone(), news.clone(), news.clone(), news]);
    let discarded = Trace::Discarded(discard);
    assert_eq!(refusals(&drain(&mut hub)), [discarded.clone(), discarded]);
}

#[test]
fn trace_ring() {
    let mut hub = endpoint(hub().trace_capacity(3), 1);
    hub.interface_up(START);
    hub.handle_packet(START, &peer(1), REQUEST).unwrap();
    assert!(hub.counters().traces_dropped > 0);
    assert_eq!(core::iter::from_fn(|| hub.poll_trace()).count(), 3);
}
