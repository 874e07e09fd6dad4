//! What `pg_dump` does not see in a database if its role is no superuser: subscriptions, and the options of user
//! mappings, among them passwords. A role with `pg_read_all_data` can read them all the same.

use serde::Deserialize;

use super::client::Client;
use crate::domain::LeftOut;
use crate::engine::EngineError;

/// What the role may read, and the names of what is there.
const SEEN: &str = "
SELECT json_build_object(
  'readable', has_table_privilege('pg_catalog.pg_user_mapping', 'SELECT')
    AND has_table_privilege('pg_catalog.pg_subscription', 'SELECT'),
  'subscriptions', (SELECT coalesce(json_agg(subname), '[]') FROM pg_subscription
    WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())),
  'mappings', (SELECT coalesce(json_agg(format('%s on server %s', usename, srvname)), '[]')
    FROM pg_user_mappings WHERE umoptions IS NULL))";

/// The statements that create it. A subscription is created as `pg_dump` would: it does not connect.
const STATEMENTS: &str = "
SELECT coalesce(json_agg(statement), '[]') FROM (
  SELECT format('ALTER USER MAPPING FOR %s SERVER %I OPTIONS (%s);',
    CASE WHEN m.umuser = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(m.umuser)) END, f.srvname,
    (SELECT string_agg(format('ADD %I %L', option_name, option_value), ', ')
     FROM pg_options_to_table(m.umoptions))) AS statement
  FROM pg_user_mapping m JOIN pg_foreign_server f ON f.oid = m.umserver
  JOIN pg_user_mappings v ON v.umid = m.oid
  WHERE m.umoptions IS NOT NULL AND v.umoptions IS NULL
  UNION ALL
  SELECT format('CREATE SUBSCRIPTION %I CONNECTION %L PUBLICATION %s WITH (connect = false, slot_name = %s, '
      || 'synchronous_commit = %L%s); ALTER SUBSCRIPTION %I OWNER TO %I;',
    s.subname, s.subconninfo, (SELECT string_agg(quote_ident(name), ', ') FROM unnest(s.subpublications) name),
    coalesce(quote_literal(s.subslotname), 'NONE'), s.subsynccommit,
    concat(', binary = ' || (to_jsonb(s) ->> 'subbinary'),
      CASE to_jsonb(s) ->> 'substream' WHEN 'true' THEN ', streaming = on' WHEN 't' THEN ', streaming = on'
        WHEN 'p' THEN ', streaming = parallel' END,
      CASE WHEN to_jsonb(s) ->> 'subtwophasestate' IN ('p', 'e') THEN ', two_phase = on' END),
    s.subname, pg_get_userbyid(s.subowner))
  FROM pg_subscription s WHERE s.subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())
) unseen";

#[derive(Debug, Deserialize)]
struct Seen {
    readable: bool,
    subscriptions: Vec<String>,
    mappings: Vec<String>,
}

/// What `pg_dump` left out of one database's dump.
#[derive(Debug)]
pub(super) enum Unseen {
    /// The statements that create it.
    Read(Vec<String>),
    /// The role may not read it; its names.
    Hidden(Vec<String>),
}

impl Unseen {
    pub(super) fn query(client: &Client) -> Result<Self, EngineError> {
        let seen: Seen = client.query(SEEN)?;
        if seen.readable {
            return Ok(Self::Read(client.query_names(STATEMENTS)?));
        }
        let subscriptions = seen.subscriptions.iter().map(|name| format!("subscription {name}"));
        let mappings =
            seen.mappings.iter().map(|it| format!("options of the user mapping of {it}"));
        Ok(Self::Hidden(subscriptions.chain(mappings).collect()))
    }

    pub(super) fn statements(&self) -> String {
        match self {
            Self::Read(statements) => {
                statements.iter().flat_map(|it| [it.as_str(), "\n"]).collect()
            }
            Self::Hidden(_) => String::new(),
        }
    }

    pub(super) fn left_out(&self, database: &str) -> Vec<LeftOut> {
        let Self::Hidden(names) = self else { return Vec::new() };
        let why = "the role may not read it: GRANT pg_read_all_data TO it";
        names.iter().map(|it| LeftOut::new(format!("{it} in database {database}"), why)).collect()
    }
}
