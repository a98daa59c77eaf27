//! One table's rows: which are shown, in which order, and which one the person is at. Knows no columns' texts.

use super::columns::Column;

/// The rows of one table.
#[derive(Debug, Default)]
pub struct Listing {
    /// Indices into the snapshot's list, filtered and sorted.
    pub rows: Vec<usize>,
    /// Which row the person is at.
    pub at: usize,
    /// The first row in sight.
    pub offset: usize,
    /// The column that orders the rows; none is the snapshot's own order.
    pub sort: Option<usize>,
    /// The greatest value comes first.
    pub is_descending: bool,
    /// Rows whose words hold this text, whatever the case.
    pub filter: String,
    /// How many rows there are without the filter.
    pub total: usize,
    /// The words of the row that the person is at, so that the place follows the row when others move.
    held: Option<String>,
}

impl Listing {
    /// Rows in the order of a column.
    #[must_use]
    pub fn sorted(column: usize, is_descending: bool) -> Self {
        Self { sort: Some(column), is_descending, ..Self::default() }
    }

    /// Makes the rows from `items`. `words` is what identifies an item and what the filter looks at.
    pub fn relist<T>(&mut self, items: &[T], columns: &[Column<T>], words: impl Fn(&T) -> String) {
        let filter = self.filter.to_lowercase();
        self.total = items.len();
        self.rows.clear();
        self.rows.extend((0..items.len()).filter(|index| filter.is_empty() || words(&items[*index]).to_lowercase().contains(&filter)));
        if let Some(column) = self.sort.and_then(|sort| columns.get(sort)) {
            let order = |left: &usize, right: &usize| {
                let ordering = (column.order)(&items[*left], &items[*right]);
                if self.is_descending { ordering.reverse() } else { ordering }
            };
            // Stable: equals keep the snapshot's order from one second to the next.
            self.rows.sort_by(order);
        }
        let found = self.held.as_ref().and_then(|held| self.rows.iter().position(|row| words(&items[*row]) == *held));
        self.at = found.unwrap_or(self.at).min(self.rows.len().saturating_sub(1));
        self.hold(items, words);
    }

    /// Remembers the row that the person is at.
    pub fn hold<T>(&mut self, items: &[T], words: impl Fn(&T) -> String) {
        // The first row is where everybody begins: it stays the first row, whatever moves there.
        self.held = if self.at == 0 { None } else { self.current().and_then(|index| items.get(index)).map(words) };
    }

    /// Moves by rows, within bounds; the row is held at the next relisting.
    pub fn step(&mut self, rows: isize) {
        self.at = self.at.saturating_add_signed(rows).min(self.rows.len().saturating_sub(1));
        self.held = None;
    }

    /// The snapshot's index of the row that the person is at.
    #[must_use]
    pub fn current(&self) -> Option<usize> {
        self.rows.get(self.at).copied()
    }

    /// Lets another column order the rows, `by` columns further right. `has_numbers` says of each column whether the greatest is first.
    pub fn resort(&mut self, by: isize, has_numbers: &[bool]) {
        let count = has_numbers.len() as isize;
        if count == 0 {
            return;
        }
        let before = self.sort.map_or(if by > 0 { -1 } else { count }, |sort| sort as isize);
        let column = (before + by).rem_euclid(count) as usize;
        self.sort = Some(column);
        self.is_descending = has_numbers[column];
    }

    /// Moves the sight so that the person's row is in it.
    pub fn keep_in_sight(&mut self, page: usize) {
        let last_offset = self.rows.len().saturating_sub(page);
        self.offset = self.offset.clamp((self.at + 1).saturating_sub(page), self.at).min(last_offset);
    }
}
