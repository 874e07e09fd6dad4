//! A server and the tools to ask it with.

use super::login::Login;
use super::look::ServerLook;
use super::options::Options;
use super::toolbox::Toolbox;
use crate::domain::{Cancel, Source};
use crate::engine::EngineError;

/// A server that can be asked.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) login: Login,
    pub(super) toolbox: Toolbox,
    pub(super) options: Options,
    /// More arguments for the tool that reads the data.
    pub(super) extra_args: Vec<String>,
    /// Where it is, for people.
    pub(super) shown: String,
}

impl Session {
    /// With the server of `source`. Reads its password.
    pub(super) fn with(source: &Source) -> Result<Self, EngineError> {
        let options = Options::parse(source)?;
        let server = options.server()?;
        Ok(Self {
            login: Login::to_server(server)?,
            toolbox: Toolbox::new(server.tools.clone()),
            extra_args: server.extra_args.clone(),
            shown: server.shown(),
            options,
        })
    }

    /// What the server tells of itself now.
    pub(super) fn look(&self, cancel: &Cancel) -> Result<ServerLook, EngineError> {
        ServerLook::take(&self.login, &self.toolbox, cancel)
    }
}
