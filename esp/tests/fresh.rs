//! IVs do not come twice: drawn for CBC, counted for GCM, over a million packets and a restart.

mod support;

use chacha20::ChaCha20Rng;
use chacha20::rand_core::SeedableRng;
use dmvpn_esp::{Encryption, Integrity, Mode, NextHeader, Transform};
use support::{config, pair};

const DRAWS: usize = 1_000_000;

/// The IVs of so many packets of an association, with a generator from this seed.
fn ivs(transform: Transform, seed: u64, count: usize) -> Vec<u128> {
    let (mut out, _) = pair(&config(transform, Mode::Transport), transform);
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let len = transform.encryption().iv_len();
    let start = out.headroom();
    let mut buffer = vec![0; start + 1 + out.tailroom(1)];
    (0..count)
        .map(|_| {
            let packet =
                out.seal(&mut rng, NextHeader::GRE, &mut buffer, start..start + 1).unwrap();
            let mut iv = [0; 16];
            iv[..len].copy_from_slice(&buffer[packet][8..8 + len]);
            u128::from_be_bytes(iv)
        })
        .collect()
}

fn assert_distinct(mut ivs: Vec<u128>) {
    let drawn = ivs.len();
    ivs.sort_unstable();
    ivs.dedup();
    assert_eq!(ivs.len(), drawn);
}

#[test]
fn drawn_ivs_do_not_come_twice() {
    let transform = Transform::new(Encryption::AesCbc128, Some(Integrity::HmacSha1)).unwrap();
    let before = ivs(transform, 1, DRAWS / 2);
    // After a restart the embedder's generator has another seed.
    let after = ivs(transform, 2, DRAWS / 2);
    assert_distinct([before, after].concat());
}

/// 3DES has IVs of eight octets: among few enough none comes twice.
#[test]
fn short_ivs_do_not_come_twice() {
    let transform = Transform::ESP_3DES_SHA;
    assert_distinct([ivs(transform, 1, 50_000), ivs(transform, 2, 50_000)].concat());
}

/// GCM's are the sequence number, which an association never uses twice; a restart has a new key.
#[test]
fn counted_ivs_do_not_come_twice() {
    let ivs = ivs(Transform::ESP_GCM_256, 1, 100_000);
    assert!(ivs.windows(2).all(|pair| pair[0] < pair[1]));
}
