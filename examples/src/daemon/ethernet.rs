//! Ethernet on a tunnel's TAP: how the kernel's choice of a next hop reaches the node.
//!
//! The kernel routes, and asks by ARP who has the next hop. Whoever can be reached is answered with
//! a hardware address that holds the next hop's IPv4 address, so that each frame says where it is to
//! go: there is no table of neighbours here that could be wrong.

use alloc::borrow::Cow;
use core::net::Ipv4Addr;
use core::ops::Range;

use etherparse::{
    ArpEthIpv4Packet, ArpOperation, ArpPacket, EtherType, Ethernet2Header, Ethernet2HeaderSlice,
};

/// Octets of the header in front of a packet.
pub const HEADER: usize = Ethernet2Header::LEN;

/// A hardware address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// Locally administered, unicast; the octets of the next hop's address follow.
    const NEXT_HOP: [u8; 2] = [0x02, 0x00];

    /// All stations.
    pub const BROADCAST: Self = Self([0xff; 6]);

    /// The address that stands for a next hop.
    #[must_use]
    pub const fn of(next_hop: Ipv4Addr) -> Self {
        let [a, b, c, d] = next_hop.octets();
        let [first, second] = Self::NEXT_HOP;
        Self([first, second, a, b, c, d])
    }

    /// The next hop that it stands for; `None` for any other address.
    #[must_use]
    pub fn next_hop(self) -> Option<Ipv4Addr> {
        let Self([first, second, a, b, c, d]) = self;
        ([first, second] == Self::NEXT_HOP).then(|| Ipv4Addr::new(a, b, c, d))
    }

    /// Where a frame for an IPv4 group goes (RFC 1112 §6.4).
    #[must_use]
    pub const fn of_group(group: Ipv4Addr) -> Self {
        let [_, b, c, d] = group.octets();
        Self([0x01, 0x00, 0x5e, b & 0x7f, c, d])
    }

    /// Broadcast or multicast.
    #[must_use]
    pub const fn is_group(self) -> bool {
        self.0[0] & 1 != 0
    }
}

/// What a frame that the kernel sent is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// A question for a next hop's hardware address.
    Arp(Question),
    /// A packet for one next hop. It starts behind the header.
    Unicast(Ipv4Addr),
    /// A packet for every peer. It starts behind the header.
    Group,
}

/// Why a frame goes nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoFrame {
    /// Less than a header, or less than the header announces.
    #[error("a frame of {0} octets is too short")]
    TooShort(usize),
    /// Neither IPv4 nor ARP. IPv6 inside a tunnel of the daemon is not offered.
    #[error("ethertype {0:#06x} is not carried")]
    EtherType(u16),
    /// ARP that asks nothing of us: a reply, an announcement, a probe, another hardware.
    #[error("arp that asks for no next hop")]
    Arp,
    /// The destination is no address that was ever answered.
    #[error("destination {0:?} is no next hop")]
    Destination(Mac),
}

impl Frame {
    /// Reads a frame, and who sent it: the device itself.
    ///
    /// # Errors
    ///
    /// [`NoFrame`].
    pub fn parse(octets: &[u8]) -> Result<(Mac, Self), NoFrame> {
        let too_short = NoFrame::TooShort(octets.len());
        let header = Ethernet2HeaderSlice::from_slice(octets).map_err(|_| too_short)?;
        let rest = octets.get(HEADER..).unwrap_or_default();
        let (source, destination) = (Mac(header.source()), Mac(header.destination()));
        let frame = match header.ether_type() {
            EtherType::ARP => Self::Arp(Question::parse(rest)?),
            EtherType::IPV4 if destination.is_group() => Self::Group,
            EtherType::IPV4 => {
                Self::Unicast(destination.next_hop().ok_or(NoFrame::Destination(destination))?)
            }
            other => return Err(NoFrame::EtherType(other.0)),
        };
        Ok((source, frame))
    }
}

/// An ARP request of the kernel (RFC 826).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    asking: Mac,
    own: Ipv4Addr,
    /// Whose hardware address is asked for.
    pub next_hop: Ipv4Addr,
}

impl Question {
    fn parse(octets: &[u8]) -> Result<Self, NoFrame> {
        let packet = ArpPacket::from_slice(octets).map_err(|_| NoFrame::TooShort(octets.len()))?;
        let packet = packet.try_eth_ipv4().map_err(|_| NoFrame::Arp)?;
        let (own, next_hop) = (packet.sender_ipv4_addr(), packet.target_ipv4_addr());
        // An announcement asks for its own address, a probe for one that it does not have yet
        // (RFC 5227 §1.1): an answer to it would mean a conflict.
        let asks = packet.operation == ArpOperation::REQUEST
            && own != next_hop
            && !own.is_unspecified()
            && !next_hop.is_multicast()
            && !next_hop.is_broadcast()
            && !next_hop.is_unspecified();
        asks.then_some(Self { asking: Mac(packet.sender_mac), own, next_hop }).ok_or(NoFrame::Arp)
    }

    /// The frame that answers it.
    #[must_use]
    pub fn answer(&self) -> [u8; HEADER + ArpEthIpv4Packet::LEN] {
        let mac = Mac::of(self.next_hop);
        let packet = ArpEthIpv4Packet {
            operation: ArpOperation::REPLY,
            sender_mac: mac.0,
            sender_ipv4: self.next_hop.octets(),
            target_mac: self.asking.0,
            target_ipv4: self.own.octets(),
        };
        let mut frame = [0; HEADER + ArpEthIpv4Packet::LEN];
        let (header, body) = frame.split_at_mut(HEADER);
        header.copy_from_slice(&self::header(self.asking, mac, EtherType::ARP));
        body.copy_from_slice(&packet.to_bytes());
        frame
    }
}

/// The header of a frame that brings an IPv4 packet to the device with this address.
///
/// What goes to a group keeps its group, so that a sniffer on the device sees what it expects. The
/// kernel does not look at the source, which is the same for every peer.
#[must_use]
pub fn towards(device: Mac, destination: Ipv4Addr) -> [u8; HEADER] {
    let to = if destination.is_multicast() {
        Mac::of_group(destination)
    } else if destination.is_broadcast() {
        Mac::BROADCAST
    } else {
        device
    };
    header(to, Mac::of(Ipv4Addr::UNSPECIFIED), EtherType::IPV4)
}

/// The frame that brings an IPv4 packet, at `packet` of `data`, to the device with this address;
/// `None` if it is none.
///
/// Its header goes where the tunnel's headers were. Those of ESP are longer; GRE alone is shorter
/// (RFC 2890 §2: 8 octets with a key), so that what came in clear is copied.
pub fn framed(device: Mac, data: &mut [u8], packet: Range<usize>) -> Option<Cow<'_, [u8]>> {
    let octets = data.get(packet.clone())?;
    let destination = octets.get(16..)?.first_chunk::<4>()?;
    if octets.first()? >> 4 != 4 {
        return None;
    }
    let header = towards(device, Ipv4Addr::from(*destination));
    let Some(start) = packet.start.checked_sub(HEADER) else {
        return Some(Cow::Owned([&header[..], octets].concat()));
    };
    data.get_mut(start..packet.start)?.copy_from_slice(&header);
    data.get(start..packet.end).map(Cow::Borrowed)
}

fn header(destination: Mac, source: Mac, ether_type: EtherType) -> [u8; HEADER] {
    Ethernet2Header { destination: destination.0, source: source.0, ether_type }.to_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DEVICE: Mac = Mac([0x5e, 1, 2, 3, 4, 5]);
    const OWN: Ipv4Addr = Ipv4Addr::new(10, 1, 1, 254);
    const SPOKE: Ipv4Addr = Ipv4Addr::new(10, 1, 1, 1);

    /// "Who has 10.1.1.1? Tell 10.1.1.254", laid out by hand from RFC 826.
    fn request() -> Vec<u8> {
        let mut frame = vec![0xff; 6];
        frame.extend(DEVICE.0);
        frame.extend([0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, 1]);
        frame.extend(DEVICE.0);
        frame.extend([10, 1, 1, 254, 0, 0, 0, 0, 0, 0, 10, 1, 1, 1]);
        frame
    }

    #[test]
    fn a_request_is_answered_with_the_next_hop_in_the_address() {
        let Ok((DEVICE, Frame::Arp(question))) = Frame::parse(&request()) else { panic!() };
        assert_eq!(question.next_hop, SPOKE);
        let mut expected = DEVICE.0.to_vec();
        expected.extend([2, 0, 10, 1, 1, 1, 0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, 2]);
        expected.extend([2, 0, 10, 1, 1, 1, 10, 1, 1, 1]);
        expected.extend(DEVICE.0);
        expected.extend([10, 1, 1, 254]);
        assert_eq!(question.answer()[..], expected[..]);
    }

    #[test]
    fn an_announcement_a_probe_and_a_reply_ask_for_nothing() {
        let mut announcement = request();
        announcement[38..42].copy_from_slice(&OWN.octets());
        let mut probe = request();
        probe[28..32].fill(0);
        let mut reply = request();
        reply[21] = 2;
        let mut hardware = request();
        hardware[15] = 6;
        for frame in [announcement, probe, reply, hardware] {
            assert_eq!(Frame::parse(&frame), Err(NoFrame::Arp));
        }
    }

    #[test]
    fn data_goes_where_its_address_says() {
        let frame = |destination: Mac, ether_type: u16| {
            [&destination.0[..], &DEVICE.0, &ether_type.to_be_bytes(), &[0x45]].concat()
        };
        let parse = |frame: Vec<u8>| Frame::parse(&frame).map(|(_, frame)| frame);
        assert_eq!(parse(frame(Mac::of(SPOKE), 0x0800)), Ok(Frame::Unicast(SPOKE)));
        assert_eq!(parse(frame(Mac::BROADCAST, 0x0800)), Ok(Frame::Group));
        let eigrp = Mac::of_group(Ipv4Addr::new(224, 0, 0, 10));
        assert_eq!(eigrp, Mac([0x01, 0x00, 0x5e, 0, 0, 10]));
        assert_eq!(parse(frame(eigrp, 0x0800)), Ok(Frame::Group));
        assert_eq!(parse(frame(DEVICE, 0x0800)), Err(NoFrame::Destination(DEVICE)));
        assert_eq!(parse(frame(eigrp, 0x86dd)), Err(NoFrame::EtherType(0x86dd)));
    }

    #[test]
    fn frames_to_the_kernel_keep_their_group() {
        let [to @ .., _, _, _, _, _, _, high, low] = towards(DEVICE, OWN);
        assert_eq!((to, [high, low]), (DEVICE.0, [0x08, 0]));
        let group = towards(DEVICE, Ipv4Addr::new(239, 129, 2, 3));
        assert_eq!(group[..6], [0x01, 0, 0x5e, 1, 2, 3]);
        assert_eq!(towards(DEVICE, Ipv4Addr::BROADCAST)[..6], [0xff; 6]);
    }

    /// Room in front of a packet: GRE with and without a key, ESP and more.
    #[test]
    fn a_packet_is_framed_whatever_stood_in_front_of_it() {
        let mut packet = vec![0x45; 28];
        packet[16..20].copy_from_slice(&OWN.octets());
        let expected = [&towards(DEVICE, OWN)[..], &packet].concat();
        for room in [0, 4, 8, 13, 14, 40] {
            let mut data = [&vec![0xaa; room][..], &packet, b"trailer"].concat();
            let range = room..room + packet.len();
            let frame = framed(DEVICE, &mut data, range).unwrap();
            assert_eq!(*frame, expected[..], "{room}");
            assert_eq!(matches!(frame, Cow::Borrowed(_)), room >= HEADER);
        }
    }

    #[test]
    fn what_is_no_ipv4_packet_is_not_framed_as_one() {
        let mut data = vec![0x45; 60];
        assert_eq!(framed(DEVICE, &mut data, 20..39), None);
        assert_eq!(framed(DEVICE, &mut data, 20..61), None);
        data[20] = 0x60;
        assert_eq!(framed(DEVICE, &mut data, 20..60), None);
    }

    #[test]
    fn a_truncated_question_is_none() {
        let request = request();
        for length in 0..request.len() {
            assert!(matches!(Frame::parse(&request[..length]), Err(NoFrame::TooShort(_))));
        }
    }

    proptest! {
        #[test]
        fn an_address_comes_back_from_its_mac(octets in any::<[u8; 4]>()) {
            let address = Ipv4Addr::from(octets);
            prop_assert_eq!(Mac::of(address).next_hop(), Some(address));
            prop_assert!(!Mac::of(address).is_group());
        }

        #[test]
        fn any_octets_parse_or_do_not(octets in prop::collection::vec(any::<u8>(), 0..80)) {
            let _either = Frame::parse(&octets);
        }
    }
}
