//! The fast path as one state: programs, maps, ports and the FIB that says
//! what the maps should hold. Everything here is immediate; waiting is the
//! task's business ([`super::task`]), which owns the one [`Plane`].

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Arc;

use aya::maps::{MapData, RingBuf};
use forwarder_common::reason::PuntClass;
use forwarder_core::config::{Config, Dataplane};
use forwarder_core::fib::{Fib, FibOp, Freed};
use forwarder_core::interface::Interfaces;
use forwarder_core::kernel::event::{Constraints, DataplaneEvent, Neighbour, NeighbourState};
use forwarder_core::net::{Ifindex, Ipv4, TableId};
use forwarder_core::route::Route;
use ipnet::Ipv4Net;
use tracing::{error, info};

use super::attach::AttachError;
use super::features::Features;
use super::object::{LoadError, Lookup, Object};
use super::ports::{Ports, Surroundings};
use super::routes::WriteError;
use super::tables::Tables;

/// Events a second and CPU that the program may send to the daemon.
const EVENT_RATE: u32 = 1000;

/// A neighbour: its interface and address.
pub type NeighbourKey = (Ifindex, Ipv4Addr);

/// What programs may still be reading, on its way through a grace period.
#[must_use = "what is not released is never used again"]
pub struct Resting {
    fib: Freed,
    ports: Vec<u32>,
    rows: Vec<u32>,
}

/// The fast path.
pub struct Plane {
    /// What the maps should hold.
    pub fib: Fib,
    /// The ports.
    pub ports: Ports,
    /// The maps.
    pub tables: Tables,
    /// The neighbour table as the kernel last told it.
    pub neighbours: BTreeMap<NeighbourKey, Neighbour<Ipv4Addr>>,
    /// What must not be bypassed.
    pub constraints: Constraints,
    /// The interfaces.
    pub interfaces: Arc<Interfaces>,
    object: Object,
    /// Neighbours named by the dump that is under way.
    dumped: Option<BTreeSet<NeighbourKey>>,
    starting: bool,
    /// What must not be bypassed has been told once.
    constraints_known: bool,
    /// Map writes that failed; the fast path is handed up while there are any.
    failed_routes: BTreeMap<Ipv4Net, u32>,
    ops: Vec<FibOp>,
}

impl Plane {
    /// Loads the programs, fills the maps' fixed entries; attaches nothing.
    pub fn load(config: &Config) -> Result<(Plane, RingBuf<MapData>), LoadError> {
        let mut object = Object::load(Lookup::of(&config.dataplane))?;
        let tables = Tables::new(&mut object)?;
        let events = Tables::events(&mut object)?;
        let mut plane = Plane {
            fib: Fib::new(),
            ports: Ports::new(config.dataplane.clone()),
            tables,
            neighbours: BTreeMap::new(),
            constraints: Constraints::default(),
            interfaces: Arc::default(),
            object,
            dumped: None,
            starting: true,
            constraints_known: false,
            failed_routes: BTreeMap::new(),
            ops: Vec::new(),
        };
        plane.fib.initial(&mut plane.ops);
        plane.flush();
        plane.set_limits(&config.dataplane);
        Ok((plane, events))
    }

    /// Takes a new configuration over.
    pub fn configure(&mut self, settings: &Dataplane, features: &Features) -> Vec<AttachError> {
        self.set_limits(settings);
        self.ports.configure(settings.clone());
        self.reconcile(features)
    }

    fn set_limits(&mut self, settings: &Dataplane) {
        for (class, name) in PuntClass::ALL {
            if let Err(error) = self
                .tables
                .set_punt_limit(*class, settings.punt.limit(*class))
            {
                error!("the punt limit `{name}` could not be set: {error}");
            }
        }
        if let Err(error) = self.tables.set_event_limit(EVENT_RATE) {
            error!("the event limit could not be set: {error}");
        }
    }

    /// Brings ports in line with interfaces, constraints and abilities.
    pub fn reconcile(&mut self, features: &Features) -> Vec<AttachError> {
        let around = Surroundings {
            interfaces: &self.interfaces,
            features,
            constraints: &self.constraints,
            starting: self.starting,
            table_full: !self.failed_routes.is_empty(),
        };
        let (fib, ops) = (&mut self.fib, &mut self.ops);
        let failed = &mut self.failed_routes;
        self.ports.reconcile(
            &mut self.object,
            &mut self.tables,
            &around,
            |tables, change| {
                let (ifindex, state) = change;
                fib.set_port(ifindex, state, ops);
                apply(tables, failed, ops);
            },
        )
    }

    /// The maps hold the routes: packets may be forwarded, once it is known
    /// what must not be bypassed. True when that is now.
    pub fn start(&mut self, features: &Features) -> bool {
        if !self.constraints_known || !std::mem::replace(&mut self.starting, false) {
            return false;
        }
        self.reconcile(features);
        true
    }

    /// The route selected for a prefix; `None` = none any more.
    pub fn set_route(&mut self, table: TableId, prefix: Ipv4Net, route: Option<&Route<Ipv4>>) {
        self.fib.set_route(table, prefix, route, &mut self.ops);
        self.flush();
    }

    /// Something about neighbours or constraints; true if ports must be
    /// reconciled.
    pub fn event(&mut self, event: DataplaneEvent) -> bool {
        match event {
            DataplaneEvent::Neighbour(neighbour) => self.neighbour(neighbour),
            DataplaneEvent::NeighbourGone { ifindex, address } => {
                self.neighbour_gone((ifindex, address));
            }
            DataplaneEvent::NeighbourDumpStart => self.dumped = Some(BTreeSet::new()),
            DataplaneEvent::NeighbourDumpEnd => self.sweep_neighbours(),
            DataplaneEvent::Constraints(constraints) => {
                self.constraints = constraints;
                self.constraints_known = true;
                return true;
            }
        }
        false
    }

    fn neighbour(&mut self, neighbour: Neighbour<Ipv4Addr>) {
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
        self.flush();
    }

    fn neighbour_gone(&mut self, key: NeighbourKey) {
        self.neighbours.remove(&key);
        self.fib.set_neighbour(key.0, key.1, None, &mut self.ops);
        self.flush();
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
    pub fn has_freed(&self) -> bool {
        self.fib.stats().freed > 0 || self.ports.has_freed() || self.tables.has_freed_rows()
    }

    /// What a grace period that begins now will make free.
    pub fn take_freed(&mut self) -> Resting {
        Resting {
            fib: self.fib.take_freed(),
            ports: self.ports.take_freed(),
            rows: self.tables.take_freed_rows(),
        }
    }

    /// Releases what a grace period has made free, and serves those that
    /// lacked it.
    pub fn release(&mut self, resting: Resting) {
        self.fib.release(resting.fib, &mut self.ops);
        self.ports.release(resting.ports);
        if !resting.rows.is_empty() {
            self.tables.release_rows(resting.rows);
            retry(&mut self.tables, &mut self.failed_routes);
        }
        self.flush();
    }

    /// Takes the programs off every port.
    pub fn detach(&mut self) {
        self.ports.detach_all(&mut self.object);
    }

    /// Why transmit losses are not counted, where they are not.
    pub fn transmit_refused(&self) -> Option<&str> {
        self.object.transmit_refused.as_deref()
    }

    /// Whether the route table has refused a prefix.
    pub fn is_full(&self) -> bool {
        !self.failed_routes.is_empty()
    }

    fn flush(&mut self) {
        apply(&mut self.tables, &mut self.failed_routes, &mut self.ops);
    }
}

/// Carries out map writes in their order. A prefix that the table does not take
/// would leave its packets to a shorter one, so the ports are handed up (by
/// the next reconciliation) while there is any.
fn apply(tables: &mut Tables, failed: &mut BTreeMap<Ipv4Net, u32>, ops: &mut Vec<FibOp>) {
    for op in ops.drain(..) {
        let result = match op {
            FibOp::SetAdjacency { slot, adjacency } => {
                tables.set_adjacency(slot, adjacency).map_err(Into::into)
            }
            FibOp::SetNexthop { id, word } => tables.set_nexthop(id, word).map_err(Into::into),
            FibOp::SetRoute { prefix, id } => set_route(tables, failed, prefix, id),
            FibOp::RemoveRoute { prefix } => remove_route(tables, failed, prefix),
            FibOp::AddOwn(address) => tables.add_own(address).map_err(Into::into),
            FibOp::RemoveOwn(address) => tables.remove_own(address).map_err(Into::into),
        };
        if let Err(error) = result {
            error!("the fast path's map did not take {op:?}: {error}");
        }
    }
}

fn set_route(
    tables: &mut Tables,
    failed: &mut BTreeMap<Ipv4Net, u32>,
    prefix: Ipv4Net,
    id: u32,
) -> Result<(), WriteError> {
    let result = tables.set_route(prefix, id);
    match &result {
        Ok(()) => {
            if failed.remove(&prefix).is_some() && failed.is_empty() {
                info!("every route is in the fast path's table again");
            }
        }
        Err(_) => {
            // Said once; `show status` tells that it lasts.
            if failed.insert(prefix, id).is_some() || failed.len() > 1 {
                return Ok(());
            }
        }
    }
    result
}

/// A removal makes room for one that did not fit: at once in an LPM trie, after
/// a grace period ([`Plane::release`]) in our own.
fn remove_route(
    tables: &mut Tables,
    failed: &mut BTreeMap<Ipv4Net, u32>,
    prefix: Ipv4Net,
) -> Result<(), WriteError> {
    failed.remove(&prefix);
    tables.remove_route(prefix)?;
    match failed.first_key_value() {
        Some((&waiting, &id)) => set_route(tables, failed, waiting, id),
        None => Ok(()),
    }
}

/// Sets what did not fit, until something does not fit again.
fn retry(tables: &mut Tables, failed: &mut BTreeMap<Ipv4Net, u32>) {
    while let Some((&waiting, &id)) = failed.first_key_value() {
        let result = set_route(tables, failed, waiting, id);
        if result.is_err() || failed.contains_key(&waiting) {
            return;
        }
    }
}
