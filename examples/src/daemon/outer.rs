//! The header outside: IPv4, and UDP where there is one, in front of what the node wants sent.

use core::net::{IpAddr, SocketAddr};
use core::ops::Range;

use dmvpn_core::{Transport, Underlay};
use etherparse::{IpDscp, IpEcn, IpNumber, Ipv4Header, UdpHeader};

/// Octets that the header needs in front of a packet.
pub const HEADROOM: usize = Ipv4Header::MIN_LEN + UdpHeader::LEN;

/// What a router's own packets start with.
const TIME_TO_LIVE: u8 = 255;

/// Why no packet can be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OuterError {
    /// The underlay of the daemon is IPv4.
    #[error("{0} is no ipv4 address")]
    NotIpv4(IpAddr),
    /// More than IPv4 can carry.
    #[error("{0} octets are too many for a packet")]
    TooLong(usize),
    /// There is no room in front of the packet.
    #[error("no room for a header")]
    NoRoom,
}

/// Writes the header in front of `payload`, where [`HEADROOM`] octets are needed; where the packet
/// lies then.
///
/// # Errors
///
/// [`OuterError`]; nothing is written then.
pub fn write(
    underlay: &Underlay,
    identification: u16,
    buffer: &mut [u8],
    payload: Range<usize>,
) -> Result<Range<usize>, OuterError> {
    let length = payload.len();
    let (local, remote) = (underlay.local, underlay.remote);
    let (protocol, udp) = match underlay.transport {
        Transport::Isakmp | Transport::NatT => (IpNumber::UDP, UdpHeader::LEN),
        Transport::Esp => (IpNumber::ENCAPSULATING_SECURITY_PAYLOAD, 0),
        Transport::Gre => (IpNumber::GRE, 0),
    };
    let start = payload.start.checked_sub(Ipv4Header::MIN_LEN + udp).ok_or(OuterError::NoRoom)?;
    let body = u16::try_from(length + udp).map_err(|_| OuterError::TooLong(length))?;
    let (source, destination) = (ipv4(local)?, ipv4(remote)?);
    let mut ip = Ipv4Header::new(body, TIME_TO_LIVE, protocol, source, destination)
        .map_err(|_| OuterError::TooLong(length))?;
    // Six bits and two bits: neither can be too large.
    ip.dscp = IpDscp::try_new(underlay.traffic_class >> 2).unwrap_or_default();
    ip.ecn = IpEcn::try_new(underlay.traffic_class & 3).unwrap_or_default();
    ip.dont_fragment = underlay.dont_fragment;
    ip.identification = identification;
    ip.header_checksum = ip.calc_header_checksum();
    let octets = buffer.get(payload.clone()).ok_or(OuterError::NoRoom)?;
    let udp = (udp != 0).then(|| udp_header(&ip, underlay, octets)).transpose()?;
    let mut headers = buffer.get_mut(start..payload.start).unwrap_or_default().iter_mut();
    let udp = udp.iter().flat_map(UdpHeader::to_bytes);
    ip.to_bytes().into_iter().chain(udp).zip(&mut headers).for_each(|(octet, at)| *at = octet);
    Ok(start..payload.end)
}

fn udp_header(
    ip: &Ipv4Header,
    underlay: &Underlay,
    payload: &[u8],
) -> Result<UdpHeader, OuterError> {
    const NON_ESP_MARKER: [u8; 4] = [0; 4];
    let (source, destination) = (underlay.local.port(), underlay.remote.port());
    let too_long = |_| OuterError::TooLong(payload.len());
    if underlay.transport == Transport::NatT && !payload.starts_with(&NON_ESP_MARKER) {
        // RFC 3948 §2.1: ESP has its own integrity check, and the checksum should be none.
        let mut header = UdpHeader::without_ipv4_checksum(source, destination, payload.len())
            .map_err(too_long)?;
        header.checksum = 0;
        return Ok(header);
    }
    UdpHeader::with_ipv4_checksum(source, destination, ip, payload).map_err(too_long)
}

fn ipv4(address: SocketAddr) -> Result<[u8; 4], OuterError> {
    match address.ip() {
        IpAddr::V4(address) => Ok(address.octets()),
        other => Err(OuterError::NotIpv4(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{Carried, Packet};

    fn underlay(transport: Transport, port: u16) -> Underlay {
        let address = |last| SocketAddr::from(([172, 16, last, 1], port));
        let (local, remote) = (address(1), address(10));
        Underlay { transport, local, remote, traffic_class: 0xc2, dont_fragment: false }
    }

    #[test]
    fn the_lab_reads_what_is_written() {
        for (transport, port, carried) in [
            (Transport::Isakmp, 500, Carried::Udp { source: 500, destination: 500 }),
            (Transport::NatT, 4500, Carried::Udp { source: 4500, destination: 4500 }),
            (Transport::Esp, 0, Carried::Protocol(50)),
            (Transport::Gre, 0, Carried::Protocol(47)),
        ] {
            let mut buffer = vec![0xaa; HEADROOM];
            buffer.extend(b"payload");
            let range =
                write(&underlay(transport, port), 7, &mut buffer, HEADROOM..HEADROOM + 7).unwrap();
            let packet = Packet::parse(&buffer[range]).unwrap();
            assert_eq!(packet.carried, carried);
            assert_eq!(packet.payload, b"payload");
            assert_eq!((packet.traffic_class, packet.time_to_live), (0xc2, 255));
            assert_eq!(packet.source.octets(), [172, 16, 1, 1]);
            assert_eq!((packet.identification, packet.dont_fragment), (7, false));
        }
    }

    #[test]
    fn esp_in_udp_has_no_checksum_and_isakmp_has_one() {
        for (payload, some) in [(&[0, 0, 0, 0, 9][..], true), (&[1, 0, 0, 0, 9], false)] {
            let mut buffer = [&[0; HEADROOM][..], payload].concat();
            let range = HEADROOM..buffer.len();
            write(&underlay(Transport::NatT, 4500), 0, &mut buffer, range).unwrap();
            assert_eq!(buffer[26..28] != [0, 0], some);
        }
    }

    #[test]
    fn what_cannot_be_sent_is_refused() {
        let mut buffer = vec![0; 70_000];
        let udp = underlay(Transport::NatT, 4500);
        let refused = write(&udp, 0, &mut buffer, HEADROOM - 1..40);
        assert_eq!(refused, Err(OuterError::NoRoom));
        let refused = write(&udp, 0, &mut buffer, HEADROOM..HEADROOM + 65_508);
        assert_eq!(refused, Err(OuterError::TooLong(65_508)));
        let ipv6 = Underlay { remote: "[::1]:1".parse().unwrap(), ..udp };
        let refused = write(&ipv6, 0, &mut buffer, HEADROOM..HEADROOM + 1);
        assert!(matches!(refused, Err(OuterError::NotIpv4(_))));
    }
}
