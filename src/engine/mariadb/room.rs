//! The room that a copy of a data directory needs.

use std::path::Path;

use serde_json::Value;

use super::facts::Facts;
use super::options::Options;
use crate::domain::{FailureCode, Source};
use crate::engine::directory::Directory;
use crate::engine::{Engine as _, EngineError, source_path, spool};

/// Room beside the data itself: what the server writes while it is copied, and what preparing needs.
const BESIDE: u64 = 16 << 20;

/// The files in a data directory that are not copied, by the beginning of their names: they are made anew
/// when a server starts.
const NOT_COPIED: [&str; 5] = ["ib_logfile", "ibtmp", "ib_buffer_pool", "#innodb_temp", "tc.log"];

/// Makes sure that the data directory is on this machine and may be read; gives about how many bytes of it
/// will be copied. `mariadb-backup` reads the files itself and asks the server for nothing but its locks.
pub(super) fn data_bytes(options: &Options, facts: &Facts) -> Result<u64, EngineError> {
    let folder = &facts.datadir;
    let failed = |error: &std::io::Error| not_here(options, facts, error);
    let listed = std::fs::read_dir(folder).map_err(|error| failed(&error))?;
    let binlog = facts.binlog.strip_prefix(folder).ok().map(Path::as_os_str);
    let binlog = binlog.map(|it| it.to_string_lossy().into_owned()).filter(|it| !it.is_empty());
    let mut left_out = Vec::new();
    for entry in listed {
        let name = entry.map_err(|error| failed(&error))?.file_name();
        let Some(name) = name.to_str() else { continue };
        let is_log = binlog.as_deref().is_some_and(|it| name.starts_with(it));
        if is_log || NOT_COPIED.iter().any(|it| name.starts_with(it)) {
            left_out.push(Value::from(name));
        }
    }
    let mut source: Source = source_path::source_at(folder);
    source.0.insert("exclude".to_owned(), left_out.into());
    match Directory.probe(&source) {
        Ok(probe) => Ok(probe.source_bytes),
        Err(EngineError::Known { code: FailureCode::SourceDenied, message }) => {
            Err(failed(&std::io::Error::other(message)))
        }
        Err(error) => Err(error),
    }
}

fn not_here(options: &Options, facts: &Facts, error: &std::io::Error) -> EngineError {
    let folder = facts.datadir.display();
    let uid = rustix::process::geteuid().as_raw();
    let (code, next) = if error.kind() == std::io::ErrorKind::NotFound {
        let next = "mariadb-backup copies the files itself and so runs on the server's own machine; for a \
                    server elsewhere set method = \"logical\""
            .to_owned();
        (FailureCode::SourceMissing, next)
    } else {
        let next = format!(
            "mariadb-backup copies the files itself: give the user that runs Coffer (uid {uid}) the right \
             to read them, with `usermod -aG mysql USER` and `chmod -R g+rX {folder}`, or `setfacl -R -m \
             u:{uid}:rX,d:u:{uid}:rX {folder}`; or set method = \"logical\""
        );
        (FailureCode::SourceDenied, next)
    };
    let shown = options.shown();
    EngineError::known(code, format!("the data directory {folder} of {shown}: {error}; {next}"))
}

/// Fails if the copy would not fit into `scratch`.
pub(super) fn ensure(scratch: &Path, data: u64, redo: u64) -> Result<(), EngineError> {
    let free = spool::free_bytes(scratch)?;
    let needed = data.saturating_add(redo).saturating_add(BESIDE);
    if free >= needed {
        return Ok(());
    }
    Err(EngineError::known(
        FailureCode::DiskFull,
        format!(
            "the prepared copy in {} needs about {} MiB and {} MiB are free there: make room, or set \
             method = \"logical\", which needs room for one database's dump at a time",
            scratch.display(),
            needed.div_ceil(1 << 20),
            free >> 20
        ),
    ))
}
