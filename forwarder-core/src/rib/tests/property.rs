//! Random candidates, links and commits: the RIB answers as the model does,
//! and its journal replays to its snapshot.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::model::{Model, Selected};
use super::*;
use crate::rib::{Generation, Since, Snapshot};

const PREFIXES: [&str; 8] = [
    "0.0.0.0/0",
    "10.0.0.0/8",
    "10.1.0.0/16",
    "10.1.1.0/24",
    "10.1.1.1/32",
    "10.2.0.0/16",
    "10.2.0.1/32",
    "192.0.2.0/24",
];
const GATEWAYS: [&str; 5] = ["10.1.1.1", "10.1.1.2", "10.1.2.1", "10.2.0.1", "192.0.2.1"];

#[derive(Clone, Debug)]
enum Op {
    Update(TableId, Ipv4Net, Candidate<Ipv4>),
    Withdraw(TableId, Ipv4Net, Slot),
    Link(Ifindex, Option<(bool, bool)>),
    ExportMetric(Option<u32>),
    Commit,
}

fn table() -> impl Strategy<Value = TableId> {
    prop_oneof![6 => Just(MAIN), 1 => Just(TableId(100)), 1 => Just(TableId::LOCAL)]
}

fn prefix() -> impl Strategy<Value = Ipv4Net> {
    prop::sample::select(&PREFIXES[..]).prop_map(net)
}

fn ifindex() -> impl Strategy<Value = Ifindex> {
    (1u32..=3).prop_map(Ifindex)
}

fn hop() -> impl Strategy<Value = Nexthop<Ipv4>> {
    let gateway = prop::option::weighted(0.8, prop::sample::select(&GATEWAYS[..]).prop_map(ip));
    (
        gateway,
        prop::option::of(ifindex()),
        1u16..=2,
        prop::bool::weighted(0.2),
    )
        .prop_map(|(gateway, ifindex, weight, onlink)| Nexthop {
            gateway,
            ifindex,
            weight,
            onlink,
        })
}

fn connected_candidate() -> impl Strategy<Value = Candidate<Ipv4>> {
    ifindex().prop_map(connected)
}

fn any_candidate() -> impl Strategy<Value = Candidate<Ipv4>> {
    let source = prop::sample::select(vec![
        Source::Static,
        Source::Static,
        Source::Rip,
        Source::Kernel(4),
        Source::Connected,
    ]);
    let kind = prop_oneof![
        8 => Just(RouteType::Unicast),
        1 => Just(RouteType::Blackhole),
        1 => Just(RouteType::Local),
        1 => Just(RouteType::Broadcast),
    ];
    let hops = prop::collection::vec(hop(), 0..=3);
    let numbers = (0u8..=3, 0u32..=2, prop::sample::select(vec![0, 15, 20]));
    (source, kind, hops, numbers).prop_map(|(source, kind, hops, (distance, metric, kernel))| {
        let nexthops = if kind == RouteType::Unicast {
            hops
        } else {
            Vec::new()
        };
        let plain = candidate(source, distance, nexthops);
        let kernel_metric = (Slot::of(&plain) == Slot::Kernel).then_some(kernel);
        Candidate {
            kind,
            metric,
            kernel_metric,
            ..plain
        }
    })
}

fn op() -> impl Strategy<Value = Op> {
    let candidate = prop_oneof![1 => connected_candidate(), 3 => any_candidate()];
    let slot = prop::sample::select(vec![
        Slot::Kernel,
        Slot::Static,
        Slot::Socket(0),
        Slot::Socket(1),
        Slot::Rip,
        Slot::Redirect,
    ]);
    let state =
        prop::option::weighted(0.85, (prop::bool::weighted(0.8), prop::bool::weighted(0.8)));
    prop_oneof![
        8 => (table(), prefix(), candidate).prop_map(|(t, p, c)| Op::Update(t, p, c)),
        3 => (table(), prefix(), slot).prop_map(|(t, p, s)| Op::Withdraw(t, p, s)),
        4 => (ifindex(), state).prop_map(|(i, state)| Op::Link(i, state)),
        1 => prop::option::of(Just(15)).prop_map(Op::ExportMetric),
        4 => Just(Op::Commit),
    ]
}

fn apply(rib: &mut Rib<Ipv4>, model: &mut Model, op: Op) {
    match op {
        Op::Update(table, prefix, candidate) => {
            rib.update(Instant::ZERO, table, prefix, candidate.clone());
            model.update(table, prefix, candidate);
        }
        Op::Withdraw(table, prefix, slot) => {
            rib.withdraw(table, prefix, slot);
            model.withdraw(table, prefix, slot);
        }
        Op::Link(ifindex, Some((up, carrier))) => {
            rib.set_link(ifindex, up, carrier);
            model.links.insert(ifindex, (up, carrier));
        }
        Op::Link(ifindex, None) => {
            rib.remove_link(ifindex);
            model.links.remove(&ifindex);
        }
        Op::ExportMetric(export_metric) => {
            rib.set_config(RibConfig { export_metric });
            model.export_metric = export_metric;
        }
        Op::Commit => {
            rib.commit();
        }
    }
}

fn as_map(snapshot: &Snapshot<Ipv4>) -> Selected {
    let routes = snapshot.routes.iter();
    routes
        .map(|(table, prefix, route)| ((*table, *prefix), Route::clone(route)))
        .collect()
}

/// Takes what the journal has since `cursor` over an old state.
fn replay(rib: &Rib<Ipv4>, cursor: Generation, state: &mut Selected) {
    let Since::Deltas(batches) = rib.journal().since(cursor) else {
        assert_eq!(cursor, rib.generation(), "fell off a ring that is not full");
        return;
    };
    for batch in batches {
        let keys: BTreeSet<_> = batch.changes.iter().map(|c| (c.table, c.prefix)).collect();
        assert_eq!(
            keys.len(),
            batch.changes.len(),
            "two changes for one prefix"
        );
        for change in &batch.changes {
            assert_ne!(change.old, change.new, "a change that changes nothing");
            let key = (change.table, change.prefix);
            assert_eq!(state.remove(&key).as_ref(), change.old.as_deref());
            state.extend(change.new.as_deref().map(|new| (key, new.clone())));
        }
    }
}

fn check_views(rib: &Rib<Ipv4>, model: &Model) {
    let selected = model.selected();
    let mut seen = 0;
    for entry in rib.entries() {
        let expected = selected.get(&(entry.table, entry.prefix));
        assert_eq!(entry.selected.as_deref(), expected);
        let winners = entry
            .offers
            .iter()
            .filter(|offer| offer.reason.name() == "selected");
        let winners: Vec<Source> = winners.map(|offer| offer.candidate.source).collect();
        assert_eq!(
            winners,
            expected
                .map(|route| route.source)
                .into_iter()
                .collect::<Vec<_>>()
        );
        seen += entry.offers.len();
    }
    assert_eq!(seen, model.candidates.len());
}

fn check_lookups(rib: &Rib<Ipv4>, selected: &Selected) {
    for addr in GATEWAYS.map(ip) {
        let expected = selected
            .iter()
            .filter(|((table, prefix), _)| *table == MAIN && prefix.contains(&addr))
            .max_by_key(|((_, prefix), _)| prefix.prefix_len())
            .map(|((_, prefix), route)| (*prefix, route.clone()));
        let found = rib
            .lookup(MAIN, addr)
            .map(|(prefix, route)| (prefix, Route::clone(&route)));
        assert_eq!(found, expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn the_rib_is_its_model(ops in prop::collection::vec(op(), 1..80)) {
        let mut rib = Rib::new(1, RibConfig { export_metric: Some(15) });
        let mut model = Model { export_metric: Some(15), ..Model::default() };
        let mut state = Selected::new();
        let mut cursor = rib.generation();
        let mut lagging = (rib.generation(), Selected::new());
        for (step, op) in ops.into_iter().chain([Op::Commit]).enumerate() {
            let commit = matches!(op, Op::Commit);
            apply(&mut rib, &mut model, op);
            if commit {
                replay(&rib, cursor, &mut state);
                cursor = rib.generation();
                prop_assert_eq!(&state, &model.selected());
                prop_assert_eq!(&state, &as_map(&rib.snapshot()));
                check_views(&rib, &model);
                check_lookups(&rib, &state);
            }
            if step % 17 == 0 && commit {
                lagging = (cursor, state.clone());
            }
        }
        let (cursor, mut old) = lagging;
        replay(&rib, cursor, &mut old);
        prop_assert_eq!(old, state);
    }
}
