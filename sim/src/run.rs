//! A scenario from its start to rest, and what must hold at its end.

use core::time::Duration;

use crate::broken::{Broken, Invariant};
use crate::cloud::{Cloud, Counts, Factory};
use crate::router::Tables;
use crate::scenario::Scenario;

/// What a scenario without a broken invariant came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Spokes that were there.
    pub spokes: usize,
    /// How long after the last fault all reached each other.
    pub converged: Duration,
    /// How long the cloud was watched.
    pub watched: Duration,
    /// What was counted.
    pub counts: Counts,
}

/// Between two rounds of probes.
const ROUND: Duration = Duration::from_secs(10);
/// How long a probe may take.
const PROBE: Duration = Duration::from_secs(3);
/// How long SAs may be on their way out: a replaced pair's grace, and that of another.
const RESTLESS: Duration = Duration::from_secs(120);
/// So many rounds without a loss are peace.
const PEACE: usize = 2;

/// Runs a scenario to its end.
///
/// # Errors
/// The first invariant that breaks.
pub fn run(scenario: &Scenario, factory: &dyn Factory) -> Result<Report, Broken> {
    run_traced(scenario, factory, false).0
}

/// As [`run`], with the routers' debug output.
pub fn run_traced(
    scenario: &Scenario,
    factory: &dyn Factory,
    trace: bool,
) -> (Result<Report, Broken>, Vec<String>) {
    let mut cloud = Cloud::new(scenario, factory);
    if trace {
        cloud.trace();
    }
    let outcome = Run { scenario, cloud: &mut cloud, probed: 0 }.all();
    (outcome, cloud.take_debug())
}

struct Run<'r, 's> {
    scenario: &'s Scenario,
    cloud: &'r mut Cloud<'s>,
    /// Rounds of probes. After every other it is another site's turn to compare its tables.
    probed: usize,
}

impl Run<'_, '_> {
    fn all(&mut self) -> Result<Report, Broken> {
        let last = self.scenario.last_fault();
        self.cloud.run_until(last)?;
        self.check_tables()?;
        let converged = self.converge(last)?;
        self.calm_down(last + self.scenario.bound())?;
        let rest = self.cloud.now() + self.scenario.lifetimes();
        self.stay(rest)?;
        self.check_multicast()?;
        self.check_tables()?;
        self.come_to_rest()?;
        Ok(Report {
            spokes: self.scenario.spokes().count(),
            converged,
            watched: self.cloud.now(),
            counts: *self.cloud.counts(),
        })
    }

    fn breaks(&self, what: Invariant) -> Broken {
        Broken { at: self.cloud.now(), what }
    }

    /// Hub and spoke of each tunnel whose ends are there.
    fn pairs(&self) -> Vec<(usize, usize)> {
        let hubs = 0..self.scenario.hubs;
        let live = |site: &usize| self.cloud.is_live(*site);
        hubs.filter(live)
            .flat_map(|hub| self.scenario.spokes().filter(live).map(move |spoke| (hub, spoke)))
            .collect()
    }

    /// Sends a probe each way between hub and spoke of each tunnel; who is not reached?
    fn probe(&mut self, pairs: &[(usize, usize)]) -> Result<Vec<(usize, usize)>, Broken> {
        let mut probes = Vec::with_capacity(pairs.len() * 2);
        for (hub, spoke) in pairs {
            for (from, to) in [(*spoke, *hub), (*hub, *spoke)] {
                probes.push((from, to, self.cloud.send(from, to, 0)));
            }
        }
        self.cloud.run_until(self.cloud.now() + PROBE)?;
        self.probed += 1;
        if self.probed.is_multiple_of(2) {
            self.cloud.check_site(self.probed / 2 % self.scenario.sites.len())?;
        }
        let lost =
            probes.into_iter().filter(|(_, to, number)| !self.cloud.has_arrived(*number, *to));
        Ok(lost.map(|(from, to, _)| (from, to)).collect())
    }

    /// Probes until all reach each other.
    fn converge(&mut self, last: Duration) -> Result<Duration, Broken> {
        let bound = self.scenario.bound();
        let mut rounds = 0;
        let mut converged = Duration::ZERO;
        loop {
            let pairs = self.pairs();
            let start = self.cloud.now();
            let lost = self.probe(&pairs)?;
            let since = start.saturating_sub(last);
            if let Some((from, to)) = lost.first() {
                rounds = 0;
                if since > bound {
                    let (from, to) = (*from, *to);
                    let state = self.describe(from, to);
                    let what = Invariant::NotConverged { bound, from, to, state };
                    return Err(self.breaks(what));
                }
            } else {
                if rounds == 0 {
                    converged = since;
                }
                rounds += 1;
                if rounds == PEACE {
                    return Ok(converged);
                }
            }
            self.cloud.run_until(start + ROUND)?;
        }
    }

    /// What a fault broke may show later: an SA whose renegotiation failed, a delete that was lost.
    /// Until the bound has passed that may cost packets; from then on nothing may.
    fn calm_down(&mut self, end: Duration) -> Result<(), Broken> {
        while self.cloud.now() < end {
            let start = self.cloud.now();
            let pairs = self.pairs();
            self.probe(&pairs)?;
            self.cloud.run_until(start + ROUND)?;
        }
        Ok(())
    }

    /// What two sites know, for the report.
    fn describe(&self, from: usize, to: usize) -> String {
        [from, to].into_iter().fold(String::new(), |text, site| {
            let Some(router) = self.cloud.router(site) else { return text };
            let Tables { peers, bindings, .. } = router.tables();
            let registered = router.is_registered();
            format!(
                "{text}\n  site {site}: registered {registered}, peers {peers:?}, bindings {bindings:?}"
            )
        })
    }

    /// Nothing happens any more, but lifetimes pass and SAs are replaced: nothing may be lost.
    fn stay(&mut self, until: Duration) -> Result<(), Broken> {
        let pairs = self.pairs();
        let mut round = 0_usize;
        while self.cloud.now() < until {
            let start = self.cloud.now();
            // Some of many, so that a large cloud is not all probes.
            let some: Vec<_> = pairs.iter().skip(round % 4).step_by(4).copied().collect();
            round += 1;
            let lost = self.probe(&some)?;
            if let Some((from, to)) = lost.first() {
                return Err(self.breaks(Invariant::LostInPeace { from: *from, to: *to }));
            }
            self.cloud.run_until(start + ROUND)?;
        }
        Ok(())
    }

    fn check_multicast(&mut self) -> Result<(), Broken> {
        let pairs = self.pairs();
        let hubs: Vec<usize> =
            (0..self.scenario.hubs).filter(|hub| self.cloud.is_live(*hub)).collect();
        for hub in hubs {
            let number = self.cloud.multicast(hub);
            self.cloud.run_until(self.cloud.now() + PROBE)?;
            for (_, spoke) in pairs.iter().filter(|(other, _)| *other == hub) {
                // Twice would have broken another invariant.
                if !self.cloud.has_arrived(number, *spoke) {
                    let what = Invariant::Multicast { hub, spoke: *spoke, times: 0 };
                    return Err(self.breaks(what));
                }
            }
        }
        Ok(())
    }

    fn check_tables(&mut self) -> Result<(), Broken> {
        self.cloud.catch_up()?;
        (0..self.scenario.sites.len()).try_for_each(|site| self.cloud.check_site(site))
    }

    /// Waits for a moment at which no SA is being replaced.
    fn come_to_rest(&mut self) -> Result<(), Broken> {
        let most = self.cloud.now() + RESTLESS;
        loop {
            match self.check_rest() {
                Err(_) if self.cloud.now() < most => {
                    self.cloud.run_until(self.cloud.now() + ROUND)?;
                }
                outcome => return outcome,
            }
        }
    }

    /// At rest there is what there should be, and nothing else.
    fn check_rest(&self) -> Result<(), Broken> {
        let spokes = self.scenario.spokes().filter(|spoke| self.cloud.is_live(*spoke)).count();
        for site in 0..self.scenario.sites.len() {
            let Some(router) = self.cloud.router(site) else { continue };
            let Tables { peers, bindings, phase1, .. } = router.tables();
            let is_hub = site < self.scenario.hubs;
            let ends = if is_hub { spokes } else { self.scenario.hubs };
            let exactly = |what, have, want| {
                if have == want {
                    return Ok(());
                }
                Err(self.breaks(Invariant::Untidy { site, what, have, want }))
            };
            let at_most = |what, have: usize, want: usize| exactly(what, have.max(want), want);
            exactly("peers", peers.len(), ends)?;
            exactly("sessions", router.sizes().sessions, ends)?;
            exactly("bindings", bindings.len(), if is_hub { spokes } else { 0 })?;
            at_most("phase 1", phase1, ends * 2)?;
            for peer in &peers {
                exactly("current pairs with a peer", peer.current, 1)?;
                at_most("pairs with a peer", peer.pairs, 3)?;
            }
        }
        Ok(())
    }
}
