//! A physical dump: `pg_basebackup`, its tar streams taken apart.

use std::ffi::OsString;
use std::fs::File;
use std::path::Path;
use std::time::Instant;

use serde_json::Value;
use tempfile::TempDir;

use super::cluster::Cluster;
use super::faults;
use super::look::ServerLook;
use super::manifest::Told;
use super::members::{Broken, Members, Part};
use super::options::Method;
use super::session::Session;
use crate::domain::{CheckLevel, FailureCode};
use crate::engine::spool::{free_bytes, scratch};
use crate::engine::tool::Tool;
use crate::engine::{DumpFacts, DumpOrder, EngineError, Intake, Refused};

/// Tar in, the WAL of the time between begin and end inside. A check of page checksums is the tool's
/// default, and stays it.
const ARGUMENTS: [&str; 7] = [
    "--format=tar",
    "--wal-method=fetch",
    "--checkpoint=fast",
    "--no-password",
    "--no-sync",
    "--label=coffer",
    "--manifest-checksums=CRC32C",
];

/// Reads the server's files.
pub(super) fn dump(
    session: &Session,
    order: &DumpOrder<'_>,
    intake: &mut dyn Intake,
) -> Result<DumpFacts, EngineError> {
    let look = session.look(order.cancel)?;
    super::rights::physical(&look)?;
    let program = session.toolbox.client("pg_basebackup", look.major())?;
    intake.expect(look.base_bytes())?;
    let cluster = Cluster::of(&look, Method::Physical);
    let compares = order.check != CheckLevel::Off;
    let tool = || {
        let tool = session.login.dress(Tool::new(&program)).args(ARGUMENTS);
        tool.args(session.extra_args.iter().map(OsString::from))
    };
    let mut members = Members::new(intake, &cluster, compares);
    if look.tablespaces.is_empty() {
        streamed(tool(), order, &mut members)
    } else {
        staged(tool(), order, &look, &mut members)
    }
    .map_err(|error| faults::sorted(error, &session.login))?;
    let stopwatch = Instant::now();
    let told = members.finish()?;
    unmoved(session, order, &look)?;
    Ok(facts(&look, &told, compares, stopwatch))
}

/// Without tablespaces, everything comes in one stream.
fn streamed(
    tool: Tool,
    order: &DumpOrder<'_>,
    members: &mut Members<'_>,
) -> Result<(), EngineError> {
    let mut stream = tool.args(["--pgdata=-"]).stream(order.cancel)?;
    match members.take(&mut stream, Part::Base) {
        Ok(()) => Ok(stream.finish()?),
        Err(Broken::Read(error)) => Err(stream.explain(error)),
        Err(Broken::Engine(error)) => Err(error),
    }
}

/// With tablespaces, `pg_basebackup` insists on writing a file for each.
fn staged(
    tool: Tool,
    order: &DumpOrder<'_>,
    look: &ServerLook,
    members: &mut Members<'_>,
) -> Result<(), EngineError> {
    enough_room(order.scratch, look.base_bytes())?;
    let folder = staging(order.scratch)?;
    let mut named = OsString::from("--pgdata=");
    named.push(folder.path());
    tool.arg(named).run(order.cancel)?;
    let mut take = |name: &str, part: Part| {
        let path = folder.path().join(name);
        let opened = File::open(&path).map_err(|error| unread(&path, &error))?;
        let mut content = Watched { file: opened, order };
        members.take(&mut content, part).map_err(|broken| explained(&path, broken))?;
        // What was taken needs no room any more.
        std::fs::remove_file(&path).map_err(|error| scratch(folder.path(), error))
    };
    take("base.tar", Part::Base)?;
    for oid in look.tablespaces.keys() {
        take(&format!("{oid}.tar"), Part::Tablespace(*oid))?;
    }
    let path = folder.path().join("backup_manifest");
    let mut manifest = File::open(&path).map_err(|error| unread(&path, &error))?;
    let size = manifest.metadata().map_err(|error| unread(&path, &error))?.len();
    members.take_manifest(&mut manifest, size).map_err(|broken| explained(&path, broken))?;
    folder.close().map_err(|error| scratch(order.scratch, error))
}

/// A folder for `pg_basebackup` to write into: removed on every path.
fn staging(scratch_folder: &Path) -> Result<TempDir, EngineError> {
    tempfile::Builder::new()
        .prefix("pg_basebackup-")
        .tempdir_in(scratch_folder)
        .map_err(|error| scratch(scratch_folder, error))
}

/// Says no before a server with tablespaces is copied to where there is no room for it.
fn enough_room(folder: &Path, bytes: u64) -> Result<(), EngineError> {
    let free = free_bytes(folder)?;
    if free >= bytes {
        return Ok(());
    }
    Err(EngineError::known(
        FailureCode::DiskFull,
        format!(
            "a server with tablespaces is copied to {} first, which takes {bytes} bytes, and {free} are \
             free there; make room, or set method = \"logical\"",
            folder.display()
        ),
    ))
}

/// A file that nobody reads on once the job is cancelled.
struct Watched<'a> {
    file: File,
    order: &'a DumpOrder<'a>,
}

impl std::io::Read for Watched<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.order.cancel.is_cancelled() {
            return Err(std::io::Error::other(Refused));
        }
        self.file.read(buffer)
    }
}

fn unread(path: &Path, error: &std::io::Error) -> EngineError {
    EngineError::known(
        FailureCode::Tool,
        format!("pg_basebackup ended well, but {} cannot be read: {error}", path.display()),
    )
}

fn is_refusal(error: &std::io::Error) -> bool {
    error.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<Refused>)
}

fn explained(path: &Path, broken: Broken) -> EngineError {
    match broken {
        Broken::Engine(error) => error,
        Broken::Read(error) if is_refusal(&error) => Refused.into(),
        Broken::Read(error) => unread(path, &error),
    }
}

/// A tablespace that was made while the backup ran is in its WAL with the place of the original: a server
/// started on the restored files would write there.
fn unmoved(
    session: &Session,
    order: &DumpOrder<'_>,
    before: &ServerLook,
) -> Result<(), EngineError> {
    if session.look(order.cancel)?.tablespaces == before.tablespaces {
        return Ok(());
    }
    Err(EngineError::known(
        FailureCode::SourceChanged,
        "a tablespace was made, moved or dropped while the backup ran; try again",
    ))
}

fn facts(look: &ServerLook, told: &Told, compared: bool, since: Instant) -> DumpFacts {
    let mut facts = look.facts();
    facts.insert("method".to_owned(), Value::from("physical"));
    facts.insert("files".to_owned(), Value::from(told.files));
    if let (Some(first), Some(last)) = (told.wal.first(), told.wal.last()) {
        facts.insert("timeline".to_owned(), Value::from(last.timeline));
        facts.insert("start_lsn".to_owned(), Value::from(first.start.as_str()));
        facts.insert("stop_lsn".to_owned(), Value::from(last.end.as_str()));
    }
    DumpFacts {
        version: look.short_version().to_owned(),
        facts,
        check: compared.then(|| "backup manifest checksums".to_owned()),
        check_ms: since.elapsed().as_millis().try_into().unwrap_or_default(),
        ..DumpFacts::default()
    }
}
