//! Tables, timers, demultiplexing and queues; no protocol rule.

mod aggressive_mode;
mod child;
mod data_plane;
mod first_message;
mod fragment;
mod half_open;
mod informational;
mod key_log;
mod limit;
mod liveness;
mod peer;
mod phase1;
mod phase2;
mod rate;
mod timeout;
mod view;

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, SocketAddr};

use dmvpn_time::{Instant, LatestSeen, Slab};
use rand_core::CryptoRng;

use crate::crypto::{Job, JobId, JobResult};
use crate::fragmentation::{self, Reassemblies};
use crate::output::Output;
use crate::phase1::{Phase1, SaId};
use crate::wire::{Cookie, ExchangeType, Message, MessageId};
use crate::{
    CloseReason, Config, Deviation, Discard, Event, Path, PeerId, Protection, ProtectionId, Remote,
    Trace, Traced, Transmit,
};

use child::Child;
use half_open::HalfOpen;
pub use key_log::Phase1Key;
use peer::{PeerName, Wanted};
use rate::Rate;

/// Cisco's VPN client adds up to so many bytes after a message.
const TOLERATED_EXCESS: usize = 16;

/// All the IKE peers of a host.
pub struct Endpoint {
    clock: LatestSeen,
    output: Output,
    protections: BTreeMap<ProtectionId, Arc<Protection>>,
    /// By the numbers of their [`PeerId`]s.
    peers: Slab<peer::Entry>,
    by_identity: BTreeMap<PeerName, PeerId>,
    /// By our address and the one that `connect` was called with.
    by_target: BTreeMap<(IpAddr, IpAddr), PeerId>,
    /// By our address and their own, peers that are called otherwise than by it.
    by_place: BTreeMap<(IpAddr, IpAddr), PeerId>,
    /// Where authenticated peers are; several behind one NAT.
    by_address: BTreeSet<(IpAddr, PeerId)>,
    phase1: BTreeMap<SaId, Phase1>,
    /// The responder's cookie is zero while we wait for MM2.
    by_cookies: BTreeMap<(Cookie, Cookie), SaId>,
    /// Peers' first messages, to know them again.
    by_first: BTreeMap<(Cookie, SocketAddr), SaId>,
    /// By inbound SPI.
    children: BTreeMap<u32, Box<Child>>,
    /// From the peer's SPI to ours; those of two peers may be the same.
    outbound: BTreeMap<(PeerId, u32), u32>,
    /// Our SPIs in use, those under negotiation included.
    spis: BTreeSet<u32>,
    /// Who waits for which job.
    jobs: BTreeMap<JobId, (SaId, Option<MessageId>)>,
    half_open: HalfOpen,
    reassemblies: Reassemblies,
    /// Refusals sent.
    refusals: Rate,
    /// First messages of aggressive mode answered.
    aggressive_modes: Rate,
    next_sa: u64,
    /// The next connection id of a phase 2 SA.
    next_conn: u32,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("protections", &self.protections)
            .field("peers", &self.peers)
            .field("by_identity", &self.by_identity)
            .field("by_target", &self.by_target)
            .field("by_place", &self.by_place)
            .field("phase1", &self.phase1)
            .field("by_cookies", &self.by_cookies)
            .field("by_first", &self.by_first)
            .field("children", &self.children)
            .field("outbound", &self.outbound)
            .field("spis", &self.spis)
            .field("jobs", &self.jobs)
            .field("half_open", &self.half_open)
            .field("reassemblies", &self.reassemblies)
            .field("refusals", &self.refusals)
            .field("aggressive_modes", &self.aggressive_modes)
            .field("next", &(self.next_sa, self.next_conn))
            .field("timers", &self.output.timers)
            .finish_non_exhaustive()
    }
}

/// # Construction and configuration
impl Endpoint {
    /// An endpoint without protections and peers.
    #[must_use]
    pub fn new(config: Arc<Config>, rng: Box<dyn CryptoRng + Send>, now: Instant) -> Self {
        Self {
            clock: LatestSeen::new(now),
            output: Output::new(config, rng, now),
            protections: BTreeMap::new(),
            peers: Slab::new(),
            by_identity: BTreeMap::new(),
            by_target: BTreeMap::new(),
            by_place: BTreeMap::new(),
            by_address: BTreeSet::new(),
            phase1: BTreeMap::new(),
            by_cookies: BTreeMap::new(),
            by_first: BTreeMap::new(),
            children: BTreeMap::new(),
            outbound: BTreeMap::new(),
            spis: BTreeSet::new(),
            jobs: BTreeMap::new(),
            half_open: HalfOpen::default(),
            reassemblies: Reassemblies::default(),
            refusals: Rate::new(now),
            aggressive_modes: Rate::new(now),
            next_sa: 0,
            next_conn: 1,
        }
    }

    /// Contract rule 1.
    fn observe(&mut self, now: Instant) {
        self.output.now = self.clock.observe(now);
    }

    /// Another configuration, for negotiations that start from now on.
    pub fn set_config(&mut self, now: Instant, config: Arc<Config>) {
        self.observe(now);
        self.output.traces.set_capacity(config.trace_capacity);
        self.output.config = config;
        self.run_inline_jobs();
    }

    /// Adds a tunnel protection, or changes it for negotiations that start from now on. From now
    /// on peers may negotiate it.
    pub fn protect(&mut self, now: Instant, id: ProtectionId, protection: Protection) {
        self.observe(now);
        if self.protections.is_empty() {
            self.trace_switch(protection.local, Trace::On);
        }
        self.protections.insert(id, Arc::new(protection));
    }

    /// Removes a tunnel protection: its phase 2 SAs are deleted, and so is phase 1 to peers that
    /// have nothing else.
    pub fn unprotect(&mut self, now: Instant, id: ProtectionId) {
        self.observe(now);
        let Some(terms) = self.protections.remove(&id) else { return };
        let reason = CloseReason::ProtectionRemoved;
        // A command on a whole interface may walk over all of it.
        let mut by_peer: BTreeMap<PeerId, Vec<u32>> = BTreeMap::new();
        for (spi, child) in self.children.iter().filter(|(_, child)| child.protection == id) {
            by_peer.entry(child.peer).or_default().push(*spi);
        }
        for (peer, spis) in by_peer {
            self.delete_children(peer, &spis, reason);
        }
        let mut idle = Vec::new();
        for (peer_id, peer) in self.peers.iter_mut() {
            peer.wanted.remove(&id);
            let under_way: Vec<_> =
                peer.negotiating.iter().filter(|(_, p)| **p == id).map(|(key, _)| *key).collect();
            idle.push((PeerId(peer_id), under_way));
        }
        for (peer_id, under_way) in idle {
            for (sa, message_id) in under_way {
                self.fail_quick_mode(sa, message_id, reason);
            }
            let unused = self.peers.get(peer_id.0).is_some_and(|peer| {
                peer.children.is_empty() && peer.wanted.is_empty() && peer.negotiating.is_empty()
            });
            if unused {
                self.close_peer(peer_id, reason, true);
            }
        }
        if self.protections.is_empty() {
            self.trace_switch(terms.local, Trace::Off);
        }
    }

    fn trace_switch(&mut self, local: IpAddr, trace: Trace) {
        let port = self.output.config.ports.ike;
        let unspecified: IpAddr = match local {
            IpAddr::V4(_) => core::net::Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => core::net::Ipv6Addr::UNSPECIFIED.into(),
        };
        let path = Path {
            local: (local, port).into(),
            remote: (unspecified, 0).into(),
            transport: crate::Transport::Isakmp,
        };
        self.output.trace_on(&path, 0, trace);
    }
}

/// # Commands
impl Endpoint {
    /// Brings up phase 2 SAs with `remote`, after a phase 1 if there is no phase 1 SA. If that is
    /// done or under way already nothing happens. The answer is a pair of [`Event::InstallSa`] or
    /// an [`Event::Failed`].
    ///
    /// # Errors
    /// What makes it pointless to try.
    pub fn connect(
        &mut self,
        now: Instant,
        id: ProtectionId,
        remote: IpAddr,
    ) -> Result<PeerId, ConnectError> {
        self.observe(now);
        let terms =
            self.protections.get(&id).map(Arc::clone).ok_or(ConnectError::NoProtection(id))?;
        if let Remote::Host(only) = terms.remote
            && only != remote
        {
            return Err(ConnectError::WrongRemote { id, remote });
        }
        if terms.local.is_ipv4() != remote.is_ipv4() {
            return Err(ConnectError::AddressFamily(remote));
        }
        if self.output.config.pre_shared_key(remote).is_none() {
            return Err(ConnectError::NoPreSharedKey(remote));
        }
        let peer_id = self.peer_for_target(terms.local, remote);
        let Some(peer) = self.peers.get(peer_id.0) else {
            return Err(ConnectError::NoProtection(id));
        };
        let up = peer.children.keys().any(|spi| {
            self.children.get(spi).is_some_and(|child| child.protection == id && !child.superseded)
        });
        let under_way = peer.wanted.contains_key(&id)
            || peer.negotiating.values().any(|protection| *protection == id);
        if up || under_way {
            return Ok(peer_id);
        }
        self.trace_sa_request(peer_id, &terms, remote);
        let selectors = Self::selectors_for(&terms, remote);
        self.want(peer_id, id, Wanted { selectors, rekey_of: None });
        Ok(peer_id)
    }

    /// Takes everything of a peer down and tells it so: `clear crypto session`.
    pub fn close(&mut self, now: Instant, peer: PeerId) {
        self.observe(now);
        self.close_peer(peer, CloseReason::Cleared, true);
    }

    /// Takes everything of a peer down.
    fn close_peer(&mut self, peer_id: PeerId, reason: CloseReason, announce: bool) {
        let Some(peer) = self.peers.get_mut(peer_id.0) else { return };
        let wanted = core::mem::take(&mut peer.wanted);
        let children: Vec<u32> = peer.children.keys().copied().collect();
        let phase1: Vec<SaId> = peer.phase1.keys().copied().collect();
        if announce {
            self.delete_children(peer_id, &children, reason);
        } else {
            for spi in children {
                self.remove_child(spi, reason);
            }
        }
        for protection in wanted.into_keys() {
            self.negotiation_failed(peer_id, protection, None, reason);
        }
        for id in phase1 {
            self.remove_phase1(id, reason, announce);
        }
        self.reap_peer(peer_id, reason);
    }
}

/// # Input
impl Endpoint {
    /// A datagram that came over `path`, without its non-ESP marker.
    ///
    /// # Errors
    /// Why it changed nothing.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        path: Path,
        datagram: &[u8],
    ) -> Result<(), Discard> {
        self.observe(now);
        self.output.counters.received = self.output.counters.received.saturating_add(1);
        let outcome = self.dispatch(path, datagram);
        if let Err(discard) = &outcome {
            self.count_discard(&path, discard);
        }
        outcome
    }

    fn count_discard(&mut self, path: &Path, discard: &Discard) {
        self.output.counters.discarded = self.output.counters.discarded.saturating_add(1);
        self.count_limit(discard);
        self.output.trace_on(path, 0, Trace::Discarded(discard.clone()));
    }

    fn dispatch(&mut self, path: Path, datagram: &[u8]) -> Result<(), Discard> {
        let limit = self.output.config.limits.queue;
        let queues =
            [self.output.transmits.len(), self.output.events.len(), self.output.jobs.len()];
        if queues.into_iter().any(|waiting| waiting >= limit) {
            return Err(Discard::QueueFull { limit });
        }
        if datagram == [0xff] {
            return Err(Discard::Keepalive);
        }
        let (length, limit) = (datagram.len(), self.output.config.limits.message_octets);
        if length > limit {
            return Err(Discard::TooLong { length, limit });
        }
        let message = Message::parse(datagram)?;
        check_envelope(&message, length)?;
        self.output.config.limits.check_message(&message)?;
        let excess = !message.excess.is_empty();
        let outcome = if fragmentation::is_fragment(&message.header) {
            self.handle_fragment(path, &message)
        } else {
            self.handle_message(path, &message, datagram)
        };
        if outcome.is_ok() && excess {
            self.output.trace_on(&path, 0, Trace::Deviation(Deviation::TrailingBytes));
        }
        outcome
    }

    /// A whole message.
    fn handle_message(
        &mut self,
        path: Path,
        message: &Message<'_>,
        datagram: &[u8],
    ) -> Result<(), Discard> {
        let header = &message.header;
        let (initiator, responder) = (header.initiator_cookie, header.responder_cookie);
        let known = self.by_cookies.get(&(initiator, responder)).copied();
        let outcome = match header.exchange {
            ExchangeType::MAIN_MODE | ExchangeType::AGGRESSIVE if responder.is_zero() => {
                match known {
                    // Our own first message, sent back to us.
                    Some(_) => Err(Discard::UnknownCookies { initiator, responder }),
                    None => match self.by_first.get(&(initiator, path.remote)) {
                        Some(&id) => self.handle_phase1(id, path, message, datagram),
                        None => self.handle_first_message(path, message, datagram),
                    },
                }
            }
            ExchangeType::MAIN_MODE | ExchangeType::AGGRESSIVE => {
                let waiting = || self.by_cookies.get(&(initiator, Cookie::ZERO)).copied();
                let id = known
                    .or_else(waiting)
                    .ok_or(Discard::UnknownCookies { initiator, responder })?;
                self.handle_phase1(id, path, message, datagram)
            }
            ExchangeType::QUICK_MODE => {
                let id = known.ok_or(Discard::UnknownCookies { initiator, responder })?;
                self.handle_quick_mode(id, path, message, datagram)
            }
            ExchangeType::INFORMATIONAL => self.handle_informational(known, path, message),
            exchange => Err(Discard::Exchange(exchange)),
        };
        if outcome.is_ok() && header.flags.contains(crate::wire::Flags::COMMIT) {
            self.output.trace_on(&path, 0, Trace::Deviation(Deviation::CommitBit));
        }
        outcome
    }

    /// Does everything that is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.observe(now);
        while let Some(timer) = self.output.timers.pop_due(self.output.now) {
            self.fire(timer);
        }
    }

    /// The result of a job that [`poll_job`](Self::poll_job) gave.
    ///
    /// # Errors
    /// [`Discard::StaleJob`] if nobody waits for it any more.
    pub fn handle_job(&mut self, now: Instant, result: JobResult) -> Result<(), Discard> {
        self.observe(now);
        self.finish_job(result)
    }

    /// An ESP packet of the peer was authenticated: it is alive. Arms no timer.
    pub fn handle_traffic(&mut self, now: Instant, peer: PeerId) {
        self.observe(now);
        if let Some(peer) = self.peers.get_mut(peer.0) {
            peer.last_inbound = self.output.now;
        }
    }

    /// An inbound SA opened its first packet: the peer has the pair and sends on it. Until then the
    /// initiator of a re-keying sends on the old pair, for [`Rekeying::overlap`](crate::Rekeying)
    /// at most. Calling it again does nothing.
    pub fn handle_first_traffic(&mut self, now: Instant, peer: PeerId, spi: u32) {
        self.observe(now);
        self.first_traffic(peer, spi);
    }

    /// An SA of the peer reached its soft volume limit: re-key. `spi` is the inbound or the
    /// outbound one.
    pub fn handle_soft_expire(&mut self, now: Instant, peer: PeerId, spi: u32) {
        self.observe(now);
        if let Some(spi) = self.child_with(peer, spi) {
            self.mark_nearly_used_up(spi);
            match self.successor(peer, spi) {
                Some(successor) => self.enable_later(successor),
                None => self.rekey_child(spi),
            }
        }
    }

    /// An SA of the peer reached its hard volume limit: both SAs of the pair are removed, unless
    /// another is there to take its place. `spi` is the inbound or the outbound one.
    pub fn handle_hard_expire(&mut self, now: Instant, peer: PeerId, spi: u32) {
        self.observe(now);
        if let Some(spi) = self.child_with(peer, spi) {
            if let Some(successor) = self.successor(peer, spi) {
                return self.enable(successor);
            }
            let reason = CloseReason::VolumeExpired;
            self.delete_children(peer, &[spi], reason);
            self.reap_peer(peer, reason);
        }
    }
}

/// What holds for every message, whole, in fragments or a fragment.
fn check_envelope(message: &Message<'_>, have: usize) -> Result<(), Discard> {
    if message.excess.len() > TOLERATED_EXCESS {
        return Err(Discard::Length { length: message.header.length, have });
    }
    if message.header.initiator_cookie.is_zero() {
        return Err(Discard::ZeroCookie);
    }
    Ok(())
}

/// # Output
impl Endpoint {
    /// The next datagram to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.output.transmits.pop_front()
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.output.events.pop()
    }

    /// The next trace record.
    pub fn poll_trace(&mut self) -> Option<Traced> {
        self.output.traces.pop()
    }

    /// The next Diffie-Hellman job, with [`Jobs::OutOfLine`](crate::Jobs::OutOfLine).
    pub fn poll_job(&mut self) -> Option<Job> {
        self.output.jobs.pop_first().map(|(_, job)| job)
    }

    /// When [`handle_timeout`](Self::handle_timeout) must be called at the latest.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.output.timers.next()
    }
}

/// Why [`Endpoint::connect`] did not start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The protection does not exist.
    #[error("no protection {}", .0.0)]
    NoProtection(ProtectionId),
    /// The protection is for another remote address.
    #[error("protection {} is not for {remote}", .id.0)]
    WrongRemote {
        /// The protection.
        id: ProtectionId,
        /// The address asked for.
        remote: IpAddr,
    },
    /// The keyring has no key for the address.
    #[error("no pre-shared key for {0}")]
    NoPreSharedKey(IpAddr),
    /// The address is of another family than the protection's own.
    #[error("{0} is of another address family than the tunnel source")]
    AddressFamily(IpAddr),
}
