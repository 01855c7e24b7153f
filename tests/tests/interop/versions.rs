//! RIPv1 with FRR and BIRD, and the three versions of it on one router.

use anyhow::ensure;
use forwarder_tests::lab::{self, Frr, Lab};

use crate::peers::{CONFIG, Net, bird_config, installed};

/// FRR that speaks and hears version 1 only.
fn start_frr<'lab>(lab: &'lab Lab, net: &Net) -> anyhow::Result<Frr<'lab>> {
    let ripd = "router rip\n version 1\n network eth0\n timers basic 5 30 20\n \
                redistribute connected\n";
    lab.start_frr(&net.frr, &[("ripd", ripd)])
}

/// BIRD refuses every route of version 1 unless it is told not to check zeros.
fn bird_v1(routes: &[String]) -> String {
    bird_config(routes).replace(
        "interface \"eth0\" {};",
        "interface \"eth0\" { version 1; check zero no; };",
    )
}

/// Whoever is heard speaks this version.
fn ensure_version(neighbors: &serde_json::Value, version: u64) -> anyhow::Result<()> {
    let rows = neighbors.as_array().map_or(&[][..], Vec::as_slice);
    ensure!(
        rows.len() == 2 && rows.iter().all(|row| row["version"] == version),
        "not two neighbours of version {version}: {neighbors}"
    );
    Ok(())
}

#[test]
fn rfc1058_routes_of_version_1_pass_between_frr_and_bird_through_us() {
    if !installed("interop-v1") {
        return;
    }
    lab::test("interop-v1", |lab| {
        let net = Net::new(lab)?;
        net.frr.run("ip address add 192.168.1.1/24 dev lo")?;
        let config = format!("{CONFIG}version = \"1\"\n");
        let router = lab.start_router(&net.r1, &config)?;
        let _frr = start_frr(lab, &net)?;
        let bird = lab.start_bird(&net.bird, &bird_v1(&["192.168.2.0/24".into()]))?;
        net.r1
            .wait_route("192.168.1.0/24", "via 10.0.1.2 dev eth0 proto forwarder")?;
        net.r1
            .wait_route("192.168.2.0/24", "via 10.0.2.2 dev eth1 proto forwarder")?;
        net.frr.wait_route("192.168.2.0/24", "proto rip")?;
        net.bird.wait_route("192.168.1.0/24", "proto bird")?;
        // A subnet of the link's own network keeps its mask.
        net.frr.wait_route("10.0.2.0/24", "proto rip")?;
        ensure_version(&router.show("rip neighbors")?, 1)?;
        bird.configure(&bird_v1(&[]))?;
        net.r1.wait_no_route("192.168.2.0/24", "via")?;
        net.frr.wait_no_route("192.168.2.0/24", "via")?;
        router.stop()?;
        net.bird.wait_no_route("192.168.1.0/24", "via")
    });
}

#[test]
fn rfc2453_4_1_a_router_of_version_1_and_one_of_version_2_meet_through_us() {
    if !installed("interop-versions") {
        return;
    }
    lab::test("interop-versions", |lab| {
        let net = Net::new(lab)?;
        net.frr.run("ip address add 192.168.1.1/24 dev lo")?;
        let config = format!(
            "{CONFIG}[[rip.interface]]\nname = \"eth0\"\nsend-version = \"1\"\n\
             [[rip.interface]]\nname = \"eth1\"\nsend-version = \"compat\"\n"
        );
        let _router = lab.start_router(&net.r1, &config)?;
        let _frr = start_frr(lab, &net)?;
        // 172.20/16 has parts of two lengths: version 1 hears of it as a whole.
        let routes = ["172.20.8.0/24", "172.20.64.0/20"].map(String::from);
        let _bird = net.start_bird(lab, &routes)?;
        net.r1.wait_route("172.20.64.0/20", "via 10.0.2.2")?;
        net.frr.wait_route("172.20.0.0/16", "proto rip")?;
        net.bird.wait_route("192.168.1.0/24", "proto bird")?;
        let heard = net.frr.run("ip route show proto rip")?;
        ensure!(!heard.contains("172.20.8.0"), "FRR has {heard}");
        Ok(())
    });
}

/// FRR and BIRD announce the same network: both are used, and the loss of one
/// leaves the other.
#[test]
fn rip_case_47_two_routers_share_a_network_and_one_goes() {
    if !installed("interop-paths") {
        return;
    }
    lab::test("interop-paths", |lab| {
        let net = Net::new(lab)?;
        net.frr.run("ip address add 192.168.7.1/24 dev lo")?;
        let router = lab.start_router(&net.r1, &format!("{CONFIG}ecmp = 2\n"))?;
        let _frr = net.start_frr(lab, " timers basic 5 30 20\n redistribute connected\n")?;
        let _bird = net.start_bird(lab, &["192.168.7.0/24".into()])?;
        for hop in ["10.0.1.2 dev eth0", "10.0.2.2 dev eth1"] {
            let part = format!("nexthop via {hop}");
            net.r1.wait_route("192.168.7.0/24", &part)?;
        }
        let selected = router.show("rip routes")?.to_string();
        ensure!(selected.contains("10.0.1.2") && selected.contains("10.0.2.2"));
        net.frr.run("ip address del 192.168.7.1/24 dev lo")?;
        net.r1
            .wait_route("192.168.7.0/24", "via 10.0.2.2 dev eth1 proto forwarder")
    });
}
