//! Who may change routes: asked of every message, not of the connection. And
//! what one user leaves to the others.
//!
//! Another user is another process: this executable again, as the test
//! [`another_user`], with a connection or the socket's directory as its standard
//! input.

use std::fs::File;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use forwarder_tests::bsd::number::*;
use forwarder_tests::bsd::{Client, Request, greeting, named};
use forwarder_tests::lab::{SHORT, wait_for};
use nix::unistd::{Gid, Uid, setgid, setgroups, setuid};

use super::{Bed, CONNECTED, EEXIST, EINVAL, EPERM, ESRCH, GATEWAY, SUBNET, case, configured};

/// User and group `nobody`.
const NOBODY: u32 = 65_534;
/// A group that is in no file.
const MEMBERS: u32 = 54_321;
/// What the other user is to do.
const ROLE: &str = "FORWARDER_TEST_ROLE";
/// Requests a second that [`route4_limits_of_one_user_leave_the_others_alone`]
/// allows; a second's worth may come early.
const RATE: u32 = 1_000;

#[test]
fn route4_case_65_others_may_ask_but_not_change() {
    case("65", |bed, client| {
        run(&bed.client()?, |command| {
            command.uid(NOBODY).gid(NOBODY).env(ROLE, "asks");
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
            command.env(ROLE, "changes");
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
                command.uid(NOBODY).gid(MEMBERS).env(ROLE, "changes");
            })?;
            client.done(Request::get(SUBNET)?)?;
            client.done(Request::delete(SUBNET)?)?;
            run(&bed.client()?, |command| {
                command.uid(NOBODY).gid(NOBODY).env(ROLE, "asks");
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
            command.env(ROLE, "joins");
        })?;
        client.done(Request::get(SUBNET)?).map(drop)
    });
}

#[test]
fn route4_a_greeting_that_makes_no_sense_is_refused() {
    case("greeting-refused", |bed, client| {
        run(&bed.client()?, |command| {
            command.uid(NOBODY).gid(NOBODY).env(ROLE, "greets");
        })?;
        ensure!(greet(client, &greeting(0, 0x8000_0000))? == EINVAL);
        ensure!(greet(client, &greeting(9, 0))? == EINVAL, "an unknown mode");
        ensure!(greet(client, &named("bgp"))? == 0);
        ensure!(greet(client, &greeting(0, 0))? == EEXIST);
        // None of it ends the connection.
        client.refused(Request::get(SUBNET)?, ESRCH).map(drop)
    });
}

/// The errno of the answer to a greeting.
fn greet(client: &Client, greeting: &[u8]) -> anyhow::Result<i32> {
    client.send(greeting)?;
    let reply = client.wait("the reply", |message| message.kind() == RTM_GREETING_REPLY)?;
    Ok(reply.greeting_errno())
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
        let theirs = of_another_user(bed, "floods")?;
        let ours = flood(client)?;
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

/// Three seconds' worth of questions: how long they take.
fn flood(client: &mut Client) -> anyhow::Result<Duration> {
    let start = Instant::now();
    for _ in 0..3 * RATE {
        client.done(Request::get(CONNECTED)?)?;
    }
    Ok(start.elapsed())
}

/// Lets another user connect by itself, and do this: how long it took.
fn of_another_user(bed: &Bed, role: &str) -> anyhow::Result<Duration> {
    let start = Instant::now();
    let directory = File::open(bed.router.run_dir())?;
    run_with(directory.into(), |command| {
        command.uid(NOBODY).gid(NOBODY).env(ROLE, role);
    })?;
    Ok(start.elapsed())
}

fn run(connection: &Client, prepare: impl FnOnce(&mut Command)) -> anyhow::Result<()> {
    run_with(connection.socket().as_fd().try_clone_to_owned()?, prepare)
}

fn run_with(input: OwnedFd, prepare: impl FnOnce(&mut Command)) -> anyhow::Result<()> {
    // By its link, which another user may follow wherever the file lies.
    let mut command = Command::new("/proc/self/exe");
    command
        .args(["--ignored", "--exact", "--nocapture"])
        .arg("route_socket::privilege::another_user")
        .stdin(Stdio::from(input));
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
    let role = std::env::var(ROLE).expect("a role");
    let input = std::io::stdin().as_fd().try_clone_to_owned();
    let input = || input.expect("a connection or a directory as standard input");
    let act = || -> anyhow::Result<()> {
        // Where the directory lies may be closed to this user; itself it is not.
        let socket = Path::new("/proc/self/fd/0/route.sock");
        if role == "joins" {
            setgroups(&[Gid::from_raw(MEMBERS)])?;
            setgid(Gid::from_raw(NOBODY))?;
            setuid(Uid::from_raw(NOBODY))?;
            let mut client = Client::connect(socket)?;
            return client.done(Request::add(SUBNET, GATEWAY)?).map(drop);
        }
        if role == "floods" {
            let mut client = Client::connect(socket)?;
            let took = flood(&mut client)?;
            // The first second's worth may come at once.
            ensure!(took >= Duration::from_millis(1_900), "not slowed: {took:?}");
            return Ok(());
        }
        let mut client = Client::from(input());
        if role == "greets" {
            ensure!(greet(&client, &named("bgp"))? == EPERM);
            ensure!(greet(&client, &greeting(0, 0))? == 0, "without a name");
            return Ok(());
        }
        client.done(Request::get(CONNECTED)?)?;
        if role == "changes" {
            return client.done(Request::add(SUBNET, GATEWAY)?).map(drop);
        }
        client.refused(Request::add(SUBNET, GATEWAY)?, EPERM)?;
        client.refused(Request::change(CONNECTED)?, EPERM)?;
        client.refused(Request::delete(CONNECTED)?, EPERM).map(drop)
    };
    act().expect("what this user may do");
}
