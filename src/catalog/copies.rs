//! Copies in further places: asked for when a backup is complete, handed out, and what became of them. A backup never
//! waits for one.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::{
    Action, Actor, Backup, BackupCopy, BackupId, CopyProof, Event, Failure, Here, InstanceCopies,
    InstanceId, RunEnd, RunKind, RunResult, SentPart, Timestamp,
};
use crate::store::{CopyRecord, Records, RunOf};

use super::rules::Rules;
use super::{Catalog, CatalogError, Reply, Result};

/// Who copies, and who lets go, in the event log.
const COPIES: &str = "copies";
const RETENTION: &str = "retention";

/// A copy to make, claimed by a worker.
#[derive(Debug, Clone, PartialEq)]
pub struct CopyJob {
    pub backup: Backup,
    pub copy: BackupCopy,
    /// An upload that an earlier attempt began: what the place calls it, and the length of its parts.
    pub upload: Option<(String, u64)>,
    /// Those of its parts that have arrived, in order.
    pub parts: Vec<SentPart>,
}

const fn run(id: BackupId) -> RunOf {
    RunOf::backup(RunKind::Copy, id)
}

impl Catalog {
    /// Sets where the backups of each instance of the configuration are copied to, by the names of the places.
    pub fn set_copies(&self, copies: HashMap<InstanceId, Vec<String>>) {
        *self.rules.copies.write() = copies;
    }

    /// Asks for every copy that the configuration wants and that was never asked for. Returns how many.
    pub fn ask_for_copies(&self) -> Reply<usize> {
        self.write_and_wake(|db, rules| {
            let (wanted, now) = (rules.copies.read().clone(), rules.now());
            let mut asked = 0;
            for (instance, places) in wanted {
                for place in places {
                    for backup in db.without_copy(instance, &place)? {
                        asked += usize::from(ask(db, backup, &place, now)?);
                    }
                }
            }
            Ok(asked)
        })
    }

    /// What waits for another attempt in these places is tried now.
    pub fn retry_copies(&self, places: Vec<String>) -> Reply<()> {
        self.write_and_wake(move |db, rules| {
            for place in places {
                db.retry_copies(&place, rules.now())?;
            }
            Ok(())
        })
    }

    /// After a crash: copies that a worker had wait again. Returns how many.
    pub fn reopen_copies(&self) -> Reply<usize> {
        self.write_and_wake(|db, rules| {
            let now = rules.now();
            db.retry_runs(RunKind::Copy, now)?;
            Ok(db.reopen_copies(now)?)
        })
    }

    /// Claims the copy to this place that is due longest. Blocks for a commit if there is one.
    pub fn claim_copy(&self, place: &str) -> Result<Option<CopyJob>> {
        let now = self.rules.now();
        // A write waits for the disk, and this is called every few seconds.
        if !self.store.read(|db| Ok::<_, CatalogError>(db.is_copy_due(place, now)?))? {
            return Ok(None);
        }
        let place = place.to_owned();
        self.write(move |db, rules| {
            let now = rules.now();
            let Some(CopyRecord { copy, upload, .. }) = db.claim_copy(&place, now)? else {
                return Ok(None);
            };
            let id = copy.backup;
            let backup = db.backup(id)?.ok_or(CatalogError::NoSuchBackup { id })?.backup;
            db.open_run(run(id).with_instance(backup.instance), &backup.project, now)?;
            db.begin_run(run(id), now)?;
            let parts = db.parts_of(id, &place)?;
            Ok(Some(CopyJob { backup, copy, upload, parts }))
        })
        .wait()
    }

    /// An upload of a claimed copy is begun; `None`: it is given up.
    pub fn begin_upload(
        &self,
        id: BackupId,
        place: &str,
        upload: Option<(String, u64)>,
    ) -> Reply<()> {
        let place = place.to_owned();
        self.write(move |db, _rules| {
            let upload = upload.as_ref().map(|(name, bytes)| (name.as_str(), *bytes));
            Ok(db.put_upload(id, &place, upload)?)
        })
    }

    /// A part of a claimed copy has arrived, and so many bytes in all.
    pub fn part_sent(&self, id: BackupId, place: &str, part: SentPart, sent: u64) -> Reply<()> {
        let place = place.to_owned();
        self.write(move |db, _rules| Ok(db.add_part(id, &place, &part, sent)?))
    }

    /// A claimed copy is there, and is what was sent.
    pub fn copy_proven(
        &self,
        id: BackupId,
        place: &str,
        (by, bytes): (CopyProof, u64),
        mut end: RunEnd,
    ) -> Reply<()> {
        let place = place.to_owned();
        // What is built on it can be copied now, and what waited for it can go.
        let finished = Arc::clone(&self.finished);
        self.write_and_wake(move |db, rules| {
            end.at = rules.now();
            finished.lock().extend(db.backup(id)?.and_then(|it| it.backup.instance));
            db.set_copy_proven(id, &place, (end.at, by), bytes)?;
            let detail = format!("in {place}, {bytes} bytes, by {}", by.as_str());
            rules.add_copy_event(db, Action::CopyProven, id, detail)?;
            end.numbers.place = Some(place);
            Ok(db.end_run(run(id), &end).map(drop)?)
        })
    }

    /// Copies in a place are locked until then.
    pub fn copies_locked(&self, place: &str, locked: Vec<(BackupId, Timestamp)>) -> Reply<()> {
        let place = place.to_owned();
        self.write(move |db, _rules| {
            locked.iter().try_for_each(|(id, until)| Ok(db.set_copy_locked(*id, &place, *until)?))
        })
    }

    /// The attempt at a claimed copy failed. Another one follows after this time.
    pub fn copy_failed(
        &self,
        id: BackupId,
        place: &str,
        (failure, again): (Failure, Duration),
        mut end: RunEnd,
    ) -> Reply<()> {
        let place = place.to_owned();
        self.write(move |db, rules| {
            end.at = rules.now();
            if db.copy(id, &place)?.is_some_and(|it| it.copy.failing.is_none()) {
                let detail = format!("in {place}: {}", failure.message);
                rules.add_copy_event(db, Action::CopyFailed, id, detail)?;
            }
            db.set_copy_failed(id, &place, &failure, (end.at, end.at.plus(again)))?;
            end.result = RunResult::from_failure(failure);
            end.numbers.place = Some(place);
            Ok(db.end_run(run(id), &end).map(drop)?)
        })
    }

    /// A claimed copy was interrupted by an orderly stop: it goes on later.
    pub fn copy_interrupted(&self, id: BackupId, place: &str) -> Reply<()> {
        let place = place.to_owned();
        self.write(move |db, rules| {
            let now = rules.now();
            db.set_copy_waiting(id, &place, now)?;
            Ok(db.retry_run(run(id), now).map(drop)?)
        })
    }

    /// A copy in this place that has been to go for at least `window`, and what an upload of it is called that was
    /// begun.
    pub fn copy_to_remove(
        &self,
        place: &str,
        window: Duration,
    ) -> Result<Option<(BackupCopy, Option<String>)>> {
        let now = self.rules.now();
        let when = (now.minus(window), now);
        let found = self.store.read(|db| Ok::<_, CatalogError>(db.orphaned_copy(place, when)?))?;
        Ok(found.map(|it| (it.copy, it.upload.map(|(name, _part_bytes)| name))))
    }

    /// Whether there is a copy that is wanted and not proven, or an upload of one that is to be removed.
    pub fn is_copy_unfinished(&self, id: BackupId, place: &str) -> Result<bool> {
        let copies = self.store.read(|db| Ok::<_, CatalogError>(db.copies_of(id)?))?;
        Ok(copies.iter().any(|it| it.copy.place == place && it.copy.proven.is_none()))
    }

    /// Whether a backup was deleted.
    pub fn is_deleted(&self, id: BackupId) -> Result<bool> {
        let found = self.store.read(|db| Ok::<_, CatalogError>(db.backup(id)?))?;
        Ok(found.is_none_or(|it| it.is_deleted()))
    }

    /// A copy is removed, or left to itself: the catalog knows it no more. Returns whether nothing is left of its backup
    /// anywhere.
    pub fn forget_copy(&self, copy: &BackupCopy, removed: bool) -> Reply<bool> {
        let (copy, proven) = (copy.clone(), copy.proven.is_some());
        self.write(move |db, rules| {
            let (id, place) = (copy.backup, &copy.place);
            if !db.expire_copy(id, place)? {
                db.forget_copy(id, place)?;
            }
            if removed && proven {
                let server = Actor::server(COPIES);
                let event = Event::done(rules.now(), &server, Action::CopyRemoved).of(id);
                let project = copy.location.project();
                let event = project.into_iter().fold(event, |event, it| event.in_project(&it));
                db.add_event(&event.with_detail(format!("from {place}")))?;
            }
            let lies_here = db.backup(id)?.is_some_and(|it| it.backup.here != Here::No);
            Ok(!lies_here && db.other_proven_copies(id, place)? == 0)
        })
    }

    /// A copy could not be removed; that is tried again after this time. `window` is how long one is kept.
    pub fn postpone_removal(
        &self,
        copy: &BackupCopy,
        again: Duration,
        window: Duration,
    ) -> Reply<()> {
        let (id, place) = (copy.backup, copy.place.clone());
        self.write(move |db, rules| {
            let at = rules.now().plus(again).minus(window);
            Ok(db.postpone_removal(id, &place, at)?)
        })
    }

    /// The uploads to a place that were begun, by what the place calls them.
    pub fn uploads_in(&self, place: &str) -> Result<Vec<(BackupId, String)>> {
        self.store.read(|db| Ok(db.uploads_in(place)?))
    }

    /// A backup whose archive is to go from the data directory now, with its copies.
    pub fn next_leaving(&self) -> Result<Option<Backup>> {
        self.store.read(|db| {
            let Some(id) = db.next_leaving()? else { return Ok(None) };
            let Some(record) = db.backup(id)? else { return Ok(None) };
            let mut found = [record.backup];
            read_copies(db, &mut found)?;
            let [backup] = found;
            Ok(Some(backup))
        })
    }

    /// The archive of a backup went from the data directory; or it stays, for this reason.
    pub fn left(&self, id: BackupId, stays: Option<String>) -> Reply<()> {
        self.write(move |db, rules| {
            db.set_here(id, if stays.is_some() { Here::Yes } else { Here::No })?;
            let detail = stays.clone().unwrap_or_default();
            let event = Event::done(rules.now(), &Actor::server(RETENTION), Action::ArchiveRemoved);
            let event = if stays.is_some() { event.refused() } else { event };
            let Some(record) = db.backup(id)? else { return Ok(()) };
            Ok(db.add_event(&event.in_project(&record.backup.project).of(id).with_detail(detail))?)
        })
    }

    /// A copy that was proven is not there any more, or is not what it was: it is made again.
    pub fn copy_lost(&self, id: BackupId, place: &str) -> Reply<()> {
        let place = place.to_owned();
        self.write(move |db, rules| {
            db.forget_copy(id, &place)?;
            let detail = format!("in {place}: it is not there any more, and is made again");
            rules.add_copy_event(db, Action::CopyFailed, id, detail)?;
            Ok(db.add_copy(id, &place, rules.now()).map(drop)?)
        })
    }

    /// Adds to backups where their copies are.
    pub fn read_copies(&self, backups: &mut [Backup]) -> Result<()> {
        self.store.read(|db| read_copies(db, backups))
    }
}

/// Adds to backups where their copies are.
pub(super) fn read_copies(db: Records<'_>, backups: &mut [Backup]) -> Result<()> {
    if !db.has_copies()? {
        return Ok(());
    }
    for backup in backups {
        backup.copies = db.copies_of(backup.id)?.into_iter().map(|it| it.copy).collect();
    }
    Ok(())
}

/// Asks for a copy of a backup, and first of those of what it is built on: it comes after them.
fn ask(db: Records<'_>, id: BackupId, place: &str, now: Timestamp) -> Result<bool> {
    let mut chain = vec![id];
    while let Some(parent) = chain.last().map(|id| db.backup(*id)).transpose()?.flatten() {
        match parent.backup.parent {
            Some(parent) if !chain.contains(&parent) => chain.push(parent),
            _ => break,
        }
    }
    let mut asked = false;
    for id in chain.into_iter().rev() {
        asked = db.add_copy(id, place, now)?;
        db.ask_for_copy_again(id, place, now)?;
    }
    Ok(asked)
}

impl Rules {
    fn add_copy_event(
        &self,
        db: Records<'_>,
        action: Action,
        id: BackupId,
        detail: String,
    ) -> Result<()> {
        let Some(record) = db.backup(id)? else { return Ok(()) };
        let event = Event::done(self.now(), &Actor::server(COPIES), action);
        Ok(db.add_event(&event.in_project(&record.backup.project).of(id).with_detail(detail))?)
    }

    /// The copies of an instance's backups, by the places that they are to be in.
    pub(super) fn copies_of_instance(
        &self,
        db: Records<'_>,
        id: InstanceId,
    ) -> Result<Vec<InstanceCopies>> {
        let places = self.copies.read().get(&id).cloned().unwrap_or_default();
        places.iter().map(|place| Ok(db.copies_of_instance(id, place)?)).collect()
    }

    /// Asks for the copies of a backup that is complete.
    pub(super) fn ask_for_copies(&self, db: Records<'_>, id: BackupId) -> Result<()> {
        let instance = db.backup(id)?.and_then(|it| it.backup.instance);
        let places = instance.and_then(|it| self.copies.read().get(&it).cloned());
        for place in places.unwrap_or_default() {
            ask(db, id, &place, self.now())?;
        }
        Ok(())
    }
}
