//! Which table is dumped next: the kernel runs one dump a socket at a time.
//!
//! Pure: the session asks [`Dumps::start`] what to request, and tells how it
//! ended. Tables are dumped in groups that are consistent only as a whole: a
//! group that was interrupted (`NLM_F_DUMP_INTR`) starts over, since what was
//! not named would otherwise be taken for gone.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use forwarder_core::net::TableId;
use tokio::time::Instant;

/// How often a group that changes all the time is started over at once, before
/// it is given up for [`RETRY`].
const ATTEMPTS: u32 = 8;
/// Pause after a dump that failed.
const RETRY: Duration = Duration::from_secs(1);
/// A dump without any progress for so long is taken for dead.
pub(super) const STALL: Duration = Duration::from_secs(10);

/// Tables that are swept together, in the order they are dumped.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Group {
    /// Links, their addresses and sysctls.
    Interfaces,
    /// Next-hop objects and routes.
    Routes,
    /// Neighbours.
    Neighbours,
}

/// One dump request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Table {
    Links,
    Addresses,
    /// Of a family (`AF_*`), like the two below.
    Netconf(libc::c_int),
    Nexthops,
    Routes(libc::c_int, TableId),
    Neighbours(libc::c_int),
}

impl Group {
    pub(super) const ALL: [Group; 3] = [Group::Interfaces, Group::Routes, Group::Neighbours];

    const fn tables(self) -> &'static [Table] {
        match self {
            Group::Interfaces => &[
                Table::Links,
                Table::Addresses,
                Table::Netconf(libc::AF_INET),
                Table::Netconf(libc::AF_INET6),
            ],
            Group::Routes => &[
                Table::Nexthops,
                Table::Routes(libc::AF_INET, TableId::MAIN),
                Table::Routes(libc::AF_INET, TableId::LOCAL),
                Table::Routes(libc::AF_INET6, TableId::MAIN),
                Table::Routes(libc::AF_INET6, TableId::LOCAL),
            ],
            Group::Neighbours => &[
                Table::Neighbours(libc::AF_INET),
                Table::Neighbours(libc::AF_INET6),
            ],
        }
    }
}

/// What to do after [`Dumps::start`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Start {
    /// The table to request.
    pub(super) table: Table,
    /// It is the first of its group: marks are to be made.
    pub(super) begins: Option<Group>,
}

/// What to do after [`Dumps::finished`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Finish {
    /// There is more of this group, or it starts over.
    Continues,
    /// All of the group has been named: what was not is gone.
    Complete(Group),
    /// It failed: nothing follows from what was not named.
    Failed(Group),
}

#[derive(Debug)]
struct Running {
    group: Group,
    /// Index of the table within the group.
    position: usize,
    /// Its request has been sent and not yet been answered in full.
    in_flight: bool,
    interrupted: bool,
    attempt: u32,
    began: Instant,
}

/// The queue of dumps.
#[derive(Debug, Default)]
pub(super) struct Dumps {
    wanted: BTreeSet<Group>,
    /// Groups that have been complete once.
    known: BTreeSet<Group>,
    running: Option<Running>,
    /// A group doesn't begin before: after a failure, and after a long dump, so
    /// that links that flap don't keep a full table being dumped without pause.
    not_before: BTreeMap<Group, Instant>,
}

impl Dumps {
    /// A group is to be dumped. If it is just being dumped, it is dumped again.
    pub(super) fn want(&mut self, group: Group) {
        self.wanted.insert(group);
    }

    /// Everything is to be dumped.
    pub(super) fn want_all(&mut self) {
        self.wanted.extend(Group::ALL);
    }

    /// When [`Dumps::start`] is to be asked again although nothing happened.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let idle = self.running.is_none();
        let times = self
            .wanted
            .iter()
            .filter_map(|group| self.not_before.get(group));
        times.min().copied().filter(|_| idle)
    }

    /// The next request to send, if there is one and none is in flight.
    pub(super) fn start(&mut self, now: Instant) -> Option<Start> {
        if self.running.is_none() {
            self.running = self.next(now).map(|group| Running {
                group,
                position: 0,
                in_flight: false,
                interrupted: false,
                attempt: 1,
                began: now,
            });
        }
        let running = self.running.as_mut().filter(|running| !running.in_flight)?;
        let table = *running.group.tables().get(running.position)?;
        running.in_flight = true;
        Some(Start {
            table,
            begins: (running.position == 0).then_some(running.group),
        })
    }

    fn next(&mut self, now: Instant) -> Option<Group> {
        let may = |group: &&Group| self.not_before.get(group).is_none_or(|time| *time <= now);
        let group = self.wanted.iter().find(may).copied()?;
        self.wanted.remove(&group);
        Some(group)
    }

    /// The table changed under the dump (`NLM_F_DUMP_INTR`).
    pub(super) fn interrupted(&mut self) {
        if let Some(running) = &mut self.running {
            running.interrupted = true;
        }
    }

    /// The dump in flight has been answered in full.
    pub(super) fn finished(&mut self, now: Instant) -> Finish {
        let Some(running) = &mut self.running else {
            return Finish::Continues;
        };
        running.in_flight = false;
        if running.interrupted && running.attempt < ATTEMPTS {
            running.interrupted = false;
            running.attempt += 1;
            running.position = 0;
            return Finish::Continues;
        }
        running.position += 1;
        if running.position < running.group.tables().len() {
            return Finish::Continues;
        }
        // The first time there is nothing that could be wrongly taken for gone,
        // and the daemon waits for it.
        if running.interrupted && self.known.contains(&running.group) {
            return self.failed(now);
        }
        self.complete(now)
    }

    fn complete(&mut self, now: Instant) -> Finish {
        let Some(running) = &self.running else {
            return Finish::Continues;
        };
        let (group, interrupted) = (running.group, running.interrupted);
        let pause = if interrupted {
            RETRY
        } else {
            now.duration_since(running.began)
        };
        self.known.insert(group);
        self.end(group, now + pause);
        if interrupted {
            self.wanted.insert(group);
        }
        Finish::Complete(group)
    }

    /// The dump in flight is of no use: tried again after a while.
    pub(super) fn failed(&mut self, now: Instant) -> Finish {
        let Some(running) = &self.running else {
            return Finish::Continues;
        };
        let group = running.group;
        self.end(group, now + RETRY);
        self.wanted.insert(group);
        Finish::Failed(group)
    }

    fn end(&mut self, group: Group, not_before: Instant) {
        self.running = None;
        self.not_before.insert(group, not_before);
    }
}

#[cfg(test)]
mod tests;
