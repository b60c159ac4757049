//! Negotiations that peers started and that are not complete: how many there are, and which of them
//! give way to newer ones.

use alloc::collections::{BTreeMap, BTreeSet};
use core::net::IpAddr;

use crate::path::source_of;
use crate::phase1::SaId;
use crate::{Discard, Limits};

/// The half-open negotiations of peers.
#[derive(Debug, Default)]
pub(super) struct HalfOpen {
    count: usize,
    by_source: BTreeMap<IpAddr, usize>,
    /// Those whose initiator has not shown, by MM3 or AM3, that it receives what is sent to its
    /// address; the oldest first, of all sources and of each.
    unproved: BTreeSet<SaId>,
    unproved_of: BTreeSet<(IpAddr, SaId)>,
}

impl HalfOpen {
    /// Which one has to go if another starts from this source, if any: the oldest that is unproved, of
    /// this source if it has its share, so that a forger's give way and lock nobody out.
    ///
    /// # Errors
    /// [`Discard::HalfOpenLimit`], [`Discard::HalfOpenLimitPerSource`]: none may go.
    pub(super) fn gives_way(
        &self,
        source_address: IpAddr,
        limits: &Limits,
    ) -> Result<Option<SaId>, Discard> {
        let source = source_of(source_address);
        let limit = limits.half_open_per_source;
        if self.by_source.get(&source).is_some_and(|count| *count >= limit) {
            let oldest = self.unproved_of.range((source, SaId(0))..).next();
            return match oldest {
                Some((of, id)) if *of == source => Ok(Some(*id)),
                _ => Err(Discard::HalfOpenLimitPerSource { source_address, limit }),
            };
        }
        let limit = limits.half_open;
        if self.count >= limit {
            let oldest = self.unproved.first().copied();
            return oldest.map(Some).ok_or(Discard::HalfOpenLimit { limit });
        }
        Ok(None)
    }

    /// One more.
    pub(super) fn add(&mut self, id: SaId, source: IpAddr) {
        let source = source_of(source);
        self.count = self.count.saturating_add(1);
        let count = self.by_source.entry(source).or_default();
        *count = count.saturating_add(1);
        self.unproved.insert(id);
        self.unproved_of.insert((source, id));
    }

    /// Its initiator is where it says: it gives way to nobody any more.
    pub(super) fn proved(&mut self, id: SaId, source: IpAddr) {
        self.unproved.remove(&id);
        self.unproved_of.remove(&(source_of(source), id));
    }

    /// One less.
    pub(super) fn remove(&mut self, id: SaId, source: IpAddr) {
        self.proved(id, source);
        self.count = self.count.saturating_sub(1);
        let source = source_of(source);
        if let Some(count) = self.by_source.get_mut(&source) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.by_source.remove(&source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_of_ipv6_is_one_source() {
        let limits = &Limits { half_open_per_source: 1, ..Limits::default() };
        let [one, two, other] = ["2001:db8::1", "2001:db8::ffff:0:0:2", "2001:db8:0:1::1"]
            .map(|address| address.parse().unwrap());
        let mut half_open = HalfOpen::default();
        half_open.add(SaId(1), one);
        assert_eq!(half_open.gives_way(other, limits), Ok(None));
        assert_eq!(half_open.gives_way(two, limits), Ok(Some(SaId(1))));
        half_open.proved(SaId(1), one);
        let (source_address, limit) = (two, 1);
        let refused = Err(Discard::HalfOpenLimitPerSource { source_address, limit });
        assert_eq!(half_open.gives_way(two, limits), refused);
        half_open.remove(SaId(1), one);
        assert_eq!(half_open.gives_way(two, limits), Ok(None));
    }

    #[test]
    fn the_oldest_unproved_gives_way_of_its_source_first() {
        let limits = &Limits { half_open: 3, half_open_per_source: 2, ..Limits::default() };
        let [one, two, three] = [1, 2, 3].map(|last| IpAddr::from([192, 0, 2, last]));
        let mut half_open = HalfOpen::default();
        half_open.add(SaId(1), one);
        half_open.add(SaId(2), two);
        assert_eq!(half_open.gives_way(two, limits), Ok(None));
        half_open.add(SaId(3), two);
        assert_eq!(half_open.gives_way(one, limits), Ok(Some(SaId(1))));
        assert_eq!(half_open.gives_way(two, limits), Ok(Some(SaId(2))));
        half_open.proved(SaId(2), two);
        half_open.proved(SaId(1), one);
        assert_eq!(half_open.gives_way(three, limits), Ok(Some(SaId(3))));
        half_open.proved(SaId(3), two);
        let limit = 3;
        assert_eq!(half_open.gives_way(three, limits), Err(Discard::HalfOpenLimit { limit }));
        let (source_address, limit) = (two, 2);
        let refused = Err(Discard::HalfOpenLimitPerSource { source_address, limit });
        assert_eq!(half_open.gives_way(two, limits), refused);
        for (id, source) in [(1, one), (2, two), (3, two)] {
            half_open.remove(SaId(id), source);
        }
        assert_eq!(alloc::format!("{half_open:?}"), alloc::format!("{:?}", HalfOpen::default()));
    }
}
