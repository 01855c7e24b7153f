use std::net::Ipv4Addr;

use forwarder_core::kernel::event::KernelNexthops;
use forwarder_core::net::Ipv4;
use forwarder_core::route::Nexthop;
use ipnet::Ipv4Net;

use super::*;

/// A route with our protocol and metric.
fn ours(config: &Config) -> KernelRoute<Ipv4> {
    KernelRoute {
        table: TableId::MAIN,
        prefix: Ipv4Net::new(Ipv4Addr::new(203, 0, 113, 0), 24).unwrap(),
        metric: config.kernel.metric,
        tos: 0,
        kind: RouteType::Unicast,
        protocol: config.kernel.protocol,
        nexthops: KernelNexthops::Inline(vec![Nexthop::via(
            Ipv4Addr::new(192, 0, 2, 1),
            Ifindex(7),
        )]),
        mtu: None,
        preferred_source: None,
    }
}

/// Put there by us and deleted by others before anybody looked: had the
/// exporter only the last word, it would wait for the echo of its own change,
/// take the deletion for older than it, and leave the route away for seconds.
#[tokio::test]
async fn the_exporter_hears_of_its_own_change_and_of_what_undid_it() {
    let state = tempfile::tempdir().unwrap();
    let config = Arc::new(Config::default());
    let route = ours(&config);
    let (events, kernel) = mpsc::channel(1);
    let (_interfaces, interfaces) = watch::channel(Arc::default());
    let (ours, mut told) = mpsc::channel(1);
    let (ready, _) = watch::channel(false);
    let links = Links {
        events: kernel,
        interfaces,
        ours,
        ready,
    };
    let (_handle, task) = new::<Ipv4>(1, config, state.path(), links).unwrap();
    let cancel = CancellationToken::new();
    let run = tokio::spawn(task.run(cancel.clone()));
    let added = RouteEvent::Added {
        route: route.clone(),
        replaced: false,
    };
    let batch = vec![added, RouteEvent::Removed(route.clone())];
    events.send(batch).await.unwrap();
    let mut heard = Vec::new();
    while heard.len() < 2 {
        let more = tokio::time::timeout(Duration::from_secs(10), told.recv());
        heard.extend(more.await.expect("no news").unwrap());
    }
    let [OursEvent::Seen(seen), OursEvent::Gone(gone)] = heard.as_slice() else {
        panic!("{heard:?}");
    };
    assert_eq!((seen, *gone), (&route, route.prefix));
    cancel.cancel();
    run.await.unwrap();
}
