//! The keys of a PostgreSQL `source`.

use std::path::PathBuf;

use crate::domain::Source;
use crate::engine::EngineError;
pub(super) use crate::engine::server_source::Method;
use crate::engine::server_source::{ServerKind, ServerOrRestored, ServerSource, texts};
use crate::engine::source_path::invalid;

pub(super) const ENGINE: &str = "postgresql";

const KIND: ServerKind = ServerKind {
    engine: ENGINE,
    schemes: &["postgresql", "postgres"],
    default_port: 5432,
    default_socket: "/run/postgresql",
    own_keys: &["method", "databases"],
};

/// A parsed source.
#[derive(Debug, Clone)]
pub(super) struct Options {
    source: ServerOrRestored,
    pub(super) method: Method,
    /// For a logical backup: only these databases; if empty, all.
    pub(super) databases: Vec<String>,
}

impl Options {
    /// Parses `source`; an error names the key that is wrong.
    pub(super) fn parse(source: &Source) -> Result<Self, EngineError> {
        let server = ServerSource::parse(source, &KIND)?;
        let method = Method::parse(source)?.unwrap_or(Method::Physical);
        let databases = texts(source, "databases")?;
        if method == Method::Physical && source.0.contains_key("databases") {
            return Err(invalid(
                "source.databases requires method = \"logical\": a physical backup holds them all",
            ));
        }
        Ok(Self { source: server, method, databases })
    }

    pub(super) fn server(&self) -> Result<ServerSource, EngineError> {
        self.source.clone().into_server(&KIND)
    }
}

/// `source.tools`, if the source is a server and names it.
pub(super) fn tools_of(source: Option<&Source>) -> Option<PathBuf> {
    Options::parse(source?).ok()?.server().ok()?.tools
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn parse(value: Value) -> Result<Options, String> {
        Options::parse(&serde_json::from_value(value).unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn the_method_is_physical_by_default() {
        assert_eq!(parse(json!({"user": "u"})).unwrap().method, Method::Physical);
        let logical = json!({"user": "u", "method": "logical", "databases": ["a", "b"]});
        let options = parse(logical).unwrap();
        assert_eq!((options.method, options.databases.len()), (Method::Logical, 2));
    }

    #[test]
    fn invalid_and_conflicting_keys_are_refused() {
        for (source, word) in [
            (json!({"user": "u", "method": "magic"}), "source.method"),
            (json!({"user": "u", "databases": ["a"]}), "logical"),
            (json!({"user": "u", "method": "logical", "databases": "a"}), "list"),
        ] {
            let message = parse(source).unwrap_err();
            assert!(message.contains(word), "{message}");
        }
    }
}
