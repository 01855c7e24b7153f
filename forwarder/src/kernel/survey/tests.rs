use super::super::testing::{ifindex, in_namespace, run, veth_pair};
use super::*;

#[test]
fn the_interfaces_are_those_of_the_monitor() {
    in_namespace(|| async {
        veth_pair();
        let mut survey = Survey::open().unwrap();
        let interfaces = survey.interfaces().await.unwrap();
        let v0 = interfaces.by_name("v0").unwrap();
        assert_eq!((v0.up, v0.kind.as_str()), (true, "veth"));
        assert_eq!(v0.addresses[0].local.to_string(), "192.0.2.1/24");
        assert_eq!(v0.link, Some(ifindex("v1")));
        assert!(!v0.forwarding4);
    });
}

#[test]
fn a_peer_elsewhere_has_the_number_of_its_namespace() {
    in_namespace(|| async {
        veth_pair();
        // A namespace that lives as long as its thread holds it open.
        let other = std::thread::spawn(|| {
            nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
            File::open("/proc/thread-self/ns/net").unwrap()
        });
        let other = other.join().unwrap();
        let mut survey = Survey::open().unwrap();
        assert_eq!(survey.namespace_number(&other).await.unwrap(), None);
        let path = format!("/proc/{}/fd/{}", std::process::id(), other.as_raw_fd());
        run(&format!("ip link set v1 netns {path}"));
        let number = survey.namespace_number(&other).await.unwrap();
        let extras = survey.extras().await.unwrap();
        assert!(number.is_some());
        assert_eq!(extras[&ifindex("v0")].namespace, number);
        assert_eq!(extras[&ifindex("v0")].programs, Vec::<u32>::new());
    });
}

#[test]
fn both_neighbour_tables_are_told_with_their_limits() {
    in_namespace(|| async {
        let tables = Survey::open().unwrap().neighbour_tables().await.unwrap();
        let names: Vec<_> = tables.iter().map(|table| table.name.as_str()).collect();
        assert!(names.contains(&"arp_cache"), "{names:?}");
        for table in tables {
            let [low, soft, hard] = table.thresholds;
            assert!(0 < hard && low <= soft && soft <= hard, "{table:?}");
        }
    });
}

/// No prefix of a message makes a reader panic.
#[test]
fn cut_messages_are_errors() {
    let programs = Request::new(0, 0, &[]).u32(4, 9).u32(5, 9);
    let link = Request::new(0, 0, &[0; LINK_LEN])
        .u32(IFLA_LINK_NETNSID, 3)
        .attribute(IFLA_XDP, programs.body());
    let mut found = BTreeMap::new();
    collect_extras(&mut found, 0, link.body()).unwrap();
    let extras = LinkExtras {
        programs: vec![9],
        namespace: Some(3),
    };
    assert_eq!(found, BTreeMap::from([(Ifindex(0), extras)]));
    for len in 0..link.body().len() {
        let _ = collect_extras(&mut found, 0, &link.body()[..len]);
    }
    let table = Request::new(0, 0, &[0; NEIGHBOUR_TABLE_LEN]).attribute(NDTA_CONFIG, &[0; 7]);
    let mut tables = Vec::new();
    assert!(collect_neighbours(&mut tables, 0, table.body()).is_err());
    assert!(decode_namespace(&[0; 2]).is_err());
}
