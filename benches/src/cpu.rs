//! CPU time of this thread: what others do on the machine does not count.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// CPU time that this thread has used.
pub fn now() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.cast_unsigned(), time.tv_nsec as u32)
}

/// What a call returned, and its CPU time.
pub fn timed<R>(call: impl FnOnce() -> R) -> (R, Duration) {
    let before = now();
    let result = call();
    (result, now() - before)
}
