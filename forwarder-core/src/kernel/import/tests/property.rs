//! Random histories of a kernel: what the import concludes from netlink is what
//! the kernel has, at once where all was heard, after a dump where not.

use proptest::prelude::*;

use super::kernel::{Kernel, LINKS, Mode};
use super::*;

#[derive(Clone, Debug)]
enum Op {
    Add(KernelRoute<Ipv4>, Mode),
    Delete(usize),
    Link(Ifindex, bool, bool),
    DeleteLink(Ifindex),
    AddAddress(Ifindex, Ipv4Net),
    DeleteAddress(Ifindex, Ipv4Net),
    SetObject(u32, NexthopObject),
    DeleteObject(u32),
    Dump,
    /// What netlink said since the last step is lost, and everything dumped.
    Lost,
}

fn ifindex() -> impl Strategy<Value = Ifindex> {
    (1..=LINKS).prop_map(Ifindex)
}

/// An address of a link: of two subnets of its own, or one that any can have.
fn an_address() -> impl Strategy<Value = (Ifindex, Ipv4Net)> {
    (ifindex(), 0..3).prop_map(|(link, which)| {
        let text = match which {
            2 => "10.99.0.1/32".into(),
            subnet => format!("10.{link}.{subnet}.1/24"),
        };
        (link, text.parse().unwrap())
    })
}

fn hop() -> impl Strategy<Value = Nexthop<Ipv4>> {
    let gateway = prop::option::weighted(0.7, 2u8..5);
    (gateway, ifindex()).prop_map(|(gateway, link)| match gateway {
        Some(host) => via(&format!("10.{link}.0.{host}"), link),
        None => Nexthop::link(link),
    })
}

fn nexthops() -> impl Strategy<Value = KernelNexthops<Ipv4>> {
    prop_oneof![
        3 => prop::collection::vec(hop(), 1..=2).prop_map(KernelNexthops::Inline),
        2 => (1u32..=4).prop_map(KernelNexthops::Object),
    ]
}

fn a_route() -> impl Strategy<Value = KernelRoute<Ipv4>> {
    let prefix = prop::sample::select(vec!["10.1.0.0/24", "10.50.0.0/16", "0.0.0.0/0"]);
    let identity = prop_oneof![
        2 => Just((OURS.protocol, OURS.metric)),
        1 => Just((OURS.protocol, 20)),
        6 => (prop::sample::select(vec![BOOT, BIRD]), prop::sample::select(vec![0, 15, 20])),
    ];
    let tos = prop_oneof![9 => Just(0u8), 1 => Just(16)];
    let source = prop::option::weighted(0.2, an_address().prop_map(|(_, net)| net.addr()));
    let mtu = prop::option::weighted(0.2, Just(1400));
    (prefix, identity, tos, nexthops(), source, mtu).prop_map(
        |(prefix, (protocol, metric), tos, nexthops, preferred_source, mtu)| KernelRoute {
            tos,
            nexthops,
            preferred_source,
            mtu,
            ..route(prefix, protocol, metric, Vec::new())
        },
    )
}

fn an_object() -> impl Strategy<Value = (u32, NexthopObject)> {
    let single = (ifindex(), 2u8..4).prop_map(|(link, host)| NexthopObject::Single {
        gateway: Some(ip(&format!("10.{link}.0.{host}")).into()),
        ifindex: link,
        onlink: false,
    });
    let of_one = prop_oneof![6 => single, 1 => Just(NexthopObject::Blackhole)];
    let group = prop::collection::btree_map(1u32..=2, 1u16..3, 1..=2);
    let group = group.prop_map(|members| NexthopObject::Group(members.into_iter().collect()));
    prop_oneof![1 => (1u32..=2, of_one), 1 => (3u32..=4, group)]
}

fn op() -> impl Strategy<Value = Op> {
    let mode = prop::sample::select(vec![Mode::Exclusive, Mode::Append, Mode::Replace]);
    prop_oneof![
        8 => (a_route(), mode).prop_map(|(route, mode)| Op::Add(route, mode)),
        3 => (0usize..20).prop_map(Op::Delete),
        3 => (ifindex(), prop::bool::weighted(0.7), prop::bool::weighted(0.7))
            .prop_map(|(link, up, carrier)| Op::Link(link, up, up && carrier)),
        1 => ifindex().prop_map(Op::DeleteLink),
        4 => an_address().prop_map(|(link, net)| Op::AddAddress(link, net)),
        2 => an_address().prop_map(|(link, net)| Op::DeleteAddress(link, net)),
        6 => an_object().prop_map(|(id, object)| Op::SetObject(id, object)),
        1 => (1u32..=4).prop_map(Op::DeleteObject),
        1 => Just(Op::Dump),
    ]
}

fn apply(kernel: &mut Kernel, op: Op) {
    match op {
        Op::Add(mut route, mode) => {
            if let KernelNexthops::Object(id) = route.nexthops {
                // As the kernel does: an object's route has the object's type.
                route.kind = kernel.kind_of(id);
            }
            kernel.add(route, mode);
        }
        Op::Delete(nth) => kernel.delete(nth),
        Op::Link(link, up, carrier) => kernel.set_link(link, up, carrier),
        Op::DeleteLink(link) => kernel.delete_link(link),
        Op::AddAddress(link, net) => kernel.add_address(link, net),
        Op::DeleteAddress(link, net) => kernel.delete_address(link, net),
        Op::SetObject(id, object) => kernel.set_object(id, object),
        Op::DeleteObject(id) => kernel.delete_object(id),
        Op::Dump => kernel.dump(false),
        Op::Lost => {
            kernel.messages.clear();
            kernel.dump(true);
        }
    }
}

/// Three links that are up, as most histories begin.
fn started(silent_sources: bool) -> Kernel {
    let mut kernel = Kernel::default();
    kernel.silent_sources = silent_sources;
    for link in 1..=LINKS {
        kernel.set_link(Ifindex(link), true, true);
        kernel.add_address(Ifindex(link), format!("10.{link}.0.1/24").parse().unwrap());
    }
    kernel
}

fn hear(fixture: &mut Fixture, kernel: &mut Kernel) {
    for message in std::mem::take(&mut kernel.messages) {
        fixture.tell(message);
    }
}

fn check(fixture: &Fixture, kernel: &Kernel) -> Result<(), TestCaseError> {
    let (candidates, ours) = kernel.answers();
    prop_assert_eq!(&fixture.candidates, &candidates);
    prop_assert_eq!(
        fixture.ours.keys().collect::<Vec<_>>(),
        ours.keys().collect::<Vec<_>>()
    );
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn what_is_heard_suffices(
        ops in prop::collection::vec(op(), 1..60),
        silent_sources in any::<bool>(),
    ) {
        let mut kernel = started(silent_sources);
        let mut fixture = Fixture::new();
        for op in ops {
            hear(&mut fixture, &mut kernel);
            check(&fixture, &kernel)?;
            apply(&mut kernel, op);
        }
        hear(&mut fixture, &mut kernel);
        check(&fixture, &kernel)?;
        kernel.dump(true);
        let mut out = Vec::new();
        for message in std::mem::take(&mut kernel.messages) {
            fixture.table.handle(message, &mut out);
        }
        out.retain(|op| !matches!(op, ImportOp::OursSeen { .. }));
        prop_assert_eq!(out, [], "a dump that tells nothing new");
    }

    #[test]
    fn a_dump_makes_good_what_was_lost(
        histories in prop::collection::vec(prop::collection::vec(op(), 1..12), 1..8),
    ) {
        let mut kernel = started(false);
        let mut fixture = Fixture::new();
        for history in histories {
            for op in history {
                apply(&mut kernel, op);
            }
            apply(&mut kernel, Op::Lost);
            hear(&mut fixture, &mut kernel);
            check(&fixture, &kernel)?;
        }
    }

    #[test]
    fn no_events_upset_it(
        routes in prop::collection::vec((a_route(), 0..5, an_object()), 1..60),
    ) {
        let mut fixture = Fixture::new();
        for (route, what, (id, object)) in routes {
            fixture.tell(match what {
                0 => RouteEvent::Removed(route),
                1 => RouteEvent::NexthopSet { id, object },
                2 => RouteEvent::NexthopGone(id),
                3 => RouteEvent::LinkGone(Ifindex(1 + id % LINKS)),
                _ => RouteEvent::Added { route, replaced: id % 2 == 0 },
            });
        }
        fixture.tell(RouteEvent::DumpStart);
        fixture.tell(RouteEvent::DumpEnd);
        prop_assert!(fixture.candidates.is_empty() && fixture.ours.is_empty());
    }
}
