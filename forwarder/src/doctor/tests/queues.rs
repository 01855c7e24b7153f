use super::*;

fn of(driver: &str, channels: Channels) -> Facts {
    with_nic(|nic| {
        nic.driver = Ok(driver.into());
        nic.channels = Ok(Some(channels));
    })
}

#[test]
fn a_queue_for_each_cpu_is_wanted() {
    let few = of("mlx5_core", combined(2, 8));
    assert_only(
        &few,
        "queues",
        Level::Warning,
        &["ethtool -L eth0 combined 4"],
    );
    let some = of("mlx5_core", combined(2, 3));
    assert_only(
        &some,
        "queues",
        Level::Warning,
        &["ethtool -L eth0 combined 3"],
    );
    assert_well(&of("mlx5_core", combined(4, 4)));
}

#[test]
fn a_device_with_no_more_queues_is_only_told() {
    assert_only(&of("igb", combined(2, 2)), "queues", Level::Note, &[]);
}

#[test]
fn queues_that_only_receive_count() {
    let queues = |rx| Queues {
        rx,
        tx: 1,
        combined: 0,
    };
    let channels = |now, max| Channels {
        now: queues(now),
        max: queues(max),
    };
    assert_well(&of("bnxt_en", channels(4, 4)));
    let few = of("bnxt_en", channels(1, 8));
    assert_only(&few, "queues", Level::Warning, &["ethtool -L eth0 rx 4"]);
}

/// `virtnet_xdp_set`: a spare pair for each CPU.
#[test]
fn virtio_wants_a_spare_queue_pair_for_each_cpu() {
    let mend = ["ethtool -L eth0 combined 4"];
    assert_only(
        &of("virtio_net", combined(8, 8)),
        "queues",
        Level::Warning,
        &mend,
    );
    assert_well(&of("virtio_net", combined(4, 8)));
    // As many as the hypervisor gave: no command helps.
    assert_only(
        &of("virtio_net", combined(4, 4)),
        "queues",
        Level::Warning,
        &[],
    );
}

#[test]
fn ena_refuses_native_xdp_without_half_of_its_queues() {
    let mend = ["ethtool -L eth0 combined 4"];
    assert_only(&of("ena", combined(8, 8)), "queues", Level::Problem, &mend);
    assert_well(&of("ena", combined(4, 8)));
}

#[test]
fn gve_counts_its_queues_by_direction() {
    let queues = |number| Queues {
        rx: number,
        tx: number,
        combined: 0,
    };
    let channels = Channels {
        now: queues(8),
        max: queues(8),
    };
    let mend = ["ethtool -L eth0 rx 4 tx 4"];
    assert_only(&of("gve", channels), "queues", Level::Problem, &mend);
}

#[test]
fn the_generic_hook_needs_no_spare_queues() {
    let mut facts = of("ena", combined(8, 8));
    facts.config.dataplane.attach = Attach::Generic;
    assert_well(&facts);
    facts.interfaces[0].driver = Ok("virtio_net".into());
    assert_well(&facts);
}

/// A tap's queues are its reader's, and a veth receives on the sender's CPU.
#[test]
fn software_devices_need_no_queues() {
    assert_well(&with(|facts| {
        facts.interfaces = vec![veth("v0")];
        facts.interfaces[0].channels = Ok(Some(combined(1, 8)));
    }));
}
