//! The kernel's state at one moment, for those that only want a look: the
//! interfaces with their programs, and the neighbour tables with their limits.
//!
//! Called by `doctor`. The daemon follows the same things through the monitor.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::sync::Arc;

use forwarder_core::interface::Interfaces;
use forwarder_core::net::Ifindex;

use super::interfaces::InterfaceTable;
use super::message::{self, LINK_LEN, Message};
use super::monitor::Table;
use super::request::{RequestError, Requester};
use super::requests::{self, fixed};
use super::socket::Protocol;
use super::wire::{Attribute, Attributes, Malformed, Request, after, u32_at};

const IFLA_LINK_NETNSID: u16 = 37;
const IFLA_XDP: u16 = 43;
/// Under `IFLA_XDP`: the program, and those of each mode where there are
/// several.
const IFLA_XDP_PROG_IDS: std::ops::RangeInclusive<u16> = 4..=7;

/// Length of `struct ndtmsg` of `include/uapi/linux/neighbour.h`.
const NEIGHBOUR_TABLE_LEN: usize = 4;
const NDTA_NAME: u16 = 1;
const NDTA_THRESH1: u16 = 2;
const NDTA_THRESH3: u16 = 4;
const NDTA_CONFIG: u16 = 5;
/// `offsetof(struct ndt_config, ndtc_entries)`.
const ENTRIES: usize = 4;

/// `RTM_GETNSID` and the layouts of `include/uapi/linux/net_namespace.h`.
const RTM_GETNSID: u16 = 90;
/// Length of `struct rtgenmsg`, aligned.
const NAMESPACE_LEN: usize = 4;
const NETNSA_NSID: u16 = 1;
const NETNSA_FD: u16 = 3;

/// What a link message says that the daemon has no use for.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LinkExtras {
    /// Ids of the XDP programs on it.
    pub programs: Vec<u32>,
    /// The namespace that the device below or the veth's peer lives in, by the
    /// number that this namespace has for it; `None` = this one.
    pub namespace: Option<i32>,
}

/// A neighbour table of the kernel: one for all namespaces.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct NeighbourTable {
    /// "arp_cache" or "ndisc_cache".
    pub name: String,
    /// Entries there are.
    pub entries: u32,
    /// `gc_thresh1`, `gc_thresh2`, `gc_thresh3`.
    pub thresholds: [u32; 3],
}

/// Asks.
#[derive(Debug)]
pub struct Survey {
    requester: Requester,
}

impl Survey {
    /// Of the network namespace of the calling thread, within a runtime.
    pub fn open() -> Result<Survey, RequestError> {
        let requester = Requester::open(Protocol::ROUTE).map_err(io::Error::other)?;
        Ok(Survey { requester })
    }

    /// The interfaces as the monitor would tell of them.
    pub async fn interfaces(&mut self) -> Result<Arc<Interfaces>, RequestError> {
        let mut table = InterfaceTable::default();
        for dump in [
            Table::Links,
            Table::Addresses,
            Table::Netconf(libc::AF_INET),
            Table::Netconf(libc::AF_INET6),
        ] {
            let request = requests::dump(dump);
            let messages: Vec<Message> = self.requester.dump(&request, collect).await?;
            messages
                .into_iter()
                .for_each(|message| apply(&mut table, message));
        }
        Ok(table.snapshot().unwrap_or_default())
    }

    /// The rest of what the links' messages say.
    pub async fn extras(&mut self) -> Result<BTreeMap<Ifindex, LinkExtras>, RequestError> {
        let request = requests::dump(Table::Links);
        self.requester.dump(&request, collect_extras).await
    }

    /// IPv4's and IPv6's neighbour tables.
    pub async fn neighbour_tables(&mut self) -> Result<Vec<NeighbourTable>, RequestError> {
        let header: [u8; NEIGHBOUR_TABLE_LEN] = fixed(libc::AF_UNSPEC);
        let request = Request::new(libc::RTM_GETNEIGHTBL, 0, &header);
        self.requester.dump(&request, collect_neighbours).await
    }

    /// The number that this namespace has for another; `None` if it has none.
    pub async fn namespace_number(&mut self, other: &File) -> Result<Option<i32>, RequestError> {
        let descriptor = other.as_raw_fd().cast_unsigned();
        let header: [u8; NAMESPACE_LEN] = fixed(libc::AF_UNSPEC);
        let request = Request::new(RTM_GETNSID, 0, &header).u32(NETNSA_FD, descriptor);
        let number = self.requester.get(&request, decode_namespace).await?;
        Ok(number.filter(|number| *number >= 0))
    }
}

fn collect(found: &mut Vec<Message>, kind: u16, payload: &[u8]) -> Result<(), Malformed> {
    found.push(message::decode(kind, 0, payload)?);
    Ok(())
}

fn apply(table: &mut InterfaceTable, message: Message) {
    match message {
        Message::Link(link) => drop(table.set_link(link)),
        Message::Address(ifindex, address) => table.set_address(ifindex, address),
        Message::Netconf(conf) => table.set_netconf(conf),
        Message::Forwarding6(on) => table.set_forwarding6(on),
        _ => {}
    }
}

fn collect_extras(
    found: &mut BTreeMap<Ifindex, LinkExtras>,
    _kind: u16,
    payload: &[u8],
) -> Result<(), Malformed> {
    let mut extras = LinkExtras::default();
    for attribute in Attributes::new(after(payload, LINK_LEN)?) {
        let attribute = attribute?;
        match attribute.kind {
            IFLA_LINK_NETNSID => extras.namespace = Some(attribute.u32()?.cast_signed()),
            IFLA_XDP => extras.programs = programs(&attribute)?,
            _ => {}
        }
    }
    found.insert(Ifindex(u32_at(payload, 4)?), extras);
    Ok(())
}

fn programs(xdp: &Attribute<'_>) -> Result<Vec<u32>, Malformed> {
    let mut ids = Vec::new();
    for attribute in xdp.nested() {
        let attribute = attribute?;
        if IFLA_XDP_PROG_IDS.contains(&attribute.kind) {
            ids.push(attribute.u32()?);
        }
    }
    // The only program is told by itself and under its mode.
    ids.sort_unstable();
    ids.dedup();
    Ok(ids)
}

/// A table is told in several messages: itself, then a device's part each.
fn collect_neighbours(
    found: &mut Vec<NeighbourTable>,
    _kind: u16,
    payload: &[u8],
) -> Result<(), Malformed> {
    let mut table = NeighbourTable::default();
    let mut whole = false;
    for attribute in Attributes::new(after(payload, NEIGHBOUR_TABLE_LEN)?) {
        let attribute = attribute?;
        match attribute.kind {
            NDTA_NAME => table.name = attribute.text(),
            NDTA_THRESH1..=NDTA_THRESH3 => {
                let index = usize::from(attribute.kind - NDTA_THRESH1);
                if let Some(threshold) = table.thresholds.get_mut(index) {
                    *threshold = attribute.u32()?;
                }
            }
            NDTA_CONFIG => {
                whole = true;
                table.entries = u32_at(attribute.value, ENTRIES)?;
            }
            _ => {}
        }
    }
    if whole && matches!(table.name.as_str(), "arp_cache" | "ndisc_cache") {
        found.push(table);
    }
    Ok(())
}

fn decode_namespace(payload: &[u8]) -> Result<i32, Malformed> {
    for attribute in Attributes::new(after(payload, NAMESPACE_LEN)?) {
        let attribute = attribute?;
        if attribute.kind == NETNSA_NSID {
            return attribute.u32().map(u32::cast_signed);
        }
    }
    Err(Malformed::Missing)
}

#[cfg(test)]
mod tests;
