//! From the inside to the underlay: next hop, GRE, ESP.

use core::net::{IpAddr, SocketAddr};
use core::ops::Range;

use chacha20::ChaCha20Rng;
use dmvpn_esp::{NextHeader, OutboundSa, SealError};
use dmvpn_gre::ProtocolType;
use dmvpn_isakmp::Mode;
use dmvpn_time::Instant;

use super::Node;
use crate::delivery;
use crate::error::SendError;
use crate::interface::InterfaceState;
use crate::peer::{PeerId, Whereabouts};
use crate::traffic_class;
use crate::tunnel::TunnelId;
use crate::underlay::{Transport, Underlay};

/// Whom a packet goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextHop {
    /// The protocol address of the next hop, as routing found it; NHRP knows where it is. On a
    /// point-to-point tunnel every next hop is the other end.
    Protocol(IpAddr),
    /// A peer by itself: a copy of a multicast packet, see
    /// [`Node::multicast_after`]. It opens no crypto socket: who registered may be gone.
    Peer(PeerId),
}

/// A packet that is ready for the underlay: it lies in the buffer that was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outbound {
    /// How it is to go out.
    pub underlay: Underlay,
    /// What follows the IP header, or the UDP header where there is one, in the buffer.
    pub packet: Range<usize>,
}

/// What GRE is to carry: its protocol, the class of the outer header, and where it lies.
pub(super) struct Carried {
    pub(super) protocol: ProtocolType,
    pub(super) traffic_class: u8,
    pub(super) range: Range<usize>,
}

/// A packet with its headers on, sealed or as far as it is wanted.
pub(super) struct Encapsulated<P> {
    pub(super) peer: PeerId,
    pub(super) underlay: Underlay,
    pub(super) packet: P,
}

/// How far a packet is sealed where it is encapsulated. What needs no sealing is a range at once.
pub(super) trait Sealing: From<Range<usize>> {
    fn seal(
        sa: &mut OutboundSa,
        rng: &mut ChaCha20Rng,
        next_header: NextHeader,
        buffer: &mut [u8],
        payload: Range<usize>,
    ) -> Result<Self, SealError>;
}

/// At once: this is where it lies.
impl Sealing for Range<usize> {
    fn seal(
        sa: &mut OutboundSa,
        rng: &mut ChaCha20Rng,
        next_header: NextHeader,
        buffer: &mut [u8],
        payload: Range<usize>,
    ) -> Result<Self, SealError> {
        sa.seal(rng, next_header, buffer, payload)
    }
}

impl Node {
    /// Sends an IPv4 or IPv6 packet through a tunnel. It is encapsulated and encrypted in place:
    /// [`MAX_HEADROOM`](Self::MAX_HEADROOM) octets in front of it and
    /// [`MAX_TAILROOM`](Self::MAX_TAILROOM) behind it are always enough.
    ///
    /// # Errors
    ///
    /// [`SendError`]; the packet is not sent, and never in clear where protection is configured.
    pub fn send(
        &mut self,
        now: Instant,
        id: TunnelId,
        next_hop: NextHop,
        buffer: &mut [u8],
        packet: Range<usize>,
    ) -> Result<Outbound, SendError> {
        let now = self.latest.observe(now);
        let mut outcome = self.forward(now, id, next_hop, buffer, packet.clone());
        let mut again = outcome.as_ref().is_err_and(is_used_up);
        while core::mem::take(&mut self.unsettled) {
            self.settle(now);
            if core::mem::take(&mut again) {
                outcome = self.forward(now, id, next_hop, buffer, packet.clone());
            }
        }
        let Encapsulated { underlay, packet, .. } = outcome?;
        self.count_sent(id);
        Ok(Outbound { underlay, packet })
    }

    pub(super) fn count_sent(&mut self, id: TunnelId) {
        if let Some(tunnel) = self.tunnels.get_mut(&id) {
            tunnel.counters.sent = tunnel.counters.sent.saturating_add(1);
        }
    }

    /// Finds the next hop and encapsulates a packet for it. What that caused in the children is
    /// theirs until [`settle`](Self::settle).
    pub(super) fn forward<P: Sealing>(
        &mut self,
        now: Instant,
        id: TunnelId,
        next_hop: NextHop,
        buffer: &mut [u8],
        packet: Range<usize>,
    ) -> Result<Encapsulated<P>, SendError> {
        let Some(tunnel) = self.tunnels.get_mut(&id) else { return Err(SendError::NoTunnel(id)) };
        if tunnel.interface != InterfaceState::Up {
            return Err(SendError::InterfaceDown(id));
        }
        let Some(bytes) = buffer.get_mut(packet.clone()) else {
            return Err(SendError::BufferTooSmall { headroom: 0, tailroom: packet.len() });
        };
        let protocol = match bytes.first().map(|first| first >> 4) {
            Some(4) => ProtocolType::IPV4,
            Some(6) => ProtocolType::IPV6,
            _ => return Err(SendError::NotIp),
        };
        let class = traffic_class::of(bytes);
        if bytes.len() > usize::from(tunnel.config.ip_mtu) {
            tunnel.counters.too_big = tunnel.counters.too_big.saturating_add(1);
            return Err(SendError::TooBig { length: bytes.len(), mtu: tunnel.config.ip_mtu });
        }
        if let Some(mss) = tunnel.config.adjust_mss
            && crate::mtu::adjust_mss(bytes, mss)
        {
            tunnel.counters.mss_adjusted = tunnel.counters.mss_adjusted.saturating_add(1);
        }
        let peer = self.peer_towards(now, id, next_hop)?;
        let carried = Carried { protocol, traffic_class: class, range: packet };
        let outcome = self.encapsulate(now, id, peer, carried, buffer);
        // What is for one peer has its socket opened. Copies of multicast do not call whoever
        // registered once, and NHRP does not either: it answers who is there, and the sockets to
        // our servers are opened anyway.
        if let (Err(SendError::NoSecurityAssociation), NextHop::Protocol(_)) = (&outcome, next_hop)
        {
            self.open(now, peer);
            self.unsettled = true;
        }
        outcome
    }

    /// The next peer that gets a copy of a multicast packet, in a fixed order: start with `None`,
    /// go on with what it returned, stop at `None`. O(log n) a step.
    #[must_use]
    pub fn multicast_after(&self, id: TunnelId, after: Option<PeerId>) -> Option<PeerId> {
        let tunnel = self.tunnels.get(&id)?;
        if !tunnel.config.is_multipoint() {
            return tunnel.other_end.filter(|only| after != Some(*only));
        }
        let mut cursor = after.map(|peer| dmvpn_nhrp::LinkId(peer.0));
        loop {
            let link = tunnel.nhrp.multicast_after(cursor)?;
            let peer = PeerId(link.0);
            if self.peers.contains(peer.0) {
                return Some(peer);
            }
            cursor = Some(link);
        }
    }

    /// The peer behind a next hop.
    fn peer_towards(
        &mut self,
        now: Instant,
        id: TunnelId,
        next_hop: NextHop,
    ) -> Result<PeerId, SendError> {
        let address = match next_hop {
            NextHop::Peer(peer) => {
                // A peer of another tunnel may have another protection, or none.
                let known = self.peers.get(peer.0).is_some_and(|peer| peer.is_in(id));
                return known.then_some(peer).ok_or(SendError::NoPeer(peer));
            }
            NextHop::Protocol(address) => address,
        };
        let unresolved = SendError::Unresolved(address);
        let Some(tunnel) = self.tunnels.get_mut(&id) else { return Err(unresolved) };
        let (protection, local) = (tunnel.protection, tunnel.config.source);
        let at = |remote| Whereabouts { protection, local, remote, port: 0 };
        if !tunnel.config.is_multipoint() {
            return tunnel.other_end.ok_or(unresolved);
        }
        let Some(hop) = tunnel.nhrp.lookup(now, address) else {
            tunnel.counters.unresolved = tunnel.counters.unresolved.saturating_add(1);
            return Err(unresolved);
        };
        if let Some(peer) = hop.link.map(|link| PeerId(link.0)) {
            // Who is at the same address now need not be the one that registered.
            return self.peers.contains(peer.0).then_some(peer).ok_or(unresolved);
        }
        // A static mapping: its socket is opened.
        let peer = self.peer_near(at(hop.nbma)).unwrap_or_else(|| self.peer_at(at(hop.nbma)));
        self.join_flow(peer, id);
        Ok(peer)
    }

    /// The peer at a place, by whichever UDP port it is reached there; native ESP first.
    pub(super) fn peer_near(&self, whereabouts: Whereabouts) -> Option<PeerId> {
        self.peers_near(whereabouts).next()
    }

    /// The peers at a place, by the UDP port that they are reached at.
    pub(super) fn peers_near(&self, place: Whereabouts) -> impl Iterator<Item = PeerId> + '_ {
        let from = Whereabouts { port: 0, ..place };
        let to = Whereabouts { port: u16::MAX, ..place };
        self.by_whereabouts.range(from..=to).map(|(_, peer)| *peer)
    }

    /// GRE around `payload`, and ESP around GRE, where the tunnel is protected.
    pub(super) fn encapsulate<P: Sealing>(
        &mut self,
        now: Instant,
        id: TunnelId,
        peer_id: PeerId,
        carried: Carried,
        buffer: &mut [u8],
    ) -> Result<Encapsulated<P>, SendError> {
        let Carried { protocol, traffic_class: class, range: payload } = carried;
        let Some(tunnel) = self.tunnels.get_mut(&id) else { return Err(SendError::NoTunnel(id)) };
        let Some(peer) = self.peers.get_mut(peer_id.0) else {
            return Err(SendError::NoPeer(peer_id));
        };
        let length = payload.len();
        let path_mtu = usize::from(peer.path_mtu);
        if tunnel.protection.is_none() {
            let overhead =
                delivery::header_len(peer.whereabouts.remote).saturating_add(tunnel.gre.headroom());
            fits(length, path_mtu.saturating_sub(overhead))?;
            let gre = encapsulate_gre(&mut tunnel.gre, protocol, buffer, payload)?;
            return Ok(Encapsulated {
                peer: peer_id,
                underlay: Underlay {
                    transport: Transport::Gre,
                    local: SocketAddr::new(peer.whereabouts.local, 0),
                    remote: SocketAddr::new(peer.whereabouts.remote, 0),
                    traffic_class: class,
                    dont_fragment: false,
                },
                packet: gre.into(),
            });
        }
        // Fail closed: without an association nothing leaves.
        let Some(outbound) = peer.outbound.as_mut() else {
            let counter = &mut peer.past_counters_mut().no_sa_send;
            *counter = counter.saturating_add(1);
            tunnel.counters.no_sa = tunnel.counters.no_sa.saturating_add(1);
            return Err(SendError::NoSecurityAssociation);
        };
        let selectors = outbound.association.selectors;
        let (outer_ip, inner_ip) = (
            delivery::header_len(peer.whereabouts.remote),
            match outbound.association.mode {
                Mode::Transport => 0,
                Mode::Tunnel => delivery::header_len(selectors.remote.address),
            },
        );
        let udp = if outbound.association.udp.is_some() { 8 } else { 0 };
        let room = outbound
            .sa
            .key()
            .transform()
            .max_payload(path_mtu.saturating_sub(outer_ip).saturating_sub(udp))
            .unwrap_or(0);
        let headers = inner_ip.saturating_add(tunnel.gre.headroom());
        fits(length, room.saturating_sub(headers))?;
        let headroom = headers.saturating_add(outbound.sa.headroom());
        let tailroom = outbound.sa.tailroom(length.saturating_add(headers));
        if payload.start < headroom || buffer.len().saturating_sub(payload.end) < tailroom {
            return Err(SendError::BufferTooSmall { headroom, tailroom });
        }
        let gre = encapsulate_gre(&mut tunnel.gre, protocol, buffer, payload)?;
        let (inner, next_header) = match outbound.association.mode {
            Mode::Transport => (gre, delivery::GRE),
            Mode::Tunnel => {
                let start = gre.start.saturating_sub(inner_ip);
                let header = buffer.get_mut(start..gre.start).unwrap_or_default();
                let (source, destination) = (selectors.local.address, selectors.remote.address);
                delivery::write_header(header, source, destination, gre.len(), class)
                    .ok_or(SendError::BufferTooSmall { headroom, tailroom })?;
                let next_header = if source.is_ipv4() { 4 } else { 41 };
                (start..gre.end, next_header)
            }
        };
        let next_header = NextHeader(next_header);
        let sealed = P::seal(&mut outbound.sa, &mut self.rng, next_header, buffer, inner);
        let spi = outbound.spi();
        let successor = outbound.association.wants_successor(outbound.sa.soft_expired());
        let whereabouts = peer.whereabouts;
        let transport = match outbound.association.udp {
            None => Transport::Esp,
            Some(_) => Transport::NatT,
        };
        let local = SocketAddr::new(whereabouts.local, outbound.association.udp.unwrap_or(0));
        let remote = SocketAddr::new(whereabouts.remote, whereabouts.port);
        if let Some(ike) = peer.ike {
            if successor {
                self.isakmp.handle_soft_expire(now, ike, spi);
                self.unsettled = true;
            }
            if sealed.as_ref().is_err_and(|error| is_used_up(&(*error).into())) {
                self.isakmp.handle_hard_expire(now, ike, spi);
                self.unsettled = true;
            }
        }
        let packet = sealed?;
        Ok(Encapsulated {
            peer: peer_id,
            underlay: Underlay {
                transport,
                local,
                remote,
                traffic_class: class,
                dont_fragment: false,
            },
            packet,
        })
    }
}

/// Whether an association has sealed all that it may (RFC 4303 §3.3.3, RFC 4301 §4.4.2.1). Key
/// management has heard of it; once that is settled, a successor may have taken its place.
pub(super) const fn is_used_up(error: &SendError) -> bool {
    matches!(
        error,
        SendError::Esp(SealError::LifetimeExpired { .. } | SealError::SequenceExhausted { .. })
    )
}

fn fits(length: usize, room: usize) -> Result<(), SendError> {
    if length > room {
        let mtu = u16::try_from(room).unwrap_or(u16::MAX);
        return Err(SendError::TooBig { length, mtu });
    }
    Ok(())
}

fn encapsulate_gre(
    sender: &mut dmvpn_gre::Sender,
    protocol: ProtocolType,
    buffer: &mut [u8],
    payload: Range<usize>,
) -> Result<Range<usize>, SendError> {
    let headroom = sender.headroom();
    sender
        .encapsulate(protocol, buffer, payload)
        .map_err(|_| SendError::BufferTooSmall { headroom, tailroom: 0 })
}
