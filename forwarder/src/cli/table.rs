//! Tables for people: aligned columns without lines, and the words for values.

use comfy_table::presets::NOTHING;
use comfy_table::{Cell, CellAlignment, ContentArrangement};

/// A table that is put together row by row.
pub(super) struct Table {
    table: comfy_table::Table,
    alignment: Vec<CellAlignment>,
}

impl Table {
    /// A table with these column headings; those that start with `>` are aligned
    /// to the right.
    pub(super) fn new(headings: &[&str]) -> Self {
        let mut table = comfy_table::Table::new();
        table
            .load_style(NOTHING)
            .set_content_arrangement(ContentArrangement::Disabled);
        let alignment: Vec<_> = headings
            .iter()
            .map(|heading| match heading.starts_with('>') {
                true => CellAlignment::Right,
                false => CellAlignment::Left,
            })
            .collect();
        let cells = headings.iter().zip(&alignment).map(|(heading, alignment)| {
            Cell::new(heading.trim_start_matches('>')).set_alignment(*alignment)
        });
        table.set_header(cells.collect::<Vec<_>>());
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        Table { table, alignment }
    }

    /// Adds a row with a cell for each heading.
    pub(super) fn row<const N: usize>(&mut self, cells: [String; N]) {
        let cells = cells.iter().zip(&self.alignment);
        let cells = cells.map(|(text, alignment)| Cell::new(text).set_alignment(*alignment));
        self.table.add_row(cells.collect::<Vec<_>>());
    }

    /// The text, or this one where there is no row.
    pub(super) fn render(&self, empty: &str) -> String {
        if self.table.is_empty() {
            return format!("{empty}\n");
        }
        let mut text = String::new();
        for line in self.table.lines() {
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
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
pub(super) fn grouped(number: u64) -> String {
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
pub(super) fn bytes(count: u64) -> String {
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
