//! `redis-cli` or `valkey-cli`, connected to one server.

use std::path::PathBuf;
use std::time::Duration;

use super::faults::classify;
use super::info::Info;
use super::options::{Protection, protection};
use crate::domain::{Cancel, FailureCode};
use crate::engine::server_source::{Address, ServerSource};
use crate::engine::tool::{Secret, Tool, ToolError, version_text};
use crate::engine::{EngineError, Result};

/// The Debian package with the tools.
pub(super) const PACKAGE: &str = "redis-tools";

/// How long a server may take to answer.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct Client<'a> {
    pub(super) server: &'a ServerSource,
    protection: Protection,
    path: PathBuf,
    password: Option<Secret>,
}

impl<'a> Client<'a> {
    /// Finds the tool and reads the password.
    pub(super) fn new(server: &'a ServerSource) -> Result<Self> {
        let path = server.finder().find_any(&["redis-cli", "valkey-cli"], PACKAGE)?;
        let protection = protection(server)?;
        Ok(Self { server, protection, path, password: server.password()? })
    }

    /// The tool with the options to connect. The password is passed in the environment only.
    pub(super) fn tool(&self) -> Tool {
        let source = self.server;
        let mut tool = Tool::new(&self.path);
        tool = match &source.address {
            Address::Socket(path) => tool.arg("-s").arg(path),
            Address::Tcp { host, port } => {
                tool.args(["-h", host.as_str(), "-p", &port.to_string()])
            }
        };
        tool = match self.protection {
            Protection::Plain => tool,
            Protection::Encrypted => tool.args(["--tls", "--insecure"]),
            Protection::Verified => tool.arg("--tls"),
        };
        for (option, file) in source.tls_files(["--cacert", "--cert", "--key"]) {
            tool = tool.arg(option).arg(file);
        }
        if let Some(user) = &source.user {
            tool = tool.arg("--user").arg(user);
        }
        tool = match (&self.password, &source.user) {
            (Some(password), _) => tool.secret_env("REDISCLI_AUTH", password),
            // Without any password, the client would ignore the user.
            (None, Some(_)) => tool.env("REDISCLI_AUTH", ""),
            (None, None) => tool,
        };
        tool.args(source.extra_args.iter().cloned())
    }

    pub(super) fn info(&self, cancel: &Cancel) -> Result<Info> {
        let answer = self.tool().arg("INFO").timeout(ANSWER_TIMEOUT).output(cancel);
        let answer = answer.map_err(|error| classify(self.server, error))?;
        let info = Info::parse(&answer).ok_or_else(|| {
            let answer = String::from_utf8_lossy(&answer);
            classify(self.server, ToolError::answer("redis-cli", &answer))
        })?;
        if info.get("redis_mode") == "sentinel" {
            let address = self.server.shown();
            let advice = "set source to the server that it watches";
            let message = format!("{address} is a Sentinel, which holds no data: {advice}");
            return Err(EngineError::known(FailureCode::SourceInvalid, message));
        }
        Ok(info)
    }

    /// The tool's own name and version.
    pub(super) fn version(&self, cancel: &Cancel) -> Result<String> {
        version_text(&self.path, &["--version"], cancel)
    }
}
