use std::collections::BTreeMap;

use forwarder_core::net::Ifindex;

use super::super::testing::{DEADLINE, ifindex, in_namespace, run, skip, try_run, veth_pair};
use super::*;

/// A running watcher and what it said last.
struct World {
    events: mpsc::Receiver<Vec<DataplaneEvent>>,
    now: Option<Constraints>,
    _cancel: tokio_util::sync::DropGuard,
}

impl World {
    /// Starts a watcher and waits for its first answer.
    async fn start() -> World {
        let (output, events) = mpsc::channel(8);
        let watcher = ConstraintWatcher::open(output).unwrap();
        let cancel = CancellationToken::new();
        tokio::spawn(watcher.run(cancel.clone()));
        let mut world = World {
            events,
            now: None,
            _cancel: cancel.drop_guard(),
        };
        world.next().await;
        world
    }

    async fn next(&mut self) -> Constraints {
        let batch = tokio::time::timeout(DEADLINE, self.events.recv()).await;
        let batch = batch
            .expect("constraints in time")
            .expect("a running watcher");
        let [DataplaneEvent::Constraints(constraints)] = batch.as_slice() else {
            panic!("one event: {batch:?}");
        };
        assert_ne!(
            self.now.as_ref(),
            Some(constraints),
            "only changes are told"
        );
        self.now = Some(constraints.clone());
        constraints.clone()
    }

    async fn until(&mut self, condition: impl Fn(&Constraints) -> bool) -> Constraints {
        loop {
            let now = self.next().await;
            if condition(&now) {
                return now;
            }
        }
    }
}

/// Runs a command that needs what this kernel or machine may lack; reports the
/// test as skipped where it does.
fn available(command: &str) -> bool {
    let Some(output) = try_run(command) else {
        skip(&format!(
            "`{command}`: no such program; run `cargo xtask setup`"
        ));
        return false;
    };
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr);
        skip(&format!("`{command}` does not work here: {}", why.trim()));
    }
    output.status.success()
}

#[test]
fn a_fresh_namespace_has_no_constraints_and_that_is_told() {
    in_namespace(|| async {
        veth_pair();
        let world = World::start().await;
        assert_eq!(world.now, Some(Constraints::default()));
    });
}

#[test]
fn nftables_rules_on_the_forwarding_path_come_and_go() {
    in_namespace(|| async {
        let mut world = World::start().await;
        run("nft add table inet fw");
        run("nft add chain inet fw forward { type filter hook forward priority 0 ; }");
        run("nft add chain inet fw input { type filter hook input priority 0 ; policy drop ; }");
        run("nft add rule inet fw forward ip daddr 203.0.113.1 drop");
        let now = world.until(|now| now.netfilter.is_some()).await;
        let text = "nftables inet fw forward (hook forward, 1 rule)";
        assert_eq!(now.netfilter.as_deref(), Some(text));
        run("nft flush chain inet fw forward");
        assert_eq!(
            world.until(|now| now.netfilter.is_none()).await,
            Constraints::default()
        );
    });
}

#[test]
fn a_drop_policy_counts_without_a_rule() {
    in_namespace(|| async {
        run("nft add table ip fw");
        run("nft add chain ip fw pre { type filter hook prerouting priority 0 ; policy drop ; }");
        let text = "nftables ip fw pre (hook prerouting, policy drop)";
        assert_eq!(read().await.netfilter.as_deref(), Some(text));
    });
}

#[test]
fn ingress_and_egress_chains_of_devices_count() {
    in_namespace(|| async {
        veth_pair();
        run("nft add table netdev t");
        run("nft add chain netdev t i { type filter hook ingress device v0 priority 0 ; }");
        run("nft add rule netdev t i counter");
        let text = "nftables netdev t i (hook ingress, 1 rule)";
        assert_eq!(read().await.netfilter.as_deref(), Some(text));
    });
}

#[test]
fn chains_off_the_path_and_sleeping_tables_do_not_count() {
    in_namespace(|| async {
        run("nft add table ip fw");
        run("nft add chain ip fw input { type filter hook input priority 0 ; policy drop ; }");
        run("nft add chain ip fw unhooked");
        run("nft add rule ip fw unhooked drop");
        run("nft add table ip6 six");
        run("nft add chain ip6 six f { type filter hook forward priority 0 ; policy drop ; }");
        assert_eq!(read().await.netfilter, None);
        run("nft add chain ip fw f { type filter hook forward priority 0 ; policy drop ; }");
        assert!(read().await.netfilter.is_some());
        run("nft add table ip fw { flags dormant ; }");
        assert_eq!(read().await.netfilter, None);
    });
}

#[test]
fn many_chains_are_counted_not_listed() {
    in_namespace(|| async {
        run("nft add table ip fw");
        for n in 0..5 {
            let hook = "{ type filter hook forward priority 0 ; policy drop ; }";
            run(&format!("nft add chain ip fw f{n} {hook}"));
        }
        let text = read().await.netfilter.unwrap();
        assert!(text.ends_with("and 2 more"), "{text}");
    });
}

#[test]
fn iptables_legacy_rules_and_policies_are_found() {
    in_namespace(|| async {
        if !available("iptables-legacy -t filter -L") {
            return;
        }
        assert_eq!(read().await.netfilter, None, "a table alone does nothing");
        run("iptables-legacy -A INPUT -j ACCEPT");
        assert_eq!(read().await.netfilter, None, "not on the path");
        run("iptables-legacy -A FORWARD -d 203.0.113.1 -j DROP");
        assert_eq!(
            read().await.netfilter.as_deref(),
            Some("iptables table filter (forward)")
        );
        run("iptables-legacy -F FORWARD");
        assert_eq!(read().await.netfilter, None);
        run("iptables-legacy -P FORWARD DROP");
        assert!(read().await.netfilter.is_some());
        run("iptables-legacy -P FORWARD ACCEPT");
        run("iptables-legacy -t nat -A POSTROUTING -j MASQUERADE");
        assert_eq!(
            read().await.netfilter.as_deref(),
            Some("iptables table nat (postrouting)")
        );
    });
}

#[test]
fn policy_rules_beyond_the_default_ones_come_and_go() {
    in_namespace(|| async {
        let mut world = World::start().await;
        run("ip rule add from 10.0.0.0/8 table 100 priority 100");
        let now = world.until(|now| now.rules.is_some()).await;
        assert_eq!(now.rules.as_deref(), Some("ip rule 100"));
        run("ip rule del priority 100");
        world.until(|now| now.rules.is_none()).await;
        run("ip rule del priority 32766");
        let now = world.until(|now| now.rules.is_some()).await;
        assert_eq!(now.rules.as_deref(), Some("default ip rule 32766 missing"));
        run("ip rule add table main priority 32766");
        world.until(|now| now.rules.is_none()).await;
    });
}

#[test]
fn ipsec_policies_come_and_go() {
    in_namespace(|| async {
        let mut world = World::start().await;
        if !available("ip xfrm policy add src 10.0.0.0/8 dst 11.0.0.0/8 dir fwd") {
            return;
        }
        let now = world.until(|now| now.xfrm.is_some()).await;
        assert_eq!(now.xfrm.as_deref(), Some("1 IPsec policy"));
        run("ip xfrm policy flush");
        world.until(|now| now.xfrm.is_none()).await;
        run("ip xfrm policy add src 10.0.0.0/8 dst 11.0.0.0/8 dir in");
        assert_eq!(
            read().await.xfrm,
            None,
            "inbound policies don't concern forwarding"
        );
    });
}

fn on(ifindex: Ifindex, text: &str) -> BTreeMap<Ifindex, String> {
    BTreeMap::from([(ifindex, text.to_owned())])
}

#[test]
fn shapers_come_and_go() {
    in_namespace(|| async {
        veth_pair();
        let mut world = World::start().await;
        if !available("tc qdisc add dev v0 root tbf rate 1mbit burst 1540 limit 10000") {
            return;
        }
        let v0 = ifindex("v0");
        let now = world.until(|now| !now.tc.is_empty()).await;
        assert_eq!(now.tc, on(v0, "qdisc tbf"));
        run("tc qdisc replace dev v0 root pfifo");
        world.until(|now| now.tc.is_empty()).await;
    });
}

#[test]
fn egress_filters_come_and_go_and_clsact_alone_is_nothing() {
    in_namespace(|| async {
        veth_pair();
        if !available("tc qdisc add dev v0 clsact") {
            return;
        }
        let mut world = World::start().await;
        assert_eq!(world.now, Some(Constraints::default()));
        run("tc filter add dev v0 ingress protocol ip u32 match u32 0 0 flowid 1:1");
        if !available("tc filter add dev v0 egress protocol ip u32 match u32 0 0 flowid 1:1") {
            return;
        }
        let now = world.until(|now| !now.tc.is_empty()).await;
        assert_eq!(now.tc, on(ifindex("v0"), "clsact egress filter"));
        run("tc filter del dev v0 egress");
        world.until(|now| now.tc.is_empty()).await;
    });
}

#[test]
fn a_change_is_reported_at_once() {
    in_namespace(|| async {
        let mut world = World::start().await;
        tokio::time::sleep(PAUSE * 2).await;
        run("ip rule add from 10.0.0.0/8 table 100 priority 100");
        let start = Instant::now();
        world.until(|now| now.rules.is_some()).await;
        assert!(
            start.elapsed() < Duration::from_millis(500),
            "{:?}",
            start.elapsed()
        );
    });
}

#[test]
fn texts_name_three_and_count_the_rest() {
    let named = |count: usize| join((0..count).map(|n| n.to_string()).collect());
    assert_eq!(named(0), None);
    assert_eq!(named(2).as_deref(), Some("0, 1"));
    assert_eq!(named(5).as_deref(), Some("0, 1, 2 and 2 more"));
}
