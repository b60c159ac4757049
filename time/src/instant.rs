use core::fmt;
use core::ops::{Add, AddAssign, Sub};
use core::time::Duration;

/// A moment: microseconds since an epoch that the caller picks.
///
/// There is no `now()`. Arithmetic saturates at both ends, so no input makes it panic; the last
/// representable instant is some 584,000 years after the epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// The caller's epoch.
    pub const EPOCH: Self = Self(0);

    /// The instant `micros` microseconds after the epoch.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// The instant `millis` milliseconds after the epoch.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1_000))
    }

    /// The instant `secs` seconds after the epoch.
    #[must_use]
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(1_000_000))
    }

    /// Microseconds since the epoch.
    #[must_use]
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// How long ago `earlier` was, zero if it is still to come.
    #[must_use]
    pub const fn saturating_duration_since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(micros))
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, duration: Duration) {
        *self = *self + duration;
    }
}

impl Sub<Duration> for Instant {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        Self(self.0.saturating_sub(micros))
    }
}

/// Seconds and microseconds since the epoch: `12.345678`.
impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since_epoch = self.saturating_duration_since(Self::EPOCH);
        write!(f, "{}.{:06}", since_epoch.as_secs(), since_epoch.subsec_micros())
    }
}

/// Contract rule 1: if the time given goes back, the latest seen counts.
///
/// Every endpoint passes each `now` that it is given through one of these.
#[derive(Clone, Copy, Debug)]
pub struct LatestSeen(Instant);

impl LatestSeen {
    /// Starts at `now`.
    #[must_use]
    pub const fn new(now: Instant) -> Self {
        Self(now)
    }

    /// Takes the caller's time in and returns the time that counts.
    pub fn observe(&mut self, now: Instant) -> Instant {
        self.0 = self.0.max(now);
        self.0
    }

    /// The latest time seen.
    #[must_use]
    pub const fn get(&self) -> Instant {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn arithmetic_saturates_at_both_ends() {
        let last = Instant::from_micros(u64::MAX);
        assert_eq!(last + Duration::from_secs(1), last);
        assert_eq!(Instant::EPOCH + Duration::MAX, last);
        assert_eq!(Instant::EPOCH - Duration::from_secs(1), Instant::EPOCH);
        assert_eq!(Instant::from_secs(u64::MAX), last);
        assert_eq!(Instant::EPOCH.saturating_duration_since(last), Duration::ZERO);
    }

    #[test]
    fn add_then_measure_gives_the_duration_back() {
        let start = Instant::from_millis(1_500);
        let later = start + Duration::from_micros(2_250_001);
        assert_eq!(later.saturating_duration_since(start), Duration::from_micros(2_250_001));
        assert_eq!(later.to_string(), "3.750001");
    }

    #[test]
    fn time_that_goes_back_counts_as_the_latest_seen() {
        let mut latest = LatestSeen::new(Instant::from_secs(5));
        assert_eq!(latest.observe(Instant::from_secs(3)), Instant::from_secs(5));
        assert_eq!(latest.observe(Instant::from_secs(9)), Instant::from_secs(9));
        assert_eq!(latest.get(), Instant::from_secs(9));
    }
}
