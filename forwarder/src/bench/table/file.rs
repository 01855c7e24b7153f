//! A table from a file: one prefix a line, of both families in any order.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use anyhow::{Context as _, ensure};
use flate2::read::MultiGzDecoder;
use ipnet::IpNet;

use super::super::family::BenchFamily;

/// The prefixes of one family. `.gz` is unpacked; empty lines and what follows
/// a `#` are left out; a longer line's other columns are, too.
pub fn read<F: BenchFamily>(path: &Path) -> anyhow::Result<Vec<F::Prefix>> {
    let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
    let packed = path.extension().is_some_and(|end| end == "gz");
    let reader: Box<dyn Read> = if packed {
        Box::new(MultiGzDecoder::new(BufReader::new(file)))
    } else {
        Box::new(file)
    };
    let prefixes = parse::<F>(BufReader::new(reader))
        .with_context(|| format!("reading prefixes from {}", path.display()))?;
    ensure!(
        !prefixes.is_empty(),
        "{} holds no {} prefix",
        path.display(),
        F::NAME
    );
    Ok(prefixes)
}

pub(super) fn parse<F: BenchFamily>(reader: impl BufRead) -> anyhow::Result<Vec<F::Prefix>> {
    let mut prefixes = Vec::new();
    for (number, line) in (1..).zip(reader.lines()) {
        let line = line.with_context(|| {
            format!(
                "line {number} cannot be read: expected text, packed by gzip in a file named .gz"
            )
        })?;
        let text = line.split('#').next().unwrap_or_default();
        let Some(word) = text.split_whitespace().next() else {
            continue;
        };
        let net: IpNet = word.parse().with_context(|| {
            format!("line {number}: expected a prefix such as 198.51.100.0/24, found {word:?}")
        })?;
        prefixes.extend(F::from_net(net));
    }
    Ok(prefixes)
}
