//! The task that owns the fast path and what is programmed into it.
//!
//! Events come from the netlink monitor (interfaces, neighbours, constraints),
//! the RIB (generations to pull), the kernel's table (routes of ours) and the
//! API (queries). Each is handled in a bounded step; large tables are worked
//! off between them.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use forwarder_core::config::Config;
use forwarder_core::interface::Interfaces;
use forwarder_core::kernel::event::{DataplaneEvent, NeighbourEvent, NeighbourState};
use forwarder_core::net::{Ifindex, Ipv4, Ipv6};
use forwarder_core::time::Instant;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::attach::AttachError;
use super::events::EventMaps;
use super::features::Features;
use super::feedback::{Feedback, Verdict};
use super::grace::Grace;
use super::keeper;
use super::pace::Pace;
use super::plane::{Plane, Resting};
use super::programmer::{ProgrammedFamily, Programmer, Reached};
use super::query::Query;
use super::usage::{self, Usage};
use crate::clock;
use crate::rib_task::{OursEvent, RibHandle};
use crate::route_events::Packets;

/// How often `used` words are read: four times within the shortest sensible
/// idle time.
const USAGE_PERIOD: Duration = Duration::from_secs(5);

/// A gateway that does not answer is asked for again after this.
const RESOLVE_AGAIN: Duration = Duration::from_secs(3);

/// Larger route tables that the kernel refused are asked for again after this.
const GROW_AGAIN: Duration = Duration::from_secs(60);

/// Time that removing our routes may take at the end.
const WITHDRAW_DEADLINE: Duration = Duration::from_secs(20);

/// Where the task's input comes from.
pub struct Inputs {
    /// Neighbours and constraints.
    pub events: mpsc::Receiver<Vec<DataplaneEvent>>,
    /// The interfaces.
    pub interfaces: watch::Receiver<Arc<Interfaces>>,
    /// Routes of ours seen in the kernel.
    pub ours4: mpsc::Receiver<Vec<OursEvent<Ipv4>>>,
    /// Likewise, IPv6.
    pub ours6: mpsc::Receiver<Vec<OursEvent<Ipv6>>>,
    /// Set once the kernel's tables have been read into the RIB.
    pub ready4: watch::Receiver<bool>,
    /// Likewise, IPv6.
    pub ready6: watch::Receiver<bool>,
    /// The route database of IPv4.
    pub rib4: RibHandle<Ipv4>,
    /// That of IPv6.
    pub rib6: RibHandle<Ipv6>,
    /// From the API.
    pub queries: mpsc::Receiver<Query>,
    /// To the task that reads the programs' events: maps in place of others.
    pub event_maps: mpsc::UnboundedSender<EventMaps>,
    /// Who tells the routing socket.
    pub packets: Packets,
    /// To the neighbour keeper.
    pub keeper: mpsc::Sender<keeper::Request>,
}

/// Takes in what the route database has new.
async fn pull<F: ProgrammedFamily>(rib: &mut RibHandle<F>, programmer: &mut Programmer<F>) {
    if *rib.generation.borrow_and_update() == programmer.cursor() {
        return;
    }
    match rib.since(programmer.cursor()).await {
        Ok(pulled) => programmer.pulled(pulled),
        Err(error) => warn!("{error:#}"),
    }
}

/// The task's state.
pub struct DataplaneTask {
    pub(super) plane: Plane,
    pub(super) programmer4: Programmer<Ipv4>,
    pub(super) programmer6: Programmer<Ipv6>,
    pub(super) features: Features,
    pub(super) usage: Usage,
    pub(super) config: Arc<Config>,
    feedback: Feedback,
    grace: Grace,
    resting: Option<Resting>,
    pace: Pace,
    /// The route database has something new.
    news: bool,
    inputs: Inputs,
    reached: watch::Sender<[Reached; 2]>,
    /// When leftovers of an earlier life are removed; RIP needs a round to
    /// learn again what it had put there.
    sweep_at: Option<Instant>,
    started: bool,
    full: bool,
    next_usage: Instant,
    next_resolve: Instant,
    next_growth: Instant,
}

impl DataplaneTask {
    /// The task over a loaded plane.
    pub fn new(
        plane: Plane,
        (programmer4, programmer6): (Programmer<Ipv4>, Programmer<Ipv6>),
        features: Features,
        grace: Grace,
        config: Arc<Config>,
        inputs: Inputs,
    ) -> std::io::Result<(DataplaneTask, watch::Receiver<[Reached; 2]>)> {
        let (reached, receiver) = watch::channel(Default::default());
        let task = DataplaneTask {
            plane,
            programmer4,
            programmer6,
            features,
            usage: Usage::default(),
            config,
            feedback: Feedback::default(),
            grace,
            resting: None,
            pace: Pace::new()?,
            news: false,
            inputs,
            reached,
            sweep_at: None,
            started: false,
            full: false,
            next_usage: Instant::ZERO,
            next_resolve: Instant::ZERO,
            next_growth: Instant::ZERO,
        };
        Ok((task, receiver))
    }

    /// Attaches to the ports that there are at the start. What is refused then
    /// is an error of the configuration, to be mended before the daemon runs.
    pub fn attach(&mut self) -> Vec<AttachError> {
        self.plane.interfaces = self.inputs.interfaces.borrow_and_update().clone();
        self.plane.reconcile(&self.features)
    }

    /// Runs until cancelled, then takes everything down again.
    pub async fn run(mut self, cancel: CancellationToken) {
        let mut tick = tokio::time::interval(Duration::from_secs(1));
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let may_work = !self.plane.wants_to_grow();
            let busy4 = may_work && self.programmer4.has_work();
            let busy6 = may_work && self.programmer6.has_work();
            tokio::select! {
                () = cancel.cancelled() => break,
                Some(events) = self.inputs.events.recv() => self.dataplane_events(events),
                Ok(()) = self.inputs.interfaces.changed() => self.interfaces_changed(),
                result = self.features.changed() => self.features_changed(result),
                Some(ours) = self.inputs.ours4.recv() => {
                    self.programmer4.ours(&mut self.plane, ours);
                }
                Some(ours) = self.inputs.ours6.recv() => {
                    self.programmer6.ours(&mut self.plane, ours);
                }
                Ok(()) = self.inputs.ready4.changed() => self.kernel_known(),
                Ok(()) = self.inputs.ready6.changed() => self.kernel_known(),
                Ok(()) = self.inputs.rib4.generation.changed(), if !self.news => self.news = true,
                Ok(()) = self.inputs.rib6.generation.changed(), if !self.news => self.news = true,
                result = self.pace.due(), if self.news => self.pull(result).await,
                Some(query) = self.inputs.queries.recv() => self.query(query),
                () = self.grace.ended() => self.grace_ended(),
                _ = tick.tick() => self.tick(),
                () = std::future::ready(()), if busy4 => {
                    self.programmer4.step(&mut self.plane).await;
                }
                () = std::future::ready(()), if busy6 => {
                    self.programmer6.step(&mut self.plane).await;
                }
            }
            self.settle();
        }
        self.shut_down().await;
    }

    /// Takes in what the route database has new. A timer that fails costs time,
    /// no routes.
    async fn pull(&mut self, due: std::io::Result<()>) {
        if let Err(error) = due {
            warn!("waiting for changes to gather: {error}");
        }
        self.news = false;
        pull(&mut self.inputs.rib4, &mut self.programmer4).await;
        pull(&mut self.inputs.rib6, &mut self.programmer6).await;
        self.pace.pulled();
    }

    fn dataplane_events(&mut self, events: Vec<DataplaneEvent>) {
        let mut reconcile = false;
        for event in events {
            match &event {
                DataplaneEvent::Neighbour4(NeighbourEvent::Set(entry)) => {
                    let key = (entry.ifindex, entry.address.into());
                    self.usage.confirm(key, entry.managed);
                    self.tell_of_failure(key, entry.state);
                }
                DataplaneEvent::Neighbour6(NeighbourEvent::Set(entry)) => {
                    let key = (entry.ifindex, entry.address.into());
                    self.usage.confirm(key, entry.managed);
                    self.tell_of_failure(key, entry.state);
                }
                _ => {}
            }
            reconcile |= self.plane.event(event);
        }
        if reconcile {
            self.plane.reconcile(&self.features);
        }
    }

    fn tell_of_failure(&self, (ifindex, address): (Ifindex, IpAddr), state: NeighbourState) {
        if state == NeighbourState::Failed {
            self.inputs.packets.failed(ifindex, address);
        }
    }

    fn interfaces_changed(&mut self) {
        self.plane.interfaces = self.inputs.interfaces.borrow_and_update().clone();
        self.plane.reconcile(&self.features);
        self.programmer4.retry();
        self.programmer6.retry();
        // A link that came up: its gateways are asked for at once.
        self.next_resolve = Instant::ZERO;
    }

    fn features_changed(&mut self, result: std::io::Result<()>) {
        if let Err(error) = result {
            warn!("XDP abilities of devices: {error}");
        }
        self.plane.reconcile(&self.features);
    }

    fn kernel_known(&mut self) {
        let ready4 = *self.inputs.ready4.borrow_and_update();
        let ready6 = *self.inputs.ready6.borrow_and_update();
        if ready4 {
            self.programmer4.kernel_known();
        }
        if ready6 {
            self.programmer6.kernel_known();
        }
        if !(ready4 && ready6) {
            return;
        }
        let wait = self
            .config
            .rip
            .as_ref()
            .map_or(Duration::ZERO, |rip| rip.update * 2);
        self.sweep_at = Some(clock::now() + wait);
    }

    fn has_work(&self) -> bool {
        self.programmer4.has_work() || self.programmer6.has_work()
    }

    fn is_ready(&self) -> bool {
        *self.inputs.ready4.borrow() && *self.inputs.ready6.borrow()
    }

    /// After every event: what follows from it.
    fn settle(&mut self) {
        let now = clock::now();
        if self.sweep_at.is_some_and(|at| now >= at) && !self.has_work() {
            self.sweep_at = None;
            self.programmer4.rib_filled();
            self.programmer6.rib_filled();
        }
        if !self.started && self.is_ready() && !self.has_work() {
            self.started = self.plane.start(&self.features);
            if self.started {
                info!("forwarding");
            }
        }
        // Handed up first: what found no room must not go by a shorter prefix
        // while a larger table is filled.
        self.hand_up_while_full();
        self.grow_if_crowded(now);
        self.hand_up_while_full();
        self.resolve_gateways(now);
        self.rest_freed();
        let reached = [self.programmer4.reached(), self.programmer6.reached()];
        self.reached
            .send_if_modified(|current| std::mem::replace(current, reached) != reached);
    }

    fn hand_up_while_full(&mut self) {
        if self.plane.is_full() != self.full {
            self.full = self.plane.is_full();
            self.plane.reconcile(&self.features);
        }
    }

    /// Before the table is full, so that no prefix has to wait for room.
    fn grow_if_crowded(&mut self, now: Instant) {
        if now < self.next_growth {
            return;
        }
        let Some(lookup) = self.plane.next_lookup() else {
            return;
        };
        match self.plane.grow(lookup, &self.features) {
            Ok(maps) => {
                // It ends only when the daemon does.
                let _ = self.inputs.event_maps.send(maps);
                self.plane.growth_refused = None;
            }
            Err(error) => {
                self.next_growth = now + GROW_AGAIN;
                let error = error.to_string();
                if self.plane.growth_refused.as_ref() != Some(&error) {
                    warn!("the route tables could not be made larger: {error}");
                }
                self.plane.growth_refused = Some(error);
            }
        }
    }

    /// Gateways without a neighbour entry are asked for ahead of traffic.
    fn resolve_gateways(&mut self, now: Instant) {
        if now < self.next_resolve {
            return;
        }
        let mut asked = false;
        for (ifindex, address) in self.plane.gateways_to_resolve() {
            asked = true;
            // A full queue: asked again next time.
            let _ = self
                .inputs
                .keeper
                .try_send(keeper::Request::Resolve(ifindex, address));
        }
        // While nothing waits, a new gateway is asked for at once.
        self.next_resolve = if asked { now + RESOLVE_AGAIN } else { now };
    }

    fn rest_freed(&mut self) {
        if self.plane.has_freed() && self.resting.is_none() && self.grace.begin() {
            self.resting = Some(self.plane.take_freed());
        }
    }

    fn grace_ended(&mut self) {
        if let Some(resting) = self.resting.take() {
            self.plane.release(resting);
            // A port's number may be among it that another waits for.
            if self.plane.ports.without_room() > 0 {
                self.plane.reconcile(&self.features);
            }
        }
    }

    fn tick(&mut self) {
        let now = clock::now();
        self.programmer4.tick();
        self.programmer6.tick();
        self.judge_ports(now);
        if now >= self.next_usage {
            self.next_usage = now + USAGE_PERIOD;
            self.scan_usage(now);
        }
    }

    fn judge_ports(&mut self, now: Instant) {
        let ports: Vec<_> = self
            .plane
            .ports
            .attached()
            .map(|(ifindex, port)| (ifindex, port.number))
            .collect();
        let mut changed = false;
        for (ifindex, number) in ports {
            let Ok(row) = self.plane.counters(number) else {
                continue;
            };
            let Some(verdict) = self.feedback.sample(now, ifindex, &row) else {
                continue;
            };
            let failing = verdict == Verdict::Failing;
            changed |= self.plane.ports.set_failing(ifindex, failing);
        }
        self.feedback
            .retain(|ifindex| self.plane.ports.get(ifindex).is_some());
        if changed {
            self.plane.reconcile(&self.features);
        }
    }

    fn scan_usage(&mut self, now: Instant) {
        let idle = self.config.dataplane.neighbour_idle;
        let words = self.plane.used();
        let requests = self.usage.scan(now, idle, words);
        for request in requests {
            let request = match request {
                usage::Request::Manage((ifindex, address)) => {
                    keeper::Request::Manage(ifindex, address)
                }
                usage::Request::Release((ifindex, address)) => {
                    keeper::Request::Release(ifindex, address)
                }
            };
            let _ = self.inputs.keeper.try_send(request);
        }
    }

    /// Programs off first, then our routes: traffic is the kernel's in between.
    async fn shut_down(mut self) {
        self.plane.detach();
        for (ifindex, address) in self.usage.managed() {
            let _ = self
                .inputs
                .keeper
                .try_send(keeper::Request::Release(ifindex, address));
        }
        let plane = &mut self.plane;
        let withdraw = async {
            self.programmer4.withdraw_all(plane).await;
            self.programmer6.withdraw_all(plane).await;
        };
        if tokio::time::timeout(WITHDRAW_DEADLINE, withdraw)
            .await
            .is_err()
        {
            warn!("not all of our routes could be removed; `forwarder detach` removes the rest");
        }
    }
}
