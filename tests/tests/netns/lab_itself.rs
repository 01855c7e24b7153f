//! The lab proves itself with what the kernel and other daemons do, so that a
//! failure of the tests of the forwarder is the forwarder's.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use anyhow::ensure;
use forwarder_tests::lab::traffic::{Stream, UdpEcho, exchange, transfer};
use forwarder_tests::lab::{self, LONG, Lab, Namespace, end, need, wait_for};
use nix::sys::signal::Signal;

/// hostA 10.0.1.2 -- 10.0.1.1 r1 10.0.2.1 -- 10.0.2.2 hostB, by the kernel.
fn line(lab: &Lab) -> anyhow::Result<(Namespace, Namespace, Namespace)> {
    let (a, r1, b) = (
        lab.namespace("a")?,
        lab.router_namespace("r1")?,
        lab.namespace("b")?,
    );
    lab.link(
        end(&a, "eth0").address("10.0.1.2/24"),
        end(&r1, "eth0").address("10.0.1.1/24"),
    )?;
    lab.link(
        end(&r1, "eth1").address("10.0.2.1/24"),
        end(&b, "eth0").address("10.0.2.2/24"),
    )?;
    a.run("ip route add default via 10.0.1.1")?;
    b.run("ip route add default via 10.0.2.1")?;
    Ok((a, r1, b))
}

const SERVER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 0, 2, 2), 7);

#[test]
fn tcp_udp_and_ping_pass_a_kernel_router() {
    lab::test("lab-kernel-router", |lab| {
        let (a, _, b) = line(lab)?;
        a.run("ping -c 1 -W 3 10.0.2.2")?;
        transfer(&a, &b, SERVER, 1_000_000)?;
        let _echo = UdpEcho::start(&b, SERVER)?;
        let good = exchange(&a, SERVER, 20, 1_000)?;
        ensure!(good == 20, "{good} of 20 datagrams came back");
        Ok(())
    });
}

#[test]
fn a_stream_measures_an_outage() {
    lab::test("lab-stream", |lab| {
        let (a, r1, b) = line(lab)?;
        let stream = Stream::start(&a, &b, SERVER, Duration::from_millis(1))?;
        stream.wait_for_more(50, LONG)?;
        r1.sysctl("net/ipv4/ip_forward", "0")?;
        std::thread::sleep(Duration::from_millis(100));
        r1.sysctl("net/ipv4/ip_forward", "1")?;
        stream.wait_for_more(50, LONG)?;
        let gaps = stream.stop()?;
        let range = Duration::from_millis(95)..Duration::from_secs(2);
        ensure!(
            range.contains(&gaps.outage),
            "an outage of 100 ms was measured as {gaps:?}"
        );
        ensure!(
            gaps.sent == gaps.received + gaps.lost && gaps.lost > 20,
            "{gaps:?}"
        );
        Ok(())
    });
}

#[test]
fn nothing_is_left_of_a_lab() {
    lab::test("lab-leaves-nothing", |lab| {
        let (_, r1, _) = line(lab)?;
        let inner = Lab::new("lab-inner")?;
        let ns = inner.namespace("x")?;
        let (name, directory) = (ns.unique_name().to_owned(), inner.directory().to_owned());
        let sleeper = inner.spawn("sleeper", {
            let mut sleep = ns.command("sleep");
            sleep.arg("1000");
            sleep
        })?;
        ensure!(
            r1.run("ip netns list")?.contains(&name),
            "{name} was not made"
        );
        drop(inner);
        ensure!(!r1.run("ip netns list")?.contains(&name), "{name} is left");
        ensure!(sleeper.status()?.is_some(), "a process is left");
        ensure!(!directory.exists(), "{} is left", directory.display());
        Ok(())
    });
}

#[test]
fn a_capture_holds_what_passed() {
    if !need("lab-capture", &["/usr/bin/tshark"]) {
        return;
    }
    lab::test("lab-capture", |lab| {
        let (a, r1, _) = line(lab)?;
        lab.capture(&r1, "eth0")?;
        a.run("ping -c 3 -i 0.2 -W 3 10.0.1.1")?;
        let file = lab.directory().join("r1-eth0.pcapng");
        wait_for(LONG, "the ping in the capture", || {
            let output = a.output(&format!("tshark -n -r {} -Y icmp", file.display()))?;
            let text = String::from_utf8(output.stdout)?;
            ensure!(text.contains("10.0.1.2"), "{text}");
            Ok(())
        })
    });
}

/// Starts `held-lab`, waits until its process is running, and sends it a signal.
fn hold_and_kill(lab: &Lab, name: &str, signal: Signal) -> anyhow::Result<()> {
    let outside = lab.namespace("outside")?;
    let mut command = outside.command(env!("CARGO_BIN_EXE_held-lab"));
    command.arg(name);
    let holder = lab.spawn("holder", command)?;
    let prefix = format!("fw-{name}-{}-", holder.pid());
    wait_for(LONG, "the other lab's process", || {
        let pids = outside.run(&format!("ip netns pids {prefix}x"))?;
        ensure!(!pids.is_empty(), "none");
        Ok(())
    })?;
    holder.signal(signal)?;
    holder.wait(LONG)?;
    let artifacts = lab.artifacts().with_file_name(name);
    if signal == Signal::SIGKILL {
        // It had no chance; the next lab finds what it left.
        ensure!(
            outside.run("ip netns list")?.contains(&prefix),
            "there is nothing to clean up"
        );
        drop(Lab::new(&format!("{name}-next"))?);
    }
    let left = outside.run("ip netns list")?;
    ensure!(!left.contains(&prefix), "a namespace is left: {left}");
    if artifacts.exists() {
        // Its logs stay, as after any test that was killed.
        std::fs::remove_dir_all(&artifacts)?;
    }
    Ok(())
}

#[test]
fn ctrl_c_leaves_nothing() {
    lab::test("lab-ctrl-c", |lab| {
        hold_and_kill(lab, "lab-held-int", Signal::SIGINT)
    });
}

#[test]
fn what_a_killed_lab_left_is_removed_by_the_next() {
    lab::test("lab-killed", |lab| {
        hold_and_kill(lab, "lab-held-kill", Signal::SIGKILL)
    });
}

#[test]
fn a_failed_lab_keeps_what_it_saw() {
    lab::test("lab-fails", |lab| {
        let failing = Lab::new("lab-failing")?;
        let host = failing.namespace("host")?;
        let mut echo = host.command("echo");
        echo.arg("last words");
        failing.spawn("echo", echo)?.wait(LONG)?;
        let artifacts = failing.artifacts().to_owned();
        failing.fail();
        drop(failing);
        let log = std::fs::read_to_string(artifacts.join("echo.log"))?;
        ensure!(log == "last words\n", "the log is {log:?}");
        let tables = std::fs::read_to_string(artifacts.join("host.tables.txt"))?;
        ensure!(
            tables.contains("# ip address") && tables.contains("127.0.0.1"),
            "{tables}"
        );
        std::fs::remove_dir_all(&artifacts)?;
        // This one has not failed.
        ensure!(
            lab.artifacts().is_dir(),
            "the directory of the logs is gone"
        );
        Ok(())
    });
}
