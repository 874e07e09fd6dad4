//! Instances: databases and directories, and the strategies that say where their backups go.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::words::words;
use super::{
    BackupId, CheckLevel, ContainerName, Failure, InstanceId, ProjectId, Timestamp, Verify,
};

/// An engine and the version of what it reads.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Datastore {
    /// The engine's name: `sqlite`, `directory`… On the wire `datastore.type`.
    pub engine: String,
    /// The database's version; `unknown` until the server was reached.
    pub version: String,
}

/// The namespace of the ids that clients know engines and versions by.
const DATASTORE_NAMESPACE: Uuid = Uuid::from_u128(0x5c1f_7f0e_1a52_4e0b_9d0f_c0ff_e500_0002);

impl Datastore {
    /// The version of a database whose server was not reached yet.
    pub const UNKNOWN: &str = "unknown";

    /// Whether this is a version, and not the word for an unknown one.
    pub fn is_known(version: &str) -> bool {
        !version.is_empty() && version != Self::UNKNOWN
    }

    /// The id of this engine and version (Trove's `version_id`): the same on every machine.
    pub fn version_id(&self) -> String {
        let text = format!("{}\n{}", self.engine, self.version);
        Uuid::new_v5(&DATASTORE_NAMESPACE, text.as_bytes()).to_string()
    }

    /// The id of an engine, whatever the version (Trove's datastore id): the same on every machine.
    pub fn datastore_id(engine: &str) -> String {
        Uuid::new_v5(&DATASTORE_NAMESPACE, engine.as_bytes()).to_string()
    }
}

/// Where the database is and how to reach it: the keys of `source` in the configuration.
/// Which keys there are is the engine's to say; a secret is never among them, only a file's name.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Source(pub BTreeMap<String, serde_json::Value>);

impl Source {
    pub fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(serde_json::Value::as_str)
    }

    /// The address in its `url`, `scheme://[user@]ADDRESS[:port][/database]`, if that is no name.
    pub fn ip_address(&self) -> Option<IpAddr> {
        let (_scheme, rest) = self.text("url")?.split_once("://")?;
        let server = rest.split(['/', '?']).next().unwrap_or_default();
        let host = server.rsplit_once('@').map_or(server, |(_user, host)| host);
        let host = match host.strip_prefix('[') {
            Some(rest) => rest.split(']').next(),
            None => host.split(':').next(),
        };
        host?.parse().ok()
    }

    /// A source that is a path and nothing else. A path that is not UTF-8 becomes a `file://` URL.
    pub fn from_path(path: &str) -> Self {
        Self(BTreeMap::from([("path".to_owned(), serde_json::Value::from(path))]))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InstanceOrigin {
    Configured,
    /// Made by restoring this backup; such an instance can be deleted through the API.
    Restored(BackupId),
}

words! {
    /// The status of an instance. The words are Trove's.
    pub enum InstanceStatus {
        /// Being restored.
        Build = "BUILD",
        /// In use.
        Active = "ACTIVE",
        /// A backup of it runs.
        Backup = "BACKUP",
        /// The restore failed; the reason is in the row.
        Error = "ERROR",
        /// No longer in the configuration: its backups stay, new ones cannot be made.
        Detached = "DETACHED",
    }
}

/// A database or directory, as the catalog knows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Instance {
    pub id: InstanceId,
    pub project: ProjectId,
    /// Its name, unique in the project.
    pub name: String,
    pub datastore: Datastore,
    pub origin: InstanceOrigin,
    pub source: Source,
    pub check: CheckLevel,
    pub verify: Verify,
    pub status: InstanceStatus,
    /// Content bytes of its newest completed backup; 0 before the first.
    pub used_bytes: u64,
    pub failure: Option<Failure>,
    /// When it was first seen or asked for.
    pub created: Timestamp,
    pub updated: Timestamp,
}

/// Where the backups of an instance, or of a whole project, are put (Trove's backup strategy).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Strategy {
    pub project: ProjectId,
    /// The instance; `None`: every instance of the project that has no strategy of its own.
    pub instance: Option<InstanceId>,
    pub container: ContainerName,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_of_a_server_is_found_in_its_url() {
        for (url, address) in [
            ("postgresql://coffer@10.0.0.7:5432/shop", Some("10.0.0.7")),
            ("mariadb://192.0.2.1", Some("192.0.2.1")),
            ("redis://a@[2001:db8::7]:6379", Some("2001:db8::7")),
            ("rediss://[::1]", Some("::1")),
            ("postgresql://db.example.org:5432", None),
            ("nothing of the kind", None),
        ] {
            let source = Source([("url".to_owned(), url.into())].into());
            assert_eq!(source.ip_address(), address.map(|it| it.parse().unwrap()), "{url}");
        }
        assert_eq!(Source::from_path("/srv/10.0.0.7").ip_address(), None);
    }
}
