use super::super::testing::{DEADLINE, ifindex, in_namespace, run, try_run, veth_pair};
use super::*;

const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 9));

fn entry() -> String {
    run("ip -d neigh show 192.0.2.9 dev v0")
}

async fn wait_for(what: &str) {
    let deadline = tokio::time::Instant::now() + DEADLINE;
    while !entry().contains(what) {
        assert!(
            tokio::time::Instant::now() < deadline,
            "no {what} in {}",
            entry()
        );
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

#[test]
fn resolving_asks_on_the_wire() {
    in_namespace(|| async {
        veth_pair();
        let mut neighbours = Neighbours::open().unwrap();
        neighbours.resolve(ifindex("v0"), PEER).await.unwrap();
        wait_for("INCOMPLETE").await;
    });
}

#[test]
fn a_managed_entry_carries_the_kernels_flag_until_let_go() {
    in_namespace(|| async {
        veth_pair();
        run("ip neigh add 192.0.2.9 lladdr 02:00:00:00:00:09 dev v0 nud stale");
        let mut neighbours = Neighbours::open().unwrap();
        let v0 = ifindex("v0");
        assert_eq!(
            neighbours.manage(v0, PEER).await.unwrap(),
            Managed::ByKernel
        );
        wait_for("managed").await;
        neighbours.resolve(v0, PEER).await.unwrap();
        assert!(
            entry().contains("managed"),
            "resolving doesn't undo it: {}",
            entry()
        );
        neighbours.unmanage(v0, PEER).await.unwrap();
        assert!(!entry().contains("managed"), "{}", entry());
        assert!(
            entry().contains("02:00:00:00:00:09"),
            "its address stays: {}",
            entry()
        );
    });
}

#[test]
fn a_static_entry_of_the_operator_is_never_touched() {
    in_namespace(|| async {
        veth_pair();
        run("ip neigh add 192.0.2.9 lladdr 02:00:00:00:00:09 dev v0 nud permanent");
        let before = entry();
        let mut neighbours = Neighbours::open().unwrap();
        let v0 = ifindex("v0");
        neighbours.resolve(v0, PEER).await.unwrap();
        assert_eq!(
            neighbours.manage(v0, PEER).await.unwrap(),
            Managed::NotNeeded
        );
        neighbours.unmanage(v0, PEER).await.unwrap();
        assert_eq!(entry(), before);
    });
}

#[test]
fn an_externally_learnt_entry_keeps_its_flag() {
    in_namespace(|| async {
        veth_pair();
        run("ip neigh add 192.0.2.9 lladdr 02:00:00:00:00:09 dev v0 nud reachable extern_learn");
        let mut neighbours = Neighbours::open().unwrap();
        neighbours.manage(ifindex("v0"), PEER).await.unwrap();
        assert!(
            entry().contains("extern_learn") && entry().contains("managed"),
            "{}",
            entry()
        );
        neighbours.unmanage(ifindex("v0"), PEER).await.unwrap();
        assert!(
            entry().contains("extern_learn") && !entry().contains("managed"),
            "{}",
            entry()
        );
    });
}

#[test]
fn letting_go_of_what_is_not_there_is_fine() {
    in_namespace(|| async {
        veth_pair();
        let mut neighbours = Neighbours::open().unwrap();
        neighbours.unmanage(ifindex("v0"), PEER).await.unwrap();
        assert!(
            !try_run("ip neigh get 192.0.2.9 dev v0")
                .unwrap()
                .status
                .success()
        );
    });
}

#[test]
fn an_interface_that_is_gone_is_an_error_not_a_hang() {
    in_namespace(|| async {
        let mut neighbours = Neighbours::open().unwrap();
        let error = neighbours.resolve(Ifindex(4242), PEER).await.unwrap_err();
        assert_eq!(error.errno(), Some(libc::ENODEV), "{error}");
    });
}
