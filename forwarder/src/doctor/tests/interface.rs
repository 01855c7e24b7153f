use super::super::drivers;
use super::super::facts::Program;
use super::*;

#[test]
fn an_interface_that_is_no_port_is_looked_at_when_it_was_named() {
    let member = with_nic(|nic| nic.port = Err("belongs to bond0".into()));
    assert_only(&member, "port", Level::Note, &[]);
    finding(&member, "driver");
}

#[test]
fn a_device_that_is_no_ethernet_is_not_looked_at_further() {
    let lo = with(|facts| {
        facts.interfaces = vec![nic("lo")];
        facts.interfaces[0].ethernet = false;
        facts.interfaces[0].port = Err("loopback".into());
    });
    assert!(judge(&lo).iter().all(|one| one.check != "driver"));
}

#[test]
fn a_link_that_is_down_is_set_up() {
    let down = with_nic(|nic| (nic.up, nic.carrier) = (false, false));
    assert_only(&down, "link", Level::Warning, &["ip link set eth0 up"]);
    let unplugged = with_nic(|nic| nic.carrier = false);
    assert_only(&unplugged, "link", Level::Warning, &[]);
}

fn program(name: Result<&str, &str>) -> Facts {
    let name = name.map(str::to_owned).map_err(str::to_owned);
    with_nic(|nic| nic.programs = vec![Program { id: 7, name }])
}

#[test]
fn a_program_of_somebody_else_is_a_problem() {
    let mend = ["ip link set dev eth0 xdp off"];
    assert_only(
        &program(Ok("xdp_pass")),
        "xdp-program",
        Level::Problem,
        &mend,
    );
    assert_only(
        &program(Err("not permitted")),
        "xdp-program",
        Level::Note,
        &[],
    );
    assert_well(&program(Ok("forward_frags")));
    assert_well(&program(Ok("forward")));
}

#[test]
fn a_port_whose_forwarding_is_off_is_a_problem() {
    let off = with_nic(|nic| nic.forwarding = false);
    let mend = ["sysctl -w net.ipv4.conf.eth0.forwarding=1"];
    assert_only(&off, "forwarding", Level::Problem, &mend);
}

#[test]
fn a_driver_without_native_xdp_is_slow_and_not_to_be_forced() {
    let mut facts = with_nic(|nic| {
        nic.driver = Ok("r8169".into());
        nic.abilities = Some(NDO_XMIT);
    });
    assert_only(&facts, "driver", Level::Warning, &[]);
    native(&mut facts);
    assert_only(&facts, "driver", Level::Problem, &[]);
    facts.config.dataplane.attach = Attach::Generic;
    assert_well(&facts);
}

#[test]
fn before_linux_6_3_the_drivers_name_has_to_tell() {
    let of = |driver: &str| {
        let driver = driver.to_owned();
        with_nic(|nic| {
            nic.driver = Ok(driver);
            nic.abilities = None;
        })
    };
    assert_well(&of("ixgbe"));
    assert_only(&of("nfp"), "redirect", Level::Problem, &[]);
    assert_eq!(finding(&of("mystery"), "driver").level, Level::Note);
    assert_eq!(finding(&of("mystery"), "redirect").level, Level::Note);
}

/// ixgbe, virtio_net and others say so only while they have a program.
#[test]
fn a_driver_that_takes_redirects_only_with_a_program_is_well_without() {
    let mut facts = with_nic(|nic| nic.abilities = Some(ALL & !NDO_XMIT));
    assert_well(&facts);
    facts.interfaces[0].programs = program(Ok("forward")).interfaces[0].programs.clone();
    assert_only(&facts, "redirect", Level::Problem, &[]);
    facts.config.dataplane.attach = Attach::Generic;
    assert_well(&facts);
}

#[test]
fn a_frame_has_to_fit_one_buffer_where_there_are_not_several() {
    let jumbo = |abilities, version| {
        let mut facts = with_nic(|nic| {
            nic.mtu = 9000;
            nic.abilities = Some(abilities);
        });
        facts.kernel.version = Some(version);
        facts
    };
    let mend = ["ip link set eth0 mtu 3498"];
    assert_only(&jumbo(ALL & !RX_SG, (6, 12)), "mtu", Level::Warning, &mend);
    assert_eq!(finding(&jumbo(ALL, (5, 17)), "mtu").level, Level::Warning);
    assert_well(&jumbo(ALL, (6, 12)));
    let mut generic = jumbo(ALL & !RX_SG, (6, 12));
    generic.config.dataplane.attach = Attach::Generic;
    assert_well(&generic);
}

#[test]
fn no_drivers_limit_is_above_a_page() {
    for driver in ["ixgbe", "igc", "ena", "virtio_net", "never heard of"] {
        let mtu = drivers::single_buffer_mtu(driver);
        assert!((1500..4096).contains(&mtu), "{driver}: {mtu}");
    }
}

#[test]
fn stripped_tags_matter_where_there_are_vlans() {
    let mut facts = with_nic(|nic| nic.offloads = Ok(on("rx-vlan-hw-parse", true)));
    assert_well(&facts);
    facts.interfaces[0].vlans = vec!["eth0.7".into()];
    // The daemon sees to it where it can.
    assert_well(&facts);
    facts.interfaces[0].offloads = Ok(on("rx-vlan-hw-parse", false));
    assert_only(&facts, "vlan-offload", Level::Warning, &[]);
    facts.interfaces[0].offloads = Ok(BTreeMap::new());
    assert_well(&facts);
}

#[test]
fn joined_frames_and_native_xdp_exclude_each_other() {
    let mut lro = with_nic(|nic| nic.offloads = Ok(on("rx-lro", true)));
    assert_only(
        &lro,
        "receive-offload",
        Level::Warning,
        &["ethtool -K eth0 lro off"],
    );
    lro.config.dataplane.attach = Attach::Generic;
    assert_well(&lro);
    let gro = with_nic(|nic| nic.offloads = Ok(on("rx-gro-hw", true)));
    let mend = ["ethtool -K eth0 rx-gro-hw off"];
    assert_only(&gro, "receive-offload", Level::Warning, &mend);
    let mut both = on("rx-lro", true);
    both.extend(on("rx-gro-hw", true));
    let both = with_nic(|nic| nic.offloads = Ok(both));
    let mend = ["ethtool -K eth0 lro off", "ethtool -K eth0 rx-gro-hw off"];
    assert_only(&both, "receive-offload", Level::Warning, &mend);
    let fixed = with_nic(|nic| nic.offloads = Ok(on("rx-gro-hw", false)));
    assert_only(&fixed, "receive-offload", Level::Warning, &[]);
    assert!(finding(&fixed, "receive-offload").found.contains("fixed"));
}

#[test]
fn traffic_control_is_obeyed_unless_bypassed() {
    let mut facts = with_nic(|nic| nic.tc = Some("qdisc tbf".into()));
    assert_only(&facts, "traffic-control", Level::Warning, &[]);
    facts.config.dataplane.bypass.insert(Bypass::Tc);
    assert_well(&facts);
}

#[test]
fn a_driver_that_does_not_answer_is_told() {
    let silent = with_nic(|nic| nic.offloads = Err("not supported".into()));
    assert_only(&silent, "offloads", Level::Note, &[]);
}
