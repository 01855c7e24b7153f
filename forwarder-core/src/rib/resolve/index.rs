//! What gateways are resolved by: the routes without a gateway of each table,
//! and our own addresses.

use std::collections::BTreeMap;

use prefix_trie::PrefixMap;

use super::{Place, Slot, Unusable, is_link_local, is_on_link};
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
    types: PrefixMap<F::Prefix, Own>,
}

/// One of our addresses: what it is, and the interfaces that have it.
#[derive(PartialEq, Eq, Debug)]
struct Own {
    kind: RouteType,
    interfaces: Vec<Ifindex>,
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
        let old = self.types.remove(&place.prefix);
        let new = new.map(|candidate| Own {
            kind: candidate.kind,
            interfaces: candidate
                .nexthops
                .iter()
                .filter_map(|hop| hop.ifindex)
                .collect(),
        });
        let changed = old != new;
        if let Some(new) = new {
            self.types.insert(place.prefix, new);
        }
        changed
    }

    /// Whether the address may be a gateway on that interface, where one is
    /// named.
    ///
    /// A link-local address of ours is ours on the interfaces that have it
    /// (RFC 4007 §5): another router may have the same on another link, as
    /// `fe80::1` often is.
    pub(super) fn check(&self, gateway: F::Addr, ifindex: Option<Ifindex>) -> Result<(), Unusable> {
        let Some((_, own)) = self.types.get_lpm(&F::host(gateway)) else {
            return Ok(());
        };
        let elsewhere = ifindex.is_some_and(|ifindex| !own.interfaces.contains(&ifindex));
        match own.kind {
            RouteType::Local if elsewhere && is_link_local(gateway.into()) => Ok(()),
            RouteType::Local => Err(Unusable::OwnAddress),
            RouteType::Broadcast | RouteType::Anycast | RouteType::Multicast => {
                Err(Unusable::NotUnicast)
            }
            _ => Ok(()),
        }
    }
}
