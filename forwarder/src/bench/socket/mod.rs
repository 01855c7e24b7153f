//! The routing socket, measured at a daemon of its own: what a request costs
//! beside a bare round trip and beside netlink, what a whole table costs, how
//! soon packets see a change, and what a listener that sleeps costs the others.
//!
//! `forwarder bench program` runs it after its own measurements, in a
//! namespace with the same ports and next hops. The kernel export is off: what
//! the kernel takes for a route is measured beside it, not in it.

mod bare;
mod bulk;
mod client;
mod daemon;
mod messages;
mod netlink;
mod requests;
mod stalled;
mod visible;

use std::fmt::Write as _;

use forwarder_core::config::Engine;
use forwarder_core::route_msg::Greeting;
use forwarder_core::route_msg::extension::REVISION;
use serde::Serialize;

use super::family::BenchFamily;
use super::namespace::Namespace;
use super::progress::Progress;
use super::router::Router;
use super::table::Table;
use daemon::Daemon;

pub use bulk::{Bulk, Snapshot};
pub use requests::Requests;
pub use stalled::Stalled;
pub use visible::Visible;

/// What is measured.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How often things are measured that are measured in turns.
    pub samples: usize,
    /// Changes that are timed until the fast path has them.
    pub changes: usize,
    /// Changes a second beside these.
    pub rate: u32,
    /// Changes of a turn beside a listener that does not read, and of one without.
    pub stalled_changes: usize,
}

/// What came of it.
#[derive(Clone, Debug, Serialize)]
pub struct SocketReport {
    /// Single additions.
    pub requests: Requests,
    /// A whole table.
    pub bulk: Bulk,
    /// Read back.
    pub snapshot: Snapshot,
    /// Until the fast path has a change.
    pub visible: Visible,
    /// Beside a listener that does not read.
    pub stalled: Stalled,
}

/// Measures, with routers of its own.
pub fn run<F: BenchFamily>(
    options: &Options,
    table: &Table<F>,
    hops: u8,
    engine: Engine,
    progress: &Progress,
) -> anyhow::Result<SocketReport> {
    let hosts = Namespace::new()?;
    let ours = Router::new::<F>(&hosts, 0, hops)?;
    let kernel = Router::new::<F>(&hosts, 1, hops)?;
    let config = config::<F>(table, engine);
    let entries = &table.routes;

    progress.step("routing socket: single requests, beside netlink");
    let daemon = Daemon::start(&ours, "requests", &config)?;
    let requests = requests::measure::<F>(&daemon, &kernel, entries, options.samples)?;
    drop((daemon, kernel));

    progress.step("routing socket: the whole table");
    let alone = self::config::<F>(table, Engine::Kernel);
    let daemon = Daemon::start(&ours, "database", &alone)?;
    let database = bulk::load::<F>(&daemon, entries)?;
    drop(daemon);
    let daemon = Daemon::start(&ours, "table", &config)?;
    let bulk = Bulk::of(database, bulk::load::<F>(&daemon, entries)?);
    let snapshot = bulk::dump(&daemon, bulk.routes)?;
    progress.step("routing socket: a listener that does not read");
    let (changes, samples) = (options.stalled_changes, options.samples);
    let stalled = stalled::measure::<F>(&daemon, entries, changes, samples, hops)?;
    progress.step("routing socket: until the fast path has a change");
    let (changes, rate) = (options.changes, options.rate);
    let visible = visible::measure::<F>(&daemon, entries, changes, rate, hops)?;
    Ok(SocketReport {
        requests,
        bulk,
        snapshot,
        visible,
        stalled,
    })
}

/// The daemon's configuration: room for the table from the start, as the
/// measurements without a daemon have it.
fn config<F: BenchFamily>(table: &Table<F>, engine: Engine) -> String {
    let mut text = format!(
        "[kernel]\nexport = false\n[dataplane]\nattach = \"native\"\nengine = \"{}\"\n",
        engine.name()
    );
    let key = if F::BITS == 32 {
        "ipv4-rows"
    } else {
        "ipv6-rows"
    };
    // A table that is four fifths full would be exchanged meanwhile.
    let rows = (table.rows() / 3 * 4).max(512);
    let _ = writeln!(text, "{key} = {rows}");
    text
}

/// A greeting with these flags, and nothing else out of the ordinary.
fn greeting(flags: u32) -> Greeting {
    Greeting {
        revision: REVISION,
        flags,
        ..Greeting::default()
    }
}
