//! What a server refused of a dump, tried again when everything else is there.
//!
//! A dump is loaded with an empty search path, and in an order that knows nothing of what the bodies of functions use:
//! a rule of a column, an index, a generated column or a materialized view whose function names a table without its
//! schema, or reads one that comes later, is refused. The second time, the session has the database's own search path.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use super::client::Client;
use super::refused::Refusal;
use crate::engine::Result;

/// What a dump sets before everything else. No newer server's tool leaves it out.
const NO_PATH: &[u8] = b"SELECT pg_catalog.set_config('search_path', '', false);\n";

/// Sets what the connection asked for instead. Spaces make it as long as [`NO_PATH`].
const OWN_PATH: &[u8] = b"RESET search_path;";

/// Names the entry of a dump that sets the search path. It is one of the first.
const ENTRY: &[u8] = b"SEARCHPATH";
const FIRST_BYTES: u64 = 64 << 10;

/// The database's own search path, behind what belongs to the server.
const PATH: &str = "SELECT to_json('pg_catalog, ' || coalesce((SELECT substr(c, 13) \
     FROM pg_db_role_setting s, unnest(s.setconfig) AS c WHERE s.setrole = 0 AND c LIKE 'search_path=_%' \
     AND s.setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())), \
     '\"$user\", public'))";

/// A client whose sessions have the search path of the database that it connects to.
pub(super) fn with_own_path(client: &Client) -> Result<Client> {
    let path: String = client.query(PATH)?;
    Ok(Client { login: client.login.with_search_path(&path), ..client.clone() })
}

/// The lines of a table of contents that were refused and can be tried again: all but large objects, of which a part
/// may be there. None if there are none.
pub(super) fn lines_of(list: &[u8], refused: &[Refusal]) -> Option<(BTreeSet<u32>, Vec<u8>)> {
    let wanted: BTreeSet<u32> = refused.iter().filter_map(|it| it.entry).collect();
    let (mut tried, mut lines) = (BTreeSet::new(), Vec::new());
    for line in list.split_inclusive(|byte| *byte == b'\n') {
        let text = String::from_utf8_lossy(line);
        let number = text.split_once(';').and_then(|(number, _)| number.parse().ok());
        let Some(number) = number.filter(|it| wanted.contains(it)) else { continue };
        if !text.split(' ').any(|word| word == "BLOBS" || word == "BLOB") {
            tried.insert(number);
            lines.extend_from_slice(line);
        }
    }
    (!tried.is_empty()).then_some((tried, lines))
}

/// Runs `load` while the dump at `path` sets no search path of its own, and makes the dump what it was.
pub(super) fn without_path<T>(
    path: &Path,
    load: impl FnOnce() -> Result<T>,
) -> std::io::Result<Result<T>> {
    let file = File::options().read(true).write(true).open(path)?;
    let Some(at) = place_of_path(&file)? else { return Ok(load()) };
    let mut own = OWN_PATH.to_vec();
    own.resize(NO_PATH.len() - 1, b' ');
    own.push(b'\n');
    file.write_all_at(&own, at)?;
    let loaded = load();
    file.write_all_at(NO_PATH, at)?;
    Ok(loaded)
}

fn place_of_path(file: &File) -> std::io::Result<Option<u64>> {
    let mut first = Vec::new();
    file.take(FIRST_BYTES).read_to_end(&mut first)?;
    let find = |bytes: &[u8], what: &[u8]| bytes.windows(what.len()).position(|it| it == what);
    let Some(entry) = find(&first, ENTRY) else { return Ok(None) };
    let statement = first.get(entry..).and_then(|rest| find(rest, NO_PATH));
    Ok(statement.and_then(|at| u64::try_from(entry + at).ok()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::LeftOut;
    use crate::engine::postgresql::dump_loader::written;

    #[test]
    fn a_dump_sets_no_path_during_the_load_and_is_the_same_afterwards() {
        let text = [b"PGDMP SEARCHPATH \x38", NO_PATH, b" the rest"].concat();
        let file = written(&[&text]).unwrap();
        let during = without_path(file.path(), || Ok(std::fs::read(file.path()).unwrap()));
        let during = during.unwrap().unwrap();
        assert_eq!(during.len(), text.len());
        let shown = String::from_utf8_lossy(&during);
        assert!(
            shown.contains("RESET search_path;   ") && shown.ends_with(" \n the rest"),
            "{shown}"
        );
        assert_eq!(std::fs::read(file.path()).unwrap(), text);
    }

    #[test]
    fn only_what_was_refused_and_can_be_tried_again_is_listed() {
        let list = b"; a comment\n5; 1259 1 TABLE public a o\n6; 0 1 TABLE DATA public a o\n7; 0 0 BLOBS - BLOBS \n";
        let refused = [Some(6), Some(7), Some(99), None]
            .map(|entry| Refusal { entry, object: LeftOut::new("a", "b") });
        let (tried, lines) = lines_of(list, &refused).unwrap();
        assert_eq!(
            (tried, lines),
            (BTreeSet::from([6]), b"6; 0 1 TABLE DATA public a o\n".to_vec())
        );
        assert_eq!(lines_of(list, &refused[1..]), None);
    }
}
