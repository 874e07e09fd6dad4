//! What a server refused while `pg_restore` loaded a dump, from the tool's messages.

use super::login::quoted;
use crate::domain::LeftOut;
use crate::engine::tool::says_any;

/// How the tool ends its messages if it came to the end of the dump all the same.
pub(super) const TO_THE_END: &str = "pg_restore: warning: errors ignored on restore";

const ENTRY: &str = "pg_restore: from TOC entry ";
const ERROR: &str = "pg_restore: error: ";
const STATEMENT: &str = "Command was: ";

/// What a server says that did not load the library of an extension when it started.
const NOT_LOADED: [&str; 3] =
    ["shared_preload_libraries", "unrecognized configuration parameter", "must be preloaded"];
const LOAD_IT: &str = "; a server that loads the extension's library at its start takes it: restore into one (--into)";

/// How many characters of a message are shown, and of a statement.
const SHOWN: usize = 300;

/// How many characters of a statement name an object.
const SHORT: usize = 80;

const CREATE_DATABASE: &str = "CREATE DATABASE ";

/// What follows the database's name in the statement.
const TEMPLATE: &str = " WITH TEMPLATE = template0";

/// What tools of version 15 and later write into the statement. No older server knows the word, nor another provider.
const LIBC: &str = " LOCALE_PROVIDER = libc";

/// The statement of a database that could not even be created; nothing of its dump was loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RefusedDatabase<'a> {
    statement: &'a str,
    pub(super) encoding: &'a str,
}

impl<'a> RefusedDatabase<'a> {
    pub(super) fn find(messages: &'a str) -> Option<Self> {
        let at = messages.find(&format!("{STATEMENT}{CREATE_DATABASE}"))? + STATEMENT.len();
        let statement = messages.get(at..)?.lines().next()?;
        Self::of(statement)
    }

    /// A statement that creates a database.
    pub(super) fn of(statement: &'a str) -> Option<Self> {
        statement.strip_prefix(CREATE_DATABASE)?;
        let (_, rest) = statement.rsplit_once(" ENCODING = '")?;
        let (encoding, _) = rest.split_once('\'')?;
        Some(Self { statement, encoding })
    }

    /// The statement for a database of this name.
    pub(super) fn renamed(self, name: &str) -> Option<String> {
        let (_, rest) = self.statement.rsplit_once(TEMPLATE)?;
        Some(format!("{CREATE_DATABASE}{}{TEMPLATE}{rest}", quoted(name)))
    }

    /// The same in words that servers before version 15 know, if these are what was refused.
    pub(super) fn for_older_server(self) -> Option<String> {
        let at = self.statement.rfind(LIBC)?;
        let mut statement = self.statement.to_owned();
        statement.replace_range(at..at + LIBC.len(), "");
        Some(statement)
    }
}

/// Whether a line of the tool's messages is of an error, or of what failed: the others say what it does.
pub(super) fn tells_of_refusals(line: &str) -> bool {
    let kept = ["error: ", "warning: ", "from TOC entry ", "detail: ", "hint: ", "while "];
    let own = line.strip_prefix("pg_restore: ");
    own.is_none_or(|message| kept.iter().any(|kind| message.starts_with(kind)))
}

/// An object that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    /// Its number in the dump's table of contents.
    pub(super) entry: Option<u32>,
    pub(super) object: LeftOut,
}

/// The objects that were refused, each with the error and the statement.
pub(super) fn objects(messages: &str, database: &str) -> Vec<Refusal> {
    let mut found: Vec<(Option<u32>, LeftOut)> = Vec::new();
    let (mut number, mut entry) = (None, "");
    let mut in_error = false;
    for line in messages.lines().filter(|line| !line.is_empty()) {
        if let Some(rest) = line.strip_prefix(ENTRY) {
            // `3350; 1259 16404 INDEX by_name postgres`
            entry = rest.splitn(4, ' ').nth(3).unwrap_or(rest);
            number = rest.split_once(';').and_then(|(number, _)| number.parse().ok());
        }
        if let Some(error) = line.strip_prefix(ERROR) {
            found.push((number, LeftOut::new(entry, error)));
        }
        in_error = (in_error && !line.starts_with("pg_restore: ")) || line.starts_with(ERROR);
        let last = found.last_mut().filter(|_| in_error && !line.starts_with(ERROR));
        if let Some((_, last)) = last {
            last.why.push(' ');
            last.why.push_str(line);
        }
    }
    for (_, object) in &mut found {
        if let Some((_, statement)) = object.why.split_once(STATEMENT) {
            let statement = statement.trim_end().trim_end_matches(';');
            object.what = statement.chars().take_while(|it| *it != '(').take(SHORT).collect();
        } else if object.what.is_empty() {
            "an object".clone_into(&mut object.what);
        }
        object.what = format!("{} in database {database}", object.what.trim());
        let advice = if says_any(&object.why, &NOT_LOADED) { LOAD_IT } else { "" };
        object.why = shown(&object.why).trim_end_matches(';').to_owned() + advice;
        object.holds_no_data = is_made_again(&object.what);
    }
    found.into_iter().map(|(entry, object)| Refusal { entry, object }).collect()
}

/// Whether a dump holds nothing of what was refused: the server makes a materialized view again, and may need another
/// server for that, or a setting of its own.
fn is_made_again(refused: &str) -> bool {
    // The name of the entry, or the statement, where a version of the tool does not name it.
    let kinds = ["MATERIALIZED VIEW DATA ", "REFRESH MATERIALIZED VIEW "];
    kinds.iter().any(|kind| refused.starts_with(kind))
}

/// A statement with a password is not shown.
fn shown(why: &str) -> String {
    let cut = |text: &str| {
        let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
        words.chars().take(SHOWN).collect::<String>()
    };
    match why.split_once(STATEMENT) {
        Some((error, statement)) if statement.to_lowercase().contains("password") => cut(error),
        Some((error, statement)) => {
            format!("{}; the statement was {}", cut(error).trim_end_matches('.'), cut(statement))
        }
        None => cut(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_database_is_created_in_the_words_of_an_older_server() {
        let messages = "pg_restore: error: could not execute query: ERROR:  option \"locale_provider\" not recognized\n\
            Command was: CREATE DATABASE \"a LOCALE_PROVIDER = libc\" WITH TEMPLATE = template0 ENCODING = 'UTF8' \
            LOCALE_PROVIDER = libc LOCALE = 'de_DE.UTF-8';\n\n\n";
        let refused = RefusedDatabase::find(messages).unwrap();
        assert_eq!(refused.encoding, "UTF8");
        assert_eq!(
            refused.for_older_server().unwrap(),
            "CREATE DATABASE \"a LOCALE_PROVIDER = libc\" WITH TEMPLATE = template0 ENCODING = 'UTF8' \
             LOCALE = 'de_DE.UTF-8';"
        );
        let icu = messages.replace(" = libc", " = icu");
        assert_eq!(RefusedDatabase::find(&icu).unwrap().for_older_server(), None);
        assert_eq!(RefusedDatabase::find("pg_restore: error: no"), None);
    }

    #[test]
    fn each_refused_object_is_named_with_its_error_and_statement() {
        let messages = "pg_restore: while PROCESSING TOC:\n\
            pg_restore: from TOC entry 3350; 1259 16404 INDEX by_name postgres\n\
            pg_restore: error: could not execute query: ERROR:  function f(text) does not exist\n\
            HINT:  Add casts.\nCommand was: CREATE INDEX by_name\n    ON t (f(x));\n\n\n\
            pg_restore: from TOC entry 3351; 1418 16405 USER MAPPING app s postgres\n\
            pg_restore: error: could not execute query: ERROR:  no server\n\
            Command was: CREATE USER MAPPING FOR app SERVER s OPTIONS (password 'pw');\n\n\n\
            pg_restore: warning: errors ignored on restore: 2\n";
        let found = objects(messages, "shop");
        assert_eq!(found.len(), 2);
        assert_eq!([found[0].entry, found[1].entry], [Some(3350), Some(3351)]);
        let found = found.into_iter().map(|it| it.object).collect::<Vec<_>>();
        assert_eq!(found[0].what, "CREATE INDEX by_name     ON t in database shop");
        assert!(
            found[0].why.ends_with("Add casts; the statement was CREATE INDEX by_name ON t (f(x))"),
            "{found:?}"
        );
        assert!(found[1].why.contains("no server") && !found[1].why.contains("pw"), "{found:?}");
    }

    #[test]
    fn an_extension_that_needs_its_library_from_the_start_is_said_to_need_it() {
        let messages = "pg_restore: error: could not execute query: ERROR:  unrecognized configuration parameter \
            \"cron.database_name\"\nCommand was: CREATE EXTENSION IF NOT EXISTS pg_cron WITH SCHEMA public;\n";
        let found = objects(messages, "shop");
        assert_eq!(
            found[0].object.to_string(),
            "CREATE EXTENSION IF NOT EXISTS pg_cron WITH SCHEMA public in database shop: could not execute query: ERROR: \
             unrecognized configuration parameter \"cron.database_name\"; the statement was CREATE EXTENSION IF NOT \
             EXISTS pg_cron WITH SCHEMA public; a server that loads the extension's library at its start takes it: \
             restore into one (--into)"
        );
    }

    #[test]
    fn only_the_rows_of_a_materialized_view_are_made_again() {
        for (what, again) in [
            ("MATERIALIZED VIEW DATA copied postgres in database shop", true),
            ("REFRESH MATERIALIZED VIEW public.copied; in database shop", true),
            ("MATERIALIZED VIEW copied postgres in database shop", false),
            ("TABLE DATA item postgres in database shop", false),
        ] {
            assert_eq!(is_made_again(what), again, "{what}");
        }
    }
}
