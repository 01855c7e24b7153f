//! The next generation of programs and maps, for a route table of the engine
//! `multibit` that is nearly full.
//!
//! An array is allocated whole when it is made, so a table cannot grow: one
//! with twice the rows is made beside it, filled, and every port's program is
//! exchanged for the one that reads it (`bpf_link_update`: no packet meets
//! none). Until then the old one forwards by what it holds. Ids and slots are
//! the FIB's and stay; counters are carried over. A table of a million routes is
//! filled in half a second, in which the daemon does nothing else.
//!
//! Called by the dataplane task after each step.

use aya::maps::MapError;
use forwarder_common::abi::{Counter, CounterRow};
use forwarder_core::net::{Ipv4, Ipv6};
use tracing::info;

use super::Plane;
use crate::dataplane::events::EventMaps;
use crate::dataplane::features::Features;
use crate::dataplane::object::{LoadError, Lookup, Object};
use crate::dataplane::tables::{Tables, add};

/// A generation that no port is attached to, but programs may still run in.
pub(super) struct Retired {
    /// Held until then: its programs write its counters.
    _object: Object,
    tables: Tables,
}

impl Retired {
    pub(super) fn generation(&self) -> u32 {
        self.tables.generation()
    }
}

impl Plane {
    /// Whether more routes had better wait for larger tables.
    pub fn wants_to_grow(&self) -> bool {
        self.growth_refused.is_none() && self.larger().is_some()
    }

    /// With what the programs should be loaded next; not while the last exchange
    /// waits for its grace period.
    pub fn next_lookup(&self) -> Option<Lookup> {
        self.larger().filter(|_| self.retired.is_none())
    }

    fn larger(&self) -> Option<Lookup> {
        let crowded4 = self.tables.of::<Ipv4>().is_crowded();
        let crowded6 = self.tables.of::<Ipv6>().is_crowded();
        if !crowded4 && !crowded6 {
            return None;
        }
        self.object.lookup().larger((crowded4, crowded6))
    }

    /// Exchanges programs and maps. Gives the events of the new ones; on an
    /// error everything is as it was.
    pub fn grow(&mut self, lookup: Lookup, features: &Features) -> Result<EventMaps, LoadError> {
        let mut object = self.object.successor(lookup)?;
        let mut tables = Tables::new(&mut object)?;
        let events = Tables::events(&mut object)?;
        tables.succeed(&self.tables);
        self.sides.v4.fill(&mut tables);
        self.sides.v6.fill(&mut tables);
        let mut old_object = std::mem::replace(&mut self.object, object);
        let old_tables = std::mem::replace(&mut self.tables, tables);
        let settings = self.ports.settings().clone();
        self.set_limits(&settings);
        let sides = &mut self.sides;
        self.ports.hand_over(
            (&mut old_object, &mut self.object),
            &mut self.tables,
            |tables, change| {
                sides.v4.set_port(tables, change);
                sides.v6.set_port(tables, change);
            },
        );
        old_object.unwatch_transmit();
        self.object.watch_transmit();
        self.retired = Some(Retired {
            _object: old_object,
            tables: old_tables,
        });
        self.reconcile(features);
        let rows = |(_, rows): (u32, u32)| rows;
        info!(
            "the route tables have grown: {} rows for IPv4, {} for IPv6",
            rows(self.tables.of::<Ipv4>().rows()),
            rows(self.tables.of::<Ipv6>().rows())
        );
        Ok(events)
    }

    /// A generation whose programs have ended: its counters are carried over.
    pub(super) fn bury(&mut self, generation: u32) {
        let Some(retired) = self.retired.take_if(|old| old.generation() == generation) else {
            return;
        };
        let counted4 = self.sides.v4.fib.counted().filter_map(|(_, id)| id);
        let counted6 = self.sides.v6.fib.counted().filter_map(|(_, id)| id);
        let ids: Vec<u32> = counted4.chain(counted6).collect();
        self.tables.inherit_counters(&retired.tables, &ids);
    }

    /// What a route that is counted by itself has counted, likewise.
    pub fn route_counter(&self, id: u32) -> Result<Counter, MapError> {
        let mut total = self.tables.route_counter(id)?;
        if let Some(retired) = &self.retired {
            let earlier = retired.tables.route_counter(id)?;
            total.packets += earlier.packets;
            total.bytes += earlier.bytes;
        }
        Ok(total)
    }

    /// The counters of a port, those of a retired generation included.
    pub fn counters(&self, number: u32) -> Result<CounterRow, MapError> {
        let mut total = self.tables.counters(number)?;
        if let Some(retired) = &self.retired {
            add(&mut total, &retired.tables.counters(number)?);
        }
        Ok(total)
    }
}
