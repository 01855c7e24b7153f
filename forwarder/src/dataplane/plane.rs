//! The fast path as one state: programs, maps, ports and the FIB that says
//! what the maps should hold. Everything here is immediate; waiting is the
//! task's business ([`super::task`]), which owns the one [`Plane`].

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use forwarder_common::reason::PuntClass;
use forwarder_core::config::{Config, Dataplane};
use forwarder_core::interface::Interfaces;
use forwarder_core::kernel::event::{Constraints, DataplaneEvent};
use forwarder_core::net::{Ifindex, Ipv4, Ipv6, TableId};
use forwarder_core::route::Route;
use ipnet::IpNet;
use tracing::error;

use super::attach::AttachError;
use super::events::EventMaps;
use super::family::{Both, MapFamily};
use super::features::Features;
use super::object::{LoadError, Lookup, Object};
use super::ports::{Ports, Surroundings};
use super::side::{self, Side};
use super::tables::Tables;
use crate::api::model::RouteCounter;

mod generation;

use generation::Retired;

/// What programs may still be reading, on its way through a grace period.
#[must_use = "what is not released is never used again"]
pub struct Resting {
    v4: side::Resting,
    v6: side::Resting,
    ports: Vec<u32>,
    /// The generation of maps that no program will then be running in.
    retired: Option<u32>,
}

/// The fast path.
pub struct Plane {
    /// What each family has for itself.
    sides: Both<Side<Ipv4>, Side<Ipv6>>,
    /// The ports.
    pub ports: Ports,
    /// The maps.
    pub tables: Tables,
    /// What must not be bypassed.
    pub constraints: Constraints,
    /// The interfaces.
    pub interfaces: Arc<Interfaces>,
    object: Object,
    /// The generation before this one, while programs may still be running in it.
    retired: Option<Retired>,
    /// Why the route tables could not be made larger when they should have been.
    pub growth_refused: Option<String>,
    starting: bool,
    /// What must not be bypassed has been told once.
    constraints_known: bool,
}

impl Plane {
    /// Loads the programs, fills the maps' fixed entries; attaches nothing.
    pub fn load(config: &Config) -> Result<(Plane, EventMaps), LoadError> {
        let mut object = Object::load(Lookup::of(&config.dataplane))?;
        let mut tables = Tables::new(&mut object)?;
        let events = Tables::events(&mut object)?;
        let sides = Both {
            v4: Side::new(&mut tables),
            v6: Side::new(&mut tables),
        };
        let mut plane = Plane {
            sides,
            ports: Ports::new(config.dataplane.clone()),
            tables,
            constraints: Constraints::default(),
            interfaces: Arc::default(),
            object,
            retired: None,
            growth_refused: None,
            starting: true,
            constraints_known: false,
        };
        plane.set_limits(&config.dataplane);
        plane.set_counted(config);
        Ok((plane, events))
    }

    /// Takes a new configuration over.
    pub fn configure(&mut self, config: &Config, features: &Features) -> Vec<AttachError> {
        let settings = &config.dataplane;
        self.set_limits(settings);
        self.set_counted(config);
        self.ports.configure(settings.clone());
        self.reconcile(features)
    }

    /// Which routes are counted each by itself.
    fn set_counted(&mut self, config: &Config) {
        let (mut counted4, mut counted6) = (BTreeSet::new(), BTreeSet::new());
        for prefix in config.counted() {
            match prefix {
                IpNet::V4(prefix) => drop(counted4.insert(prefix)),
                IpNet::V6(prefix) => drop(counted6.insert(prefix)),
            }
        }
        self.sides.v4.set_counted(&mut self.tables, &counted4);
        self.sides.v6.set_counted(&mut self.tables, &counted6);
    }

    /// What those have counted.
    pub fn counted(&self) -> Vec<RouteCounter> {
        let mut counted = Vec::new();
        let counter = |id| self.route_counter(id).ok();
        self.sides.v4.counted(counter, &mut counted);
        self.sides.v6.counted(counter, &mut counted);
        counted
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
        if let Err(error) = self.tables.set_event_limit(settings.punt.events) {
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
            table_full: (self.sides.v4.is_full(), self.sides.v6.is_full()),
        };
        let sides = &mut self.sides;
        self.ports.reconcile(
            &mut self.object,
            &mut self.tables,
            &around,
            |tables, change| {
                sides.v4.set_port(tables, change);
                sides.v6.set_port(tables, change);
            },
        )
    }

    /// One family's side.
    pub fn side<F: MapFamily>(&self) -> &Side<F> {
        F::side(&self.sides)
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
    pub fn set_route<F: MapFamily>(
        &mut self,
        table: TableId,
        prefix: F::Prefix,
        route: Option<&Route<F>>,
    ) {
        F::side_mut(&mut self.sides).set_route(&mut self.tables, table, prefix, route);
    }

    /// Something about neighbours or constraints; true if ports must be
    /// reconciled.
    pub fn event(&mut self, event: DataplaneEvent) -> bool {
        let tables = &mut self.tables;
        match event {
            DataplaneEvent::Neighbour4(event) => self.sides.v4.neighbour_event(tables, &event),
            DataplaneEvent::Neighbour6(event) => self.sides.v6.neighbour_event(tables, &event),
            DataplaneEvent::Constraints(constraints) => {
                self.constraints = constraints;
                self.constraints_known = true;
                return true;
            }
        }
        false
    }

    /// Gateways of routes, on ports that can transmit, whose link address is
    /// not known.
    pub fn gateways_to_resolve(&self) -> impl Iterator<Item = (Ifindex, IpAddr)> + '_ {
        let general = |(ifindex, address): (Ifindex, Ipv4Addr)| (ifindex, address.into());
        let v4 = self.sides.v4.fib.gateways_to_resolve().map(general);
        let general = |(ifindex, address): (Ifindex, Ipv6Addr)| (ifindex, address.into());
        v4.chain(self.sides.v6.fib.gateways_to_resolve().map(general))
    }

    /// The neighbours that adjacencies lead to, each with its `used` word.
    pub fn used(&self) -> Vec<((Ifindex, IpAddr), u32)> {
        let mut used = Vec::new();
        self.sides.v4.used(&self.tables, &mut used);
        self.sides.v6.used(&self.tables, &mut used);
        used
    }

    /// Whether something waits for a grace period.
    pub fn has_freed(&self) -> bool {
        self.sides.v4.has_freed(&self.tables)
            || self.sides.v6.has_freed(&self.tables)
            || self.ports.has_freed()
            || self.retired.is_some()
    }

    /// What a grace period that begins now will make free.
    pub fn take_freed(&mut self) -> Resting {
        Resting {
            v4: self.sides.v4.take_freed(&mut self.tables),
            v6: self.sides.v6.take_freed(&mut self.tables),
            ports: self.ports.take_freed(),
            retired: self.retired.as_ref().map(Retired::generation),
        }
    }

    /// Releases what a grace period has made free, and serves those that
    /// lacked it.
    pub fn release(&mut self, resting: Resting) {
        // First: ids that are released may be counted anew, from zero.
        if let Some(generation) = resting.retired {
            self.bury(generation);
        }
        self.sides.v4.release(&mut self.tables, resting.v4);
        self.sides.v6.release(&mut self.tables, resting.v6);
        self.ports.release(resting.ports);
    }

    /// Takes the programs off every port.
    pub fn detach(&mut self) {
        self.ports.detach_all(&mut self.object);
    }

    /// Why transmit losses are not counted, or not all of them.
    pub fn transmit_refused(&self) -> Option<&str> {
        self.object.transmit_refused.as_deref()
    }

    /// Whether a route table has refused a prefix.
    pub fn is_full(&self) -> bool {
        self.sides.v4.is_full() || self.sides.v6.is_full()
    }
}
