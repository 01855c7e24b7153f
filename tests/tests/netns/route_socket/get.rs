//! `RTM_GET`.

use anyhow::{Context as _, ensure};
use forwarder_tests::bsd::Request;
use forwarder_tests::bsd::number::*;
use forwarder_tests::lab::skip;

use super::{CONNECTED, EINVAL, ESRCH, GATEWAY, SUBNET, case};

#[test]
fn route4_case_02_get_of_an_exact_prefix() {
    case("02", |bed, client| {
        let reply = client.done(Request::get(CONNECTED)?)?;
        ensure!(reply.kind() == RTM_GET, "{reply:?}");
        ensure!(reply.prefix().as_deref() == Some(CONNECTED), "{reply:?}");
        ensure!(reply.flags() == RTF_UP | RTF_DONE | RTF_PINNED, "{reply:?}");
        let gateway = reply.link(RTA_GATEWAY).context("an AF_LINK gateway")?;
        ensure!(gateway.ifindex == bed.eth0, "{reply:?}");
        ensure!(reply.index() == bed.eth0, "{reply:?}");
        Ok(())
    });
}

#[test]
fn route4_case_03_get_without_a_mask_is_the_longest_match() {
    case("03", |bed, client| {
        let reply = client.done(Request::lookup("192.0.2.0")?)?;
        ensure!(reply.flags() & RTF_UP != 0, "{reply:?}");
        // The kernel has the network's own address as a broadcast address; the
        // matched route's key is told, not the address that was asked for.
        let reply = client.done(Request::lookup("192.0.2.77")?)?;
        ensure!(reply.prefix().as_deref() == Some(CONNECTED), "{reply:?}");
        ensure!(reply.flags() == RTF_UP | RTF_DONE | RTF_PINNED, "{reply:?}");
        ensure!(reply.index() == bed.eth0, "{reply:?}");
        Ok(())
    });
}

#[test]
fn route4_case_04_get_without_a_destination_is_einval() {
    case("04", |_, client| {
        let request = Request::get(CONNECTED)?.without(RTA_DST);
        client.refused(request, EINVAL).map(drop)
    });
}

#[test]
fn route4_case_05_host_bits_of_the_destination_are_cleared() {
    case("05", |_, client| {
        let reply = client.done(Request::get("192.0.2.1/24")?)?;
        ensure!(reply.prefix().as_deref() == Some(CONNECTED), "{reply:?}");
        Ok(())
    });
}

#[test]
fn route4_case_36_the_longest_of_nested_prefixes_is_picked() {
    case("36", |_, client| {
        let nested = [
            "10.0.0.0/8",
            "10.0.0.0/10",
            "10.0.0.0/16",
            "10.8.0.0/16",
            "10.8.0.0/24",
            "10.8.1.0/24",
            "10.8.3.0/24",
            "10.8.4.0/24",
        ];
        for prefix in nested {
            client.done(Request::add(prefix, GATEWAY)?)?;
        }
        for (address, prefix) in [
            ("10.200.0.1", "10.0.0.0/8"),
            ("10.1.0.1", "10.0.0.0/10"),
            ("10.0.9.9", "10.0.0.0/16"),
            ("10.8.2.1", "10.8.0.0/16"),
            ("10.8.0.1", "10.8.0.0/24"),
            ("10.8.3.255", "10.8.3.0/24"),
        ] {
            let reply = client.done(Request::lookup(address)?)?;
            ensure!(
                reply.prefix().as_deref() == Some(prefix),
                "{address}: {reply:?}"
            );
        }
        Ok(())
    });
}

#[test]
fn route4_case_80_get_tells_the_interface_where_it_is_asked_for() {
    case("80", |bed, client| {
        client.done(Request::add(SUBNET, GATEWAY)?)?;
        let plain = client.done(Request::lookup("192.0.2.5")?)?;
        ensure!(plain.link(RTA_IFP).is_none(), "{plain:?}");
        let reply = client.done(asks_for_interface("192.0.2.5")?)?;
        let interface = reply.link(RTA_IFP).context("no RTA_IFP")?;
        ensure!(interface.name == "eth0", "{interface:?}");
        ensure!(interface.ifindex == bed.eth0, "{interface:?}");
        ensure!(
            reply.ip(RTA_IFA) == Some("192.0.2.1".parse()?),
            "{:?}",
            reply.ip(RTA_IFA)
        );
        Ok(())
    });
}

/// The address with its own other end, where a link has several.
#[test]
fn route4_case_80_a_point_to_point_links_peer_is_told() {
    case("80-peer", |bed, client| {
        let Some(_open) = bed.r1.tun("tun0")? else {
            skip("80-peer", "this machine has no TUN devices");
            return Ok(());
        };
        let pairs = [
            ("10.9.0.1", "10.9.0.2"),
            ("10.9.1.1", "10.9.1.2"),
            ("2001:db8:9::1", "2001:db8:9::2"),
            ("2001:db8:a::1", "2001:db8:a::2"),
        ];
        for (own, peer) in pairs {
            let nodad = if own.contains(':') { "nodad" } else { "" };
            bed.r1
                .run(&format!("ip addr add {own} peer {peer} dev tun0 {nodad}"))?;
            let told = client.wait("the address", |message| {
                message.kind() == RTM_NEWADDR && message.ip(RTA_IFA) == own.parse().ok()
            })?;
            ensure!(told.ip(RTA_BRD) == Some(peer.parse()?), "{told:?}");
            client.wait("its route", |message| {
                message.kind() == RTM_ADD && message.ip(RTA_DST) == peer.parse().ok()
            })?;
        }
        client.done(Request::add("203.0.113.0/24", "10.9.1.2")?)?;
        client.done(Request::add("2001:db8:f::/48", "2001:db8:a::2")?)?;
        let through = [("203.0.113.9", pairs[1]), ("2001:db8:f::9", pairs[3])];
        let direct = pairs.map(|(own, peer)| (peer, (own, peer)));
        for (address, (own, peer)) in direct.into_iter().chain(through) {
            let reply = client.done(asks_for_interface(address)?)?;
            let interface = reply.link(RTA_IFP).context("no RTA_IFP")?;
            ensure!(interface.name == "tun0", "{address}: {interface:?}");
            ensure!(reply.ip(RTA_IFA) == Some(own.parse()?), "{reply:?}");
            ensure!(reply.ip(RTA_BRD) == Some(peer.parse()?), "{reply:?}");
        }
        let reply = client.done(asks_for_interface("192.0.2.77")?)?;
        ensure!(reply.ip(RTA_BRD).is_none(), "not on Ethernet: {reply:?}");
        Ok(())
    });
}

fn asks_for_interface(address: &str) -> anyhow::Result<Request> {
    let lookup = Request::lookup(address)?;
    Ok(lookup.raw(RTA_IFP, &[0; 8]).raw(RTA_IFA, &[0; 8]))
}

#[test]
fn route4_case_82_the_more_specific_wins_down_to_the_wildcard() {
    case("82", |_, client| {
        client.done(Request::add("0.0.0.0/0", GATEWAY)?)?;
        client.done(Request::add("0.0.0.0/1", GATEWAY)?)?;
        client.done(Request::add("203.0.113.6/31", GATEWAY)?)?;
        client.done(Request::add("203.0.113.6/32", GATEWAY)?)?;
        for (address, prefix) in [
            ("1.2.3.4", "0.0.0.0/1"),
            ("200.1.1.1", "0.0.0.0/0"),
            ("203.0.113.6", "203.0.113.6"),
            ("203.0.113.7", "203.0.113.6/31"),
        ] {
            let reply = client.done(Request::lookup(address)?)?;
            ensure!(
                reply.prefix().as_deref() == Some(prefix),
                "{address}: {reply:?}"
            );
        }
        Ok(())
    });
}

#[test]
fn route4_get_of_what_no_route_leads_to_is_esrch() {
    case("get-esrch", |_, client| {
        client
            .refused(Request::lookup("203.0.113.9")?, ESRCH)
            .map(drop)
    });
}
