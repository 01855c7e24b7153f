//! `show nexthops`.

use super::super::table::{Table, grouped, or_dash};
use crate::api::model::Nexthop;

pub(super) fn render(nexthops: &[Nexthop]) -> String {
    let mut nexthops: Vec<&Nexthop> = nexthops.iter().collect();
    nexthops.sort_by_key(|nexthop| nexthop.id);
    let mut table = Table::new([
        ">ID",
        "DOES",
        "VIA",
        "DEV",
        "MAC",
        ">MTU",
        ">ADJACENCY",
        ">PREFIXES",
    ]);
    for nexthop in nexthops {
        let does = match (&nexthop.reason, nexthop.group) {
            (Some(reason), _) => format!("{} ({reason})", nexthop.kind),
            (None, Some(group)) => format!("{} (group {group})", nexthop.kind),
            (None, None) => nexthop.kind.clone(),
        };
        table.row([
            nexthop.id.to_string(),
            does,
            or_dash(nexthop.via),
            or_dash(nexthop.dev.as_deref()),
            or_dash(nexthop.mac.as_deref()),
            or_dash(nexthop.mtu),
            or_dash(nexthop.adjacency),
            grouped(nexthop.prefixes),
        ]);
    }
    table.render("no next hops")
}
