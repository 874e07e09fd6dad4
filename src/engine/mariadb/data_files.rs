//! The data directory that `mariadb-backup` copies: its size, and the space for a copy.

use std::io;
use std::path::Path;

use serde_json::Value;

use super::facts::Facts;
use super::options::Options;
use crate::domain::{FailureCode, Source, shell_word};
use crate::engine::directory::Directory;
use crate::engine::{Engine as _, EngineError, Result, source_path};

/// The beginnings of the names of files that are not copied: a server creates them when it starts.
const NOT_COPIED: [&str; 5] = ["ib_logfile", "ibtmp", "ib_buffer_pool", "#innodb_temp", "tc.log"];

/// The folder of a filesystem's own in its root, which the server and its tools take for a database.
pub(super) const NO_DATABASE: &str = "lost+found";

/// The approximate size of a copy. Fails if the data directory is not on this machine or cannot be read:
/// `mariadb-backup` reads the files itself.
pub(super) fn data_bytes(options: &Options, facts: &Facts) -> Result<u64> {
    let folder = &facts.datadir;
    let failed = |error: io::Error| unreadable(options, facts, &error);
    let binlog = facts.binlog.strip_prefix(folder).ok().map(Path::as_os_str);
    let binlog = binlog.map(|it| it.to_string_lossy().into_owned()).filter(|it| !it.is_empty());
    let mut excluded = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        let Some(name) = name.to_str() else { continue };
        let is_log = binlog.as_deref().is_some_and(|it| name.starts_with(it));
        if is_log || name == NO_DATABASE || NOT_COPIED.iter().any(|it| name.starts_with(it)) {
            excluded.push(Value::from(name));
        }
    }
    let mut source: Source = source_path::source_at(folder);
    source.0.insert("exclude".to_owned(), excluded.into());
    match Directory.probe(&source) {
        Ok(probe) => Ok(probe.source_bytes),
        Err(EngineError::Known { code: FailureCode::SourceDenied, message }) => {
            Err(failed(io::Error::other(message)))
        }
        Err(error) => Err(error),
    }
}

fn unreadable(options: &Options, facts: &Facts, error: &io::Error) -> EngineError {
    let folder = facts.datadir.display();
    let uid = rustix::process::geteuid().as_raw();
    let (code, advice) = if error.kind() == io::ErrorKind::NotFound {
        let advice = "mariadb-backup copies the files itself, so it must run on the server's machine; for a \
                      server elsewhere set method = \"logical\""
            .to_owned();
        (FailureCode::SourceMissing, advice)
    } else {
        let folder = shell_word(&facts.datadir);
        let advice = format!(
            "mariadb-backup copies the files itself: give the user that runs Coffer (uid {uid}) the right \
             to read them, with `usermod -aG mysql USER` and `chmod -R g+rX {folder}`, or `setfacl -R -m \
             u:{uid}:rX,d:u:{uid}:rX {folder}`; or set method = \"logical\""
        );
        (FailureCode::SourceDenied, advice)
    };
    let server = options.shown();
    EngineError::known(code, format!("the data directory {folder} of {server}: {error}; {advice}"))
}
