//! `RTM_ADD` and `RTM_DELETE`.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::ensure;
use forwarder_tests::bsd::number::*;
use forwarder_tests::bsd::{Request, ip};

use super::{
    CONNECTED, EBUSY, EEXIST, EINVAL, ENETUNREACH, ENOBUFS, ESRCH, GATEWAY, OTHER_GATEWAY, SUBNET,
    case, configured,
};

#[test]
fn route4_case_06_add_through_a_gateway() {
    case("06", |bed, client| {
        let reply = client.done(Request::add(SUBNET, GATEWAY)?)?;
        ensure!(reply.kind() == RTM_ADD, "{reply:?}");
        ensure!(
            reply.flags() == RTF_UP | RTF_DONE | RTF_GATEWAY | RTF_STATIC,
            "{reply:?}"
        );
        ensure!(reply.index() == bed.eth0, "{reply:?}");
        ensure!(reply.prefix().as_deref() == Some(SUBNET), "{reply:?}");
        ensure!(reply.gateway().as_deref() == Some(GATEWAY), "{reply:?}");
        Ok(())
    });
}

#[test]
fn route4_case_07_add_without_a_mask_is_a_host_route() {
    case("07", |_, client| {
        let request = Request::new(RTM_ADD)
            .destination("203.0.113.0")?
            .gateway(GATEWAY)?
            .flags(RTF_GATEWAY | RTF_STATIC);
        let reply = client.done(request)?;
        ensure!(reply.flags() & RTF_HOST != 0, "{reply:?}");
        ensure!(reply.addrs() & RTA_NETMASK == 0, "{reply:?}");
        Ok(())
    });
}

#[test]
fn route4_case_08_delete_tells_what_was_deleted() {
    case("08", |bed, client| {
        client.done(Request::add(SUBNET, GATEWAY)?)?;
        let reply = client.done(Request::delete(SUBNET)?)?;
        ensure!(reply.kind() == RTM_DELETE, "{reply:?}");
        ensure!(
            reply.flags() == RTF_DONE | RTF_GATEWAY | RTF_STATIC,
            "{reply:?}"
        );
        ensure!(reply.gateway().as_deref() == Some(GATEWAY), "{reply:?}");
        ensure!(reply.index() == bed.eth0, "{reply:?}");
        client.refused(Request::get(SUBNET)?, ESRCH).map(drop)
    });
}

fn now() -> anyhow::Result<u64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())
}

#[test]
fn route4_case_18_a_route_that_has_expired_goes_at_once() {
    case("18", |_, client| {
        let request = Request::add(SUBNET, GATEWAY)?.metric(RMX_EXPIRE, RTV_EXPIRE, now()? - 1);
        let reply = client.done(request)?;
        ensure!(reply.inits() & RTV_EXPIRE != 0, "{reply:?}");
        let gone = client.wait("its deletion", |message| message.kind() == RTM_DELETE)?;
        ensure!(
            gone.flags() == RTF_DONE | RTF_GATEWAY | RTF_STATIC,
            "{gone:?}"
        );
        ensure!(gone.pid() == 0 && gone.seq() == 0, "{gone:?}");
        client.refused(Request::get(SUBNET)?, ESRCH).map(drop)
    });
}

#[test]
fn route4_a_route_expires_in_its_time() {
    case("expiry", |_, client| {
        let at = now()? + 2;
        client.done(Request::add(SUBNET, GATEWAY)?.metric(RMX_EXPIRE, RTV_EXPIRE, at))?;
        let reply = client.done(Request::get(SUBNET)?)?;
        ensure!(reply.metric(RMX_EXPIRE) == at, "{reply:?}");
        client.wait("its deletion", |message| message.kind() == RTM_DELETE)?;
        ensure!(now()? >= at, "gone at {}, to expire at {at}", now()?);
        Ok(())
    });
}

#[test]
fn route4_case_33_delete_through_another_gateway_is_esrch() {
    case("33", |_, client| {
        client.done(Request::add(SUBNET, GATEWAY)?)?;
        let other = Request::delete(SUBNET)?.gateway("192.0.2.7")?;
        client.refused(other, ESRCH)?;
        client.done(Request::get(SUBNET)?).map(drop)
    });
}

#[test]
fn route4_case_37_priorities_of_a_prefix_live_beside_each_other() {
    case("37", |_, client| {
        let with = |request: Request, priority| request.metric(RMX_METRIC, RTV_METRIC, priority);
        for priority in [17, 16, 18] {
            client.done(with(Request::add("203.0.113.0/24", GATEWAY)?, priority))?;
        }
        client.refused(with(Request::add("203.0.113.0/24", GATEWAY)?, 17), EEXIST)?;
        client.done(with(Request::delete("203.0.113.0/24")?, 17))?;
        client.refused(with(Request::delete("203.0.113.0/24")?, 17), ESRCH)?;
        for priority in [16, 18] {
            client.done(with(Request::delete("203.0.113.0/24")?, priority))?;
        }
        client
            .refused(Request::get("203.0.113.0/24")?, ESRCH)
            .map(drop)
    });
}

#[test]
fn route4_case_38_a_route_is_there_still_while_its_interface_is_down() {
    case("38", |bed, client| {
        client.done(Request::add("203.0.113.0/24", GATEWAY)?)?;
        bed.r1.run("ip link set eth0 down")?;
        client.wait("the route to go down", |message| {
            message.kind() == RTM_DELETE && message.prefix().as_deref() == Some("203.0.113.0/24")
        })?;
        client
            .refused(Request::add("203.0.113.0/24", GATEWAY)?, EEXIST)
            .map(drop)
    });
}

#[test]
fn route4_case_53_a_gateway_that_no_interface_reaches_is_enetunreach() {
    case("53", |_, client| {
        let far = Request::add("203.0.113.0/24", "198.18.0.1")?;
        client.refused(far, ENETUNREACH)?;
        // Nor one that is reached only through another gateway.
        client.done(Request::add("198.18.0.0/24", GATEWAY)?)?;
        let far = Request::add("203.0.113.0/24", "198.18.0.1")?;
        client.refused(far, ENETUNREACH).map(drop)
    });
}

#[test]
fn route4_case_54_add_of_what_is_there_is_eexist() {
    case("54", |_, client| {
        client.done(Request::add(SUBNET, GATEWAY)?)?;
        client.refused(Request::add(SUBNET, GATEWAY)?, EEXIST)?;
        client
            .refused(Request::add(SUBNET, OTHER_GATEWAY)?, EEXIST)
            .map(drop)
    });
}

#[test]
fn route4_case_55_delete_of_what_is_not_there_is_esrch() {
    case("55", |_, client| {
        client.refused(Request::delete(SUBNET)?, ESRCH).map(drop)
    });
}

#[test]
fn route4_case_56_a_full_table_is_enobufs_and_stays_as_it_is() {
    configured("56", "[route-socket]\nmax-routes = 2\n", |_, client| {
        client.done(Request::add("203.0.113.0/25", GATEWAY)?)?;
        client.done(Request::add("203.0.113.128/25", GATEWAY)?)?;
        client.refused(Request::add("203.0.113.0/24", GATEWAY)?, ENOBUFS)?;
        client.refused(Request::get("203.0.113.0/24")?, ESRCH)?;
        client.done(Request::get("203.0.113.0/25")?)?;
        client.done(Request::delete("203.0.113.0/25")?)?;
        client
            .done(Request::add("203.0.113.0/24", GATEWAY)?)
            .map(drop)
    });
}

#[test]
fn route4_case_57_add_without_a_gateway_is_einval() {
    case("57", |_, client| {
        let request = Request::add(SUBNET, GATEWAY)?.without(RTA_GATEWAY);
        client.refused(request, EINVAL).map(drop)
    });
}

#[test]
fn route4_case_64_reject_and_blackhole_together_are_einval() {
    case("64", |_, client| {
        let both = RTF_REJECT | RTF_BLACKHOLE | RTF_STATIC;
        let request = Request::add(SUBNET, GATEWAY)?.flags(both);
        client.refused(request, EINVAL).map(drop)
    });
}

#[test]
fn route4_case_83_the_interfaces_own_route_is_not_the_clients() {
    case("83", |_, client| {
        client.refused(Request::add(CONNECTED, GATEWAY)?, EEXIST)?;
        client.refused(Request::delete(CONNECTED)?, EBUSY)?;
        client.done(Request::get(CONNECTED)?).map(drop)
    });
}

#[test]
fn route4_a_route_to_an_own_address_as_gateway_leaves_by_its_interface() {
    case("own-gateway", |bed, client| {
        let reply = client.done(Request::add("203.0.113.0/24", "192.0.2.1")?)?;
        ensure!(reply.flags() & RTF_GATEWAY == 0, "{reply:?}");
        ensure!(reply.index() == bed.eth0, "{reply:?}");
        Ok(())
    });
}

#[test]
fn route4_a_mask_with_holes_is_einval() {
    case("holes", |_, client| {
        let request = Request::add(SUBNET, GATEWAY)?.raw(RTA_NETMASK, &ip("255.0.255.0".parse()?));
        client.refused(request, EINVAL).map(drop)
    });
}

#[test]
fn route4_the_fast_path_and_the_kernel_follow_the_client() {
    case("follow", |bed, client| {
        client.done(Request::add("203.0.113.0/24", OTHER_GATEWAY)?)?;
        bed.router.wait_until_settled()?;
        let routes = bed.r1.run("ip route show 203.0.113.0/24")?;
        ensure!(
            routes.contains("via 198.51.100.2 dev eth1") && routes.contains("metric 15"),
            "{routes:?}"
        );
        let shown = bed.router.show("routes 203.0.113.0/24")?;
        ensure!(shown[0]["source"] == "socket", "{shown}");
        ensure!(shown[0]["installed"]["xdp"] == true, "{shown}");
        client.done(Request::delete("203.0.113.0/24")?)?;
        bed.router.wait_until_settled()?;
        let routes = bed.r1.run("ip route show 203.0.113.0/24")?;
        ensure!(routes.trim().is_empty(), "{routes:?}");
        Ok(())
    });
}

#[test]
fn route4_case_38_a_route_is_added_while_its_interface_is_down() {
    case("38-down", |bed, client| {
        client.done(Request::add("198.18.0.0/15", GATEWAY)?)?;
        bed.r1.run("ip link set eth0 down")?;
        client.wait("the other route to go down", |message| {
            message.kind() == RTM_DELETE && message.prefix().as_deref() == Some("198.18.0.0/15")
        })?;
        let on_eth0 = Request::add("203.0.113.0/24", GATEWAY)?.interface(bed.eth0);
        let reply = client.done(on_eth0)?;
        ensure!(reply.flags() & RTF_UP == 0, "{reply:?}");
        bed.r1.run("ip link set eth0 up")?;
        let up = client.wait("the route to come up", |message| {
            message.kind() == RTM_ADD && message.prefix().as_deref() == Some("203.0.113.0/24")
        })?;
        ensure!(up.flags() & RTF_UP != 0 && up.pid() == 0, "{up:?}");
        Ok(())
    });
}
