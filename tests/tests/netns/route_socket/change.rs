//! `RTM_CHANGE` and `RTM_LOCK`.

use anyhow::ensure;
use forwarder_tests::bsd::Request;
use forwarder_tests::bsd::number::*;

use super::{EBUSY, ENETUNREACH, ESRCH, GATEWAY, OTHER_GATEWAY, SUBNET, case};

const NET: &str = "203.0.113.0/24";

#[test]
fn route4_case_09_change_of_the_gateway() {
    case("09", |bed, client| {
        client.done(Request::add(NET, GATEWAY)?)?;
        let change = Request::change(NET)?
            .gateway(OTHER_GATEWAY)?
            .flags(RTF_GATEWAY | RTF_STATIC);
        for reply in [client.done(change)?, client.done(Request::get(NET)?)?] {
            ensure!(reply.index() == bed.eth1, "{reply:?}");
            ensure!(
                reply.flags() == RTF_UP | RTF_DONE | RTF_GATEWAY | RTF_STATIC,
                "{reply:?}"
            );
            ensure!(
                reply.gateway().as_deref() == Some(OTHER_GATEWAY),
                "{reply:?}"
            );
        }
        Ok(())
    });
}

#[test]
fn route4_case_10_change_of_the_mtu_leaves_the_gateway() {
    case("10", |_, client| {
        client.done(Request::add(NET, GATEWAY)?)?;
        let change = Request::change(NET)?.metric(RMX_MTU, RTV_MTU, 1442);
        for reply in [client.done(change)?, client.done(Request::get(NET)?)?] {
            ensure!(reply.metric(RMX_MTU) == 1442, "{reply:?}");
            ensure!(reply.gateway().as_deref() == Some(GATEWAY), "{reply:?}");
        }
        Ok(())
    });
}

#[test]
fn route4_case_11_change_without_flags_clears_those_that_can_be_changed() {
    case("11", |_, client| {
        let protocols = RTF_PROTO1 | RTF_PROTO2 | RTF_PROTO3 | RTF_STATIC;
        let reply = client.done(Request::add(NET, GATEWAY)?.flags(RTF_GATEWAY | protocols))?;
        ensure!(reply.flags() & protocols == protocols, "{reply:?}");
        for reply in [
            client.done(Request::change(NET)?.gateway(GATEWAY)?.flags(RTF_GATEWAY))?,
            client.done(Request::get(NET)?)?,
        ] {
            ensure!(reply.flags() & protocols == 0, "{reply:?}");
            ensure!(reply.flags() & RTF_GATEWAY != 0, "{reply:?}");
        }
        Ok(())
    });
}

/// `rtm_fmask` where it is not zero names the flags that change.
#[test]
fn route4_change_of_some_flags_leaves_the_others() {
    case("fmask", |_, client| {
        let flags = RTF_GATEWAY | RTF_PROTO1 | RTF_STATIC;
        client.done(Request::add(NET, GATEWAY)?.flags(flags))?;
        let change = Request::change(NET)?.flags(0).flag_mask(RTF_PROTO1);
        let reply = client.done(change)?;
        ensure!(
            reply.flags() == RTF_UP | RTF_DONE | RTF_GATEWAY | RTF_STATIC,
            "{reply:?}"
        );
        Ok(())
    });
}

#[test]
fn route4_case_34_change_of_what_is_not_there_is_esrch() {
    case("34", |_, client| {
        client.refused(Request::change(NET)?.gateway(GATEWAY)?, ESRCH)?;
        // Exactly the prefix: a longer one is another route.
        client.done(Request::add(NET, GATEWAY)?)?;
        client
            .refused(Request::change("203.0.113.0/25")?.gateway(GATEWAY)?, ESRCH)
            .map(drop)
    });
}

#[test]
fn route4_case_39_change_of_one_thing_leaves_the_others() {
    case("39", |bed, client| {
        bed.r1.run("ip addr add 192.0.2.9/24 dev eth0")?;
        let add = Request::add(NET, GATEWAY)?.interface_address("192.0.2.9")?;
        client.done(add)?;
        let asks = || -> anyhow::Result<Request> {
            Ok(Request::get(NET)?
                .raw(RTA_IFP, &[0; 8])
                .raw(RTA_IFA, &[0; 8]))
        };
        client.done(Request::change(NET)?.metric(RMX_MTU, RTV_MTU, 1400))?;
        let reply = client.done(asks()?)?;
        ensure!(reply.ip(RTA_IFA) == Some("192.0.2.9".parse()?), "{reply:?}");
        client.done(Request::change(NET)?.interface_address("192.0.2.1")?)?;
        let reply = client.done(asks()?)?;
        ensure!(reply.ip(RTA_IFA) == Some("192.0.2.1".parse()?), "{reply:?}");
        ensure!(reply.gateway().as_deref() == Some(GATEWAY), "{reply:?}");
        client.done(Request::change(NET)?.interface(bed.eth0))?;
        let reply = client.done(asks()?)?;
        ensure!(reply.gateway().as_deref() == Some(GATEWAY), "{reply:?}");
        ensure!(reply.index() == bed.eth0, "{reply:?}");
        Ok(())
    });
}

#[test]
fn route4_case_41_a_metric_is_locked_with_its_value() {
    case("41", |_, client| {
        client.done(Request::add(NET, GATEWAY)?)?;
        let change = Request::change(NET)?
            .metric(RMX_MTU, RTV_MTU, 1000)
            .locks(RTV_MTU);
        let reply = client.done(change)?;
        ensure!(reply.metric(RMX_MTU) == 1000, "{reply:?}");
        ensure!(reply.metric(RMX_LOCKS) & RTV_MTU != 0, "{reply:?}");
        Ok(())
    });
}

#[test]
fn route4_case_42_own_addresses_are_not_the_clients() {
    case("42", |_, client| {
        client.refused(Request::delete("192.0.2.1/32")?, EBUSY)?;
        let change = Request::change("192.0.2.1/32")?.metric(RMX_EXPIRE, RTV_EXPIRE, 4_000_000_000);
        client.refused(change, EBUSY).map(drop)
    });
}

#[test]
fn route4_case_44_reject_becomes_blackhole_by_a_change() {
    case("44", |bed, client| {
        let reject = RTF_REJECT | RTF_STATIC;
        let reply = client.done(Request::add("203.0.113.5/32", "127.0.0.1")?.flags(reject))?;
        ensure!(reply.flags() & RTF_REJECT != 0, "{reply:?}");
        bed.router
            .wait_verdict("203.0.113.5", "up", "unreachable")?;
        let change = Request::change("203.0.113.5/32")?.flags(RTF_BLACKHOLE | RTF_STATIC);
        let reply = client.done(change)?;
        ensure!(
            reply.flags() & (RTF_REJECT | RTF_BLACKHOLE) == RTF_BLACKHOLE,
            "{reply:?}"
        );
        bed.router.wait_verdict("203.0.113.5", "drop", "blackhole")
    });
}

#[test]
fn route4_case_45_the_default_route_is_rejected_and_not_any_more() {
    case("45", |bed, client| {
        client.done(Request::add("0.0.0.0/0", GATEWAY)?)?;
        client.done(Request::change("0.0.0.0/0")?.flags(RTF_REJECT | RTF_STATIC))?;
        bed.router
            .wait_verdict("203.0.113.5", "up", "unreachable")?;
        let change = Request::change("0.0.0.0/0")?
            .gateway(GATEWAY)?
            .flags(RTF_GATEWAY | RTF_STATIC);
        let reply = client.done(change)?;
        ensure!(
            reply.flags() == RTF_UP | RTF_DONE | RTF_GATEWAY | RTF_STATIC,
            "{reply:?}"
        );
        Ok(())
    });
}

#[test]
fn route4_case_46_change_of_the_interface_shows_in_get() {
    case("46", |bed, client| {
        client.done(Request::add(NET, GATEWAY)?)?;
        let change = Request::change(NET)?
            .gateway(OTHER_GATEWAY)?
            .flags(RTF_GATEWAY | RTF_STATIC)
            .interface(bed.eth1);
        client.done(change)?;
        let reply = client.done(Request::get(NET)?.raw(RTA_IFP, &[0; 8]))?;
        let interface = reply.link(RTA_IFP).map(|link| link.name);
        ensure!(interface.as_deref() == Some("eth1"), "{reply:?}");
        Ok(())
    });
}

#[test]
fn route4_case_79_lock_and_unlock() {
    case("79", |_, client| {
        // A bit that `rtm_inits` does not name counts for nothing.
        let add = Request::add(NET, GATEWAY)?.locks(RTV_HOPCOUNT);
        let reply = client.done(add)?;
        ensure!(reply.metric(RMX_LOCKS) == 0, "{reply:?}");
        let lock = Request::new(RTM_LOCK)
            .prefix(NET)?
            .metric(RMX_MTU, RTV_MTU, 0)
            .locks(RTV_MTU);
        let reply = client.done(lock)?;
        ensure!(reply.metric(RMX_LOCKS) == RTV_MTU, "{reply:?}");
        ensure!(
            reply.metric(RMX_MTU) == 0,
            "only the lock changes: {reply:?}"
        );
        let change = Request::change(NET)?
            .metric(RMX_MTU, RTV_MTU, 1300)
            .locks(0);
        let reply = client.done(change)?;
        ensure!(reply.metric(RMX_LOCKS) == 0, "{reply:?}");
        ensure!(reply.metric(RMX_MTU) == 1300, "{reply:?}");
        let missing = Request::new(RTM_LOCK)
            .prefix("198.18.0.0/15")?
            .metric(RMX_MTU, RTV_MTU, 0)
            .locks(RTV_MTU);
        client.refused(missing, ESRCH).map(drop)
    });
}

#[test]
fn route4_change_to_a_gateway_that_is_not_reached_is_enetunreach() {
    case("change-unreach", |_, client| {
        client.done(Request::add(SUBNET, GATEWAY)?)?;
        let change = Request::change(SUBNET)?
            .gateway("198.18.0.1")?
            .flags(RTF_GATEWAY | RTF_STATIC);
        client.refused(change, ENETUNREACH)?;
        let reply = client.done(Request::get(SUBNET)?)?;
        ensure!(reply.gateway().as_deref() == Some(GATEWAY), "{reply:?}");
        Ok(())
    });
}
