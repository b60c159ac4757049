/// The IP checksum of `octets` (RFC 2332 §5.1): over a packet whose checksum field is zero, what
/// belongs there; over one whose field is filled, zero if it is right. An odd octet at the end
/// counts as the first of a pair.
#[must_use]
pub fn checksum(octets: &[u8]) -> u16 {
    let mut sum = 0_u32;
    for pair in octets.chunks(2) {
        let word = match pair {
            [high, low] => u16::from_be_bytes([*high, *low]),
            [high] => u16::from_be_bytes([*high, 0]),
            _ => 0,
        };
        // A packet has at most 2^15 words: the sum cannot reach 2^32, and folding at each step
        // keeps that true for any input.
        sum = sum.wrapping_add(u32::from(word));
        sum = (sum & 0xffff).wrapping_add(sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::checksum;

    /// The example of RFC 1071 §3: the sum of these words is ddf2.
    #[test]
    fn the_example_of_rfc_1071() {
        assert_eq!(checksum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), !0xddf2);
    }

    #[test]
    fn an_odd_octet_is_padded_on_the_right() {
        assert_eq!(checksum(&[0x12, 0x34, 0x56]), checksum(&[0x12, 0x34, 0x56, 0x00]));
        assert_eq!(checksum(&[]), 0xffff);
    }

    #[test]
    fn carries_fold() {
        assert_eq!(checksum(&[0xff; 65536]), 0);
    }
}
