//! Several engines on links, in virtual time.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use proptest::prelude::*;

use super::*;

/// How long a datagram is on its way.
const LATENCY: Duration = Duration::from_millis(1);

struct Node {
    rip: Rip<Ipv4>,
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
        self.nodes[router].rip.handle(self.now, input, &mut out);
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
                let frame = Frame {
                    to,
                    send: send.clone(),
                };
                self.wire.insert((self.now + LATENCY, self.frames), frame);
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
            let deadlines = self
                .nodes
                .iter()
                .filter_map(|node| node.rip.next_deadline());
            let arrival = self.wire.first_key_value().map(|((at, _), _)| *at);
            let Some(next) = deadlines.chain(arrival).min().filter(|next| *next <= end) else {
                self.now = end;
                return None;
            };
            self.now = self.now.max(next);
            self.deliver();
            for router in 0..self.nodes.len() {
                if self.nodes[router]
                    .rip
                    .next_deadline()
                    .is_some_and(|at| at <= self.now)
                {
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
            let ends = self.links[link].ends.iter().copied();
            let mut ends = ends.filter(|_| self.links[link].up);
            ends.find(|end| address(link, *end) == *via)
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

    /// Whether every router knows the shortest way to every other, and no way
    /// where there is none.
    fn is_converged(&self) -> bool {
        (0..self.nodes.len()).all(|from| {
            let real = self.distances(from);
            let others = (0..self.nodes.len()).filter(|to| *to != from);
            others.into_iter().all(|to| match real.get(&to) {
                Some(links) => {
                    // Each next hop is nearer, so no packet goes round.
                    let left = self.distances(to);
                    let nearer = |next: &usize| left.get(next) == Some(&(links - 1));
                    let next = self.next(from, to);
                    self.metric(from, to) == Some(links + 1)
                        && next.is_some_and(|next| next.iter().all(nearer))
                }
                None => self.metric(from, to).is_none(),
            })
        })
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

#[test]
fn a_line_of_six_routers_converges_in_seconds() {
    let mut network = Network::new(&[&[0, 1], &[1, 2], &[2, 3], &[3, 4], &[4, 5]], poisoned());
    let took = within(&mut network, secs(60)).expect("convergence");
    assert!(took < secs(25), "{took:?}");
    assert_eq!(network.path(0, 5), Some(vec![0, 1, 2, 3, 4, 5]));
    network.check();
}

#[test]
fn routers_on_one_segment_see_each_other() {
    let mut network = Network::new(&[&[0, 1, 2, 3], &[3, 4, 5]], poisoned());
    within(&mut network, secs(30)).expect("convergence");
    assert_eq!(network.path(0, 5), Some(vec![0, 3, 5]));
    network.check();
}

#[test]
fn a_cut_moves_traffic_to_the_long_path_at_once() {
    // The two routers beside the cut have heard the long path's offers.
    let mut network = Network::new(&[&[0, 2], &[0, 1], &[1, 2]], poisoned());
    within(&mut network, secs(30)).expect("convergence");
    network.run(secs(60));
    assert_eq!(network.path(0, 2), Some(vec![0, 2]));
    network.set_link(0, false);
    assert_eq!(
        network.path(0, 2),
        Some(vec![0, 1, 2]),
        "without a single datagram"
    );
    assert_eq!(network.path(2, 0), Some(vec![2, 1, 0]));
    network.check();
    network.set_link(0, true);
    let took = within(&mut network, secs(30)).expect("convergence");
    assert!(
        took <= Duration::from_millis(20),
        "a request and its answer: {took:?}"
    );
}

#[test]
fn a_silent_link_is_given_up_after_the_timeout() {
    let mut network = Network::new(&[&[0, 2], &[0, 1], &[1, 2]], poisoned());
    within(&mut network, secs(30)).expect("convergence");
    network.links[0].silent = true;
    network.run(secs(181));
    assert_eq!(network.path(0, 2), Some(vec![0, 1, 2]));
    network.check();
}

/// Two routers that believe each other about a third that is gone.
fn lost_third(config: InterfaceConfig<Ipv4>) -> (Network, Option<Duration>) {
    let mut network = Network::new(&[&[0, 1], &[1, 2]], config);
    within(&mut network, secs(40)).expect("convergence");
    network.run(secs(40));
    network.set_link(1, false);
    let end = network.now + secs(300);
    let gone = |network: &Network| (0..2).all(|router| network.metric(router, 2).is_none());
    let took = network.run_until(end, gone);
    (network, took)
}

#[test]
fn rfc2453_3_4_3_with_poison_a_lost_network_is_gone_in_one_exchange() {
    let (mut network, took) = lost_third(poisoned());
    assert!(took.expect("gone") < secs(6), "{took:?}");
    network.run(secs(300));
    assert_eq!(network.metric(0, 2), None, "and stays so");
    network.check();
}

#[test]
fn rfc2453_3_4_2_without_split_horizon_counting_to_infinity_ends() {
    let (network, took) = lost_third(split(SplitHorizon::Off));
    // Up to fifteen steps of at most 5 s of hold.
    assert!(took.expect("it ends") <= secs(90), "{took:?}");
    network.check();
}

#[test]
fn rfc2453_3_4_2_a_loop_of_three_counts_to_infinity_and_ends() {
    for mode in [
        SplitHorizon::Off,
        SplitHorizon::Simple,
        SplitHorizon::Poison,
    ] {
        let mut network = Network::new(&[&[0, 1], &[1, 2], &[2, 0], &[0, 3]], split(mode));
        within(&mut network, secs(40)).expect("convergence");
        network.set_link(3, false);
        let end = network.now + secs(300);
        let gone = |network: &Network| (0..3).all(|router| network.metric(router, 3).is_none());
        let took = network.run_until(end, gone).expect("it ends");
        assert!(took <= secs(120), "{mode:?}: {took:?}");
        network.check();
    }
}

#[test]
fn a_router_that_stops_is_forgotten_at_once() {
    let mut network = Network::new(&[&[0, 1], &[1, 2]], poisoned());
    within(&mut network, secs(40)).expect("convergence");
    network.run(secs(40));
    network.input(2, Input::Shutdown);
    let end = network.now + secs(10);
    let gone = |network: &Network| (0..2).all(|router| network.metric(router, 2).is_none());
    let took = network.run_until(end, gone).expect("gone");
    assert!(took <= Duration::from_millis(5), "{took:?}");
    assert!(network.nodes[2].rip.is_drained());
}

#[test]
fn ten_thousand_routes_cross_two_routers_in_seconds() {
    let mut network = Network::new(&[&[0, 1], &[1, 2]], poisoned());
    within(&mut network, secs(40)).expect("convergence");
    network.run(secs(40));
    for n in 0..10_000_u32 {
        let prefix = Ipv4Net::new(Ipv4Addr::from(0x1400_0000 + n * 256), 24).unwrap();
        let route = Redistribute::Update {
            prefix,
            metric: Metric::ONE,
            tag: 0,
            next_hop: None,
        };
        network.input(0, Input::Redistribute(route));
    }
    let end = network.now + secs(60);
    let took = network
        .run_until(end, |network| network.nodes[2].rib.len() >= 10_002)
        .unwrap();
    assert!(took < secs(10), "{took:?}");
}

#[test]
fn the_same_inputs_give_the_same_outputs() {
    let run = || {
        let mut network = Network::new(&[&[0, 1, 2], &[1, 2], &[2, 3], &[3, 0]], poisoned());
        network.run(secs(100));
        network.set_link(2, false);
        network.run(secs(100));
        (network.frames, format!("{:?}", network.nodes[3].rip))
    };
    assert_eq!(run(), run());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever the topology, and whatever happened before: once it is quiet,
    /// the shortest ways are found.
    #[test]
    fn every_topology_converges(
        pairs in prop::collection::btree_set((0..6_usize, 0..6_usize), 4..9),
        events in prop::collection::vec((0..4_usize, any::<bool>(), 0..20_u64), 0..8),
        mode in prop::sample::select(vec![SplitHorizon::Simple, SplitHorizon::Poison]),
    ) {
        let pairs: BTreeSet<_> = pairs.into_iter().filter(|(a, b)| a < b).collect();
        let links: Vec<_> = pairs.iter().map(|(a, b)| [*a, *b]).collect();
        prop_assume!(!links.is_empty());
        let links: Vec<_> = links.iter().map(|link| &link[..]).collect();
        let mut network = Network::new(&links, split(mode));
        network.run(secs(20));
        for (number, up, wait) in events {
            if number < links.len() && network.links[number].up != up {
                network.set_link(number, up);
            }
            if wait == 0 {
                network.retire(0);
            }
            network.run(secs(wait));
            network.check();
        }
        network.announce(0, 1);
        prop_assert!(within(&mut network, secs(300)).is_some(), "{links:?}");
        network.check();
    }
}
