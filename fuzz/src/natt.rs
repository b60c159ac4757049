//! RFC 3948: what a datagram on the NAT traversal port is.

use dmvpn_esp::Header;
use dmvpn_esp::udp::{Datagram, KEEPALIVE, NON_ESP_MARKER, classify};
use dmvpn_isakmp::wire::Message;

use crate::memory::bounded;

pub fn run(input: &[u8]) {
    match bounded(0, 0, 0, || classify(input)) {
        Ok(Datagram::Keepalive) => assert_eq!(input, KEEPALIVE),
        Ok(Datagram::Isakmp(range)) => {
            assert_eq!(input[..range.start], NON_ESP_MARKER);
            assert_eq!(range.end, input.len());
            let message = &input[range];
            if let Ok(parsed) = bounded(message.len(), 64, 1024, || Message::parse(message)) {
                assert_eq!(parsed.encoded_len(), message.len());
            }
        }
        Ok(Datagram::Esp) => {
            // Long enough for an SPI, which is never zero.
            match bounded(0, 0, 0, || Header::parse(input)) {
                Ok((header, body)) => {
                    assert_ne!(header.spi.0, 0);
                    assert_eq!(header.encode(), input[..Header::LEN]);
                    assert_eq!(body.len() + Header::LEN, input.len());
                }
                Err(_) => assert!(input.len() < Header::LEN),
            }
        }
        Err(_) => assert!(input.len() < 4 && input != KEEPALIVE),
    }
}
