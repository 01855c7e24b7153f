//! What RIP's and RIPng's engines answer, as the API and `rip-replay` show it.

use forwarder_core::net::{Family, Ifindex};
use forwarder_core::rip::{ErrorRow, NeighborRow, RouteOrigin, RouteRow, Scope, Wire};
use forwarder_core::time::Instant;

use crate::api::model::{RipError, RipErrorOccurrence, RipInterface, RipNeighbor, RipRoute};
use crate::rip_io::InterfaceStatus;

/// "rip" or "ripng".
fn protocol<F: Family>() -> String {
    match F::BITS {
        32 => "rip".into(),
        _ => "ripng".into(),
    }
}

pub(crate) fn interface<F: Wire>(status: InterfaceStatus<F>) -> RipInterface {
    let InterfaceStatus {
        row,
        receive_buffer,
        socket_drops,
        ..
    } = status;
    RipInterface {
        protocol: protocol::<F>(),
        name: row.name,
        ifindex: row.ifindex.0,
        passive: row.passive,
        version: row.version,
        send_version: row.send_version.name().into(),
        receive_version: row.receive_version.name().into(),
        cost: row.cost.get(),
        split_horizon: row.split_horizon.name().into(),
        auth: row.auth.map(|kind| kind.name().into()),
        next_update: row.next_update.map(|wait| wait.as_secs()),
        full_update_ms: row.full_update.as_millis() as u64,
        overcommitted: row.overcommitted,
        neighbors: row.neighbors as u32,
        received: row.received,
        sent: row.sent,
        socket_drops: u64::from(socket_drops),
        receive_buffer: receive_buffer as u64,
    }
}

pub(crate) fn neighbor<F: Wire>(row: NeighborRow<F>) -> RipNeighbor {
    let refused = row.refused.iter();
    RipNeighbor {
        address: row.address.into(),
        interface: row.interface,
        version: row.version,
        last_seen: row.last_seen.as_secs(),
        routes: row.routes as u64,
        bad_packets: row.bad_packets,
        bad_routes: row.bad_routes,
        refused: refused
            .map(|(reason, count)| (reason.name().into(), *count))
            .collect(),
        auth: row.proof.map(|proof| match proof.key {
            Some(key) => format!("{} key {key}", proof.kind.name()),
            None => proof.kind.name().into(),
        }),
    }
}

/// The names are those of interfaces.
pub(crate) fn error<F: Wire>(
    row: &ErrorRow<F>,
    now: Instant,
    name: impl Fn(Ifindex) -> String,
) -> RipError {
    RipError {
        protocol: protocol::<F>(),
        reason: row.reason.name().into(),
        scope: match row.reason.scope() {
            Scope::Packet => "packet".into(),
            Scope::Entry => "entry".into(),
        },
        count: row.count,
        last: row.last.map(|last| RipErrorOccurrence {
            age: (now - last.at).as_secs(),
            interface: name(last.ifindex),
            address: last.source.into(),
        }),
    }
}

/// Our own networks and redistributed routes have a row of their own; learnt
/// ones one for each offer.
pub(crate) fn routes<F: Wire>(
    row: &RouteRow<F>,
    name: impl Fn(Ifindex) -> String,
) -> Vec<RipRoute> {
    let own = |origin: &str| RipRoute {
        prefix: row.prefix.into(),
        origin: origin.into(),
        selected: row.metric.is_reachable(),
        metric: row.metric.get(),
        tag: row.tag,
        via: None,
        neighbor: None,
        interface: None,
        expires: row.forgotten_in.map(|left| left.as_secs()),
        settles: None,
    };
    let mut rows = match row.origin {
        RouteOrigin::Connected => vec![own("interface")],
        RouteOrigin::Redistributed => vec![own("redistributed")],
        RouteOrigin::Garbage => vec![own("learnt")],
        RouteOrigin::Learnt => Vec::new(),
    };
    let settles = row.settles_in.map(|left| left.as_secs());
    rows.extend(row.offers.iter().map(|offer| RipRoute {
        prefix: row.prefix.into(),
        origin: "learnt".into(),
        selected: offer.used && row.origin == RouteOrigin::Learnt,
        metric: offer.metric.get(),
        tag: offer.tag,
        via: Some(offer.via.into()),
        neighbor: Some(offer.neighbor.address.into()),
        interface: Some(name(offer.neighbor.ifindex)),
        expires: None,
        settles: settles.filter(|_| offer.best),
    }));
    rows
}
