//! How PostgreSQL's tools connect: by their environment, never by their arguments. And how they quote names.

use std::ffi::OsString;
use std::path::Path;

use crate::engine::Result;
use crate::engine::server_source::{Address, ServerSource, Tls};
use crate::engine::tool::{Secret, Tool};

/// The name of a socket file, before its port.
const SOCKET_FILE: &str = ".s.PGSQL.";

/// The database that every server has unless somebody dropped it.
pub(super) const DEFAULT_DATABASE: &str = "postgres";

/// The database to connect to in a private server: `postgres` may have been dropped.
const PRIVATE_DATABASE: &str = "template1";

/// Overrides what a server, a database or a role sets for sessions and would change what is read. Amounts of money are
/// written and read in one format.
const READING: &str = "-c search_path=pg_catalog -c statement_timeout=0 \
     -c idle_in_transaction_session_timeout=0 -c lc_monetary=C";

/// Keeps a database from setting another role for its sessions.
const NO_ROLE: &str = " -c role=none";

/// Only a superuser may set these: without them, pages that are damaged could be taken for empty ones.
const NO_ZEROES: &str = " -c zero_damaged_pages=off -c ignore_checksum_failure=off";

/// Overrides what a database or a role sets for its sessions and would keep a dump from being loaded.
const OWN_SESSION: &str = "-c role=none -c default_transaction_read_only=off \
     -c default_transaction_deferrable=off -c statement_timeout=0 -c lc_monetary=C \
     -c array_nulls=on -c intervalstyle=postgres -c default_tablespace= \
     -c idle_in_transaction_session_timeout=0 -c local_preload_libraries=";

/// The same in a private server, where nothing may wait for a lock, and nothing of the user's may come first in a
/// search path.
const PRIVATE_SESSION: &str = " -c lock_timeout=20s -c session_preload_libraries= \
     -c search_path=pg_catalog -c default_transaction_isolation=read\\ committed -c row_security=on \
     -c exit_on_error=off -c temp_file_limit=-1";

/// The variable with what a session is asked to set.
const OPTIONS: &str = "PGOPTIONS";

/// The variable with the file of the certificate authorities.
const AUTHORITIES: &str = "PGSSLROOTCERT";

/// Where Debian and most others keep the certificate authorities that the system trusts.
const SYSTEM_AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Where and as whom to connect.
#[derive(Debug, Clone)]
pub(super) struct Login {
    environment: Vec<(&'static str, OsString)>,
    password: Option<Secret>,
    database: String,
    pub(super) user: Option<String>,
    /// Connects by a socket of this machine.
    pub(super) local: bool,
    /// To a server that Coffer runs.
    pub(super) private: bool,
}

impl Login {
    pub(super) fn to_server(server: &ServerSource) -> Result<Self> {
        let mut login = Self {
            environment: address_variables(&server.address),
            password: server.password()?,
            database: server.database.clone().unwrap_or_else(|| DEFAULT_DATABASE.to_owned()),
            user: server.user.clone(),
            local: matches!(server.address, Address::Socket(_)),
            private: false,
        };
        let mode = match server.tls {
            Tls::Off => "disable",
            Tls::Prefer => "prefer",
            Tls::Require => "require",
            Tls::VerifyCa => "verify-ca",
            Tls::VerifyFull => "verify-full",
        };
        login.environment.push(("PGSSLMODE", mode.into()));
        let files = server.tls_files([AUTHORITIES, "PGSSLCERT", "PGSSLKEY"]);
        login.environment.extend(files.map(|(name, file)| (name, file.into())));
        if server.ca_file.is_none() && matches!(server.tls, Tls::VerifyCa | Tls::VerifyFull) {
            login.environment.push((AUTHORITIES, SYSTEM_AUTHORITIES.into()));
        }
        Ok(login)
    }

    /// The same login, whose sessions keep none of the settings of a database or a role that would change what they
    /// read. `own_role`: but the role's own setting of another role.
    pub(super) fn for_reading(&self, own_role: bool, superuser: bool) -> Self {
        let mut options = READING.to_owned();
        options.push_str(if own_role { "" } else { NO_ROLE });
        options.push_str(if superuser { NO_ZEROES } else { "" });
        self.with_options(&options)
    }

    /// The same login, whose sessions keep none of the settings of a database or a role that would keep a dump from
    /// being loaded.
    pub(super) fn for_loading(&self) -> Self {
        self.with_options(OWN_SESSION)
    }

    /// The same login, whose sessions have this search path from the start.
    pub(super) fn with_search_path(&self, path: &str) -> Self {
        let mut options = OsString::new();
        for (_, value) in self.environment.iter().filter(|(name, _)| *name == OPTIONS) {
            options.clone_from(value);
        }
        options.push(" -c search_path=");
        for it in path.chars() {
            options.push(if it == '\\' || it.is_ascii_whitespace() { "\\" } else { "" });
            options.push(it.encode_utf8(&mut [0; 4]));
        }
        let mut login = self.clone();
        login.environment.push((OPTIONS, options));
        login
    }

    fn with_options(&self, options: &str) -> Self {
        let mut login = self.clone();
        login.environment.push((OPTIONS, options.into()));
        login
    }

    /// To a private server of version `major`, by its socket in `folder`.
    pub(super) fn to_private(folder: &Path, user: &str, major: u32) -> Self {
        let mut environment = address_variables(&Address::Socket(folder.to_owned()));
        let mut options = format!("{OWN_SESSION}{NO_ZEROES}{PRIVATE_SESSION}");
        for (since, option) in
            [(14, " -c idle_session_timeout=0"), (17, " -c transaction_timeout=0")]
        {
            if major >= since {
                options.push_str(option);
            }
        }
        environment.push((OPTIONS, options.into()));
        Self {
            environment,
            password: None,
            database: PRIVATE_DATABASE.to_owned(),
            user: Some(user.to_owned()),
            local: true,
            private: true,
        }
    }

    pub(super) fn in_database(&self, name: &str) -> Self {
        Self { database: name.to_owned(), ..self.clone() }
    }

    /// The database as a connection string, for tools that take it only as an argument.
    pub(super) fn connection_string(&self) -> String {
        let name = self.database.replace('\\', "\\\\").replace('\'', "\\'");
        format!("dbname='{name}'")
    }

    pub(super) fn apply_env(&self, tool: Tool) -> Tool {
        let mut tool = tool
            .env("PGDATABASE", &self.database)
            .env("PGCONNECT_TIMEOUT", "10")
            .env("PGAPPNAME", "coffer");
        for (name, value) in &self.environment {
            tool = tool.env(name, value);
        }
        if let Some(user) = &self.user {
            tool = tool.env("PGUSER", user);
        }
        match &self.password {
            Some(password) => tool.secret_env("PGPASSWORD", password),
            None => tool,
        }
    }
}

pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text quoted for SQL, on one line.
pub(super) fn literal(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('\'', "''");
    format!("E'{}'", text.replace('\n', "\\n").replace('\r', "\\r"))
}

/// Host and port as libpq expects them. A socket may be given by its folder or by its file.
fn address_variables(address: &Address) -> Vec<(&'static str, OsString)> {
    match address {
        Address::Tcp { host, port } => {
            vec![("PGHOST", host.into()), ("PGPORT", port.to_string().into())]
        }
        Address::Socket(path) => {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            match (name.strip_prefix(SOCKET_FILE), path.parent()) {
                (Some(port), Some(folder)) => {
                    vec![("PGHOST", folder.into()), ("PGPORT", port.into())]
                }
                _ => vec![("PGHOST", path.into()), ("PGPORT", "5432".into())],
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_a_folder_or_the_file_in_it() {
        for (path, folder, port) in [
            ("/run/postgresql", "/run/postgresql", "5432"),
            ("/run/postgresql/.s.PGSQL.5433", "/run/postgresql", "5433"),
        ] {
            let found = address_variables(&Address::Socket(path.into()));
            assert_eq!(found, [("PGHOST", folder.into()), ("PGPORT", port.into())]);
        }
    }

    #[test]
    fn quotes_in_a_name_are_doubled() {
        assert_eq!(quoted(r#"a"b"#), r#""a""b""#);
    }

    #[test]
    fn a_database_name_is_escaped_in_a_connection_string() {
        let login = Login::to_private(Path::new("/s"), "u", 15).in_database(r"a'b\c d");
        assert_eq!(login.connection_string(), r"dbname='a\'b\\c d'");
    }
}
