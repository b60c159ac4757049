//! UDP encapsulation (RFC 3948): what a datagram on the NAT traversal port is.
//!
//! ESP is the whole datagram, without anything in front (§2.1). IKE has four zero bytes in front
//! (§2.2), which no SPI is. A single byte 0xff keeps a NAT mapping alive (§2.3).

use core::ops::Range;

/// Four zero bytes where an ESP packet has its SPI: an IKE message follows (RFC 3948 §2.2).
pub const NON_ESP_MARKER: [u8; 4] = [0; 4];

/// The payload of a NAT-keepalive datagram (RFC 3948 §2.3).
pub const KEEPALIVE: [u8; 1] = [0xff];

/// What a UDP payload on the NAT traversal port is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Datagram {
    /// An ESP packet: the whole payload.
    Esp,
    /// An IKE message, at this range of the payload: behind the marker.
    Isakmp(Range<usize>),
    /// A NAT-keepalive: to be ignored (RFC 3948 §2.3).
    Keepalive,
}

/// Tells ESP, IKE and keepalives apart (RFC 3948 §3.2, §4). Nothing of it is authentic.
///
/// # Errors
///
/// The payload is too short to be any of them.
pub fn classify(payload: &[u8]) -> Result<Datagram, ClassifyError> {
    if payload == KEEPALIVE {
        return Ok(Datagram::Keepalive);
    }
    match payload.first_chunk() {
        Some(&NON_ESP_MARKER) => Ok(Datagram::Isakmp(NON_ESP_MARKER.len()..payload.len())),
        Some(_) => Ok(Datagram::Esp),
        None => Err(ClassifyError::TooShort { have: payload.len() }),
    }
}

/// Why a UDP payload is neither ESP nor IKE nor a keepalive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClassifyError {
    /// Shorter than an SPI or a marker.
    #[error("udp payload of {have} bytes is neither esp nor ike nor a keepalive")]
    TooShort {
        /// Its length.
        have: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::{ClassifyError, Datagram, classify};

    #[test]
    fn datagrams() {
        assert_eq!(classify(&[0xff]), Ok(Datagram::Keepalive));
        assert_eq!(classify(&[0, 0, 0, 0]), Ok(Datagram::Isakmp(4..4)));
        assert_eq!(classify(&[0, 0, 0, 0, 7, 7]), Ok(Datagram::Isakmp(4..6)));
        assert_eq!(classify(&[0, 0, 0, 1]), Ok(Datagram::Esp));
        assert_eq!(classify(&[0xff, 0xff, 0xff, 0xff]), Ok(Datagram::Esp));
        for have in [0, 1, 2, 3] {
            let short = &[0; 3][..have];
            assert_eq!(classify(short), Err(ClassifyError::TooShort { have }));
        }
        assert_eq!(classify(&[0xfe]), Err(ClassifyError::TooShort { have: 1 }));
    }
}
