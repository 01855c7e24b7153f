//! `forwarder doctor`: what it finds in a namespace that nobody has set up, that
//! its own commands mend it, and what it does where it cannot look.

use std::fs;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Output};

use anyhow::{Context as _, ensure};
use aya::maps::MapInfo;
use aya::programs::ProgramInfo;
use aya::programs::xdp::XdpMode;
use forwarder::bench::Pass;
use forwarder_tests::lab::{self, Lab, Namespace, Star, end, forwarder_binary};
use serde_json::Value;

use crate::NATIVE;

/// The command in a namespace, with a configuration of its own.
struct Doctor<'a> {
    namespace: &'a Namespace,
    config: PathBuf,
}

impl<'a> Doctor<'a> {
    fn new(lab: &Lab, namespace: &'a Namespace, config: &str) -> anyhow::Result<Doctor<'a>> {
        let path = lab.directory().join("doctor.toml");
        fs::write(&path, config)?;
        Ok(Doctor {
            namespace,
            config: path,
        })
    }

    fn command(&self) -> anyhow::Result<Command> {
        let mut command = self.namespace.command(forwarder_binary()?);
        command.args(["--json", "doctor", "--config"]);
        command.arg(&self.config);
        Ok(command)
    }

    fn findings(&self) -> anyhow::Result<(Vec<Value>, Option<i32>)> {
        findings(&self.command()?.output()?)
    }

    fn finding(&self, check: &str) -> anyhow::Result<Value> {
        let (findings, _) = self.findings()?;
        let found = findings.iter().find(|one| one["check"] == check);
        Ok(found
            .with_context(|| format!("no {check}: {findings:?}"))?
            .clone())
    }

    /// The check is at this level; its very commands make it well.
    fn mend(&self, check: &str, level: &str) -> anyhow::Result<()> {
        let found = self.finding(check)?;
        ensure!(found["level"] == level, "{found}");
        let commands = found["commands"].as_array().context("no commands")?;
        ensure!(!commands.is_empty(), "{found}");
        for command in commands {
            self.namespace.run(command.as_str().context("no text")?)?;
        }
        let after = self.finding(check)?;
        ensure!(after["level"] == "ok", "{commands:?} left {after}");
        Ok(())
    }
}

fn findings(output: &Output) -> anyhow::Result<(Vec<Value>, Option<i32>)> {
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.stderr.is_empty(), "it said {said}");
    let findings = serde_json::from_slice(&output.stdout)?;
    Ok((findings, output.status.code()))
}

/// A namespace between two hosts, with everything as the kernel makes it, but for
/// the strict filter that distributions set.
fn untouched(lab: &Lab) -> anyhow::Result<Namespace> {
    let r1 = lab.namespace("r1")?;
    for (index, name) in ["a", "b"].into_iter().enumerate() {
        let host = lab.namespace(name)?;
        let dev = format!("eth{index}");
        let near = end(&r1, &dev).address(&format!("10.0.{index}.1/24"));
        lab.link(near, end(&host, "far0").offload())?;
        host.run("ethtool -K far0 gro off")?;
        r1.sysctl(&format!("net/ipv4/conf/{dev}/rp_filter"), "1")?;
    }
    Ok(r1)
}

#[test]
fn what_it_finds_is_mended_by_its_own_commands() {
    lab::test("doctor-mends", |lab| {
        let r1 = untouched(lab)?;
        let doctor = Doctor::new(lab, &r1, NATIVE)?;
        let (_, status) = doctor.findings()?;
        ensure!(status == Some(1), "it ended with {status:?}");
        doctor.mend("ip-forward", "problem")?;
        doctor.mend("rp-filter", "note")?;
        doctor.mend("multipath-hash", "note")?;
        // The peers of both ports, each in a namespace of its own.
        for dev in ["eth0", "eth1"] {
            let (findings, _) = doctor.findings()?;
            let deaf = findings.iter().filter(|one| one["check"] == "veth-peer");
            let deaf: Vec<_> = deaf.filter(|one| one["level"] == "problem").collect();
            ensure!(deaf[0]["interface"] == dev, "{deaf:?}");
            let command = deaf[0]["commands"][0].as_str().context("no command")?;
            r1.run(command)?;
        }
        doctor.mend("veth-checksum", "warning")?;
        r1.run("ip link set eth0 down")?;
        doctor.mend("link", "warning")?;
        r1.sysctl("net/ipv4/conf/eth1/forwarding", "0")?;
        let (findings, status) = doctor.findings()?;
        let off = findings.iter().find(|one| one["level"] == "problem");
        let off = off.context("forwarding off is no problem")?;
        ensure!(off["check"] == "forwarding" && status == Some(1), "{off}");
        r1.run(off["commands"][0].as_str().context("no command")?)?;
        let (findings, status) = doctor.findings()?;
        ensure!(status == Some(0), "it ended with {status:?}: {findings:?}");
        Ok(())
    });
}

#[test]
fn it_changes_nothing() {
    lab::test("doctor-looks", |lab| {
        let r1 = untouched(lab)?;
        let state = || -> anyhow::Result<String> {
            let mut state = r1.run("ip -details address show")?;
            state += &r1.run("ethtool -k eth0")?;
            state += &r1.run("sysctl -a --pattern ^net.ipv4.(conf|ip_forward)")?;
            Ok(state + &r1.run("ip neighbour show")?)
        };
        let before = state()?;
        Doctor::new(lab, &r1, NATIVE)?.findings()?;
        ensure!(before == state()?, "{before}\nbecame\n{}", state()?);
        Ok(())
    });
}

/// The machine's thresholds, put back when dropped.
struct Thresholds([(String, String); 3]);

impl Thresholds {
    fn read() -> anyhow::Result<Thresholds> {
        let read = |number: u32| {
            let path = format!("/proc/sys/net/ipv4/neigh/default/gc_thresh{number}");
            fs::read_to_string(&path).map(|value| (path, value))
        };
        Ok(Thresholds([read(1)?, read(2)?, read(3)?]))
    }
}

impl Drop for Thresholds {
    fn drop(&mut self) {
        for (path, value) in &self.0 {
            // Nobody is left to tell.
            let _ = fs::write(path, value.trim());
        }
    }
}

/// The neighbour tables are the machine's, whatever the namespace. Only ever
/// raised: other tests need not notice.
#[test]
fn room_for_neighbours_is_made_by_its_command() {
    let name = "doctor-neighbours";
    let thresholds = match Thresholds::read() {
        Ok(thresholds) => thresholds,
        Err(error) => return lab::skip(name, &format!("not in the initial namespace: {error}")),
    };
    lab::test(name, |lab| {
        let star = Star::new(lab)?;
        let doctor = Doctor::new(lab, &star.r1, NATIVE)?;
        if thresholds.0[2].1.trim().parse::<u32>()? > 3 * 1024 {
            lab::skip(name, "this machine already has room for many neighbours");
            return Ok(());
        }
        doctor.mend("neighbours-ipv4", "note")
    });
}

/// The bytes that the kernel accounts a program's maps with.
fn map_bytes(program: u64) -> anyhow::Result<u64> {
    let mut all = aya::programs::loaded_programs();
    let is_it = |info: &ProgramInfo| u64::from(info.id()) == program;
    let info = all.find_map(|info| info.ok().filter(is_it));
    let ids = info.context("the program is gone")?.map_ids()?;
    let mut bytes = 0;
    for id in ids.context("a kernel that does not tell a program's maps")? {
        let map = MapInfo::from_id(id)?.fd()?;
        let text = fs::read_to_string(format!("/proc/self/fdinfo/{}", map.as_fd().as_raw_fd()))?;
        let memlock = text.lines().find_map(|line| line.strip_prefix("memlock:"));
        bytes += memlock.context("no memlock")?.trim().parse::<u64>()?;
    }
    Ok(bytes)
}

#[test]
fn beside_a_running_daemon_it_finds_no_problem_and_knows_the_maps_sizes() {
    lab::test("doctor-daemon", |lab| {
        let star = Star::new(lab)?;
        let router = lab.start_router(&star.r1, NATIVE)?;
        star.warm_up(&router)?;
        let doctor = Doctor::new(lab, &star.r1, NATIVE)?;
        let (findings, status) = doctor.findings()?;
        ensure!(status == Some(0), "it ended with {status:?}: {findings:?}");
        let program = doctor.finding("xdp-program")?;
        ensure!(program["found"] == "the daemon's own", "{program}");
        let memory = doctor.finding("memory")?;
        let words = memory["found"].as_str().context("no text")?.split(' ');
        let said: u64 = words.flat_map(str::parse).next().context("no number")?;
        let links = star.r1.ip_json("link show dev eth0")?;
        let id = links[0]["xdp"]["prog"]["id"].as_u64();
        let bytes = map_bytes(id.context("no program")?)?;
        let actual = bytes >> 20;
        ensure!(actual > 0, "no maps were found");
        ensure!(
            said.abs_diff(actual) * 10 <= actual,
            "it says {said} MiB, the kernel {actual}"
        );
        Ok(())
    });
}

#[test]
fn somebody_elses_program_is_a_problem() {
    lab::test("doctor-other-xdp", |lab| {
        let star = Star::new(lab)?;
        let doctor = Doctor::new(lab, &star.r1, NATIVE)?;
        let other = star
            .r1
            .enter(|| Ok(Pass::attach("eth0", XdpMode::Driver)?))?;
        let found = doctor.finding("xdp-program")?;
        ensure!(found["level"] == "problem", "{found}");
        drop(other);
        let found = doctor.finding("xdp-program")?;
        ensure!(found["level"] == "ok", "{found}");
        Ok(())
    });
}

#[test]
fn without_root_it_says_what_it_could_not_look_at() {
    lab::test("doctor-no-root", |lab| {
        let star = Star::new(lab)?;
        // Others may be unable to reach the build directory, and /run may be
        // mounted noexec.
        let directory = tempfile::tempdir()?;
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755))?;
        let binary = directory.path().join("forwarder");
        fs::copy(forwarder_binary()?, &binary)?;
        let config = directory.path().join("forwarder.toml");
        fs::write(&config, NATIVE)?;
        let mut command = star.r1.command("setpriv");
        command
            .args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"])
            .arg(&binary)
            .args(["--json", "doctor", "--config"])
            .arg(&config);
        let (findings, status) = findings(&command.output()?)?;
        ensure!(status == Some(0), "it ended with {status:?}: {findings:?}");
        for (check, word) in [
            ("capabilities", "CAP_NET_ADMIN"),
            ("netfilter", "root"),
            ("veth-checksum", "could not be looked at"),
        ] {
            let found = findings.iter().find(|one| one["check"] == check);
            let found = found.with_context(|| format!("no {check}"))?;
            ensure!(found["level"] == "note", "{found}");
            let text = found["found"].as_str().unwrap_or_default();
            ensure!(text.contains(word), "{word:?} is not in {text}");
        }
        Ok(())
    });
}

#[test]
fn what_cannot_be_examined_is_an_error_of_its_own() {
    lab::test("doctor-bad-input", |lab| {
        let star = Star::new(lab)?;
        let doctor = Doctor::new(lab, &star.r1, "[dataplane]\nattach = \"sideways\"\n")?;
        let binary = forwarder_binary()?;
        let refused = |mut command: Command, words: &[&str]| {
            let output = command.output()?;
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            ensure!(output.status.code() == Some(2), "{}: {said}", output.status);
            ensure!(output.stdout.is_empty(), "it answered besides");
            for word in words {
                ensure!(said.contains(word), "{word:?} is not in {said}");
            }
            Ok(())
        };
        refused(doctor.command()?, &["doctor.toml", "2", "sideways"])?;
        let with = |arguments: &[&str]| {
            let mut command = star.r1.command(&binary);
            command.arg("doctor").args(arguments);
            command
        };
        refused(with(&["eth0", "eth7"]), &["eth7", "eth0, eth1, eth2"])?;
        let nowhere = "/nowhere/forwarder.toml";
        refused(with(&["--config", nowhere]), &[nowhere])?;
        refused(with(&["--fast"]), &["--fast", "Usage"])
    });
}
