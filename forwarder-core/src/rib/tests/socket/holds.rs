//! References to routes.

use super::*;

#[test]
fn route4_case_75_a_route_that_is_held_outlives_its_deletion() {
    let mut rib = rib();
    add(&mut rib, NET, "192.0.2.9").unwrap();
    let hold = ask(&mut rib, &request(NET, Op::Hold(ip("203.0.113.5")))).unwrap();
    let number = hold.hold.unwrap();
    assert_eq!((hold.up, hold.uses), (true, 1));
    delete(&mut rib, NET).unwrap();
    assert_eq!(get(&mut rib, NET), Err(Errno::Esrch));
    assert!(!ask(&mut rib, &request(NET, Op::Held(number))).unwrap().up);
    assert_eq!(rib.count_client_routes().0.trash, 1);
    add(&mut rib, NET, "198.51.100.9").unwrap();
    let held = ask(&mut rib, &request(NET, Op::Held(number))).unwrap();
    assert!(!held.up, "another route of that prefix is another route");
    ask(&mut rib, &request(NET, Op::Release(number))).unwrap();
    assert_eq!(rib.count_client_routes().0.trash, 0);
    let gone = ask(&mut rib, &request(NET, Op::Held(number)));
    assert_eq!(gone, Err(Errno::Esrch));
}

/// The next best is another route, though it leads to the same prefix.
#[test]
fn route4_case_75_a_hold_does_not_follow_the_selection() {
    let mut rib = rib();
    let behind = Request {
        priority: Some(20),
        ..request(NET, Op::Add(gateway("192.0.2.8")))
    };
    ask(&mut rib, &behind).unwrap();
    put(&mut rib, NET, rip(3, via_dev("192.0.2.7", ETH1)));
    add(&mut rib, NET, "192.0.2.9").unwrap();
    let hold = |rib: &mut Rib<Ipv4>| {
        let held = ask(rib, &request(NET, Op::Hold(ip("203.0.113.5")))).unwrap();
        held.hold.unwrap()
    };
    let state = |rib: &mut Rib<Ipv4>, number| {
        let held = ask(rib, &request(NET, Op::Held(number))).unwrap();
        let gateway = held.route.nexthops[0].gateway;
        (held.up, held.uses, gateway.unwrap().to_string())
    };
    let first = hold(&mut rib);
    let changed = Op::Change(gateway("192.0.2.6"));
    ask(&mut rib, &request(NET, changed)).unwrap();
    assert_eq!(state(&mut rib, first), (true, 1, "192.0.2.6".into()));

    delete(&mut rib, NET).unwrap();
    assert_eq!(state(&mut rib, first), (false, 0, "192.0.2.6".into()));
    assert_eq!(rib.count_client_routes().0.trash, 1);
    let second = hold(&mut rib);
    assert_eq!(state(&mut rib, second), (true, 1, "192.0.2.8".into()));

    // A better one takes the place of what is held, and leaves it again.
    add(&mut rib, NET, "192.0.2.9").unwrap();
    assert_eq!(state(&mut rib, second), (false, 0, "192.0.2.8".into()));
    delete(&mut rib, NET).unwrap();
    assert_eq!(state(&mut rib, second), (false, 0, "192.0.2.8".into()));

    // Nor does it follow to another source.
    let third = hold(&mut rib);
    let best = Request {
        priority: Some(20),
        ..request(NET, Op::Delete(None))
    };
    ask(&mut rib, &best).unwrap();
    assert_eq!(winner(&mut rib, NET), Some(Source::Rip));
    assert_eq!(state(&mut rib, third), (false, 0, "192.0.2.8".into()));
}
