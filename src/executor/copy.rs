//! One copy: sent part by part, then proven where it lies.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};

use crate::catalog::CopyJob;
use crate::domain::num::{saturating_u32, saturating_usize, to_u64};
use crate::domain::{ArchiveFacts, BackupId, Cancel, CopyProof, ReadAt, SentPart, Timestamp};
use crate::encryption::EncryptionError;
use crate::failpoint;
use crate::storage::{Place, StorageError, Upload, UploadPlan, Vouched};

use super::copy_source::{Content, Sealing, location_of, unreadable};
use super::{Context, CopyTarget, JobError, Pace, Result, places, presence};

/// How much is hashed at once.
const PIECE: u64 = 1 << 20;
/// How much is read back at once: a request each, where it comes from a store.
const READ_BACK: u64 = 4 << 20;

/// What is sent if it is there already.
const NOTHING_SENT: (u64, Duration) = (0, Duration::ZERO);

/// With every so many attempts what was begun is given up: a store may have lost it without saying so.
const ANEW_EVERY: u32 = 5;

/// What a copy ended with.
#[derive(Debug)]
pub(super) struct Copied {
    pub(super) by: CopyProof,
    /// Bytes that this attempt sent, and how long that took.
    pub(super) sent: (u64, Duration),
    /// The length of the archive.
    pub(super) bytes: u64,
    /// What is locked now, and until when.
    pub(super) locked: Vec<(BackupId, Timestamp)>,
}

/// Makes a claimed copy. What has arrived of an upload stays for the next attempt.
pub(super) fn copy(context: &Context, target: &CopyTarget, mut job: CopyJob) -> Result<Copied> {
    let facts = job.backup.facts.clone().ok_or(JobError::Bug("a backup to copy has no archive"))?;
    let place = &*target.place;
    places::require_same(context, place)?;
    let (id, made) = (job.backup.id, job.backup.created);
    let sealing = Sealing::of(context, target, &mut job, &facts)?;
    let location = location_of(sealing.is_some(), &facts.location);
    let bytes = sealing.as_ref().map_or(facts.stored_bytes, |it| it.length(facts.stored_bytes));
    let until = target.lock.map(|lock| made.plus(lock));
    let plan = UploadPlan::new(id, location, bytes, made).locked(until);
    let plan = match &job.upload {
        Some((_, part_bytes)) => plan.with_parts_of(*part_bytes),
        None => plan.with_at_most(place.most_parts()),
    };
    let work = Work { context, target, plan, facts, sealing };
    if place.stat(&work.plan.location)?.is_some() {
        // The last attempt ended before its proof, or somebody else put it there.
        work.give_up(job.upload.as_ref().map(|(name, _)| name.as_str()))?;
        let is_ours = work.sealing.as_ref().is_some_and(Sealing::is_known);
        return work.done(work.read_back(is_ours)?, NOTHING_SENT);
    }
    if job.copy.attempts.is_multiple_of(ANEW_EVERY)
        && let Some((upload, _)) = job.upload.take()
    {
        job.parts.clear();
        if let Err(error) = work.give_up(Some(&upload)) {
            log::warn!("what was begun is left over in {}: {error}", place.name());
        }
    }
    let began = Instant::now();
    let Some((parts, sent)) = work.send(&job)? else {
        // An answer was lost, or somebody else was faster.
        return work.done(work.read_back(true)?, NOTHING_SENT);
    };
    let sent = (sent, began.elapsed());
    failpoint::at("copy-before-proof");
    let proof = match place.checksum(&work.plan, &parts)? {
        Some(Vouched::Same) => Some(CopyProof::StoreChecksum),
        Some(Vouched::Other) => None,
        None => work.read_back(true)?,
    };
    if proof.is_none() {
        // It was written by this attempt, and never shown as proven.
        place.remove(&work.plan.location)?;
    }
    work.done(proof, sent)
}

struct Work<'a> {
    context: &'a Context,
    target: &'a CopyTarget,
    plan: UploadPlan,
    facts: ArchiveFacts,
    sealing: Option<Sealing>,
}

impl Work<'_> {
    fn place(&self) -> &dyn Place {
        &*self.target.place
    }

    fn id(&self) -> BackupId {
        self.plan.backup
    }

    fn done(&self, proof: Option<CopyProof>, sent: (u64, Duration)) -> Result<Copied> {
        match proof {
            Some(by) => {
                let locked = self.lock()?;
                Ok(Copied { by, sent, bytes: self.plan.bytes, locked })
            }
            None => Err(JobError::BadCopy(format!(
                "what lies at {} in {} is not the archive of backup {}",
                self.plan.location,
                self.place().name(),
                self.id()
            ))),
        }
    }

    /// Locks the copy, and what it is built on for as long. Returns which, and until when.
    fn lock(&self) -> Result<Vec<(BackupId, Timestamp)>> {
        let Some(until) = self.plan.locked_until else { return Ok(Vec::new()) };
        let catalog = &self.context.catalog;
        let (mut chain, _reported) = catalog.chain_to_restore(self.id())?;
        catalog.read_copies(&mut chain)?;
        let mut locked = Vec::new();
        for link in &chain {
            let copy = link.copies.iter().find(|it| it.place == self.place().name());
            let Some(copy) = copy.filter(|it| it.locked_until < Some(until)) else { continue };
            self.place().lock(&copy.location, until)?;
            locked.push((link.id, until));
        }
        Ok(locked)
    }

    /// Gives up an upload that is not needed any more.
    fn give_up(&self, upload: Option<&str>) -> Result<()> {
        let Some(upload) = upload else { return Ok(()) };
        self.place().abort(&self.plan, upload)?;
        Ok(self.context.catalog.begin_upload(self.id(), self.place().name(), None).wait()?)
    }

    /// Sends what has not arrived yet, and makes the archive visible. Returns all parts, and how many bytes were sent;
    /// `None`: there is an archive already.
    fn send(&self, job: &CopyJob) -> Result<Option<(Vec<SentPart>, u64)>> {
        presence::require_archives(self.context)?;
        // It may have gone from the data directory since.
        let archive = self.context.storage.open_copy(&self.facts.location)?;
        if archive.len() != self.facts.stored_bytes {
            return Err(self.damaged());
        }
        let source = match &self.sealing {
            Some(sealing) => sealing.encrypt(archive),
            None => archive,
        };
        let (mut upload, mut parts) = self.upload(job)?;
        let (mut content, mut sent) = (Content::new(self.sealing.as_ref()), 0);
        let paced: Arc<dyn ReadAt> = Arc::new(Paced {
            source: Arc::clone(&source),
            pace: Arc::clone(&self.target.pace),
            cancel: self.context.cancel.clone(),
        });
        for number in 1..=saturating_u32(self.plan.parts()) {
            let sha256 = self.hash(&*source, number, &mut content)?;
            match parts.get(saturating_usize(u64::from(number) - 1)) {
                Some(part) if part.sha256 == sha256 => continue,
                Some(_other) => return Err(self.damaged()),
                None => {}
            }
            // In the hours in which nothing is copied there, what has arrived waits.
            if !self.target.is_open(self.context.clock.now()) {
                return Err(JobError::Cancelled);
            }
            let tag =
                upload.send(number, &sha256, &paced).map_err(|error| self.cancelled_or(error))?;
            let (start, length) = self.plan.range(number);
            sent += length;
            let part = SentPart { number, tag, sha256 };
            parts.push(part.clone());
            let (catalog, name) = (&self.context.catalog, self.place().name());
            catalog.part_sent(self.id(), name, part, start.saturating_add(length)).wait()?;
            failpoint::at("copy-after-part");
        }
        if !content.is(&self.facts).map_err(|error| self.not_encrypted(error))? {
            return Err(self.damaged());
        }
        // Only of the commit this speaks of the archive itself.
        match upload.commit() {
            Err(StorageError::Exists { .. }) => return Ok(None),
            done => done.map_err(|error| self.cancelled_or(error))?,
        }
        failpoint::at("copy-after-commit");
        Ok(Some((parts, sent)))
    }

    /// The upload of an earlier attempt, if it is still there, or else a new one; and the parts that have arrived.
    fn upload(&self, job: &CopyJob) -> Result<(Box<dyn Upload>, Vec<SentPart>)> {
        let (catalog, place) = (&self.context.catalog, self.place());
        if let Some((upload, _)) = &job.upload {
            match place.resume(&self.plan, upload, job.parts.clone()) {
                Err(error) if error.is_not_found() => {}
                resumed => return Ok((resumed?, job.parts.clone())),
            }
        }
        if let Some(sealing) = &self.sealing {
            sealing.keep(self.context, self.id(), place.name())?;
        }
        let upload = place.begin(&self.plan)?;
        let begun = Some((upload.clone(), self.plan.part_bytes));
        catalog.begin_upload(self.id(), place.name(), begun).wait()?;
        failpoint::at("copy-after-begin");
        Ok((place.resume(&self.plan, &upload, Vec::new())?, Vec::new()))
    }

    /// The SHA-256 of a part, which also goes into the hash of all.
    fn hash(&self, source: &dyn ReadAt, number: u32, all: &mut Content) -> Result<[u8; 32]> {
        let mut hasher = Sha256::new();
        let (range, mut fed) = (self.plan.range(number), Ok(()));
        each_piece(source, range, PIECE, &self.context.cancel, |piece| {
            hasher.update(piece);
            if fed.is_ok() {
                fed = all.feed(piece);
            }
        })
        .map_err(|source| self.cancelled_or(self.unreadable(source)))?;
        fed.map_err(|error| self.not_encrypted(error))?;
        Ok(hasher.finalize().into())
    }

    fn not_encrypted(&self, error: EncryptionError) -> JobError {
        StorageError::Encryption { what: self.plan.location.to_string(), source: error }.into()
    }

    /// The archive that lies in the place. What this or an earlier attempt sent is read with the key that it was sent with,
    /// anything else with those that the place is read with.
    fn open_copy(&self, is_ours: bool) -> Result<Arc<dyn ReadAt>, JobError> {
        let (place, location) = (self.place(), &self.plan.location);
        let opened = match &self.sealing {
            Some(sealing) if is_ours => sealing.open(place, location),
            _ => place.open(&self.facts.location),
        };
        opened.map_err(|error| match error {
            StorageError::Encryption { source, .. } if !source.is_damage() => {
                unreadable(self.id(), location, place.name())
            }
            error => error.into(),
        })
    }

    /// Reads the copy back; `None`: it is not what was sent. `is_ours`: it was sent by this or an earlier attempt.
    fn read_back(&self, is_ours: bool) -> Result<Option<CopyProof>> {
        let copy = match self.open_copy(is_ours) {
            Err(error) if error.is_damage() => return Ok(None),
            opened => opened?,
        };
        if copy.len() != self.facts.stored_bytes {
            return Ok(None);
        }
        let mut hasher = blake3::Hasher::new();
        let all = (0, copy.len());
        let read = each_piece(&*copy, all, READ_BACK, &self.context.cancel, |piece| {
            hasher.update(piece);
        });
        match read {
            // It does not decrypt.
            Err(error) if error.kind() == io::ErrorKind::InvalidData => return Ok(None),
            read => read.map_err(|source| self.cancelled_or(self.unreadable(source)))?,
        }
        let same = hasher.finalize().to_hex().as_str() == self.facts.checksum;
        Ok(same.then_some(CopyProof::ReadBack))
    }

    fn unreadable(&self, source: io::Error) -> StorageError {
        StorageError::Io { action: "reading", what: self.plan.location.to_string(), source }
    }

    fn cancelled_or(&self, error: StorageError) -> JobError {
        if self.context.cancel.is_cancelled() { JobError::Cancelled } else { error.into() }
    }

    fn damaged(&self) -> JobError {
        let id = self.id();
        JobError::BadCopy(format!(
            "the archive of backup {id} in the data directory is not what was proven, so it is not copied: coffer verify {id}"
        ))
    }
}

/// Reads a range from front to back, until cancelled.
fn each_piece(
    source: &dyn ReadAt,
    (mut at, mut left): (u64, u64),
    most: u64,
    cancel: &Cancel,
    mut take: impl FnMut(&[u8]),
) -> io::Result<()> {
    let mut buffer = vec![0; saturating_usize(left.min(most))];
    while left > 0 {
        if cancel.is_cancelled() {
            return Err(io::Error::other("cancelled"));
        }
        let length = saturating_usize(left.min(most));
        let piece = buffer.get_mut(..length).unwrap_or_default();
        source.read_exact_at(piece, at)?;
        take(piece);
        at = at.saturating_add(to_u64(length));
        left = left.saturating_sub(to_u64(length));
    }
    Ok(())
}

/// An archive that is read no faster than it may be sent, and no further than until cancelled.
#[derive(Debug)]
struct Paced {
    source: Arc<dyn ReadAt>,
    pace: Arc<Pace>,
    cancel: Cancel,
}

impl ReadAt for Paced {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.pace.wait_for_turn(to_u64(buffer.len()), &self.cancel);
        if self.cancel.is_cancelled() {
            return Err(io::Error::other("cancelled"));
        }
        self.source.read_exact_at(buffer, offset)
    }

    fn len(&self) -> u64 {
        self.source.len()
    }
}
