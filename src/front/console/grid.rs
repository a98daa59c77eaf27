//! A grid of texts whose columns are as wide as what stands in them. The final report's tables are made of it.

use unicode_width::UnicodeWidthStr;

use crate::front::text::{Align, escape, pad, shorten};

/// A titled table. Cells are escaped; the last column is never padded nor cut.
pub(super) struct Grid {
    title: &'static str,
    columns: Vec<(&'static str, Align)>,
    rows: Vec<Vec<String>>,
    /// Titles of columns that leave a narrow table, the first one first.
    dispensable: &'static [&'static str],
}

impl Grid {
    /// A table without rows.
    pub(super) fn new(title: &'static str, columns: &[(&'static str, Align)]) -> Self {
        Self { title, columns: columns.to_vec(), rows: Vec::new(), dispensable: &[] }
    }

    /// The columns that may leave where the table is wider than the screen, the first one first.
    pub(super) const fn dispensing(mut self, titles: &'static [&'static str]) -> Self {
        self.dispensable = titles;
        self
    }

    /// Adds a row with a cell for each column.
    pub(super) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells.iter().map(|cell| escape(cell).into_owned()).collect());
    }

    /// The text, with a blank line after; nothing without rows. Lines are at most `width` columns wide where leaving columns out and cutting
    /// names can do it; what stands in a last column is whole.
    pub(super) fn render(&self, width: usize) -> String {
        if self.rows.is_empty() {
            return String::new();
        }
        let (shown, widths) = self.fitted(width);
        let line = |cells: &[String]| {
            let mut text = String::new();
            for (place, (column, width)) in shown.iter().copied().zip(&widths).enumerate() {
                let is_last = place + 1 == shown.len();
                text.push_str(if place == 0 { " " } else { "  " });
                match (is_last, self.columns[column].1) {
                    (true, Align::Left) => text.push_str(&cells[column]),
                    (_, align) => text.push_str(&pad(&shorten(&cells[column], *width), *width, align)),
                }
            }
            text.truncate(text.trim_end().len());
            text.push('\n');
            text
        };
        let header = line(&self.columns.iter().map(|(title, _)| (*title).to_owned()).collect::<Vec<_>>());
        let body: String = self.rows.iter().map(|row| line(row)).collect();
        let rule = "-".repeat(line_width(&widths).min(140).min(width));
        format!("{}\n{header}{rule}\n{body}\n", self.title)
    }

    /// The columns that are shown, and how wide each is.
    fn fitted(&self, width: usize) -> (Vec<usize>, Vec<usize>) {
        let natural = |column: usize| {
            let cells = self.rows.iter().map(|row| row[column].width());
            cells.chain([self.columns[column].0.width()]).max().unwrap_or(0).min(CELL_WIDTH)
        };
        let mut shown: Vec<usize> = (0..self.columns.len()).collect();
        let mut widths: Vec<usize> = shown.iter().map(|column| natural(*column)).collect();
        // A long name is cut to this before a column leaves.
        let excess = |widths: &[usize]| line_width(widths).saturating_sub(width).saturating_sub(widths[0].saturating_sub(NAME_LEAST));
        for title in self.dispensable {
            if excess(&widths) == 0 {
                break;
            }
            if let Some(place) = shown.iter().position(|column| self.columns[*column].0 == *title) {
                shown.remove(place);
                widths.remove(place);
            }
        }
        if self.columns[0].1 == Align::Left {
            let too_wide = line_width(&widths).saturating_sub(width);
            widths[0] = widths[0].min(widths[0].saturating_sub(too_wide).max(NAME_LEAST));
        }
        (shown, widths)
    }
}

/// How wide a line of such columns is, with the blanks before them and one at its end.
fn line_width(widths: &[usize]) -> usize {
    widths.iter().sum::<usize>() + 2 * widths.len()
}

/// Names are cut to no less.
const NAME_LEAST: usize = 20;
/// No column but the last one is wider.
const CELL_WIDTH: usize = 60;
