//! A device's queues against the CPUs: XDP runs on the CPU that receives, and
//! sends without a lock only where each CPU has a queue of its own.

use super::finding::Finding;
use super::interface::On;
use crate::dataplane::ethtool::Channels;

pub(super) fn judge(on: &On<'_>) -> Finding {
    let check = on.check("queues");
    let channels = match &on.interface.channels {
        Err(why) => return check.hidden(why),
        Ok(None) => return check.ok("the driver has no such setting"),
        Ok(Some(channels)) => channels,
    };
    if on.interface.software {
        return check.ok(describe(channels));
    }
    match on.driver_name() {
        "virtio_net" => virtio(on, channels),
        "ena" | "gve" => half(on, channels),
        _ => usual(on, channels),
    }
}

fn cpus(on: &On<'_>) -> u32 {
    u32::try_from(on.facts.cpus).unwrap_or(u32::MAX)
}

/// Receive queues: those that only receive, and those that do both.
fn receiving(channels: &Channels) -> u32 {
    channels.now.rx + channels.now.combined
}

fn describe(channels: &Channels) -> String {
    let max = channels.max.rx + channels.max.combined;
    format!("{} of {max} receive queues", receiving(channels))
}

/// virtio-net takes a transmit queue a CPU for XDP from those not in use
/// (`virtnet_xdp_set`); without them it locks (before 5.15: refuses).
fn virtio(on: &On<'_>, channels: &Channels) -> Finding {
    let (check, cpus) = (on.check("queues"), cpus(on));
    let (now, max) = (channels.now.combined, channels.max.combined);
    // While a program is attached, its queues are among those in use.
    let attached = !on.interface.programs.is_empty();
    if attached || now + cpus <= max || !on.wants_native() {
        return usual(on, channels);
    }
    let finding = check.warning(
        format!("{now} of {max} queue pairs in use, and {cpus} CPUs"),
        format!(
            "virtio_net wants a spare queue pair for each CPU, to send redirected frames without a \
             lock: it will share them (before Linux 5.15: refuse). {} would serve {cpus} CPUs; the \
             hypervisor sets how many there are.",
            cpus * 2
        ),
    );
    match max.checked_sub(cpus) {
        None | Some(0) => finding,
        Some(left) => finding.mend(set(on, "combined", left)),
    }
}

/// The driver wants as many spare queues as there are in use, or refuses.
fn half(on: &On<'_>, channels: &Channels) -> Finding {
    let both = channels.max.combined > 0;
    let (kind, now, max) = match both {
        true => ("combined", channels.now.combined, channels.max.combined),
        false => ("rx", channels.now.rx, channels.max.rx),
    };
    if now * 2 <= max || !on.wants_native() {
        return usual(on, channels);
    }
    let found = format!("{now} of {max} queues in use");
    let meaning = format!(
        "{} refuses native XDP unless half of its queues are free for sending.",
        on.driver_name()
    );
    let finding = on.check("queues").problem(found, meaning);
    match (max / 2, both) {
        (0, _) => finding,
        (half, true) => finding.mend(set(on, kind, half)),
        (half, false) => finding.mend(format!("{} tx {half}", set(on, kind, half))),
    }
}

fn usual(on: &On<'_>, channels: &Channels) -> Finding {
    let (check, cpus) = (on.check("queues"), cpus(on));
    let now = receiving(channels);
    if now >= cpus {
        return check.ok(describe(channels));
    }
    let finding = |found: String| {
        check.warning(
            found,
            "XDP runs on the CPUs that receive: the others forward nothing.",
        )
    };
    let found = format!("{}, and {cpus} CPUs", describe(channels));
    let (kind, max) = match channels.max.combined {
        0 => ("rx", channels.max.rx),
        combined => ("combined", combined),
    };
    if now >= max {
        // Nothing to be done on this machine.
        let meaning = "XDP runs on the CPUs that receive; the device has no more queues.";
        return check.note(found, meaning);
    }
    finding(found).mend(set(on, kind, max.min(cpus)))
}

fn set(on: &On<'_>, kind: &str, count: u32) -> String {
    format!("ethtool -L {} {kind} {count}", on.name())
}
