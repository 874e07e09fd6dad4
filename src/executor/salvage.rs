//! Restoring what can be had of an archive whose index, manifest or end is lost.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::archive::{self, ArchiveError, Counts, Lost, Manifest, Unindexed};
use crate::domain::{Cancel, Entry, EntryPath, Kind, LeftOut, ReadAt, WriteAt};
use crate::engine::{self, Load, LoadRequest, Owners, Placed, Target, printable};
use crate::storage::OpenFile;

use super::facts::INCREMENTAL;
use super::restore::RestoreError;
use super::{JobError, OnProgress, Result};

/// The engine whose restore is a folder of whatever files there are.
const FOLDER_ENGINE: &str = "directory";

#[derive(Debug, Clone, PartialEq)]
pub struct SalvageReport {
    pub target: PathBuf,
    pub counts: Counts,
    /// Ranges that are zeros, of files that were restored.
    pub lost: Vec<Lost>,
    /// Ranges of restored files that nothing vouches for, not even a checksum.
    pub unchecked: Vec<Lost>,
    /// What is missing without that its name is known.
    pub missing: Vec<String>,
    /// What was found and could not be created.
    pub left_out: Vec<LeftOut>,
    /// What the archive says it is: the first line of its `RESTORE.txt`.
    pub about: String,
    pub manifest: Option<Manifest>,
}

/// Opens an archive file whose content cannot be trusted.
pub fn open_bytes(path: &Path) -> Result<Arc<dyn ReadAt>> {
    let what = path.display().to_string();
    match std::fs::File::open(path).and_then(OpenFile::new) {
        Ok(file) => Ok(Arc::new(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(JobError::NoSuchFile(what)),
        Err(source) => Err(JobError::Io { action: "opening", what, source }),
    }
}

/// Restores the files of a full archive without its index, into the new folder `path`: whatever its frames hold from
/// the first on. Nothing is left where nothing could be had.
pub fn salvage(
    file: Arc<dyn ReadAt>,
    path: &Path,
    cancel: &Cancel,
    progress: OnProgress<'_>,
) -> Result<SalvageReport> {
    let engine = engine::find(FOLDER_ENGINE).ok_or(JobError::Bug("no engine for folders"))?;
    let target = Target::Path(path);
    let request = LoadRequest { target, source: None, owners: Owners::FromArchive, cancel };
    let mut maker = Maker { load: engine.load(&request)?, last: None, left_out: Vec::new() };
    let total = file.len();
    let found = archive::salvage_unindexed(file, |entry| maker.make(entry), cancel, &|done| {
        progress(done, total);
    });
    let found = found.map_err(|error| error.job_error(path))?;
    require_content(&found)?;
    let Maker { load, mut left_out, .. } = maker;
    let Placed::At(target) = load.finish_salvaged()?.place(&mut left_out)? else {
        return Err(JobError::Bug("a folder was restored into a server"));
    };
    let about = found.about.lines().next().unwrap_or_default().to_owned();
    let Unindexed { counts, lost, unchecked, missing, manifest, .. } = found;
    Ok(SalvageReport { target, counts, lost, unchecked, missing, left_out, about, manifest })
}

/// Creates the entries of an archive that nothing vouches for.
struct Maker {
    load: Box<dyn Load>,
    last: Option<EntryPath>,
    left_out: Vec<LeftOut>,
}

impl Maker {
    /// Creates an entry; one that contradicts those before it is left out.
    fn make(&mut self, entry: &Entry) -> Result<Option<Arc<dyn WriteAt>>, RestoreError> {
        let is_again = self.last.as_ref() == Some(&entry.path);
        let made = if is_again { self.load.entry_again(entry) } else { self.load.entry(entry) };
        self.last = Some(entry.path.clone());
        match made {
            Err(error) if error.failure().is_some_and(|it| it.code.is_damage()) => {
                self.left_out.push(LeftOut::new(printable(&entry.path), error.to_string()));
                self.last = None;
                Ok(None)
            }
            made => Ok(made?),
        }
    }
}

/// Fails if there is nothing to restore, and says what else to do.
fn require_content(found: &Unindexed) -> Result<()> {
    let manifest = found.manifest.as_ref();
    let is_incremental = found.has_patches
        || found.about.starts_with(INCREMENTAL)
        || manifest.is_some_and(|it| it.kind == Kind::Incremental);
    let parent = manifest.and_then(|it| it.backup.parent_id);
    let why = if is_incremental {
        let parent = match parent {
            Some(id) => format!("restore backup {id}, which it is built on"),
            None => "restore the backup that it is built on".to_owned(),
        };
        format!(
            "its index is lost, and of an incremental backup nothing can be had without: {parent}"
        )
    } else if found.counts.entries == 0 {
        "its index is lost, and not one member could be found in it".to_owned()
    } else {
        return Ok(());
    };
    Err(JobError::Archive(ArchiveError::Damaged { backup: None, what: why }))
}
