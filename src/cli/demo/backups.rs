//! The backups: a full one and two incremental ones, while the writer goes on.

use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use crate::cli::error::CommandError;
use crate::cli::interrupt::Interrupt;
use crate::cli::terminal::{human, say};
use crate::client::Client;
use crate::domain::{BackupId, InstanceId, Kind, Status};
use crate::wire::{BackupView, CreateBackup};

use super::writer::Writer;

/// How many backups are made: the first is full, the others are incremental.
const POINTS: usize = 3;
/// How long a backup, and the writer before it, may take.
const TIMEOUT: Duration = Duration::from_secs(3600);

/// A backup, and what the writer did around it.
#[derive(Debug)]
pub(super) struct Point {
    /// 1, 2, 3.
    pub(super) number: usize,
    /// The completed backup.
    pub(super) id: BackupId,
    /// The URL of its archive.
    pub(super) location: String,
    /// The transactions that may be its last one: from those committed when it was requested to those
    /// begun when it was completed.
    pub(super) possible: RangeInclusive<i64>,
}

/// Makes all backups, each after `transactions` more transactions.
pub(super) fn make_all(
    client: &Client,
    instance: InstanceId,
    writer: &Writer,
    transactions: i64,
    interrupt: &Interrupt,
) -> Result<Vec<Point>, CommandError> {
    say("Backups over the API, while the writer goes on; COMPLETED means proven:");
    say("  point  kind              read     archive    ratio      took  commits  longest commit");
    let mut points = Vec::with_capacity(POINTS);
    for number in 1..=POINTS {
        let goal = writer.committed()? + transactions;
        interrupt
            .wait_for("the writer", TIMEOUT, || Ok((writer.committed()? >= goal).then_some(())))?;
        points.push(make(client, instance, number, writer, interrupt)?);
    }
    Ok(points)
}

fn make(
    client: &Client,
    instance: InstanceId,
    number: usize,
    writer: &Writer,
    interrupt: &Interrupt,
) -> Result<Point, CommandError> {
    writer.longest_commit();
    let before = writer.committed()?;
    let start = Instant::now();
    let request = CreateBackup {
        name: format!("point-{number}"),
        instance: Some(instance),
        incremental: Some(u8::from(number > 1)),
        ..CreateBackup::default()
    };
    let id = client.create_backup(request)?.id;
    let backup = interrupt.wait_for("the backup", TIMEOUT, || completed(client, id))?;
    let took = start.elapsed();
    let commits = writer.committed()? - before;
    let possible = before..=writer.begun();
    let expected = if number > 1 { Kind::Incremental } else { Kind::Full };
    let (kind, expected) = (backup.kind.as_str(), expected.as_str());
    if kind != expected {
        let text = format!("backup {id} was requested as {expected} and is {kind}");
        return Err(CommandError::Failed(text));
    }
    let (read, stored) = (backup.source_bytes.unwrap_or(0), backup.size_bytes.unwrap_or(0));
    say(format_args!(
        "  {number:<6} {kind:<11} {:>10}  {:>10}  {:>7}  {:>6.2} s  {commits:>7}  {:>11.1} ms",
        human(read),
        human(stored),
        ratio(read, stored),
        took.as_secs_f64(),
        writer.longest_commit().as_secs_f64() * 1000.0,
    ));
    let location = backup.location_ref.unwrap_or_default();
    Ok(Point { number, id, location, possible })
}

/// The backup once it is COMPLETED; one that failed is an error with the server's message.
fn completed(client: &Client, id: BackupId) -> Result<Option<BackupView>, CommandError> {
    let backup = client.backup(id)?;
    match backup.status {
        Status::Completed => Ok(Some(backup)),
        Status::New | Status::Building | Status::Saving => Ok(None),
        status => {
            let why = backup.failure.map(|it| it.message).unwrap_or_default();
            Err(CommandError::Failed(format!("backup {id} is {status}: {why}")))
        }
    }
}

/// How many times smaller the archive is, to one decimal.
fn ratio(read: u64, stored: u64) -> String {
    match read.saturating_mul(10).checked_div(stored) {
        Some(tenths) => format!("{}.{}:1", tenths / 10, tenths % 10),
        None => "-".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_cut_to_one_decimal_and_an_empty_archive_has_none() {
        assert_eq!(ratio(1000, 300), "3.3:1");
        assert_eq!(ratio(300, 1000), "0.3:1");
        assert_eq!(ratio(1, 0), "-");
    }
}
