//! Who may change routes: asked of every message, not of the connection.
//!
//! Another user is another process: this executable again, as the test
//! [`another_user`], with a connection as its standard input.

use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use forwarder_tests::bsd::{Client, Request};

use super::{CONNECTED, EPERM, ESRCH, GATEWAY, SUBNET, case, configured};

/// User and group `nobody`.
const NOBODY: u32 = 65_534;
const MAY_CHANGE: &str = "FORWARDER_TEST_MAY_CHANGE";

#[test]
fn route4_case_65_others_may_ask_but_not_change() {
    case("65", |bed, client| {
        run(&bed.client()?, |command| {
            command.uid(NOBODY).gid(NOBODY).env(MAY_CHANGE, "no");
        })?;
        client.refused(Request::get(SUBNET)?, ESRCH).map(drop)
    });
}

/// A connection of root's, handed on: what a child writes is the child's, and
/// bears its pid.
#[test]
fn route4_case_66_a_child_writes_in_its_own_name() {
    case("66-child", |bed, client| {
        let mut shared = bed.client()?;
        shared.done(Request::get(CONNECTED)?)?;
        run(&shared, |command| {
            command.env(MAY_CHANGE, "yes");
        })?;
        client.done(Request::get(SUBNET)?).map(drop)
    });
}

/// By the group that the sender acts in.
#[test]
fn route4_members_of_the_configured_group_may_change() {
    configured(
        "group",
        "[route-socket]\ngroup = \"54321\"\n",
        |bed, client| {
            run(&bed.client()?, |command| {
                command.uid(NOBODY).gid(54_321).env(MAY_CHANGE, "yes");
            })?;
            client.done(Request::get(SUBNET)?)?;
            client.done(Request::delete(SUBNET)?)?;
            run(&bed.client()?, |command| {
                command.uid(NOBODY).gid(NOBODY).env(MAY_CHANGE, "no");
            })
        },
    );
}

fn run(connection: &Client, prepare: impl FnOnce(&mut Command)) -> anyhow::Result<()> {
    let descriptor: OwnedFd = connection.socket().as_fd().try_clone_to_owned()?;
    // By its link, which another user may follow wherever the file lies.
    let mut command = Command::new("/proc/self/exe");
    command
        .args(["--ignored", "--exact", "--nocapture"])
        .arg("route_socket::privilege::another_user")
        .stdin(Stdio::from(descriptor));
    prepare(&mut command);
    let output = command.output().context("starting the other process")?;
    ensure!(
        output.status.success() && String::from_utf8_lossy(&output.stdout).contains("1 passed"),
        "{output:?}"
    );
    Ok(())
}

#[test]
#[ignore = "the other process of the tests above"]
fn another_user() {
    let connection = std::io::stdin().as_fd().try_clone_to_owned();
    let mut client = Client::from(connection.expect("a connection as standard input"));
    let mut judge = || -> anyhow::Result<()> {
        client.done(Request::get(CONNECTED)?)?;
        if std::env::var(MAY_CHANGE)? == "yes" {
            return client.done(Request::add(SUBNET, GATEWAY)?).map(drop);
        }
        client.refused(Request::add(SUBNET, GATEWAY)?, EPERM)?;
        client.refused(Request::change(CONNECTED)?, EPERM)?;
        client.refused(Request::delete(CONNECTED)?, EPERM).map(drop)
    };
    judge().expect("what this user may do");
}
