use alloc::collections::{BTreeMap, BTreeSet};

use crate::Instant;

/// No deadline is due at this instant: nothing comes after it.
const END_OF_TIME: Instant = Instant::from_micros(u64::MAX);

/// A set of named deadlines, at most one for each key.
///
/// Setting, cancelling and taking the next due are O(log n); asking for the next deadline is too,
/// and borrows immutably. Deadlines that fall together fire in key order, so that the same inputs
/// give the same outputs.
///
/// A deadline at the end of time, `Instant::from_micros(u64::MAX)`, is never due and never
/// reported: sums that saturate end there, and a handler that sets its key again from there would
/// not come to an end.
///
/// ```
/// use core::time::Duration;
/// use dmvpn_time::{Instant, Timers};
///
/// let now = Instant::EPOCH;
/// let mut timers = Timers::new();
/// timers.set("retransmit", now + Duration::from_secs(10));
/// timers.set("expire", now + Duration::from_secs(3600));
/// assert_eq!(timers.next(), Some(now + Duration::from_secs(10)));
///
/// let later = now + Duration::from_secs(11);
/// assert_eq!(timers.pop_due(later), Some("retransmit"));
/// assert_eq!(timers.pop_due(later), None);
/// ```
#[derive(Clone, Debug)]
pub struct Timers<K> {
    by_deadline: BTreeSet<(Instant, K)>,
    by_key: BTreeMap<K, Instant>,
}

impl<K> Default for Timers<K> {
    fn default() -> Self {
        Self { by_deadline: BTreeSet::new(), by_key: BTreeMap::new() }
    }
}

impl<K: Ord + Clone> Timers<K> {
    /// No deadlines.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the deadline of `key`, in place of the one it may have had.
    pub fn set(&mut self, key: K, deadline: Instant) {
        if let Some(before) = self.by_key.insert(key.clone(), deadline) {
            self.by_deadline.remove(&(before, key.clone()));
        }
        self.by_deadline.insert((deadline, key));
    }

    /// Forgets the deadline of `key` and says when it was.
    pub fn cancel(&mut self, key: &K) -> Option<Instant> {
        let deadline = self.by_key.remove(key)?;
        self.by_deadline.remove(&(deadline, key.clone()));
        Some(deadline)
    }

    /// The deadline of `key`.
    #[must_use]
    pub fn get(&self, key: &K) -> Option<Instant> {
        self.by_key.get(key).copied()
    }

    /// The earliest deadline of all: what `poll_timeout` reports.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        self.by_deadline.first().map(|(deadline, _)| *deadline).filter(|at| *at < END_OF_TIME)
    }

    /// Takes one key whose deadline has come, the earliest first.
    ///
    /// A handler that sets the key again must do so relative to `now`, not to the deadline that
    /// passed: after a jump forward each timer then fires once (contract rule 1).
    pub fn pop_due(&mut self, now: Instant) -> Option<K> {
        if self.next()? > now {
            return None;
        }
        let (_, key) = self.by_deadline.pop_first()?;
        self.by_key.remove(&key);
        Some(key)
    }

    /// How many deadlines are set.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Whether none is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Instant {
        Instant::from_secs(secs)
    }

    #[test]
    fn a_key_has_one_deadline_the_last_set() {
        let mut timers = Timers::new();
        timers.set('a', at(1));
        timers.set('a', at(5));
        assert_eq!(timers.len(), 1);
        assert_eq!(timers.pop_due(at(4)), None);
        assert_eq!(timers.get(&'a'), Some(at(5)));
        assert_eq!(timers.pop_due(at(5)), Some('a'));
        assert!(timers.is_empty());
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn due_keys_come_out_by_deadline_then_by_key() {
        let mut timers = Timers::new();
        for (key, deadline) in [('c', 2), ('b', 2), ('a', 3), ('d', 9)] {
            timers.set(key, at(deadline));
        }
        let due: alloc::vec::Vec<char> = core::iter::from_fn(|| timers.pop_due(at(3))).collect();
        assert_eq!(due, ['b', 'c', 'a']);
        assert_eq!(timers.next(), Some(at(9)));
    }

    #[test]
    fn a_deadline_at_the_end_of_time_is_never_due() {
        let end = Instant::from_micros(u64::MAX);
        let mut timers = Timers::new();
        timers.set('a', end + core::time::Duration::from_secs(1));
        assert_eq!((timers.next(), timers.pop_due(end)), (None, None));
        assert_eq!(timers.get(&'a'), Some(end));
        timers.set('b', Instant::from_micros(u64::MAX - 1));
        assert_eq!((timers.pop_due(end), timers.pop_due(end)), (Some('b'), None));
    }

    #[test]
    fn a_cancelled_key_does_not_fire() {
        let mut timers = Timers::new();
        timers.set(1, at(1));
        assert_eq!(timers.cancel(&1), Some(at(1)));
        assert_eq!(timers.cancel(&1), None);
        assert_eq!(timers.pop_due(at(100)), None);
    }
}
