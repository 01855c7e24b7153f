//! What a listener that does not read costs the writer, and what it is left with.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use forwarder_core::route_msg::extension::{Dump, DumpKind, PACKED};
use forwarder_core::route_msg::number::*;
use forwarder_core::route_msg::read::{Message, read};
use forwarder_core::route_msg::{Gateway, RouteMessage};
use ipnet::IpNet;
use serde::Serialize;

use super::super::family::BenchFamily;
use super::super::samples::Summary;
use super::client::Client;
use super::daemon::Daemon;
use super::greeting;
use super::messages::{Entry, Messages, hop_after, is_net, moved};
use super::requests::WRITER;

/// Quiet for so long after the last change, everything has been said.
const QUIET: Duration = Duration::from_millis(500);
const PATIENCE: Duration = Duration::from_secs(10);
/// Changes that are made before they are sent.
const ROUND: usize = 50_000;

/// The writer with a stalled listener beside it and without, in turns.
#[derive(Clone, Debug, Serialize)]
pub struct Stalled {
    /// Changes of one turn.
    pub changes: usize,
    /// Changes a second without the listener.
    pub without: Summary,
    /// With it.
    pub with: Summary,
    /// With by without, of each turn.
    pub ratio: Summary,
    /// Markers that the listener got when it read at last.
    pub markers: usize,
    /// Routes of its mirror after it has caught up, all as in the table.
    pub mirrored: usize,
}

/// What a listener makes of what it hears: gateways by prefix.
#[derive(Default)]
struct Mirror {
    routes: HashMap<IpNet, Gateway>,
    markers: usize,
    ended: bool,
}

impl Mirror {
    fn hear(&mut self, packet: &[u8]) -> anyhow::Result<()> {
        let mut rest = packet;
        while !rest.is_empty() {
            let (message, length) = read(rest)?;
            rest = &rest[length..];
            match message {
                Message::Route(message) => self.route(message),
                Message::Desync(_) => self.markers += 1,
                Message::DumpEnd(end) => {
                    ensure!(end.errno.is_none(), "the dump failed: {:?}", end.errno);
                    self.ended = true;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn route(&mut self, message: RouteMessage) {
        let (Some(prefix), Some(gateway)) = (message.destination, message.gateway) else {
            return;
        };
        match message.kind {
            RTM_DELETE => drop(self.routes.remove(&prefix)),
            RTM_ADD | RTM_CHANGE | RTM_GET => drop(self.routes.insert(prefix, gateway)),
            _ => {}
        }
    }
}

pub(super) fn measure<F: BenchFamily>(
    daemon: &Daemon,
    entries: &[Entry<F>],
    changes: usize,
    samples: usize,
    hops: u8,
) -> anyhow::Result<Stalled> {
    let changed = &entries[..entries.len().min(ROUND).min(changes)];
    let rounds = changes.div_ceil(changed.len());
    let mut writer = Client::connect(&daemon.socket(), &greeting(WRITER))?;
    let mut turn = 0;
    let mut change = |writer: &mut Client| {
        let (mut count, mut time) = (0, Duration::ZERO);
        for _ in 0..rounds {
            turn += 1;
            let messages = Messages::of::<F>(RTM_CHANGE, &moved::<F>(changed, turn, hops));
            let (packed, window) = (writer.packed(messages.length), writer.window());
            let start = Instant::now();
            writer.pump(&messages.bytes, messages.length, packed, window)?;
            time += start.elapsed();
            count += messages.count();
        }
        anyhow::Ok(count as f64 / time.as_secs_f64())
    };
    let (mut with, mut without) = (Vec::new(), Vec::new());
    let mut last = None;
    for sample in 0..samples {
        // In both orders: what goes second finds warmer caches.
        let first = sample % 2 == 0;
        if first {
            without.push(change(&mut writer)?);
        }
        let listener = Client::connect(&daemon.socket(), &greeting(PACKED))?;
        with.push(change(&mut writer)?);
        last = Some(listener);
        if !first {
            // That one is not stalled any more but gone.
            if sample + 1 < samples {
                last = None;
            }
            without.push(change(&mut writer)?);
        }
    }
    let mut listener = last.context("no sample was taken")?;
    let mirror = catch_up(&mut listener)?;
    check::<F>(&mirror, entries, changed.len(), turn, hops)?;
    let ratios: Vec<f64> = with.iter().zip(&without).map(|(a, b)| a / b).collect();
    let of = |values: &[f64]| Summary::of(values).context("no sample was taken");
    Ok(Stalled {
        changes: rounds * changed.len(),
        without: of(&without)?,
        with: of(&with)?,
        ratio: of(&ratios)?,
        markers: mirror.markers,
        mirrored: mirror.routes.len(),
    })
}

/// Reads all that is there, then asks for the table and what follows it.
fn catch_up(listener: &mut Client) -> anyhow::Result<Mirror> {
    let mut mirror = Mirror::default();
    while let Some(packet) = listener.packet(QUIET)? {
        mirror.hear(packet)?;
    }
    ensure!(
        mirror.markers <= 1,
        "{} markers in place of one",
        mirror.markers
    );
    mirror.routes.clear();
    let mut bytes = Vec::new();
    let dump = Dump {
        seq: 1,
        kind: DumpKind::Table,
        family: AF_UNSPEC,
        live_tail: true,
    };
    dump.encode(&mut bytes);
    listener.send(&bytes)?;
    while !mirror.ended {
        let packet = listener.packet(PATIENCE)?.context("the dump has stopped")?;
        mirror.hear(packet)?;
    }
    Ok(mirror)
}

/// The mirror is the table.
fn check<F: BenchFamily>(
    mirror: &Mirror,
    entries: &[Entry<F>],
    changed: usize,
    turn: usize,
    hops: u8,
) -> anyhow::Result<()> {
    for (at, (prefix, hop)) in entries.iter().enumerate() {
        if !is_net::<F>(prefix) {
            continue;
        }
        let hop = if at < changed {
            hop_after(*hop, turn, hops)
        } else {
            *hop
        };
        let wanted = Gateway::Ip(F::hop(hop).into());
        let found = mirror.routes.get(&(*prefix).into());
        if found != Some(&wanted) {
            bail!(
                "the listener takes {prefix} to go by {found:?}, and it goes by {wanted:?} \
                 (of {} bits)",
                F::BITS
            );
        }
    }
    Ok(())
}
