//! What in a database a role may not read, asked before `pg_dump` fails for it.

use serde::Deserialize;

use super::client::Client;
use super::faults::{bypass_row_security, read_large_objects};
use super::server_info::ServerInfo;
use crate::domain::FailureCode;
use crate::engine::{EngineError, Result};

/// One example of each kind. Of an extension's tables, only those that it asks for are dumped.
const QUERY: &str = "
WITH undumped AS (SELECT objid FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
  WHERE d.classid = 'pg_class'::regclass AND d.deptype = 'e' AND d.objid <> ALL (coalesce(e.extconfig, '{}')))
SELECT json_build_object(
  'policy', (SELECT min(format('%I.%I', n.nspname, c.relname))
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND c.relrowsecurity AND row_security_active(c.oid)
    AND c.oid NOT IN (SELECT objid FROM undumped)),
  'large_object', (SELECT min(oid::text) FROM pg_largeobject_metadata
    WHERE current_setting('lo_compat_privileges') = 'off' AND NOT pg_has_role(lomowner, 'USAGE')
    AND NOT EXISTS (SELECT FROM aclexplode(lomacl) acl WHERE acl.privilege_type = 'SELECT'
      AND (acl.grantee = 0 OR pg_has_role(acl.grantee, 'USAGE')))),
  'table', (SELECT min(format('%I.%I', n.nspname, c.relname))
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'S') AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
    AND NOT (has_table_privilege(c.oid, 'SELECT') AND has_schema_privilege(n.oid, 'USAGE'))
    AND c.oid NOT IN (SELECT objid FROM undumped)))";

#[derive(Debug, Deserialize)]
struct Unreadable {
    policy: Option<String>,
    large_object: Option<String>,
    table: Option<String>,
}

/// Fails if a dump of this database by this role would fail.
pub(super) fn require_readable(client: &Client, database: &str, info: &ServerInfo) -> Result<()> {
    let role = &info.role;
    let found: Unreadable = client.query(QUERY)?;
    let denied = |what: String, advice: String| {
        let problem = format!("in database {database}, the role {role} may not read {what}");
        EngineError::known(FailureCode::SourceDenied, format!("{problem}: {advice}"))
    };
    if let Some(table) = found.policy {
        let what = format!("all rows of table {table}, which has row-level security");
        return Err(denied(what, bypass_row_security(role)));
    }
    if let Some(object) = found.large_object {
        return Err(denied(format!("large object {object}"), read_large_objects(role)));
    }
    match found.table {
        Some(table) => Err(denied(table, info.read_all().to_owned())),
        None => Ok(()),
    }
}
