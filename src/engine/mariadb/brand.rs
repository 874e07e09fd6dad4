//! The two names of this engine, and the keys of a `source`.

use crate::domain::Source;
use crate::engine::Result;
use crate::engine::server_source::{LOGICAL, Method, PHYSICAL, ServerKind, ServerSource};
use crate::engine::source_path::invalid;

/// Which server it is, by the engine's name in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Brand {
    /// Backed up by its files or by dumps.
    MariaDb,
    /// Backed up by dumps only.
    MySql,
}

impl Brand {
    pub(super) const fn kind(self) -> ServerKind {
        let (engine, methods): (_, &[_]) = match self {
            Self::MariaDb => ("mariadb", &[PHYSICAL, LOGICAL]),
            Self::MySql => ("mysql", &[LOGICAL]),
        };
        ServerKind {
            engine,
            schemes: &["mariadb", "mysql"],
            default_port: 3306,
            default_socket: "/run/mysqld/mysqld.sock",
            methods,
            own_keys: &[],
            check,
        }
    }
}

fn check(server: &ServerSource, _source: &Source) -> Result<()> {
    if server.method == Method::Physical && server.database.is_some() {
        return Err(invalid(
            "source.database names one database, but a physical backup is of the whole server: \
             remove it, or set method = \"logical\"",
        ));
    }
    Ok(())
}
