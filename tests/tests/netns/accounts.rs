//! Keeps the books of a router under generated traffic: what was injected, what
//! the router says it did with it, what arrived.

use std::net::Ipv4Addr;
use std::ops::Sub;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use anyhow::{Context as _, anyhow, ensure};
use aya::programs::xdp::XdpMode;
use forwarder::bench::{Flow, Generator, Report, Sink};
use forwarder_common::reason::{Reason, Verdict};
use forwarder_tests::lab::{Namespace, Router, SHORT, Star, wait_for};
use serde_json::Value;

/// Discard; what the sinks count.
pub(crate) const PORT: u16 = 9;
/// A batch that fits several times into a veth ring.
pub(crate) const BATCH: u32 = 64;
/// Frames of one run of a flood. Between two runs the kernel takes tens of
/// milliseconds (it waits for an RCU grace period), so this is not fewer.
const RUN: u32 = 500_000;
/// Host b.
pub(crate) const B: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);

/// A router's counters, and what was lost on the way to it.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Account {
    /// Lost in the links to the router.
    pub(crate) lost_before: u64,
    /// By the router's counters.
    pub(crate) forwarded: u64,
    pub(crate) up: u64,
    pub(crate) dropped: u64,
    pub(crate) tx_error: u64,
    pub(crate) tx_drop: u64,
    pub(crate) tx_sent: u64,
}

impl Account {
    /// What there is by now; `senders` are the hosts that frames come from.
    pub(crate) fn of(router: &Router, senders: &[&Namespace]) -> anyhow::Result<Account> {
        let mut account = Account::default();
        for sender in senders {
            account.lost_before += lost_on_the_way(sender)?;
        }
        let counters = router.show("counters")?;
        for reason in Reason::ALL {
            let count = counters["reasons"][reason.name()].as_u64();
            account.add(*reason, count.with_context(|| format!("{counters}"))?);
        }
        Ok(account)
    }

    fn add(&mut self, reason: Reason, packets: u64) {
        match (reason, reason.verdict()) {
            // The hosts' own: the generators send neither.
            (Reason::Arp | Reason::NotOurMac, _) => {}
            (Reason::TxError, _) => self.tx_error += packets,
            (Reason::TxDrop, _) => self.tx_drop += packets,
            (_, Verdict::Transmit) => self.tx_sent += packets,
            (_, Verdict::Forwarded) => self.forwarded += packets,
            (_, Verdict::Up) => self.up += packets,
            (_, Verdict::Dropped) => self.dropped += packets,
        }
    }

    /// Frames that the links and the router know of.
    pub(crate) fn injected(&self) -> u64 {
        self.lost_before + self.forwarded + self.up + self.dropped
    }

    /// injected = delivered + up + dropped + tx-error + tx-drop, term by term.
    /// `injected` is what the generators handed to the links, `delivered` what
    /// the sinks have counted.
    pub(crate) fn check(&self, injected: u64, delivered: u64) -> anyhow::Result<()> {
        ensure!(injected == self.injected(), "{injected} injected: {self:?}");
        ensure!(
            self.forwarded == delivered + self.tx_error + self.tx_drop,
            "{delivered} delivered: {self:?}"
        );
        // Counted only for a while after a loss: never more than arrived.
        ensure!(self.tx_sent <= delivered, "{delivered} delivered: {self:?}");
        Ok(())
    }
}

/// What has been added since an earlier account.
impl Sub for Account {
    type Output = Account;

    fn sub(self, earlier: Account) -> Account {
        Account {
            lost_before: self.lost_before - earlier.lost_before,
            forwarded: self.forwarded - earlier.forwarded,
            up: self.up - earlier.up,
            dropped: self.dropped - earlier.dropped,
            tx_error: self.tx_error - earlier.tx_error,
            tx_drop: self.tx_drop - earlier.tx_drop,
            tx_sent: self.tx_sent - earlier.tx_sent,
        }
    }
}

/// veth counts what the far end's ring had no room for as dropped on transmit.
fn lost_on_the_way(sender: &Namespace) -> anyhow::Result<u64> {
    let links = sender.ip_json("-statistics link show dev eth0")?;
    let dropped = links[0]["stats64"]["tx"]["dropped"].as_u64();
    dropped.with_context(|| format!("no statistics in {links}"))
}

/// Waits until the books balance and returns the account since `before`.
pub(crate) fn balance(
    router: &Router,
    senders: &[&Namespace],
    before: Account,
    injected: u64,
    delivered: impl Fn() -> anyhow::Result<u64>,
) -> anyhow::Result<Account> {
    wait_for(SHORT, "books that balance", || {
        let account = Account::of(router, senders)? - before;
        account.check(injected, delivered()?)?;
        Ok(account)
    })
}

/// Frames of 60 bytes from host a through the router.
pub(crate) fn from_a(star: &Star, destinations: &[Ipv4Addr]) -> anyhow::Result<Flow> {
    flow(&star.a, (&star.r1, "eth0"), [10, 0, 1, 2], destinations)
}

/// Frames of 60 bytes from host c through the router.
pub(crate) fn from_c(star: &Star, destinations: &[Ipv4Addr]) -> anyhow::Result<Flow> {
    flow(&star.c, (&star.r1, "eth2"), [10, 0, 3, 2], destinations)
}

/// Frames of 60 bytes out of a host's eth0.
pub(crate) fn flow(
    from: &Namespace,
    first_hop: (&Namespace, &str),
    source: [u8; 4],
    destinations: &[Ipv4Addr],
) -> anyhow::Result<Flow> {
    Ok(Flow {
        source_mac: mac(from, "eth0")?,
        destination_mac: mac(first_hop.0, first_hop.1)?,
        source: source.into(),
        destinations: destinations.to_vec(),
        source_port: 1_000,
        destination_port: PORT,
        ttl: 64,
        frame_len: 60,
    })
}

/// An interface's MAC address.
pub(crate) fn mac(namespace: &Namespace, interface: &str) -> anyhow::Result<[u8; 6]> {
    let text = namespace.mac(interface)?;
    let bytes: Result<Vec<u8>, _> = text
        .split(':')
        .map(|byte| u8::from_str_radix(byte, 16))
        .collect();
    let bytes = bytes.with_context(|| format!("the MAC address {text}"))?;
    bytes
        .try_into()
        .map_err(|_| anyhow!("the MAC address {text}"))
}

/// A sink on a host's eth0.
pub(crate) fn sink(at: &Namespace) -> anyhow::Result<Sink> {
    at.enter(|| Ok(Sink::attach("eth0", PORT, XdpMode::Driver)?))
}

/// A generator out of a host's eth0.
pub(crate) fn generator(from: &Namespace, flow: &Flow) -> anyhow::Result<Generator> {
    from.enter(|| Ok(Generator::new("eth0", flow)?))
}

/// Frames that a run handed to the link.
pub(crate) fn injected(report: &Report) -> u64 {
    report.sent - report.refused
}

/// A generator at full rate in a thread of its own.
pub(crate) struct Flood {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<anyhow::Result<u64>>>,
}

impl Flood {
    /// Starts at once.
    pub(crate) fn start(from: &Namespace, flow: &Flow) -> anyhow::Result<Flood> {
        let mut generator = generator(from, flow)?;
        let stop = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut total = 0;
            while !flag.load(Ordering::Relaxed) {
                total += injected(&generator.flood(RUN, BATCH)?);
            }
            Ok(total)
        });
        Ok(Flood {
            stop,
            thread: Some(thread),
        })
    }

    /// Ends it; how many frames it has injected.
    pub(crate) fn stop(mut self) -> anyhow::Result<u64> {
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take().context("it has been stopped")?;
        thread
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Whether frames are redirected to a port, by `show interfaces`.
pub(crate) fn wait_can_redirect(router: &Router, port: &str, can: bool) -> anyhow::Result<Value> {
    wait_for(SHORT, &format!("can_redirect of {port}: {can}"), || {
        let interfaces = router.show("interfaces")?;
        let list = interfaces.as_array().context("no list of interfaces")?;
        let found = list.iter().find(|interface| interface["name"] == port);
        let found = found.with_context(|| format!("no {port} in {interfaces}"))?;
        ensure!(found["can_redirect"] == can, "{found}");
        Ok(found.clone())
    })
}
