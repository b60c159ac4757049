//! Bit-sliced DES: word `i` holds bit `i` of 64 blocks or more, and one instruction does to all of
//! them what the standard's circuit does to one bit. No index and no branch depends on a key or a
//! block, and permutations cost nothing: they only say which word is meant.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    reason = "all indices are the standard's constants, within arrays of constant length"
)]

mod circuits;
mod lanes;

pub(crate) use lanes::{Lanes, Wide};

use crate::standard::{E, IP, P, PC1, PC2, SHIFTS};
use circuits::{s1, s2, s3, s4, s5, s6, s7, s8};

/// Blocks in a word of `u64`s.
pub(crate) const BLOCKS_PER_WORD: usize = 64;

/// Work that is done with words of some width.
pub(crate) trait Sliced {
    /// With as many blocks at a time as a word of this width has bits.
    fn run<W: Width>(self, width: W);
}

/// A width, and the processor's permission to use it.
pub(crate) trait Width: Copy {
    /// A word.
    type Word: Lanes;

    /// Runs `work` compiled for words of this width, as far as it is inlined.
    fn run<T>(self, work: impl FnOnce() -> T) -> T;
}

/// Words of 64 bits, for every processor.
#[derive(Clone, Copy)]
struct Portable;

impl Width for Portable {
    type Word = Wide<1>;

    #[inline(always)]
    fn run<T>(self, work: impl FnOnce() -> T) -> T {
        work()
    }
}

/// Words of 256 bits.
#[cfg(feature = "avx2")]
impl Width for dmvpn_avx2::Avx2 {
    type Word = Wide<4>;

    #[inline(always)]
    fn run<T>(self, work: impl FnOnce() -> T) -> T {
        Self::run(self, work)
    }
}

/// Does `work`, which has so many blocks for each pass, with the width that suits them and the processor.
#[inline]
pub(crate) fn with_width(blocks: usize, work: impl Sliced) {
    #[cfg(feature = "avx2")]
    if blocks > BLOCKS_PER_WORD
        && let Some(avx2) = dmvpn_avx2::Avx2::detect()
    {
        return work.run(avx2);
    }
    let _ = blocks;
    work.run(Portable);
}

/// Which way a stage runs through its round keys.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Encrypt,
    Decrypt,
}

/// The key bits of one DES for each block.
///
/// The registers C and D are held twice, end to end: what the standard rotates is then a window that moves.
struct Keys<W> {
    c: [W; 56],
    d: [W; 56],
}

impl<W: Lanes> Keys<W> {
    /// `bits[i]` holds the standard's key bit `i + 1` of each block.
    #[inline(always)]
    fn new(bits: &[W; 64]) -> Self {
        let half = |at: usize| core::array::from_fn(|i| bits[usize::from(PC1[at + i % 28]) - 1]);
        Self { c: half(0), d: half(28) }
    }
}

/// Three keys for each block.
pub(crate) struct TripleKeys<W>([Keys<W>; 3]);

// What follows is compiled once for each width, however many callers it has: a copy of the circuits in words of 256 bits costs the
// compiler some ten seconds.

impl<L: Lanes> TripleKeys<L> {
    /// The same keys for all.
    #[inline(never)]
    pub(crate) fn same<W: Width<Word = L>>(width: W, keys: [u64; 3]) -> Self {
        width.run(
            #[inline(always)]
            || {
                Self(keys.map(|key| {
                    // All ones where the bit is set, without asking.
                    Keys::new(&core::array::from_fn(|i| {
                        L::splat(0u64.wrapping_sub(key >> (63 - i) & 1))
                    }))
                }))
            },
        )
    }

    /// `keys[n][j]`: the n-th keys of 64 blocks, as [`transpose`] takes blocks.
    #[inline(never)]
    pub(crate) fn each<W: Width<Word = L>>(width: W, mut keys: [[L; 64]; 3]) -> Self {
        width.run(
            #[inline(always)]
            || {
                keys.iter_mut().for_each(transpose);
                let [first, second, third] = &keys;
                Self([Keys::new(first), Keys::new(second), Keys::new(third)])
            },
        )
    }
}

/// Encrypts blocks that are rows: word `j` holds block `j` of each 64.
pub(crate) fn encrypt<W: Width>(width: W, blocks: &mut [W::Word; 64], keys: &TripleKeys<W::Word>) {
    let [first, second, third] = &keys.0;
    crypt(
        width,
        blocks,
        [(first, Direction::Encrypt), (second, Direction::Decrypt), (third, Direction::Encrypt)],
    );
}

/// Decrypts blocks that are rows.
pub(crate) fn decrypt<W: Width>(width: W, blocks: &mut [W::Word; 64], keys: &TripleKeys<W::Word>) {
    let [first, second, third] = &keys.0;
    crypt(
        width,
        blocks,
        [(third, Direction::Decrypt), (second, Direction::Encrypt), (first, Direction::Decrypt)],
    );
}

#[inline(never)]
fn crypt<W: Width>(width: W, blocks: &mut [W::Word; 64], stages: [(&Keys<W::Word>, Direction); 3]) {
    width.run(
        #[inline(always)]
        || three_stages(blocks, stages),
    );
}

/// Sixty-four rows of 64 bits become columns, most significant first; each `u64` of the words by itself.
#[inline(always)]
fn transpose<W: Lanes>(rows: &mut [W; 64]) {
    let mut width = 32;
    // Of each 2 * width bits the right half.
    let mut mask = 0xffff_ffff_u64;
    while width > 0 {
        let mut row = 0;
        while row < 64 {
            let (upper, lower) = (rows[row], rows[row + width]);
            let moved = (upper ^ lower.right(width as u32)) & W::splat(mask);
            rows[row] = upper ^ moved;
            rows[row + width] = lower ^ moved.left(width as u32);
            row = (row + width + 1) & !width;
        }
        width /= 2;
        mask ^= mask << width;
    }
}

#[inline(always)]
fn three_stages<W: Lanes>(blocks: &mut [W; 64], stages: [(&Keys<W>, Direction); 3]) {
    transpose(blocks);
    let mut left: [W; 32] = core::array::from_fn(|i| blocks[usize::from(IP[i]) - 1]);
    let mut right: [W; 32] = core::array::from_fn(|i| blocks[usize::from(IP[32 + i]) - 1]);
    for (keys, direction) in stages {
        sixteen_rounds(&mut left, &mut right, keys, direction);
        // The last round does not exchange the halves (FIPS 46-3, figure 1); and the final permutation of a
        // stage and the initial one of the next undo each other.
        core::mem::swap(&mut left, &mut right);
    }
    for i in 0..32 {
        blocks[usize::from(IP[i]) - 1] = left[i];
        blocks[usize::from(IP[32 + i]) - 1] = right[i];
    }
    transpose(blocks);
}

/// How far C and D are rotated in each round.
const ROTATED: [usize; 16] = {
    let mut rotated = [0; 16];
    let mut sum = 0;
    let mut round = 0;
    while round < 16 {
        sum += SHIFTS[round] as usize;
        rotated[round] = sum;
        round += 1;
    }
    rotated
};

#[inline(always)]
fn sixteen_rounds<W: Lanes>(
    left: &mut [W; 32],
    right: &mut [W; 32],
    keys: &Keys<W>,
    direction: Direction,
) {
    for pair in 0..8 {
        let (one, two) = match direction {
            Direction::Encrypt => (2 * pair, 2 * pair + 1),
            Direction::Decrypt => (15 - 2 * pair, 14 - 2 * pair),
        };
        round(left, right, keys, ROTATED[one]);
        round(right, left, keys, ROTATED[two]);
    }
}

/// Where the bit that a selection function puts out at `i` goes: P, backwards.
const AFTER_P: [usize; 32] = {
    let mut after = [0; 32];
    let mut i = 0;
    while i < 32 {
        after[P[i] as usize - 1] = i;
        i += 1;
    }
    after
};

/// `left ^= f(right, round key)`.
#[inline(always)]
fn round<W: Lanes>(left: &mut [W; 32], right: &[W; 32], keys: &Keys<W>, rotated: usize) {
    // A window of constant length, so that all that follows has constant indices.
    let c = &keys.c[rotated..].as_chunks::<28>().0[0];
    let d = &keys.d[rotated..].as_chunks::<28>().0[0];
    macro_rules! select {
        ($function:ident, $number:literal, $register:ident, $before:literal) => {
            let bit = |i: usize| {
                let at = 6 * $number + i;
                right[const { E }[at] as usize - 1]
                    ^ $register[const { PC2 }[at] as usize - 1 - $before]
            };
            let out = $function([bit(0), bit(1), bit(2), bit(3), bit(4), bit(5)]);
            for i in 0..4 {
                let at = const { AFTER_P }[4 * $number + i];
                left[at] = left[at] ^ out[i];
            }
        };
    }
    select!(s1, 0, c, 0);
    select!(s2, 1, c, 0);
    select!(s3, 2, c, 0);
    select!(s4, 3, c, 0);
    select!(s5, 4, d, 28);
    select!(s6, 5, d, 28);
    select!(s7, 6, d, 28);
    select!(s8, 7, d, 28);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::standard;

    /// Each circuit, on all 64 inputs at once.
    #[test]
    fn circuits_are_the_standards_tables() {
        let input: [Wide<1>; 6] = core::array::from_fn(|bit| {
            Wide::splat(
                (0..64).filter(|x| x >> (5 - bit) & 1 == 1).fold(0, |word, x| word | 1 << x),
            )
        });
        let circuits = [s1::<Wide<1>>, s2, s3, s4, s5, s6, s7, s8];
        for (number, circuit) in circuits.into_iter().enumerate() {
            let out = circuit(input);
            for x in 0..64 {
                let made =
                    (0..4).fold(0, |made, bit| made << 1 | (out[bit].word(0) >> x & 1) as u8);
                assert_eq!(made, standard::s(number, x), "S{} of {x}", number + 1);
            }
        }
    }

    #[test]
    fn rows_become_columns() {
        let mut random = 1u64;
        let rows: [Wide<2>; 64] = core::array::from_fn(|_| {
            let mut row = Wide::splat(0);
            for n in 0..2 {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                row.set_word(n, random ^ random >> 32);
            }
            row
        });
        let mut columns = rows;
        transpose(&mut columns);
        for n in 0..2 {
            for (i, column) in columns.iter().enumerate() {
                for (j, row) in rows.iter().enumerate() {
                    assert_eq!(column.word(n) >> (63 - j) & 1, row.word(n) >> (63 - i) & 1);
                }
            }
        }
    }
}
