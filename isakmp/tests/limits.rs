//! Each limit below it, at it and above it, with its counter and its record. `LIMITS.md` lists them.

#![allow(clippy::wildcard_enum_match_arm, reason = "a test looks at what it is about")]

mod insider;
mod pair;

use core::time::Duration;

use dmvpn_isakmp::wire::{
    Attribute, Cookie, ExchangeType, MAX_PAYLOADS, MAX_PROPOSALS, ParseError, Payload, Proposal,
    ProtocolId, SecurityAssociation, Transform, TransformId, VendorId, phase1,
};
use dmvpn_isakmp::{CloseReason, Config, Counters, Discard, Limits, Path, Trace, Transport};
use insider::{Insider, clear, mm1, phase1_offer};
use pair::{Pair, guide_config, ip, out_of_line};

fn with(limits: Limits) -> Pair {
    let config = || guide_config().limits(limits).build().unwrap();
    let mut pair = Pair::new(config(), config());
    pair.protect_guide();
    pair
}

fn hub(pair: &Pair) -> Counters {
    pair.hosts[1].endpoint.counters()
}

fn from(pair: &Pair, source: u8) -> Path {
    Path { remote: (ip(&format!("192.0.2.{source}")), 500).into(), ..pair.path_to(1) }
}

fn traced(pair: &Pair, host: usize, wanted: impl Fn(&Trace) -> bool) -> usize {
    pair.hosts[host].traces.iter().filter(|traced| wanted(&traced.trace)).count()
}

fn traced_discard(pair: &Pair, discard: &Discard) -> usize {
    traced(pair, 1, |trace| *trace == Trace::Discarded(discard.clone()))
}

#[test]
fn half_open_in_all() {
    let mut pair = with(Limits { half_open: 3, ..Limits::default() });
    for number in 1..=3 {
        let path = from(&pair, number);
        pair.deliver(1, path, &mm1([number; 8]));
        assert_eq!(pair.hosts[1].endpoint.phase1().count(), usize::from(number));
    }
    assert_eq!(hub(&pair).half_open_evicted, 0);
    let path = from(&pair, 4);
    pair.deliver(1, path, &mm1([4; 8]));
    assert_eq!(hub(&pair).half_open_evicted, 1);
    let cookies: Vec<_> = pair.hosts[1].endpoint.phase1().map(|sa| sa.cookies.0).collect();
    assert_eq!(cookies, [[2; 8], [3; 8], [4; 8]].map(Cookie), "the oldest gave way");
    assert_eq!(evictions(&pair), 1);
}

fn evictions(pair: &Pair) -> u64 {
    let evicted =
        |trace: &Trace| matches!(trace, Trace::Phase1Deleted { reason: CloseReason::Evicted, .. });
    u64::try_from(traced(pair, 1, evicted)).unwrap()
}

/// Those who have shown where they are do not give way to others.
#[test]
fn half_open_in_all_and_all_proved() {
    let limits = Limits { half_open: 1, ..Limits::default() };
    assert_proved_stays(limits, "192.0.2.9", Discard::HalfOpenLimit { limit: 1 });
}

/// A spoke that the hub computes for has its place when another comes from `source`, which is refused.
#[track_caller]
fn assert_proved_stays(limits: Limits, source: &str, refused: Discard) {
    let hub_config = out_of_line(guide_config().limits(limits));
    let mut pair = Pair::new(guide_config().build().unwrap(), hub_config);
    pair.protect_guide();
    pair.hosts[1].job_delay = Duration::from_secs(10);
    pair.connect();
    pair.run_for(Duration::from_secs(1));
    let path = Path { remote: (ip(source), 500).into(), ..pair.path_to(1) };
    pair.deliver(1, path, &mm1([9; 8]));
    assert_eq!(pair.hosts[1].discards, core::slice::from_ref(&refused));
    assert_eq!((hub(&pair).half_open_refused, traced_discard(&pair, &refused)), (1, 1));
    pair.run_for(Duration::from_secs(30));
    pair.assert_connected();
}

#[test]
fn half_open_per_source() {
    let mut pair = with(Limits { half_open_per_source: 2, ..Limits::default() });
    let path = from(&pair, 1);
    for (number, held, evicted) in [(1, 1, 0), (2, 2, 0), (3, 2, 1), (4, 2, 2)] {
        pair.deliver(1, path, &mm1([number; 8]));
        assert_eq!(pair.hosts[1].endpoint.phase1().count(), held);
        assert_eq!((hub(&pair).half_open_evicted, evictions(&pair)), (evicted, evicted));
    }
    // Another source is another matter.
    let path = from(&pair, 2);
    pair.deliver(1, path, &mm1([9; 8]));
    assert_eq!((pair.hosts[1].endpoint.phase1().count(), hub(&pair).half_open_evicted), (3, 2));
}

/// Of one source as of all: who has shown where it is does not give way.
#[test]
fn half_open_per_source_and_all_proved() {
    let limits = Limits { half_open_per_source: 1, ..Limits::default() };
    let refused = Discard::HalfOpenLimitPerSource { source_address: ip(pair::SPOKE), limit: 1 };
    assert_proved_stays(limits, pair::SPOKE, refused);
}

#[test]
fn half_open_timeout() {
    let mut pair = with(Limits { half_open_timeout: Duration::from_secs(7), ..Limits::default() });
    let path = from(&pair, 1);
    pair.deliver(1, path, &mm1([1; 8]));
    pair.run_for(Duration::from_micros(6_999_999));
    assert_eq!((pair.hosts[1].endpoint.phase1().count(), hub(&pair).half_open_expired), (1, 0));
    pair.run_for(Duration::from_micros(1));
    assert_eq!((pair.hosts[1].endpoint.phase1().count(), hub(&pair).half_open_expired), (0, 1));
    let after = Duration::from_secs(7);
    let reason = CloseReason::HalfOpenTimeout { after };
    let late =
        |trace: &Trace| matches!(trace, Trace::Phase1Deleted { reason: r, .. } if *r == reason);
    assert_eq!(traced(&pair, 1, late), 1);
}

fn mm1_with(payloads: &[Payload<'_>]) -> Vec<u8> {
    let mut all = vec![Payload::SecurityAssociation(phase1_offer(1))];
    all.extend_from_slice(payloads);
    clear((Cookie([7; 8]), Cookie::ZERO), ExchangeType::MAIN_MODE, &all)
}

/// Whether the hub answers, and if not, why.
fn outcome(limits: Limits, message: &[u8]) -> Result<(), Discard> {
    let mut pair = with(limits);
    let path = from(&pair, 1);
    pair.deliver(1, path, message);
    let refused = pair.hosts[1].discards.pop();
    let expected = if refused.is_some() { (0, 0, 1) } else { (1, 1, 0) };
    let (sent, held) = (pair.hosts[1].sent.len(), pair.hosts[1].endpoint.phase1().count());
    assert_eq!((sent, held, hub(&pair).oversized), (expected.0, expected.1, expected.2));
    refused.map_or(Ok(()), |refused| {
        assert_eq!(traced_discard(&pair, &refused), 1);
        Err(refused)
    })
}

#[test]
fn message_octets() {
    let message = |octets: usize| {
        let padding = octets - mm1_with(&[]).len() - 4;
        mm1_with(&[Payload::VendorId(VendorId::new(vec![7; padding]))])
    };
    let limits = Limits { message_octets: 1000, ..Limits::default() };
    for octets in [999, 1000] {
        assert_eq!(message(octets).len(), octets);
        assert_eq!(outcome(limits, &message(octets)), Ok(()));
    }
    let refused = Discard::TooLong { length: 1001, limit: 1000 };
    assert_eq!(outcome(limits, &message(1001)), Err(refused));
    assert_eq!(outcome(Limits::default(), &message(10_000)), Ok(()));
    let refused = Discard::TooLong { length: 10_001, limit: 10_000 };
    assert_eq!(outcome(Limits::default(), &message(10_001)), Err(refused));
}

#[test]
fn payloads() {
    let message = |count: usize| mm1_with(&vec![Payload::VendorId(VendorId::XAUTH); count - 1]);
    let limits = Limits { payloads: 5, ..Limits::default() };
    assert_eq!(outcome(limits, &message(4)), Ok(()));
    assert_eq!(outcome(limits, &message(5)), Ok(()));
    let refused = Discard::TooMany { what: "payloads", count: 6, limit: 5 };
    assert_eq!(outcome(limits, &message(6)), Err(refused));
    assert_eq!(outcome(Limits::default(), &message(MAX_PAYLOADS)), Ok(()));
    // What no limit admits is counted by it all the same.
    assert_too_many(&message(MAX_PAYLOADS + 1));
}

/// Beyond what the parser takes, and counted.
#[track_caller]
fn assert_too_many(message: &[u8]) {
    let mut pair = with(Limits::default());
    let path = pair.path_to(1);
    pair.deliver(1, path, message);
    let discards = pair.hosts[1].discards.as_slice();
    let [Discard::Malformed(ParseError::TooMany { .. })] = discards else {
        panic!("{discards:?}");
    };
    assert_eq!(hub(&pair).oversized, 1);
}

fn offering(proposals: usize, transforms: usize) -> Vec<u8> {
    let others = |count| {
        let attributes = vec![Attribute::basic(phase1::ENCRYPTION_ALGORITHM, 99)];
        vec![Transform::new(1, TransformId::KEY_IKE, attributes); count]
    };
    let mut offer = phase1_offer(1);
    offer.proposals[0].transforms.extend(others(transforms - 1));
    for _ in 1..proposals {
        offer.proposals.push(Proposal::new(2, ProtocolId::ISAKMP, &[][..], vec![]));
    }
    let offer = SecurityAssociation::new(offer.proposals);
    let payload = [Payload::SecurityAssociation(offer)];
    clear((Cookie([7; 8]), Cookie::ZERO), ExchangeType::MAIN_MODE, &payload)
}

#[test]
fn proposals() {
    let limits = Limits { proposals: 3, ..Limits::default() };
    assert_eq!(outcome(limits, &offering(2, 1)), Ok(()));
    assert_eq!(outcome(limits, &offering(3, 1)), Ok(()));
    let refused = Discard::TooMany { what: "proposals", count: 4, limit: 3 };
    assert_eq!(outcome(limits, &offering(4, 1)), Err(refused));
    assert_eq!(outcome(Limits::default(), &offering(MAX_PROPOSALS, 1)), Ok(()));
    assert_too_many(&offering(MAX_PROPOSALS + 1, 1));
}

#[test]
fn transforms() {
    let limits = Limits { transforms: 20, ..Limits::default() };
    assert_eq!(outcome(limits, &offering(1, 19)), Ok(()));
    assert_eq!(outcome(limits, &offering(1, 20)), Ok(()));
    let refused = Discard::TooMany { what: "transforms", count: 21, limit: 20 };
    assert_eq!(outcome(limits, &offering(1, 21)), Err(refused));
    // Those of all proposals together, and in quick mode as well.
    let mut pair = with(limits);
    let path = pair.path_to(1);
    let mut insider = Insider::enter(&mut pair, path, 1, &[]);
    for (others, refusals) in [(19, 0), (20, 1)] {
        let mut quick_mode = insider.quick_mode();
        quick_mode.others = others;
        let qm1 = insider.qm1(&quick_mode);
        pair.deliver(1, path, &qm1);
        assert_eq!(hub(&pair).oversized, refusals, "{others}");
    }
}

#[test]
fn repeats() {
    let mut pair = with(Limits { repeats: 2, ..Limits::default() });
    let path = from(&pair, 1);
    for (sent, refused) in [(1, 0), (2, 0), (3, 0), (3, 1), (3, 2)] {
        pair.deliver(1, path, &mm1([1; 8]));
        assert_eq!(pair.hosts[1].sent.len(), sent);
        assert_eq!(hub(&pair).repeats_refused, refused);
    }
    let discard = Discard::RepeatLimit { limit: 2 };
    assert_eq!(traced_discard(&pair, &discard), 2);
    assert_eq!(hub(&pair).duplicates, 2);
}

/// The same for the answers of an SA: MM6, and QM2.
#[test]
fn repeats_within_an_sa() {
    let mut pair = with(Limits { repeats: 2, ..Limits::default() });
    let path = pair.path_to(1);
    let mut insider = Insider::enter(&mut pair, path, 1, &[]);
    let quick_mode = insider.quick_mode();
    let qm1 = insider.qm1(&quick_mode);
    let before = pair.hosts[1].sent.len();
    for (sent, refused) in [(1, 0), (2, 0), (3, 0), (3, 1)] {
        pair.deliver(1, path, &qm1);
        assert_eq!(pair.hosts[1].sent.len() - before, sent);
        assert_eq!(hub(&pair).repeats_refused, refused);
    }
}

#[test]
fn quick_modes() {
    let limits = Limits { quick_modes: 2, ..Limits::default() };
    let mut pair = with(limits);
    let path = pair.path_to(1);
    let mut insider = Insider::enter(&mut pair, path, 1, &[]);
    for refused in [0, 0, 1] {
        let quick_mode = insider.quick_mode();
        let qm1 = insider.qm1(&quick_mode);
        pair.deliver(1, path, &qm1);
        assert_eq!(hub(&pair).quick_modes_refused, refused);
    }
    let discard = Discard::QuickModeLimit { limit: 2 };
    assert_eq!(pair.hosts[1].discards, core::slice::from_ref(&discard));
    assert_eq!(traced_discard(&pair, &discard), 1);
    // Complete ones do not count.
    let mut pair = with(limits);
    let mut insider = Insider::enter(&mut pair, path, 1, &[]);
    for _ in 0..5 {
        let quick_mode = insider.quick_mode();
        insider.complete(&mut pair, &quick_mode);
    }
    assert_eq!(hub(&pair).quick_modes_refused, 0);
    assert_eq!(hub(&pair).phase2_completed, 5);
}

#[test]
fn remembered_quick_modes() {
    let mut pair = with(Limits { remembered_quick_modes: 2, ..Limits::default() });
    let path = pair.path_to(1);
    let mut insider = Insider::enter(&mut pair, path, 1, &[]);
    let first = insider.quick_mode();
    for (number, forgotten) in [(0, 0), (1, 0), (2, 1), (3, 2)] {
        let quick_mode = if number == 0 { None } else { Some(insider.quick_mode()) };
        insider.complete(&mut pair, quick_mode.as_ref().unwrap_or(&first));
        assert_eq!(hub(&pair).quick_modes_forgotten, forgotten);
        pair.run_for(Duration::from_millis(1));
    }
    assert_eq!(traced(&pair, 1, |trace| matches!(trace, Trace::QuickModeForgotten { .. })), 2);
    // What is forgotten cannot be played again.
    let qm1 = insider.qm1(&first);
    pair.deliver(1, path, &qm1);
    assert!(matches!(pair.hosts[1].discards.pop(), Some(Discard::MessageIdReused(_))));
    assert_eq!(pair.hosts[1].endpoint.phase2().count(), 4);
}

#[test]
fn message_ids() {
    let mut pair = with(Limits { message_ids: 3, ..Limits::default() });
    let path = pair.path_to(1);
    let mut insider = Insider::enter(&mut pair, path, 1, &[]);
    let unknown = insider.notification(dmvpn_isakmp::wire::NotifyType(40_000));
    let messages: Vec<_> =
        (0..4).map(|_| insider.informational(core::slice::from_ref(&unknown))).collect();
    for (message, forgotten) in messages.iter().zip([0, 0, 0, 1]) {
        pair.deliver(1, path, message);
        assert_eq!(hub(&pair).message_ids_forgotten, forgotten);
    }
    assert_eq!(pair.hosts[1].discards, []);
    assert_eq!(traced(&pair, 1, |trace| matches!(trace, Trace::MessageIdForgotten { .. })), 1);
    for message in &messages[1..] {
        pair.deliver(1, path, message);
        assert!(matches!(pair.hosts[1].discards.pop(), Some(Discard::MessageIdReused(_))));
    }
    // Questions of dead peer detection have numbers of their own and push nothing out.
    let (initiator, responder) = insider.cookies;
    for sequence in 0..10_u32 {
        let question = dmvpn_isakmp::wire::Notification::isakmp(
            dmvpn_isakmp::wire::NotifyType::R_U_THERE,
            (initiator, responder),
            sequence.to_be_bytes().to_vec(),
        );
        let message = insider.informational(&[Payload::Notification(question)]);
        pair.deliver(1, path, &message);
    }
    assert_eq!(hub(&pair).message_ids_forgotten, 1);
}

#[test]
fn phase1_per_peer() {
    let mut pair = with(Limits { phase1_per_peer: 2, ..Limits::default() });
    let path = pair.path_to(1);
    for (seed, held, displaced) in [(1, 1, 0), (2, 2, 0), (3, 2, 1), (4, 2, 2)] {
        Insider::enter(&mut pair, path, seed, &[]);
        assert_eq!(pair.hosts[1].endpoint.phase1().count(), held);
        assert_eq!(hub(&pair).phase1_displaced, displaced);
    }
    assert_eq!(pair.hosts[1].endpoint.peers().count(), 1);
    let displaced = |trace: &Trace| {
        matches!(trace, Trace::Phase1Deleted { reason: CloseReason::Superseded, .. })
    };
    assert_eq!(traced(&pair, 1, displaced), 2);
}

#[test]
fn pairs_per_peer() {
    let mut pair = with(Limits { pairs_per_peer: 2, ..Limits::default() });
    let path = pair.path_to(1);
    let mut insider = Insider::enter(&mut pair, path, 1, &[]);
    for (held, displaced) in [(1, 0), (2, 0), (2, 1), (2, 2)] {
        let quick_mode = insider.quick_mode();
        insider.complete(&mut pair, &quick_mode);
        assert_eq!(pair.hosts[1].endpoint.phase2().count(), held);
        assert_eq!(hub(&pair).pairs_displaced, displaced);
        pair.run_for(Duration::from_millis(1));
    }
    let displaced =
        |trace: &Trace| matches!(trace, Trace::SaDeleted { reason: CloseReason::Superseded, .. });
    assert_eq!(traced(&pair, 1, displaced), 4, "two pairs of two");
}

#[test]
fn refusals_per_second() {
    let limits = Limits { refusals_per_second: 2, ..Limits::default() };
    let strong = vec![dmvpn_isakmp::Policy::STRONG];
    let hub_config = guide_config().policies(strong).limits(limits).build().unwrap();
    let mut pair = Pair::new(guide_config().build().unwrap(), hub_config);
    pair.protect_guide();
    for (number, sent, suppressed) in [(1, 1, 0), (2, 2, 0), (3, 2, 1), (4, 2, 2)] {
        let path = from(&pair, number);
        pair.deliver(1, path, &mm1([number; 8]));
        assert_eq!((pair.hosts[1].sent.len(), hub(&pair).refusals_suppressed), (sent, suppressed));
    }
    assert_eq!(traced(&pair, 1, |t| *t == Trace::RefusalSuppressed { limit: 2 }), 2);
    pair.run_for(Duration::from_secs(1));
    let path = from(&pair, 5);
    pair.deliver(1, path, &mm1([5; 8]));
    assert_eq!(pair.hosts[1].sent.len(), 3);
}

/// Datagrams are refused while nobody takes what the endpoint has to say.
#[test]
fn queue_of_transmits() {
    let limits = Limits { queue: 3, ..Limits::default() };
    let mut pair = with(limits);
    let now = pair.now;
    let paths: Vec<_> = (1..=5).map(|source| from(&pair, source)).collect();
    let hub = &mut pair.hosts[1].endpoint;
    for (number, path) in (1_u8..).zip(paths) {
        let outcome = hub.handle_datagram(now, path, &mm1([number; 8]));
        let refused = Err(Discard::QueueFull { limit: 3 });
        assert_eq!(outcome, if number <= 3 { Ok(()) } else { refused });
    }
    assert_eq!(hub.counters().refused_for_queue, 2);
    assert_eq!(core::iter::from_fn(|| hub.poll_transmit()).count(), 3);
    assert_eq!(hub.counters().transmits_dropped, 0);
}

/// What timers and commands send beyond the limit is lost, as on a path that loses.
#[test]
fn queue_of_transmits_that_timers_fill() {
    let limits = Limits { queue: 3, ..Limits::default() };
    let mut pair = with(limits);
    pair.hosts[0].endpoint.connect(pair.now, pair::TUNNEL, ip(pair::HUB)).unwrap();
    let spoke = &mut pair.hosts[0].endpoint;
    for (transmissions, dropped) in [(1, 0), (2, 0), (3, 0), (4, 1), (5, 2)] {
        assert_eq!(spoke.counters().transmits_dropped, dropped);
        assert_eq!(spoke.counters().sent + dropped, transmissions);
        let due = spoke.poll_timeout().unwrap();
        spoke.handle_timeout(due);
    }
    assert_eq!(core::iter::from_fn(|| spoke.poll_transmit()).count(), 3);
    pair.drain();
    assert_eq!(traced(&pair, 0, |t| *t == Trace::TransmitDropped { limit: 3 }), 2);
}

/// Hours of SAs that come and go, and nobody asks: the events that are left are those that matter,
/// and make sense to whoever asks in the end.
#[test]
fn queue_of_events() {
    let limits = Limits { queue: 16, ..Limits::default() };
    let mut pair = with(limits);
    let path = pair.path_to(1);
    let mut now = pair.now;
    let mut insider = Insider::enter(&mut pair, path, 1, &[]);
    let hub = &mut pair.hosts[1].endpoint;
    for _ in 0..200 {
        let quick_mode = insider.quick_mode();
        let _ = hub.handle_datagram(now, path, &insider.qm1(&quick_mode));
        now += Duration::from_secs(30);
        hub.handle_timeout(now);
        while hub.poll_transmit().is_some() {}
    }
    let counters = hub.counters();
    assert!(counters.events_coalesced > 0, "{counters:?}");
    // The harness insists on SAs that are installed once and removed if they were.
    let before = pair.hosts[1].events.len();
    pair.drain();
    assert!(pair.hosts[1].events.len() - before <= 2 * 16, "{:?}", pair.hosts[1].events);
    assert!(traced(&pair, 1, |t| matches!(t, Trace::EventsCoalesced { .. })) > 0);
    let held = pair.hosts[1].endpoint.phase2().count();
    assert_eq!(pair.hosts[1].installed.len(), 2 * held);
}

/// A job whose negotiation is gone is gone, too.
#[test]
fn queue_of_jobs() {
    let config = || out_of_line(guide_config().limits(Limits { queue: 2, ..Limits::default() }));
    let mut pair = Pair::new(config(), config());
    pair.protect_guide();
    let now = pair.now;
    let paths: Vec<_> = (1..=3).map(|source| from(&pair, source)).collect();
    let hub = &mut pair.hosts[1].endpoint;
    // Whoever has got our answer may make us compute.
    for (number, path) in (1_u8..).zip(paths) {
        let refused = Err(Discard::QueueFull { limit: 2 });
        let outcome = hub.handle_datagram(now, path, &mm1([number; 8]));
        assert_eq!(outcome, if number <= 2 { Ok(()) } else { refused });
        let Some(mm2) = hub.poll_transmit() else { continue };
        let responder = Cookie(mm2.payload[8..16].try_into().unwrap());
        let payloads =
            [Payload::KeyExchange(vec![2; 96].into()), Payload::Nonce(vec![7; 20].into())];
        let cookies = (Cookie([number; 8]), responder);
        let mm3 = clear(cookies, ExchangeType::MAIN_MODE, &payloads);
        assert_eq!(hub.handle_datagram(now, path, &mm3), Ok(()));
    }
    assert_eq!(hub.counters().refused_for_queue, 1);
    let full = Trace::Discarded(Discard::QueueFull { limit: 2 });
    let traces = core::iter::from_fn(|| hub.poll_trace());
    assert_eq!(traces.filter(|traced| traced.trace == full).count(), 1);
    hub.handle_timeout(now + Duration::from_secs(60));
    assert!(hub.poll_job().is_none(), "nobody waits for it");
}

#[test]
fn trace_ring() {
    let config: Config = guide_config().trace_capacity(10).build().unwrap();
    let mut pair = Pair::new(guide_config().trace_capacity(0).build().unwrap(), config);
    pair.protect_guide();
    let path = from(&pair, 1);
    assert_eq!(path.transport, Transport::Isakmp);
    pair.hosts[1].endpoint.handle_datagram(pair.now, path, &mm1([1; 8])).unwrap();
    let dropped = hub(&pair).traces_dropped;
    assert!(dropped > 0);
    assert_eq!(core::iter::from_fn(|| pair.hosts[1].endpoint.poll_trace()).count(), 10);
    assert_eq!(pair.hosts[0].endpoint.counters().traces_dropped, 0, "off");
    assert_eq!(pair.hosts[0].endpoint.poll_trace(), None);
}
