//! The daemon: opens everything, wires the tasks together, and takes them down
//! again in the order that loses no packet.
//!
//! Nothing is attached or written before all that can be refused has been
//! opened, so that a start that fails leaves nothing behind.

mod backend;
mod cleanup;
mod clients;
mod plane_thread;
mod reload;
mod rip;
mod routes;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use forwarder_core::config::{Attach, Config, Redirects};
use forwarder_core::interface::Interfaces;
use forwarder_core::kernel::event::RouteEvent;
use forwarder_core::net::{Family, Ipv4, Ipv6};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::api::backend::Reply;
use crate::api::model::Done;
use crate::api::server;
use crate::config_file;
use crate::dataplane::events;
use crate::dataplane::features::Features;
use crate::dataplane::grace::Grace;
use crate::dataplane::keeper;
use crate::dataplane::plane::Plane;
use crate::dataplane::programmer::Programmer;
use crate::dataplane::query::Query;
use crate::dataplane::task::{DataplaneTask, Inputs};
use crate::kernel::{
    CHANNEL_DEPTH, ConstraintWatcher, ExporterLock, Identity, KernelWriter, Monitor, MonitorConfig,
    MonitorOutputs, Neighbours, enable_forwarding,
};
use crate::paths::Paths;
use crate::rib_task::{self, OursEvent, RibHandle, RibTask};
use crate::rip_record::Recording;
use crate::route_events::{self, Events, KernelMisses, Packets};
use crate::route_socket::{self, roster};
use crate::run_dir::RunDir;
use backend::DaemonBackend;
pub use cleanup::cleanup;
use plane_thread::PlaneThread;
use rip::RipControl;

/// Time the kernel may take to tell its interfaces at the start.
const FIRST_DUMP: Duration = Duration::from_secs(30);

/// Questions waiting for the dataplane; API callers wait when it is full.
const QUERIES: usize = 32;

/// What `forwarder run` was asked to do.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// The configuration file; read again at each reload.
    pub config_path: PathBuf,
    /// Where the instance keeps its things.
    pub paths: Paths,
    /// Where RIP is recorded, if it is.
    pub record: Option<RecordOptions>,
}

/// `--record`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RecordOptions {
    /// The file; it must not be there yet.
    pub file: PathBuf,
    /// Its largest size in bytes; 0 = none.
    pub limit: u64,
}

/// A command of the API for the daemon itself.
enum Control {
    /// Read the configuration again.
    Reload(oneshot::Sender<Reply<Done>>),
    /// End.
    Stop,
}

/// Runs the daemon until it is told to stop.
///
/// # Errors
/// What kept it from starting, for the person at the keyboard.
pub async fn run(options: RunOptions) -> anyhow::Result<()> {
    let config = Arc::new(config_file::load(&options.config_path)?);
    let run_dir = RunDir::claim(&options.paths)?;
    let mut signals = Signals::new()?;
    let recording = record(&options, &config)?;
    let started = Daemon::start(&options, config, &run_dir, recording.as_ref()).await;
    if let (Err(_), Some(recording)) = (&started, &recording) {
        // The next start is to find no file in its way.
        recording.discard();
    }
    let mut daemon = started?;
    notify(&[sd_notify::NotifyState::Ready]);
    info!("instance {} is up", options.paths.instance);
    loop {
        tokio::select! {
            Some(control) = daemon.control.recv() => match control {
                Control::Reload(reply) => drop(reply.send(daemon.reload().await)),
                Control::Stop => break,
            },
            _ = signals.hangup.recv() => {
                if let Err(error) = daemon.reload().await {
                    error!("the configuration stays as it was: {error}");
                }
            }
            _ = signals.term.recv() => break,
            _ = signals.interrupt.recv() => break,
        }
    }
    notify(&[sd_notify::NotifyState::Stopping]);
    daemon.stop().await;
    if let Some(recording) = recording {
        recording.finish().await;
    }
    info!("stopped");
    Ok(())
}

/// Begins the recording, if there is to be one.
fn record(options: &RunOptions, config: &Config) -> anyhow::Result<Option<Recording>> {
    let Some(RecordOptions { file, limit }) = &options.record else {
        return Ok(None);
    };
    let instance = options.paths.instance.to_string();
    let recording = Recording::create(file, &instance, *limit)?;
    info!("recording what RIP is given and does to {}", file.display());
    if config.rip.is_none() && config.ripng.is_none() {
        warn!("there is nothing to record until a reload brings [rip] or [ripng]");
    }
    Ok(Some(recording))
}

struct Signals {
    term: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> anyhow::Result<Signals> {
        let listen = |kind| signal(kind).context("cannot listen for signals");
        Ok(Signals {
            term: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }
}

/// systemd is told where it listens; elsewhere nothing happens.
fn notify(state: &[sd_notify::NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        warn!("systemd was not told: {error}");
    }
}

/// The running tasks and what the daemon itself decides.
struct Daemon {
    options: RunOptions,
    config: Arc<Config>,
    interfaces: watch::Receiver<Arc<Interfaces>>,
    rib4: RibHandle<Ipv4>,
    rib6: RibHandle<Ipv6>,
    dataplane: mpsc::Sender<Query>,
    misses: KernelMisses,
    rip: RipControl<Ipv4>,
    ripng: RipControl<Ipv6>,
    control: mpsc::Receiver<Control>,
    /// Cancelled at the end: monitor, RIB, API.
    cancel: CancellationToken,
    /// Cancelled before: the dataplane, which still needs them.
    dataplane_cancel: CancellationToken,
    dataplane_task: oneshot::Receiver<()>,
    keeper_task: JoinHandle<()>,
    _lock: Option<ExporterLock>,
}

impl Daemon {
    async fn start(
        options: &RunOptions,
        config: Arc<Config>,
        run_dir: &RunDir,
        recording: Option<&Recording>,
    ) -> anyhow::Result<Daemon> {
        let lock = config.kernel.export.then(ExporterLock::take).transpose()?;
        let identity = Identity {
            protocol: config.kernel.protocol,
            metric: config.kernel.metric,
        };
        let open_writer = || {
            let wanted = config.kernel.export;
            wanted.then(|| KernelWriter::open(identity)).transpose()
        };
        let plane_thread = PlaneThread::new()?;
        // Its sockets and its timer are watched by its own runtime.
        let (writer4, writer6) = {
            let _entered = plane_thread.enter();
            (open_writer()?, open_writer()?)
        };
        rip::check(&config, (false, false))?;
        let (plane, event_maps) = Plane::load(&config)?;
        let features = Features::open()
            .await
            .context("asking the kernel for XDP features")?;
        let listener = run_dir.listen()?;
        let route_listener = listen_for_routes(options, &config)?;

        let cancel = CancellationToken::new();
        let (routes4, routes4_receiver) = mpsc::channel(CHANNEL_DEPTH);
        let (routes6, routes6_receiver) = mpsc::channel(CHANNEL_DEPTH);
        let (plane_events, plane_receiver) = mpsc::channel(CHANNEL_DEPTH);
        let (interfaces_sender, mut interfaces) = watch::channel(Arc::new(Interfaces::default()));
        let outputs = MonitorOutputs {
            routes4,
            routes6,
            dataplane: plane_events.clone(),
            interfaces: interfaces_sender,
        };
        let monitor = Monitor::open(outputs, MonitorConfig::default())?;
        let counters = monitor.counters();
        let constraints = ConstraintWatcher::open(plane_events)?;
        let neighbours = Neighbours::open()?;

        let epoch = epoch();
        let state_dir = &options.paths.state_dir;
        let (ribs4, rib_task4) =
            open_rib(epoch, &config, state_dir, routes4_receiver, &interfaces)?;
        let (ribs6, rib_task6) =
            open_rib(epoch, &config, state_dir, routes6_receiver, &interfaces)?;

        // From here on tasks run; `cancel` ends them if the start fails.
        let guard = cancel.clone().drop_guard();
        tokio::spawn(monitor.run(cancel.clone()));
        tokio::time::timeout(FIRST_DUMP, interfaces.changed())
            .await
            .context("the kernel did not tell its interfaces in time")?
            .context("the netlink monitor has ended")?;
        let present = interfaces.borrow_and_update().clone();
        check_interfaces(&config, &present)?;
        if config.kernel.forwarding {
            switch_forwarding_on(&config, &present)?;
        }

        let (events, questions) = mpsc::channel(QUERIES);
        let (event_sender, next) = mpsc::unbounded_channel();
        let route_events = Events::new();
        let ribs = (ribs4.handle.clone(), ribs6.handle.clone());
        let rate = config.dataplane.punt.events;
        let misses = KernelMisses::start(route_events.clone(), rate, cancel.clone());
        let packets = Packets::start(
            route_events.clone(),
            misses.attached(),
            ribs.clone(),
            cancel.clone(),
        );
        let event_inputs = events::Inputs {
            packets: packets.clone(),
            interfaces: interfaces.clone(),
            questions,
            next,
        };
        events::start(event_maps, event_inputs, cancel.clone())
            .context("waiting for events of the program")?;
        let (keeper_sender, keeper_receiver) = keeper::channel();
        let keeper_task = tokio::spawn(keeper::run(neighbours, keeper_receiver));
        let (queries, query_receiver) = mpsc::channel(QUERIES);
        let inputs = Inputs {
            events: plane_receiver,
            interfaces: interfaces.clone(),
            ours4: ribs4.ours,
            ours6: ribs6.ours,
            ready4: ribs4.ready,
            ready6: ribs6.ready,
            rib4: ribs4.handle.clone(),
            rib6: ribs6.handle.clone(),
            queries: query_receiver,
            event_maps: event_sender,
            packets,
            keeper: keeper_sender,
        };
        let grace = Grace::start().context("starting the thread for grace periods")?;
        let failures = || route_events.failures().clone();
        let programmers = (
            Programmer::new(writer4, failures()),
            Programmer::new(writer6, failures()),
        );
        let (mut dataplane_task, reached) = {
            let _entered = plane_thread.enter();
            DataplaneTask::new(plane, programmers, features, grace, config.clone(), inputs)
                .context("making a timer for the dataplane")?
        };
        attach(&mut dataplane_task, config.dataplane.attach)?;
        let dataplane_cancel = CancellationToken::new();
        let dataplane_task = plane_thread.run(dataplane_task.run(dataplane_cancel.clone()))?;
        tokio::spawn(constraints.run(cancel.clone()));
        tokio::spawn(rib_task4.run(cancel.clone()));
        tokio::spawn(rib_task6.run(cancel.clone()));

        let keeps = || rip::Keeps {
            state_dir: options.paths.state_dir.clone(),
            recording: recording.cloned(),
        };
        let (rip, rip_reached) =
            RipControl::start(config.rip.as_ref(), &ribs4.handle, &interfaces, keeps())?;
        let (ripng, ripng_reached) =
            RipControl::start(config.ripng.as_ref(), &ribs6.handle, &interfaces, keeps())?;
        let (control_sender, control) = mpsc::channel(4);
        let (roster, questions) = roster::roster();
        let backend = DaemonBackend::new(backend::Parts {
            options: options.clone(),
            export_metric: config.kernel.export.then_some(config.kernel.metric),
            roster,
            event_counts: Arc::clone(route_events.counts()),
            rib4: ribs4.handle.clone(),
            rib6: ribs6.handle.clone(),
            dataplane: queries.clone(),
            events,
            rip: rip.commands(),
            ripng: ripng.commands(),
            ripng_reached,
            interfaces: interfaces.clone(),
            reached: reached.clone(),
            rip_reached,
            counters,
            control: control_sender,
            recording: recording.cloned(),
        });
        let serving = server::serve(listener, backend, cancel.clone().cancelled_owned());
        tokio::spawn(async move {
            if let Err(error) = serving.await {
                error!("the API has ended: {error}");
            }
        });
        let follow = config.route_socket.redirects == Redirects::Accept;
        route_events::listen_for_redirects(&route_events, ribs.clone(), follow, &cancel)
            .context("listening for ICMP redirects")?;
        tokio::spawn(route_events::follow_interfaces(
            route_events.clone(),
            interfaces.clone(),
            ribs,
            cancel.clone(),
        ));
        if let Some(listener) = route_listener {
            let parts = route_socket::Parts {
                config: Arc::new(config.route_socket.clone()),
                rib4: ribs4.handle.clone(),
                rib6: ribs6.handle.clone(),
                reached,
                events: route_events,
                interfaces: interfaces.clone(),
            };
            tokio::spawn(route_socket::serve(
                listener,
                parts,
                questions,
                cancel.clone(),
            ));
        }
        guard.disarm();
        Ok(Daemon {
            options: options.clone(),
            config,
            interfaces,
            rib4: ribs4.handle,
            rib6: ribs6.handle,
            dataplane: queries,
            misses,
            rip,
            ripng,
            control,
            cancel,
            dataplane_cancel,
            dataplane_task,
            keeper_task,
            _lock: lock,
        })
    }

    /// RIP says goodbye first, while packets still flow; then the programs go,
    /// then our kernel routes; the rest follows.
    async fn stop(mut self) {
        tokio::join!(self.rip.stop(), self.ripng.stop());
        self.dataplane_cancel.cancel();
        if self.dataplane_task.await.is_err() {
            error!("the thread `dataplane` has failed");
        }
        if let Err(error) = self.keeper_task.await {
            error!("the task `neighbours` has failed: {error}");
        }
        self.cancel.cancel();
    }
}

/// The routing socket, unless it is switched off.
fn listen_for_routes(
    options: &RunOptions,
    config: &Config,
) -> anyhow::Result<Option<route_socket::Listener>> {
    if !config.route_socket.enabled {
        return Ok(None);
    }
    let path = options.paths.route_socket();
    let listener = route_socket::Listener::bind(&path);
    let listener = listener.with_context(|| {
        format!(
            "listening on the routing socket {} (choose another --run-dir, or set \
             [route-socket] enabled = false)",
            path.display()
        )
    })?;
    Ok(Some(listener))
}

/// A route database: the way to it, and what it tells the dataplane.
struct OpenRib<F: Family> {
    handle: RibHandle<F>,
    ours: mpsc::Receiver<Vec<OursEvent<F>>>,
    ready: watch::Receiver<bool>,
}

fn open_rib<F: Family>(
    epoch: u64,
    config: &Arc<Config>,
    state_dir: &Path,
    events: mpsc::Receiver<Vec<RouteEvent<F>>>,
    interfaces: &watch::Receiver<Arc<Interfaces>>,
) -> anyhow::Result<(OpenRib<F>, RibTask<F>)> {
    let (ours, ours_receiver) = mpsc::channel(CHANNEL_DEPTH);
    let (ready, ready_receiver) = watch::channel(false);
    let links = rib_task::Links {
        events,
        interfaces: interfaces.clone(),
        ours,
        ready,
    };
    let (handle, task) = rib_task::new(epoch, config.clone(), state_dir, links)?;
    let open = OpenRib {
        handle,
        ours: ours_receiver,
        ready: ready_receiver,
    };
    Ok((open, task))
}

/// Differs with each start, and grows.
fn epoch() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(1, |since| {
        u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
    })
}

/// At the start every port of the configuration must be attachable; later a
/// port that is not is shown with its reason.
fn attach(task: &mut DataplaneTask, policy: Attach) -> anyhow::Result<()> {
    use crate::dataplane::attach::AttachError;
    for error in task.attach() {
        let fatal = match &error {
            AttachError::Busy(_) => true,
            AttachError::Refused { .. } => policy == Attach::Native,
            AttachError::NoRoom { .. } => false,
        };
        if fatal {
            bail!(error);
        }
        warn!("{error}");
    }
    Ok(())
}

/// A name written out in full must be there: a missing one is a typing error
/// far more often than an interface to come, which a pattern can name.
pub(crate) fn check_interfaces(config: &Config, interfaces: &Interfaces) -> anyhow::Result<()> {
    for glob in config
        .dataplane
        .interfaces
        .iter()
        .filter(|glob| glob.is_literal())
    {
        if interfaces.by_name(glob.as_str()).is_none() {
            let known: Vec<_> = interfaces
                .by_index
                .values()
                .map(|interface| interface.name.as_str())
                .collect();
            bail!(
                "[dataplane] interfaces names {glob}, which does not exist (there are: {}); \
                 for one that appears later write a pattern, such as \"{glob}*\"",
                known.join(", ")
            );
        }
    }
    Ok(())
}

fn switch_forwarding_on(config: &Config, interfaces: &Interfaces) -> anyhow::Result<()> {
    let chosen = |name: &str| config.dataplane.chooses(name).unwrap_or(true);
    let names = interfaces
        .by_index
        .values()
        .filter(|interface| !interface.loopback && chosen(&interface.name))
        .map(|interface| interface.name.as_str());
    enable_forwarding(names)?;
    Ok(())
}
