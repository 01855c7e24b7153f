//! Lets changes of the route database gather before they are pulled.
//!
//! A pull costs some microseconds, whether it brings one change or a hundred.
//! The first change after a quiet time is pulled at once; while changes keep
//! coming they are pulled together, [`GAP`] apart. Tokio's timers are of
//! milliseconds, so this one is the kernel's.

use std::io;
use std::os::fd::{AsFd as _, AsRawFd, RawFd};
use std::time::{Duration, Instant};

use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use tokio::io::unix::AsyncFd;

/// Between two pulls: a third of the millisecond within which a packet is to take
/// a changed route.
const GAP: Duration = Duration::from_micros(300);

/// When the next pull is due.
pub(super) struct Pace {
    timer: AsyncFd<Timer>,
    last: Option<Instant>,
    armed: bool,
}

struct Timer(TimerFd);

impl AsRawFd for Timer {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

/// For the runtime to watch.
#[expect(
    deprecated,
    reason = "what replaces it is unsafe; the timer is closed after its watcher"
)]
fn watched(timer: Timer) -> io::Result<AsyncFd<Timer>> {
    AsyncFd::new(timer)
}

impl Pace {
    /// The first pull is due at once.
    pub(super) fn new() -> io::Result<Pace> {
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?;
        Ok(Pace {
            timer: watched(Timer(timer))?,
            last: None,
            armed: false,
        })
    }

    /// Waits until the next pull is due. May be dropped and asked again.
    pub(super) async fn due(&mut self) -> io::Result<()> {
        let passed = self.last.map_or(GAP, |last| last.elapsed());
        let Some(left) = GAP.checked_sub(passed).filter(|left| !left.is_zero()) else {
            return Ok(());
        };
        if !self.armed {
            let once = Expiration::OneShot(TimeSpec::from_duration(left));
            let timer = &self.timer.get_ref().0;
            timer.set(once, TimerSetTimeFlags::empty())?;
            self.armed = true;
        }
        loop {
            let mut ready = self.timer.readable().await?;
            let mut expirations = [0; 8];
            let read = |timer: &AsyncFd<Timer>| {
                let timer = timer.get_ref().0.as_fd();
                Ok(nix::unistd::read(timer, &mut expirations).map(drop)?)
            };
            if let Ok(result) = ready.try_io(read) {
                self.armed = false;
                return result;
            }
        }
    }

    /// A pull has been made.
    pub(super) fn pulled(&mut self) {
        self.last = Some(Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_is_due_at_once_and_the_next_after_the_gap() {
        let mut pace = Pace::new().expect("a timer");
        let start = Instant::now();
        for pull in 0..10_u32 {
            pace.due().await.expect("due");
            assert!(start.elapsed() >= GAP * pull, "pull {pull} came early");
            pace.pulled();
        }
    }

    #[tokio::test]
    async fn a_wait_that_was_given_up_goes_on() {
        let mut pace = Pace::new().expect("a timer");
        pace.pulled();
        let last = pace.last.expect("just pulled");
        for _ in 0..3 {
            // Polled once, armed, and dropped.
            let _ = futures::FutureExt::now_or_never(pace.due());
        }
        pace.due().await.expect("due");
        assert!(last.elapsed() >= GAP, "it came early");
    }
}
