//! What listeners make of what they hear is the table, whenever it is at rest:
//! under random changes by two clients, by `ip route` and by a link that flaps,
//! for listeners that fall behind, hang up and come back, over restarts of the
//! daemon.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use forwarder_tests::bsd::number::*;
use forwarder_tests::bsd::{Client, Message, Request, greeting, resync};
use forwarder_tests::lab::{self, LONG, Lab, wait_for};
use forwarder_tests::numbers::{self, Numbers};

use super::{Bed, GATEWAY, OTHER_GATEWAY};

/// Restarts between them: one by SIGKILL, one in peace.
const ROUNDS: u32 = 3;
/// Requests of each of two clients in a round.
const REQUESTS: u32 = 6_000;
const PREFIXES: u32 = 60;
/// `classic`, `error`, `reliable`, and one more that stalls.
const MODES: [u8; 4] = [0, 1, 2, 0];
const STALLS: usize = 3;
/// Small, so that the one that stalls loses something.
const CONFIG: &str = "[route-socket]\nqueue = 65536\n";

/// Prefix → gateway, of the prefixes that change.
type Routes = BTreeMap<String, String>;

/// What one listener knows.
#[derive(Default)]
struct Mirror {
    routes: Routes,
    /// Rows of the dump that is coming.
    dump: Option<Routes>,
    /// It has heard a dump to its end, and no marker since.
    whole: bool,
}

/// What all threads share.
struct Stage {
    socket: PathBuf,
    mirrors: [Mutex<Mirror>; MODES.len()],
    /// Requests that were made.
    made: AtomicU32,
    markers: AtomicU32,
    connections: AtomicU32,
    stop: AtomicBool,
}

fn prefix(number: u32) -> String {
    format!("10.{number}.0.0/16")
}

fn is_ours(prefix: &str) -> bool {
    prefix.starts_with("10.")
}

impl Mirror {
    /// True where it has to ask for everything again.
    fn hear(&mut self, message: &Message) -> bool {
        match message.kind() {
            RTM_DESYNC => {
                self.whole = false;
                self.dump = None;
                return true;
            }
            RTM_DUMP_END => {
                self.routes = self.dump.take().unwrap_or_default();
                self.whole = true;
            }
            RTM_GET => {
                let rows = self.dump.get_or_insert_default();
                put(rows, message);
            }
            RTM_ADD | RTM_CHANGE | RTM_DELETE => put(&mut self.routes, message),
            _ => {}
        }
        false
    }
}

fn put(routes: &mut Routes, message: &Message) {
    let Some(prefix) = message.prefix().filter(|prefix| is_ours(prefix)) else {
        return;
    };
    match message.gateway() {
        Some(gateway) if message.kind() != RTM_DELETE => routes.insert(prefix, gateway),
        _ => routes.remove(&prefix),
    };
}

impl Stage {
    fn mirror(&self, index: usize) -> std::sync::MutexGuard<'_, Mirror> {
        self.mirrors[index]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Listens until told to stop, over every end of the connection.
    fn follow(&self, index: usize, mut numbers: Numbers) {
        while !self.stop.load(Ordering::Relaxed) {
            *self.mirror(index) = Mirror::default();
            // The daemon may be away.
            if self.connection(index, &mut numbers).is_err() {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }

    /// One connection, until it ends or is given up.
    fn connection(&self, index: usize, numbers: &mut Numbers) -> anyhow::Result<()> {
        let client = Client::connect(&self.socket)?;
        client.send(&greeting(MODES[index], 0))?;
        client.send(&resync(1))?;
        self.connections.fetch_add(1, Ordering::Relaxed);
        let mut stall_at = self.made.load(Ordering::Relaxed) + REQUESTS / 10;
        while !self.stop.load(Ordering::Relaxed) {
            if index == STALLS && self.made.load(Ordering::Relaxed) >= stall_at {
                self.stall(REQUESTS);
                stall_at = u32::MAX;
            }
            let Some(message) = client.next_within(Duration::from_millis(20))? else {
                continue;
            };
            if self.mirror(index).hear(&message) {
                self.markers.fetch_add(1, Ordering::Relaxed);
                client.send(&resync(2))?;
            }
            if numbers.below(200) == 0 {
                std::thread::sleep(Duration::from_millis(numbers.below(30).into()));
            }
            if index != STALLS && numbers.below(5_000) == 0 {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Reads nothing while so many requests are made.
    fn stall(&self, requests: u32) {
        let end = self.made.load(Ordering::Relaxed) + requests;
        while self.made.load(Ordering::Relaxed) < end && !self.stop.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Random requests, of which many are refused.
    fn write(&self, mut numbers: Numbers) -> anyhow::Result<()> {
        let mut client = Client::connect(&self.socket)?;
        for _ in 0..REQUESTS {
            let prefix = prefix(numbers.below(PREFIXES));
            let gateway = [GATEWAY, OTHER_GATEWAY][numbers.below(2) as usize];
            let priority = u64::from(1 + numbers.below(2));
            let request = match numbers.below(4) {
                0 | 1 => Request::add(&prefix, gateway)?,
                2 => Request::delete(&prefix)?,
                _ => Request::change(&prefix)?.gateway(gateway)?,
            };
            let request = request.metric(RMX_METRIC, RTV_METRIC, priority);
            if client.ask(request).is_err() {
                // Killed. What became of it, the table tells.
                return Ok(());
            }
            self.made.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// The table's own word.
fn table(bed: &Bed) -> anyhow::Result<Routes> {
    let routes = bed.router.show("routes")?;
    let routes = routes.as_array().context("no list of routes")?;
    let selected = routes.iter().filter(|route| route["selected"] == true);
    let pair = |route: &serde_json::Value| {
        let prefix = route["prefix"].as_str().filter(|prefix| is_ours(prefix))?;
        let via = route["nexthops"][0]["via"].as_str()?;
        Some((prefix.to_owned(), via.to_owned()))
    };
    Ok(selected.filter_map(pair).collect())
}

/// Others' routes come and go, and a link with everybody's.
fn disturb(bed: &Bed, numbers: &mut Numbers) -> anyhow::Result<()> {
    for _ in 0..10 {
        let prefix = prefix(numbers.below(PREFIXES));
        let verb = ["replace", "del"][numbers.below(2) as usize];
        // What is not there cannot be deleted.
        let line = format!("ip route {verb} {prefix} via 192.0.2.254 proto bird metric 300");
        let _ = bed.r1.output(&line)?;
    }
    bed.r1.run("ip link set eth1 down")?;
    bed.r1.run("ip link set eth1 up")?;
    Ok(())
}

fn play(lab: &Lab, seed: u64) -> anyhow::Result<()> {
    let mut numbers = Numbers::new(seed);
    let mut bed = Bed::new(lab, CONFIG)?;
    let stage = Stage {
        socket: bed.socket(),
        mirrors: Default::default(),
        made: AtomicU32::new(0),
        markers: AtomicU32::new(0),
        connections: AtomicU32::new(0),
        stop: AtomicBool::new(false),
    };
    std::thread::scope(|scope| {
        let stage = &stage;
        for index in 0..MODES.len() {
            let numbers = Numbers::new(u64::from(numbers.draw()));
            scope.spawn(move || stage.follow(index, numbers));
        }
        // However it ends, the listeners end too.
        let result = rounds(lab, &mut bed, stage, &mut numbers);
        stage.stop.store(true, Ordering::Relaxed);
        result
    })?;
    let count = |counter: &AtomicU32| counter.load(Ordering::Relaxed);
    let (made, markers) = (count(&stage.made), count(&stage.markers));
    let connections = count(&stage.connections);
    crate::show(&format!(
        "{made} requests, {markers} markers, {connections} connections"
    ));
    ensure!(markers > 0, "nobody has ever fallen behind");
    Ok(())
}

fn rounds(lab: &Lab, bed: &mut Bed, stage: &Stage, numbers: &mut Numbers) -> anyhow::Result<()> {
    for round in 0..ROUNDS {
        let draws = [numbers.draw(), numbers.draw()].map(u64::from);
        std::thread::scope(|scope| {
            let writers = draws.map(|draw| scope.spawn(move || stage.write(Numbers::new(draw))));
            let disturbed = disturb(bed, numbers);
            for writer in writers {
                writer
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            }
            disturbed
        })?;
        at_rest(bed, stage).with_context(|| format!("in round {round}"))?;
        if round + 1 < ROUNDS {
            restart(lab, bed, round == 0)?;
            at_rest(bed, stage).with_context(|| format!("restarted after round {round}"))?;
        }
    }
    Ok(())
}

fn restart(lab: &Lab, bed: &mut Bed, kill: bool) -> anyhow::Result<()> {
    if kill {
        bed.router.process().kill();
    } else {
        bed.router.stop()?;
    }
    let config = format!("{}{CONFIG}", crate::NATIVE);
    bed.router = lab.start_router(&bed.r1, &config)?;
    Ok(())
}

/// Every mirror equals the table.
fn at_rest(bed: &Bed, stage: &Stage) -> anyhow::Result<()> {
    bed.router.wait_until_settled()?;
    wait_for(LONG, "all mirrors to equal the table", || {
        let table = table(bed)?;
        for index in 0..MODES.len() {
            let mirror = stage.mirror(index);
            ensure!(mirror.whole, "listener {index} has no table yet");
            ensure!(
                mirror.routes == table,
                "listener {index} has {:?} in place of {table:?}",
                mirror.routes
            );
        }
        Ok(())
    })
}

#[test]
fn every_mirror_equals_the_table_at_rest() {
    lab::test("route4-mirror", |lab| {
        let seed = numbers::seed("FORWARDER_SEED");
        play(lab, seed).with_context(|| format!("with FORWARDER_SEED={seed}"))
    });
}
