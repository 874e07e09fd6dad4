//! The tables of a restored server, checked and counted.

use super::client::{Client, Row, quoted_name};
use crate::domain::Cancel;
use crate::engine::tool::ToolError;

/// Every table with rows of its own.
const ALL: &str = "SELECT TABLE_SCHEMA, TABLE_NAME, IFNULL(ENGINE, '') FROM information_schema.TABLES \
     WHERE TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED') \
     AND TABLE_SCHEMA NOT IN ('information_schema', 'performance_schema') ORDER BY 1, 2";

/// Storage engines whose rows lie on other servers.
const ELSEWHERE: [&str; 4] = ["FEDERATED", "SPIDER", "CONNECT", "S3"];

/// What `CHECK TABLE` says of a table in order, or of one that it cannot check.
const SOUND: [&str; 2] = ["OK", "Table is already up to date"];

/// A table.
#[derive(Debug)]
pub(super) struct Table {
    schema: String,
    name: String,
    engine: String,
}

/// What became of a table.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Examined {
    /// It is sound, and has so many rows.
    Rows(u64),
    /// It is not, in the server's words.
    Damaged(String),
    /// Its rows lie elsewhere, or this server lacks the storage engine.
    NotHere,
}

/// The server's version.
pub(super) fn version(client: &Client, cancel: &Cancel) -> Result<String, ToolError> {
    let answer = client.work("SELECT VERSION()", cancel)?;
    Ok(answer.into_iter().flatten().next().unwrap_or_default())
}

/// Every table.
pub(super) fn all(client: &Client, cancel: &Cancel) -> Result<Vec<Table>, ToolError> {
    let answer = client.work(ALL, cancel)?;
    Ok(answer
        .into_iter()
        .filter_map(|row| <[String; 3]>::try_from(row).ok())
        .map(|[schema, name, engine]| Table { schema, name, engine })
        .collect())
}

impl Table {
    /// Its name for people.
    pub(super) fn shown(&self) -> String {
        format!("{}.{}", self.schema, self.name)
    }

    /// Whether it is the server's own.
    pub(super) fn is_system(&self) -> bool {
        ["mysql", "sys"].contains(&self.schema.as_str())
    }

    /// Runs the thorough check and counts the rows twice: as the server likes to, which is by the smallest
    /// index or from a counter, and by reading every row.
    pub(super) fn examine(&self, client: &Client, cancel: &Cancel) -> Result<Examined, ToolError> {
        if ELSEWHERE.contains(&self.engine.as_str()) {
            return Ok(Examined::NotHere);
        }
        let table = format!("{}.{}", quoted_name(&self.schema), quoted_name(&self.name));
        let checked = client.work(&format!("CHECK TABLE {table} EXTENDED"), cancel)?;
        match verdict(&checked) {
            Examined::Rows(_) => {}
            other => return Ok(other),
        }
        let sql = format!(
            "SELECT COUNT(*) FROM {table}; SELECT IFNULL(SUM(1), 0) FROM {table} USE INDEX ()"
        );
        let counts: Vec<u64> = client
            .work(&sql, cancel)?
            .iter()
            .flatten()
            .filter_map(|count| count.parse().ok())
            .collect();
        Ok(match counts.as_slice() {
            [counted, read] if counted == read => Examined::Rows(*read),
            [counted, read] => Examined::Damaged(format!(
                "{counted} rows by its index or counter, {read} by reading them"
            )),
            _ => Examined::Damaged("its rows cannot be counted".to_owned()),
        })
    }
}

/// What the rows of `CHECK TABLE` say: table, `check`, kind, text.
fn verdict(answer: &[Row]) -> Examined {
    let mut wrong = Vec::new();
    for row in answer {
        let [_, _, kind, text] = row.as_slice() else { continue };
        if text.contains("Unknown storage engine") {
            return Examined::NotHere;
        }
        let is_wrong = match kind.to_lowercase().as_str() {
            "error" => true,
            "status" => !SOUND.contains(&text.as_str()),
            _ => false,
        };
        if is_wrong || (kind.eq_ignore_ascii_case("warning") && text.contains("corrupt")) {
            wrong.push(text.clone());
        }
    }
    if wrong.is_empty() { Examined::Rows(0) } else { Examined::Damaged(wrong.join("; ")) }
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
    fn a_check_is_passed_when_nothing_in_it_is_an_error() {
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
            Examined::NotHere
        );
    }

    #[test]
    fn an_error_or_another_status_is_damage() {
        for rows in [
            &[("Error", "Size of datafile is: 1 Should be: 2"), ("error", "Corrupt")][..],
            &[("status", "Operation failed")],
            &[("Warning", "InnoDB: Index n is corrupted"), ("status", "OK")],
        ] {
            assert!(matches!(of(rows), Examined::Damaged(_)), "{rows:?}");
        }
    }
}
