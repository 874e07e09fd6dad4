//! The tables of a restored server, checked and counted.

use super::client::{Client, Row, quoted_name};
use crate::engine::tool::{ToolError, says_any};

/// Every table that holds rows.
const TABLES: &str = "SELECT TABLE_SCHEMA, TABLE_NAME, IFNULL(ENGINE, '') FROM information_schema.TABLES \
     WHERE TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED') \
     AND TABLE_SCHEMA NOT IN ('information_schema', 'performance_schema') ORDER BY 1, 2";

/// Storage engines whose rows are on other servers.
const ELSEWHERE: [&str; 4] = ["FEDERATED", "SPIDER", "CONNECT", "S3"];

/// What the server says of a table that it cannot check here, for want of an engine, a plugin, a key or an upgrade.
const UNCHECKED: [&str; 8] = [
    "Unknown storage engine",
    "is not loaded",
    "is not defined",
    "upgrade",
    "rebuild required",
    "decrypt",
    "ncryption",
    "collation",
];

/// The status from `CHECK TABLE` of a table that is in order or was not checked again.
const GOOD: [&str; 2] = ["OK", "Table is already up to date"];

/// Whether the rows of this storage engine's tables are on other servers.
pub(super) fn keeps_rows_elsewhere(engine: &str) -> bool {
    ELSEWHERE.iter().any(|it| it.eq_ignore_ascii_case(engine))
}

#[derive(Debug)]
pub(super) struct Table {
    schema: String,
    name: String,
    engine: String,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Examined {
    /// It is in order and has this many rows.
    Rows(u64),
    /// What the server says is wrong.
    Damaged(String),
    /// Its rows are on another server.
    Elsewhere,
    /// This server cannot check it, for this reason.
    Unchecked(String),
}

pub(super) fn version(client: &Client) -> Result<String, ToolError> {
    let answer = client.execute("SELECT VERSION()")?;
    Ok(answer.into_iter().flatten().next().unwrap_or_default())
}

pub(super) fn list(client: &Client) -> Result<Vec<Table>, ToolError> {
    let answer = client.execute(TABLES)?;
    Ok(answer
        .into_iter()
        .filter_map(|row| <[String; 3]>::try_from(row).ok())
        .map(|[schema, name, engine]| Table { schema, name, engine })
        .collect())
}

impl Table {
    pub(super) fn shown(&self) -> String {
        format!("{}.{}", self.schema, self.name)
    }

    /// Whether it is one of the server's own tables.
    pub(super) fn is_system(&self) -> bool {
        ["mysql", "sys"].contains(&self.schema.as_str())
    }

    /// Runs the thorough check and counts the rows twice: the server's way, by the smallest index or from a counter,
    /// and by reading every row.
    pub(super) fn examine(&self, client: &Client) -> Result<Examined, ToolError> {
        if keeps_rows_elsewhere(&self.engine) {
            return Ok(Examined::Elsewhere);
        }
        let table = format!("{}.{}", quoted_name(&self.schema), quoted_name(&self.name));
        let checked = client.execute(&format!("CHECK TABLE {table} EXTENDED"))?;
        match verdict(&checked) {
            Examined::Rows(_) => {}
            other => return Ok(other),
        }
        let sql = format!(
            "SELECT COUNT(*) FROM {table}; SELECT IFNULL(SUM(1), 0) FROM {table} USE INDEX ()"
        );
        let counts: Vec<u64> =
            client.execute(&sql)?.iter().flatten().filter_map(|count| count.parse().ok()).collect();
        Ok(match counts.as_slice() {
            [counted, read] if counted == read => Examined::Rows(*read),
            [counted, read] => Examined::Damaged(format!(
                "{counted} rows by its index or counter, but {read} by reading them"
            )),
            _ => Examined::Damaged("its rows cannot be counted".to_owned()),
        })
    }
}

/// Reads the rows of `CHECK TABLE`: table, `check`, kind, text.
fn verdict(answer: &[Row]) -> Examined {
    let mut problems = Vec::new();
    for row in answer {
        let [_, _, kind, text] = row.as_slice() else { continue };
        if says_any(text, &UNCHECKED) {
            return Examined::Unchecked(text.clone());
        }
        let is_problem = match kind.to_lowercase().as_str() {
            "error" => true,
            "status" => !GOOD.contains(&text.as_str()),
            _ => false,
        };
        if is_problem || (kind.eq_ignore_ascii_case("warning") && text.contains("corrupt")) {
            problems.push(text.clone());
        }
    }
    if problems.is_empty() { Examined::Rows(0) } else { Examined::Damaged(problems.join("; ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(rows: &[(&str, &str)]) -> Examined {
        let rows: Vec<Row> = rows
            .iter()
            .map(|(kind, text)| ["a.b", "check", kind, text].map(str::to_owned).into())
            .collect();
        verdict(&rows)
    }

    #[test]
    fn a_check_without_errors_is_passed() {
        assert_eq!(of(&[("status", "OK")]), Examined::Rows(0));
        let note = "The storage engine for the table doesn't support check";
        assert_eq!(of(&[("note", note)]), Examined::Rows(0));
        assert_eq!(
            of(&[
                ("warning", "1 client is using or hasn't closed the table properly"),
                ("status", "OK")
            ]),
            Examined::Rows(0)
        );
        assert_eq!(
            of(&[("Error", "Unknown storage engine 'X'"), ("error", "Corrupt")]),
            Examined::Unchecked("Unknown storage engine 'X'".to_owned())
        );
    }

    #[test]
    fn an_error_or_an_unknown_status_is_damage() {
        for rows in [
            &[("Error", "Size of datafile is: 1 Should be: 2"), ("error", "Corrupt")][..],
            &[("status", "Operation failed")],
            &[("Warning", "InnoDB: Index n is corrupted"), ("status", "OK")],
        ] {
            assert!(matches!(of(rows), Examined::Damaged(_)), "{rows:?}");
        }
    }
}
