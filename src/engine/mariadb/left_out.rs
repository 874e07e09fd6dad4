//! What a dump does not hold.

use std::collections::BTreeSet;

use super::client::{Client, Row};
use super::facts::{Facts, condition, near};
use super::faults::classify;
use super::options::Options;
use super::programs::series;
use crate::domain::LeftOut;
use crate::engine::Result;

/// Storage engines whose rows are elsewhere, where the dump programs leave them, or only in memory.
pub(super) const ELSEWHERE: &str = "('FEDERATED', 'SPIDER', 'CONNECT', 'OQGRAPH', 'S3', 'MEMORY')";

/// Storage engines whose files `mariadb-backup` copies, that have no rows, or whose tables `far_files` finds.
const COPIED: &str = "('InnoDB', 'MyISAM', 'Aria', 'MRG_MyISAM', 'ARCHIVE', 'CSV', 'ROCKSDB', 'MEMORY', 'FEDERATED', \
     'BLACKHOLE', 'SEQUENCE')";

/// The tables of the schema `mysql` that every server of MariaDB makes itself.
const SYSTEM_TABLES: &str = "('column_stats', 'columns_priv', 'db', 'event', 'func', 'general_log', 'global_priv', \
     'gtid_slave_pos', 'help_category', 'help_keyword', 'help_relation', 'help_topic', 'index_stats', \
     'innodb_index_stats', 'innodb_table_stats', 'plugin', 'proc', 'procs_priv', 'proxies_priv', 'roles_mapping', \
     'servers', 'slow_log', 'spider_link_failed_log', 'spider_link_mon_servers', 'spider_table_crd', \
     'spider_table_position_for_recovery', 'spider_table_sts', 'spider_tables', 'spider_xa', \
     'spider_xa_failed_log', 'spider_xa_member', 'table_stats', 'tables_priv', 'time_zone', \
     'time_zone_leap_second', 'time_zone_name', 'time_zone_transition', 'time_zone_transition_type', \
     'transaction_registry', 'user', 'wsrep_allowlist', 'wsrep_cluster', 'wsrep_cluster_members', \
     'wsrep_streaming_log')";

const BY_TRANSACTION: &str = "SELECT DISTINCT TABLE_SCHEMA FROM information_schema.COLUMNS \
     WHERE GENERATION_EXPRESSION = 'ROW START' AND DATA_TYPE = 'bigint'";

/// What the databases of a server hold that a dump has to treat apart.
#[derive(Debug, Default)]
pub(super) struct Inventory {
    pub(super) left_out: Vec<LeftOut>,
    /// Views that the dump programs refuse, as `database.view`.
    pub(super) broken_views: Vec<String>,
    pub(super) with_views: BTreeSet<String>,
    /// Tables that keep the history of their rows, by database and name.
    pub(super) versioned: Vec<(String, String)>,
    /// The databases in which a table keeps its history by transactions, which stops the dump of any history.
    pub(super) by_transaction: BTreeSet<String>,
}

impl Inventory {
    pub(super) fn query(client: &Client, facts: &Facts, options: &Options) -> Result<Self> {
        let mut found = Self::default();
        let condition = condition("TABLE_SCHEMA", options);
        let select = |more: &str| {
            format!(
                "SELECT TABLE_SCHEMA, TABLE_NAME, TABLE_TYPE, IFNULL(ENGINE, ''), IFNULL(TABLE_COMMENT, ''), {more}"
            )
        };
        let context = options.shown();
        let ask = |sql: &str| client.execute(sql).map_err(|error| classify(error, &context));
        let mut rows = ask(&select(&format!(
            "'' FROM information_schema.TABLES WHERE {condition} AND TABLE_TYPE <> 'VIEW' \
             AND (TABLE_TYPE = 'SYSTEM VERSIONED' OR ENGINE IN {ELSEWHERE})"
        )))?;
        // Only because of TABLE_ROWS does the server open the views, and say in their comment what is wrong.
        rows.extend(ask(&select(&format!(
            "TABLE_ROWS FROM information_schema.TABLES WHERE {condition} AND TABLE_TYPE = 'VIEW' AND {}",
            near(client, options)?
        )))?);
        rows.sort();
        for row in rows {
            found.add(row);
        }
        if !found.broken_views.is_empty() {
            found.add_definitions(&ask(
                "SELECT CONCAT(TABLE_SCHEMA, '.', TABLE_NAME), VIEW_DEFINITION FROM information_schema.VIEWS",
            )?);
        }
        if !found.versioned.is_empty() {
            let rows = ask(BY_TRANSACTION)?;
            found.by_transaction = rows.into_iter().flatten().collect();
        }
        // MySQL lets only some accounts see them.
        for row in client.execute("XA RECOVER").unwrap_or_default() {
            if let [_format, _global, _branch, name] = row.as_slice() {
                let what = format!("the changes of prepared transaction {name}");
                found.left_out.push(LeftOut::new(what, "it has not committed them"));
            }
        }
        if options.server.database.is_none() && facts.is_mariadb() {
            for row in ask(&system_objects())? {
                if let [what, why] = row.as_slice() {
                    found.left_out.push(LeftOut::new(what, why));
                }
            }
        }
        Ok(found)
    }

    fn add(&mut self, row: Row) {
        let Ok([schema, name, kind, engine, comment, _]) = <[String; 6]>::try_from(row) else {
            return;
        };
        let full = format!("{schema}.{name}");
        match kind.as_str() {
            "VIEW" if comment.is_empty() || comment == "VIEW" => drop(self.with_views.insert(schema)),
            "VIEW" => {
                self.left_out.push(LeftOut::new(format!("the view {full}"), comment));
                self.broken_views.push(full);
            }
            "SYSTEM VERSIONED" => self.versioned.push((schema, name)),
            _ if engine == "MEMORY" => self.left_out.push(LeftOut::new(
                format!("the rows of {full} in a restored data directory"),
                "a MEMORY table is empty whenever its server was stopped; a restore into a running server has them",
            )),
            _ => self.left_out.push(LeftOut::new(
                format!("the rows of {full}"),
                format!("{engine} keeps them on another server or in files of its own"),
            )),
        }
    }

    /// Adds what a broken view was meant to be.
    fn add_definitions(&mut self, rows: &[Row]) {
        for row in rows {
            let [view, definition] = row.as_slice() else { continue };
            let what = format!("the view {view}");
            if let Some(it) = self.left_out.iter_mut().find(|it| it.what == what) {
                it.why = format!("{}; it is: {definition}", it.why);
            }
        }
    }
}

/// The tables of which a copy of the files holds only the definition. Those in memory, and those of FEDERATED, are known by
/// their definitions.
pub(super) fn not_copied(client: &Client) -> Result<Vec<LeftOut>> {
    let rows = client.query(&format!(
        "SELECT CONCAT(TABLE_SCHEMA, '.', TABLE_NAME), ENGINE FROM information_schema.TABLES \
         WHERE TABLE_TYPE <> 'VIEW' AND TABLE_SCHEMA NOT IN ('information_schema', 'performance_schema') \
         AND ENGINE NOT IN {COPIED} ORDER BY 1"
    ))?;
    let named = rows.iter().filter_map(|row| Some((row.first()?, row.get(1)?)));
    let left_out = named.map(|(table, engine)| {
        let why = format!(
            "{engine} keeps them on another server, or in files that mariadb-backup does not copy"
        );
        LeftOut::new(format!("the rows of {table}"), why)
    });
    Ok(left_out.collect())
}

/// The release since which a server says in which files its settings are.
const NAMES_FILES_SINCE: (u32, u32) = (10, 5);

/// The files with the server's settings, which no backup holds.
pub(super) fn settings_files(client: &Client, facts: &Facts) -> Result<Option<LeftOut>> {
    if !facts.is_mariadb() || series(&facts.version) < Some(NAMES_FILES_SINCE) {
        return Ok(None);
    }
    let rows = client.query(
        "SELECT DISTINCT GLOBAL_VALUE_PATH FROM information_schema.SYSTEM_VARIABLES \
         WHERE GLOBAL_VALUE_PATH LIKE '/%' ORDER BY 1",
    )?;
    let files = rows.into_iter().flatten().collect::<Vec<_>>().join(", ");
    let why = "they are outside of the data directory: keep a copy of them";
    Ok((!files.is_empty()).then(|| LeftOut::new(format!("the server's settings ({files})"), why)))
}

/// What a person may have put into the server's own schemas, and databases that are only folders.
fn system_objects() -> String {
    let own = "an object in one of the server's own schemas is not dumped: move it to a database";
    format!(
        "SELECT CONCAT(TABLE_SCHEMA, '.', TABLE_NAME), '{}' FROM information_schema.TABLES WHERE \
         (TABLE_SCHEMA = 'mysql' AND TABLE_NAME NOT IN {SYSTEM_TABLES}) OR \
         (BINARY TABLE_SCHEMA = 'sys' AND TABLE_TYPE = 'BASE TABLE' AND TABLE_NAME <> 'sys_config') \
         UNION SELECT CONCAT('mysql.', ROUTINE_NAME), '{0}' FROM information_schema.ROUTINES WHERE \
         ROUTINE_SCHEMA = 'mysql' AND ROUTINE_NAME NOT IN ('AddGeometryColumn', 'DropGeometryColumn') \
         UNION SELECT CONCAT('mysql.', EVENT_NAME), '{0}' FROM information_schema.EVENTS WHERE EVENT_SCHEMA = 'mysql' \
         UNION SELECT CONCAT('mysql.', TRIGGER_NAME), '{0}' FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = 'mysql' \
         UNION SELECT TABLE_SCHEMA, 'its folder in the data directory has a name that no database has' \
         FROM information_schema.TABLES WHERE TABLE_SCHEMA LIKE '#mysql50#%' \
         UNION SELECT 'the statistics in mysql.table_stats', 'ANALYZE TABLE … PERSISTENT makes them again' \
         FROM mysql.table_stats \
         UNION SELECT 'the position of replication in mysql.gtid_slave_pos', \
         'a restored server is no replica: CHANGE MASTER makes it one' FROM mysql.gtid_slave_pos",
        own.replace('\'', "''")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_view_is_left_out_with_its_reason_and_definition() {
        let mut found = Inventory::default();
        for (name, kind, engine, comment) in [
            ("good", "VIEW", "", "VIEW"),
            ("bad", "VIEW", "", "View 'a.bad' references invalid table(s)"),
            ("old", "SYSTEM VERSIONED", "InnoDB", ""),
            ("far", "BASE TABLE", "FEDERATED", ""),
        ] {
            found.add(["a", name, kind, engine, comment, "0"].map(str::to_owned).into());
        }
        found.add_definitions(&[vec!["a.bad".to_owned(), "select 1 from gone".to_owned()]]);
        assert_eq!(
            (found.broken_views, found.versioned),
            (vec!["a.bad".to_owned()], vec![("a".to_owned(), "old".to_owned())])
        );
        assert_eq!(found.with_views, BTreeSet::from(["a".to_owned()]));
        let text: Vec<String> = found.left_out.iter().map(ToString::to_string).collect();
        assert_eq!(text.len(), 2);
        assert!(
            text[0].starts_with("the view a.bad: ")
                && text[0].ends_with("it is: select 1 from gone")
        );
        assert!(text[1].starts_with("the rows of a.far: FEDERATED"));
    }
}
