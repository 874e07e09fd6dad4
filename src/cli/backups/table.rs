//! Tables of text, and what stands in their cells.

use std::collections::{HashMap, HashSet};
use std::iter;

use crate::cli::terminal;
use crate::domain::{BackupId, Clock as _, CopyProof, CopyState, NextDrill, SystemClock};
use crate::wire::{BackupView, CopyView, DrillStatus, UtcTime};

/// What stands in a cell about which nothing is known.
pub(super) const NOTHING: &str = "-";

/// The shortest that an id is cut to: the time in it.
const SHORT_ID: usize = 13;
/// The shortest that a name is cut to.
const SHORT_NAME: usize = 8;

/// Prints rows under their headings, each column as wide as its longest cell. On a terminal that is narrower, ids
/// are cut where they are still unique, then names.
pub(in crate::cli) fn print<const COLUMNS: usize>(
    headings: [&str; COLUMNS],
    mut rows: Vec<[String; COLUMNS]>,
) {
    if let Some(columns) = terminal::columns() {
        fit(headings, &mut rows, columns);
    }
    let widths = widths(headings, &rows);
    terminal::say(line(&headings.map(str::to_owned), &widths));
    for row in &rows {
        terminal::say(line(row, &widths));
    }
}

fn widths<const COLUMNS: usize>(
    headings: [&str; COLUMNS],
    rows: &[[String; COLUMNS]],
) -> [usize; COLUMNS] {
    let mut widths = headings.map(str::len);
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    widths
}

/// Cuts ids, then names, until lines are no longer than `columns`, if that is enough.
fn fit<const COLUMNS: usize>(
    headings: [&str; COLUMNS],
    rows: &mut [[String; COLUMNS]],
    columns: usize,
) {
    for heading in ["ID", "NAME"] {
        let widths = widths(headings, rows);
        let length = widths.iter().sum::<usize>() + 2 * COLUMNS.saturating_sub(1);
        let at = headings.iter().position(|it| *it == heading);
        let Some((at, width)) = at.and_then(|at| Some((at, *widths.get(at)?))) else { continue };
        if length <= columns {
            return;
        }
        let mut cells: Vec<&mut String> = rows.iter_mut().filter_map(|it| it.get_mut(at)).collect();
        if heading == "ID" {
            let unique = |length: &usize| {
                let starts = cells.iter().map(|id| id.chars().take(*length).collect::<String>());
                starts.collect::<HashSet<_>>().len() == cells.len()
            };
            let length = (SHORT_ID..width).find(unique).unwrap_or(width);
            for id in &mut cells {
                **id = id.chars().take(length).collect();
            }
        } else {
            let most = width.saturating_sub(length - columns).max(SHORT_NAME);
            for name in cells.iter_mut().filter(|it| it.chars().count() > most) {
                **name = name.chars().take(most - 1).chain(['…']).collect();
            }
        }
    }
}

fn line(cells: &[String], widths: &[usize]) -> String {
    let padded: Vec<String> =
        cells.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
    padded.join("  ").trim_end().to_owned()
}

/// How long ago that was: `5 min ago`.
pub(super) fn age(time: UtcTime) -> String {
    let passed = SystemClock.now().as_micros().saturating_sub(time.at().as_micros());
    format!("{} ago", span(passed / 1_000_000))
}

/// A time span in the largest unit of which there are at least two; less is shown in seconds.
fn span(seconds: i64) -> String {
    let seconds = seconds.max(0);
    for (unit, length) in [("d", 86_400), ("h", 3600), ("min", 60)] {
        if seconds >= 2 * length {
            return format!("{} {unit}", seconds / length);
        }
    }
    format!("{seconds} s")
}

pub(super) fn size(backup: &BackupView) -> String {
    backup.size_bytes.map_or_else(|| NOTHING.to_owned(), terminal::human)
}

/// How far the backup is proven, and how long ago that was found; or what is known to be wrong with it.
pub(super) fn proof(backup: &BackupView, lineage: &Lineage<'_>) -> String {
    let bad = lineage.bad(backup);
    match (bad, backup.verify_level, backup.verified_at) {
        (Some(bad), ..) if bad.id == backup.id => bad_word(bad).to_uppercase(),
        (Some(bad), ..) => format!("built on a {} backup", bad_word(bad)),
        (None, Some(level), Some(at)) => format!("{} {}", level.as_str(), age(at)),
        _ => NOTHING.to_owned(),
    }
}

/// How many of its copies are proven, for behind the proof of a backup; nothing if it has none.
pub(super) fn copies(backup: &BackupView) -> String {
    let kept = || backup.copies.iter().filter(|it| it.state != CopyState::Expired && !it.leaving);
    let all = kept().count();
    let proven = kept().filter(|it| it.state == CopyState::Proven).count();
    match all {
        0 => String::new(),
        1 if proven == 1 => "; 1 copy".to_owned(),
        _ if proven == all => format!("; {all} copies"),
        1 => "; copy not proven yet".to_owned(),
        _ => format!("; {proven} of {all} copies"),
    }
}

/// Where a copy stands, in a line.
pub(super) fn copy(copy: &CopyView) -> String {
    let state = match (copy.state, copy.proven_at, copy.proven_by) {
        (_, Some(at), Some(CopyProof::ReadBack)) => {
            format!("proven {} by reading it back", age(at))
        }
        (_, Some(at), Some(CopyProof::StoreChecksum)) => {
            format!("proven {} by the store's SHA-256", age(at))
        }
        (CopyState::Failed, ..) => {
            let next = copy.next_attempt.map(|at| format!(", next attempt {at} UTC"));
            format!("failed (attempt {}{})", copy.attempts, next.unwrap_or_default())
        }
        (CopyState::Expired, ..) => "removed, the place keeps it no longer".to_owned(),
        (state, ..) => format!("{} {:.0} %", state.as_str(), copy.progress * 100.0),
    };
    let failure = copy.failure.as_ref().map(|it| format!(": {it}")).unwrap_or_default();
    let locked = copy.locked_until.map(|at| format!(", locked until {at} UTC"));
    let leaving = if copy.leaving { ", to be removed there" } else { "" };
    format!("{}: {state}{}{leaving}{failure}", copy.place, locked.unwrap_or_default())
}

fn bad_word(bad: &BackupView) -> &'static str {
    let is_damage = bad.failure.as_ref().is_some_and(|it| it.code.is_damage());
    if is_damage { "damaged" } else { "missing" }
}

/// Backups by id, to find what one of them is built on.
pub(super) struct Lineage<'a>(HashMap<BackupId, &'a BackupView>);

impl<'a> Lineage<'a> {
    pub(super) fn new(backups: &'a [BackupView]) -> Self {
        Self(backups.iter().map(|it| (it.id, it)).collect())
    }

    /// The backup that is known to be damaged or missing: this one, or else the nearest that it is built on.
    pub(super) fn bad<'b>(&self, backup: &'b BackupView) -> Option<&'b BackupView>
    where
        'a: 'b,
    {
        let parent = |it: &&'b BackupView| self.0.get(&it.parent_id?).copied();
        // A usable backup has no other failure than the damage that was found in it later.
        iter::successors(Some(backup), parent)
            .take(self.0.len() + 1)
            .find(|it| it.status.is_usable() && it.failure.is_some())
    }
}

/// The status; of a running backup also how far it is.
pub(super) fn status(backup: &BackupView) -> String {
    if backup.status.is_running() && backup.progress > 0.0 {
        format!("{} {:.0} %", backup.status, backup.progress * 100.0)
    } else {
        backup.status.to_string()
    }
}

/// What the last drill ended with, and whether another one is to come, in a word or two.
pub(super) fn drill(backup: &BackupView) -> String {
    let ended = backup.drill.as_ref().map(|drill| {
        let word = match drill.status {
            DrillStatus::Passed => "passed",
            DrillStatus::Damaged => "damaged",
            DrillStatus::Inconclusive => "inconclusive",
        };
        format!("{word} {}", age(drill.at))
    });
    let next = backup.next_drill.map(|it| match it {
        NextDrill::Waiting => "one waits".to_owned(),
        NextDrill::Running => "one runs".to_owned(),
    });
    let parts: Vec<_> = [ended, next].into_iter().flatten().collect();
    if parts.is_empty() { NOTHING.to_owned() } else { parts.join("; ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_shown_in_the_largest_unit_of_which_there_are_two() {
        for (seconds, shown) in [
            (-5, "0 s"),
            (119, "119 s"),
            (120, "2 min"),
            (7199, "119 min"),
            (7200, "2 h"),
            (172_799, "47 h"),
            (172_800, "2 d"),
            (31_536_000, "365 d"),
        ] {
            assert_eq!(span(seconds), shown);
        }
    }

    #[test]
    fn on_a_narrow_terminal_ids_are_cut_where_they_are_unique_and_then_names() {
        let headings = ["ID", "NAME", "STATUS"];
        let row = |id: &str| [id, "a name that is long", "COMPLETED"].map(str::to_owned);
        let all = [
            row("01a21dda-8fe3-72a0-96e0-eed9ce8a57c1"),
            row("01a21dda-8fe3-73a0-96e0-eed9ce8a57c1"),
        ];
        let fitted = |columns: usize| {
            let mut rows = all.clone();
            fit(headings, &mut rows, columns);
            line(&rows[0], &widths(headings, &rows))
        };
        assert_eq!(fitted(68), line(&all[0], &[36, 19, 9]));
        assert_eq!(fitted(50), "01a21dda-8fe3-72  a name that is long  COMPLETED");
        assert_eq!(fitted(40), "01a21dda-8fe3-72  a name tha…  COMPLETED");
        assert_eq!(fitted(10), "01a21dda-8fe3-72  a name …  COMPLETED");
    }

    #[test]
    fn columns_are_as_wide_as_their_longest_cell_and_lines_have_no_blanks_at_the_end() {
        let cells = ["ä".to_owned(), "b".to_owned()];
        assert_eq!(line(&cells, &[3, 4]), "ä    b");
    }
}
