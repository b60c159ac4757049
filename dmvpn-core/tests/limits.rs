//! What a node holds for an owner that does not poll, and for packets that it cannot send yet.

extern crate alloc;

mod cloud;

use core::net::SocketAddr;

use cloud::guide::{self, Settings, TUNNEL, ip};
use cloud::{Cloud, inner_packet};
use dmvpn_core::cisco::Debug;
use dmvpn_core::debug::{Debug as Filter, Switch};
use dmvpn_core::trace::Record;
use dmvpn_core::{Event, NextHop, Node, SendError, Transport, Underlay};

/// What the trace ring has about queues of the node, as `debug dmvpn error` prints it.
fn told_of_queues(node: &mut Node) -> Vec<String> {
    let mut errors = Filter::off();
    errors.on(Switch::DmvpnError);
    let records = core::iter::from_fn(|| node.poll_trace());
    let records = records.filter(|traced| matches!(traced.record, Record::Overflow(_)));
    records
        .map(|traced| {
            assert!(errors.shows(&traced) && !Filter::off().shows(&traced), "{traced:?}");
            Debug(&traced).to_string()
        })
        .collect()
}

fn events(node: &mut Node) -> Vec<Event> {
    core::iter::from_fn(|| node.poll_event()).collect()
}

/// A tunnel that goes up and down, and nobody looks: what is left is what matters.
#[test]
fn queues_of_a_node() {
    let settings = Settings { queue: 4, ..Settings::default() };
    let (mut cloud, hub, _) = guide::brought_up(&settings, 1);
    let now = cloud.now;
    let node = &mut cloud.routers[hub].node;
    for _ in 0..100 {
        node.shutdown(now, TUNNEL);
        node.no_shutdown(now, TUNNEL);
    }
    let counters = node.counters();
    assert!(counters.events_coalesced > 100, "{counters:?}");
    assert!(core::iter::from_fn(|| node.poll_transmit()).count() <= 4);
    let left = events(node);
    assert!(left.len() <= 12, "{left:?}");
    let last = left
        .iter()
        .rev()
        .find(|event| matches!(event, Event::InterfaceUp { .. } | Event::InterfaceDown { .. }));
    assert_eq!(last, Some(&Event::InterfaceUp { tunnel: TUNNEL }));
    let down = left.iter().filter(|event| matches!(event, Event::PeerDown { .. })).count();
    assert_eq!(down, 1, "the peer that the owner had heard of");
}

/// What is lost of the three packets that a spoke of the guide sends when it is shut down at once: a
/// purge, the deletes of phase 2 and of phase 1.
#[test]
fn transmits_beyond_the_limit_are_dropped() {
    for (queue, held, dropped) in [(4, 3, 0), (3, 3, 0), (2, 2, 1), (1, 1, 2)] {
        let settings = Settings { queue, ..Settings::default() };
        let (mut cloud, _, spoke) = guide::brought_up(&settings, 1);
        let now = cloud.now;
        let node = &mut cloud.routers[spoke].node;
        let before = node.counters().transmits_dropped;
        node.shutdown(now, TUNNEL);
        node.shutdown(now, TUNNEL);
        assert_eq!(node.counters().transmits_dropped - before, dropped, "queue of {queue}");
        assert_eq!(core::iter::from_fn(|| node.poll_transmit()).count(), held, "queue of {queue}");
        let record = format!("DMVPN: packet to {} dropped: {queue} wait to be sent", guide::HUB);
        assert_eq!(told_of_queues(node), vec![record; dropped as usize], "queue of {queue}");
    }
}

/// A hub's interface goes down, up, down, up: with the fourth event the queue is full, and the second
/// and third say nothing.
#[test]
fn events_that_became_meaningless_go_at_the_limit() {
    let down = Event::InterfaceDown { tunnel: TUNNEL };
    let up = Event::InterfaceUp { tunnel: TUNNEL };
    for (queue, left, coalesced) in
        [(5, vec![&down, &up, &down, &up], 0), (4, vec![&down, &up], 2), (3, vec![&down, &up], 2)]
    {
        let mut cloud = Cloud::new(1);
        let hub = cloud.add(Settings { queue, ..Settings::default() }.hub());
        let now = cloud.now;
        let node = &mut cloud.routers[hub].node;
        for _ in 0..2 {
            node.shutdown(now, TUNNEL);
            node.no_shutdown(now, TUNNEL);
        }
        let counters = node.counters();
        assert_eq!(counters.events_coalesced, coalesced, "queue of {queue}");
        assert_eq!(counters.events_dropped, 0, "queue of {queue}");
        let record = "DMVPN: 2 events became meaningless before anybody asked";
        let records = vec![record; usize::from(coalesced > 0)];
        assert_eq!(told_of_queues(node), records, "queue of {queue}");
        assert_eq!(events(node).iter().collect::<Vec<_>>(), left, "queue of {queue}");
    }
}

/// Who sends keepalives without pause fills no memory: nothing hangs on one.
#[test]
fn news_beyond_the_limit_is_dropped() {
    // GRE with key 1, and no protocol: a keepalive that comes back.
    let keepalive = [0x20, 0, 0, 0, 0, 0, 0, 1];
    let settings = Settings { profile: None, queue: 4, ..Settings::default() };
    let mut cloud = Cloud::new(1);
    cloud.clear_allowed = true;
    let spoke = cloud.add(settings.spoke());
    let now = cloud.now;
    let node = &mut cloud.routers[spoke].node;
    let underlay = Underlay {
        transport: Transport::Gre,
        local: SocketAddr::new(ip(guide::SPOKE), 0),
        remote: SocketAddr::new(ip(guide::HUB), 0),
        traffic_class: 0,
        dont_fragment: false,
    };
    for (sent, dropped) in (1..=6).zip([0, 0, 0, 0, 1, 2]) {
        assert_eq!(node.handle_packet(now, underlay, &mut keepalive.clone()), Ok(None));
        assert_eq!(node.counters().events_dropped, dropped, "{sent} keepalives");
    }
    assert_eq!(node.counters().events_coalesced, 0);
    let records =
        [1, 2].map(|n| format!("DMVPN: {n} events became meaningless before anybody asked"));
    assert_eq!(told_of_queues(node), records);
    let remote = ip(guide::HUB);
    assert_eq!(events(node), vec![Event::Keepalive { tunnel: TUNNEL, remote }; 4]);
}

/// No packet waits for a next hop: there is no queue that an attacker could fill.
#[test]
fn packets_to_an_unresolved_next_hop_are_not_held() {
    let settings = Settings { trace: false, ..Settings::default() };
    let (mut cloud, hub, _) = guide::brought_up(&settings, 1);
    let inner = inner_packet([10, 1, 1, 254], [10, 1, 1, 77], 1);
    let mut buffer = vec![0; 80 + inner.len() + 49];
    buffer[80..80 + inner.len()].copy_from_slice(&inner);
    let (now, address) = (cloud.now, ip("10.1.1.77"));
    let node = &mut cloud.routers[hub].node;
    let memory = allocation_counter::measure(|| {
        for _ in 0..10_000 {
            let range = 80..80 + inner.len();
            let sent = node.send(now, TUNNEL, NextHop::Protocol(address), &mut buffer, range);
            assert_eq!(sent, Err(SendError::Unresolved(address)));
        }
    });
    assert_eq!(memory.bytes_total, 0, "{memory:?}");
    assert_eq!(node.tunnel_counters(TUNNEL).map(|counters| counters.unresolved), Some(10_000));
}
