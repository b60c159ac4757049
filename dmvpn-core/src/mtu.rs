//! Sizes: the MTU that IOS announces for a protected tunnel, and `ip tcp adjust-mss`.

use core::ops::Range;

/// The path MTU assumed until something says otherwise: Ethernet's.
pub const DEFAULT_PATH_MTU: u16 = 1500;

/// The MTU that IOS announces for GRE inside ESP transport mode ("Got MTU message mtu 1458").
///
/// IOS counts the outer IPv4 header (20), the ESP header (8), an initialisation vector of 16 octets
/// whatever the cipher, and the integrity check value; rounds what is left down to the cipher's
/// block; takes off pad length and next header (2) and gives the IPv4 header back, because in
/// transport mode it is not repeated. What really fits may be more: a 3DES packet carries an IV of
/// 8, so 1466 octets fit where 1458 are announced, and are accepted.
///
/// `block` is the cipher's block length and `icv` the length of the integrity check value, both in
/// octets; `udp` says whether RFC 3948 encapsulation takes another 8.
#[must_use]
pub fn announced_mtu(path_mtu: u16, block: usize, icv: usize, udp: bool) -> u16 {
    const IPV4: usize = 20;
    const ESP: usize = 8;
    const ASSUMED_IV: usize = 16;
    const TRAILER: usize = 2;
    const UDP: usize = 8;

    let overhead = IPV4
        .saturating_add(ESP)
        .saturating_add(ASSUMED_IV)
        .saturating_add(icv)
        .saturating_add(if udp { UDP } else { 0 });
    let room = usize::from(path_mtu).saturating_sub(overhead);
    let blocks = room.saturating_sub(room.checked_rem(block).unwrap_or(0));
    let mtu = blocks.saturating_sub(TRAILER).saturating_add(IPV4);
    u16::try_from(mtu).unwrap_or(u16::MAX)
}

/// Lowers the maximum segment size of a TCP SYN to `mss` octets (`ip tcp adjust-mss`), in place.
///
/// Everything that is not an unfragmented TCP SYN over IPv4 or IPv6 with a larger MSS option passes
/// unchanged, malformed packets included: they are for their receiver to judge. Returns whether the
/// option was changed.
pub fn adjust_mss(packet: &mut [u8], mss: u16) -> bool {
    let Some(tcp) = tcp_segment(packet).and_then(|range| packet.get_mut(range)) else {
        return false;
    };
    let Some(option) = mss_option(tcp) else { return false };
    let Some(&[high, low]) = tcp.get(option.clone()) else { return false };
    let before = u16::from_be_bytes([high, low]);
    if before <= mss {
        return false;
    }
    if let Some(value) = tcp.get_mut(option.clone()) {
        value.copy_from_slice(&mss.to_be_bytes());
    }
    // An option that starts at an odd offset straddles two words of the checksum; swapping the
    // octets of both values accounts for it (RFC 1071 §2 B).
    let odd = !option.start.is_multiple_of(2);
    let swap = |word: u16| if odd { word.swap_bytes() } else { word };
    if let Some(checksum) = tcp.get_mut(16..18) {
        let old = u16::from_be_bytes([
            checksum.first().copied().unwrap_or_default(),
            checksum.get(1).copied().unwrap_or_default(),
        ]);
        checksum.copy_from_slice(&updated_checksum(old, swap(before), swap(mss)).to_be_bytes());
    }
    true
}

/// Where the TCP segment lies, if the packet is IPv4 or IPv6 and starts one.
fn tcp_segment(packet: &[u8]) -> Option<Range<usize>> {
    const TCP: u8 = 6;
    let first = *packet.first()?;
    match first >> 4 {
        4 => {
            let header = usize::from(first & 0x0f).checked_mul(4)?;
            let fragment = u16::from_be_bytes([*packet.get(6)?, *packet.get(7)?]) & 0x1fff;
            (header >= 20 && fragment == 0 && *packet.get(9)? == TCP)
                .then_some(header..packet.len())
        }
        6 => {
            let mut next = *packet.get(6)?;
            let mut at = 40_usize;
            // Hop-by-hop, routing and destination options (RFC 8200 §4); each takes at least 8
            // octets, so the walk ends with the packet.
            while matches!(next, 0 | 43 | 60) {
                next = *packet.get(at)?;
                let units = usize::from(*packet.get(at.checked_add(1)?)?).checked_add(1)?;
                at = at.checked_add(units.checked_mul(8)?)?;
            }
            (next == TCP).then_some(at..packet.len())
        }
        _ => None,
    }
}

/// Where the value of the MSS option lies in a TCP SYN.
fn mss_option(tcp: &[u8]) -> Option<Range<usize>> {
    const SYN: u8 = 0x02;
    const END: u8 = 0;
    const NO_OPERATION: u8 = 1;
    const MAXIMUM_SEGMENT_SIZE: u8 = 2;

    if tcp.get(13)? & SYN == 0 {
        return None;
    }
    let header = usize::from(tcp.get(12)? >> 4).checked_mul(4)?;
    let options = tcp.get(..header)?;
    let mut at = 20_usize;
    loop {
        match *options.get(at)? {
            END => return None,
            NO_OPERATION => at = at.checked_add(1)?,
            kind => {
                let length = usize::from(*options.get(at.checked_add(1)?)?);
                if length < 2 {
                    return None;
                }
                let end = at.checked_add(length)?;
                if kind == MAXIMUM_SEGMENT_SIZE && length == 4 && end <= header {
                    return Some(at.checked_add(2)?..end);
                }
                at = end;
            }
        }
    }
}

/// RFC 1624 §3, equation 3: `HC' = ~(~HC + ~m + m')`.
pub(crate) fn updated_checksum(checksum: u16, before: u16, after: u16) -> u16 {
    let sum = u32::from(!checksum).wrapping_add(u32::from(!before)).wrapping_add(u32::from(after));
    let folded = (sum & 0xffff).wrapping_add(sum >> 16);
    let folded = (folded & 0xffff).wrapping_add(folded >> 16);
    !u16::try_from(folded).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn announces_what_the_guide_prints() {
        // 3DES with HMAC-SHA1-96 over Ethernet: "Got MTU message mtu 1458".
        assert_eq!(announced_mtu(1500, 8, 12, false), 1458);
        assert_eq!(announced_mtu(1500, 8, 12, true), 1450);
        assert_eq!(announced_mtu(0, 8, 12, false), 20);
        assert_eq!(announced_mtu(1500, 0, 12, false), 1462);
    }

    fn internet_checksum(parts: &[&[u8]]) -> u16 {
        let mut sum = 0_u32;
        for part in parts {
            for word in part.chunks(2) {
                sum += u32::from(word[0]) << 8 | u32::from(word.get(1).copied().unwrap_or(0));
            }
        }
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        !(sum as u16)
    }

    /// A TCP segment with `options`, its checksum over the IPv4 pseudo header in place.
    fn ipv4_tcp(flags: u8, options: &[u8]) -> Vec<u8> {
        let header = 20 + options.len();
        let mut packet = alloc::vec![0_u8; 20 + header];
        packet[0] = 0x45;
        packet[9] = 6;
        packet[12..16].copy_from_slice(&[10, 1, 1, 1]);
        packet[16..20].copy_from_slice(&[10, 1, 1, 254]);
        packet[20 + 12] = ((header / 4) as u8) << 4;
        packet[20 + 13] = flags;
        packet[40..].copy_from_slice(options);
        let checksum = tcp_checksum(&packet);
        packet[36..38].copy_from_slice(&checksum.to_be_bytes());
        packet
    }

    fn tcp_checksum(packet: &[u8]) -> u16 {
        let length = ((packet.len() - 20) as u16).to_be_bytes();
        internet_checksum(&[&packet[12..20], &[0, 6], &length, &packet[20..]])
    }

    #[test]
    fn lowers_the_mss_of_a_syn_and_keeps_the_checksum_right() {
        let mut packet = ipv4_tcp(0x02, &[2, 4, 0x05, 0xb4]);
        assert!(adjust_mss(&mut packet, 1360));
        assert_eq!(packet[42..44], 1360_u16.to_be_bytes());
        assert_eq!(tcp_checksum(&packet), 0);
    }

    #[test]
    fn an_option_at_an_odd_offset_keeps_the_checksum_right() {
        let mut packet = ipv4_tcp(0x12, &[1, 2, 4, 0x05, 0xb4, 1, 1, 0]);
        assert!(adjust_mss(&mut packet, 1360));
        assert_eq!(packet[43..45], 1360_u16.to_be_bytes());
        assert_eq!(tcp_checksum(&packet), 0);
    }

    #[test]
    fn lowers_the_mss_behind_ipv6_extension_headers() {
        let tcp = &ipv4_tcp(0x02, &[2, 4, 0xff, 0xff])[20..];
        let mut packet = alloc::vec![0_u8; 40];
        packet[0] = 0x60;
        packet[6] = 60;
        packet.extend_from_slice(&[6, 0, 1, 4, 0, 0, 0, 0]);
        packet.extend_from_slice(tcp);
        assert!(adjust_mss(&mut packet, 1220));
        assert_eq!(packet[70..72], 1220_u16.to_be_bytes());
    }

    #[test]
    fn leaves_everything_else_alone() {
        let larger = [2, 4, 0x05, 0xb4];
        let mut not_syn = ipv4_tcp(0x10, &larger);
        let mut smaller = ipv4_tcp(0x02, &[2, 4, 0x02, 0x18]);
        let mut fragment = ipv4_tcp(0x02, &larger);
        fragment[7] = 1;
        let mut udp = ipv4_tcp(0x02, &larger);
        udp[9] = 17;
        let mut loops = ipv4_tcp(0x02, &[3, 0, 3, 0]);
        for packet in [&mut not_syn, &mut smaller, &mut fragment, &mut udp, &mut loops] {
            let before = packet.clone();
            assert!(!adjust_mss(packet, 1360));
            assert_eq!(*packet, before);
        }
    }

    #[test]
    fn a_packet_cut_anywhere_is_left_alone_or_lowered() {
        let whole = ipv4_tcp(0x02, &[2, 4, 0x05, 0xb4]);
        for length in 0..whole.len() {
            let mut cut = whole[..length].to_vec();
            assert!(!adjust_mss(&mut cut, 1360), "cut to {length}");
            assert_eq!(cut, whole[..length]);
        }
    }
}
