//! Each kind of change, by iproute2's hand.

use std::net::Ipv4Addr;

use forwarder_core::kernel::event::{KernelNexthops, KernelRoute, NeighbourState, NexthopObject};
use forwarder_core::route::RouteType;

use super::super::super::testing::{DEADLINE, ifindex, in_namespace, run, unwatched, veth_pair};
use super::super::*;
use super::World;

#[test]
fn what_is_there_at_start_is_told_between_dump_start_and_end() {
    in_namespace(|| async {
        veth_pair();
        run("ip route add 10.1.0.0/16 via 192.0.2.9 metric 7 mtu 1400 proto static");
        run("ip neigh add 192.0.2.9 lladdr 02:00:00:00:00:09 dev v0 nud permanent");
        let world = World::plain().await;
        let route = world.model.find("10.1.0.0/16").unwrap();
        assert_eq!(
            (route.metric, route.protocol, route.mtu),
            (7, 4, Some(1400))
        );
        let connected = world.model.find("192.0.2.0/24").unwrap();
        assert_eq!(
            connected.preferred_source,
            Some(Ipv4Addr::new(192, 0, 2, 1))
        );
        let local = |route: &&KernelRoute<Ipv4>| route.kind == RouteType::Local;
        let local: Vec<_> = world
            .model
            .routes
            .values()
            .flatten()
            .filter(local)
            .collect();
        assert!(
            local
                .iter()
                .any(|route| route.prefix == "192.0.2.1/32".parse().unwrap())
        );
        let neighbour = world.model.neighbours[&(ifindex("v0"), Ipv4Addr::new(192, 0, 2, 9))];
        assert_eq!(neighbour.state, NeighbourState::Usable([2, 0, 0, 0, 0, 9]));
    });
}

#[test]
fn interfaces_are_published_whole() {
    in_namespace(|| async {
        veth_pair();
        run("ip addr add 10.9.9.1 peer 10.9.9.2/32 dev v0");
        run("ip link add b0 type bridge");
        run("ip link set v1 master b0");
        std::fs::write("/proc/sys/net/ipv4/conf/all/send_redirects", "0").unwrap();
        std::fs::write("/proc/sys/net/ipv4/conf/v0/send_redirects", "0").unwrap();
        std::fs::write("/proc/sys/net/ipv4/conf/v0/forwarding", "1").unwrap();
        let mut world = World::plain().await;
        let v0 = world.interface("v0").unwrap();
        assert!(v0.is_running() && v0.ethernet && !v0.loopback && v0.forwarding4);
        assert_eq!(
            (v0.kind.as_str(), v0.mtu, v0.send_redirects),
            ("veth", 1500, false)
        );
        assert_eq!(v0.link, Some(ifindex("v1")));
        let peer = v0
            .addresses
            .iter()
            .find(|address| address.peer.is_some())
            .unwrap();
        assert_eq!(peer.local, "10.9.9.1/32".parse().unwrap());
        assert_eq!(world.interface("v1").unwrap().master, Some(ifindex("b0")));
        assert!(world.interface("lo").unwrap().loopback);
        run("ip link set v1 nomaster");
        world
            .until("leaving the bridge", |world| {
                world.interface("v1").is_some_and(|v1| v1.master.is_none())
            })
            .await;
    });
}

#[test]
fn link_address_and_sysctl_changes_are_followed() {
    in_namespace(|| async {
        veth_pair();
        let mut world = World::plain().await;
        run("ip link set v0 mtu 1400");
        run("ip addr add 198.51.100.1/24 dev v0");
        run("ip addr del 192.0.2.1/24 dev v0");
        world
            .until("MTU and addresses", |world| {
                let v0 = world.interface("v0").unwrap();
                let locals: Vec<_> = v0.addresses.iter().map(|a| a.local.to_string()).collect();
                v0.mtu == 1400
                    && locals
                        .iter()
                        .filter(|a| !a.contains(':'))
                        .eq(["198.51.100.1/24"])
            })
            .await;
        std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap();
        let on = |world: &mut World| world.interface("v0").is_some_and(|v0| v0.forwarding4);
        world.until("forwarding on", on).await;
        run("ip link set v0 down");
        run("ip link set v0 name w0");
        world
            .until("the new name", |world| {
                world.interface("w0").is_some_and(|w0| !w0.up)
            })
            .await;
        run("ip link del w0");
        world
            .until("its end", |world| world.interface("w0").is_none())
            .await;
    });
}

#[test]
fn routes_added_replaced_and_deleted_are_followed() {
    in_namespace(|| async {
        veth_pair();
        let mut world = World::plain().await;
        run("ip route add 10.1.0.0/16 via 192.0.2.9");
        run("ip route add blackhole 10.2.0.0/16");
        run("ip route append 10.1.0.0/16 via 192.0.2.7");
        world.agrees_with_ip_route().await;
        run("ip route replace 10.1.0.0/16 via 192.0.2.8");
        world.agrees_with_ip_route().await;
        run("ip route del 10.2.0.0/16");
        run("ip route add 10.3.0.0/16 nexthop via 192.0.2.5 weight 3 nexthop via 192.0.2.6");
        world.agrees_with_ip_route().await;
        let route = world.model.find("10.3.0.0/16").unwrap().nexthops.clone();
        let KernelNexthops::Inline(hops) = route else {
            panic!("inline next hops")
        };
        assert_eq!(
            hops.iter().map(|hop| hop.weight).collect::<Vec<_>>(),
            [3, 1]
        );
        assert_eq!(world.model.route_dumps, 1, "by notifications alone");
    });
}

#[test]
fn routes_the_kernel_drops_silently_when_a_link_goes_down_are_found_out() {
    in_namespace(|| async {
        veth_pair();
        run("ip route add 10.1.0.0/16 via 192.0.2.9");
        let mut world = World::plain().await;
        run("ip link set v0 down");
        world.agrees_with_ip_route().await;
        assert_eq!(world.model.find("10.1.0.0/16"), None);
        assert!(!world.model.links[&ifindex("v0")].0);
        run("ip link set v0 up");
        world.agrees_with_ip_route().await;
        assert!(world.model.find("192.0.2.0/24").is_some());
    });
}

#[test]
fn carrier_loss_is_told_and_keeps_the_routes() {
    in_namespace(|| async {
        veth_pair();
        run("ip route add 10.1.0.0/16 via 192.0.2.9");
        let mut world = World::plain().await;
        run("ip link set v1 down");
        let v0 = ifindex("v0");
        world
            .until("carrier loss", |world| {
                world.model.links.get(&v0) == Some(&(true, false))
            })
            .await;
        assert!(!world.interface("v0").unwrap().carrier);
        world.agrees_with_ip_route().await;
        assert!(world.model.find("10.1.0.0/16").is_some());
    });
}

#[test]
fn routes_with_a_preferred_source_that_goes_are_found_out() {
    in_namespace(|| async {
        veth_pair();
        run("ip addr add 198.51.100.1/32 dev v0");
        run("ip route add 10.1.0.0/16 via 192.0.2.9 src 198.51.100.1");
        let mut world = World::plain().await;
        run("ip addr del 198.51.100.1/32 dev v0");
        world.agrees_with_ip_route().await;
        assert_eq!(world.model.find("10.1.0.0/16"), None);
    });
}

#[test]
fn a_link_that_goes_takes_its_routes_with_it() {
    in_namespace(|| async {
        veth_pair();
        run("ip route add 10.1.0.0/16 via 192.0.2.9");
        let mut world = World::plain().await;
        let v0 = ifindex("v0");
        run("ip link del v0");
        world
            .until("its end", |world| !world.model.links.contains_key(&v0))
            .await;
        world.agrees_with_ip_route().await;
    });
}

#[test]
fn next_hop_objects_are_followed_and_take_their_routes_with_them() {
    in_namespace(|| async {
        veth_pair();
        run("ip nexthop add id 1 via 192.0.2.9 dev v0");
        run("ip nexthop add id 2 via 192.0.2.8 dev v0");
        run("ip nexthop add id 3 group 1,5/2");
        run("ip nexthop add id 4 blackhole");
        run("ip route add 10.1.0.0/16 nhid 1");
        let mut world = World::plain().await;
        let v0 = ifindex("v0");
        let via = |n| NexthopObject::Single {
            gateway: Some(Ipv4Addr::new(192, 0, 2, n).into()),
            ifindex: v0,
            onlink: false,
        };
        assert_eq!(world.model.nexthops[&1], via(9));
        assert_eq!(
            world.model.nexthops[&3],
            NexthopObject::Group(vec![(1, 5), (2, 1)])
        );
        assert_eq!(world.model.nexthops[&4], NexthopObject::Blackhole);
        let route = world.model.find("10.1.0.0/16").unwrap();
        assert_eq!(route.nexthops, KernelNexthops::Object(1));
        run("ip nexthop replace id 1 via 192.0.2.7 dev v0");
        world
            .until("the change", |world| {
                world.model.nexthops.get(&1) == Some(&via(7))
            })
            .await;
        run("ip nexthop del id 1");
        world
            .until("its end", |world| !world.model.nexthops.contains_key(&1))
            .await;
        assert_eq!(world.model.find("10.1.0.0/16"), None);
        assert_eq!(world.model.nexthops[&3], NexthopObject::Group(vec![(2, 1)]));
        run("ip link set v0 down");
        world
            .until("the others' end", |world| {
                !world.model.nexthops.contains_key(&2)
            })
            .await;
    });
}

#[test]
fn neighbours_are_followed() {
    in_namespace(|| async {
        veth_pair();
        let mut world = World::plain().await;
        let key = (ifindex("v0"), Ipv4Addr::new(192, 0, 2, 9));
        let state = |world: &World| world.model.neighbours.get(&key).map(|entry| entry.state);
        for (command, expected) in [
            (
                "add 192.0.2.9 lladdr 02:00:00:00:00:01 dev v0 nud reachable",
                Some(NeighbourState::Usable([2, 0, 0, 0, 0, 1])),
            ),
            (
                "change 192.0.2.9 lladdr 02:00:00:00:00:02 dev v0 nud permanent",
                Some(NeighbourState::Usable([2, 0, 0, 0, 0, 2])),
            ),
            (
                "change 192.0.2.9 dev v0 nud failed",
                Some(NeighbourState::Failed),
            ),
            ("del 192.0.2.9 dev v0", None),
        ] {
            run(&format!("ip neigh {command}"));
            world.until(command, |world| state(world) == expected).await;
        }
    });
}

/// The kernel tells of an IPv6 address after its prefix's route: who reads in
/// between knows the route and not whose it is.
#[test]
fn an_ipv6_address_is_known_when_its_prefix_is_told_of() {
    in_namespace(|| async {
        veth_pair();
        let (routes6, mut routes) = mpsc::channel(CHANNEL_DEPTH);
        let (interfaces_out, interfaces) = watch::channel(Arc::default());
        let outputs = MonitorOutputs {
            routes4: unwatched(),
            routes6,
            dataplane: unwatched(),
            interfaces: interfaces_out,
        };
        let monitor = Monitor::open(outputs, MonitorConfig::default()).unwrap();
        let cancel = CancellationToken::new();
        tokio::spawn(monitor.run(cancel.clone()));
        let _cancel = cancel.drop_guard();
        let mut told = async |prefix: ipnet::Ipv6Net| loop {
            let events = routes.recv().await.unwrap();
            let has = |event: &RouteEvent<Ipv6>| matches!(event, RouteEvent::Added { route, .. } if route.prefix == prefix);
            if events.iter().any(has) {
                break;
            }
        };
        told("fe80::/64".parse().unwrap()).await;
        for number in 1..=200_u16 {
            let address = format!("2001:db8:{number:x}::1/64");
            run(&format!("ip -6 addr add {address} dev v0 nodad"));
            let address: ipnet::Ipv6Net = address.parse().unwrap();
            let prefix = told(address.trunc());
            tokio::time::timeout(DEADLINE, prefix).await.unwrap();
            let known = interfaces.borrow().clone();
            let addresses = &known.by_name("v0").unwrap().addresses;
            let there = addresses.iter().any(|a| a.local == address.into());
            assert!(there, "{address} is not known yet: {addresses:?}");
        }
    });
}
