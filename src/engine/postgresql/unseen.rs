//! What the dump of a database does not hold.
//!
//! If its role is no superuser, `pg_dump` sees neither subscriptions nor the options of user mappings, among them
//! passwords. A role with `pg_read_all_data` can read them all the same, and they become statements of their own.

use serde::Deserialize;

use super::client::Client;
use super::server_info::ServerInfo;
use super::{extension_changes, extensions};
use crate::domain::LeftOut;
use crate::engine::Result;

/// What no dump holds, whoever makes it.
const LEFT_OUT: &str = "
WITH own AS (SELECT oid FROM pg_namespace WHERE nspname IN ('pg_catalog', 'information_schema')), object AS (
  SELECT 'pg_class'::regclass AS class, oid, relnamespace AS schema FROM pg_class WHERE relkind NOT IN ('i', 'I', 't')
  UNION ALL SELECT 'pg_proc'::regclass, oid, pronamespace FROM pg_proc
  UNION ALL SELECT 'pg_type'::regclass, oid, typnamespace FROM pg_type WHERE typtype IN ('b', 'd', 'e', 'r')
  UNION ALL SELECT 'pg_operator'::regclass, oid, oprnamespace FROM pg_operator
  UNION ALL SELECT 'pg_opclass'::regclass, oid, opcnamespace FROM pg_opclass
  UNION ALL SELECT 'pg_opfamily'::regclass, oid, opfnamespace FROM pg_opfamily
  UNION ALL SELECT 'pg_collation'::regclass, oid, collnamespace FROM pg_collation
  UNION ALL SELECT 'pg_conversion'::regclass, oid, connamespace FROM pg_conversion
  UNION ALL SELECT 'pg_ts_config'::regclass, oid, cfgnamespace FROM pg_ts_config
  UNION ALL SELECT 'pg_ts_dict'::regclass, oid, dictnamespace FROM pg_ts_dict)
SELECT coalesce(json_agg(json_build_object('what', what, 'why', why)), '[]') FROM (
  SELECT pg_describe_object(class, oid, 0) AS what,
    'pg_dump takes nothing from the server''s own schemas: move it to another' AS why
  FROM object WHERE oid >= 16384 AND schema IN (SELECT oid FROM own) AND NOT EXISTS (SELECT FROM pg_depend d
    WHERE d.classid = class AND d.objid = object.oid AND d.deptype IN ('e', 'i'))
  UNION ALL
  -- Those of the server itself are older than template0.
  SELECT format('the comment on %s', pg_describe_object(classoid, objoid, objsubid)),
    'pg_dump takes no comments on what every server has'
  FROM pg_description WHERE objoid < 16384 AND classoid <> 'pg_largeobject'::regclass
    AND NOT (classoid = 'pg_namespace'::regclass AND objoid = 2200)
    AND age(xmin) <= (SELECT age(datfrozenxid) FROM pg_database WHERE datname = 'template0')
  UNION ALL
  SELECT format('version %s of extension %s', extversion, extname),
    'a restore creates the version that is the default of its server'
  FROM pg_extension JOIN pg_available_extensions ON name = extname WHERE extversion <> default_version
  UNION ALL
  SELECT format('index %s', indexrelid::regclass), 'it is not valid, so pg_dump passes over it'
  FROM pg_index JOIN pg_class c ON c.oid = indexrelid WHERE NOT indisvalid AND relkind = 'i'
  UNION ALL
  SELECT format('that subscription %s is enabled', subname), 'a restore creates it disabled, so that it takes nothing '
    || 'from its publisher: ALTER SUBSCRIPTION ENABLE lets it'
  FROM pg_subscription WHERE subenabled AND subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())
  UNION ALL
  SELECT format('file %s of foreign table %s', option_value, ftrelid::regclass), 'it is not in the server''s data directory'
  FROM pg_foreign_table JOIN pg_foreign_server s ON s.oid = ftserver JOIN pg_foreign_data_wrapper w ON w.oid = srvfdw
  CROSS JOIN pg_options_to_table(ftoptions) WHERE option_name = 'filename' AND fdwname = 'file_fdw') missing";

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
      CASE WHEN to_jsonb(s) ->> 'subtwophasestate' IN ('p', 'e') THEN ', two_phase = on' END,
      ', disable_on_error = ' || (to_jsonb(s) ->> 'subdisableonerr'), ', origin = ' || (to_jsonb(s) ->> 'suborigin'),
      ', password_required = ' || (to_jsonb(s) ->> 'subpasswordrequired'),
      ', run_as_owner = ' || (to_jsonb(s) ->> 'subrunasowner'), ', failover = ' || (to_jsonb(s) ->> 'subfailover')),
    s.subname, pg_get_userbyid(s.subowner))
  FROM pg_subscription s WHERE s.subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())
) unseen";

#[derive(Debug, Deserialize)]
struct Seen {
    readable: bool,
    subscriptions: Vec<String>,
    mappings: Vec<String>,
}

/// What `pg_dump` leaves out of one database's dump.
#[derive(Debug)]
pub(super) struct Unseen {
    /// The statements that create what could be read all the same, each on its own line.
    pub(super) statements: String,
    pub(super) left_out: Vec<LeftOut>,
}

impl Unseen {
    /// `client` is connected to `database`.
    pub(super) fn query(client: &Client, database: &str, info: &ServerInfo) -> Result<Self> {
        let mut left_out: Vec<LeftOut> = client.query(LEFT_OUT)?;
        for query in [extensions::LEFT_OUT, extension_changes::LEFT_OUT] {
            left_out.extend(client.query::<Vec<LeftOut>>(query)?);
        }
        let mut unseen = Self { statements: String::new(), left_out };
        if !info.superuser {
            unseen.add_hidden(client, info)?;
        }
        for it in &mut unseen.left_out {
            it.what = format!("{} in database {database}", it.what);
        }
        Ok(unseen)
    }

    /// Adds what only a superuser's dump holds.
    fn add_hidden(&mut self, client: &Client, info: &ServerInfo) -> Result<()> {
        let seen: Seen = client.query(SEEN)?;
        if seen.readable {
            let statements = client.query_names(STATEMENTS)?;
            self.statements = statements.iter().flat_map(|it| [it.as_str(), "\n"]).collect();
            return Ok(());
        }
        let subscriptions = seen.subscriptions.iter().map(|name| format!("subscription {name}"));
        let mappings =
            seen.mappings.iter().map(|it| format!("options of the user mapping of {it}"));
        let why = format!("the role may not read it: {}", info.read_all());
        let hidden = subscriptions.chain(mappings);
        self.left_out.extend(hidden.map(|what| LeftOut::new(what, why.as_str())));
        Ok(())
    }
}
