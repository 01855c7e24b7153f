//! What is wrong with a configuration file, and where: one error for people,
//! with the line itself and a mark under the place.

use std::fmt;
use std::ops::Range;

/// A configuration that cannot be used.
///
/// Shown as `FILE:LINE:COLUMN: what is wrong`, the line, and what would be
/// right.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConfigError {
    /// The file's name as it was given.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What would be right, where that is more than the message says.
    pub help: Option<String>,
    /// The line itself, control characters blanked.
    excerpt: String,
    /// How many characters of it are meant; at least 1.
    width: usize,
}

/// A problem at a byte range of the text. What the checks return; the file's
/// name and the line are added once, at the top.
#[derive(Debug)]
pub(super) struct Fault {
    /// Bytes of the text; the start of the file where nothing is known.
    pub(super) span: Range<usize>,
    /// What is wrong.
    pub(super) message: String,
    /// What would be right.
    pub(super) help: Option<String>,
    /// Where the thing that this one repeats stands.
    pub(super) first: Option<usize>,
}

impl Fault {
    pub(super) fn new(
        span: Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        Fault {
            span,
            message: message.into(),
            help: Some(help.into()),
            first: None,
        }
    }

    /// Names the line of the thing that this one repeats.
    pub(super) fn repeats(mut self, first: usize) -> Self {
        self.first = Some(first);
        self
    }
}

/// Serde's errors are a single text: ours put the help on the lines after the
/// first ([`wrong`]).
impl From<toml::de::Error> for Fault {
    fn from(error: toml::de::Error) -> Self {
        let (message, help) = match error.message().split_once('\n') {
            Some((message, help)) => (message, Some(help.to_owned())),
            None => (error.message(), None),
        };
        // The file's reader knows keys; "field" is serde's word.
        let message = message.replacen("unknown field", "unknown key", 1);
        let message = message.replacen("missing field", "missing key", 1);
        Fault {
            span: error.span().unwrap_or(0..0),
            message,
            help,
            first: None,
        }
    }
}

/// The text of an error raised while a value is read: what is wrong, then what
/// would be right. [`Fault::from`] takes them apart again.
pub(super) fn wrong(message: impl fmt::Display, help: impl fmt::Display) -> String {
    format!("{message}\n{help}")
}

/// The line of a byte, from 1.
fn line_of(text: &str, offset: usize) -> usize {
    text.bytes()
        .take(offset)
        .filter(|byte| *byte == b'\n')
        .count()
        + 1
}

impl ConfigError {
    pub(super) fn new(file: &str, text: &str, fault: Fault) -> Self {
        let start = floor_char_boundary(text, fault.span.start);
        let line_start = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
        let line_end = text[start..]
            .find('\n')
            .map_or(text.len(), |newline| start + newline);
        let end = floor_char_boundary(text, fault.span.end).clamp(start, line_end);
        ConfigError {
            file: file.to_owned(),
            line: line_of(text, start),
            column: text[line_start..start].chars().count() + 1,
            message: match fault.first {
                Some(first) => {
                    format!("{} (first on line {})", fault.message, line_of(text, first))
                }
                None => fault.message,
            },
            help: fault.help,
            excerpt: printable(&text[line_start..line_end]),
            width: text[start..end].chars().count().max(1),
        }
    }
}

fn floor_char_boundary(text: &str, offset: usize) -> usize {
    (0..=offset.min(text.len()))
        .rev()
        .find(|i| text.is_char_boundary(*i))
        .unwrap_or(0)
}

/// Tabs and other control characters become one blank each, so that the mark
/// stays under its place and nothing reaches the terminal but text.
fn printable(line: &str) -> String {
    line.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

impl std::error::Error for ConfigError {}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ConfigError {
            file,
            line,
            column,
            message,
            excerpt,
            width,
            ..
        } = self;
        writeln!(f, "{file}:{line}:{column}: {message}")?;
        let gutter = line.to_string().len();
        writeln!(f, "{:gutter$} |", "")?;
        writeln!(f, "{line} | {}", excerpt.trim_end())?;
        write!(
            f,
            "{:gutter$} | {:>column$}{:^<rest$}",
            "",
            "^",
            "",
            rest = width - 1
        )?;
        match &self.help {
            Some(help) => write!(f, "\n{:gutter$} = help: {help}", ""),
            None => Ok(()),
        }
    }
}
