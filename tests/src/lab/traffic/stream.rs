//! Numbered datagrams at a steady pace: how long an outage lasted, and what it
//! lost, as an application sees it.

use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use super::background::{Background, TICK, is_timeout};
use crate::lab::{Namespace, SHORT, wait_for};

/// After the last datagram was sent, none arrives later than this.
const DRAIN: Duration = Duration::from_millis(300);

/// A running stream; [`Stream::stop`] reports it.
pub struct Stream {
    sender: Background<Vec<Instant>>,
    receiver: Background<Vec<(u64, Instant)>>,
    arrived: Arc<AtomicU64>,
}

/// What became of a stream's datagrams.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Gaps {
    /// Datagrams the sender's socket took.
    pub sent: u64,
    /// Different datagrams that arrived.
    pub received: u64,
    /// Sent and not arrived, the last few before the end included.
    pub lost: u64,
    /// Arrivals of one that had arrived before.
    pub duplicated: u64,
    /// Arrivals after a later one.
    pub reordered: u64,
    /// The longest time between two arrivals.
    pub longest_silence: Duration,
    /// The longest time over which every datagram sent was lost: the outage.
    pub outage: Duration,
}

impl Stream {
    /// Sends from `from` to `to`, which is an address in `at`, one datagram
    /// every `interval`, and waits until the first one arrives.
    ///
    /// # Errors
    /// A socket cannot be made, or nothing arrives.
    pub fn start(
        from: &Namespace,
        at: &Namespace,
        to: SocketAddrV4,
        interval: Duration,
    ) -> anyhow::Result<Stream> {
        let bind = |address: SocketAddrV4| UdpSocket::bind(address).context("binding udp");
        let incoming = at.enter(|| bind(to))?;
        let outgoing = from.enter(|| bind(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0)))?;
        incoming.set_read_timeout(Some(TICK))?;
        let arrived = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&arrived);
        let receiver = Background::start(at, move |stop| receive(&incoming, &counter, stop));
        let sender = Background::start(from, move |stop| send(&outgoing, to, interval, stop));
        let stream = Stream {
            sender,
            receiver,
            arrived,
        };
        wait_for(SHORT, "the stream's first datagram", || {
            ensure!(stream.arrived() > 0, "none has arrived");
            Ok(())
        })?;
        Ok(stream)
    }

    /// How many have arrived so far, doubled ones included.
    pub fn arrived(&self) -> u64 {
        self.arrived.load(Ordering::Relaxed)
    }

    /// Waits until `count` more have arrived: traffic flows again.
    ///
    /// # Errors
    /// They do not within `deadline`.
    pub fn wait_for_more(&self, count: u64, deadline: Duration) -> anyhow::Result<()> {
        let target = self.arrived() + count;
        wait_for(
            deadline,
            &format!("{count} more datagrams of the stream"),
            || {
                let missing = target.saturating_sub(self.arrived());
                ensure!(missing == 0, "{missing} are missing");
                Ok(())
            },
        )
    }

    /// Stops sending, waits for those under way, and counts.
    ///
    /// # Errors
    /// A socket failed while it ran.
    pub fn stop(self) -> anyhow::Result<Gaps> {
        let sent = self.sender.finish()?;
        std::thread::sleep(DRAIN);
        Ok(count(&sent, &self.receiver.finish()?))
    }
}

/// Returns when each was sent; its index is its number.
fn send(
    socket: &UdpSocket,
    to: SocketAddrV4,
    interval: Duration,
    stop: &AtomicBool,
) -> anyhow::Result<Vec<Instant>> {
    let mut sent = Vec::new();
    let mut next = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
        let number = sent.len() as u64;
        // A refused one counts as lost: the number is used up.
        let _ = socket.send_to(&number.to_be_bytes(), to);
        sent.push(Instant::now());
        // After a pause of the machine it goes on at the pace, no burst.
        next = (next + interval).max(Instant::now());
    }
    Ok(sent)
}

fn receive(
    socket: &UdpSocket,
    arrived: &AtomicU64,
    stop: &AtomicBool,
) -> anyhow::Result<Vec<(u64, Instant)>> {
    let mut seen = Vec::new();
    let mut buffer = [0; 16];
    while !stop.load(Ordering::Relaxed) {
        match socket.recv(&mut buffer) {
            Ok(8) => {
                let number = buffer.first_chunk().copied().map_or(0, u64::from_be_bytes);
                seen.push((number, Instant::now()));
                arrived.fetch_add(1, Ordering::Relaxed);
            }
            // Not one of ours.
            Ok(_) => {}
            Err(error) if is_timeout(&error) => {}
            Err(error) => return Err(error).context("receiving the stream"),
        }
    }
    Ok(seen)
}

/// Compares what was sent with what has arrived.
pub(crate) fn count(sent: &[Instant], seen: &[(u64, Instant)]) -> Gaps {
    let mut there = vec![false; sent.len()];
    let (mut duplicated, mut reordered, mut highest) = (0, 0, None);
    for &(number, _) in seen {
        let Some(slot) = usize::try_from(number).ok().and_then(|n| there.get_mut(n)) else {
            continue;
        };
        duplicated += u64::from(*slot);
        reordered += u64::from(!*slot && Some(number) < highest);
        *slot = true;
        highest = highest.max(Some(number));
    }
    let silences = seen
        .windows(2)
        .map(|pair| pair[1].1.duration_since(pair[0].1));
    let received = there.iter().filter(|arrived| **arrived).count() as u64;
    Gaps {
        sent: sent.len() as u64,
        received,
        lost: sent.len() as u64 - received,
        duplicated,
        reordered,
        longest_silence: silences.max().unwrap_or_default(),
        outage: outage(sent, &there),
    }
}

/// From the sending of the first lost one to that of the next that arrived, at
/// its longest. Those lost at the very end count up to the last one sent.
fn outage(sent: &[Instant], there: &[bool]) -> Duration {
    let (mut longest, mut since) = (Duration::ZERO, None);
    for (&at, &arrived) in sent.iter().zip(there) {
        let start = *since.get_or_insert(at);
        longest = longest.max(at.duration_since(start));
        if arrived {
            since = None;
        }
    }
    longest
}
