//! `show fib`.

use super::super::table::{Table, bytes, grouped};
use crate::api::model::Fib;

pub(super) fn render(fib: &Fib) -> String {
    let mut table = Table::new(["ENGINE", &fib.engine, ""]);
    let ipv6 = &fib.ipv6;
    let rows = |used: u64, all: u64| match all {
        0 => "none".to_owned(),
        all => format!("{} of {}", grouped(used), grouped(all)),
    };
    let both = |name: &str, v4: String, v6: String| [name.to_owned(), v4, v6];
    table.row(both("", "IPv4".into(), "IPv6".into()));
    let families = [
        ("prefixes", fib.prefixes, ipv6.prefixes),
        ("host routes", fib.host_routes, ipv6.host_routes),
        ("own addresses", fib.own_addresses, ipv6.own_addresses),
    ];
    for (name, v4, v6) in families {
        table.row(both(name, grouped(v4), grouped(v6)));
    }
    let rows6 = rows(ipv6.rows_used, ipv6.rows);
    table.row(both("rows", rows(fib.rows_used, fib.rows), rows6));
    for (name, count) in [
        ("next hops", grouped(fib.nexthops)),
        ("adjacencies", grouped(fib.adjacencies)),
        ("up for want of room", grouped(fib.overflow)),
        ("memory", bytes(fib.bytes)),
    ] {
        table.row(both(name, count, String::new()));
    }
    table.render("")
}
