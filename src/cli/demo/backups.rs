//! The backups: a full one and two incremental ones, while the writer goes on.

use std::time::Instant;

use crate::cli::error::CommandError;
use crate::cli::terminal::{human, say};
use crate::domain::{BackupId, Kind, Status};
use crate::wire::{BackupView, CreateBackup};

use super::tour::{Point, TIMEOUT, Tour};
use super::writer::Writer;

/// How many backups are made: the first is full, the others are incremental.
const POINTS: usize = 3;

impl Tour<'_> {
    /// Makes all backups, each after some more transactions.
    pub(super) fn back_up(&self, writer: &Writer) -> Result<Vec<Point>, CommandError> {
        // Enough between two backups for an incremental one to be worth it.
        let transactions = (self.documents / 10).clamp(200, 2_000);
        say("Backups over the API, while the writer goes on; COMPLETED means proven:");
        say(
            "  point  kind              read     archive    ratio      took  commits  longest commit",
        );
        let make = |number| {
            let goal = writer.committed()? + transactions;
            let reached = || Ok((writer.committed()? >= goal).then_some(()));
            self.interrupt.wait_for("the writer", TIMEOUT, reached)?;
            self.back_up_point(number, writer)
        };
        (1..=POINTS).map(make).collect()
    }

    fn back_up_point(&self, number: usize, writer: &Writer) -> Result<Point, CommandError> {
        writer.longest_commit();
        let before = writer.committed()?;
        let start = Instant::now();
        let request = CreateBackup {
            name: format!("point-{number}"),
            instance: Some(self.instance),
            incremental: Some(u8::from(number > 1)),
            ..CreateBackup::default()
        };
        let id = self.client.create_backup(request)?.id;
        let backup = self.interrupt.wait_for("the backup", TIMEOUT, || self.completed(id))?;
        let took = start.elapsed();
        let committed = writer.committed()?;
        // The writer may have committed one more already without saying so yet.
        let (commits, possible) = (committed - before, before..=committed + 1);
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
    fn completed(&self, id: BackupId) -> Result<Option<BackupView>, CommandError> {
        let backup = self.client.backup(id)?;
        match backup.status {
            Status::Completed => Ok(Some(backup)),
            Status::New | Status::Building | Status::Saving => Ok(None),
            status => {
                let why = backup.failure.map(|it| it.message).unwrap_or_default();
                Err(CommandError::Failed(format!("backup {id} is {status}: {why}")))
            }
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
