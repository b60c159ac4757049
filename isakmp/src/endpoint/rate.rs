//! How much is done for strangers in a second.

use alloc::collections::BTreeMap;
use core::net::IpAddr;

use dmvpn_time::Instant;

use crate::path::source_of;

/// What was done since an instant, within a second, and for whom.
#[derive(Debug)]
pub(super) struct Rate {
    since: Instant,
    count: u32,
    /// No more entries than `count`.
    by_source: BTreeMap<IpAddr, u32>,
}

impl Rate {
    pub(super) const fn new(now: Instant) -> Self {
        Self { since: now, count: 0, by_source: BTreeMap::new() }
    }

    /// Counts one more, if there are fewer than `limit` in this second, and fewer than `of_source` for
    /// this source. What is not counted changes nothing.
    pub(super) fn count(
        &mut self,
        now: Instant,
        source: IpAddr,
        limit: u32,
        of_source: u32,
    ) -> bool {
        let source = source_of(source);
        let over = now.saturating_duration_since(self.since).as_secs() > 0;
        let of_this = self.by_source.get(&source).copied().filter(|_| !over).unwrap_or(0);
        let count = if over { 0 } else { self.count };
        if count >= limit || of_this >= of_source {
            return false;
        }
        if over {
            *self = Self::new(now);
        }
        self.count = count.saturating_add(1);
        self.by_source.insert(source, of_this.saturating_add(1));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;

    #[test]
    fn a_network_of_ipv6_is_one_source() {
        let [one, two, other] = ["2001:db8::1", "2001:db8::ffff:0:0:2", "2001:db8:0:1::1"]
            .map(|address| address.parse().unwrap());
        let start = Instant::from_secs(7);
        let mut rate = Rate::new(start);
        let counted = [one, two, other].map(|source| rate.count(start, source, 9, 1));
        assert_eq!(counted, [true, false, true]);
    }

    #[test]
    fn a_second_a_source_and_all() {
        let [one, two, three] = [1, 2, 3].map(|last| IpAddr::from([192, 0, 2, last]));
        let start = Instant::from_secs(7);
        let mut rate = Rate::new(start);
        let mut counted = |at, source| rate.count(at, source, 3, 2);
        assert_eq!(
            [one, one, one, two, three].map(|s| counted(start, s)),
            [true, true, false, true, false]
        );
        let late = start + Duration::from_millis(999);
        assert!(!counted(late, two));
        let next = start + Duration::from_secs(1);
        assert_eq!([one, one, one].map(|s| counted(next, s)), [true, true, false]);
        assert!(!rate.count(next + Duration::from_secs(5), one, 0, 2));
    }
}
