//! Sender and receiver of one flow.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use dmvpn_gre::{
    Discard, EncapsulateError, Header, ParseError, ProtocolType, Receiver, ReceiverCounters, Sender,
};
use proptest::prelude::*;

fn packet(header: &Header) -> Vec<u8> {
    let mut out = vec![0; header.encoded_len()];
    header.encode(&mut out).unwrap();
    out
}

fn sequenced(sequence: u32) -> Vec<u8> {
    packet(&Header { sequence: Some(sequence), ..Header::new(ProtocolType::IPV4) })
}

fn receive(receiver: &mut Receiver, packet: &[u8]) -> Result<(), Discard> {
    receiver.decapsulate(packet, 0..packet.len()).map(drop)
}

#[test]
fn key_mismatch_is_its_own_error() {
    for (expected, received) in [(Some(1), Some(2)), (Some(1), None), (None, Some(0))] {
        let mut receiver = Receiver::new(expected);
        let packet = packet(&Header { key: received, ..Header::new(ProtocolType::NHRP) });
        assert_eq!(
            receive(&mut receiver, &packet),
            Err(Discard::KeyMismatch { expected, received })
        );
        assert_eq!(receiver.counters().key_mismatches, 1);
    }
}

/// A sender that established its tunnel anew counts from the beginning.
#[test]
fn a_sender_that_restarts_is_heard_once_its_number_is_forgotten() {
    for key in [None, Some(0), Some(1), Some(2)] {
        assert_eq!(Receiver::new(key).key(), key);
    }
    let mut receiver = Receiver::new(None);
    assert_eq!(receive(&mut receiver, &sequenced(1000)), Ok(()));
    let late = Discard::OutOfOrder { last: 1000, received: 0 };
    assert_eq!(receive(&mut receiver, &sequenced(0)), Err(late));
    receiver.reset_sequence();
    assert_eq!(receive(&mut receiver, &sequenced(0)), Ok(()));
    let again = Discard::OutOfOrder { last: 0, received: 0 };
    assert_eq!(receive(&mut receiver, &sequenced(0)), Err(again));
}

#[test]
fn checksum_error_is_its_own_error_and_moves_no_sequence() {
    let mut sender = Sender::new(Some(7)).with_checksum().with_sequence();
    let mut receiver = Receiver::new(Some(7));
    let mut buffer = [0x55; 24];
    let range = sender.encapsulate(ProtocolType::IPV4, &mut buffer, 16..24).unwrap();
    assert_eq!(range, 0..24);
    for byte in 16..24 {
        let mut wrong = buffer;
        wrong[byte] ^= 0x10;
        assert!(matches!(receive(&mut receiver, &wrong), Err(Discard::Checksum { .. })));
    }
    assert_eq!(receiver.counters().checksum_errors, 8);
    assert_eq!(receive(&mut receiver, &buffer), Ok(()));
    assert_eq!(receive(&mut receiver, &buffer), Err(Discard::OutOfOrder { last: 0, received: 0 }));
}

#[test]
fn sequence_window_of_rfc_2890() {
    let mut receiver = Receiver::new(None);
    assert_eq!(receive(&mut receiver, &sequenced(0)), Ok(()));
    assert_eq!(receive(&mut receiver, &sequenced(5)), Ok(()));
    assert_eq!(receiver.counters().gaps, 1);
    // The last one, and the 2^31 - 1 before it.
    let oldest = 5_u32.wrapping_sub((1 << 31) - 1);
    for received in [5, 4, 0, u32::MAX, oldest] {
        assert_eq!(
            receive(&mut receiver, &sequenced(received)),
            Err(Discard::OutOfOrder { last: 5, received })
        );
    }
    assert_eq!(receive(&mut receiver, &sequenced(oldest.wrapping_sub(1))), Ok(()));

    // Packets without a number may be interleaved; a tunnel established anew starts at 0.
    assert_eq!(receive(&mut receiver, &packet(&Header::new(ProtocolType::IPV4))), Ok(()));
    receiver.reset_sequence();
    assert_eq!(receive(&mut receiver, &sequenced(0)), Ok(()));
}

#[test]
fn sequence_numbers_wrap() {
    let mut receiver = Receiver::new(None);
    for sequence in [0x7fff_ffff, 0xffff_fffe, 0xffff_ffff, 0, 1] {
        assert_eq!(receive(&mut receiver, &sequenced(sequence)), Ok(()), "{sequence:#x}");
    }
    assert_eq!(receiver.counters().gaps, 2);
}

#[test]
fn malformed_and_keepalives_are_counted() {
    let mut receiver = Receiver::new(None);
    assert_eq!(
        receive(&mut receiver, &[0, 1, 8, 0]),
        Err(Discard::Malformed(ParseError::Version(1)))
    );
    assert_eq!(
        receiver.decapsulate(&[0; 4], 0..5),
        Err(Discard::RangeOutsideBuffer { end: 5, have: 4 })
    );
    assert_eq!(receive(&mut receiver, &[0; 4]), Ok(()));
    assert_eq!(
        *receiver.counters(),
        ReceiverCounters { received: 1, keepalives: 1, malformed: 2, ..Default::default() }
    );
}

#[test]
fn sender_errors_change_nothing() {
    let mut sender = Sender::new(Some(1)).with_sequence();
    let mut buffer = [0xee; 20];
    let mut encapsulate = |range| sender.encapsulate(ProtocolType::IPV4, &mut buffer, range);
    assert_eq!(encapsulate(11..20), Err(EncapsulateError::BufferTooSmall { needed: 12, have: 11 }));
    let outside = |end| Err(EncapsulateError::RangeOutsideBuffer { end, have: 20 });
    assert_eq!(encapsulate(12..21), outside(21));
    assert_eq!(encapsulate(21..21), outside(21));
    #[allow(clippy::reversed_empty_ranges, reason = "what a confused caller might give")]
    let reversed = 14..13;
    assert_eq!(encapsulate(reversed), outside(13));
    assert_eq!((buffer, sender.sent()), ([0xee; 20], 0));
    let range = sender.encapsulate(ProtocolType::IPV4, &mut buffer, 14..20).unwrap();
    assert_eq!(Header::parse(&buffer[range]).unwrap().0.sequence, Some(0));
    assert_eq!(sender.sent(), 1);
}

proptest! {
    #[test]
    fn what_is_encapsulated_comes_back(
        key in any::<Option<u32>>(), checksum: bool, sequence: bool, spare in 0usize..8,
        payloads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 1..5),
    ) {
        let mut sender = Sender::new(key);
        if checksum { sender = sender.with_checksum(); }
        if sequence { sender = sender.with_sequence(); }
        let mut receiver = Receiver::new(key);
        for (index, payload) in payloads.iter().enumerate() {
            let start = sender.headroom() + spare;
            let mut buffer = vec![0xee; start];
            buffer.extend(payload);
            buffer.extend([0xee; 3]);
            let range = start..start + payload.len();
            let packet = sender.encapsulate(ProtocolType::IPV6, &mut buffer, range.clone()).unwrap();
            prop_assert_eq!(&packet, &(spare..range.end));
            prop_assert_eq!(&buffer[..spare], &[0xee; 8][..spare]);
            prop_assert_eq!(&buffer[range.end..], &[0xee; 3]);
            let received = receiver.decapsulate(&buffer, packet).unwrap();
            prop_assert_eq!(received.payload, range);
            prop_assert_eq!(received.header.protocol, ProtocolType::IPV6);
            prop_assert_eq!(received.header.sequence, sequence.then_some(index as u32));
        }
        prop_assert_eq!(receiver.counters().gaps, 0);
    }

    #[test]
    fn no_input_panics(
        buffer in proptest::collection::vec(any::<u8>(), 0..40), start: usize, end: usize,
        key in any::<Option<u32>>(),
    ) {
        let (start, end) = (start % 48, end % 48);
        let _ = Receiver::new(key).decapsulate(&buffer, start..end);
        let mut buffer = buffer;
        let _ = Sender::new(key).with_checksum().encapsulate(ProtocolType::IPV4, &mut buffer, start..end);
    }
}
