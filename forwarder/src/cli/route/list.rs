//! `route -n`: what net-tools' route prints, of the fast path's own table.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;

use super::names::Names;
use crate::api::model::Route;

/// Columns of `-e` and `-ee`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Format {
    /// Metric, Ref, Use.
    Plain,
    /// MSS, Window, irtt.
    Extended,
    /// All of them.
    Both,
}

/// How a listing is written.
#[derive(Clone, Copy)]
pub(super) struct Listing<'a> {
    pub(super) format: Format,
    /// `None` = `-n`.
    pub(super) names: Option<&'a Names>,
}

impl Listing<'_> {
    /// The IPv4 routes of a table.
    pub(super) fn ipv4(&self, routes: &[Route]) -> String {
        let heading = match self.format {
            Format::Plain => {
                "Destination     Gateway         Genmask         Flags Metric Ref    Use Iface"
            }
            Format::Extended => {
                "Destination     Gateway         Genmask         Flags   MSS Window  irtt Iface"
            }
            Format::Both => {
                "Destination     Gateway         Genmask         Flags Metric Ref    Use Iface    MSS   Window irtt"
            }
        };
        let mut text = format!("Kernel IP routing table\n{heading}\n");
        let mut rows: Vec<&Route> = routes
            .iter()
            .filter(|route| matches!(route.prefix, IpNet::V4(_)) && is_listed(route))
            .collect();
        // The kernel's order: by address, the longer of equal ones first.
        rows.sort_by_key(|route| {
            let length = route.prefix.prefix_len();
            (route.prefix.network(), u8::MAX - length)
        });
        for route in rows {
            self.row4(&mut text, route);
        }
        text
    }

    fn row4(&self, text: &mut String, route: &Route) {
        let destination = cut(&self.name4(route.prefix.network(), route.prefix));
        let genmask = route.prefix.netmask().to_string();
        let hop = route.nexthops.first();
        let gateway = hop.and_then(|hop| hop.via);
        let metric = route.kernel_metric.unwrap_or(0);
        let is = |kind: &str| route.flags.iter().any(|flag| flag == kind);
        let host = route.prefix.prefix_len() == 32;
        if is("unreachable") || is("prohibit") {
            let flags = if host { "!H" } else { "!" };
            let _ = match self.format {
                Format::Plain => writeln!(
                    text,
                    "{destination:<15} -               {genmask:<15} {flags:<5} {metric:<6} -  {:>7} -",
                    0
                ),
                Format::Extended => writeln!(
                    text,
                    "{destination:<15} -               {genmask:<15} {flags:<5}     - -          - -"
                ),
                Format::Both => writeln!(
                    text,
                    "{destination:<15} -               {genmask:<15} {flags:<5} {metric:<6} -  {:>7} -        -     -      -",
                    0
                ),
            };
            return;
        }
        let mut flags = String::from("U");
        if gateway.is_some() {
            flags.push('G');
        }
        if host {
            flags.push('H');
        }
        let via = gateway.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let via = cut(&self.gateway(via));
        let dev = hop.and_then(|hop| hop.dev.as_deref()).unwrap_or("*");
        let _ = match self.format {
            Format::Plain => writeln!(
                text,
                "{destination:<15} {via:<15} {genmask:<15} {flags:<5} {metric:<6} {:<2} {:>7} {dev}",
                0, 0
            ),
            Format::Extended => writeln!(
                text,
                "{destination:<15} {via:<15} {genmask:<15} {flags:<5} {:>5} {:<5} {:>6} {dev}",
                0, 0, 0
            ),
            Format::Both => writeln!(
                text,
                "{destination:<15} {via:<15} {genmask:<15} {flags:<5} {metric:<6} {:<3} {:>6} {dev:<6.6}   {:<5} {:<6} {}",
                0, 0, 0, 0, 0
            ),
        };
    }

    /// The IPv6 routes of a table: a row for each way.
    pub(super) fn ipv6(&self, routes: &[Route]) -> String {
        let mut text = String::from(
            "Kernel IPv6 routing table\n\
             Destination                    Next Hop                   Flag Met Ref  Use If\n",
        );
        let mut rows: Vec<&Route> = routes
            .iter()
            .filter(|route| matches!(route.prefix, IpNet::V6(_)) && is_listed(route))
            .collect();
        rows.sort_by_key(|route| (route.prefix.network(), route.prefix.prefix_len()));
        for route in rows {
            let destination = format!("{}/{}", route.prefix.network(), route.prefix.prefix_len());
            // What the kernel shows of a metric of 0 in IPv6.
            let metric = route.kernel_metric.unwrap_or(0);
            let is = |kind: &str| route.flags.iter().any(|flag| flag == kind);
            let host = route.prefix.prefix_len() == 128;
            if ["unreachable", "prohibit", "blackhole"].into_iter().any(is) {
                let flags = if host { "!Hn" } else { "!n" };
                let _ = writeln!(
                    text,
                    "{destination:<30} {:<26} {flags:<4} {metric:<3} {:<1} {:>6} lo",
                    "::", 1, 0
                );
                continue;
            }
            for hop in &route.nexthops {
                let mut flags = String::from("U");
                if hop.via.is_some() {
                    flags.push('G');
                }
                if host {
                    flags.push('H');
                }
                let via = hop
                    .via
                    .map_or_else(|| "::".to_owned(), |via| via.to_string());
                let dev = hop.dev.as_deref().unwrap_or("*");
                let _ = writeln!(
                    text,
                    "{destination:<30} {via:<26} {flags:<4} {metric:<3} {:<1} {:>6} {dev}",
                    1, 0
                );
            }
        }
        text
    }

    fn name4(&self, address: IpAddr, net: IpNet) -> String {
        let Some(names) = self.names else {
            return address.to_string();
        };
        if net.prefix_len() == 0 {
            return "default".into();
        }
        let name = if net.prefix_len() == 32 {
            names.of_host(address)
        } else {
            names.of_network(address)
        };
        name.map_or_else(|| address.to_string(), str::to_owned)
    }

    fn gateway(&self, address: IpAddr) -> String {
        match self.names {
            None => address.to_string(),
            Some(_) if address.is_unspecified() => "*".into(),
            Some(names) => names
                .of_host(address)
                .map_or_else(|| address.to_string(), str::to_owned),
        }
    }
}

/// What the fast path's table holds of table main, and forwards or drops by.
fn is_listed(route: &Route) -> bool {
    route.table == "main" && route.selected && route.installed.xdp
}

fn cut(name: &str) -> String {
    name.chars().take(15).collect()
}
