use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

/// What an event means for those that still wait in front of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Coalescing<K> {
    /// The subject begins: an [`End`](Self::End) of it takes both away, for who never heard of the one
    /// has no use for the other.
    Begin(K),
    /// The subject ends.
    End(K),
    /// What is so of the subject from now on: of two with the same key the later counts, and none
    /// once the subject has ended.
    Latest(K),
    /// Each counts.
    Each,
    /// News that nothing hangs on: not held when there are many already.
    News,
}

impl<K> Coalescing<K> {
    /// The same of the subject that `about` makes of this one.
    pub fn map<L>(self, about: impl FnOnce(K) -> L) -> Coalescing<L> {
        match self {
            Self::Begin(subject) => Coalescing::Begin(about(subject)),
            Self::End(subject) => Coalescing::End(about(subject)),
            Self::Latest(subject) => Coalescing::Latest(about(subject)),
            Self::Each => Coalescing::Each,
            Self::News => Coalescing::News,
        }
    }
}

/// An event that an owner may be slow to take.
pub trait Coalesce {
    /// What events are about.
    type Subject: Ord;

    /// What this one means for those in front of it.
    fn coalescing(&self) -> Coalescing<Self::Subject>;
}

/// Events in order, for an owner that may not poll.
///
/// Below a limit all are held. From there on those that have become meaningless go: what began and ended
/// again unseen, and what something later has overtaken. So the queue holds no more than twice the
/// limit or twice what there is to say of the subjects that live or that the owner has heard of,
/// whichever is more. Each event that goes is counted.
///
/// Going through the queue takes O(n log n) and is done when it has grown by half since the last
/// time: O(log n) an event.
///
/// ```
/// use dmvpn_time::{Coalesce, Coalescing, EventQueue};
///
/// #[derive(Debug, PartialEq)]
/// enum Event {
///     Up(u32),
///     Down(u32),
/// }
///
/// impl Coalesce for Event {
///     type Subject = u32;
///     fn coalescing(&self) -> Coalescing<u32> {
///         match self {
///             Self::Up(peer) => Coalescing::Begin(*peer),
///             Self::Down(peer) => Coalescing::End(*peer),
///         }
///     }
/// }
///
/// let mut queue = EventQueue::new();
/// for event in [Event::Down(7), Event::Up(1), Event::Up(2), Event::Down(1)] {
///     queue.push(event, 3);
/// }
/// assert_eq!(queue.coalesced(), 2);
/// assert_eq!((queue.pop(), queue.pop()), (Some(Event::Down(7)), Some(Event::Up(2))));
/// ```
#[derive(Clone, Debug)]
pub struct EventQueue<E> {
    events: VecDeque<E>,
    /// How many there may be before they are gone through again.
    patience: usize,
    coalesced: u64,
    dropped: u64,
}

impl<E> Default for EventQueue<E> {
    fn default() -> Self {
        Self { events: VecDeque::new(), patience: 0, coalesced: 0, dropped: 0 }
    }
}

impl<E> EventQueue<E> {
    /// An empty queue, without memory until there is an event.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// The oldest, which is held no longer.
    pub fn pop(&mut self) -> Option<E> {
        self.events.pop_front()
    }

    /// How many became meaningless while they waited, and went.
    #[must_use]
    pub const fn coalesced(&self) -> u64 {
        self.coalesced
    }

    /// How many pieces of [`News`](Coalescing::News) were not held.
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }
}

impl<E: Coalesce> EventQueue<E> {
    /// Holds an event. Whether all of those before it are still held.
    pub fn push(&mut self, event: E, limit: usize) -> bool {
        let full = self.events.len() >= limit;
        if full && matches!(event.coalescing(), Coalescing::News) {
            self.dropped = self.dropped.saturating_add(1);
            return false;
        }
        self.events.push_back(event);
        if self.events.len() < limit.max(self.patience) {
            return true;
        }
        let before = self.events.len();
        self.coalesce();
        let after = self.events.len();
        self.patience = after.saturating_add(after / 2);
        let gone = before.saturating_sub(after);
        self.coalesced = self.coalesced.saturating_add(u64::try_from(gone).unwrap_or(u64::MAX));
        gone == 0
    }

    /// Takes out what is meaningless by now.
    fn coalesce(&mut self) {
        let mut kept: Vec<Option<E>> = Vec::with_capacity(self.events.len());
        // Where the beginning of a subject waits, and where the latest of it does.
        let mut begun = BTreeMap::new();
        let mut latest = BTreeMap::new();
        for event in self.events.drain(..) {
            let here = kept.len();
            let mut take_out = |at: Option<usize>| {
                at.and_then(|at| kept.get_mut(at)).and_then(Option::take).is_some()
            };
            match event.coalescing() {
                Coalescing::Begin(subject) => {
                    begun.insert(subject, here);
                }
                Coalescing::End(subject) => {
                    take_out(latest.remove(&subject));
                    if take_out(begun.remove(&subject)) {
                        continue;
                    }
                }
                Coalescing::Latest(subject) => {
                    take_out(latest.insert(subject, here));
                }
                Coalescing::Each | Coalescing::News => {}
            }
            kept.push(Some(event));
        }
        self.events.extend(kept.into_iter().flatten());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Event {
        Up(u8),
        Down(u8),
        At(u8, u8),
        Each,
        News,
    }
    use Event::{At, Down, Each, News, Up};

    impl Coalesce for Event {
        type Subject = u8;
        fn coalescing(&self) -> Coalescing<u8> {
            match self {
                Up(peer) => Coalescing::Begin(*peer),
                Down(peer) => Coalescing::End(*peer),
                At(peer, _) => Coalescing::Latest(*peer),
                Each => Coalescing::Each,
                News => Coalescing::News,
            }
        }
    }

    /// What is left of some events, pushed into a queue of this limit.
    fn left(events: &[Event], limit: usize) -> (Vec<Event>, u64, u64) {
        let mut queue = EventQueue::new();
        events.iter().for_each(|event| {
            queue.push(*event, limit);
        });
        let left = core::iter::from_fn(|| queue.pop()).collect();
        (left, queue.coalesced(), queue.dropped())
    }

    #[test]
    fn below_the_limit_all_are_held() {
        let events = [Up(1), At(1, 1), At(1, 2), Down(1), News];
        assert_eq!(left(&events, 6), (events.to_vec(), 0, 0));
        assert_eq!(left(&events, 7), (events.to_vec(), 0, 0));
        assert_eq!(left(&events, 5), (alloc::vec![News], 4, 0));
    }

    #[test]
    fn what_began_and_ended_unseen_goes_and_so_does_what_was_overtaken() {
        let events = [Up(1), At(1, 1), At(2, 1), Up(3), At(2, 2), Down(1)];
        assert_eq!(left(&events, 6), (alloc::vec![Up(3), At(2, 2)], 4, 0));
        // What the owner has heard of ends for it, too; and may begin anew.
        let events = [At(1, 1), Down(1), Up(1), At(1, 2)];
        assert_eq!(left(&events, 4), (alloc::vec![Down(1), Up(1), At(1, 2)], 1, 0));
        let events = [Down(1), Up(1), Down(1), Up(1), Down(1)];
        assert_eq!(left(&events, 5), (alloc::vec![Down(1)], 4, 0));
    }

    #[test]
    fn news_is_not_held_beyond_the_limit_and_what_counts_each_time_is() {
        assert_eq!(
            left(&[News, Each, News, Each, Each], 2),
            (alloc::vec![News, Each, Each, Each], 0, 1)
        );
    }

    /// However long nobody polls: twice the limit, or twice what there is to say.
    #[test]
    fn the_queue_stays_bounded() {
        for (limit, live) in [(10, 3_u8), (10, 100), (0, 20)] {
            let mut queue = EventQueue::new();
            let mut most = 0;
            for round in 0..10_000_u32 {
                let peer = u8::try_from(round % u32::from(live)).unwrap();
                for event in [Down(peer), Up(peer), At(peer, 1)] {
                    queue.push(event, limit);
                    most = most.max(queue.len());
                }
            }
            let bound = 2 * limit.max(3 * usize::from(live));
            assert!(most <= bound, "{most} of {bound}");
            assert!(queue.coalesced() > 20_000);
        }
    }

    /// Whoever polls late knows in the end what whoever polls at once knows.
    #[test]
    fn the_outcome_is_the_same() {
        let mut seed = 1_u32;
        let mut draw = || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            u8::try_from(seed >> 24).unwrap()
        };
        let tell = |known: &mut BTreeMap<u8, Option<u8>>, event: Event| match event {
            Up(peer) => assert_eq!(known.insert(peer, None), None),
            Down(peer) => assert!(known.remove(&peer).is_some()),
            At(peer, at) => *known.get_mut(&peer).unwrap() = Some(at),
            Each | News => {}
        };
        let (mut at_once, mut late) = (BTreeMap::new(), BTreeMap::new());
        let mut queue = EventQueue::new();
        for _ in 0..20_000 {
            let peer = draw() % 8;
            let event = match (at_once.contains_key(&peer), draw() % 3) {
                (false, _) => Up(peer),
                (true, 0) => Down(peer),
                (true, _) => At(peer, draw()),
            };
            tell(&mut at_once, event);
            queue.push(event, 16);
            if draw() == 0 {
                while let Some(event) = queue.pop() {
                    tell(&mut late, event);
                }
                assert_eq!(late, at_once);
            }
        }
        assert!(queue.coalesced() > 5_000);
    }
}
