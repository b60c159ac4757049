//! The boundary to the owner of the sockets.

use core::net::SocketAddr;

use bytes::Bytes;

/// In what a packet travels between the NBMA addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// UDP, the ISAKMP port (500).
    Isakmp,
    /// UDP, the NAT traversal port (4500): ESP, or ISAKMP behind four zero octets, or a keepalive
    /// (RFC 3948 §2). The packet is the whole UDP payload.
    NatT,
    /// IP protocol 50.
    Esp,
    /// IP protocol 47.
    Gre,
}

/// How a packet came in or is to go out: the facts of its IP (and UDP) header.
///
/// With [`Transport::Esp`] and [`Transport::Gre`] the ports mean nothing and are 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Underlay {
    /// In what it travels.
    pub transport: Transport,
    /// Our NBMA address and port.
    pub local: SocketAddr,
    /// The peer's NBMA address and port.
    pub remote: SocketAddr,
    /// DSCP and ECN of the outer header: the IPv4 type of service or IPv6 traffic class octet.
    pub traffic_class: u8,
    /// The outer header's "don't fragment" (IPv4). A [`Node`](crate::Node) asks for it on no packet that
    /// it sends, and does not look at it on those that come in: routers on the way may fragment.
    pub dont_fragment: bool,
}

/// A packet of the control plane, for the owner to send.
///
/// A retransmission is the same octets again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// How it is to go out.
    pub underlay: Underlay,
    /// What follows the IP header, or the UDP header where there is one.
    pub packet: Bytes,
}
