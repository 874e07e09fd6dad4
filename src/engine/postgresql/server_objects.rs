//! What a server holds beside its roles and its databases' dumps: settings of all roles, properties of the tablespaces
//! that every server has, and databases that accept no connections.
//!
//! They are statements, each on a line of its own, so that each can be executed or refused by itself.

use serde::Deserialize;

use super::client::Client;
use super::login::{literal, quoted};
use crate::engine::Result;

const QUERY: &str = "
SELECT json_build_object(
  'settings', (SELECT coalesce(json_agg(json_build_object('role', rolname, 'database', datname,
      'name', split_part(it, '=', 1), 'value', substr(it, strpos(it, '=') + 1))), '[]')
    FROM pg_db_role_setting CROSS JOIN unnest(setconfig) it
    LEFT JOIN pg_roles r ON r.oid = setrole LEFT JOIN pg_database d ON d.oid = setdatabase
    WHERE (setrole = 0 AND setdatabase = 0) OR NOT datallowconn),
  'tablespaces', (SELECT coalesce(json_agg(json_build_object('kind', 'TABLESPACE', 'name', spcname,
      'options', spcoptions, 'owner', pg_get_userbyid(spcowner), 'comment', shobj_description(oid, 'pg_tablespace'),
      'rights', CASE WHEN spcacl IS NOT NULL THEN (SELECT coalesce(json_agg(json_build_object(
        'grantor', pg_get_userbyid(grantor), 'grantee', CASE WHEN grantee <> 0 THEN pg_get_userbyid(grantee) END,
        'privilege', privilege_type, 'grantable', is_grantable)), '[]') FROM aclexplode(spcacl)) END)), '[]')
    FROM pg_tablespace WHERE oid IN (1663, 1664)),
  'closed', (SELECT coalesce(json_agg(json_build_object('encoding', pg_encoding_to_char(encoding),
      'collate', datcollate, 'ctype', datctype, 'template', datistemplate, 'limit', datconnlimit,
      'provider', to_jsonb(d) ->> 'datlocprovider', 'rules', to_jsonb(d) ->> 'daticurules',
      'locale', coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale'),
      'object', json_build_object('kind', 'DATABASE', 'name', datname,
        'owner', pg_get_userbyid(datdba), 'comment', shobj_description(oid, 'pg_database'),
        'rights', CASE WHEN datacl IS NOT NULL THEN (SELECT coalesce(json_agg(json_build_object(
          'grantor', pg_get_userbyid(grantor), 'grantee', CASE WHEN grantee <> 0 THEN pg_get_userbyid(grantee) END,
          'privilege', privilege_type, 'grantable', is_grantable)), '[]') FROM aclexplode(datacl)) END))), '[]')
    FROM pg_database d WHERE NOT datallowconn))";

/// Settings whose value is a list of names, which `SET … TO` would quote again.
const LISTS: [&str; 4] =
    ["search_path", "temp_tablespaces", "local_preload_libraries", "session_preload_libraries"];

#[derive(Debug, Deserialize)]
struct ServerObjects {
    settings: Vec<Setting>,
    tablespaces: Vec<Object>,
    closed: Vec<ClosedDatabase>,
}

/// A setting of a role, in a database, or of all of them.
#[derive(Debug, Deserialize)]
struct Setting {
    role: Option<String>,
    database: Option<String>,
    name: String,
    value: String,
}

#[derive(Debug, Deserialize)]
struct Object {
    kind: String,
    name: String,
    owner: String,
    options: Option<Vec<String>>,
    comment: Option<String>,
    /// `None`: the default.
    rights: Option<Vec<Right>>,
}

#[derive(Debug, Deserialize)]
struct Right {
    grantor: String,
    /// `None`: everybody.
    grantee: Option<String>,
    privilege: String,
    grantable: bool,
}

#[derive(Debug, Deserialize)]
struct ClosedDatabase {
    object: Object,
    encoding: String,
    collate: String,
    ctype: String,
    provider: Option<String>,
    locale: Option<String>,
    rules: Option<String>,
    template: bool,
    limit: i32,
}

/// The statements that make it all again, with those of the databases in `closed` that accept no connections.
pub(super) fn statements(client: &Client, closed: &[&str]) -> Result<Vec<String>> {
    let mut found: ServerObjects = client.query(QUERY)?;
    found.closed.retain(|it| closed.contains(&it.object.name.as_str()));
    found
        .settings
        .retain(|it| it.database.as_deref().is_none_or(|database| closed.contains(&database)));
    Ok(found.statements())
}

impl ServerObjects {
    fn statements(&self) -> Vec<String> {
        let tablespaces = self.tablespaces.iter().flat_map(Object::statements);
        let created = self.closed.iter().map(ClosedDatabase::create);
        let closed = self.closed.iter().flat_map(|it| it.object.statements());
        let settings = self.settings.iter().map(Setting::statement);
        tablespaces.chain(created).chain(closed).chain(settings).collect()
    }
}

impl Setting {
    fn statement(&self) -> String {
        let of = match (&self.role, &self.database) {
            (None, None) => "ROLE ALL".to_owned(),
            (None, Some(database)) => format!("DATABASE {}", quoted(database)),
            (Some(role), None) => format!("ROLE {}", quoted(role)),
            (Some(role), Some(database)) => {
                format!("ROLE {} IN DATABASE {}", quoted(role), quoted(database))
            }
        };
        let (name, value) = (quoted(&self.name), literal(&self.value));
        if LISTS.contains(&self.name.as_str()) {
            let set =
                format!("SELECT pg_catalog.set_config({}, {value}, false)", literal(&self.name));
            return format!("{set}; ALTER {of} SET {name} FROM CURRENT; RESET {name};");
        }
        format!("ALTER {of} SET {name} TO {value};")
    }
}

impl Object {
    fn statements(&self) -> Vec<String> {
        let object = format!("{} {}", self.kind, quoted(&self.name));
        let mut list = Vec::new();
        for option in self.options.iter().flatten() {
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            list.push(format!("ALTER {object} SET ({} = {});", quoted(name), literal(value)));
        }
        if let Some(comment) = &self.comment {
            list.push(format!("COMMENT ON {object} IS {};", literal(comment)));
        }
        if let Some(rights) = &self.rights {
            let owner = quoted(&self.owner);
            list.push(format!("REVOKE ALL ON {object} FROM PUBLIC, {owner};"));
            list.extend(rights.iter().map(|it| it.statement(&object, &self.owner)));
        }
        list
    }
}

impl Right {
    /// A superuser grants as the object's owner. What somebody else granted is granted by that role again.
    fn statement(&self, object: &str, owner: &str) -> String {
        let Self { grantor, privilege, .. } = self;
        let grantee = self.grantee.as_deref().map_or_else(|| "PUBLIC".to_owned(), quoted);
        let option = if self.grantable { " WITH GRANT OPTION" } else { "" };
        let grant = format!("GRANT {privilege} ON {object} TO {grantee}{option};");
        if grantor == owner {
            return grant;
        }
        let grantor = quoted(grantor);
        format!("SET SESSION AUTHORIZATION {grantor}; {grant} RESET SESSION AUTHORIZATION;")
    }
}

impl ClosedDatabase {
    fn create(&self) -> String {
        let locale = literal(self.locale.as_deref().unwrap_or_default());
        let provider = match self.provider.as_deref() {
            Some("i") => format!(" LOCALE_PROVIDER icu ICU_LOCALE {locale}"),
            Some("b") => format!(" LOCALE_PROVIDER builtin BUILTIN_LOCALE {locale}"),
            Some(_) => " LOCALE_PROVIDER libc".to_owned(),
            None => String::new(),
        };
        let rules = self.rules.as_deref().map(|it| format!(" ICU_RULES {}", literal(it)));
        let Self { limit, template, .. } = self;
        format!(
            "CREATE DATABASE {} TEMPLATE template0 OWNER {} ENCODING {} LC_COLLATE {} LC_CTYPE {}{provider}{} \
             CONNECTION LIMIT {limit} IS_TEMPLATE {template} ALLOW_CONNECTIONS false;",
            quoted(&self.object.name),
            quoted(&self.object.owner),
            literal(&self.encoding),
            literal(&self.collate),
            literal(&self.ctype),
            rules.unwrap_or_default()
        )
    }
}
