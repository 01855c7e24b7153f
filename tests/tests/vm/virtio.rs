//! Native XDP on real virtio-net: src (eth0) - r1 (eth1, eth2) - sink (eth3).

use std::process::Command;

use anyhow::{Context as _, ensure};
use forwarder_tests::lab::{Lab, Namespace, Router, SHORT, wait_for};

use crate::in_guest;
use crate::pktgen::{Flow, TTL};

const NATIVE: &str = "[dataplane]\nattach = \"native\"\n";
const SOURCE: &str = "10.0.1.2";
const DESTINATION: &str = "10.0.2.2";

/// Counts what arrives with one taken off its TTL.
const COUNTER: &str = "add table ip sink
add counter ip sink forwarded
add chain ip sink input { type filter hook prerouting priority -300; }
";

/// The guest's four cards, each in its namespace; they fall back into the
/// first one when the lab goes.
struct Cables {
    src: Namespace,
    r1: Namespace,
    sink: Namespace,
}

impl Cables {
    fn new(lab: &Lab) -> anyhow::Result<Cables> {
        let cables = Cables {
            src: lab.namespace("src")?,
            r1: lab.router_namespace("r1")?,
            sink: lab.namespace("sink")?,
        };
        let Cables { src, r1, sink } = &cables;
        for (card, namespace, address) in [
            ("eth0", src, "10.0.1.2/24"),
            ("eth1", r1, "10.0.1.1/24"),
            ("eth2", r1, "10.0.2.1/24"),
            ("eth3", sink, "10.0.2.2/24"),
        ] {
            take(card, namespace)?;
            namespace.run(&format!("ip address add {address} dev {card}"))?;
            namespace.run(&format!("ip link set {card} up"))?;
        }
        let mac = sink.mac("eth3")?;
        r1.run(&format!(
            "ip neigh replace {DESTINATION} lladdr {mac} dev eth2 nud permanent"
        ))?;
        let rule = format!(
            "add rule ip sink input ip ttl {} counter name forwarded\n",
            TTL - 1
        );
        sink.run_with_input("nft -f -", &format!("{COUNTER}{rule}"))?;
        Ok(cables)
    }

    /// How many forwarded packets the sink has seen.
    fn arrived(&self) -> anyhow::Result<u64> {
        let text = self.sink.run("nft -j list counters")?;
        let list: serde_json::Value = serde_json::from_str(&text)?;
        let items = list["nftables"].as_array().context("no list")?;
        let packets = items
            .iter()
            .find_map(|item| item["counter"]["packets"].as_u64());
        packets.with_context(|| format!("no counter in {text}"))
    }

    fn flow(&self, packets: u64, nanoseconds: u64) -> anyhow::Result<String> {
        let flow = Flow {
            namespace: &self.src,
            interface: "eth0",
            source: SOURCE,
            destination: DESTINATION,
            next_hop: &self.r1.mac("eth1")?,
            packets,
            nanoseconds,
        };
        flow.send()
    }
}

/// Moves a card of the first namespace into another. A card comes back a
/// moment after the namespace that had it has gone.
fn take(card: &str, namespace: &Namespace) -> anyhow::Result<()> {
    wait_for(SHORT, &format!("the card {card}"), || {
        let mut set = Command::new("ip");
        let output = set
            .args(["link", "set", card, "netns", namespace.unique_name()])
            .output()?;
        ensure!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(())
    })
}

fn start(lab: &Lab, cables: &Cables) -> anyhow::Result<Router> {
    let router = lab.start_router(&cables.r1, NATIVE)?;
    router.wait_forward(DESTINATION, "eth2")?;
    let interfaces = router.show("interfaces")?;
    for card in ["eth1", "eth2"] {
        let found = interfaces
            .as_array()
            .and_then(|list| list.iter().find(|entry| entry["name"] == card))
            .with_context(|| format!("no {card} in {interfaces}"))?;
        ensure!(found["mode"] == "native", "{card} is not native: {found}");
    }
    Ok(router)
}

#[test]
fn paced_packets_are_all_forwarded_by_native_xdp_with_one_off_their_ttl() {
    in_guest("virtio-paced", |lab| {
        let cables = Cables::new(lab)?;
        let router = start(lab, &cables)?;
        let forwarded = router.counted("forwarded", || {
            cables.flow(2_000, 500_000)?;
            wait_for(SHORT, "all of them at the sink", || {
                let arrived = cables.arrived()?;
                ensure!(arrived == 2_000, "{arrived} of 2000 arrived");
                Ok(())
            })
        })?;
        ensure!(forwarded >= 2_000, "only {forwarded} took the fast path");
        Ok(())
    });
}

/// As fast as pktgen can: some are lost ahead of the router, none are wrong,
/// and the router lives.
#[test]
fn a_burst_at_full_rate_is_forwarded_and_the_router_still_answers() {
    in_guest("virtio-burst", |lab| {
        let cables = Cables::new(lab)?;
        let router = start(lab, &cables)?;
        let forwarded = router.counted("forwarded", || {
            eprintln!("pktgen: {}", cables.flow(20_000, 0)?);
            wait_for(SHORT, "most of them at the sink", || {
                let arrived = cables.arrived()?;
                ensure!(arrived > 10_000, "only {arrived} of 20000 arrived");
                Ok(())
            })
        })?;
        ensure!(forwarded > 10_000, "only {forwarded} took the fast path");
        router.wait_forward(DESTINATION, "eth2")
    });
}
