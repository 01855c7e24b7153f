//! The writer against a real table.

mod reconciled;

use std::net::Ipv4Addr;
use std::sync::Arc;

use forwarder_core::net::Ifindex;
use forwarder_core::route::RouteType;
use ipnet::Ipv4Net;

use super::super::testing::{ifindex, in_namespace, run, veth_pair};
use super::*;

type ExportOp = forwarder_core::kernel::export::ExportOp<Ipv4>;
type ExportRoute = forwarder_core::kernel::export::ExportRoute<Ipv4>;

const OURS: Identity = Identity {
    protocol: 210,
    metric: 15,
};

fn prefix(text: &str) -> Ipv4Net {
    text.parse().unwrap()
}

fn unicast(destination: &str, gateways: &[u8], ifindex: Ifindex) -> ExportRoute {
    let hop = |n: &u8| Nexthop::via(Ipv4Addr::new(192, 0, 2, *n), ifindex);
    ExportRoute {
        prefix: prefix(destination),
        kind: RouteType::Unicast,
        nexthops: gateways.iter().map(hop).collect(),
        mtu: None,
    }
}

fn add(route: ExportRoute) -> ExportOp {
    ExportOp::Add(Arc::new(route))
}

fn replace(route: ExportRoute) -> ExportOp {
    ExportOp::Replace(Arc::new(route))
}

/// A namespace with `v0` at 192.0.2.1/24, and a writer.
fn with_writer<F: Future<Output = ()>>(
    test: impl FnOnce(KernelWriter, Ifindex) -> F + Send + 'static,
) {
    in_namespace(|| async {
        veth_pair();
        test(KernelWriter::open(OURS).unwrap(), ifindex("v0")).await;
    });
}

/// What `ip route` shows of a prefix, protocols, scopes and types as numbers
/// (blackhole 6, unreachable 7, prohibit 8).
fn shown(prefix: &str) -> String {
    run(&format!("ip -d -N route show exact {prefix}"))
        .trim()
        .replace("  ", " ")
}

#[test]
fn routes_are_added_replaced_and_deleted() {
    with_writer(|mut writer, v0| async move {
        let ok: Vec<Result<(), Refusal>> = vec![Ok(())];
        assert_eq!(
            writer.apply(&[add(unicast("10.1.0.0/16", &[9], v0))]).await,
            ok
        );
        let line = shown("10.1.0.0/16");
        assert!(
            line.contains("via 192.0.2.9 dev v0 proto 210 scope 0 metric 15"),
            "{line}"
        );
        assert_eq!(
            writer
                .apply(&[replace(unicast("10.1.0.0/16", &[8], v0))])
                .await,
            ok
        );
        assert!(shown("10.1.0.0/16").contains("via 192.0.2.8"));
        assert_eq!(shown("10.1.0.0/16").lines().count(), 1);
        assert_eq!(
            writer
                .apply(&[ExportOp::Delete(prefix("10.1.0.0/16"))])
                .await,
            ok
        );
        assert_eq!(shown("10.1.0.0/16"), "");
    });
}

#[test]
fn every_kind_of_route_arrives_as_meant() {
    with_writer(|mut writer, v0| async move {
        let special = |kind, destination: &str| ExportRoute {
            kind,
            nexthops: Vec::new(),
            ..unicast(destination, &[], v0)
        };
        let mut weighted = unicast("10.5.0.0/16", &[8, 9], v0);
        weighted.nexthops[1].weight = 3;
        let mut off_net = unicast("10.6.0.0/16", &[], v0);
        let far = Nexthop::via(Ipv4Addr::new(203, 0, 113, 1), v0);
        off_net.nexthops = vec![Nexthop {
            onlink: true,
            ..far
        }];
        let mut link = unicast("10.8.0.0/16", &[], v0);
        link.nexthops = vec![Nexthop::link(v0)];
        let routes = [
            special(RouteType::Blackhole, "10.2.0.0/16"),
            special(RouteType::Unreachable, "10.3.0.0/16"),
            special(RouteType::Prohibit, "10.4.0.0/16"),
            weighted,
            off_net,
            ExportRoute {
                mtu: Some(1400),
                ..unicast("10.7.0.0/16", &[9], v0)
            },
            link,
            unicast("0.0.0.0/0", &[9], v0),
        ];
        let results = writer.apply(&routes.map(add)).await;
        assert!(results.iter().all(Result::is_ok), "{results:?}");
        for (destination, expected) in [
            ("10.2.0.0/16", "6 10.2"),
            ("10.3.0.0/16", "7 10.3"),
            ("10.4.0.0/16", "8 10.4"),
            ("10.5.0.0/16", "nexthop via 192.0.2.9 dev v0 weight 3"),
            (
                "10.6.0.0/16",
                "via 203.0.113.1 dev v0 proto 210 scope 0 metric 15 onlink",
            ),
            ("10.7.0.0/16", "mtu 1400"),
            ("10.8.0.0/16", "dev v0 proto 210 scope 253"),
            ("0.0.0.0/0", "default via 192.0.2.9"),
        ] {
            assert!(
                shown(destination).contains(expected),
                "{}",
                shown(destination)
            );
        }
    });
}

#[test]
fn others_routes_are_neither_changed_nor_deleted() {
    with_writer(|mut writer, v0| async move {
        run("ip route add 10.1.0.0/16 via 192.0.2.7 metric 15 proto static");
        run("ip route add 10.2.0.0/16 via 192.0.2.7 metric 16 proto 210");
        run("ip route add 10.3.0.0/16 via 192.0.2.7 metric 0 proto static");
        let results = writer
            .apply(&[
                add(unicast("10.1.0.0/16", &[9], v0)),
                ExportOp::Delete(prefix("10.1.0.0/16")),
                ExportOp::Delete(prefix("10.2.0.0/16")),
                add(unicast("10.3.0.0/16", &[9], v0)),
                ExportOp::Delete(prefix("10.3.0.0/16")),
            ])
            .await;
        let absent = Err(Refusal::Absent);
        let expected = [
            Err(Refusal::Occupied),
            absent.clone(),
            absent,
            Ok(()),
            Ok(()),
        ];
        assert_eq!(results, expected);
        for n in 1..=3 {
            assert!(shown(&format!("10.{n}.0.0/16")).contains("via 192.0.2.7"));
        }
    });
}

#[test]
fn refusals_carry_the_kernels_own_words() {
    with_writer(|mut writer, v0| async move {
        let far = ExportRoute {
            nexthops: vec![Nexthop::via(Ipv4Addr::new(203, 0, 113, 1), v0)],
            ..unicast("10.1.0.0/16", &[], v0)
        };
        let results = writer
            .apply(&[add(far), add(unicast("10.2.0.0/16", &[9], v0))])
            .await;
        let [Err(Refusal::Invalid(Errno::Enetunreach, words)), Ok(())] = results.as_slice() else {
            panic!("{results:?}");
        };
        assert!(words.contains("Nexthop has invalid gateway"), "{words}");
        run("ip link set v0 down");
        let results = writer.apply(&[add(unicast("10.3.0.0/16", &[9], v0))]).await;
        assert!(
            matches!(
                results.as_slice(),
                [Err(Refusal::Invalid(Errno::Enetunreach, _))]
            ),
            "{results:?}"
        );
    });
}

fn numbered(n: u32, gateway: u8, v0: Ifindex) -> ExportRoute {
    let network = Ipv4Addr::from(0x0a00_0000 + (n << 8));
    unicast(&format!("{network}/24"), &[gateway], v0)
}

#[test]
fn each_result_belongs_to_its_operation_in_every_chunk() {
    with_writer(|mut writer, v0| async move {
        let odd: Vec<_> = (0..2000).filter(|n| n % 2 == 1).collect();
        let ops: Vec<_> = odd.iter().map(|n| add(numbered(*n, 9, v0))).collect();
        assert!(writer.apply(&ops).await.iter().all(Result::is_ok));
        let ops: Vec<_> = (0..2000).map(|n| add(numbered(n, 8, v0))).collect();
        let results = writer.apply(&ops).await;
        for (n, result) in (0u32..).zip(results) {
            let expected = if odd.contains(&n) {
                Err(Refusal::Occupied)
            } else {
                Ok(())
            };
            assert_eq!(result, expected, "route {n}");
        }
    });
}

#[test]
fn ten_thousand_routes_take_a_fraction_of_a_second() {
    with_writer(|mut writer, v0| async move {
        let adds: Vec<_> = (0..10_000).map(|n| add(numbered(n, 9, v0))).collect();
        let deletes: Vec<_> = adds
            .iter()
            .map(|op| ExportOp::Delete(op.prefix()))
            .collect();
        for (what, ops) in [("adding", &adds), ("deleting", &deletes)] {
            let start = std::time::Instant::now();
            let results = writer.apply(ops).await;
            let took = start.elapsed();
            eprintln!("{what} 10,000 routes took {took:?}");
            assert!(results.iter().all(Result::is_ok));
            assert!(took < Duration::from_secs(1), "{what}: {took:?}");
        }
    });
}

#[test]
fn cleaning_up_removes_ours_and_nothing_else() {
    with_writer(|mut writer, v0| async move {
        let ops: Vec<_> = (0..600).map(|n| add(numbered(n, 9, v0))).collect();
        writer.apply(&ops).await;
        run("ip route add 172.16.0.0/16 via 192.0.2.7 metric 15 proto static");
        run("ip route add 172.17.0.0/16 via 192.0.2.7 metric 16 proto 210");
        assert_eq!(writer.remove_all().await.unwrap(), 600);
        assert_eq!(run("ip route show").lines().count(), 3);
        assert_eq!(writer.remove_all().await.unwrap(), 0);
    });
}
