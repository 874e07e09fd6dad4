//! A database of a running server that is replaced again and again by the newest backup. The new one is loaded beside
//! it, and the two exchange their names in one transaction: until then, and after any failure, the earlier one is there.
//!
//! What Coffer put there bears a mark as its comment. A database without it is never renamed, and never dropped.

use serde::Deserialize;

use super::client::Client;
use super::cluster::{Cluster, DUMPS};
use super::dump_loader::DumpLoader;
use super::logical::statements_name;
use super::login::{DEFAULT_DATABASE, literal, quoted};
use super::options::{KIND, Method, databases};
use super::session::Session;
use crate::domain::{Cancel, FailureCode, LeftOut, Source};
use crate::engine::source_path::invalid;
use crate::engine::tree::Staging;
use crate::engine::{EngineError, Placed, Refresh, Result, Staged};

/// What follows the name of the database that is loaded, and of the one that was replaced and is to be dropped.
const NEW: &str = ".coffer-new";
const OLD: &str = ".coffer-old";

/// How long a name may be in bytes; PostgreSQL cuts off the rest.
const LONGEST: usize = 63 - NEW.len();

/// Keys that say what is backed up, and nothing of where to restore to.
const OF_BACKUPS: [&str; 3] = ["databases", "method", "extra_args"];

/// How a mark begins.
const MARK: &str = "Refreshed by Coffer";

/// How often the exchange is tried: a client may connect again between two statements.
const ATTEMPTS: usize = 3;

/// What the server says then: that the database is in use, or that this role may not end a session there.
const MAY_PASS: [&str; 2] = ["55006", "42501"];

const DATABASES: &str = "SELECT coalesce(json_agg(json_build_object('name', datname, \
    'comment', shobj_description(oid, 'pg_database'))), '[]') FROM pg_database";

const ROLE: &str = "SELECT json_build_object('name', rolname, 'creates', rolcreatedb OR rolsuper, \
    'major', current_setting('server_version_num')::int / 10000) FROM pg_roles WHERE rolname = current_user";

/// Whether a database holds nothing of a user's.
const EMPTY: &str = "SELECT to_json(NOT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
    WHERE n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'))";

#[derive(Debug, Deserialize)]
struct Found {
    name: String,
    comment: Option<String>,
}

/// Whose sessions in a database the role may not end. The server's own processes there end by themselves.
const HOLDERS: &str = "SELECT json_build_object('role', current_user, \
    'superusers', coalesce(json_agg(DISTINCT s.rolname) FILTER (WHERE s.rolsuper), '[]'), \
    'others', coalesce(json_agg(DISTINCT s.rolname) FILTER (WHERE NOT s.rolsuper), '[]')) \
    FROM pg_stat_activity a JOIN pg_roles s ON s.oid = a.usesysid \
    WHERE a.pid <> pg_backend_pid() AND NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) \
    AND (s.rolsuper OR NOT pg_has_role(s.oid, 'USAGE') AND NOT pg_has_role('pg_signal_backend', 'USAGE')) \
    AND a.datname = ";

#[derive(Debug, Deserialize)]
struct Holders {
    role: String,
    superusers: Vec<String>,
    others: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Role {
    name: String,
    creates: bool,
    major: u32,
}

/// Checks the configuration.
pub(super) fn check(source: &Source, server: &Source, database: &str) -> Result<()> {
    let wrong = |why: String| Err(invalid(format!("staging.{why}")));
    if let Some(key) = OF_BACKUPS.iter().find(|key| server.0.contains_key(**key)) {
        return wrong(format!(
            "server has the key {key:?}, which says what is backed up: leave it out"
        ));
    }
    let parsed = KIND.server(server);
    let parsed = parsed
        .map_err(|error| invalid(error.to_string().replacen("source", "staging.server", 1)))?;
    if database.is_empty() || database.len() > LONGEST || database.contains(['\0', '\n', '\r']) {
        return wrong(format!("database must be a name of 1 to {LONGEST} bytes on one line"));
    }
    if parsed.database.as_deref().unwrap_or(DEFAULT_DATABASE) == database {
        return wrong(format!(
            "database is {database:?}, to which staging.server connects: name another one there, which is never replaced"
        ));
    }
    if KIND.server(source)?.method == Method::Physical {
        return wrong(
            "server needs method = \"logical\" in source: a physical backup holds a whole data directory, which goes \
             into no running server; or name a path in staging.to"
                .to_owned(),
        );
    }
    match databases(source)?.len() {
        1 => Ok(()),
        _ => wrong(
            "server needs source.databases with the one database that is restored, such as databases = [\"shop\"]"
                .to_owned(),
        ),
    }
}

/// Whether the database could be replaced. Says as whom.
pub(super) fn probe(server: &Source, database: &str) -> Result<String> {
    let Session { client, server, .. } = Session::open(server, &Cancel::default())?;
    let role: Role = client.query(ROLE)?;
    client.programs.client("pg_restore", role.major)?;
    if !role.creates {
        return Err(EngineError::known(
            FailureCode::TargetDenied,
            format!(
                "the role {name} may create no databases at {}: run ALTER ROLE {} CREATEDB",
                server.shown(),
                quoted(&role.name),
                name = role.name
            ),
        ));
    }
    let slot = Slot { client, address: server.shown(), name: database.to_owned(), mark: None };
    slot.require_own()?;
    Ok(format!("database {database} at {}, as the role {}", slot.address, role.name))
}

/// The database, and the two names beside it.
#[derive(Debug, Clone)]
pub(super) struct Slot {
    /// Connected to another database.
    client: Client,
    address: String,
    name: String,
    /// `None`: any that Coffer leaves.
    mark: Option<String>,
}

impl Slot {
    /// Fails unless the database is free, or what Coffer put there.
    pub(super) fn open(refresh: &Refresh<'_>, cancel: &Cancel) -> Result<Self> {
        let Session { client, server, .. } = Session::open(refresh.server, cancel)?;
        let client = Client { login: client.login.for_loading(), ..client };
        let name = refresh.database.to_owned();
        // A database that somebody renames or copies keeps its comment, and is theirs from then on.
        let mark = Some(format!("{MARK} as {name}: {}", refresh.mark));
        let slot = Self { client, address: server.shown(), name, mark };
        slot.require_own()?;
        Ok(slot)
    }

    fn new_name(&self) -> String {
        format!("{}{NEW}", self.name)
    }

    fn old_name(&self) -> String {
        format!("{}{OLD}", self.name)
    }

    pub(super) fn loader(&self) -> DumpLoader {
        DumpLoader { client: self.client.clone() }
    }

    fn bears_mark(&self, found: &Found) -> bool {
        let comment = found.comment.as_deref().unwrap_or_default();
        match &self.mark {
            Some(mark) => comment == mark,
            None => comment.starts_with(MARK),
        }
    }

    /// Fails if one of the three names belongs to a database that Coffer did not put there. Returns those that exist.
    fn require_own(&self) -> Result<Vec<String>> {
        let names = [self.name.clone(), self.new_name(), self.old_name()];
        let found: Vec<Found> = self.client.query(DATABASES)?;
        let found: Vec<Found> = found.into_iter().filter(|it| names.contains(&it.name)).collect();
        for it in &found {
            // Between its creation and its mark a process may have died.
            let unmarked = it.name == self.new_name() && it.comment.is_none();
            if !(self.bears_mark(it) || unmarked && self.is_empty(&it.name)?) {
                return Err(EngineError::known(
                    FailureCode::TargetOccupied,
                    format!(
                        "the server at {} has a database {:?} that Coffer did not put there for this instance; it is not \
                         replaced. Rename it: ALTER DATABASE {} RENAME TO …; or name another in staging.database",
                        self.address,
                        it.name,
                        quoted(&it.name)
                    ),
                ));
            }
        }
        Ok(found.into_iter().map(|it| it.name).collect())
    }

    fn is_empty(&self, name: &str) -> Result<bool> {
        self.client.in_database(name).query(EMPTY)
    }

    /// Loads what an archive's dump of `from` holds, and puts it in the place of what is there.
    fn replace(&self, staging: &Staging, cluster: &Cluster, from: &str) -> Result<Vec<LeftOut>> {
        let (new, old) = (self.new_name(), self.old_name());
        for name in self.require_own()?.iter().filter(|name| **name != self.name) {
            drop_database(&self.client, name)?;
        }
        let loader = self.loader();
        let replaced = loader.create_as(staging.path(), cluster, from, &new).and_then(|refused| {
            let mark = literal(self.mark.as_deref().unwrap_or(MARK));
            self.client.execute(&format!("COMMENT ON DATABASE {} IS {mark}", quoted(&new)))?;
            let mut left_out: Vec<LeftOut> = refused.into_iter().collect();
            left_out.extend(loader.load_content(staging.path(), cluster, from, &new)?);
            self.exchange(&new, &old)?;
            Ok(left_out)
        });
        // Also after the job was cancelled.
        let client = Client { cancel: Cancel::default(), ..self.client.clone() };
        let rest = if replaced.is_ok() { &old } else { &new };
        if let Err(error) = drop_database(&client, rest) {
            log::warn!("the next restore into staging drops database {rest}: {error}");
        }
        replaced
    }

    /// Gives the new database the name of the one that is there, which ends the sessions of all who use that one.
    fn exchange(&self, new: &str, old: &str) -> Result<()> {
        let is_there = self.require_own()?.contains(&self.name);
        let rename = |from: &str, to: &str| {
            format!("ALTER DATABASE {} RENAME TO {}", quoted(from), quoted(to))
        };
        let come = rename(new, &self.name);
        if !is_there {
            return self.client.execute(&come);
        }
        let end = format!(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
             WHERE datname = {} AND pid <> pg_backend_pid() AND usesysid IS NOT NULL",
            literal(&self.name)
        );
        let go = rename(&self.name, old);
        // Sent as one text, the statements are one transaction.
        let sql = format!("{end}; {go}; {come}");
        let mut left = ATTEMPTS;
        loop {
            self.require_may_end_sessions()?;
            let Some(refused) = self.client.attempt(&sql)? else { return Ok(()) };
            left = left.saturating_sub(1);
            if left == 0 || !MAY_PASS.contains(&refused.state.as_str()) {
                return Err(refused.error);
            }
        }
    }

    /// Fails while somebody uses the database whose session this role may not end.
    fn require_may_end_sessions(&self) -> Result<()> {
        let holders: Holders = self.client.query(&format!("{HOLDERS}{}", literal(&self.name)))?;
        let Holders { role, superusers, others } = holders;
        let (who, what) = match (superusers.is_empty(), others.is_empty()) {
            (true, true) => return Ok(()),
            (true, false) => {
                (others, format!("run GRANT pg_signal_backend TO {}, or", quoted(&role)))
            }
            (false, _) => (superusers, "only a superuser may end those of a superuser:".to_owned()),
        };
        Err(EngineError::known(
            FailureCode::TargetDenied,
            format!(
                "database {} is used by {}, and the role {role} may not end these sessions; {what} have them end before \
                 the time of staging.schedule",
                self.name,
                who.join(", ")
            ),
        ))
    }
}

fn drop_database(client: &Client, name: &str) -> Result<()> {
    client.execute(&format!("DROP DATABASE IF EXISTS {}", quoted(name)))
}

/// A complete, checked dump, not yet loaded.
pub(super) struct StagedRefresh {
    pub(super) staging: Staging,
    pub(super) cluster: Cluster,
    pub(super) slot: Slot,
    /// The database of the backup.
    pub(super) from: String,
    pub(super) check: Option<&'static str>,
}

impl Staged for StagedRefresh {
    fn check(&self) -> Option<&str> {
        self.check
    }

    fn place(self: Box<Self>, left_out: &mut Vec<LeftOut>) -> Result<Placed> {
        let Self { staging, cluster, slot, from, .. } = *self;
        if !cluster.databases.contains(&from) {
            return Err(EngineError::known(
                FailureCode::TargetDenied,
                format!(
                    "the backup has no database {from:?}; it has {}",
                    cluster.databases.join(", ")
                ),
            ));
        }
        left_out.extend(slot.replace(&staging, &cluster, &from)?);
        if staging.path().join(DUMPS).join(statements_name(&from)).exists() {
            let why = "staging gets neither subscriptions nor passwords of other servers";
            let what = format!("what no dump of database {from} holds");
            left_out.push(LeftOut { holds_no_data: true, ..LeftOut::new(what, why) });
        }
        Ok(Placed::In(format!("database {} of the server at {}", slot.name, slot.address)))
    }
}
