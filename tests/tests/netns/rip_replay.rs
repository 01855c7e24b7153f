//! `run --record` and `rip-replay`: what a real daemon did is done again, offline.

use std::collections::BTreeSet;
use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Output;

use anyhow::{Context as _, ensure};
use forwarder_tests::lab::{
    self, LONG, Lab, Namespace, Router, RouterOptions, SHORT, Star, forwarder_binary, wait_for,
};
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::NATIVE;

/// In the configurations, and in no recording.
const SECRET: &str = "Rosebud!-netns";
/// The router that is recorded: signed to `a`, plain to `b`.
const ROUTER: &str = "[rip]\ninterfaces = [\"eth*\"]\n\
    [[rip.interface]]\nname = \"eth0\"\n\
    auth = { type = \"md5\", keys = [{ id = 7, key = \"Rosebud!-netns\" }] }\n";
/// A real neighbour with a route of its own.
const NEIGHBOR: &str = "[rip]\ninterfaces = [\"eth0\"]\nredistribute = [\"static\"]\n\
    [[rip.interface]]\nname = \"eth0\"\n\
    auth = { type = \"md5\", keys = [{ id = 7, key = \"Rosebud!-netns\" }] }\n\
    [[static]]\nprefix = \"20.1.0.0/16\"\nvia = [\"10.0.1.9\"]\n";

fn recorded(lab: &Lab, namespace: &Namespace, file: &Path) -> anyhow::Result<Router> {
    let config = format!("{NATIVE}{ROUTER}");
    lab.start_router_with(namespace, &config, &recording_to(file))
}

fn recording_to(file: &Path) -> RouterOptions {
    RouterOptions {
        arguments: vec!["--record".to_owned(), file.display().to_string()],
        ..RouterOptions::default()
    }
}

fn replay(words: &[&str], file: &Path) -> anyhow::Result<Output> {
    let mut command = std::process::Command::new(forwarder_binary()?);
    Ok(command.args(words).arg("rip-replay").arg(file).output()?)
}

/// What `rip-replay --json` says, which has to be that all is the same.
fn replayed(file: &Path) -> anyhow::Result<Value> {
    let output = replay(&["--json"], file)?;
    let (said, errors) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    ensure!(output.status.success(), "{errors}{said}");
    let answer: Value = serde_json::from_str(&said)?;
    ensure!(answer["same"] == true, "{said}");
    Ok(answer)
}

/// A routing table without what changes by the second.
fn table(routes: &Value) -> anyhow::Result<BTreeSet<String>> {
    let rows = routes.as_array().context("no list of routes")?.iter();
    let keys = [
        "prefix",
        "origin",
        "selected",
        "metric",
        "tag",
        "via",
        "neighbor",
        "interface",
    ];
    let row = |row: &Value| keys.map(|key| format!("{key}={}", row[key])).join(" ");
    Ok(rows.map(row).collect())
}

/// Sends a response for one network of class A from the host `b`.
fn say(host: &Namespace, network: u8, metric: u8) -> anyhow::Result<()> {
    host.enter(|| {
        let socket = UdpSocket::bind("10.0.2.2:520")?;
        let mut packet = vec![2, 2, 0, 0, 0, 2, 0, 0, network, 0, 0, 0, 255, 0, 0, 0];
        packet.extend([0, 0, 0, 0, 0, 0, 0, metric]);
        let router: SocketAddr = "10.0.2.1:520".parse()?;
        socket.send_to(&packet, router)?;
        Ok(())
    })
}

#[test]
fn what_a_daemon_did_is_replayed_with_the_same_outputs_and_its_last_table() {
    lab::test("rip-replay", |lab| {
        let star = Star::new(lab)?;
        let file = lab.directory().join("rip.jsonl");
        let r1 = recorded(lab, &star.r1, &file)?;
        let a = lab.start_router(&star.a, &format!("{NATIVE}{NEIGHBOR}"))?;
        r1.wait_route("20.1.0.0/16", "rip")?;
        for network in [30, 40] {
            say(&star.b, network, 3)?;
            r1.wait_route(&format!("{network}.0.0.0/8"), "rip")?;
        }
        say(&star.b, 30, 16)?;
        star.r1.wait_no_route("30.0.0.0/8", "proto 210")?;
        star.r1.run("ip link set eth2 down")?;
        wait_for(SHORT, "the network of the link to go", || {
            let routes = table(&r1.show("rip routes")?)?;
            let gone = |row: &String| row.contains("10.0.3.0/24") && row.contains("metric=16");
            ensure!(routes.iter().any(gone), "{routes:?}");
            Ok(())
        })?;
        r1.reload(&format!("{NATIVE}{ROUTER}").replace("[rip]\n", "[rip]\nupdate = \"5s\"\n"))?;
        ensure!(r1.cli("rip request eth0")?.status.success(), "rip request");
        let recording = r1.show("status")?["recording"].clone();
        ensure!(recording["stopped"].is_null(), "{recording}");
        ensure!(recording["bytes"].as_u64() > Some(1000), "{recording}");
        let shown = table(&r1.show("rip routes")?)?;
        r1.stop()?;
        a.stop()?;

        let answer = replayed(&file)?;
        ensure!(answer["ending"] == "stopped", "{answer}");
        let engine = &answer["engines"][0];
        let played = table(&engine["routes"])?;
        ensure!(played == shown, "played {played:#?}, shown {shown:#?}");
        ensure!(shown.len() >= 6, "{shown:#?}");
        let neighbors = engine["neighbors"].as_array().context("neighbours")?;
        let auth = |neighbor: &Value| neighbor["auth"] == "md5 key 7";
        ensure!(
            neighbors.len() == 2 && neighbors.iter().any(auth),
            "{engine}"
        );

        let output = replay(&[], &file)?;
        let said = String::from_utf8(output.stdout)?;
        ensure!(said.contains("the same as recorded"), "{said}");
        let text = fs::read_to_string(&file)?;
        let hex: String = SECRET.bytes().map(|byte| format!("{byte:02x}")).collect();
        ensure!(
            !text.contains(SECRET) && !text.contains(&hex),
            "the key is in the file"
        );
        let mode = fs::metadata(&file)?.permissions().mode();
        ensure!(mode & 0o777 == 0o600, "{mode:o}");
        crate::show(&format!(
            "{} bytes, {} lines",
            text.len(),
            text.lines().count()
        ));
        Ok(())
    });
}

#[test]
fn a_daemon_that_was_killed_leaves_a_recording_that_can_be_replayed() {
    lab::test("rip-replay-killed", |lab| {
        let star = Star::new(lab)?;
        let file = lab.directory().join("rip.jsonl");
        let r1 = recorded(lab, &star.r1, &file)?;
        say(&star.b, 30, 3)?;
        r1.wait_route("30.0.0.0/8", "rip")?;
        r1.signal(Signal::SIGKILL)?;
        r1.process().wait(LONG)?;
        let answer = replayed(&file)?;
        ensure!(answer["ending"].is_null(), "{answer}");
        let played = table(&answer["engines"][0]["routes"])?;
        ensure!(
            played.iter().any(|row| row.contains("30.0.0.0/8")),
            "{played:#?}"
        );

        // Cut off in the middle of a line.
        let text = fs::read(&file)?;
        fs::write(&file, &text[..text.len() - 30])?;
        replayed(&file)?;

        // Another daemon does not write over it, and says so before it does anything.
        let config = format!("{NATIVE}{ROUTER}");
        let again = Router::spawn(lab, &star.r1, &config, &recording_to(&file))?;
        let status = again.process().wait(LONG)?;
        let said = again.process().log_tail();
        ensure!(status.code() == Some(1), "it ended with {status}: {said}");
        ensure!(said.contains("is not written over"), "{said}");
        Ok(())
    });
}

#[test]
fn a_changed_recording_is_a_difference_with_both_sides_and_status_1() {
    lab::test("rip-replay-changed", |lab| {
        let star = Star::new(lab)?;
        let file = lab.directory().join("rip.jsonl");
        let r1 = recorded(lab, &star.r1, &file)?;
        say(&star.b, 30, 3)?;
        r1.wait_route("30.0.0.0/8", "rip")?;
        r1.stop()?;
        let text = fs::read_to_string(&file)?;
        let route = "{\"output\":{\"route\":{\"prefix\":\"30.0.0.0/8\",\"metric\":4";
        let changed = text.replace(route, &route.replace(":4", ":5"));
        ensure!(changed != text, "no such line: {text}");
        fs::write(&file, changed)?;
        let output = replay(&[], &file)?;
        let said = String::from_utf8(output.stdout)?;
        ensure!(output.status.code() == Some(1), "{said}");
        for part in [
            "difference",
            "metric 5",
            "metric 4",
            "heard 10.0.2.2 on eth1",
        ] {
            ensure!(said.contains(part), "{part:?} is not in: {said}");
        }
        Ok(())
    });
}
