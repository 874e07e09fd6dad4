//! The configuration of a server under test.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sha2::Digest as _;

use super::{PROJECT, TestServer, write_file};

/// A token of the configuration, with its secret.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    pub(crate) secret: String,
    pub(crate) project: String,
}

/// The configuration of a server. Without any instance it has Coffer's own catalog.
#[derive(Debug, Default)]
pub(crate) struct Builder {
    text: String,
    project: Option<String>,
    pub(super) tokens: BTreeMap<String, Token>,
    pub(super) open: bool,
    pub(super) bootstrap: bool,
    pub(super) environment: BTreeMap<String, String>,
    pub(super) allowed: Vec<String>,
    pub(super) data_dir: Option<PathBuf>,
    pub(super) unprivileged: bool,
    pub(super) program: Option<PathBuf>,
}

impl Builder {
    /// The project of the instances that follow; [`PROJECT`] before the first call.
    pub(crate) fn project(mut self, project: &str) -> Self {
        self.project = Some(project.to_owned());
        self
    }

    /// A `SQLite` database.
    pub(crate) fn instance_sqlite(self, name: &str, path: &Path) -> Self {
        self.instance(name, "sqlite", path)
    }

    /// A directory tree.
    pub(crate) fn instance_directory(self, name: &str, path: &Path) -> Self {
        self.instance(name, "directory", path)
    }

    /// Any engine, even one that does not exist, with a path.
    pub(crate) fn instance(self, name: &str, engine: &str, path: &Path) -> Self {
        let source = format!("{{ path = {} }}", quoted(path.to_str().unwrap()));
        self.instance_of(name, engine, &source, "quick")
    }

    /// Any engine with any `source`, an inline table of TOML, checked as `check` says.
    pub(crate) fn instance_of(self, name: &str, engine: &str, source: &str, check: &str) -> Self {
        let project = self.project.clone().unwrap_or_else(|| PROJECT.to_owned());
        self.toml(&format!(
            "[[instances]]\nname = {}\nproject_id = {}\nengine = {}\nsource = {source}\n\
             check = {}\n",
            quoted(name),
            quoted(&project),
            quoted(engine),
            quoted(check)
        ))
    }

    /// An instance whose backups are each drilled.
    pub(crate) fn drilled_instance(self, name: &str, engine: &str, source: &str) -> Self {
        self.instance_of(name, engine, source, "quick").toml("verify = \"restore\"")
    }

    /// A token with a new secret, for [`TestServer::by`].
    pub(crate) fn token(mut self, name: &str, project: &str, roles: &[&str]) -> Self {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).unwrap();
        let secret = hex::encode(secret);
        let digest = hex::encode(sha2::Sha256::digest(&secret));
        let roles: Vec<String> = roles.iter().map(|role| quoted(role)).collect();
        let token = Token { secret, project: project.to_owned() };
        self.tokens.insert(name.to_owned(), token);
        self.toml(&format!(
            "[[auth.tokens]]\nname = {}\nproject_id = {}\nroles = [{}]\nsha256 = \"{digest}\"\n",
            quoted(name),
            quoted(project),
            roles.join(", ")
        ))
    }

    /// Requests need no token.
    pub(crate) fn auth_none(mut self) -> Self {
        self.open = true;
        self.setting("auth.mode", "none")
    }

    /// No token in the configuration, so that the server makes one itself.
    pub(crate) fn no_tokens(mut self) -> Self {
        self.bootstrap = true;
        self
    }

    /// A key of the configuration, as `executor.workers`.
    pub(crate) fn setting(self, key: &str, value: &str) -> Self {
        let name = format!("COFFER__{}", key.to_uppercase().replace('.', "__"));
        self.env(&name, value)
    }

    /// More text for the configuration file: tables only, because it follows others.
    pub(crate) fn toml(mut self, text: &str) -> Self {
        self.text.push_str(text);
        self.text.push('\n');
        self
    }

    /// A variable of the server's environment.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    /// The data directory, instead of a temporary folder.
    pub(crate) fn data_dir(mut self, path: &Path) -> Self {
        self.data_dir = Some(path.to_owned());
        self
    }

    /// Warnings and errors that contain this text do not fail the test.
    pub(crate) fn allow_warning(mut self, text: &str) -> Self {
        self.allowed.push(text.to_owned());
        self
    }

    /// Runs as a user whom file modes bind: as [`super::UNPRIVILEGED`] if the test runs as root.
    pub(crate) fn unprivileged(mut self) -> Self {
        self.unprivileged = true;
        self
    }

    /// Runs this program instead of the one under test.
    pub(crate) fn program(mut self, path: &Path) -> Self {
        self.program = Some(path.to_owned());
        self
    }

    /// Starts it and waits until it listens.
    #[track_caller]
    pub(crate) fn start(self) -> TestServer {
        TestServer::start(self)
    }

    /// Writes the configuration into `folder`; the file's path.
    pub(super) fn write_config(&self, folder: &Path, data_dir: &Path) -> PathBuf {
        let path = folder.join("coffer.toml");
        let data_dir = quoted(data_dir.to_str().unwrap());
        let head = format!("data_dir = {data_dir}\n[server]\nlisten = \"127.0.0.1:0\"\n\n");
        write_file(&path, head + &self.text);
        path
    }
}

/// As a TOML string; JSON's escapes are among TOML's.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
