//! The day: where in it runs begin, so that a herd on one minute is seen before it happens.

use std::fmt::Write;

const WIDTH: usize = 720;
const SLOTS: usize = 96;

/// Draws a day of quarter hours; `own` are the minutes of the day at which the task's runs begin, `others` how many runs of
/// other tasks begin in each quarter hour.
pub(crate) fn draw(own: &[usize], others: &[usize]) -> String {
    let step = WIDTH / SLOTS;
    let most = others.iter().copied().max().unwrap_or(0).max(1);
    let mut svg = format!(
        "<svg class=\"clock\" viewBox=\"0 0 {WIDTH} 48\" role=\"img\" aria-label=\"where in the day runs begin: {} of this task, {} of others\">",
        own.len(),
        others.iter().sum::<usize>()
    );
    for (slot, count) in others.iter().enumerate().filter(|(_, count)| **count > 0) {
        let tall = 4 + count * 24 / most;
        // Writing into a text cannot fail.
        let _ = write!(
            svg,
            "<rect class=\"other\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{tall}\"><title>{:02}:{:02}: {count} runs</title></rect>",
            slot * step,
            32 - tall,
            step - 1,
            slot / 4,
            slot % 4 * 15,
        );
    }
    for minute in own {
        let left = minute * WIDTH / (24 * 60);
        let _ = write!(
            svg,
            "<path class=\"own\" d=\"M{left} 0v32\"><title>{:02}:{:02}</title></path>",
            minute / 60,
            minute % 60
        );
    }
    svg.push_str("<path class=\"line\" d=\"M0 32.5h720\"/>");
    for hour in (0..24).step_by(3) {
        let _ = write!(svg, "<text x=\"{}\" y=\"46\">{hour:02}</text>", hour * WIDTH / 24);
    }
    svg.push_str("</svg>");
    svg
}
