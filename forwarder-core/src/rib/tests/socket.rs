//! Clients of the routing socket.

mod holds;

use std::time::Duration;

use super::*;
use crate::rib::socket::{ClientId, Op, Outcome, Request, Settings, Way, tell_change};
use crate::rib::{Since, socket, socket::stored};
use crate::route_msg::number::*;
use crate::route_msg::{Errno, RouteMessage};

const ONE: Distance = Distance(1);
const NET: &str = "203.0.113.0/24";

fn request(prefix: &str, op: Op<Ipv4>) -> Request<Ipv4> {
    Request {
        client: ClientId(1),
        pid: 100,
        seq: 7,
        prefix: net(prefix),
        priority: None,
        op,
    }
}

fn gateway(gateway: &str) -> Settings<Ipv4> {
    Settings {
        way: Some(Way::Gateway(ip(gateway))),
        flags: RTF_GATEWAY | RTF_STATIC,
        ..Settings::default()
    }
}

fn ask(rib: &mut Rib<Ipv4>, request: &Request<Ipv4>) -> Result<Outcome<Ipv4>, Errno> {
    rib.request(Instant::ZERO, ONE, request)
}

fn add(rib: &mut Rib<Ipv4>, prefix: &str, via: &str) -> Result<Outcome<Ipv4>, Errno> {
    ask(rib, &request(prefix, Op::Add(gateway(via))))
}

fn delete(rib: &mut Rib<Ipv4>, prefix: &str) -> Result<Outcome<Ipv4>, Errno> {
    ask(rib, &request(prefix, Op::Delete(None)))
}

fn get(rib: &mut Rib<Ipv4>, prefix: &str) -> Result<Outcome<Ipv4>, Errno> {
    ask(rib, &request(prefix, Op::Get(None)))
}

/// What listeners have been told since a generation.
fn told(rib: &Rib<Ipv4>, since: u64) -> Vec<RouteMessage> {
    let cursor = crate::rib::Generation {
        epoch: 7,
        number: since,
    };
    let mut told = Vec::new();
    if let Since::Deltas(batches) = rib.journal().since(cursor) {
        for change in batches.iter().flat_map(|batch| &batch.changes) {
            tell_change(change, |message| told.push(message));
        }
    }
    told
}

#[test]
fn an_addition_wins_is_told_and_is_a_generation() {
    let mut rib = rib();
    let before = rib.generation().number;
    let done = add(&mut rib, NET, "192.0.2.9").unwrap();
    assert!(done.up && done.changed);
    assert_eq!(done.generation.number, before + 1);
    assert_eq!(done.route.nexthops, [via_dev("192.0.2.9", ETH1)]);
    let [told] = &told(&rib, before)[..] else {
        panic!("one message");
    };
    assert_eq!((told.kind, told.pid, told.seq), (RTM_ADD, 100, 7));
    assert_eq!(told.flags, RTF_UP | RTF_DONE | RTF_GATEWAY | RTF_STATIC);
}

#[test]
fn eexist_is_only_against_another_of_that_priority_and_connected_routes() {
    let mut rib = rib();
    put(&mut rib, NET, rip(3, via_dev("192.0.2.7", ETH1)));
    rib.commit();
    assert!(add(&mut rib, NET, "192.0.2.9").unwrap().up, "over RIP's");
    assert_eq!(add(&mut rib, NET, "192.0.2.8"), Err(Errno::Eexist));
    assert_eq!(
        add(&mut rib, "192.0.2.0/24", "198.51.100.9"),
        Err(Errno::Eexist)
    );
    let other = Request {
        priority: Some(20),
        ..request(NET, Op::Add(gateway("192.0.2.8")))
    };
    let done = ask(&mut rib, &other).unwrap();
    assert!(!done.up && !done.changed, "beside the first, and behind it");
}

#[test]
fn what_only_others_know_is_busy_and_what_nobody_knows_is_not_there() {
    let mut rib = rib();
    put(&mut rib, NET, rip(3, via_dev("192.0.2.7", ETH1)));
    rib.commit();
    assert_eq!(delete(&mut rib, NET), Err(Errno::Ebusy));
    let change = request(NET, Op::Change(gateway("192.0.2.9")));
    assert_eq!(ask(&mut rib, &change), Err(Errno::Ebusy));
    assert_eq!(delete(&mut rib, "198.18.0.0/15"), Err(Errno::Esrch));
    assert_eq!(winner(&mut rib, NET), Some(Source::Rip));
}

#[test]
fn the_next_best_takes_the_place_of_one_that_is_deleted() {
    let mut rib = rib();
    put(&mut rib, NET, rip(3, via_dev("192.0.2.7", ETH1)));
    rib.commit();
    add(&mut rib, NET, "192.0.2.9").unwrap();
    let before = rib.generation().number;
    let done = delete(&mut rib, NET).unwrap();
    assert!(!done.up && done.changed);
    assert_eq!(done.route.nexthops, [via_dev("192.0.2.9", ETH1)]);
    let told = told(&rib, before);
    let said: Vec<_> = told
        .iter()
        .map(|m| (m.kind, m.pid, m.flags & RTF_UP))
        .collect();
    assert_eq!(said, [(RTM_DELETE, 100, 0), (RTM_ADD, 0, RTF_UP)]);
}

#[test]
fn a_gateway_must_be_on_a_link() {
    let mut rib = rib();
    assert_eq!(add(&mut rib, NET, "10.9.9.9"), Err(Errno::Enetunreach));
    add(&mut rib, "10.9.0.0/16", "192.0.2.9").unwrap();
    let behind = add(&mut rib, NET, "10.9.9.9");
    assert_eq!(
        behind,
        Err(Errno::Enetunreach),
        "only through another gateway"
    );
    assert_eq!(get(&mut rib, NET), Err(Errno::Esrch));
}

#[test]
fn one_that_waits_for_its_link_is_there_and_not_up() {
    let mut rib = rib();
    add(&mut rib, NET, "192.0.2.9").unwrap();
    rib.set_link(ETH1, false, false);
    rib.commit();
    let got = get(&mut rib, NET).unwrap();
    assert!(!got.up);
    assert_eq!(add(&mut rib, NET, "192.0.2.9"), Err(Errno::Eexist));
}

#[test]
fn a_full_table_stays_as_it_is() {
    let mut rib = rib();
    rib.limit_client_routes(1);
    add(&mut rib, NET, "192.0.2.9").unwrap();
    assert_eq!(
        add(&mut rib, "198.18.0.0/15", "192.0.2.9"),
        Err(Errno::Enobufs)
    );
    delete(&mut rib, NET).unwrap();
    add(&mut rib, "198.18.0.0/15", "192.0.2.9").unwrap();
}

#[test]
fn a_change_sets_what_it_names() {
    let mut rib = rib();
    add(&mut rib, NET, "192.0.2.9").unwrap();
    let mut settings = Settings {
        inits: RTV_MTU,
        flags: RTF_STATIC,
        ..Settings::default()
    };
    settings.metrics.mtu = 1400;
    settings.metrics.locks = RTV_MTU | RTV_RTT;
    let done = ask(&mut rib, &request(NET, Op::Change(settings))).unwrap();
    let attributes = done.route.attributes.clone().unwrap();
    assert_eq!(done.route.mtu, Some(1400));
    assert_eq!(
        attributes.metrics.locks, RTV_MTU,
        "what is not named is not locked"
    );
    assert_eq!(done.route.nexthops, [via_dev("192.0.2.9", ETH1)]);
    let done = ask(&mut rib, &request(NET, Op::Change(gateway("198.51.100.9")))).unwrap();
    assert_eq!(done.route.nexthops, [via_dev("198.51.100.9", ETH2)]);
    assert_eq!(done.route.mtu, Some(1400));
}

#[test]
fn a_route_expires_by_the_wall_clock() {
    let mut rib = rib();
    let mut settings = gateway("192.0.2.9");
    settings.inits = RTV_EXPIRE;
    settings.metrics.expire = 1000;
    ask(&mut rib, &request(NET, Op::Add(settings))).unwrap();
    assert_eq!(rib.next_expiry().0, Some(1000));
    rib.expire(Instant::ZERO, 999);
    rib.commit();
    assert!(get(&mut rib, NET).is_ok());
    let before = rib.generation().number;
    rib.expire(Instant::ZERO, 1000);
    rib.commit();
    assert_eq!(get(&mut rib, NET), Err(Errno::Esrch));
    let told = told(&rib, before);
    assert_eq!((told[0].kind, told[0].pid), (RTM_DELETE, 0));
}

/// route(4): marked down, out of the table, and kept until it is let go.
#[test]
fn a_registered_clients_routes_are_swept_unless_it_adds_them_again() {
    let mut rib = rib();
    let stale = Duration::from_secs(30);
    rib.register(ClientId(1), "daemon", stale);
    for prefix in [NET, "198.18.0.0/15"] {
        add(&mut rib, prefix, "192.0.2.9").unwrap();
    }
    rib.client_gone(Instant::from_secs(10), ClientId(1));
    assert_eq!(rib.next_expiry().1, Some(Instant::from_secs(40)));
    rib.register(ClientId(2), "daemon", stale);
    let again = Request {
        client: ClientId(2),
        ..request(NET, Op::Add(gateway("192.0.2.9")))
    };
    assert!(ask(&mut rib, &again).is_ok(), "its own, of before");
    assert_eq!(ask(&mut rib, &again), Err(Errno::Eexist), "once");
    rib.expire(Instant::from_secs(40), 0);
    rib.commit();
    assert!(get(&mut rib, NET).is_ok());
    assert_eq!(get(&mut rib, "198.18.0.0/15"), Err(Errno::Esrch));
}

#[test]
fn a_batch_is_one_generation_or_nothing() {
    let mut rib = rib();
    add(&mut rib, "198.18.0.0/15", "192.0.2.9").unwrap();
    let before = rib.snapshot();
    let batch = [
        request(NET, Op::Add(gateway("192.0.2.9"))),
        request("198.18.0.0/15", Op::Delete(None)),
        request(NET, Op::Change(gateway("198.51.100.9"))),
        request("10.0.0.0/8", Op::Delete(None)),
    ];
    let refused = rib.batch(Instant::ZERO, ONE, &batch).unwrap_err();
    assert_eq!((refused.index, refused.errno), (3, Errno::Esrch));
    assert_eq!(rib.snapshot(), before);
    let done = rib.batch(Instant::ZERO, ONE, &batch[..3]).unwrap();
    assert_eq!(done.len(), 3);
    assert_eq!(rib.generation().number, before.generation.number + 1);
    assert_eq!(get(&mut rib, "198.18.0.0/15"), Err(Errno::Esrch));
}

/// What is stored, replayed into an empty table, is the table.
#[test]
fn what_is_stored_is_what_there_is() {
    let mut first = rib();
    add(&mut first, NET, "192.0.2.9").unwrap();
    add(&mut first, "198.18.0.0/15", "192.0.2.9").unwrap();
    delete(&mut first, NET).unwrap();
    let mut settings = gateway("198.51.100.9");
    settings.flags |= RTF_MPATH;
    ask(&mut first, &request("198.18.0.0/15", Op::Add(settings))).unwrap();
    let mut second = rib();
    for (key, candidate) in first.take_stored() {
        let mut bytes = Vec::new();
        stored::encode::<Ipv4>(&key, candidate.as_deref(), &mut bytes);
        let (key, read) = stored::decode::<Ipv4>(&bytes).unwrap();
        assert_eq!(read.as_ref(), candidate.as_deref());
        second.restore(Instant::ZERO, key, read, Duration::ZERO);
    }
    second.commit();
    assert_eq!(second.snapshot().routes, first.snapshot().routes);
    let _: socket::ClientRoutes = second.count_client_routes().0;
}

mod property {
    //! Random requests of several clients beside other sources, against a list.

    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    const PREFIXES: [&str; 4] = [
        "203.0.113.0/24",
        "203.0.113.0/25",
        "198.18.0.0/15",
        "192.0.2.0/24",
    ];
    const GATEWAYS: [&str; 4] = ["192.0.2.9", "192.0.2.8", "198.51.100.9", "10.9.9.9"];

    #[derive(Clone, Debug)]
    enum Step {
        Add(usize, u8, usize),
        Delete(usize, Option<u8>),
        Change(usize, Option<u8>, usize),
        Rip(usize, bool),
    }

    fn step() -> impl Strategy<Value = Step> {
        let prefix = 0..PREFIXES.len();
        let via = 0..GATEWAYS.len();
        let some = prop::option::of(1_u8..4);
        prop_oneof![
            4 => (prefix.clone(), 1_u8..4, via.clone()).prop_map(|(p, d, g)| Step::Add(p, d, g)),
            2 => (prefix.clone(), some.clone()).prop_map(|(p, d)| Step::Delete(p, d)),
            2 => (prefix.clone(), some, via).prop_map(|(p, d, g)| Step::Change(p, d, g)),
            1 => (0..PREFIXES.len() - 1, any::<bool>()).prop_map(|(p, on)| Step::Rip(p, on)),
        ]
    }

    /// Prefix → priority → gateway; and RIP's.
    #[derive(Default)]
    struct Naive {
        clients: BTreeMap<usize, BTreeMap<u8, usize>>,
        rip: BTreeMap<usize, ()>,
    }

    impl Naive {
        fn own(&self, prefix: usize, priority: Option<u8>) -> Result<u8, Errno> {
            let mine = self.clients.get(&prefix).into_iter().flatten();
            let mut mine = mine.filter(|(p, _)| priority.is_none_or(|wanted| wanted == **p));
            match mine.next() {
                Some((priority, _)) => Ok(*priority),
                None if prefix == 3 || self.rip.contains_key(&prefix) => Err(Errno::Ebusy),
                None => Err(Errno::Esrch),
            }
        }

        fn step(&mut self, step: &Step) -> Result<(), Errno> {
            const FAR: usize = 3;
            match *step {
                Step::Add(prefix, priority, gateway) => {
                    let known = self.clients.get(&prefix).and_then(|all| all.get(&priority));
                    if prefix == 3 || known.is_some() {
                        return Err(Errno::Eexist);
                    }
                    if gateway == FAR {
                        return Err(Errno::Enetunreach);
                    }
                    let all = self.clients.entry(prefix).or_default();
                    all.insert(priority, gateway);
                }
                Step::Delete(prefix, priority) => {
                    let priority = self.own(prefix, priority)?;
                    self.clients.entry(prefix).or_default().remove(&priority);
                    self.clients.retain(|_, all| !all.is_empty());
                }
                Step::Change(prefix, priority, gateway) => {
                    let priority = self.own(prefix, priority)?;
                    if gateway == FAR {
                        return Err(Errno::Enetunreach);
                    }
                    let all = self.clients.entry(prefix).or_default();
                    all.insert(priority, gateway);
                }
                Step::Rip(prefix, true) => drop(self.rip.insert(prefix, ())),
                Step::Rip(prefix, false) => drop(self.rip.remove(&prefix)),
            }
            Ok(())
        }

        fn taken(&self, prefix: usize) -> Option<&'static str> {
            let best = self
                .clients
                .get(&prefix)
                .and_then(BTreeMap::first_key_value);
            match best {
                Some((_, gateway)) => Some(GATEWAYS[*gateway]),
                None => self.rip.get(&prefix).map(|()| "192.0.2.7"),
            }
        }
    }

    fn perform(rib: &mut Rib<Ipv4>, step: &Step) -> Result<(), Errno> {
        let with = |prefix: usize, priority, op| Request {
            priority,
            ..request(PREFIXES[prefix], op)
        };
        let request = match *step {
            Step::Add(prefix, priority, via) => {
                with(prefix, Some(priority), Op::Add(gateway(GATEWAYS[via])))
            }
            Step::Delete(prefix, priority) => with(prefix, priority, Op::Delete(None)),
            Step::Change(prefix, priority, via) => {
                with(prefix, priority, Op::Change(gateway(GATEWAYS[via])))
            }
            Step::Rip(prefix, on) => {
                if on {
                    put(rib, PREFIXES[prefix], rip(3, via_dev("192.0.2.7", ETH1)));
                } else {
                    rib.withdraw(MAIN, net(PREFIXES[prefix]), Slot::Rip);
                }
                rib.commit();
                return Ok(());
            }
        };
        ask(rib, &request).map(drop)
    }

    proptest! {
        #[test]
        fn of_random_requests(steps in prop::collection::vec(step(), 1..60)) {
            let mut rib = rib();
            let mut naive = Naive::default();
            // What a listener makes of what it is told.
            let mut mirror: BTreeMap<String, String> = BTreeMap::new();
            let mut cursor = rib.generation().number;
            for step in &steps {
                prop_assert_eq!(perform(&mut rib, step), naive.step(step), "{:?}", step);
                for message in told(&rib, cursor) {
                    let prefix = message.destination.unwrap().to_string();
                    match message.gateway {
                        Some(crate::route_msg::Gateway::Ip(via)) if message.flags & RTF_UP != 0 => {
                            mirror.insert(prefix, via.to_string());
                        }
                        _ => drop(mirror.remove(&prefix)),
                    }
                }
                cursor = rib.generation().number;
                for (index, prefix) in PREFIXES.iter().enumerate().take(3) {
                    let wanted = naive.taken(index);
                    let got = get(&mut rib, prefix).ok().filter(|got| got.up);
                    let got = got.and_then(|got| got.route.nexthops[0].gateway);
                    let got = got.map(|via| via.to_string());
                    prop_assert_eq!(got.as_deref(), wanted);
                    prop_assert_eq!(mirror.get(*prefix).map(String::as_str), wanted);
                }
            }
        }

        /// A batch that fails leaves no trace; one that does not is the same as
        /// its requests one by one.
        #[test]
        fn of_random_batches(
            before in prop::collection::vec(step(), 0..20),
            batch in prop::collection::vec(step(), 1..20),
        ) {
            let mut one = rib();
            let mut other = rib();
            for step in &before {
                let _ = perform(&mut one, step);
                let _ = perform(&mut other, step);
            }
            let requests: Vec<_> = batch.iter().filter_map(|step| match *step {
                Step::Add(prefix, priority, via) => Some(Request {
                    priority: Some(priority),
                    ..request(PREFIXES[prefix], Op::Add(gateway(GATEWAYS[via])))
                }),
                Step::Delete(prefix, priority) => Some(Request {
                    priority,
                    ..request(PREFIXES[prefix], Op::Delete(None))
                }),
                Step::Change(prefix, priority, via) => Some(Request {
                    priority,
                    ..request(PREFIXES[prefix], Op::Change(gateway(GATEWAYS[via])))
                }),
                Step::Rip(..) => None,
            }).collect();
            let snapshot = one.snapshot();
            let counts = one.count_client_routes();
            match one.batch(Instant::ZERO, ONE, &requests) {
                Err(refused) => {
                    prop_assert_eq!(one.snapshot(), snapshot);
                    prop_assert_eq!(one.count_client_routes(), counts);
                    for request in &requests[..refused.index] {
                        prop_assert!(ask(&mut other, request).is_ok());
                    }
                    let errno = ask(&mut other, &requests[refused.index]).unwrap_err();
                    prop_assert_eq!(errno, refused.errno);
                }
                Ok(_) => {
                    for request in &requests {
                        prop_assert!(ask(&mut other, request).is_ok());
                    }
                    prop_assert_eq!(one.snapshot().routes, other.snapshot().routes);
                }
            }
        }
    }
}
