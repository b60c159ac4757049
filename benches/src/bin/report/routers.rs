//! Whole routers, registrations, handshakes.

use std::time::Duration;

use dmvpn_benches::allocator;
use dmvpn_benches::ike::Handshakes;
use dmvpn_benches::measure::{Effort, alone, median};
use dmvpn_benches::nhrp::Server;
use dmvpn_benches::router::Pair;
use dmvpn_benches::suite::Suite;

use crate::charon;
use crate::row::{Bar, print, time};

/// Packets through two routers: one sends, the other receives.
pub fn node(effort: Effort) {
    for suite in [Suite::Guide, Suite::Gcm] {
        for length in [1400, 64] {
            let mut pair = Pair::new(suite, length, 1);
            let each = alone(effort, 1, || pair.forward());
            show(suite, length, "one at a time", each);
            let mut pair = Pair::new(suite, length, 64);
            let each = alone(effort, 64, || pair.forward_batch());
            show(suite, length, "batches of 64", each);
        }
        let mut pair = Pair::new(suite, 1400, 1);
        pair.forward();
        let before = allocator::allocations();
        (0..1000).for_each(|_| pair.forward());
        let count = (allocator::allocations() - before) as f64 / 2000.0;
        let what = format!("allocations per data packet, {}", suite.name());
        print("node", what, "1000 packets, both directions", count, "", Bar::AtMost(0.0, None));
    }
}

fn show(suite: Suite, length: usize, manner: &str, each: f64) {
    let what = format!("send + receive, {}, {length} B, {manner}", suite.name());
    print("node", what, time(each), 1e9 / each, "/s", Bar::None);
}

/// Registrations that a server takes in a second.
pub fn nhrp(effort: Effort) {
    for clients in [1_000, 100_000] {
        let mut server = Server::new(clients);
        let each = alone(effort, 1, || server.register());
        let what = format!("registrations, parse + process + reply, {clients} clients");
        let bar = match clients {
            1_000 => Bar::AtLeast(300_000.0, Some(1_000_000.0)),
            _ => Bar::None,
        };
        print("nhrp", what, time(each), 1e9 / each, "/s", bar);
    }
}

/// Main mode and quick mode, against charon if it is here.
pub fn ike(effort: Effort) {
    let mut handshakes = Handshakes::default();
    let count = (effort.turns * 30).max(300);
    let samples: Vec<(Duration, Duration)> = (0..count).map(|_| handshakes.one()).collect();
    let side = |of: fn(&(Duration, Duration)) -> Duration| {
        median(samples.iter().map(|sample| of(sample).as_nanos() as f64).collect())
    };
    let (initiator, responder) = (side(|sample| sample.0), side(|sample| sample.1));
    let charon = charon::handshake().unwrap_or_else(|reason| {
        eprintln!("charon is not measured: {reason}");
        [f64::NAN; 2]
    });
    let bars = [Bar::AtLeast(3.0, Some(5.0)), Bar::None];
    for (n, (role, ours)) in
        [("responder", responder), ("initiator", initiator)].into_iter().enumerate()
    {
        let what = format!("main + quick mode + delete, guide's suite, {role}");
        print("ike", &what, time(ours), 1e9 / ours, "/CPU s", Bar::None);
        let how = format!("{} / charon {}", time(ours), time(charon[n]));
        print("ike", what, how, charon[n] / ours, "x", bars[n]);
    }
}
