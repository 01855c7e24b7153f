//! The findings for people: group by group, the worst first, what is well in one
//! line.

use std::fmt::Write as _;

use super::finding::{Finding, Group, Level};

/// Where text is wrapped, terminals being at least this wide.
const WIDTH: usize = 80;
/// Width of the column of levels.
const LEVEL: usize = 9;
/// Of what stands behind it and below.
const INDENT: usize = 2 + LEVEL;

/// The text; `all` shows in full what is well, too.
pub fn render(findings: &[Finding], all: bool) -> String {
    let mut text = String::new();
    let same = |a: &Finding, b: &Finding| (a.group, &a.interface) == (b.group, &b.interface);
    for group in findings.chunk_by(same) {
        section(&mut text, group, all);
    }
    let _ = writeln!(text, "{}", summary(findings));
    text
}

fn section(text: &mut String, group: &[Finding], all: bool) {
    let Some(first) = group.first() else { return };
    let name = first.interface.as_deref();
    let heading = match (first.group, name) {
        (Group::Interface, Some(name)) => format!("interface {name}"),
        (group, _) => group.name().to_owned(),
    };
    let _ = writeln!(text, "{heading}");
    let mut shown: Vec<&Finding> = group
        .iter()
        .filter(|finding| all || finding.level != Level::Ok)
        .collect();
    shown.sort_by_key(|finding| std::cmp::Reverse(finding.level));
    for finding in shown {
        paragraph(text, finding);
    }
    let well = group.iter().filter(|finding| finding.level == Level::Ok);
    let well: Vec<&str> = well.map(|finding| finding.check).collect();
    if !all && !well.is_empty() {
        wrap(text, Level::Ok.name(), &well.join(", "));
    }
    text.push('\n');
}

fn paragraph(text: &mut String, finding: &Finding) {
    let Finding {
        level,
        check,
        found,
        meaning,
        commands,
        ..
    } = finding;
    wrap(text, level.name(), &format!("{check}: {found}"));
    if let Some(meaning) = meaning {
        wrap(text, "", meaning);
    }
    // Never wrapped: they are to be copied.
    for command in commands {
        let _ = writeln!(text, "{:INDENT$}# {command}", "");
    }
}

/// Writes words behind the column of levels.
fn wrap(text: &mut String, level: &str, words: &str) {
    let mut line = format!("  {level:LEVEL$}");
    let mut empty = true;
    for word in words.split_whitespace() {
        let width = line.chars().count() + 1 + word.chars().count();
        if !empty && width > WIDTH {
            let _ = writeln!(text, "{}", line.trim_end());
            line = " ".repeat(INDENT);
            empty = true;
        }
        if !empty {
            line.push(' ');
        }
        line.push_str(word);
        empty = false;
    }
    let _ = writeln!(text, "{line}");
}

/// "1 problem, 2 notes"
fn summary(findings: &[Finding]) -> String {
    let count = |level: Level| {
        let number = findings.iter().filter(|one| one.level == level).count();
        let plural = if number == 1 { "" } else { "s" };
        (number > 0).then(|| format!("{number} {}{plural}", level.name()))
    };
    let levels = [Level::Problem, Level::Warning, Level::Note];
    let counts: Vec<String> = levels.into_iter().filter_map(count).collect();
    match counts.as_slice() {
        [] => "all is well".to_owned(),
        counts => counts.join(", "),
    }
}
