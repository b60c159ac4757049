//! Whole routers: a packet through `Node::send` on one side and `Node::handle_packet` on the other.

use std::ops::Range;
use std::time::Duration;

use dmvpn_core::{Incoming, Instant, NextHop, Node, Outgoing, Underlay};

use crate::cloud::{Cloud, arriving};
use crate::suite::{HUB_TUNNEL, Routers, Suite, TUNNEL};

/// An inner IPv4 packet of so many octets.
pub fn inner(length: usize) -> Vec<u8> {
    let mut packet = vec![0; length];
    packet[0] = 0x45;
    packet[2..4].copy_from_slice(&u16::try_from(length).expect("a packet").to_be_bytes());
    packet[8] = 64;
    packet[9] = 253;
    packet[12..16].copy_from_slice(&[10, 1, 0, 0]);
    packet[16..20].copy_from_slice(&[10, 0, 0, 1]);
    packet
}

/// A buffer with an inner packet where `Node::send` wants it.
pub fn buffer(length: usize) -> (Vec<u8>, Range<usize>) {
    let range = Node::MAX_HEADROOM..Node::MAX_HEADROOM + length;
    let mut buffer = vec![0; range.end + Node::MAX_TAILROOM];
    buffer[range.clone()].copy_from_slice(&inner(length));
    (buffer, range)
}

/// A hub and a spoke whose tunnel is up.
pub struct Pair {
    now: Instant,
    hub: Node,
    spoke: Node,
    template: Vec<u8>,
    range: Range<usize>,
    buffers: Vec<Vec<u8>>,
}

impl Pair {
    /// Forwards packets of `length` octets, up to `batch` at a time.
    pub fn new(suite: Suite, length: usize, batch: usize) -> Self {
        let mut cloud = Cloud::start(&Routers::new(suite), 1, Duration::from_secs(1), |_| true);
        let spoke = cloud.spokes.remove(&0).expect("it was kept");
        let (template, range) = buffer(length);
        let buffers = vec![template.clone(); batch];
        Self { now: cloud.now, hub: cloud.hub, spoke, template, range, buffers }
    }

    /// A packet from the spoke to the hub.
    pub fn forward(&mut self) {
        let (template, buffer) = (&self.template, &mut self.buffers[0]);
        buffer[self.range.clone()].copy_from_slice(&template[self.range.clone()]);
        let hop = NextHop::Protocol(HUB_TUNNEL);
        let sent = self.spoke.send(self.now, TUNNEL, hop, buffer, self.range.clone());
        let sent = sent.expect("the tunnel is up");
        let packet = &mut buffer[sent.packet];
        let inbound = self.hub.handle_packet(self.now, arriving(sent.underlay), packet);
        assert!(matches!(inbound, Ok(Some(_))));
    }

    /// As many packets as there are buffers, in one batch on each side.
    pub fn forward_batch(&mut self) {
        let hop = NextHop::Protocol(HUB_TUNNEL);
        let (range, template) = (self.range.clone(), &self.template);
        for buffer in &mut self.buffers {
            buffer[range.clone()].copy_from_slice(&template[range.clone()]);
        }
        let mut outgoing: Vec<_> = self
            .buffers
            .iter_mut()
            .map(|buffer| Outgoing::new(TUNNEL, hop, buffer, range.clone()))
            .collect();
        self.spoke.send_batch(self.now, &mut outgoing);
        let sent: Vec<(Underlay, Range<usize>)> = outgoing
            .iter()
            .map(|outgoing| {
                let outcome = outgoing.outcome().expect("it was sent");
                let sent = outcome.as_ref().expect("the tunnel is up");
                (sent.underlay, sent.packet.clone())
            })
            .collect();
        let mut incoming: Vec<_> = self
            .buffers
            .iter_mut()
            .zip(&sent)
            .map(|(buffer, (underlay, packet))| {
                Incoming::new(arriving(*underlay), &mut buffer[packet.clone()])
            })
            .collect();
        self.hub.handle_batch(self.now, &mut incoming);
        assert!(incoming.iter().all(|incoming| incoming.packet().is_some()));
    }
}
