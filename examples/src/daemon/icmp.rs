//! ICMP errors (RFC 792): those that a router sends about what it cannot forward, and those that
//! come back about the packets that the daemon sent.

use core::net::Ipv4Addr;

use etherparse::icmpv4::DestUnreachableHeader;
use etherparse::{Icmpv4Header, Icmpv4Type, IpNumber, Ipv4Header, Ipv4HeaderSlice};

use crate::packet::{CONTROL_TRAFFIC_CLASS, Carried, Packet};

/// How much of the offending packet comes back: what fits 576 octets (RFC 1812 §4.3.2.3).
const QUOTED: usize = 576 - 20 - 8;

/// Why a packet was not forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It may not be fragmented and is larger than this, in octets (RFC 1191 §4).
    FragmentationNeeded(u16),
    /// Nobody knows where the next hop is.
    HostUnreachable,
}

/// The ICMP error that `from` sends to the source of a packet; `None` if that packet earns none: an
/// ICMP error itself, multicast, not the first fragment (RFC 1812 §4.3.2.7).
#[must_use]
pub fn error(packet: &[u8], reason: Reason, from: Ipv4Addr) -> Option<Vec<u8>> {
    let header = Ipv4HeaderSlice::from_slice(packet).ok()?.to_header();
    let (source, destination) = (Ipv4Addr::from(header.source), Ipv4Addr::from(header.destination));
    let unfit = source.is_unspecified()
        || source.is_multicast()
        || source.is_broadcast()
        || destination.is_multicast()
        || destination.is_broadcast()
        || header.fragment_offset.value() != 0;
    if unfit || header.protocol == IpNumber::ICMP && is_icmp_error(packet, &header) {
        return None;
    }
    let quoted = packet.get(..packet.len().min(QUOTED))?;
    let unreachable = match reason {
        Reason::FragmentationNeeded(mtu) => {
            DestUnreachableHeader::FragmentationNeeded { next_hop_mtu: mtu }
        }
        Reason::HostUnreachable => DestUnreachableHeader::Host,
    };
    let icmp = Icmpv4Header::with_checksum(Icmpv4Type::DestinationUnreachable(unreachable), quoted);
    let packet = Packet {
        source: from,
        destination: source,
        carried: Carried::Protocol(1),
        traffic_class: CONTROL_TRAFFIC_CLASS,
        time_to_live: 255,
        dont_fragment: false,
        identification: 0,
        payload: &[&icmp.to_bytes()[..], quoted].concat(),
    };
    packet.encode().ok()
}

fn is_icmp_error(packet: &[u8], header: &Ipv4Header) -> bool {
    const ERRORS: [u8; 5] = [3, 4, 5, 11, 12];
    packet.get(header.header_len()).is_none_or(|kind| ERRORS.contains(kind))
}

/// A router on the way says that a packet of ours was too big.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooBig {
    /// The source of our packet.
    pub local: Ipv4Addr,
    /// Where it went.
    pub remote: Ipv4Addr,
    /// What it carried.
    pub protocol: u8,
    /// The first octets of that: the SPI of ESP, the ports of UDP.
    pub carried: [u8; 8],
    /// What fits, in octets.
    pub mtu: u16,
}

impl TooBig {
    /// Reads an IPv4 packet; `None` for any other than a whole "fragmentation needed" that says an
    /// MTU (RFC 1191 §4) and quotes eight octets of a packet of ours.
    #[must_use]
    pub fn parse(octets: &[u8]) -> Option<Self> {
        let packet = Packet::parse(octets).ok()?;
        if packet.carried != Carried::Protocol(1) {
            return None;
        }
        let (icmp, quoted) = Icmpv4Header::from_slice(packet.payload).ok()?;
        let Icmpv4Type::DestinationUnreachable(DestUnreachableHeader::FragmentationNeeded {
            next_hop_mtu,
        }) = icmp.icmp_type
        else {
            return None;
        };
        if icmp.icmp_type.calc_checksum(quoted) != icmp.checksum {
            return None;
        }
        // Cut short as it is, only its header can be read.
        let header = Ipv4HeaderSlice::from_slice(quoted).ok()?.to_header();
        let carried = quoted.get(header.header_len()..)?.first_chunk()?;
        // A router that is older than RFC 1191 says 0, and who asks for more than was sent lies.
        let plausible = next_hop_mtu >= 68 && next_hop_mtu < header.total_len;
        plausible.then_some(Self {
            local: header.source.into(),
            remote: header.destination.into(),
            protocol: header.protocol.0,
            carried: *carried,
            mtu: next_hop_mtu,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const US: Ipv4Addr = Ipv4Addr::new(172, 16, 1, 1);
    const PEER: Ipv4Addr = Ipv4Addr::new(172, 16, 10, 1);
    const ROUTER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

    fn packet(protocol: u8, payload: &[u8]) -> Vec<u8> {
        let carried = Carried::Protocol(protocol);
        let (source, destination) = (US, PEER);
        let (traffic_class, time_to_live, dont_fragment) = (0, 64, true);
        let identification = 0;
        Packet {
            source,
            destination,
            carried,
            traffic_class,
            time_to_live,
            dont_fragment,
            identification,
            payload,
        }
        .encode()
        .unwrap()
    }

    #[test]
    fn what_a_router_says_is_read() {
        let esp = packet(50, &[0x11; 1400]);
        let error = error(&esp, Reason::FragmentationNeeded(1300), ROUTER).unwrap();
        assert_eq!(error.len(), 576);
        // Type 3, code 4, the MTU in the last half of the second word.
        assert_eq!(error[20..22], [3, 4]);
        assert_eq!(error[26..28], 1300_u16.to_be_bytes());
        let expected =
            TooBig { local: US, remote: PEER, protocol: 50, carried: [0x11; 8], mtu: 1300 };
        assert_eq!(TooBig::parse(&error), Some(expected));
        for length in 0..error.len() {
            assert_eq!(TooBig::parse(&error[..length]), None);
        }
    }

    #[test]
    fn an_mtu_that_would_change_nothing_is_no_error() {
        let esp = packet(50, &[0x11; 1000]);
        for mtu in [0, 67, 1020, 1500] {
            let error = error(&esp, Reason::FragmentationNeeded(mtu), ROUTER).unwrap();
            assert_eq!(TooBig::parse(&error), None);
        }
        let host = error(&esp, Reason::HostUnreachable, ROUTER).unwrap();
        assert_eq!((&host[20..22], TooBig::parse(&host)), (&[3, 1][..], None));
    }

    #[test]
    fn no_error_about_an_error_or_a_group() {
        let reason = Reason::FragmentationNeeded(600);
        assert!(error(&packet(1, &[8, 0, 0, 0, 0, 0, 0, 0]), reason, ROUTER).is_some());
        for kind in [3, 11] {
            assert_eq!(error(&packet(1, &[kind, 0, 0, 0, 0, 0, 0, 0]), reason, ROUTER), None);
        }
        let mut group = packet(17, &[0; 700]);
        group[16..20].copy_from_slice(&[224, 0, 0, 10]);
        assert_eq!(error(&group, reason, ROUTER), None);
        assert_eq!(error(&[0x45; 8], reason, ROUTER), None);
    }

    proptest! {
        #[test]
        fn any_octets_are_survived(octets in prop::collection::vec(any::<u8>(), 0..120)) {
            let _either = TooBig::parse(&octets);
            let _either = error(&octets, Reason::HostUnreachable, ROUTER);
        }
    }
}
