//! Network address translators of the usual kinds, in the terms of RFC 3489 §5.

use alloc::collections::BTreeMap;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use dmvpn_core::Transport;

/// How a translator maps and filters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NatKind {
    /// One address outside for one inside, ports and protocols as they are, both directions: the
    /// static translation in front of a hub.
    OneToOne,
    /// Whoever knows the mapping may use it.
    FullCone,
    /// Who was sent something may answer, from any port.
    Restricted,
    /// Who was sent something may answer, from that port.
    PortRestricted,
    /// Each destination sees another mapping, which only it may use.
    Symmetric,
}

/// A translator's settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NatSettings {
    /// Its kind.
    pub kind: NatKind,
    /// Its address outside.
    pub outside: IpAddr,
    /// Silence after which a mapping goes.
    pub timeout: Duration,
    /// Whether packets from outside count against silence.
    pub inbound_refreshes: bool,
    /// Whether a port stays as it is if it is free.
    pub preserves_ports: bool,
    /// The first port to be given out otherwise.
    pub first_port: u16,
}

/// Who is inside: the number of a site, and its own address and port.
type Inside = (usize, SocketAddr);

#[derive(Clone, Debug)]
struct Mapping {
    inside: Inside,
    /// The one destination that it is for, of a symmetric translator.
    only: Option<SocketAddr>,
    /// Who was sent something.
    sent_to: BTreeMap<SocketAddr, Duration>,
    used: Duration,
}

/// A translator with its mappings.
#[derive(Clone, Debug)]
pub struct Nat {
    settings: NatSettings,
    by_port: BTreeMap<u16, Mapping>,
    by_inside: BTreeMap<(Inside, Option<SocketAddr>), u16>,
    next_port: u16,
    /// The site behind a one-to-one translator.
    only: Option<usize>,
}

impl Nat {
    /// A translator without mappings.
    #[must_use]
    pub const fn new(settings: NatSettings) -> Self {
        Self {
            settings,
            by_port: BTreeMap::new(),
            by_inside: BTreeMap::new(),
            next_port: settings.first_port,
            only: None,
        }
    }

    /// Its settings.
    #[must_use]
    pub const fn settings(&self) -> &NatSettings {
        &self.settings
    }

    /// The site that a one-to-one translator is in front of.
    pub const fn stand_before(&mut self, site: usize) {
        self.only = Some(site);
    }

    /// It forgets its mappings, as after a reboot: the next packets get other ports.
    pub fn rebind(&mut self) {
        self.by_port.clear();
        self.by_inside.clear();
    }

    /// It has another address outside from now on, and no mappings.
    pub fn readdress(&mut self, outside: IpAddr) {
        self.settings.outside = outside;
        self.rebind();
    }

    /// A packet on its way out: the source address that the world sees.
    pub fn outwards(
        &mut self,
        now: Duration,
        inside: Inside,
        remote: SocketAddr,
        transport: Transport,
    ) -> Option<SocketAddr> {
        let outside = self.settings.outside;
        if self.settings.kind == NatKind::OneToOne {
            return Some(SocketAddr::new(outside, inside.1.port()));
        }
        // Protocols without ports do not pass.
        if matches!(transport, Transport::Esp | Transport::Gre) {
            return None;
        }
        let only = (self.settings.kind == NatKind::Symmetric).then_some(remote);
        let known = self.by_inside.get(&(inside, only)).copied();
        let port = match known.filter(|port| self.is_live(now, *port)) {
            Some(port) => port,
            None => self.map(now, inside, only)?,
        };
        let mapping = self.by_port.get_mut(&port)?;
        mapping.used = now;
        mapping.sent_to.insert(remote, now);
        Some(SocketAddr::new(outside, port))
    }

    /// A packet on its way in: whose it is.
    pub fn inwards(
        &mut self,
        now: Duration,
        port: u16,
        remote: SocketAddr,
        own: impl Fn(usize) -> IpAddr,
    ) -> Option<Inside> {
        if self.settings.kind == NatKind::OneToOne {
            let site = self.only?;
            return Some((site, SocketAddr::new(own(site), port)));
        }
        if !self.is_live(now, port) {
            return None;
        }
        let NatSettings { kind, timeout, inbound_refreshes, .. } = self.settings;
        let mapping = self.by_port.get_mut(&port)?;
        let recent = |at: &Duration| now.saturating_sub(*at) < timeout;
        let permitted = match kind {
            NatKind::OneToOne | NatKind::FullCone => true,
            NatKind::Restricted => mapping
                .sent_to
                .iter()
                .any(|(sent_to, at)| sent_to.ip() == remote.ip() && recent(at)),
            NatKind::PortRestricted => mapping.sent_to.get(&remote).is_some_and(recent),
            NatKind::Symmetric => mapping.only == Some(remote),
        };
        if !permitted {
            return None;
        }
        if inbound_refreshes {
            mapping.used = now;
            if let Some(at) = mapping.sent_to.get_mut(&remote) {
                *at = now;
            }
        }
        Some(mapping.inside)
    }

    fn is_live(&self, now: Duration, port: u16) -> bool {
        self.by_port
            .get(&port)
            .is_some_and(|mapping| now.saturating_sub(mapping.used) < self.settings.timeout)
    }

    fn map(&mut self, now: Duration, inside: Inside, only: Option<SocketAddr>) -> Option<u16> {
        let wanted = inside.1.port();
        let port = if self.settings.preserves_ports && !self.is_live(now, wanted) {
            wanted
        } else {
            self.free_port(now)?
        };
        if let Some(before) = self.by_port.remove(&port) {
            let name = (before.inside, before.only);
            if self.by_inside.get(&name) == Some(&port) {
                self.by_inside.remove(&name);
            }
        }
        self.by_inside.insert((inside, only), port);
        self.by_port.insert(port, Mapping { inside, only, sent_to: BTreeMap::new(), used: now });
        Some(port)
    }

    fn free_port(&mut self, now: Duration) -> Option<u16> {
        for _ in 0..u16::MAX {
            let port = self.next_port;
            self.next_port = self.next_port.checked_add(1).unwrap_or(1024).max(1024);
            if !self.is_live(now, port) {
                return Some(port);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HUB: &str = "192.0.2.1:500";
    const MINUTE: Duration = Duration::from_secs(60);

    fn socket(text: &str) -> SocketAddr {
        text.parse().expect("a socket address")
    }

    fn nat(kind: NatKind) -> Nat {
        Nat::new(NatSettings {
            kind,
            outside: "203.0.113.1".parse().expect("an address"),
            timeout: MINUTE,
            inbound_refreshes: false,
            preserves_ports: false,
            first_port: 20_000,
        })
    }

    fn out(nat: &mut Nat, at: u64, site: usize, remote: &str) -> SocketAddr {
        let inside = (site, socket("192.168.0.1:500"));
        let now = Duration::from_secs(at);
        let outside = nat.outwards(now, inside, socket(remote), Transport::Isakmp);
        outside.expect("udp passes")
    }

    fn back(nat: &mut Nat, at: u64, port: u16, remote: &str) -> Option<usize> {
        let own = |_| "192.168.0.1".parse().expect("an address");
        nat.inwards(Duration::from_secs(at), port, socket(remote), own).map(|inside| inside.0)
    }

    #[test]
    fn each_kind_filters_as_its_name_says() {
        let others = [HUB, "192.0.2.1:501", "192.0.2.2:500"];
        for (kind, may) in [
            (NatKind::FullCone, [true, true, true]),
            (NatKind::Restricted, [true, true, false]),
            (NatKind::PortRestricted, [true, false, false]),
            (NatKind::Symmetric, [true, false, false]),
        ] {
            let mut nat = nat(kind);
            let port = out(&mut nat, 0, 0, HUB).port();
            for (other, may) in others.iter().zip(may) {
                assert_eq!(back(&mut nat, 1, port, other).is_some(), may, "{kind:?} {other}");
            }
        }
    }

    #[test]
    fn mappings_differ_by_site_and_where_symmetric_by_destination() {
        for (kind, differ) in [(NatKind::FullCone, false), (NatKind::Symmetric, true)] {
            let mut nat = nat(kind);
            let first = out(&mut nat, 0, 0, HUB);
            assert_eq!(out(&mut nat, 0, 0, HUB), first);
            assert_eq!(out(&mut nat, 0, 0, "192.0.2.2:500") != first, differ);
            assert_ne!(out(&mut nat, 0, 1, HUB), first);
        }
    }

    #[test]
    fn a_mapping_goes_with_silence_and_with_a_reboot() {
        let mut nat = nat(NatKind::FullCone);
        let port = out(&mut nat, 0, 0, HUB).port();
        assert_eq!(back(&mut nat, 59, port, HUB), Some(0));
        assert_eq!(back(&mut nat, 60, port, HUB), None, "packets from outside do not count");
        let other = out(&mut nat, 61, 0, HUB).port();
        assert_ne!(other, port);
        nat.rebind();
        assert_eq!(back(&mut nat, 62, other, HUB), None);
        assert_ne!(out(&mut nat, 63, 0, HUB).port(), other);
    }

    #[test]
    fn protocols_without_ports_pass_only_one_to_one() {
        let inside = (0, socket("192.168.0.1:0"));
        let esp = |nat: &mut Nat| nat.outwards(MINUTE, inside, socket(HUB), Transport::Esp);
        assert_eq!(esp(&mut nat(NatKind::FullCone)), None);
        let mut before_hub = nat(NatKind::OneToOne);
        before_hub.stand_before(0);
        assert_eq!(esp(&mut before_hub), Some(socket("203.0.113.1:0")));
        assert_eq!(back(&mut before_hub, 0, 4500, "198.51.100.7:1"), Some(0));
    }

    #[test]
    fn ports_are_kept_while_they_are_free() {
        let settings = NatSettings { preserves_ports: true, ..*nat(NatKind::FullCone).settings() };
        let mut nat = Nat::new(settings);
        assert_eq!(out(&mut nat, 0, 0, HUB).port(), 500);
        assert_eq!(out(&mut nat, 1, 1, HUB).port(), 20_000);
    }
}
