//! A few routers on links that lose nothing: how long things take.

use proptest::prelude::*;

use super::*;

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
