//! What processes take of the machine: CPU time and memory, of all of a router's
//! daemons together.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use nix::time::ClockId;
use nix::unistd::Pid;
use serde::Serialize;

use crate::lab::LONG;

/// A daemon that uses less than this share of a CPU has nothing to do but to
/// watch its timers.
const IDLE: f64 = 0.02;
/// For how long it is looked at, and how often in a row it must be idle.
const LOOK: Duration = Duration::from_millis(50);
const LOOKS: u32 = 2;

/// CPU time since their start, to the nanosecond: /proc/PID/stat counts in
/// hundredths of a second, which is what an update takes.
pub(super) fn cpu(pids: &[u32]) -> anyhow::Result<Duration> {
    let mut sum = Duration::ZERO;
    for pid in pids {
        let clock = ClockId::pid_cpu_clock_id(Pid::from_raw(i32::try_from(*pid)?));
        let time = clock.and_then(ClockId::now);
        sum += Duration::from(time.with_context(|| format!("asking for the CPU time of {pid}"))?);
    }
    Ok(sum)
}

/// Waits until they have done all they were given to do, and returns the CPU
/// time that they had used when they were found to be idle for the first time.
pub(super) fn wait_until_idle(pids: &[u32]) -> anyhow::Result<Duration> {
    let end = Instant::now() + LONG;
    let mut before = cpu(pids)?;
    let mut idle = Vec::new();
    while Instant::now() < end {
        let start = Instant::now();
        std::thread::sleep(LOOK);
        let now = cpu(pids)?;
        if (now - before).as_secs_f64() < IDLE * start.elapsed().as_secs_f64() {
            idle.push(before);
        } else {
            idle.clear();
        }
        before = now;
        if idle.len() >= LOOKS as usize {
            return Ok(idle[0]);
        }
    }
    anyhow::bail!("the daemon has been busy for {LONG:?} with what it was sent")
}

/// Bytes of memory.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, Serialize)]
pub struct Memory {
    /// Its own, in RAM or swapped out: heap and stacks, without programs'
    /// code and without BPF maps.
    pub anonymous: u64,
    /// Resident, code and libraries included, BPF maps left out.
    pub resident: u64,
    /// BPF maps that are mapped: the fast path's table.
    pub maps: u64,
}

/// Of all of them together.
pub(super) fn memory(pids: &[u32]) -> anyhow::Result<Memory> {
    let mut sum = Memory::default();
    for pid in pids {
        let path = format!("/proc/{pid}/smaps");
        let text = fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
        ensure!(!text.is_empty(), "{path} is empty: the daemon has ended");
        let one = parse(&text);
        sum.anonymous += one.anonymous;
        sum.resident += one.resident;
        sum.maps += one.maps;
    }
    Ok(sum)
}

/// proc_pid_smaps(5): a line for each mapping, then its fields.
fn parse(text: &str) -> Memory {
    let mut memory = Memory::default();
    let mut is_map = false;
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let (Some(name), value) = (words.next(), words.next()) else {
            continue;
        };
        if !name.ends_with(':') {
            is_map = line.ends_with("bpf-map");
            continue;
        }
        let bytes = value
            .and_then(|value| value.parse::<u64>().ok())
            .unwrap_or(0)
            * 1024;
        match name {
            "Rss:" if is_map => memory.maps += bytes,
            "Rss:" => memory.resident += bytes,
            "Anonymous:" | "Swap:" if !is_map => memory.anonymous += bytes,
            _ => {}
        }
    }
    memory
}

#[cfg(test)]
mod tests {
    use super::{Memory, parse};

    #[test]
    fn bpf_maps_are_counted_apart() {
        let text = "\
55d0-55d1 rw-p 00000000 00:00 0                          [heap]
Size:                 12 kB
Rss:                   8 kB
Anonymous:             8 kB
Swap:                  4 kB
7f00-7f01 r-xp 00000000 08:01 12                         /usr/lib/libc.so.6
Rss:                 100 kB
Anonymous:             0 kB
VmFlags: rd ex mr mw me
7f02-7f03 rw-s 00000000 00:0e 1057                       anon_inode:bpf-map
Rss:                2048 kB
Anonymous:             0 kB
";
        let expected = Memory {
            anonymous: 12 << 10,
            resident: 108 << 10,
            maps: 2048 << 10,
        };
        assert_eq!(parse(text), expected);
    }
}
