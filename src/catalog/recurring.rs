//! Drills and restores into staging that begin by themselves. Their runs are what is remembered of them: when the next
//! one is due follows from how the last ones ended.

use std::collections::HashSet;
use std::time::Duration;

use crate::domain::{
    BackupId, Instance, InstanceId, InstanceStatus, RowsByTable, Run, RunKind, Timestamp,
};
use crate::policy::{ProofTimes, RunHistory, Timetable, Turn};
use crate::store::{Records, RunOf};

use super::rules::Rules;
use super::{Catalog, CatalogError, Reply, Result, lineage};

/// What recurs besides backups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Recurring {
    Drill,
    Staging,
}

/// When to look at it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecurringLook {
    /// It is due. `proof` is when it was last done.
    Now {
        proof: Option<Timestamp>,
    },
    At(Timestamp),
    /// When the one that waits or runs has ended.
    AfterRun,
    /// When there is a backup that can be restored.
    AfterBackup,
    /// It has no schedule, or is not in the configuration.
    Never,
}

/// What a drill that passed counted, and how long it took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DrilledRows {
    pub backup: BackupId,
    pub at: Timestamp,
    /// The time of the restore and of its checks.
    pub took: Option<Duration>,
    /// Rows in each of the first thousand tables.
    pub rows: RowsByTable,
}

impl DrilledRows {
    pub(super) fn of_run(run: Run) -> Option<Self> {
        let (end, backup) = (run.end?, run.backup?);
        let took = end.numbers.took_ms.map(Duration::from_millis);
        Some(Self { backup, at: end.at, took, rows: end.numbers.rows_by_table })
    }
}

/// What is due, and what it is made of.
struct Due {
    instance: Instance,
    backup: BackupId,
}

impl Recurring {
    pub const ALL: [Self; 2] = [Self::Drill, Self::Staging];

    const fn run_kind(self) -> RunKind {
        match self {
            Self::Drill => RunKind::Drill,
            Self::Staging => RunKind::Staging,
        }
    }
}

impl Catalog {
    /// The instances for which something recurs.
    pub fn recurring(&self, kind: Recurring) -> Vec<InstanceId> {
        let all = self.rules.policies.read();
        let with = all.iter().filter(|(_, policy)| match kind {
            Recurring::Drill => policy.drill.is_some(),
            Recurring::Staging => policy.staging.is_some(),
        });
        with.map(|(id, _)| *id).collect()
    }

    /// When to look at it again.
    pub fn look_at_recurring(&self, kind: Recurring, id: InstanceId) -> Result<RecurringLook> {
        self.store.read(|db| Ok(self.rules.recurring_step(db, kind, id)?.0))
    }

    /// Whether one waits or runs, of any instance.
    pub fn has_open(&self, kind: Recurring) -> Result<bool> {
        self.store.read(|db| Ok(db.has_open_run(kind.run_kind())?))
    }

    /// The instances of which one waits or runs.
    pub fn open_recurring(&self, kind: Recurring) -> Result<HashSet<InstanceId>> {
        let open = self
            .store
            .read(|db| Ok::<_, CatalogError>(db.instances_with_open_run(kind.run_kind())?))?;
        Ok(open.into_iter().collect())
    }

    /// Whether nothing waits or runs, of any kind.
    pub fn is_idle(&self) -> Result<bool> {
        self.store.read(|db| {
            for kind in RunKind::ALL {
                if db.has_open_run(*kind)? {
                    return Ok(false);
                }
            }
            Ok(true)
        })
    }

    /// Begins it if it is still due, and says when to look again.
    pub fn begin_recurring(&self, kind: Recurring, id: InstanceId) -> Reply<RecurringLook> {
        self.accept(move |db, rules| {
            let (look, due) = rules.recurring_step(db, kind, id)?;
            let Some(Due { instance, backup }) = due else { return Ok(look) };
            let now = rules.now();
            let run = RunOf::backup(kind.run_kind(), backup).with_instance(Some(id));
            db.open_run(run, &instance.project, now)?;
            db.touch_backup(backup, now)?;
            let what = match kind {
                Recurring::Drill => "the drill",
                Recurring::Staging => "the restore into staging",
            };
            log::info!("{what} of instance {} is due: of backup {backup}", instance.name);
            Ok(RecurringLook::AfterRun)
        })
    }

    /// What the last two drills of an instance that passed counted, the newest first.
    pub fn last_two_drills(&self, id: InstanceId) -> Result<Vec<DrilledRows>> {
        self.store.read(|db| {
            let runs = db.last_done(RunKind::Drill, id, 2)?;
            Ok(runs.into_iter().filter_map(DrilledRows::of_run).collect())
        })
    }

    /// How long the last restore of a backup of the instance took: in a drill or into staging, whichever was later.
    pub fn restore_time(&self, id: InstanceId) -> Result<Option<Duration>> {
        self.store.read(|db| {
            let mut last = Vec::new();
            for kind in Recurring::ALL {
                last.extend(
                    db.last_done(kind.run_kind(), id, 1)?.into_iter().filter_map(|it| it.end),
                );
            }
            last.sort_by_key(|end| end.at);
            let took = last.into_iter().rev().find_map(|end| end.numbers.took_ms);
            Ok(took.map(Duration::from_millis))
        })
    }
}

impl Rules {
    /// When the backups of an instance are proven again and restored into staging.
    pub(super) fn proof_times(&self, db: Records<'_>, instance: &Instance) -> Result<ProofTimes> {
        let Some(policy) = self.policy(instance.id) else { return Ok(ProofTimes::default()) };
        let id = instance.id;
        let next = |kind| {
            Ok::<_, CatalogError>(match self.recurring_step(db, kind, id)?.0 {
                RecurringLook::At(at) => Some(at),
                RecurringLook::Now { .. } | RecurringLook::AfterRun => Some(self.now()),
                RecurringLook::AfterBackup | RecurringLook::Never => None,
            })
        };
        let runs = db.recent_runs(RunKind::Drill, id, self.latest_plausible())?;
        let history = RunHistory { since: instance.created, runs: &runs };
        Ok(ProofTimes {
            drill: policy.drill.as_ref().map(|it| it.every.to_string()),
            last_drill: history.concluded(self.now()),
            next_drill: next(Recurring::Drill)?,
            staging_to: policy.staging.as_ref().map(|it| it.to.clone()),
            next_staging: next(Recurring::Staging)?,
            next_scrub: self.next_scrub(db, id)?,
        })
    }

    fn recurring_step(
        &self,
        db: Records<'_>,
        kind: Recurring,
        id: InstanceId,
    ) -> Result<(RecurringLook, Option<Due>)> {
        let not_due = |look| Ok((look, None));
        let policy = self.policy(id);
        let table = policy.as_ref().and_then(|it| match kind {
            Recurring::Drill => it.drill.as_ref().map(|it| &it.timetable),
            Recurring::Staging => it.staging.as_ref().map(|it| &it.timetable),
        });
        let record = db.instance(id)?.filter(|it| it.removal.is_none());
        let (Some(table), Some(record)) = (table, record) else {
            return not_due(RecurringLook::Never);
        };
        let instance = record.instance;
        match instance.status {
            InstanceStatus::Active | InstanceStatus::Backup => {}
            InstanceStatus::Build | InstanceStatus::Error | InstanceStatus::Detached => {
                return not_due(RecurringLook::Never);
            }
        }
        if db.has_open_recurring(kind.run_kind(), id)? {
            return not_due(RecurringLook::AfterRun);
        }
        let Some((backup, _)) = lineage::newest_good(db, &instance, self.latest_plausible())?
        else {
            return not_due(RecurringLook::AfterBackup);
        };
        let (turn, proof) = self.recurring_turn(db, kind, id, table)?;
        match turn {
            Turn::Due(_) => Ok((RecurringLook::Now { proof }, Some(Due { instance, backup }))),
            Turn::Wait(at) => not_due(RecurringLook::At(at)),
            Turn::Reset | Turn::Never => not_due(RecurringLook::Never),
        }
    }

    fn recurring_turn(
        &self,
        db: Records<'_>,
        kind: Recurring,
        id: InstanceId,
        table: &Timetable,
    ) -> Result<(Turn, Option<Timestamp>)> {
        let now = self.now();
        let runs = db.recent_runs(kind.run_kind(), id, self.latest_plausible())?;
        let since = db.first_completed(id)?.unwrap_or(now);
        let history = RunHistory { since, runs: &runs };
        Ok((table.turn_after(id, &history, now), history.concluded(now)))
    }
}
