//! What is built on a backup, and what it is built on.

use rusqlite::{Row, named_params};

use super::backups::{BackupRecord, columns, read};
use super::{Records, StoreError, sql};
use crate::domain::{BackupId, InstanceId, ProjectId, Status};

/// The backup and everything of its project that is built on it. `UNION`, not `UNION ALL`: rows that
/// name each other as parents must not make it run for ever.
macro_rules! subtree {
    () => {
        "WITH RECURSIVE subtree (id) AS (
             SELECT :root
             UNION
             SELECT child.id FROM subtree JOIN backups AS child ON child.parent = subtree.id
             WHERE child.project = :project)"
    };
}

const RUNNING_MEMBER: &str = concat!(
    subtree!(),
    " SELECT member.id, member.status FROM subtree JOIN backups AS member ON member.id = subtree.id
      WHERE member.status IN ('NEW', 'BUILDING', 'SAVING') LIMIT 1"
);

const RESTORED_MEMBER: &str = concat!(
    subtree!(),
    " SELECT instances.id, instances.restored_from
      FROM subtree JOIN instances ON instances.restored_from = subtree.id
      WHERE instances.status = 'BUILD' LIMIT 1"
);

const ASK: &str = concat!(
    subtree!(),
    " UPDATE backups SET removal = 'asked', drill = NULL
      WHERE id IN (SELECT id FROM subtree) AND (removal IS NULL OR removal = 'failed')"
);

const CLAIM: &str = concat!(
    "WITH RECURSIVE subtree (id) AS (
         SELECT :root
         UNION
         SELECT child.id FROM subtree JOIN backups AS child ON child.parent = subtree.id
         WHERE child.project = :project AND child.removal = 'asked')
     UPDATE backups SET removal = 'claimed'
     WHERE id IN (SELECT id FROM subtree) AND removal = 'asked'
     RETURNING ",
    columns!()
);

const OLDEST_ASKED: &str = "SELECT id, project FROM backups WHERE removal = 'asked'
     ORDER BY created, id LIMIT 1";

const RELEASE_ANCESTORS: &str = "WITH RECURSIVE above (id) AS (
         SELECT parent FROM backups WHERE id = :id AND parent IS NOT NULL
         UNION
         SELECT backups.parent FROM above JOIN backups ON backups.id = above.id
         WHERE backups.parent IS NOT NULL)
     UPDATE backups SET removal = 'failed'
     WHERE id IN (SELECT id FROM above) AND removal = 'claimed'";

/// Every statement of this file.
#[cfg(test)]
pub(super) const STATEMENTS: &[&str] =
    &[RUNNING_MEMBER, RESTORED_MEMBER, ASK, CLAIM, OLDEST_ASKED, RELEASE_ANCESTORS];

impl Records<'_> {
    /// A member of the subtree that runs or waits.
    pub fn running_member(
        self,
        root: BackupId,
        project: &ProjectId,
    ) -> Result<Option<(BackupId, Status)>, StoreError> {
        let params = named_params! { ":root": root, ":project": project };
        sql::first(self.0, RUNNING_MEMBER, params, |row| Ok((row.get(0)?, row.get(1)?)))
    }

    /// A restore in progress that reads a member of the subtree, and which member it restores.
    pub fn restored_member(
        self,
        root: BackupId,
        project: &ProjectId,
    ) -> Result<Option<(InstanceId, BackupId)>, StoreError> {
        let params = named_params! { ":root": root, ":project": project };
        sql::first(self.0, RESTORED_MEMBER, params, |row| Ok((row.get(0)?, row.get(1)?)))
    }

    /// Marks the subtree for removal. Says how many rows were not marked before.
    pub fn ask_removal(self, root: BackupId, project: &ProjectId) -> Result<usize, StoreError> {
        sql::change(self.0, ASK, named_params! { ":root": root, ":project": project })
    }

    /// Claims the subtree whose removal was asked for and whose root is oldest; newest first.
    pub fn claim_removal(self) -> Result<Vec<BackupRecord>, StoreError> {
        let read_root = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
        let oldest = sql::first(self.0, OLDEST_ASKED, [], read_root)?;
        let Some((root, project)): Option<(BackupId, ProjectId)> = oldest else {
            return Ok(Vec::new());
        };
        let params = named_params! { ":root": root, ":project": project };
        let mut claimed = sql::all(self.0, CLAIM, params, read)?;
        claimed.sort_by_key(|it| std::cmp::Reverse((it.backup.created, it.backup.id)));
        Ok(claimed)
    }

    /// What this one is built on can no longer be removed before it: lets go of those claimed with it.
    pub fn release_ancestors(self, id: BackupId) -> Result<usize, StoreError> {
        sql::change(self.0, RELEASE_ANCESTORS, named_params! { ":id": id })
    }
}
