//! The GRE header: parse and encode undo each other, and the decapsulator keeps its state.

use dmvpn_gre::{Header, ParseError, Receiver, Sender};

use crate::memory::bounded;
use crate::script::Script;

pub fn run(input: &[u8]) {
    // no_std without alloc.
    bounded(0, 0, 0, || laws(input));
}

fn laws(input: &[u8]) {
    let Ok((header, payload)) = Header::parse(input) else { return flow(input) };
    let len = header.encoded_len();
    assert_eq!(len + payload.len(), input.len());
    let mut built = [0xee; Header::MAX_LEN];
    assert_eq!(header.encode(&mut built), Ok(len));
    // No field is lost, so that the octets are the same.
    assert_eq!(built[..len], input[..len]);
    assert!(built[len..].iter().all(|octet| *octet == 0xee));
    assert_eq!(Header::parse(&built[..len]), Ok((header, &[][..])));
    for cut in 0..len {
        let Err(ParseError::Truncated { offset, needed, have, .. }) = Header::parse(&input[..cut])
        else {
            panic!("{cut} octets of a header of {len}")
        };
        assert!(offset + have == cut && needed > have);
        assert!(header.encode(&mut [0; Header::MAX_LEN][..cut]).is_err());
    }
    let summed = header.with_checksum_over(payload);
    assert!(summed.checksum_holds(payload));
    assert_eq!((summed.key, summed.sequence), (header.key, header.sequence));
    flow(input);
}

/// The same octets as packets of one flow.
fn flow(input: &[u8]) {
    let mut script = Script::new(input);
    let key = script.flag().then(|| script.u32());
    let mut receiver = Receiver::new(key);
    while !script.is_empty() {
        let packet = script.octets();
        let start = script.index(3);
        let before = receiver.clone();
        match receiver.decapsulate(packet, start..packet.len()) {
            Ok(received) => {
                assert!(received.payload.start >= start + 4);
                assert_eq!(received.payload.end, packet.len());
                assert_eq!(received.header.key, key);
            }
            Err(_) => assert_eq!(before.key(), receiver.key()),
        }
        // Ours to the far end and back.
        let mut sender = Sender::new(key);
        if packet.len() & 1 != 0 {
            sender = sender.with_checksum();
        }
        let mut buffer = [0; Header::MAX_LEN + 255];
        let front = sender.headroom();
        buffer[front..front + packet.len()].copy_from_slice(packet);
        let range = front..front + packet.len();
        let sealed = sender.encapsulate(dmvpn_gre::ProtocolType::IPV4, &mut buffer, range.clone());
        let sealed = sealed.expect("there is room");
        let got = Receiver::new(key).decapsulate(&buffer, sealed).expect("what we sent");
        assert_eq!(got.payload, range);
    }
}
