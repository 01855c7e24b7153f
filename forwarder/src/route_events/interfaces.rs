//! Interfaces and addresses: `RTM_IFANNOUNCE`, `RTM_IFINFO`, `RTM_NEWADDR` and
//! `RTM_DELADDR`.
//!
//! The monitor publishes the interfaces before it hands the routes of the same
//! reading on, and the runtime has one thread and a queue: what is published
//! here is there when the RIB tells of those routes. An address that has gone is
//! told of when its routes have gone, too.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use forwarder_core::interface::Interfaces;
use forwarder_core::net::{Family, Ifindex, Ipv4, Ipv6, TableId};
use forwarder_core::rib::Generation;
use forwarder_core::rib::socket::state_of;
use forwarder_core::route::Source;
use forwarder_core::route_event::{RouteEvent, interface_events};
use forwarder_core::route_msg::IfAddr;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::Events;
use crate::rib_task::{Filter, RibHandle};

/// The kernel takes an address's routes away at once; one whose routes stay,
/// since somebody else has put them there, is told of after this.
const ROUTES_GONE: Duration = Duration::from_secs(1);

/// Follows the interfaces until cancelled.
pub async fn follow(
    events: Events,
    mut interfaces: watch::Receiver<Arc<Interfaces>>,
    ribs: (RibHandle<Ipv4>, RibHandle<Ipv6>),
    cancel: CancellationToken,
) {
    let mut known = interfaces.borrow_and_update().clone();
    loop {
        tokio::select! {
            () = cancel.cancelled() => return,
            changed = interfaces.changed() => if changed.is_err() { return },
        }
        let now = interfaces.borrow_and_update().clone();
        for event in interface_events(&known, &now) {
            match event {
                RouteEvent::IfAddr(address) if !address.added => {
                    tokio::spawn(gone(events.clone(), ribs.clone(), now.clone(), address));
                }
                event => events.publish(event),
            }
        }
        known = now;
    }
}

/// Tells of an address that has gone, after its routes.
async fn gone(
    events: Events,
    (ipv4, ipv6): (RibHandle<Ipv4>, RibHandle<Ipv6>),
    interfaces: Arc<Interfaces>,
    address: IfAddr,
) {
    let after = match address.address.addr() {
        IpAddr::V4(_) => state_of::<Ipv4>(routes_gone(ipv4, &interfaces, &address).await),
        IpAddr::V6(_) => state_of::<Ipv6>(routes_gone(ipv6, &interfaces, &address).await),
    };
    events.publish_after(RouteEvent::IfAddr(address), after);
}

/// Waits until the RIB has no route of the address any more; the state then.
async fn routes_gone<F: Family>(
    mut rib: RibHandle<F>,
    interfaces: &Interfaces,
    address: &IfAddr,
) -> Generation {
    let wait = async {
        loop {
            let at = *rib.generation.borrow_and_update();
            // An error is the daemon's end.
            if !has_routes(&rib, interfaces, address).await.unwrap_or(false) {
                return at.max(*rib.generation.borrow());
            }
            if rib.generation.changed().await.is_err() {
                return at;
            }
        }
    };
    let waited = tokio::time::timeout(ROUTES_GONE, wait).await;
    waited.unwrap_or_else(|_| *rib.generation.borrow())
}

async fn has_routes<F: Family>(
    rib: &RibHandle<F>,
    interfaces: &Interfaces,
    address: &IfAddr,
) -> anyhow::Result<bool> {
    let ifindex = Ifindex(u32::from(address.interface.ifindex));
    let (Some(own), Some(net)) = (
        F::from_ip(address.address.addr()),
        F::from_net(address.address),
    ) else {
        return Ok(false);
    };
    let local = rib.show(Filter::Exact(F::host(own))).await?;
    if local.iter().any(|entry| entry.table == TableId::LOCAL) {
        return Ok(true);
    }
    let shared = interfaces.get(ifindex).is_some_and(|interface| {
        let mut others = interface.addresses.iter();
        others.any(|other| F::from_net(other.local) == Some(net))
    });
    if shared {
        return Ok(false);
    }
    let connected = rib.show(Filter::Exact(net)).await?;
    Ok(connected
        .iter()
        .flat_map(|entry| &entry.offers)
        .any(|offer| {
            let candidate = &offer.candidate;
            let hop = candidate.nexthops.first();
            candidate.source == Source::Connected
                && hop.and_then(|hop| hop.ifindex) == Some(ifindex)
        }))
}
