//! What is sent on an interface, when, and how fast.
//!
//! Nothing is queued as packets: a periodic update, an answer or a farewell is
//! a position in the table, a triggered update a position in the change log,
//! and packets are made as the pace allows, from the table as it is then.
//! Changes go first, so a withdrawal never waits for a running periodic update.

use std::collections::VecDeque;
use std::time::Duration;

use super::auth::{self, Clock};
use super::changes::Seq;
use super::interface::{Interface, Kind, Target};
use super::io::Send;
use super::packet::{self, Command, Rte};
use super::reject::Reject;
use super::rng::Rng;
use super::table::Table;
use super::wire::Wire;
use crate::net::Family;
use crate::time::Instant;

/// Datagrams in a [`SLOT`] on an interface: 500 entries in 20 ms, 10,000 routes
/// in 0.4 s. Twenty full datagrams fit into the smallest receive buffer in use
/// among other RIP daemons (41,600 bytes asked, some 65 datagrams got).
pub(super) const BURST: usize = 20;
/// See [`BURST`].
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

    fn has_room(&self, datagrams: usize) -> bool {
        self.slot_used == 0 || self.slot_used + datagrams <= BURST
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

impl<F: Wire> Interface<F> {
    /// Whether all that was to be sent is sent.
    pub(super) fn is_idle(&self) -> bool {
        !self.output.has_work()
    }

    /// When [`Interface::pump`] has something to do.
    pub(super) fn next_send(&self, log_head: Seq, draining: bool) -> Option<Instant> {
        let output = &self.output;
        if output.has_work() {
            // A moment that is past means at once.
            let start = output.slot_start;
            return Some(if output.blocked { start + SLOT } else { start });
        }
        if draining || self.closing || self.targets.is_empty() {
            return None;
        }
        output
            .trigger_at(log_head)
            .into_iter()
            .chain([output.next_update])
            .min()
    }

    /// Starts what is due and sends as much as the pace allows.
    pub(super) fn pump(&mut self, source: &mut Source<'_, F>, out: &mut Vec<Send<F>>) {
        if !source.draining && !self.closing {
            self.start_due(source);
        }
        let output = &mut self.output;
        if output.slot_used == 0 || source.now.since(output.slot_start) >= SLOT {
            (output.slot_start, output.slot_used) = (source.now, 0);
        }
        while self.send_next(source, out) {}
        self.output.blocked = self.output.has_work();
    }

    fn start_due(&mut self, source: &mut Source<'_, F>) {
        let head = source.table.log.head();
        if self.targets.is_empty() {
            (self.output.told, self.output.telling) = (head, head);
            return;
        }
        let now = source.now;
        if self.output.next_update <= now {
            self.start_periodic(source);
        } else if self.output.telling == self.output.told
            && self.output.trigger_at(head).is_some_and(|at| at <= now)
        {
            self.output.telling = head;
        }
    }

    /// Starts a periodic update, unless the last one is still being sent. Where
    /// it does not fit into one burst, pending changes go ahead of it.
    fn start_periodic(&mut self, source: &mut Source<'_, F>) {
        let head = source.table.log.head();
        let fits = source.table.len() <= self.max_entries() * BURST;
        let update = source.table.timers.update;
        let alone = self.neighbors.iter().len() == 0;
        let output = &mut self.output;
        // The first request may have been lost, on a link that had just come
        // up: nobody else would repeat it.
        output.ask |= alone;
        // Counted from when it was due, so that load does not shift it; but
        // after a long sleep one update is enough.
        let late = source.now.since(output.next_update) > update / 2;
        let from = if late { source.now } else { output.next_update };
        output.next_update = jittered(from, update, source.rng);
        output.telling = head;
        if fits {
            output.told = head;
        }
        let targets = self.targets.clone();
        if output
            .jobs
            .iter()
            .all(|job| job.kind != Kind::Periodic || job.targets != targets)
        {
            output.announce(Kind::Periodic, targets);
        }
    }

    /// Sends the next datagram, to all it is for. `false` when nothing is left
    /// or the slot is full.
    fn send_next(&mut self, source: &mut Source<'_, F>, out: &mut Vec<Send<F>>) -> bool {
        if self.output.ask {
            return self.send_request(source, out);
        }
        if self.output.telling > self.output.told {
            return self.send_changes(source, out);
        }
        self.send_job(source, out)
    }

    fn send_request(&mut self, source: &mut Source<'_, F>, out: &mut Vec<Send<F>>) -> bool {
        self.output.ask = false;
        let entries = [F::table_request()];
        for target in self.targets.clone() {
            let payload = packet::build(Command::Request, F::VERSION, entries.into_iter());
            self.send(&mut source.stamp(), target, payload, out);
        }
        true
    }

    /// Only what is really sent makes the next triggered update wait.
    fn send_changes(&mut self, source: &mut Source<'_, F>, out: &mut Vec<Send<F>>) -> bool {
        if !self.output.has_room(self.targets.len()) {
            return false;
        }
        let table = source.table;
        let (mut rtes, max) = (Vec::new(), self.max_entries());
        let mut reached = self.output.telling;
        for (seq, prefix) in table.log.between(self.output.told, self.output.telling) {
            if rtes.len() == max {
                break;
            }
            let advert = table.advert(&prefix);
            rtes.extend(advert.and_then(|advert| self.render(Kind::Triggered, prefix, advert)));
            reached = seq;
        }
        if rtes.len() < max {
            reached = self.output.telling;
        }
        self.output.told = reached;
        let sent = out.len();
        let targets = self.targets.clone();
        self.send_response(&mut source.stamp(), Kind::Triggered, &targets, &rtes, out);
        if out.len() > sent && self.output.hold_until <= source.now {
            self.output.hold_until = source.now + source.rng.between(HOLD.0, HOLD.1);
        }
        true
    }

    fn send_job(&mut self, source: &mut Source<'_, F>, out: &mut Vec<Send<F>>) -> bool {
        let Some(job) = self.output.jobs.front() else {
            return false;
        };
        if !self.output.has_room(job.targets.len()) {
            return false;
        }
        let max = self.max_entries();
        let said = source
            .table
            .adverts_after(job.after)
            .filter_map(|(prefix, advert)| self.render(job.kind, prefix, advert));
        let rtes: Vec<Rte<F>> = said.take(max).collect();
        let (kind, targets) = (job.kind, job.targets.clone());
        match rtes.last().filter(|_| rtes.len() == max) {
            Some(last) => self.output.jobs[0].after = Some(last.prefix),
            None => drop(self.output.jobs.pop_front()),
        }
        self.send_response(&mut source.stamp(), kind, &targets, &rtes, out);
        true
    }

    fn send_response(
        &mut self,
        stamp: &mut Stamp<'_>,
        kind: Kind,
        targets: &[Target<F>],
        rtes: &[Rte<F>],
        out: &mut Vec<Send<F>>,
    ) {
        for target in targets {
            let told = rtes
                .iter()
                .filter_map(|rte| self.for_target(kind, target, rte));
            let entries: Vec<_> = told.map(|rte| F::encode(&rte)).collect();
            if !entries.is_empty() {
                let entries = entries.into_iter();
                let payload = packet::build(Command::Response, F::VERSION, entries);
                self.send(stamp, *target, payload, out);
            }
        }
    }

    /// Signs one datagram, if that is done here, sends it, and counts it against
    /// the slot. Everything that leaves us goes through here.
    pub(super) fn send(
        &mut self,
        stamp: &mut Stamp<'_>,
        target: Target<F>,
        payload: Vec<u8>,
        out: &mut Vec<Send<F>>,
    ) {
        let payload = match &self.setup.config.auth {
            Some(auth) => auth::seal(auth, stamp.clock, stamp.now, payload),
            None => payload,
        };
        self.output.slot_used += 1;
        self.traffic.sent += 1;
        let Target {
            source,
            destination,
            port,
            ..
        } = target;
        out.push(Send {
            ifindex: self.ifindex(),
            source,
            destination,
            port,
            payload,
        });
    }
}
