//! Which interfaces are ports of the fast path, and in what state.
//!
//! Owned by the dataplane task, which calls [`Ports::reconcile`] whenever an
//! interface, a constraint or an ability has changed. It first attaches and
//! detaches, then works out what each port's entry should be and tells what
//! differs, so that any order of events ends in the same state.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use forwarder_common::abi::{
    MAX_PORTS, PORT_RP4_LOOSE, PORT_RP4_STRICT, PORT_RP6_LOOSE, PORT_RP6_STRICT,
    PORT_SEND_REDIRECTS, PORT_VLANS, Port, Tags,
};
use forwarder_common::reason::Reason;
use forwarder_core::config::{Bypass, Dataplane};
use forwarder_core::fib::PortState;
use forwarder_core::interface::{Interface, Interfaces, ReversePath};
use forwarder_core::kernel::event::Constraints;
use forwarder_core::net::Ifindex;
use tracing::{info, warn};

use super::attach::{self, AttachError, Attachment, Mode};
use super::features::Features;
use super::object::{Object, running_kernel};
use super::tables::Tables;

mod egress;
mod status;
mod tagging;
mod vlans;

use egress::Ways;
pub use egress::unknown_veth;
pub use status::PortStatus;
use tagging::Tagging;
pub use vlans::SubPort;

/// Everything that decides about ports besides the interfaces themselves.
pub struct Surroundings<'a> {
    /// The interfaces now.
    pub interfaces: &'a Interfaces,
    /// Who takes redirected frames.
    pub features: &'a Features,
    /// What must not be bypassed.
    pub constraints: &'a Constraints,
    /// The tables do not hold the routes yet.
    pub starting: bool,
    /// The tables of IPv4 and of IPv6 do not hold all routes.
    pub table_full: (bool, bool),
}

/// An interface with a program of ours.
pub struct AttachedPort {
    /// Its name when last seen.
    pub name: String,
    /// Dense number: counters and DEVMAP index.
    pub number: u32,
    /// The program on it.
    pub attachment: Attachment,
    /// The reason for which all IPv4 received is handed up, if any.
    pub up_reason: Option<Reason>,
    /// Likewise for IPv6.
    pub up_reason6: Option<Reason>,
    /// How the sources of IPv4 are checked.
    pub reverse_path: ReversePath,
    /// Likewise for IPv6.
    pub reverse_path6: ReversePath,
    /// Whether frames can be redirected to it, and why not.
    pub egress: Result<(), &'static str>,
    mtu: u32,
    tagging: Tagging,
    entry: Option<Port>,
    state: Option<PortState>,
    /// The tx-error feedback has taken it out.
    failing: bool,
}

impl AttachedPort {
    /// Whether every frame redirected to it is lost.
    pub fn failing(&self) -> bool {
        self.failing
    }
}

/// All ports, and the interfaces that are none with the reason.
pub struct Ports {
    settings: Dataplane,
    /// The running kernel's first two numbers.
    kernel: Option<(u32, u32)>,
    attached: BTreeMap<Ifindex, AttachedPort>,
    subs: BTreeMap<Ifindex, SubPort>,
    refused: BTreeMap<Ifindex, String>,
    /// Those of them that should be ports, but could not be attached to.
    failed: BTreeSet<Ifindex>,
    /// Those of them that there was no room for.
    no_room: BTreeSet<Ifindex>,
    /// First in, first out, so that a number rests before it is used again.
    free: VecDeque<u32>,
    /// Numbers given up since the last grace period began.
    freed: Vec<u32>,
}

/// A change for the FIB: `None` = no longer a port.
pub type PortChange = (Ifindex, Option<PortState>);

impl Ports {
    /// No ports yet. Number 0 counts what arrives on unknown ones.
    pub fn new(settings: Dataplane) -> Ports {
        Ports {
            settings,
            kernel: running_kernel().1,
            attached: BTreeMap::new(),
            subs: BTreeMap::new(),
            refused: BTreeMap::new(),
            failed: BTreeSet::new(),
            no_room: BTreeSet::new(),
            free: (1..MAX_PORTS).collect(),
            freed: Vec::new(),
        }
    }

    /// New settings; the next reconciliation acts on them.
    pub fn configure(&mut self, settings: Dataplane) {
        if settings.attach != self.settings.attach {
            // Tried again under the new policy.
            self.refused.clear();
        }
        self.settings = settings;
    }

    /// What is attached.
    pub fn attached(&self) -> impl Iterator<Item = (Ifindex, &AttachedPort)> {
        self.attached.iter().map(|(ifindex, port)| (*ifindex, port))
    }

    /// The port with this ifindex.
    pub fn get(&self, ifindex: Ifindex) -> Option<&AttachedPort> {
        self.attached.get(&ifindex)
    }

    /// Why an interface is no port.
    pub fn refusal(&self, ifindex: Ifindex) -> Option<&str> {
        self.refused.get(&ifindex).map(String::as_str)
    }

    /// How many interfaces should be ports and could not be attached to.
    pub fn failed(&self) -> usize {
        self.failed.len()
    }

    /// How many of them there was no room for.
    pub fn without_room(&self) -> usize {
        self.no_room.len()
    }

    /// Attaches, detaches, and returns what changed for the FIB: losses first.
    /// `after_loss` is called with the losses before their programs go.
    pub fn reconcile(
        &mut self,
        object: &mut Object,
        tables: &mut Tables,
        around: &Surroundings<'_>,
        mut apply: impl FnMut(&mut Tables, PortChange),
    ) -> Vec<AttachError> {
        self.detach_unwanted(object, tables, around, &mut apply);
        let errors = self.attach_wanted(object, tables, around);
        self.update_tagging(around.interfaces);
        self.choose_subs(tables, around, &mut apply);
        self.update_entries(tables, around, &mut apply);
        self.update_subs(tables, around, &mut apply);
        errors
    }

    /// Moves every port to another generation of programs and maps: first all
    /// entries, since a program may send to any port, then the programs. A port
    /// that does not move is attached anew by the next reconciliation.
    pub fn hand_over(
        &mut self,
        (old, new): (&mut Object, &mut Object),
        tables: &mut Tables,
        mut apply: impl FnMut(&mut Tables, PortChange),
    ) {
        for port in self.attached.values() {
            if let Some(Err(error)) = port.entry.map(|entry| tables.set_port(entry)) {
                warn!("port {}: {error}", port.name);
            }
        }
        self.hand_over_subs(tables);
        for (ifindex, port) in std::mem::take(&mut self.attached) {
            match attach::hand_over(old, new, port.attachment) {
                Ok(attachment) => {
                    let moved = AttachedPort { attachment, ..port };
                    self.attached.insert(ifindex, moved);
                }
                Err(error) => {
                    warn!("port {}: {error}; it is attached anew", port.name);
                    self.drop_subs_of(ifindex, tables, &mut apply);
                    apply(tables, (ifindex, None));
                    if let Err(error) = tables.clear_port(ifindex.0) {
                        warn!("port {}: {error}", port.name);
                    }
                    self.freed.push(port.number);
                }
            }
        }
    }

    /// The settings that apply.
    pub fn settings(&self) -> &Dataplane {
        &self.settings
    }

    /// Takes every program off, for the end of the daemon.
    pub fn detach_all(&mut self, object: &mut Object) {
        for (_, mut port) in std::mem::take(&mut self.attached) {
            port.restore_tagging();
            attach::detach(object, port.attachment);
        }
    }

    /// Whether numbers wait for a grace period.
    pub fn has_freed(&self) -> bool {
        !self.freed.is_empty()
    }

    /// Numbers given up, to be returned with [`Ports::release`] after a grace
    /// period.
    pub fn take_freed(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.freed)
    }

    /// The numbers may be used again.
    pub fn release(&mut self, numbers: Vec<u32>) {
        self.free.extend(numbers);
    }

    /// The tx feedback's verdict on a port; true if it is news.
    pub fn set_failing(&mut self, ifindex: Ifindex, failing: bool) -> bool {
        let Some(port) = self.attached.get_mut(&ifindex) else {
            return false;
        };
        std::mem::replace(&mut port.failing, failing) != failing
    }

    fn detach_unwanted(
        &mut self,
        object: &mut Object,
        tables: &mut Tables,
        around: &Surroundings<'_>,
        apply: &mut impl FnMut(&mut Tables, PortChange),
    ) {
        let interfaces = around.interfaces;
        let unwanted: Vec<(Ifindex, Option<String>)> = self
            .attached
            .iter()
            .filter_map(|(&ifindex, port)| match interfaces.get(ifindex) {
                None => Some((ifindex, None)),
                Some(interface) => match wants(&self.settings, interface, interfaces) {
                    Err(reason) => Some((ifindex, Some(reason))),
                    // A larger MTU may want, a smaller one allow, another program.
                    Ok(()) if port.mtu != interface.mtu && !port.attachment.refused.is_empty() => {
                        Some((ifindex, Some("MTU changed: attaching again".into())))
                    }
                    Ok(()) => None,
                },
            })
            .collect();
        for (ifindex, reason) in unwanted {
            self.drop_subs_of(ifindex, tables, apply);
            let Some(mut port) = self.attached.remove(&ifindex) else {
                continue;
            };
            apply(tables, (ifindex, None));
            if interfaces.get(ifindex).is_some() {
                port.restore_tagging();
            }
            attach::detach(object, port.attachment);
            if let Err(error) = tables.clear_port(ifindex.0) {
                warn!("port {}: {error}", port.name);
            }
            self.freed.push(port.number);
            info!(
                "port {} is gone: {}",
                port.name,
                reason.as_deref().unwrap_or("no such device")
            );
        }
        self.refused
            .retain(|ifindex, _| interfaces.get(*ifindex).is_some());
        self.failed
            .retain(|ifindex| interfaces.get(*ifindex).is_some());
        self.no_room.retain(|ifindex| self.failed.contains(ifindex));
    }

    fn attach_wanted(
        &mut self,
        object: &mut Object,
        tables: &mut Tables,
        around: &Surroundings<'_>,
    ) -> Vec<AttachError> {
        let mut errors = Vec::new();
        for interface in around.interfaces.by_index.values() {
            let ifindex = interface.ifindex;
            // VLANs are no ports by themselves, see `vlans`.
            if self.attached.contains_key(&ifindex) || interface.kind == "vlan" {
                continue;
            }
            // A port that goes down keeps its program: attaching resets some
            // drivers' links, and the counters would start anew.
            let down = if interface.up {
                Ok(())
            } else {
                Err("down".to_owned())
            };
            if let Err(reason) = wants(&self.settings, interface, around.interfaces).and(down) {
                self.refused.insert(ifindex, reason);
                self.failed.remove(&ifindex);
                continue;
            }
            let Err(error) = self.attach_one(object, tables, interface) else {
                continue;
            };
            self.failed.insert(ifindex);
            let news = match &error {
                // The limit is said once, not for each that is beyond it.
                AttachError::NoRoom { .. } => {
                    let first = self.no_room.is_empty();
                    self.no_room.insert(ifindex);
                    first
                }
                AttachError::Busy(_) | AttachError::Refused { .. } => {
                    self.refused.get(&ifindex) != Some(&error.to_string())
                }
            };
            self.refused.insert(ifindex, error.to_string());
            if news {
                warn!("{error}");
            }
            if news || !matches!(error, AttachError::NoRoom { .. }) {
                errors.push(error);
            }
        }
        errors
    }

    fn attach_one(
        &mut self,
        object: &mut Object,
        tables: &mut Tables,
        interface: &Interface,
    ) -> Result<(), AttachError> {
        let name = interface.name.clone();
        let no_room = |why: String| AttachError::NoRoom {
            name: name.clone(),
            why,
        };
        self.has_slot(interface.ifindex).map_err(no_room)?;
        let number = self.take_number().map_err(no_room)?;
        let at = (interface.ifindex.0, interface.name.as_str());
        let software = is_software(interface);
        let attachment = match attach::attach(object, at, self.settings.attach, software) {
            Ok(attachment) => attachment,
            Err(error) => {
                self.free.push_front(number);
                return Err(error);
            }
        };
        if let Err(error) = tables.clear_counters(number) {
            warn!("port {name}: old counters stay: {error}");
        }
        info!("port {name}: {} XDP", attachment.mode.name());
        for refused in &attachment.refused {
            info!("port {name}: refused {refused}");
        }
        self.refused.remove(&interface.ifindex);
        self.failed.remove(&interface.ifindex);
        self.no_room.remove(&interface.ifindex);
        let port = AttachedPort {
            name,
            number,
            attachment,
            up_reason: Some(Reason::Starting),
            up_reason6: Some(Reason::Starting),
            reverse_path: ReversePath::Off,
            reverse_path6: ReversePath::Off,
            egress: Err("not looked at yet"),
            mtu: interface.mtu,
            tagging: Tagging::Unwatched,
            entry: None,
            state: None,
            failing: false,
        };
        self.attached.insert(interface.ifindex, port);
        Ok(())
    }

    /// Brings every port's table entry and FIB state up to date.
    fn update_entries(
        &mut self,
        tables: &mut Tables,
        around: &Surroundings<'_>,
        apply: &mut impl FnMut(&mut Tables, PortChange),
    ) {
        let any_native = self
            .attached
            .values()
            .any(|port| port.attachment.mode == Mode::Native);
        let ways = Ways {
            features: around.features,
            any_native,
            attach: self.settings.attach,
            kernel: self.kernel,
        };
        let bypass = &self.settings.bypass;
        for (ifindex, port) in &mut self.attached {
            let Some(interface) = around.interfaces.get(*ifindex) else {
                continue;
            };
            port.name.clone_from(&interface.name);
            port.mtu = interface.mtu;
            port.egress = ways.egress(interface, port);
            let (full4, full6) = around.table_full;
            let (on4, on6) = (interface.forwarding4, interface.forwarding6);
            let hidden = port.hides_tags().is_some();
            port.up_reason = up_reason(around, bypass, full4, on4, hidden);
            port.up_reason6 = up_reason(around, bypass, full6, on6, hidden);
            (port.reverse_path, port.reverse_path6) = reverse_paths(&self.settings, interface);
            let mut entry = table_entry(
                interface,
                port.number,
                (port.up_reason, port.up_reason6),
                (port.reverse_path, port.reverse_path6),
            );
            if self.subs.values().any(|sub| sub.parent == *ifindex) {
                entry.flags |= PORT_VLANS;
            }
            if port.entry != Some(entry) {
                match tables.set_port(entry) {
                    Ok(()) => port.entry = Some(entry),
                    Err(error) => {
                        warn!("port {}: {error}", port.name);
                        port.egress = Err("the DEVMAP does not take it");
                    }
                }
            }
            let state = PortState {
                number: port.number,
                tx: port.number,
                tags: Tags::NONE,
                mac: entry.mac,
                mtu: interface.mtu,
                can_transmit: port.egress.is_ok(),
                tc: !bypass.contains(&Bypass::Tc) && around.constraints.tc.contains_key(ifindex),
            };
            if port.state.as_ref() != Some(&state) {
                port.state = Some(state);
                apply(tables, (*ifindex, Some(state)));
            }
        }
    }

    fn take_number(&mut self) -> Result<u32, String> {
        let most = MAX_PORTS - 1;
        let number = self.free.pop_front();
        number.ok_or_else(|| format!("the fast path has no more than {most} ports"))
    }
}

/// Whether an interface should be a port, and if not, why.
pub fn wants(
    settings: &Dataplane,
    interface: &Interface,
    interfaces: &Interfaces,
) -> Result<(), String> {
    if interface.loopback {
        return Err("loopback".into());
    }
    if !interface.ethernet || interface.mac.is_none() {
        return Err("not an Ethernet device".into());
    }
    if let Some(master) = interface.master {
        return Err(format!("belongs to {}", interfaces.name(master)));
    }
    match settings.chooses(&interface.name) {
        Some(true) => Ok(()),
        Some(false) => Err("not named in [dataplane] interfaces".into()),
        None => wants_by_default(interface, interfaces),
    }
}

/// A veth or a tap: frames that the other end builds itself come from it
/// unfinished.
pub fn is_software(interface: &Interface) -> bool {
    matches!(interface.kind.as_str(), "veth" | "tun")
}

/// Ports by default: Ethernet devices that hold an address or a VLAN child
/// with one. A bridge is reached through the kernel.
fn wants_by_default(interface: &Interface, interfaces: &Interfaces) -> Result<(), String> {
    if matches!(
        interface.kind.as_str(),
        "bridge" | "macvlan" | "vxlan" | "ifb" | "vrf"
    ) {
        return Err(format!("a {} is left to the kernel", interface.kind));
    }
    let holds_address = |interface: &Interface| !interface.addresses.is_empty();
    let of_child = || {
        let mut subs = interfaces.by_index.values().filter(|i| i.kind == "vlan");
        subs.any(|sub| holds_address(sub) && vlans::is_on(sub, interface.ifindex, interfaces))
    };
    if holds_address(interface) || of_child() {
        return Ok(());
    }
    Err("holds no address".into())
}

/// The VLAN sub-interfaces of a device.
pub fn vlan_children(parent: Ifindex, interfaces: &Interfaces) -> impl Iterator<Item = &Interface> {
    interfaces.by_index.values().filter(move |child| {
        child.kind == "vlan" && child.link == Some(parent) && !child.link_elsewhere
    })
}

fn up_reason(
    around: &Surroundings<'_>,
    bypass: &BTreeSet<Bypass>,
    table_full: bool,
    forwarding: bool,
    hides_tags: bool,
) -> Option<Reason> {
    let constraints = around.constraints;
    if around.starting {
        Some(Reason::Starting)
    } else if table_full {
        Some(Reason::TableFull)
    } else if constraints.netfilter.is_some() && !bypass.contains(&Bypass::Netfilter) {
        Some(Reason::Netfilter)
    } else if constraints.rules.is_some() && !bypass.contains(&Bypass::Rules) {
        Some(Reason::Rules)
    } else if constraints.xfrm.is_some() && !bypass.contains(&Bypass::Xfrm) {
        Some(Reason::Xfrm)
    } else if !forwarding {
        Some(Reason::ForwardingOff)
    } else if hides_tags {
        // VLAN 10 would look like the untagged network.
        Some(Reason::VlanOffload)
    } else {
        None
    }
}

fn table_entry(
    interface: &Interface,
    number: u32,
    (up4, up6): (Option<Reason>, Option<Reason>),
    reverse_paths: (ReversePath, ReversePath),
) -> Port {
    Port {
        ifindex: interface.ifindex.0,
        number,
        mac: interface.mac.unwrap_or_default(),
        flags: flags(interface, reverse_paths),
        up_reason4: up4.map_or(0, |reason| reason as u16),
        up_reason6: up6.map_or(0, |reason| reason as u16),
        tx: number,
        ..Port::default()
    }
}

/// The checks of the sources of IPv4 and of IPv6 received.
fn reverse_paths(settings: &Dataplane, interface: &Interface) -> (ReversePath, ReversePath) {
    let check = settings.reverse_path(&interface.name);
    // The kernel has no such switch for IPv6.
    (
        check.unwrap_or(interface.rp_filter),
        check.unwrap_or_default(),
    )
}

fn flags(interface: &Interface, (check4, check6): (ReversePath, ReversePath)) -> u16 {
    let redirects = if interface.send_redirects {
        PORT_SEND_REDIRECTS
    } else {
        0
    };
    redirects
        | check_flag(check4, PORT_RP4_LOOSE, PORT_RP4_STRICT)
        | check_flag(check6, PORT_RP6_LOOSE, PORT_RP6_STRICT)
}

fn check_flag(check: ReversePath, loose: u16, strict: u16) -> u16 {
    match check {
        ReversePath::Off => 0,
        ReversePath::Loose => loose,
        ReversePath::Strict => strict,
    }
}
