//! `route -n`: what net-tools' route prints, of the fast path's own table.

use std::cmp::Reverse;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::names::Names;
use crate::api::model::FibRoute;

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
    pub(super) fn ipv4(&self, routes: &[FibRoute]) -> String {
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
        // The router's own addresses are in another table of the kernel's.
        let is_listed = |route: &&FibRoute| route.kind != "local";
        let mut rows: Vec<&FibRoute> = routes.iter().filter(is_listed).collect();
        // The kernel's order: by address, the longer of equal ones first.
        rows.sort_by_key(|route| {
            let net = route.destination;
            (net.network(), Reverse(net.prefix_len()))
        });
        for route in rows {
            self.row4(&mut text, route);
        }
        text
    }

    fn row4(&self, text: &mut String, route: &FibRoute) {
        let net = route.destination;
        let destination = cut(&self.name4(net.network(), net));
        let genmask = net.netmask().to_string();
        let hop = route.ways.first();
        let gateway = hop.and_then(|hop| hop.via);
        let metric = route.metric;
        let host = net.prefix_len() == 32;
        if route.kind == "unreachable" {
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
        // What is dropped in silence, or is the kernel's to route, has none.
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

    /// The IPv6 routes of a table: a row for each way. It has one form only, and
    /// the router's own addresses in it, last.
    pub(super) fn ipv6(&self, routes: &[FibRoute]) -> String {
        let mut text = String::from(
            "Kernel IPv6 routing table\n\
             Destination                    Next Hop                   Flag Met Ref  Use If\n",
        );
        // The kernel walks its tree from the leaves: the more specific come first.
        let mut rows: Vec<&FibRoute> = routes.iter().collect();
        rows.sort_by_key(|route| {
            let net = route.destination;
            let last = net.broadcast();
            (route.kind == "local", last, Reverse(net.prefix_len()))
        });
        for route in rows {
            self.rows6(&mut text, route);
        }
        text
    }

    fn rows6(&self, text: &mut String, route: &FibRoute) {
        let net = route.destination;
        let destination = format!("{}/{}", self.name6(net.addr()), net.prefix_len());
        // It is printed as `%d`.
        let metric = route.metric.cast_signed();
        let mut row = |via: Option<IpAddr>, flags: &str, dev: &str| {
            let via = self.name6(via.unwrap_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED)));
            let _ = writeln!(
                text,
                "{destination:<30} {via:<26} {flags:<4} {metric:<3} {:<1} {:>6} {dev}",
                1, 0
            );
        };
        let (with, without) = match route.kind.as_str() {
            "unicast" => ("UG", "U"),
            "local" => ("Un", "Un"),
            // The kernel has all that drops on the loopback.
            _ => return row(None, "!n", "lo"),
        };
        for way in &route.ways {
            let flags = if way.via.is_some() { with } else { without };
            row(way.via, flags, way.dev.as_deref().unwrap_or("*"));
        }
    }

    fn name6(&self, address: IpAddr) -> String {
        match self.names {
            Some(_) if address.is_unspecified() => "[::]".to_owned(),
            Some(names) => names
                .of_host(address)
                .map_or_else(|| address.to_string(), str::to_owned),
            None => address.to_string(),
        }
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
            // net-tools 2.10 has no `*` any more.
            Some(_) if address.is_unspecified() => address.to_string(),
            None => address.to_string(),
            Some(names) => names
                .of_host(address)
                .map_or_else(|| address.to_string(), str::to_owned),
        }
    }
}

fn cut(name: &str) -> String {
    name.chars().take(15).collect()
}
