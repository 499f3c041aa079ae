//! Lines of a table, each column as wide as what it holds.

use anstyle::Style;

use crate::cli::colour::HEADING;

/// Rows under headings.
#[derive(Debug)]
pub(super) struct Table {
    headings: Vec<&'static str>,
    /// Columns from this one on hold numbers, which end at the same place.
    numbers: usize,
    rows: Vec<Vec<String>>,
}

/// Characters of a cell at most.
const WIDEST: usize = 32;
/// They change the direction of what follows (Unicode standard annex 9), and so what seems to belong to whom.
const TURNING: [char; 9] = [
    '\u{202a}', '\u{202b}', '\u{202c}', '\u{202d}', '\u{202e}', '\u{2066}', '\u{2067}', '\u{2068}',
    '\u{2069}',
];

impl Table {
    /// The columns from `numbers` on hold numbers.
    pub(super) fn new(headings: &[&'static str], numbers: usize) -> Self {
        Self { headings: headings.to_vec(), numbers, rows: Vec::new() }
    }

    /// Texts may come from anywhere; none of them reaches the terminal with what would steer it.
    pub(super) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells.iter().map(|text| printable(text)).collect());
    }

    pub(super) fn lines(&self, coloured: bool) -> Vec<String> {
        let mut widths: Vec<usize> = self.headings.iter().map(|text| text.len()).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let line = |cells: &mut dyn Iterator<Item = &str>| {
            let cells = cells.zip(&widths).enumerate().map(|(column, (cell, width))| {
                if column < self.numbers { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
            });
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        let style = if coloured { HEADING } else { Style::new() };
        let heading = line(&mut self.headings.iter().copied());
        let rows = self.rows.iter().map(|row| line(&mut row.iter().map(String::as_str)));
        [format!("{style}{heading}{style:#}")].into_iter().chain(rows).collect()
    }
}

/// What anything is called must not move the cursor.
pub(super) fn printable(text: &str) -> String {
    let shown = |c: char| if c.is_control() || TURNING.contains(&c) { '\u{fffd}' } else { c };
    text.chars().take(WIDEST).map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_what_they_hold_and_numbers_end_together() {
        let mut table = Table::new(&["name", "calls"], 1);
        table.row(vec!["a".into(), "7".into()]);
        table.row(vec!["longer".into(), "123456".into()]);
        assert_eq!(table.lines(false), ["name     calls", "a            7", "longer  123456"]);
    }

    #[test]
    fn no_text_steers_the_terminal_or_fills_it() {
        assert_eq!(
            printable("a\u{1b}[2J\r\n\u{9b}1m\u{202e}b"),
            "a\u{fffd}[2J\u{fffd}\u{fffd}\u{fffd}1m\u{fffd}b"
        );
        assert_eq!(printable(&"x".repeat(100)).len(), WIDEST);
        let mut table = Table::new(&["name"], 1);
        table.row(vec!["\u{7}".into()]);
        assert_eq!(table.lines(false)[1], "\u{fffd}");
    }
}
