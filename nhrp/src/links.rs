//! The ways to peers that are up.

use alloc::collections::{BTreeMap, BTreeSet};
use core::net::IpAddr;

use crate::{LinkId, NextHop};

#[derive(Debug, Default)]
pub(crate) struct Links {
    nbma: BTreeMap<LinkId, IpAddr>,
    by_nbma: BTreeSet<(IpAddr, LinkId)>,
}

impl Links {
    /// A link came up at `nbma`, or moved there. Says where it was before.
    pub(crate) fn insert(&mut self, id: LinkId, nbma: IpAddr) -> Option<IpAddr> {
        let before = self.remove(id);
        self.nbma.insert(id, nbma);
        self.by_nbma.insert((nbma, id));
        before
    }

    /// A link went. Says where it was.
    pub(crate) fn remove(&mut self, id: LinkId) -> Option<IpAddr> {
        let nbma = self.nbma.remove(&id)?;
        self.by_nbma.remove(&(nbma, id));
        Some(nbma)
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// A link that is up at `nbma`, the oldest if there are several.
    pub(crate) fn at(&self, nbma: IpAddr) -> Option<LinkId> {
        let range = (nbma, LinkId(0))..=(nbma, LinkId(u64::MAX));
        self.by_nbma.range(range).next().map(|(_, id)| *id)
    }

    /// The way to `nbma`.
    pub(crate) fn towards(&self, nbma: IpAddr) -> NextHop {
        NextHop { nbma, link: self.at(nbma) }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (LinkId, IpAddr)> + '_ {
        self.nbma.iter().map(|(id, nbma)| (*id, *nbma))
    }
}
