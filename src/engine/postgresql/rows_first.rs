//! Rows that a server refuses although they were in the table: they come first, and what is in their way is put right.
//!
//! A rule (`CHECK`) may say another thing today: it uses the clock, or a function that reads other tables. Such a rule is
//! there again afterwards, for new rows. And the script of an extension may make rows that its dump holds as well.

use serde::Deserialize;

use super::client::Client;
use super::dump_loader::{DumpLoader, Loaded, is_refusal, load_lines};
use super::login::{literal, quoted};
use super::refused::Refusal;
use super::second_try::lines_of;
use crate::domain::LeftOut;
use crate::engine::Result;

/// How the entry of a table's rows begins in a table of contents, behind its number.
const ROWS: &str = " TABLE DATA ";

/// The rules that the rows of a table are checked by, and the statement that removes what an extension's script made.
/// `@entry` is how a table of contents names the table: by schema, name and owner, who may be another one here.
const IN_THE_WAY: &str = r"
WITH RECURSIVE here AS (
  SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE relkind = 'r'
    AND starts_with(@entry, translate(format('%s %s ', nspname, relname), E'\n\r', '  '))
), above AS (
  SELECT oid FROM here UNION SELECT inhparent FROM pg_inherits JOIN above ON inhrelid = above.oid
), used AS (
  SELECT atttypid AS oid FROM pg_attribute JOIN here ON attrelid = here.oid WHERE attnum > 0 AND NOT attisdropped
  UNION SELECT inner_type.oid FROM used JOIN pg_type t ON t.oid = used.oid CROSS JOIN LATERAL (
    SELECT typbasetype UNION ALL SELECT typelem
    UNION ALL SELECT atttypid FROM pg_attribute WHERE attrelid = typrelid AND attnum > 0 AND NOT attisdropped
  ) AS inner_type(oid) WHERE inner_type.oid <> 0
), rule AS (
  SELECT format('TABLE %I.%I', nspname, relname) AS of, conname AS name, pg_get_constraintdef(k.oid) AS definition
  FROM pg_constraint k JOIN pg_class c ON c.oid = conrelid JOIN pg_namespace n ON n.oid = relnamespace
  WHERE contype = 'c' AND convalidated AND coninhcount = 0 AND conrelid IN (SELECT oid FROM above)
  UNION ALL
  SELECT format('DOMAIN %I.%I', nspname, typname), conname, pg_get_constraintdef(k.oid)
  FROM pg_constraint k JOIN pg_type t ON t.oid = contypid JOIN pg_namespace n ON n.oid = typnamespace
  WHERE contype = 'c' AND convalidated AND contypid IN (SELECT oid FROM used)
)
SELECT json_build_object(
  'rules', (SELECT coalesce(json_agg(rule), '[]') FROM rule),
  'made', (SELECT string_agg(format('DELETE FROM %s %s;', here.oid::regclass, condition), '') FROM here, pg_extension,
    unnest(extconfig, extcondition) AS config(oid, condition) WHERE config.oid = here.oid))";

#[derive(Debug, Deserialize)]
struct InTheWay {
    rules: Vec<Rule>,
    /// The statement that removes the rows which an extension's script made and the dump holds.
    made: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Rule {
    /// `TABLE x` or `DOMAIN x`.
    of: String,
    name: String,
    definition: String,
}

impl Rule {
    fn drop(&self) -> String {
        format!("ALTER {} DROP CONSTRAINT {};", self.of, quoted(&self.name))
    }

    /// The rows that are there are not checked.
    fn add(&self) -> String {
        let Self { of, name, definition } = self;
        format!("ALTER {of} ADD CONSTRAINT {} {definition} NOT VALID;", quoted(name))
    }

    fn validate(&self) -> String {
        format!("ALTER {} VALIDATE CONSTRAINT {}", self.of, quoted(&self.name))
    }

    fn unsatisfied(&self, database: &str) -> LeftOut {
        let kind = self.of.to_lowercase().split(' ').next().map(str::to_owned).unwrap_or_default();
        let of = self.of.split_once(' ').map_or("", |(_, name)| name);
        let what =
            format!("that every row satisfies {} of {kind} {of} in database {database}", self.name);
        let why = format!(
            "some do not any more, so it holds for new rows only (NOT VALID); it is {}",
            self.definition
        );
        LeftOut { holds_no_data: true, ..LeftOut::new(what, why) }
    }
}

impl DumpLoader {
    /// Loads the rows of tables that were refused without what is in their way. Returns what is refused still, and the rules
    /// that not every row satisfies.
    pub(super) fn rows_first(
        &self,
        loaded: Loaded<'_>,
        list: &[u8],
        refused: Vec<Refusal>,
    ) -> Result<Vec<Refusal>> {
        let mut left = Vec::new();
        for refusal in refused {
            let lines = lines_of(list, std::slice::from_ref(&refusal)).map(|(_, lines)| lines);
            let text = lines.as_deref().map(String::from_utf8_lossy).unwrap_or_default();
            let table = text.split_once(ROWS).map(|(_, table)| table.trim_end_matches('\n'));
            let (Some(table), Some(lines)) = (table, &lines) else {
                left.push(refusal);
                continue;
            };
            match self.load_rows(loaded, table, lines)? {
                Some(unsatisfied) => left.extend(unsatisfied),
                None => left.push(refusal),
            }
        }
        Ok(left)
    }

    /// None: they are refused again.
    fn load_rows(
        &self,
        loaded: Loaded<'_>,
        table: &str,
        lines: &[u8],
    ) -> Result<Option<Vec<Refusal>>> {
        let client = loaded.client;
        let in_the_way: InTheWay = client.query(&IN_THE_WAY.replace("@entry", &literal(table)))?;
        let InTheWay { rules, made } = in_the_way;
        let all = |each: fn(&Rule) -> String| rules.iter().map(each).collect::<String>();
        let mut statements = all(Rule::drop);
        statements.extend(made);
        if statements.is_empty() || !done(client, &statements)? {
            return Ok(None);
        }
        let attempt = load_lines(loaded, lines)?;
        let again = self.refused_by(attempt, loaded.name)?;
        client.execute(&all(Rule::add))?;
        let mut unsatisfied = Vec::new();
        for rule in &rules {
            if !done(client, &rule.validate())? {
                unsatisfied.push(Refusal { entry: None, object: rule.unsatisfied(loaded.name) });
            }
        }
        Ok(again.is_empty().then_some(unsatisfied))
    }
}

/// Whether the server did it, and did not refuse it.
fn done(client: &Client, statements: &str) -> Result<bool> {
    match client.execute(statements) {
        Ok(()) => Ok(true),
        Err(error) if is_refusal(&error) => Ok(false),
        Err(error) => Err(error),
    }
}
