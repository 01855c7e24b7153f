//! Names of hosts and networks: /etc/hosts and /etc/networks, as route(8) has
//! them before it asks anybody else. Nobody else is asked: a router whose routes
//! are being mended may have no name server.

use std::collections::HashMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};

/// The files, read.
#[derive(Debug, Default)]
pub(super) struct Names {
    hosts: HashMap<String, IpAddr>,
    host_names: HashMap<IpAddr, String>,
    networks: HashMap<String, Ipv4Addr>,
    network_names: HashMap<Ipv4Addr, String>,
}

impl Names {
    /// Of this machine; a file that is not there has no names.
    pub(super) fn read() -> Names {
        let text = |path| fs::read_to_string(path).unwrap_or_default();
        Names::parse(&text("/etc/hosts"), &text("/etc/networks"))
    }

    /// Of the texts of these files.
    pub(super) fn parse(hosts: &str, networks: &str) -> Names {
        let mut names = Names::default();
        for words in lines(hosts) {
            let [address, rest @ ..] = words.as_slice() else {
                continue;
            };
            let Ok(address) = address.parse::<IpAddr>() else {
                continue;
            };
            for name in rest {
                names.hosts.entry((*name).to_owned()).or_insert(address);
            }
            if let Some(name) = rest.first() {
                let first = names.host_names.entry(address);
                first.or_insert_with(|| (*name).to_owned());
            }
        }
        for words in lines(networks) {
            let [name, number, aliases @ ..] = words.as_slice() else {
                continue;
            };
            let Some(network) = network_number(number) else {
                continue;
            };
            for name in std::iter::once(name).chain(aliases) {
                names.networks.entry((*name).to_owned()).or_insert(network);
            }
            let first = names.network_names.entry(network);
            first.or_insert_with(|| (*name).to_owned());
        }
        names
    }

    /// The host of this name.
    pub(super) fn host(&self, name: &str) -> Option<IpAddr> {
        self.hosts.get(name).copied()
    }

    /// The network of this name.
    pub(super) fn network(&self, name: &str) -> Option<Ipv4Addr> {
        self.networks.get(name).copied()
    }

    /// The name of a host.
    pub(super) fn of_host(&self, address: IpAddr) -> Option<&str> {
        self.host_names.get(&address).map(String::as_str)
    }

    /// The name of a network.
    pub(super) fn of_network(&self, address: IpAddr) -> Option<&str> {
        match address {
            IpAddr::V4(address) => self.network_names.get(&address).map(String::as_str),
            IpAddr::V6(_) => None,
        }
    }
}

fn lines(text: &str) -> impl Iterator<Item = Vec<&str>> {
    text.lines().map(|line| {
        let line = line.split('#').next().unwrap_or_default();
        line.split_whitespace().collect()
    })
}

/// `10`, `128.32`, `192.0.2`: what is not said is zero (networks(5)).
fn network_number(text: &str) -> Option<Ipv4Addr> {
    let mut octets = [0; 4];
    let parts: Vec<&str> = text.split('.').collect();
    if parts.len() > 4 {
        return None;
    }
    for (octet, part) in octets.iter_mut().zip(&parts) {
        *octet = part.parse().ok()?;
    }
    Some(octets.into())
}
