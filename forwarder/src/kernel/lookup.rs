//! Asks the kernel what it would do with a packet: `ip route get`.
//!
//! For `show routes ADDRESS`, which puts the kernel's answer beside ours.

use std::net::IpAddr;

use forwarder_core::net::{Ifindex, Ipv4, Ipv6};
use forwarder_core::route::RouteType;

use super::family::NetlinkFamily;
use super::message::ROUTE_LEN;
use super::message::route::{Found, decode_lookup};
use super::request::{RequestError, Requester};
use super::requests::fixed;
use super::socket::Protocol;
use super::wire::Request;

/// What the kernel would do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KernelLookup {
    /// The route's type; `None` = no route.
    pub kind: Option<RouteType>,
    /// The router.
    pub gateway: Option<IpAddr>,
    /// The interface.
    pub ifindex: Option<Ifindex>,
}

/// Looks an address up in the kernel's tables, as a packet of this host would.
///
/// # Errors
/// The request failed; "no route" and its like are answers.
pub async fn lookup(address: IpAddr) -> Result<KernelLookup, RequestError> {
    match address {
        IpAddr::V4(address) => ask::<Ipv4>(address).await,
        IpAddr::V6(address) => ask::<Ipv6>(address).await,
    }
}

async fn ask<F: NetlinkFamily>(address: F::Addr) -> Result<KernelLookup, RequestError> {
    let mut requester = Requester::open(Protocol::ROUTE).map_err(std::io::Error::other)?;
    let mut header: [u8; ROUTE_LEN] = fixed(F::AF);
    if let Some(length) = header.get_mut(1) {
        *length = F::BITS;
    }
    let request =
        Request::new(libc::RTM_GETROUTE, 0, &header).attribute(libc::RTA_DST, &F::bytes(address));
    match requester.get(&request, decode_lookup::<F>).await {
        Ok(Some(Found {
            kind,
            gateway,
            ifindex,
        })) => Ok(KernelLookup {
            kind: Some(kind),
            gateway: gateway.map(Into::into),
            ifindex,
        }),
        Ok(None) => Ok(without_hop(None)),
        Err(error) => refusal(error),
    }
}

/// The errors by which `ip_route_output_key_hash` says a route's type.
fn refusal(error: RequestError) -> Result<KernelLookup, RequestError> {
    match error.errno() {
        Some(libc::ENETUNREACH) => Ok(without_hop(None)),
        Some(libc::EHOSTUNREACH) => Ok(without_hop(Some(RouteType::Unreachable))),
        Some(libc::EACCES) => Ok(without_hop(Some(RouteType::Prohibit))),
        Some(libc::EINVAL) => Ok(without_hop(Some(RouteType::Blackhole))),
        _ => Err(error),
    }
}

fn without_hop(kind: Option<RouteType>) -> KernelLookup {
    KernelLookup {
        kind,
        gateway: None,
        ifindex: None,
    }
}
