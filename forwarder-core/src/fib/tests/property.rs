//! Random changes in random order, carried out on the model of the maps; after
//! each, every probe address meets what the naive evaluation says.

use proptest::prelude::*;
use proptest::sample::select;

use super::links::reason_word;
use super::naive::{Expected, State};
use super::nexthops::FALLBACK;
use super::*;

const PREFIXES: &[&str] = &[
    "0.0.0.0/0",
    "0.0.0.0/7",
    "0.0.0.0/8",
    "10.0.0.0/8",
    "10.0.0.0/16",
    "10.0.0.0/24",
    "10.0.0.0/25",
    "10.0.0.0/31",
    "10.0.0.128/26",
    "10.0.1.0/24",
    "10.0.0.1/32",
    "10.0.0.2/32",
    "10.0.0.129/32",
    "127.0.0.0/8",
    "127.0.0.1/32",
    "128.0.0.0/1",
    "169.254.0.0/16",
    "169.254.1.1/32",
    "224.0.0.0/3",
];

const ADDRESSES: &[&str] = &[
    "0.0.0.1",
    "1.1.1.1",
    "10.0.0.0",
    "10.0.0.1",
    "10.0.0.2",
    "10.0.0.129",
    "10.0.0.200",
    "10.0.0.255",
    "10.0.1.1",
    "10.9.9.9",
    "127.0.0.1",
    "169.254.1.1",
    "192.0.2.1",
    "224.0.0.9",
    "240.0.0.1",
    "255.255.255.255",
];

const NEIGHBOURS: &[&str] = &[
    "10.0.0.1",
    "10.0.0.2",
    "10.0.0.129",
    "10.0.1.1",
    "169.254.1.1",
    "192.0.2.1",
    "1.1.1.1",
];

const LINKS: &[Ifindex] = &[ETH1, ETH2, TUN];

#[derive(Clone, Debug)]
enum Change {
    Route(TableId, Ipv4Net, Option<Route<Ipv4>>),
    Neighbour(Ifindex, Ipv4Addr, Option<[u8; 6]>),
    Port(Ifindex, Option<PortState>),
    Count(BTreeSet<Ipv4Net>),
    GraceBegins,
    GraceEnds,
}

impl State {
    fn apply(&mut self, change: &Change) {
        match change.clone() {
            Change::Route(table, prefix, route) => set(&mut self.routes, (prefix, table), route),
            Change::Neighbour(ifindex, address, mac) => {
                set(&mut self.neighbours, (ifindex, address), mac);
            }
            Change::Port(ifindex, port) => set(&mut self.ports, ifindex, port),
            Change::Count(counted) => self.counted = counted,
            Change::GraceBegins | Change::GraceEnds => {}
        }
    }

    /// The changes that lead here from nothing.
    fn changes(&self) -> Vec<Change> {
        let routes = self
            .routes
            .iter()
            .map(|(&(prefix, table), route)| Change::Route(table, prefix, Some(route.clone())));
        let neighbours = self
            .neighbours
            .iter()
            .map(|(&(ifindex, address), &mac)| Change::Neighbour(ifindex, address, Some(mac)));
        let ports = self
            .ports
            .iter()
            .map(|(&ifindex, &port)| Change::Port(ifindex, Some(port)));
        let counted = std::iter::once(Change::Count(self.counted.clone()));
        routes
            .chain(neighbours)
            .chain(ports)
            .chain(counted)
            .collect()
    }
}

fn set<K: Ord, V>(map: &mut BTreeMap<K, V>, key: K, value: Option<V>) {
    match value {
        Some(value) => map.insert(key, value),
        None => map.remove(&key),
    };
}

fn address(of: &'static [&'static str]) -> impl Strategy<Value = Ipv4Addr> {
    select(of).prop_map(addr)
}

fn some_route() -> impl Strategy<Value = Route<Ipv4>> {
    let other = select(vec![
        RouteType::Local,
        RouteType::Broadcast,
        RouteType::Anycast,
        RouteType::Multicast,
        RouteType::Blackhole,
        RouteType::Unreachable,
        RouteType::Prohibit,
        RouteType::Throw,
        RouteType::KernelOnly,
    ]);
    let gateway = prop_oneof![3 => Just(None), 4 => address(NEIGHBOURS).prop_map(Some)];
    let mtu = prop_oneof![3 => Just(None), 1 => select(vec![Some(1400), Some(1500), Some(9000)])];
    let unicast = (select(LINKS), gateway, mtu).prop_map(|(ifindex, gateway, mtu)| {
        let nexthop = gateway.map_or_else(|| Nexthop::link(ifindex), |g| Nexthop::via(g, ifindex));
        Route {
            mtu,
            ..route(RouteType::Unicast, &[nexthop])
        }
    });
    let way = |gateway, ifindex, weight| Nexthop {
        weight,
        ..Nexthop::via(addr(gateway), ifindex)
    };
    let ways = vec![
        way("10.0.0.1", ETH1, 1),
        way("10.0.1.1", ETH2, 3),
        way("10.0.1.1", ETH1, 256),
        way("10.0.0.1", TUN, 1),
        Nexthop::link(ETH2),
    ];
    let several =
        prop::sample::subsequence(ways, 2..=4).prop_map(|ways| route(RouteType::Unicast, &ways));
    prop_oneof![
        8 => unicast,
        3 => other.prop_map(|kind| route(kind, &[])),
        4 => several,
    ]
}

fn some_port(ifindex: Ifindex) -> impl Strategy<Value = PortState> {
    let unable = prop::bool::weighted(0.15);
    (unable, unable, select(vec![1400, 1500, 9000]), 0..2u8).prop_map(
        move |(unable, tc, mtu, mac)| {
            let mac = [2, 0xff, mac, 0, 0, ifindex.0 as u8];
            PortState {
                mac,
                mtu,
                can_transmit: !unable,
                tc,
                ..port(ifindex)
            }
        },
    )
}

fn change() -> impl Strategy<Value = Change> {
    let table = prop_oneof![3 => Just(TableId::MAIN), 1 => Just(TableId::LOCAL)];
    let prefix = select(PREFIXES).prop_map(net);
    let routes = (table, prefix, prop::option::weighted(0.7, some_route()))
        .prop_map(|(table, prefix, route)| Change::Route(table, prefix, route));
    let mac = prop::option::weighted(0.7, select(vec![MAC_A, MAC_B]));
    let neighbours = (select(LINKS), address(NEIGHBOURS), mac)
        .prop_map(|(ifindex, address, mac)| Change::Neighbour(ifindex, address, mac));
    let ports = select(vec![ETH1, ETH2]).prop_flat_map(|ifindex| {
        prop::option::weighted(0.9, some_port(ifindex)).prop_map(move |p| Change::Port(ifindex, p))
    });
    let counted = prop::sample::subsequence(PREFIXES, 0..=6)
        .prop_map(|prefixes| Change::Count(prefixes.into_iter().map(net).collect()));
    prop_oneof![
        8 => routes,
        5 => neighbours,
        2 => ports,
        1 => counted,
        1 => Just(Change::GraceBegins),
        2 => Just(Change::GraceEnds),
    ]
}

/// The FIB and its maps, with a grace period that may be under way.
struct Run {
    bench: Bench,
    state: State,
    waiting: Option<Freed>,
}

impl Run {
    fn new(capacity: Capacity) -> Self {
        let bench = Bench::with_capacity(capacity);
        Run {
            bench,
            state: State::default(),
            waiting: None,
        }
    }

    fn step(&mut self, change: &Change) {
        self.state.apply(change);
        match change.clone() {
            Change::Route(table, prefix, route) => {
                self.bench
                    .call(|fib, out| fib.set_route(table, prefix, route.as_ref(), out));
            }
            Change::Neighbour(ifindex, address, mac) => {
                self.bench
                    .call(|fib, out| fib.set_neighbour(ifindex, address, mac, out));
            }
            Change::Port(ifindex, port) => {
                self.bench.port(ifindex, port);
            }
            Change::Count(counted) => {
                self.bench.call(|fib, out| fib.set_counted(&counted, out));
            }
            Change::GraceBegins => self.begin(),
            Change::GraceEnds => self.end(),
        }
    }

    fn begin(&mut self) {
        if self.waiting.is_none() {
            self.bench.maps.grace_begins();
            self.waiting = Some(self.bench.fib.take_freed());
        }
    }

    fn end(&mut self) {
        if let Some(freed) = self.waiting.take() {
            self.bench.maps.grace_ends();
            self.bench.call(|fib, out| fib.release(freed, out));
        }
    }

    /// Until nothing rests any more.
    fn settle(&mut self) {
        self.end();
        while self.bench.fib.stats().freed > 0 {
            self.begin();
            self.end();
        }
    }

    fn seen(&self, address: &str) -> Expected {
        match self.bench.decide(address) {
            Some(Decision::Balance { slot }) => {
                let members = self.bench.maps.members(slot).into_iter();
                Expected::balance(members.map(|member| Some(member).into()).collect())
            }
            decision => decision.into(),
        }
    }

    fn check_exactly(&self) {
        for address in ADDRESSES {
            assert_eq!(
                self.seen(address),
                self.state.expect(addr(address)),
                "{address}"
            );
        }
        let unresolved: Vec<_> = self.bench.fib.gateways_to_resolve().collect();
        assert_eq!(unresolved, Vec::from_iter(self.state.unresolved()));
        assert_eq!(self.bench.maps.own, self.state.own());
        assert_eq!(self.bench.fib.stats().without_counter, 0);
        self.check_listings();
    }

    /// What the FIB says of itself is what the maps hold.
    fn check_listings(&self) {
        let fib = &self.bench.fib;
        let listed: Vec<_> = fib
            .entries()
            .map(|entry| (entry.prefix, entry.id))
            .collect();
        assert_eq!(listed, Vec::from_iter(self.bench.maps.routes()));
        self.check_counted(&listed);
        let stats = fib.stats();
        let counted: u32 = fib.nexthops().map(|nexthop| nexthop.prefixes).sum();
        assert_eq!(
            (listed.len(), listed.len()),
            (stats.prefixes, counted as usize)
        );
        assert_eq!(fib.adjacencies().count(), stats.adjacencies as usize);
        let (without, with): (Vec<_>, Vec<_>) =
            fib.nexthops().partition(|nexthop| nexthop.id.is_none());
        let fallen_back = with.iter().filter(|nexthop| {
            !matches!(nexthop.target, Target::Fixed(_)) && nexthop.word == reason_word(FALLBACK)
        });
        let waiting: u32 = without
            .iter()
            .map(|nexthop| nexthop.prefixes + nexthop.groups)
            .sum();
        assert_eq!(waiting as usize, stats.without_nexthop);
        let without_slot = stats.without_adjacency + stats.without_group;
        assert_eq!(fallen_back.count(), without_slot);
        assert_eq!(stats.own + stats.without_own, self.state.own().len());
    }

    /// Exactly the wanted prefixes have an id of their own, but for those that
    /// there was none for.
    fn check_counted(&self, listed: &[(Ipv4Net, u32)]) {
        let all: Vec<_> = self.bench.fib.counted().collect();
        let wanted: BTreeSet<Ipv4Net> = all.iter().map(|(prefix, _)| *prefix).collect();
        assert_eq!((&wanted, wanted.len()), (&self.state.counted, all.len()));
        let own: BTreeMap<Ipv4Net, u32> = all
            .into_iter()
            .filter_map(|(prefix, id)| Some((prefix, id?)))
            .collect();
        let lacking = wanted.len() - own.len();
        assert_eq!(lacking, self.bench.fib.stats().without_counter);
        for (prefix, id) in listed {
            let is_counted = self.bench.maps.is_counted(*id);
            assert_eq!(is_counted.then_some(id), own.get(prefix), "{prefix}");
        }
    }

    /// Either as expected, or handed up because a table is full.
    fn check_within_limits(&self) {
        let stats = self.bench.fib.stats();
        let lacking = stats.without_room() > stats.without_own;
        for address in ADDRESSES {
            let (seen, expected) = (self.seen(address), self.state.expect(addr(address)));
            let gives_way = matches!(
                expected,
                Expected::Forward(_)
                    | Expected::Resolve(_)
                    | Expected::Balance(_)
                    | Expected::Up(Reason::EgressCannotRedirect | Reason::Tc)
            );
            let fell_back = lacking && gives_way && seen == Expected::Up(FALLBACK)
                || lacking && fell_back_in_part(&seen, &expected);
            assert!(
                seen == expected || fell_back,
                "{address}: {seen:?}, not {expected:?}"
            );
        }
        assert!(self.bench.maps.own.is_subset(&self.state.own()));
        self.check_listings();
    }
}

/// Some members of a group found no room; the others are as they should be.
fn fell_back_in_part(seen: &Expected, expected: &Expected) -> bool {
    let (Expected::Balance(seen), Expected::Balance(expected)) = (seen, expected) else {
        return false;
    };
    seen.iter()
        .all(|way| *way == Expected::Up(FALLBACK) || expected.contains(way))
}

/// Sizes far too small, a table at a time or all together.
fn small() -> impl Strategy<Value = Capacity> {
    let ids = nexthops::FIRST_ID;
    let counted = 1000;
    let sizes = (0..6u32, 0..5u32, 0..3u32, 0..3u32, 0..4u32);
    sizes.prop_map(
        move |(nexthops, adjacencies, own, groups, counters)| Capacity {
            nexthops: ids..ids + nexthops,
            counted: counted..counted + counters,
            adjacencies: 0..adjacencies,
            groups: 0..groups,
            own,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn maps_agree_with_a_naive_evaluation_after_every_change(
        changes in prop::collection::vec(change(), 1..80),
    ) {
        let mut run = Run::new(Ipv4::CAPACITY);
        for change in &changes {
            run.step(change);
            run.check_exactly();
        }
    }

    #[test]
    fn order_of_events_does_not_matter(
        changes in prop::collection::vec(change(), 1..80),
        seed in any::<u64>(),
    ) {
        let mut run = Run::new(Ipv4::CAPACITY);
        changes.iter().for_each(|change| run.step(change));
        let mut again = Run::new(Ipv4::CAPACITY);
        for change in shuffled(run.state.changes(), seed) {
            again.step(&change);
        }
        again.check_exactly();
        prop_assert_eq!(run.bench.fib.stats().nexthops, again.bench.fib.stats().nexthops);
        prop_assert_eq!(run.bench.fib.stats().adjacencies, again.bench.fib.stats().adjacencies);
    }

    #[test]
    fn full_tables_hand_up_and_recover(
        capacity in small(),
        changes in prop::collection::vec(change(), 1..80),
    ) {
        let mut run = Run::new(capacity.clone());
        for change in &changes {
            run.step(change);
            run.check_within_limits();
        }
        run.settle();
        run.check_within_limits();
        let stats = run.bench.fib.stats();
        let ids_full = stats.nexthops == capacity.nexthops.len() as u32;
        prop_assert!(stats.without_nexthop == 0 || ids_full);
        prop_assert!(stats.without_adjacency == 0 || stats.adjacencies == capacity.adjacencies.len() as u32);
        prop_assert!(stats.without_group == 0 || stats.groups == capacity.groups.len() as u32);
        let counters = stats.without_counter == 0
            || run.state.counted.len() - stats.without_counter == capacity.counted.len();
        prop_assert!(counters);
        prop_assert!(stats.without_own == 0 || stats.own == capacity.own as usize);
    }

    #[test]
    fn initial_fills_empty_maps_with_the_present_state(
        changes in prop::collection::vec(change(), 1..60),
    ) {
        let mut run = Run::new(Ipv4::CAPACITY);
        changes.iter().for_each(|change| run.step(change));
        run.bench.maps = Maps::new(Ipv4::CAPACITY);
        run.bench.call(|fib, out| fib.initial(out));
        run.check_exactly();
    }

    #[test]
    fn withdrawing_everything_leaves_the_fixed_entries_and_frees_the_rest(
        changes in prop::collection::vec(change(), 1..60),
    ) {
        let mut run = Run::new(Ipv4::CAPACITY);
        changes.iter().for_each(|change| run.step(change));
        for (prefix, table) in run.state.routes.keys().copied().collect::<Vec<_>>() {
            run.step(&Change::Route(table, prefix, None));
        }
        run.settle();
        run.check_exactly();
        let stats = run.bench.fib.stats();
        prop_assert_eq!((stats.prefixes, stats.nexthops), (5, 0));
        prop_assert_eq!((stats.adjacencies, stats.groups), (0, 0));
    }
}

/// Fisher–Yates with a small generator: the order follows from the seed.
fn shuffled(mut changes: Vec<Change>, mut seed: u64) -> Vec<Change> {
    for last in (1..changes.len()).rev() {
        seed = seed
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        changes.swap(last, (seed >> 33) as usize % (last + 1));
    }
    changes
}
