//! Which redirects are followed, and what is made of them.

use std::time::Duration;

use super::*;
use crate::net::Ipv6;
use crate::rib::Redirect;
use crate::route_msg::Errno;
use crate::route_msg::number::{RTF_DYNAMIC, RTF_MODIFIED};

const HOST: &str = "203.0.113.9/32";
const ROUTER: &str = "192.0.2.254";
const NEARER: &str = "192.0.2.9";
const LAST: Distance = Distance(254);

fn redirect(destination: &str, gateway: &str, author: &str) -> Redirect<Ipv4> {
    Redirect {
        destination: ip(destination),
        gateway: Some(ip(gateway)),
        author: ip(author),
        ifindex: ETH1,
    }
}

fn to_nearer() -> Redirect<Ipv4> {
    redirect("203.0.113.9", NEARER, ROUTER)
}

/// [`rib`] with a default route, and 192.0.2.1 as an address of ours.
fn behind_a_router() -> Rib<Ipv4> {
    let mut rib = rib();
    put(&mut rib, "0.0.0.0/0", stat(vec![via(ROUTER)]));
    let own = of_kind(RouteType::Local, Source::Kernel(2));
    rib.update(Instant::ZERO, TableId::LOCAL, net("192.0.2.1/32"), own);
    rib.commit();
    rib
}

fn follow(rib: &mut Rib<Ipv4>, redirect: &Redirect<Ipv4>) -> Result<(), Errno> {
    rib.redirect(Instant::ZERO, LAST, redirect, true)
}

fn flags(route: &Route<Ipv4>) -> u32 {
    route.attributes.as_ref().unwrap().flags
}

#[test]
fn a_host_route_is_made_of_what_the_default_routes_router_says() {
    let mut rib = behind_a_router();
    assert_eq!(follow(&mut rib, &to_nearer()), Ok(()));
    let route = selected(&mut rib, HOST).unwrap();
    assert_eq!(route.source, Source::Redirect);
    assert_eq!(route.nexthops[0].gateway, Some(ip(NEARER)));
    assert_eq!(flags(&route), RTF_DYNAMIC);
}

#[test]
fn without_any_route_the_first_word_is_followed() {
    let mut rib = rib();
    assert_eq!(follow(&mut rib, &to_nearer()), Ok(()));
    assert_eq!(winner(&mut rib, HOST), Some(Source::Redirect));
}

#[test]
fn the_router_in_use_may_send_on_and_no_other() {
    let mut rib = behind_a_router();
    follow(&mut rib, &to_nearer()).unwrap();
    rib.commit();
    let on = redirect("203.0.113.9", "192.0.2.10", NEARER);
    // The default route's router is not the host route's any more.
    let former = redirect("203.0.113.9", "192.0.2.10", ROUTER);
    assert_eq!(follow(&mut rib, &former), Err(Errno::Einval));
    assert_eq!(follow(&mut rib, &on), Ok(()));
    let route = selected(&mut rib, HOST).unwrap();
    assert_eq!(route.nexthops[0].gateway, Some(ip("192.0.2.10")));
    assert_eq!(flags(&route), RTF_DYNAMIC | RTF_MODIFIED);
}

#[test]
fn the_right_router_on_another_interface_is_refused() {
    let mut rib = behind_a_router();
    let elsewhere = Redirect {
        gateway: Some(ip("198.51.100.9")),
        ifindex: ETH2,
        ..to_nearer()
    };
    assert_eq!(follow(&mut rib, &elsewhere), Err(Errno::Einval));
}

#[test]
fn what_is_refused_changes_nothing() {
    for (destination, gateway, author, errno) in [
        ("203.0.113.9", "198.18.0.1", ROUTER, Errno::Enetunreach),
        ("203.0.113.9", "198.51.100.9", ROUTER, Errno::Enetunreach),
        ("203.0.113.9", "192.0.2.1", ROUTER, Errno::Ehostunreach),
        ("192.0.2.77", NEARER, ROUTER, Errno::Ehostunreach),
        ("203.0.113.9", NEARER, "192.0.2.66", Errno::Einval),
    ] {
        let mut rib = behind_a_router();
        let refused = redirect(destination, gateway, author);
        assert_eq!(follow(&mut rib, &refused), Err(errno), "{refused:?}");
        assert!(rib.commit().is_none(), "{refused:?}");
    }
}

#[test]
fn a_right_one_is_not_followed_by_a_router() {
    let mut rib = behind_a_router();
    let judged = rib.redirect(Instant::ZERO, LAST, &to_nearer(), false);
    assert_eq!(judged, Err(Errno::Eperm));
    assert_eq!(winner(&mut rib, HOST), None);
}

#[test]
fn every_other_source_goes_before_it() {
    let mut rib = behind_a_router();
    follow(&mut rib, &to_nearer()).unwrap();
    put(&mut rib, HOST, rip(15, via_dev(ROUTER, ETH1)));
    assert_eq!(winner(&mut rib, HOST), Some(Source::Rip));
    rib.withdraw(MAIN, net(HOST), Slot::Rip);
    assert_eq!(winner(&mut rib, HOST), Some(Source::Redirect));
}

#[test]
fn route4_a_redirect_is_followed_for_a_while() {
    let mut rib = behind_a_router();
    let at = |seconds| Instant::from_secs(1000) + Duration::from_secs(seconds);
    let follow = |rib: &mut Rib<Ipv4>, redirect: &Redirect<Ipv4>, seconds| {
        rib.redirect(at(seconds), LAST, redirect, true).unwrap();
        rib.commit();
    };
    let expire = |rib: &mut Rib<Ipv4>, seconds| {
        rib.expire(at(seconds), 0);
        winner(rib, HOST)
    };
    assert_eq!(rib.next_expiry().1, None);
    follow(&mut rib, &to_nearer(), 0);
    assert_eq!(rib.next_expiry().1, Some(at(600)));
    assert_eq!(expire(&mut rib, 599), Some(Source::Redirect));
    // The host route's router says the same again of itself: it lasts on.
    follow(&mut rib, &redirect("203.0.113.9", NEARER, NEARER), 599);
    assert_eq!(expire(&mut rib, 600), Some(Source::Redirect));
    assert_eq!(rib.next_expiry().1, Some(at(1199)));
    assert_eq!(expire(&mut rib, 1199), None);
    assert_eq!(rib.next_expiry().1, None);
    // After it the default route's router has a say again.
    follow(&mut rib, &to_nearer(), 1200);
    rib.give_up_redirect(net(HOST));
    assert_eq!(rib.next_expiry().1, None);
}

#[test]
fn redirects_are_followed_for_so_many_hosts() {
    let mut rib = behind_a_router();
    let to = |n: u32| Redirect {
        destination: Ipv4Addr::from(0x0a00_0000 + n),
        ..to_nearer()
    };
    for n in 0..4096 {
        follow(&mut rib, &to(n)).unwrap();
    }
    assert_eq!(follow(&mut rib, &to(4096)), Err(Errno::Enobufs));
    assert_eq!(follow(&mut rib, &to(7)), Ok(()), "one of them, again");
    rib.expire(Instant::from_secs(600), 0);
    assert_eq!(follow(&mut rib, &to(4096)), Ok(()));
}

/// RFC 4861 §8.3.
#[test]
fn an_ipv6_host_may_turn_out_to_be_on_the_link() {
    let mut rib = Rib::<Ipv6>::new(
        7,
        RibConfig {
            export_metric: None,
        },
    );
    rib.set_link(ETH1, true, true);
    let on_link = Redirect {
        destination: "2001:db8:f::9".parse().unwrap(),
        gateway: None,
        author: "fe80::1".parse().unwrap(),
        ifindex: ETH1,
    };
    assert_eq!(rib.redirect(Instant::ZERO, LAST, &on_link, true), Ok(()));
    rib.commit();
    let route = rib.entry(MAIN, on_link.prefix()).unwrap().selected.unwrap();
    assert_eq!(route.nexthops[0].gateway, None);
    assert_eq!(route.nexthops[0].ifindex, Some(ETH1));
}
