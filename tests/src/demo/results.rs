//! What the demo has found: one JSON object, or a page of text.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use crate::console::Console;

/// At least this share of the frames must arrive.
const DELIVERED: f64 = 0.999;
/// The median outage must stay below.
const OUTAGE: Duration = Duration::from_millis(200);

/// Everything measured; `None` or empty where the demo did not get so far.
#[derive(Default)]
pub struct Results {
    pub(super) converged: Option<Duration>,
    pub(super) ping: Option<Ping>,
    pub(super) xdp: Option<Throughput>,
    pub(super) kernel: Option<Throughput>,
    /// No hop, and two hops without a lookup.
    pub(super) limits: Vec<Throughput>,
    pub(super) carrier_loss: Vec<Cut>,
    pub(super) admin_down: Vec<Cut>,
    pub(super) clean_stop: bool,
    /// What went wrong, in words; empty is good.
    pub(super) problems: Vec<String>,
}

/// A series of pings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Ping {
    pub(super) sent: u64,
    pub(super) lost: u64,
}

/// All rounds of one way.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Throughput {
    pub(super) name: &'static str,
    /// Routers on the way.
    pub(super) hops: u8,
    pub(super) sent: u64,
    /// Arrived with an intact IPv4 header.
    pub(super) delivered: u64,
    pub(super) damaged: u64,
    /// Every hop has taken one from the TTL.
    pub(super) right_ttl: bool,
    /// Frames in a second of CPU time, median of the rounds.
    pub(super) pps: f64,
    /// Frames in a second by the wall clock, likewise.
    pub(super) wall_pps: f64,
}

/// One cut of the link.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Cut {
    pub(super) outage: Duration,
    pub(super) lost: u64,
}

impl Throughput {
    fn share(&self) -> f64 {
        if self.sent == 0 {
            return 0.0;
        }
        self.delivered as f64 / self.sent as f64
    }

    /// CPU time of a frame, from generator to sink.
    fn nanoseconds(&self) -> f64 {
        1e9 / self.pps
    }

    /// What is wrong with it.
    pub(super) fn problem(&self) -> Option<String> {
        let name = self.name;
        if self.share() < DELIVERED {
            let (delivered, sent) = (self.delivered, self.sent);
            return Some(format!("{name}: only {delivered} of {sent} frames arrived"));
        }
        if self.damaged > 0 {
            let damaged = self.damaged;
            return Some(format!("{name}: {damaged} frames had a wrong checksum"));
        }
        (!self.right_ttl).then(|| format!("{name}: the TTL is not {} less", self.hops))
    }
}

impl Results {
    /// Notes a problem that does not end the demo.
    pub(super) fn problem(&mut self, console: &Console, what: String) {
        console.problem(&what);
        self.problems.push(what);
    }

    /// Whether every step was made and delivered what it should.
    pub fn ok(&self) -> bool {
        let outage = self.worst_cut().map(|cut| cut.outage);
        self.problems.is_empty()
            && self.converged.is_some()
            && self.ping.is_some_and(|ping| ping.lost == 0)
            && [&self.xdp, &self.kernel]
                .iter()
                .all(|way| way.as_ref().is_some_and(|way| way.problem().is_none()))
            && outage.is_some_and(|outage| outage < OUTAGE)
            && self.clean_stop
    }

    /// How many times the kernel's rate XDP's is.
    fn speedup(&self) -> Option<f64> {
        let (xdp, kernel) = (self.xdp.as_ref()?, self.kernel.as_ref()?);
        (kernel.pps > 0.0).then(|| xdp.pps / kernel.pps)
    }

    /// The median cut of the case in which it is longer.
    fn worst_cut(&self) -> Option<Cut> {
        let cases = [&self.carrier_loss, &self.admin_down];
        cases
            .into_iter()
            .filter_map(|cuts| median_cut(cuts))
            .max_by_key(|cut| cut.outage)
    }

    /// The object that `--json` prints. A value is `null` where the demo did
    /// not get so far.
    ///
    /// `frames_sent` is for each of the two ways; the rates are those of one
    /// CPU, by the time the runs had it; `outage_ms` is the median of
    /// the cuts, of carrier loss or admin down whichever is longer, and
    /// `lost_datagrams` what that cut has lost.
    pub fn json(&self) -> Value {
        let cut = self.worst_cut();
        let (xdp, kernel) = (self.xdp.as_ref(), self.kernel.as_ref());
        json!({
            "converged_s": self.converged.map(|time| round(time.as_secs_f64(), 3)),
            "ping_sent": self.ping.map(|ping| ping.sent),
            "ping_lost": self.ping.map(|ping| ping.lost),
            "frames_sent": xdp.map(|way| way.sent),
            "xdp_delivered": xdp.map(|way| way.delivered),
            "kernel_delivered": kernel.map(|way| way.delivered),
            "xdp_pps": xdp.map(|way| way.pps.round() as u64),
            "kernel_pps": kernel.map(|way| way.pps.round() as u64),
            "speedup": self.speedup().map(|factor| round(factor, 2)),
            "outage_ms": cut.map(|cut| round(cut.outage.as_secs_f64() * 1e3, 1)),
            "lost_datagrams": cut.map(|cut| cut.lost),
            "clean_stop": self.clean_stop,
            "ok": self.ok(),
        })
    }

    /// The page of text.
    pub fn summary(&self) -> String {
        let mut text = String::from("\n");
        if let Some(converged) = self.converged {
            row(
                &mut text,
                "routes by RIP",
                &format!("after {converged:.1?}"),
            );
        }
        if let Some(ping) = self.ping {
            let answered = format!("{} of {} answered", ping.sent - ping.lost, ping.sent);
            row(&mut text, "ping hostA → hostB", &answered);
        }
        self.rates(&mut text);
        let cases = [
            ("r1–r3 cut, carrier lost", &self.carrier_loss),
            ("r1–r3 cut, port set down", &self.admin_down),
        ];
        for (name, cuts) in cases {
            if let Some(cut) = median_cut(cuts) {
                row(&mut text, name, &outage(cut, cuts));
            }
        }
        let stop = if self.clean_stop {
            "clean"
        } else {
            "NOT clean"
        };
        row(&mut text, "stop", stop);
        self.costs(&mut text);
        for problem in &self.problems {
            row(&mut text, "FAILED", problem);
        }
        row(
            &mut text,
            "all in all",
            if self.ok() { "ok" } else { "NOT ok" },
        );
        text
    }

    fn rates(&self, text: &mut String) {
        for way in [&self.xdp, &self.kernel].into_iter().flatten() {
            let rate = format!(
                "{:.2} million frames a second of CPU time ({:.2} by the clock); \
                 {} of {} delivered ({:.3} %)",
                way.pps / 1e6,
                way.wall_pps / 1e6,
                way.delivered,
                way.sent,
                way.share() * 100.0
            );
            row(text, &format!("forwarded by {}", way.name), &rate);
        }
        if let Some(factor) = self.speedup() {
            row(text, "XDP ÷ kernel", &format!("{factor:.2}"));
        }
    }

    /// Where the time goes: the hosts' share is the same for all, so what a hop
    /// costs is the difference.
    fn costs(&self, text: &mut String) {
        let Some(hosts) = self.limits.first() else {
            return;
        };
        let ways = self.limits.iter().chain(&self.xdp).chain(&self.kernel);
        let _ = writeln!(text, "  where the time goes, CPU time for each frame:");
        for way in ways {
            let hop = (way.nanoseconds() - hosts.nanoseconds()) / f64::from(way.hops.max(1));
            let hop = match way.hops {
                0 => String::new(),
                _ => format!(", {hop:.0} ns a hop"),
            };
            let name = match way.name {
                "XDP" => "two hops through forwarder's XDP program",
                "kernel" => "two hops through the kernel's ip_forward",
                name => name,
            };
            let _ = writeln!(text, "    {name:<42} {:>4.0} ns{hop}", way.nanoseconds());
        }
    }
}

fn row(text: &mut String, name: &str, value: &str) {
    // Writing to a String does not fail.
    let _ = writeln!(text, "  {name:<26} {value}");
}

fn outage(cut: Cut, all: &[Cut]) -> String {
    let worst = all.iter().map(|cut| cut.outage).max().unwrap_or_default();
    format!(
        "outage {:.1} ms, {} datagrams lost (median of {}; longest {:.1} ms)",
        cut.outage.as_secs_f64() * 1e3,
        cut.lost,
        all.len(),
        worst.as_secs_f64() * 1e3
    )
}

fn median_cut(cuts: &[Cut]) -> Option<Cut> {
    let mut sorted = cuts.to_vec();
    sorted.sort_by_key(|cut| cut.outage);
    sorted.get(sorted.len() / 2).copied()
}

/// The middle one, the upper of two; 0 of none.
pub(super) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(0.0)
}

fn round(value: f64, digits: i32) -> f64 {
    let scale = 10_f64.powi(digits);
    (value * scale).round() / scale
}
