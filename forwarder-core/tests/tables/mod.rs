//! Tables in `docs/` that name tests, and the tests that there are.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A file of `docs/`.
pub(crate) fn document(name: &str) -> String {
    fs::read_to_string(root().join("docs").join(name)).expect("the table")
}

/// Every function in the Rust sources that have tests.
pub(crate) fn written() -> BTreeSet<String> {
    let mut written = BTreeSet::new();
    for directory in ["forwarder-core", "forwarder/src", "tests"] {
        functions(&root().join(directory), &mut written);
    }
    written
}

/// Names of functions in the Rust sources below a directory.
fn functions(directory: &Path, names: &mut BTreeSet<String>) {
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            functions(&path, names);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let source = fs::read_to_string(&path).expect("a source file");
            names.extend(source.split("\nfn ").skip(1).filter_map(name));
            names.extend(source.split(" fn ").skip(1).filter_map(name));
        }
    }
}

fn name(after: &str) -> Option<String> {
    let (name, _) = after.split_once(['(', '<'])?;
    Some(name.to_owned())
}

/// What is in back quotes, and whether a † follows.
pub(crate) fn quoted(text: &str) -> Vec<(&str, bool)> {
    let parts: Vec<_> = text.split('`').collect();
    let pairs = parts.windows(2).skip(1).step_by(2);
    pairs
        .map(|pair| (pair[0], pair[1].starts_with('†')))
        .collect()
}
