//! The words that slices are made of.

use core::ops::{BitAnd, BitOr, BitXor, Not};

/// A word of some times 64 bits, one bit for each block. All operations act on each bit, or each 64
/// of them, alike, and none depends on their values.
pub(crate) trait Lanes:
    Copy + BitAnd<Output = Self> + BitOr<Output = Self> + BitXor<Output = Self> + Not<Output = Self>
{
    /// How many `u64`s there are.
    const WORDS: usize;

    /// The same `u64` at each place.
    fn splat(word: u64) -> Self;

    fn word(&self, n: usize) -> u64;

    fn set_word(&mut self, n: usize, word: u64);

    /// Shifts each `u64`.
    fn left(self, bits: u32) -> Self;

    /// Shifts each `u64`.
    fn right(self, bits: u32) -> Self;
}

/// `64 * N` blocks. The compiler makes vector instructions of it where the processor has them.
#[derive(Clone, Copy)]
pub(crate) struct Wide<const N: usize>([u64; N]);

impl<const N: usize> Wide<N> {
    #[inline(always)]
    fn each(self, other: Self, f: impl Fn(u64, u64) -> u64) -> Self {
        let mut out = self;
        for (out, other) in out.0.iter_mut().zip(other.0) {
            *out = f(*out, other);
        }
        out
    }
}

impl<const N: usize> BitAnd for Wide<N> {
    type Output = Self;
    #[inline(always)]
    fn bitand(self, other: Self) -> Self {
        self.each(other, |a, b| a & b)
    }
}

impl<const N: usize> BitOr for Wide<N> {
    type Output = Self;
    #[inline(always)]
    fn bitor(self, other: Self) -> Self {
        self.each(other, |a, b| a | b)
    }
}

impl<const N: usize> BitXor for Wide<N> {
    type Output = Self;
    #[inline(always)]
    fn bitxor(self, other: Self) -> Self {
        self.each(other, |a, b| a ^ b)
    }
}

impl<const N: usize> Not for Wide<N> {
    type Output = Self;
    #[inline(always)]
    fn not(self) -> Self {
        Self(self.0.map(|word| !word))
    }
}

impl<const N: usize> Lanes for Wide<N> {
    const WORDS: usize = N;

    #[inline(always)]
    fn splat(word: u64) -> Self {
        Self([word; N])
    }

    #[inline(always)]
    fn word(&self, n: usize) -> u64 {
        self.0[n]
    }

    #[inline(always)]
    fn set_word(&mut self, n: usize, word: u64) {
        self.0[n] = word;
    }

    #[inline(always)]
    fn left(self, bits: u32) -> Self {
        Self(self.0.map(|word| word << bits))
    }

    #[inline(always)]
    fn right(self, bits: u32) -> Self {
        Self(self.0.map(|word| word >> bits))
    }
}
