//! The keys of a PostgreSQL `source`.

use crate::domain::Source;
use crate::engine::EngineError;
pub(super) use crate::engine::server_source::Method;
use crate::engine::server_source::{LOGICAL, PHYSICAL, ServerKind, ServerSource, texts};
use crate::engine::source_path::invalid;

pub(super) const KIND: ServerKind = ServerKind {
    engine: "postgresql",
    schemes: &["postgresql", "postgres"],
    default_port: 5432,
    default_socket: "/run/postgresql",
    methods: &[PHYSICAL, LOGICAL],
    own_keys: &["databases"],
    check,
};

fn check(server: &ServerSource, source: &Source) -> Result<(), EngineError> {
    databases(source)?;
    if server.method == Method::Physical && source.0.contains_key("databases") {
        return Err(invalid(
            "source.databases requires method = \"logical\": a physical backup holds them all",
        ));
    }
    Ok(())
}

/// For a logical backup: only these databases; if empty, all.
pub(super) fn databases(source: &Source) -> Result<Vec<String>, EngineError> {
    texts(source, "databases")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn parse(value: Value) -> Result<Method, String> {
        let server = KIND.server(&serde_json::from_value(value).unwrap());
        server.map(|it| it.method).map_err(|error| error.to_string())
    }

    #[test]
    fn the_method_is_physical_by_default() {
        assert_eq!(parse(json!({"user": "u"})), Ok(Method::Physical));
        let logical = json!({"user": "u", "method": "logical", "databases": ["a", "b"]});
        assert_eq!(parse(logical), Ok(Method::Logical));
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
