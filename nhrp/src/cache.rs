//! What is known of protocol addresses: where they are, who said so, and for how long.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

use dmvpn_time::{Few, Instant, Timers};

use crate::link::Owner;
use crate::multicast::{Change, MulticastMap};
use crate::output::{Output, Subject};
use crate::prefix::PrefixMap;
use crate::{CacheFlags, CacheKind, CacheView, Config, Event, LinkId, Prefix, RemovalCause, Trace};

/// What is known of one target. What a packet asks for is at hand; the rest is a wait for memory
/// away, of which a packet to one of very many targets has enough.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) nbma: Option<IpAddr>,
    pub(crate) link: Option<LinkId>,
    pub(crate) expires: Option<Instant>,
    pub(crate) flags: CacheFlags,
    /// Whether a packet went by it.
    pub(crate) used: bool,
    pub(crate) origin: Box<Origin>,
}

/// How what is known of a target came to be known.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    pub(crate) next_hop: IpAddr,
    pub(crate) claimed_nbma: Option<IpAddr>,
    pub(crate) owner: Option<Owner>,
    /// Whether the peer that registered it is gone: then it is in nobody's way.
    pub(crate) abandoned: bool,
    pub(crate) created: Instant,
    pub(crate) kind: CacheKind,
    /// Whether it is a reason for its link to get multicast.
    multicast: bool,
}

/// A binding that a client registered, checked.
#[derive(Clone, Debug)]
pub(crate) struct Binding {
    pub(crate) target: Prefix,
    pub(crate) nbma: IpAddr,
    /// Where the client says it is, if that is somewhere else.
    pub(crate) claimed_nbma: Option<IpAddr>,
    pub(crate) link: LinkId,
    pub(crate) owner: Owner,
    pub(crate) unique: bool,
    pub(crate) holding_time: Duration,
}

#[derive(Debug, Default)]
pub(crate) struct Cache {
    entries: PrefixMap<Entry>,
    by_owner: BTreeMap<Owner, Few<Prefix>>,
    /// Entries that peers registered.
    registered: usize,
    expiry: Timers<Prefix>,
    pub(crate) multicast: MulticastMap,
}

impl Cache {
    pub(crate) fn get(&self, target: &Prefix) -> Option<&Entry> {
        self.entries.get(target)
    }

    pub(crate) const fn registered(&self) -> usize {
        self.registered
    }

    /// The prefixes in `class` that `owner` registered.
    pub(crate) fn registered_in(
        &self,
        owner: &Owner,
        class: &Prefix,
    ) -> impl Iterator<Item = Prefix> + '_ {
        let range = Prefix::host(class.address())..=Prefix::host(class.last());
        let own = self.by_owner.get(owner).into_iter().flat_map(Few::keys);
        own.filter(move |target| range.contains(target)).copied()
    }

    pub(crate) fn count_registered_by(&self, owner: &Owner) -> usize {
        self.by_owner.get(owner).map_or(0, Few::len)
    }

    /// Whether the operator said where `address` is: by a static map, of it or of a network that
    /// it is in, as a server, or as ours. A map of all of `network`, the tunnel's, or more is a
    /// fallback for what nobody registered.
    pub(crate) fn is_configured(&self, address: IpAddr, network: &Prefix) -> bool {
        let configured = |(target, entry): (Prefix, &Entry)| {
            entry.origin.owner.is_none() && (entry.flags.local || !target.covers(network))
        };
        self.entries.matches(address).any(configured)
    }

    /// The entry that packets to `address` go by: the longest match that says where it is.
    pub(crate) fn lookup(&self, now: Instant, address: IpAddr) -> Option<(Prefix, IpAddr, &Entry)> {
        let live = |entry: &Entry| entry.expires.is_none_or(|at| at > now);
        let (target, entry) =
            self.entries.matches(address).find(|(_, entry)| entry.nbma.is_some() && live(entry))?;
        if entry.flags.local {
            return None;
        }
        Some((target, entry.nbma?, entry))
    }

    /// Marks an entry as used.
    pub(crate) fn mark_used(&mut self, target: &Prefix) {
        if let Some(entry) = self.entries.get_mut(target) {
            entry.used = true;
        }
    }

    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        self.expiry.next()
    }

    pub(crate) fn view<'a>(
        &'a self,
        now: Instant,
        interface: &'a Arc<str>,
    ) -> impl Iterator<Item = CacheView> + 'a {
        let live = move |entry: &Entry| entry.expires.is_none_or(|at| at > now);
        self.entries.iter().filter(move |(_, entry)| live(entry)).map(move |(target, entry)| {
            CacheView {
                interface: Arc::clone(interface),
                target: *target,
                next_hop: entry.origin.next_hop,
                nbma: entry.nbma,
                claimed_nbma: entry.origin.claimed_nbma,
                link: entry.link,
                age: now.saturating_duration_since(entry.origin.created),
                expires: entry.expires.map(|at| at.saturating_duration_since(now)),
                kind: entry.origin.kind,
                flags: entry.flags,
            }
        })
    }

    /// Brings the entries that the configuration asks for in, and takes those out that it no
    /// longer asks for.
    pub(crate) fn configure(&mut self, now: Instant, config: &Config, output: &mut Output) {
        let maps = config.static_maps.iter().map(|map| {
            let flags = CacheFlags::default();
            (map.target, map.target.address(), Some(map.nbma), CacheKind::Static, flags)
        });
        let locals = config.local_networks.iter().map(|network| {
            let flags = CacheFlags { local: true, ..CacheFlags::default() };
            let (address, nbma) = (config.protocol_address, config.nbma);
            (*network, address, Some(nbma), CacheKind::Static, flags)
        });
        // A server says itself where it is; if it does not, and no map does, it is incomplete.
        let servers = config.servers.iter().map(|server| {
            let (target, flags) = (Prefix::host(server.address), CacheFlags::default());
            let kind = server.nbma.map_or(CacheKind::Incomplete, |_| CacheKind::Static);
            (target, server.address, server.nbma, kind, flags)
        });
        let mut wanted = BTreeSet::new();
        for (target, next_hop, nbma, kind, flags) in maps.chain(locals).chain(servers) {
            // Maps come first: a server with one of its own needs no more.
            if !wanted.insert(target) {
                continue;
            }
            let present = self.entries.get(&target);
            if present.is_some_and(|entry| entry.nbma == nbma && entry.origin.kind == kind) {
                let subject = Subject { nbma, protocol: Some(next_hop) };
                output.trace(now, subject, || Trace::CacheUpdate { target, next_hop, nbma });
                continue;
            }
            self.remove(now, &target, RemovalCause::Unconfigured, output);
            let origin = Box::new(Origin {
                next_hop,
                claimed_nbma: None,
                owner: None,
                abandoned: false,
                created: now,
                kind,
                multicast: false,
            });
            let entry = Entry { nbma, link: None, expires: None, flags, used: false, origin };
            self.insert(now, target, entry, output);
        }
        let configured = self.entries.iter().filter(|(_, entry)| entry.origin.owner.is_none());
        let gone = configured.map(|(target, _)| *target).filter(|target| !wanted.contains(target));
        for target in gone.collect::<Vec<_>>() {
            self.remove(now, &target, RemovalCause::Unconfigured, output);
        }
    }

    fn insert(&mut self, now: Instant, target: Prefix, entry: Entry, output: &mut Output) {
        let (next_hop, nbma, link) = (entry.origin.next_hop, entry.nbma, entry.link);
        let subject = Subject { nbma, protocol: Some(next_hop) };
        output.trace(now, subject, || Trace::CacheAdd { target, next_hop, nbma });
        if let Some(expires) = entry.expires {
            self.expiry.set(target, expires);
        }
        if let Some(owner) = &entry.origin.owner {
            self.registered = self.registered.saturating_add(1);
            self.by_owner.entry(owner.clone()).or_default().insert(target, ());
        }
        self.entries.insert(target, entry);
        if let Some(nbma) = nbma {
            output.event(Event::CacheAdded { target, nbma, link });
        }
    }

    /// Registers a binding: anew, in place of another, or for another holding time.
    pub(crate) fn register(
        &mut self,
        now: Instant,
        binding: Binding,
        multicast: bool,
        output: &mut Output,
    ) {
        let Binding { target, nbma, link, .. } = binding;
        let expires = now + binding.holding_time;
        let next_hop = target.address();
        let subject = Subject { nbma: Some(nbma), protocol: Some(next_hop) };
        if let Some(entry) = self.entries.get_mut(&target)
            && entry.link == Some(link)
            && entry.origin.owner.as_ref() == Some(&binding.owner)
        {
            let moved = entry.nbma != Some(nbma);
            entry.nbma = Some(nbma);
            entry.origin.claimed_nbma = binding.claimed_nbma;
            entry.flags.nat = binding.claimed_nbma.is_some();
            entry.flags.unique = binding.unique;
            entry.origin.abandoned = false;
            entry.expires = Some(expires);
            self.expiry.set(target, expires);
            let nbma_now = Some(nbma);
            output.trace(now, subject, || Trace::CacheUpdate { target, next_hop, nbma: nbma_now });
            let changed = core::mem::replace(&mut entry.origin.multicast, multicast) != multicast;
            if moved {
                output.event(Event::CacheUpdated { target, nbma, link: Some(link) });
            }
            // The configuration may have changed its mind since the last registration.
            let change = match (changed, multicast) {
                (true, true) => self.multicast.bind(link),
                (true, false) => self.multicast.unbind(link),
                (false, _) => Change::None,
            };
            match change {
                Change::Added => {
                    output.trace(now, subject, || Trace::MulticastAdded { nbma });
                    output.event(Event::MulticastAdded { link });
                }
                Change::Removed => {
                    output.trace(now, subject, || Trace::MulticastRemoved { nbma });
                    output.event(Event::MulticastRemoved { link });
                }
                Change::None => {}
            }
            return;
        }
        self.remove(now, &target, RemovalCause::Moved, output);
        let origin = Box::new(Origin {
            next_hop,
            claimed_nbma: binding.claimed_nbma,
            owner: Some(binding.owner),
            abandoned: false,
            created: now,
            kind: CacheKind::Dynamic,
            multicast,
        });
        let entry = Entry {
            nbma: Some(nbma),
            link: Some(link),
            expires: Some(expires),
            flags: CacheFlags {
                unique: binding.unique,
                registered: true,
                nat: binding.claimed_nbma.is_some(),
                ..CacheFlags::default()
            },
            used: false,
            origin,
        };
        self.insert(now, target, entry, output);
        let protocol = next_hop;
        output.trace(now, subject, || Trace::EndpointsAdding { protocol, nbma });
        output.trace(now, subject, || Trace::EndpointsAttached { protocol, nbma });
        output.trace(now, subject, || Trace::SubblockInserted { target, next_hop });
        output.trace(now, subject, || Trace::ConvertedToExternal { target });
        if multicast && self.multicast.bind(link) == Change::Added {
            output.trace(now, subject, || Trace::MulticastCreating { nbma });
            output.trace(now, subject, || Trace::MulticastAdded { nbma });
            output.event(Event::MulticastAdded { link });
        }
    }

    /// What `owner` registered over a link that is gone stays until it expires or somebody else
    /// registers it.
    pub(crate) fn abandon(&mut self, owner: &Owner, link: LinkId) {
        for target in self.by_owner.get(owner).into_iter().flat_map(Few::keys) {
            if let Some(entry) = self.entries.get_mut(target).filter(|e| e.link == Some(link)) {
                entry.origin.abandoned = true;
            }
        }
    }

    /// The owner is back, over whatever link: what is still there is nobody else's to take.
    pub(crate) fn reclaim(&mut self, owner: &Owner) {
        for target in self.by_owner.get(owner).into_iter().flat_map(Few::keys) {
            if let Some(entry) = self.entries.get_mut(target) {
                entry.origin.abandoned = false;
            }
        }
    }

    pub(crate) fn remove(
        &mut self,
        now: Instant,
        target: &Prefix,
        cause: RemovalCause,
        output: &mut Output,
    ) {
        let Some(entry) = self.entries.remove(target) else { return };
        let target = *target;
        self.expiry.cancel(&target);
        if let Some(owner) = &entry.origin.owner {
            self.registered = self.registered.saturating_sub(1);
            if let Some(targets) = self.by_owner.get_mut(owner) {
                targets.remove(&target);
                if targets.is_empty() {
                    self.by_owner.remove(owner);
                }
            }
        }
        let Entry { nbma, link, .. } = entry;
        let next_hop = entry.origin.next_hop;
        let subject = Subject { nbma, protocol: Some(next_hop) };
        output.trace(now, subject, || Trace::CacheDelete { target, next_hop, nbma, cause });
        let Some(nbma) = nbma else { return };
        if let Some(link) = link.filter(|_| entry.origin.multicast)
            && self.multicast.unbind(link) == Change::Removed
        {
            output.trace(now, subject, || Trace::MulticastRemoved { nbma });
            output.event(Event::MulticastRemoved { link });
        }
        output.event(Event::CacheRemoved { target, nbma, link });
    }

    /// Takes everything out that peers registered.
    pub(crate) fn remove_registered(&mut self, now: Instant, output: &mut Output) {
        while let Some(target) =
            self.by_owner.first_key_value().and_then(|(_, targets)| targets.keys().next().copied())
        {
            self.remove(now, &target, RemovalCause::InterfaceDown, output);
        }
    }

    /// Takes out what peers registered: all of it, or what an address is found in. How many entries
    /// that were.
    pub(crate) fn clear(
        &mut self,
        now: Instant,
        address: Option<IpAddr>,
        output: &mut Output,
    ) -> usize {
        let registered = self.by_owner.values().flat_map(Few::keys);
        let meant = |target: &&Prefix| address.is_none_or(|address| target.contains(address));
        let targets: Vec<Prefix> = registered.filter(meant).copied().collect();
        for target in &targets {
            self.remove(now, target, RemovalCause::Cleared, output);
        }
        targets.len()
    }

    /// Takes the earliest entry out whose holding time is over.
    pub(crate) fn expire_one(&mut self, now: Instant, output: &mut Output) -> bool {
        let Some(target) = self.expiry.pop_due(now) else { return false };
        self.remove(now, &target, RemovalCause::Expired, output);
        true
    }
}
