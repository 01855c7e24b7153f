use super::*;

#[test]
fn a_kernel_that_the_daemon_refuses_is_a_problem() {
    let old = with(|facts| facts.kernel.version = Some((5, 9)));
    assert_eq!(finding(&old, "version").level, Level::Problem);
}

#[test]
fn an_older_kernel_is_told_what_it_lacks() {
    let lacks = |version| {
        let facts = with(|facts| facts.kernel.version = Some(version));
        let notes = judge(&facts)
            .into_iter()
            .filter(|one| one.level == Level::Note);
        notes.map(|note| note.check).collect::<Vec<_>>()
    };
    let all = [
        "generic-hook",
        "managed-neighbours",
        "multi-buffer",
        "xdp-features",
    ];
    assert_eq!(lacks((5, 10)), all);
    assert_eq!(lacks((5, 15)), all[1..]);
    assert_eq!(lacks((5, 16)), all[2..]);
    assert_eq!(lacks((5, 18)), all[3..]);
    assert_eq!(lacks((6, 3)), [""; 0]);
}

#[test]
fn a_kernel_without_a_number_is_not_judged_by_it() {
    let hidden = with(|facts| facts.kernel.version = None);
    assert_only(&hidden, "version", Level::Note, &[]);
}

#[test]
fn an_interpreted_program_is_a_problem() {
    let off = with(|facts| facts.kernel.jit = Ok(0));
    assert_only(
        &off,
        "jit",
        Level::Problem,
        &["sysctl -w net.core.bpf_jit_enable=1"],
    );
    let debug = with(|facts| facts.kernel.jit = Ok(2));
    assert_only(
        &debug,
        "jit",
        Level::Warning,
        &["sysctl -w net.core.bpf_jit_enable=1"],
    );
}

/// Other namespaces have no such sysctl.
#[test]
fn what_only_the_initial_namespace_has_is_mended_there() {
    let inside = with(|facts| {
        facts.kernel.jit = Ok(0);
        facts.initial_namespace = Some("/proc/1/ns/net");
    });
    let command = "nsenter --net=/proc/1/ns/net sysctl -w net.core.bpf_jit_enable=1";
    assert_only(&inside, "jit", Level::Problem, &[command]);
}

#[test]
fn blinded_constants_in_roots_programs_cost() {
    let mend = ["sysctl -w net.core.bpf_jit_harden=1"];
    let all = with(|facts| facts.kernel.jit_harden = Ok(2));
    assert_only(&all, "jit-harden", Level::Warning, &mend);
    assert_well(&with(|facts| facts.kernel.jit_harden = Ok(1)));
}

#[test]
fn without_btf_losses_are_not_counted() {
    let without = with(|facts| facts.kernel.btf = false);
    assert_only(&without, "btf", Level::Warning, &[]);
}

#[test]
fn without_a_bpffs_there_is_one_to_mount() {
    let without = with(|facts| facts.kernel.bpffs = Ok(false));
    assert_only(
        &without,
        "bpffs",
        Level::Note,
        &["mount -t bpf bpf /sys/fs/bpf"],
    );
}

#[test]
fn missing_capabilities_are_named() {
    let without = with(|facts| facts.kernel.missing_capabilities = vec!["CAP_BPF"]);
    assert_only(
        &without,
        "capabilities",
        Level::Note,
        &["sudo forwarder doctor"],
    );
    assert!(finding(&without, "capabilities").found.contains("CAP_BPF"));
}

#[test]
fn without_a_barrier_ids_rest_longer() {
    let without = with(|facts| facts.kernel.membarrier = false);
    assert_only(&without, "membarrier", Level::Note, &[]);
    let one_cpu = with(|facts| facts.cpus = 1);
    assert_only(&one_cpu, "membarrier", Level::Note, &[]);
}

#[test]
fn what_could_not_be_looked_at_says_why() {
    let hidden = with(|facts| facts.kernel.jit_harden = Err("permission denied".into()));
    assert_only(&hidden, "jit-harden", Level::Note, &[]);
    let found = finding(&hidden, "jit-harden");
    assert!(found.found.contains("permission denied"), "{found:?}");
    assert_eq!(found.meaning, None);
}
