//! What a server reports about itself.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::client::Client;
use crate::domain::FailureCode;
use crate::engine::EngineError;
use crate::engine::tool::ToolError;

/// The oldest supported version: the first with backup manifests.
const OLDEST: u32 = 13;

/// One statement, so that the answers are of one moment. Sizes are 0 where the role may not see them.
const QUERY: &str = "
SELECT json_build_object(
  'version', current_setting('server_version'),
  'number', current_setting('server_version_num')::int,
  'role', current_user,
  'superuser', coalesce((SELECT rolsuper FROM pg_roles WHERE rolname = current_user), false),
  'replication', coalesce((SELECT rolsuper OR rolreplication FROM pg_roles
                           WHERE rolname = current_user), false),
  'bootstrap', (SELECT rolname FROM pg_roles WHERE oid = 10),
  'wal_level', current_setting('wal_level'),
  'max_wal_senders', current_setting('max_wal_senders')::int,
  'wal_senders', (SELECT count(*) FROM pg_stat_replication),
  'wal_keep_size', current_setting('wal_keep_size'),
  'wal_segment_size', pg_size_bytes(current_setting('wal_segment_size')),
  'data_checksums', current_setting('data_checksums') = 'on',
  'standby', pg_is_in_recovery(),
  'system_identifier', (SELECT system_identifier::text FROM pg_control_system()),
  'databases', (SELECT json_agg(json_build_object(
      'name', datname, 'encoding', pg_encoding_to_char(encoding), 'collate', datcollate,
      'ctype', datctype, 'open', datallowconn AND NOT datistemplate AND datconnlimit <> -2,
      'bytes', CASE WHEN has_database_privilege(oid, 'CONNECT')
                      OR pg_has_role(current_user, 'pg_read_all_stats', 'USAGE')
                    THEN pg_database_size(oid) ELSE 0 END) ORDER BY datname) FROM pg_database),
  'tablespaces', (SELECT coalesce(json_object_agg(oid::text, json_build_object(
      'name', spcname, 'location', pg_tablespace_location(oid))), '{}')
      FROM pg_tablespace WHERE oid NOT IN (1663, 1664))
)";

/// About how much belongs to no database: shared catalogs, commit logs, maps.
const SHARED_BYTES: u64 = 1 << 20;

#[derive(Debug, Clone, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts, not the states of one thing")]
pub(super) struct ServerInfo {
    pub(super) version: String,
    number: u32,
    pub(super) role: String,
    pub(super) superuser: bool,
    pub(super) replication: bool,
    pub(super) bootstrap: String,
    pub(super) wal_level: String,
    pub(super) max_wal_senders: u32,
    pub(super) wal_senders: u32,
    pub(super) wal_keep_size: String,
    pub(super) wal_segment_size: u64,
    pub(super) data_checksums: bool,
    pub(super) standby: bool,
    pub(super) system_identifier: String,
    pub(super) databases: Vec<Database>,
    pub(super) tablespaces: BTreeMap<u32, Tablespace>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Database {
    pub(super) name: String,
    pub(super) encoding: String,
    pub(super) collate: String,
    pub(super) ctype: String,
    /// It accepts connections and is not a template. (A limit of -2 marks an interrupted DROP.)
    pub(super) open: bool,
    pub(super) bytes: u64,
}

/// A tablespace other than the two that every server has.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Tablespace {
    pub(super) name: String,
    pub(super) location: String,
}

impl ServerInfo {
    pub(super) fn query(client: &Client) -> Result<Self, EngineError> {
        let info: Self = serde_json::from_value(client.query(QUERY)?)
            .map_err(|error| ToolError::answer("the server", &error))?;
        if info.major() < OLDEST {
            return Err(EngineError::known(
                FailureCode::SourceInvalid,
                format!(
                    "the server is PostgreSQL {}; Coffer backs up version {OLDEST} and newer",
                    info.version
                ),
            ));
        }
        Ok(info)
    }

    pub(super) const fn major(&self) -> u32 {
        self.number / 10_000
    }

    /// The version without the distribution's suffix.
    pub(super) fn short_version(&self) -> &str {
        self.version.split_whitespace().next().unwrap_or(&self.version)
    }

    /// The approximate size of a base backup while nothing is being written.
    pub(super) fn base_bytes(&self) -> u64 {
        let databases: u64 = self.databases.iter().map(|it| it.bytes).sum();
        databases + SHARED_BYTES + self.wal_segment_size
    }

    /// What the manifest keeps.
    pub(super) fn facts(&self) -> BTreeMap<String, Value> {
        let names: Vec<&str> = self.databases.iter().map(|it| it.name.as_str()).collect();
        let tablespaces: BTreeMap<String, &str> =
            self.tablespaces.iter().map(|(oid, it)| (oid.to_string(), it.name.as_str())).collect();
        [
            ("server_version", Value::from(self.version.as_str())),
            ("system_identifier", Value::from(self.system_identifier.as_str())),
            ("data_checksums", Value::from(self.data_checksums)),
            ("wal_segment_size", Value::from(self.wal_segment_size)),
            ("standby", Value::from(self.standby)),
            ("databases", Value::from(names)),
            ("tablespaces", serde_json::to_value(tablespaces).unwrap_or_default()),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
    }
}
