//! The fast path's routes one by one, for `forwarder route -n`: what is
//! programmed, page by page, so that a full table does not keep the task from
//! its changes.

use std::net::IpAddr;

use forwarder_common::reason::Reason;
use forwarder_core::fib::{FibEntry, Target};
use forwarder_core::net::{Family as _, Ipv4, Ipv6, TableId};
use forwarder_core::route::Route;
use ipnet::IpNet;

use super::programmer::{ProgrammedFamily, Programmer};
use super::task::DataplaneTask;
use crate::api::model::{FibRoute, FibWay};

/// Routes of a page: some milliseconds of the task's time.
const PAGE: usize = 4096;

/// Which routes are asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Page {
    /// IPv6's, else IPv4's.
    pub ipv6: bool,
    /// Those behind this one, in address order; `None` = from the first on.
    pub after: Option<IpNet>,
}

impl Page {
    /// Where a listing begins.
    pub fn first(ipv6: bool) -> Page {
        Page { ipv6, after: None }
    }
}

impl DataplaneTask {
    /// The routes of a page; none = there are no more.
    pub(super) fn fib_routes(&self, page: Page) -> Vec<FibRoute> {
        if page.ipv6 {
            let after = page.after.and_then(Ipv6::from_net);
            self.page_of::<Ipv6>(&self.programmer6, after)
        } else {
            let after = page.after.and_then(Ipv4::from_net);
            self.page_of::<Ipv4>(&self.programmer4, after)
        }
    }

    fn page_of<F: ProgrammedFamily>(
        &self,
        programmer: &Programmer<F>,
        after: Option<F::Prefix>,
    ) -> Vec<FibRoute> {
        let fib = &self.plane.side::<F>().fib;
        fib.routes_after(after)
            .take(PAGE)
            .map(|entry| {
                let local = fib.is_local(entry.prefix);
                let table = if local { TableId::LOCAL } else { TableId::MAIN };
                self.fib_route(&entry, programmer.selected(table, entry.prefix))
            })
            .collect()
    }

    /// `route` is what the entry was made from: it knows the metric, and the
    /// order of the ways.
    fn fib_route<F: ProgrammedFamily>(
        &self,
        entry: &FibEntry<F>,
        route: Option<&Route<F>>,
    ) -> FibRoute {
        let metric = match route {
            Some(route) if route.source.is_ours() => self.config.kernel.metric,
            Some(route) => route.kernel_metric.unwrap_or(0),
            None => 0,
        };
        FibRoute {
            destination: entry.prefix.into(),
            kind: kind(&entry.target).to_owned(),
            ways: self.fib_ways(entry, route),
            metric,
        }
    }

    fn fib_ways<F: ProgrammedFamily>(
        &self,
        entry: &FibEntry<F>,
        route: Option<&Route<F>>,
    ) -> Vec<FibWay> {
        let host = (F::len(&entry.prefix) == F::BITS).then(|| F::network(&entry.prefix));
        let way = |target: &Target<F>| {
            let gateway = match target {
                // A host that is on the link is its own next hop.
                Target::Via { gateway, .. } if Some(*gateway) != host => Some(*gateway),
                _ => None,
            };
            let dev = target.ifindex()?;
            Some(FibWay {
                via: gateway.map(Into::into),
                dev: Some(self.plane.interfaces.name(dev)),
            })
        };
        let fib = &self.plane.side::<F>().fib;
        match &entry.target {
            Target::Fixed(Reason::ForUs | Reason::NotUnicast) => self.own_ways(route),
            Target::Fixed(_) => Vec::new(),
            Target::Group(_) => {
                let ways = fib.ways(&entry.target);
                let mut ways: Vec<FibWay> = ways.iter().filter_map(|(to, _)| way(to)).collect();
                ways.sort_by_key(|way| given(route, way.via));
                ways
            }
            one => way(one).into_iter().collect(),
        }
    }

    /// The interfaces of an address of this router.
    fn own_ways<F: ProgrammedFamily>(&self, route: Option<&Route<F>>) -> Vec<FibWay> {
        let nexthops = route.map_or(&[][..], |route| &route.nexthops);
        nexthops
            .iter()
            .filter_map(|nexthop| nexthop.ifindex)
            .map(|ifindex| FibWay {
                via: None,
                dev: Some(self.plane.interfaces.name(ifindex)),
            })
            .collect()
    }
}

/// Which of the route's next hops that is.
fn given<F: ProgrammedFamily>(route: Option<&Route<F>>, via: Option<IpAddr>) -> usize {
    let nexthops = route.map_or(&[][..], |route| &route.nexthops);
    let is_it =
        |nexthop: &forwarder_core::route::Nexthop<F>| nexthop.gateway.map(Into::into) == via;
    nexthops.iter().position(is_it).unwrap_or(usize::MAX)
}

fn kind<F: ProgrammedFamily>(target: &Target<F>) -> &'static str {
    match target {
        Target::Fixed(Reason::ForUs | Reason::NotUnicast) => "local",
        Target::Fixed(Reason::Blackhole) => "blackhole",
        Target::Fixed(Reason::Unreachable) => "unreachable",
        Target::Fixed(_) => "kernel",
        Target::Glean { .. } | Target::Via { .. } | Target::Group(_) => "unicast",
    }
}
