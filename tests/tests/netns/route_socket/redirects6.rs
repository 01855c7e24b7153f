//! ICMPv6 redirects, sent by a raw socket on h0: from one router's link-local
//! address to r1's, over no router (RFC 4861 §8).

use std::net::{Ipv6Addr, SocketAddrV6};

use anyhow::{Context as _, ensure};
use forwarder_tests::bsd::number::*;
use forwarder_tests::bsd::{Client, Message, Request};
use forwarder_tests::lab::{SHORT, wait_for};
use nix::net::if_::if_nametoindex;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::redirects::ACCEPT;
use super::{Bed, EHOSTUNREACH, EINVAL, EPERM, ESRCH, case, configured};

const HOST: &str = "2001:db8:f::9";
const ROUTE: &str = "2001:db8:f::9/128";
/// r1 on the link with h0.
const R1: &str = "fe80::1";
/// h0, the router in use.
const GATEWAY: &str = "fe80::fe";
/// Nearer to the host, by its word.
const NEARER: &str = "fe80::9";
/// What a redirect must arrive with.
const OVER_NO_ROUTER: u32 = 255;

/// Gives both their addresses on the link, and r1 a default route.
fn prepare(bed: &Bed, client: &mut Client) -> anyhow::Result<()> {
    bed.r1
        .run(&format!("ip -6 addr add {R1}/64 dev eth0 nodad"))?;
    for address in [GATEWAY, NEARER] {
        bed.h0
            .run(&format!("ip -6 addr add {address}/64 dev eth0 nodad"))?;
    }
    client.wait("r1's address", |message| {
        message.kind() == RTM_ADD && message.ip(RTA_DST) == R1.parse().ok()
    })?;
    let default = Request::add("::/0", GATEWAY)?.interface(bed.eth0);
    client.done(default).map(drop)
}

/// Sends r1 a redirect from this address of h0's.
fn redirect(bed: &Bed, author: &str, destination: &str, target: &str) -> anyhow::Result<()> {
    redirect_with(bed, author, destination, target, OVER_NO_ROUTER)
}

fn redirect_with(
    bed: &Bed,
    author: &str,
    destination: &str,
    target: &str,
    hop_limit: u32,
) -> anyhow::Result<()> {
    let mut packet = vec![137, 0, 0, 0, 0, 0, 0, 0];
    for address in [target, destination] {
        packet.extend_from_slice(&address.parse::<Ipv6Addr>()?.octets());
    }
    let (author, to): (Ipv6Addr, Ipv6Addr) = (author.parse()?, R1.parse()?);
    bed.h0.enter(|| {
        let link = if_nametoindex("eth0")?;
        let address = |address| SockAddr::from(SocketAddrV6::new(address, 0, 0, link));
        let socket = Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::ICMPV6))?;
        socket.set_unicast_hops_v6(hop_limit)?;
        socket.bind(&address(author))?;
        // The kernel fills in the checksum.
        socket.send_to(&packet, &address(to))?;
        Ok(())
    })
}

fn is_told(message: &Message) -> bool {
    message.kind() == RTM_REDIRECT
}

fn no_route(client: &mut Client) -> anyhow::Result<()> {
    client.refused(Request::get(ROUTE)?, ESRCH).map(drop)
}

#[test]
fn route4_case_49_an_icmpv6_redirect_makes_a_host_route() {
    configured("49-ipv6", ACCEPT, |bed, client| {
        prepare(bed, client)?;
        redirect(bed, GATEWAY, HOST, NEARER)?;
        let told = client.wait("the redirect", is_told)?;
        ensure!(told.ip(RTA_DST) == Some(HOST.parse()?), "{told:?}");
        ensure!(told.gateway().as_deref() == Some(NEARER), "{told:?}");
        ensure!(told.ip(RTA_AUTHOR) == Some(GATEWAY.parse()?), "{told:?}");
        ensure!(
            told.errno() == 0 && told.flags() & RTF_DONE != 0,
            "{told:?}"
        );
        let added = client.done(Request::get(ROUTE)?)?;
        ensure!(
            added.flags() == RTF_UP | RTF_GATEWAY | RTF_HOST | RTF_DYNAMIC | RTF_DONE,
            "{added:?}"
        );
        ensure!(added.gateway().as_deref() == Some(NEARER), "{added:?}");
        ensure!(added.index() == bed.eth0, "{added:?}");
        // The kernel follows.
        wait_for(SHORT, "the kernel's route", || {
            let route = bed.r1.run(&format!("ip -6 route get {HOST}"))?;
            ensure!(route.contains(&format!("via {NEARER} ")), "{route:?}");
            Ok(())
        })
    });
}

/// RFC 4861 §8.3: the target is the destination.
#[test]
fn route4_case_49_an_icmpv6_redirect_says_that_a_host_is_on_the_link() {
    configured("49-on-link", ACCEPT, |bed, client| {
        prepare(bed, client)?;
        redirect(bed, GATEWAY, HOST, HOST)?;
        let told = client.wait("the redirect", is_told)?;
        ensure!(told.errno() == 0, "{told:?}");
        let added = client.done(Request::get(ROUTE)?)?;
        ensure!(
            added.flags() == RTF_UP | RTF_HOST | RTF_DYNAMIC | RTF_DONE,
            "{added:?}"
        );
        let link = added.link(RTA_GATEWAY).context("an AF_LINK gateway")?;
        ensure!(link.ifindex == bed.eth0, "{added:?}");
        Ok(())
    });
}

#[test]
fn route4_case_50_an_icmpv6_redirect_modifies_a_dynamic_route_and_yields_to_a_clients() {
    configured("50-ipv6", ACCEPT, |bed, client| {
        prepare(bed, client)?;
        redirect(bed, GATEWAY, HOST, NEARER)?;
        client.wait("the first", is_told)?;
        redirect(bed, NEARER, HOST, "fe80::a")?;
        let told = client.wait("the second", is_told)?;
        ensure!(told.errno() == 0, "{told:?}");
        let route = client.done(Request::get(ROUTE)?)?;
        ensure!(route.gateway().as_deref() == Some("fe80::a"), "{route:?}");
        ensure!(
            route.flags() & (RTF_DYNAMIC | RTF_MODIFIED) == RTF_DYNAMIC | RTF_MODIFIED,
            "{route:?}"
        );
        let other = "2001:db8:f::a/128";
        client.done(Request::add(other, GATEWAY)?.interface(bed.eth0))?;
        redirect(bed, GATEWAY, "2001:db8:f::a", NEARER)?;
        let told = client.wait("the third", is_told)?;
        ensure!(told.errno() == 0, "{told:?}");
        let route = client.done(Request::get(other)?)?;
        ensure!(route.gateway().as_deref() == Some(GATEWAY), "{route:?}");
        Ok(())
    });
}

#[test]
fn route4_case_51_an_icmpv6_redirect_by_another_router_is_refused() {
    configured("51-ipv6", ACCEPT, |bed, client| {
        prepare(bed, client)?;
        redirect(bed, NEARER, HOST, "fe80::a")?;
        let told = client.wait("the redirect", is_told)?;
        ensure!(told.errno() == EINVAL, "{told:?}");
        ensure!(told.ip(RTA_AUTHOR) == Some(NEARER.parse()?), "{told:?}");
        no_route(client)
    });
}

#[test]
fn route4_case_52_an_icmpv6_redirect_that_makes_no_sense_is_refused() {
    configured("52-ipv6", ACCEPT, |bed, client| {
        prepare(bed, client)?;
        for (destination, target) in [(HOST, R1), ("2001:db8::77", NEARER)] {
            redirect(bed, GATEWAY, destination, target)?;
            let told = client.wait("the redirect", is_told)?;
            ensure!(
                told.errno() == EHOSTUNREACH,
                "{destination} {target}: {told:?}"
            );
        }
        no_route(client)
    });
}

/// RFC 4861 §8.1: what came over a router, from a global address, with a target
/// that is neither a router's nor the host, or about a group is silently
/// discarded.
#[test]
fn route4_icmpv6_redirects_that_are_not_genuine_are_discarded() {
    configured("redirect-false", ACCEPT, |bed, client| {
        prepare(bed, client)?;
        bed.h0
            .run("ip -6 addr add 2001:db8::fe/64 dev eth0 nodad")?;
        redirect_with(bed, GATEWAY, HOST, NEARER, OVER_NO_ROUTER - 1)?;
        redirect(bed, "2001:db8::fe", HOST, NEARER)?;
        redirect(bed, GATEWAY, HOST, "2001:db8::9")?;
        redirect(bed, GATEWAY, "ff05::9", NEARER)?;
        wait_for(SHORT, "four that are discarded", || {
            let clients = bed.router.show("clients")?;
            let count = clients.pointer("/totals/redirects/malformed");
            ensure!(
                count.and_then(|count| count.as_u64()) == Some(4),
                "{clients}"
            );
            Ok(())
        })?;
        let told = client.drain()?;
        ensure!(!told.iter().any(is_told), "{told:#?}");
        no_route(client)
    });
}

/// RFC 4861 §8.2: "A router MUST NOT update its routing tables upon receipt of a
/// Redirect."
#[test]
fn route4_a_router_tells_of_icmpv6_redirects_and_does_not_follow_them() {
    case("redirect6-ignored", |bed, client| {
        prepare(bed, client)?;
        redirect(bed, GATEWAY, HOST, NEARER)?;
        let told = client.wait("the redirect", is_told)?;
        ensure!(told.errno() == EPERM, "{told:?}");
        ensure!(told.ip(RTA_AUTHOR) == Some(GATEWAY.parse()?), "{told:?}");
        no_route(client)
    });
}
