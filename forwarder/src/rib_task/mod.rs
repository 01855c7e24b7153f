//! The task that owns the route database.
//!
//! Everything that changes a route comes in here: the kernel's events, the
//! configured static routes, RIP. Each wake-up's changes are one generation;
//! the watch channel tells its number, and whoever mirrors the routes (the
//! dataplane, RIP's redistribution) pulls what it has not seen yet. Nothing is
//! pushed, so a slow reader costs nobody but itself.

mod statics;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use forwarder_core::config::Config;
use forwarder_core::interface::Interfaces;
use forwarder_core::kernel::event::{KernelRoute, RouteEvent};
use forwarder_core::kernel::import::{ImportOp, KernelTable, Ours};
use forwarder_core::net::{Family, Ifindex, TableId};
use forwarder_core::rib::socket::{ClientId, ClientRoutes, Outcome, OwnerRoutes, Refused, Request};
use forwarder_core::rib::{
    Batch, EntryView, Generation, Redirect, Rib, RibConfig, Since, Slot, Snapshot,
};
use forwarder_core::route::{Candidate, Route, RouteType, Source};
use forwarder_core::route_msg::Errno;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::route_store::RouteStore;
use forwarder_core::rip::RouteChange;
use statics::Statics;

/// Commands waiting for the task. Callers wait when it is full: RIP has taken
/// its routes in already, and the API's readers are few.
const COMMANDS: usize = 64;

/// News that wait for the exporter before the kernel's are left in its socket,
/// which counts what it drops and is read afresh then. A full table of ours,
/// dumped, is about as many.
const OURS: usize = 1 << 20;

/// A route of ours that was seen in the kernel, or is gone from it.
#[derive(Debug)]
pub enum OursEvent<F: Family> {
    /// There with this content.
    Seen(KernelRoute<F>),
    /// Not there any more.
    Gone(F::Prefix),
}

/// What a mirror of the routes gets.
pub enum Pulled<F: Family> {
    /// Nothing new.
    UpToDate,
    /// The batches after its cursor, oldest first.
    Deltas(Vec<Arc<Batch<F>>>),
    /// Everything: the cursor fell off the journal.
    Snapshot(Snapshot<F>),
}

/// Which routes to show.
#[derive(Clone, Copy, Debug)]
pub enum Filter<F: Family> {
    /// All of them.
    All,
    /// This prefix exactly, in every table.
    Exact(F::Prefix),
    /// The longest match of this address, table local first.
    Longest(F::Addr),
}

/// How many routes there are, for `show status`.
#[derive(Clone, Debug, Default)]
pub struct RouteCounts {
    /// Prefixes of table main with any candidate.
    pub prefixes: u64,
    /// Selected routes of table main by source.
    pub selected: BTreeMap<Source, u64>,
}

impl RouteCounts {
    /// Adds those of the other family.
    pub fn add(&mut self, other: RouteCounts) {
        self.prefixes += other.prefixes;
        for (source, count) in other.selected {
            *self.selected.entry(source).or_default() += count;
        }
    }
}

enum Command<F: Family> {
    Rip(Vec<RouteChange<F>>),
    RipGone,
    Summary(oneshot::Sender<RouteCounts>),
    Configure(Arc<Config>),
    Since(Generation, usize, oneshot::Sender<Pulled<F>>),
    Requests(Vec<Request<F>>, oneshot::Sender<Answers<F>>),
    Batch(
        Vec<Request<F>>,
        oneshot::Sender<Result<Vec<Outcome<F>>, Refused>>,
    ),
    Register(ClientId, String, Duration),
    ClientGone(ClientId),
    Clients(oneshot::Sender<(ClientRoutes, OwnerRoutes)>),
    Redirect(Redirect<F>, bool, oneshot::Sender<Result<(), Errno>>),
    Losing(F::Addr, Ifindex, usize, oneshot::Sender<Vec<Lost<F>>>),
    GiveUp(Vec<Lost<F>>),
    Show(Filter<F>, oneshot::Sender<Vec<EntryView<F>>>),
}

/// A route that leads through a gateway which has failed.
pub type Lost<F> = (<F as Family>::Prefix, Arc<Route<F>>);

/// What came of each of a client's requests.
pub type Answers<F> = Vec<Result<Outcome<F>, Errno>>;

/// How other tasks reach the route database.
#[derive(Clone)]
pub struct RibHandle<F: Family> {
    commands: mpsc::Sender<Command<F>>,
    /// The newest generation.
    pub generation: watch::Receiver<Generation>,
}

impl<F: Family> RibHandle<F> {
    /// RIP's routes; waits while the task is busy.
    pub async fn rip(&self, changes: Vec<RouteChange<F>>) {
        // The task ends only when the daemon does.
        let _ = self.commands.send(Command::Rip(changes)).await;
    }

    /// RIP has ended: its routes go.
    pub async fn rip_gone(&self) {
        let _ = self.commands.send(Command::RipGone).await;
    }

    /// How many routes there are.
    pub async fn summary(&self) -> anyhow::Result<RouteCounts> {
        self.ask(Command::Summary).await
    }

    /// A new configuration: static routes, distances.
    pub async fn configure(&self, config: Arc<Config>) {
        let _ = self.commands.send(Command::Configure(config)).await;
    }

    /// What happened after `cursor`.
    pub async fn since(&self, cursor: Generation) -> anyhow::Result<Pulled<F>> {
        self.since_at_most(cursor, usize::MAX).await
    }

    /// The first batches after `cursor`.
    ///
    /// # Errors
    /// The daemon ends.
    pub async fn since_at_most(
        &self,
        cursor: Generation,
        batches: usize,
    ) -> anyhow::Result<Pulled<F>> {
        self.ask(|reply| Command::Since(cursor, batches, reply))
            .await
    }

    /// Requests of a client of the routing socket, each a generation of its own.
    ///
    /// # Errors
    /// The daemon ends.
    pub async fn requests(&self, requests: Vec<Request<F>>) -> anyhow::Result<Answers<F>> {
        self.ask(|reply| Command::Requests(requests, reply)).await
    }

    /// Requests that are carried out together, or not at all.
    ///
    /// # Errors
    /// The daemon ends.
    pub async fn batch(
        &self,
        requests: Vec<Request<F>>,
    ) -> anyhow::Result<Result<Vec<Outcome<F>>, Refused>> {
        self.ask(|reply| Command::Batch(requests, reply)).await
    }

    /// A client has registered a name.
    pub async fn register(&self, client: ClientId, name: &str, stale_time: Duration) {
        let command = Command::Register(client, name.to_owned(), stale_time);
        let _ = self.commands.send(command).await;
    }

    /// A connection of the routing socket has ended.
    pub async fn client_gone(&self, client: ClientId) {
        let _ = self.commands.send(Command::ClientGone(client)).await;
    }

    /// The word of a router, to be followed or only judged.
    ///
    /// # Errors
    /// The daemon ends.
    pub async fn redirect(
        &self,
        redirect: Redirect<F>,
        follow: bool,
    ) -> anyhow::Result<Result<(), Errno>> {
        self.ask(|reply| Command::Redirect(redirect, follow, reply))
            .await
    }

    /// Our own routes through a gateway that has failed, at most so many.
    ///
    /// # Errors
    /// The daemon ends.
    pub async fn losing(
        &self,
        gateway: F::Addr,
        ifindex: Ifindex,
        most: usize,
    ) -> anyhow::Result<Vec<Lost<F>>> {
        self.ask(|reply| Command::Losing(gateway, ifindex, most, reply))
            .await
    }

    /// Withdraws those of them that are dynamic, and still what they were.
    pub async fn give_up(&self, lost: Vec<Lost<F>>) {
        // The daemon ends, and dynamic routes with it.
        let _ = self.commands.send(Command::GiveUp(lost)).await;
    }

    /// Numbers of clients' routes.
    ///
    /// # Errors
    /// The daemon ends.
    pub async fn client_routes(&self) -> anyhow::Result<(ClientRoutes, OwnerRoutes)> {
        self.ask(Command::Clients).await
    }

    /// Candidates for `show routes`.
    pub async fn show(&self, filter: Filter<F>) -> anyhow::Result<Vec<EntryView<F>>> {
        self.ask(|reply| Command::Show(filter, reply)).await
    }

    async fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<T>) -> Command<F>,
    ) -> anyhow::Result<T> {
        let (reply, answer) = oneshot::channel();
        self.commands
            .send(command(reply))
            .await
            .ok()
            .context("the route database has ended")?;
        answer.await.context("the route database has ended")
    }
}

/// What the task reads and writes besides its commands.
pub struct Links<F: Family> {
    /// From the netlink monitor.
    pub events: mpsc::Receiver<Vec<RouteEvent<F>>>,
    /// The interfaces, for the names in static routes.
    pub interfaces: watch::Receiver<Arc<Interfaces>>,
    /// To the exporter.
    pub ours: mpsc::Sender<Vec<OursEvent<F>>>,
    /// Set once the kernel's tables have been read.
    pub ready: watch::Sender<bool>,
}

/// The task's state.
pub struct RibTask<F: Family> {
    rib: Rib<F>,
    kernel: KernelTable<F>,
    statics: Statics<F>,
    config: Arc<Config>,
    links: Links<F>,
    commands: mpsc::Receiver<Command<F>>,
    generation: watch::Sender<Generation>,
    /// What RIP has offered, so that it can be taken back when RIP ends.
    rip_prefixes: BTreeSet<F::Prefix>,
    /// Where clients' routes are kept for after a restart.
    store: RouteStore,
    /// News for the exporter while its channel is full. Waiting for it here
    /// would be a deadlock: its owner waits for us when it pulls. All of them
    /// in the kernel's order, not the latest of each prefix: it tells its own
    /// changes from others' by having heard of each of its own.
    ours: Vec<OursEvent<F>>,
}

/// The database and the way to it. `epoch` differs with each start; routes of
/// an earlier life that are kept below `state_dir` are in it.
///
/// # Errors
/// The state directory cannot be used.
pub fn new<F: Family>(
    epoch: u64,
    config: Arc<Config>,
    state_dir: &Path,
    links: Links<F>,
) -> anyhow::Result<(RibHandle<F>, RibTask<F>)> {
    let (sender, commands) = mpsc::channel(COMMANDS);
    let mut rib = Rib::new(epoch, rib_config(&config));
    rib.limit_client_routes(config.route_socket.max_routes);
    let store = RouteStore::open(state_dir, &mut rib).with_context(|| {
        format!(
            "keeping routes of the routing socket's clients in {} (choose another --state-dir, \
             or make this one writable)",
            state_dir.display()
        )
    })?;
    let (generation, receiver) = watch::channel(rib.generation());
    let ours = Ours {
        protocol: config.kernel.protocol,
        metric: config.kernel.metric,
    };
    let mut kernel = KernelTable::new(ours, config.distances);
    // Nothing is known yet, so there is nothing to tell of.
    kernel.reconfigure(config.distances, config.kernel.import, &mut Vec::new());
    let statics = Statics::new();
    let rip_prefixes = BTreeSet::new();
    let task = RibTask {
        rib,
        kernel,
        statics,
        config,
        links,
        commands,
        generation,
        rip_prefixes,
        store,
        ours: Vec::new(),
    };
    Ok((
        RibHandle {
            commands: sender,
            generation: receiver,
        },
        task,
    ))
}

fn rib_config(config: &Config) -> RibConfig {
    RibConfig {
        export_metric: config.kernel.export.then_some(config.kernel.metric),
    }
}

impl<F: Family> RibTask<F> {
    /// Runs until cancelled.
    pub async fn run(mut self, cancel: CancellationToken) {
        self.apply_statics();
        let exporter = self.links.ours.clone();
        loop {
            let expiry = self.expiry();
            tokio::select! {
                () = cancel.cancelled() => return,
                // The exporter ends only when the daemon does.
                Ok(permit) = exporter.reserve(), if !self.ours.is_empty() => {
                    permit.send(std::mem::take(&mut self.ours));
                }
                Some(events) = self.links.events.recv(), if self.ours.len() < OURS => {
                    self.kernel_events(events);
                }
                Some(command) = self.commands.recv() => self.command(command),
                Ok(()) = self.links.interfaces.changed() => self.apply_statics(),
                () = expiry => self.rib.expire(clock::now(), wall_clock()),
                else => return,
            }
            self.rib.commit();
            let records = self.rib.take_stored();
            self.store.append(&records, &self.rib);
            self.publish();
        }
    }

    /// Tells the newest generation.
    fn publish(&self) {
        let generation = self.rib.generation();
        if generation != *self.generation.borrow() {
            self.generation.send_replace(generation);
        }
    }

    /// Waits until a candidate expires or is swept.
    fn expiry(&self) -> impl Future<Output = ()> + use<F> {
        let (wall, ours) = self.rib.next_expiry();
        // Looked at again at least once an hour: the wall clock may be set.
        let wall = wall.map(|at| Duration::from_secs(at.saturating_sub(wall_clock()).min(3600)));
        let ours = ours.map(|at| at.since(clock::now()));
        let wait = wall.into_iter().chain(ours).min();
        async move {
            match wait {
                Some(wait) => tokio::time::sleep(wait).await,
                None => std::future::pending().await,
            }
        }
    }

    fn kernel_events(&mut self, events: Vec<RouteEvent<F>>) {
        let mut ops = Vec::new();
        let mut complete = false;
        for event in events {
            match &event {
                RouteEvent::Link {
                    ifindex,
                    up,
                    carrier,
                } => {
                    self.rib.set_link(*ifindex, *up, *carrier);
                }
                RouteEvent::LinkGone(ifindex) => self.rib.remove_link(*ifindex),
                RouteEvent::DumpEnd => complete = true,
                _ => {}
            }
            self.kernel.handle(event, &mut ops);
        }
        self.import(ops);
        if complete {
            // Committed first: who waits for `ready` then finds the routes.
            self.rib.commit();
            self.publish();
            self.links.ready.send_replace(true);
        }
    }

    /// Takes the import's findings over.
    fn import(&mut self, ops: Vec<ImportOp<F>>) {
        let now = clock::now();
        for op in ops {
            match op {
                ImportOp::Update {
                    table,
                    prefix,
                    candidate,
                } => {
                    self.rib.update(now, table, prefix, candidate);
                }
                ImportOp::Withdraw { table, prefix } => {
                    self.rib.withdraw(table, prefix, Slot::Kernel);
                }
                ImportOp::OursSeen { route, .. } => {
                    self.ours.push(OursEvent::Seen(route));
                }
                ImportOp::OursGone { prefix } => {
                    self.ours.push(OursEvent::Gone(prefix));
                }
            }
        }
    }

    fn command(&mut self, command: Command<F>) {
        match command {
            Command::Rip(changes) => self.rip(changes),
            Command::RipGone => {
                for prefix in std::mem::take(&mut self.rip_prefixes) {
                    self.rib.withdraw(TableId::MAIN, prefix, Slot::Rip);
                }
            }
            Command::Configure(config) => self.configure(config),
            Command::Summary(reply) => drop(reply.send(self.summary())),
            Command::Requests(requests, reply) => {
                let answers = self.requests(&requests);
                self.answer(reply, answers);
            }
            Command::Batch(requests, reply) => {
                let distance = self.config.distances.socket;
                let answer = self.rib.batch(clock::now(), distance, &requests);
                self.answer(reply, answer);
            }
            Command::Register(client, name, stale_time) => {
                self.rib.register(client, &name, stale_time);
            }
            Command::ClientGone(client) => self.rib.client_gone(clock::now(), client),
            Command::Redirect(redirect, follow, reply) => {
                let distance = self.config.distances.of(Source::Redirect);
                let judged = self.rib.redirect(clock::now(), distance, &redirect, follow);
                let _ = reply.send(judged);
            }
            Command::Losing(gateway, ifindex, most, reply) => {
                drop(reply.send(self.rib.through(TableId::MAIN, gateway, ifindex, most)));
            }
            Command::GiveUp(lost) => self.give_up(&lost),
            Command::Clients(reply) => drop(reply.send(self.rib.count_client_routes())),
            // Readers may have gone away meanwhile; then nobody is told.
            Command::Since(cursor, batches, reply) => {
                drop(reply.send(self.since(cursor, batches)));
            }
            Command::Show(filter, reply) => drop(reply.send(self.show(filter))),
        }
    }

    fn give_up(&mut self, lost: &[Lost<F>]) {
        for (prefix, route) in lost {
            let entry = self.rib.entry(TableId::MAIN, *prefix);
            let now = entry.and_then(|entry| entry.selected);
            let same = now.is_some_and(|now| now.nexthops == route.nexthops);
            if same && route.source == Source::Redirect {
                self.rib.give_up_redirect(*prefix);
            }
        }
    }

    fn requests(&mut self, requests: &[Request<F>]) -> Answers<F> {
        let (now, distance) = (clock::now(), self.config.distances.socket);
        let ask = |request| self.rib.request(now, distance, request);
        requests.iter().map(ask).collect()
    }

    /// Answers a client. What it is told is done has been stored before.
    fn answer<T>(&mut self, reply: oneshot::Sender<T>, answer: T) {
        let records = self.rib.take_stored();
        self.store.append(&records, &self.rib);
        // Nobody is told who has gone away meanwhile.
        let _ = reply.send(answer);
    }

    /// Static routes, distances and the import are taken over; what is fixed for
    /// the daemon's life has been compared before.
    fn configure(&mut self, config: Arc<Config>) {
        let mut ops = Vec::new();
        let (distances, import) = (config.distances, config.kernel.import);
        self.kernel.reconfigure(distances, import, &mut ops);
        self.import(ops);
        self.rib.limit_client_routes(config.route_socket.max_routes);
        self.config = config;
        self.apply_statics();
    }

    fn summary(&self) -> RouteCounts {
        let mut counts = RouteCounts::default();
        for entry in self
            .rib
            .entries()
            .filter(|entry| entry.table == TableId::MAIN)
        {
            counts.prefixes += 1;
            if let Some(route) = &entry.selected {
                *counts.selected.entry(route.source).or_default() += 1;
            }
        }
        counts
    }

    fn rip(&mut self, changes: Vec<RouteChange<F>>) {
        let now = clock::now();
        for change in changes {
            match change {
                RouteChange::Update {
                    prefix,
                    nexthops,
                    metric,
                    tag,
                } => {
                    let candidate = Candidate {
                        kind: RouteType::Unicast,
                        nexthops,
                        source: Source::Rip,
                        distance: self.config.distances.of(Source::Rip),
                        metric: u32::from(metric.get()),
                        tag: u32::from(tag),
                        mtu: None,
                        kernel_metric: None,
                        preferred_source: None,
                        attributes: None,
                    };
                    self.rip_prefixes.insert(prefix);
                    self.rib.update(now, TableId::MAIN, prefix, candidate);
                }
                RouteChange::Withdraw { prefix } => {
                    self.rip_prefixes.remove(&prefix);
                    self.rib.withdraw(TableId::MAIN, prefix, Slot::Rip);
                }
            }
        }
    }

    fn apply_statics(&mut self) {
        let now = clock::now();
        let interfaces = self.links.interfaces.borrow_and_update().clone();
        let difference = self.statics.set(&self.config.statics, &interfaces);
        for prefix in difference.gone {
            self.rib.withdraw(TableId::MAIN, prefix, Slot::Static);
        }
        for (prefix, candidate) in difference.changed {
            self.rib.update(now, TableId::MAIN, prefix, candidate);
        }
    }

    fn since(&self, cursor: Generation, batches: usize) -> Pulled<F> {
        match self.rib.journal().since_at_most(cursor, batches) {
            Since::UpToDate => Pulled::UpToDate,
            Since::Deltas(batches) => Pulled::Deltas(batches),
            Since::FellOff => Pulled::Snapshot(self.rib.snapshot()),
        }
    }

    fn show(&self, filter: Filter<F>) -> Vec<EntryView<F>> {
        // In the kernel's order: its first rule looks into table local.
        const TABLES: [TableId; 2] = [TableId::LOCAL, TableId::MAIN];
        let entry = |table, prefix| self.rib.entry(table, prefix);
        match filter {
            Filter::All => self.rib.entries().collect(),
            Filter::Exact(prefix) => TABLES
                .iter()
                .filter_map(|table| entry(*table, prefix))
                .collect(),
            Filter::Longest(address) => {
                let found = TABLES.iter().find_map(|table| {
                    self.rib
                        .lookup(*table, address)
                        .map(|(prefix, _)| (*table, prefix))
                });
                found
                    .and_then(|(table, prefix)| entry(table, prefix))
                    .into_iter()
                    .collect()
            }
        }
    }
}

/// Seconds since 1970.
fn wall_clock() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests;
