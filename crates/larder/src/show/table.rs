//! Tables of aligned columns.

use std::fmt;

/// Rows of text in columns that are as wide as they need be.
#[derive(Debug)]
pub(crate) struct Table {
    heads: Vec<&'static str>,
    /// Columns of numbers stand on the right.
    right: Vec<bool>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Makes a table; a head that begins with `>` makes its column stand on the right.
    pub(crate) fn new(heads: &[&'static str]) -> Self {
        Self {
            heads: heads.iter().map(|head| head.trim_start_matches('>')).collect(),
            right: heads.iter().map(|head| head.starts_with('>')).collect(),
            rows: Vec::new(),
        }
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        // A control character in a name must not move the cursor.
        let clean = |cell: String| cell.replace(char::is_control, "?");
        self.rows.push(cells.into_iter().map(clean).collect());
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    fn widths(&self) -> Vec<usize> {
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
            cells.chain([self.heads[column].chars().count()]).max().unwrap_or(0)
        };
        (0..self.heads.len()).map(width).collect()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths = self.widths();
        let heads = self.heads.iter().map(|head| head.to_uppercase()).collect::<Vec<_>>();
        for (number, row) in std::iter::once(&heads).chain(&self.rows).enumerate() {
            let mut line = String::new();
            for (column, cell) in row.iter().enumerate() {
                let gap = " "
                    .repeat(widths.get(column).map_or(0, |width| width.saturating_sub(cell.chars().count())));
                let right = self.right.get(column).copied().unwrap_or(false);
                line.push_str(&if right { format!("{gap}{cell}") } else { format!("{cell}{gap}") });
                line.push_str("  ");
            }
            if number > 0 {
                writeln!(f)?;
            }
            write!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_numbers_stand_on_the_right() {
        let mut table = Table::new(&["name", ">size", "state"]);
        table.row(["shop".to_owned(), "5 B".to_owned(), "good".to_owned()]);
        table.row(["warehouse".to_owned(), "12 KiB".to_owned(), "late".to_owned()]);
        assert_eq!(
            table.to_string(),
            "NAME         SIZE  STATE\nshop          5 B  good\nwarehouse  12 KiB  late"
        );
    }

    #[test]
    fn a_name_cannot_move_the_cursor() {
        let mut table = Table::new(&["name"]);
        table.row(["a\u{1b}[2Jb".to_owned()]);
        assert_eq!(table.to_string(), "NAME\na?[2Jb");
    }
}
