//! Nothing that must be fresh comes twice: cookies, nonces, message IDs, SPIs, within a run and after a
//! restart with another seed. (The flood counts a million cookies, the unit test of `Output` a million
//! nonces, ESP's own test a million IVs.)

extern crate alloc;

mod insider;
mod pair;

use core::time::Duration;

use alloc::collections::BTreeSet;

use dmvpn_isakmp::wire::{Cookie, Message, NotifyType, PayloadType};
use insider::{Insider, answer, clear, mm1};
use pair::{Pair, guide_config};

fn run(seed: u64) -> Pair {
    let config = || guide_config().trace_capacity(0).build().unwrap();
    let mut pair = Pair::between(config(), pair::SPOKE, config(), pair::HUB, seed);
    pair.protect_guide();
    pair
}

/// MM4's nonces and public values, and the cookies, of two hundred negotiations and two runs.
#[test]
fn nonces_and_public_values() {
    let mut seen = BTreeSet::new();
    for seed in [1, 2] {
        let mut pair = run(seed);
        let path = pair.path_to(1);
        for number in 1..=100_u64 {
            let first = mm1(number.to_be_bytes());
            let mm2 = answer(&mut pair, path, &first);
            let responder = Message::parse(&mm2).unwrap().header.responder_cookie;
            let cookies = (Cookie(number.to_be_bytes()), responder);
            let payloads = [
                dmvpn_isakmp::wire::Payload::KeyExchange(vec![2; 96].into()),
                dmvpn_isakmp::wire::Payload::Nonce(vec![7; 20].into()),
            ];
            let mm3 = clear(cookies, dmvpn_isakmp::wire::ExchangeType::MAIN_MODE, &payloads);
            let mm4 = answer(&mut pair, path, &mm3);
            let mm4 = Message::parse(&mm4).unwrap();
            assert!(seen.insert(responder.0.to_vec()), "cookie");
            for payload_type in [PayloadType::NONCE, PayloadType::KEY_EXCHANGE] {
                let body = mm4.payloads().unwrap().find(payload_type).unwrap().body();
                assert!(seen.insert(body.to_vec()), "{payload_type}");
            }
            // Make room for the next.
            pair.run_for(Duration::from_secs(61));
        }
    }
    assert_eq!(seen.len(), 600);
}

/// SPIs and message IDs of a day of re-keying, and of another after a restart.
#[test]
fn spis_and_message_ids() {
    let (mut spis, mut message_ids) = (BTreeSet::new(), BTreeSet::new());
    for seed in [1, 2] {
        let mut pair = run(seed);
        pair.connect();
        pair.run_for(Duration::from_secs(86_400));
        let mut exchanges = BTreeSet::new();
        for host in &pair.hosts {
            for event in &host.events {
                if let dmvpn_isakmp::Event::InstallSa(sa) = event
                    && sa.direction == dmvpn_isakmp::Direction::Inbound
                {
                    assert!(sa.spi > 255 && spis.insert(sa.spi), "SPI {}", sa.spi);
                }
            }
            for (_, sent) in &host.sent {
                let message = &sent.payload;
                if let Some(id) = message.get(20..24).filter(|id| *id != [0; 4]) {
                    exchanges.insert((message[..16].to_vec(), message[18], id.to_vec()));
                }
            }
        }
        for (_, _, id) in exchanges {
            assert!(message_ids.insert(id), "message ID");
        }
    }
    assert!(spis.len() > 80 && message_ids.len() > 40, "{} {}", spis.len(), message_ids.len());
}

/// An SPI that is in use is not given out again, however few there are; and there are none too many.
#[test]
fn spis_that_are_drawn_twice() {
    for seed in 1..20 {
        let config = || guide_config().spi_range(256..=259).build().unwrap();
        let mut pair = Pair::between(config(), pair::SPOKE, config(), pair::HUB, seed);
        pair.protect_guide();
        let path = pair.path_to(1);
        let mut insider = Insider::enter(&mut pair, path, seed, &[]);
        let mut spis = BTreeSet::new();
        for _ in 0..4 {
            let quick_mode = insider.quick_mode();
            spis.insert(insider.complete(&mut pair, &quick_mode));
        }
        assert_eq!(spis, (256..=259).collect());
        let sent = pair.hosts[1].sent.len();
        let quick_mode = insider.quick_mode();
        let qm1 = insider.qm1(&quick_mode);
        pair.deliver(1, path, &qm1);
        let told = &pair.hosts[1].sent[sent..];
        assert_eq!((told.len(), told[0].1.payload[18]), (1, 5));
        assert_eq!(insider.told(&told[0].1.payload), NotifyType::NO_PROPOSAL_CHOSEN);
        assert_eq!(pair.hosts[1].endpoint.phase2().count(), 4);
    }
}
