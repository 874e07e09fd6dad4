//! The server of an instance, and how to reach it.

use super::client::Client;
use super::login::Login;
use super::options::Options;
use super::programs::Programs;
use super::server_info::ServerInfo;
use crate::domain::{Cancel, Source};
use crate::engine::EngineError;

/// The server of an instance.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) client: Client,
    pub(super) options: Options,
    /// More arguments for the tool that reads the data.
    pub(super) extra_args: Vec<String>,
    /// The server's address, for messages.
    pub(super) address: String,
}

impl Session {
    /// Reads the password of `source`; does not connect yet.
    pub(super) fn open(source: &Source, cancel: &Cancel) -> Result<Self, EngineError> {
        let options = Options::parse(source)?;
        let server = options.server()?;
        Ok(Self {
            client: Client {
                login: Login::to_server(&server)?,
                programs: Programs::new(server.tools.clone()),
                cancel: cancel.clone(),
            },
            extra_args: server.extra_args.clone(),
            address: server.shown(),
            options,
        })
    }

    pub(super) fn server_info(&self) -> Result<ServerInfo, EngineError> {
        ServerInfo::query(&self.client)
    }
}
