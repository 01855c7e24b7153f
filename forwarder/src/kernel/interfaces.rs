//! The interfaces of the namespace, put together from link, address and
//! sysctl messages.
//!
//! Owned by the monitor, which publishes [`InterfaceTable::snapshot`] after
//! each wake-up in which something changed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use forwarder_core::interface::{Interface, InterfaceAddress, Interfaces, ReversePath};
use forwarder_core::net::Ifindex;
use ipnet::IpNet;

use super::message::{Link, Netconf};
use super::sysctl;

/// What became of the routes' side of a link.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct LinkChange {
    pub(crate) ifindex: Ifindex,
    pub(crate) up: bool,
    pub(crate) carrier: bool,
    /// `IFF_UP` is not what it was: the kernel may have dropped routes.
    pub(crate) up_changed: bool,
}

#[derive(Debug)]
struct Entry {
    link: Link,
    send_redirects: bool,
}

/// What a dump has named so far.
#[derive(Debug, Default)]
struct Named {
    links: BTreeSet<Ifindex>,
    addresses: BTreeSet<(Ifindex, InterfaceAddress)>,
}

/// The state, and what of it a running dump has confirmed.
#[derive(Debug, Default)]
pub(crate) struct InterfaceTable {
    links: BTreeMap<Ifindex, Entry>,
    addresses: BTreeSet<(Ifindex, InterfaceAddress)>,
    forwarding: BTreeMap<Ifindex, bool>,
    /// `net.ipv6.conf.all.forwarding`.
    forwarding6: bool,
    rp_filter: BTreeMap<Ifindex, u32>,
    /// `net.ipv4.conf.all.rp_filter`.
    rp_filter_all: u32,
    named: Option<Named>,
    changed: bool,
}

impl InterfaceTable {
    /// A link is there or changed. `Some` where routes depend on the change.
    pub(crate) fn set_link(&mut self, link: Link) -> Option<LinkChange> {
        let ifindex = link.ifindex;
        if let Some(named) = &mut self.named {
            named.links.insert(ifindex);
        }
        let state = |link: &Link| (link.has(libc::IFF_UP), link.has(libc::IFF_LOWER_UP));
        let new = state(&link);
        let old = self.links.get(&ifindex).map(|entry| state(&entry.link));
        self.store(ifindex, link);
        (old != Some(new)).then_some(LinkChange {
            ifindex,
            up: new.0,
            carrier: new.1,
            up_changed: old.is_some_and(|(up, _)| up != new.0),
        })
    }

    fn store(&mut self, ifindex: Ifindex, link: Link) {
        if self
            .links
            .get(&ifindex)
            .is_some_and(|entry| entry.link == link)
        {
            return;
        }
        let send_redirects = sysctl::send_redirects(&link.name);
        self.links.insert(
            ifindex,
            Entry {
                link,
                send_redirects,
            },
        );
        self.changed = true;
    }

    /// A link is gone; whether it was known.
    pub(crate) fn remove_link(&mut self, ifindex: Ifindex) -> bool {
        if let Some(named) = &mut self.named {
            named.links.remove(&ifindex);
        }
        self.addresses.retain(|(of, _)| *of != ifindex);
        self.forwarding.remove(&ifindex);
        self.rp_filter.remove(&ifindex);
        let known = self.links.remove(&ifindex).is_some();
        self.changed |= known;
        known
    }

    /// An address is there or changed.
    pub(crate) fn set_address(&mut self, ifindex: Ifindex, address: InterfaceAddress) {
        if let Some(named) = &mut self.named {
            named.addresses.insert((ifindex, address));
        }
        if self.addresses.contains(&(ifindex, address)) {
            return;
        }
        // The same address with other properties is the same address.
        self.addresses
            .retain(|(of, old)| *of != ifindex || !is_same(old, &address));
        self.addresses.insert((ifindex, address));
        self.changed = true;
    }

    /// Whether the interface has an address, or a peer's, that makes this prefix a
    /// connected one.
    pub(crate) fn has_address_in(&self, ifindex: Ifindex, prefix: IpNet) -> bool {
        let of_it = |(of, _): &&(Ifindex, InterfaceAddress)| *of == ifindex;
        self.addresses.iter().filter(of_it).any(|(_, address)| {
            let peer = address.peer.is_some_and(|peer| prefix.contains(&peer));
            peer || prefix.contains(&address.local.addr())
        })
    }

    /// An address is gone.
    pub(crate) fn remove_address(&mut self, ifindex: Ifindex, address: &InterfaceAddress) {
        let stays =
            |(of, old): &(Ifindex, InterfaceAddress)| *of != ifindex || !is_same(old, address);
        if let Some(named) = &mut self.named {
            named.addresses.retain(stays);
        }
        let before = self.addresses.len();
        self.addresses.retain(stays);
        self.changed |= self.addresses.len() != before;
    }

    /// Sysctls of an interface changed; those that netlink doesn't tell are
    /// looked up on the occasion.
    pub(crate) fn set_netconf(&mut self, conf: Netconf) {
        if let Some(forwarding) = conf.forwarding {
            let old = self.forwarding.insert(conf.ifindex, forwarding);
            self.changed |= old != Some(forwarding);
        }
        if let Some(value) = conf.rp_filter {
            let old = self.rp_filter.insert(conf.ifindex, value);
            self.changed |= old != Some(value);
        }
        self.refresh_sysctls(|ifindex| ifindex == conf.ifindex);
    }

    /// The switch for IPv6 on all interfaces.
    pub(crate) fn set_forwarding6(&mut self, on: bool) {
        self.changed |= self.forwarding6 != on;
        self.forwarding6 = on;
    }

    /// The reverse-path check that all interfaces make at least.
    pub(crate) fn set_rp_filter_all(&mut self, value: u32) {
        self.changed |= self.rp_filter_all != value;
        self.rp_filter_all = value;
    }

    /// IPv4 has been taken off an interface.
    pub(crate) fn remove_netconf(&mut self, ifindex: Ifindex) {
        self.changed |= self.forwarding.remove(&ifindex).is_some();
        self.changed |= self.rp_filter.remove(&ifindex).is_some();
    }

    /// Reads again what no message tells of.
    pub(crate) fn refresh_sysctls(&mut self, which: impl Fn(Ifindex) -> bool) {
        for (_, entry) in self
            .links
            .iter_mut()
            .filter(|(ifindex, _)| which(**ifindex))
        {
            let now = sysctl::send_redirects(&entry.link.name);
            self.changed |= now != entry.send_redirects;
            entry.send_redirects = now;
        }
    }

    /// A dump begins: what it doesn't name is gone.
    pub(crate) fn begin_dump(&mut self) {
        self.named = Some(Named::default());
    }

    /// The dump is complete: the links that are gone.
    pub(crate) fn end_dump(&mut self) -> Vec<Ifindex> {
        let Some(named) = self.named.take() else {
            return Vec::new();
        };
        let before = self.addresses.len();
        self.addresses
            .retain(|address| named.addresses.contains(address));
        self.changed |= self.addresses.len() != before;
        let gone = |ifindex: &&Ifindex| !named.links.contains(ifindex);
        let gone: Vec<Ifindex> = self.links.keys().filter(gone).copied().collect();
        for ifindex in &gone {
            self.remove_link(*ifindex);
        }
        gone
    }

    /// The dump failed: nothing follows from it.
    pub(crate) fn abandon_dump(&mut self) {
        self.named = None;
    }

    /// The interfaces, if they have changed since this was last asked.
    pub(crate) fn snapshot(&mut self) -> Option<Arc<Interfaces>> {
        if !std::mem::take(&mut self.changed) {
            return None;
        }
        let by_index = self
            .links
            .iter()
            .map(|(ifindex, entry)| (*ifindex, self.build(entry)));
        Some(Arc::new(Interfaces {
            by_index: by_index.collect(),
        }))
    }

    /// `IN_DEV_RPFILTER`: the larger of both.
    fn rp_filter(&self, ifindex: Ifindex) -> ReversePath {
        let own = self.rp_filter.get(&ifindex).copied().unwrap_or(0);
        ReversePath::from_sysctl(own.max(self.rp_filter_all))
    }

    fn build(&self, entry: &Entry) -> Interface {
        let link = &entry.link;
        let own = self
            .addresses
            .iter()
            .filter(|(ifindex, _)| *ifindex == link.ifindex);
        Interface {
            ifindex: link.ifindex,
            name: link.name.clone(),
            mac: link.mac,
            mtu: link.mtu,
            up: link.has(libc::IFF_UP),
            carrier: link.has(libc::IFF_LOWER_UP),
            loopback: link.has(libc::IFF_LOOPBACK),
            point_to_point: link.has(libc::IFF_POINTOPOINT),
            multicast: link.has(libc::IFF_MULTICAST),
            broadcast: link.has(libc::IFF_BROADCAST),
            ethernet: link.hardware == libc::ARPHRD_ETHER,
            kind: link.kind.clone(),
            vlan: link.vlan,
            master: link.master,
            link: link.lower,
            link_elsewhere: link.lower_elsewhere,
            forwarding4: self.forwarding.get(&link.ifindex).copied().unwrap_or(false),
            forwarding6: self.forwarding6,
            send_redirects: entry.send_redirects,
            rp_filter: self.rp_filter(link.ifindex),
            addresses: own.map(|(_, address)| *address).collect(),
        }
    }
}

/// The kernel's idea of the same address: local address, prefix length, peer.
fn is_same(a: &InterfaceAddress, b: &InterfaceAddress) -> bool {
    a.local == b.local && a.peer == b.peer
}

#[cfg(test)]
mod tests;
