//! Views on views.
//!
//! A dump makes a placeholder for each view, and then the views in the order of their names. A view that is made on a
//! placeholder keeps what the placeholder was: nobody can write to it, and it is not merged. So the scripts of views are
//! run again, once for each view that stands on another, when the placeholders are gone.

use std::collections::BTreeMap;

use super::client::{Client, Row};
use super::faults::classify;
use super::script::{Script, run_all};
use crate::domain::LeftOut;
use crate::engine::Result;

/// How often the scripts are run at most.
const MOST: usize = 32;

const VIEWS: &str = "SELECT TABLE_SCHEMA, TABLE_NAME, VIEW_DEFINITION FROM information_schema.VIEWS \
     WHERE TABLE_SCHEMA NOT IN ('mysql', 'sys', 'information_schema', 'performance_schema')";

type Name = (String, String);

/// Makes the views, each on views that are complete. Returns the scripts of which something was refused, each with the
/// statements.
pub(super) fn make(client: &Client, scripts: &[Script]) -> Result<Vec<(Script, Vec<LeftOut>)>> {
    let mut refused = run_all(client, scripts)?;
    if scripts.is_empty() {
        return Ok(refused);
    }
    let mut runs = 1;
    while runs < height(client)? {
        refused = run_all(client, scripts)?;
        runs += 1;
    }
    Ok(refused)
}

/// How many views stand on each other.
fn height(client: &Client) -> Result<usize> {
    let rows = client.execute(VIEWS).map_err(|error| classify(error, "the list of views"))?;
    Ok(tallest(&rows))
}

fn tallest(rows: &[Row]) -> usize {
    let mut heights = BTreeMap::new();
    let mut views = Vec::new();
    for row in rows {
        let [schema, name, definition] = row.as_slice() else { continue };
        heights.insert((schema.clone(), name.clone()), 1_usize);
        views.push(((schema.clone(), name.clone()), pairs(definition)));
    }
    // What looks like a name may be a text, so that views may seem to stand on themselves.
    for _ in 0..MOST {
        let mut grown = false;
        for (view, named) in &views {
            let below = named.iter().filter(|it| *it != view).filter_map(|it| heights.get(it));
            let height = below.max().map_or(1, |it| it + 1).min(MOST);
            grown |= heights.insert(view.clone(), height) != Some(height);
        }
        if !grown {
            break;
        }
    }
    heights.into_values().max().unwrap_or(0)
}

/// All that may be the name of a table in a definition: two quoted names with a dot between them.
fn pairs(definition: &str) -> Vec<Name> {
    let mut found = Vec::new();
    let mut before: Option<String> = None;
    let mut rest = definition;
    while let Some(at) = rest.find(['`', '\'']) {
        let follows = rest.get(..at) == Some(".");
        let Some((text, after)) = quoted(rest.get(at..).unwrap_or_default()) else { break };
        let is_name = rest.get(at..).is_some_and(|it| it.starts_with('`'));
        if let (true, true, Some(schema)) = (is_name, follows, before.take()) {
            found.push((schema, text.clone()));
        }
        before = is_name.then_some(text);
        rest = after;
    }
    found
}

/// The quoted text that this begins with, and what is behind it. Within it, the quote is doubled; in a text it may follow
/// a backslash instead.
fn quoted(from: &str) -> Option<(String, &str)> {
    let mut letters = from.char_indices().peekable();
    let (_, quote) = letters.next()?;
    let mut text = String::new();
    while let Some((at, letter)) = letters.next() {
        if letter == '\\' && quote == '\'' {
            letters.next();
        } else if letter != quote {
            text.push(letter);
        } else if letters.next_if(|(_, next)| *next == quote).is_some() {
            text.push(quote);
        } else {
            return Some((text, from.get(at + 1..)?));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(schema: &str, name: &str) -> Name {
        (schema.to_owned(), name.to_owned())
    }

    #[test]
    fn the_names_of_tables_are_found_in_a_definition() {
        let text =
            "select `a`.`t`.`c` AS `x.y`,'it''s \\'`a`.`no`' AS `n` from (`a`.`t` join `b``c`.`v`)";
        let expected = [pair("a", "t"), pair("t", "c"), pair("a", "t"), pair("b`c", "v")];
        assert_eq!(pairs(text), expected);
        assert_eq!(pairs("select 'open"), []);
    }

    #[test]
    fn the_height_is_that_of_the_most_views_on_each_other() {
        let row = |name: &str, of: &str| -> Row {
            vec!["a".to_owned(), name.to_owned(), format!("select 1 from `a`.`{of}`")]
        };
        assert_eq!(tallest(&[]), 0);
        assert_eq!(tallest(&[row("v", "t"), row("w", "t")]), 1);
        assert_eq!(tallest(&[row("a", "b"), row("b", "c"), row("c", "t"), row("d", "c")]), 3);
        assert_eq!(tallest(&[row("a", "b"), row("b", "a")]), MOST);
    }
}
