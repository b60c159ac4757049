//! The IP header between ESP and GRE in tunnel mode (RFC 4303 §3.1.2).

use core::net::IpAddr;
use core::ops::Range;

use dmvpn_gre::ProtocolType;

/// The IP protocol number of GRE (RFC 2784 §3.1).
pub(crate) const GRE: u8 = 47;
const IPV4_LENGTH: usize = 20;
const IPV6_LENGTH: usize = 40;

/// Whether `packet` has a header of the IP version that GRE's protocol type names.
pub(crate) fn is_ip(protocol: ProtocolType, packet: &[u8]) -> bool {
    let (version, header) = match protocol {
        ProtocolType::IPV4 => (4, IPV4_LENGTH),
        ProtocolType::IPV6 => (6, IPV6_LENGTH),
        _ => return false,
    };
    packet.len() >= header && packet.first().is_some_and(|first| first >> 4 == version)
}

/// Octets that tunnel mode puts in front of GRE.
pub(crate) const fn header_len(address: IpAddr) -> usize {
    match address {
        IpAddr::V4(_) => IPV4_LENGTH,
        IpAddr::V6(_) => IPV6_LENGTH,
    }
}

/// Writes an IP header for GRE into `header`, which is [`header_len`] octets long.
///
/// Returns nothing written if the addresses are of different families or the room is wrong.
pub(crate) fn write_header(
    header: &mut [u8],
    source: IpAddr,
    destination: IpAddr,
    payload: usize,
    traffic_class: u8,
) -> Option<()> {
    match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let header: &mut [u8; IPV4_LENGTH] = header.try_into().ok()?;
            let length = u16::try_from(payload.checked_add(IPV4_LENGTH)?).ok()?;
            let [length_high, length_low] = length.to_be_bytes();
            let [s0, s1, s2, s3] = source.octets();
            let [d0, d1, d2, d3] = destination.octets();
            *header = [
                0x45,
                traffic_class,
                length_high,
                length_low, // version, class, total length
                0,
                0,
                0,
                0, // identification, flags, fragment offset
                255,
                GRE,
                0,
                0, // time to live, protocol, checksum
                s0,
                s1,
                s2,
                s3,
                d0,
                d1,
                d2,
                d3,
            ];
            let checksum = internet_checksum(header).to_be_bytes();
            header.get_mut(10..12)?.copy_from_slice(&checksum);
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            let header: &mut [u8; IPV6_LENGTH] = header.try_into().ok()?;
            let length = u16::try_from(payload).ok()?.to_be_bytes();
            header.fill(0);
            let (fixed, addresses) = header.split_at_mut_checked(8)?;
            fixed.copy_from_slice(&[
                0x60 | (traffic_class >> 4),
                traffic_class << 4,
                0,
                0,
                length[0],
                length[1],
                GRE,
                255,
            ]);
            let (first, second) = addresses.split_at_mut_checked(16)?;
            first.copy_from_slice(&source.octets());
            second.copy_from_slice(&destination.octets());
        }
        _ => return None,
    }
    Some(())
}

/// Where GRE lies in the IP packet `packet` of `buffer`, if it is a whole one from `source` to
/// `destination` that carries it.
pub(crate) fn gre_within(
    buffer: &[u8],
    packet: Range<usize>,
    source: IpAddr,
    destination: IpAddr,
) -> Option<Range<usize>> {
    let bytes = buffer.get(packet.clone())?;
    let (header, length, protocol) = match bytes.first()? >> 4 {
        4 => {
            let header = usize::from(bytes.first()? & 0x0f).checked_mul(4)?;
            let total = usize::from(u16::from_be_bytes([*bytes.get(2)?, *bytes.get(3)?]));
            let fragment = u16::from_be_bytes([*bytes.get(6)?, *bytes.get(7)?]) & 0x3fff;
            if header < IPV4_LENGTH || fragment != 0 {
                return None;
            }
            let from = <[u8; 4]>::try_from(bytes.get(12..16)?).ok()?;
            let to = <[u8; 4]>::try_from(bytes.get(16..20)?).ok()?;
            if IpAddr::from(from) != source || IpAddr::from(to) != destination {
                return None;
            }
            (header, total, *bytes.get(9)?)
        }
        6 => {
            let payload = usize::from(u16::from_be_bytes([*bytes.get(4)?, *bytes.get(5)?]));
            let from = <[u8; 16]>::try_from(bytes.get(8..24)?).ok()?;
            let to = <[u8; 16]>::try_from(bytes.get(24..40)?).ok()?;
            if IpAddr::from(from) != source || IpAddr::from(to) != destination {
                return None;
            }
            (IPV6_LENGTH, payload.checked_add(IPV6_LENGTH)?, *bytes.get(6)?)
        }
        _ => return None,
    };
    // Less than was opened is traffic flow confidentiality padding (RFC 4303 §2.7).
    if protocol != GRE || length > bytes.len() || header > length {
        return None;
    }
    Some(packet.start.checked_add(header)?..packet.start.checked_add(length)?)
}

fn internet_checksum(header: &[u8; IPV4_LENGTH]) -> u16 {
    let (words, _) = header.as_chunks::<2>();
    let sum = words
        .iter()
        .fold(0_u32, |sum, word| sum.wrapping_add(u32::from(u16::from_be_bytes(*word))));
    let folded = (sum & 0xffff).wrapping_add(sum >> 16);
    let folded = (folded & 0xffff).wrapping_add(folded >> 16);
    !u16::try_from(folded).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use alloc::vec::Vec;

    fn packet(source: &str, destination: &str) -> (IpAddr, IpAddr, Vec<u8>) {
        let source = source.parse().expect("an address");
        let destination = destination.parse().expect("an address");
        let length = header_len(source);
        let mut packet = vec![0xaa; length + 12];
        write_header(&mut packet[..length], source, destination, 12, 0xc0).expect("room");
        (source, destination, packet)
    }

    #[test]
    fn what_is_written_is_found_again() {
        for (from, to) in [("172.16.1.1", "172.16.10.1"), ("2001:db8::1", "2001:db8::2")] {
            let (source, destination, packet) = packet(from, to);
            let length = header_len(source);
            let whole = 0..packet.len();
            assert_eq!(crate::traffic_class::of(&packet), 0xc0);
            assert_eq!(
                gre_within(&packet, whole.clone(), source, destination),
                Some(length..packet.len())
            );
            assert_eq!(gre_within(&packet, whole, destination, source), None);
            for cut in 0..packet.len() {
                assert_eq!(gre_within(&packet, 0..cut, source, destination), None, "cut to {cut}");
            }
        }
    }

    #[test]
    fn padding_behind_the_packet_is_left_out() {
        let (source, destination, mut packet) = packet("10.0.0.1", "10.0.0.2");
        packet.extend_from_slice(&[0; 30]);
        assert_eq!(gre_within(&packet, 0..packet.len(), source, destination), Some(20..32));
    }

    #[test]
    fn the_ipv4_header_checksum_holds() {
        let (_, _, packet) = packet("172.16.1.1", "172.16.10.1");
        let header: [u8; 20] = packet[..20].try_into().expect("twenty octets");
        assert_eq!(internet_checksum(&header), 0);
    }
}
