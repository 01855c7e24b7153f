//! The short path is cut under a stream of numbered datagrams.
//!
//! A veth pair has two ends, so that one pull shows both cases: the end that is
//! set down is down by the administrator's will and its routes go at once, the
//! other end has merely lost its carrier and the kernel keeps the routes. The
//! stream runs from hostA to hostB and is r1's to save, so which case is
//! measured depends on which end is pulled.

use std::net::SocketAddrV4;
use std::time::Duration;

use anyhow::{Context as _, ensure};

use super::results::{Cut, Results};
use super::topology::{HOST_B, Routers, Topology};
use super::{Options, converge};
use crate::console::Console;
use crate::lab::Namespace;
use crate::lab::traffic::Stream;

const STREAM_PORT: u16 = 5001;
const INTERVAL: Duration = Duration::from_millis(1);
/// Datagrams that prove that traffic flows: well below a second's worth.
const PROOF: u64 = 100;
/// Longer than RIP's slowest way to another path, short of its timeout.
const DEADLINE: Duration = Duration::from_secs(20);

/// Cuts the link in both ways, `options.cuts` times each.
pub(super) fn measure(
    topology: &Topology,
    routers: &Routers,
    options: &Options,
    console: &Console,
    results: &mut Results,
) -> anyhow::Result<()> {
    let cases = [
        (&topology.r3, "to-r1", &mut results.carrier_loss),
        (&topology.r1, "to-r3", &mut results.admin_down),
    ];
    for (namespace, interface, cuts) in cases {
        for _ in 0..options.cuts {
            cuts.push(cut(topology, routers, namespace, interface)?);
        }
        let outages: Vec<_> = cuts
            .iter()
            .map(|cut| format!("{:.0}", cut.outage.as_secs_f64() * 1e3))
            .collect();
        console.detail(&format!(
            "{interface} of {} set down: outages of {} ms",
            namespace.name(),
            outages.join(", ")
        ));
    }
    Ok(())
}

/// One cut, from a short path to a short path.
fn cut(
    topology: &Topology,
    routers: &Routers,
    namespace: &Namespace,
    interface: &str,
) -> anyhow::Result<Cut> {
    let to = SocketAddrV4::new(HOST_B, STREAM_PORT);
    let stream = Stream::start(&topology.host_a, &topology.host_b, to, INTERVAL)?;
    stream.wait_for_more(PROOF, DEADLINE)?;
    namespace.run(&format!("ip link set {interface} down"))?;
    let back = stream.wait_for_more(PROOF, DEADLINE);
    let on_long_path = back.and_then(|()| converge::wait_for_long_path(routers));
    let gaps = stream.stop()?;
    namespace.run(&format!("ip link set {interface} up"))?;
    on_long_path.context("traffic did not come back over r2")?;
    converge::wait_for_short_path(routers).context("traffic did not return to the short path")?;
    ensure!(gaps.sent > 0, "the stream sent nothing");
    Ok(Cut {
        outage: gaps.outage,
        lost: gaps.lost,
    })
}
