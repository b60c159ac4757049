//! Whom multicast goes to.

use alloc::collections::BTreeMap;
use core::ops::Bound;

use crate::LinkId;

/// Why a link gets multicast.
#[derive(Clone, Copy, Debug, Default)]
struct Reasons {
    /// Cache entries that were registered through it: `ip nhrp map multicast dynamic`.
    bindings: usize,
    /// Its NBMA address is configured: `ip nhrp map multicast NBMA`.
    configured: bool,
}

impl Reasons {
    const fn any(self) -> bool {
        self.bindings > 0 || self.configured
    }
}

/// Each link is in it once, for whatever number of reasons.
#[derive(Debug, Default)]
pub(crate) struct MulticastMap {
    links: BTreeMap<LinkId, Reasons>,
}

/// What a change came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    None,
    Added,
    Removed,
}

impl MulticastMap {
    fn change(&mut self, link: LinkId, change: impl FnOnce(&mut Reasons)) -> Change {
        let reasons = self.links.entry(link).or_default();
        let before = reasons.any();
        change(reasons);
        let after = reasons.any();
        if !after {
            self.links.remove(&link);
        }
        match (before, after) {
            (false, true) => Change::Added,
            (true, false) => Change::Removed,
            (true, true) | (false, false) => Change::None,
        }
    }

    pub(crate) fn bind(&mut self, link: LinkId) -> Change {
        self.change(link, |reasons| reasons.bindings = reasons.bindings.saturating_add(1))
    }

    pub(crate) fn unbind(&mut self, link: LinkId) -> Change {
        self.change(link, |reasons| reasons.bindings = reasons.bindings.saturating_sub(1))
    }

    pub(crate) fn configure(&mut self, link: LinkId, configured: bool) -> Change {
        self.change(link, |reasons| reasons.configured = configured)
    }

    /// The link after `link`, in order; the first for `None`.
    pub(crate) fn after(&self, link: Option<LinkId>) -> Option<LinkId> {
        let start = link.map_or(Bound::Unbounded, Bound::Excluded);
        self.links.range((start, Bound::Unbounded)).next().map(|(link, _)| *link)
    }
}
