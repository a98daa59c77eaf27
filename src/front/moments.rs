//! Durations and moments as JSON has them.

use std::time::{Duration, SystemTime};

/// Milliseconds. From whole nanoseconds, so that 420 us is 0.42 and not 0.42000000000000004.
pub(super) fn milliseconds(duration: Duration) -> f64 {
    duration.as_nanos() as f64 / 1e6
}

/// Milliseconds of Unix time; `None` before 1970.
pub(super) fn unix_ms(time: SystemTime) -> Option<u64> {
    u64::try_from(time.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_millis()).ok()
}
