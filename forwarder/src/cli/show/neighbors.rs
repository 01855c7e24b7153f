//! `show neighbors`.

use super::super::table::{Table, age, or_dash, yes_no};
use crate::api::model::Neighbor;

pub(super) fn render(neighbors: &[Neighbor]) -> String {
    let mut table = Table::new([
        "ADDRESS",
        "INTERFACE",
        "MAC",
        "STATE",
        "KEPT",
        ">ADJACENCY",
        ">IDLE",
    ]);
    for neighbor in neighbors {
        table.row([
            neighbor.address.to_string(),
            neighbor.interface.clone(),
            or_dash(neighbor.mac.as_deref()),
            neighbor.state.clone(),
            yes_no(neighbor.managed),
            or_dash(neighbor.adjacency),
            or_dash(neighbor.idle.map(age)),
        ]);
    }
    table.render("no neighbors")
}
