//! A server on temporary data, and its backups: a full one and two incremental ones, while the writer goes on.

use std::fs;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::cli::error::{Result, failed};
use crate::cli::interrupt::Interrupt;
use crate::cli::terminal::{human, say};
use crate::client::{Client, Connection};
use crate::domain::{BackupId, InstanceId, Kind, Status};
use crate::file_url;
use crate::wire::{BackupView, CreateBackup};

use super::server::Server;
use super::workspace::{INSTANCE, PROJECT, TOKEN, Workspace};
use super::writer::Writer;

/// How long a backup, a restore, or the writer before them may take.
pub(super) const TIMEOUT: Duration = Duration::from_secs(3600);

/// How many backups are made: the first is full, the others are incremental.
const POINTS: usize = 3;

#[derive(Debug)]
pub(super) struct Tour<'a> {
    pub(super) workspace: &'a Workspace,
    pub(super) interrupt: &'a Interrupt,
    pub(super) server: Server,
    pub(super) client: Client,
    /// The instance that is backed up.
    pub(super) instance: InstanceId,
    pub(super) documents: i64,
}

/// A completed backup, and what the writer did around it.
#[derive(Debug)]
pub(super) struct Point {
    /// 1, 2, 3.
    pub(super) number: usize,
    pub(super) id: BackupId,
    pub(super) archive: PathBuf,
    /// The transactions that may be its last one: from those committed when it was requested to those
    /// that may have been when it was completed.
    pub(super) possible: RangeInclusive<i64>,
}

impl<'a> Tour<'a> {
    /// Starts the server.
    pub(super) fn start(
        workspace: &'a Workspace,
        interrupt: &'a Interrupt,
        documents: i64,
    ) -> Result<Self> {
        let server = Server::start(workspace, interrupt)?;
        let token = fs::read_to_string(workspace.path(TOKEN)).map_err(failed("the admin token"))?;
        let connection = Connection::new(&server.url).with_token(token.trim());
        let client = Client::new(connection, PROJECT.parse().map_err(failed(PROJECT))?);
        let instance = client.instances()?.into_iter().find(|it| it.name == INSTANCE);
        let instance =
            instance.ok_or_else(|| failed("the server does not list the instance")(INSTANCE))?.id;
        Ok(Self { workspace, interrupt, server, client, instance, documents })
    }

    /// Makes all backups, each after some more transactions.
    pub(super) fn back_up(&self, writer: &Writer) -> Result<Vec<Point>> {
        // Enough between two backups for an incremental one to be worth it.
        let transactions = (self.documents / 10).clamp(200, 2_000);
        say("Backups over the API, while the writer goes on; COMPLETED means proven:");
        say("  point  kind              read     archive      took  commits  longest commit");
        let make = |number| {
            let goal = writer.committed()? + transactions;
            let reached = || Ok((writer.committed()? >= goal).then_some(()));
            self.interrupt.wait_for("the writer", TIMEOUT, reached)?;
            self.back_up_point(number, writer)
        };
        (1..=POINTS).map(make).collect()
    }

    fn back_up_point(&self, number: usize, writer: &Writer) -> Result<Point> {
        writer.longest_commit();
        let (before, start) = (writer.committed()?, Instant::now());
        let request = CreateBackup {
            name: format!("point-{number}"),
            instance: Some(self.instance),
            incremental: Some(u8::from(number > 1)),
            ..CreateBackup::default()
        };
        let id = self.client.create_backup(request)?.id;
        let backup = self.interrupt.wait_for("the backup", TIMEOUT, || self.completed(id))?;
        let (took, committed) = (start.elapsed(), writer.committed()?);
        let expected = if number > 1 { Kind::Incremental } else { Kind::Full };
        if backup.kind != expected {
            let kinds = format!("{} and not {}", backup.kind.as_str(), expected.as_str());
            return Err(failed(format!("backup {id} is"))(kinds));
        }
        say(format_args!(
            "  {number:<6} {:<11} {:>10}  {:>10}  {:>6.2} s  {:>7}  {:>11.1} ms",
            expected.as_str(),
            human(backup.source_bytes.unwrap_or(0)),
            human(backup.size_bytes.unwrap_or(0)),
            took.as_secs_f64(),
            committed - before,
            writer.longest_commit().as_secs_f64() * 1000.0,
        ));
        let location = backup.location_ref.unwrap_or_default();
        let archive = file_url::to_path(&location)
            .ok_or_else(|| failed("the archive is no file of this machine")(location))?;
        // The writer may have committed one more already without saying so yet.
        Ok(Point { number, id, archive, possible: before..=committed + 1 })
    }

    /// The backup once it is COMPLETED; one that failed is an error with the server's message.
    fn completed(&self, id: BackupId) -> Result<Option<BackupView>> {
        let backup = self.client.backup(id)?;
        match backup.status {
            Status::Completed => Ok(Some(backup)),
            status if status.is_running() => Ok(None),
            status => {
                let why = backup.failure.map(|it| it.message).unwrap_or_default();
                Err(failed(format!("backup {id} is {status}"))(why))
            }
        }
    }
}
