//! The rows of copies, which are their queue too, and of the parts of uploads.

use rusqlite::{ToSql, named_params};

use super::sql::{columns, execute, insert, query_all, query_first, query_one, statements};
use super::types::{Bytes, failure};
use super::{Records, Result};
use crate::domain::{
    BackupCopy, BackupId, CopyProof, CopyState, FailingCopy, Failure, FailureCode, InstanceCopies,
    InstanceId, Location, PlaceCopies, SentPart, Timestamp,
};

/// A copy with what only its worker needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyRecord {
    pub copy: BackupCopy,
    /// An upload that was begun: what the place calls it, and the length of its parts.
    pub upload: Option<(String, u64)>,
    /// Since when it is to go.
    pub orphaned: Option<Timestamp>,
}

columns! {
    CopyColumns, copy_columns {
        backup: BackupId = "backup",
        place: String = "place",
        state: CopyState = "state",
        location: Location = "location",
        upload: Option<String> = "upload",
        part_bytes: Option<Bytes> = "part_bytes",
        sent: Bytes = "sent",
        attempts: u32 = "attempts",
        due: Timestamp = "due",
        proven_at: Option<Timestamp> = "proven_at",
        proven_by: Option<CopyProof> = "proven_by",
        failure_code: Option<FailureCode> = "failure_code",
        failure_message: Option<String> = "failure_message",
        orphaned: Option<Timestamp> = "orphaned",
        failing: Option<Timestamp> = "failing",
        locked_until: Option<Timestamp> = "locked_until",
    }
}

impl From<CopyColumns> for CopyRecord {
    fn from(it: CopyColumns) -> Self {
        let copy = BackupCopy {
            backup: it.backup,
            place: it.place,
            state: it.state,
            location: it.location,
            sent: it.sent.0,
            attempts: it.attempts,
            next: (it.state == CopyState::Failed).then_some(it.due),
            proven: it.proven_at.zip(it.proven_by),
            failing: it.failing,
            failure: failure(it.failure_code, it.failure_message),
            locked_until: it.locked_until,
            leaving: it.orphaned.is_some(),
        };
        let upload = it.upload.zip(it.part_bytes.map(|bytes| bytes.0));
        Self { copy, upload, orphaned: it.orphaned }
    }
}

/// That nothing stands in the way of a copy: the backup is not deleted, and what it is built on is in the same place.
macro_rules! after_its_parent {
    () => {
        "EXISTS (SELECT 1 FROM backups WHERE id = copies.backup AND removal IS NULL)
         AND (copies.parent IS NULL OR EXISTS (
             SELECT 1 FROM copies AS needed WHERE needed.backup = copies.parent
                 AND needed.place = copies.place AND needed.state = 'proven'))"
    };
}

/// What is asked of the copies that the complete backups of an instance have in a place.
macro_rules! of_instance {
    ($columns:literal, $and:literal) => {
        concat!(
            "SELECT ",
            $columns,
            " FROM backups INDEXED BY backups_by_instance_status
             CROSS JOIN copies ON copies.backup = backups.id AND copies.place = :place
             WHERE backups.instance = :instance AND backups.status = 'COMPLETED'
                 AND backups.removal IS NULL ",
            $and
        )
    };
}

statements! {
    OF_BACKUP = concat!("SELECT ", copy_columns!(), " FROM copies WHERE backup = ?1 ORDER BY place");

    ONE = concat!("SELECT ", copy_columns!(), " FROM copies WHERE backup = ?1 AND place = ?2");

    ADD = "INSERT INTO copies (backup, place, parent, state, location, due, asked)
         SELECT id, :place, parent, 'waiting', location, :at, :at FROM backups
         WHERE id = :backup AND status IN ('COMPLETED', 'RESTORED') AND removal IS NULL
             AND location IS NOT NULL
         ON CONFLICT DO NOTHING";

    LACKING = "SELECT id FROM backups INDEXED BY backups_by_instance_status
         WHERE instance = :instance AND status = 'COMPLETED' AND removal IS NULL
             AND NOT EXISTS (SELECT 1 FROM copies WHERE backup = backups.id AND place = :place)
         ORDER BY created, id";

    ANY = "SELECT EXISTS (SELECT 1 FROM copies WHERE backup > '')";

    DUE = concat!(
        "SELECT EXISTS (SELECT 1 FROM copies INDEXED BY copies_waiting
             WHERE place = :place AND state IN ('waiting', 'failed') AND orphaned IS NULL
                 AND due <= :at AND ", after_its_parent!(), ")"
    );

    CLAIM = concat!(
        "UPDATE copies SET state = 'copying', attempts = attempts + 1, failure_code = NULL,
             failure_message = NULL
         WHERE (backup, place) = (
             SELECT backup, place FROM copies INDEXED BY copies_waiting
             WHERE place = :place AND state IN ('waiting', 'failed') AND orphaned IS NULL
                 AND due <= :at AND ", after_its_parent!(), "
             ORDER BY due, backup LIMIT 1)
         RETURNING ", copy_columns!()
    );

    REOPEN = "UPDATE copies SET state = 'waiting', due = ?1 WHERE state = 'copying'";

    RETRY_AT_ONCE = "UPDATE copies SET due = :at
         WHERE place = :place AND state IN ('waiting', 'failed') AND orphaned IS NULL AND due > :at";

    PUT_UPLOAD = "UPDATE copies SET upload = :upload, part_bytes = :part_bytes, sent = 0
         WHERE backup = :backup AND place = :place";

    DROP_PARTS = "DELETE FROM copy_parts WHERE backup = ?1 AND place = ?2";

    ADD_PART = insert!(
        "copy_parts" ("backup", "place", "number", "tag", "sha256") "ON CONFLICT DO NOTHING"
    );

    SENT = "UPDATE copies SET sent = :sent WHERE backup = :backup AND place = :place";

    PARTS = "SELECT number, tag, sha256 FROM copy_parts WHERE backup = ?1 AND place = ?2
         ORDER BY number";

    PROVE = "UPDATE copies SET state = 'proven', proven_at = :at, proven_by = :by, upload = NULL,
             part_bytes = NULL, attempts = 0, sent = :bytes, failing = NULL
         WHERE backup = :backup AND place = :place AND state = 'copying'";

    FAIL = "UPDATE copies SET state = 'failed', failure_code = :code, failure_message = :message, due = :due,
             failing = coalesce(failing, :at)
         WHERE backup = :backup AND place = :place AND state = 'copying'";

    WAIT = "UPDATE copies SET state = 'waiting', due = :at
         WHERE backup = :backup AND place = :place AND state = 'copying'";

    ORPHAN = "UPDATE copies SET orphaned = ?2 WHERE backup = ?1 AND orphaned IS NULL";

    OLDEST_ORPHAN = concat!(
        "SELECT ", copy_columns!(), " FROM copies INDEXED BY copies_orphaned
         WHERE place = :place AND orphaned <= :cutoff AND state <> 'copying'
             AND (locked_until IS NULL OR locked_until <= :now)
         ORDER BY orphaned LIMIT 1"
    );

    /// Of a backup that stays.
    LEAVE = "UPDATE copies SET orphaned = ?3 WHERE backup = ?1 AND place = ?2 AND state <> 'expired'";

    /// The row stays, so that the copy is not asked for again.
    EXPIRE = "UPDATE copies SET state = 'expired', orphaned = NULL, upload = NULL, part_bytes = NULL,
             proven_at = NULL, proven_by = NULL, failure_code = NULL, failure_message = NULL,
             failing = NULL, sent = 0, locked_until = NULL
         WHERE backup = ?1 AND place = ?2
             AND EXISTS (SELECT 1 FROM backups WHERE id = copies.backup AND removal IS NULL)";

    /// What is built on it is to be copied after all.
    ASK_AGAIN = "UPDATE copies SET state = 'waiting', due = ?3, asked = ?3, attempts = 0
         WHERE backup = ?1 AND place = ?2 AND state = 'expired'";

    LOCK = "UPDATE copies SET locked_until = max(coalesce(locked_until, 0), ?3)
         WHERE backup = ?1 AND place = ?2";

    POSTPONE_REMOVAL = "UPDATE copies SET orphaned = :at WHERE backup = :backup AND place = :place";

    FORGET = "DELETE FROM copies WHERE backup = ?1 AND place = ?2";

    OTHER_PROVEN = "SELECT count(*) FROM copies WHERE backup = ?1 AND place <> ?2 AND state = 'proven'";

    IN_PLACE = "SELECT count(*), coalesce(sum(sent), 0), max(proven_at)
         FROM copies INDEXED BY copies_of_place WHERE place = :place AND state = :state";

    /// Of the backups of an instance. Those that the place kept no longer do not count.
    OF_INSTANCE = of_instance!(
        "count(*) FILTER (WHERE copies.state = 'proven' AND copies.orphaned IS NULL),
         count(*) FILTER (WHERE copies.state IN ('waiting', 'copying', 'failed')),
         min(copies.asked) FILTER (WHERE copies.state IN ('waiting', 'copying', 'failed')),
         max(backups.created) FILTER (WHERE copies.state = 'proven' AND copies.orphaned IS NULL)",
        ""
    );

    /// With `min`, the other columns are those of the row that has it.
    FAILING = of_instance!(
        "min(copies.failing), copies.backup, copies.attempts, copies.failure_message",
        "AND copies.state = 'failed' AND copies.failing IS NOT NULL"
    );

    UPLOADS = "SELECT backup, upload FROM copies INDEXED BY copies_of_place
         WHERE place = ?1 AND upload IS NOT NULL";
}

fn read_failing(row: &rusqlite::Row<'_>) -> rusqlite::Result<Option<FailingCopy>> {
    let Some(since) = row.get::<_, Option<Timestamp>>(0)? else { return Ok(None) };
    let why = row.get::<_, Option<String>>(3)?.unwrap_or_default();
    Ok(Some(FailingCopy { backup: row.get(1)?, since, attempts: row.get(2)?, why }))
}

fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<CopyRecord> {
    CopyColumns::read(row).map(CopyRecord::from)
}

impl Records<'_> {
    pub fn copies_of(self, backup: BackupId) -> Result<Vec<CopyRecord>> {
        query_all(self.0, OF_BACKUP, [backup], read)
    }

    pub fn copy(self, backup: BackupId, place: &str) -> Result<Option<CopyRecord>> {
        query_first(self.0, ONE, rusqlite::params![backup, place], read)
    }

    /// Whether there is any copy.
    pub fn has_copies(self) -> Result<bool> {
        query_one(self.0, ANY, [], |row| row.get(0))
    }

    /// Whether there is one to claim.
    pub fn is_copy_due(self, place: &str, at: Timestamp) -> Result<bool> {
        query_one(self.0, DUE, named_params! { ":place": place, ":at": at }, |row| row.get(0))
    }

    /// Asks for a copy of a usable backup, unless there is one. False: there is, or the backup cannot be copied.
    pub fn add_copy(self, backup: BackupId, place: &str, at: Timestamp) -> Result<bool> {
        let params = named_params! { ":backup": backup, ":place": place, ":at": at };
        Ok(execute(self.0, ADD, params)? > 0)
    }

    /// The backups of an instance that were never to be copied to this place, oldest first.
    pub fn without_copy(self, instance: InstanceId, place: &str) -> Result<Vec<BackupId>> {
        let params = named_params! { ":instance": instance, ":place": place };
        query_all(self.0, LACKING, params, |row| row.get(0))
    }

    /// Claims the copy that is due longest of those whose parent is in the place.
    pub fn claim_copy(self, place: &str, at: Timestamp) -> Result<Option<CopyRecord>> {
        query_first(self.0, CLAIM, named_params! { ":place": place, ":at": at }, read)
    }

    /// After a crash: what a worker had waits again.
    pub fn reopen_copies(self, at: Timestamp) -> Result<usize> {
        execute(self.0, REOPEN, [at])
    }

    /// What waits for another attempt in this place is due now.
    pub fn retry_copies(self, place: &str, at: Timestamp) -> Result<usize> {
        execute(self.0, RETRY_AT_ONCE, named_params! { ":place": place, ":at": at })
    }

    /// An upload is begun, or `None`: given up. The parts of an earlier one mean nothing any more.
    pub fn put_upload(
        self,
        backup: BackupId,
        place: &str,
        upload: Option<(&str, u64)>,
    ) -> Result<()> {
        execute(self.0, DROP_PARTS, rusqlite::params![backup, place])?;
        let (name, part_bytes) = upload.unzip();
        let params = named_params! {
            ":backup": backup, ":place": place, ":upload": name, ":part_bytes": part_bytes.map(Bytes)
        };
        execute(self.0, PUT_UPLOAD, params).map(drop)
    }

    /// A part has arrived, and so many bytes in all.
    pub fn add_part(self, backup: BackupId, place: &str, part: &SentPart, sent: u64) -> Result<()> {
        let params = named_params! {
            ":backup": backup, ":place": place, ":number": part.number, ":tag": part.tag,
            ":sha256": part.sha256.as_slice()
        };
        execute(self.0, ADD_PART, params)?;
        let params = named_params! { ":backup": backup, ":place": place, ":sent": Bytes(sent) };
        execute(self.0, SENT, params).map(drop)
    }

    pub fn parts_of(self, backup: BackupId, place: &str) -> Result<Vec<SentPart>> {
        query_all(self.0, PARTS, rusqlite::params![backup, place], |row| {
            Ok(SentPart { number: row.get(0)?, tag: row.get(1)?, sha256: row.get(2)? })
        })
    }

    /// A claimed copy is proven. False: it is not claimed any more.
    pub fn set_copy_proven(
        self,
        backup: BackupId,
        place: &str,
        (at, by): (Timestamp, CopyProof),
        bytes: u64,
    ) -> Result<bool> {
        execute(self.0, DROP_PARTS, rusqlite::params![backup, place])?;
        let params = named_params! {
            ":backup": backup, ":place": place, ":at": at, ":by": by, ":bytes": Bytes(bytes)
        };
        Ok(execute(self.0, PROVE, params)? > 0)
    }

    /// The attempt at a claimed copy failed; another one is due then.
    pub fn set_copy_failed(
        self,
        backup: BackupId,
        place: &str,
        failure: &Failure,
        (at, due): (Timestamp, Timestamp),
    ) -> Result<bool> {
        let params = named_params! {
            ":backup": backup, ":place": place, ":code": failure.code,
            ":message": failure.message, ":at": at, ":due": due
        };
        Ok(execute(self.0, FAIL, params)? > 0)
    }

    /// A claimed copy was interrupted and waits again.
    pub fn set_copy_waiting(self, backup: BackupId, place: &str, at: Timestamp) -> Result<()> {
        let params = named_params! { ":backup": backup, ":place": place, ":at": at };
        execute(self.0, WAIT, params).map(drop)
    }

    /// The backup is gone since then: its copies are to go.
    pub(super) fn orphan_copies(self, backup: BackupId, since: Timestamp) -> Result<()> {
        execute(self.0, ORPHAN, rusqlite::params![backup, since]).map(drop)
    }

    /// A copy in this place that is to go since `cutoff` or longer, and is not locked.
    pub fn orphaned_copy(
        self,
        place: &str,
        (cutoff, now): (Timestamp, Timestamp),
    ) -> Result<Option<CopyRecord>> {
        let params = named_params! { ":place": place, ":cutoff": cutoff, ":now": now };
        query_first(self.0, OLDEST_ORPHAN, params, read)
    }

    /// The copy of a backup that stays is to go from its place from then on, or stays there.
    pub fn set_copy_leaving(
        self,
        backup: BackupId,
        place: &str,
        since: Option<Timestamp>,
    ) -> Result<()> {
        execute(self.0, LEAVE, rusqlite::params![backup, place, since]).map(drop)
    }

    /// The copy of a backup that stays was removed from its place. False: the backup is gone.
    pub fn expire_copy(self, backup: BackupId, place: &str) -> Result<bool> {
        execute(self.0, DROP_PARTS, rusqlite::params![backup, place])?;
        Ok(execute(self.0, EXPIRE, rusqlite::params![backup, place])? > 0)
    }

    /// Asks once more for a copy that its place kept no longer.
    pub fn ask_for_copy_again(self, backup: BackupId, place: &str, at: Timestamp) -> Result<()> {
        execute(self.0, ASK_AGAIN, rusqlite::params![backup, place, at]).map(drop)
    }

    /// Until then nobody can remove or replace a copy.
    pub fn set_copy_locked(self, backup: BackupId, place: &str, until: Timestamp) -> Result<()> {
        execute(self.0, LOCK, rusqlite::params![backup, place, until]).map(drop)
    }

    /// A copy that could not be removed counts as orphaned since then.
    pub fn postpone_removal(self, backup: BackupId, place: &str, at: Timestamp) -> Result<()> {
        let params = named_params! { ":backup": backup, ":place": place, ":at": at };
        execute(self.0, POSTPONE_REMOVAL, params).map(drop)
    }

    /// Deletes the row of a copy.
    pub fn forget_copy(self, backup: BackupId, place: &str) -> Result<()> {
        execute(self.0, DROP_PARTS, rusqlite::params![backup, place])?;
        execute(self.0, FORGET, rusqlite::params![backup, place]).map(drop)
    }

    /// How many proven copies a backup has in other places.
    pub fn other_proven_copies(self, backup: BackupId, place: &str) -> Result<u64> {
        let params = rusqlite::params![backup, place];
        Ok(query_one(self.0, OTHER_PROVEN, params, |row| row.get::<_, Bytes>(0))?.0)
    }

    /// How many copies a place holds, and is to hold.
    pub fn copies_in(self, place: &str) -> Result<PlaceCopies> {
        let of = |state: CopyState| {
            let params = named_params! { ":place": place, ":state": state };
            query_one(self.0, IN_PLACE, params, |row| {
                Ok((row.get::<_, Bytes>(0)?.0, row.get::<_, Bytes>(1)?.0, row.get(2)?))
            })
        };
        let (proven, bytes, last_proven) = of(CopyState::Proven)?;
        Ok(PlaceCopies {
            place: place.to_owned(),
            waiting: of(CopyState::Waiting)?.0,
            copying: of(CopyState::Copying)?.0,
            failed: of(CopyState::Failed)?.0,
            proven,
            bytes,
            last_proven,
            configured: true,
            trouble: self.place_trouble(place)?,
        })
    }

    /// The copies of an instance's backups in a place.
    pub fn copies_of_instance(self, instance: InstanceId, place: &str) -> Result<InstanceCopies> {
        let params: &[(&str, &dyn ToSql)] = &[(":instance", &instance), (":place", &place)];
        let mut found = query_one(self.0, OF_INSTANCE, params, |row| {
            Ok(InstanceCopies {
                place: String::new(),
                proven: row.get::<_, Bytes>(0)?.0,
                missing: row.get::<_, Bytes>(1)?.0,
                missing_since: row.get(2)?,
                newest: row.get(3)?,
                failing: None,
            })
        })?;
        if found.missing > 0 {
            found.failing = query_one(self.0, FAILING, params, read_failing)?;
        }
        place.clone_into(&mut found.place);
        Ok(found)
    }

    /// The uploads to a place that were begun, by what the place calls them.
    pub fn uploads_in(self, place: &str) -> Result<Vec<(BackupId, String)>> {
        query_all(self.0, UPLOADS, [place], |row| Ok((row.get(0)?, row.get(1)?)))
    }
}
