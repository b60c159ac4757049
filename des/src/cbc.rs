//! Cipher block chaining (RFC 2451 §2): a packet is opened in parallel, and packets are sealed in parallel to each other.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "indices are lanes and blocks, each checked against its length where it is made"
)]

use crate::slice::{self, BLOCKS_PER_WORD, Lanes, Sliced, TripleKeys, Width};
use crate::table;
use crate::triple_des::{BLOCK, INTERLEAVED, NotWholeBlocks, TripleDes, WORTH_SLICING};

impl TripleDes {
    /// Encrypts `data` in place in CBC mode. Each block waits for the one before it, so that this is by tables unless
    /// [`constant_time`](Self::constant_time) was asked for; several packets together are done faster by [`cbc_encrypt_batch`].
    ///
    /// # Errors
    ///
    /// [`NotWholeBlocks`]; nothing has changed then.
    pub fn cbc_encrypt(&self, iv: [u8; 8], data: &mut [u8]) -> Result<(), NotWholeBlocks> {
        CbcEncrypt::new(self, iv, data)?.from(0);
        Ok(())
    }

    /// Decrypts `data` in place in CBC mode: blocks do not wait for each other, so that from 28 blocks on they are sliced, until fewer than 28 are
    /// left.
    ///
    /// # Errors
    ///
    /// [`NotWholeBlocks`]; nothing has changed then.
    pub fn cbc_decrypt(&self, iv: [u8; 8], data: &mut [u8]) -> Result<(), NotWholeBlocks> {
        self.decrypt_chain(u64::from_be_bytes(iv), whole_blocks(data)?);
        Ok(())
    }

    fn decrypt_chain(&self, mut chained: u64, blocks: &mut [[u8; BLOCK]]) {
        let mut ciphertexts = [[0; BLOCK]; MAX_LANES];
        for blocks in blocks.chunks_mut(MAX_LANES) {
            let ciphertexts = &mut ciphertexts[..blocks.len()];
            ciphertexts.copy_from_slice(blocks);
            self.decrypt_blocks(blocks);
            for (block, ciphertext) in blocks.iter_mut().zip(ciphertexts) {
                *block = (u64::from_be_bytes(*block) ^ chained).to_be_bytes();
                chained = u64::from_be_bytes(*ciphertext);
            }
        }
    }
}

fn whole_blocks(data: &mut [u8]) -> Result<&mut [[u8; BLOCK]], NotWholeBlocks> {
    let len = data.len();
    match data.as_chunks_mut::<BLOCK>() {
        (blocks, []) => Ok(blocks),
        _ => Err(NotWholeBlocks { len }),
    }
}

/// One packet of a batch.
pub struct CbcEncrypt<'a> {
    cipher: &'a TripleDes,
    chained: u64,
    blocks: &'a mut [[u8; BLOCK]],
}

impl core::fmt::Debug for CbcEncrypt<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("CbcEncrypt").field("blocks", &self.blocks.len()).finish_non_exhaustive()
    }
}

impl<'a> CbcEncrypt<'a> {
    /// `data` is encrypted in place, from `iv`, by `cipher`.
    ///
    /// # Errors
    ///
    /// [`NotWholeBlocks`].
    pub fn new(
        cipher: &'a TripleDes,
        iv: [u8; 8],
        data: &'a mut [u8],
    ) -> Result<Self, NotWholeBlocks> {
        Ok(Self { cipher, chained: u64::from_be_bytes(iv), blocks: whole_blocks(data)? })
    }

    /// The blocks from `first` on.
    fn from(&mut self, first: usize) {
        let Some(blocks) = self.blocks.get_mut(first..) else { return };
        if !self.cipher.always_slices() {
            let mut chained = [self.chained];
            table::cbc_encrypt([self.cipher.schedule()], &mut chained, [blocks]);
            [self.chained] = chained;
            return;
        }
        for block in blocks {
            let mixed = self.chained ^ u64::from_be_bytes(*block);
            *block = mixed.to_be_bytes();
            self.cipher.encrypt_blocks(core::slice::from_mut(block));
            self.chained = u64::from_be_bytes(*block);
        }
    }
}

/// Encrypts packets in CBC mode beside each other, of the same cipher or of many; the result is that of [`TripleDes::cbc_encrypt`] on each.
///
/// Packet `j` is lane `j` of the slices, up to 256 at a time; packets of about the same length use them best. Where fewer are left than slicing is
/// worth, the rest goes by tables, four packets at a time.
pub fn cbc_encrypt_batch(packets: &mut [CbcEncrypt<'_>]) {
    for packets in packets.chunks_mut(MAX_LANES) {
        if worth_slicing(packets, 0) {
            slice::with_width(packets.len(), BesideEachOther(packets));
        } else {
            by_tables(packets, 0);
        }
    }
}

/// The lanes that a pass has at most.
const MAX_LANES: usize = 4 * BLOCKS_PER_WORD;

/// Whether enough packets have a block at `step`, or one has it that must not go by tables.
fn worth_slicing(packets: &[CbcEncrypt<'_>], step: usize) -> bool {
    let mut left = packets.iter().filter(|packet| packet.blocks.len() > step);
    left.clone().any(|packet| packet.cipher.always_slices())
        || left.nth(WORTH_SLICING - 1).is_some()
}

/// What is left from block `step` on.
fn by_tables(packets: &mut [CbcEncrypt<'_>], step: usize) {
    let (fours, rest) = packets.as_chunks_mut::<INTERLEAVED>();
    for four in fours {
        let [a, b, c, d] = four;
        let together =
            [&*a, b, c, d].iter().map(|packet| packet.blocks.len()).min().unwrap_or(0).max(step);
        let mut chained = [a.chained, b.chained, c.chained, d.chained];
        let schedules = [&*a, b, c, d].map(|packet| packet.cipher.schedule());
        let chains = [&mut *a, b, c, d]
            .map(|packet| packet.blocks.get_mut(step..together).unwrap_or_default());
        table::cbc_encrypt(schedules, &mut chained, chains);
        for (packet, chained) in four.iter_mut().zip(chained) {
            packet.chained = chained;
            packet.from(together);
        }
    }
    for packet in rest {
        packet.from(step);
    }
}

/// Each packet a lane.
struct BesideEachOther<'a, 'b>(&'a mut [CbcEncrypt<'b>]);

impl Sliced for BesideEachOther<'_, '_> {
    fn run<W: Width>(self, width: W) {
        for packets in self.0.chunks_mut(BLOCKS_PER_WORD * W::Word::WORDS) {
            let keys = keys_of(width, packets.iter().map(|packet| packet.cipher.keys()));
            let mut step = 0;
            while worth_slicing(packets, step) {
                let mut rows = [W::Word::splat(0); 64];
                for (n, packets) in packets.chunks(BLOCKS_PER_WORD).enumerate() {
                    for (row, packet) in rows.iter_mut().zip(packets) {
                        if let Some(block) = packet.blocks.get(step) {
                            row.set_word(n, packet.chained ^ u64::from_be_bytes(*block));
                        }
                    }
                }
                slice::encrypt(width, &mut rows, &keys);
                for (n, packets) in packets.chunks_mut(BLOCKS_PER_WORD).enumerate() {
                    for (row, packet) in rows.iter().zip(packets) {
                        if let Some(block) = packet.blocks.get_mut(step) {
                            packet.chained = row.word(n);
                            *block = packet.chained.to_be_bytes();
                        }
                    }
                }
                step += 1;
            }
            by_tables(packets, step);
        }
    }
}

/// The keys of lane after lane.
fn keys_of<W: Width>(width: W, lanes: impl Iterator<Item = [u64; 3]>) -> TripleKeys<W::Word> {
    let mut keys = [[W::Word::splat(0); 64]; 3];
    for (lane, of_lane) in lanes.take(BLOCKS_PER_WORD * W::Word::WORDS).enumerate() {
        for (rows, key) in keys.iter_mut().zip(of_lane) {
            rows[lane % BLOCKS_PER_WORD].set_word(lane / BLOCKS_PER_WORD, key);
        }
    }
    TripleKeys::each(width, keys)
}

/// One packet of a batch.
pub struct CbcDecrypt<'a> {
    cipher: &'a TripleDes,
    /// The ciphertext before the first of the blocks.
    chained: u64,
    /// Those that are still to be decrypted.
    blocks: &'a mut [[u8; BLOCK]],
}

impl core::fmt::Debug for CbcDecrypt<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("CbcDecrypt").field("blocks", &self.blocks.len()).finish_non_exhaustive()
    }
}

impl<'a> CbcDecrypt<'a> {
    /// `data` is decrypted in place, from `iv`, by `cipher`.
    ///
    /// # Errors
    ///
    /// [`NotWholeBlocks`].
    pub fn new(
        cipher: &'a TripleDes,
        iv: [u8; 8],
        data: &'a mut [u8],
    ) -> Result<Self, NotWholeBlocks> {
        Ok(Self { cipher, chained: u64::from_be_bytes(iv), blocks: whole_blocks(data)? })
    }

    /// All that is left, by itself.
    fn rest(&mut self) {
        self.cipher.decrypt_chain(self.chained, core::mem::take(&mut self.blocks));
    }
}

/// Decrypts packets in CBC mode beside each other, of the same cipher or of many; the result is that of [`TripleDes::cbc_decrypt`] on each.
///
/// The blocks of all packets follow each other in the lanes of the slices, so that short packets fill them together. Where fewer blocks are
/// left than slicing is worth, the rest goes by tables.
pub fn cbc_decrypt_batch(packets: &mut [CbcDecrypt<'_>]) {
    let blocks = packets.iter().map(|packet| packet.blocks.len()).sum();
    if blocks >= WORTH_SLICING || packets.iter().any(|packet| packet.cipher.always_slices()) {
        slice::with_width(blocks, OneBehindTheOther(packets));
    } else {
        packets.iter_mut().for_each(CbcDecrypt::rest);
    }
}

/// Each block a lane.
struct OneBehindTheOther<'a, 'b>(&'a mut [CbcDecrypt<'b>]);

impl Sliced for OneBehindTheOther<'_, '_> {
    fn run<W: Width>(self, width: W) {
        let lanes = BLOCKS_PER_WORD * W::Word::WORDS;
        let mut packets = self.0;
        loop {
            // The packets of this pass: all but the last are done with it.
            let (mut count, mut blocks, mut one_cipher) = (0, 0, true);
            for packet in packets.iter() {
                if blocks >= lanes {
                    break;
                }
                one_cipher &= core::ptr::eq(packet.cipher, packets[0].cipher);
                blocks += packet.blocks.len();
                count += 1;
            }
            let pass = &mut packets[..count];
            if blocks == 0 {
                return;
            }
            if blocks < WORTH_SLICING && !pass.iter().any(|packet| packet.cipher.always_slices()) {
                return pass.iter_mut().for_each(CbcDecrypt::rest);
            }
            let keys = if one_cipher {
                TripleKeys::same(width, pass[0].cipher.keys())
            } else {
                let of_packet = |packet: &CbcDecrypt<'_>| {
                    core::iter::repeat_n(packet.cipher.keys(), packet.blocks.len())
                };
                keys_of(width, pass.iter().flat_map(of_packet))
            };
            decrypt_pass(width, pass, &keys);
            // The last may have more than there were lanes for.
            packets = &mut packets[count - 1..];
        }
    }
}

/// Decrypts as many of the blocks of `packets` as there are lanes, and takes them off.
fn decrypt_pass<W: Width>(width: W, packets: &mut [CbcDecrypt<'_>], keys: &TripleKeys<W::Word>) {
    let lanes = BLOCKS_PER_WORD * W::Word::WORDS;
    let (mut rows, mut chained) = ([W::Word::splat(0); 64], [W::Word::splat(0); 64]);
    let mut lane = 0;
    for packet in packets.iter() {
        let mut before = packet.chained;
        for block in packet.blocks.iter().take(lanes - lane) {
            let (row, n) = (lane % BLOCKS_PER_WORD, lane / BLOCKS_PER_WORD);
            let block = u64::from_be_bytes(*block);
            rows[row].set_word(n, block);
            chained[row].set_word(n, before);
            before = block;
            lane += 1;
        }
    }
    slice::decrypt(width, &mut rows, keys);
    let mut lane = 0;
    for packet in packets {
        let taken = packet.blocks.len().min(lanes - lane);
        let (now, later) = core::mem::take(&mut packet.blocks).split_at_mut(taken);
        if let Some(last) = now.last() {
            packet.chained = u64::from_be_bytes(*last);
        }
        for block in now {
            let (row, n) = (lane % BLOCKS_PER_WORD, lane / BLOCKS_PER_WORD);
            *block = (rows[row].word(n) ^ chained[row].word(n)).to_be_bytes();
            lane += 1;
        }
        packet.blocks = later;
    }
}
