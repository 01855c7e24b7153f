//! What the documentation lists is what the program has.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::{Path, PathBuf};

use forwarder_common::reason::{PuntClass, Reason, Verdict};
use forwarder_core::config::{Config, PuntLimits};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
const COUNTERS: &str = include_str!("../../docs/counters.md");

/// The cells of a Markdown table's row.
fn cells(line: &str) -> Vec<&str> {
    line.trim_matches('|').split('|').map(str::trim).collect()
}

fn row<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
    let start = format!("| `{name}` |");
    let line = text.lines().find(|line| line.starts_with(&start));
    cells(line.unwrap_or_else(|| panic!("docs/counters.md has no row for {name}")))
}

#[test]
fn counters_md_has_a_row_for_each_reason() {
    let (reasons, _) = COUNTERS.split_once("## Punt classes").unwrap();
    for reason in Reason::ALL {
        let verdict = match reason.verdict() {
            Verdict::Forwarded => "forwarded",
            Verdict::Up => "up",
            Verdict::Dropped => "dropped",
            Verdict::Transmit => "transmit",
        };
        assert_eq!(row(reasons, reason.name())[1], verdict, "{reason:?}");
    }
    let rows = reasons
        .lines()
        .filter(|line| line.starts_with("| `"))
        .count();
    assert_eq!(
        rows,
        Reason::ALL.len(),
        "a row for a reason that is not there"
    );
}

#[test]
fn counters_md_has_each_punt_class_with_its_default_and_reasons() {
    let (_, classes) = COUNTERS.split_once("## Punt classes").unwrap();
    let defaults = PuntLimits::default();
    for (class, name) in PuntClass::ALL {
        let row = row(classes, name);
        assert_eq!(row[1], defaults.limit(*class).to_string(), "{name}");
        let of_class = Reason::ALL
            .iter()
            .filter(|reason| reason.punt_class() == Some(*class));
        let reasons: Vec<String> = of_class
            .map(|reason| format!("`{}`", reason.name()))
            .collect();
        assert_eq!(row[2], reasons.join(", "), "{name}");
    }
}

fn pages() -> Vec<PathBuf> {
    let mut pages: Vec<PathBuf> = ["README.md", "ARCHITECTURE.md", "CHANGELOG.md"]
        .map(|name| Path::new(ROOT).join(name))
        .into();
    for directory in ["docs", "docs/adr"] {
        let entries = std::fs::read_dir(Path::new(ROOT).join(directory)).unwrap();
        pages.extend(entries.map(|entry| entry.unwrap().path()));
    }
    pages.retain(|page| page.extension().is_some_and(|extension| extension == "md"));
    pages
}

#[test]
fn links_between_pages_lead_somewhere() {
    for page in pages() {
        let text = std::fs::read_to_string(&page).unwrap();
        for rest in text.split("](").skip(1) {
            let (target, _) = rest.split_once(')').unwrap();
            if target.starts_with("http") || target.starts_with('#') {
                continue;
            }
            let file = page
                .parent()
                .unwrap()
                .join(target.split('#').next().unwrap());
            assert!(file.exists(), "{} links to {target}", page.display());
        }
    }
}

/// Whole configurations in the documentation are valid ones.
#[test]
fn configurations_in_the_documentation_are_valid() {
    for page in pages() {
        let text = std::fs::read_to_string(&page).unwrap();
        for block in text.split("```toml\n").skip(1) {
            let (block, _) = block.split_once("```").unwrap();
            if let Err(error) = Config::parse(&page.display().to_string(), block) {
                panic!("{error}");
            }
        }
    }
}
