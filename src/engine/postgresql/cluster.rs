//! `cluster.json`, a member of every backup: what a restore or a drill must know about the server and cannot read
//! from its files without running a server on them.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::locale_provider::LocaleProvider;
use super::options::Method;
use super::server_info::ServerInfo;
use crate::engine::{EngineError, Result};

pub(super) const CLUSTER_FILE: &str = "cluster.json";

/// The data directory in the archive and in every restore.
pub(super) const DATA_FOLDER: &str = "pgdata";

/// The folder of the tablespaces, each named by its OID.
pub(super) const TABLESPACES: &str = "tablespaces";

/// The folder of a logical backup's dumps.
pub(super) const DUMPS: &str = "databases";

pub(super) const ROLES: &str = "roles.sql";

/// What a logical backup holds of the server itself.
pub(super) const SERVER: &str = "server.sql";

/// The folder of the server's configuration files, by their absolute paths there.
pub(super) const SETTINGS: &str = "settings";

/// Larger files are not read, in bytes.
const MAX_SIZE: u64 = 64 << 20;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Cluster {
    /// `physical` or `logical`.
    pub(super) method: String,
    /// `15.18`
    pub(super) version: String,
    /// `15`
    pub(super) major: u32,
    /// The role that initialised the cluster; it always exists and is a superuser.
    pub(super) bootstrap_role: String,
    /// Encoding and locale of new databases.
    pub(super) encoding: String,
    pub(super) collate: String,
    pub(super) ctype: String,
    #[serde(flatten)]
    pub(super) provider: LocaleProvider,
    pub(super) data_checksums: bool,
    /// In bytes.
    pub(super) wal_segment_size: u64,
    /// The OIDs of its tablespaces other than the two that every server has.
    pub(super) tablespaces: Vec<u32>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) databases: Vec<String>,
    /// The rights to them, where they are not the default.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) rights: BTreeMap<String, String>,
}

impl Cluster {
    pub(super) fn of(info: &ServerInfo, method: Method) -> Self {
        let template = info.databases.iter().find(|it| it.name == "template1");
        let locale = template.or_else(|| info.databases.first());
        let text = |value: Option<&String>, default: &str| {
            value.map_or_else(|| default.to_owned(), ToOwned::to_owned)
        };
        Self {
            method: match method {
                Method::Physical => "physical".to_owned(),
                Method::Logical => "logical".to_owned(),
            },
            version: info.short_version().to_owned(),
            major: info.major(),
            bootstrap_role: info.bootstrap.clone(),
            encoding: text(locale.map(|it| &it.encoding), "UTF8"),
            collate: text(locale.map(|it| &it.collate), "C"),
            ctype: text(locale.map(|it| &it.ctype), "C"),
            provider: locale.map(|it| it.provider.clone()).unwrap_or_default(),
            data_checksums: info.data_checksums,
            wal_segment_size: info.wal_segment_size,
            tablespaces: info.tablespaces.keys().copied().collect(),
            databases: Vec::new(),
            rights: BTreeMap::new(),
        }
    }

    pub(super) fn to_json(&self) -> Vec<u8> {
        let mut text = serde_json::to_vec_pretty(self).unwrap_or_default();
        text.push(b'\n');
        text
    }

    /// Reads it from the backup restored to `folder`.
    pub(super) fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(CLUSTER_FILE);
        let invalid = |why: String| {
            EngineError::archive(format!(
                "{} is not from a backup of PostgreSQL: {why}",
                path.display()
            ))
        };
        let unread = |error| EngineError::unread(&path, error);
        let size = std::fs::metadata(&path).map_err(unread)?.len();
        if size > MAX_SIZE {
            return Err(invalid(format!("it has {size} bytes")));
        }
        let text = std::fs::read(&path).map_err(unread)?;
        serde_json::from_slice(&text).map_err(|error| invalid(error.to_string()))
    }
}
