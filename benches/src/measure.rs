//! Two sides in turn, on the same CPU, in the same minute: what disturbs the one disturbs the other.

use std::time::Duration;

use crate::cpu;

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// CPU time of one turn of one side.
    pub turn: Duration,
    /// Turns of each side.
    pub turns: usize,
    /// How many spokes the largest hub has.
    pub spokes: u32,
}

impl Effort {
    /// Within some minutes: for CI, and to see whether something has changed.
    pub const QUICK: Self = Self { turn: Duration::from_millis(4), turns: 11, spokes: 10_000 };
    /// What figures are quoted from.
    pub const FULL: Self = Self { turn: Duration::from_millis(10), turns: 31, spokes: 100_000 };
}

/// What two sides cost: medians, in nanoseconds for one operation.
#[derive(Clone, Copy, Debug)]
pub struct Paired {
    /// This suite.
    pub ours: f64,
    /// The yardstick.
    pub theirs: f64,
    /// How many times faster this suite is: the median of each turn's ratio.
    pub ratio: f64,
}

/// The one in the middle.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Measures two operations in turn; `each` says how many packets each call of ours and of theirs does.
pub fn paired(
    effort: Effort,
    each: (u32, u32),
    mut ours: impl FnMut(),
    mut theirs: impl FnMut(),
) -> Paired {
    let calls = (calls_in(effort.turn, &mut ours), calls_in(effort.turn, &mut theirs));
    let (mut our, mut their, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for turn in 0..effort.turns {
        let (mut a, mut b) = (0.0, 0.0);
        // Who comes first alternates.
        for side in [turn % 2, (turn + 1) % 2] {
            if side == 0 {
                a = nanoseconds(calls.0, &mut ours) / f64::from(each.0);
            } else {
                b = nanoseconds(calls.1, &mut theirs) / f64::from(each.1);
            }
        }
        our.push(a);
        their.push(b);
        ratios.push(b / a);
    }
    Paired { ours: median(our), theirs: median(their), ratio: median(ratios) }
}

/// What one operation costs, in nanoseconds: the median.
pub fn alone(effort: Effort, each: u32, mut operation: impl FnMut()) -> f64 {
    let calls = calls_in(effort.turn, &mut operation);
    let turns = (0..effort.turns).map(|_| nanoseconds(calls, &mut operation) / f64::from(each));
    median(turns.collect())
}

/// How many calls take so long.
fn calls_in(turn: Duration, operation: &mut impl FnMut()) -> u32 {
    let mut calls = 1_u32;
    loop {
        let ((), spent) = cpu::timed(|| (0..calls).for_each(|_| operation()));
        if spent * 4 >= turn || calls > 1 << 28 {
            let each = spent.as_nanos().max(1) / u128::from(calls);
            return u32::try_from(turn.as_nanos() / each.max(1)).unwrap_or(u32::MAX).max(1);
        }
        calls *= 2;
    }
}

fn nanoseconds(calls: u32, operation: &mut impl FnMut()) -> f64 {
    let ((), spent) = cpu::timed(|| (0..calls).for_each(|_| operation()));
    spent.as_nanos() as f64 / f64::from(calls)
}
