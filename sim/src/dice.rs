//! The network's dice.

/// A stream of numbers that follows from a seed (SplitMix64). Not for secrets.
///
/// It is its own generator so that a seed keeps its meaning whatever the dependencies do.
#[derive(Clone, Debug)]
pub struct Dice(u64);

/// The finaliser of SplitMix64: every bit of the result depends on every bit of `z`.
pub(crate) const fn scramble(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Dice {
    /// The stream of a seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(scramble(seed ^ 0x6a09_e667_f3bc_c908))
    }

    /// Another stream, for something that has a number: what is drawn from one does not move the
    /// other, so that a scenario without some of its operations stays as alike as possible.
    #[must_use]
    pub const fn of(seed: u64, subject: u64) -> Self {
        Self::new(seed ^ scramble(subject.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(1)))
    }

    /// The next 64 bits.
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        scramble(self.0)
    }

    /// A number below `limit`; 0 for a limit of 0.
    pub const fn below(&mut self, limit: u64) -> u64 {
        if limit == 0 { 0 } else { self.next() % limit }
    }

    /// A number of `from..=to`.
    pub const fn between(&mut self, from: u64, to: u64) -> u64 {
        from.saturating_add(self.below(to.saturating_sub(from).saturating_add(1)))
    }

    /// Whether something happens that happens so many times in a thousand.
    pub const fn chance(&mut self, per_mille: u16) -> bool {
        per_mille > 0 && self.below(1000) < per_mille as u64
    }

    /// One of several; `None` of none.
    pub fn pick<'a, T>(&mut self, choices: &'a [T]) -> Option<&'a T> {
        let index = usize::try_from(self.below(choices.len() as u64)).ok()?;
        choices.get(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_a_stream_and_streams_differ() {
        let draw = |mut dice: Dice| (0..8).map(|_| dice.next()).collect::<Vec<_>>();
        assert_eq!(draw(Dice::new(7)), draw(Dice::new(7)));
        assert_ne!(draw(Dice::new(7)), draw(Dice::new(8)));
        assert_ne!(draw(Dice::of(7, 0)), draw(Dice::of(7, 1)));
    }

    #[test]
    fn numbers_stay_in_their_bounds() {
        let mut dice = Dice::new(1);
        for _ in 0..1000 {
            assert!((3..=5).contains(&dice.between(3, 5)));
        }
        assert_eq!(dice.below(0), 0);
        assert!((0..1000).all(|_| !dice.chance(0)));
        assert!((0..1000).all(|_| dice.chance(1000)));
        assert_eq!(dice.pick::<u8>(&[]), None);
    }
}
