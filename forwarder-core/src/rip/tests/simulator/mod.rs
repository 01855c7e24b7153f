//! Several engines on links, in virtual time. [`few`] have links that lose nothing, so
//! that times can be told; [`fifty`] have links as bad as a seed makes them.

mod few;
mod fifty;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::*;
use crate::rip::rng::Rng;

/// How long a datagram is on its way.
const LATENCY: Duration = Duration::from_millis(1);

struct Node {
    rip: Rip<Ipv4>,
    /// Its next deadline; asked for once an input, not once an event anywhere.
    deadline: Option<Instant>,
    /// What the engine told the RIB: next hops and metric.
    rib: BTreeMap<Ipv4Net, (Vec<(Ifindex, Ipv4Addr)>, u8)>,
}

struct Link {
    /// The routers on it.
    ends: Vec<usize>,
    up: bool,
    /// Frames are lost although the interfaces are up.
    silent: bool,
}

/// What links do to datagrams: nothing, or what chance has it.
struct Weather {
    chance: Rng,
    /// How many of a thousand are lost.
    lost: usize,
    /// They take up to so much longer, each by itself: later ones overtake.
    delay: Duration,
}

impl Weather {
    fn is_lost(&mut self) -> bool {
        below(&mut self.chance, 1000) < self.lost
    }
}

/// A number below `end`.
fn below(chance: &mut Rng, end: usize) -> usize {
    let last = Duration::from_micros(end as u64 - 1);
    chance.between(Duration::ZERO, last).as_micros() as usize
}

/// Links from each router to each other that it can reach.
type Distances = Vec<BTreeMap<usize, u8>>;

/// A datagram on its way to a router.
struct Frame {
    to: usize,
    send: Send<Ipv4>,
}

struct Network {
    now: Instant,
    nodes: Vec<Node>,
    links: Vec<Link>,
    wire: BTreeMap<(Instant, u64), Frame>,
    frames: u64,
    config: InterfaceConfig<Ipv4>,
    weather: Weather,
}

fn stub(router: usize) -> Ipv4Net {
    Ipv4Net::new(Ipv4Addr::new(192, 168, router as u8, 0), 24).unwrap()
}

fn interface(link: usize) -> Ifindex {
    Ifindex(link as u32 + 1)
}

fn address(link: usize, router: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, link as u8, 0, router as u8 + 1)
}

impl Network {
    /// Routers on these links; each has one network of its own behind it.
    fn new(links: &[&[usize]], config: InterfaceConfig<Ipv4>) -> Self {
        let count = links.iter().flat_map(|ends| ends.iter()).max().unwrap() + 1;
        let node = |seed| Node {
            rip: Rip::new(Config {
                tuning: Tuning::default(),
                seed,
                sequence: 0,
            }),
            deadline: None,
            rib: BTreeMap::new(),
        };
        let link = |ends: &&[usize]| Link {
            ends: ends.to_vec(),
            up: false,
            silent: false,
        };
        let mut network = Network {
            now: Instant::from_secs(1),
            nodes: (0..count as u64).map(node).collect(),
            links: links.iter().map(link).collect(),
            wire: BTreeMap::new(),
            frames: 0,
            config,
            weather: Weather {
                chance: Rng::new(0),
                lost: 0,
                delay: Duration::ZERO,
            },
        };
        (0..links.len()).for_each(|link| network.set_link(link, true));
        for router in 0..count {
            network.announce(router, 1);
        }
        network
    }

    fn announce(&mut self, router: usize, value: u32) {
        let (prefix, metric) = (stub(router), metric(value));
        let route = Redistribute::Update {
            prefix,
            metric,
            tag: 0,
            next_hop: None,
        };
        self.input(router, Input::Redistribute(route));
    }

    fn retire(&mut self, router: usize) {
        let route = Redistribute::Withdraw {
            prefix: stub(router),
        };
        self.input(router, Input::Redistribute(route));
    }

    fn set_link(&mut self, link: usize, up: bool) {
        self.links[link].up = up;
        for router in self.links[link].ends.clone() {
            let input = if up {
                let local = address(link, router);
                let subnet = Ipv4Net::new(local, 24).unwrap().trunc();
                Input::InterfaceUp(InterfaceSetup {
                    ifindex: interface(link),
                    name: format!("eth{link}"),
                    mtu: 1500,
                    addresses: vec![Address { local, subnet }],
                    config: self.config.clone(),
                })
            } else {
                Input::InterfaceDown(interface(link))
            };
            self.input(router, input);
        }
    }

    fn input(&mut self, router: usize, input: Input<'_, Ipv4>) {
        let mut out = Actions::default();
        let node = &mut self.nodes[router];
        node.rip.handle(self.now, input, &mut out);
        node.deadline = node.rip.next_deadline();
        for change in out.routes {
            self.apply(router, change);
        }
        for send in out.sends {
            self.transmit(router, &send);
        }
    }

    fn apply(&mut self, router: usize, change: RouteChange<Ipv4>) {
        let rib = &mut self.nodes[router].rib;
        match change {
            RouteChange::Update {
                prefix,
                nexthops,
                metric,
                ..
            } => {
                let hops = nexthops.iter();
                let hops = hops.map(|hop| (hop.ifindex.unwrap(), hop.gateway.unwrap()));
                let route = (hops.collect(), metric.get());
                let before = rib.insert(prefix, route);
                assert_ne!(before.as_ref(), rib.get(&prefix), "no empty changes");
            }
            RouteChange::Withdraw { prefix } => {
                assert!(rib.remove(&prefix).is_some(), "withdrawn what is not there");
            }
        }
    }

    fn transmit(&mut self, from: usize, send: &Send<Ipv4>) {
        let number = send.ifindex.0 as usize - 1;
        let link = &self.links[number];
        if !link.up || link.silent {
            return;
        }
        for to in link.ends.iter().copied().filter(|to| *to != from) {
            let unicast = send.destination == address(number, to);
            if unicast || send.destination == Ipv4::GROUP {
                self.frames += 1;
                let Weather { chance, delay, .. } = &mut self.weather;
                let at = self.now + LATENCY + chance.between(Duration::ZERO, *delay);
                if self.weather.is_lost() {
                    continue;
                }
                let frame = Frame {
                    to,
                    send: send.clone(),
                };
                self.wire.insert((at, self.frames), frame);
            }
        }
    }

    /// Lets time pass.
    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        self.run_until(end, |_| false);
    }

    /// Lets time pass until something is so; answers how long it took.
    fn run_until(&mut self, end: Instant, done: impl Fn(&Network) -> bool) -> Option<Duration> {
        let start = self.now;
        loop {
            if done(self) {
                return Some(self.now - start);
            }
            let deadlines = self.nodes.iter().filter_map(|node| node.deadline);
            let arrival = self.wire.first_key_value().map(|((at, _), _)| *at);
            let Some(next) = deadlines.chain(arrival).min().filter(|next| *next <= end) else {
                self.now = end;
                return None;
            };
            self.now = self.now.max(next);
            self.deliver();
            for router in 0..self.nodes.len() {
                let due = self.nodes[router].deadline;
                if due.is_some_and(|at| at <= self.now) {
                    self.input(router, Input::Deadline);
                }
            }
        }
    }

    fn deliver(&mut self) {
        while let Some(first) = self
            .wire
            .first_entry()
            .filter(|first| first.key().0 <= self.now)
        {
            let Frame { to, send } = first.remove();
            if self.links[send.ifindex.0 as usize - 1].up {
                let (ifindex, source, source_port) = (send.ifindex, send.source, 520);
                let payload = &send.payload;
                self.input(
                    to,
                    Input::Datagram(Datagram {
                        hop_limit: Some(1),
                        multicast: true,
                        ifindex,
                        source,
                        source_port,
                        payload,
                    }),
                );
            }
        }
    }

    fn metric(&self, router: usize, to: usize) -> Option<u8> {
        self.nodes[router]
            .rib
            .get(&stub(to))
            .map(|(_, metric)| *metric)
    }

    /// The routers that a packet may go to next; none where one cannot be reached.
    fn next(&self, here: usize, to: usize) -> Option<Vec<usize>> {
        let (hops, _) = self.nodes[here].rib.get(&stub(to))?;
        let router = |(ifindex, via): &(Ifindex, Ipv4Addr)| {
            let link = ifindex.0 as usize - 1;
            // As in [`address`].
            let router = usize::from(via.octets()[3]) - 1;
            assert!(self.links[link].ends.contains(&router));
            self.links[link].up.then_some(router)
        };
        hops.iter().map(router).collect()
    }

    /// The routers a packet passes by the first next hops; `None` for a loop or a
    /// dead end.
    fn path(&self, from: usize, to: usize) -> Option<Vec<usize>> {
        let mut path = vec![from];
        while *path.last()? != to {
            let next = self.next(*path.last()?, to)?[0];
            if path.contains(&next) {
                return None;
            }
            path.push(next);
        }
        Some(path)
    }

    /// Links between two routers, by what is really there.
    fn distances(&self, from: usize) -> BTreeMap<usize, u8> {
        let mut found = BTreeMap::from([(from, 0)]);
        let mut queue = VecDeque::from([from]);
        while let Some(here) = queue.pop_front() {
            let links = self
                .links
                .iter()
                .filter(|link| link.up && link.ends.contains(&here));
            for next in links.flat_map(|link| link.ends.iter().copied()) {
                if !found.contains_key(&next) {
                    found.insert(next, found[&here] + 1);
                    queue.push_back(next);
                }
            }
        }
        found
    }

    /// The naive model of routing: what is really there.
    fn model(&self) -> Distances {
        (0..self.nodes.len())
            .map(|from| self.distances(from))
            .collect()
    }

    /// Whether every router knows the shortest way to every other, and no way
    /// where there is none.
    fn is_converged(&self) -> bool {
        self.agrees(&self.model())
    }

    fn agrees(&self, model: &Distances) -> bool {
        (0..self.nodes.len()).all(|from| {
            let others = (0..self.nodes.len()).filter(|to| *to != from);
            let near = |links: &&u8| **links + 1 < Metric::INFINITY.get();
            others
                .into_iter()
                .all(|to| match model[from].get(&to).filter(near) {
                    Some(links) => {
                        // Each next hop is nearer, so no packet goes round.
                        let nearer = |next: &usize| model[to].get(next) == Some(&(links - 1));
                        let next = self.next(from, to);
                        self.metric(from, to) == Some(links + 1)
                            && next.is_some_and(|next| next.iter().all(nearer))
                    }
                    None => self.metric(from, to).is_none(),
                })
        })
    }

    /// The routers whose networks some packet goes round for ever on its way to,
    /// whichever of several next hops each router takes.
    fn loops(&self) -> BTreeSet<usize> {
        (0..self.nodes.len())
            .filter(|to| {
                let mut left = BTreeMap::new();
                (0..self.nodes.len()).any(|from| self.goes_round(from, *to, &mut left))
            })
            .collect()
    }

    /// `left`: whom the walk has passed, and whether it has come back from there.
    fn goes_round(&self, here: usize, to: usize, left: &mut BTreeMap<usize, bool>) -> bool {
        if here == to {
            return false;
        }
        if let Some(left) = left.get(&here) {
            return !left;
        }
        left.insert(here, false);
        let next = self.next(here, to).unwrap_or_default();
        let round = next.into_iter().any(|next| self.goes_round(next, to, left));
        left.insert(here, true);
        round
    }

    /// What must hold at every moment.
    fn check(&self) {
        for (number, node) in self.nodes.iter().enumerate() {
            let mut selected = BTreeMap::new();
            for row in node.rip.routes(self.now) {
                assert!((1..=16).contains(&row.metric.get()));
                for offer in &row.offers {
                    assert!(offer.metric.is_reachable());
                    let link = offer.neighbor.ifindex.0 as usize - 1;
                    assert_ne!(offer.via, address(link, number), "never via ourselves");
                }
                let used: Vec<_> = row.offers.iter().filter(|offer| offer.used).collect();
                if let Some(first) = used.first() {
                    let mut hops: Vec<_> = used
                        .iter()
                        .map(|offer| (offer.neighbor.ifindex, offer.via))
                        .collect();
                    hops.sort_unstable();
                    selected.insert(row.prefix, (hops, first.metric.get()));
                }
            }
            assert_eq!(node.rib, selected, "the RIB was told what is selected");
        }
    }
}

fn poisoned() -> InterfaceConfig<Ipv4> {
    InterfaceConfig::default()
}

fn split(split_horizon: SplitHorizon) -> InterfaceConfig<Ipv4> {
    InterfaceConfig {
        split_horizon,
        ..Default::default()
    }
}

fn within(network: &mut Network, time: Duration) -> Option<Duration> {
    let end = network.now + time;
    network.run_until(end, Network::is_converged)
}

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}
