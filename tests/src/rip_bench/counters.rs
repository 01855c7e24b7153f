//! What the kernel counts in one network namespace: files of /proc/net, opened
//! there once and read again and again, since starting a program for each look
//! would take longer than what is looked for.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};

use anyhow::{Context as _, ensure};

use crate::lab::Namespace;

/// RIP's port as /proc/net/udp writes it: the end of a local address.
const PORT: &str = ":0208";
/// RIP's group as /proc/net/igmp writes it: 224.0.0.9 in this machine's order.
const GROUP: u32 = u32::from_ne_bytes([224, 0, 0, 9]);

/// A file of /proc/net. It stays that of the namespace it was opened in.
struct ProcNet {
    name: &'static str,
    file: File,
}

impl ProcNet {
    /// To be called inside the namespace.
    fn open(name: &'static str) -> anyhow::Result<ProcNet> {
        // /proc/net is that of the process, not of the thread.
        let path = format!("/proc/thread-self/net/{name}");
        let file = File::open(&path).with_context(|| format!("opening {path}"))?;
        Ok(ProcNet { name, file })
    }

    fn read(&mut self) -> anyhow::Result<String> {
        let mut text = String::new();
        let seek = self.file.seek(SeekFrom::Start(0));
        seek.and_then(|_| self.file.read_to_string(&mut text))
            .with_context(|| format!("reading /proc/net/{}", self.name))?;
        Ok(text)
    }
}

/// See the module's head.
pub(super) struct Counters {
    dev: ProcNet,
    snmp: ProcNet,
    udp: ProcNet,
    fib: ProcNet,
    igmp: ProcNet,
    /// Routes that were in the kernel's table at the beginning.
    routes_before: u64,
}

/// What has come over all links but the loopback.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Received {
    /// Bytes of frames.
    pub(super) bytes: u64,
    /// Frames that were dropped, in either direction.
    pub(super) dropped: u64,
}

impl Counters {
    /// Those of a namespace. What is in its routing table now is not counted as
    /// learnt.
    pub(super) fn open(namespace: &Namespace) -> anyhow::Result<Counters> {
        let mut counters = namespace.enter(|| {
            Ok(Counters {
                dev: ProcNet::open("dev")?,
                snmp: ProcNet::open("snmp")?,
                udp: ProcNet::open("udp")?,
                fib: ProcNet::open("fib_triestat")?,
                igmp: ProcNet::open("igmp")?,
                routes_before: 0,
            })
        })?;
        counters.routes_before = counters.routes()?;
        Ok(counters)
    }

    /// Routes in the kernel's table, of whatever protocol, beyond those of the
    /// beginning.
    pub(super) fn learnt(&mut self) -> anyhow::Result<u64> {
        Ok(self.routes()?.saturating_sub(self.routes_before))
    }

    fn routes(&mut self) -> anyhow::Result<u64> {
        let text = self.fib.read()?;
        // "Main:" comes first; without rules of somebody's own it is all there is.
        let count = text
            .lines()
            .find_map(|line| line.trim().strip_prefix("Prefixes:"));
        let count = count.context("no `Prefixes:` in /proc/net/fib_triestat")?;
        Ok(count.trim().parse()?)
    }

    /// All links together.
    pub(super) fn received(&mut self) -> anyhow::Result<Received> {
        let text = self.dev.read()?;
        let mut sum = Received::default();
        for (name, numbers) in text.lines().filter_map(|line| line.split_once(':')) {
            if name.trim() == "lo" {
                continue;
            }
            let numbers: Vec<u64> = numbers
                .split_whitespace()
                .map_while(|number| number.parse().ok())
                .collect();
            // Received bytes, packets, errs, drop, and four more; sent likewise.
            ensure!(
                numbers.len() >= 12,
                "/proc/net/dev has another shape: {text}"
            );
            sum.bytes += numbers[0];
            sum.dropped += numbers[3] + numbers[11];
        }
        Ok(sum)
    }

    /// Datagrams that no socket had room for.
    pub(super) fn socket_drops(&mut self) -> anyhow::Result<u64> {
        let text = self.snmp.read()?;
        let mut lines = text.lines().filter(|line| line.starts_with("Udp:"));
        let (names, values) = (lines.next(), lines.next());
        let (names, values) = names.zip(values).context("no `Udp:` in /proc/net/snmp")?;
        let mut both = names.split_whitespace().zip(values.split_whitespace());
        let (_, value) = both
            .find(|(name, _)| *name == "RcvbufErrors")
            .context("no `RcvbufErrors` in /proc/net/snmp")?;
        Ok(value.parse()?)
    }

    /// Fails until RIP's group has been joined on all links but the loopback: before
    /// that a daemon hears nothing.
    pub(super) fn listens(&mut self) -> anyhow::Result<()> {
        let (dev, groups) = (self.dev.read()?, self.igmp.read()?);
        let links = dev.lines().filter(|line| line.contains(':')).count() - 1;
        let group = format!("{GROUP:08X}");
        let joined = groups
            .lines()
            .filter(|line| line.split_whitespace().next() == Some(&group));
        let joined = joined.count();
        ensure!(joined >= links, "it listens on {joined} of {links} links");
        Ok(())
    }

    /// Bytes that wait in sockets on RIP's port to be read.
    pub(super) fn queued(&mut self) -> anyhow::Result<u64> {
        let text = self.udp.read()?;
        let mut sum = 0;
        for line in text.lines().skip(1) {
            let mut fields = line.split_whitespace().skip(1);
            if !fields.next().is_some_and(|local| local.ends_with(PORT)) {
                continue;
            }
            // The remote address, the state, then transmit:receive queue in hex.
            let queues = fields.nth(2).context("/proc/net/udp has another shape")?;
            let (_, received) = queues.split_once(':').context("no queues")?;
            sum += u64::from_str_radix(received, 16)?;
        }
        Ok(sum)
    }
}
