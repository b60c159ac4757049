//! 3DES and AES in CBC mode against published answers, and the lengths they refuse.

#![cfg(feature = "rustcrypto")]

extern crate alloc;

mod known_answers;

use alloc::collections::BTreeMap;

use dmvpn_isakmp::crypto::{CipherError, EncryptionAlgorithm};
use known_answers::{PROVIDER, bytes, cipher, hex, text, third_party, third_party_json};

/// Encrypts and decrypts one case, in place.
#[track_caller]
fn both_ways(name: &str, key: &[u8], iv: &[u8], plaintext: &[u8], ciphertext: &[u8]) {
    let cipher = cipher(name, key.len());
    let mut data = plaintext.to_vec();
    cipher.encrypt(key, iv, &mut data).unwrap();
    assert_eq!(data, ciphertext);
    cipher.decrypt(key, iv, &mut data).unwrap();
    assert_eq!(data, plaintext);
}

/// NIST's TCBCMMT3, COUNT = 1; RFC 3602 §4 case 1; NIST SP 800-38A F.2.3 and F.2.5 (two blocks).
#[test]
fn one_answer_for_each_cipher() {
    both_ways(
        "3des",
        &hex("f4018c7ce9255da4 add5c2ec02ba8f4c 6115675d2a5ddc45"),
        &hex("c0371759df9fda68"),
        &hex("49057cc5ca4d844c97fc70dc2cb13132"),
        &hex("c817537ea90b0f0e926372c5469e1e22"),
    );
    both_ways(
        "aes",
        &hex("06a9214036b8a15b512e03d534120006"),
        &hex("3dafba429d9eb430b422da802c9fac41"),
        b"Single block msg",
        &hex("e353779c1079aeb82708942dbe77181a"),
    );
    let iv = hex("000102030405060708090a0b0c0d0e0f");
    let plaintext = hex("6bc1bee22e409f96e93d7e117393172a ae2d8a571e03ac9c9eb76fac45af8e51");
    both_ways(
        "aes",
        &hex("8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b"),
        &iv,
        &plaintext,
        &hex("4f021db243bc633d7178183a9fa071e8 b4d9ada9ad7dedf4e5e738763f69145a"),
    );
    both_ways(
        "aes",
        &hex("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4"),
        &iv,
        &plaintext,
        &hex("f58c4c04d6e5f1ba779eabfb5f7bfbd6 9cfc4e967edb808d679f777bc6702c7d"),
    );
}

#[test]
fn wrong_lengths_are_refused_and_change_nothing() {
    for cipher in PROVIDER.ciphers {
        let (key_len, block) = (cipher.key_len(), cipher.block_len());
        let (key, iv) = (vec![7; key_len], vec![9; block]);
        for have in [0, 1, block - 1, block + 1, 3 * block - 1] {
            let mut data = vec![5; have];
            let error = CipherError::PartialBlock { block, have };
            assert_eq!(cipher.encrypt(&key, &iv, &mut data), Err(error));
            assert_eq!(cipher.decrypt(&key, &iv, &mut data), Err(error));
            assert_eq!(data, vec![5; have]);
        }
        let mut data = vec![5; block];
        let error = CipherError::KeyLength { needed: key_len, have: key_len - 1 };
        assert_eq!(cipher.encrypt(&key[1..], &iv, &mut data), Err(error));
        let error = CipherError::IvLength { needed: block, have: block - 1 };
        assert_eq!(cipher.decrypt(&key, &iv[1..], &mut data), Err(error));
        assert_eq!(data, vec![5; block]);
    }
}

#[test]
fn a_cipher_is_found_by_its_attributes() {
    let triple_des = EncryptionAlgorithm::TRIPLE_DES_CBC;
    let aes = EncryptionAlgorithm::AES_CBC;
    assert_eq!(PROVIDER.cipher(triple_des, None).unwrap().key_len(), 24);
    assert!(PROVIDER.cipher(triple_des, Some(16)).is_none());
    for key_len in [16, 24, 32] {
        assert_eq!(PROVIDER.cipher(aes, Some(key_len)).unwrap().key_len(), key_len);
    }
    // AES without a key length names no cipher.
    assert!(PROVIDER.cipher(aes, None).is_none());
    assert!(PROVIDER.cipher(EncryptionAlgorithm::DES_CBC, None).is_none());
}

#[test]
fn nist_tcbcmmt3() {
    let Some(file) = third_party("nist_tdes_TCBCMMT3.fax") else { return };
    let mut cases = 0;
    let mut case = BTreeMap::new();
    for line in file.lines() {
        if let Some((name, value)) = line.split_once(" = ") {
            case.insert(name.to_owned(), value.trim().to_owned());
        } else if case.contains_key("CIPHERTEXT") {
            let key: Vec<u8> =
                ["KEY1", "KEY2", "KEY3"].iter().flat_map(|name| hex(&case[*name])).collect();
            let (plaintext, ciphertext) = (hex(&case["PLAINTEXT"]), hex(&case["CIPHERTEXT"]));
            both_ways("3des", &key, &hex(&case["IV"]), &plaintext, &ciphertext);
            case.clear();
            cases += 1;
        }
    }
    assert_eq!(cases + usize::from(case.contains_key("CIPHERTEXT")), 20);
}

/// RFC 3602 §4, cases 1 to 4.
#[test]
fn rfc_3602() {
    let Some(vectors) = third_party_json("rfc.json") else { return };
    let mut cases = 0;
    for case in &vectors["rfc3602_text"].as_array().unwrap()[..4] {
        let field = |name: &str| {
            let start = text(case, "text").split_once(name).unwrap().1;
            let value = start.split_once(": ").unwrap().1;
            let value = value.split(['K', 'I', 'P', 'C']).next().unwrap().trim();
            match value.strip_prefix('"') {
                Some(_) => None,
                None => Some(hex(value.strip_prefix("0x").unwrap())),
            }
        };
        let (key, iv) = (field("Key").unwrap(), field("IV").unwrap());
        let quoted = text(case, "text").split('"').nth(1).map(|quoted| quoted.as_bytes().to_vec());
        let plaintext = quoted.or_else(|| field("Plaintext")).unwrap();
        both_ways("aes", &key, &iv, &plaintext, &field("Ciphertext").unwrap());
        cases += 1;
    }
    assert_eq!(cases, 4);
}

/// The padding is not ours: it is put on here for valid cases, the others are about padding only.
#[test]
fn wycheproof_aes_cbc() {
    let Some(vectors) = third_party_json("wycheproof_aes_cbc_pkcs5_test.json") else { return };
    let mut cases = 0;
    for group in vectors["testGroups"].as_array().unwrap() {
        for case in group["tests"].as_array().unwrap() {
            if text(case, "result") != "valid" {
                continue;
            }
            let mut plaintext = bytes(case, "msg");
            let padding = 16 - plaintext.len() % 16;
            plaintext.extend(core::iter::repeat_n(u8::try_from(padding).unwrap(), padding));
            let (key, iv) = (bytes(case, "key"), bytes(case, "iv"));
            both_ways("aes", &key, &iv, &plaintext, &bytes(case, "ct"));
            cases += 1;
        }
    }
    assert_eq!(cases, 72);
}
