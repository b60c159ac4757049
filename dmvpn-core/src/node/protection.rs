//! Tunnel protection: crypto sockets, and the security associations behind them.
//!
//! ```text
//!   closed ──want──▶ opening ──InstallSa──▶ open ──last RemoveSa──▶ closed
//!                       ▲                                              │
//!                       └───────────── Timer::Reopen ◀── if wanted ────┘
//! ```

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use dmvpn_esp::{
    Encryption, InboundSa, Integrity, Lifetime, OutboundSa, SaConfig, Spi, Transform, Volume,
};
use dmvpn_isakmp::crypto::Secret;
use dmvpn_isakmp::{
    CloseReason, Direction, Encapsulation, EspEncryption, EspIntegrity, EspProposal, Identity,
    InstallSa, KeyEngineMessage, Path, ProtectionId, SaLifetime, Trace,
};
use dmvpn_time::{Few, Instant};

use super::{Node, Session, Timer, pause};
use crate::event::Event;
use crate::key_log::LoggedKey;
use crate::peer::{Association, Inbound, Outbound, PeerId, SocketState, Whereabouts};
use crate::trace::{Record, Socket, SocketChange};
use crate::tunnel::TunnelId;
use crate::underlay::{Transport, Underlay};

impl Node {
    /// A tunnel starts to use a protection; the first one installs it.
    pub(super) fn join_protection(&mut self, now: Instant, id: TunnelId, protection: ProtectionId) {
        let Some(group) = self.protections.get_mut(&protection) else { return };
        group.tunnels.insert(id);
        if group.tunnels.len() == 1 {
            let negotiable = group.negotiable();
            self.isakmp.protect(now, protection, negotiable);
            self.absorb_isakmp_traces();
        }
        let peers: Vec<PeerId> = self.peers_of(protection);
        for peer in peers {
            self.join_flow(peer, id);
        }
    }

    /// A tunnel stops using a protection; with the last one all security associations go.
    pub(super) fn leave_protection(
        &mut self,
        now: Instant,
        id: TunnelId,
        protection: ProtectionId,
    ) {
        let Some(group) = self.protections.get_mut(&protection) else { return };
        group.tunnels.remove(&id);
        let last = group.tunnels.is_empty();
        for peer in self.peers_of(protection) {
            if let Some(entry) = self.peers.get_mut(peer.0) {
                entry.leave(id);
                if last {
                    entry.wanted = None;
                    entry.bindings = 0;
                }
            }
        }
        if last {
            self.isakmp.unprotect(now, protection);
            self.settle(now);
            for peer in self.peers_of(protection) {
                self.forget_if_idle(peer);
            }
        }
    }

    /// The peers of a protection: a command on a whole interface may walk them.
    fn peers_of(&self, protection: ProtectionId) -> Vec<PeerId> {
        self.peers
            .iter()
            .filter(|(_, peer)| peer.whereabouts.protection == Some(protection))
            .map(|(id, _)| PeerId(id))
            .collect()
    }

    /// We open the socket to this peer, and open it again whenever it closes, at the address that the
    /// operator named.
    pub(super) fn want(&mut self, now: Instant, id: PeerId, named: IpAddr) {
        if let Some(peer) = self.peers.get_mut(id.0) {
            peer.wanted = Some(named);
        }
        self.open(now, id);
    }

    pub(super) fn reopen(&mut self, now: Instant, id: PeerId) {
        let Some(peer) = self.peers.get_mut(id.0) else { return };
        if peer.outbound.is_some() {
            return;
        }
        // The attempt before is over; only its pause kept the socket from opening.
        peer.socket = SocketState::Closed;
        if peer.wanted.is_some() {
            self.open(now, id);
        } else {
            // The next packet opens it.
            self.forget_if_idle(id);
        }
    }

    /// Asks key management for security associations, unless they are there. Cheap when a
    /// negotiation is under way already, or has just failed: data packets call it.
    pub(super) fn open(&mut self, now: Instant, id: PeerId) {
        let Some(peer) = self.peers.get_mut(id.0) else { return };
        let Some(protection) = peer.whereabouts.protection else { return };
        if peer.socket != SocketState::Closed {
            return;
        }
        peer.socket = SocketState::Opening;
        // Whom we followed elsewhere may have been led there: only whoever answers where the operator
        // said is certain to be meant.
        let remote = peer.wanted.unwrap_or(peer.whereabouts.remote);
        match self.isakmp.connect(now, protection, remote) {
            Ok(ike) => {
                let session = self.sessions.entry(ike).or_insert_with(Session::new);
                let before = session.peers.get(&protection).copied();
                if let Some(before) = before.filter(|before| *before != id)
                    && self.are_others(id, before)
                {
                    // Of several spokes behind one address key management reaches another. This
                    // one comes back by itself.
                    self.try_again_later(now, id);
                    self.absorb_isakmp_traces();
                    return;
                }
                if let Some(session) = self.sessions.get_mut(&ike) {
                    session.peers.insert(protection, id);
                }
                if let Some(peer) = self.peers.get_mut(id.0) {
                    peer.ike = Some(ike);
                }
                if let Some(before) = before.filter(|before| *before != id) {
                    self.merge(now, id, before);
                }
            }
            Err(_) => self.try_again_later(now, id),
        }
        self.absorb_isakmp_traces();
    }

    /// Whether two peers at one address are certainly not one: what registered through `id` is bound
    /// to it, and who registers has an identity. The other end that the operator names is whoever
    /// authenticates there.
    fn are_others(&self, id: PeerId, before: PeerId) -> bool {
        let Some((peer, before)) = self.peers.get(id.0).zip(self.peers.get(before.0)) else {
            return false;
        };
        let named = peer.identity.is_some() && before.identity.is_some();
        let differ = named && peer.identity != before.identity;
        peer.wanted.is_none() && (peer.bindings > 0 || differ)
    }

    /// Key management knows the peer `id` as `before`, whose associations may be up already: the two
    /// are one.
    fn merge(&mut self, now: Instant, id: PeerId, before: PeerId) {
        if !self.peers.contains(before.0) {
            return;
        }
        let Some(twin) = self.remove_peer(id) else { return };
        for tunnel in self.tunnels.values_mut() {
            if tunnel.other_end == Some(id) {
                tunnel.other_end = Some(before);
            }
        }
        let Some(peer) = self.peers.get_mut(before.0) else { return };
        peer.wanted = peer.wanted.or(twin.wanted);
        *peer.past_counters_mut() += &twin.past_counters();
        // Not its bindings: an entry of NHRP's cache that names the twin does so until it goes.
        for (tunnel, key) in twin.flows() {
            peer.join(tunnel, key);
        }
        let open = peer.socket == SocketState::Open;
        if let Some((session, protection)) = twin.ike.zip(twin.whereabouts.protection)
            && let Some(session) = self.sessions.get_mut(&session)
        {
            session.peers.insert(protection, before);
        }
        if open {
            self.socket_up(now, before);
        }
    }

    /// An attempt to open the socket failed. It is tried again after a pause, or if we do not want
    /// it ourselves, when there is a packet after that.
    fn try_again_later(&mut self, now: Instant, id: PeerId) {
        let Some(peer) = self.peers.get_mut(id.0) else { return };
        if peer.wanted.is_none() && peer.socket == SocketState::Closed {
            // The attempt was the peer's.
            return self.forget_if_idle(id);
        }
        peer.socket = SocketState::Opening;
        peer.failures = peer.failures.saturating_add(1);
        let at = now + pause(peer.failures, &mut self.rng);
        self.timers.set(Timer::Reopen(id), at);
    }

    // -- events of key management -------------------------------------------------------------

    /// Takes what key management caused, in its order. Sockets that came up are signalled when
    /// the batch is through: on IOS the outbound association is current before NHRP hears.
    pub(super) fn take_isakmp_events(&mut self, now: Instant) -> bool {
        let mut any = false;
        let mut up = Vec::new();
        while let Some(event) = self.isakmp.poll_event() {
            any = true;
            match event {
                dmvpn_isakmp::Event::Phase1Up { peer, identity, path, .. } => {
                    if self.config.key_log {
                        self.log_phase1_keys(peer);
                    }
                    let session = self.sessions.entry(peer).or_insert_with(Session::new);
                    session.identity = Some(identity);
                    self.set_path(peer, path);
                }
                dmvpn_isakmp::Event::InstallSa(install) => {
                    if let Some(peer) = self.install(now, &install) {
                        up.push(peer);
                    }
                }
                dmvpn_isakmp::Event::EnableOutbound { peer, protection, spi } => {
                    self.enable(peer, protection, spi);
                }
                dmvpn_isakmp::Event::RemoveSa { direction, peer, spi, reason } => {
                    self.remove(now, direction, peer, spi, reason);
                }
                dmvpn_isakmp::Event::PeerMoved { peer, path } => self.moved(now, peer, path),
                dmvpn_isakmp::Event::PeerDown { peer, reason } => {
                    self.session_down(now, peer, reason);
                }
                dmvpn_isakmp::Event::Failed { peer, protection, reason } => {
                    self.failed(now, peer, protection, reason);
                }
                _ => {}
            }
        }
        for peer in up {
            self.socket_up(now, peer);
        }
        any
    }

    /// Installs one security association; returns the peer whose socket is complete with it.
    fn install(&mut self, now: Instant, install: &InstallSa) -> Option<PeerId> {
        let id = self.peer_of(now, install);
        let Some(transform) = esp_transform(install.transform) else {
            // Checked when the tunnel was configured: only a provider can lack it.
            self.isakmp.close(now, install.peer);
            return None;
        };
        let mode = match install.mode {
            dmvpn_isakmp::Mode::Transport => dmvpn_esp::Mode::Transport,
            dmvpn_isakmp::Mode::Tunnel => dmvpn_esp::Mode::Tunnel,
        };
        let peer = self.peers.get_mut(id.0)?;
        let group = install.protection;
        let window = self.protections.get(&group).map_or(64, |group| group.profile.replay_window);
        let association = Association {
            mode: install.mode,
            selectors: install.selectors,
            successor_asked: false,
            expires: now + Duration::from_secs(u64::from(install.lifetime.seconds)),
            udp: match install.encapsulation {
                Encapsulation::None { .. } => None,
                Encapsulation::Udp { local, .. } => Some(local.port()),
            },
        };
        let config = SaConfig::new(Spi(install.spi), transform, mode)
            .replay_window(window)
            .lifetime(volume(install.lifetime));
        let provider = self.config.esp.as_ref();
        let keymat = install.keys.dangerous_keymat();
        match install.direction {
            Direction::Inbound => {
                let Ok(sa) = InboundSa::new(provider, &config, keymat) else {
                    self.isakmp.close(now, install.peer);
                    return None;
                };
                peer.inbound.insert(install.spi, ());
                let inbound = Inbound { peer: id, association, sa, in_use: false };
                self.inbound.insert(install.spi, Box::new(inbound));
            }
            Direction::Outbound => {
                let Ok(sa) = OutboundSa::new(provider, &config, keymat) else {
                    self.isakmp.close(now, install.peer);
                    return None;
                };
                let outbound = Outbound { association, sa };
                peer.waiting.insert(install.spi, Box::new(outbound));
            }
        }
        if self.config.key_log {
            self.log_keys(install);
        }
        let peer = self.peers.get(id.0)?;
        (install.direction == Direction::Outbound && peer.socket != SocketState::Open).then_some(id)
    }

    /// The peer that a security association belongs to: the one that asked for it, the one that
    /// was at this place before and authenticated in the same way, or a new one.
    fn peer_of(&mut self, now: Instant, install: &InstallSa) -> PeerId {
        let (local, remote) = endpoints(install.encapsulation);
        let whereabouts = Whereabouts {
            protection: Some(install.protection),
            local,
            remote: remote.ip(),
            port: remote.port(),
        };
        let session = self.sessions.entry(install.peer).or_insert_with(Session::new);
        let identity = session.identity.clone();
        let asked = session.peers.get(&install.protection).copied();
        let known = asked.filter(|id| !self.is_somebody_else(*id, install.peer, identity.as_ref()));
        if let Some(asked) = asked.filter(|_| known.is_none()) {
            self.release(now, asked, install.peer);
        }
        let id = known.filter(|id| self.peers.contains(id.0)).unwrap_or_else(|| {
            let stranger = self.by_whereabouts.get(&whereabouts).is_some_and(|id| {
                self.peers
                    .get(id.0)
                    .is_some_and(|peer| peer.identity.is_some() && peer.identity != identity)
            });
            if stranger {
                // Somebody else was here: it keeps its own, and is no longer found at this place.
                self.by_whereabouts.remove(&whereabouts);
            }
            // By whichever port it was reached before: the tunnel's other end keeps its number.
            let near = Whereabouts { port: 0, ..whereabouts };
            let known = self.peers_near(near).find(|id| {
                self.peers.get(id.0).is_some_and(|peer| match &peer.identity {
                    Some(before) => Some(before) == identity.as_ref(),
                    None => peer.wanted.is_some(),
                })
            });
            known.unwrap_or_else(|| self.peer_at(whereabouts))
        });
        if let Some(session) = self.sessions.get_mut(&install.peer) {
            session.peers.insert(install.protection, id);
        }
        if let Some(peer) = self.peers.get_mut(id.0) {
            peer.ike = Some(install.peer);
            peer.identity = identity;
        }
        self.relocate(id, whereabouts);
        id
    }

    /// Whether who has authenticated is not the one that the socket was opened to. We called an
    /// address, and several spokes may be behind it; the one that was meant may since have come by
    /// itself.
    fn is_somebody_else(
        &self,
        id: PeerId,
        ike: dmvpn_isakmp::PeerId,
        identity: Option<&Identity>,
    ) -> bool {
        self.peers.get(id.0).is_some_and(|peer| {
            let differs = peer.identity.is_some() && peer.identity.as_ref() != identity;
            let protected = !peer.inbound.is_empty() || peer.outbound.is_some();
            differs && peer.wanted.is_none() && !(protected && peer.ike == Some(ike))
        })
    }

    /// The attempt to open the socket to this peer reached somebody else.
    fn release(&mut self, now: Instant, id: PeerId, ike: dmvpn_isakmp::PeerId) {
        if let Some(peer) = self.peers.get_mut(id.0).filter(|peer| peer.ike == Some(ike)) {
            peer.ike = None;
            self.try_again_later(now, id);
        }
    }

    /// Packets to a peer go on this association from now on.
    fn enable(&mut self, ike: dmvpn_isakmp::PeerId, protection: ProtectionId, spi: u32) {
        let Some(id) = self.sessions.get(&ike).and_then(|session| session.peers.get(&protection))
        else {
            return;
        };
        let Some(peer) = self.peers.get_mut(id.0) else { return };
        let Some(outbound) = peer.take_waiting(spi) else { return };
        if let Some(before) = peer.outbound.replace(*outbound) {
            // Its end will be announced later; nothing goes out on it any more.
            peer.waiting.insert(before.spi(), Box::new(before));
        }
    }

    fn remove(
        &mut self,
        now: Instant,
        direction: Direction,
        ike: dmvpn_isakmp::PeerId,
        spi: u32,
        reason: CloseReason,
    ) {
        let holder = match direction {
            Direction::Inbound => {
                let Some(inbound) = self.inbound.remove(&spi) else { return };
                let Some(peer) = self.peers.get_mut(inbound.peer.0) else { return };
                peer.inbound.remove(&spi);
                *peer.past_counters_mut() += &inbound.sa.counters();
                inbound.peer
            }
            Direction::Outbound => {
                let Some(session) = self.sessions.get(&ike) else { return };
                let holds = |id: &&PeerId| {
                    self.peers.get(id.0).is_some_and(|peer| {
                        peer.waiting.contains_key(&spi)
                            || peer.outbound.as_ref().is_some_and(|current| current.spi() == spi)
                    })
                };
                let Some(id) = session.peers.values().find(holds).copied() else { return };
                let Some(peer) = self.peers.get_mut(id.0) else { return };
                let gone =
                    peer.take_waiting(spi).map(|waiting| *waiting).or_else(|| peer.outbound.take());
                if let Some(gone) = gone {
                    *peer.past_counters_mut() += &gone.sa.counters();
                }
                id
            }
        };
        let empty = self.peers.get(holder.0).is_some_and(|peer| {
            peer.inbound.is_empty() && peer.outbound.is_none() && peer.waiting.is_empty()
        });
        if empty {
            self.socket_down(now, holder, reason);
        }
    }

    /// Where key management reaches the other end.
    fn set_path(&mut self, ike: dmvpn_isakmp::PeerId, path: Path) {
        let Some(session) = self.sessions.get_mut(&ike) else { return };
        if let Some(before) = session.path.replace(path).map(path_key)
            && self.by_path.get(&before) == Some(&ike)
        {
            self.by_path.remove(&before);
        }
        self.by_path.insert(path_key(path), ike);
    }

    /// The other end that ESP from this place seems to come from.
    pub(super) fn session_at(&self, underlay: Underlay) -> Option<dmvpn_isakmp::PeerId> {
        let (local, remote) = (underlay.local.ip(), underlay.remote);
        if underlay.transport == Transport::NatT {
            return self.by_path.get(&(local, remote.ip(), remote.port())).copied();
        }
        // Native ESP has no port: without a NAT there is one other end at an address.
        let range = (local, remote.ip(), 0)..=(local, remote.ip(), u16::MAX);
        self.by_path.range(range).next().map(|(_, ike)| *ike)
    }

    fn moved(&mut self, now: Instant, ike: dmvpn_isakmp::PeerId, path: Path) {
        let Some(session) = self.sessions.get(&ike) else { return };
        let peers: Vec<PeerId> = session.peers.values().copied().collect();
        self.set_path(ike, path);
        for id in peers {
            let Some(peer) = self.peers.get(id.0) else { continue };
            // Native ESP stays where it is: only UDP encapsulation follows (RFC 3947 §7).
            if peer.whereabouts.port == 0 && peer.outbound.is_some() {
                continue;
            }
            let port = if peer.whereabouts.port == 0 { 0 } else { path.remote.port() };
            let whereabouts = Whereabouts { remote: path.remote.ip(), port, ..peer.whereabouts };
            self.relocate(id, whereabouts);
            self.event(now, Event::PeerMoved { peer: id, remote: path.remote });
        }
    }

    /// The peer is found at another place from now on.
    fn relocate(&mut self, id: PeerId, whereabouts: Whereabouts) {
        let Some(peer) = self.peers.get_mut(id.0) else { return };
        let before = core::mem::replace(&mut peer.whereabouts, whereabouts);
        if before != whereabouts && self.by_whereabouts.get(&before) == Some(&id) {
            self.by_whereabouts.remove(&before);
        }
        self.by_whereabouts.insert(whereabouts, id);
    }

    fn session_down(&mut self, now: Instant, ike: dmvpn_isakmp::PeerId, reason: CloseReason) {
        let Some(session) = self.sessions.remove(&ike) else { return };
        if let Some(key) = session.path.map(path_key)
            && self.by_path.get(&key) == Some(&ike)
        {
            self.by_path.remove(&key);
        }
        for (_, id) in session.peers {
            let Some(peer) = self.peers.get_mut(id.0) else { continue };
            if peer.ike != Some(ike) {
                continue;
            }
            peer.ike = None;
            self.peer_gone(now, id);
            let Some(peer) = self.peers.get(id.0) else { continue };
            if peer.socket == SocketState::Open {
                self.socket_down(now, id, reason);
            } else if self.timers.get(&Timer::Reopen(id)).is_none() {
                self.try_again_later(now, id);
            }
            self.forget_if_idle(id);
        }
    }

    fn failed(
        &mut self,
        now: Instant,
        ike: dmvpn_isakmp::PeerId,
        protection: ProtectionId,
        reason: CloseReason,
    ) {
        let Some(session) = self.sessions.get(&ike) else { return };
        let Some(id) = session.peers.get(&protection).copied() else { return };
        self.event(now, Event::NegotiationFailed { peer: id, reason });
        if self.peers.get(id.0).is_some_and(|peer| peer.socket != SocketState::Open) {
            self.try_again_later(now, id);
        }
    }

    /// GRE can pass to and from a peer.
    pub(super) fn socket_up(&mut self, now: Instant, id: PeerId) {
        let Some(peer) = self.peers.get_mut(id.0) else { return };
        let first = peer.socket != SocketState::Open;
        peer.socket = SocketState::Open;
        peer.failures = 0;
        if first {
            peer.up_since = Some(now);
            peer.reset_sequences();
        }
        let remote = peer.remote();
        let identity = peer.identity.clone();
        let protection = peer.whereabouts.protection;
        let mtu = peer.path_mtu;
        self.timers.cancel(&Timer::Reopen(id));
        if first && let Some(identity) = identity {
            self.event(now, Event::PeerUp { peer: id, identity, remote });
        }
        for tunnel in self.tunnels_of(protection) {
            self.trace_socket(now, tunnel, Some(remote.ip()), |_| SocketChange::Up);
            self.trace_socket(now, tunnel, Some(remote.ip()), |_| SocketChange::SignallingNhrp);
            let announced = self.announced_mtu(id, mtu);
            self.trace_socket(now, tunnel, Some(remote.ip()), |_| SocketChange::Mtu(announced));
            self.link_up(now, tunnel, id);
            let point_to_point =
                self.tunnels.get(&tunnel).is_some_and(|tunnel| !tunnel.config.is_multipoint());
            if point_to_point {
                self.line_up(now, tunnel);
            }
        }
    }

    fn socket_down(&mut self, now: Instant, id: PeerId, reason: CloseReason) {
        let Some(peer) = self.peers.get_mut(id.0) else { return };
        peer.socket = SocketState::Closed;
        peer.up_since = None;
        let remote = peer.whereabouts.remote;
        let protection = peer.whereabouts.protection;
        self.event(now, Event::PeerDown { peer: id, reason });
        for tunnel in self.tunnels_of(protection) {
            self.trace_socket(now, tunnel, Some(remote), |_| SocketChange::Down);
            self.link_down(now, tunnel, id);
            let point_to_point =
                self.tunnels.get(&tunnel).is_some_and(|tunnel| !tunnel.config.is_multipoint());
            if point_to_point {
                self.line_down(now, tunnel);
            }
        }
        // What we want and lost is opened again at once; what failed before waits.
        self.timers.cancel(&Timer::Reopen(id));
        if self.peers.get(id.0).is_some_and(|peer| peer.wanted.is_some()) {
            self.timers.set(Timer::Reopen(id), now);
        }
        self.forget_if_idle(id);
    }

    /// What IOS announces as the MTU inside the protection.
    fn announced_mtu(&self, id: PeerId, path_mtu: u16) -> u16 {
        let Some(peer) = self.peers.get(id.0) else { return path_mtu };
        let Some(outbound) = peer.outbounds().next() else {
            return path_mtu;
        };
        let transform = outbound.sa.key().transform();
        crate::mtu::announced_mtu(
            path_mtu,
            transform.encryption().alignment(),
            transform.icv_len(),
            outbound.association.udp.is_some(),
        )
    }

    // -- traces -------------------------------------------------------------------------------

    /// Moves key management's records into the ring, and puts the passive socket's own lines where
    /// IOS prints them: its opening behind the validated proposal, its binding before the key
    /// engine creates the associations. No behaviour hangs on this.
    pub(super) fn absorb_isakmp_traces(&mut self) {
        while let Some(traced) = self.isakmp.poll_trace() {
            if !self.ring.is_on() {
                continue;
            }
            let at = traced.at;
            let remote = traced.remote.ip();
            let passive = if let Trace::ValidateProposal(message) = &traced.trace {
                self.passive_opening(message)
            } else {
                None
            };
            if matches!(traced.trace, Trace::KeyEngineEvent)
                && self.binding.as_ref().is_some_and(|socket| socket.remote == Some(remote))
                && let Some(socket) = self.binding.take()
            {
                self.ring.push(Record::Socket(socket).at(at));
            }
            self.ring.push(Record::Isakmp(Box::new(traced)).at(at));
            if let Some((socket, profile)) = passive {
                let opening = SocketChange::Opening { profile };
                for change in [opening, SocketChange::PassiveOpen] {
                    self.ring.push(Record::Socket(Socket { change, ..socket.clone() }).at(at));
                }
                self.binding = Some(socket);
            }
        }
    }

    /// The socket that a peer's validated proposal opens, if none is open there.
    fn passive_opening(&self, message: &KeyEngineMessage) -> Option<(Socket, String)> {
        let local = message.local.ip();
        let remote = message.remote.ip();
        let (id, group) = self.protections.iter().find(|(_, group)| group.source == local)?;
        let open = self
            .peers_near(Whereabouts { protection: Some(*id), local, remote, port: 0 })
            .filter_map(|peer| self.peers.get(peer.0))
            .any(|peer| peer.socket != SocketState::Closed);
        if open {
            return None;
        }
        let tunnel = *group.tunnels.first()?;
        let multipoint = self.tunnels.get(&tunnel)?.config.is_multipoint();
        let socket =
            Socket { tunnel, multipoint, local, remote: Some(remote), change: SocketChange::Bound };
        Some((socket, group.profile.name.clone()))
    }

    fn log_phase1_keys(&mut self, peer: dmvpn_isakmp::PeerId) {
        let keys = self.isakmp.dangerous_phase1_keys().filter(|key| key.peer == peer);
        let room = self.config.queue.saturating_sub(self.keys.len());
        self.keys.extend(keys.take(room).map(|key| LoggedKey::Isakmp {
            initiator_cookie: key.initiator_cookie.0,
            encryption: key.encryption,
            key: Secret::new(key.key.dangerous_key().to_vec()),
        }));
    }

    fn log_keys(&mut self, install: &InstallSa) {
        let (local, remote) = endpoints(install.encapsulation);
        let (source, destination) = match install.direction {
            Direction::Inbound => (remote.ip(), local),
            Direction::Outbound => (local, remote.ip()),
        };
        if self.keys.len() >= self.config.queue {
            return;
        }
        let mut encryption_key = install.keys.dangerous_encryption_key().to_vec();
        encryption_key.extend_from_slice(install.keys.dangerous_salt());
        self.keys.push_back(LoggedKey::Esp {
            source,
            destination,
            spi: install.spi,
            transform: install.transform,
            encryption_key: Secret::new(encryption_key),
            integrity_key: Secret::new(install.keys.dangerous_integrity_key().to_vec()),
        });
    }
}

impl Session {
    pub(super) fn new() -> Box<Self> {
        let peers = Few::new();
        Box::new(Self { identity: None, path: None, peers, invalid_spi_told: None })
    }
}

/// The same algorithms in ESP's own terms; none for what this build of ESP does not know.
pub(crate) fn esp_transform(proposal: EspProposal) -> Option<Transform> {
    let encryption = match proposal.encryption {
        EspEncryption::TripleDes => Encryption::TripleDesCbc,
        EspEncryption::Aes128Cbc => Encryption::AesCbc128,
        EspEncryption::Aes192Cbc => Encryption::AesCbc192,
        EspEncryption::Aes256Cbc => Encryption::AesCbc256,
        EspEncryption::Aes128Gcm16 => Encryption::AesGcm128,
        EspEncryption::Aes192Gcm16 => Encryption::AesGcm192,
        EspEncryption::Aes256Gcm16 => Encryption::AesGcm256,
        EspEncryption::Null => Encryption::Null,
        _ => return None,
    };
    let integrity = match proposal.integrity {
        None => None,
        Some(EspIntegrity::HmacMd5) => Some(Integrity::HmacMd5),
        Some(EspIntegrity::HmacSha1) => Some(Integrity::HmacSha1),
        Some(EspIntegrity::HmacSha256) => Some(Integrity::HmacSha256),
        Some(EspIntegrity::HmacSha384) => Some(Integrity::HmacSha384),
        Some(EspIntegrity::HmacSha512) => Some(Integrity::HmacSha512),
        Some(_) => return None,
    };
    Transform::new(encryption, integrity).ok()
}

/// The lifetime by volume in octets; IKE's kilobyte has 1024 (RFC 2407 §4.5).
fn volume(lifetime: SaLifetime) -> Lifetime {
    let octets = |kilobytes: Option<u32>| Volume {
        bytes: kilobytes.map(|kilobytes| u64::from(kilobytes).saturating_mul(1024)),
        packets: None,
    };
    Lifetime { soft: octets(lifetime.soft_kilobytes), hard: octets(lifetime.kilobytes) }
}

fn path_key(path: Path) -> (IpAddr, IpAddr, u16) {
    (path.local.ip(), path.remote.ip(), path.remote.port())
}

/// Our address, and the peer's address with its UDP port, 0 with native ESP.
const fn endpoints(encapsulation: Encapsulation) -> (IpAddr, SocketAddr) {
    match encapsulation {
        Encapsulation::None { local, remote } => (local, SocketAddr::new(remote, 0)),
        Encapsulation::Udp { local, remote } => (local.ip(), remote),
    }
}
