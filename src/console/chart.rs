//! Charts, drawn here as SVG. Behind each stands a table with the same numbers.

use maud::{Markup, html};

use crate::domain::{Kind, Timestamp};

use super::show::{grouped, minute};

/// The size of the drawing; pages scale it.
const WIDTH: u64 = 640;
const HEIGHT: u64 = 160;
const LEFT: u64 = 8;
const RIGHT: u64 = 8;
const TOP: u64 = 10;
const BOTTOM: u64 = 22;

/// A number at a time, with what a pointer on it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Dot {
    pub(super) at: Timestamp,
    pub(super) value: u64,
    pub(super) says: String,
}

/// A line through numbers over time, oldest first.
pub(super) fn line(title: &str, dots: &[Dot]) -> Markup {
    let (Some(first), Some(last)) = (dots.first(), dots.last()) else { return html! {} };
    let most = dots.iter().map(|it| it.value).max().unwrap_or(1).max(1);
    let places: Vec<_> = dots
        .iter()
        .map(|it| (across(it.at, first.at, last.at), height(it.value, most), it))
        .collect();
    let path: Vec<String> = places.iter().map(|(x, y, _)| format!("{x},{y}")).collect();
    html! {
        svg.chart viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img" aria-label=(title) {
            (axis(first.at, last.at))
            text.tick.middle x=(WIDTH / 2) y=(TOP + 4) { "At most " (grouped(most)) }
            polyline.line points=(path.join(" ")) {}
            @for (x, y, dot) in &places {
                circle.dot cx=(x) cy=(y) r="3.5" { title { (dot.says) } }
            }
        }
    }
}

/// A restore point on the timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Point {
    pub(super) at: Timestamp,
    pub(super) kind: Kind,
    /// The number of its chain.
    pub(super) chain: usize,
    pub(super) bytes: u64,
    pub(super) class: &'static str,
    pub(super) says: String,
}

/// Restore points over time, oldest first: a bar for each, as high as its archive is large; a line below joins those of
/// a chain.
pub(super) fn timeline(title: &str, points: &[Point]) -> Markup {
    let (Some(first), Some(last)) = (points.first(), points.last()) else { return html! {} };
    let most = points.iter().map(|it| it.bytes).max().unwrap_or(1).max(1);
    let x = |at| across(at, first.at, last.at);
    let base = HEIGHT.saturating_sub(BOTTOM);
    html! {
        svg.chart viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img" aria-label=(title) {
            (axis(first.at, last.at))
            @for (from, to) in chains(points) {
                line.chain x1=(x(from)) x2=(x(to)) y1=(base + 3) y2=(base + 3) {}
            }
            @for it in points {
                // One that is small beside the largest is still seen.
                @let top = height(it.bytes, most).min(base.saturating_sub(4));
                rect.bar.(it.class).full[it.kind == Kind::Full] x=(x(it.at).saturating_sub(2)) y=(top)
                    width="4" height=(base.saturating_sub(top)) rx="1" { title { (it.says) } }
            }
        }
    }
}

/// From where to where each chain goes.
fn chains(points: &[Point]) -> Vec<(Timestamp, Timestamp)> {
    let mut found: Vec<(usize, Timestamp, Timestamp)> = Vec::new();
    for it in points {
        match found.iter_mut().find(|(chain, ..)| *chain == it.chain) {
            Some((_, _, to)) => *to = it.at,
            None => found.push((it.chain, it.at, it.at)),
        }
    }
    found.into_iter().map(|(_, from, to)| (from, to)).collect()
}

fn axis(first: Timestamp, last: Timestamp) -> Markup {
    let base = HEIGHT.saturating_sub(BOTTOM);
    let (from, to) = (minute(first), minute(last));
    let date = |minute: &str| minute.get(..10).unwrap_or_default().to_owned();
    // Of one day, only the times differ.
    let (from, to) = if date(&from) == date(&to) { (from, to) } else { (date(&from), date(&to)) };
    html! {
        line.axis x1=(LEFT) x2=(WIDTH - RIGHT) y1=(base) y2=(base) {}
        text.tick x=(LEFT) y=(HEIGHT - 4) { (from) }
        text.tick.end x=(WIDTH - RIGHT) y=(HEIGHT - 4) { (to) }
    }
}

/// How far to the right a time is.
fn across(at: Timestamp, first: Timestamp, last: Timestamp) -> u64 {
    let all = first.until(last).as_micros().max(1);
    let room = u128::from(WIDTH.saturating_sub(LEFT).saturating_sub(RIGHT).saturating_sub(8));
    let x = first.until(at).as_micros().min(all) * room / all;
    u64::try_from(x).unwrap_or(0).saturating_add(LEFT).saturating_add(4)
}

/// How far down a value stands.
fn height(value: u64, most: u64) -> u64 {
    let room = HEIGHT.saturating_sub(TOP).saturating_sub(BOTTOM);
    let up = u128::from(value.min(most)) * u128::from(room) / u128::from(most);
    HEIGHT.saturating_sub(BOTTOM).saturating_sub(u64::try_from(up).unwrap_or(room))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn dot(days: u64, value: u64) -> Dot {
        let at = Timestamp::EARLIEST.plus(Duration::from_secs(days * 86_400));
        Dot { at, value, says: format!("{value} <rows>") }
    }

    #[test]
    fn a_line_goes_from_the_first_time_to_the_last_and_up_to_the_most() {
        let shown = line("Rows", &[dot(0, 0), dot(5, 50), dot(10, 100)]).into_string();
        assert!(shown.contains("12,138 320,74 628,10"), "{shown}");
        assert!(
            shown.contains("50 &lt;rows&gt;") && shown.contains("aria-label=\"Rows\""),
            "{shown}"
        );
        assert_eq!(line("Rows", &[]).into_string(), "");
        let one = line("Rows", &[dot(3, 7)]).into_string();
        assert!(one.contains("12,10"), "{one}");
    }

    #[test]
    fn below_a_chart_of_one_day_stand_times_and_else_dates() {
        let hour = |hours: u64| Dot {
            at: Timestamp::EARLIEST.plus(Duration::from_secs(hours * 3600)),
            ..dot(0, 1)
        };
        let day = line("Rows", &[hour(1), hour(7)]).into_string();
        assert!(
            day.contains(">2026-01-01 01:00 UTC<") && day.contains(">2026-01-01 07:00 UTC<"),
            "{day}"
        );
        let days = line("Rows", &[hour(1), hour(30)]).into_string();
        assert!(days.contains(">2026-01-01<") && days.contains(">2026-01-02<"), "{days}");
    }
}
