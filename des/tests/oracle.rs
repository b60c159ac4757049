//! Equal to RustCrypto's `des`, whichever way the blocks are done.

use cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use dmvpn_des::{CbcDecrypt, CbcEncrypt, TripleDes, cbc_decrypt_batch, cbc_encrypt_batch};
use proptest::prelude::*;

fn oracle(key: &[u8; 24], blocks: &[[u8; 8]], encrypt: bool) -> Vec<[u8; 8]> {
    let des = des::TdesEde3::new(key.into());
    blocks
        .iter()
        .map(|&block| {
            let mut block = block.into();
            if encrypt {
                des.encrypt_block(&mut block);
            } else {
                des.decrypt_block(&mut block);
            }
            block.into()
        })
        .collect()
}

fn oracle_cbc(key: &[u8; 24], iv: [u8; 8], data: &[u8]) -> Vec<u8> {
    let mut chained = iv;
    data.chunks(8)
        .flat_map(|block| {
            let mixed: Vec<u8> = block.iter().zip(chained).map(|(a, b)| a ^ b).collect();
            chained = oracle(key, &[mixed.try_into().unwrap()], true)[0];
            chained
        })
        .collect()
}

/// Lengths around each border between tables, words and passes.
const LENGTHS: [usize; 19] =
    [0, 1, 3, 4, 5, 27, 28, 29, 63, 64, 65, 127, 128, 129, 175, 255, 256, 257, 300];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn blocks_are_the_oracles(key: [u8; 24], blocks in proptest::collection::vec(any::<[u8; 8]>(), 300)) {
        for len in LENGTHS {
            let blocks = &blocks[..len];
            for cipher in [TripleDes::new(&key), TripleDes::new(&key).constant_time()] {
                let mut ours = blocks.to_vec();
                cipher.encrypt_blocks(&mut ours);
                prop_assert_eq!(&ours, &oracle(&key, blocks, true));
                cipher.decrypt_blocks(&mut ours);
                prop_assert_eq!(&ours, blocks);
                cipher.decrypt_blocks(&mut ours);
                prop_assert_eq!(&ours, &oracle(&key, blocks, false));
            }
        }
    }

    #[test]
    fn chained_blocks_are_the_oracles(key: [u8; 24], iv: [u8; 8], data in proptest::collection::vec(any::<u8>(), 8 * 300)) {
        for len in LENGTHS {
            let data = &data[..8 * len];
            let expected = oracle_cbc(&key, iv, data);
            let cipher = TripleDes::new(&key);
            let mut ours = data.to_vec();
            cipher.cbc_encrypt(iv, &mut ours).unwrap();
            prop_assert_eq!(&ours, &expected);
            cipher.cbc_decrypt(iv, &mut ours).unwrap();
            prop_assert_eq!(ours, data);
        }
    }

    /// Of one cipher, of many; of one length, of many; some in constant time.
    #[test]
    fn a_batch_is_the_loop(
        keys in proptest::collection::vec(any::<[u8; 24]>(), 1..4),
        packets in proptest::collection::vec((any::<[u8; 8]>(), 0usize..4, 0usize..12, any::<u8>()), 0..300),
        constant_time: bool,
    ) {
        let ciphers: Vec<TripleDes> = keys.iter().map(TripleDes::new).collect();
        let ciphers: Vec<TripleDes> = ciphers
            .into_iter()
            .enumerate()
            .map(|(n, cipher)| if constant_time && n % 2 == 0 { cipher.constant_time() } else { cipher })
            .collect();
        let cipher = |n: usize| n % keys.len();
        let mut data: Vec<Vec<u8>> = packets.iter().map(|&(_, _, blocks, fill)| (0..8 * blocks).map(|i| fill.wrapping_mul(i as u8)).collect()).collect();
        let expected: Vec<Vec<u8>> = packets.iter().zip(&data).map(|(&(iv, n, ..), data)| oracle_cbc(&keys[cipher(n)], iv, data)).collect();
        let mut jobs: Vec<CbcEncrypt<'_>> = packets
            .iter()
            .zip(&mut data)
            .map(|(&(iv, n, ..), data)| CbcEncrypt::new(&ciphers[cipher(n)], iv, data).unwrap())
            .collect();
        cbc_encrypt_batch(&mut jobs);
        prop_assert_eq!(&data, &expected);

        // Long ones too, which are not done in one pass.
        let sealed: Vec<Vec<u8>> = data.into_iter().enumerate().map(|(n, data)| data.repeat(if n % 50 == 7 { 40 } else { 1 })).collect();
        let mut alone = sealed.clone();
        for (&(iv, n, ..), data) in packets.iter().zip(&mut alone) {
            ciphers[cipher(n)].cbc_decrypt(iv, data).unwrap();
        }
        let mut together = sealed;
        let mut jobs: Vec<CbcDecrypt<'_>> = packets
            .iter()
            .zip(&mut together)
            .map(|(&(iv, n, ..), data)| CbcDecrypt::new(&ciphers[cipher(n)], iv, data).unwrap())
            .collect();
        cbc_decrypt_batch(&mut jobs);
        prop_assert_eq!(together, alone);
    }
}

/// The modes of the crate `cbc` work on it unchanged.
#[test]
fn rustcryptos_cbc_takes_it() {
    use cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};
    let (key, iv) = ([0x5a; 24], [7; 8]);
    let data: Vec<u8> = (0..8 * 150).map(|i| i as u8).collect();
    let mut blocks: Vec<cipher::Array<u8, cipher::consts::U8>> =
        data.as_chunks::<8>().0.iter().map(|&block| block.into()).collect();
    cbc::Encryptor::<TripleDes>::new(&key.into(), &iv.into()).encrypt_blocks(&mut blocks);
    assert_eq!(blocks.concat(), oracle_cbc(&key, iv, &data));
    cbc::Decryptor::<TripleDes>::new(&key.into(), &iv.into()).decrypt_blocks(&mut blocks);
    assert_eq!(blocks.concat(), data);
}

#[test]
fn what_is_no_whole_block_is_refused_untouched() {
    let cipher = TripleDes::new(&[1; 24]);
    for len in [1, 7, 9, 255] {
        let mut data = vec![3; len];
        let refused = dmvpn_des::NotWholeBlocks { len };
        assert_eq!(cipher.cbc_encrypt([0; 8], &mut data), Err(refused));
        assert_eq!(cipher.cbc_decrypt([0; 8], &mut data), Err(refused));
        assert_eq!(CbcEncrypt::new(&cipher, [0; 8], &mut data).map(|_| ()), Err(refused));
        assert_eq!(CbcDecrypt::new(&cipher, [0; 8], &mut data).map(|_| ()), Err(refused));
        assert_eq!(data, vec![3; len]);
    }
}

#[test]
fn debug_shows_no_secret() {
    let cipher = TripleDes::new(b"secret secret secret 123");
    let mut data = *b"plaintext of one";
    assert_eq!(format!("{cipher:?}"), "TripleDes(..)");
    let packet = CbcEncrypt::new(&cipher, [0; 8], &mut data).unwrap();
    assert_eq!(format!("{packet:?}"), "CbcEncrypt { blocks: 2, .. }");
    let packet = CbcDecrypt::new(&cipher, [0; 8], &mut data).unwrap();
    assert_eq!(format!("{packet:?}"), "CbcDecrypt { blocks: 2, .. }");
}
