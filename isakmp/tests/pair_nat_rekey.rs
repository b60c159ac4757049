//! Re-keying when a NAT makes the two sides name the traffic in different ways.

mod pair;

use core::time::Duration;

use dmvpn_isakmp::Remote;
use pair::{HUB, Nat, Pair, TUNNEL, guide_config, guide_protection, ip};

const INSIDE: &str = "192.168.1.2";
const OUTSIDE: &str = "198.51.100.7";

/// The spoke names its inside address, the hub the one outside, and each negotiates at once: it is
/// one traffic, and one pair is enough for it.
#[test]
fn simultaneous_initiations_through_a_nat_resolve_to_one_pair() {
    for seed in 0..20 {
        let config = || guide_config().build().unwrap();
        let mut pair = Pair::between(config(), INSIDE, config(), HUB, seed);
        pair.nats.push(Nat { fixed: true, ..Nat::new(INSIDE, OUTSIDE) });
        let now = pair.now;
        let spoke = guide_protection(INSIDE, Remote::Host(ip(HUB)));
        pair.hosts[0].endpoint.protect(now, TUNNEL, spoke);
        pair.hosts[1].endpoint.protect(now, TUNNEL, guide_protection(HUB, Remote::Any));
        pair.connect_to(0, ip(HUB));
        pair.run_for(Duration::from_millis(seed * 4));
        pair.connect_to(1, ip(OUTSIDE));
        pair.run_for(Duration::from_secs(300));
        pair.assert_connected();
        pair.assert_one_pair();
        pair.run_for(Duration::from_secs(12 * 3600));
        pair.assert_one_pair();
        pair.assert_connected();
    }
}
