//! The requests that rtnetlink is asked.
//!
//! Strict checking (`NETLINK_GET_STRICT_CHK`) makes the kernel filter routes by
//! table, and wants every other byte of the fixed headers to be zero.

use forwarder_core::net::TableId;

use super::message::{
    ADDRESS_LEN, IFLA_EXT_MASK, LINK_LEN, NEIGHBOUR_LEN, NETCONF_LEN, NEXTHOP_LEN, ROUTE_LEN,
    RTEXT_FILTER_SKIP_STATS, RTM_GETNEXTHOP, family,
};
use super::monitor::Table;
use super::wire::Request;

/// A fixed header of zeros but for the address family in its first byte.
pub(crate) fn fixed<const LEN: usize>(address_family: libc::c_int) -> [u8; LEN] {
    let mut bytes = [0; LEN];
    if let Some(first) = bytes.first_mut() {
        *first = family(address_family);
    }
    bytes
}

/// The request that dumps a table.
pub(crate) fn dump(table: Table) -> Request {
    let request = |kind, fixed: &[u8]| Request::new(kind, 0, fixed);
    match table {
        Table::Links => request(libc::RTM_GETLINK, &fixed::<LINK_LEN>(libc::AF_UNSPEC))
            .u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS),
        Table::Addresses => request(libc::RTM_GETADDR, &fixed::<ADDRESS_LEN>(libc::AF_UNSPEC)),
        Table::Netconf(af) => request(libc::RTM_GETNETCONF, &fixed::<NETCONF_LEN>(af)),
        Table::Nexthops => request(RTM_GETNEXTHOP, &fixed::<NEXTHOP_LEN>(libc::AF_UNSPEC)),
        Table::Routes(af, TableId(number)) => {
            request(libc::RTM_GETROUTE, &fixed::<ROUTE_LEN>(af)).u32(libc::RTA_TABLE, number)
        }
        Table::Neighbours(af) => request(libc::RTM_GETNEIGH, &fixed::<NEIGHBOUR_LEN>(af)),
    }
}
