//! `cargo xtask bench rip` on small tables: every part measures every daemon, and
//! what does not depend on the machine is as wanted.

use std::process::Command;

use anyhow::{Context as _, ensure};
use forwarder_tests::lab::{forwarder_binary, skip};
use serde_json::Value;

use crate::peers::installed;

const ROUTES: usize = 500;

fn bench(parts: &str) -> anyhow::Result<Value> {
    let output = Command::new(env!("CARGO_BIN_EXE_rip-bench"))
        .env("FORWARDER_BIN", forwarder_binary()?)
        .args(["--json", "--samples", "1", "--only", parts])
        .args(["--routes", &ROUTES.to_string()])
        .output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "bench rip: {errors}");
    serde_json::from_slice(&output.stdout).context("no JSON")
}

/// The items of a part, one for each of these.
fn items<'a>(report: &'a Value, part: &str, devices: &[&str]) -> anyhow::Result<&'a [Value]> {
    let items = report[part].as_array().context("no such part")?;
    let named = |item: &Value| {
        let name = item["device"].as_str().or(item["receiver"].as_str());
        name.map(str::to_owned)
    };
    let names: Vec<_> = items.iter().filter_map(named).collect();
    ensure!(names == devices, "{part} is of {names:?}: {report}");
    Ok(items)
}

/// The figures that say whether they are as wanted.
fn assert_judged(report: &Value, expected: usize) -> anyhow::Result<()> {
    assert_eq!(report["problems"], Value::Array(Vec::new()));
    let figures = report["figures"].as_array().context("no figures")?;
    let judged = figures.iter().filter(|figure| figure["met"].is_boolean());
    assert_eq!(judged.count(), expected, "{report}");
    Ok(())
}

/// Whether this machine can hold it.
fn possible(name: &str) -> bool {
    if !nix::unistd::geteuid().is_root() {
        skip(name, "network namespaces need root");
        return false;
    }
    installed(name)
}

const ALL: [&str; 3] = ["forwarder", "frr", "bird"];

#[test]
fn tables_are_measured_beside_frr_and_bird() -> anyhow::Result<()> {
    if !possible("interop-bench-tables") {
        return Ok(());
    }
    let report = bench("receive,announce,install")?;
    for received in items(&report, "receive", &ALL)? {
        // So few routes nobody loses.
        assert_eq!(received["kernel"], ROUTES, "{received}");
    }
    for announced in items(&report, "announce", &ALL[1..])? {
        assert_eq!(announced["kernel"], ROUTES, "{announced}");
        assert!(announced["updates"].as_f64() >= Some(0.95), "{announced}");
    }
    for installed in items(&report, "install", &ALL)? {
        assert_eq!(installed["samples"][0]["kernel"], ROUTES, "{installed}");
    }
    assert_judged(&report, 5)
}

#[test]
fn changes_and_costs_are_measured_beside_frr_and_bird() -> anyhow::Result<()> {
    if !possible("interop-bench-changes") {
        return Ok(());
    }
    let report = bench("repair,withdrawal,cost")?;
    for repaired in items(&report, "repair", &ALL)? {
        let sample = &repaired["samples"][0];
        let at_once = sample["kernel_ms"].is_f64();
        assert_ne!(at_once, sample["next_update_ms"].is_f64(), "{repaired}");
    }
    let ours = &report["repair"][0]["samples"][0];
    assert!(
        ours["kernel_ms"].is_f64() && ours["xdp_ms"].is_f64(),
        "{ours}"
    );
    for passed_on in items(&report, "withdrawal", &ALL)? {
        assert!(passed_on["samples_ms"][0].is_f64(), "{passed_on}");
    }
    for cost in items(&report, "cost", &ALL)? {
        assert!(cost["updates_ms"][0].as_f64() > Some(0.0), "{cost}");
        let memory = |at: &str| cost[at]["anonymous"].as_u64();
        assert!(memory("base") > Some(0), "{cost}");
        assert!(memory("at_many") >= memory("base"), "{cost}");
    }
    assert_judged(&report, 6)
}
