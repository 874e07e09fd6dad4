//! What is kept, as the configuration says it: `keep`.

use std::fmt::Display;
use std::str::FromStr;

use crate::policy::{Amount, Keep, KeepKeys, Span, Tier};

/// What is kept, as the configuration and the API say it.
pub type KeepConfig = KeepKeys;

/// The most restore points that a rule may keep.
const MOST_KEPT: u32 = 100_000;

/// What is wrong with a key: its name, and the rest of the sentence.
pub(super) type Wrong = (String, String);

impl KeepConfig {
    /// What is wrong with it where it was written and says nothing, as the rest of a sentence.
    pub(super) fn says_nothing(&self) -> Option<String> {
        self.is_empty().then(|| {
            "says nothing that is to be kept, and then nothing would ever go: write how many, such as { last = 3, daily \
             = 7 }, leave it out, or write { last = 100000 } to keep everything"
                .to_owned()
        })
    }

    pub(super) fn policy(&self) -> Result<Keep, Wrong> {
        let counts = [
            (Tier::Last, self.last),
            (Tier::Hourly, self.hourly),
            (Tier::Daily, self.daily),
            (Tier::Weekly, self.weekly),
            (Tier::Monthly, self.monthly),
            (Tier::Yearly, self.yearly),
        ];
        let wrong = |key: &str, why: String| (format!("keep.{key}"), why);
        if let Some((tier, count)) = counts.iter().find(|(_, count)| *count > MOST_KEPT) {
            return Err(wrong(tier.as_str(), format!("is {count}; the most is {MOST_KEPT}")));
        }
        let min_age = optional::<Span>(&self.min_age).map_err(|why| wrong("min_age", why))?;
        let max_size = optional::<Amount>(&self.max_size).map_err(|why| wrong("max_size", why))?;
        if max_size == Some(Amount::new(0)) {
            let why = "is 0, and then all but the newest chain would go at once: leave it out for any size";
            return Err(wrong("max_size", why.to_owned()));
        }
        let mut keep = Keep::new(counts);
        keep.min_age = min_age.unwrap_or_default();
        keep.max_size = max_size;
        if min_age.is_some() && !keep.lets_go() {
            let why = "alone lets nothing go: say too how many to keep, such as \
                       { daily = 7, weekly = 5 }, or max_size";
            return Err(wrong("min_age", why.to_owned()));
        }
        Ok(keep)
    }
}

/// A value by its text; what is wrong with it, as the rest of a sentence.
pub(super) fn read<T: FromStr<Err: Display>>(text: &str) -> Result<T, String> {
    text.parse::<T>().map_err(|error| error.to_string())
}

/// The same; `None` for an empty text.
pub(super) fn optional<T: FromStr<Err: Display>>(text: &str) -> Result<Option<T>, String> {
    if text.is_empty() { Ok(None) } else { read(text).map(Some) }
}
