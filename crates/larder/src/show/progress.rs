//! Live bars while operations run; plain lines where nobody watches.

use crate::show::operation::{sentence, what};
use crate::show::screen::Screen;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use larder_model::{Operation, OperationId, OperationStatus, human};
use std::collections::HashMap;
use std::time::Duration;

/// How often a bar without news moves.
const BEAT: Duration = Duration::from_millis(120);

/// One bar for each operation.
#[derive(Debug)]
pub(crate) struct Bars<'a> {
    screen: &'a Screen,
    all: MultiProgress,
    bars: HashMap<OperationId, ProgressBar>,
    ended: Vec<OperationId>,
}

impl<'a> Bars<'a> {
    pub(crate) fn new(screen: &'a Screen) -> Self {
        let target =
            if screen.is_live() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        Self { screen, all: MultiProgress::with_draw_target(target), bars: HashMap::new(), ended: Vec::new() }
    }

    /// Shows how an operation stands now.
    pub(crate) fn update(&mut self, operation: &Operation) {
        if self.ended.contains(&operation.id) {
            return;
        }
        if operation.status.is_final() {
            self.end(operation);
        } else if operation.status == OperationStatus::InProgress && self.screen.is_live() {
            self.advance(operation);
        }
    }

    fn advance(&mut self, operation: &Operation) {
        let progress = &operation.progress;
        let all = &self.all;
        let bar = self.bars.entry(operation.id).or_insert_with(|| {
            let bar = all.add(ProgressBar::new(0));
            bar.set_style(spinner());
            bar.set_prefix(format!("{} {}", operation.database, what(operation)));
            bar.enable_steady_tick(BEAT);
            bar
        });
        if progress.bytes_total > 0 {
            bar.set_style(style());
            bar.set_length(progress.bytes_total);
        }
        bar.set_position(progress.bytes_done);
        bar.set_message(shorten(&progress.current));
    }

    fn end(&mut self, operation: &Operation) {
        self.ended.push(operation.id);
        if let Some(bar) = self.bars.remove(&operation.id) {
            bar.finish_and_clear();
            self.all.remove(&bar);
        }
        let line = sentence(operation);
        if self.screen.is_live() {
            // A remark that cannot be drawn is still in the table that follows.
            let _ = self.all.println(&line);
        } else {
            self.screen.remark(&line);
        }
    }
}

impl Drop for Bars<'_> {
    fn drop(&mut self) {
        for bar in self.bars.values() {
            bar.finish_and_clear();
        }
    }
}

fn style() -> ProgressStyle {
    let template = "{prefix:28!} {bar:24} {percent:>3} % {binary_bytes:>11} of {binary_total_bytes:>11} {binary_bytes_per_sec:>13} {eta:>4} left {wide_msg}";
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("█▉▊▋▌▍▎▏ ")
}

fn spinner() -> ProgressStyle {
    ProgressStyle::with_template("{prefix:28!} {spinner} {binary_bytes:>11} {wide_msg}")
        .unwrap_or_else(|_| ProgressStyle::default_spinner())
}

fn shorten(name: &str) -> String {
    let clean = name.replace(char::is_control, "?");
    let count = clean.chars().count();
    if count <= 60 { clean } else { format!("…{}", clean.chars().skip(count - 59).collect::<String>()) }
}

/// Says what an operation has in store, for the plain lines: `shop: full backup of 12.0 MiB`.
pub(crate) fn announce(count: usize) -> String {
    format!("Backing up {}.", human::count(count, "database"))
}
