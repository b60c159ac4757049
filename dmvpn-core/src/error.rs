//! Why a packet was not taken in, or did not go out.

use core::net::IpAddr;

use thiserror::Error;

use crate::{PeerId, TunnelId};

/// Why a packet from the underlay changed nothing (contract rule 5). Counters and the trace ring
/// know of it.
///
/// What an authentic ESP packet carried may be discarded too; its security association has then
/// counted it as received, as RFC 4303 §3.4.3 demands of the replay window.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Discard {
    /// ISAKMP did not accept it.
    #[error("isakmp: {0}")]
    Isakmp(#[from] dmvpn_isakmp::Discard),
    /// ESP did not accept it.
    #[error("esp: {0}")]
    Esp(#[from] dmvpn_esp::OpenError),
    /// GRE did not accept it.
    #[error("gre: {0}")]
    Gre(#[from] dmvpn_gre::Discard),
    /// NHRP did not accept it.
    #[error("nhrp: {0}")]
    Nhrp(#[from] dmvpn_nhrp::Discard),
    /// A datagram on the NAT traversal port that is neither ESP nor ISAKMP nor a keepalive.
    #[error("nothing of RFC 3948 on the nat traversal port")]
    NotUdpEncapsulated,
    /// An ESP packet too short for an SPI.
    #[error("esp packet of {have} octets is too short")]
    TooShort {
        /// Its length.
        have: usize,
    },
    /// No inbound security association has this SPI ("invalid sa (rcv)").
    #[error("no security association with spi {spi:#010x}")]
    UnknownSpi {
        /// The unknown index.
        spi: u32,
    },
    /// A security association carried what is not its traffic ("invalid identity (rcv)",
    /// RFC 4301 §5.2 step 4).
    #[error("security association carried protocol {protocol}, which is not its traffic")]
    WrongTraffic {
        /// The protocol found inside.
        protocol: u8,
    },
    /// GRE in clear for a tunnel that is protected.
    #[error("gre from {remote} in clear on {tunnel}, which is protected")]
    Unprotected {
        /// The tunnel.
        tunnel: TunnelId,
        /// The sender.
        remote: IpAddr,
    },
    /// No tunnel has this address and key.
    #[error("no tunnel at {local} with key {key:?}")]
    NoTunnel {
        /// The packet's destination.
        local: IpAddr,
        /// Its GRE key.
        key: Option<u32>,
    },
    /// The tunnel is shut down.
    #[error("{0} is down")]
    InterfaceDown(TunnelId),
    /// GRE carried a protocol that is not forwarded here.
    #[error("gre carried protocol {protocol:#06x}")]
    Protocol {
        /// The protocol type.
        protocol: u16,
    },
    /// GRE says that it carries IP, and what follows is shorter than an IP header or of the other
    /// version.
    #[error("gre carried {length} octets that are no packet of protocol {protocol:#06x}")]
    NotIp {
        /// The protocol type.
        protocol: u16,
        /// How many octets followed the GRE header.
        length: usize,
    },
    /// The outer packet was marked "congestion experienced", the inner one cannot carry the mark
    /// (RFC 6040 §4.2).
    #[error("congestion mark on a packet that cannot carry it")]
    Congestion,
    /// An ICMP error quotes a packet that no association of ours would have sent.
    #[error("icmp error about a packet to {remote} that was not ours")]
    NotOurPacket {
        /// Where the packet is said to have gone.
        remote: core::net::SocketAddr,
    },
    /// An ICMP error names an MTU that is no smaller than the path MTU already is.
    #[error("icmp error about an mtu of {mtu} on a path of {path_mtu}")]
    NotSmaller {
        /// The MTU named, or the least that is believed.
        mtu: u16,
        /// The path MTU.
        path_mtu: u16,
    },
    /// Data from an address that no next hop resolution brought, on a multipoint tunnel without
    /// protection; or anything from our own.
    #[error("gre data from {remote}, which is no peer of {tunnel}")]
    UnknownPeer {
        /// The tunnel.
        tunnel: TunnelId,
        /// The sender.
        remote: IpAddr,
    },
}

/// Why a packet did not go out. Each is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SendError {
    /// There is no such tunnel.
    #[error("{0} does not exist")]
    NoTunnel(TunnelId),
    /// The tunnel's line protocol is down.
    #[error("{0} is down")]
    InterfaceDown(TunnelId),
    /// NHRP knows no NBMA address for the next hop.
    #[error("no nbma address known for next hop {0}")]
    Unresolved(IpAddr),
    /// There is no such peer.
    #[error("no such peer: {0:?}")]
    NoPeer(PeerId),
    /// No security association yet: the packet is dropped, never sent in clear, and a negotiation
    /// is under way ("no sa (send)").
    #[error("no security association with the peer yet")]
    NoSecurityAssociation,
    /// The packet is larger than the tunnel takes. The caller may fragment it inside, or answer
    /// with ICMP.
    #[error("packet of {length} octets is larger than the mtu of {mtu}")]
    TooBig {
        /// Its length.
        length: usize,
        /// The most that would go, in octets.
        mtu: u16,
    },
    /// Neither IPv4 nor IPv6.
    #[error("packet is neither ipv4 nor ipv6")]
    NotIp,
    /// The buffer has too little room around the packet.
    #[error("buffer needs {headroom} octets in front and {tailroom} behind the packet")]
    BufferTooSmall {
        /// Octets needed in front.
        headroom: usize,
        /// Octets needed behind.
        tailroom: usize,
    },
    /// ESP refused: the sequence numbers or the lifetime are used up, for example.
    #[error("esp: {0}")]
    Esp(#[from] dmvpn_esp::SealError),
}
