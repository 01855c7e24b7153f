//! Brings selected routes into the kernel's table and the fast path, in the
//! order that keeps the two in agreement: an addition reaches the kernel
//! first, a removal the fast path first, a change replaces in both.
//!
//! A cursor on the RIB's journal. Owned by the dataplane task, which calls it
//! in small steps so that events about links and neighbours never wait behind
//! a large table.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use foldhash::fast::RandomState;
use forwarder_core::kernel::export::{ExportOp, Exporter, Installed, Refusal};
use forwarder_core::net::{Family, TableId};
use forwarder_core::rib::socket::state_of;
use forwarder_core::rib::{Change, Generation, Origin};
use forwarder_core::route::{Route, RouteType, Source};
use forwarder_core::route_msg::RouteMessage;
use forwarder_core::route_msg::number::*;
use tracing::warn;

use super::family::MapFamily;
use super::plane::Plane;
use crate::clock;
use crate::kernel::{KernelWriter, NetlinkFamily};
use crate::rib_task::{OursEvent, Pulled};
use crate::route_events::Failures;

/// Changes taken from the backlog in one step: about a millisecond of map
/// writes, so that other events wait no longer.
const CHANGES: usize = 256;

/// Kernel requests in one step: one pipelined send.
const REQUESTS: usize = 256;

/// A family that both the maps and the kernel's table are programmed for.
pub trait ProgrammedFamily: MapFamily + NetlinkFamily {}

impl<F: MapFamily + NetlinkFamily> ProgrammedFamily for F {}

type Key<F> = (TableId, <F as Family>::Prefix);
type Selected<F> = Arc<Route<F>>;

/// A change as work. A deletion that uncovers another's route is no request for
/// that route.
fn wanted<F: Family>(change: &Change<F>) -> (Key<F>, Wanted<F>) {
    let wanted = Wanted {
        route: change.new.clone(),
        origin: change.origin.filter(|origin| origin.kind != RTM_DELETE),
    };
    ((change.table, change.prefix), wanted)
}

/// How far the two sinks have followed the RIB.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Reached {
    /// The kernel's table holds this generation, but for what it refused.
    pub kernel: Generation,
    /// The BPF maps hold this generation.
    pub xdp: Generation,
}

/// What a prefix is to be programmed with, and whose request that is.
struct Wanted<F: Family> {
    route: Option<Selected<F>>,
    origin: Option<Origin>,
}

/// The mirror of the RIB's selected routes and the work that is left.
pub struct Programmer<F: ProgrammedFamily> {
    /// What is, or is about to be, programmed.
    mirror: HashMap<Key<F>, Selected<F>, RandomState>,
    backlog: VecDeque<(Key<F>, Wanted<F>)>,
    /// Pulled up to here.
    cursor: Generation,
    reached: Reached,
    exporter: Exporter<F>,
    /// `None` with `[kernel] export = false`.
    writer: Option<KernelWriter>,
    /// Whose requests wait for the kernel.
    asked: HashMap<F::Prefix, Origin>,
    /// Who is told what came of them.
    failures: Failures,
}

impl<F: ProgrammedFamily> Programmer<F> {
    /// Nothing is programmed.
    pub fn new(writer: Option<KernelWriter>, failures: Failures) -> Self {
        Programmer {
            mirror: HashMap::default(),
            backlog: VecDeque::new(),
            cursor: Generation::default(),
            reached: Reached::default(),
            exporter: Exporter::new(),
            writer,
            asked: HashMap::new(),
            failures,
        }
    }

    /// Where the next pull starts.
    pub fn cursor(&self) -> Generation {
        self.cursor
    }

    /// How far the sinks are.
    pub fn reached(&self) -> Reached {
        self.reached
    }

    /// The reconciler with the kernel's table, for its statistics.
    pub fn exporter(&self) -> &Exporter<F> {
        &self.exporter
    }

    /// The route that a prefix is, or is about to be, programmed with.
    pub fn selected(&self, table: TableId, prefix: F::Prefix) -> Option<&Route<F>> {
        self.mirror.get(&(table, prefix)).map(|route| &**route)
    }

    /// Whether our routes go into the kernel's table at all.
    pub fn exports(&self) -> bool {
        self.writer.is_some()
    }

    /// Takes in what the RIB answered.
    pub fn pulled(&mut self, pulled: Pulled<F>) {
        match pulled {
            Pulled::UpToDate => {}
            Pulled::Deltas(batches) => {
                for batch in batches {
                    self.cursor = batch.generation;
                    self.backlog.extend(batch.changes.iter().map(wanted));
                }
            }
            Pulled::Snapshot(snapshot) => {
                self.cursor = snapshot.generation;
                self.backlog.clear();
                let wanted: BTreeMap<Key<F>, Selected<F>> = snapshot
                    .routes
                    .into_iter()
                    .map(|(table, prefix, route)| ((table, prefix), route))
                    .collect();
                // Who has asked for it is not in a snapshot.
                let of_nobody = |route| Wanted {
                    route,
                    origin: None,
                };
                let gone = self.mirror.keys().filter(|key| !wanted.contains_key(key));
                self.backlog.extend(gone.map(|key| (*key, of_nobody(None))));
                let there = wanted.into_iter();
                self.backlog
                    .extend(there.map(|(key, route)| (key, of_nobody(Some(route)))));
            }
        }
    }

    /// The kernel told of routes of ours.
    pub fn ours(&mut self, plane: &mut Plane, events: Vec<OursEvent<F>>) {
        let now = clock::now();
        for event in events {
            let prefix = match event {
                OursEvent::Seen(route) => {
                    self.exporter.ours_seen(now, &route);
                    route.prefix
                }
                OursEvent::Gone(prefix) => {
                    self.exporter.ours_gone(now, prefix);
                    prefix
                }
            };
            // What an earlier life left may be just what is wanted.
            self.follow_kernel(plane, prefix);
        }
    }

    /// The kernel's routes have been read once: from now on it is written to.
    pub fn kernel_known(&mut self) {
        self.exporter.kernel_known();
    }

    /// Routes that an earlier life left and nobody wants are removed.
    pub fn rib_filled(&mut self) {
        self.exporter.rib_filled();
    }

    /// Links or addresses changed: what the kernel refused may work now.
    pub fn retry(&mut self) {
        self.exporter.retry_refused();
    }

    /// Time has passed.
    pub fn tick(&mut self) {
        self.exporter.tick(clock::now());
    }

    /// Whether [`Programmer::step`] has something to do.
    pub fn has_work(&self) -> bool {
        !self.backlog.is_empty() || (self.exports() && self.exporter.has_work())
    }

    /// Does a bounded part of the work.
    pub async fn step(&mut self, plane: &mut Plane) {
        for _ in 0..CHANGES {
            // What finds no room would have all packets go up meanwhile.
            if plane.wants_to_grow() {
                break;
            }
            let Some((key, wanted)) = self.backlog.pop_front() else {
                break;
            };
            self.change(plane, key, wanted);
        }
        self.export(plane).await;
        if self.backlog.is_empty() {
            // Ours are in the maps only once they are in the kernel.
            if !self.exports() || !self.exporter.has_additions() {
                self.reached.xdp = self.cursor;
            }
            if !self.exports() || !self.exporter.has_work() {
                self.reached.kernel = self.cursor;
            }
        }
    }

    /// Removes every route of ours from the kernel, for the end of the daemon.
    /// The fast path must be detached before.
    pub async fn withdraw_all(&mut self, plane: &mut Plane) {
        self.backlog.clear();
        self.mirror.clear();
        self.exporter.withdraw_all();
        while self.exports() && self.exporter.has_work() {
            self.export(plane).await;
        }
    }

    fn change(&mut self, plane: &mut Plane, key: Key<F>, wanted: Wanted<F>) {
        let (table, prefix) = key;
        let Wanted { route, origin } = wanted;
        if table == TableId::MAIN && self.exports() {
            self.exporter.set_desired(prefix, route.as_deref());
            let waits = self.exporter.installed(prefix) == Installed::Pending;
            match origin.filter(|_| waits) {
                Some(origin) => drop(self.asked.insert(prefix, origin)),
                None => drop(self.asked.remove(&prefix)),
            }
        }
        let Some(route) = route else {
            self.mirror.remove(&key);
            plane.set_route::<F>(table, prefix, None);
            return;
        };
        // Ours follow when the kernel has them: see `after_request`.
        let waits = self.exports() && route.source.is_ours();
        if !waits || self.exporter.installed(prefix) == Installed::Yes {
            plane.set_route(table, prefix, Some(&*route));
        }
        self.mirror.insert(key, route);
    }

    async fn export(&mut self, plane: &mut Plane) {
        let Some(writer) = &mut self.writer else {
            return;
        };
        let now = clock::now();
        let mut ops = self.exporter.take_additions(now, REQUESTS);
        ops.extend(self.exporter.take_removals(now, REQUESTS));
        if ops.is_empty() {
            return;
        }
        let results = writer.apply(&ops).await;
        for (op, result) in ops.iter().zip(results) {
            self.after_request(plane, op, result);
        }
    }

    /// The kernel has answered: the fast path follows.
    fn after_request(&mut self, plane: &mut Plane, op: &ExportOp<F>, result: Result<(), Refusal>) {
        let prefix = op.prefix();
        if let Err(refusal @ (Refusal::Occupied | Refusal::Failed(..))) = &result {
            warn!("route {prefix} is not in the kernel's table: {refusal}");
        }
        let news = self.exporter.complete(clock::now(), op, result);
        let origin = self.asked.remove(&prefix);
        if let Some(refusal) = news {
            self.tell_owner(prefix, origin, &refusal);
        }
        self.follow_kernel(plane, prefix);
    }

    /// A client's route is not in the kernel's table.
    fn tell_owner(&self, prefix: F::Prefix, origin: Option<Origin>, refusal: &Refusal) {
        let route = self.mirror.get(&(TableId::MAIN, prefix));
        let Some(route) = route.filter(|route| route.source == Source::Socket) else {
            return;
        };
        let attributes = route.attributes.as_ref();
        let name = attributes.and_then(|attributes| attributes.owner.as_deref());
        let mut message = RouteMessage::new(RTM_EXPORT_FAILED);
        message.destination = Some(prefix.into());
        message.errno = Some(refusal.errno());
        if F::len(&prefix) == F::BITS {
            message.flags = RTF_HOST;
        }
        if let Some(origin) = origin {
            (message.pid, message.seq) = (origin.pid, origin.seq);
        }
        let after = state_of::<F>(self.cursor);
        let client = origin.map(|origin| origin.client);
        self.failures.tell(client, name, message, after);
    }

    /// Where the kernel does not hold our route, the fast path must not forward
    /// by it either.
    fn follow_kernel(&mut self, plane: &mut Plane, prefix: F::Prefix) {
        let Some(route) = self.mirror.get(&(TableId::MAIN, prefix)) else {
            return;
        };
        if !route.source.is_ours() {
            return;
        }
        match self.exporter.installed(prefix) {
            Installed::Yes => plane.set_route(TableId::MAIN, prefix, Some(&**route)),
            Installed::No(_) => {
                let up = Route {
                    kind: RouteType::KernelOnly,
                    ..Route::clone(route)
                };
                plane.set_route(TableId::MAIN, prefix, Some(&up));
            }
            Installed::Pending | Installed::NotWanted => {}
        }
    }
}
