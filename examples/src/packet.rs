//! IPv4 packets, outside and inside the tunnel: what carries UDP, ESP or GRE over the lab's wire,
//! and the pings and hellos that go through it.

use core::net::Ipv4Addr;

use etherparse::{
    Icmpv4Header, Icmpv4Type, IpDscp, IpEcn, IpNumber, Ipv4Header, Ipv4HeaderSlice, UdpHeader,
};
use thiserror::Error;

/// DSCP CS6: what routers mark their own control traffic with.
pub const CONTROL_TRAFFIC_CLASS: u8 = 0xc0;

/// What an IPv4 packet carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carried {
    /// A UDP datagram.
    Udp {
        /// The source port.
        source: u16,
        /// The destination port.
        destination: u16,
    },
    /// Another protocol by its number, 47 being GRE and 50 ESP.
    Protocol(u8),
}

/// An IPv4 packet without options that is not a fragment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet<'a> {
    /// Where from.
    pub source: Ipv4Addr,
    /// Where to.
    pub destination: Ipv4Addr,
    /// What `payload` is.
    pub carried: Carried,
    /// The octet once called type of service.
    pub traffic_class: u8,
    /// 255 when a router sends it.
    pub time_to_live: u8,
    /// The DF bit.
    pub dont_fragment: bool,
    /// The identification field.
    pub identification: u16,
    /// What comes after the IPv4 header, or after the UDP header.
    pub payload: &'a [u8],
}

/// Why octets are not such a packet, or one cannot be built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PacketError {
    /// Not an IPv4 header, or fewer octets than it says.
    #[error("not a whole IPv4 packet")]
    NotIpv4,
    /// The IPv4 header has options.
    #[error("IPv4 options are not offered")]
    Options,
    /// One piece of a fragmented packet.
    #[error("a fragment")]
    Fragment,
    /// The UDP header is cut off, or its length is not the packet's.
    #[error("not a whole UDP datagram")]
    NotUdp,
    /// A checksum does not hold.
    #[error("wrong {0} checksum")]
    Checksum(&'static str),
    /// More than IPv4 can carry.
    #[error("{0} octets of payload are too many")]
    TooLong(usize),
}

const UDP_HEADER: usize = 8;

impl<'a> Packet<'a> {
    /// Reads a packet, checking the checksums of IPv4 and UDP.
    ///
    /// # Errors
    ///
    /// [`PacketError`], all but `TooLong`.
    pub fn parse(octets: &'a [u8]) -> Result<Self, PacketError> {
        let header = Ipv4HeaderSlice::from_slice(octets).map_err(|_| PacketError::NotIpv4)?;
        let header = header.to_header();
        if !header.options.is_empty() {
            return Err(PacketError::Options);
        }
        if header.calc_header_checksum() != header.header_checksum {
            return Err(PacketError::Checksum("IPv4"));
        }
        if header.is_fragmenting_payload() {
            return Err(PacketError::Fragment);
        }
        let body = octets.get(header.header_len()..usize::from(header.total_len));
        let body = body.ok_or(PacketError::NotIpv4)?;
        let (carried, payload) = match header.protocol {
            IpNumber::UDP => {
                let (udp, payload) =
                    UdpHeader::from_slice(body).map_err(|_| PacketError::NotUdp)?;
                if usize::from(udp.length) != body.len() {
                    return Err(PacketError::NotUdp);
                }
                // 0 is a sender that computes none (RFC 768).
                let expected = udp.calc_checksum_ipv4(&header, payload);
                if udp.checksum != 0 && expected != Ok(udp.checksum) {
                    return Err(PacketError::Checksum("UDP"));
                }
                let (source, destination) = (udp.source_port, udp.destination_port);
                (Carried::Udp { source, destination }, payload)
            }
            IpNumber(other) => (Carried::Protocol(other), body),
        };
        Ok(Self {
            source: header.source.into(),
            destination: header.destination.into(),
            carried,
            traffic_class: header.dscp.value() << 2 | header.ecn.value(),
            time_to_live: header.time_to_live,
            dont_fragment: header.dont_fragment,
            identification: header.identification,
            payload,
        })
    }

    /// Builds the packet, with its checksums.
    ///
    /// # Errors
    ///
    /// [`PacketError::TooLong`].
    pub fn encode(&self) -> Result<Vec<u8>, PacketError> {
        let too_long = |_| PacketError::TooLong(self.payload.len());
        let (protocol, udp_len) = match self.carried {
            Carried::Udp { .. } => (IpNumber::UDP, UDP_HEADER),
            Carried::Protocol(number) => (IpNumber(number), 0),
        };
        let length = self.payload.len().saturating_add(udp_len);
        let length = u16::try_from(length).map_err(|_| PacketError::TooLong(length))?;
        let (source, destination) = (self.source.octets(), self.destination.octets());
        let mut header = Ipv4Header::new(length, self.time_to_live, protocol, source, destination)
            .map_err(|error| PacketError::TooLong(error.actual.into()))?;
        // Six bits and two bits: neither can be too large.
        header.dscp = IpDscp::try_new(self.traffic_class >> 2).unwrap_or_default();
        header.ecn = IpEcn::try_new(self.traffic_class & 3).unwrap_or_default();
        header.dont_fragment = self.dont_fragment;
        header.identification = self.identification;
        header.header_checksum = header.calc_header_checksum();
        let mut octets = header.to_bytes().to_vec();
        if let Carried::Udp { source, destination } = self.carried {
            let udp = UdpHeader::with_ipv4_checksum(source, destination, &header, self.payload);
            octets.extend(udp.map_err(too_long)?.to_bytes());
        }
        octets.extend(self.payload);
        Ok(octets)
    }
}

/// An ICMP echo message: what a ping sends and a router's loopback answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Echo<'a> {
    /// Who sends it.
    pub source: Ipv4Addr,
    /// Who gets it.
    pub destination: Ipv4Addr,
    /// A request, or the reply to one.
    pub request: bool,
    /// Which ping.
    pub identifier: u16,
    /// Which packet of the ping.
    pub sequence: u16,
    /// What comes back as it went.
    pub data: &'a [u8],
}

impl<'a> Echo<'a> {
    const ICMP: Carried = Carried::Protocol(1);

    /// The echo message that an IPv4 packet is; `None` for any other packet, or a wrong checksum.
    #[must_use]
    pub fn parse(octets: &'a [u8]) -> Option<Self> {
        let packet = Packet::parse(octets).ok().filter(|packet| packet.carried == Self::ICMP)?;
        let (icmp, data) = Icmpv4Header::from_slice(packet.payload).ok()?;
        let (request, echo) = if let Icmpv4Type::EchoRequest(echo) = icmp.icmp_type {
            (true, echo)
        } else if let Icmpv4Type::EchoReply(echo) = icmp.icmp_type {
            (false, echo)
        } else {
            return None;
        };
        if icmp.icmp_type.calc_checksum(data) != icmp.checksum {
            return None;
        }
        Some(Self {
            source: packet.source,
            destination: packet.destination,
            request,
            identifier: echo.id,
            sequence: echo.seq,
            data,
        })
    }

    /// The IPv4 packet of this message.
    ///
    /// # Errors
    ///
    /// [`PacketError::TooLong`].
    pub fn encode(&self) -> Result<Vec<u8>, PacketError> {
        let echo = etherparse::IcmpEchoHeader { id: self.identifier, seq: self.sequence };
        let icmp_type =
            if self.request { Icmpv4Type::EchoRequest(echo) } else { Icmpv4Type::EchoReply(echo) };
        let header = Icmpv4Header::with_checksum(icmp_type, self.data).to_bytes();
        Packet {
            source: self.source,
            destination: self.destination,
            carried: Self::ICMP,
            traffic_class: 0,
            time_to_live: 255,
            dont_fragment: false,
            identification: self.sequence,
            payload: &[&header[..], self.data].concat(),
        }
        .encode()
    }

    /// What the owner of the destination answers; `None` to what is no request.
    #[must_use]
    pub fn reply(&self) -> Option<Self> {
        self.request.then_some(Self {
            source: self.destination,
            destination: self.source,
            request: false,
            ..self.clone()
        })
    }
}

/// The group of all EIGRP routers.
pub const EIGRP_ROUTERS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 10);

/// An EIGRP hello to all EIGRP routers, as a router sends it every five seconds (RFC 7868 §6.3):
/// here only a multicast packet that any sniffer names, no routing stands behind it.
#[must_use]
pub fn eigrp_hello(source: Ipv4Addr, autonomous_system: u16) -> Vec<u8> {
    const EIGRP: u8 = 88;
    let [high, low] = autonomous_system.to_be_bytes();
    let mut hello = vec![
        2, 5, 0, 0, // version 2, hello, checksum
        0, 0, 0, 0, // flags
        0, 0, 0, 0, // sequence
        0, 0, 0, 0, // acknowledgment
        0, 0, high, low, // virtual router 0, autonomous system
        0, 1, 0, 12, // parameters: K1 = K3 = 1, hold time 15 s
        1, 0, 1, 0, 0, 0, 0, 15, //
    ];
    let checksum = etherparse::checksum::Sum16BitWords::new().add_slice(&hello);
    let checksum = checksum.ones_complement().to_be().to_be_bytes();
    if let Some(field) = hello.get_mut(2..4) {
        field.copy_from_slice(&checksum);
    }
    let packet = Packet {
        source,
        destination: EIGRP_ROUTERS,
        carried: Carried::Protocol(EIGRP),
        traffic_class: CONTROL_TRAFFIC_CLASS,
        time_to_live: 2,
        dont_fragment: false,
        identification: 0,
        payload: &hello,
    };
    // 52 octets are never too many.
    packet.encode().unwrap_or_default()
}
