//! The backups: a full one and two incremental ones, while the writer goes on.

use std::time::{Duration, Instant};

use crate::cli::{CommandError, terminal};

use super::client::{Api, BackupView};
use super::interrupt::Interrupt;
use super::ledger::Plan;
use super::report;
use super::writer::Writer;

const LOOK_EVERY: Duration = Duration::from_millis(20);

/// How many points are made: the first is a full backup, the others incremental ones.
const POINTS: usize = 3;

/// A backup, and what the writer did around it.
#[derive(Debug)]
pub(super) struct Point {
    /// 1, 2, 3.
    pub(super) number: usize,
    /// The finished backup, as the API tells it.
    pub(super) backup: BackupView,
    /// From asking to COMPLETED.
    pub(super) took: Duration,
    /// The last transaction that was committed when the backup was asked for.
    pub(super) earliest: i64,
    /// The last transaction that can have been committed when it was finished.
    pub(super) latest: i64,
    /// Transactions committed while it was made.
    pub(super) commits: i64,
    /// The longest that one of them took.
    pub(super) longest_commit: Duration,
}

/// Makes them all, with some transactions between any two.
pub(super) fn make(
    api: &Api,
    instance: &str,
    plan: &Plan,
    writer: &Writer,
    interrupt: &Interrupt,
) -> Result<Vec<Point>, CommandError> {
    report::backups_begin();
    let mut points = Vec::with_capacity(POINTS);
    for number in 1..=POINTS {
        let goal = writer.committed() + plan.stretch();
        while writer.committed() < goal {
            still_writing(writer)?;
            interrupt.pause(LOOK_EVERY)?;
        }
        let point = make_one(api, instance, number, writer, interrupt)?;
        report::backed_up(&point);
        points.push(point);
    }
    Ok(points)
}

fn make_one(
    api: &Api,
    instance: &str,
    number: usize,
    writer: &Writer,
    interrupt: &Interrupt,
) -> Result<Point, CommandError> {
    still_writing(writer)?;
    writer.longest();
    let earliest = writer.committed();
    let start = Instant::now();
    let asked = api.back_up(instance, &format!("point-{number}"), number > 1)?;
    let backup = finished(api, &asked.id, interrupt)?;
    let took = start.elapsed();
    let commits = writer.committed() - earliest;
    let latest = writer.begun();
    still_writing(writer)?;
    let wanted = if number > 1 { "incremental" } else { "full" };
    if backup.kind.as_deref() != Some(wanted) {
        let got = backup.kind.as_deref().unwrap_or("nothing known");
        return Err(CommandError::Failed(format!(
            "backup {} was asked for as {wanted} and became {got}",
            backup.id
        )));
    }
    let longest_commit = writer.longest();
    Ok(Point { number, backup, took, earliest, latest, commits, longest_commit })
}

fn still_writing(writer: &Writer) -> Result<(), CommandError> {
    if writer.is_writing() {
        return Ok(());
    }
    Err(CommandError::Failed("the writer stopped by itself: a transaction failed".to_owned()))
}

/// Waits until the backup is COMPLETED; one that fails is an error with the server's words.
fn finished(api: &Api, id: &str, interrupt: &Interrupt) -> Result<BackupView, CommandError> {
    let bar = terminal::share_bar("  backing up");
    loop {
        let backup = api.backup(id)?;
        match backup.status.as_str() {
            "COMPLETED" => {
                bar.finish_and_clear();
                return Ok(backup);
            }
            "NEW" | "BUILDING" | "SAVING" => {
                terminal::show_share(&bar, backup.progress.unwrap_or_default());
            }
            status => {
                bar.finish_and_clear();
                let why = backup.failure.map_or_else(String::new, |it| format!(": {}", it.message));
                return Err(CommandError::Failed(format!("backup {id} is {status}{why}")));
            }
        }
        interrupt.pause(LOOK_EVERY)?;
    }
}
