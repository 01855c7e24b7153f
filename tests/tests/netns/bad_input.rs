//! What the daemon refuses, and how: a clear message that says what to do, exit
//! status 1, nothing left behind; and from the wire: counted, and on it goes.

use std::fs;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Output;

use anyhow::{Context as _, ensure};
use aya::programs::xdp::XdpMode;
use forwarder::bench::Pass;
use forwarder_tests::lab::{
    self, LONG, Lab, Namespace, Router, RouterOptions, SHORT, Star, forwarder_binary, wait_for,
};

use crate::NATIVE;

/// Starts a daemon that has to refuse and returns what it said.
fn refused(lab: &Lab, namespace: &Namespace, config: &str) -> anyhow::Result<String> {
    refused_as(lab, namespace, config, &RouterOptions::default())
}

fn refused_as(
    lab: &Lab,
    namespace: &Namespace,
    config: &str,
    options: &RouterOptions,
) -> anyhow::Result<String> {
    let router = Router::spawn(lab, namespace, config, options)?;
    let status = router.process().wait(LONG)?;
    let said = router.process().log_tail();
    ensure!(status.code() == Some(1), "it ended with {status}: {said}");
    Ok(said)
}

/// Every word has to be in the message.
fn assert_says(said: &str, words: &[&str]) -> anyhow::Result<()> {
    for word in words {
        ensure!(said.contains(word), "{word:?} is not in: {said}");
    }
    ensure!(!said.contains("panicked"), "it panicked: {said}");
    Ok(())
}

#[test]
fn a_bad_configuration_is_one_error_with_its_place() {
    lab::test("bad-config", |lab| {
        let r1 = lab.router_namespace("r1")?;
        let said = refused(lab, &r1, "[dataplane]\nattach = \"sideways\"\n")?;
        assert_says(&said, &["forwarder.toml", "2", "sideways", "native"])?;
        let said = refused(lab, &r1, "[dataplane]\nnative = true\n")?;
        assert_says(&said, &["2", "native", "attach"])?;
        let said = refused(
            lab,
            &r1,
            "[[static]]\nprefix = \"10.0.0.1/8\"\nvia = [\"10.0.0.2\"]\n",
        )?;
        assert_says(&said, &["2", "10.0.0.1/8", "10.0.0.0/8"])
    });
}

#[test]
fn a_configuration_that_is_not_there_is_named() {
    lab::test("bad-no-config", |lab| {
        let r1 = lab.router_namespace("r1")?;
        let mut command = r1.command(forwarder_binary()?);
        command.args(["run", "--config", "/nowhere/forwarder.toml"]);
        let process = lab.spawn("no-config", command)?;
        let status = process.wait(SHORT)?;
        ensure!(status.code() == Some(1), "it ended with {status}");
        assert_says(&process.log_tail(), &["/nowhere/forwarder.toml"])
    });
}

#[test]
fn check_validates_and_touches_nothing() {
    lab::test("bad-check", |lab| {
        let star = Star::new(lab)?;
        let router = lab.start_router(&star.r1, NATIVE)?;
        router.stop()?;
        let file = router.config_file().display().to_string();
        let good = router.cli(&format!("run --check --config {file}"))?;
        ensure!(good.status.success(), "{}", stderr(&good));
        fs::write(&file, "nonsense")?;
        let bad = router.cli(&format!("run --check --config {file}"))?;
        ensure!(bad.status.code() == Some(1), "a bad file was accepted");
        ensure!(
            !star.r1.run("ip -details link show")?.contains("xdp"),
            "a program was attached"
        );
        Ok(())
    });
}

#[test]
fn an_unknown_command_is_a_usage_error() {
    lab::test("bad-usage", |lab| {
        let r1 = lab.router_namespace("r1")?;
        let binary = forwarder_binary()?;
        let output = r1.command(&binary).arg("fly").output()?;
        ensure!(
            output.status.code() == Some(2),
            "it ended with {}",
            output.status
        );
        assert_says(&stderr(&output), &["fly", "Usage"])
    });
}

/// The message for everybody who forgets sudo.
#[test]
fn without_root_it_says_what_is_missing() {
    lab::test("bad-no-root", |lab| {
        let star = Star::new(lab)?;
        // Others may be unable to reach the build directory, and /run may be
        // mounted noexec.
        let directory = tempfile::tempdir()?;
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755))?;
        let binary = directory.path().join("forwarder");
        fs::copy(forwarder_binary()?, &binary)?;
        let config = directory.path().join("forwarder.toml");
        fs::write(&config, NATIVE)?;
        let mut command = star.r1.command("setpriv");
        command
            .args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"])
            .arg(&binary);
        command
            .arg("--run-dir")
            .arg(directory.path().join("run"))
            .args(["run", "--config"]);
        let process = lab.spawn("nobody", {
            command.arg(&config);
            command
        })?;
        let status = process.wait(SHORT)?;
        ensure!(status.code() == Some(1), "it ended with {status}");
        assert_says(&process.log_tail(), &["root"])
    });
}

#[test]
fn a_missing_interface_is_named() {
    lab::test("bad-interface", |lab| {
        let star = Star::new(lab)?;
        let config = "[dataplane]\nattach = \"native\"\ninterfaces = [\"eth7\"]\n";
        let said = refused(lab, &star.r1, config)?;
        assert_says(&said, &["eth7", "does not exist"])?;
        ensure!(
            !star.r1.run("ip -details link show")?.contains("xdp"),
            "a program is left"
        );
        Ok(())
    });
}

/// Whoever was there first keeps the port.
#[test]
fn another_xdp_program_is_not_replaced() {
    lab::test("bad-other-xdp", |lab| {
        let star = Star::new(lab)?;
        let other = star
            .r1
            .enter(|| Ok(Pass::attach("eth1", XdpMode::Driver)?))?;
        let said = refused(lab, &star.r1, NATIVE)?;
        assert_says(&said, &["eth1", "another"])?;
        let links = star.r1.ip_json("link show")?;
        let links = links.as_array().context("no list of links")?;
        let with_program = links
            .iter()
            .filter(|link| link["xdp"]["prog"]["id"].is_u64())
            .count();
        ensure!(
            with_program == 1,
            "{with_program} links have a program: {links:?}"
        );
        drop(other);
        Ok(())
    });
}

#[test]
fn port_520_is_not_shared() {
    lab::test("bad-port-520", |lab| {
        let star = Star::new(lab)?;
        let _held = star.r1.enter(|| Ok(UdpSocket::bind("0.0.0.0:520")?))?;
        let said = refused(
            lab,
            &star.r1,
            &format!("{NATIVE}[rip]\ninterfaces = [\"eth*\"]\n"),
        )?;
        assert_says(&said, &["520"])?;
        ensure!(
            !star.r1.run("ip -details link show")?.contains("xdp"),
            "a program is left"
        );
        Ok(())
    });
}

#[test]
fn a_second_instance_is_refused_with_the_firsts_pid() {
    lab::test("bad-second", |lab| {
        let star = Star::new(lab)?;
        let first = lab.start_router(&star.r1, NATIVE)?;
        let options = RouterOptions {
            instance: "other".into(),
            ..RouterOptions::default()
        };
        let said = refused_as(lab, &star.r1, NATIVE, &options)?;
        assert_says(&said, &[&first.process().pid().to_string()])?;
        star.warm_up(&first)
    });
}

#[test]
fn show_without_a_daemon_says_how_to_start_one() {
    lab::test("bad-no-daemon", |lab| {
        let r1 = lab.router_namespace("r1")?;
        let mut command = r1.command(forwarder_binary()?);
        let output = command
            .arg("--run-dir")
            .arg(lab.directory())
            .args(["show", "status"])
            .output()?;
        ensure!(
            output.status.code() == Some(1),
            "it ended with {}",
            output.status
        );
        assert_says(&stderr(&output), &["default", "forwarder run"])
    });
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// RIP packets as hostile as they come, each with what `show rip errors` must
/// count at least.
#[test]
fn bad_rip_packets_are_counted_and_harm_nothing() {
    lab::test("bad-rip", |lab| {
        let star = Star::new(lab)?;
        let router = lab.start_router(
            &star.r1,
            &format!("{NATIVE}[rip]\ninterfaces = [\"eth0\"]\n"),
        )?;
        let socket = star.a.enter(|| Ok(UdpSocket::bind("10.0.1.2:520")?))?;
        let to = SocketAddrV4::new(Ipv4Addr::new(10, 0, 1, 1), 520);
        for packet in bad_packets() {
            socket.send_to(&packet, to)?;
        }
        socket.send_to(&response(&[rte([20, 1, 0, 0], [255, 255, 0, 0], 2)]), to)?;
        router.wait_route("20.1.0.0/16", "rip")?;
        let total = wait_for(SHORT, "every bad packet to be counted", || {
            let errors = router.show("rip errors")?;
            let list = errors
                .as_array()
                .context("`show rip errors --json` is no list")?;
            let total: u64 = list
                .iter()
                .filter_map(|error| error["count"].as_u64())
                .sum();
            ensure!(
                total >= bad_packets().len() as u64,
                "{total} counted: {errors}"
            );
            Ok(total)
        })?;
        let routes = router.show("rip routes")?.to_string();
        ensure!(
            !routes.contains("66.6."),
            "a bad entry became a route: {routes}"
        );
        let lines = router.process().log().lines().count();
        send_many(&socket, to)?;
        wait_for(SHORT, "the flood to be counted", || {
            let errors = router.show("rip errors")?;
            let list = errors.as_array().context("no list")?;
            let now: u64 = list
                .iter()
                .filter_map(|error| error["count"].as_u64())
                .sum();
            ensure!(now >= total + 500, "{now} counted after {total}");
            Ok(())
        })?;
        let more = router.process().log().lines().count() - lines;
        ensure!(more < 100, "{more} lines were logged for 500 bad packets");
        star.a.run("ping -c 1 -W 3 10.0.1.1").map(drop)
    });
}

fn send_many(socket: &UdpSocket, to: SocketAddrV4) -> anyhow::Result<()> {
    for _ in 0..500 {
        socket.send_to(&[2, 2, 0, 0, 9], to)?;
    }
    Ok(())
}

fn rte(prefix: [u8; 4], mask: [u8; 4], metric: u32) -> [u8; 20] {
    let mut rte = [0; 20];
    rte[1] = 2;
    rte[4..8].copy_from_slice(&prefix);
    rte[8..12].copy_from_slice(&mask);
    rte[16..].copy_from_slice(&metric.to_be_bytes());
    rte
}

fn response(rtes: &[[u8; 20]]) -> Vec<u8> {
    [2, 2, 0, 0]
        .iter()
        .chain(rtes.iter().flatten())
        .copied()
        .collect()
}

fn bad_packets() -> Vec<Vec<u8>> {
    let mask = [255, 255, 0, 0];
    let good = rte([66, 6, 0, 0], mask, 3);
    let mut wrong_length = response(&[good]);
    wrong_length.pop();
    let mut unknown_command = response(&[good]);
    unknown_command[0] = 77;
    let mut version_0 = response(&[good]);
    version_0[1] = 0;
    vec![
        vec![2],
        vec![2, 2, 0],
        wrong_length,
        unknown_command,
        version_0,
        response(&[good; 26]),
        response(&[rte([66, 6, 0, 0], mask, 0)]),
        response(&[rte([66, 6, 0, 0], mask, 17)]),
        response(&[rte([66, 6, 0, 0], mask, u32::MAX)]),
        response(&[rte([66, 6, 0, 1], mask, 3)]),
        response(&[rte([66, 6, 0, 0], [255, 0, 255, 0], 3)]),
        response(&[rte([127, 0, 0, 0], [255, 0, 0, 0], 3)]),
        response(&[rte([224, 0, 0, 0], [240, 0, 0, 0], 3)]),
    ]
}
