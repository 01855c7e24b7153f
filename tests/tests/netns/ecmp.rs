//! Several next hops with real flows: shared by weight, each flow by one way,
//! and only the flows of a way that is lost move.
//!
//! a sends from many ports to an address that b, c and d all have. Who got a
//! flow's datagram tells its way.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use forwarder_tests::lab::{self, Lab, Namespace, Router, SHORT, Star, end, wait_for};

use crate::NATIVE;

const V4: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 9, 0, 1));
const V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0xaa, 0, 0, 0, 0, 1));
const PORT: u16 = 4000;
/// First source port.
const FIRST: u16 = 20_000;

/// b with half of the weight, c and d with a quarter each.
const ROUTES: &str = "
[[static]]
prefix = \"10.9.0.0/16\"
via = [{ via = \"10.0.2.2\", weight = 2 }, \"10.0.3.2\", \"10.0.4.2\"]
[[static]]
prefix = \"2001:db8:aa::/48\"
via = [{ via = \"2001:db8:2::2\", weight = 2 }, \"2001:db8:3::2\", \"2001:db8:4::2\"]
";

struct Fan {
    star: Star,
    d: Namespace,
    router: Router,
}

/// Which host got each flow, by its source port.
type Ways = BTreeMap<u16, &'static str>;

impl Fan {
    fn start(lab: &Lab) -> anyhow::Result<Fan> {
        let star = Star::new(lab)?;
        let d = lab.namespace("d")?;
        lab.link(
            end(&d, "eth0").address("10.0.4.2/24"),
            end(&star.r1, "eth3").address("10.0.4.1/24"),
        )?;
        d.run("ip route add default via 10.0.4.1")?;
        for scope in ["all", "default", "eth0"] {
            d.sysctl(&format!("net/ipv6/conf/{scope}/disable_ipv6"), "0")?;
        }
        star.add_ipv6()?;
        d.run("ip -6 addr add 2001:db8:4::2/64 dev eth0 nodad")?;
        d.run("ip -6 route add default via 2001:db8:4::1")?;
        star.r1.sysctl("net/ipv6/conf/eth3/disable_ipv6", "0")?;
        star.r1
            .run("ip -6 addr add 2001:db8:4::1/64 dev eth3 nodad")?;
        for host in [&star.b, &star.c, &d] {
            host.run(&format!("ip addr add {V4}/32 dev lo"))?;
            host.run(&format!("ip -6 addr add {V6}/128 dev lo nodad"))?;
        }
        let router = lab.start_router(&star.r1, &format!("{NATIVE}{ROUTES}"))?;
        let fan = Fan { star, d, router };
        fan.wait_for_all(3)?;
        Ok(fan)
    }

    fn hosts(&self) -> [(&'static str, &Namespace); 3] {
        [("b", &self.star.b), ("c", &self.star.c), ("d", &self.d)]
    }

    /// Waits until the fast path forwards to so many hosts, of both families.
    fn wait_for_all(&self, count: usize) -> anyhow::Result<()> {
        for to in [V4, V6] {
            wait_for(SHORT, &format!("{count} ways to {to}"), || {
                let answer = self.router.lookup(&to.to_string())?;
                let ways = answer["xdp"]["ways"].as_array().context("no ways")?;
                let good = ways.iter().filter(|way| way["verdict"] == "forward");
                let (all, good) = (ways.len(), good.count());
                ensure!((all, good) == (count, count), "{answer}");
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Sends a datagram of `size` bytes for each of `flows` flows and says who
    /// got it; those that nobody did are missing.
    fn send(&self, to: IpAddr, flows: u16, size: usize) -> anyhow::Result<Ways> {
        let bind = |address: IpAddr, port| {
            UdpSocket::bind(SocketAddr::new(address, port)).context("binding udp")
        };
        let mut receivers = Vec::new();
        for (name, host) in self.hosts() {
            let socket = host.enter(|| bind(to, PORT))?;
            socket.set_nonblocking(true)?;
            receivers.push((name, socket));
        }
        let any: IpAddr = match to {
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let senders = self.star.a.enter(|| {
            let sockets = (FIRST..FIRST + flows).map(|port| bind(any, port));
            sockets.collect::<anyhow::Result<Vec<_>>>()
        })?;
        let payload = vec![0x5a; size];
        let mut ways = Ways::new();
        for sender in &senders {
            // Unreachable by an ICMP error to an earlier one: lost.
            let _ = sender.send_to(&payload, SocketAddr::new(to, PORT));
            // Taken out as they come, lest a receive buffer overflows.
            take(&receivers, size, &mut ways)?;
        }
        let deadline = Instant::now() + Duration::from_secs(2);
        while ways.len() < usize::from(flows) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
            take(&receivers, size, &mut ways)?;
        }
        Ok(ways)
    }

    /// All flows, each of which has to arrive.
    fn ways(&self, to: IpAddr, flows: u16) -> anyhow::Result<Ways> {
        let ways = self.send(to, flows, 64)?;
        let count = ways.len();
        ensure!(count == usize::from(flows), "{count} of {flows} arrived");
        Ok(ways)
    }
}

fn take(
    receivers: &[(&'static str, UdpSocket)],
    size: usize,
    ways: &mut Ways,
) -> anyhow::Result<()> {
    let mut buffer = vec![0; 65_536];
    for (name, socket) in receivers {
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            let whole = length == size && buffer[..length].iter().all(|byte| *byte == 0x5a);
            ensure!(whole, "{length} of {size} bytes arrived");
            let before = ways.insert(from.port(), name);
            ensure!(before.is_none(), "port {} twice", from.port());
        }
    }
    Ok(())
}

fn share(ways: &Ways, host: &str) -> usize {
    ways.values().filter(|way| **way == host).count()
}

/// 512 flows by chance: four standard deviations around the share.
fn check_shares(ways: &Ways) -> anyhow::Result<()> {
    for (host, low, high) in [("b", 211, 301), ("c", 89, 167), ("d", 89, 167)] {
        let got = share(ways, host);
        ensure!((low..=high).contains(&got), "{host} got {got} of 512 flows");
    }
    Ok(())
}

#[test]
fn flows_are_shared_by_weight_and_each_stays() {
    lab::test("ecmp-weights", |lab| {
        let fan = Fan::start(lab)?;
        for to in [V4, V6] {
            let mut first = Ways::new();
            let forwarded = fan.router.counted("forwarded", || {
                first = fan.ways(to, 512)?;
                Ok(())
            })?;
            check_shares(&first)?;
            ensure!(forwarded >= 512, "{to}: {forwarded} took the fast path");
            ensure!(fan.ways(to, 512)? == first, "{to}: a flow moved");
        }
        Ok(())
    });
}

#[test]
fn a_link_that_goes_down_moves_its_own_flows_only() {
    lab::test("ecmp-link", |lab| {
        let fan = Fan::start(lab)?;
        let before = [fan.ways(V4, 512)?, fan.ways(V6, 512)?];
        fan.star.r1.run("ip link set eth2 down")?;
        fan.wait_for_all(2)?;
        for (to, before) in [V4, V6].into_iter().zip(&before) {
            let after = fan.ways(to, 512)?;
            for (flow, way) in before {
                let now = after[flow];
                ensure!(
                    now == *way || *way == "c",
                    "{to}: {way} lost {flow} to {now}"
                );
            }
            ensure!(share(&after, "c") == 0, "{to}: c is cut off");
        }
        // Back again it takes its share, and the others keep the rest.
        fan.star.r1.run("ip link set eth2 up")?;
        fan.star
            .r1
            .run("ip -6 addr replace 2001:db8:3::1/64 dev eth2 nodad")?;
        fan.wait_for_all(3)?;
        for to in [V4, V6] {
            check_shares(&fan.ways(to, 512)?)?;
        }
        Ok(())
    });
}

#[test]
fn a_neighbour_that_is_forgotten_costs_no_flow_and_moves_none() {
    lab::test("ecmp-neighbour", |lab| {
        let fan = Fan::start(lab)?;
        let before = fan.ways(V4, 512)?;
        fan.star.r1.run("ip neigh flush dev eth2")?;
        // Until it is resolved again the kernel forwards c's flows, by its own
        // choice; those of the others stay where they are.
        let during = fan.ways(V4, 512)?;
        for (flow, way) in &before {
            let now = during[flow];
            ensure!(now == *way || *way == "c", "{way} lost {flow} to {now}");
        }
        fan.wait_for_all(3)?;
        ensure!(fan.ways(V4, 512)? == before, "a flow did not come back");
        Ok(())
    });
}

/// The ports are in the first fragment alone, so none may count.
#[test]
fn fragments_of_a_datagram_arrive_whole() {
    lab::test("ecmp-fragments", |lab| {
        let fan = Fan::start(lab)?;
        for to in [V4, V6] {
            let mut ways = Ways::new();
            let forwarded = fan.router.counted("forwarded", || {
                ways = fan.send(to, 64, 4_000)?;
                Ok(())
            })?;
            ensure!(ways.len() == 64, "{to}: {} of 64 arrived", ways.len());
            ensure!(forwarded >= 3 * 64, "{to}: {forwarded} fragments");
        }
        Ok(())
    });
}
