//! The clean stop: SIGTERM, and a look at what is left.

use std::process::Command;

use anyhow::Context as _;

use super::topology::{Routers, Topology};
use crate::console::Console;
use crate::lab::{Namespace, Router};

/// The protocol number of the daemon's routes in the kernel.
const PROTOCOL: u32 = 210;

/// Stops the routers one after the other; returns what should not be there.
pub(super) fn stop(
    topology: &Topology,
    routers: &Routers,
    console: &Console,
) -> anyhow::Result<Vec<String>> {
    let mut left = Vec::new();
    for router in routers.all() {
        let status = router.stop()?;
        if !status.success() {
            let name = router.namespace().name();
            left.push(format!("forwarder on {name} ended with {status}"));
        }
        left.extend(socket_left(router));
    }
    for (namespace, _) in topology.router_ports() {
        left.extend(routes_left(namespace)?);
        left.extend(programs_left(namespace)?);
    }
    if left.is_empty() {
        console.detail("no routes, no XDP programs, no sockets left");
    }
    Ok(left)
}

fn socket_left(router: &Router) -> Option<String> {
    let socket = router.run_dir().join("api.sock");
    socket
        .exists()
        .then(|| format!("{} is still there", socket.display()))
}

fn routes_left(namespace: &Namespace) -> anyhow::Result<Option<String>> {
    let routes = namespace.run(&format!("ip route show table all proto {PROTOCOL}"))?;
    let name = namespace.name();
    Ok((!routes.trim().is_empty()).then(|| format!("routes are left on {name}: {routes}")))
}

fn programs_left(namespace: &Namespace) -> anyhow::Result<Option<String>> {
    let links = namespace.ip_json("link show")?;
    let links = links.as_array().context("`ip -json link` is no array")?;
    let attached: Vec<_> = links
        .iter()
        .filter(|link| link.get("xdp").is_some())
        .filter_map(|link| link["ifname"].as_str())
        .collect();
    let name = namespace.name();
    Ok((!attached.is_empty())
        .then(|| format!("XDP programs are left on {name}: {}", attached.join(", "))))
}

/// After the labs have gone: namespaces of this process that have not.
pub(super) fn leftovers() -> Option<String> {
    let output = Command::new("ip").args(["netns", "list"]).output().ok()?;
    let list = String::from_utf8_lossy(&output.stdout).into_owned();
    let mine = format!("-{}-", std::process::id());
    let left: Vec<_> = list
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| name.starts_with("fw-demo") && name.contains(&mine))
        .collect();
    (!left.is_empty()).then(|| format!("namespaces are left: {}", left.join(", ")))
}
