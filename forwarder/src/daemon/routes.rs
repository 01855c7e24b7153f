//! `show routes`: the RIB's entries and where they have arrived, put together.

use std::sync::Arc;

use forwarder_core::interface::Interfaces;
use forwarder_core::net::{Family, Ifindex, TableId};
use forwarder_core::rib::{EntryView, OfferView, Reason};
use forwarder_core::route::{Candidate, Nexthop, RouteType, Source, protocol_name};
use ipnet::IpNet;
use tokio::sync::mpsc;

use super::backend::ask;
use crate::api::backend::Reply;
use crate::api::model::{Installed, Route, RouteNexthop};
use crate::dataplane::query::{Arrival, Query};

/// Prefixes asked for at once: less than a millisecond of the dataplane's time.
const CHUNK: usize = 1024;

/// The shown routes of some entries.
pub(super) async fn show<F: Family>(
    dataplane: &mpsc::Sender<Query>,
    interfaces: &Arc<Interfaces>,
    export_metric: Option<u32>,
    entries: &[EntryView<F>],
) -> Reply<Vec<Route>> {
    let mut routes = Vec::new();
    for chunk in entries.chunks(CHUNK) {
        let prefixes: Vec<IpNet> = chunk.iter().map(|entry| entry.prefix.into()).collect();
        let arrivals = ask(dataplane, |reply| Query::Installed(prefixes, reply)).await?;
        for (entry, arrival) in chunk.iter().zip(&arrivals) {
            routes.extend(
                entry
                    .offers
                    .iter()
                    .map(|offer| shown(interfaces, export_metric, entry, offer, arrival)),
            );
        }
    }
    Ok(routes)
}

fn shown<F: Family>(
    interfaces: &Interfaces,
    export_metric: Option<u32>,
    entry: &EntryView<F>,
    offer: &OfferView<F>,
    arrival: &Arrival,
) -> Route {
    let candidate = &offer.candidate;
    let selected = offer.reason == Reason::Selected;
    let main = entry.table == TableId::MAIN;
    let not_installed = arrival.refusal.as_ref().filter(|_| selected && main);
    let installed = Installed {
        // What the kernel holds of others is there, whoever wins.
        kernel: !candidate.source.is_ours() || (selected && main && arrival.installed.kernel),
        xdp: selected && (!main || arrival.installed.xdp),
    };
    Route {
        table: entry.table.to_string(),
        prefix: entry.prefix.into(),
        selected,
        source: candidate.source.to_string(),
        owner: owner(candidate),
        distance: candidate.distance.0,
        metric: candidate.metric,
        kernel_metric: candidate
            .kernel_metric
            .or(export_metric.filter(|_| main && candidate.source.is_ours())),
        tag: candidate.tag,
        age: (crate::clock::now() - offer.changed).as_secs(),
        flags: flags(interfaces, offer),
        reason: not_installed.map_or_else(
            || offer.reason.name().to_owned(),
            |why| format!("not in kernel: {why}"),
        ),
        nexthops: offer
            .nexthops
            .iter()
            .map(|(hop, resolved)| nexthop(interfaces, hop, resolved.as_ref().ok().copied()))
            .collect(),
        installed,
    }
}

fn nexthop<F: Family>(
    interfaces: &Interfaces,
    hop: &Nexthop<F>,
    resolved: Option<Ifindex>,
) -> RouteNexthop {
    RouteNexthop {
        via: hop.gateway.map(Into::into),
        dev: resolved
            .or(hop.ifindex)
            .map(|ifindex| interfaces.name(ifindex)),
        weight: hop.weight,
        resolved: resolved.is_some(),
    }
}

/// Whose it is: of a client's route the name that the client has registered.
fn owner<F: Family>(candidate: &Candidate<F>) -> String {
    match candidate.source {
        Source::Connected => "kernel".into(),
        Source::Static | Source::Rip | Source::Redirect => "forwarder".into(),
        Source::Socket => {
            let attributes = candidate.attributes.as_deref();
            let name = attributes.and_then(|attributes| attributes.owner.as_deref());
            name.unwrap_or("client").into()
        }
        Source::Kernel(protocol) => {
            protocol_name(protocol).map_or_else(|| protocol.to_string(), str::to_owned)
        }
    }
}

fn flags<F: Family>(interfaces: &Interfaces, offer: &OfferView<F>) -> Vec<String> {
    let mut flags = Vec::new();
    if offer.candidate.kind != RouteType::Unicast {
        flags.push(offer.candidate.kind.name().to_owned());
    }
    if offer.nexthops.iter().any(|(hop, _)| hop.onlink) {
        flags.push("onlink".to_owned());
    }
    let down = |hop: &Nexthop<F>| {
        let interface = hop.ifindex.and_then(|ifindex| interfaces.get(ifindex));
        interface.is_some_and(|interface| !interface.carrier)
    };
    if offer.nexthops.iter().any(|(hop, _)| down(hop)) {
        flags.push("linkdown".to_owned());
    }
    flags
}
