//! Next-hop objects (`ip nexthop`): what a route that only names an id leads to.

use std::collections::BTreeMap;

use crate::kernel::event::NexthopObject;
use crate::net::{Family, Ifindex};
use crate::route::Nexthop;

/// What an object means for an IPv4 route.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Ways<F: Family> {
    /// These ways out; never empty.
    Hops(Vec<Nexthop<F>>),
    /// Dropped.
    Blackhole,
    /// Not known here, or nothing that the fast path can follow.
    KernelOnly,
}

/// What the end of an object did to the others.
#[derive(Default, Debug)]
pub(super) struct Removed {
    /// Objects that are gone: it, and groups that had no other member.
    pub(super) gone: Vec<u32>,
    /// Groups that go on without it.
    pub(super) shrunk: Vec<u32>,
}

/// The kernel's table of next-hop objects. Dumps do not sweep it: an object
/// that no route names means nothing, one that a route names exists, and a new
/// one of the same id is told of.
#[derive(Default, Debug)]
pub(super) struct Objects {
    by_id: BTreeMap<u32, NexthopObject>,
}

impl Objects {
    /// Stores an object; returns the ids that lead elsewhere by it: its own and
    /// those of groups that hold it. None where it is what it was.
    pub(super) fn set(&mut self, id: u32, object: NexthopObject) -> Vec<u32> {
        if self.by_id.get(&id) == Some(&object) {
            return Vec::new();
        }
        self.by_id.insert(id, object);
        std::iter::once(id).chain(self.groups_of(id)).collect()
    }

    /// Forgets an object and takes it out of its groups, as the kernel does
    /// (`remove_nexthop_from_groups`), which tells nobody when a link's state
    /// is the cause.
    pub(super) fn remove(&mut self, id: u32) -> Removed {
        let mut removed = Removed {
            gone: vec![id],
            shrunk: Vec::new(),
        };
        self.by_id.remove(&id);
        for group in self.groups_of(id) {
            if self.take_out(group, id) {
                removed.shrunk.push(group);
            } else {
                self.by_id.remove(&group);
                removed.gone.push(group);
            }
        }
        removed
    }

    /// Objects that leave by a link.
    pub(super) fn on_link(&self, link: Ifindex) -> Vec<u32> {
        let leaves = |object: &NexthopObject| matches!(object, NexthopObject::Single { ifindex, .. } if *ifindex == link);
        let on = self.by_id.iter().filter(|(_, object)| leaves(object));
        on.map(|(id, _)| *id).collect()
    }

    /// Where a route that names this id leads.
    pub(super) fn ways<F: Family>(&self, id: u32) -> Ways<F> {
        match self.by_id.get(&id) {
            Some(NexthopObject::Blackhole) => Ways::Blackhole,
            Some(NexthopObject::Group(members)) => {
                let hops = members.iter().map(|(id, weight)| self.hop(*id, *weight));
                hops.collect::<Option<Vec<_>>>()
                    .map_or(Ways::KernelOnly, some_ways)
            }
            Some(_) => self
                .hop(id, 1)
                .map_or(Ways::KernelOnly, |hop| Ways::Hops(vec![hop])),
            None => Ways::KernelOnly,
        }
    }

    /// An object with one way out, as a next hop. Groups do not nest.
    fn hop<F: Family>(&self, id: u32, weight: u16) -> Option<Nexthop<F>> {
        let NexthopObject::Single {
            gateway,
            ifindex,
            onlink,
        } = self.by_id.get(&id)?
        else {
            return None;
        };
        let gateway = match gateway {
            Some(gateway) => Some(F::from_ip(*gateway)?),
            None => None,
        };
        Some(Nexthop {
            gateway,
            ifindex: Some(*ifindex),
            weight,
            onlink: *onlink,
        })
    }

    fn groups_of(&self, id: u32) -> Vec<u32> {
        let holds = |object: &NexthopObject| matches!(object, NexthopObject::Group(members) if members.iter().any(|m| m.0 == id));
        let groups = self.by_id.iter().filter(|(_, object)| holds(object));
        groups.map(|(group, _)| *group).collect()
    }

    /// Takes a member out of a group; false where none is left.
    fn take_out(&mut self, group: u32, member: u32) -> bool {
        let Some(NexthopObject::Group(members)) = self.by_id.get_mut(&group) else {
            return false;
        };
        members.retain(|(id, _)| *id != member);
        !members.is_empty()
    }
}

fn some_ways<F: Family>(hops: Vec<Nexthop<F>>) -> Ways<F> {
    if hops.is_empty() {
        Ways::KernelOnly
    } else {
        Ways::Hops(hops)
    }
}
