//! Other network namespaces: entered by a thread that ends with its look.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use nix::sched::{CloneFlags, setns};

use crate::doctor::facts::Place;
use crate::kernel::Survey;

/// Where the namespace that the machine started with may be entered: init's, and
/// that of the kernel's own threads, which some sandboxes leave readable alone.
const INITIAL: [&str; 2] = ["/proc/1/ns/net", "/proc/2/ns/net"];
/// Where `ip netns` keeps them.
const NAMED: &str = "/run/netns";
/// A sysctl that only the initial namespace has.
const ONLY_THERE: &str = "/proc/sys/net/core/netdev_max_backlog";

fn is_initial() -> bool {
    Path::new(ONLY_THERE).exists()
}

/// Where the initial namespace can be entered; `None` = the calling thread is in
/// it. The first place where none of them can: as root of the machine it can.
pub(super) fn initial() -> Option<&'static str> {
    if is_initial() {
        return None;
    }
    let works = |path: &&str| matches!(enter(path, is_initial), Ok(true));
    let [first, ..] = INITIAL;
    Some(INITIAL.into_iter().find(works).unwrap_or(first))
}

/// Looks at something from within a namespace.
pub(super) fn enter<T: Send>(
    path: impl AsRef<Path>,
    look: impl FnOnce() -> T + Send,
) -> io::Result<T> {
    let file = File::open(path)?;
    std::thread::scope(|scope| {
        let inside = scope.spawn(|| {
            setns(&file, CloneFlags::CLONE_NEWNET)?;
            Ok(look())
        });
        inside
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("the look into it failed")))
    })
}

/// The namespace that has this number here: where it is, and the file to enter
/// it by.
pub(super) async fn by_number(survey: &mut Survey, number: i32) -> (Place, Option<PathBuf>) {
    let named = std::fs::read_dir(NAMED).into_iter().flatten().flatten();
    let mut candidates: Vec<(Place, PathBuf)> = named
        .map(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            (Place::Named(name), entry.path())
        })
        .collect();
    if let Some(path) = initial() {
        candidates.push((Place::Initial(path), PathBuf::from(path)));
    }
    for (place, path) in candidates {
        let Ok(file) = File::open(&path) else {
            continue;
        };
        if matches!(survey.namespace_number(&file).await, Ok(Some(found)) if found == number) {
            return (place, Some(path));
        }
    }
    (Place::Elsewhere, None)
}
