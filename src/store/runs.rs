//! The rows of runs. Drills, consolidations and verifications are queued here; of every other job the rows say what became
//! of it.

use rusqlite::{named_params, params};

use super::sql::{columns, execute, insert, query_all, query_first, query_one, statements};
use super::types::{Json, failure, json};
use super::{Records, Result};
use crate::domain::{
    BackupId, FailureCode, InstanceId, PastOutcome, PastRun, ProjectId, RowsByTable, Run, RunEnd,
    RunId, RunKind, RunNumbers, RunResult, Timestamp,
};

/// Ended runs that are kept of one backup, kind and result.
const KEPT: u32 = 20;

/// How long the runs of something deleted are kept, in microseconds: 90 days.
const KEPT_AFTER_DELETION: i64 = 90 * 24 * 3600 * 1_000_000;

/// Which open run is meant: of this kind, about this backup or instance.
#[derive(Debug, Clone, Copy)]
pub struct RunOf {
    kind: RunKind,
    backup: Option<BackupId>,
    instance: Option<InstanceId>,
}

impl RunOf {
    pub const fn backup(kind: RunKind, id: BackupId) -> Self {
        Self { kind, backup: Some(id), instance: None }
    }

    pub const fn instance(kind: RunKind, id: InstanceId) -> Self {
        Self { kind, backup: None, instance: Some(id) }
    }

    /// The same run, about this instance too.
    #[must_use]
    pub const fn with_instance(self, instance: Option<InstanceId>) -> Self {
        Self { instance, ..self }
    }

    /// The same run, about this backup too.
    #[must_use]
    pub const fn with_backup(self, backup: BackupId) -> Self {
        Self { backup: Some(backup), ..self }
    }

    const fn every(kind: RunKind) -> Self {
        Self { kind, backup: None, instance: None }
    }
}

columns! {
    RunColumns, run_columns {
        id: RunId = "id",
        kind: RunKind = "kind",
        project: ProjectId = "project",
        instance: Option<InstanceId> = "instance",
        backup: Option<BackupId> = "backup",
        asked: Timestamp = "asked",
        begun: Option<Timestamp> = "begun",
        ended: Option<Timestamp> = "ended",
        result: Option<String> = "result",
        failure_code: Option<FailureCode> = "failure_code",
        failure_message: Option<String> = "failure_message",
        numbers: Json<RunNumbers> = "numbers",
    }
}

impl From<RunColumns> for Run {
    fn from(it: RunColumns) -> Self {
        let result = result(it.result, it.failure_code, it.failure_message);
        Self {
            id: it.id,
            kind: it.kind,
            project: it.project,
            instance: it.instance,
            backup: it.backup,
            asked: it.asked,
            begun: it.begun,
            end: it.ended.zip(result).map(|(at, result)| RunEnd {
                at,
                result,
                numbers: it.numbers.0,
            }),
        }
    }
}

fn result(
    word: Option<String>,
    code: Option<FailureCode>,
    message: Option<String>,
) -> Option<RunResult> {
    RunResult::from_parts(&word?, failure(code, message))
}

/// Finds open runs by [`RunOf`].
macro_rules! matches_run_of {
    () => {
        "kind = :kind AND ended IS NULL AND (:backup IS NULL OR backup = :backup)
             AND (:instance IS NULL OR instance = :instance)"
    };
}

statements! {
    OPEN = insert!(
        "runs" ("id", "kind", "project", "instance", "backup", "asked") "ON CONFLICT DO NOTHING"
    );

    BEGIN =
        concat!("UPDATE runs SET begun = :at WHERE begun IS NULL AND ", matches_run_of!());

    CLAIM_WAITING = "UPDATE runs SET begun = ?1
         WHERE id = (SELECT id FROM runs WHERE kind = ?2 AND ended IS NULL AND begun IS NULL
                     ORDER BY asked, id LIMIT 1)
         RETURNING backup";

    OPEN_OF_KIND = "SELECT backup, begun IS NOT NULL FROM runs
         WHERE kind = ?1 AND ended IS NULL AND backup IS NOT NULL";

    /// A drill made by a command does not end one that still waits for a worker; nor does a verification that was cancelled.
    END = concat!(
        "UPDATE runs SET ended = :at, result = :result, failure_code = :code,
             failure_message = :message, numbers = :numbers
         WHERE (begun IS NOT NULL OR kind NOT IN ('drill', 'consolidation', 'verify')) AND ",
        matches_run_of!()
    );

    CANCEL =
        concat!("UPDATE runs SET ended = :at, result = 'cancelled' WHERE ", matches_run_of!());

    INTERRUPT = concat!(
        "UPDATE runs SET ended = :at, result = 'interrupted' WHERE begun IS NOT NULL AND ",
        matches_run_of!(),
        " RETURNING ",
        run_columns!()
    );

    RECORD = "INSERT INTO runs (id, kind, project, instance, backup, asked, begun, ended,
             result, failure_code, failure_message, numbers)
         SELECT :id, :kind, project, instance, id, :begun, :begun, :at, :result, :code, :message, :numbers
         FROM backups WHERE id = :backup AND checksum IS NOT NULL AND removal IS NULL";

    TRIM = "DELETE FROM runs WHERE id IN (
             SELECT id FROM runs WHERE backup = :backup AND kind = :kind AND result = :result
             ORDER BY ended DESC, id DESC LIMIT -1 OFFSET :kept)";

    EXPIRE_OF_BACKUP = "UPDATE runs SET expires = ?2 WHERE backup = ?1";

    EXPIRE_OF_INSTANCE = "UPDATE runs SET expires = ?2
         WHERE instance = ?1 AND kind IN ('restore', 'instance_removal')";

    DELETE_EXPIRED = "DELETE FROM runs WHERE expires < ?1";

    OF_BACKUP =
        concat!("SELECT ", run_columns!(), " FROM runs WHERE backup = ?1 ORDER BY kind, ended, id");

    /// Enough for the most retries there can be.
    RECENT = "SELECT ended, result, failure_code FROM runs
         WHERE instance = :instance AND kind = :kind AND kind IN ('drill', 'staging') AND ended <= :until
         ORDER BY ended DESC, id DESC LIMIT 128";

    LAST_ENDED = concat!(
        "SELECT ", run_columns!(), " FROM runs
         WHERE instance = :instance AND kind = :kind AND kind IN ('drill', 'staging') AND ended IS NOT NULL
         ORDER BY ended DESC, id DESC LIMIT :limit"
    );

    LAST_DONE = concat!(
        "SELECT ", run_columns!(), " FROM runs
         WHERE instance = :instance AND kind = :kind AND kind IN ('drill', 'staging') AND ended IS NOT NULL
             AND result = 'done'
         ORDER BY ended DESC, id DESC LIMIT :limit"
    );

    ANY_OPEN = "SELECT 1 FROM runs WHERE kind = ?1 AND ended IS NULL LIMIT 1";

    /// Thousands may wait: this searches for the instance, and reads none of the others'.
    OPEN_RECURRING = "SELECT 1 FROM runs INDEXED BY runs_recurring
         WHERE instance = ?1 AND kind = ?2 AND kind IN ('drill', 'staging') AND ended IS NULL LIMIT 1";

    OPEN_INSTANCES = "SELECT instance FROM runs
         WHERE kind = ?1 AND ended IS NULL AND instance IS NOT NULL";

    OPEN_OF_OTHERS = "SELECT count(*) FROM runs
         WHERE kind = :kind AND ended IS NULL AND project = :project AND backup <> :backup";

    ROWS_BY_TABLE =
        "SELECT coalesce(json_extract(numbers, '$.rows_by_table'), '{}') FROM runs
         WHERE backup = ?1 AND kind = 'drill' AND result IN ('done', 'failed', 'damaged')
         ORDER BY ended DESC, id DESC LIMIT 1";
}

impl Records<'_> {
    /// Opens a run, unless one like it is open: then false. An open run of a drill is its place in the queue.
    pub fn open_run(self, of: RunOf, project: &ProjectId, asked: Timestamp) -> Result<bool> {
        let params = named_params! {
            ":id": RunId::generate(), ":kind": of.kind, ":project": project,
            ":instance": of.instance, ":backup": of.backup, ":asked": asked
        };
        Ok(execute(self.0, OPEN, params)? > 0)
    }

    pub fn begin_run(self, of: RunOf, at: Timestamp) -> Result<()> {
        self.mark(BEGIN, of, at)
    }

    /// Ends an open run, and deletes history beyond what is kept. False: there was none.
    pub fn end_run(self, of: RunOf, end: &RunEnd) -> Result<bool> {
        let failure = end.result.failure();
        let params = named_params! {
            ":kind": of.kind, ":backup": of.backup, ":instance": of.instance, ":at": end.at,
            ":result": end.result.as_str(), ":code": failure.map(|it| it.code),
            ":message": failure.map(|it| it.message.as_str()), ":numbers": json(&end.numbers)?
        };
        let ended = execute(self.0, END, params)? > 0;
        self.trim_runs(of, end)?;
        Ok(ended)
    }

    /// Ends an open run of a backup, or adds one that ended just now: a command needs no queue. A backup
    /// that is gone or going gets none.
    pub fn end_or_add_run(self, kind: RunKind, backup: BackupId, end: &RunEnd) -> Result<()> {
        if self.end_run(RunOf::backup(kind, backup), end)? {
            return Ok(());
        }
        self.add_run(kind, backup, end)
    }

    /// Adds a run of a backup that ended just now, whether one like it is open or not. A backup that is gone or going gets
    /// none.
    pub fn add_run(self, kind: RunKind, backup: BackupId, end: &RunEnd) -> Result<()> {
        let failure = end.result.failure();
        let took = i64::try_from(end.numbers.took_ms.unwrap_or(0)).unwrap_or(0);
        let begun = end.at.as_micros().saturating_sub(took.saturating_mul(1000));
        let params = named_params! {
            ":id": RunId::generate(), ":kind": kind, ":backup": backup, ":begun": begun,
            ":at": end.at, ":result": end.result.as_str(), ":code": failure.map(|it| it.code),
            ":message": failure.map(|it| it.message.as_str()), ":numbers": json(&end.numbers)?
        };
        execute(self.0, RECORD, params)?;
        self.trim_runs(RunOf::backup(kind, backup), end)
    }

    fn trim_runs(self, of: RunOf, end: &RunEnd) -> Result<()> {
        if let Some(backup) = of.backup {
            let params = named_params! {
                ":backup": backup, ":kind": of.kind, ":result": end.result.as_str(), ":kept": KEPT
            };
            execute(self.0, TRIM, params)?;
        }
        execute(self.0, DELETE_EXPIRED, [end.at]).map(drop)
    }

    /// Ends a run that is no longer wanted, whether it waits or was begun.
    pub fn cancel_run(self, of: RunOf, at: Timestamp) -> Result<()> {
        self.mark(CANCEL, of, at)
    }

    fn mark(self, statement: &str, of: RunOf, at: Timestamp) -> Result<()> {
        let params = named_params! {
            ":kind": of.kind, ":backup": of.backup, ":instance": of.instance, ":at": at
        };
        execute(self.0, statement, params).map(drop)
    }

    /// Ends a begun run as interrupted and opens another one like it. False: it was not begun.
    pub fn retry_run(self, of: RunOf, at: Timestamp) -> Result<bool> {
        Ok(self.interrupt(of, at)? > 0)
    }

    /// The same of all begun runs of a kind; returns how many.
    pub fn retry_runs(self, kind: RunKind, at: Timestamp) -> Result<usize> {
        self.interrupt(RunOf::every(kind), at)
    }

    fn interrupt(self, of: RunOf, at: Timestamp) -> Result<usize> {
        let params = named_params! {
            ":kind": of.kind, ":backup": of.backup, ":instance": of.instance, ":at": at
        };
        let ended = query_all(self.0, INTERRUPT, params, RunColumns::read)?;
        for run in &ended {
            let of = RunOf { kind: run.kind, backup: run.backup, instance: run.instance };
            self.open_run(of, &run.project, run.asked)?;
        }
        Ok(ended.len())
    }

    /// Begins the drill, or the restore into staging, that has waited longest.
    pub fn claim_waiting(self, kind: RunKind, at: Timestamp) -> Result<Option<BackupId>> {
        query_first(self.0, CLAIM_WAITING, params![at, kind], |row| row.get(0))
    }

    /// The backups that have an open run of this kind, each with whether that was begun.
    pub fn open_runs(self, kind: RunKind) -> Result<Vec<(BackupId, bool)>> {
        query_all(self.0, OPEN_OF_KIND, [kind], |row| Ok((row.get(0)?, row.get(1)?)))
    }

    /// How many other backups of a project have an open run of this kind.
    pub fn open_runs_of_others(
        self,
        kind: RunKind,
        project: &ProjectId,
        backup: BackupId,
    ) -> Result<i64> {
        let params = named_params! { ":kind": kind, ":project": project, ":backup": backup };
        query_one(self.0, OPEN_OF_OTHERS, params, |row| row.get(0))
    }

    /// The runs of a deleted backup are kept for a while.
    pub(super) fn expire_runs_of_backup(self, id: BackupId, at: Timestamp) -> Result<()> {
        execute(self.0, EXPIRE_OF_BACKUP, params![id, expiry(at)]).map(drop)
    }

    /// The runs that made and removed a deleted instance are kept for a while.
    pub(super) fn expire_runs_of_instance(self, id: InstanceId, at: Timestamp) -> Result<()> {
        execute(self.0, EXPIRE_OF_INSTANCE, params![id, expiry(at)]).map(drop)
    }

    /// The runs of a backup: of each kind those that have not ended, then the others, oldest first.
    pub fn runs_of_backup(self, id: BackupId) -> Result<Vec<Run>> {
        let found = query_all(self.0, OF_BACKUP, [id], RunColumns::read)?;
        Ok(found.into_iter().map(Run::from).collect())
    }

    /// How the last drills or restores into staging of an instance ended, newest first.
    pub fn recent_runs(
        self,
        kind: RunKind,
        instance: InstanceId,
        until: Timestamp,
    ) -> Result<Vec<PastRun>> {
        let params = named_params! { ":instance": instance, ":kind": kind, ":until": until };
        query_all(self.0, RECENT, params, |row| {
            let failure: Option<FailureCode> = row.get("failure_code")?;
            let outcome = match (row.get_ref("result")?.as_str()?, failure) {
                ("done" | "damaged", _) => PastOutcome::Concluded,
                ("failed", Some(code)) => PastOutcome::Failed(code),
                _ => PastOutcome::Dropped,
            };
            Ok(PastRun { ended: row.get("ended")?, outcome })
        })
    }

    /// The last drills or restores into staging of an instance, newest first.
    pub fn last_ended(self, kind: RunKind, instance: InstanceId, limit: u32) -> Result<Vec<Run>> {
        let params = named_params! { ":instance": instance, ":kind": kind, ":limit": limit };
        let found = query_all(self.0, LAST_ENDED, params, RunColumns::read)?;
        Ok(found.into_iter().map(Run::from).collect())
    }

    /// The same of those that did what they were for.
    pub fn last_done(self, kind: RunKind, instance: InstanceId, limit: u32) -> Result<Vec<Run>> {
        let params = named_params! { ":instance": instance, ":kind": kind, ":limit": limit };
        let found = query_all(self.0, LAST_DONE, params, RunColumns::read)?;
        Ok(found.into_iter().map(Run::from).collect())
    }

    /// Whether a run of a kind waits or is under way, of any instance.
    pub fn has_open_run(self, kind: RunKind) -> Result<bool> {
        Ok(query_first(self.0, ANY_OPEN, [kind], |_row| Ok(()))?.is_some())
    }

    /// Whether a drill, or a restore into staging, of this instance waits or is under way.
    pub fn has_open_recurring(self, kind: RunKind, instance: InstanceId) -> Result<bool> {
        let params = params![instance, kind];
        Ok(query_first(self.0, OPEN_RECURRING, params, |_row| Ok(()))?.is_some())
    }

    /// The instances of which a run of a kind waits or is under way.
    pub fn instances_with_open_run(self, kind: RunKind) -> Result<Vec<InstanceId>> {
        query_all(self.0, OPEN_INSTANCES, [kind], |row| row.get(0))
    }

    /// The rows that the last drill counted in each table; none if it did not pass.
    pub fn drill_rows(self, id: BackupId) -> Result<RowsByTable> {
        let found: Option<Json<RowsByTable>> =
            query_first(self.0, ROWS_BY_TABLE, [id], |row| row.get(0))?;
        Ok(found.map(|it| it.0).unwrap_or_default())
    }
}

fn expiry(at: Timestamp) -> Timestamp {
    Timestamp::from_micros(at.as_micros().saturating_add(KEPT_AFTER_DELETION))
}
