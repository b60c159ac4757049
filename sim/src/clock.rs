//! A router's own clock: it started at another time, and it runs at another pace.

use core::time::Duration;

use dmvpn_core::Instant;

/// A million parts.
const MILLION: u128 = 1_000_000;

/// Turns the cloud's time into a router's and back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    /// What the router's clock shows when the cloud starts.
    pub start: Instant,
    /// By how many parts in a million it runs fast; slow if negative. More than -1,000,000.
    pub drift: i32,
}

impl Clock {
    fn pace(self) -> u128 {
        u128::try_from(i64::from(self.drift).saturating_add(1_000_000)).unwrap_or(1).max(1)
    }

    /// What the router's clock shows so long after the cloud started.
    #[must_use]
    pub fn local(self, elapsed: Duration) -> Instant {
        let micros = elapsed.as_micros().saturating_mul(self.pace()) / MILLION;
        self.start + Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }

    /// How long after the cloud's start the router's clock reaches `local`: the first moment that
    /// is not before it.
    #[must_use]
    pub fn elapsed(self, local: Instant) -> Duration {
        let micros = local.saturating_duration_since(self.start).as_micros();
        let elapsed = micros.saturating_mul(MILLION).div_ceil(self.pace());
        Duration::from_micros(u64::try_from(elapsed).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back_never_wakes_too_early() {
        for drift in [-50_000, -1, 0, 1, 37, 200_000] {
            let clock = Clock { start: Instant::from_secs(1_000), drift };
            for micros in [0, 1, 2, 999_999, 1_000_003, 86_400_000_001] {
                let deadline = clock.start + Duration::from_micros(micros);
                let at = clock.elapsed(deadline);
                assert!(clock.local(at) >= deadline, "{drift} {micros}");
                if let Some(before) = at.checked_sub(Duration::from_micros(2)) {
                    assert!(clock.local(before) < deadline, "{drift} {micros}");
                }
            }
        }
    }

    #[test]
    fn a_fast_clock_shows_more() {
        let clock = Clock { start: Instant::EPOCH, drift: 10_000 };
        assert_eq!(clock.local(Duration::from_secs(100)), Instant::from_secs(101));
    }
}
