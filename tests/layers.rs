//! The stairs of the house go one way: which room may name which is the table below, and this test
//! holds the source to it.

#[path = "layers/lexer.rs"]
mod lexer;
#[path = "layers/scanner.rs"]
mod scanner;

use std::path::{Path, PathBuf};

use lexer::Token;
use scanner::{Source, declared, named};

/// A room, and the rooms it may name besides itself.
type Stair = (&'static str, &'static [&'static str]);

/// Everything that is not listed is forbidden. The order is that of the stairs, top first.
const STAIRS: &[Stair] = &[
    ("main", &["cli"]),
    (
        "cli",
        &[
            "server",
            "executor",
            "api",
            "catalog",
            "store",
            "engine",
            "archive",
            "storage",
            "config",
            "telemetry",
            "bell",
            "domain",
        ],
    ),
    (
        "server",
        &[
            "executor",
            "api",
            "catalog",
            "engine",
            "storage",
            "config",
            "telemetry",
            "bell",
            "domain",
        ],
    ),
    (
        "executor",
        &["catalog", "engine", "archive", "storage", "config", "bell", "failpoint", "domain"],
    ),
    ("api", &["catalog", "domain"]),
    ("catalog", &["store", "bell", "domain"]),
    ("store", &["failpoint", "domain"]),
    ("engine", &["early_sync", "domain"]),
    ("archive", &["domain"]),
    ("storage", &["early_sync", "failpoint", "domain"]),
    ("config", &["domain"]),
    ("telemetry", &["domain"]),
    ("bell", &[]),
    ("early_sync", &[]),
    ("failpoint", &[]),
    ("domain", &[]),
];

/// Words that belong to some files only: each with the beginnings of the paths where they may stand.
const CRATES: &[(&[&str], &[&str])] = &[
    (
        &["rusqlite", "r2d2", "r2d2_sqlite", "libsqlite3_sys"],
        // The engine reads users' databases, the demo plays a user's program.
        &["store/", "engine/sqlite", "cli/demo"],
    ),
    (&["actix_web", "actix_http"], &["api/", "server"]),
    (&["ureq"], &["cli/"]),
    (&["zstd_safe"], &["archive/"]),
];

/// Trove's wire words, as string literals: written by the views, read by the command line's client.
const WIRE_WORDS: &[&str] = &["locationRef", "swift_container"];
const WIRE_PLACES: &[&str] = &["api/view", "cli/"];

/// Rooms that have no business renaming or removing any file.
const NEVER_RENAME: &[&str] =
    &["api", "catalog", "archive", "executor", "server", "domain", "bell", "telemetry"];
const RENAMES: &[&str] = &[
    "rename",
    "renameat",
    "renameat_with",
    "link",
    "linkat",
    "hard_link",
    "unlink",
    "unlinkat",
    "remove_file",
    "remove_dir",
    "remove_dir_all",
];

/// What this source does that its room may not.
fn broken_rules(source: &Source) -> Vec<String> {
    let mut broken = broken_stairs(source);
    if !source.test_only {
        broken.extend(misplaced_words(source));
    }
    broken.into_iter().map(|what| format!("src/{}: {what}", source.file)).collect()
}

fn broken_stairs(source: &Source) -> Vec<String> {
    let room = source.room();
    if room == "lib" {
        let rooms = declared(source).into_iter().filter_map(|it| it.module.first().cloned());
        return rooms
            .filter(|room| STAIRS.iter().all(|(known, _)| known != room))
            .map(|room| format!("the room {room} is not in the table of tests/layers.rs"))
            .collect();
    }
    let Some((_, may_name)) = STAIRS.iter().find(|(known, _)| *known == room) else {
        return vec![format!("the room {room} is not in the table of tests/layers.rs")];
    };
    let mut broken = Vec::new();
    for it in named(source) {
        let path = it.parts.join("::");
        let first = it.parts.first().map_or("*", String::as_str);
        if first == room {
            continue;
        }
        if !may_name.contains(&first) {
            broken.push(format!("{room} may not name {path}"));
        } else if it.given_on && first != "domain" {
            // Else a room above could name it without the table noticing.
            broken.push(format!("{room} may use {path} but not give it on with `pub use`"));
        }
    }
    broken
}

fn misplaced_words(source: &Source) -> Vec<String> {
    let may = |places: &[&str]| places.iter().any(|place| source.file.starts_with(place));
    let mut broken = Vec::new();
    let tokens = source.tokens_outside_tests();
    let mut rest = tokens.as_slice();
    while let Some((first, behind)) = rest.split_first() {
        match (first, behind) {
            (Token::Word(word), [Token::Path, Token::Word(code), ..])
                if word == "StatusCode"
                    && !may(&["api/error.rs"])
                    && code.starts_with(|it: char| it.is_ascii_uppercase()) =>
            {
                broken.push(format!("only api/error.rs says {word}::{code}"));
            }
            (Token::Word(word), [next, ..]) => {
                let crates = CRATES.iter().find(|(names, _)| names.contains(&word.as_str()));
                if *next == Token::Path && crates.is_some_and(|(_, places)| !may(places)) {
                    broken.push(format!("the crate {word} has no place here"));
                }
                let renames = RENAMES.contains(&word.as_str()) && *next == Token::Mark('(');
                if renames && NEVER_RENAME.contains(&source.room()) {
                    broken.push(format!("{} has no business with {word}()", source.room()));
                }
            }
            (Token::Text(text), _) if !may(WIRE_PLACES) => {
                let words = WIRE_WORDS.iter().filter(|word| text.contains(**word));
                broken.extend(words.map(|word| format!("{word} is a word of the wire")));
            }
            _ => {}
        }
        rest = behind;
    }
    broken
}

fn read_folder(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("src can be listed") {
        let path = entry.expect("src can be listed").path();
        if path.is_dir() {
            read_folder(&path, files);
        } else if path.extension().is_some_and(|it| it == "rs") {
            files.push(path);
        }
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    read_folder(&root, &mut files);
    files.sort();
    let mut sources: Vec<Source> = files
        .iter()
        .map(|path| {
            let text = std::fs::read_to_string(path).expect("a source file is text");
            let file = path.strip_prefix(&root).expect("it was found there");
            Source::new(&file.to_string_lossy(), &text)
        })
        .collect();
    place_modules(&mut sources);
    sources
}

/// Gives files their modules where these are not what the path says, and marks those for tests.
fn place_modules(sources: &mut [Source]) {
    let all: Vec<_> = sources.iter().flat_map(declared).collect();
    for source in sources {
        if let Some(it) = all.iter().find(|it| it.file.as_deref() == Some(&source.file)) {
            source.module.clone_from(&it.module);
        }
        let mut tests = all.iter().filter(|it| it.test_only);
        source.test_only = tests.any(|it| source.module.starts_with(&it.module));
    }
}

#[test]
fn every_room_names_only_the_rooms_below_it() {
    let sources = sources();
    assert!(sources.len() > 20, "the source was not found");
    let broken: Vec<String> = sources.iter().flat_map(broken_rules).collect();
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn the_table_itself_goes_one_way_and_knows_no_room_that_is_gone() {
    let sources = sources();
    for (at, (room, may_name)) in STAIRS.iter().enumerate() {
        assert!(sources.iter().any(|it| it.room() == *room), "there is no room {room}");
        for below in *may_name {
            let found = STAIRS.iter().position(|(known, _)| known == below);
            assert!(found.is_some_and(|it| it > at), "{below} is not below {room}");
        }
    }
}

#[test]
fn a_path_that_goes_up_the_stairs_is_found_however_it_is_written() {
    for (file, text) in [
        ("api/backups.rs", "use crate::storage::Local;"),
        ("api/backups.rs", "use crate::{catalog::Catalog, domain::{self, Status}, executor};"),
        ("api/backups.rs", "use {crate::store::Store, std::io};"),
        ("api/backups.rs", "fn f() { crate::engine::probe() }"),
        ("api/backups.rs", "use super::super::archive::Index;"),
        ("api/backups.rs", "use super::{super::{store}, routes};"),
        ("api/mod.rs", "pub(in super::store) struct X;"),
        ("api/mod.rs", "mod tests { use super::super::engine::Engine; }"),
        ("api/mod.rs", "mod a { mod b {} use self::super::super::engine as e; }"),
        ("api/mod.rs", "use crate::*;"),
        ("api/mod.rs", "use crate as everything;"),
        ("api/mod.rs", "macro_rules! m { () => { $crate::engine::f() } }"),
        ("api/mod.rs", "#[cfg(test)] mod tests { use crate::engine::Engine; }"),
        ("catalog/mod.rs", "pub use crate::store::StoreError;"),
        ("catalog/mod.rs", "pub(crate) use crate::{domain::Page, store::{self}};"),
        ("domain/mod.rs", "use crate::bell::Bell;"),
        ("attic/mod.rs", "fn f() {}"),
        ("lib.rs", "pub mod api; mod attic;"),
        ("main.rs", "fn main() { coffer::server::run() }"),
        ("storage/mod.rs", "use rusqlite::Connection;"),
        ("catalog/mod.rs", "use actix_web::HttpResponse;"),
        ("api/backups.rs", "fn f() -> u16 { StatusCode::CREATED.as_u16() }"),
        ("api/backups.rs", "#[serde(rename = \"locationRef\")] struct X;"),
        ("catalog/mod.rs", "fn f() -> &str { r#\"{\"swift_container\": 1}\"# }"),
        ("executor/mod.rs", "fn f() { std::fs::remove_file(archive) }"),
    ] {
        assert_eq!(broken_rules(&Source::new(file, text)).len(), 1, "{file}: {text}");
    }
}

#[test]
fn what_the_stairs_allow_is_left_alone() {
    for (file, text) in [
        (
            "api/mod.rs",
            "use crate::catalog::{self, Catalog as C}; mod x { use super::super::api; }",
        ),
        ("api/mod.rs", "mod a { use super::b; } // crate::store\nfn f() { \"crate::store\"; }"),
        (
            "api/a/b.rs",
            "use super::super::c; use self::d; impl X { fn f(self: &Self) { self.g() } }",
        ),
        ("api/metrics.rs", "fn f(s: StatusCode) { StatusCode::from_u16(1); }"),
        ("api/metrics.rs", "#[cfg(test)] #[x] mod t { use super::{StatusCode}; StatusCode::OK; }"),
        ("catalog/mod.rs", "pub use crate::domain::Page; use crate::store::Store; pub use a::b;"),
        ("api/view.rs", "#[serde(rename = \"locationRef\")] struct X;"),
        ("executor/mod.rs", "#[serde(rename = \"x\")] struct X;"),
        ("engine/sqlite/dump.rs", "use rusqlite::Connection;"),
        ("main.rs", "use coffer::cli; fn main() { cli::run() }"),
    ] {
        assert_eq!(broken_rules(&Source::new(file, text)), [""; 0], "{file}: {text}");
    }
}

#[test]
fn a_module_in_a_file_of_another_name_is_placed_where_it_is_declared() {
    let mut sources = [
        Source::new(
            "storage/local.rs",
            "#[cfg(test)]\n#[path = \"tests_local.rs\"]\nmod tests; mod x;",
        ),
        Source::new("storage/tests_local.rs", "use super::super::conformance; StatusCode::OK;"),
        Source::new("storage/local/x.rs", "use super::super::super::api;"),
    ];
    place_modules(&mut sources);
    let broken: Vec<usize> = sources.iter().map(|it| broken_rules(it).len()).collect();
    assert_eq!(broken, [0, 0, 1]);
}
