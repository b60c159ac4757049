//! NHRP's codec: what is accepted is built again, octet for octet.

use dmvpn_nhrp::wire::{FixedHeader, Packet, ParseError, Parsed, checksum};

use crate::memory::bounded;

pub fn run(input: &[u8]) {
    laws(input);
    // A fuzzer does not find a checksum; the rest of the packet is as interesting without.
    if let Some(size) = input.get(10..12) {
        let size = usize::from(u16::from_be_bytes([size[0], size[1]]));
        if size >= 14 && size <= input.len() {
            let mut mended = input.to_vec();
            mended[12..14].fill(0);
            let sum = checksum(&mended[..size]);
            mended[12..14].copy_from_slice(&sum.to_be_bytes());
            laws(&mended);
        }
    }
}

fn laws(input: &[u8]) {
    let parsed = match bounded(input.len(), 64, 1024, || Parsed::parse(input)) {
        Ok(parsed) => parsed,
        Err(error) => {
            assert!(error.offset() <= input.len().max(FixedHeader::LEN), "{error}");
            assert!(Packet::parse(input).is_err());
            return;
        }
    };
    let size = input.len() - parsed.trailing.len();
    let built = parsed.packet.encode().expect("what was parsed can be built");
    assert_eq!(built.len(), parsed.packet.encoded_len());
    assert_eq!(built.len(), size);
    assert_eq!(built[..12], input[..12]);
    assert_eq!(built[14..], input[14..size]);
    assert_eq!(checksum(&built), 0);
    assert_eq!(Packet::parse(&built).as_ref(), Ok(&parsed.packet));
    match Packet::parse(input) {
        Ok(packet) => {
            assert!(parsed.checksum_ok);
            assert_eq!(packet, parsed.packet);
        }
        Err(error) => {
            assert!(!parsed.checksum_ok);
            assert!(matches!(error, ParseError::Checksum { .. }), "{error}");
        }
    }
    for cut in [0, 1, FixedHeader::LEN - 1, FixedHeader::LEN, size / 2, size - 1] {
        if cut < size {
            let error = Parsed::parse(&input[..cut]).expect_err("a strict prefix");
            assert!(matches!(error, ParseError::Truncated { .. }), "{error}");
        }
    }
    // Printing is total, too.
    let _ = format!("{parsed:?}");
}
