//! A whole table through the socket, and read back.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use forwarder_core::route_msg::extension::{Dump, DumpKind, WAIT_XDP};
use forwarder_core::route_msg::number::{AF_UNSPEC, RTM_ADD, RTM_CHANGE, RTM_GET, offset};
use forwarder_core::route_msg::read::{Message, read};
use serde::Serialize;

use super::super::family::BenchFamily;
use super::client::{Acked, Client};
use super::daemon::Daemon;
use super::messages::{Entry, Messages, is_net};
use super::{greeting, requests::WRITER};

/// A dump that says nothing for so long has stopped.
const PATIENCE: Duration = Duration::from_secs(10);

/// A table into the daemon.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Bulk {
    /// Additions.
    pub routes: usize,
    /// Of these in one packet.
    pub packed: usize,
    /// Additions a second, until the last is acknowledged: it is in the database
    /// and stored. The fast path asks the kernel's tables and keeps none.
    pub database: f64,
    /// Until a fast path with a table of its own has the last.
    pub fast_path: f64,
    /// Bytes that the daemon has grown by, over the routes: database and journal.
    pub memory: u64,
    /// Likewise with what the fast path's compiler keeps.
    pub memory_fast_path: u64,
}

/// A dump of it.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Snapshot {
    /// Routes that came.
    pub routes: usize,
    /// Seconds from the request to the end of the dump.
    pub seconds: f64,
}

/// What a load came to.
#[derive(Clone, Copy)]
pub(super) struct Loaded {
    routes: usize,
    packed: usize,
    acknowledged: f64,
    arrived: f64,
    memory: u64,
}

impl Bulk {
    /// Of a daemon without a table in its fast path, and of one with.
    pub(super) fn of(database: Loaded, fast_path: Loaded) -> Bulk {
        Bulk {
            routes: database.routes,
            packed: database.packed,
            database: database.acknowledged,
            fast_path: fast_path.arrived,
            memory: database.memory,
            memory_fast_path: fast_path.memory,
        }
    }
}

/// Adds everything, and waits for the fast path.
pub(super) fn load<F: BenchFamily>(
    daemon: &Daemon,
    entries: &[Entry<F>],
) -> anyhow::Result<Loaded> {
    let messages = Messages::of::<F>(RTM_ADD, entries);
    let mut client = Client::connect(&daemon.socket(), &greeting(WRITER))?;
    let mut waiter = Client::connect(&daemon.socket(), &greeting(WRITER | WAIT_XDP))?;
    let (packed, window) = (client.packed(messages.length), client.window());
    let before = daemon.memory()?;
    let start = Instant::now();
    client.pump(&messages.bytes, messages.length, packed, window)?;
    let acknowledged = start.elapsed();
    arrive::<F>(&mut waiter, entries)?;
    let arrived = start.elapsed();
    let routes = messages.count();
    let per_second = |time: Duration| routes as f64 / time.as_secs_f64();
    Ok(Loaded {
        routes,
        packed,
        acknowledged: per_second(acknowledged),
        arrived: per_second(arrived),
        memory: daemon.memory()?.saturating_sub(before) / routes.max(1) as u64,
    })
}

/// Changes a route and waits for the fast path, which then has everything from
/// before, too.
fn arrive<F: BenchFamily>(waiter: &mut Client, entries: &[Entry<F>]) -> anyhow::Result<()> {
    let mut nets = entries.iter().filter(|(prefix, _)| is_net::<F>(prefix));
    let (prefix, hop) = *nets.next_back().context("no prefix but host routes")?;
    let back = [(prefix, hop.wrapping_add(1) % 2), (prefix, hop)];
    for entry in back {
        let change = Messages::of::<F>(RTM_CHANGE, &[entry]);
        waiter.send(&change.bytes)?;
        let mut acked = Acked::default();
        while acked.count == 0 {
            waiter.acks(&mut acked)?;
        }
    }
    Ok(())
}

/// Dumps the table.
pub(super) fn dump(daemon: &Daemon, routes: usize) -> anyhow::Result<Snapshot> {
    let mut client = Client::connect(&daemon.socket(), &greeting(WRITER))?;
    let mut bytes = Vec::new();
    let dump = Dump {
        seq: 1,
        kind: DumpKind::Table,
        family: AF_UNSPEC,
        live_tail: false,
    };
    dump.encode(&mut bytes);
    let start = Instant::now();
    client.send(&bytes)?;
    let mut found = 0;
    loop {
        let packet = client.packet(PATIENCE)?.context("the dump has stopped")?;
        let (count, ended) = count(packet)?;
        found += count;
        if ended {
            break;
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    ensure!(
        found >= routes,
        "the dump has {found} routes where {routes} were added"
    );
    Ok(Snapshot {
        routes: found,
        seconds,
    })
}

/// Routes of a packet, and whether the dump ends in it. A reader that only
/// counts is what the daemon's own time is measured with.
fn count(packet: &[u8]) -> anyhow::Result<(usize, bool)> {
    let mut rest = packet;
    let (mut routes, mut ended) = (0, false);
    while rest.len() > offset::TYPE {
        let length = usize::from(u16::from_ne_bytes([rest[0], rest[1]]));
        ensure!((4..=rest.len()).contains(&length), "a message is cut short");
        if rest[offset::TYPE] == RTM_GET {
            routes += 1;
        } else if let (Message::DumpEnd(end), _) = read(rest)? {
            ensure!(end.errno.is_none(), "the dump failed: {:?}", end.errno);
            ended = true;
        }
        rest = &rest[length..];
    }
    Ok((routes, ended))
}
