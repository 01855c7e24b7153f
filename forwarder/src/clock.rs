//! The one place that reads clocks for the core.

use std::sync::OnceLock;
use std::time::{Instant as StdInstant, SystemTime, UNIX_EPOCH};

use forwarder_core::rip::UnixTime;
use forwarder_core::time::Instant;

/// Now, on the core's clock: microseconds since the daemon first asked, and an
/// hour, so that "an hour ago" exists.
pub fn now() -> Instant {
    static START: OnceLock<StdInstant> = OnceLock::new();
    let elapsed = START.get_or_init(StdInstant::now).elapsed();
    Instant::from_secs(3600) + elapsed
}

/// The time of day; 1970 where the clock is set before that.
pub fn time_of_day() -> UnixTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    UnixTime(since.unwrap_or_default().as_secs())
}

/// The same moment on tokio's clock, for sleeping until a deadline.
pub fn deadline(at: Instant) -> tokio::time::Instant {
    tokio::time::Instant::now() + at.since(now())
}
