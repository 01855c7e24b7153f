//! The RIP engine: a function of (state, now, input). It owns the routes learnt
//! and advertised, the neighbours and all timers; it has no socket, no clock and
//! no thread. `rip_io` in the `forwarder` crate feeds it and carries out what it
//! answers; tests run fifty of them in one thread.
//!
//! RFC 2453 (RIP version 2), RFC 1058 (version 1, on the interfaces that say so) and
//! RFC 2080 (RIPng), with three things that these leave open and that make the
//! difference in a network:
//!
//! * every neighbour's offer is kept, so that a lost next hop is replaced by the
//!   next best one at once instead of after its next periodic update;
//! * output is paced, and made while it is sent, so that a large table neither
//!   overruns a neighbour's socket nor delays a withdrawal;
//! * on the way out everything advertised is taken back.
//!
//! The engine is generic over the address family ([`wire::Wire`]): the codec and
//! the rules about addresses differ between RIPv2 and RIPng, nothing else does.

mod auth;
mod changes;
mod config;
mod entry;
mod interface;
mod io;
mod lifecycle;
mod metric;
mod neighbor;
mod output;
mod packet;
pub mod query;
mod reading;
mod receive;
pub mod record;
mod reject;
mod rng;
mod show;
mod table;
#[cfg(test)]
mod tests;
mod wire;

use std::collections::BTreeMap;

pub use auth::{Auth, AuthLength, AuthType, Key, KeyError, Proof, Secret, UnixTime, Window};
pub use config::{
    Address, Config, InterfaceConfig, InterfaceSetup, MAX_NEIGHBORS, MAX_ROUTES, PACE, PATHS,
    ReceiveVersion, SendVersion, SplitHorizon, Timers, Tuning,
};
pub use io::{
    Actions, Clear, Datagram, Event, Input, NeighborKey, Redistribute, RouteChange, Send,
};
pub use metric::Metric;
pub use packet::{Command, Rte};
pub use reject::{Occurrence, Reject, Scope};
pub use show::{ErrorRow, InterfaceRow, NeighborRow, OfferRow, RouteOrigin, RouteRow};
pub use wire::{Dialect, Sayable, V1, Wire};

use crate::net::Ifindex;
use crate::time::Instant;
use entry::Redistributed;
use interface::Interface;
use output::Source;
use reject::Rejects;
use rng::Rng;
use table::Table;

/// The engine. See the module's head.
#[derive(Clone, Debug)]
pub struct Rip<F: Wire> {
    interfaces: BTreeMap<Ifindex, Interface<F>>,
    table: Table<F>,
    rejects: Rejects<F>,
    rng: Rng,
    /// The time of day, for authentication.
    clock: auth::Clock,
    draining: bool,
}

impl<F: Wire> Rip<F> {
    /// An engine that runs on no interface yet.
    pub fn new(config: Config) -> Self {
        Rip {
            interfaces: BTreeMap::new(),
            table: Table::new(config.tuning),
            rejects: Rejects::default(),
            rng: Rng::new(config.seed),
            clock: auth::Clock::new(config.sequence),
            draining: false,
        }
    }

    /// Takes an input in and adds to `out` what is to be done about it. Time
    /// must not go backwards from call to call.
    pub fn handle(&mut self, now: Instant, input: Input<'_, F>, out: &mut Actions<F>) {
        match input {
            Input::Datagram(_) if self.draining => {}
            Input::Datagram(datagram) => self.receive(now, &datagram, out),
            Input::Deadline => self.deadline(now, out),
            Input::InterfaceUp(setup) => self.interface_up(now, setup, out),
            Input::InterfaceDown(ifindex) => self.interface_down(now, ifindex, out),
            Input::InterfaceRemove(ifindex) => self.interface_remove(now, ifindex, out),
            Input::Redistribute(change) => self.redistribute(now, change, out),
            Input::Request(ifindex) => self.request(ifindex),
            Input::Clear(what) => self.clear(now, what, out),
            Input::Reconfigure(tuning) => self.reconfigure(now, tuning, out),
            Input::WallClock(time) => self.clock.set(now, time),
            Input::Shutdown => self.shutdown(),
        }
    }

    /// When [`Input::Deadline`] is to be handed in next; a time that is past
    /// means at once. `None`: nothing is waiting.
    pub fn next_deadline(&self) -> Option<Instant> {
        let head = self.table.log.head();
        let sends = self
            .interfaces
            .values()
            .filter_map(|i| i.next_send(head, self.draining))
            .min();
        if self.draining {
            return sends;
        }
        let sweeps = self
            .interfaces
            .values()
            .filter_map(|i| i.neighbors.next_sweep())
            .min();
        sends
            .into_iter()
            .chain(sweeps)
            .chain(self.table.next_alarm())
            .min()
    }

    /// Whether [`Input::Shutdown`] has been carried out: all is taken back.
    pub fn is_drained(&self) -> bool {
        self.draining && self.interfaces.values().all(Interface::is_idle)
    }

    /// The highest sequence number that authenticated packets have had; the next
    /// engine is to begin with it ([`Config::sequence`]).
    pub fn sequence(&self) -> u32 {
        self.clock.sequence()
    }

    /// Whether the interface still has something to receive or to send.
    pub fn has_interface(&self, ifindex: Ifindex) -> bool {
        self.interfaces.contains_key(&ifindex)
    }

    fn deadline(&mut self, now: Instant, out: &mut Actions<F>) {
        if !self.draining {
            self.table.expire(now, &mut out.routes);
            self.sweep_neighbors(now, out);
            self.watch_keys(now, out);
        }
        let Rip {
            interfaces,
            table,
            rng,
            clock,
            draining,
            ..
        } = self;
        let mut source = Source {
            now,
            table,
            rng,
            clock,
            draining: *draining,
        };
        for interface in interfaces.values_mut() {
            interface.pump(&mut source, &mut out.sends);
        }
        interfaces.retain(|_, interface| !(interface.closing && interface.is_idle()));
        self.forget_told();
    }

    /// A silent neighbour's routes time out by themselves, each in its own time.
    fn sweep_neighbors(&mut self, now: Instant, out: &mut Actions<F>) {
        let timeout = self.table.tuning.timers.timeout;
        for interface in self.interfaces.values_mut() {
            for address in interface.neighbors.sweep(now, timeout) {
                out.events.push(Event::NeighborLost(interface.key(address)));
            }
        }
    }

    /// A key that is used beyond its time is worth a word, once.
    fn watch_keys(&mut self, now: Instant, out: &mut Actions<F>) {
        let time = self.clock.time(now);
        for interface in self.interfaces.values_mut() {
            let auth = interface.setup.config.auth.as_ref();
            let out_of_keys = auth.is_some_and(|auth| auth.is_out_of_keys(time));
            if out_of_keys && !interface.out_of_keys {
                out.events.push(Event::OutOfKeys(interface.ifindex()));
            }
            interface.out_of_keys = out_of_keys;
        }
    }

    fn forget_told(&mut self) {
        let speakers = self
            .interfaces
            .values()
            .filter(|i| !i.targets.is_empty() && !i.closing);
        let told = speakers.map(|interface| interface.output.told()).min();
        self.table
            .log
            .forget(told.unwrap_or_else(|| self.table.log.head()));
    }

    fn redistribute(&mut self, now: Instant, change: Redistribute<F>, out: &mut Actions<F>) {
        let (prefix, route) = match change {
            Redistribute::Update {
                prefix,
                metric,
                tag,
                next_hop,
            } => (
                prefix,
                Some(Redistributed {
                    metric,
                    tag,
                    next_hop,
                }),
            ),
            Redistribute::Withdraw { prefix } => (prefix, None),
        };
        let sound =
            |route: &Redistributed<F>| F::is_routable(&prefix) && route.metric.is_reachable();
        let route = route.filter(sound);
        self.table
            .set_redistributed(now, prefix, route, &mut out.routes);
    }

    fn request(&mut self, ifindex: Ifindex) {
        if let Some(interface) = self.interfaces.get_mut(&ifindex) {
            interface.output.ask();
        }
    }

    fn clear(&mut self, now: Instant, what: Clear<F>, out: &mut Actions<F>) {
        match what {
            Clear::Neighbor(address) => {
                let gone = |offer: &entry::Offer<F>| offer.from.address == address;
                self.table.drop_offers(now, gone, &mut out.routes);
                self.interfaces.values_mut().for_each(|i| i.forget(address));
            }
            Clear::Routes => {
                self.table.drop_offers(now, |_| true, &mut out.routes);
                self.interfaces.values_mut().for_each(|i| i.output.ask());
            }
            Clear::Counters => {
                self.rejects = Rejects::default();
                for interface in self.interfaces.values_mut() {
                    interface.traffic = interface::Traffic::default();
                    interface.neighbors.clear_counters();
                }
            }
        }
    }

    fn reconfigure(&mut self, now: Instant, tuning: Tuning, out: &mut Actions<F>) {
        let timers = tuning.timers;
        let before = std::mem::replace(&mut self.table.tuning, tuning);
        if (tuning.paths, tuning.settle) != (before.paths, before.settle) {
            self.table.reconsider(now, &mut out.routes);
        }
        if timers == before.timers {
            return;
        }
        self.table.rearm();
        for interface in self.interfaces.values_mut() {
            interface.neighbors.rearm(timers.timeout);
            interface
                .output
                .reschedule(now, timers.update, &mut self.rng);
        }
    }

    fn shutdown(&mut self) {
        self.draining = true;
        for interface in self.interfaces.values_mut() {
            interface.output.stop();
            interface.output.farewell(&interface.targets);
        }
    }
}
