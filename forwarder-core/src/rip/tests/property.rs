//! Random bytes, and random sequences of everything that can happen.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

/// Hands arbitrary bytes to a router as a datagram from a neighbour, and as one
/// to a tool's port: must not panic, and must not break the table.
fn fuzz_datagram(bytes: &[u8]) -> Router {
    let mut router = Router::with(InterfaceConfig {
        send_version: SendVersion::Compatible,
        receive_version: ReceiveVersion::Both,
        ..Default::default()
    });
    router.input(Input::Reconfigure(Tuning {
        paths: PATHS,
        ..Default::default()
    }));
    router.datagram(A, A2, 520, bytes);
    router.datagram(A, A2, 4711, bytes);
    router.flush();
    router
}

/// What a neighbour may do to us.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Hear {
        neighbor: usize,
        entries: Vec<[u8; ENTRY]>,
    },
    Wait(u64),
    Down(bool),
    Up(bool, Metric, SplitHorizon),
    Remove,
    Redistribute(Redistribute<Ipv4>),
    Clear(Clear<Ipv4>),
    Ask {
        port: u16,
    },
}

const NEIGHBORS: [(Ifindex, &str); 4] = [(A, A2), (A, A3), (B, B2), (B, "10.0.13.3")];

/// Next hops that a destination may have.
const PATHS: usize = 2;

/// A few destinations that collide often, our own networks among them.
fn prefixes() -> impl Strategy<Value = Ipv4Net> {
    prop::sample::select(
        [
            "20.0.0.0/8",
            "20.1.0.0/16",
            "20.1.1.1/32",
            "0.0.0.0/0",
            "10.0.12.0/24",
            "10.0.13.0/24",
        ]
        .map(net)
        .to_vec(),
    )
}

fn entries() -> impl Strategy<Value = [u8; ENTRY]> {
    let hops = prop::sample::select(vec![
        "0.0.0.0",
        "10.0.12.1",
        "10.0.12.9",
        "10.0.13.3",
        "1.1.1.1",
    ]);
    let sound = (prefixes(), 0..18_u32, hops).prop_map(|(prefix, metric, hop)| {
        entry(
            2,
            &prefix.network().to_string(),
            &prefix.netmask().to_string(),
            hop,
            metric,
        )
    });
    prop_oneof![9 => sound, 1 => any::<[u8; ENTRY]>()]
}

fn metrics() -> impl Strategy<Value = Metric> {
    (1..16_u32).prop_map(metric)
}

fn modes() -> impl Strategy<Value = SplitHorizon> {
    prop::sample::select(vec![
        SplitHorizon::Off,
        SplitHorizon::Simple,
        SplitHorizon::Poison,
    ])
}

fn redistribute() -> impl Strategy<Value = Redistribute<Ipv4>> {
    let update = (prefixes(), metrics(), any::<u16>()).prop_map(|(prefix, metric, tag)| {
        Redistribute::Update {
            prefix,
            metric,
            tag,
            next_hop: Some(addr("10.0.12.9")),
        }
    });
    prop_oneof![
        update,
        prefixes().prop_map(|prefix| Redistribute::Withdraw { prefix })
    ]
}

pub(super) fn steps() -> impl Strategy<Value = Step> {
    let clear = prop::sample::select(vec![
        Clear::Neighbor(addr(A2)),
        Clear::Routes,
        Clear::Counters,
    ]);
    prop_oneof![
        8 => (0..4_usize, prop::collection::vec(entries(), 1..6))
            .prop_map(|(neighbor, entries)| Step::Hear { neighbor, entries }),
        4 => prop_oneof![0..3_u64, 0..200_u64].prop_map(Step::Wait),
        1 => any::<bool>().prop_map(Step::Down),
        1 => (any::<bool>(), metrics(), modes()).prop_map(|(a, cost, mode)| Step::Up(a, cost, mode)),
        1 => Just(Step::Remove),
        2 => redistribute().prop_map(Step::Redistribute),
        1 => clear.prop_map(Step::Clear),
        1 => prop::sample::select(vec![520, 4711]).prop_map(|port| Step::Ask { port }),
    ]
}

pub(super) fn take(router: &mut Router, step: Step) {
    let pick = |a| if a { A } else { B };
    match step {
        Step::Hear { neighbor, entries } => {
            let (ifindex, source) = NEIGHBORS[neighbor];
            router.datagram(ifindex, source, 520, &raw(2, 2, &entries));
        }
        Step::Wait(seconds) => router.advance(Duration::from_secs(seconds)),
        Step::Down(a) => router.input(Input::InterfaceDown(pick(a))),
        Step::Up(a, cost, split_horizon) => {
            let config = InterfaceConfig {
                cost,
                split_horizon,
                ..Default::default()
            };
            let local = if a { "10.0.12.1/24" } else { "10.0.13.1/24" };
            router.up(setup(pick(a), local, config));
        }
        Step::Remove => router.input(Input::InterfaceRemove(A)),
        Step::Redistribute(change) => router.input(Input::Redistribute(change)),
        Step::Clear(what) => router.input(Input::Clear(what)),
        Step::Ask { port } => router.datagram(B, B2, port, &raw(1, 2, &[Ipv4::table_request()])),
    }
}

/// A destination in use: where it leads and how far.
type Installed = BTreeMap<Ipv4Net, (BTreeSet<(Ifindex, Ipv4Addr)>, u8, u16)>;

/// Keeps the RIB as the engine's route changes say.
fn follow(rib: &mut Installed, routes: Vec<RouteChange<Ipv4>>) {
    for change in routes {
        match change {
            RouteChange::Update {
                prefix,
                nexthops,
                metric,
                tag,
            } => {
                assert!(metric.is_reachable());
                let hop = |hop: &crate::route::Nexthop<Ipv4>| {
                    (hop.ifindex.unwrap(), hop.gateway.unwrap())
                };
                let hops: BTreeSet<_> = nexthops.iter().map(hop).collect();
                assert_eq!(hops.len(), nexthops.len(), "each is another");
                let route = (hops, metric.get(), tag);
                let before = rib.insert(prefix, route.clone());
                assert_ne!(before, Some(route), "no empty changes");
            }
            RouteChange::Withdraw { prefix } => assert!(rib.remove(&prefix).is_some()),
        }
    }
}

/// What packets go by, from the offers that are marked.
fn used(router: &Router) -> Installed {
    let rows = router.rip.routes(router.now);
    let route = |row: RouteRow<Ipv4>| {
        let used: Vec<_> = row.offers.iter().filter(|offer| offer.used).collect();
        let first = used.first()?;
        let hops = used.iter().map(|offer| (offer.neighbor.ifindex, offer.via));
        Some((row.prefix, (hops.collect(), first.metric.get(), first.tag)))
    };
    rows.filter_map(route).collect()
}

fn check(router: &Router, rib: &Installed) {
    let mut selected = Installed::new();
    for row in router.rip.routes(router.now) {
        for offer in &row.offers {
            assert!(offer.metric.is_reachable());
            assert!(![addr("10.0.12.1"), addr("10.0.13.1")].contains(&offer.via));
            let best = row.offers.iter().filter(|offer| offer.best).count();
            assert_eq!(best, 1, "one is best");
            assert!(
                row.offers
                    .iter()
                    .all(|other| row.offers[0].metric <= other.metric)
            );
        }
        assert_eq!(
            row.origin == RouteOrigin::Garbage,
            !row.metric.is_reachable()
        );
        let used: Vec<_> = row.offers.iter().filter(|offer| offer.used).collect();
        let ours = row.origin == RouteOrigin::Connected;
        assert_eq!(used.is_empty(), row.offers.is_empty() || ours);
        if let Some(best) = used.first() {
            assert!(best.best && used.len() <= PATHS);
            let good =
                |offer: &&OfferRow<Ipv4>| (offer.metric, offer.tag) == (best.metric, best.tag);
            assert!(used.iter().copied().all(|offer| good(&offer)));
            let hop = |offer: &OfferRow<Ipv4>| (offer.neighbor.ifindex, offer.via);
            let hops: BTreeSet<_> = used.iter().map(|offer| hop(offer)).collect();
            let all: BTreeSet<_> = row.offers.iter().filter(good).map(hop).collect();
            assert_eq!(hops.len(), all.len().min(PATHS), "none is left out");
            selected.insert(row.prefix, (hops, best.metric.get(), best.tag));
        }
    }
    assert_eq!(*rib, selected, "the RIB was told what is selected");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn random_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        fuzz_datagram(&bytes);
    }

    #[test]
    fn random_entries_do_no_harm(
        command in 0..4_u8,
        version in 0..4_u8,
        entries in prop::collection::vec(entries(), 0..30),
    ) {
        let router = fuzz_datagram(&raw(command, version, &entries));
        let mut rib = Installed::new();
        follow(&mut rib, router.routes.clone());
        check(&router, &rib);
    }

    #[test]
    fn rip_case_38_what_version_1_is_told_it_understands_as_it_is_meant(
        (link, link_len) in (any::<u32>(), 8..32_u8),
        (change, shift, len) in (any::<u32>(), 0..32_u32, 0..33_u8),
    ) {
        let prefix = |addr, len| Ipv4Net::new(Ipv4Addr::from(addr), len).unwrap().trunc();
        let (subnet, prefix) = (prefix(link, link_len), prefix(link ^ (change >> shift), len));
        prop_assume!(Ipv4::is_routable(&prefix));
        let told = match Ipv4::sayable(&subnet, &prefix) {
            Sayable::Itself => prefix,
            Sayable::Network(network) => network,
            Sayable::Nothing => return Ok(()),
        };
        prop_assert!(told.contains(&prefix));
        let entry = Ipv4::encode_v1(&Rte { prefix: told, ..rte("20.0.0.0/8", 1) });
        let heard = Ipv4::prefix_v1(&entry, &subnet);
        prop_assert_eq!(heard, Ok(told));
    }

    #[test]
    fn any_entry_that_is_accepted_is_encoded_as_it_came(bytes in any::<[u8; ENTRY]>()) {
        let mut bytes = bytes;
        bytes[0..2].copy_from_slice(&[0, 2]);
        if let Ok(rte) = Ipv4::decode(&bytes) {
            prop_assert_eq!(Ipv4::decode(&Ipv4::encode(&rte)), Ok(rte));
        }
    }

    /// What packets go by is always offered, as the RIB has it; and when all has
    /// settled the best is used.
    #[test]
    fn any_history_with_settle_uses_what_is_offered(
        steps in prop::collection::vec(steps(), 1..40),
    ) {
        let mut router = Router::settled();
        let settle = Duration::from_secs(30);
        let tuning = Tuning { paths: PATHS, settle, ..Default::default() };
        router.input(Input::Reconfigure(tuning));
        let mut rib = Installed::new();
        for step in steps {
            take(&mut router, step);
            follow(&mut rib, std::mem::take(&mut router.routes));
            prop_assert_eq!(&used(&router), &rib);
        }
        router.input(Input::Reconfigure(Tuning { settle: Duration::ZERO, ..tuning }));
        follow(&mut rib, std::mem::take(&mut router.routes));
        check(&router, &rib);
    }

    #[test]
    fn any_history_leaves_rib_and_table_in_agreement(
        steps in prop::collection::vec(steps(), 1..40),
    ) {
        let mut router = Router::settled();
        router.input(Input::Reconfigure(Tuning { paths: PATHS, ..Default::default() }));
        let mut rib = Installed::new();
        for step in steps {
            take(&mut router, step);
            follow(&mut rib, std::mem::take(&mut router.routes));
            check(&router, &rib);
        }
        // Left alone, nothing learnt outlives its timers.
        router.advance(Duration::from_secs(301));
        let learnt = |row: &RouteRow<Ipv4>| {
            !row.offers.is_empty() || row.origin == RouteOrigin::Garbage
        };
        prop_assert!(!router.rip.routes(router.now).any(|row| learnt(&row)));
        router.input(Input::Shutdown);
        router.advance(Duration::from_secs(10));
        prop_assert!(router.rip.is_drained());
    }
}
