//! The table of peers.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use core::net::IpAddr;
use core::ops::{Deref, DerefMut};

use dmvpn_time::{Few, Instant};

use crate::dead_peer_detection::Probe;
use crate::output::Timer;
use crate::phase1::SaId;
use crate::quick_mode::proxies;
use crate::wire::MessageId;
use crate::{
    CloseReason, Event, Identity, Path, PeerId, Protection, ProtectionId, Selectors, Transport,
};

use super::Endpoint;

/// What a peer is known by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct PeerName {
    /// Our address.
    pub(super) local: IpAddr,
    /// Whom it authenticated as.
    pub(super) identity: Identity,
    /// Where it is seen, if the identity is an address behind a NAT and not unique.
    pub(super) outside: Option<IpAddr>,
}

/// A remote IKE peer in its table. What each data packet writes lies in the table itself, so that the
/// packet need not wait for the rest.
#[derive(Debug)]
pub(super) struct Entry {
    /// When the peer was last heard of.
    pub(super) last_inbound: Instant,
    peer: Box<Peer>,
}

impl Deref for Entry {
    type Target = Peer;

    fn deref(&self) -> &Peer {
        &self.peer
    }
}

impl DerefMut for Entry {
    fn deref_mut(&mut self) -> &mut Peer {
        &mut self.peer
    }
}

/// A remote IKE peer.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) path: Path,
    /// The address that `connect` was called with.
    pub(super) target: Option<IpAddr>,
    pub(super) identity: Option<Identity>,
    /// Other addresses that it answered at when we called them.
    pub(super) answers_at: BTreeSet<IpAddr>,
    /// How `by_identity` knows it.
    pub(super) name: Option<PeerName>,
    /// How `by_place` knows it.
    place: Option<(IpAddr, IpAddr)>,
    /// Its phase 1 SAs, the half-open ones that we started included.
    pub(super) phase1: Few<SaId>,
    /// The one in use: the newest established.
    pub(super) current: Option<SaId>,
    /// Its phase 2 SAs, by inbound SPI.
    pub(super) children: Few<u32>,
    /// The pair whose outbound SA is in use for each protection, by inbound SPI.
    pub(super) sending: Few<ProtectionId, u32>,
    /// What waits for phase 1.
    pub(super) wanted: BTreeMap<ProtectionId, Wanted>,
    /// Our quick modes under way.
    pub(super) negotiating: BTreeMap<(SaId, MessageId), ProtectionId>,
    pub(super) probe: Probe,
    /// Since when it has been authenticated without a break.
    pub(super) up_since: Option<Instant>,
    /// Whether packets in UDP keep a NAT's mapping of ours alive.
    pub(super) behind_nat: bool,
}

/// A phase 2 negotiation to be started.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    pub(super) selectors: Selectors,
    pub(super) rekey_of: Option<u32>,
}

impl Endpoint {
    /// A new peer at the other end of a path.
    pub(super) fn add_peer(&mut self, path: Path) -> PeerId {
        let peer = Peer {
            path,
            target: None,
            answers_at: BTreeSet::new(),
            identity: None,
            name: None,
            place: None,
            phase1: Few::new(),
            current: None,
            children: Few::new(),
            sending: Few::new(),
            wanted: BTreeMap::new(),
            negotiating: BTreeMap::new(),
            probe: Probe::default(),
            up_since: None,
            behind_nat: false,
        };
        let entry = Entry { last_inbound: self.output.now, peer: Box::new(peer) };
        PeerId(self.peers.insert(entry))
    }

    /// The peer that `connect` means, or a new one.
    pub(super) fn peer_for_target(&mut self, local: IpAddr, remote: IpAddr) -> PeerId {
        // Who is called by this address is meant only if it is also there.
        let by_identity = || {
            let name = PeerName { local, identity: Identity::address(remote), outside: None };
            self.by_identity.get(&name).filter(|id| {
                self.peers.get(id.0).is_some_and(|peer| peer.path.remote.ip() == remote)
            })
        };
        let by_place = || self.by_place.get(&(local, remote));
        let known = self.by_target.get(&(local, remote)).or_else(by_identity).or_else(by_place);
        if let Some(&id) = known {
            return id;
        }
        let config = &self.output.config;
        // With forced encapsulation MM1 already goes to the NAT traversal port.
        let (transport, port) = if config.forces_encapsulation() {
            (Transport::NatT, config.ports.nat_t)
        } else {
            (Transport::Isakmp, config.ports.ike)
        };
        let path = Path { local: (local, port).into(), remote: (remote, port).into(), transport };
        let id = self.add_peer(path);
        self.by_target.insert((local, remote), id);
        if let Some(peer) = self.peers.get_mut(id.0) {
            peer.target = Some(remote);
        }
        id
    }

    /// The peer that has just authenticated as `identity`, or a new one.
    pub(super) fn peer_for_identity(
        &mut self,
        path: Path,
        identity: &Identity,
        outside: Option<IpAddr>,
    ) -> PeerId {
        let local = path.local.ip();
        let name = PeerName { local, identity: identity.clone(), outside };
        if let Some(&id) = self.by_identity.get(&name) {
            return id;
        }
        // One that we are connecting to and do not know by name yet; behind a NAT it may be any other.
        if outside.is_none()
            && let Some(&id) = self.by_target.get(&(local, path.remote.ip()))
            && self.peers.get(id.0).is_some_and(|peer| peer.identity.is_none())
        {
            return id;
        }
        self.add_peer(path)
    }

    /// The peer that has just authenticated as `identity` where we called another, or the one that
    /// we called: an address may be shared, and a peer may have come from there by itself.
    pub(super) fn peer_that_answered(
        &mut self,
        sa: SaId,
        asked: PeerId,
        path: Path,
        identity: &Identity,
        outside: Option<IpAddr>,
    ) -> PeerId {
        let name = PeerName { local: path.local.ip(), identity: identity.clone(), outside };
        let answered = match self.by_identity.get(&name) {
            Some(&known) => known,
            // What a peer has negotiated is never another's.
            None if self.peers.get(asked.0).is_some_and(|peer| {
                !peer.children.is_empty()
                    && peer.identity.as_ref().is_some_and(|before| before != identity)
            }) =>
            {
                self.add_peer(path)
            }
            None => asked,
        };
        if answered != asked {
            self.hand_over(sa, asked, answered);
        }
        answered
    }

    /// A phase 1 SA that was to reach one peer has reached another: whoever calls this address from
    /// now on means that one.
    fn hand_over(&mut self, sa: SaId, asked: PeerId, answered: PeerId) {
        let Some(peer) = self.peers.get_mut(asked.0) else { return };
        peer.phase1.remove(&sa);
        let local = peer.path.local.ip();
        let target = peer.target.take();
        let wanted = core::mem::take(&mut peer.wanted);
        if let Some(target) = target {
            self.by_target.insert((local, target), answered);
            // It came from elsewhere, and there it is found: this is only how it is called.
            if let Some(peer) = self.peers.get_mut(answered.0) {
                peer.answers_at.insert(target);
            }
        }
        let reason = CloseReason::Superseded;
        for (protection, wanted) in wanted {
            if wanted.rekey_of.is_some() {
                self.negotiation_failed(asked, protection, wanted.rekey_of, reason);
                continue;
            }
            let Some(peer) = self.peers.get_mut(answered.0) else { continue };
            let up = peer.children.keys().any(|spi| {
                self.children
                    .get(spi)
                    .is_some_and(|child| child.protection == protection && !child.superseded)
            });
            if !up && !peer.negotiating.values().any(|other| *other == protection) {
                peer.wanted.entry(protection).or_insert(wanted);
            }
        }
        self.reap_peer(asked, reason);
    }

    /// An authenticated message says where a peer is. Whether that is a change.
    pub(super) fn found_at(&mut self, id: PeerId, path: Path) -> bool {
        let Some(peer) = self.peers.get_mut(id.0) else { return false };
        let before = core::mem::replace(&mut peer.path, path);
        self.by_address.remove(&(before.remote.ip(), id));
        self.by_address.insert((path.remote.ip(), id));
        before != path
    }

    /// Whether peers other than this one are at an address: then who answers there may be one
    /// that knows us.
    pub(super) fn is_shared(&self, address: IpAddr, peer: PeerId) -> bool {
        let mut there = self.by_address.range((address, PeerId(0))..=(address, PeerId(u64::MAX)));
        there.any(|(_, other)| *other != peer)
    }

    /// Records whom a peer authenticated as.
    pub(super) fn name_peer(&mut self, id: PeerId, identity: &Identity, outside: Option<IpAddr>) {
        let Some(peer) = self.peers.get_mut(id.0) else { return };
        let name = PeerName { local: peer.path.local.ip(), identity: identity.clone(), outside };
        peer.identity = Some(identity.clone());
        if peer.name.as_ref() == Some(&name) {
            return;
        }
        let before = peer.name.replace(name.clone());
        self.forget_name(id, before);
        self.by_identity.insert(name, id);
    }

    /// Records where a peer is, so that who looks for the address finds it although it is called
    /// otherwise. Behind a NAT it is not alone at its address.
    pub(super) fn place_peer(&mut self, id: PeerId, behind_nat: bool) {
        let Some(peer) = self.peers.get_mut(id.0) else { return };
        let named = peer.identity.as_ref().is_some_and(|name| name.as_address().is_none());
        let place = (named && !behind_nat).then(|| (peer.path.local.ip(), peer.path.remote.ip()));
        let before = core::mem::replace(&mut peer.place, place);
        if before == place {
            return;
        }
        self.forget_place(id, before);
        if let Some(place) = place {
            self.by_place.insert(place, id);
        }
    }

    fn forget_place(&mut self, id: PeerId, place: Option<(IpAddr, IpAddr)>) {
        if let Some(place) = place
            && self.by_place.get(&place) == Some(&id)
        {
            self.by_place.remove(&place);
        }
    }

    /// A peer behind a NAT was seen at another address. If one is known there by the same name, it is
    /// the same router under newer SAs, and stays known; this one has only old ones, which end.
    pub(super) fn seen_at(&mut self, id: PeerId, address: IpAddr) {
        let Some(peer) = self.peers.get(id.0) else { return };
        let Some(name @ PeerName { outside: Some(_), .. }) = peer.name.clone() else { return };
        let name = PeerName { outside: Some(address), ..name };
        if !self.by_identity.contains_key(&name) {
            self.name_peer(id, &name.identity, name.outside);
        }
    }

    fn forget_name(&mut self, id: PeerId, name: Option<PeerName>) {
        if let Some(name) = name
            && self.by_identity.get(&name) == Some(&id)
        {
            self.by_identity.remove(&name);
        }
    }

    /// Forgets the peer if nothing is left of it.
    pub(super) fn reap_peer(&mut self, id: PeerId, reason: CloseReason) {
        let Some(peer) = self.peers.get(id.0) else { return };
        let live = !peer.phase1.is_empty() || !peer.children.is_empty() || !peer.wanted.is_empty();
        if live {
            return;
        }
        let Some(Entry { peer, .. }) = self.peers.remove(id.0) else { return };
        let local = peer.path.local.ip();
        for target in peer.answers_at.into_iter().chain(peer.target) {
            if self.by_target.get(&(local, target)) == Some(&id) {
                self.by_target.remove(&(local, target));
            }
        }
        self.by_address.remove(&(peer.path.remote.ip(), id));
        self.forget_name(id, peer.name);
        self.forget_place(id, peer.place);
        self.output.timers.cancel(&Timer::DeadPeer(id));
        self.output.timers.cancel(&Timer::Keepalive(id));
        self.output.timers.cancel(&Timer::FirstQuickMode(id));
        self.output.event(Event::PeerDown { peer: id, reason });
    }

    /// The traffic of a protection between the ends of a path.
    pub(super) fn selectors_for(terms: &Protection, remote: IpAddr) -> Selectors {
        proxies::selectors(terms, terms.local, remote)
    }
}
