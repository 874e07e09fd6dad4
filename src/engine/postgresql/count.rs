//! Counting the rows of every table of a database, twice: along the table, and along an index of it.
//!
//! A table file that was cut is not wrong in itself, only shorter, and a page of zeros is an empty one. It
//! is the index that still leads there: where the visibility map says that all rows of a page count, a scan
//! of the index alone counts them without a look at the page; elsewhere it reads the page, or cannot.

use std::io::Write as _;

use serde::Deserialize;

use super::login::{Login, quoted};
use super::private::blamed;
use super::toolbox::Toolbox;
use crate::domain::Cancel;
use crate::engine::tool::ToolError;
use crate::engine::{DrillReport, EngineError, Refused};

/// The tables with rows of their own, each with the order of a B-tree over all of them, if there is one.
const TABLES: &str = "
SELECT coalesce(json_agg(json_build_object('schema', n.nspname, 'name', c.relname, 'ordered', i.ordered)
                         ORDER BY n.nspname, c.relname), '[]')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN LATERAL (
  SELECT (SELECT string_agg(
            pg_get_indexdef(x.indexrelid, k, true)
            || CASE WHEN x.indoption[k - 1] & 1 = 1 THEN ' DESC' ELSE ' ASC' END
            || CASE WHEN x.indoption[k - 1] & 2 = 2 THEN ' NULLS FIRST' ELSE ' NULLS LAST' END,
            ', ' ORDER BY k) FROM generate_series(1, x.indnkeyatts) k) AS ordered
  FROM pg_index x JOIN pg_class xc ON xc.oid = x.indexrelid JOIN pg_am am ON am.oid = xc.relam
  WHERE x.indrelid = c.oid AND am.amname = 'btree' AND x.indisvalid AND x.indpred IS NULL
    AND x.indexprs IS NULL
  ORDER BY x.indisprimary DESC, x.indisunique DESC, x.indexrelid LIMIT 1) i ON true
WHERE c.relkind IN ('r', 'm') AND c.relispopulated AND c.relpersistence <> 't'
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')";

const ALONG_TABLE: &str = "SET enable_seqscan = on; SET enable_indexscan = off; \
    SET enable_indexonlyscan = off; SET enable_bitmapscan = off; SET enable_sort = on;\n";

const ALONG_INDEX: &str = "SET enable_seqscan = off; SET enable_indexscan = on; SET enable_indexonlyscan = on; \
    SET enable_sort = off;\n";

#[derive(Debug, Deserialize)]
struct Table {
    schema: String,
    name: String,
    ordered: Option<String>,
}

impl Table {
    fn statements(&self) -> String {
        let table = format!("ONLY {}.{}", quoted(&self.schema), quoted(&self.name));
        let along = format!("{ALONG_TABLE}SELECT count(*) FROM {table};\n");
        match &self.ordered {
            None => format!("{along}\\echo -\n"),
            Some(order) => format!(
                "{along}{ALONG_INDEX}SELECT count(*) FROM (SELECT 1 FROM {table} ORDER BY {order} OFFSET 0) s;\n"
            ),
        }
    }
}

/// Counts every table of the database `name`.
pub(super) fn tables(
    login: &Login,
    toolbox: &Toolbox,
    name: &str,
    report: &mut DrillReport,
    cancel: &Cancel,
) -> Result<(), EngineError> {
    let answer = login.ask(toolbox, TABLES, cancel)?;
    let tables: Vec<Table> = serde_json::from_value(answer)
        .map_err(|error| damaged(&format!("the tables of {name} cannot be listed: {error}")))?;
    let script: String = tables.iter().map(Table::statements).collect();
    let said = run(login, toolbox, &script, cancel);
    let (said, failed) = said?;
    let mut lines = said.lines();
    for table in &tables {
        let shown = format!("{name}.{}.{}", table.schema, table.name);
        let (Some(rows), Some(indexed)) = (lines.next(), lines.next()) else {
            let why = failed.map_or_else(|| "psql did not say why".to_owned(), |it| it.to_string());
            return Err(damaged(&format!("table {shown} cannot be read: {why}")));
        };
        if indexed != "-" && indexed != rows {
            return Err(damaged(&format!(
                "table {shown} has {rows} rows, but its index leads to {indexed}"
            )));
        }
        report.count(shown, rows.parse().unwrap_or_default());
    }
    failed.map_or(Ok(()), Err)
}

fn damaged(what: &str) -> EngineError {
    blamed(what)
}

/// Runs a script; what it said, and the error that ended it.
fn run(
    login: &Login,
    toolbox: &Toolbox,
    script: &str,
    cancel: &Cancel,
) -> Result<(String, Option<EngineError>), EngineError> {
    let failed =
        |error: std::io::Error| EngineError::target("writing in", &std::env::temp_dir(), error);
    let mut file = tempfile::tempfile().map_err(failed)?;
    file.write_all(script.as_bytes())
        .and_then(|()| std::io::Seek::rewind(&mut file))
        .map_err(failed)?;
    let tool = login.psql(toolbox)?.args(["-f", "-"]).input(file);
    let mut stream = tool.env("PGAPPNAME", "coffer-drill").stream(cancel)?;
    let mut said = Vec::new();
    stream.read_up_to(256 << 20, &mut said)?;
    let failed = stream.finish().err();
    if matches!(failed, Some(ToolError::Cancelled)) {
        return Err(Refused.into());
    }
    Ok((String::from_utf8_lossy(&said).into_owned(), failed.map(Into::into)))
}
