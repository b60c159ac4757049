//! Diffie-Hellman groups: their numbers, published answers, values refused, and jobs.

#![cfg(feature = "rustcrypto")]

extern crate alloc;

mod known_answers;

use std::thread;

use bytes::Bytes;
use chacha20::{ChaCha20Rng, rand_core::SeedableRng as _};
use dmvpn_isakmp::crypto::{
    DiffieHellman, DiffieHellmanError, Exponent, ExponentLength, Group, Job, JobId, KeyPair,
};
use known_answers::{
    PROVIDER, Playback, Scenario, bytes, exponent, group, hex, left_padded, text, third_party_json,
};

const MODP: [u16; 6] = [1, 2, 5, 14, 15, 16];

/// `value` - `subtrahend`, big-endian, without borrowing beyond the last byte.
fn minus(value: &[u8], subtrahend: u8) -> Vec<u8> {
    let mut value = value.to_vec();
    let last = value.last_mut().unwrap();
    *last = last.checked_sub(subtrahend).expect("the primes end in 0xff");
    value
}

/// What the primes must be, from the public functions alone: with exponent p - 1 the generator
/// comes to 1 (Fermat), and p - 2 is the largest value a peer may send.
#[track_caller]
fn assert_prime(number: u16, prime: &[u8]) {
    let modp = group(number);
    assert_eq!(modp.public_value_len(), prime.len());
    let public = modp.public_value(&exponent(modp, &minus(prime, 1))).unwrap();
    assert_eq!(public[..], left_padded(&[1], prime.len()), "group {number}");
    let one = exponent(modp, &left_padded(&[1], prime.len()));
    let largest = minus(prime, 2);
    assert_eq!(modp.shared_secret(&one, &largest).unwrap().dangerous_bytes(), largest);
    let refused = DiffieHellmanError::Range { group: Group(number) };
    for subtrahend in [0, 1] {
        assert_eq!(modp.shared_secret(&one, &minus(prime, subtrahend)).unwrap_err(), refused);
    }
}

/// RFC 2409 §6.1: 2^768 - 2^704 - 1 + 2^64 * ( [2^638 pi] + 149686 ).
#[test]
fn prime_of_group_1() {
    assert_prime(
        1,
        &hex("FFFFFFFF FFFFFFFF C90FDAA2 2168C234 C4C6628B 80DC1CD1
              29024E08 8A67CC74 020BBEA6 3B139B22 514A0879 8E3404DD
              EF9519B3 CD3A431B 302B0A6D F25F1437 4FE1356D 6D51C245
              E485B576 625E7EC6 F44C42E9 A63A3620 FFFFFFFF FFFFFFFF"),
    );
}

#[test]
fn primes_of_the_rfcs() {
    let Some(vectors) = third_party_json("rfc.json") else { return };
    let mut equal = 0;
    for entry in vectors["modp"].as_array().unwrap() {
        let number = u16::try_from(entry["group"].as_u64().unwrap()).unwrap();
        if MODP.contains(&number) {
            assert_prime(number, &bytes(entry, "prime"));
            equal += 1;
        }
    }
    assert_eq!(equal, MODP.len());
}

#[test]
fn strongswan_vectors() {
    let Some(vectors) = third_party_json("modp_dh.json") else { return };
    let mut cases = 0;
    for case in vectors.as_array().unwrap() {
        let number = match case["bits"].as_u64() {
            Some(768) => 1,
            Some(1024) => 2,
            Some(2048) => 14,
            bits => panic!("{bits:?}"),
        };
        let modp = group(number);
        let ours = KeyPair::new(modp, exponent(modp, &bytes(case, "priv_i"))).unwrap();
        let theirs = KeyPair::new(modp, exponent(modp, &bytes(case, "priv_r"))).unwrap();
        assert_eq!(ours.public()[..], bytes(case, "pub_i"), "{}", text(case, "priv_i"));
        assert_eq!(theirs.public()[..], bytes(case, "pub_r"));
        for (exponent, public) in
            [(ours.exponent(), theirs.public()), (theirs.exponent(), ours.public())]
        {
            let secret = modp.shared_secret(exponent, public).unwrap();
            assert_eq!(secret.dangerous_bytes(), bytes(case, "shared"));
        }
        cases += 1;
    }
    assert_eq!(cases, 3);
}

/// RFC 5903 §8.1 and §8.2.
#[cfg(feature = "ecp")]
#[test]
fn rfc_5903() {
    let answers = [
        (
            19,
            "C88F01F5 10D9AC3F 70A292DA A2316DE5 44E9AAB8 AFE84049 C62A9C57 862D1433",
            "DAD0B653 94221CF9 B051E1FE CA5787D0 98DFE637 FC90B9EF 945D0C37 72581180
             5271A046 1CDB8252 D61F1C45 6FA3E59A B1F45B33 ACCF5F58 389E0577 B8990BB3",
            "C6EF9C5D 78AE012A 011164AC B397CE20 88685D8F 06BF9BE0 B283AB46 476BEE53",
            "D12DFB52 89C8D4F8 1208B702 70398C34 2296970A 0BCCB74C 736FC755 4494BF63
             56FBF3CA 366CC23E 8157854C 13C58D6A AC23F046 ADA30F83 53E74F33 039872AB",
            "D6840F6B 42F6EDAF D13116E0 E1256520 2FEF8E9E CE7DCE03 812464D0 4B9442DE",
        ),
        (
            20,
            "099F3C70 34D4A2C6 99884D73 A375A67F 7624EF7C 6B3C0F16 0647B674 14DCE655
             E35B5380 41E649EE 3FAEF896 783AB194",
            "667842D7 D180AC2C DE6F74F3 7551F557 55C7645C 20EF73E3 1634FE72 B4C55EE6
             DE3AC808 ACB4BDB4 C88732AE E95F41AA
             9482ED1F C0EEB9CA FC498462 5CCFC23F 65032149 E0E144AD A0241815 35A0F38E
             EB9FCFF3 C2C947DA E69B4C63 4573A81C",
            "41CB0779 B4BDB85D 47846725 FBEC3C94 30FAB46C C8DC5060 855CC9BD A0AA2942
             E0308312 916B8ED2 960E4BD5 5A7448FC",
            "E558DBEF 53EECDE3 D3FCCFC1 AEA08A89 A987475D 12FD950D 83CFA417 32BC509D
             0D1AC43A 0336DEF9 6FDA41D0 774A3571
             DCFBEC7A ACF31964 72169E83 8430367F 66EEBE3C 6E70C416 DD5F0C68 759DD1FF
             F83FA401 42209DFF 5EAAD96D B9E6386C",
            "11187331 C279962D 93D60424 3FD592CB 9D0A926F 422E4718 7521287E 7156C5C4
             D6031355 69B9E9D0 9CF5D4A2 70F59746",
        ),
    ];
    for (number, private_i, public_i, private_r, public_r, shared) in answers {
        let ecp = group(number);
        let ours = KeyPair::new(ecp, exponent(ecp, &hex(private_i))).unwrap();
        let theirs = KeyPair::new(ecp, exponent(ecp, &hex(private_r))).unwrap();
        assert_eq!(ours.public()[..], hex(public_i));
        assert_eq!(theirs.public()[..], hex(public_r));
        for (exponent, public) in
            [(ours.exponent(), theirs.public()), (theirs.exponent(), ours.public())]
        {
            let secret = ecp.shared_secret(exponent, public).unwrap();
            assert_eq!(secret.dangerous_bytes(), hex(shared));
        }
    }
}

/// Both halves of a long exponent count: with r the order of the curve, r + x and x are the same.
#[cfg(feature = "ecp")]
#[test]
fn ecp_exponents_are_reduced_and_points_checked() {
    let order = "FFFFFFFF 00000000 FFFFFFFF FFFFFFFF BCE6FAAD A7179E84 F3B9CAC2 FC632551";
    let ecp = group(19);
    let draw = |bytes: &str| {
        let mut rng = Playback::default();
        rng.push(&hex(bytes));
        Exponent::draw(ecp, ExponentLength::Short, &mut rng)
    };
    let two = draw(&format!("{}02", "00".repeat(39)));
    let order_plus_two = draw(&format!("{} {}", "00".repeat(8), order.replace("2551", "2553")));
    assert_eq!(ecp.public_value(&two), ecp.public_value(&order_plus_two));
    // 2^256 = 2^256 - order, modulo the order.
    let high = draw(&format!("{}01{}", "00".repeat(7), "00".repeat(32)));
    let low = "00000000 FFFFFFFF 00000000 00000000 43190552 58E8617B 0C46353D 039CDAAF";
    assert_eq!(
        ecp.public_value(&high),
        ecp.public_value(&draw(&format!("{} {low}", "00".repeat(8))))
    );
    // A multiple of the order is no exponent.
    let zero = draw(&format!("{} {order}", "00".repeat(8)));
    let unusable = DiffieHellmanError::Exponent { group: Group::ECP_256, have: 40 };
    assert_eq!(ecp.public_value(&zero), Err(unusable));

    let mut public = ecp.public_value(&two).unwrap().to_vec();
    public[63] ^= 1;
    let refused = DiffieHellmanError::NotOnCurve { group: Group::ECP_256 };
    for wrong in [public, vec![0; 64], vec![0xff; 64]] {
        assert_eq!(ecp.check_public_value(&wrong), Err(refused));
        assert_eq!(ecp.shared_secret(&two, &wrong).unwrap_err(), refused);
    }
    let length = DiffieHellmanError::Length { group: Group::ECP_256, needed: 64, have: 65 };
    assert_eq!(ecp.check_public_value(&[4; 65]), Err(length));
    assert_eq!(ecp.shared_secret(&two, &[4; 65]).unwrap_err(), length);
}

#[test]
fn values_that_give_the_secret_away_are_refused() {
    for number in MODP {
        let modp = group(number);
        let (group, needed) = (Group(number), modp.public_value_len());
        let two = exponent(modp, &[2]);
        let refuse = |value: &[u8]| {
            let error = modp.check_public_value(value).unwrap_err();
            assert_eq!(modp.shared_secret(&two, value).unwrap_err(), error);
            error
        };
        for outside in [left_padded(&[], needed), left_padded(&[1], needed), vec![0xff; needed]] {
            assert_eq!(refuse(&outside), DiffieHellmanError::Range { group });
        }
        for have in [0, 1, needed - 1, needed + 1] {
            let error = DiffieHellmanError::Length { group, needed, have };
            assert_eq!(refuse(&vec![2; have]), error);
        }
        let four = modp.shared_secret(&two, &left_padded(&[2], needed)).unwrap();
        assert_eq!(four.dangerous_bytes(), left_padded(&[4], needed), "left-padded");
    }
}

#[test]
fn exponents_are_drawn_once_and_used_as_they_are() {
    for (number, short) in MODP.into_iter().zip([32, 32, 32, 40, 56, 64]) {
        let modp = group(number);
        for (length, bytes) in
            [(ExponentLength::Short, short), (ExponentLength::Full, modp.public_value_len())]
        {
            assert_eq!(modp.exponent_len(length), bytes);
            let drawn: Vec<u8> = (0..bytes).map(|i| u8::try_from(i % 251).unwrap()).collect();
            let mut rng = Playback::default();
            rng.push(&drawn);
            let exponent = Exponent::draw(modp, length, &mut rng);
            rng.assert_finished();
            assert_eq!(exponent.dangerous_bytes(), drawn);
            assert_eq!(format!("{exponent:?}"), "Exponent(..)");
        }
    }
    // An exponent drawn for a larger group does not fit.
    let large = exponent(group(16), &vec![7; 512]);
    let error = DiffieHellmanError::Exponent { group: Group(1), have: 512 };
    assert_eq!(group(1).public_value(&large), Err(error));
}

/// Both ends agree in every group, with exponents of either length.
#[test]
fn every_group_agrees() {
    let mut rng = ChaCha20Rng::seed_from_u64(5);
    for &group in PROVIDER.groups {
        let full = ExponentLength::Full;
        let ours =
            KeyPair::new(group, Exponent::draw(group, ExponentLength::Short, &mut rng)).unwrap();
        let theirs = KeyPair::new(group, Exponent::draw(group, full, &mut rng)).unwrap();
        let a = group.shared_secret(ours.exponent(), theirs.public()).unwrap();
        let b = group.shared_secret(theirs.exponent(), ours.public()).unwrap();
        assert_eq!(a.dangerous_bytes(), b.dangerous_bytes(), "{group:?}");
        assert_eq!(ours.public().len(), group.public_value_len());
    }
}

/// A handshake's three jobs on other threads, against the recorded values of group 14.
#[test]
fn jobs_run_anywhere() {
    let scenario = Scenario::named("mm-aes256-sha256-modp2048");
    let sa = scenario.sections("ike_sa").next().unwrap();
    let modp: &'static dyn DiffieHellman = group(14);
    let (ke_i, ke_r) = (Bytes::from(sa.hex("ke_i")), Bytes::from(sa.hex("ke_r")));
    let run = |job: Job| {
        let id = job.id();
        let result = thread::scope(|scope| scope.spawn(|| job.run()).join().unwrap());
        assert_eq!(result.id(), id);
        result.into_outcome()
    };

    let exponent_i = exponent(modp, &sa.hex("private_i"));
    let first = run(Job::key_pair(JobId(1), modp, exponent_i)).unwrap();
    assert_eq!(first.key_pair.public(), &ke_i);
    assert!(first.shared_secret.is_none());
    let last = run(Job::shared_secret(JobId(2), modp, first.key_pair, ke_r.clone())).unwrap();
    assert_eq!(last.shared_secret.unwrap().dangerous_bytes(), sa.hex("g_xy"));

    let exponent_r = exponent(modp, &sa.hex("private_r"));
    let only = run(Job::both(JobId(3), modp, exponent_r, ke_i.clone())).unwrap();
    assert_eq!(only.key_pair.public(), &ke_r);
    assert_eq!(only.shared_secret.unwrap().dangerous_bytes(), sa.hex("g_xy"));

    let exponent_r = exponent(modp, &sa.hex("private_r"));
    let refused = run(Job::both(JobId(4), modp, exponent_r, ke_i.slice(1..))).unwrap_err();
    let group = Group::MODP_2048;
    assert_eq!(refused, DiffieHellmanError::Length { group, needed: 256, have: 255 });
    assert_eq!(refused.to_string(), "peer's public value has 255 bytes, group 14 needs 256");
}
