//! One address family's side of the fast path: what the maps should hold for
//! it, the neighbours it is reached by, and what the maps had no room for.
//!
//! Owned, one for each family, by [`super::plane`]. Every change compiles to
//! map writes ([`FibOp`]), which are carried out before the call returns.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use forwarder_common::abi::Counter;
use forwarder_core::fib::{Fib, FibOp, Freed};
use forwarder_core::kernel::event::{Neighbour, NeighbourEvent, NeighbourState};
use forwarder_core::net::{Ifindex, TableId};
use forwarder_core::route::Route;
use tracing::{error, info, warn};

use super::family::MapFamily;
use super::ports::PortChange;
use super::routes::WriteError;
use super::tables::Tables;
use crate::api::model::RouteCounter;

/// A neighbour: its interface and address.
pub type NeighbourKey<F> = (Ifindex, <F as forwarder_core::net::Family>::Addr);

/// What programs may still be reading, on its way through a grace period.
#[must_use = "what is not released is never used again"]
pub struct Resting {
    fib: Freed,
    rows: Vec<u32>,
    /// Whose rows they are.
    generation: u32,
}

/// One family's side.
pub struct Side<F: MapFamily> {
    /// What the maps should hold.
    pub fib: Fib<F>,
    /// The neighbour table as the kernel last told it.
    pub neighbours: BTreeMap<NeighbourKey<F>, Neighbour<F::Addr>>,
    /// Neighbours named by the dump that is under way.
    dumped: Option<BTreeSet<NeighbourKey<F>>>,
    /// Prefixes that the map refused; the fast path is handed up while there
    /// are any.
    refused: BTreeMap<F::Prefix, u32>,
    ops: Vec<FibOp<F>>,
}

impl<F: MapFamily> Side<F> {
    /// With the fixed entries in the maps.
    pub fn new(tables: &mut Tables) -> Self {
        let mut side = Side {
            fib: Fib::new(),
            neighbours: BTreeMap::new(),
            dumped: None,
            refused: BTreeMap::new(),
            ops: Vec::new(),
        };
        side.fib.initial(&mut side.ops);
        side.flush(tables);
        side
    }

    /// Fills the maps of the next generation with what these hold or should.
    pub fn fill(&mut self, next: &mut Tables) {
        self.refused.clear();
        self.fib.initial(&mut self.ops);
        self.flush(next);
        // A million writes: their room is not needed again.
        self.ops = Vec::new();
    }

    /// The route selected for a prefix; `None` = none any more.
    pub fn set_route(
        &mut self,
        tables: &mut Tables,
        table: TableId,
        prefix: F::Prefix,
        route: Option<&Route<F>>,
    ) {
        self.fib.set_route(table, prefix, route, &mut self.ops);
        self.flush(tables);
    }

    /// Which routes are counted each by itself.
    pub fn set_counted(&mut self, tables: &mut Tables, wanted: &BTreeSet<F::Prefix>) {
        self.fib.set_counted(wanted, &mut self.ops);
        let without = self.fib.stats().without_counter;
        if without > 0 {
            let family = F::NAME;
            warn!("{without} {family} routes are not counted: there are no more counters");
        }
        self.flush(tables);
    }

    /// What those have counted, whether there is a route now or not.
    pub fn counted(&self, counter: impl Fn(u32) -> Option<Counter>, out: &mut Vec<RouteCounter>) {
        for (prefix, id) in self.fib.counted() {
            let Some(counter) = id.and_then(&counter) else {
                continue;
            };
            out.push(RouteCounter {
                prefix: prefix.into(),
                packets: counter.packets,
                bytes: counter.bytes,
            });
        }
    }

    /// A port's new state.
    pub fn set_port(&mut self, tables: &mut Tables, (ifindex, state): PortChange) {
        self.fib.set_port(ifindex, state, &mut self.ops);
        self.flush(tables);
    }

    /// Something about a neighbour.
    pub fn neighbour_event(&mut self, tables: &mut Tables, event: &NeighbourEvent<F>) {
        match *event {
            NeighbourEvent::Set(neighbour) => self.neighbour(neighbour),
            NeighbourEvent::Gone { ifindex, address } => self.neighbour_gone((ifindex, address)),
            NeighbourEvent::DumpStart => self.dumped = Some(BTreeSet::new()),
            NeighbourEvent::DumpEnd => self.sweep_neighbours(),
        }
        self.flush(tables);
    }

    fn neighbour(&mut self, neighbour: Neighbour<F::Addr>) {
        let key = (neighbour.ifindex, neighbour.address);
        if let Some(dumped) = &mut self.dumped {
            dumped.insert(key);
        }
        let mac = match neighbour.state {
            NeighbourState::Usable(mac) => Some(mac),
            NeighbourState::Resolving | NeighbourState::Failed => None,
        };
        self.neighbours.insert(key, neighbour);
        self.fib.set_neighbour(key.0, key.1, mac, &mut self.ops);
    }

    fn neighbour_gone(&mut self, key: NeighbourKey<F>) {
        self.neighbours.remove(&key);
        self.fib.set_neighbour(key.0, key.1, None, &mut self.ops);
    }

    fn sweep_neighbours(&mut self) {
        let Some(dumped) = self.dumped.take() else {
            return;
        };
        let gone: Vec<_> = self
            .neighbours
            .keys()
            .filter(|key| !dumped.contains(key))
            .copied()
            .collect();
        for key in gone {
            self.neighbour_gone(key);
        }
    }

    /// Whether something waits for a grace period.
    pub fn has_freed(&self, tables: &Tables) -> bool {
        self.fib.has_freed() || tables.of::<F>().has_freed_rows()
    }

    /// What a grace period that begins now will make free.
    pub fn take_freed(&mut self, tables: &mut Tables) -> Resting {
        Resting {
            fib: self.fib.take_freed(),
            rows: tables.of_mut::<F>().take_freed_rows(),
            generation: tables.generation(),
        }
    }

    /// Releases what a grace period has made free, and serves those that
    /// lacked it.
    pub fn release(&mut self, tables: &mut Tables, resting: Resting) {
        self.fib.release(resting.fib, &mut self.ops);
        // Rows of an earlier generation are not to be had any more.
        if !resting.rows.is_empty() && resting.generation == tables.generation() {
            tables.of_mut::<F>().release_rows(resting.rows);
            self.retry(tables);
        }
        self.flush(tables);
    }

    /// The neighbours that adjacencies lead to, each with its `used` word.
    pub fn used(&self, tables: &Tables, out: &mut Vec<((Ifindex, IpAddr), u32)>) {
        for adjacency in self.fib.adjacencies() {
            if let Ok(word) = tables.used(adjacency.slot) {
                out.push(((adjacency.ifindex, adjacency.neighbour.into()), word));
            }
        }
    }

    /// Whether the route table has refused a prefix.
    pub fn is_full(&self) -> bool {
        !self.refused.is_empty()
    }

    /// Carries out map writes in their order.
    fn flush(&mut self, tables: &mut Tables) {
        let mut ops = std::mem::take(&mut self.ops);
        for op in ops.drain(..) {
            let result = match &op {
                FibOp::SetAdjacency { slot, adjacency } => {
                    tables.set_adjacency(*slot, *adjacency).map_err(Into::into)
                }
                FibOp::SetGroup {
                    slot,
                    buckets,
                    links,
                } => tables.set_group(*slot, buckets, *links).map_err(Into::into),
                FibOp::SetNexthop { id, word } => {
                    tables.set_nexthop(*id, *word).map_err(Into::into)
                }
                FibOp::SetRoute { prefix, id } => self.program(tables, *prefix, *id),
                FibOp::RemoveRoute { prefix } => self.remove(tables, *prefix),
                FibOp::ClearCounter { id } => tables.clear_route_counter(*id).map_err(Into::into),
                FibOp::AddOwn(address) => tables.add_own::<F>(*address).map_err(Into::into),
                FibOp::RemoveOwn(address) => tables.remove_own::<F>(*address).map_err(Into::into),
            };
            if let Err(error) = result {
                error!("the fast path's map did not take {op:?}: {error}");
            }
        }
        // Its room is used again: a burst makes thousands of writes.
        self.ops = ops;
    }

    /// A prefix that the table does not take would leave its packets to a
    /// shorter one, so the ports are handed up while there is any.
    fn program(
        &mut self,
        tables: &mut Tables,
        prefix: F::Prefix,
        id: u32,
    ) -> Result<(), WriteError> {
        let result = tables.of_mut::<F>().set_route(prefix, id);
        match &result {
            Ok(()) => {
                if self.refused.remove(&prefix).is_some() && self.refused.is_empty() {
                    info!("every {} route is in the fast path's table again", F::NAME);
                }
            }
            Err(_) => {
                // Said once; `show status` tells that it lasts.
                if self.refused.insert(prefix, id).is_some() || self.refused.len() > 1 {
                    return Ok(());
                }
            }
        }
        result
    }

    /// A removal makes room for one that did not fit: at once in an LPM trie,
    /// after a grace period ([`Side::release`]) in our own.
    fn remove(&mut self, tables: &mut Tables, prefix: F::Prefix) -> Result<(), WriteError> {
        self.refused.remove(&prefix);
        tables.of_mut::<F>().remove_route(prefix)?;
        match self.refused.first_key_value() {
            Some((&waiting, &id)) => self.program(tables, waiting, id),
            None => Ok(()),
        }
    }

    /// Sets what did not fit. All are tried: one that needs two rows must not
    /// keep out those that need one.
    fn retry(&mut self, tables: &mut Tables) {
        for (prefix, id) in self.refused.clone() {
            // Refused again: it stays in the list, and has been told of.
            let _ = self.program(tables, prefix, id);
        }
    }
}
