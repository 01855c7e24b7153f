//! Interfaces come, change and go.

use std::collections::BTreeSet;

use super::auth::Replay;
use super::config::{InterfaceSetup, SplitHorizon};
use super::entry::{Connected, Offer};
use super::interface::{Interface, Kind, Traffic, targets};
use super::io::Actions;
use super::neighbor::{Neighbors, RequestLimiter};
use super::output::Output;
use super::{Rip, Wire};
use crate::net::Ifindex;
use crate::time::Instant;

impl<F: Wire> Rip<F> {
    pub(super) fn interface_up(
        &mut self,
        now: Instant,
        setup: InterfaceSetup<F>,
        out: &mut Actions<F>,
    ) {
        if self.draining {
            return;
        }
        let networks = subnets(&setup);
        match self.interfaces.remove(&setup.ifindex) {
            Some(present) if present.setup == setup && !present.closing => {
                self.interfaces.insert(setup.ifindex, present);
                return;
            }
            Some(present) if !present.closing => self.change_interface(now, present, setup, out),
            _ => self.add_interface(now, setup),
        }
        self.refresh_connected(now, networks, out);
    }

    fn add_interface(&mut self, now: Instant, setup: InterfaceSetup<F>) {
        let interface = Interface {
            targets: targets(&setup, &[]),
            neighbors: Neighbors::default(),
            requests: RequestLimiter::default(),
            output: Output::new(now, self.table.log.head(), &mut self.rng),
            traffic: Traffic::default(),
            replay: Replay::default(),
            out_of_keys: false,
            closing: false,
            setup,
        };
        self.interfaces.insert(interface.ifindex(), interface);
    }

    fn change_interface(
        &mut self,
        now: Instant,
        mut interface: Interface<F>,
        setup: InterfaceSetup<F>,
        out: &mut Actions<F>,
    ) {
        let old = std::mem::replace(&mut interface.setup, setup);
        let ifindex = interface.ifindex();
        let setup = &interface.setup;

        let cut_off = |offer: &Offer<F>| {
            let faced = |addr| setup.facing(addr).is_some();
            offer.from.ifindex == ifindex && !(faced(offer.from.address) && faced(offer.via))
        };
        self.table.drop_offers(now, cut_off, &mut out.routes);
        let costs = (old.config.cost, setup.config.cost);
        if costs.0 != costs.1 {
            self.table.recost(now, ifindex, costs, &mut out.routes);
        }
        retarget(&mut interface, &old);
        self.interfaces.insert(ifindex, interface);
        self.refresh_connected(now, subnets(&old), out);
    }

    /// The link is lost: nothing can be sent there, and nothing learnt there
    /// can be used.
    pub(super) fn interface_down(&mut self, now: Instant, ifindex: Ifindex, out: &mut Actions<F>) {
        let Some(interface) = self.interfaces.remove(&ifindex) else {
            return;
        };
        self.table
            .drop_offers(now, |offer| offer.from.ifindex == ifindex, &mut out.routes);
        self.refresh_connected(now, subnets(&interface.setup), out);
    }

    /// RIP is configured away, but the link works: say so before leaving.
    pub(super) fn interface_remove(
        &mut self,
        now: Instant,
        ifindex: Ifindex,
        out: &mut Actions<F>,
    ) {
        let Some(interface) = self.interfaces.get_mut(&ifindex) else {
            return;
        };
        if interface.closing {
            return;
        }
        interface.closing = true;
        interface.output.stop();
        interface.output.farewell(&interface.targets);
        let networks = subnets(&interface.setup);
        if interface.is_idle() {
            self.interfaces.remove(&ifindex);
        }
        self.table
            .drop_offers(now, |offer| offer.from.ifindex == ifindex, &mut out.routes);
        self.refresh_connected(now, networks, out);
    }

    /// Works out anew which of these are networks of ours, and at what cost.
    fn refresh_connected(
        &mut self,
        now: Instant,
        networks: BTreeSet<F::Prefix>,
        out: &mut Actions<F>,
    ) {
        for prefix in networks {
            let alive = self
                .interfaces
                .values()
                .filter(|interface| !interface.closing);
            let on = alive.filter(|i| i.setup.addresses.iter().any(|a| a.subnet == prefix));
            let connected = on
                .map(|i| Connected {
                    cost: i.setup.config.cost,
                    ifindex: i.ifindex(),
                })
                .min();
            self.table
                .set_connected(now, prefix, connected, &mut out.routes);
        }
    }
}

/// The interface's networks, as far as anybody may route to them.
fn subnets<F: Wire>(setup: &InterfaceSetup<F>) -> BTreeSet<F::Prefix> {
    let subnets = setup.addresses.iter().map(|address| address.subnet);
    subnets.filter(F::is_routable).collect()
}

/// Says goodbye to those who are no longer sent updates, and tells the others
/// what they need after the change.
fn retarget<F: Wire>(interface: &mut Interface<F>, old: &InterfaceSetup<F>) {
    let wanted = targets(&interface.setup, &interface.targets);
    let before = std::mem::replace(&mut interface.targets, wanted);
    let now = &interface.targets;
    let (gone, kept): (Vec<_>, Vec<_>) =
        before.into_iter().partition(|target| !now.contains(target));
    // From an address that is gone nothing can be sent any more.
    let sendable = gone
        .into_iter()
        .filter(|target| interface.setup.is_ours(target.source));
    interface.output.farewell(&sendable.collect::<Vec<_>>());

    let added: Vec<_> = now
        .iter()
        .filter(|target| !kept.contains(target))
        .copied()
        .collect();
    if !added.is_empty() {
        interface.output.ask();
        interface.output.announce(Kind::Periodic, added);
    }
    let split = interface.setup.config.split_horizon;
    if split != old.config.split_horizon && split != SplitHorizon::Off && !kept.is_empty() {
        interface.output.announce(Kind::Retraction, kept);
    }
}
