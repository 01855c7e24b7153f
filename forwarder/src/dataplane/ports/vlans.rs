//! VLAN sub-interfaces (`eth0.10`) as ports: found by their tags on the port
//! below, with counters, MAC address and constraints of their own.
//!
//! They carry no program: the one on the port below receives their frames and
//! sends them. They are chosen after the ports are attached and leave before
//! the port below does. The kernel's rules are those of `net/8021q`: one tag
//! by the VLAN id and protocol of the device, two where it is on top of another.

use forwarder_common::abi::{Port, Tags, VlanKey};
use forwarder_common::reason::Reason;
use forwarder_core::config::Bypass;
use forwarder_core::fib::PortState;
use forwarder_core::interface::{Interface, Interfaces, ReversePath};
use forwarder_core::net::Ifindex;
use tracing::{info, warn};

use super::tagging::Tagging;
use super::{AttachedPort, PortChange, Ports, Surroundings, reverse_paths, table_entry, up_reason};
use crate::dataplane::tables::{Tables, slot_of};

/// A VLAN sub-interface that is a port.
pub struct SubPort {
    /// Its name when last seen.
    pub name: String,
    /// Dense number: counters.
    pub number: u32,
    /// The port that its frames come in and leave by.
    pub parent: Ifindex,
    /// The reason for which all IPv4 received is handed up, if any.
    pub up_reason: Option<Reason>,
    /// Likewise for IPv6.
    pub up_reason6: Option<Reason>,
    /// How the sources of IPv4 packets received here are checked.
    pub reverse_path: ReversePath,
    /// Likewise for IPv6.
    pub reverse_path6: ReversePath,
    /// Whether frames can be sent through it, and why not.
    pub egress: Result<(), &'static str>,
    tags: Tags,
    /// What the maps hold for what it receives, and for what it sends.
    received: Option<Port>,
    sent: Option<Port>,
    state: Option<PortState>,
}

impl SubPort {
    fn new(interface: &Interface, number: u32, (parent, tags): (Ifindex, Tags)) -> SubPort {
        SubPort {
            name: interface.name.clone(),
            number,
            parent,
            up_reason: None,
            up_reason6: None,
            reverse_path: ReversePath::Off,
            reverse_path6: ReversePath::Off,
            egress: Err("not looked at yet"),
            tags,
            received: None,
            sent: None,
            state: None,
        }
    }

    fn key(&self) -> VlanKey {
        VlanKey {
            parent: self.parent.0,
            tags: self.tags.0,
        }
    }

    /// Brings what the maps say of it up to date; a failure is tried again with
    /// the next change.
    fn store(&mut self, tables: &mut Tables, received: Option<Port>, sent: Option<Port>) {
        if self.received != received {
            let result = match received {
                Some(port) => tables.set_vlan(self.key(), port),
                None => tables.clear_vlan(self.key()),
            };
            match result {
                Ok(()) => self.received = received,
                Err(error) => warn!("port {}: {error}", self.name),
            }
        }
        if self.sent != sent {
            let ifindex = self.sent.or(sent).map_or(0, |port| port.ifindex);
            let result = match sent {
                Some(port) => tables.set_sub_egress(port),
                None => tables.clear_port(ifindex),
            };
            match result {
                Ok(()) => self.sent = sent,
                Err(error) => warn!("port {}: {error}", self.name),
            }
        }
    }
}

/// The device below all tags of a VLAN sub-interface, and the tags.
pub(super) fn below(
    interface: &Interface,
    interfaces: &Interfaces,
) -> Result<(Ifindex, Tags), String> {
    let (inner, under) = one_below(interface, interfaces)?;
    if under.kind != "vlan" {
        return Ok((under.ifindex, Tags::one(inner.0, inner.1)));
    }
    if let Some(master) = under.master {
        let name = interfaces.name(master);
        return Err(format!("{} below it belongs to {name}", under.name));
    }
    let (outer, parent) = one_below(under, interfaces)?;
    if parent.kind == "vlan" {
        return Err("more than two tags are left to the kernel".into());
    }
    Ok((parent.ifindex, Tags::two(outer, inner)))
}

/// Whether a VLAN sub-interface is on this device, by one tag or two.
pub(super) fn is_on(sub: &Interface, device: Ifindex, interfaces: &Interfaces) -> bool {
    below(sub, interfaces).is_ok_and(|(below, _)| below == device)
}

/// A sub-interface's own tag and the device it is on.
fn one_below<'a>(
    interface: &Interface,
    interfaces: &'a Interfaces,
) -> Result<((u16, bool), &'a Interface), String> {
    let Some(vlan) = interface.vlan else {
        return Err("the kernel does not tell its VLAN".into());
    };
    if vlan.prioritised {
        return Err("an egress-qos-map is left to the kernel".into());
    }
    let lower = interface.link.filter(|_| !interface.link_elsewhere);
    let lower = lower.and_then(|ifindex| interfaces.get(ifindex));
    let lower = lower.ok_or("the device below it is in another namespace")?;
    Ok(((vlan.id, vlan.ad), lower))
}

/// Whether the devices of all tags are up: the kernel drops what comes in
/// through one that is not.
fn is_up(interface: &Interface, interfaces: &Interfaces) -> bool {
    let under = interface.link.and_then(|ifindex| interfaces.get(ifindex));
    interface.up && under.is_some_and(|under| under.kind != "vlan" || under.up)
}

/// Whether frames can be sent through it.
fn egress(
    interface: &Interface,
    tags: Tags,
    (below, port): (&Interface, &AttachedPort),
) -> Result<(), &'static str> {
    if !interface.up {
        return Err("down");
    }
    if !interface.carrier {
        return Err("no carrier");
    }
    port.egress?;
    // A redirect takes the MTU of the device below and one tag (`xdp_ok_fwd_dev`).
    if interface.mtu + 4 * (tags.count() - 1) > below.mtu {
        return Err("the MTU of the port below has no room for its packets with a second tag");
    }
    Ok(())
}

impl Ports {
    /// The sub-interfaces that are ports.
    pub fn subs(&self) -> impl Iterator<Item = (Ifindex, &SubPort)> {
        self.subs.iter().map(|(ifindex, sub)| (*ifindex, sub))
    }

    /// Lets go of sub-interfaces that should be none, takes in those that should.
    pub(super) fn choose_subs(
        &mut self,
        tables: &mut Tables,
        around: &Surroundings<'_>,
        apply: &mut impl FnMut(&mut Tables, PortChange),
    ) {
        let interfaces = around.interfaces;
        let wants = |ports: &Ports, ifindex| {
            let interface = interfaces.get(ifindex);
            interface.and_then(|interface| ports.wants_sub(interface, interfaces).ok())
        };
        let unwanted = |(ifindex, sub): (&Ifindex, &SubPort)| {
            (wants(self, *ifindex) != Some((sub.parent, sub.tags))).then_some(*ifindex)
        };
        let unwanted: Vec<Ifindex> = self.subs.iter().filter_map(unwanted).collect();
        for ifindex in unwanted {
            self.drop_sub(ifindex, tables, apply);
        }
        let vlans = interfaces.by_index.values().filter(|i| i.kind == "vlan");
        for interface in vlans {
            if self.subs.contains_key(&interface.ifindex) {
                continue;
            }
            if let Err(why) = self.take_sub(interface, tables, interfaces) {
                self.refused.insert(interface.ifindex, why);
            }
        }
    }

    fn take_sub(
        &mut self,
        interface: &Interface,
        tables: &mut Tables,
        interfaces: &Interfaces,
    ) -> Result<(), String> {
        let place = self.wants_sub(interface, interfaces)?;
        if !interface.up {
            return Err("down".into());
        }
        self.has_slot(interface.ifindex)?;
        let number = self.take_number()?;
        if let Err(error) = tables.clear_counters(number) {
            warn!("port {}: old counters stay: {error}", interface.name);
        }
        info!("port {}: on {}", interface.name, interfaces.name(place.0));
        self.refused.remove(&interface.ifindex);
        let sub = SubPort::new(interface, number, place);
        self.subs.insert(interface.ifindex, sub);
        Ok(())
    }

    /// Where a sub-interface's frames are found, or why it is no port.
    fn wants_sub(
        &self,
        interface: &Interface,
        interfaces: &Interfaces,
    ) -> Result<(Ifindex, Tags), String> {
        let place = below(interface, interfaces)?;
        if interface.mac.is_none() {
            return Err("not an Ethernet device".into());
        }
        if let Some(master) = interface.master {
            return Err(format!("belongs to {}", interfaces.name(master)));
        }
        match self.settings.chooses(&interface.name) {
            Some(false) => return Err("not named in [dataplane] interfaces".into()),
            None if interface.addresses.is_empty() => return Err("holds no address".into()),
            Some(true) | None => {}
        }
        let name = || interfaces.name(place.0);
        match self.attached.get(&place.0).map(|port| &port.tagging) {
            None => Err(format!("{} below it is no port", name())),
            Some(Tagging::Hidden(why)) => Err(format!("{} hides its tags: {why}", name())),
            Some(_) => Ok(place),
        }
    }

    /// Of a port that is about to go.
    pub(super) fn drop_subs_of(
        &mut self,
        parent: Ifindex,
        tables: &mut Tables,
        apply: &mut impl FnMut(&mut Tables, PortChange),
    ) {
        let of_it =
            |(ifindex, sub): (&Ifindex, &SubPort)| (sub.parent == parent).then_some(*ifindex);
        let subs: Vec<Ifindex> = self.subs.iter().filter_map(of_it).collect();
        for ifindex in subs {
            self.drop_sub(ifindex, tables, apply);
        }
    }

    fn drop_sub(
        &mut self,
        ifindex: Ifindex,
        tables: &mut Tables,
        apply: &mut impl FnMut(&mut Tables, PortChange),
    ) {
        let Some(mut sub) = self.subs.remove(&ifindex) else {
            return;
        };
        apply(tables, (ifindex, None));
        sub.store(tables, None, None);
        self.freed.push(sub.number);
        info!("port {} is gone", sub.name);
    }

    /// Brings every sub-interface's entries and FIB state up to date; the ports'
    /// own are.
    pub(super) fn update_subs(
        &mut self,
        tables: &mut Tables,
        around: &Surroundings<'_>,
        apply: &mut impl FnMut(&mut Tables, PortChange),
    ) {
        let bypass = &self.settings.bypass;
        let (full4, full6) = around.table_full;
        for (ifindex, sub) in &mut self.subs {
            let interfaces = around.interfaces;
            let (Some(interface), Some(below), Some(port)) = (
                interfaces.get(*ifindex),
                interfaces.get(sub.parent),
                self.attached.get(&sub.parent),
            ) else {
                continue;
            };
            sub.name.clone_from(&interface.name);
            sub.egress = egress(interface, sub.tags, (below, port));
            let (on4, on6) = (interface.forwarding4, interface.forwarding6);
            sub.up_reason = up_reason(around, bypass, full4, on4, false);
            sub.up_reason6 = up_reason(around, bypass, full6, on6, false);
            (sub.reverse_path, sub.reverse_path6) = reverse_paths(&self.settings, interface);
            let entry = Port {
                tx: port.number,
                tags: sub.tags.0,
                ..table_entry(
                    interface,
                    sub.number,
                    (sub.up_reason, sub.up_reason6),
                    (sub.reverse_path, sub.reverse_path6),
                )
            };
            let receives = is_up(interface, interfaces).then_some(entry);
            let sends = sub.egress.is_ok().then_some(entry);
            sub.store(tables, receives, sends);
            let shaped = |ifindex| around.constraints.tc.contains_key(ifindex);
            let state = PortState {
                number: sub.number,
                tx: port.number,
                tags: sub.tags,
                mac: entry.mac,
                mtu: interface.mtu,
                can_transmit: sub.egress.is_ok(),
                tc: !bypass.contains(&Bypass::Tc)
                    && (shaped(ifindex)
                        || shaped(&sub.parent)
                        || shaped_between(interface, around)),
            };
            if sub.state.as_ref() != Some(&state) {
                sub.state = Some(state);
                apply(tables, (*ifindex, Some(state)));
            }
        }
    }

    /// Writes all entries into the maps of the next generation.
    pub(super) fn hand_over_subs(&mut self, tables: &mut Tables) {
        for sub in self.subs.values_mut() {
            let (received, sent) = (sub.received.take(), sub.sent.take());
            sub.store(tables, received, sent);
        }
    }

    /// Whether no port has the table slot of this ifindex.
    pub(super) fn has_slot(&self, ifindex: Ifindex) -> Result<(), String> {
        let slot = slot_of(ifindex.0);
        let mut all = self.attached.keys().chain(self.subs.keys());
        match all.find(|other| slot_of(other.0) == slot) {
            Some(other) => Err(format!(
                "its ifindex shares a table slot with that of if{other}"
            )),
            None => Ok(()),
        }
    }
}

/// Traffic control on the device of the outer tag.
fn shaped_between(interface: &Interface, around: &Surroundings<'_>) -> bool {
    interface
        .link
        .is_some_and(|below| around.constraints.tc.contains_key(&below))
}

#[cfg(test)]
mod tests;
