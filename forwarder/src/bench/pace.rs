//! Where a paced run is, and whether it still moves. No I/O.

use std::time::{Duration, Instant};

use super::Count;

/// With a full window and no arrival for so long, what is under way is lost.
const PATIENCE: Duration = Duration::from_millis(100);
/// Windows lost one after the other until the path counts as dead.
const MAX_LOST_WINDOWS: u32 = 5;

/// Follows one generator and one sink.
pub(super) struct Pace {
    first: u64,
    sent: u64,
    base: Count,
    counted: Count,
    last_move: Instant,
    lost_windows: u32,
}

impl Pace {
    /// `sent` is the number of the next frame; `counted` what the sink has seen.
    pub(super) fn new(sent: u64, counted: Count) -> Self {
        let now = Instant::now();
        Self {
            first: sent,
            sent,
            base: counted,
            counted,
            last_move: now,
            lost_windows: 0,
        }
    }

    pub(super) fn sent(&self) -> u64 {
        self.sent
    }

    pub(super) fn counted(&self) -> Count {
        self.counted
    }

    pub(super) fn goes_on_to(&self, end: u64) -> bool {
        self.sent < end && self.lost_windows < MAX_LOST_WINDOWS
    }

    /// Notes what has been sent and counted by now.
    pub(super) fn note(&mut self, sent: u64, counted: Count) {
        let now = Instant::now();
        if counted != self.counted {
            self.counted = counted;
            self.last_move = now;
            self.lost_windows = 0;
        }
        if sent != self.sent {
            self.sent = sent;
            self.last_move = now;
        }
    }

    /// True once each time that nothing has moved for too long.
    pub(super) fn has_lost_a_window(&mut self) -> bool {
        let lost = self.last_move.elapsed() > PATIENCE;
        if lost {
            self.lost_windows += 1;
            self.last_move = Instant::now();
        }
        lost
    }

    /// Whether frames are still to be waited for.
    pub(super) fn is_under_way(&self) -> bool {
        let arrived = self.counted.arrived() - self.base.arrived();
        arrived < self.sent - self.first && self.last_move.elapsed() <= PATIENCE
    }
}
