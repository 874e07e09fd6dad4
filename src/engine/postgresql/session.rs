//! The server of an instance, and how a backup connects to it.

use super::client::Client;
use super::faults::NO_OPTIONS;
use super::login::Login;
use super::options::{KIND, databases};
use super::programs::Programs;
use super::server_info::ServerInfo;
use crate::domain::{Cancel, Source};
use crate::engine::Result;
use crate::engine::server_source::ServerSource;

#[derive(Debug)]
pub(super) struct Session {
    pub(super) client: Client,
    pub(super) server: ServerSource,
    /// For a logical backup: only these databases; if empty, all.
    pub(super) databases: Vec<String>,
}

impl Session {
    /// Reads the password of `source`; does not connect yet.
    pub(super) fn open(source: &Source, cancel: &Cancel) -> Result<Self> {
        let server = KIND.server(source)?;
        let client = Client {
            login: Login::to_server(&server)?,
            programs: Programs::in_folder(server.tools.clone()),
            cancel: cancel.clone(),
        };
        Ok(Self { client, server, databases: databases(source)? })
    }

    /// Opens a session for a backup: what a database or a role sets for its sessions does not change what is read.
    pub(super) fn connect(source: &Source, cancel: &Cancel) -> Result<(Self, ServerInfo)> {
        let mut session = Self::open(source, cancel)?;
        let login = session.client.login.clone();
        session.client.login = login.for_reading(false, false);
        let info = match ServerInfo::query(&session.client) {
            Err(error) if error.failure().is_some_and(|it| it.code == NO_OPTIONS) => {
                session.client.login = login;
                return ServerInfo::query(&session.client).map(|info| (session, info));
            }
            Ok(info) if info.sets_role => {
                session.client.login = login.for_reading(true, false);
                ServerInfo::query(&session.client)?
            }
            answer => answer?,
        };
        session.client.login = login.for_reading(info.sets_role, info.superuser);
        Ok((session, info))
    }
}
