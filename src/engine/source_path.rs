//! The keys `path`, and `url` for a path that is not UTF-8.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use serde_json::Value;

use super::EngineError;
use crate::domain::{FailureCode, Source};
use crate::file_url;

/// The failure of a source that is not valid.
pub(super) fn invalid(message: impl Into<String>) -> EngineError {
    EngineError::known(FailureCode::SourceInvalid, message)
}

/// Fails with the name of the first key that is not in `known`.
pub(super) fn only_keys(engine: &str, source: &Source, known: &[&str]) -> Result<(), EngineError> {
    match source.0.keys().find(|key| !known.contains(&key.as_str())) {
        None => Ok(()),
        Some(key) => Err(invalid(format!(
            "source has the key {key:?}, which the engine {engine} does not know; its keys are {}",
            known.join(", ")
        ))),
    }
}

/// The path in `path` or `url`, made absolute: SQLite would read a relative name that starts with `file:` as a URI.
pub(super) fn path_of(engine: &str, source: &Source) -> Result<PathBuf, EngineError> {
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
pub(super) fn require_absolute(source: &Source) -> Result<(), EngineError> {
    let Some(path) = source.text("path").map(Path::new) else { return Ok(()) };
    if is_absolute_without_up(path) {
        return Ok(());
    }
    let shown = path.display();
    Err(invalid(format!("source.path {shown} must be absolute and without `..`")))
}

pub(super) fn is_absolute_without_up(path: &Path) -> bool {
    path.is_absolute() && !path.components().any(|part| part == Component::ParentDir)
}

/// A source with this path.
pub(super) fn source_at(path: &Path) -> Source {
    match path.to_str() {
        Some(text) => Source::from_path(text),
        None => Source([("url".to_owned(), Value::from(file_url::of_path(path)))].into()),
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;

    fn source(key: &str, value: impl Into<Value>) -> Source {
        Source([(key.to_owned(), value.into())].into())
    }

    #[test]
    fn a_path_of_any_bytes_survives_the_way_through_a_source() {
        for bytes in [&b"/srv/a b'\"\n%41?#.db"[..], b"/srv/\xff\xfe%/x", b"/", "/ä".as_bytes()] {
            let path = Path::new(OsStr::from_bytes(bytes));
            assert_eq!(path_of("sqlite", &source_at(path)).unwrap(), path, "{path:?}");
            let url = source("url", file_url::of_path(path));
            assert_eq!(path_of("sqlite", &url).unwrap(), path, "{path:?}");
        }
    }

    #[test]
    fn a_source_without_a_usable_path_is_refused_with_the_reason() {
        for (bad, word) in [
            (Source::default(), "needs a path"),
            (source("path", ""), "empty"),
            (source("path", "/a\0b"), "zero byte"),
            (source("path", 7), "text"),
            (source("url", "http:///srv/a"), "file:///path"),
            (source("url", "file://host/a"), "file:///path"),
            (source("url", "file:///a%4"), "file:///path"),
            (source("url", "file:///a%zz"), "file:///path"),
            (source("url", "file:///a%00"), "zero byte"),
        ] {
            let text = path_of("sqlite", &bad).unwrap_err().to_string();
            assert!(text.contains(word), "{text}");
        }
    }

    #[test]
    fn an_unknown_key_is_named() {
        let text =
            only_keys("sqlite", &source("pth", "/x"), &["path", "url"]).unwrap_err().to_string();
        assert!(text.contains("\"pth\"") && text.contains("path, url"), "{text}");
    }
}
