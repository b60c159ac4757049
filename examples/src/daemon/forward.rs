//! Packets between the tunnels' devices and the underlay.

use core::net::{IpAddr, Ipv4Addr};
use core::ops::Range;
use std::fs::File;
use std::io::{self, BufWriter, Read};
use std::time::SystemTime;

use dmvpn_core::{
    Inbound, Incoming, NextHop, Node, Outgoing, SendError, Transport, TunnelId, Underlay,
};

use super::Error;
use super::ethernet::{self, Frame};
use super::event_loop::Daemon;
use super::fragment::fragments;
use super::icmp::{self, Reason, TooBig};
use super::outer;
use super::tap::Tap;
use super::underlay::{BATCH, MAX_PACKET};
use crate::capture::PcapWriter;
use crate::ios::InterfaceAddress;
use crate::packet::{Carried, Packet};

/// Where the inner packet lies in a buffer of the outbox: behind the room for every header.
const INNER: usize = outer::HEADROOM + Node::MAX_HEADROOM;

/// A tunnel's inside.
#[derive(Debug)]
pub struct Tunnel {
    /// The device.
    pub tap: Tap,
    /// The device's name.
    pub name: String,
    /// The tunnel's address and network.
    pub address: InterfaceAddress,
}

/// What did not go through, and what was sent instead.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ForwardCounters {
    /// Questions of the kernel for a next hop that nobody knows.
    pub arp_unanswered: u64,
    /// Frames that are no IPv4 packet for a next hop.
    pub not_forwarded: u64,
    /// Packets that the node did not send.
    pub refused: u64,
    /// Packets that went as several fragments.
    pub fragmented: u64,
    /// ICMP errors written to a device.
    pub icmp_sent: u64,
    /// Packets out of a tunnel that the device did not take, or that are no IPv4.
    pub not_delivered: u64,
}

impl Daemon {
    /// A tunnel's device is ready: at most a batch of frames; whether there may be more.
    ///
    /// Fails if the device is gone: somebody else removed it.
    pub(super) fn serve_tap(&mut self, id: TunnelId) -> Result<bool, Error> {
        let mut batch = Vec::with_capacity(BATCH);
        for _ in 0..BATCH {
            let Some(tunnel) = self.tunnels.get_mut(&id) else { return Ok(false) };
            let start = INNER - ethernet::HEADER;
            let buffer = self.outbox.buffer_behind(batch.len());
            let end = start + MAX_PACKET;
            let frame = buffer.get_mut(start..end).unwrap_or_default();
            let received = tunnel.tap.receive(frame);
            let received = received.map_err(|error| format!("{}: {error}", tunnel.name))?;
            let Some(length) = received else {
                self.unicast(id, &batch);
                return Ok(false);
            };
            let frame = frame.get(..length).unwrap_or_default();
            let packet = INNER..start + length;
            match Frame::parse(frame) {
                Ok((device, frame)) => {
                    tunnel.tap.mac = device;
                    match frame {
                        Frame::Arp(question) => self.arp(id, &question),
                        Frame::Unicast(next_hop) => batch.push((next_hop, packet)),
                        Frame::Group => {
                            let whole = buffer.get(packet).unwrap_or_default().to_vec();
                            self.unicast(id, &core::mem::take(&mut batch));
                            self.group(id, &whole);
                        }
                    }
                }
                Err(_) => self.forwarded.not_forwarded += 1,
            }
        }
        self.unicast(id, &batch);
        Ok(true)
    }

    fn arp(&mut self, id: TunnelId, question: &ethernet::Question) {
        let Some(tunnel) = self.tunnels.get(&id) else { return };
        if !self.node.resolves(id, IpAddr::V4(question.next_hop)) {
            // The kernel asks again, and gives up by itself.
            self.forwarded.arp_unanswered += 1;
        } else if !tunnel.tap.send(&question.answer()) {
            self.forwarded.not_delivered += 1;
        }
    }

    /// Packets for one next hop each, in the next buffers.
    fn unicast(&mut self, id: TunnelId, packets: &[(Ipv4Addr, Range<usize>)]) {
        let to = |next_hop| NextHop::Protocol(IpAddr::V4(next_hop));
        for (next_hop, error, whole) in self.send_batch(id, packets, to) {
            self.unsent(id, next_hop, error, &whole);
        }
    }

    /// Sends packets that are in the next buffers; those that the node did not send.
    fn send_batch<H: Copy>(
        &mut self,
        id: TunnelId,
        packets: &[(H, Range<usize>)],
        to: impl Fn(H) -> NextHop,
    ) -> Vec<(H, SendError, Vec<u8>)> {
        let now = self.now();
        let mut batch: Vec<Outgoing<'_>> = self
            .outbox
            .buffers()
            .zip(packets)
            .map(|(buffer, (hop, packet))| Outgoing::new(id, to(*hop), buffer, packet.clone()))
            .collect();
        self.node.send_batch(now, &mut batch);
        let outcomes: Vec<_> = batch.iter().map(|outgoing| outgoing.outcome().cloned()).collect();
        let mut unsent = Vec::new();
        for (outcome, (hop, packet)) in outcomes.into_iter().zip(packets) {
            match outcome {
                Some(Ok(outbound)) => self.out(&outbound.underlay, outbound.packet),
                Some(Err(error)) => {
                    let whole = self.outbox.buffer().get(packet.clone()).unwrap_or_default();
                    unsent.push((*hop, error, whole.to_vec()));
                    self.outbox.skip();
                }
                None => self.outbox.skip(),
            }
        }
        unsent
    }

    /// The node did not send a packet: it goes in fragments, or whoever sent it hears why not.
    fn unsent(&mut self, id: TunnelId, next_hop: Ipv4Addr, error: SendError, whole: &[u8]) {
        let reason = if let SendError::TooBig { mtu, .. } = error {
            if let Ok(pieces) = fragments(whole, mtu) {
                self.forwarded.fragmented += 1;
                let to = NextHop::Protocol(IpAddr::V4(next_hop));
                return self.send_pieces(id, to, &pieces);
            }
            Reason::FragmentationNeeded(mtu)
        } else {
            Reason::HostUnreachable
        };
        self.forwarded.refused += 1;
        // Without a security association there will soon be one. What NHRP has forgotten the kernel
        // may still remember: its neighbour is gone.
        let silent = matches!(error, SendError::NoSecurityAssociation);
        if silent || !self.icmp_limit.allows(self.now()) {
            return;
        }
        // The kernel takes no packet from its own address off a device: the error comes from the
        // next hop, the router that the packet did not reach.
        if let Some(mut error) = icmp::error(whole, reason, next_hop) {
            self.forwarded.icmp_sent += 1;
            self.deliver(id, &mut error);
        }
    }

    /// A packet for everyone: copies in batches, which are encrypted beside each other.
    fn group(&mut self, id: TunnelId, whole: &[u8]) {
        let mut cursor = None;
        loop {
            let mut batch = Vec::with_capacity(BATCH);
            while batch.len() < BATCH
                && let Some(peer) = self.node.multicast_after(id, cursor)
            {
                cursor = Some(peer);
                let range = INNER..INNER + whole.len();
                put(whole, self.outbox.buffer_behind(batch.len()), range.clone());
                batch.push((peer, range));
            }
            if batch.is_empty() {
                return;
            }
            for (peer, error, _) in self.send_batch(id, &batch, NextHop::Peer) {
                let pieces = if let SendError::TooBig { mtu, .. } = error {
                    fragments(whole, mtu).ok()
                } else {
                    None
                };
                match pieces {
                    Some(pieces) => self.send_pieces(id, NextHop::Peer(peer), &pieces),
                    None => self.forwarded.refused += 1,
                }
            }
        }
    }

    fn send_pieces(&mut self, id: TunnelId, to: NextHop, pieces: &[Vec<u8>]) {
        for piece in pieces {
            if self.send_copy(id, to, piece).is_err() {
                self.forwarded.refused += 1;
            }
        }
    }

    fn send_copy(&mut self, id: TunnelId, to: NextHop, packet: &[u8]) -> Result<(), SendError> {
        let now = self.now();
        let range = INNER..INNER + packet.len();
        let buffer = self.outbox.buffer();
        put(packet, buffer, range.clone());
        let outbound = self.node.send(now, id, to, buffer, range)?;
        self.out(&outbound.underlay, outbound.packet);
        Ok(())
    }

    /// The payload at `range` of the next buffer goes out as the node says.
    fn out(&mut self, underlay: &Underlay, range: Range<usize>) {
        self.identification = self.identification.wrapping_add(1);
        let identification = self.identification;
        let buffer = self.outbox.buffer();
        match outer::write(underlay, identification, buffer, range) {
            Ok(packet) => {
                if let Some(capture) = &mut self.capture {
                    capture.write(buffer.get(packet.clone()).unwrap_or_default());
                }
                self.outbox.push(packet);
            }
            Err(_) => {
                self.outbox.counters.refused += 1;
                self.outbox.skip();
            }
        }
    }

    /// A packet of the control plane goes out.
    pub(super) fn transmit(&mut self, transmit: &dmvpn_core::Transmit) {
        let range = INNER..INNER + transmit.packet.len();
        match self.outbox.buffer().get_mut(range.clone()) {
            Some(room) => {
                room.copy_from_slice(&transmit.packet);
                self.out(&transmit.underlay, range);
            }
            None => self.outbox.counters.refused += 1,
        }
    }

    /// A socket of the underlay is ready: at most a batch of packets; whether there may be more.
    pub(super) fn serve_receiver(&mut self, index: usize) -> io::Result<bool> {
        let Some(receiver) = self.receivers.get(index) else { return Ok(false) };
        let mut inbox = core::mem::take(&mut self.inbox);
        // An ICMP error of an earlier packet (ECONNREFUSED, EHOSTUNREACH): the next may do.
        let more = inbox.receive(receiver).unwrap_or(true);
        let now = self.now();
        let mut batch = Vec::with_capacity(BATCH);
        for (received, buffer) in inbox.packets() {
            let data = buffer.get_mut(received.payload.clone()).unwrap_or_default();
            if let Some(capture) = &mut self.capture {
                capture.write_received(&received.underlay, data);
            }
            batch.push(Incoming::new(received.underlay, data));
        }
        self.node.handle_batch(now, &mut batch);
        // Why a packet was discarded is in the node's counters and trace.
        let out_of = |incoming: &Incoming<'_>| incoming.outcome()?.clone().ok().flatten();
        let inbound: Vec<Option<Inbound>> = batch.iter().map(out_of).collect();
        for ((received, buffer), inbound) in inbox.packets().zip(inbound) {
            let data = buffer.get_mut(received.payload.clone()).unwrap_or_default();
            if let Some(inbound) = inbound {
                self.inner(&inbound, data);
            }
        }
        self.inbox = inbox;
        Ok(more)
    }

    /// A packet came out of a tunnel.
    fn inner(&mut self, inbound: &Inbound, data: &mut [u8]) {
        let Some(tunnel) = self.tunnels.get(&inbound.tunnel) else { return };
        let frame = ethernet::framed(tunnel.tap.mac, data, inbound.packet.clone());
        if !frame.is_some_and(|frame| tunnel.tap.send(&frame)) {
            self.forwarded.not_delivered += 1;
        }
    }

    /// A packet of our own for the kernel, as if it had come out of a tunnel.
    fn deliver(&mut self, id: TunnelId, packet: &mut [u8]) {
        let Some(tunnel) = self.tunnels.get(&id) else { return };
        let whole = 0..packet.len();
        let frame = ethernet::framed(tunnel.tap.mac, packet, whole);
        if !frame.is_some_and(|frame| tunnel.tap.send(&frame)) {
            self.forwarded.not_delivered += 1;
        }
    }

    /// ICMP errors came from the underlay.
    pub(super) fn serve_icmp(&mut self) -> io::Result<bool> {
        let mut buffer = [0; 2048];
        for _ in 0..BATCH {
            let length = match (&self.icmp).read(&mut buffer) {
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(_) => return Ok(true),
            };
            if let Some(too_big) = TooBig::parse(buffer.get(..length).unwrap_or_default()) {
                self.too_big(&too_big);
            }
        }
        Ok(true)
    }

    /// The node judges whether a packet of its own is meant.
    fn too_big(&mut self, too_big: &TooBig) {
        let [a, b, c, d, ..] = too_big.carried;
        let (first, second) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
        let (transport, spi, ports) = match too_big.protocol {
            17 => (Transport::NatT, None, (first, second)),
            47 => (Transport::Gre, None, (0, 0)),
            50 => (Transport::Esp, Some(u32::from_be_bytes([a, b, c, d])), (0, 0)),
            _ => return,
        };
        let quoted = Underlay {
            transport,
            local: (too_big.local, ports.0).into(),
            remote: (too_big.remote, ports.1).into(),
            traffic_class: 0,
            dont_fragment: true,
        };
        let now = self.now();
        // Why it changed nothing is in the node's counters.
        let _counted = self.node.handle_too_big(now, quoted, spi, too_big.mtu);
    }
}

/// Copies a packet to its place in a buffer.
fn put(packet: &[u8], buffer: &mut [u8], range: Range<usize>) {
    let room = buffer.get_mut(range).unwrap_or_default();
    room.iter_mut().zip(packet).for_each(|(at, octet)| *at = *octet);
}

/// At most so many ICMP errors in a second (RFC 1812 §4.3.2.8).
#[derive(Clone, Copy, Debug)]
pub struct IcmpLimit {
    second: u64,
    left: u32,
}

impl IcmpLimit {
    const A_SECOND: u32 = 100;

    /// All of them are left.
    #[must_use]
    pub const fn new() -> Self {
        Self { second: 0, left: Self::A_SECOND }
    }

    fn allows(&mut self, now: dmvpn_core::Instant) -> bool {
        let second = now.saturating_duration_since(dmvpn_core::Instant::default()).as_secs();
        if second != self.second {
            *self = Self { second, left: Self::A_SECOND };
        }
        let allowed = self.left > 0;
        self.left = self.left.saturating_sub(1);
        allowed
    }
}

impl Default for IcmpLimit {
    fn default() -> Self {
        Self::new()
    }
}

/// `--pcap`.
pub struct Capture {
    writer: PcapWriter<BufWriter<File>>,
}

impl core::fmt::Debug for Capture {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Capture")
    }
}

impl Capture {
    /// Starts the file.
    ///
    /// # Errors
    ///
    /// What the system fails with.
    pub fn create(file: File) -> io::Result<Self> {
        Ok(Self { writer: PcapWriter::new(BufWriter::new(file))? })
    }

    fn write(&mut self, packet: &[u8]) {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        // A full disk ends the capture, not the tunnels.
        let _failed = self.writer.packet(now.unwrap_or_default(), packet);
    }

    /// The kernel keeps the header of a datagram: it is written anew, as far as it is known.
    fn write_received(&mut self, underlay: &Underlay, payload: &[u8]) {
        use dmvpn_core::Transport;
        let (IpAddr::V4(source), IpAddr::V4(destination)) =
            (underlay.remote.ip(), underlay.local.ip())
        else {
            return;
        };
        let carried = match underlay.transport {
            Transport::Isakmp | Transport::NatT => {
                Carried::Udp { source: underlay.remote.port(), destination: underlay.local.port() }
            }
            Transport::Esp => Carried::Protocol(50),
            Transport::Gre => Carried::Protocol(47),
        };
        let packet = Packet {
            source,
            destination,
            carried,
            traffic_class: underlay.traffic_class,
            time_to_live: 64,
            dont_fragment: underlay.dont_fragment,
            identification: 0,
            payload,
        };
        if let Ok(packet) = packet.encode() {
            self.write(&packet);
        }
    }
}
