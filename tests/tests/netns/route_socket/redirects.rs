//! ICMP redirects, sent by a raw socket on h0.

use std::net::{Ipv4Addr, SocketAddrV4};

use anyhow::ensure;
use forwarder_tests::bsd::number::*;
use forwarder_tests::bsd::{Message, Request};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::{Bed, EHOSTUNREACH, EINVAL, ENETUNREACH, EPERM, ESRCH, GATEWAY, case, configured};

const HOST: &str = "203.0.113.9";
const NEARER: &str = "192.0.2.9";
pub(super) const ACCEPT: &str = "[route-socket]\nredirects = \"accept\"\n";

/// Sends r1 a redirect from this address of h0's.
pub(super) fn redirect(
    bed: &Bed,
    author: &str,
    destination: &str,
    gateway: &str,
) -> anyhow::Result<()> {
    let (destination, gateway) = (
        destination.parse::<Ipv4Addr>()?,
        gateway.parse::<Ipv4Addr>()?,
    );
    // Host redirect; then the header of the packet that it is about.
    let mut packet = vec![5, 1, 0, 0];
    packet.extend_from_slice(&gateway.octets());
    packet.extend_from_slice(&[0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0]);
    packet.extend_from_slice(&[192, 0, 2, 1]);
    packet.extend_from_slice(&destination.octets());
    packet.extend_from_slice(&[0; 8]);
    let mut sum: u32 = packet
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1]))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    let checksum = !u16::try_from(sum)?;
    packet[2..4].copy_from_slice(&checksum.to_be_bytes());
    let author: Ipv4Addr = author.parse()?;
    bed.h0.enter(|| {
        let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::ICMPV4))?;
        socket.bind(&SockAddr::from(SocketAddrV4::new(author, 0)))?;
        let to = SockAddr::from(SocketAddrV4::new([192, 0, 2, 1].into(), 0));
        socket.send_to(&packet, &to)?;
        Ok(())
    })
}

fn is_told(message: &Message) -> bool {
    message.kind() == RTM_REDIRECT
}

#[test]
fn route4_case_49_a_redirect_makes_a_host_route() {
    configured("49", ACCEPT, |bed, client| {
        client.done(Request::add("0.0.0.0/0", GATEWAY)?)?;
        redirect(bed, GATEWAY, HOST, NEARER)?;
        let told = client.wait("the redirect", is_told)?;
        ensure!(told.ip(RTA_DST) == Some(HOST.parse()?), "{told:?}");
        ensure!(told.gateway().as_deref() == Some(NEARER), "{told:?}");
        ensure!(told.ip(RTA_AUTHOR) == Some(GATEWAY.parse()?), "{told:?}");
        ensure!(
            told.errno() == 0 && told.flags() & RTF_DONE != 0,
            "{told:?}"
        );
        // The order of the two is not laid down.
        let added = client.done(Request::get(&format!("{HOST}/32"))?)?;
        ensure!(
            added.flags() == RTF_UP | RTF_GATEWAY | RTF_HOST | RTF_DYNAMIC | RTF_DONE,
            "{added:?}"
        );
        ensure!(added.gateway().as_deref() == Some(NEARER), "{added:?}");
        Ok(())
    });
}

#[test]
fn route4_case_50_a_redirect_modifies_a_dynamic_route_and_yields_to_a_clients() {
    configured("50", ACCEPT, |bed, client| {
        bed.h0.run("ip addr add 192.0.2.9/24 dev eth0")?;
        client.done(Request::add("0.0.0.0/0", GATEWAY)?)?;
        redirect(bed, GATEWAY, HOST, NEARER)?;
        client.wait("the first", is_told)?;
        redirect(bed, NEARER, HOST, "192.0.2.10")?;
        let told = client.wait("the second", is_told)?;
        ensure!(told.errno() == 0, "{told:?}");
        let route = client.done(Request::get(&format!("{HOST}/32"))?)?;
        ensure!(
            route.gateway().as_deref() == Some("192.0.2.10"),
            "{route:?}"
        );
        ensure!(
            route.flags() & (RTF_DYNAMIC | RTF_MODIFIED) == RTF_DYNAMIC | RTF_MODIFIED,
            "{route:?}"
        );
        // A client's own host route is not overwritten.
        let other = "203.0.113.10/32";
        client.done(Request::add(other, GATEWAY)?)?;
        redirect(bed, GATEWAY, "203.0.113.10", NEARER)?;
        let told = client.wait("the third", is_told)?;
        ensure!(told.errno() == 0, "{told:?}");
        let route = client.done(Request::get(other)?)?;
        ensure!(route.gateway().as_deref() == Some(GATEWAY), "{route:?}");
        Ok(())
    });
}

#[test]
fn route4_case_51_a_redirect_by_another_router_is_refused() {
    configured("51", ACCEPT, |bed, client| {
        bed.h0.run("ip addr add 192.0.2.66/24 dev eth0")?;
        client.done(Request::add("0.0.0.0/0", GATEWAY)?)?;
        redirect(bed, "192.0.2.66", HOST, NEARER)?;
        let told = client.wait("the redirect", is_told)?;
        ensure!(told.errno() == EINVAL, "{told:?}");
        client
            .refused(Request::get(&format!("{HOST}/32"))?, ESRCH)
            .map(drop)
    });
}

#[test]
fn route4_case_52_a_redirect_that_makes_no_sense_is_refused() {
    configured("52", ACCEPT, |bed, client| {
        client.done(Request::add("0.0.0.0/0", GATEWAY)?)?;
        for (destination, gateway, errno) in [
            (HOST, "198.18.0.1", ENETUNREACH),
            (HOST, "192.0.2.1", EHOSTUNREACH),
            ("192.0.2.77", NEARER, EHOSTUNREACH),
        ] {
            redirect(bed, GATEWAY, destination, gateway)?;
            let told = client.wait("the redirect", is_told)?;
            ensure!(told.errno() == errno, "{destination} {gateway}: {told:?}");
        }
        client
            .refused(Request::get(&format!("{HOST}/32"))?, ESRCH)
            .map(drop)
    });
}

/// RFC 1812 §5.2.7.2.
#[test]
fn route4_a_router_tells_of_redirects_and_does_not_follow_them() {
    case("redirect-ignored", |bed, client| {
        client.done(Request::add("0.0.0.0/0", GATEWAY)?)?;
        redirect(bed, GATEWAY, HOST, NEARER)?;
        let told = client.wait("the redirect", is_told)?;
        ensure!(told.errno() == EPERM, "{told:?}");
        ensure!(told.ip(RTA_AUTHOR) == Some(GATEWAY.parse()?), "{told:?}");
        client.refused(Request::get(&format!("{HOST}/32"))?, ESRCH)?;
        let totals = &bed.router.show("clients")?["totals"];
        for (path, count) in [
            ("/redirects/not-followed", 1),
            ("/redirects/followed", 0),
            ("/events/redirect", 1),
            ("/requests", 2),
            ("/refused", 1),
            ("/connections", 1),
        ] {
            ensure!(
                totals.pointer(path).and_then(|count| count.as_u64()) == Some(count),
                "{path}: {totals}"
            );
        }
        Ok(())
    });
}
