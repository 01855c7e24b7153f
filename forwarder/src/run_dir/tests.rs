use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::{RunDir, RunDirError};
use crate::paths::Paths;

fn paths(base: &Path) -> Paths {
    Paths::below(
        "a".parse().unwrap(),
        &base.join("run"),
        &base.join("bpf"),
        &base.join("state"),
    )
}

#[test]
fn a_second_claim_is_refused_with_the_pid_of_the_first() {
    let base = tempfile::tempdir().unwrap();
    let paths = paths(base.path());
    let first = RunDir::claim(&paths).unwrap();
    let error = RunDir::claim(&paths).unwrap_err();
    let RunDirError::Running { pid, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!(*pid, std::process::id().to_string());
    assert!(
        error.to_string().contains("forwarder --instance a stop"),
        "{error}"
    );
    drop(first);
    RunDir::claim(&paths).unwrap();
}

#[test]
fn nothing_is_left_behind() {
    let base = tempfile::tempdir().unwrap();
    let paths = paths(base.path());
    drop(RunDir::claim(&paths).unwrap());
    assert!(!paths.run_dir.exists());
}

#[tokio::test]
async fn the_socket_is_for_owner_and_group_and_the_directory_for_all() {
    let base = tempfile::tempdir().unwrap();
    let paths = paths(base.path());
    let dir = RunDir::claim(&paths).unwrap();
    let _listener = dir.listen().unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&paths.api_socket()), 0o660);
    assert_eq!(mode(&paths.run_dir), 0o755);
    assert_eq!(paths.instances(), ["a"]);
}

#[tokio::test]
async fn a_leftover_of_a_crash_is_replaced() {
    let base = tempfile::tempdir().unwrap();
    let paths = paths(base.path());
    std::fs::create_dir_all(&paths.run_dir).unwrap();
    std::fs::write(paths.run_dir.join("pid"), "999999\n").unwrap();
    drop(std::os::unix::net::UnixListener::bind(paths.api_socket()).unwrap());
    let dir = RunDir::claim(&paths).unwrap();
    dir.listen().unwrap();
}

#[tokio::test]
async fn a_path_beyond_sun_path_is_named() {
    let base = tempfile::tempdir().unwrap();
    let paths = paths(&base.path().join("x".repeat(120)));
    let error = RunDir::claim(&paths).unwrap().listen().unwrap_err();
    assert!(error.to_string().contains("--run-dir"), "{error}");
}

#[test]
fn many_claims_at_once_have_one_holder_at_a_time() {
    let base = tempfile::tempdir().unwrap();
    let paths = paths(base.path());
    let holders = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..50 {
                    let Ok(dir) = RunDir::claim(&paths) else {
                        continue;
                    };
                    assert_eq!(holders.fetch_add(1, std::sync::atomic::Ordering::SeqCst), 0);
                    holders.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                    drop(dir);
                }
            });
        }
    });
}

#[test]
fn instance_names_stay_within_the_base() {
    for bad in ["", ".", "..", ".x", "a/b", "a b", "é", &"x".repeat(33)] {
        assert!(bad.parse::<crate::paths::InstanceName>().is_err(), "{bad}");
    }
    assert!("r1.lab_2-x".parse::<crate::paths::InstanceName>().is_ok());
}
