//! The forwarding program by itself, under `BPF_PROG_TEST_RUN` without live
//! frames: no driver, no redirect carried out.
//!
//! A run does not restore the frame between repeats, so the program must be able
//! to take what it has made: next hops have the port's own MAC address, and the
//! TTL bears as many repeats as a call makes. All repeats of a call are to one
//! destination, so the lookup is as fast as the caches let it be.

use anyhow::{Context as _, ensure};
use aya::programs::{TestRun as _, TestRunOptions};

use super::family::BenchFamily;
use super::fib::context;
use super::router::{Ours, PROGRAM, Router, hop_mac};
use super::{Flow, FrameAddress};

/// Destinations of one sample, and packets to each.
const CALLS: usize = 64;
const REPEAT: u32 = 250;
/// `XDP_REDIRECT`.
const REDIRECT: u32 = 4;

/// Nanoseconds a packet.
pub(super) fn time<F: BenchFamily>(
    router: &Router,
    ours: &mut Ours<F>,
    addresses: &[F::Addr],
    hops: u8,
) -> anyhow::Result<f64> {
    router.set_hops(ours, hops, |_| router.mac)?;
    let result = calls(router, ours, addresses);
    router.set_hops(ours, hops, hop_mac)?;
    result
}

fn calls<F: BenchFamily>(
    router: &Router,
    ours: &mut Ours<F>,
    addresses: &[F::Addr],
) -> anyhow::Result<f64> {
    let len = F::Addr::MIN_FRAME;
    let flow = Flow {
        source_mac: hop_mac(0),
        destination_mac: router.mac,
        source: F::sender(),
        destinations: Vec::new(),
        source_port: 9,
        destination_port: 9,
        ttl: 255,
        frame_len: len,
    };
    let mut frame = F::Addr::headers(&flow);
    frame.resize(len, 0);
    let context = context(len as u32, router.ingress());
    let mut total = 0;
    router.enter(|| {
        for address in addresses.iter().take(CALLS) {
            address.complete(&mut frame);
            let run = ours.object.xdp(PROGRAM)?.test_run(TestRunOptions {
                data_in: Some(&frame),
                ctx_in: Some(&context),
                repeat: REPEAT,
                ..TestRunOptions::default()
            });
            let run = run.context("running the forwarding program")?;
            ensure!(
                run.return_value == REDIRECT,
                "the program did not forward a packet to {address}"
            );
            total += run.duration.as_nanos();
        }
        Ok(())
    })?;
    Ok(total as f64 / addresses.len().min(CALLS) as f64)
}
