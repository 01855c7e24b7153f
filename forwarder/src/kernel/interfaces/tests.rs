use super::*;

fn link(number: u32, flags: libc::c_int) -> Link {
    Link {
        ifindex: Ifindex(number),
        name: format!("if{number}"),
        flags: flags.cast_unsigned(),
        hardware: libc::ARPHRD_ETHER,
        mac: Some([2, 0, 0, 0, 0, 1]),
        mtu: 1500,
        vlan: None,
        kind: String::new(),
        master: None,
        lower: None,
        lower_elsewhere: false,
    }
}

fn address(local: &str) -> InterfaceAddress {
    InterfaceAddress {
        local: local.parse().unwrap(),
        peer: None,
        broadcast: None,
        secondary: false,
        tentative: false,
    }
}

const UP: libc::c_int = libc::IFF_UP | libc::IFF_LOWER_UP;

#[test]
fn only_up_and_carrier_matter_to_routes() {
    let mut table = InterfaceTable::default();
    let ifindex = Ifindex(1);
    let change = |up, carrier, up_changed| {
        Some(LinkChange {
            ifindex,
            up,
            carrier,
            up_changed,
        })
    };
    assert_eq!(table.set_link(link(1, 0)), change(false, false, false));
    assert_eq!(table.set_link(link(1, UP)), change(true, true, true));
    assert_eq!(
        table.set_link(Link {
            mtu: 1400,
            ..link(1, UP)
        }),
        None
    );
    assert_eq!(
        table.set_link(link(1, libc::IFF_UP)),
        change(true, false, false)
    );
    assert_eq!(table.set_link(link(1, 0)), change(false, false, true));
}

#[test]
fn a_snapshot_is_made_only_of_changes() {
    let mut table = InterfaceTable::default();
    assert_eq!(table.snapshot(), None);
    table.set_link(link(1, UP));
    table.set_address(Ifindex(1), address("192.0.2.1/24"));
    let snapshot = table.snapshot().unwrap();
    assert!(snapshot.get(Ifindex(1)).unwrap().is_running());
    table.set_link(link(1, UP));
    table.set_address(Ifindex(1), address("192.0.2.1/24"));
    assert_eq!(table.snapshot(), None);
}

#[test]
fn addresses_may_come_before_their_link() {
    let mut table = InterfaceTable::default();
    table.set_address(Ifindex(1), address("192.0.2.1/24"));
    table.set_netconf(Netconf {
        ifindex: Ifindex(1),
        forwarding: Some(true),
        rp_filter: None,
    });
    table.set_link(link(1, UP));
    let snapshot = table.snapshot().unwrap();
    let interface = snapshot.get(Ifindex(1)).unwrap();
    assert_eq!(interface.addresses, [address("192.0.2.1/24")]);
    assert!(interface.forwarding4);
}

#[test]
fn an_address_that_changes_its_properties_is_not_doubled() {
    let mut table = InterfaceTable::default();
    table.set_link(link(1, UP));
    let secondary = InterfaceAddress {
        secondary: true,
        ..address("192.0.2.1/24")
    };
    table.set_address(Ifindex(1), secondary);
    table.set_address(Ifindex(1), address("192.0.2.1/24"));
    let snapshot = table.snapshot().unwrap();
    assert_eq!(
        snapshot.get(Ifindex(1)).unwrap().addresses,
        [address("192.0.2.1/24")]
    );
    table.remove_address(Ifindex(1), &secondary);
    assert_eq!(
        table.snapshot().unwrap().get(Ifindex(1)).unwrap().addresses,
        []
    );
}

#[test]
fn what_a_dump_does_not_name_is_gone() {
    let mut table = InterfaceTable::default();
    for number in [1, 2] {
        table.set_link(link(number, UP));
        table.set_address(Ifindex(number), address("192.0.2.1/24"));
    }
    table.set_address(Ifindex(1), address("198.51.100.1/24"));
    table.begin_dump();
    table.set_link(link(1, UP));
    table.set_address(Ifindex(1), address("192.0.2.1/24"));
    assert_eq!(table.end_dump(), [Ifindex(2)]);
    let snapshot = table.snapshot().unwrap();
    assert_eq!(snapshot.by_index.len(), 1);
    assert_eq!(
        snapshot.get(Ifindex(1)).unwrap().addresses,
        [address("192.0.2.1/24")]
    );
}

#[test]
fn nothing_follows_from_a_dump_that_failed() {
    let mut table = InterfaceTable::default();
    table.set_link(link(1, UP));
    table.begin_dump();
    table.abandon_dump();
    assert_eq!(table.end_dump(), []);
    assert!(table.snapshot().unwrap().get(Ifindex(1)).is_some());
}

#[test]
fn a_link_that_goes_takes_its_addresses_with_it() {
    let mut table = InterfaceTable::default();
    table.set_link(link(1, UP));
    table.set_address(Ifindex(1), address("192.0.2.1/24"));
    assert!(table.remove_link(Ifindex(1)));
    assert!(!table.remove_link(Ifindex(1)));
    table.set_link(link(1, UP));
    assert_eq!(
        table.snapshot().unwrap().get(Ifindex(1)).unwrap().addresses,
        []
    );
}

#[test]
fn the_larger_rp_filter_counts() {
    let mut table = InterfaceTable::default();
    table.set_link(link(1, UP));
    let mut check = |all, own, expected| {
        table.set_rp_filter_all(all);
        table.set_netconf(Netconf {
            ifindex: Ifindex(1),
            forwarding: None,
            rp_filter: Some(own),
        });
        let snapshot = table.snapshot().unwrap();
        let found = snapshot.get(Ifindex(1)).unwrap().rp_filter;
        assert_eq!(found, expected, "all {all}, its own {own}");
    };
    check(0, 0, ReversePath::Off);
    check(1, 0, ReversePath::Strict);
    check(1, 2, ReversePath::Loose);
    check(0, 1, ReversePath::Strict);
    check(2, 0, ReversePath::Loose);
}
