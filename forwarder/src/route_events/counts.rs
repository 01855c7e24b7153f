//! What happened, counted whether or not anybody listened.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use forwarder_core::route_msg::Errno;
use forwarder_core::route_msg::number::*;

/// Events by their names in the API, in the order of their types.
const EVENTS: [(u8, &str); 9] = [
    (RTM_LOSING, "losing"),
    (RTM_REDIRECT, "redirect"),
    (RTM_MISS, "miss"),
    (RTM_RESOLVE, "resolve"),
    (RTM_NEWADDR, "newaddr"),
    (RTM_DELADDR, "deladdr"),
    (RTM_IFINFO, "ifinfo"),
    (RTM_IFANNOUNCE, "ifannounce"),
    (RTM_EXPORT_FAILED, "export-failed"),
];

/// What became of an ICMP redirect.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// The route is as it says.
    Followed,
    /// It is right, but this is a router.
    NotFollowed,
    /// It breaks a rule of [`forwarder_core::rib::Redirect`].
    Refused,
    /// It could not be read, and was not told of.
    Malformed,
}

const VERDICTS: [(Verdict, &str); 4] = [
    (Verdict::Followed, "followed"),
    (Verdict::NotFollowed, "not-followed"),
    (Verdict::Refused, "refused"),
    (Verdict::Malformed, "malformed"),
];

impl From<Result<(), Errno>> for Verdict {
    fn from(judged: Result<(), Errno>) -> Verdict {
        match judged {
            Ok(()) => Verdict::Followed,
            Err(Errno::Eperm) => Verdict::NotFollowed,
            Err(_) => Verdict::Refused,
        }
    }
}

/// Since the daemon started.
#[derive(Debug, Default)]
pub struct Counts {
    events: [AtomicU64; EVENTS.len()],
    redirects: [AtomicU64; VERDICTS.len()],
    unasked: AtomicU64,
    held_back: AtomicU64,
}

impl Counts {
    pub(super) fn event(&self, kind: u8) {
        count(&self.events, EVENTS.iter().position(|(of, _)| *of == kind));
    }

    pub(super) fn redirect(&self, verdict: Verdict) {
        let at = VERDICTS.iter().position(|(of, _)| *of == verdict);
        count(&self.redirects, at);
    }

    pub(super) fn unasked(&self) {
        self.unasked.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn misses_held_back(&self, more: u64) {
        self.held_back.fetch_add(more, Ordering::Relaxed);
    }

    /// Events that were published, by name.
    pub fn events(&self) -> BTreeMap<String, u64> {
        named(EVENTS.iter().map(|(_, name)| *name), &self.events)
    }

    /// ICMP redirects heard, by what became of them.
    pub fn redirects(&self) -> BTreeMap<String, u64> {
        named(VERDICTS.iter().map(|(_, name)| *name), &self.redirects)
    }

    /// Misses of the kernel's lookups that were not told of: over the limit.
    pub fn misses_over_limit(&self) -> u64 {
        self.held_back.load(Ordering::Relaxed)
    }

    /// Events of packets that were not looked into: too many at once.
    pub fn not_looked_into(&self) -> u64 {
        self.unasked.load(Ordering::Relaxed)
    }
}

fn count(counters: &[AtomicU64], at: Option<usize>) {
    if let Some(counter) = at.and_then(|at| counters.get(at)) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

fn named(
    names: impl Iterator<Item = &'static str>,
    counters: &[AtomicU64],
) -> BTreeMap<String, u64> {
    let values = counters
        .iter()
        .map(|counter| counter.load(Ordering::Relaxed));
    names.map(str::to_owned).zip(values).collect()
}
