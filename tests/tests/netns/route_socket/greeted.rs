//! Clients that greet: by the library, which is how programs do it.

use std::net::Shutdown;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use forwarder::route_client::blocking::Client;
use forwarder::route_client::{DumpKind, Error, Message, Mode, Options, Route, RouteMessage};
use forwarder_core::route_msg::{Errno, RequestKind, RouteRequest};
use forwarder_tests::bsd::Request;
use forwarder_tests::bsd::number::*;
use forwarder_tests::lab::{SHORT, wait_for};
use ipnet::IpNet;

use super::{Bed, CONNECTED, EEXIST, GATEWAY, SUBNET, case, configured};

const NET: &str = "203.0.113.0/24";

fn connect(bed: &Bed, options: &Options) -> anyhow::Result<Client> {
    Ok(Client::connect(&bed.socket(), options)?)
}

fn route(prefix: &str) -> anyhow::Result<Route> {
    Ok(Route::to(prefix.parse()?).via(GATEWAY.parse()?))
}

fn refused<T: std::fmt::Debug>(result: Result<T, Error>, errno: Errno) -> anyhow::Result<()> {
    match result {
        Err(Error::Refused { errno: seen, .. }) if seen == errno => Ok(()),
        other => anyhow::bail!("wanted {errno}: {other:?}"),
    }
}

#[test]
fn route4_case_70_without_own_copies_others_hear_and_the_errno_comes() {
    case("70", |bed, raw| {
        let options = Options {
            own_copies: false,
            ..Options::listener()
        };
        let mut client = connect(bed, &options)?;
        client.add(&route(SUBNET)?)?;
        raw.wait("the copy", |message| {
            message.kind() == RTM_ADD && message.prefix().as_deref() == Some(SUBNET)
        })?;
        refused(client.add(&route(SUBNET)?), Errno::Eexist)?;
        // What is told next is another's change: the own one was not.
        raw.done(Request::add(NET, GATEWAY)?)?;
        loop {
            let Message::Route(told) = client.receive()? else {
                continue;
            };
            ensure!(told.destination != Some(SUBNET.parse()?) || told.errno.is_some());
            if told.destination == Some(NET.parse()?) {
                return Ok(());
            }
        }
    });
}

/// Its own copies are off and nothing else is told: only the channel for
/// acknowledgements speaks.
#[test]
fn route4_case_71_the_errno_comes_to_who_has_shut_its_reading_down() {
    case("71-ack", |bed, raw| {
        let deaf = bed.client()?;
        deaf.socket().shutdown(Shutdown::Read)?;
        deaf.send(&Request::add(NET, GATEWAY)?.bytes())?;
        raw.wait("its route", |message| message.kind() == RTM_ADD)?;
        let mut client = connect(bed, &Options::default())?;
        refused(client.add(&route(NET)?), Errno::Eexist)?;
        client.add(&route(SUBNET)?)?;
        raw.done(Request::get(SUBNET)?).map(drop)
    });
}

#[test]
fn route4_case_74_the_errno_comes_when_the_reply_is_lost() {
    configured("74", "[route-socket]\nqueue = 65536\n", |bed, _| {
        let options = Options {
            mode: Mode::Error,
            ..Options::listener()
        };
        let mut client = connect(bed, &options)?;
        let adds: Vec<RouteRequest> = (0..8000_u32)
            .map(|number| {
                let prefix = IpNet::new(std::net::Ipv4Addr::from(0x0a00_0000 + number).into(), 32)?;
                Ok(Route::to(prefix)
                    .via(GATEWAY.parse()?)
                    .request(RequestKind::Add))
            })
            .collect::<anyhow::Result<_>>()?;
        // Nothing is read but acknowledgements.
        let first = client.pipeline(&adds)?;
        ensure!(first.iter().all(Result::is_ok));
        let again = client.pipeline(&adds)?;
        ensure!(again.iter().all(|result| *result == Err(Errno::Eexist)));
        // Then it reads, and finds one marker with ENOBUFS.
        client.pipeline(&[route(NET)?.request(RequestKind::Add)])?;
        let mut markers = 0;
        loop {
            match client.receive()? {
                Message::Desync(marker) => {
                    ensure!(marker.errno == Some(Errno::Enobufs), "{marker:?}");
                    markers += 1;
                    // What comes after it is whole again.
                    client.pipeline(&[route(SUBNET)?.request(RequestKind::Add)])?;
                }
                Message::Route(told) if told.destination == Some(SUBNET.parse()?) => break,
                _ => {}
            }
        }
        ensure!(markers == 1, "{markers} markers");
        Ok(())
    });
}

#[test]
fn route4_case_75_a_held_route_is_down_when_it_is_deleted() {
    case("75", |bed, _| {
        let mut client = connect(bed, &Options::default())?;
        let up = |message: &RouteMessage| message.flags & RTF_UP != 0;
        client.add(&route(NET)?)?;
        let held = client.hold("203.0.113.9".parse()?)?;
        let hold = held.metrics.nhidx;
        ensure!(up(&held) && held.uses == 1, "{held:?}");
        client.delete(&route(NET)?)?;
        refused(client.get(NET.parse()?), Errno::Esrch)?;
        ensure!(!up(&client.held(hold)?));
        client.add(&route(NET)?)?;
        ensure!(!up(&client.held(hold)?), "another route of that prefix");
        let second = client.hold("203.0.113.9".parse()?)?;
        ensure!(up(&second), "{second:?}");
        let mut other = connect(bed, &Options::default())?;
        refused(other.release(hold), Errno::Esrch)?;
        client.release(hold)?;
        refused(client.held(hold), Errno::Esrch)
    });
}

#[test]
fn route4_case_81_a_dump_is_answers_one_after_the_other() {
    case("81-table", |bed, raw| {
        for prefix in [NET, SUBNET, "10.0.0.0/8"] {
            raw.done(Request::add(prefix, GATEWAY)?)?;
        }
        let mut client = connect(bed, &Options::default())?;
        let dump = client.dump(DumpKind::Table, 0)?;
        let mut prefixes = Vec::new();
        for message in &dump {
            let Message::Route(route) = message else {
                anyhow::bail!("not a route: {message:?}");
            };
            ensure!(
                route.kind == RTM_GET && (route.pid, route.seq) == (0, 0),
                "{route:?}"
            );
            ensure!(
                route.errno.is_none() && route.flags & RTF_UP != 0,
                "{route:?}"
            );
            prefixes.push(route.destination.context("a destination")?.to_string());
        }
        for prefix in [
            NET,
            SUBNET,
            "10.0.0.0/8",
            CONNECTED,
            "192.0.2.1/32",
            "2001:db8::/64",
        ] {
            ensure!(
                prefixes.iter().filter(|seen| *seen == prefix).count() == 1,
                "{prefix} in {prefixes:?}"
            );
        }
        let ipv6 = client.dump(DumpKind::Table, AF_INET6)?;
        ensure!(ipv6.iter().all(|message| matches!(
            message,
            Message::Route(route) if matches!(route.destination, Some(IpNet::V6(_)))
        )));
        Ok(())
    });
}

#[test]
fn route4_case_81_a_dump_by_flags() {
    case("81-flags", |bed, raw| {
        raw.done(Request::add(NET, GATEWAY)?)?;
        raw.done(Request::add(SUBNET, GATEWAY)?.flags(RTF_GATEWAY | RTF_PROTO1))?;
        let mut client = connect(bed, &Options::default())?;
        let dump = client.dump(DumpKind::Flags(RTF_PROTO1), 0)?;
        let [Message::Route(only)] = &dump[..] else {
            anyhow::bail!("{dump:?}");
        };
        ensure!(only.destination == Some(SUBNET.parse()?), "{only:?}");
        Ok(())
    });
}

#[test]
fn route4_case_81_interfaces_and_then_their_addresses() {
    case("81-interfaces", |bed, _| {
        let mut client = connect(bed, &Options::default())?;
        let dump = client.dump(DumpKind::Interfaces, AF_INET)?;
        let at = dump
            .iter()
            .position(|message| matches!(message, Message::IfInfo(info) if info.index == bed.eth0));
        let at = at.context("eth0")?;
        let Some(Message::IfAddr(address)) = dump.get(at + 1) else {
            anyhow::bail!("no address after eth0: {dump:?}");
        };
        ensure!(
            address.address == "192.0.2.1/24".parse::<IpNet>()?,
            "{address:?}"
        );
        ensure!(address.interface.name == "eth0", "{address:?}");
        Ok(())
    });
}

#[test]
fn route4_a_batch_is_all_or_nothing() {
    case("batch", |bed, raw| {
        let mut client = connect(bed, &Options::default())?;
        let add = |prefix: &str| Ok::<_, anyhow::Error>(route(prefix)?.request(RequestKind::Add));
        let absent = route("198.18.0.0/15")?.request(RequestKind::Delete);
        let batch = [add(NET)?, add(SUBNET)?, absent];
        match client.batch(&batch) {
            Err(Error::Refused {
                errno: Errno::Esrch,
                index: 2,
            }) => {}
            other => anyhow::bail!("{other:?}"),
        }
        refused(client.get(NET.parse()?), Errno::Esrch)?;
        raw.drain()?;
        client.batch(&batch[..2])?;
        let told = raw.drain()?;
        ensure!(told.len() == 2, "{told:?}");
        // Of both families it is none.
        let ipv6 = Route::to("2001:db8:f::/48".parse()?)
            .via("2001:db8::fe".parse()?)
            .request(RequestKind::Add);
        refused(
            client.batch(&[add("10.0.0.0/8")?, ipv6]),
            Errno::Eafnosupport,
        )
    });
}

/// A mirror that is begun while the table changes.
#[test]
fn route4_a_resync_has_no_gap_and_no_repetition() {
    case("resync", |bed, raw| {
        let prefix = |number: u32| format!("10.{}.{}.0/24", number >> 8, number & 255);
        for number in 0..200 {
            raw.done(Request::add(&prefix(number), GATEWAY)?)?;
        }
        let mut client = connect(bed, &Options::listener())?;
        for number in 200..300 {
            raw.send(&Request::add(&prefix(number), GATEWAY)?.bytes())?;
        }
        let (table, _) = client.resync()?;
        let mut seen: Vec<String> = table
            .iter()
            .filter_map(|route| route.destination.map(|net| net.to_string()))
            .filter(|net| net.starts_with("10."))
            .collect();
        raw.done(Request::add(NET, GATEWAY)?)?;
        loop {
            if let Message::Route(told) = client.receive()? {
                let net = told.destination.context("a destination")?.to_string();
                if net == NET {
                    break;
                }
                seen.push(net);
            }
        }
        let all = seen.len();
        seen.sort();
        seen.dedup();
        ensure!(
            all == 300 && seen.len() == 300,
            "{all} told, {} routes",
            seen.len()
        );
        Ok(())
    });
}

#[test]
fn route4_a_registered_clients_routes_are_swept() {
    case("swept", |bed, raw| {
        let options = Options {
            owner: Some(("bgp".into(), Duration::from_secs(1))),
            ..Options::default()
        };
        let mut client = connect(bed, &options)?;
        client.add(&route(NET)?)?;
        client.add(&route(SUBNET)?)?;
        let shown = bed.router.show(&format!("routes {NET}"))?;
        ensure!(shown[0]["owner"] == "bgp", "{shown}");
        drop(client);
        // Back in time, for one of the two.
        let mut client = connect(bed, &options)?;
        client.add(&route(NET)?)?;
        refused(client.add(&route(NET)?), Errno::Eexist)?;
        wait_for(SHORT, "the other to be swept", || {
            raw.refused(Request::get(SUBNET)?, super::ESRCH)
        })?;
        raw.done(Request::get(NET)?)?;
        Ok(())
    });
}

#[test]
fn route4_routes_outlive_the_client_and_the_daemon() {
    forwarder_tests::lab::test("route4-outlive", |lab| {
        let bed = Bed::new(lab, "")?;
        bed.client()?.done(Request::add(NET, GATEWAY)?)?;
        bed.router.stop()?;
        let config = std::fs::read_to_string(bed.router.config_file())?;
        let router = lab.start_router(&bed.r1, &config)?;
        let mut again =
            forwarder_tests::bsd::Client::connect(&router.run_dir().join("route.sock"))?;
        again.done(Request::get(NET)?)?;
        again.refused(Request::add(NET, GATEWAY)?, EEXIST)?;
        router.wait_until_settled()?;
        let routes = bed.r1.run(&format!("ip route show {NET}"))?;
        ensure!(routes.contains("via 192.0.2.254"), "{routes:?}");
        Ok(())
    });
}

/// Families of listeners; messages of no family reach all of them.
#[test]
fn route4_case_68_a_listener_hears_its_family() {
    case("68", |bed, raw| {
        let of = |family| {
            let options = Options {
                family,
                ..Options::listener()
            };
            connect(bed, &options)
        };
        let mut both = of(0)?;
        let mut ipv4 = of(AF_INET)?;
        let mut ipv6 = of(AF_INET6)?;
        raw.done(Request::add(NET, GATEWAY)?)?;
        raw.done(Request::add("2001:db8:f::/48", "2001:db8::fe")?)?;
        raw.done(Request::delete(NET)?)?;
        raw.done(Request::delete("2001:db8:f::/48")?)?;
        let expect = |client: &mut Client, wanted: &[&str]| -> anyhow::Result<()> {
            for wanted in wanted {
                let Message::Route(told) = client.receive()? else {
                    anyhow::bail!("not a route");
                };
                ensure!(told.destination == Some(wanted.parse()?), "{told:?}");
            }
            Ok(())
        };
        expect(&mut ipv4, &[NET, NET])?;
        expect(&mut ipv6, &["2001:db8:f::/48", "2001:db8:f::/48"])?;
        let mut four = 0;
        let mut six = 0;
        while four + six < 4 {
            match both.receive()? {
                Message::Route(told) if matches!(told.destination, Some(IpNet::V4(_))) => four += 1,
                _ => six += 1,
            }
        }
        ensure!((four, six) == (2, 2));
        Ok(())
    });
}

#[test]
fn route4_case_47_flags_of_each_kind_of_route() {
    case("47", |_, raw| {
        raw.done(Request::add("0.0.0.0/0", GATEWAY)?)?;
        raw.done(Request::add("203.0.113.5/32", GATEWAY)?)?;
        raw.done(Request::add(NET, GATEWAY)?)?;
        let gateway = RTF_UP | RTF_GATEWAY | RTF_STATIC;
        for (prefix, flags) in [
            (CONNECTED, RTF_UP | RTF_PINNED),
            ("192.0.2.1/32", RTF_UP | RTF_HOST | RTF_STATIC | RTF_PINNED),
            ("0.0.0.0/0", gateway),
            ("203.0.113.5/32", gateway | RTF_HOST),
            (NET, gateway),
        ] {
            let reply = raw.done(Request::get(prefix)?)?;
            ensure!(reply.flags() == flags | RTF_DONE, "{prefix}: {reply:?}");
        }
        let own = raw.done(Request::get("192.0.2.1/32")?)?;
        ensure!(own.index() == 1, "{own:?}");
        Ok(())
    });
}

#[test]
fn route4_case_83_an_interfaces_own_route_replaces_a_clients() {
    case("83-replaced", |bed, raw| {
        raw.done(Request::add(NET, GATEWAY)?)?;
        bed.r1.run("ip addr add 203.0.113.1/24 dev eth1")?;
        let changed = raw.wait("the interface's own", |message| {
            message.kind() == RTM_CHANGE && message.prefix().as_deref() == Some(NET)
        })?;
        ensure!(
            changed.flags() == RTF_UP | RTF_DONE | RTF_PINNED,
            "{changed:?}"
        );
        bed.r1.run("ip addr del 203.0.113.1/24 dev eth1")?;
        let back = raw.wait("the client's", |message| {
            message.prefix().as_deref() == Some(NET) && message.gateway().is_some()
        })?;
        ensure!(back.gateway().as_deref() == Some(GATEWAY), "{back:?}");
        Ok(())
    });
}

#[test]
fn route4_a_genmask_is_kept_and_told() {
    case("genmask", |bed, _| {
        let mut client = connect(bed, &Options::default())?;
        client.add(&route(NET)?.with(|request| request.genmask = Some(28)))?;
        let got = client.get(NET.parse()?)?;
        ensure!(got.genmask == Some(28), "{got:?}");
        Ok(())
    });
}
