//! Reads a configuration file from disk.

use std::path::Path;

use anyhow::Context as _;
use forwarder_core::config::Config;

/// Largest file that is read: 64 bytes for each of a million static routes.
const SIZE_MAX: u64 = 64 << 20;

/// Reads and checks the file at `path`.
///
/// # Errors
/// It cannot be read, or what is wrong with it and where.
pub fn load(path: &Path) -> anyhow::Result<Config> {
    let name = path.display();
    let size = std::fs::metadata(path)
        .with_context(|| format!("cannot read the configuration file {name}"))?
        .len();
    anyhow::ensure!(
        size <= SIZE_MAX,
        "{name} is no configuration file: it has {size} bytes"
    );
    let bytes = std::fs::read(path)
        .with_context(|| format!("cannot read the configuration file {name}"))?;
    let Ok(text) = String::from_utf8(bytes) else {
        anyhow::bail!("{name} is no configuration file: it is not UTF-8 text");
    };
    Ok(Config::parse(&name.to_string(), &text)?)
}

/// The same, but the defaults where there is no such file.
///
/// # Errors
/// As [`load`].
pub fn load_or_default(path: &Path) -> anyhow::Result<Config> {
    if path.try_exists().unwrap_or(true) {
        load(path)
    } else {
        Ok(Config::default())
    }
}
