//! Which of our routes belong in the kernel's main table, and what has to be
//! done to get there.
//!
//! A reconciler: *desired* is what the RIB has selected of our own sources,
//! *actual* what of ours is in the kernel. [`Exporter::take_additions`] and
//! [`Exporter::take_removals`] hand out the operations that close the gap (two
//! queues, since a route is added to the kernel before the fast path and
//! removed after it), [`Exporter::complete`] takes their results.
//!
//! The dataplane task owns it, feeds it from the RIB's journal and from the
//! import's `OursSeen` and `OursGone`, and has the netlink writer carry out the
//! operations.
//!
//! Not simpler, because the kernel's table changes by others' hands too
//! (`ip route flush`, links going down), and because the notification of our
//! own change comes later than its result: believed blindly, it would undo
//! what was done since. See `entry`.
//!
//! Nothing that isn't ours is touched: additions are exclusive, replacements
//! are made only of routes seen to be ours, and deletions name protocol and
//! metric.

mod entry;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::event::{KernelNexthops, KernelRoute};
use crate::net::Family;
use crate::route::{Nexthop, Route, RouteType};
use crate::route_msg::Errno;
use crate::time::Instant;
use entry::{Entry, Work};

/// What the kernel refused is tried again after this, besides whenever
/// [`Exporter::retry_refused`] is called.
pub const RETRY: Duration = Duration::from_secs(10);
/// A request that failed by itself ([`Refusal::Failed`]) is repeated sooner.
const RETRY_FAILED: Duration = Duration::from_secs(1);

/// A route as it is put into the kernel.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ExportRoute<F: Family> {
    /// Its destination.
    pub prefix: F::Prefix,
    /// Unicast, blackhole, unreachable or prohibit.
    pub kind: RouteType,
    /// Ways out, for unicast; a single one has weight 1.
    pub nexthops: Vec<Nexthop<F>>,
    /// `RTAX_MTU`.
    pub mtu: Option<u32>,
}

impl<F: Family> ExportRoute<F> {
    /// What is exported of a selected route: `None` for routes that aren't
    /// ours, or of a type that only the kernel makes.
    pub fn of(prefix: F::Prefix, route: &Route<F>) -> Option<Self> {
        let nexthops = match route.kind {
            RouteType::Unicast if !route.nexthops.is_empty() => normal(&route.nexthops),
            RouteType::Blackhole | RouteType::Unreachable | RouteType::Prohibit => Vec::new(),
            _ => return None,
        };
        let ours = route.source.is_ours();
        ours.then_some(ExportRoute {
            prefix,
            kind: route.kind,
            nexthops,
            mtu: route.mtu,
        })
    }

    /// The same of a route found in the kernel. One that we would not have put
    /// there like this (a next-hop object) equals none of ours, so that it
    /// gets replaced.
    fn found(route: &KernelRoute<F>) -> Self {
        let nexthops = match &route.nexthops {
            KernelNexthops::Inline(nexthops) if route.kind == RouteType::Unicast => {
                normal(nexthops)
            }
            // An IPv6 route that leads nowhere is said to leave by `lo`.
            KernelNexthops::Inline(_) | KernelNexthops::Object(_) => Vec::new(),
        };
        ExportRoute {
            prefix: route.prefix,
            kind: route.kind,
            nexthops,
            mtu: route.mtu,
        }
    }
}

/// The kernel keeps no weight of a single next hop.
fn normal<F: Family>(nexthops: &[Nexthop<F>]) -> Vec<Nexthop<F>> {
    match nexthops {
        [single] => vec![Nexthop {
            weight: 1,
            ..*single
        }],
        several => several.to_vec(),
    }
}

/// One thing to do in the kernel's table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ExportOp<F: Family> {
    /// Create, unless a route with our key is there already.
    Add(Arc<ExportRoute<F>>),
    /// Put in the place of the one that is ours.
    Replace(Arc<ExportRoute<F>>),
    /// Remove the one with our protocol and metric.
    Delete(F::Prefix),
}

impl<F: Family> ExportOp<F> {
    /// The destination it is about.
    pub fn prefix(&self) -> F::Prefix {
        match self {
            ExportOp::Add(route) | ExportOp::Replace(route) => route.prefix,
            ExportOp::Delete(prefix) => *prefix,
        }
    }

    /// What is in the kernel once it has succeeded.
    fn outcome(&self) -> Option<Arc<ExportRoute<F>>> {
        match self {
            ExportOp::Add(route) | ExportOp::Replace(route) => Some(Arc::clone(route)),
            ExportOp::Delete(_) => None,
        }
    }
}

/// Why the kernel did not do what it was asked.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refusal {
    /// `EEXIST`: somebody else's route has this destination and metric.
    #[error("another route with the same destination and metric is in the kernel")]
    Occupied,
    /// `ESRCH`: there is nothing to delete, which is as good as deleted.
    #[error("no such route")]
    Absent,
    /// The route makes no sense to the kernel now: gateway not reachable, link
    /// down, and the like.
    #[error("the kernel refused it: {1}")]
    Invalid(Errno, String),
    /// The request failed for reasons that have nothing to do with the route;
    /// whether it was carried out is not known.
    #[error("the request failed: {1}")]
    Failed(Errno, String),
}

impl Refusal {
    /// The kernel's number for it.
    pub fn errno(&self) -> Errno {
        match self {
            Refusal::Occupied => Errno::Eexist,
            Refusal::Absent => Errno::Esrch,
            Refusal::Invalid(errno, _) | Refusal::Failed(errno, _) => *errno,
        }
    }
}

/// How a prefix stands, for `show routes`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Installed {
    /// In the kernel as desired.
    Yes,
    /// Being put there.
    Pending,
    /// Not there, or not as desired, and why.
    No(Refusal),
    /// Nothing of ours is wanted there.
    NotWanted,
}

/// Sizes, for `show status` and metrics.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ExportStats {
    /// Routes that belong in the kernel.
    pub desired: usize,
    /// Of these, routes that are there.
    pub installed: usize,
    /// Of these, routes that the kernel refused.
    pub refused: usize,
}

/// The reconciler.
#[derive(Debug, Default)]
pub struct Exporter<F: Family> {
    entries: BTreeMap<F::Prefix, Entry<F>>,
    additions: BTreeSet<F::Prefix>,
    removals: BTreeSet<F::Prefix>,
    refused: BTreeSet<F::Prefix>,
    /// Prefixes whose own notifications are still to come.
    echoing: BTreeSet<F::Prefix>,
    in_flight: usize,
    kernel_known: bool,
    rib_filled: bool,
    next_retry: Option<Instant>,
}

impl<F: Family> Exporter<F> {
    /// Nothing is desired and nothing known. No operation is handed out before
    /// [`Exporter::kernel_known`], none that removes what an earlier life left
    /// before [`Exporter::rib_filled`].
    pub fn new() -> Self {
        Exporter::default()
    }

    /// The first dump of the kernel's routes is complete.
    pub fn kernel_known(&mut self) {
        self.kernel_known = true;
    }

    /// The RIB has got what it will have at first: what an earlier life left
    /// in the kernel and nobody has asked for again goes.
    pub fn rib_filled(&mut self) {
        self.rib_filled = true;
        self.reconsider_all();
    }

    /// The RIB's selected route of a prefix in table main; routes that aren't
    /// ours count as none.
    pub fn set_desired(&mut self, prefix: F::Prefix, route: Option<&Route<F>>) {
        let desired = route
            .and_then(|route| ExportRoute::of(prefix, route))
            .map(Arc::new);
        self.entries.entry(prefix).or_default().set_desired(desired);
        self.reconsider(prefix);
    }

    /// Nothing is desired any more: the end of the daemon.
    pub fn withdraw_all(&mut self) {
        self.rib_filled = true;
        self.entries
            .values_mut()
            .for_each(|entry| entry.set_desired(None));
        self.reconsider_all();
    }

    /// A route of ours is in the kernel.
    pub fn ours_seen(&mut self, now: Instant, route: &KernelRoute<F>) {
        self.observed(now, route.prefix, Some(Arc::new(ExportRoute::found(route))));
    }

    /// Our route of a prefix is no longer in the kernel.
    pub fn ours_gone(&mut self, now: Instant, prefix: F::Prefix) {
        self.observed(now, prefix, None);
    }

    fn observed(&mut self, now: Instant, prefix: F::Prefix, found: Option<Arc<ExportRoute<F>>>) {
        self.entries.entry(prefix).or_default().observed(now, found);
        self.reconsider(prefix);
    }

    /// At most `max` operations that add or replace, in order of prefix. Each
    /// has to be answered with [`Exporter::complete`].
    pub fn take_additions(&mut self, now: Instant, max: usize) -> Vec<ExportOp<F>> {
        if !self.kernel_known {
            return Vec::new();
        }
        let prefixes = pop(&mut self.additions, max);
        self.begin(now, &prefixes)
    }

    /// At most `max` operations that delete.
    pub fn take_removals(&mut self, now: Instant, max: usize) -> Vec<ExportOp<F>> {
        if !self.kernel_known {
            return Vec::new();
        }
        let prefixes = pop(&mut self.removals, max);
        self.begin(now, &prefixes)
    }

    fn begin(&mut self, now: Instant, prefixes: &[F::Prefix]) -> Vec<ExportOp<F>> {
        let mut ops = Vec::with_capacity(prefixes.len());
        for prefix in prefixes {
            let Some(entry) = self.entries.get_mut(prefix) else {
                continue;
            };
            ops.extend(entry.begin(now, *prefix, self.rib_filled));
        }
        self.in_flight += ops.len();
        if !ops.is_empty() {
            self.tick_by(now + RETRY);
        }
        ops
    }

    /// The result of an operation that was handed out. Gives back the refusal of
    /// a route that was to be put there, unless it is one of a repetition.
    pub fn complete(
        &mut self,
        now: Instant,
        op: &ExportOp<F>,
        result: Result<(), Refusal>,
    ) -> Option<Refusal> {
        let prefix = op.prefix();
        self.in_flight = self.in_flight.saturating_sub(1);
        let entry = self.entries.get_mut(&prefix)?;
        let news = entry.complete(op, result);
        if let Some(Refusal::Failed(..)) = entry.refusal() {
            self.tick_by(now + RETRY_FAILED);
        }
        self.reconsider(prefix);
        news
    }

    fn tick_by(&mut self, time: Instant) {
        self.next_retry = Some(self.next_retry.map_or(time, |next| next.min(time)));
    }

    /// Tries again what was refused: a link or an address has changed.
    pub fn retry_refused(&mut self) {
        for prefix in std::mem::take(&mut self.refused) {
            if let Some(entry) = self.entries.get_mut(&prefix) {
                entry.retry();
            }
            self.reconsider(prefix);
        }
    }

    /// When [`Exporter::tick`] is due.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.next_retry
    }

    /// Periodic work: refused routes are tried again, and what is still waiting
    /// for a notification that got lost is settled.
    pub fn tick(&mut self, now: Instant) {
        if self.next_retry.is_none_or(|time| now < time) {
            return;
        }
        self.next_retry = None;
        self.retry_refused();
        for prefix in std::mem::take(&mut self.echoing) {
            if let Some(entry) = self.entries.get_mut(&prefix) {
                entry.expire(now);
            }
            self.reconsider(prefix);
        }
        if !self.echoing.is_empty() {
            self.tick_by(now + RETRY);
        }
    }

    /// Whether everything desired has been done or refused.
    pub fn is_settled(&self) -> bool {
        self.additions.is_empty() && self.removals.is_empty() && self.in_flight == 0
    }

    /// Whether there is an operation to hand out now.
    pub fn has_work(&self) -> bool {
        self.kernel_known && !(self.additions.is_empty() && self.removals.is_empty())
    }

    /// Whether routes wait to be put into the kernel; what it refused does not.
    pub fn has_additions(&self) -> bool {
        !self.additions.is_empty()
    }

    /// How a prefix stands.
    pub fn installed(&self, prefix: F::Prefix) -> Installed {
        self.entries
            .get(&prefix)
            .map_or(Installed::NotWanted, Entry::installed)
    }

    /// Counts, made by looking at every route.
    pub fn stats(&self) -> ExportStats {
        let mut stats = ExportStats::default();
        for entry in self.entries.values() {
            let installed = entry.installed();
            stats.desired += usize::from(installed != Installed::NotWanted);
            stats.installed += usize::from(installed == Installed::Yes);
            stats.refused += usize::from(matches!(installed, Installed::No(_)));
        }
        stats
    }

    fn reconsider_all(&mut self) {
        let prefixes: Vec<F::Prefix> = self.entries.keys().copied().collect();
        for prefix in prefixes {
            self.reconsider(prefix);
        }
    }

    /// Puts a prefix into the queue it belongs to.
    fn reconsider(&mut self, prefix: F::Prefix) {
        let Some(entry) = self.entries.get(&prefix) else {
            return;
        };
        let work = entry.work(self.rib_filled);
        put(&mut self.additions, prefix, work == Work::Addition);
        put(&mut self.removals, prefix, work == Work::Removal);
        put(&mut self.refused, prefix, entry.refusal().is_some());
        put(&mut self.echoing, prefix, entry.is_echoing());
        if entry.is_idle() {
            self.entries.remove(&prefix);
        }
    }
}

fn put<P: Ord>(set: &mut BTreeSet<P>, prefix: P, belongs: bool) {
    if belongs {
        set.insert(prefix);
    } else {
        set.remove(&prefix);
    }
}

fn pop<P: Ord>(set: &mut BTreeSet<P>, max: usize) -> Vec<P> {
    std::iter::from_fn(|| set.pop_first()).take(max).collect()
}

#[cfg(test)]
mod tests;
