//! The packets inside the tunnels.

use core::net::{IpAddr, Ipv4Addr};

use super::Cloud;
use crate::broken::Invariant;

/// What inner packets carry, so that it can be searched for on the underlay.
pub const MARKER: &[u8; 16] = b"seen in clear!!!";

/// The header, the number and the marker.
const LEAST: usize = 20 + 8 + MARKER.len();

/// What an inner packet says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inner {
    /// Where it goes.
    pub destination: IpAddr,
    /// Its number, which no other has.
    pub number: u64,
}

impl Inner {
    /// As an IPv4 packet of so many octets, at least the header, the number and the marker.
    #[must_use]
    pub fn to_packet(self, source: IpAddr, octets: usize) -> Vec<u8> {
        let v4 = |address| match address {
            IpAddr::V4(address) => address,
            IpAddr::V6(_) => Ipv4Addr::UNSPECIFIED,
        };
        let length = octets.max(LEAST);
        let total = u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes();
        let mut packet = vec![0x45, 0, total[0], total[1], 0, 0, 0, 0, 64, 253, 0, 0];
        packet.extend_from_slice(&v4(source).octets());
        packet.extend_from_slice(&v4(self.destination).octets());
        packet.extend_from_slice(&self.number.to_be_bytes());
        packet.extend_from_slice(MARKER);
        packet.resize(length, b'.');
        packet
    }

    /// From an IPv4 packet.
    #[must_use]
    pub fn from_packet(packet: &[u8]) -> Option<Self> {
        let destination = packet.get(16..20)?.first_chunk::<4>()?;
        let number = packet.get(20..28)?.first_chunk::<8>()?;
        (packet.get(28..LEAST)? == MARKER).then_some(Self {
            destination: Ipv4Addr::from(*destination).into(),
            number: u64::from_be_bytes(*number),
        })
    }
}

impl Cloud<'_> {
    /// Sends an inner packet from one site to another, one of which is a hub, and returns its
    /// number.
    pub fn send(&mut self, from: usize, to: usize, octets: usize) -> u64 {
        let hub = from.min(to);
        let source = self.scenario.tunnel_address(from, hub);
        let destination = self.scenario.tunnel_address(to, hub);
        let number = self.number(destination);
        let packet = Inner { destination, number }.to_packet(source, octets);
        if let Some((router, now)) = self.awake(from) {
            let transmit = router.send(now, destination, &packet);
            if let Some(transmit) = transmit {
                self.enter(from, transmit);
            }
            self.settle(from);
        }
        number
    }

    /// Sends an inner packet from a hub to everybody who gets multicast, and returns its number.
    pub fn multicast(&mut self, hub: usize) -> u64 {
        let group = Ipv4Addr::new(224, 0, 0, 10).into();
        let number = self.number(group);
        let source = self.scenario.tunnel_address(hub, hub);
        let packet = Inner { destination: group, number }.to_packet(source, 0);
        if let Some((router, now)) = self.awake(hub) {
            let copies = router.multicast(now, &packet);
            for copy in copies {
                self.enter(hub, copy);
            }
            self.settle(hub);
        }
        number
    }

    fn number(&mut self, destination: IpAddr) -> u64 {
        let number = self.next_inner;
        self.next_inner += 1;
        self.inner.insert(number, destination);
        number
    }

    /// Whether an inner packet came out at a site.
    #[must_use]
    pub fn has_arrived(&self, number: u64, site: usize) -> bool {
        self.places.get(site).is_some_and(|place| place.delivered.contains(&number))
    }

    /// Something came out of a site's tunnel.
    pub(super) fn come_out(&mut self, site: usize, packet: &[u8]) {
        self.counts.delivered += 1;
        let Some(inner) = Inner::from_packet(packet) else {
            self.breaks(Invariant::Invented { site });
            return;
        };
        let Inner { destination, number } = inner;
        if self.inner.get(&number) != Some(&destination) {
            self.breaks(Invariant::Invented { site });
            return;
        }
        let hubs = self.scenario.hubs;
        let own = (0..hubs).any(|hub| self.scenario.tunnel_address(site, hub) == destination);
        let multicast = match destination {
            IpAddr::V4(address) => address.is_multicast(),
            IpAddr::V6(_) => false,
        };
        if !own && !multicast {
            self.breaks(Invariant::Misdelivered { site, destination });
        }
        let Some(place) = self.places.get_mut(site) else { return };
        if !place.delivered.insert(number) {
            self.breaks(Invariant::DeliveredTwice { site, number });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inner_packet_is_read_as_it_was_written() {
        let inner = Inner { destination: Ipv4Addr::new(10, 0, 0, 7).into(), number: 12_345 };
        for octets in [0, 44, 45, 1400] {
            let packet = inner.to_packet(Ipv4Addr::new(10, 0, 255, 1).into(), octets);
            assert_eq!(packet.len(), octets.max(LEAST));
            assert_eq!(Inner::from_packet(&packet), Some(inner));
            assert_eq!(Inner::from_packet(&packet[..LEAST - 1]), None);
        }
    }
}
