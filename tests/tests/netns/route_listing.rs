//! `forwarder route -n` beside Debian's `route -n` and `/proc/net/route`: the
//! fast path's table and the kernel's, in the same words.

use std::net::Ipv4Addr;

use anyhow::{Context as _, ensure};
use forwarder_tests::lab::{self, Lab, Namespace, Router, end};

use crate::NATIVE;

const STATICS: &str = r#"
[rip]
interfaces = ["eth*"]

[[static]]
prefix = "203.0.113.0/24"
via = ["192.0.2.254"]

[[static]]
prefix = "203.0.113.7/32"
via = ["192.0.2.253"]

[[static]]
prefix = "10.1.0.0/16"
type = "unreachable"

[[static]]
prefix = "172.19.0.1/32"
type = "prohibit"

[[static]]
prefix = "10.3.0.0/16"
type = "blackhole"

[[static]]
prefix = "10.4.0.0/16"
via = ["192.0.2.253", "192.0.2.254"]

[[static]]
prefix = "2001:db8:5::/48"
via = ["2001:db8::fe"]

[[static]]
prefix = "2001:db8:7::/48"
type = "blackhole"
"#;

/// Routes of others: one of each kind.
const FOREIGN: [&str; 11] = [
    "ip route add default via 192.0.2.254",
    "ip route add 10.4.0.0/24 via 192.0.2.253 metric 50",
    "ip route add 10.5.0.0/16 dev eth0",
    "ip route add 10.5.0.9 dev eth0",
    "ip route add 10.6.0.0/16 nexthop via 192.0.2.254 nexthop via 192.0.2.252",
    "ip route add prohibit 10.7.0.0/16",
    "ip route add throw 10.8.0.0/16",
    "ip -6 route add 2001:db8:6::/48 via 2001:db8::fd metric 70",
    "ip -6 route add 2001:db8:6:6::/64 nexthop via 2001:db8::fd nexthop via 2001:db8::fc",
    "ip -6 route add unreachable 2001:db8:8::/48",
    "ip -6 route add default via 2001:db8::fe",
];

/// r1 with a neighbour that tells a route by RIP.
fn ready(lab: &Lab) -> anyhow::Result<(Namespace, Router)> {
    let (r1, r2) = (lab.router_namespace("r1")?, lab.router_namespace("r2")?);
    for namespace in [&r1, &r2] {
        for scope in ["all", "default"] {
            namespace.sysctl(&format!("net/ipv6/conf/{scope}/disable_ipv6"), "0")?;
            namespace.sysctl(&format!("net/ipv6/conf/{scope}/accept_dad"), "0")?;
        }
    }
    r1.sysctl("net/ipv6/conf/all/forwarding", "1")?;
    lab.link(
        end(&r2, "eth0").address("192.0.2.254/24"),
        end(&r1, "eth0").address("192.0.2.1/24"),
    )?;
    r1.run("ip -6 addr add 2001:db8::1/64 dev eth0 nodad")?;
    for line in [
        "ip link add stub0 type veth peer name stub1",
        "ip addr add 198.51.100.1/24 dev stub0",
        "ip link set stub1 up",
        "ip link set stub0 up",
    ] {
        r2.run(line)?;
    }
    let config =
        format!("{NATIVE}[rip]\ninterfaces = [\"eth*\"]\nredistribute = [\"connected\"]\n");
    let _neighbour = lab.start_router(&r2, &config)?;
    let router = lab.start_router(&r1, &format!("{NATIVE}{STATICS}"))?;
    for line in FOREIGN {
        r1.run(line)?;
    }
    router.wait_route("198.51.100.0/24", "rip")?;
    for prefix in ["10.8.0.0/16", "2001:db8:8::/48", "::/0"] {
        router.wait_route(prefix, "kernel-boot")?;
    }
    router.wait_until_settled()?;
    Ok((r1, router))
}

fn ours(router: &Router, options: &str) -> anyhow::Result<String> {
    let output = router.cli(&format!("route {options}"))?;
    ensure!(output.status.success(), "route {options}: {output:?}");
    Ok(String::from_utf8(output.stdout)?)
}

/// A row of `/proc/net/route` as `route -n` shows it.
fn proc_row(line: &str) -> anyhow::Result<String> {
    let columns: Vec<&str> = line.split_whitespace().collect();
    let number = |index: usize| u32::from_str_radix(columns[index], 16);
    // As they are in memory, printed as one number of this machine's.
    let address = |index| anyhow::Ok(Ipv4Addr::from(number(index)?.to_ne_bytes()));
    let flags = number(3)?;
    let (destination, gateway, mask) = (address(1)?, address(2)?, address(7)?);
    let host = if flags & 0x4 != 0 { "H" } else { "" };
    let metric = columns[6];
    Ok(if flags & 0x200 != 0 {
        format!("{destination} - {mask} !{host} {metric} - 0 -")
    } else {
        let through = if flags & 0x2 != 0 { "G" } else { "" };
        let dev = columns[0];
        format!("{destination} {gateway} {mask} U{through}{host} {metric} 0 0 {dev}")
    })
}

fn squeezed(text: &str) -> Vec<String> {
    let rows = text.lines().skip(2);
    rows.map(|row| row.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect()
}

#[test]
fn the_fast_paths_table_is_listed_as_the_kernels() {
    lab::test("route-listing", |lab| {
        let (r1, router) = ready(lab)?;
        for options in ["-n", "-ne", "-nee", "-en", "-4 -n", "-A inet -n"] {
            let (kernels, ours) = (
                r1.run(&format!("route {options}"))?,
                ours(&router, options)?,
            );
            assert_eq!(ours, kernels, "route {options}");
        }
        let table = r1.read_proc("/proc/net/route")?;
        let rows: anyhow::Result<Vec<String>> = table.lines().skip(1).map(proc_row).collect();
        let rows = rows.context("/proc/net/route")?;
        assert_eq!(squeezed(&ours(&router, "-n")?), rows);
        // Each kind is there, or the test says nothing.
        assert!(rows.len() >= 14, "{rows:#?}");
        assert!(
            rows.iter()
                .any(|row| row.starts_with("198.51.100.0 192.0.2.254"))
        );
        Ok(())
    });
}

/// Rows without references and uses, which the fast path does not count; and
/// without what is no route of the fast path's: link-local and multicast
/// addresses and the loopback's own are always the kernel's, and an anycast
/// address is on no interface.
fn ipv6_rows(text: &str) -> Vec<String> {
    let is_ours = |row: &String| {
        let kernels = ["fe80::", "ff00::", "::1/128"];
        let anycast = row.contains("::/128 :: Un");
        !kernels.iter().any(|prefix| row.starts_with(prefix)) && !row.contains(" -1 ") && !anycast
    };
    let rows = squeezed(text).into_iter().filter(is_ours);
    rows.map(|row| {
        let mut columns: Vec<&str> = row.split(' ').collect();
        columns.drain(4..6);
        columns.join(" ")
    })
    .collect()
}

#[test]
fn the_ipv6_table_is_listed_as_the_kernels() {
    lab::test("route-listing6", |lab| {
        let (r1, router) = ready(lab)?;
        for options in ["-6 -n", "-6 -nee", "-A inet6 -n"] {
            let (kernels, ours) = (
                r1.run(&format!("route {options}"))?,
                ours(&router, options)?,
            );
            let head = |text: &str| text.lines().take(2).map(str::to_owned).collect::<Vec<_>>();
            assert_eq!(head(&ours), head(&kernels));
            assert_eq!(ipv6_rows(&ours), ipv6_rows(&kernels), "route {options}");
            assert!(ipv6_rows(&ours).len() >= 9, "{ours}");
        }
        Ok(())
    });
}
