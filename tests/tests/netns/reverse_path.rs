//! The reverse-path check with real traffic: what the kernel's `rp_filter` says
//! is done, also when it changes, unless the configuration says otherwise.

use anyhow::ensure;
use forwarder_tests::lab::{self, Lab, Namespace, Router, SHORT, Star, end, wait_for};

use crate::NATIVE;

/// An address of c's network that a has taken.
const FORGED: &str = "10.0.3.77";
/// An address that the router has no route to.
const NOWHERE: &str = "198.51.100.9";

fn start(lab: &Lab, config: &str) -> anyhow::Result<(Star, Router)> {
    let star = Star::new(lab)?;
    for interface in ["all", "default", "eth0", "eth1", "eth2"] {
        rp_filter(&star.r1, interface, 0)?;
    }
    for address in [FORGED, NOWHERE] {
        star.a.run(&format!("ip addr add {address}/32 dev lo"))?;
    }
    let router = lab.start_router(&star.r1, config)?;
    star.warm_up(&router)?;
    Ok((star, router))
}

fn rp_filter(namespace: &Namespace, interface: &str, value: u32) -> anyhow::Result<()> {
    let key = format!("net/ipv4/conf/{interface}/rp_filter");
    namespace.sysctl(&key, &value.to_string())
}

/// Waits until `show interfaces` says so of eth0.
fn wait_check(router: &Router, ipv4: &str, ipv6: &str) -> anyhow::Result<()> {
    wait_for(SHORT, &format!("eth0 to check {ipv4}, {ipv6}"), || {
        let interfaces = router.show("interfaces")?;
        let ports = interfaces.as_array().map_or(&[][..], Vec::as_slice);
        let eth0 = ports.iter().find(|port| port["name"] == "eth0");
        let found = eth0.map(|port| (&port["reverse_path"], &port["reverse_path_ipv6"]));
        let right = found.is_some_and(|(v4, v6)| *v4 == ipv4 && *v6 == ipv6);
        ensure!(right, "it is {found:?}");
        Ok(())
    })
}

/// Three packets of a that say they are from `source`: how many were dropped by
/// the check, and how many reached b.
fn send(star: &Star, router: &Router, source: &str) -> anyhow::Result<(u64, u64)> {
    let received = || -> anyhow::Result<u64> {
        let counters = star.b.read_proc("/proc/net/snmp")?;
        let icmp = counters.lines().filter(|line| line.starts_with("Icmp: "));
        let column = |line: &str, index: usize| line.split(' ').nth(index).map(str::to_owned);
        let lines: Vec<&str> = icmp.collect();
        let index = lines[0].split(' ').position(|name| name == "InEchos");
        let value = index.and_then(|index| column(lines[1], index));
        Ok(value.unwrap_or_default().parse()?)
    };
    let before = received()?;
    let dropped = router.counted("reverse-path", || {
        // Nobody answers: the way back is not to a.
        star.a
            .output(&format!("ping -c 3 -i 0.05 -W 1 -I {source} 10.0.2.2"))?;
        Ok(())
    })?;
    Ok((dropped, received()? - before))
}

#[test]
fn rp_filter_is_followed_while_the_daemon_runs() {
    lab::test("reverse-path-kernel", |lab| {
        let (star, router) = start(lab, NATIVE)?;
        wait_check(&router, "off", "off")?;
        ensure!(send(&star, &router, FORGED)? == (0, 3), "checked when off");

        rp_filter(&star.r1, "eth0", 1)?;
        wait_check(&router, "strict", "off")?;
        ensure!(send(&star, &router, FORGED)? == (3, 0), "forged passes");
        let own = send(&star, &router, "10.0.1.2")?;
        ensure!(own == (0, 3), "a's own address: {own:?}");

        // Loose by `all`: the larger of both counts.
        rp_filter(&star.r1, "all", 2)?;
        wait_check(&router, "loose", "off")?;
        let forged = send(&star, &router, FORGED)?;
        ensure!(forged == (0, 3), "there is a way back: {forged:?}");
        let nowhere = send(&star, &router, NOWHERE)?;
        ensure!(nowhere == (3, 0), "there is no way back: {nowhere:?}");
        star.r1.run("ip route add default via 10.0.3.2")?;
        router.wait_forward(NOWHERE, "eth2")?;
        let nowhere = send(&star, &router, NOWHERE)?;
        ensure!(nowhere == (0, 3), "a default route is one: {nowhere:?}");

        rp_filter(&star.r1, "all", 0)?;
        rp_filter(&star.r1, "eth0", 0)?;
        wait_check(&router, "off", "off")
    });
}

/// `default` is copied to interfaces that never had an address or a sysctl set,
/// without a message for each.
#[test]
fn a_change_of_the_default_reaches_interfaces_that_were_never_set() {
    lab::test("reverse-path-default", |lab| {
        let r1 = lab.router_namespace("r1")?;
        let host = lab.namespace("host")?;
        lab.link(end(&r1, "eth0"), end(&host, "eth0"))?;
        rp_filter(&r1, "all", 0)?;
        rp_filter(&r1, "default", 0)?;
        let router = lab.start_router(&r1, &format!("{NATIVE}interfaces = [\"eth*\"]\n"))?;
        wait_check(&router, "off", "off")?;
        rp_filter(&r1, "default", 1)?;
        let kernel = r1.read_proc("/proc/sys/net/ipv4/conf/eth0/rp_filter")?;
        ensure!(kernel.trim() == "1", "the kernel says {kernel}");
        wait_check(&router, "strict", "off")
    });
}

#[test]
fn the_configuration_has_the_last_word_and_a_reload_changes_it() {
    lab::test("reverse-path-config", |lab| {
        let check = |value: &str| {
            let eth0 =
                format!("[[dataplane.interface]]\nname = \"eth0\"\nreverse-path = \"{value}\"\n");
            let rest = "[[dataplane.interface]]\nname = \"*\"\nreverse-path = \"off\"\n";
            format!("{NATIVE}{eth0}{rest}")
        };
        let (star, router) = start(lab, &check("strict"))?;
        wait_check(&router, "strict", "strict")?;
        ensure!(send(&star, &router, FORGED)? == (3, 0), "forged passes");
        router.reload(&check("loose"))?;
        wait_check(&router, "loose", "loose")?;
        ensure!(send(&star, &router, FORGED)? == (0, 3), "loose is strict");
        rp_filter(&star.r1, "eth0", 1)?;
        router.reload(&check("kernel"))?;
        wait_check(&router, "strict", "off")
    });
}

/// It has no table of its own to ask for the way back.
#[test]
fn the_engine_kernel_checks_the_way_back_too() {
    lab::test("reverse-path-engine", |lab| {
        let check = |value: &str| {
            format!(
                "{NATIVE}engine = \"kernel\"\n\
                 [[dataplane.interface]]\nname = \"eth0\"\nreverse-path = \"{value}\"\n"
            )
        };
        let (star, router) = start(lab, &check("strict"))?;
        wait_check(&router, "strict", "strict")?;
        ensure!(send(&star, &router, FORGED)? == (3, 0), "forged passes");
        router.reload(&check("loose"))?;
        wait_check(&router, "loose", "loose")?;
        ensure!(send(&star, &router, FORGED)? == (0, 3), "loose is strict");
        ensure!(send(&star, &router, NOWHERE)? == (3, 0), "no way back");
        Ok(())
    });
}
