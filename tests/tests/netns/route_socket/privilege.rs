//! Who may change routes: asked of every message, not of the connection. And
//! what one user leaves to the others.
//!
//! Another user is another process, `another-user`, with a connection or the
//! socket's directory as its standard input.

use std::fs::File;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use forwarder_tests::bsd::bed::flood;
use forwarder_tests::bsd::{Client, Request, greeting, named};
use forwarder_tests::lab::{SHORT, wait_for};

use super::{CONNECTED, EEXIST, EINVAL, ESRCH, SUBNET, case, configured};

/// User and group `nobody`.
const NOBODY: u32 = 65_534;
/// A group that is in no file.
const MEMBERS: u32 = 54_321;
/// Requests a second that [`route4_limits_of_one_user_leave_the_others_alone`]
/// allows; a second's worth may come early.
const RATE: u32 = 1_000;

#[test]
fn route4_case_65_others_may_ask_but_not_change() {
    case("65", |bed, client| {
        run(&bed.client()?, |command| {
            command.uid(NOBODY).gid(NOBODY).arg("asks");
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
            command.arg("changes");
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
                command.uid(NOBODY).gid(MEMBERS).arg("changes");
            })?;
            client.done(Request::get(SUBNET)?)?;
            client.done(Request::delete(SUBNET)?)?;
            run(&bed.client()?, |command| {
                command.uid(NOBODY).gid(NOBODY).arg("asks");
            })
        },
    );
}

/// By any group that the connecting process is in (`SO_PEERGROUPS`): the group
/// that a login acts in is seldom the one that matters.
#[test]
fn route4_members_by_another_of_their_groups_may_change() {
    let config = format!("[route-socket]\ngroup = \"{MEMBERS}\"\n");
    configured("groups", &config, |bed, client| {
        let directory = File::open(bed.router.run_dir())?;
        run_with(directory.into(), |command| {
            command.args(["joins", &MEMBERS.to_string()]);
        })?;
        client.done(Request::get(SUBNET)?).map(drop)
    });
}

#[test]
fn route4_a_greeting_that_makes_no_sense_is_refused() {
    case("greeting-refused", |bed, client| {
        run(&bed.client()?, |command| {
            command.uid(NOBODY).gid(NOBODY).arg("greets");
        })?;
        ensure!(client.greet(&greeting(0, 0x8000_0000))? == EINVAL);
        ensure!(client.greet(&greeting(9, 0))? == EINVAL, "an unknown mode");
        ensure!(client.greet(&named("bgp"))? == 0);
        ensure!(client.greet(&greeting(0, 0))? == EEXIST);
        // None of it ends the connection.
        client.refused(Request::get(SUBNET)?, ESRCH).map(drop)
    });
}

#[test]
fn route4_limits_of_one_user_leave_the_others_alone() {
    let config = format!("[route-socket]\nmax-connections = 3\nrequests-per-second = {RATE}\n");
    configured("limits", &config, |bed, client| {
        let second = bed.client()?;
        let mut third = bed.client()?;
        third.done(Request::get(CONNECTED)?)?;
        let fourth = bed.client()?;
        match fourth.next_within(SHORT) {
            Err(error) if error.to_string().contains("closed") => {}
            other => bail!("one too many is not hung up on: {other:?}"),
        }
        let questions = 3 * RATE;
        let directory = File::open(bed.router.run_dir())?;
        let took = run_with(directory.into(), |command| {
            let command = command.uid(NOBODY).gid(NOBODY);
            command.args(["floods", &questions.to_string()]);
        })?;
        let theirs = Duration::from_millis(took.trim().parse()?);
        // The first second's worth may come at once.
        ensure!(
            theirs >= Duration::from_millis(1_900),
            "not slowed: {theirs:?}"
        );
        let ours = flood(client, questions)?;
        ensure!(
            ours < theirs,
            "root is slowed: {ours:?}, they took {theirs:?}"
        );
        let totals = &bed.router.show("clients")?["totals"];
        ensure!(totals["turned_away"] == 1, "{totals}");
        // A place that is left is free.
        drop(second);
        wait_for(SHORT, "a place", || {
            bed.client()?.done(Request::get(CONNECTED)?).map(drop)
        })
    });
}

fn run(connection: &Client, prepare: impl FnOnce(&mut Command)) -> anyhow::Result<()> {
    let descriptor = connection.socket().as_fd().try_clone_to_owned()?;
    run_with(descriptor, prepare).map(drop)
}

/// Starts the other process; what it says.
fn run_with(input: OwnedFd, prepare: impl FnOnce(&mut Command)) -> anyhow::Result<String> {
    // By a descriptor, which another user may follow wherever the file lies.
    let program = File::open(env!("CARGO_BIN_EXE_another-user"))?;
    let mut command = Command::new(format!("/proc/self/fd/{}", program.as_raw_fd()));
    command.stdin(Stdio::from(input));
    prepare(&mut command);
    let output = command.output().context("starting the other process")?;
    ensure!(output.status.success(), "{output:?}");
    Ok(String::from_utf8(output.stdout)?)
}
