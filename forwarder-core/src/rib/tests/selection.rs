//! Which candidate wins, and why the others do not.

use super::*;

const TO: &str = "203.0.113.0/24";

#[test]
fn the_lower_distance_wins() {
    let mut rib = rib();
    put(&mut rib, TO, rip(1, via_dev("192.0.2.9", ETH1)));
    put(&mut rib, TO, stat(vec![via("198.51.100.9")]));
    assert_eq!(winner(&mut rib, TO), Some(Source::Static));
    assert_eq!(reason(&rib, TO, Slot::Static), "selected");
    assert_eq!(reason(&rib, TO, Slot::Rip), "higher-distance");
}

#[test]
fn a_floating_static_waits_behind_rip_and_takes_over() {
    let mut rib = rib();
    let floating = Candidate {
        distance: Distance(200),
        ..stat(vec![via("198.51.100.9")])
    };
    put(&mut rib, TO, floating);
    put(&mut rib, TO, rip(3, via_dev("192.0.2.9", ETH1)));
    assert_eq!(winner(&mut rib, TO), Some(Source::Rip));
    rib.withdraw(MAIN, net(TO), Slot::Rip);
    assert_eq!(winner(&mut rib, TO), Some(Source::Static));
}

#[test]
fn the_metric_decides_between_equal_distances() {
    let mut rib = rib();
    put(
        &mut rib,
        TO,
        kernel(189, 120, 100, via_dev("192.0.2.9", ETH1)),
    );
    put(&mut rib, TO, rip(3, via_dev("198.51.100.9", ETH2)));
    assert_eq!(winner(&mut rib, TO), Some(Source::Rip));
    assert_eq!(reason(&rib, TO, Slot::Kernel), "higher-metric");
}

#[test]
fn slots_decide_between_equals() {
    let mut rib = rib();
    put(&mut rib, TO, kernel(4, 1, 20, via_dev("192.0.2.9", ETH1)));
    let equal = Candidate {
        metric: 20,
        ..stat(vec![via("198.51.100.9")])
    };
    put(&mut rib, TO, equal);
    assert_eq!(winner(&mut rib, TO), Some(Source::Kernel(4)));
    assert_eq!(reason(&rib, TO, Slot::Static), "later-source");
}

#[test]
fn a_foreign_route_at_or_below_our_export_metric_shadows_ours() {
    for (metric, shadows) in [(0, true), (15, true), (16, false)] {
        let mut rib = rib();
        put(
            &mut rib,
            TO,
            kernel(12, 150, metric, via_dev("192.0.2.9", ETH1)),
        );
        put(&mut rib, TO, rip(1, via_dev("198.51.100.9", ETH2)));
        let expected = if shadows {
            Source::Kernel(12)
        } else {
            Source::Rip
        };
        assert_eq!(winner(&mut rib, TO), Some(expected), "metric {metric}");
        let why = if shadows { "shadowed" } else { "selected" };
        assert_eq!(reason(&rib, TO, Slot::Rip), why);
    }
}

#[test]
fn nothing_is_shadowed_without_export() {
    let mut rib = rib();
    put(&mut rib, TO, kernel(12, 150, 0, via_dev("192.0.2.9", ETH1)));
    put(&mut rib, TO, rip(1, via_dev("198.51.100.9", ETH2)));
    assert_eq!(winner(&mut rib, TO), Some(Source::Kernel(12)));
    rib.set_config(RibConfig {
        export_metric: None,
    });
    assert_eq!(winner(&mut rib, TO), Some(Source::Rip));
    assert_eq!(reason(&rib, TO, Slot::Kernel), "higher-distance");
}

#[test]
fn an_unusable_candidate_never_wins_and_never_shadows() {
    let mut rib = rib();
    let no_interface = Nexthop {
        gateway: Some(ip("192.0.2.9")),
        ifindex: None,
        ..via("1.1.1.1")
    };
    put(&mut rib, TO, kernel(3, 1, 0, no_interface));
    put(&mut rib, TO, rip(1, via_dev("198.51.100.9", ETH2)));
    assert_eq!(winner(&mut rib, TO), Some(Source::Rip));
    assert_eq!(reason(&rib, TO, Slot::Kernel), "unresolved");
}

#[test]
fn types_without_next_hops_are_always_eligible() {
    for kind in [
        RouteType::Blackhole,
        RouteType::Unreachable,
        RouteType::Prohibit,
    ] {
        let mut rib = Rib::<Ipv4>::new(1, RibConfig::default());
        put(&mut rib, TO, of_kind(kind, Source::Static));
        assert_eq!(selected(&mut rib, TO).unwrap().kind, kind);
    }
}

#[test]
fn table_local_holds_the_kernels_own_addresses() {
    let mut rib = rib();
    let own = of_kind(RouteType::Local, Source::Connected);
    rib.update(Instant::ZERO, TableId::LOCAL, net("192.0.2.1/32"), own);
    rib.commit();
    let (prefix, route) = rib.lookup(TableId::LOCAL, ip("192.0.2.1")).unwrap();
    assert_eq!(
        (prefix, route.kind),
        (net("192.0.2.1/32"), RouteType::Local)
    );
}

#[test]
fn lookup_takes_the_longest_selected_prefix() {
    let mut rib = rib();
    put(&mut rib, "0.0.0.0/0", stat(vec![via("192.0.2.9")]));
    put(&mut rib, TO, stat(vec![via("10.9.9.9")]));
    rib.commit();
    let (prefix, _) = rib.lookup(MAIN, ip("203.0.113.5")).unwrap();
    assert_eq!(
        prefix,
        net("0.0.0.0/0"),
        "the longer one waits for its gateway"
    );
    assert_eq!(
        rib.lookup(MAIN, ip("192.0.2.77")).unwrap().0,
        net("192.0.2.0/24")
    );
    assert!(rib.lookup(TableId(100), ip("192.0.2.77")).is_none());
}

#[test]
fn an_identical_offer_keeps_its_age_and_another_does_not() {
    let mut rib = rib();
    let age = |rib: &Rib<Ipv4>| rib.entry(MAIN, net(TO)).unwrap().offers[0].changed;
    let at = Instant::from_secs;
    rib.update(at(10), MAIN, net(TO), rip(2, via_dev("192.0.2.9", ETH1)));
    rib.update(at(40), MAIN, net(TO), rip(2, via_dev("192.0.2.9", ETH1)));
    assert_eq!(age(&rib), at(10));
    rib.update(at(70), MAIN, net(TO), rip(3, via_dev("192.0.2.9", ETH1)));
    assert_eq!(age(&rib), at(70));
}

#[test]
fn entries_show_every_candidate() {
    let mut rib = rib();
    put(&mut rib, TO, rip(1, via_dev("192.0.2.9", ETH1)));
    put(&mut rib, TO, stat(vec![via("10.9.9.9"), via("192.0.2.9")]));
    rib.commit();
    let entry = rib.entries().find(|entry| entry.prefix == net(TO)).unwrap();
    assert_eq!(entry.offers.len(), 2);
    let hops: Vec<_> = entry.offers[0]
        .nexthops
        .iter()
        .map(|(_, answer)| *answer)
        .collect();
    assert_eq!(hops, [Err(crate::rib::Unusable::Unresolved), Ok(ETH1)]);
    assert_eq!(rib.entries().count(), 3);
}
