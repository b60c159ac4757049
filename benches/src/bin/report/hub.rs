//! What a hub costs, by how many spokes it has.

use dmvpn_benches::hub::Costs;
use dmvpn_benches::measure::Effort;
use dmvpn_benches::suite::Suite;

use crate::row::{Bar, print, time};

/// Each kind of cost: its name, the cost, and whether there is a bar for its growth.
type Kind = (&'static str, fn(&Costs) -> f64, bool);

const KINDS: [Kind; 13] = [
    ("send 1400 B", |costs| costs.send[0], true),
    ("send 64 B", |costs| costs.send[1], false),
    ("send in batches, 1400 B", |costs| costs.send_batch[0], true),
    ("send in batches, 64 B", |costs| costs.send_batch[1], false),
    ("copy of multicast, per spoke, 1400 B", |costs| costs.copy[0], false),
    ("copy of multicast, per spoke, 64 B", |costs| costs.copy[1], false),
    ("receive 1400 B", |costs| costs.receive[0], true),
    ("receive 64 B", |costs| costs.receive[1], false),
    ("receive in batches, 1400 B", |costs| costs.receive_batch[0], true),
    ("receive in batches, 64 B", |costs| costs.receive_batch[1], false),
    ("DPD answered", |costs| costs.dead_peer_detection, false),
    ("re-registration", |costs| costs.registration, false),
    ("timer", |costs| costs.timer, true),
];

/// A thousand spokes, ten thousand, and as many as there is time for.
pub fn measure(effort: Effort) {
    for suite in [Suite::Guide, Suite::Gcm] {
        let sizes = [1_000, 10_000, 100_000];
        let costs: Vec<Costs> = sizes
            .into_iter()
            .filter(|size| *size <= effort.spokes)
            .map(|size| Costs::of(suite, size))
            .collect();
        for costs in &costs {
            figures(suite, costs);
        }
        if let [first, .., last] = costs.as_slice() {
            growth(suite, first, last);
        }
    }
}

fn figures(suite: Suite, costs: &Costs) {
    let (suite, spokes) = (suite.name(), costs.spokes);
    for (name, cost, _) in KINDS {
        let what = format!("{name}, {suite}, {spokes} spokes");
        print("hub", what, "", cost(costs) / 1e3, "us", Bar::None);
    }
    let what = format!("memory per spoke, {suite}, {spokes} spokes");
    print("hub", what, "heap", costs.octets, "B", Bar::AtMost(6144.0, Some(3072.0)));
    let seconds = costs.cold_start.as_secs_f64();
    let each = time(costs.cold_start.as_nanos() as f64 / f64::from(spokes));
    let bar = if spokes == 100_000 { Bar::AtMost(90.0, Some(60.0)) } else { Bar::None };
    let what = format!("cold start to registered, {suite}, {spokes} spokes");
    print("hub", what, format!("{each} each"), seconds, "CPU s", bar);
}

fn growth(suite: Suite, first: &Costs, last: &Costs) {
    for (name, cost, bars) in KINDS {
        let what =
            format!("{name}, {}, {} over {} spokes", suite.name(), last.spokes, first.spokes);
        let how = format!("{} / {}", time(cost(last)), time(cost(first)));
        let bar = if bars { Bar::AtMost(2.0, Some(1.4)) } else { Bar::None };
        print("hub", what, how, cost(last) / cost(first), "x", bar);
    }
}
