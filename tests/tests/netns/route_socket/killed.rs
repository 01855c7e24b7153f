//! SIGKILL at random instants, while a client changes routes as fast as it is
//! answered: what was acknowledged is there after the restart, in the database,
//! in the kernel and in the maps; the request that was under way is done or not.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use forwarder_tests::bsd::{Client, Request};
use forwarder_tests::lab::{self, LONG, Lab, wait_for};
use forwarder_tests::numbers::{self, Numbers};
use serde_json::Value;

use super::{Bed, GATEWAY, OTHER_GATEWAY};

const LIVES: u32 = 8;
/// Longest life under load, in milliseconds.
const LONGEST: u32 = 500;
/// Few, so that each is changed often.
const PREFIXES: u32 = 50;

/// Prefix → gateway.
type Routes = BTreeMap<String, &'static str>;

/// What a client knows of its routes.
#[derive(Default)]
struct Written {
    routes: Routes,
    /// The request that was not answered: before it, and after it.
    open: Option<(String, Option<&'static str>, Option<&'static str>)>,
    requests: u32,
}

fn prefix(number: u32) -> String {
    format!("10.{number}.0.0/16")
}

/// Random requests until the daemon is gone.
fn write(
    mut client: Client,
    mut written: Written,
    mut numbers: Numbers,
) -> anyhow::Result<Written> {
    loop {
        let prefix = prefix(numbers.below(PREFIXES));
        let before = written.routes.get(&prefix).copied();
        let other = match before {
            Some(GATEWAY) => OTHER_GATEWAY,
            _ => GATEWAY,
        };
        let (request, after) = match before {
            None => (Request::add(&prefix, other)?, Some(other)),
            Some(_) if numbers.below(2) == 0 => (Request::delete(&prefix)?, None),
            Some(_) => (Request::change(&prefix)?.gateway(other)?, Some(other)),
        };
        match client.ask(request) {
            Ok(reply) => ensure!(reply.errno() == 0, "refused: {reply:?}"),
            Err(_) => {
                written.open = Some((prefix, before, after));
                return Ok(written);
            }
        }
        written.requests += 1;
        match after {
            Some(gateway) => written.routes.insert(prefix, gateway),
            None => written.routes.remove(&prefix),
        };
    }
}

/// What the database has of the socket's.
fn database(bed: &Bed) -> anyhow::Result<BTreeMap<String, Value>> {
    let routes = bed.router.show("routes")?;
    let routes = routes.as_array().context("no list of routes")?;
    let ours = routes.iter().filter(|route| route["source"] == "socket");
    let named = |route: &Value| Some((route["prefix"].as_str()?.to_owned(), route.clone()));
    Ok(ours.filter_map(named).collect())
}

/// What the kernel has of ours.
fn kernel(bed: &Bed) -> anyhow::Result<BTreeMap<String, String>> {
    let routes = bed.r1.ip_json("route show proto 210")?;
    let routes = routes.as_array().context("no list of routes")?;
    let pair = |route: &Value| {
        let text = |key: &str| route[key].as_str().map(str::to_owned);
        Some((text("dst")?, text("gateway")?))
    };
    Ok(routes.iter().filter_map(pair).collect())
}

/// All three have exactly these.
fn agree(bed: &Bed, wanted: &Routes) -> anyhow::Result<()> {
    let database = database(bed)?;
    let kernel = kernel(bed)?;
    let names = |all: &BTreeMap<String, String>| all.keys().cloned().collect::<Vec<_>>();
    ensure!(
        kernel.keys().eq(wanted.keys()),
        "the kernel has {:?} in place of {:?}",
        names(&kernel),
        wanted.keys()
    );
    for (prefix, gateway) in wanted {
        let route = database.get(prefix).context("not in the database")?;
        ensure!(
            route["nexthops"][0]["via"] == *gateway && route["installed"]["xdp"] == true,
            "not by {gateway}: {route}"
        );
        ensure!(kernel[prefix] == *gateway, "the kernel: {}", kernel[prefix]);
        let address = prefix.trim_end_matches("0/16").to_owned() + "9";
        let found = bed.router.lookup(&address)?;
        ensure!(
            found["xdp"]["via"] == *gateway && found["agree"] == true,
            "the fast path: {found}"
        );
    }
    Ok(())
}

/// Whatever became of the open request: what there is now.
fn settle(bed: &Bed, written: &mut Written) -> anyhow::Result<()> {
    let database = database(bed)?;
    let mut found: BTreeMap<&str, &str> = BTreeMap::new();
    for (prefix, route) in &database {
        let via = route["nexthops"][0]["via"].as_str();
        found.insert(prefix, via.context("a route by no gateway")?);
    }
    if let Some((prefix, before, after)) = written.open.take() {
        let now = found.get(prefix.as_str()).copied();
        if now == after {
            match after {
                Some(gateway) => written.routes.insert(prefix, gateway),
                None => written.routes.remove(&prefix),
            };
        } else if now != before {
            bail!("{prefix} goes by {now:?}, and it was {before:?} or {after:?}");
        }
    }
    let wanted = written.routes.iter();
    let wanted: BTreeMap<&str, &str> = wanted
        .map(|(prefix, via)| (prefix.as_str(), *via))
        .collect();
    ensure!(found == wanted, "{found:?} in place of {wanted:?}");
    Ok(())
}

fn lives(lab: &Lab, seed: u64) -> anyhow::Result<()> {
    let mut numbers = Numbers::new(seed);
    let mut bed = Bed::new(lab, "")?;
    let hosts = ["192.0.2.254", "198.51.100.2"];
    for host in hosts {
        // Resolved, so that the fast path forwards.
        bed.r1.run(&format!("ping -c 1 -W 3 {host}"))?;
    }
    let mut written = Written::default();
    for life in 0..LIVES {
        let client = bed.client()?;
        let draw = Numbers::new(u64::from(numbers.draw()));
        let known = std::mem::take(&mut written);
        written = std::thread::scope(|scope| {
            let writer = scope.spawn(|| write(client, known, draw));
            std::thread::sleep(Duration::from_millis(numbers.below(LONGEST).into()));
            bed.router.process().kill();
            writer
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })?;
        bed.router = lab.start_router(&bed.r1, crate::NATIVE)?;
        // Restored before anybody is answered.
        settle(&bed, &mut written).with_context(|| format!("after life {life}"))?;
        wait_for(LONG, "all tables to agree", || agree(&bed, &written.routes))?;
    }
    crate::show(&format!("{} requests in {LIVES} lives", written.requests));
    ensure!(written.requests > 100, "hardly anything happened");
    Ok(())
}

#[test]
fn no_acknowledged_route_is_lost_by_sigkill() {
    lab::test("route4-killed", |lab| {
        let seed = numbers::seed("FORWARDER_SEED");
        lives(lab, seed).with_context(|| format!("with FORWARDER_SEED={seed}"))
    });
}
