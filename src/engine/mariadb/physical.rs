//! A copy of the server's files, prepared and poured.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::Instant;

use serde_json::Value;
use tempfile::TempDir;

use super::fault;
use super::login::Login;
use super::mbstream::{self, Broken};
use super::options::Options;
use super::owned::Owned;
use super::probe::{Reached, reach};
use super::programs::Maker;
use super::room;
use crate::domain::{CheckLevel, FailureCode, Source};
use crate::engine::directory::Directory;
use crate::engine::tool::Tool;
use crate::engine::{DumpFacts, DumpOrder, Engine as _, EngineError, Intake, source_path, spool};

/// The memory a copy is prepared in: the tool's own, beside Coffer's.
const PREPARE_MEMORY: &str = "--use-memory=64M";

/// A copy that is not whole after a power cut is thrown away: nothing of it need reach the disk.
const PREPARE_FLUSH: &str = "--innodb-flush-method=nosync";

/// The server's files are read through the page cache, ahead of the tool, which asks for one MiB after another
/// and lets the kernel forget what it has read. Past the cache, its own default, each MiB waits for the disk: half
/// as long again. The server's direct writes are seen all the same: Linux drops what is cached of a range before
/// and after it is written directly, `write(2)` ending only then, and a page met half written has a wrong checksum
/// and is read again. The tool itself reads the redo log so, however the server writes that.
const COPY_FLUSH: &str = "--innodb-flush-method=fsync";

/// How many files are copied at once.
const COPIED_AT_ONCE: &str = "--parallel=2";

/// Where `mariadb-backup` says what a copy is.
const CHECKPOINTS: &str = "xtrabackup_checkpoints";

/// Where it says how far the binary log was, if there is one.
const BINLOG_INFO: &str = "xtrabackup_binlog_info";

/// Copies, prepares and pours the data directory. The copy lies in a folder of its own in `order.scratch`,
/// which is removed whatever happens; after a power cut the next start does it.
pub(super) fn dump(
    options: &Options,
    order: &DumpOrder<'_>,
    intake: &mut dyn Intake,
) -> Result<DumpFacts, EngineError> {
    let Reached { facts, .. } = reach(options, order.cancel)?;
    let bytes = room::data_bytes(options, &facts)?;
    room::ensure(order.scratch, bytes, facts.redo_bytes)?;
    let theirs = std::fs::metadata(&facts.datadir)
        .map_err(|error| EngineError::io("looking at", &facts.datadir, error))?;
    let staging = staging(order.scratch)?;

    let began = Instant::now();
    copy(options, order, staging.path(), &facts.datadir)?;
    let copied = began.elapsed();
    prepare(options, order, staging.path())?;
    let prepared = began.elapsed().saturating_sub(copied);

    let mut kept = facts.kept();
    note_copy(staging.path(), &mut kept)?;
    let source = source_path::source_at(staging.path());
    let mut owned = Owned::new(intake, (theirs.uid(), theirs.gid()), staging.path());
    let poured = Directory.dump(&reading(order, &source), &mut owned)?;
    untouched(&poured)?;
    for name in ["files", "bytes"] {
        if let Some(count) = poured.facts.get(name) {
            kept.insert(name.to_owned(), count.clone());
        }
    }
    log::info!(
        "{}: copied in {} ms, prepared in {} ms, poured in {} ms",
        options.brand.engine(),
        copied.as_millis(),
        prepared.as_millis(),
        began.elapsed().saturating_sub(copied + prepared).as_millis()
    );
    Ok(DumpFacts {
        version: facts.version,
        facts: kept,
        // The tool compares the checksum of each InnoDB page it copies, and gives up if one stays wrong.
        check: (order.check != CheckLevel::Off).then(|| "page_checksums".to_owned()),
        ..DumpFacts::default()
    })
}

/// The same order, for an engine that reads the staged copy.
const fn reading<'a>(order: &DumpOrder<'a>, source: &'a Source) -> DumpOrder<'a> {
    DumpOrder {
        source,
        instance_name: order.instance_name,
        check: order.check,
        scratch: order.scratch,
        trust_stamps: false,
        parent_check: None,
        cancel: order.cancel,
    }
}

fn staging(scratch: &Path) -> Result<TempDir, EngineError> {
    tempfile::Builder::new()
        .prefix("mariadb-")
        .permissions(Permissions::from_mode(0o700))
        .tempdir_in(scratch)
        .map_err(|error| spool::scratch(scratch, error))
}

fn copy(
    options: &Options,
    order: &DumpOrder<'_>,
    staging: &Path,
    datadir: &Path,
) -> Result<(), EngineError> {
    let login = Login::new(options, Maker::MariaDb)?;
    let shown = options.shown();
    let mut stream = login
        .give_to(Tool::new(&options.programs().backup()?))
        .args(["--backup", COPIED_AT_ONCE, COPY_FLUSH, "--stream=mbstream"])
        .arg(target_dir(staging))
        .args(options.server.extra_args.clone())
        .stream(order.cancel)
        .map_err(|error| fault::explain(error, &shown))?;
    match mbstream::unpack(&mut stream, staging, datadir) {
        Ok(()) => stream.finish().map_err(|error| fault::explain(error, &shown)),
        Err(Broken::Stream(error)) => Err(fault::reconsider(stream.explain(error), &shown)),
        Err(Broken::Folder(path, error)) => Err(spool::scratch(&path, error)),
    }
}

fn prepare(options: &Options, order: &DumpOrder<'_>, staging: &Path) -> Result<(), EngineError> {
    Tool::new(&options.programs().backup()?)
        .args(["--no-defaults", "--prepare", PREPARE_MEMORY, PREPARE_FLUSH])
        .arg(target_dir(staging))
        .run(order.cancel)
        .map_err(|error| {
            fault::explain(error, &format!("preparing the copy of {}", options.shown()))
        })
}

fn target_dir(staging: &Path) -> OsString {
    let mut target = OsString::from("--target-dir=");
    target.push(staging);
    target
}

/// Makes sure that the copy is prepared, and takes down where it stands.
fn note_copy(staging: &Path, kept: &mut BTreeMap<String, Value>) -> Result<(), EngineError> {
    let path = staging.join(CHECKPOINTS);
    let text =
        std::fs::read_to_string(&path).map_err(|error| EngineError::io("reading", &path, error))?;
    let word = |key: &str| {
        let lines = text.lines().filter_map(|line| line.split_once('='));
        lines.filter(|(name, _)| name.trim() == key).map(|(_, value)| value.trim()).next()
    };
    if word("backup_type") != Some("log-applied") {
        return Err(EngineError::known(
            FailureCode::Tool,
            format!(
                "mariadb-backup ended well and yet {CHECKPOINTS} does not say log-applied: {text}"
            ),
        ));
    }
    if let Some(lsn) = word("last_lsn") {
        kept.insert("lsn".to_owned(), Value::from(lsn));
    }
    if let Ok(position) = std::fs::read_to_string(staging.join(BINLOG_INFO)) {
        let position: Vec<&str> = position.split_whitespace().collect();
        kept.insert("binlog_position".to_owned(), Value::from(position.join(" ")));
    }
    Ok(())
}

/// The copy is Coffer's own: nobody may have changed it while it was read.
fn untouched(poured: &DumpFacts) -> Result<(), EngineError> {
    if poured.changed_while_read.is_empty() && poured.passed_over.is_empty() {
        return Ok(());
    }
    Err(EngineError::known(
        FailureCode::Internal,
        "somebody changed the prepared copy while it was read: is something else at work in Coffer's own \
         folder for temporary files?",
    ))
}
