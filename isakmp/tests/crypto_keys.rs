//! The derivations of RFC 2409 against NIST's and others' answers. `recorded_derivations.rs` has
//! the answers that are in the repository.

#![cfg(feature = "rustcrypto")]

extern crate alloc;

mod known_answers;

use alloc::collections::BTreeMap;

use dmvpn_isakmp::crypto::{
    Digest, Iv, KeyMaterialInput, Phase1Public, Secret, SharedSecret, Skeyid,
};
use known_answers::{bytes, cipher, cookie, hash, hex, text, third_party_json};

#[test]
fn nist_ikev1_kdf() {
    let Some(vectors) = third_party_json("nist_ikev1_kdf.json") else { return };
    let mut cases = BTreeMap::new();
    for kind in ["psk", "dsa"] {
        for case in vectors[kind].as_array().unwrap() {
            let prf = hash(text(case, "hash"));
            let (nonce_i, nonce_r) = (bytes(case, "Ni"), bytes(case, "Nr"));
            let g_xy = SharedSecret::new(bytes(case, "g^xy"));
            let skeyid = if kind == "psk" {
                Skeyid::pre_shared_key(prf, &bytes(case, "pre-shared-key"), &nonce_i, &nonce_r)
            } else {
                Skeyid::signatures(prf, &nonce_i, &nonce_r, &g_xy)
            };
            assert_eq!(skeyid.dangerous_skeyid(), bytes(case, "SKEYID"), "{case}");
            let keys = skeyid.session_keys(
                &g_xy,
                cookie(text(case, "CKY_I")),
                cookie(text(case, "CKY_R")),
            );
            assert_eq!(keys.dangerous_skeyid_d(), bytes(case, "SKEYID_d"), "{case}");
            assert_eq!(keys.dangerous_skeyid_a(), bytes(case, "SKEYID_a"), "{case}");
            assert_eq!(keys.dangerous_skeyid_e(), bytes(case, "SKEYID_e"), "{case}");
            *cases.entry(kind).or_insert(0) += 1;
        }
    }
    assert_eq!(cases, BTreeMap::from([("psk", 170), ("dsa", 170)]));
}

#[test]
fn ike_scan_hash_r() {
    let Some(vectors) = third_party_json("ikev1_psk_hash_r.json") else { return };
    for case in vectors.as_array().unwrap() {
        let hash_r = bytes(case, "hash_r");
        let prf = hash(if hash_r.len() == 16 { "md5" } else { "sha1" });
        let psk = text(case, "psk").as_bytes();
        let skeyid = Skeyid::pre_shared_key(prf, psk, &bytes(case, "ni_b"), &bytes(case, "nr_b"));
        assert_eq!(skeyid.dangerous_skeyid(), bytes(case, "skeyid"));
        let public = Phase1Public {
            g_xi: &bytes(case, "g_xi"),
            g_xr: &bytes(case, "g_xr"),
            cookie_i: cookie(text(case, "cky_i")),
            cookie_r: cookie(text(case, "cky_r")),
            sai_b: &bytes(case, "sai_b"),
        };
        assert!(skeyid.hash_r(&public, &bytes(case, "idir_b")).verify(&hash_r), "{case}");
    }
    assert_eq!(vectors.as_array().unwrap().len(), 5);
}

/// SHA-1 with AES-128: SKEYID_e is cut, not expanded.
#[test]
fn session_secrets() {
    let Some(vectors) = third_party_json("ikev1_session_secrets.json") else { return };
    let mut key_material = 0;
    for case in vectors.as_array().unwrap() {
        let prf = hash("sha1");
        let psk = text(case, "psk").as_bytes();
        let (g_xi, g_xr) = (bytes(case, "ke_i"), bytes(case, "ke_r"));
        let (cookie_i, cookie_r) = (cookie(text(case, "cky_i")), cookie(text(case, "cky_r")));
        let skeyid = Skeyid::pre_shared_key(prf, psk, &bytes(case, "ni"), &bytes(case, "nr"));
        assert_eq!(skeyid.dangerous_skeyid(), bytes(case, "skeyid"));
        let keys = skeyid.session_keys(&SharedSecret::new(bytes(case, "g_xy")), cookie_i, cookie_r);
        assert_eq!(keys.dangerous_skeyid_d(), bytes(case, "skeyid_d"));
        assert_eq!(keys.dangerous_skeyid_a(), bytes(case, "skeyid_a"));
        assert_eq!(keys.dangerous_skeyid_e(), bytes(case, "skeyid_e"));
        let aes = cipher("aes", 16);
        assert_eq!(keys.encryption_key(aes).dangerous_key(), &bytes(case, "skeyid_e")[..16]);
        assert_eq!(Iv::phase_1(prf, aes, &g_xi, &g_xr).as_bytes(), bytes(case, "iv1"));
        let sai_b = bytes(case, "sai_b");
        let public = Phase1Public { g_xi: &g_xi, g_xr: &g_xr, cookie_i, cookie_r, sai_b: &sai_b };
        assert!(skeyid.hash_r(&public, &bytes(case, "idir_b")).verify(&bytes(case, "hash_r")));

        for direction in ["in", "out"] {
            let Some(spi) = case[format!("spi_{direction}")].as_str() else { continue };
            let expected = bytes(case, &format!("keymat_{direction}"));
            let input = KeyMaterialInput {
                g_xy: None,
                protocol: 3,
                spi: u32::from_str_radix(spi, 16).unwrap(),
                nonce_i: &bytes(case, "qm_ni"),
                nonce_r: &bytes(case, "qm_nr"),
            };
            assert_eq!(keys.key_material(&input, expected.len()).dangerous_bytes(), expected);
            key_material += 1;
        }
    }
    assert_eq!(key_material, 2);
}

/// Whatever length is asked for, it is a prefix of the longer ones.
#[test]
fn key_material_of_any_length() {
    let keys = Skeyid::from_digest(hash("md5"), Digest::new(&[1; 16])).session_keys(
        &SharedSecret::new(vec![2; 96]),
        [3; 8],
        [4; 8],
    );
    let input =
        KeyMaterialInput { g_xy: None, protocol: 3, spi: 5, nonce_i: &[6; 20], nonce_r: &[7; 20] };
    let long = keys.key_material(&input, 300);
    assert_eq!(long.len(), 300);
    for len in [0, 1, 15, 16, 17, 96, 299] {
        assert_eq!(
            keys.key_material(&input, len).dangerous_bytes(),
            &long.dangerous_bytes()[..len]
        );
    }
}

/// The chain moves only when its owner keeps the next IV.
#[test]
fn a_refused_message_leaves_the_chain() {
    let keys = Skeyid::from_digest(hash("sha1"), Digest::new(&[1; 20])).session_keys(
        &SharedSecret::new(vec![2; 96]),
        [3; 8],
        [4; 8],
    );
    let key = keys.encryption_key(cipher("3des", 24));
    let iv = Iv::phase_1(hash("sha1"), key.cipher(), &[5; 96], &[6; 96]);
    let before = iv.clone();
    let mut forged = vec![0x55; 32];
    let after_forgery = key.decrypt(&iv, &mut forged).unwrap();
    assert_eq!(after_forgery.as_bytes(), [0x55; 8]);
    assert_eq!(iv, before);
    assert!(key.decrypt(&iv, &mut [0; 31]).is_err());

    let mut first = b"sixteen byte msg".to_vec();
    let next = key.encrypt(&iv, &mut first).unwrap();
    assert_eq!(next.as_bytes(), &first[8..]);
    assert_eq!(key.decrypt(&iv, &mut first).unwrap(), next);
    assert_eq!(first, b"sixteen byte msg");
    assert_eq!([0, 1, 8, 9].map(|len| key.padded_len(len)), [0, 8, 8, 16]);
}

#[test]
fn secrets_do_not_print() {
    let skeyid = Skeyid::pre_shared_key(hash("sha1"), b"cisco123", &[1; 20], &[2; 20]);
    let shared = SharedSecret::new(hex("deadbeef"));
    let keys = skeyid.session_keys(&shared, [0; 8], [0; 8]);
    assert_eq!(format!("{skeyid:?}"), "Skeyid { prf: SHA-1, .. }");
    assert_eq!(format!("{keys:?}"), "SessionKeys { prf: SHA-1, .. }");
    assert_eq!(
        format!("{:?}", keys.encryption_key(cipher("aes", 16))),
        "EncryptionKey { cipher: AES-CBC (16 byte key), .. }"
    );
    assert_eq!(format!("{shared:?}"), "SharedSecret(..)");
    assert_eq!(format!("{:?}", Secret::new(vec![1, 2])), "Secret(..)");
}
