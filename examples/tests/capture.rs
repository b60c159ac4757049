//! Capture files: what is written reads back, both formats and byte orders, any octets at all.

use core::time::Duration;

use dmvpn_examples::capture::{CaptureError, EtherType, Frame, Frames, LinkType, PcapWriter};
use proptest::prelude::*;

fn written(packets: &[&[u8]]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut writer = PcapWriter::new(&mut file).unwrap();
    for packet in packets {
        writer.packet(Duration::new(1_700_000_000, 123_456_789), packet).unwrap();
    }
    file
}

#[test]
fn written_reads_back() {
    let file = written(&[b"\x45one", b"", b"\x60three"]);
    let frames: Vec<Frame<'_>> = Frames::new(&file).unwrap().map(Result::unwrap).collect();
    assert_eq!(frames.len(), 3);
    assert_eq!(frames[0].link_type, LinkType::RAW);
    assert_eq!((frames[2].number, frames[2].data), (3, &b"\x60three"[..]));
    assert_eq!(frames[0].network(), Some((EtherType::IPV4, &b"\x45one"[..])));
    assert_eq!(frames[1].network(), None);
    assert_eq!(frames[2].network(), Some((EtherType::IPV6, &b"\x60three"[..])));
    // Seconds and microseconds of the first record.
    assert_eq!(file[24..32], [0x00, 0xf1, 0x53, 0x65, 0x40, 0xe2, 0x01, 0x00]);
}

#[test]
fn longer_than_an_ip_packet_is_not_written() {
    let mut writer = PcapWriter::new(Vec::new()).unwrap();
    assert!(writer.packet(Duration::ZERO, &[0; 65_536]).is_err());
}

#[test]
fn big_endian_pcap() {
    let mut file = vec![0xa1, 0xb2, 0xc3, 0xd4, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255];
    file.extend([0, 0, 0, 1]);
    file.extend([0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 15, 0, 0, 0, 60]);
    file.extend([0; 12]);
    file.extend([0x08, 0x00, 0x45]);
    let frames: Vec<_> = Frames::new(&file).unwrap().map(Result::unwrap).collect();
    assert_eq!(frames[0].link_type, LinkType::ETHERNET);
    assert_eq!(frames[0].original_length, 60);
    assert_eq!(frames[0].network(), Some((EtherType::IPV4, &[0x45][..])));
}

/// A block of pcapng in one byte order.
fn block(big_endian: bool, kind: u32, body: &[&[u8]]) -> Vec<u8> {
    let mut body = body.concat();
    body.resize(body.len().next_multiple_of(4), 0);
    let length = u32::try_from(body.len() + 12).unwrap();
    let [kind, length] = [kind, length].map(|v| number(big_endian, v));
    [&kind[..], &length, &body, &length].concat()
}

fn number(big_endian: bool, value: u32) -> [u8; 4] {
    if big_endian { value.to_be_bytes() } else { value.to_le_bytes() }
}

fn pcapng(big_endian: bool) -> Vec<u8> {
    let u16 = |value: u16| number(big_endian, u32::from(value)).into_iter().filter(|_| true);
    let link = |value: u16| {
        let octets: Vec<u8> = u16(value).collect();
        if big_endian { [octets[2], octets[3], 0, 0] } else { [octets[0], octets[1], 0, 0] }
    };
    let number = |value| number(big_endian, value);
    let section = [
        &number(0x1a2b_3c4d)[..],
        if big_endian { &[0, 1, 0, 0] } else { &[1, 0, 0, 0] },
        &[0xff; 8],
    ];
    let packet = |interface, data: &[u8]| {
        let length = u32::try_from(data.len()).unwrap();
        let fields = [interface, 0, 0, length, length + 1].map(number).concat();
        block(big_endian, 6, &[&fields, data])
    };
    [
        block(big_endian, 0x0a0d_0d0a, &section),
        block(big_endian, 1, &[&link(1), &number(0)]),
        block(big_endian, 1, &[&link(101), &number(0)]),
        // A block of a type that nobody knows.
        block(big_endian, 0x7777, &[b"whatever"]),
        packet(1, b"\x45five"),
        block(big_endian, 3, &[&number(3), b"abc"]),
    ]
    .concat()
}

#[test]
fn pcapng_in_both_byte_orders() {
    // Sections follow each other, each with its own byte order and interfaces.
    let file = [pcapng(false), pcapng(true)].concat();
    let frames: Vec<_> = Frames::new(&file).unwrap().map(Result::unwrap).collect();
    let seen: Vec<_> = frames.iter().map(|f| (f.number, f.link_type, f.data)).collect();
    let section = [(LinkType::RAW, &b"\x45five"[..]), (LinkType::ETHERNET, &b"abc"[..])];
    let expected: Vec<_> =
        (1..).zip(section.repeat(2)).map(|(n, (link, data))| (n, link, data)).collect();
    assert_eq!(seen, expected);
}

#[test]
fn link_headers() {
    let rest = b"\x45rest";
    let frame = |link_type, header: &[u8]| -> Option<EtherType> {
        let data = [header, rest].concat();
        let frame = Frame { number: 1, link_type, data: &data, original_length: 99 };
        let (ether_type, packet) = frame.network()?;
        assert_eq!(packet, rest);
        Some(ether_type)
    };
    let ethernet = |tail: &[u8]| frame(LinkType::ETHERNET, &[&[0; 12], tail].concat());
    let (ipv4, ipv6) = (Some(EtherType::IPV4), Some(EtherType::IPV6));
    assert_eq!(ethernet(&[0x08, 0x00]), ipv4);
    assert_eq!(ethernet(&[0x86, 0xdd]), ipv6);
    assert_eq!(ethernet(&[0x88, 0xa8, 0, 1, 0x81, 0x00, 0, 2, 0x08, 0x00]), ipv4);
    assert_eq!(ethernet(&[0x08, 0x06]), Some(EtherType(0x0806)));
    assert_eq!(
        frame(LinkType::LINUX_SLL, &[&[0; 14][..], &[0x20, 1]].concat()),
        Some(EtherType::NHRP)
    );
    assert_eq!(frame(LinkType::LINUX_SLL2, &[&[0x08, 0][..], &[0; 18]].concat()), ipv4);
    assert_eq!(frame(LinkType::IPV6, &[]), ipv6);
    assert_eq!(frame(LinkType(105), &[]), None);

    let short =
        Frame { number: 1, link_type: LinkType::ETHERNET, data: &[0; 13], original_length: 13 };
    assert_eq!(short.network(), None);
}

#[test]
fn what_cannot_be_read_says_where() {
    assert_eq!(
        Frames::new(b"GIF89a and more than 24 octets").unwrap_err(),
        CaptureError::NotACapture
    );
    assert_eq!(Frames::new(b"").unwrap_err(), CaptureError::Truncated { offset: 0 });

    let file = written(&[b"\x45one", b"\x45two"]);
    let errors = |file: &[u8]| Frames::new(file).unwrap().find_map(Result::err);
    assert_eq!(errors(&file[..file.len() - 1]), Some(CaptureError::Truncated { offset: 44 }));

    let section = pcapng(false);
    let mut undescribed = section[..28].to_vec();
    let packet = 28 + 20 + 20 + 20;
    undescribed.extend(&section[packet..]);
    let unknown = CaptureError::UnknownInterface { offset: 28, interface: 1 };
    assert_eq!(errors(&undescribed), Some(unknown));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    /// Damaged captures end, in frames or in one error, and no frame is longer than the file.
    #[test]
    fn damaged_captures_end(
        ng in any::<bool>(),
        cut in 0usize..400,
        damage in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..12),
    ) {
        let mut file = if ng { [pcapng(false), pcapng(true)].concat() } else { written(&[b"\x45one", b"\x60two"]) };
        file.truncate(cut.max(1));
        for (index, value) in damage {
            let at = index.index(file.len());
            file[at] = value;
        }
        if let Ok(frames) = Frames::new(&file) {
            let mut failed = false;
            for frame in frames {
                prop_assert!(!failed, "a frame after an error");
                match frame {
                    Ok(frame) => prop_assert!(frame.data.len() <= file.len()),
                    Err(_) => failed = true,
                }
            }
        }
    }
}
