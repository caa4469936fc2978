//! Shows a place in a text file: line, column, and the line itself.

use std::ops::Range;
use std::path::Path;

/// A text and the file it came from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TextPlace<'a> {
    pub(crate) text: &'a str,
    pub(crate) path: &'a Path,
}

impl TextPlace<'_> {
    /// Says what is wrong where: `nightly.toml, line 2, column 5: …`, and below it the line with a mark.
    pub(crate) fn at(&self, span: &Range<usize>, message: &str) -> String {
        let start = (0..=span.start.min(self.text.len()))
            .rev()
            .find(|at| self.text.is_char_boundary(*at))
            .unwrap_or(0);
        let before = &self.text[..start];
        let line_number = before.matches('\n').count() + 1;
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line = self.text[line_start..].lines().next().unwrap_or_default();
        let column = self.text[line_start..start].chars().count() + 1;
        format!(
            "{}, line {line_number}, column {column}: {message}\n    {line}\n    {}^",
            self.path.display(),
            " ".repeat(column - 1)
        )
    }
}
