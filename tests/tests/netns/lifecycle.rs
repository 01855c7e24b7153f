//! Start, reload, stop: all or nothing, and nothing left.

use std::fs;

use anyhow::{Context as _, ensure};
use forwarder_tests::lab::{self, Namespace, SHORT, Star, wait_for};
use nix::sys::signal::Signal;

use crate::NATIVE;

const ONE: &str = "[[static]]\nprefix = \"198.51.100.0/24\"\nvia = [\"10.0.2.2\"]\n";
const TWO: &str = "[[static]]\nprefix = \"203.0.113.0/24\"\nvia = [\"10.0.3.2\"]\n";
const RIP: &str = "[rip]\ninterfaces = [\"eth*\"]\n";

/// No program on a port, no route of ours, nobody on port 520.
fn assert_clean(r1: &Namespace) -> anyhow::Result<()> {
    let links = r1.run("ip -details link show")?;
    ensure!(!links.contains("xdp"), "a program is left: {links}");
    ensure!(r1.own_routes()? == 0, "routes are left");
    let sockets = r1.run("ss -uan")?;
    ensure!(!sockets.contains(":520 "), "a socket is left: {sockets}");
    Ok(())
}

#[test]
fn sigterm_leaves_nothing() {
    lab::test("life-sigterm", |lab| {
        let star = Star::new(lab)?;
        let router = lab.start_router(&star.r1, &format!("{NATIVE}{ONE}{RIP}"))?;
        star.warm_up(&router)?;
        star.r1.wait_route("198.51.100.0/24", "proto forwarder")?;
        ensure!(
            star.r1.run("ip -details link show")?.contains("xdp"),
            "no program is attached"
        );
        ensure!(star.r1.run("ss -uan")?.contains(":520 "), "no RIP socket");
        let status = router.stop()?;
        ensure!(status.success(), "it ended with {status}");
        assert_clean(&star.r1)?;
        ensure!(
            !router.run_dir().join("api.sock").exists(),
            "api.sock is left"
        );
        // The kernel goes on forwarding.
        star.a.run("ping -c 1 -W 3 10.0.2.2").map(drop)
    });
}

#[test]
fn stop_ends_the_daemon() {
    lab::test("life-stop", |lab| {
        let star = Star::new(lab)?;
        let router = lab.start_router(&star.r1, &format!("{NATIVE}{ONE}"))?;
        let output = router.cli("stop")?;
        ensure!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let status = router.process().wait(SHORT)?;
        ensure!(status.success(), "it ended with {status}");
        assert_clean(&star.r1)
    });
}

#[test]
fn a_crash_is_cleaned_up_by_detach() {
    lab::test("life-detach", |lab| {
        let star = Star::new(lab)?;
        let router = lab.start_router(&star.r1, &format!("{NATIVE}{ONE}"))?;
        star.r1.wait_route("198.51.100.0/24", "proto forwarder")?;
        router.process().kill();
        let output = router.cli("detach")?;
        ensure!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert_clean(&star.r1)
    });
}

/// Routes of an earlier life that are no longer wanted go, the others stay.
#[test]
fn a_start_after_a_crash_adopts_its_routes() {
    lab::test("life-crash", |lab| {
        let star = Star::new(lab)?;
        let router = lab.start_router(&star.r1, &format!("{NATIVE}{ONE}{TWO}"))?;
        star.r1.wait_route("203.0.113.0/24", "proto forwarder")?;
        router.process().kill();
        let router = lab.start_router(&star.r1, &format!("{NATIVE}{ONE}"))?;
        star.r1.wait_no_route("203.0.113.0/24", "proto forwarder")?;
        star.r1.wait_route("198.51.100.0/24", "proto forwarder")?;
        star.warm_up(&router)?;
        router.wait_forward("198.51.100.1", "eth1")
    });
}

#[test]
fn reload_and_sighup_apply_the_new_configuration() {
    lab::test("life-reload", |lab| {
        let star = Star::new(lab)?;
        let router = lab.start_router(&star.r1, &format!("{NATIVE}{ONE}"))?;
        star.warm_up(&router)?;
        router.wait_forward("198.51.100.1", "eth1")?;
        router.reload(&format!("{NATIVE}{TWO}"))?;
        router.wait_forward("203.0.113.1", "eth2")?;
        router.wait_verdict("198.51.100.1", "up", "no-route")?;
        star.r1.wait_no_route("198.51.100.0/24", "via")?;
        fs::write(router.config_file(), format!("{NATIVE}{ONE}{TWO}"))?;
        router.signal(Signal::SIGHUP)?;
        router.wait_forward("198.51.100.1", "eth1")?;
        router.wait_forward("203.0.113.1", "eth2")
    });
}

#[test]
fn a_bad_configuration_changes_nothing() {
    lab::test("life-bad-reload", |lab| {
        let star = Star::new(lab)?;
        let router = lab.start_router(&star.r1, &format!("{NATIVE}{ONE}"))?;
        star.warm_up(&router)?;
        router.wait_forward("198.51.100.1", "eth1")?;
        let bad =
            format!("{NATIVE}{TWO}[[static]]\nprefix = \"192.0.2.0/33\"\nvia = [\"10.0.2.2\"]\n");
        fs::write(router.config_file(), bad)?;
        let output = router.cli("reload")?;
        ensure!(
            output.status.code() == Some(1),
            "reload ended with {}",
            output.status
        );
        let text = String::from_utf8(output.stderr)?;
        ensure!(
            text.contains("192.0.2.0/33"),
            "the error does not show what is wrong: {text}"
        );
        // By signal nobody is told but the log.
        router.signal(Signal::SIGHUP)?;
        wait_for(SHORT, "the refusal in the log", || {
            ensure!(
                router.process().log().contains("192.0.2.0/33"),
                "{}",
                router.process().log_tail()
            );
            Ok(())
        })?;
        router.wait_forward("198.51.100.1", "eth1")?;
        router.wait_verdict("203.0.113.1", "up", "no-route")
    });
}

#[test]
fn generations_of_all_sinks_reach_the_ribs() {
    lab::test("life-generations", |lab| {
        let star = Star::new(lab)?;
        let router = lab.start_router(&star.r1, &format!("{NATIVE}{ONE}"))?;
        router.wait_until_settled()?;
        let epoch = router.show("status")?["generation"]["epoch"].clone();
        router.stop()?;
        let router = lab.start_router(&star.r1, &format!("{NATIVE}{ONE}"))?;
        router.wait_until_settled()?;
        let next = router.show("status")?["generation"]["epoch"].clone();
        ensure!(
            next != epoch && next.is_u64(),
            "a new life has the same epoch {next}"
        );
        Ok(())
    });
}

#[test]
fn the_api_is_plain_http() {
    lab::test("life-curl", |lab| {
        let star = Star::new(lab)?;
        let router = lab.start_router(&star.r1, NATIVE)?;
        let mut api = router.api()?;
        let status = api.get("/v1/status")?;
        ensure!(status["pid"] == router.process().pid(), "{status}");
        let routes = api.get("/v1/routes")?;
        let routes = routes.as_array().context("no list of routes")?;
        ensure!(
            routes.iter().any(|route| route["prefix"] == "10.0.1.0/24"),
            "{routes:?}"
        );
        let refused = api.get("/v1/nonsense");
        ensure!(refused.is_err(), "an unknown path was answered with 200");
        Ok(())
    });
}
