//! The demo: the main job end to end, on this machine, in a minute.
//!
//! [`run`] goes through the steps in their order and never panics: a step that
//! fails is a problem in the [`Results`], and the steps that need it are left
//! out. Progress goes to stderr. Everything lives in labs ([`crate::lab`]), so
//! Ctrl-C cleans up too.
//!
//! * [`topology`]: the routers and hosts, twice: with the daemon, and without
//! * [`converge`]: RIP finds the short path; ping from host to host
//! * [`throughput`]: XDP, the kernel and the limits, in turns
//! * [`outage`]: the short path is cut, and what an application notices
//! * [`shutdown`]: what is left after SIGTERM
//! * [`results`]: the figures, as JSON and as a page of text

mod converge;
mod outage;
mod results;
mod shutdown;
#[cfg(test)]
mod tests;
mod throughput;
mod topology;

use anyhow::Context as _;

use crate::console::Console;
use crate::lab::Lab;
pub use results::Results;
use topology::{Routers, Topology};

/// How much of everything.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Frames for each way of forwarding.
    pub frames: u32,
    /// Cuts for each way of cutting.
    pub cuts: u32,
}

/// Runs the whole demo.
pub fn run(options: &Options) -> Results {
    let console = Console::new();
    let mut results = Results::default();
    let outcome = Lab::new("demo").and_then(|lab| {
        let outcome = steps(&lab, options, &console, &mut results);
        if outcome.is_err() || !results.problems.is_empty() {
            lab.fail();
        }
        outcome
    });
    if let Err(error) = outcome {
        console.problem(&format!("{error:#}"));
        results.problems.push(format!("{error:#}"));
    }
    if let Some(left) = shutdown::leftovers() {
        results.problem(&console, left);
    }
    console.done();
    results
}

fn steps(
    lab: &Lab,
    options: &Options,
    console: &Console,
    results: &mut Results,
) -> anyhow::Result<()> {
    console.step("building hostA, r1, r2, r3 and hostB");
    let topology = Topology::build(lab).context("building the topology")?;
    console.step("starting `forwarder run` on r1, r2 and r3; RIP looks for routes");
    let routers = Routers::start(lab, &topology).context("starting the routers")?;
    results.converged = Some(converge::wait(&routers, console)?);
    console.step("ping from hostA to hostB");
    results.ping = Some(converge::ping(&topology, console)?);
    console.step("sending frames from hostA to hostB: XDP and the kernel in turns");
    throughput::measure(&topology, &routers, options, console, results)
        .context("measuring the throughput")?;
    console.step("cutting the link r1–r3 while datagrams are under way");
    outage::measure(&topology, &routers, options, console, results)
        .context("measuring the outage")?;
    console.step("stopping the routers by SIGTERM");
    let left = shutdown::stop(&topology, &routers, console).context("stopping the routers")?;
    results.clean_stop = left.is_empty();
    for what in left {
        results.problem(console, what);
    }
    Ok(())
}
