//! Another disk, or a mounted file server, as a place for copies. It is laid out like a data directory, so that one
//! can be read as a place as well:
//!
//! ```text
//! <path>/archives/  copies, below <project>/[<container>/]<instance>/
//!        tmp/       uploads in progress
//!        trash/     what is just being removed
//!        data.id    which disk this is
//!        owner.id   which data directory copies to it
//! ```
//!
//! An empty mount point has no `data.id`, so nothing is copied onto it.

use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::RwLock;
use uuid::Uuid;

use crate::domain::num::saturating_usize;
use crate::domain::{BackupId, Location, ReadAt, SentPart, Timestamp, shell_word};

use super::local::{LocalSettings, PendingFile};
use super::{
    Local, Observation, Pending as _, Place, Result, Storage as _, StorageError, StoredArchive,
    Upload, UploadPlan, Vouched,
};

/// How much is read and written at once.
const PIECE: u64 = 1 << 20;

/// Which folder, and what must not be taken for it.
#[derive(Debug, Clone)]
pub struct DiskSettings {
    pub name: String,
    pub path: PathBuf,
    /// The data directory, on whose disk a first copy is not made. `None`: it may be.
    pub apart_from: Option<PathBuf>,
    pub local: LocalSettings,
}

#[derive(Debug)]
pub struct Disk {
    pub(super) settings: DiskSettings,
    local: Local,
    /// Which disk it has to be.
    expected: RwLock<Option<String>>,
}

impl Disk {
    /// A folder, which need not exist: nothing is opened or made yet.
    pub fn new(settings: DiskSettings) -> Result<Self> {
        let local = Local::existing(&settings.path, settings.local.clone())?;
        Ok(Self { settings, local, expected: RwLock::default() })
    }

    fn not_in_place(&self, why: impl Into<String>) -> StorageError {
        StorageError::NotInPlace { what: self.settings.path.display().to_string(), why: why.into() }
    }

    /// Fails if the folder is missing, or on the disk of the data directory.
    fn require_apart(&self) -> Result<()> {
        let path = &self.settings.path;
        let device = |path: &Path| std::fs::metadata(path).map(|it| it.dev());
        let own = device(path).map_err(|error| self.not_in_place(error.to_string()))?;
        let Some(data_dir) = &self.settings.apart_from else { return Ok(()) };
        if device(data_dir).is_ok_and(|theirs| theirs == own) {
            return Err(self.not_in_place(
                "this is on the same disk as data_dir, where a copy protects from little (same_disk = true in its \
                 [[places]] allows that)",
            ));
        }
        Ok(())
    }

    /// Fails unless copies may be made here at all.
    fn require_no_data_dir(&self) -> Result<()> {
        self.require_expected()?;
        let path = &self.settings.path;
        if path.join("catalog.db").exists() {
            let what = path.display().to_string();
            let why = "is a data directory, and no place for copies".to_owned();
            let mend = "set path in its [[places]] to a folder of its own".to_owned();
            return Err(StorageError::Untrusted { what, why, mend });
        }
        Ok(())
    }

    /// Fails if this is not the disk that it has to be.
    fn require_expected(&self) -> Result<()> {
        let found = self.identity()?;
        match &*self.expected.read() {
            Some(expected) if found.as_ref() != Some(expected) => {
                let what = self.settings.path.display().to_string();
                Err(StorageError::other_disk(what, expected, found.as_deref()))
            }
            _ => Ok(()),
        }
    }

    fn attempt_of(&self, upload: &str) -> Result<u32> {
        upload.parse().map_err(|_other| StorageError::NotFound {
            what: format!("the upload {upload:?} in {}", self.settings.path.display()),
        })
    }
}

impl Place for Disk {
    fn name(&self) -> &str {
        &self.settings.name
    }

    fn open(&self, location: &Location) -> Result<Arc<dyn ReadAt>> {
        match self.local.open(location) {
            Err(error) => self.require_expected().and(Err(error)),
            opened => opened,
        }
    }

    fn stat(&self, location: &Location) -> Result<Option<StoredArchive>> {
        match self.local.stat(location) {
            Ok(Some(found)) => Ok(Some(found)),
            other => self.require_expected().and(other),
        }
    }

    fn list(&self) -> Result<Vec<StoredArchive>> {
        self.require_expected()?;
        self.local.list()
    }

    fn remove(&self, location: &Location) -> Result<()> {
        self.require_expected()?;
        self.local.remove_at_once(location)
    }

    fn begin(&self, plan: &UploadPlan) -> Result<String> {
        let attempt = fastrand::u32(..);
        let mut file = self.local.create_upload(plan.backup, attempt)?;
        file.allocate(plan.bytes)?;
        file.leave();
        Ok(attempt.to_string())
    }

    fn resume(
        &self,
        plan: &UploadPlan,
        upload: &str,
        sent: Vec<SentPart>,
    ) -> Result<Box<dyn Upload>> {
        let written = sent.last().map_or(0, |part| {
            let (start, length) = plan.range(part.number);
            start.saturating_add(length)
        });
        let attempt = self.attempt_of(upload)?;
        let mut file = self.local.resume_upload(plan.backup, attempt, written)?;
        file.allocate(plan.bytes.saturating_sub(written))?;
        Ok(Box::new(DiskUpload { plan: plan.clone(), file: Some(file) }))
    }

    fn abort(&self, plan: &UploadPlan, upload: &str) -> Result<()> {
        match self.local.resume_upload(plan.backup, self.attempt_of(upload)?, 0) {
            // Dropped, it is removed.
            Ok(file) => drop(file),
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn sweep(&self, known: &[(BackupId, String)], before: Timestamp) -> Result<usize> {
        if self.identity()?.is_none() {
            return Ok(0);
        }
        self.local.sweep_uploads(known, before)
    }

    fn checksum(&self, _plan: &UploadPlan, _parts: &[SentPart]) -> Result<Option<Vouched>> {
        Ok(None)
    }

    fn try_out(&self) -> Result<Vec<Observation>> {
        let path = &self.settings.path;
        self.require_apart()?;
        let mut found = Vec::new();
        if self.identity()?.is_none() {
            let text = format!("{} is empty; the first copy makes it a place", path.display());
            found.push(Observation::Good(text));
        } else {
            let backup = BackupId::generate();
            let mut file = self.local.create_upload(backup, 0)?;
            let what = || format!("a file in {}", path.join("tmp").display());
            file.write_all(b"probe").map_err(|source| StorageError::Io {
                action: "writing",
                what: what(),
                source,
            })?;
            file.sync()?;
            let text = format!("{}: writing and fsync work", path.display());
            found.push(Observation::Good(text));
        }
        let mode = std::fs::metadata(path).map(|it| it.mode() & 0o7777);
        if let Some(mode) = mode.ok().filter(|mode| mode & 0o077 != 0) {
            found.push(Observation::Warning(
                format!("{} is open to others (mode {mode:o})", path.display()),
                format!("archives hold whole databases: chmod 0700 {}", shell_word(path)),
            ));
        }
        Ok(found)
    }

    fn reach(&self) -> Result<()> {
        self.identity().map(drop)
    }

    fn is_local(&self) -> bool {
        true
    }

    fn expect(&self, identity: &str) {
        *self.expected.write() = Some(identity.to_owned());
    }

    fn owner(&self) -> Result<Option<Uuid>> {
        self.require_apart()?;
        Local::owner_id(&self.settings.path)
    }

    fn claim(&self, owner: Uuid) -> Result<()> {
        self.require_no_data_dir()?;
        match self.local.make_owner_id(owner)? {
            known if known == owner => Ok(()),
            other => Err(StorageError::OfAnother {
                what: self.settings.path.display().to_string(),
                key: "path",
                name: self.settings.name.clone(),
                own: owner,
                other,
            }),
        }
    }

    fn take_over(&self, owner: Uuid) -> Result<()> {
        self.require_no_data_dir()?;
        self.local.replace_owner_id(owner)
    }

    fn identity(&self) -> Result<Option<String>> {
        self.require_apart()?;
        Ok(Local::data_id(&self.settings.path)?.map(|id| id.to_string()))
    }

    fn establish(&self) -> Result<Option<String>> {
        self.require_apart()?;
        self.local.make_folders_of_place()?;
        Ok(Some(self.local.make_data_id()?.to_string()))
    }
}

/// A file in `tmp/`, which stays there unless it is published.
#[derive(Debug)]
struct DiskUpload {
    plan: UploadPlan,
    file: Option<PendingFile>,
}

impl DiskUpload {
    fn gone(&self) -> StorageError {
        StorageError::NotFound { what: format!("the upload of {}", self.plan.location) }
    }
}

impl Upload for DiskUpload {
    fn send(
        &mut self,
        number: u32,
        _sha256: &[u8; 32],
        source: &Arc<dyn ReadAt>,
    ) -> Result<String> {
        let (mut at, mut left) = self.plan.range(number);
        let what = self.plan.location.to_string();
        let gone = self.gone();
        let file = self.file.as_mut().ok_or(gone)?;
        let failed = |action, source| StorageError::Io { action, what: what.clone(), source };
        let mut buffer = vec![0; saturating_usize(left.min(PIECE))];
        while left > 0 {
            let length = left.min(PIECE);
            let piece = buffer.get_mut(..saturating_usize(length)).unwrap_or_default();
            source.read_exact_at(piece, at).map_err(|error| failed("reading", error))?;
            file.write_all(piece).map_err(|error| failed("copying", error))?;
            at = at.saturating_add(length);
            left = left.saturating_sub(length);
        }
        Ok(number.to_string())
    }

    fn commit(mut self: Box<Self>) -> Result<()> {
        let gone = self.gone();
        let mut file = self.file.take().ok_or(gone)?;
        file.sync()?;
        // Whoever reads it back is to read the disk: this drops it from the cache.
        drop(file.reopen()?);
        Box::new(file).publish(&self.plan.location, self.plan.made)
    }
}

impl Drop for DiskUpload {
    fn drop(&mut self) {
        if let Some(file) = self.file.take() {
            file.leave();
        }
    }
}
