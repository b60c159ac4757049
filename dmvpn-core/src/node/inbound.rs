//! From the underlay inwards: ISAKMP, ESP, GRE, NHRP, and the packets inside.

use core::net::IpAddr;
use core::ops::Range;
use core::time::Duration;

use dmvpn_esp::{Opened, Payload};
use dmvpn_gre::{Header, ProtocolType};
use dmvpn_isakmp::{Mode, Path, Selectors};
use dmvpn_time::Instant;

use super::Node;
use crate::delivery;
use crate::error::Discard;
use crate::event::Event;
use crate::interface::InterfaceState;
use crate::peer::{Caller, Inbound as Association, PeerId, Whereabouts};
use crate::trace::System;
use crate::traffic_class;
use crate::tunnel::{TunnelId, TunnelMode};
use crate::underlay::{Transport, Underlay};

/// A packet that came out of a tunnel: it lies in the buffer that was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inbound {
    /// The tunnel it came out of.
    pub tunnel: TunnelId,
    /// Who sent it.
    pub peer: PeerId,
    /// Where it lies in the buffer: an IPv4 or IPv6 packet, of the version that GRE named and at
    /// least as long as the header of that version. What is in that header is the owner's affair.
    pub packet: Range<usize>,
    /// DSCP and ECN of the outer header.
    pub traffic_class: u8,
}

/// What a security association believed, with what the node must know of the association then.
pub(super) struct Authentic {
    spi: u32,
    peer: PeerId,
    caller: Option<Caller>,
    mode: Mode,
    selectors: Selectors,
    opened: Opened,
    /// No packet with a higher sequence number was received.
    newest: bool,
    /// Nothing came in on it before.
    first: bool,
    /// A successor has just become due.
    soft_expired: bool,
}

impl Authentic {
    pub(super) fn new(
        spi: u32,
        inbound: &mut Association,
        caller: Option<Caller>,
        opened: Opened,
    ) -> Self {
        let newest = match &opened {
            Opened::Payload(payload) => payload.sequence == inbound.sa.highest_sequence(),
            Opened::Dummy => false,
        };
        Self {
            spi,
            peer: inbound.peer,
            caller,
            mode: inbound.association.mode,
            selectors: inbound.association.selectors,
            opened,
            newest,
            first: !core::mem::replace(&mut inbound.in_use, true),
            soft_expired: inbound.association.wants_successor(inbound.sa.soft_expired()),
        }
    }
}

impl Node {
    /// A packet from the underlay: what follows the IP header, or the UDP header where there is one.
    ///
    /// ESP is decrypted in place. `Ok(None)` was for the node itself.
    ///
    /// # Errors
    ///
    /// [`Discard`] says why the packet changed nothing.
    pub fn handle_packet(
        &mut self,
        now: Instant,
        underlay: Underlay,
        data: &mut [u8],
    ) -> Result<Option<Inbound>, Discard> {
        let now = self.latest.observe(now);
        let outcome = match underlay.transport {
            Transport::Isakmp => self.handle_isakmp(now, underlay, data),
            Transport::NatT => self.handle_nat_t(now, underlay, data),
            Transport::Esp => self.handle_esp(now, underlay, data),
            Transport::Gre => self.handle_clear_gre(now, underlay, data),
        };
        self.count_received(&outcome);
        outcome
    }

    pub(super) fn count_received<T>(&mut self, outcome: &Result<T, Discard>) {
        self.counters.received = self.counters.received.saturating_add(1);
        if outcome.is_err() {
            self.counters.discarded = self.counters.discarded.saturating_add(1);
        }
    }

    fn handle_nat_t(
        &mut self,
        now: Instant,
        underlay: Underlay,
        data: &mut [u8],
    ) -> Result<Option<Inbound>, Discard> {
        match dmvpn_esp::udp::classify(data).map_err(|_| Discard::NotUdpEncapsulated)? {
            // RFC 3948 §4: a receiver ignores keepalives.
            dmvpn_esp::udp::Datagram::Keepalive => Ok(None),
            dmvpn_esp::udp::Datagram::Isakmp(message) => {
                self.handle_isakmp(now, underlay, data.get(message).unwrap_or_default())
            }
            dmvpn_esp::udp::Datagram::Esp => self.handle_esp(now, underlay, data),
        }
    }

    fn handle_isakmp(
        &mut self,
        now: Instant,
        underlay: Underlay,
        message: &[u8],
    ) -> Result<Option<Inbound>, Discard> {
        let transport = match underlay.transport {
            Transport::NatT => dmvpn_isakmp::Transport::NatT,
            Transport::Isakmp | Transport::Esp | Transport::Gre => dmvpn_isakmp::Transport::Isakmp,
        };
        let path = Path { local: underlay.local, remote: underlay.remote, transport };
        let outcome = self.isakmp.handle_datagram(now, path, message);
        self.settle(now);
        outcome?;
        Ok(None)
    }

    fn handle_esp(
        &mut self,
        now: Instant,
        underlay: Underlay,
        data: &mut [u8],
    ) -> Result<Option<Inbound>, Discard> {
        let Some(&spi) = data.first_chunk::<4>() else {
            return Err(Discard::TooShort { have: data.len() });
        };
        let spi = u32::from_be_bytes(spi);
        let Some(inbound) = self.inbound.get_mut(&spi) else {
            return self.handle_unknown_spi(now, underlay, spi);
        };
        let whole = 0..data.len();
        // Asked for before the key is, so that memory is waited for once.
        let caller = self.peers.get(inbound.peer.0).map(|peer| peer.caller());
        let opened = inbound.sa.open(data, whole)?;
        let authentic = Authentic::new(spi, inbound, caller, opened);
        self.handle_authentic(now, underlay, authentic, data)
    }

    /// What an association believed.
    pub(super) fn handle_authentic(
        &mut self,
        now: Instant,
        underlay: Underlay,
        authentic: Authentic,
        data: &mut [u8],
    ) -> Result<Option<Inbound>, Discard> {
        let Authentic { spi, peer: id, caller, mode, selectors, opened, .. } = authentic;
        let Authentic { newest, first, soft_expired, .. } = authentic;
        if let Some(Caller { ike: Some(ike), remote }) = caller {
            // From here on the packet is authentic.
            self.isakmp.handle_traffic(now, ike);
            // RFC 3947 §7: the last valid packet says where the peer is; a late one does not.
            let in_udp = underlay.transport == Transport::NatT && remote.port() != 0;
            if newest && in_udp && remote != underlay.remote {
                self.isakmp.handle_moved(now, ike, underlay.remote);
                self.settle(now);
            }
            if first {
                self.isakmp.handle_first_traffic(now, ike, spi);
                self.settle(now);
            }
            if soft_expired {
                self.isakmp.handle_soft_expire(now, ike, spi);
                self.settle(now);
            }
        }
        let Opened::Payload(Payload { next_header, range, .. }) = opened else {
            // RFC 4303 §2.6: a dummy packet is dropped without prejudice.
            return Ok(None);
        };
        let gre = match (mode, next_header.0) {
            (Mode::Transport, delivery::GRE) => Some(range),
            (Mode::Tunnel, _) => {
                delivery::gre_within(data, range, selectors.remote.address, selectors.local.address)
            }
            _ => None,
        };
        let Some(gre) = gre else {
            if let Some(peer) = self.peers.get_mut(id.0) {
                let counter = &mut peer.past_counters_mut().invalid_identity_receive;
                *counter = counter.saturating_add(1);
            }
            return Err(Discard::WrongTraffic { protocol: next_header.0 });
        };
        let local = self.peers.get(id.0).map(|peer| peer.whereabouts.local);
        let local = local.unwrap_or_else(|| underlay.local.ip());
        let (header, _) = Header::parse(data.get(gre.clone()).unwrap_or_default())
            .map_err(dmvpn_gre::Discard::from)?;
        let tunnel = self.tunnel_at(local, header.key)?;
        self.handle_gre(now, underlay, tunnel, id, data, gre)
    }

    /// A peer that we share a phase 1 with sends on an association that we do not have: it is told,
    /// since our delete was lost. The packet proves nothing, so it is told seldom.
    pub(super) fn handle_unknown_spi(
        &mut self,
        now: Instant,
        underlay: Underlay,
        spi: u32,
    ) -> Result<Option<Inbound>, Discard> {
        const PAUSE: Duration = Duration::from_secs(10);
        self.counters.unknown_spi = self.counters.unknown_spi.saturating_add(1);
        let unknown = Err(Discard::UnknownSpi { spi });
        let Some(ike) = self.session_at(underlay) else { return unknown };
        let Some(session) = self.sessions.get_mut(&ike) else { return unknown };
        if session.invalid_spi_told.is_some_and(|told| told + PAUSE > now) {
            return unknown;
        }
        // A packet of our own that was sent back to us is no sign that a delete was lost.
        let peers = session.peers.values().filter_map(|peer| self.peers.get(peer.0));
        let own = peers.flat_map(|peer| peer.outbounds()).any(|outbound| outbound.spi() == spi);
        if own {
            return unknown;
        }
        session.invalid_spi_told = Some(now);
        let (destination, source) = (underlay.local.ip(), underlay.remote.ip());
        self.system(now, System::InvalidSpi { destination, spi, source });
        let told = self.isakmp.handle_invalid_spi(now, ike, spi);
        self.settle(now);
        if told { Ok(None) } else { unknown }
    }

    /// GRE that came without ESP.
    fn handle_clear_gre(
        &mut self,
        now: Instant,
        underlay: Underlay,
        data: &mut [u8],
    ) -> Result<Option<Inbound>, Discard> {
        let (header, _) = Header::parse(data).map_err(dmvpn_gre::Discard::from)?;
        let (local, remote) = (underlay.local.ip(), underlay.remote.ip());
        let id = self.tunnel_at(local, header.key)?;
        let Some(tunnel) = self.tunnels.get(&id) else { return Err(Discard::InterfaceDown(id)) };
        // Fail closed: what protection covers is not accepted without it.
        if tunnel.protection.is_some() {
            self.counters.unprotected = self.counters.unprotected.saturating_add(1);
            self.system(now, System::NotIpsec { destination: local, source: remote });
            return Err(Discard::Unprotected { tunnel: id, remote });
        }
        let stranger = Discard::UnknownPeer { tunnel: id, remote };
        // Whoever registered from our own address would have us send to ourselves.
        if remote == local {
            return Err(stranger);
        }
        if let TunnelMode::PointToPoint { destination } = tunnel.config.mode
            && destination != remote
        {
            return Err(stranger);
        }
        let whereabouts = Whereabouts { protection: None, local, remote, port: 0 };
        let known = self.by_whereabouts.get(&whereabouts).copied();
        let peer = match known {
            Some(peer) => peer,
            // Who is not known yet may register.
            None if header.protocol == ProtocolType::NHRP => self.peer_at(whereabouts),
            None => return Err(stranger),
        };
        self.join_flow(peer, id);
        let whole = 0..data.len();
        let outcome = self.handle_gre(now, underlay, id, peer, data, whole);
        self.forget_if_idle(peer);
        outcome
    }

    fn tunnel_at(&mut self, local: IpAddr, key: Option<u32>) -> Result<TunnelId, Discard> {
        let Some(id) = self.by_key.get(&(local, key)) else {
            self.counters.no_tunnel = self.counters.no_tunnel.saturating_add(1);
            return Err(Discard::NoTunnel { local, key });
        };
        Ok(*id)
    }

    fn handle_gre(
        &mut self,
        now: Instant,
        underlay: Underlay,
        id: TunnelId,
        peer: PeerId,
        data: &mut [u8],
        gre: Range<usize>,
    ) -> Result<Option<Inbound>, Discard> {
        let Some(tunnel) = self.tunnels.get_mut(&id) else {
            return Err(Discard::InterfaceDown(id));
        };
        if tunnel.interface == InterfaceState::AdministrativelyDown {
            return Err(Discard::InterfaceDown(id));
        }
        let Some(flow) = self.peers.get_mut(peer.0).and_then(|peer| peer.flow_mut(id)) else {
            return Err(Discard::InterfaceDown(id));
        };
        // The sequence number counts when nothing discards the packet any more (contract rule 5).
        let received = flow.check(data, gre)?;
        if tunnel.interface == InterfaceState::ShuttingDown
            && received.header.protocol != ProtocolType::NHRP
        {
            return Err(Discard::InterfaceDown(id));
        }
        if received.header.is_keepalive() {
            flow.accept(&received);
            self.event(now, Event::Keepalive { tunnel: id, remote: underlay.remote.ip() });
            return Ok(None);
        }
        match received.header.protocol {
            ProtocolType::IPV4 | ProtocolType::IPV6 => {
                let packet = received.payload.clone();
                let bytes = data.get_mut(packet.clone()).unwrap_or_default();
                // The owner is told that this is a packet, and reads its first octet.
                if !delivery::is_ip(received.header.protocol, bytes) {
                    let (protocol, length) = (received.header.protocol.0, bytes.len());
                    return Err(Discard::NotIp { protocol, length });
                }
                if traffic_class::propagate_congestion(underlay.traffic_class, bytes).is_err() {
                    tunnel.counters.congestion = tunnel.counters.congestion.saturating_add(1);
                    return Err(Discard::Congestion);
                }
                flow.accept(&received);
                if let Some(mss) = tunnel.config.adjust_mss
                    && crate::mtu::adjust_mss(bytes, mss)
                {
                    tunnel.counters.mss_adjusted = tunnel.counters.mss_adjusted.saturating_add(1);
                }
                tunnel.counters.received = tunnel.counters.received.saturating_add(1);
                Ok(Some(Inbound {
                    tunnel: id,
                    peer,
                    packet,
                    traffic_class: underlay.traffic_class,
                }))
            }
            ProtocolType::NHRP => {
                let packet = data.get(received.payload.clone()).unwrap_or_default();
                self.handle_nhrp(now, id, peer, packet)?;
                // NHRP may have let go of the peer.
                let peer = self.peers.get_mut(peer.0);
                if let Some(flow) = peer.and_then(|peer| peer.flow_mut(id)) {
                    flow.accept(&received);
                }
                Ok(None)
            }
            other => Err(Discard::Protocol { protocol: other.0 }),
        }
    }
}
