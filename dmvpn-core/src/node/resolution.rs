//! NHRP on each tunnel: its links are the node's peers, its packets go through GRE and ESP.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::ops::{Bound, Range};

use bytes::Bytes;
use dmvpn_gre::ProtocolType;
use dmvpn_nhrp::{Link, LinkId};
use dmvpn_time::Instant;

use super::Node;
use super::outbound::{Carried, Encapsulated};
use crate::error::Discard;
use crate::event::Event;
use crate::interface::InterfaceState;
use crate::peer::{PeerId, Whereabouts};
use crate::trace::Record;
use crate::traffic_class;
use crate::tunnel::TunnelId;
use crate::underlay::Transmit;

impl Node {
    /// Calls a tunnel's NHRP endpoint and moves its records into the ring at once, so that they
    /// stand where they were made.
    pub(super) fn with_nhrp<R>(
        &mut self,
        now: Instant,
        id: TunnelId,
        call: impl FnOnce(&mut dmvpn_nhrp::Endpoint, Instant) -> R,
    ) -> Option<R> {
        let tunnel = self.tunnels.get_mut(&id)?;
        let result = call(&mut tunnel.nhrp, now);
        while let Some(traced) = tunnel.nhrp.poll_trace() {
            let at = traced.at;
            self.ring.push(Record::Nhrp(id, Box::new(traced)).at(at));
        }
        Some(result)
    }

    pub(super) fn handle_nhrp(
        &mut self,
        now: Instant,
        id: TunnelId,
        peer: PeerId,
        packet: &[u8],
    ) -> Result<(), Discard> {
        let Some(link) = self.link(peer) else { return Err(Discard::InterfaceDown(id)) };
        let outcome = self.with_nhrp(now, id, |nhrp, now| nhrp.handle_packet(now, &link, packet));
        self.settle(now);
        match outcome {
            Some(outcome) => Ok(outcome?),
            None => Err(Discard::InterfaceDown(id)),
        }
    }

    /// What the node attests about a peer: where it is, and whom it authenticated as.
    fn link(&self, id: PeerId) -> Option<Link> {
        let peer = self.peers.get(id.0)?;
        Some(Link {
            id: LinkId(id.0),
            nbma: peer.whereabouts.remote,
            local: peer.whereabouts.local,
            udp_port: (peer.whereabouts.port != 0).then_some(peer.whereabouts.port),
            identity: peer.identity.as_ref().map(|identity| {
                let mut bytes = Vec::with_capacity(identity.data.len().saturating_add(1));
                bytes.push(identity.id_type.0);
                bytes.extend_from_slice(&identity.data);
                dmvpn_nhrp::Identity::new(bytes)
            }),
        })
    }

    pub(super) fn link_up(&mut self, now: Instant, id: TunnelId, peer: PeerId) {
        // A tunnel that goes down does not register again.
        let leaves = self.interface_state(id) == Some(InterfaceState::ShuttingDown);
        if let (false, Some(link)) = (leaves, self.link(peer)) {
            self.with_nhrp(now, id, |nhrp, now| nhrp.link_up(now, &link));
            self.with_nhrp(now, id, dmvpn_nhrp::Endpoint::register);
        }
    }

    pub(super) fn link_down(&mut self, now: Instant, id: TunnelId, peer: PeerId) {
        self.with_nhrp(now, id, |nhrp, now| nhrp.link_down(now, LinkId(peer.0)));
    }

    /// Neither associations nor a phase 1 with a peer are left.
    pub(super) fn peer_gone(&mut self, now: Instant, id: PeerId) {
        let Some(link) = self.link(id) else { return };
        let protection = self.peers.get(id.0).and_then(|peer| peer.whereabouts.protection);
        for tunnel in self.tunnels_of(protection) {
            self.with_nhrp(now, tunnel, |nhrp, now| nhrp.peer_gone(now, &link));
        }
    }

    /// A multipoint tunnel opens the sockets to its next hop servers itself.
    pub(super) fn open_servers(&mut self, now: Instant, id: TunnelId) {
        let Some(tunnel) = self.tunnels.get(&id) else { return };
        let (protection, local) = (tunnel.protection, tunnel.config.source);
        let servers: Vec<IpAddr> = tunnel.nhrp.servers().filter_map(|server| server.nbma).collect();
        for remote in servers {
            let whereabouts = Whereabouts { protection, local, remote, port: 0 };
            let peer = self.peer_near(whereabouts).unwrap_or_else(|| self.peer_at(whereabouts));
            self.join_flow(peer, id);
            if protection.is_some() {
                self.want(now, peer, remote);
            } else {
                if let Some(entry) = self.peers.get_mut(peer.0) {
                    entry.wanted = Some(remote);
                }
                self.link_up(now, id, peer);
            }
        }
    }

    /// Takes what NHRP caused on all tunnels.
    pub(super) fn take_nhrp_output(&mut self, now: Instant) -> bool {
        let mut any = false;
        let mut next = self.tunnels.keys().next().copied();
        while let Some(id) = next {
            while let Some(event) =
                self.tunnels.get_mut(&id).and_then(|tunnel| tunnel.nhrp.poll_event())
            {
                any = true;
                self.count_binding(&event);
                self.event(now, Event::Nhrp { tunnel: id, event });
            }
            while let Some(transmit) =
                self.tunnels.get_mut(&id).and_then(|tunnel| tunnel.nhrp.poll_transmit())
            {
                any = true;
                self.send_nhrp(now, id, transmit.to.nbma, transmit.to.link, &transmit.packet);
            }
            let behind = (Bound::Excluded(id), Bound::Unbounded);
            next = self.tunnels.range(behind).next().map(|(id, _)| *id);
        }
        any
    }

    /// A peer is kept while the cache names it.
    fn count_binding(&mut self, event: &dmvpn_nhrp::Event) {
        if let dmvpn_nhrp::Event::CacheAdded { link: Some(link), .. } = event {
            if let Some(peer) = self.peers.get_mut(link.0) {
                peer.bindings = peer.bindings.saturating_add(1);
            }
        } else if let dmvpn_nhrp::Event::CacheRemoved { link: Some(link), .. } = event {
            let id = PeerId(link.0);
            if let Some(peer) = self.peers.get_mut(id.0) {
                peer.bindings = peer.bindings.saturating_sub(1);
            }
            self.forget_if_idle(id);
        }
    }

    /// A packet of NHRP's own goes out like any other, but with the class of control traffic. If it
    /// cannot, it is lost, as on any network: NHRP sends it again.
    fn send_nhrp(
        &mut self,
        now: Instant,
        id: TunnelId,
        nbma: IpAddr,
        link: Option<LinkId>,
        packet: &Bytes,
    ) {
        let Some(tunnel) = self.tunnels.get(&id) else { return };
        let whereabouts = Whereabouts {
            protection: tunnel.protection,
            local: tunnel.config.source,
            remote: nbma,
            port: 0,
        };
        // A link that went is not replaced: who else is at that address need not be meant.
        let peer = match link.map(|link| PeerId(link.0)) {
            Some(peer) => peer,
            None => self.peer_near(whereabouts).unwrap_or_else(|| self.peer_at(whereabouts)),
        };
        let start = Self::MAX_HEADROOM;
        let end = start.saturating_add(packet.len());
        let mut buffer = vec![0; end.saturating_add(Self::MAX_TAILROOM)];
        let Some(room) = buffer.get_mut(start..end) else { return };
        room.copy_from_slice(packet);
        let carried = Carried {
            protocol: ProtocolType::NHRP,
            traffic_class: traffic_class::CONTROL,
            range: start..end,
        };
        let outbound = self.encapsulate(now, id, peer, carried, &mut buffer);
        if let Ok(Encapsulated { underlay, packet, .. }) = outbound
            && let Some(sealed) = buffer.get::<Range<usize>>(packet)
        {
            self.transmit(now, Transmit { underlay, packet: Bytes::copy_from_slice(sealed) });
        }
    }
}
