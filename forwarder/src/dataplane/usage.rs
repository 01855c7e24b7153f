//! Which neighbours the fast path uses, and so which must be kept alive.
//!
//! Traffic that bypasses the stack does not keep its neighbours reachable in
//! the kernel's eyes: the entry would go stale and, once the table is full, be
//! collected. So each adjacency has a word that the program touches about once
//! a second, and neighbours used within the idle time are managed by the
//! kernel (`NTF_EXT_MANAGED`) for as long. Pure bookkeeping; owned by the
//! dataplane task, which reads the words and talks to the kernel.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use forwarder_core::net::Ifindex;
use forwarder_core::time::Instant;

/// Managed neighbours a port may have: each costs the kernel a timer and
/// probes, and a scan of hosts must not make thousands of them.
pub const MANAGED_PER_PORT: usize = 1024;

/// A neighbour: its interface and address.
pub type Key = (Ifindex, IpAddr);

#[derive(Debug)]
struct Use {
    word: u32,
    last: Instant,
    managed: bool,
}

/// What to tell the kernel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Request {
    /// Keep this neighbour resolved.
    Manage(Key),
    /// Let it age again.
    Release(Key),
}

/// When each adjacency was last used.
#[derive(Debug, Default)]
pub struct Usage {
    neighbours: BTreeMap<Key, Use>,
    managed: BTreeMap<Ifindex, usize>,
}

impl Usage {
    /// Takes in a scan: for each live adjacency its neighbour and its word.
    /// Neighbours not named have no adjacency any more and are forgotten: the
    /// kernel dropped their entry, and our mark with it.
    pub fn scan(
        &mut self,
        now: Instant,
        idle: Duration,
        words: impl IntoIterator<Item = (Key, u32)>,
    ) -> Vec<Request> {
        let mut before = std::mem::take(&mut self.neighbours);
        for (key, word) in words {
            // A word of 0 was never touched; a new adjacency starts with it.
            let known = before.remove(&key);
            let entry = self.neighbours.entry(key).or_insert_with(|| {
                known.unwrap_or(Use {
                    word: 0,
                    last: Instant::ZERO,
                    managed: false,
                })
            });
            if entry.word != word {
                entry.word = word;
                entry.last = now;
            }
        }
        self.recount();
        self.requests(now, idle)
    }

    /// The kernel says whether it manages a neighbour: one that somebody
    /// replaced without the mark is asked for again at the next scan.
    pub fn confirm(&mut self, key: Key, managed: bool) {
        if let Some(entry) = self.neighbours.get_mut(&key) {
            entry.managed = managed;
        }
    }

    /// How long ago a neighbour was last used; `None` = never, or unknown.
    pub fn idle(&self, now: Instant, key: Key) -> Option<Duration> {
        let last = self.neighbours.get(&key)?.last;
        (last > Instant::ZERO).then(|| now - last)
    }

    /// All that are managed now, to be released at the end.
    pub fn managed(&self) -> impl Iterator<Item = Key> {
        self.neighbours
            .iter()
            .filter(|(_, entry)| entry.managed)
            .map(|(key, _)| *key)
    }

    fn recount(&mut self) {
        self.managed.clear();
        for ((ifindex, _), entry) in &self.neighbours {
            *self.managed.entry(*ifindex).or_default() += usize::from(entry.managed);
        }
    }

    fn requests(&mut self, now: Instant, idle: Duration) -> Vec<Request> {
        let mut requests = Vec::new();
        for (key, entry) in &mut self.neighbours {
            let wanted = entry.last > Instant::ZERO && now - entry.last < idle;
            let count = self.managed.entry(key.0).or_default();
            if wanted && !entry.managed && *count < MANAGED_PER_PORT {
                entry.managed = true;
                *count += 1;
                requests.push(Request::Manage(*key));
            } else if !wanted && entry.managed {
                entry.managed = false;
                *count -= 1;
                requests.push(Request::Release(*key));
            }
        }
        requests
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Duration = Duration::from_secs(60);

    fn key(host: u8) -> Key {
        (Ifindex(3), IpAddr::from([192, 0, 2, host]))
    }

    fn at(secs: u64) -> Instant {
        Instant::from_secs(secs)
    }

    #[test]
    fn a_neighbour_in_use_is_managed_until_it_is_idle() {
        let mut usage = Usage::default();
        assert_eq!(usage.scan(at(10), IDLE, [(key(1), 0)]), []);
        assert_eq!(
            usage.scan(at(20), IDLE, [(key(1), 5)]),
            [Request::Manage(key(1))]
        );
        assert_eq!(usage.scan(at(70), IDLE, [(key(1), 6)]), []);
        assert_eq!(usage.scan(at(129), IDLE, [(key(1), 6)]), []);
        assert_eq!(
            usage.scan(at(130), IDLE, [(key(1), 6)]),
            [Request::Release(key(1))]
        );
        assert_eq!(usage.scan(at(140), IDLE, [(key(1), 6)]), []);
    }

    #[test]
    fn a_mark_that_the_kernel_lost_is_made_again() {
        let mut usage = Usage::default();
        usage.scan(at(10), IDLE, [(key(1), 5)]);
        usage.confirm(key(1), false);
        assert_eq!(
            usage.scan(at(20), IDLE, [(key(1), 6)]),
            [Request::Manage(key(1))]
        );
    }

    #[test]
    fn a_neighbour_that_went_and_came_back_starts_anew() {
        let mut usage = Usage::default();
        usage.scan(at(10), IDLE, [(key(1), 5)]);
        assert_eq!(usage.scan(at(20), IDLE, []), []);
        assert_eq!(usage.scan(at(30), IDLE, [(key(1), 0)]), []);
        assert_eq!(
            usage.scan(at(40), IDLE, [(key(1), 7)]),
            [Request::Manage(key(1))]
        );
    }

    #[test]
    fn a_port_manages_no_more_than_its_limit() {
        let mut usage = Usage::default();
        let many = |word: u32| {
            (0..2000u32).map(move |host| {
                (
                    (Ifindex(3), IpAddr::from((0x0a00_0000 + host).to_be_bytes())),
                    word,
                )
            })
        };
        usage.scan(at(10), IDLE, many(0));
        assert_eq!(usage.scan(at(20), IDLE, many(1)).len(), MANAGED_PER_PORT);
        assert_eq!(usage.scan(at(30), IDLE, many(2)).len(), 0);
    }
}
