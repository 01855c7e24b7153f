//! Live frames on both CPUs, while the table under them changes at full speed.
//!
//! ```text
//! a ── eth0 ┐     ┌ eth1 ── b    10.1.0.0/16 and all below it
//!           ├  r  ┤
//! c ── eth2 ┘     └ eth3 ── d    10.2.0.0/16 and all below it
//! ```
//!
//! A generator on each CPU, one from a to b, one from c to d; both ways share
//! the rows, ids and slots that are freed and used again. A frame that finds no
//! route goes up, and one that takes another's next hop gets to the wrong host,
//! where it counts for nothing: so what arrives tells.

mod writer;

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, ensure};
use aya::programs::xdp::XdpMode;
use forwarder::bench::{Flow, Generator, Sink};
use forwarder::dataplane::object::{Lookup, Object};
use forwarder::dataplane::tables::Tables;
use forwarder_common::abi::{Port, Tags, program};
use forwarder_common::reason::Reason;
use forwarder_core::fib::PortState;
use forwarder_core::net::Ifindex;
use forwarder_tests::lab::{self, Lab, Namespace, end};
use forwarder_tests::numbers;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;

use crate::accounts::BATCH;
use writer::{Way, Writer, Written};

const RUN: Duration = Duration::from_secs(3);
/// Frames of one run of a generator.
const FRAMES: u32 = 200_000;
/// Few, so that a freed row is soon another's: the root's, and some.
const LOOKUP: Lookup = Lookup::Multibit {
    rows4: 256 + 512,
    rows6: 256,
};

/// Where frames of a way come from and go to.
struct Hosts {
    from: Namespace,
    to: Namespace,
    /// The router's ports: in, out.
    ports: [String; 2],
    udp_port: u16,
}

fn hosts(lab: &Lab, r: &Namespace, way: usize) -> anyhow::Result<Hosts> {
    let names = [["a", "b"], ["c", "d"]][way];
    let (from, to) = (lab.namespace(names[0])?, lab.namespace(names[1])?);
    let ports = [format!("eth{}", 2 * way), format!("eth{}", 2 * way + 1)];
    for (host, port) in [&from, &to].into_iter().zip(&ports) {
        lab.link(end(host, "eth0"), end(r, port))?;
    }
    Ok(Hosts {
        from,
        to,
        ports,
        udp_port: 9 + way as u16,
    })
}

/// Makes an interface a port of the program.
fn port(
    r: &Namespace,
    name: &str,
    number: u32,
    object: &mut Object,
    tables: &mut Tables,
) -> anyhow::Result<Port> {
    let mac = r.mac_bytes(name)?;
    // A DEVMAP takes devices of the caller's namespace only.
    r.enter(|| {
        let port = Port {
            ifindex: nix::net::if_::if_nametoindex(name)?,
            number,
            mac,
            tx: number,
            ..Port::default()
        };
        tables.set_port(port)?;
        let program = object.xdp(program::FORWARD)?;
        program.attach(name, XdpMode::Driver)?;
        Ok(port)
    })
}

/// What a generator's frames came to.
#[derive(Clone, Copy, Default, Debug)]
struct Sent {
    sent: u64,
    delivered: u64,
    damaged: u64,
}

/// Sends on one CPU until told to stop, each run waited for to its last frame.
fn send(
    cpu: usize,
    mut generator: Generator,
    sink: &Sink,
    stop: &AtomicBool,
) -> anyhow::Result<Sent> {
    let mut cpus = CpuSet::new();
    cpus.set(cpu)?;
    sched_setaffinity(Pid::from_raw(0), &cpus).context("pinning a generator to its CPU")?;
    let mut total = Sent::default();
    while !stop.load(Ordering::Relaxed) {
        let report = generator.run_to(sink, FRAMES, BATCH)?;
        ensure!(report.refused == 0, "{report:?}");
        total.sent += report.sent;
        total.delivered += report.delivered.frames;
        total.damaged += report.delivered.damaged;
        ensure!(total.sent == total.delivered, "{total:?}");
    }
    Ok(total)
}

/// Two CPUs that this process may use.
fn two_cpus() -> anyhow::Result<[usize; 2]> {
    let allowed = nix::sched::sched_getaffinity(Pid::from_raw(0))?;
    let mut cpus = (0..CpuSet::count()).filter(|cpu| allowed.is_set(*cpu) == Ok(true));
    match (cpus.next(), cpus.next()) {
        (Some(one), Some(other)) => Ok([one, other]),
        _ => Err(anyhow!("frames on two CPUs need two")),
    }
}

/// The ports of both ways, each with its covering route.
fn writer(
    r: &Namespace,
    ways: &[Hosts; 2],
    object: &mut Object,
    seed: u64,
) -> anyhow::Result<Writer> {
    let mut tables = Tables::new(object)?;
    let mut way = |number: usize| {
        let [ingress, egress] = &ways[number].ports;
        let first = 2 * number as u32 + 1;
        port(r, ingress, first, object, &mut tables)?;
        let egress = port(r, egress, first + 1, object, &mut tables)?;
        anyhow::Ok(Way {
            net: number as u8 + 1,
            egress: Ifindex(egress.ifindex),
            state: PortState {
                number: egress.number,
                tx: egress.number,
                tags: Tags::NONE,
                mac: egress.mac,
                mtu: 1_500,
                can_transmit: true,
                tc: false,
            },
        })
    };
    let ways = [way(0)?, way(1)?];
    Ok(Writer::new(tables, ways, seed))
}

/// A way's generator, and the sink that counts its frames alone.
fn ends(
    r: &Namespace,
    hosts: &Hosts,
    destinations: Vec<Ipv4Addr>,
) -> anyhow::Result<(Generator, Sink)> {
    let Hosts { from, to, .. } = hosts;
    let flow = Flow {
        source_mac: from.mac_bytes("eth0")?,
        destination_mac: r.mac_bytes(&hosts.ports[0])?,
        source: Ipv4Addr::new(198, 51, 100, 1),
        destinations,
        source_port: 1_000,
        destination_port: hosts.udp_port,
        ttl: 64,
        frame_len: 60,
    };
    let sink = to.enter(|| Ok(Sink::attach("eth0", hosts.udp_port, XdpMode::Driver)?))?;
    let generator = from.enter(|| Ok(Generator::new("eth0", &flow)?))?;
    Ok((generator, sink))
}

fn run(lab: &Lab, seed: u64) -> anyhow::Result<()> {
    let cpus = two_cpus()?;
    let r = lab.namespace("r")?;
    let ways = [hosts(lab, &r, 0)?, hosts(lab, &r, 1)?];
    let mut object = r.enter(|| Ok(Object::load(LOOKUP)?))?;
    let mut writer = writer(&r, &ways, &mut object, seed)?;
    let mut both = Vec::new();
    for (way, hosts) in ways.iter().enumerate() {
        both.push(ends(&r, hosts, writer.destinations(way))?);
    }
    let (sent, written) = drive(cpus, both, &mut writer)?;
    crate::show(&format!("{sent:?} under {written:?}"));
    ensure!(sent.iter().all(|sent| sent.damaged == 0), "{sent:?}");
    ensure!(
        written.grace_periods > 10 && written.routes > 1_000 && written.neighbours > 300,
        "too little happened: {written:?}"
    );
    let total: u64 = sent.iter().map(|sent| sent.sent).sum();
    let mut forwarded = 0;
    for number in 1..=4 {
        let row = writer.tables.counters(number)?;
        forwarded += row.reasons[Reason::Forwarded as usize].packets;
    }
    ensure!(forwarded == total, "{forwarded} of {total} were forwarded");
    Ok(())
}

/// Both generators in threads of their own, the writer in this one.
fn drive(
    cpus: [usize; 2],
    ends: Vec<(Generator, Sink)>,
    writer: &mut Writer,
) -> anyhow::Result<(Vec<Sent>, Written)> {
    let stop = AtomicBool::new(false);
    let stop = &stop;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    std::thread::scope(|scope| {
        let senders: Vec<_> = ends
            .into_iter()
            .zip(cpus)
            .map(|((generator, sink), cpu)| {
                scope.spawn(move || {
                    let result = send(cpu, generator, &sink, stop);
                    // A failure ends the test at once.
                    stop.fetch_or(result.is_err(), Ordering::Relaxed);
                    result
                })
            })
            .collect();
        scope.spawn(move || {
            let end = Instant::now() + RUN;
            while Instant::now() < end && !stop.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(10));
            }
            stop.store(true, Ordering::Relaxed);
        });
        let written = runtime.block_on(writer.run(stop));
        let sent: anyhow::Result<Vec<Sent>> = senders
            .into_iter()
            .map(|sender| match sender.join() {
                Ok(sent) => sent,
                Err(panic) => std::panic::resume_unwind(panic),
            })
            .collect();
        Ok((sent?, written?))
    })
}

#[test]
fn no_frame_is_lost_or_led_astray_while_routes_and_neighbours_change() {
    lab::test("live", |lab| {
        let seed = numbers::seed("FORWARDER_SEED");
        run(lab, seed).with_context(|| format!("with FORWARDER_SEED={seed}"))
    });
}
