//! The two names of this engine.

use crate::engine::server_source::ServerKind;

/// Which server it is, by the engine's name in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Brand {
    /// Backed up by its files or by dumps.
    MariaDb,
    /// Backed up by dumps only.
    MySql,
}

impl Brand {
    pub(super) const fn engine(self) -> &'static str {
        match self {
            Self::MariaDb => "mariadb",
            Self::MySql => "mysql",
        }
    }

    pub(super) const fn kind(self) -> ServerKind {
        ServerKind {
            engine: self.engine(),
            schemes: &["mariadb", "mysql"],
            default_port: 3306,
            default_socket: "/run/mysqld/mysqld.sock",
            own_keys: &["method"],
        }
    }
}
