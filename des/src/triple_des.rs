//! The cipher, on blocks that are independent of each other.

use zeroize::{ZeroizeOnDrop, Zeroizing};

use crate::slice::{self, BLOCKS_PER_WORD, Lanes, Sliced, TripleKeys, Width};
use crate::table::Schedule;

/// Bytes in a block.
pub(crate) const BLOCK: usize = 8;

/// From so many blocks on, slicing (which costs the same for 1 and for 64) is faster than tables.
pub(crate) const WORTH_SLICING: usize = 28;

/// Blocks that the tables work on at a time.
pub(crate) const INTERLEAVED: usize = 4;

/// Triple DES with three keys, encrypting, decrypting, encrypting (FIPS 46-3; "DES-EDE3" of RFC 2451 and RFC 2409).
///
/// Many blocks at once are done bit-sliced, in constant time, until fewer than 28 are left; few are done by tables, whose addresses depend on key
/// and data. With [`TripleDes::constant_time`] it is never tables.
///
/// It holds 408 bytes of keys, erased when it is dropped. Parity bits of the key are ignored, weak keys accepted.
#[derive(Clone)]
pub struct TripleDes {
    keys: Zeroizing<[u64; 3]>,
    schedule: Schedule,
    always_slices: bool,
}

/// Data is not a whole number of 8-byte blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotWholeBlocks {
    /// How many bytes there are.
    pub len: usize,
}

impl core::fmt::Display for NotWholeBlocks {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} bytes are not a whole number of 8-byte blocks", self.len)
    }
}

impl core::error::Error for NotWholeBlocks {}

impl core::fmt::Debug for TripleDes {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("TripleDes(..)")
    }
}

/// Its fields erase themselves.
impl ZeroizeOnDrop for TripleDes {}

impl TripleDes {
    /// With the keys K1, K2, K3, one after the other.
    #[must_use]
    pub fn new(key: &[u8; 24]) -> Self {
        let mut keys = Zeroizing::new([0; 3]);
        for (key, bytes) in keys.iter_mut().zip(key.as_chunks::<8>().0) {
            *key = u64::from_be_bytes(*bytes);
        }
        Self { schedule: Schedule::new(*keys), keys, always_slices: false }
    }

    /// This cipher without look-ups: everything is sliced, if it is only a single block, which then
    /// costs as much as 64 do.
    #[must_use]
    pub fn constant_time(mut self) -> Self {
        self.always_slices = true;
        self
    }

    pub(crate) fn keys(&self) -> [u64; 3] {
        *self.keys
    }

    pub(crate) fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    pub(crate) fn always_slices(&self) -> bool {
        self.always_slices
    }

    /// Encrypts each block by itself, in place.
    pub fn encrypt_blocks(&self, blocks: &mut [[u8; 8]]) {
        self.each(blocks, Encrypt);
    }

    /// Decrypts each block by itself, in place.
    pub fn decrypt_blocks(&self, blocks: &mut [[u8; 8]]) {
        self.each(blocks, Decrypt);
    }

    fn each(&self, blocks: &mut [[u8; BLOCK]], operation: impl Operation) {
        if self.always_slices || blocks.len() >= WORTH_SLICING {
            slice::with_width(blocks.len(), Independent { cipher: self, blocks, operation });
        } else {
            self.by_tables(blocks, &operation);
        }
    }

    fn by_tables(&self, blocks: &mut [[u8; BLOCK]], operation: &impl Operation) {
        let (fours, rest) = blocks.as_chunks_mut::<INTERLEAVED>();
        for four in fours {
            let mut words = four.map(u64::from_be_bytes);
            operation.by_tables(&mut words, &self.schedule);
            *four = words.map(u64::to_be_bytes);
        }
        for block in rest {
            let mut word = [u64::from_be_bytes(*block)];
            operation.by_tables(&mut word, &self.schedule);
            [*block] = word.map(u64::to_be_bytes);
        }
    }
}

/// Blocks that do not wait for each other, to be sliced.
struct Independent<'a, O> {
    cipher: &'a TripleDes,
    blocks: &'a mut [[u8; BLOCK]],
    operation: O,
}

impl<O: Operation> Sliced for Independent<'_, O> {
    fn run<W: Width>(self, width: W) {
        let keys = TripleKeys::same(width, *self.cipher.keys);
        for pass in self.blocks.chunks_mut(BLOCKS_PER_WORD.saturating_mul(W::Word::WORDS)) {
            if pass.len() < WORTH_SLICING && !self.cipher.always_slices {
                return self.cipher.by_tables(pass, &self.operation);
            }
            let mut rows = [W::Word::splat(0); 64];
            for (n, blocks) in pass.chunks(BLOCKS_PER_WORD).enumerate() {
                for (row, block) in rows.iter_mut().zip(blocks) {
                    row.set_word(n, u64::from_be_bytes(*block));
                }
            }
            self.operation.sliced(width, &mut rows, &keys);
            for (n, blocks) in pass.chunks_mut(BLOCKS_PER_WORD).enumerate() {
                for (row, block) in rows.iter().zip(blocks) {
                    *block = row.word(n).to_be_bytes();
                }
            }
        }
    }
}

/// One of two ways.
trait Operation {
    fn sliced<W: Width>(&self, width: W, rows: &mut [W::Word; 64], keys: &TripleKeys<W::Word>);
    fn by_tables<const N: usize>(&self, blocks: &mut [u64; N], schedule: &Schedule);
}

struct Encrypt;
struct Decrypt;

impl Operation for Encrypt {
    fn sliced<W: Width>(&self, width: W, rows: &mut [W::Word; 64], keys: &TripleKeys<W::Word>) {
        slice::encrypt(width, rows, keys);
    }

    fn by_tables<const N: usize>(&self, blocks: &mut [u64; N], schedule: &Schedule) {
        schedule.encrypt(blocks);
    }
}

impl Operation for Decrypt {
    fn sliced<W: Width>(&self, width: W, rows: &mut [W::Word; 64], keys: &TripleKeys<W::Word>) {
        slice::decrypt(width, rows, keys);
    }

    fn by_tables<const N: usize>(&self, blocks: &mut [u64; N], schedule: &Schedule) {
        schedule.decrypt(blocks);
    }
}
