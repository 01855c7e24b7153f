//! From a request to the fast path, while the table churns.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::ensure;
use forwarder_core::route_msg::extension::WAIT_XDP;
use forwarder_core::route_msg::number::RTM_CHANGE;
use serde::Serialize;

use super::super::family::BenchFamily;
use super::super::program::Spread;
use super::client::{Acked, Client};
use super::daemon::Daemon;
use super::messages::{Entry, Messages, moved};
use super::{greeting, requests::WRITER};

/// Changes of the churn in one packet, so that many times a second.
const TOGETHER: usize = 10;

/// How long a change takes to where packets see it.
#[derive(Clone, Debug, Serialize)]
pub struct Visible {
    /// Changes a second that were made beside it.
    pub rate: f64,
    /// Microseconds from the request to the acknowledgement that the fast path
    /// has it.
    pub microseconds: Spread,
}

/// Times single changes while another client makes `rate` changes a second.
pub(super) fn measure<F: BenchFamily>(
    daemon: &Daemon,
    entries: &[Entry<F>],
    changes: usize,
    rate: u32,
    hops: u8,
) -> anyhow::Result<Visible> {
    let (timed, churned) = entries.split_at(entries.len() / 2);
    let there = Messages::of::<F>(RTM_CHANGE, &moved::<F>(churned, 1, hops));
    let back = Messages::of::<F>(RTM_CHANGE, churned);
    ensure!(
        there.count() >= TOGETHER,
        "the table is too small for a churn"
    );
    let mut writer = Client::connect(&daemon.socket(), &greeting(WRITER))?;
    let mut waiter = Client::connect(&daemon.socket(), &greeting(WRITER | WAIT_XDP))?;
    let (stop, made) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let churn = scope.spawn(|| {
            let packet = there.length * TOGETHER;
            let packets = there.bytes.chunks_exact(packet);
            let both = packets.chain(back.bytes.chunks_exact(packet));
            let pause = Duration::from_secs_f64(TOGETHER as f64 / f64::from(rate.max(1)));
            let start = Instant::now();
            for (turn, packet) in (1..).zip(both.cycle()) {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                writer.send(packet)?;
                let mut acked = Acked::default();
                while acked.count < TOGETHER {
                    writer.acks(&mut acked)?;
                }
                made.fetch_add(TOGETHER, Ordering::Relaxed);
                let due = start + pause * turn;
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
            }
            anyhow::Ok(())
        });
        let start = Instant::now();
        let times = time::<F>(&mut waiter, &moved::<F>(timed, 1, hops), changes);
        let elapsed = start.elapsed();
        let made = made.load(Ordering::Relaxed);
        stop.store(true, Ordering::Relaxed);
        let churned = churn.join();
        let times = times?;
        churned.unwrap_or_else(|_| Err(anyhow::anyhow!("the churn has panicked")))?;
        Ok(Visible {
            rate: made as f64 / elapsed.as_secs_f64(),
            microseconds: Spread::of(times),
        })
    })
}

fn time<F: BenchFamily>(
    waiter: &mut Client,
    entries: &[Entry<F>],
    changes: usize,
) -> anyhow::Result<Vec<f64>> {
    let messages = Messages::of::<F>(RTM_CHANGE, entries);
    let mut times = Vec::with_capacity(changes);
    for message in messages.bytes.chunks_exact(messages.length).take(changes) {
        let start = Instant::now();
        waiter.send(message)?;
        let mut acked = Acked::default();
        while acked.count == 0 {
            waiter.acks(&mut acked)?;
        }
        times.push(start.elapsed().as_secs_f64() * 1e6);
    }
    Ok(times)
}
