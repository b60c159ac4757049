//! Padding, pad length and next header: the end of the plaintext (RFC 4303 §2.4 to §2.6).

use super::NextHeader;
use crate::error::OpenError;

/// Pad length and next header, in bytes.
pub(crate) const LEN: usize = 2;

/// Fills `trailer` with padding of `trailer.len() - 2` bytes, its length and `next_header`. The
/// caller computed that length from the block size, which is far below 255.
pub(crate) fn write(trailer: &mut [u8], next_header: NextHeader) {
    if let Some((padding, tail)) = trailer.split_last_chunk_mut::<LEN>() {
        // RFC 4303 §2.4: 1, 2, 3, ...
        let mut last = 0_u8;
        for byte in padding {
            last = last.wrapping_add(1);
            *byte = last;
        }
        *tail = [last, next_header.0];
    }
}

/// What [`read`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Trailer {
    pub(crate) next_header: NextHeader,
    /// Bytes of payload data in front of the padding, TFC padding included.
    pub(crate) payload_len: usize,
    /// Whether the padding is other than 1, 2, 3, ...
    pub(crate) odd_padding: bool,
}

/// Reads the trailer of a whole, authenticated `plaintext`.
pub(crate) fn read(plaintext: &[u8]) -> Result<Trailer, OpenError> {
    let have = plaintext.len();
    let Some((rest, [pad_length, next_header])) = plaintext.split_last_chunk::<LEN>() else {
        return Err(OpenError::PadLength { pad_length: 0, have });
    };
    let next_header = NextHeader(*next_header);
    // RFC 4303 §2.6: of a dummy packet nothing but the next header need be well-formed.
    if next_header == NextHeader::NONE {
        return Ok(Trailer { next_header, payload_len: rest.len(), odd_padding: false });
    }
    let split = rest.len().checked_sub(usize::from(*pad_length));
    let Some((payload, padding)) = split.and_then(|at| rest.split_at_checked(at)) else {
        return Err(OpenError::PadLength { pad_length: *pad_length, have });
    };
    let odd_padding = padding.iter().zip(1..=u8::MAX).any(|(byte, expected)| *byte != expected);
    Ok(Trailer { next_header, payload_len: payload.len(), odd_padding })
}

#[cfg(test)]
mod tests {
    use super::{LEN, read, write};
    use crate::{NextHeader, OpenError};
    use alloc::vec;
    use alloc::vec::Vec;

    #[test]
    fn written_is_read() {
        for padding in 0..=255 {
            let mut plaintext = vec![0xaa; 3 + padding + LEN];
            write(&mut plaintext[3..], NextHeader::GRE);
            let trailer = read(&plaintext).unwrap();
            assert_eq!((trailer.payload_len, trailer.odd_padding), (3, false), "{padding}");
            assert_eq!(trailer.next_header, NextHeader::GRE);
            if padding > 0 {
                plaintext[2 + padding] ^= 1;
                assert!(read(&plaintext).unwrap().odd_padding);
            }
        }
    }

    #[test]
    fn pad_length_beyond_the_plaintext() {
        let mut plaintext: Vec<u8> = (1..=14).collect();
        plaintext.extend([15, 47]);
        assert_eq!(read(&plaintext), Err(OpenError::PadLength { pad_length: 15, have: 16 }));
        assert_eq!(read(&[47]), Err(OpenError::PadLength { pad_length: 0, have: 1 }));
    }

    #[test]
    fn a_dummy_need_not_be_well_formed() {
        assert_eq!(read(&[9, 9, 255, 59]).unwrap().next_header, NextHeader::NONE);
    }
}
