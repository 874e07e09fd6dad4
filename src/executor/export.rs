//! Any backup of a chain as one full archive, to be taken elsewhere.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::NamedTempFile;

use crate::archive::{
    self, BackupDescription, Chain, Consolidated, Finished, Manifest, ManifestDraft, Reader,
    Writer, WriterOptions,
};
use crate::domain::{BackupId, Cancel, Clock as _, Kind, Location, SystemClock, Timestamp};
use crate::storage::OpenFile;

use super::chain::job_error;
use super::facts::unpacked;
use super::restore::engine_of;
use super::{JobError, OnProgress, Result, Settings, facts};

/// Writes the last backup of `chain` to a full archive, proves it, and only then names it `to`. An existing
/// file is never replaced.
pub fn export(
    chain: &Chain,
    to: &Path,
    settings: &Settings,
    cancel: &Cancel,
    progress: OnProgress<'_>,
) -> Result<Finished> {
    let failed = |action: &'static str| {
        move |source| JobError::Io { action, what: to.display().to_string(), source }
    };
    if to.exists() {
        let why = "it exists, and an export never replaces anything; export to another place";
        let exists = io::Error::new(io::ErrorKind::AlreadyExists, why);
        return Err(failed("exporting to")(exists));
    }
    let folder: PathBuf = match to.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    let file = NamedTempFile::with_prefix_in(".coffer-export-", &folder)
        .map_err(failed("exporting to"))?;
    let engine = engine_of(chain)?;
    let options = WriterOptions {
        workers: settings.compression_threads,
        level: settings.compression_level,
        page_bytes: engine.page_bytes(),
        order: chain.last().manifest().index.order,
    };
    let manifest = chain.last().manifest();
    let copy = FullCopy {
        id: manifest.backup.id,
        file_name: &quoted_name(to),
        is_encrypted: false,
        finished: SystemClock.now(),
        consolidated: None,
    };
    let (draft, text) = draft(manifest, copy);
    let total = manifest.totals.content_bytes;
    let mut writer = Writer::full(file, &options, &text)?;
    chain.export(&mut writer, &|done| progress(done, total)).map_err(job_error)?;
    let (file, finished) = writer.finish(draft)?;
    file.as_file().sync_all().map_err(failed("syncing"))?;
    let bytes = file.reopen().and_then(OpenFile::new).map_err(failed("reading back"))?;
    let reader = Arc::new(Reader::open(Arc::new(bytes), cancel)?);
    archive::prove(&reader, None, &finished, settings.compression_threads, &|_done| ())?;
    file.persist_noclobber(to).map_err(|error| failed("naming")(error.error))?;
    File::open(&folder).and_then(|folder| folder.sync_all()).map_err(failed("syncing"))?;
    Ok(finished)
}

/// The name of a file as a shell reads it.
fn quoted_name(file: &Path) -> String {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    format!("'{}'", name.replace('\'', "'\\''"))
}

/// What distinguishes a full copy of a backup from that one.
pub(super) struct FullCopy<'a> {
    pub(super) id: BackupId,
    /// What its archive will be named, as commands of a shell write it.
    pub(super) file_name: &'a str,
    pub(super) is_encrypted: bool,
    pub(super) finished: Timestamp,
    pub(super) consolidated: Option<Consolidated>,
}

/// The manifest and the restore text of a full copy of this backup.
pub(super) fn draft(manifest: &Manifest, copy: FullCopy<'_>) -> (ManifestDraft, String) {
    let FullCopy { id, file_name, is_encrypted, finished, consolidated } = copy;
    let old_name = Location::file_name(manifest.backup.id, Kind::Full);
    let command = |line: &String| {
        let line = line.replace(&unpacked(&old_name, true), &unpacked(&old_name, false));
        let new = unpacked(file_name, is_encrypted);
        line.replace(&unpacked(&old_name, false), &new).replace(&old_name, file_name)
    };
    let commands: Vec<String> = manifest.restore.iter().map(command).collect();
    let text = facts::plain_restore_text(&id.to_string(), &commands);
    let draft = ManifestDraft {
        backup: BackupDescription { id, parent_id: None, ..manifest.backup.clone() },
        datastore: manifest.datastore.clone(),
        started: manifest.started,
        finished,
        source: manifest.source.clone(),
        restore: commands,
        consolidated: consolidated.or_else(|| manifest.consolidated.clone()),
        final_text: facts::with_left_out(&text, &facts::left_out(manifest)),
    };
    (draft, text)
}
