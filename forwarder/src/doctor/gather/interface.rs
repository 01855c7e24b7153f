//! Interfaces: netlink, sysctls, the driver's word, the programs on them.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use forwarder_core::config::Dataplane;
use forwarder_core::interface::{self, Interfaces};
use forwarder_core::net::Ifindex;
use nix::net::if_::if_indextoname;

use super::machine::sysctl;
use super::namespace;
use crate::dataplane::ethtool::{Channels, Ethtool, Offload};
use crate::dataplane::features::Features;
use crate::dataplane::ports::{is_software, vlan_children, wants};
use crate::doctor::facts::{Interface, Look, Peer, Place, Program};
use crate::kernel::{LinkExtras, Survey};

/// A device's transmit checksum offloads.
const TX_CHECKSUMS: [&str; 3] = [
    "tx-checksum-ip-generic",
    "tx-checksum-ipv4",
    "tx-checksum-ipv6",
];

/// What is needed to look at an interface.
pub(super) struct Gatherer<'a> {
    pub(super) survey: Survey,
    pub(super) interfaces: Arc<Interfaces>,
    pub(super) extras: BTreeMap<Ifindex, LinkExtras>,
    pub(super) features: Features,
    pub(super) settings: &'a Dataplane,
    pub(super) tc: BTreeMap<Ifindex, String>,
}

impl Gatherer<'_> {
    /// Those of these names, once each; without names those that would be ports.
    pub(super) async fn gather(&mut self, names: &[String]) -> Vec<Interface> {
        let interfaces = Arc::clone(&self.interfaces);
        let ethtool = Ethtool::open();
        let mut found = Vec::new();
        for interface in interfaces.by_index.values() {
            let chosen = match names {
                [] => wants(self.settings, interface, &interfaces).is_ok(),
                names => names.contains(&interface.name),
            };
            if chosen {
                let peer = self.peer(interface).await;
                found.push(self.one(interface, peer, ethtool.as_ref()));
            }
        }
        found
    }

    fn one(
        &self,
        interface: &interface::Interface,
        peer: Option<Peer>,
        ethtool: Result<&Ethtool, &io::Error>,
    ) -> Interface {
        let (name, ifindex) = (&interface.name, interface.ifindex);
        let interfaces = &self.interfaces;
        let children = vlan_children(ifindex, interfaces);
        Interface {
            name: name.clone(),
            port: wants(self.settings, interface, interfaces),
            ethernet: interface.ethernet,
            up: interface.up,
            carrier: interface.carrier,
            mtu: interface.mtu,
            software: is_software(interface),
            ipv6: interface.addresses.iter().any(is_ipv6_network),
            forwarding: interface.forwarding4,
            rp_filter: rp_filter(name),
            send_redirects: interface.send_redirects,
            driver: ask(ethtool, |ethtool| ethtool.driver(name)),
            abilities: self.features.bits(ifindex.0),
            channels: channels(ethtool, name),
            offloads: ask(ethtool, |ethtool| ethtool.offloads(name)),
            vlans: children.map(|child| child.name.clone()).collect(),
            programs: self.programs(ifindex),
            tc: self.tc.get(&ifindex).cloned(),
            peer,
        }
    }

    fn programs(&self, ifindex: Ifindex) -> Vec<Program> {
        let extras = self.extras.get(&ifindex);
        let ids = extras.map(|extras| extras.programs.as_slice());
        let ids = ids.unwrap_or_default().iter();
        ids.map(|id| Program {
            id: *id,
            name: program_name(*id),
        })
        .collect()
    }

    async fn peer(&mut self, interface: &interface::Interface) -> Option<Peer> {
        if interface.kind != "veth" {
            return None;
        }
        let ifindex = interface.link?;
        let extras = self.extras.get(&interface.ifindex);
        let Some(number) = extras.and_then(|extras| extras.namespace) else {
            let (name, unfinished) = look_at_peer(ifindex);
            return Some(Peer {
                place: Place::Here,
                name,
                unfinished,
            });
        };
        let (place, path) = namespace::by_number(&mut self.survey, number).await;
        let (name, unfinished) = look_elsewhere(ifindex, path.as_deref());
        Some(Peer {
            place,
            name,
            unfinished,
        })
    }
}

/// A link-local address alone makes no network that is routed.
fn is_ipv6_network(address: &interface::InterfaceAddress) -> bool {
    match address.local.addr() {
        IpAddr::V6(address) => !address.is_unicast_link_local(),
        IpAddr::V4(_) => false,
    }
}

/// `IN_DEV_RPFILTER`: the higher of the two.
fn rp_filter(interface: &str) -> Look<u32> {
    let of = |name: &str| sysctl(&format!("net/ipv4/conf/{name}/rp_filter"));
    Ok(of("all")?.max(of(interface)?))
}

fn ask<T>(
    ethtool: Result<&Ethtool, &io::Error>,
    question: impl FnOnce(&Ethtool) -> io::Result<T>,
) -> Look<T> {
    let ethtool = ethtool.map_err(|error| format!("opening a socket for ethtool: {error}"))?;
    question(ethtool).map_err(|error| format!("ethtool: {error}"))
}

fn channels(ethtool: Result<&Ethtool, &io::Error>, name: &str) -> Look<Option<Channels>> {
    ask(ethtool, |ethtool| ethtool.channels(name))
}

/// The kernel has no way to ask for one by its id without passing the others.
fn program_name(id: u32) -> Look<String> {
    for info in aya::programs::loaded_programs() {
        let info = info.map_err(|error| error.to_string())?;
        if info.id() == id {
            return Ok(info.name_as_str().unwrap_or_default().to_owned());
        }
    }
    Err("it has gone meanwhile".to_owned())
}

fn look_elsewhere(ifindex: Ifindex, path: Option<&Path>) -> (Look<String>, Look<bool>) {
    let hidden = |why: String| (Err(why.clone()), Err(why));
    let Some(path) = path else {
        return hidden("the peer's namespace has no name in /run/netns".to_owned());
    };
    match namespace::enter(path, || look_at_peer(ifindex)) {
        Ok(seen) => seen,
        Err(error) => hidden(format!("entering {}: {error}", path.display())),
    }
}

/// Its name, and whether its own frames leave it without a finished checksum.
fn look_at_peer(ifindex: Ifindex) -> (Look<String>, Look<bool>) {
    let name = match if_indextoname(ifindex.0) {
        Ok(name) => name.to_string_lossy().into_owned(),
        Err(error) => {
            let why = format!("its name: {error}");
            return (Err(why.clone()), Err(why));
        }
    };
    let offloads = ask(Ethtool::open().as_ref(), |ethtool| ethtool.offloads(&name));
    let on = |offloads: BTreeMap<String, Offload>| {
        let is_on = |name: &&str| offloads.get(*name).is_some_and(|offload| offload.on);
        TX_CHECKSUMS.iter().any(is_on)
    };
    (Ok(name), offloads.map(on))
}
