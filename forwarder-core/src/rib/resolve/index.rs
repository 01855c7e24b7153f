//! What gateways are resolved by: the routes without a gateway of each table,
//! and our own addresses.

use std::collections::BTreeMap;

use prefix_trie::PrefixMap;

use super::{Place, Slot, Unusable, is_on_link};
use crate::net::{Family, Ifindex, TableId};
use crate::route::{Candidate, RouteType};

/// One interface of a route without a gateway.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Way {
    /// Whose route it is; the kernel's own come first.
    pub(super) slot: Slot,
    /// The interface.
    pub(super) ifindex: Ifindex,
}

/// Unicast candidates without gateways: the kernel's (connected networks,
/// `ip route add … dev …`) and static ones. Candidates and not winners, so that
/// no answer depends on a selection that depends on the answer.
#[derive(Debug)]
pub(super) struct OnLink<F: Family> {
    tables: BTreeMap<TableId, PrefixMap<F::Prefix, Vec<Way>>>,
}

impl<F: Family> Default for OnLink<F> {
    fn default() -> Self {
        OnLink {
            tables: BTreeMap::new(),
        }
    }
}

impl<F: Family> OnLink<F> {
    /// Takes note of a candidate; true where that changed something.
    pub(super) fn replace(&mut self, place: Place<F>, new: Option<&Candidate<F>>) -> bool {
        if matches!(place.slot, Slot::Rip | Slot::Redirect) {
            return false;
        }
        let new = ways(place.slot, new);
        let known = self
            .tables
            .get(&place.table)
            .and_then(|map| map.get(&place.prefix));
        if new.is_empty() && known.is_none() {
            return false;
        }
        let map = self.tables.entry(place.table).or_default();
        let old = map.get(&place.prefix).map_or(&[][..], Vec::as_slice);
        let mut all: Vec<Way> = old
            .iter()
            .filter(|way| way.slot != place.slot)
            .copied()
            .collect();
        all.extend(new);
        all.sort_unstable();
        let changed = all != old;
        if all.is_empty() {
            map.remove(&place.prefix);
        } else if changed {
            map.insert(place.prefix, all);
        }
        changed
    }

    /// The ways to an address, those of the longest prefix first.
    pub(super) fn covering(&self, table: TableId, addr: F::Addr) -> impl Iterator<Item = &Way> {
        let host = F::host(addr);
        let mut covers: Vec<&Vec<Way>> = self
            .tables
            .get(&table)
            .into_iter()
            .flat_map(|map| map.cover_values(&host))
            .collect();
        covers.reverse();
        covers.into_iter().flatten()
    }
}

/// The interfaces of a candidate that leads to the link itself; none where any
/// of its next hops has a gateway.
fn ways<F: Family>(slot: Slot, candidate: Option<&Candidate<F>>) -> Vec<Way> {
    let Some(candidate) = candidate.filter(|candidate| is_on_link(candidate)) else {
        return Vec::new();
    };
    let interfaces = candidate.nexthops.iter().filter_map(|hop| hop.ifindex);
    interfaces.map(|ifindex| Way { slot, ifindex }).collect()
}

/// The kernel's table `local`: what no gateway may be.
#[derive(Debug)]
pub(super) struct OwnAddresses<F: Family> {
    types: PrefixMap<F::Prefix, RouteType>,
}

impl<F: Family> Default for OwnAddresses<F> {
    fn default() -> Self {
        OwnAddresses {
            types: PrefixMap::new(),
        }
    }
}

impl<F: Family> OwnAddresses<F> {
    /// Takes note of a candidate of table `local`; true where that changed
    /// something.
    pub(super) fn replace(&mut self, place: Place<F>, new: Option<&Candidate<F>>) -> bool {
        if place.slot != Slot::Kernel {
            return false;
        }
        let new = new.map(|candidate| candidate.kind);
        let old = match new {
            Some(kind) => self.types.insert(place.prefix, kind),
            None => self.types.remove(&place.prefix),
        };
        old != new
    }

    /// Whether the address may be a gateway.
    pub(super) fn check(&self, gateway: F::Addr) -> Result<(), Unusable> {
        match self.types.get_lpm(&F::host(gateway)).map(|(_, kind)| *kind) {
            Some(RouteType::Local) => Err(Unusable::OwnAddress),
            Some(RouteType::Broadcast | RouteType::Anycast | RouteType::Multicast) => {
                Err(Unusable::NotUnicast)
            }
            _ => Ok(()),
        }
    }
}
