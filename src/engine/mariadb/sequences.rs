//! Sequences that go on before their start: those that began again, or were set back. A dump sets each to where it was,
//! and the server sets none back.

use super::client::{Client, Row, quoted_name};
use super::facts::{Facts, condition};
use super::faults::classify;
use super::options::Options;
use crate::engine::Result;

/// How many are asked about at once.
const TOGETHER: usize = 50;

/// The statements that set them, each with its database.
pub(super) fn set_back(
    client: &Client,
    facts: &Facts,
    options: &Options,
) -> Result<Vec<(String, String)>> {
    if !facts.is_mariadb() {
        return Ok(Vec::new());
    }
    let ask = |sql: &str| client.execute(sql).map_err(|error| classify(error, &options.shown()));
    let names = ask(&format!(
        "SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES WHERE {} AND TABLE_TYPE = 'SEQUENCE'",
        condition("TABLE_SCHEMA", options)
    ))?;
    let mut found = Vec::new();
    for together in names.chunks(TOGETHER) {
        let questions: Vec<String> =
            together.iter().enumerate().filter_map(|(at, row)| question(at, row)).collect();
        for row in ask(&questions.join(" UNION ALL "))? {
            let at = row.first().and_then(|at| at.parse::<usize>().ok());
            let name = at.and_then(|at| together.get(at)).map(Vec::as_slice);
            let (Some([database, name]), [_, next, cycles]) = (name, row.as_slice()) else {
                continue;
            };
            found.push((database.clone(), statement((database, name), next, cycles)));
        }
    }
    Ok(found)
}

fn question(at: usize, row: &Row) -> Option<String> {
    let [database, name] = row.as_slice() else { return None };
    Some(format!(
        "SELECT {at}, next_not_cached_value, cycle_count FROM {}.{} WHERE cycle_count > 0 \
         OR (increment >= 0 AND next_not_cached_value < start_value) \
         OR (increment < 0 AND next_not_cached_value > start_value)",
        quoted_name(database),
        quoted_name(name)
    ))
}

fn statement((database, name): (&str, &str), next: &str, cycles: &str) -> String {
    let name = format!("{}.{}", quoted_name(database), quoted_name(name));
    if cycles == "0" {
        format!("ALTER SEQUENCE {name} RESTART WITH {next};\n")
    } else {
        format!("DO SETVAL({name}, {next}, 0, {cycles});\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sequence_that_began_again_goes_on_in_its_round() {
        let set = |cycles| statement(("s", "a`b"), "3", cycles);
        assert_eq!(set("2"), "DO SETVAL(`s`.`a``b`, 3, 0, 2);\n");
        assert_eq!(set("0"), "ALTER SEQUENCE `s`.`a``b` RESTART WITH 3;\n");
    }
}
