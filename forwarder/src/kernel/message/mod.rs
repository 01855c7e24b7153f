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

use forwarder_core::interface::InterfaceAddress;
use forwarder_core::kernel::event::{KernelRoute, Neighbour, NexthopObject};
use forwarder_core::net::{Ifindex, Ipv4, Ipv6};

use super::family::NetlinkFamily;
use super::wire::Malformed;
pub(crate) use address::FIXED_LEN as ADDRESS_LEN;
pub(crate) use link::{FIXED_LEN as LINK_LEN, IFLA_EXT_MASK, Link, RTEXT_FILTER_SKIP_STATS};
pub(crate) use neighbour::{
    Entry as NeighbourEntry, FIXED_LEN as NEIGHBOUR_LEN, NDA_DST, NDA_FLAGS_EXT, NDA_LLADDR,
    NTF_EXT_MANAGED, decode_entry as decode_neighbour,
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
    /// Of an IPv4 route.
    Route4(RouteMessage<Ipv4>),
    /// Of an IPv6 route.
    Route6(RouteMessage<Ipv6>),
    /// A next-hop object is there or changed.
    Nexthop(u32, NexthopObject),
    /// A next-hop object is gone.
    NexthopGone(u32),
    /// Of an IPv4 neighbour.
    Neighbour4(NeighbourMessage<Ipv4>),
    /// Of an IPv6 neighbour.
    Neighbour6(NeighbourMessage<Ipv6>),
    /// IPv4 sysctls of an interface.
    Netconf(Netconf),
    /// `net.ipv6.conf.all.forwarding`, the switch for all interfaces.
    Forwarding6(bool),
    /// `net.ipv4.conf.all.rp_filter`, which counts beside that of each interface.
    RpFilterAll(u32),
    /// `net.ipv4.conf.default.rp_filter` has changed: that of interfaces may
    /// have, too.
    RpFilterDefault,
    /// IPv4 has been taken off an interface.
    NetconfGone(Ifindex),
    /// Not for us.
    Ignored,
}

/// What is said of a route.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum RouteMessage<F: NetlinkFamily> {
    /// It is there.
    There {
        /// The route.
        route: KernelRoute<F>,
        /// It took the place of the first route with its key.
        replaced: bool,
    },
    /// It is gone.
    Gone(KernelRoute<F>),
}

/// What is said of a neighbour entry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum NeighbourMessage<F: NetlinkFamily> {
    /// It is there or changed.
    There(Neighbour<F::Addr>),
    /// It is gone, or of no use for Ethernet.
    Gone(Ifindex, F::Addr),
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
            if is_ipv6(payload) {
                let route = route::decode(payload)?;
                Ok(route.map(|route| Message::Route6(RouteMessage::There { route, replaced })))
            } else {
                let route = route::decode(payload)?;
                Ok(route.map(|route| Message::Route4(RouteMessage::There { route, replaced })))
            }
        }
        libc::RTM_DELROUTE if is_ipv6(payload) => {
            Ok(route::decode(payload)?.map(|route| Message::Route6(RouteMessage::Gone(route))))
        }
        libc::RTM_DELROUTE => {
            Ok(route::decode(payload)?.map(|route| Message::Route4(RouteMessage::Gone(route))))
        }
        libc::RTM_NEWNEIGH if is_ipv6(payload) => {
            Ok(neighbour::decode(payload)?.map(Message::Neighbour6))
        }
        libc::RTM_NEWNEIGH => Ok(neighbour::decode(payload)?.map(Message::Neighbour4)),
        libc::RTM_DELNEIGH if is_ipv6(payload) => {
            Ok(neighbour::decode_gone(payload)?.map(Message::Neighbour6))
        }
        libc::RTM_DELNEIGH => Ok(neighbour::decode_gone(payload)?.map(Message::Neighbour4)),
        libc::RTM_NEWNETCONF => netconf::decode(payload),
        libc::RTM_DELNETCONF => netconf::decode_gone(payload),
        RTM_NEWNEXTHOP => {
            nexthop::decode(payload).map(|(id, object)| Some(Message::Nexthop(id, object)))
        }
        RTM_DELNEXTHOP => nexthop::decode_id(payload).map(|id| Some(Message::NexthopGone(id))),
        _ => Ok(None),
    }
    .map(|message| message.unwrap_or(Message::Ignored))
}

/// All fixed headers begin with the address family.
fn is_ipv6(payload: &[u8]) -> bool {
    payload.first() == Some(&family(libc::AF_INET6))
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
