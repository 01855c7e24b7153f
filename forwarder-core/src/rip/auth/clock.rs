//! The time of day, which lifetimes and sequence numbers are made of. The
//! engine's own clock knows nothing of it: the driver says what a wall clock
//! showed at some moment, and again when somebody has set it.

use crate::time::Instant;

/// Seconds since 1970-01-01 00:00 UTC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct UnixTime(pub u64);

/// Sequence numbers run this far ahead of the clock, then repeat until it has
/// caught up: who sends large tables uses more than one a second, and must
/// neither run out of them nor be locked out for longer if they are lost.
const LEAD: u32 = 3600;

/// The time of day, and the sequence numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::rip) struct Clock {
    told: (Instant, UnixTime),
    /// The last number used, by this process or the one before.
    sequence: u32,
}

impl Clock {
    /// The number is the last one that was used before.
    pub(in crate::rip) fn new(sequence: u32) -> Self {
        let told = (Instant::ZERO, UnixTime(0));
        Clock { told, sequence }
    }

    /// At `now` a wall clock showed `time`.
    pub(in crate::rip) fn set(&mut self, now: Instant, time: UnixTime) {
        self.told = (now, time);
    }

    pub(in crate::rip) fn time(&self, now: Instant) -> UnixTime {
        let (at, time) = self.told;
        UnixTime(time.0.saturating_add(now.since(at).as_secs()))
    }

    /// The number of the next packet: never lower than one before (RFC 2082
    /// §3.2.2), and after a restart higher, even where the last one is lost.
    pub(in crate::rip) fn next_sequence(&mut self, now: Instant) -> u32 {
        let time = u32::try_from(self.time(now).0).unwrap_or(u32::MAX);
        if self.sequence < time.saturating_add(LEAD) {
            self.sequence = time.max(self.sequence.saturating_add(1));
        }
        self.sequence
    }

    pub(in crate::rip) fn sequence(&self) -> u32 {
        self.sequence
    }
}
