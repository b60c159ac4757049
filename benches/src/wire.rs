//! Messages to parse and build: a GRE header, an NHRP registration, and the first message of main mode.

use dmvpn_gre::{Header, ProtocolType};
use dmvpn_isakmp::wire::Message;
use dmvpn_nhrp::wire::Packet;

/// The registration of the guide's spoke, 108 octets and more.
pub static NHRP: &[u8] = include_bytes!("../../nhrp/tests/data/regreq_65540.bin");
/// The first message of a main mode with the guide's suite.
pub static ISAKMP: &[u8] = include_bytes!("../../isakmp/tests/data/seed/mm1.bin");

/// A GRE header with a key.
pub fn gre() -> [u8; 8] {
    let mut octets = [0; 8];
    let header = Header { key: Some(1), ..Header::new(ProtocolType::IPV4) };
    assert_eq!(header.encode(&mut octets), Ok(8));
    octets
}

/// An IPv4 packet with UDP in it: the yardstick, for etherparse.
pub fn udp() -> Vec<u8> {
    let mut packet = Vec::new();
    etherparse::PacketBuilder::ipv4([172, 16, 1, 1], [172, 16, 10, 1], 64)
        .udp(500, 500)
        .write(&mut packet, &[0; 64])
        .expect("a vector takes everything");
    packet
}

/// Parses the registration and builds it again.
pub fn nhrp_round() -> usize {
    let packet = Packet::parse(NHRP).expect("the guide's");
    packet.encode().expect("it was parsed").len()
}

/// Parses the message and builds it again.
pub fn isakmp_round() -> usize {
    let message = Message::parse(ISAKMP).expect("the guide's");
    message.encode().expect("it was parsed").len()
}
