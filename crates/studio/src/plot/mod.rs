//! Pictures drawn by the server: plain SVG, sized by attributes, coloured by classes, read out as a sentence.

pub(crate) mod bars;
pub(crate) mod clock;
pub(crate) mod strip;
pub(crate) mod timeline;

/// Returns how tall a bar is, between a visible least and `most`, so that small and large values can be told apart in one
/// picture: by the logarithm.
fn height(value: u64, largest: u64, most: f64) -> f64 {
    const LEAST: f64 = 3.0;
    if value == 0 || largest == 0 {
        return LEAST;
    }
    #[allow(clippy::cast_precision_loss, reason = "a pixel does not need 53 bits")]
    let share = (value as f64).ln_1p() / (largest as f64).ln_1p();
    LEAST + (most - LEAST) * share
}

/// Writes a number without needless digits.
fn short(number: f64) -> String {
    let text = format!("{number:.1}");
    text.strip_suffix(".0").map_or_else(|| text.clone(), str::to_owned)
}

/// Writes a text so that it may stand in an attribute or an element.
fn escaped(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, character| {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            other => out.push(other),
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bar_can_be_seen_and_none_is_taller_than_its_picture() {
        for value in [0, 1, 1 << 20, u64::MAX] {
            let tall = height(value, u64::MAX, 20.0);
            assert!((3.0..=20.0).contains(&tall), "{value}: {tall}");
        }
        assert!(height(1 << 30, 1 << 40, 20.0) < height(1 << 40, 1 << 40, 20.0));
    }

    #[test]
    fn nothing_breaks_out_of_an_attribute() {
        assert_eq!(escaped("a\"><b>&"), "a&quot;&gt;&lt;b&gt;&amp;");
    }
}
