//! Ports in numbers, that come and go and change under traffic.
//!
//! ```text
//! a 10.0.1.2 ── eth0 r1 p0 10.100.0.1 ── f0 10.100.0.2 far
//!                       p1 10.100.1.1 ── f1 10.100.1.2
//!                       …
//! ```

use std::fmt::Write as _;

use anyhow::{Context as _, ensure};
use forwarder_tests::lab::{self, LONG, Lab, Namespace, Router, SHORT, Star, wait_for};
use serde_json::Value;

use crate::NATIVE;

struct Many {
    star: Star,
    far: Namespace,
    router: Router,
}

impl Many {
    /// The router runs before the ports are there.
    fn start(lab: &Lab, count: u32) -> anyhow::Result<Many> {
        let star = Star::new(lab)?;
        let far = lab.namespace("far")?;
        for namespace in [&star.r1, &far] {
            namespace.sysctl("net/ipv4/conf/all/rp_filter", "0")?;
        }
        let router = lab.start_router(&star.r1, NATIVE)?;
        star.warm_up(&router)?;
        add_ports(&star.r1, &far, 0..count)?;
        Ok(Many { star, far, router })
    }

    /// What `show interfaces` says of one.
    fn interface(&self, name: &str) -> anyhow::Result<Value> {
        let interfaces = self.router.show("interfaces")?;
        let all = interfaces.as_array().context("no interfaces")?;
        let found = all.iter().find(|interface| interface["name"] == name);
        found.cloned().with_context(|| format!("no {name}"))
    }

    fn wait_interface(
        &self,
        name: &str,
        what: &str,
        is: impl Fn(&Value) -> bool,
    ) -> anyhow::Result<()> {
        wait_for(LONG, &format!("{name} to be {what}"), || {
            let interface = self.interface(name)?;
            ensure!(is(&interface), "it is {interface}");
            Ok(())
        })
    }

    fn wait_port(&self, name: &str) -> anyhow::Result<()> {
        self.wait_interface(name, "a port", |port| port["can_redirect"] == true)
    }

    /// Pings the far end of a port and waits until it is forwarded there.
    fn warm_up(&self, number: u32, dev: &str) -> anyhow::Result<()> {
        let far = far_address(number);
        wait_for(SHORT, &format!("an answer of {far}"), || {
            self.star.a.run(&format!("ping -c 1 -W 1 {far}"))
        })?;
        self.router.wait_forward(&far, dev)
    }

    /// Ten answered pings through a port, both ways; how many of the twenty
    /// packets took the fast path.
    fn ping(&self, number: u32, size: u32) -> anyhow::Result<u64> {
        let to = far_address(number);
        self.router.counted("forwarded", || {
            let ping = format!("ping -c 10 -i 0.02 -W 3 -s {size} -M do {to}");
            let text = self.star.a.run(&ping)?;
            ensure!(text.contains(" 0% packet loss"), "{text}");
            Ok(())
        })
    }

    /// All of them by the fast path.
    fn forwards(&self, number: u32) -> anyhow::Result<()> {
        let forwarded = self.ping(number, 56)?;
        ensure!(forwarded >= 20, "{forwarded} of 20 took the fast path");
        Ok(())
    }
}

fn far_address(number: u32) -> String {
    format!("10.{}.{}.2", 100 + number / 256, number % 256)
}

fn near_address(number: u32) -> String {
    format!("10.{}.{}.1", 100 + number / 256, number % 256)
}

/// In two batches and a loop: a command for each step would take a minute.
fn add_ports(r1: &Namespace, far: &Namespace, numbers: std::ops::Range<u32>) -> anyhow::Result<()> {
    let (mut near, mut there) = (String::new(), String::new());
    let other = far.unique_name();
    for n in numbers.clone() {
        let (a, b) = (near_address(n), far_address(n));
        writeln!(near, "link add p{n} type veth peer name f{n} netns {other}")?;
        writeln!(near, "addr add {a}/24 dev p{n}\nlink set p{n} up")?;
        writeln!(there, "addr add {b}/24 dev f{n}\nlink set f{n} up")?;
        // Each answers by the port it was asked on.
        writeln!(there, "route add default via {a} dev f{n} metric {}", n + 1)?;
    }
    r1.run_with_input("ip -batch -", &near)?;
    far.run_with_input("ip -batch -", &there)?;
    for n in numbers {
        // NAPI: a redirect into a veth without it is lost.
        far.run(&format!("ethtool -K f{n} gro on"))?;
    }
    Ok(())
}

#[test]
fn a_hundred_ports_that_come_while_it_runs_forward() {
    lab::test("ports-hundred", |lab| {
        let many = Many::start(lab, 100)?;
        for number in [0, 33, 64, 99] {
            let name = format!("p{number}");
            many.wait_port(&name)?;
            many.warm_up(number, &name)?;
            many.forwards(number)?;
        }
        let summary = &many.router.show("status")?["ports"];
        ensure!(summary["native"] == 103, "{summary}");

        many.star.r1.run("ip link del p33")?;
        wait_for(SHORT, "p33 to go", || {
            let gone = many.interface("p33").is_err();
            ensure!(gone, "it is still shown");
            Ok(())
        })?;
        many.router
            .wait_verdict(&far_address(33), "up", "no-route")?;
        many.forwards(99)?;
        // The same again, with another number.
        add_ports(&many.star.r1, &many.far, 33..34)?;
        many.wait_port("p33")?;
        many.warm_up(33, "p33")?;
        many.forwards(33)
    });
}

#[test]
fn a_port_keeps_forwarding_under_another_name_mac_address_and_mtu() {
    lab::test("ports-change", |lab| {
        let many = Many::start(lab, 3)?;
        let r1 = &many.star.r1;
        many.wait_port("p1")?;
        many.warm_up(1, "p1")?;
        many.forwards(1)?;

        r1.run("ip link set p1 down")?;
        r1.run("ip link set p1 name wan1")?;
        r1.run("ip link set wan1 up")?;
        many.wait_port("wan1")?;
        many.warm_up(1, "wan1")?;
        many.forwards(1)?;

        r1.run("ip link set wan1 address 02:00:00:00:77:01")?;
        // The far end has to learn it; the kernel does not announce it.
        many.far.run("ip neigh flush dev f1")?;
        many.wait_interface("wan1", "02:…:77:01", |port| {
            port["mac"] == "02:00:00:00:77:01"
        })?;
        // The kernel has forgotten the neighbours of a device that changes it.
        many.warm_up(1, "wan1")?;
        let other_mac = many.router.counted("not-our-mac", || many.forwards(1))?;
        ensure!(other_mac <= 2, "{other_mac} frames were not for us");

        r1.run("ip link set wan1 mtu 1300")?;
        many.wait_interface("wan1", "of MTU 1300", |port| port["mtu"] == 1300)?;
        let exceeded = many.router.counted("mtu-exceeded", || {
            let to = far_address(1);
            let ping = format!("ping -c 1 -W 2 -s 1400 -M do {to}");
            let text = many.star.a.output(&ping)?.stdout;
            let text = String::from_utf8_lossy(&text).into_owned();
            ensure!(text.contains("1300"), "{text}");
            Ok(())
        })?;
        ensure!(exceeded >= 1, "it was not the MTU");
        many.forwards(1)?;
        r1.run("ip link set wan1 mtu 1500")?;
        many.wait_interface("wan1", "of MTU 1500", |port| port["mtu"] == 1500)?;
        // The host remembers the smaller one.
        many.star.a.run("ip route flush cache")?;
        let forwarded = many.ping(1, 1400)?;
        ensure!(forwarded >= 20, "{forwarded} of 20 took the fast path");
        Ok(())
    });
}

#[test]
fn a_port_without_carrier_or_redirects_is_left_out_until_it_has_them() {
    lab::test("ports-ability", |lab| {
        let many = Many::start(lab, 2)?;
        many.wait_port("p1")?;
        many.warm_up(1, "p1")?;

        many.far.run("ip link set f1 down")?;
        many.wait_interface("p1", "without carrier", |port| {
            port["carrier"] == false && port["can_redirect"] == false
        })?;
        many.far.run("ip link set f1 up")?;
        many.far.run(&format!(
            "ip route add default via {} dev f1 metric 2",
            near_address(1)
        ))?;
        many.wait_port("p1")?;
        many.warm_up(1, "p1")?;
        many.forwards(1)?;

        // Without NAPI at the far end what is redirected there is lost.
        many.far.run("ethtool -K f1 gro off")?;
        many.wait_interface("p1", "one without redirects", |port| {
            let reason = port["reason"].as_str().unwrap_or_default();
            port["can_redirect"] == false && reason.contains("takes no redirected frames")
        })?;
        many.ping(1, 56)?;
        many.far.run("ethtool -K f1 gro on")?;
        many.wait_port("p1")?;
        many.warm_up(1, "p1")?;
        many.forwards(1)
    });
}

#[test]
fn a_port_that_joins_a_bridge_is_the_kernels_until_it_leaves() {
    lab::test("ports-bridge", |lab| {
        let many = Many::start(lab, 2)?;
        let r1 = &many.star.r1;
        many.wait_port("p1")?;
        many.warm_up(1, "p1")?;
        let address = format!("{}/24", near_address(1));
        r1.run("ip link add br0 type bridge")?;
        r1.run("ip link set p1 master br0")?;
        r1.run(&format!("ip addr del {address} dev p1"))?;
        r1.run(&format!("ip addr add {address} dev br0"))?;
        r1.run("ip link set br0 up")?;
        many.wait_interface("p1", "no port", |port| {
            port["mode"] == "none" && port["reason"] == "belongs to br0"
        })?;
        many.wait_interface("br0", "no port", |bridge| {
            bridge["mode"] == "none" && bridge["reason"] == "a bridge is left to the kernel"
        })?;
        wait_for(SHORT, "an answer across the bridge", || {
            many.star
                .a
                .run(&format!("ping -c 1 -W 1 {}", far_address(1)))
        })?;
        many.ping(1, 56)?;

        r1.run("ip link set p1 nomaster")?;
        r1.run("ip link del br0")?;
        r1.run(&format!("ip addr add {address} dev p1"))?;
        many.wait_port("p1")?;
        many.warm_up(1, "p1")?;
        many.forwards(1)
    });
}

/// 255 numbers, of which the star has three.
#[test]
fn beyond_the_limit_of_ports_the_rest_is_the_kernels_and_it_is_said_once() {
    lab::test("ports-limit", |lab| {
        let many = Many::start(lab, 255)?;
        many.wait_interface("p254", "refused", |port| {
            let reason = port["reason"].as_str().unwrap_or_default();
            port["mode"] == "none" && reason.contains("no more than 255 ports")
        })?;
        many.router.wait_degraded("port-limit", true)?;
        let log = many.router.process().log();
        let said = log.matches("no more than 255 ports").count();
        ensure!(said == 1, "said {said} times");
        many.warm_up(0, "p0")?;
        many.forwards(0)?;
        // The kernel forwards to those that found no room.
        wait_for(SHORT, "an answer by the kernel", || {
            many.star
                .a
                .run(&format!("ping -c 1 -W 1 {}", far_address(254)))
        })?;
        many.ping(254, 56)?;

        let going: String = (0..5).map(|n| format!("link del p{}\n", n + 10)).collect();
        many.star.r1.run_with_input("ip -batch -", &going)?;
        many.router.wait_degraded("port-limit", false)?;
        many.wait_port("p254")?;
        many.warm_up(254, "p254")?;
        many.forwards(254)
    });
}
