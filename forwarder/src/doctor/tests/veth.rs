use super::*;

/// Two veths, the first one's peer without NAPI.
fn deaf() -> Facts {
    with(|facts| {
        facts.interfaces = vec![veth("v0"), veth("v1")];
        facts.interfaces[0].abilities = Some(ALL & !NDO_XMIT);
        native(facts);
    })
}

fn set_place(facts: &mut Facts, place: Place) {
    facts.interfaces[0].peer.as_mut().unwrap().place = place;
}

#[test]
fn a_peer_that_does_not_receive_is_a_problem_for_native_xdp() {
    let mut facts = deaf();
    assert_only(
        &facts,
        "veth-peer",
        Level::Problem,
        &["ethtool -K far0 gro on"],
    );
    facts.config.dataplane.attach = Attach::Auto;
    assert_well(&facts);
    // One port by native XDP is enough.
    facts.interfaces[1] = nic("eth1");
    assert_eq!(finding(&facts, "veth-peer").level, Level::Problem);
}

#[test]
fn a_peer_elsewhere_is_mended_there() {
    let mut facts = deaf();
    set_place(&mut facts, Place::Named("blue".into()));
    let mend = ["ip netns exec blue ethtool -K far0 gro on"];
    assert_only(&facts, "veth-peer", Level::Problem, &mend);
    set_place(&mut facts, Place::Initial("/proc/1/ns/net"));
    let mend = ["nsenter --net=/proc/1/ns/net ethtool -K far0 gro on"];
    assert_only(&facts, "veth-peer", Level::Problem, &mend);
    set_place(&mut facts, Place::Elsewhere);
    facts.interfaces[0].peer.as_mut().unwrap().name = Err("unknown".into());
    assert_only(&facts, "veth-peer", Level::Problem, &[]);
}

#[test]
fn unfinished_checksums_matter_to_native_xdp() {
    let mut facts = with(|facts| {
        facts.interfaces = vec![veth("v0")];
        facts.interfaces[0].peer.as_mut().unwrap().unfinished = Ok(true);
        native(facts);
    });
    assert_only(
        &facts,
        "veth-checksum",
        Level::Warning,
        &["ethtool -K far0 tx off"],
    );
    facts.config.dataplane.attach = Attach::Auto;
    assert_well(&facts);
}

#[test]
fn a_kernel_that_does_not_tell_of_peers_is_a_note() {
    let mut facts = deaf();
    facts.interfaces[0].abilities = None;
    assert_only(
        &facts,
        "veth-peer",
        Level::Note,
        &["ethtool -K far0 gro on"],
    );
}

/// The daemon then redirects nothing there; GRO is no way out of it before 5.13.
#[test]
fn without_the_kernels_word_a_veth_takes_the_slow_path() {
    let mut facts = deaf();
    facts.interfaces[0].abilities = None;
    facts.kernel.version = Some((5, 10));
    let found = finding(&facts, "veth-peer");
    assert_eq!(
        (found.level, &found.commands[..]),
        (Level::Problem, &[][..])
    );
    facts.config.dataplane.attach = Attach::Auto;
    assert_eq!(finding(&facts, "veth-peer").level, Level::Ok);
    facts.interfaces[1] = nic("eth1");
    assert_eq!(finding(&facts, "veth-peer").level, Level::Problem);
    facts.kernel.version = Some((6, 1));
    assert_eq!(finding(&facts, "veth-peer").level, Level::Warning);
}

#[test]
fn a_veth_without_carrier_has_a_peer_to_set_up() {
    let down = with(|facts| {
        facts.interfaces = vec![veth("v0")];
        facts.interfaces[0].carrier = false;
    });
    assert_only(&down, "link", Level::Warning, &["ip link set far0 up"]);
}
