//! From what the kernel tells of an interface to what the engine runs on.

use std::net::IpAddr;

use forwarder_core::interface::{Interface, InterfaceAddress};
use forwarder_core::net::{Family as _, Ipv4};
use forwarder_core::rip::{Address, InterfaceConfig, InterfaceSetup};
use ipnet::IpNet;

/// The engine's view of an interface; `None` where it has no IPv4 address or
/// carries no frames.
pub(super) fn setup(
    interface: &Interface,
    config: InterfaceConfig<Ipv4>,
) -> Option<InterfaceSetup<Ipv4>> {
    let mut primary_first: Vec<_> = interface.addresses.iter().collect();
    primary_first.sort_by_key(|address| address.secondary);
    let addresses: Vec<_> = primary_first.into_iter().filter_map(address).collect();
    if !interface.is_running() || addresses.is_empty() {
        return None;
    }
    let passive = config.passive || !hears_group(interface);
    Some(InterfaceSetup {
        ifindex: interface.ifindex,
        name: interface.name.clone(),
        mtu: interface.mtu,
        addresses,
        config: InterfaceConfig { passive, ..config },
    })
}

/// Whether the link carries multicast to other routers.
pub(super) fn hears_group(interface: &Interface) -> bool {
    interface.multicast && !interface.loopback
}

/// On a point-to-point link the other end is what is reached, not the subnet of
/// our own address.
fn address(address: &InterfaceAddress) -> Option<Address<Ipv4>> {
    let IpNet::V4(local) = address.local else {
        return None;
    };
    let reached = match address.peer {
        Some(IpAddr::V4(peer)) => peer,
        _ => local.addr(),
    };
    let subnet = Ipv4::prefix(reached, local.prefix_len())?;
    Some(Address {
        local: local.addr(),
        subnet,
    })
}
