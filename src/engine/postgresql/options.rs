//! The keys of `source` that are PostgreSQL's own.

use std::path::PathBuf;

use crate::domain::Source;
use crate::engine::EngineError;
pub(super) use crate::engine::server_source::Method;
use crate::engine::server_source::{Dialect, ServerSource, Whence, nobody_serves, texts};
use crate::engine::source_path::invalid;

/// The engine's name.
pub(super) const ENGINE: &str = "postgresql";

const DIALECT: Dialect = Dialect {
    engine: ENGINE,
    schemes: &["postgresql", "postgres"],
    port: 5432,
    socket: "/run/postgresql",
    more: &["method", "databases"],
};

/// A source, understood.
#[derive(Debug, Clone)]
pub(super) struct Options {
    pub(super) whence: Whence,
    pub(super) method: Method,
    /// Of a logical backup: these databases only; empty: all.
    pub(super) databases: Vec<String>,
}

impl Options {
    /// Understands `source`, or names the key that it does not.
    pub(super) fn parse(source: &Source) -> Result<Self, EngineError> {
        let whence = ServerSource::parse(source, &DIALECT)?;
        let method = Method::of(source)?.unwrap_or(Method::Physical);
        let databases = texts(source, "databases")?;
        if method == Method::Physical && source.0.contains_key("databases") {
            return Err(invalid(
                "source.databases goes with method = \"logical\": a physical backup holds them all",
            ));
        }
        Ok(Self { whence, method, databases })
    }

    /// The server to ask.
    pub(super) fn server(&self) -> Result<&ServerSource, EngineError> {
        match &self.whence {
            Whence::Server(server) => Ok(server),
            Whence::Restored(path) => Err(nobody_serves(ENGINE, path)),
        }
    }
}

/// `source.tools` of a source that may be no server at all.
pub(super) fn tools_of(source: Option<&Source>) -> Option<PathBuf> {
    let options = Options::parse(source?).ok()?;
    options.server().ok()?.tools.clone()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn parse(value: Value) -> Result<Options, String> {
        Options::parse(&serde_json::from_value(value).unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn the_method_is_physical_unless_it_says_logical() {
        assert_eq!(parse(json!({"user": "u"})).unwrap().method, Method::Physical);
        let logical = json!({"user": "u", "method": "logical", "databases": ["a", "b"]});
        let found = parse(logical).unwrap();
        assert_eq!((found.method, found.databases.len()), (Method::Logical, 2));
    }

    #[test]
    fn what_does_not_go_together_is_named() {
        for (source, word) in [
            (json!({"user": "u", "method": "magic"}), "source.method"),
            (json!({"user": "u", "databases": ["a"]}), "logical"),
            (json!({"user": "u", "method": "logical", "databases": "a"}), "list"),
        ] {
            let said = parse(source).unwrap_err();
            assert!(said.contains(word), "{said}");
        }
    }
}
