//! Counting the rows of every table in a database, twice: by the table and by one of its indexes.
//!
//! A truncated table file is not invalid, only shorter, and a page of zeros is an empty page. But the index still
//! has the rows: where the visibility map marks a page as all visible, an index-only scan counts its rows without
//! reading the page; elsewhere it reads the page, or fails.

use serde::Deserialize;

use super::client::Client;
use super::login::quoted;
use super::verdict::{damaged, of_server};
use crate::engine::tool::ToolError;
use crate::engine::{DrillReport, Result};

/// The tables that have rows, each with the sort order of a B-tree over all of them, if it has one.
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

const SCAN_TABLE: &str = "SET enable_seqscan = on; SET enable_indexscan = off; \
    SET enable_indexonlyscan = off; SET enable_bitmapscan = off; SET enable_sort = on;\n";

const SCAN_INDEX: &str = "SET enable_seqscan = off; SET enable_indexscan = on; SET enable_indexonlyscan = on; \
    SET enable_sort = off;\n";

/// How many bytes of counts are read.
const MAX_OUTPUT: usize = 256 << 20;

#[derive(Debug, Deserialize)]
struct Table {
    schema: String,
    name: String,
    ordered: Option<String>,
}

impl Table {
    /// Statements that print two lines: the rows by table, and by index or `-`.
    fn statements(&self) -> String {
        let table = format!("ONLY {}.{}", quoted(&self.schema), quoted(&self.name));
        let by_table = format!("{SCAN_TABLE}SELECT count(*) FROM {table};\n");
        match &self.ordered {
            None => format!("{by_table}\\echo -\n"),
            Some(order) => format!(
                "{by_table}{SCAN_INDEX}SELECT count(*) FROM (SELECT 1 FROM {table} ORDER BY {order} OFFSET 0) s;\n"
            ),
        }
    }
}

pub(super) fn tables(client: &Client, database: &str, report: &mut DrillReport) -> Result<()> {
    let tables: Vec<Table> = client.query(TABLES)?;
    let script: String = tables.iter().map(Table::statements).collect();
    let (output, error) = run(client, &script)?;
    let mut lines = output.lines();
    for table in &tables {
        let shown = format!("{database}.{}.{}", table.schema, table.name);
        let (Some(rows), Some(indexed)) = (lines.next(), lines.next()) else {
            let why = error.map_or_else(|| "psql gave no reason".to_owned(), |it| it.to_string());
            return Err(of_server(&format!("table {shown} cannot be read: {why}")));
        };
        if indexed != "-" && indexed != rows {
            return Err(damaged(&format!(
                "table {shown} has {rows} rows, but its index leads to {indexed}"
            )));
        }
        report.count(shown, rows.parse().unwrap_or_default());
    }
    error.map_or(Ok(()), |error| Err(error.into()))
}

/// Runs a script. Returns what it printed, and the error that stopped it.
fn run(client: &Client, script: &str) -> Result<(String, Option<ToolError>)> {
    let tool = client.psql()?.args(["-f", "-"]).stdin_bytes(script.as_bytes())?;
    let mut stream = tool.env("PGAPPNAME", "coffer-drill").stream(&client.cancel)?;
    let mut output = Vec::new();
    stream.read_up_to(MAX_OUTPUT, &mut output)?;
    let error = match stream.finish() {
        Err(error @ (ToolError::Cancelled | ToolError::Start { .. })) => return Err(error.into()),
        ended => ended.err(),
    };
    Ok((String::from_utf8_lossy(&output).into_owned(), error))
}
