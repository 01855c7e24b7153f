//! Routes both ways, withdrawals included.

use anyhow::ensure;
use forwarder_tests::lab::{self, LONG, SHORT, wait_for};

use crate::peers::{CONFIG, Net, bird_config, installed};

const FAST_FRR: &str = " timers basic 5 30 20\n redistribute connected\n";

/// The lab's own proof, without the daemon: the two understand each other.
#[test]
fn frr_and_bird_exchange_routes_in_this_lab() {
    if !installed("interop-peers") {
        return;
    }
    lab::test("interop-peers", |lab| {
        let (f, b) = (lab.router_namespace("frr")?, lab.router_namespace("bird")?);
        let (fe, be) = (lab::end(&f, "eth0"), lab::end(&b, "eth0"));
        lab.link(fe.address("10.0.2.1/24"), be.address("10.0.2.2/24"))?;
        f.run("ip address add 192.168.1.1/24 dev lo")?;
        let ripd = format!("router rip\n version 2\n network eth0\n{FAST_FRR}");
        let mut frr = lab.start_frr(&f, &[("ripd", &ripd)])?;
        let bird = lab.start_bird(&b, &bird_config(&["192.168.2.0/24".into()]))?;
        f.wait_route("192.168.2.0/24", "via 10.0.2.2")?;
        b.wait_route("192.168.1.0/24", "via 10.0.2.1")?;
        ensure!(
            frr.vtysh("show ip rip")?.contains("192.168.2.0/24"),
            "vtysh does not know it"
        );
        ensure!(
            bird.birdc("show route")?.contains("192.168.1.0/24"),
            "birdc does not know it"
        );
        frr.stop("zebra")?;
        frr.start_daemon("zebra")?;
        bird.stop()
    });
}

#[test]
fn routes_pass_between_frr_and_bird_through_us() {
    if !installed("interop-both-ways") {
        return;
    }
    lab::test("interop-both-ways", |lab| {
        let net = Net::new(lab)?;
        net.frr.run("ip address add 192.168.1.1/24 dev lo")?;
        net.bird.run("ip address add 192.168.2.1/24 dev lo")?;
        let router = lab.start_router(&net.r1, CONFIG)?;
        let _frr = net.start_frr(lab, FAST_FRR)?;
        let _bird = net.start_bird(lab, &[])?;
        // Learnt by us, from both, in RIB, kernel and fast path.
        net.r1
            .wait_route("192.168.1.0/24", "via 10.0.1.2 dev eth0 proto forwarder")?;
        net.r1
            .wait_route("192.168.2.0/24", "via 10.0.2.2 dev eth1 proto forwarder")?;
        router.wait_route("192.168.1.0/24", "rip")?;
        // Passed on, by each into its own kernel.
        net.frr.wait_route("192.168.2.0/24", "proto rip")?;
        net.bird.wait_route("192.168.1.0/24", "proto bird")?;
        // Our own networks too.
        net.frr.wait_route("10.0.2.0/24", "proto rip")?;
        net.bird.wait_route("10.0.1.0/24", "proto bird")?;
        // And packets go that way.
        net.frr
            .run("ping -c 2 -i 0.2 -W 3 -I 192.168.1.1 192.168.2.1")?;
        router.wait_forward("192.168.1.1", "eth0")?;
        router.wait_forward("192.168.2.1", "eth1")?;
        let neighbors = router.show("rip neighbors")?;
        for address in ["10.0.1.2", "10.0.2.2"] {
            ensure!(
                neighbors.to_string().contains(address),
                "{address} is not in {neighbors}"
            );
        }
        Ok(())
    });
}

#[test]
fn withdrawals_pass_both_ways() {
    if !installed("interop-withdraw") {
        return;
    }
    lab::test("interop-withdraw", |lab| {
        let net = Net::new(lab)?;
        net.frr.run("ip address add 192.168.1.1/24 dev lo")?;
        lab.capture(&net.r1, "eth1")?;
        let _router = lab.start_router(&net.r1, CONFIG)?;
        let _frr = net.start_frr(lab, FAST_FRR)?;
        let bird = net.start_bird(lab, &["192.168.2.0/24".into()])?;
        net.frr.wait_route("192.168.2.0/24", "proto rip")?;
        net.bird.wait_route("192.168.1.0/24", "proto bird")?;
        bird.configure(&bird_config(&[]))?;
        net.r1.wait_no_route("192.168.2.0/24", "via")?;
        net.frr.wait_no_route("192.168.2.0/24", "via")?;
        net.frr.run("ip address del 192.168.1.1/24 dev lo")?;
        net.r1.wait_no_route("192.168.1.0/24", "via")?;
        net.bird.wait_no_route("192.168.1.0/24", "via")
    });
}

/// A stopped daemon says goodbye: the peers need not wait for time-outs of
/// three minutes.
#[test]
fn our_stop_withdraws_what_we_announced() {
    if !installed("interop-stop") {
        return;
    }
    lab::test("interop-stop", |lab| {
        let net = Net::new(lab)?;
        let router = lab.start_router(&net.r1, CONFIG)?;
        let _frr = net.start_frr(lab, FAST_FRR)?;
        let _bird = net.start_bird(lab, &["192.168.2.0/24".into()])?;
        net.frr.wait_route("192.168.2.0/24", "proto rip")?;
        net.bird.wait_route("10.0.1.0/24", "proto bird")?;
        router.stop()?;
        net.frr.wait_no_route("192.168.2.0/24", "via")?;
        net.bird.wait_no_route("10.0.1.0/24", "via")?;
        ensure!(net.r1.own_routes()? == 0, "our own kernel routes are left");
        Ok(())
    });
}

/// A neighbour that falls silent is waited for as long as the timeout says.
#[test]
fn a_silent_neighbours_routes_time_out() {
    if !installed("interop-timeout") {
        return;
    }
    lab::test("interop-timeout", |lab| {
        let net = Net::new(lab)?;
        net.frr.run("ip address add 192.168.1.1/24 dev lo")?;
        let config = format!("{CONFIG}update = \"2s\"\ntimeout = \"8s\"\ngarbage = \"4s\"\n");
        let router = lab.start_router(&net.r1, &config)?;
        let mut frr = net.start_frr(lab, " timers basic 5 30 20\n redistribute connected\n")?;
        net.r1.wait_route("192.168.1.0/24", "proto forwarder")?;
        frr.stop("ripd")?;
        wait_for(LONG, "the route to time out", || {
            let routes = net.r1.run("ip route show exact 192.168.1.0/24")?;
            ensure!(!routes.contains("via"), "{routes}");
            Ok(())
        })?;
        wait_for(SHORT, "the route to be forgotten", || {
            let routes = router.show("rip routes")?.to_string();
            ensure!(!routes.contains("192.168.1.0/24"), "{routes}");
            Ok(())
        })
    });
}

#[test]
fn static_routes_are_redistributed_with_metric_and_tag() {
    if !installed("interop-redistribute") {
        return;
    }
    lab::test("interop-redistribute", |lab| {
        let net = Net::new(lab)?;
        let config = format!(
            "{CONFIG}redistribute = [{{ source = \"static\", metric = 5, tag = 7 }}]
[[static]]
prefix = \"203.0.113.0/24\"
via = [\"10.0.2.9\"]
"
        );
        let _router = lab.start_router(&net.r1, &config)?;
        let frr = net.start_frr(lab, FAST_FRR)?;
        let bird = net.start_bird(lab, &[])?;
        net.frr.wait_route("203.0.113.0/24", "via 10.0.1.1")?;
        // RFC 2453 §4.4: a router on the same link is named as the next hop.
        net.bird.wait_route("203.0.113.0/24", "via 10.0.2.9")?;
        let rip = frr.vtysh("show ip rip")?;
        let line = rip
            .lines()
            .find(|line| line.contains("203.0.113.0/24"))
            .unwrap_or_default();
        // Metric 5 as announced, plus one for the link; the tag is next.
        ensure!(
            line.contains(" 6 10.0.1.1") && line.contains(" 7 "),
            "{rip}"
        );
        let routes = bird.birdc("show route all 203.0.113.0/24")?;
        ensure!(
            routes.contains("RIP.metric: 6") && routes.contains("RIP.tag: 0007"),
            "{routes}"
        );
        Ok(())
    });
}
