//! What is usual, by the backups before.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::domain::{CompletedBackup, RowsByTable};

/// The newest backup beside what was usual before: 100 is as usual.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trend {
    /// What it holds.
    pub size_percent: u64,
    /// How long it took; `None`: too few of its kind are known.
    pub duration_percent: Option<u64>,
}

/// How many backups there have to be before one to say what is usual.
const FEWEST: usize = 5;

/// The middle one; of an even number the larger of the two.
fn median<T: Ord + Copy>(mut values: Vec<T>) -> Option<T> {
    values.sort_unstable();
    values.get(values.len() / 2).copied()
}

/// What the backups before the newest one held, if there are enough.
pub(super) fn usual_size(completed: &[CompletedBackup]) -> Option<u64> {
    let before = completed.get(1..).unwrap_or_default();
    let sizes: Vec<u64> = before.iter().map(|it| it.source_bytes).collect();
    (sizes.len() >= FEWEST).then(|| median(sizes)).flatten()
}

/// How long those of the same kind took, and what their archives take.
pub(super) fn usual_duration(completed: &[CompletedBackup]) -> Option<(Duration, u64)> {
    let (newest, before) = completed.split_first()?;
    let same = || before.iter().filter(|it| it.kind == newest.kind && it.took.is_some());
    let times: Vec<Duration> = same().filter_map(|it| it.took).collect();
    if times.len() < FEWEST {
        return None;
    }
    median(times).zip(median(same().map(|it| it.stored_bytes).collect()))
}

fn percent(part: u128, whole: u128) -> u64 {
    let share = part.saturating_mul(100).checked_div(whole).unwrap_or(100);
    u64::try_from(share).unwrap_or(u64::MAX)
}

pub(super) fn trend(completed: &[CompletedBackup]) -> Option<Trend> {
    let newest = completed.first()?;
    let size = usual_size(completed)?;
    let duration = usual_duration(completed).zip(newest.took);
    Some(Trend {
        size_percent: percent(newest.source_bytes.into(), size.into()),
        duration_percent: duration
            .map(|((usual, _bytes), took)| percent(took.as_millis(), usual.as_millis())),
    })
}

/// The fewest rows of a table whose loss means anything.
const FEWEST_ROWS: u64 = 100;

/// The tables that kept less than `percent` hundredths of their rows, with both counts. Tables that differ only in
/// digits, such as those of single days, count as one.
pub fn fallen_tables(
    before: &RowsByTable,
    now: &RowsByTable,
    percent: u32,
) -> Vec<(String, u64, u64)> {
    let (before, now) = (by_pattern(before), by_pattern(now));
    let rows_now = |table: &String| now.get(table).copied().unwrap_or(0);
    let fell = |(table, rows): (String, u64)| {
        let left = rows_now(&table);
        let few = u128::from(left) * 100 < u128::from(rows) * u128::from(percent);
        (rows >= FEWEST_ROWS && few).then_some((table, rows, left))
    };
    before.into_iter().filter_map(fell).collect()
}

/// The sums of the rows of tables whose names differ only in digits.
fn by_pattern(rows: &RowsByTable) -> BTreeMap<String, u64> {
    let mut sums = BTreeMap::new();
    for (table, rows) in rows {
        let mut pattern = String::with_capacity(table.len());
        for it in table.chars() {
            if !it.is_ascii_digit() {
                pattern.push(it);
            } else if !pattern.ends_with('#') {
                pattern.push('#');
            }
        }
        let sum: &mut u64 = sums.entry(pattern).or_default();
        *sum = sum.saturating_add(*rows);
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(all: &[(&str, u64)]) -> RowsByTable {
        all.iter().map(|(table, rows)| ((*table).to_owned(), *rows)).collect()
    }

    #[test]
    fn a_table_that_lost_most_of_its_rows_or_is_gone_has_fallen() {
        let before = rows(&[("orders", 1000), ("users", 200), ("tags", 99)]);
        let now = rows(&[("orders", 499), ("tags", 0)]);
        let fallen = fallen_tables(&before, &now, 50);
        assert_eq!(fallen, [("orders".to_owned(), 1000, 499), ("users".to_owned(), 200, 0)]);
        assert_eq!(fallen_tables(&before, &now, 0), []);
        assert_eq!(fallen_tables(&before, &rows(&[("orders", 500), ("users", 100)]), 50), []);
    }

    #[test]
    fn a_table_of_yesterday_that_is_replaced_by_one_of_today_has_not_fallen() {
        let before = rows(&[("log_20261125", 900), ("log_20261126", 900)]);
        let now = rows(&[("log_20261126", 900), ("log_20261127", 20)]);
        assert_eq!(fallen_tables(&before, &now, 50), []);
    }
}
