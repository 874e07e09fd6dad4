//! A physical dump: a copy of the server's files, prepared and then read as a tree.

use std::collections::BTreeMap;
use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::Instant;

use serde_json::Value;

use super::client::Client;
use super::copied_settings::{self, SETTINGS_FILE};
use super::data_files::{self, NO_DATABASE};
use super::facts::Facts;
use super::far_files;
use super::faults::classify;
use super::left_out::{not_copied, settings_files};
use super::login::Login;
use super::mbstream::{self, UnpackError};
use super::options::Options;
use super::owned::Owned;
use super::programs::Maker;
use crate::domain::{CheckLevel, FailureCode, LeftOut};
use crate::engine::directory::Directory;
use crate::engine::tool::Tool;
use crate::engine::{
    DumpFacts, DumpRequest, Engine as _, EngineError, Intake, Result, source_path, spool,
};

/// The memory of the tool that prepares the copy.
const PREPARE_MEMORY: &str = "--use-memory=64M";

/// After a power cut the copy is thrown away, so nothing of it needs to reach the disk.
const PREPARE_FLUSH: &str = "--innodb-flush-method=nosync";

/// Reads the server's files through the page cache: the kernel reads ahead of the tool. By default the tool bypasses
/// the cache and waits for the disk for every MiB, which takes half as long again. What the server writes directly
/// is seen all the same: Linux drops the cached range before and after a direct write, and a page read half
/// written has a wrong checksum and is read again. The tool always reads the redo log like this.
const COPY_FLUSH: &str = "--innodb-flush-method=fsync";

/// How many files are copied at once.
const COPY_THREADS: &str = "--parallel=2";

/// The tool's file that describes the copy.
const CHECKPOINTS: &str = "xtrabackup_checkpoints";

/// The tool's file with the position in the binary log, if there is one.
const BINLOG_INFO: &str = "xtrabackup_binlog_info";

/// Copies, prepares and reads the data directory. The copy is in a folder in `request.scratch` that is removed in any
/// case; after a power cut, the next start removes it.
pub(super) fn dump(
    options: &Options,
    (client, facts): (&Client, &Facts),
    request: &DumpRequest<'_>,
    intake: &mut dyn Intake,
) -> Result<DumpFacts> {
    let bytes = data_files::data_bytes(options, facts)?;
    spool::require_free(request.scratch, facts.staging_bytes(bytes), "the prepared copy")?;
    let datadir = std::fs::metadata(&facts.datadir)
        .map_err(|error| EngineError::io("reading", &facts.datadir, error))?;
    let staging = tempfile::Builder::new()
        .prefix(".coffer-mariadb-")
        .permissions(Permissions::from_mode(0o700))
        .tempdir_in(request.scratch)
        .map_err(|error| spool::scratch(request.scratch, error))?;

    let began = Instant::now();
    let others = far_files::others(&facts.datadir)?;
    copy(options, request, staging.path(), &facts.datadir)?;
    let mut left_out = far_files::collect(client, staging.path(), &facts.datadir)?;
    let is_copied = |path: &Path| staging.path().join(path).exists();
    left_out.extend(far_files::passed_over(&others, &facts.datadir, is_copied));
    left_out.extend(not_copied(client)?);
    left_out.extend(settings_files(client, facts)?);
    let keys = copied_settings::keep_inside(staging.path())?;
    let copied = began.elapsed();
    prepare(options, request, staging.path())?;
    if facts.ignores_case() {
        copied_settings::ignore_case(staging.path())?;
    }
    let prepared = began.elapsed().saturating_sub(copied);

    let mut kept = facts.for_manifest();
    add_copy_facts(staging.path(), &mut kept)?;
    let source = source_path::source_at(staging.path());
    let mut owned = Owned::new(intake, (datadir.uid(), datadir.gid()), staging.path());
    let request_of_copy =
        DumpRequest { source: &source, trust_stamps: false, parent_check: None, ..*request };
    let tree = Directory.dump(&request_of_copy, &mut owned)?;
    check_unchanged(&tree, staging.path())?;
    for name in ["files", "bytes"] {
        if let Some(count) = tree.facts.get(name) {
            kept.insert(name.to_owned(), count.clone());
        }
    }
    log::info!(
        "{}: copied in {} ms, prepared in {} ms, archived in {} ms",
        options.brand.kind().engine,
        copied.as_millis(),
        prepared.as_millis(),
        began.elapsed().saturating_sub(copied + prepared).as_millis()
    );
    let mut found = DumpFacts {
        version: facts.version.clone(),
        facts: kept,
        // The tool verifies the checksum of each InnoDB page that it copies, and fails if one stays wrong.
        check: (request.check != CheckLevel::Off).then(|| "page_checksums".to_owned()),
        ..DumpFacts::default()
    };
    for LeftOut { what, why, .. } in left_out.into_iter().chain(keys) {
        found.leave_out(what, why);
    }
    Ok(found)
}

fn copy(
    options: &Options,
    request: &DumpRequest<'_>,
    staging: &Path,
    datadir: &Path,
) -> Result<()> {
    let login = Login::new(options, Maker::MariaDb)?;
    let shown = options.shown();
    let mut stream = login
        .apply(Tool::new(&options.programs().backup()?))
        .args(["--backup", COPY_THREADS, COPY_FLUSH, "--stream=mbstream"])
        .option("--target-dir=", staging)
        .args(
            datadir
                .join(NO_DATABASE)
                .exists()
                .then(|| format!("--databases-exclude={NO_DATABASE}")),
        )
        .args(options.server.extra_args.clone())
        .stream(request.cancel)
        .map_err(|error| classify(error, &shown))?;
    match mbstream::unpack(&mut stream, staging, datadir) {
        Ok(()) => stream.finish().map_err(|error| classify(error, &shown)),
        Err(UnpackError::Stream(error)) => Err(classify(stream.explain(error), &shown)),
        Err(UnpackError::Folder(path, error)) => Err(spool::scratch(&path, error)),
    }
}

fn prepare(options: &Options, request: &DumpRequest<'_>, staging: &Path) -> Result<()> {
    Tool::new(&options.programs().backup()?)
        .option("--defaults-file=", staging.join(SETTINGS_FILE))
        .args(["--prepare", PREPARE_MEMORY, PREPARE_FLUSH])
        .option("--target-dir=", staging)
        .run(request.cancel)
        .map_err(|error| classify(error, &format!("preparing the copy of {}", options.shown())))
}

/// Makes sure that the copy is prepared, and adds its log positions to the facts.
fn add_copy_facts(staging: &Path, facts: &mut BTreeMap<String, Value>) -> Result<()> {
    let path = staging.join(CHECKPOINTS);
    let text =
        std::fs::read_to_string(&path).map_err(|error| EngineError::io("reading", &path, error))?;
    let value = |key: &str| {
        let mut lines = text.lines().filter_map(|line| line.split_once('='));
        lines.find(|(name, _)| name.trim() == key).map(|(_, value)| value.trim())
    };
    if value("backup_type") != Some("log-applied") {
        return Err(EngineError::known(
            FailureCode::Tool,
            format!("mariadb-backup succeeded, but {CHECKPOINTS} does not say log-applied: {text}"),
        ));
    }
    if let Some(lsn) = value("last_lsn") {
        facts.insert("lsn".to_owned(), Value::from(lsn));
    }
    if let Ok(position) = std::fs::read_to_string(staging.join(BINLOG_INFO)) {
        let position: Vec<&str> = position.split_whitespace().collect();
        facts.insert("binlog_position".to_owned(), Value::from(position.join(" ")));
    }
    Ok(())
}

/// The copy belongs to Coffer: nothing else may have changed it while it was read.
/// Its folders do change, because each file is removed once it was read.
fn check_unchanged(tree: &DumpFacts, staging: &Path) -> Result<()> {
    let Some(changed) = tree.left_out.iter().find(|it| !staging.join(&it.what).is_dir()) else {
        return Ok(());
    };
    Err(EngineError::known(
        FailureCode::Internal,
        format!(
            "the prepared copy changed while it was read: does another program write into Coffer's folder for \
             temporary files? {changed}"
        ),
    ))
}
