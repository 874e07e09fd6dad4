//! The keys of a PostgreSQL `source`.

use crate::domain::Source;
use crate::engine::Result;
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

fn check(server: &ServerSource, source: &Source) -> Result<()> {
    databases(source)?;
    if server.method == Method::Physical && source.0.contains_key("databases") {
        return Err(invalid(
            "source.databases requires method = \"logical\": a physical backup holds them all",
        ));
    }
    Ok(())
}

/// For a logical backup: only these databases; if empty, all.
pub(super) fn databases(source: &Source) -> Result<Vec<String>> {
    texts(source, "databases")
}
