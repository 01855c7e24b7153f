//! `forwarder bench` on small tables: every way delivers every frame by the
//! right next hop, every engine finds every key, every change takes effect.

use std::process::Command;

use anyhow::{Context as _, ensure};
use forwarder_common::check::Check;
use forwarder_tests::lab;
use serde_json::Value;

/// What a measurement prints as JSON.
fn bench(arguments: &str) -> anyhow::Result<Value> {
    let output = Command::new(lab::forwarder_binary()?)
        .args(["--json", "bench"])
        .args(arguments.split_whitespace())
        .output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "bench {arguments}: {errors}");
    serde_json::from_slice(&output.stdout).context("no JSON")
}

#[test]
fn every_way_delivers_every_frame_by_the_right_next_hop() -> anyhow::Result<()> {
    for family in ["", "--ipv6"] {
        let arguments =
            format!("forward --routes 500 --destinations 4096 --frames 20000 --samples 3 {family}");
        let report = bench(&arguments)?;
        let ways = report["ways"].as_array().context("ways")?;
        assert_eq!(ways.len(), 7, "{report}");
        for way in ways {
            assert_eq!(way["sent"], 60_000, "{way}");
            assert_eq!(way["delivered"], 60_000, "{way}");
            assert_eq!(way["samples"].as_array().map(Vec::len), Some(3));
        }
        assert_eq!(report["problems"], Value::Array(Vec::new()));
        every_check_is_listed(&report, family)?;
    }
    Ok(())
}

/// All of them, with their samples; IPv6 has no header checksum.
fn every_check_is_listed(report: &Value, family: &str) -> anyhow::Result<()> {
    let checks = report["checks"].as_array().context("checks")?;
    let names: Vec<&str> = checks.iter().filter_map(|c| c["check"].as_str()).collect();
    let known = Check::ALL.map(Check::name).into_iter();
    let expected: Vec<&str> = known
        .filter(|name| family.is_empty() || *name != "checksum")
        .collect();
    assert_eq!(names, expected);
    for check in checks {
        assert!(check["ns"].is_f64() && check["spread"].is_f64(), "{check}");
        assert_eq!(check["samples"].as_array().map(Vec::len), Some(21));
    }
    Ok(())
}

#[test]
fn every_engine_finds_every_key() -> anyhow::Result<()> {
    for family in ["", "--ipv6"] {
        let arguments = format!("fib --routes 500 --destinations 4096 --samples 2 {family}");
        let report = bench(&arguments)?;
        let engines = report["engines"].as_array().context("engines")?;
        assert_eq!(engines.len(), 3, "{report}");
        for engine in engines {
            assert_eq!(engine["checked"], 1 << 20, "{engine}");
            assert!(
                engine["dependent"]["median"].as_f64() > Some(0.0),
                "{engine}"
            );
        }
    }
    Ok(())
}

#[test]
fn every_change_takes_effect_and_the_table_is_right_afterwards() -> anyhow::Result<()> {
    for engine in ["multibit", "lpm-trie"] {
        let arguments = format!(
            "program --routes 500 --destinations 4096 --changes 300 --rate 5000 --samples 0 --engine {engine}"
        );
        let report = bench(&arguments)?;
        assert_eq!(report["load"]["checked"], 4096, "{report}");
        assert_eq!(report["change"]["checked"], 4096, "{report}");
        let samples = &report["change"]["convergence"]["samples"];
        assert_eq!(samples.as_array().map(Vec::len), Some(300));
    }
    Ok(())
}

/// What it measures it also checks: no request refused, one marker, and a
/// mirror that is the table.
#[test]
fn the_routing_socket_is_measured_and_right() -> anyhow::Result<()> {
    for family in ["", "--ipv6"] {
        let report = bench(&format!(
            "program --routes 2000 --destinations 64 --changes 100 --rate 1000 --samples 2 \
             --stalled-changes 40000 {family}"
        ))?;
        let socket = &report["socket"];
        assert!(socket["requests"]["by_bare"]["median"].as_f64() > Some(0.0));
        assert!(socket["bulk"]["routes"].as_u64() > Some(1900), "{socket}");
        assert!(
            socket["snapshot"]["routes"].as_u64() >= socket["bulk"]["routes"].as_u64(),
            "{socket}"
        );
        assert_eq!(socket["stalled"]["markers"], 1, "{socket}");
        assert!(socket["stalled"]["mirrored"].as_u64() >= socket["bulk"]["routes"].as_u64());
        let samples = &socket["visible"]["microseconds"]["samples"];
        assert_eq!(samples.as_array().map(Vec::len), Some(100));
    }
    Ok(())
}
