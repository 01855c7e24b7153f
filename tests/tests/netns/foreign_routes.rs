//! Routes that somebody else puts into the kernel's table are followed, and
//! never changed.

use forwarder_tests::lab::{self, Lab, Router, Star};

use crate::NATIVE;

fn ready(lab: &Lab) -> anyhow::Result<(Star, Router)> {
    let star = Star::new(lab)?;
    let router = lab.start_router(&star.r1, NATIVE)?;
    star.warm_up(&router)?;
    Ok((star, router))
}

const NET: &str = "198.51.100.0/24";
const HOST: &str = "198.51.100.7";

#[test]
fn a_foreign_route_is_added_replaced_and_deleted() {
    lab::test("foreign-life", |lab| {
        let (star, router) = ready(lab)?;
        router.wait_verdict(HOST, "up", "no-route")?;
        for (proto, source) in [("static", "kernel-static"), ("bird", "kernel-bird")] {
            star.r1
                .run(&format!("ip route add {NET} via 10.0.2.2 proto {proto}"))?;
            router.wait_forward(HOST, "eth1")?;
            router.wait_route(NET, source)?;
            star.r1.run(&format!(
                "ip route replace {NET} via 10.0.3.2 proto {proto}"
            ))?;
            router.wait_forward(HOST, "eth2")?;
            star.r1.run(&format!("ip route del {NET} proto {proto}"))?;
            router.wait_verdict(HOST, "up", "no-route")?;
        }
        Ok(())
    });
}

#[test]
fn the_lowest_metric_wins_whatever_the_order_of_arrival() {
    lab::test("foreign-metric", |lab| {
        let (star, router) = ready(lab)?;
        star.r1
            .run(&format!("ip route add {NET} via 10.0.2.2 metric 100"))?;
        router.wait_forward(HOST, "eth1")?;
        star.r1
            .run(&format!("ip route add {NET} via 10.0.3.2 metric 50"))?;
        router.wait_forward(HOST, "eth2")?;
        star.r1
            .run(&format!("ip route add {NET} via 10.0.1.2 metric 200"))?;
        star.r1
            .run(&format!("ip route del {NET} via 10.0.3.2 metric 50"))?;
        router.wait_forward(HOST, "eth1")?;
        star.r1
            .run(&format!("ip route del {NET} via 10.0.2.2 metric 100"))?;
        router.wait_forward(HOST, "eth0")
    });
}

#[test]
fn the_longest_prefix_wins() {
    lab::test("foreign-longest", |lab| {
        let (star, router) = ready(lab)?;
        star.r1.run("ip route add 198.51.0.0/16 via 10.0.2.2")?;
        star.r1.run(&format!("ip route add {NET} via 10.0.3.2"))?;
        star.r1.run("ip route add 198.51.100.128/25 via 10.0.1.2")?;
        router.wait_forward("198.51.1.1", "eth1")?;
        router.wait_forward("198.51.100.1", "eth2")?;
        router.wait_forward("198.51.100.129", "eth0")?;
        star.r1.run(&format!("ip route del {NET}"))?;
        router.wait_forward("198.51.100.1", "eth1")?;
        router.wait_forward("198.51.100.129", "eth0")
    });
}

#[test]
fn types_of_route_are_followed() {
    lab::test("foreign-types", |lab| {
        let (star, router) = ready(lab)?;
        star.r1.run(&format!("ip route add blackhole {NET}"))?;
        router.wait_verdict(HOST, "drop", "blackhole")?;
        star.r1.run(&format!("ip route del blackhole {NET}"))?;
        star.r1.run(&format!("ip route add prohibit {NET}"))?;
        router.wait_verdict(HOST, "up", "unreachable")?;
        star.r1.run(&format!("ip route del prohibit {NET}"))?;
        router.wait_verdict(HOST, "up", "no-route")
    });
}

/// Deleting a next-hop object deletes its routes without a message.
#[test]
fn next_hop_objects_are_followed() {
    lab::test("foreign-nexthop", |lab| {
        let (star, router) = ready(lab)?;
        star.r1.run("ip nexthop add id 10 via 10.0.2.2 dev eth1")?;
        star.r1.run(&format!("ip route add {NET} nhid 10"))?;
        router.wait_forward(HOST, "eth1")?;
        star.r1
            .run("ip nexthop replace id 10 via 10.0.3.2 dev eth2")?;
        router.wait_forward(HOST, "eth2")?;
        star.r1.run("ip nexthop del id 10")?;
        router.wait_verdict(HOST, "up", "no-route")
    });
}

#[test]
fn several_routers_are_a_group_and_several_links_are_left_to_the_kernel() {
    lab::test("foreign-multipath", |lab| {
        let (star, router) = ready(lab)?;
        let hops = "nexthop via 10.0.2.2 nexthop via 10.0.3.2";
        star.r1.run(&format!("ip route add {NET} {hops}"))?;
        router.wait_verdict(HOST, "forward", "forwarded")?;
        let hops = "nexthop dev eth1 nexthop dev eth2";
        star.r1.run(&format!("ip route replace {NET} {hops}"))?;
        router.wait_verdict(HOST, "up", "multipath")
    });
}

/// A foreign route that the kernel prefers to ours wins here, too, and comes
/// and goes without touching ours.
#[test]
fn a_better_foreign_route_shadows_ours() {
    lab::test("foreign-shadow", |lab| {
        let star = Star::new(lab)?;
        let config = format!("{NATIVE}[[static]]\nprefix = \"{NET}\"\nvia = [\"10.0.2.2\"]\n");
        let router = lab.start_router(&star.r1, &config)?;
        star.warm_up(&router)?;
        star.r1.wait_route(NET, "proto forwarder metric 15")?;
        router.wait_forward(HOST, "eth1")?;
        star.r1.run(&format!("ip route add {NET} via 10.0.3.2"))?;
        router.wait_forward(HOST, "eth2")?;
        star.r1.run(&format!("ip route del {NET} via 10.0.3.2"))?;
        router.wait_forward(HOST, "eth1")?;
        star.r1.wait_route(NET, "proto forwarder metric 15")
    });
}

/// A route of lower preference is not touched when ours arrives and goes.
#[test]
fn a_worse_foreign_route_survives_ours() {
    lab::test("foreign-survives", |lab| {
        let star = Star::new(lab)?;
        star.r1.run(&format!(
            "ip route add {NET} via 10.0.3.2 proto bird metric 32"
        ))?;
        let config = format!("{NATIVE}[[static]]\nprefix = \"{NET}\"\nvia = [\"10.0.2.2\"]\n");
        let router = lab.start_router(&star.r1, &config)?;
        star.warm_up(&router)?;
        router.wait_forward(HOST, "eth1")?;
        star.r1.wait_route(NET, "proto bird metric 32")?;
        router.reload(NATIVE)?;
        router.wait_forward(HOST, "eth2")?;
        star.r1.wait_route(NET, "proto bird metric 32")?;
        star.r1.wait_no_route(NET, "proto forwarder")
    });
}
