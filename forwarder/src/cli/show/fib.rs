//! `show fib`.

use super::super::table::{Table, bytes, grouped};
use crate::api::model::Fib;

pub(super) fn render(fib: &Fib) -> String {
    let mut table = Table::new(["ENGINE", &fib.engine]);
    let rows = format!("{} of {}", grouped(fib.rows_used), grouped(fib.rows));
    let rows = (fib.rows > 0).then_some(("rows", rows));
    let lines = [
        ("prefixes", grouped(fib.prefixes)),
        ("host routes", grouped(fib.host_routes)),
        ("next hops", grouped(fib.nexthops)),
        ("adjacencies", grouped(fib.adjacencies)),
        ("own addresses", grouped(fib.own_addresses)),
        ("up for want of room", grouped(fib.overflow)),
        ("memory", bytes(fib.bytes)),
    ];
    for (name, value) in lines.into_iter().chain(rows) {
        table.row([name.to_owned(), value]);
    }
    table.render("")
}
