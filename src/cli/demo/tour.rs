//! What every step of the tour uses.

use std::fs;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use percent_encoding::percent_decode_str;

use crate::cli::error::{CommandError, failed};
use crate::cli::interrupt::Interrupt;
use crate::client::{Client, Connection};
use crate::domain::{BackupId, InstanceId};

use super::server::Server;
use super::workspace::{INSTANCE, PROJECT, TOKEN, Workspace};

/// How long a backup, a restore, or the writer before them may take.
pub(super) const TIMEOUT: Duration = Duration::from_secs(3600);

/// A server on temporary data, and its client.
#[derive(Debug)]
pub(super) struct Tour<'a> {
    pub(super) workspace: &'a Workspace,
    pub(super) interrupt: &'a Interrupt,
    pub(super) server: Server,
    pub(super) client: Client,
    /// The instance that is backed up.
    pub(super) instance: InstanceId,
    /// Documents in its database.
    pub(super) documents: i64,
}

impl<'a> Tour<'a> {
    /// Starts the server.
    pub(super) fn start(
        workspace: &'a Workspace,
        interrupt: &'a Interrupt,
        documents: i64,
    ) -> Result<Self, CommandError> {
        let server = Server::start(workspace, interrupt)?;
        let token = fs::read_to_string(workspace.path(TOKEN)).map_err(failed("the admin token"))?;
        let connection = Connection::new(&server.url).with_token(token.trim());
        let client = Client::new(connection, PROJECT.parse().map_err(failed(PROJECT))?);
        let instance = client.instances()?.into_iter().find(|it| it.name == INSTANCE);
        let instance =
            instance.ok_or_else(|| failed("the server does not list the instance")(INSTANCE))?.id;
        Ok(Self { workspace, interrupt, server, client, instance, documents })
    }
}

/// A backup, and what the writer did around it.
#[derive(Debug)]
pub(super) struct Point {
    /// 1, 2, 3.
    pub(super) number: usize,
    /// The completed backup.
    pub(super) id: BackupId,
    /// The URL of its archive.
    pub(super) location: String,
    /// The transactions that may be its last one: from those committed when it was requested to those
    /// that may have been when it was completed.
    pub(super) possible: RangeInclusive<i64>,
}

impl Point {
    /// The file that the API's `file://` URL names.
    pub(super) fn archive(&self) -> Result<PathBuf, CommandError> {
        let url = &self.location;
        let path = url.strip_prefix("file://").map(|path| percent_decode_str(path).decode_utf8());
        match path {
            Some(Ok(path)) => Ok(PathBuf::from(path.into_owned())),
            _ => Err(CommandError::Failed(format!("the backup's location is {url:?}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_url_gives_its_path() {
        let path = |url: &str| {
            let (id, location) = (BackupId::generate(), url.to_owned());
            Point { number: 1, id, location, possible: 0..=0 }.archive().ok()
        };
        let expected = Some(PathBuf::from("/a/b c/é.tar.zst"));
        assert_eq!(path("file:///a/b%20c/%C3%A9.tar.zst"), expected);
        for bad in ["http://a/b", "/a", "file:///%ff"] {
            assert_eq!(path(bad), None, "{bad}");
        }
    }
}
