//! The keys `path`, and `url` for a path that is not UTF-8.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{Access, AtFlags};
use serde_json::Value;

use super::{EngineError, Result};
use crate::domain::{FailureCode, Source};
use crate::file_url;

pub(super) fn invalid(message: impl Into<String>) -> EngineError {
    EngineError::known(FailureCode::SourceInvalid, message)
}

/// Fails with the name of the first key that is not in `known`.
pub(super) fn only_keys(engine: &str, source: &Source, known: &[&str]) -> Result<()> {
    match source.0.keys().find(|key| !known.contains(&key.as_str())) {
        None => Ok(()),
        Some(key) => Err(invalid(format!(
            "source has the key {key:?}, which the engine {engine} does not know; its keys are {}",
            known.join(", ")
        ))),
    }
}

/// The path in `path` or `url`, made absolute: SQLite would read a relative name that starts with `file:` as a URI.
pub(super) fn path_of(engine: &str, source: &Source) -> Result<PathBuf> {
    let path = match (source.0.get("path"), source.0.get("url")) {
        (Some(Value::String(path)), None) => PathBuf::from(path),
        (None, Some(Value::String(url))) => file_url::to_path(url).ok_or_else(|| {
            invalid(format!("source.url {url:?} is not of the form file:///path"))
        })?,
        (None, None) => {
            return Err(invalid(format!("source of the engine {engine} needs a path")));
        }
        (Some(_), Some(_)) => return Err(invalid("source has both path and url: keep one")),
        (Some(_), None) => return Err(invalid("source.path must be text")),
        (None, Some(_)) => return Err(invalid("source.url must be text")),
    };
    if path.as_os_str().is_empty() || path.as_os_str().as_bytes().contains(&0) {
        return Err(invalid("source.path must not be empty or contain a zero byte"));
    }
    std::path::absolute(&path)
        .map_err(|error| invalid(format!("source.path {}: {error}", path.display())))
}

/// Fails unless the key `path` is absolute and without `..`, as in a configuration it has to be.
pub(super) fn require_absolute(source: &Source) -> Result<()> {
    let Some(path) = source.text("path").map(Path::new) else { return Ok(()) };
    if is_absolute_without_up(path) {
        return Ok(());
    }
    let shown = path.display();
    Err(invalid(format!("source.path {shown} must be absolute and without `..`")))
}

/// Fails unless the file or folder exists and this user may read it. Does not open it.
pub(super) fn require_readable(path: &Path) -> Result<()> {
    rustix::fs::accessat(rustix::fs::CWD, path, Access::READ_OK, AtFlags::EACCESS)
        .map_err(|error| EngineError::io("reading", path, error))
}

pub(super) fn is_absolute_without_up(path: &Path) -> bool {
    path.is_absolute() && !path.components().any(|part| part == Component::ParentDir)
}

pub(super) fn source_at(path: &Path) -> Source {
    match path.to_str() {
        Some(text) => Source::from_path(text),
        None => Source([("url".to_owned(), Value::from(file_url::of_path(path)))].into()),
    }
}
