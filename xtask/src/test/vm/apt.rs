//! Debian packages that are downloaded and unpacked, not installed: by a
//! configuration of apt's own under `target/vm/apt`, with the machine's sources,
//! the security suite of the release before, which has the oldest kernel, and
//! the backports, which have a QEMU without the faults of Debian 12's (machine.rs).
//!
//! Not installed, since that would change what the operator has: a QEMU of
//! Debian 12 drives out newer tools of QEMU's, and busybox-static busybox.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};

use crate::shell;

/// Suites that are wanted, and those of the machine's whose mirrors have them,
/// too.
const SUITES: [(&str, &str); 2] = [
    ("bullseye-security", "bookworm-security"),
    ("bookworm-backports", "bookworm"),
];
/// As good as the others': the newest version is taken.
const PREFERENCES: &str = "Package: *\nPin: release n=bookworm-backports\nPin-Priority: 500\n";
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// apt with its lists and its cache in a directory of ours.
pub(super) struct Apt {
    directory: PathBuf,
}

impl Apt {
    /// Writes the configuration; downloads nothing.
    pub(super) fn new(directory: &Path) -> anyhow::Result<Apt> {
        for part in ["lists/partial", "cache/archives/partial"] {
            let path = directory.join(part);
            fs::create_dir_all(&path).with_context(|| format!("making {}", path.display()))?;
        }
        let apt = Apt {
            directory: directory.to_path_buf(),
        };
        fs::write(directory.join("sources.list"), sources())?;
        fs::write(directory.join("preferences"), PREFERENCES)?;
        fs::write(apt.file(), apt.configuration())
            .with_context(|| format!("writing {}", apt.file().display()))?;
        Ok(apt)
    }

    /// Fetches the lists. A suite that cannot be had shows when a package of
    /// it is looked for.
    pub(super) fn update(&self) {
        if let Err(error) = shell::run(self.command("apt-get").args(["update", "--quiet=2"])) {
            shell::complain(&error);
        }
    }

    /// The newest package whose name matches `pattern`.
    pub(super) fn newest(&self, pattern: &str) -> anyhow::Result<String> {
        let search = self
            .command("apt-cache")
            .args(["search", "--names-only", pattern])
            .output();
        let output = search.context("starting apt-cache")?;
        let names = String::from_utf8_lossy(&output.stdout).into_owned();
        let names = names
            .lines()
            .filter_map(|line| line.split_whitespace().next());
        names
            .max_by_key(|name| version_key(name))
            .map(str::to_owned)
            .with_context(|| format!("no package {pattern} in this machine's sources"))
    }

    /// Downloads a package without what it depends on.
    pub(super) fn download(&self, package: &str) -> anyhow::Result<PathBuf> {
        let into = self.directory.join("kernels");
        fs::create_dir_all(&into)?;
        let mut download = self.command("apt-get");
        download
            .args(["download", "--quiet=2", package])
            .current_dir(&into);
        shell::run(&mut download)?;
        let prefix = format!("{package}_");
        packages(&into)?
            .into_iter()
            .find(|file| {
                file.file_name()
                    .is_some_and(|name| name.to_string_lossy().starts_with(&prefix))
            })
            .with_context(|| format!("apt-get did not leave {package}"))
    }

    /// Downloads what an installation of these would add to the system, and
    /// unpacks it below `root`.
    pub(super) fn unpack(&self, names: &[&str], root: &Path) -> anyhow::Result<()> {
        let mut download = self.command("apt-get");
        download.args(["install", "--download-only", "--yes", "--quiet=2"]);
        download.args(["--no-install-recommends", "--reinstall"]);
        download.args(names).stdout(Stdio::null());
        shell::run(&mut download)?;
        fs::create_dir_all(root)?;
        let archives = packages(&self.directory.join("cache/archives"))?;
        ensure!(!archives.is_empty(), "apt-get has downloaded nothing");
        for archive in archives {
            shell::run(shell::command("dpkg-deb").arg("-x").arg(archive).arg(root))?;
        }
        Ok(())
    }

    fn file(&self) -> PathBuf {
        self.directory.join("apt.conf")
    }

    fn command(&self, program: &str) -> Command {
        let mut command = shell::command(program);
        command.env("APT_CONFIG", self.file());
        command
    }

    fn configuration(&self) -> String {
        let directory = self.directory.display();
        format!(
            "Dir::Etc::sourcelist \"{directory}/sources.list\";\n\
             Dir::Etc::preferences \"{directory}/preferences\";\n\
             Dir::State::lists \"{directory}/lists\";\n\
             Dir::Cache \"{directory}/cache\";\n\
             Acquire::Languages \"none\";\n\
             APT::Sandbox::User \"root\";\n\
             Debug::NoLocking \"true\";\n"
        )
    }
}

/// The machine's own `sources.list` (its `sources.list.d` is read anyhow), and
/// the other suites.
fn sources() -> String {
    let mut all = fs::read_to_string("/etc/apt/sources.list").unwrap_or_default();
    let mut list = shell::command("apt-get");
    list.args(["indextargets", "--format", "$(RELEASE) $(REPO_URI)"]);
    let targets = shell::output(&mut list).unwrap_or_default();
    for (wanted, known) in SUITES {
        if let Some(mirror) = mirror(&targets, known) {
            all.push_str(&format!(
                "\ndeb [signed-by={KEYRING}] {mirror} {wanted} main\n"
            ));
        }
    }
    all
}

/// The mirror of a suite in `apt-get indextargets`'s lines.
fn mirror<'a>(targets: &'a str, suite: &str) -> Option<&'a str> {
    targets
        .lines()
        .find_map(|line| line.strip_prefix(suite)?.strip_prefix(' '))
}

/// Numbers in a name compare as numbers: 6.12.100 is newer than 6.12.99.
fn version_key(name: &str) -> Vec<u64> {
    name.split(|letter: char| !letter.is_ascii_digit())
        .filter_map(|digits| digits.parse().ok())
        .collect()
}

fn packages(directory: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries =
        fs::read_dir(directory).with_context(|| format!("reading {}", directory.display()))?;
    let files = entries.flatten().map(|entry| entry.path());
    Ok(files
        .filter(|file| file.extension().is_some_and(|end| end == "deb"))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::{mirror, version_key};

    #[test]
    fn numbers_in_package_names_compare_as_numbers() {
        let newest = [
            "linux-image-6.12.99",
            "linux-image-6.12.117",
            "linux-image-6.12.9",
        ]
        .into_iter()
        .max_by_key(|name| version_key(name));
        assert_eq!(newest, Some("linux-image-6.12.117"));
    }

    #[test]
    fn the_mirror_is_that_of_the_suite() {
        let targets = "bookworm-security mirror:/debian-security/\nbookworm mirror:/debian/\n";
        assert_eq!(mirror(targets, "bookworm"), Some("mirror:/debian/"));
        let security = mirror(targets, "bookworm-security");
        assert_eq!(security, Some("mirror:/debian-security/"));
        assert_eq!(mirror("bookworm mirror:/debian/\n", "bullseye"), None);
    }
}
