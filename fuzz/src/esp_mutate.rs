//! Seal, change, open: what is untouched comes out as it went in, once; what is changed does not
//! come out at all.

use chacha20::ChaCha20Rng;
use chacha20::rand_core::SeedableRng;
use dmvpn_esp::crypto::RustCrypto;
use dmvpn_esp::{InboundSa, NextHeader, OpenError, Opened, OutboundSa};

use crate::esp_open::{keymat, sa_config};
use crate::memory::bounded;
use crate::script::Script;

pub fn run(input: &[u8]) {
    let mut script = Script::new(input);
    let (config, transform) = sa_config(&mut script);
    let keymat = keymat(transform);
    let Ok(mut outbound) = OutboundSa::new(&RustCrypto, &config, &keymat) else { return };
    let Ok(mut inbound) = InboundSa::new(&RustCrypto, &config, &keymat) else { return };
    let mut rng = ChaCha20Rng::seed_from_u64(7);
    while !script.is_empty() {
        let kind = script.u8();
        let next_header = [NextHeader::GRE, NextHeader::IPV4, NextHeader::IPV6, NextHeader(kind)]
            [usize::from(kind & 3)];
        let payload = script.octets();
        let (headroom, tailroom) = (outbound.headroom(), outbound.tailroom(payload.len()));
        let mut buffer = vec![0x55; headroom + payload.len() + tailroom];
        buffer[headroom..headroom + payload.len()].copy_from_slice(payload);
        let range = headroom..headroom + payload.len();
        let Ok(packet) =
            bounded(0, 0, 0, || outbound.seal(&mut rng, next_header, &mut buffer, range.clone()))
        else {
            assert_eq!(buffer[range], *payload, "a refused payload is as it was");
            continue;
        };
        assert_eq!(packet.len(), transform.sealed_len(payload.len()));
        let sealed = buffer[packet.clone()].to_vec();
        if kind & 0x80 != 0 {
            let mut changed = sealed.clone();
            let at = script.index(changed.len());
            let by = script.u8();
            changed[at] ^= by;
            if script.flag() {
                changed.truncate(script.index(changed.len()));
            }
            if changed != sealed {
                let before = inbound.highest_sequence();
                let whole = 0..changed.len();
                let refused = bounded(0, 0, 0, || inbound.open(&mut changed, whole));
                assert!(refused.is_err(), "a changed packet came out: {refused:?}");
                assert_eq!(before, inbound.highest_sequence());
            }
        }
        let mut copy = sealed.clone();
        match bounded(0, 0, 0, || inbound.open(&mut copy, 0..sealed.len())) {
            Ok(Opened::Payload(opened)) => {
                assert_eq!(opened.next_header, next_header);
                // Tunnel mode cuts what its inner header does not count.
                let got = &copy[opened.range];
                assert!(payload.starts_with(got));
            }
            Ok(Opened::Dummy) => assert_eq!(next_header, NextHeader::NONE),
            Err(OpenError::IntegrityCheck { .. }) => panic!("our own packet is not authentic"),
            Err(_) => continue,
        }
        let mut again = sealed.clone();
        let replayed = bounded(0, 0, 0, || inbound.open(&mut again, 0..sealed.len()));
        assert!(replayed.is_err() || format!("{config:?}").contains("replay_window: 0"));
    }
}
