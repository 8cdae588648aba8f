//! Tables of the page, in Markdown; readable on a terminal too.

use std::fmt;

/// A table; the first column says what, the others hold figures.
#[derive(Debug, Clone)]
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// With these titles of columns, and no rows.
    pub fn new<S: Into<String>>(titles: impl IntoIterator<Item = S>) -> Self {
        Self { rows: vec![titles.into_iter().map(Into::into).collect()] }
    }

    /// Adds a row.
    pub fn row<S: Into<String>>(&mut self, cells: impl IntoIterator<Item = S>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    fn width(&self, column: usize) -> usize {
        let cells = self.rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or_default().max(3)
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, row) in self.rows.iter().enumerate() {
            for (column, cell) in row.iter().enumerate() {
                let padding = self.width(column) - cell.chars().count();
                write!(f, "| {cell}{} ", " ".repeat(padding))?;
            }
            writeln!(f, "|")?;
            if number == 0 {
                for column in 0..row.len() {
                    let dashes = "-".repeat(self.width(column) - 1);
                    write!(f, "| {dashes}{} ", if column == 0 { '-' } else { ':' })?;
                }
                writeln!(f, "|")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let mut table = Table::new(["what", "time"]);
        table.row(["cold", "12 s"]);
        table.row(["a warm run", "0.3 s"]);
        let expected = "\
| what       | time  |
| ---------- | ----: |
| cold       | 12 s  |
| a warm run | 0.3 s |
";
        assert_eq!(table.to_string(), expected);
    }
}
