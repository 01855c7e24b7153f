//! From what the kernel tells of an interface to what the engine runs on.

use forwarder_core::interface::{Interface, InterfaceAddress};
use forwarder_core::net::Family;
use forwarder_core::rip::{Address, InterfaceConfig, InterfaceSetup, SendVersion};

/// The engine's view of an interface; `None` where it has no address of the family or
/// carries no frames.
pub(super) fn setup<F: Family>(
    interface: &Interface,
    config: InterfaceConfig<F>,
) -> Option<InterfaceSetup<F>> {
    let usable = interface
        .addresses
        .iter()
        .filter(|address| !address.tentative);
    let mut primary_first: Vec<_> = usable.collect();
    primary_first.sort_by_key(|address| address.secondary);
    let addresses: Vec<_> = primary_first.into_iter().filter_map(address::<F>).collect();
    if !interface.is_running() || addresses.is_empty() {
        return None;
    }
    let passive = config.passive || !carries(interface, config.send_version);
    Some(InterfaceSetup {
        ifindex: interface.ifindex,
        name: interface.name.clone(),
        mtu: interface.mtu,
        addresses,
        config: InterfaceConfig { passive, ..config },
    })
}

/// Whether updates reach other routers on the link without their addresses.
fn carries(interface: &Interface, version: SendVersion) -> bool {
    if version.is_broadcast() {
        (interface.broadcast || interface.point_to_point) && !interface.loopback
    } else {
        hears_group(interface)
    }
}

/// Whether the link carries multicast to other routers.
pub(super) fn hears_group(interface: &Interface) -> bool {
    interface.multicast && !interface.loopback
}

/// On a point-to-point link the other end is what is reached, not the subnet of
/// our own address.
fn address<F: Family>(address: &InterfaceAddress) -> Option<Address<F>> {
    let local = F::from_ip(address.local.addr())?;
    let reached = address.peer.and_then(F::from_ip).unwrap_or(local);
    let subnet = F::prefix(reached, address.local.prefix_len())?;
    Some(Address { local, subnet })
}
