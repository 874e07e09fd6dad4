//! The server's own client, pointed at one server.

use std::path::PathBuf;
use std::time::Duration;

use super::fault::{explain, means};
use super::info::Info;
use super::options::{Protection, Server};
use crate::domain::Cancel;
use crate::engine::EngineError;
use crate::engine::server_source::Address;
use crate::engine::tool::{Secret, Tool};

/// The package with the tools.
pub(super) const PACKAGE: &str = "redis-tools";

/// How long a server may take to answer a question.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// `redis-cli` or `valkey-cli`, and the server it asks.
#[derive(Debug)]
pub(super) struct Client<'a> {
    pub(super) server: &'a Server,
    path: PathBuf,
    password: Option<Secret>,
}

impl<'a> Client<'a> {
    /// Looks for the tool and reads the password.
    pub(super) fn of(server: &'a Server) -> Result<Self, EngineError> {
        let finder = server.at.finder(Vec::new());
        let path = finder.find_any(&["redis-cli", "valkey-cli"], PACKAGE)?;
        Ok(Self { server, path, password: server.at.password()? })
    }

    /// The program with everything that leads it to the server. The password goes by environment only.
    pub(super) fn tool(&self) -> Tool {
        let at = &self.server.at;
        let mut tool = Tool::new(&self.path);
        tool = match &at.address {
            Address::Socket(path) => tool.arg("-s").arg(path),
            Address::Tcp { host, port } => {
                tool.args(["-h", host.as_str(), "-p", &port.to_string()])
            }
        };
        if self.server.protection != Protection::Plain {
            tool = tool.arg("--tls");
            if self.server.protection == Protection::Encrypted {
                tool = tool.arg("--insecure");
            }
        }
        for (option, file) in
            [("--cacert", &at.ca_file), ("--cert", &at.cert_file), ("--key", &at.key_file)]
        {
            if let Some(file) = file {
                tool = tool.arg(option).arg(file);
            }
        }
        if let Some(user) = &at.user {
            tool = tool.arg("--user").arg(user);
        }
        tool = match (&self.password, &at.user) {
            (Some(password), _) => tool.secret_env("REDISCLI_AUTH", password),
            // Without any password the client would not tell the server its user at all.
            (None, Some(_)) => tool.env("REDISCLI_AUTH", ""),
            (None, None) => tool,
        };
        tool.args(at.extra_args.iter().cloned())
    }

    /// Asks the server about itself.
    pub(super) fn info(&self, cancel: &Cancel) -> Result<Info, EngineError> {
        let answer = self.tool().arg("INFO").within(PATIENCE).output(cancel);
        let answer = answer.map_err(|error| explain(self.server, error))?;
        Info::parse(&answer).ok_or_else(|| means(self.server, &String::from_utf8_lossy(&answer)))
    }

    /// What the tool calls itself.
    pub(super) fn version(&self, cancel: &Cancel) -> Result<String, EngineError> {
        let said = Tool::new(&self.path).arg("--version").within(PATIENCE).output(cancel)?;
        Ok(String::from_utf8_lossy(&said).trim().to_owned())
    }
}
