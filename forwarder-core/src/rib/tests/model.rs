//! The RIB as plainly as it can be said: a list of candidates, all questions
//! answered from scratch.

use std::collections::BTreeMap;

use super::*;

#[derive(Clone, Debug, Default)]
pub(super) struct Model {
    pub(super) candidates: Vec<(TableId, Ipv4Net, Candidate<Ipv4>)>,
    pub(super) links: BTreeMap<Ifindex, (bool, bool)>,
    pub(super) export_metric: Option<u32>,
}

pub(super) type Selected = BTreeMap<(TableId, Ipv4Net), Route<Ipv4>>;

impl Model {
    pub(super) fn update(&mut self, table: TableId, prefix: Ipv4Net, candidate: Candidate<Ipv4>) {
        self.withdraw(table, prefix, Slot::of(&candidate));
        self.candidates.push((table, prefix, candidate));
    }

    pub(super) fn withdraw(&mut self, table: TableId, prefix: Ipv4Net, slot: Slot) {
        self.candidates
            .retain(|(t, p, c)| (*t, *p, Slot::of(c)) != (table, prefix, slot));
    }

    pub(super) fn selected(&self) -> Selected {
        let mut best: BTreeMap<_, (_, Route<Ipv4>)> = BTreeMap::new();
        for (table, prefix, candidate) in &self.candidates {
            let Some(route) = self.route(*table, candidate) else {
                continue;
            };
            let slot = Slot::of(candidate);
            let beats_us = slot == Slot::Kernel
                && matches!((candidate.kernel_metric, self.export_metric), (Some(k), Some(e)) if k <= e);
            let rank = (!beats_us, candidate.distance, candidate.metric, slot);
            match best.get(&(*table, *prefix)) {
                Some((other, _)) if *other < rank => {}
                _ => drop(best.insert((*table, *prefix), (rank, route))),
            }
        }
        best.into_iter()
            .map(|(key, (_, route))| (key, route))
            .collect()
    }

    fn route(&self, table: TableId, candidate: &Candidate<Ipv4>) -> Option<Route<Ipv4>> {
        if candidate.kind != RouteType::Unicast {
            return Some(candidate.clone());
        }
        let foreign = Slot::of(candidate) == Slot::Kernel;
        let hops: Vec<Nexthop<Ipv4>> = candidate
            .nexthops
            .iter()
            .filter_map(|hop| {
                let ifindex = if foreign {
                    hop.ifindex?
                } else {
                    self.leave_by(table, hop)?
                };
                Some(Nexthop {
                    ifindex: Some(ifindex),
                    ..*hop
                })
            })
            .collect();
        (!hops.is_empty()).then(|| Route {
            nexthops: hops,
            ..candidate.clone()
        })
    }

    fn runs(&self, ifindex: Ifindex) -> bool {
        self.links.get(&ifindex) == Some(&(true, true))
    }

    fn leave_by(&self, table: TableId, hop: &Nexthop<Ipv4>) -> Option<Ifindex> {
        let ifindex = match hop.gateway {
            None => hop.ifindex?,
            Some(gateway) if self.is_special(gateway) => return None,
            Some(_) if hop.onlink && hop.ifindex.is_some() => hop.ifindex?,
            Some(gateway) => self.covering(table, gateway, hop.ifindex)?,
        };
        self.runs(ifindex).then_some(ifindex)
    }

    /// Local, broadcast and the like, by the longest match among what the kernel
    /// has in table local.
    fn is_special(&self, addr: Ipv4Addr) -> bool {
        self.candidates
            .iter()
            .filter(|(t, p, _)| *t == TableId::LOCAL && p.contains(&addr))
            .filter(|(_, _, c)| Slot::of(c) == Slot::Kernel)
            .max_by_key(|(_, p, _)| p.prefix_len())
            .is_some_and(|(_, _, c)| c.kind == RouteType::Local || c.kind == RouteType::Broadcast)
    }

    fn covering(&self, table: TableId, addr: Ipv4Addr, on: Option<Ifindex>) -> Option<Ifindex> {
        let mut ways = Vec::new();
        for (t, prefix, c) in &self.candidates {
            let slot = Slot::of(c);
            let to_link =
                c.kind == RouteType::Unicast && c.nexthops.iter().all(|h| h.gateway.is_none());
            if *t != table || !prefix.contains(&addr) || !to_link || slot == Slot::Rip {
                continue;
            }
            for ifindex in c.nexthops.iter().filter_map(|hop| hop.ifindex) {
                if (slot == Slot::Kernel || self.runs(ifindex)) && on.is_none_or(|on| on == ifindex)
                {
                    ways.push((32 - prefix.prefix_len(), slot, ifindex));
                }
            }
        }
        ways.into_iter().min().map(|(_, _, ifindex)| ifindex)
    }
}
