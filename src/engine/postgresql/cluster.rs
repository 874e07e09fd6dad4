//! `cluster.json`, a member of every backup: what a restore or a drill must know of the server and
//! cannot read from its files while no server runs on them.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::look::ServerLook;
use super::options::Method;
use crate::engine::EngineError;

/// Its name in the archive.
pub(super) const CLUSTER_FILE: &str = "cluster.json";

/// The data directory's name in the archive and in every restore.
pub(super) const DATA_FOLDER: &str = "pgdata";

/// The name of the folder with the tablespaces, each by its OID.
pub(super) const TABLESPACES: &str = "tablespaces";

/// The name of the folder with the dumps of a logical backup.
pub(super) const DUMPS: &str = "databases";

/// The name of the roles of a logical backup.
pub(super) const ROLES: &str = "roles.sql";

/// No such note is longer, in bytes.
const LONGEST: u64 = 64 << 20;

/// What is known of the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Cluster {
    /// `physical` or `logical`.
    pub(super) method: String,
    /// The server's version: `15.18`.
    pub(super) version: String,
    /// Its major version: `15`.
    pub(super) major: u32,
    /// The role that made the cluster; there always is one, and it is a superuser.
    pub(super) bootstrap_role: String,
    /// Encoding of new databases.
    pub(super) encoding: String,
    /// Their order of text.
    pub(super) collate: String,
    /// Their kinds of letters.
    pub(super) ctype: String,
    /// Whether its pages have checksums.
    pub(super) data_checksums: bool,
    /// The size of its WAL files, in bytes.
    pub(super) wal_segment_size: u64,
    /// The OIDs of its tablespaces, but for those every server has.
    pub(super) tablespaces: Vec<u32>,
    /// Of a logical backup: the databases in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) databases: Vec<String>,
}

impl Cluster {
    /// Of this server.
    pub(super) fn of(look: &ServerLook, method: Method) -> Self {
        let template = look.databases.iter().find(|it| it.name == "template1");
        let locale = template.or_else(|| look.databases.first());
        let text = |value: Option<&String>, otherwise: &str| {
            value.map_or_else(|| otherwise.to_owned(), ToOwned::to_owned)
        };
        Self {
            method: match method {
                Method::Physical => "physical".to_owned(),
                Method::Logical => "logical".to_owned(),
            },
            version: look.short_version().to_owned(),
            major: look.major(),
            bootstrap_role: look.bootstrap.clone(),
            encoding: text(locale.map(|it| &it.encoding), "UTF8"),
            collate: text(locale.map(|it| &it.collate), "C"),
            ctype: text(locale.map(|it| &it.ctype), "C"),
            data_checksums: look.data_checksums,
            wal_segment_size: look.wal_segment_size,
            tablespaces: look.tablespaces.keys().copied().collect(),
            databases: Vec::new(),
        }
    }

    /// As the content of [`CLUSTER_FILE`].
    pub(super) fn to_json(&self) -> Vec<u8> {
        let mut text = serde_json::to_vec_pretty(self).unwrap_or_default();
        text.push(b'\n');
        text
    }

    /// Of the backup restored to `folder`.
    pub(super) fn read(folder: &Path) -> Result<Self, EngineError> {
        let path = folder.join(CLUSTER_FILE);
        let strange = |why: String| {
            EngineError::archive(format!(
                "{} is not what a backup of PostgreSQL holds: {why}",
                path.display()
            ))
        };
        let size = std::fs::metadata(&path).map_err(|error| strange(error.to_string()))?.len();
        if size > LONGEST {
            return Err(strange(format!("it has {size} bytes")));
        }
        let text =
            std::fs::read(&path).map_err(|error| EngineError::io("reading", &path, error))?;
        serde_json::from_slice(&text).map_err(|error| strange(error.to_string()))
    }
}
