//! Pairs of phase 2 SAs: installation, use, re-keying, end.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::time::Duration;

use dmvpn_time::Instant;

use crate::crypto::Group;
use crate::output::Timer;
use crate::phase1::{Phase1, Phase1State, SaId};
use crate::quick_mode::NewChild;
use crate::wire::{Delete, Payload};
use crate::{
    ChildLifetime, CloseReason, Direction, Encapsulation, EspProposal, Event, InstallSa, Mode,
    Path, PeerId, ProtectionId, Proxies, Role, SaLifetime, Selectors, Trace, informational,
};

use super::Endpoint;
use super::peer::Wanted;
use super::phase1::quarter;

/// The longest that a pair near its volume limit is used beside its successor: what is left of it is
/// soon used up.
const OVERLAP_BY_VOLUME: Duration = Duration::from_secs(1);

/// How many times the overlap a pair waits at most, however often QM2 is repeated.
const OVERLAPS: u32 = 3;

/// Wait before a failed re-keying is tried again.
pub(super) const REKEY_RETRY: Duration = Duration::from_secs(10);

/// A pair of phase 2 SAs.
#[derive(Debug)]
pub(super) struct Child {
    pub(super) peer: PeerId,
    pub(super) protection: ProtectionId,
    pub(super) role: Role,
    pub(super) outbound_spi: u32,
    pub(super) conn_ids: (u32, u32),
    pub(super) transform: EspProposal,
    pub(super) mode: Mode,
    pub(super) selectors: Selectors,
    pub(super) lifetime: SaLifetime,
    pub(super) pfs: Option<Group>,
    pub(super) created: Instant,
    pub(super) rekey_of: Option<u32>,
    /// Whether ESP goes in UDP.
    pub(super) in_udp: bool,
    /// Whether the outbound SA may be used.
    pub(super) enabled: bool,
    /// Whether a newer pair has taken its place.
    pub(super) superseded: bool,
    /// Whether its soft volume limit was reached.
    pub(super) nearly_used_up: bool,
}

impl Child {
    pub(super) const fn encapsulation(&self, path: &Path) -> Encapsulation {
        if self.in_udp {
            Encapsulation::Udp { local: path.local, remote: path.remote }
        } else {
            Encapsulation::None { local: path.local.ip(), remote: path.remote.ip() }
        }
    }
}

impl Endpoint {
    /// Installs a pair of SAs.
    pub(super) fn install(&mut self, id: SaId, child: NewChild) {
        let Some(Phase1 { negotiation, state: Phase1State::Established(established) }) =
            self.phase1.get(&id)
        else {
            return;
        };
        let Some(peer_id) = negotiation.peer else { return };
        let in_udp = established.udp.is_some();
        let rekeying = negotiation.config.rekeying;
        let most = negotiation.config.limits.pairs_per_peer;
        let path = negotiation.path;
        let lifetime = self.sa_lifetime(child.lifetime, rekeying);
        let now = self.output.now;
        let conn_ids = (self.next_conn, self.next_conn.wrapping_add(1));
        self.next_conn = self.next_conn.wrapping_add(2);
        let installed = Child {
            peer: peer_id,
            protection: child.protection,
            role: child.role,
            outbound_spi: child.outbound_spi,
            conn_ids,
            transform: child.transform,
            mode: child.mode,
            selectors: child.selectors,
            lifetime,
            pfs: child.pfs,
            created: now,
            rekey_of: child.rekey_of,
            in_udp,
            enabled: false,
            superseded: false,
            nearly_used_up: false,
        };
        let encapsulation = installed.encapsulation(&path);
        // A peer that chooses the SPI of a pair that is still here does not have that any more.
        if let Some(&gone) = self.outbound.get(&(peer_id, child.outbound_spi)) {
            self.remove_child(gone, CloseReason::Superseded);
        }
        let replaced = child.rekey_of.and_then(|spi| self.children.get(&spi));
        let replaced = (child.rekey_of, replaced.map(|child| child.outbound_spi));
        self.trace_for(id, Trace::KeyEngineEvent);
        let sides = [
            (
                Direction::Inbound,
                child.inbound_spi,
                child.inbound_keys,
                replaced.0,
                path.local.ip(),
                conn_ids.0,
            ),
            (
                Direction::Outbound,
                child.outbound_spi,
                child.outbound_keys,
                replaced.1,
                path.remote.ip(),
                conn_ids.1,
            ),
        ];
        for (direction, spi, keys, rekey_of, destination, conn_id) in sides {
            let agreed = ChildLifetime { seconds: lifetime.seconds, kilobytes: lifetime.kilobytes };
            let transform = child.transform;
            let record = Trace::SaCreated {
                direction,
                destination,
                spi,
                transform,
                conn_id,
                lifetime: agreed,
            };
            self.trace_for(id, record);
            self.output.event(Event::InstallSa(InstallSa {
                direction,
                peer: peer_id,
                protection: child.protection,
                spi,
                transform,
                keys,
                mode: child.mode,
                selectors: child.selectors,
                original_addresses: child.original_addresses,
                encapsulation,
                lifetime,
                rekey_of,
            }));
        }
        let spi = child.inbound_spi;
        self.make_room_for_pair(peer_id, most);
        self.outbound.insert((peer_id, child.outbound_spi), spi);
        self.children.insert(spi, Box::new(installed));
        if let Some(peer) = self.peers.get_mut(peer_id.0) {
            peer.children.insert(spi, ());
        }
        self.output.counters.phase2_completed =
            self.output.counters.phase2_completed.saturating_add(1);
        let life = Duration::from_secs(lifetime.seconds.into());
        self.output.timers.set(Timer::ChildExpire(spi), now + life);
        let early = self.jittered_margin(rekeying.margin, life);
        // The responder waits half as long before the end, so that the two seldom start at once.
        let early = if child.role == Role::Initiator { early } else { quarter(early) };
        self.output.timers.set(Timer::ChildRekey(spi), now + life.saturating_sub(early));
        if child.role == Role::Initiator {
            self.enable_later(spi);
        }
    }

    /// QM3 is on its way. If it is a re-keying, packets go out on the old SA until the peer sends on
    /// the new one, or [`overlap`](crate::Rekeying::overlap) is over: nothing acknowledges QM3, and
    /// what overtakes it could be lost.
    pub(super) fn enable_later(&mut self, spi: u32) {
        let Some(child) = self.children.get(&spi) else { return };
        if child.enabled || child.role == Role::Responder {
            return;
        }
        let peer = self.peers.get(child.peer.0);
        let in_use = peer.and_then(|peer| peer.sending.get(&child.protection));
        let Some((old_spi, old)) = in_use.and_then(|spi| Some((*spi, self.children.get(spi)?)))
        else {
            return self.enable(spi);
        };
        let now = self.output.now;
        let ends = self.output.timers.get(&Timer::ChildExpire(old_spi)).unwrap_or(now);
        let half = ends.saturating_duration_since(now).checked_div(2).unwrap_or_default();
        let most = self.output.config.rekeying.overlap.min(half);
        let wait = if old.nearly_used_up { most.min(OVERLAP_BY_VOLUME) } else { most };
        // A repeated QM2 may as well be a replayed one.
        let last = child.created + self.output.config.rekeying.overlap.saturating_mul(OVERLAPS);
        self.output.timers.set(Timer::ChildEnable(spi), last.min(now + wait));
    }

    /// A packet came in on a pair for the first time: the peer has it and sends on it.
    ///
    /// A responder may see that before QM3, which was lost or overtaken; it proves as much as QM3.
    pub(super) fn first_traffic(&mut self, peer: PeerId, spi: u32) {
        if self.children.get(&spi).is_some_and(|child| child.peer == peer) {
            self.enable(spi);
        }
    }

    /// A peer that negotiates ever more pairs without deleting any loses those that are replaced,
    /// then the oldest.
    fn make_room_for_pair(&mut self, peer_id: PeerId, most: usize) {
        let Some(peer) = self.peers.get(peer_id.0) else { return };
        if peer.children.len() < most.max(1) {
            return;
        }
        let least = peer.children.keys().copied().min_by_key(|spi| {
            self.children.get(spi).map(|child| (!child.superseded, child.created))
        });
        if let Some(spi) = least {
            let counter = &mut self.output.counters.pairs_displaced;
            *counter = counter.saturating_add(1);
            self.delete_children(peer_id, &[spi], CloseReason::Superseded);
        }
    }

    /// The lifetime of a pair, its volume lowered at random as IOS does.
    fn sa_lifetime(&mut self, agreed: ChildLifetime, rekeying: crate::Rekeying) -> SaLifetime {
        let kilobytes = agreed.kilobytes.map(|kilobytes| {
            let whole = u64::from(kilobytes);
            let percent = u64::from(rekeying.volume_jitter_percent);
            let most = whole.saturating_mul(percent).checked_div(100).unwrap_or(0);
            let off = if most == 0 { 0 } else { self.output.below(most) };
            kilobytes.saturating_sub(u32::try_from(off).unwrap_or(0))
        });
        let soft_kilobytes = kilobytes.map(|kilobytes| {
            let percent = u64::from(rekeying.volume_percent);
            let soft = u64::from(kilobytes).saturating_mul(percent).checked_div(100);
            u32::try_from(soft.unwrap_or(0)).unwrap_or(kilobytes)
        });
        SaLifetime { seconds: agreed.seconds, kilobytes, soft_kilobytes }
    }

    fn trace_for(&mut self, id: SaId, trace: Trace) {
        if let Some(Phase1 { negotiation, .. }) = self.phase1.get(&id) {
            self.output.trace(negotiation, trace);
        }
    }

    /// The outbound SA is used from now on, in place of older ones.
    pub(super) fn enable(&mut self, spi: u32) {
        let Some(child) = self.children.get_mut(&spi) else { return };
        if core::mem::replace(&mut child.enabled, true) {
            return;
        }
        let (peer_id, protection, role) = (child.peer, child.protection, child.role);
        let (outbound, rekey_of) = (child.outbound_spi, child.rekey_of);
        self.output.timers.cancel(&Timer::ChildEnable(spi));
        let Some(peer) = self.peers.get_mut(peer_id.0) else { return };
        let path = peer.path;
        if role == Role::Responder {
            self.output.trace_on(&path, 0, Trace::KeyEngineEvent);
            self.output.trace_on(&path, 0, Trace::EnableOutbound { spi: outbound });
        }
        // A wish that the peer has fulfilled.
        if role == Role::Responder
            && peer.wanted.get(&protection).is_some_and(|wanted| wanted.rekey_of.is_none())
        {
            peer.wanted.remove(&protection);
        }
        // While ours waited, a pair that the peer initiated came into use.
        let rival = role == Role::Initiator
            && peer.sending.get(&protection).is_some_and(|in_use| Some(*in_use) != rekey_of);
        self.supersede(spi);
        if rival && self.children.get(&spi).is_some_and(|child| child.superseded) {
            return;
        }
        let current = Trace::CurrentOutbound { peer: path.remote.ip(), spi: outbound };
        self.output.trace_on(&path, 0, current);
        self.output.event(Event::EnableOutbound { peer: peer_id, protection, spi: outbound });
        if let Some(peer) = self.peers.get_mut(peer_id.0) {
            peer.sending.insert(protection, spi);
        }
    }

    /// Whether two pairs of a peer are for the same traffic. Between the ends of the path there is
    /// one, however they are named: whoever is behind a NAT has another address for itself than
    /// the other side has (RFC 3947 §5.2).
    fn is_same_traffic(&self, one: &Child, other: &Child) -> bool {
        let kind = |selectors: Selectors| {
            let Selectors { local, remote } = selectors;
            [(local.protocol, local.port), (remote.protocol, remote.port)]
        };
        let terms = self.protections.get(&one.protection);
        let between_ends =
            terms.is_some_and(|terms| matches!(terms.proxies, Proxies::Endpoints { .. }));
        one.protection == other.protection
            && (one.selectors == other.selectors
                || (between_ends && kind(one.selectors) == kind(other.selectors)))
    }

    /// Finds which pairs for the same traffic are no longer needed.
    ///
    /// An initiator removes the pair that its new one was to replace. A pair that the peer
    /// replaced is the peer's to remove; it is only not re-keyed from here any more. If both sides
    /// initiated at once, the pair with the lower SPIs loses, on both sides alike, and its initiator
    /// removes it. Each goes after a grace period, for packets on the way. Not every peer knows that
    /// rule, or removes what it has replaced: a pair that lost is at least not re-keyed, or there
    /// would be two of them for ever.
    fn supersede(&mut self, new_spi: u32) {
        let Some(new) = self.children.get(&new_spi) else { return };
        let Some(peer) = self.peers.get(new.peer.0) else { return };
        let key =
            |spi: u32, child: &Child| (spi.min(child.outbound_spi), spi.max(child.outbound_spi));
        let mut ending = Vec::new();
        let mut replaced = Vec::new();
        for &spi in peer.children.keys() {
            let Some(old) = self.children.get(&spi) else { continue };
            if spi == new_spi || old.superseded || !old.enabled || !self.is_same_traffic(old, new) {
                continue;
            }
            if new.rekey_of == Some(spi) {
                ending.push(spi);
            } else if old.role == new.role {
                replaced.push(spi);
            } else {
                let (loser, child) =
                    if key(spi, old) < key(new_spi, new) { (spi, old) } else { (new_spi, new) };
                let initiated = child.role == Role::Initiator;
                if initiated { &mut ending } else { &mut replaced }.push(loser);
            }
        }
        let grace = self.output.config.rekeying.grace;
        for spi in ending {
            if let Some(child) = self.children.get_mut(&spi) {
                child.superseded = true;
            }
            self.output.timers.cancel(&Timer::ChildRekey(spi));
            self.output.end_within(Timer::ChildExpire(spi), grace);
        }
        for spi in replaced {
            if let Some(child) = self.children.get_mut(&spi) {
                child.superseded = true;
            }
            self.output.timers.cancel(&Timer::ChildRekey(spi));
        }
    }

    /// Re-keys a pair.
    pub(super) fn rekey_child(&mut self, spi: u32) {
        let Some(child) = self.children.get(&spi) else { return };
        if child.superseded || !child.enabled || self.successor(child.peer, spi).is_some() {
            return;
        }
        let (peer, protection) = (child.peer, child.protection);
        let wanted = Wanted { selectors: child.selectors, rekey_of: Some(spi) };
        if let Some(path) = self.peers.get(peer.0).map(|peer| peer.path) {
            self.output.trace_on(&path, 0, Trace::ChildRekeying { spi });
        }
        self.want(peer, protection, wanted);
    }

    /// The pair that is to replace this one, if it is there already, though not in use yet.
    pub(super) fn successor(&self, peer: PeerId, spi: u32) -> Option<u32> {
        let replaces = |pair: &&u32| {
            self.children.get(pair).is_some_and(|pair| pair.rekey_of == Some(spi) && !pair.enabled)
        };
        self.peers.get(peer.0)?.children.keys().find(replaces).copied()
    }

    pub(super) fn mark_nearly_used_up(&mut self, spi: u32) {
        if let Some(child) = self.children.get_mut(&spi) {
            child.nearly_used_up = true;
        }
    }

    /// Removes a pair of SAs.
    pub(super) fn remove_child(&mut self, spi: u32, reason: CloseReason) {
        let Some(child) = self.children.remove(&spi) else { return };
        self.spis.remove(&spi);
        if self.outbound.get(&(child.peer, child.outbound_spi)) == Some(&spi) {
            self.outbound.remove(&(child.peer, child.outbound_spi));
        }
        for timer in [Timer::ChildRekey, Timer::ChildEnable, Timer::ChildExpire] {
            self.output.timers.cancel(&timer(spi));
        }
        let peer = child.peer;
        if let Some(old) = child.rekey_of.filter(|_| !child.enabled) {
            self.rekey_again_later(old);
        }
        self.send_with_another(peer, child.protection, spi);
        let sides = [(Direction::Inbound, spi), (Direction::Outbound, child.outbound_spi)];
        let path = self.peers.get(peer.0).map(|peer| peer.path);
        for (direction, spi) in sides {
            if let Some(path) = path {
                let record = Trace::SaDeleted { direction, spi, reason };
                self.output.trace_on(&path, 0, record);
            }
            self.output.event(Event::RemoveSa { direction, peer, spi, reason });
        }
        if let Some(peer) = self.peers.get_mut(peer.0) {
            peer.children.remove(&spi);
        }
        self.reinstate(peer, &child);
    }

    /// If `gone` was the pair that was re-keyed from here, the newest of those that it had outlived
    /// is, from now on: the peer keeps another than we thought.
    fn reinstate(&mut self, peer_id: PeerId, gone: &Child) {
        let Some(peer) = self.peers.get(peer_id.0) else { return };
        let same = peer.children.keys().filter_map(|spi| Some((*spi, self.children.get(spi)?)));
        let same = same.filter(|(_, child)| {
            child.enabled
                && child.protection == gone.protection
                && child.selectors == gone.selectors
        });
        let newest = same.max_by_key(|(spi, child)| (!child.superseded, child.created, *spi));
        let Some((spi, role)) =
            newest.and_then(|(spi, child)| child.superseded.then_some((spi, child.role)))
        else {
            return;
        };
        if let Some(child) = self.children.get_mut(&spi) {
            child.superseded = false;
        }
        let Some(end) = self.output.timers.get(&Timer::ChildExpire(spi)) else { return };
        let left = end.saturating_duration_since(self.output.now);
        let early = self.jittered_margin(self.output.config.rekeying.margin, left);
        let early = if role == Role::Initiator { early } else { quarter(early) };
        self.output
            .timers
            .set(Timer::ChildRekey(spi), self.output.now + left.saturating_sub(early));
    }

    /// If `gone` is the pair in use, the newest that is left takes its place, so that nothing waits
    /// while there is an SA to send with.
    fn send_with_another(&mut self, peer_id: PeerId, protection: ProtectionId, gone: u32) {
        let Some(peer) = self.peers.get_mut(peer_id.0) else { return };
        if peer.sending.get(&protection) != Some(&gone) {
            return;
        }
        peer.sending.remove(&protection);
        let others = peer.children.keys().filter_map(|spi| {
            let child = self.children.get(spi)?;
            // A pair that we negotiated waits for nothing but its turn.
            let usable = child.enabled || child.role == Role::Initiator;
            let fits = *spi != gone && usable && child.protection == protection;
            fits.then_some((child.created, *spi, child.outbound_spi))
        });
        let Some((_, inbound, spi)) = others.max() else { return };
        if self.children.get(&inbound).is_some_and(|child| !child.enabled) {
            return self.enable(inbound);
        }
        peer.sending.insert(protection, inbound);
        self.output.event(Event::EnableOutbound { peer: peer_id, protection, spi });
    }

    /// Removes pairs and tells the peer, if there is a phase 1 SA to do so.
    pub(super) fn delete_children(&mut self, peer_id: PeerId, spis: &[u32], reason: CloseReason) {
        if spis.is_empty() {
            return;
        }
        if let Some(Phase1 { negotiation, state: Phase1State::Established(established) }) = self
            .peers
            .get(peer_id.0)
            .and_then(|peer| peer.current)
            .and_then(|id| self.phase1.get_mut(&id))
        {
            let delete = Payload::Delete(Delete::esp(spis));
            informational::send(negotiation, established, &[delete], &mut self.output);
        }
        for spi in spis {
            self.remove_child(*spi, reason);
        }
    }

    /// The pair of a peer with this inbound or outbound SPI.
    pub(super) fn child_with(&self, peer: PeerId, spi: u32) -> Option<u32> {
        if self.children.get(&spi).is_some_and(|child| child.peer == peer) {
            return Some(spi);
        }
        self.outbound.get(&(peer, spi)).copied()
    }

    /// Tells the owner, and tries a re-keying again while there is time.
    pub(super) fn negotiation_failed(
        &mut self,
        peer: PeerId,
        protection: ProtectionId,
        rekey_of: Option<u32>,
        reason: CloseReason,
    ) {
        self.output.counters.failed = self.output.counters.failed.saturating_add(1);
        self.output.event(Event::Failed { peer, protection, reason });
        if let Some(spi) = rekey_of {
            self.rekey_again_later(spi);
        }
    }

    fn rekey_again_later(&mut self, spi: u32) {
        if self.children.get(&spi).is_some_and(|child| !child.superseded) {
            self.output.timers.set(Timer::ChildRekey(spi), self.output.now + REKEY_RETRY);
        }
    }
}
