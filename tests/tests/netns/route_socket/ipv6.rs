//! The same in IPv6.

use anyhow::{Context as _, ensure};
use forwarder_tests::bsd::number::*;
use forwarder_tests::bsd::{Request, ip};

use super::{ENETUNREACH, ESRCH, case};

const SUBNET: &str = "2001:db8:0:0:8000::/65";
const NET: &str = "2001:db8:f::/48";
const GATEWAY: &str = "2001:db8::fe";
const OTHER_GATEWAY: &str = "2001:db8:1::2";

#[test]
fn route4_case_12_add_through_a_gateway() {
    case("12", |bed, client| {
        let reply = client.done(Request::add(SUBNET, GATEWAY)?)?;
        ensure!(
            reply.flags() == RTF_UP | RTF_DONE | RTF_GATEWAY | RTF_STATIC,
            "{reply:?}"
        );
        ensure!(reply.bytes().len() == 248, "{reply:?}");
        ensure!(
            reply.prefix().as_deref() == Some("2001:db8:0:0:8000::/65"),
            "{reply:?}"
        );
        ensure!(reply.gateway().as_deref() == Some(GATEWAY), "{reply:?}");
        ensure!(reply.index() == bed.eth0, "{reply:?}");
        Ok(())
    });
}

#[test]
fn route4_case_13_delete_tells_what_was_deleted() {
    case("13", |bed, client| {
        client.done(Request::add(SUBNET, GATEWAY)?)?;
        let reply = client.done(Request::delete(SUBNET)?)?;
        ensure!(
            reply.flags() == RTF_DONE | RTF_GATEWAY | RTF_STATIC,
            "{reply:?}"
        );
        ensure!(reply.gateway().as_deref() == Some(GATEWAY), "{reply:?}");
        ensure!(reply.index() == bed.eth0, "{reply:?}");
        client.refused(Request::get(SUBNET)?, ESRCH).map(drop)
    });
}

#[test]
fn route4_case_14_change_of_the_gateway() {
    case("14", |bed, client| {
        client.done(Request::add(NET, GATEWAY)?)?;
        let change = Request::change(NET)?
            .gateway(OTHER_GATEWAY)?
            .flags(RTF_GATEWAY | RTF_STATIC);
        let reply = client.done(change)?;
        ensure!(reply.index() == bed.eth1, "{reply:?}");
        ensure!(
            reply.gateway().as_deref() == Some(OTHER_GATEWAY),
            "{reply:?}"
        );
        Ok(())
    });
}

#[test]
fn route4_case_15_change_of_the_mtu() {
    case("15", |_, client| {
        client.done(Request::add(NET, GATEWAY)?)?;
        client.done(Request::change(NET)?.metric(RMX_MTU, RTV_MTU, 1442))?;
        let reply = client.done(Request::get(NET)?)?;
        ensure!(reply.metric(RMX_MTU) == 1442, "{reply:?}");
        ensure!(reply.gateway().as_deref() == Some(GATEWAY), "{reply:?}");
        Ok(())
    });
}

#[test]
fn route4_case_16_change_clears_flags() {
    case("16", |_, client| {
        let protocols = RTF_PROTO1 | RTF_PROTO2 | RTF_PROTO3 | RTF_STATIC;
        client.done(Request::add(NET, GATEWAY)?.flags(RTF_GATEWAY | protocols))?;
        client.done(Request::change(NET)?.gateway(GATEWAY)?.flags(RTF_GATEWAY))?;
        let reply = client.done(Request::get(NET)?)?;
        ensure!(reply.flags() & protocols == 0, "{reply:?}");
        Ok(())
    });
}

/// A link-local gateway means nothing without the interface that it is on.
#[test]
fn route4_case_17_a_link_local_gateway_is_on_the_interface_of_its_scope() {
    case("17", |bed, client| {
        let scoped = |interface: u16| -> anyhow::Result<Request> {
            let mut gateway = ip("fe80::fe".parse()?);
            gateway[24..28].copy_from_slice(&u32::from(interface).to_ne_bytes());
            Ok(Request::add(NET, GATEWAY)?.raw(RTA_GATEWAY, &gateway))
        };
        for interface in [bed.eth0, bed.eth1] {
            let reply = client.done(scoped(interface)?)?;
            ensure!(reply.index() == interface, "{reply:?}");
            ensure!(reply.gateway().as_deref() == Some("fe80::fe"), "{reply:?}");
            // Header, destination, and in the gateway.
            let scope = &reply.bytes()[152 + 32 + 24..][..4];
            ensure!(scope == u32::from(interface).to_ne_bytes(), "{reply:?}");
            bed.router.wait_until_settled()?;
            let shown = bed.router.show(&format!("routes {NET}"))?;
            ensure!(shown[0]["installed"]["kernel"] == true, "{shown}");
            client.done(Request::delete(NET)?)?;
        }
        client.refused(scoped(0)?, ENETUNREACH).map(drop)
    });
}

#[test]
fn route4_case_19_a_route_that_has_expired_goes_at_once() {
    case("19", |_, client| {
        let request = Request::add(NET, GATEWAY)?.metric(RMX_EXPIRE, RTV_EXPIRE, 1);
        client.done(request)?;
        let gone = client.wait("its deletion", |message| message.kind() == RTM_DELETE)?;
        ensure!(gone.prefix().as_deref() == Some(NET), "{gone:?}");
        Ok(())
    });
}

#[test]
fn route4_case_20_an_address_is_a_host_route_of_lo() {
    case("20", |bed, client| {
        client.drain()?;
        bed.r1
            .run("ip -6 addr add 2001:db8:2::1/64 dev eth0 nodad")?;
        let host = client.wait("the host route", |message| {
            message.kind() == RTM_ADD && message.prefix().as_deref() == Some("2001:db8:2::1")
        })?;
        ensure!(
            host.flags() == RTF_UP | RTF_HOST | RTF_DONE | RTF_STATIC | RTF_PINNED,
            "{host:?}"
        );
        ensure!(host.addrs() & RTA_NETMASK == 0, "{host:?}");
        let gateway = host.link(RTA_GATEWAY).context("an AF_LINK gateway")?;
        ensure!(gateway.ifindex == bed.eth0, "{host:?}");
        ensure!(host.index() == 1, "lo: {host:?}");
        ensure!(host.pid() == 0, "{host:?}");
        Ok(())
    });
}

#[test]
fn route4_case_21_22_the_address_is_told_before_its_routes() {
    case("21-22", |bed, client| {
        client.drain()?;
        bed.r1
            .run("ip -6 addr add 2001:db8:2::1/64 dev eth0 nodad")?;
        let mut order = Vec::new();
        while order.len() < 3 {
            let message = client.wait("an event of the address", |message| {
                matches!(message.kind(), RTM_NEWADDR | RTM_ADD)
            })?;
            if message.prefix().as_deref() == Some("2001:db8:2::/64") {
                ensure!(
                    message.flags() == RTF_UP | RTF_DONE | RTF_PINNED,
                    "{message:?}"
                );
                ensure!(message.index() == bed.eth0, "{message:?}");
            }
            order.push(message.kind());
        }
        ensure!(order == [RTM_NEWADDR, RTM_ADD, RTM_ADD], "{order:?}");
        Ok(())
    });
}

#[test]
fn route4_case_24_25_the_routes_go_before_the_address() {
    case("24-25", |bed, client| {
        bed.r1
            .run("ip -6 addr add 2001:db8:2::1/64 dev eth0 nodad")?;
        client.wait("the prefix route", |message| {
            message.kind() == RTM_ADD && message.prefix().as_deref() == Some("2001:db8:2::/64")
        })?;
        client.drain()?;
        bed.r1.run("ip -6 addr del 2001:db8:2::1/64 dev eth0")?;
        let mut seen = Vec::new();
        loop {
            let message = client.wait("an event of the address", |message| {
                matches!(message.kind(), RTM_DELADDR | RTM_DELETE)
            })?;
            let last = message.kind() == RTM_DELADDR;
            seen.push(message);
            if last {
                break;
            }
        }
        let host = seen
            .iter()
            .find(|message| message.prefix().as_deref() == Some("2001:db8:2::1"))
            .context("the host route's end before the address's")?;
        ensure!(
            host.flags() == RTF_HOST | RTF_DONE | RTF_STATIC | RTF_PINNED,
            "{host:?}"
        );
        let prefix = seen
            .iter()
            .find(|message| message.prefix().as_deref() == Some("2001:db8:2::/64"))
            .context("the prefix route's end before the address's")?;
        ensure!(prefix.flags() == RTF_DONE | RTF_PINNED, "{prefix:?}");
        ensure!(prefix.link(RTA_GATEWAY).is_some(), "{prefix:?}");
        Ok(())
    });
}
