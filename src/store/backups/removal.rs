//! Deleting backups: a backup goes together with everything that is built on it.

use rusqlite::{Row, named_params};

use super::BackupRecord;
use super::steps::one_of;
use crate::domain::{BackupId, Failure, InstanceId, ProjectId, RunKind, Status, Timestamp};
use crate::store::sql::{execute, query_all, query_first, query_one, statements};
use crate::store::{Records, Result, RunOf};

/// The backup and everything of its project that is built on it. `UNION`, not `UNION ALL`: rows that
/// name each other as parents must not make it run for ever.
macro_rules! subtree {
    ($($and:literal)?) => {
        concat!(
            "WITH RECURSIVE subtree (id) AS (
                 SELECT :root
                 UNION
                 SELECT child.id FROM subtree
                 CROSS JOIN backups AS child INDEXED BY backups_by_parent ON child.parent = subtree.id
                 WHERE child.project = :project ",
            $($and,)?
            ") "
        )
    };
}

statements! {
    SUBTREE = concat!(subtree!(), "SELECT id FROM subtree");

    RUNNING_MEMBER = concat!(
        subtree!(),
        "SELECT member.id FROM subtree JOIN backups AS member ON member.id = subtree.id
         WHERE member.status IN ('NEW', 'BUILDING', 'SAVING') LIMIT 1"
    );

    PINNED_MEMBER = concat!(
        subtree!(),
        "SELECT member.id FROM subtree JOIN backups AS member ON member.id = subtree.id
         WHERE member.pinned IS NOT NULL LIMIT 1"
    );

    RESTORED_MEMBER = concat!(
        subtree!(),
        "SELECT instances.id, instances.restored_from
         FROM subtree JOIN instances ON instances.restored_from = subtree.id
         WHERE instances.status = 'BUILD' LIMIT 1"
    );

    MARK = concat!(
        subtree!(),
        "UPDATE backups SET removal = 'asked'
         WHERE id IN (SELECT id FROM subtree) AND (removal IS NULL OR removal = 'failed')
         RETURNING id, project, instance"
    );

    CLAIM = concat!(
        subtree!("AND child.removal = 'asked'"),
        "UPDATE backups SET removal = 'claimed'
         WHERE id IN (SELECT id FROM subtree) AND removal = 'asked'
         RETURNING id"
    );

    OLDEST_MARKED = "SELECT id, project FROM backups WHERE removal = 'asked'
         ORDER BY created, id LIMIT 1";

    FAIL = "UPDATE backups SET status = 'DELETE_FAILED', removal = 'failed',
             failure_code = :code, failure_message = :message, updated = :at
         WHERE id = :id AND removal IS NOT NULL AND instr(:from, '|' || status || '|')";

    RELEASE_ANCESTORS = "WITH RECURSIVE above (id) AS (
             SELECT parent FROM backups WHERE id = :id AND parent IS NOT NULL
             UNION
             SELECT backups.parent FROM above JOIN backups ON backups.id = above.id
             WHERE backups.parent IS NOT NULL)
         UPDATE backups SET removal = 'failed'
         WHERE id IN (SELECT id FROM above) AND removal = 'claimed' AND trashed IS NULL
         RETURNING id";

    MARK_AGAIN = "UPDATE backups SET removal = 'asked'
         WHERE (removal = 'claimed' OR removal = 'failed') AND trashed IS NULL
         RETURNING id, project, instance";

    DELETE = "DELETE FROM backups WHERE id = ?1 AND removal IS NOT NULL";

    TRASH = "UPDATE backups SET removal = 'claimed', trashed = ?2, updated = ?2
         WHERE id = ?1 AND removal IS NOT NULL AND checksum IS NOT NULL";

    FOUND_IN_TRASH = "UPDATE backups SET removal = 'claimed', trashed = ?2, updated = ?2
         WHERE id = ?1 AND trashed IS NULL AND checksum IS NOT NULL
             AND status NOT IN ('NEW', 'BUILDING', 'SAVING')";

    TRASHED_MEMBERS = concat!(
        subtree!(),
        "SELECT member.id FROM subtree JOIN backups AS member ON member.id = subtree.id
         WHERE member.trashed IS NOT NULL"
    );

    OLDEST_TRASHED = "SELECT min(trashed) FROM backups WHERE trashed IS NOT NULL";

    BRING_BACK = "UPDATE backups SET removal = NULL, trashed = NULL, updated = ?2,
             status = CASE WHEN status <> 'DELETE_FAILED' THEN status
                           WHEN task = 'backup' THEN 'COMPLETED' ELSE 'RESTORED' END,
             failure_code = NULL, failure_message = NULL
         WHERE id = ?1 AND trashed IS NOT NULL";

    FORGET = "DELETE FROM backups WHERE trashed < ?1 RETURNING id";
}

/// A restore that still reads a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestoreInUse {
    /// The instance that is restored into.
    pub instance: InstanceId,
    /// The backup that is restored.
    pub backup: BackupId,
}

/// A row that was marked for removal.
struct Marked {
    id: BackupId,
    project: ProjectId,
    instance: Option<InstanceId>,
}

impl Marked {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            project: row.get("project")?,
            instance: row.get("instance")?,
        })
    }
}

impl Records<'_> {
    /// A member of the subtree that runs or waits.
    pub fn running_member(
        self,
        root: BackupId,
        project: &ProjectId,
    ) -> Result<Option<BackupRecord>> {
        let params = named_params! { ":root": root, ":project": project };
        let found = query_first(self.0, RUNNING_MEMBER, params, |row| row.get(0))?;
        found.map_or(Ok(None), |id| self.backup(id))
    }

    /// A member of the subtree that a person asked to keep.
    pub fn pinned_member(self, root: BackupId, project: &ProjectId) -> Result<Option<BackupId>> {
        let params = named_params! { ":root": root, ":project": project };
        query_first(self.0, PINNED_MEMBER, params, |row| row.get(0))
    }

    /// A restore that reads a member of the subtree.
    pub fn restored_member(
        self,
        root: BackupId,
        project: &ProjectId,
    ) -> Result<Option<RestoreInUse>> {
        let params = named_params! { ":root": root, ":project": project };
        query_first(self.0, RESTORED_MEMBER, params, |row| {
            Ok(RestoreInUse { instance: row.get("id")?, backup: row.get("restored_from")? })
        })
    }

    /// The backup and everything of its project that is built on it, in no order.
    pub fn subtree(self, root: BackupId, project: &ProjectId) -> Result<Vec<BackupId>> {
        let params = named_params! { ":root": root, ":project": project };
        query_all(self.0, SUBTREE, params, |row| row.get(0))
    }

    /// Marks the subtree for removal, and cancels the drills, consolidations and verifications of its members. Returns how
    /// many were not marked before.
    pub fn mark_for_removal(
        self,
        root: BackupId,
        project: &ProjectId,
        at: Timestamp,
    ) -> Result<usize> {
        let params = named_params! { ":root": root, ":project": project };
        let marked = query_all(self.0, MARK, params, Marked::read)?;
        for backup in &marked {
            for kind in [RunKind::Drill, RunKind::Consolidation, RunKind::Verify] {
                self.cancel_run(RunOf::backup(kind, backup.id), at)?;
            }
        }
        self.open_removals(&marked, at)?;
        Ok(marked.len())
    }

    /// Marks removals that a worker had, or that failed, once more.
    pub fn retry_removals(self, at: Timestamp) -> Result<()> {
        self.retry_runs(RunKind::Removal, at)?;
        let marked = query_all(self.0, MARK_AGAIN, [], Marked::read)?;
        self.open_removals(&marked, at)
    }

    fn open_removals(self, marked: &[Marked], at: Timestamp) -> Result<()> {
        for Marked { id, project, instance } in marked {
            let run = RunOf::backup(RunKind::Removal, *id).with_instance(*instance);
            self.open_run(run, project, at)?;
        }
        Ok(())
    }

    /// Claims the marked subtree whose root is oldest. Newest first: children go before their parents.
    pub fn claim_removal(self, at: Timestamp) -> Result<Vec<BackupRecord>> {
        let oldest = query_first(self.0, OLDEST_MARKED, [], |row| {
            Ok((row.get::<_, BackupId>("id")?, row.get::<_, ProjectId>("project")?))
        })?;
        let Some((root, project)) = oldest else { return Ok(Vec::new()) };
        let params = named_params! { ":root": root, ":project": project };
        let mut claimed = Vec::new();
        for id in query_all(self.0, CLAIM, params, |row| row.get(0))? {
            self.begin_run(RunOf::backup(RunKind::Removal, id), at)?;
            claimed.extend(self.backup(id)?);
        }
        claimed.sort_by_key(|it| std::cmp::Reverse((it.backup.created, it.backup.id)));
        Ok(claimed)
    }

    /// A marked row → `DELETE_FAILED`; one that has that status already gets the new reason. What it is
    /// built on was claimed with it and cannot go before it: those removals fail too.
    pub fn set_removal_failed(
        self,
        id: BackupId,
        failure: &Failure,
        at: Timestamp,
    ) -> Result<bool> {
        let from = one_of(Status::before(Status::DeleteFailed).chain([Status::DeleteFailed]));
        let params = named_params! {
            ":id": id, ":code": failure.code, ":message": failure.message, ":at": at, ":from": from
        };
        if execute(self.0, FAIL, params)? == 0 {
            return Ok(false);
        }
        let released: Vec<BackupId> =
            query_all(self.0, RELEASE_ANCESTORS, named_params! { ":id": id }, |row| row.get(0))?;
        for ancestor in released {
            self.cancel_run(RunOf::backup(RunKind::Removal, ancestor), at)?;
        }
        Ok(true)
    }

    /// The archive of a marked row is in the trash. False: the row has no archive, or is not marked.
    pub fn set_trashed(self, id: BackupId, at: Timestamp) -> Result<bool> {
        Ok(execute(self.0, TRASH, rusqlite::params![id, at])? > 0)
    }

    /// The archive of a row was found in the trash, where it has been since then. False: the row has no archive, or is
    /// there already.
    pub fn found_in_trash(self, id: BackupId, since: Timestamp) -> Result<bool> {
        Ok(execute(self.0, FOUND_IN_TRASH, rusqlite::params![id, since])? > 0)
    }

    pub fn trashed_members(self, root: BackupId, project: &ProjectId) -> Result<Vec<BackupId>> {
        let params = named_params! { ":root": root, ":project": project };
        query_all(self.0, TRASHED_MEMBERS, params, |row| row.get(0))
    }

    /// When the oldest row that is in the trash was put there.
    pub fn oldest_trashed(self) -> Result<Option<Timestamp>> {
        query_one(self.0, OLDEST_TRASHED, [], |row| row.get(0))
    }

    /// A row in the trash is as it was before its removal. False: it is not there.
    pub fn bring_back(self, id: BackupId, at: Timestamp) -> Result<bool> {
        Ok(execute(self.0, BRING_BACK, rusqlite::params![id, at])? > 0)
    }

    /// Deletes the rows that were put into the trash before `cutoff`. Their runs are kept for a while.
    pub fn forget_trashed(self, cutoff: Timestamp, at: Timestamp) -> Result<()> {
        for id in query_all(self.0, FORGET, [cutoff], |row| row.get(0))? {
            self.expire_runs_of_backup(id, at)?;
            self.orphan_copies(id, Timestamp::from_micros(0))?;
        }
        Ok(())
    }

    /// Deletes a marked row. Its runs are kept for a while.
    pub fn delete_marked_backup(self, id: BackupId, at: Timestamp) -> Result<bool> {
        let deleted = execute(self.0, DELETE, [id])? > 0;
        if deleted {
            self.expire_runs_of_backup(id, at)?;
            self.orphan_copies(id, at)?;
        }
        Ok(deleted)
    }
}
