//! A million forged first messages, each with a third that was guessed: what they may cost, and whom
//! they may not bother.

extern crate alloc;

mod insider;
mod pair;

use core::net::{IpAddr, Ipv4Addr};
use core::time::Duration;

use dmvpn_isakmp::wire::{Cookie, ExchangeType, Payload};
use dmvpn_isakmp::{Discard, Limits, Path};
use insider::{clear, mm1};
use pair::{Pair, guide_config};

const FLOOD: u64 = 1_000_000;

/// What one half-open negotiation may take: its tables, its timer, the message and the answer.
const OCTETS_EACH: u64 = 4096;

#[test]
fn a_million_forged_first_messages() {
    // Traces off, as on a router that nobody looks at.
    let config = || guide_config().trace_capacity(0).build().unwrap();
    let mut pair = Pair::new(config(), config());
    pair.protect_guide();
    pair.connect();
    pair.run_for(Duration::from_secs(5));
    pair.assert_connected();
    let established = |pair: &Pair| {
        let hub = &pair.hosts[1].endpoint;
        let phase1: Vec<_> = hub
            .phase1()
            .filter(|sa| sa.identity.is_some())
            .map(|sa| (sa.cookies, sa.path, sa.state))
            .collect();
        let phase2: Vec<_> = hub.phase2().map(|pair| (pair.inbound_spi, pair.enabled)).collect();
        (phase1, phase2, hub.peers().count())
    };
    let before = established(&pair);
    let limits = Limits::default();
    let path = pair.path_to(1);
    let mut now = pair.now;
    let hub = &mut pair.hosts[1].endpoint;
    let (mut answered, mut sent_octets, mut received_octets) = (0, 0, 0);
    let mut cookies: Vec<[u8; 8]> = Vec::with_capacity(1_000_000);
    let key_exchange =
        [Payload::KeyExchange(vec![2; 96].into()), Payload::Nonce(vec![7; 8].into())];
    let memory = allocation_counter::measure(|| {
        for number in 0..FLOOD {
            // From everywhere, a million in 100 seconds.
            let source = Ipv4Addr::from(0x0b00_0000 | u32::try_from(number & 0xff_ffff).unwrap());
            let path = Path { remote: (IpAddr::V4(source), 500).into(), ..path };
            let message = mm1((number + 1).to_be_bytes());
            received_octets += message.len();
            hub.handle_datagram(now, path, &message).unwrap();
            let mut answers = 0;
            while let Some(transmit) = hub.poll_transmit() {
                assert!(transmit.payload.len() <= message.len(), "larger than what it answers");
                cookies.push(transmit.payload[8..16].try_into().unwrap());
                (answers, sent_octets) = (answers + 1, sent_octets + transmit.payload.len());
            }
            assert!(answers <= 1, "one datagram for one");
            answered += answers;
            // Who is not there does not know the cookie that MM2 has.
            let initiator = Cookie((number + 1).to_be_bytes());
            let mm3 = clear((initiator, Cookie::ZERO), ExchangeType::MAIN_MODE, &key_exchange);
            let refused = hub.handle_datagram(now, path, &mm3);
            assert!(matches!(refused, Err(Discard::UnknownCookies { .. })));
            assert!(hub.poll_transmit().is_none());
            if number % 100 == 0 {
                now += Duration::from_millis(10);
                hub.handle_timeout(now);
                assert!(hub.poll_transmit().is_none(), "nothing is repeated unasked");
            }
        }
    });
    assert_eq!(answered, FLOOD);
    cookies.sort_unstable();
    cookies.dedup();
    assert_eq!(cookies.len(), 1_000_000, "each cookie is fresh");
    assert!(!cookies.contains(&[0; 8]));
    assert!(sent_octets <= received_octets);
    let counters = hub.counters();
    let held = u64::try_from(limits.half_open).unwrap();
    assert!(counters.half_open_evicted + counters.half_open_expired >= FLOOD - held);
    assert!(hub.phase1().count() <= limits.half_open + 1);
    assert!(memory.bytes_max <= held * OCTETS_EACH, "{memory:?}");
    assert!(memory.bytes_current <= i64::try_from(held * OCTETS_EACH).unwrap(), "{memory:?}");

    // Whoever was connected is, and re-keys as ever; and the flood leaves nothing.
    pair.now = now;
    assert_eq!(established(&pair), before);
    let (peer, spi) = (pair.hosts[0].peer.unwrap(), pair.hosts[0].inbound()[0].spi);
    pair.hosts[0].endpoint.handle_soft_expire(now, peer, spi);
    pair.run_for(Duration::from_secs(70));
    pair.assert_connected();
    assert_eq!(pair.hosts[1].endpoint.counters().phase2_completed, 2);
    assert_eq!(pair.hosts[1].endpoint.phase1().count(), 1);
}
