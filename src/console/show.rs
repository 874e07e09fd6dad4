//! How things are written on pages: times with their zone, sizes with their unit, states as words with a mark.

use std::time::Duration;

use maud::{Markup, html};

use crate::domain::{Kind, Status, Timestamp, VerifyLevel};
use crate::policy::{Guard, SafetyState, Severity, Tier};
use crate::wire::InstanceHealthView;

/// What stands where there is nothing.
pub(super) const NOTHING: &str = "–";

/// Each is 1024 of the one before; the first is 1024 bytes.
const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];

/// `2026-11-23 19:00 UTC`, readable for programs, too.
pub(super) fn time(at: Timestamp) -> Markup {
    html! { time datetime=(format!("{}Z", at.to_wire())) { (minute(at)) } }
}

pub(super) fn minute(at: Timestamp) -> String {
    let wire = at.to_wire();
    let (date, time) = wire.split_once('T').unwrap_or((&wire, ""));
    format!("{date} {} UTC", time.get(..5).unwrap_or_default())
}

/// A time, and how far away it is.
pub(super) fn when(at: Timestamp, now: Timestamp) -> Markup {
    html! { (time(at)) " " span.soft { (away(at, now)) } }
}

pub(super) fn or_nothing(shown: Option<Markup>) -> Markup {
    shown.unwrap_or_else(|| html! { span.soft { (NOTHING) } })
}

/// `3 h ago`, `in 2 days`.
pub(super) fn away(at: Timestamp, now: Timestamp) -> String {
    if at > now {
        format!("in {}", span(now.until(at)))
    } else {
        format!("{} ago", span(at.until(now)))
    }
}

/// A time in the unit of which there are at least two.
pub(super) fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7199 => format!("{} min", seconds / 60),
        7200..=172_799 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// How long something took.
pub(super) fn took(time: Duration) -> String {
    if time < Duration::from_secs(10) {
        return format!("{}.{} s", time.as_secs(), time.subsec_millis() / 100);
    }
    span(time)
}

/// `12.3 MiB`: three digits, in the largest unit of which there is one.
pub(super) fn size(bytes: u64) -> String {
    let (mut one, mut name) = (1_u64, "B");
    for unit in UNITS {
        if bytes / one < 1024 {
            break;
        }
        (one, name) = (one << 10, unit);
    }
    let hundredths = u128::from(bytes) * 100 / u128::from(one);
    match hundredths {
        _ if one == 1 => format!("{bytes} B"),
        0..1000 => format!("{}.{:02} {name}", hundredths / 100, hundredths % 100),
        1000..10_000 => format!("{}.{} {name}", hundredths / 100, hundredths % 100 / 10),
        _ => format!("{} {name}", grouped(bytes / one)),
    }
}

/// A number with a thin space between thousands.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let first = digits.len() % 3;
    let mut shown = String::with_capacity(digits.len().saturating_add(8));
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && at % 3 == first {
            shown.push('\u{202f}');
        }
        shown.push(digit);
    }
    shown
}

pub(super) fn counted(count: usize, noun: &str) -> String {
    let shown = grouped(u64::try_from(count).unwrap_or(u64::MAX));
    if count == 1 { format!("{shown} {noun}") } else { format!("{shown} {noun}s") }
}

/// A mark of how good something is; the words say it, too.
pub(super) fn badge(class: &'static str, words: &str) -> Markup {
    html! { span.badge.(class) { (words) } }
}

pub(super) fn safety(it: &InstanceHealthView) -> Markup {
    match it.state {
        SafetyState::NotBackedUp if it.is_waiting() => badge("soft", "Waits for its first backup"),
        SafetyState::Safe => badge("good", "Safe"),
        SafetyState::NotBackedUp => badge("soft", "Not backed up"),
        SafetyState::Warning => badge("warn", "Warning"),
        SafetyState::Critical => badge("bad", "Critical"),
    }
}

pub(super) fn severity(severity: Severity) -> Markup {
    match severity {
        Severity::Warning => badge("warn", "Warning"),
        Severity::Critical => badge("bad", "Critical"),
    }
}

pub(super) fn status(status: Status) -> Markup {
    let class = match status {
        Status::Completed | Status::Restored => "good",
        Status::New | Status::Building | Status::Saving => "busy",
        Status::Failed | Status::DeleteFailed => "bad",
    };
    badge(class, status.as_str())
}

pub(super) const fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Full => "Full",
        Kind::Incremental => "Incremental",
    }
}

/// How far a backup is proven.
pub(super) const fn proof(level: VerifyLevel) -> &'static str {
    match level {
        VerifyLevel::Bytes => "Every byte read back",
        VerifyLevel::Checked => "Read back, and checked by its engine",
        VerifyLevel::Restored => "Restored in a drill",
    }
}

pub(super) const fn tier(tier: Tier) -> &'static str {
    match tier {
        Tier::Last => "newest",
        Tier::Hourly => "hourly",
        Tier::Daily => "daily",
        Tier::Weekly => "weekly",
        Tier::Monthly => "monthly",
        Tier::Yearly => "yearly",
    }
}

pub(super) const fn guard(guard: Guard) -> &'static str {
    match guard {
        Guard::NewestProven => "it is the newest that can be restored",
        Guard::NoNewerRoot => "there is no newer full backup yet",
        Guard::Pinned => "it is pinned",
        Guard::Busy => "it is in use",
        Guard::Damaged => "it is damaged, and a person decides",
        Guard::TooYoung => "it is too young",
        Guard::ClockJumped => {
            "the clock jumped: nothing goes until three proven backups were made since"
        }
        Guard::StoreNotWhole => "the archives are not all where they were: nothing goes",
        Guard::NotConfigured => "the instance is not in the configuration: nothing goes",
        Guard::NotCopied => "a place keeps it for longer and does not have all of it yet",
        Guard::NoKey => {
            "only encrypted copies would be left, and no key of encryption.identity_files reads them"
        }
        Guard::SourceShrank => "the database shrank to less than half: nothing goes",
    }
}

/// A word of the catalog as a person reads it: `no_backup` is `No backup`.
pub(super) fn word(word: &str) -> String {
    let spaced = word.replace('_', " ");
    let mut letters = spaced.chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    first.chain(letters).collect()
}

/// A sentence: its first letter is a capital one, and it ends with a full stop.
pub(super) fn sentence(text: &str) -> String {
    let mut letters = text.trim_end().chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    let mut sentence: String = first.chain(letters).collect();
    if !sentence.ends_with(['.', '!', '?']) {
        sentence.push('.');
    }
    sentence
}

/// The beginning of an id: enough to tell one from another.
pub(super) fn short(id: &impl ToString) -> String {
    let text = id.to_string();
    // Ids made in the same second begin alike.
    text.rsplit('-').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_three_digits_in_a_unit_of_which_there_is_one() {
        const MIB: u64 = 1 << 20;
        for (bytes, shown) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.00 KiB"),
            (MIB / 2, "512 KiB"),
            (MIB - 1, "1\u{202f}023 KiB"),
            (12 * MIB + MIB / 3, "12.3 MiB"),
            (700 * MIB, "700 MiB"),
            (20_451 * MIB, "19.9 GiB"),
            (u64::MAX, "16\u{202f}383 PiB"),
        ] {
            assert_eq!(size(bytes), shown);
        }
    }

    #[test]
    fn times_say_how_far_away_they_are() {
        let now = Timestamp::EARLIEST;
        let later = |seconds| now.plus(Duration::from_secs(seconds));
        assert_eq!(away(now, later(90)), "90 s ago");
        assert_eq!(away(later(3 * 86_400), now), "in 3 days");
        assert_eq!(minute(now), "2026-01-01 00:00 UTC");
        assert_eq!(took(Duration::from_millis(1540)), "1.5 s");
    }

    #[test]
    fn a_sentence_begins_and_ends_as_one() {
        assert_eq!(sentence("it is gone"), "It is gone.");
        assert_eq!(sentence("Is it?"), "Is it?");
        assert_eq!(word("no_backup"), "No backup");
    }
}
