//! `forwarder bench` on small tables: every way delivers every frame by the
//! right next hop, every engine finds every key, every change takes effect.

use std::process::Command;

use anyhow::{Context as _, ensure};
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
            "program --routes 500 --destinations 4096 --changes 300 --rate 5000 --engine {engine}"
        );
        let report = bench(&arguments)?;
        assert_eq!(report["load"]["checked"], 4096, "{report}");
        assert_eq!(report["change"]["checked"], 4096, "{report}");
        let samples = &report["change"]["convergence"]["samples"];
        assert_eq!(samples.as_array().map(Vec::len), Some(300));
    }
    Ok(())
}
