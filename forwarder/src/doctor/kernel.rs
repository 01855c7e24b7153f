//! What the kernel can do.

use super::facts::{Facts, Kernel};
use super::finding::{Check, Finding, Group};
use crate::dataplane::object::OLDEST_KERNEL;

/// What later kernels have that the daemon does without on older ones.
const SINCE: [((u32, u32), &str, &str); 4] = [
    (
        (5, 15),
        "generic-hook",
        "The generic hook refuses the program (before Linux 5.15): only devices with \
         native XDP become ports.",
    ),
    (
        (5, 16),
        "managed-neighbours",
        "Neighbours in use are kept resolved by asking for them every 15 s, because the kernel \
         has no managed neighbours (Linux 5.16).",
    ),
    (
        (5, 18),
        "multi-buffer",
        "Programs see a frame only in one buffer (before Linux 5.18): ports with jumbo frames get \
         the generic hook.",
    ),
    (
        (6, 3),
        "xdp-features",
        "The kernel does not tell what drivers can do with XDP (before Linux 6.3): a port that \
         takes no redirected frames is known only by its losses, and a veth gets none, unless \
         `attach = \"native\"`.",
    ),
];

pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    let kernel = &facts.kernel;
    let mut findings = versions(kernel);
    findings.extend([
        capabilities(kernel),
        btf(kernel),
        jit(facts),
        jit_harden(facts),
        bpffs(kernel),
        grace(facts),
    ]);
    findings
}

const fn check(name: &'static str) -> Check<'static> {
    Check::new(Group::Kernel, name)
}

fn versions(kernel: &Kernel) -> Vec<Finding> {
    let release = format!("Linux {}", kernel.release);
    let Some(version) = kernel.version else {
        let meaning = "What it can do is not known by its number; the daemon finds out.";
        return vec![check("version").note(release, meaning)];
    };
    let (major, minor) = OLDEST_KERNEL;
    if version < OLDEST_KERNEL {
        let meaning = format!("The daemon refuses to start: it needs Linux {major}.{minor}.");
        return vec![check("version").problem(release, meaning)];
    }
    let lost = SINCE.iter().filter(|(since, ..)| version < *since);
    std::iter::once(check("version").ok(&release))
        .chain(lost.map(|(_, name, meaning)| check(name).note(&release, *meaning)))
        .collect()
}

fn capabilities(kernel: &Kernel) -> Finding {
    let check = check("capabilities");
    if kernel.missing_capabilities.is_empty() {
        return check.ok("all that the daemon needs");
    }
    check
        .note(
            format!(
                "this caller lacks {}",
                kernel.missing_capabilities.join(", ")
            ),
            "The daemon needs them; the doctor cannot look at everything without them.",
        )
        .mend("sudo forwarder doctor")
}

fn btf(kernel: &Kernel) -> Finding {
    if kernel.btf {
        return check("btf").ok("there");
    }
    check("btf").warning(
        "/sys/kernel/btf/vmlinux is not there",
        "Frames lost after the redirect are not counted, and a port that loses them all is not \
         noticed: run a kernel with CONFIG_DEBUG_INFO_BTF.",
    )
}

fn jit(facts: &Facts) -> Finding {
    let check = check("jit");
    let mend = || facts.initial("net.core.bpf_jit_enable=1");
    match &facts.kernel.jit {
        Err(why) => check.hidden(why),
        Ok(0) => check
            .problem(
                "net.core.bpf_jit_enable is 0",
                "The program is interpreted, which takes several times as long a packet.",
            )
            .mend(mend()),
        Ok(1) => check.ok("on"),
        Ok(value) => check
            .warning(
                format!("net.core.bpf_jit_enable is {value}"),
                "Machine code is written to the kernel's log: for debugging only.",
            )
            .mend(mend()),
    }
}

fn jit_harden(facts: &Facts) -> Finding {
    let check = check("jit-harden");
    match &facts.kernel.jit_harden {
        Err(why) => check.hidden(why),
        Ok(value @ 0..=1) => check.ok(format!("{value}: not for programs of root")),
        Ok(value) => check
            .warning(
                format!("net.core.bpf_jit_harden is {value}"),
                "Constants are blinded in root's programs too, which makes the program longer and \
                 slower.",
            )
            .mend(facts.initial("net.core.bpf_jit_harden=1")),
    }
}

fn bpffs(kernel: &Kernel) -> Finding {
    let dir = kernel.bpf_dir.display();
    match &kernel.bpffs {
        Err(why) => check("bpffs").hidden(why),
        Ok(true) => check("bpffs").ok(format!("{dir} is on one")),
        Ok(false) => check("bpffs")
            .note(
                format!("{dir} is not on a BPF file system"),
                "Nothing can be pinned there.",
            )
            .mend("mount -t bpf bpf /sys/fs/bpf"),
    }
}

/// A grace period without `membarrier` is 2 s of waiting (`dataplane::grace`).
fn grace(facts: &Facts) -> Finding {
    let waits = "Next hops and rows that have been given up rest 2 s instead of some 10 ms before \
                 they are used again: a nearly full table takes changes slower.";
    match (facts.cpus, facts.kernel.membarrier) {
        (0..=1, _) => check("membarrier").note("one CPU online, where it does nothing", waits),
        (_, false) => check("membarrier").note("this kernel has no global membarrier", waits),
        (cpus, true) => check("membarrier").ok(format!("there, {cpus} CPUs online")),
    }
}
