//! Network namespaces for tests: each in a thread of its own, unnamed, gone
//! with the thread, so that tests run side by side and leave nothing behind.

use std::future::Future;
use std::process::{Command, Output};
use std::time::Duration;

use nix::sched::{CloneFlags, unshare};

/// What a condition has to become true within.
pub(crate) const DEADLINE: Duration = Duration::from_secs(10);

/// Runs a test in a new network namespace with only `lo`, which is up, in a
/// runtime of one thread.
pub(crate) fn in_namespace<F: Future<Output = ()>>(test: impl FnOnce() -> F + Send + 'static) {
    if !nix::unistd::geteuid().is_root() {
        return skip("making a network namespace needs root");
    }
    let body = move || {
        unshare(CloneFlags::CLONE_NEWNET).expect("a network namespace");
        run("ip link set lo up");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.expect("a runtime").block_on(test());
    };
    let thread = std::thread::Builder::new()
        .name(test_name())
        .spawn(body)
        .expect("a thread");
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// The name of the test that this thread runs: nextest says it, the plain
/// harness and [`in_namespace`] name the thread after it.
fn test_name() -> String {
    let thread = std::thread::current();
    let name = || thread.name().unwrap_or("test").to_owned();
    std::env::var("NEXTEST_TEST_NAME").unwrap_or_else(|_| name())
}

/// Reports that the test of this thread can't run. The harness knows only
/// passed and failed: `cargo xtask test` reads the reason from a file.
pub(crate) fn skip(reason: &str) {
    let name = test_name().replace("::", ".");
    eprintln!("SKIPPED: {name}: {reason}");
    if let Some(directory) = std::env::var_os("FORWARDER_SKIPPED_DIR") {
        std::fs::create_dir_all(&directory).expect("the directory of skipped tests");
        let path = std::path::Path::new(&directory).join(name);
        std::fs::write(path, reason).expect("the reason of a skipped test");
    }
}

/// Runs a command in the namespace of the calling thread; words are separated
/// by spaces. `None` where there is no such program.
pub(crate) fn try_run(command: &str) -> Option<Output> {
    let mut words = command.split_whitespace();
    let program = words.next().expect("a command");
    Command::new(program).args(words).output().ok()
}

/// Runs a command that has to succeed: its standard output.
pub(crate) fn run(command: &str) -> String {
    let output = try_run(command).unwrap_or_else(|| panic!("{command}: no such program"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command}: {errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Feeds lines to `ip -batch`, which is much faster than a process a line.
pub(crate) fn ip_batch(lines: &str) {
    use std::io::Write as _;
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(lines.as_bytes()).expect("writing it");
    run(&format!("ip -batch {}", file.path().display()));
}

/// A pair of veth devices, both up, both in this namespace; `v0` has
/// 192.0.2.1/24.
pub(crate) fn veth_pair() {
    run("ip link add v0 type veth peer name v1");
    run("ip addr add 192.0.2.1/24 dev v0");
    run("ip link set v0 up");
    run("ip link set v1 up");
}

/// The index of an interface.
pub(crate) fn ifindex(name: &str) -> forwarder_core::net::Ifindex {
    forwarder_core::net::Ifindex(nix::net::if_::if_nametoindex(name).expect(name))
}

/// A channel whose events nobody in the test looks at.
pub(crate) fn unwatched<T: Send + 'static>() -> tokio::sync::mpsc::Sender<T> {
    let (sender, mut receiver) = tokio::sync::mpsc::channel(8);
    tokio::spawn(async move { while receiver.recv().await.is_some() {} });
    sender
}
