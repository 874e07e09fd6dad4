//! A physical dump: the tar streams of `pg_basebackup`, taken apart.

use std::fs::File;
use std::path::Path;
use std::time::Instant;

use serde_json::Value;

use super::cluster::Cluster;
use super::manifest::ManifestSummary;
use super::members::{Members, Part};
use super::options::Method;
use super::probe::check_base_backup;
use super::server_info::ServerInfo;
use super::session::Session;
use crate::domain::{CheckLevel, FailureCode};
use crate::engine::pour::PourError;
use crate::engine::spool::{require_free, scratch};
use crate::engine::tool::Tool;
use crate::engine::{DumpFacts, DumpRequest, EngineError, Intake, Result};

/// Tar files that include the WAL written during the backup. Page checksums are verified by default.
const ARGUMENTS: [&str; 7] = [
    "--format=tar",
    "--wal-method=fetch",
    "--checkpoint=fast",
    "--no-password",
    "--no-sync",
    "--label=coffer",
    "--manifest-checksums=CRC32C",
];

pub(super) fn dump(
    session: &Session,
    info: &ServerInfo,
    request: &DumpRequest<'_>,
    intake: &mut dyn Intake,
) -> Result<DumpFacts> {
    check_base_backup(info)?;
    let tool = session.client.tool("pg_basebackup", info.major())?;
    let tool = tool.args(ARGUMENTS).args(session.server.extra_args.iter().cloned());
    intake.announce(info.base_bytes())?;
    let cluster = Cluster::of(info, Method::Physical);
    let compare = request.check != CheckLevel::Off;
    let mut settings = info.settings(&session.client)?.unwrap_or_default();
    settings.retain(|file| !file.in_data);
    let mut members = Members::new(intake, &cluster, &settings, compare);
    if info.tablespaces.is_empty() {
        read_stream(tool, request, &mut members)
    } else {
        read_files(tool, request, info, &mut members)
    }
    .map_err(|error| session.client.classify(error))?;
    let stopwatch = Instant::now();
    let mut left_out = members.left_out(&info.role);
    left_out.extend(info.left_out());
    let summary = members.finish()?;
    if ServerInfo::query(&session.client)?.tablespaces != info.tablespaces {
        // The WAL in the backup would create the new tablespace at the place of the original.
        return Err(EngineError::known(
            FailureCode::SourceChanged,
            "a tablespace was created, moved or dropped while the backup ran; try again",
        ));
    }
    let mut facts = facts(info, &summary, compare, stopwatch);
    for it in left_out {
        facts.leave_out(it.what, it.why);
    }
    Ok(facts)
}

/// Without tablespaces, everything is in one stream.
fn read_stream(tool: Tool, request: &DumpRequest<'_>, members: &mut Members<'_>) -> Result<()> {
    let mut stream = tool.arg("--pgdata=-").stream(request.cancel)?;
    match members.read(&mut stream, Part::Base) {
        Ok(()) => Ok(stream.finish()?),
        Err(PourError::Read(error)) => Err(stream.explain(error)),
        Err(PourError::Stopped(stop)) => Err(stop.into()),
    }
}

/// With tablespaces, `pg_basebackup` insists on writing a file for each, into a temporary folder.
fn read_files(
    tool: Tool,
    request: &DumpRequest<'_>,
    info: &ServerInfo,
    members: &mut Members<'_>,
) -> Result<()> {
    require_free(request.scratch, info.base_bytes(), "the copy of a server with tablespaces")?;
    let folder = tempfile::Builder::new()
        .prefix(".coffer-pg_basebackup-")
        .tempdir_in(request.scratch)
        .map_err(|error| scratch(request.scratch, error))?;
    tool.option("--pgdata=", folder.path()).run(request.cancel)?;
    let mut read = |name: &str, part: Part| {
        let path = folder.path().join(name);
        let mut file = File::open(&path).map_err(|error| unreadable(&path, &error))?;
        let read = members.read(&mut file, part);
        read.map_err(|failed| failed.explain(|error| unreadable(&path, &error)))?;
        std::fs::remove_file(&path).map_err(|error| scratch(folder.path(), error))
    };
    read("base.tar", Part::Base)?;
    for oid in info.tablespaces.keys() {
        read(&format!("{oid}.tar"), Part::Tablespace(*oid))?;
    }
    let path = folder.path().join("backup_manifest");
    let mut manifest = File::open(&path).map_err(|error| unreadable(&path, &error))?;
    let size = manifest.metadata().map_err(|error| unreadable(&path, &error))?.len();
    let read = members.read_manifest(&mut manifest, size);
    read.map_err(|failed| failed.explain(|error| unreadable(&path, &error)))?;
    folder.close().map_err(|error| scratch(request.scratch, error))
}

fn unreadable(path: &Path, error: &std::io::Error) -> EngineError {
    EngineError::known(
        FailureCode::Tool,
        format!("pg_basebackup succeeded, but {} cannot be read: {error}", path.display()),
    )
}

fn facts(
    info: &ServerInfo,
    summary: &ManifestSummary,
    compared: bool,
    since: Instant,
) -> DumpFacts {
    let mut facts = info.facts();
    facts.insert("method".to_owned(), Value::from("physical"));
    facts.insert("files".to_owned(), Value::from(summary.files));
    if let (Some(first), Some(last)) = (summary.wal.first(), summary.wal.last()) {
        facts.insert("timeline".to_owned(), Value::from(last.timeline));
        facts.insert("start_lsn".to_owned(), Value::from(first.start.as_str()));
        facts.insert("stop_lsn".to_owned(), Value::from(last.end.as_str()));
    }
    DumpFacts {
        version: info.short_version().to_owned(),
        facts,
        check: compared.then(|| "backup manifest checksums".to_owned()),
        check_ms: since.elapsed().as_millis().try_into().unwrap_or_default(),
        ..DumpFacts::default()
    }
}
