//! Numbers that a dump rounds: the program asks the server for a `FLOAT` as text, and that has six digits.

use std::collections::BTreeMap;

use super::client::{Client, quoted_name};
use super::facts::{Facts, condition};
use super::faults::classify;
use super::left_out::ELSEWHERE;
use super::options::Options;
use crate::domain::LeftOut;
use crate::engine::Result;

/// How many columns are asked about at once: all of a table may be too many for one statement.
const TOGETHER: usize = 50;

/// How many rows of a table say enough to foretell it.
const FEW: u32 = 1000;

/// How much of a table is looked through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rows {
    All,
    Few,
}

/// The columns of which a dump does not hold every value as it is.
pub(super) fn rounded(
    client: &Client,
    facts: &Facts,
    options: &Options,
    rows: Rows,
) -> Result<Vec<LeftOut>> {
    if !facts.is_mariadb() {
        return Ok(Vec::new());
    }
    let condition = condition("TABLE_SCHEMA", options);
    let columns = client.execute(&format!(
        "SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME FROM information_schema.COLUMNS \
         JOIN information_schema.TABLES USING (TABLE_SCHEMA, TABLE_NAME) WHERE {condition} AND DATA_TYPE = 'float' \
         AND NUMERIC_SCALE IS NULL AND IS_GENERATED = 'NEVER' AND TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED') \
         AND ENGINE NOT IN {ELSEWHERE} ORDER BY 1, 2, ORDINAL_POSITION"
    ));
    let columns = columns.map_err(|error| classify(error, &options.shown()))?;
    let mut tables = BTreeMap::<(String, String), Vec<String>>::new();
    for row in columns {
        let Ok([schema, table, column]) = <[String; 3]>::try_from(row) else { continue };
        tables.entry((schema, table)).or_default().push(column);
    }
    let why = "mariadb-dump writes six digits of a FLOAT, and some values have more; method = \"physical\" keeps them";
    let mut found = Vec::new();
    for ((schema, table), columns) in tables {
        for together in columns.chunks(TOGETHER) {
            // A server that does not know the question is dumped all the same.
            let answer = client.execute(&question(&schema, &table, together, rows));
            let answer = answer.unwrap_or_default().into_iter().next().unwrap_or_default();
            let rounded = together.iter().zip(answer).filter(|(_, more)| more == "1");
            found.extend(rounded.map(|(column, _)| {
                LeftOut::new(format!("the exact values of {schema}.{table}.{column}"), why)
            }));
        }
    }
    Ok(found)
}

/// Of each column, whether it has a value that is another one when it is read back from its text.
fn question(schema: &str, table: &str, columns: &[String], rows: Rows) -> String {
    let table = format!("{}.{}", quoted_name(schema), quoted_name(table));
    let more = |column: &String| {
        let name = quoted_name(column);
        format!("MAX({name} <> CAST(CAST({name} AS CHAR) AS FLOAT))")
    };
    let asked = columns.iter().map(more).collect::<Vec<_>>().join(", ");
    let names = columns.iter().map(|it| quoted_name(it)).collect::<Vec<_>>().join(", ");
    match rows {
        Rows::All => format!("SELECT {asked} FROM {table}"),
        Rows::Few => format!("SELECT {asked} FROM (SELECT {names} FROM {table} LIMIT {FEW}) few"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_columns_are_asked_about_in_one_reading_of_the_table() {
        let columns = ["a".to_owned(), "b`c".to_owned()];
        assert_eq!(
            question("s", "t", &columns, Rows::All),
            "SELECT MAX(`a` <> CAST(CAST(`a` AS CHAR) AS FLOAT)), MAX(`b``c` <> CAST(CAST(`b``c` AS CHAR) AS FLOAT)) \
             FROM `s`.`t`"
        );
        let few = question("s", "t", &columns, Rows::Few);
        assert!(few.ends_with(" FROM (SELECT `a`, `b``c` FROM `s`.`t` LIMIT 1000) few"), "{few}");
    }
}
