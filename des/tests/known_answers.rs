//! Answers from outside.

extern crate alloc;

use std::io::{self, Write as _};

use dmvpn_des::TripleDes;
use hex_literal::hex;

/// NIST SP 800-67 Rev. 1, appendix B.1 (three keys, ECB), by each way of doing it.
#[test]
fn nist_sp_800_67() {
    let key = hex!("0123456789abcdef 23456789abcdef01 456789abcdef0123");
    let plain = *b"The qufck brown fox jump";
    let sealed = hex!("a826fd8ce53b855f cce21c8112256fe6 68d5c05dd9b6b900");
    for cipher in both_ways(key) {
        for copies in [1, 30, 100] {
            let mut blocks: Vec<[u8; 8]> = plain.repeat(copies).as_chunks().0.to_vec();
            cipher.encrypt_blocks(&mut blocks);
            assert_eq!(blocks.concat(), sealed.repeat(copies));
            cipher.decrypt_blocks(&mut blocks);
            assert_eq!(blocks.concat(), plain.repeat(copies));
        }
    }
}

/// With three equal keys it is DES: the worked example of J. Orlin Grabbe, "The DES Algorithm Illustrated".
#[test]
fn three_equal_keys_are_des() {
    let key = hex!("133457799bbcdff1").repeat(3);
    let cipher = TripleDes::new(&key.try_into().unwrap());
    let mut block = [hex!("0123456789abcdef")];
    cipher.encrypt_blocks(&mut block);
    assert_eq!(block, [hex!("85e813540f0ab405")]);
}

/// NIST's known answers, some of each file (CAVP, `KAT_TDES.zip`: `TCBCvartext.rsp` and its like, whose IV is zero): key, plaintext, ciphertext.
const KNOWN_ANSWERS: [(&str, &[[[u8; 8]; 3]]); 5] = [
    (
        "vartext",
        &[
            [hex!("0101010101010101"), hex!("8000000000000000"), hex!("95f8a5e5dd31d900")],
            [hex!("0101010101010101"), hex!("4000000000000000"), hex!("dd7f121ca5015619")],
            [hex!("0101010101010101"), hex!("0020000000000000"), hex!("b8061b7ecd9a21e5")],
            [hex!("0101010101010101"), hex!("0000200000000000"), hex!("e19e275d846a1298")],
            [hex!("0101010101010101"), hex!("0000000100000000"), hex!("aeb5f5ede22d1a36")],
            [hex!("0101010101010101"), hex!("0000000000000001"), hex!("166b40b44aba4bd6")],
        ],
    ),
    (
        "invperm",
        &[
            [hex!("0101010101010101"), hex!("95f8a5e5dd31d900"), hex!("8000000000000000")],
            [hex!("0101010101010101"), hex!("dd7c0bbd61fafd54"), hex!("0000000000000100")],
            [hex!("0101010101010101"), hex!("166b40b44aba4bd6"), hex!("0000000000000001")],
        ],
    ),
    (
        "varkey",
        &[
            [hex!("8001010101010101"), hex!("0000000000000000"), hex!("95a8d72813daa94d")],
            [hex!("4001010101010101"), hex!("0000000000000000"), hex!("0eec1487dd8c26d5")],
            [hex!("0110010101010101"), hex!("0000000000000000"), hex!("dfdd3cc64dae1642")],
            [hex!("0101080101010101"), hex!("0000000000000000"), hex!("882bff0aa01a0b87")],
            [hex!("0101010110010101"), hex!("0000000000000000"), hex!("9db73b3c0d163f54")],
            [hex!("0101010101010102"), hex!("0000000000000000"), hex!("869efd7f9f265a09")],
        ],
    ),
    (
        "permop",
        &[
            [hex!("1046913489980131"), hex!("0000000000000000"), hex!("88d55e54f54c97b4")],
            [hex!("1007103489988020"), hex!("0000000000000000"), hex!("0c0cc00c83ea48fd")],
            [hex!("10079115b9080140"), hex!("0000000000000000"), hex!("00b588be70d23f56")],
            [hex!("0107910491190101"), hex!("0000000000000000"), hex!("b46604816c0e0774")],
            [hex!("1002911698100101"), hex!("0000000000000000"), hex!("1aeac39a61f0a464")],
        ],
    ),
    (
        "subtab",
        &[
            [hex!("7ca110454a1a6e57"), hex!("01a1d6d039776742"), hex!("690f5b0d9a26939b")],
            [hex!("0131d9619dc1376e"), hex!("5cd54ca83def57da"), hex!("7a389d10354bd271")],
            [hex!("37d06bb516cb7546"), hex!("164d5e404f275232"), hex!("0a2aeeae3ff4ab77")],
            [hex!("1c587f1c13924fef"), hex!("305532286d6f295a"), hex!("63fac0d034d9f793")],
        ],
    ),
];

/// With three equal keys, which make DES of it.
#[test]
fn nist_known_answers() {
    for (file, answers) in KNOWN_ANSWERS {
        for [key, plain, sealed] in answers {
            for cipher in both_ways(key.repeat(3).try_into().unwrap()) {
                for copies in [1, 4, 28, 65] {
                    let mut blocks = vec![*plain; copies];
                    cipher.encrypt_blocks(&mut blocks);
                    assert_eq!(blocks, vec![*sealed; copies], "{file}");
                    cipher.decrypt_blocks(&mut blocks);
                    assert_eq!(blocks, vec![*plain; copies], "{file}");
                }
            }
        }
    }
}

/// NIST's multi-block messages with three keys (CAVP `TECBMMT3`, encryption 1 and 2): key, plaintext, ciphertext.
#[test]
fn nist_multi_block_messages() {
    for (key, plain, sealed) in [
        (
            hex!("49e692290d2a5e46 bace79b9648a4c5d 491004c262dc9d49"),
            &hex!("6b1540781b01ce1997adae102dbf3c5b")[..],
            &hex!("4d0dc182d6e481ac4a3dc6ab6976ccae")[..],
        ),
        (
            hex!("c16189f43451196b fb4c438580c20408 571f0d5e4a586491"),
            &hex!("dd9a97741093334bd0c9761105cfb79cc3bac34a7c85bd8a"),
            &hex!("d2f3f1d32a9ea09b5acb589c41a07320fb8d33a2fc2b0ed2"),
        ),
    ] {
        for cipher in both_ways(key) {
            let mut blocks = plain.as_chunks().0.to_vec();
            cipher.encrypt_blocks(&mut blocks);
            assert_eq!(blocks.as_flattened(), sealed);
            cipher.decrypt_blocks(&mut blocks);
            assert_eq!(blocks.as_flattened(), plain);
        }
    }
}

/// The same for CBC (CAVP `TCBCMMT3`, encryption 9, decryption 1 and 2): key, IV, plaintext, ciphertext.
#[test]
fn nist_chained_messages() {
    for (key, iv, plain, sealed) in [
        (
            hex!("9b162a0df8ad9b61 c88676e3d5864345 70b902f12a2046e0"),
            hex!("ebd6fefe029ad54b"),
            &hex!(
                "f4c1c918e77355c8156f0fd778da52bff121ae5f2f44eaf4d2754946d0e10d1f18ce3a0176e69c18"
                "b7d20b6e0d0bee5eb5edfe4bd60e4d92adcd86bce72e76f94ee5cbcaa8b01cfddcea2ade575e66ac"
            )[..],
            &hex!(
                "1ff3c8709f403a8eff291aedf50c010df5c5ff64a8b205f1fce68564798897a390db16ee0d053856"
                "b75898009731da290fcc119dad987277aacef694872e880c4bb41471063fae05c89f25e4bd0cad6a"
            )[..],
        ),
        (
            hex!("5b1cce7c0dc1ec49 130dfb4af45785ab 9179e567f2c7d549"),
            hex!("3982bc02c3727d45"),
            &hex!("edae09288e9e3bc05746d872b48e3b29"),
            &hex!("6006f10adef52991fcc777a1238bbb65"),
        ),
        (
            hex!("254acb647907adba 1ad5ef7a43e383cd cd588975759e5292"),
            hex!("5857f24bed725646"),
            &hex!("64cc69a4f2b9877dad558bd7b5e6a78268e4978bb39845a1"),
            &hex!("d4342af5c33adcd67c3e89e64241bbd8131e78ec38c8715c"),
        ),
    ] {
        for cipher in both_ways(key) {
            let mut data = plain.to_vec();
            cipher.cbc_encrypt(iv, &mut data).unwrap();
            assert_eq!(data, sealed);
            cipher.cbc_decrypt(iv, &mut data).unwrap();
            assert_eq!(data, plain);
        }
    }
}

/// NIST's Monte Carlo test for CBC with three keys (`usnistgov/ACVP-Server`, `ACVP-TDES-CBC-1.0`): ten thousand blocks, each made of those
/// before. The last two of the four hundred of `tcId` 689, encryption: each begins with what the one before ended with.
#[test]
fn nist_monte_carlo_encryption() {
    for (key, iv, plain, sealed) in [
        (
            hex!("df7cc4c17f372534 625b15dc461fe386 f72332d6cba8fb31"),
            hex!("a98adeacaca3a4d6"),
            hex!("53334d9e07bbb62f"),
            hex!("3d5691b7f256ef4d"),
        ),
        (
            hex!("e32a54768c61cb79 52b0f792f1498916 4320cdb997923476"),
            hex!("3d5691b7f256ef4d"),
            hex!("30eae24fb6566b90"),
            hex!("b43dfd0e70e1ccae"),
        ),
    ] {
        for cipher in both_ways(key) {
            let (mut before, mut block) = (iv, plain);
            for _ in 0..10_000 {
                let given = before;
                let mut data = block;
                cipher.cbc_encrypt(given, &mut data).unwrap();
                (before, block) = (data, given);
            }
            assert_eq!(before, sealed);
        }
    }
}

/// The first two of `tcId` 690, decryption.
#[test]
fn nist_monte_carlo_decryption() {
    for (key, iv, sealed, plain) in [
        (
            hex!("67494f9dc78feafe 52c225d30497a426 6da82c07858c914f"),
            hex!("d097cc53c0dafaad"),
            hex!("fae89ca4498b2249"),
            hex!("a88c11ae027e49ba"),
        ),
        (
            hex!("cec45e32c4f1a245 6b5d7a5d57378326 9ebc9e752caddce5"),
            hex!("389e5e8e52a02600"),
            hex!("a88c11ae027e49ba"),
            hex!("7ed0430bfa948a9b"),
        ),
    ] {
        for cipher in both_ways(key) {
            let (mut before, mut block) = (iv, sealed);
            for _ in 0..10_000 {
                let given = block;
                cipher.cbc_decrypt(before, &mut block).unwrap();
                before = given;
            }
            assert_eq!(block, plain);
        }
    }
}

fn both_ways(key: [u8; 24]) -> [TripleDes; 2] {
    let cipher = TripleDes::new(&key);
    [cipher.clone(), cipher.constant_time()]
}

/// NIST's file `TCBCMMT3`, all of it, where it is beside this repository.
#[test]
fn nist_chained_messages_of_the_file() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/vectors/nist_tdes_TCBCMMT3.fax");
    let Ok(text) = std::fs::read_to_string(path) else {
        let _ =
            writeln!(io::stderr(), "SKIP: nist_tdes_TCBCMMT3.fax is not beside this repository");
        return;
    };
    let mut fields = alloc::collections::BTreeMap::new();
    let mut encrypts = true;
    let mut checked = 0;
    for line in text.lines().chain(["COUNT = "]) {
        if line.starts_with('[') {
            check(&fields, encrypts, &mut checked);
            fields.clear();
            encrypts = line == "[ENCRYPT]";
        } else if let Some((name, value)) = line.split_once(" = ") {
            if name == "COUNT" {
                check(&fields, encrypts, &mut checked);
                fields.clear();
            }
            fields.insert(name, value);
        }
    }
    assert_eq!(checked, 20);
}

fn check(fields: &alloc::collections::BTreeMap<&str, &str>, encrypts: bool, checked: &mut usize) {
    let Some(plain) = fields.get("PLAINTEXT") else { return };
    let key = ["KEY1", "KEY2", "KEY3"].map(|name| bytes(fields[name])).concat();
    let iv: [u8; 8] = bytes(fields["IV"]).try_into().unwrap();
    let (plain, sealed) = (bytes(plain), bytes(fields["CIPHERTEXT"]));
    for cipher in both_ways(key.try_into().unwrap()) {
        if encrypts {
            let mut data = plain.clone();
            cipher.cbc_encrypt(iv, &mut data).unwrap();
            assert_eq!(data, sealed);
        } else {
            let mut data = sealed.clone();
            cipher.cbc_decrypt(iv, &mut data).unwrap();
            assert_eq!(data, plain);
        }
    }
    *checked += 1;
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len() / 2).map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap()).collect()
}
