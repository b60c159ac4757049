//! The algorithms alone, through the provider.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

mod support;

use dmvpn_esp::crypto::{Fault, Provider, RustCrypto, Unsupported};
use dmvpn_esp::{Encryption, Integrity, Mode, NextHeader, OutboundSa, SaConfig, Spi, Transform};
use hex_literal::hex;
use serde_json::Value;
use support::{providers, seal_with_iv, shared, unhex};

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("{name} in {value}"))
}

fn mac(algorithm: Integrity, key: &[u8], data: &[u8], len: usize) -> Vec<u8> {
    let mac = RustCrypto.mac(algorithm, key).unwrap();
    let mut icv = vec![0; len];
    // In two parts, as with extended sequence numbers.
    let (left, right) = data.split_at(data.len() / 3);
    mac.sign([left, right], &mut icv).unwrap();
    assert_eq!(mac.verify([data, &[]], &icv), Ok(true));
    icv
}

/// RFC 2202 §2 and §3, case 2; RFC 4231 §4.3.
#[test]
fn hmac_of_the_rfcs() {
    let data = b"what do ya want for nothing?";
    let hmac = |algorithm, len| mac(algorithm, b"Jefe", data, len);
    assert_eq!(hmac(Integrity::HmacMd5, 16), hex!("750c783e6ab0b503eaa86e310a5db738"));
    assert_eq!(hmac(Integrity::HmacSha1, 20), hex!("effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"));
    assert_eq!(hmac(Integrity::HmacSha256, 16), hex!("5bdcc146bf60754e6a042426089575c7"));
    assert_eq!(hmac(Integrity::HmacSha384, 8), hex!("af45d2e376484031"));
    assert_eq!(hmac(Integrity::HmacSha512, 8), hex!("164b7a7bfcf819e2"));
}

#[test]
fn all_of_rfc_2202() {
    let Some(file) = shared("rfc.json") else { return };
    let file: Value = serde_json::from_str(&file).unwrap();
    let cases = file["hmac"].as_array().unwrap();
    assert_eq!(cases.len(), 14);
    for case in cases {
        let algorithm = match text(case, "alg") {
            "md5" => Integrity::HmacMd5,
            "sha1" => Integrity::HmacSha1,
            other => panic!("{other}"),
        };
        let digest = unhex(text(case, "digest"));
        let (key, data) = (unhex(text(case, "key")), unhex(text(case, "data")));
        assert_eq!(mac(algorithm, &key, &data, digest.len()), digest);
        assert_eq!(mac(algorithm, &key, &data, 12), digest[..12]);
    }
}

#[test]
fn wycheproof_hmac() {
    for (name, algorithm) in [
        ("wycheproof_hmac_sha1_test.json", Integrity::HmacSha1),
        ("wycheproof_hmac_sha256_test.json", Integrity::HmacSha256),
    ] {
        let Some(file) = shared(name) else { return };
        let file: Value = serde_json::from_str(&file).unwrap();
        let mut run = 0;
        for group in file["testGroups"].as_array().unwrap() {
            for case in group["tests"].as_array().unwrap() {
                let mac = RustCrypto.mac(algorithm, &unhex(text(case, "key"))).unwrap();
                let (message, tag) = (unhex(text(case, "msg")), unhex(text(case, "tag")));
                let valid = text(case, "result") == "valid";
                assert_eq!(mac.verify([&message, &[]], &tag), Ok(valid), "{case}");
                run += 1;
            }
        }
        assert_eq!(run, file["numberOfTests"].as_u64().unwrap());
    }
}

#[test]
fn wycheproof_gcm() {
    for provider in providers() {
        wycheproof_gcm_by(&*provider);
    }
}

fn wycheproof_gcm_by(provider: &dyn Provider) {
    let Some(file) = shared("wycheproof_aes_gcm_test.json") else { return };
    let file: Value = serde_json::from_str(&file).unwrap();
    let (mut run, mut refused) = (0, 0);
    for group in file["testGroups"].as_array().unwrap() {
        // RFC 4106 has 12-byte nonces and 16-byte ICVs.
        if (group["ivSize"].as_u64(), group["tagSize"].as_u64()) != (Some(96), Some(128)) {
            continue;
        }
        let algorithm = match group["keySize"].as_u64().unwrap() {
            128 => Encryption::AesGcm128,
            192 => Encryption::AesGcm192,
            256 => Encryption::AesGcm256,
            other => panic!("{other}"),
        };
        for case in group["tests"].as_array().unwrap() {
            let aead = provider.aead(algorithm, &unhex(text(case, "key"))).unwrap();
            let nonce = unhex(text(case, "iv")).try_into().unwrap();
            let (aad, message) = (unhex(text(case, "aad")), unhex(text(case, "msg")));
            let ciphertext = unhex(text(case, "ct"));
            let tag: [u8; 16] = unhex(text(case, "tag")).try_into().unwrap();
            let valid = text(case, "result") == "valid";

            let mut data = ciphertext.clone();
            assert_eq!(aead.open(&nonce, &aad, &mut data, &tag), Ok(valid), "{case}");
            // RustCrypto leaves what it does not believe as it was, `ring` makes it zeros.
            let zeros = vec![0; data.len()];
            assert!(if valid { data == message } else { data == ciphertext || data == zeros });
            let (mut data, mut icv) = (message.clone(), [0; 16]);
            aead.seal(&nonce, &aad, &mut data, &mut icv).unwrap();
            assert_eq!((data == ciphertext) && (icv == tag), valid, "{case}");
            run += 1;
            refused += u32::from(!valid);
        }
    }
    assert!(run > 80 && refused > 30, "{run} cases, {refused} of them invalid");
}

#[test]
fn wycheproof_cbc() {
    let Some(file) = shared("wycheproof_aes_cbc_pkcs5_test.json") else { return };
    let file: Value = serde_json::from_str(&file).unwrap();
    let mut run = 0;
    for group in file["testGroups"].as_array().unwrap() {
        let algorithm = match group["keySize"].as_u64().unwrap() {
            128 => Encryption::AesCbc128,
            192 => Encryption::AesCbc192,
            256 => Encryption::AesCbc256,
            other => panic!("{other}"),
        };
        for case in group["tests"].as_array().unwrap() {
            let cipher = RustCrypto.cipher(algorithm, &unhex(text(case, "key"))).unwrap();
            let (iv, ciphertext) = (unhex(text(case, "iv")), unhex(text(case, "ct")));
            let mut data = ciphertext.clone();
            if !ciphertext.len().is_multiple_of(16) {
                assert_eq!(cipher.decrypt(&iv, &mut data), Err(Fault));
                continue;
            }
            cipher.decrypt(&iv, &mut data).unwrap();
            // Invalid cases are about the padding of PKCS#5, which is not ESP's.
            if text(case, "result") == "valid" {
                let mut padded = unhex(text(case, "msg"));
                let padding = 16 - padded.len() % 16;
                padded.resize(padded.len() + padding, padding as u8);
                assert_eq!(data, padded, "{case}");
                run += 1;
            }
            cipher.encrypt(&iv, &mut data).unwrap();
            assert_eq!(data, ciphertext, "{case}");
        }
    }
    assert_eq!(run, 72);
}

/// NIST's multi-block messages for 3DES in CBC mode, both directions.
#[test]
fn nist_triple_des() {
    let Some(file) = shared("nist_tdes_TCBCMMT3.fax") else { return };
    let (mut encrypting, mut run) = (true, 0);
    let (mut key, mut iv, mut first) = (Vec::new(), Vec::new(), Vec::new());
    for line in file.lines() {
        let Some((name, value)) = line.split_once(" = ") else {
            encrypting = match line {
                "[ENCRYPT]" => true,
                "[DECRYPT]" => false,
                _ => encrypting,
            };
            continue;
        };
        match (name, encrypting) {
            ("KEY1", _) => key = unhex(value),
            ("KEY2" | "KEY3", _) => key.extend(unhex(value)),
            ("IV", _) => iv = unhex(value),
            ("PLAINTEXT", true) | ("CIPHERTEXT", false) => first = unhex(value),
            ("CIPHERTEXT", true) => {
                let cipher = RustCrypto.cipher(Encryption::TripleDesCbc, &key).unwrap();
                cipher.encrypt(&iv, &mut first).unwrap();
                assert_eq!(first, unhex(value));
                run += 1;
            }
            ("PLAINTEXT", false) => {
                let cipher = RustCrypto.cipher(Encryption::TripleDesCbc, &key).unwrap();
                cipher.decrypt(&iv, &mut first).unwrap();
                assert_eq!(first, unhex(value));
                run += 1;
            }
            _ => {}
        }
    }
    assert_eq!(run, 20);
}

/// RFC 3602 §4, cases 1 to 3.
#[test]
fn aes_cbc_of_rfc_3602() {
    for (key, iv, plaintext, ciphertext) in [
        (
            hex!("06a9214036b8a15b512e03d534120006"),
            hex!("3dafba429d9eb430b422da802c9fac41"),
            &b"Single block msg"[..],
            &hex!("e353779c1079aeb82708942dbe77181a")[..],
        ),
        (
            hex!("c286696d887c9aa0611bbb3e2025a45a"),
            hex!("562e17996d093d28ddb3ba695a2e6f58"),
            &hex!("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"),
            &hex!("d296cd94c2cccf8a3a863028b5e1dc0a7586602d253cfff91b8266bea6d61ab1"),
        ),
        (
            hex!("6c3ea0477630ce21a2ce334aa746c2cd"),
            hex!("c782dc4c098c66cbd9cd27d825682c81"),
            b"This is a 48-byte message (exactly 3 AES blocks)",
            &hex!(
                "d0a02b3836451753d493665d33f0e8862dea54cdb293abc7506939276772f8d5"
                "021c19216bad525c8579695d83ba2684"
            ),
        ),
    ] {
        let cipher = RustCrypto.cipher(Encryption::AesCbc128, &key).unwrap();
        let mut data = plaintext.to_vec();
        cipher.encrypt(&iv, &mut data).unwrap();
        assert_eq!(data, ciphertext);
        cipher.decrypt(&iv, &mut data).unwrap();
        assert_eq!(data, plaintext);
    }
}

/// RFC 3602 §4, cases 5 and 6: whole ESP packets of transport mode, there without an ICV.
#[test]
fn esp_of_rfc_3602() {
    let transform = Transform::new(Encryption::AesCbc128, Some(Integrity::HmacSha1)).unwrap();
    let mut keymat = hex!("90d382b410eeba7ad938c46cec1a82bf").to_vec();
    keymat.extend([0; 20]);
    let config = SaConfig::new(Spi(0x4321), transform, Mode::Transport);
    let mut sa = OutboundSa::new(&RustCrypto, &config, &keymat).unwrap();

    let packet = seal_with_iv(
        &mut sa,
        &hex!("e96e8c08ab465763fd098d45dd3ff893"),
        NextHeader(1),
        &hex!(
            "08000ebda70a00008e9c083db95b070008090a0b0c0d0e0f1011121314151617"
            "18191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f3031323334353637"
        ),
    );
    assert_eq!(
        packet[..packet.len() - 12],
        hex!(
            "0000432100000001e96e8c08ab465763fd098d45dd3ff893"
            "f663c25d325c18c6a9453e194e120849a4870b66cc6b9965330013b4898dc856"
            "a4699e523a55db080b59ec3a8e4b7e52775b07d1db34ed9c538ab50c551b874a"
            "a269add047ad2d5913ac19b7cfbad4a6"
        )
    );

    for _skipped in 2..8 {
        sa.reserve(0).unwrap();
    }
    let packet = seal_with_iv(
        &mut sa,
        &hex!("69d08df7d203329db093fc4924e5bd80"),
        NextHeader(1),
        &hex!("0800b5e8a80a0500a69c083d0b660e0077777777777777777777 7777"),
    );
    assert_eq!(
        packet[..packet.len() - 12],
        hex!(
            "000043210000000869d08df7d203329db093fc4924e5bd80"
            "f51995881ec4e0c4488987ce742e8109689bb379d2d750c0d915dca346a89f75"
        )
    );
}

#[test]
fn algorithms_are_asked_for_in_their_role() {
    for algorithm in [Encryption::Null, Encryption::AesGcm128] {
        let refused = RustCrypto.cipher(algorithm, &[0; 16]).err();
        assert_eq!(refused, Some(Unsupported::Encryption(algorithm)));
    }
    let refused = RustCrypto.aead(Encryption::AesCbc256, &[0; 32]).err();
    assert_eq!(refused, Some(Unsupported::Encryption(Encryption::AesCbc256)));
}

#[test]
fn wrong_lengths_are_faults() {
    let cipher = RustCrypto.cipher(Encryption::TripleDesCbc, &[1; 24]).unwrap();
    assert_eq!(cipher.encrypt(&[0; 7], &mut [0; 8]), Err(Fault));
    assert_eq!(cipher.encrypt(&[0; 8], &mut [0; 9]), Err(Fault));
    let mac = RustCrypto.mac(Integrity::HmacMd5, &[1; 16]).unwrap();
    assert_eq!(mac.sign([&[], &[]], &mut [0; 17]), Err(Fault));
    assert_eq!(mac.verify([&[], &[]], &[0; 65]), Err(Fault));
}
