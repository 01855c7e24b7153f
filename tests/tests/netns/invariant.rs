//! Whatever happens to routes and links, own and foreign, in whatever order:
//! the fast path's answer is the kernel's (`ip route get`), or it hands up.

use std::fmt::Write as _;

use anyhow::{Context as _, ensure};
use forwarder_tests::lab::{self, Router, SHORT, Star, wait_for};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use serde_json::Value;

use crate::NATIVE;

/// Nested, so that removals uncover shorter ones; within a connected network,
/// too, and a default route.
const PREFIXES: &[&str] = &[
    "0.0.0.0/0",
    "198.51.0.0/16",
    "198.51.100.0/24",
    "198.51.100.128/25",
    "198.51.100.129/32",
    "203.0.113.0/24",
    "10.0.2.64/26",
    "10.0.0.0/8",
];

/// At least one below each prefix, and some beside all of them.
const KEYS: &[&str] = &[
    "198.51.100.129",
    "198.51.100.130",
    "198.51.100.5",
    "198.51.9.9",
    "203.0.113.77",
    "10.0.2.70",
    "10.0.2.2",
    "10.0.3.2",
    "10.200.0.1",
    "192.0.2.1",
    "10.0.1.1",
];

const GATEWAYS: &[&str] = &["10.0.1.2", "10.0.2.2", "10.0.3.2"];
const METRICS: &[u32] = &[0, 10, 15, 20, 100];
const PROTOCOLS: &[&str] = &["boot", "static", "bird", "bgp"];

/// One thing that happens.
#[derive(Clone, Debug)]
enum Step {
    /// `ip route replace`
    Foreign {
        prefix: usize,
        gateway: usize,
        metric: usize,
        protocol: usize,
    },
    /// `ip route replace blackhole`
    Blackhole {
        prefix: usize,
        metric: usize,
    },
    /// `ip route del`
    Delete {
        prefix: usize,
        metric: usize,
    },
    /// `reload` with these static routes: (prefix, gateway)
    Own(Vec<(usize, usize)>),
    /// `ip link set ethN down`, and up at once or later
    Down(usize),
    Up(usize),
    /// `ip route flush proto 210`
    Flush,
}

fn step() -> impl Strategy<Value = Step> {
    let (prefix, gateway) = (0..PREFIXES.len(), 0..GATEWAYS.len());
    let (metric, protocol) = (0..METRICS.len(), 0..PROTOCOLS.len());
    let own = prop::collection::vec((prefix.clone(), gateway.clone()), 0..5);
    prop_oneof![
        8 => (prefix.clone(), gateway, metric.clone(), protocol).prop_map(
            |(prefix, gateway, metric, protocol)| Step::Foreign { prefix, gateway, metric, protocol }
        ),
        1 => (prefix.clone(), metric.clone())
            .prop_map(|(prefix, metric)| Step::Blackhole { prefix, metric }),
        4 => (prefix, metric).prop_map(|(prefix, metric)| Step::Delete { prefix, metric }),
        4 => own.prop_map(Step::Own),
        1 => (0..3_usize).prop_map(Step::Down),
        2 => (0..3_usize).prop_map(Step::Up),
        1 => Just(Step::Flush),
    ]
}

fn config(own: &[(usize, usize)]) -> String {
    let mut text = NATIVE.to_owned();
    // A prefix twice would be an error of the configuration.
    for (index, (prefix, gateway)) in own.iter().enumerate() {
        if own[..index].iter().all(|(earlier, _)| earlier != prefix) {
            let (prefix, gateway) = (PREFIXES[*prefix], GATEWAYS[*gateway]);
            let _ = write!(
                text,
                "[[static]]\nprefix = \"{prefix}\"\nvia = [\"{gateway}\"]\n"
            );
        }
    }
    text
}

fn apply(star: &Star, router: &Router, step: &Step) -> anyhow::Result<()> {
    let line = match step {
        Step::Foreign {
            prefix,
            gateway,
            metric,
            protocol,
        } => format!(
            "ip route replace {} via {} metric {} proto {}",
            PREFIXES[*prefix], GATEWAYS[*gateway], METRICS[*metric], PROTOCOLS[*protocol]
        ),
        Step::Blackhole { prefix, metric } => {
            format!(
                "ip route replace blackhole {} metric {}",
                PREFIXES[*prefix], METRICS[*metric]
            )
        }
        Step::Delete { prefix, metric } => {
            format!(
                "ip route del {} metric {}",
                PREFIXES[*prefix], METRICS[*metric]
            )
        }
        Step::Own(own) => return router.reload(&config(own)),
        Step::Down(port) => format!("ip link set eth{port} down"),
        Step::Up(port) => format!("ip link set eth{port} up"),
        Step::Flush => "ip route flush proto 210".into(),
    };
    // A gateway behind a link that is down, a route that is not there: the
    // kernel refuses, and nothing happens.
    star.r1.output(&line).map(drop)
}

/// What the kernel does with a packet for `key`: the interface and the gateway,
/// or nothing where it does not forward.
fn kernel_answer(star: &Star, key: &str) -> anyhow::Result<Option<(String, Option<String>)>> {
    let output = star.r1.output(&format!("ip -json route get {key}"))?;
    if !output.status.success() {
        return Ok(None);
    }
    let answer: Value = serde_json::from_slice(&output.stdout)?;
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let route = &answer[0];
    if route["type"].as_str().is_some_and(|kind| kind != "unicast") {
        return Ok(None);
    }
    let dev = text(&route["dev"]).with_context(|| format!("no device in {answer}"))?;
    Ok(Some((dev, text(&route["gateway"]))))
}

fn assert_agreement(star: &Star, router: &Router, key: &str) -> anyhow::Result<()> {
    let xdp = router.lookup(key)?["xdp"].clone();
    let kernel = kernel_answer(star, key)?;
    match xdp["verdict"].as_str() {
        Some("up") => {}
        Some("drop") => ensure!(
            kernel.is_none(),
            "{key}: XDP drops, the kernel has {kernel:?}"
        ),
        Some("forward") => {
            let (dev, via) = kernel.with_context(|| format!("{key}: XDP forwards: {xdp}"))?;
            // A host on the link is its own gateway.
            let via = via.unwrap_or_else(|| key.to_owned());
            let said = xdp["via"].as_str().unwrap_or(key);
            ensure!(
                xdp["dev"] == dev && said == via,
                "{key}: {xdp}, the kernel {dev} {via}"
            );
        }
        _ => anyhow::bail!("{key}: no verdict in {xdp}"),
    }
    Ok(())
}

fn assert_all_agree(star: &Star, router: &Router) -> anyhow::Result<()> {
    wait_for(SHORT, "agreement with the kernel", || {
        KEYS.iter()
            .try_for_each(|key| assert_agreement(star, router, key))
    })
}

/// Every foreign route gone, every link up, none of our own.
fn reset(star: &Star, router: &Router) -> anyhow::Result<()> {
    for protocol in PROTOCOLS {
        star.r1.run(&format!("ip route flush proto {protocol}"))?;
    }
    for port in 0..3 {
        star.r1.run(&format!("ip link set eth{port} up"))?;
    }
    router.reload(NATIVE)?;
    star.warm_up(router)
}

#[test]
fn invariant_xdp_answers_as_the_kernel_does_or_hands_up() {
    lab::test("invariant", |lab| {
        let star = Star::new(lab)?;
        let router = lab.start_router(&star.r1, NATIVE)?;
        // Few and long: a case costs two seconds, and long ones hold the
        // interleavings. A failure is shrunk only a little for the same reason.
        let config = Config {
            cases: 12,
            max_shrink_iters: 40,
            failure_persistence: None,
            ..Config::default()
        };
        let mut runner = TestRunner::new(config);
        let cases = prop::collection::vec(prop::collection::vec(step(), 1..6), 1..10);
        runner.run(&cases, |bursts| {
            let run = || {
                reset(&star, &router)?;
                // Bursts without a pause, then a look.
                for burst in &bursts {
                    burst
                        .iter()
                        .try_for_each(|step| apply(&star, &router, step))?;
                    assert_all_agree(&star, &router)?;
                }
                anyhow::Ok(())
            };
            run().map_err(|error| TestCaseError::fail(format!("{error:#}")))
        })?;
        Ok(())
    });
}

/// Agreement is not won by handing everything up: with everything quiet what
/// can be forwarded is.
#[test]
fn what_is_plainly_forwardable_is_forwarded() {
    lab::test("invariant-forwards", |lab| {
        let star = Star::new(lab)?;
        let router = lab.start_router(&star.r1, &config(&[(2, 1), (5, 2), (0, 0)]))?;
        star.warm_up(&router)?;
        star.r1
            .run("ip route add 198.51.100.128/25 via 10.0.3.2 proto bird metric 32")?;
        for (key, dev) in [
            ("198.51.100.5", "eth1"),
            ("198.51.100.130", "eth2"),
            ("203.0.113.77", "eth2"),
            ("192.0.2.1", "eth0"),
            ("10.0.2.2", "eth1"),
        ] {
            router.wait_forward(key, dev)?;
            assert_agreement(&star, &router, key)?;
        }
        Ok(())
    });
}
