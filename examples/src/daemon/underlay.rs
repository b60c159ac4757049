//! The sockets of the underlay, packets in batches.
//!
//! Each tunnel source address has four sockets to receive on: UDP 500 and 4500, and raw ones for ESP
//! and GRE. Everything goes out through one raw socket whose packets bring their own IPv4 header, so
//! that class, DF, time to live and ports are what the node says, for each packet.

use alloc::collections::BTreeSet;
use core::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use core::ops::Range;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, RawFd};

use dmvpn_core::{Transport, Underlay};
use etherparse::Ipv4HeaderSlice;
use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, MultiHeaders, SockaddrIn, recvmmsg, sendmmsg,
};
use socket2::{Domain, Protocol, Socket, Type};

use super::fragment::fragments;

/// How many packets one system call moves at most, and one call of the node: as many as 3DES does beside each other in words of 64 bits.
pub const BATCH: usize = 64;
/// The longest IPv4 packet.
pub const MAX_PACKET: usize = 65_535;
/// What the kernel may hold for us while we are busy, in octets.
const SOCKET_BUFFER: usize = 4 << 20;

const ICMP: i32 = 1;

/// Why a socket is not there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The configuration names an address that is not the host's.
    #[error("tunnel source {0} is no address of this host")]
    NotOurs(Ipv4Addr),
    /// Another program has the port.
    #[error("udp port {1} of {0} is taken: another IKE daemon?")]
    PortTaken(Ipv4Addr, u16),
    /// Privileges lack.
    #[error("{0} socket: not permitted; CAP_NET_RAW and CAP_NET_BIND_SERVICE are needed")]
    NotPermitted(&'static str),
    /// Anything else.
    #[error("{what} at {address}: {error}")]
    Io {
        /// Which socket.
        what: &'static str,
        /// The tunnel source.
        address: Ipv4Addr,
        /// What the system says.
        error: io::Error,
    },
}

/// A socket to receive on.
#[derive(Debug)]
pub struct Receiver {
    socket: Socket,
    transport: Transport,
    local: SocketAddrV4,
}

impl AsRawFd for Receiver {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

/// The four receivers of each address.
///
/// # Errors
///
/// [`OpenError`].
pub fn receivers(addresses: &BTreeSet<Ipv4Addr>) -> Result<Vec<Receiver>, OpenError> {
    // In this order they are served: the message that completes an association before what comes
    // under it.
    const KINDS: [(Transport, u16); 4] = [
        (Transport::Isakmp, 500),
        (Transport::NatT, 4500),
        (Transport::Esp, 0),
        (Transport::Gre, 0),
    ];
    let pairs = addresses.iter().flat_map(|address| KINDS.map(|kind| (*address, kind)));
    pairs.map(|(address, (transport, port))| Receiver::open(address, transport, port)).collect()
}

impl Receiver {
    fn open(address: Ipv4Addr, transport: Transport, port: u16) -> Result<Self, OpenError> {
        let (what, kind, protocol) = match transport {
            Transport::Isakmp | Transport::NatT => ("udp", Type::DGRAM, 17),
            Transport::Esp => ("esp", Type::RAW, 50),
            Transport::Gre => ("gre", Type::RAW, 47),
        };
        let local = SocketAddrV4::new(address, port);
        let open = || {
            let socket = Socket::new(Domain::IPV4, kind, Some(Protocol::from(protocol)))?;
            socket.set_nonblocking(true)?;
            socket.set_recv_tos_v4(kind == Type::DGRAM)?;
            grow(&socket);
            socket.bind(&local.into())?;
            Ok(socket)
        };
        let socket = open().map_err(|error: io::Error| match error.raw_os_error() {
            Some(libc::EADDRNOTAVAIL) => OpenError::NotOurs(address),
            Some(libc::EADDRINUSE) => OpenError::PortTaken(address, port),
            _ => not_opened(what, address, error),
        })?;
        Ok(Self { socket, transport, local })
    }

    /// How a packet of `length` octets in `buffer` came in, and where lies what is for the node;
    /// `None` if it is not a whole packet.
    fn underlay(
        &self,
        buffer: &[u8],
        length: usize,
        from: SocketAddrV4,
        traffic_class: u8,
    ) -> Option<(Underlay, Range<usize>)> {
        let mut underlay = Underlay {
            transport: self.transport,
            local: self.local.into(),
            remote: from.into(),
            traffic_class,
            dont_fragment: false,
        };
        match self.transport {
            Transport::Isakmp | Transport::NatT => Some((underlay, 0..length)),
            // A raw socket gives the IPv4 header too, of a packet that the kernel has put together.
            Transport::Esp | Transport::Gre => {
                let header = Ipv4HeaderSlice::from_slice(buffer.get(..length)?).ok()?;
                underlay.remote = SocketAddr::new(IpAddr::V4(header.source_addr()), 0);
                underlay.traffic_class = header.dcp().value() << 2 | header.ecn().value();
                underlay.dont_fragment = header.dont_fragment();
                let end = usize::from(header.total_len()).min(length);
                let start = header.slice().len();
                (start <= end).then_some((underlay, start..end))
            }
        }
    }
}

/// Packets that were received in one call.
#[derive(Debug)]
pub struct Inbox {
    buffers: Vec<Vec<u8>>,
    received: Vec<Received>,
}

/// A packet in an [`Inbox`].
#[derive(Clone, Debug)]
pub struct Received {
    /// How it came in.
    pub underlay: Underlay,
    /// What is for the node, in the packet's buffer.
    pub payload: Range<usize>,
}

impl Default for Inbox {
    fn default() -> Self {
        Self { buffers: vec![vec![0; MAX_PACKET]; BATCH], received: Vec::with_capacity(BATCH) }
    }
}

impl Inbox {
    /// Receives at most [`BATCH`] packets; whether there may be more.
    ///
    /// # Errors
    ///
    /// What the system fails with, but not that there is nothing.
    pub fn receive(&mut self, receiver: &Receiver) -> io::Result<bool> {
        self.received.clear();
        let mut headers =
            MultiHeaders::<SockaddrIn>::preallocate(BATCH, Some(nix::cmsg_space!(u8, [u8; 4])));
        let mut lengths = Vec::with_capacity(BATCH);
        {
            let mut slices: Vec<[IoSliceMut<'_>; 1]> =
                self.buffers.iter_mut().map(|buffer| [IoSliceMut::new(buffer)]).collect();
            let fd = receiver.socket.as_raw_fd();
            let results =
                match recvmmsg(fd, &mut headers, &mut slices, MsgFlags::MSG_DONTWAIT, None) {
                    Ok(results) => results,
                    Err(Errno::EAGAIN) => return Ok(false),
                    Err(error) => return Err(error.into()),
                };
            for message in results {
                let class = message.cmsgs().into_iter().flatten().find_map(|control| {
                    if let ControlMessageOwned::Ipv4Tos(class) = control {
                        Some(class)
                    } else {
                        None
                    }
                });
                let from = message.address.map(SocketAddrV4::from);
                lengths.push((message.bytes, from, class.unwrap_or(0)));
            }
        }
        let more = lengths.len() == BATCH;
        for (buffer, (length, from, class)) in self.buffers.iter().zip(lengths) {
            let from = from.unwrap_or(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0));
            let nothing = Received { underlay: nowhere(receiver), payload: 0..0 };
            let read = receiver.underlay(buffer, length, from, class);
            self.received
                .push(read.map_or(nothing, |(underlay, payload)| Received { underlay, payload }));
        }
        Ok(more)
    }

    /// The packets, each with its buffer.
    pub fn packets(&mut self) -> impl Iterator<Item = (&Received, &mut Vec<u8>)> {
        let pairs = self.received.iter().zip(&mut self.buffers);
        pairs.filter(|(received, _)| !received.payload.is_empty())
    }
}

fn nowhere(receiver: &Receiver) -> Underlay {
    Underlay {
        transport: receiver.transport,
        local: receiver.local.into(),
        remote: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        traffic_class: 0,
        dont_fragment: false,
    }
}

/// What could not be sent, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SendCounters {
    /// Packets sent.
    pub sent: u64,
    /// The system's buffers were full.
    pub full: u64,
    /// Packets sent as fragments: larger than our own link takes.
    pub fragmented: u64,
    /// Larger than our own link takes, and not to be fragmented.
    pub too_big: u64,
    /// No route, a firewall, an interface that is down.
    pub refused: u64,
}

/// The socket that everything goes out through, and the packets that wait for it.
#[derive(Debug)]
pub struct Outbox {
    socket: Socket,
    buffers: Vec<Vec<u8>>,
    filled: Vec<Range<usize>>,
    /// What happened so far.
    pub counters: SendCounters,
}

impl Outbox {
    /// Opens the socket.
    ///
    /// # Errors
    ///
    /// [`OpenError`].
    pub fn open() -> Result<Self, OpenError> {
        // IPPROTO_RAW: it only sends, and packets bring their header.
        const RAW: i32 = 255;
        let open = || {
            let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(RAW)))?;
            socket.set_nonblocking(true)?;
            grow(&socket);
            Ok(socket)
        };
        let socket = open().map_err(|error| not_opened("raw", Ipv4Addr::UNSPECIFIED, error))?;
        Ok(Self {
            socket,
            buffers: vec![vec![0; 2 * MAX_PACKET]; BATCH],
            filled: Vec::with_capacity(BATCH),
            counters: SendCounters::default(),
        })
    }

    /// The buffer of the next packet.
    pub fn buffer(&mut self) -> &mut [u8] {
        if self.filled.len() >= self.buffers.len() {
            self.flush();
        }
        let next = self.filled.len();
        self.buffers.get_mut(next).map(Vec::as_mut_slice).unwrap_or_default()
    }

    /// The buffer of the packet behind the next `waiting` ones, which are in their buffers but not
    /// whole yet: fewer than [`BATCH`].
    pub fn buffer_behind(&mut self, waiting: usize) -> &mut [u8] {
        // What waits keeps its place: there is room for a batch before the first.
        if waiting == 0 {
            self.flush();
        }
        let at = self.filled.len().saturating_add(waiting);
        self.buffers.get_mut(at).map(Vec::as_mut_slice).unwrap_or_default()
    }

    /// The buffers of the next packets.
    pub fn buffers(&mut self) -> impl Iterator<Item = &mut [u8]> {
        self.buffers.iter_mut().skip(self.filled.len()).map(Vec::as_mut_slice)
    }

    /// The next packet does not go.
    pub fn skip(&mut self) {
        self.filled.push(0..0);
    }

    /// The next packet is whole: an IPv4 packet at `range` of its buffer.
    pub fn push(&mut self, range: Range<usize>) {
        self.filled.push(range);
    }

    /// Sends what waits. What does not go is counted: each sender above has its own way to send
    /// again what matters.
    pub fn flush(&mut self) {
        let packets: Vec<&[u8]> = self
            .buffers
            .iter()
            .zip(&self.filled)
            .map(|(buffer, range)| buffer.get(range.clone()).unwrap_or_default())
            .filter(|packet| !packet.is_empty())
            .collect();
        let mut rest = &packets[..];
        while !rest.is_empty() {
            let sent = match send(&self.socket, rest) {
                Ok(sent) => {
                    self.counters.sent += u64::try_from(sent).unwrap_or(0);
                    sent
                }
                Err(error) => {
                    // The error is that of the first; the others have their own chance.
                    if [Errno::EAGAIN, Errno::ENOBUFS, Errno::ENOMEM].contains(&error) {
                        self.counters.full += 1;
                    } else if error == Errno::EMSGSIZE {
                        let first = rest.first().copied().unwrap_or_default();
                        match send_fragments(&self.socket, first) {
                            Ok(()) => self.counters.fragmented += 1,
                            Err(_) => self.counters.too_big += 1,
                        }
                    } else {
                        self.counters.refused += 1;
                    }
                    1
                }
            };
            rest = rest.get(sent.max(1)..).unwrap_or_default();
        }
        self.filled.clear();
    }
}

/// Sends the first packets; how many went.
fn send(socket: &Socket, packets: &[&[u8]]) -> Result<usize, Errno> {
    let slices: Vec<[IoSlice<'_>; 1]> =
        packets.iter().map(|packet| [IoSlice::new(packet)]).collect();
    let addresses: Vec<Option<SockaddrIn>> = packets
        .iter()
        .map(|packet| {
            let destination = packet.get(16..)?.first_chunk::<4>()?;
            Some(SockaddrIn::from(SocketAddrV4::new(Ipv4Addr::from(*destination), 0)))
        })
        .collect();
    let mut headers = MultiHeaders::<SockaddrIn>::preallocate(packets.len(), None);
    let flags = MsgFlags::MSG_DONTWAIT;
    let results = sendmmsg(socket.as_raw_fd(), &mut headers, &slices, &addresses, [], flags)?;
    Ok(results.count())
}

/// The kernel does not fragment what brings its own header.
fn send_fragments(socket: &Socket, packet: &[u8]) -> io::Result<()> {
    let destination = packet.get(16..).and_then(<[u8]>::first_chunk::<4>);
    let destination = destination.ok_or(io::ErrorKind::InvalidInput)?;
    // A socket that is connected knows the MTU of its route.
    let probe = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
    probe.connect(&SocketAddrV4::new(Ipv4Addr::from(*destination), 9).into())?;
    let mtu = nix::sys::socket::getsockopt(&probe, nix::sys::socket::sockopt::IpMtu)?;
    let mtu = u16::try_from(mtu).unwrap_or(u16::MAX);
    let pieces = fragments(packet, mtu).map_err(io::Error::other)?;
    let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
    match send(socket, &pieces)? {
        sent if sent == pieces.len() => Ok(()),
        _ => Err(io::ErrorKind::WouldBlock.into()),
    }
}

/// The socket that ICMP errors about our packets come in on.
///
/// # Errors
///
/// [`OpenError`].
pub fn icmp() -> Result<Socket, OpenError> {
    let open = || {
        let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(ICMP)))?;
        socket.set_nonblocking(true)?;
        Ok(socket)
    };
    open().map_err(|error| not_opened("icmp", Ipv4Addr::UNSPECIFIED, error))
}

fn not_opened(what: &'static str, address: Ipv4Addr, error: io::Error) -> OpenError {
    if error.kind() == io::ErrorKind::PermissionDenied {
        return OpenError::NotPermitted(what);
    }
    OpenError::Io { what, address, error }
}

/// Larger buffers are welcome, not needed: what the system allows, it gives.
fn grow(socket: &Socket) {
    let _optional = socket.set_recv_buffer_size(SOCKET_BUFFER);
    let _optional = socket.set_send_buffer_size(SOCKET_BUFFER);
}
