//! The line of time: backups where they lie in it, one row a destination or a rule, and shades where every second can be
//! restored.

use super::{escaped, short};
use crate::face::Face;
use jiff::{SignedDuration, Timestamp, ToSpan, Zoned};
use std::fmt::Write;

/// What a mark looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// As tall as its row.
    Tall,
    /// Half as tall.
    Low,
    /// A filled dot.
    Dot,
    /// An empty dot.
    Ring,
}

/// One moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) at: Timestamp,
    pub(crate) form: Form,
    /// The name of its hue.
    pub(crate) hue: &'static str,
    /// What it is, in words.
    pub(crate) title: String,
    /// Where it leads; nowhere where nothing is said.
    pub(crate) address: Option<String>,
}

/// One row of the picture.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) marks: Vec<Mark>,
    /// Where every second can be restored.
    pub(crate) shades: Vec<(Timestamp, Timestamp)>,
}

const WIDTH: f64 = 720.0;
const ROW: f64 = 32.0;
const LABEL: f64 = 18.0;
/// The most moments that are written below the line.
const TICKS: i64 = 5;
/// How far the first and the last mark stay away from the edges.
const MARGIN: f64 = 8.0;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// Steps between moments that are written, in seconds.
const STEPS: [i64; 16] = [
    MINUTE,
    5 * MINUTE,
    15 * MINUTE,
    HOUR,
    3 * HOUR,
    6 * HOUR,
    12 * HOUR,
    DAY,
    2 * DAY,
    7 * DAY,
    14 * DAY,
    30 * DAY,
    90 * DAY,
    180 * DAY,
    365 * DAY,
    3650 * DAY,
];

/// From when until when a picture goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    from: Timestamp,
    until: Timestamp,
}

impl Window {
    /// Makes a window around moments; at least a minute long.
    pub(crate) fn around(moments: impl IntoIterator<Item = Timestamp>) -> Option<Self> {
        let all: Vec<Timestamp> = moments.into_iter().collect();
        let (from, until) = (all.iter().min().copied()?, all.iter().max().copied()?);
        let least = from.checked_add(SignedDuration::from_secs(MINUTE)).unwrap_or(from);
        Some(Self { from, until: until.max(least) })
    }

    fn seconds(self) -> i64 {
        (self.until.as_second() - self.from.as_second()).max(1)
    }

    #[allow(clippy::cast_precision_loss, reason = "a pixel does not need 53 bits")]
    fn place(self, at: Timestamp) -> f64 {
        let share = (at.as_second() - self.from.as_second()) as f64 / self.seconds() as f64;
        MARGIN + (WIDTH - 2.0 * MARGIN) * share.clamp(0.0, 1.0)
    }

    /// Returns the moments that are written, at round numbers of the reader's clock.
    fn ticks(self, face: &Face) -> Vec<(Timestamp, String)> {
        let step = STEPS.into_iter().find(|step| self.seconds() / step < TICKS).unwrap_or(3650 * DAY);
        let Ok(mut at) = self.from.to_zoned(face.zone.clone()).start_of_day() else { return Vec::new() };
        let mut ticks: Vec<(Timestamp, String)> = Vec::new();
        let mut day: Option<jiff::civil::Date> = None;
        // From midnight on, so that hours are whole ones.
        while at.timestamp() <= self.until && ticks.len() < 2 * STEPS.len() {
            if at.timestamp() >= self.from {
                let form = match (step < DAY, day == Some(at.date())) {
                    (false, _) if step >= 180 * DAY => "%b %Y",
                    (false, _) => "%d %b",
                    (true, true) => "%H:%M",
                    (true, false) => "%d %b %H:%M",
                };
                day = Some(at.date());
                ticks.push((at.timestamp(), at.strftime(form).to_string()));
            }
            let Some(next) = after(&at, step) else { break };
            at = next;
        }
        ticks
    }
}

fn after(at: &Zoned, step: i64) -> Option<Zoned> {
    match step < DAY {
        true => at.checked_add(step.seconds()).ok(),
        // A day may be an hour longer or shorter.
        false => at.checked_add((step / DAY).days()).ok(),
    }
}

/// Draws the rows over a window; `about` says what the picture shows.
pub(crate) fn draw(rows: &[Row], window: Window, face: &Face, about: &str) -> String {
    let named = rows.len() > 1;
    let tall = ROW + if named { LABEL } else { 0.0 };
    #[allow(clippy::cast_precision_loss, reason = "there are few rows")]
    let height = tall * rows.len() as f64;
    let linked = rows.iter().flat_map(|row| &row.marks).any(|mark| mark.address.is_some());
    let mut svg = format!(
        "<svg class=\"timeline\" viewBox=\"0 0 {WIDTH} {}\" role=\"{}\" aria-label=\"{}\">",
        short(height + 22.0),
        if linked { "group" } else { "img" },
        escaped(about)
    );
    let mut top = 0.0;
    for row in rows {
        if named {
            // Writing into a text cannot fail.
            let _ = write!(svg, "<text x=\"0\" y=\"{}\">{}</text>", short(top + 14.0), escaped(&row.name));
        }
        draw_row(&mut svg, row, window, face, top + tall - ROW);
        top += tall;
    }
    if face.now < window.until && face.now > window.from {
        let now = short(window.place(face.now));
        let _ = write!(svg, "<path class=\"now\" d=\"M{now} 0v{}\"><title>now</title></path>", short(height));
    }
    let ticks = window.ticks(face);
    let last = ticks.len().saturating_sub(1);
    for (number, (at, label)) in ticks.iter().enumerate() {
        let left = window.place(*at);
        let anchor = match number {
            0 if left < 60.0 => "start",
            _ if number == last && left > WIDTH - 60.0 => "end",
            _ => "middle",
        };
        let _ = write!(
            svg,
            "<path class=\"line\" d=\"M{0} {1}v4\"/><text x=\"{0}\" y=\"{2}\" text-anchor=\"{anchor}\">{label}</text>",
            short(left),
            short(height),
            short(height + 18.0)
        );
    }
    svg.push_str("</svg>");
    svg
}

fn draw_row(svg: &mut String, row: &Row, window: Window, face: &Face, top: f64) {
    let bottom = top + ROW;
    // Writing into a text cannot fail.
    let _ = write!(svg, "<path class=\"line\" d=\"M0 {0}h{WIDTH}\"/>", short(bottom - 0.5));
    for (from, until) in &row.shades {
        let (left, right) = (window.place(*from), window.place(*until));
        let _ = write!(
            svg,
            "<rect class=\"shade\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"><title>every second from {} to {}</title></rect>",
            short(left),
            short(top + 4.0),
            short((right - left).max(1.0)),
            short(ROW - 5.0),
            face.short(*from),
            face.short(*until)
        );
    }
    for (mark, offset) in row.marks.iter().zip(offsets(&row.marks, window)) {
        let left = window.place(mark.at);
        let shape = match mark.form {
            Form::Tall => bar(left, bottom, ROW - 6.0),
            Form::Low => bar(left, bottom, (ROW - 6.0) / 2.0),
            Form::Dot | Form::Ring => {
                format!("cx=\"{}\" cy=\"{}\" r=\"4\"", short(left), short(top + ROW / 2.0 + offset))
            }
        };
        let (element, form) = match mark.form {
            Form::Tall | Form::Low => ("path", "bar"),
            Form::Dot => ("circle", "dot"),
            Form::Ring => ("circle", "ring"),
        };
        let title = escaped(&mark.title);
        let drawn =
            format!("<{element} class=\"{form} {}\" {shape}><title>{title}</title></{element}>", mark.hue);
        let _ = match &mark.address {
            Some(address) => {
                write!(svg, "<a href=\"{}\" aria-label=\"{title}\">{drawn}</a>", escaped(address))
            }
            None => write!(svg, "{drawn}"),
        };
    }
}

/// Says how far above or below the middle of its row each dot stands: those that would cover each other go to three lanes.
fn offsets(marks: &[Mark], window: Window) -> Vec<f64> {
    const APART: f64 = 9.0;
    const LANES: [f64; 3] = [0.0, -APART, APART];
    let mut order: Vec<usize> = (0..marks.len()).collect();
    order.sort_by_key(|number| marks.get(*number).map(|mark| mark.at));
    let mut offsets = vec![0.0; marks.len()];
    let mut taken = LANES.map(|_| f64::NEG_INFINITY);
    for number in order {
        let Some(left) = marks.get(number).map(|mark| window.place(mark.at)) else { continue };
        let is_free = |until: &f64| left - until >= APART;
        let oldest =
            || taken.iter().enumerate().min_by(|(_, a), (_, b)| a.total_cmp(b)).map(|(lane, _)| lane);
        let lane = taken.iter().position(is_free).or_else(oldest).unwrap_or_default();
        if let (Some(slot), Some(until), Some(offset)) =
            (offsets.get_mut(number), taken.get_mut(lane), LANES.get(lane))
        {
            *slot = *offset;
            *until = left;
        }
    }
    offsets
}

fn bar(left: f64, bottom: f64, tall: f64) -> String {
    format!("d=\"M{} {}v-{}\"", short(left), short(bottom - 1.0), short(tall))
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::tz::TimeZone;

    fn face(now: &str) -> Face {
        Face { now: now.parse().unwrap(), zone: TimeZone::get("Europe/Berlin").unwrap() }
    }

    fn window(from: &str, until: &str) -> Window {
        Window::around([from.parse().unwrap(), until.parse().unwrap()]).unwrap()
    }

    #[test]
    fn what_is_written_below_are_few_round_moments_of_the_readers_clock() {
        for (from, until, first) in [
            ("2026-03-01T12:10:00Z", "2026-03-01T12:14:30Z", "01 Mar 13:10"),
            ("2026-03-01T05:10:00Z", "2026-03-01T18:00:00Z", "01 Mar 09:00"),
            ("2026-03-28T12:00:00Z", "2026-03-31T12:00:00Z", "29 Mar"),
            ("2025-01-15T12:00:00Z", "2026-03-31T12:00:00Z", "15 Apr"),
        ] {
            let ticks = window(from, until).ticks(&face("2026-03-31T12:00:00Z"));
            assert!((2..=6).contains(&ticks.len()), "{from} {until}: {ticks:?}");
            assert_eq!(ticks[0].1, first, "{ticks:?}");
        }
    }

    #[test]
    fn every_mark_lies_within_the_picture_and_says_what_it_is() {
        let window = window("2026-03-01T12:00:00Z", "2026-03-02T12:00:00Z");
        let mark = |at: &str| Mark {
            at: at.parse().unwrap(),
            form: Form::Tall,
            hue: "good",
            title: "a <b>".to_owned(),
            address: None,
        };
        let marks = vec![mark("2026-03-01T12:00:00Z"), mark("2026-03-02T12:00:00Z")];
        let row = Row { name: "Local".to_owned(), marks, shades: Vec::new() };
        let svg = draw(&[row], window, &face("2026-03-02T12:00:00Z"), "two backups");
        assert!(svg.contains("M8 31v-26") && svg.contains("M712 31v-26"), "{svg}");
        assert!(svg.contains("a &lt;b&gt;") && svg.contains("role=\"img\""), "{svg}");
    }

    #[test]
    fn dots_that_would_cover_each_other_stand_above_and_below() {
        let window = window("2026-03-01T00:00:00Z", "2026-03-31T00:00:00Z");
        let mark = |at: &str| Mark {
            at: at.parse().unwrap(),
            form: Form::Dot,
            hue: "there",
            title: String::new(),
            address: None,
        };
        let moments =
            ["2026-03-09T12:00:00Z", "2026-03-02T02:00:00Z", "2026-03-02T01:00:00Z", "2026-03-02T00:00:00Z"];
        assert_eq!(offsets(&moments.map(mark), window), [0.0, 9.0, -9.0, 0.0]);
    }

    #[test]
    fn one_moment_is_a_picture_too() {
        let one = Window::around(["2026-03-01T12:00:00Z".parse().unwrap()]).unwrap();
        assert!(draw(&[Row::default()], one, &face("2026-03-01T12:00:00Z"), "one").contains("</svg>"));
        assert!(Window::around([]).is_none());
    }
}
