//! The providers without security do what fuzzing and simulation need of them.

#![cfg(feature = "null-crypto")]

extern crate alloc;

mod pair;

use core::time::Duration;

use dmvpn_isakmp::crypto::{Provider, null};
use dmvpn_isakmp::{Config, ConfigBuilder, PreSharedKey};
use pair::{GUIDE_POLICY, Nat, Pair, ip};

fn config(provider: Provider, key: &[u8]) -> ConfigBuilder {
    let keyring = vec![PreSharedKey::new(ip("0.0.0.0"), 0, key)];
    Config::builder(provider, keyring).policies(vec![GUIDE_POLICY])
}

fn pair(provider: Provider, keys: [&[u8]; 2]) -> Pair {
    let [spoke, hub] = keys.map(|key| config(provider, key).build().unwrap());
    let mut pair = Pair::new(spoke, hub);
    pair.protect_guide();
    pair
}

fn comes_up(mut pair: Pair) -> bool {
    pair.connect();
    pair.run_for(Duration::from_secs(5));
    pair.hosts.iter().all(|host| host.outbound.len() == 1)
}

#[test]
fn both_providers_bring_a_tunnel_up() {
    for provider in [null::PROVIDER, null::CHECKSUM_PROVIDER] {
        let mut pair = pair(provider, [b"key", b"key"]);
        pair.connect();
        pair.run_for(Duration::from_secs(5));
        pair.assert_one_pair();
    }
}

#[test]
fn checksums_notice_a_wrong_key_and_zeros_do_not() {
    assert!(comes_up(pair(null::PROVIDER, [b"one key", b"another"])));
    assert!(!comes_up(pair(null::CHECKSUM_PROVIDER, [b"one key", b"another"])));
}

#[test]
fn checksums_notice_what_the_underlay_damages() {
    let mut pair = pair(null::CHECKSUM_PROVIDER, [b"key", b"key"]);
    // Whatever has the encryption flag (octet 19 of the header) loses a bit of its hash.
    pair.meddler = Some(Box::new(|copies, _| {
        for copy in copies {
            let mut octets = copy.to_vec();
            if octets[19] & 1 != 0 {
                let last = octets.len() - 1;
                octets[last.min(60)] ^= 1;
            }
            *copy = octets.into();
        }
    }));
    assert!(!comes_up(pair));
}

#[test]
fn a_nat_is_found_under_both() {
    for provider in [null::PROVIDER, null::CHECKSUM_PROVIDER] {
        let mut pair = pair(provider, [b"key", b"key"]);
        pair.nats.push(Nat::new(pair::SPOKE, "203.0.113.7"));
        pair.connect();
        pair.run_for(Duration::from_secs(5));
        for host in &pair.hosts {
            let sa = host.endpoint.phase1().next().unwrap();
            assert_eq!(sa.path.local.port(), 4500, "{sa:?}");
        }
    }
}
