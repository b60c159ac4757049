//! The lab's underlay: the guide's addresses over loopback sockets.
//!
//! Each router has a [`Port`], one UDP socket on 127.0.0.1. A packet travels in a datagram of its
//! own, whole as it would be on the wire between 172.16.1.1 and 172.16.10.1: IPv4 header and UDP,
//! ESP or GRE. Between the ports a [`Wire`] forwards by destination address, on a thread of its
//! own; it can lose packets, translate addresses and write what it sees to a capture.

use alloc::collections::BTreeMap;
use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::io::ErrorKind::{ConnectionReset, InvalidData, TimedOut, WouldBlock};
use std::io::{self, Write};
use std::net::UdpSocket;
use std::thread::{self, JoinHandle};
use std::time::SystemTime;

use chacha20::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

use crate::capture::PcapWriter;
use crate::packet::{Carried, Packet};

/// The longest IPv4 packet.
const MAX_PACKET: usize = 65_535;

/// A router's end of the wire.
#[derive(Debug)]
pub struct Port {
    socket: UdpSocket,
}

impl Port {
    /// Sends one IPv4 packet.
    ///
    /// # Errors
    ///
    /// What the socket fails with.
    pub fn send(&self, packet: &[u8]) -> io::Result<()> {
        self.socket.send(packet).map(|_| ())
    }

    /// Waits for a packet, at most this long; its length in `buffer`.
    ///
    /// # Errors
    ///
    /// What the socket fails with, but not that time passed: that is `None`.
    pub fn receive(&self, buffer: &mut [u8], at_most: Duration) -> io::Result<Option<usize>> {
        // A timeout of zero would be none at all.
        self.socket.set_read_timeout(Some(at_most.max(Duration::from_millis(1))))?;
        match self.socket.recv(buffer) {
            Ok(length) => Ok(Some(length)),
            Err(error) if matches!(error.kind(), WouldBlock | TimedOut) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// A NAT with port translation (NAPT) in front of one router.
///
/// UDP gets a port of the outside address, never the one it came from, and keeps it. What has no
/// ports, native ESP and GRE, does not pass.
#[derive(Debug, Clone, Copy)]
pub struct Nat {
    /// The router behind it.
    pub inside: Ipv4Addr,
    /// The address that everyone else sees.
    pub outside: Ipv4Addr,
}

/// Random loss.
#[derive(Debug, Clone, Copy)]
pub struct Loss {
    /// How many of a hundred packets do not arrive.
    pub percent: u8,
    /// The same seed loses the same packets of the same sequence.
    pub seed: u64,
}

/// What a wire saw.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WireCounters {
    /// Packets delivered.
    pub forwarded: u64,
    /// Packets lost as [`Loss`] says.
    pub lost: u64,
    /// Packets that the [`Nat`] has no translation for.
    pub untranslatable: u64,
    /// Packets to an address where no port is, and what is no packet.
    pub undeliverable: u64,
}

/// The wire before it carries anything.
pub struct WireBuilder {
    socket: UdpSocket,
    ports: BTreeMap<Ipv4Addr, SocketAddr>,
    nat: Option<Translation>,
    loss: Option<(Loss, ChaCha8Rng)>,
    capture: Option<PcapWriter<Box<dyn Write + Send>>>,
}

impl core::fmt::Debug for WireBuilder {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("WireBuilder").field("ports", &self.ports).finish_non_exhaustive()
    }
}

impl WireBuilder {
    /// A wire on a free port of 127.0.0.1.
    ///
    /// # Errors
    ///
    /// What binding fails with.
    pub fn new() -> io::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        Ok(Self { socket, ports: BTreeMap::new(), nat: None, loss: None, capture: None })
    }

    /// A NAT between one router and the rest.
    #[must_use]
    pub fn nat(mut self, nat: Nat) -> Self {
        self.nat = Some(Translation::new(nat));
        self
    }

    /// Random loss.
    #[must_use]
    pub fn loss(mut self, loss: Loss) -> Self {
        self.loss = Some((loss, ChaCha8Rng::seed_from_u64(loss.seed)));
        self
    }

    /// A capture of every packet, lost ones too, taken outside the NAT.
    ///
    /// # Errors
    ///
    /// What writing fails with.
    pub fn capture(mut self, to: Box<dyn Write + Send>) -> io::Result<Self> {
        self.capture = Some(PcapWriter::new(to)?);
        Ok(self)
    }

    /// The port of the router that owns this address.
    ///
    /// # Errors
    ///
    /// What binding fails with.
    pub fn port(&mut self, address: Ipv4Addr) -> io::Result<Port> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.connect(self.socket.local_addr()?)?;
        self.ports.insert(address, socket.local_addr()?);
        Ok(Port { socket })
    }

    /// Starts to carry packets.
    ///
    /// # Errors
    ///
    /// What the sockets or the thread fail with.
    pub fn start(mut self) -> io::Result<Wire> {
        let stop = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        stop.connect(self.socket.local_addr()?)?;
        let stopper = stop.local_addr()?;
        let thread = thread::Builder::new().name("wire".into()).spawn(move || self.run(stopper))?;
        Ok(Wire { stop, thread: Some(thread) })
    }

    /// Forwards until a datagram comes from `stopper`.
    fn run(&mut self, stopper: SocketAddr) -> io::Result<WireCounters> {
        let mut counters = WireCounters::default();
        let mut buffer = vec![0; MAX_PACKET];
        loop {
            let (length, sender) = match self.socket.recv_from(&mut buffer) {
                // Systems report here that an earlier datagram found its receiver gone.
                Err(error) if error.kind() == ConnectionReset => continue,
                received => received?,
            };
            if sender == stopper {
                return Ok(counters);
            }
            let packet = buffer.get(..length).unwrap_or_default();
            if self.ports.values().any(|port| *port == sender) {
                self.forward(packet, &mut counters)?;
            } else {
                counters.undeliverable += 1;
            }
        }
    }

    fn forward(&mut self, octets: &[u8], counters: &mut WireCounters) -> io::Result<()> {
        let Ok(packet) = Packet::parse(octets) else {
            counters.undeliverable += 1;
            return Ok(());
        };
        // Outbound translation comes before the capture and inbound translation after it.
        let (seen, delivered) = match &mut self.nat {
            None => (packet.clone(), Some(packet)),
            Some(nat) if packet.source == nat.nat.inside => match nat.outbound(packet) {
                Some(translated) => (translated.clone(), Some(translated)),
                None => {
                    counters.untranslatable += 1;
                    return Ok(());
                }
            },
            Some(nat) => (packet.clone(), nat.inbound(packet)),
        };
        let invalid = |error| io::Error::new(InvalidData, error);
        if let Some(capture) = &mut self.capture {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
            capture.packet(now.unwrap_or_default(), &seen.encode().map_err(invalid)?)?;
        }
        let Some(delivered) = delivered else {
            counters.untranslatable += 1;
            return Ok(());
        };
        if let Some((loss, rng)) = &mut self.loss
            && rng.next_u64() % 100 < u64::from(loss.percent)
        {
            counters.lost += 1;
            return Ok(());
        }
        match self.ports.get(&delivered.destination) {
            Some(port) => {
                self.socket.send_to(&delivered.encode().map_err(invalid)?, port)?;
                counters.forwarded += 1;
            }
            None => counters.undeliverable += 1,
        }
        Ok(())
    }
}

/// A wire that carries packets until it is stopped or dropped.
#[derive(Debug)]
pub struct Wire {
    stop: UdpSocket,
    thread: Option<JoinHandle<io::Result<WireCounters>>>,
}

impl Wire {
    /// Stops, after the packets already sent into it are delivered.
    ///
    /// # Errors
    ///
    /// What a socket or the capture failed with.
    pub fn stop(mut self) -> io::Result<WireCounters> {
        self.join()
    }

    fn join(&mut self) -> io::Result<WireCounters> {
        let Some(thread) = self.thread.take() else { return Ok(WireCounters::default()) };
        self.stop.send(&[])?;
        thread.join().unwrap_or_else(|_| Err(io::Error::other("the wire's thread panicked")))
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        // Whoever wants to know of errors calls `stop`.
        let _ = self.join();
    }
}

/// The translations of a [`Nat`], which stay until it ends.
#[derive(Debug)]
struct Translation {
    nat: Nat,
    /// Inside port to outside port.
    outside: BTreeMap<u16, u16>,
    next_port: u16,
}

impl Translation {
    /// Far from 500 and 4500, so that a peer which insists on those fails at once.
    const FIRST_PORT: u16 = 20_001;

    fn new(nat: Nat) -> Self {
        Self { nat, outside: BTreeMap::new(), next_port: Self::FIRST_PORT }
    }

    fn outbound<'a>(&mut self, mut packet: Packet<'a>) -> Option<Packet<'a>> {
        let Carried::Udp { source, destination } = packet.carried else { return None };
        let next_port = &mut self.next_port;
        let port = *self.outside.entry(source).or_insert_with(|| {
            let port = *next_port;
            *next_port = port.checked_add(1).unwrap_or(Self::FIRST_PORT);
            port
        });
        packet.source = self.nat.outside;
        packet.carried = Carried::Udp { source: port, destination };
        Some(packet)
    }

    /// What is not for the outside address passes: two routers that are both outside.
    fn inbound<'a>(&self, mut packet: Packet<'a>) -> Option<Packet<'a>> {
        if packet.destination == self.nat.inside {
            return None;
        }
        if packet.destination != self.nat.outside {
            return Some(packet);
        }
        let Carried::Udp { source, destination } = packet.carried else { return None };
        let (inside, _) = self.outside.iter().find(|(_, outside)| **outside == destination)?;
        packet.destination = self.nat.inside;
        packet.carried = Carried::Udp { source, destination: *inside };
        Some(packet)
    }
}
