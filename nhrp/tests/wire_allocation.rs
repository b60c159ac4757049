//! Parsing never takes more memory than a constant times the octets it is given.

use dmvpn_nhrp::wire::{
    Body, Cie, Extension, ExtensionType, ExtensionValue, Flags, Message, Packet, Parsed, RequestId,
};
use proptest::prelude::*;

/// Octets of memory for an octet of input. Worst are extensions without a value: four octets of
/// input each, a slot in a vector that doubles as it grows.
const FACTOR: u64 = 64;
/// What a packet with nothing in it may take.
const FIXED: u64 = 1024;

/// The most memory that parsing holds at one time.
fn peak(octets: &[u8]) -> u64 {
    allocation_counter::measure(|| {
        let _ = core::hint::black_box(Parsed::parse(octets));
        let _ = core::hint::black_box(Packet::parse(octets));
    })
    .bytes_max
}

fn assert_bounded(octets: &[u8]) {
    let (peak, length) = (peak(octets), u64::try_from(octets.len()).unwrap());
    assert!(peak <= FACTOR * length + FIXED, "{peak} octets of memory for {length}");
}

fn packet(entries: Vec<Cie>, extensions: Vec<Extension>) -> Vec<u8> {
    let address = [10, 0, 0, 1].into();
    let message = Message { flags: Flags::NONE, request_id: RequestId(1), entries };
    let body = Body::ResolutionReply(message);
    let packet = Packet { extensions, ..Packet::new(address, address, address, body) };
    packet.encode().unwrap().to_vec()
}

#[test]
fn the_counter_counts() {
    let memory = allocation_counter::measure(|| {
        drop(core::hint::black_box(Vec::<u8>::with_capacity(1000)));
    });
    assert_eq!(memory.bytes_max, 1000);
}

#[test]
fn the_longest_packets_of_the_smallest_parts() {
    let entry = Cie::bare(0, 0, 0);
    assert_bounded(&packet(vec![entry.clone(); 5457], vec![]));
    // An address of one octet is an allocation of its own.
    let with_address = Cie { protocol: dmvpn_nhrp::wire::Address::new(&[1]), ..entry };
    assert_bounded(&packet(vec![with_address.clone(); 5000], vec![]));
    let extension = |value| Extension {
        extension_type: ExtensionType::new(100),
        compulsory: false,
        unused: false,
        value,
    };
    for (length, count) in [(0, 16_000), (1, 13_000), (2, 10_000)] {
        let value = ExtensionValue::Raw(vec![0; length].into());
        assert_bounded(&packet(vec![], vec![extension(value); count]));
    }
    let transit = ExtensionType::FORWARD_TRANSIT_NHS_RECORD;
    let one = Extension::clients(transit, vec![with_address.clone()]);
    assert_bounded(&packet(vec![], vec![one; 3800]));
    assert_bounded(&packet(vec![], vec![Extension::clients(transit, vec![with_address; 5000])]));
}

/// A length field promises nothing.
#[test]
fn a_packet_that_announces_more_than_it_has() {
    let mut octets = packet(vec![], vec![]);
    octets[10..12].copy_from_slice(&[0xff; 2]);
    assert_eq!(peak(&octets), 0);
}

proptest! {
    #[test]
    fn whatever_comes(octets in prop::collection::vec(any::<u8>(), 0..2000)) {
        let mut octets = octets;
        // A header that lets the rest be looked at.
        if let (Ok(length), Some(header)) = (u16::try_from(octets.len()), octets.get_mut(..40)) {
            header[10..12].copy_from_slice(&length.to_be_bytes());
            header[14..16].copy_from_slice(&[0, 40]);
            header[16] = 1;
            header[17] = header[17] % 8 + 1;
            header[18..22].copy_from_slice(&[4, 0, 4, 4]);
        }
        assert_bounded(&octets);
    }
}
