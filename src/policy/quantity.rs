//! Spans of time and amounts of bytes as people write them: `10 min`, `30 days`, `500 GiB`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Each unit of time with its seconds; the first name is the one that is shown.
const TIMES: &[(&[&str], u64)] = &[
    (&["weeks", "week", "w"], 7 * DAY),
    (&["days", "day", "d"], DAY),
    (&["hours", "hour", "h"], HOUR),
    (&["minutes", "minute", "min", "m"], MINUTE),
    (&["seconds", "second", "s"], 1),
];

/// Each unit of bytes, in the same way.
const BYTES: &[(&[&str], u64)] = &[
    (&["TiB"], 1 << 40),
    (&["TB"], 1_000_000_000_000),
    (&["GiB"], 1 << 30),
    (&["GB"], 1_000_000_000),
    (&["MiB"], 1 << 20),
    (&["MB"], 1_000_000),
    (&["KiB"], 1 << 10),
    (&["kB"], 1000),
    (&["bytes", "byte", "B"], 1),
];

/// A text that is not a span of time or an amount of bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {what}")]
pub struct BadQuantity {
    text: String,
    what: &'static str,
}

/// A span of time in whole seconds: `10 min`, `12 hours`, `30 days`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Span(u64);

/// An amount of bytes: `500 GiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Amount(u64);

impl Span {
    pub const fn seconds(seconds: u64) -> Self {
        Self(seconds)
    }

    pub const fn days(days: u64) -> Self {
        Self(days.saturating_mul(DAY))
    }

    pub const fn duration(self) -> Duration {
        Duration::from_secs(self.0)
    }
}

impl Amount {
    pub const fn new(bytes: u64) -> Self {
        Self(bytes)
    }

    pub const fn bytes(self) -> u64 {
        self.0
    }
}

fn parse(text: &str, units: &[(&[&str], u64)]) -> Option<u64> {
    let text = text.trim();
    let end = text.find(|it: char| !it.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(end)?;
    let number: u64 = number.parse().ok()?;
    let unit = unit.trim_start();
    if unit.is_empty() {
        return (number == 0).then_some(0);
    }
    let (_, factor) = units.iter().find(|(names, _)| names.contains(&unit))?;
    number.checked_mul(*factor)
}

/// In the largest unit that it is a multiple of.
fn show(out: &mut fmt::Formatter<'_>, number: u64, units: &[(&[&str], u64)]) -> fmt::Result {
    let fits = |(_, factor): &&(&[&str], u64)| number > 0 && number.is_multiple_of(*factor);
    match units.iter().find(fits) {
        Some((names, factor)) => {
            let count = number.checked_div(*factor).unwrap_or(0);
            // A single one has the second name, where there is one.
            let name = if count == 1 { names.get(1).or(names.first()) } else { names.first() };
            write!(out, "{count} {}", name.unwrap_or(&""))
        }
        None => write!(out, "{number}"),
    }
}

impl FromStr for Span {
    type Err = BadQuantity;

    fn from_str(text: &str) -> Result<Self, BadQuantity> {
        let what = "a time such as \"90 min\", \"12 hours\" or \"30 days\"";
        parse(text, TIMES).map(Self).ok_or_else(|| BadQuantity { text: text.to_owned(), what })
    }
}

impl FromStr for Amount {
    type Err = BadQuantity;

    fn from_str(text: &str) -> Result<Self, BadQuantity> {
        let what = "a size such as \"500 MiB\" or \"2 TB\"";
        parse(text, BYTES).map(Self).ok_or_else(|| BadQuantity { text: text.to_owned(), what })
    }
}

impl fmt::Display for Span {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        show(out, self.0, TIMES)
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        show(out, self.0, BYTES)
    }
}

macro_rules! by_text {
    ($($name:ty),+) => {$(
        impl TryFrom<String> for $name {
            type Error = BadQuantity;

            fn try_from(text: String) -> Result<Self, BadQuantity> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(it: $name) -> Self {
                it.to_string()
            }
        }
    )+};
}
by_text!(Span, Amount);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_amounts_are_read_and_shown() {
        for (text, seconds, shown) in [
            ("90 min", 5400, "90 minutes"),
            ("10m", 600, "10 minutes"),
            ("1 hour", 3600, "1 hour"),
            ("30 days", 2_592_000, "30 days"),
            ("14d", 1_209_600, "2 weeks"),
            ("0", 0, "0"),
            ("0 s", 0, "0"),
        ] {
            let span: Span = text.parse().unwrap();
            assert_eq!((span, span.to_string().as_str()), (Span(seconds), shown), "{text}");
        }
        assert_eq!("500 GiB".parse(), Ok(Amount(500 << 30)));
        for (text, shown) in
            [("2TB", "2 TB"), ("1500 KiB", "1500 KiB"), ("1kB", "1 kB"), ("7 B", "7 bytes")]
        {
            assert_eq!(text.parse::<Amount>().unwrap().to_string(), shown);
        }
    }

    #[test]
    fn a_number_without_a_known_unit_is_refused() {
        for text in ["", "5", "min", "-5 min", "5 months", "1.5 hours", "99999999999999999999 d"] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
        let error = "500".parse::<Amount>().unwrap_err().to_string();
        assert!(error.contains("\"500\" is not a size such as"), "{error}");
    }
}
