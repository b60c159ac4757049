//! Answers from outside.

extern crate alloc;

use dmvpn_des::TripleDes;
use hex_literal::hex;

/// NIST SP 800-67 Rev. 1, appendix B.1 (three keys, ECB), by each way of doing it.
#[test]
fn nist_sp_800_67() {
    let key = hex!("0123456789abcdef 23456789abcdef01 456789abcdef0123");
    let plain = *b"The qufck brown fox jump";
    let sealed = hex!("a826fd8ce53b855f cce21c8112256fe6 68d5c05dd9b6b900");
    for cipher in [TripleDes::new(&key), TripleDes::new(&key).constant_time()] {
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

/// NIST's multi-block messages for CBC with three keys (CAVP, `TCBCMMT3`), where the file is there.
#[test]
fn nist_cbc_multi_block_messages() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/vectors/nist_tdes_TCBCMMT3.fax");
    let Ok(text) = std::fs::read_to_string(path) else {
        println!("skipped: {path} is not there");
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
    let cipher = TripleDes::new(&key.try_into().unwrap());
    for cipher in [cipher.clone(), cipher.constant_time()] {
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
