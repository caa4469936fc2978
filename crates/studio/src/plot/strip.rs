//! The strip: the last backups of a database as small bars, one after the other.

use super::{height, short};
use crate::state;
use larder_model::Operation;
use std::collections::BTreeMap;
use std::fmt::Write;

/// How many backups a strip shows.
pub(crate) const BACKUPS: usize = 30;

const STEP: usize = 4;
const HEIGHT: f64 = 20.0;

/// Draws the backups, the oldest first; the newest stands at the right end.
pub(crate) fn draw(backups: &[Operation]) -> String {
    let largest = backups.iter().map(|operation| operation.progress.bytes_stored).max().unwrap_or(0);
    let mut paths: BTreeMap<&str, String> = BTreeMap::new();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let first = BACKUPS.saturating_sub(backups.len());
    for (place, operation) in backups.iter().rev().take(BACKUPS).rev().enumerate() {
        let mark = state::of_operation(operation);
        *counts.entry(mark.word).or_default() += 1;
        let left = (first + place) * STEP + 2;
        let tall = match mark.shape {
            // A bar that failed added nothing, and must be seen all the same.
            "failed" => HEIGHT,
            _ => height(operation.progress.bytes_stored, largest, HEIGHT),
        };
        // Writing into a text cannot fail.
        let _ = write!(paths.entry(mark.shape).or_default(), "M{left} 20v-{}", short(tall));
    }
    let said: Vec<String> = counts.iter().map(|(word, count)| format!("{count} {word}")).collect();
    let said = match said.is_empty() {
        true => "no backup yet".to_owned(),
        false => format!("last {} backups: {}", backups.len().min(BACKUPS), said.join(", ")),
    };
    let mut svg = format!(
        "<svg class=\"strip\" width=\"{0}\" height=\"20\" viewBox=\"0 0 {0} 20\" role=\"img\" aria-label=\"{said}\"><title>{said}</title>",
        BACKUPS * STEP
    );
    if first > 0 {
        let _ = write!(svg, "<path class=\"none\" d=\"M0 19.5h{}\"/>", first * STEP);
    }
    for (shape, path) in paths {
        let _ = write!(svg, "<path class=\"{shape}\" d=\"{path}\"/>");
    }
    svg.push_str("</svg>");
    svg
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_without_backups_has_an_empty_strip_that_says_so() {
        let svg = draw(&[]);
        assert!(svg.contains("no backup yet") && !svg.contains("class=\"good\""), "{svg}");
    }
}
