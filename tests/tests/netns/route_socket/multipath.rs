//! Several ways to one prefix: `RTF_MPATH` asks for it.

use anyhow::ensure;
use forwarder_tests::bsd::number::*;
use forwarder_tests::bsd::{Client, Request};

use super::{Bed, EEXIST, ESRCH, case};

const NET: &str = "203.0.113.0/24";

fn member(gateway: &str, weight: u64) -> anyhow::Result<Request> {
    Ok(Request::add(NET, gateway)?
        .flags(RTF_GATEWAY | RTF_STATIC | RTF_MPATH)
        .metric(RMX_WEIGHT, RTV_WEIGHT, weight))
}

/// The members and their weights, as `show routes` has them.
fn members(bed: &Bed) -> anyhow::Result<Vec<(String, u64)>> {
    let shown = bed.router.show(&format!("routes {NET}"))?;
    let nexthops = shown[0]["nexthops"].as_array().cloned().unwrap_or_default();
    let mut members: Vec<_> = nexthops
        .iter()
        .map(|hop| {
            let via = hop["via"].as_str().unwrap_or_default().to_owned();
            (via, hop["weight"].as_u64().unwrap_or_default())
        })
        .collect();
    members.sort();
    Ok(members)
}

fn two(client: &mut Client) -> anyhow::Result<()> {
    let reply = client.done(member("192.0.2.10", 2)?)?;
    ensure!(reply.metric(RMX_WEIGHT) == 2, "{reply:?}");
    let reply = client.done(member("192.0.2.5", 3)?)?;
    ensure!(reply.metric(RMX_WEIGHT) == 3, "{reply:?}");
    Ok(())
}

#[test]
fn route4_case_29_a_second_way_joins() {
    case("29", |bed, client| {
        two(client)?;
        let wanted = [("192.0.2.10".into(), 2), ("192.0.2.5".into(), 3)];
        ensure!(members(bed)? == wanted, "{:?}", members(bed)?);
        Ok(())
    });
}

#[test]
fn route4_case_30_one_way_of_two_is_deleted() {
    case("30", |bed, client| {
        two(client)?;
        client.done(Request::delete(NET)?.gateway("192.0.2.10")?)?;
        ensure!(members(bed)? == [("192.0.2.5".into(), 3)]);
        Ok(())
    });
}

#[test]
fn route4_case_31_the_weight_of_one_way_is_changed() {
    case("31", |bed, client| {
        two(client)?;
        let change = Request::change(NET)?
            .gateway("192.0.2.5")?
            .flags(RTF_GATEWAY | RTF_STATIC)
            .metric(RMX_WEIGHT, RTV_WEIGHT, 4);
        client.done(change)?;
        let wanted = [("192.0.2.10".into(), 2), ("192.0.2.5".into(), 4)];
        ensure!(members(bed)? == wanted, "{:?}", members(bed)?);
        Ok(())
    });
}

#[test]
fn route4_case_32_the_same_way_twice_is_eexist() {
    case("32", |_, client| {
        two(client)?;
        client.refused(member("192.0.2.5", 9)?, EEXIST).map(drop)
    });
}

#[test]
fn route4_case_33_34_an_unknown_way_is_esrch() {
    case("33-34", |_, client| {
        two(client)?;
        client.refused(Request::delete(NET)?.gateway("192.0.2.7")?, ESRCH)?;
        let change = Request::change(NET)?
            .gateway("192.0.2.7")?
            .flags(RTF_GATEWAY | RTF_STATIC)
            .metric(RMX_WEIGHT, RTV_WEIGHT, 4);
        client.refused(change, ESRCH).map(drop)
    });
}

#[test]
fn route4_case_35_get_tells_one_of_the_ways() {
    case("35", |_, client| {
        two(client)?;
        let reply = client.done(Request::get(NET)?)?;
        let gateway = reply.gateway();
        ensure!(
            matches!(gateway.as_deref(), Some("192.0.2.10" | "192.0.2.5")),
            "{reply:?}"
        );
        let reply = client.done(Request::get(NET)?.gateway("192.0.2.5")?)?;
        ensure!(reply.gateway().as_deref() == Some("192.0.2.5"), "{reply:?}");
        client.refused(Request::get(NET)?.gateway("192.0.2.7")?, ESRCH)?;
        // Weight 0 is the default, 1.
        client.done(member("192.0.2.6", 0)?)?;
        let reply = client.done(Request::get(NET)?.gateway("192.0.2.6")?)?;
        ensure!(reply.metric(RMX_WEIGHT) == 1, "{reply:?}");
        Ok(())
    });
}

#[test]
fn route4_case_40_change_of_one_of_several_wants_its_gateway() {
    case("40", |_, client| {
        two(client)?;
        let mtu = || Ok::<_, anyhow::Error>(Request::change(NET)?.metric(RMX_MTU, RTV_MTU, 1400));
        client.refused(mtu()?, ESRCH)?;
        client.refused(mtu()?.gateway("192.0.2.7")?, ESRCH)?;
        client.done(Request::delete(NET)?.gateway("192.0.2.10")?)?;
        client.done(mtu()?).map(drop)
    });
}
