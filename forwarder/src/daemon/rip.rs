//! RIP's task and its feed, started and stopped as the configuration says.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use forwarder_core::config::{self, Config};
use forwarder_core::interface::Interfaces;
use forwarder_core::net::{Family, Ipv4, Ipv6};
use forwarder_core::rib::Generation;
use forwarder_core::rip::{Auth, InterfaceConfig, Metric, SplitHorizon, Timers, Tuning};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::redistribute::{self, Feed};
use crate::rib_task::RibHandle;
use crate::rip_io::{self, Channels, Command, Settings, Transport};
use crate::rip_keys;
use crate::rip_record::Recording;

/// Questions waiting for RIP's task; API callers wait when it is full.
const COMMANDS: usize = 16;

/// Batches of routes on their way to the RIB; RIP keeps the latest of each
/// destination while it is full.
const ROUTES: usize = 4;

/// How the API reaches RIP; `None` while it is off.
pub(super) type RipCommands<F> = watch::Receiver<Option<mpsc::Sender<Command<F>>>>;

struct Running<F: Family> {
    commands: mpsc::Sender<Command<F>>,
    settings: watch::Sender<Option<Arc<config::Rip>>>,
    cancel: CancellationToken,
    task: JoinHandle<()>,
}

/// What outlives the task.
pub(super) struct Keeps {
    /// Where sequence numbers are.
    pub(super) state_dir: PathBuf,
    /// Where all that an engine is given goes, if anywhere.
    pub(super) recording: Option<Recording>,
}

/// Starts and stops RIP.
pub(super) struct RipControl<F: Family> {
    rib: RibHandle<F>,
    interfaces: watch::Receiver<Arc<Interfaces>>,
    keeps: Keeps,
    running: Option<Running<F>>,
    commands: watch::Sender<Option<mpsc::Sender<Command<F>>>>,
    reached: watch::Sender<Generation>,
}

/// Whether RIP and RIPng, those that are on and do not run yet, could start.
pub(super) fn check(config: &Config, running: (bool, bool)) -> anyhow::Result<()> {
    if config.rip.is_some() && !running.0 {
        rip_io::check_port::<Ipv4>().context("RIP cannot start")?;
    }
    if config.ripng.is_some() && !running.1 {
        rip_io::check_port::<Ipv6>().context("RIPng cannot start")?;
    }
    check_keys(config)
}

/// Whether all key files can be read.
fn check_keys(config: &Config) -> anyhow::Result<()> {
    config
        .rip
        .as_ref()
        .map_or(Ok(()), |rip| rip_keys::load(rip).map(drop))
}

impl<F: Transport> RipControl<F> {
    pub(super) fn start(
        rip: Option<&config::Rip>,
        rib: &RibHandle<F>,
        interfaces: &watch::Receiver<Arc<Interfaces>>,
        keeps: Keeps,
    ) -> anyhow::Result<(RipControl<F>, watch::Receiver<Generation>)> {
        let (reached, receiver) = watch::channel(Generation::default());
        let mut control = RipControl {
            rib: rib.clone(),
            interfaces: interfaces.clone(),
            keeps,
            running: None,
            commands: watch::Sender::new(None),
            reached,
        };
        if let Some(rip) = rip {
            control.begin(rip)?;
        }
        Ok((control, receiver))
    }

    pub(super) fn commands(&self) -> RipCommands<F> {
        self.commands.subscribe()
    }

    /// Acts on a new configuration that [`check`] has passed where RIP was off.
    ///
    /// # Errors
    /// A key file has become unreadable since; nothing has changed then.
    pub(super) async fn configure(&mut self, rip: Option<&config::Rip>) -> anyhow::Result<()> {
        match (rip, &self.running) {
            (Some(rip), Some(running)) => {
                let settings: Settings<F> = settings(rip, self.keeps.state_dir.clone())?;
                let (reply, done) = oneshot::channel();
                let command = Command::Reconfigure(settings, reply);
                // The task ends only when it is told to.
                if running.commands.send(command).await.is_ok() {
                    let _ = done.await;
                }
                running.settings.send_replace(Some(Arc::new(rip.clone())));
            }
            (Some(rip), None) => self.begin(rip)?,
            (None, _) => self.stop().await,
        }
        Ok(())
    }

    pub(super) fn is_running(&self) -> bool {
        self.running.is_some()
    }

    fn begin(&mut self, rip: &config::Rip) -> anyhow::Result<()> {
        let settings: Settings<F> = settings(rip, self.keeps.state_dir.clone())?;
        let (commands, command_receiver) = mpsc::channel(COMMANDS);
        let (routes, mut route_receiver) = mpsc::channel(ROUTES);
        let (redistribute, redistribute_receiver) = mpsc::channel(redistribute::DEPTH);
        let (settings_sender, settings_receiver) = watch::channel(Some(Arc::new(rip.clone())));
        let cancel = CancellationToken::new();
        let feed_cancel = CancellationToken::new();

        let feed = Feed::new(self.rib.clone(), settings_receiver, redistribute);
        tokio::spawn(feed.run(feed_cancel.clone(), self.reached.clone()));
        let rib = self.rib.clone();
        let forward = tokio::spawn(async move {
            while let Some(changes) = route_receiver.recv().await {
                rib.rip(changes).await;
            }
        });
        let channels = Channels {
            interfaces: self.interfaces.clone(),
            redistribute: redistribute_receiver,
            commands: command_receiver,
            routes,
            recording: self.keeps.recording.clone(),
        };
        let run = rip_io::run(settings, channels, cancel.clone());
        let rib = self.rib.clone();
        let task = tokio::spawn(async move {
            if let Err(error) = run.await {
                error!("{error}");
            }
            feed_cancel.cancel();
            // Everything it still had for the RIB comes before the withdrawal.
            let _ = forward.await;
            rib.rip_gone().await;
        });
        self.commands.send_replace(Some(commands.clone()));
        self.running = Some(Running {
            commands,
            settings: settings_sender,
            cancel,
            task,
        });
        Ok(())
    }

    /// Takes back what was advertised, and its routes out of the RIB.
    pub(super) async fn stop(&mut self) {
        let Some(running) = self.running.take() else {
            return;
        };
        self.commands.send_replace(None);
        running.cancel.cancel();
        if let Err(error) = running.task.await {
            error!("RIP's task has failed: {error}");
        }
    }
}

fn settings<F: Family>(rip: &config::Rip, state_dir: PathBuf) -> anyhow::Result<Settings<F>> {
    let keys = rip_keys::load(rip)?;
    let tuning = Tuning {
        timers: Timers {
            update: rip.update,
            timeout: rip.timeout,
            garbage: rip.garbage,
        },
        max_routes: rip.max_routes,
        paths: rip.ecmp,
        settle: rip.settle,
    };
    let rip = rip.clone();
    Ok(Settings {
        state_dir,
        tuning,
        select: Box::new(move |name| {
            let interface = rip.settings(name)?;
            let auth = keys.get(&interface.name).cloned();
            Some(interface_config(interface, auth))
        }),
    })
}

fn interface_config<F: Family>(
    interface: config::RipInterface,
    auth: Option<Auth>,
) -> InterfaceConfig<F> {
    InterfaceConfig {
        passive: interface.passive,
        send_version: interface.send_version,
        receive_version: interface.receive_version,
        split_horizon: match interface.split_horizon {
            config::SplitHorizon::Off => SplitHorizon::Off,
            config::SplitHorizon::Simple => SplitHorizon::Simple,
            config::SplitHorizon::Poison => SplitHorizon::Poison,
        },
        // The configuration has checked that it is 1 to 15.
        cost: Metric::new(u32::from(interface.cost)).unwrap_or(Metric::ONE),
        neighbors: interface
            .neighbors
            .into_iter()
            .filter_map(F::from_ip)
            .collect(),
        auth,
        ttl_security: interface.ttl_security,
        max_neighbors: interface.max_neighbors,
        max_neighbor_routes: interface.max_neighbor_routes,
        pace: interface.pace,
    }
}
