//! DES by tables, for few blocks.
//!
//! A half of the block is held as E would expand it: eight bytes of six bits each, in one `u64`. E only
//! repeats bits, so what holds for halves holds for expanded ones, and the tables, which hold each
//! selection function with P and the next round's E already applied, never leave that form: a round is one
//! exclusive-or with its key, eight look-ups, eight exclusive-ors.
//!
//! The look-ups' addresses depend on key and data: whoever shares the processor's cache may learn of them.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    reason = "indices are masked to the tables' lengths; constants are made at compile time"
)]

use zeroize::Zeroizing;

use crate::standard::{E, P, PC1, PC2, SHIFTS, s};

/// E: bits 1 to 32 of a half to eight bytes of six.
const fn expand(half: u32) -> u64 {
    let mut expanded = 0;
    let mut i = 0;
    while i < 48 {
        let bit = (half >> (32 - E[i])) as u64 & 1;
        expanded |= bit << (8 * (7 - i / 6) + 5 - i % 6);
        i += 1;
    }
    expanded
}

/// Undoes [`expand`]: the inner four of each six.
const fn contract(expanded: u64) -> u32 {
    let mut half = 0;
    let mut group = 0;
    while group < 8 {
        half |= ((expanded >> (8 * (7 - group) + 1)) as u32 & 15) << (4 * (7 - group));
        group += 1;
    }
    half
}

/// S, P and E, for each selection function and its six bits.
static SELECTED: [[u64; 64]; 8] = {
    let mut tables = [[0; 64]; 8];
    let mut number = 0;
    while number < 8 {
        let mut six = 0;
        while six < 64 {
            let out = (s(number, six) as u32) << (28 - 4 * number);
            let mut permuted = 0;
            let mut i = 0;
            while i < 32 {
                permuted |= (out >> (32 - P[i]) & 1) << (31 - i);
                i += 1;
            }
            tables[number][six] = expand(permuted);
            six += 1;
        }
        number += 1;
    }
    tables
};

/// The sixteen round keys of three keys, in the order in which they are used to encrypt.
#[derive(Clone)]
pub(crate) struct Schedule(Zeroizing<[[u64; 16]; 3]>);

impl Schedule {
    pub(crate) fn new(keys: [u64; 3]) -> Self {
        let mut rounds = Zeroizing::new(keys.map(round_keys));
        // The middle one runs backwards.
        rounds[1].reverse();
        Self(rounds)
    }

    /// Encrypts `N` blocks; their rounds interleave, so that one's look-ups fill the other's waits.
    pub(crate) fn encrypt<const N: usize>(&self, blocks: &mut [u64; N]) {
        let mut halves = blocks.map(Halves::of);
        for keys in &*self.0 {
            sixteen_rounds(&mut halves, |round, _| keys[round]);
        }
        *blocks = halves.map(Halves::block);
    }

    /// Decrypts `N` blocks.
    pub(crate) fn decrypt<const N: usize>(&self, blocks: &mut [u64; N]) {
        let mut halves = blocks.map(Halves::of);
        let [first, second, third] = &*self.0;
        for keys in [third, second, first] {
            sixteen_rounds(&mut halves, |round, _| keys[15 - round]);
        }
        *blocks = halves.map(Halves::block);
    }
}

/// Encrypts `N` chains of blocks beside each other, each chained to its element of `chained`, which becomes its last
/// block; as many blocks of each as the shortest has.
///
/// What is chained stays expanded, so that nothing but rounds waits for the block before.
pub(crate) fn cbc_encrypt<const N: usize>(
    schedules: [&Schedule; N],
    chained: &mut [u64; N],
    chains: [&mut [[u8; 8]]; N],
) {
    let mut halves = chained.map(Halves::of);
    let mut chains = chains.map(<[_]>::iter_mut);
    'blocks: loop {
        let mut blocks = [const { None }; N];
        for (block, chain) in blocks.iter_mut().zip(&mut chains) {
            *block = chain.next();
            if block.is_none() {
                break 'blocks;
            }
        }
        for (halves, block) in halves.iter_mut().zip(&blocks) {
            let plain = Halves::of(block.as_deref().map_or(0, |block| u64::from_be_bytes(*block)));
            halves.left ^= plain.left;
            halves.right ^= plain.right;
        }
        for stage in 0..3 {
            sixteen_rounds(&mut halves, |round, n| schedules[n].0[stage][round]);
        }
        for (halves, block) in halves.iter().zip(blocks) {
            if let Some(block) = block {
                *block = halves.block().to_be_bytes();
            }
        }
    }
    *chained = halves.map(Halves::block);
}

/// Round keys as the expanded halves are laid out. Their bits are moved one by one, by constants only.
fn round_keys(key: u64) -> [u64; 16] {
    let mut rotated = 0;
    SHIFTS.map(|shift| {
        rotated += usize::from(shift);
        PC2.iter().enumerate().fold(0, |round_key, (i, &from)| {
            let from = usize::from(from) - 1;
            // C is 0 to 27, D is 28 to 55; each is rotated by itself.
            let unrotated =
                if from < 28 { (from + rotated) % 28 } else { 28 + (from - 28 + rotated) % 28 };
            let bit = key >> (64 - PC1[unrotated]) & 1;
            round_key | bit << (8 * (7 - i / 6) + 5 - i % 6)
        })
    })
}

/// A block after IP, each half expanded.
#[derive(Clone, Copy)]
struct Halves {
    left: u64,
    right: u64,
}

impl Halves {
    #[inline(always)]
    fn of(block: u64) -> Self {
        let (left, right) = initial_permutation(block);
        Self { left: expand_quickly(left), right: expand_quickly(right) }
    }

    #[inline(always)]
    fn block(self) -> u64 {
        final_permutation(contract(self.left), contract(self.right))
    }
}

/// `key` is that of a round, for a block.
#[inline(always)]
fn sixteen_rounds<const N: usize>(halves: &mut [Halves; N], key: impl Fn(usize, usize) -> u64) {
    let mut keyed: [u64; N] = core::array::from_fn(|n| halves[n].right ^ key(0, n));
    for round in 0..16 {
        for (n, (halves, keyed)) in halves.iter_mut().zip(&mut keyed).enumerate() {
            // The next round's key is mixed in where nothing waits for it; none follows the last one.
            let next = if round < 15 { key(round + 1, n) } else { 0 };
            *keyed = select(*keyed, halves.left ^ next);
            halves.left = halves.right;
            halves.right = *keyed ^ next;
        }
    }
    for halves in halves {
        // The last round does not exchange the halves (FIPS 46-3, figure 1); and the final permutation of
        // a stage and the initial one of the next undo each other.
        core::mem::swap(&mut halves.left, &mut halves.right);
    }
}

/// `into` changed by what the selection functions make of `six`.
#[inline(always)]
fn select(six: u64, into: u64) -> u64 {
    let out = |number: usize| SELECTED[number][(six >> (8 * (7 - number))) as usize & 63];
    ((out(7) ^ into) ^ (out(6) ^ out(5))) ^ ((out(4) ^ out(3)) ^ (out(2) ^ out(1))) ^ out(0)
}

/// [`expand`] by shifts: each group is six bits of the half, rotated so that its first is on top.
#[inline(always)]
fn expand_quickly(half: u32) -> u64 {
    let mut expanded = 0;
    for group in 0..8u32 {
        // The group begins at the bit before its four.
        let six = half.rotate_left(4 * group + 31) >> 26;
        expanded |= u64::from(six) << (8 * (7 - group));
    }
    expanded
}

/// Exchanges the bits of `b` under `mask` with those of `a` that are `distance` above them.
#[inline(always)]
const fn exchange(a: &mut u32, b: &mut u32, distance: u32, mask: u32) {
    let differing = (*a >> distance ^ *b) & mask;
    *b ^= differing;
    *a ^= differing << distance;
}

/// IP, to halves. It transposes a square of bits, eight by eight: five exchanges of halves, quarters, …
/// put the even columns into one half and the odd ones into the other.
#[inline(always)]
const fn initial_permutation(block: u64) -> (u32, u32) {
    let (mut left, mut right) = ((block >> 32) as u32, block as u32);
    exchange(&mut left, &mut right, 4, 0x0f0f_0f0f);
    exchange(&mut left, &mut right, 16, 0x0000_ffff);
    exchange(&mut right, &mut left, 2, 0x3333_3333);
    exchange(&mut right, &mut left, 8, 0x00ff_00ff);
    exchange(&mut left, &mut right, 1, 0x5555_5555);
    (left, right)
}

/// Undoes [`initial_permutation`].
#[inline(always)]
const fn final_permutation(mut left: u32, mut right: u32) -> u64 {
    exchange(&mut left, &mut right, 1, 0x5555_5555);
    exchange(&mut right, &mut left, 8, 0x00ff_00ff);
    exchange(&mut right, &mut left, 2, 0x3333_3333);
    exchange(&mut left, &mut right, 16, 0x0000_ffff);
    exchange(&mut left, &mut right, 4, 0x0f0f_0f0f);
    (left as u64) << 32 | right as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::standard::IP;

    #[test]
    fn initial_permutation_is_the_standards() {
        for bit in 0..64 {
            let (left, right) = initial_permutation(1 << bit);
            let permuted = u64::from(left) << 32 | u64::from(right);
            let standard =
                IP.iter().fold(0, |out, &from| out << 1 | 1u64 << bit >> (64 - from) & 1);
            assert_eq!(permuted, standard, "bit {bit}");
            assert_eq!(final_permutation(left, right), 1 << bit);
        }
    }

    #[test]
    fn halves_are_expanded_as_the_standard_does() {
        for bit in 0..32 {
            let half = 1 << bit;
            assert_eq!(expand_quickly(half), expand(half), "bit {bit}");
            assert_eq!(contract(expand(half)), half);
        }
    }
}
