//! `another-user ROLE [NUMBER]`: what another user of the machine does with the
//! routing socket, for the tests of who may change routes. Its standard input is a
//! connection, or the socket's directory.
#![expect(clippy::print_stdout, reason = "how long it took, for the test")]

use std::os::fd::AsFd as _;
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use forwarder_tests::bsd::bed::{CONNECTED, GATEWAY, SUBNET, flood};
use forwarder_tests::bsd::{Client, Request, greeting, named};
use nix::errno::Errno;
use nix::unistd::{Gid, Uid, setgid, setgroups, setuid};

/// User and group `nobody`.
const NOBODY: u32 = 65_534;
const EPERM: i32 = Errno::EPERM as i32;

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let role = arguments.next().context("no role")?;
    let mut number = || -> anyhow::Result<u32> {
        let number = arguments.next().context("no number")?;
        number.parse().with_context(|| format!("{number:?}"))
    };
    match role.as_str() {
        "asks" => ask(&mut given()?),
        "changes" => change(&mut given()?),
        "greets" => greet(&given()?),
        "joins" => {
            become_member(number()?)?;
            add(&mut own()?)
        }
        "floods" => {
            println!("{}", flood(&mut own()?, number()?)?.as_millis());
            Ok(())
        }
        other => bail!("{other:?} is no role"),
    }
}

/// The connection that it was started with.
fn given() -> anyhow::Result<Client> {
    let descriptor = std::io::stdin().as_fd().try_clone_to_owned()?;
    Ok(Client::from(descriptor))
}

/// A connection of its own. Where the directory lies may be closed to this user;
/// itself it is not.
fn own() -> anyhow::Result<Client> {
    Client::connect(Path::new("/proc/self/fd/0/route.sock"))
}

/// Gives up being root for a group, which is not the one it acts in.
fn become_member(group: u32) -> anyhow::Result<()> {
    setgroups(&[Gid::from_raw(group)])?;
    setgid(Gid::from_raw(NOBODY))?;
    setuid(Uid::from_raw(NOBODY))?;
    Ok(())
}

fn add(client: &mut Client) -> anyhow::Result<()> {
    client.done(Request::add(SUBNET, GATEWAY)?).map(drop)
}

fn change(client: &mut Client) -> anyhow::Result<()> {
    client.done(Request::get(CONNECTED)?)?;
    add(client)
}

fn ask(client: &mut Client) -> anyhow::Result<()> {
    client.done(Request::get(CONNECTED)?)?;
    client.refused(Request::add(SUBNET, GATEWAY)?, EPERM)?;
    client.refused(Request::change(CONNECTED)?, EPERM)?;
    client.refused(Request::delete(CONNECTED)?, EPERM).map(drop)
}

fn greet(client: &Client) -> anyhow::Result<()> {
    ensure!(client.greet(&named("bgp"))? == EPERM);
    ensure!(client.greet(&greeting(0, 0))? == 0, "without a name");
    Ok(())
}
