use crate::Instant;

/// Converts `std` instants, which the embedder reads, to [`Instant`]s and back.
///
/// The clock never reads the time itself.
#[derive(Clone, Copy, Debug)]
pub struct StdClock {
    epoch: std::time::Instant,
}

impl StdClock {
    /// A clock whose epoch is `epoch`, an instant that the embedder read.
    #[must_use]
    pub const fn new(epoch: std::time::Instant) -> Self {
        Self { epoch }
    }

    /// The same moment on our scale; moments before the epoch count as the epoch.
    #[must_use]
    pub fn instant(&self, std: std::time::Instant) -> Instant {
        Instant::EPOCH + std.saturating_duration_since(self.epoch)
    }

    /// How long to sleep from `std` until `deadline`, zero if it has passed.
    #[must_use]
    pub fn sleep(&self, std: std::time::Instant, deadline: Instant) -> core::time::Duration {
        deadline.saturating_duration_since(self.instant(std))
    }
}
