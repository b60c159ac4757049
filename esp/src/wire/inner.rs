//! The length of the IP packet inside a tunnel-mode packet, which tells the TFC padding behind it
//! apart (RFC 4303 §2.7).

use super::NextHeader;
use crate::error::OpenError;

const IPV4_HEADER: usize = 20;
const IPV6_HEADER: usize = 40;

/// Length of the IP packet at the front of `payload`, by its own header.
pub(crate) fn packet_len(next_header: NextHeader, payload: &[u8]) -> Result<usize, OpenError> {
    let have = payload.len();
    let (version, minimum, length) = match next_header {
        NextHeader::IPV4 => (4, IPV4_HEADER, field(payload, 2)),
        NextHeader::IPV6 => {
            (6, IPV6_HEADER, field(payload, 4).map(|length| length.saturating_add(IPV6_HEADER)))
        }
        other => return Err(OpenError::InvalidProtocol { next_header: other }),
    };
    let found = payload.first().map(|first| first >> 4);
    match length {
        Some(length) if found == Some(version) && length >= minimum && length <= have => Ok(length),
        _ => Err(OpenError::InnerLength { length: length.unwrap_or_default(), have }),
    }
}

fn field(payload: &[u8], offset: usize) -> Option<usize> {
    let bytes = payload.get(offset..)?.first_chunk()?;
    Some(usize::from(u16::from_be_bytes(*bytes)))
}

#[cfg(test)]
mod tests {
    use super::packet_len;
    use crate::{NextHeader, OpenError};

    #[test]
    fn lengths() {
        let mut packet = [0; 60];
        packet[0] = 0x45;
        packet[3] = 28;
        assert_eq!(packet_len(NextHeader::IPV4, &packet), Ok(28));
        let short = packet_len(NextHeader::IPV4, &packet[..27]);
        assert_eq!(short, Err(OpenError::InnerLength { length: 28, have: 27 }));
        let wrong_version = packet_len(NextHeader::IPV6, &packet);
        assert_eq!(wrong_version, Err(OpenError::InnerLength { length: 40, have: 60 }));
        packet[0] = 0x60;
        packet[5] = 20;
        assert_eq!(packet_len(NextHeader::IPV6, &packet), Ok(60));
        packet[5] = 0;
        assert_eq!(packet_len(NextHeader::IPV6, &packet), Ok(40));
        assert_eq!(
            packet_len(NextHeader::GRE, &packet),
            Err(OpenError::InvalidProtocol { next_header: NextHeader::GRE })
        );
        assert!(packet_len(NextHeader::IPV4, &[]).is_err());
        let mut runt = [0x45; 20];
        runt[2..4].copy_from_slice(&[0, 19]);
        let refused = packet_len(NextHeader::IPV4, &runt);
        assert_eq!(refused, Err(OpenError::InnerLength { length: 19, have: 20 }));
    }
}
