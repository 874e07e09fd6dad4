//! Any backup of a chain as one full archive, to be taken elsewhere.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::NamedTempFile;

use crate::archive::{
    self, Chain, Finished, Manifest, ManifestDraft, Reader, Writer, WriterOptions,
};
use crate::domain::{Cancel, Clock as _, Kind, Location, SystemClock};
use crate::storage::OpenFile;

use super::chain::job_error;
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
    let (draft, text) = draft(chain.last().manifest(), to);
    let total = chain.last().manifest().totals.content_bytes;
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

/// The manifest and the restore text of the same backup as a full one.
fn draft(manifest: &Manifest, to: &Path) -> (ManifestDraft, String) {
    let mut backup = manifest.backup.clone();
    backup.parent_id = None;
    let old_name = Location::file_name(backup.id, Kind::Full);
    let new_name = to.file_name().unwrap_or_default().to_string_lossy();
    let quoted = format!("'{}'", new_name.replace('\'', "'\\''"));
    let commands: Vec<String> =
        manifest.restore.iter().map(|line| line.replace(&old_name, &quoted)).collect();
    let text = facts::plain_restore_text(&backup.id.to_string(), &commands);
    let draft = ManifestDraft {
        backup,
        datastore: manifest.datastore.clone(),
        started: manifest.started,
        finished: SystemClock.now(),
        source: manifest.source.clone(),
        restore: commands,
        final_text: facts::with_left_out(&text, &facts::left_out(manifest)),
    };
    (draft, text)
}
