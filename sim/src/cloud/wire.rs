//! Packets on the underlay: translation, weather, delivery.

use core::net::SocketAddr;

use bytes::Bytes;
use dmvpn_core::{Transport, Underlay};

use super::{Cloud, Event, MARKER, Owner, STRANGER, Sent};
use crate::broken::Invariant;
use crate::dice::Dice;
use crate::scenario::Driver;
use crate::underlay::Arrival;

/// How many packets of each site are remembered, for who repeats them.
const REMEMBERED: usize = 64;

pub(super) fn any_transport(dice: &mut Dice) -> Transport {
    match dice.below(4) {
        0 => Transport::Isakmp,
        1 => Transport::NatT,
        2 => Transport::Esp,
        _ => Transport::Gre,
    }
}

pub(super) const fn port(transport: Transport) -> u16 {
    match transport {
        Transport::Isakmp => 500,
        Transport::NatT => 4500,
        Transport::Esp | Transport::Gre => 0,
    }
}

pub(super) fn octet(dice: &mut Dice) -> u8 {
    let [octet, ..] = dice.next().to_be_bytes();
    octet
}

/// Octets in front of what a datagram carries.
const fn header_len(transport: Transport) -> usize {
    match transport {
        Transport::Isakmp | Transport::NatT => 28,
        Transport::Esp | Transport::Gre => 20,
    }
}

impl Cloud<'_> {
    /// A packet of a site's router enters the underlay.
    pub(super) fn enter_underlay(&mut self, site: usize, mut underlay: Underlay, packet: &Bytes) {
        self.counts.packets += 1;
        if underlay.transport == Transport::Gre || shows(packet) {
            self.breaks(Invariant::ClearText { site });
            return;
        }
        let nat = self.scenario.sites.get(site).and_then(|site| site.nat);
        if let Some(nat) = nat.and_then(|nat| self.nats.get_mut(nat)) {
            let inside = (site, underlay.local);
            let outside = nat.outwards(self.now, inside, underlay.remote, underlay.transport);
            let Some(outside) = outside else { return };
            underlay.local = outside;
        }
        let other = match self.owners.get(&underlay.remote.ip()) {
            Some(Owner::Site(site)) => Some(*site),
            // Whose it is turns out when the packet is there: until then its own weather counts.
            Some(Owner::Nat(_)) => None,
            None => return,
        };
        let Some(place) = self.places.get(site) else { return };
        let mut weather = place.weather;
        if let Some(other) = other.and_then(|other| self.places.get(other)) {
            weather = weather.then(other.weather);
        }
        let octets = packet.len() + header_len(underlay.transport);
        let Some(place) = self.places.get_mut(site) else { return };
        let fate = weather.fate(octets, &mut place.dice);
        let number = place.sent_number;
        place.sent_number += 1;
        place.sent.push_back(Sent { number, underlay, packet: packet.clone(), arrived: false });
        if place.sent.len() > REMEMBERED {
            place.sent.pop_front();
        }
        for Arrival { after, damaged, cut } in fate.copies {
            let altered = altered(packet, damaged, cut);
            let of = (altered == *packet).then_some((site, number));
            self.schedule(self.now + after, Event::Deliver { underlay, packet: altered, of });
        }
    }

    /// A packet is where its destination address says: `local` is still the sender.
    pub(super) fn deliver(&mut self, underlay: Underlay, packet: &Bytes, of: Option<(usize, u64)>) {
        let Underlay { local: sender, remote: to, .. } = underlay;
        let (site, to) = match self.owners.get(&to.ip()) {
            Some(Owner::Site(site)) => (*site, to),
            Some(Owner::Nat(nat)) => {
                let places = &self.places;
                let own =
                    |site: usize| places.get(site).map_or_else(|| to.ip(), |place| place.address);
                let Some(nat) = self.nats.get_mut(*nat) else { return };
                let inside = nat.inwards(self.now, to.port(), sender, own);
                let Some((site, inside)) = inside else { return };
                // The site may have moved since.
                if own(site) != inside.ip() {
                    return;
                }
                (site, inside)
            }
            None => return,
        };
        if self.is_cut_off(sender, site) {
            return;
        }
        if self.awake(site).is_some() {
            self.heard(site, sender, of);
        }
        let nervous = self.scenario.settings.driver == Driver::Nervous;
        let mut data = core::mem::take(&mut self.scratch);
        data.clear();
        data.extend_from_slice(packet);
        let mut came_out = None;
        if let Some((router, now)) = self.awake(site) {
            let seen = Underlay { local: to, remote: sender, ..underlay };
            came_out = router.handle_packet(now, seen, &mut data);
            if nervous {
                router.handle_timeout(now);
            }
        }
        if let Some(inner) = came_out.and_then(|range| data.get(range)) {
            self.come_out(site, inner);
        }
        self.scratch = data;
        self.settle(site);
    }

    /// Remembers that a site's router gets a packet, and whether it was news that came from a
    /// stranger.
    fn heard(&mut self, site: usize, sender: SocketAddr, of: Option<(usize, u64)>) {
        let Some((from, number)) = of else { return };
        let translated = self.scenario.settings.force_encapsulation
            || self.scenario.sites.get(from).is_some_and(|from| from.nat.is_some());
        let Some(place) = self.places.get_mut(from) else { return };
        let Some(sent) = place.sent.iter_mut().find(|sent| sent.number == number) else { return };
        let news = !core::mem::replace(&mut sent.arrived, true);
        if news && translated && sender.ip() == STRANGER {
            place.led_away.insert(site);
        }
    }

    /// Whether a partition is between the sender of a packet and a site.
    fn is_cut_off(&self, sender: SocketAddr, to: usize) -> bool {
        if self.partitions.is_empty() {
            return false;
        }
        let from = |site: usize| {
            self.places.get(site).is_some_and(|place| place.outside.contains(&sender.ip()))
        };
        self.partitions.values().any(|(one, other, one_way)| {
            let towards_one = to == *one && other.is_none_or(from);
            let from_one = from(*one) && other.is_none_or(|other| to == other);
            from_one || (towards_one && !one_way)
        })
    }
}

/// Whether an inner packet can be read in it.
fn shows(packet: &[u8]) -> bool {
    let [first, ..] = MARKER;
    packet.iter().enumerate().any(|(at, octet)| {
        octet == first && packet.get(at..).is_some_and(|rest| rest.starts_with(MARKER))
    })
}

fn altered(packet: &Bytes, damaged: Option<u64>, cut: Option<u64>) -> Bytes {
    if damaged.is_none() && cut.is_none() {
        return packet.clone();
    }
    let mut octets = packet.to_vec();
    let length = (octets.len() as u64).max(1);
    if let Some(bit) = damaged {
        let at = usize::try_from(bit % length).unwrap_or(0);
        if let Some(octet) = octets.get_mut(at) {
            *octet ^= 1 << ((bit >> 32) & 7);
        }
    }
    if let Some(cut) = cut {
        octets.truncate(usize::try_from(cut % length).unwrap_or(0));
    }
    octets.into()
}
