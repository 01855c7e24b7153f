use std::net::IpAddr;

use crate::api::lookup::compare;
use crate::api::model::{KernelAnswer, Way, XdpAnswer};

fn kernel(kind: &str, via: Option<u8>, dev: Option<&str>) -> KernelAnswer {
    KernelAnswer {
        kind: kind.into(),
        via: via.map(router),
        dev: dev.map(Into::into),
    }
}

fn xdp(verdict: &str, via: Option<u8>, dev: Option<&str>) -> XdpAnswer {
    XdpAnswer {
        verdict: verdict.into(),
        reason: "no-route".into(),
        prefix: None,
        via: via.map(router),
        dev: dev.map(Into::into),
        ways: Vec::new(),
    }
}

fn way(via: u8, dev: &str, verdict: &str) -> Way {
    Way {
        via: Some(router(via)),
        dev: Some(dev.into()),
        verdict: verdict.into(),
    }
}

fn router(last: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, last])
}

#[track_caller]
fn check(kernel: KernelAnswer, xdp: XdpAnswer, agree: bool) {
    let lookup = compare(IpAddr::from([10, 0, 0, 1]), None, kernel, xdp);
    assert_eq!(lookup.agree, agree, "{lookup:?}");
    assert_eq!(lookup.difference.is_none(), agree);
}

#[test]
fn handing_up_agrees_with_everything() {
    check(
        kernel("unicast", Some(1), Some("eth1")),
        xdp("up", None, None),
        true,
    );
    check(kernel("none", None, None), xdp("up", None, None), true);
    check(
        kernel("local", None, Some("lo")),
        xdp("up", None, None),
        true,
    );
}

#[test]
fn forwarding_agrees_with_the_same_way_only() {
    let forward = || xdp("forward", Some(1), Some("eth1"));
    check(kernel("unicast", Some(1), Some("eth1")), forward(), true);
    check(kernel("unicast", Some(2), Some("eth1")), forward(), false);
    check(kernel("unicast", Some(1), Some("eth2")), forward(), false);
    check(kernel("unicast", None, Some("eth1")), forward(), false);
    check(kernel("none", None, None), forward(), false);
    check(kernel("local", None, Some("lo")), forward(), false);
}

/// The kernel names no router for a host on the link, the fast path the host.
#[test]
fn a_host_on_the_link_is_its_own_next_hop() {
    let forward = xdp("forward", Some(7), Some("eth1"));
    let link = kernel("unicast", None, Some("eth1"));
    assert!(compare(router(7), None, link.clone(), forward.clone()).agree);
    assert!(!compare(router(8), None, link, forward).agree);
}

#[test]
fn a_drop_agrees_with_types_that_drop() {
    for kind in ["blackhole", "unreachable", "prohibit"] {
        check(kernel(kind, None, None), xdp("drop", None, None), true);
    }
    check(
        kernel("unicast", Some(1), Some("eth1")),
        xdp("drop", None, None),
        false,
    );
}

/// The kernel's answer is one of several ways, by a hash of its own.
#[test]
fn several_ways_agree_with_any_of_them() {
    let several = |ways: &[Way]| XdpAnswer {
        ways: ways.to_vec(),
        ..xdp("forward", None, None)
    };
    let kernel = || kernel("unicast", Some(1), Some("eth1"));
    let (same, other) = (way(1, "eth1", "forward"), way(2, "eth2", "forward"));
    check(kernel(), several(&[other.clone(), same]), true);
    check(kernel(), several(&[other.clone(), other.clone()]), false);
    // Flows of a member that goes up are routed by the kernel itself.
    check(kernel(), several(&[other, way(3, "eth3", "up")]), true);
}

#[test]
fn the_difference_is_said_in_words() {
    let lookup = compare(
        IpAddr::from([10, 0, 0, 1]),
        None,
        kernel("none", None, None),
        xdp("forward", Some(1), Some("eth1")),
    );
    assert_eq!(
        lookup.difference.unwrap(),
        "the fast path would forward via 192.0.2.1 dev eth1, the kernel: no route"
    );
}
