//! A network address and port translator.

use alloc::collections::BTreeMap;
use core::net::{IpAddr, SocketAddr};

use dmvpn_core::Transport;

/// Translates UDP by port; native ESP and GRE only if it is one to one.
pub(crate) struct Nat {
    pub(crate) outside: IpAddr,
    /// The one inside address that has the outside one for itself, in both directions.
    one_to_one: Option<IpAddr>,
    bindings: BTreeMap<SocketAddr, SocketAddr>,
    next_port: u16,
}

impl Nat {
    /// Every inside port gets an outside port of its own, from `first_port` up.
    pub(crate) fn port_translating(outside: IpAddr, first_port: u16) -> Self {
        Self { outside, one_to_one: None, bindings: BTreeMap::new(), next_port: first_port }
    }

    /// Ports stay; protocols without ports pass.
    pub(crate) fn one_to_one(inside: IpAddr, outside: IpAddr) -> Self {
        Self { one_to_one: Some(inside), ..Self::port_translating(outside, 0) }
    }

    /// Forgets its bindings, as after a reboot: the next packets get new ports.
    pub(crate) fn rebind(&mut self) {
        self.bindings.clear();
    }

    pub(crate) fn outwards(
        &mut self,
        inside: SocketAddr,
        transport: Transport,
    ) -> Option<SocketAddr> {
        if self.one_to_one.is_some() {
            return Some(SocketAddr::new(self.outside, inside.port()));
        }
        if matches!(transport, Transport::Esp | Transport::Gre) {
            return None;
        }
        if let Some(outside) = self.bindings.get(&inside) {
            return Some(*outside);
        }
        let outside = SocketAddr::new(self.outside, self.next_port);
        self.next_port += 1;
        self.bindings.insert(inside, outside);
        Some(outside)
    }

    /// Where a packet to `outside` goes, if anybody's binding says.
    pub(crate) fn inwards(&self, outside: SocketAddr) -> Option<SocketAddr> {
        if let Some(inside) = self.one_to_one {
            return Some(SocketAddr::new(inside, outside.port()));
        }
        let binding = self.bindings.iter().find(|(_, bound)| **bound == outside);
        binding.map(|(inside, _)| *inside)
    }
}
