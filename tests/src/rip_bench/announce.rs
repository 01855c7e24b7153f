//! Our whole table to FRR and to BIRD, who lose what comes faster than they read:
//! how much of it each holds after our first update.

use serde::Serialize;

use super::arrival;
use super::counters::Counters;
use super::device::{Bed, Device, Kind, milliseconds, neighbour_address};
use super::speaker::{ENTRIES, Speaker, is_destination, responses};
use super::{Options, grouped};
use crate::console::Console;
use crate::lab::{LONG, Lab, Namespace, in_lab};

/// Networks of ours that a neighbour hears of besides: those of the two links that
/// it is not on itself.
const LINKS: usize = 2;

/// One first update of ours.
#[derive(Clone, Debug, Serialize)]
pub struct Announced {
    /// Who heard it.
    pub receiver: Kind,
    /// Routes that we had.
    pub routes: usize,
    /// Of them in the receiver's kernel after the update.
    pub kernel: u64,
    /// From its first packet until all were there; `null` = they never were.
    pub kernel_ms: Option<f64>,
    /// Full datagrams that we sent until then.
    pub datagrams: u64,
    /// How many times the whole table that is: 1 = each route once.
    pub updates: f64,
    /// Datagrams that the receiver's socket had no room for.
    pub socket_drops: u64,
    /// Frames that the receiver's link dropped.
    pub link_drops: u64,
}

impl Announced {
    /// All were there, and nothing was lost on the way that a second update
    /// would have had to repeat.
    pub(super) fn complete(&self) -> bool {
        self.kernel_ms.is_some() && self.socket_drops + self.link_drops == 0
    }
}

/// We learn the table from a neighbour, then FRR and BIRD start beside us, one
/// after the other.
pub(super) fn measure(options: &Options, console: &Console) -> anyhow::Result<Vec<Announced>> {
    in_lab("rip-bench-announce", |lab| run(lab, options, console))
}

fn run(lab: &Lab, options: &Options, console: &Console) -> anyhow::Result<Vec<Announced>> {
    let routes = options.table();
    console.step(&format!(
        "announce: forwarder learns {} routes; waiting for its kernel's table",
        grouped(routes as u64)
    ));
    let bed = Bed::new(lab, Kind::Forwarder, 3)?;
    let mut device = Device::start(lab, Kind::Forwarder, &bed.router)?;
    let feeder = Speaker::start(&bed.neighbours[0], neighbour_address(0))?;
    let table = responses(0..routes, 1);
    feeder.feed(&table, &mut device.counters)?;
    super::wait_learnt(&mut device, routes, LONG)?;
    let mut results = Vec::new();
    for (kind, namespace) in [Kind::Frr, Kind::Bird]
        .into_iter()
        .zip(&bed.neighbours[1..])
    {
        console.step(&format!(
            "announce: {} starts; waiting for our first update to end",
            kind.name()
        ));
        // Lest the first ones time out.
        feeder.feed(&table, &mut device.counters)?;
        let result = hear(lab, kind, namespace, routes)?;
        console.detail(&format!("{} in its kernel's table", grouped(result.kernel)));
        results.push(result);
    }
    Ok(results)
}

fn hear(lab: &Lab, kind: Kind, namespace: &Namespace, routes: usize) -> anyhow::Result<Announced> {
    let mut counters = Counters::open(namespace)?;
    let arrival = std::thread::scope(|scope| {
        // We answer its request before it answers its console.
        let receiver = scope.spawn(|| Device::start(lab, kind, namespace));
        let arrival = arrival::first_update(&mut counters, None, routes, LINKS);
        match receiver.join() {
            Ok(started) => started.and(arrival),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })?;
    // Said by the kernel one by one: a network of ours must not pass for a route.
    let held = |namespace: &Namespace| {
        let all = namespace.run("ip -4 route show")?;
        let ours = all.lines().filter_map(|line| line.split(' ').next());
        anyhow::Ok(ours.filter(|prefix| is_destination(prefix)).count() as u64)
    };
    Ok(Announced {
        receiver: kind,
        routes,
        kernel: held(namespace)?,
        kernel_ms: arrival.kernel_after.map(milliseconds),
        datagrams: arrival.datagrams,
        updates: arrival.datagrams as f64 * ENTRIES as f64 / routes as f64,
        socket_drops: counters.socket_drops()?,
        link_drops: counters.received()?.dropped,
    })
}
