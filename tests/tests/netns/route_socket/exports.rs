//! `RTM_EXPORT_FAILED`: what the kernel has refused, told to whose route it is.

use anyhow::{Context as _, ensure};
use forwarder_tests::bsd::number::*;
use forwarder_tests::bsd::{Client, Message, Request, greeting, named};
use forwarder_tests::lab::{SHORT, wait_for};

use super::{Bed, ENETUNREACH, OTHER_GATEWAY, case};

const NET: &str = "203.0.113.0/24";
const NET6: &str = "2001:db8:f::/48";
/// A net on eth0's link whose route has a router's scope: its hosts are reached,
/// but are no gateways to the kernel.
const SCOPED: &str = "10.5.0.0/24";
/// Two of them.
const SCOPED_GATEWAY: &str = "10.5.0.1";
const OTHER_SCOPED_GATEWAY: &str = "10.5.0.2";
const EACCES: i32 = 13;
/// In the greeting.
const NO_LISTEN: u32 = 2;

/// Makes [`SCOPED`], and waits until the daemon knows.
fn scoped(bed: &Bed, client: &Client) -> anyhow::Result<()> {
    bed.r1
        .run(&format!("ip route add {SCOPED} dev eth0 scope global"))?;
    let is_there = |message: &Message| {
        message.kind() == RTM_ADD && message.prefix().as_deref() == Some(SCOPED)
    };
    client.wait("the net", is_there).map(drop)
}

fn is_failure(message: &Message) -> bool {
    message.kind() == RTM_EXPORT_FAILED
}

/// Asks for a route that the kernel will refuse, and waits for its word.
fn fail(client: &mut Client, request: Request, errno: i32) -> anyhow::Result<Message> {
    let added = client.done(request)?;
    let told = client.wait("the failure", is_failure)?;
    ensure!(told.errno() == errno, "{told:?}");
    ensure!(told.prefix() == added.prefix(), "{told:?}");
    ensure!((told.pid(), told.seq()) == (added.pid(), added.seq()));
    ensure!(told.flags() & (RTF_DONE | RTF_UP) == 0, "{told:?}");
    Ok(told)
}

fn greeted(bed: &Bed, greeting: &[u8]) -> anyhow::Result<Client> {
    let client = bed.client()?;
    ensure!(client.greet(greeting)? == 0);
    Ok(client)
}

fn hears_of_no_failure(client: &mut Client) -> anyhow::Result<()> {
    let heard = client.drain()?;
    ensure!(!heard.iter().any(is_failure), "{heard:#?}");
    Ok(())
}

fn failures(bed: &Bed) -> anyhow::Result<u64> {
    let clients = bed.router.show("clients")?;
    let count = clients.pointer("/totals/events/export-failed");
    count.and_then(|count| count.as_u64()).context("a count")
}

#[test]
fn route4_a_failed_export_is_told_to_the_owner() {
    case("export-failed", |bed, client| {
        scoped(bed, client)?;
        let mut other = bed.client()?;
        // By the kernel's judgement of the gateway.
        let told = fail(client, Request::add(NET, SCOPED_GATEWAY)?, ENETUNREACH)?;
        ensure!(told.addrs() == RTA_DST | RTA_NETMASK, "{told:?}");
        ensure!(failures(bed)? == 1);
        // The route is in the table all the same, and changed it is news.
        fail(
            client,
            Request::change(NET)?.gateway(OTHER_SCOPED_GATEWAY)?,
            ENETUNREACH,
        )?;
        client.done(Request::change(NET)?.gateway(OTHER_GATEWAY)?)?;
        wait_for(SHORT, "the route", || {
            let routes = bed.r1.run("ip route show 203.0.113.0/24")?;
            ensure!(routes.contains(OTHER_GATEWAY), "{routes:?}");
            Ok(())
        })?;
        hears_of_no_failure(client)?;
        hears_of_no_failure(&mut other)
    });
}

/// The exporter tries again whenever a link has changed.
#[test]
fn route4_a_failed_export_is_told_once() {
    case("export-once", |bed, client| {
        scoped(bed, client)?;
        fail(client, Request::add(NET, SCOPED_GATEWAY)?, ENETUNREACH)?;
        for address in ["192.0.2.7", "192.0.2.8"] {
            bed.r1.run(&format!("ip addr add {address}/24 dev eth0"))?;
            client.wait("the address", |message| {
                message.kind() == RTM_NEWADDR && message.ip(RTA_IFA) == address.parse().ok()
            })?;
        }
        // What fails next comes behind whatever the repetitions had caused.
        let told = fail(
            client,
            Request::add("198.18.0.0/15", SCOPED_GATEWAY)?,
            ENETUNREACH,
        )?;
        ensure!(
            told.prefix().as_deref() == Some("198.18.0.0/15"),
            "{told:?}"
        );
        ensure!(failures(bed)? == 2);
        hears_of_no_failure(client)
    });
}

/// Whoever bears the name; not the others of the same user.
#[test]
fn route4_a_failed_export_is_told_to_the_connections_of_its_name() {
    case("export-named", |bed, client| {
        scoped(bed, client)?;
        let mut owner = greeted(bed, &named("bgp"))?;
        let second = greeted(bed, &named("bgp"))?;
        let mut stranger = greeted(bed, &named("ospf"))?;
        let told = fail(&mut owner, Request::add(NET, SCOPED_GATEWAY)?, ENETUNREACH)?;
        let copy = second.wait("the failure", is_failure)?;
        ensure!(copy.bytes() == told.bytes(), "{copy:?}");
        hears_of_no_failure(&mut stranger)?;
        hears_of_no_failure(client)?;
        // What another changes is the name's business still, whoever bears it.
        let heir = greeted(bed, &named("bgp"))?;
        drop((owner, second));
        client.done(Request::change(NET)?.gateway(OTHER_SCOPED_GATEWAY)?)?;
        let told = heir.wait("the failure", is_failure)?;
        ensure!(told.prefix().as_deref() == Some(NET), "{told:?}");
        hears_of_no_failure(client)
    });
}

/// It is an answer, though a late one.
#[test]
fn route4_a_failed_export_is_told_to_who_does_not_listen() {
    case("export-deaf", |bed, listener| {
        scoped(bed, listener)?;
        let mut client = greeted(bed, &greeting(0, NO_LISTEN))?;
        fail(&mut client, Request::add(NET, SCOPED_GATEWAY)?, ENETUNREACH).map(drop)
    });
}

/// On an interface whose IPv6 is switched off.
#[test]
fn route4_a_failed_export_of_ipv6_is_told_to_the_owner() {
    case("export-ipv6", |bed, client| {
        let mut other = bed.client()?;
        bed.r1.sysctl("net/ipv6/conf/eth1/disable_ipv6", "1")?;
        let request = Request::add(NET6, "fe80::2")?.interface(bed.eth1);
        fail(client, request, EACCES)?;
        hears_of_no_failure(&mut other)
    });
}
