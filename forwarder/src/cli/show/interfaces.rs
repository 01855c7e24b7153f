//! `show interfaces`.

use super::super::table::{Table, or_dash, yes_no};
use crate::api::model::{Interface, Mode};

pub(super) fn render(interfaces: &[Interface]) -> String {
    let mut table = Table::new([
        "NAME",
        ">IFINDEX",
        "MODE",
        "STATE",
        ">MTU",
        "MAC",
        "ADDRESSES",
        "REDIRECT",
        "REMARK",
    ]);
    for interface in interfaces {
        table.row([
            interface.name.clone(),
            interface.ifindex.to_string(),
            mode(interface),
            state(interface).to_owned(),
            interface.mtu.to_string(),
            or_dash(interface.mac.as_deref()),
            interface.addresses.join(" "),
            yes_no(interface.can_redirect),
            remark(interface),
        ]);
    }
    table.render("no interfaces")
}

fn mode(interface: &Interface) -> String {
    match (&interface.program, interface.mode) {
        (_, Mode::None) => "-".to_owned(),
        (Some(program), mode) => format!("{} {program}", mode.name()),
        (None, mode) => mode.name().to_owned(),
    }
}

fn state(interface: &Interface) -> &'static str {
    match (interface.up, interface.carrier) {
        (false, _) => "down",
        (true, false) => "no carrier",
        (true, true) => "up",
    }
}

fn remark(interface: &Interface) -> String {
    let mut remarks = Vec::new();
    if let Some(reason) = &interface.hands_up {
        remarks.push(format!("everything goes up: {reason}"));
    }
    remarks.extend(interface.reason.clone());
    remarks.join("; ")
}
