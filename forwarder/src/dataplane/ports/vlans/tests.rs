//! Which sub-interfaces are found where, and what keeps one from being a port.

use std::sync::Arc;

use forwarder_core::config::Config;
use forwarder_core::interface::Vlan;

use super::*;
use crate::dataplane::attach::Mode;
use crate::dataplane::ports::tagging::keeps_tags;

const ETH0: Ifindex = Ifindex(2);

fn device(ifindex: u32, kind: &str) -> Interface {
    Interface {
        ifindex: Ifindex(ifindex),
        name: format!("if{ifindex}"),
        mac: Some([2, 0, 0, 0, 0, ifindex as u8]),
        mtu: 1500,
        up: true,
        carrier: true,
        loopback: false,
        point_to_point: false,
        multicast: true,
        broadcast: true,
        ethernet: true,
        kind: kind.to_owned(),
        rp_filter: ReversePath::Off,
        vlan: None,
        master: None,
        link: None,
        link_elsewhere: false,
        forwarding4: true,
        forwarding6: true,
        send_redirects: false,
        addresses: Vec::new(),
    }
}

fn vlan(ifindex: u32, on: u32, id: u16, ad: bool) -> Interface {
    Interface {
        vlan: Some(Vlan {
            id,
            ad,
            prioritised: false,
        }),
        link: Some(Ifindex(on)),
        ..device(ifindex, "vlan")
    }
}

fn all(list: impl IntoIterator<Item = Interface>) -> Interfaces {
    let by_index = list.into_iter().map(|i| (i.ifindex, i)).collect();
    Interfaces { by_index }
}

fn find(interfaces: &Interfaces, ifindex: u32) -> Result<(Ifindex, Tags), String> {
    below(interfaces.get(Ifindex(ifindex)).unwrap(), interfaces)
}

#[test]
fn one_tag_or_two_lead_to_the_device_below() {
    let interfaces = all([
        device(2, ""),
        vlan(3, 2, 10, false),
        vlan(4, 2, 20, true),
        vlan(5, 4, 30, false),
        vlan(6, 5, 40, false),
    ]);
    assert_eq!(find(&interfaces, 3), Ok((ETH0, Tags::one(10, false))));
    assert_eq!(find(&interfaces, 4), Ok((ETH0, Tags::one(20, true))));
    let two = Tags::two((20, true), (30, false));
    assert_eq!(find(&interfaces, 5), Ok((ETH0, two)));
    let third = find(&interfaces, 6).unwrap_err();
    assert_eq!(third, "more than two tags are left to the kernel");
}

#[test]
fn what_our_tags_would_not_say_is_left_to_the_kernel() {
    let mut mapped = vlan(3, 2, 10, false);
    mapped.vlan.as_mut().unwrap().prioritised = true;
    let elsewhere = Interface {
        link_elsewhere: true,
        ..vlan(4, 2, 11, false)
    };
    let bridged = Interface {
        master: Some(ETH0),
        ..vlan(5, 2, 12, false)
    };
    let interfaces = all([
        device(2, ""),
        mapped,
        elsewhere,
        bridged,
        vlan(6, 5, 13, false),
    ]);
    for (ifindex, why) in [
        (3, "an egress-qos-map is left to the kernel"),
        (4, "the device below it is in another namespace"),
        (6, "if5 below it belongs to if2"),
    ] {
        assert_eq!(find(&interfaces, ifindex).unwrap_err(), why);
    }
}

#[test]
fn a_sub_interface_without_a_port_below_says_so() {
    let config = Arc::new(Config::parse("test", "").unwrap());
    let ports = Ports::new(config.dataplane.clone());
    let addressed = Interface {
        addresses: vec![forwarder_core::interface::InterfaceAddress {
            local: "192.0.2.1/24".parse().unwrap(),
            peer: None,
            broadcast: None,
            secondary: false,
            tentative: false,
        }],
        ..vlan(3, 2, 10, false)
    };
    let interfaces = all([device(2, "bridge"), addressed, vlan(4, 2, 11, false)]);
    let refusal = |ifindex| {
        let interface = interfaces.get(Ifindex(ifindex)).unwrap();
        ports.wants_sub(interface, &interfaces).unwrap_err()
    };
    assert_eq!(refusal(3), "if2 below it is no port");
    assert_eq!(refusal(4), "holds no address");
}

#[test]
fn a_sub_interface_receives_while_the_devices_of_its_tags_are_up() {
    let down = |mut interface: Interface| {
        interface.up = false;
        interface
    };
    let outer = vlan(3, 2, 20, true);
    let inner = vlan(4, 3, 30, false);
    let check = |list: [Interface; 2]| {
        let interfaces = all([device(2, "")].into_iter().chain(list));
        is_up(interfaces.get(Ifindex(4)).unwrap(), &interfaces)
    };
    assert!(check([outer.clone(), inner.clone()]));
    assert!(!check([down(outer.clone()), inner.clone()]));
    assert!(!check([outer, down(inner)]));
}

#[test]
fn only_hardware_and_what_keeps_tags_within_the_frame_is_trusted() {
    assert_eq!(keeps_tags("", Mode::Generic), None);
    assert_eq!(keeps_tags("tun", Mode::Generic), Some(Ok(())));
    assert_eq!(keeps_tags("veth", Mode::Native), Some(Ok(())));
    for (kind, mode) in [
        ("veth", Mode::Generic),
        ("bridge", Mode::Generic),
        ("bond", Mode::Native),
        ("macvlan", Mode::Native),
    ] {
        assert!(keeps_tags(kind, mode).unwrap().is_err(), "{kind}");
    }
}
