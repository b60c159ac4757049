//! The Internet checksum as GRE uses it (RFC 2784 §2.5).

/// One's complement of the one's complement sum of the 16-bit words of `parts`, read as one run of
/// bytes; an odd last byte is padded with zero on the right.
///
/// Over a packet whose checksum field is filled in and right, the result is 0.
pub(crate) fn internet_checksum(parts: [&[u8]; 2]) -> u16 {
    let mut sum: u64 = 0;
    let mut odd: Option<u8> = None;
    for part in parts {
        let mut rest = part;
        if let (Some(high), Some((low, tail))) = (odd, rest.split_first()) {
            sum = sum.wrapping_add(u64::from(u16::from_be_bytes([high, *low])));
            odd = None;
            rest = tail;
        }
        let (words, tail) = rest.as_chunks::<2>();
        for word in words {
            sum = sum.wrapping_add(u64::from(u16::from_be_bytes(*word)));
        }
        if let Some(high) = tail.first() {
            odd = Some(*high);
        }
    }
    if let Some(high) = odd {
        sum = sum.wrapping_add(u64::from(u16::from_be_bytes([high, 0])));
    }
    !fold(sum)
}

/// Adds the carries back in until 16 bits are left. A sum of 64 bits cannot overflow: that would
/// take 2^48 words.
fn fold(mut sum: u64) -> u16 {
    loop {
        match u16::try_from(sum) {
            Ok(folded) => return folded,
            Err(_) => sum = (sum & 0xffff).wrapping_add(sum >> 16),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::internet_checksum;
    use proptest::prelude::*;

    /// RFC 1071 §3: the words 0001 f203 f4f5 f6f7 sum to ddf2.
    #[test]
    fn rfc_1071_example() {
        let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(internet_checksum([&bytes, &[]]), !0xddf2);
    }

    proptest! {
        #[test]
        fn split_does_not_matter(
            bytes in proptest::collection::vec(any::<u8>(), 0..64), at in 0usize..64
        ) {
            let at = at.min(bytes.len());
            let (left, right) = bytes.split_at(at);
            prop_assert_eq!(internet_checksum([left, right]), internet_checksum([&bytes, &[]]));
        }
    }
}
