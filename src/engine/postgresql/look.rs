//! What a server tells of itself.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::login::Login;
use super::toolbox::Toolbox;
use crate::domain::{Cancel, FailureCode};
use crate::engine::EngineError;

/// Backup manifests and `pg_control_system()` as they are asked for here: every version that its makers
/// still mend, and one more.
const OLDEST: u32 = 13;

/// One statement, so that the answers belong together. Sizes are told where the role may see them.
const QUESTION: &str = "
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

/// What does not belong to any database: shared catalogs, commit logs, maps.
const SHARED_BYTES: u64 = 1 << 20;

/// A server, as it is now.
#[derive(Debug, Clone, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "what the server says, not states of one thing")]
pub(super) struct ServerLook {
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

/// A database.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Database {
    pub(super) name: String,
    pub(super) encoding: String,
    pub(super) collate: String,
    pub(super) ctype: String,
    /// Whether it takes connections and is no template. (-2 marks what a DROP that was broken off left.)
    pub(super) open: bool,
    pub(super) bytes: u64,
}

/// A tablespace besides those that every server has.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Tablespace {
    pub(super) name: String,
    pub(super) location: String,
}

impl ServerLook {
    /// Asks the server.
    pub(super) fn take(
        login: &Login,
        toolbox: &Toolbox,
        cancel: &Cancel,
    ) -> Result<Self, EngineError> {
        let answer = login.ask(toolbox, QUESTION, cancel)?;
        let look: Self = serde_json::from_value(answer).map_err(|error| {
            EngineError::known(
                FailureCode::Tool,
                format!("the server's answer about itself is not understood: {error}"),
            )
        })?;
        if look.major() < OLDEST {
            return Err(EngineError::known(
                FailureCode::SourceInvalid,
                format!(
                    "the server is PostgreSQL {}; backups are made of version {OLDEST} and newer",
                    look.version
                ),
            ));
        }
        Ok(look)
    }

    /// The major version.
    pub(super) const fn major(&self) -> u32 {
        self.number / 10_000
    }

    /// The version without the packager's words behind it.
    pub(super) fn short_version(&self) -> &str {
        self.version.split_whitespace().next().unwrap_or(&self.version)
    }

    /// About how many bytes of databases there are.
    pub(super) fn database_bytes(&self) -> u64 {
        self.databases.iter().map(|it| it.bytes).sum()
    }

    /// About how many bytes a base backup of it is: with the WAL of a quiet moment.
    pub(super) fn base_bytes(&self) -> u64 {
        self.database_bytes() + SHARED_BYTES + self.wal_segment_size
    }

    /// What is kept with the backup, for people.
    pub(super) fn facts(&self) -> BTreeMap<String, Value> {
        let names: Vec<&str> = self.databases.iter().map(|it| it.name.as_str()).collect();
        let places: BTreeMap<String, &str> =
            self.tablespaces.iter().map(|(oid, it)| (oid.to_string(), it.name.as_str())).collect();
        [
            ("server_version", Value::from(self.version.as_str())),
            ("system_identifier", Value::from(self.system_identifier.as_str())),
            ("data_checksums", Value::from(self.data_checksums)),
            ("wal_segment_size", Value::from(self.wal_segment_size)),
            ("standby", Value::from(self.standby)),
            ("databases", Value::from(names)),
            ("tablespaces", serde_json::to_value(places).unwrap_or_default()),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
    }
}
