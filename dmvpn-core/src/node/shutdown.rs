//! A tunnel goes down in order.
//!
//! ```text
//!  up, down ── shutdown: NHRP purge ──▶  shutting down ── its replies, or 1 s ──▶  administratively down:
//!                                                      ── shutdown again ──────▶  ISAKMP deletes
//! ```

use alloc::vec::Vec;

use dmvpn_time::Instant;

use super::Node;
use crate::interface::InterfaceState;
use crate::tunnel::TunnelId;

impl Node {
    /// `shutdown`: says goodbye to NHRP, then to ISAKMP, and forgets the tunnel's peers.
    ///
    /// The delete that ends a security association may overtake the purge that it carries. So the
    /// tunnel stays [`ShuttingDown`](InterfaceState::ShuttingDown) until the next hop servers have
    /// replied, a second at most; called again then, it waits no longer.
    pub fn shutdown(&mut self, now: Instant, id: TunnelId) {
        let now = self.latest.observe(now);
        match self.interface_state(id) {
            None | Some(InterfaceState::AdministrativelyDown) => return,
            Some(InterfaceState::ShuttingDown) => self.finish_shutdown(now, id),
            Some(InterfaceState::Down | InterfaceState::Up) => {
                self.with_nhrp(now, id, dmvpn_nhrp::Endpoint::interface_down);
                // The purge goes out while there are security associations to carry it.
                self.settle(now);
                self.line_down(now, id);
                if let Some(tunnel) = self.tunnels.get_mut(&id) {
                    tunnel.interface = InterfaceState::ShuttingDown;
                }
            }
        }
        self.settle(now);
    }

    /// The second half of `shutdown`, if the first is done.
    pub(super) fn finish_shutdown(&mut self, now: Instant, id: TunnelId) {
        let Some(tunnel) = self.tunnels.get_mut(&id) else { return };
        if tunnel.interface != InterfaceState::ShuttingDown {
            return;
        }
        tunnel.interface = InterfaceState::AdministrativelyDown;
        match tunnel.protection {
            Some(protection) => self.leave_protection(now, id, protection),
            None => self.forget_clear_peers(id),
        }
    }

    /// Tunnels whose NHRP has nothing more to wait for go down; whether there were any.
    pub(super) fn finish_shutdowns(&mut self, now: Instant) -> bool {
        let done: Vec<TunnelId> = self
            .tunnels
            .iter()
            .filter(|(_, tunnel)| {
                tunnel.interface == InterfaceState::ShuttingDown && !tunnel.nhrp.is_leaving()
            })
            .map(|(id, _)| *id)
            .collect();
        for id in &done {
            self.finish_shutdown(now, *id);
        }
        !done.is_empty()
    }

    /// `no interface tunnel`: shuts the tunnel down, without waiting for anybody, and removes it.
    pub fn remove_tunnel(&mut self, now: Instant, id: TunnelId) {
        let now = self.latest.observe(now);
        self.shutdown(now, id);
        // Again, if it waits.
        self.shutdown(now, id);
        if let Some(tunnel) = self.tunnels.remove(&id) {
            self.by_key.remove(&(tunnel.config.source, tunnel.config.key));
            if let Some(protection) = tunnel.protection
                && !self.tunnels.values().any(|other| other.protection == Some(protection))
            {
                self.protections.remove(&protection);
            }
        }
    }
}
