//! Who may change routes: asked of every message, not of the connection.

use std::process::Stdio;

use anyhow::ensure;
use forwarder_tests::bsd::{Client, Request};
use forwarder_tests::lab::wait_for;
use nix::unistd::{ForkResult, Uid, fork, setuid};

use super::{EPERM, ESRCH, GATEWAY, SUBNET, case};

#[test]
fn route4_case_65_others_may_ask_but_not_change() {
    case("65", |bed, client| {
        let socket = bed.socket();
        // A thread of its own has its own credentials only by the bare system
        // call; setuid of the C library changes them all. So: a process.
        let answer = in_a_child(move || {
            setuid(Uid::from_raw(65_534))?;
            let mut other = Client::connect(&socket)?;
            other.refused(Request::add(SUBNET, GATEWAY)?, EPERM)?;
            other.refused(Request::delete(super::CONNECTED)?, EPERM)?;
            other.done(Request::get(super::CONNECTED)?)?;
            Ok(())
        })?;
        ensure!(answer == 0, "the child's status is {answer}");
        client.refused(Request::get(SUBNET)?, ESRCH).map(drop)
    });
}

/// A connection of root's, handed to somebody else: what he writes is his.
#[test]
fn route4_case_66_a_forked_child_writes_in_its_own_name() {
    case("66-fork", |bed, client| {
        let mut shared = bed.client()?;
        shared.done(Request::get(super::CONNECTED)?)?;
        let answer = in_a_child(move || {
            // ask() waits for a reply with the child's own pid.
            shared.done(Request::get(super::CONNECTED)?)?;
            setuid(Uid::from_raw(65_534))?;
            shared.refused(Request::add(SUBNET, GATEWAY)?, EPERM)?;
            Ok(())
        })?;
        ensure!(answer == 0, "the child's status is {answer}");
        client.refused(Request::get(SUBNET)?, ESRCH).map(drop)
    });
}
