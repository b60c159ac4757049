//! The traffic class octet of tunnelled packets: DSCP by RFC 2983, ECN by RFC 6040.

use crate::mtu::updated_checksum;

/// The class of control traffic, as IOS marks its own: DSCP CS6, "internetwork control".
pub const CONTROL: u8 = 0xc0;

const ECN: u8 = 0b11;
const NOT_ECT: u8 = 0b00;
const CE: u8 = 0b11;

/// The traffic class (IPv6) or type of service (IPv4) octet of `packet`; 0 if it is neither.
///
/// The outer header takes it over whole: the DSCP in the uniform model (RFC 2983 §3.1), the ECN
/// field in normal mode (RFC 6040 §4.1).
#[must_use]
pub fn of(packet: &[u8]) -> u8 {
    match packet {
        [first, second, ..] if first >> 4 == 4 => *second,
        [first, second, ..] if first >> 4 == 6 => (first << 4) | (second >> 4),
        _ => 0,
    }
}

/// The outer packet was marked "congestion experienced", the inner one cannot carry the mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CongestionNotCarried;

/// Brings the congestion mark of the outer header into the inner packet (RFC 6040 §4.2).
///
/// The DSCP stays the inner one (RFC 2983 §3.1, pipe model at the egress), as on IOS.
pub(crate) fn propagate_congestion(
    outer: u8,
    packet: &mut [u8],
) -> Result<(), CongestionNotCarried> {
    let inner = of(packet);
    if outer & ECN != CE || inner & ECN == CE {
        return Ok(());
    }
    if inner & ECN == NOT_ECT {
        return Err(CongestionNotCarried);
    }
    match packet {
        [first, second, rest @ ..] if *first >> 4 == 4 => {
            let before = u16::from_be_bytes([*first, *second]);
            *second |= CE;
            let after = u16::from_be_bytes([*first, *second]);
            // The header checksum lies at octets 10 and 11.
            if let Some(checksum) = rest.get_mut(8..10)
                && let &mut [high, low] = checksum
            {
                let old = u16::from_be_bytes([high, low]);
                checksum.copy_from_slice(&updated_checksum(old, before, after).to_be_bytes());
            }
        }
        [_, second, ..] => *second |= CE << 4,
        _ => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6040 §4.2, figure 4, the rows that change something.
    #[test]
    fn congestion_follows_the_table() {
        let with_ecn = |ecn: u8| {
            let mut packet = [0_u8; 20];
            packet[0] = 0x45;
            packet[1] = 0xb8 | ecn;
            packet
        };
        for (outer, inner, expected) in [
            (0b11, 0b10, Ok(0b11)),
            (0b11, 0b01, Ok(0b11)),
            (0b11, 0b11, Ok(0b11)),
            (0b11, 0b00, Err(CongestionNotCarried)),
            (0b10, 0b00, Ok(0b00)),
            (0b00, 0b10, Ok(0b10)),
            (0b01, 0b11, Ok(0b11)),
        ] {
            let mut packet = with_ecn(inner);
            let result = propagate_congestion(outer, &mut packet).map(|()| of(&packet) & 0b11);
            assert_eq!(result, expected, "outer {outer:02b}, inner {inner:02b}");
            assert_eq!(of(&packet) >> 2, 0xb8 >> 2);
        }
    }

    #[test]
    fn the_ipv4_header_checksum_stays_right() {
        // 45 02 0054 …: a valid header, its checksum computed by hand in the test.
        let mut header: [u8; 20] =
            [0x45, 0x02, 0, 0x54, 0, 0, 0x40, 0, 64, 1, 0, 0, 10, 1, 1, 1, 10, 1, 1, 254];
        let sum = |header: &[u8]| {
            let mut sum: u32 =
                header.chunks(2).map(|word| u32::from(word[0]) << 8 | u32::from(word[1])).sum();
            while sum > 0xffff {
                sum = (sum & 0xffff) + (sum >> 16);
            }
            !(sum as u16)
        };
        let checksum = sum(&header);
        header[10..12].copy_from_slice(&checksum.to_be_bytes());
        propagate_congestion(0b11, &mut header).expect("ECT carries the mark");
        assert_eq!(of(&header), 0x03);
        assert_eq!(sum(&header), 0);
    }

    #[test]
    fn ipv6_class_straddles_the_first_octets() {
        let mut packet = [0_u8; 40];
        packet[0] = 0x6b;
        packet[1] = 0x90;
        assert_eq!(of(&packet), 0xb9);
        propagate_congestion(0b11, &mut packet).expect("ECT carries the mark");
        assert_eq!(of(&packet), 0xbb);
        assert_eq!(of(&[]), 0);
        assert_eq!(of(&[0x45]), 0);
    }
}
