//! Waiting for a condition instead of sleeping for luck.

use std::time::{Duration, Instant};

/// Deadline for what takes milliseconds on an idle machine. It costs nothing
/// where the condition comes true, so it allows for a very busy one.
pub const SHORT: Duration = Duration::from_secs(10);

/// Deadline for what has to wait for timers or large tables.
pub const LONG: Duration = Duration::from_secs(60);

/// Between two looks: short, since most conditions come true within
/// milliseconds, and longer as time goes by.
const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LAST_PAUSE: Duration = Duration::from_millis(50);

/// Calls `probe` until it returns `Ok`. Its error is what it saw instead of
/// what it wants; the last one is repeated when the time is up.
///
/// # Errors
/// `what` did not come about within `deadline`.
pub fn wait_for<T>(
    deadline: Duration,
    what: &str,
    mut probe: impl FnMut() -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let deadline = deadline * patience();
    let end = Instant::now() + deadline;
    let mut pause = FIRST_PAUSE;
    loop {
        // Asked before the probe, so that a slow probe gets its last look.
        let last_look = Instant::now() >= end;
        match probe() {
            Ok(value) => return Ok(value),
            Err(seen) if last_look => {
                anyhow::bail!("waited {deadline:?} for {what}; last seen: {seen:#}")
            }
            Err(_) => std::thread::sleep(pause),
        }
        pause = (pause * 2).min(LAST_PAUSE);
    }
}

/// How many times as long every deadline is: `FORWARDER_LAB_PATIENCE`, for
/// machines that are emulated. For what a test itself bounds.
#[must_use]
pub fn patience() -> u32 {
    let variable = std::env::var("FORWARDER_LAB_PATIENCE").ok();
    variable.and_then(|text| text.parse().ok()).unwrap_or(1)
}
