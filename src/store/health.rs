//! What the health of an instance is judged by, with a bounded number of searches for each.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use rusqlite::{Connection, Row, named_params, params};

use super::sql::{columns, query_all, query_first, query_one, statements};
use super::types::{Bytes, Json, failure, verdict};
use super::{Records, Result};
use crate::domain::{
    BackupId, BadBackup, CompletedBackup, DrillRun, FailedAttempt, Failure, FailureCode,
    InstanceId, Kind, LeftOut, PassedDrill, ProjectId, Queues, RowsByTable, Status, Timestamp,
    VerifyLevel,
};

/// How many completed backups say what is usual.
const HISTORY: u32 = 21;

/// How many bad backups are named at most.
const MOST_BAD: u32 = 100;

/// The newest attempts of an instance.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Attempts {
    /// When the one was asked for that waits or runs.
    pub running: Option<Timestamp>,
    /// The newest that ended, if it failed.
    pub failed: Option<FailedAttempt>,
}

columns! {
    AttemptColumns, attempt_columns {
        id: BackupId = "id",
        status: Status = "status",
        created: Timestamp = "created",
        updated: Timestamp = "updated",
        code: Option<FailureCode> = "failure_code",
        message: Option<String> = "failure_message",
    }
}

columns! {
    CompletedColumns, completed_columns {
        id: BackupId = "id",
        kind: Kind = "kind",
        created: Timestamp = "created",
        stored_bytes: Bytes = "size",
        source_bytes: Bytes = "source_bytes",
        verified_at: Timestamp = "verified_at",
        verify_level: VerifyLevel = "verify_level",
        took_ms: Option<Bytes> = "took_ms",
    }
}

impl From<CompletedColumns> for CompletedBackup {
    fn from(it: CompletedColumns) -> Self {
        Self {
            id: it.id,
            kind: it.kind,
            created: it.created,
            stored_bytes: it.stored_bytes.0,
            source_bytes: it.source_bytes.0,
            verified_at: it.verified_at,
            verify_level: it.verify_level,
            took: it.took_ms.map(|ms| Duration::from_millis(ms.0)),
        }
    }
}

/// Completed backups of an instance in its project, newest first.
macro_rules! completed {
    ($rest:literal) => {
        concat!(
            "SELECT ",
            completed_columns!(),
            " FROM backups INDEXED BY backups_history
             WHERE instance = :instance AND project = :project AND (created, id) < (:until, '')
                 AND status = 'COMPLETED' AND removal IS NULL ",
            $rest
        )
    };
}

statements! {
    NEWEST = concat!(
        "SELECT ", attempt_columns!(), " FROM backups
         WHERE instance = :instance AND (created, id) < (:until, '') AND project = :project
             AND coalesce(removal, 'failed') = 'failed'
         ORDER BY created DESC, id DESC LIMIT 2"
    );

    FIRST_FAILED = "SELECT created FROM backups
         WHERE instance = ?1 AND status = 'FAILED' AND (created, id) > (?2, '~')
         ORDER BY created, id LIMIT 1";

    COMPLETED = completed!("ORDER BY created DESC, id DESC LIMIT :rows");

    /// Only asked for where the newest ones are all bad.
    NEWEST_WHOLE = completed!(
        "AND damage_code IS NULL AND (
             WITH RECURSIVE above (id, parent, usable) AS (
                 SELECT backups.id, backups.parent, 1
                 UNION
                 SELECT link.id, link.parent, link.status IN ('COMPLETED', 'RESTORED')
                     AND link.damage_code IS NULL AND link.removal IS NULL
                 FROM above JOIN backups AS link ON link.id = above.parent
                 WHERE above.usable AND link.project = :project)
             SELECT count(*) FROM above WHERE usable AND parent IS NULL) > 0
         ORDER BY created DESC, id DESC LIMIT 1"
    );

    LEFT_OUT = "SELECT id, left_out FROM backups WHERE id IN (?1, ?2)";

    BAD = "SELECT id, updated, damage_code, damage_message FROM backups
         WHERE instance = ?1 AND damage_code IS NOT NULL AND (created, id) > (-1, '')
             AND project = ?2 AND removal IS NULL
         ORDER BY created DESC, id DESC LIMIT ?3";

    /// Of most instances nothing more than this has to be read, and a thousand of them are read at once.
    TRACES = "SELECT
         coalesce((SELECT backups FROM instance_totals WHERE instance = ?1 AND project = ?2), 0),
         coalesce((SELECT stored_bytes FROM instance_totals WHERE instance = ?1 AND project = ?2), 0),
         EXISTS (SELECT 1 FROM backups
             WHERE instance = ?1 AND damage_code IS NOT NULL AND (created, id) > (-1, '')
                 AND project = ?2 AND removal IS NULL),
         EXISTS (SELECT 1 FROM runs INDEXED BY runs_recurring
             WHERE instance = ?1 AND kind = 'drill' AND kind IN ('drill', 'staging') AND ended > -1),
         EXISTS (SELECT 1 FROM holdings WHERE instance = ?1 AND project = ?2)";

    ALL_TOTALS = "SELECT instance, project, backups, stored_bytes FROM instance_totals
         WHERE backups <> 0 OR stored_bytes <> 0 ORDER BY instance, project";

    CHANGES = "SELECT instance, changes FROM instance_changes";

    /// What the totals have to be.
    COUNTED = "SELECT instance, project, count(*), sum(size) FROM backups INDEXED BY backups_history
         WHERE status = 'COMPLETED' AND removal IS NULL AND instance IS NOT NULL
         GROUP BY instance, project ORDER BY instance, project";

    /// Those that are bad, and all that is built on them.
    UNUSABLE = "WITH RECURSIVE subtree (id) AS (
             SELECT id FROM backups
             WHERE instance = ?1 AND damage_code IS NOT NULL AND removal IS NULL
             UNION
             SELECT child.id FROM subtree JOIN backups AS child ON child.parent = subtree.id)
         SELECT count(*) FROM subtree JOIN backups ON backups.id = subtree.id
         WHERE backups.instance = ?1 AND backups.status = 'COMPLETED' AND backups.project = ?2
             AND backups.removal IS NULL";

    QUEUES = "SELECT
         (SELECT count(*) FROM backups WHERE status = 'NEW' AND task = 'backup'),
         (SELECT count(*) FROM backups WHERE status = 'NEW' AND task = 'registration'),
         (SELECT count(*) FROM backups WHERE removal = 'asked'),
         (SELECT count(*) FROM runs WHERE kind = 'drill' AND ended IS NULL AND begun IS NULL),
         (SELECT count(*) FROM instances WHERE restore = 'asked'),
         (SELECT count(*) FROM instances WHERE removal = 'asked')";

    WAITING_WORK = "SELECT EXISTS (SELECT 1 FROM backups WHERE status = 'NEW')
         OR EXISTS (SELECT 1 FROM instances WHERE restore = 'asked')";

    WAITING_DRILLS = "SELECT EXISTS (
         SELECT 1 FROM runs INDEXED BY runs_waiting
         WHERE kind IN ('staging', 'drill', 'consolidation') AND ended IS NULL AND begun IS NULL)";

    WAITING_VERIFICATIONS = "SELECT EXISTS (
         SELECT 1 FROM runs INDEXED BY runs_waiting
         WHERE kind = 'verify' AND ended IS NULL AND begun IS NULL)";

    DRILLS = "SELECT backup, ended, failure_code, failure_message,
             coalesce(json_extract(numbers, '$.took_ms'), 0),
             coalesce(json_extract(numbers, '$.rows_by_table'), '{}'), result,
             NOT EXISTS (SELECT 1 FROM backups WHERE backups.id = runs.backup AND backups.removal IS NULL)
         FROM runs INDEXED BY runs_recurring
         WHERE instance = ?1 AND kind = 'drill' AND kind IN ('drill', 'staging') AND result = ?2
             AND ended > -1
         ORDER BY ended DESC, id DESC LIMIT ?3";

    PROVEN_BY_DRILL = "SELECT ended FROM runs INDEXED BY runs_recurring
         WHERE instance = ?1 AND kind = 'drill' AND kind IN ('drill', 'staging') AND result = 'done'
             AND ended > -1
             AND EXISTS (SELECT 1 FROM backups WHERE backups.id = runs.backup AND backups.removal IS NULL)
         ORDER BY ended DESC, id DESC LIMIT 1";
}

/// How often what the health of each instance depends on was changed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InstanceChanges {
    of_every: i64,
    of: HashMap<InstanceId, i64>,
}

impl InstanceChanges {
    /// Changes that concern every instance, and those of this one.
    pub fn of(&self, instance: InstanceId) -> (i64, i64) {
        (self.of_every, self.of.get(&instance).copied().unwrap_or_default())
    }
}

/// What there is of one instance in a project.
#[derive(PartialEq, Eq, Hash)]
struct Total {
    instance: InstanceId,
    project: ProjectId,
    backups: i64,
    stored_bytes: i64,
}

impl Total {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            instance: row.get(0)?,
            project: row.get(1)?,
            backups: row.get(2)?,
            stored_bytes: row.get(3)?,
        })
    }
}

/// What there is of an instance, and so what else there is to read of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Traces {
    /// How many completed backups there are, and what their archives take.
    pub completed: u64,
    pub stored_bytes: u64,
    /// Whether one of its backups is damaged or missing.
    pub has_bad: bool,
    /// Whether a drill of it ended.
    pub has_drills: bool,
    /// Whether one of its backups lies elsewhere than in the data directory alone.
    pub has_holdings: bool,
}

/// What the drills of an instance found.
#[derive(Debug, Default)]
pub struct LastDrills {
    /// The last one that ended by itself.
    pub last: Option<DrillRun>,
    /// The last two that passed, the newest first.
    pub passed: Vec<PassedDrill>,
    /// When one of a backup passed last that was not deleted since.
    pub proven: Option<Timestamp>,
}

/// What one drill that ended was.
struct Drilled {
    run: DrillRun,
    took: Duration,
    rows: RowsByTable,
}

fn drilled(row: &Row<'_>) -> rusqlite::Result<Drilled> {
    let result: String = row.get(6)?;
    let verdict = verdict(&result, failure(row.get(2)?, row.get(3)?), || ());
    let run = DrillRun { backup: row.get(0)?, deleted: row.get(7)?, ended: row.get(1)?, verdict };
    let took = Duration::from_millis(row.get::<_, Bytes>(4)?.0);
    Ok(Drilled { run, took, rows: row.get::<_, Json<RowsByTable>>(5)?.0 })
}

fn drills(db: &Connection, instance: InstanceId, result: &str, most: u32) -> Result<Vec<Drilled>> {
    query_all(db, DRILLS, params![instance, result, most], drilled)
}

impl Records<'_> {
    /// The newest attempts at a backup, of those from before `until`.
    pub fn newest_attempts(
        self,
        project: &ProjectId,
        instance: InstanceId,
        until: Timestamp,
        good: Option<Timestamp>,
    ) -> Result<Attempts> {
        let params = named_params! { ":instance": instance, ":project": project, ":until": until };
        let newest = query_all(self.0, NEWEST, params, AttemptColumns::read)?;
        let mut found = Attempts::default();
        for it in newest {
            if it.status.is_running() {
                found.running = Some(it.created);
                continue;
            }
            if it.status == Status::Failed
                && let Some(failure) = failure(it.code, it.message)
            {
                let good = good.unwrap_or(Timestamp::from_micros(-1));
                let first =
                    query_first(self.0, FIRST_FAILED, params![instance, good], |row| row.get(0))?;
                let (id, asked, ended) = (it.id, it.created, it.updated);
                let since = first.unwrap_or(asked);
                found.failed = Some(FailedAttempt { id, asked, ended, since, failure });
            }
            break;
        }
        Ok(found)
    }

    /// The newest completed backups, the newest first; enough of them to say what is usual.
    pub fn completed_history(
        self,
        project: &ProjectId,
        instance: InstanceId,
        until: Timestamp,
    ) -> Result<Vec<CompletedBackup>> {
        let params = named_params! {
            ":instance": instance, ":project": project, ":until": until, ":rows": HISTORY
        };
        query_all(self.0, COMPLETED, params, |row| Ok(CompletedColumns::read(row)?.into()))
    }

    /// The newest completed backup that is not known to be bad, and neither is what it is built on.
    pub fn newest_whole(
        self,
        project: &ProjectId,
        instance: InstanceId,
        until: Timestamp,
    ) -> Result<Option<CompletedBackup>> {
        let params = named_params! { ":instance": instance, ":project": project, ":until": until };
        query_first(self.0, NEWEST_WHOLE, params, |row| Ok(CompletedColumns::read(row)?.into()))
    }

    /// What two backups leave out.
    pub fn left_out_of(
        self,
        newer: BackupId,
        older: BackupId,
    ) -> Result<(Vec<LeftOut>, Vec<LeftOut>)> {
        let mut found: HashMap<BackupId, Json<Vec<LeftOut>>> =
            query_all(self.0, LEFT_OUT, [newer, older], |row| Ok((row.get(0)?, row.get(1)?)))?
                .into_iter()
                .collect();
        let mut of = |id| found.remove(&id).map(|it| it.0).unwrap_or_default();
        Ok((of(newer), of(older)))
    }

    /// How often what the health of each instance depends on was changed.
    pub fn instance_changes(self) -> Result<InstanceChanges> {
        let mut changes = InstanceChanges::default();
        let rows = query_all(self.0, CHANGES, [], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?))
        })?;
        for (instance, count) in rows {
            match instance.parse() {
                Ok(id) => drop(changes.of.insert(id, count)),
                Err(_every) => changes.of_every = changes.of_every.saturating_add(count),
            }
        }
        Ok(changes)
    }

    /// Backups that are damaged or missing, the newest first.
    pub fn bad_backups(self, project: &ProjectId, instance: InstanceId) -> Result<Vec<BadBackup>> {
        query_all(self.0, BAD, params![instance, project, MOST_BAD], |row| {
            let failure = Failure { code: row.get(2)?, message: row.get(3)? };
            Ok(BadBackup { id: row.get(0)?, found: row.get(1)?, failure })
        })
    }

    /// What there is of an instance.
    pub fn traces_of(self, project: &ProjectId, instance: InstanceId) -> Result<Traces> {
        query_one(self.0, TRACES, params![instance, project], |row| {
            Ok(Traces {
                completed: row.get::<_, Bytes>(0)?.0,
                stored_bytes: row.get::<_, Bytes>(1)?.0,
                has_bad: row.get(2)?,
                has_drills: row.get(3)?,
                has_holdings: row.get(4)?,
            })
        })
    }

    /// The instances whose totals are not what a count of the rows gives. Reads an entry for each completed backup.
    pub fn wrong_totals(self) -> Result<Vec<InstanceId>> {
        let read = |sql| query_all(self.0, sql, [], Total::read);
        let (known, counted) = (read(ALL_TOTALS)?, read(COUNTED)?);
        let wrong = |of: &[Total], others: &HashSet<&Total>| {
            of.iter().filter(|it| !others.contains(it)).map(|it| it.instance).collect::<Vec<_>>()
        };
        let mut found = wrong(&known, &counted.iter().collect());
        found.extend(wrong(&counted, &known.iter().collect()));
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    /// How many of them are bad or built on one that is.
    pub fn count_unusable(self, project: &ProjectId, instance: InstanceId) -> Result<u64> {
        let params = params![instance, project];
        Ok(query_one(self.0, UNUSABLE, params, |row| row.get::<_, Bytes>(0))?.0)
    }

    pub fn queues(self) -> Result<Queues> {
        query_one(self.0, QUEUES, [], |row| {
            let count = |column| Ok::<_, rusqlite::Error>(row.get::<_, Bytes>(column)?.0);
            Ok(Queues {
                backups: count(0)?,
                registrations: count(1)?,
                removals: count(2)?.saturating_add(count(5)?),
                drills: count(3)?,
                restores: count(4)?,
            })
        })
    }

    /// Whether a registration, restore or backup waits for a worker.
    pub fn has_waiting_work(self) -> Result<bool> {
        query_one(self.0, WAITING_WORK, [], |row| row.get(0))
    }

    /// Whether a restore into staging, drill or consolidation waits for a worker.
    pub fn has_waiting_drills(self) -> Result<bool> {
        query_one(self.0, WAITING_DRILLS, [], |row| row.get(0))
    }

    /// Whether a verification waits that somebody asked for.
    pub fn has_waiting_verifications(self) -> Result<bool> {
        query_one(self.0, WAITING_VERIFICATIONS, [], |row| row.get(0))
    }

    pub fn last_drills(self, instance: InstanceId) -> Result<LastDrills> {
        let passed = drills(self.0, instance, "done", 2)?;
        let proven = match passed.first().map(|it| &it.run) {
            Some(run) if run.deleted => {
                query_first(self.0, PROVEN_BY_DRILL, [instance], |row| row.get(0))?
            }
            newest => newest.map(|it| it.ended),
        };
        let mut last: Vec<DrillRun> = passed.iter().take(1).map(|it| it.run.clone()).collect();
        for result in ["failed", "damaged"] {
            last.extend(drills(self.0, instance, result, 1)?.into_iter().map(|it| it.run));
        }
        let passed = passed.into_iter().map(|it| {
            let DrillRun { backup, ended, .. } = it.run;
            PassedDrill { backup, ended, took: it.took, rows: it.rows }
        });
        let last = last.into_iter().max_by_key(|it| it.ended);
        Ok(LastDrills { last, passed: passed.collect(), proven })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use rusqlite::StatementStatus;

    use super::*;
    use crate::store::{backups, schema};

    /// The steps of SQLite's machine for what health reads of an instance with so many backups.
    fn steps_of_health(backups: usize) -> i32 {
        let mut db = Connection::open_in_memory().unwrap();
        db.set_prepared_statement_cache_capacity(64);
        schema::prepare(&mut db, Path::new("c")).unwrap();
        let shop = InstanceId::generate();
        let rows = format!(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {backups})
             INSERT INTO backups (id, project, instance, name, task, kind, status, engine, version, created, updated,
                 location, size, source_bytes, checksum, verified_at, verify_level, took_ms)
             SELECT printf('%08x-0000-7000-8000-000000000000', i), 'a', '{shop}', 'n', 'backup', 'full', 'COMPLETED',
                 'sqlite', '3', i, i, i, 1000, 4000, 'c', i, 'checked', 7 FROM n"
        );
        db.execute(&rows, []).unwrap();
        let (records, project) = (Records(&db), "a".parse().unwrap());
        let until = Timestamp::from_micros(i64::MAX);
        let completed = records.completed_history(&project, shop, until).unwrap();
        assert_eq!((completed.len(), completed[0].took), (21, Some(Duration::from_millis(7))));
        assert!(records.newest_whole(&project, shop, until).unwrap().is_some());
        let newest = completed.first().map(|it| it.created);
        assert_eq!(records.newest_attempts(&project, shop, until, newest).unwrap().failed, None);
        let traces = records.traces_of(&project, shop).unwrap();
        assert_eq!(traces.completed, u64::try_from(backups).unwrap());
        assert!(!traces.has_bad && !traces.has_drills && !traces.has_holdings, "{traces:?}");
        assert_eq!(records.bad_backups(&project, shop).unwrap(), []);
        records.left_out_of(completed[0].id, completed[1].id).unwrap();
        let all = [STATEMENTS, backups::STATEMENTS].concat();
        let step = |sql: &&str| db.prepare_cached(sql).unwrap().get_status(StatementStatus::VmStep);
        all.iter().map(step).sum()
    }

    #[test]
    fn what_health_reads_of_an_instance_does_not_grow_with_its_backups() {
        let (few, many) = (steps_of_health(30), steps_of_health(3000));
        assert!(few > 100, "{few} steps: nothing was read");
        assert_eq!(few, many);
    }
}
