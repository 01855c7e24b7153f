//! What must hold whatever neighbours send to the RIP engine, and whatever else
//! happens meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use forwarder_core::net::{Family, Ifindex, Ipv4, Ipv6};
use forwarder_core::rip::{
    Actions, Address, Auth, AuthLength, AuthType, Clear, Config, Datagram, Input, InterfaceConfig,
    InterfaceSetup, Key, PATHS, ReceiveVersion, Rip, RouteChange, RouteRow, Secret, Send,
    SplitHorizon, Tuning, Window, Wire,
};
use forwarder_core::time::Instant;

/// A port that is no router's.
const TOOL: u16 = 4711;
const LINKS: [Ifindex; 2] = [Ifindex(1), Ifindex(2)];
/// Few, so that the limit is met.
const MOST_ROUTES: usize = 64;

/// A datagram of either family, from a router and from a tool, to engines with and
/// without authentication.
pub fn packet(payload: &[u8]) {
    let signed = [AuthType::Text, AuthType::Md5, AuthType::HmacSha256];
    for kind in [None].into_iter().chain(signed.map(Some)) {
        let mut router = Router::<Ipv4>::new(kind.map(auth));
        router.hear(0, Ipv4::PORT, payload);
        router.hear(0, TOOL, payload);
        router.check();
    }
    let mut router = Router::<Ipv6>::new(None);
    router.hear(0, Ipv6::PORT, payload);
    router.hear(0, TOOL, payload);
    router.check();
}

/// Datagrams and time, links that go and come, an operator's wishes:
///
/// ```text
/// { action: u8, what it needs }…
///   0..4  neighbour 0..4 sends; length: u16 (big-endian), bytes. +8: from a tool
///   4     so many seconds pass: u8
///   5     a link goes down. +8: the other
///   6     a link comes up with split horizon by the third and fourth bit
///   7     something is cleared: u8
/// ```
///
/// Tells how many responses were taken.
pub fn sequence(input: &[u8]) -> usize {
    run::<Ipv4>(input) + run::<Ipv6>(input)
}

fn run<F: FuzzFamily>(mut input: &[u8]) -> usize {
    let mut router = Router::<F>::new(None);
    while let Some((&action, rest)) = input.split_first() {
        input = router.step(action, rest).unwrap_or_default();
        router.check();
    }
    router.wait(Duration::from_secs(1));
    router.input(Input::Shutdown);
    router.wait(Duration::from_secs(60));
    assert!(router.rip.is_drained(), "all is taken back");
    router.taken
}

/// Addresses to play with.
trait FuzzFamily: Wire {
    /// Ours, and the subnet, on each link.
    fn ours(link: usize) -> Address<Self>;
    /// Of four routers, two on each link.
    fn neighbor(number: usize) -> Self::Addr;
}

impl FuzzFamily for Ipv4 {
    fn ours(link: usize) -> Address<Ipv4> {
        let local = [10, 0, 12 + link as u8, 1].into();
        let subnet = Ipv4::prefix([10, 0, 12 + link as u8, 0].into(), 24);
        let subnet = subnet.expect("a length in range");
        Address { local, subnet }
    }

    fn neighbor(number: usize) -> Self::Addr {
        [10, 0, 12 + (number / 2) as u8, 2 + (number % 2) as u8].into()
    }
}

impl FuzzFamily for Ipv6 {
    fn ours(_: usize) -> Address<Ipv6> {
        let subnet = Ipv6::prefix([0xfe80, 0, 0, 0, 0, 0, 0, 0].into(), 64);
        Address {
            local: [0xfe80, 0, 0, 0, 0, 0, 0, 1].into(),
            subnet: subnet.expect("a length in range"),
        }
    }

    fn neighbor(number: usize) -> Self::Addr {
        [0xfe80, 0, 0, 0, 0, 0, 0, 2 + number as u16].into()
    }
}

fn auth(kind: AuthType) -> Auth {
    let key = Key {
        id: 7,
        secret: Secret::new("secret"),
        send: Window::default(),
        accept: Window::default(),
    };
    Auth::new(kind, AuthLength::Rfc, vec![key]).expect("one good key")
}

/// What packets go by.
type Installed<F> = BTreeMap<<F as Family>::Prefix, Way<F>>;
/// Next hops and metric.
type Way<F> = (BTreeSet<Hop<F>>, u8);
type Hop<F> = (Option<Ifindex>, Option<<F as Family>::Addr>);

/// An engine on two links, its clock, and the kernel's routes as it was told to
/// keep them.
struct Router<F: FuzzFamily> {
    rip: Rip<F>,
    now: Instant,
    auth: Option<Auth>,
    installed: Installed<F>,
    /// Responses that were not refused.
    taken: usize,
}

impl<F: FuzzFamily> Router<F> {
    fn new(auth: Option<Auth>) -> Self {
        let tuning = Tuning {
            max_routes: MOST_ROUTES,
            ..Tuning::default()
        };
        let config = Config {
            tuning,
            seed: 1,
            sequence: 0,
        };
        let mut router = Router {
            rip: Rip::new(config),
            now: Instant::from_secs(1000),
            auth,
            installed: Installed::<F>::new(),
            taken: 0,
        };
        router.up(0, SplitHorizon::Poison);
        router.up(1, SplitHorizon::Poison);
        router.wait(Duration::from_secs(6));
        router
    }

    fn step<'a>(&mut self, action: u8, rest: &'a [u8]) -> Option<&'a [u8]> {
        let other = usize::from(action >> 3 & 1);
        match action & 7 {
            number @ 0..4 => {
                let (length, rest) = rest.split_first_chunk()?;
                let length = usize::from(u16::from_be_bytes(*length)).min(rest.len());
                let (payload, rest) = rest.split_at(length);
                let port = [F::PORT, TOOL][other];
                self.hear(usize::from(number), port, payload);
                return Some(rest);
            }
            4 => {
                let (seconds, rest) = rest.split_first()?;
                self.wait(Duration::from_secs((*seconds).into()));
                return Some(rest);
            }
            5 => self.input(Input::InterfaceDown(LINKS[other])),
            6 => {
                let modes = [SplitHorizon::Off, SplitHorizon::Simple];
                let mode = modes.get(usize::from(action >> 4 & 3)).copied();
                self.up(other, mode.unwrap_or_default());
            }
            _ => {
                let (what, rest) = rest.split_first()?;
                self.input(Input::Clear(match what % 3 {
                    0 => Clear::Routes,
                    1 => Clear::Counters,
                    _ => Clear::Neighbor(F::neighbor(usize::from(what / 3 % 4))),
                }));
                return Some(rest);
            }
        }
        Some(rest)
    }

    fn up(&mut self, link: usize, split_horizon: SplitHorizon) {
        let config = InterfaceConfig {
            split_horizon,
            receive_version: ReceiveVersion::Both,
            auth: self.auth.clone(),
            max_neighbors: 3,
            ..InterfaceConfig::default()
        };
        self.input(Input::InterfaceUp(InterfaceSetup {
            ifindex: LINKS[link],
            name: format!("eth{link}"),
            mtu: 1500,
            addresses: vec![F::ours(link)],
            config,
        }));
    }

    fn hear(&mut self, neighbor: usize, port: u16, payload: &[u8]) {
        let before = self.packets();
        self.input(Input::Datagram(Datagram {
            ifindex: LINKS[neighbor / 2],
            source: F::neighbor(neighbor),
            source_port: port,
            hop_limit: Some(255),
            multicast: true,
            payload,
        }));
        self.taken += usize::from(self.packets() > before);
    }

    /// Time passes, and what is due is done in its time.
    fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(due) = self.rip.next_deadline().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.input(Input::Deadline);
        }
        self.now = end;
    }

    fn input(&mut self, input: Input<'_, F>) {
        let mut out = Actions::default();
        self.rip.handle(self.now, input, &mut out);
        for change in out.routes {
            self.follow(change);
        }
        if self.auth.is_none() {
            out.sends.iter().for_each(sound::<F>);
        }
    }

    /// Keeps the kernel's routes.
    fn follow(&mut self, change: RouteChange<F>) {
        let (prefix, route) = match change {
            RouteChange::Withdraw { prefix } => {
                let gone = self.installed.remove(&prefix);
                assert!(gone.is_some(), "{prefix:?} was not there");
                return;
            }
            RouteChange::Update {
                prefix,
                nexthops,
                metric,
                ..
            } => {
                let ways = nexthops.iter().map(|hop| (hop.ifindex, hop.gateway));
                (prefix, (ways.collect(), metric.get()))
            }
        };
        self.installed.insert(prefix, route);
    }

    /// No metric of 0 or beyond 16, no way through ourselves, no more than is
    /// allowed, and the kernel has what was chosen.
    fn check(&self) {
        assert!(self.rip.route_count() <= MOST_ROUTES + LINKS.len());
        let mut chosen = Installed::<F>::new();
        for row in self.rip.routes(self.now) {
            assert!((1..=16).contains(&row.metric.get()), "{row:?}");
            for offer in &row.offers {
                assert!((1..16).contains(&offer.metric.get()), "{offer:?}");
                assert!((0..2).all(|link| F::ours(link).local != offer.via));
            }
            chosen.extend(used(&row));
        }
        assert_eq!(self.installed, chosen);
    }

    /// What was taken from the neighbours of now.
    fn packets(&self) -> u64 {
        let neighbors = self.rip.neighbors(self.now);
        neighbors.iter().map(|row| row.packets).sum()
    }
}

/// The route that packets take, where there is one.
fn used<F: Family>(row: &RouteRow<F>) -> Option<(F::Prefix, Way<F>)> {
    let used: Vec<_> = row.offers.iter().filter(|offer| offer.used).collect();
    assert!(used.len() <= PATHS);
    let metric = used.first()?.metric.get();
    let way = used
        .iter()
        .map(|offer| (Some(offer.neighbor.ifindex), Some(offer.via)));
    Some((row.prefix, (way.collect(), metric)))
}

/// What we send is whole: a header, entries of 20 bytes, no more than a datagram
/// may hold, and no metric that nobody may believe.
fn sound<F: Wire>(send: &Send<F>) {
    let (header, entries) = send.payload.split_at(4);
    assert!((1..=2).contains(&header[0]), "a request or a response");
    let (entries, rest) = entries.as_chunks::<20>();
    assert!(rest.is_empty() && !entries.is_empty());
    assert!(entries.len() <= F::max_entries(1500).max(F::MAX_ENTRIES));
    for entry in entries {
        if F::next_hop(entry).is_none() {
            let metric = match F::PORT {
                520 => u32::from_be_bytes([entry[16], entry[17], entry[18], entry[19]]),
                _ => u32::from(entry[19]),
            };
            assert!((1..=16).contains(&metric), "{entry:?}");
        }
    }
}
