//! Bars over time, each with its own words for those who point at it.

use super::{escaped, short};
use std::fmt::Write;

/// One bar.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Bar {
    /// Its value, in any unit.
    pub(crate) value: f64,
    /// The name of its hue.
    pub(crate) shape: &'static str,
    /// What it is, in words.
    pub(crate) title: String,
    /// Where it leads; nowhere where nothing is said.
    pub(crate) address: Option<String>,
}

const WIDTH: f64 = 600.0;
const HEIGHT: f64 = 96.0;

/// Draws bars side by side; `top` is the greatest value in words, `about` what the picture shows.
pub(crate) fn draw(bars: &[Bar], top: &str, about: &str) -> String {
    let largest = bars.iter().map(|bar| bar.value).fold(0.0, f64::max);
    #[allow(clippy::cast_precision_loss, reason = "there are few bars")]
    let step = WIDTH / bars.len().max(20) as f64;
    let mut svg = format!(
        "<svg class=\"bars\" viewBox=\"0 -20 {WIDTH} {0}\" role=\"{2}\" aria-label=\"{1}\"><path class=\"line\" d=\"M0 .5h{WIDTH}M0 {HEIGHT}h{WIDTH}\"/>",
        HEIGHT + 22.0,
        escaped(about),
        // A picture has no parts that lead anywhere.
        if bars.iter().any(|bar| bar.address.is_some()) { "group" } else { "img" }
    );
    for (place, bar) in bars.iter().enumerate() {
        let share = if largest > 0.0 { bar.value / largest } else { 0.0 };
        let tall = (HEIGHT - 4.0) * share + 2.0;
        #[allow(clippy::cast_precision_loss, reason = "there are few bars")]
        let left = step * place as f64;
        let rect = format!(
            "<rect class=\"{}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"><title>{}</title></rect>",
            bar.shape,
            short(left + 1.0),
            short(HEIGHT - tall),
            short((step - 2.0).max(1.0)),
            short(tall),
            escaped(&bar.title)
        );
        // Writing into a text cannot fail.
        let _ = match &bar.address {
            Some(address) => write!(
                svg,
                "<a href=\"{}\" aria-label=\"{}\">{rect}</a>",
                escaped(address),
                escaped(&bar.title)
            ),
            None => write!(svg, "{rect}"),
        };
    }
    let _ = write!(svg, "<text x=\"{WIDTH}\" y=\"-6\" text-anchor=\"end\">{}</text></svg>", escaped(top));
    svg
}
