//! `forwarder query`: what a RIP router tells whoever asks.

use std::process::Output;

use anyhow::{Context as _, ensure};
use forwarder_tests::lab::{self, Namespace, SHORT, Star, forwarder_binary, wait_for};
use serde_json::Value;

use crate::NATIVE;

/// The router is 10.0.1.1 to `a`, and leads to `b`, which is 10.0.2.2.
const ROUTER: &str = "[rip]\ninterfaces = [\"eth0\"]\nredistribute = [\"static\"]\n\
    version = \"compat\"\n\
    [[static]]\nprefix = \"20.1.0.0/16\"\nvia = [\"10.0.2.2\"]\n";

fn query(host: &Namespace, words: &str) -> anyhow::Result<Output> {
    let mut command = host.command(forwarder_binary()?);
    Ok(command.arg("query").args(words.split(' ')).output()?)
}

/// What was answered, as text.
fn answered(host: &Namespace, words: &str) -> anyhow::Result<String> {
    let output = query(host, words)?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "query {words}: {errors}");
    Ok(String::from_utf8(output.stdout)?)
}

#[test]
fn a_routers_table_is_shown_in_each_version() {
    lab::test("query", |lab| {
        let star = Star::new(lab)?;
        let _router = lab.start_router(&star.r1, &format!("{NATIVE}{ROUTER}"))?;
        wait_for(SHORT, "the static route to be told", || {
            let table = answered(&star.a, "-n -t 2 10.0.1.1")?;
            ensure!(table.contains("20.1.0.0/16"), "{table}");
            ensure!(table.contains("of version 2"), "{table}");
            Ok(())
        })?;
        let json: Value = serde_json::from_str(&answered(&star.a, "--json 10.0.1.1")?)?;
        let routes = json.as_array().context("no list")?;
        let route = routes.iter().find(|route| route["prefix"] == "20.1.0.0/16");
        let route = route.with_context(|| format!("no 20.1.0.0/16 in {json}"))?;
        ensure!(
            route["metric"] == 1 && route["next_hop"] == "10.0.1.1",
            "{route}"
        );
        Ok(())
    });
}

#[test]
fn who_does_not_answer_is_an_error_that_says_why_that_may_be() {
    lab::test("query-nobody", |lab| {
        let star = Star::new(lab)?;
        let output = query(&star.a, "-t 1 10.0.1.1")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.code() == Some(1), "{said}");
        ensure!(
            said.contains("10.0.1.1 has not answered within 1 s"),
            "{said}"
        );
        let version_1 = query(&star.a, "-1 ::1")?;
        let said = String::from_utf8_lossy(&version_1.stderr);
        ensure!(said.contains("RIPng has no version 1"), "{said}");
        Ok(())
    });
}
