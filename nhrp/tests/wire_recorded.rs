//! Every NHRP packet between FRR and OpenNHRP peers that was recorded, those included that are not
//! copied into this crate.

#[path = "support/captures.rs"]
#[allow(dead_code, reason = "each test uses a part")]
mod captures;

use std::path::Path;

use captures::{nhrp_packets, shared};
use dmvpn_nhrp::wire::{Packet, Parsed};

fn each_capture(folder: &Path, visit: &mut impl FnMut(&Path)) {
    let mut entries: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            each_capture(&path, visit);
        } else if path.extension().is_some_and(|extension| extension == "pcap") {
            visit(&path);
        }
    }
}

#[test]
fn all_are_lossless() {
    let Some(folder) = shared("captures/linux") else { return };
    let (mut files, mut seen) = (0, 0);
    each_capture(&folder, &mut |path| {
        let name = path.display();
        let packets = nhrp_packets(&std::fs::read(path).unwrap());
        files += usize::from(!packets.is_empty());
        for octets in packets {
            seen += 1;
            let packet = Packet::parse(&octets).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(packet.encode().unwrap(), octets, "{name}");
            assert!(Parsed::parse(&octets).unwrap().trailing.is_empty(), "{name}");
        }
    });
    println!("{seen} packets of {files} captures");
    assert!(files >= 12 && seen >= 100, "{seen} packets of {files} captures");
}
