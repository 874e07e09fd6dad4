//! What a server reports about itself.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _};
use serde_json::Value;

use super::client::Client;
use super::locale_provider::LocaleProvider;
use crate::domain::{FailureCode, LeftOut};
use crate::engine::{EngineError, Result};

/// The oldest supported version: the first with backup manifests.
const OLDEST: u32 = 13;

/// One statement, so that the answers are of one moment. Sizes are 0 where the role may not see them.
const QUERY: &str = "
SELECT json_build_object(
  'version', current_setting('server_version'),
  'number', current_setting('server_version_num')::int,
  'started', extract(epoch FROM pg_postmaster_start_time())::text,
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
  'reads_passwords', has_table_privilege('pg_catalog.pg_authid', 'SELECT'),
  'reads_settings', has_function_privilege(
      'pg_catalog.pg_read_binary_file(text, bigint, bigint, boolean)', 'EXECUTE')
    AND pg_has_role('pg_read_server_files', 'USAGE') AND pg_has_role('pg_read_all_settings', 'USAGE'),
  'sets_role', EXISTS (SELECT FROM pg_db_role_setting CROSS JOIN unnest(setconfig) it
    WHERE setrole = (SELECT oid FROM pg_roles WHERE rolname = session_user) AND it LIKE 'role=%'),
  'prepared', (SELECT coalesce(json_agg(format('%s in database %s', gid, database)), '[]') FROM pg_prepared_xacts),
  'origins', (SELECT coalesce(json_agg(roname), '[]') FROM pg_replication_origin WHERE roname !~ '^pg_[0-9]+'),
  'tls_files', (SELECT coalesce(json_agg(DISTINCT setting), '[]') FROM pg_settings
    WHERE name IN ('ssl_cert_file', 'ssl_key_file', 'ssl_ca_file', 'ssl_crl_file', 'ssl_crl_dir', 'ssl_dh_params_file')
      AND current_setting('ssl') = 'on' AND starts_with(setting, '/') AND NOT starts_with(setting,
        coalesce((SELECT setting FROM pg_settings WHERE name = 'data_directory'), '/unknown') || '/')),
  'slots', (SELECT coalesce(json_agg(slot_name), '[]') FROM pg_replication_slots WHERE NOT temporary),
  'databases', (SELECT json_agg(json_build_object(
      'name', datname, 'encoding', pg_encoding_to_char(encoding), 'collate', datcollate,
      'ctype', datctype, 'acl', datacl::text, 'template', datistemplate,
      'provider', to_jsonb(d) ->> 'datlocprovider', 'rules', to_jsonb(d) ->> 'daticurules',
      'locale', coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale'),
      'closed', NOT datallowconn, 'admits', has_database_privilege(oid, 'CONNECT'),
      'dumped', datconnlimit <> -2 AND datname <> 'template0',
      'bytes', CASE WHEN has_database_privilege(oid, 'CONNECT')
                      OR pg_has_role(current_user, 'pg_read_all_stats', 'USAGE')
                    THEN pg_database_size(oid) ELSE 0 END) ORDER BY datname) FROM pg_database d),
  'tablespaces', (SELECT coalesce(json_object_agg(oid::text, json_build_object(
      'name', spcname, 'location', pg_tablespace_location(oid))), '{}')
      FROM pg_tablespace WHERE oid NOT IN (1663, 1664))
)";

const SETTINGS: &str = "
SELECT coalesce(json_agg(json_build_object('path', path, 'content', encode(content, 'hex'),
    'in_data', path LIKE current_setting('data_directory') || '/%') ORDER BY path), '[]')
FROM (SELECT path, pg_read_binary_file(path, 0, 4194304, true) AS content
  FROM (SELECT current_setting('config_file') AS path UNION SELECT current_setting('hba_file')
      UNION SELECT current_setting('ident_file')
      UNION SELECT sourcefile FROM pg_settings WHERE sourcefile IS NOT NULL) named) file
WHERE content IS NOT NULL AND path LIKE '/%'";

const STARTED: &str =
    "SELECT to_json(extract(epoch FROM pg_catalog.pg_postmaster_start_time())::text)";

/// About how much belongs to no database: shared catalogs, commit logs, maps.
const SHARED_BYTES: u64 = 1 << 20;

#[derive(Debug, Clone, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts, not the states of one thing")]
pub(super) struct ServerInfo {
    pub(super) version: String,
    number: u32,
    /// When, as the server says it.
    started: String,
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
    /// The role may read the passwords of roles.
    pub(super) reads_passwords: bool,
    /// The role may read the server's configuration files.
    reads_settings: bool,
    /// The role's own settings include another role.
    pub(super) sets_role: bool,
    /// Its prepared transactions, each with its database.
    pub(super) prepared: Vec<String>,
    /// Its replication origins, but for those of subscriptions.
    pub(super) origins: Vec<String>,
    slots: Vec<String>,
    /// Its keys and certificates outside of the data directory.
    tls_files: Vec<String>,
    pub(super) databases: Vec<Database>,
    pub(super) tablespaces: BTreeMap<u32, Tablespace>,
}

#[derive(Debug, Clone, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "a row of the server's list of databases")]
pub(super) struct Database {
    pub(super) name: String,
    pub(super) encoding: String,
    pub(super) collate: String,
    pub(super) ctype: String,
    #[serde(flatten)]
    pub(super) provider: LocaleProvider,
    /// The rights to it; `None`: the default.
    pub(super) acl: Option<String>,
    pub(super) template: bool,
    /// It accepts no connections.
    pub(super) closed: bool,
    /// The role may connect to it.
    pub(super) admits: bool,
    /// It belongs in a dump of all: it is not `template0`, nor what an interrupted DROP left.
    pub(super) dumped: bool,
    pub(super) bytes: u64,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct SettingsFile {
    /// Absolute, on the server.
    pub(super) path: String,
    #[serde(deserialize_with = "from_hex")]
    pub(super) content: Vec<u8>,
    /// It is in the data directory, and so in every base backup.
    pub(super) in_data: bool,
}

/// A tablespace other than the two that every server has.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Tablespace {
    pub(super) name: String,
    pub(super) location: String,
}

fn from_hex<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
    hex::decode(String::deserialize(from)?).map_err(D::Error::custom)
}

impl ServerInfo {
    pub(super) fn query(client: &Client) -> Result<Self> {
        let info: Self = client.query(QUERY)?;
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

    /// Whether the server answers and was not started again since.
    pub(super) fn is_of_same_start(&self, client: &Client) -> Result<bool> {
        Ok(client.query::<String>(STARTED)? == self.started)
    }

    /// The encoding of a database of this server.
    pub(super) fn encoding_of(&self, database: &str) -> &str {
        let found = self.databases.iter().find(|it| it.name == database);
        found.map_or("UTF8", |it| it.encoding.as_str())
    }

    /// The databases that an interrupted `DROP DATABASE` has left.
    pub(super) fn invalid(&self) -> impl Iterator<Item = &str> {
        let invalid = self.databases.iter().filter(|it| !it.dumped && it.name != "template0");
        invalid.map(|it| it.name.as_str())
    }

    /// The server's configuration files, if the role may read them.
    pub(super) fn settings(&self, client: &Client) -> Result<Option<Vec<SettingsFile>>> {
        if !self.reads_settings {
            return Ok(None);
        }
        client.query(SETTINGS).map(Some)
    }

    /// How the role gets to read everything.
    pub(super) const fn read_all(&self) -> &'static str {
        if self.major() < 14 {
            "make it a superuser: PostgreSQL 13 has no role that may read everything"
        } else {
            "GRANT pg_read_all_data TO it"
        }
    }

    /// What of the server no backup holds: replication slots, which say what a server still needs of this one, and what
    /// TLS takes from elsewhere.
    pub(super) fn left_out(&self) -> impl Iterator<Item = LeftOut> {
        let why = "a slot belongs to the running server: create it again where it is needed";
        let slots = self.slots.iter();
        let slots = slots.map(move |name| LeftOut::new(format!("replication slot {name}"), why));
        let why = "it is outside of the data directory: keep a copy of it";
        let files = self.tls_files.iter();
        slots.chain(files.map(move |path| LeftOut::new(format!("the file {path} for TLS"), why)))
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
