//! All 21 scenarios recorded from strongSwan, seen by an observer who knows both exponents and the
//! pre-shared key: everything is derived again, every message decrypted, every hash checked.
//!
//! Together these scenarios hold at least one known answer for every function of `crypto`.

#![cfg(feature = "rustcrypto")]

extern crate alloc;

mod known_answers;

use core::net::{IpAddr, SocketAddr};

use dmvpn_isakmp::crypto::{
    Digest, Iv, KeyMaterialInput, KeyPair, Phase1Public, Skeyid, nat_detection_hash,
};
use known_answers::{
    Scenario, Section, bytes, cipher, cookie, exponent, group, hash,
    observer::{
        Exchange, HASH, HEADER, IDENTIFICATION, KEY_EXCHANGE, NAT_D, Observed,
        SECURITY_ASSOCIATION, diffie_hellman, is_encrypted, message_id, payloads,
    },
    text, third_party_json,
};

/// What was verified, so that a test which verifies nothing fails.
#[derive(Default, Debug, PartialEq, Eq)]
struct Tally {
    sas: usize,
    children: usize,
    decrypted: usize,
    garbage: usize,
    hashes: usize,
    nat_hashes: usize,
}

#[test]
fn every_scenario_is_derived_again() {
    let mut tally = Tally::default();
    let scenarios = Scenario::all();
    for scenario in &scenarios {
        println!("{}", scenario.name);
        observe(scenario, &mut tally);
    }
    assert_eq!(scenarios.len(), 21);
    // Four NAT-D hashes for each SA, less five that stand for no address (forced encapsulation).
    assert_eq!(
        tally,
        Tally { sas: 21, children: 21, decrypted: 157, garbage: 1, hashes: 158, nat_hashes: 79 }
    );
}

fn observe(scenario: &Scenario, tally: &mut Tally) {
    let psk = scenario.psk();
    let mut sas: Vec<_> = scenario
        .sections("ike_sa")
        .filter(|section| section.get("skeyid").is_some())
        .map(|section| Observed::new(section, &psk))
        .collect();
    tally.sas += sas.len();

    for message in scenario.sections("message").filter(|m| m.text("kind") == "ike") {
        let unreadable = message.get("undecryptable").is_some();
        let whole_elsewhere =
            message.get("fragment").is_some() && message.get("reassembled").is_none();
        if whole_elsewhere || message.get("retransmit_of").is_some() {
            continue;
        }
        let raw = match message.get("reassembled") {
            Some(_) => message.hex("reassembled"),
            None => message.hex("raw"),
        };
        let Some(sa) = sas.iter_mut().find(|sa| sa.section.text("cky_i") == message.text("cky_i"))
        else {
            continue;
        };
        let message_id = message_id(&raw);
        let mut body = raw[HEADER..].to_vec();
        if is_encrypted(&raw) {
            let iv = sa.iv(message_id).clone();
            assert_eq!(iv.as_bytes(), message.hex("iv"), "{}", message.title);
            if unreadable {
                // Made with another key: the chain does not move for it.
                sa.encryption_key.decrypt(&iv, &mut body).unwrap();
                assert_eq!(body, message.hex("plaintext"), "{}", message.title);
                assert!(payloads(raw[16], &body).is_none());
                tally.garbage += 1;
                continue;
            }
            body = sa.open(&raw);
            assert_eq!(body, message.hex("plaintext"), "{}", message.title);
            // Encrypting it again gives the recorded bytes and the same next IV.
            let mut again = body.clone();
            let next = sa.encryption_key.encrypt(&iv, &mut again).unwrap();
            assert_eq!(again, raw[HEADER..]);
            assert_eq!(*sa.iv(message_id), next);
            tally.decrypted += 1;
        }
        let payloads = payloads(raw[16], &body).unwrap();
        if message.get("hash").is_some() {
            let from_initiator = message.text("from") == "i";
            let expected = sa.expected_hash(from_initiator, message_id, &payloads, &body);
            let received = payloads.iter().find(|p| p.kind == HASH).unwrap();
            assert!(expected.verify(received.body), "{}", message.title);
            assert!(expected.verify(&message.hex("hash")), "{}", message.title);
            tally.hashes += 1;
        }
        let nat_d: Vec<_> = payloads.iter().filter(|p| p.kind == NAT_D).map(|p| p.body).collect();
        if !nat_d.is_empty() {
            tally.nat_hashes += nat_detection(scenario, sa, message, &nat_d);
        }
        for id in payloads.iter().filter(|p| p.kind == IDENTIFICATION && message_id == 0) {
            let name = if message.text("from") == "i" { "id_i" } else { "id_r" };
            assert_eq!(id.body, sa.section.hex(name));
        }
    }
    for sa in &sas {
        if sa.section.get("hash_i").is_some() {
            assert!(sa.phase_1_hash(true, &[]).verify(&sa.section.hex("hash_i")));
            assert!(sa.phase_1_hash(false, &[]).verify(&sa.section.hex("hash_r")));
        }
        assert_eq!(sa.phase_1.as_bytes(), sa.section.hex("last_phase1_block"));
    }
    for child in scenario.sections("child_sa") {
        key_material(&sas, child);
        tally.children += 1;
    }
}

/// The two hashes of a message, the receiver's address first (RFC 3947 §3.2). Returns how many were
/// equal to those of the addresses.
fn nat_detection(
    scenario: &Scenario,
    sa: &Observed<'_>,
    message: &Section,
    received: &[&[u8]],
) -> usize {
    let (cookie_i, cookie_r) = (cookie(sa.section.text("cky_i")), cookie(sa.section.text("cky_r")));
    let of = |address: SocketAddr| {
        nat_detection_hash(sa.prf, cookie_i, cookie_r, address.ip(), address.port())
    };
    let from_spoke = message.text("from") == "i";
    let source: SocketAddr = message.text("src").parse().unwrap();
    let destination: SocketAddr = message.text("dst").parse().unwrap();
    let [to, from] = received else { panic!("two NAT-D payloads") };
    assert!(of(destination).verify(to), "{}: {}", scenario.name, message.title);
    match scenario.name.as_str() {
        // The spoke hashes what it believes to be its address; the capture was taken behind the NAT.
        "nat-mm-3des-sha1-modp768" if from_spoke => {
            assert!(!of(source).verify(from));
            let inside = SocketAddr::new(IpAddr::from([192, 168, 7, 1]), 500);
            assert!(of(inside).verify(from));
            2
        }
        // A random value stands for the source, from the side that forces encapsulation.
        "encap-forced" | "data-3des-sha1" | "data-aes256gcm16" if !of(source).verify(from) => 1,
        name => {
            assert!(of(source).verify(from), "{name}: {}", message.title);
            2
        }
    }
}

fn key_material(sas: &[Observed<'_>], child: &Section) {
    // "0.1": the second child of the first ISAKMP SA.
    let index = child.title.split([' ', '.']).nth(1).unwrap();
    let sa = &sas[index.parse::<usize>().unwrap()];
    let g_xy = child
        .get("g_xy")
        .map(|_| diffie_hellman(child, child.text("attributes.group").parse().unwrap()));
    for direction in ["initiator_to_responder", "responder_to_initiator"] {
        let expected = child.hex(&format!("{direction}.keymat"));
        let input = KeyMaterialInput {
            g_xy: g_xy.as_ref(),
            protocol: child.text("protocol").parse().unwrap(),
            spi: child.word(&format!("{direction}.spi")),
            nonce_i: &child.hex("nonce_i"),
            nonce_r: &child.hex("nonce_r"),
        };
        let keymat = sa.keys.key_material(&input, expected.len());
        assert_eq!(keymat.dangerous_bytes(), expected, "{direction}");
        let encryption = child.hex(&format!("{direction}.encryption"));
        let integrity = child.hex(&format!("{direction}.integrity"));
        assert_eq!([encryption, integrity].concat(), keymat.dangerous_bytes());
    }
}

/// Two handshakes recorded by others, of which the initiator's secrets are known: strongSwan with a
/// pre-shared key, and a Cisco router whose SKEYID (authentication by encrypted nonces) is given.
#[test]
fn handshakes_recorded_by_others() {
    let Some(handshakes) = third_party_json("ikev1_handshakes.json") else { return };
    let mut hashes = 0;
    for handshake in handshakes.as_array().unwrap() {
        let (prf, aes) = (hash("sha1"), cipher("aes", 16));
        let cookie_i = cookie(text(handshake, "cky_i"));
        let cookie_r = cookie(text(handshake, "cky_r"));
        let messages: Vec<_> =
            handshake["messages"].as_array().unwrap().iter().map(|m| bytes(m, "raw")).collect();
        let bodies = |message: usize| payloads(messages[message][16], &messages[message][HEADER..]);
        let body_of = |message: usize, kind: u8| {
            bodies(message).unwrap().iter().find(|p| p.kind == kind).unwrap().body.to_vec()
        };
        let (sai_b, g_xi, g_xr) =
            (body_of(0, SECURITY_ASSOCIATION), body_of(2, KEY_EXCHANGE), body_of(3, KEY_EXCHANGE));

        let group = group(handshake["group"].as_u64().unwrap().try_into().unwrap());
        let ours = KeyPair::new(group, exponent(group, &bytes(handshake, "x_i"))).unwrap();
        assert_eq!(ours.public()[..], g_xi);
        let g_xy = group.shared_secret(ours.exponent(), &g_xr).unwrap();
        assert_eq!(g_xy.dangerous_bytes(), bytes(handshake, "g_xy"));

        let (nonce_i, nonce_r) = (bytes(handshake, "ni"), bytes(handshake, "nr"));
        let psk = handshake["psk"].as_str();
        let skeyid = match psk {
            Some(psk) => Skeyid::pre_shared_key(prf, psk.as_bytes(), &nonce_i, &nonce_r),
            None => Skeyid::from_digest(prf, Digest::new(&bytes(handshake, "skeyid"))),
        };
        assert_eq!(skeyid.dangerous_skeyid(), bytes(handshake, "skeyid"));
        let keys = skeyid.session_keys(&g_xy, cookie_i, cookie_r);
        assert_eq!(keys.dangerous_skeyid_d(), bytes(handshake, "skeyid_d"));
        assert_eq!(keys.dangerous_skeyid_a(), bytes(handshake, "skeyid_a"));
        assert_eq!(keys.dangerous_skeyid_e(), bytes(handshake, "skeyid_e"));
        let key = keys.encryption_key(aes);
        assert_eq!(key.dangerous_key(), bytes(handshake, "enc_key"));
        let mut iv = Iv::phase_1(prf, aes, &g_xi, &g_xr);
        assert_eq!(iv.as_bytes(), bytes(handshake, "iv1"));

        let public = Phase1Public { g_xi: &g_xi, g_xr: &g_xr, cookie_i, cookie_r, sai_b: &sai_b };
        for number in [4, 5] {
            let mut body = messages[number][HEADER..].to_vec();
            iv = key.decrypt(&iv, &mut body).unwrap();
            assert_eq!(body, bytes(&handshake["messages"][number], "plaintext"));
            // With encrypted nonces the identities were in MM3 and MM4, for private keys only.
            if psk.is_some() {
                let all = payloads(messages[number][16], &body).unwrap();
                let id = all.iter().find(|p| p.kind == IDENTIFICATION).unwrap().body;
                let expected = if number == 4 {
                    skeyid.hash_i(&public, id)
                } else {
                    skeyid.hash_r(&public, id)
                };
                assert!(expected.verify(all.iter().find(|p| p.kind == HASH).unwrap().body));
                hashes += 1;
            }
        }

        let message_id = u32::from_be_bytes(messages[6][20..24].try_into().unwrap());
        let mut quick = Exchange::new(prf, &iv, message_id);
        for number in [6, 7, 8] {
            let mut body = messages[number][HEADER..].to_vec();
            quick.iv = key.decrypt(&quick.iv, &mut body).unwrap();
            assert_eq!(body, bytes(&handshake["messages"][number], "plaintext"));
            let all = payloads(messages[number][16], &body).unwrap();
            assert!(quick.hash(&keys, message_id, &all, &body).verify(all[0].body));
            hashes += 1;
        }
    }
    assert_eq!(hashes, 8);
}
