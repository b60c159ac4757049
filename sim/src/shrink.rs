//! The shortest replay of what broke.

use crate::broken::{Broken, Invariant};
use crate::cloud::Factory;
use crate::run::run;
use crate::scenario::Scenario;

/// A shorter scenario that breaks the same invariant.
#[derive(Clone, Debug)]
pub struct Replay {
    /// What is left of the scenario.
    pub scenario: Scenario,
    /// What it breaks.
    pub broken: Broken,
    /// Which of the seed's operations are left, by their number.
    pub kept: Vec<usize>,
}

/// Takes operations and spokes out of a scenario as long as the same invariant breaks: halves
/// first, then quarters, and so on, then one by one until nothing more can be spared.
///
/// `runs` is how many runs it may take.
#[must_use]
pub fn shrink(scenario: &Scenario, broken: &Broken, factory: &dyn Factory, runs: usize) -> Replay {
    let kept: Vec<usize> = (0..scenario.operations.len()).collect();
    let best = Replay { scenario: scenario.clone(), broken: broken.clone(), kept };
    let mut search = Search { original: scenario, factory, runs, best };
    loop {
        let before = (search.best.kept.len(), search.best.scenario.absent.len());
        search.spokes();
        search.operations();
        if before == (search.best.kept.len(), search.best.scenario.absent.len()) {
            return search.best;
        }
    }
}

struct Search<'a> {
    original: &'a Scenario,
    factory: &'a dyn Factory,
    runs: usize,
    best: Replay,
}

impl Search<'_> {
    fn operations(&mut self) {
        let mut size = self.best.kept.len().div_ceil(2);
        while size > 0 {
            let mut at = 0;
            while at < self.best.kept.len() {
                let mut kept = self.best.kept.clone();
                kept.drain(at..(at + size).min(kept.len()));
                let absent = self.best.scenario.absent.clone();
                if !self.attempt(kept, absent) {
                    at += size;
                }
            }
            size /= 2;
        }
    }

    fn spokes(&mut self) {
        let mut size = self.best.scenario.spokes().count().div_ceil(2);
        while size > 0 {
            let mut at = 0;
            loop {
                let present: Vec<usize> = self.best.scenario.spokes().collect();
                let Some(some) = present.get(at..(at + size).min(present.len())) else { break };
                // One of them must be left.
                if some.is_empty() || some.len() == present.len() {
                    break;
                }
                let mut absent = self.best.scenario.absent.clone();
                absent.extend(some);
                let kept = self.best.kept.clone();
                if !self.attempt(kept, absent) {
                    at += size;
                }
            }
            size /= 2;
        }
    }

    fn attempt(&mut self, kept: Vec<usize>, absent: alloc::collections::BTreeSet<usize>) -> bool {
        let Some(runs) = self.runs.checked_sub(1) else { return false };
        self.runs = runs;
        let scenario = self.original.only(&kept, absent);
        match run(&scenario, self.factory) {
            Err(broken) if same(&broken.what, &self.best.broken.what) => {
                self.best = Replay { scenario, broken, kept };
                true
            }
            Ok(_) | Err(_) => false,
        }
    }
}

/// Whether two are the same invariant, whatever the sites.
fn same(one: &Invariant, other: &Invariant) -> bool {
    match (one, other) {
        (Invariant::Untidy { what: one, .. }, Invariant::Untidy { what: other, .. }) => {
            one == other
        }
        _ => core::mem::discriminant(one) == core::mem::discriminant(other),
    }
}
