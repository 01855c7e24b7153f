//! FRR's zebra in the same namespace as the daemon: it takes some routes for
//! its own and cleans up behind others. Ours are not among them.

use anyhow::ensure;
use forwarder_tests::lab::{self, Namespace, SHORT, wait_for};

use crate::peers::{CONFIG, Net, installed};

const PREFIXES: [&str; 3] = ["192.168.2.0/24", "192.168.3.0/24", "203.0.113.0/24"];

/// Each of ours is there once, as we wrote it, and nobody else's copy is.
fn assert_ours(r1: &Namespace) -> anyhow::Result<()> {
    for prefix in PREFIXES {
        let routes = r1.run(&format!("ip route show exact {prefix}"))?;
        let lines: Vec<_> = routes.lines().collect();
        ensure!(
            lines.len() == 1 && lines[0].contains("proto forwarder"),
            "{prefix}: {routes}"
        );
    }
    Ok(())
}

#[test]
fn zebra_beside_us_neither_takes_nor_doubles_our_routes() {
    if !installed("interop-zebra") {
        return;
    }
    lab::test("interop-zebra", |lab| {
        let net = Net::new(lab)?;
        let config =
            format!("{CONFIG}[[static]]\nprefix = \"203.0.113.0/24\"\nvia = [\"10.0.2.2\"]\n");
        let router = lab.start_router(&net.r1, &config)?;
        let _bird = net.start_bird(lab, &["192.168.2.0/24".into(), "192.168.3.0/24".into()])?;
        for prefix in PREFIXES {
            net.r1.wait_route(prefix, "proto forwarder")?;
        }
        let bgpd = "router bgp 65001\n bgp router-id 10.0.1.1\n address-family ipv4 unicast\n  redistribute kernel\n exit-address-family\n";
        let mut frr = lab.start_frr(&net.r1, &[("bgpd", bgpd)])?;
        wait_for(SHORT, "`redistribute kernel` to carry ours", || {
            let table = frr.vtysh("show bgp ipv4 unicast")?;
            for prefix in PREFIXES {
                ensure!(table.contains(prefix), "{prefix} is not in {table}");
            }
            Ok(())
        })?;
        assert_ours(&net.r1)?;
        let kernel = frr.vtysh("show ip route kernel")?;
        ensure!(
            kernel.contains("192.168.2.0/24"),
            "zebra does not know ours: {kernel}"
        );
        for _ in 0..2 {
            frr.stop("zebra")?;
            assert_ours(&net.r1)?;
            frr.start_daemon("zebra")?;
            wait_for(SHORT, "zebra to know ours again", || {
                let kernel = frr.vtysh("show ip route kernel")?;
                ensure!(kernel.contains("203.0.113.0/24"), "{kernel}");
                Ok(())
            })?;
            assert_ours(&net.r1)?;
        }
        frr.stop("bgpd")?;
        frr.stop("zebra")?;
        assert_ours(&net.r1)?;
        // None of it was a change to us, either.
        router.wait_route("192.168.2.0/24", "rip")?;
        router.wait_until_settled()
    });
}
