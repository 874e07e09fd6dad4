//! Restores into staging: handed out, and how they ended.

use crate::domain::{Backup, BackupId, Instance, InstanceId, RunEnd, RunKind, RunResult};
use crate::policy::{Problem, ProblemKind, StagingTarget};
use crate::store::{Records, RunOf};

use super::rules::Rules;
use super::{Catalog, Job, Reply, Result, StagingJob, lineage};

const fn run(id: BackupId) -> RunOf {
    RunOf::backup(RunKind::Staging, id)
}

impl Catalog {
    /// A restore into staging ended.
    pub fn end_staging(&self, id: BackupId, end: RunEnd) -> Reply<()> {
        self.write_and_wake(move |db, _rules| Ok(db.end_run(run(id), &end).map(drop)?))
    }

    /// A claimed one was interrupted, and is made again.
    pub fn retry_staging(&self, id: BackupId) -> Reply<()> {
        self.write(move |db, rules| Ok(db.retry_run(run(id), rules.now()).map(drop)?))
    }

    /// What is wrong with the restores into staging of an instance, if anything is.
    pub fn staging_problem(&self, id: InstanceId) -> Result<Option<Problem>> {
        self.store.read(|db| self.rules.staging_problem(db, id))
    }
}

impl Rules {
    /// The restore into staging that has waited longest.
    pub(super) fn next_staging(&self, db: Records<'_>) -> Result<Option<Job>> {
        while let Some(id) = db.claim_waiting(RunKind::Staging, self.now())? {
            let Some((instance, backup, to)) = self.staged(db, id)? else {
                db.cancel_run(run(id), self.now())?;
                continue;
            };
            match lineage::chain_to_check(db, &backup.project, id)? {
                Ok(chain) => {
                    return Ok(Some(Job::Stage(Box::new(StagingJob { instance, chain, id, to }))));
                }
                Err(broken) => {
                    let result = RunResult::from_failure(broken.failure());
                    db.end_run(run(id), &RunEnd::new(self.now(), result))?;
                }
            }
        }
        Ok(None)
    }

    /// The instance and the target of a backup that is to be restored into staging, if there still are these.
    fn staged(
        &self,
        db: Records<'_>,
        id: BackupId,
    ) -> Result<Option<(Instance, Backup, StagingTarget)>> {
        let Some(record) = db.backup(id)? else { return Ok(None) };
        let Some(of) = record.backup.instance else { return Ok(None) };
        let to = self.policy(of).and_then(|it| it.staging.as_ref().map(|plan| plan.to.clone()));
        let instance = db.instance(of)?.map(|it| it.instance);
        Ok(instance.zip(to).map(|(instance, to)| (instance, record.backup, to)))
    }

    /// The last one failed, whatever it was tried with. One that is under way says nothing yet.
    pub(super) fn staging_problem(
        &self,
        db: Records<'_>,
        id: InstanceId,
    ) -> Result<Option<Problem>> {
        let policy = self.policy(id);
        let Some(plan) = policy.as_ref().and_then(|it| it.staging.as_ref()) else {
            return Ok(None);
        };
        let runs = db.last_ended(RunKind::Staging, id, 20)?;
        let failed = |end: &RunEnd| end.result.failure().cloned();
        let ends = runs.into_iter().filter_map(|it| it.end);
        let ends =
            ends.filter(|end| !matches!(end.result, RunResult::Cancelled | RunResult::Interrupted));
        let in_a_row: Vec<RunEnd> = ends.take_while(|end| failed(end).is_some()).collect();
        let since = in_a_row.last().map(|end| end.at);
        let last = in_a_row.first().and_then(failed);
        Ok(since.zip(last).map(|(since, failure)| Problem {
            kind: ProblemKind::StagingFailed,
            instance: Some(id),
            since,
            message: format!(
                "the restore into staging at {} failed: {}",
                plan.to, failure.message
            ),
            advice: "what was there before stays; do what the message says, and the next one is made by the schedule"
                .to_owned(),
        }))
    }
}
