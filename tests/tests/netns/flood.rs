//! A flood of packets without a route takes neither the forwarding nor the RIP
//! neighbours from the port it comes in by.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use forwarder::bench::{Generator, Sink};
use forwarder_tests::lab::{self, Lab, Namespace, Router, Star, end};

use crate::NATIVE;
use crate::accounts::{B, BATCH, Flood, flow, from_a, generator, sink};

const NOWHERE: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);

/// The steady rate: what leaves most of one CPU's time to others. A run of the
/// generator takes the kernel tens of milliseconds to set up, so it is kept on
/// average, by a burst every [`INTERVAL`].
const BURST: u32 = 20_000;
const INTERVAL: Duration = Duration::from_millis(100);
/// Bursts of one measurement.
const BURSTS: u32 = 5;
const ROUNDS: usize = 3;

/// Short timers: a neighbour that is not heard for [`TIMEOUT`] is lost.
const RIP: &str = "
[rip]
update = \"1s\"
timeout = \"4s\"
garbage = \"4s\"
interfaces = [\"RIP\"]
redistribute = [\"connected\"]
";
const TIMEOUT: Duration = Duration::from_secs(4);

/// What the neighbour tells.
const LEARNT: &str = "192.168.9.0/24";

/// The star, and a fourth link with the RIP neighbour: 10.0.4.1 ── 10.0.4.2.
struct Scene {
    star: Star,
    router: Router,
    neighbour: Namespace,
    _neighbour: Router,
}

impl Scene {
    fn new(lab: &Lab) -> anyhow::Result<Scene> {
        let star = Star::new(lab)?;
        let neighbour = lab.router_namespace("neighbour")?;
        lab.link(
            end(&star.r1, "eth3").address("10.0.4.1/24"),
            end(&neighbour, "eth0").address("10.0.4.2/24"),
        )?;
        let rip = |port: &str| format!("{NATIVE}{}", RIP.replace("RIP", port));
        lab.link(
            end(&neighbour, "eth1").address("192.168.9.1/24"),
            end(&lab.namespace("told")?, "eth0"),
        )?;
        let router = lab.start_router(&star.r1, &rip("eth3"))?;
        let other = lab.start_router(&neighbour, &rip("eth0"))?;
        router.wait_route(LEARNT, "rip")?;
        star.warm_up(&router)?;
        Ok(Scene {
            star,
            router,
            neighbour,
            _neighbour: other,
        })
    }

    /// From the RIP neighbour's own interface.
    fn flood(&self) -> anyhow::Result<Flood> {
        let to = (&self.star.r1, "eth3");
        let frames = flow(&self.neighbour, to, [10, 0, 4, 2], &[NOWHERE])?;
        Flood::start(&self.neighbour, &frames)
    }

    /// Fails when the neighbour or its route was lost or not heard in time.
    fn neighbour_is_there(&self) -> anyhow::Result<()> {
        let neighbours = self.router.show("rip neighbors")?;
        let seen = neighbours[0]["last_seen"].as_u64();
        let seen = Duration::from_secs(seen.context("the neighbour is gone")?);
        ensure!(seen < TIMEOUT, "not heard: {neighbours}");
        ensure!(neighbours[0]["routes"] == 1, "{neighbours}");
        let route = self.router.route(LEARNT)?.context("its route is gone")?;
        ensure!(route["source"] == "rip", "{route}");
        Ok(())
    }
}

/// Forwards at the steady rate; frames a second that arrived.
fn steady(generator: &mut Generator, sink: &Sink) -> anyhow::Result<f64> {
    let start = Instant::now();
    let mut arrived = 0;
    for burst in 1..=BURSTS {
        arrived += generator.run_to(sink, BURST, BATCH)?.delivered.frames;
        std::thread::sleep((start + INTERVAL * burst).saturating_duration_since(Instant::now()));
    }
    Ok(arrived as f64 / start.elapsed().as_secs_f64())
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

/// Rounds alone and under the flood take turns, so that whatever else the
/// machine does falls on both.
#[test]
fn flood_without_a_route_leaves_a_steady_rate_alone() {
    lab::test("flood-steady", |lab| {
        let scene = Scene::new(lab)?;
        let sink = sink(&scene.star.b)?;
        let mut generator = generator(&scene.star.a, &from_a(&scene.star, &[B])?)?;
        steady(&mut generator, &sink)?;
        let (mut alone, mut beside, mut flooded) = (Vec::new(), Vec::new(), 0);
        let limited = scene.router.counted("punt-limited", || {
            for _ in 0..ROUNDS {
                alone.push(steady(&mut generator, &sink)?);
                let flood = scene.flood()?;
                beside.push(steady(&mut generator, &sink)?);
                flooded += flood.stop()?;
            }
            Ok(())
        })?;
        let (alone, beside) = (median(alone), median(beside));
        crate::show(&format!(
            "steady rate: {alone:.0} frames a second alone, {beside:.0} beside a flood; \
             {limited} of {flooded} flooded frames were limited"
        ));
        ensure!(
            limited > flooded / 2,
            "{limited} of {flooded} frames were limited"
        );
        ensure!(
            beside >= 0.8 * alone,
            "{alone:.0} frames a second alone, {beside:.0} beside a flood"
        );
        scene.neighbour_is_there()
    });
}

/// The neighbour's own port is flooded for longer than its routes live.
#[test]
fn flood_of_its_own_port_loses_no_rip_neighbour() {
    lab::test("flood-rip", |lab| {
        let scene = Scene::new(lab)?;
        let flood = scene.flood()?;
        let start = Instant::now();
        let limited = scene.router.counted("punt-limited", || {
            // Looked at all the time: a neighbour lost and found again is lost.
            while start.elapsed() < TIMEOUT + Duration::from_secs(1) {
                scene.neighbour_is_there()?;
                std::thread::sleep(Duration::from_millis(100));
            }
            Ok(())
        })?;
        scene.neighbour_is_there()?;
        let flooded = flood.stop()?;
        crate::show(&format!(
            "{flooded} frames in {:.1} s, {limited} limited, the neighbour is still there",
            start.elapsed().as_secs_f64()
        ));
        ensure!(limited > 100_000, "{limited} were limited: no flood");
        Ok(())
    });
}
