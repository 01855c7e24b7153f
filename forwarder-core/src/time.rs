//! The core's clock: a point in time is a number that the caller passes in.

use std::ops::{Add, Sub};
use std::time::Duration;

/// Microseconds since an arbitrary moment, monotonic. Only shells read a clock.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Instant {
    micros: u64,
}

impl Instant {
    /// The arbitrary moment itself.
    pub const ZERO: Instant = Instant { micros: 0 };

    /// From microseconds since [`Instant::ZERO`].
    pub const fn from_micros(micros: u64) -> Self {
        Instant { micros }
    }

    /// From seconds since [`Instant::ZERO`].
    pub const fn from_secs(secs: u64) -> Self {
        Instant {
            micros: secs * 1_000_000,
        }
    }

    /// Microseconds since [`Instant::ZERO`].
    pub const fn as_micros(self) -> u64 {
        self.micros
    }

    /// Time since `earlier`; zero where `earlier` is later.
    pub fn since(self, earlier: Instant) -> Duration {
        Duration::from_micros(self.micros.saturating_sub(earlier.micros))
    }
}

impl Add<Duration> for Instant {
    type Output = Instant;
    fn add(self, rhs: Duration) -> Instant {
        let micros = u64::try_from(rhs.as_micros()).unwrap_or(u64::MAX);
        Instant {
            micros: self.micros.saturating_add(micros),
        }
    }
}

impl Sub<Instant> for Instant {
    type Output = Duration;
    fn sub(self, rhs: Instant) -> Duration {
        self.since(rhs)
    }
}
