//! VLAN sub-interfaces of the kernel as ports: tags come off and go on in the
//! fast path, and the control plane follows what becomes of the devices.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::process::Command;

use anyhow::ensure;
use forwarder_tests::lab::traffic::transfer;
use forwarder_tests::lab::{self, Lab, Namespace, Router, SHORT, end, wait_for};

use crate::NATIVE;

/// Whether the kernel has VLAN devices; reports the skip when not.
fn has_vlans(name: &str) -> bool {
    // Not on lo: it takes no VLANs anywhere.
    let script = "ip link add v0 type veth peer name v1 && \
                  ip link add link v0 name v0.10 type vlan id 10";
    let made = Command::new("unshare")
        .args(["--net", "sh", "-c", script])
        .output();
    match made {
        Ok(output) if output.status.success() => true,
        Ok(output) => {
            let error = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            lab::skip(name, &format!("no VLAN devices here: {error}"));
            false
        }
        Err(error) => {
            lab::skip(name, &format!("no VLAN devices here: unshare: {error}"));
            false
        }
    }
}

/// A test in namespaces, if there can be one.
fn test(name: &str, body: impl FnOnce(&Lab) -> anyhow::Result<()>) {
    if has_vlans(name) {
        lab::test(name, body);
    }
}

/// a: VLAN 10 on eth0. b: untagged on eth1. c: VLAN 30 in service VLAN 20 on
/// eth2, whose link has room for the second tag.
struct Trunks {
    a: Namespace,
    b: Namespace,
    c: Namespace,
    r1: Namespace,
}

/// `DEV.10` on `dev`. Tags stay within the frames: a veth hands them over
/// beside it otherwise, which no XDP program sees.
fn vlan(ns: &Namespace, dev: &str, id: u16, protocol: &str) -> anyhow::Result<String> {
    let name = format!("{dev}.{id}");
    ns.run(&format!(
        "ethtool -K {dev} txvlan off tx-vlan-stag-hw-insert off"
    ))?;
    ns.run(&format!(
        "ip link add link {dev} name {name} type vlan id {id} protocol {protocol}"
    ))?;
    ns.run(&format!("ip link set {name} up"))?;
    Ok(name)
}

fn address(ns: &Namespace, dev: &str, address: &str) -> anyhow::Result<()> {
    ns.run(&format!("ip address add {address} dev {dev}"))
        .map(drop)
}

impl Trunks {
    fn new(lab: &Lab) -> anyhow::Result<Trunks> {
        let r1 = lab.router_namespace("r1")?;
        let (a, b, c) = (
            lab.namespace("a")?,
            lab.namespace("b")?,
            lab.namespace("c")?,
        );
        lab.link(end(&a, "eth0"), end(&r1, "eth0"))?;
        lab.link(
            end(&b, "eth0").address("10.0.2.2/24"),
            end(&r1, "eth1").address("10.0.2.1/24"),
        )?;
        lab.link(end(&c, "eth0").mtu(1_504), end(&r1, "eth2").mtu(1_504))?;
        address(&a, &vlan(&a, "eth0", 10, "802.1Q")?, "10.0.1.2/24")?;
        address(&r1, &vlan(&r1, "eth0", 10, "802.1Q")?, "10.0.1.1/24")?;
        for (ns, own) in [(&c, "10.0.3.2/24"), (&r1, "10.0.3.1/24")] {
            let dev = if own.contains(".2/") { "eth0" } else { "eth2" };
            let outer = vlan(ns, dev, 20, "802.1ad")?;
            ns.run(&format!(
                "ip link add link {outer} name inner mtu 1500 type vlan id 30"
            ))?;
            ns.run("ip link set inner up")?;
            address(ns, "inner", own)?;
        }
        for (host, net) in [(&a, 1), (&b, 2), (&c, 3)] {
            host.run(&format!("ip route add default via 10.0.{net}.1"))?;
        }
        Ok(Trunks { a, b, c, r1 })
    }

    fn warm_up(&self, router: &Router) -> anyhow::Result<()> {
        for (host, net, dev) in [
            (&self.a, 1, "eth0.10"),
            (&self.b, 2, "eth1"),
            (&self.c, 3, "inner"),
        ] {
            wait_for(SHORT, "a ping of the router", || {
                host.run(&format!("ping -c 1 -W 1 10.0.{net}.1"))
            })?;
            router.wait_forward(&format!("10.0.{net}.2"), dev)?;
        }
        Ok(())
    }
}

fn forwarded(router: &Router, from: &Namespace, to: &str) -> anyhow::Result<()> {
    let forwarded = router.counted("forwarded", || {
        let text = from.run(&format!("ping -c 20 -i 0.05 -W 3 {to}"))?;
        ensure!(text.contains(" 0% packet loss"), "{text}");
        Ok(())
    })?;
    ensure!(
        forwarded >= 40,
        "{to}: {forwarded} of 40 took the fast path"
    );
    Ok(())
}

#[test]
fn vlans_qinq_and_untagged_networks_reach_one_another_in_the_fast_path() {
    test("vlan-forward", |lab| {
        let trunks = Trunks::new(lab)?;
        let router = lab.start_router(&trunks.r1, NATIVE)?;
        trunks.warm_up(&router)?;
        for (from, to) in [
            (&trunks.a, "10.0.2.2"),
            (&trunks.a, "10.0.3.2"),
            (&trunks.b, "10.0.1.2"),
            (&trunks.b, "10.0.3.2"),
            (&trunks.c, "10.0.1.2"),
            (&trunks.c, "10.0.2.2"),
        ] {
            forwarded(&router, from, to)?;
        }
        let c = SocketAddrV4::new(Ipv4Addr::new(10, 0, 3, 2), 7);
        transfer(&trunks.a, &trunks.c, c, 5_000_000).map(drop)
    });
}

#[test]
fn sub_interfaces_are_followed_as_they_come_and_go() {
    test("vlan-follow", |lab| {
        let trunks = Trunks::new(lab)?;
        let router = lab.start_router(&trunks.r1, NATIVE)?;
        trunks.warm_up(&router)?;
        let r1 = &trunks.r1;
        // Another MAC than its parent's.
        r1.run("ip link set eth0.10 address 02:00:00:00:77:10")?;
        trunks.a.run("ip neigh flush all")?;
        trunks.warm_up(&router)?;
        forwarded(&router, &trunks.a, "10.0.2.2")?;
        r1.run("ip link set eth0.10 down")?;
        router.wait_verdict("10.0.1.2", "up", "no-route")?;
        // Kernels before 6.2 rename no link that is up.
        r1.run("ip link set eth0.10 name office")?;
        r1.run("ip link set office up")?;
        trunks.a.run("ping -c 1 -W 3 10.0.1.1")?;
        router.wait_forward("10.0.1.2", "office")?;
        // The port below takes its sub-interface along.
        r1.run("ip link del eth0")?;
        router.wait_verdict("10.0.1.2", "up", "no-route")?;
        forwarded(&router, &trunks.b, "10.0.3.2")
    });
}

/// In generic mode a veth is not trusted with tags: the far end may send them
/// beside the frame, and VLAN 10 would be taken for the untagged network.
#[test]
fn a_port_that_may_hide_tags_is_handed_up() {
    test("vlan-hidden", |lab| {
        let trunks = Trunks::new(lab)?;
        trunks.r1.run("ip link del eth2.20")?;
        let router = lab.start_router(&trunks.r1, "[dataplane]\nattach = \"generic\"\n")?;
        router.wait_degraded("vlan-offload", true)?;
        let up = router.counted("vlan", || {
            let text = trunks.a.run("ping -c 5 -i 0.05 -W 3 10.0.2.2")?;
            ensure!(text.contains(" 0% packet loss"), "{text}");
            Ok(())
        })?;
        ensure!(up >= 5, "{up} tagged frames went up");
        trunks.r1.run("ip link del eth0.10")?;
        router.wait_degraded("vlan-offload", false)
    });
}
