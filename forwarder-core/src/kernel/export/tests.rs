use std::collections::{BTreeMap, VecDeque};
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use proptest::prelude::*;

use super::*;
use crate::kernel::event::KernelNexthops;
use crate::net::{Ifindex, Ipv4, TableId};
use crate::route::{Candidate, Distance, Source};
use crate::route_msg::Errno;

type Exporter = super::Exporter<Ipv4>;
type ExportOp = super::ExportOp<Ipv4>;
type ExportRoute = super::ExportRoute<Ipv4>;

const T0: Instant = Instant::from_secs(100);

fn prefix(n: u8) -> Ipv4Net {
    Ipv4Net::new(Ipv4Addr::new(10, n, 0, 0), 16).unwrap()
}

fn hop(n: u8) -> Nexthop<Ipv4> {
    Nexthop::via(Ipv4Addr::new(192, 0, 2, n), Ifindex(7))
}

fn route(gateway: u8) -> Route<Ipv4> {
    Candidate {
        kind: RouteType::Unicast,
        nexthops: vec![hop(gateway)],
        source: Source::Rip,
        distance: Distance(120),
        metric: 2,
        tag: 0,
        mtu: None,
        kernel_metric: None,
        preferred_source: None,
        attributes: None,
    }
}

fn kernel_route(export: &ExportRoute) -> KernelRoute<Ipv4> {
    KernelRoute {
        table: TableId::MAIN,
        prefix: export.prefix,
        metric: 15,
        tos: 0,
        kind: export.kind,
        protocol: 210,
        nexthops: KernelNexthops::Inline(export.nexthops.clone()),
        mtu: export.mtu,
        preferred_source: None,
    }
}

fn found(n: u8, gateway: u8) -> KernelRoute<Ipv4> {
    kernel_route(&ExportRoute::of(prefix(n), &route(gateway)).unwrap())
}

fn running() -> Exporter {
    let mut exporter = Exporter::new();
    exporter.kernel_known();
    exporter.rib_filled();
    exporter
}

/// Everything it wants done, done; what was done.
fn carry_out(exporter: &mut Exporter, now: Instant) -> Vec<ExportOp> {
    let mut done = exporter.take_additions(now, usize::MAX);
    done.extend(exporter.take_removals(now, usize::MAX));
    for op in &done {
        exporter.complete(now, op, Ok(()));
    }
    done
}

fn installed_one() -> Exporter {
    let mut exporter = running();
    exporter.set_desired(prefix(1), Some(&route(1)));
    carry_out(&mut exporter, T0);
    exporter.ours_seen(T0, &found(1, 1));
    assert_eq!(exporter.installed(prefix(1)), Installed::Yes);
    exporter
}

#[test]
fn selected_routes_of_ours_are_added() {
    let mut exporter = running();
    exporter.set_desired(prefix(1), Some(&route(1)));
    assert_eq!(exporter.installed(prefix(1)), Installed::Pending);
    let ops = exporter.take_additions(T0, 10);
    assert!(matches!(ops.as_slice(), [ExportOp::Add(add)] if add.nexthops == [hop(1)]));
    assert!(!exporter.is_settled());
    exporter.complete(T0, &ops[0], Ok(()));
    assert_eq!(exporter.installed(prefix(1)), Installed::Yes);
    assert!(exporter.is_settled());
}

#[test]
fn routes_of_others_are_not_exported() {
    let mut exporter = running();
    let foreign = Candidate {
        source: Source::Kernel(4),
        ..route(1)
    };
    exporter.set_desired(prefix(1), Some(&foreign));
    let local = Candidate {
        kind: RouteType::Local,
        ..route(1)
    };
    exporter.set_desired(prefix(2), Some(&local));
    assert_eq!(carry_out(&mut exporter, T0), []);
    assert_eq!(exporter.installed(prefix(1)), Installed::NotWanted);
}

#[test]
fn a_change_replaces_and_never_deletes_first() {
    let mut exporter = installed_one();
    exporter.set_desired(prefix(1), Some(&route(2)));
    assert_eq!(exporter.take_removals(T0, 10), []);
    let ops = exporter.take_additions(T0, 10);
    assert!(matches!(ops.as_slice(), [ExportOp::Replace(new)] if new.nexthops == [hop(2)]));
}

#[test]
fn a_withdrawal_deletes_in_the_second_queue() {
    let mut exporter = installed_one();
    exporter.set_desired(prefix(1), None);
    assert_eq!(exporter.take_additions(T0, 10), []);
    assert_eq!(
        exporter.take_removals(T0, 10),
        [ExportOp::Delete(prefix(1))]
    );
}

#[test]
fn a_route_flushed_by_hand_is_put_back() {
    let mut exporter = installed_one();
    exporter.ours_gone(T0, prefix(1));
    assert!(matches!(
        exporter.take_additions(T0, 10).as_slice(),
        [ExportOp::Add(_)]
    ));
}

#[test]
fn a_route_changed_by_hand_is_put_right() {
    let mut exporter = installed_one();
    exporter.ours_seen(T0, &found(1, 9));
    assert!(matches!(
        exporter.take_additions(T0, 10).as_slice(),
        [ExportOp::Replace(_)]
    ));
}

#[test]
fn the_echo_of_an_older_change_is_not_believed() {
    let mut exporter = running();
    for gateway in [1, 2] {
        exporter.set_desired(prefix(1), Some(&route(gateway)));
        carry_out(&mut exporter, T0);
    }
    exporter.ours_seen(T0, &found(1, 1));
    assert!(exporter.is_settled());
    exporter.ours_seen(T0, &found(1, 2));
    assert!(exporter.is_settled());
    assert_eq!(exporter.installed(prefix(1)), Installed::Yes);
}

#[test]
fn an_echo_may_come_before_the_result() {
    let mut exporter = running();
    exporter.set_desired(prefix(1), Some(&route(1)));
    let ops = exporter.take_additions(T0, 10);
    exporter.ours_seen(T0, &found(1, 1));
    exporter.complete(T0, &ops[0], Ok(()));
    assert_eq!(exporter.installed(prefix(1)), Installed::Yes);
    exporter.ours_gone(T0, prefix(1));
    assert!(
        !exporter.is_settled(),
        "the queue of echoes was empty: this is news"
    );
}

#[test]
fn news_behind_an_echo_counts_even_before_the_result() {
    let mut exporter = running();
    exporter.set_desired(prefix(1), Some(&route(1)));
    let ops = exporter.take_additions(T0, 10);
    exporter.ours_seen(T0, &found(1, 1));
    exporter.ours_gone(T0, prefix(1));
    exporter.complete(T0, &ops[0], Ok(()));
    assert!(matches!(
        exporter.take_additions(T0, 10).as_slice(),
        [ExportOp::Add(_)]
    ));
}

#[test]
fn a_lost_echo_does_not_hide_a_change_for_ever() {
    let mut exporter = running();
    exporter.set_desired(prefix(1), Some(&route(1)));
    carry_out(&mut exporter, T0);
    exporter.ours_gone(T0, prefix(1));
    assert!(exporter.is_settled(), "its own echo may still come");
    exporter.tick(T0 + RETRY);
    assert!(matches!(
        exporter.take_additions(T0, 10).as_slice(),
        [ExportOp::Add(_)]
    ));
}

#[test]
fn an_occupied_key_is_left_alone_and_named() {
    let mut exporter = running();
    exporter.set_desired(prefix(1), Some(&route(1)));
    let ops = exporter.take_additions(T0, 10);
    exporter.complete(T0, &ops[0], Err(Refusal::Occupied));
    assert_eq!(
        exporter.installed(prefix(1)),
        Installed::No(Refusal::Occupied)
    );
    assert!(exporter.is_settled());
    exporter.set_desired(prefix(1), None);
    assert_eq!(
        carry_out(&mut exporter, T0),
        [],
        "nothing of ours to delete"
    );
}

#[test]
fn what_was_refused_is_tried_again_on_request_and_in_time() {
    let mut exporter = running();
    exporter.set_desired(prefix(1), Some(&route(1)));
    let refuse = |exporter: &mut Exporter| {
        let ops = exporter.take_additions(T0, 10);
        exporter.complete(
            T0,
            &ops[0],
            Err(Refusal::Invalid(Errno::Enetunreach, "unreachable".into())),
        );
        assert!(exporter.is_settled());
    };
    refuse(&mut exporter);
    exporter.retry_refused();
    refuse(&mut exporter);
    exporter.tick(T0);
    assert!(exporter.is_settled(), "not yet due");
    assert!(
        exporter
            .next_deadline()
            .is_some_and(|due| due <= T0 + RETRY)
    );
    exporter.tick(T0 + RETRY);
    assert!(!exporter.is_settled());
}

/// One who is told of refusals is told once of each.
#[test]
fn a_refusal_is_news_once_for_what_is_desired() {
    let refused = || Refusal::Invalid(Errno::Einval, "no such gateway".into());
    let mut exporter = running();
    let attempt = |exporter: &mut Exporter, result| {
        let ops = exporter.take_additions(T0, 10);
        let news = exporter.complete(T0, &ops[0], result);
        exporter.retry_refused();
        news
    };
    exporter.set_desired(prefix(1), Some(&route(1)));
    assert_eq!(attempt(&mut exporter, Err(refused())), Some(refused()));
    assert_eq!(attempt(&mut exporter, Err(refused())), None, "a repetition");
    exporter.set_desired(prefix(1), Some(&route(1)));
    assert_eq!(attempt(&mut exporter, Err(refused())), None, "the same");
    exporter.set_desired(prefix(1), Some(&route(2)));
    assert_eq!(attempt(&mut exporter, Err(refused())), Some(refused()));
    assert_eq!(attempt(&mut exporter, Ok(())), None);
    // It was there, and comes back: another story.
    exporter.ours_seen(T0, &found(1, 2));
    exporter.ours_gone(T0, prefix(1));
    assert_eq!(attempt(&mut exporter, Err(refused())), Some(refused()));
}

#[test]
fn a_refused_deletion_is_no_news_of_a_route() {
    let mut exporter = installed_one();
    exporter.set_desired(prefix(1), None);
    let ops = exporter.take_removals(T0, 10);
    let refusal = Refusal::Failed(Errno::Enobufs, "no buffer space".into());
    assert_eq!(exporter.complete(T0, &ops[0], Err(refusal)), None);
}

#[test]
fn a_refused_replacement_takes_the_outdated_route_away() {
    let mut exporter = installed_one();
    exporter.set_desired(prefix(1), Some(&route(2)));
    let ops = exporter.take_additions(T0, 10);
    exporter.complete(
        T0,
        &ops[0],
        Err(Refusal::Invalid(Errno::Enetunreach, "unreachable".into())),
    );
    assert_eq!(
        exporter.take_removals(T0, 10),
        [ExportOp::Delete(prefix(1))]
    );
}

#[test]
fn a_failed_request_is_repeated_and_changes_nothing() {
    let mut exporter = installed_one();
    exporter.set_desired(prefix(1), Some(&route(2)));
    let ops = exporter.take_additions(T0, 10);
    exporter.complete(
        T0,
        &ops[0],
        Err(Refusal::Failed(Errno::Enobufs, "no buffer space".into())),
    );
    assert_eq!(exporter.take_removals(T0, 10), []);
    exporter.tick(T0 + RETRY_FAILED);
    assert!(matches!(
        exporter.take_additions(T0, 10).as_slice(),
        [ExportOp::Replace(_)]
    ));
}

#[test]
fn deleting_what_is_gone_already_is_fine() {
    let mut exporter = installed_one();
    exporter.set_desired(prefix(1), None);
    let ops = exporter.take_removals(T0, 10);
    exporter.complete(T0, &ops[0], Err(Refusal::Absent));
    assert!(exporter.is_settled());
    assert_eq!(exporter.installed(prefix(1)), Installed::NotWanted);
}

#[test]
fn leftovers_are_adopted_or_deleted_once_the_rib_is_filled() {
    let mut exporter = Exporter::new();
    exporter.ours_seen(T0, &found(1, 1));
    exporter.ours_seen(T0, &found(2, 1));
    exporter.set_desired(prefix(1), Some(&route(1)));
    assert_eq!(carry_out(&mut exporter, T0), []);
    exporter.kernel_known();
    assert_eq!(carry_out(&mut exporter, T0), []);
    assert_eq!(exporter.installed(prefix(1)), Installed::Yes, "adopted");
    exporter.rib_filled();
    assert_eq!(carry_out(&mut exporter, T0), [ExportOp::Delete(prefix(2))]);
}

/// A neighbour's withdrawal in the first minute does not wait for the sweep.
#[test]
fn what_this_life_has_put_there_is_removed_before_the_rib_is_filled() {
    let mut exporter = Exporter::new();
    exporter.kernel_known();
    exporter.set_desired(prefix(1), Some(&route(1)));
    carry_out(&mut exporter, T0);
    exporter.set_desired(prefix(1), None);
    assert_eq!(carry_out(&mut exporter, T0), [ExportOp::Delete(prefix(1))]);
}

#[test]
fn nothing_is_written_before_the_kernel_table_is_known() {
    let mut exporter = Exporter::new();
    exporter.set_desired(prefix(1), Some(&route(1)));
    assert_eq!(exporter.take_additions(T0, 10), []);
    exporter.kernel_known();
    assert_eq!(exporter.take_additions(T0, 10).len(), 1);
}

#[test]
fn stopping_removes_all_of_ours() {
    let mut exporter = installed_one();
    exporter.withdraw_all();
    assert_eq!(carry_out(&mut exporter, T0), [ExportOp::Delete(prefix(1))]);
    assert_eq!(exporter.stats(), ExportStats::default());
}

#[test]
fn a_single_next_hop_has_no_weight_and_special_types_no_hops() {
    let weighted = Candidate {
        nexthops: vec![Nexthop {
            weight: 9,
            ..hop(1)
        }],
        ..route(1)
    };
    let exported = ExportRoute::of(prefix(1), &weighted).unwrap();
    assert_eq!(exported.nexthops, [hop(1)]);
    let blackhole = Candidate {
        kind: RouteType::Blackhole,
        ..route(1)
    };
    assert_eq!(ExportRoute::of(prefix(1), &blackhole).unwrap().nexthops, []);
}

#[test]
fn stats_count_desired_installed_and_refused() {
    let mut exporter = installed_one();
    exporter.set_desired(prefix(2), Some(&route(1)));
    let ops = exporter.take_additions(T0, 10);
    exporter.complete(T0, &ops[0], Err(Refusal::Occupied));
    assert_eq!(
        exporter.stats(),
        ExportStats {
            desired: 2,
            installed: 1,
            refused: 1
        }
    );
}

/// A kernel with notifications that come late, but in order.
#[derive(Default)]
struct Kernel {
    ours: BTreeMap<Ipv4Net, ExportRoute>,
    occupied: Vec<Ipv4Net>,
    notifications: VecDeque<(Ipv4Net, Option<ExportRoute>)>,
}

impl Kernel {
    fn set(&mut self, prefix: Ipv4Net, route: Option<ExportRoute>) {
        match route.clone() {
            Some(route) => drop(self.ours.insert(prefix, route)),
            None => drop(self.ours.remove(&prefix)),
        }
        self.notifications.push_back((prefix, route));
    }

    fn execute(&mut self, op: &ExportOp) -> Result<(), Refusal> {
        let there = self.ours.contains_key(&op.prefix());
        match op {
            ExportOp::Add(_) if there || self.occupied.contains(&op.prefix()) => {
                return Err(Refusal::Occupied);
            }
            ExportOp::Delete(_) if !there => return Err(Refusal::Absent),
            ExportOp::Replace(_) if !there && self.occupied.contains(&op.prefix()) => {
                panic!("replaced a route that is not ours");
            }
            ExportOp::Add(route) | ExportOp::Replace(route) => {
                self.set(route.prefix, Some(ExportRoute::clone(route)));
            }
            ExportOp::Delete(prefix) => self.set(*prefix, None),
        }
        Ok(())
    }

    fn notify(&mut self, exporter: &mut Exporter, now: Instant, count: usize) {
        for _ in 0..count {
            let Some((prefix, route)) = self.notifications.pop_front() else {
                return;
            };
            match route {
                Some(route) => exporter.ours_seen(now, &kernel_route(&route)),
                None => exporter.ours_gone(now, prefix),
            }
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Desire(u8, Option<u8>),
    ByHand(u8, Option<u8>),
    Work(usize),
    Notify(usize),
    Tick,
}

fn step() -> impl Strategy<Value = Step> {
    let change = || (0..4u8, prop::option::of(1..4u8));
    prop_oneof![
        4 => change().prop_map(|(n, gateway)| Step::Desire(n, gateway)),
        1 => change().prop_map(|(n, gateway)| Step::ByHand(n, gateway)),
        3 => (1..3usize).prop_map(Step::Work),
        3 => (1..4usize).prop_map(Step::Notify),
        1 => Just(Step::Tick),
    ]
}

fn work(exporter: &mut Exporter, kernel: &mut Kernel, now: Instant, max: usize) {
    let mut ops = exporter.take_additions(now, max);
    ops.extend(exporter.take_removals(now, max));
    for op in ops {
        let result = kernel.execute(&op);
        exporter.complete(now, &op, result);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    /// However changes, results, late notifications and others' hands are
    /// interleaved: once all is quiet, the kernel holds what is desired.
    #[test]
    fn the_kernel_ends_up_as_desired(steps in prop::collection::vec(step(), 0..60)) {
        let mut exporter = running();
        let mut kernel = Kernel::default();
        let mut desired = BTreeMap::new();
        let mut now = T0;
        for step in steps {
            match step {
                Step::Desire(n, gateway) => {
                    let route = gateway.map(route);
                    exporter.set_desired(prefix(n), route.as_ref());
                    desired.insert(prefix(n), route.and_then(|route| ExportRoute::of(prefix(n), &route)));
                }
                Step::ByHand(n, gateway) => {
                    let route = gateway.and_then(|gateway| ExportRoute::of(prefix(n), &route(gateway)));
                    kernel.set(prefix(n), route);
                }
                Step::Work(max) => work(&mut exporter, &mut kernel, now, max),
                Step::Notify(count) => kernel.notify(&mut exporter, now, count),
                Step::Tick => {
                    now = now + Duration::from_secs(1);
                    exporter.tick(now);
                }
            }
        }
        for _ in 0..10 {
            kernel.notify(&mut exporter, now, usize::MAX);
            now = now + RETRY;
            exporter.tick(now);
            work(&mut exporter, &mut kernel, now, usize::MAX);
        }
        kernel.notify(&mut exporter, now, usize::MAX);
        let wanted: BTreeMap<_, _> =
            desired.into_iter().filter_map(|(prefix, route)| Some((prefix, route?))).collect();
        prop_assert_eq!(&kernel.ours, &wanted);
        for prefix in wanted.keys() {
            prop_assert_eq!(exporter.installed(*prefix), Installed::Yes);
        }
        prop_assert!(exporter.is_settled());
    }
}
