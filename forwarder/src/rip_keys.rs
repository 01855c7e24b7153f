//! Reads the key files of RIP's authentication.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context as _, ensure};
use forwarder_core::config::{Glob, Rip};
use forwarder_core::rip::{Auth, Secret};

/// More than any key; a longer file is something else.
const SIZE_MAX: u64 = 1024;

/// The keys of each `[[rip.interface]]` that has some, by its name.
///
/// # Errors
/// A file that cannot be read or is no key.
pub fn load(rip: &Rip) -> anyhow::Result<BTreeMap<Glob, Auth>> {
    let mut loaded = BTreeMap::new();
    for interface in &rip.interface {
        if let Some(auth) = &interface.auth {
            let keys = auth.load(read);
            let keys = keys.with_context(|| format!("the keys of RIP on {}", interface.name))?;
            loaded.insert(interface.name.clone(), keys);
        }
    }
    Ok(loaded)
}

/// The first line of a file that is not everybody's to read.
fn read(path: &Path) -> anyhow::Result<Secret> {
    let name = path.display();
    let cannot = || format!("cannot read the key file {name}");
    let metadata = std::fs::metadata(path).with_context(cannot)?;
    ensure!(
        metadata.is_file() && metadata.len() <= SIZE_MAX,
        "{name} is no key file: it should be a file with one line"
    );
    ensure!(
        metadata.permissions().mode() & 0o007 == 0,
        "everybody may read or write the key file {name}: chmod o= {name}"
    );
    let bytes = std::fs::read(path).with_context(cannot)?;
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or(&[]);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    ensure!(
        !line.is_empty(),
        "the key file {name} begins with an empty line"
    );
    Ok(Secret::new(line))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use forwarder_core::config::Config;

    use super::*;

    /// What comes of a key file with these contents and this mode.
    fn with_file(contents: &str, mode: u32) -> Result<BTreeMap<Glob, Auth>, String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        fs::write(&path, contents).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let text = format!(
            "[rip]\n[[rip.interface]]\nname = \"eth1\"\n\
             auth = {{ type = \"md5\", keys = [{{ id = 3, key-file = {:?} }}] }}\n",
            path.display().to_string()
        );
        let config = Config::parse("test", &text).unwrap();
        load(&config.rip.unwrap()).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn a_key_is_the_first_line_of_its_file() {
        let with_key = |contents| with_file(contents, 0o640).unwrap();
        assert_eq!(with_key("secret"), with_key("secret\n"));
        assert_eq!(with_key("secret"), with_key("secret\r\n# for the ring\n"));
        assert_ne!(with_key("secret"), with_key("secret "));
    }

    #[test]
    fn files_that_are_no_keys_are_refused() {
        let refused = |contents: &str, mode| with_file(contents, mode).unwrap_err();
        assert!(refused("secret\n", 0o644).contains("chmod o="));
        assert!(refused("\nsecret\n", 0o600).contains("empty line"));
        assert!(refused(&"x".repeat(2000), 0o600).contains("no key file"));
        assert!(refused("seventeen letters\n", 0o600).contains("17 bytes"));
    }
}
