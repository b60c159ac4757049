//! What a node holds for an owner that does not poll, and for packets that it cannot send yet.

extern crate alloc;

mod cloud;

use cloud::guide::{self, Settings, TUNNEL, ip};
use cloud::inner_packet;
use dmvpn_core::{Event, NextHop, SendError};

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
    let left: Vec<_> = core::iter::from_fn(|| node.poll_event()).collect();
    assert!(left.len() <= 12, "{left:?}");
    let last = left
        .iter()
        .rev()
        .find(|event| matches!(event, Event::InterfaceUp { .. } | Event::InterfaceDown { .. }));
    assert_eq!(last, Some(&Event::InterfaceUp { tunnel: TUNNEL }));
    let down = left.iter().filter(|event| matches!(event, Event::PeerDown { .. })).count();
    assert_eq!(down, 1, "the peer that the owner had heard of");
}

#[test]
fn transmits_beyond_the_limit_are_dropped() {
    let settings = Settings { queue: 1, ..Settings::default() };
    let (mut cloud, _, spoke) = guide::brought_up(&settings, 1);
    let now = cloud.now;
    let node = &mut cloud.routers[spoke].node;
    let before = node.counters().transmits_dropped;
    // A purge, a delete of each SA: more than one.
    node.shutdown(now, TUNNEL);
    node.shutdown(now, TUNNEL);
    assert!(node.counters().transmits_dropped > before);
    assert_eq!(core::iter::from_fn(|| node.poll_transmit()).count(), 1);
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
