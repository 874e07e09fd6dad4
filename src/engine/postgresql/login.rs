//! How PostgreSQL's tools are told where to go and who asks: by environment, never by arguments.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::faults;
use super::toolbox::Toolbox;
use crate::domain::{Cancel, FailureCode};
use crate::engine::EngineError;
use crate::engine::server_source::{Address, ServerSource, Tls};
use crate::engine::tool::{Secret, Tool};

/// What a socket's file is called, before its port.
const SOCKET_FILE: &str = ".s.PGSQL.";

/// The database that every server has, unless somebody removed it.
const USUAL_DATABASE: &str = "postgres";

/// The database of a server of our own that is asked about the others: some people drop `postgres`.
const PRIVATE_DATABASE: &str = "template1";

/// What databases and roles of a restored server may have set, and a check cannot use.
const PRIVATE_OPTIONS: &str = "-c statement_timeout=0 -c lock_timeout=0 -c idle_session_timeout=0 \
     -c idle_in_transaction_session_timeout=0 -c session_preload_libraries= -c local_preload_libraries= \
     -c default_transaction_read_only=off";

/// Where Debian and most others keep the authorities that the system trusts.
const SYSTEM_AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// How long a question about the server may take: a look at a source is not to hang.
const ANSWER_WITHIN: Duration = Duration::from_secs(12);

/// A way into a server.
#[derive(Debug, Clone)]
pub(super) struct Login {
    environment: Vec<(&'static str, OsString)>,
    password: Option<Secret>,
    database: String,
    /// Who asks, where the configuration says so.
    pub(super) user: Option<String>,
    /// Whether by a socket of this machine.
    pub(super) local: bool,
    /// Whether it is a server of our own.
    pub(super) private: bool,
}

impl Login {
    /// Into the server of an instance.
    pub(super) fn to_server(server: &ServerSource) -> Result<Self, EngineError> {
        let mut login = Self {
            environment: place(&server.address),
            password: server.password()?,
            database: server.database.clone().unwrap_or_else(|| USUAL_DATABASE.to_owned()),
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
        let trusted = matches!(server.tls, Tls::VerifyCa | Tls::VerifyFull)
            .then(|| SYSTEM_AUTHORITIES.into());
        for (name, file) in [
            ("PGSSLROOTCERT", server.ca_file.clone().or(trusted)),
            ("PGSSLCERT", server.cert_file.clone()),
            ("PGSSLKEY", server.key_file.clone()),
        ] {
            login.environment.extend(file.map(|file| (name, file.into_os_string())));
        }
        Ok(login)
    }

    /// Into a server of our own, by its socket in `folder`.
    pub(super) fn to_socket(folder: &Path, user: &str) -> Self {
        Self {
            environment: place(&Address::Socket(folder.to_owned())),
            password: None,
            database: PRIVATE_DATABASE.to_owned(),
            user: Some(user.to_owned()),
            local: true,
            private: true,
        }
        .with("PGOPTIONS", PRIVATE_OPTIONS)
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.environment.push((name, value.into()));
        self
    }

    /// The same, into another database.
    pub(super) fn in_database(&self, name: &str) -> Self {
        Self { database: name.to_owned(), ..self.clone() }
    }

    /// The database as libpq takes it in an argument: for tools that do not look at the environment.
    pub(super) fn connection(&self) -> String {
        let name = self.database.replace('\\', "\\\\").replace('\'', "\\'");
        format!("dbname='{name}'")
    }

    /// Tells `tool` the way.
    pub(super) fn dress(&self, tool: Tool) -> Tool {
        let dressed =
            self.environment.iter().fold(tool, |tool, (name, value)| tool.env(name, value));
        let dressed = dressed
            .env("PGDATABASE", &self.database)
            .env("PGCONNECT_TIMEOUT", "10")
            .env("PGAPPNAME", "coffer");
        let dressed = match &self.user {
            Some(user) => dressed.env("PGUSER", user),
            None => dressed,
        };
        match &self.password {
            Some(password) => dressed.secret_env("PGPASSWORD", password),
            None => dressed,
        }
    }

    /// `psql` for one of our statements: no start file, bare answers, the first error ends it.
    pub(super) fn psql(&self, toolbox: &Toolbox) -> Result<Tool, EngineError> {
        let tool = Tool::new(&toolbox.psql()?);
        Ok(self.dress(tool).args(["-X", "-A", "-t", "-q", "-w", "-v", "ON_ERROR_STOP=1"]))
    }

    /// Asks the server something whose answer is one JSON value.
    pub(super) fn ask(
        &self,
        toolbox: &Toolbox,
        sql: &str,
        cancel: &Cancel,
    ) -> Result<Value, EngineError> {
        let psql = self.psql(toolbox)?.args(["-c", sql]).within(ANSWER_WITHIN);
        let answer = psql.output(cancel).map_err(|error| faults::sorted(error.into(), self))?;
        serde_json::from_slice(&answer).map_err(|error| {
            EngineError::known(
                FailureCode::Tool,
                format!("psql gave an answer that is not understood: {error}"),
            )
        })
    }

    /// Runs statements whose answer does not matter.
    pub(super) fn tell(
        &self,
        toolbox: &Toolbox,
        sql: &str,
        cancel: &Cancel,
    ) -> Result<(), EngineError> {
        let psql = self.psql(toolbox)?.args(["-c", sql]);
        psql.run(cancel).map_err(|error| faults::sorted(error.into(), self))
    }
}

/// Host and port, as libpq reads them. A socket is named by its folder, or by its file.
fn place(address: &Address) -> Vec<(&'static str, OsString)> {
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

/// A name as SQL takes it.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
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
            let found = place(&Address::Socket(path.into()));
            assert_eq!(found, [("PGHOST", folder.into()), ("PGPORT", port.into())]);
        }
    }

    #[test]
    fn names_cannot_leave_their_quotes() {
        assert_eq!(quoted(r#"a"b"#), r#""a""b""#);
        let login = Login::to_socket(Path::new("/s"), "u").in_database(r"a'b\c d");
        assert_eq!(login.connection(), r"dbname='a\'b\\c d'");
    }
}
