//! Whether two databases hold the same, row by row. Reads both in step; holds one row of each.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};

/// What a comparison found.
#[derive(Debug, thiserror::Error)]
pub(super) enum Difference {
    /// Rows, tables or indexes are not the same.
    #[error("{0}")]
    Found(String),
    /// One of them cannot be read.
    #[error("it cannot be read: {0}")]
    Unreadable(#[from] rusqlite::Error),
}

fn found<T>(text: String) -> Result<T, Difference> {
    Err(Difference::Found(text))
}

/// Compares `restored` with `expected`: the schema, then every row of every table, every column with its
/// type. Gives the number of rows that were compared; an error names the first one that differs.
pub(super) fn rows(restored: &Connection, expected: &Connection) -> Result<u64, Difference> {
    let tables = schema(expected)?;
    if schema(restored)? != tables {
        return found("its tables and indexes are not those of the original".to_owned());
    }
    let mut compared = 0;
    for object in tables.iter().filter(|object| object.kind == "table") {
        compared += table(restored, expected, &object.name)?;
    }
    Ok(compared)
}

/// A table or an index, as SQLite describes it.
#[derive(Debug, PartialEq, Eq)]
struct Object {
    kind: String,
    name: String,
    sql: Option<String>,
}

fn schema(database: &Connection) -> rusqlite::Result<Vec<Object>> {
    let mut query =
        database.prepare("SELECT type, name, sql FROM sqlite_schema ORDER BY type, name")?;
    let objects = query.query_map([], |row| {
        Ok(Object { kind: row.get(0)?, name: row.get(1)?, sql: row.get(2)? })
    })?;
    objects.collect()
}

fn table(restored: &Connection, expected: &Connection, name: &str) -> Result<u64, Difference> {
    let quoted = name.replace('"', "\"\"");
    let all = format!("SELECT rowid, * FROM \"{quoted}\" ORDER BY rowid");
    let (mut left, mut right) = (restored.prepare(&all)?, expected.prepare(&all)?);
    let columns: Vec<String> = right.column_names().into_iter().map(str::to_owned).collect();
    let (mut left, mut right) = (left.query([])?, right.query([])?);
    let mut compared = 0;
    loop {
        match (left.next()?, right.next()?) {
            (None, None) => return Ok(compared),
            (Some(row), None) => {
                let id: i64 = row.get(0)?;
                return found(format!("table {name} has row {id}, which was never committed"));
            }
            (None, Some(row)) => {
                let id: i64 = row.get(0)?;
                return found(format!("table {name} lacks row {id}"));
            }
            (Some(left), Some(right)) => row(name, &columns, left, right)?,
        }
        compared += 1;
    }
}

fn row(
    table: &str,
    columns: &[String],
    restored: &Row<'_>,
    expected: &Row<'_>,
) -> Result<(), Difference> {
    for (index, column) in columns.iter().enumerate() {
        let (is, should) = (restored.get_ref(index)?, expected.get_ref(index)?);
        if is != should {
            let id: i64 = expected.get(0)?;
            let (is, should) = (brief(is), brief(should));
            return found(format!(
                "table {table}, row {id}: {column} is {is} and was committed as {should}"
            ));
        }
    }
    Ok(())
}

/// A value short enough for a line.
fn brief(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => "NULL".to_owned(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
        ValueRef::Text(text) => {
            let text = String::from_utf8_lossy(text);
            let start: String = text.chars().take(32).collect();
            format!("{start:?} ({} bytes)", text.len())
        }
        ValueRef::Blob(bytes) => format!("a blob of {} bytes", bytes.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROWS: &str = "
        CREATE TABLE accounts (id INTEGER PRIMARY KEY, owner TEXT, balance);
        INSERT INTO accounts VALUES (1, 'ann', 10), (2, 'bob', 20), (3, NULL, x'00ff');
        CREATE TABLE empty (id INTEGER PRIMARY KEY);";

    fn changed_by(change: &str) -> Result<u64, String> {
        let (restored, expected) =
            (Connection::open_in_memory().unwrap(), Connection::open_in_memory().unwrap());
        restored.execute_batch(ROWS).unwrap();
        expected.execute_batch(ROWS).unwrap();
        restored.execute_batch(change).unwrap();
        rows(&restored, &expected).map_err(|difference| difference.to_string())
    }

    #[test]
    fn equal_databases_are_equal_in_every_row() {
        assert_eq!(changed_by(""), Ok(3));
    }

    #[test]
    fn a_changed_value_is_found_and_named() {
        assert_eq!(
            changed_by("UPDATE accounts SET balance = 21 WHERE id = 2").unwrap_err(),
            "table accounts, row 2: balance is 21 and was committed as 20"
        );
        for change in [
            "UPDATE accounts SET owner = 'annA' WHERE id = 1",
            "UPDATE accounts SET owner = '' WHERE id = 3",
            "UPDATE accounts SET balance = '10' WHERE id = 1",
            "UPDATE accounts SET balance = 10.0 WHERE id = 1",
            "UPDATE accounts SET balance = x'00fe' WHERE id = 3",
        ] {
            assert!(changed_by(change).is_err(), "{change}");
        }
    }

    #[test]
    fn a_row_too_many_or_too_few_is_found_and_named() {
        assert_eq!(
            changed_by("DELETE FROM accounts WHERE id = 3").unwrap_err(),
            "table accounts lacks row 3"
        );
        assert_eq!(
            changed_by("INSERT INTO empty VALUES (9)").unwrap_err(),
            "table empty has row 9, which was never committed"
        );
        assert!(changed_by("DELETE FROM accounts WHERE id = 1").is_err());
    }

    #[test]
    fn another_schema_is_a_difference() {
        for change in [
            "CREATE INDEX by_owner ON accounts (owner)",
            "CREATE TABLE extra (id INTEGER)",
            "DROP TABLE empty",
        ] {
            assert!(changed_by(change).is_err(), "{change}");
        }
    }
}
