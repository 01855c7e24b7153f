//! RIP's task: the engine between its sockets, the RIB and the clock.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use forwarder_core::interface::Interfaces;
use forwarder_core::net::{Family, Ifindex, Ipv4};
use forwarder_core::rip::{
    Actions, Config, Datagram, Event, Input, Redistribute, RouteChange, UnixTime,
};
use forwarder_core::time::Instant as CoreInstant;
use tokio::sync::{mpsc, watch};
use tokio::time;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::command::{Command, Select, Settings};
use super::engine::Engine;
use super::sequence::SequenceFile;
use super::socket::{DATAGRAM, RipSocket, SocketError, check_port};
use super::transport::Transport;
use crate::clock;
use crate::rip_record::Recording;

/// Datagrams taken from a socket before timers and others get their turn: the
/// burst of a neighbour with 10,000 routes in one go (some 10 ms of work), so
/// that it causes one triggered update.
const DRAIN: usize = 512;
/// The end of patience at shutdown: 100,000 routes are taken back within 8 s.
const FAREWELL: Duration = Duration::from_secs(10);
/// The time of day is told again when it is off by this many seconds: it was
/// set, or rounding has added up.
const CLOCK_STEP: u64 = 2;
/// Nothing is waiting: look again after this anyway.
const IDLE: Duration = Duration::from_secs(3600);

/// Why RIP's task ended before it was told to.
#[derive(Debug, thiserror::Error)]
pub enum RipError {
    /// At start: no socket.
    #[error("RIP cannot start: {0}")]
    Socket(#[from] SocketError),
}

/// What connects the task with the rest.
pub struct Channels<F: Family = Ipv4> {
    /// The interfaces as they are.
    pub interfaces: watch::Receiver<Arc<Interfaces>>,
    /// Routes of other sources to advertise.
    pub redistribute: mpsc::Receiver<Vec<Redistribute<F>>>,
    /// Questions and orders.
    pub commands: mpsc::Receiver<Command<F>>,
    /// Where routes go. Changes wait here while it is full, the latest of each
    /// destination, so that the task never stands still.
    pub routes: mpsc::Sender<Vec<RouteChange<F>>>,
    /// Where all that the engine is given goes, if anywhere.
    pub recording: Option<Recording>,
}

/// Runs RIP until `cancel`, then takes back what was advertised. Fails at start
/// where the port is held; later, an interface without a socket is tried again.
pub async fn run<F: Transport>(
    settings: Settings<F>,
    mut channels: Channels<F>,
    cancel: CancellationToken,
) -> Result<(), RipError> {
    check_port::<F>()?;
    let mut driver = Driver::new(settings, channels.recording.take());
    let interfaces = channels.interfaces.borrow_and_update().clone();
    driver.sync(&interfaces);
    loop {
        driver.tick();
        if driver.is_done() {
            driver.sequence.close(driver.engine.rip.sequence());
            return Ok(());
        }
        let wake = driver.wake_at();
        // A channel whose other end is gone is left out, not spun on.
        tokio::select! {
            () = cancel.cancelled(), if driver.stopping.is_none() => driver.stop(),
            permit = channels.routes.reserve(), if driver.has_routes() => match permit {
                Ok(permit) => permit.send(driver.take_routes()),
                Err(_) => driver.stop(),
            },
            ready = readable(&driver.sockets) => driver.drain(&ready),
            Ok(()) = channels.interfaces.changed() => {
                let interfaces = channels.interfaces.borrow_and_update().clone();
                driver.sync(&interfaces);
            }
            Some(batch) = channels.redistribute.recv() => driver.redistribute(batch),
            Some(command) = channels.commands.recv() => driver.command(command),
            () = time::sleep_until(wake) => {}
        }
    }
}

/// The interfaces whose sockets have something to read.
async fn readable<F: Transport>(sockets: &BTreeMap<Ifindex, RipSocket<F>>) -> Vec<Ifindex> {
    poll_fn(|cx| {
        let ready = sockets
            .iter()
            .filter(|(_, socket)| socket.poll_readable(cx).is_ready());
        let ready: Vec<_> = ready.map(|(ifindex, _)| *ifindex).collect();
        if ready.is_empty() {
            Poll::Pending
        } else {
            Poll::Ready(ready)
        }
    })
    .await
}

/// The task's state.
pub(super) struct Driver<F: Transport> {
    pub(super) engine: Engine<F>,
    pub(super) select: Select<F>,
    pub(super) interfaces: Arc<Interfaces>,
    pub(super) sockets: BTreeMap<Ifindex, RipSocket<F>>,
    /// Some socket could not be opened: try again then.
    pub(super) retry_at: Option<time::Instant>,
    /// [`DATAGRAM`] bytes to receive into.
    buffer: Vec<u8>,
    sequence: SequenceFile,
    /// When the engine was told the time of day, and what it was.
    told_time: Option<(CoreInstant, UnixTime)>,
    /// What the RIB has not been told yet.
    routes: BTreeMap<F::Prefix, RouteChange<F>>,
    /// Told to stop; patience ends then.
    stopping: Option<time::Instant>,
}

impl<F: Transport> Driver<F> {
    fn new(settings: Settings<F>, recording: Option<Recording>) -> Self {
        let seed = RandomState::new().build_hasher().finish();
        let (file, sequence) = SequenceFile::open(&settings.state_dir);
        let config = Config {
            tuning: settings.tuning,
            seed,
            sequence,
        };
        Driver {
            engine: Engine::new(config, recording),
            select: settings.select,
            interfaces: Arc::default(),
            sockets: BTreeMap::new(),
            retry_at: None,
            buffer: vec![0; DATAGRAM],
            sequence: file,
            told_time: None,
            routes: BTreeMap::new(),
            stopping: None,
        }
    }

    pub(super) fn input(&mut self, input: Input<'_, F>) {
        self.engine.handle(clock::now(), input);
    }

    /// Gives the engine its deadline, if it has come, and carries out all it
    /// wants. Called once in each round, whatever woke us, so that no flood can
    /// starve the timers.
    fn tick(&mut self) {
        self.tell_time();
        if self
            .engine
            .rip
            .next_deadline()
            .is_some_and(|at| at <= clock::now())
        {
            self.input(Input::Deadline);
        }
        if self.retry_at.is_some_and(|at| at <= time::Instant::now()) {
            let interfaces = Arc::clone(&self.interfaces);
            self.sync(&interfaces);
        }
        self.carry_out();
        let rip = &self.engine.rip;
        self.sockets
            .retain(|ifindex, _| rip.has_interface(*ifindex));
    }

    /// Lifetimes of keys and sequence numbers are made of the time of day.
    fn tell_time(&mut self) {
        let (now, time) = (clock::now(), clock::time_of_day());
        let expected = |(at, told): (CoreInstant, UnixTime)| told.0 + now.since(at).as_secs();
        let known = self.told_time.map(expected);
        if known.is_none_or(|known| known.abs_diff(time.0) >= CLOCK_STEP) {
            self.told_time = Some((now, time));
            self.input(Input::WallClock(time));
        }
    }

    fn wake_at(&self) -> time::Instant {
        let deadline = self.engine.rip.next_deadline().map(clock::deadline);
        let never = time::Instant::now() + IDLE;
        [deadline, self.retry_at, self.stopping]
            .into_iter()
            .flatten()
            .min()
            .unwrap_or(never)
    }

    fn is_done(&self) -> bool {
        self.stopping.is_some_and(|patience| {
            self.engine.rip.is_drained() || patience <= time::Instant::now()
        })
    }

    fn stop(&mut self) {
        if self.stopping.is_none() {
            self.stopping = Some(time::Instant::now() + FAREWELL);
            self.input(Input::Shutdown);
        }
    }

    fn has_routes(&self) -> bool {
        self.stopping.is_none() && !self.routes.is_empty()
    }

    fn take_routes(&mut self) -> Vec<RouteChange<F>> {
        std::mem::take(&mut self.routes).into_values().collect()
    }

    /// Reads a bounded number of datagrams from each of these sockets.
    fn drain(&mut self, ready: &[Ifindex]) {
        let mut buffer = std::mem::take(&mut self.buffer);
        for ifindex in ready {
            let Some(socket) = self.sockets.get_mut(ifindex) else {
                continue;
            };
            for _ in 0..DRAIN {
                let received = match socket.receive(&mut buffer) {
                    Ok(Some(received)) => received,
                    Ok(None) => break,
                    Err(error) => {
                        // The link went down, for one: said once, then gone.
                        debug!(%ifindex, %error, "receiving RIP");
                        break;
                    }
                };
                let datagram = Datagram {
                    ifindex: *ifindex,
                    source: received.source.0,
                    source_port: received.source.1,
                    hop_limit: received.hop_limit,
                    multicast: received.multicast,
                    payload: received.payload,
                };
                let now = clock::now();
                self.engine.handle(now, Input::Datagram(datagram));
            }
        }
        self.buffer = buffer;
    }

    fn redistribute(&mut self, batch: Vec<Redistribute<F>>) {
        for change in batch {
            self.input(Input::Redistribute(change));
        }
    }

    /// Sends, reports and remembers what the engine wants.
    fn carry_out(&mut self) {
        let Actions {
            sends,
            routes,
            events,
        } = self.engine.take_actions();
        if !sends.is_empty() {
            self.sequence.reach(self.engine.rip.sequence());
        }
        for send in sends {
            let Some(socket) = self.sockets.get_mut(&send.ifindex) else {
                continue;
            };
            if let Err(error) = socket.send(&send)
                && socket.send_failures.is_power_of_two()
            {
                let (interface, failures) =
                    (self.interfaces.name(send.ifindex), socket.send_failures);
                warn!(%interface, to = %send.destination, %error, failures, "RIP packet not sent");
            }
        }
        for change in routes {
            let (RouteChange::Update { prefix, .. } | RouteChange::Withdraw { prefix }) = change;
            self.routes.insert(prefix, change);
        }
        for event in events {
            self.log(&event);
        }
    }

    fn log(&self, event: &Event<F>) {
        let name = |ifindex| self.interfaces.name(ifindex);
        match event {
            Event::NeighborUp(key) => {
                info!(neighbor = %key.address, interface = name(key.ifindex), "RIP neighbour heard");
            }
            Event::NeighborLost(key) => {
                warn!(neighbor = %key.address, interface = name(key.ifindex), "RIP neighbour silent");
            }
            Event::OutOfKeys(ifindex) => {
                warn!(
                    interface = name(*ifindex),
                    "no key's send-from and send-until include now: RIP goes on with the last one; add a key"
                );
            }
            Event::Rejected(reason, key) => {
                warn!(%reason, source = %key.address, interface = name(key.ifindex),
                    "RIP input refused; further ones are only counted: forwarder show rip errors");
            }
        }
    }
}
