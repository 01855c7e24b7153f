//! Tables for people: aligned columns without lines, and the words for values.
//!
//! Our own because a routing table may have a hundred thousand rows: a library
//! that also knows borders, colours and wrapping took three times as long and
//! three times the memory for them.

/// Blanks between two columns.
const GAP: usize = 2;

/// A table of `N` columns that is put together row by row.
pub struct Table<const N: usize> {
    rows: Vec<[String; N]>,
    widths: [usize; N],
    right: [bool; N],
}

impl<const N: usize> Table<N> {
    /// A table with these column headings; those that start with `>` are aligned
    /// to the right.
    pub fn new(headings: [&str; N]) -> Self {
        let right = headings.map(|heading| heading.starts_with('>'));
        let mut table = Table {
            rows: Vec::new(),
            widths: [0; N],
            right,
        };
        table.row(headings.map(|heading| heading.trim_start_matches('>').to_owned()));
        table
    }

    /// Adds a row.
    pub fn row(&mut self, cells: [String; N]) {
        for (width, cell) in self.widths.iter_mut().zip(&cells) {
            *width = (*width).max(cell.chars().count());
        }
        self.rows.push(cells);
    }

    /// The text, or this one where there is no row.
    pub fn render(&self, empty: &str) -> String {
        if self.rows.len() == 1 {
            return format!("{empty}\n");
        }
        let line = self.widths.iter().sum::<usize>() + N * GAP;
        let mut text = String::with_capacity(self.rows.len() * line);
        for row in &self.rows {
            self.write(row, &mut text);
        }
        text
    }

    fn write(&self, row: &[String; N], text: &mut String) {
        for ((cell, width), right) in row.iter().zip(self.widths).zip(self.right) {
            let blanks = width - cell.chars().count();
            let (before, after) = if right { (blanks, 0) } else { (0, blanks) };
            text.extend(std::iter::repeat_n(' ', before));
            text.push_str(cell);
            text.extend(std::iter::repeat_n(' ', after + GAP));
        }
        text.truncate(text.trim_end_matches(' ').len());
        text.push('\n');
    }
}

/// A value, or a dash.
pub(super) fn or_dash<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// "yes" or "no".
pub(super) fn yes_no(value: bool) -> String {
    if value { "yes" } else { "no" }.to_owned()
}

/// Seconds as routers show them: 00:01:02, 3d04h05m.
pub(super) fn age(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60 % 60, seconds / 3600 % 24, seconds / 86400);
    match days {
        0 => format!("{hours:02}:{minutes:02}:{:02}", seconds % 60),
        _ => format!("{days}d{hours:02}h{minutes:02}m"),
    }
}

/// A number with its thousands apart.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Bytes in the largest binary unit that leaves a whole digit.
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut unit = 0;
    let mut scale = 1u64;
    while unit + 1 < UNITS.len() && count / scale >= 1024 {
        unit += 1;
        scale *= 1024;
    }
    match unit {
        0 => format!("{count} B"),
        // Tenths, rounded down: no float, no surprise at the edge of a unit.
        _ => format!(
            "{}.{} {}",
            count / scale,
            count % scale * 10 / scale,
            UNITS[unit]
        ),
    }
}
