//! The two names this engine goes by.

use crate::engine::server_source::Dialect;

/// Which server it is, by the engine's name in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Brand {
    /// MariaDB: copied physically, or dumped.
    MariaDb,
    /// MySQL: dumped.
    MySql,
}

impl Brand {
    /// The engine's name.
    pub(super) const fn engine(self) -> &'static str {
        match self {
            Self::MariaDb => "mariadb",
            Self::MySql => "mysql",
        }
    }

    /// What its sources look like.
    pub(super) const fn dialect(self) -> Dialect {
        Dialect {
            engine: self.engine(),
            schemes: &["mariadb", "mysql"],
            port: 3306,
            socket: "/run/mysqld/mysqld.sock",
            more: &["method"],
        }
    }
}
