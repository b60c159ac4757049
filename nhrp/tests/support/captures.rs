//! NHRP packets out of capture files: pcap, Ethernet or Linux cooked, GRE over IPv4.

use std::path::{Path, PathBuf};

/// The folder of third-party data beside the checkout, which a clone alone does not have.
pub(crate) fn shared(path: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared").join(path);
    if path.exists() {
        return Some(path);
    }
    println!("SKIP: {} is absent", path.display());
    None
}

/// A file of this crate's own test data.
pub(crate) fn data(path: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(path)).unwrap()
}

/// Link types of pcap files.
const ETHERNET: u16 = 1;
const LINUX_COOKED: u16 = 113;

const VLAN_TAG: u16 = 0x8100;
const IPV4: u16 = 0x0800;
const NHRP: u16 = 0x2001;

fn word16(octets: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(octets.get(at..at + 2)?.try_into().unwrap()))
}

/// The frames of a pcap file of either byte order, with their link type.
fn frames(file: &[u8]) -> Vec<(u16, &[u8])> {
    let little = file.starts_with(&[0xd4, 0xc3, 0xb2, 0xa1]);
    assert!(little || file.starts_with(&[0xa1, 0xb2, 0xc3, 0xd4]), "not a pcap file");
    let word = |at: usize| {
        let octets = file[at..at + 4].try_into().unwrap();
        if little { u32::from_le_bytes(octets) } else { u32::from_be_bytes(octets) }
    };
    // The upper half of the word says how long a frame check sequence there is.
    let link_type = (word(20) & 0xffff) as u16;
    let mut frames = Vec::new();
    let mut at = 24;
    while at + 16 <= file.len() {
        let length = word(at + 8) as usize;
        frames.push((link_type, &file[at + 16..(at + 16 + length).min(file.len())]));
        at += 16 + length;
    }
    frames
}

/// What NHRP packet a frame carries, if any.
fn nhrp_packet(link_type: u16, frame: &[u8]) -> Option<&[u8]> {
    let (mut protocol, mut packet) = match link_type {
        ETHERNET => (word16(frame, 12)?, frame.get(14..)?),
        LINUX_COOKED => (word16(frame, 14)?, frame.get(16..)?),
        other => panic!("link type {other}"),
    };
    if protocol == VLAN_TAG {
        (protocol, packet) = (word16(packet, 2)?, packet.get(4..)?);
    }
    if protocol == NHRP {
        return Some(packet);
    }
    if protocol != IPV4 || *packet.get(9)? != 47 {
        return None;
    }
    let end = usize::from(word16(packet, 2)?).min(packet.len());
    let gre = packet.get(usize::from(packet[0] & 15) * 4..end)?;
    let options = (gre.first()? & 0xb0).count_ones() as usize * 4;
    if word16(gre, 2)? == NHRP { gre.get(4 + options..) } else { None }
}

/// The NHRP packets of a pcap file, in order.
pub(crate) fn nhrp_packets(file: &[u8]) -> Vec<Vec<u8>> {
    let packets = frames(file).into_iter().filter_map(|(kind, frame)| nhrp_packet(kind, frame));
    packets.map(<[u8]>::to_vec).collect()
}

pub(crate) fn hex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}
