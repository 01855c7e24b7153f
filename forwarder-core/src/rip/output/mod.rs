//! What is sent on an interface, when, and how fast.
//!
//! Nothing is queued as packets: a periodic update, an answer or a farewell is
//! a position in the table, a triggered update a position in the change log,
//! and packets are made as the pace allows, from the table as it is then.
//! Changes go first, so a withdrawal never waits for a running periodic update.

mod classful;
mod send;

use std::collections::VecDeque;
use std::time::Duration;

pub(super) use send::response;

use super::auth::Clock;
use super::changes::Seq;
use super::interface::{Kind, Target};
use super::reject::Reject;
use super::rng::Rng;
use super::table::Table;
use crate::net::Family;
use crate::time::Instant;

/// So long a burst of `pace` datagrams holds.
pub(super) const SLOT: Duration = Duration::from_millis(20);

/// RFC 2453 §3.10.1: after a triggered update the next waits 1 to 5 s.
const HOLD: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(5));
/// The first full update of an interface comes within this time.
const FIRST_UPDATE: Duration = Duration::from_secs(1);
/// A farewell is said twice: nobody repeats it if it is lost.
const FAREWELLS: usize = 2;
/// Answers and farewells under way on an interface at the same time: a segment
/// on which everybody comes back after a power cut.
const MAX_JOBS: usize = 64;

/// A walk through the whole table for some listeners.
#[derive(Clone, Debug)]
struct Job<F: Family> {
    kind: Kind,
    after: Option<F::Prefix>,
    targets: Vec<Target<F>>,
}

/// What is still to be sent on an interface.
#[derive(Clone, Debug)]
pub(super) struct Output<F: Family> {
    slot_start: Instant,
    slot_used: usize,
    /// The slot had no room for all that was to be sent.
    blocked: bool,
    /// A request for the neighbours' tables.
    ask: bool,
    next_update: Instant,
    jobs: VecDeque<Job<F>>,
    /// Changes up to here have been told.
    told: Seq,
    /// Changes up to here are being told.
    telling: Seq,
    /// No triggered update starts before.
    hold_until: Instant,
}

/// What the engine lends an interface to send from.
pub(super) struct Source<'a, F: Family> {
    pub(super) now: Instant,
    pub(super) table: &'a Table<F>,
    pub(super) rng: &'a mut Rng,
    pub(super) clock: &'a mut Clock,
    /// The engine is shutting down: no new updates.
    pub(super) draining: bool,
}

/// What a packet is signed with besides the key.
pub(super) struct Stamp<'a> {
    pub(super) now: Instant,
    pub(super) clock: &'a mut Clock,
}

impl<F: Family> Source<'_, F> {
    fn stamp(&mut self) -> Stamp<'_> {
        Stamp {
            now: self.now,
            clock: self.clock,
        }
    }
}

impl<F: Family> Output<F> {
    /// For an interface that has just come up: asks at once, and tells all soon.
    pub(super) fn new(now: Instant, log_head: Seq, rng: &mut Rng) -> Self {
        Output {
            slot_start: Instant::ZERO,
            slot_used: 0,
            blocked: false,
            ask: true,
            next_update: now + rng.between(Duration::ZERO, FIRST_UPDATE),
            jobs: VecDeque::new(),
            told: log_head,
            telling: log_head,
            hold_until: Instant::ZERO,
        }
    }

    /// Asks the neighbours for their tables.
    pub(super) fn ask(&mut self) {
        self.ask = true;
    }

    /// Changes up to here have been told.
    pub(super) fn told(&self) -> Seq {
        self.told
    }

    /// When the next periodic update is due.
    pub(super) fn next_update(&self) -> Instant {
        self.next_update
    }

    /// When the next periodic update is due after the timers have changed.
    pub(super) fn reschedule(&mut self, now: Instant, update: Duration, rng: &mut Rng) {
        self.next_update = self.next_update.min(jittered(now, update, rng));
    }

    /// Tells the whole table at once.
    pub(super) fn announce(&mut self, kind: Kind, targets: Vec<Target<F>>) {
        self.jobs.push_front(Job {
            kind,
            after: None,
            targets,
        });
    }

    /// Answers a request for the whole table. A listener that asks again while
    /// his answer is under way has lost the beginning: it starts over.
    pub(super) fn answer(&mut self, kind: Kind, target: Target<F>) -> Result<(), Reject> {
        let targets = vec![target];
        let job = Job {
            kind,
            after: None,
            targets,
        };
        let same = |held: &&mut Job<F>| held.kind == kind && held.targets == job.targets;
        if let Some(present) = self.jobs.iter_mut().find(same) {
            *present = job;
        } else if self.jobs.len() < MAX_JOBS {
            self.jobs.push_back(job);
        } else {
            return Err(Reject::RequestLimit);
        }
        Ok(())
    }

    /// Takes back all that was told to these listeners.
    pub(super) fn farewell(&mut self, targets: &[Target<F>]) {
        if !targets.is_empty() {
            let job = Job {
                kind: Kind::Farewell,
                after: None,
                targets: targets.to_vec(),
            };
            self.jobs.extend(std::iter::repeat_n(job, FAREWELLS));
        }
    }

    /// Gives up everything under way.
    pub(super) fn stop(&mut self) {
        self.jobs.clear();
        self.ask = false;
        self.telling = self.told;
    }

    fn has_work(&self) -> bool {
        self.ask || self.telling > self.told || !self.jobs.is_empty()
    }

    fn has_room(&self, datagrams: usize, pace: usize) -> bool {
        self.slot_used == 0 || self.slot_used + datagrams <= pace
    }

    /// When the changes not told yet may be told; `None` where the periodic
    /// update comes first and tells them (RFC 2453 §3.10.1).
    fn trigger_at(&self, log_head: Seq) -> Option<Instant> {
        let pending = log_head > self.telling.max(self.told);
        (pending && self.next_update > self.hold_until).then_some(self.hold_until)
    }
}

/// RFC 2453 §3.8 adds up to 5 s to 30 s so that routers do not synchronise; we
/// take 15 % both ways.
fn jittered(from: Instant, update: Duration, rng: &mut Rng) -> Instant {
    let swing = update * 15 / 100;
    from + rng.between(update - swing, update + swing)
}
