//! The sans-IO contract as oracles, for whatever has `handle_…`, `poll_…` and `poll_timeout`.

use core::fmt::{self, Write};
use core::time::Duration;

use dmvpn_time::Instant;

use crate::memory::bounded;

/// An endpoint or a node.
pub(crate) trait Machine {
    /// Something polled.
    type Output: fmt::Debug + Clone;

    fn handle_timeout(&mut self, now: Instant);

    fn poll_timeout(&self) -> Option<Instant>;

    /// The next output of a kind, of which there are [`KINDS`](Self::KINDS).
    fn poll(&mut self, kind: usize) -> Option<Self::Output>;

    const KINDS: usize;

    /// Writes down everything that `Err(Discard)` and an early `handle_timeout` leave as it is.
    fn state(&self, now: Instant, to: &mut dyn Write);
}

/// How the owner of a machine behaves. Whatever it does, the machine does the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Driver {
    /// Calls `handle_timeout` when it is due and not else, and polls kinds in their order.
    Strict,
    /// Calls it early and twice, too, and polls in the reverse order. Every oracle is asked.
    Nervous,
}

/// A machine with its driver, and what it gave.
pub(crate) struct Driven<M: Machine> {
    pub(crate) machine: M,
    driver: Driver,
    /// A sum over all outputs with their instants, one for each kind.
    given: Vec<Sum>,
}

impl<M: Machine> Driven<M> {
    pub(crate) fn new(machine: M, driver: Driver) -> Self {
        Self { machine, driver, given: vec![Sum::default(); M::KINDS] }
    }

    /// What it gave in all: the same whatever the driver.
    pub(crate) fn given(&self) -> Vec<u64> {
        self.given.iter().map(|sum| sum.0).collect()
    }

    fn digest(&self, now: Instant) -> Sum {
        let mut sum = Sum::default();
        self.machine.state(now, &mut sum);
        sum
    }

    fn state(&self, now: Instant) -> String {
        let mut text = String::new();
        self.machine.state(now, &mut text);
        text
    }

    /// Polls everything. What comes is handed on with its kinds in order.
    pub(crate) fn drain(&mut self, now: Instant) -> Vec<M::Output> {
        let mut outputs: Vec<Vec<M::Output>> = vec![Vec::new(); M::KINDS];
        for step in 0..M::KINDS {
            let kind = match self.driver {
                Driver::Strict => step,
                Driver::Nervous => M::KINDS - 1 - step,
            };
            while let Some(output) = self.machine.poll(kind) {
                let _ = write!(self.given[kind], "{now:?}{output:?}");
                outputs[kind].push(output);
            }
        }
        if self.driver == Driver::Nervous {
            // Rule 2: all of it came at once.
            self.assert_silent("after everything was polled");
        }
        outputs.into_iter().flatten().collect()
    }

    fn assert_silent(&mut self, when: &str) {
        for kind in 0..M::KINDS {
            if let Some(output) = self.machine.poll(kind) {
                panic!("{when}: {output:?}");
            }
        }
    }

    /// Input of `len` octets; rules 4 and 5. What was caused before is polled already.
    pub(crate) fn input<R, E: fmt::Debug>(
        &mut self,
        now: Instant,
        len: usize,
        call: impl FnOnce(&mut M) -> Result<R, E>,
    ) -> Option<R> {
        self.input_unless(now, len, call, |_| false)
    }

    /// The same, but for errors that are allowed to have changed something.
    pub(crate) fn input_unless<R, E: fmt::Debug>(
        &mut self,
        now: Instant,
        len: usize,
        call: impl FnOnce(&mut M) -> Result<R, E>,
        allowed: impl FnOnce(&E) -> bool,
    ) -> Option<R> {
        let Self { machine, driver, .. } = self;
        if *driver == Driver::Strict {
            return call(machine).ok();
        }
        let before = (self.digest(now), self.machine.poll_timeout());
        let machine = &mut self.machine;
        match bounded(len, FACTOR, FIXED, || call(machine)) {
            Ok(result) => Some(result),
            Err(discard) if allowed(&discard) => None,
            Err(discard) => {
                let after = (self.digest(now), self.machine.poll_timeout());
                assert!(before == after, "{discard:?} changed the state to {}", self.state(now));
                self.assert_silent("a discarded input gave something");
                None
            }
        }
    }

    /// What its owner wants; rule 4.
    pub(crate) fn command<R>(&mut self, call: impl FnOnce(&mut M) -> R) -> R {
        let machine = &mut self.machine;
        bounded(0, 0, FIXED, || call(machine))
    }

    /// What does nothing observable: early and again, `handle_timeout` changes nothing.
    pub(crate) fn early(&mut self, now: Instant) {
        if self.driver == Driver::Strict || self.machine.poll_timeout().is_some_and(|at| at <= now)
        {
            return;
        }
        let before = (self.digest(now), self.machine.poll_timeout());
        let text = if verbose() { self.state(now) } else { String::new() };
        self.machine.handle_timeout(now);
        let after = (self.digest(now), self.machine.poll_timeout());
        assert!(before == after, "early: {before:?} {after:?}\n{text}\n{}", self.state(now));
        self.assert_silent("an early handle_timeout gave something");
    }

    /// Fires what is due by `now`.
    pub(crate) fn due(&mut self, now: Instant) -> Vec<M::Output> {
        if self.machine.poll_timeout().is_none_or(|at| at > now) {
            self.early(now);
            return Vec::new();
        }
        let machine = &mut self.machine;
        // Rule 4: no input at all.
        bounded(0, 0, FIXED, || machine.handle_timeout(now));
        let outputs = self.drain(now);
        // Else its owner would never sleep.
        let next = self.machine.poll_timeout();
        assert!(next.is_none_or(|at| at > now), "{next:?} is still due at {now:?}");
        self.early(now);
        outputs
    }

    /// The next instant to wake at, up to `end`: what is due, or for the nervous something before.
    pub(crate) fn wake(&self, now: Instant, end: Instant) -> Instant {
        let due = self.machine.poll_timeout().map_or(end, |at| at.min(end)).max(now);
        match self.driver {
            Driver::Strict => due,
            Driver::Nervous => {
                let half = due.saturating_duration_since(now) / 2;
                // Never for ever.
                if half > Duration::from_millis(700) { now + half } else { due }
            }
        }
    }
}

fn verbose() -> bool {
    std::env::var_os("DMVPN_FUZZ_VERBOSE").is_some()
}

/// Octets of memory for an octet of input, and beside: a negotiation and its answer.
const FACTOR: u64 = 256;
const FIXED: u64 = 128 * 1024;

/// FNV-1a over text, so that a state of many thousand characters is never kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sum(u64);

impl Default for Sum {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Write for Sum {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for octet in text.bytes() {
            self.0 = (self.0 ^ u64::from(octet)).wrapping_mul(0x0100_0000_01b3);
        }
        Ok(())
    }
}
