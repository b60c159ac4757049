use core::fmt;
use core::net::{IpAddr, Ipv6Addr, SocketAddr};

use bytes::Bytes;

/// Which of the two UDP encapsulations an ISAKMP message uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// The ISAKMP port (500): the message is the whole datagram.
    Isakmp,
    /// The NAT traversal port (4500): four zero bytes go in front (RFC 3948 §2.2).
    NatT,
}

/// Where a datagram came from or goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path {
    /// Our address and port.
    pub local: SocketAddr,
    /// The peer's address and port, as seen from here.
    pub remote: SocketAddr,
    /// The encapsulation.
    pub transport: Transport,
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.remote, self.local)
    }
}

/// Whom a limit for each source counts: an address, and of IPv6 its network, in which anybody has as
/// many addresses as he likes.
pub(crate) const fn source_of(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

/// What the owner of the sockets sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// From where to where, and in which encapsulation.
    pub path: Path,
    /// The message; a retransmission is the same bytes.
    pub payload: Bytes,
    /// Whether the four zero bytes of the non-ESP marker go in front of `payload`: always on
    /// [`Transport::NatT`], except for a NAT keepalive (RFC 3948 §2.3), one byte 0xff on its own.
    pub non_esp_marker: bool,
}
