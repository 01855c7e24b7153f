//! What the program tells of single packets: those without a route or a
//! resolved next hop, and a sample of those it dropped.
//!
//! A task of its own, since nothing else depends on it and a flood of events
//! must not wait behind, or delay, what the dataplane does. It owns the ring
//! buffer that the programs write to and remembers the newest events for the
//! API. What does not fit is counted: the program lets only so many through
//! (`[dataplane.punt] events`), and the ring holds only so many.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use aya::maps::{MapData, PerCpuArray, RingBuf};
use forwarder_common::abi::{Event as Raw, PuntState};
use forwarder_common::reason::{PuntClass, Reason, Verdict};
use forwarder_core::interface::Interfaces;
use forwarder_core::net::Ifindex;
use forwarder_core::time::Instant;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::api::backend::EventQuery;
use crate::api::model::{Event, Events};
use crate::clock;
use crate::route_events::Packets;

/// Events remembered: a screen or two of `show events`, and more than come
/// between two questions of `trace`.
const KEPT: usize = 4096;

/// Wait after a batch, so that a flood wakes the daemon fifty times a second
/// and not for each event.
const COALESCE: Duration = Duration::from_millis(20);

/// The maps with events, of a loaded object.
pub struct EventMaps {
    /// The events.
    pub ring: RingBuf<MapData>,
    /// How many were held back.
    pub state: PerCpuArray<MapData, PuntState>,
}

/// A question of the API.
pub struct Question {
    /// Which events.
    pub query: EventQuery,
    /// For the answer.
    pub reply: oneshot::Sender<Events>,
}

/// What the task listens to.
pub struct Inputs {
    /// Who tells the routing socket.
    pub packets: Packets,
    /// Their names.
    pub interfaces: watch::Receiver<Arc<Interfaces>>,
    /// From the API.
    pub questions: mpsc::Receiver<Question>,
    /// The maps of the next generation of programs: one in a life, seldom two,
    /// so that nothing bounds them.
    pub next: mpsc::UnboundedReceiver<EventMaps>,
}

/// Takes events in and answers questions until cancelled.
///
/// # Errors
/// The ring cannot be waited for.
pub fn start(maps: EventMaps, inputs: Inputs, cancel: CancellationToken) -> io::Result<()> {
    let source = Source::new(maps)?;
    tokio::spawn(async move {
        tokio::select! {
            () = run(source, inputs) => {}
            () = cancel.cancelled() => {}
        }
    });
    Ok(())
}

async fn run(mut source: Source, mut inputs: Inputs) {
    let mut recent = Recent::new(KEPT);
    loop {
        tokio::select! {
            Some(Question { query, reply }) = inputs.questions.recv() => {
                source.drain(&mut recent, &inputs);
                // Whoever has gone away is not told.
                let _ = reply.send(recent.answer(clock::now(), query, source.lost()));
            }
            Some(maps) = inputs.next.recv() => {
                source.drain(&mut recent, &inputs);
                source = match source.exchange(maps) {
                    Ok(source) => source,
                    Err(error) => return warn!("no more events: {error}"),
                };
            }
            ready = source.ready() => {
                if let Err(error) = ready {
                    return warn!("no more events: {error}");
                }
                source.drain(&mut recent, &inputs);
                tokio::time::sleep(COALESCE).await;
            }
        }
    }
}

/// Where events come from.
struct Source {
    ring: AsyncFd<RingBuf<MapData>>,
    state: PerCpuArray<MapData, PuntState>,
    /// Lost in the maps before these.
    earlier: u64,
}

impl Source {
    fn new(maps: EventMaps) -> io::Result<Source> {
        Ok(Source {
            ring: register(maps.ring)?,
            state: maps.state,
            earlier: 0,
        })
    }

    fn exchange(&self, maps: EventMaps) -> io::Result<Source> {
        Ok(Source {
            earlier: self.lost(),
            ..Source::new(maps)?
        })
    }

    /// Waits until something has been written since the last time.
    async fn ready(&mut self) -> io::Result<()> {
        self.ring.readable().await?.clear_ready();
        Ok(())
    }

    fn drain(&mut self, recent: &mut Recent, inputs: &Inputs) {
        let now = clock::now();
        let interfaces = inputs.interfaces.borrow();
        let ring = self.ring.get_mut();
        while let Some(item) = ring.next() {
            match recent.take(now, &item, &interfaces) {
                Some((Reason::NoRoute, destination)) => inputs.packets.missed(destination),
                Some((Reason::Unresolved, destination)) => inputs.packets.unresolved(destination),
                _ => {}
            }
        }
    }

    /// What there was no credit or no room in the ring for, on all CPUs.
    fn lost(&self) -> u64 {
        let states = self.state.get(&PuntClass::EVENT_SLOT, 0);
        let refused = |state: &PuntState| state.refused;
        self.earlier + states.map_or(0, |states| states.iter().map(refused).sum())
    }
}

/// A ring buffer that can be waited for.
#[expect(unsafe_code, reason = "tokio wants a promise about the descriptor")]
pub(super) fn register(ring: RingBuf<MapData>) -> io::Result<AsyncFd<RingBuf<MapData>>> {
    // SAFETY: the descriptor is the map's, which the ring buffer owns and never
    // exchanges: it is open and the same until both are dropped.
    Ok(unsafe { AsyncFd::register_with_interest(ring, Interest::READABLE) }?)
}

/// The newest events.
struct Recent {
    events: VecDeque<Seen>,
    kept: usize,
    /// Number of the newest; 0 = there was none yet.
    newest: u64,
}

struct Seen {
    at: Instant,
    reason: Reason,
    /// Its name then: it may be gone when it is asked for.
    interface: String,
    source: Option<IpAddr>,
    destination: Option<IpAddr>,
    length: u32,
}

impl Recent {
    fn new(kept: usize) -> Recent {
        Recent {
            events: VecDeque::new(),
            kept,
            newest: 0,
        }
    }

    /// Takes in what the program wrote; what is no event of this version of the
    /// maps is passed over. Returns what it was, and the packet's destination.
    fn take(
        &mut self,
        now: Instant,
        bytes: &[u8],
        interfaces: &Interfaces,
    ) -> Option<(Reason, IpAddr)> {
        let raw = read(bytes)?;
        let reason = Reason::from_u32(raw.reason)?;
        let destination = address(raw.family, raw.destination_be);
        if self.events.len() >= self.kept {
            self.events.pop_front();
        }
        self.newest += 1;
        self.events.push_back(Seen {
            at: now,
            reason,
            interface: interfaces.name(Ifindex(raw.ifindex)),
            source: address(raw.family, raw.source_be),
            destination,
            length: raw.length,
        });
        Some((reason, destination?))
    }

    fn answer(&self, now: Instant, query: EventQuery, lost: u64) -> Events {
        let oldest = self.newest + 1 - self.events.len() as u64;
        let after = query.after.unwrap_or(0);
        let numbered = (oldest..).zip(&self.events);
        let wanted = numbered.filter(|(number, _)| *number > after);
        let count = wanted.clone().count();
        // A follower wants the next ones, everybody else the newest.
        let skipped = match query.after {
            Some(_) => 0,
            None => count.saturating_sub(query.limit),
        };
        let shown = wanted.skip(skipped).take(query.limit);
        Events {
            newest: self.newest,
            lost,
            events: shown.map(|(number, seen)| seen.show(number, now)).collect(),
        }
    }
}

impl Seen {
    fn show(&self, sequence: u64, now: Instant) -> Event {
        let verdict = match self.reason.verdict() {
            Verdict::Dropped => "dropped",
            Verdict::Up | Verdict::Forwarded | Verdict::Transmit => "up",
        };
        Event {
            sequence,
            age: now.since(self.at).as_millis() as f64 / 1000.0,
            verdict: verdict.into(),
            reason: self.reason.name().into(),
            interface: self.interface.clone(),
            source: self.source,
            destination: self.destination,
            length: self.length,
        }
    }
}

/// The bytes of a [`Raw`], field by field.
fn read(bytes: &[u8]) -> Option<Raw> {
    let (words, rest) = bytes.as_chunks::<4>();
    let mut words = words.iter().copied().map(u32::from_ne_bytes);
    let mut next = || words.next();
    let mut event = Raw {
        reason: next()?,
        ifindex: next()?,
        family: next()?,
        length: next()?,
        ..Raw::default()
    };
    for word in event.destination_be.iter_mut().chain(&mut event.source_be) {
        *word = next()?;
    }
    (next().is_none() && rest.is_empty()).then_some(event)
}

pub(super) fn address(family: u32, words: [u32; 4]) -> Option<IpAddr> {
    match family {
        4 => Some(Ipv4Addr::from(words[0].to_ne_bytes()).into()),
        6 => {
            let mut octets = [0; 16];
            for (four, word) in octets.as_chunks_mut::<4>().0.iter_mut().zip(words) {
                *four = word.to_ne_bytes();
            }
            Some(Ipv6Addr::from(octets).into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
