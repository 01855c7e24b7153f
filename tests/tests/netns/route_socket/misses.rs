//! Misses of the kernel's own lookups, told while somebody listens.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use anyhow::{Context as _, ensure};
use forwarder_tests::bsd::number::*;
use forwarder_tests::bsd::{Client, greeting};
use forwarder_tests::lab::{self, Lab, Namespace, SHORT, end, wait_for};

use super::{Bed, ENETUNREACH};

/// What is sent last: what was told before it is all there is.
const MARKER: &str = "198.18.255.255";
/// eth2 is no port.
const TWO_PORTS: &str = "interfaces = [\"eth0\", \"eth1\"]\n";
/// What the daemon listens to in the kernel while somebody wants to hear of misses.
const HOOKS: [&str; 5] = [
    "fib6_table_lookup",
    "fib_table_lookup",
    "kfree_skb",
    "softirq_entry",
    "softirq_exit",
];

/// A router whose kernel is listened to, and who listens.
fn heard(name: &str, body: impl FnOnce(&Lab, &Bed, &mut Client) -> anyhow::Result<()>) {
    lab::test(&format!("route4-miss-{name}"), |lab| {
        let bed = Bed::new(lab, TWO_PORTS)?;
        // One of the kernel's two limits of its answers: both take from the same
        // credit, and together they can answer nothing for long.
        let unlimited = "net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0";
        bed.r1.run(&format!("sysctl -q -w {unlimited}"))?;
        let mut client = bed.client()?;
        wait_hooks(&bed, &HOOKS)?;
        client.drain()?;
        body(lab, &bed, &mut client)
    });
}

/// Those tracepoints that the daemon is attached to, but for its transmit ones.
fn hooks(bed: &Bed) -> anyhow::Result<Vec<String>> {
    let directory = format!("/proc/{}/fdinfo", bed.router.process().pid());
    let mut hooks = Vec::new();
    for entry in fs::read_dir(&directory).context(directory)? {
        // One that is closed meanwhile is no link.
        let text = fs::read_to_string(entry?.path()).unwrap_or_default();
        let mut lines = text.lines();
        let name = lines.find_map(|line| line.strip_prefix("tp_name:\t"));
        hooks.extend(
            name.filter(|name| !name.starts_with("xdp_"))
                .map(str::to_owned),
        );
    }
    hooks.sort();
    Ok(hooks)
}

fn wait_hooks(bed: &Bed, wanted: &[&str]) -> anyhow::Result<()> {
    wait_for(SHORT, &format!("{wanted:?}"), || {
        let hooks = hooks(bed)?;
        ensure!(hooks == wanted, "{hooks:?}");
        Ok(())
    })
}

/// Sends a packet, or has it refused.
fn send(from: &Namespace, address: IpAddr) -> anyhow::Result<()> {
    from.enter(|| {
        let any: IpAddr = match address {
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let socket = UdpSocket::bind((any, 0))?;
        socket.send_to(&[0; 8], SocketAddr::new(address, 9))?;
        Ok(())
    })
}

fn is_refused(sent: anyhow::Result<()>, errno: i32) -> anyhow::Result<()> {
    let error = sent.err().context("sent, and not refused")?;
    let io = error.downcast_ref::<std::io::Error>();
    let number = io.and_then(std::io::Error::raw_os_error);
    ensure!(number == Some(errno), "{error:#}");
    Ok(())
}

fn connect(from: &Namespace, address: IpAddr, bound: &str) -> anyhow::Result<()> {
    from.enter(|| {
        UdpSocket::bind((bound, 0))?.connect(SocketAddr::new(address, 9))?;
        Ok(())
    })
}

/// The destinations of the misses that were told until now.
fn told(bed: &Bed, client: &Client) -> anyhow::Result<Vec<IpAddr>> {
    let marker: IpAddr = MARKER.parse()?;
    is_refused(send(&bed.r1, marker), ENETUNREACH)?;
    let mut told = Vec::new();
    loop {
        let miss = client.wait("a miss", |message| message.kind() == RTM_MISS)?;
        ensure!(miss.addrs() == RTA_DST, "{miss:?}");
        ensure!(miss.flags() == RTF_DONE, "{miss:?}");
        ensure!((miss.pid(), miss.errno()) == (0, 0), "{miss:?}");
        match miss.ip(RTA_DST).context("a destination")? {
            address if address == marker => return Ok(told),
            address => told.push(address),
        }
    }
}

fn addresses<const N: usize>(texts: [&str; N]) -> anyhow::Result<[IpAddr; N]> {
    let mut addresses = [IpAddr::V4(Ipv4Addr::UNSPECIFIED); N];
    for (address, text) in addresses.iter_mut().zip(texts) {
        *address = text.parse()?;
    }
    Ok(addresses)
}

/// Links a host to an interface of the router that is no port.
fn beside(lab: &Lab, bed: &Bed) -> anyhow::Result<Namespace> {
    let host = lab.namespace("h2")?;
    lab.link(
        end(&host, "eth0").address("10.9.9.2/24"),
        end(&bed.r1, "eth2").address("10.9.9.1/24"),
    )?;
    host.run("ip route add default via 10.9.9.1")?;
    with_ipv6(&host, "2001:db8:9::2/64")?;
    bed.r1
        .run("ip -6 addr add 2001:db8:9::1/64 dev eth2 nodad")?;
    host.run("ip -6 route add default via 2001:db8:9::1")?;
    reaches(&host, ["10.9.9.1", "2001:db8:9::1"])?;
    let interfaces = bed.router.show("interfaces")?;
    let all = interfaces.as_array().context("interfaces")?;
    let eth2 = all.iter().find(|interface| interface["name"] == "eth2");
    ensure!(eth2.context("eth2")?["mode"] == "none", "{interfaces}");
    Ok(host)
}

fn with_ipv6(host: &Namespace, address: &str) -> anyhow::Result<()> {
    host.sysctl("net/ipv6/conf/all/disable_ipv6", "0")?;
    host.sysctl("net/ipv6/conf/eth0/disable_ipv6", "0")?;
    host.run(&format!("ip -6 addr add {address} dev eth0 nodad"))
        .map(drop)
}

/// Both know the way: the packets that follow are not lost to it.
fn reaches(host: &Namespace, routers: [&str; 2]) -> anyhow::Result<()> {
    for router in routers {
        wait_for(SHORT, "an answer of the router", || {
            host.run(&format!("ping -c 1 -W 1 {router}")).map(drop)
        })?;
    }
    Ok(())
}

/// The router answers that no route leads there: its kernel has looked it up.
fn is_unreachable(from: &Namespace, address: IpAddr, word: &str) -> anyhow::Result<()> {
    // Said again until it is: the kernel answers a host once a second.
    wait_for(SHORT, "an answer of the router", || {
        let ping = from.output(&format!("ping -c 1 -W 1 {address}"))?;
        let text = String::from_utf8_lossy(&ping.stdout);
        ensure!(text.contains(word), "{text}");
        Ok(())
    })
}

/// Once for each, whether the socket has an address or asks for one.
#[test]
fn route4_a_miss_of_the_routers_own_packet_is_told_once() {
    heard("own", |_, bed, client| {
        let [first, second, third, fourth, fifth, sixth] = addresses([
            "203.0.113.1",
            "203.0.113.2",
            "203.0.113.3",
            "2001:db8:dead::1",
            "2001:db8:dead::2",
            "2001:db8:dead::3",
        ])?;
        let r1 = &bed.r1;
        is_refused(send(r1, first), ENETUNREACH)?;
        is_refused(connect(r1, second, "0.0.0.0"), ENETUNREACH)?;
        is_refused(connect(r1, third, "192.0.2.1"), ENETUNREACH)?;
        is_refused(send(r1, fourth), ENETUNREACH)?;
        is_refused(connect(r1, fifth, "::"), ENETUNREACH)?;
        is_refused(connect(r1, sixth, "2001:db8::1"), ENETUNREACH)?;
        // Again: the second packet is another.
        is_refused(send(r1, fourth), ENETUNREACH)?;
        let told = told(bed, client)?;
        let wanted = [first, second, third, fourth, fifth, sixth, fourth];
        ensure!(told == wanted, "{told:?}");
        Ok(())
    });
}

#[test]
fn route4_a_miss_of_a_packet_that_no_port_received_is_told() {
    heard("beside", |lab, bed, client| {
        let host = beside(lab, bed)?;
        for address in addresses(["203.0.113.1", "2001:db8:dead::1"])? {
            send(&host, address)?;
            let miss = client.wait("a miss", |message| message.kind() == RTM_MISS)?;
            ensure!(miss.ip(RTA_DST) == Some(address), "{miss:?}");
            ensure!(miss.addrs() == RTA_DST, "{miss:?}");
        }
        let told = told(bed, client)?;
        ensure!(told.is_empty(), "{told:?}");
        Ok(())
    });
}

/// It misses in the fast path and then in the kernel.
#[test]
fn route4_a_packet_that_misses_twice_is_told_once() {
    heard("once", |_, bed, client| {
        bed.h0.run("ip route add default via 192.0.2.1")?;
        with_ipv6(&bed.h0, "2001:db8::fe/64")?;
        bed.h0.run("ip -6 route add default via 2001:db8::1")?;
        reaches(&bed.h0, ["192.0.2.1", "2001:db8::1"])?;
        let sent = addresses([
            "203.0.113.1",
            "2001:db8:dead::1",
            "203.0.113.2",
            "2001:db8:dead::2",
            "203.0.113.3",
            "2001:db8:dead::3",
        ])?;
        client.drain()?;
        let missed = bed.router.counted("no-route", || {
            for address in sent {
                send(&bed.h0, address)?;
            }
            // The fast path's own word of them all is in.
            wait_for(SHORT, "the fast path's events", || {
                let shown = bed.router.show("events")?;
                let events = shown["events"].as_array().context("events")?;
                let told = |address: &IpAddr| {
                    let of_it = |event: &&serde_json::Value| {
                        event["destination"] == address.to_string() && event["reason"] == "no-route"
                    };
                    events.iter().filter(of_it).count() == 1
                };
                ensure!(sent.iter().all(told), "{shown}");
                Ok(())
            })
        })?;
        ensure!(missed >= 6, "the fast path saw {missed} of 6");
        let mut told = told(bed, client)?;
        let mut sent = sent.to_vec();
        told.sort();
        sent.sort();
        ensure!(told == sent, "{told:?}");
        Ok(())
    });
}

/// Interfaces have the same numbers there, and hosts the same addresses.
#[test]
fn route4_misses_of_other_namespaces_are_not_told() {
    heard("others", |lab, bed, client| {
        let (r2, h2) = (lab.router_namespace("r2")?, lab.namespace("h2")?);
        lab.link(
            end(&h2, "eth0").address("192.0.2.254/24"),
            end(&r2, "eth0").address("192.0.2.1/24"),
        )?;
        let links = r2.ip_json("link show dev eth0")?;
        ensure!(links[0]["ifindex"] == bed.eth0, "{links}");
        with_ipv6(&r2, "2001:db8::1/64")?;
        with_ipv6(&h2, "2001:db8::fe/64")?;
        r2.sysctl("net/ipv6/conf/all/forwarding", "1")?;
        h2.run("ip route add default via 192.0.2.1")?;
        h2.run("ip -6 route add default via 2001:db8::1")?;
        reaches(&h2, ["192.0.2.1", "2001:db8::1"])?;
        client.drain()?;
        let [ipv4, ipv6] = addresses(["203.0.113.1", "2001:db8:dead::1"])?;
        for address in [ipv4, ipv6] {
            is_refused(send(&r2, address), ENETUNREACH)?;
        }
        is_unreachable(&h2, ipv4, "Net Unreachable")?;
        is_unreachable(&h2, ipv6, "No route")?;
        let told = told(bed, client)?;
        ensure!(told.is_empty(), "{told:?}");
        Ok(())
    });
}

/// It is a route that says so.
#[test]
fn route4_a_route_that_refuses_is_no_miss() {
    const EINVAL: i32 = 22;
    const EACCES: i32 = 13;
    const EHOSTUNREACH: i32 = 113;
    heard("refusing", |lab, bed, client| {
        let host = beside(lab, bed)?;
        let kinds = [
            ("unreachable", EHOSTUNREACH, Some("Unreachable")),
            ("prohibit", EACCES, Some("Packet filtered")),
            ("blackhole", EINVAL, None),
        ];
        for (at, (kind, errno, answer)) in kinds.into_iter().enumerate() {
            let [ipv4, ipv6] = [format!("203.0.113.{at}"), format!("2001:db8:dead::{at}")];
            bed.r1.run(&format!("ip route add {kind} {ipv4}/32"))?;
            bed.r1.run(&format!("ip -6 route add {kind} {ipv6}/128"))?;
            for address in addresses([&ipv4, &ipv6])? {
                is_refused(send(&bed.r1, address), errno)?;
                send(&host, address)?;
                if let (Some(answer), true) = (answer, address.is_ipv4()) {
                    is_unreachable(&host, address, answer)?;
                }
            }
        }
        let told = told(bed, client)?;
        ensure!(told.is_empty(), "{told:?}");
        Ok(())
    });
}

#[test]
fn route4_the_kernel_is_listened_to_while_somebody_hears_of_misses() {
    lab::test("route4-miss-attached", |lab| {
        let bed = Bed::new(lab, TWO_PORTS)?;
        ensure!(hooks(&bed)?.is_empty(), "nobody listens yet");
        let first = bed.client()?;
        wait_hooks(&bed, &HOOKS)?;
        let second = bed.client()?;
        drop(first);
        // Those who do not hear of misses do not keep it, nor bring it.
        let mut replies = bed.client()?;
        let no_listen = 2;
        replies.send(&greeting(0, no_listen))?;
        let mut others = bed.client()?;
        let mut only_adds = greeting(0, 0);
        only_adds[24..32].copy_from_slice(&(1_u64 << RTM_ADD).to_ne_bytes());
        others.send(&only_adds)?;
        replies.drain()?;
        others.drain()?;
        is_refused(send(&bed.r1, "203.0.113.1".parse()?), ENETUNREACH)?;
        let miss = second.wait("a miss", |message| message.kind() == RTM_MISS)?;
        ensure!(miss.ip(RTA_DST) == Some("203.0.113.1".parse()?), "{miss:?}");
        ensure!(hooks(&bed)? == HOOKS, "the second still listens");
        drop(second);
        wait_hooks(&bed, &[])?;
        // And once more.
        let third = bed.client()?;
        wait_hooks(&bed, &HOOKS)?;
        drop(third);
        wait_hooks(&bed, &[])
    });
}

/// As many messages as the limit allows, and each of the others is counted.
#[test]
fn route4_case_76_misses_over_the_limit_are_counted() {
    const SENT: u64 = 10_000;
    heard("limit", |_, bed, client| {
        let address: IpAddr = "203.0.113.1".parse()?;
        let counts = || {
            let shown = bed.router.show("clients")?;
            let totals = &shown["totals"];
            let told = totals["events"]["miss"].as_u64().context("events")?;
            let more = totals["misses_over_limit"].as_u64().context("a count")?;
            anyhow::Ok((told, more))
        };
        ensure!(counts()? == (0, 0));
        bed.r1.enter(|| {
            let socket = UdpSocket::bind("0.0.0.0:0")?;
            for _ in 0..SENT {
                let refused = socket.send_to(&[0; 8], (address, 9)).err();
                let errno = refused.and_then(|error| error.raw_os_error());
                ensure!(errno == Some(ENETUNREACH), "{errno:?}");
            }
            Ok(())
        })?;
        let (published, over_limit) = wait_for(SHORT, "all of them in the counters", || {
            let (told, over_limit) = counts()?;
            ensure!(told + over_limit == SENT, "{told} and {over_limit}");
            Ok((told, over_limit))
        })?;
        ensure!(over_limit > SENT / 2, "{over_limit} held back");
        let told = client.drain()?;
        let told = told.iter().filter(|message| message.kind() == RTM_MISS);
        let told = u64::try_from(told.count())?;
        ensure!(told == published, "{told} of {published}");
        Ok(())
    });
}
