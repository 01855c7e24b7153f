//! A table that arrives: how much of it, when, and whether all of it came at once.

use std::time::{Duration, Instant};

use super::counters::Counters;
use super::device::FastPath;
use super::speaker::ENTRIES;
use crate::lab::patience;

/// Below RIP's period of 30 s, which no daemon shortens by more than its jitter:
/// what is there by then has come with the first update.
const FIRST_UPDATE: Duration = Duration::from_secs(25);
/// An update that has been silent for so long is over: paced ones have gaps of
/// 20 ms.
const SILENCE: Duration = Duration::from_millis(1500);
/// What comes after such a gap, when there has been enough for one update, is the
/// next one.
const GAP: Duration = Duration::from_millis(300);
/// A full datagram as veth counts received bytes, without the Ethernet header:
/// 20 + 8 + 4 + 25 × 20.
const PACKET: u64 = 532;
/// Between two looks, or as many times as long as a look takes: it shares the
/// CPUs with what is looked at.
const PAUSE: Duration = Duration::from_millis(2);
const SHARE: u32 = 5;

/// What has arrived.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Arrival {
    /// Routes in the kernel's table.
    pub(super) kernel: u64,
    /// From the first full datagram until all were there; `None` = they never
    /// were.
    pub(super) kernel_after: Option<Duration>,
    /// Likewise in the fast path, where there is one.
    pub(super) fast_path: Option<u64>,
    pub(super) fast_path_after: Option<Duration>,
    /// Full datagrams that have come over the link.
    pub(super) datagrams: u64,
}

/// Watches a first update of `routes` routes: until all are there, or until it
/// is over. `others` is how many more the same router announces, for its own links.
/// `counters` must have been opened before anything could come.
pub(super) fn first_update(
    counters: &mut Counters,
    mut fast_path: Option<&mut FastPath>,
    routes: usize,
    others: usize,
) -> anyhow::Result<Arrival> {
    let update = routes.div_ceil(ENTRIES) as u64;
    let routes = (routes + others) as u64;
    let begun = counters.received()?.bytes;
    let (mut arrival, mut first) = (Arrival::default(), None);
    let (mut last_change, mut last_datagram) = (Instant::now(), Instant::now());
    let end = Instant::now() + FIRST_UPDATE * patience();
    loop {
        let look = Instant::now();
        let datagrams = (counters.received()?.bytes - begun) / PACKET;
        let before = (arrival.datagrams, arrival.kernel);
        arrival.datagrams = datagrams;
        if datagrams > 0 && first.is_none() {
            first = Some(look);
        }
        arrival.look(counters, fast_path.as_deref_mut(), routes, first)?;
        let now = Instant::now();
        if before != (arrival.datagrams, arrival.kernel) {
            last_change = now;
        }
        let silent = datagrams >= update && now - last_change > SILENCE;
        // It would bring what the first has lost.
        let again = before.0 >= update
            && datagrams > before.0
            && now - last_datagram > GAP
            && counters.socket_drops()? > 0;
        if datagrams > before.0 {
            last_datagram = now;
        }
        let over = silent || again;
        if arrival.complete() || over || now > end {
            return arrival.finish(fast_path);
        }
        std::thread::sleep(PAUSE.max((now - look) * SHARE));
    }
}

/// Watches until `routes` routes are there, counted from `start`, or `deadline`
/// has passed.
pub(super) fn within(
    deadline: Duration,
    start: Instant,
    counters: &mut Counters,
    mut fast_path: Option<&mut FastPath>,
    routes: usize,
) -> anyhow::Result<Arrival> {
    let mut arrival = Arrival::default();
    loop {
        let look = Instant::now();
        arrival.look(
            counters,
            fast_path.as_deref_mut(),
            routes as u64,
            Some(start),
        )?;
        if arrival.complete() || start.elapsed() > deadline * patience() {
            return arrival.finish(fast_path);
        }
        std::thread::sleep(PAUSE.max(look.elapsed() * SHARE));
    }
}

impl Arrival {
    /// The fast path is asked only once the kernel has everything: a route is
    /// added there first, and questions take the daemon's time.
    fn look(
        &mut self,
        counters: &mut Counters,
        fast_path: Option<&mut FastPath>,
        routes: u64,
        start: Option<Instant>,
    ) -> anyhow::Result<()> {
        let since = |start: Option<Instant>| start.map(|start| start.elapsed());
        self.kernel = counters.learnt()?;
        if self.kernel < routes {
            self.fast_path = fast_path.map(|_| 0);
            return Ok(());
        }
        self.kernel_after = self.kernel_after.or_else(|| since(start));
        if let Some(fast_path) = fast_path {
            let there = fast_path.learnt()?;
            self.fast_path = Some(there);
            if there >= routes {
                self.fast_path_after = self.fast_path_after.or_else(|| since(start));
            }
        }
        Ok(())
    }

    /// With what the fast path has in the end, all or not.
    fn finish(mut self, fast_path: Option<&mut FastPath>) -> anyhow::Result<Arrival> {
        self.fast_path = fast_path.map(FastPath::learnt).transpose()?;
        Ok(self)
    }

    fn complete(&self) -> bool {
        self.kernel_after.is_some() && (self.fast_path.is_none() || self.fast_path_after.is_some())
    }
}
