//! Fragments of IPv4 packets (RFC 791 §3.2).

use etherparse::{IpFragOffset, Ipv4Header};

/// Why a packet stays whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FragmentError {
    /// Not an IPv4 header, or fewer octets than it says.
    #[error("not a whole ipv4 packet")]
    NotIpv4,
    /// The sender does not want it.
    #[error("the packet may not be fragmented")]
    DontFragment,
    /// Not even eight octets of payload fit.
    #[error("an mtu of {0} octets has no room for a fragment")]
    MtuTooSmall(u16),
}

/// The fragments of a packet, each of at most `mtu` octets; the packet itself if it fits.
///
/// # Errors
///
/// [`FragmentError`].
pub fn fragments(packet: &[u8], mtu: u16) -> Result<Vec<Vec<u8>>, FragmentError> {
    let (header, _) = Ipv4Header::from_slice(packet).map_err(|_| FragmentError::NotIpv4)?;
    let length = usize::from(header.total_len);
    let payload = packet.get(header.header_len()..length).ok_or(FragmentError::NotIpv4)?;
    if length <= usize::from(mtu) {
        return Ok(vec![packet.get(..length).unwrap_or_default().to_vec()]);
    }
    if header.dont_fragment {
        return Err(FragmentError::DontFragment);
    }
    // Offsets count eight octets.
    let room = usize::from(mtu).saturating_sub(header.header_len()) & !7;
    if room == 0 {
        return Err(FragmentError::MtuTooSmall(mtu));
    }
    // A fragment of a fragment starts where that one does.
    let first = usize::from(header.fragment_offset.value());
    let mut fragments = Vec::new();
    for (index, piece) in payload.chunks(room).enumerate() {
        let at = index * room;
        let mut header = if index == 0 { header.clone() } else { later(&header) };
        let offset = u16::try_from(first + at / 8).map_err(|_| FragmentError::NotIpv4)?;
        header.fragment_offset =
            IpFragOffset::try_new(offset).map_err(|_| FragmentError::NotIpv4)?;
        header.more_fragments |= at + piece.len() < payload.len();
        header.set_payload_len(piece.len()).map_err(|_| FragmentError::NotIpv4)?;
        header.header_checksum = header.calc_header_checksum();
        fragments.push([&header.to_bytes()[..], piece].concat());
    }
    Ok(fragments)
}

/// The header of a fragment that is not the first: with those options that are copied, marked by
/// the first bit of their type (RFC 791 §3.1).
fn later(first: &Ipv4Header) -> Ipv4Header {
    const END: u8 = 0;
    const NO_OPERATION: u8 = 1;
    const COPIED: u8 = 0x80;
    let mut header = first.clone();
    let options: &[u8] = &first.options;
    let mut copied = Vec::new();
    let mut at = 0;
    while let Some(kind) = options.get(at).copied().filter(|kind| *kind != END) {
        let length = match kind {
            NO_OPERATION => 1,
            _ => usize::from(options.get(at + 1).copied().unwrap_or(0)),
        };
        let Some(option) = options.get(at..at + length).filter(|option| !option.is_empty()) else {
            break;
        };
        if kind & COPIED != 0 {
            copied.extend(option);
        }
        at += length;
    }
    copied.resize(copied.len().next_multiple_of(4), END);
    // No longer than the options that it comes from.
    header.options = copied.as_slice().try_into().unwrap_or_default();
    header
}

#[cfg(test)]
mod tests {
    use super::*;
    use etherparse::IpNumber;
    use proptest::prelude::*;

    fn packet(payload: &[u8], options: &[u8]) -> Vec<u8> {
        let (source, destination) = ([10, 1, 1, 1], [10, 1, 1, 254]);
        let mut header = Ipv4Header::new(0, 64, IpNumber::UDP, source, destination).unwrap();
        header.options = options.try_into().unwrap();
        header.identification = 7;
        header.dont_fragment = false;
        header.set_payload_len(payload.len()).unwrap();
        header.header_checksum = header.calc_header_checksum();
        [&header.to_bytes()[..], payload].concat()
    }

    #[test]
    fn a_packet_of_1400_through_1300() {
        let payload: Vec<u8> = (0..1380_u32).map(|at| at as u8).collect();
        let fragments = fragments(&packet(&payload, &[]), 1300).unwrap();
        let lengths: Vec<usize> = fragments.iter().map(Vec::len).collect();
        assert_eq!(lengths, [1300, 120]);
        // Flags and offset: more, 0; last, 1280 octets.
        assert_eq!(fragments[0][6..8], [0x20, 0]);
        assert_eq!(fragments[1][6..8], 160_u16.to_be_bytes());
    }

    #[test]
    fn options_are_copied_where_they_ask_for_it() {
        // Loose source route (131) is copied, record route (7) is not.
        let options = [7, 3, 4, 131, 3, 4, 1, 0];
        let fragments = fragments(&packet(&[0; 100], &options), 76).unwrap();
        assert_eq!(fragments[0][20..28], options);
        assert_eq!(fragments[1][0] & 0x0f, 6);
        assert_eq!(fragments[1][20..24], [131, 3, 4, 0]);
    }

    #[test]
    fn what_may_not_or_cannot_be_fragmented() {
        let mut whole = packet(&[0; 100], &[]);
        assert_eq!(fragments(&whole, 27), Err(FragmentError::MtuTooSmall(27)));
        for length in 0..whole.len() {
            assert_eq!(fragments(&whole[..length], 60), Err(FragmentError::NotIpv4));
        }
        whole[6] |= 0x40;
        assert_eq!(fragments(&whole, 60), Err(FragmentError::DontFragment));
        assert_eq!(fragments(&whole, 120), Ok(vec![whole.clone()]));
    }

    proptest! {
        #[test]
        fn fragments_put_together_are_the_packet(
            payload in prop::collection::vec(any::<u8>(), 0..4000),
            mtu in 28_u16..2000,
            again in 28_u16..2000,
        ) {
            let packet = packet(&payload, &[]);
            let mut pieces = Vec::new();
            for fragment in fragments(&packet, mtu).unwrap() {
                prop_assert!(fragment.len() <= usize::from(mtu));
                pieces.extend(fragments(&fragment, again).unwrap());
            }
            let mut joined = vec![0; payload.len()];
            for (index, piece) in pieces.iter().enumerate() {
                let (header, rest) = Ipv4Header::from_slice(piece).unwrap();
                prop_assert_eq!(header.calc_header_checksum(), header.header_checksum);
                prop_assert_eq!(header.more_fragments, index + 1 < pieces.len());
                prop_assert_eq!(header.identification, 7);
                let at = usize::from(header.fragment_offset.value()) * 8;
                joined[at..at + rest.len()].copy_from_slice(rest);
            }
            prop_assert_eq!(joined, payload);
        }

        #[test]
        fn any_octets_are_survived(octets in prop::collection::vec(any::<u8>(), 0..200), mtu: u16) {
            let _either = fragments(&octets, mtu);
        }
    }
}
