use alloc::collections::VecDeque;

/// Records of what happened, held until they are polled.
///
/// At most `capacity` of them: with one more, the oldest gives way and is counted. With a capacity
/// of 0 none are held, and callers need not make what nobody reads.
///
/// ```
/// let mut ring = dmvpn_time::TraceRing::new(2);
/// for record in ["first", "second", "third"] {
///     ring.push(record);
/// }
/// assert_eq!(ring.dropped(), 1);
/// assert_eq!(ring.pop(), Some("second"));
/// ```
#[derive(Clone, Debug)]
pub struct TraceRing<T> {
    records: VecDeque<T>,
    capacity: usize,
    dropped: u64,
}

impl<T> TraceRing<T> {
    /// A ring of up to `capacity` records, without memory until there is one.
    #[must_use]
    pub const fn new(capacity: usize) -> Self {
        Self { records: VecDeque::new(), capacity, dropped: 0 }
    }

    /// Changes how many records are held from the next one on.
    pub const fn set_capacity(&mut self, capacity: usize) {
        self.capacity = capacity;
    }

    /// Whether records are held at all.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.capacity > 0
    }

    /// Holds a record.
    pub fn push(&mut self, record: T) {
        if !self.is_on() {
            return;
        }
        while self.records.len() >= self.capacity {
            self.records.pop_front();
            self.dropped = self.dropped.saturating_add(1);
        }
        self.records.push_back(record);
    }

    /// The oldest record, which is held no longer.
    pub fn pop(&mut self) -> Option<T> {
        self.records.pop_front()
    }

    /// How many records gave way to later ones before they were polled.
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(ring: &mut TraceRing<u8>) -> alloc::vec::Vec<u8> {
        core::iter::from_fn(|| ring.pop()).collect()
    }

    #[test]
    fn the_oldest_gives_way() {
        let mut ring = TraceRing::new(3);
        (0..5).for_each(|record| ring.push(record));
        assert_eq!((held(&mut ring), ring.dropped()), (alloc::vec![2, 3, 4], 2));
        ring.push(5);
        assert_eq!((held(&mut ring), ring.dropped()), (alloc::vec![5], 2));
    }

    #[test]
    fn off_it_holds_and_counts_nothing() {
        let mut ring = TraceRing::new(0);
        ring.push(1);
        assert!(!ring.is_on());
        assert_eq!((ring.pop(), ring.dropped()), (None, 0));
    }

    /// What is held stays to be polled; the next record meets the new limit.
    #[test]
    fn a_smaller_capacity() {
        let mut ring = TraceRing::new(4);
        (0..4).for_each(|record| ring.push(record));
        ring.set_capacity(2);
        ring.push(4);
        assert_eq!((held(&mut ring), ring.dropped()), (alloc::vec![3, 4], 3));

        (5..7).for_each(|record| ring.push(record));
        ring.set_capacity(0);
        ring.push(7);
        assert_eq!((held(&mut ring), ring.dropped()), (alloc::vec![5, 6], 3));
    }
}
