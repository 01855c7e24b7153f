//! What the egress port decides.

use super::*;

#[test]
fn port_that_cannot_transmit_hands_up() {
    let mut bench = connected();
    bench.main("198.51.100.0/24", &via("10.0.0.1", ETH1));
    for state in [
        None,
        Some(PortState {
            can_transmit: false,
            ..port(ETH1)
        }),
    ] {
        bench.port(ETH1, state);
        for address in ["198.51.100.1", "10.0.0.1", "10.0.0.2"] {
            assert_eq!(
                bench.decide(address),
                up(Reason::EgressCannotRedirect),
                "{address}"
            );
        }
    }
    assert_eq!(bench.fib.gateways_to_resolve().count(), 0);
    bench.port(ETH1, Some(port(ETH1)));
    assert_eq!(bench.forwards("198.51.100.1"), Some((MAC_A, ETH1, 1500)));
}

#[test]
fn port_with_egress_tc_hands_up() {
    let mut bench = connected();
    bench.port(
        ETH1,
        Some(PortState {
            tc: true,
            ..port(ETH1)
        }),
    );
    assert_eq!(bench.decide("10.0.0.1"), up(Reason::Tc));
    assert_eq!(bench.decide("10.0.0.2"), up(Reason::Tc));
}

#[test]
fn mtu_is_the_lesser_of_port_and_route() {
    let mut bench = connected();
    for (mtu, effective) in [
        (None, 1500),
        (Some(0), 1500),
        (Some(1400), 1400),
        (Some(9000), 1500),
    ] {
        bench.main(
            "198.51.100.0/24",
            &Route {
                mtu,
                ..via("10.0.0.1", ETH1)
            },
        );
        assert_eq!(
            bench.forwards("198.51.100.1"),
            Some((MAC_A, ETH1, effective))
        );
    }
}

/// Frames leave by the port below with the sub-interface's tags; who is asked
/// for is its own number.
#[test]
fn a_sub_interface_sends_by_the_port_below_it() {
    let mut bench = connected();
    let tags = Tags::two((20, true), (30, false));
    let sub = PortState {
        number: 40,
        tx: 2,
        tags,
        ..port(ETH1)
    };
    bench.port(ETH1, Some(sub));
    let Some(Decision::Forward { adjacency, .. }) = bench.decide("10.0.0.1") else {
        panic!("not forwarded");
    };
    assert_eq!((adjacency.port, adjacency.tags), (2, tags.0));
    assert_eq!(adjacency.ifindex, ETH1.0);
    assert_eq!(
        bench.decide("10.0.0.77"),
        Some(Decision::Resolve { port: 40 })
    );
}
