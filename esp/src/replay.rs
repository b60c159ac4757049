//! The anti-replay window (RFC 4303 §3.4.3, Appendix A).

#![expect(
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    reason = "a slot is masked by the ring's length, which is a power of two"
)]

use alloc::boxed::Box;
use alloc::vec;

use crate::error::OpenError;
use crate::wire::Spi;

/// Which of the last numbers were received: a ring of bits, in which a number keeps its place while
/// the window moves over it.
#[derive(Clone, Debug)]
pub(crate) struct ReplayWindow {
    spi: Spi,
    /// In packets; 0 is off.
    size: u16,
    extended: bool,
    highest: u64,
    received: Ring,
}

/// As many bits as the window has packets, rounded up to a power of two, and 64 at the least. A
/// receiver may have very many windows, and nearly all have the default size.
#[derive(Clone, Debug)]
enum Ring {
    Word(u64),
    Words(Box<[u64]>),
}

impl Ring {
    fn new(size: u16) -> Self {
        match usize::from(size).next_power_of_two() / 64 {
            0 | 1 => Self::Word(0),
            words => Self::Words(vec![0; words].into_boxed_slice()),
        }
    }

    /// The bits of the numbers from `word * 64` on, and of those that are a multiple of the ring away.
    fn word(&self, word: u64) -> u64 {
        match self {
            Self::Word(only) => *only,
            Self::Words(words) => words[slot(word, words.len())],
        }
    }

    fn word_mut(&mut self, word: u64) -> &mut u64 {
        match self {
            Self::Word(only) => only,
            Self::Words(words) => &mut words[slot(word, words.len())],
        }
    }

    const fn words(&self) -> u64 {
        match self {
            Self::Word(_) => 1,
            Self::Words(words) => words.len() as u64,
        }
    }

    /// Clears the places of the numbers from `first` to `last`: once round is enough.
    fn clear(&mut self, first: u64, last: u64) {
        let round = self.words().saturating_mul(64).saturating_sub(1);
        let first = first.max(last.saturating_sub(round));
        for word in first >> 6..=last >> 6 {
            let from = if word == first >> 6 { u64::MAX << (first & 63) } else { u64::MAX };
            let to = if word == last >> 6 { u64::MAX >> (!last & 63) } else { u64::MAX };
            *self.word_mut(word) &= !(from & to);
        }
    }
}

impl ReplayWindow {
    pub(crate) fn new(spi: Spi, size: u16, extended: bool) -> Self {
        let mut received = Ring::new(size);
        // Number 0 is never sent (RFC 4303 §3.3.3), hence never fresh.
        *received.word_mut(0) = 1;
        Self { spi, size, extended, highest: 0, received }
    }

    pub(crate) const fn highest(&self) -> u64 {
        self.highest
    }

    /// The whole number of a packet that carries `low`: of those that end in it, the one that lies
    /// in the window or is the next in front of it (RFC 4303 Appendix A2.2, both cases in one).
    pub(crate) fn whole(&self, low: u32) -> Result<u64, OpenError> {
        let low = u64::from(low);
        if !self.extended {
            return Ok(low);
        }
        // The left edge; before the window is full, there is nothing to the left of 0.
        let left = self.highest.saturating_sub(u64::from(self.size).saturating_sub(1));
        let distance = low.wrapping_sub(left) & 0xffff_ffff;
        left.checked_add(distance).ok_or(OpenError::SequenceExhausted { spi: self.spi })
    }

    /// Whether `sequence` may be received. To be asked before the ICV is checked, to save the work,
    /// and again before it is believed.
    pub(crate) fn check(&self, sequence: u64) -> Result<(), OpenError> {
        if self.size == 0 || sequence > self.highest {
            return Ok(());
        }
        if self.highest.saturating_sub(sequence) >= u64::from(self.size) {
            return Err(OpenError::BehindWindow { sequence, highest: self.highest });
        }
        if self.received.word(sequence >> 6) & bit(sequence) == 0 {
            Ok(())
        } else {
            Err(OpenError::Replayed { sequence })
        }
    }

    /// Marks `sequence` as received; it passed [`ReplayWindow::check`] and the ICV holds.
    pub(crate) fn accept(&mut self, sequence: u64) {
        if sequence > self.highest {
            // The numbers that the window reaches now have the places of those it leaves behind.
            self.received.clear(self.highest.saturating_add(1), sequence);
            self.highest = sequence;
        }
        *self.received.word_mut(sequence >> 6) |= bit(sequence);
    }
}

/// Where in a ring of so many words the bits of the numbers from `word * 64` on are.
const fn slot(word: u64, words: usize) -> usize {
    word as usize & words.saturating_sub(1)
}

const fn bit(sequence: u64) -> u64 {
    1 << (sequence & 63)
}

#[cfg(test)]
mod tests {
    use super::{ReplayWindow, Ring};
    use crate::{MAX_REPLAY_WINDOW, OpenError, Spi};
    use alloc::collections::BTreeSet;
    use proptest::prelude::*;

    const SPI: Spi = Spi(0x1000);

    /// The window as a set of all numbers ever received.
    struct Model {
        size: u64,
        highest: u64,
        received: BTreeSet<u64>,
    }

    impl Model {
        fn accepts(&mut self, sequence: u64) -> bool {
            let behind = self.size > 0 && sequence + self.size <= self.highest;
            let fresh = sequence != 0 && !self.received.contains(&sequence);
            let accepted = self.size == 0 || (!behind && fresh);
            if accepted {
                self.received.insert(sequence);
                self.highest = self.highest.max(sequence);
            }
            accepted
        }
    }

    fn offer(window: &mut ReplayWindow, sequence: u64) -> bool {
        let accepted = window.check(sequence).is_ok();
        if accepted {
            window.accept(sequence);
        }
        accepted
    }

    /// RFC 4303 Appendix A2.2 to the letter, where there is a subspace below.
    fn high_half_of_the_rfc(highest: u64, size: u64, low: u32) -> u64 {
        let (th, tl) = (highest >> 32, highest & 0xffff_ffff);
        let bl = tl.wrapping_sub(size - 1) & 0xffff_ffff;
        let low = u64::from(low);
        if tl >= size - 1 {
            if low >= bl { th } else { th + 1 }
        } else if low >= bl {
            th - 1
        } else {
            th
        }
    }

    proptest! {
        // Interpreted, a case takes seconds.
        #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 2 } else { 512 }))]

        #[test]
        fn is_the_model(
            size in 0..=MAX_REPLAY_WINDOW,
            // Steps of all magnitudes, forwards and back.
            steps in proptest::collection::vec((any::<i32>(), 1u32..32), 1..400),
        ) {
            let mut window = ReplayWindow::new(SPI, size, false);
            let mut model = Model { size: size.into(), highest: 0, received: BTreeSet::new() };
            for (step, shift) in steps {
                let sequence = model.highest.saturating_add_signed(i64::from(step) >> shift);
                prop_assert_eq!(
                    offer(&mut window, sequence), model.accepts(sequence), "{}", sequence
                );
                if size > 0 {
                    prop_assert_eq!(window.highest(), model.highest);
                }
            }
        }

        /// Windows of all sizes, those around a ring's own above all, full, with jumps about as long
        /// as the ring: a place in it that was not cleared, or cleared too early, shows.
        #[test]
        fn is_the_model_all_round_the_ring(
            size in prop_oneof![
                1..=MAX_REPLAY_WINDOW,
                (6u32..=10, 0u16..=2)
                    .prop_map(|(power, more)| (2u16.pow(power) - 1 + more).min(MAX_REPLAY_WINDOW)),
            ],
            start in 0u64..2048,
            // In 1024ths of the ring.
            jumps in proptest::collection::vec((0u64..2400, 1u64..200), 1..6),
        ) {
            let ring = u64::from(size.next_power_of_two().max(64));
            let mut window = ReplayWindow::new(SPI, size, false);
            let mut model = Model { size: size.into(), highest: 0, received: BTreeSet::new() };
            let mut at = start;
            for (jump, run) in jumps {
                at += jump * ring / 1024;
                let run = (run * ring).div_ceil(1024);
                // Gaps of two, so that the window has both kinds of bits.
                for sequence in (at..at + 3 * run).step_by(3) {
                    prop_assert_eq!(offer(&mut window, sequence), model.accepts(sequence));
                }
                at += 3 * run;
                // Everything there is in the window and a little behind it.
                for sequence in model.highest.saturating_sub(u64::from(size) + 70)..=model.highest {
                    let fresh = window.check(sequence).is_ok();
                    let behind = sequence + u64::from(size) <= model.highest;
                    let expected = sequence != 0 && !behind && !model.received.contains(&sequence);
                    prop_assert_eq!(fresh, expected, "{} of {}", sequence, model.highest);
                }
            }
        }

        /// The receiver of extended numbers sees half of each, and accepts the same as the model
        /// that sees them whole, over several subspaces.
        #[test]
        fn extended_numbers_are_recovered(
            size in 1..=MAX_REPLAY_WINDOW,
            start in 0u64..0x3_0000_0000,
            steps in proptest::collection::vec((any::<i32>(), 0u32..32), 1..400),
        ) {
            let mut window = ReplayWindow::new(SPI, size, true);
            let mut model = Model { size: size.into(), highest: 0, received: BTreeSet::new() };
            let mut at = start;
            // The peer reaches `start` in steps that a receiver can follow.
            for subspace in 0..=(start >> 32) {
                let sequence = (subspace << 32).max(1).min(start.max(1));
                prop_assert_eq!(offer(&mut window, sequence), model.accepts(sequence));
            }
            for (step, shift) in steps {
                at = at.saturating_add_signed(i64::from(step) >> shift).max(1);
                let whole = window.whole(at as u32).unwrap();
                let left = model.highest.saturating_sub(u64::from(size) - 1);
                if at >= left && at - left < 1 << 32 {
                    prop_assert_eq!(whole, at);
                    prop_assert_eq!(offer(&mut window, whole), model.accepts(at), "{}", at);
                } else {
                    // Behind the window: taken for the next subspace, where the ICV will not hold.
                    prop_assert_ne!(whole, at);
                }
            }
        }

        #[test]
        fn high_half_is_the_rfcs(
            size in 1..=MAX_REPLAY_WINDOW,
            highest in (1u64 << 32)..(u64::MAX >> 1),
            near in any::<bool>(), low in any::<u32>(), offset in 0u64..4096,
        ) {
            // Half of the cases around the edge of a subspace.
            let highest = if near { (highest & !0xffff_ffff) + offset } else { highest };
            let mut window = ReplayWindow::new(SPI, size, true);
            window.accept(highest);
            let left = (highest as u32).wrapping_sub(u32::from(size) - 1);
            for low in [low, left.wrapping_sub(1), left, left.wrapping_add(1), highest as u32] {
                prop_assert_eq!(
                    window.whole(low).unwrap() >> 32,
                    high_half_of_the_rfc(highest, size.into(), low)
                );
            }
        }
    }

    #[test]
    fn it_takes_the_words_that_its_size_needs() {
        for (size, words) in [(0, 1), (64, 1), (65, 2), (128, 2), (513, 16), (1024, 16)] {
            let ring = Ring::new(size);
            assert_eq!((ring.words(), matches!(ring, Ring::Word(_))), (words, words == 1));
        }
    }

    #[test]
    fn each_refusal_is_its_own() {
        let mut window = ReplayWindow::new(SPI, 64, false);
        assert_eq!(window.check(0), Err(OpenError::Replayed { sequence: 0 }));
        assert!(offer(&mut window, 100));
        assert_eq!(window.check(100), Err(OpenError::Replayed { sequence: 100 }));
        assert_eq!(window.check(37), Ok(()));
        assert_eq!(window.check(36), Err(OpenError::BehindWindow { sequence: 36, highest: 100 }));
    }

    #[test]
    fn extended_numbers_end() {
        let mut window = ReplayWindow::new(SPI, 64, true);
        window.accept(u64::MAX);
        assert_eq!(window.whole(u32::MAX - 1), Ok(u64::MAX - 1));
        assert_eq!(window.whole(5), Err(OpenError::SequenceExhausted { spi: SPI }));
    }
}
