//! The anti-replay window (RFC 4303 §3.4.3, Appendix A).

#![expect(
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    reason = "a slot is a remainder of the ring's length, and the widening casts are const"
)]

use crate::config::MAX_REPLAY_WINDOW;
use crate::error::OpenError;
use crate::wire::Spi;

/// Words of 64 bits in the ring: one more than the largest window fills, since it may start within
/// a word.
const WORDS: u64 = MAX_REPLAY_WINDOW as u64 / 64 + 1;

/// Which of the last numbers were received: a ring of bits, in which a number keeps its place while
/// the window moves over it.
#[derive(Clone, Debug)]
pub(crate) struct ReplayWindow {
    spi: Spi,
    /// In packets; 0 is off.
    size: u64,
    extended: bool,
    highest: u64,
    received: [u64; WORDS as usize],
}

impl ReplayWindow {
    pub(crate) const fn new(spi: Spi, size: u16, extended: bool) -> Self {
        let mut received = [0; WORDS as usize];
        // Number 0 is never sent (RFC 4303 §3.3.3), hence never fresh.
        received[0] = 1;
        Self { spi, size: size as u64, extended, highest: 0, received }
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
        let left = self.highest.saturating_sub(self.size.saturating_sub(1));
        let distance = low.wrapping_sub(left) & 0xffff_ffff;
        left.checked_add(distance).ok_or(OpenError::SequenceExhausted { spi: self.spi })
    }

    /// Whether `sequence` may be received. To be asked before the ICV is checked, to save the work,
    /// and again before it is believed.
    pub(crate) fn check(&self, sequence: u64) -> Result<(), OpenError> {
        if self.size == 0 || sequence > self.highest {
            return Ok(());
        }
        if self.highest.saturating_sub(sequence) >= self.size {
            return Err(OpenError::BehindWindow { sequence, highest: self.highest });
        }
        if self.received[slot(sequence >> 6)] & bit(sequence) == 0 {
            Ok(())
        } else {
            Err(OpenError::Replayed { sequence })
        }
    }

    /// Marks `sequence` as received; it passed [`ReplayWindow::check`] and the ICV holds.
    pub(crate) fn accept(&mut self, sequence: u64) {
        if sequence > self.highest {
            // The words that the window reaches now held numbers that it has left behind. After a
            // jump, that is all of them; once round is enough.
            let reached = sequence >> 6;
            let next = (self.highest >> 6).saturating_add(1);
            for word in next.max(reached.saturating_sub(WORDS - 1))..=reached {
                *self.bits(word) = 0;
            }
            self.highest = sequence;
        }
        *self.bits(sequence >> 6) |= bit(sequence);
    }

    fn bits(&mut self, word: u64) -> &mut u64 {
        &mut self.received[slot(word)]
    }
}

/// Where in the ring the bits of the numbers from `word * 64` on are.
fn slot(word: u64) -> usize {
    (word % WORDS) as usize
}

const fn bit(sequence: u64) -> u64 {
    1 << (sequence & 63)
}

#[cfg(test)]
mod tests {
    use super::ReplayWindow;
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

        /// The largest windows, full, with jumps about as long as the ring: a place in it that was
        /// not cleared, or cleared too early, shows.
        #[test]
        fn is_the_model_all_round_the_ring(
            size in MAX_REPLAY_WINDOW - 130..=MAX_REPLAY_WINDOW, start in 0u64..2048,
            jumps in proptest::collection::vec((0u64..2400, 1u64..200), 1..6),
        ) {
            let mut window = ReplayWindow::new(SPI, size, false);
            let mut model = Model { size: size.into(), highest: 0, received: BTreeSet::new() };
            let mut at = start;
            for (jump, run) in jumps {
                at += jump;
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
