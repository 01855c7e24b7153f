use super::junit::{self, Tests};
use super::repository::{file_problems, impure};

#[test]
fn failures_and_errors_are_both_failed() {
    let text = r#"<?xml version="1.0"?>
<testsuites name="nextest-run" tests="12" failures="2" errors="1" uuid="x" time="1">
    <testsuite name="a" tests="12" disabled="0" errors="9" failures="9">"#;
    assert_eq!(
        junit::parse(text),
        Some(Tests {
            total: 12,
            failed: 3
        })
    );
}

#[test]
fn a_file_without_counts_is_no_result() {
    assert_eq!(junit::parse(""), None);
    assert_eq!(junit::parse("<testsuites name=\"x\">"), None);
}

#[test]
fn impure_crates_are_found_by_their_family() {
    let tree = "forwarder-core v0.1.0 (/x)\ntokio v1.54.1\nnetlink-sys v0.9.0\nnixos v1\ntokio v1.54.1 (*)\n";
    let found = impure(tree);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(
        found[0].contains("netlink-sys") && found[1].contains("tokio"),
        "{found:?}"
    );
}

#[test]
fn long_files_and_foreign_registries_are_reported() {
    assert!(file_problems("a.rs", &"x\n".repeat(800)).is_empty());
    assert_eq!(file_problems("a.rs", &"x\n".repeat(801)).len(), 1);
    let lock = "source = \"registry+https://github.com/rust-lang/crates.io-index\"\n";
    assert!(file_problems("Cargo.lock", lock).is_empty());
    assert_eq!(
        file_problems("Cargo.lock", "source = \"registry+https://mirror/\"\n").len(),
        1
    );
}

#[test]
fn paths_of_one_machine_are_reported_with_their_line() {
    let text = format!("fine\ncd /{}/me\n", "home");
    let found = file_problems("README.md", &text);
    assert_eq!(found.len(), 1);
    assert!(found[0].starts_with("README.md:2:"), "{found:?}");
}
