//! A few hundred clouds, the same each time; a campaign tries others.

extern crate alloc;

use dmvpn_sim::{Crypto, Nodes, Operation, Scenario, Wishes, run, shrink};

fn campaign(seeds: core::ops::Range<u64>, wishes: Wishes) {
    let count = seeds.end - seeds.start;
    let (mut spokes, mut delivered) = (0, 0);
    for seed in seeds {
        let scenario = Scenario::from_seed(seed, wishes);
        match run(&scenario, &Nodes::default()) {
            Ok(report) => {
                spokes += report.spokes as u64;
                delivered += report.counts.delivered;
                assert!(report.converged <= scenario.bound());
            }
            Err(broken) => {
                let replay = shrink(&scenario, &broken, &Nodes::default(), 200);
                panic!("{broken}\nshortest: {}\n{}", replay.broken, replay.scenario);
            }
        }
    }
    assert!(spokes >= count, "there are spokes");
    assert!(delivered > 100 * count, "packets come out of tunnels");
}

#[test]
fn nothing_breaks_under_null_cryptography() {
    campaign(0..240, Wishes { spokes: 20, ..Wishes::default() });
}

#[test]
fn nothing_breaks_under_real_cryptography() {
    campaign(1_000_000..1_000_008, Wishes { crypto: Crypto::Real, spokes: 5, exactly: false });
}

#[test]
fn a_seed_is_a_scenario_is_a_run() {
    let scenario = Scenario::from_seed(301, Wishes::default());
    assert_eq!(scenario, Scenario::from_seed(301, Wishes::default()));
    assert_ne!(scenario, Scenario::from_seed(302, Wishes::default()));
    let twice = [(); 2].map(|()| run(&scenario, &Nodes::default()));
    assert_eq!(twice[0], twice[1]);
}

/// A small campaign tries every kind of operation.
#[test]
fn every_operation_occurs() {
    let mut seen = alloc::collections::BTreeSet::new();
    for seed in 0..200 {
        for (_, operation) in Scenario::from_seed(seed, Wishes::default()).operations {
            let name = operation.to_string();
            seen.insert(name.split(' ').next().map(str::to_owned));
            if let Operation::Restart { same_dice: true, .. } = operation {
                seen.insert(Some("Restored".to_owned()));
            }
        }
    }
    assert_eq!(seen.len(), 14, "{seen:?}");
}
