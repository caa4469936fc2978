//! The strip: the last backups of a database as small bars, one after the other.

use super::{escaped, height, short};
use crate::Studio;
use crate::face::Face;
use crate::state::{self, Mark};
use crate::words::{lasted, lasting};
use larder_model::Operation;
use larder_model::human::size;
use larder_service::{DatabaseView, Health};
use std::collections::BTreeMap;
use std::fmt::Write;

/// How many backups a strip shows.
pub(crate) const BACKUPS: usize = 30;

const STEP: usize = 4;
const HEIGHT: f64 = 20.0;

/// One bar, as tall as what was added.
#[derive(Clone, Debug, PartialEq)]
struct Bar {
    mark: Mark,
    tall: f64,
    /// When it was, what it added and how long it took.
    title: String,
    address: Option<String>,
}

impl Studio {
    /// Draws the strip of a database small and without words, for lists; a script asks for the other one when somebody
    /// points at it.
    pub(crate) fn strip(&self, view: &DatabaseView, face: &Face) -> String {
        draw(&self.bars(view, face), Some(view.database.name.as_str()))
    }

    /// Draws the strip of a database, each bar with its words and the way to its operation.
    pub(crate) fn told_strip(&self, view: &DatabaseView, face: &Face) -> String {
        draw(&self.bars(view, face), None)
    }

    fn bars(&self, view: &DatabaseView, face: &Face) -> Vec<Bar> {
        let backups = self.service.ended_backups(&view.database.name, BACKUPS);
        let proofs = self.service.proofs(&backups);
        let largest = backups.iter().map(|operation| operation.progress.bytes_stored).max().unwrap_or(0);
        let ended =
            backups.iter().zip(proofs).map(|(operation, proof)| Bar::of(operation, proof, largest, face));
        let mut bars: Vec<Bar> = ended.collect();
        bars.extend(Bar::now(view, face));
        bars.drain(..bars.len().saturating_sub(BACKUPS));
        bars
    }
}

impl Bar {
    fn of(operation: &Operation, proof: Option<bool>, largest: u64, face: &Face) -> Self {
        let mark = state::of_backup(operation, proof);
        let stored = operation.progress.bytes_stored;
        let kind = operation.backup_kind.map_or(String::new(), |kind| format!(" {kind}"));
        Self {
            // A bar that failed added nothing, and must be seen all the same.
            tall: if mark.shape == "failed" { HEIGHT } else { height(stored, largest, HEIGHT) },
            title: format!(
                "{}{kind}: {}, {} added in {}",
                face.short(operation.started.unwrap_or(operation.created)),
                mark.word,
                size(stored),
                lasting(lasted(operation, face.now))
            ),
            address: Some(format!("/studio/operations/{}", operation.id)),
            mark,
        }
    }

    /// What comes after the last that ended: one that runs, or one that should have begun.
    fn now(view: &DatabaseView, face: &Face) -> Option<Self> {
        let (title, address) = match view.health {
            Health::Running => {
                let address = view.running.map(|operation| format!("/studio/operations/{operation}"));
                ("a backup runs now".to_owned(), address)
            }
            Health::Late => {
                let due = view.next_run.as_ref().map(|run| face.short(run.time)).unwrap_or_default();
                (format!("{due}: due, and has not begun"), None)
            }
            _ => return None,
        };
        Some(Self { mark: state::of_health(view.health), tall: HEIGHT, title, address })
    }
}

/// Draws bars, the newest at the right end: each with its words, or all of a kind together with the name of the database.
fn draw(bars: &[Bar], untold: Option<&str>) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    bars.iter().for_each(|bar| *counts.entry(bar.mark.word).or_default() += 1);
    let said: Vec<String> = counts.iter().map(|(word, count)| format!("{count} {word}")).collect();
    let said = match said.is_empty() {
        true => "no backup yet".to_owned(),
        false => format!("last {} backups: {}", bars.len(), said.join(", ")),
    };
    let mut svg = format!(
        "<svg class=\"strip\" width=\"{0}\" height=\"20\" viewBox=\"0 0 {0} 20\" aria-label=\"{said}\"",
        BACKUPS * STEP
    );
    // Writing into a text cannot fail.
    let _ = match untold {
        Some(database) if !bars.is_empty() => {
            write!(svg, " role=\"img\" data-strip=\"{}\"><title>{said}</title>", escaped(database))
        }
        Some(_) => write!(svg, " role=\"img\"><title>{said}</title>"),
        None => write!(svg, " role=\"group\">"),
    };
    let first = BACKUPS.saturating_sub(bars.len());
    if first > 0 {
        let _ = write!(svg, "<path class=\"none\" d=\"M0 19.5h{}\"/>", first * STEP);
    }
    let mut together: BTreeMap<&str, String> = BTreeMap::new();
    for (place, bar) in bars.iter().enumerate() {
        let line = format!("M{} 20v-{}", (first + place) * STEP + 2, short(bar.tall));
        if untold.is_some() {
            together.entry(bar.mark.shape).or_default().push_str(&line);
            continue;
        }
        let title = escaped(&bar.title);
        // What is pointed at is as tall as the strip, however little was added.
        let drawn = format!(
            "<title>{title}</title><path class=\"field\" d=\"M{} 0v20\"/><path class=\"{}\" d=\"{line}\"/>",
            (first + place) * STEP + 2,
            bar.mark.shape
        );
        let _ = match &bar.address {
            Some(address) => {
                write!(svg, "<a href=\"{}\" aria-label=\"{title}\">{drawn}</a>", escaped(address))
            }
            None => write!(svg, "<g>{drawn}</g>"),
        };
    }
    for (shape, path) in together {
        let _ = write!(svg, "<path class=\"{shape}\" d=\"{path}\"/>");
    }
    svg.push_str("</svg>");
    svg
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(shape: &'static str) -> Bar {
        let (title, address) = (format!("{shape} <it>"), Some("/studio/operations/7".to_owned()));
        Bar { mark: Mark { shape, word: shape }, tall: 5.0, title, address }
    }

    #[test]
    fn a_database_without_backups_has_an_empty_strip_that_says_so() {
        let svg = draw(&[], Some("shop"));
        assert!(svg.contains("no backup yet") && !svg.contains("class=\"good\""), "{svg}");
    }

    #[test]
    fn bars_are_drawn_together_until_somebody_points_at_them() {
        let bars = [bar("good"), bar("failed"), bar("good")];
        let small = draw(&bars, Some("shop"));
        assert_eq!(small.matches("<path").count(), 3, "{small}");
        assert!(small.contains("1 failed, 2 good") && small.contains("data-strip=\"shop\""), "{small}");
        let told = draw(&bars, None);
        assert_eq!(told.matches("<a href=\"/studio/operations/7\"").count(), 3, "{told}");
        assert!(told.contains("<title>failed &lt;it&gt;</title>") && !told.contains("data-strip"), "{told}");
    }
}
