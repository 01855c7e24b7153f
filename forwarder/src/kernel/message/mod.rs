//! What rtnetlink says, as types: one enum for every message that the monitor
//! follows, decoded from bytes.
//!
//! [`decode`] is a pure function of the bytes. What nobody here asked about
//! (other families, tables, cached routes, proxies) is [`Message::Ignored`];
//! what makes no sense is a [`Malformed`] and costs that one message only.
//!
//! Layouts: `include/uapi/linux/{rtnetlink,if_link,if_addr,neighbour,nexthop,
//! netconf}.h`.

mod address;
mod link;
mod neighbour;
mod netconf;
mod nexthop;
pub(crate) mod route;

use std::net::Ipv4Addr;

use forwarder_core::interface::InterfaceAddress;
use forwarder_core::kernel::event::{KernelRoute, Neighbour, NexthopObject};
use forwarder_core::net::{Ifindex, Ipv4};

use super::wire::Malformed;
pub(crate) use address::FIXED_LEN as ADDRESS_LEN;
pub(crate) use link::{FIXED_LEN as LINK_LEN, IFLA_EXT_MASK, Link, RTEXT_FILTER_SKIP_STATS};
pub(crate) use neighbour::{
    Entry as NeighbourEntry, FIXED_LEN as NEIGHBOUR_LEN, NDA_DST, NDA_FLAGS_EXT, NTF_EXT_MANAGED,
};
pub(crate) use netconf::{FIXED_LEN as NETCONF_LEN, Netconf};
pub(crate) use nexthop::FIXED_LEN as NEXTHOP_LEN;
pub(crate) use route::{
    FIXED_LEN as ROUTE_LEN, HOP_LEN, RTAX_MTU, RTNH_F_ONLINK, route_type_number,
};

/// `RTM_NEWNEXTHOP` and the two after it; libc has no names for them.
pub(crate) const RTM_NEWNEXTHOP: u16 = 104;
const RTM_DELNEXTHOP: u16 = 105;
pub(crate) const RTM_GETNEXTHOP: u16 = 106;

/// A message of rtnetlink.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Message {
    /// An interface is there or changed.
    Link(Link),
    /// An interface is gone, or moved to another namespace.
    LinkGone(Ifindex),
    /// An address is there or changed.
    Address(Ifindex, InterfaceAddress),
    /// An address is gone.
    AddressGone(Ifindex, InterfaceAddress),
    /// A route is there.
    Route {
        /// The route.
        route: KernelRoute<Ipv4>,
        /// It took the place of the first route with its key.
        replaced: bool,
    },
    /// A route is gone.
    RouteGone(KernelRoute<Ipv4>),
    /// A next-hop object is there or changed.
    Nexthop(u32, NexthopObject),
    /// A next-hop object is gone.
    NexthopGone(u32),
    /// A neighbour entry is there or changed.
    Neighbour(Neighbour<Ipv4Addr>),
    /// A neighbour entry is gone, or of no use for Ethernet.
    NeighbourGone(Ifindex, Ipv4Addr),
    /// IPv4 sysctls of an interface.
    Netconf(Netconf),
    /// IPv4 has been taken off an interface.
    NetconfGone(Ifindex),
    /// Not for us.
    Ignored,
}

/// Reads the message behind a netlink header of this type and these flags.
pub(crate) fn decode(kind: u16, flags: u16, payload: &[u8]) -> Result<Message, Malformed> {
    match kind {
        libc::RTM_NEWLINK => link::decode(payload).map(|link| link.map(Message::Link)),
        libc::RTM_DELLINK => {
            link::decode(payload).map(|link| link.map(|link| Message::LinkGone(link.ifindex)))
        }
        libc::RTM_NEWADDR => decode_address(payload, Message::Address),
        libc::RTM_DELADDR => decode_address(payload, Message::AddressGone),
        libc::RTM_NEWROUTE => {
            let replaced = i32::from(flags) & libc::NLM_F_REPLACE != 0;
            let route = route::decode(payload);
            route.map(|route| route.map(|route| Message::Route { route, replaced }))
        }
        libc::RTM_DELROUTE => route::decode(payload).map(|route| route.map(Message::RouteGone)),
        libc::RTM_NEWNEIGH => neighbour::decode(payload).map(Some),
        libc::RTM_DELNEIGH => neighbour::decode_gone(payload).map(Some),
        libc::RTM_NEWNETCONF => netconf::decode(payload).map(|conf| conf.map(Message::Netconf)),
        libc::RTM_DELNETCONF => {
            let conf = netconf::decode(payload);
            conf.map(|conf| conf.map(|conf| Message::NetconfGone(conf.ifindex)))
        }
        RTM_NEWNEXTHOP => {
            nexthop::decode(payload).map(|(id, object)| Some(Message::Nexthop(id, object)))
        }
        RTM_DELNEXTHOP => nexthop::decode_id(payload).map(|id| Some(Message::NexthopGone(id))),
        _ => Ok(None),
    }
    .map(|message| message.unwrap_or(Message::Ignored))
}

fn decode_address(
    payload: &[u8],
    make: fn(Ifindex, InterfaceAddress) -> Message,
) -> Result<Option<Message>, Malformed> {
    address::decode(payload).map(|found| found.map(|(ifindex, address)| make(ifindex, address)))
}

/// An address family byte.
pub(crate) const fn family(number: libc::c_int) -> u8 {
    // AF_* of what is decoded here are all below 32.
    number as u8
}

#[cfg(test)]
mod tests;
