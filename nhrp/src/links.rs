//! The ways to peers that are up.

use alloc::collections::{BTreeMap, BTreeSet};
use core::net::IpAddr;

use crate::{LinkId, NextHop};

#[derive(Debug, Default)]
pub(crate) struct Links {
    /// Where each is, and the how manieth it was to come up.
    nbma: BTreeMap<LinkId, (IpAddr, u64)>,
    by_nbma: BTreeSet<(IpAddr, u64, LinkId)>,
    came_up: u64,
}

impl Links {
    /// A link came up at `nbma`, or moved there. Says where it was before.
    pub(crate) fn insert(&mut self, id: LinkId, nbma: IpAddr) -> Option<IpAddr> {
        let before = self.remove(id);
        self.came_up = self.came_up.saturating_add(1);
        self.nbma.insert(id, (nbma, self.came_up));
        self.by_nbma.insert((nbma, self.came_up, id));
        before
    }

    /// A link went. Says where it was.
    pub(crate) fn remove(&mut self, id: LinkId) -> Option<IpAddr> {
        let (nbma, came_up) = self.nbma.remove(&id)?;
        self.by_nbma.remove(&(nbma, came_up, id));
        Some(nbma)
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// A link that is up at `nbma`: of several the one that came up last, since who came from there
    /// again has likely lost what was before.
    pub(crate) fn at(&self, nbma: IpAddr) -> Option<LinkId> {
        let range = (nbma, 0, LinkId(0))..=(nbma, u64::MAX, LinkId(u64::MAX));
        self.by_nbma.range(range).next_back().map(|(_, _, id)| *id)
    }

    /// The way to `nbma`.
    pub(crate) fn towards(&self, nbma: IpAddr) -> NextHop {
        NextHop { nbma, link: self.at(nbma) }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (LinkId, IpAddr)> + '_ {
        self.nbma.iter().map(|(id, (nbma, _))| (*id, *nbma))
    }
}
