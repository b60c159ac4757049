//! Hashes and their HMACs against published answers.

#![cfg(feature = "rustcrypto")]

extern crate alloc;

mod known_answers;

use known_answers::{bytes, hash, hex, text, third_party_json};

/// The hash of "abc": RFC 1321 §A.5, FIPS 180-4's example messages.
#[test]
fn hash_of_abc() {
    let answers = [
        ("md5", "900150983cd24fb0d6963f7d28e17f72"),
        ("sha1", "a9993e364706816aba3e25717850c26c9cd0d89d"),
        ("sha256", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            "sha384",
            "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed
             8086072ba1e7cc2358baeca134c825a7",
        ),
        (
            "sha512",
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a
             2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        ),
    ];
    for (name, expected) in answers {
        let hash = hash(name);
        let expected = hex(expected);
        assert_eq!(hash.output_len(), expected.len());
        assert_eq!(hash.hash(&[b"abc"]).as_bytes(), expected, "{name}");
        // However it is cut into parts.
        assert_eq!(hash.hash(&[b"a", b"", b"bc"]).as_bytes(), expected, "{name}");
    }
}

/// RFC 2202 and RFC 4231: a key shorter than a block, and one longer than any block.
#[test]
fn prf_is_hmac() {
    let short = (&b"Jefe"[..], &b"what do ya want for nothing?"[..]);
    let long_2202 =
        (&[0xaa; 80][..], &b"Test Using Larger Than Block-Size Key - Hash Key First"[..]);
    let long_4231 = (&[0xaa; 131][..], long_2202.1);
    let answers = [
        ("md5", short, "750c783e6ab0b503eaa86e310a5db738"),
        ("md5", long_2202, "6b1ab7fe4bd7bf8f0b62e6ce61b9d0cd"),
        ("sha1", short, "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"),
        ("sha1", long_2202, "aa4ae5e15272d00e95705637ce8a3b55ed402112"),
        ("sha256", short, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
        ("sha256", long_4231, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"),
        (
            "sha384",
            short,
            "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e
             8e2240ca5e69e2c78b3239ecfab21649",
        ),
        (
            "sha384",
            long_4231,
            "4ece084485813e9088d2c63a041bc5b44f9ef1012a2b588f3cd11f05033ac4c6
             0c2ef6ab4030fe8296248df163f44952",
        ),
        (
            "sha512",
            short,
            "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554
             9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
        ),
        (
            "sha512",
            long_4231,
            "80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f352
             6b56d037e05f2598bd0fd2215d6a1e5295e64f73f63f0aec8b915a985d786598",
        ),
    ];
    for (name, (key, data), expected) in answers {
        let expected = hex(expected);
        assert_eq!(hash(name).prf(key, &[data]).as_bytes(), expected, "{name}");
        let (start, end) = data.split_at(5);
        assert_eq!(hash(name).prf(key, &[start, end]).as_bytes(), expected, "{name}");
    }
}

#[test]
fn verification_is_of_every_byte_and_the_length() {
    let digest = hash("sha1").hash(&[b"abc"]);
    assert!(digest.verify(digest.as_bytes()));
    assert!(!digest.verify(&digest.as_bytes()[..19]));
    assert!(!digest.verify(&[]));
    for at in 0..20 {
        let mut changed = digest.as_bytes().to_vec();
        changed[at] ^= 1;
        assert!(!digest.verify(&changed));
    }
    assert_eq!(format!("{digest:?}"), "Digest(..)");
}

#[test]
fn rfc_2202_all() {
    let Some(vectors) = third_party_json("rfc.json") else { return };
    let cases = vectors["hmac"].as_array().unwrap();
    assert_eq!(cases.len(), 14);
    for case in cases {
        let digest = hash(text(case, "alg")).prf(&bytes(case, "key"), &[&bytes(case, "data")]);
        assert_eq!(digest.as_bytes(), bytes(case, "digest"), "{case}");
    }
}

#[test]
fn wycheproof_hmac() {
    for (name, file, count) in [
        ("sha1", "wycheproof_hmac_sha1_test.json", 170),
        ("sha256", "wycheproof_hmac_sha256_test.json", 174),
    ] {
        let Some(vectors) = third_party_json(file) else { return };
        let mut cases = 0;
        for group in vectors["testGroups"].as_array().unwrap() {
            // Some groups cut the tag; ours is whole, and compared over the same length.
            let len = usize::try_from(group["tagSize"].as_u64().unwrap()).unwrap() / 8;
            for case in group["tests"].as_array().unwrap() {
                let digest = hash(name).prf(&bytes(case, "key"), &[&bytes(case, "msg")]);
                let same = digest.as_bytes()[..len] == bytes(case, "tag");
                assert_eq!(same, text(case, "result") == "valid", "{case}");
                cases += 1;
            }
        }
        assert_eq!(cases, count, "{file}");
    }
}
